"""Take a migration back: list the groups that may be removed, remove them, and clean conversation groups.

A group is removed when its tag names the migration, everything in it came from the source, and the source still
exists. The journal may confirm that subscribers who have left the source since came from there, and nothing else.
Users of a removed channel are recorded first and struck off when their conversation group has lost it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from channel_adapter.backends.community.importing import CommunityImporter, GroupState
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.subscription import AssignmentStatus
from channel_adapter.migration.budget import Budget, ProgressCallback, noop_progress
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.cutover.cutover import open_redirects
from channel_adapter.migration.plan.document import Plan, PlannedChannel, check_app
from channel_adapter.migration.plan.transform import imported_post_number, join_time
from channel_adapter.migration.sources.accounts import sequence_of
from channel_adapter.migration.sources.source import Source, SourceChannel, SourceKind, every_subscriber
from channel_adapter.migration.verify.scratch import ComparisonScratchDb
from channel_adapter.services.unread.service import UnreadService
from channel_adapter.store.cutover import CutoverUsers
from channel_adapter.store.database import Database
from channel_adapter.store.migration import MOVED, MigrationStore
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.wire import members

CONCURRENT_CHANNELS: Final = 8
USERS_PER_BATCH: Final = 100


class RollbackStatus(StrEnum):
    """What becomes of one channel."""

    ABSENT = "absent"  # there is no such group: nothing to do
    FOREIGN = "foreign"  # the group is none of this migration's
    LIVES = "lives"  # posts or subscribers of its own since
    SOURCE_GONE = "source_gone"  # the group is the only copy
    REMOVABLE = "removable"
    REMOVED = "removed"
    CHANGED = "changed"  # a user joined or posted between the list and the removal


LEFT: Final = frozenset(
    {RollbackStatus.LIVES, RollbackStatus.SOURCE_GONE, RollbackStatus.CHANGED, RollbackStatus.REMOVABLE}
)
"""Groups of this migration that still exist."""
GONE: Final = frozenset({RollbackStatus.REMOVED, RollbackStatus.ABSENT})


@dataclass(frozen=True, slots=True)
class RollbackItem:
    """One channel of the plan. Own posts and subscribers are those that did not come from the source."""

    source: str
    target: str
    status: RollbackStatus
    posts: int = 0
    subscribers: int = 0
    own_posts: int = 0
    own_subscribers: int = 0
    reason: str = ""
    mark: tuple[int, int] = (0, 0)
    """Next message number and number of members when it was inspected."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was found, or done. `acted` is False for a list.

    `filled`: a cutover has put these channels into conversation groups. The groups of `cleared` users have lost removed
    channels again, and those of `to_clear` users are still to lose them: another run tries.
    """

    migration: str
    items: tuple[RollbackItem, ...]
    acted: bool
    filled: bool = False
    cleared: int = 0
    to_clear: int = 0

    @property
    def complete(self) -> bool:
        """Return whether nothing of this migration exists any more, in conversation groups either."""
        return not self.to_clear and not any(item.status in LEFT for item in self.items)


async def rollback(
    context: MigrationContext,
    plan: Plan,
    *,
    remove: bool = False,
    budget: Budget | None = None,
    on_progress: ProgressCallback = noop_progress,
) -> Rollback:
    """List the groups that may be removed; with `remove`, remove them. May be repeated, and continues where it ended.

    Removed channels leave the journal. Raises InvalidError for a plan of another app, BudgetExhausted at the end of the
    budget, and errors of source and target.
    """
    check_app(plan, context.settings.sdkappid, "this")
    budget = budget or Budget(context.clock)
    notify = Notifier("on_progress", on_progress)
    bound = context.with_budget(budget)
    async with (
        _open_journal(context.journal) as journal,
        bound.source(plan.source) as source,
        open_group_cleanup(context, plan.migration) as cleanup,
    ):
        inspector = ChannelInspector(bound, plan, source, JournalHints(journal, plan.migration))
        items: list[RollbackItem] = []
        inspected = concurrently(inspector.snapshots(), inspector.inspect, limit=CONCURRENT_CHANNELS, ordered=True)
        async with aclosing(inspected) as found:
            async for item in found:
                done = item
                if remove and item.status is RollbackStatus.REMOVABLE:
                    done = await _remove_group(bound, plan, item, cleanup)
                if remove and done.status in GONE:
                    await _forget_channel(context, journal, plan.migration, done)
                items.append(done)
                notify(done.status, 1)
        result = Rollback(plan.migration, tuple(items), remove)
        if cleanup is None:
            return result
        stay = [item.target for item in items if item.status not in GONE]
        cleaned = await cleanup.run(stay, budget, notify) if remove else 0
        return replace(result, filled=cleanup.filled, cleared=cleaned, to_clear=await cleanup.pending())


@asynccontextmanager
async def _open_journal(url: str | None) -> AsyncIterator[Database | None]:
    if url is None:
        yield None
        return
    database = Database.shared(url)
    try:
        yield database
    finally:
        await database.close()


async def _forget_channel(
    context: MigrationContext, journal: Database | None, migration: str, item: RollbackItem
) -> None:
    """Delete the records of a removed channel: its account may be moved again, and broadcasts are allowed again."""
    if context.database_url is not None:
        async with open_redirects(context) as redirects:
            await redirects.store.forget(migration, item.source)
    if journal is not None:
        await MigrationStore(journal).forget_channel(migration, item.source, item.target)


async def _remove_group(
    context: MigrationContext, plan: Plan, item: RollbackItem, cleanup: "GroupCleanup | None"
) -> RollbackItem:
    """Dissolve a group, unless it has changed since it was inspected."""
    planned = plan.channel(item.source)
    if planned is None:
        return item
    channel, importer = planned.target.channel, context.importer(plan.limits.target().keys)
    group = (await importer.inspect([channel])).get(channel)
    if group is not None and (_change_mark(group) != item.mark or not is_ours(group, plan.migration)):
        return replace(
            item, status=RollbackStatus.CHANGED, reason="a user joined or posted meanwhile: inspect it again"
        )
    if group is not None:
        if cleanup is not None:
            await cleanup.record(importer, channel)
        await importer.destroy(channel)
    return replace(item, status=RollbackStatus.REMOVED)


def is_ours(group: GroupState, migration: str) -> bool:
    """Return whether the group's tag names this migration."""
    return group.tag is not None and group.tag.migration == migration


