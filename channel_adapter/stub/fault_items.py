"""Failing items of a batch: some items are taken out of a request, and come back in the answer as failed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from channel_adapter.tencent import catalog
from channel_adapter.tencent.command import Command
from channel_adapter.tencent.wire import accounts, groups, members, messages
from channel_adapter.tencent.wire.envelope import WireModel

FAILED_MEMBER: Final = 0  # Result of a member who was not added [docS 1621]
_NOT_APPLIED: Final = "a fault of the stub"


@dataclass(frozen=True, slots=True)
class Batch:
    """Where a command keeps its items. Ids stand directly in a list, or under `item_id` in its objects."""

    command: Command[Any, Any]
    request_list: str
    reply_list: str
    item_id: str | None
    reply_id: str | None
    failed: Callable[[Any, int], WireModel | str]


def _name(model: type[WireModel], attribute: str) -> str:
    """The JSON name of a field; the wire model is the only place that spells it."""
    return model.model_fields[attribute].alias or attribute


_MEMBER: Final = _name(members.MemberAccount, "member_account")
_USER: Final = _name(accounts.UserIdItem, "user_id")

BATCHES: Final[Mapping[str, Batch]] = MappingProxyType(
    {
        batch.command.path: batch
        for batch in (
            Batch(
                catalog.ADD_GROUP_MEMBER,
                _name(members.AddGroupMemberRequest, "member_list"),
                _name(members.AddGroupMemberReply, "member_list"),
                _MEMBER,
                _MEMBER,
                lambda user, _: members.MemberResult(member_account=user, result=FAILED_MEMBER),
            ),
            Batch(
                catalog.IMPORT_GROUP_MEMBER,
                _name(members.ImportGroupMemberRequest, "member_list"),
                _name(members.ImportGroupMemberReply, "member_list"),
                _MEMBER,
                _MEMBER,
                lambda user, _: members.MemberResult(member_account=user, result=FAILED_MEMBER),
            ),
            Batch(
                catalog.MULTIACCOUNT_IMPORT,
                _name(accounts.MultiaccountImportRequest, "account_list"),
                _name(accounts.MultiaccountImportReply, "fail_accounts"),
                _USER,
                None,
                lambda user, _: user,
            ),
            Batch(
                catalog.ACCOUNT_CHECK,
                _name(accounts.AccountCheckRequest, "check_item"),
                _name(accounts.AccountCheckReply, "result_item"),
                _USER,
                _USER,
                lambda user, code: accounts.AccountCheckResult(
                    user_id=user, result_code=code, result_info=_NOT_APPLIED, account_status=None
                ),
            ),
            Batch(
                catalog.ACCOUNT_DELETE,
                _name(accounts.AccountDeleteRequest, "delete_item"),
                _name(accounts.AccountDeleteReply, "result_item"),
                _USER,
                _USER,
                lambda user, code: accounts.AccountDeleteResult(
                    user_id=user, result_code=code, result_info=_NOT_APPLIED
                ),
            ),
            Batch(
                catalog.GET_GROUP_INFO,
                _name(groups.GetGroupInfoRequest, "group_id_list"),
                _name(groups.GetGroupInfoReply, "group_info"),
                None,
                _name(groups.GroupInfo, "group_id"),
                lambda group, code: groups.GroupInfo(group_id=group, error_code=code, error_info=_NOT_APPLIED),
            ),
            Batch(
                catalog.GROUP_MSG_RECALL,
                _name(messages.GroupMsgRecallRequest, "msg_seq_list"),
                _name(messages.GroupMsgRecallReply, "recall_ret_list"),
                _name(messages.MsgSeqItem, "msg_seq"),
                _name(messages.RecallResult, "msg_seq"),
                lambda seq, code: messages.RecallResult(msg_seq=seq, ret_code=code),
            ),
        )
    }
)


def take_out(batch: Batch, body: Mapping[str, Any], every: int) -> tuple[dict[str, Any], list[Any]]:
    """The body without every k-th item, and the ids of those items. A body of another shape stays as it is."""
    items = body.get(batch.request_list)
    if not isinstance(items, list) or not all(_has_id(batch, item) for item in items):
        return dict(body), []
    left = [item for number, item in enumerate(items, 1) if number % every]
    return {**body, batch.request_list: left}, [_id(batch.item_id, item) for item in items[every - 1 :: every]]


def put_back(batch: Batch, body: Mapping[str, Any], reply: Mapping[str, Any], failed: list[Any], code: int) -> Any:
    """The reply with the failed items in it, in the order of the request."""
    outcomes = list(reply.get(batch.reply_list) or ())
    for item in failed:
        outcome = batch.failed(item, code)
        outcomes.append(outcome if isinstance(outcome, str) else outcome.to_wire())
    order = {_id(batch.item_id, item): number for number, item in enumerate(body[batch.request_list])}
    outcomes.sort(key=lambda outcome: order.get(_id(batch.reply_id, outcome), len(order)))
    return {**reply, batch.reply_list: outcomes}


def _has_id(batch: Batch, item: Any) -> bool:
    value = item.get(batch.item_id) if batch.item_id is not None and isinstance(item, dict) else item
    return isinstance(value, str | int)


def _id(name: str | None, item: Any) -> Any:
    return item if name is None else item[name]
