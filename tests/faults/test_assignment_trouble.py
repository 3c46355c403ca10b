"""Assignments and syncs of conversation groups that are full, deleted, refused, or changed by other processes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from channel_adapter import AssignmentStatus as Status
from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    GroupAssignment,
    NotFoundError,
    OutcomeKind,
    RefusedError,
    UnavailableError,
)
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.config.settings import UnreadSettings
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_adapter_trouble import USERS, Calls, opened, settings
from tests.faults.test_unread_trouble import channels_on, grouped

ANN, BEN = USERS[:2]
GROUPS = "group_open_http_svc"


class HastyClock(SystemClock):
    """A clock that shortens waits between attempts."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.01))


async def test_edition_without_conversation_groups_is_unsupported() -> None:
    calls = Calls()
    async with opened({"app": {"conversation_groups": False}}, calls) as (adapter, _):
        (channel,) = await channels_on(adapter, 1)
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:3])
        assert outcomes.complete
        assert outcomes.assignments == {Status.UNSUPPORTED: 3}
        calls.clear()
        left = await adapter.subscriptions.unsubscribe(channel, USERS[:3])
        assert (left.complete, left.assignments) == (True, {Status.UNSUPPORTED: 3})
        assert "update_contact_group" not in calls  # the adapter caches this for some time
        assert (await adapter.unread.get(ANN)).badge == 0
        with pytest.raises(ConfigurationError, match="edition"):
            await adapter.unread.sync(ANN)
        with pytest.raises(ConfigurationError):
            await anext(adapter.unread.sync_many_stream([ANN]))


async def test_full_group_never_blocks_a_subscription() -> None:
    async with opened({"limits": {"grouped_conversations": 3}}) as (adapter, server):
        channels = await channels_on(adapter, 5)
        found = await adapter.subscriptions.follow(ANN, channels)
        assert all(each.done for each in found)
        assert [each.assignment.status for each in found if each.assignment] == [
            *[Status.ASSIGNED] * 3,
            *[Status.FULL] * 2,
        ]
        (outcome,) = await adapter.subscriptions.subscribe(channels[4], [ANN])
        assert (outcome.kind, outcome.assignment and outcome.assignment.status) == (
            OutcomeKind.ALREADY,
            Status.FULL,
        )
        done = await adapter.unread.sync(ANN)
        assert ({channel for channel, _ in done.failed}, done.changed) == (set(channels[3:]), False)
        await adapter.subscriptions.unsubscribe(channels[0], [ANN])
        (added,) = (await adapter.unread.sync(ANN)).added
        assert added in channels[3:]
        reader = server.world.client(BEN)
        for number in range(20):
            reader.file(f"mine {number}", [channels[0]])
        (outcome,) = await adapter.subscriptions.subscribe(channels[1], [BEN])
        assert (outcome.kind, outcome.assignment and outcome.assignment.status) == (
            OutcomeKind.ADDED,
            Status.FULL,
        )


async def test_full_group_requires_few_calls_and_keeps_existing_assignments() -> None:
    calls = Calls()
    async with opened({"limits": {"grouped_conversations": 3}}, calls) as (adapter, server):
        channels = await channels_on(adapter, 60)
        await adapter.subscriptions.follow(ANN, channels[:2])
        server.world.client(ANN).join(channels[59])
        server.world.client(ANN).file("mine", [channels[59]])
        calls.clear()
        found = await adapter.subscriptions.follow(ANN, [*channels[2:58], *channels[:2]])
        kinds = [each.assignment.status for each in found if each.assignment]
        assert kinds == [*[Status.FULL] * 56, *[Status.ASSIGNED] * 2]
        assert calls["update_contact_group"] <= 7  # 58 of them, then half of these, and so on
        calls.clear()
        done = await adapter.unread.sync(ANN)
        assert (done.added, len(done.failed)) == ((channels[59],), 56)  # already in another group: uses no space
        assert calls["update_contact_group"] <= 12


