"""Bulk calls with failures: each known outcome is returned, and a slow service is not treated as stopped."""

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    ChannelAdapterError,
    ChannelId,
    InvalidError,
    Outcome,
    OutcomeKind,
    PermissionDeniedError,
    Settings,
    Text,
    UnavailableError,
)
from channel_adapter.config.settings import SubscriptionSettings
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_adapter_trouble import USERS, Calls, channel_on, opened, settings
from tests.faults.test_lost_answers import HastyClock

TENS = SubscriptionSettings(add_per_call=10, remove_per_call=10)
DENIED = 10007


@asynccontextmanager
async def hasty() -> AsyncIterator[tuple[ChannelAdapter, StubServer]]:
    """Open an adapter that does not wait between attempts, with batches of ten."""
    async with (
        opened() as (_, server),
        ChannelAdapter.open(settings(server, subscriptions=TENS, concurrency=3), clock=HastyClock()) as adapter,
    ):
        yield adapter, server


async def streamed(outcomes: AsyncIterator[Outcome]) -> tuple[list[Outcome], ChannelAdapterError | None]:
    """Return the outcomes received, and the error that ended the stream."""
    found = []
    try:
        async for outcome in outcomes:
            found.append(outcome)  # noqa: PERF401 - the loop may be broken off
    except ChannelAdapterError as error:
        return found, error
    return found, None


def counted(outcomes: list[Outcome]) -> Counter[OutcomeKind]:
    return Counter(outcome.kind for outcome in outcomes)


async def test_wait_for_our_own_rate_limit_exceeds_the_call_timeout() -> None:
    ones = SubscriptionSettings(add_per_call=1)
    rates = {"group_open_http_svc/add_group_member": 10.0}
    async with opened(subscriptions=ones, calls_per_second=rates, total_seconds=0.5) as (adapter, server):
        channel = await channel_on(adapter)
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:18])
        assert outcomes.counts == {OutcomeKind.ADDED: 18}
        assert server.log.count("add_group_member") == 18


@pytest.mark.parametrize("command", ["add_group_member", "delete_group_member", "get_role_in_group"])
async def test_throttled_bulk_call_completes(command: str) -> None:
    async with hasty() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:5])
        server.faults.replace([Fault(command=command, code=60007, times=40)])
        added = await adapter.subscriptions.subscribe(channel, USERS)
        assert added.counts == {OutcomeKind.ADDED: 35, OutcomeKind.ALREADY: 5}
        removed = await adapter.subscriptions.unsubscribe(channel, USERS)
        assert removed.counts == {OutcomeKind.REMOVED: 40}


@pytest.mark.parametrize("awaited", [True, False])
async def test_bulk_call_that_ends_early_returns_known_outcomes(awaited: bool) -> None:
    async with opened(subscriptions=TENS, concurrency=1) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="add_group_member", nth=(3,), code=DENIED)])
        if awaited:
            with pytest.raises(PermissionDeniedError) as ended:
                await adapter.subscriptions.subscribe(channel, USERS)
            assert ended.value.outcomes is not None
            found, error = list(ended.value.outcomes), ended.value
        else:
            found, error = await streamed(adapter.subscriptions.subscribe_stream(channel, USERS))  # type: ignore[assignment]
        assert isinstance(error, PermissionDeniedError)
        assert counted(found) == {OutcomeKind.ADDED: 20, OutcomeKind.FAILED: 10}
        assert {each.reason for each in found if each.kind is OutcomeKind.FAILED} == {error.message}
        assert server.log.count("add_group_member") == 3


async def test_calls_under_way_at_the_end_are_reported() -> None:
    async with opened(subscriptions=TENS, concurrency=4) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace(
            [Fault(command="add_group_member", nth=(1,), code=DENIED), Fault(command="add_group_member", delay=0.2)]
        )
        found, error = await streamed(adapter.subscriptions.subscribe_stream(channel, USERS))
        assert isinstance(error, PermissionDeniedError)
        assert counted(found) == {OutcomeKind.ADDED: 30, OutcomeKind.FAILED: 10}
        assert await adapter.subscriptions.count(channel) == 30


async def test_failing_source_keeps_the_outcomes_so_far() -> None:
    async def readers() -> AsyncGenerator[str, None]:
        for reader in USERS[:20]:
            yield reader
        raise LookupError("the file is gone")

    async with opened(subscriptions=TENS) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="add_group_member", delay=0.1)])
        found = []
        with pytest.raises(LookupError, match="the file is gone"):  # noqa: PT012 - the loop is what raises
            async for outcome in adapter.subscriptions.subscribe_stream(channel, readers()):
                found.append(outcome)  # noqa: PERF401
        assert counted(found) == {OutcomeKind.ADDED: 20}


