"""Trying again what could not go: people, their options, admins, and posts that still come last."""

from collections import defaultdict
from typing import TYPE_CHECKING, Final

import orjson

from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration import apply as applying
from channel_adapter.migration.metered import TRANSIENT, Allowance, Stopped
from channel_adapter.migration.plan import Plan
from channel_adapter.migration.records import SourceSubscriber
from channel_adapter.migration.status import Status, read_status
from channel_adapter.migration.transform import refused, subscriber_losses
from channel_adapter.migration.work import ADMIN, NOTIFICATIONS, SUBSCRIBER, ChannelWork

if TYPE_CHECKING:
    from channel_adapter.migration.planning import Migration
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
            from channel_adapter.migration.run import Runtime  # noqa: PLC0415 - an extra
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
    from channel_adapter.migration.move_people import PeopleImporter  # noqa: PLC0415 - an extra

    people = [person_of_raw(row.raw) for row in rows]
    there = await PeopleImporter(work).again([person for person in people if not _forbidden(work, person)])
    await work.note()
    await work.journal.forget([row for row in rows if row.key in there])


async def _went(work: ChannelWork, row: "QuarantineRow") -> bool:
    from channel_adapter.migration.move_channel import make_admin  # noqa: PLC0415 - an extra
    from channel_adapter.migration.move_people import PeopleImporter  # noqa: PLC0415

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
