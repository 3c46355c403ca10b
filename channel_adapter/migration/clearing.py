"""People's conversation groups lose the channels that a rollback removes: the service does not take them out itself.

Who was in a channel is written down before it is removed, and struck off when their group has lost it.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final

from channel_adapter.concurrency.batching import concurrently
from channel_adapter.domain.filing import FilingKind
from channel_adapter.domain.ids import ChannelId
from channel_adapter.migration.cutover_state import opened
from channel_adapter.migration.metered import Allowance, Stopped
from channel_adapter.migration.target_pages import member_pages
from channel_adapter.services.gateway import Gateway

if TYPE_CHECKING:
    from channel_adapter.migration.planning import Migration
    from channel_adapter.services.unread import Unreads
    from channel_adapter.store.cutover_people import CutoverPeople

CLEARED_AT_ONCE: Final = 100


class Clearing:
    """What a rollback does about conversation groups. `filled`: the cutover has filled any, or is at it."""

    def __init__(self, name: str, people: "CutoverPeople", unread: "Unreads", at_once: int, *, filled: bool) -> None:
        self.filled = filled
        self._name = name
        self._people = people
        self._unread = unread
        self._at_once = at_once

    async def note(self, gateway: Gateway, channel: ChannelId) -> None:
        """The channel is about to be removed: write down everybody in it."""
        if not self.filled:
            return
        await self._people.prepare()
        async with aclosing(member_pages(gateway, channel)) as pages:
            async for page in pages:
                await self._people.to_clear(self._name, channel, [each.member_account for each in page])

    async def waiting(self) -> int:
        """People whose groups are still to lose channels."""
        return await self._people.count_clearing_if_any(self._name)

    async def carry_out(self, stay: Sequence[str], allowance: Allowance, tell: Callable[[str, int], None]) -> int:
        """Take the channels out, but for those that stay; how many people's groups have lost them.

        Whose group could not be changed is still waiting then. Raises Stopped at the end of the allowance.
        """
        if not await self.waiting():
            return 0
        await self._people.keep(self._name, stay)
        tell("to_clear", await self.waiting())
        last, cleared = "", 0
        while wanted := await self._people.clearing_after(self._name, last, CLEARED_AT_ONCE):
            if allowance.used_up:
                raise Stopped(allowance.reason)
            done: list[str] = []
            async with aclosing(concurrently(wanted.items(), self._clear, limit=self._at_once)) as answers:
                async for person, gone in answers:
                    if gone:
                        done.append(person)
                    tell("cleared", 1)
            await self._people.cleared(self._name, done)
            last, cleared = list(wanted)[-1], cleared + len(done)  # the last one in the order of the database
        return cleared

    async def _clear(self, wanted: tuple[str, list[str]]) -> tuple[str, bool]:
        person, channels = wanted
        filings = await self._unread.unfile(person, channels)
        return person, all(each.kind is not FilingKind.FAILED for each in filings.values())


@asynccontextmanager
async def clearing_for(migration: "Migration", name: str) -> AsyncIterator[Clearing | None]:
    """For one migration; None where no cutover can have filled anything."""
    if migration.settings.database_url is None or migration.unread is None:
        yield None
        return
    from channel_adapter.store.cutover_people import CutoverPeople  # noqa: PLC0415 - an extra

    async with opened(migration) as posting:
        store = posting.store
        row = await store.cutover(name) if await store.moved_if_any() else None
        filled = row is not None and bool(row.fill_wanted)
        people = CutoverPeople(store.database)
        yield Clearing(name, people, migration.unread, migration.settings.concurrency, filled=filled)
