"""Uses of invitations across processes: exactly as many as allowed, even when accepting processes are killed."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import ChannelAdapter, Invitation, LimitReachedError, Settings
from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.faults.reaction_system import in_process

OWNER, NEWS = "editor_7", "harbor_news"
POINTS = [("invites.reserved", 1), ("invites.reserved", 8), ("invites.subscribed", 1), ("invites.subscribed", 8)]
INSTANTS = 8


class LateClock(SystemClock):
    """The clock of this machine, half an hour ahead: reservations of killed processes have expired."""

    now = staticmethod(lambda: SystemClock.now() + 1_800)


@dataclass(frozen=True)
class Gate:
    """A channel with an invitation, and the settings of processes that accept it."""

    server: StubServer
    settings: dict[str, Any]
    invitation: Invitation
    users: list[str]

    async def process(self, users: list[str], **more: Any) -> Any:
        accept = {"code": self.invitation.code, "users": users}
        return await in_process({"settings": self.settings, "accept": accept, **more})

    def adapter(self, clock: SystemClock | None = None) -> ChannelAdapter:
        return ChannelAdapter.open(Settings.model_validate(self.settings), clock=clock)

    async def state(self) -> tuple[int, int]:
        """Return how many users are subscribed, and how many uses are counted."""
        async with self.adapter() as adapter:
            members = [row.user async for row in adapter.subscriptions.subscribers(NEWS)]
            return len(members), sum([each.uses async for each in adapter.invites.list()])


@asynccontextmanager
async def gate(url: str, *, users: int, max_uses: int) -> AsyncIterator[Gate]:
    names = [f"reader_{number}" for number in range(users)]
    async with StubServer(StubSettings.model_validate({"app": {"group_fields": ["ch_tag"]}})) as server:
        values = {
            "sdkappid": server.sdkappid, "key": server.key, "base_url": server.url, "database_url": url,
            "rate_limits": False, "unread": {"assign": False},
        }  # fmt: skip
        async with ChannelAdapter.open(Settings.model_validate(values)) as adapter:
            await adapter.accounts.add([OWNER, *names])
            await adapter.channels.create(slug=NEWS, name="Harbour News", owner=OWNER)
            invitation = await adapter.invites.create(NEWS, max_uses=max_uses)
        yield Gate(server, values, invitation, names)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_thousand_users_in_four_processes_use_exactly_the_allowed_uses(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue("postgres_url") if kind == "postgresql" else f"sqlite:///{tmp_path / 'app.db'}"
    async with gate(url, users=1_000, max_uses=100) as scene:
        ended = await asyncio.gather(*(scene.process(scene.users[start::4]) for start in range(4)))
        assert [each.code for each in ended] == [0] * 4
        results = sum((Counter(each.answer) for each in ended), Counter[str]())
        assert results == {"added": 100, "limit": 900}
        assert await scene.state() == (100, 100)


async def killed_and_continued(url: str, **kill: Any) -> None:
    """Kill an accepting process; its unused uses are available again after its reservations have expired."""
    async with gate(url, users=60, max_uses=20) as scene:
        ended = await scene.process(scene.users[:12], **kill)
        assert ended.code in (-signal.SIGKILL, 0)
        await asyncio.sleep(0.3)  # its sent calls are under way
        async with scene.adapter(LateClock()) as adapter:
            results: Counter[str] = Counter()
            for user in scene.users:
                try:
                    results[(await adapter.invites.accept(scene.invitation.code, user=user)).kind.value] += 1
                except LimitReachedError:
                    results["limit"] += 1
        assert results["limit"] == 40, kill
        assert await scene.state() == (20, 20), kill


@pytest.mark.timeout(180)
async def test_unused_uses_of_a_killed_process_become_available_again(tmp_path: Path) -> None:
    """Kill at every named point and at random instants."""
    chance = random.Random(17)
    kills: list[dict[str, Any]] = [{"kill_at": point} for point in POINTS]
    kills += [{"kill_after": chance.uniform(0.01, 0.3)} for _ in range(INSTANTS)]
    for start in range(0, len(kills), 4):
        await asyncio.gather(
            *(
                killed_and_continued(f"sqlite:///{tmp_path / f'app_{number}.db'}", **kill)
                for number, kill in list(enumerate(kills))[start : start + 4]
            )
        )