async def test_unanswered_assignment_is_reported_as_failed() -> None:
    calls = Calls()
    async with StubServer() as server:
        adapter = ChannelAdapter.open(settings(server, call_seconds=0.3), clock=HastyClock(), observer=calls)
        async with adapter:
            await adapter.accounts.add(["owner", *USERS])
            (channel,) = await channels_on(adapter, 1)
            server.faults.replace([Fault(service="recentcontact", code=50004)])
            outcomes = await adapter.subscriptions.subscribe(channel, USERS)
            assert (outcomes.complete, outcomes.assignments) == (True, {Status.FAILED: 40})
            assert all(each.assignment and "again" in each.assignment.reason for each in outcomes)


async def test_repeated_subscription_completes_the_assignment() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        server.faults.replace([Fault(command="create_contact_group", nth=(1,), code=50003)])
        (outcome,) = await adapter.subscriptions.subscribe(channel, [ANN])
        assert (outcome.kind, outcome.assignment and outcome.assignment.status) == (
            OutcomeKind.ADDED,
            Status.FAILED,
        )
        (outcome,) = await adapter.subscriptions.subscribe(channel, [ANN])
        assert (outcome.kind, outcome.assignment and outcome.assignment.status) == (
            OutcomeKind.ALREADY,
            Status.ASSIGNED,
        )
        assert await grouped(adapter, ANN) == {channel}


async def test_call_over_the_user_limit_skips_assignment() -> None:
    calls = Calls()
    async with opened({}, calls, unread=UnreadSettings(assign_up_to=5)) as (adapter, _):
        (channel,) = await channels_on(adapter, 1)
        calls.clear()
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:6])
        assert (outcomes.complete, outcomes.assignments) == (True, {Status.LEFT_OUT: 6})
        assert all(each.assignment and "sync_many" in each.assignment.reason for each in outcomes)
        assert "get_contact_group" not in calls

        async def stream() -> AsyncIterator[str]:
            for user in USERS[:8]:
                yield user

        outcomes = await adapter.subscriptions.subscribe(channel, stream())
        assert outcomes.assignments == {Status.ASSIGNED: 5, Status.LEFT_OUT: 3}
        for count, assigned in ((5, {Status.ASSIGNED: 5}), (6, {Status.LEFT_OUT: 6})):
            outcomes = await adapter.subscriptions.subscribe(channel, (user for user in USERS[:count]))
            assert outcomes.assignments == assigned
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:6], assign=True)
        assert outcomes.assignments == {Status.ASSIGNED: 6}
        outcomes = await adapter.subscriptions.unsubscribe(channel, USERS[:6])
        assert outcomes.assignments == {Status.LEFT_OUT: 6}


async def test_assignment_can_be_disabled_and_requested_per_call() -> None:
    calls = Calls()
    async with opened({}, calls, unread=UnreadSettings(assign=False, name="频道")) as (adapter, _):
        one, two = await channels_on(adapter, 2)
        (outcome,) = await adapter.subscriptions.subscribe(one, [ANN])
        assert outcome.assignment is None
        assert [each.assignment for each in await adapter.subscriptions.follow(BEN, [one, two])] == [None, None]
        assert not {"get_contact_group", "create_contact_group"} & calls.keys()
        await adapter.subscriptions.subscribe(one, [ANN], assign=True)
        assert [(each.name, each.channels) async for each in adapter.unread.groups(ANN)] == [("频道", (one,))]


async def test_assignment_requires_documented_number_of_calls() -> None:
    """Calls: two for a new user, one for a known user; one update of 100 for many channels; none if assigned."""
    calls = Calls()
    async with opened({}, calls) as (adapter, server):
        channels = await channels_on(adapter, 4)
        calls.clear()
        await adapter.subscriptions.subscribe(channels[0], USERS[:3])
        assert (calls["get_contact_group"], calls["create_contact_group"], calls["update_contact_group"]) == (3, 3, 0)
        calls.clear()
        await adapter.subscriptions.subscribe(channels[1], USERS[:3])
        assert (calls["get_contact_group"], calls["create_contact_group"], calls["update_contact_group"]) == (0, 0, 3)
        calls.clear()
        await adapter.subscriptions.follow(ANN, channels)
        assert (calls["get_contact_group"], calls["create_contact_group"], calls["update_contact_group"]) == (0, 0, 1)
        calls.clear()
        async with ChannelAdapter.open(settings(server), observer=calls) as another:
            outcomes = await another.subscriptions.subscribe(channels[0], [ANN])
        assert outcomes.assignments == {Status.ASSIGNED: 1}
        assert (calls["get_contact_group"], calls["create_contact_group"], calls["update_contact_group"]) == (1, 0, 0)


