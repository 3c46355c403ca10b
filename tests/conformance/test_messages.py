"""One-to-one messages in both modes: the same calls, values and errors."""

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import (
    Article,
    ChannelAdapter,
    ChannelId,
    ConfigurationError,
    Direction,
    Image,
    InvalidError,
    Message,
    MessageRef,
    NotFoundError,
    OutcomeKind,
    PermissionDeniedError,
    Text,
    TextAndImage,
    UserId,
)
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import UnsupportedError
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.tencent.client import Attempt
from tests.conformance.conftest import NO_DATABASE, WITH_DATABASE, OpenVariant, official, on, settings_for

OWNER, DESK, STRANGER = "owner", "help_desk", "stranger"
READERS = [f"reader_{number}" for number in range(12)]


@dataclass(frozen=True)
class Talk:
    """An adapter of one mode with a channel that all readers follow; `account` sends its messages."""

    adapter: ChannelAdapter
    server: StubServer
    mode: Mode
    channel: ChannelId
    account: str
    calls: list[Attempt]

    async def texts(self, user: str) -> list[object]:
        return [message.content async for message in self.adapter.messages.thread(self.channel, user=user)]

    def reader(self, name: str) -> Any:
        return self.server.world.client(name, "iOS")


@pytest.fixture
async def talk(request: pytest.FixtureRequest, open_variant: OpenVariant) -> AsyncIterator[Talk]:
    calls: list[Attempt] = []
    slug = "harbor_" + "x" * 35  # with its prefix the longest id, 48 bytes
    mode = request.param.mode
    async with open_variant(request.param, limits={"roaming_days": 1}, observer=calls.append) as opened:
        adapter, server = opened.adapter, opened.server
        assert server is not None
        await adapter.accounts.add([OWNER, DESK, STRANGER, *READERS])
        channel = await adapter.channels.create(slug=slug, name="Harbour", owner=OWNER)
        assert (await adapter.subscriptions.subscribe(channel.id, READERS)).complete
        account = OWNER if mode is Mode.COMMUNITY else channel.id
        assert len(channel.id) == 48
        calls.clear()
        yield Talk(adapter, server, mode, channel.id, account, calls)


async def test_message_is_sent_read_edited_and_recalled(talk: Talk) -> None:
    messages, (reader, *_) = talk.adapter.messages, READERS
    sent = await messages.send(talk.channel, user=reader, content=Text("welcome"))
    assert (sent.channel, sent.user, sent.direction, sent.content, sent.recalled, sent.read) == (
        talk.channel, reader, Direction.SENT, Text("welcome"), False, False,
    )  # fmt: skip
    assert [message async for message in messages.thread(talk.channel, user=reader)] == [sent]
    talk.reader(reader).send(talk.account, "thank you")
    assert sorted(await talk.texts(reader), key=str) == [Text("thank you"), Text("welcome")]
    assert await messages.unread(talk.channel) == 1
    await messages.mark_read(talk.channel, user=reader)
    assert await messages.unread(talk.channel) == 0
    await messages.edit(sent.ref, [Text("welcome aboard"), Image("https://s.example/p.png")])
    picture = TextAndImage("welcome aboard", Image("https://s.example/p.png"))
    found = {message.key: message async for message in messages.thread(talk.channel, user=reader)}
    assert found[sent.key].content == picture
    for _ in range(2):  # repetition changes nothing
        await messages.recall(sent.ref)
    found = {message.key: message async for message in messages.thread(talk.channel, user=reader)}
    assert (found[sent.key].recalled, found[sent.key].parts) == (True, ())


async def test_message_may_be_an_article(talk: Talk) -> None:
    article = Article("Tides", "of the week", "https://s.example/tides")
    assert (await talk.adapter.messages.send(talk.channel, user=READERS[0], content=article)).content == article
    assert await talk.texts(READERS[0]) == [article]


async def test_idempotency_key_sends_once_to_each_user(talk: Talk) -> None:
    send = talk.adapter.messages.send
    for _ in range(2):
        for reader in READERS[:2]:
            await send(talk.channel, user=reader, content=Text("welcome"), idempotency_key="welcome")
    for reader in READERS[:2]:
        assert await talk.texts(reader) == [Text("welcome")]


