"""Built-in handling of events of client apps: reactions, caches, channel registry, unread counts."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import NotFoundError, PermissionDeniedError, PostRef, Text
from channel_adapter.domain import events as e
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.webhooks.retry import RetryPolicy
from tests.webhooks.scenario import KEEPER, LIGHTHOUSE, MATE, SAILOR, Scenario, lighthouse, open_scenario

GROUPS = "group_open_http_svc"


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'adapter.db'}"


async def react(scenario: Scenario, user: str, emoji: str, seq: int) -> None:
    pairs = {f"r|{user}": emoji}
    await scenario.act(user, "set_extensions", group_id=LIGHTHOUSE, seq=seq, pairs=pairs)
    await scenario.settle()


async def test_reactions_of_clients_are_merged(tmp_path: Path) -> None:
    async with open_scenario(database_url=database(tmp_path), webhooks={"own_echoes": False}) as scenario:
        await lighthouse(scenario)
        for user in (SAILOR, MATE):
            await scenario.act(user, "join", group_id=LIGHTHOUSE)
        ref = (await scenario.adapter.posts.publish(LIGHTHOUSE, Text("fog"))).ref
        await react(scenario, SAILOR, "👍", ref.seq)
        await react(scenario, MATE, "👍", ref.seq)
        assert (await scenario.adapter.reactions.get(ref)).counts == {"👍": 2}
        await react(scenario, MATE, "❤️", ref.seq)
        assert (await scenario.adapter.reactions.get(ref, MATE)).mine == ("❤️",)
        await scenario.act(SAILOR, "delete_extensions", group_id=LIGHTHOUSE, seq=ref.seq, keys=["r|sailor"])
        await scenario.settle()
        assert (await scenario.adapter.reactions.get(ref)).counts == {"❤️": 1}


async def test_reactions_are_deleted_with_the_post_and_with_the_channel(tmp_path: Path) -> None:
    async with open_scenario(database_url=database(tmp_path)) as scenario:
        await lighthouse(scenario)
        await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
        refs = [(await scenario.adapter.posts.publish(LIGHTHOUSE, Text(text))).ref for text in ("fog", "haze")]
        for ref in refs:
            await react(scenario, SAILOR, "👍", ref.seq)
        await scenario.act(KEEPER, "recall", group_id=LIGHTHOUSE, seq=refs[0].seq)
        await scenario.settle()
        with pytest.raises(NotFoundError):
            await scenario.adapter.reactions.get(refs[0])
        await scenario.other.channels.delete(LIGHTHOUSE)
        await scenario.until(e.ChannelDeleted)
        await scenario.settle()
        assert scenario.receiver.counters.snapshot().get("dead", 0) == 0
        with pytest.raises(NotFoundError):
            await scenario.adapter.reactions.get(refs[1])
    with sqlite3.connect(tmp_path / "adapter.db") as stored:
        assert stored.execute("SELECT * FROM reactions").fetchall() == []


async def test_repeated_and_reordered_events_merge_to_the_same_reactions(tmp_path: Path) -> None:
    async with open_scenario(database_url=database(tmp_path)) as scenario:
        await lighthouse(scenario)
        await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
        ref = (await scenario.adapter.posts.publish(LIGHTHOUSE, Text("fog"))).ref
        scenario.switch(duplicate=1.0, delay_spread=0.05)
        for emoji in ("👍", "❤️", "😂", "👍", "😮"):
            pairs = {f"r|{SAILOR}": emoji}
            await scenario.act(SAILOR, "set_extensions", group_id=LIGHTHOUSE, seq=ref.seq, pairs=pairs)
        await scenario.settle()
        assert (await scenario.adapter.reactions.get(ref, SAILOR)).mine == ("😮",)
        assert len([event for event in scenario.received if isinstance(event, e.ReactionChanged)]) == 5


async def test_user_unsubscribed_in_client_is_removed_from_conversation_group() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        await scenario.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        (group,) = [group async for group in scenario.adapter.unread.groups(SAILOR)]
        assert LIGHTHOUSE in group.channels
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await scenario.settle()
        left = [channel async for group in scenario.adapter.unread.groups(SAILOR) for channel in group.channels]
        assert LIGHTHOUSE not in left


NO_CONTACTS = {"service": "recentcontact", "command": "*"}


async def filed(scenario: Scenario) -> set[str]:
    return {channel async for group in scenario.adapter.unread.groups(SAILOR) for channel in group.channels}


@pytest.mark.parametrize("trouble", [{"code": 60003}, {"status": 503}], ids=["refused", "away"])
async def test_temporary_failure_to_unassign_is_retried(trouble: dict[str, Any]) -> None:
    """The app does not wait for the retry and receives the event once."""
    async with open_scenario(retry=RetryPolicy(3, 0.05), total_seconds=2.0) as scenario:
        await lighthouse(scenario)
        await scenario.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        scenario.stub.faults.replace([Fault.model_validate({**NO_CONTACTS, **trouble})])
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await scenario.until(e.Unsubscribed)
        assert scenario.waiting == 1
        scenario.stub.faults.replace([])
        await scenario.settle()
        assert await filed(scenario) == set()
        assert len([event for event in scenario.received if isinstance(event, e.Unsubscribed)]) == 1


async def test_permanent_failure_to_unassign_becomes_a_dead_letter() -> None:
    async with open_scenario(retry=RetryPolicy(2, 0.01)) as scenario:
        await lighthouse(scenario)
        await scenario.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        scenario.stub.faults.replace([Fault.model_validate({**NO_CONTACTS, "code": 60003})])
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await scenario.settle()
        (letter,) = await scenario.receiver.inbox.dead_letters()
        assert "1 not taken out of the conversation group (sailor)" in letter.reason
        scenario.stub.faults.replace([])
        assert await filed(scenario) == {LIGHTHOUSE}
        assert await scenario.receiver.inbox.retry(letter.key)
        await scenario.receiver.inbox.idle()
        assert await filed(scenario) == set()
        assert len([event for event in scenario.received if isinstance(event, e.Unsubscribed)]) == 1


async def test_post_recalled_by_a_client_is_not_unread() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
        for text in ("fog", "haze"):
            await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body=text)
        assert (await scenario.adapter.unread.get(SAILOR)).badge == 2
        await scenario.act(KEEPER, "recall", group_id=LIGHTHOUSE, seq=1)
        await scenario.settle()
        assert (await scenario.adapter.unread.get(SAILOR)).badge == 1


async def test_conversation_groups_are_unchanged_when_assignment_is_off() -> None:
    async with open_scenario(unread={"assign": False}) as scenario:
        await lighthouse(scenario)
        await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await scenario.until(e.Unsubscribed)
        assert [call.command for call in scenario.stub.log if "contact_group" in call.command] == []


async def test_events_correct_cached_roles_owner_and_channel(tmp_path: Path) -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        await scenario.act(MATE, "join", group_id=LIGHTHOUSE)
        member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
        await scenario.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
        await scenario.adapter.posts.publish(LIGHTHOUSE, Text("fog"), author=MATE)
        await scenario.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Member"})
        await scenario.until(e.RoleChanged, lambda event: event.role == "subscriber")
        with pytest.raises(PermissionDeniedError):
            await scenario.adapter.posts.publish(LIGHTHOUSE, Text("haze"), author=MATE)
        await scenario.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": MATE})
        await scenario.until(e.OwnerChanged)
        assert (await scenario.adapter.posts.publish(LIGHTHOUSE, Text("haze"))).author == MATE
        await scenario.other.channels.delete(LIGHTHOUSE)
        await scenario.until(e.ChannelDeleted)
        with pytest.raises(NotFoundError):
            await scenario.adapter.posts.publish(LIGHTHOUSE, Text("too late"))


async def test_registry_records_channel_changes_posts_and_deletion() -> None:
    async with open_scenario() as scenario:
        known = scenario.adapter.pipeline.registry
        await lighthouse(scenario)
        await scenario.act(KEEPER, "post", group_id=LIGHTHOUSE, body="fog")
        await scenario.other.channels.update(LIGHTHOUSE, name="Light")
        await scenario.settle()
        (channel,) = [each async for each in known]
        assert (channel.id, channel.name, channel.owner) == (LIGHTHOUSE, "Light", KEEPER)
        assert channel.last_post == PostRef(LIGHTHOUSE, 1)
        await scenario.other.channels.delete(LIGHTHOUSE)
        await scenario.settle()
        assert [each async for each in known] == []
        remembered = await known.get(LIGHTHOUSE)
        assert remembered is not None
        assert remembered.deleted_at is not None


async def test_late_event_of_deleted_channel_is_a_channel_event() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        await scenario.other.channels.delete(LIGHTHOUSE)
        await scenario.until(e.ChannelDeleted)
        await scenario.stub.webhooks.trigger("Group.CallbackAfterMemberExit", platform="iOS", GroupId=LIGHTHOUSE)
        assert (await scenario.until(e.Unsubscribed)).channel == LIGHTHOUSE
        scenario.received.clear()
        created = "Group.CallbackAfterCreateGroup"
        await scenario.stub.webhooks.trigger(created, platform="iOS", GroupId=LIGHTHOUSE, EventTime=1_736_000_000_000)
        assert (await scenario.until(e.ChannelCreated)).channel == LIGHTHOUSE


@pytest.mark.parametrize("known", [True, False])
async def test_ordinary_community_under_the_id_of_a_deleted_channel_is_other(known: bool) -> None:
    """A channel or an unknown group was deleted; a Community created later under its id is independent of it."""
    async with open_scenario(webhooks={"other_groups": True, "window_seconds": 600}) as scenario:
        if known:
            await lighthouse(scenario)
        scenario.switch(commands=("Group.CallbackBefore*", "Group.CallbackAfter*"))
        if not known:
            await scenario.stub.webhooks.trigger("Group.CallbackAfterGroupDestroyed", GroupId=LIGHTHOUSE)
        else:
            await scenario.other.channels.delete(LIGHTHOUSE)
        await scenario.until(e.ChannelDeleted)
        scenario.received.clear()
        scenario.stub.world.clock.advance(120)
        scenario.switch(commands=("Group.CallbackBefore*", "Group.CallbackAfterNew*", "Group.CallbackAfterSend*"))
        ordinary = {"Type": "Community", "Name": "Quay", "GroupId": LIGHTHOUSE, "ApplyJoinOption": "FreeAccess"}
        await scenario.other.call(GROUPS, "create_group", ordinary)
        await scenario.act(SAILOR, "join", group_id=LIGHTHOUSE)
        await scenario.act(SAILOR, "post", group_id=LIGHTHOUSE, body="ahoy")  # only staff can post in channels
        assert [type(event) for event in await scenario.settle()] == [e.Other] * 2


async def test_restarted_receiver_confirms_deletion_of_known_channel(tmp_path: Path) -> None:
    url = database(tmp_path)
    async with open_scenario(database_url=url) as scenario:
        await lighthouse(scenario)
    async with open_scenario(database_url=url) as scenario:
        scenario.switch(commands=("Group.CallbackAfterGroupDestroyed",))
        await scenario.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await scenario.other.channels.delete(LIGHTHOUSE)
        assert (await scenario.until(e.ChannelDeleted)).confirmed


async def test_deletion_of_an_unknown_channel_is_not_confirmed() -> None:
    async with open_scenario() as scenario:
        scenario.switch(commands=("Group.CallbackAfterGroupDestroyed",))
        await scenario.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await scenario.other.channels.delete(LIGHTHOUSE)
        deleted = await scenario.until(e.ChannelDeleted)
        assert (deleted.channel, deleted.confirmed) == (LIGHTHOUSE, False)


async def test_impossible_post_or_user_of_an_event_does_not_hide_the_others(tmp_path: Path) -> None:
    options: dict[str, Any] = {"reactions": {"on_unsubscribe": "remove"}}
    async with open_scenario(database_url=database(tmp_path), **options) as scenario:
        await lighthouse(scenario)
        for user in (SAILOR, MATE):
            await scenario.act(user, "join", group_id=LIGHTHOUSE)
        refs = [(await scenario.adapter.posts.publish(LIGHTHOUSE, Text(text))).ref for text in ("fog", "haze")]
        for ref in refs:
            await react(scenario, SAILOR, "👍", ref.seq)
        await react(scenario, MATE, "👍", refs[1].seq)
        about: dict[str, Any] = {"GroupId": LIGHTHOUSE, "Type": "Community"}
        numbers = [{"MsgSeq": number} for number in (2**40, 0, refs[0].seq)]
        await scenario.stub.webhooks.trigger("Group.CallbackAfterRecallMsg", **about, MsgSeqList=numbers)
        users = [{"Member_Account": user} for user in ("x" * 40, SAILOR)]
        await scenario.stub.webhooks.trigger("Group.CallbackAfterMemberExit", **about, ExitType="Quit",
                                             platform="iOS", Operator_Account=SAILOR, ExitMemberList=users)  # fmt: skip
        await scenario.settle()
        counts = {ref: found.counts for ref, found in (await scenario.adapter.reactions.get_many(refs)).items()}
        assert counts == {refs[0]: {}, refs[1]: {"👍": 1}}
        assert scenario.receiver.counters.snapshot().get("dead", 0) == 0
