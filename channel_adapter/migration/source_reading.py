"""Reading a source to its end in spite of what may happen to it meanwhile."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from channel_adapter.errors import InvalidError, NotFoundError
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    Source,
    SourceChannel,
    SourceKind,
    SourceSubscriber,
    channels_by_id,
)

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration


async def present_channels(migration: "Migration", plan: Plan, source: Source) -> dict[str, SourceChannel]:
    """Channels of the source as they are, by id; those that are gone are left out."""
    try:
        return await channels_by_id(source)
    except NotFoundError:
        if plan.source.kind is not SourceKind.ACCOUNTS:
            raise
    found: dict[str, SourceChannel] = {}
    for account in plan.source.accounts:
        async with migration.source(plan.source.model_copy(update={"accounts": (account,)})) as one:
            try:
                found |= await channels_by_id(one)
            except NotFoundError:
                continue
    return found


async def every_subscriber(source: Source, channel: str) -> AsyncGenerator[tuple[SourceSubscriber, ...], None]:
    """Pages of people. A cursor that dies on the way is no reason to stop: then some come twice."""
    cursor, begun_anew = FIRST_PAGE, False
    while True:
        try:
            page = await source.subscribers(channel, cursor)
        except InvalidError:
            if cursor == FIRST_PAGE or begun_anew:
                raise
            cursor, begun_anew = FIRST_PAGE, True
            continue
        yield page.subscribers
        if page.next is None:
            return
        cursor = page.next
