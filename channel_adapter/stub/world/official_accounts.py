"""Official accounts and their subscribers: create, destroy, modify, read, subscribe."""

import base64
import binascii
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.context import CallbackEvent, CommandContext, handles
from channel_adapter.stub.world.group_rules import ASSIGNED_LENGTH, ASSIGNED_LETTERS, U32
from channel_adapter.stub.world.group_view import attributes
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import OfficialAccount, is_printable
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import callbacks_official as events
from channel_adapter.tencent.wire import official_accounts as wire

BASE: Mapping[str, Callable[[OfficialAccount], Any]] = {
    "create_time": lambda account: account.create_time,
    "name": lambda account: account.name,
    "owner_account": lambda account: account.owner,
    "last_msg_time": lambda account: max(account.log.last_time, account.last_message),
    "subscriber_num": lambda account: len(account.subscribers),
    "introduction": lambda account: account.introduction,
    "face_url": lambda account: account.face_url,
    "organization": lambda account: account.organization,
    "custom_string": lambda account: account.custom_string,
}
ATTRIBUTES = attributes(wire.OfficialProfile)
SELF_ATTRIBUTES = attributes(wire.SubscriptionSelfInfo)
ACCOUNT = wire.OfficialAccountItem.model_fields["official_account"].alias
ALIAS = "OfficialAccount"  # of one public SDK [java-sdk]
REPORTED = ("name", "introduction", "face_url", "organization")  # by the after-modify webhook [java-sdk]

ProfileRequest = wire.CreateOfficialAccountRequest | wire.ModifyOfficialAccountBaseInfoRequest


def bad(info: str, *, guess: str | None = None) -> Refusal:
    """Return the refusal of a parameter of the management commands."""
    return Refusal(codes.OFFICIAL_BAD_PARAMETER, info, guess=guess)


def check_enabled(call: CommandContext[Any]) -> None:
    """Refuse with 131000 while the service is off."""
    if not call.settings.app.official_accounts:
        raise Refusal(codes.OFFICIAL_ACCOUNTS_OFF, "official accounts are not enabled for this app")


def is_official_id(text: str) -> bool:
    """Return whether this has the form of an official account's id, custom or assigned [doc 60813]."""
    prefix = limits.OFFICIAL_ACCOUNT_ID_PREFIX
    return (
        text.startswith(prefix) and len(prefix) < len(text) <= limits.OFFICIAL_ACCOUNT_ID_BYTES and is_printable(text)
    )


def find(call: CommandContext[Any], account_id: str) -> OfficialAccount:
    """Return the account; 131000 while the service is off, 130007 for a malformed id, 130004 for an unknown one."""
    check_enabled(call)
    account = call.state.official.get(account_id)
    if account is None:
        if not is_official_id(account_id):
            raise Refusal(codes.BAD_OFFICIAL_ACCOUNT_ID, "Official_Account is malformed")
        raise Refusal(codes.NO_SUCH_OFFICIAL_ACCOUNT, "the official account does not exist or was destroyed")
    return account


def check_text(name: str, value: str | None, maximum: int) -> None:
    """Count UTF-8 bytes."""
    if value is not None and (size := len(value.encode())) > maximum:
        raise bad(f"{name} has {size} bytes, the limit is {maximum}")


def _check_profile(call: CommandContext[Any], request: ProfileRequest) -> None:
    maximum = call.settings.limits
    if request.name == "":
        raise bad("Name is empty")
    check_text("Name", request.name, maximum.official_name_bytes)
    check_text("Introduction", request.introduction, maximum.official_introduction_bytes)
    check_text("FaceUrl", request.face_url, maximum.official_face_url_bytes)
    check_text("Organization", request.organization, maximum.official_organization_bytes)
    check_text("CustomString", request.custom_string, maximum.official_custom_bytes)
    if request.max_subscriber_num is not None and not 1 <= request.max_subscriber_num <= U32:
        raise bad("MaxSubscriberNum must be 1 or more")


