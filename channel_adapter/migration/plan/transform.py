"""Convert values of a source to values of the target: ids, profiles, posts, subscribers.

Pure: plan, apply, delta and verify use it.

Order on the target: channel, posts oldest first, subscribers, notification options, closing, differences [25].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from channel_adapter.backends.community import profile as channel_group
from channel_adapter.domain.channel import ChannelProfile
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import InvalidError
from channel_adapter.mapping import ids
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.text import byte_size, require_text, split_text
from channel_adapter.migration.plan import cards
from channel_adapter.migration.plan.resolutions import (
    PROFILE_INCOMPATIBILITIES,
    Incompatibility,
    Resolution,
    Resolutions,
)
from channel_adapter.migration.sources.source import SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits
from channel_adapter.tencent.limits import GroupProfileBytes
from channel_adapter.tencent.wire import members, messages
from channel_adapter.tencent.wire.msg_body import Element

_RANDOMS: Final = limits.RANDOM_HIGHEST + 1


@dataclass(frozen=True, slots=True)
class TargetLimits:
    """The custom group fields and byte limits of the target."""

    keys: FieldKeys
    sizes: GroupProfileBytes
    post_bytes: int


@dataclass(frozen=True, slots=True)
class TruncatedText:
    """A text of a profile that does not fit: its size, the limit, and the text that the target gets if it is cut."""

    loss: Incompatibility
    size: int
    limit: int
    kept: str


@dataclass(frozen=True, slots=True)
class MappedProfile:
    """A profile as the target gets it when texts are cut, and what is lost by that."""

    profile: ChannelProfile
    lost: tuple[TruncatedText, ...]


@dataclass(frozen=True, slots=True)
class MappedPost:
    """A body as import accepts it, None when no part of it is accepted; `lost` names what does not fit."""

    body: tuple[Element, ...] | None
    lost: tuple[Incompatibility, ...]


@dataclass(frozen=True, slots=True)
class PostAssessment:
    """What a post loses; `left_behind` when no part of it can be imported."""

    lost: tuple[Incompatibility, ...] = ()
    left_behind: bool = False


NOTHING_LOST: Final = PostAssessment()
MEDIA_LOST: Final = PostAssessment((Incompatibility.POST_MEDIA,))


# Ids


def target_id(source_id: str) -> ChannelId:
    """Return the id of a channel on the target: of an official account with another prefix, else slug or channel id.

    Raises InvalidError for an id that cannot become a channel's.
    """
    if source_id.startswith(limits.OFFICIAL_ACCOUNT_ID_PREFIX):
        return ids.channel_of_account(source_id)
    channel = ids.COMMUNITY_IDS.channel(source_id)
    if channel.startswith(limits.COMMUNITY_ID_RESERVED):
        raise InvalidError(f"channel {shown_value(source_id)} has an id that only the service assigns", field="id")
    return channel


# Profiles


def map_profile(source: SourceChannel, target: TargetLimits) -> MappedProfile:
    """Convert a profile: texts that fit stay, others are cut and reported."""
    wanted = {loss: getattr(source, loss.value) for loss in PROFILE_INCOMPATIBILITIES}
    lost = [found for loss, text in wanted.items() if (found := _truncate_text(loss, text, target)) is not None]
    fitting: dict[str, Any] = {loss.value: text for loss, text in wanted.items()}
    fitting |= {found.loss.value: found.kept for found in lost}
    return MappedProfile(ChannelProfile(**fitting, max_subscribers=source.max_subscribers), tuple(lost))


def _truncate_text(loss: Incompatibility, text: str, target: TargetLimits) -> TruncatedText | None:
    """Return None when the text fits."""
    try:
        _check_text(loss, text, target)
    except InvalidError as wrong:
        if wrong.limit is None or wrong.size is None or wrong.size <= wrong.limit:
            raise  # not too long, but wrong
        limit = wrong.limit
    else:
        return None
    if loss is Incompatibility.AVATAR:
        kept = ""
    elif loss is Incompatibility.CUSTOM_DATA:
        kept = "".join(split_text(text, limits.GROUP_FIELD_VALUE_BYTES)[: len(target.keys.custom_data)])
    else:
        kept = cards.cut_text(text, limit)
    return TruncatedText(loss, byte_size(text), limit, kept)


def _check_text(loss: Incompatibility, text: str, target: TargetLimits) -> None:
    """Raise InvalidError for a text that does not fit. An avatar is checked for its size only."""
    if loss is Incompatibility.AVATAR:
        require_text(text, loss.value, target.sizes.face_url)
    else:
        changed: dict[str, Any] = {loss.value: text}
        channel_group.check_profile(ChannelProfile(**changed), target.keys, target.sizes)


# Posts


def map_post(post: SourcePost, target: TargetLimits) -> MappedPost:
    """Convert a post. Recalled and expired posts have no body, and lose nothing that the source still has."""
    if post.state is not SourceState.PUBLISHED:
        return MappedPost(None, ())
    return map_body(post.body, target.post_bytes)


def map_body(body: Sequence[Element], max_bytes: int) -> MappedPost:
    """Convert the body of a post."""
    if not body:
        return MappedPost(None, ())
    lost = () if cards.is_importable(body) else (Incompatibility.POST_MEDIA,)
    carried = cards.carry(body, max_bytes)
    if cards.body_size(carried) <= max_bytes:
        return MappedPost(tuple(carried), lost)
    shorter = cards.shorten(body, max_bytes)
    return MappedPost(None if shorter is None else tuple(shorter), (*lost, Incompatibility.POST_SIZE))


def assess_post(post: SourcePost, target: TargetLimits) -> PostAssessment:
    """Return what a post loses, without its body: faster, as cards of small bodies need not be made."""
    if post.state is not SourceState.PUBLISHED:
        return NOTHING_LOST
    if post.body and cards.surely_fits(post.body, target.post_bytes):
        return NOTHING_LOST if cards.is_importable(post.body) else MEDIA_LOST
    mapped = map_body(post.body, target.post_bytes)
    return PostAssessment(mapped.lost, left_behind=mapped.body is None)


class SendTimes:
    """Assign strictly increasing times to posts in order: each its own, or one second after the one before.

    `created_at` is the channel's birth, `latest` the time of its newest post so far, if it has any.
    """

    def __init__(self, created_at: int, latest: int = 0) -> None:
        self._latest = max(created_at, latest)
        self.moved = 0

    def next(self, time: int) -> int:
        """Return the time of the next post."""
        given = max(time, self._latest + 1)
        self.moved += given != time
        self._latest = given
        return given


def post_random(migration: str, channel: ChannelId, number: int) -> int:
    """Return the dedupe number of a post: equal in every process and attempt, different for each post of a channel.

    It stands in the target's history too, so moved posts differ from others there.
    """
    return (ids.random_of("migration", migration, channel) + number) % _RANDOMS


def imported_post_number(migration: str, channel: ChannelId, random: int) -> int:
    """Return the source's number of the post that has a dedupe number, if this migration moved it."""
    return (random - ids.random_of("migration", migration, channel)) % _RANDOMS