async def test_failure_of_one_half_keeps_the_outcomes_of_the_other() -> None:
    async with opened(concurrency=1) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace(
            [
                Fault(command="add_group_member", nth=(1,), code=10005),  # split into 10 and 10
                Fault(command="add_group_member", nth=(3, 4, 5), code=10002),
            ]
        )
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:20])
        assert {each.user: each.kind for each in outcomes} == {
            user: OutcomeKind.ADDED if number < 10 else OutcomeKind.FAILED for number, user in enumerate(USERS[:20])
        }


async def test_account_reported_unknown_but_existing_fails_alone() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="add_group_member", account=USERS[3], code=10019)])
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:6])
        assert outcomes.counts == {OutcomeKind.ADDED: 5, OutcomeKind.FAILED: 1}
        (failed,) = (each for each in outcomes if not each.done)
        assert failed.user == USERS[3]
        assert "10019" in failed.reason


async def test_smaller_batch_cap_is_remembered_by_later_calls() -> None:
    calls = Calls()
    async with opened({"limits": {"add_members": 6}}, calls, concurrency=1) as (adapter, _):
        channel = await channel_on(adapter)
        assert (await adapter.subscriptions.subscribe(channel, USERS)).complete
        calls.clear()
        assert (await adapter.subscriptions.subscribe(channel, USERS)).complete
        assert calls["add_group_member"] == 8


async def test_closing_the_stream_closes_the_source_of_the_caller() -> None:
    closed = []

    async def readers() -> AsyncGenerator[str, None]:
        try:
            for number in range(1000):
                yield f"person_{number}"
        finally:
            closed.append(True)

    async with opened(concurrency=1) as (adapter, _):
        channel = await channel_on(adapter)
        async with aclosing(adapter.subscriptions.subscribe_stream(channel, readers())) as outcomes:
            await anext(outcomes)
        assert closed == [True]


async def test_invalid_id_is_reported_before_a_batch_is_full() -> None:
    more = asyncio.Event()

    async def readers() -> AsyncGenerator[str, None]:
        yield USERS[0]
        yield ""
        await more.wait()

    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        async with aclosing(adapter.subscriptions.subscribe_stream(channel, readers())) as outcomes:
            first = await asyncio.wait_for(anext(outcomes), 2)
            assert (first.user, first.kind) == ("", OutcomeKind.INVALID)
            more.set()
            assert [outcome.kind async for outcome in outcomes] == [OutcomeKind.ADDED]


@pytest.mark.parametrize("command", ["subscribe", "unsubscribe", "add"])
async def test_random_failures_keep_outcomes_consistent_with_membership(command: str) -> None:
    """Check that each user has one outcome, fewer only if the call ends early, and that outcomes match the service."""
    users = [f"new_{number}" for number in range(40)] if command == "add" else USERS
    async with hasty() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, random.Random(4).sample(USERS, 20))
        inside = {each.user async for each in adapter.subscriptions.subscribers(channel)}
        server.faults.replace(
            [
                Fault(probability=0.3, code=10002),
                Fault(probability=0.1, code=60007),
                Fault(every=7, code=91000),
                Fault(command="multiaccount_import", fail_items=5),
            ]
        )
        work = {
            "subscribe": adapter.subscriptions.subscribe_stream(channel, USERS),
            "unsubscribe": adapter.subscriptions.unsubscribe_stream(channel, USERS),
            "add": adapter.accounts.add_stream(users),
        }[command]
        found, error = await streamed(work)
        server.faults.replace([])
        assert len({outcome.user for outcome in found}) == len(found)
        if error is None:
            assert sorted(outcome.user for outcome in found) == sorted(users)
        if command == "add":
            now = {user for user, exists in (await adapter.accounts.check(users)).items() if exists}
        else:
            now = {each.user async for each in adapter.subscriptions.subscribers(channel)}
        for outcome in found:
            match outcome.kind:
                case OutcomeKind.REMOVED:
                    assert outcome.user in inside - now
                case OutcomeKind.ADDED:
                    assert outcome.user in now - inside
                case OutcomeKind.ALREADY if command == "unsubscribe":
                    assert outcome.user not in inside | now
                case OutcomeKind.ALREADY:
                    assert outcome.user in inside & now
                case OutcomeKind.FAILED if command == "add":
                    assert outcome.user not in now


