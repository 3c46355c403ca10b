"""What the receiver answers to strangers: refused as documented, nothing dispatched, nothing piled up."""

import asyncio
import gc
import json
import logging
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.domain.events import Event, OfficialAccountSubscribed
from channel_adapter.webhooks import MemoryInbox, application, serve
from channel_adapter.webhooks.inbox import NotStoredError
from channel_adapter.webhooks.parse import Received
from channel_adapter.webhooks.receiver import BODY_BYTES, Receiver
from tests.webhooks.sender import APP, COMMAND, TOKEN, Sender, Wire, body, query

GOOD = body("@TOA#_a", "u", 1_736_000_000_000)
UNKNOWN = "Group.CallbackAfterTheTideTurned"


@asynccontextmanager
async def listening(inbox: Any = None, **webhooks: Any) -> AsyncIterator[tuple[Receiver, str, list[Event]]]:
    """A receiver on a socket, its URL, and what its handler hears."""
    table = {"tokens": [TOKEN], "lost_after_seconds": 0.0, **webhooks}
    settings = Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", webhooks=table)
    heard: list[Event] = []
    async with ChannelAdapter.open(settings) as adapter:
        adapter.events.on()(heard.append)
        async with serve(adapter, inbox=inbox or MemoryInbox(window=0.0), path="/hook") as (receiver, url):
            yield receiver, url, heard


async def post(url: str, content: bytes = GOOD, text: str | None = None, method: str = "POST") -> tuple[int, Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{url}?{query() if text is None else text}", data=BytesIO(content)) as answer,
    ):
        return answer.status, await answer.json()


def deep(levels: int) -> bytes:
    return GOOD[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"


REFUSED: dict[str, tuple[bytes, Callable[[], str], int, str]] = {  # a query ages, so each is made when it is used
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


@pytest.mark.parametrize("case", REFUSED)
async def test_what_is_no_webhook_is_refused_and_dispatched_nowhere(case: str) -> None:
    content, text, status, reason = REFUSED[case]
    async with listening() as (receiver, url, heard):
        assert await post(url, content, text()) == (status, {"error": reason})
        assert receiver.counters.refused == {reason: 1}
        assert await post(url) == (200, {"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0})
        await receiver.inbox.idle()
        assert [type(event) for event in heard] == [OfficialAccountSubscribed]


async def test_other_methods_and_other_places() -> None:
    async with listening() as (_, url, heard):
        assert await post(url, method="PUT") == (405, {"error": "method"})
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as answer:
                assert (answer.status, answer.headers["Allow"]) == (405, "POST")
            async with session.post(f"{url}/elsewhere?{query()}", data=GOOD) as answer:
                assert answer.status == 404
        assert heard == []


async def test_a_replay_is_answered_and_handled_once() -> None:
    async with listening() as (receiver, url, heard):
        text = query()
        assert [(await post(url, GOOD, text))[0] for _ in range(5)] == [200] * 5
        await receiver.inbox.idle()
        assert len(heard) == 1
        assert receiver.counters["duplicates"] == 4


async def test_each_request_is_counted_once() -> None:
    before = "Group.CallbackBeforeCreateGroup"
    asks = json.dumps({"CallbackCommand": before, "Type": "Community", "Owner_Account": "u"}).encode()
    async with listening() as (receiver, url, _):
        asked = [(GOOD, query()), (GOOD, query()), (asks, query(before)), (b"[1]", query())]
        assert [(await post(url, *each))[0] for each in asked] == [200, 200, 200, 400]
        await receiver.inbox.idle()
        assert receiver.counters.snapshot() == {
            "received": 4, "stored": 1, "duplicates": 1, "decided": 1, "refused.not_json": 1, "handled": 1,
        }  # fmt: skip


async def test_ten_thousand_unknown_commands_are_answered_and_leave_nothing_behind() -> None:
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


async def test_slow_bodies_and_slow_heads_are_cut() -> None:
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


async def test_a_connection_that_is_kept_is_not_cut() -> None:
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
    """Keeps everybody waiting until it is told to go on, and then nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.go = asyncio.Event()

    async def store(self, received: Received) -> bool:
        await self.go.wait()
        raise NotStoredError("the disk is full")


async def test_too_many_at_once_are_turned_away_and_what_is_not_stored_is_not_acknowledged() -> None:
    inbox = SlowInbox()
    async with listening(inbox, requests_at_once=3) as (receiver, url, _):
        asking = asyncio.gather(*(post(url) for _ in range(5)))
        async with asyncio.timeout(60):
            while receiver.counters.refused.get("too_many", 0) < 2:  # noqa: ASYNC110 - counters have no waiters
                await asyncio.sleep(0.005)
        inbox.go.set()
        answers = await asking
        assert sorted(answer["error"] for _, answer in answers) == ["not_stored"] * 3 + ["too_many"] * 2
        assert {status for status, _ in answers} == {503}
        assert receiver.counters["received"] == 5


async def test_without_a_token_it_says_so_and_believes_everybody(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(tokens=[]) as (_, url, _):
        assert (await post(url, GOOD, query().partition("&Sign=")[0]))[0] == 200
        assert "webhooks.unsigned" in caplog.text
        assert "webhooks.memory_inbox" in caplog.text


async def test_no_log_has_a_secret(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    caplog.set_level(logging.DEBUG)
    async with listening() as (_, url, _):
        for content, text, _, _ in REFUSED.values():
            await post(url, content, text())
    told = caplog.text + "".join(capsys.readouterr())
    assert "webhooks.refused" in told
    for secret in (TOKEN, "Sign=", query().partition("Sign=")[2][:64]):
        assert secret not in told


async def test_it_can_be_mounted_in_an_application() -> None:
    table = {"tokens": [TOKEN]}
    settings = Settings.load(None, sdkappid=APP, key="0" * 64, base_url="http://127.0.0.1:9", webhooks=table)
    async with ChannelAdapter.open(settings) as adapter:
        stream = adapter.events.stream(OfficialAccountSubscribed)
        first = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        app = web.Application()
        app.add_subapp("/hooks", application(adapter, inbox=MemoryInbox(window=0.0)))
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            site = web.SockSite(runner, bound)
            await site.start()
            assert (await post(f"http://127.0.0.1:{bound.getsockname()[1]}/hooks/"))[0] == 200
            assert (await first).users == ("u",)
            await stream.aclose()
            await runner.cleanup()


def test_the_bodies_here_are_what_they_say() -> None:
    assert json.loads(GOOD)["CallbackCommand"] == COMMAND
