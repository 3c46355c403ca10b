"""The time limits of a call: connections, rate-limit slots, attempts per failure class, and the latest start."""

import asyncio
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web

from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER, GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.client import Attempt, CallFailed, TencentClient, Timeouts
from channel_adapter.tencent.rate_limit import Bucket, CommandLimiter
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.transport import Transport
from channel_adapter.tencent.wire.envelope import Ambiguous, ApiError, HttpRejected, NotAttempted
from channel_adapter.tencent.wire.members import AddGroupMemberRequest
from tests.faults.conftest import APP, OK, PRIMARY, FakeClock, Script, refused
from tests.faults.test_client_answers import FOUND, PLACE, POST, READ, SENT, failure, kinds
from tests.faults.test_client_network import client_of, serving

UNREACHABLE = aiohttp.ClientConnectorError(PLACE, ConnectionRefusedError(111, "refused"))
ADDING_PATH = ADD_GROUP_MEMBER.service, ADD_GROUP_MEMBER.name
ADDING = AddGroupMemberRequest(group_id="@TGS#_harbor", member_list=[])


async def test_slot_is_reserved_only_when_a_connection_is_free(clock: FakeClock) -> None:
    """Slots reserved while waiting for a connection would all be used at the same moment, above the limit."""
    release, arrivals = asyncio.Event(), []

    async def handle(_: web.Request) -> web.Response:
        arrivals.append(clock.elapsed)
        if len(arrivals) == 1:
            await release.wait()
        return web.json_response(FOUND)

    limiter = CommandLimiter({GET_GROUP_INFO.path: 20}, clock=clock)
    async with serving(handle) as url, client_of(url, concurrency=1, limiter=limiter, clock=clock) as client:
        calls = [asyncio.create_task(client.call(GET_GROUP_INFO, READ)) for _ in range(4)]
        await asyncio.sleep(0.3)
        release.set()
        await asyncio.gather(*calls)
    gaps = [later - earlier for earlier, later in pairwise(arrivals[1:])]
    assert min(gaps) > 0.04


class SteppedClock(FakeClock):
    """A clock whose sleeps end one after the other, by `step`."""

    def __init__(self) -> None:
        super().__init__()
        self.sleeping: list[tuple[float, asyncio.Future[None]]] = []

    async def sleep(self, seconds: float) -> None:
        wakes: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleeping.append((self.elapsed + seconds, wakes))
        await wakes

    def step(self) -> None:
        """Advance to the end of the first sleep."""
        self.sleeping.sort(key=lambda each: each[0])
        due, wakes = self.sleeping.pop(0)
        self.elapsed = max(self.elapsed, due)
        wakes.set_result(None)


class Slots:
    """Slots of one process among many, in a database that needs a moment."""

    processes = 2

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    async def reserve(self, command: str, *, interval: float, burst: int, max_wait: float) -> float | None:
        await asyncio.sleep(0.001)
        bucket = self._buckets.setdefault(command, Bucket(1 / interval))
        return bucket.reserve(self._clock.monotonic(), max_wait)

    async def close(self) -> None: ...


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("busy", [0, 8])
async def test_calls_that_wait_for_their_rate_limit_leave_connections_to_others(shared: bool, busy: int) -> None:
    """Also if they come while every connection is in use."""
    clock, release = SteppedClock(), asyncio.Event()
    arrivals: list[float] = []

    async def handle(request: web.Request) -> web.Response:
        if request.path.endswith(GET_GROUP_INFO.name):
            arrivals.append(clock.elapsed)
            return web.json_response(FOUND)
        if request.path.endswith(ADD_GROUP_MEMBER.name):
            await release.wait()
        return web.json_response(SENT)

    limits = {GET_GROUP_INFO.path: 1, ADD_GROUP_MEMBER.path: 1e6}
    limiter = CommandLimiter(limits, clock=clock, shared=Slots(clock) if shared else None)
    async with serving(handle) as url, client_of(url, concurrency=8, limiter=limiter, clock=clock) as client:
        adding = [asyncio.ensure_future(client.call_raw(*ADDING_PATH, {})) for _ in range(busy)]
        await asyncio.sleep(0.05)
        reading = [asyncio.ensure_future(client.call(GET_GROUP_INFO, READ)) for _ in range(24)]
        await asyncio.sleep(0.05)
        release.set()
        await asyncio.gather(*adding)
        async with asyncio.timeout(20):
            await client.call(SEND_GROUP_MSG, POST)
        assert len([call for call in reading if call.done()]) <= 1, "no time has passed"
        steps = 0
        while pending := [call for call in reading if not call.done()]:
            await asyncio.wait(pending, timeout=0.02)
            if clock.sleeping and len(arrivals) > steps:  # what the last step let go has arrived
                clock.step()
                steps += 1
        assert [type(call.exception()) for call in reading] == [type(None)] * 24
    gaps = [later - earlier for earlier, later in pairwise(arrivals)]
    assert min(gaps) >= 1.0
    margin = 1.01 if not shared else 1.01**2  # of the limiter, and of our slots
    assert sum(gaps) == pytest.approx(23 * margin, abs=0.01), "a slot was not used"


