"""Faults as data: which calls they match, and what happens to those. Deterministic with a seed and the stub's clock.

A fault has two halves. The first is the condition: service, command, group, account, the nth matching call, each k-th
one, a probability, calls above a rate, at most so many times. The second is the effect: a code, an HTTP status, a page
of HTML, a delay, a dropped connection, a body that is cut or slow, failing items of a batch, extra fields, a wrong
content type.
"""

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from random import Random
from typing import Any, Final, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from channel_adapter.stub.rates import RateWindow
from channel_adapter.stub.world.parsing import ACCOUNT_FIELDS
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import Command

_GROUP_FIELDS: Final = frozenset({"GroupId", "GroupIdList"})
_WHEN: Final = ("service", "command", "group", "account", "nth", "every", "probability", "above_rate", "times")


class Fault(BaseModel):
    """One fault. A call has to meet each condition that is given; names are patterns with `*` and `?`."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(default="", description="what reports call it")
    service: str = Field(default="*", description="service name of the URL")
    command: str = Field(default="*", description="command name of the URL")
    group: str | None = Field(default=None, description="a GroupId in the body")
    account: str | None = Field(default=None, description="an account anywhere in the body")
    nth: tuple[int, ...] = Field(default=(), description="only these of the matching calls, the first is 1")
    every: int | None = Field(default=None, ge=1, description="every k-th of the matching calls")
    probability: float = Field(default=1.0, ge=0, le=1, description="of the calls that are left, under the seed")
    above_rate: float | None = Field(default=None, gt=0, description="only calls above so many a second")
    times: int | None = Field(default=None, ge=1, description="at most so many times in all")

    code: int | None = Field(default=None, description="answer this ErrorCode")
    info: str = Field(default="a fault of the stub", description="and this ErrorInfo")
    status: int | None = Field(default=None, ge=400, le=599, description="answer this HTTP status with a page of HTML")
    drop: bool = Field(default=False, description="close the connection instead of answering; with `cut` in mid-answer")
    applied: bool = Field(default=False, description="the call takes effect before code, status or drop hide it")
    delay: float = Field(default=0.0, ge=0, description="seconds the answer is late")
    delay_spread: float = Field(default=0.0, ge=0, description="up to so many seconds more, under the seed")
    cut: float | None = Field(default=None, ge=0, lt=1, description="send only this part of the answer")
    slow: float | None = Field(default=None, gt=0, description="bytes a second of the answer")
    fail_items: int | None = Field(
        default=None, ge=1, description="every k-th item of a batch fails and takes no effect"
    )
    item_code: int = Field(default=codes.INTERNAL_ERROR, description="code of a failed item, where items have codes")
    content_type: str | None = Field(default=None, description="Content-Type of the answer")
    extra: dict[str, Any] = Field(default={}, description="fields added to the answer")

    @model_validator(mode="before")
    @classmethod
    def _wrap_nth(cls, values: Any) -> Any:
        """Accept `nth = 3` for `nth = [3]`."""
        if isinstance(values, Mapping) and isinstance(values.get("nth"), int):
            return {**values, "nth": (values["nth"],)}
        return values

    @model_validator(mode="after")
    def _check_effect(self) -> Self:
        if not self.model_fields_set - {*_WHEN, "name", "info", "applied", "item_code"}:
            raise ValueError("the fault has no effect: give code, status, drop, delay, cut, slow, fail_items or extra")
        return self

    @property
    def hides(self) -> bool:
        """Return whether the true answer does not reach the caller."""
        return self.code is not None or self.status is not None or (self.drop and self.cut is None)

    @property
    def silent(self) -> bool:
        """Return whether no envelope is sent."""
        return self.status is not None or self.drop

    def concerns(self, command: Command[Any, Any], body: Mapping[str, Any]) -> bool:
        """Return whether a call meets the conditions on service, command, group and account."""
        return (
            fnmatchcase(command.service, self.service)
            and fnmatchcase(command.name, self.command)
            and (self.group is None or any(fnmatchcase(group, self.group) for group in groups_in(body)))
            and (self.account is None or any(fnmatchcase(user, self.account) for user in accounts_in(body)))
        )


class MatchedFault(NamedTuple):
    """A fault that applies to one call; `delay` is in seconds."""

    fault: Fault
    delay: float


class _FaultCounter:
    """Counts the calls that a fault concerned, and those that it was applied to."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self.matched = 0
        self.applied = 0
        self._random = Random(seed)  # noqa: S311 - trouble that can be repeated
        self._window: RateWindow | None = None

    def match(self, now: float) -> MatchedFault | None:
        """Return a value if the fault applies to the call that was counted last."""
        fault = self.fault
        if fault.above_rate is not None:
            self._window = self._window or RateWindow(fault.above_rate, now)
            if self._window.acquire(now):
                return None
        if (
            (fault.times is not None and self.applied >= fault.times)
            or (fault.nth and self.matched not in fault.nth)
            or (fault.every is not None and self.matched % fault.every)
            or (fault.probability < 1 and self._random.random() >= fault.probability)
        ):
            return None
        self.applied += 1
        return MatchedFault(fault, fault.delay + fault.delay_spread * self._random.random())


