"""What the events of all webhooks have in common: time, place, who, and how lists and bodies are read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from channel_adapter.domain import events as e
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.post import Content
from channel_adapter.mapping.content import from_elements
from channel_adapter.tencent.wire import callback_envelope as envelope
from channel_adapter.tencent.wire.callbacks_other import IOS_IN_CAPITALS
from channel_adapter.tencent.wire.msg_body import Element

PLATFORMS: Final = {
    envelope.REST: e.Platform.SERVER,
    envelope.ANDROID: e.Platform.ANDROID,
    envelope.IOS: e.Platform.IOS,
    IOS_IN_CAPITALS: e.Platform.IOS,
    envelope.IPAD: e.Platform.IPAD,
    envelope.WEB: e.Platform.WEB,
    envelope.WINDOWS: e.Platform.WINDOWS,
    envelope.MAC: e.Platform.MAC,
    envelope.MAC_BEFORE: e.Platform.MAC,
}


@dataclass(frozen=True, slots=True)
class Context:
    """What is common to all events of one webhook."""

    at: datetime | None
    platform: e.Platform
    by: UserId | None
    own: bool
    command: str
    body: Mapping[str, Any]

    def common(self, *, own: bool | None = None) -> dict[str, Any]:
        """The fields of every event. What nobody did, such as an alarm, is nobody's echo: `own` False."""
        return {"at": self.at, "platform": self.platform, "by": self.by, "own": self.own if own is None else own}

    def other(self, about: str | None = "") -> e.Other:
        return e.Other(**self.common(), command=self.command, about=about or "", body=self.body)

    def unknown(self) -> e.Unknown:
        return e.Unknown(**self.common(), command=self.command, body=self.body)


def read_context(
    command: str, body: Mapping[str, Any], query: Mapping[str, str], model: envelope.Callback | None, admin: str
) -> Context:
    """What the URL and the common members say; `query` has lower-case names, `admin` is who this adapter calls as."""
    platform = PLATFORMS.get(query.get(envelope.QUERY_PLATFORM.lower(), ""), e.Platform.UNKNOWN)
    operator = getattr(model, "operator_account", None)
    milliseconds = model.event_time if model else None
    return Context(
        at=datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None,
        platform=platform,
        by=UserId(operator) if operator else None,
        own=platform is e.Platform.SERVER and operator == admin,
        command=command,
        body=body,
    )


def to_user(account: str | None) -> UserId | None:
    """Nobody is None, however the wire spells it."""
    return UserId(account) if account else None


def to_users(accounts: Iterable[str]) -> tuple[UserId, ...]:
    """In the order of the webhook, nobody twice."""
    return tuple(UserId(account) for account in dict.fromkeys(accounts) if account)


def to_parts(elements: list[Element] | None) -> tuple[Content, ...]:
    """The contents of a message body."""
    return from_elements(elements or [])
