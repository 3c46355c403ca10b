"""The service as a sender: concurrent signed requests, written from the documentation [webhooks 1, 7]."""

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

APP = 1_400_000_000
TOKEN = "orchid-7f"  # vector from the documentation
COMMAND = "OfficialAccount.CallbackAfterAddSubscriber"


def body(account: str, who: str, at: int, command: str = COMMAND) -> bytes:
    """Return the event that a user follows an official account; it is interpreted without a call to the service."""
    return json.dumps(
        {
            "CallbackCommand": command,
            "Official_Account": account,
            "Operator_Account": who,
            "SubscribeAccountList": [{"Subscriber_Account": who}],
            "EventTime": at,
        }
    ).encode()


def query(command: str = COMMAND, *, app: int = APP, token: str = TOKEN, now: float | None = None) -> str:
    moment = str(int(time.time() if now is None else now))
    sign = hashlib.sha256((token + moment).encode()).hexdigest()
    return (
        f"SdkAppid={app}&CallbackCommand={command}&contenttype=json&ClientIP=127.0.0.1&OptPlatform=iOS"
        f"&Sign={sign}&RequestTime={moment}"
    )


@dataclass
class Sender:
    """Keeps connections open and uses plain HTTP/1.1 on them, with less overhead than the measured code."""

    url: str
    statuses: dict[int, int] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    lost: int = 0

    async def post(self, content: bytes, command: str = COMMAND, wire: "Wire | None" = None) -> int:
        """Send one request; return its status, or 0 without a response. Without a wire it opens a connection."""
        own = wire or Wire(self.url)
        begun = time.perf_counter()
        try:
            status = await own.post(content, query(command))
        except (OSError, EOFError, asyncio.IncompleteReadError):
            await own.close()
            self.lost += 1
            status = 0
        else:
            self.seconds.append(time.perf_counter() - begun)
        if wire is None:
            await own.close()
        self.statuses[status] = self.statuses.get(status, 0) + 1
        return status

    async def flood(self, bodies: list[bytes], connections: int) -> list[int]:
        """Send all bodies as fast as they are answered, over this many connections; return their statuses."""
        answers = [0] * len(bodies)
        waiting = iter(range(len(bodies)))

        async def speak() -> None:
            wire = Wire(self.url)
            for number in waiting:
                answers[number] = await self.post(bodies[number], wire=wire)
            await wire.close()

        await asyncio.gather(*(speak() for _ in range(connections)))
        return answers

    async def insist(self, bodies: list[bytes], connections: int) -> None:
        """Send all bodies until each is acknowledged; a busy machine may answer 503 first."""
        while bodies:
            answers = await self.flood(bodies, connections)
            bodies = [content for content, status in zip(bodies, answers, strict=True) if status != 200]

    async def pace(self, bodies: list[bytes], per_second: float, connections: int = 32) -> None:
        """Send bodies at a steady rate, independent of the responses."""
        free: asyncio.Queue[Wire] = asyncio.Queue()
        for _ in range(connections):
            free.put_nowait(Wire(self.url))
        start = time.perf_counter()

        async def speak(content: bytes) -> None:
            wire = await free.get()
            await self.post(content, wire=wire)
            free.put_nowait(wire)

        async with asyncio.TaskGroup() as tasks:
            for number, content in enumerate(bodies):
                await asyncio.sleep(max(0.0, start + number / per_second - time.perf_counter()))
                tasks.create_task(speak(content))
        while not free.empty():
            await free.get_nowait().close()

    def percentile(self, share: float) -> float:
        """Return the seconds within which this share of the responses arrived."""
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


class Wire:
    """One connection, opened when needed and reopened after it was closed."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path or "/"
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, content: bytes, query_string: str) -> int:
        """Return the status of the response."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
        reader, writer = self._streams
        head = (
            f"POST {self._path}?{query_string} HTTP/1.1\r\nHost: {self._host}\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        writer.write(head.encode() + content)
        answer = await reader.readuntil(b"\r\n\r\n")
        headers = answer.lower()
        length = int(headers.partition(b"content-length:")[2].split(b"\r\n", 1)[0] or 0)
        await reader.readexactly(length)
        if b"connection: close" in headers:
            await self.close()
        return int(answer.split(b" ", 2)[1])

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
