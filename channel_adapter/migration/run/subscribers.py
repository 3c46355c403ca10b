"""Subscribers page by page, many calls at once, with their true times; in a delta, those who are gone as well.

Everybody is noted as soon as they are where they belong, and a page that is read again brings only the others: what a
kill costs is the calls that nobody had noted yet, not the pages under way.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Self, TypeVar

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.ids import UserId
from channel_adapter.errors import ChannelAdapterError, ConflictError, InvalidError
from channel_adapter.mapping.subscription_member import NOTIFICATIONS as KINDS
from channel_adapter.migration.budget import TRANSIENT
from channel_adapter.migration.plan import transform
from channel_adapter.migration.run.work import (
    IMPORTING_SUBSCRIBERS,
    NOTIFICATIONS,
    SUBSCRIBER,
    ChannelWork,
    raw_subscriber,
    retry_command,
)
from channel_adapter.migration.sources.source import FIRST_PAGE, SourceSubscriber, SubscriberPage
from channel_adapter.store.migration import ALREADY, GONE, MOVED, SENT, UserRow
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    DELETE_GROUP_MEMBER,
    GET_SPECIFIED_GROUP_MEMBER_INFO,
    IMPORT_GROUP_MEMBER,
    MODIFY_GROUP_MEMBER_INFO,
)
from channel_adapter.tencent.wire import members

T = TypeVar("T")

PAGES_AT_ONCE: Final = 6
"""Pages under way in a process: they are what a kill has read in vain."""
THERE: Final = frozenset({members.RESULT_ADDED, members.RESULT_ALREADY})
REASONS: Final = {
    members.RESULT_PENDING: "the target wants somebody to agree first",
    members.RESULT_TOO_MANY_GROUPS: "this person is in as many groups as the app's plan allows",
}


async def move_subscribers(work: ChannelWork) -> None:
    """Everybody the source has. Raises ConflictError for a source that is empty and was not."""
    row = work.row
    if row.subscribers_round != work.round:
        row.subscribers_round, row.cursor = work.round, FIRST_PAGE
        row.subscribers = 0 if work.first else row.subscribers
    await work.note(IMPORTING_SUBSCRIBERS)
    if row.subscribers_done != work.round:
        await _bring_all(work)
        row.subscribers_done = work.round
        await work.note()
        await work.journal.flush()
    if not work.first:
        await _take_out(work)
        await work.journal.flush()
    work.failpoint("people.noted")


async def _bring_all(work: ChannelWork) -> None:
    row = work.row
    try:
        await _pages(work)
    except InvalidError:
        if row.cursor == FIRST_PAGE:
            raise
        row.cursor = FIRST_PAGE  # it has died: who came before is known, and passed by
        await work.journal.flush()
        await _pages(work)


async def _pages(work: ChannelWork) -> None:
    importer = SubscriberImporter(work)
    with PageSlots(work.pages) as slots:

        async def bring(page: SubscriberPage) -> str | None:
            cursor = await importer.bring(page)
            slots.release()
            return cursor

        async with aclosing(concurrently(_read(work, slots), bring, limit=PAGES_AT_ONCE, ordered=True)) as cursors:
            async for cursor in cursors:
                if cursor is not None:
                    work.row.cursor = cursor
                await work.note()


async def _read(work: ChannelWork, slots: "PageSlots") -> AsyncGenerator[SubscriberPage, None]:
    cursor: str | None = work.row.cursor
    while cursor is not None:
        await slots.acquire()
        page = await work.source.subscribers(work.id, cursor)
        yield page
        cursor = page.next


class PageSlots:
    """What one channel has of the pages that all channels of a process may have under way; all back in the end."""

    def __init__(self, pages: asyncio.Semaphore) -> None:
        self._pages = pages
        self._acquired = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        while self._acquired:
            self.release()

    async def acquire(self) -> None:
        """Wait for one more."""
        await self._pages.acquire()
        self._acquired += 1

    def release(self) -> None:
        """One less."""
        self._acquired -= 1
        self._pages.release()


class SubscriberImporter:
    """Brings pages of people to the target."""

    def __init__(self, work: ChannelWork) -> None:
        self._work = work
        self._room = asyncio.Semaphore(work.at_once)

    async def bring(self, page: SubscriberPage) -> str | None:
        """A page of the source; where the next one begins. Who was brought in this round already is passed by."""
        work = self._work
        people = [person for person in page.subscribers if person.user != work.planned.target.owner]
        if not people:
            return page.next
        known = await work.journal.store.users(work.plan.migration, work.id, [person.user for person in people])
        fresh: list[SourceSubscriber] = []
        there: list[SourceSubscriber] = []
        for person in people:
            row = known.get(UserId(person.user))
            if row is None or row.standing in (GONE, SENT):
                if await self._may_go(person):
                    fresh.append(person)
            else:
                there.append(person)
        await self._bring(fresh, {name for name, row in known.items() if row.standing == SENT})
        await self._set_changed([person for person in there if self._changed(person, known[person.user])], known)
        await work.journal.note([self._row(person, known[person.user].standing) for person in there])
        return page.next

    async def retry(self, people: Sequence[SourceSubscriber]) -> set[str]:
        """Try again to bring people who could not come; who of them is there now."""
        return await self._bring(list(people), {person.user for person in people})

    async def set_options(self, person: SourceSubscriber) -> bool:
        """Set how posts reach somebody who is there; False when it was refused again."""
        return await self._set_notifications(person)

    async def _may_go(self, person: SourceSubscriber) -> bool:
        work = self._work
        lost = transform.subscriber_losses(person)
        if not lost:
            return True
        if transform.refused(lost, work.policies):
            reason = "the text on the subscription has no place, and the policy of subscriber_data is refuse"
            await self._leave(person, reason, "plan again with a policy for it, and apply")
            return False
        if transform.to_store(lost, work.policies):
            await work.store_original(SUBSCRIBER, person.user, person.custom_data)
        return True

    async def _bring(self, people: list[SourceSubscriber], sent: set[str]) -> set[str]:
        """Who of them is there now.

        `sent` were under way when an earlier run ended: being there already says nothing about who brought them.
        """
        work = self._work
        if not people:
            return set()
        if not work.first:  # later runs must tell ours from those who came by themselves
            await work.journal.note([self._row(person, SENT) for person in people])
            await work.journal.flush()
        parts = _parts(people, work.add_size.users)
        results: dict[str, int] = {}
        for answer in await asyncio.gather(*(self._bring_part(part, sent) for part in parts)):
            results |= answer
        there = {user for user, result in results.items() if result in THERE}
        await self._explain([person for person in people if person.user not in there], results)
        return there

    async def _bring_part(self, people: list[SourceSubscriber], sent: set[str]) -> dict[str, int]:
        """One call, and the options of those who came with it; each is noted when nothing is left to do for them."""
        work = self._work
        quiet: list[SourceSubscriber] = []
        rows: list[UserRow] = []
        async with work.journal.slot():
            results = await self._import(people)
            for person in people:
                result = results.get(person.user, members.RESULT_FAILED)
                if result not in THERE:
                    continue
                ours = result == members.RESULT_ADDED or work.first or person.user in sent
                if ours and transform.notifications_request(work.channel, person) is not None:
                    quiet.append(person)
                else:
                    rows.append(self._row(person, MOVED if ours else ALREADY))
                    work.row.subscribers += ours
            await work.journal.note([*rows, work.row])
        await asyncio.gather(*(self._quieten(person) for person in quiet))
        return results

    async def _quieten(self, person: SourceSubscriber) -> None:
        """The last thing to do for one of ours whom not every post is to reach aloud."""
        work = self._work
        async with work.journal.slot():
            await self._set_notifications(person)
            work.row.subscribers += 1
            await work.journal.note([self._row(person, MOVED), work.row])

    async def _import(self, people: list[SourceSubscriber]) -> dict[str, int]:
        work = self._work
        now = int(work.clock.now())
        items = [
            transform.import_subscriber(
                person, created_at=work.row.created_at, now=now, admins=work.planned.target.admins
            )
            for person in people
        ]
        request = transform.import_subscribers(work.channel, items)
        try:
            async with self._room:
                work.failpoint("people.sending")
                reply = await work.calls.call(IMPORT_GROUP_MEMBER, request)
        except InvalidError as error:
            if len(people) == 1:
                return {people[0].user: members.RESULT_FAILED}
            if error.code == codes.TOO_MANY_ACCOUNTS:
                work.add_size.too_many(len(people))
            half = len(people) // 2
            return await self._import(people[:half]) | await self._import(people[half:])
        work.failpoint("people.sent")
        return {item.member_account: item.result for item in reply.member_list}

    async def _explain(self, failed: Sequence[SourceSubscriber], results: dict[str, int]) -> None:
        """`Result` 0 hides the reason: an unknown account, or no room [docS 1621]."""
        if not failed:
            return
        work = self._work
        accounts = AppAccounts(work.calls, work.at_once)
        known = await accounts.check([*dict.fromkeys(UserId(each.user) for each in failed)])
        for person in failed:
            result = results.get(person.user, members.RESULT_FAILED)
            if result in REASONS:
                await self._leave(person, REASONS[result], retry_command("make room"))
            elif known.get(UserId(person.user)):
                reason = "the target refused this person: the channel is full, or the person is in too many groups"
                await self._leave(person, reason, retry_command("make room"))
            else:
                await self._leave(person, "no account of the app", retry_command("add the account"))

    async def _leave(self, person: SourceSubscriber, reason: str, retry: str) -> None:
        await self._work.quarantine(SUBSCRIBER, person.user, reason, raw_subscriber(person), retry)

    async def _set_notifications(self, person: SourceSubscriber) -> bool:
        work = self._work
        flag = transform.FLAGS[person.notifications]
        request = members.ModifyGroupMemberInfoRequest(group_id=work.channel, member_account=person.user, msg_flag=flag)
        try:
            async with self._room:
                await work.calls.call(MODIFY_GROUP_MEMBER_INFO, request)
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            await work.quarantine(
                NOTIFICATIONS,
                person.user,
                error.message,
                raw_subscriber(person),
                retry_command("see why it was refused"),
            )
            return False
        work.failpoint("options.set")
        work.row.options += 1
        return True

    @staticmethod
    def _changed(person: SourceSubscriber, row: UserRow | None) -> bool:
        moved = row is not None and row.standing == MOVED
        return moved and row is not None and row.notifications != person.notifications.value

    async def _set_changed(self, changed: list[SourceSubscriber], known: dict[str, UserRow]) -> None:
        """What people chose at the source since, unless they chose something else on the target."""
        work = self._work
        for part in _parts(changed, limits.SPECIFIED_MEMBERS_PER_CALL):
            request = members.GetSpecifiedGroupMemberInfoRequest(
                group_id=work.channel, member_list_account=[person.user for person in part],
                member_info_filter=["MsgFlag"],
            )  # fmt: skip
            reply = await work.calls.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
            has = {item.member_account: KINDS.get(item.msg_flag or "") for item in reply.member_list}
            for person in part:
                found = has.get(person.user)
                if found is not None and found.value == known[person.user].notifications:
                    await self._set_notifications(person)

    def _row(self, person: SourceSubscriber, standing: str) -> UserRow:
        work = self._work
        return UserRow(work.plan.migration, work.id, person.user, work.round, standing, person.notifications.value)


async def _take_out(work: ChannelWork) -> None:
    """People who left the source since they were moved."""
    store, migration = work.journal.store, work.plan.migration
    gone, there = await store.count_users(migration, work.id, work.round)
    if gone and not there:
        raise ConflictError(
            f"{work.id} has no subscribers any more and had {gone}; if that is right, remove the channel instead",
            field="source", size=gone,
        )  # fmt: skip
    async with aclosing(store.users_not_seen(migration, work.id, work.round)) as parts:
        async for rows in parts:
            for some in _parts(rows, limits.DELETE_MEMBERS_PER_CALL):
                await _delete(work, some)


async def _delete(work: ChannelWork, rows: Sequence[UserRow]) -> None:
    staff = {work.planned.target.owner, *work.now.admins}
    names = [row.user_id for row in rows if row.user_id not in staff]
    if names:
        request = members.DeleteGroupMemberRequest(group_id=work.channel, member_to_del_account=names, silence=1)
        await work.calls.call(DELETE_GROUP_MEMBER, request)
    work.row.removed += len(names)
    work.row.subscribers -= len(names)
    await work.journal.note(
        [UserRow(row.migration, row.source, row.user_id, row.round, GONE, row.notifications) for row in rows]
    )
    await work.note()


def _parts(items: list[T], size: int) -> list[list[T]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
