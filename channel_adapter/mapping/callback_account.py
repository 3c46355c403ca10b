"""Webhooks of official accounts, and the alarm about the rate of calls, as events."""

from collections.abc import Callable
from typing import Any, Final, cast

from channel_adapter.domain import events as e
from channel_adapter.mapping.callback_context import Context, to_parts, to_user, to_users
from channel_adapter.mapping.content import to_datetime
from channel_adapter.tencent.wire import callbacks_official as o
from channel_adapter.tencent.wire import callbacks_other as x
from channel_adapter.tencent.wire.callback_envelope import Callback


def _rate_alarm(model: x.RequestOverLimit, context: Context) -> e.Event | None:
    if not model.service_name or not model.command_name:
        return None
    return e.RateAlarm(
        **context.common(own=False),
        service=model.service_name,
        command=model.command_name,
        calls=model.request or 0,
        allowed=model.limit or 0,
    )


def _official(convert: Callable[[Any, dict[str, Any]], e.Event | None]) -> Callable[[Any, Context], e.Event | None]:
    """A converter that gets the common fields with the account; without an account there is no event."""

    def with_account(model: Any, context: Context) -> e.Event | None:
        account = cast("o.OfficialCallback", model).official_account
        return convert(model, {**context.common(), "account": account}) if account else None

    return with_account


def _official_created(model: o.AfterCreateOfficialAccount, common: dict[str, Any]) -> e.Event:
    return e.OfficialAccountCreated(**common, name=model.name or "", owner=to_user(model.owner_account))


def _official_changed(model: o.AfterOfficialAccountInfoChanged, common: dict[str, Any]) -> e.Event:
    return e.OfficialAccountChanged(
        **common,
        name=model.name,
        introduction=model.introduction,
        avatar=model.face_url,
        organization=model.organization,
    )


def _official_deleted(model: o.AfterOfficialAccountDestroyed, common: dict[str, Any]) -> e.Event:
    return e.OfficialAccountDeleted(**common, name=model.name or "", owner=to_user(model.owner_account))


def _followed(model: o.AfterAddSubscriber, common: dict[str, Any]) -> e.Event | None:
    users = to_users(item.subscriber_account for item in model.subscribe_account_list or ())
    return e.OfficialAccountSubscribed(**common, users=users) if users else None


def _unfollowed(model: o.AfterDeleteSubscriber, common: dict[str, Any]) -> e.Event | None:
    users = to_users(item.subscriber_account for item in model.subscribe_account_list or ())
    return e.OfficialAccountUnsubscribed(**common, users=users) if users else None


def _official_full(model: o.AfterOfficialAccountFull, common: dict[str, Any]) -> e.Event:
    return e.OfficialAccountFull(**{**common, "own": False})


def _broadcast(model: o.OfficialAfterSendMsg, common: dict[str, Any]) -> e.Event | None:
    if not model.msg_key and not model.online_only_flag:
        return None
    return e.OfficialPostPublished(
        **common,
        key=model.msg_key or "",
        parts=to_parts(model.msg_body),
        published_at=to_datetime(model.msg_time),
        online_only=bool(model.online_only_flag),
        app_data=model.cloud_custom_data or "",
    )


def _withdrawn(model: o.AfterMsgWithDraw, common: dict[str, Any]) -> e.Event | None:
    keys = tuple(item.msg_key for item in model.withdraw_msg_list or ())
    return e.OfficialPostRecalled(**common, keys=keys) if keys else None


CONVERTERS: Final[dict[type[Callback], Callable[[Any, Context], e.Event | None]]] = {
    x.RequestOverLimit: _rate_alarm,
    o.AfterCreateOfficialAccount: _official(_official_created),
    o.AfterOfficialAccountInfoChanged: _official(_official_changed),
    o.AfterOfficialAccountDestroyed: _official(_official_deleted),
    o.AfterAddSubscriber: _official(_followed),
    o.AfterDeleteSubscriber: _official(_unfollowed),
    o.AfterOfficialAccountFull: _official(_official_full),
    o.OfficialAfterSendMsg: _official(_broadcast),
    o.AfterMsgWithDraw: _official(_withdrawn),
}
"""By model; None where a member is missing without which the event would say nothing."""