def _check_create(call: CommandContext[wire.CreateOfficialAccountRequest]) -> None:
    check_enabled(call)
    request = call.request
    _check_profile(call, request)
    account_id = request.official_account_user_id
    if account_id is not None:
        if not is_official_id(account_id) or account_id.startswith(limits.OFFICIAL_ACCOUNT_ID_RESERVED):
            raise Refusal(codes.BAD_OFFICIAL_ACCOUNT_ID, "OfficialAccountUserID is malformed")
        used = account_id in call.state.official_gone and not call.settings.behaviour.official_id_reuse
        if used or account_id in call.state.official:
            raise Refusal(
                codes.OFFICIAL_ACCOUNT_ID_TAKEN,
                "OfficialAccountUserID is taken",
                guess="official-id-reuse" if used else None,
            )
    if call.state.account(request.owner_account) is None:
        raise Refusal(codes.OFFICIAL_NOT_ALLOWED, "Owner_Account does not exist", guess="official-unknown-owner")
    most = call.settings.limits.official_accounts_in_app
    if most and len(call.state.official) >= most:
        raise Refusal(codes.OFFICIAL_ACCOUNT_QUOTA, f"the app has {most} official accounts already")


def _before_create(call: CommandContext[wire.CreateOfficialAccountRequest]) -> CallbackEvent:
    _check_create(call)
    return call.event(
        events.BeforeCreateOfficialAccount,
        operator_account=call.caller,
        owner_account=call.request.owner_account,
        name=call.request.name,
    )


@handles(catalog.CREATE_OFFICIAL_ACCOUNT, before=_before_create)
def create_official_account(call: CommandContext[wire.CreateOfficialAccountRequest]) -> wire.CreateOfficialAccountReply:
    """Create an account without subscribers; its owner does not follow it [inferred]."""
    _check_create(call)
    call.apply_decision(codes.MESSAGE_WEBHOOK_REFUSED)
    request = call.request
    account = OfficialAccount(
        account_id=request.official_account_user_id or _assigned_id(call),
        owner=request.owner_account,
        name=request.name,
        create_time=call.now,
        max_subscribers=request.max_subscriber_num or call.settings.limits.official_subscribers,
        introduction=request.introduction or "",
        face_url=request.face_url or "",
        organization=request.organization or "",
        custom_string=request.custom_string or "",
    )
    call.state.official[account.account_id] = account
    call.emit(
        events.AfterCreateOfficialAccount,
        official_account=account.account_id,
        operator_account=call.caller,
        owner_account=account.owner,
        name=account.name,
    )
    return wire.CreateOfficialAccountReply(official_account_user_id=account.account_id)


def _assigned_id(call: CommandContext[Any]) -> str:
    while True:
        token = "".join(call.random.choices(ASSIGNED_LETTERS, k=ASSIGNED_LENGTH))
        account_id = limits.OFFICIAL_ACCOUNT_ID_RESERVED + token
        if account_id not in call.state.official:
            return account_id


@handles(catalog.DESTROY_OFFICIAL_ACCOUNT)
def destroy_official_account(
    call: CommandContext[wire.DestroyOfficialAccountRequest],
) -> wire.DestroyOfficialAccountReply:
    """Remove the account with its subscriptions; a second time 130004 [doc 60756]."""
    account = find(call, call.request.official_account)
    call.state.destroy_official(account)
    call.emit(
        events.AfterOfficialAccountDestroyed,
        official_account=account.account_id,
        owner_account=account.owner,
        name=account.name,
    )
    return wire.DestroyOfficialAccountReply()


def _respell_modify(body: Any, settings: StubSettings) -> Any:
    """Replace one SDK's spelling of the account by the documented one, if that is switched on [java-sdk]."""
    if settings.behaviour.official_modify_alias and isinstance(body, dict) and ALIAS in body:
        return {ACCOUNT if name == ALIAS else name: value for name, value in body.items()}
    return body


