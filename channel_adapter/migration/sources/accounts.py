"""Official accounts as a source: profiles 50 a call, posts 20 a page from the newest down, subscribers 200 a page."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import NotFoundError, UnavailableError
from channel_adapter.mapping.subscription_member import NOTIFICATIONS
from channel_adapter.migration.plan import SourceKind, SourceSpec
from channel_adapter.migration.records import (
    BrokenRecord,
    SourceChannel,
    SourcePost,
    SourceState,
    SourceSubscriber,
    SubscriberPage,
)
from channel_adapter.migration.sources.source import FIRST_PAGE
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.batching import batches, concurrently
from channel_adapter.tencent.catalog import (
    GET_OFFICIAL_ACCOUNT_INFO,
    GET_SUBSCRIBER_INFO,
    OFFICIAL_ACCOUNT_MSG_GET_SIMPLE,
)
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire import official_accounts as wire
from channel_adapter.tencent.wire.msg_body import Element

PAGES_KEPT: Final = 32
"""Pages of history that are kept while going down, so that coming up again costs no further calls for them."""

GONE: Final = frozenset({codes.NO_SUCH_OFFICIAL_ACCOUNT, codes.BAD_OFFICIAL_ACCOUNT_ID})

STATES: Final = {
    messages.PLACE_NORMAL: SourceState.PUBLISHED,
    messages.PLACE_GONE: SourceState.EXPIRED,
    messages.PLACE_RECALLED: SourceState.RECALLED,
}


@dataclass(frozen=True, slots=True)
class _Page:
    """Messages of one call, newest first, and the key that it was asked with; None for the newest page."""

    asked: str | None
    messages: tuple[wire.OfficialHistoryMessage, ...]


class AccountsSource:
    """Official accounts of the app, by their ids."""

    def __init__(
        self,
        gateway: Gateway,
        accounts: Sequence[str],
        *,
        concurrency: int,
        searched: bool = False,
        broken: Sequence[BrokenRecord] = (),
    ) -> None:
        """`searched`: the ids were not named one by one; `broken` are the lines of the search that gave none."""
        self._gateway = gateway
        self._accounts = list(dict.fromkeys(accounts))
        self._concurrency = concurrency
        self._searched = searched
        self._broken = tuple(broken)

    @property
    def spec(self) -> SourceSpec:
        return SourceSpec(kind=SourceKind.ACCOUNTS, accounts=tuple(self._accounts), searched=self._searched)

    async def channels(self) -> AsyncIterator[SourceChannel]:
        """In the order of the ids. Raises NotFoundError naming every account that does not exist."""
        parts = batches(self._accounts, limits.OFFICIAL_INFO_PER_CALL)
        gone: list[str] = []
        async with aclosing(concurrently(parts, self._profiles, limit=self._concurrency, ordered=True)) as answers:
            async for found in answers:
                for account, profile in found.items():
                    if profile is None:
                        gone.append(account)
                    elif not gone:
                        yield profile
        if gone:
            raise NotFoundError(
                f"{len(gone)} of {len(self._accounts)} official accounts do not exist, or not any more:"
                f" {', '.join(gone[:10])}{' …' if len(gone) > 10 else ''}",
                field="accounts", size=len(gone),
            )  # fmt: skip

    async def _profiles(self, accounts: Sequence[str]) -> dict[str, SourceChannel | None]:
        items = [wire.OfficialAccountItem(official_account=account) for account in accounts]
        request = wire.GetOfficialAccountInfoRequest(official_account_id_list=items)
        found = (await self._gateway.call(GET_OFFICIAL_ACCOUNT_INFO, request)).official_account_info_list
        if len(found) != len(accounts):
            raise UnavailableError(
                f"asked for {len(accounts)} official accounts and got {len(found)}", field="accounts"
            )
        named = {item.official_account: item for item in found if item.official_account}
        by_place = dict(zip(accounts, found, strict=True))
        return {account: self._profile(account, named.get(account, by_place[account])) for account in accounts}

    def _profile(self, account: str, item: wire.OfficialAccountInfo) -> SourceChannel | None:
        if item.error_code in GONE:
            return None
        if item.error_code != codes.OK:
            raise self._gateway.item_error(GET_OFFICIAL_ACCOUNT_INFO, item.error_code, item.error_info)
        return SourceChannel(
            id=account,
            owner=item.owner_account or "",
            name=item.name or "",
            introduction=item.introduction or "",
            avatar=item.face_url or "",
            organization=item.organization or "",
            custom_data=item.custom_string or "",
            created_at=item.create_time or 0,
            last_post_at=item.last_msg_time or 0,
            subscriber_count=item.subscriber_num or 0,
            max_subscribers=item.max_subscriber_num,
        )

    async def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Oldest first: goes down to find the pages, and up again page by page.

        Of a long history only the keys of the pages are kept, and the oldest pages whole; the others are read twice.
        What is posted meanwhile may be given or not.
        """
        lowest = sequence_of(after)
        trail: list[str | None] = []
        kept: dict[str | None, _Page] = {}
        async with aclosing(self._downwards(channel, lowest)) as pages:
            async for page in pages:
                trail.append(page.asked)
                kept[page.asked] = page
                if len(kept) > PAGES_KEPT:
                    del kept[trail[-PAGES_KEPT - 1]]
        done = lowest
        for asked in reversed(trail):
            known = kept.pop(asked, None)
            again = [known] if known else await self._window(channel, asked, done)
            for message in sorted((each for one in again for each in one.messages), key=lambda each: each.msg_seq):
                if message.msg_seq > done:
                    done = message.msg_seq
                    yield _post(channel, message)

    async def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """Newest first, each page read once."""
        async with aclosing(self._downwards(channel, 0)) as pages:
            async for page in pages:
                for message in page.messages:
                    yield _post(channel, message)

    async def _window(self, channel: str, asked: str | None, done: int) -> list[_Page]:
        """A page again; above the newest one of before there may be more now, so go down from the top to `done`."""
        if asked is not None:
            return [await self._page(channel, asked)]
        async with aclosing(self._downwards(channel, done)) as pages:
            return [page async for page in pages]

    async def _downwards(self, channel: str, above: int) -> AsyncGenerator[_Page, None]:
        """Pages from the newest message down to the first one above `above`, each message once."""
        asked: str | None = None
        lowest: int | None = None
        while True:
            reply = await self._read(channel, asked)
            fresh = [each for each in reply.rsp_msg_list if (lowest is None or each.msg_seq < lowest)]
            fresh.sort(key=lambda each: -each.msg_seq)
            wanted = tuple(each for each in fresh if each.msg_seq > above)
            if wanted:
                yield _Page(asked, wanted)
            if len(wanted) < len(fresh) or not fresh or reply.is_finished == wire.RANGE_EXPIRED:
                return
            lowest = fresh[-1].msg_seq
            following = reply.last_msg_key or fresh[-1].msg_key
            if following == asked:
                return
            asked = following

    async def _page(self, channel: str, asked: str) -> _Page:
        reply = await self._read(channel, asked)
        return _Page(asked, tuple(reply.rsp_msg_list))

    async def _read(self, channel: str, asked: str | None) -> wire.OfficialAccountMsgGetSimpleReply:
        request = wire.OfficialAccountMsgGetSimpleRequest(
            official_account=channel,
            last_msg_key=asked,
            req_msg_number=limits.OFFICIAL_HISTORY_PER_CALL,
            with_recalled_msg=1,
        )
        return await self._gateway.call(OFFICIAL_ACCOUNT_MSG_GET_SIMPLE, request)

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """200 people. Raises UnavailableError for a first page without anybody where the service counts some."""
        request = wire.GetSubscriberInfoRequest(
            official_account=channel, limit=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, next=cursor
        )
        reply = await self._gateway.call(GET_SUBSCRIBER_INFO, request)
        if not cursor and not reply.subscriber_list and reply.subscriber_num:
            raise UnavailableError(
                f"{channel} counts {reply.subscriber_num} subscribers and lists nobody", field="subscribers"
            )
        following = reply.next if reply.next and reply.next != cursor and reply.subscriber_list else None
        return SubscriberPage(tuple(map(_subscriber, reply.subscriber_list)), following)

    async def broken(self) -> AsyncIterator[BrokenRecord]:
        """Lines of the search for accounts; the service has none."""
        for record in self._broken:
            yield record

    async def aclose(self) -> None:
        """There is nothing to let go of."""


