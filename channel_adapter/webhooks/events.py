"""`adapter.events`: handlers and streams of events.

A handler that raises is called again later with the same event; one that returned is never called for that event again.
The handlers of one event run one after the other, in the order of their registration; so do the events of one channel.
"""

import asyncio
import functools
import inspect
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, TypeVar, cast, overload

from channel_adapter.concurrency.instruments import NO_INSTRUMENTS, Instruments
from channel_adapter.domain.events import ChannelEvent, Event, MessageEvent
from channel_adapter.errors import ConfigurationError
from channel_adapter.webhooks.dispatch import EventPipeline
from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.parse import WebhookEvent

EventT = TypeVar("EventT", bound=Event)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_current: ContextVar[WebhookEvent | None] = ContextVar("channel_adapter_webhook", default=None)


class StreamBuffer:
    """The events that wait for a loop. It has no reference to its stream, so that a forgotten stream is collected."""

    def __init__(self) -> None:
        self.closed: bool = False
        self._waiting: asyncio.Queue[tuple[Event, asyncio.Future[None]] | None] = asyncio.Queue()
        self._current: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_close: Callable[[], None] | None = None

    def on_close(self, function: Callable[[], None]) -> None:
        """Call a function once, when the buffer is closed."""
        self._on_close = function

    async def deliver(self, event: Event) -> None:
        """Return when the loop has handled the event, or when the buffer is closed."""
        if self.closed:
            return
        self._loop = asyncio.get_running_loop()
        handled = self._loop.create_future()
        self._waiting.put_nowait((event, handled))
        await handled

    async def next(self) -> Event | None:
        """Count the previous event as handled and return the next one; None when the buffer is closed."""
        self._mark_handled(self._current)
        item = None if self.closed else await self._waiting.get()
        if item is None:
            return None
        event, self._current = item
        return event

    def close(self) -> None:
        """Count all events as handled and accept no more."""
        if self.closed:
            return
        self.closed = True
        if self._on_close is not None:
            self._on_close()
        self._mark_handled(self._current)
        while not self._waiting.empty():
            item = self._waiting.get_nowait()
            self._mark_handled(item[1] if item is not None else None)
        self._waiting.put_nowait(None)

    def close_soon(self) -> None:
        """Close from any thread, as the garbage collector does."""
        if self._loop is None or self._loop.is_closed():
            self.close()
        else:
            self._loop.call_soon_threadsafe(self.close)

    @staticmethod
    def _mark_handled(handled: "asyncio.Future[None] | None") -> None:
        if handled is not None and not handled.done():
            handled.set_result(None)


class EventStream(AsyncIterator[EventT], Generic[EventT]):
    """Events for `async for` in one task. Ends with `aclose`, and when the last reference to it is gone."""

    def __init__(self, buffer: StreamBuffer) -> None:
        self._buffer = buffer

    async def __anext__(self) -> EventT:
        event = await self._buffer.next()
        if event is None:
            raise StopAsyncIteration
        return cast("EventT", event)

    async def aclose(self) -> None:
        """End the stream; the event that the loop has counts as handled."""
        self._buffer.close()

    def __del__(self) -> None:
        self._buffer.close_soon()


class _Handler(NamedTuple):
    kinds: tuple[type[Event], ...]
    function: Callable[..., Any]
    name: str
    transaction: bool
    other_mode: bool

    def accepts(self, event: Event) -> bool:
        """Return whether the handler is to be called with an event."""
        is_other = isinstance(event, ChannelEvent | MessageEvent) and event.other_mode
        return isinstance(event, self.kinds) and (self.other_mode or not is_other)


