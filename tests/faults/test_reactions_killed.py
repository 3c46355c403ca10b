"""Kill at each named point of publishing and merging: after a restart nothing is lost or counted twice."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.domain.ids import UserId
from channel_adapter.domain.reaction import ReactionChange
from tests.faults.reaction_system import Changes, System, open_system, tally, write_from_client

EMOJI = ["👍", "❤️", "😂"]
USERS = 240
KEPT = 200
WRITTEN = "publisher: written, not recorded"
POINTS = {
    "react: committed": 1,
    "publisher: claimed": 1,
    WRITTEN: 1,
    "publisher: recorded": 1,
    "merge: before the commit": 1,
    "merge: committed": 1,
    "merge: read, not merged": 1,
}


async def killed(system: System, point: str, times: int, job: dict[str, Any]) -> None:
    result = await system.process(kill_at=[point, times], **job)
    assert result.code == -signal.SIGKILL, (point, times)


async def restarted(
    system: System, changes: Changes, react: list[tuple[str, str]], *, reconcile: bool
) -> dict[str, int]:
    """Repeat the events and the unanswered reactions in another process; return the counts."""
    async with system.adapter() as adapter:
        values = [ReactionChange(UserId(user), tuple(emoji), seq) for user, emoji, seq in changes]
        await adapter.reactions.merge(system.ref, values)
        await asyncio.gather(*(adapter.reactions.react(system.ref, user, emoji) for user, emoji in react))
        if reconcile:
            await adapter.reactions.reconcile(system.ref)
        assert await adapter.reactions.flush(30)
        return dict((await adapter.reactions.get(system.ref)).counts)


async def one_point(url: str, point: str, times: int) -> None:
    async with open_system(30, url) as system:
        reacting, clients = system.users[:10], system.users[10:30]
        changes = write_from_client(system, clients, "❤️")
        react = [(user, EMOJI[number % 3]) for number, user in enumerate(reacting)]
        if "read" in point:
            job: dict[str, Any] = {"react": react, "reconcile": True}
        else:
            job = {"react": react, "fold": [changes, changes[::-1]]}
        await killed(system, point, times, job)
        counts = await restarted(system, changes, react, reconcile="read" in point)
        expected = tally([*(emoji for _, emoji in react), *("❤️" for _ in clients)])
        assert counts == expected, point
        assert system.shown() == expected, point


async def compaction(url: str, point: str, times: int) -> None:
    """Exceed the message with 240 users' keys; kill between deleting some and recording it."""
    async with open_system(USERS, url) as system:
        changes = write_from_client(system, system.users, "👍")
        await killed(system, point, times, {"fold": [changes]})
        counts = await restarted(system, changes, [], reconcile=True)
        assert counts == {"👍": USERS}, point
        assert system.shown() == {"👍": USERS}, point
        assert len(system.own_keys()) == KEPT
        late = write_from_client(system, [next(user for user in system.users if user not in system.own_keys())], "😂")
        assert await restarted(system, late, [], reconcile=True) == {"👍": USERS - 1, "😂": 1}, point


@pytest.mark.timeout(180)
async def test_counts_are_exact_after_a_kill_at_every_point(tmp_path: Path) -> None:
    file = f"sqlite:///{tmp_path}"
    points = [one_point(f"{file}/point_{number}.db", *at) for number, at in enumerate(POINTS.items())]
    deletions = [compaction(f"{file}/keys_{times}.db", WRITTEN, times) for times in (2, 3)]
    await asyncio.gather(*points, *deletions)


@pytest.mark.timeout(180)
async def test_counts_are_exact_after_a_kill_on_postgresql(new_postgres_url: Callable[[], str]) -> None:
    points = [one_point(new_postgres_url(), point, 1) for point in (WRITTEN, "merge: committed")]
    await asyncio.gather(*points, compaction(new_postgres_url(), WRITTEN, 3))


def test_list_of_points_contains_every_checkpoint_of_the_code() -> None:
    root = Path(__file__).parents[2] / "channel_adapter" / "services"
    text = "".join(path.read_text(encoding="utf-8") for path in root.glob("reactions/*.py"))
    named = {part.partition('"')[0] for part in text.split('failpoint("')[1:]}
    assert named == POINTS.keys()
