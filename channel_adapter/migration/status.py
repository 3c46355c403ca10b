"""How far a migration is, read from its journal."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from channel_adapter.errors import ConflictError
from channel_adapter.migration.metered import Allowance

if TYPE_CHECKING:
    from channel_adapter.migration.journal import Journal


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How far one channel is. `standing`: queued, stopped, failed or done; `state` is what was being done last."""

    source: str
    target: str
    state: str
    standing: str
    posts: int
    subscribers: int
    removed: int
    reason: str
    transient: bool


@dataclass(frozen=True, slots=True)
class Status:
    """How far a migration is. `round` 1 is the move, later ones are deltas; `calls` are those of this process."""

    migration: str
    round: int
    channels: tuple[ChannelStatus, ...]
    quarantined: int
    calls: int = 0
    stopped: str = ""
    """Why this run ended before the migration did; empty when it did not."""

    @property
    def done(self) -> int:
        """Channels that are finished."""
        return sum(channel.standing == "done" for channel in self.channels)

    @property
    def failed(self) -> tuple[ChannelStatus, ...]:
        """Channels that could not go on."""
        return tuple(channel for channel in self.channels if channel.standing == "failed")

    @property
    def complete(self) -> bool:
        """Is every channel done?"""
        return self.done == len(self.channels)

    @property
    def posts(self) -> int:
        return sum(channel.posts for channel in self.channels)

    @property
    def subscribers(self) -> int:
        return sum(channel.subscribers for channel in self.channels)


async def read_status(journal: "Journal", name: str, allowance: Allowance | None = None) -> Status:
    """The state of a migration. Raises ConflictError when the database does not know it."""
    store = journal.store
    job = await store.job(name)
    if job is None:
        raise ConflictError(f"the database knows no migration {name}", field="database_url")
    rows = await store.channels(name)
    return Status(
        name,
        job.round,
        tuple(
            ChannelStatus(
                row.source, row.target, row.state, row.standing, row.posts, row.subscribers, row.removed, row.reason,
                row.transient,
            )
            for row in rows
        ),
        await store.count_quarantined(name),
        allowance.calls if allowance else 0,
        allowance.reason if allowance else "",
    )  # fmt: skip
