"""Dead letters from outside a receiver: queued for whichever receiver has time."""

import asyncio
import contextlib
from typing import Any

from channel_adapter.durable import enqueue_client
from channel_adapter.webhooks.durable_inbox import BATCH, FEATURE, new_batch
from channel_adapter.webhooks.inbox_table import InboxTable


class Reviver:
    """Needs no receiver in this process, and runs none."""

    def __init__(self, table: InboxTable, url: str) -> None:
        self._table = table
        self._url = url
        self._stack = contextlib.ExitStack()
        self._client: Any = None

    async def revive(self, key: str) -> bool:
        """Give a dead letter new attempts; False when there is none of this key."""
        document = await self._table.dead(key)
        if document is None:
            return False
        if self._client is None:
            self._client = await asyncio.to_thread(self._stack.enter_context, enqueue_client(self._url))
        batch = new_batch()
        options = {"workflow_name": BATCH, "queue_name": FEATURE.name, "workflow_id": batch}
        await asyncio.to_thread(self._client.enqueue, options, [document], True)
        await self._table.revive(key, batch)
        return True

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.to_thread(self._stack.close)
