"""`adapter.migration`: plans are made here, and the other verbs begin here."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.settings import Settings
from channel_adapter.errors import ConfigurationError, ConflictError, InvalidError
from channel_adapter.migration import report as reporting
from channel_adapter.migration import rollback as rolling_back
from channel_adapter.migration.budget import Allowance
from channel_adapter.migration.cutover import cutover as cutting
from channel_adapter.migration.cutover.cutover import Cutover, CutoverOptions, CutoverState, life_of, state_of
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.make_plan import (
    BROKEN_LISTED,
    Found,
    Inventory,
    Pace,
    PeopleTally,
    PostTally,
    Wishes,
    make_plan,
    migration_of,
    target_ids,
)
from channel_adapter.migration.plan.resolutions import Policies
from channel_adapter.migration.plan.transform import Target, judge_post
from channel_adapter.migration.report import Report
from channel_adapter.migration.rollback import Rollback
from channel_adapter.migration.run import apply as applying
from channel_adapter.migration.run import quarantine as retrying
from channel_adapter.migration.run.apply import Bounds, Hear, Status, silent
from channel_adapter.migration.sources.accounts import AccountsSource
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.mirrored import without_copies
from channel_adapter.migration.sources.opening import open_source
from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    BrokenRecord,
    Source,
    SourceChannel,
    SourceKind,
    SourceSpec,
)
from channel_adapter.migration.target import TargetReader
from channel_adapter.migration.verify import verify as verifying
from channel_adapter.migration.verify.findings import NOTHING_ACCEPTED, Accepted, Verdict
from channel_adapter.migration.verify.verify import Write, unwritten
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.unread.service import Unreads
from channel_adapter.tencent import limits
from channel_adapter.tencent.notify import Notifier

Tell = Callable[[str, int], None]
"""Hears of progress: what is read ("channels", "posts", "people"), and how many more."""


TOLD: Final = 10


def _silent(what: str, count: int) -> None:
    """For those who do not listen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a plan is made. `read_people` reads all subscribers of accounts, to know what they lose beforehand."""

    policies: Policies = field(default_factory=Policies)
    migration: str = ""
    renamed: Mapping[str, str] | None = None
    member_cap: int = limits.COMMUNITY_MEMBERS
    read_people: bool = False


class Migration:
    """Moves channels from a source to this app."""

    def __init__(
        self, gateway: ApiCaller, accounts: Accounts, settings: Settings, clock: Clock, unread: Unreads | None = None
    ) -> None:
        """`unread` fills conversation groups at the end of a cutover."""
        self.gateway = gateway
        self.accounts = accounts
        self.settings = settings
        self.clock = clock
        self.unread = unread

    @property
    def target(self) -> Target:
        """What the settings allow."""
        own = self.settings.channels
        sizes = limits.GROUP_PROFILE if own.profile_limits == "current" else limits.GROUP_PROFILE_LEGACY
        return Target(own.field_keys, sizes, self.settings.posts.max_bytes)

    @asynccontextmanager
    async def source(self, spec: SourceSpec) -> AsyncIterator[Source]:
        """The source that a plan names, open."""
        source = await open_source(spec, self.gateway, concurrency=self.settings.concurrency, now=self.clock.now())
        try:
            yield without_copies(source, self.settings)
        finally:
            await source.aclose()

    @asynccontextmanager
    async def accounts_source(self, found: Discovered) -> AsyncIterator[Source]:
        """Official accounts that were looked for, with the lines of the search that gave none."""
        source = AccountsSource(
            self.gateway,
            found.accounts,
            concurrency=self.settings.concurrency,
            searched=found.searched,
            broken=found.broken,
        )
        yield source
        await source.aclose()

    async def plan(
        self, source: Source, options: Options | None = None, *, before: Plan | None = None, tell: Tell = _silent
    ) -> Plan:
        """What moving this source takes. Nothing is written; the same source and target give the same plan.

        `before` is an earlier plan of the same source: where that had people or posts and now there are none, it is
        an error. Raises NotFoundError for an account that is gone, ConflictError for a source that has become empty,
        ConfigurationError for an edition without Communities or imports, and whatever makes the source fail.
        """
        options = options or Options()
        tell = Notifier("tell", tell)
        channels = [channel async for channel in source.channels()]
        tell("channels", len(channels))
        if not channels:
            raise InvalidError("the source has no channel", field="source", size=0)
        wishes = self._wishes(options)
        ids = [channel.id for channel in channels]
        goals = [goal for goal in target_ids(ids, wishes).values() if not isinstance(goal, InvalidError)]
        reader = TargetReader(self.gateway, self.accounts, self.target.keys, self.settings)
        if goals:
            await reader.check_edition(goals[0])
        found = await self._count(source, channels, options, tell)
        if before is not None:
            check_not_emptied(before, source.spec, found)
        broken, broken_count = await _listed(source.broken())
        inventory = Inventory(
            spec=source.spec,
            found=tuple(found),
            taken=await reader.taken(goals, migration_of(ids, wishes)),
            accounts=await reader.known(user for channel in channels for user in (channel.owner, *channel.admins)),
            broken=broken,
            broken_count=broken_count,
        )
        return make_plan(inventory, wishes)

    async def apply(
        self, plan: Plan, *, database: str | None = None, bounds: Bounds | None = None, tell: Hear = silent
    ) -> Status:
        """Carry out a plan, go on with it, or move what has changed since. See `migration.apply`."""
        return await applying.apply(self, plan, database=database, bounds=bounds, tell=tell)

    async def status(self, migration: str, *, database: str | None = None) -> Status:
        """How far a migration is. Raises ConflictError when the database does not know it."""
        return await applying.status(self, migration, database=database)

    async def retry(
        self, plan: Plan, *, database: str | None = None, bounds: Bounds | None = None, tell: Hear = silent
    ) -> Status:
        """Go on with what failed or was stopped, and try again what is in the quarantine."""
        return await retrying.retry(self, plan, database=database, bounds=bounds, tell=tell)

    async def work(self, *, database: str | None = None, bounds: Bounds | None = None) -> int:
        """Work on what others have queued in this database until the bounds, or a cancellation; calls made."""
        return await applying.work(self, database=database, bounds=bounds)

    async def verify(
        self, plan: Plan, *, accepted: Accepted = NOTHING_ACCEPTED, bounds: Bounds | None = None,
        write: Write = unwritten, tell: Tell = _silent,
    ) -> Verdict:  # fmt: skip
        """Read source and target afresh and compare everything; `write` gets every finding. Changes nothing.

        `accepted` are findings of an earlier verification that somebody has looked at: they are explained.
        """
        life = await life_of(self, plan)
        allowance = self.allowance(bounds)
        return await verifying.verify(
            self, plan, allowance=allowance, life=life, accepted=accepted, write=write, tell=tell
        )

    async def cutover(
        self, plan: Plan, options: CutoverOptions | None = None, *, database: str | None = None,
        bounds: Bounds | None = None, tell: cutting.Tell = cutting.silent,
    ) -> Cutover:  # fmt: skip
        """Last delta, verification, and then posting moves to the channels. See `migration.cutover`."""
        return await cutting.cutover(self, plan, options, database=database, bounds=bounds, tell=tell)

    async def cutover_state(self, plan: Plan) -> CutoverState | None:
        """How far a cutover is, as the adapter's database has it; None where none has begun."""
        return await state_of(self, plan.migration)

    async def rollback(
        self, plan: Plan, *, remove: bool = False, database: str | None = None, bounds: Bounds | None = None,
        tell: rolling_back.Tell = rolling_back.silent,
    ) -> Rollback:  # fmt: skip
        """List the groups that could go; with `remove`, let them go. The source is only read."""
        url = self.settings.database_url
        return await rolling_back.rollback(
            self, plan, remove=remove, allowance=self.allowance(bounds), tell=tell,
            database=database or (url.get_secret_value() if url else None),
        )  # fmt: skip

    async def report(
        self, plan: Plan, *, database: str | None = None, verdict: Mapping[str, Any] | None = None
    ) -> Report:
        """What is known of a migration, for people and for machines. Neither source nor target is asked."""
        url = self.settings.database_url
        return await reporting.report(
            self, plan, database=database or (url.get_secret_value() if url else None), verdict=verdict
        )

    def allowance(self, bounds: Bounds | None) -> Allowance:
        """What one run may do, beginning now."""
        bounds = bounds or Bounds()
        return Allowance(self.clock, calls=bounds.calls, seconds=bounds.seconds)

    def _wishes(self, options: Options) -> Wishes:
        if options.policies.stores and self.settings.database_url is None:
            raise ConfigurationError(
                "policy store keeps originals in the adapter's database: set database_url", field="database_url"
            )
        return Wishes(
            sdkappid=self.settings.sdkappid,
            target=self.target,
            policies=options.policies,
            migration=options.migration,
            renamed=options.renamed or {},
            member_cap=options.member_cap,
            pace=Pace(self.settings.subscriptions.add_per_call, self.settings.calls_per_second),
        )

    async def _count(
        self, source: Source, channels: Iterable[SourceChannel], options: Options, tell: Tell
    ) -> list[Found]:
        """Read every channel's posts, and people where that is wanted or costs nothing; several channels at once."""
        people = options.read_people or source.spec.kind is SourceKind.FILES
        target = self.target

        async def count(channel: SourceChannel) -> Found:
            posts = PostTally()
            async for post in source.posts_any_order(channel.id):
                posts.add(post, judge_post(post, target))
                tell("posts", 1)
            return Found(channel, posts, await _people(source, channel, tell) if people else None)

        at_once = self.settings.concurrency
        async with aclosing(concurrently(channels, count, limit=at_once, ordered=True)) as counted:
            return [found async for found in counted]


