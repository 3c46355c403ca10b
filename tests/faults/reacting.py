"""A process that reacts, merges and publishes, or accepts invitations, and can be killed at a given point.

`kill_at` is a checkpoint and the number of its passes after which the process sends itself signal 9;
`kill_after` is a time in seconds.
"""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import psycopg  # noqa: F401 - imported once, for all processes that are forked from here

import channel_adapter.services.reactions.stored  # noqa: F401
from channel_adapter import ChannelAdapter, PostRef, Settings
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services import failpoints


def killer(name: str, times: int) -> Callable[[str], None]:
    """Return a checkpoint that kills this process at its `times`-th pass under this name."""
    left = times

    def passed(point: str) -> None:
        nonlocal left
        left -= point == name
        if point == name and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    return passed


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Carry out the job; return how many reactions were answered."""
    async with ChannelAdapter.open(Settings.model_validate(job["settings"])) as adapter:
        if job.get("kill_at"):
            name, times = job["kill_at"]
            failpoints.hooks.append(killer(name, times))
        if job.get("kill_after"):
            asyncio.get_running_loop().call_later(job["kill_after"], os.kill, os.getpid(), signal.SIGKILL)
        if "accept" in job:
            return await accept(adapter, **job["accept"])
        ref = PostRef(ChannelId(job["channel"]), job["seq"])
        answers = await asyncio.gather(
            *(adapter.reactions.react(ref, user, emoji) for user, emoji in job.get("react", []))
        )
        for changes in job.get("fold", []):
            values = [ReactionChange(UserId(user), tuple(emoji), seq) for user, emoji, seq in changes]
            await adapter.reactions.merge(ref, values)
        if job.get("reconcile"):
            await adapter.reactions.reconcile(ref)
        published = await adapter.reactions.flush(job.get("flush", 20))
    return {"answered": len(answers), "published": published}


async def accept(adapter: ChannelAdapter, code: str, users: list[str]) -> dict[str, Any]:
    """Accept an invitation for all users concurrently; return the number of users by result."""

    async def result(user: str) -> str:
        try:
            return (await adapter.invites.accept(code, user=user)).kind.value
        except ChannelAdapterError as error:
            return error.kind

    return dict(Counter(await asyncio.gather(*map(result, users))))


def work(job: dict[str, Any], sender: Connection) -> None:
    """Run the process from start to end and send the answer to its parent."""
    sender.send(asyncio.run(run(job)))