class Events:
    """Registers handlers and calls them with events. Needs a receiver: `webhooks serve`, `serve` or `application`."""

    def __init__(self, pipeline: EventPipeline, instruments: Instruments = NO_INSTRUMENTS) -> None:
        self.instruments = instruments
        """Records the work for webhooks."""
        self._pipeline = pipeline
        self._handlers: list[_Handler] = []

    def on(
        self, *kinds: type[Event], transaction: bool = False, other_mode: bool = False
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a coroutine function or a plain function, which must not block; without kinds, for all events.

        With `transaction` it is a plain function that is called in a worker thread with a second argument, a
        synchronous SQLAlchemy connection to the inbox's database: what it writes there and the record that it ran are
        committed together, so that it has its effect exactly once. In a memory inbox that argument is None. With
        `other_mode` it gets events about channels of the mode that this adapter does not use as well.
        Raises TypeError for what is no event, ConfigurationError for a coroutine function with `transaction`.
        """
        _require_events(kinds)

        def register(function: HandlerT) -> HandlerT:
            if transaction and _is_coroutine_function(function):
                raise ConfigurationError(
                    "a handler with transaction=True is a plain function, not a coroutine function: "
                    f"def {getattr(function, '__name__', 'handler')}(event, connection)",
                    field="transaction",
                )
            self._add_handler(kinds, function, transaction=transaction, other_mode=other_mode)
            return function

        return register

    @overload
    def stream(self, *, other_mode: bool = False) -> EventStream[Event]: ...
    @overload
    def stream(self, *kinds: type[EventT], other_mode: bool = False) -> EventStream[EventT]: ...
    def stream(self, *kinds: type[Event], other_mode: bool = False) -> EventStream[Any]:
        """Return the events that are handled from now on, for `async for`.

        An event counts as handled when the loop asks for the next one or is left. A slow loop slows its channels.
        With `other_mode` it gets events about channels of the mode that this adapter does not use as well.
        """
        _require_events(kinds)
        buffer = StreamBuffer()
        handler = self._add_handler(kinds, buffer.deliver, transaction=False, other_mode=other_mode)
        buffer.on_close(lambda: self._handlers.remove(handler))
        return EventStream(buffer)

    @property
    def key(self) -> str | None:
        """In a handler: the key of its event, which is equal in every attempt and for every repeat. Else None.

        For effects that happen once per key: an insert that ignores a conflict, an idempotency key.
        """
        webhook = _current.get()
        return None if webhook is None else webhook.dedupe_key

    async def plan(self, webhook: WebhookEvent) -> Sequence[HandlerStep]:
        """Return the steps that an inbox runs for a webhook, after the adapter's own work for it is done."""
        if self.instruments is NO_INSTRUMENTS:
            return await self._plan_steps(webhook)
        attributes = webhook.attributes
        with self.instruments.span("webhooks.resolve", attributes):
            steps = await self._plan_steps(webhook)
        return [step._replace(run=functools.partial(self._run_step, step, attributes)) for step in steps]

    async def _plan_steps(self, webhook: WebhookEvent) -> Sequence[HandlerStep]:
        event = await self._pipeline.handle(webhook)
        if event is None:
            return ()
        steps = [_to_step(handler, event, webhook) for handler in self._handlers if handler.accepts(event)]
        return [*steps, *self._pipeline.post_steps(event)]

    def _run_step(self, step: HandlerStep, attributes: Mapping[str, str], argument: Any) -> Any:
        """Run a step as a span; return an awaitable unless it runs within a transaction."""
        if not step.transaction:
            return self._run_awaitable(step, attributes, argument)
        with self.instruments.span("webhooks.handle", {**attributes, "handler": step.name}):
            return step.run(argument)

    async def _run_awaitable(self, step: HandlerStep, attributes: Mapping[str, str], argument: Any) -> None:
        with self.instruments.span("webhooks.handle", {**attributes, "handler": step.name}):
            await step.run(argument)

    async def listen_for_invalidations(self) -> None:
        """Keep caches right when other receivers handle events, until cancelled."""
        await self._pipeline.invalidation.listen()

    def _add_handler(
        self, kinds: tuple[type[Event], ...], function: Callable[..., Any], *, transaction: bool, other_mode: bool
    ) -> _Handler:
        handler = _Handler(kinds or (Event,), function, self._name_of(function), transaction, other_mode)
        self._handlers.append(handler)
        return handler

    def _name_of(self, function: Callable[..., Any]) -> str:
        """Return a name that stays after a restart as long as the function keeps its own; it is used once."""
        inner = inspect.unwrap(function)
        base = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
        used = {handler.name for handler in self._handlers}
        names = itertools.chain([base], (f"{base}#{number}" for number in itertools.count(1)))
        return next(name for name in names if name not in used)


def _require_events(kinds: tuple[type[Event], ...]) -> None:
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"{kind!r} is no event; see channel_adapter.domain.events")


def _to_step(handler: _Handler, event: Event, webhook: WebhookEvent) -> HandlerStep:
    call = _call_in_transaction if handler.transaction else _call_handler
    return HandlerStep(handler.name, functools.partial(call, handler, event, webhook), handler.transaction)


async def _call_handler(handler: _Handler, event: Event, webhook: WebhookEvent, _: Any) -> None:
    token = _current.set(webhook)
    try:
        result = handler.function(event)
        if isinstance(result, Awaitable):
            await result
    finally:
        _current.reset(token)


def _call_in_transaction(handler: _Handler, event: Event, webhook: WebhookEvent, connection: Any) -> Any:
    token = _current.set(webhook)
    try:
        return handler.function(event, connection)
    finally:
        _current.reset(token)


def _is_coroutine_function(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    method = None if inspect.isroutine(function) else getattr(type(function), "__call__", None)  # noqa: B004 - of an object
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)
