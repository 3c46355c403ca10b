"""What the service asks before it does something, and what may be answered.

Hooks of the app get a question and give a decision; None allows. Questions about official accounts are the same with
`account` in place of `channel`.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from channel_adapter.domain.events import Platform
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError

CHANNEL_CODES: Final = range(10_100, 10_201)
"""The app's own codes about channels, which the service passes on to the caller [doc 34368]."""
ACCOUNT_CODES: Final = range(120_001, 130_001)
"""The app's own codes about messages of official accounts [doc 60803]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRequest:
    """Base of all questions: who wants it, from where. `own` marks the calls of this adapter.

    `codes` are those that a `Refuse` of this kind of question may carry.
    """

    codes: ClassVar[range] = range(0)

    at: datetime | None = None
    platform: Platform = Platform.UNKNOWN
    by: UserId | None = None
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft(HookRequest):
    """May this be posted? `by` differs from `author` when a server posts for somebody."""

    codes: ClassVar[range] = CHANNEL_CODES
    channel: ChannelId
    author: UserId | None
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(HookRequest):
    """May these people come? One person by themselves, or several who are `invited` or added by a server."""

    codes: ClassVar[range] = CHANNEL_CODES
    channel: ChannelId
    users: tuple[UserId, ...]
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest(HookRequest):
    """May this Community be made? Whether it is to be a channel nobody can tell yet."""

    codes: ClassVar[range] = CHANNEL_CODES
    name: str
    owner: UserId | None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPostDraft(HookRequest):
    """May this be broadcast by an official account? The service does not say who wants it."""

    codes: ClassVar[range] = ACCOUNT_CODES
    account: str
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSubscribeRequest(HookRequest):
    """May these people follow an official account?"""

    account: str
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialCreateRequest(HookRequest):
    """May this official account be made?"""

    name: str
    owner: UserId | None


@dataclass(frozen=True, slots=True)
class Allow:
    """Let it happen as it is."""


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Post this in its place; for posts only. `app_data` None leaves what was attached."""

    content: Content | tuple[Content, ...] | None = None
    app_data: str | None = None

    @property
    def parts(self) -> tuple[Content, ...] | None:
        """The new content as parts; None leaves the old one."""
        return self.content if self.content is None or isinstance(self.content, tuple) else (self.content,)


class InvalidRefusalError(InvalidError):
    """A `Refuse` that cannot be sent. Raised in a hook it is answered with a refusal without code."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not let it happen. With a `code` of its own the caller gets code and text, else a code of the service.

    Codes are 10100 to 10200 for channels, and 120001 to 130000 for posts of official accounts; their subscriptions and
    creations have none. A code of the wrong range for a question is logged and not sent. Raises InvalidError for a code
    in neither range and for a text that is none.
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
    """Let the others come; for several people at once. TypeError for one text, whose letters would be people."""

    users: tuple[UserId, ...]

    def __post_init__(self) -> None:
        if isinstance(self.users, str):
            raise TypeError(f"users: {self.users!r} is one text; give a tuple of people")


@dataclass(frozen=True, slots=True)
class Drop:
    """Throw a post away and let its author believe that it was delivered; for posts only."""


HookResponse = Allow | Rewrite | Refuse | RefuseSome | Drop
