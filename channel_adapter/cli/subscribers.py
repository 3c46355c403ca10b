"""`subscribers`: add, remove, list, import, check, follow, unfollow, notifications, mute, unmute."""

from collections import Counter, deque
from collections.abc import AsyncIterable, Iterator
from typing import Annotated, Literal, TypeGuard

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, for_counts
from channel_adapter.cli.files import ColumnOption, DelimiterOption, HeadingOption, opened_seekable, users_in
from channel_adapter.cli.output import ObjectWriter, counted, list_channel_outcomes, list_outcomes
from channel_adapter.cli.progress import Progress
from channel_adapter.domain.subscription import AssignmentStatus, Notifications, Outcome, OutcomeKind
from channel_adapter.mapping.user_list import ListedUser, UnusableLine, UserList

app = group("subscribers")

_USER = Annotated[str, typer.Argument(metavar="USER", help="An account of the app.")]
_CHANNELS = Annotated[list[str], typer.Argument(metavar="CHANNEL", help="Slugs or ids.")]
_USERS = Annotated[list[str], typer.Argument(metavar="USER", help="Accounts of the app.")]
_ASSIGN = Annotated[
    bool | None,
    typer.Option("--assign/--no-assign", help="Keep their conversation groups in step? Else as the settings say."),
]
_IMPORT_MISSING = Annotated[bool, typer.Option("--import-missing", help="Make accounts that the app does not know.")]


@command(app, "subscribers", "add", example="channel-adapter subscribers add harbor_news reader_1 reader_2")
async def add(
    run: Run, channel: ChannelArgument, users: _USERS, import_missing: _IMPORT_MISSING = False, assign: _ASSIGN = None
) -> Exit:
    """Subscribe users to a channel, one outcome each.

    A user who follows already is "already", not an error. Accounts that the app does not know are "not_found",
    unless --import-missing makes them first. The column "assignment" shows the result for each conversation
    group; it never keeps a user from being subscribed.
    """
    async with run.adapter() as adapter:
        outcomes = adapter.subscriptions.subscribe_stream(channel, users, import_missing=import_missing, assign=assign)
        return await list_outcomes(run.output, outcomes)


@command(app, "subscribers", "remove", example="channel-adapter subscribers remove harbor_news reader_2")
async def remove(run: Run, channel: ChannelArgument, users: _USERS, assign: _ASSIGN = None) -> Exit:
    """Unsubscribe users, one outcome each; a user who does not follow is "already"."""
    async with run.adapter() as adapter:
        return await list_outcomes(run.output, adapter.subscriptions.unsubscribe_stream(channel, users, assign=assign))


@command(app, "subscribers", "follow", example="channel-adapter subscribers follow reader_1 harbor_news harbor_tides")
async def follow(
    run: Run, user: _USER, channels: _CHANNELS, import_missing: _IMPORT_MISSING = False, assign: _ASSIGN = None
) -> Exit:
    """Subscribe one user to many channels, one outcome each; the user's conversation group is changed once."""
    async with run.adapter() as adapter:
        found = await adapter.subscriptions.follow(user, channels, import_missing=import_missing, assign=assign)
    return list_channel_outcomes(run.output, found)


@command(app, "subscribers", "unfollow", example="channel-adapter subscribers unfollow reader_1 harbor_tides")
async def unfollow(run: Run, user: _USER, channels: _CHANNELS, assign: _ASSIGN = None) -> Exit:
    """Unsubscribe one user from many channels, one outcome each; the user's conversation group is changed once."""
    async with run.adapter() as adapter:
        found = await adapter.subscriptions.unfollow(user, channels, assign=assign)
    return list_channel_outcomes(run.output, found)


@command(
    app, "subscribers", "notifications",
    example="channel-adapter subscribers notifications harbor_news reader_1 muted",
)  # fmt: skip
async def notifications(
    run: Run,
    channel: ChannelArgument,
    user: _USER,
    wanted: Annotated[
        Literal["all", "muted", "off", "mentions"],
        typer.Argument(metavar="all|muted|off|mentions", help="How new posts reach the user."),
    ],
) -> None:
    """Set how new posts reach a subscriber.

    all: delivered with push, counted in the badge. muted: delivered without push, not counted in the badge. off: not
    delivered. mentions: as muted, with push for posts that mention the user; no document says that this can be set by
    the REST API.
    """
    await _set_notifications(run, channel, user, Notifications(wanted))


