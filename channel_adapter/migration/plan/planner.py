"""Make a plan: read every channel of a source once, look at the target, and hand both to `make_plan`."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from channel_adapter.backends.community.importing import GroupState
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import ConfigurationError, ConflictError, InvalidError
from channel_adapter.migration.budget import ProgressCallback, noop_progress
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.plan.document import Plan, TargetState
from channel_adapter.migration.plan.make_plan import (
    BROKEN_LISTED,
    CallRates,
    ChannelInventory,
    IdConflict,
    Inventory,
    PlanRequest,
    PostTally,
    SubscriberTally,
    make_plan,
    migration_of,
    target_ids,
)
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.plan.transform import assess_post
from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    BrokenRecord,
    Source,
    SourceChannel,
    SourceKind,
    SourceSpec,
    subscriber_guard,
)
from channel_adapter.tencent import limits
from channel_adapter.tencent.notify import Notifier

NAMED_CHANNELS: Final = 10
"""Channels that an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How a plan is made. `read_subscribers` reads all subscribers of accounts, to know what they lose."""

    policies: Resolutions = field(default_factory=Resolutions)
    migration: str = ""
    renamed: Mapping[str, str] | None = None
    member_cap: int = limits.COMMUNITY_MEMBERS
    read_subscribers: bool = False


class Planner:
    """Make plans; `before` is an earlier plan of the same source."""

    def __init__(
        self,
        context: MigrationContext,
        options: PlanOptions | None = None,
        before: Plan | None = None,
        on_progress: ProgressCallback = noop_progress,
    ) -> None:
        self._context = context
        self._options = options or PlanOptions()
        self._before = before
        self._importer = context.importer(context.target.keys)
        self._on_progress = Notifier("on_progress", on_progress)

    async def plan(self, source: Source) -> Plan:
        """Return what moving this source takes. Nothing is written; the same source and target yield the same plan.

        Raises NotFoundError for an account that does not exist, ConflictError for a source that has become empty since
        the earlier plan, ConfigurationError for an edition without Communities or imports, and errors of the source.
        """
        channels = [channel async for channel in source.channels()]
        self._on_progress("channels", len(channels))
        if not channels:
            raise InvalidError("the source has no channel", field="source", size=0)
        request = self._make_request()
        ids = [channel.id for channel in channels]
        goals = [goal for goal in target_ids(ids, request).values() if not isinstance(goal, InvalidError)]
        if goals:
            await self._importer.check_edition(self._context.settings.admin, goals[0])
        found = await self._read_inventories(source, channels)
        if self._before is not None:
            check_not_emptied(self._before, source.spec, found)
        broken, broken_count = await _list_broken_records(source.broken())
        inventory = Inventory(
            spec=source.spec,
            found=tuple(found),
            conflicts=await self._find_conflicts(goals, migration_of(ids, request)),
            accounts=await self._check_accounts(
                user for channel in channels for user in (channel.owner, *channel.admins)
            ),
            broken=broken,
            broken_count=broken_count,
        )
        return make_plan(inventory, request)

    def _make_request(self) -> PlanRequest:
        settings, options = self._context.settings, self._options
        if options.policies.stores and settings.database_url is None:
            raise ConfigurationError(
                "policy store keeps originals in the adapter's database: set database_url", field="database_url"
            )
        return PlanRequest(
            sdkappid=settings.sdkappid,
            target=self._context.target,
            policies=options.policies,
            migration=options.migration,
            renamed=options.renamed or {},
            member_cap=options.member_cap,
            pace=CallRates(settings.subscriptions.add_per_call, settings.calls_per_second),
        )

    async def _find_conflicts(self, channels: Iterable[ChannelId], migration: str) -> dict[str, IdConflict]:
        """Return what exists at these ids on the target; ids that are free are left out."""
        found: dict[str, IdConflict] = {}
        parts = batches(dict.fromkeys(channels), self._importer.groups_per_call)
        limit = self._context.settings.concurrency
        async with aclosing(concurrently(parts, self._importer.inspect, limit=limit)) as replies:
            async for groups in replies:
                found |= {channel: _to_conflict(group, migration) for channel, group in groups.items()}
        return found

    async def _check_accounts(self, users: Iterable[str]) -> dict[str, bool]:
        """Return which of these users are accounts of the app."""
        found = await self._context.accounts.check([user for user in dict.fromkeys(users) if _is_user(user)])
        return {str(user): exists for user, exists in found.items()}

    async def _read_inventories(self, source: Source, channels: Iterable[SourceChannel]) -> list[ChannelInventory]:
        """Read every channel's posts, and subscribers where that is asked for or costs nothing; several at once."""
        wanted = self._options.read_subscribers or source.spec.kind is SourceKind.FILES
        target = self._context.target

        async def count(channel: SourceChannel) -> ChannelInventory:
            posts = PostTally()
            async for post in source.posts_any_order(channel.id):
                posts.add(post, assess_post(post, target))
                self._on_progress("posts", 1)
            return ChannelInventory(channel, posts, await self._read_subscribers(source, channel) if wanted else None)

        limit = self._context.settings.concurrency
        async with aclosing(concurrently(channels, count, limit=limit, ordered=True)) as counted:
            return [found async for found in counted]

    async def _read_subscribers(self, source: Source, channel: SourceChannel) -> SubscriberTally:
        """Count all subscribers of a channel, read a page at a time."""
        tally = SubscriberTally()
        cursor: str | None = FIRST_PAGE
        guard = subscriber_guard()
        while cursor is not None:
            page = await source.subscribers(channel.id, cursor)
            for subscriber in page.subscribers:
                tally.add(subscriber)
            self._on_progress("subscribers", len(page.subscribers))
            cursor = None if page.next is None else guard.advance(cursor, page.next)
        return tally


