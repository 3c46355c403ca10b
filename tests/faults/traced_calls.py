"""Calls of a client in a process with an observability library; prints as JSON what the library exported.

    python -m tests.faults.traced_calls opentelemetry|sentry|hooks [telemetry]

With `telemetry` the calls are those of an adapter with telemetry, some through a proxy with a password.

Runs in a separate process, because these libraries patch aiohttp.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import aiohttp
import sentry_sdk
from aiohttp import TraceConfig
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_tracer_provider
from pydantic import SecretStr
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.aiohttp import AioHttpIntegration
from sentry_sdk.transport import Transport
from yarl import URL

from channel_adapter import ChannelAdapter, ChannelAdapterError, Settings
from channel_adapter.tencent.catalog import GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.client import CallFailed, TencentClient, Timeouts
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.transport import Transport as HttpTransport
from channel_adapter.tencent.wire.groups import GetGroupInfoRequest
from channel_adapter.tencent.wire.messages import SendGroupMsgRequest
from tests.faults.conftest import APP, OK, refused
from tests.faults.test_client_network import answer, nobody_listens, read_request, speaking

READ = GetGroupInfoRequest(group_id_list=["@TGS#_harbor"])
POST = SendGroupMsgRequest(group_id="@TGS#_harbor", random=7, msg_body=[])
PROXY_PASSWORD = "orchid7-hidden"
TEXT = "nobody but the reader"
QUICK = Timeouts(connect=0.2, call=0.5, total=0.6)


Calls = Callable[["Seen", Callable[[BaseException], object]], Awaitable[None]]


class Seen:
    """Data that left the process: signatures sent to the server, texts sent to the observability library."""

    def __init__(self) -> None:
        self.usersigs: list[str] = []
        self.exported: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer as the service; the second request is refused with a text that contains its URL.

        Does not use the server of aiohttp, because Sentry also reports the requests received by it.
        """
        for number in range(3):
            url = (await read_request(reader)).split(b" ", 2)[1].decode()
            self.usersigs.append(URL(url, encoded=True).query["usersig"])
            writer.write(answer(json.dumps(refused(10004, url) if number == 1 else OK | {"GroupInfo": []}).encode()))
            await writer.drain()


async def _not_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"220 mail.example.org ESMTP\r\n\r\n")
    await writer.drain()


async def _hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)


async def calls(seen: Seen, report: Callable[[BaseException], object]) -> None:
    """Make calls that are answered, refused, cut off, not HTTP, too late, and without a server."""
    late = asyncio.Event()

    async def stall(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
        await late.wait()

    async with speaking(seen.handle) as url, TencentClient(APP, HttpTransport(HostPair(url))) as client:
        await client.call(SEND_GROUP_MSG, POST)
        with suppress(CallFailed):
            await client.call(GET_GROUP_INFO, READ)
        await client.call(GET_GROUP_INFO, READ)
    async with speaking(_not_http) as odd, speaking(_hang_up) as rude, speaking(stall) as silent:
        for url in (odd, rude, silent, silent.replace("http:", "https:"), await nobody_listens()):
            async with TencentClient(APP, HttpTransport(HostPair(url), timeouts=QUICK)) as client:
                try:
                    await client.call(GET_GROUP_INFO, READ)
                except CallFailed as failed:
                    report(failed)
        late.set()


def _through_proxy(base: Settings, address: str, proxy: str) -> Settings:
    """Return settings; the password is in no variable of a calling function, because Sentry exports these."""
    with_user = SecretStr(proxy.replace("//", f"//harbor:{PROXY_PASSWORD}@"))
    quick = {"connect_seconds": 0.2, "call_seconds": 0.5, "total_seconds": 0.6}
    return base.model_copy(update={"base_url": address, "proxy": with_user, **quick})


async def adapter_calls(seen: Seen, report: Callable[[BaseException], object]) -> None:
    """Carry out operations of an adapter with telemetry: answered, refused, and through an unreachable proxy."""
    async with speaking(seen.handle) as url:
        base = Settings(sdkappid=APP.sdkappid, admin=APP.admin, key=APP.key, base_url=url, telemetry=True)
        async with ChannelAdapter.open(base) as adapter:
            await adapter.call("group_open_http_svc", "send_group_msg", {"MsgBody": TEXT})
            for _ in range(2):
                try:
                    await adapter.channels.update("harbor_news", name=TEXT)
                except ChannelAdapterError as failed:
                    report(failed)
    nowhere = await nobody_listens()
    for address in (url, url.replace("http:", "https:")):
        async with ChannelAdapter.open(_through_proxy(base, address, nowhere)) as adapter:
            try:
                await adapter.channels.get("harbor_news")
            except ChannelAdapterError as failed:
                report(failed)


async def opentelemetry(seen: Seen, calls: Calls) -> None:

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    set_tracer_provider(provider)
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    with provider.get_tracer("tests").start_as_current_span("calls") as span:
        await calls(seen, span.record_exception)
    seen.exported = [str(span.to_json()) for span in exporter.get_finished_spans()]


async def sentry(seen: Seen, calls: Calls) -> None:

    class Memory(Transport):
        def capture_envelope(self, envelope: Envelope) -> None:
            seen.exported.append(envelope.serialize().decode(errors="replace"))

    sentry_sdk.init(
        dsn="http://public@127.0.0.1:9/1",
        transport=Memory,
        traces_sample_rate=1.0,
        integrations=[AioHttpIntegration()],
        include_local_variables=True,
        max_breadcrumbs=100,
    )
    with sentry_sdk.start_transaction(name="calls"):
        await calls(seen, sentry_sdk.capture_exception)
        sentry_sdk.capture_message("the end")
    sentry_sdk.flush()


async def hooks(seen: Seen, calls: Calls) -> None:
    """Add all trace hooks of aiohttp to every session, as the libraries do."""

    def note(value: Any, depth: int = 4) -> None:
        if isinstance(value, BaseException):
            seen.exported.append("".join(traceback.format_exception(value)))
        seen.exported.append(repr(value))
        for name in dir(value) if depth and type(value).__module__.startswith("aiohttp") else ():
            if not name.startswith("_") and name not in {"content", "loop", "session"}:
                with suppress(Exception):
                    held = getattr(value, name)
                    if not callable(held):
                        note(held, depth - 1)

    async def hook(_: aiohttp.ClientSession, __: object, params: object) -> None:
        note(params)

    config = TraceConfig()
    for name in dir(config):
        if name.startswith("on_"):
            getattr(config, name).append(hook)
    config.freeze()
    make = aiohttp.ClientSession.__init__

    def with_hooks(session: aiohttp.ClientSession, *args: Any, **options: Any) -> None:
        make(session, *args, trace_configs=[config], **options)

    aiohttp.ClientSession.__init__ = with_hooks  # type: ignore[method-assign, assignment]
    await calls(seen, note)


def main() -> None:
    seen = Seen()
    made = adapter_calls if "telemetry" in sys.argv else calls
    asyncio.run({"opentelemetry": opentelemetry, "sentry": sentry, "hooks": hooks}[sys.argv[1]](seen, made))
    sys.stdout.write(json.dumps(vars(seen)))


if __name__ == "__main__":
    main()
