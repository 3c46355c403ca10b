"""What is the same and what is not, one profile, post or person at a time. Pure."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from channel_adapter.backends.community.tag import Tag
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.subscription import Notifications
from channel_adapter.mapping.content import from_elements
from channel_adapter.mapping.subscription_member import NOTIFICATIONS
from channel_adapter.migration.plan.document import PlannedChannel
from channel_adapter.migration.plan.resolutions import PROFILE_LOSSES, Loss, Policies, Policy
from channel_adapter.migration.plan.transform import (
    MappedPost,
    Target,
    join_time,
    map_post,
    map_profile,
    subscriber_losses,
)
from channel_adapter.migration.sources.source import SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.migration.verify.findings import Difference, Finding, Mark, Value, What
from channel_adapter.migration.verify.scratch import HeldPost
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import members, messages
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement

FOREIGN: Final = "said by somebody else than the channel: private, and never moved"
EXPIRED: Final = "the source has no body of it any more"
AS_PLANNED: Final = "no part of it can be carried, as the plan says"
LATER: Final = "the target wants each post later than the one before"
BORN_LATER: Final = "the target lets nobody join before the channel was made"
SINCE_THE_CUTOVER: Final = "since posting has moved"
UNTOLD: Final = "the target does not tell how far people have read"
FEWER_POSTS: Final = "nobody can have more unread than there are posts"
BEYOND: Final = "longer ago than the target's history reaches: nobody can look at it"
_SHOWN: Final = 200
_DAY: Final = 86_400

Kept = Mapping[str, str]
"""Whole originals in the adapter's database, by the key of the post or person, or "" for a profile's text."""


@dataclass(frozen=True, slots=True)
class Life:
    """What may have happened on the target since posting has moved there.

    0 for a channel that has not moved, and for one that moved without a clean verification: then nobody can tell what
    was lost from what was changed. `destroyed`: its source was removed by the cutover.
    """

    verified_at: float = 0.0
    moved_at: float = 0.0
    destroyed: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What one channel is judged by, and when. `created_at` and `last_seq`, its newest post's, are the target's own."""

    channel: PlannedChannel
    migration: str
    target: Target
    policies: Policies
    created_at: int
    now: int
    life: Life = Life()
    last_seq: int = 0

    @property
    def id(self) -> str:
        """At the source."""
        return self.channel.source.id

    def beyond(self, time: int) -> bool:
        """Is this longer ago than the target's history reaches, on the plans that keep least?"""
        return time < self.now - limits.ROAMING_DAYS * _DAY

    def finding(self, what: What, key: str, mark: Mark, **more: Any) -> Finding:
        """A finding about this channel."""
        return Finding(self.id, what, key, mark, **more)

    def policy(self, loss: Loss, original: str | None, kept: str | None) -> str:
        """What explains this loss; empty when it may not be, or when the original is not kept where it has to be."""
        policy = self.policies.of(loss)
        if policy is Policy.REFUSE or (policy is Policy.STORE and (kept is None or kept != original)):
            return ""
        return f"policy {loss}={policy}"


# Profiles


def compare_profile(
    terms: Terms,
    source: SourceChannel,
    found: Channel,
    tag: Tag,
    admins: Sequence[str] | None,
    kept: Mapping[Loss, Kept],
) -> Iterator[Finding]:
    """One finding a field. `admins` of the target, None where they could not be read."""
    goal, lost = terms.channel.target, {text.loss: text for text in map_profile(source, terms.target).lost}
    for loss in PROFILE_LOSSES:
        whole, has = getattr(source, loss.value), getattr(found, loss.value)
        explained = ""
        if loss in lost and has == lost[loss].kept:
            explained = terms.policy(loss, whole, kept.get(loss, {}).get(""))
        yield _field(
            terms, loss.value, whole, has, explained, unchanged=whole == getattr(terms.channel.source, loss.value)
        )
    yield _field(terms, "owner", source.owner, found.owner or "", unchanged=source.owner == goal.owner)
    born = source.created_at or goal.created_at
    if born:
        yield _field(terms, "created_at", born, terms.created_at)
    if goal.max_subscribers is not None:
        yield _field(terms, "max_subscribers", goal.max_subscribers, found.max_subscribers, unchanged=True)
    yield _field(terms, "posting", "closed", "closed" if found.complete else "open to all")
    wanted = goal.tag(terms.migration)
    same = tag.migration == wanted.migration and set(wanted.kept) <= set(tag.kept)
    yield _field(terms, "tag", wanted.text(), wanted.text() if same else tag.text())
    if admins is not None:
        there = {user for user in source.admins if user != goal.owner}
        yield _field(terms, "admins", " ".join(sorted(there)), " ".join(sorted(admins)), unchanged=True)