def check_not_emptied(before: Plan, spec: SourceSpec, found: Iterable[ChannelInventory]) -> None:
    """Refuse a source that had something when `before` was made, and has nothing of it now. Raises ConflictError.

    A channel that is missing counts, unless the ids were named one by one: then it was left out on purpose.
    """
    now = {each.channel.id: each for each in found}
    named = spec.kind is SourceKind.ACCOUNTS and not spec.searched
    emptied: list[str] = []
    for channel in before.channels:
        was, current = channel.source, now.get(channel.source.id)
        if current is None:
            emptied += [] if named else [f"{was.id} was there"]
            continue
        if was.audience.subscribers and not current.channel.subscriber_count:
            emptied.append(f"{was.id} had {was.audience.subscribers} subscribers")
        if was.posts.reachable and not current.posts.any():
            emptied.append(f"{was.id} had {was.posts.reachable} posts")
    if emptied:
        more = f" and {len(emptied) - NAMED_CHANNELS} more" if len(emptied) > NAMED_CHANNELS else ""
        raise ConflictError(
            f"the source answers empty where it was not before: {'; '.join(emptied[:NAMED_CHANNELS])}{more};"
            " if that is right, plan again without the earlier plan (--accept-empty)",
            field="source", size=len(emptied),
        )  # fmt: skip


async def _list_broken_records(records: AsyncIterator[BrokenRecord]) -> tuple[tuple[BrokenRecord, ...], int]:
    """Return the first broken records, and how many there are."""
    listed: list[BrokenRecord] = []
    count = 0
    async for record in records:
        count += 1
        if count <= BROKEN_LISTED:
            listed.append(record)
    return tuple(listed), count


def _to_conflict(group: GroupState, migration: str) -> IdConflict:
    if group.tag is None:
        return IdConflict(TargetState.STRANGER, group.channel.name)
    if not group.tag.migration:
        return IdConflict(TargetState.CHANNEL, group.channel.name)
    state = TargetState.OURS if group.tag.migration == migration else TargetState.OTHER_MIGRATION
    return IdConflict(state, group.tag.migration)


def _is_user(text: str) -> bool:
    return 0 < len(text.encode()) <= limits.USER_ID_BYTES