@pytest.mark.parametrize("duplicate", ["refuse", "merge"])
async def test_concurrent_assignments_by_two_processes_share_one_group(duplicate: str) -> None:
    async with opened({"behaviour": {"contact_group_duplicate": duplicate}}) as (one, server):
        channels = await channels_on(one, 12)
        server.faults.replace([Fault(service="recentcontact", delay=0.005)])
        async with ChannelAdapter.open(settings(server)) as two:
            for adapter in (one, two):
                await adapter.accounts.check([ANN])
            outcomes = await asyncio.gather(
                *(
                    adapter.subscriptions.subscribe(channel, USERS[:4])
                    for adapter, part in ((one, channels[:6]), (two, channels[6:]))
                    for channel in part
                )
            )
        assert all(each.assignments == {Status.ASSIGNED: 4} for each in outcomes)
        for user in USERS[:4]:
            book = server.world.state.contacts[user]
            assert list(book.groups.values()) == ["Channels"]
            assert {peer for _, peer in book.conversations(1)} == set(channels)


async def test_deleted_group_is_created_again() -> None:
    async with opened() as (adapter, server):
        one, two = await channels_on(adapter, 2)
        await adapter.subscriptions.subscribe(one, [ANN])
        server.world.client(ANN).drop_folder("Channels")
        (outcome,) = await adapter.subscriptions.subscribe(two, [ANN])  # known, but deleted
        assert outcome.assignment is not None
        assert outcome.assignment.done
        assert await grouped(adapter, ANN) == {two}


async def test_subscription_during_sync_stays_assigned() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        server.world.client(ANN).join(channel)
        server.world.client(ANN).file("Channels", [channel])
        server.world.client(ANN).leave(channel)
        server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.2)])  # while the entry is checked
        sync = asyncio.ensure_future(adapter.unread.sync(ANN))
        await asyncio.sleep(0.1)
        server.world.client(ANN).join(channel)
        done = await sync
        assert (done.added, done.removed) == ((), ())
        assert await grouped(adapter, ANN) == {channel}


async def test_conversations_added_by_the_user_are_kept_unless_disabled() -> None:
    async with opened({"app": {"group_fields": ["ch_tag"]}}) as (adapter, server):
        one, former = await channels_on(adapter, 2)
        await adapter.subscriptions.follow(ANN, [one, former])
        chat = {"Type": "Community", "GroupId": "@TGS#_rowing", "Name": "Rowing", "Owner_Account": ANN}
        await adapter.call(GROUPS, "create_group", chat)
        club = {"Type": "Public", "GroupId": "club", "Name": "Club", "Owner_Account": ANN}
        await adapter.call(GROUPS, "create_group", club)
        item = {"ContactOptType": 1, "ContactItem": {"Type": 1, "To_Account": BEN}}
        change = {"UpdateGroupType": 2, "OldGroupName": "Channels", "ContactUpdateItem": [item]}
        body = {"From_Account": ANN, "UpdateType": 1, "UpdateGroup": change}
        await adapter.call("recentcontact", "update_contact_group", body)
        server.world.client(ANN).file("Channels", ["@TGS#_rowing", "club"])
        untag = {"GroupId": former, "AppDefinedData": [{"Key": "ch_tag", "Value": "none"}]}
        await adapter.call(GROUPS, "modify_group_base_info", untag)
        adapter.channels.forget()
        done = await adapter.unread.sync(ANN)
        assert (done.added, done.removed, set(done.kept)) == ((), (former,), {BEN, "@TGS#_rowing", "club"})
        again = await adapter.unread.sync(ANN)
        assert (again.changed, set(again.kept)) == (False, {BEN, "@TGS#_rowing", "club"})
        async with ChannelAdapter.open(settings(server, unread=UnreadSettings(keep_by_hand=False))) as strict:
            done = await strict.unread.sync(ANN)
            assert (set(done.removed), done.kept) == ({BEN, "@TGS#_rowing", "club"}, ())
        assert await grouped(adapter, ANN) == {one}


