"""In-process signals: one part of a program reports an event, other parts react, and neither imports the other.

```python
post_published: Signal[PostPublished, Broadcast | None] = Signal("post published")
disconnect = post_published.connect(mirror.broadcast)
results = await post_published.emit(PostPublished(channel, ref))
```
"""

from collections.abc import Awaitable, Callable
from itertools import product
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Signal(Generic[T, R]):
    """Call every connected coroutine function with the value of an event, and collect what they return.

    A signal is used from one event loop. It is not persistent: a function that is not connected misses the event.
    """

    def __init__(self, name: str, severity: Callable[[Exception], int] = lambda error: 0) -> None:
        """`severity` decides which of several exceptions `emit` raises: one with the highest number."""
        self._name = name
        self._severity = severity
        self._listeners: list[Callable[[T], Awaitable[R]]] = []

    def connect(self, fn: Callable[[T], Awaitable[R]]) -> Callable[[], None]:
        """Call `fn` on every later `emit`, after the functions connected before; return a function that undoes it.

        Raises ValueError if `fn` is connected already.
        """
        if fn in self._listeners:
            raise ValueError(f"{fn!r} is connected to {self!r} already")
        self._listeners.append(fn)
        return lambda: self.disconnect(fn)

    def disconnect(self, fn: Callable[[T], Awaitable[R]]) -> None:
        """Stop calling `fn`; do nothing if it is not connected. An `emit` that is running still calls it."""
        if fn in self._listeners:
            self._listeners.remove(fn)

    async def emit(self, *values: T) -> list[R]:
        """Await every connected function, one after the other, and return their results in the order of connection.

        Of several values each function gets all before the next function gets the first. An exception does not keep
        the other functions from being called, nor with the other values. After the last call the most severe exception
        is raised, the first of several; the texts of the others are attached to it as notes.
        """
        results: list[R] = []
        failures: list[Exception] = []
        for fn, value in product(tuple(self._listeners), values):
            try:
                results.append(await fn(value))
            except Exception as error:  # noqa: BLE001 - raised after the other functions were called
                failures.append(error)
        if not failures:
            return results
        raised = max(failures, key=self._severity)
        for other in failures:
            if other is not raised:
                raised.add_note(f"{self!r}: another listener failed too: {type(other).__name__}: {other}")
        raise raised

    def __repr__(self) -> str:
        return f"Signal({self._name!r})"
