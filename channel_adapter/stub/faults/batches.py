"""Failing items of a batch: each command whose answer has a result for each item, behind `fail_items`.

Failing items take no effect and are in the answer as failed. Most are removed from the request; where a list must not
be empty they are made invalid instead, so that the rest of the call is executed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from channel_adapter.stub.world.conversations import MessageNumbers
from channel_adapter.stub.world.message_log import Extensions, StoredMessage
from channel_adapter.stub.world.state import AppData
from channel_adapter.tencent import catalog
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire import (
    accounts,
    contact_groups,
    extensions,
    groups,
    members,
    messages,
    official_accounts,
    one_to_one,
    profiles,
    unread,
)
from channel_adapter.tencent.wire.envelope import WireModel

ItemT = TypeVar("ItemT")
Path = tuple[str | int, ...]
NOT_APPLIED: Final = "a fault of the stub"


class FailedItem(NamedTuple, Generic[ItemT]):
    """One failing item, the code it fails with, and the call it is part of."""

    item: ItemT
    code: int
    state: AppData
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchReport(Generic[ItemT]):
    """A list of the reply, and how the entry of a failed item is made."""

    path: Path
    entry_for: Callable[[FailedItem[ItemT]], WireModel | str]


@dataclass(frozen=True, slots=True)
class BatchFields(Generic[ItemT]):
    """Where a command has its items, as paths of JSON names and list indexes.

    `outcomes` has one entry for each item, in the order of the request; `failures` has those that failed only.
    """

    command: Command[Any, Any]
    item: type[ItemT]
    requested: Path
    outcomes: BatchReport[ItemT] | None = None
    failures: BatchReport[ItemT] | None = None
    invalidate: Callable[[Any], Any] | None = None
    concerns: Callable[[Mapping[str, Any]], bool] | None = None


class RemainingBatch(NamedTuple):
    """What remains of a request, and the failing items by index; `empty` when no item remains."""

    body: dict[str, Any]
    failed: dict[int, Any]
    empty: bool = False


def remove_items(batch: BatchFields[Any], body: Mapping[str, Any], every: int) -> RemainingBatch:
    """Return the body without each k-th item. A body of another shape is returned unchanged."""
    items = at(body, batch.requested)
    if not isinstance(items, list) or (batch.concerns is not None and not batch.concerns(body)):
        return RemainingBatch(dict(body), {})
    reader = TypeAdapter(batch.item)
    try:
        failed = {
            index: reader.validate_python(items[index], strict=True) for index in range(every - 1, len(items), every)
        }
    except ValidationError:
        return RemainingBatch(dict(body), {})
    if batch.invalidate is None:
        remaining_items = [item for index, item in enumerate(items) if index not in failed]
    else:
        remaining_items = [batch.invalidate(item) if index in failed else item for index, item in enumerate(items)]
    return RemainingBatch(
        _copy_with(body, batch.requested, remaining_items), failed, empty=bool(items) and not remaining_items
    )


def restore_items(
    batch: BatchFields[Any],
    body: Mapping[str, Any],
    reply: Mapping[str, Any],
    remaining: RemainingBatch,
    code: int,
    state: AppData,
) -> dict[str, Any]:
    """Return the reply with the failed items in it."""
    answered = dict(reply)
    if not remaining.failed:
        return answered
    failed = {index: FailedItem(item, code, state, body) for index, item in remaining.failed.items()}
    if batch.outcomes is not None:
        outcomes = list(at(answered, batch.outcomes.path) or ())
        for index, failure in failed.items():
            entry = _to_json(batch.outcomes.entry_for(failure))
            outcomes[index : index + (batch.invalidate is not None)] = [entry]
        answered = _copy_with(answered, batch.outcomes.path, outcomes)
    if batch.failures is not None:
        failures = [_to_json(batch.failures.entry_for(failure)) for failure in failed.values()]
        answered = _copy_with(answered, batch.failures.path, [*(at(answered, batch.failures.path) or ()), *failures])
    return answered


def at(value: Any, path: Path) -> Any:
    """Return the value at a path; None where the JSON has another shape."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _copy_with(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with another value at a path; the last name may be new."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [_copy_with(item, rest, new) if index == step else item for index, item in enumerate(value)]
    return {**value, step: _copy_with(value.get(step), rest, new)}