def check_not_emptied(before: Plan, spec: SourceSpec, found: Iterable[Found]) -> None:
    """Refuse a source that had something when `before` was made, and has nothing of it now. Raises ConflictError.

    A channel that is missing counts, unless the ids were named one by one: then somebody has left it out on purpose.
    """
    now = {each.channel.id: each for each in found}
    named = spec.kind is SourceKind.ACCOUNTS and not spec.searched
    emptied: list[str] = []
    for channel in before.channels:
        was, current = channel.source, now.get(channel.source.id)
        if current is None:
            emptied += [] if named else [f"{was.id} was there"]
            continue
        if was.people.subscribers and not current.channel.subscriber_count:
            emptied.append(f"{was.id} had {was.people.subscribers} subscribers")
        if was.posts.reachable and not current.posts.any():
            emptied.append(f"{was.id} had {was.posts.reachable} posts")
    if emptied:
        more = f" and {len(emptied) - TOLD} more" if len(emptied) > TOLD else ""
        raise ConflictError(
            f"the source answers empty where it was not before: {'; '.join(emptied[:TOLD])}{more}; if that is right,"
            " plan again without the earlier plan (--accept-empty)",
            field="source", size=len(emptied),
        )  # fmt: skip


async def _people(source: Source, channel: SourceChannel, tell: Tell) -> PeopleTally:
    """Read all subscribers of a channel, a page at a time."""
    tally = PeopleTally()
    cursor: str | None = FIRST_PAGE
    while cursor is not None:
        page = await source.subscribers(channel.id, cursor)
        for person in page.subscribers:
            tally.add(person)
        tell("people", len(page.subscribers))
        cursor = page.next
    return tally


async def _listed(records: AsyncIterator[BrokenRecord]) -> tuple[tuple[BrokenRecord, ...], int]:
    """The first broken records, and how many there are."""
    listed: list[BrokenRecord] = []
    count = 0
    async for record in records:
        count += 1
        if count <= BROKEN_LISTED:
            listed.append(record)
    return tuple(listed), count
