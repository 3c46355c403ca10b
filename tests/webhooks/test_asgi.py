"""The receiver as an ASGI application: messages of the server beside ordinary accepted and refused requests."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channel_adapter import ChannelAdapter, ConfigurationError, Settings
from channel_adapter.webhooks import MemoryInbox, asgi
from channel_adapter.webhooks.asgi_app import AsgiReceiver, Message
from channel_adapter.webhooks.inbox import InboxOptions
from channel_adapter.webhooks.receiver import BODY_BYTES
from tests.webhooks.sender import APP, TOKEN, query
from tests.webhooks.test_receiver import GOOD, listening


def settings(**tables: Any) -> Settings:
    table = {"webhooks": {"tokens": [TOKEN], "lost_after_seconds": 0.0}, "inbox": {"kind": "memory"}, **tables}
    return Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", **table)


class Connection:
    """One connection of an ASGI server, with the messages of each side."""

    def __init__(self, app: AsgiReceiver, scope: dict[str, Any]) -> None:
        self.sent: asyncio.Queue[Message] = asyncio.Queue()
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        self.task = asyncio.ensure_future(app(scope, self._received.get, self.sent.put))

    async def tell(self, kind: str, **values: Any) -> None:
        """Send a message of the server to the application."""
        await self._received.put({"type": kind, **values})

    async def answer(self) -> Message:
        """Return the next message of the application."""
        async with asyncio.timeout(60):
            return await self.sent.get()


def request(app: AsgiReceiver, path: str = "/hooks", **values: Any) -> Connection:
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "query_string": query().encode(),
        "headers": [], "client": ("127.0.0.1", 1), **values,
    }  # fmt: skip
    return Connection(app, scope)


@asynccontextmanager
async def started() -> AsyncIterator[AsgiReceiver]:
    inbox = MemoryInbox(InboxOptions(window=0.0))
    async with ChannelAdapter.open(settings()) as adapter, asgi(adapter, inbox=inbox, path="/hooks") as hooks:
        yield hooks


async def test_lifespan_of_server_opens_and_closes_adapter_and_receiver() -> None:
    adapter = ChannelAdapter.open(settings())
    app = asgi(adapter, path="/hooks")
    life = Connection(app, {"type": "lifespan"})
    await life.tell("lifespan.startup")
    assert await life.answer() == {"type": "lifespan.startup.complete"}
    served = request(app)
    await served.tell("http.request", body=GOOD)
    assert (await served.answer())["status"] == 200
    await life.tell("lifespan.shutdown")
    assert await life.answer() == {"type": "lifespan.shutdown.complete"}
    await life.task


async def test_failed_startup_is_reported_to_the_server(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    app = asgi(ChannelAdapter.open(settings(ca_file=str(tmp_path / "ca.pem"))))
    life = Connection(app, {"type": "lifespan"})
    await life.tell("lifespan.startup")
    failed = await life.answer()
    assert failed["type"] == "lifespan.startup.failed"
    assert "ca.pem" in failed["message"]
    with pytest.raises(ConfigurationError, match=re.escape(failed["message"])):
        await life.task


async def test_body_in_parts_is_read_completely() -> None:
    async with started() as hooks:
        served = request(hooks, "/mounted/hooks/", root_path="/mounted")
        for part in (GOOD[:9], b"", GOOD[9:]):
            await served.tell("http.request", body=part, more_body=True)
        await served.tell("http.request")
        assert (await served.answer())["status"] == 200


async def test_disconnected_client_ends_its_request() -> None:
    async with started() as hooks:
        served = request(hooks)
        await served.tell("http.request", body=GOOD[:9], more_body=True)
        await served.tell("http.disconnect")
        assert (await served.answer())["status"] == 400
        await served.task
        assert hooks.receiver.counters.refused == {"not_json": 1}


async def test_other_paths_and_protocols_are_refused() -> None:
    async with started() as hooks:
        for path in ("/", "/hooksmore", "/hooks/more", "/elsewhere"):
            served = request(hooks, path)
            await served.tell("http.request", body=GOOD)
            assert (await served.answer())["status"] == 404
        assert hooks.receiver.counters["received"] == 0
        assert await Connection(hooks, {"type": "websocket"}).answer() == {"type": "websocket.close"}


async def test_http_2_response_has_no_connection_header() -> None:
    async with started() as hooks:
        for version, told in (("1.1", True), ("2", False)):
            served = request(hooks, method="PUT", http_version=version)
            await served.tell("http.request")
            headers = dict((await served.answer())["headers"])
            assert (b"connection" in headers) is told
            assert headers[b"allow"] == b"POST"


@pytest.mark.parametrize("server", ["aiohttp", "asgi"])
async def test_slow_and_endless_bodies_are_refused(server: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(BODY_BYTES // 2**16 + 1):
            yield b" " * 2**16

    async with listening(server=server, request_seconds=0.3) as (receiver, url, heard), aiohttp.ClientSession() as web:
        async with web.post(f"{url}?{query()}", data=endless()) as answer:
            assert (answer.status, await answer.json()) == (413, {"error": "too_large"})
        port = int(url.rpartition(":")[2].partition("/")[0])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"POST /hook?{query()} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(GOOD)}\r\n\r\n"
        writer.write(head.encode() + GOOD[:9])
        async with asyncio.timeout(60):
            assert (await reader.read()).startswith(b"HTTP/1.1 408")
        writer.close()
        assert receiver.counters.refused == {"too_large": 1, "too_slow": 1}
        assert heard == []
