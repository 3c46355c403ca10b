"""What people have not read, their conversation groups, and their marks."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime

from channel_adapter.backends.caller import ApiCaller, without_account
from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.history import History, SilentPosts
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.backends.community.members import Membership
from channel_adapter.concurrency.batching import ConcurrentMap, MapResult
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.paging import Page, Pages
from channel_adapter.domain.assignment import GroupAssignment
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.unread import ConversationGroup, Marks, Synced, Unread
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    RefusedError,
)
from channel_adapter.mapping import ids
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.mapping.ids import post_ref
from channel_adapter.services.bulk import TRANSIENT, Users, require_list
from channel_adapter.services.read_positions import ReadPositions
from channel_adapter.services.unread.assignment import ConversationGroupAssigner
from channel_adapter.services.unread_counts import Counting
from channel_adapter.services.unread_marks import Marking
from channel_adapter.services.unread_sync import Syncing
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import contact_groups as wire

ERRORS_OF_ONE_USER = (ConflictError, InvalidError, LimitReachedError, NotFoundError)
"""Errors that say nothing about the users that follow."""

FAILED_FOR_ONE_USER = (*ERRORS_OF_ONE_USER, *TRANSIENT, RefusedError)
"""Errors that end the work on one user of many and not the whole call."""


class Unreads:
    """Every method takes a channel by slug or by id. Someone the app does not know is a NotFoundError."""

    def __init__(
        self,
        gateway: ApiCaller,
        directory: ChannelCache,
        pages: JoinedPages,
        uncounted: SilentPosts,
        membership: Membership,
        assigner: ConversationGroupAssigner,
        history: History,
        clock: Clock,
        *,
        keep_by_hand: bool,
        concurrency: int,
    ) -> None:
        self._counting = Counting(gateway, pages, directory, membership, uncounted, concurrency=concurrency)
        self._positions = ReadPositions(
            gateway, membership, self._counting, uncounted, history, clock, concurrency=concurrency
        )
        self._syncing = Syncing(
            gateway, pages, directory, assigner.folders, name=assigner.name, keep_by_hand=keep_by_hand
        )
        self._marking = Marking(gateway, membership)
        self._folders = assigner.folders
        self._assigner = assigner
        self._uncounted = uncounted
        self._concurrency = concurrency

    async def of(self, user: str, *, exact: bool = False, explain: bool = False) -> Unread:
        """A person's channels with their counts, the badge over them, and the same sum for their other groups.

        Costs the pages of the joined-group list, and one call for 50 groups whose tag is not remembered. Where the
        service does not count by itself, recalled and quiet posts are left out as far as this process knows of them;
        with `exact` history is read behind each read position, 20 posts a call, for those of other processes and for
        system notices.
        `explain` adds the inputs of every count. Whoever owns a channel has it in the list too.
        """
        wanted = ids.user_id(user)
        with _account(wanted):
            return await self._counting.of(wanted, exact=exact, explain=explain)

    def of_many(
        self, users: Users, *, exact: bool = False, explain: bool = False, cursor: int = 0
    ) -> ConcurrentMap[str, Unread]:
        """The same for many people, in their order; `async for` over it.

        Somebody who cannot be counted comes with a `problem`. The iterator's `cursor` is where to resume another time.
        """

        async def count(user: str) -> MapResult[Unread]:
            try:
                return MapResult(await self.of(ids.user_id(user, "users"), exact=exact, explain=explain))
            except FAILED_FOR_ONE_USER as error:
                return MapResult(Unread(user=UserId(str(user)), problem=error.message), _counted_failure(error))

        return ConcurrentMap(require_list(users), count, start=_number(cursor), limit=self._concurrency)

    async def mark_read(
        self, user: str, channel: str, up_to: int | PostRef | datetime | None = None, *, exact: bool = False
    ) -> int:
        """Everything, or everything up to a post or a moment, is read; gives how many posts are left unread.

        `up_to` is the number of a post, its ref, or an aware datetime, for which history is searched, 20 posts a call.
        What is left is counted as `of` does, `exact` or not. Never makes read posts unread. Phones that are online hear
        nothing of it [doc 34909]. Raises InvalidError for a post that is not there yet and for the future,
        NotFoundError for who is not in the channel.
        """
        person, wanted = ids.user_id(user), ids.channel_id(channel)
        return await self._positions.mark(person, wanted, mapping.read_up_to(wanted, up_to), exact=exact)

    async def mark_all_read(self, user: str) -> tuple[ChannelId, ...]:
        """Everything in every channel is read; gives the channels where something was not.

        After a failure the others are marked all the same, and repeating marks the rest.
        """
        wanted = ids.user_id(user)
        with _account(wanted):
            return await self._positions.mark_all(wanted)

    def recalled(self, ref: PostRef) -> None:
        """Somebody else took this post back, as a webhook told: it does not count from here on."""
        self._uncounted.add(*post_ref(ref))

    def groups(self, user: str, *, cursor: int = 0) -> Pages[ConversationGroup, int]:
        """The person's conversation groups with what is in them, from number `cursor` on; 20 at most."""
        wanted = ids.user_id(user)
        most = limits.CONTACT_GROUPS_PER_USER
        if isinstance(cursor, bool) or not isinstance(cursor, int) or not 0 <= cursor <= most:
            raise InvalidError(f"cursor: {cursor!r} is not 0 to {most}", field="cursor", limit=most)

        async def fetch(start: int) -> Page[ConversationGroup, int]:
            with _account(wanted):
                return Page((await self._folders.read(wanted)).as_groups()[start:], None)

        return Pages(fetch, cursor)

    async def sync(self, user: str) -> Synced:
        """Make the person's group of channels hold exactly the channels they follow; says what it changed.

        Takes out channels that are gone, not followed or no longer channels; keeps what the person put there by hand,
        unless `unread.keep_by_hand` is off. A full group is told in `failed`. Running it again changes nothing.
        """
        wanted = ids.user_id(user)
        self._assigner.forget(wanted)
        with _account(wanted):
            return await self._syncing.sync(wanted)

    def sync_many(self, users: Users, *, cursor: int = 0) -> ConcurrentMap[str, Synced]:
        """`sync` for many people, in their order; `async for` over it.

        Its `cursor` says where to resume another time, with the same people. Somebody who cannot be synced comes with
        a `problem`; when five people in a row got no answer the error is raised.
        """

        async def sync(user: str) -> MapResult[Synced]:
            try:
                return MapResult(await self.sync(ids.user_id(user, "users")))
            except FAILED_FOR_ONE_USER as error:
                return MapResult(Synced(user=UserId(str(user)), problem=error.message), _counted_failure(error))

        return ConcurrentMap(require_list(users), sync, start=_number(cursor), limit=self._concurrency)

    async def assign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the person's group, 100 a call: what subscribing does by itself."""
        return await self._assigner.assign(ids.user_id(user), ids.channel_ids(channels))

    async def unassign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the person's group, 100 a call: what unsubscribing does, and a phone does not."""
        return await self._assigner.unassign(ids.user_id(user), ids.channel_ids(channels))

    async def unassign_left(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of a user's group that the user has left; what is followed again stays in it."""
        return await self._assigner.change(ids.user_id(user), ids.channel_ids(channels), subscribed=False)

    async def rename(self, user: str, new: str, *, old: str | None = None) -> bool:
        """Give a person's group another name, 32 bytes at most; False when it has been renamed already.

        `old` is the name in the settings if it is not given. The settings do not change: once they name another group,
        `rename` moves people from the old name to the new one. Raises NotFoundError without such a group,
        ConflictError when both are there.
        """
        wanted, new = ids.user_id(user), mapping.group_name(new, "new")
        old = self._assigner.name if old is None else mapping.group_name(old, "old")
        if old == new:
            return False
        self._assigner.forget(wanted)
        try:
            with _account(wanted):
                await self._folders.rename(wanted, old, new)
        except ChannelAdapterError as error:
            if error.code not in (codes.NO_SUCH_CONTACT_GROUP, codes.CONTACT_BAD_PARAMETER):
                raise
            with _account(wanted):
                filed = await self._folders.first_page(wanted)
            if not filed.has(new):
                if error.code != codes.NO_SUCH_CONTACT_GROUP:
                    raise
                message = f"{wanted!r} has no conversation group {old!r}"
                raise NotFoundError(message, field="old", origin=error.origin) from error
            if filed.has(old):
                message = f"{wanted!r} has a group {old!r} and a group {new!r}; remove one of them"
                raise ConflictError(message, field="new", origin=error.origin) from error
            return False
        return True

    async def remove(self, user: str, name: str | None = None) -> bool:
        """Delete a person's group, the one of channels if no `name` is given; its conversations stay. False: none."""
        wanted = ids.user_id(user)
        name = self._assigner.name if name is None else mapping.group_name(name)
        self._assigner.forget(wanted)
        with _account(wanted):
            return await self._folders.delete(wanted, name)

    async def star(self, user: str, channel: str, *, on: bool = True) -> None:
        """Mark a channel as important for a person, or no longer."""
        await self._mark(user, channel, {wire.BIT_STAR: on})

    async def hide(self, user: str, channel: str, *, on: bool = True) -> None:
        """Mark a channel as hidden from a person's list, or no longer."""
        await self._mark(user, channel, {wire.BIT_HIDE: on})

    async def fold(self, user: str, channel: str, *, on: bool = True) -> None:
        """Mark a channel as folded away in a person's list, or no longer."""
        await self._mark(user, channel, {wire.BIT_FOLD: on})

    async def note(self, user: str, channel: str, text: str) -> None:
        """Set a text of the app's own on a person's channel, 256 bytes; "" clears it."""
        await self._marking.set(ids.user_id(user), ids.channel_id(channel), {}, mapping.custom_mark(text))

    async def marks(self, user: str, channel: str) -> Marks:
        """The marks a person has on a channel."""
        return await self._marking.of(ids.user_id(user), ids.channel_id(channel))

    async def _mark(self, user: str, channel: str, bits: dict[int, bool]) -> None:
        await self._marking.set(ids.user_id(user), ids.channel_id(channel), bits)


def _number(cursor: object) -> int:
    if isinstance(cursor, bool) or not isinstance(cursor, int) or cursor < 0:
        raise InvalidError(f"cursor: {cursor!r} is no number of people", field="cursor")
    return cursor


def _counted_failure(error: ChannelAdapterError) -> ChannelAdapterError | None:
    """Return the error if enough of them in a row end the call."""
    return None if isinstance(error, ERRORS_OF_ONE_USER) else error


@contextmanager
def _account(user: UserId) -> Iterator[None]:
    """A refusal because the account is not known names it."""
    try:
        yield
    except NotFoundError as error:
        told = without_account(error, user, "user")
        raise told from (error if told is not error else error.__cause__)