async def test_long_thread_is_read_in_pages_newest_first(talk: Talk) -> None:
    for number in range(130):
        talk.server.world.clock.advance(1)
        await talk.adapter.messages.send(talk.channel, user=READERS[0], content=Text(f"message {number}"))
    talk.calls.clear()
    assert await talk.texts(READERS[0]) == [Text(f"message {number}") for number in range(129, -1, -1)]
    assert 2 <= len(talk.calls) <= 5  # the service limits a page to 13 KB


async def test_thread_ends_at_retention_limit_of_the_service(talk: Talk) -> None:
    day, clock, send = 86_400, talk.server.world.clock, talk.adapter.messages.send
    clock.advance(-2 * day)
    await send(talk.channel, user=READERS[0], content=Text("two days ago"))
    clock.advance(1.5 * day)
    await send(talk.channel, user=READERS[0], content=Text("half a day ago"))
    clock.advance(day / 2)
    assert await talk.texts(READERS[0]) == [Text("half a day ago")]


async def test_send_many_returns_one_outcome_per_user(talk: Talk) -> None:
    users = [*READERS, "nobody_7", READERS[0]]
    outcomes = await talk.adapter.messages.send_many(talk.channel, users, Text("the ferry is cancelled"))
    assert outcomes.counts == {
        OutcomeKind.SENT: len(READERS), OutcomeKind.NOT_FOUND: 1, OutcomeKind.ALREADY: 1,
    }  # fmt: skip
    assert [await talk.texts(reader) for reader in READERS] == [[Text("the ferry is cancelled")]] * len(READERS)
    assert len([call for call in talk.calls if call.command == "batchsendmsg"]) == 1


@on(WITH_DATABASE)
async def test_messages_to_many_users_are_in_the_list_of_threads(talk: Talk) -> None:
    """No webhook reports them."""
    messages, text = talk.adapter.messages, Text("the ferry is cancelled")
    await messages.send_many(talk.channel, [*READERS[:3], "nobody_7"], text)
    threads = [thread async for thread in messages.threads(talk.channel)]
    assert sorted((thread.user, thread.unread, thread.last.content) for thread in threads) == [
        (reader, 0, text) for reader in READERS[:3]
    ]
    assert [message async for message in messages.thread(talk.channel, user=threads[0].user)] == [threads[0].last]


async def test_repeated_users_of_a_stream_receive_one_message(talk: Talk) -> None:
    async def users() -> AsyncIterator[str]:
        for _ in range(300):
            for reader in (*READERS, "not\nvalid"):
                yield reader

    stream = talk.adapter.messages.send_many_stream(talk.channel, users(), Text("once"))
    kinds = [outcome.kind async for outcome in stream]
    assert len(kinds) == 300 * (len(READERS) + 1)
    assert kinds.count(OutcomeKind.SENT) == len(READERS)
    assert kinds.count(OutcomeKind.INVALID) == 1
    assert await talk.texts(READERS[0]) == [Text("once")]


async def test_message_to_non_subscriber_is_refused_in_official_mode(talk: Talk) -> None:
    """Messages of official accounts reach subscribers only; in Communities any account can receive them."""
    messages = talk.adapter.messages
    if talk.mode is Mode.COMMUNITY:
        await messages.send(talk.channel, user=STRANGER, content=Text("hello"))
        return
    with pytest.raises(PermissionDeniedError, match=f"'{STRANGER}' does not follow {talk.channel}") as caught:
        await messages.send(talk.channel, user=STRANGER, content=Text("hello"))
    assert (caught.value.code, caught.value.field) == (130002, "user")
    (outcome,) = await messages.send_many(talk.channel, [STRANGER], Text("hello"))
    assert outcome.kind is OutcomeKind.REFUSED
    assert "neither subscribed" in outcome.reason


WRONG: list[tuple[str, Any, str, str]] = [
    ("", Text("x"), "user", "user is empty"),
    ("@TOA#_" + "y" * 42, Text("x"), "user", "is the id of a channel"),
    ("@TGS#_news", Text("x"), "user", "is the id of a channel"),
    ("y" * 33, Text("x"), "user", "33 bytes; 32 are allowed"),
    (READERS[0], Text(""), "text", "text is empty"),
    (READERS[0], Text("x" * 12_289), "content", "12341 bytes .* 12000 are allowed"),
    (READERS[0], [], "content", "at least one part"),
    (READERS[0], "text", "content", "cannot publish a str"),
]


