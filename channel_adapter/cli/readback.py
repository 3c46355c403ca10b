"""What the demo records of its steps: what happened, what it became on the wire, and whether read-backs agree."""

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.tencent.client import Attempt

SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Calls:
    """How often one command was sent."""

    command: str
    count: int


@dataclass(slots=True)
class Step:
    """One step: its title, what came of it, its calls, and where a read-back differed from what was written."""

    title: str
    result: str = ""
    calls: tuple[Calls, ...] = ()
    seconds: float = 0.0
    read_backs: int = 0
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, wrote: Any, read: Any) -> None:
        """Count one comparison, and keep the difference if there is one."""
        self.read_backs += 1
        if wrote != read:
            self.differences.append(f"{what}: {_difference(wrote, read)}")


@dataclass(slots=True)
class Report:
    """All steps so far. `seconds` and counts are those of the whole demo."""

    steps: list[Step] = field(default_factory=list)

    @property
    def read_backs(self) -> int:
        """How many comparisons were made."""
        return sum(step.read_backs for step in self.steps)

    @property
    def differences(self) -> list[str]:
        """Every comparison that failed, with its step."""
        return [f"{step.title}: {each}" for step in self.steps for each in step.differences]

    @property
    def calls(self) -> int:
        """How many calls were sent."""
        return sum(calls.count for step in self.steps for calls in step.calls)

    @property
    def seconds(self) -> float:
        """How long the steps took."""
        return sum(step.seconds for step in self.steps)

    def document(self) -> dict[str, Any]:
        """The report for machines."""
        return {
            "agree": not self.differences,
            "read_backs": self.read_backs,
            "differences": self.differences,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "steps": [dataclasses.replace(step, seconds=round(step.seconds, 3)) for step in self.steps],
        }


class Differs(Exception):  # noqa: N818 - the end of a demo, not a fault
    """A step's read-backs differ, and nobody asked to go on."""


class Recorder:
    """Runs steps one after another, counts the calls of each, and tells each when it is over."""

    def __init__(self, tell: Callable[[int, Step], None], clock: Callable[[], float], *, keep_going: bool) -> None:
        self.report = Report()
        self._tell = tell
        self._clock = clock
        self._keep_going = keep_going
        self._calls: Counter[str] = Counter()

    def observe(self, attempt: "Attempt") -> None:
        """One attempt on the wire."""
        self._calls[f"{attempt.service}/{attempt.command}"] += 1

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """One step. Raises Differs at its end when a read-back differed, unless the demo shall go on."""
        self._calls.clear()
        step = Step(title)
        began = self._clock()
        yield step
        step.seconds = self._clock() - began
        step.calls = tuple(Calls(command, count) for command, count in self._calls.items())
        self.report.steps.append(step)
        self._tell(len(self.report.steps), step)
        if step.differences and not self._keep_going:
            raise Differs


def _difference(wrote: Any, read: Any) -> str:
    if type(wrote) is type(read) and dataclasses.is_dataclass(wrote) and not isinstance(wrote, type):
        names = [each.name for each in dataclasses.fields(wrote)]
        return "; ".join(
            f"{name} was {_short(getattr(wrote, name))}, is {_short(getattr(read, name))}"
            for name in names
            if getattr(wrote, name) != getattr(read, name)
        )
    return f"was {_short(wrote)}, is {_short(read)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"
