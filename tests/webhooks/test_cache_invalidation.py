"""Caches of a receiver that did not receive the event: the change is published through the database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from channel_adapter import ChannelAdapter, ChannelId, UserId
from channel_adapter.domain import events as e
from channel_adapter.errors import UnavailableError
from channel_adapter.store.cache_invalidation import INVALIDATIONS, KEPT_SECONDS, Invalidation, InvalidationTable
from channel_adapter.store.database import Database
from channel_adapter.webhooks import MemoryInbox, serve
from channel_adapter.webhooks.cache_invalidation import CacheInvalidationBus
from tests.backends import community
from tests.webhooks.scenario import ADMIN, KEEPER, LIGHTHOUSE, MATE, Scenario, lighthouse, open_scenario, settings_of

GROUPS = "group_open_http_svc"
QUAY = ChannelId("@TGS#_quay")
PATIENCE = 60  # cache entries are valid for 300


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{request.getfixturevalue('tmp_path') / 'adapter.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@asynccontextmanager
async def two_receivers(url: str) -> AsyncIterator[tuple[Scenario, ChannelAdapter]]:
    """Start two receivers; the stub's webhooks go to the first, the second only shares its database."""
    async with (
        open_scenario(database_url=url) as scenario,
        ChannelAdapter.open(settings_of(scenario.stub, ADMIN, database_url=url)) as second,
        serve(second, inbox=MemoryInbox()),
    ):
        await lighthouse(scenario)
        await scenario.act(MATE, "join", group_id=LIGHTHOUSE)
        await scenario.settle()
        changes = second.pipeline.invalidation._table
        assert changes is not None
        await changes.published()  # ignore the invalidations of the creation
        yield scenario, second


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - memories have no waiters
            await asyncio.sleep(0.01)


async def test_changed_role_is_removed_from_caches_of_all_receivers(url: str) -> None:
    async with two_receivers(url) as (scenario, second):
        roles, keeper = community(second).role_cache, UserId(KEEPER)

        async def may_post() -> bool:
            return await roles.may_post(LIGHTHOUSE, UserId(MATE))

        assert not await may_post()
        assert await roles.may_post(LIGHTHOUSE, keeper)
        member = {"GroupId": LIGHTHOUSE, "Member_Account": MATE}
        for name, allowed in (("Admin", True), ("Member", False)):
            await scenario.other.call(GROUPS, "modify_group_member_info", {**member, "Role": name})
            await until(lambda: (LIGHTHOUSE, MATE) not in roles._posters)
            assert await may_post() is allowed
        assert (LIGHTHOUSE, keeper) in roles._posters  # other users stay cached
        await scenario.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": MATE})
        await until(lambda: (LIGHTHOUSE, keeper) not in roles._posters)
        await scenario.settle()


async def test_changed_channel_is_removed_from_caches_of_all_receivers(tmp_path: Path) -> None:
    async with two_receivers(f"sqlite:///{tmp_path / 'adapter.db'}") as (scenario, second):
        directory = community(second).channel_cache
        assert await second.pipeline.resolver.is_channel(LIGHTHOUSE)
        await scenario.other.channels.update(LIGHTHOUSE, name="Light")
        await until(lambda: directory.get_cached(LIGHTHOUSE) is None)
        assert not await second.pipeline.resolver.is_channel(QUAY)
        await scenario.other.channels.create(slug="quay", name="Quay", owner=KEEPER)
        await until(lambda: directory.get_cached(QUAY) is None)
        assert await second.pipeline.resolver.is_channel(QUAY)
        await scenario.other.channels.delete(QUAY)
        await until(lambda: directory.get_cached(QUAY, allow_stale=True) is None)
        await scenario.settle()


