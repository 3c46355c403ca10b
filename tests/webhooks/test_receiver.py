"""Unauthorised and malformed requests: refused as documented, not dispatched, without accumulation."""

import asyncio
import gc
import json
import logging
import resource
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
import uvicorn
from aiohttp import web

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.concurrency.http_server import default_max_connections
from channel_adapter.domain.events import Event, Subscribed
from channel_adapter.webhooks import MemoryInbox, application, asgi, serve
from channel_adapter.webhooks.inbox import InboxOptions
from channel_adapter.webhooks.parse import WebhookEvent
from channel_adapter.webhooks.receiver import BODY_BYTES, Receiver
from channel_adapter.webhooks.storage import NotStoredError
from tests.webhooks.sender import APP, COMMAND, TOKEN, Sender, Wire, body, query

GOOD = body("@TOA#_a", "u", 1_736_000_000_000)
UNKNOWN = "Group.CallbackAfterTheTideTurned"


both_servers = pytest.mark.parametrize("server", ["aiohttp", "asgi"])


@asynccontextmanager
async def listening(
    inbox: Any = None, *, server: str = "aiohttp", **webhooks: Any
) -> AsyncIterator[tuple[Receiver, str, list[Event]]]:
    """Run a receiver on a socket; yield it, its URL and the events of its handler. `asgi` runs under uvicorn."""
    table = {"tokens": [TOKEN], "lost_after_seconds": 0.0, **webhooks}
    settings = Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", webhooks=table)
    heard: list[Event] = []
    async with ChannelAdapter.open(settings) as adapter:
        adapter.events.on(other_mode=True)(heard.append)
        inbox = inbox or MemoryInbox(InboxOptions(window=0.0))
        if server == "asgi":
            async with asgi(adapter, inbox=inbox, path="/hook") as hooks, under_uvicorn(hooks) as address:
                yield hooks.receiver, f"{address}/hook", heard
            return
        async with serve(adapter, inbox=inbox, path="/hook") as (receiver, url):
            yield receiver, url, heard


@asynccontextmanager
async def under_uvicorn(app: Any) -> AsyncIterator[str]:
    """Run an ASGI application on a socket without its lifespan, and yield the address."""
    running = uvicorn.Server(uvicorn.Config(app, lifespan="off", ws="none", log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as bound:
        task = asyncio.create_task(running.serve(sockets=[bound]))
        async with asyncio.timeout(60):
            while not running.started:  # noqa: ASYNC110 - it has no waiters
                await asyncio.sleep(0.005)
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        finally:
            running.should_exit = True
            await task


async def post(url: str, content: bytes = GOOD, text: str | None = None, method: str = "POST") -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}?{query() if text is None else text}", data=BytesIO(content)) as answer,
    ):
        return answer.status, await answer.json()


def deep(levels: int) -> bytes:
    return GOOD[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


REFUSED: dict[str, tuple[bytes, Callable[[], str], int, str]] = {  # queries expire, so each is created when it is used
    "forged": (GOOD, lambda: query(token="guessed"), 403, "signature"),
    "unsigned": (GOOD, lambda: query().partition("&Sign=")[0], 403, "unsigned"),
    "stale": (GOOD, lambda: query(now=time.time() - 120), 403, "stale"),
    "from the future": (GOOD, lambda: query(now=time.time() + 120), 403, "stale"),
    "wrong app": (GOOD, lambda: query(app=APP + 1), 403, "wrong_app"),
    "no app": (GOOD, lambda: query().partition("&")[2], 403, "wrong_app"),
    "two apps": (GOOD, lambda: query() + "&SDKAppID=1", 400, "query"),
    "endless query": (GOOD, lambda: query() + "&x=" + "y" * 5000, 400, "query"),
    "truncated": (GOOD[:-9], query, 400, "not_json"),
    "empty": (b"", query, 400, "not_json"),
    "an array": (b"[1]", query, 400, "not_json"),
    "binary": (bytes(range(256)), query, 400, "not_json"),
    "deeply nested": (deep(40), query, 400, "too_deep"),
    "nested a hundred thousand times": (deep(100_000), query, 400, "not_json"),
    "oversized": (GOOD + b" " * BODY_BYTES, query, 413, "too_large"),
    "another command": (GOOD, lambda: query(UNKNOWN), 400, "command"),
    "no command": (b"{}", query, 400, "command"),
}


@both_servers
@pytest.mark.parametrize("case", REFUSED)
async def test_invalid_request_is_refused_and_not_dispatched(server: str, case: str) -> None:
    content, text, status, reason = REFUSED[case]
    async with listening(server=server) as (receiver, url, heard):
        assert await post(url, content, text()) == (status, {"error": reason})
        assert receiver.counters.refused == {reason: 1}
        assert await post(url) == (200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})
        await receiver.inbox.idle()
        assert [type(event) for event in heard] == [Subscribed]