def import_post(
    post: SourcePost, body: Sequence[Element], *, migration: str, channel: ChannelId, owner: str, time: int
) -> messages.ImportedMessage:
    """Return one message of an import call. Its author is that of the source if it names one, else the owner."""
    return messages.ImportedMessage(
        from_account=post.author or owner,
        send_time=time,
        random=post_random(migration, channel, post.number),
        msg_body=list(body),
    )


# Subscribers


def join_time(since: int | None, created_at: int, now: int) -> int | None:
    """Return when a user joined, as the target accepts it: after the channel's creation and before now."""
    if since is None:
        return None
    return max(created_at + 1, min(since, now - 1))


def import_subscriber(
    subscriber: SourceSubscriber, *, created_at: int, now: int, admins: Iterable[str] = ()
) -> members.ImportedMember:
    """Return one member of an import call, with the true time of subscribing."""
    return members.ImportedMember(
        member_account=subscriber.user,
        role=members.ADMIN if subscriber.user in admins else None,
        join_time=join_time(subscriber.since, created_at, now),
        unread_msg_num=subscriber.unread,
    )


def subscriber_losses(subscriber: SourceSubscriber) -> tuple[Incompatibility, ...]:
    """Return what the target cannot store of a subscriber."""
    return (Incompatibility.SUBSCRIBER_DATA,) if subscriber.custom_data else ()


# Resolutions


def refused(lost: Iterable[Incompatibility], policies: Resolutions) -> list[Incompatibility]:
    """Return the incompatibilities that are refused."""
    return [loss for loss in lost if policies.of(loss) is Resolution.REFUSE]


def to_store(lost: Iterable[Incompatibility], policies: Resolutions) -> list[Incompatibility]:
    """Return the incompatibilities whose originals are stored in the adapter's database."""
    return [loss for loss in lost if policies.of(loss) is Resolution.STORE]
