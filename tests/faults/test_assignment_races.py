"""Several processes subscribe and unsubscribe the same users: conversation groups finally match membership."""

import asyncio
import random
from collections import defaultdict
from contextlib import AsyncExitStack
from typing import Any

import pytest

from channel_adapter import AssignmentStatus as Status
from channel_adapter import ChannelAdapter, OutcomeKind
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_adapter_trouble import USERS, Calls, opened, settings
from tests.faults.test_unread_trouble import channels_on, grouped

ANN = USERS[0]
ANY_GROUP: dict[str, Any] = {"behaviour": {"contact_group_needs_membership": False}}
"""The service takes groups of which the user is no member, so only the adapter keeps them apart."""


def too_fast(command: str) -> Fault:
    """Refuse one change, which the client repeats a second later, after the changes of other processes."""
    return Fault(command=command, nth=(1,), code=60007)


class Watch(Calls):
    """Counter that sets an event when a command has been answered."""

    def __init__(self) -> None:
        super().__init__()
        self.answered: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def __call__(self, attempt: Any) -> None:
        super().__call__(attempt)
        self.answered[attempt.command].set()

    def clear(self) -> None:
        super().clear()
        self.answered.clear()


def members_of(server: StubServer, channel: str) -> set[str]:
    return set(server.world.state.groups[channel].members)


async def test_subscription_during_unassignment_stays_assigned() -> None:
    calls = Watch()
    async with opened(calls=calls) as (one, server), ChannelAdapter.open(settings(server)) as two:
        (channel,) = await channels_on(one, 1)
        await one.subscriptions.subscribe(channel, [ANN])
        calls.clear()
        server.faults.replace([too_fast("update_contact_group")])
        leaving = asyncio.ensure_future(one.subscriptions.unsubscribe(channel, [ANN]))
        await calls.answered["update_contact_group"].wait()
        (joined,) = await two.subscriptions.subscribe(channel, [ANN])
        (left,) = await leaving
        assert (joined.kind, left.kind) == (OutcomeKind.ADDED, OutcomeKind.REMOVED)
        assert left.assignment is not None
        assert (left.assignment.status, left.assignment.reason) == (
            Status.ASSIGNED,
            "subscribed again meanwhile",
        )
        assert await grouped(one, ANN) == {channel}


@pytest.mark.parametrize(
    ("stub", "kind"),
    [(ANY_GROUP, Status.TAKEN_OUT), ({}, Status.NOT_SUBSCRIBED)],
    ids=["any group", "members"],
)
async def test_unsubscription_during_assignment_leaves_no_assignment(stub: dict[str, Any], kind: Status) -> None:
    calls = Watch()
    async with opened(stub, calls) as (one, server), ChannelAdapter.open(settings(server)) as two:
        (channel, other) = await channels_on(one, 2)
        await one.subscriptions.subscribe(other, [ANN])
        calls.clear()
        server.faults.replace([too_fast("update_contact_group")])
        joining = asyncio.ensure_future(one.subscriptions.follow(ANN, [channel, other]))
        await calls.answered["update_contact_group"].wait()
        (left,) = await two.subscriptions.unsubscribe(channel, [ANN])
        joined, kept = await joining
        assert (joined.kind, left.kind) == (OutcomeKind.ADDED, OutcomeKind.REMOVED)
        assert [each.assignment and each.assignment.status for each in (joined, kept)] == [
            kind,
            Status.ASSIGNED,
        ]
        assert await grouped(one, ANN) == {other}


