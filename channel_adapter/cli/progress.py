"""How far a long job is: bars with rate and time left on a terminal, a line every few seconds elsewhere."""

# ruff: noqa: PLC0415 - rich is only needed on a terminal

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

from channel_adapter.mapping.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

SECONDS_BETWEEN_LINES: Final = 5.0


@dataclass(frozen=True, slots=True)
class ProgressCount:
    """Holds how much of one kind is done. `limit` is the number a second that the app's limits allow."""

    label: str
    done: int
    total: int | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class ProgressSnapshot:
    """Holds the counts of a job by kind, with the rate of each since the snapshot before; times are in seconds."""

    counts: Mapping[str, ProgressCount]
    per_second: Mapping[str, float]
    seconds: float
    seconds_left: float | None

    def line(self) -> str:
        """Return `imported 12,000 of 100,000, 3,980/s, 22 s left`."""
        parts = [self._describe_count(kind, count) for kind, count in self.counts.items()]
        if self.seconds_left is not None and len(parts) == 1:
            return f"{parts[0]}, {self.seconds_left:,.0f} s left"
        return "; ".join([*parts, *([] if self.seconds_left is None else [f"{self.seconds_left:,.0f} s left"])])

    def _describe_count(self, kind: str, count: ProgressCount) -> str:
        of = f" of {count.total:,}" if count.total is not None else ""
        limit = f" of {count.limit:,.0f}/s" if count.limit else ""
        return f"{count.label} {count.done:,}{of}, {self.per_second[kind]:,.0f}/s{limit}"


class ProgressDisplay(Protocol):
    """Shows counts; use it in a `with` block."""

    def update(self, counts: Mapping[str, ProgressCount]) -> None:
        """Show the counts as they are now; a kind that is missing begins again."""

    def say(self, line: str) -> None:
        """Write a line without disturbing the display."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """Writes a snapshot every few seconds; nothing for a shorter job.

    With `resumed` the first counts were reached by an earlier run and say nothing about the rate.
    """

    def __init__(
        self,
        show: Callable[[ProgressSnapshot], None],
        write: Callable[[str], None],
        *,
        every: float = SECONDS_BETWEEN_LINES,
        resumed: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._write = write
        self._every = every
        self._clock = clock
        self._before: Mapping[str, ProgressCount] | None = None if resumed else {}
        self._began = self._shown = 0.0

    def __enter__(self) -> Self:
        self._began = self._shown = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def update(self, counts: Mapping[str, ProgressCount]) -> None:
        """Show the counts if the last snapshot was long enough ago."""
        now = self._clock()
        if self._before is None:
            self._before = counts
        if now - self._shown >= self._every:
            self._show(self._take_snapshot(counts, now - self._shown, now - self._began))
            self._before, self._shown = counts, now

    def say(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def _take_snapshot(self, counts: Mapping[str, ProgressCount], since: float, seconds: float) -> ProgressSnapshot:
        rates: dict[str, float] = {}
        left: list[float] = []
        for kind, count in counts.items():
            before = (self._before or {}).get(kind)
            rate = rates[kind] = max(0, count.done - (before.done if before else 0)) / since
            if rate and count.total is not None and count.total > count.done:
                left.append((count.total - count.done) / rate)
        return ProgressSnapshot(dict(counts), rates, seconds, max(left) if left else None)


class Bars:
    """Draws a bar for each count on a terminal, from the first update on. `resumed` as in `Lines`."""

    def __init__(self, stream: TextIO, *, resumed: bool = False) -> None:
        self._rich = _rich_progress(stream)
        self._tasks: dict[str, TaskID] = {}
        self._resumed = resumed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def update(self, counts: Mapping[str, ProgressCount]) -> None:
        """Draw the counts."""
        self._rich.start()
        for kind, count in counts.items():
            if kind not in self._tasks:
                self._tasks[kind] = self._rich.add_task(count.label, total=count.total, limit=count.limit)
                if self._resumed:
                    self._rich.reset(self._tasks[kind], total=count.total, completed=count.done, limit=count.limit)
            self._rich.update(self._tasks[kind], completed=count.done, total=count.total)
        for kind in self._tasks.keys() - counts.keys():
            self._rich.reset(self._tasks[kind])

    def say(self, line: str) -> None:
        """Write a line above the bars."""
        self._rich.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


class Progress:
    """Counts the items of a job of one kind, and shows them; use it in a `with` block."""

    def __init__(self, label: str, total: int | None, display: ProgressDisplay) -> None:
        self.done = 0
        self._label = label
        self._total = total
        self._display = display

    def __enter__(self) -> Self:
        self._display.__enter__()
        self.advance(0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)

    def advance(self, count: int = 1) -> None:
        """Count `count` more items as done."""
        self.done += count
        self._display.update({self._label: ProgressCount(self._label, self.done, self._total)})

    def say(self, line: str) -> None:
        """Write a line without disturbing the display."""
        self._display.say(line)


def _rich_progress(stream: TextIO) -> "RichProgress":
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        """Shows the rate of a task, beside the rate that its field `limit` allows."""

        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed or 0.0
            limit = task.fields.get("limit")
            if limit:
                return Text(f"{speed:,.0f}/s of {limit:,.0f}/s")
            return Text(f"{speed:,.0f}/s" if speed else "")

    columns = (
        progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(), Rate(),
        progress.TimeRemainingColumn(),
    )  # fmt: skip
    return progress.Progress(*columns, console=Console(file=stream), redirect_stdout=False, redirect_stderr=False)