@both_servers
async def test_other_methods_and_paths_are_refused(server: str) -> None:
    async with listening(server=server) as (_, url, heard):
        assert await post(url, method="PUT") == (405, {"error": "method"})
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            async with session.post(f"{url}/elsewhere?{query()}", data=GOOD) as answer:
                assert answer.status == 404
        assert heard == []


@both_servers
async def test_path_is_served_with_and_without_trailing_slash(server: str) -> None:
    async with listening(server=server) as (_, url, _):
        assert [(await post(place))[0] for place in (url, f"{url}/")] == [200, 200]


async def raw(url: str, *requests: bytes) -> list[bytes]:
    """Send each request on its own connection and return the complete responses."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    answers = []
    for request in requests:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        async with asyncio.timeout(60):
            answers.append(await reader.read())
        writer.close()
        await writer.wait_closed()
    return answers


def malformed() -> dict[str, bytes]:
    """Return signed requests that are not valid HTTP, by the parser's error."""
    line = f"POST /hook?{query()}"
    head = f"{line} HTTP/1.1\r\nHost: x\r\n"
    return {
        "BadStatusLine": f"{line} HTTQ/1.1\r\n\r\n".encode(),
        "BadHttpMessage": f"{head}{query()}\r\n\r\n".encode(),
        "LineTooLong": f"{line}{'y' * 9_000} HTTP/1.1\r\n\r\n".encode(),
        "InvalidURLError": f"POST http://h:99999/hook?{query()} HTTP/1.1\r\n\r\n".encode(),
        "ContentEncodingError": f"{head}Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx".encode(),
    }


async def test_malformed_requests_are_counted_and_logged_once_without_their_bytes(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as (receiver, url, heard):
        for _ in range(20):
            for answer in await raw(url, *malformed().values()):
                assert answer.startswith(b"HTTP/1.0 400 ")
                assert answer.partition(b"\r\n\r\n")[2] == b'{"error": "malformed"}'
        assert receiver.counters.refused == {"malformed": 100}
        assert receiver.counters["received"] == 100
        assert await post(url) == (200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})
        await receiver.inbox.idle()
        assert len(heard) == 1
    written = [record for record in caplog.records if "reason=malformed" in record.getMessage()]
    assert len(written) == len(malformed())
    assert all(record.exc_info is None for record in caplog.records)
    shown = caplog.text + "".join(capsys.readouterr())
    for name in ("RequestTime", "Sign", "SdkAppid"):
        assert name not in shown


async def test_undecodable_compressed_body_is_refused_without_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = f"POST /hook?{query()} HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nabcde"
    async with listening() as (receiver, url, _):
        (answer,) = await raw(url, head.encode())
        assert answer.partition(b"\r\n\r\n")[2] == b'{"error": "not_json"}'
        assert receiver.counters.refused == {"not_json": 1}
    assert all(record.exc_info is None for record in caplog.records)


@both_servers
async def test_event_with_half_a_character_is_accepted(server: str) -> None:
    cut = GOOD.replace(b'"u"', rb'"u\ud83d"')
    async with listening(server=server) as (receiver, url, heard):
        assert (await post(url, cut, query() + "&X=%ed%a0%bd"))[0] == 200
        await receiver.inbox.idle()
        assert receiver.counters.refused == {}
        (event,) = heard
        assert isinstance(event, Subscribed)
        assert event.users == ("u\ufffd",)


async def test_unknown_expectation_is_not_in_the_response() -> None:
    head = "Host: x\r\nConnection: close\r\nExpect: RequestTime\r\nContent-Length: 0\r\n\r\n"
    async with listening() as (_, url, _):
        requests = (f"POST {path} HTTP/1.1\r\n{head}".encode() for path in ("/hook", "/elsewhere"))
        answers = await raw(url, *requests)
        assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [
            b'{"error": "wrong_app"}', b'{"error": "not_found"}',
        ]  # fmt: skip


class BrokenInbox(MemoryInbox):
    """Raises an error that no receiver expects."""

    async def store(self, received: WebhookEvent) -> bool:
        raise LookupError(f"no place for Sign={'ab' * 32}")


@both_servers
async def test_program_error_is_logged_once_with_its_traceback(server: str, caplog: pytest.LogCaptureFixture) -> None:
    async with listening(BrokenInbox(), server=server) as (_, url, _):
        assert [await post(url) for _ in range(5)] == [(500, {"error": "failure"})] * 5
    written = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(written) == 1
    assert "LookupError" in written[0]
    assert "in store" in written[0]
    assert "abab" not in written[0]


