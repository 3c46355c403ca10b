"""A before-webhook as a question, and a decision as the answer to it. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.callback_context import read_context, to_parts, to_user, to_users
from channel_adapter.mapping.callback_event import channel_of
from channel_adapter.mapping.content import to_elements
from channel_adapter.tencent.wire import callback_envelope as envelope
from channel_adapter.tencent.wire import callbacks_group as g
from channel_adapter.tencent.wire import callbacks_official as o
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire.callbacks import MODELS, is_before, read


def to_request(
    command: str, body: Mapping[str, Any], query: Mapping[str, str], *, admin: str
) -> hooks.HookRequest | None:
    """What is asked; None when it is about no channel, no Community and no official account.

    Raises InvalidError for a body that is not as documented: it may be about anything.
    """
    model = read(body)
    if model is None and is_before(command) and command in MODELS:
        raise _unreadable(command, "body")
    context = read_context(command, body, query, model, admin)
    common = context.common()
    match model:
        case g.BeforeSendMsg() | g.BeforeApplyJoinGroup() | g.BeforeInviteJoinGroup():
            if not model.group_id:
                raise _unreadable(command, "GroupId")
            channel = channel_of(model)
            return None if channel is None else _about_channel(model, channel, common)
        case g.BeforeCreateGroup(type=None | ""):
            raise _unreadable(command, "Type")
        case g.BeforeCreateGroup(type=groups.COMMUNITY):
            users = to_users(item.member_account for item in model.member_list or ())
            return hooks.CreateRequest(**common, name=model.name or "", owner=to_user(model.owner_account), users=users)
        case o.OfficialBeforeSendMsg() | o.BeforeAddSubscriber() | o.BeforeCreateOfficialAccount():
            return _about_account(model, common)
        case _:
            return None


def _about_channel(
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
                parts=_parts(model),
                app_data=model.cloud_custom_data or "",
                online_only=bool(model.online_only_flag),
            )
        case g.BeforeApplyJoinGroup():
            (person,) = _users(model, "Requestor_Account", [model.requestor_account or ""])
            asked = {**common, "by": person, "own": False}
            return hooks.SubscribeRequest(**asked, channel=channel, users=(person,))
        case g.BeforeInviteJoinGroup():
            named = (item.member_account for item in model.destination_members or ())
            users = _users(model, "DestinationMembers", named)
            return hooks.SubscribeRequest(**common, channel=channel, users=users, invited=True)
        case _:
            return None


def _about_account(
    model: o.OfficialBeforeSendMsg | o.BeforeAddSubscriber | o.BeforeCreateOfficialAccount, common: dict[str, Any]
) -> hooks.HookRequest:
    if isinstance(model, o.BeforeCreateOfficialAccount):
        return hooks.OfficialCreateRequest(**common, name=model.name or "", owner=to_user(model.owner_account))
    account = model.official_account
    if not account:
        raise _unreadable(model.command, "Official_Account")
    if isinstance(model, o.BeforeAddSubscriber):
        named = (item.subscriber_account for item in model.subscribe_account_list or ())
        users = _users(model, "SubscribeAccountList", named)
        return hooks.OfficialSubscribeRequest(**common, account=account, users=users)
    return hooks.OfficialPostDraft(
        **common,
        account=account,
        parts=_parts(model),
        app_data=model.cloud_custom_data or "",
        online_only=bool(model.online_only_flag),
    )


def _users(model: envelope.Callback, field: str, accounts: Iterable[str]) -> tuple[UserId, ...]:
    """The users of a request to subscribe, at least one."""
    users = to_users(accounts)
    if not users:
        raise _unreadable(model.command, field)
    return users


def _parts(model: g.BeforeSendMsg | o.OfficialBeforeSendMsg) -> tuple[Content, ...]:
    if model.msg_body is None:
        raise _unreadable(model.command, "MsgBody")
    return to_parts(model.msg_body)


def _unreadable(command: str, field: str) -> InvalidError:
    return InvalidError(f"the body of {command} is not as documented: {field}", field=field)


def to_reply(question: hooks.HookRequest, decision: hooks.HookResponse, max_bytes: int) -> envelope.CallbackReply:
    """The answer as the service wants it. Raises InvalidError for a decision that this question cannot have."""
    match decision:
        case hooks.Allow():
            return envelope.CallbackReply()
        case hooks.Refuse():
            return _refusal(question, decision)
        case hooks.Rewrite() if isinstance(question, hooks.PostDraft | hooks.OfficialPostDraft):
            return _rewritten(decision, max_bytes)
        case hooks.Drop() if isinstance(question, hooks.PostDraft | hooks.OfficialPostDraft):
            return envelope.CallbackReply(error_code=envelope.DROP)
        case hooks.RefuseSome(users=users) if isinstance(
            question, hooks.SubscribeRequest | hooks.OfficialSubscribeRequest
        ):
            refused: list[str] = [user for user in question.users if user in users]
            if len(refused) == len(question.users):
                return _refusal(question, hooks.Refuse())
            names = refused or None
            official = isinstance(question, hooks.OfficialSubscribeRequest)
            return envelope.CallbackReply(refused_members=names, refused_subscribers=names if official else None)
        case _:
            raise InvalidError(f"{type(decision).__name__} is no answer to {type(question).__name__}", field="decision")


def _refusal(question: hooks.HookRequest, decision: hooks.Refuse) -> envelope.CallbackReply:
    """A code that this question cannot have becomes a refusal without one [webhooks 2]."""
    code = decision.code
    if code is None or code not in question.codes:
        code = envelope.REFUSE
    text = decision.text.encode(errors="replace").decode()
    return envelope.CallbackReply(error_code=code, error_info=text)


def _rewritten(decision: hooks.Rewrite, max_bytes: int) -> envelope.CallbackReply:
    elements = None if decision.parts is None else to_elements(decision.parts, max_bytes)[0]
    return envelope.CallbackReply(msg_body=elements, cloud_custom_data=decision.app_data)
