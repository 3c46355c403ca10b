"""Requests of the service before it does something, and the responses that hooks of the app may return.

A hook is called with a request and returns a response; None allows.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from channel_adapter.domain.events import Platform
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError

CHANNEL_CODES: Final = range(10_100, 10_201)
"""The app's own codes about channels, which the service passes on to the caller."""
ACCOUNT_CODES: Final = range(120_001, 130_001)
"""The app's own codes about messages of official accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """Base of all requests: when, from which platform, by which user. `own` marks the calls of this adapter.

    `codes` are those that a `Refuse` of this kind of request may carry.
    """

    codes: ClassVar[range] = range(0)

    at: datetime | None = None
    platform: Platform = Platform.UNKNOWN
    by: UserId | None = None
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft(HookRequest):
    """A post is about to be published. `by` differs from `author` if a server posts for a user."""

    codes: ClassVar[range] = CHANNEL_CODES
    channel: ChannelId
    author: UserId | None
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(HookRequest):
    """Users are about to subscribe: one user, or several who are `invited` or added by a server."""

    codes: ClassVar[range] = CHANNEL_CODES
    channel: ChannelId
    users: tuple[UserId, ...]
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest(HookRequest):
    """A Community is about to be created, which may become a channel or another kind of group."""

    codes: ClassVar[range] = CHANNEL_CODES
    name: str
    owner: UserId | None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPostDraft(HookRequest):
    """An official account is about to broadcast. The service does not report by which user."""

    codes: ClassVar[range] = ACCOUNT_CODES
    account: str
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSubscribeRequest(HookRequest):
    """Users are about to subscribe to an official account."""

    account: str
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialCreateRequest(HookRequest):
    """An official account is about to be created."""

    name: str
    owner: UserId | None


@dataclass(frozen=True, slots=True)
class Allow:
    """Allow the request without changes."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Publish other content instead; for posts only. `app_data` None keeps the attached data."""

    content: Content | tuple[Content, ...] | None = None
    app_data: str | None = None

    @property
    def parts(self) -> tuple[Content, ...] | None:
        """The new content as parts; None keeps the old one."""
        return self.content if self.content is None or isinstance(self.content, tuple) else (self.content,)


class InvalidRefusalError(InvalidError):
    """Raised for a `Refuse` that cannot be sent. If a hook raises it, the request is refused without a code."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Refuse the request. With a `code` the caller gets code and text, else a code of the service.

    Codes are 10100 to 10200 for channels, and 120001 to 130000 for posts of official accounts; their subscriptions and
    creations have none. A code of the wrong range for a request is logged and not sent. Raises InvalidError for a code
    in neither range and for a text that is no str.
    """

    text: str = ""
    code: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidRefusalError(f"text: {type(self.text).__name__} is not a text", field="text")
        code = self.code
        if code is None or (isinstance(code, int) and (code in CHANNEL_CODES or code in ACCOUNT_CODES)):
            return
        ranges = " or ".join(f"{known[0]} to {known[-1]}" for known in (CHANNEL_CODES, ACCOUNT_CODES))
        size = code if isinstance(code, int) else None
        raise InvalidRefusalError(f"code: {code!r} is not one of {ranges}", field="code", size=size)


@dataclass(frozen=True, slots=True)
class RefuseSome:
    """Refuse some of the users who subscribe and allow the others. Raises TypeError for a str instead of a tuple."""

    users: tuple[UserId, ...]

    def __post_init__(self) -> None:
        if isinstance(self.users, str):
            raise TypeError(f"users: {self.users!r} is one text; give a tuple of users")


@dataclass(frozen=True, slots=True)
class Drop:
    """Discard a post and report success to its author; for posts only."""


HookResponse = Allow | Rewrite | Refuse | RefuseSome | Drop
