"""Server of the stub: addresses, TLS, start and stop, threads, processes, latency."""

import asyncio
import contextlib
import gc
import json
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
import urllib.request
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest
import trustme
from pydantic import SecretStr

import channel_adapter.stub
from channel_adapter import ChannelAdapter, Settings
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.stub.conftest import ACCOUNTS, Caller, Start

IMPORT = f"{ACCOUNTS}/account_import"
SERVE = """
import asyncio, sys
from pathlib import Path
from channel_adapter.stub.server import serve
asyncio.run(serve(ready_file=Path(sys.argv[1]), tls=sys.argv[2] == "tls"))
"""


def wait_for(ready_file: Path, process: subprocess.Popen[bytes]) -> str:
    """Wait until the stale ready file has been replaced, and return its content."""
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            if (line := ready_file.read_text()) != "stale":
                return line
        time.sleep(0.01)
    raise AssertionError("the stub did not become ready")


def test_stop_leaves_no_task_of_disconnected_client(caplog: pytest.LogCaptureFixture) -> None:
    server = StubServer()

    async def disconnect() -> None:
        settings = Settings(sdkappid=server.sdkappid, key=SecretStr(server.key), base_url=server.url)
        async with ChannelAdapter.open(settings) as adapter:
            call = asyncio.ensure_future(adapter.accounts.check(["reader_1"]))
            while not server.in_loop(lambda: sum(server.log.answers.values())):  # noqa: ASYNC110 - of another loop
                await asyncio.sleep(0.01)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    with server.run_in_thread():
        server.in_loop(lambda: server.faults.add(Fault(command="account_check", delay=30.0)))
        asyncio.run(disconnect())
    gc.collect()
    assert "Task was destroyed" not in caplog.text


async def test_each_server_uses_its_own_free_port(stranger: Start) -> None:
    async with StubServer() as one, StubServer() as two:
        assert one.url != two.url
        for server in (one, two):
            await stranger(server).must(IMPORT, {"UserID": "u"})


async def test_chosen_port_is_used_and_port_in_use_is_refused(stranger: Start) -> None:
    async with StubServer() as one:
        port = int(one.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            await StubServer(port=port).start()
    async with StubServer(port=port) as two:
        assert two.url == f"http://127.0.0.1:{port}"


async def test_tls_is_trusted_only_with_ca_file(caller: Caller) -> None:
    async with StubServer(tls=True) as server:
        assert server.url.startswith("https://")
        assert server.ca_file is not None
        folder = server.ca_file.parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert b"PRIVATE" not in b"".join(path.read_bytes() for path in folder.iterdir())
        trusting = aiohttp.TCPConnector(ssl=ssl.create_default_context(cafile=server.ca_file))
        async with aiohttp.ClientSession(connector=trusting) as session:
            await Caller(server, session).must(IMPORT, {"UserID": "u"})
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await Caller(server, caller.session).call(IMPORT, {"UserID": "u"})
    assert not folder.exists()
    assert server.ca_file is None


async def test_tls_certificate_covers_additional_names() -> None:
    async with StubServer(tls=True, tls_names=["stub.example"]) as server:
        context = ssl.create_default_context(cafile=server.ca_file)
        port = int(server.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="stub.example")
        writer.transport.abort()
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="other.example")


async def test_tls_uses_supplied_certificate(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(chain, append=True)
    certificate.private_key_pem.write_to_path(key)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with StubServer(tls=(chain, key)) as server:
        assert server.ca_file is None
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
            await Caller(server, session).must(IMPORT, {"UserID": "u"})


async def test_stop_does_not_wait_for_clients(stranger: Start) -> None:
    """Clients are idle keep-alive connections and calls that would last a minute."""
    server = StubServer(latency=60)
    await server.start()
    caller = stranger(server)
    calls = [asyncio.create_task(caller.call(IMPORT, {"UserID": f"u{n}"})) for n in range(5)]
    idle = [await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2])) for _ in range(5)]
    async with asyncio.timeout(5):
        while server.log.count() < len(calls):  # noqa: ASYNC110 - the log has no reason to signal
            await asyncio.sleep(0.005)
    started = time.perf_counter()
    await server.stop()
    assert time.perf_counter() - started < 1
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, aiohttp.ClientError)
    for reader, writer in idle:
        assert await reader.read() == b""
        writer.close()


async def test_server_can_be_stopped_twice_and_restarted(stranger: Start) -> None:
    server = StubServer()
    await server.stop()
    async with server:
        await stranger(server).must(IMPORT, {"UserID": "u"})
        with pytest.raises(RuntimeError, match="running"):
            await server.start()
    await server.stop()
    with pytest.raises(RuntimeError, match="no address"):
        _ = server.url
    async with server:
        found = await stranger(server).must(f"{ACCOUNTS}/account_check", {"CheckItem": [{"UserID": "u"}]})
        assert found["ResultItem"][0]["AccountStatus"] == "Imported"


async def test_reset_deletes_accounts_and_calls(caller: Caller) -> None:
    await caller.must(IMPORT, {"UserID": "u"})
    caller.server.reset()
    assert caller.server.log.count() == 0
    found = await caller.must(f"{ACCOUNTS}/account_check", {"CheckItem": [{"UserID": "u"}]})
    assert found["ResultItem"][0]["AccountStatus"] == "NotImported"