async def test_invalidations_are_read_once_and_not_by_their_publisher(url: str) -> None:
    mine, theirs = InvalidationTable(Database(url)), InvalidationTable(Database(url))
    assert await mine.published() == await theirs.published() == []
    role, everything = Invalidation(QUAY, UserId(MATE)), Invalidation(QUAY)
    await mine.publish([role, everything])
    assert await mine.published() == []
    assert sorted(await theirs.published(), key=str) == sorted([role, everything], key=str)
    assert await theirs.published() == []
    await mine.publish([role])
    assert await theirs.published() == [role]
    await mine.publish([Invalidation(ChannelId("no\x00id")), Invalidation(QUAY, UserId("u" * 300))])
    await mine.publish([])
    assert await theirs.published() == []
    await mine.close()
    await theirs.close()


async def test_late_invalidation_is_read_and_old_ones_are_deleted(url: str) -> None:
    mine, theirs = InvalidationTable(Database(url)), InvalidationTable(Database(url))
    await theirs.published()
    await mine.publish([Invalidation(QUAY)])
    await theirs.published()

    def commit_late(connection: sa.Connection) -> None:
        now = connection.scalar(sa.select(INVALIDATIONS.c.changed_at))
        rows = [("late", 3.0), ("old", KEPT_SECONDS + 60)]
        for channel, seconds in rows:
            row = {"channel": channel, "user_id": "", "changed_at": (now or 0.0) - seconds}
            connection.execute(sa.insert(INVALIDATIONS).values(row))

    await mine._database.write(commit_late)
    assert await theirs.published() == [Invalidation(ChannelId("late"))]
    mine._tidied_at -= 3600
    await mine.publish([Invalidation(QUAY)])
    left = await mine._database.read(lambda connection: set(connection.scalars(sa.select(INVALIDATIONS.c.channel))))
    assert left == {QUAY, "late"}
    await mine.close()
    await theirs.close()


class Away:
    """Invalidations that cannot be read at first."""

    def __init__(self, failure: Exception) -> None:
        self.asked = 0
        self.failure = failure

    async def published(self) -> list[Invalidation]:
        self.asked += 1
        if self.asked == 1:
            raise self.failure
        return [Invalidation(LIGHTHOUSE)] if self.asked == 2 else []


@pytest.mark.parametrize("failure", [UnavailableError("no database"), LookupError("a fault")])
async def test_invalidations_are_read_again_after_a_failure(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("channel_adapter.webhooks.cache_invalidation.LOOK_SECONDS", 0.001)
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        directory, changes = community(scenario.adapter).channel_cache, Away(failure)
        assert await scenario.adapter.pipeline.resolver.is_channel(LIGHTHOUSE)
        bus = CacheInvalidationBus(changes, scenario.adapter.backend.forget)  # type: ignore[arg-type]
        listening = asyncio.ensure_future(bus.listen())
        await until(lambda: directory.get_cached(LIGHTHOUSE) is None)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        assert "webhooks.changes_not_heard" in caplog.text


async def test_publishing_without_a_database_does_nothing() -> None:
    async with open_scenario() as scenario:
        alone = scenario.adapter.pipeline.invalidation
        await alone.publish(e.ChannelFull(channel=LIGHTHOUSE, at=None, platform=None, by=None, own=False))  # type: ignore[arg-type]
        await alone.listen()  # returns without a database


async def test_invalidations_are_read_after_clock_was_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [3_600.0]
    clock = SimpleNamespace(time=lambda: time.time() + ahead[0], monotonic=time.monotonic)
    monkeypatch.setattr("channel_adapter.store.cache_invalidation.time", clock)
    async with Database(f"sqlite:///{tmp_path / 'adapter.db'}") as database:
        writer, reader = InvalidationTable(database), InvalidationTable(database)
        before, after = Invalidation(LIGHTHOUSE), Invalidation(QUAY, UserId(MATE))
        assert await reader.published() == []
        await writer.publish([before])
        assert await reader.published() == [before]
        ahead[0] = 0.0
        await writer.publish([after])
        assert [await reader.published() for _ in range(2)] == [[after], []]
