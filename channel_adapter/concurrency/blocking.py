"""Blocking use of asynchronous objects: an event loop in a thread, views of its objects, iterators that read ahead.

Needs anyio. Any number of threads may use one loop; a call from the loop's own thread raises RuntimeError.
"""

import asyncio
import contextvars
import dataclasses
import functools
import inspect
import itertools
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Collection, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import AbstractAsyncContextManager
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Final, Generic, Self, TypeVar, get_args, get_origin

import anyio
import anyio.to_thread
from anyio.from_thread import BlockingPortal

T = TypeVar("T")
C = TypeVar("C")
FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])

_ITEMS: Final = 100  # that are read from an iterable of the caller in one step

CallerJobs = SimpleQueue[Callable[[], None] | None]
"""What a calling thread does for the loop while it waits; None at the end of a call."""


class LoopThread:
    """An event loop in a daemon thread, and an asynchronous context that is open in it.

    It starts at the first call, so that an object made before a server forks works in each of its processes.
    """

    def __init__(self, context: AbstractAsyncContextManager[Any], name: str) -> None:
        self._context = context
        self._name = name
        self._lock = threading.Lock()
        self._process = 0
        self._portal: BlockingPortal | None = None
        self._stopping = False
        self._finished: Future[None] = Future()

    def start(self) -> BlockingPortal:
        """Start the loop and enter the context unless that is done; raises what entering raises.

        Raises RuntimeError once it is stopped, and in a process that was forked after the start.
        """
        with self._lock:
            if self._process not in (0, os.getpid()):
                raise RuntimeError(f"{self._name} was used before this process was forked: use one in each process")
            if self._stopping:
                raise RuntimeError(f"{self._name} is closed")
            if self._portal is None:
                self._portal = self._start_thread()
                self._process = os.getpid()
            return self._portal

    def stop(self) -> None:
        """Cancel the calls that are running, leave the context, and end the thread; raises what leaving raises."""
        with self._lock:
            if self._stopping or self._process not in (0, os.getpid()):
                return
            self._stopping = True
        if self._portal is not None:
            self._portal.start_task_soon(self._portal.stop, True)
            self._finished.result()

    def call(self, function: Callable[..., Any], *args: Any, jobs: CallerJobs | None = None) -> Any:
        """Call a function in the loop and return its result, awaited; `jobs` are done while this thread waits.

        The function runs with the context variables of the caller, which carry trace and log context. An interruption,
        as by Ctrl-C, cancels the call. Raises RuntimeError if the loop is stopped meanwhile.
        """
        portal = self.start()
        future: Future[Any] = portal.start_task_soon(_call_and_await, contextvars.copy_context(), function, args)
        try:
            if jobs is not None:
                future.add_done_callback(lambda _: jobs.put(None))
                while (job := jobs.get()) is not None:
                    job()
            return future.result()
        except CancelledError:
            raise RuntimeError(f"{self._name} was closed during the call") from None
        except BaseException:
            future.cancel()
            raise

    def blocking(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that calls another one in the loop and waits for its result.

        An asynchronous iterator is returned as a `SyncIterator`, an asynchronous context manager as one for `with`. An
        iterable that is passed to it is read in the calling thread.
        """

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            jobs, args, kwargs = _with_caller_items(function, args, kwargs)
            result = self.call(functools.partial(function, *args, **kwargs), jobs=jobs)
            if isinstance(result, AsyncIterator):
                kind = SyncPages if hasattr(result, "cursor") else SyncIterator
                return kind(self, _ReadAhead(result), jobs)
            if isinstance(result, AbstractAsyncContextManager):
                return self.start().wrap_async_context_manager(result)
            return result

        return call

    def view(self, target: Any, *, handlers: bool = False) -> Any:
        """Return the public interface of an asynchronous object; with `handlers`, of one that registers functions.

        A dataclass is returned as it is: it is a value.
        """
        if dataclasses.is_dataclass(target):
            return target
        return HandlerView(self, target) if handlers else BlockingView(self, target)

    def _start_thread(self) -> BlockingPortal:
        opened: Future[BlockingPortal] = Future()
        threading.Thread(target=self._run_loop, args=(opened,), name=self._name, daemon=True).start()
        return opened.result()

    def _run_loop(self, opened: "Future[BlockingPortal]") -> None:
        try:
            anyio.run(self._serve_until_stopped, opened)
        except BaseException as error:  # noqa: BLE001 - raised in the thread that starts or stops the loop
            (self._finished if opened.done() else opened).set_exception(error)
        else:
            self._finished.set_result(None)

    async def _serve_until_stopped(self, opened: "Future[BlockingPortal]") -> None:
        async with self._context, BlockingPortal() as portal:
            opened.set_result(portal)
            await portal.sleep_until_stopped()


async def _call_and_await(context: contextvars.Context, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    result = context.run(function, *args)
    if inspect.iscoroutine(result):
        return await asyncio.create_task(result, context=context)
    return await result if inspect.isawaitable(result) else result


class BlockingView:
    """The public interface of an asynchronous object for threads: its methods are those of `LoopThread.blocking`."""

    def __init__(self, thread: LoopThread, target: Any) -> None:
        self._thread = thread
        self._target = target

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"{type(self._target).__name__!r} object has no attribute {name!r}")
        value = getattr(self._target, name)
        return self._thread.blocking(value) if inspect.isroutine(value) else value

    def __dir__(self) -> list[str]:
        return [name for name in dir(self._target) if not name.startswith("_")]

    def __repr__(self) -> str:
        return f"<blocking view of {self._target!r}>"


class HandlerView(BlockingView):
    """The interface of an object that registers functions with `on`. They may block: each runs in a worker thread."""

    def on(self, *kinds: Any, **options: Any) -> Callable[[FunctionT], FunctionT]:
        """Return the decorator that registers a function and returns it."""
        register = self._target.on(*kinds, **options)

        def decorate(function: FunctionT) -> FunctionT:
            register(function if options.get("transaction") else _in_worker_thread(function))
            return function

        return decorate


class SyncIterator(Iterator[T]):
    """Items of an asynchronous iterator; those that are ready together cross the threads together.

    `close`, the end of a `with` block and the last reference to it end the work behind it.
    """

    def __init__(self, thread: LoopThread, items: "_ReadAhead[T]", jobs: CallerJobs | None) -> None:
        self._thread = thread
        self._items = items
        self._jobs = jobs
        self._ready: deque[tuple[T, Any]] = deque()
        self._cursor: Any = items.cursor

    def __next__(self) -> T:
        if not self._ready:
            self._ready.extend(self._thread.call(self._items.take, jobs=self._jobs))
        if not self._ready:
            raise StopIteration
        item, self._cursor = self._ready.popleft()
        return item

    def close(self) -> None:
        """End the iteration, and the work that is still running for it."""
        self._ready.clear()
        self._thread.call(self._items.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self._items.close_soon()


class SyncPages(SyncIterator[T], Generic[T, C]):
    """Items of a list that can be resumed at its `cursor`."""

    @property
    def cursor(self) -> C | None:
        """Where to resume: pass it to the method that returned this list; None at the end."""
        return self._cursor  # type: ignore[no-any-return]


class _ReadAhead(Generic[T]):
    """Reads an asynchronous iterator in one task: one item at first, then more ahead of the caller, up to a limit.

    The next item of a stream, whose items are handled one by one, is requested when the caller needs it.
    """

    def __init__(self, items: AsyncIterator[T]) -> None:
        self.cursor: Any = getattr(items, "cursor", None)
        self._items = items
        self._may_read_ahead = isinstance(items, AsyncGenerator) or hasattr(items, "cursor")
        self._wanted = 0
        self._step = 1
        self._found: list[tuple[T, Any]] = []
        self._failure: Exception | None = None
        self._changed = asyncio.Event()
        self._resumed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> list[tuple[T, Any]]:
        """Return the items that are ready, at least one, each with the cursor after it; none at the end.

        After an exception of the iterator the next call goes on, as far as the iterator does.
        """
        if self._task is None:
            self._task = asyncio.create_task(self._fetch_items())
        self._wanted = self._step
        if self._may_read_ahead:
            self._step = min(self._step * 2, _ITEMS)
        self._resumed.set()
        while not self._found and not self._task.done():
            self._changed.clear()
            await self._changed.wait()
        found, self._found = self._found, []
        if not found and self._failure is not None:
            failure, self._failure, self._task = self._failure, None, None
            raise failure
        return found

    async def aclose(self) -> None:
        """Cancel the reading, and wait until it has ended."""
        if self._task is None:
            await self._close_items()
        else:
            self._task.cancel()
            await asyncio.wait({self._task})

    def close_soon(self) -> None:
        """Cancel the reading, from any thread."""
        if self._task is not None and not self._task.done():
            loop = self._task.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._task.cancel)

    async def _fetch_items(self) -> None:
        try:
            async for item in self._items:
                self._found.append((item, getattr(self._items, "cursor", None)))
                self._changed.set()
                while len(self._found) >= self._wanted:
                    self._wanted = 0
                    self._resumed.clear()
                    await self._resumed.wait()
        except asyncio.CancelledError:
            await self._close_items()
            raise
        except Exception as error:  # noqa: BLE001 - raised by `take`
            self._failure = error
        finally:
            self._changed.set()

    async def _close_items(self) -> None:
        if hasattr(self._items, "aclose"):
            await self._items.aclose()


class _CallerItems(AsyncIterator[T]):
    """Items of an iterable of the caller, read in its thread: its database connections and files belong there."""

    def __init__(self, items: Iterable[T], jobs: CallerJobs) -> None:
        self._items = iter(items)
        self._jobs = jobs
        self._read: deque[T] = deque()

    async def __anext__(self) -> T:
        if not self._read:
            answer: asyncio.Future[list[T]] = asyncio.get_running_loop().create_future()
            self._jobs.put(functools.partial(self._read_some, answer))
            self._read.extend(await answer)
        if not self._read:
            raise StopAsyncIteration
        return self._read.popleft()

    def _read_some(self, answer: "asyncio.Future[list[T]]") -> None:
        loop = answer.get_loop()
        try:
            items = list(itertools.islice(self._items, _ITEMS))
        except Exception as error:  # noqa: BLE001 - raised where the items are needed, and by that in the caller
            loop.call_soon_threadsafe(_settle_answer, answer, error)
        else:
            loop.call_soon_threadsafe(_settle_answer, answer, items)


def _settle_answer(answer: "asyncio.Future[Any]", outcome: object) -> None:
    if answer.done():  # the call was cancelled
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


def _with_caller_items(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[CallerJobs | None, tuple[Any, ...], dict[str, Any]]:
    """Return the arguments, with lists or `_CallerItems` in place of iterables that are read as they go.

    The queue is that of the `_CallerItems`; None without them.
    """
    signature, iterables = _iterable_parameters(inspect.unwrap(getattr(function, "__func__", function)))
    if not iterables:
        return None, args, kwargs
    own = getattr(function, "__self__", None)
    try:
        bound = signature.bind(*(args if own is None else (own, *args)), **kwargs)
    except TypeError:
        return None, args, kwargs  # the call raises it, with the function's name
    jobs: CallerJobs | None = None
    for name, asynchronous in iterables.items():
        value = bound.arguments.get(name)
        if isinstance(value, Iterable) and not isinstance(value, (Collection, AsyncIterable)):
            if asynchronous:
                jobs = jobs or SimpleQueue()
                bound.arguments[name] = _CallerItems(value, jobs)
            else:
                bound.arguments[name] = list(value)
    return jobs, bound.args if own is None else bound.args[1:], bound.kwargs


@functools.cache
def _iterable_parameters(function: Callable[..., Any]) -> tuple[inspect.Signature, dict[str, bool]]:
    """Return a signature and its parameters that accept any iterable: true for those that accept asynchronous ones."""
    signature = inspect.signature(function)
    found: dict[str, bool] = {}
    for name, parameter in signature.parameters.items():
        origins = {get_origin(each) for each in (parameter.annotation, *get_args(parameter.annotation))}
        if Iterable in origins:
            found[name] = AsyncIterable in origins
    return signature, found


def _in_worker_thread(function: FunctionT) -> FunctionT:
    """Return a coroutine function that runs a plain function in a worker thread, where it may block."""
    if inspect.iscoroutinefunction(function):
        return function

    @functools.wraps(function)
    async def call(*args: Any) -> Any:
        return await anyio.to_thread.run_sync(function, *args)

    return call  # type: ignore[return-value]
