"""One rate limit for all processes of an app: slots in a database, real processes, database outages."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import Attempt, ChannelAdapter, ConfigurationError, Settings, ThrottledError
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.store.database import Database
from channel_adapter.store.rate_limits import SharedRateLimits
from channel_adapter.stub.server import StubServer
from channel_adapter.tencent.catalog import ACCOUNT_CHECK, GET_GROUP_INFO
from channel_adapter.tencent.rate_limit import CommandLimiter, RateLimitTimeout
from tests.store.caller_process import callers, run

CHECK = ("im_open_login_svc", "account_check", {"CheckItem": [{"UserID": "reader_1"}]})
NOWHERE = "postgresql://harbor:orchid-7f@127.0.0.1:9/none"


class SetClock(SystemClock):
    """Clock of a machine whose time is set."""

    ahead = 3_600.0

    def now(self) -> float:
        return super().now() + self.ahead


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'slots.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def two(url: str) -> AsyncIterator[tuple[SharedRateLimits, SharedRateLimits]]:
    """Yield the limits of two processes of one app."""
    first, second = (SharedRateLimits(url, 1400000001, SystemClock()) for _ in range(2))
    yield first, second
    await first.close()
    await second.close()


async def slot(limits: SharedRateLimits, command: str = "a/b", *, most: float = 60.0, burst: int = 1) -> float:
    wait = await limits.reserve(command, interval=10.0, burst=burst, max_wait=most)
    assert wait is not None
    return wait


async def test_slots_of_two_processes_are_one_interval_apart(two: tuple[SharedRateLimits, SharedRateLimits]) -> None:
    first, second = two
    waits = [await slot(each) for each in (first, second, first, second)]
    assert waits == [0, pytest.approx(10, abs=2), pytest.approx(20, abs=2), pytest.approx(30, abs=2)]
    assert await slot(second, "a/c") == 0


async def test_slots_of_burst_have_no_interval(two: tuple[SharedRateLimits, SharedRateLimits]) -> None:
    first, second = two
    waits = [await slot(each, burst=3) for each in (first, second, first, second)]
    assert waits == [0, 0, 0, pytest.approx(10, abs=2)]


async def test_slot_beyond_longest_wait_is_not_reserved(two: tuple[SharedRateLimits, SharedRateLimits]) -> None:
    first, second = two
    await slot(first)
    for _ in range(3):
        assert await slot(second, most=5.0) == pytest.approx(10, abs=2)
    assert await slot(first) == pytest.approx(10, abs=2)


async def test_slot_from_before_clock_was_set_back_delays_no_call(tmp_path: Path) -> None:
    clock = SetClock()
    limits = SharedRateLimits(f"sqlite:///{tmp_path / 'slots.db'}", 1400000001, clock)
    assert [await slot(limits), await slot(limits)] == [0, pytest.approx(10, abs=2)]
    clock.ahead = 0.0
    assert [await slot(limits), await slot(limits)] == [0, pytest.approx(10, abs=2)]
    await limits.close()


async def test_apps_do_not_share_slots(url: str) -> None:
    limits = [SharedRateLimits(url, app, SystemClock()) for app in (1, 2)]
    assert [await slot(each) for each in limits] == [0, 0]
    assert [each.processes for each in limits] == [1, 1]
    for each in limits:
        await each.close()


async def test_open_processes_are_counted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.rate_limits.COUNT_SECONDS", 0.0)
    limits = [SharedRateLimits(url, 1400000001, SystemClock()) for _ in range(3)]
    counted = [(await slot(each), each.processes)[1] for each in limits]
    assert counted == [1, 2, 3]
    await limits[2].close()
    await slot(limits[0])
    assert limits[0].processes == 2
    await slot(limits[2])  # it reopens
    assert limits[2].processes == 3
    for each in limits:
        await each.close()


async def test_inactive_process_is_counted_until_its_lease_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.rate_limits.COUNT_SECONDS", 0.0)
    monkeypatch.setattr("channel_adapter.store.rate_limits.LEASE_SECONDS", 0.5)
    killed, left = (SharedRateLimits(url, 1400000001, SystemClock()) for _ in range(2))
    await slot(killed)
    await slot(left)
    assert left.processes == 2
    await asyncio.sleep(0.6)
    await slot(left)
    assert left.processes == 1
    await killed.close()
    await left.close()


async def test_single_process_reserves_no_slot_with_skip_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.rate_limits.COUNT_SECONDS", 0.0)
    first, second = (SharedRateLimits(url, 1400000001, SystemClock(), skip_alone=True) for _ in range(2))
    for _ in range(3):
        assert await first.reserve("a/b", interval=10.0, burst=1, max_wait=60.0) is None
    assert await slot(second) == 0
    assert await slot(first) == pytest.approx(10, abs=2)
    await second.close()
    assert await first.reserve("a/b", interval=10.0, burst=1, max_wait=60.0) is None
    await first.close()


@pytest.mark.timeout(240)
async def test_two_four_and_eight_processes_stay_within_one_limit(postgres_url: str) -> None:
    """Slots are counted from before the first call: on a busy machine calls may be late, but never early."""
    limit = ACCOUNT_CHECK.calls_per_second
    with StubServer().run_in_thread() as server:
        settings = {
            "sdkappid": server.sdkappid, "key": server.key, "admin": server.admin, "base_url": server.url,
            "database_url": postgres_url, "rate_limits": "shared",
        }  # fmt: skip
        with callers(8, settings) as processes:
            for number in (2, 4, 8):
                began = time.time()
                found = await asyncio.to_thread(run, processes[:number], 1.5)
                sent = [moment for each in found for moment in each.sent]
                assert len(sent) <= limit * (max(sent) - began) + 2
                assert all(each.sent for each in found)


async def test_shared_limit_makes_second_process_wait(url: str) -> None:
    """Without `shared` two processes use twice the slots."""
    alone = [CommandLimiter({ACCOUNT_CHECK.path: 0.1}) for _ in range(2)]
    assert [limiter.reserve(ACCOUNT_CHECK, 0) for limiter in alone] == [0, 0]
    shared = [SharedRateLimits(url, 1, SystemClock()) for _ in range(2)]
    together = [CommandLimiter({ACCOUNT_CHECK.path: 0.1}, shared=each) for each in shared]
    await together[0].acquire(ACCOUNT_CHECK, 5)
    with pytest.raises(RateLimitTimeout, match=r"the next slot is (9|10)\.\d s away"):
        await together[1].acquire(ACCOUNT_CHECK, 5)
    for limiter in together:
        await limiter.close()


async def test_reduced_rate_of_one_process_delays_slots_of_others(url: str) -> None:
    shared = [SharedRateLimits(url, 1, SystemClock()) for _ in range(2)]
    first, second = (CommandLimiter({ACCOUNT_CHECK.path: 4}, shared=each) for each in shared)
    first.reduce_rate(ACCOUNT_CHECK)
    await first.acquire(ACCOUNT_CHECK, 5)
    began = time.monotonic()
    await second.acquire(ACCOUNT_CHECK, 5)
    assert time.monotonic() - began > 0.4  # 2 per second instead of 4
    await first.close()
    await second.close()


def shared_settings(server: StubServer, database: str, **more: Any) -> Settings:
    return Settings(
        sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url, database_url=database,
        rate_limits="shared", **more,
    )  # fmt: skip


async def test_each_process_keeps_to_its_share_without_database(
    postgres_url: str,
    new_postgres_url: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four processes are counted before the outage of the database; each may make 2 of 8 calls a second."""
    monkeypatch.setattr("channel_adapter.store.rate_limits.RETRY_SECONDS", 0.5)
    attempts: list[Attempt] = []
    others = [SharedRateLimits(postgres_url, 1400000001, SystemClock()) for _ in range(3)]
    for each in others:
        await slot(each)
    name = postgres_url.partition("?")[0].rpartition("/")[2]
    async with StubServer() as server:
        settings = shared_settings(server, postgres_url, calls_per_second={ACCOUNT_CHECK.path: 8})
        async with ChannelAdapter.open(settings, observer=attempts.append) as adapter:
            await adapter.call(*CHECK)
            await _rename(new_postgres_url(), name, "elsewhere", [*others])
            began = time.monotonic()
            for _ in range(4):
                await adapter.call(*CHECK)
            assert time.monotonic() - began > 1.4
            (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
            assert warning.name == "channel_adapter.rate_limits"
            text = warning.getMessage()
            assert all(each in text for each in ("rate_limits.database_away", "processes=4", "part=1/4"))
            await _rename(new_postgres_url(), "elsewhere", name, [])
            caplog.clear()
            caplog.set_level(logging.INFO, "channel_adapter.rate_limits")
            await asyncio.sleep(0.6)
            await adapter.call(*CHECK)
            assert "rate_limits.shared_again" in caplog.text
    assert [attempt.outcome_kind for attempt in attempts] == ["success"] * 6


async def _rename(server: str, old: str, new: str, users: list[SharedRateLimits]) -> None:
    """Rename a database, which ends every connection to it and makes it unreachable under its old name."""
    import psycopg  # noqa: PLC0415

    for each in users:
        await each.close()
    connection = await psycopg.AsyncConnection.connect(server, autocommit=True)
    async with connection:
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [old])
        await connection.execute(f'ALTER DATABASE "{old}" RENAME TO "{new}"')


