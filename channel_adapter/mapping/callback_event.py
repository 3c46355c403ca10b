"""A webhook as an event. Pure: whether a group is a channel at all is for the caller to find out."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.errors import InvalidError
from channel_adapter.mapping import callback_account
from channel_adapter.mapping.callback_context import Context, read_context, to_parts, to_user, to_users
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.ids import channel_id
from channel_adapter.mapping.reactions import to_changes
from channel_adapter.mapping.subscription_member import ROLES
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import callbacks_group as g
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire.callback_envelope import Callback
from channel_adapter.tencent.wire.callbacks import read
from channel_adapter.tencent.wire.extensions import CLEAR


def to_event(command: str, body: Mapping[str, Any], query: Mapping[str, str], *, admin: str) -> e.Event:
    """The event of a webhook; `query` has lower-case names, `admin` is the account this adapter calls as.

    A before-event that says a message is coming becomes the event that it got lost: who keeps one does so for that
    reason. Never raises: what is not understood is Unknown, what is about no channel is Other.
    """
    model = read(body)
    context = read_context(command, body, query, model, admin)
    if model is None:
        return context.unknown()
    if isinstance(model, g.GroupCallback):
        return _about_group(model, context)
    convert = callback_account.CONVERTERS.get(type(model))
    if convert is not None:
        return _complete(convert, model, context)
    return context.other()


def _about_group(model: g.GroupCallback, context: Context) -> e.Event:
    """Topics and other kinds of groups are no channels; commands that few groups have leave the type out."""
    convert = _CHANNEL.get(type(model))
    channel = channel_of(model)
    if convert is None or channel is None or getattr(model, "topic_id", None):
        return context.other(model.group_id)
    return _complete(lambda known, within: convert(known, channel, within), model, context)


def channel_of(model: g.GroupCallback) -> ChannelId | None:
    """The group as far as it may be a channel: a Community by its type or, where that is missing, by its id."""
    if not model.group_id or model.type not in (None, groups.COMMUNITY):
        return None
    if not model.group_id.startswith(limits.COMMUNITY_ID_PREFIX):
        return None
    try:
        return channel_id(model.group_id)
    except InvalidError:
        return None


def _complete(convert: Callable[[Any, Context], e.Event | None], model: Callback, context: Context) -> e.Event:
    """The event, or the raw body where a member is missing without which it would say nothing."""
    return convert(model, context) or context.unknown()


def _subscribed(model: g.AfterNewMemberJoin, channel: ChannelId, context: Context) -> e.Event | None:
    users = to_users(item.member_account for item in model.new_member_list or ())
    invited = model.join_type == g.INVITED
    return e.Subscribed(**context.common(), channel=channel, users=users, invited=invited) if users else None


def _unsubscribed(model: g.AfterMemberExit, channel: ChannelId, context: Context) -> e.Event | None:
    users = to_users(item.member_account for item in model.exit_member_list or ())
    reason = e.Departure.REMOVED if model.exit_type == g.KICKED else e.Departure.LEFT
    return e.Unsubscribed(**context.common(), channel=channel, users=users, reason=reason) if users else None


def _created(model: g.AfterCreateGroup, channel: ChannelId, context: Context) -> e.Event:
    return e.ChannelCreated(
        **context.common(),
        channel=channel,
        name=model.name or "",
        owner=to_user(model.owner_account),
        users=to_users(item.member_account for item in model.member_list or ()),
    )


def _changed(model: g.AfterGroupInfoChanged, channel: ChannelId, context: Context) -> e.Event:
    return e.ChannelChanged(
        **context.common(),
        channel=channel,
        name=model.name,
        introduction=model.introduction,
        notification=model.notification,
        avatar=model.face_url,
    )


def _deleted(model: g.AfterGroupDestroyed, channel: ChannelId, context: Context) -> e.Event:
    owner = to_user(model.owner_account)
    return e.ChannelDeleted(**context.common(), channel=channel, name=model.name or "", owner=owner)


def _full(model: g.AfterGroupFull, channel: ChannelId, context: Context) -> e.Event:
    return e.ChannelFull(**context.common(own=False), channel=channel)


def _published(model: g.AfterSendMsg, channel: ChannelId, context: Context) -> e.Event | None:
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


def _edited(model: g.AfterModifyMsg, channel: ChannelId, context: Context) -> e.Event | None:
    if not model.msg_seq:
        return None
    ref = PostRef(channel, model.msg_seq)
    return e.PostEdited(**context.common(), channel=channel, ref=ref, parts=to_parts(model.msg_body))


def _recalled(model: g.AfterRecallMsg, channel: ChannelId, context: Context) -> e.Event | None:
    refs = tuple(PostRef(channel, item.msg_seq) for item in model.msg_seq_list or ())
    return e.PostRecalled(**context.common(), channel=channel, refs=refs) if refs else None


def _lost(model: g.BeforeSendMsg | g.SendMsgException, channel: ChannelId, context: Context) -> e.Event:
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


def _reacted(model: g.AfterGroupMsgExtension, channel: ChannelId, context: Context) -> e.Event | None:
    if not model.msg_seq:
        return None
    pairs = model.extension_list or ()
    from_client = None if context.platform is e.Platform.UNKNOWN else context.platform is not e.Platform.SERVER
    people = tuple(to_changes(pairs, from_client=from_client))
    cleared = model.operate_type == CLEAR
    if not people and not cleared:  # our own counts, or pairs that mean something else to somebody
        return context.other(channel)
    return e.ReactionChanged(
        **context.common(),
        channel=channel,
        ref=PostRef(channel, model.msg_seq),
        changes=people,
        version=model.seq or 0,
        cleared=cleared,
    )


def _role(model: g.AfterMemberFieldChanged, channel: ChannelId, context: Context) -> e.Event | None:
    user, role = to_user(model.whom()), ROLES.get(model.role or "")
    if user is None:
        return None
    if role is None:  # a name card, which channels do not have
        return context.other(channel)
    return e.RoleChanged(**context.common(), channel=channel, user=user, role=role)


def _owner(model: g.AfterChangeGroupOwner, channel: ChannelId, context: Context) -> e.Event | None:
    new = to_user(model.new_owner_account)
    if new is None:
        return None
    return e.OwnerChanged(
        **context.common(), channel=channel, old_owner=to_user(model.old_owner_account), new_owner=new
    )


_CHANNEL: Final[dict[type[Callback], Callable[[Any, ChannelId, Context], e.Event | None]]] = {
    g.AfterNewMemberJoin: _subscribed,
    g.AfterMemberExit: _unsubscribed,
    g.AfterCreateGroup: _created,
    g.AfterGroupInfoChanged: _changed,
    g.AfterGroupDestroyed: _deleted,
    g.AfterGroupFull: _full,
    g.AfterSendMsg: _published,
    g.AfterModifyMsg: _edited,
    g.AfterRecallMsg: _recalled,
    g.BeforeSendMsg: _lost,
    g.SendMsgException: _lost,
    g.AfterGroupMsgExtension: _reacted,
    g.AfterMemberFieldChanged: _role,
    g.AfterChangeGroupOwner: _owner,
}