def _change_mark(group: GroupState) -> tuple[int, int]:
    return group.next_seq, group.members


class JournalHints:
    """Users that this migration has moved, as the journal has them; none without a journal."""

    def __init__(self, database: Database | None, migration: str) -> None:
        self._database = database
        self._migration = migration

    async def moved(self, source: str, users: Sequence[str]) -> set[str]:
        """Return those of the users that were moved; not those whose call has an unknown outcome."""
        if self._database is None or not users:
            return set()
        store = MigrationStore(self._database)
        await store.prepare()
        rows = await store.users(self._migration, source, users)
        return {user for user, row in rows.items() if row.status == MOVED}


@dataclass(frozen=True, slots=True)
class ChannelSnapshot:
    planned: PlannedChannel
    source: SourceChannel | None
    group: GroupState | None


class ChannelInspector:
    """Compare every channel of a plan with its source, without writing."""

    def __init__(self, context: MigrationContext, plan: Plan, source: Source, hints: JournalHints) -> None:
        self._context = context
        self._plan = plan
        self._source = source
        self._hints = hints
        self._importer = context.importer(plan.limits.target().keys)

    async def snapshots(self) -> AsyncGenerator[ChannelSnapshot, None]:
        """Yield every channel as it is, 50 groups read in a call."""
        existing = await self._context.existing_channels(self._plan, self._source)
        async with aclosing(batches(self._plan.channels, self._importer.groups_per_call)) as parts:
            async for part in parts:
                channels = [each.target.channel for each in part if each.target.id]
                groups = await self._importer.inspect(channels) if channels else {}
                for planned in part:
                    source = existing.get(planned.source.id)
                    yield ChannelSnapshot(planned, source, groups.get(planned.target.channel))

    async def inspect(self, snapshot: ChannelSnapshot) -> RollbackItem:
        """Return what may be done about one channel."""
        planned, group = snapshot.planned, snapshot.group
        item = RollbackItem(planned.source.id, planned.target.id, RollbackStatus.ABSENT)
        if group is None:
            return item
        if not is_ours(group, self._plan.migration):
            return replace(item, status=RollbackStatus.FOREIGN, reason="the group is none of this migration's")
        item = replace(item, subscribers=max(0, group.members - 1), mark=_change_mark(group))
        if snapshot.source is None:
            reason = "the source is gone: what stands here is the only copy"
            return replace(item, status=RollbackStatus.SOURCE_GONE, reason=reason)
        posts, own_posts = await self._count_posts(planned)
        staff = {planned.target.owner, *planned.target.admins, *snapshot.source.admins}
        own_users = await self._count_own_users(planned, group.created_at, staff)
        item = replace(item, posts=posts, own_posts=own_posts, own_subscribers=own_users)
        if own_posts or own_users:
            reason = f"did not come from the source: posts {own_posts}, subscribers {own_users}"
            return replace(item, status=RollbackStatus.LIVES, reason=reason)
        return replace(item, status=RollbackStatus.REMOVABLE)

    async def _count_posts(self, planned: PlannedChannel) -> tuple[int, int]:
        """Return the number of posts, and how many of them were published here."""
        numbers = {post.number async for post in self._source.posts_any_order(planned.source.id)}
        # The source may have forgotten old posts that were moved; their numbers lie below the newest's.
        highest = sequence_of(planned.source.posts.newest) if self._plan.source.kind is SourceKind.ACCOUNTS else 0
        posts = own = 0
        async with aclosing(self._importer.raw_pages(planned.target.channel)) as pages:
            async for page in pages:
                for message in page:
                    if message.is_system_msg:
                        continue
                    number = imported_post_number(self._plan.migration, planned.target.channel, message.msg_random or 0)
                    posts += 1
                    own += number not in numbers and not 0 < number <= highest
        return posts, own

    async def _count_own_users(self, planned: PlannedChannel, born: int, staff: Collection[str]) -> int:
        """Return how many members did not come from the source; `staff` are its owner and its admins."""
        now, own = int(self._context.clock.now()), 0
        with ComparisonScratchDb() as scratch:
            async for subscribers in every_subscriber(self._source, planned.source.id):
                scratch.add_subscribers(subscribers)
            async with aclosing(self._importer.member_pages(planned.target.channel)) as pages:
                async for page in pages:
                    ordinary = [each for each in page if each.member_account not in staff]
                    own += await self._count_own_on_page(planned.source.id, scratch, ordinary, born, now)
        return own

    async def _count_own_on_page(
        self, source: str, scratch: ComparisonScratchDb, page: Sequence[members.Member], born: int, now: int
    ) -> int:
        known = scratch.take_subscribers([member.member_account for member in page])
        doubtful: list[str] = []
        for member in page:
            user = member.member_account
            if user not in known:
                doubtful.append(user)
                continue
            expected = join_time(known[user][0].since, born, now)
            if expected is not None and (member.join_time or 0) > expected:
                doubtful.append(user)
        return len(set(doubtful) - await self._hints.moved(source, doubtful))