def sequence_of(key: str) -> int:
    """The number in a key `{number}_1_{seconds}` [doc 60812]; 0 for no key."""
    number = key.partition("_")[0]
    return int(number) if number.isdecimal() else 0


def _post(channel: str, message: wire.OfficialHistoryMessage) -> SourcePost:
    """A body that no service would take is none: the post is left behind, and told.

    Whether the history mixes in what people wrote to the account is unknown; if it does, that is nobody's post.
    """
    state = STATES.get(message.is_place_msg, SourceState.EXPIRED)
    if message.from_account not in ("", channel):
        state = SourceState.FOREIGN
    whole = all(isinstance(each.msg_content, dict) for each in message.msg_body)
    body = tuple(
        Element.model_construct(msg_type=each.msg_type, msg_content=each.msg_content)
        for each in message.msg_body
        if whole
    )
    return SourcePost(
        key=message.msg_key,
        number=message.msg_seq,
        time=message.msg_time_stamp,
        body=body if state is SourceState.PUBLISHED else (),
        state=state,
    )


def _subscriber(item: wire.Subscriber) -> SourceSubscriber:
    return SourceSubscriber(
        user=item.subscriber_account,
        since=item.subscribe_time or None,
        notifications=NOTIFICATIONS.get(item.msg_flag or "", Notifications.ALL),
        custom_data=item.custom_string or "",
    )