async def test_unassigned_deleted_channel_with_item_code_51007_is_removed() -> None:
    """It is unknown whether removal of an unresolvable conversation returns code 0 or 51007."""
    async with opened({"behaviour": {"contact_group_cleaned": True}}) as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        server.world.client(ANN).leave(channel)  # which removes it from the group here
        server.faults.replace([Fault(command="update_contact_group", fail_items=1, item_code=51007)])
        outcomes = await adapter.unread.unassign(ANN, [channel])
        assert list(outcomes.values()) == [GroupAssignment(Status.TAKEN_OUT)]


async def test_endless_list_of_groups_raises_unavailable() -> None:
    endless = {"CompleteFlag": 0, "NextStartIndex": 100}
    async with opened() as (adapter, server):
        server.faults.replace([Fault(command="get_contact_group", extra=endless)])
        with pytest.raises(UnavailableError, match="the list came back to 100"):
            await adapter.unread.sync(ANN)


async def test_sync_of_many_users_ends_with_a_cursor_when_the_service_fails() -> None:
    async with StubServer() as server:
        adapter = ChannelAdapter.open(settings(server, concurrency=4), clock=HastyClock())
        async with adapter:
            await adapter.accounts.add(["owner", *USERS])
            run = adapter.unread.sync_many_stream(iter(USERS))
            for _ in range(10):
                await anext(run)
            server.faults.replace([Fault(service="recentcontact", code=50004)])
            with pytest.raises(UnavailableError):
                _ = [each async for each in run]
            assert 10 <= run.cursor <= 15
            server.faults.replace([])
            rest = [each async for each in adapter.unread.sync_many_stream(iter(USERS), cursor=run.cursor)]
            assert [each.user for each in rest] == USERS[run.cursor :]


@pytest.mark.parametrize("code", [59999, 50002, 51008])
async def test_refused_user_does_not_end_the_sync_of_many_users(code: int) -> None:
    async with opened(concurrency=1) as (adapter, server):
        server.faults.replace([Fault(command="get_contact_group", nth=(3,), code=code)])
        run = adapter.unread.sync_many_stream(iter(USERS[:6]))
        found = [(each.user, bool(each.error)) async for each in run]
        assert found == [(user, user == USERS[2]) for user in USERS[:6]]
        assert run.cursor == 6


async def test_sync_of_many_users_ends_when_every_user_is_refused() -> None:
    async with opened(concurrency=1) as (adapter, server):
        server.faults.replace([Fault(command="get_contact_group", code=59999)])
        run = adapter.unread.sync_many_stream(iter(USERS))
        with pytest.raises(RefusedError):
            _ = [each async for each in run]
        assert run.cursor == 0


async def test_unknown_user_is_reported_as_unassigned() -> None:
    async with opened() as (adapter, _):
        (channel,) = await channels_on(adapter, 1)
        outcomes = await adapter.unread.unassign("stranger", [channel])
        assert outcomes[channel].status is Status.TAKEN_OUT  # type: ignore[index]
        outcomes = await adapter.unread.assign("stranger", [channel])
        assert outcomes[channel].status is Status.FAILED  # type: ignore[index]
        with pytest.raises(NotFoundError):
            await adapter.unread.remove("stranger")


async def test_sync_of_many_users_returns_one_result_per_user_in_order() -> None:
    async with opened() as (adapter, _):
        one, two = await channels_on(adapter, 2)
        await adapter.subscriptions.follow(ANN, [one, two], assign=False)
        results = await adapter.unread.sync_many([BEN, ANN, "stranger"])
        assert [(each.user, set(each.added), bool(each.error)) for each in results] == [
            (BEN, set(), False), (ANN, {one, two}, False), ("stranger", set(), True),
        ]  # fmt: skip
