"""Key and value pairs on one message: read whole, set and deleted 20 a call [messages 9]."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.domain.post import PostRef
from channel_adapter.mapping.reactions import Held, emptied, read_pairs
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import GROUP_GET_KEY_VALUES, GROUP_SET_KEY_VALUES
from channel_adapter.tencent.wire import extensions as wire

UNSUPPORTED: Final = frozenset({codes.EXTENSION_UNSUPPORTED, codes.BAD_PARAMETER, codes.NOT_ALLOWED})
"""Codes that may say "no pairs here": on a message, or in this type of group [messages 9.1]."""
EDITION: Final = codes.BAD_SIGNATURE_OR_EDITION
GONE: Final = codes.EXTENSION_NO_MESSAGE


@dataclass(frozen=True, slots=True)
class Pairs:
    """All pairs of a message that are ours. `complete` is False where paging could not reach the rest."""

    held: Held
    latest: int
    cleared: int
    complete: bool


class MessageKeys:
    """The pairs of any message. Raises what the gateway raises; `error.code` tells UNSUPPORTED, EDITION and GONE."""

    def __init__(self, gateway: ApiCaller) -> None:
        self._gateway = gateway

    async def read(self, ref: PostRef, *, deadline: float | None = None) -> Pairs:
        """Every pair: 200 a call. Pages overlap by one version, because a page may end within it."""
        found: dict[str, wire.Extension] = {}
        start, cleared, latest, complete = 0, 0, 0, False
        while True:
            request = wire.GroupGetKeyValuesRequest(group_id=ref.channel, msg_seq=ref.seq, start_seq=start)
            reply = await self._gateway.call(GROUP_GET_KEY_VALUES, request, deadline=deadline)
            before = len(found)
            found.update((pair.key, pair) for pair in reply.extension_list)
            cleared, latest = max(cleared, reply.clear_seq), max(latest, reply.latest_seq)
            complete = reply.complete_flag == wire.ALL_RETURNED
            last = max((pair.seq or 0 for pair in reply.extension_list), default=start)
            if complete or (len(found) == before and last == start):
                break
            start = last
        standing = [pair for pair in found.values() if (pair.seq or 0) > cleared]
        return Pairs(read_pairs(standing), latest, cleared, complete)

    async def set(
        self, ref: PostRef, pairs: Sequence[wire.Extension], *, deadline: float | None = None
    ) -> list[wire.ExtensionResult]:
        """Set up to 20 pairs; one result each, which may have failed on its own."""
        return await self._write(ref, wire.SET, list(pairs), deadline)

    async def delete(
        self, ref: PostRef, keys: Sequence[str], *, deadline: float | None = None
    ) -> list[wire.ExtensionResult]:
        """Delete up to 20 pairs. One that is not there has failed with GONE, or succeeded [messages 9.2]."""
        return await self._write(ref, wire.DELETE, [emptied(key) for key in keys], deadline)

    async def _write(
        self, ref: PostRef, operation: int, pairs: list[wire.Extension], deadline: float | None
    ) -> list[wire.ExtensionResult]:
        request = wire.GroupSetKeyValuesRequest(
            group_id=ref.channel, msg_seq=ref.seq, operate_type=operation, extension_list=pairs
        )
        return (await self._gateway.call(GROUP_SET_KEY_VALUES, request, deadline=deadline)).extension_list
