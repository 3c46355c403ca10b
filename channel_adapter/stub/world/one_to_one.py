"""One-to-one messages: send to one or many, read back, recall, modify, hide, import; unread counts and read positions.

A sender or receiver is an imported user or an official account. Broadcasts of official accounts count as unread of
their subscribers, but are not in the history of a pair.
"""

from collections.abc import Hashable, Iterable
from typing import Any, Final, NamedTuple
from zlib import crc32

import orjson

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world.context import (
    CallbackEvent,
    CommandContext,
    PrebuiltReply,
    handles,
    prebuilt,
    prebuilt_item,
)
from channel_adapter.stub.world.conversations import MessageNumbers, PairLog, PairMessage
from channel_adapter.stub.world.message_log import pack, remember, repeated
from channel_adapter.stub.world.messages import CALLBACK_CONTROLS, FLAGS, MODIFIED, SEND_CONTROLS, expired, rewrite
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_c2c as events
from channel_adapter.tencent.wire import messages, unread
from channel_adapter.tencent.wire import one_to_one as wire
from channel_adapter.tencent.wire.callback_envelope import DROP
from channel_adapter.tencent.wire.msg_body import Element

CONTROLS: Final = SEND_CONTROLS | {wire.WITH_MUTE_NOTIFICATIONS}
NO_PRIORITY: Final = 0  # one-to-one messages have none
ACCOUNT_NUMBERS: Final = 144_115_188_075_855_872  # MsgId begins with the number of the sender, of this size [js-sdk]
MINUTE: Final = 60.0

SendCall = CommandContext[wire.SendmsgRequest]
BatchCall = CommandContext[wire.BatchsendmsgRequest]


class Pair(NamedTuple):
    """Sender and receiver of a message."""

    sender: str
    receiver: str


def bad(info: str, code: int = codes.MESSAGE_BAD_JSON, *, guess: str | None = None) -> Refusal:
    """Return the refusal of a parameter of the message commands."""
    return Refusal(code, info, guess=guess)


def _check_choice(name: str, value: object, choices: Iterable[object], code: int = codes.MESSAGE_BAD_JSON) -> None:
    if value is not None and value not in (accepted := tuple(choices)):
        raise bad(f"{name} must be one of {', '.join(map(str, accepted))}", code)


def _check_number(name: str, value: int | None, code: int = codes.MESSAGE_BAD_JSON) -> None:
    if value is not None and not 0 <= value <= limits.RANDOM_HIGHEST:
        raise bad(f"{name} must be 0 to {limits.RANDOM_HIGHEST}", code)


def _check_content(call: SendCall | BatchCall) -> None:
    """Check what does not depend on sender and receiver."""
    request = call.request
    _check_choice(
        "SyncOtherMachine", request.sync_other_machine, (wire.SYNC_TO_SENDER, wire.RECEIVER_ONLY), codes.BAD_SYNC
    )
    if request.msg_life_time is not None and not 0 <= request.msg_life_time <= limits.MESSAGE_LIFE_SECONDS:
        raise bad(f"MsgLifeTime must be 0 to {limits.MESSAGE_LIFE_SECONDS} seconds", codes.BAD_OFFLINE_TIME)
    _check_number("MsgSeq", request.msg_seq)
    _check_number("MsgRandom", request.msg_random, codes.BAD_MSG_RANDOM)
    _check_choice("OnlineOnlyFlag", request.online_only_flag, FLAGS)
    _check_choice("SupportMessageExtension", request.support_message_extension, FLAGS)
    _check_choice("IsNeedReadReceipt", request.is_need_read_receipt, FLAGS)
    for name in request.send_msg_control or ():
        _check_choice("SendMsgControl", name, CONTROLS)
    bodies.check_body(request.msg_body, bodies.MODIFYING)
    bodies.check_size(call.settings, request.msg_body, request.cloud_custom_data)


def _sender_of(call: CommandContext[Any]) -> str:
    sender: str | None = call.request.from_account
    return call.caller if sender is None else sender


