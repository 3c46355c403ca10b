"""From a kept webhook to the event that the app's handlers get."""

from typing import TYPE_CHECKING

from channel_adapter.domain import events as e
from channel_adapter.webhooks.consumers import Consumers
from channel_adapter.webhooks.elsewhere import open_elsewhere
from channel_adapter.webhooks.inbox import Step
from channel_adapter.webhooks.interpret import Interpreter
from channel_adapter.webhooks.known_channels import open_known_channels
from channel_adapter.webhooks.parse import Received

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter


class Pipeline:
    """Interpretation, then the adapter's own consumers, then the choice of what the app wants to hear."""

    def __init__(self, adapter: "ChannelAdapter") -> None:
        settings = adapter.settings
        workings = adapter.workings
        url = settings.database_url.get_secret_value() if settings.database_url is not None else None
        self.known = open_known_channels(url)
        self.elsewhere = open_elsewhere(url, workings.directory, workings.roles)
        self.interpreter = Interpreter(workings.directory, self.known, admin=settings.admin)
        unread = adapter.unread if settings.unread.filing else None
        self._consumers = Consumers(workings, self.known, self.elsewhere, reactions=adapter.reactions, unread=unread)
        self._own_echoes = settings.webhooks.own_echoes
        self._other_groups = settings.webhooks.other_groups

    async def handle(self, received: Received) -> e.Event | None:
        """The event for the app's handlers; None when nobody is to hear of it.

        May be repeated with the same webhook as often as one likes. Raises a ChannelAdapterError when the service or
        the store has to be asked and fails: repeat it later.
        """
        event = await self.interpreter.interpret(received)
        await self._consumers.take(event)
        return event if self._wanted(event) else None

    def afterwards(self, event: e.Event) -> list[Step]:
        """The adapter's own work that comes after the app's handlers, and fails for itself."""
        return self._consumers.afterwards(event)

    async def aclose(self) -> None:
        """Close what was opened for it; the adapter does it when it closes."""
        await self.known.aclose()
        await self.elsewhere.aclose()

    def _wanted(self, event: e.Event) -> bool:
        if isinstance(event, e.Other) and not self._other_groups:
            return False
        return self._own_echoes or not event.own
