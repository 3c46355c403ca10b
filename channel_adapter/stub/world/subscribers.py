"""Subscribers of official accounts [official accounts 4.5-4.8]."""

import base64
import binascii
from collections import Counter
from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world.call import Call, Event, handles
from channel_adapter.stub.world.official_accounts import bad, check_text, find
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import OfficialAccount
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import callbacks_official as events
from channel_adapter.tencent.wire import official_accounts as wire

COOKIE = "next:"  # before the serial of the next subscriber, in base64


def judge(call: Call[Any], account: OfficialAccount, users: Sequence[str]) -> list[int]:
    """The Result of each account, in order; whoever does not fit any more fails alone [official accounts 3.1]."""
    results, room = [], account.max_subscribers - len(account.subscribers)
    seen = set[str]()
    for user in users:
        if call.state.account(user) is None or user in call.decision.refused:
            results.append(wire.RESULT_FAILED)
        elif user in account.subscribers or user in seen:
            results.append(wire.RESULT_ALREADY)
        elif len(seen) >= room:
            results.append(wire.RESULT_FAILED)
        else:
            seen.add(user)
            results.append(wire.RESULT_DONE)
    return results


def subscribe(call: Call[Any], account: OfficialAccount, users: Sequence[str]) -> list[int]:
    """Let in who can be let in, tell the app; the results."""
    results = judge(call, account, users)
    new = [user for user, result in zip(users, results, strict=True) if result == wire.RESULT_DONE]
    for user in new:
        call.state.subscribe(account, user, call.now)
    if new:
        _tell(call, events.AfterAddSubscriber, account, new)
    full = len(account.subscribers) >= account.max_subscribers
    if full and (new or Counter(results)[wire.RESULT_FAILED]):
        call.emit(events.AfterOfficialAccountFull, official_account=account.account_id)
    return results


def unsubscribe(call: Call[Any], account: OfficialAccount, users: Sequence[str]) -> list[int]:
    """Let go, tell the app; the results."""
    gone, results = [], []
    for user in users:
        if call.state.account(user) is None:
            results.append(wire.RESULT_FAILED)
        elif user not in account.subscribers:
            results.append(wire.RESULT_ALREADY)
        else:
            call.state.unsubscribe(account, user)
            gone.append(user)
            results.append(wire.RESULT_DONE)
    if gone:
        _tell(call, events.AfterDeleteSubscriber, account, gone)
    return results


def _fields(call: Call[Any], account: OfficialAccount, users: Sequence[str]) -> dict[str, Any]:
    return {
        "official_account": account.account_id,
        "operator_account": call.caller,
        "subscribe_account_list": [{"subscriber_account": user} for user in users],
    }


def _tell(
    call: Call[Any], kind: type[events.SubscribersCallback], account: OfficialAccount, users: Sequence[str]
) -> None:
    call.emit(kind, **_fields(call, account, users))


def ask(call: Call[Any], account: OfficialAccount, users: Sequence[str]) -> Event:
    """The app is asked before anybody subscribes."""
    return call.event(events.BeforeAddSubscriber, **_fields(call, account, users))


def _check_batch(call: Call[Any], field: str, users: Sequence[str]) -> None:
    most = call.settings.limits.official_subscribers_per_call
    if not 1 <= len(users) <= most:
        raise bad(f"{field}: 1 to {most} accounts", guess="official-subscriber-batch")


def _check_add(call: Call[wire.AddSubscriberRequest]) -> tuple[OfficialAccount, list[str]]:
    account = find(call, call.request.official_account)
    users = [item.subscriber_account for item in call.request.subscriber_list]
    _check_batch(call, "SubscriberList", users)
    return account, users


def _ask_add(call: Call[wire.AddSubscriberRequest]) -> Event:
    return ask(call, *_check_add(call))


@handles(catalog.ADD_SUBSCRIBER, before=_ask_add)
def add_subscriber(call: Call[wire.AddSubscriberRequest]) -> wire.AddSubscriberReply:
    """One result an account [doc 60760]."""
    account, users = _check_add(call)
    call.obey(codes.MESSAGE_WEBHOOK_REFUSED)
    return wire.AddSubscriberReply(subscriber_list=_results(users, subscribe(call, account, users)))


@handles(catalog.DELETE_SUBSCRIBER)
def delete_subscriber(call: Call[wire.DeleteSubscriberRequest]) -> wire.DeleteSubscriberReply:
    """Return one result an account; accounts are named in the sample's spelling or the field table's [doc 60761]."""
    request = call.request
    account = find(call, request.official_account)
    users = request.subscriber_to_del_account
    if users is None and call.settings.behaviour.official_delete_alias:
        users = [item.subscriber_account for item in request.subscriber_list or ()]
    if users is None:
        raise bad("SubscriberToDel_Account is missing", guess="official-delete-spelling")
    _check_batch(call, "SubscriberToDel_Account", users)
    return wire.DeleteSubscriberReply(subscriber_list=_results(users, unsubscribe(call, account, users)))


def _results(users: Sequence[str], results: Sequence[int]) -> list[wire.SubscriberResult]:
    return [
        wire.SubscriberResult(subscriber_account=user, result=result)
        for user, result in zip(users, results, strict=True)
    ]


@handles(catalog.GET_SUBSCRIBER_INFO)
def get_subscriber_info(call: Call[wire.GetSubscriberInfoRequest]) -> wire.GetSubscriberInfoReply:
    """A page of subscribers in the order of subscribing [doc 60759]."""
    request, most = call.request, call.settings.limits.official_subscribers_per_page
    account = find(call, request.official_account)
    if request.limit is not None and not 1 <= request.limit <= most:
        raise bad(f"Limit must be 1 to {most}")
    rows, following = account.subscribers.page(_read_cookie(request.next), request.limit or most)
    return wire.GetSubscriberInfoReply(
        next=_cookie(following),
        subscriber_num=len(account.subscribers),
        subscriber_list=[_subscriber(account, row) for row in rows],
    )


def _subscriber(account: OfficialAccount, row: int) -> wire.Subscriber:
    table = account.subscribers
    return wire.Subscriber(
        subscriber_account=table.user(row),
        subscribe_time=table.joined(row),
        custom_string=account.subscriber_strings.get(table.user(row), ""),
        msg_flag=table.flag(row),
        last_send_msg_time=0,
    )


def _cookie(serial: int) -> str:
    return base64.b64encode(f"{COOKIE}{serial}".encode()).decode() if serial else ""


def _read_cookie(text: str) -> int:
    if not text:
        return 0
    try:
        serial = base64.b64decode(text, validate=True).decode("ascii").removeprefix(COOKIE)
    except (binascii.Error, ValueError):
        serial = ""
    if not serial.isdecimal() or len(serial) > 18:
        raise bad("Next is not a cookie that this command returned")
    return int(serial)


@handles(catalog.MODIFY_SUBSCRIBER_INFO)
def modify_subscriber_info(call: Call[wire.ModifySubscriberInfoRequest]) -> wire.ModifySubscriberInfoReply:
    """Write the custom text of one subscriber; 131003 for a user who is none [doc 60762, doc 34348]."""
    request = call.request
    account = find(call, request.official_account)
    check_text("CustomString", request.custom_string, call.settings.limits.official_custom_bytes)
    if request.subscriber_account not in account.subscribers:
        raise Refusal(codes.NO_SUCH_SUBSCRIPTION, "Subscriber_Account is not a subscriber")
    if request.custom_string is not None:
        account.subscriber_strings[request.subscriber_account] = request.custom_string
    return wire.ModifySubscriberInfoReply()