def _unknown_account(settings: StubSettings, name: str) -> Refusal:
    """Return the refusal of a sender or receiver that does not exist."""
    code = settings.behaviour.c2c_unknown_account_code
    return bad(f"{name} is neither an imported user nor an official account", code, guess="c2c-unknown-account")


def _find_party(call: CommandContext[Any], name: str, account: str) -> str:
    """Return the stored id of a user or an official account; Refusal if there is none."""
    known = call.state.party(account)
    if known is None:
        raise _unknown_account(call.settings, name)
    if account in call.state.official and not call.settings.app.official_accounts:
        raise bad("official accounts are not enabled for this app", codes.OFFICIAL_ACCOUNTS_OFF)
    return known


def _check_subscription(call: CommandContext[Any], pair: Pair) -> None:
    """Refuse a message between an official account and a user who neither subscribed to it nor owns it."""
    if not call.settings.behaviour.official_c2c_needs_subscription:
        return
    for account_id, user in (pair, reversed(pair)):
        account = call.state.official.get(account_id)
        if account is not None and user not in account.subscribers and user != account.owner:
            text = f"{user} has not subscribed to {account_id}"
            raise bad(text, codes.OFFICIAL_NOT_ALLOWED, guess="official-c2c-subscription")


def _check_pair(call: CommandContext[Any], sender: str, receiver: str) -> Pair:
    pair = Pair(_find_party(call, "From_Account", sender), _find_party(call, "To_Account", receiver))
    _check_subscription(call, pair)
    return pair


def _number_message(call: SendCall | BatchCall, sender: str) -> MessageNumbers:
    """Return what names the message; without MsgSeq it is made up, the same one within a second."""
    seq, random = call.request.msg_seq, call.request.msg_random
    made_up = crc32(f"{sender} {random} {call.now}".encode()) if seq is None else seq
    return MessageNumbers(call.now, made_up, random)


def message_id(sender: str, numbers: MessageNumbers) -> str:
    """Return the MsgId of a message, which webhooks and answers have [js-sdk]."""
    return f"{ACCOUNT_NUMBERS + crc32(sender.encode())}-{numbers.time}-{numbers.random}"


def _event_fields(call: SendCall, sender: str, numbers: MessageNumbers) -> dict[str, Any]:
    return {
        "from_account": sender,
        "to_account": call.request.to_account,
        "msg_seq": numbers.seq,
        "msg_random": numbers.random,
        "msg_time": numbers.time,
        "msg_key": numbers.key,
        "msg_id": message_id(sender, numbers),
        "online_only_flag": call.request.online_only_flag or 0,
        "msg_body": call.request.msg_body,
        "cloud_custom_data": call.request.cloud_custom_data or "",
    }


def _check_send(call: SendCall) -> Pair:
    """Check all but repetition; emit an event about what only sender and receiver refuse."""
    _check_content(call)
    for name in call.request.forbid_callback_control or ():
        _check_choice("ForbidCallbackControl", name, CALLBACK_CONTROLS)
    sender = _sender_of(call)
    try:
        return _check_pair(call, sender, call.request.to_account)
    except Refusal as refusal:
        _emit_sent(call, sender, _number_message(call, sender), refusal)
        raise


def _emit_sent(call: SendCall, sender: str, numbers: MessageNumbers, refusal: Refusal | None = None) -> None:
    """Emit the event after sending, which comes for messages that could not be sent too."""
    if not call.listening or messages.FORBID_AFTER in (call.request.forbid_callback_control or ()):
        return
    call.emit(
        events.C2CAfterSendMsg,
        **_event_fields(call, sender, numbers),
        send_msg_result=codes.OK if refusal is None else refusal.code,
        error_info=events.SENT_INFO if refusal is None else refusal.info,
        unread_msg_num=unread_of(call, call.request.to_account),
    )


