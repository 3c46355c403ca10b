"""What the adapter itself does about events of phones: reactions, memories, the directory, unread counts."""

from pathlib import Path
from typing import Any

import pytest

from channel_adapter import NotFoundError, PermissionDeniedError, PostRef, Text
from channel_adapter.domain import events as e
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.webhooks.inbox import RetryPolicy
from tests.webhooks.harbour import KEEPER, LIGHTHOUSE, MATE, SAILOR, Harbour, harbour, lighthouse

GROUPS = "group_open_http_svc"


def database(folder: Path) -> str:
    return f"sqlite:///{folder / 'adapter.db'}"


async def react(sea: Harbour, user: str, emoji: str, seq: int) -> None:
    pairs = {f"r|{user}": emoji}
    await sea.phone(user, "set_extensions", group_id=LIGHTHOUSE, seq=seq, pairs=pairs)
    await sea.settle()


async def test_reactions_of_clients_are_merged(tmp_path: Path) -> None:
    async with harbour(database_url=database(tmp_path), webhooks={"own_echoes": False}) as sea:
        await lighthouse(sea)
        for user in (SAILOR, MATE):
            await sea.phone(user, "join", group_id=LIGHTHOUSE)
        ref = (await sea.adapter.posts.publish(LIGHTHOUSE, Text("fog"))).ref
        await react(sea, SAILOR, "👍", ref.seq)
        await react(sea, MATE, "👍", ref.seq)
        assert (await sea.adapter.reactions.get(ref)).counts == {"👍": 2}
        await react(sea, MATE, "❤️", ref.seq)
        assert (await sea.adapter.reactions.get(ref, MATE)).mine == ("❤️",)
        await sea.phone(SAILOR, "delete_extensions", group_id=LIGHTHOUSE, seq=ref.seq, keys=["r|sailor"])
        await sea.settle()
        assert (await sea.adapter.reactions.get(ref)).counts == {"❤️": 1}


async def test_reactions_are_deleted_with_the_post_and_the_channel(tmp_path: Path) -> None:
    async with harbour(database_url=database(tmp_path)) as sea:
        await lighthouse(sea)
        await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
        refs = [(await sea.adapter.posts.publish(LIGHTHOUSE, Text(text))).ref for text in ("fog", "haze")]
        for ref in refs:
            await react(sea, SAILOR, "👍", ref.seq)
        await sea.phone(KEEPER, "recall", group_id=LIGHTHOUSE, seq=refs[0].seq)
        await sea.settle()
        with pytest.raises(NotFoundError):
            await sea.adapter.reactions.get(refs[0])
        await sea.other.channels.delete(LIGHTHOUSE)
        await sea.until(e.ChannelDeleted)
        assert sea.receiver.counters.snapshot().get("dead", 0) == 0


async def test_repeats_and_disorder_merge_to_the_same_reactions(tmp_path: Path) -> None:
    async with harbour(database_url=database(tmp_path)) as sea:
        await lighthouse(sea)
        await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
        ref = (await sea.adapter.posts.publish(LIGHTHOUSE, Text("fog"))).ref
        sea.switch(duplicate=1.0, delay_spread=0.05)
        for emoji in ("👍", "❤️", "😂", "👍", "😮"):
            pairs = {f"r|{SAILOR}": emoji}
            await sea.phone(SAILOR, "set_extensions", group_id=LIGHTHOUSE, seq=ref.seq, pairs=pairs)
        await sea.settle()
        assert (await sea.adapter.reactions.get(ref, SAILOR)).mine == ("😮",)
        assert len([event for event in sea.heard if isinstance(event, e.ReactionChanged)]) == 5


async def test_user_who_unsubscribes_in_a_client_is_unassigned() -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        await sea.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        (group,) = [group async for group in sea.adapter.unread.groups(SAILOR)]
        assert LIGHTHOUSE in group.channels
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await sea.settle()
        left = [channel async for group in sea.adapter.unread.groups(SAILOR) for channel in group.channels]
        assert LIGHTHOUSE not in left


NO_CONTACTS = {"service": "recentcontact", "command": "*"}


async def filed(sea: Harbour) -> set[str]:
    return {channel async for group in sea.adapter.unread.groups(SAILOR) for channel in group.channels}


@pytest.mark.parametrize("trouble", [{"code": 60003}, {"status": 503}], ids=["refused", "away"])
async def test_temporary_failure_to_unassign_is_retried(trouble: dict[str, Any]) -> None:
    """The app does not wait for that, and hears of it once."""
    async with harbour(retry=RetryPolicy(3, 0.05), total_seconds=2.0) as sea:
        await lighthouse(sea)
        await sea.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        sea.stub.faults.replace([Fault.model_validate({**NO_CONTACTS, **trouble})])
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await sea.until(e.Unsubscribed)
        assert sea.waiting == 1
        sea.stub.faults.replace([])
        await sea.settle()
        assert await filed(sea) == set()
        assert len([event for event in sea.heard if isinstance(event, e.Unsubscribed)]) == 1


async def test_permanent_failure_to_unassign_is_a_dead_letter() -> None:
    async with harbour(retry=RetryPolicy(2, 0.01)) as sea:
        await lighthouse(sea)
        await sea.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])
        sea.stub.faults.replace([Fault.model_validate({**NO_CONTACTS, "code": 60003})])
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await sea.settle()
        (letter,) = await sea.receiver.inbox.dead_letters()
        assert "1 not taken out of the conversation group (sailor)" in letter.reason
        sea.stub.faults.replace([])
        assert await filed(sea) == {LIGHTHOUSE}
        assert await sea.receiver.inbox.retry(letter.key)
        await sea.receiver.inbox.idle()
        assert await filed(sea) == set()
        assert len([event for event in sea.heard if isinstance(event, e.Unsubscribed)]) == 1


