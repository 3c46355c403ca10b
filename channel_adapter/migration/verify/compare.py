"""Compare one profile, post or subscriber of source and target at a time. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from channel_adapter.backends.community.tag import Tag
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.subscription import Notifications
from channel_adapter.mapping.content import from_elements
from channel_adapter.mapping.subscription_member import to_notifications
from channel_adapter.migration.plan.document import PlannedChannel
from channel_adapter.migration.plan.resolutions import (
    PROFILE_INCOMPATIBILITIES,
    Incompatibility,
    Resolution,
    Resolutions,
)
from channel_adapter.migration.plan.transform import (
    MappedPost,
    TargetLimits,
    join_time,
    map_post,
    map_profile,
    subscriber_losses,
)
from channel_adapter.migration.sources.source import SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.migration.verify.findings import FieldDifference, Finding, Mark, Subject, Value
from channel_adapter.migration.verify.scratch import TargetPost
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import members, messages
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement

FOREIGN: Final = "written by another user than the channel: private, and never moved"
EXPIRED: Final = "the source has no body of it any more"
AS_PLANNED: Final = "no part of it can be carried, as the plan says"
LATER: Final = "the target wants each post later than the one before"
BORN_LATER: Final = "on the target no user can join before the channel was created"
UNKNOWN_SETTING: Final = "a setting that this version does not know is not moved"
SINCE_THE_CUTOVER: Final = "since posting has moved"
UNTOLD: Final = "the target does not report how far users have read"
FEWER_POSTS: Final = "no user can have more unread than there are posts"
BEYOND: Final = "longer ago than the target's history reaches: it cannot be read"
_SHOWN: Final = 200
_DAY: Final = 86_400

Originals = Mapping[str, str]
"""Originals in the adapter's database by the key of the post or subscriber, "" for a text of a profile."""


@dataclass(frozen=True, slots=True)
class PostCutover:
    """What may have happened on the target since posting has moved there.

    0 for a channel that has not moved, and for one that moved without a clean verification: then losses
    and changes look alike. `destroyed`: its source was removed by the cutover.
    """

    verified_at: float = 0.0
    moved_at: float = 0.0
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class CompareContext:
    """What one channel is compared by, and when. `created_at` and `last_seq`, of its newest post, are the target's."""

    channel: PlannedChannel
    migration: str
    target: TargetLimits
    policies: Resolutions
    created_at: int
    now: int
    after: PostCutover = PostCutover()
    last_seq: int = 0

    @property
    def id(self) -> str:
        """The id in the source."""
        return self.channel.source.id

    def beyond(self, time: int) -> bool:
        """Return whether a time is before the history of the target, on the plans that keep least."""
        return time < self.now - limits.ROAMING_DAYS * _DAY

    def finding(self, what: Subject, key: str, mark: Mark, **more: Any) -> Finding:
        """Return a finding about this channel."""
        return Finding(self.id, what, key, mark, **more)

    def policy(self, loss: Incompatibility, original: str | None, stored: str | None) -> str:
        """Return what explains this loss; empty when the policy forbids it, or its original is not stored."""
        policy = self.policies.of(loss)
        if policy is Resolution.REFUSE or (policy is Resolution.STORE and (stored is None or stored != original)):
            return ""
        return f"policy {loss}={policy}"


# Profiles


def compare_profile(
    context: CompareContext,
    source: SourceChannel,
    found: Channel,
    tag: Tag,
    admins: Sequence[str] | None,
    originals: Mapping[Incompatibility, Originals],
) -> Iterator[Finding]:
    """Yield one finding a field. `admins` are those of the target, None where they could not be read."""
    goal, lost = context.channel.target, {text.loss: text for text in map_profile(source, context.target).lost}
    for loss in PROFILE_INCOMPATIBILITIES:
        whole, has = getattr(source, loss.value), getattr(found, loss.value)
        explained = ""
        if loss in lost and has == lost[loss].kept:
            explained = context.policy(loss, whole, originals.get(loss, {}).get(""))
        yield _compare_field(
            context, loss.value, whole, has, explained, unchanged=whole == getattr(context.channel.source, loss.value)
        )
    yield _compare_field(context, "owner", source.owner, found.owner or "", unchanged=source.owner == goal.owner)
    born = source.created_at or goal.created_at
    if born:
        yield _compare_field(context, "created_at", born, context.created_at)
    if goal.max_subscribers is not None:
        yield _compare_field(context, "max_subscribers", goal.max_subscribers, found.max_subscribers, unchanged=True)
    yield _compare_field(context, "posting", "closed", "closed" if found.complete else "open to all")
    wanted = goal.tag(context.migration)
    same = tag.migration == wanted.migration and set(wanted.kept) <= set(tag.kept)
    yield _compare_field(context, "tag", wanted.text(), wanted.text() if same else tag.text())
    if admins is not None:
        there = {user for user in source.admins if user != goal.owner}
        yield _compare_field(context, "admins", " ".join(sorted(there)), " ".join(sorted(admins)), unchanged=True)