@handles(catalog.MODIFY_OFFICIAL_ACCOUNT_BASE_INFO, respell=_respell_modify)
def modify_official_account_base_info(
    call: CommandContext[wire.ModifyOfficialAccountBaseInfoRequest],
) -> wire.ModifyOfficialAccountBaseInfoReply:
    """Change the profile; absent fields stay, empty texts are written, the owner stays [doc 60757; inferred]."""
    request = call.request
    account = find(call, request.official_account)
    _check_profile(call, request)
    changed = {}
    for name in (*REPORTED, "custom_string"):
        value = getattr(request, name)
        if value == "" and call.settings.behaviour.official_empty_kept:
            continue
        if value is not None and value != getattr(account, name):
            setattr(account, name, value)
            changed[name] = value
    if request.max_subscriber_num is not None:
        account.max_subscribers = request.max_subscriber_num
    reported = {alias: changed[name] for alias, name in ATTRIBUTES.items() if name in REPORTED and name in changed}
    if reported:
        call.emit(
            events.AfterOfficialAccountInfoChanged,
            official_account=account.account_id,
            operator_account=call.caller,
            **reported,
        )
    return wire.ModifyOfficialAccountBaseInfoReply()


def base(
    call: CommandContext[Any], account: OfficialAccount, wanted: wire.OfficialResponseFilter | None
) -> dict[str, Any]:
    """Return attributes of OfficialProfile: all, or those that a filter names."""
    names = None if wanted is None else wanted.official_account_base_info_filter
    chosen: Iterable[str] = BASE if names is None else (ATTRIBUTES.get(alias, "") for alias in names)
    values = {name: BASE[name](account) for name in chosen if name in BASE}
    if call.settings.behaviour.official_show_max_subscribers:
        values["max_subscriber_num"] = account.max_subscribers
    return values


@handles(catalog.GET_OFFICIAL_ACCOUNT_INFO)
def get_official_account_info(
    call: CommandContext[wire.GetOfficialAccountInfoRequest],
) -> wire.GetOfficialAccountInfoReply:
    """Return one item an id, each with its own code [doc 60758, java-sdk]."""
    check_enabled(call)
    asked, maximum = call.request.official_account_id_list, call.settings.limits.official_info
    if not 1 <= len(asked) <= maximum:
        raise bad(f"OfficialAccountIdList: 1 to {maximum} ids", guess="official-info-batch")
    return wire.GetOfficialAccountInfoReply(
        official_account_info_list=[_account_info(call, item.official_account) for item in asked]
    )


def _account_info(
    call: CommandContext[wire.GetOfficialAccountInfoRequest], account_id: str
) -> wire.OfficialAccountInfo:
    try:
        account = find(call, account_id)
    except Refusal as refusal:
        return wire.OfficialAccountInfo(official_account=account_id, error_code=refusal.code, error_info=refusal.info)
    return wire.OfficialAccountInfo(official_account=account_id, **base(call, account, call.request.response_filter))


@handles(catalog.GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST)
def get_subscribed_official_account_list(
    call: CommandContext[wire.GetSubscribedOfficialAccountListRequest],
) -> wire.GetSubscribedOfficialAccountListReply:
    """Return the accounts that a user follows, in the order of subscribing [doc 60763]."""
    check_enabled(call)
    request, maximum = call.request, call.settings.limits.official_subscriptions
    user = request.subscriber_account
    if call.state.account(user) is None:
        raise bad("Subscriber_Account does not exist", guess="official-unknown-subscriber")
    if request.limit is not None and not 1 <= request.limit <= maximum:
        raise bad(f"Limit must be 1 to {maximum}")
    start = request.offset or 0
    if start < 0:
        raise bad("Offset must be 0 or more")
    followed = sorted(
        call.state.subscribed.get(user), key=lambda account: (_subscribed_at(account, user), account.account_id)
    )
    page = followed[start : start + (request.limit or maximum)]
    complete = start + len(page) >= len(followed)
    return wire.GetSubscribedOfficialAccountListReply(
        official_account_info_list=[_subscription_item(call, account, user) for account in page],
        total_count=len(followed),
        complete_flag=int(complete),
        next=len(followed) if complete else start + len(page),
    )


def _subscribed_at(account: OfficialAccount, user: str) -> int:
    """Return when a subscriber subscribed."""
    row = account.subscribers.find(user)
    return 0 if row is None else account.subscribers.joined(row)


