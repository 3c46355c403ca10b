"""How long a bulk call waits for a service that does not answer, with a clock whose waits do not block."""

import asyncio
from typing import TypeVar

import pytest

from channel_adapter import InvalidError, ThrottledError, UnavailableError
from channel_adapter.backends.caller import ApiCaller, Caller
from channel_adapter.backends.protocols import attempt_status
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.outage import OutageGuard, OutageTimeoutError
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration.budget import Budget, BudgetedApi
from channel_adapter.tencent.catalog import ACCOUNT_CHECK, Command
from channel_adapter.tencent.client import TencentClient
from channel_adapter.tencent.rate_limit import CommandLimiter
from channel_adapter.tencent.wire.accounts import AccountCheckReply, AccountCheckRequest, UserIdItem
from channel_adapter.tencent.wire.envelope import Reply, WireModel
from tests.faults.conftest import OK, FakeClock, Script, refused

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)
REQUEST = AccountCheckRequest(check_item=[UserIdItem(user_id="ann")])
FOUND = OK | {"ResultItem": []}
BUSY, TOO_FAST, WRONG = refused(70500), refused(60007), refused(70402)
SECONDS = 60.0


class Patience:
    """Calls through one OutageGuard, with the decisions it makes for the batches of a bulk call."""

    def __init__(self, calls: Caller, clock: Clock, seconds: float) -> None:
        self._calls = calls
        self._guard = OutageGuard(ChannelAdapterError, attempt_status, clock, seconds)

    @property
    def gone(self) -> ChannelAdapterError | None:
        """The error after which no further call is made."""
        return self._guard.tripped

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        """Return the reply, after waits and further attempts if needed. Raises ChannelAdapterError.

        `deadline` is in seconds from now and limits the total time.
        """
        try:
            return await self._guard.run(
                lambda left: self._calls.call(command, request, deadline=left), timeout=deadline
            )
        except OutageTimeoutError as late:
            raise UnavailableError(f"{command.name} was not sent: {late}") from None


async def ask(patience: Patience) -> AccountCheckReply:
    return await patience.call(ACCOUNT_CHECK, REQUEST)


async def until_gone(patience: Patience) -> int:
    for calls in range(1, 1000):
        with pytest.raises(UnavailableError):
            await ask(patience)
        if patience.gone is not None:
            return calls
    raise AssertionError("never gone")


@pytest.fixture
def patience(client: TencentClient, clock: FakeClock) -> Patience:
    return Patience(ApiCaller(client), clock, SECONDS)


async def test_service_counts_as_down_after_the_period_without_an_answer(
    script: Script, client: TencentClient, clock: FakeClock, patience: Patience
) -> None:
    script.then(*[BUSY] * 1000)
    async with client:
        began = clock.elapsed
        calls = await until_gone(patience)
        assert SECONDS <= clock.elapsed - began < SECONDS + 10
        assert calls > 5
        sent = len(script.sent)
        with pytest.raises(UnavailableError) as again:
            await ask(patience)
        assert again.value is patience.gone
        assert len(script.sent) == sent


@pytest.mark.parametrize("answer", [FOUND, WRONG])
async def test_any_answer_restarts_the_period(
    script: Script, client: TencentClient, clock: FakeClock, patience: Patience, answer: dict[str, object]
) -> None:
    script.then(*[BUSY] * 3, answer, *[BUSY] * 1000)
    async with client:
        with pytest.raises(UnavailableError):
            await ask(patience)
        clock.elapsed += SECONDS
        if answer is WRONG:
            with pytest.raises(InvalidError):
                await ask(patience)
        else:
            await ask(patience)
        began = clock.elapsed
        await until_gone(patience)
        assert clock.elapsed - began >= SECONDS


async def test_time_without_calls_does_not_count_as_outage(
    script: Script, client: TencentClient, clock: FakeClock, patience: Patience
) -> None:
    script.then(FOUND, *[BUSY] * 3, FOUND)
    async with client:
        await ask(patience)
        clock.elapsed += 10 * SECONDS
        with pytest.raises(UnavailableError):
            await ask(patience)
        await ask(patience)