async def test_stopped_service_ends_the_call_despite_an_endless_source() -> None:
    taken = 0

    async def readers() -> AsyncGenerator[str, None]:
        nonlocal taken
        while True:
            taken += 1
            yield USERS[taken % len(USERS)]

    async with opened(total_seconds=1.0, connect_seconds=0.5, concurrency=8) as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        await server.stop()
        with pytest.raises(UnavailableError) as ended:
            await adapter.subscriptions.subscribe(channel, readers())
        assert ended.value.outcomes is not None
        assert len(ended.value.outcomes) >= 160
        assert set(ended.value.outcomes.counts) == {OutcomeKind.FAILED}
        assert taken < 500


def result(user: str, number: int) -> dict[str, object]:
    return {"Member_Account": user, "Result": number}


async def test_result_number_has_its_outcome_and_unknown_result_is_failed() -> None:
    results = [result(user, number) for user, number in zip(USERS, [1, 2, 3, 4, 7, 0], strict=False)]
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="add_group_member", extra={"MemberList": results})])
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:7])
        assert [outcome.kind for outcome in outcomes] == [
            OutcomeKind.ADDED, OutcomeKind.ALREADY, OutcomeKind.PENDING, OutcomeKind.TOO_MANY_CHANNELS,
            OutcomeKind.FAILED, OutcomeKind.REFUSED, OutcomeKind.FAILED,
        ]  # fmt: skip
        reasons = [outcome.reason for outcome in outcomes]
        assert "Result 7" in reasons[4]
        assert "does not name" in reasons[6]
        assert not outcomes.complete


@pytest.mark.parametrize("refused", [Fault(code=10019), Fault(extra={"MemberList": [result("stranger", 0)]})])
async def test_account_that_stays_unknown_is_imported_once(refused: Fault) -> None:
    unknown = {"UserID": "stranger", "ResultCode": 0, "ResultInfo": "", "AccountStatus": "NotImported"}
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace(
            [
                refused.model_copy(update={"command": "add_group_member"}),
                Fault(command="account_check", extra={"ResultItem": [unknown]}),
            ]
        )
        async with asyncio.timeout(10):
            outcomes = await adapter.subscriptions.subscribe(channel, ["stranger"], import_missing=True)
        assert [(each.kind, each.reason) for each in outcomes] == [
            (OutcomeKind.NOT_FOUND, "it was imported and is still not known")
        ]
        assert server.log.count("multiaccount_import") == 2  # one of them in the setup


async def test_slowly_consumed_stream_is_not_ended_as_an_outage() -> None:
    """Between two batches that are not answered the consumer waits for ten minutes; the next ones are answered."""
    clock = WaitlessClock()
    async with opened() as (_, server):
        own = settings(server, subscriptions=TENS, concurrency=1, total_seconds=30.0)
        async with ChannelAdapter.open(own, clock=clock) as adapter:
            channel = await channel_on(adapter)
            server.faults.replace([Fault(command="add_group_member", status=403, times=2)])
            found = Counter[OutcomeKind]()
            async for outcome in adapter.subscriptions.subscribe_stream(channel, iter(USERS)):
                found[outcome.kind] += 1
                if outcome.kind is OutcomeKind.FAILED:
                    clock.ahead += 600
            assert found == {OutcomeKind.FAILED: 20, OutcomeKind.ADDED: 20}


