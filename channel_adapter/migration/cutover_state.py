"""What the adapter's database knows of a cutover: for verify, for status and reports, for publishing and the guard."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from channel_adapter.errors import ConfigurationError
from channel_adapter.migration.apply import needs_durable
from channel_adapter.migration.compare import Life
from channel_adapter.migration.filling import PATIENT_LOCK_SECONDS, Filling, filling_of
from channel_adapter.migration.plan import Plan

if TYPE_CHECKING:
    from channel_adapter.migration.planning import Migration
    from channel_adapter.migration.posting_moved import PostingMoved
    from channel_adapter.store.cutover import CopyRow, MovedRow


@dataclass(frozen=True, slots=True)
class CutoverState:
    """How far a cutover is. `copies` are broadcasts at the source, `verdict` what it went by, as JSON."""

    moved: "tuple[MovedRow, ...]"
    copies: "tuple[CopyRow, ...]"
    filling: Filling
    verdict: str


@asynccontextmanager
async def opened(migration: "Migration") -> "AsyncIterator[PostingMoved]":
    """What is known of cutovers in the adapter's database. Raises ConfigurationError where there is none."""
    url = migration.settings.database_url
    if url is None:
        raise ConfigurationError(
            "a cutover is written down in the adapter's database, where publishing and guards find it: set"
            " database_url",
            field="database_url",
        )
    with needs_durable(url.get_secret_value()):
        from channel_adapter.migration.posting_moved import PostingMoved  # noqa: PLC0415 - an extra
    posting = PostingMoved(
        url.get_secret_value(), migration.gateway, migration.clock, lock_seconds=PATIENT_LOCK_SECONDS
    )
    try:
        yield posting
    finally:
        await posting.aclose()


async def life_of(migration: "Migration", plan: Plan) -> dict[str, Life]:
    """What verify has to know of channels that live already; nothing where no database is set."""
    if migration.settings.database_url is None:
        return {}
    async with opened(migration) as posting:
        rows = await posting.store.moved_if_any()
        if rows:
            await posting.settle()
    return lives(row for row in rows if row.migration == plan.migration)


def lives(rows: "Iterable[MovedRow]") -> dict[str, Life]:
    """The same of these rows, by source id."""
    return {row.source: Life(row.verified_at, row.moved_at, destroyed=bool(row.destroying)) for row in rows}


async def state_of(migration: "Migration", name: str) -> CutoverState | None:
    """How far a migration's cutover is; None where none has begun."""
    if migration.settings.database_url is None:
        return None
    async with opened(migration) as posting:
        rows = tuple(row for row in await posting.store.moved_if_any() if row.migration == name)
        row = await posting.store.cutover(name) if rows else None
        if row is None:
            return None
        sources = {each.source for each in rows}
        copies = tuple(copy for copy in await posting.store.copies() if copy.source in sources)
        return CutoverState(rows, copies, await filling_of(posting.store, row), row.verdict)
