"""Move subscribers page by page in concurrent calls, with their true times; in a delta, remove those who have left.

A user is recorded as soon as nothing is left to do, and a page that is read again moves only the others: a kill costs
the calls that were not recorded yet, not the pages in progress.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Self, TypeVar

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.community.importing import MemberState
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import ChannelAdapterError, ConflictError, InvalidError
from channel_adapter.migration.budget import TRANSIENT, BudgetExhausted
from channel_adapter.migration.plan import transform
from channel_adapter.migration.run.work import (
    IMPORTING_SUBSCRIBERS,
    NOTIFICATIONS,
    SUBSCRIBER,
    ChannelWork,
    raw_subscriber,
    retry_command,
)
from channel_adapter.migration.sources.source import FIRST_PAGE, SourceSubscriber, SubscriberPage, subscriber_guard
from channel_adapter.store.migration import ALREADY, GONE, MOVED, REFUSED, SENT, UserRow
from channel_adapter.tencent import codes
from channel_adapter.tencent.wire import members

T = TypeVar("T")

CONCURRENT_PAGES: Final = 6
"""Pages that a process moves at the same time; a kill costs reading them again."""
THERE: Final = frozenset({members.RESULT_ADDED, members.RESULT_ALREADY})
REASONS: Final = {
    members.RESULT_PENDING: "the target requires an approval first",
    members.RESULT_TOO_MANY_GROUPS: "the user is in as many groups as the app's plan allows",
}


async def move_subscribers(work: ChannelWork) -> None:
    """Move all subscribers of the source. Raises ConflictError for a source that has become empty."""
    row = work.row
    if row.subscribers_round != work.round:
        row.subscribers_round, row.cursor = work.round, FIRST_PAGE
    await work.note(IMPORTING_SUBSCRIBERS)
    if row.subscribers_done != work.round:
        await _move_all(work)
        row.subscribers_done = work.round
        await work.note()
        await work.journal.flush()
    if not work.first:
        await _remove_missing(work)
        await work.journal.flush()
    work.failpoint("subscribers.noted")


async def _move_all(work: ChannelWork) -> None:
    row = work.row
    try:
        await _move_pages(work)
    except InvalidError:
        if row.cursor == FIRST_PAGE:
            raise
        row.cursor = FIRST_PAGE  # it has expired: users that were moved before are recorded, and skipped
        work.quarantined = True
        await work.journal.flush()
        await _move_pages(work)


async def _move_pages(work: ChannelWork) -> None:
    importer = SubscriberImporter(work)
    with PageSlots(work.pages) as slots:

        async def move(page: SubscriberPage) -> str | None:
            cursor = await importer.move(page)
            slots.release()
            return cursor

        async with aclosing(
            concurrently(_read_pages(work, slots), move, limit=CONCURRENT_PAGES, ordered=True)
        ) as cursors:
            async for cursor in cursors:
                if cursor is not None:
                    work.row.cursor = cursor
                await work.note()


async def _read_pages(work: ChannelWork, slots: "PageSlots") -> AsyncGenerator[SubscriberPage, None]:
    cursor: str | None = work.row.cursor
    guard = subscriber_guard()
    while cursor is not None:
        await slots.acquire()
        page = await work.source.subscribers(work.id, cursor)
        yield page
        cursor = None if page.next is None else guard.advance(cursor, page.next)


class PageSlots:
    """The slots of one channel among the pages that a process moves at the same time; all are released at the end."""

    def __init__(self, pages: asyncio.Semaphore) -> None:
        self._pages = pages
        self._acquired = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._acquired:
            self.release()

    async def acquire(self) -> None:
        """Wait for one more slot."""
        await self._pages.acquire()
        self._acquired += 1

    def release(self) -> None:
        """Release one slot."""
        self._acquired -= 1
        self._pages.release()


class SubscriberImporter:
    """Import subscribers into the target."""

    def __init__(self, work: ChannelWork) -> None:
        self._work = work
        self._slots = asyncio.Semaphore(work.context.settings.concurrency)

    async def move(self, page: SubscriberPage) -> str | None:
        """Move a page of the source; return the cursor of the next one. Users moved in this round are skipped."""
        work = self._work
        subscribers = [subscriber for subscriber in page.subscribers if subscriber.user != work.planned.target.owner]
        if not subscribers:
            return page.next
        known = await work.journal.store.users(
            work.plan.migration, work.id, [subscriber.user for subscriber in subscribers]
        )
        missing: list[SourceSubscriber] = []
        there: list[SourceSubscriber] = []
        for subscriber in subscribers:
            row = known.get(subscriber.user)
            if row is None or row.status in (GONE, REFUSED, SENT):
                missing.append(subscriber)
            else:
                there.append(subscriber)
        await self._import_allowed(missing, known)
        await self._update_notifications(
            [subscriber for subscriber in there if self._has_changed_notifications(subscriber, known[subscriber.user])],
            known,
        )
        await work.journal.note([self._user_row(subscriber, known[subscriber.user].status) for subscriber in there])
        return page.next

    async def retry(self, subscribers: Sequence[SourceSubscriber]) -> set[str]:
        """Try again to move users that were refused; return those who are members now."""
        work = self._work
        users = [subscriber.user for subscriber in subscribers]
        known = await work.journal.store.users(work.plan.migration, work.id, users)
        return await self._import_allowed(subscribers, known)

    async def set_options(self, subscriber: SourceSubscriber) -> bool:
        """Set the notifications of a member; return False when that was refused again."""
        return await self._set_notifications(subscriber)

    async def _is_allowed(self, subscriber: SourceSubscriber) -> bool:
        work = self._work
        lost = transform.subscriber_losses(subscriber)
        if not lost:
            return True
        if transform.refused(lost, work.policies):
            reason = "the text on the subscription has no place, and the policy of subscriber_data is refuse"
            await self._quarantine_subscriber(subscriber, reason, "plan again with a policy for it, and apply")
            return False
        if transform.to_store(lost, work.policies):
            await work.store_original(SUBSCRIBER, subscriber.user, subscriber.custom_data)
        return True

    async def _import_allowed(self, subscribers: Sequence[SourceSubscriber], known: Mapping[str, UserRow]) -> set[str]:
        """Import those whom the policies allow; return the users who are members now. `known` is the journal."""
        work = self._work
        allowed: list[SourceSubscriber] = []
        for subscriber in subscribers:
            row = known.get(subscriber.user)
            if await self._is_allowed(subscriber):
                allowed.append(subscriber)
            elif row is None or row.status != SENT:  # the outcome of a call stays unknown
                await work.journal.note([self._user_row(subscriber, REFUSED)])
        return await self._import_parts(allowed, {name for name, row in known.items() if row.status == SENT})

    async def _import_parts(self, subscribers: list[SourceSubscriber], sent: set[str]) -> set[str]:
        """Import users; return those who are members now.

        `sent` users were in a call when an earlier run ended: without a time of joining, they count as moved by it.
        """
        work = self._work
        if not subscribers:
            return set()
        if not work.first:  # later runs must tell moved users from those who joined by themselves
            await work.journal.note([self._user_row(subscriber, SENT) for subscriber in subscribers])
            await work.journal.flush()
        parts = _split_parts(subscribers, work.add_size.users)
        results: dict[str, int] = {}
        for answer in await _wait_for_all(self._move_part(part, sent) for part in parts):
            results |= answer
        await self._record_earlier_members(
            [each for each in subscribers if results.get(each.user) == members.RESULT_ALREADY], sent
        )
        there = {user for user, result in results.items() if result in THERE}
        await work.release(SUBSCRIBER, there)
        await self._explain_failures(
            [subscriber for subscriber in subscribers if subscriber.user not in there], results
        )
        return there

    async def _move_part(self, subscribers: list[SourceSubscriber], sent: set[str]) -> dict[str, int]:
        """Make one call; record the users whom it made members, and those whom the target refused."""
        work = self._work
        async with work.journal.slot():
            results = await self._import_members(subscribers, sent)
            added = [each for each in subscribers if results.get(each.user) == members.RESULT_ADDED]
            refused = [each for each in subscribers if results.get(each.user) not in THERE]
            await work.journal.note([self._user_row(each, REFUSED) for each in refused])
            unfinished = await self._record_moved(added)
        await _wait_for_all(self._finish_subscriber(each) for each in unfinished)
        return results

    async def _record_moved(self, subscribers: Sequence[SourceSubscriber]) -> list[SourceSubscriber]:
        """Record moved users; return those whose notifications are still to be set, the last step."""
        work = self._work
        default = [each for each in subscribers if each.target_notifications is Notifications.ALL]
        work.row.subscribers += len(default)
        await work.journal.note([*(self._user_row(each, MOVED) for each in default), work.row])
        return [each for each in subscribers if each.target_notifications is not Notifications.ALL]

    async def _record_earlier_members(self, subscribers: list[SourceSubscriber], sent: Collection[str]) -> None:
        """Record users who were members before the calls: by an earlier call, or because they have subscribed."""
        work = self._work
        for part in _split_parts(subscribers, work.importer.lookups_per_call):
            current = await work.importer.member_states(work.channel, [each.user for each in part])
            moved = [each for each in part if self._is_moved(each, current.get(each.user), sent)]
            already = [each for each in part if each not in moved]
            work.row.already += len(already)
            await work.journal.note([self._user_row(each, ALREADY) for each in already])
            unfinished = await self._record_moved(moved)
            set_before = {user: found.notifications for user, found in current.items()}
            await _wait_for_all(
                self._finish_subscriber(each, done=set_before.get(each.user) is each.notifications)
                for each in unfinished
            )

    def _is_moved(self, subscriber: SourceSubscriber, found: MemberState | None, sent: Collection[str]) -> bool:
        """Return whether an earlier call has made a member: then the time of joining is the one that imports give.

        Without a time, users of the first run and those who were `sent` count as moved: a call may have had no answer.
        """
        work = self._work
        now = int(work.context.clock.now())
        expected = transform.join_time(subscriber.since, work.row.created_at, now)
        if found is None or found.joined is None or expected is None:
            return work.first or subscriber.user in sent
        return found.joined in (expected, expected - 1)  # the second before, for one who subscribed during the call

    async def _finish_subscriber(self, subscriber: SourceSubscriber, *, done: bool = False) -> None:
        """Set the notifications of a moved user, unless that is `done`, and record the user."""
        work = self._work
        async with work.journal.slot():
            if done:
                await self._count_notifications(subscriber)
            else:
                await self._set_notifications(subscriber)
            work.row.subscribers += 1
            await work.journal.note([self._user_row(subscriber, MOVED), work.row])

    async def _import_members(self, subscribers: list[SourceSubscriber], sent: set[str]) -> dict[str, int]:
        work = self._work
        now = int(work.context.clock.now())
        items = [
            transform.import_subscriber(
                subscriber, created_at=work.row.created_at, now=now, admins=work.planned.target.admins
            )
            for subscriber in subscribers
        ]
        try:
            async with self._slots:
                work.failpoint("subscribers.sending")
                results = await work.importer.import_members(work.channel, items)
        except InvalidError as error:
            if len(subscribers) == 1:
                return {subscribers[0].user: members.RESULT_FAILED}
            if error.code == codes.TOO_MANY_ACCOUNTS:
                work.add_size.too_many(len(subscribers))
            half = len(subscribers) // 2
            first = await self._import_members(subscribers[:half], sent)
            return first | await self._import_members(subscribers[half:], sent)
        except BudgetExhausted as end:
            if not work.first and not end.attempted:  # the call was not made
                unsent = [subscriber for subscriber in subscribers if subscriber.user not in sent]
                await work.journal.note([self._user_row(subscriber, REFUSED) for subscriber in unsent])
            raise
        work.failpoint("subscribers.sent")
        return results

    async def _explain_failures(self, failed: Sequence[SourceSubscriber], results: dict[str, int]) -> None:
        """Find the reason behind `Result` 0, an unknown account or no room, and put users into the quarantine."""
        if not failed:
            return
        work = self._work
        accounts = AppAccounts(work.context.api, work.context.settings.concurrency)
        known = await accounts.check([*dict.fromkeys(UserId(each.user) for each in failed)])
        for subscriber in failed:
            result = results.get(subscriber.user, members.RESULT_FAILED)
            if result in REASONS:
                await self._quarantine_subscriber(subscriber, REASONS[result], retry_command("make room"))
            elif known.get(UserId(subscriber.user)):
                reason = "the target refused this user: the channel is full, or the user is in too many groups"
                await self._quarantine_subscriber(subscriber, reason, retry_command("make room"))
            else:
                await self._quarantine_subscriber(subscriber, "no account of the app", retry_command("add the account"))

    async def _quarantine_subscriber(self, subscriber: SourceSubscriber, reason: str, retry: str) -> None:
        await self._work.quarantine(SUBSCRIBER, subscriber.user, reason, raw_subscriber(subscriber), retry)

    async def _set_notifications(self, subscriber: SourceSubscriber) -> bool:
        work = self._work
        try:
            async with self._slots:
                await work.importer.set_notifications(work.channel, subscriber.user, subscriber.notifications)
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            await work.quarantine(
                NOTIFICATIONS,
                subscriber.user,
                error.message,
                raw_subscriber(subscriber),
                retry_command("see why it was refused"),
            )
            return False
        await self._count_notifications(subscriber)
        return True

    async def _count_notifications(self, subscriber: SourceSubscriber) -> None:
        """Count notifications that are set on the target, by this run or by one that was killed before it counted."""
        work = self._work
        work.failpoint("options.set")
        work.row.options += 1
        await work.release(NOTIFICATIONS, [subscriber.user])

    @staticmethod
    def _has_changed_notifications(subscriber: SourceSubscriber, row: UserRow | None) -> bool:
        if subscriber.notifications is Notifications.UNKNOWN:
            return False
        moved = row is not None and row.status == MOVED
        return moved and row is not None and row.notifications != subscriber.notifications.value

    async def _update_notifications(self, changed: list[SourceSubscriber], known: dict[str, UserRow]) -> None:
        """Move notification options that changed in the source, unless they changed on the target too."""
        work = self._work
        for part in _split_parts(changed, work.importer.lookups_per_call):
            current = await work.importer.member_states(work.channel, [subscriber.user for subscriber in part])
            for subscriber in part:
                found = current.get(subscriber.user)
                notifications = found.notifications if found else None
                if notifications is not None and notifications.value == known[subscriber.user].notifications:
                    await self._set_notifications(subscriber)

    def _user_row(self, subscriber: SourceSubscriber, status: str) -> UserRow:
        work = self._work
        return UserRow(
            work.plan.migration, work.id, subscriber.user, work.round, status, subscriber.target_notifications.value
        )


async def _remove_missing(work: ChannelWork) -> None:
    """Remove users who have left the source since they were moved."""
    store, migration = work.journal.store, work.plan.migration
    gone, there = await store.count_users(migration, work.id, work.round)
    if gone and not there:
        raise ConflictError(
            f"{work.id} has no subscribers any more and had {gone}; if that is right, remove the channel instead",
            field="source", size=gone,
        )  # fmt: skip
    async with aclosing(store.users_not_seen(migration, work.id, work.round)) as parts:
        async for rows in parts:
            for some in _split_parts(rows, work.importer.removals_per_call):
                await _remove_members(work, some)


async def _wait_for_all(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of concurrent work when all of it has ended, then raise the first exception.

    So what the service was sent is recorded, and nothing goes on when the channel has ended.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


async def _remove_members(work: ChannelWork, rows: Sequence[UserRow]) -> None:
    staff = {work.planned.target.owner, *work.now.admins}
    removed = [row for row in rows if row.status != REFUSED and row.user_id not in staff]
    if removed:
        await work.importer.remove_members(work.channel, [row.user_id for row in removed])
    work.row.removed += len(removed)
    work.row.subscribers -= sum(row.status == MOVED for row in removed)
    for what in (SUBSCRIBER, NOTIFICATIONS):
        await work.release(what, [row.user_id for row in rows])
    await work.journal.note(
        [UserRow(row.migration, row.source, row.user_id, row.round, GONE, row.notifications) for row in rows]
    )
    await work.note()


def _split_parts(items: list[T], size: int) -> list[list[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
