"""What parts of a program report, without knowing how it is recorded: spans, and values read periodically."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

AttributeValue = str | int | float | bool
ValueReader = Callable[[], Awaitable[Mapping[str, float]]]
"""Returns values by name, such as {"inbox.lag": 0.2}."""


class SpanAttributes(Protocol):
    """The attributes of a span that has begun."""

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add an attribute, or replace it."""


class Instruments(Protocol):
    """Records spans and values."""

    def span(self, name: str, attributes: Mapping[str, AttributeValue]) -> AbstractContextManager[SpanAttributes]:
        """Record a block as a span; an exception marks it as failed. Texts of exceptions are not recorded."""
        ...

    def values(self, read: ValueReader) -> AbstractContextManager[None]:
        """Record what `read` returns, periodically, for the length of a block. `read` may fail."""
        ...


class _NoInstruments:
    """Record nothing."""

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, AttributeValue]) -> Iterator[SpanAttributes]:
        """Run a block."""
        yield self

    @contextmanager
    def values(self, read: ValueReader) -> Iterator[None]:
        """Run a block."""
        yield

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Ignore an attribute."""


NO_INSTRUMENTS: Final[Instruments] = _NoInstruments()
