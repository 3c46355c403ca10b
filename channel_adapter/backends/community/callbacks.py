"""Webhooks of Community groups as events and requests, and the replies to them. Pure."""

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
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import COMMUNITY_IDS
from channel_adapter.mapping.reactions import to_changes
from channel_adapter.mapping.subscription_member import ROLES
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import callbacks_group as g
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire.callback_envelope import Callback, CallbackReply
from channel_adapter.tencent.wire.extensions import CLEAR


def channel_of(model: g.GroupCallback) -> ChannelId | None:
    """Return the id of a group that may be a channel: a Community by its type or, without one, by its id."""
    if not model.group_id or model.type not in (None, groups.COMMUNITY):
        return None
    if not model.group_id.startswith(limits.COMMUNITY_ID_PREFIX):
        return None
    try:
        return COMMUNITY_IDS.channel(model.group_id)
    except InvalidError:
        return None


def _to_subscribed_event(model: g.AfterNewMemberJoin, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    users = to_users(item.member_account for item in model.new_member_list or ())
    invited = model.join_type == g.INVITED
    return e.Subscribed(**context.common(), channel=channel, users=users, invited=invited) if users else None


def _to_unsubscribed_event(model: g.AfterMemberExit, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    users = to_users(item.member_account for item in model.exit_member_list or ())
    reason = e.Departure.REMOVED if model.exit_type == g.KICKED else e.Departure.LEFT
    return e.Unsubscribed(**context.common(), channel=channel, users=users, reason=reason) if users else None


def _to_channel_created_event(model: g.AfterCreateGroup, channel: ChannelId, context: CallbackContext) -> e.Event:
    return e.ChannelCreated(
        **context.common(),
        channel=channel,
        name=model.name or "",
        owner=to_user(model.owner_account),
        users=to_users(item.member_account for item in model.member_list or ()),
    )


def _to_channel_changed_event(model: g.AfterGroupInfoChanged, channel: ChannelId, context: CallbackContext) -> e.Event:
    return e.ChannelChanged(
        **context.common(),
        channel=channel,
        name=model.name,
        introduction=model.introduction,
        notification=model.notification,
        avatar=model.face_url,
    )


def _to_channel_deleted_event(model: g.AfterGroupDestroyed, channel: ChannelId, context: CallbackContext) -> e.Event:
    owner = to_user(model.owner_account)
    return e.ChannelDeleted(**context.common(), channel=channel, name=model.name or "", owner=owner)


def _to_channel_full_event(model: g.AfterGroupFull, channel: ChannelId, context: CallbackContext) -> e.Event:
    return e.ChannelFull(**context.common(own=False), channel=channel)


def _to_post_published_event(model: g.AfterSendMsg, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    if not model.msg_seq and not model.online_only_flag:
        return None
    post = Post(
        ref=PostRef(channel, model.msg_seq or 0),
        author=to_user(model.from_account),
        published_at=to_datetime(model.msg_time),
        parts=to_parts(model.msg_body),
        dedupe=model.random,
    )
    return e.PostPublished(
        **context.common(),
        channel=channel,
        post=post,
        online_only=bool(model.online_only_flag),
        app_data=model.cloud_custom_data or "",
    )


def _to_post_edited_event(model: g.AfterModifyMsg, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    if not model.msg_seq:
        return None
    ref = PostRef(channel, model.msg_seq)
    return e.PostEdited(**context.common(), channel=channel, ref=ref, parts=to_parts(model.msg_body))


def _to_post_recalled_event(model: g.AfterRecallMsg, channel: ChannelId, context: CallbackContext) -> e.Event | None:
    refs = tuple(PostRef(channel, item.msg_seq) for item in model.msg_seq_list or ())
    return e.PostRecalled(**context.common(), channel=channel, refs=refs) if refs else None


def _to_post_lost_event(
    model: g.BeforeSendMsg | g.SendMsgException, channel: ChannelId, context: CallbackContext
) -> e.Event:
    failed = model if isinstance(model, g.SendMsgException) else None
    return e.PostLost(
        **context.common(own=False),
        channel=channel,
        author=to_user(model.from_account),
        parts=to_parts(model.msg_body),
        dedupe=model.random,
        reason=e.Loss.FAILED if failed else e.Loss.VANISHED,
        code=failed.error_code if failed else None,
        text=(failed.error_info or "") if failed else "",
    )


def _to_reaction_changed_event(
    model: g.AfterGroupMsgExtension, channel: ChannelId, context: CallbackContext
) -> e.Event | None:
    if not model.msg_seq:
        return None
    pairs = model.extension_list or ()
    from_client = None if context.platform is e.Platform.UNKNOWN else context.platform is not e.Platform.SERVER
    changes = tuple(to_changes(pairs, from_client=from_client))
    cleared = model.operate_type == CLEAR
    if not changes and not cleared:  # our own counts, or extensions of another meaning
        return context.other(channel)
    return e.ReactionChanged(
        **context.common(),
        channel=channel,
        ref=PostRef(channel, model.msg_seq),
        changes=changes,
        version=model.seq or 0,
        cleared=cleared,
    )


def _to_role_changed_event(
    model: g.AfterMemberFieldChanged, channel: ChannelId, context: CallbackContext
) -> e.Event | None:
    user, role = to_user(model.changed_account()), ROLES.get(model.role or "")
    if user is None:
        return None
    if role is None:  # a name card, which channels do not have
        return context.other(channel)
    return e.RoleChanged(**context.common(), channel=channel, user=user, role=role)


def _to_owner_changed_event(
    model: g.AfterChangeGroupOwner, channel: ChannelId, context: CallbackContext
) -> e.Event | None:
    new = to_user(model.new_owner_account)
    if new is None:
        return None
    return e.OwnerChanged(
        **context.common(), channel=channel, old_owner=to_user(model.old_owner_account), new_owner=new
    )


_EVENTS: Final[dict[type[Callback], Callable[[Any, ChannelId, CallbackContext], e.Event | None]]] = {
    g.AfterNewMemberJoin: _to_subscribed_event,
    g.AfterMemberExit: _to_unsubscribed_event,
    g.AfterCreateGroup: _to_channel_created_event,
    g.AfterGroupInfoChanged: _to_channel_changed_event,
    g.AfterGroupDestroyed: _to_channel_deleted_event,
    g.AfterGroupFull: _to_channel_full_event,
    g.AfterSendMsg: _to_post_published_event,
    g.AfterModifyMsg: _to_post_edited_event,
    g.AfterRecallMsg: _to_post_recalled_event,
    g.BeforeSendMsg: _to_post_lost_event,
    g.SendMsgException: _to_post_lost_event,
    g.AfterGroupMsgExtension: _to_reaction_changed_event,
    g.AfterMemberFieldChanged: _to_role_changed_event,
    g.AfterChangeGroupOwner: _to_owner_changed_event,
}


class CommunityCallbacks:
    """The table of Community mode."""

    commands: Final[Mapping[type[e.Event], str]] = {
        e.Subscribed: g.AfterNewMemberJoin.command,
        e.Unsubscribed: g.AfterMemberExit.command,
        e.ChannelCreated: g.AfterCreateGroup.command,
        e.ChannelChanged: g.AfterGroupInfoChanged.command,
        e.ChannelDeleted: g.AfterGroupDestroyed.command,
        e.ChannelFull: g.AfterGroupFull.command,
        e.PostPublished: g.AfterSendMsg.command,
        e.PostEdited: g.AfterModifyMsg.command,
        e.PostRecalled: g.AfterRecallMsg.command,
        e.PostLost: g.SendMsgException.command,
        e.ReactionChanged: g.AfterGroupMsgExtension.command,
        e.RoleChanged: g.AfterMemberFieldChanged.command,
        e.OwnerChanged: g.AfterChangeGroupOwner.command,
    }
    requests: Final[Mapping[type[hooks.HookRequest], str]] = {
        hooks.PostDraft: g.BeforeSendMsg.command,
        hooks.SubscribeRequest: g.BeforeApplyJoinGroup.command,
        hooks.CreateRequest: g.BeforeCreateGroup.command,
    }

    def event(self, callback: Callback, context: CallbackContext) -> e.Event | None:
        """Return the event of a webhook, None if it is not about a group.

        Topics and other kinds of groups are no channels. An announced post becomes the event that it was lost: a
        before-webhook is stored for that reason only.
        """
        if not isinstance(callback, g.GroupCallback):
            return None
        convert = _EVENTS.get(type(callback))
        channel = channel_of(callback)
        if convert is None or channel is None or getattr(callback, "topic_id", None):
            return context.other(callback.group_id)
        return convert(callback, channel, context) or context.unknown()

    def request(self, callback: Callback, context: CallbackContext) -> hooks.HookRequest | None:
        """Return the request of a before-webhook, None if it is not about a Community.

        Raises InvalidError for a body that is not as documented: it may be about anything.
        """
        match callback:
            case g.BeforeSendMsg() | g.BeforeApplyJoinGroup() | g.BeforeInviteJoinGroup():
                if not callback.group_id:
                    raise unreadable(callback.command, "GroupId")
                channel = channel_of(callback)
                return None if channel is None else _to_hook_request(callback, channel, context.common())
            case g.BeforeCreateGroup(type=None | ""):
                raise unreadable(callback.command, "Type")
            case g.BeforeCreateGroup(type=groups.COMMUNITY):
                return hooks.CreateRequest(
                    **context.common(),
                    name=callback.name or "",
                    owner=to_user(callback.owner_account),
                    users=to_users(item.member_account for item in callback.member_list or ()),
                )
            case _:
                return None

    def reply(self, request: hooks.HookRequest, response: hooks.HookResponse, max_bytes: int) -> CallbackReply:
        """Return the reply for a response. Raises InvalidError for one that this request cannot have."""
        return reply_to(request, response, hooks.CHANNEL_CODES, max_bytes)

    def identity(self, callback: Callback) -> Identity | None:
        """Return what identifies a webhook, None if it is not about a group.

        An announced post that never arrived has the identity of one that failed: it is lost once.
        """
        if not isinstance(callback, g.GroupCallback):
            return None
        fields = callback.__dict__  # `getattr` is slow for a field that a model does not have
        number = fields.get("msg_seq") or fields.get("seq") or 0
        command = g.SendMsgException.command if isinstance(callback, g.BeforeSendMsg) else callback.command
        return Identity(command, _identity_parts(callback), callback.group_id or "", number)

    def published(self, post: Post) -> Identity | None:
        """Return what identifies the webhook that reports a published post; None if the post does not identify it."""
        if post.published_at is None or post.dedupe is None:
            return None
        ref = post.ref
        parts = _sent_parts(ref.channel, ref.seq, "", int(post.published_at.timestamp()), post.dedupe)
        return Identity(g.AfterSendMsg.command, parts, ref.channel, ref.seq)

    def pending_post(self, callback: Callback) -> PendingPost | None:
        """Return the post of a webhook before or after sending; None for topics and messages that history never has."""
        if not isinstance(callback, g.BeforeSendMsg | g.AfterSendMsg | g.SendMsgException):
            return None
        channel = channel_of(callback)
        if channel is None or callback.topic_id or callback.online_only_flag:
            return None
        author = to_user(callback.from_account)
        return PendingPost(channel, author, callback.random) if author is not None and callback.random else None


COMMUNITY_CALLBACKS: Final = CommunityCallbacks()


def _to_hook_request(
    model: g.BeforeSendMsg | g.BeforeApplyJoinGroup | g.BeforeInviteJoinGroup,
    channel: ChannelId,
    common: dict[str, Any],
) -> hooks.HookRequest | None:
    match model:
        case g.BeforeSendMsg(topic_id=None | ""):
            return hooks.PostDraft(
                **common,
                channel=channel,
                author=to_user(model.from_account),
                parts=require_parts(model, model.msg_body),
                app_data=model.cloud_custom_data or "",
                online_only=bool(model.online_only_flag),
            )
        case g.BeforeApplyJoinGroup():
            (user,) = require_users(model, "Requestor_Account", [model.requestor_account or ""])
            return hooks.SubscribeRequest(**{**common, "by": user, "own": False}, channel=channel, users=(user,))
        case g.BeforeInviteJoinGroup():
            accounts = (item.member_account for item in model.destination_members or ())
            users = require_users(model, "DestinationMembers", accounts)
            return hooks.SubscribeRequest(**common, channel=channel, users=users, invited=True)
        case _:
            return None


def _sent_parts(group: str, seq: int, topic: str, at: int | None, random: int | None) -> list[object]:
    """Return what identifies a message: numbers start again in a group that was deleted and created again."""
    return [group, seq, topic, at, random]


def _identity_parts(callback: g.GroupCallback) -> list[object] | None:
    match callback:
        case g.AfterSendMsg(group_id=group, msg_seq=seq, topic_id=topic) if group and seq:
            return _sent_parts(group, seq, topic or "", callback.msg_time, callback.random)
        case g.BeforeSendMsg() | g.SendMsgException():
            known = callback.group_id and callback.from_account and callback.random
            return (
                [callback.group_id, callback.from_account, callback.random, callback.topic_id or ""] if known else None
            )
        case g.AfterRecallMsg(group_id=group, msg_seq_list=list() as items, topic_id=topic) if group and items:
            return [group, sorted(item.msg_seq for item in items), topic or ""]
        case g.AfterGroupMsgExtension(group_id=group, msg_seq=message, seq=seq) if group and message and seq:
            changed = sorted((pair.key, pair.seq or 0) for pair in callback.extension_list or ())
            return [group, message, seq, callback.operate_type, changed]
        case g.AfterNewMemberJoin(group_id=group, new_member_list=list() as users, event_time=int() as at) if group:
            return [group, sorted(item.member_account for item in users), at]
        case g.AfterMemberExit(group_id=group, exit_member_list=list() as users, event_time=int() as at) if group:
            return [group, sorted(item.member_account for item in users), at]
        case _:
            return None
