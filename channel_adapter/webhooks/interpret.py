"""What a kept webhook means: its event, with the tag looked up that tells a channel from another Community."""

import asyncio
from dataclasses import replace
from typing import Final

from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId
from channel_adapter.mapping.callback_event import to_event
from channel_adapter.services.directory import Directory
from channel_adapter.webhooks.known_channels import KnownChannels
from channel_adapter.webhooks.parse import Received

LATE_SECONDS: Final = 60.0
"""How long after a deletion something may still have happened in the channel, by the service's times."""


class Interpreter:
    """Turns Received into events. Everything about a group that is no channel becomes Other."""

    def __init__(self, directory: Directory, known: KnownChannels, *, admin: str) -> None:
        self._directory = directory
        self._known = known
        self._admin = admin
        self._asked: dict[ChannelId, asyncio.Task[bool]] = {}

    async def interpret(self, received: Received) -> e.Event:
        """The event. Raises a ChannelAdapterError when the tag has to be read and cannot: try again later."""
        event = to_event(received.command, received.body, received.query, admin=self._admin)
        if not isinstance(event, e.ChannelEvent):
            return event
        if isinstance(event, e.ChannelCreated) and not self._directory.remembered(event.channel):
            self._directory.forget(event.channel)  # before it was made, it was rightly remembered as none
        if isinstance(event, e.ChannelDeleted):
            return await self._deleted(event, received)
        if await self.is_channel(event.channel) or await self._was_channel(event):
            return event
        return _other(event, received)

    async def is_channel(self, channel: ChannelId) -> bool:
        """Has it our tag? Many questions at once about one group are one call."""
        remembered = self._directory.remembered(channel)
        if remembered is None:
            task = self._asked.get(channel)
            if task is None:
                task = self._asked[channel] = asyncio.ensure_future(self._look_up(channel))
                task.add_done_callback(lambda done: self._answered(channel, done))
            remembered = await asyncio.shield(task)
        return remembered

    async def _was_channel(self, event: e.ChannelEvent) -> bool:
        """Is it a late event of a channel that is deleted now? What comes much later is about another group."""
        known = await self._known.get(event.channel)
        if known is None or known.deleted_at is None:
            return False
        latest = 0.0 if isinstance(event, e.ChannelCreated) else LATE_SECONDS
        return event.at is None or (event.at - known.deleted_at).total_seconds() <= latest

    def _answered(self, channel: ChannelId, task: "asyncio.Task[bool]") -> None:
        del self._asked[channel]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more

    async def _deleted(self, event: e.ChannelDeleted, received: Received) -> e.Event:
        """The service has nothing left to ask about it: what is remembered decides, and what is not, is told so."""
        was_channel = self._directory.remembered(event.channel, however_old=True)
        if await self._known.get(event.channel) is not None:
            was_channel = True
        if was_channel is None:
            return replace(event, confirmed=False)
        return event if was_channel else _other(event, received)

    async def _look_up(self, channel: ChannelId) -> bool:
        return channel in await self._directory.fields([channel])


def _other(event: e.ChannelEvent, received: Received) -> e.Other:
    return e.Other(
        at=event.at,
        platform=event.platform,
        by=event.by,
        own=event.own,
        command=received.command,
        about=event.channel,
        body=received.body,
    )