@asynccontextmanager
async def half_open(url: str, number: int) -> AsyncIterator[list[asyncio.StreamReader]]:
    """Open this many connections that begin a request and do not complete it."""
    port = int(url.rpartition(":")[2].partition("/")[0])
    opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(number)]
    try:
        for _, writer in opened:
            writer.write(b"POST /hook")
        yield [reader for reader, _ in opened]
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


async def ended(reader: asyncio.StreamReader) -> bool:
    """Return True once the other side has closed the connection."""
    try:
        async with asyncio.timeout(60):
            return await reader.read() == b""
    except ConnectionError:
        return True


async def test_limit_closes_the_oldest_connection_without_a_request(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(max_connections=5, request_seconds=600.0) as (receiver, url, _):
        kept = Wire(url)
        assert await kept.post(GOOD, query()) == 200
        async with half_open(url, 7) as readers:
            assert [await ended(reader) for reader in readers[:3]] == [True] * 3
            assert not any(reader.at_eof() for reader in readers[3:])
            assert await post(url) == (200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})
            streams = kept._streams
            assert await kept.post(GOOD, query()) == 200
            assert kept._streams is streams, "an idle connection is closed after those that never sent a request"
        await kept.close()
        assert receiver.counters["received"] == 3
    assert caplog.text.count("webhooks.connection_limit") == 1


async def test_limit_closes_a_new_connection_and_keeps_those_with_a_request() -> None:
    inbox = SlowInbox()
    async with listening(inbox, max_connections=2) as (receiver, url, _):
        asking = asyncio.gather(*(post(url) for _ in range(2)))
        async with asyncio.timeout(60):
            while receiver.counters["received"] < 2:  # noqa: ASYNC110 - counters have no waiters
                await asyncio.sleep(0.005)
        async with half_open(url, 1) as (reader,):
            assert await ended(reader)
        inbox.go.set()
        assert await asking == [(503, {"error": "not_stored"})] * 2


async def test_limit_closes_an_idle_connection_if_there_is_no_other() -> None:
    async with listening(max_connections=1) as (_, url, _):
        kept = Wire(url)
        assert await kept.post(GOOD, query()) == 200
        assert await post(url) == (200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})
        assert kept._streams is not None
        assert await ended(kept._streams[0])
        await kept.close()


async def test_incomplete_handshakes_count_as_connections(tmp_path: Path) -> None:
    authority, certificate = trustme.CA(), tmp_path / "server.pem"
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(certificate)
    tls, trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    tls.load_cert_chain(certificate)
    authority.configure_trust(trust)
    table = {"tokens": [TOKEN], "max_connections": 2, "request_seconds": 600.0}
    settings = Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", webhooks=table)
    async with (
        ChannelAdapter.open(settings) as adapter,
        serve(adapter, inbox=MemoryInbox(InboxOptions(window=0.0)), tls=tls) as (_, url),
        half_open(url.rstrip("/"), 3) as readers,
        aiohttp.ClientSession() as session,
    ):
        assert url.startswith("https://")
        assert await ended(readers[0])
        async with session.post(f"{url}?{query()}", data=GOOD, ssl=trust) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(("soft", "connections"), [(1024, 824), (1_000_000, 2_000), (-1, 2_000), (256, 64), (4, 1)])
def test_default_connection_limit_depends_on_the_descriptor_limit(
    monkeypatch: pytest.MonkeyPatch, soft: int, connections: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, -1))
    assert default_max_connections() == connections


@both_servers
async def test_replayed_request_is_answered_and_handled_once(server: str) -> None:
    async with listening(server=server) as (receiver, url, heard):
        text = query()
        assert [(await post(url, GOOD, text))[0] for _ in range(5)] == [200] * 5
        await receiver.inbox.idle()
        assert len(heard) == 1
        assert receiver.counters["duplicates"] == 4


@both_servers
async def test_each_request_is_counted_once(server: str) -> None:
    before = "Group.CallbackBeforeCreateGroup"
    asks = json.dumps({"CallbackCommand": before, "Type": "Community", "Owner_Account": "u"}).encode()
    async with listening(server=server) as (receiver, url, _):
        asked = [(GOOD, query()), (GOOD, query()), (asks, query(before)), (b"[1]", query())]
        assert [(await post(url, *each))[0] for each in asked] == [200, 200, 200, 400]
        await receiver.inbox.idle()
        assert receiver.counters.snapshot() == {
            "received": 4, "stored": 1, "duplicates": 1, "decided": 1, "refused.not_json": 1, "handled": 1,
        }  # fmt: skip


