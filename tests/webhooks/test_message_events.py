"""One-to-one messages reported by webhooks: their accounts, decisions of the guard, rows of the table."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    Direction,
    Drop,
    Face,
    MessageDraft,
    MessageRef,
    PostRef,
    Refuse,
    Rewrite,
    Text,
    Thread,
    Unrecognised,
    UserId,
)
from channel_adapter.domain import events as e
from channel_adapter.webhooks.retry import RetryPolicy
from channel_adapter.webhooks.trigger import Triggered, trigger
from tests.webhooks.scenario import KEEPER, LIGHTHOUSE, MATE, SAILOR, TOKEN, Scenario, lighthouse, open_scenario

GAZETTE = "@TOA#_gazette"
NOW = 1_736_000_000


async def send(scenario: Scenario, event: str, changes: dict[str, Any], seconds: int = 0) -> Triggered:
    """Send a webhook as the service would, this many seconds after NOW, and wait until it is handled."""
    token, app = SecretStr(TOKEN), scenario.stub.sdkappid
    changes = {"EventTime": (NOW + seconds) * 1000 + 5, **changes}
    sent = await trigger(scenario.url, event, changes, sdkappid=app, token=token, now=time.time())
    assert sent.status == 200
    await scenario.settle()
    return sent


async def message(scenario: Scenario, number: int, sender: str, receiver: str, text: str = "ahoy") -> str:
    """Report a message that was sent `number` seconds after NOW, and return its key."""
    key = f"{number}_7_{NOW + number}"
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
    changes = {"From_Account": sender, "To_Account": receiver, "MsgKey": key, "MsgTime": NOW + number, "MsgBody": body}
    await send(scenario, "MessageReceived", changes, number)
    return key


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(NOW + seconds, UTC)


@pytest.fixture
async def scenario() -> AsyncIterator[Scenario]:
    async with open_scenario() as scenario:
        yield await lighthouse(scenario)


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Scenario]:
    async with open_scenario(database_url=f"sqlite:///{tmp_path}/messages.db") as scenario:
        yield await lighthouse(scenario)


async def threads(scenario: Scenario) -> list[Thread]:
    return [thread async for thread in scenario.adapter.messages.threads("lighthouse")]


async def test_message_to_the_owner_is_received_in_the_channel(scenario: Scenario) -> None:
    key = await message(scenario, 1, SAILOR, KEEPER, "what time is high tide?")
    (event,) = scenario.received
    assert isinstance(event, e.MessageReceived)
    assert (event.account, event.user, event.channel, event.other_mode) == (KEEPER, SAILOR, LIGHTHOUSE, False)
    assert (event.parts, event.sent_at) == ((Text("what time is high tide?"),), at(1))
    assert event.ref == MessageRef(LIGHTHOUSE, UserId(SAILOR), key)


async def test_message_of_the_owner_is_reported_as_sent(scenario: Scenario) -> None:
    await message(scenario, 1, KEEPER, SAILOR)
    (event,) = scenario.received
    assert isinstance(event, e.MessageSent)
    assert (event.account, event.user, event.channel) == (KEEPER, SAILOR, LIGHTHOUSE)


async def test_messages_between_users_are_not_reported(scenario: Scenario) -> None:
    await message(scenario, 1, SAILOR, MATE)
    await send(scenario, "MessageRead", {"Report_Account": MATE, "Peer_Account": SAILOR})
    assert scenario.received == []


async def test_message_to_owner_of_two_channels_has_no_channel(scenario: Scenario) -> None:
    await scenario.other.channels.create(slug="harbor", name="Harbour", owner=KEEPER)
    await scenario.settle()
    scenario.received.clear()
    await message(scenario, 1, SAILOR, KEEPER)
    (event,) = scenario.received
    assert isinstance(event, e.MessageReceived)
    assert (event.account, event.channel, event.ref) == (KEEPER, None, None)


async def test_contact_replaces_the_owner(scenario: Scenario) -> None:
    channel = await scenario.adapter.channels.update("lighthouse", contact=MATE)
    assert channel.contact == MATE
    await scenario.settle()
    scenario.received.clear()
    await message(scenario, 1, SAILOR, KEEPER)
    assert scenario.received == []
    await message(scenario, 2, SAILOR, MATE)
    (event,) = scenario.received
    assert isinstance(event, e.MessageReceived)
    assert (event.account, event.channel) == (MATE, LIGHTHOUSE)


async def test_contact_is_kept_when_the_creation_is_reported_late(scenario: Scenario) -> None:
    await scenario.adapter.channels.update("lighthouse", contact=MATE)
    await send(scenario, "ChannelCreated", {"GroupId": LIGHTHOUSE, "Owner_Account": KEEPER})
    scenario.received.clear()
    await message(scenario, 1, SAILOR, MATE)
    assert [type(event) for event in scenario.received] == [e.MessageReceived]


async def test_contact_set_by_another_process_is_read_from_the_database(stored: Scenario) -> None:
    messages = stored.adapter.messages
    assert (await messages.contact("lighthouse")).account == KEEPER
    settings = stored.adapter.settings
    async with ChannelAdapter.open(settings) as other:
        await other.channels.update("lighthouse", contact=MATE)
        assert (await messages.contact("lighthouse")).account == KEEPER  # cached, and not written back
        assert (await other.messages.contact("lighthouse")).account == MATE
    stored.adapter.channels.forget("lighthouse")
    assert (await messages.contact("lighthouse")).account == MATE
    async with ChannelAdapter.open(settings) as third:
        assert (await third.messages.contact("lighthouse")).account == MATE
    stored.received.clear()
    await message(stored, 1, SAILOR, MATE)
    assert [type(event) for event in stored.received] == [e.MessageReceived]


async def test_contact_set_without_the_database_is_known_after_refresh(stored: Scenario) -> None:
    plain = stored.adapter.settings.model_copy(update={"database_url": None})
    async with ChannelAdapter.open(plain) as other:
        old = await other.channels.create(slug="old", name="Old", owner=SAILOR)
        await other.channels.update("old", contact=MATE)
    for received in ([], [old.id]):
        stored.received.clear()
        await message(stored, len(received) + 1, SAILOR, MATE)
        assert [event.channel for event in stored.received if isinstance(event, e.MessageReceived)] == received
        await stored.adapter.directory.refresh()


async def test_new_owner_receives_messages_until_the_channel_is_deleted(scenario: Scenario) -> None:
    changed = {"GroupId": LIGHTHOUSE, "OldOwner_Account": KEEPER, "NewOwner_Account": MATE}
    await send(scenario, "OwnerChanged", changed)
    scenario.received.clear()
    await message(scenario, 1, SAILOR, MATE)
    assert [type(event) for event in scenario.received] == [e.MessageReceived]
    await scenario.other.channels.delete("lighthouse")
    await scenario.settle()
    scenario.received.clear()
    await message(scenario, 2, SAILOR, MATE)
    assert scenario.received == []


async def test_message_to_official_account_has_other_mode(scenario: Scenario) -> None:
    await message(scenario, 1, SAILOR, GAZETTE)
    await send(scenario, "MessageRead", {"Report_Account": SAILOR, "Peer_Account": GAZETTE, "LastReadTime": NOW})
    received, read = scenario.received
    assert isinstance(received, e.MessageReceived)
    assert isinstance(read, e.MessageRead)
    for event in (received, read):
        assert (event.account, event.user, event.channel, event.other_mode) == (GAZETTE, SAILOR, GAZETTE, True)
    assert (read.direction, read.until) == (Direction.SENT, at(0))


async def test_failed_message_is_not_reported(scenario: Scenario) -> None:
    failed = {"From_Account": SAILOR, "To_Account": KEEPER, "SendMsgResult": 20012}
    await send(scenario, "MessageReceived", failed)
    assert scenario.received == []


async def test_recall_edit_and_receipt_have_the_direction(scenario: Scenario) -> None:
    sent = {"From_Account": KEEPER, "To_Account": SAILOR, "MsgKey": "1_7_1736000001"}
    await send(scenario, "MessageRecalled", sent)
    await send(scenario, "MessageEdited", {"Operator_Account": KEEPER, **sent})
    receipt = {"Operator_Account": SAILOR, "Peer_Account": KEEPER, "C2CMsgInfo": [sent]}
    await send(scenario, "C2C.CallbackAfterMsgReadReceipt", receipt)
    recalled, edited, read = scenario.received
    assert isinstance(recalled, e.MessageRecalled)
    assert isinstance(edited, e.MessageEdited)
    assert isinstance(read, e.MessageRead)
    assert (recalled.key, recalled.direction, recalled.user) == (sent["MsgKey"], Direction.SENT, SAILOR)
    assert (edited.key, edited.direction, edited.parts) == (
        sent["MsgKey"], Direction.SENT, (Text("The ferry leaves at nine"),),
    )  # fmt: skip
    assert (read.keys, read.direction, read.channel) == ((sent["MsgKey"],), Direction.SENT, LIGHTHOUSE)


async def test_repeated_webhook_is_one_event(scenario: Scenario) -> None:
    await message(scenario, 1, SAILOR, KEEPER)
    await message(scenario, 1, SAILOR, KEEPER)
    assert len(scenario.received) == 1


async def test_marking_all_as_read_advances_read_positions(scenario: Scenario) -> None:
    await scenario.other.subscriptions.subscribe("lighthouse", [SAILOR])
    for number in range(3):
        await scenario.other.posts.publish("lighthouse", Text(f"post {number}"))
    await scenario.settle()
    scenario.received.clear()
    assert (await scenario.adapter.unread.get(SAILOR)).badge == 3
    read = [{"GroupId": LIGHTHOUSE, "MsgSeq": 2}, {"GroupId": "@TGS#_elsewhere", "MsgSeq": 9}]
    await send(scenario, "AllRead", {"Report_Account": SAILOR, "GroupReadInfo": read})
    (event,) = scenario.received
    assert isinstance(event, e.AllRead)
    assert event.user == SAILOR
    assert event.posts == (PostRef(LIGHTHOUSE, 2),)
    assert (await scenario.adapter.unread.get(SAILOR)).badge == 1
    await send(scenario, "AllRead", {"Report_Account": "a user who is gone", "GroupReadInfo": read}, 1)


async def test_channel_without_posts_does_not_keep_others_from_being_marked_as_read(scenario: Scenario) -> None:
    await scenario.adapter.channels.create(slug="empty", name="Empty", owner=KEEPER)
    await scenario.other.subscriptions.subscribe("lighthouse", [SAILOR])
    await scenario.other.posts.publish("lighthouse", Text("fog"))
    await scenario.settle()
    scenario.received.clear()
    assert (await scenario.adapter.unread.get(SAILOR)).badge == 1
    read = [{"GroupId": "@TGS#_empty", "MsgSeq": 0}, {"GroupId": LIGHTHOUSE, "MsgSeq": 1}]
    await send(scenario, "AllRead", {"Report_Account": SAILOR, "GroupReadInfo": read})
    (event,) = scenario.received
    assert isinstance(event, e.AllRead)
    assert event.posts == (PostRef(LIGHTHOUSE, 1),)
    assert (await scenario.adapter.unread.get(SAILOR)).badge == 0


async def test_table_has_last_message_and_unread_count_of_each_user(stored: Scenario) -> None:
    await message(stored, 1, SAILOR, KEEPER, "one")
    last = await message(stored, 3, SAILOR, KEEPER, "three")
    await message(stored, 2, SAILOR, KEEPER, "two, reported late")
    await message(stored, 5, KEEPER, MATE, "welcome")
    first, second = await threads(stored)
    assert (first.user, first.unread, first.last.content, first.last.direction) == (
        MATE, 0, Text("welcome"), Direction.SENT,
    )  # fmt: skip
    assert (second.user, second.unread, second.last.content) == (SAILOR, 3, Text("three"))
    assert second.last.ref == MessageRef(LIGHTHOUSE, UserId(SAILOR), last)
    assert second.last.sent_at == at(3)


async def test_table_stores_content_of_any_kind(stored: Scenario) -> None:
    elements = [
        {"MsgType": "TIMTextElem", "MsgContent": {"Text": "a NUL: \x00"}},
        {"MsgType": "TIMRedPacketElem", "MsgContent": {"Coins": 3}},
        {"MsgType": "TIMFaceElem", "MsgContent": {"Index": 6, "Data": "wave"}},
    ]
    changes = {"From_Account": SAILOR, "To_Account": KEEPER, "MsgBody": elements}
    await send(stored, "MessageReceived", changes)
    (thread,) = await threads(stored)
    text, unknown, face = thread.last.parts
    assert isinstance(text, Text)
    assert (unknown, face) == (Unrecognised("TIMRedPacketElem", '{"Coins":3}'), Face(6, "wave"))
    assert thread.last.parts == scenario_parts(stored)


def scenario_parts(scenario: Scenario) -> object:
    (event,) = scenario.received
    assert isinstance(event, e.MessageReceived)
    return event.parts


async def test_read_recall_and_edit_events_change_the_table(stored: Scenario) -> None:
    for number in (1, 2, 3):
        await message(stored, number, SAILOR, KEEPER, f"message {number}")
    await send(stored, "MessageRead", {"Report_Account": KEEPER, "Peer_Account": SAILOR, "LastReadTime": NOW + 2}, 4)
    assert [thread.unread for thread in await threads(stored)] == [1]
    await message(stored, 0, SAILOR, KEEPER, "reported after it was read")
    assert [thread.unread for thread in await threads(stored)] == [1]
    sent = {"From_Account": SAILOR, "To_Account": KEEPER, "MsgKey": f"3_7_{NOW + 3}"}
    await send(stored, "MessageEdited", {"Operator_Account": SAILOR, **sent}, 5)
    (thread,) = await threads(stored)
    assert (thread.last.content, thread.last.edited_at) == (
        Text("The ferry leaves at nine"), datetime.fromtimestamp(NOW + 5.005, UTC),
    )  # fmt: skip
    await send(stored, "MessageRead", {"Report_Account": SAILOR, "Peer_Account": KEEPER, "LastReadTime": NOW}, 6)
    await send(stored, "MessageRecalled", sent, 6)
    (thread,) = await threads(stored)
    assert (thread.unread, thread.last.recalled, thread.last.content) == (0, True, None)


async def test_recalled_message_stays_recalled_when_its_dead_letter_is_retried(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/messages.db"
    async with open_scenario(database_url=url, retry=RetryPolicy(1, 0.01)) as stored:
        await lighthouse(stored)
        failures = [LookupError("not ready")]

        async def fail_once(event: e.MessageReceived) -> None:
            if failures:
                raise failures.pop()

        stored.adapter.events.on(e.MessageReceived)(fail_once)
        key = await message(stored, 1, SAILOR, KEEPER)
        assert [thread.unread for thread in await threads(stored)] == [1]
        await send(stored, "MessageRecalled", {"From_Account": SAILOR, "To_Account": KEEPER, "MsgKey": key}, 2)
        (letter,) = await stored.receiver.inbox.dead_letters()
        assert await stored.receiver.inbox.retry(letter.key)
        await stored.settle()
        assert failures == []
        (thread,) = await threads(stored)
        assert (thread.unread, thread.last.recalled, thread.last.content) == (0, True, None)
        assert await stored.adapter.messages.unread("lighthouse") == 0


async def test_all_read_event_clears_all_threads_of_its_user(stored: Scenario) -> None:
    for number, user in enumerate((SAILOR, MATE), start=1):
        await message(stored, number, user, KEEPER)
    await message(stored, 3, KEEPER, MATE, "answer")
    await send(stored, "AllRead", {"Report_Account": KEEPER, "GroupReadInfo": None}, 4)
    answered, waiting = await threads(stored)
    assert [answered.unread, waiting.unread] == [0, 0]
    assert [answered.last.read, waiting.last.read] == [False, True]
    await send(stored, "AllRead", {"Report_Account": MATE, "GroupReadInfo": None}, 5)
    assert [thread.last.read for thread in await threads(stored)] == [True, True]


async def test_guard_decides_only_about_messages_of_channels(scenario: Scenario) -> None:
    seen: list[MessageDraft] = []
    decisions = {
        "spam": Refuse("no", 120_001), "dull": Drop(), "rude": Rewrite(Text("***")), "wrong": Refuse("x", 10150),
    }  # fmt: skip

    @scenario.adapter.guard.on(MessageDraft)
    async def decide(draft: MessageDraft) -> Any:
        seen.append(draft)
        return decisions.get(draft.app_data)

    async def ask(sender: str, receiver: str, app_data: str) -> Any:
        changes = {"From_Account": sender, "To_Account": receiver, "CloudCustomData": app_data}
        return (await send(scenario, "MessageDraft", changes)).answer

    assert (await ask(SAILOR, KEEPER, "fine"))["ErrorCode"] == 0
    assert await ask(SAILOR, KEEPER, "spam") == {"ActionStatus": "OK", "ErrorCode": 120_001, "ErrorInfo": "no"}
    assert (await ask(SAILOR, KEEPER, "dull"))["ErrorCode"] == 2
    assert (await ask(SAILOR, KEEPER, "rude"))["MsgBody"][0]["MsgContent"] == {"Text": "***"}
    assert (await ask(SAILOR, KEEPER, "wrong"))["ErrorCode"] == 1
    assert (await ask(KEEPER, SAILOR, "spam"))["ErrorCode"] == 120_001
    assert [draft.direction for draft in seen[-2:]] == [Direction.RECEIVED, Direction.SENT]
    assert {(draft.channel, draft.account, draft.user) for draft in seen} == {(LIGHTHOUSE, KEEPER, SAILOR)}
    asked = len(seen)
    assert (await ask(SAILOR, MATE, "spam"))["ErrorCode"] == 0
    assert len(seen) == asked


async def test_official_account_receives_messages_separately_from_its_owner() -> None:
    async with open_scenario(mode="official") as scenario:
        account = (await scenario.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)).id
        await scenario.settle()
        scenario.received.clear()
        await message(scenario, 1, SAILOR, KEEPER)
        assert scenario.received == []
        await message(scenario, 2, SAILOR, account)
        (event,) = scenario.received
        assert isinstance(event, e.MessageReceived)
        assert (event.account, event.channel, event.other_mode) == (account, account, False)
        assert (await scenario.adapter.messages.contact("lighthouse")).account == account
