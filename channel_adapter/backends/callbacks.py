"""What the webhooks of both modes have in common, and the interface of the table of one mode. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import from_elements, to_elements
from channel_adapter.tencent.wire import callback_envelope as envelope
from channel_adapter.tencent.wire.callbacks_other import IOS_IN_CAPITALS, RequestOverLimit
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
class CallbackContext:
    """What the events and requests of one webhook have in common."""

    at: datetime | None
    platform: e.Platform
    by: UserId | None
    own: bool
    command: str
    body: Mapping[str, Any]

    def common(self, *, own: bool | None = None) -> dict[str, Any]:
        """Return the fields of every event. `own` False for what no call causes, such as an alarm."""
        return {"at": self.at, "platform": self.platform, "by": self.by, "own": self.own if own is None else own}

    def other(self, about: str | None = "") -> e.Other:
        """Return the event of a webhook that is not about a channel."""
        return e.Other(**self.common(), command=self.command, about=about or "", body=self.body)

    def unknown(self) -> e.Unknown:
        """Return the event of a webhook that is not as documented."""
        return e.Unknown(**self.common(), command=self.command, body=self.body)


@dataclass(frozen=True, slots=True)
class Identity:
    """What makes a webhook equal to another one of its command, and its place in the order.

    `parts` None: its fields do not identify it. `command` differs from the webhook's where two commands report one
    event. `order_key` is the group or account, `number` that of a message in it, 0 without one.
    """

    command: str
    parts: Sequence[object] | None
    order_key: str
    number: int


@dataclass(frozen=True, slots=True)
class PendingPost:
    """A post that a webhook is about, by what it is known before it has a number."""

    channel: ChannelId
    author: UserId
    dedupe: int


class CallbackMapping(Protocol):
    """The webhooks of one mode, as events, requests and replies. Pure: whether a group is a channel is not checked."""

    @property
    def commands(self) -> Mapping[type[e.Event], str]:
        """The command of the webhook for each event."""
        ...

    @property
    def requests(self) -> Mapping[type[hooks.HookRequest], str]:
        """The command of the webhook for each request."""
        ...

    def event(self, callback: envelope.Callback, context: CallbackContext) -> e.Event | None:
        """Return the event of a webhook, None for one of another mode."""
        ...

    def request(self, callback: envelope.Callback, context: CallbackContext) -> hooks.HookRequest | None:
        """Return the request of a before-webhook, None if it is not about a channel or of another mode.

        Raises InvalidError for a body that is not as documented: it may be about anything.
        """
        ...

    def reply(self, request: hooks.HookRequest, response: hooks.HookResponse, max_bytes: int) -> envelope.CallbackReply:
        """Return the reply for a response; `max_bytes` is the size of a rewritten post.

        Raises InvalidError for a response that this request cannot have.
        """
        ...

    def identity(self, callback: envelope.Callback) -> Identity | None:
        """Return what identifies a webhook, None for one of another mode."""
        ...

    def pending_post(self, callback: envelope.Callback) -> PendingPost | None:
        """Return the post of a webhook before or after sending; None if it does not identify the post."""
        ...


def read_context(
    command: str, body: Mapping[str, Any], query: Mapping[str, str], model: envelope.Callback | None, admin: str
) -> CallbackContext:
    """Return what URL and common fields report.

    `query` has lower-case names; `admin` is the account as which this adapter calls.
    """
    platform = PLATFORMS.get(query.get(envelope.QUERY_PLATFORM.lower(), ""), e.Platform.UNKNOWN)
    operator = getattr(model, "operator_account", None)
    milliseconds = model.event_time if model else None
    return CallbackContext(
        at=datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None,
        platform=platform,
        by=UserId(operator) if operator else None,
        own=platform is e.Platform.SERVER and operator == admin,
        command=command,
        body=body,
    )


def rate_alarm(model: RequestOverLimit, context: CallbackContext) -> e.Event:
    """Return the event of an alarm about the rate of calls."""
    if not model.service_name or not model.command_name:
        return context.unknown()
    return e.RateAlarm(
        **context.common(own=False),
        service=model.service_name,
        command=model.command_name,
        calls=model.request or 0,
        allowed=model.limit or 0,
    )


def reply_to(
    request: hooks.HookRequest, response: hooks.HookResponse, codes: range, max_bytes: int
) -> envelope.CallbackReply:
    """Return the reply for a response; `codes` are those that a refusal of this request may carry.

    A refusal with another code has its text alone. Raises InvalidError for a response that this request cannot have.
    """
    match response:
        case hooks.Allow():
            return envelope.CallbackReply()
        case hooks.Refuse(text=text, code=code):
            sent = code if code is not None and code in codes else envelope.REFUSE
            return envelope.CallbackReply(error_code=sent, error_info=text.encode(errors="replace").decode())
        case hooks.Rewrite() if isinstance(request, hooks.PostDraft):
            elements = None if response.parts is None else to_elements(response.parts, max_bytes)[0]
            return envelope.CallbackReply(msg_body=elements, cloud_custom_data=response.app_data)
        case hooks.Drop() if isinstance(request, hooks.PostDraft):
            return envelope.CallbackReply(error_code=envelope.DROP)
        case hooks.RefuseSome(users=users) if isinstance(request, hooks.SubscribeRequest):
            refused: list[str] = [user for user in request.users if user in users]
            if len(refused) == len(request.users):
                return reply_to(request, hooks.Refuse(), codes, max_bytes)
            return envelope.CallbackReply(refused_members=refused or None)
        case _:
            name = type(response).__name__
            raise InvalidError(f"{name} is no answer to {type(request).__name__}", field="decision")


def to_user(account: str | None) -> UserId | None:
    """Return the user of an account; None for an absent or empty one."""
    return UserId(account) if account else None


def to_users(accounts: Iterable[str]) -> tuple[UserId, ...]:
    """Return the users of accounts in their order, each once."""
    return tuple(UserId(account) for account in dict.fromkeys(accounts) if account)


def to_parts(elements: list[Element] | None) -> tuple[Content, ...]:
    """Return the contents of a message body."""
    return from_elements(elements or [])


def require_users(model: envelope.Callback, field: str, accounts: Iterable[str]) -> tuple[UserId, ...]:
    """Return the users of a request to subscribe. Raises InvalidError if there are none."""
    users = to_users(accounts)
    if not users:
        raise unreadable(model.command, field)
    return users


def require_parts(model: envelope.Callback, elements: list[Element] | None) -> tuple[Content, ...]:
    """Return the contents of an announced post. Raises InvalidError without a message body."""
    if elements is None:
        raise unreadable(model.command, "MsgBody")
    return to_parts(elements)


def unreadable(command: str, field: str) -> InvalidError:
    """Return the error for a before-webhook without a field that is documented."""
    return InvalidError(f"the body of {command} is not as documented: {field}", field=field)
