"""Unread counts of users, their conversation groups, and their marks."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from datetime import datetime

from channel_adapter.backends.protocols import GroupingBackend, UnreadBackend
from channel_adapter.concurrency.batching import ConcurrentMap, MapResult
from channel_adapter.concurrency.paging import Page, Pages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.subscription import GroupAssignment
from channel_adapter.domain.unread import ConversationGroup, MarkChange, Marks, Synced, Unread
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    RefusedError,
)
from channel_adapter.mapping import ids
from channel_adapter.mapping.ids import IdScheme, post_in
from channel_adapter.mapping.text import require_text
from channel_adapter.mapping.times import to_utc
from channel_adapter.quoting import shown_value
from channel_adapter.services.bulk import TRANSIENT, Users, require_list
from channel_adapter.services.unread.assignment import ConversationGroupAssigner

ERRORS_OF_ONE_USER = (ConflictError, InvalidError, LimitReachedError, NotFoundError)
"""Errors that do not concern the users that follow."""

FAILED_FOR_ONE_USER = (*ERRORS_OF_ONE_USER, *TRANSIENT, RefusedError)
"""Errors that end the work on one user of many and not the whole call."""


class UnreadService:
    """Unread counts, conversation groups and marks of users.

    Every method accepts a channel by slug or by id. An account that the app does not have raises NotFoundError where
    a method has no result that says so.
    """

    def __init__(
        self,
        unread: UnreadBackend,
        groups: GroupingBackend,
        scheme: IdScheme,
        assigner: ConversationGroupAssigner,
        *,
        keep_by_hand: bool,
        concurrency: int,
    ) -> None:
        self._unread = unread
        self._groups = groups
        self._ids = scheme
        self._assigner = assigner
        self._keep_by_hand = keep_by_hand
        self._concurrency = concurrency

    async def get(self, user: str, *, exact: bool = False, explain: bool = False) -> Unread:
        """Return a user's channels with their counts, the badge over them, and the sum over the user's other groups.

        Costs the pages of the joined-group list, 200 groups a call, and one call for 50 groups whose tag is not cached.
        Where the service does not count by itself, recalled and silent posts are left out as far as this process has
        seen them: the newest 1,000 of each channel. With `exact`, history is read after each read position, 20 posts a
        call and at most the newest 1,000, for those of other processes and for system notices. `explain` adds the
        inputs of every count. A channel that the user owns is in the list too. Raises NotFoundError for an unknown
        account.
        """
        return await self._unread.count(ids.user_id(user), exact=exact, explain=explain)

    def get_many(
        self, users: Users, *, exact: bool = False, explain: bool = False, cursor: int = 0
    ) -> ConcurrentMap[str, Unread]:
        """Return an async iterator over the counts of many users, one result for each in their order.

        A user who cannot be counted has an `error` in the result. The iterator's `cursor` is where to resume later.
        After five consecutive users for whom the service failed, the error is raised. `exact` and `explain` as in
        `get`. Raises InvalidError for a cursor that is not a number of users.
        """

        async def count(user: str) -> MapResult[Unread]:
            try:
                return MapResult(await self.get(ids.user_id(user, "users"), exact=exact, explain=explain))
            except FAILED_FOR_ONE_USER as error:
                return MapResult(Unread(user=UserId(str(user)), error=error.message), _counted_failure(error))

        return ConcurrentMap(require_list(users), count, start=_require_cursor(cursor), limit=self._concurrency)

    async def mark_read(
        self, channel: str, up_to: int | PostRef | datetime | None = None, *, user: str, exact: bool = False
    ) -> int:
        """Mark posts of a channel as read for a user, and return how many are left unread.

        `up_to` is the number of a post, its ref, or an aware datetime, for which history is searched, 20 posts a call;
        None marks all. What is left is counted as in `get`, `exact` or not. Never makes read posts unread. Client apps
        that are online are not notified. Raises InvalidError for a post that does not exist yet and for a time in the
        future, NotFoundError for a user who is not in the channel.
        """
        reader, wanted = ids.user_id(user), self._ids.channel(channel)
        return await self._unread.mark_read(reader, wanted, read_up_to(self._ids, wanted, up_to), exact=exact)

    async def mark_all_read(self, user: str) -> tuple[ChannelId, ...]:
        """Mark every post in every channel as read for a user, and return the channels in which one was not.

        After a failure the other channels are marked all the same, then the error is raised; repeating marks the rest.
        """
        return await self._unread.mark_all_read(ids.user_id(user))

    async def catch_up(self, user: str, posts: Sequence[PostRef]) -> tuple[ChannelId, ...]:
        """Mark posts up to these as read where the service has an earlier position; return the channels of these.

        For a webhook that reports how far a user has read in every channel at once.
        """
        reader, refs = ids.user_id(user), {ref.channel: ref for ref in self._ids.posts(posts, "posts").values()}
        current = await self._unread.count(reader, exact=False, explain=True)
        moved = []
        for each in current.channels:
            ref, read = refs.get(each.channel), each.explanation.read_up_to if each.explanation else None
            if ref is not None and read is not None and read < ref.seq:
                await self._unread.mark_read(reader, each.channel, ref, exact=False)
                moved.append(each.channel)
        return tuple(moved)

    def groups(self, user: str, *, cursor: int = 0) -> Pages[ConversationGroup, int]:
        """Return an async iterator over a user's conversation groups with what is in them, from number `cursor` on.

        A user has 20 groups at most. Raises InvalidError for another cursor.
        """
        wanted, limit = ids.user_id(user), self._groups.max_groups
        if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor <= limit:
            raise InvalidError(
                f"cursor must be an integer from 0 to {limit}; got {shown_value(cursor)}", field="cursor", limit=limit
            )

        async def fetch(start: int) -> Page[ConversationGroup, int]:
            return Page((await self._groups.read(wanted))[start:], None)

        return Pages(fetch, cursor)

    async def sync(self, user: str) -> Synced:
        """Make the user's group of channels hold exactly the channels that the user follows; return what changed.

        Takes out channels that do not exist, are not followed or are no longer channels; keeps what the user put there
        by hand, unless `unread.keep_by_hand` is off. Channels for which a group is full are in `failed`. Running it
        again changes nothing.
        """
        return await self._groups.sync(ids.user_id(user), self._assigner.name, keep_by_hand=self._keep_by_hand)

    async def sync_many(self, users: Users) -> tuple[Synced, ...]:
        """Run `sync` for many users, and return one result for each in their order.

        A user who cannot be synced has an `error` in the result; after five consecutive users for whom the service
        failed, the error is raised: `sync_many_stream` can be resumed after it.
        """
        async with aclosing(self.sync_many_stream(users)) as results:
            return tuple([synced async for synced in results])

    def sync_many_stream(self, users: Users, *, cursor: int = 0) -> ConcurrentMap[str, Synced]:
        """Run `sync` as `sync_many` does, and return an async iterator over the results, for any number of users.

        The iterator's `cursor` is where to resume later with the same users. Raises InvalidError for a cursor that is
        not a number of users.
        """

        async def sync(user: str) -> MapResult[Synced]:
            try:
                return MapResult(await self.sync(ids.user_id(user, "users")))
            except FAILED_FOR_ONE_USER as error:
                return MapResult(Synced(user=UserId(str(user)), error=error.message), _counted_failure(error))

        return ConcurrentMap(require_list(users), sync, start=_require_cursor(cursor), limit=self._concurrency)

    async def assign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the user's group, 100 a call; subscribing does it by itself.

        Every failure is a result, also that of an account that the app does not have.
        """
        return await self._assigner.assign(ids.user_id(user), self._ids.channels(channels))

    async def unassign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the user's group, 100 a call; unsubscribing does it by itself, a client app does not.

        Every failure is a result; an account that the app does not have has no channel in a group.
        """
        return await self._assigner.unassign(ids.user_id(user), self._ids.channels(channels))

    async def unassign_left(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels that the user has left out of the user's group; what is followed again stays in it."""
        return await self._assigner.change(ids.user_id(user), self._ids.channels(channels), subscribed=False)

    async def rename(self, user: str, new: str, *, old: str | None = None) -> bool:
        """Rename a user's group, to 32 bytes at most; return False if it has been renamed already.

        `old` is the name in the settings if it is not given. The settings do not change: once they name another group,
        `rename` moves users from the old name to the new one. Raises NotFoundError without such a group,
        ConflictError if there is a group of each name, InvalidError for a name that is empty or too long.
        """
        return await self._groups.rename(ids.user_id(user), self._assigner.name if old is None else old, new)

    async def remove(self, user: str, name: str | None = None) -> bool:
        """Delete a user's group, that of channels if no `name` is given; return False if there is none.

        The conversations in it stay. Raises InvalidError for a name that is empty or over 32 bytes.
        """
        return await self._groups.delete(ids.user_id(user), self._assigner.name if name is None else name)

    async def star(self, channel: str, *, user: str, on: bool = True) -> None:
        """Mark a channel as important for a user, or remove the mark. Raises NotFoundError if the user is not in it."""
        await self._change_marks(channel, user, MarkChange(starred=on))

    async def hide(self, channel: str, *, user: str, on: bool = True) -> None:
        """Hide a channel in a user's list, or show it again. Raises NotFoundError if the user is not in it."""
        await self._change_marks(channel, user, MarkChange(hidden=on))

    async def fold(self, channel: str, *, user: str, on: bool = True) -> None:
        """Fold a channel away in a user's list, or unfold it. Raises NotFoundError if the user is not in it."""
        await self._change_marks(channel, user, MarkChange(folded=on))

    async def note(self, channel: str, text: str, *, user: str) -> None:
        """Set a text of the app's own on a user's channel, 256 bytes at most; "" clears it.

        Raises InvalidError for a longer text, NotFoundError if the user is not in the channel.
        """
        await self._change_marks(channel, user, MarkChange(text=require_text(text, "text")))

    async def marks(self, channel: str, *, user: str) -> Marks:
        """Return the marks that a user has on a channel. Raises NotFoundError if the user is not in it."""
        return await self._groups.marks(ids.user_id(user), self._ids.channel(channel))

    async def _change_marks(self, channel: str, user: str, change: MarkChange) -> None:
        await self._groups.mark(ids.user_id(user), self._ids.channel(channel), change)


def read_up_to(scheme: IdScheme, channel: ChannelId, up_to: object) -> PostRef | datetime | None:
    """Return how far posts were read: a post of this channel, a time, or None. Raises InvalidError."""
    if up_to is None:
        return None
    if isinstance(up_to, datetime):
        return to_utc(up_to, "up_to")
    return post_in(scheme, channel, up_to, "up_to")


def _require_cursor(cursor: object) -> int:
    if isinstance(cursor, bool) or not isinstance(cursor, int) or cursor < 0:
        raise InvalidError(f"cursor must be a number of users, 0 or more; got {shown_value(cursor)}", field="cursor")
    return cursor


def _counted_failure(error: ChannelAdapterError) -> ChannelAdapterError | None:
    """Return the error if enough consecutive ones end the call."""
    return None if isinstance(error, ERRORS_OF_ONE_USER) else error
