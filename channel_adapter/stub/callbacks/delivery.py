"""Sends webhooks to the server of the app: before-events, whose answer decides, and after-events.

Before-events delay the call until the app answers or two seconds have passed. After-events are queued and do not delay
it; they arrive in order unless a setting mixes them up, at most once unless retries are on.
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
from channel_adapter.tencent.wire.callbacks_c2c import C2CBeforeSendMsg
from channel_adapter.tencent.wire.callbacks_group import BeforeSendMsg
from channel_adapter.tencent.wire.callbacks_official import (
    BeforeAddSubscriber,
    BeforeCreateOfficialAccount,
    OfficialBeforeSendMsg,
)
from channel_adapter.tencent.wire.envelope import OK

ANSWERED: Final = "answered"


class Delivery(NamedTuple):
    """One attempt to deliver an event. `outcome` is `answered`, else the error; `answer` is the app's JSON.

    `body` is the event as it happened; changes that the settings ask for are made on each attempt.
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
    """Return the app's answer, or None and the reason why it does not count: not 200, not JSON, not `OK`."""
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
    """Return the sample of a command with changes, as of `now` in unix seconds; without a sample, the changes.

    Changes are merged as RFC 7396 has it. `platform` None: where the sample says that it comes from.
    """
    sample = samples().get(command)
    usual = sample.platform if sample is not None else RESTAPI
    return CallbackEvent(command, sample_body(command, changes, now=now), usual if platform is None else platform)


ResultT = TypeVar("ResultT")

DELIVERIES_KEPT: Final = 10_000
LOCAL_ADDRESS: Final = "127.0.0.1"  # ClientIP of events that no request caused
_BLOCKED: Final = {  # what the caller sees when the app is silent and the policy is to block [webhooks 3, 10; inferred]
    BeforeSendMsg.command: codes.WEBHOOK_SILENT,
    C2CBeforeSendMsg.command: codes.WEBHOOK_SILENT,
    OfficialBeforeSendMsg.command: codes.WEBHOOK_SILENT,
    BeforeCreateOfficialAccount.command: codes.MESSAGE_WEBHOOK_REFUSED,
    BeforeAddSubscriber.command: codes.MESSAGE_WEBHOOK_REFUSED,
}


class WebhooksOffError(RuntimeError):
    """Raised when there is no app to send to: no URL is set, or the stub does not run."""


class _Queued(NamedTuple):
    """An event in the queue. `done` gets the last delivery."""

    event: CallbackEvent
    remote: str
    done: asyncio.Future[Delivery] | None = None


