"""Makes the identifiers of the domain, and refuses what the service would refuse."""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Message, MessageRef
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.text import byte_size, require_list, require_text, with_article
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_MESSAGE_KEY = re.compile(r"[0-9]{1,10}_[0-9]{1,10}_[0-9]{1,10}", re.ASCII)
_PRINTABLE = re.compile(r"[\x20-\x7e]+")


@dataclass(frozen=True, slots=True)
class IdScheme:
    """How the ids of channels are made and checked in one mode.

    `prefix` begins every id; behind it stands the slug. `reserved` begins ids that only the service assigns.
    """

    mode: Mode
    prefix: str
    reserved: str
    id_bytes: int

    @property
    def slug_bytes(self) -> int:
        """The longest slug, in bytes."""
        return self.id_bytes - len(self.prefix)

    def channel(self, text: str) -> ChannelId:
        """Return the id of a channel, from a slug (`harbor_news`) or from the id itself (`@TGS#_harbor_news`).

        Raises InvalidError for anything that cannot be the id of a channel in this mode.
        """
        if not isinstance(text, str):
            raise InvalidError(f"channel must be a string; got {shown_value(text)}", field="channel")
        if not text.startswith(self.prefix):
            self._refuse_other_mode(text, "channel")
            return self.from_slug(text)
        if limits.TOPIC_ID_MARK in text:
            raise InvalidError(
                f"channel: {shown_value(text)} is the id of a topic; channels have no topics", field="channel"
            )
        if not _PRINTABLE.fullmatch(text) or len(text) == len(self.prefix):
            raise InvalidError(
                f"channel: {shown_value(text)} is not printable ASCII behind its prefix", field="channel"
            )
        if len(text) > self.id_bytes:
            raise _too_long("channel", self.id_bytes, len(text))
        return ChannelId(text)

    def channels(self, channels: Iterable[str]) -> list[ChannelId]:
        """Return the ids of several channels. Raises InvalidError, also for one string in place of a list."""
        return [self.channel(channel) for channel in require_list(channels, "channels")]

    def from_slug(self, slug: str, field: str = "slug") -> ChannelId:
        """Return the id of a channel with this slug: letters, digits, `_ . -`, beginning with a letter or digit."""
        if not isinstance(slug, str):
            raise InvalidError(f"{field} must be a string; got {shown_value(slug)}", field=field)
        if not slug:
            raise InvalidError(
                f"{field} is empty; it needs 1 to {self.slug_bytes} bytes", field=field, limit=self.slug_bytes, size=0
            )
        if slug.startswith("@"):
            raise InvalidError(
                f"{field}: {shown_value(slug)} starts with @; such ids are the service's own", field=field
            )
        if not _SLUG.fullmatch(slug):
            raise InvalidError(
                f"{field}: {shown_value(slug)} may hold letters, digits, _ . and - only, and starts with a letter or"
                " digit",
                field=field,
            )
        if len(slug) > self.slug_bytes:
            raise _too_long(field, self.slug_bytes, len(slug))
        return ChannelId(self.prefix + slug)

    def slug(self, channel: ChannelId) -> str:
        """Return the part of an id behind the prefix."""
        return channel.removeprefix(self.prefix)

    def post(self, ref: object, field: str = "ref") -> PostRef:
        """Return a reference with the whole id of its channel. Raises InvalidError for what is not a PostRef."""
        if not isinstance(ref, PostRef):
            hint = "; pass its ref" if isinstance(ref, Post) else ""
            raise InvalidError(f"{field} must be a PostRef; got {with_article(type(ref).__name__)}{hint}", field=field)
        return PostRef(self.channel(ref.channel), post_number(ref.seq, "seq"), ref.key)

    def posts(self, refs: Iterable[PostRef], field: str = "refs") -> dict[PostRef, PostRef]:
        """Return references with the whole ids of their channels, by those given. Raises InvalidError."""
        return {ref: self.post(ref, field) for ref in require_list(refs, field, "PostRefs")}

    def to_cursor(self, position: str) -> str:
        """Return the cursor for a position in a list: the position, and the mode unless that is Community mode."""
        return position if self.mode is Mode.COMMUNITY else f"{self.mode}:{position}"

    def from_cursor(self, cursor: str) -> str:
        """Return the position of a cursor; "" is the beginning. Raises InvalidError for a cursor of the other mode."""
        require_text(cursor, "cursor")
        mode, colon, position = cursor.partition(":")
        marked = bool(colon) and mode == Mode.OFFICIAL
        if cursor and marked is not (self.mode is Mode.OFFICIAL):
            other = Mode.COMMUNITY if self.mode is Mode.OFFICIAL else Mode.OFFICIAL
            raise InvalidError(
                f"cursor: {shown_value(cursor)} is a cursor of {other} mode, and this adapter is in {self.mode} mode",
                field="cursor",
            )
        return position if marked else cursor

    def _refuse_other_mode(self, text: str, field: str) -> None:
        """Raise InvalidError for the id of a channel in another mode."""
        for other in SCHEMES.values():
            if other is not self and text.startswith(other.prefix):
                raise InvalidError(
                    f"{field}: {shown_value(text)} is the id of a channel in {other.mode} mode, and this adapter is in"
                    f" {self.mode} mode",
                    field=field,
                )


