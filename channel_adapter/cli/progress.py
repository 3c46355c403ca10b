"""How far a long job is: a bar with rate and time left on a terminal, a plain line every few seconds elsewhere."""

# ruff: noqa: PLC0415 - rich is only needed on a terminal

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from channel_adapter.mapping.text import printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import ProgressColumn

SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """What a job tells about itself; use it in a `with` block."""

    done: int

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""

    def say(self, line: str) -> None:
        """Write a line for people without disturbing the display."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Lines:
    """One line every few seconds; nothing at all for a job that is shorter, or when `quiet`."""

    def __init__(
        self,
        what: str,
        total: int | None,
        write: Callable[[str], None],
        *,
        quiet: bool = False,
        every: float = SECONDS_BETWEEN_LINES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.done = 0
        self._what = what
        self._total = total
        self._write = write
        self._quiet = quiet
        self._every = every
        self._clock = clock
        self._began = self._spoke = clock()

    def __enter__(self) -> Self:
        self._began = self._spoke = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.done += count
        if self._quiet:
            return
        now = self._clock()
        if now - self._spoke >= self._every:
            self._spoke = now
            self._write(self.line(now - self._began))

    def say(self, line: str) -> None:
        """Written at once."""
        self._write(line)

    def line(self, seconds: float) -> str:
        """`imported 12,000 of 100,000, 3,980/s, 22 s left`."""
        rate = self.done / seconds if seconds > 0 else 0.0
        of = f" of {self._total:,}" if self._total else ""
        left = f", {max(0, self._total - self.done) / rate:,.0f} s left" if self._total and rate else ""
        return f"{self._what} {self.done:,}{of}, {rate:,.0f}/s{left}"


class Bar:
    """The same as a bar that is drawn over and over on a terminal."""

    def __init__(self, what: str, total: int | None, stream: TextIO) -> None:
        self.done = 0
        self._rich = rich_progress(stream)
        self._task = self._rich.add_task(what, total=total)

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rich.stop()

    def advance(self, count: int = 1) -> None:
        """`count` more are done."""
        self.done += count
        self._rich.advance(self._task, count)

    def say(self, line: str) -> None:
        """Written above the bar."""
        self._rich.console.print(printable(line), markup=False, highlight=False, soft_wrap=True)


def rich_progress(stream: TextIO) -> "RichProgress":
    """Bars with rate and time left; a task with a field `limit` shows that beside its rate."""
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    class Rate(progress.ProgressColumn):
        def render(self, task: progress.Task) -> Text:
            speed = task.finished_speed or task.speed or 0.0
            limit = task.fields.get("limit")
            if limit:
                return Text(f"{speed:,.0f}/s of {limit:,.0f}/s")
            return Text(f"{speed:,.0f}/s" if speed else "")

    columns: list[ProgressColumn] = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        Rate(),
        progress.TimeRemainingColumn(),
    ]
    return progress.Progress(*columns, console=Console(file=stream), redirect_stdout=False, redirect_stderr=False)
