"""Insights: views against a model of members and their reading, and growth from webhooks and scans."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ChannelId, PostRef, StoredViews, Subscribed, Text, Unsubscribed, UserId
from channel_adapter.config.settings import InsightSettings
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import ConfigurationError, InvalidError, NotFoundError, UnsupportedError
from channel_adapter.stub.server import StubServer
from tests.conformance.conftest import settings_for

OWNER = "editor"
USERS = [UserId(f"reader_{number:02}") for number in range(30)]
BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


class World(NamedTuple):
    """A channel on a stub whose clock changes only when a test moves it, and the adapter's clock with it."""

    adapter: ChannelAdapter
    server: StubServer
    channel: ChannelId


class StubTime:
    """The adapter's clock, which returns the time of the stub."""

    def __init__(self, server: StubServer) -> None:
        self._server = server

    def now(self) -> float:
        return self._server.world.clock.now()

    def monotonic(self) -> float:
        return self._server.world.clock.now()

    async def sleep(self, seconds: float) -> None:
        self._server.world.clock.advance(max(0.0, seconds))


STORED, UNSTORED, OFFICIAL = "database", "no database", "database, official mode"
stored = pytest.mark.parametrize("world", [STORED], indirect=True)
stored_in_both_modes = pytest.mark.parametrize("world", [STORED, OFFICIAL], indirect=True)


@pytest.fixture(params=[STORED, UNSTORED])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with StubServer() as server:
        server.world.clock.freeze(BEGIN.timestamp())
        url = None if request.param == UNSTORED else SecretStr(f"sqlite:///{tmp_path / 'app.db'}")
        changes = {
            "database_url": url,
            "insights": InsightSettings(record=url is not None),
            "mode": Mode.OFFICIAL if request.param == OFFICIAL else Mode.COMMUNITY,
        }
        settings = settings_for(server).model_copy(update=changes)
        async with ChannelAdapter.open(settings, clock=StubTime(server)) as adapter:
            await adapter.accounts.add([OWNER, *USERS])
            channel = await adapter.channels.create(slug="figures", name="Figures", owner=OWNER)
            yield World(adapter, server, channel.id)


@pytest.mark.parametrize("seed", range(3))
async def test_views_equal_those_of_a_model(world: World, seed: int) -> None:
    adapter, server, channel = world
    chance = random.Random(seed)
    joined: dict[UserId, float] = {}
    read: dict[UserId, int] = {}
    published: dict[int, float] = {}
    for _ in range(120):
        server.world.clock.advance(chance.choice([0.5, 1, 40, 600]))
        second = float(int(server.world.clock.now()))
        user = chance.choice(USERS)
        match chance.choice(["publish", "join", "leave", "read", "read"]):
            case "publish":
                post = await adapter.posts.publish(channel, Text("news"))
                published[post.ref.seq] = second
            case "join" if user not in joined:
                await adapter.subscriptions.subscribe(channel, [user], assign=False)
                joined[user] = second
                read[user] = max(published, default=0)  # a new member has nothing unread
            case "leave" if user in joined:
                await adapter.subscriptions.unsubscribe(channel, [user], assign=False)
                del joined[user], read[user]
            case "read" if user in joined and published:
                up_to = chance.choice([*published])
                read[user] = max(read[user], up_to)
                server.world.client(user).read(channel, up_to)
    found = await adapter.insights.views(channel)
    assert found.subscribers == len(joined)
    expected = {
        seq: (
            sum(at <= time and read[user] >= seq for user, at in joined.items()),
            sum(at <= time for at in joined.values()),
        )
        for seq, time in published.items()
    }
    assert {post.ref.seq: (post.views, post.reach) for post in found.posts} == expected
    assert [post.ref.seq for post in found.posts] == sorted(published, reverse=True)
    assert found.inferred


async def test_recalled_posts_have_no_views(world: World) -> None:
    adapter, _, channel = world
    post = await adapter.posts.publish(channel, Text("gone"))
    await adapter.posts.recall(post.ref)
    assert (await adapter.insights.views(channel)).posts == ()


async def test_views_of_unknown_channel_raise_not_found(world: World) -> None:
    with pytest.raises(NotFoundError):
        await world.adapter.insights.views("nothing")


@pytest.mark.parametrize("world", [UNSTORED], indirect=True)
async def test_growth_needs_a_database(world: World) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await world.adapter.insights.channel(world.channel)
    assert caught.value.field == "database_url"


