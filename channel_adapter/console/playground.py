"""A stub of the service with channels, readers and reactions, for trying the console without an account."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pydantic import SecretStr

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.config.settings import ChannelSettings, InsightSettings, Settings, WebhookSettings
from channel_adapter.domain.post import Article, Content, Image, PostRef, Text, TextAndImage
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

if TYPE_CHECKING:
    from channel_adapter.observability.telemetry import Telemetry

READERS: Final = 200
_OWNER: Final = "editor_7"
_FIELDS: Final = ("ch_tag", "ch_org", "ch_data_1", "ch_data_2")
_EMOJI: Final = ("👍", "❤️", "😂", "🙏", "😮")


class Playground:
    """A running stub and the adapter that the console uses on it."""

    def __init__(self, server: StubServer, adapter: ChannelAdapter) -> None:
        self.server = server
        self.adapter = adapter

    async def fill(self, pictures: str) -> None:
        """Create three channels with posts, 200 readers and reactions. `pictures` is where the console has pictures."""
        readers = [f"reader_{number}" for number in range(1, READERS + 1)]
        await self.adapter.accounts.add([_OWNER, *readers])
        for index, (slug, name, introduction, organization, posts) in enumerate(_channels(pictures)):
            await self.adapter.channels.create(
                slug=slug, name=name, owner=_OWNER, introduction=introduction, organization=organization
            )
            followers = readers[: READERS - index * 70]
            await self.adapter.subscriptions.subscribe(slug, followers, assign=False)
            for content in posts:
                post = await self.adapter.posts.publish(slug, content)
                await self._react(post.ref, followers[: 24 - 8 * index])

    async def _react(self, ref: PostRef, readers: list[str]) -> None:
        chosen = [_EMOJI[number * number % 7 % len(_EMOJI)] for number in range(len(readers))]
        await asyncio.gather(
            *(self.adapter.reactions.react(ref, reader, emoji) for reader, emoji in zip(readers, chosen, strict=True))
        )


@asynccontextmanager
async def open_playground(directory: Path, telemetry: "Telemetry | None" = None) -> AsyncIterator[Playground]:
    """Run a stub, and a receiver of its webhooks, for the length of a block. The database is in `directory`."""
    from channel_adapter.webhooks import serve  # noqa: PLC0415 - only used here

    token = SecretStr(secrets.token_urlsafe())
    stub = StubSettings.read({"app": {"group_fields": list(_FIELDS)}})
    async with StubServer(stub) as server:
        settings = Settings(
            sdkappid=server.sdkappid,
            key=SecretStr(server.key),
            admin=server.admin,
            base_url=server.url,
            webhooks=WebhookSettings(tokens=(token,)),
            insights=InsightSettings(record=True),
            database_url=SecretStr(f"sqlite:///{directory / 'playground.db'}"),
            channels=ChannelSettings(organization_key="ch_org", custom_data_keys=("ch_data_1", "ch_data_2")),
        )
        async with (
            ChannelAdapter.open(settings, telemetry=telemetry) as adapter,
            serve(adapter) as (_, url),
            adapter.run_jobs(["schedule"]),
        ):
            server.webhooks.settings = CallbackSettings(url=url, token=token)
            try:
                yield Playground(server, adapter)
            finally:
                server.webhooks.settings = CallbackSettings()


def _channels(pictures: str) -> list[tuple[str, str, str, str, list[Content]]]:
    harbour = Image(f"{pictures}demo-harbour.png", 640, 360)
    market = Image(f"{pictures}demo-market.png", 640, 360)
    return [
        (
            "harbor_news", "Harbour News 港口新闻", "Ferries, tides and what happens at the quay.", "Port Authority",
            [
                Text("The harbour office is open again from 8 to 16."),
                TextAndImage("Two new ferries arrived this morning 🚢\nFirst trips on Sunday.", harbour),
                Article("Timetable", "The winter timetable is out.", "https://example.org/ferries"),
            ],
        ),
        (
            "market_hall", "Market Hall 市场大厅", "Stalls, prices and opening hours.", "City Markets",
            [Text("Fresh herring at stall 12 🐟"), TextAndImage("The hall is decorated for the holidays.", market)],
        ),
        ("night_bus", "Night Bus", "Lines and detours of the night buses.", "City Transport",
         [Text("Line N3 stops at the bridge until Friday.")]),
    ]  # fmt: skip
