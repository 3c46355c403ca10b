"""Profiles of official accounts: read, delete."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from channel_adapter.backends.caller import Caller, item_error
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import NotFoundError, UnavailableError
from channel_adapter.mapping.content import to_datetime
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import DESTROY_OFFICIAL_ACCOUNT, GET_OFFICIAL_ACCOUNT_INFO
from channel_adapter.tencent.wire import official_accounts as wire

NOT_FOUND_CODES: Final = frozenset({codes.NO_SUCH_OFFICIAL_ACCOUNT, codes.BAD_OFFICIAL_ACCOUNT_ID})


class OfficialChannels:
    """Accounts of the app."""

    def __init__(self, caller: Caller, concurrency: int) -> None:
        self._caller = caller
        self._concurrency = concurrency

    async def read(self, accounts: Sequence[ChannelId]) -> AsyncGenerator[tuple[ChannelId, Channel | None], None]:
        """Yield accounts as they are now, in the order of their ids, 50 a call; None for one that does not exist.

        Raises UnavailableError for a reply that leaves accounts out.
        """
        parts = batches(accounts, limits.OFFICIAL_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._read, limit=self._concurrency, ordered=True)) as replies:
            async for channels in replies:
                for account, channel in channels.items():
                    yield account, channel

    async def delete(self, account: ChannelId) -> bool:
        """Destroy an account; return False if it did not exist."""
        try:
            await self._caller.call(
                DESTROY_OFFICIAL_ACCOUNT, wire.DestroyOfficialAccountRequest(official_account=account)
            )
        except NotFoundError:
            return False
        return True

    async def _read(self, accounts: Sequence[ChannelId]) -> dict[ChannelId, Channel | None]:
        items = [wire.OfficialAccountItem(official_account=account) for account in accounts]
        request = wire.GetOfficialAccountInfoRequest(official_account_id_list=items)
        found = (await self._caller.call(GET_OFFICIAL_ACCOUNT_INFO, request)).official_account_info_list
        if len(found) != len(accounts):
            raise UnavailableError(
                f"asked for {len(accounts)} official accounts and got {len(found)}", field="accounts"
            )
        named = {item.official_account: item for item in found if item.official_account}
        by_index = dict(zip(accounts, found, strict=True))
        return {account: _to_channel(account, named.get(account, by_index[account])) for account in accounts}


def _to_channel(account: ChannelId, item: wire.OfficialAccountInfo) -> Channel | None:
    if item.error_code in NOT_FOUND_CODES:
        return None
    if item.error_code != codes.OK:
        raise item_error(GET_OFFICIAL_ACCOUNT_INFO, item.error_code, item.error_info)
    return Channel(
        id=account,
        slug=account.removeprefix(limits.OFFICIAL_ACCOUNT_ID_PREFIX),
        owner=UserId(item.owner_account) if item.owner_account else None,
        name=item.name or "",
        introduction=item.introduction or "",
        avatar=item.face_url or "",
        organization=item.organization or "",
        custom_data=item.custom_string or "",
        subscriber_count=item.subscriber_num or 0,
        max_subscribers=item.max_subscriber_num,
        created_at=to_datetime(item.create_time),
        last_post_at=to_datetime(item.last_msg_time),
    )