async def test_unresponsive_database_delays_only_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.rate_limits.OPEN_SECONDS", 0.3)

    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)
        writer.close()

    silent = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with StubServer() as server, silent:
        port = silent.sockets[0].getsockname()[1]
        async with ChannelAdapter.open(shared_settings(server, f"postgresql://127.0.0.1:{port}/x")) as adapter:
            began = time.monotonic()
            for _ in range(5):
                await adapter.call(*CHECK)
            assert 0.3 <= time.monotonic() - began < 2.5


async def test_call_with_short_time_limit_succeeds_with_unresponsive_database() -> None:
    async def stall(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(3)
        writer.close()

    silent = await asyncio.start_server(stall, "127.0.0.1", 0)
    async with StubServer() as server, silent:
        url = f"postgresql://127.0.0.1:{silent.sockets[0].getsockname()[1]}/x"
        async with ChannelAdapter.open(shared_settings(server, url, total_seconds=2.0)) as adapter:
            for _ in range(2):
                await adapter.call(*CHECK)
        assert len(list(server.log.calls())) == 2


async def test_unreachable_database_is_logged_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    async with StubServer() as server, ChannelAdapter.open(shared_settings(server, NOWHERE)) as adapter:
        await adapter.call(*CHECK)
    assert "rate_limits.database_away" in caplog.text
    assert "processes=1" in caplog.text
    assert "orchid" not in caplog.text


async def test_call_without_slot_in_its_time_is_not_sent(postgres_url: str) -> None:
    async with StubServer() as server:
        settings = shared_settings(server, postgres_url, calls_per_second={GET_GROUP_INFO.path: 0.001})
        async with ChannelAdapter.open(settings) as first, ChannelAdapter.open(settings) as second:
            await first.channels.exists("harbor")
            with pytest.raises(ThrottledError, match="the rate limit allows it in") as refused:
                await second.channels.exists("harbor")
            assert refused.value.origin is not None
            assert refused.value.origin.attempts == 0
        assert len(list(server.log.calls("get_group_info"))) == 1


@pytest.mark.parametrize("database", [None, "sqlite:///x.db"])
def test_shared_limits_need_postgresql(database: str | None) -> None:
    with pytest.raises(ConfigurationError, match='rate_limits = "shared" needs database_url on PostgreSQL'):
        Settings(sdkappid=1, key="k", region="seoul", rate_limits="shared", database_url=database)


@pytest.mark.parametrize(
    ("value", "scope"),
    [(True, "process"), (False, "off"), ("process", "process"), ("off", "off"), ("true", "process"), ("0", "off")],
)
def test_scope_is_read_from_booleans_and_names(value: Any, scope: str) -> None:
    assert Settings(sdkappid=1, key="k", region="seoul", rate_limits=value).rate_limits == scope


def test_unknown_scope_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="must be 'process', 'shared' or 'off'"):
        Settings(sdkappid=1, key="k", region="seoul", rate_limits="app")  # type: ignore[arg-type]
    monkeypatch.setenv("CHANNEL_ADAPTER_RATE_LIMITS", "false")
    assert Settings.load(None, sdkappid=1, key="k", region="seoul").rate_limits == "off"


async def test_tables_of_slots_are_unlogged(postgres_url: str) -> None:
    limits = SharedRateLimits(postgres_url, 1, SystemClock())
    await slot(limits)
    async with Database(postgres_url) as database:
        query = "SELECT relpersistence FROM pg_class WHERE relname = 'call_slot'"
        kind = await database.read(lambda connection: connection.exec_driver_sql(query).scalar())
    assert kind == "u"
    await limits.close()
