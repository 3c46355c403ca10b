"""Records that could not be moved: the file quarantine.jsonl, and trying them again."""

import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from channel_adapter.concurrency.batching import batches
from channel_adapter.concurrency.files import replaced_file
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration.budget import TRANSIENT, Budget, BudgetExhausted, BudgetLimits, noop_progress
from channel_adapter.migration.context import MigrationContext, needs_durable
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.run.apply import Status, StatusCallback, apply, check_plan, read_status
from channel_adapter.migration.run.channel import open_channel
from channel_adapter.migration.run.journal import Journal, open_journal
from channel_adapter.migration.run.posts import retry_posts
from channel_adapter.migration.run.subscribers import SubscriberImporter
from channel_adapter.migration.run.work import (
    ADMIN,
    NOTIFICATIONS,
    POST,
    SUBSCRIBER,
    ChannelWork,
    post_from_raw,
    subscriber_from_raw,
)
from channel_adapter.migration.sources.source import BrokenRecord
from channel_adapter.store.migration import DONE, FAILED, QuarantineRow

_BATCH: Final = 200


async def retry(
    context: MigrationContext,
    plan: Plan,
    *,
    limits: BudgetLimits | None = None,
    on_progress: StatusCallback = noop_progress,
) -> Status:
    """Continue channels that failed or were stopped, then try what is in the quarantine; return how far it is then.

    What can be moved leaves the quarantine; posts are moved behind all others. Profile fields stay there: another plan
    changes what becomes of them. A channel whose records cannot be tried is a failed one of the result. `stopped` says
    why records were not tried. Raises what `apply` raises, and ConflictError when nothing of the plan was ever applied.
    """
    check_plan(context, plan)
    url = context.require_journal(plan)
    budget = Budget(context.clock, limits)
    async with open_journal(url) as journal:
        before = await read_status(journal, plan.migration)
    if not before.complete:
        before = await apply(context, plan, limits=limits, on_progress=on_progress)
        budget.add(before.calls)
        if before.stopped:
            return before
    async with open_journal(url) as journal:
        with needs_durable(url):
            from channel_adapter.migration.run.jobs import MigrationRuntime  # noqa: PLC0415 - DBOS is slow to import
        runtime = MigrationRuntime(context, journal, budget)
        job = await journal.store.job(plan.migration)
        failures: dict[str, ChannelAdapterError] = {}
        try:
            for channel in await journal.store.channels(plan.migration):
                if job is None or channel.status != DONE or plan.channel(channel.source) is None:
                    continue
                if not await journal.store.has_quarantined(plan.migration, channel.source):
                    continue
                try:
                    await _retry_channel(await runtime.channel_work(plan, channel, job.round))
                except TRANSIENT:
                    raise
                except ChannelAdapterError as error:
                    failures[channel.source] = error
        except BudgetExhausted:
            await journal.flush()
        finally:
            await runtime.close()
        await journal.flush()
        return _add_failures(await read_status(journal, plan.migration, budget), failures)


def _add_failures(found: Status, failures: Mapping[str, ChannelAdapterError]) -> Status:
    """Return the status with failed channels; the journal keeps them as done, as what was moved before stays moved."""
    channels = (
        replace(channel, status=FAILED, reason=failures[channel.source].message)
        if channel.source in failures
        else channel
        for channel in found.channels
    )
    return replace(found, channels=tuple(channels))


async def _retry_channel(work: ChannelWork) -> None:
    """Try the records of one channel again."""
    posts = [post_from_raw(row.raw) async for rows in _quarantine_of(work, POST) for row in rows]
    if posts:
        await open_channel(work)  # which posts are there
        await retry_posts(work, posts)
    async with aclosing(_quarantine_of(work, SUBSCRIBER)) as pages:
        async for rows in pages:
            async with aclosing(batches([subscriber_from_raw(row.raw) for row in rows], _BATCH)) as parts:
                async for part in parts:
                    await SubscriberImporter(work).retry(part)
                    await work.note()
    async with aclosing(_quarantine_of(work, ADMIN, NOTIFICATIONS)) as pages:
        async for rows in pages:
            for row in rows:
                await _retry_option(work, row)


def _quarantine_of(work: ChannelWork, *kinds: str) -> AsyncGenerator[Sequence[QuarantineRow], None]:
    return work.journal.store.quarantine_pages(work.plan.migration, work.id, kinds)


async def _retry_option(work: ChannelWork, row: QuarantineRow) -> None:
    """Set an admin or a notification option; one that is refused again stays in the quarantine."""
    if row.what == NOTIFICATIONS:
        await SubscriberImporter(work).set_options(subscriber_from_raw(row.raw))
        return
    try:
        await work.importer.make_admin(work.channel, row.key)
    except TRANSIENT:
        raise
    except ChannelAdapterError:
        return
    await work.release(ADMIN, [row.key])


async def read_quarantine(journal: Journal, plan: Plan) -> AsyncGenerator[list[QuarantineRow], None]:
    """Yield in batches what could not be moved of the channels of a plan."""
    planned = {channel.source.id for channel in plan.channels}
    async with aclosing(journal.store.quarantine_pages(plan.migration)) as pages:
        async for rows in pages:
            yield [row for row in rows if row.source in planned]


REPAIR = "repair the line in the file and plan again"


async def write_broken(path: Path, records: AsyncIterator[BrokenRecord]) -> int:
    """Write the broken records of a source; return how many; without any, remove the file. Raises OSError."""
    count = 0
    with replaced_file(path) as file:
        async for record in records:
            entry = dataclasses.asdict(record) | {"retry": REPAIR}
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    if not count:
        _delete_file(path)
    return count


class QuarantineFile:
    """The file of what could not be moved, while it is written; `count` is the number of its records."""

    def __init__(self, file: BinaryIO) -> None:
        self.count = 0
        self._file = file

    def copy(self, line: bytes) -> None:
        """Write a line as it is."""
        self._file.write(line.rstrip(b"\r\n") + b"\n")
        self.count += 1

    def add(self, rows: Iterable[QuarantineRow]) -> None:
        """Write a line for each row: channel, kind, key, reason, the record itself, and how to try again."""
        for row in rows:
            entry = {
                "channel": row.source, "what": row.what, "key": row.key, "reason": row.reason,
                "raw": orjson.loads(row.raw), "retry": row.retry,
            }  # fmt: skip
            self.copy(orjson.dumps(entry))


@contextmanager
def replaced_quarantine(path: Path) -> Iterator[QuarantineFile]:
    """Replace what the file has from the journal with what the block adds; the broken records of the plan stay.

    Without any record the file is removed. Raises OSError.
    """
    with replaced_file(path) as file:
        written = QuarantineFile(file)
        if path.exists():
            with path.open("rb") as lines:
                for line in lines:
                    if line.strip() and not _is_row(line):
                        written.copy(line)
        yield written
    if not written.count:
        _delete_file(path)


def _is_row(line: bytes) -> bool:
    """Return whether a line of the file came from the journal, which has its record. Others stay as they are."""
    try:
        entry = orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return isinstance(entry, dict) and "what" in entry


def _delete_file(path: Path) -> None:
    path.unlink(missing_ok=True)
