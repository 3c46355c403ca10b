"""How far a verification or a cutover is: bars with rate, limit and time left on a terminal, lines elsewhere."""

# ruff: noqa: PLC0415 - rich is only needed on a terminal

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from channel_adapter.cli.migrate.progress import SECONDS_BETWEEN_LINES
from channel_adapter.cli.output import Output
from channel_adapter.cli.progress import rich_progress

if TYPE_CHECKING:
    from rich.progress import TaskID

    from channel_adapter.config.settings import Settings
    from channel_adapter.migration.plan.document import Plan

Tell = Callable[[str, int], None]

NAMES: Final[Mapping[str, str]] = {
    "moved": "channels moved again", "posts": "posts compared", "people": "people compared",
    "channels": "channels compared", "looked": "channels looked at",
    "filled": "conversation groups", "cleared": "conversation groups cleared",
}  # fmt: skip
"""What is counted, as people read it."""


class Checking:
    """Turns what a verification, a cutover or a rollback tells into a display. Each delta begins the counting anew."""

    def __init__(
        self, plan: "Plan", settings: "Settings", what: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        posts = (each.source.posts for each in plan.channels)
        self.totals: dict[str, int | None] = {
            "moved": len(plan.channels),
            "channels": len(plan.channels),
            "looked": len(plan.channels),
            "posts": sum(each.reachable + each.recalled + each.expired + each.foreign for each in posts),
            "people": sum(each.source.people.subscribers for each in plan.channels),
            "filled": None,
            "cleared": None,
        }
        self.limits = limits_of(plan, settings)
        self._what = what
        self._clock = clock

    @contextmanager
    def shown(self, output: Output) -> Iterator[Tell]:
        """What is to be told of progress."""
        with self._bars() if output.watched else self._lines(output) as tell:
            yield tell

    def _count(self, done: dict[str, int], kind: str, count: int) -> None:
        """Add what was told to `done`, or to the totals; what is no amount of work is left out."""
        if kind in ("delta", "again"):
            for each in ("posts", "people", "channels"):
                done.pop(each, None)
        if kind == "delta":
            done.pop("moved", None)
        if kind in ("to_fill", "to_clear"):
            goal = {"to_fill": "filled", "to_clear": "cleared"}[kind]
            self.totals[goal] = (self.totals[goal] or 0) + count
            done.setdefault(goal, 0)
        if kind in NAMES:
            done[kind] = done.get(kind, 0) + count

    @contextmanager
    def _lines(self, output: Output) -> Iterator[Tell]:
        began = spoke = self._clock()
        done: dict[str, int] = {}
        before: dict[str, int] = {}

        def tell(kind: str, count: int) -> None:
            nonlocal spoke, before
            self._count(done, kind, count)
            now = self._clock()
            if now - spoke < SECONDS_BETWEEN_LINES:
                return
            rates = {each: max(0, held - before.get(each, 0)) / (now - spoke) for each, held in done.items()}
            document = self._document(done, rates, now - began)
            if output.json:
                output.event(document)
            else:
                output.note(_line(document))
            spoke, before = now, dict(done)

        yield tell

    def _document(self, done: Mapping[str, int], rates: Mapping[str, float], seconds: float) -> dict[str, Any]:
        counts: dict[str, Any] = {}
        left: list[float] = []
        for kind, held in done.items():
            total, rate = self.totals[kind], rates[kind]
            counts[kind] = {
                "done": held, "of": total, "per_second": round(rate, 1), "limit": self.limits.get(kind),
            }  # fmt: skip
            if total is not None and total > held and rate > 0:
                left.append((total - held) / rate)
        ends = round(max(left)) if left else None
        return {"event": self._what, **counts, "seconds": round(seconds, 1), "seconds_left": ends}

    @contextmanager
    def _bars(self) -> Iterator[Tell]:
        bars = rich_progress(sys.stderr)
        tasks: dict[str, TaskID] = {}
        done: dict[str, int] = {}

        def tell(kind: str, count: int) -> None:
            self._count(done, kind, count)
            for each, held in done.items():
                if each not in tasks:
                    limit = self.limits.get(each)
                    tasks[each] = bars.add_task(NAMES[each], total=self.totals[each], limit=limit)
                bars.update(tasks[each], completed=held, total=self.totals[each])
            for each in tasks.keys() - done.keys():
                bars.reset(tasks[each], total=self.totals[each])

        with bars:
            yield tell


def limits_of(plan: "Plan", settings: "Settings") -> dict[str, float]:
    """Items a second that the app's calls per second allow: each is read on both sides, and the slower side counts."""
    from channel_adapter.migration.sources.source import SourceKind
    from channel_adapter.tencent import catalog, limits

    def rate(command: Any) -> float:
        return float(settings.calls_per_second.get(command.path, command.calls_per_second))

    posts = [rate(catalog.GROUP_MSG_GET_SIMPLE) * limits.HISTORY_PER_CALL]
    people = [rate(catalog.GET_GROUP_MEMBER_INFO) * limits.MEMBERS_PER_PAGE]
    if plan.source.kind is SourceKind.ACCOUNTS:
        posts.append(rate(catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE) * limits.OFFICIAL_HISTORY_PER_CALL)
        people.append(rate(catalog.GET_SUBSCRIBER_INFO) * limits.OFFICIAL_SUBSCRIBERS_PER_PAGE)
    filling = (catalog.GET_CONTACT_GROUP, catalog.GET_JOINED_GROUP_LIST, catalog.CREATE_CONTACT_GROUP)
    return {
        "posts": min(posts), "people": min(people), "filled": min(map(rate, filling)),
        "cleared": rate(catalog.UPDATE_CONTACT_GROUP),
    }  # fmt: skip


def _line(document: Mapping[str, Any]) -> str:
    """`posts compared 1,200 of 9,000, 400/s of 4,000/s; people compared ...; 20 s left`."""
    told: list[str] = []
    for kind, name in NAMES.items():
        held = document.get(kind)
        if held is None:
            continue
        of = f" of {held['of']:,}" if held["of"] is not None else ""
        limit = f" of {held['limit']:,.0f}/s" if held["limit"] else ""
        told.append(f"{name} {held['done']:,}{of}, {held['per_second']:,.0f}/s{limit}")
    if document["seconds_left"] is not None:
        told.append(f"{document['seconds_left']:,} s left")
    return "; ".join(told)