def _repeat_key(call: SendCall | BatchCall, sender: str, receiver: str) -> Hashable:
    """Return the key that makes a message a repeat of an earlier one of its sender."""
    request = call.request
    content = crc32(bodies.fingerprint(request.msg_body, request.cloud_custom_data).encode())
    scope = receiver if call.settings.behaviour.c2c_duplicate_scope == "pair" else ""
    return sender, scope, request.msg_seq, request.msg_random, content


def _find_repeated(call: SendCall | BatchCall, key: Hashable) -> MessageNumbers | None:
    """Return the numbers of the message that this one repeats."""
    first = repeated(call.state.conversations.recent, key, call.time, call.settings.limits.c2c_dedupe_seconds)
    return None if first is None else MessageNumbers(first[1], first[0], call.request.msg_random)


def _remember_numbers(call: SendCall | BatchCall, key: Hashable, numbers: MessageNumbers) -> None:
    window = call.settings.limits.c2c_dedupe_seconds
    remember(call.state.conversations.recent, key, call.time, window, (numbers.seq, numbers.time))


def before_send(call: SendCall) -> CallbackEvent | None:
    """Return the before-event, unless this message forbids it or is a repeat."""
    sender, receiver = _check_send(call)
    forbidden = messages.FORBID_BEFORE in (call.request.forbid_callback_control or ())
    if forbidden or _find_repeated(call, _repeat_key(call, sender, receiver)):
        return None
    return call.event(events.C2CBeforeSendMsg, **_event_fields(call, sender, _number_message(call, sender)))


@handles(catalog.SENDMSG, before=before_send)
def send_message(call: SendCall) -> wire.SendmsgReply:
    """Send one message; a repeat within 120 s answers the first one [doc 34919, CN 2282]."""
    pair = _check_send(call)
    key = _repeat_key(call, *pair)
    numbers = _find_repeated(call, key)
    if numbers is None:
        call.apply_decision(codes.MESSAGE_WEBHOOK_REFUSED)
        numbers = _number_message(call, pair.sender)
        if call.decision.code != DROP:
            rewrite(call)
            _store_message(call, pair, numbers)
            _remember_numbers(call, key, numbers)
            _emit_sent(call, pair.sender, numbers)
    return wire.SendmsgReply(msg_time=numbers.time, msg_key=numbers.key, msg_id=message_id(pair.sender, numbers))


def _store_message(
    call: SendCall | BatchCall, pair: Pair, numbers: MessageNumbers, packed: bytes | None = None
) -> None:
    """Store a message, unless it is for those online only."""
    request = call.request
    if request.online_only_flag or request.msg_life_time == 0:
        return
    controls = request.send_msg_control or ()
    call.state.add_message(
        PairMessage(
            numbers.seq,
            numbers.time,
            numbers.random,
            pair.sender,
            NO_PRIORITY,
            pack(request.msg_body) if packed is None else packed,
            request.cloud_custom_data,
            supports_extensions=request.support_message_extension == 1,
            receiver=pair.receiver,
            unread=messages.NO_UNREAD not in controls and pair.sender != pair.receiver,
            listed=messages.NO_LAST_MSG not in controls,
            hidden_from=(pair.sender,) if request.sync_other_machine == wire.RECEIVER_ONLY else (),
        ),
    )


@handles(catalog.BATCHSENDMSG)
def batch_send(call: BatchCall) -> wire.BatchsendmsgReply:
    """Send one message to up to 500 receivers, without webhooks; one code a receiver that fails [doc 34920]."""
    request, maximum = call.request, call.settings.limits.batch_receivers
    _check_content(call)
    if not request.to_account:
        raise bad("To_Account is empty", codes.NO_RECEIVER)
    if len(request.to_account) > maximum:
        raise bad(f"To_Account: {maximum} accounts at most", codes.TOO_MANY_RECEIVERS)
    sender = _find_party(call, "From_Account", _sender_of(call))
    _check_batch_rate(call, len(request.to_account))
    numbers, packed = _number_message(call, sender), pack(request.msg_body)
    errors = []
    for receiver in dict.fromkeys(request.to_account):
        known = call.state.party(receiver)
        if known is None:
            errors.append(wire.BatchError(to_account=receiver, error_code=codes.NO_SUCH_USER))
            continue
        try:
            _check_subscription(call, Pair(sender, known))
        except Refusal as refusal:
            errors.append(wire.BatchError(to_account=receiver, error_code=refusal.code))
            continue
        _send_one_of_batch(call, Pair(sender, known), numbers, packed)
    return wire.BatchsendmsgReply(msg_key=numbers.key, msg_id=message_id(sender, numbers), error_list=errors or None)