class WebhookSender:
    """Sends webhooks to the server of the app. Runs in the event loop between `start` and `stop`."""

    def __init__(self, world: StubState, settings: CallbackSettings | None = None, *, seed: int = 0) -> None:
        self.deliveries: deque[Delivery] = deque(maxlen=DELIVERIES_KEPT)
        self._world = world
        self.settings = settings or CallbackSettings()
        self._random = Random(seed)  # noqa: S311 - disorder that can be repeated
        self._client_ip = LOCAL_ADDRESS
        self._count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: aiohttp.ClientSession | None = None
        self._queued: asyncio.Queue[_Queued] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"WebhookSender({self.settings.url or 'off'}, {len(self.deliveries)} deliveries)"

    @property
    def settings(self) -> CallbackSettings:
        """Return where the app listens, and how; set it at any time. Without a URL no events are made."""
        return self._settings

    @settings.setter
    def settings(self, settings: CallbackSettings) -> None:
        self._settings = settings
        self._world.listen(None if settings.url is None else self.send)

    @property
    def on(self) -> bool:
        """Return whether there is an app to send to."""
        return self.settings.url is not None and self._loop is not None

    async def start(self) -> None:
        """Begin to deliver."""
        self._loop = asyncio.get_running_loop()
        self._queued = asyncio.Queue()
        self._start_task(self._deliver_queued())

    async def stop(self) -> None:
        """Stop immediately; events that are not delivered are lost, as in the service."""
        self._loop = None
        tasks = self._drop_events()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def reset(self) -> None:
        """Forget deliveries and discard the queue. Can be called from any thread."""
        self.deliveries.clear()
        if self._loop is _running_loop():
            self._restart_delivery()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._restart_delivery)

    async def idle(self) -> None:
        """Wait until each event so far was delivered or ran out of retries. Can be called from any loop."""
        if self._loop is not None:
            await self._in_loop(self._queued.join)

    @contextlib.contextmanager
    def on_behalf_of(self, remote: str | None) -> Iterator[None]:
        """Give the events of the block this address as their ClientIP."""
        self._client_ip = remote or LOCAL_ADDRESS
        try:
            yield
        finally:
            self._client_ip = LOCAL_ADDRESS

    async def ask(self, event: CallbackEvent | None, remote: str | None) -> CallbackDecision:
        """Send a before-event and return the decision. Without an answer the policy of the command decides."""
        if event is None or not self.settings.wants(event.command):
            return ALLOW
        answer = (await self._post_once(event, remote or LOCAL_ADDRESS)).answer
        if answer is not None:
            return CallbackDecision.from_answer(answer, event.command)
        if self.settings.blocks(event.command):
            code = _BLOCKED.get(event.command, codes.WEBHOOK_REFUSED)
            info = "the app's webhook did not answer, and its policy is to block"
            raise Refusal(code, info, guess="webhook-silence-code")
        return ALLOW

    def send(self, event: CallbackEvent) -> None:
        """Queue an after-event. Can be called from any thread."""
        if self.on and self.settings.wants(event.command):
            self._queue_event(_Queued(event, self._client_ip))

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
        """Send an event without a cause in the stub, and wait until it is delivered or its retries are used up.

        `command` may be switched off or unknown. `changes` and `fields` are merged into its sample by JSON name; None
        removes a field. A before-event is sent immediately, others after those in the queue, with the same delays and
        duplicates. Can be called from any loop. WebhooksOffError without a URL, TypeError for what JSON cannot hold.
        """
        if not self.on:
            raise WebhooksOffError("webhooks are off: give them a url first")
        merged = {**(changes or {}), **fields}
        event = sample_event(command, merged, now=self._world.clock.now(), platform=platform)
        orjson.dumps(event.body)
        if is_before(command):
            return await self._in_loop(lambda: self._post_once(event, client_ip))
        return await self._in_loop(lambda: self._queue_and_wait(event, client_ip))

    def redeliver(self, number: int) -> bool:
        """Send a delivery again as a new one; False when it is not kept."""
        found = next((delivery for delivery in self.deliveries if delivery.number == number), None)
        if found is not None and self.on:
            self._queue_event(_Queued(CallbackEvent(found.command, found.body, found.platform), found.client_ip))
        return found is not None and self.on

    async def _in_loop(self, work: Callable[[], Coroutine[Any, Any, ResultT]]) -> ResultT:
        """Run work in the loop that delivers, whatever loop the caller runs in."""
        loop = self._loop
        if loop is None or loop is _running_loop():
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), loop))

    def _queue_event(self, item: _Queued) -> None:
        if self._loop is _running_loop():
            self._queued.put_nowait(item)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._queued.put_nowait, item)

    async def _queue_and_wait(self, event: CallbackEvent, remote: str) -> Delivery:
        done: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        self._queued.put_nowait(_Queued(event, remote, done))
        return await done

    def _restart_delivery(self) -> None:
        self._drop_events()
        if self._loop is not None:
            self._start_task(self._deliver_queued())

    def _drop_events(self) -> list[asyncio.Task[None]]:
        """Discard what is queued and cancel what is being sent; return the cancelled tasks."""
        while not self._queued.empty():
            self._fail_event(self._queued.get_nowait())
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    def _fail_event(self, item: _Queued, _: object = None) -> None:
        self._queued.task_done()
        if item.done is not None and not item.done.done():
            item.done.set_exception(WebhooksOffError("the stub was stopped or reset before the event was delivered"))

    async def _deliver_queued(self) -> None:
        while True:
            item = await self._queued.get()
            settings = self.settings
            copies = 2 if self._random.random() < settings.duplicate else 1
            delay = settings.delay + settings.delay_spread * self._random.random()
            task = self._start_task(self._deliver_copies(item, delay, copies))
            task.add_done_callback(partial(self._fail_event, item))  # also when it is cancelled before it began
            if not settings.delay_spread:
                await asyncio.wait([task])

    async def _deliver_copies(self, item: _Queued, delay: float, copies: int) -> None:
        if delay:
            await asyncio.sleep(delay)
        for _ in range(copies):
            delivery = await self._post_with_retries(item.event, item.remote)
        if item.done is not None and not item.done.done():
            item.done.set_result(delivery)

    async def _post_with_retries(self, event: CallbackEvent, remote: str) -> Delivery:
        """Post, repeat without an answer as often as retries are set, and return the last attempt."""
        delivery = await self._post_once(event, remote)
        for _ in range(self.settings.retries):
            if delivery.answer is not None:
                break
            await asyncio.sleep(self.settings.retry_delay)
            delivery = await self._post_once(event, remote)
        return delivery

    async def _post_once(self, event: CallbackEvent, remote: str) -> Delivery:
        """Send one request and record the delivery."""
        settings = self.settings
        url = url_of(
            settings, event, sdkappid=self._world.settings.app.sdkappid, client_ip=remote, now=self._world.clock.now()
        )
        answer, outcome = await self._exchange_http(url, orjson.dumps(body_of(settings, event)))
        self._count += 1
        at = self._world.clock.now()
        delivery = Delivery(self._count, at, event.command, event.body, event.platform, remote, outcome, answer)
        self.deliveries.append(delivery)
        return delivery

    async def _exchange_http(self, url: str, body: bytes) -> tuple[dict[str, Any] | None, str]:
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

    def _start_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
