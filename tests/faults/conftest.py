"""A scripted service, a clock whose waits do not block, and a client of both."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Self

import orjson
import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from pydantic import SecretStr
from yarl import URL

from channel_adapter.tencent.client import App, Attempt, TencentClient
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.transport import Transport

KEY = "5ca1ab1e" * 8
APP = App(1400000001, "administrator", SecretStr(KEY))
PRIMARY, BACKUP = "https://primary.test", "https://backup.test"
NOW = 1_700_000_000.0

OK: dict[str, Any] = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


def refused(code: int, text: str = "no") -> dict[str, Any]:
    return {"ActionStatus": "FAIL", "ErrorCode": code, "ErrorInfo": text}


class _Unread:
    output_size = 0


class ScriptedResponse(ClientResponse):
    """A response for aiohttp 3.14 and later, which needs a stream writer that aioresponses 0.7.9 does not pass."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", _Unread())
        super().__init__(*args, **kwargs)


class FakeClock:
    """A clock that advances without blocking; `waits` records the durations."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.off_by = 0.0
        self.waits: list[float] = []

    def now(self) -> float:
        return NOW + self.off_by + self.elapsed

    def monotonic(self) -> float:
        return 1000.0 + self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.elapsed += max(0.0, seconds)


@dataclass(frozen=True)
class Sent:
    """A request as the service received it."""

    url: URL
    body: bytes
    options: dict[str, Any]

    async def usersig(self) -> str:
        """Return what the middleware adds to the URL of this request; aioresponses answers without calling it."""
        (middleware,) = self.options["middlewares"]
        signed = SimpleNamespace(url=self.url)

        async def reached(_: object) -> None: ...

        await middleware(signed, reached)
        assert "usersig" not in self.url.query
        usersig: str = signed.url.query["usersig"]
        return usersig


class Script:
    """Answers of the service, one step per request: JSON, (status, text), or an exception to raise."""

    def __init__(self, mock: aioresponses) -> None:
        self._mock = mock

    def then(self, *steps: Any, headers: dict[str, str] | None = None) -> Self:
        for step in steps:
            answer: dict[str, Any] = {"payload": step}
            if isinstance(step, Exception):
                answer = {"exception": step}
            elif isinstance(step, tuple):
                answer = {"status": step[0], "body": step[1]}
            elif isinstance(step, bytes):
                answer = {"body": step}
            anywhere = re.compile(r"https?://.*")
            self._mock.post(anywhere, headers=headers, response_class=ScriptedResponse, **answer)
        return self

    @property
    def sent(self) -> list[Sent]:
        calls = [(url, call.kwargs) for (_, url), calls in self._mock.requests.items() for call in calls]
        return [Sent(url, options["data"], options) for url, options in calls]

    @property
    def bodies(self) -> list[Any]:
        return [orjson.loads(sent.body) for sent in self.sent]


@pytest.fixture
def script() -> Iterator[Script]:
    with aioresponses() as mock:
        yield Script(mock)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def attempts() -> list[Attempt]:
    return []


@pytest.fixture
def client(clock: FakeClock, attempts: list[Attempt]) -> TencentClient:
    """Return a client of the scripted service with a backup host; every attempt is recorded in `attempts`."""
    return TencentClient(APP, Transport(HostPair(PRIMARY, BACKUP), clock=clock), observer=attempts.append)