def _send_one_of_batch(call: BatchCall, pair: Pair, numbers: MessageNumbers, packed: bytes) -> None:
    if not call.settings.behaviour.batch_deduplicates:
        _store_message(call, pair, numbers, packed)
        return
    key = ("batch", pair.receiver, _repeat_key(call, *pair))
    if _find_repeated(call, key) is None:
        _store_message(call, pair, numbers, packed)
        _remember_numbers(call, key, numbers)


def _check_batch_rate(call: BatchCall, receivers: int) -> None:
    """Refuse a batch with which the messages of the last minute would be too many."""
    batches, maximum = call.state.conversations.batches, call.settings.limits.batch_messages_per_minute
    while batches and not 0 <= call.time - batches[0][0] < MINUTE:
        batches.popleft()
    if sum(number for _, number in batches) + receivers > maximum:
        raise bad(f"over {maximum} messages a minute", codes.BATCH_TOO_FREQUENT, guess="batch-rate")
    batches.append((call.time, receivers))


def _respell_range(body: Any, _settings: StubSettings) -> Any:
    """Replace the older names of the two accounts of admin_getroammsg [doc 35478 before 2022]."""
    older = {"From_Account": "Operator_Account", "To_Account": "Peer_Account"}
    if isinstance(body, dict) and older.keys() <= body.keys() and not set(older.values()) & body.keys():
        return {older.get(name, name): value for name, value in body.items()}
    return body


@handles(catalog.ADMIN_GETROAMMSG, respell=_respell_range)
def get_roaming_messages(call: CommandContext[wire.AdminGetroammsgRequest]) -> PrebuiltReply:
    """Return the newest messages of a range, oldest first, cut at MaxCnt and at 13 KB [doc 35478]."""
    request, maximum = call.request, call.settings.limits
    user = find_reader(call, "Operator_Account", request.operator_account)
    peer = find_reader(call, "Peer_Account", request.peer_account)
    if request.max_cnt < 1:
        raise bad("MaxCnt must be 1 or more")
    below = _read_key(request.last_msg_key) if request.last_msg_key else None
    log = call.state.conversations.get(user, peer)
    page: list[dict[str, Any]] = []
    size, complete = 0, True
    for message in () if log is None else log.downwards(below, request.max_time):
        if message.time < request.min_time or expired(call, message):
            break
        if user in message.hidden_from:
            continue
        item = _history_item(call, message)
        size += len(orjson.dumps(item))
        if page and (len(page) >= min(request.max_cnt, maximum.roaming_messages) or size > maximum.roaming_bytes):
            complete = False
            break
        page.append(item)
        oldest = message
    return prebuilt(
        wire.AdminGetroammsgReply,
        complete=wire.ROAMING_COMPLETE if complete else wire.ROAMING_MORE,
        msg_cnt=len(page),
        last_msg_time=oldest.time if page else 0,
        last_msg_key=oldest.numbers.key if page else "",
        msg_list=page[::-1],
    )


def find_reader(call: CommandContext[Any], name: str, account: str) -> str:
    """Return the stored id of a user or an official account; 90048 if there is none."""
    known = call.state.party(account)
    if known is None:
        raise Refusal(codes.NO_SUCH_PEER, f"{name} does not exist")
    return known


def _read_key(key: str) -> MessageNumbers:
    numbers = MessageNumbers.read(key)
    if numbers is None:
        raise bad("MsgKey is not MsgSeq_MsgRandom_MsgTime", codes.BAD_MSG_KEY)
    return numbers


