"""Webhooks out: the app's own server is asked before and told after, as the service would [webhooks 1-3, 10].

Before-events hold up the call until the app answers or two seconds have passed. After-events are queued and cost the
caller nothing; they arrive in order unless a setting mixes them up, at most once unless retries are on.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping
from functools import partial
from random import Random
from typing import Any, Final, NamedTuple, TypeVar

import aiohttp
import orjson
from yarl import URL

from channel_adapter.stub.callbacks.request import CallbackSettings, body_of, url_of
from channel_adapter.stub.world.context import ALLOW, RESTAPI, CallbackDecision, CallbackEvent
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import codes
from channel_adapter.tencent.wire.callback_samples import sample_body, samples
from channel_adapter.tencent.wire.callbacks import is_before
from channel_adapter.tencent.wire.callbacks_group import BeforeSendMsg
from channel_adapter.tencent.wire.callbacks_official import (
    BeforeAddSubscriber,
    BeforeCreateOfficialAccount,
    OfficialBeforeSendMsg,
)
from channel_adapter.tencent.wire.envelope import OK

ANSWERED: Final = "answered"


class Delivery(NamedTuple):
    """One attempt to deliver an event. `outcome` is `answered`, or what went wrong; `answer` is the app's JSON then.

    `body` is the event as it happened: what the settings bend is bent on each attempt anew.
    """

    number: int
    at: float
    command: str
    body: dict[str, Any]
    platform: str
    client_ip: str
    outcome: str
    answer: dict[str, Any] | None = None


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


def sample_event(command: str, changes: Mapping[str, Any], *, now: float, platform: str | None = None) -> CallbackEvent:
    """The sample of a command with changes, as of `now` in unix seconds; a command without one has the changes only.

    Changes are merged as RFC 7396 has it. `platform` None: where the sample says that it comes from.
    """
    sample = samples().get(command)
    usual = sample.platform if sample is not None else RESTAPI
    return CallbackEvent(command, sample_body(command, changes, now=now), usual if platform is None else platform)


ResultT = TypeVar("ResultT")

DELIVERIES_KEPT: Final = 10_000
LOCAL_ADDRESS: Final = "127.0.0.1"  # ClientIP of events that the stub makes up itself
_BLOCKED: Final = {  # what the caller sees when the app is silent and the policy is to block [webhooks 3, 10; inferred]
    BeforeSendMsg.command: codes.WEBHOOK_SILENT,
    OfficialBeforeSendMsg.command: codes.WEBHOOK_SILENT,
    BeforeCreateOfficialAccount.command: codes.MESSAGE_WEBHOOK_REFUSED,
    BeforeAddSubscriber.command: codes.MESSAGE_WEBHOOK_REFUSED,
}


class WebhooksOffError(RuntimeError):
    """There is no app to tell: no URL is set, or the stub does not run."""


class _Queued(NamedTuple):
    """An event that waits for its turn. `done` gets the last delivery, for whoever wants to know."""

    event: CallbackEvent
    remote: str
    done: asyncio.Future[Delivery] | None = None


class WebhookSender:
    """Speaks for the service to the app's server. Runs in the event loop between `start` and `stop`."""

    def __init__(self, world: StubState, settings: CallbackSettings | None = None, *, seed: int = 0) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)
        self._world = world
        self.settings = settings or CallbackSettings()
        self._random = Random(seed)  # noqa: S311 - disorder that can be repeated
        self._client_ip = ""
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._queued: asyncio.Queue[_Queued] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"WebhookSender({self.settings.url or 'off'}, {len(self.deliveries)} deliveries)"

    @property
    def settings(self) -> CallbackSettings:
        """Where the app listens, and how; set it at any time. A world whose app does not listen makes no events."""
        return self._settings

    @settings.setter
    def settings(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._world.listen(None if settings.url is None else self.send)

    @property
    def on(self) -> bool:
        """True when there is an app to ask and tell."""
        return self.settings.url is not None and self._loop is not None

    async def start(self) -> None:
        """Begin to deliver."""
        self._loop = asyncio.get_running_loop()
        self._queued = asyncio.Queue()
        self._keep(self._deliver_queued())

    async def stop(self) -> None:
        """Stop at once; what was not delivered is lost, as it would be."""
        self._loop = None
        tasks = self._drop()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def reset(self) -> None:
        """Forget what was delivered and what waits to be; callable from any thread."""
        self.deliveries.clear()
        if self._loop is _running_loop():
            self._restart()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._restart)

    async def idle(self) -> None:
        """Wait until every event so far has been delivered or given up; callable from any loop."""
        if self._loop is not None:
            await self._in_loop(self._queued.join)

    @contextlib.contextmanager
    def on_behalf_of(self, remote: str | None) -> Iterator[None]:
        """Events of the block get this address as their ClientIP."""
        self._client_ip = remote or ""
        try:
            yield
        finally:
            self._client_ip = ""

    async def ask(self, event: CallbackEvent | None, remote: str | None) -> CallbackDecision:
        """What the app says beforehand. Silence allows the call, or refuses it if the policy of the command says so."""
        if event is None or not self.settings.wants(event.command):
            return ALLOW
        answer = (await self._post(event, remote or "")).answer
        if answer is not None:
            return CallbackDecision.from_answer(answer, event.command)
        if self.settings.blocks(event.command):
            code = _BLOCKED.get(event.command, codes.WEBHOOK_REFUSED)
            info = "the app's webhook did not answer, and its policy is to block"
            raise Refusal(code, info, guess="webhook-silence-code")
        return ALLOW

    def send(self, event: CallbackEvent) -> None:
        """Queue an after-event; callable from any thread."""
        if self.on and self.settings.wants(event.command):
            self._queue(_Queued(event, self._client_ip))

    async def trigger(
        self,
        command: str,
        changes: Mapping[str, Any] | None = None,
        /,
        *,
        platform: str | None = None,
        client_ip: str = LOCAL_ADDRESS,
        **fields: Any,
    ) -> Delivery:
        """Send an event that nothing in the world has caused, and wait until it is delivered or given up.

        Any command, also one that is switched off or unknown. `changes` and `fields` are merged into its sample by JSON
        name; None takes a field out. A before-event goes out at once, others after those that wait already, with the
        same delays and duplicates. Callable from any loop. WebhooksOffError without a URL, TypeError for what JSON
        does not know.
        """
        if not self.on:
            raise WebhooksOffError("webhooks are off: give them a url first")
        merged = {**(changes or {}), **fields}
        event = sample_event(command, merged, now=self._world.clock.now(), platform=platform)
        orjson.dumps(event.body)
        if is_before(command):
            return await self._in_loop(lambda: self._post(event, client_ip))
        return await self._in_loop(lambda: self._queue_and_wait(event, client_ip))

    def redeliver(self, number: int) -> bool:
        """Send a delivery again as a new one; False when it is not kept."""
        found = next((delivery for delivery in self.deliveries if delivery.number == number), None)
        if found is not None and self.on:
            self._queue(_Queued(CallbackEvent(found.command, found.body, found.platform), found.client_ip))
        return found is not None and self.on

    async def _in_loop(self, work: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Do something in the loop that delivers, from whatever loop the caller runs in."""
        loop = self._loop
        if loop is None or loop is _running_loop():
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    def _queue(self, item: _Queued) -> None:
        if self._loop is _running_loop():
            self._queued.put_nowait(item)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._queued.put_nowait, item)

    async def _queue_and_wait(self, event: CallbackEvent, remote: str) -> Delivery:
        done: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self._queued.put_nowait(_Queued(event, remote, done))
        return await done

    def _restart(self) -> None:
        self._drop()
        if self._loop is not None:
            self._keep(self._deliver_queued())

    def _drop(self) -> list[asyncio.Task[None]]:
        """Give up what waits and what is on its way; the tasks that end by that."""
        while not self._queued.empty():
            self._finish(self._queued.get_nowait())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _finish(self, item: _Queued, _: object = None) -> None:
        self._queued.task_done()
        if item.done is not None and not item.done.done():
            item.done.set_exception(WebhooksOffError("the stub was stopped or reset before the event was delivered"))

    async def _deliver_queued(self) -> None:
        while True:
            item = await self._queued.get()
            settings = self.settings
            copies = 2 if self._random.random() < settings.duplicate else 1
            delay = settings.delay + settings.delay_spread * self._random.random()
            task = self._keep(self._deliver(item, delay, copies))
            task.add_done_callback(partial(self._finish, item))  # also when it is cancelled before it began
            if not settings.delay_spread:
                await asyncio.wait([task])

    async def _deliver(self, item: _Queued, delay: float, copies: int) -> None:
        if delay:
            await asyncio.sleep(delay)
        for _ in range(copies):
            delivery = await self._post_with_retries(item.event, item.remote)
        if item.done is not None and not item.done.done():
            item.done.set_result(delivery)

    async def _post_with_retries(self, event: CallbackEvent, remote: str) -> Delivery:
        """Once, and again after silence as often as retries are set [webhooks 3]; the last attempt."""
        delivery = await self._post(event, remote)
        for _ in range(self.settings.retries):
            if delivery.answer is not None:
                break
            await asyncio.sleep(self.settings.retry_delay)
            delivery = await self._post(event, remote)
        return delivery

    async def _post(self, event: CallbackEvent, remote: str) -> Delivery:
        """Send one request and write down what came of it."""
        settings = self.settings
        url = url_of(
            settings, event, sdkappid=self._world.settings.app.sdkappid, client_ip=remote, now=self._world.clock.now()
        )
        answer, outcome = await self._exchange(url, orjson.dumps(body_of(settings, event)))
        self._count += 1
        at = self._world.clock.now()
        delivery = Delivery(self._count, at, event.command, event.body, event.platform, remote, outcome, answer)
        self.deliveries.append(delivery)
        return delivery

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

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
