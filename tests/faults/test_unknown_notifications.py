"""A `MsgFlag` that no document lists is a value of its own: it is read, and cannot be set."""

from typing import Any

import pytest

from channel_adapter import InvalidError, Notifications, Text
from channel_adapter.stub.faults.faults import Fault
from tests.faults.test_adapter_trouble import USERS, channel_on, opened
from tests.faults.test_broadcasts import TIDES
from tests.faults.test_broadcasts import opened as official
from tests.faults.test_broadcasts import stub as official_stub

NEW_FLAG = "AcceptOnTuesdays"
USER = USERS[0]
ROW: dict[str, Any] = {"Member_Account": USER, "Role": "Member", "JoinTime": 5, "MsgFlag": NEW_FLAG, "MsgSeq": 0}


async def test_unknown_setting_of_a_member_is_shown_and_leaves_the_badge() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, [USER])
        await adapter.posts.publish(channel, Text("Tides"))
        assert (await adapter.unread.get(USER)).badge == 1
        own = {key: value for key, value in ROW.items() if key != "Member_Account"}
        group = {"GroupId": channel, "Type": "Community", "Name": "Tides", "NextMsgSeq": 2, "SelfInfo": own}
        server.faults.replace(
            [
                Fault(command="get_specified_group_member_info", extra={"MemberList": [ROW]}),
                Fault(command="get_group_member_info", extra={"MemberList": [ROW]}),
                Fault(command="get_joined_group_list", extra={"GroupIdList": [group]}),
            ]
        )
        assert await adapter.subscriptions.notifications(channel, user=USER) is Notifications.UNKNOWN
        listed = {str(row.user): row.notifications async for row in adapter.subscriptions.subscribers(channel)}
        assert listed[USER] is Notifications.UNKNOWN
        assert [each.notifications async for each in adapter.channels.subscribed(USER)] == [Notifications.UNKNOWN]
        unread = await adapter.unread.get(USER)
        assert {(each.notifications, each.muted) for each in unread.channels} == {(Notifications.UNKNOWN, True)}
        assert unread.badge == 0


async def test_unknown_setting_of_a_subscriber_of_an_official_account_is_shown() -> None:
    async with official_stub() as server, official(server) as adapter:
        row = {"Subscriber_Account": "reader_1", "SubscribeTime": 5, "CustomString": "", "MsgFlag": NEW_FLAG}
        server.faults.replace(
            [Fault(command="get_subscriber_info", extra={"SubscriberList": [row], "SubscriberNum": 1, "Next": ""})]
        )
        (subscriber,) = [each async for each in adapter.subscriptions.subscribers(TIDES)]
        assert subscriber.notifications is Notifications.UNKNOWN


@pytest.mark.parametrize("value", [Notifications.UNKNOWN, "unknown"])
async def test_unknown_setting_cannot_be_set(value: Any) -> None:
    async with opened() as (adapter, server):
        before = len(list(server.log.calls()))
        with pytest.raises(
            InvalidError, match="notifications must be one of all, muted, off, mentions; got "
        ) as refused:
            await adapter.subscriptions.set_notifications("news", value, user=USER)
        assert refused.value.field == "notifications"
        assert len(list(server.log.calls())) == before