@command(app, "subscribers", "mute", example="channel-adapter subscribers mute harbor_news reader_1")
async def mute(run: Run, channel: ChannelArgument, user: _USER) -> None:
    """Deliver new posts without push, and leave them out of the user's badge."""
    await _set_notifications(run, channel, user, Notifications.MUTED)


@command(app, "subscribers", "unmute", example="channel-adapter subscribers unmute harbor_news reader_1")
async def unmute(run: Run, channel: ChannelArgument, user: _USER) -> None:
    """Deliver new posts with push, and count them in the user's badge."""
    await _set_notifications(run, channel, user, Notifications.ALL)


async def _set_notifications(run: Run, channel: str, user: str, wanted: Notifications) -> None:
    async with run.adapter() as adapter:
        changed = await adapter.subscriptions.set_notifications(channel, wanted, user=user)
    document = {"user": user, "channel": run.channel_id(channel), "notifications": wanted, "changed": changed}
    run.output.one(document, f"notifications: {wanted}{'' if changed else ', as before'}")


@command(app, "subscribers", "list", example="channel-adapter subscribers list harbor_news --json > subscribers.json")
async def list_subscribers(
    run: Run,
    channel: ChannelArgument,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many; stderr shows where to go on.")] = None,
    cursor: Annotated[str, typer.Option(help="Go on where a list was stopped or failed.")] = "",
) -> None:
    """List the subscribers of a channel, any number of them in little memory. The owner is not in the list.

    A list that --limit stopped goes on with --cursor, a page of the service's earlier: some users may come again. With
    --json the place is a line on stderr, {"stopped": {"count", "cursor"}}; stdout has the users and nothing else.
    """
    columns = ("user", "role", "since", "notifications")
    async with run.adapter() as adapter:
        rows = adapter.subscriptions.subscribers(channel, cursor=cursor)
        with (
            run.output.progress("listed", beside_rows=True) as progress,
            run.output.items(columns, empty="no subscribers") as listing,
        ):
            run.output.describe_progress(
                lambda: f"{progress.done:,} were listed{_resume_hint(rows.cursor)}" if progress.done else ""
            )
            async for row in rows:
                listing.add(row, row.user, row.role, row.since, row.notifications)
                progress.advance()
                if listing.count == limit:
                    _report_stop(run, listing.count, rows.cursor)
                    break


def _report_stop(run: Run, count: int, cursor: str | None) -> None:
    """Show where a list goes on that was cut at the limit; "" is the cursor of the first page."""
    if run.output.json:
        run.output.event({"stopped": {"count": count, "cursor": cursor or ""}})
    elif not cursor:
        run.output.note(f"stopped after {count:,}; there may be more")
    else:
        run.output.note(f"stopped after {count:,}; --cursor {cursor} goes on, perhaps with some that were listed")


def _resume_hint(cursor: str | None) -> str:
    return f"; go on with --cursor {cursor}" if cursor else ""


@command(app, "subscribers", "check", example="channel-adapter subscribers check harbor_news reader_1 reader_2")
async def check(run: Run, channel: ChannelArgument, users: _USERS) -> None:
    """Check for each of the users whether they follow the channel."""
    async with run.adapter() as adapter:
        found = await adapter.subscriptions.is_subscribed(channel, users)
    with run.output.items(("user", "subscribed")) as listing:
        for user, subscribed in found.items():
            listing.add({"user": user, "subscribed": subscribed}, user, subscribed)


@command(
    app, "subscribers", "import",
    example="channel-adapter subscribers import harbor_news readers.csv\n"
    "zcat readers.csv.gz | channel-adapter subscribers import harbor_news -",
)  # fmt: skip
async def import_file(
    run: Run,
    channel: ChannelArgument,
    file: Annotated[str, typer.Argument(metavar="FILE.csv", help="CSV or one id a line; - for stdin.")],
    import_missing: _IMPORT_MISSING = False,
    heading: HeadingOption = None,
    delimiter: DelimiterOption = "",
    column: ColumnOption = "",
    assign: _ASSIGN = None,
) -> Exit:
    """Subscribe the users in a file, a million of them in little memory.

    The id is in the only column, or in the one headed user, user_id, account or id. Blank lines and lines that begin
    with # are skipped. The whole file is checked first: where it is not certain which column holds the ids, what
    separates columns or where a quoted field ends, nothing is written: exit code 2. A line that cannot be used is
    reported with its number and the rest goes on: exit code 3. Starting again after an interruption is harmless.
    """
    with opened_seekable(file) as source:
        listed = users_in(source, file, heading, delimiter, column)
        async with run.adapter() as adapter:
            with run.output.progress("imported", listed.total) as progress:
                job = UserFileReport(run, progress, run.output.report("problems", {"channel": run.channel_id(channel)}))
                users = job.users(listed)
                outcomes = adapter.subscriptions.subscribe_stream(
                    channel, users, import_missing=import_missing, assign=assign
                )
                await job.follow(outcomes)
    if not run.output.json:
        run.output.line(job.sentence())
        if unassigned := job.unassigned():
            run.output.note(unassigned)
    return job.code


