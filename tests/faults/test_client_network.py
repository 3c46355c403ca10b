"""The client on real sockets: servers that close, stall, truncate, have an invalid certificate, or do not exist."""

import asyncio
import gzip
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from channel_adapter.tencent.catalog import GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.client import Attempt, CallFailed, TencentClient, Timeouts
from channel_adapter.tencent.rate_limit import CommandLimiter
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.transport import Route, Transport
from channel_adapter.tencent.wire.envelope import Ambiguous, HttpRejected, NotAttempted, NotSent
from channel_adapter.tencent.wire.groups import GetGroupInfoRequest
from channel_adapter.tencent.wire.messages import SendGroupMsgRequest
from tests.faults.conftest import APP, OK, FakeClock, refused

READ = GetGroupInfoRequest(group_id_list=["@TGS#_harbor"])
POST = SendGroupMsgRequest(group_id="@TGS#_harbor", random=7, msg_body=[])
FOUND = OK | {"GroupInfo": []}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler, trust: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Start an HTTP server on a free loopback port; yield its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=trust)
    await site.start()
    try:
        yield f"{'https' if trust else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def speaking(talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]) -> AsyncIterator[str]:
    """Start a TCP server that handles each connection with `talk`; yield its base URL."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    return head + await reader.readexactly(int(length.split(b":")[1]))


def answer(body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body) if length is None else length, body)


async def nobody_listens() -> str:
    """Return a base URL without a listening server."""
    async with speaking(lambda _, __: asyncio.sleep(0)) as url:
        return url


def client_of(
    url: str,
    backup: str | None = None,
    *,
    limiter: CommandLimiter | None = None,
    observer: Callable[[Attempt], None] | None = None,
    **options: object,
) -> TencentClient:
    transport = Transport(HostPair.of_base_url(url, backup), **options)  # type: ignore[arg-type]
    return TencentClient(APP, transport, limiter=limiter, observer=observer)


async def outcome_of(client: TencentClient, *, deadline: float | None = None) -> CallFailed:
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, READ, deadline=deadline)
    return caught.value


async def test_post_with_late_answer_is_applied_once() -> None:
    applied: dict[int, int] = {}
    late = asyncio.Event()

    async def handle(request: web.Request) -> web.Response:
        number = (await request.json())["Random"]
        if number not in applied:
            applied[number] = len(applied) + 1
            await late.wait()
        return web.json_response(OK | {"MsgSeq": applied[number], "MsgTime": 1700000000})

    async with serving(handle) as url, client_of(url, timeouts=Timeouts(call=0.2)) as client:
        reply = await client.call(SEND_GROUP_MSG, POST)
        late.set()
    assert reply.msg_seq == 1
    assert applied == {7: 1}


async def test_timeout_is_ambiguous() -> None:
    clock = FakeClock()  # the whole timeout is left when the call is sent, even on a slow machine

    async def stall(_: web.Request) -> web.Response:
        clock.elapsed += 5
        await asyncio.sleep(5)
        return web.json_response(FOUND)

    async with serving(stall) as url:
        failed = await outcome_of(client_of(url, clock=clock), deadline=0.3)
    assert isinstance(failed.outcome, Ambiguous)
    assert "no answer from 127.0.0.1 within 0.3 s" in str(failed)
    assert failed.attempts == 1


async def test_call_is_repeated_after_a_closed_connection() -> None:
    requests = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        if len(requests) == 2:
            writer.write(answer(b'{"ErrorCode":0,"GroupInfo":[]}'))
            await writer.drain()

    async with speaking(talk) as url, client_of(url) as client:
        await client.call(GET_GROUP_INFO, READ)
    assert len(requests) == 2


async def test_request_on_a_closed_idle_connection_is_not_repeated_silently() -> None:
    """aiohttp itself would repeat an idempotent method; a POST on a dead connection is returned to the client."""
    requests: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await read_request(reader))
        writer.write(answer(b'{"ErrorCode":0,"GroupInfo":[]}'))
        await writer.drain()
        await reader.read(1)  # the second request on this connection is received and not answered

    seen: list[Attempt] = []
    async with speaking(talk) as url, client_of(url, observer=seen.append) as client:
        await client.call(GET_GROUP_INFO, READ)
        await client.call(GET_GROUP_INFO, READ)
    assert [attempt.outcome_kind for attempt in seen] == ["success", "ambiguous", "success"]
    assert len(requests) == 2


async def test_truncated_response_is_ambiguous() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer(b'{"ErrorCode":0,', length=500))
        await writer.drain()

    async with speaking(talk) as url:
        failed = await outcome_of(client_of(url, clock=FakeClock()))
    assert failed.outcome == Ambiguous("the answer broke off")
    assert failed.attempts == 3


async def test_response_that_is_not_http_is_ambiguous() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
        await writer.drain()

    async with speaking(talk) as url:
        failed = await outcome_of(client_of(url, clock=FakeClock()))
    assert failed.outcome == Ambiguous("the answer is not HTTP")


async def test_backup_answers_when_the_primary_is_unreachable() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(FOUND)

    seen: list[Attempt] = []
    primary, clock = await nobody_listens(), FakeClock()
    async with serving(handle) as backup, client_of(primary, backup, clock=clock, observer=seen.append) as client:
        await client.call(GET_GROUP_INFO, READ)
        await client.call(GET_GROUP_INFO, READ)
    assert [attempt.outcome_kind for attempt in seen] == ["not_sent"] * 3 + ["success"] * 2


async def test_unreachable_host_is_reported_as_not_sent() -> None:
    failed = await outcome_of(client_of(await nobody_listens()), deadline=1.0)
    assert isinstance(failed.outcome, NotSent)
    assert "connection refused" in str(failed)


async def test_unknown_host_name_is_reported() -> None:
    failed = await outcome_of(client_of("http://no-such-host.invalid"), deadline=0.5)
    assert isinstance(failed.outcome, NotSent)
    assert "no-such-host.invalid" in str(failed)


async def test_connection_timeout_is_reported_as_not_sent() -> None:
    """The server accepts the connection and never completes the handshake."""
    released = asyncio.Event()

    async def talk(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await released.wait()

    async with speaking(talk) as url:
        client = client_of(url.replace("http:", "https:"), timeouts=Timeouts(connect=0.2))
        failed = await outcome_of(client, deadline=0.5)
        released.set()
    assert failed.outcome == NotSent("no connection to 127.0.0.1 within 0.2 s")


async def test_only_the_given_certificate_authority_is_trusted(tmp_path: Path) -> None:
    ours, other = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    other.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ours.issue_cert("127.0.0.1").configure_cert(server_side)

    async def handle(_: web.Request) -> web.Response:
        return web.json_response(FOUND)

    async with serving(handle, server_side) as url:
        async with client_of(url, route=Route(tmp_path / "ours.pem")) as client:
            await client.call(GET_GROUP_INFO, READ)
        for ca_file in (tmp_path / "other.pem", None):
            failed = await outcome_of(client_of(url, route=Route(ca_file)))
            assert isinstance(failed.outcome, NotSent)
            assert failed.attempts == 1  # the same server would present the same certificate
            assert "is not trusted" in str(failed)
        async with (
            serving(handle) as backup,
            client_of(url, backup, route=Route(tmp_path / "other.pem"), clock=FakeClock()) as client,
        ):
            await client.call(GET_GROUP_INFO, READ)  # another host may present a valid one


@pytest.mark.parametrize("content", [None, "no certificate"])
async def test_unusable_ca_file_is_named_in_the_error(tmp_path: Path, content: str | None) -> None:
    ca_file = tmp_path / "authority.pem"
    if content is not None:
        ca_file.write_text(content)
    with pytest.raises(ValueError, match=r"authority\.pem cannot be used"):
        async with client_of("https://127.0.0.1", route=Route(ca_file)):
            pass


async def test_https_call_to_a_plain_http_port_is_reported_as_not_sent() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(FOUND)

    async with serving(handle) as url:
        failed = await outcome_of(client_of(url.replace("http:", "https:")), deadline=0.3)
    assert isinstance(failed.outcome, NotSent)
    assert "no TLS connection to 127.0.0.1" in str(failed)


async def test_redirect_is_not_followed() -> None:
    paths = []

    async def handle(request: web.Request) -> web.Response:
        paths.append(request.path)
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(handle) as url:
        failed = await outcome_of(client_of(url))
    assert failed.outcome == HttpRejected("HTTP 307", 307)
    assert paths == ["/v4/group_open_http_svc/get_group_info"]


async def test_calls_with_refused_signature_share_the_new_signature() -> None:
    stale: set[str] = set()
    both = asyncio.Barrier(10)

    async def handle(request: web.Request) -> web.Response:
        usersig = request.query["usersig"]
        if not stale or usersig in stale:
            stale.add(usersig)
            await both.wait()
            return web.json_response(refused(70001))
        fresh.append(usersig)
        return web.json_response(FOUND)

    fresh: list[str] = []
    async with serving(handle) as url, client_of(url) as client:
        await asyncio.gather(*(client.call(GET_GROUP_INFO, READ) for _ in range(10)))
    assert (len(stale), len(fresh), len(set(fresh))) == (1, 10, 1)


async def test_concurrency_limits_the_running_calls() -> None:
    under_way, most = 0, 0

    async def handle(_: web.Request) -> web.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url, concurrency=3) as client:
        await asyncio.gather(*(client.call(GET_GROUP_INFO, READ) for _ in range(12)))
    assert most == 3


async def test_call_without_a_free_connection_is_not_attempted() -> None:
    release, received, count = asyncio.Event(), asyncio.Event(), []

    async def handle(request: web.Request) -> web.Response:
        count.append(request.path)
        received.set()
        await release.wait()
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url, concurrency=1) as client:
        first = asyncio.create_task(client.call(GET_GROUP_INFO, READ))
        await received.wait()
        with pytest.raises(CallFailed, match="all connections were busy") as caught:
            await client.call(GET_GROUP_INFO, READ, deadline=0.1)
        release.set()
        await first
    assert isinstance(caught.value.outcome, NotAttempted)
    assert len(count) == 1


async def test_wait_for_a_connection_does_not_reduce_the_time_of_the_attempt() -> None:
    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(0.15)
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url, concurrency=1, timeouts=Timeouts(call=0.4)) as client:
        await asyncio.gather(*(client.call(GET_GROUP_INFO, READ) for _ in range(5)))


async def test_cancelled_call_frees_its_connection() -> None:
    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(0.05)
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url, concurrency=1) as client:
        call = asyncio.create_task(client.call(GET_GROUP_INFO, READ))
        await asyncio.sleep(0.02)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await client.call(GET_GROUP_INFO, READ, deadline=1.0)


async def test_connection_is_reused_by_the_next_call() -> None:
    peers = set()

    async def handle(request: web.Request) -> web.Response:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url) as client:
        for _ in range(5):
            await client.call(GET_GROUP_INFO, READ)
    assert len(peers) == 1


async def test_clock_skew_is_computed_from_the_date_header() -> None:
    async def handle(_: web.Request) -> web.Response:
        return web.json_response(FOUND)

    async with serving(handle) as url, client_of(url) as client:
        assert client.clock_skew is None
        await client.call(GET_GROUP_INFO, READ)
        assert client.clock_skew == pytest.approx(0.0, abs=2.0)


@pytest.mark.parametrize("encoding", ["identity", "gzip", "deflate"])
async def test_answer_above_the_size_limit_is_ambiguous_and_final(encoding: str) -> None:
    requests: list[bytes] = []
    body = b'{"ErrorCode":0,"ErrorInfo":"%b","GroupInfo":[]}' % (b" " * 300_000)
    packed = {"identity": body, "gzip": gzip.compress(body), "deflate": zlib.compress(body)}[encoding]
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(packed)}\r\n\r\n".encode()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            requests.append(await read_request(reader))
            writer.write(head + packed)
            await writer.drain()

    async with speaking(talk) as url, client_of(url, max_response_bytes=len(body)) as client:
        await client.call(GET_GROUP_INFO, READ)
    failed: CallFailed
    async with speaking(talk) as url:
        failed = await outcome_of(client_of(url, max_response_bytes=len(body) - 1))
    assert failed.outcome == Ambiguous(f"the answer has more than {len(body) - 1:,} bytes", 200)
    assert failed.attempts == 1  # the next answer would be equally large
    assert len(requests) == 2


async def test_endless_response_is_aborted_at_the_size_limit() -> None:
    sent = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
                await writer.drain()
                sent += 65_536

    async with speaking(talk) as url:
        failed = await outcome_of(client_of(url))
    assert failed.outcome == Ambiguous("the answer has more than 4,194,304 bytes", 200)
    assert sent < 64 * 2**20  # what the limit permits, plus socket buffers


async def test_timeout_applies_to_an_endless_response() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        with suppress(ConnectionError):
            while True:
                writer.write(b"1\r\n \r\n")
                await writer.drain()
                await asyncio.sleep(0.001)

    async with speaking(talk) as url:
        failed = await outcome_of(client_of(url, timeouts=Timeouts(call=0.3, total=0.5)))
    assert isinstance(failed.outcome, Ambiguous)
    assert "no answer from 127.0.0.1 within" in str(failed)


def test_use_on_another_event_loop_raises_an_error_that_names_it() -> None:
    client = client_of("http://127.0.0.1:1", clock=FakeClock())
    with asyncio.Runner() as first, asyncio.Runner() as second:
        first.run(client.__aenter__())
        for use in (lambda: client.call(GET_GROUP_INFO, READ), client.close, client.__aenter__):
            with pytest.raises(RuntimeError, match=r"^the adapter was opened on another event loop: .*pytest-asyncio"):
                second.run(use())
        first.run(client.close())
        with pytest.raises(CallFailed, match="connection refused"):
            second.run(used(client))  # after closing, it may be opened on another loop


async def used(client: TencentClient) -> None:
    async with client:
        await client.call(GET_GROUP_INFO, READ)