@pytest.mark.parametrize("stub", [ANY_GROUP, {}], ids=["any group", "members"])
async def test_groups_equal_membership_after_changes_by_four_processes(stub: dict[str, Any]) -> None:
    draw = random.Random(30)
    users = USERS[:8]
    async with opened(stub) as (one, server), AsyncExitStack() as stack:
        channels = await channels_on(one, 2)
        others = [await stack.enter_async_context(ChannelAdapter.open(settings(server))) for _ in range(3)]
        server.faults.replace(
            [Fault(command="update_contact_group", delay=0.02, every=2), Fault(service="recentcontact", delay=0.002)]
        )

        async def change(adapter: ChannelAdapter) -> list[Status]:
            kinds = []
            for _ in range(12):
                act = draw.choice((adapter.subscriptions.subscribe, adapter.subscriptions.unsubscribe))
                outcomes = await act(draw.choice(channels), draw.sample(users, 3))
                kinds += [each.assignment.status for each in outcomes if each.assignment is not None]
            return kinds

        found = await asyncio.gather(*(change(adapter) for adapter in (one, *others)))
        uncertain = Status.UNCERTAIN in {kind for kinds in found for kind in kinds}
        wrong = {
            (user, channel)
            for user in users
            for channel in channels
            if (channel in await grouped(one, user)) is not (user in members_of(server, channel))
        }
        assert not wrong or uncertain
        server.faults.replace([])
        assert all([each.done async for each in one.unread.sync_many_stream(users)])
        for user in users:
            assert await grouped(one, user) == {channel for channel in channels if user in members_of(server, channel)}


async def test_failed_membership_check_is_reported_as_uncertain() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        server.faults.replace([Fault(command="get_role_in_group", code=10007)])
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:3])
        assert (outcomes.complete, outcomes.assignments) == (True, {Status.UNCERTAIN: 3})
        assert all(each.assignment and "unread.sync" in each.assignment.reason for each in outcomes)


async def test_changing_membership_is_reported_as_uncertain() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        client = server.world.client(ANN)
        roles = ("NotMember", "Member")
        server.faults.replace(
            [
                Fault(command="get_role_in_group", nth=(number,), extra={"UserIdList": [row]})
                for number in range(1, 5)
                for row in ({"Member_Account": ANN, "Role": roles[number % 2 == 0]},)
            ]
        )
        (outcome,) = await adapter.subscriptions.subscribe(channel, [ANN])
        assert outcome.assignment is not None
        assert (outcome.assignment.status, outcome.assignment.transient) == (Status.UNCERTAIN, True)
        server.faults.replace([])
        assert (await adapter.unread.sync(ANN)).done
        assert await grouped(adapter, ANN) == {channel}
        client.leave(channel)


async def test_assignment_without_membership_is_not_subscribed() -> None:
    async with opened() as (adapter, _):
        (channel,) = await channels_on(adapter, 1)
        made = (await adapter.unread.assign(ANN, [channel])).popitem()[1]
        assert (made.status, made.done) == (Status.NOT_SUBSCRIBED, False)


async def test_late_leave_event_keeps_the_assignment_of_a_subscribed_channel() -> None:
    async with opened() as (adapter, server):
        (channel,) = await channels_on(adapter, 1)
        await adapter.subscriptions.subscribe(channel, [ANN])
        found = await adapter.unread.unassign_left(ANN, [channel])
        assert [each.status for each in found.values()] == [Status.ASSIGNED]
        assert await grouped(adapter, ANN) == {channel}
        server.world.client(ANN).leave(channel)
        found = await adapter.unread.unassign_left(ANN, [channel])
        assert [each.status for each in found.values()] == [Status.TAKEN_OUT]
        assert await grouped(adapter, ANN) == set()


@pytest.mark.parametrize("stub", [ANY_GROUP, {}], ids=["any group", "members"])
async def test_sync_removes_channel_left_during_the_sync(stub: dict[str, Any]) -> None:
    calls = Watch()
    async with opened(stub, calls) as (adapter, server):
        (channel, other) = await channels_on(adapter, 2)
        await adapter.subscriptions.subscribe(channel, [ANN], assign=False)
        await adapter.subscriptions.subscribe(other, [ANN], assign=False)
        calls.clear()
        server.faults.replace([too_fast("create_contact_group")])
        sync = asyncio.ensure_future(adapter.unread.sync(ANN))
        await calls.answered["create_contact_group"].wait()
        server.world.client(ANN).leave(channel)
        done = await sync
        assert (done.added, done.failed) == ((other,), ())
        assert await grouped(adapter, ANN) == {other}
