"""A person's conversation groups on the service: read, fill, empty, rename, remove, whatever another process does.

Whether creating a group that exists is refused or merged is unknown, and so is whether limits strike a call or an item
[conversations 1.9]; both readings end the same way here.
"""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.domain.ids import UserId
from channel_adapter.errors import ChannelAdapterError, UnavailableError
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.mapping.unread_groups import Conversation, Filed
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_CONTACT_GROUP,
    DEL_CONTACT_GROUP,
    GET_CONTACT_GROUP,
    UPDATE_CONTACT_GROUP,
)

Failures = dict[Conversation, tuple[int, str]]
"""Code and text of conversations that could not be put in or taken out."""

T = TypeVar("T")

CLEAR = mapping.FULL | {codes.CONVERSATION_UNRESOLVED}
"""Codes of a conversation that leave no doubt where it is."""

TURNS = 4
"""Between updating and creating, while other processes create and remove the same group."""


class ConversationGroups:
    """Nothing is remembered here; refusals of a whole call that is not about room are raised."""

    def __init__(self, gateway: ApiCaller) -> None:
        self._gateway = gateway

    async def first_page(self, user: UserId) -> Filed:
        """The groups, and the conversations that were filed first: enough to know whether a group exists."""
        filed = Filed()
        filed.add(await self._gateway.call(GET_CONTACT_GROUP, mapping.page_request(user, 0)))
        return filed

    async def read(self, user: UserId) -> Filed:
        """Everything that is filed for a person. Raises UnavailableError for a list that does not end."""
        filed, start = Filed(), 0
        while True:
            page = await self._gateway.call(GET_CONTACT_GROUP, mapping.page_request(user, start))
            filed.add(page)
            if page.complete_flag or not page.next_start_index:
                return filed
            if page.next_start_index <= start:
                raise UnavailableError(f"{GET_CONTACT_GROUP.name}: page {start} names {page.next_start_index} as next")
            start = page.next_start_index

    async def put(self, user: UserId, name: str, wanted: Sequence[Conversation], *, exists: bool) -> Failures:
        """Put conversations into the group, which is made if need be; `exists` is where to begin, not a promise.

        Where there is not room for a call's worth, half of it is tried, and so on; once there is none for one, the rest
        is not tried. What is filed elsewhere takes up no room, and should stand first.
        """
        failures: Failures = {}
        rest, size = wanted, limits.CONVERSATIONS_PER_CALL
        while rest:
            part = rest[:size]
            try:
                failures |= await self._update_or_create(user, name, part, exists=exists)
            except ChannelAdapterError as error:
                if error.code not in mapping.FULL or error.code is None:
                    raise
                if error.code == codes.TOO_MANY_CONTACT_GROUPS or len(part) == 1:
                    failures |= dict.fromkeys(rest, (error.code, error.message))
                    break
                size = (len(part) + 1) // 2
            else:
                exists, rest = True, rest[size:]
        return await self._without_repeats(user, name, failures, inside=True, unsure=len(rest) > 1)

    async def take(self, user: UserId, name: str, unwanted: Sequence[Conversation]) -> Failures:
        """Take conversations out of the group; without the group there is nothing to do."""
        failures: Failures = {}
        for part in parts_of(unwanted, limits.CONVERSATIONS_PER_CALL):
            request = mapping.change_request(user, name, add=(), remove=part)
            try:
                reply = await self._gateway.call(UPDATE_CONTACT_GROUP, request)
            except ChannelAdapterError as error:
                if error.code == codes.NO_SUCH_CONTACT_GROUP:
                    return failures
                raise
            failures |= mapping.results_of_change(reply)
        return await self._without_repeats(user, name, failures, inside=False, unsure=bool(failures))

    async def rename(self, user: UserId, old: str, new: str) -> None:
        """NotFoundError (51009) without the group; what a taken name is answered with is unknown, here 50002."""
        await self._gateway.call(UPDATE_CONTACT_GROUP, mapping.rename_request(user, old, new))

    async def delete(self, user: UserId, name: str) -> bool:
        """False when there was no such group."""
        try:
            await self._gateway.call(DEL_CONTACT_GROUP, mapping.delete_request(user, name))
        except ChannelAdapterError as error:
            if error.code != codes.NO_SUCH_CONTACT_GROUP:
                raise
            return error.origin is not None and error.origin.attempts > 1  # an earlier attempt of ours did it
        return True

    async def _without_repeats(
        self, user: UserId, name: str, failures: Failures, *, inside: bool, unsure: bool
    ) -> Failures:
        """Without what is as it should be: what putting in twice, or taking out twice, is answered with is unknown.

        `unsure`: even if no code says so; some were not tried, or the code is none that taking out should have.
        """
        if not unsure and all(code in CLEAR for code, _ in failures.values()):
            return failures
        there = set((await self.read(user)).of(name))
        return {each: why for each, why in failures.items() if (each in there) is not inside}

    async def _update_or_create(
        self, user: UserId, name: str, part: Sequence[Conversation], *, exists: bool
    ) -> Failures:
        """Update while the group is there and create while it is not, in turns with whoever changes that meanwhile."""
        for _ in range(TURNS - 1):
            try:
                return await self._send(user, name, part, exists=exists)
            except ChannelAdapterError as error:
                if error.code != (codes.NO_SUCH_CONTACT_GROUP if exists else codes.CONTACT_BAD_PARAMETER):
                    raise
            exists = not exists
        return await self._send(user, name, part, exists=exists)

    async def _send(self, user: UserId, name: str, part: Sequence[Conversation], *, exists: bool) -> Failures:
        if exists:
            change = mapping.change_request(user, name, add=part)
            return mapping.results_of_change(await self._gateway.call(UPDATE_CONTACT_GROUP, change))
        new = mapping.create_request(user, name, part)
        return mapping.results_of_creation(await self._gateway.call(CREATE_CONTACT_GROUP, new))


def parts_of(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in pieces of `size`, the last one shorter."""
    return (items[start : start + size] for start in range(0, len(items), size))
