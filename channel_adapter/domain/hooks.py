"""Requests of the service before it does something, and the responses that hooks of the app may return.

A hook is called with a request and returns a response; None allows.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from channel_adapter.domain.events import Platform
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Direction, PeerId
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value

CHANNEL_CODES: Final = range(10_100, 10_201)
"""The app's own codes about Communities, which the service passes on to the caller."""
ACCOUNT_CODES: Final = range(120_001, 130_001)
"""The app's own codes about posts of official accounts and about one-to-one messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """Base of all requests: when, from which platform, by which user. `own` marks the calls of this adapter.

    `other_mode`: it is about a channel of the mode that this adapter does not use. Only hooks that are registered with
    `other_mode=True` get it.
    """

    at: datetime | None = None
    platform: Platform = Platform.UNKNOWN
    by: UserId | None = None
    own: bool = False
    other_mode: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft(HookRequest):
    """A post is about to be published. `by` differs from `author` if a server posts for a user.

    The service reports neither for an official account.
    """

    channel: ChannelId
    author: UserId | None
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageDraft(HookRequest):
    """A one-to-one message between a user and the account of a channel is about to be sent.

    `channel` is None if the account is the contact of several channels. Not asked for `messages.send_many`.
    """

    account: PeerId
    user: UserId
    channel: ChannelId | None
    direction: Direction
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(HookRequest):
    """Users are about to subscribe: one user, or several who are `invited` or added by a server."""

    channel: ChannelId
    users: tuple[UserId, ...]
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest(HookRequest):
    """A Community, which may become a channel or another group, or an official account is about to be created."""

    name: str
    owner: UserId | None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True)
class Allow:
    """Allow the request without changes."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Send other content instead; for posts and messages. `app_data` None keeps the attached data."""

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

    Codes are 10100 to 10200 for Communities, and 120001 to 130000 for one-to-one messages and posts of official
    accounts, whose subscriptions and creations have none. A code that the request cannot have is logged, and the
    refusal is sent without it. Raises InvalidError for a code in neither range and for a text that is no str.
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
        raise InvalidRefusalError(f"code: {shown_value(code)} is not one of {ranges}", field="code", size=size)


@dataclass(frozen=True, slots=True)
class RefuseSome:
    """Refuse some of the users who subscribe and allow the others. Raises TypeError for a str instead of a tuple."""

    users: tuple[UserId, ...]

    def __post_init__(self) -> None:
        if isinstance(self.users, str):
            raise TypeError(f"users: {shown_value(self.users)} is one text; give a tuple of users")


@dataclass(frozen=True, slots=True)
class Drop:
    """Discard a post or message and report success to its author."""


HookResponse = Allow | Rewrite | Refuse | RefuseSome | Drop