@stored_in_both_modes
async def test_daily_growth_is_computed_from_events_and_current_count(world: World) -> None:
    adapter, server, channel = world
    first = BEGIN - timedelta(days=2)
    events = [
        Subscribed(channel=channel, users=tuple(USERS[:5]), at=first),
        Subscribed(channel=channel, users=tuple(USERS[:5]), at=first),  # reported twice
        Unsubscribed(channel=channel, users=(USERS[0],), at=first + timedelta(days=1)),
        Subscribed(channel=channel, users=(USERS[0],), at=first + timedelta(days=1, hours=1)),
        Unsubscribed(channel=channel, users=(USERS[4],), at=BEGIN),
        Subscribed(channel=channel, users=(USERS[9],), at=first, other_mode=True),
    ]
    for event in events:
        await adapter.signals.channel_event.emit(event)
    await adapter.subscriptions.subscribe(channel, USERS[:4], assign=False)
    post = await adapter.posts.publish(channel, Text("Ferry   is back"))
    await adapter.reactions.react(post.ref, USERS[0], "👍")
    before = await adapter.insights.channel(channel, first)
    assert [(day.day, day.joins, day.leaves, day.posts, day.subscribers) for day in before.days] == [
        (first.date(), 5, 0, 0, 5),
        (first.date() + timedelta(days=1), 1, 1, 0, 5),
        (BEGIN.date(), 0, 1, 1, 4),
    ]
    assert (before.subscribers, before.joins, before.leaves, before.recorded_since) == (4, 6, 2, first)
    (best,) = before.best
    assert (best.excerpt, best.reactions, best.views, before.scanned_at) == ("Ferry is back", 1, None, None)
    if not adapter.can.views:
        with pytest.raises(UnsupportedError):
            await adapter.insights.views(channel)
        assert (await adapter.insights.channel(channel, first)).best == before.best
        return
    server.world.client(USERS[1]).read(channel, post.ref.seq)
    await adapter.insights.views(channel)
    after = await adapter.insights.channel(channel, first)
    assert (after.best[0].views, after.best[0].reach) == (1, 4)
    assert after.scanned_at is not None
    assert after.scanned_at >= BEGIN
    assert after.days[-1].joins == 4  # the scan includes joins that no webhook reported


@stored_in_both_modes
async def test_days_before_first_record_have_no_count(world: World) -> None:
    adapter, server, channel = world
    server.world.clock.advance(86_400 * 40)
    found = await adapter.insights.channel(channel)
    assert [day.subscribers for day in found.days] == [None] * 29 + [0]
    assert {(day.joins, day.leaves) for day in found.days} == {(None, None)}
    assert (found.joins, found.leaves) == (None, None)
    await adapter.signals.channel_event.emit(Subscribed(channel=channel, users=(USERS[0],), at=BEGIN))
    since = await adapter.insights.channel(channel, BEGIN + timedelta(days=35))
    assert [(day.joins, day.leaves, day.subscribers) for day in since.days] == [(0, 0, 0)] * 6, "nothing happened"


@stored
async def test_insights_begin_with_channel_creation_or_first_record(world: World) -> None:
    adapter, server, channel = world
    server.world.clock.advance(86_400 * 3)
    found = await adapter.insights.channel(channel, date.min)
    assert (found.since, [day.day for day in found.days][::3]) == (BEGIN, [date(2026, 3, 1), date(2026, 3, 4)])
    await adapter.insights.views(channel)
    scanned = await adapter.insights.channel(channel, date.min)
    assert [(day.joins, day.leaves) for day in scanned.days] == [(0, None)] * 4, "a scan counts joins and no leaves"
    early = Subscribed(channel=channel, users=(USERS[0],), at=BEGIN - timedelta(days=2))
    await adapter.signals.channel_event.emit(early)
    assert (await adapter.insights.channel(channel, date.min)).since == early.at


@stored
async def test_scan_deletes_old_records(world: World) -> None:
    adapter, server, channel = world
    await adapter.signals.channel_event.emit(Subscribed(channel=channel, users=(USERS[0],), at=BEGIN))
    server.world.clock.advance(86_400 * 401)
    await adapter.insights.views(channel)
    assert (await adapter.insights.channel(channel)).recorded_since is None


@stored
@pytest.mark.parametrize(
    "since",
    [
        BEGIN.replace(tzinfo=None),
        BEGIN + timedelta(days=1),
        "2026-02-01",
        datetime.min.replace(tzinfo=timezone(timedelta(hours=5))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))),
    ],
    ids=["no zone", "future", "text", "year 0", "year 10000"],
)
async def test_invalid_start_times_are_refused(world: World, since: datetime | date) -> None:
    with pytest.raises(InvalidError) as caught:
        await world.adapter.insights.channel(world.channel, since)
    assert caught.value.field == "since"


@stored_in_both_modes
async def test_growth_of_channels_counts_webhooks_of_the_last_days(world: World) -> None:
    adapter, _, channel = world
    quiet = await adapter.channels.create(slug="quiet", name="Quiet", owner=OWNER)
    for event in (
        Subscribed(channel=channel, users=tuple(USERS[:5]), at=BEGIN),
        Unsubscribed(channel=channel, users=(USERS[0],), at=BEGIN - timedelta(days=6)),
        Subscribed(channel=channel, users=(USERS[9],), at=BEGIN - timedelta(days=7)),
    ):
        await adapter.signals.channel_event.emit(event)
    assert await adapter.insights.growth([channel, quiet.id]) == {channel: 4}
    assert await adapter.insights.growth(["figures"], days=8) == {channel: 5}
    for days in (0, 10**9):
        with pytest.raises(InvalidError) as caught:
            await adapter.insights.growth([channel], days=days)
        assert (caught.value.field, caught.value.limit, caught.value.size) == ("days", 36_500, days)


@stored
async def test_stored_views_equal_those_of_the_last_scan(world: World) -> None:
    adapter, server, channel = world
    await adapter.subscriptions.subscribe(channel, USERS[:4], assign=False)
    first, second = [(await adapter.posts.publish(channel, Text(text))).ref for text in ("one", "two")]
    assert await adapter.insights.stored_views([first, second]) == {}
    server.world.client(USERS[0]).read(channel, first.seq)
    scan = await adapter.insights.views(channel)
    found = await adapter.insights.stored_views([first])
    assert found == {first: StoredViews(1, 4, scan.at)}
    assert found[first].share == 0.25
    by_slug = PostRef(ChannelId("figures"), first.seq)
    assert await adapter.insights.stored_views([by_slug, first]) == {by_slug: found[first], first: found[first]}
