"""Stub with two channels, a database, and adapters with adjustable clocks."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import ChannelAdapter, ScheduledPost, ScheduleState, Settings
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.services import failpoints
from channel_adapter.stub.server import StubServer

OWNER = "editor_7"
CHANNELS = ("harbor_news", "harbor_tides")
OVER = (ScheduleState.PUBLISHED, ScheduleState.FAILED, ScheduleState.MISSED, ScheduleState.CANCELLED)


class MovedClock(SystemClock):
    """Clock of this machine plus `ahead` seconds."""

    def __init__(self, ahead: float = 0.0) -> None:
        self.ahead = ahead

    def now(self) -> float:
        return time.time() + self.ahead


@dataclass
class Scene:
    """Stub and database. Adapters on them differ only in their clocks."""

    server: StubServer
    url: str

    def settings(self, **more: Any) -> Settings:
        values = {
            "sdkappid": self.server.sdkappid, "key": self.server.key, "admin": self.server.admin,
            "base_url": self.server.url, "database_url": self.url, "total_seconds": 5.0,
        }  # fmt: skip
        return Settings.model_validate({**values, **more})

    @asynccontextmanager
    async def adapter(self, ahead: float = 0.0, **more: Any) -> AsyncIterator[ChannelAdapter]:
        async with ChannelAdapter.open(self.settings(**more), clock=MovedClock(ahead)) as adapter:
            yield adapter

    def texts(self, slug: str = CHANNELS[0]) -> list[str]:
        """Return the texts of the posts of a channel as the stub stores them, oldest first."""
        log = self.server.world.state.group(f"@TGS#_{slug}").log
        return [message.body_json()[0]["MsgContent"]["Text"] for message in log]


def soon(seconds: float = 1.0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


async def ended(adapter: ChannelAdapter, post: ScheduledPost, seconds: float = 60.0) -> ScheduledPost:
    """Wait until a scheduled post has reached a final state, and return it."""

    async def is_over() -> bool:
        return (await adapter.posts.get_scheduled(post.id)).state in OVER

    await until(is_over, seconds)
    return await adapter.posts.get_scheduled(post.id)


async def until(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found: str = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return found or f"sqlite:///{tmp_path / 'adapter.db'}"


@asynccontextmanager
async def scene_on(url: str) -> AsyncIterator[Scene]:
    async with StubServer() as server:
        scene = Scene(server, url)
        async with scene.adapter() as adapter:
            await adapter.accounts.add([OWNER, "reader_1"])
            for slug in CHANNELS:
                await adapter.channels.create(slug=slug, name=slug, owner=OWNER)
        yield scene


@pytest.fixture
async def scene(database: str) -> AsyncIterator[Scene]:
    """Yield a scene on each kind of database."""
    async with scene_on(database) as made:
        yield made


@pytest.fixture
async def on_sqlite(tmp_path: Path) -> AsyncIterator[Scene]:
    """Yield a scene on SQLite, where the clock of the process decides what is due."""
    async with scene_on(f"sqlite:///{tmp_path / 'adapter.db'}") as made:
        yield made


@pytest.fixture(autouse=True)
def _no_failpoints() -> Iterator[None]:
    yield
    failpoints.hooks.clear()