def _history_item(call: CommandContext[Any], message: PairMessage) -> dict[str, Any]:
    empty = message.recalled and call.settings.behaviour.recalled_body_empty
    return prebuilt_item(
        wire.RoamingMessage,
        from_account=message.sender,
        to_account=message.receiver,
        msg_seq=message.seq,
        msg_random=message.random,
        msg_time_stamp=message.time,
        msg_flag_bits=wire.FLAG_RECALLED if message.recalled else wire.FLAG_NORMAL,
        is_peer_read=int(message.receipt),
        msg_key=message.numbers.key,
        msg_body=[] if empty else message.body_json(),
        cloud_custom_data=message.cloud_custom_data or "",
    )


def find_message(call: CommandContext[Any], pair: Pair, key: str, missing: int) -> tuple[PairLog, PairMessage]:
    """Return a message by its key, in the direction in which it was sent; Refusal `missing` if there is none."""
    numbers = _read_key(key)
    log = call.state.conversations.get(*pair)
    message = None if log is None else log.find(numbers, pair.sender)
    if log is None or message is None:
        raise Refusal(missing, "the message does not exist", guess="c2c-direction")
    return log, message


@handles(catalog.ADMIN_MSGWITHDRAW)
def withdraw_message(call: CommandContext[wire.AdminMsgwithdrawRequest]) -> wire.AdminMsgwithdrawReply:
    """Recall a message of any age; 20022 for a missing one, 20023 for one that was recalled [doc 35015]."""
    pair = Pair(call.request.from_account, call.request.to_account)
    recall(call, *find_message(call, pair, call.request.msg_key, codes.NO_MESSAGE_TO_RECALL))
    return wire.AdminMsgwithdrawReply()


def recall(call: CommandContext[Any], log: PairLog, message: PairMessage) -> None:
    """Recall a message, which is no longer unread then, and emit the event."""
    if message.recalled:
        raise Refusal(codes.ALREADY_RECALLED, "the message was recalled already")
    message.recalled = True
    call.state.conversations.settle(log, message)
    if call.listening:
        call.emit(
            events.AfterC2CMsgWithDraw,
            from_account=message.sender,
            to_account=message.receiver,
            msg_key=message.numbers.key,
            unread_msg_num=unread_of(call, message.receiver),
        )


@handles(catalog.MODIFY_C2C_MSG)
def modify_message(call: CommandContext[wire.ModifyC2cMsgRequest]) -> wire.ModifyC2cMsgReply:
    """Replace body, CloudCustomData or both; the last write wins [doc 74740]."""
    request = call.request
    if request.msg_body is None and request.cloud_custom_data is None:
        raise bad("neither MsgBody nor CloudCustomData", codes.ELEMENT_MALFORMED, guess="empty-modification")
    if request.msg_body is not None:
        bodies.check_body(request.msg_body, bodies.MODIFYING)
    pair = Pair(request.from_account, request.to_account)
    _, message = find_message(call, pair, request.msg_key, codes.NO_MESSAGE_TO_MODIFY)
    change_message(call, message, request.msg_body, request.cloud_custom_data)
    return wire.ModifyC2cMsgReply(error_info=MODIFIED)


def change_message(
    call: CommandContext[Any], message: PairMessage, body: list[Element] | None, cloud_custom_data: str | None
) -> None:
    """Write a change, None for what stays, and emit its event; 20026 for a recalled or expired message."""
    if message.recalled or expired(call, message):
        raise Refusal(codes.NO_MESSAGE_TO_MODIFY, "the message was recalled or is no longer kept", guess="modify-gone")
    new_body = message.body if body is None else body
    new_data = message.cloud_custom_data if cloud_custom_data is None else cloud_custom_data
    bodies.check_size(call.settings, new_body, new_data)
    if call.settings.behaviour.modify_conflict:
        raise Refusal(codes.MODIFY_CONFLICT, "the message is being modified by someone else")
    message.body, message.cloud_custom_data = new_body, new_data
    if call.settings.behaviour.modify_event:
        call.emit(
            events.AfterModifyC2CMsg,
            operator_account=call.caller,
            from_account=message.sender,
            to_account=message.receiver,
            msg_seq=message.seq,
            msg_random=message.random,
            msg_time=message.time,
            msg_key=message.numbers.key,
            msg_body=new_body,
            cloud_custom_data=new_data or "",
        )


