"""`adapter.events`: what happens on phones and elsewhere, handed to functions or to a loop.

A handler that raises is tried again later, with its event; one that returned never hears of that event again. Handlers
of one event run one after the other, in the order of their registration; so do events of one channel.
"""

import functools
import inspect
import itertools
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, overload

from channel_adapter.domain.events import Event
from channel_adapter.errors import ConfigurationError
from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.parse import WebhookEvent

if TYPE_CHECKING:
    from channel_adapter.webhooks.dispatch import EventPipeline
import asyncio
from collections.abc import AsyncIterator
from typing import Generic, cast

EventT = TypeVar("EventT", bound=Event)
HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])

_current: ContextVar[WebhookEvent | None] = ContextVar("channel_adapter_webhook", default=None)


class StreamBuffer:
    """What waits for a loop. It knows nothing of its stream, so that a stream that is forgotten can end."""

    def __init__(self) -> None:
        self.ended = False
        self._waiting: asyncio.Queue[tuple[Event, asyncio.Future[None]] | None] = asyncio.Queue()
        self._taken: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._leave: Callable[[], None] | None = None

    def on_close(self, leave: Callable[[], None]) -> None:
        """What is done once, at the end."""
        self._leave = leave

    async def deliver(self, event: Event) -> None:
        """Back when the loop is through with the event, or when there is no loop any more."""
        if self.ended:
            return
        self._loop = asyncio.get_running_loop()
        taken = self._loop.create_future()
        self._waiting.put_nowait((event, taken))
        await taken

    async def next(self) -> Event | None:
        """The next event; the one before it counts as handled now. None at the end."""
        self._settle(self._taken)
        item = None if self.ended else await self._waiting.get()
        if item is None:
            return None
        event, self._taken = item
        return event

    def end(self) -> None:
        """Nobody waits for the loop any more."""
        if self.ended:
            return
        self.ended = True
        if self._leave is not None:
            self._leave()
        self._settle(self._taken)
        while not self._waiting.empty():
            item = self._waiting.get_nowait()
            self._settle(item[1] if item is not None else None)
        self._waiting.put_nowait(None)

    def end_soon(self) -> None:
        """The same from wherever an object is collected."""
        if self._loop is None or self._loop.is_closed():
            self.end()
        else:
            self._loop.call_soon_threadsafe(self.end)

    @staticmethod
    def _settle(taken: "asyncio.Future[None] | None") -> None:
        if taken is not None and not taken.done():
            taken.set_result(None)


class EventStream(AsyncIterator[EventT], Generic[EventT]):
    """For `async for` in one task. It ends with `aclose`, and when nobody holds it any more."""

    def __init__(self, offers: StreamBuffer) -> None:
        self._offers = offers

    async def __anext__(self) -> EventT:
        event = await self._offers.next()
        if event is None:
            raise StopAsyncIteration
        return cast("EventT", event)

    async def aclose(self) -> None:
        """End it; the event that the loop has counts as handled."""
        self._offers.end()

    def __del__(self) -> None:
        self._offers.end_soon()


class _Handler(NamedTuple):
    kinds: tuple[type[Event], ...]
    function: Callable[..., Any]
    name: str
    transaction: bool


class Events:
    """Registers handlers and hands events to them; a receiver does the rest: `webhooks serve` or `application`."""

    def __init__(self, pipeline: "EventPipeline") -> None:
        self._pipeline = pipeline
        self._handlers: list[_Handler] = []

    def on(self, *kinds: type[Event], transaction: bool = False) -> Callable[[HandlerT], HandlerT]:
        """Register a coroutine or a plain function, which must not block; without kinds it hears everything.

        With `transaction` it is a plain function that is called in a worker thread with a second argument, a
        synchronous SQLAlchemy connection to the inbox's database: what it writes there and the record that it ran are
        committed together, so that it has its effect exactly once. In a memory inbox that argument is None.
        Raises TypeError for what is no event, ConfigurationError for a coroutine function with `transaction`.
        """
        _check(kinds)

        def register(function: HandlerT) -> HandlerT:
            if transaction and _is_coroutine_function(function):
                raise ConfigurationError(
                    "a handler with transaction=True is a plain function, not a coroutine function: "
                    f"def {getattr(function, '__name__', 'handler')}(event, connection)",
                    field="transaction",
                )
            self._add(kinds, function, transaction=transaction)
            return function

        return register

    def _name_of(self, function: Callable[..., Any]) -> str:
        """The same name after a restart, as long as the function keeps its own; no two handlers share one."""
        inner = inspect.unwrap(function)
        base = f"{getattr(inner, '__module__', '')}.{getattr(inner, '__qualname__', type(inner).__qualname__)}"
        taken = {handler.name for handler in self._handlers}
        names = itertools.chain([base], (f"{base}#{number}" for number in itertools.count(1)))
        return next(name for name in names if name not in taken)

    @overload
    def stream(self) -> EventStream[Event]: ...
    @overload
    def stream(self, *kinds: type[EventT]) -> EventStream[EventT]: ...
    def stream(self, *kinds: type[Event]) -> EventStream[Any]:
        """Events as they are handled, from now on; for `async for`.

        An event counts as handled when the loop asks for the next one or is left. A slow loop slows its channels.
        """
        _check(kinds)
        offers = StreamBuffer()
        handler = self._add(kinds, offers.deliver, transaction=False)
        offers.on_close(lambda: self._handlers.remove(handler))
        return EventStream(offers)

    def _add(self, kinds: tuple[type[Event], ...], function: Callable[..., Any], *, transaction: bool) -> _Handler:
        handler = _Handler(kinds or (Event,), function, self._name_of(function), transaction)
        self._handlers.append(handler)
        return handler

    @property
    def key(self) -> str | None:
        """In a handler: the name of its event, the same in every attempt and for every repeat; else None.

        For effects that are done once by their key: an insert that ignores a conflict, an idempotency key.
        """
        received = _current.get()
        return None if received is None else received.dedupe_key

    async def plan(self, received: WebhookEvent) -> Sequence[HandlerStep]:
        """What an inbox has to run for a webhook. What the app's handlers rely on has been done when this returns."""
        event = await self._pipeline.handle(received)
        if event is None:
            return ()
        heard = [
            HandlerStep(
                handler.name,
                functools.partial(_call_within if handler.transaction else _call, handler, event, received),
                handler.transaction,
            )
            for handler in self._handlers
            if isinstance(event, handler.kinds)
        ]
        return [*heard, *self._pipeline.post_steps(event)]


def _check(kinds: tuple[type[Event], ...]) -> None:
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"{kind!r} is no event; see channel_adapter.domain.events")


def _caller(handler: _Handler) -> Callable[..., Any]:
    return _call_within if handler.transaction else _call


async def _call(handler: _Handler, event: Event, received: WebhookEvent, _: Any) -> None:
    token = _current.set(received)
    try:
        result = handler.function(event)
        if isinstance(result, Awaitable):
            await result
    finally:
        _current.reset(token)


def _call_within(handler: _Handler, event: Event, received: WebhookEvent, connection: Any) -> Any:
    token = _current.set(received)
    try:
        return handler.function(event, connection)
    finally:
        _current.reset(token)


def _is_coroutine_function(function: Any) -> bool:
    while isinstance(function, functools.partial):
        function = function.func
    method = None if inspect.isroutine(function) else getattr(type(function), "__call__", None)  # noqa: B004 - of an object
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(method)