def _subscription_item(
    call: CommandContext[wire.GetSubscribedOfficialAccountListRequest], account: OfficialAccount, user: str
) -> wire.SubscribedOfficialAccount:
    wanted = call.request.response_filter
    own = wanted.self_info_filter if wanted else None
    values = {
        "subscribe_time": _subscribed_at(account, user),
        "custom_string": account.subscriber_strings.get(user, ""),
    }
    chosen = values if own is None else [SELF_ATTRIBUTES.get(alias, "") for alias in own]
    info = wire.SubscriptionSelfInfo.model_validate({name: values[name] for name in chosen if name in values})
    return wire.SubscribedOfficialAccount(
        official_account=account.account_id, self_info=info, **base(call, account, wanted)
    )


COOKIE = "next:"  # before the serial of the next subscriber, in base64


def classify_subscribers(
    call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]
) -> list[tuple[int, int]]:
    """Return the Result of each account, in order, and the code for its reason, 0 without one."""
    results, room = [], account.max_subscribers - len(account.subscribers)
    most = call.settings.limits.official_subscriptions_of_user
    seen = set[str]()
    for user in users:
        if call.state.account(user) is None or user in call.decision.refused:
            results.append((wire.RESULT_FAILED, codes.OK))
        elif user in account.subscribers or user in seen:
            results.append((wire.RESULT_ALREADY, codes.ALREADY_SUBSCRIBED))
        elif len(seen) >= room:
            results.append((wire.RESULT_FAILED, codes.OFFICIAL_ACCOUNT_FULL))
        elif most and len(call.state.subscribed.get(user)) >= most:
            results.append((wire.RESULT_FAILED, codes.OFFICIAL_ACCOUNT_QUOTA))
        else:
            seen.add(user)
            results.append((wire.RESULT_DONE, codes.OK))
    return results


def _check_reasons(call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]) -> None:
    """Refuse the call with the first reason of an account, if the settings of the stub ask for it."""
    if call.settings.behaviour.official_refusal == "call":
        for user, (_, reason) in zip(users, classify_subscribers(call, account, users), strict=True):
            if reason:
                raise Refusal(reason, f"{user}: {codes.look_up(catalog.OFFICIAL_SERVICE, '', reason).meaning}")


def subscribe(call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]) -> list[int]:
    """Subscribe the users who can be, emit the events and return the results."""
    results = [result for result, _ in classify_subscribers(call, account, users)]
    new = [user for user, result in zip(users, results, strict=True) if result == wire.RESULT_DONE]
    for user in new:
        call.state.subscribe(account, user, call.now)
    if new:
        _emit_event(call, events.AfterAddSubscriber, account, new)
    full = len(account.subscribers) >= account.max_subscribers
    if full and (new or Counter(results)[wire.RESULT_FAILED]):
        call.emit(events.AfterOfficialAccountFull, official_account=account.account_id)
    return results


def unsubscribe(call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]) -> list[int]:
    """Unsubscribe users, emit the event and return the results."""
    removed, results = [], []
    for user in users:
        if call.state.account(user) is None:
            results.append(wire.RESULT_FAILED)
        elif user not in account.subscribers:
            results.append(wire.RESULT_ALREADY)
        else:
            call.state.unsubscribe(account, user)
            removed.append(user)
            results.append(wire.RESULT_DONE)
    if removed:
        _emit_event(call, events.AfterDeleteSubscriber, account, removed)
    return results


def _event_fields(call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]) -> dict[str, Any]:
    return {
        "official_account": account.account_id,
        "operator_account": call.caller,
        "subscribe_account_list": [{"subscriber_account": user} for user in users],
    }


def _emit_event(
    call: CommandContext[Any], kind: type[events.SubscribersCallback], account: OfficialAccount, users: Sequence[str]
) -> None:
    call.emit(kind, **_event_fields(call, account, users))


def before_subscribe(call: CommandContext[Any], account: OfficialAccount, users: Sequence[str]) -> CallbackEvent:
    """Return the event before users subscribe."""
    return call.event(events.BeforeAddSubscriber, **_event_fields(call, account, users))


def _check_batch(call: CommandContext[Any], field: str, users: Sequence[str]) -> None:
    maximum = call.settings.limits.official_subscribers_per_call
    if not 1 <= len(users) <= maximum:
        raise bad(f"{field}: 1 to {maximum} accounts", guess="official-subscriber-batch")