def _field(
    terms: Terms, name: str, source: Value, target: Value, explained: str = "", *, unchanged: bool = False
) -> Finding:
    """`unchanged`: the source says what it said when the plan was made, so the target was changed."""
    if source == target:
        return terms.finding(What.PROFILE, name, Mark.SAME)
    if unchanged and terms.life.verified_at and not explained:
        explained = f"changed here {SINCE_THE_CUTOVER}"
    difference = Difference(name, _short(source), _short(target), explained)
    return terms.finding(What.PROFILE, name, Mark.DIFFERS, differences=(difference,))


def _short(value: Value) -> Value:
    """Long texts with a digest: what differs behind the part that is shown is told apart, too."""
    if not isinstance(value, str) or len(value) <= _SHOWN:
        return value
    digest = hashlib.blake2b(value.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{value[:_SHOWN]}… ({len(value):,} characters, {digest})"


# Posts


def canonical(elements: Sequence[ReceivedElement]) -> bytes:
    """A body as bytes that are the same for equal bodies."""
    return orjson.dumps([[each.msg_type, each.msg_content] for each in elements], option=orjson.OPT_SORT_KEYS)


def compare_post(terms: Terms, post: SourcePost, held: HeldPost | None, kept: str | None, *, in_order: bool) -> Finding:
    """`held` is the post that has its number on the target, `kept` its original in the database."""

    def found(mark: Mark, **more: Any) -> Finding:
        return terms.finding(What.POST, post.key, mark, **more)

    if post.state is SourceState.FOREIGN:
        return found(Mark.MISSING, explained=FOREIGN) if held is None else found(Mark.DIFFERS, reason=FOREIGN)
    if post.state is SourceState.EXPIRED:
        return found(Mark.UNREADABLE, explained=EXPIRED)
    if post.state is SourceState.RECALLED:
        if held is None or held.place != messages.PLACE_NORMAL:
            return found(Mark.SAME)
        return found(Mark.DIFFERS, reason="recalled at the source and still here")
    mapped = map_post(post, terms.target)
    if held is None and mapped.body is not None and terms.beyond(post.time):
        return found(Mark.UNREADABLE, explained=BEYOND)
    if held is None:
        return found(Mark.MISSING, explained=_left_behind(terms, post, mapped, kept))
    if held.place == messages.PLACE_RECALLED:
        since = f"recalled here {SINCE_THE_CUTOVER}" if terms.life.verified_at else ""
        return found(Mark.DIFFERS, reason="recalled here", explained=since)
    if held.place == messages.PLACE_GONE:
        beyond = BEYOND if terms.beyond(held.time) else ""
        return found(Mark.UNREADABLE, reason="the target has no body of it any more", explained=beyond)
    differences = tuple(_post_differences(terms, post, mapped, held, kept, in_order=in_order))
    return found(Mark.DIFFERS if differences else Mark.SAME, differences=differences)


def extra_post(terms: Terms, held: HeldPost, known: bool) -> Finding:
    """A post that only the target has; `known` if it is one of the source's a second time."""
    if known:
        return terms.finding(What.POST, f"#{held.seq}", Mark.EXTRA, reason="a second copy")
    live = bool(terms.life.moved_at) and held.time >= int(terms.life.moved_at)
    explained = f"published here {SINCE_THE_CUTOVER}" if live else ""
    return terms.finding(What.POST, f"#{held.seq}", Mark.EXTRA, explained=explained)


def original_of(text: str | None) -> bytes | None:
    """The body in a kept original, as `canonical` has it; None when there is none, or it cannot be read."""
    if text is None:
        return None
    try:
        return canonical([Element.model_validate(each) for each in orjson.loads(text)["body"]])
    except (ValueError, KeyError, TypeError):
        return None


def _left_behind(terms: Terms, post: SourcePost, mapped: MappedPost, kept: str | None) -> str:
    if mapped.body is not None:
        return ""
    if post.key in terms.channel.left_behind:
        return AS_PLANNED
    policies = [terms.policies.of(loss) for loss in mapped.lost]
    named = ", ".join(f"{loss}={policy}" for loss, policy in zip(mapped.lost, policies, strict=True))
    return f"policy {named}; no part of it can be carried" if policies and Policy.REFUSE not in policies else ""


def _post_differences(
    terms: Terms, post: SourcePost, mapped: MappedPost, held: HeldPost, kept: str | None, *, in_order: bool
) -> Iterator[Difference]:
    there = [
        ReceivedElement.model_construct(msg_type=kind, msg_content=content) for kind, content in orjson.loads(held.body)
    ]
    body = mapped.body or ()
    same = canonical(body) == held.body or (bool(body) and from_elements(body) == from_elements(there))
    if not same:
        edited = f"changed here {SINCE_THE_CUTOVER}" if terms.life.verified_at else ""
        yield Difference("body", _shown(post.body), _shown(there), edited)
    elif mapped.lost:
        original = canonical(post.body).decode()
        whole = original_of(kept)
        explained = [terms.policy(loss, original, whole.decode() if whole else None) for loss in mapped.lost]
        yield Difference("body", _shown(post.body), _shown(there), ", ".join(explained) if all(explained) else "")
    author = post.author or terms.channel.target.owner
    if held.author != author:
        yield Difference("author", author, held.author)
    if held.time != post.time:
        latest = max(held.before, terms.created_at)
        pushed = held.time > post.time and held.time == latest + 1
        yield Difference("time", post.time, held.time, LATER if pushed else "")
    if not in_order:
        yield Difference("order", post.key, f"#{held.seq}")


def _shown(elements: Sequence[ReceivedElement]) -> str:
    return str(_short(canonical(elements).decode()))


# People


def compare_person(terms: Terms, person: SourceSubscriber, member: members.Member, kept: str | None) -> Finding:
    """Somebody who is on both sides."""
    differences = tuple(_person_differences(terms, person, member, kept))
    mark = Mark.DIFFERS if differences else Mark.SAME
    return terms.finding(What.SUBSCRIBER, person.user, mark, differences=differences)


def missing_person(terms: Terms, person: SourceSubscriber) -> Finding:
    """Somebody whom the target has not."""
    left = bool(terms.life.verified_at) and person.since is not None and person.since < int(terms.life.verified_at)
    explained = f"left here {SINCE_THE_CUTOVER}" if left else ""
    if not explained and subscriber_losses(person) and terms.policies.of(Loss.SUBSCRIBER_DATA) is Policy.REFUSE:
        return terms.finding(
            What.SUBSCRIBER, person.user, Mark.MISSING, reason="the policy of subscriber_data is refuse"
        )
    return terms.finding(What.SUBSCRIBER, person.user, Mark.MISSING, explained=explained)


def extra_person(terms: Terms, member: members.Member) -> Finding:
    """Somebody whom only the target has."""
    live = bool(terms.life.moved_at) and (member.join_time or 0) >= int(terms.life.verified_at or terms.life.moved_at)
    explained = f"joined here {SINCE_THE_CUTOVER}" if live else ""
    return terms.finding(What.SUBSCRIBER, member.member_account, Mark.EXTRA, explained=explained)


def _person_differences(
    terms: Terms, person: SourceSubscriber, member: members.Member, kept: str | None
) -> Iterator[Difference]:
    expected = join_time(person.since, terms.created_at, terms.now)
    joined = member.join_time
    # Whoever came in the second in which they were moved joined the second before.
    if expected is not None and joined not in (expected, expected - 1):
        yield Difference("since", person.since, joined)
    elif expected is not None and person.since is not None and person.since < expected:
        yield Difference("since", person.since, joined, BORN_LATER)
    has = NOTIFICATIONS.get(member.msg_flag or "", Notifications.ALL)
    if has is not person.notifications:
        chosen = f"chosen here {SINCE_THE_CUTOVER}" if terms.life.verified_at else ""
        yield Difference("notifications", person.notifications.value, has.value, chosen)
    yield from _unread(terms, person, member)
    if subscriber_losses(person):
        explained = terms.policy(Loss.SUBSCRIBER_DATA, person.custom_data, kept)
        yield Difference("custom_data", _short(person.custom_data), "", explained)


def _unread(terms: Terms, person: SourceSubscriber, member: members.Member) -> Iterator[Difference]:
    """Posts behind the one that somebody has read last [decision 12]; nothing where the source tells none."""
    if person.unread is None:
        return
    if member.msg_seq is None:
        yield Difference("unread", person.unread, None, UNTOLD)
        return
    has = max(0, terms.last_seq - member.msg_seq)
    if has != min(person.unread, terms.last_seq):
        since = f"read or published here {SINCE_THE_CUTOVER}" if terms.life.verified_at else ""
        yield Difference("unread", person.unread, has, since)
    elif has != person.unread:
        yield Difference("unread", person.unread, has, FEWER_POSTS)