@pytest.mark.parametrize(("total", "latest"), [(30.0, 27.0), (5.0, 4.5), (200.0, 190.0)])
async def test_no_attempt_begins_after_the_latest_start(
    script: Script, clock: FakeClock, attempts: list[Attempt], total: float, latest: float
) -> None:
    """An attempt needs a tenth of the time, at most the timeout of one attempt."""
    limiter = CommandLimiter({GET_GROUP_INFO.path: 1 / (latest + 0.1)}, clock=clock)
    script.then(FOUND, FOUND)
    async with TencentClient(
        APP,
        Transport(HostPair(PRIMARY), timeouts=Timeouts(total=total), clock=clock),
        limiter=limiter,
        observer=attempts.append,
    ) as client:
        await client.call(GET_GROUP_INFO, READ)
        clock.elapsed = 0.11 - latest * 0.01  # the next slot is further away by the margin of the bucket
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, READ)
    assert isinstance(caught.value.outcome, NotAttempted)
    assert len(script.sent) == 1


async def test_no_wait_begins_that_would_end_after_the_latest_start(script: Script, clock: FakeClock) -> None:
    script.then(refused(60007), refused(60007), FOUND)
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock)) as client:
        # waits of 1.2 to 1.5 s and 2.4 to 3 s; the second would end between 3.6 and 4.5 s
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, READ, deadline=3.9)
    assert (caught.value.attempts, len(clock.waits)) == (2, 1)


async def test_failure_classes_are_counted_separately(
    client: TencentClient, script: Script, attempts: list[Attempt]
) -> None:
    """Three attempts without a connection do not count as attempts of a read without an answer."""
    script.then(UNREACHABLE, UNREACHABLE, UNREACHABLE, TimeoutError(), TimeoutError(), FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
    assert kinds(attempts) == ["not_sent"] * 3 + ["ambiguous"] * 2 + ["success"]


async def test_each_failure_class_has_its_own_backoff(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(UNREACHABLE, UNREACHABLE, TimeoutError(), FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
    assert 0.72 <= clock.waits[1] <= 0.90
    assert 0.36 <= clock.waits[2] <= 0.45


@pytest.mark.parametrize("status", [301, 307, 308, 400, 401, 403, 404, 405, 413])
async def test_rejected_write_is_reported_as_not_carried_out(
    client: TencentClient, script: Script, status: int
) -> None:
    script.then((status, "<html>elsewhere</html>"))
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(ADD_GROUP_MEMBER, ADDING)
    assert caught.value.outcome == HttpRejected(f"HTTP {status}", status)
    assert str(caught.value) == f"add_group_member was not carried out: HTTP {status}"


@pytest.mark.parametrize("status", [204, 303, 501, 505, 520])
async def test_write_with_unexpected_status_is_ambiguous(client: TencentClient, script: Script, status: int) -> None:
    script.then((status, ""))
    async with client:
        with pytest.raises(CallFailed, match="may or may not have been carried out") as caught:
            await client.call(ADD_GROUP_MEMBER, ADDING)
    assert caught.value.outcome == Ambiguous(f"HTTP {status}", status)


async def test_attempt_without_a_slot_is_not_counted(script: Script, clock: FakeClock) -> None:
    limiter = CommandLimiter({GET_GROUP_INFO.path: 0.1}, clock=clock)
    script.then((502, ""))
    async with TencentClient(
        APP, Transport(HostPair(PRIMARY), timeouts=Timeouts(total=5), clock=clock), limiter=limiter
    ) as client:
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, READ)
    assert caught.value.attempts == len(script.sent) == 1
    assert "attempts" not in str(caught.value)


async def test_failed_call_reports_an_earlier_ambiguous_attempt(client: TencentClient, script: Script) -> None:
    script.then(TimeoutError(), refused(10007))
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(SEND_GROUP_MSG, POST)
        assert (caught.value.outcome, caught.value.ambiguous) == (ApiError(10007, "no"), True)
        script.then(refused(60007), refused(10007))
        with pytest.raises(CallFailed) as caught:
            await client.call(SEND_GROUP_MSG, POST)
        assert (caught.value.outcome, caught.value.ambiguous) == (ApiError(10007, "no"), False)
    script.then(TimeoutError(), refused(10007))
    assert not (await failure(client)).ambiguous  # a read has no effect


async def test_raw_call_accepts_members_of_any_type(client: TencentClient, script: Script) -> None:
    answer = SENT | {"MsgSeq": "twelve", "MsgTime": None}
    script.then(answer)
    async with client:
        assert await client.call_raw("group_open_http_svc", "send_group_msg", {}) == answer
        script.then(OK | {"GroupInfo": {"renamed": True}})
        assert (await client.call_raw("group_open_http_svc", "get_group_info", {}))["GroupInfo"] == {"renamed": True}