def _check_add(call: CommandContext[wire.AddSubscriberRequest]) -> tuple[OfficialAccount, list[str]]:
    account = find(call, call.request.official_account)
    users = [item.subscriber_account for item in call.request.subscriber_list]
    _check_batch(call, "SubscriberList", users)
    return account, users


def _before_add(call: CommandContext[wire.AddSubscriberRequest]) -> CallbackEvent:
    return before_subscribe(call, *_check_add(call))


@handles(catalog.ADD_SUBSCRIBER, before=_before_add)
def add_subscriber(call: CommandContext[wire.AddSubscriberRequest]) -> wire.AddSubscriberReply:
    """Subscribe users; return one result an account [doc 60760]."""
    account, users = _check_add(call)
    call.apply_decision(codes.MESSAGE_WEBHOOK_REFUSED)
    _check_reasons(call, account, users)
    return wire.AddSubscriberReply(subscriber_list=_subscriber_results(users, subscribe(call, account, users)))


@handles(catalog.DELETE_SUBSCRIBER)
def delete_subscriber(call: CommandContext[wire.DeleteSubscriberRequest]) -> wire.DeleteSubscriberReply:
    """Return one result an account; accounts are named in the sample's spelling or the field table's [doc 60761]."""
    request = call.request
    account = find(call, request.official_account)
    users = request.subscriber_to_del_account
    if users is None and call.settings.behaviour.official_delete_alias:
        users = [item.subscriber_account for item in request.subscriber_list or ()]
    if users is None:
        raise bad("SubscriberToDel_Account is missing", guess="official-delete-spelling")
    _check_batch(call, "SubscriberToDel_Account", users)
    return wire.DeleteSubscriberReply(subscriber_list=_subscriber_results(users, unsubscribe(call, account, users)))


def _subscriber_results(users: Sequence[str], results: Sequence[int]) -> list[wire.SubscriberResult]:
    return [
        wire.SubscriberResult(subscriber_account=user, result=result)
        for user, result in zip(users, results, strict=True)
    ]


@handles(catalog.GET_SUBSCRIBER_INFO)
def get_subscriber_info(call: CommandContext[wire.GetSubscriberInfoRequest]) -> wire.GetSubscriberInfoReply:
    """Return a page of subscribers in the order of subscribing [doc 60759]."""
    request, maximum = call.request, call.settings.limits.official_subscribers_per_page
    account = find(call, request.official_account)
    if request.limit is not None and not 1 <= request.limit <= maximum:
        raise bad(f"Limit must be 1 to {maximum}")
    rows, following = account.subscribers.page(_read_cookie(request.next), request.limit or maximum)
    return wire.GetSubscriberInfoReply(
        next=_format_cookie(following),
        subscriber_num=len(account.subscribers),
        subscriber_list=[_subscriber_row(call, account, row) for row in rows],
    )


def _subscriber_row(call: CommandContext[Any], account: OfficialAccount, row: int) -> wire.SubscriberRow:
    table = account.subscribers
    log = call.state.conversations.get(account.account_id, table.user(row))
    return wire.SubscriberRow(
        subscriber_account=table.user(row),
        subscribe_time=table.joined(row),
        custom_string=account.subscriber_strings.get(table.user(row), ""),
        msg_flag=table.flag(row),
        last_send_msg_time=0 if log is None else log.last_sent(table.user(row)),
    )


def _format_cookie(serial: int) -> str:
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
def modify_subscriber_info(call: CommandContext[wire.ModifySubscriberInfoRequest]) -> wire.ModifySubscriberInfoReply:
    """Write the custom text of one subscriber; 131003 for other users [doc 60762, doc 34348]."""
    request = call.request
    account = find(call, request.official_account)
    check_text("CustomString", request.custom_string, call.settings.limits.official_custom_bytes)
    if request.subscriber_account not in account.subscribers:
        raise Refusal(codes.NO_SUCH_SUBSCRIPTION, "Subscriber_Account is not a subscriber")
    if request.custom_string is not None:
        account.subscriber_strings[request.subscriber_account] = request.custom_string
    return wire.ModifySubscriberInfoReply()
