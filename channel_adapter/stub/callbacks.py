"""Webhooks out: the app's own server is asked before and told after, as the service would [webhooks 1-3, 10].

Before-events hold up the call until the app answers or two seconds have passed. After-events are queued and cost the
caller nothing; they arrive in order unless a setting mixes them up, at most once unless retries are on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterator
from random import Random
from typing import Any, Final, NamedTuple

import aiohttp
import orjson
from yarl import URL

from channel_adapter.stub.callback_request import WebhookSettings, body_of, url_of
from channel_adapter.stub.world.call import ALLOW, Decision, Event
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.world import World
from channel_adapter.tencent import codes
from channel_adapter.tencent.wire.envelope import OK

DELIVERIES_KEPT: Final = 10_000
ANSWERED: Final = "answered"
_BLOCKED: Final = {  # what the caller sees when the app is silent and the policy is to block [webhooks 3, 10; inferred]
    "Group.CallbackBeforeSendMsg": codes.WEBHOOK_SILENT,
    "OfficialAccount.CallbackBeforeSendMsg": codes.WEBHOOK_SILENT,
    "OfficialAccount.CallbackBeforeCreateOfficialAccount": codes.MESSAGE_WEBHOOK_REFUSED,
}


class Delivery(NamedTuple):
    """One event on its way: every attempt is an entry. `outcome` is `answered`, or what went wrong."""

    number: int
    at: float
    command: str
    body: dict[str, Any]
    platform: str
    client_ip: str
    outcome: str


class Webhooks:
    """Speaks for the service to the app's server. Runs in the event loop between `start` and `stop`."""

    def __init__(self, world: World, settings: WebhookSettings | None = None, *, seed: int = 0) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)
        self._world = world
        self.settings = settings or WebhookSettings()
        self._random = Random(seed)  # noqa: S311 - disorder that can be repeated
        self._peer = ""
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._line: asyncio.Queue[tuple[Event, str]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"Webhooks({self.settings.url or 'off'}, {len(self.deliveries)} deliveries)"

    @property
    def settings(self) -> WebhookSettings:
        """Where the app listens, and how; set it at any time. A world whose app does not listen makes no events."""
        return self._settings

    @settings.setter
    def settings(self, settings: WebhookSettings) -> None:
        self._settings = settings
        self._world.on_event = None if settings.url is None else self.tell

    @property
    def on(self) -> bool:
        """True when there is an app to ask and tell."""
        return self.settings.url is not None and self._loop is not None

    async def start(self) -> None:
        """Begin to deliver."""
        self._loop = asyncio.get_running_loop()
        self._line = asyncio.Queue()
        self._keep(self._work())

    async def stop(self) -> None:
        """Stop at once; what was not delivered is lost, as it would be."""
        self._loop = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def idle(self) -> None:
        """Wait until every event so far has been delivered or given up."""
        await self._line.join()

    @contextlib.contextmanager
    def on_behalf_of(self, peer: str | None) -> Iterator[None]:
        """Events of the block get this address as their ClientIP."""
        self._peer = peer or ""
        try:
            yield
        finally:
            self._peer = ""

    async def ask(self, event: Event | None, peer: str | None) -> Decision:
        """What the app says beforehand. Silence allows the call, or refuses it if the policy of the command says so."""
        if event is None or not self.settings.wants(event.command):
            return ALLOW
        answer = await self._post(event, peer or "")
        if answer is not None:
            return Decision.from_answer(answer)
        if self.settings.blocks(event.command):
            code = _BLOCKED.get(event.command, codes.WEBHOOK_REFUSED)
            raise Refusal(code, "the app's webhook did not answer, and its policy is to block")
        return ALLOW

    def tell(self, event: Event) -> None:
        """Queue an after-event; callable from any thread."""
        if self._loop is not None and self.settings.url is not None and self.settings.wants(event.command):
            item = (event, self._peer)
            if self._loop is _running_loop():
                self._line.put_nowait(item)
            else:
                self._loop.call_soon_threadsafe(self._line.put_nowait, item)

    def redeliver(self, number: int) -> bool:
        """Send a delivery again as a new one; False when it is not kept."""
        found = next((delivery for delivery in self.deliveries if delivery.number == number), None)
        if found is not None and self.on:
            self._line.put_nowait((Event(found.command, found.body, found.platform), found.client_ip))
        return found is not None and self.on

    async def _work(self) -> None:
        while True:
            event, peer = await self._line.get()
            settings = self.settings
            copies = 2 if self._random.random() < settings.duplicate else 1
            delay = settings.delay + settings.delay_spread * self._random.random()
            if settings.delay_spread:
                self._keep(self._deliver(event, peer, delay, copies))
            else:
                await self._deliver(event, peer, delay, copies)

    async def _deliver(self, event: Event, peer: str, delay: float, copies: int) -> None:
        try:
            if delay:
                await asyncio.sleep(delay)
            for _ in range(copies):
                await self._insist(event, peer)
        finally:
            self._line.task_done()

    async def _insist(self, event: Event, peer: str) -> None:
        """Once, and again after silence as often as retries are set [webhooks 3]."""
        for attempt in range(1 + self.settings.retries):
            if attempt:
                await asyncio.sleep(self.settings.retry_delay)
            if await self._post(event, peer) is not None:
                return

    async def _post(self, event: Event, peer: str) -> dict[str, Any] | None:
        """Send one request; the app's answer if it is one, else None. Both are written down."""
        settings = self.settings
        url = url_of(
            settings, event, sdkappid=self._world.settings.app.sdkappid, client_ip=peer, now=self._world.clock.now()
        )
        answer, outcome = await self._exchange(url, orjson.dumps(body_of(settings, event)))
        self._count += 1
        self.deliveries.append(
            Delivery(self._count, self._world.clock.now(), event.command, event.body, event.platform, peer, outcome)
        )
        return answer

    async def _exchange(self, url: str, body: bytes) -> tuple[dict[str, Any] | None, str]:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        seconds = self.settings.timeout
        try:
            async with self._session.post(
                URL(url, encoded=True),
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as got:
                return read_answer(got.status, await got.read())
        except TimeoutError:
            return None, f"no answer within {seconds:g} s"
        except (aiohttp.ClientError, OSError) as trouble:
            return None, f"not reached: {type(trouble).__name__}"

    def _keep(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def read_answer(status: int, body: bytes) -> tuple[dict[str, Any] | None, str]:
    """The app's answer, or None and why it does not count: not 200, not JSON, not `OK` [webhooks 2]."""
    if status != 200:
        return None, f"HTTP {status}"
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, "the answer is not JSON"
    if not isinstance(answer, dict) or not isinstance(answer.get("ErrorCode"), int):
        return None, "the answer has no ErrorCode"
    if answer.get("ActionStatus") != OK:
        return None, "the answer's ActionStatus is not OK"
    return answer, ANSWERED


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
