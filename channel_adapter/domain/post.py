"""Posts and what they are made of."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value

_REF: Final = re.compile(r"(.+)/([1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Text:
    """Plain text."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True, slots=True)
class Image:
    """A picture behind a public URL. Sizes are pixels and bytes, 0 when unknown."""

    url: str
    width: int = 0
    height: int = 0
    size: int = 0
    large_url: str = ""
    thumbnail_url: str = ""
    kind: str = field(default="image", init=False)


@dataclass(frozen=True, slots=True)
class TextAndImage:
    """A text with a picture below it, in one post."""

    text: str
    image: Image
    kind: str = field(default="text_and_image", init=False)


@dataclass(frozen=True, slots=True)
class Article:
    """Title, text, link and picture, in the shape that Tencent's own UI kit draws as a card."""

    title: str
    text: str = ""
    link: str = ""
    image_url: str = ""
    image_width: int = 0
    image_height: int = 0
    kind: str = field(default="article", init=False)


@dataclass(frozen=True, slots=True)
class Video:
    """A film behind a public URL. `seconds` is its length."""

    url: str
    seconds: int = 0
    size: int = 0
    format: str = "mp4"
    thumbnail_url: str = ""
    thumbnail_format: str = ""
    thumbnail_width: int = 0
    thumbnail_height: int = 0
    thumbnail_size: int = 0
    kind: str = field(default="video", init=False)


@dataclass(frozen=True, slots=True)
class File:
    """A file behind a public URL."""

    url: str
    name: str = ""
    size: int = 0
    kind: str = field(default="file", init=False)


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording behind a public URL. `seconds` is its length."""

    url: str
    seconds: int = 0
    size: int = 0
    kind: str = field(default="sound", init=False)


@dataclass(frozen=True, slots=True)
class Location:
    """A place on earth, in degrees."""

    latitude: float
    longitude: float
    description: str = ""
    kind: str = field(default="location", init=False)


@dataclass(frozen=True, slots=True)
class Face:
    """A sticker: index and data mean what the app says."""

    index: int
    data: str = ""
    kind: str = field(default="face", init=False)


@dataclass(frozen=True, slots=True)
class Custom:
    """Anything of the app's own. `description` is the text of an offline push; without it nothing is pushed."""

    data: str
    description: str = ""
    extension: str = ""
    sound: str = ""
    kind: str = field(default="custom", init=False)


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """What another client posted and has no type here: its own name and its JSON. Cannot be published."""

    type: str
    data: str
    kind: str = field(default="unrecognised", init=False)


Content = Text | Image | TextAndImage | Article | Video | File | Sound | Location | Face | Custom | Unrecognised


@dataclass(frozen=True, slots=True, order=True)
class PostRef:
    """Which post: the channel and its number there. Numbers grow by time and start at 1.

    `key` is the service's name of a broadcast of an official account, "" where it is not known; without it the number
    is looked up. It makes no difference between two references.
    """

    channel: ChannelId
    seq: int
    key: str = field(default="", compare=False, repr=False)

    def __str__(self) -> str:
        """Return the text that `parse` reads: `@TGS#_harbor_news/12`."""
        return f"{self.channel}/{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `harbor_news/12`: the slug or id of a channel, and a number. A slug stays as it is.

        Every method that takes a PostRef accepts a slug in place of the id. Raises InvalidError.
        """
        found = _REF.fullmatch(text) if isinstance(text, str) else None
        if found is None:
            size = len(text.encode("utf-8", "surrogatepass")) if isinstance(text, str) else None
            raise InvalidError(
                f"ref: {shown_value(text)} is not CHANNEL/NUMBER, for example harbor_news/12", field="ref", size=size
            )
        return cls(ChannelId(found[1]), int(found[2]))


@dataclass(frozen=True, slots=True)
class PostKey:
    """The number of a broadcast, the service's key of it, and its dedupe number if that is known."""

    seq: int
    key: str
    dedupe: int | None = None


class PostState(StrEnum):
    """Recalled and expired posts keep their place in history and have no content."""

    PUBLISHED = "published"
    RECALLED = "recalled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Broadcast:
    """The same post on the official account that its channel comes from: its key there, or why it is not there."""

    account: str
    sent: bool
    key: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One post as it was when read. `dedupe` is the number by which the service recognises a repeated sending.

    `broadcast` is there on a post just published in a channel whose official account is still served too.
    """

    ref: PostRef
    author: UserId | None
    published_at: datetime | None
    parts: tuple[Content, ...]
    state: PostState = PostState.PUBLISHED
    dedupe: int | None = None
    broadcast: Broadcast | None = None

    @property
    def content(self) -> Content | None:
        """The first part; None for recalled and expired posts."""
        return self.parts[0] if self.parts else None


@dataclass(frozen=True, slots=True)
class Draft:
    """A post to be sent. `author` None means the owner of the channel; `silent` posts do not count as unread.

    `dedupe` is the number by which the service recognises a repeated sending within 300 s; None: a random one is drawn
    when the post is sent.
    """

    content: Content | Sequence[Content]
    author: UserId | None = None
    dedupe: int | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostPreview:
    """A post that has not been sent: its parts, and the command and body that would send it.

    `dedupe` is None without an idempotency key: the number is drawn when the post is sent.
    """

    channel: ChannelId
    author: UserId | None
    parts: tuple[Content, ...]
    silent: bool
    dedupe: int | None
    command: str
    body: Mapping[str, object]
