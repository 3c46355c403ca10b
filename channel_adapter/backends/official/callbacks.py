"""Webhooks of official accounts as events and requests, and the replies to them. Pure."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from channel_adapter.backends.callbacks import (
    CallbackContext,
    Identity,
    PendingPost,
    reply_to,
    require_parts,
    require_users,
    to_parts,
    to_user,
    to_users,
    unreadable,
)
from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import broadcast_number
from channel_adapter.tencent.wire import callbacks_official as o
from channel_adapter.tencent.wire.callback_envelope import Callback, CallbackReply


def _to_channel_created_event(
    model: o.AfterCreateOfficialAccount, channel: ChannelId, context: CallbackContext
) -> e.Event:
    owner = to_user(model.owner_account)
    return e.ChannelCreated(**context.common(), channel=channel, name=model.name or "", owner=owner)


def _to_channel_changed_event(
    model: o.AfterOfficialAccountInfoChanged, channel: ChannelId, context: CallbackContext
) -> e.Event:
    return e.ChannelChanged(
        **context.common(),
        channel=channel,
        name=model.name,
        introduction=model.introduction,
        avatar=model.face_url,
        organization=model.organization,
    )


def _to_channel_deleted_event(
    model: o.AfterOfficialAccountDestroyed, channel: ChannelId, context: CallbackContext
) -> e.Event:
    owner = to_user(model.owner_account)
    return e.ChannelDeleted(**context.common(), channel=channel, name=model.name or "", owner=owner)


def _to_channel_full_event(model: o.AfterOfficialAccountFull, channel: ChannelId, context: CallbackContext) -> e.Event:
    return e.ChannelFull(**context.common(own=False), channel=channel)


def _to_subscribed_event(model: o.AfterAddSubscriber, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    users = to_users(item.subscriber_account for item in model.subscribe_account_list or ())
    invited = context.by is not None and context.by not in users
    return e.Subscribed(**context.common(), channel=channel, users=users, invited=invited) if users else None


def _to_unsubscribed_event(
    model: o.AfterDeleteSubscriber, channel: ChannelId, context: CallbackContext
) -> e.Event | None:
    users = to_users(item.subscriber_account for item in model.subscribe_account_list or ())
    left = context.by is None or context.by in users
    reason = e.Departure.LEFT if left else e.Departure.REMOVED
    return e.Unsubscribed(**context.common(), channel=channel, users=users, reason=reason) if users else None


def _to_post_published_event(
    model: o.OfficialAfterSendMsg, channel: ChannelId, context: CallbackContext
) -> e.Event | None:
    if not model.msg_key and not model.online_only_flag:
        return None
    post = Post(
        ref=_to_post_ref(channel, model.msg_key or ""),
        author=None,
        published_at=to_datetime(model.msg_time),
        parts=to_parts(model.msg_body),
    )
    return e.PostPublished(
        **context.common(),
        channel=channel,
        post=post,
        online_only=bool(model.online_only_flag),
        app_data=model.cloud_custom_data or "",
    )


def _to_post_recalled_event(model: o.AfterMsgWithDraw, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    refs = tuple(_to_post_ref(channel, item.msg_key) for item in model.withdraw_msg_list or ())
    return e.PostRecalled(**context.common(), channel=channel, refs=refs) if refs else None


_EVENTS: Final[dict[type[Callback], Callable[[Any, ChannelId, CallbackContext], e.Event | None]]] = {
    o.AfterCreateOfficialAccount: _to_channel_created_event,
    o.AfterOfficialAccountInfoChanged: _to_channel_changed_event,
    o.AfterOfficialAccountDestroyed: _to_channel_deleted_event,
    o.AfterAddSubscriber: _to_subscribed_event,
    o.AfterDeleteSubscriber: _to_unsubscribed_event,
    o.AfterOfficialAccountFull: _to_channel_full_event,
    o.OfficialAfterSendMsg: _to_post_published_event,
    o.AfterMsgWithDraw: _to_post_recalled_event,
}
_NO_CODES: Final = range(0)


class OfficialCallbacks:
    """The table of official-account mode."""

    commands: Final[Mapping[type[e.Event], str]] = {
        e.Subscribed: o.AfterAddSubscriber.command,
        e.Unsubscribed: o.AfterDeleteSubscriber.command,
        e.ChannelCreated: o.AfterCreateOfficialAccount.command,
        e.ChannelChanged: o.AfterOfficialAccountInfoChanged.command,
        e.ChannelDeleted: o.AfterOfficialAccountDestroyed.command,
        e.ChannelFull: o.AfterOfficialAccountFull.command,
        e.PostPublished: o.OfficialAfterSendMsg.command,
        e.PostRecalled: o.AfterMsgWithDraw.command,
    }
    requests: Final[Mapping[type[hooks.HookRequest], str]] = {
        hooks.PostDraft: o.OfficialBeforeSendMsg.command,
        hooks.SubscribeRequest: o.BeforeAddSubscriber.command,
        hooks.CreateRequest: o.BeforeCreateOfficialAccount.command,
    }

    def event(self, callback: Callback, context: CallbackContext) -> e.Event | None:
        """Return the event of a webhook, None if it is not about an official account."""
        if not isinstance(callback, o.OfficialCallback):
            return None
        convert = _EVENTS.get(type(callback))
        if convert is None:
            return context.other()
        account = callback.official_account
        return (convert(callback, ChannelId(account), context) if account else None) or context.unknown()

    def request(self, callback: Callback, context: CallbackContext) -> hooks.HookRequest | None:
        """Return the request of a before-webhook, None if it is not about an official account.

        Raises InvalidError for a body that is not as documented: it may be about anything.
        """
        match callback:
            case o.BeforeCreateOfficialAccount():
                owner = to_user(callback.owner_account)
                return hooks.CreateRequest(**context.common(), name=callback.name or "", owner=owner)
            case o.BeforeAddSubscriber():
                channel = _require_account(callback)
                accounts = (item.subscriber_account for item in callback.subscribe_account_list or ())
                users = require_users(callback, "SubscribeAccountList", accounts)
                invited = context.by is not None and context.by not in users
                return hooks.SubscribeRequest(**context.common(), channel=channel, users=users, invited=invited)
            case o.OfficialBeforeSendMsg():
                return hooks.PostDraft(
                    **context.common(),
                    channel=_require_account(callback),
                    author=None,
                    parts=require_parts(callback, callback.msg_body),
                    app_data=callback.cloud_custom_data or "",
                    online_only=bool(callback.online_only_flag),
                )
            case _:
                return None

    def reply(self, request: hooks.HookRequest, response: hooks.HookResponse, max_bytes: int) -> CallbackReply:
        """Return the reply for a response. Refused users are in two fields: the documentation has either name.

        Only posts have own codes of refusal. Raises InvalidError for a response that this request cannot have.
        """
        codes = hooks.ACCOUNT_CODES if isinstance(request, hooks.PostDraft) else _NO_CODES
        reply = reply_to(request, response, codes, max_bytes)
        return reply.model_copy(update={"refused_subscribers": reply.refused_members})

    def identity(self, callback: Callback) -> Identity | None:
        """Return what identifies a webhook, None if it is not about an official account."""
        if not isinstance(callback, o.OfficialCallback):
            return None
        account = callback.official_account or ""
        parts: list[object] | None = None
        match callback:
            case o.OfficialAfterSendMsg(msg_key=key) if account and key:
                parts = [account, key]
            case o.AfterMsgWithDraw(withdraw_msg_list=list() as items) if account and items:
                parts = [account, sorted(item.msg_key for item in items)]
        return Identity(callback.command, parts, account, 0)

    def published(self, post: Post) -> Identity | None:
        """Return what identifies the webhook that reports a broadcast; None without its key."""
        ref = post.ref
        parts = [ref.channel, ref.key]
        return Identity(o.OfficialAfterSendMsg.command, parts, ref.channel, 0) if ref.key else None

    def pending_post(self, callback: Callback) -> PendingPost | None:
        """Return None: a broadcast that is announced has nothing by which it could be found again."""
        return None


OFFICIAL_CALLBACKS: Final = OfficialCallbacks()


def _to_post_ref(channel: ChannelId, key: str) -> PostRef:
    return PostRef(channel, broadcast_number(key), key)


def _require_account(model: o.OfficialCallback) -> ChannelId:
    if not model.official_account:
        raise unreadable(model.command, "Official_Account")
    return ChannelId(model.official_account)
