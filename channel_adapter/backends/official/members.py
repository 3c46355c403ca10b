"""Subscribers of official accounts, and the accounts that a user follows."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from channel_adapter.backends.caller import Caller
from channel_adapter.concurrency.paging import Page
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import UnavailableError
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.subscription_member import NOTIFICATIONS
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST, GET_SUBSCRIBER_INFO
from channel_adapter.tencent.wire import official_accounts as wire

_NAME: Final = wire.OfficialProfile.model_fields["name"].alias or ""


@dataclass(frozen=True, slots=True)
class AccountSubscriber:
    """One subscriber of an account; `custom_data` is the text of the subscription, up to 3,000 bytes."""

    user: UserId
    since: datetime | None
    notifications: Notifications
    custom_data: str


class OfficialMembers:
    """Subscribers of accounts."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def page(self, account: ChannelId, cursor: str) -> Page[AccountSubscriber, str]:
        """Return up to 200 subscribers; "" is the first page.

        Raises InvalidError for an expired cursor, and UnavailableError for an empty first page if the service counts
        subscribers.
        """
        request = wire.GetSubscriberInfoRequest(
            official_account=account, limit=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, next=cursor
        )
        reply = await self._caller.call(GET_SUBSCRIBER_INFO, request)
        if not cursor and not reply.subscriber_list and reply.subscriber_num:
            raise UnavailableError(
                f"{account} counts {reply.subscriber_num} subscribers and lists none", field="subscribers"
            )
        following = reply.next if reply.next and reply.next != cursor and reply.subscriber_list else None
        return Page([_to_subscriber(item) for item in reply.subscriber_list], following)

    async def followed(self, user: UserId) -> AsyncGenerator[ChannelId, None]:
        """Yield the ids of the accounts that a user follows. Raises InvalidError for an unknown user."""
        offset: int | None = 0
        while offset is not None:
            request = wire.GetSubscribedOfficialAccountListRequest(
                subscriber_account=user, limit=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE, offset=offset,
                response_filter=wire.SubscribedResponseFilter(
                    official_account_base_info_filter=[_NAME], self_info_filter=[]
                ),
            )  # fmt: skip
            reply = await self._caller.call(GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST, request)
            for item in reply.official_account_info_list:
                if item.official_account:
                    yield ChannelId(item.official_account)
            more = not reply.complete_flag and reply.official_account_info_list
            offset = reply.next if more and reply.next is not None and reply.next > offset else None


def _to_subscriber(item: wire.SubscriberRow) -> AccountSubscriber:
    return AccountSubscriber(
        user=UserId(item.subscriber_account),
        since=to_datetime(item.subscribe_time),
        notifications=NOTIFICATIONS.get(item.msg_flag or "", Notifications.ALL),
        custom_data=item.custom_string or "",
    )
