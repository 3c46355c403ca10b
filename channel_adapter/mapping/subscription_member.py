"""Subscriptions and subscribers as group members."""

from typing import Final

from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Notifications, OutcomeKind, Role, Subscriber, Subscription
from channel_adapter.mapping.content import to_datetime
from channel_adapter.tencent.wire import members

ROLES: Final = {members.OWNER: Role.OWNER, members.ADMIN: Role.ADMIN, members.MEMBER: Role.SUBSCRIBER}

NOTIFICATIONS: Final = {
    members.ACCEPT_AND_NOTIFY: Notifications.ALL,
    members.ACCEPT_NOT_NOTIFY: Notifications.MUTED,
    members.ACCEPT_MENTIONS: Notifications.MENTIONS,
    members.DISCARD: Notifications.OFF,
}

MSG_FLAGS: Final = {notifications: flag for flag, notifications in NOTIFICATIONS.items()}

ADD_OUTCOMES: Final = {
    members.RESULT_ADDED: OutcomeKind.ADDED,
    members.RESULT_ALREADY: OutcomeKind.ALREADY,
    members.RESULT_PENDING: OutcomeKind.PENDING,
    members.RESULT_TOO_MANY_GROUPS: OutcomeKind.TOO_MANY_CHANNELS,
}
"""`Result` 0 says only that it failed; the reason is to be found out [docS 1621]."""

SELF_FIELDS: Final = ("Role", "JoinTime", "MsgFlag")
SUBSCRIBER_FIELDS: Final = ("Role", "JoinTime", "MsgFlag")


def to_notifications(flag: str | None) -> Notifications:
    """Return the setting that a `MsgFlag` stands for; `ALL`, the default of the service, where a reply has none."""
    return NOTIFICATIONS.get(flag, Notifications.UNKNOWN) if flag else Notifications.ALL


def to_subscription(user: UserId, channel: Channel, info: members.Own | None) -> Subscription:
    """Return the subscription that a row of the joined list describes."""
    return Subscription(
        channel=channel,
        user=user,
        role=ROLES.get(info.role or "", Role.SUBSCRIBER) if info else Role.SUBSCRIBER,
        since=to_datetime(info.join_time) if info else None,
        notifications=to_notifications(info.msg_flag if info else None),
    )


def to_subscriber(member: members.Member) -> Subscriber:
    """Return the subscriber of one row of the member list."""
    return Subscriber(
        UserId(member.member_account),
        ROLES.get(member.role or "", Role.SUBSCRIBER),
        to_datetime(member.join_time),
        to_notifications(member.msg_flag),
    )