def _compare_field(
    context: CompareContext, name: str, source: Value, target: Value, explained: str = "", *, unchanged: bool = False
) -> Finding:
    """Compare one field. `unchanged`: the source is as it was when the plan was made, so the target was changed."""
    if source == target:
        return context.finding(Subject.PROFILE, name, Mark.SAME)
    if unchanged and context.after.verified_at and not explained:
        explained = f"changed here {SINCE_THE_CUTOVER}"
    difference = FieldDifference(name, _shorten_text(source), _shorten_text(target), explained)
    return context.finding(Subject.PROFILE, name, Mark.DIFFERS, differences=(difference,))


def _shorten_text(value: Value) -> Value:
    """Shorten long texts and add a digest, so that texts that differ later stay different."""
    if not isinstance(value, str) or len(value) <= _SHOWN:
        return value
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{value[:_SHOWN]}… ({len(value):,} characters, {digest})"


# Posts


def canonical(elements: Sequence[ReceivedElement]) -> bytes:
    """Return a body as bytes that are equal for equal bodies."""
    return orjson.dumps([[each.msg_type, each.msg_content] for each in elements], option=orjson.OPT_SORT_KEYS)


def compare_post(
    context: CompareContext, post: SourcePost, current: TargetPost | None, stored: str | None, *, in_order: bool
) -> Finding:
    """Compare a post. `current` has its number on the target, `stored` is its original in the database."""

    def found(mark: Mark, **more: Any) -> Finding:
        return context.finding(Subject.POST, post.key, mark, **more)

    if post.state is SourceState.FOREIGN:
        return found(Mark.MISSING, explained=FOREIGN) if current is None else found(Mark.DIFFERS, reason=FOREIGN)
    if post.state is SourceState.EXPIRED:
        return found(Mark.UNREADABLE, explained=EXPIRED)
    if post.state is SourceState.RECALLED:
        if current is None or current.place != messages.PLACE_NORMAL:
            return found(Mark.SAME)
        return found(Mark.DIFFERS, reason="recalled in the source and still here")
    mapped = map_post(post, context.target)
    if current is None and mapped.body is not None and context.beyond(post.time):
        return found(Mark.UNREADABLE, explained=BEYOND)
    if current is None:
        return found(Mark.MISSING, explained=_explain_left_behind(context, post, mapped, stored))
    if current.place == messages.PLACE_RECALLED:
        since = f"recalled here {SINCE_THE_CUTOVER}" if context.after.verified_at else ""
        return found(Mark.DIFFERS, reason="recalled here", explained=since)
    if current.place == messages.PLACE_GONE:
        beyond = BEYOND if context.beyond(current.time) else ""
        return found(Mark.UNREADABLE, reason="the target has no body of it any more", explained=beyond)
    differences = tuple(_post_differences(context, post, mapped, current, stored, in_order=in_order))
    return found(Mark.DIFFERS if differences else Mark.SAME, differences=differences)


def extra_post(context: CompareContext, current: TargetPost, known: bool) -> Finding:
    """Return the finding for a post that only the target has; `known` if it repeats one of the source."""
    if known:
        return context.finding(Subject.POST, f"#{current.seq}", Mark.EXTRA, reason="a second copy")
    live = bool(context.after.moved_at) and current.time >= int(context.after.moved_at)
    explained = f"published here {SINCE_THE_CUTOVER}" if live else ""
    return context.finding(Subject.POST, f"#{current.seq}", Mark.EXTRA, explained=explained)


def original_of(text: str | None) -> bytes | None:
    """Return the body of a stored original, as `canonical` has it; None when there is none, or it cannot be read."""
    if text is None:
        return None
    try:
        return canonical([Element.model_validate(each) for each in orjson.loads(text)["body"]])
    except (ValueError, KeyError, TypeError):
        return None


def _explain_left_behind(context: CompareContext, post: SourcePost, mapped: MappedPost, stored: str | None) -> str:
    if mapped.body is not None:
        return ""
    if post.key in context.channel.left_behind:
        return AS_PLANNED
    policies = [context.policies.of(loss) for loss in mapped.lost]
    named = ", ".join(f"{loss}={policy}" for loss, policy in zip(mapped.lost, policies, strict=True))
    return f"policy {named}; no part of it can be carried" if policies and Resolution.REFUSE not in policies else ""


