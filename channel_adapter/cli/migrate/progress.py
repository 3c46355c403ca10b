"""How far a migration is: bars with rate, limit and time left on a terminal, lines elsewhere, JSON for machines."""

# ruff: noqa: PLC0415 - rich is only needed on a terminal

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, Self

from channel_adapter.cli.output import Output, counted

if TYPE_CHECKING:
    from channel_adapter.config.settings import Settings
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.run.apply import Status, UnderWay

SECONDS_BETWEEN_LINES: Final = 2.0


class Watching:
    """Turns what a migration tells into a display. `first` is said once, when a run has begun."""

    def __init__(
        self, plan: "Plan", settings: "Settings", *, first: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        from channel_adapter.tencent import limits
        from channel_adapter.tencent.catalog import IMPORT_GROUP_MEMBER, IMPORT_GROUP_MSG

        ceilings = settings.calls_per_second
        self.posts = sum(channel.source.posts.reachable - len(channel.left_behind) for channel in plan.channels)
        self.subscribers = sum(channel.source.people.subscribers for channel in plan.channels)
        people, posts = (
            ceilings.get(row.path, row.calls_per_second) for row in (IMPORT_GROUP_MEMBER, IMPORT_GROUP_MSG)
        )
        self.limits = {
            "subscribers": people * settings.subscriptions.add_per_call,
            "posts": posts * limits.IMPORT_MESSAGES_PER_CALL,
        }
        self.latest: Status | None = None
        self._first = first
        self._clock = clock

    def so_far(self) -> str:
        """For the moment when it is interrupted."""
        if self.latest is None:
            return "nothing was moved"
        return f"{_sentence(self.latest)}; the same command goes on from there"

    @contextmanager
    def shown(self, output: Output) -> "Iterator[Callable[[Status], None]]":
        """What is to be told of every new state."""
        show = self._bars() if output.watched else self._lines(output)
        with show as tell:

            def take(status: "Status") -> None:
                if self.latest is None and self._first:
                    output.note(self._first)
                self.latest = status
                tell(status)

            yield take

    @contextmanager
    def _lines(self, output: Output) -> "Iterator[Callable[[Status], None]]":
        began = spoke = self._clock()
        before: tuple[int, int] | None = None

        def tell(status: "Status") -> None:
            nonlocal spoke, before
            now, moved = self._clock(), (status.posts, status.subscribers)
            if before is None:  # what an earlier run has moved says nothing about this one's rate
                before = moved
            if now - spoke < SECONDS_BETWEEN_LINES:
                return
            rates = [(after - held) / (now - spoke) for after, held in zip(moved, before, strict=True)]
            document = self._document(status, now - began, rates)
            if output.json:
                output.event(document)
            else:
                output.note(_line(document))
            spoke, before = now, moved

        yield tell

    def _document(self, status: "Status", seconds: float, rates: list[float]) -> dict[str, Any]:
        left = [
            (total - done) / rate
            for total, done, rate in zip(
                (self.posts, self.subscribers), (status.posts, status.subscribers), rates, strict=True
            )
            if rate > 0 and total > done
        ]
        return {
            "event": "progress", "migration": status.migration, "round": status.round,
            "channels": {"done": status.done, "of": len(status.channels)},
            "posts": {"done": status.posts, "of": self.posts, "per_second": round(rates[0], 1),
                      "limit": self.limits["posts"]},
            "subscribers": {"done": status.subscribers, "of": self.subscribers, "per_second": round(rates[1], 1),
                            "limit": self.limits["subscribers"]},
            "quarantined": status.quarantined, "calls": status.calls, "seconds": round(seconds, 1),
            "seconds_left": round(max(left)) if left else None,
        }  # fmt: skip

    @contextmanager
    def _bars(self) -> "Iterator[Callable[[Status], None]]":
        from rich import progress
        from rich.console import Console
        from rich.text import Text

        class Rate(progress.ProgressColumn):
            def render(self, task: progress.Task) -> Text:
                speed = task.finished_speed or task.speed or 0.0
                limit = task.fields["limit"]
                return Text(f"{speed:,.0f}/s" + (f" of {limit:,.0f}/s" if limit else ""))

        bars = progress.Progress(
            progress.TextColumn("{task.description}"), progress.BarColumn(), progress.MofNCompleteColumn(), Rate(),
            progress.TimeRemainingColumn(), console=Console(file=sys.stderr), redirect_stdout=False,
            redirect_stderr=False,
        )  # fmt: skip
        tasks = {
            "channels": bars.add_task("channels", total=None, limit=None),
            "posts": bars.add_task("posts", total=self.posts, limit=self.limits["posts"]),
            "subscribers": bars.add_task("subscribers", total=self.subscribers, limit=self.limits["subscribers"]),
        }

        begun = False

        def tell(status: "Status") -> None:
            nonlocal begun
            bars.start()  # here, so that what is said before stands above them
            bars.update(tasks["channels"], total=len(status.channels), completed=status.done)
            for what, count in (("posts", status.posts), ("subscribers", status.subscribers)):
                if not begun:  # as above
                    bars.reset(tasks[what], completed=count, limit=self.limits[what])
                bars.update(tasks[what], completed=count)
            begun = True

        try:
            yield tell
        finally:
            bars.stop()


class WorkersView:
    """What a worker shows: the migration that is under way in its database, as the one that queued it shows it."""

    def __init__(self, settings: "Settings", output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = 0
        self._clock = clock
        self._settings = settings
        self._output = output
        self._shown = ExitStack()
        self._showing = ""
        self._tell: Callable[[Status], None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def hear(self, calls: int, under_way: "UnderWay | None") -> None:
        """Calls that were made here, and how far what is under way is, when that was looked up."""
        self.calls = calls
        if under_way is None:
            return
        plan, status = under_way.plan, under_way.status
        if self._tell is None or status.migration != self._showing:
            self._shown.close()
            self._showing = status.migration
            self._tell = self._shown.enter_context(
                Watching(plan, self._settings, clock=self._clock).shown(self._output)
            )
        self._tell(status)


def _line(document: dict[str, Any]) -> str:
    """`1 of 2 channels; posts 1,200 of 9,000, 400/s of 420/s; ...; 20 s left`."""
    channels, left = document["channels"], document["seconds_left"]
    moved = (
        f"{what} {each['done']:,} of {each['of']:,}, {each['per_second']:,.0f}/s of {each['limit']:,.0f}/s"
        for what, each in ((what, document[what]) for what in ("posts", "subscribers"))
    )
    ends = [] if left is None else [f"{left:,} s left"]
    return "; ".join([f"{channels['done']:,} of {counted(channels['of'], 'channel')}", *moved, *ends])


def _sentence(status: "Status") -> str:
    return (
        f"{status.done:,} of {len(status.channels):,} channels are done, {status.subscribers:,} subscribers and"
        f" {status.posts:,} posts are moved, {status.calls:,} calls were made"
    )
