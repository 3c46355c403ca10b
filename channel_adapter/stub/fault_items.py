"""Failing items of a batch: they are kept from taking effect, and stand in the answer as failed.

Most items are taken out of the request. Where a list must not be empty they are spoiled instead, so that the world
carries the rest of the call out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter, ValidationError

from channel_adapter.stub.world.state import State
from channel_adapter.tencent.catalog import Command
from channel_adapter.tencent.wire.envelope import WireModel

ItemT = TypeVar("ItemT")
Path = tuple[str | int, ...]
NOT_APPLIED: Final = "a fault of the stub"


class Failed(NamedTuple, Generic[ItemT]):
    """One failing item, the code it fails with, and the call it is part of."""

    item: ItemT
    code: int
    state: State
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Report(Generic[ItemT]):
    """A list of the reply, and what it says about an item that failed."""

    path: Path
    say: Callable[[Failed[ItemT]], WireModel | str]


@dataclass(frozen=True, slots=True)
class Batch(Generic[ItemT]):
    """Where a command keeps its items, as paths of JSON names and places.

    `outcomes` has one entry for each item, in the order of the request; `failures` has those that failed only.
    """

    command: Command[Any, Any]
    item: type[ItemT]
    requested: Path
    outcomes: Report[ItemT] | None = None
    failures: Report[ItemT] | None = None
    spoil: Callable[[Any], Any] | None = None
    concerns: Callable[[Mapping[str, Any]], bool] | None = None


class Taken(NamedTuple):
    """What is left of a request, and the failing items by their place in it; `empty` when nothing is left to do."""

    body: dict[str, Any]
    failed: dict[int, Any]
    empty: bool = False


def take_out(batch: Batch[Any], body: Mapping[str, Any], every: int) -> Taken:
    """The body without every k-th item. A body of another shape stays as it is."""
    items = at(body, batch.requested)
    if not isinstance(items, list) or (batch.concerns is not None and not batch.concerns(body)):
        return Taken(dict(body), {})
    reader = TypeAdapter(batch.item)
    try:
        failed = {
            place: reader.validate_python(items[place], strict=True) for place in range(every - 1, len(items), every)
        }
    except ValidationError:
        return Taken(dict(body), {})
    if batch.spoil is None:
        left = [item for place, item in enumerate(items) if place not in failed]
    else:
        left = [batch.spoil(item) if place in failed else item for place, item in enumerate(items)]
    return Taken(_with(body, batch.requested, left), failed, empty=bool(items) and not left)


def put_back(
    batch: Batch[Any], body: Mapping[str, Any], reply: Mapping[str, Any], taken: Taken, code: int, state: State
) -> dict[str, Any]:
    """The reply with the failed items in it."""
    answered = dict(reply)
    if not taken.failed:
        return answered
    failed = {place: Failed(item, code, state, body) for place, item in taken.failed.items()}
    if batch.outcomes is not None:
        outcomes = list(at(answered, batch.outcomes.path) or ())
        for place, failure in failed.items():
            said = _json(batch.outcomes.say(failure))
            outcomes[place : place + (batch.spoil is not None)] = [said]
        answered = _with(answered, batch.outcomes.path, outcomes)
    if batch.failures is not None:
        failures = [_json(batch.failures.say(failure)) for failure in failed.values()]
        answered = _with(answered, batch.failures.path, [*(at(answered, batch.failures.path) or ()), *failures])
    return answered


def at(value: Any, path: Path) -> Any:
    """What stands at a path; None where the JSON has another shape."""
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _with(value: Any, path: Path, new: Any) -> Any:
    """A copy with something else at a path that leads somewhere; the last name may be new."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        return [_with(item, rest, new) if place == step else item for place, item in enumerate(value)]
    return {**value, step: _with(value.get(step), rest, new)}


def _json(said: WireModel | str) -> Any:
    return said if isinstance(said, str) else said.to_wire()
