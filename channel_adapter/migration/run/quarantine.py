"""Records that could not be moved: the file quarantine.jsonl, and trying them again."""

import dataclasses
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration.budget import TRANSIENT, Allowance, Stopped
from channel_adapter.migration.plan.document import Plan, whole_file
from channel_adapter.migration.plan.transform import refused, subscriber_losses
from channel_adapter.migration.run import apply as applying
from channel_adapter.migration.run.apply import Status, read_status
from channel_adapter.migration.run.work import ADMIN, NOTIFICATIONS, SUBSCRIBER, ChannelWork
from channel_adapter.migration.sources.source import BrokenRecord, SourceSubscriber

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration
    from channel_adapter.store.migration import QuarantineRow


_AT_ONCE: Final = 200


async def retry(
    migration: "Migration",
    plan: Plan,
    *,
    database: str | None = None,
    bounds: applying.Bounds | None = None,
    tell: applying.Hear = applying.silent,
) -> Status:
    """Go on with channels that failed or were stopped, then try what is in the quarantine; how far it is then.

    What goes leaves the quarantine. Posts and profile fields stay there: only a new plan changes what becomes of them.
    Raises what `apply` raises, and ConflictError when nothing of the plan was ever applied.
    """
    url = applying.database_for(migration, database, plan)
    async with applying.journal_at(url) as journal:
        before = await read_status(journal, plan.migration)
    if not before.complete:
        before = await applying.apply(migration, plan, database=database, bounds=bounds, tell=tell)
        if before.stopped:
            return before
    bounds = bounds or applying.Bounds()
    allowance = Allowance(migration.clock, calls=bounds.calls, seconds=bounds.seconds)
    allowance.calls = before.calls
    async with applying.journal_at(url) as journal:
        with applying.needs_durable(url):
            from channel_adapter.migration.run.jobs import Runtime  # noqa: PLC0415 - an extra
        runtime = Runtime(migration.gateway, migration.settings, migration.clock, journal, allowance)
        by_channel: dict[str, list[QuarantineRow]] = defaultdict(list)
        for row in await journal.store.quarantined(plan.migration):
            by_channel[row.source].append(row)
        job = await journal.store.job(plan.migration)
        try:
            for held in await journal.store.channels(plan.migration):
                if job is not None and by_channel[held.source] and plan.channel(held.source) is not None:
                    work = await runtime.work_on(plan, held, job.round)
                    await _again(work, by_channel[held.source])
        except Stopped:
            await journal.flush()
        finally:
            await runtime.close()
        await journal.flush()
        return await read_status(journal, plan.migration, allowance)


async def _again(work: ChannelWork, rows: "list[QuarantineRow]") -> None:
    """Try the records of one channel."""
    people = [row for row in rows if row.what == SUBSCRIBER]
    for start in range(0, len(people), _AT_ONCE):
        await _bring(work, people[start : start + _AT_ONCE])
    for row in rows:
        if row.what in (ADMIN, NOTIFICATIONS) and await _went(work, row):
            await work.journal.forget([row])


async def _bring(work: ChannelWork, rows: "list[QuarantineRow]") -> None:
    from channel_adapter.migration.run.subscribers import PeopleImporter  # noqa: PLC0415 - an extra

    people = [person_of_raw(row.raw) for row in rows]
    there = await PeopleImporter(work).again([person for person in people if not _forbidden(work, person)])
    await work.note()
    await work.journal.forget([row for row in rows if row.key in there])


async def _went(work: ChannelWork, row: "QuarantineRow") -> bool:
    from channel_adapter.migration.run.channel import make_admin  # noqa: PLC0415 - an extra
    from channel_adapter.migration.run.subscribers import PeopleImporter  # noqa: PLC0415

    try:
        if row.what == ADMIN:
            await make_admin(work, row.key)
            return True
        return bool(await PeopleImporter(work).set_options(person_of_raw(row.raw)))
    except TRANSIENT:
        raise
    except ChannelAdapterError:
        return False


def _forbidden(work: ChannelWork, person: SourceSubscriber) -> bool:
    return bool(refused(subscriber_losses(person), work.policies))


def person_of_raw(text: str) -> SourceSubscriber:
    """A subscriber out of the quarantine."""
    raw = orjson.loads(text)
    return SourceSubscriber(**{**raw, "notifications": Notifications(raw["notifications"])})


MEND = "mend the line in the file and plan again"


async def write_broken(path: Path, records: AsyncIterator[BrokenRecord]) -> int:
    """Write the broken records of a source; how many there were. Without any, a file of before goes. Raises OSError."""
    count = 0
    with whole_file(path) as file:
        async for record in records:
            entry = dataclasses.asdict(record) | {"retry": MEND}
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    if not count:
        _remove(path)
    return count


def write_quarantine(path: Path, rows: Iterable["QuarantineRow"]) -> int:
    """Write what could not go, behind the broken records that the plan has put there; how much there is now.

    A line of these names channel, kind, key, reason, the record whole, and how to try again. Raises OSError.
    """
    held = path.read_bytes().splitlines() if path.exists() else []
    broken = [line for line in held if "what" not in orjson.loads(line)]
    count = 0
    with whole_file(path) as file:
        for line in broken:
            file.write(line + b"\n")
            count += 1
        for row in rows:
            entry = {
                "channel": row.source, "what": row.what, "key": row.key, "reason": row.reason,
                "raw": orjson.loads(row.raw), "retry": row.retry,
            }  # fmt: skip
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    if not count:
        _remove(path)
    return count


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