async def test_invalid_messages_are_refused_before_a_call(talk: Talk) -> None:
    for user, content, field, says in WRONG:
        with pytest.raises(InvalidError, match=says) as caught:
            await talk.adapter.messages.send(talk.channel, user=user, content=content)
        assert caught.value.field == field
    assert [call for call in talk.calls if "msg" in call.command] == []


async def test_content_and_users_of_bulk_call_are_checked_first(talk: Talk) -> None:
    send_many: Any = talk.adapter.messages.send_many
    for users, content, field in (
        (READERS, Text("x" * 12_289), "content"),
        ([*READERS, ""], Text("x"), "users"),
        (READERS[0], Text("x"), "users"),
        (None, Text("x"), "users"),
    ):
        with pytest.raises(InvalidError) as caught:
            await send_many(talk.channel, users, content)
        assert caught.value.field == field
    assert [call for call in talk.calls if call.command == "batchsendmsg"] == []
    assert len(await send_many(talk.channel, [], Text("x"))) == 0


async def test_unknown_accounts_and_channels_are_named(talk: Talk) -> None:
    messages = talk.adapter.messages
    with pytest.raises(NotFoundError, match="user 'nobody_7' is not an account") as caught:
        await messages.send(talk.channel, user="nobody_7", content=Text("hello"))
    assert caught.value.field == "user"
    for call in (messages.unread("no_such"), messages.mark_read("no_such", user=READERS[0])):
        with pytest.raises(NotFoundError, match="there is no channel") as caught:
            await call
        assert caught.value.field == "channel"
    with pytest.raises(NotFoundError, match="there is no channel"):
        await messages.send("no_such", user=READERS[0], content=Text("hello"))
    with pytest.raises(NotFoundError, match="there is no channel"):
        await messages.send_many("no_such", READERS, Text("hello"))
    for reading in (messages.thread(talk.channel, user="nobody_7"),):
        with pytest.raises(NotFoundError, match="user 'nobody_7' is not an account"):
            [message async for message in reading]
    with pytest.raises(NotFoundError, match="user 'nobody_7' is not an account"):
        await messages.mark_read(talk.channel, user="nobody_7")


async def test_account_of_the_channel_is_refused_as_recipient(talk: Talk) -> None:
    says = "is the id of a channel" if talk.mode is Mode.OFFICIAL else "sends the messages"
    with pytest.raises(InvalidError, match=says) as caught:
        await talk.adapter.messages.send(talk.channel, user=talk.account, content=Text("hello"))
    assert caught.value.field == "user"
    if talk.mode is Mode.OFFICIAL:
        return
    outcomes = await talk.adapter.messages.send_many(talk.channel, [OWNER, READERS[0]], Text("hello"))
    assert {outcome.user: outcome.kind for outcome in outcomes} == {
        OWNER: OutcomeKind.INVALID, READERS[0]: OutcomeKind.SENT,
    }  # fmt: skip


async def test_messages_not_sent_by_the_channel_cannot_be_changed(talk: Talk) -> None:
    messages, reader = talk.adapter.messages, UserId(READERS[0])
    talk.reader(reader).send(talk.account, "from a reader")
    (received,) = [message async for message in messages.thread(talk.channel, user=reader)]
    assert received.direction is Direction.RECEIVED
    for ref in (received.ref, MessageRef(talk.channel, reader, "1_2_3")):
        for change in (messages.recall(ref), messages.edit(ref, Text("changed"))):
            with pytest.raises(NotFoundError, match=f"has sent no message {ref.key}") as caught:
                await change
            assert caught.value.field == "key"
    assert await talk.texts(reader) == [Text("from a reader")]


async def test_messages_of_the_account_of_another_channel_cannot_be_changed(talk: Talk) -> None:
    messages, reader = talk.adapter.messages, UserId(READERS[0])
    other = await talk.adapter.channels.create(slug="other", name="Other", owner=DESK)
    await talk.adapter.subscriptions.subscribe(other.id, [reader])
    sent = await messages.send(other.id, user=reader, content=Text("of the other channel"))
    ref = MessageRef(talk.channel, reader, sent.key)
    for change in (messages.recall(ref), messages.edit(ref, Text("changed"))):
        with pytest.raises(NotFoundError, match=f"channel {talk.channel} has sent no message {ref.key} to '{reader}'"):
            await change
    assert [message async for message in messages.thread(other.id, user=reader)] == [sent]
    assert await talk.texts(reader) == []


