"""Take a migration back: list the groups that may be removed, remove them, and clean conversation groups.

A group is removed when its tag names the migration, everything in it came from the source, and the source still
exists. Users of a removed channel are recorded first and struck off when their conversation group has lost it.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.assignment import AssignmentStatus
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import NotFoundError
from channel_adapter.migration.bounded import bounded
from channel_adapter.migration.budget import Allowance, Stopped
from channel_adapter.migration.cutover.cutover import opened
from channel_adapter.migration.plan.document import Plan, PlannedChannel, check_app
from channel_adapter.migration.plan.transform import Target, join_time, post_number
from channel_adapter.migration.run.apply import needs_durable
from channel_adapter.migration.source_reading import every_subscriber, present_channels
from channel_adapter.migration.sources.accounts import sequence_of
from channel_adapter.migration.sources.source import Source, SourceKind
from channel_adapter.migration.target import NO_GROUP, member_pages, message_pages, read_groups
from channel_adapter.migration.verify.scratch import Ledger
from channel_adapter.tencent.catalog import DESTROY_GROUP
from channel_adapter.tencent.limits import GROUP_INFO_PER_CALL
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.wire import groups, members

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration
    from channel_adapter.services.unread.service import Unreads
    from channel_adapter.store.cutover import CutoverPeople
    from channel_adapter.store.database import Database


CLEARED_AT_ONCE: Final = 100


class Clearing:
    """What a rollback does about conversation groups. `filled`: the cutover has filled any, or is at it."""

    def __init__(self, name: str, people: "CutoverPeople", unread: "Unreads", at_once: int, *, filled: bool) -> None:
        self.filled = filled
        self._name = name
        self._people = people
        self._unread = unread
        self._at_once = at_once

    async def note(self, gateway: ApiCaller, channel: ChannelId) -> None:
        """The channel is about to be removed: write down everybody in it."""
        if not self.filled:
            return
        await self._people.prepare()
        async with aclosing(member_pages(gateway, channel)) as pages:
            async for page in pages:
                await self._people.to_clear(self._name, channel, [each.member_account for each in page])

    async def waiting(self) -> int:
        """People whose groups are still to lose channels."""
        return await self._people.count_clearing_if_any(self._name)

    async def carry_out(self, stay: Sequence[str], allowance: Allowance, tell: Callable[[str, int], None]) -> int:
        """Take the channels out, but for those that stay; how many people's groups have lost them.

        Whose group could not be changed is still waiting then. Raises Stopped at the end of the allowance.
        """
        if not await self.waiting():
            return 0
        await self._people.keep(self._name, stay)
        tell("to_clear", await self.waiting())
        last, cleared = "", 0
        while wanted := await self._people.clearing_after(self._name, last, CLEARED_AT_ONCE):
            if allowance.used_up:
                raise Stopped(allowance.reason)
            done: list[str] = []
            async with aclosing(concurrently(wanted.items(), self._clear, limit=self._at_once)) as answers:
                async for person, gone in answers:
                    if gone:
                        done.append(person)
                    tell("cleared", 1)
            await self._people.cleared(self._name, done)
            last, cleared = list(wanted)[-1], cleared + len(done)  # the last one in the order of the database
        return cleared

    async def _clear(self, wanted: tuple[str, list[str]]) -> tuple[str, bool]:
        person, channels = wanted
        assignments = await self._unread.unassign(person, channels)
        return person, all(each.status is not AssignmentStatus.FAILED for each in assignments.values())


@asynccontextmanager
async def clearing_for(migration: "Migration", name: str) -> AsyncIterator[Clearing | None]:
    """For one migration; None where no cutover can have filled anything."""
    if migration.settings.database_url is None or migration.unread is None:
        yield None
        return
    from channel_adapter.store.cutover import CutoverPeople  # noqa: PLC0415 - an extra

    async with opened(migration) as posting:
        store = posting.store
        row = await store.cutover(name) if await store.moved_if_any() else None
        filled = row is not None and bool(row.fill_wanted)
        people = CutoverPeople(store.database)
        yield Clearing(name, people, migration.unread, migration.settings.concurrency, filled=filled)


CHANNELS_AT_ONCE: Final = 8

Tell = Callable[[str, int], None]
"""Hears of progress: what was found of a channel, or done about it (a Standing); "to_clear", "cleared" for people."""


class Standing(StrEnum):
    """What becomes of one channel."""

    ABSENT = "absent"  # there is no such group: nothing to do
    FOREIGN = "foreign"  # the group is none of this migration's
    LIVES = "lives"  # posts or subscribers of its own since
    SOURCE_GONE = "source_gone"  # what stands here is the only copy
    REMOVABLE = "removable"
    REMOVED = "removed"
    CHANGED = "changed"  # somebody came or posted between the list and the removal


LEFT: Final = frozenset({Standing.LIVES, Standing.SOURCE_GONE, Standing.CHANGED, Standing.REMOVABLE})
"""Groups of this migration that still stand."""
GONE: Final = frozenset({Standing.REMOVED, Standing.ABSENT})


@dataclass(frozen=True, slots=True)
class RollbackItem:
    """One channel of the plan. Own posts and subscribers are those that did not come from the source."""

    source: str
    target: str
    standing: Standing
    posts: int = 0
    subscribers: int = 0
    own_posts: int = 0
    own_subscribers: int = 0
    reason: str = ""
    mark: tuple[int, int] = (0, 0)
    """Next message number and members when it was looked at."""


@dataclass(frozen=True, slots=True)
class Rollback:
    """What was found, or done. `acted` is False for a list.

    `filled`: a cutover has put these channels into people's conversation groups. `cleared` people's have lost them
    again, and those of `to_clear` are still to lose what is gone: another run tries.
    """

    migration: str
    items: tuple[RollbackItem, ...]
    acted: bool
    filled: bool = False
    cleared: int = 0
    to_clear: int = 0

    def having(self, *standings: Standing) -> tuple[RollbackItem, ...]:
        """Items with one of these standings."""
        return tuple(item for item in self.items if item.standing in standings)

    @property
    def complete(self) -> bool:
        """Does nothing of this migration stand any more, in nobody's conversation groups either?"""
        return not self.to_clear and not any(item.standing in LEFT for item in self.items)


