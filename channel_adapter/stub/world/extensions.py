"""Message extensions: pairs on one message, with sequence numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.context import CommandContext, handles
from channel_adapter.stub.world.conversations import MessageNumbers
from channel_adapter.stub.world.message_log import Extensions, StoredMessage
from channel_adapter.stub.world.messages import expired
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import callbacks_c2c as c2c_events
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import extensions as wire
from channel_adapter.tencent.wire import groups
from channel_adapter.tencent.wire.callback_envelope import Callback

OPERATIONS = (wire.SET, wire.DELETE, wire.CLEAR)
RATE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ExtensionChange:
    """One call: an operation on some pairs; `check_seq` where the caller's Seq must fit."""

    operation: int
    items: Sequence[wire.Extension]
    check_seq: bool


def check_change(call: CommandContext[Any], change: ExtensionChange) -> None:
    """Check shapes and sizes; Refusal 10004 for the whole call."""
    limits = call.settings.limits
    rules.check_choice("OperateType", change.operation, OPERATIONS)
    if change.operation != wire.CLEAR and not 1 <= len(change.items) <= limits.extension_keys_per_call:
        raise rules.bad(f"ExtensionList: 1 to {limits.extension_keys_per_call} pairs", guess="extension-batch")
    for item in change.items:
        if not item.key:
            raise rules.bad("Key is empty")
        rules.check_bytes("Key", item.key, limits.extension_key_bytes)
        rules.check_bytes("Value", item.value, limits.extension_value_bytes)
        rules.check_range("Seq", item.seq, 0, rules.U32)


@dataclass(frozen=True, slots=True)
class ExtensionTarget:
    """A message, and the event about its extensions with the members that name the message."""

    message: StoredMessage
    event: type[Callback]
    names: Mapping[str, Any]


def _check_edition(call: CommandContext[Any]) -> None:
    if not call.settings.app.message_extensions:
        raise Refusal(codes.BAD_SIGNATURE_OR_EDITION, "the edition has no message extensions")


def find_group_message(call: CommandContext[Any], group_id: str, seq: int) -> ExtensionTarget:
    """Return the message of a group; edition, group type and existence are checked in this order."""
    _check_edition(call)
    group = call.state.group(group_id)
    behaviour = call.settings.behaviour
    refused = group.type == groups.COMMUNITY and not behaviour.community_extensions
    if refused or group.type == groups.AV_CHAT_ROOM:
        raise Refusal(
            behaviour.extension_unsupported_code,
            f"no message extensions in a group of type {group.type}",
            guess="extension-unsupported",
        )
    message = _check_message(call, group.log.get(seq))
    return ExtensionTarget(message, events.AfterGroupMsgExtension, {"group_id": group_id, "msg_seq": seq})


def find_pair_message(call: CommandContext[Any], sender: str, receiver: str, key: str) -> ExtensionTarget:
    """Return the one-to-one message with this key; edition and existence are checked in this order."""
    _check_edition(call)
    numbers, log = MessageNumbers.read(key), call.state.conversations.get(sender, receiver)
    message = _check_message(call, None if log is None or numbers is None else log.find(numbers, sender))
    names = {"from_account": sender, "to_account": receiver, "msg_key": key}
    return ExtensionTarget(message, c2c_events.AfterC2CMsgExtension, names)


def _check_message(call: CommandContext[Any], message: StoredMessage | None) -> StoredMessage:
    behaviour = call.settings.behaviour
    if message is None or expired(call, message):
        raise Refusal(codes.EXTENSION_NO_MESSAGE, "the message does not exist")
    if message.recalled and behaviour.extension_recalled_code:
        raise Refusal(behaviour.extension_recalled_code, "the message was recalled", guess="extension-after-recall")
    return message


def _read_change(
    call: CommandContext[wire.GroupSetKeyValuesRequest] | CommandContext[wire.SetKeyValuesRequest],
) -> ExtensionChange:
    """Return the change of a call, checked."""
    admin = call.is_app_admin(call.caller)
    behaviour = call.settings.behaviour
    check = behaviour.extension_check_admin_seq if admin else behaviour.extension_check_member_seq
    change = ExtensionChange(call.request.operate_type, call.request.extension_list or (), check)
    check_change(call, change)
    return change


@handles(catalog.GROUP_SET_KEY_VALUES)
def group_set_key_values(call: CommandContext[wire.GroupSetKeyValuesRequest]) -> wire.GroupSetKeyValuesReply:
    """Set, delete or clear; single keys may fail while the call succeeds [doc 52170]."""
    change = _read_change(call)
    target = find_group_message(call, call.request.group_id, call.request.msg_seq)
    return wire.GroupSetKeyValuesReply(extension_list=apply(call, target, change))


@handles(catalog.SET_KEY_VALUES)
def set_key_values(call: CommandContext[wire.SetKeyValuesRequest]) -> wire.SetKeyValuesReply:
    """Set, delete or clear pairs of a one-to-one message [doc 51195]."""
    request, change = call.request, _read_change(call)
    target = find_pair_message(call, _sender_of(call), request.to_account, request.msg_key)
    return wire.SetKeyValuesReply(extension_list=apply(call, target, change))


def _sender_of(call: CommandContext[wire.SetKeyValuesRequest] | CommandContext[wire.GetKeyValuesRequest]) -> str:
    return call.caller if call.request.from_account is None else call.request.from_account