@handles(catalog.DELETE_C2C_MSG_RAMBLE)
def delete_messages(call: CommandContext[wire.DeleteC2cMsgRambleRequest]) -> wire.DeleteC2cMsgRambleReply:
    """Hide messages from one of the two accounts; those that do not exist are ignored [php-sdk; inferred]."""
    request, maximum = call.request, call.settings.limits.c2c_deletions
    user = find_reader(call, "Operator_Account", request.operator_account)
    peer = find_reader(call, "Peer_Account", request.peer_account)
    if not 1 <= len(request.msg_key_list) <= maximum:
        raise bad(f"MsgKeyList: 1 to {maximum} messages", guess="c2c-deletion-batch")
    hide(call, user, peer, [_read_key(key) for key in request.msg_key_list])
    return wire.DeleteC2cMsgRambleReply()


def hide(call: CommandContext[Any], user: str, peer: str, keys: Iterable[MessageNumbers] | None = None) -> None:
    """Take messages, or all of a pair, out of the history that one of the two accounts sees."""
    conversations = call.state.conversations
    log = conversations.get(user, peer)
    if log is None:
        return
    found = log if keys is None else (log.find(numbers) for numbers in keys)
    for message in list(found):
        if message is not None:
            conversations.hide(log, message, user)


@handles(catalog.IMPORTMSG)
def import_message(call: CommandContext[wire.ImportmsgRequest]) -> wire.ImportmsgReply:
    """Store a message of the past, without events; a repeat of its numbers in the pair is ignored [doc 35014]."""
    request = call.request
    _check_choice("SyncFromOldSystem", request.sync_from_old_system, (wire.IMPORT_COUNTED, wire.IMPORT_HISTORY))
    _check_number("MsgSeq", request.msg_seq)
    _check_number("MsgRandom", request.msg_random, codes.BAD_MSG_RANDOM)
    _check_number("MsgTimeStamp", request.msg_time_stamp, codes.BAD_MSG_TIME)
    bodies.check_body(request.msg_body, bodies.MODIFYING)
    bodies.check_size(call.settings, request.msg_body, request.cloud_custom_data)
    pair = Pair(
        _find_party(call, "From_Account", request.from_account), _find_party(call, "To_Account", request.to_account)
    )
    if not call.settings.behaviour.import_for_official_accounts and not call.state.official.keys().isdisjoint(pair):
        raise bad(
            "official accounts cannot be imported for",
            call.settings.behaviour.c2c_unknown_account_code,
            guess="c2c-import-official",
        )
    numbers = MessageNumbers(request.msg_time_stamp, request.msg_seq or 0, request.msg_random)
    log = call.state.conversations.get(*pair)
    if log is None or log.find(numbers) is None:
        counted = request.sync_from_old_system == wire.IMPORT_COUNTED and pair.sender != pair.receiver
        message = PairMessage(
            numbers.seq,
            numbers.time,
            numbers.random,
            pair.sender,
            NO_PRIORITY,
            pack(request.msg_body),
            request.cloud_custom_data,
            receiver=pair.receiver,
            unread=counted,
        )
        call.state.add_message(message)
    return wire.ImportmsgReply()


def broadcasts_unread(call: CommandContext[Any], user: str) -> dict[str, int]:
    """Return the unread broadcasts of each official account that the user follows [inferred]."""
    if not call.settings.behaviour.official_broadcast_counts_as_unread:
        return {}
    counts = {}
    for account in call.state.subscribed.get(user):
        row = account.subscribers.find(user)
        counts[account.account_id] = 0 if row is None else account.log.unread(account.subscribers.read(row))
    return counts