def silent(what: str, count: int) -> None:
    """For those who do not listen."""


async def rollback(
    migration: "Migration", plan: Plan, *, remove: bool = False, database: str | None = None,
    allowance: Allowance | None = None, tell: Tell = silent,
) -> Rollback:  # fmt: skip
    """List what would go; with `remove`, let it go. May be repeated, and ends where it was stopped.

    `database` is the journal's, if there is one: removed channels leave it. Raises InvalidError for a plan of another
    app, Stopped at the end of the allowance, and whatever makes source or target fail.
    """
    check_app(plan, migration.settings.sdkappid, "this")
    tell = Notifier("tell", tell)
    allowance = allowance or Allowance(migration.clock)
    bound = bounded(migration, allowance)
    async with (
        _journal(database) as held,
        bound.source(plan.source) as source,
        clearing_for(migration, plan.migration) as clearing,
    ):
        surveyor = _Surveyor(bound, plan, source, _Hints(held, plan.migration))
        items: list[RollbackItem] = []
        looked = concurrently(surveyor.sightings(), surveyor.look, limit=CHANNELS_AT_ONCE, ordered=True)
        async with aclosing(looked) as found:
            async for item in found:
                done = item
                if remove and item.standing is Standing.REMOVABLE:
                    done = await _remove(bound, plan, item, clearing)
                if remove and done.standing in GONE:
                    await _forget(migration, held, plan.migration, done)
                items.append(done)
                tell(done.standing, 1)
        result = Rollback(plan.migration, tuple(items), remove)
        if clearing is None:
            return result
        stay = [item.target for item in items if item.standing not in GONE]
        cleared = await clearing.carry_out(stay, allowance, tell) if remove else 0
        return replace(result, filled=clearing.filled, cleared=cleared, to_clear=await clearing.waiting())


@asynccontextmanager
async def _journal(url: str | None) -> "AsyncIterator[Database | None]":
    if url is None:
        yield None
        return
    with needs_durable(url):
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
    database = Database.shared(url)
    try:
        yield database
    finally:
        await database.close()


async def _forget(migration: "Migration", journal: "Database | None", name: str, item: RollbackItem) -> None:
    """The account may be moved again, and posting is its own matter again."""
    if migration.settings.database_url is not None:
        async with opened(migration) as posting:
            await posting.store.forget(name, item.source)
    if journal is not None:
        from channel_adapter.store.migration import Forgetting  # noqa: PLC0415 - an extra

        await Forgetting(journal).forget(name, item.source, item.target)


async def _remove(migration: "Migration", plan: Plan, item: RollbackItem, clearing: Clearing | None) -> RollbackItem:
    """Dissolve a group, unless something has happened in it since it was looked at."""
    planned = plan.channel(item.source)
    if planned is None:
        return item
    channel, keys = planned.target.channel, plan.limits.target().keys
    info = (await read_groups(migration.gateway, [channel], keys)).get(channel)
    if info is not None and (_mark(info) != item.mark or not is_ours(info, plan.migration, plan.limits.target())):
        return replace(item, standing=Standing.CHANGED, reason="somebody came or posted meanwhile: look again")
    if info is not None:
        if clearing is not None:
            await clearing.note(migration.gateway, channel)
        try:
            await migration.gateway.call(DESTROY_GROUP, groups.DestroyGroupRequest(group_id=channel))
        except NotFoundError as error:
            if error.code not in NO_GROUP:
                raise
    return replace(item, standing=Standing.REMOVED)