def apply(call: CommandContext[Any], target: ExtensionTarget, change: ExtensionChange) -> list[wire.ExtensionResult]:
    """Apply a checked change and emit an event about what has changed."""
    message = target.message
    if not message.supports_extensions:
        raise Refusal(codes.EXTENSION_UNSUPPORTED, "the message was sent without SupportMessageExtension")
    store = message.extensions or Extensions()
    _check_rate(call, store)
    verdicts = _classify_items(call, store, change)
    message.extensions = store
    store.writes.append(call.time)
    if change.operation == wire.CLEAR:
        store.seq += 1
        store.clear_seq = store.seq
        store.pairs.clear()
        _emit_event(call, target, change, [])
        return []
    if not any(code == codes.OK for code in verdicts):
        return [_item_result(store, item, code) for item, code in zip(change.items, verdicts, strict=True)]
    by_message = call.settings.behaviour.extension_seq == "message"
    seq = store.seq + 1
    for item, code in zip(change.items, verdicts, strict=True):
        if code == codes.OK:
            value = item.value if change.operation == wire.SET else None
            own = seq if by_message else store.pairs.get(item.key, (None, 0))[1] + 1
            store.pairs[item.key] = (value, own)
            store.seq = max(store.seq, own)
    results = [_item_result(store, item, code) for item, code in zip(change.items, verdicts, strict=True)]
    _emit_event(call, target, change, [item.extension for item in results if item.error_code == codes.OK])
    return results


def current_seqs(message: StoredMessage) -> dict[str, int]:
    """Return the Seqs that a client knows after reading the pairs."""
    existing = message.extensions or Extensions()
    return {key: seq for key, (value, seq) in existing.pairs.items() if value is not None}


def _check_rate(call: CommandContext[Any], store: Extensions) -> None:
    """Check the number of calls on this message in the last minute, those of admins too."""
    while store.writes and not 0 <= call.time - store.writes[0] < RATE_SECONDS:
        store.writes.popleft()
    if len(store.writes) >= call.settings.limits.extension_sets_per_minute:
        raise Refusal(
            codes.EXTENSION_TOO_FREQUENT,
            "too many changes on this message within a minute",
            guess="extension-rate",
        )


def _classify_items(call: CommandContext[Any], store: Extensions, change: ExtensionChange) -> list[int]:
    """Return a code for each item, before the first is written."""
    maximum = call.settings.limits.extension_keys
    existing = {key for key, (value, _) in store.pairs.items() if value is not None}
    verdicts = []
    for item in change.items:
        value, seq = store.pairs.get(item.key, (None, 0))
        fits = item.seq == seq or (value is None and not item.seq)
        if change.check_seq and not fits:
            verdicts.append(codes.EXTENSION_CONFLICT)
        elif change.operation == wire.DELETE and value is None:
            verdicts.append(call.settings.behaviour.extension_delete_missing_code)
        elif change.operation == wire.SET and item.key not in existing and len(existing) >= maximum:
            if call.settings.behaviour.extension_over_limit == "refuse_call":
                raise rules.bad(f"a message holds {maximum} pairs at most", guess="extension-over-limit")
            verdicts.append(codes.BAD_PARAMETER)
        else:
            verdicts.append(codes.OK)
            existing.add(item.key)
    return verdicts


def _item_result(store: Extensions, item: wire.Extension, code: int) -> wire.ExtensionResult:
    """Return the pair that is stored now, after a failure too [doc 52170]."""
    value, seq = store.pairs.get(item.key, (None, 0))
    return wire.ExtensionResult(error_code=code, extension=wire.Extension(key=item.key, value=value or "", seq=seq))


def _emit_event(
    call: CommandContext[Any], target: ExtensionTarget, change: ExtensionChange, changed: Sequence[wire.Extension]
) -> None:
    call.emit(
        target.event,
        **target.names,
        operate_type=change.operation,
        extension_list=changed,
        seq=target.message.extensions.seq if target.message.extensions else 0,
    )


@handles(catalog.GROUP_GET_KEY_VALUES)
def group_get_key_values(call: CommandContext[wire.GroupGetKeyValuesRequest]) -> wire.GroupGetKeyValuesReply:
    """Return pairs from a Seq on, ascending by Seq [doc 52169]."""
    rules.check_range("StartSeq", call.request.start_seq, 0, rules.U32)
    target = find_group_message(call, call.request.group_id, call.request.msg_seq)
    return wire.GroupGetKeyValuesReply(**_read_page(call, target.message, call.request.start_seq or 0))


@handles(catalog.GET_KEY_VALUES)
def get_key_values(call: CommandContext[wire.GetKeyValuesRequest]) -> wire.GetKeyValuesReply:
    """Return pairs of a one-to-one message from a Seq on, ascending by Seq [doc 51194]."""
    request = call.request
    rules.check_range("StartSeq", request.start_seq, 0, rules.U32)
    target = find_pair_message(call, _sender_of(call), request.to_account, request.msg_key)
    return wire.GetKeyValuesReply(**_read_page(call, target.message, request.start_seq or 0))


def _read_page(call: CommandContext[Any], message: StoredMessage, start: int) -> dict[str, Any]:
    """Return the attributes of a reply with the pairs of a message."""
    behaviour = call.settings.behaviour
    if not message.supports_extensions and behaviour.extension_unflagged_read_code:
        raise Refusal(
            behaviour.extension_unflagged_read_code,
            "the message was sent without SupportMessageExtension",
            guess="extension-read-without-flag",
        )
    store = message.extensions or Extensions()
    pairs = [
        wire.Extension(key=key, value=value or "", seq=seq)
        for key, (value, seq) in sorted(store.pairs.items(), key=lambda pair: pair[1][1])
        if seq >= start and (value is not None or behaviour.extension_tombstones)
    ]
    maximum = call.settings.limits.extension_keys_per_read
    return {
        "extension_list": pairs[:maximum],
        "complete_flag": wire.ALL_RETURNED if len(pairs) <= maximum else wire.MORE_TO_COME,
        "latest_seq": store.seq,
        "clear_seq": store.clear_seq,
    }
