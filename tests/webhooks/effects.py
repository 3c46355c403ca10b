"""Event handlers of these tests: each event is written into a table, so that a repetition is visible.

`register` uses the inbox's own database, in the transaction of the event.
"""

import asyncio
import contextlib
import os
from typing import Any

from sqlalchemy import text

from channel_adapter import ChannelAdapter
from channel_adapter.domain.events import ChannelEvent, Subscribed

TABLE = "CREATE TABLE IF NOT EXISTS effect (account VARCHAR(80), who VARCHAR(80), pid INTEGER, place BIGINT)"


def register(adapter: ChannelAdapter) -> None:
    """Write a row for each event in the transaction that records it as handled. There is no key or unique column."""

    @adapter.events.on(Subscribed, transaction=True, other_mode=True)
    def write(event: Subscribed, connection: Any) -> None:
        place = connection.scalar(text("SELECT count(*) FROM effect")) if _in_order() else 0
        connection.execute(
            text("INSERT INTO effect VALUES (:account, :who, :pid, :place)"),
            {"account": event.channel, "who": event.users[0], "pid": os.getpid(), "place": place},
        )


def register_nothing(adapter: ChannelAdapter) -> None:
    """Receive events and do nothing, so that the handler is not part of the measurement."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def hear(event: Subscribed) -> None:
        return None


def register_slow(adapter: ChannelAdapter) -> None:
    """Receive events and wait 50 ms for each, as for the response of another service."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def hear(event: Subscribed) -> None:
        await asyncio.sleep(0.05)


def register_failing(adapter: ChannelAdapter) -> None:
    """Fail for events of users called `bad...`, always; write the others."""
    register(adapter)

    @adapter.events.on(Subscribed, other_mode=True)
    async def refuse(event: Subscribed) -> None:
        await asyncio.sleep(0)
        if event.users[0].startswith("bad"):
            raise ValueError("this one is not wanted")


def _in_order() -> bool:
    return bool(os.environ.get("EFFECTS_IN_ORDER"))


def register_deaf(adapter: ChannelAdapter) -> None:
    """Receive events and never end, even when cancelled."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def wait(event: Subscribed) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)


def register_everything(adapter: ChannelAdapter) -> None:
    """Write a row for each event of a channel: its type and the key of its webhook. No column is unique."""

    @adapter.events.on(ChannelEvent, transaction=True)
    def write(event: ChannelEvent, connection: Any) -> None:
        connection.execute(
            text("INSERT INTO effect VALUES (:kind, :key, :pid, 0)"),
            {"kind": type(event).__name__, "key": adapter.events.key, "pid": os.getpid()},
        )


def register_both(adapter: ChannelAdapter) -> None:
    """Write each event to the file `EFFECTS_FILE` in a plain handler, and to the table in the transaction."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def append(event: Subscribed) -> None:
        with open(os.environ["EFFECTS_FILE"], "a", encoding="utf-8") as file:  # noqa: ASYNC230, PTH123 - one write
            file.write(f"{event.users[0]}\n")

    register(adapter)


def register_removing(adapter: ChannelAdapter) -> None:
    """Rename the file `EFFECTS_FILE`, the inbox's own database, so that nothing can be recorded any more."""

    @adapter.events.on(Subscribed, other_mode=True)
    async def remove(event: Subscribed) -> None:
        file = os.environ["EFFECTS_FILE"]
        os.rename(file, f"{file}.away")  # noqa: PTH104
