"""A stub, an adapter with a receiver that it calls over a socket, a second program of the app, and client apps."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ChannelId, Settings
from channel_adapter.domain.events import Event
from channel_adapter.stub.callbacks.request import CallbackSettings as ToReceiver
from channel_adapter.stub.control.user_actions import UserAction, perform
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.webhooks.aiohttp_app import serve
from channel_adapter.webhooks.inbox import InboxOptions, MemoryInbox
from channel_adapter.webhooks.receiver import Receiver
from channel_adapter.webhooks.retry import RetryPolicy

TOKEN = "orchid-7f"
ADMIN, OTHER = "administrator", "other_program"
KEEPER, MATE, SAILOR = "keeper", "mate", "sailor"
LIGHTHOUSE = ChannelId("@TGS#_lighthouse")
EventT = TypeVar("EventT", bound=Event)


@dataclass
class Scenario:
    """Stub, adapter and receiver. `received` contains the events of the app's handler."""

    stub: StubServer
    adapter: ChannelAdapter
    other: ChannelAdapter
    receiver: Receiver
    url: str
    received: list[Event] = field(default_factory=list)

    async def act(self, user: str, do: str, platform: str = "iOS", **arguments: Any) -> Any:
        """Perform an action of a user in a client app, with its webhooks before and after."""
        action = UserAction.model_validate({"user": user, "do": do, "platform": platform, "with": arguments})
        return await perform(self.stub.world, self.stub.webhooks, action, "127.0.0.1")

    async def until(self, kind: type[EventT], wanted: Callable[[EventT], bool] = lambda _: True) -> EventT:
        """Wait for the first event of a type and return it. The TimeoutError lists the received ones."""
        try:
            async with asyncio.timeout(60):
                while True:
                    for event in self.received:
                        if isinstance(event, kind) and wanted(event):
                            return event
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise TimeoutError(f"no {kind.__name__}, but {[type(event).__name__ for event in self.received]}") from None

    async def settle(self) -> list[Event]:
        """Wait until no webhook is pending; return all received events."""
        await self.stub.webhooks.idle()
        async with asyncio.timeout(60):
            while self.waiting:  # noqa: ASYNC110 - counters have no waiters
                await asyncio.sleep(0.005)
        return self.received

    def switch(self, **changes: Any) -> None:
        """Change webhook settings of the stub."""
        self.stub.webhooks.settings = self.stub.webhooks.settings.model_copy(update=changes)

    @property
    def waiting(self) -> int:
        """Number of events that are stored and not handled."""
        counts = self.receiver.counters.snapshot()
        return int(counts.get("stored", 0)) - int(counts.get("handled", 0)) - int(counts.get("dead", 0))


def settings_of(stub: StubServer, admin: str, **tables: Any) -> Settings:
    """Return settings of an adapter for the stub; `tables` by name."""
    table = {"webhooks": {"tokens": [TOKEN], **tables.pop("webhooks", {})}, **tables}
    return Settings.load(None, sdkappid=stub.sdkappid, key=stub.key, admin=admin, base_url=stub.url, **table)


@asynccontextmanager
async def open_scenario(
    *, stub: dict[str, Any] | None = None, retry: RetryPolicy | None = None, **tables: Any
) -> AsyncIterator[Scenario]:
    """Open a scenario; `stub` and `tables` are additional settings, by table."""
    app = {"admins": [ADMIN, OTHER], "group_fields": ["ch_tag"]}
    played = StubSettings.model_validate({"app": app, **(stub or {})})
    async with (
        StubServer(played) as server,
        ChannelAdapter.open(settings_of(server, ADMIN, **tables)) as adapter,
        ChannelAdapter.open(settings_of(server, OTHER)) as other,
        serve(adapter, inbox=MemoryInbox(InboxOptions(retry or RetryPolicy(), window=0.0))) as (receiver, url),
    ):
        built = Scenario(server, adapter, other, receiver, url)
        if "budget_seconds" not in tables.get(
            "guard", {}
        ):  # on a busy machine a call can exceed the default of 2 seconds
            adapter.guard._settings = adapter.guard._settings.model_copy(update={"budget_seconds": 60.0})
        assert (await adapter.accounts.add([KEEPER, MATE, SAILOR])).complete
        server.webhooks.settings = ToReceiver(url=url, token=SecretStr(TOKEN), timeout=60.0)

        @adapter.events.on(other_mode=True)
        async def handle(event: Event) -> None:
            built.received.append(event)

        yield built
        await server.webhooks.stop()  # the receiver would wait for its kept-alive connection


async def lighthouse(built: Scenario, **more: Any) -> Scenario:
    """Create a channel of the keeper, clear the received events and return the scenario."""
    await built.other.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER, **more)
    await built.settle()
    built.received.clear()
    return built