async def test_ten_thousand_unknown_commands_are_answered_without_memory_growth() -> None:
    async with listening() as (receiver, url, heard):
        sender = Sender(url)

        async def flood(first: int, number: int) -> None:
            for start in range(first, first + number, len(wires)):
                names = [f"Group.CallbackNew{n}" for n in range(start, start + len(wires))]
                contents = [body("@TOA#_a", "u", 1_736_000_000_000, name) for name in names]
                await asyncio.gather(*map(sender.post, contents, names, wires))

        wires = [Wire(url) for _ in range(20)]
        await flood(0, 2_000)
        await receiver.inbox.idle()
        heard.clear()
        gc.collect()
        before = len(gc.get_objects())
        await flood(2_000, 8_000)
        await receiver.inbox.idle()
        assert {type(event).__name__ for event in heard} == {"Unknown"}
        heard.clear()
        gc.collect()
        assert len(gc.get_objects()) - before < 2_000
        assert sender.statuses == {200: 10_000}
        for wire in wires:
            await wire.close()


async def test_slow_bodies_and_slow_heads_are_ended() -> None:
    async with listening(request_seconds=0.3) as (receiver, url, heard):
        host, port = "127.0.0.1", int(url.rpartition(":")[2].partition("/")[0])
        head = f"POST /hook?{query()} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(GOOD)}\r\n\r\n"
        slow_body = head.encode() + GOOD[:9]
        for sent, answer in ((b"", b""), (b"POST /hook", b""), (slow_body, b"HTTP/1.1 408")):
            reader, writer = await asyncio.open_connection(host, port)
            begun = time.monotonic()
            writer.write(sent)
            async with asyncio.timeout(60):
                assert (await reader.read())[: len(answer)] == answer
            assert time.monotonic() - begun > 0.2
            writer.close()
        assert receiver.counters.refused == {"too_slow": 1}
        assert heard == []


async def test_kept_alive_connection_is_not_closed() -> None:
    async with listening(request_seconds=1.0) as (_, url, heard):
        wire = Wire(url)
        assert await wire.post(body("@TOA#_a", "u0", 1_736_000_000_000), query()) == 200
        streams = wire._streams
        await asyncio.sleep(1.6)
        assert await wire.post(body("@TOA#_a", "u1", 1_736_000_000_001), query()) == 200
        assert wire._streams is streams
        await wire.close()
        assert len(heard) == 2


class SlowInbox(MemoryInbox):
    """Delays all requests until `go` is set, and then stores nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def store(self, received: WebhookEvent) -> bool:
        await self.go.wait()
        raise NotStoredError("the disk is full")


@both_servers
async def test_requests_above_the_limit_and_unstored_events_return_503(server: str) -> None:
    inbox = SlowInbox()
    async with listening(inbox, server=server, max_requests=3) as (receiver, url, _):
        asking = asyncio.gather(*(post(url) for _ in range(5)))
        async with asyncio.timeout(60):
            while receiver.counters.refused.get("too_many", 0) < 2:  # noqa: ASYNC110 - counters have no waiters
                await asyncio.sleep(0.005)
        inbox.go.set()
        answers = await asking
        assert sorted(answer["error"] for _, answer in answers) == ["not_stored"] * 3 + ["too_many"] * 2
        assert {status for status, _ in answers} == {503}
        assert receiver.counters["received"] == 5


@both_servers
async def test_unsigned_request_without_token_is_accepted_with_a_warning(
    server: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening(server=server, tokens=[]) as (_, url, _):
        assert (await post(url, GOOD, query().partition("&Sign=")[0]))[0] == 200
        assert "webhooks.unsigned" in caplog.text
        assert "webhooks.memory_inbox" in caplog.text


@both_servers
async def test_logs_contain_no_secret(
    server: str, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening(server=server) as (_, url, _):
        for content, text, _, _ in REFUSED.values():
            await post(url, content, text())
    told = caplog.text + "".join(capsys.readouterr())
    assert "webhooks.refused" in told
    for secret in (TOKEN, "Sign=", query().partition("Sign=")[2][:64]):
        assert secret not in told


async def test_receiver_can_be_mounted_in_an_application() -> None:
    table = {"tokens": [TOKEN]}
    settings = Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", webhooks=table)
    async with ChannelAdapter.open(settings) as adapter:
        stream = adapter.events.stream(Subscribed, other_mode=True)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        app = web.Application()
        app.add_subapp("/hooks", application(adapter, inbox=MemoryInbox(InboxOptions(window=0.0))))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            site = web.SockSite(runner, bound)
            await site.start()
            for place in ("hooks", "hooks/"):
                assert (await post(f"http://127.0.0.1:{bound.getsockname()[1]}/{place}"))[0] == 200
            assert (await first).users == ("u",)
            await stream.aclose()
            await runner.cleanup()


def test_valid_body_has_its_command() -> None:
    assert json.loads(GOOD)["CallbackCommand"] == COMMAND
