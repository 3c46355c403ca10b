"""The calls that the stub received: the latest with their bodies, and counters of all.

Bodies are stored as bytes and parsed when they are read, which keeps the answers fast. Signatures are not stored: the
URL is not recorded, and in a body that contains the caller's signature it is replaced.
"""

import difflib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson

from channel_adapter.stub.routes import REDACTED

CALLS_KEPT: Final = 10_000
BYTES_KEPT: Final = 32 * 1_048_576  # of bodies; the oldest go first
_UNKNOWN: Final = "unknown"


class RecordedCall(NamedTuple):
    """One request and its answer. `at` is the world's clock, `seconds` the real time it took, `raw` the body sent.

    `code` is None when a fault kept the envelope from being sent.
    """

    at: float
    service: str
    command: str
    caller: str | None
    code: int | None
    seconds: float
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """Return the body as JSON names and values; empty when it was no JSON object."""
        try:
            body = orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            return {}
        return body if isinstance(body, dict) else {}

    def matches(self, **fields: object) -> bool:
        """Return whether the body has each field with that value. `group_id` and `GroupId` name the same field."""
        if not fields:
            return True
        body = {plain_name(name): value for name, value in self.body.items()}
        return all(body.get(plain_name(name), _ABSENT) == value for name, value in fields.items())


class RequestLog:
    """A bounded ring of calls, and counters of all calls."""

    def __init__(self, *, max_calls: int = CALLS_KEPT, max_bytes: int = BYTES_KEPT) -> None:
        self._ring: deque[RecordedCall] = deque()
        self._max_calls = max_calls
        self._max_bytes = max_bytes
        self._bytes = 0
        self._listener: Callable[[RecordedCall], None] | None = None
        self.answers: Counter[tuple[str, int | None]] = Counter()
        """How often each command path (`service/command`, or `unknown`) was answered with each code."""

    def __len__(self) -> int:
        return len(self._ring)

    def __iter__(self) -> Iterator[RecordedCall]:
        return iter(tuple(self._ring))  # a copy: the server may append from its own thread meanwhile

    def __repr__(self) -> str:
        return f"RequestLog({len(self._ring)} kept of {self.answers.total()} calls)"

    def add(self, call: RecordedCall, *, known: bool, secret: str = "") -> None:
        """Record a call. `known`: the catalog has this command. `secret`: the caller's signature, never kept."""
        if secret and (hidden := secret.encode()) in call.raw:
            call = call._replace(raw=call.raw.replace(hidden, REDACTED.encode()))
        self.answers[f"{call.service}/{call.command}" if known else _UNKNOWN, call.code] += 1
        ring = self._ring
        ring.append(call)
        self._bytes += len(call.raw)
        while len(ring) > self._max_calls or self._bytes > self._max_bytes:
            self._bytes -= len(ring.popleft().raw)
        if self._listener is not None:
            self._listener(call)

    def listen(self, listener: Callable[[RecordedCall], None] | None) -> None:
        """Call `listener` with each call that is recorded from now on; None ends it."""
        self._listener = listener

    def calls(self, command: str | None = None, /, **body_fields: object) -> list[RecordedCall]:
        """Return the kept calls of a command (`create_group` or `group_open_http_svc/create_group`), oldest first.

        Body fields narrow them down, in snake case or by JSON name: `calls("send_group_msg", group_id="@TGS#_news")`.
        """
        return [call for call in self if is_named(call, command) and call.matches(**body_fields)]

    def count(self, command: str | None = None) -> int:
        """Return how often a command was called since the start or the last `clear`, whatever the answer."""
        answers = dict(self.answers)  # a copy, as in __iter__
        return sum(times for (path, _), times in answers.items() if command in (None, path, path.rpartition("/")[2]))

    def clear(self) -> None:
        """Forget calls and counters."""
        self._ring.clear()
        self._bytes = 0
        self.answers.clear()


def is_named(call: RecordedCall, command: str | None) -> bool:
    """Return whether `command` is the call's name, its path or None."""
    return command in (None, call.command, f"{call.service}/{call.command}")


def plain_name(name: str) -> str:
    """Return a name in lower case without underscores: `GroupId` and `group_id` become the same."""
    return name.replace("_", "").lower()


_ABSENT: Final = object()


SHOWN = 3


class NearestCallDifference(NamedTuple):
    """What one field should have been and was; `actual` is None when the field is absent."""

    field: str
    expected: Any
    actual: Any


class NearMiss(NamedTuple):
    """A call that was made, and what keeps it from being the expected one."""

    call: RecordedCall
    differences: tuple[NearestCallDifference, ...]

    def __str__(self) -> str:
        wrong = "; ".join(
            f"{field} is {actual!r}, expected {expected!r}" for field, expected, actual in self.differences
        )
        return f"{self.call.service}/{self.call.command}: {wrong or 'matches'}"


def nearest(
    calls: Iterable[RecordedCall], command: str | None, fields: Mapping[str, Any], *, maximum: int = SHOWN
) -> list[NearMiss]:
    """Return the calls most like the expected one, best first: the same command, then fewer differences."""
    scored = []
    for number, call in enumerate(calls):
        same = is_named(call, command)
        alike = 1.0 if same else _name_similarity(command or "", call.command)
        differences = tuple(_find_differences(call, fields))
        if same or alike > 0.5:
            scored.append((-alike, len(differences), -number, NearMiss(call, differences)))
    return [miss for *_, miss in sorted(scored, key=lambda entry: entry[:3])[:maximum]]


def _find_differences(call: RecordedCall, fields: Mapping[str, Any]) -> Iterable[NearestCallDifference]:
    body = {plain_name(name): value for name, value in call.body.items()}
    for name, expected in fields.items():
        actual = body.get(plain_name(name), _ABSENT)
        if actual != expected:
            yield NearestCallDifference(name, expected, None if actual is _ABSENT else actual)


def _name_similarity(expected: str, actual: str) -> float:
    return difflib.SequenceMatcher(None, expected.rpartition("/")[2], actual).ratio()
