"""Which calls came nearest to one that was expected and never came: the report of an assertion that failed."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from channel_adapter.stub.request_log import Call, is_named, plain_name

SHOWN = 3


class Difference(NamedTuple):
    """What one field should have been and was; `actual` is None when the field is absent."""

    field: str
    expected: Any
    actual: Any


class NearMiss(NamedTuple):
    """A call that was made, and what keeps it from being the expected one."""

    call: Call
    differences: tuple[Difference, ...]

    def __str__(self) -> str:
        wrong = "; ".join(
            f"{field} is {actual!r}, expected {expected!r}" for field, expected, actual in self.differences
        )
        return f"{self.call.service}/{self.call.command}: {wrong or 'matches'}"


def nearest(
    calls: Iterable[Call], command: str | None, fields: Mapping[str, Any], *, most: int = SHOWN
) -> list[NearMiss]:
    """The calls most like the expected one, best first: the same command before others, fewer differences first."""
    scored = []
    for number, call in enumerate(calls):
        same = is_named(call, command)
        alike = 1.0 if same else _likeness(command or "", call.command)
        differences = tuple(_differences(call, fields))
        if same or alike > 0.5:
            scored.append((-alike, len(differences), -number, NearMiss(call, differences)))
    return [miss for *_, miss in sorted(scored, key=lambda entry: entry[:3])[:most]]


def _differences(call: Call, fields: Mapping[str, Any]) -> Iterable[Difference]:
    body = {plain_name(name): value for name, value in call.body.items()}
    for name, expected in fields.items():
        actual = body.get(plain_name(name))
        if actual != expected:
            yield Difference(name, expected, actual)


def _likeness(expected: str, actual: str) -> float:
    return difflib.SequenceMatcher(None, expected.rpartition("/")[2], actual).ratio()
