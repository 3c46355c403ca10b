"""Read source and target again and compare every profile field, post and subscriber. The journal is not read.

A channel is compared in a temporary file of its own, so memory does not grow with its subscribers. Errors of the
network end the comparison; what the service refuses to show of one channel is a finding.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeVar

from channel_adapter.backends.community.importing import GroupState
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS
from channel_adapter.migration.budget import TRANSIENT, ProgressCallback, noop_progress
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.plan.document import Plan, PlannedChannel, check_app
from channel_adapter.migration.plan.resolutions import PROFILE_INCOMPATIBILITIES, Incompatibility
from channel_adapter.migration.plan.transform import imported_post_number
from channel_adapter.migration.sources.source import Source, SourceChannel, SourceKind, SourcePost, every_subscriber
from channel_adapter.migration.verify.compare import (
    CompareContext,
    Originals,
    PostCutover,
    canonical,
    compare_post,
    compare_profile,
    compare_subscriber,
    extra_post,
    extra_subscriber,
    missing_subscriber,
)
from channel_adapter.migration.verify.findings import (
    EMPTY_BASELINE,
    EVERY,
    Baseline,
    Finding,
    FindingCounts,
    Mark,
    Subject,
    VerificationResult,
)
from channel_adapter.migration.verify.scratch import ComparisonScratchDb, TargetPost
from channel_adapter.store.database import Database
from channel_adapter.store.migration import StoredOriginals
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.wire import members, messages

R = TypeVar("R")

CONCURRENT_CHANNELS: Final = 8
"""Channels that are compared at the same time; each reads its subscribers and its posts concurrently."""
_POSTS_PER_BATCH: Final = 50
_ORDER: Final = {Subject.PROFILE: 0, Subject.POST: 1, Subject.SUBSCRIBER: 2}

FindingCallback = Callable[[Finding], None]

NOT_COMPARED: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.ACCOUNTS: ("unread counts: no call tells how far a subscriber of an official account has read",),
    SourceKind.FILES: (),
}
_MEMBER_FIELDS: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.ACCOUNTS: SUBSCRIBER_FIELDS,
    SourceKind.FILES: (*SUBSCRIBER_FIELDS, "MsgSeq"),
}

POST_ORIGINAL, SUBSCRIBER_ORIGINAL = "post", "subscriber"
"""Kinds of originals in the database."""


def noop_finding(finding: Finding) -> None:
    """Ignore a finding."""


async def verify(
    context: MigrationContext,
    plan: Plan,
    *,
    post_cutovers: Mapping[str, PostCutover] | None = None,
    accepted: Baseline = EMPTY_BASELINE,
    on_finding: FindingCallback = noop_finding,
    on_progress: ProgressCallback = noop_progress,
) -> VerificationResult:
    """Compare everything; `on_finding` receives every finding, channel by channel in the order of the plan.

    `post_cutovers`, by source id: channels whose posting has moved, which may have subscribers and posts of their own.
    `accepted` are findings that are waived. Raises InvalidError for a plan of another app, BudgetExhausted at the end
    of the budget, and errors of source and target.
    """
    check_app(plan, context.settings.sdkappid, "this")
    result = VerificationResult(plan.migration, context.clock.now(), NOT_COMPARED[plan.source.kind])
    async with context.source(plan.source) as source, _stored_originals(context, plan) as originals:
        notify = Notifier("on_progress", on_progress)
        comparer = ChannelComparer(context, plan, source, originals, post_cutovers or {}, notify)
        limit = min(CONCURRENT_CHANNELS, context.settings.concurrency)
        compared = concurrently(comparer.pairs(), comparer.compare, limit=limit, ordered=True)
        async with aclosing(compared) as channels:
            async for channel, scratch in channels:
                with scratch:
                    counts = result.channels[channel] = FindingCounts()
                    for finding in map(accepted.apply, scratch.findings()):
                        counts.add(finding)
                        on_finding(finding)
                        result.name(finding)
                notify("channels", 1)
    return result


@asynccontextmanager
async def _stored_originals(context: MigrationContext, plan: Plan) -> AsyncIterator[StoredOriginals | None]:
    """Open the originals that the policy `store` has stored; None where no policy does."""
    if not plan.chosen.stores:
        yield None
        return
    url = context.database_url
    if url is None:
        raise ConfigurationError(
            "the plan keeps originals in the adapter's database: set database_url", field="database_url"
        )
    originals = StoredOriginals(Database.shared(url))
    try:
        yield originals
    finally:
        await originals.close()


@dataclass(frozen=True, slots=True)
class ChannelPair:
    """A channel on both sides, as far as it exists."""

    planned: PlannedChannel
    source: SourceChannel | None
    group: GroupState | None


@dataclass(frozen=True, slots=True)
class ChannelComparison:
    """One channel while it is compared. `staff` are its owner and admins in the source."""

    context: CompareContext
    scratch: ComparisonScratchDb
    staff: frozenset[str]

    @property
    def channel(self) -> str:
        """The id on the target."""
        return self.context.channel.target.channel

    def record(self, *findings: Finding) -> None:
        """Keep findings in the order of profile, posts, subscribers."""
        for finding in findings:
            self.scratch.add_findings(_ORDER[finding.what], [finding])


class ChannelComparer:
    """Compare the channels of one plan."""

    def __init__(
        self,
        context: MigrationContext,
        plan: Plan,
        source: Source,
        originals: StoredOriginals | None,
        post_cutovers: Mapping[str, PostCutover],
        on_progress: ProgressCallback,
    ) -> None:
        self._context = context
        self._plan = plan
        self._target = plan.limits.target()
        self._importer = context.importer(self._target.keys)
        self._source = source
        self._originals = originals
        self._post_cutovers = post_cutovers
        self._on_progress = on_progress

    async def pairs(self) -> AsyncGenerator[ChannelPair, None]:
        """Yield every channel of the plan, 50 groups read in a call."""
        existing = await self._context.existing_channels(self._plan, self._source)
        async with aclosing(batches(self._plan.channels, self._importer.groups_per_call)) as parts:
            async for part in parts:
                groups = await self._importer.inspect([each.target.channel for each in part])
                for planned in part:
                    yield ChannelPair(planned, existing.get(planned.source.id), groups.get(planned.target.channel))

    async def compare(self, pair: ChannelPair) -> tuple[str, ComparisonScratchDb]:
        """Compare one channel; return its id in the source and its findings, which the caller closes."""
        planned, group, source = pair.planned, pair.group, pair.source
        after = self._post_cutovers.get(planned.source.id, PostCutover())
        born = (group.created_at if group else 0) or planned.target.created_at or 0
        now = int(self._context.clock.now())
        last = max(0, (group.next_seq or 1) - 1) if group else 0
        context = CompareContext(planned, self._plan.migration, self._target, self._plan.chosen, born, now, after, last)
        staff = frozenset({planned.target.owner, *source.admins}) if source else frozenset()
        with ExitStack() as stack:
            comparison = ChannelComparison(context, stack.enter_context(ComparisonScratchDb()), staff)
            if source is None:
                explained = "removed by the cutover" if after.destroyed else ""
                comparison.record(
                    context.finding(
                        Subject.PROFILE, "channel", Mark.UNREADABLE, reason="gone from the source", explained=explained
                    )
                )
            else:
                await self._compare_parts(comparison, source, group)
            stack.pop_all()
        return planned.source.id, comparison.scratch

    async def _compare_parts(
        self, comparison: ChannelComparison, source: SourceChannel, group: GroupState | None
    ) -> None:
        tag = group.tag if group else None
        ours = tag is not None and tag.migration == self._plan.migration
        if not ours:
            comparison.record(_missing_group_finding(comparison.context, group))
        admins: list[str] | None = None
        parts = (self._read_and_compare_posts, self._read_and_compare_subscribers)
        async with aclosing(concurrently(parts, lambda part: part(comparison, ours), limit=len(parts))) as ended:
            async for found in ended:
                admins = found if found is not None else admins
        if group is not None and tag is not None and ours:
            originals = await self._profile_originals(comparison)
            comparison.record(*compare_profile(comparison.context, source, group.channel, tag, admins, originals))

    async def _profile_originals(self, comparison: ChannelComparison) -> dict[Incompatibility, Originals]:
        return {each: await self._read_originals(comparison, each.value, [""]) for each in PROFILE_INCOMPATIBILITIES}

    async def _read_originals(self, comparison: ChannelComparison, what: str, keys: Sequence[str]) -> dict[str, str]:
        if self._originals is None or not keys:
            return {}
        return await self._originals.get(comparison.channel, what, keys)

    # Posts

    async def _read_and_compare_posts(self, comparison: ChannelComparison, ours: bool) -> None:
        if ours:
            await _await_or_record_refusal(comparison, Subject.POST, "the target", self._read_history(comparison))
        await _await_or_record_refusal(comparison, Subject.POST, "the source", self._compare_posts(comparison))

    async def _read_history(self, comparison: ChannelComparison) -> None:
        channel = comparison.context.channel.target.channel
        async with aclosing(self._importer.raw_pages(channel)) as pages:
            async for page in pages:
                comparison.scratch.add_posts(_target_post(message, comparison.context) for message in page)

    async def _compare_posts(self, comparison: ChannelComparison) -> None:
        context, scratch = comparison.context, comparison.scratch
        latest = 0
        async with aclosing(batches(self._source.posts(context.id), _POSTS_PER_BATCH)) as parts:
            async for part in parts:
                latest = await self._compare_batch(comparison, part, latest)
                self._on_progress("posts", len(part))
        numbers: set[int] = set()
        if any(True for _ in scratch.posts_left()):
            numbers = {post.number async for post in self._source.posts_any_order(context.id)}
        for found in scratch.posts_left():
            comparison.record(extra_post(context, found, found.number in numbers))

    async def _compare_batch(self, comparison: ChannelComparison, posts: Sequence[SourcePost], latest: int) -> int:
        """Compare posts; return the highest number on the target of those that exist there."""
        originals = await self._read_originals(comparison, POST_ORIGINAL, [post.key for post in posts])
        for post in posts:
            found = comparison.scratch.take_post(post.number)
            in_order = found is None or found.seq > latest
            latest = max(latest, found.seq if found else 0)
            original = originals.get(post.key)
            comparison.record(compare_post(comparison.context, post, found, original, in_order=in_order))
        return latest

    # Subscribers

    async def _read_and_compare_subscribers(self, comparison: ChannelComparison, ours: bool) -> list[str] | None:
        """Compare subscribers; return the admins of the target, None where they could not be read."""
        admins: list[str] | None = None
        await _await_or_record_refusal(comparison, Subject.SUBSCRIBER, "the source", self._read_subscribers(comparison))
        if ours:
            admins = await _await_or_record_refusal(
                comparison, Subject.SUBSCRIBER, "the target", self._compare_members(comparison)
            )
        for subscribers in comparison.scratch.subscribers_left():
            comparison.record(*(missing_subscriber(comparison.context, each) for each in subscribers))
            self._on_progress("subscribers", len(subscribers))
        return admins

    async def _read_subscribers(self, comparison: ChannelComparison) -> None:
        """Read all subscribers of the source except the owner."""
        owner = comparison.context.channel.target.owner
        async with aclosing(every_subscriber(self._source, comparison.context.id)) as pages:
            async for subscribers in pages:
                comparison.scratch.add_subscribers(each for each in subscribers if each.user != owner)

    async def _compare_members(self, comparison: ChannelComparison) -> list[str]:
        admins: set[str] = set()
        fields = _MEMBER_FIELDS[self._plan.source.kind]
        channel = comparison.context.channel.target.channel
        async with aclosing(self._importer.member_pages(channel, fields)) as pages:
            async for page in pages:
                ordinary = [member for member in page if member.role != members.OWNER]
                admins |= {member.member_account for member in ordinary if member.role == members.ADMIN}
                await self._compare_page(comparison, ordinary)
                self._on_progress("subscribers", len(ordinary))
        return sorted(admins)

    async def _compare_page(self, comparison: ChannelComparison, page: Sequence[members.Member]) -> None:
        context, scratch = comparison.context, comparison.scratch
        subscribers = scratch.take_subscribers([member.member_account for member in page])
        with_data = [subscriber.user for subscriber, _ in subscribers.values() if subscriber.custom_data]
        originals = await self._read_originals(comparison, SUBSCRIBER_ORIGINAL, with_data)
        for member in page:
            user = member.member_account
            subscriber, seen = subscribers.get(user, (None, False))
            if subscriber is not None and not seen:
                comparison.record(compare_subscriber(context, subscriber, member, originals.get(user)))
            elif subscriber is None and user not in comparison.staff and scratch.is_new(user):
                comparison.record(extra_subscriber(context, member))


async def _await_or_record_refusal(
    comparison: ChannelComparison, subject: Subject, side: str, reading: Awaitable[R]
) -> R | None:
    """Return what is read; a permanent refusal is a finding and no failure."""
    try:
        return await reading
    except TRANSIENT:
        raise
    except ChannelAdapterError as error:
        reason = f"{side} does not show them: {error.message}"
        comparison.record(comparison.context.finding(subject, EVERY, Mark.UNREADABLE, reason=reason))
        return None


def _target_post(message: messages.HistoryMessage, context: CompareContext) -> TargetPost:
    number: int | None = None
    if not message.is_system_msg:
        number = imported_post_number(context.migration, context.channel.target.channel, message.msg_random or 0)
    return TargetPost(
        message.msg_seq,
        number,
        message.msg_time_stamp,
        message.is_place_msg,
        message.from_account,
        canonical(message.msg_body),
    )


def _missing_group_finding(context: CompareContext, group: GroupState | None) -> Finding:
    """Return the finding for a missing group, and for a group of another owner."""
    if group is None:
        return context.finding(Subject.PROFILE, "channel", Mark.MISSING, reason="there is no such group")
    tag = group.tag
    whose = "a group that is no channel" if tag is None else f"a channel of {tag.migration or 'no migration'}"
    return context.finding(
        Subject.PROFILE, "channel", Mark.MISSING, reason=f"{whose} stands there, {group.channel.name!r}"
    )
