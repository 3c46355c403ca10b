"""What the webhooks of both modes have in common, and the interface of the table of one mode. Pure.

One-to-one messages have one table for both modes. Their webhooks name two accounts and no channel, so an event is about
the receiver, or the reader, as if it were the account of a channel; `from_other_side` is it for the other end.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Final, Protocol, TypeVar

from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Direction
from channel_adapter.domain.post import Content, Post, PostRef
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import from_elements, to_datetime, to_elements
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import callback_envelope as envelope
from channel_adapter.tencent.wire import callbacks_c2c as c2c
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

    def published(self, post: Post) -> Identity | None:
        """Return what identifies the webhook that reports a published post; None if the post does not identify it."""
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


def _to_message_received_event(
    model: c2c.C2CAfterSendMsg, common: dict[str, Any], context: CallbackContext
) -> e.Event | None:
    if model.send_msg_result:  # it was not sent
        return context.other()
    if not model.msg_key:
        return None
    return e.MessageReceived(
        **common,
        key=model.msg_key,
        parts=to_parts(model.msg_body),
        sent_at=to_datetime(model.msg_time),
        online_only=bool(model.online_only_flag),
        app_data=model.cloud_custom_data or "",
    )


def _to_thread_read_event(model: c2c.AfterMsgReport, common: dict[str, Any], context: CallbackContext) -> e.Event:
    until = to_datetime(model.last_read_time) or context.at
    return e.MessageRead(**common, direction=Direction.RECEIVED, until=until)


def _to_message_read_event(
    model: c2c.AfterMsgReadReceipt, common: dict[str, Any], context: CallbackContext
) -> e.Event | None:
    keys = tuple(item.msg_key for item in model.c2c_msg_info or () if item.msg_key)
    return e.MessageRead(**common, direction=Direction.RECEIVED, keys=keys) if keys else None


def _to_message_recalled_event(
    model: c2c.AfterC2CMsgWithDraw, common: dict[str, Any], context: CallbackContext
) -> e.Event | None:
    return e.MessageRecalled(**common, direction=Direction.RECEIVED, key=model.msg_key) if model.msg_key else None


def _to_message_edited_event(
    model: c2c.AfterModifyC2CMsg, common: dict[str, Any], context: CallbackContext
) -> e.Event | None:
    if not model.msg_key:
        return None
    return e.MessageEdited(
        **common,
        direction=Direction.RECEIVED,
        key=model.msg_key,
        parts=to_parts(model.msg_body),
        app_data=model.cloud_custom_data or "",
    )


_MESSAGE_EVENTS: Final[
    dict[type[envelope.Callback], Callable[[Any, dict[str, Any], CallbackContext], e.Event | None]]
] = {
    c2c.C2CAfterSendMsg: _to_message_received_event,
    c2c.AfterMsgReport: _to_thread_read_event,
    c2c.AfterMsgReadReceipt: _to_message_read_event,
    c2c.AfterC2CMsgWithDraw: _to_message_recalled_event,
    c2c.AfterModifyC2CMsg: _to_message_edited_event,
}

MESSAGE_COMMANDS: Final[Mapping[type[e.Event], str]] = {
    e.MessageReceived: c2c.C2CAfterSendMsg.command,
    e.MessageRead: c2c.AfterMsgReport.command,
    e.MessageRecalled: c2c.AfterC2CMsgWithDraw.command,
    e.MessageEdited: c2c.AfterModifyC2CMsg.command,
    e.AllRead: c2c.AfterMsgReadAll.command,
}
"""The command of the webhook for each event of one-to-one messages; MessageSent has that of MessageReceived."""
MESSAGE_REQUESTS: Final[Mapping[type[hooks.HookRequest], str]] = {
    hooks.MessageDraft: c2c.C2CBeforeSendMsg.command,
}


def message_event(callback: envelope.Callback, context: CallbackContext) -> e.Event | None:
    """Return the event of a webhook about one-to-one messages, None for another one.

    `account` of a MessageEvent is the receiver of the message, or the reader, whether a channel has it or not.
    """
    if isinstance(callback, c2c.AfterMsgReadAll):
        user = to_user(callback.report_account)
        posts = tuple(
            PostRef(ChannelId(item.group_id), item.msg_seq)
            for item in callback.group_read_info or ()
            if 0 < item.msg_seq <= limits.SEQ_HIGHEST  # 0: a group without posts
        )
        return context.unknown() if user is None else e.AllRead(**context.common(), user=user, posts=posts)
    convert, peers = _MESSAGE_EVENTS.get(type(callback)), _peers_of(callback)
    if convert is None:
        return None
    if peers is None:
        return context.unknown()
    user, account = peers
    common = {**context.common(), "account": account, "user": user, "channel": None}
    return convert(callback, common, context) or context.unknown()


def message_request(callback: envelope.Callback, context: CallbackContext) -> hooks.MessageDraft | None:
    """Return the request about a one-to-one message, None for another webhook; `account` is its receiver.

    Raises InvalidError for a body that is not as documented.
    """
    if not isinstance(callback, c2c.C2CBeforeSendMsg):
        return None
    peers = _peers_of(callback)
    if peers is None:
        raise unreadable(callback.command, "From_Account, To_Account")
    return hooks.MessageDraft(
        **context.common(),
        account=peers[1],
        user=peers[0],
        channel=None,
        direction=Direction.RECEIVED,
        parts=require_parts(callback, callback.msg_body),
        app_data=callback.cloud_custom_data or "",
        online_only=bool(callback.online_only_flag),
    )


MessageT = TypeVar("MessageT", e.MessageEvent, hooks.MessageDraft)


def from_other_side(message: MessageT) -> MessageT:
    """Return the event or request with account and user exchanged."""
    changes: dict[str, Any] = {"account": message.user, "user": UserId(message.account)}
    if isinstance(message, e.MessageReceived):
        values = {each.name: getattr(message, each.name) for each in fields(message)}
        return e.MessageSent(**{**values, **changes})
    if hasattr(message, "direction"):
        changes["direction"] = Direction.SENT
    return replace(message, **changes)


def message_identity(callback: envelope.Callback) -> Identity | None:
    """Return what identifies a webhook about one-to-one messages, None for another one. A conversation is ordered."""
    peers = _peers_of(callback)
    if peers is None:
        return None
    order_key, parts = " ".join(sorted(peers)), None
    match callback:
        case c2c.C2CAfterSendMsg(msg_key=str() as key, send_msg_result=result) if key:
            parts = [*peers, key, result or 0]
        case c2c.AfterMsgReport(last_read_time=int() as seconds):
            parts = [*peers, seconds]
        case c2c.AfterC2CMsgWithDraw(msg_key=str() as key) if key:
            parts = [*peers, key]
    return Identity(callback.command, parts, order_key, 0)


def _peers_of(callback: envelope.Callback) -> tuple[UserId, UserId] | None:
    """Return sender and receiver of a message, or peer and reader of a conversation; None without both."""
    match callback:
        case c2c.C2CMessageCallback() | c2c.AfterC2CMsgWithDraw() | c2c.AfterModifyC2CMsg():
            peers = to_user(callback.from_account), to_user(callback.to_account)
        case c2c.AfterMsgReport():
            peers = to_user(callback.peer_account), to_user(callback.report_account)
        case c2c.AfterMsgReadReceipt():
            peers = to_user(callback.peer_account), to_user(callback.operator_account)
        case _:
            return None
    sender, receiver = peers
    return None if sender is None or receiver is None else (sender, receiver)


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
        case hooks.Rewrite() if isinstance(request, hooks.PostDraft | hooks.MessageDraft):
            elements = None if response.parts is None else to_elements(response.parts, max_bytes)[0]
            return envelope.CallbackReply(msg_body=elements, cloud_custom_data=response.app_data)
        case hooks.Drop() if isinstance(request, hooks.PostDraft | hooks.MessageDraft):
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