class UserFileReport:
    """Counts the outcomes of a file, and reports every line without the outcome that was asked for."""

    def __init__(self, run: Run, progress: Progress, report: ObjectWriter | None) -> None:
        self._progress = progress
        self._report = report
        self._lines: dict[str, deque[int]] = {}
        self.counts: Counter[OutcomeKind] = Counter()
        self.assignments: Counter[AssignmentStatus] = Counter()
        self.broken = 0
        self.read = 0
        run.output.describe_progress(lambda: self.sentence() if self.counts else "")

    def users(self, listed: UserList) -> Iterator[str]:
        """Return the users of the file; broken lines go into the report."""
        for each in listed:
            if self._count_line(each):
                yield each.user

    async def follow(self, outcomes: AsyncIterable[Outcome]) -> None:
        """Run the job to its end; whatever stops it, the report is a whole document."""
        complete = False
        try:
            async for outcome in outcomes:
                self._count_outcome(outcome)
            complete = True
        finally:
            if self._report is not None and (complete or self.counts or self.broken):
                self._report.close(
                    {"read": self.read, "broken_lines": self.broken, "counts": dict(self.counts),
                     "assignments": dict(self.assignments), "complete": complete}
                )  # fmt: skip

    @property
    def code(self) -> Exit:
        """Return the exit code for the outcomes."""
        return for_counts(self.counts, self.broken)

    def sentence(self) -> str:
        """Return `1,003 lines read: 998 added, 2 already, 3 broken lines`."""
        parts = [f"{count:,} {kind.value.replace('_', ' ')}" for kind, count in sorted(self.counts.items())]
        if self.broken:
            parts.append(counted(self.broken, "broken line"))
        return f"{counted(self.read, 'line')} read: {', '.join(parts) or 'no users in them'}"

    def unassigned(self) -> str:
        """Return `conversation groups: 1,000 assigned, 9,000 left out; ...`, "" when all are assigned."""
        if not self.assignments.keys() - {AssignmentStatus.ASSIGNED}:
            return ""
        parts = [f"{count:,} {kind.value.replace('_', ' ')}" for kind, count in sorted(self.assignments.items())]
        return f"conversation groups: {', '.join(parts)}; 'unread sync-all' with the same file does the rest"

    def _count_line(self, each: ListedUser | UnusableLine) -> TypeGuard[ListedUser]:
        self.read += 1
        if isinstance(each, ListedUser):
            self._lines.setdefault(each.user, deque()).append(each.line)
            return True
        self.broken += 1
        self._report_problem(each.line, None, "broken_line", each.reason)
        self._progress.advance()
        return False

    def _count_outcome(self, outcome: Outcome) -> None:
        line = self._take_line(outcome.user)
        self.counts[outcome.kind] += 1
        if outcome.assignment is not None:
            self.assignments[outcome.assignment.status] += 1
        self._progress.advance()
        if not outcome.done:
            self._report_problem(line, outcome.user, outcome.kind.value, outcome.reason)

    def _take_line(self, user: str) -> int | None:
        """Return the first line of a user that has no outcome yet."""
        lines = self._lines.get(user)
        if not lines:
            return None
        line = lines.popleft()
        if not lines:
            del self._lines[user]
        return line

    def _report_problem(self, line: int | None, user: str | None, kind: str, reason: str) -> None:
        if self._report is not None:
            self._report.add({"line": line, "user": user, "kind": kind, "reason": reason})
            return
        where = f"line {line}: " if line is not None else ""
        outcome = f"{user}: {kind.replace('_', ' ')}" if user is not None else ""
        self._progress.say(where + ": ".join(part for part in (outcome, reason) if part))