class WaitlessClock(HastyClock):
    """A clock that is moved ahead, and shortens waits between attempts."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


async def test_first_part_of_batch_stays_added_when_its_second_call_is_throttled() -> None:
    async with hasty() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace(
            [
                Fault(command="add_group_member", nth=(1,), code=10005),  # the batch of ten is split into calls of five
                Fault(command="add_group_member", nth=tuple(range(3, 43)), code=60007),
            ]
        )
        outcomes = await adapter.subscriptions.subscribe(channel, USERS[:10])
        assert outcomes.counts == {OutcomeKind.ADDED: 10}
        sent = [
            [row["Member_Account"] for row in call.body["MemberList"]] for call in server.log.calls("add_group_member")
        ]
        assert sent[:2] == [USERS[:10], USERS[:5]]
        assert len(sent) == 43
        assert all(users == USERS[5:10] for users in sent[2:])


async def test_channel_deleted_before_follow_has_its_own_outcome() -> None:
    async with opened() as (adapter, server):
        first, deleted, last = [
            (await adapter.channels.create(slug=slug, name="Tides", owner="owner")).id
            for slug in ("one", "two", "three")
        ]
        async with ChannelAdapter.open(settings(server)) as other:
            await other.channels.delete(deleted)
        outcomes = await adapter.subscriptions.follow(USERS[0], [first, deleted, last])
        assert [(each.channel, each.kind, each.reason) for each in outcomes] == [
            (first, OutcomeKind.ADDED, ""),
            (deleted, OutcomeKind.CHANNEL_NOT_FOUND, f"there is no channel {deleted}"),
            (last, OutcomeKind.ADDED, ""),
        ]
        left = await adapter.subscriptions.unfollow(USERS[0], [first, deleted, last])
        assert [each.kind for each in left] == [
            OutcomeKind.REMOVED, OutcomeKind.CHANNEL_NOT_FOUND, OutcomeKind.REMOVED,
        ]  # fmt: skip


async def test_channel_that_refuses_does_not_stop_the_other_channels_of_a_user() -> None:
    async with opened() as (adapter, server):
        slugs = ("one", "two", "three")
        channels = [(await adapter.channels.create(slug=slug, name="Tides", owner="owner")).id for slug in slugs]
        server.faults.replace([Fault(command="add_group_member", group=channels[1], code=DENIED)])
        outcomes = await adapter.subscriptions.follow(USERS[0], channels)
        assert [each.kind for each in outcomes] == [OutcomeKind.ADDED, OutcomeKind.FAILED, OutcomeKind.ADDED]
        assert str(DENIED) in outcomes[1].reason
        assert [each.assignment is not None for each in outcomes] == [True, False, True]
        assert await in_group(adapter, USERS[0]) == {channels[0], channels[2]}
        server.faults.replace([Fault(command="delete_group_member", group=channels[0], code=DENIED)])
        outcomes = await adapter.subscriptions.unfollow(USERS[0], channels)
        assert [each.kind for each in outcomes] == [OutcomeKind.FAILED, OutcomeKind.ALREADY, OutcomeKind.REMOVED]
        assert await in_group(adapter, USERS[0]) == {channels[0]}


async def in_group(adapter: ChannelAdapter, user: str) -> set[ChannelId]:
    """Return the channels in the conversation group of a user."""
    return {channel async for group in adapter.unread.groups(user) for channel in group.channels}


async def test_error_of_every_channel_of_a_user_is_raised() -> None:
    async with opened() as (adapter, server):
        slugs = ("one", "two")
        channels = [(await adapter.channels.create(slug=slug, name="Tides", owner="owner")).id for slug in slugs]
        server.faults.replace([Fault(command="add_group_member", code=DENIED)])
        with pytest.raises(PermissionDeniedError):
            await adapter.subscriptions.follow(USERS[0], [*channels, "no_such_channel"])
        assert server.log.count("add_group_member") == len(channels)


async def test_unfollow_removes_the_reactions_of_the_user(tmp_path: Path) -> None:
    own: dict[str, Any] = {
        "database_url": f"sqlite:///{tmp_path / 'app.db'}", "reactions": {"on_unsubscribe": "remove"},
    }  # fmt: skip
    async with opened(**own) as (adapter, _):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        post = await adapter.posts.publish(channel, Text("Fog"))
        await adapter.reactions.react(post.ref, USERS[0], "👍")
        assert [each.done for each in await adapter.subscriptions.unfollow(USERS[0], [channel])] == [True]
        assert (await adapter.reactions.get(post.ref)).total == 0


def test_bulk_calls_are_coroutines_and_streams_are_async_iterators() -> None:
    adapter = ChannelAdapter.open(Settings(sdkappid=1, key=SecretStr("k"), base_url="http://127.0.0.1:1"))
    for call in (adapter.subscriptions.subscribe, adapter.subscriptions.unsubscribe, adapter.accounts.add):
        assert inspect.iscoroutinefunction(call)
    streams = (
        adapter.subscriptions.subscribe_stream("tides", USERS),
        adapter.subscriptions.unsubscribe_stream("tides", USERS),
        adapter.accounts.add_stream(USERS),
    )
    assert all(isinstance(stream, AsyncGenerator) for stream in streams)
    with pytest.raises(InvalidError, match="users must be a list of ids; got one string"):
        adapter.subscriptions.subscribe_stream("tides", "ann")