async def test_latency_delays_every_answer(stranger: Start) -> None:
    async with StubServer(latency=0.05, latency_spread=0.05) as server:
        for command in (IMPORT, "nowhere/nothing"):
            started = time.perf_counter()
            await stranger(server).call(command, {"UserID": "u"})
            assert time.perf_counter() - started >= 0.05


def test_latency_depends_on_seed() -> None:
    one, two, other = (StubServer(latency=0.01, latency_spread=1.0, seed=seed).app.latency for seed in (1, 1, 2))
    drawn = [one.next() for _ in range(5)]
    assert drawn == [two.next() for _ in range(5)] != [other.next() for _ in range(5)]
    assert all(0.01 <= seconds < 1.01 for seconds in drawn)


def test_repr_contains_no_secret() -> None:
    server = StubServer(StubSettings.model_validate({"app": {"key": "5" * 64}}))
    assert server.key == "5" * 64
    assert "5555" not in f"{server!r} {server} {vars(server)} {server.world.settings!r}"


def test_server_runs_in_thread_for_plain_tests() -> None:
    with StubServer(tls=False).run_in_thread() as server:
        request = urllib.request.Request(f"{server.url}/v4/{IMPORT}", b"{}", method="POST")  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            assert json.load(answer)["ErrorCode"] == 60012
        assert server.log.count() == 1
    with pytest.raises(RuntimeError):
        _ = server.url


def test_failed_start_in_thread_raises_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use"), StubServer(port=port).run_in_thread():
            raise AssertionError("it cannot have started")


@pytest.mark.parametrize("transport", ["plain", "tls"])
def test_process_writes_ready_file_and_ends_at_sigterm(tmp_path: Path, transport: str) -> None:
    ready_file = tmp_path / "ready.json"
    ready_file.write_text("stale")
    process = subprocess.Popen([sys.executable, "-c", SERVE, str(ready_file), transport])
    try:
        line = wait_for(ready_file, process)
        ready = json.loads(line)
        assert line.count("\n") == 1
        assert stat.S_IMODE(ready_file.stat().st_mode) == 0o600
        assert list(ready) == ["url", "sdkappid", "admin", "key", "ca_file"]
        assert (ready["ca_file"] is not None) == (transport == "tls")
        host, _, port = ready["url"].partition("://")[2].partition(":")
        with socket.create_connection((host, int(port)), timeout=5):  # an idle client does not delay the end
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
        assert list(tmp_path.iterdir()) == [ready_file]
    finally:
        process.kill()
        process.wait()


async def test_date_of_answer_is_from_clock_of_stub() -> None:
    async with StubServer() as server, aiohttp.ClientSession() as session:
        for moment, date in ((1_773_990_000, "Fri, 20 Mar 2026 07:00:00 GMT"), (0, "Thu, 01 Jan 1970 00:00:00 GMT")):
            server.world.clock.freeze(moment)
            async with session.post(f"{server.url}/v4/openim/x", data=b"{}") as answer:
                assert answer.headers["Date"] == date
        server.world.clock.resume()
        async with session.post(f"{server.url}/v4/openim/x", data=b"{}") as answer:
            told = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        assert abs(told - time.time()) < 60


@pytest.mark.parametrize(
    ("version", "header", "stays_open"),
    [
        ("1.1", "", True),
        ("1.1", "Connection: close\r\n", False),
        ("1.0", "", False),
        ("1.0", "Connection: keep-alive\r\n", True),
    ],
)
async def test_connection_stays_open_on_request_of_client(
    caller: Caller, version: str, header: str, stays_open: bool
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(caller.server.url.rpartition(":")[2]))
    request = f"POST /v4/openim/x HTTP/{version}\r\nHost: localhost\r\n{header}Content-Length: 2\r\n\r\n{{}}".encode()
    writer.write(request * 2)  # the second request is sent before the first answer
    found = await asyncio.wait_for(reader.read() if not stays_open else read_answers(reader, 2), 10)
    assert found.count(b" 200 OK\r\n") == (2 if stays_open else 1)
    for name in (b"Content-Type: application/json\r\n", b"Date: ", b"Server: ", b"Content-Length: "):
        assert name in found
    writer.close()


async def read_answers(reader: asyncio.StreamReader, number: int) -> bytes:
    found = b""
    for _ in range(number):
        head = await reader.readuntil(b"\r\n\r\n")
        found += head + await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]))
    return found


def test_package_imports_server_on_first_use() -> None:
    script = "import sys; import channel_adapter.stub as s; print('aiohttp' in sys.modules, s.StubServer.__name__)"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert found.split() == ["False", "StubServer"]
    with pytest.raises(AttributeError, match="no_such_name"):
        channel_adapter.stub.no_such_name  # noqa: B018


async def test_stub_server_is_public_name_of_package() -> None:
    async with channel_adapter.stub.StubServer() as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert (server.sdkappid, server.admin) == (1400000001, "administrator")
        assert server.key