COMMUNITY_IDS: Final = IdScheme(
    Mode.COMMUNITY, limits.COMMUNITY_ID_PREFIX, limits.COMMUNITY_ID_RESERVED, limits.GROUP_ID_BYTES
)
OFFICIAL_IDS: Final = IdScheme(
    Mode.OFFICIAL, limits.OFFICIAL_ACCOUNT_ID_PREFIX, limits.OFFICIAL_ACCOUNT_ID_RESERVED,
    limits.OFFICIAL_ACCOUNT_ID_BYTES,
)  # fmt: skip
SCHEMES: Final[Mapping[Mode, IdScheme]] = {Mode.COMMUNITY: COMMUNITY_IDS, Mode.OFFICIAL: OFFICIAL_IDS}


def channel_of_account(account: str) -> ChannelId:
    """Return the channel that an official account moves to: its prefix is replaced and nothing else.

    Raises InvalidError for what is no official account's id, and for one whose channel id only the service may assign.
    """
    size = byte_size(account)
    prefix = limits.OFFICIAL_ACCOUNT_ID_PREFIX
    if not account.startswith(prefix) or len(account) == len(prefix) or not _PRINTABLE.fullmatch(account):
        raise InvalidError(
            f"official account: {shown_value(account)} is not {prefix} with printable ASCII behind it", field="account"
        )
    if size > limits.OFFICIAL_ACCOUNT_ID_BYTES:
        limit = limits.OFFICIAL_ACCOUNT_ID_BYTES
        raise InvalidError(
            f"official account {shown_value(account)} has {size} bytes; {limit} are allowed",
            field="account", limit=limit, size=size,
        )  # fmt: skip
    moved = limits.COMMUNITY_ID_PREFIX + account.removeprefix(prefix)
    if moved.startswith(limits.COMMUNITY_ID_RESERVED):
        raise InvalidError(
            f"official account {shown_value(account)}: {moved} is an id that only the service assigns", field="account"
        )
    return COMMUNITY_IDS.channel(moved)


def generated_slug(idempotency_key: str) -> str:
    """Return a slug of 26 characters that is the same for the same key, so that a creation can be repeated."""
    return "c" + hashlib.sha256(idempotency_key.encode()).hexdigest()[:25]


def user_id(text: object, field: str = "user") -> UserId:
    """Return the id of an account: 1 to 32 bytes of printable ASCII (document 34381). Raises InvalidError."""
    if not isinstance(text, str):
        raise InvalidError(f"{field} must be a string; got {shown_value(text)}", field=field)
    if not text:
        raise InvalidError(f"{field} is empty", field=field, limit=limits.USER_ID_BYTES, size=0)
    if len(text) > limits.USER_ID_BYTES or (not text.isascii() and byte_size(text) > limits.USER_ID_BYTES):
        raise _too_long(field, limits.USER_ID_BYTES, byte_size(text))
    if not _PRINTABLE.fullmatch(text):
        raise InvalidError(f"{field}: {shown_value(text)} holds characters that are not printable ASCII", field=field)
    return UserId(text)