def _to_json(entry: WireModel | str) -> Any:
    return entry if isinstance(entry, str) else entry.to_wire()


_NO_GROUP: Final = "@" * 49  # an id one byte too long for any group


def _json_name(model: type[WireModel], attribute: str) -> str:
    """Return the JSON name of a field."""
    return model.model_fields[attribute].alias or attribute


def _failed_member(failed: FailedItem[Any]) -> WireModel:
    return members.MemberResult(member_account=failed.item.member_account, result=members.RESULT_FAILED)


def _failed_id(failed: FailedItem[Any]) -> str:
    return str(failed.item)


def _failed_subscriber(user: str) -> WireModel:
    return official_accounts.SubscriberResult(subscriber_account=user, result=official_accounts.RESULT_FAILED)


def _stored_extension(failed: FailedItem[extensions.Extension]) -> WireModel:
    """Return the stored pair for one that was not written [doc 52170]."""
    request = extensions.GroupSetKeyValuesRequest
    group_id, seq = (failed.body.get(_json_name(request, attribute)) for attribute in ("group_id", "msg_seq"))
    group = failed.state.groups.get(group_id) if isinstance(group_id, str) else None
    return _stored_pair(failed, group.log.get(seq) if group is not None and isinstance(seq, int) else None)


def _stored_pair_extension(failed: FailedItem[extensions.Extension]) -> WireModel:
    """Return the stored pair of a one-to-one message for one that was not written [doc 51195]."""
    request = extensions.SetKeyValuesRequest
    sender, receiver, key = (
        str(failed.body.get(_json_name(request, attribute))) for attribute in ("from_account", "to_account", "msg_key")
    )
    log, numbers = failed.state.conversations.get(sender, receiver), MessageNumbers.read(key)
    return _stored_pair(failed, log.find(numbers) if log is not None and numbers is not None else None)


def _stored_pair(failed: FailedItem[extensions.Extension], message: StoredMessage | None) -> WireModel:
    stored = (message.extensions if message is not None else None) or Extensions()
    value, version = stored.pairs.get(failed.item.key, (None, 0))
    pair = extensions.Extension(key=failed.item.key, value=value or "", seq=version)
    return extensions.ExtensionResult(error_code=failed.code, extension=pair)


def _is_not_clear(body: Mapping[str, Any]) -> bool:
    return body.get(_json_name(extensions.GroupSetKeyValuesRequest, "operate_type")) != extensions.CLEAR


def _changes_conversations(body: Mapping[str, Any]) -> bool:
    update = body.get(_json_name(contact_groups.UpdateContactGroupRequest, "update_group"))
    kind = at(update, (_json_name(contact_groups.ContactGroupUpdate, "update_group_type"),))
    return bool(kind == contact_groups.CHANGE_CONVERSATIONS)


def _unknown_contact() -> dict[str, Any]:
    return contact_groups.ContactItem(type=contact_groups.GROUP, to_group_id=_NO_GROUP).to_wire()


def _invalidate_contact(item: dict[str, Any]) -> dict[str, Any]:
    return {**item, _json_name(contact_groups.ContactUpdate, "contact_item"): _unknown_contact()}


_ReportFields = tuple[
    str, Callable[[FailedItem[Any]], WireModel | str]
]  # a list of the reply, and how the entry of a failed item is made


