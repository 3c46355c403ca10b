"""The inbox of receivers as other processes read and change it: the command line and the console."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from channel_adapter.webhooks.inbox import database_of, needs_durable_inbox

if TYPE_CHECKING:
    from channel_adapter.config.settings import Settings
    from channel_adapter.store.database import Database
    from channel_adapter.store.inbox import InboxTable


class StoredInbox(NamedTuple):
    """The table of an inbox, and the database that it is in."""

    database: "Database"
    table: "InboxTable"


@asynccontextmanager
async def open_stored_inbox(settings: "Settings", owner: str) -> AsyncIterator[StoredInbox | None]:
    """Open the inbox of the settings for the length of a block, and create nothing.

    None for a memory inbox, and if no receiver has run on the database. `owner` names the caller in its leases. Raises
    ConfigurationError without the extra.
    """
    if settings.inbox.kind == "memory":
        yield None
        return
    with needs_durable_inbox(settings):
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
        from channel_adapter.store.inbox import InboxTable  # noqa: PLC0415
        from channel_adapter.store.leases import Leases  # noqa: PLC0415
    async with Database.shared(database_of(settings)) as database:
        table = InboxTable(database, Leases(database, owner, seconds=0.0))
        is_there = not database.is_sqlite or await asyncio.to_thread(Path(database.url.database or "").is_file)
        yield StoredInbox(database, table) if is_there and await database.read(table.exists) else None
