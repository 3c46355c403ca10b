"""Signals between parts of one process: order, results and errors."""

import pytest

from channel_adapter import ChannelId, InvalidError, NotFoundError, UnavailableError
from channel_adapter.concurrency.signals import Signal
from channel_adapter.services.signals import Signals


async def double(value: int) -> int:
    return 2 * value


async def square(value: int) -> int:
    return value * value


async def fail(value: int) -> int:
    raise LookupError(value)


async def fail_too(value: int) -> int:
    raise KeyError(value)


async def test_emit_returns_results_in_order_of_connection() -> None:
    signal: Signal[int, int] = Signal("number")
    assert await signal.emit(5) == []
    signal.connect(double)
    signal.connect(square)
    assert await signal.emit(5) == [10, 25]


async def test_disconnected_function_is_not_called() -> None:
    signal: Signal[int, int] = Signal("number")
    disconnect = signal.connect(double)
    signal.connect(square)
    disconnect()
    signal.disconnect(double)
    assert await signal.emit(5) == [25]


def test_second_connection_of_a_function_is_refused() -> None:
    signal: Signal[int, int] = Signal("number")
    signal.connect(double)
    with pytest.raises(ValueError, match=r"is connected to Signal\('number'\) already"):
        signal.connect(double)


async def test_every_function_is_called_and_the_first_error_is_raised() -> None:
    signal: Signal[int, int] = Signal("number")
    called = []

    async def record(value: int) -> int:
        called.append(value)
        return value

    for fn in (fail, record, fail_too):
        signal.connect(fn)
    with pytest.raises(LookupError) as raised:
        await signal.emit(5)
    assert called == [5]
    assert raised.value.args == (5,)
    assert raised.value.__notes__ == ["Signal('number'): another listener failed too: KeyError: 5"]


async def test_function_connected_during_emit_is_called_by_the_next_emit() -> None:
    signal: Signal[int, int] = Signal("number")

    async def connect_another(value: int) -> int:
        signal.connect(double)
        return value

    disconnect = signal.connect(connect_another)
    assert await signal.emit(5) == [5]
    disconnect()
    assert await signal.emit(5) == [10]


async def test_every_function_gets_all_values_before_the_next_function() -> None:
    signal: Signal[int, int] = Signal("number")
    called: list[tuple[str, int]] = []

    async def first(value: int) -> int:
        called.append(("first", value))
        return value

    async def second(value: int) -> int:
        called.append(("second", value))
        raise LookupError(value)

    signal.connect(first)
    signal.connect(second)
    with pytest.raises(LookupError) as raised:
        await signal.emit(1, 2)
    assert called == [("first", 1), ("first", 2), ("second", 1), ("second", 2)]
    assert raised.value.args == (1,)
    assert await signal.emit() == []


async def test_most_severe_error_is_raised() -> None:
    """A listener whose error repeating changes must be called again, whatever the others raised."""
    signal: Signal[int, int] = Signal("number", lambda error: 2 if isinstance(error, KeyError) else 1)
    for fn in (fail, fail_too):
        signal.connect(fn)
    with pytest.raises(KeyError) as raised:
        await signal.emit(5)
    assert raised.value.__notes__ == ["Signal('number'): another listener failed too: LookupError: 5"]


@pytest.mark.parametrize("first", [InvalidError("no user"), NotFoundError("no post"), LookupError("a fault")])
async def test_unavailable_error_of_a_listener_is_not_hidden(first: Exception) -> None:
    signals = Signals()

    async def refuse(channel: ChannelId) -> None:
        raise first

    async def be_away(channel: ChannelId) -> None:
        raise UnavailableError("no database")

    signals.channel_deleted.connect(refuse)
    signals.channel_deleted.connect(be_away)
    with pytest.raises(UnavailableError):
        await signals.channel_deleted.emit(ChannelId("@TGS#_a"))