def _flat_fields(
    command: Command[Any, Any],
    item: type[Any],
    requested: str,
    outcomes: _ReportFields | None = None,
    *,
    failures: _ReportFields | None = None,
    invalidate: Callable[[Any], Any] | None = None,
    concerns: Callable[[Mapping[str, Any]], bool] | None = None,
) -> BatchFields[Any]:
    """Return the fields of a command with its lists at the top level, given as attributes of the models."""

    def report(fields: _ReportFields | None) -> BatchReport[Any] | None:
        return None if fields is None else BatchReport((_json_name(command.reply, fields[0]),), fields[1])

    at_top = (_json_name(command.request, requested),)
    return BatchFields(command, item, at_top, report(outcomes), report(failures), invalidate, concerns)


_TABLE: Final[tuple[BatchFields[Any], ...]] = (
    _flat_fields(catalog.ADD_GROUP_MEMBER, members.MemberAccount, "member_list", ("member_list", _failed_member)),
    _flat_fields(catalog.IMPORT_GROUP_MEMBER, members.ImportedMember, "member_list", ("member_list", _failed_member)),
    _flat_fields(
        catalog.MULTIACCOUNT_IMPORT,
        accounts.NewAccount,
        "account_list",
        failures=("fail_accounts", lambda it: str(it.item.user_id)),
    ),
    _flat_fields(catalog.MULTIACCOUNT_IMPORT, str, "accounts", failures=("fail_accounts", _failed_id)),
    _flat_fields(
        catalog.ACCOUNT_CHECK,
        accounts.UserIdItem,
        "check_item",
        (
            "result_item",
            lambda it: accounts.AccountCheckResult(
                user_id=it.item.user_id, result_code=it.code, result_info=NOT_APPLIED, account_status=None
            ),
        ),
    ),
    _flat_fields(
        catalog.ACCOUNT_DELETE,
        accounts.UserIdItem,
        "delete_item",
        (
            "result_item",
            lambda it: accounts.AccountDeleteResult(
                user_id=it.item.user_id, result_code=it.code, result_info=NOT_APPLIED
            ),
        ),
    ),
    _flat_fields(
        catalog.QUERY_ONLINE_STATUS,
        str,
        "to_account",
        failures=("error_list", lambda it: accounts.OnlineStatusError(to_account=it.item, error_code=it.code)),
    ),
    _flat_fields(
        catalog.PORTRAIT_GET,
        str,
        "to_account",
        (
            "user_profile_item",
            lambda it: profiles.UserProfile(to_account=it.item, result_code=it.code, result_info=NOT_APPLIED),
        ),
        failures=("fail_account", _failed_id),
    ),
    _flat_fields(
        catalog.GET_C2C_UNREAD_MSG_NUM,
        str,
        "peer_account",
        failures=("error_list", lambda it: unread.PeerError(peer_account=it.item, error_code=it.code)),
    ),
    _flat_fields(
        catalog.GET_GROUP_INFO,
        str,
        "group_id_list",
        (
            "group_info",
            lambda it: groups.GroupInfo(group_id=it.item, error_code=it.code, error_info=NOT_APPLIED),
        ),
    ),
    _flat_fields(
        catalog.IMPORT_GROUP_MSG,
        messages.ImportedMessage,
        "msg_list",
        (
            "import_msg_result",
            lambda it: messages.ImportMsgResult(msg_seq=0, msg_time=it.item.send_time, result=it.code),
        ),
    ),
    _flat_fields(
        catalog.GROUP_MSG_RECALL,
        messages.MsgSeqItem,
        "msg_seq_list",
        ("recall_ret_list", lambda it: messages.RecallResult(msg_seq=it.item.msg_seq, ret_code=it.code)),
    ),
    _flat_fields(
        catalog.BATCHSENDMSG,
        str,
        "to_account",
        failures=("error_list", lambda it: one_to_one.BatchError(to_account=it.item, error_code=it.code)),
    ),
    _flat_fields(
        catalog.SET_KEY_VALUES,
        extensions.Extension,
        "extension_list",
        ("extension_list", _stored_pair_extension),
        concerns=_is_not_clear,
    ),
    _flat_fields(
        catalog.GROUP_SET_KEY_VALUES,
        extensions.Extension,
        "extension_list",
        ("extension_list", _stored_extension),
        concerns=_is_not_clear,
    ),
    BatchFields(
        catalog.CREATE_CONTACT_GROUP,
        contact_groups.ContactItem,
        (
            _json_name(contact_groups.CreateContactGroupRequest, "group_contact_item"),
            0,
            _json_name(contact_groups.NewContactGroup, "contact_item"),
        ),
        BatchReport(
            (
                _json_name(contact_groups.CreateContactGroupReply, "group_result_item"),
                0,
                _json_name(contact_groups.CreatedContactGroup, "result_item"),
            ),
            lambda it: contact_groups.ContactResult(contact_item=it.item, result_code=it.code, result_info=NOT_APPLIED),
        ),
        invalidate=lambda _: _unknown_contact(),
    ),
    BatchFields(
        catalog.UPDATE_CONTACT_GROUP,
        contact_groups.ContactUpdate,
        (
            _json_name(contact_groups.UpdateContactGroupRequest, "update_group"),
            _json_name(contact_groups.ContactGroupUpdate, "contact_update_item"),
        ),
        BatchReport(
            (
                _json_name(contact_groups.UpdateContactGroupReply, "update_group_result"),
                _json_name(contact_groups.ContactGroupUpdated, "contact_result_item"),
            ),
            lambda it: contact_groups.ContactUpdateResult(
                contact_opt_type=it.item.contact_opt_type,
                contact_item=it.item.contact_item,
                result_code=it.code,
                result_info=NOT_APPLIED,
            ),
        ),
        invalidate=_invalidate_contact,
        concerns=_changes_conversations,
    ),
    _flat_fields(
        catalog.MARK_CONTACT,
        contact_groups.MarkItem,
        "mark_item",
        (
            "result_item",
            lambda it: contact_groups.MarkResult(
                opt_type=it.item.opt_type,
                contact_item=it.item.contact_item,
                result_code=it.code,
                result_info=NOT_APPLIED,
            ),
        ),
        invalidate=_invalidate_contact,
    ),
    _flat_fields(
        catalog.ADD_SUBSCRIBER,
        official_accounts.SubscriberItem,
        "subscriber_list",
        ("subscriber_list", lambda it: _failed_subscriber(it.item.subscriber_account)),
    ),
    _flat_fields(
        catalog.DELETE_SUBSCRIBER,
        str,
        "subscriber_to_del_account",
        ("subscriber_list", lambda it: _failed_subscriber(it.item)),
    ),
    _flat_fields(
        catalog.DELETE_SUBSCRIBER,
        official_accounts.SubscriberItem,
        "subscriber_list",
        ("subscriber_list", lambda it: _failed_subscriber(it.item.subscriber_account)),
    ),
    _flat_fields(
        catalog.GET_OFFICIAL_ACCOUNT_INFO,
        official_accounts.OfficialAccountItem,
        "official_account_id_list",
        (
            "official_account_info_list",
            lambda it: official_accounts.OfficialAccountInfo(
                official_account=it.item.official_account, error_code=it.code, error_info=NOT_APPLIED
            ),
        ),
    ),
    _flat_fields(
        catalog.OFFICIAL_ACCOUNT_MSG_RECALL,
        str,
        "msg_key_list",
        (
            "recall_ret_list",
            lambda it: official_accounts.OfficialRecallResult(msg_key=it.item, ret_code=it.code),
        ),
    ),
)

BATCHES: Final[Mapping[str, tuple[BatchFields[Any], ...]]] = MappingProxyType(
    {path: tuple(batch for batch in _TABLE if batch.command.path == path) for path in {b.command.path for b in _TABLE}}
)


def batch_of(command: Command[Any, Any], body: Mapping[str, Any]) -> BatchFields[Any] | None:
    """Return the fields of the batch in a request; None if its command has no items."""
    found = BATCHES.get(command.path, ())
    return next((batch for batch in found if isinstance(at(body, batch.requested), list)), None)