class Faults:
    """The active faults. The first that matches applies; the others count the call too."""

    def __init__(self, faults: Sequence[Fault] = (), *, seed: int = 0) -> None:
        self._seed = seed
        self._counters: list[_FaultCounter] = []
        self.replace(faults)

    def __bool__(self) -> bool:
        return bool(self._counters)

    def __iter__(self) -> Iterator[Fault]:
        return (counter.fault for counter in self._counters)

    def replace(self, faults: Sequence[Fault]) -> None:
        """Activate these faults only, and count from zero."""
        self._counters = []
        self.add(*faults)

    def add(self, *faults: Fault) -> None:
        """Activate more faults, after the active ones."""
        for fault in faults:
            self._counters.append(_FaultCounter(fault, f"{self._seed}/{len(self._counters)}"))

    def match(self, command: Command[Any, Any], body: Mapping[str, Any], now: float) -> MatchedFault | None:
        """Return the fault that applies to this call, if any; `now` in seconds of the stub's clock."""
        chosen: MatchedFault | None = None
        for counter in self._counters:
            if counter.fault.concerns(command, body):
                counter.matched += 1
                chosen = chosen or counter.match(now)
        return chosen

    def report(self) -> list[dict[str, Any]]:
        """Return each fault with the number of calls that it concerned and of those that it was applied to."""
        return [
            {
                **counter.fault.model_dump(mode="json", exclude_defaults=True),
                "matched": counter.matched,
                "struck": counter.applied,
            }
            for counter in self._counters
        ]


def groups_in(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the group ids of a request."""
    for name in _GROUP_FIELDS:
        yield from _find_strings(body.get(name))


def accounts_in(body: Mapping[str, Any]) -> Iterator[str]:
    """Yield the accounts anywhere in a request."""
    left: list[tuple[str, Any]] = list(body.items())
    while left:
        name, value = left.pop()
        if isinstance(value, Mapping):
            left.extend(value.items())
        elif isinstance(value, list):
            left.extend((name, item) for item in value)
        elif isinstance(value, str) and (name in ACCOUNT_FIELDS or name.endswith("_Account")):
            yield value


def _find_strings(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str):
            yield item


class Latency:
    """Seconds by which every answer is late: `base`, and up to `spread` more, drawn from the seed."""

    def __init__(self, base: float = 0.0, spread: float = 0.0, seed: int = 0) -> None:
        self.base = base
        self.spread = spread
        self._random = Random(seed)  # noqa: S311 - a delay that can be repeated

    def set(self, base: float, spread: float = 0.0) -> None:
        """Replace both numbers, in seconds."""
        self.base, self.spread = base, spread

    def next(self) -> float:
        """Return the seconds to wait before the next answer."""
        return self.base + self._random.random() * self.spread if self.spread else self.base