async def test_post_recalled_by_a_client_is_not_unread() -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
        for text in ("fog", "haze"):
            await sea.phone(KEEPER, "post", group_id=LIGHTHOUSE, body=text)
        assert (await sea.adapter.unread.get(SAILOR)).badge == 2
        await sea.phone(KEEPER, "recall", group_id=LIGHTHOUSE, seq=1)
        await sea.settle()
        assert (await sea.adapter.unread.get(SAILOR)).badge == 1


async def test_no_conversation_group_is_changed_when_assignment_is_off() -> None:
    async with harbour(unread={"assign": False}) as sea:
        await lighthouse(sea)
        await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await sea.until(e.Unsubscribed)
        assert [call.command for call in sea.stub.log if "contact_group" in call.command] == []


async def test_caches_are_corrected(tmp_path: Path) -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        await sea.phone(MATE, "join", group_id=LIGHTHOUSE)
        member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
        await sea.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Admin"})
        await sea.adapter.posts.publish(LIGHTHOUSE, Text("fog"), author=MATE)
        await sea.other.call(GROUPS, "modify_group_member_info", {**member, "Role": "Member"})
        await sea.until(e.RoleChanged, lambda event: event.role == "subscriber")
        with pytest.raises(PermissionDeniedError):
            await sea.adapter.posts.publish(LIGHTHOUSE, Text("haze"), author=MATE)
        await sea.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": MATE})
        await sea.until(e.OwnerChanged)
        assert (await sea.adapter.posts.publish(LIGHTHOUSE, Text("haze"))).author == MATE
        await sea.other.channels.delete(LIGHTHOUSE)
        await sea.until(e.ChannelDeleted)
        with pytest.raises(NotFoundError):
            await sea.adapter.posts.publish(LIGHTHOUSE, Text("too late"))


async def test_the_directory_of_channels() -> None:
    async with harbour() as sea:
        known = sea.adapter.pipeline.registry
        await lighthouse(sea)
        await sea.phone(KEEPER, "post", group_id=LIGHTHOUSE, body="fog")
        await sea.other.channels.update(LIGHTHOUSE, name="Light")
        await sea.settle()
        (channel,) = [each async for each in known]
        assert (channel.id, channel.name, channel.owner) == (LIGHTHOUSE, "Light", KEEPER)
        assert channel.last_post == PostRef(LIGHTHOUSE, 1)
        await sea.other.channels.delete(LIGHTHOUSE)
        await sea.settle()
        assert [each async for each in known] == []
        remembered = await known.get(LIGHTHOUSE)
        assert remembered is not None
        assert remembered.deleted_at is not None


async def test_a_late_event_of_a_deleted_channel_is_still_one_of_a_channel() -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        await sea.other.channels.delete(LIGHTHOUSE)
        await sea.until(e.ChannelDeleted)
        await sea.stub.webhooks.trigger("Group.CallbackAfterMemberExit", platform="iOS", GroupId=LIGHTHOUSE)
        assert (await sea.until(e.Unsubscribed)).channel == LIGHTHOUSE
        sea.heard.clear()
        created = "Group.CallbackAfterCreateGroup"
        await sea.stub.webhooks.trigger(created, platform="iOS", GroupId=LIGHTHOUSE, EventTime=1_736_000_000_000)
        assert (await sea.until(e.ChannelCreated)).channel == LIGHTHOUSE


@pytest.mark.parametrize("known", [True, False])
async def test_an_ordinary_community_under_the_id_of_what_is_gone(known: bool) -> None:
    """A channel was deleted, or a group that nobody here knew; what is made there afterwards is its own thing."""
    async with harbour(webhooks={"other_groups": True, "window_seconds": 600}) as sea:
        if known:
            await lighthouse(sea)
        sea.switch(commands=("Group.CallbackBefore*", "Group.CallbackAfter*"))
        if not known:
            await sea.stub.webhooks.trigger("Group.CallbackAfterGroupDestroyed", GroupId=LIGHTHOUSE)
        else:
            await sea.other.channels.delete(LIGHTHOUSE)
        await sea.until(e.ChannelDeleted)
        sea.heard.clear()
        sea.stub.world.clock.advance(120)
        sea.switch(commands=("Group.CallbackBefore*", "Group.CallbackAfterNew*", "Group.CallbackAfterSend*"))
        ordinary = {"Type": "Community", "Name": "Quay", "GroupId": LIGHTHOUSE, "ApplyJoinOption": "FreeAccess"}
        await sea.other.call(GROUPS, "create_group", ordinary)
        await sea.phone(SAILOR, "join", group_id=LIGHTHOUSE)
        await sea.phone(SAILOR, "post", group_id=LIGHTHOUSE, body="ahoy")  # only staff posts in channels
        assert [type(event) for event in await sea.settle()] == [e.Other] * 2


async def test_restarted_receiver_knows_the_channels(tmp_path: Path) -> None:
    url = database(tmp_path)
    async with harbour(database_url=url) as sea:
        await lighthouse(sea)
    async with harbour(database_url=url) as sea:
        sea.switch(commands=("Group.CallbackAfterGroupDestroyed",))
        await sea.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await sea.other.channels.delete(LIGHTHOUSE)
        assert (await sea.until(e.ChannelDeleted)).confirmed


async def test_deletion_of_an_unknown_channel_is_not_confirmed() -> None:
    async with harbour() as sea:
        sea.switch(commands=("Group.CallbackAfterGroupDestroyed",))
        await sea.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await sea.other.channels.delete(LIGHTHOUSE)
        deleted = await sea.until(e.ChannelDeleted)
        assert (deleted.channel, deleted.confirmed) == (LIGHTHOUSE, False)
