"""Calls through an HTTP proxy on loopback: CONNECT for https, the absolute form for http, and its failures."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from channel_adapter import Attempt, ChannelAdapter, ConfigurationError, Settings, UnavailableError
from channel_adapter.stub.server import StubServer

PASSWORD = "orchid7-hidden"


class LoopbackProxy:
    """An HTTP proxy. `requests`: the first lines received; `heads`: whole heads; `status`: its refusal, if any.

    A connection without a tunnel carries one request.
    """

    def __init__(self, status: int | None = None, user: str | None = None) -> None:
        self.requests: list[str] = []
        self.heads: list[str] = []
        self.hangs_up = False
        self.url = ""
        self._status = status
        self._user = user
        self._tasks: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["LoopbackProxy"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._forward(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        method, target, _ = head.split(" ", 2)
        self.requests.append(f"{method} {target}")
        self.heads.append(head)
        if self.hangs_up:
            return
        expected = base64.b64encode(self._user.encode()).decode() if self._user else None
        if expected is not None and f"Proxy-Authorization: Basic {expected}\r\n" not in head:
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return
        if self._status is not None:
            writer.write(f"HTTP/1.1 {self._status} Refused\r\nContent-Length: 0\r\n\r\n".encode())
            return
        place = urlsplit(target if method != "CONNECT" else f"//{target}")
        out_reader, out_writer = await asyncio.open_connection(place.hostname, place.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = target[len(f"{place.scheme}://{place.netloc}") :]
            head = head.replace(target, path, 1).replace("\r\n", "\r\nConnection: close\r\n", 1)
            out_writer.write(head.encode())
        await asyncio.gather(_copy(reader, out_writer), _copy(out_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def settings_of(server: StubServer, **more: Any) -> Settings:
    return Settings(
        sdkappid=server.sdkappid,
        key=server.key,
        admin=server.admin,
        base_url=server.url,
        ca_file=server.ca_file,
        **more,
    )


def with_user(url: str, user: str) -> str:
    return url.replace("//", f"//{user}@")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_calls_are_sent_through_the_proxy(tls: bool) -> None:
    async with StubServer(tls=tls) as server, LoopbackProxy().listening() as proxy:
        async with ChannelAdapter.open(settings_of(server, proxy=proxy.url)) as adapter:
            assert (await adapter.accounts.add(["reader_1", "reader_2"])).complete
            assert await adapter.accounts.check(["reader_1", "reader_3"]) == {"reader_1": True, "reader_3": False}
        assert [call.command for call in server.log.calls()] == [
            "account_check",
            "multiaccount_import",
            "account_check",
        ]
        host = urlsplit(server.url).netloc
    if tls:  # one tunnel, whose content the proxy cannot read
        assert proxy.requests == [f"CONNECT {host}"]
        assert "usersig" not in "".join(proxy.heads).lower()
    else:
        assert proxy.requests[0].startswith(f"POST http://{host}/v4/im_open_login_svc/account_check?")


@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
async def test_proxy_credentials_are_sent_to_the_proxy_only(tls: bool, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with StubServer(tls=tls) as server, LoopbackProxy(user=f"harbor:{PASSWORD}").listening() as proxy:
        settings = settings_of(server, proxy=with_user(proxy.url, f"harbor:{PASSWORD}"))
        async with ChannelAdapter.open(settings) as adapter:
            assert (await adapter.accounts.add(["reader_1"])).complete
        shown = [
            repr(settings),
            str(settings.model_dump()),
            repr(adapter),
            *(each.getMessage() for each in caplog.records),
        ]
        async with ChannelAdapter.open(
            settings_of(server, proxy=with_user(proxy.url, f"harbor:{PASSWORD}x"))
        ) as adapter:
            with pytest.raises(UnavailableError, match="407") as refused:
                await adapter.accounts.check(["reader_1"])
        assert refused.value.origin is not None
        assert refused.value.origin.attempts == 1
        shown += [str(refused.value), repr(refused.value), repr(refused.value.origin), repr(refused.value.__cause__)]
    assert PASSWORD not in "".join(shown)
    assert base64.b64encode(f"harbor:{PASSWORD}".encode()).decode() not in "".join(shown)


async def test_request_with_refused_tunnel_is_not_sent() -> None:
    attempts: list[Attempt] = []
    async with StubServer(tls=True) as server, LoopbackProxy(status=503).listening() as proxy:
        settings = settings_of(server, proxy=proxy.url)
        async with ChannelAdapter.open(settings, observer=attempts.append) as adapter:
            with pytest.raises(UnavailableError, match=r"the proxy made no connection \(HTTP 503\)"):
                await adapter.call("group_open_http_svc", "destroy_group", {"GroupId": "@TGS#_harbor"})
            proxy.hangs_up = True
            with pytest.raises(UnavailableError, match="the proxy closed the connection without an answer"):
                await adapter.call("group_open_http_svc", "destroy_group", {"GroupId": "@TGS#_harbor"})
    assert {each.outcome_kind for each in attempts} == {"not_sent"}
    assert list(server.log.calls()) == []


async def test_unreachable_proxy_is_named_in_the_error() -> None:
    async with LoopbackProxy().listening() as proxy:
        gone = with_user(proxy.url, f"harbor:{PASSWORD}")
    async with StubServer() as server, ChannelAdapter.open(settings_of(server, proxy=gone)) as adapter:
        place = urlsplit(proxy.url).netloc
        with pytest.raises(UnavailableError, match=f"no connection to the proxy {place}: connection refused") as failed:
            await adapter.accounts.check(["reader_1"])
    assert PASSWORD not in f"{failed.value}{failed.value.origin!r}"


async def test_proxies_of_the_environment_are_ignored_unless_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        StubServer() as server,
        LoopbackProxy().listening() as named,
        LoopbackProxy().listening() as ours,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, named.url)
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)

        async def check(**more: Any) -> tuple[int, int]:
            before = len(named.requests), len(ours.requests)
            async with ChannelAdapter.open(settings_of(server, **more)) as adapter:
                await adapter.accounts.check(["reader_1"])
            return len(named.requests) - before[0], len(ours.requests) - before[1]

        assert await check() == (0, 0)
        assert await check(trust_env=True) == (1, 0)
        assert await check(trust_env=True, proxy=ours.url) == (0, 1)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert await check(trust_env=True) == (0, 0)


@pytest.mark.parametrize(
    ("proxy", "says"),
    [
        ("socks5://127.0.0.1:1080", "must look like http://host:port"),
        ("127.0.0.1:3128", "must look like http://host:port"),
        (f"http://harbor:{PASSWORD}@", "must look like http://host:port"),
        (f"http://harbor:{PASSWORD}/x@proxy.test:3128", "broken host or port"),
        ("http://proxy.test:3128/path", "without path"),
        ("http://proxy.test:0", "must look like"),
        (f"http://harbor:{PASSWORD}@proxy.test:port", "broken host or port"),
    ],
)
def test_invalid_proxy_is_refused_without_showing_its_password(proxy: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as refused:
        Settings(sdkappid=1, key="k", region="seoul", proxy=proxy)
    assert refused.value.field == "proxy"
    assert PASSWORD not in str(refused.value)


def test_proxy_is_read_from_the_environment_variable_of_this_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "adapter.toml").write_text('sdkappid = 1\nkey = "k"\nregion = "seoul"\ntrust_env = true\n')
    monkeypatch.setenv("CHANNEL_ADAPTER_PROXY", f"http://harbor:{PASSWORD}@proxy.test:3128\n")
    settings = Settings.load(tmp_path / "adapter.toml")
    assert settings.trust_env
    assert settings.proxy is not None
    assert settings.proxy.get_secret_value() == f"http://harbor:{PASSWORD}@proxy.test:3128"
