"""Parts of an adapter whose public methods are spans."""

import functools
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.trace import Span

StartSpan = Callable[[str], Span]
MarkFailed = Callable[[Span, BaseException], None]

ENDLESS: Final = frozenset({"work"})
"""Methods that run until they are stopped: one span of hours would hold all that they do."""


class TracedPart:
    """A part of the adapter whose public coroutine functions and asynchronous iterators are spans.

    A span of an iterator begins with the first item and ends with the iteration.
    """

    def __init__(self, part: Any, name: str, start: StartSpan, mark_failed: MarkFailed) -> None:
        self._part = part
        self._name = name
        self._start = start
        self._mark_failed = mark_failed

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._part, name)
        if name.startswith("_") or name in ENDLESS or not inspect.isroutine(value):
            return value
        wrap = self._trace_coroutine if inspect.iscoroutinefunction(value) else self._trace_function
        traced = wrap(value, f"{self._name}.{name}")
        self.__dict__[name] = traced  # a method stays what it is
        return traced

    def __dir__(self) -> list[str]:
        return dir(self._part)

    def __repr__(self) -> str:
        return repr(self._part)

    def _trace_coroutine(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        async def traced(*args: Any, **kwargs: Any) -> Any:
            span = self._start(name)
            try:
                with _use_span(span):
                    return await function(*args, **kwargs)
            except BaseException as error:
                self._mark_failed(span, error)
                raise
            finally:
                span.end()

        return traced

    def _trace_function(self, function: Callable[..., Any], name: str) -> Callable[..., Any]:
        @functools.wraps(function)
        def traced(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs)
            if hasattr(result, "__anext__"):
                return TracedIterator(result, functools.partial(self._start, name), self._mark_failed)
            return result

        return traced


class TracedIterator(AsyncIterator[Any]):
    """An asynchronous iterator that is a span from its first item to its end. Its attributes are those of `items`."""

    def __init__(self, items: Any, start: Callable[[], Span], mark_failed: MarkFailed) -> None:
        self._items = items
        self._start = start
        self._mark_failed = mark_failed
        self._span: Span | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._items, name)

    async def __anext__(self) -> Any:
        if self._span is None:
            self._span = self._start()
        try:
            with _use_span(self._span):
                return await self._items.__anext__()
        except StopAsyncIteration:
            self._span.end()
            raise
        except BaseException as error:
            self._mark_failed(self._span, error)
            self._span.end()
            raise

    async def aclose(self) -> None:
        """End the iteration, and what it has begun."""
        try:
            if hasattr(self._items, "aclose"):
                await self._items.aclose()
        finally:
            self._end_span()

    def __del__(self) -> None:
        self._end_span()

    def _end_span(self) -> None:
        if self._span is not None and self._span.is_recording():
            self._span.end()


def _use_span(span: Span) -> Any:
    return trace.use_span(span, record_exception=False, set_status_on_exception=False)