async def test_invalid_references_are_refused(talk: Talk) -> None:
    recall: Any = talk.adapter.messages.recall
    message = Message(
        channel=talk.channel, user=UserId(READERS[0]), key="1_2_3", direction=Direction.SENT, parts=(), sent_at=None
    )
    other = "@TGS#_news" if talk.mode is Mode.OFFICIAL else "@TOA#_news"
    for ref, field, says in (
        (message, "ref", "pass its ref"),
        ("1_2_3", "ref", "must be a MessageRef; got a str"),
        (MessageRef(talk.channel, UserId(READERS[0]), "12"), "key", "SEQ_RANDOM_SECONDS"),
        (MessageRef(ChannelId(other), UserId(READERS[0]), "1_2_3"), "channel", other),
    ):
        with pytest.raises(InvalidError, match=says) as caught:
            await recall(ref)
        assert caught.value.field == field


@on(dict.fromkeys(Mode, (NO_DATABASE,)))
async def test_list_of_threads_needs_a_database(talk: Talk) -> None:
    with pytest.raises(ConfigurationError, match="database_url") as caught:
        talk.adapter.messages.threads(talk.channel)
    assert caught.value.field == "database_url"


async def test_contact_sends_instead_of_the_owner(talk: Talk, caplog: pytest.LogCaptureFixture) -> None:
    update, messages = talk.adapter.channels.update, talk.adapter.messages
    assert (await messages.contact(talk.channel)).account == talk.account
    if talk.mode is Mode.OFFICIAL:
        talk.calls.clear()
        with pytest.raises(UnsupportedError, match="unsupported in official mode: channels"):
            await update(talk.channel, contact=DESK)
        assert talk.calls == []
        assert not talk.adapter.can.contacts
        return
    with pytest.raises(NotFoundError, match="'nobody_7' is not an account") as caught:
        await update(talk.channel, contact="nobody_7", name="Renamed")
    assert caught.value.field == "contact"
    assert (await talk.adapter.channels.get(talk.channel)).name == "Harbour"
    assert (await update(talk.channel, contact=DESK)).contact == DESK
    await messages.send(talk.channel, user=READERS[0], content=Text("from the desk"))
    assert talk.reader(READERS[0]).unread_messages(DESK) == 1
    assert talk.reader(READERS[0]).unread_messages(OWNER) == 0
    second = await talk.adapter.channels.create(slug="second", name="Second", owner=OWNER)
    with caplog.at_level(logging.WARNING, "channel_adapter.messages"):
        await update("second", contact=DESK)
    assert "contact_is_shared" in caplog.text
    assert (await messages.contact("second")).shared_with == (talk.channel,)
    caplog.clear()
    with caplog.at_level(logging.WARNING, "channel_adapter.messages"):
        assert (await update("second", contact="")).contact is None
    assert "contact_is_shared" not in caplog.text
    assert (await messages.contact("second")).account == second.owner


async def test_unread_of_official_account_without_service_counts_needs_database(tmp_path: Path) -> None:
    stub = StubSettings.model_validate({"behaviour": {"official_account_reads": False}})
    async with StubServer(stub) as server:
        for url in (None, f"sqlite:///{tmp_path}/messages.db"):
            settings = official(settings_for(server), url)
            async with ChannelAdapter.open(settings) as adapter:
                await adapter.accounts.add([OWNER, READERS[0]])
                await adapter.channels.create(slug="news", name="News", owner=OWNER)
                if url is None:
                    with pytest.raises(ConfigurationError, match="database_url"):
                        await adapter.messages.unread("news")
                else:
                    assert await adapter.messages.unread("news") == 0
                with pytest.raises(NotFoundError, match="@TOA#_news: the service does not accept an official"):
                    await adapter.messages.mark_read("news", user=READERS[0])


async def test_plan_without_official_accounts_raises_configuration_error(talk: Talk) -> None:
    talk.server.faults.replace([Fault(command="*sendmsg", code=131000)])
    with pytest.raises(ConfigurationError, match="plan Enterprise") as caught:
        await talk.adapter.messages.send(talk.channel, user=READERS[0], content=Text("hello"))
    assert caught.value.code == 131000
    with pytest.raises(ConfigurationError, match="plan Enterprise"):
        await talk.adapter.messages.send_many(talk.channel, READERS, Text("hello"))