def unread_of(call: CommandContext[Any], user: str) -> int:
    """Return how many one-to-one messages and broadcasts the user has not read."""
    return call.state.conversations.unread(user) + sum(broadcasts_unread(call, user).values())


def unread_from(call: CommandContext[Any], user: str, peer: str | None) -> int:
    """Return how many messages and broadcasts of one account, or of all, the user has not read."""
    if peer is None:
        return unread_of(call, user)
    log = call.state.conversations.get(user, peer)
    return broadcasts_unread(call, user).get(peer, 0) + (0 if log is None else log.unread(user))


def _known_reader(call: CommandContext[Any], name: str, account: str) -> str:
    """Return the stored id of an account that can read; 90048 for an official account if that is switched off."""
    known = find_reader(call, name, account)
    if known in call.state.official and not call.settings.behaviour.official_account_reads:
        raise Refusal(codes.NO_SUCH_PEER, f"{name} is an official account", guess="official-account-reads")
    return known


@handles(catalog.GET_C2C_UNREAD_MSG_NUM)
def get_c2c_unread_msg_num(call: CommandContext[unread.GetC2cUnreadMsgNumRequest]) -> unread.GetC2cUnreadMsgNumReply:
    """Return the unread one-to-one messages of all peers or of some, with broadcasts [doc 41046; inferred]."""
    peers, maximum = call.request.peer_account, call.settings.limits.unread_peers
    user = _known_reader(call, "To_Account", call.request.to_account)
    if not peers:
        return unread.GetC2cUnreadMsgNumReply(all_c2c_unread_msg_num=unread_of(call, user))
    if len(peers) > maximum:
        raise bad(f"Peer_Account: {maximum} accounts at most")
    logs, broadcasts = call.state.conversations.logs(user), broadcasts_unread(call, user)
    counts, errors = [], []
    for peer in peers:
        if call.state.party(peer) is None:
            errors.append(unread.PeerError(peer_account=peer, error_code=codes.NO_SUCH_PEER))
            continue
        number = broadcasts.get(peer, 0) + (logs[peer].unread(user) if peer in logs else 0)
        counts.append(unread.PeerUnread(peer_account=peer, c2c_unread_msg_num=number))
    return unread.GetC2cUnreadMsgNumReply(c2c_unread_msg_num_list=counts, error_list=errors or None)


@handles(catalog.ADMIN_SET_MSG_READ)
def admin_set_msg_read(call: CommandContext[unread.AdminSetMsgReadRequest]) -> unread.AdminSetMsgReadReply:
    """Mark as read what a peer sent up to a moment, and emit the event [java-sdk]."""
    request = call.request
    user = _known_reader(call, "Report_Account", request.report_account)
    peer = find_reader(call, "Peer_Account", request.peer_account)
    until = call.now if request.msg_read_time is None else request.msg_read_time
    if until < 0:
        raise bad("MsgReadTime must be 0 or more")
    mark_read(call, user, peer, until)
    return unread.AdminSetMsgReadReply()


def mark_read(call: CommandContext[Any], user: str, peer: str, until: int) -> None:
    """Mark messages and broadcasts of a peer up to a moment as read, and emit the event."""
    set_read(call, user, peer, until)
    if call.listening:
        call.emit(
            events.AfterMsgReport,
            report_account=user,
            peer_account=peer,
            last_read_time=until,
            unread_msg_num=unread_of(call, user),
        )


def set_read(call: CommandContext[Any], user: str, peer: str, until: int) -> None:
    """Mark messages and broadcasts of a peer up to a moment as read."""
    call.state.conversations.read(user, peer, until)
    account = call.state.official.get(peer)
    row = account.subscribers.find(user) if account else None
    if account is not None and row is not None:
        account.subscribers.set_read(row, max(account.subscribers.read(row), account.log.seq_at(until)))