def is_user_id(text: object) -> bool:
    """Return whether an account can have this id."""
    try:
        user_id(text)
    except InvalidError:
        return False
    return True


def idempotency_key(text: object) -> str:
    """Return an idempotency key: any string but an empty one. Raises InvalidError."""
    if not isinstance(text, str):
        raise InvalidError(f"idempotency_key must be a string; got {shown_value(text)}", field="idempotency_key")
    if not text:
        raise InvalidError("idempotency_key is empty; every call would have the same", field="idempotency_key", size=0)
    return require_text(text, "idempotency_key")


def random_of(*parts: str) -> int:
    """Return the 32-bit dedupe number of a post, the same on every attempt and in every process."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return int.from_bytes(digest[:4], "big")


def message_dedupe(channel: ChannelId, user: UserId, key: str) -> int:
    """Return the 64-bit dedupe number of a one-to-one message, the same on every attempt and in every process.

    The service compares it without the receiver, so the receiver is part of it, and 32 bits would be too few for many
    equal texts within 120 s.
    """
    digest = hashlib.sha256("\x1f".join((channel, user, key)).encode()).digest()
    return int.from_bytes(digest[:8], "big")


def message_ref(scheme: IdScheme, ref: object, field: str = "ref") -> MessageRef:
    """Return a reference with the whole id of its channel. Raises InvalidError for what is not a MessageRef."""
    if not isinstance(ref, MessageRef):
        hint = "; pass its ref" if isinstance(ref, Message) else ""
        got = with_article(type(ref).__name__)
        raise InvalidError(f"{field} must be a MessageRef; got {got}{hint}", field=field)
    if not isinstance(ref.key, str) or not _MESSAGE_KEY.fullmatch(ref.key):
        raise InvalidError(f"key: {shown_value(ref.key)} is not the key of a message: SEQ_RANDOM_SECONDS", field="key")
    return MessageRef(scheme.channel(ref.channel), receiver_id(ref.user), ref.key)


def receiver_id(text: object, field: str = "user") -> UserId:
    """Return the id of a user who can get messages of channels. Raises InvalidError, also for the id of a channel."""
    if isinstance(text, str) and text.startswith((limits.COMMUNITY_ID_PREFIX, limits.OFFICIAL_ACCOUNT_ID_PREFIX)):
        raise InvalidError(f"{field}: {shown_value(text)} is the id of a channel; messages go to users", field=field)
    return user_id(text, field)


def _too_long(field: str, limit: int, size: int) -> InvalidError:
    return InvalidError(f"{field} has {size} bytes; {limit} are allowed", field=field, limit=limit, size=size)


def broadcast_number(key: str) -> int:
    """Return the number of a broadcast, which its key `NUMBER_RANDOM_TIME` begins with; 0 without one."""
    number = key.partition("_")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def post_number(value: object, field: str) -> int:
    """Return the number of a post in its channel, a positive integer. Raises InvalidError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidError(f"{field} must be a positive integer; got {shown_value(value)}", field=field)
    if value > limits.SEQ_HIGHEST:
        raise InvalidError(
            f"{field} is {shown_value(value)}; numbers of posts end at {limits.SEQ_HIGHEST:,}",
            field=field, limit=limits.SEQ_HIGHEST, size=value,
        )  # fmt: skip
    return value


def post_in(scheme: IdScheme, channel: ChannelId, post: object, field: str) -> PostRef:
    """Return the reference of a post of this channel, from a reference or a number. Raises InvalidError."""
    if not isinstance(post, PostRef):
        return PostRef(channel, post_number(post, field))
    ref = scheme.post(post, field)
    if ref.channel != channel:
        raise InvalidError(f"{field}: post {ref.seq} is one of {ref.channel}", field=field)
    return ref