class GroupCleanup:
    """Take removed channels out of conversation groups. `filled`: a cutover has put channels into them, or is to."""

    def __init__(
        self, migration: str, users: CutoverUsers, unread: UnreadService, concurrency: int, *, filled: bool
    ) -> None:
        self.filled = filled
        self._migration = migration
        self._users = users
        self._unread = unread
        self._concurrency = concurrency

    async def record(self, importer: CommunityImporter, channel: ChannelId) -> None:
        """Record all members of a channel that is about to be removed."""
        if not self.filled:
            return
        await self._users.prepare()
        async with aclosing(importer.member_pages(channel)) as pages:
            async for page in pages:
                members_of_page = [each.member_account for each in page]
                await self._users.add_to_clean(self._migration, channel, members_of_page)

    async def pending(self) -> int:
        """Return the number of users whose conversation groups are still to lose channels."""
        return await self._users.count_to_clean_if_any(self._migration)

    async def run(self, stay: Sequence[str], budget: Budget, on_progress: ProgressCallback) -> int:
        """Take the channels out, except those in `stay`; return the number of users whose groups have lost them.

        Users whose group could not be changed stay recorded. Raises BudgetExhausted at the end of the budget.
        """
        if not await self.pending():
            return 0
        await self._users.keep(self._migration, stay)
        on_progress("to_clear", await self.pending())
        last, cleaned = "", 0
        while batch := await self._users.to_clean_after(self._migration, last, USERS_PER_BATCH):
            budget.check()
            done: list[str] = []
            async with aclosing(concurrently(batch.items(), self._unassign_user, limit=self._concurrency)) as results:
                async for user, ok in results:
                    if ok:
                        done.append(user)
                    on_progress("cleared", 1)
            await self._users.cleaned(self._migration, done)
            last, cleaned = list(batch)[-1], cleaned + len(done)  # the last one in the order of the database
        return cleaned

    async def _unassign_user(self, item: tuple[str, list[str]]) -> tuple[str, bool]:
        user, channels = item
        assignments = await self._unread.unassign(user, channels)
        return user, all(each.status is not AssignmentStatus.FAILED for each in assignments.values())


@asynccontextmanager
async def open_group_cleanup(context: MigrationContext, migration: str) -> AsyncIterator[GroupCleanup | None]:
    """Open what cleans conversation groups; None where no cutover can have filled any."""
    if context.database_url is None or context.unread is None:
        yield None
        return
    async with open_redirects(context) as redirects:
        store = redirects.store
        row = await store.cutover(migration) if await store.channels_if_any() else None
        filled = row is not None and bool(row.fill_wanted)
        users = CutoverUsers(store.database)
        yield GroupCleanup(migration, users, context.unread, context.settings.concurrency, filled=filled)