def is_ours(info: groups.GroupInfo, migration: str, target: Target) -> bool:
    """Does the group's tag carry this migration?"""
    tag = channel_group.tag_of(channel_group.fields_of(info), target.keys)
    return tag is not None and tag.migration == migration


def _mark(info: groups.GroupInfo) -> tuple[int, int]:
    return info.next_msg_seq or 0, info.member_num or 0


class _Hints:
    """What the journal knows of who was brought by this migration; without one, nobody."""

    def __init__(self, database: "Database | None", migration: str) -> None:
        self._database = database
        self._migration = migration

    async def brought(self, source: str, users: Sequence[str]) -> set[str]:
        """Who of these was brought here."""
        if self._database is None or not users:
            return set()
        from channel_adapter.store.migration import MOVED, SENT, MigrationStore  # noqa: PLC0415 - an extra

        store = MigrationStore(self._database)
        await store.prepare()
        rows = await store.people(self._migration, source, users)
        return {user for user, row in rows.items() if row.standing in (MOVED, SENT)}


@dataclass(frozen=True, slots=True)
class _Sight:
    planned: PlannedChannel
    at_source: bool
    info: groups.GroupInfo | None


class _Surveyor:
    """Looks at every channel of a plan."""

    def __init__(self, migration: "Migration", plan: Plan, source: Source, hints: _Hints) -> None:
        self._migration = migration
        self._plan = plan
        self._source = source
        self._hints = hints
        self._target = plan.limits.target()

    async def sightings(self) -> AsyncGenerator[_Sight, None]:
        """Both sides of every channel, 50 read at a time."""
        there = await present_channels(self._migration, self._plan, self._source)
        async with aclosing(batches(self._plan.channels, GROUP_INFO_PER_CALL)) as parts:
            async for part in parts:
                channels = [each.target.channel for each in part if each.target.id]
                infos = await read_groups(self._migration.gateway, channels, self._target.keys) if channels else {}
                for planned in part:
                    yield _Sight(planned, planned.source.id in there, infos.get(planned.target.channel))

    async def look(self, sight: _Sight) -> RollbackItem:
        """What becomes of one channel."""
        planned, info = sight.planned, sight.info
        item = RollbackItem(planned.source.id, planned.target.id, Standing.ABSENT)
        if info is None:
            return item
        if not is_ours(info, self._plan.migration, self._target):
            return replace(item, standing=Standing.FOREIGN, reason="the group is none of this migration's")
        item = replace(item, subscribers=max(0, (info.member_num or 0) - 1), mark=_mark(info))
        if not sight.at_source:
            reason = "the source is gone: what stands here is the only copy"
            return replace(item, standing=Standing.SOURCE_GONE, reason=reason)
        posts, own_posts = await self._posts(planned)
        own_people = await self._own_people(planned, info.create_time or 0)
        item = replace(item, posts=posts, own_posts=own_posts, own_subscribers=own_people)
        if own_posts or own_people:
            reason = f"did not come from the source: posts {own_posts}, subscribers {own_people}"
            return replace(item, standing=Standing.LIVES, reason=reason)
        return replace(item, standing=Standing.REMOVABLE)

    async def _posts(self, planned: PlannedChannel) -> tuple[int, int]:
        """How many posts there are, and how many of them were published here."""
        numbers = {post.number async for post in self._source.posts_any_order(planned.source.id)}
        # The source may have forgotten old posts that were moved; their numbers lie below the newest's.
        highest = sequence_of(planned.source.posts.newest) if self._plan.source.kind is SourceKind.ACCOUNTS else 0
        posts = own = 0
        async with aclosing(message_pages(self._migration.gateway, planned.target.channel)) as pages:
            async for page in pages:
                for message in page:
                    if message.is_system_msg:
                        continue
                    number = post_number(self._plan.migration, planned.target.channel, message.msg_random or 0)
                    posts += 1
                    own += number not in numbers and not 0 < number <= highest
        return posts, own

    async def _own_people(self, planned: PlannedChannel, born: int) -> int:
        """How many came by themselves."""
        now, own = int(self._migration.clock.now()), 0
        staff = {planned.target.owner, *planned.target.admins}
        with Ledger() as ledger:
            async for people in every_subscriber(self._source, planned.source.id):
                ledger.add_people(people)
            async with aclosing(member_pages(self._migration.gateway, planned.target.channel)) as pages:
                async for page in pages:
                    ordinary = [each for each in page if each.member_account not in staff]
                    own += await self._own_among(planned.source.id, ledger, ordinary, born, now)
        return own

    async def _own_among(self, source: str, ledger: Ledger, page: Sequence[members.Member], born: int, now: int) -> int:
        known = ledger.take_people([member.member_account for member in page])
        doubtful: list[str] = []
        for member in page:
            user = member.member_account
            if user not in known:
                doubtful.append(user)
                continue
            expected = join_time(known[user][0].since, born, now)
            if expected is not None and (member.join_time or 0) > expected:
                doubtful.append(user)
        return len(set(doubtful) - await self._hints.brought(source, doubtful))