def _post_differences(
    context: CompareContext,
    post: SourcePost,
    mapped: MappedPost,
    current: TargetPost,
    stored: str | None,
    *,
    in_order: bool,
) -> Iterator[FieldDifference]:
    there = [
        ReceivedElement.model_construct(msg_type=kind, msg_content=content)
        for kind, content in orjson.loads(current.body)
    ]
    body = mapped.body or ()
    same = canonical(body) == current.body or (bool(body) and from_elements(body) == from_elements(there))
    if not same:
        edited = f"changed here {SINCE_THE_CUTOVER}" if context.after.verified_at else ""
        yield FieldDifference("body", _shorten_body(post.body), _shorten_body(there), edited)
    elif mapped.lost:
        original = canonical(post.body).decode()
        whole = original_of(stored)
        explained = [context.policy(loss, original, whole.decode() if whole else None) for loss in mapped.lost]
        yield FieldDifference(
            "body", _shorten_body(post.body), _shorten_body(there), ", ".join(explained) if all(explained) else ""
        )
    author = post.author or context.channel.target.owner
    if current.author != author:
        yield FieldDifference("author", author, current.author)
    if current.time != post.time:
        latest = max(current.before, context.created_at)
        pushed = current.time > post.time and current.time == latest + 1
        yield FieldDifference("time", post.time, current.time, LATER if pushed else "")
    if not in_order:
        yield FieldDifference("order", post.key, f"#{current.seq}")


def _shorten_body(elements: Sequence[ReceivedElement]) -> str:
    return str(_shorten_text(canonical(elements).decode()))


# Subscribers


def compare_subscriber(
    context: CompareContext, subscriber: SourceSubscriber, member: members.Member, stored: str | None
) -> Finding:
    """Compare a subscriber who is on both sides."""
    differences = tuple(_subscriber_differences(context, subscriber, member, stored))
    mark = Mark.DIFFERS if differences else Mark.SAME
    return context.finding(Subject.SUBSCRIBER, subscriber.user, mark, differences=differences)


def missing_subscriber(context: CompareContext, subscriber: SourceSubscriber) -> Finding:
    """Return the finding for a subscriber that the target lacks."""
    left = (
        bool(context.after.verified_at)
        and subscriber.since is not None
        and subscriber.since < int(context.after.verified_at)
    )
    explained = f"left here {SINCE_THE_CUTOVER}" if left else ""
    if (
        not explained
        and subscriber_losses(subscriber)
        and context.policies.of(Incompatibility.SUBSCRIBER_DATA) is Resolution.REFUSE
    ):
        return context.finding(
            Subject.SUBSCRIBER, subscriber.user, Mark.MISSING, reason="the policy of subscriber_data is refuse"
        )
    return context.finding(Subject.SUBSCRIBER, subscriber.user, Mark.MISSING, explained=explained)


def extra_subscriber(context: CompareContext, member: members.Member) -> Finding:
    """Return the finding for a member that the source lacks."""
    live = bool(context.after.moved_at) and (member.join_time or 0) >= int(
        context.after.verified_at or context.after.moved_at
    )
    explained = f"joined here {SINCE_THE_CUTOVER}" if live else ""
    return context.finding(Subject.SUBSCRIBER, member.member_account, Mark.EXTRA, explained=explained)


def _subscriber_differences(
    context: CompareContext, subscriber: SourceSubscriber, member: members.Member, stored: str | None
) -> Iterator[FieldDifference]:
    expected = join_time(subscriber.since, context.created_at, context.now)
    joined = member.join_time
    # A user who subscribed in the second of the move joined the second before.
    if expected is not None and joined not in (expected, expected - 1):
        yield FieldDifference("since", subscriber.since, joined)
    elif expected is not None and subscriber.since is not None and subscriber.since < expected:
        yield FieldDifference("since", subscriber.since, joined, BORN_LATER)
    has = to_notifications(member.msg_flag)
    if has is not subscriber.notifications:
        chosen = f"chosen here {SINCE_THE_CUTOVER}" if context.after.verified_at else ""
        if subscriber.notifications is Notifications.UNKNOWN:
            chosen = UNKNOWN_SETTING
        yield FieldDifference("notifications", subscriber.notifications.value, has.value, chosen)
    yield from _compare_unread(context, subscriber, member)
    if subscriber_losses(subscriber):
        explained = context.policy(Incompatibility.SUBSCRIBER_DATA, subscriber.custom_data, stored)
        yield FieldDifference("custom_data", _shorten_text(subscriber.custom_data), "", explained)


def _compare_unread(
    context: CompareContext, subscriber: SourceSubscriber, member: members.Member
) -> Iterator[FieldDifference]:
    """Compare the number of unread posts, where the source has one."""
    if subscriber.unread is None:
        return
    if member.msg_seq is None:
        yield FieldDifference("unread", subscriber.unread, None, UNTOLD)
        return
    has = max(0, context.last_seq - member.msg_seq)
    if has != min(subscriber.unread, context.last_seq):
        since = f"read or published here {SINCE_THE_CUTOVER}" if context.after.verified_at else ""
        yield FieldDifference("unread", subscriber.unread, has, since)
    elif has != subscriber.unread:
        yield FieldDifference("unread", subscriber.unread, has, FEWER_POSTS)
