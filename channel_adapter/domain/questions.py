"""What the service asks before it does something, and what may be answered.

Hooks of the app get a question and give a decision; None allows. Questions about official accounts are the same with
`account` in place of `channel`.
"""

from dataclasses import dataclass
from datetime import datetime

from channel_adapter.domain.events import Platform
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Base of all questions: who wants it, from where. `own` marks the calls of this adapter."""

    at: datetime | None = None
    platform: Platform = Platform.UNKNOWN
    by: UserId | None = None
    own: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDraft(Question):
    """May this be posted? `by` differs from `author` when a server posts for somebody."""

    channel: ChannelId
    author: UserId | None
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscribeRequest(Question):
    """May these people come? One person by themselves, or several who are `invited` or added by a server."""

    channel: ChannelId
    users: tuple[UserId, ...]
    invited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest(Question):
    """May this Community be made? Whether it is to be a channel nobody can tell yet."""

    name: str
    owner: UserId | None
    users: tuple[UserId, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialPostDraft(Question):
    """May this be broadcast by an official account? The service does not say who wants it."""

    account: str
    parts: tuple[Content, ...]
    app_data: str = ""
    online_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialSubscribeRequest(Question):
    """May these people follow an official account?"""

    account: str
    users: tuple[UserId, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfficialCreateRequest(Question):
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


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not let it happen. With a `code` of 10100 to 10200 the client gets code and text, else a code of the service.

    Official accounts know no codes of the app's own.
    """

    text: str = ""
    code: int | None = None


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


Decision = Allow | Rewrite | Refuse | RefuseSome | Drop