async def test_throttled_calls_are_repeated_until_the_period_without_success_ends(
    script: Script, client: TencentClient, clock: FakeClock, patience: Patience
) -> None:
    script.then(*[TOO_FAST] * 20, FOUND, *[TOO_FAST] * 1000)
    async with client:
        await ask(patience)
        assert clock.elapsed > 20
        began = clock.elapsed
        with pytest.raises(ThrottledError):
            await ask(patience)
        assert clock.elapsed - began >= SECONDS


class Gauge:
    """The gateway, with a count of the calls under way at the start of each; after one is answered, `together` wait
    for each other."""

    def __init__(self, gateway: ApiCaller, together: int) -> None:
        self._gateway = gateway
        self._now = 0
        self._all_here = asyncio.Barrier(together)
        self._answered = False
        self.seen: list[int] = []

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        self._now += 1
        self.seen.append(self._now)
        try:
            if self._answered:
                async with asyncio.timeout(20):
                    await self._all_here.wait()
            reply = await self._gateway.call(command, request, deadline=deadline)
        finally:
            self._now -= 1
        self._answered = True
        return reply


async def test_single_calls_probe_the_service_until_one_is_answered(
    script: Script, client: TencentClient, clock: FakeClock
) -> None:
    gauge = Gauge(ApiCaller(client), together=7)
    patience = Patience(gauge, clock, SECONDS)
    script.then(*[BUSY] * 9, *[FOUND] * 20)
    async with client:
        with pytest.raises(UnavailableError):
            await ask(patience)
        answers = await asyncio.gather(*(ask(patience) for _ in range(10)), return_exceptions=True)
    assert [isinstance(answer, UnavailableError) for answer in answers] == [True] * 2 + [False] * 8
    assert gauge.seen[:4] == [1, 1, 1, 1]
    assert max(gauge.seen) == 7


@pytest.mark.parametrize("answer", [BUSY, TOO_FAST])
async def test_deadline_ends_the_attempts(
    script: Script, client: TencentClient, clock: FakeClock, patience: Patience, answer: dict[str, object]
) -> None:
    script.then(*[answer] * 1000)
    async with client:
        for _ in range(3):  # before and after the outage is detected
            began = clock.elapsed
            with pytest.raises((UnavailableError, ThrottledError)):
                await patience.call(ACCOUNT_CHECK, REQUEST, deadline=4.0)
            assert clock.elapsed - began <= 4.0


class Stalling:
    """A caller that fails the first call and answers none after it."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()
        self._failed = False

    async def call(
        self, command: Command[RequestT, ReplyT], request: RequestT, *, deadline: float | None = None
    ) -> ReplyT:
        if not self._failed:
            self._failed = True
            raise UnavailableError("HTTP 502")
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("never answered")


async def test_deadline_bounds_the_wait_for_a_call_under_way(clock: FakeClock) -> None:
    stalling = Stalling()
    patience = Patience(stalling, clock, SECONDS)
    with pytest.raises(UnavailableError):
        await ask(patience)
    first = asyncio.create_task(ask(patience))
    await stalling.waiting.wait()
    with pytest.raises(UnavailableError, match=r"was not sent: no call was answered within 0\.01 s"):
        await patience.call(ACCOUNT_CHECK, REQUEST, deadline=0.01)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_metered_call_ends_at_its_deadline(script: Script, client: TencentClient, clock: FakeClock) -> None:
    script.then(*[BUSY] * 1000)
    calls = BudgetedApi(ApiCaller(client), Budget(clock), clock, SECONDS)
    async with client:
        began = clock.elapsed
        with pytest.raises(UnavailableError):
            await calls.call(ACCOUNT_CHECK, REQUEST, deadline=5.0)
        assert clock.elapsed - began <= 5.0


async def test_metered_call_does_not_wait_past_its_deadline_for_the_shared_limit(
    script: Script, client: TencentClient, clock: FakeClock
) -> None:
    script.then(*[FOUND] * 10)
    limiter = CommandLimiter({ACCOUNT_CHECK.path: 0.1}, clock=clock)
    calls = BudgetedApi(ApiCaller(client), Budget(clock), clock, SECONDS, limiter)
    async with client:
        await calls.call(ACCOUNT_CHECK, REQUEST, deadline=5.0)
        with pytest.raises(ThrottledError, match=r"the rate limit of all processes allows it in \d+\.\d s"):
            await calls.call(ACCOUNT_CHECK, REQUEST, deadline=5.0)
    assert len(script.sent) == 1
