"""How far a migration, a verification, a cutover or a rollback is: what is counted, and how fast the app may go."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from channel_adapter.cli.output import Output, counted
from channel_adapter.cli.progress import ProgressCount, ProgressSnapshot

if TYPE_CHECKING:
    from channel_adapter.config.settings import Settings
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.run.apply import InProgress, Status
    from channel_adapter.tencent.catalog import Command

SECONDS_BETWEEN_LINES: Final = 2.0


class MigrationProgress:
    """Shows each state of a migration. `first` is written once, when the first state arrives."""

    def __init__(
        self,
        plan: "Plan",
        settings: "Settings",
        output: Output,
        *,
        first: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from channel_adapter.tencent import limits
        from channel_adapter.tencent.catalog import IMPORT_GROUP_MEMBER, IMPORT_GROUP_MSG

        self.posts = sum(channel.source.posts.reachable - len(channel.left_behind) for channel in plan.channels)
        self.subscribers = sum(channel.source.audience.subscribers for channel in plan.channels)
        self.limits = {
            "subscribers": _command_rate(settings, IMPORT_GROUP_MEMBER) * settings.subscriptions.add_per_call,
            "posts": _command_rate(settings, IMPORT_GROUP_MSG) * limits.IMPORT_MESSAGES_PER_CALL,
        }
        self.latest: Status | None = None
        self._first = first
        self._output = output
        self._display = output.display(self._print_progress, every=SECONDS_BETWEEN_LINES, resumed=True, clock=clock)

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)

    def so_far(self) -> str:
        """Return what is moved, for a run that is interrupted."""
        if self.latest is None:
            return "nothing was moved"
        return f"{_describe_status(self.latest)}; the same command goes on from there"

    def update(self, status: "Status") -> None:
        """Show a state."""
        if self.latest is None and self._first:
            self._output.note(self._first)
        self.latest = status
        self._display.update(
            {
                "channels": ProgressCount("channels", status.done, len(status.planned)),
                "posts": ProgressCount("posts", status.posts, self.posts, self.limits["posts"]),
                "subscribers": ProgressCount(
                    "subscribers", status.subscribers, self.subscribers, self.limits["subscribers"]
                ),
            }
        )

    def _print_progress(self, snapshot: ProgressSnapshot) -> None:
        if self.latest is None:
            return
        document = _migration_document(snapshot, self.latest)
        if self._output.json:
            self._output.event(document)
        else:
            self._output.note(_migration_line(document))


def _migration_document(snapshot: ProgressSnapshot, status: "Status") -> dict[str, Any]:
    """Return a snapshot for programs. Channels have no rate: they end together."""
    channels = snapshot.counts["channels"]
    left = [_seconds_left(snapshot, kind) for kind in ("posts", "subscribers")]
    known = [seconds for seconds in left if seconds is not None]
    return {
        "event": "progress", "migration": status.migration, "round": status.round,
        "channels": {"done": channels.done, "of": channels.total},
        **{kind: _describe_rate(snapshot, kind) for kind in ("posts", "subscribers")},
        "quarantined": status.quarantined, "calls": status.calls, "seconds": round(snapshot.seconds, 1),
        "seconds_left": round(max(known)) if known else None,
    }  # fmt: skip


def _describe_rate(snapshot: ProgressSnapshot, kind: str) -> dict[str, Any]:
    count = snapshot.counts[kind]
    rate = round(snapshot.per_second[kind], 1)
    return {"done": count.done, "of": count.total, "per_second": rate, "limit": count.limit}


def _seconds_left(snapshot: ProgressSnapshot, kind: str) -> float | None:
    count, rate = snapshot.counts[kind], snapshot.per_second[kind]
    if not rate or count.total is None or count.total <= count.done:
        return None
    return (count.total - count.done) / rate


def _migration_line(document: Mapping[str, Any]) -> str:
    """Return `1 of 2 channels; posts 1,200 of 9,000, 400/s of 420/s; ...; 20 s left`."""
    channels, left = document["channels"], document["seconds_left"]
    moved = (
        f"{what} {each['done']:,} of {each['of']:,}, {each['per_second']:,.0f}/s of {each['limit']:,.0f}/s"
        for what, each in ((what, document[what]) for what in ("posts", "subscribers"))
    )
    ends = [] if left is None else [f"{left:,} s left"]
    return "; ".join([f"{channels['done']:,} of {counted(channels['of'], 'channel')}", *moved, *ends])


def _describe_status(status: "Status") -> str:
    return (
        f"{status.done:,} of {len(status.planned):,} channels are done, {status.subscribers:,} subscribers and"
        f" {status.posts:,} posts are moved, {status.calls:,} calls were made"
    )


class WorkerProgress:
    """Shows the migration that is under way in the database of a worker, one after the other."""

    def __init__(self, settings: "Settings", output: Output, clock: Callable[[], float] = time.monotonic) -> None:
        self.calls = 0
        self._clock = clock
        self._settings = settings
        self._output = output
        self._shown = ExitStack()
        self._migration = ""
        self._progress: MigrationProgress | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._shown.close()

    def update(self, calls: int, under_way: "InProgress | None") -> None:
        """Take note of the calls that this worker made, and show the state that it read, if it read one."""
        self.calls = calls
        if under_way is None:
            return
        plan, status = under_way.plan, under_way.status
        if self._progress is None or status.migration != self._migration:
            self._shown.close()
            self._migration = status.migration
            progress = MigrationProgress(plan, self._settings, self._output, clock=self._clock)
            self._progress = self._shown.enter_context(progress)
        self._progress.update(status)


LABELS: Final[Mapping[str, str]] = {
    "moved": "channels moved again", "posts": "posts compared", "subscribers": "subscribers compared",
    "channels": "channels compared", "looked": "channels looked at",
    "filled": "conversation groups", "cleared": "conversation groups cleared",
}  # fmt: skip
"""What a verification, a cutover and a rollback count, and how each is called."""

_GOALS: Final = {"to_fill": "filled", "to_clear": "cleared"}


class CheckProgress:
    """Shows the counts of a verification, a cutover or a rollback, which is `event`. A delta begins them again."""

    def __init__(
        self,
        plan: "Plan",
        settings: "Settings",
        output: Output,
        event: str,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        posts = (each.source.posts for each in plan.channels)
        self.totals: dict[str, int | None] = {
            "moved": len(plan.channels),
            "channels": len(plan.channels),
            "looked": len(plan.channels),
            "posts": sum(each.reachable + each.recalled + each.expired + each.foreign for each in posts),
            "subscribers": sum(each.source.audience.subscribers for each in plan.channels),
            "filled": None,
            "cleared": None,
        }
        self.limits = limits_of(plan, settings)
        self._event = event
        self._done: dict[str, int] = {}
        self._output = output
        self._display = output.display(self._print_progress, every=SECONDS_BETWEEN_LINES, clock=clock)

    def __enter__(self) -> Self:
        self._display.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.__exit__(kind, error, trace)

    def add(self, kind: str, count: int) -> None:
        """Add to the count of a kind, or to what is to be done; other kinds are left out."""
        if kind in ("delta", "again"):
            for each in ("posts", "subscribers", "channels", *(["moved"] if kind == "delta" else [])):
                self._done.pop(each, None)
        if kind in _GOALS:
            goal = _GOALS[kind]
            self.totals[goal] = (self.totals[goal] or 0) + count
            self._done.setdefault(goal, 0)
        if kind in LABELS:
            self._done[kind] = self._done.get(kind, 0) + count
        self._display.update(
            {
                kind: ProgressCount(LABELS[kind], self._done[kind], self.totals[kind], self.limits.get(kind))
                for kind in LABELS
                if kind in self._done
            }
        )

    def _print_progress(self, snapshot: ProgressSnapshot) -> None:
        if not self._output.json:
            self._output.note(snapshot.line())
            return
        left = snapshot.seconds_left
        self._output.event(
            {
                "event": self._event,
                **{kind: _describe_rate(snapshot, kind) for kind in snapshot.counts},
                "seconds": round(snapshot.seconds, 1),
                "seconds_left": None if left is None else round(left),
            }
        )


def limits_of(plan: "Plan", settings: "Settings") -> dict[str, float]:
    """Return how many items a second the app's limits allow: both sides are read, and the slower one counts."""
    from channel_adapter.migration.sources.source import SourceKind
    from channel_adapter.tencent import catalog, limits

    posts = [_command_rate(settings, catalog.GROUP_MSG_GET_SIMPLE) * limits.HISTORY_PER_CALL]
    members = [_command_rate(settings, catalog.GET_GROUP_MEMBER_INFO) * limits.MEMBERS_PER_PAGE]
    if plan.source.kind is SourceKind.ACCOUNTS:
        posts.append(
            _command_rate(settings, catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE) * limits.OFFICIAL_HISTORY_PER_CALL
        )
        members.append(_command_rate(settings, catalog.GET_SUBSCRIBER_INFO) * limits.OFFICIAL_SUBSCRIBERS_PER_PAGE)
    filling = (catalog.GET_CONTACT_GROUP, catalog.GET_JOINED_GROUP_LIST, catalog.CREATE_CONTACT_GROUP)
    return {
        "posts": min(posts), "subscribers": min(members),
        "filled": min(_command_rate(settings, each) for each in filling),
        "cleared": _command_rate(settings, catalog.UPDATE_CONTACT_GROUP),
    }  # fmt: skip


def _command_rate(settings: "Settings", command: "Command[Any, Any]") -> float:
    return float(settings.calls_per_second.get(command.path, command.calls_per_second))
