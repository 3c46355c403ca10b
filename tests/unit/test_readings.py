"""Conversion of members and messages of the service: each value has its meaning, unknown values a safe one."""

import pytest

from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostState, Text
from channel_adapter.domain.subscription import Notifications, OutcomeKind, Role
from channel_adapter.mapping.content import is_post, to_post
from channel_adapter.mapping.subscription_member import ADD_OUTCOMES, to_subscriber, to_subscription
from channel_adapter.tencent.wire import members, messages

CHANNEL = ChannelId("@TGS#_news")


def message(**values: object) -> messages.HistoryMessage:
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]
    return messages.HistoryMessage.model_validate({"MsgSeq": 3, "MsgBody": body, **values})


@pytest.mark.parametrize(
    ("place", "state"),
    [(0, PostState.PUBLISHED), (1, PostState.EXPIRED), (2, PostState.RECALLED), (9, PostState.EXPIRED)],
)
def test_post_state_follows_place_flag(place: int, state: PostState) -> None:
    post = to_post(CHANNEL, message(IsPlaceMsg=place))
    assert post.state is state
    assert post.parts == ((Text("x"),) if state is PostState.PUBLISHED else ())


@pytest.mark.parametrize(("values", "post"), [({}, True), ({"IsSystemMsg": 0}, True), ({"IsSystemMsg": 1}, False)])
def test_system_messages_are_not_posts(values: dict[str, int], post: bool) -> None:
    assert is_post(message(**values)) is post


FLAGS = [
    ("AcceptAndNotify", Notifications.ALL),
    ("AcceptNotNotify", Notifications.MUTED),
    ("AcceptNotNotifyExceptAt", Notifications.MENTIONS),
    ("Discard", Notifications.OFF),
    ("SomethingNew", Notifications.UNKNOWN),
    ("", Notifications.ALL),
]
ROLES = [("Owner", Role.OWNER), ("Admin", Role.ADMIN), ("Member", Role.SUBSCRIBER), ("SomethingNew", Role.SUBSCRIBER)]


@pytest.mark.parametrize(("flag", "notifications"), FLAGS)
@pytest.mark.parametrize(("told", "role"), ROLES)
def test_member_is_converted_to_subscriber_and_subscription(
    flag: str, notifications: Notifications, told: str, role: Role
) -> None:
    row = to_subscriber(
        members.Member.model_validate({"Member_Account": "ann", "Role": told, "MsgFlag": flag, "JoinTime": 5})
    )
    assert (row.user, row.role, row.notifications) == ("ann", role, notifications)
    info = members.SelfInfo.model_validate({"Role": told, "MsgFlag": flag, "JoinTime": 5})
    mine = to_subscription(UserId("ann"), a_channel(), info)
    assert (mine.role, mine.notifications, mine.since) == (role, notifications, row.since)


def test_row_without_details_has_default_values() -> None:
    mine = to_subscription(UserId("ann"), a_channel(), None)
    assert (mine.role, mine.since, mine.notifications) == (Role.SUBSCRIBER, None, Notifications.ALL)


def test_results_of_adding_members_have_their_outcomes() -> None:
    assert ADD_OUTCOMES == {
        1: OutcomeKind.ADDED,
        2: OutcomeKind.ALREADY,
        3: OutcomeKind.PENDING,
        4: OutcomeKind.TOO_MANY_CHANNELS,
    }


def a_channel() -> Channel:
    return Channel(
        id=CHANNEL, slug="news", name="News", owner=None, introduction="", notification="", avatar="", organization="",
        custom_data="", subscriber_count=0, max_subscribers=None, created_at=None, last_post_at=None, complete=True,
    )  # fmt: skip
