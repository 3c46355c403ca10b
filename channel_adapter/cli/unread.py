"""`unread`: what users have not read, their conversation groups and marks."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.files import ColumnOption, DelimiterOption, HeadingOption, opened_seekable, users_in
from channel_adapter.cli.output import ObjectWriter, counted, to_datetime
from channel_adapter.cli.progress import Progress
from channel_adapter.domain.unread import ChannelUnread, Synced, Unread
from channel_adapter.mapping.text import parse_digits
from channel_adapter.mapping.user_list import UnusableLine, UserList

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.concurrency.batching import ConcurrentMap


app = group("unread")

UserArgument = Annotated[str, typer.Argument(metavar="USER", help="An account of the app.")]
_OFF = Annotated[bool, typer.Option("--off", help="Take the mark away.")]

_COLUMNS = ("channel", "name", "unread", "muted", "last_post_at")
_INPUTS = ("last_post", "read_up_to", "left_out", "source")


@command(
    app, "unread", "show",
    example="channel-adapter unread show reader_1\nchannel-adapter unread show reader_1 --explain",
)  # fmt: skip
async def show(
    run: Run,
    user: UserArgument,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each number came about; so does -v.")] = False,
    fast: Annotated[bool, typer.Option("--fast", help="Do not read history for recalled and silent posts.")] = False,
) -> None:
    """Show a user's unread posts by channel, their sum as a badge, and the unread messages of chats.

    The badge leaves muted channels out. Recalled posts and posts sent with --silent do not count: where the service
    does not leave them out by itself, they are found in history.
    """
    explain = explain or bool(run.output.verbose)
    async with run.adapter() as adapter:
        found = await adapter.unread.get(user, exact=not fast, explain=explain)
    if run.output.json:
        run.output.one(_unread_document(found))
        return
    with run.output.items(_COLUMNS + (_INPUTS if explain else ()), empty=f"{user} is in no channel") as listing:
        for each in found.channels:
            row = (each.channel, each.name, each.count, each.muted, each.last_post_at)
            listing.add(each, *row, *_explanation_columns(each))
    run.output.line(f"badge {found.badge:,}, chats {found.chats:,}")


def _unread_document(found: Unread) -> dict[str, Any]:
    channels = [asdict(each) | {"muted": each.muted} for each in found.channels]
    return {"user": found.user, "badge": found.badge, "chats": found.chats, "channels": channels}


def _explanation_columns(each: ChannelUnread) -> tuple[Any, ...]:
    found = each.explanation
    if found is None:
        return ()
    left_out = " ".join(map(str, found.left_out)) or None
    return found.last_post, found.read_up_to, left_out, found.source


@command(
    app, "unread", "mark-read",
    example="channel-adapter unread mark-read reader_1 harbor_news --up-to 12\n"
    "channel-adapter unread mark-read reader_1 --all",
)  # fmt: skip
async def mark_read(
    run: Run,
    user: UserArgument,
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Slug or id.")] = None,
    up_to: Annotated[
        str | None,
        typer.Option("--up-to", metavar="POST|MOMENT", help="A post's number, or a moment like 2026-03-20T08:00Z."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in every channel.")] = False,
) -> None:
    """Mark a channel as read for a user, or up to a post or a time; read posts never become unread."""
    if everything == (channel is not None):
        raise UsageError("give a channel, or --all for every channel", field="channel")
    if everything and up_to is not None:
        raise UsageError("--up-to goes with one channel", field="up_to")
    limit = _parse_up_to(up_to)
    async with run.adapter() as adapter:
        if channel is None:
            marked = await adapter.unread.mark_all_read(user)
            sentence = f"{counted(len(marked), 'channel')} marked as read" if marked else "everything was read already"
            run.output.one({"user": user, "channels": list(marked)}, sentence)
        else:
            left = await adapter.unread.mark_read(channel, limit, user=user, exact=True)
            document = {"user": user, "channel": run.channel_id(channel), "left": left}
            run.output.one(document, f"{counted(left, 'post')} left unread")


def _parse_up_to(text: str | None) -> int | datetime | None:
    """Return the number of a post, which is in digits, or a time."""
    if text is None:
        return None
    if (number := parse_digits(text.removeprefix("-"))) is not None:
        return -number if text.startswith("-") else number
    return to_datetime(text, "--up-to", "a post's number or a moment like 2026-03-20T08:00Z")


@command(app, "unread", "sync", example="channel-adapter unread sync reader_1")
async def sync(run: Run, user: UserArgument) -> Exit:
    """Make a user's conversation group hold exactly the channels that the user follows, and show what changed.

    What the user put there by hand stays, unless unread.keep_by_hand is off. A second run changes nothing.
    """
    async with run.adapter() as adapter:
        done = await adapter.unread.sync(user)
    if run.output.json:
        run.output.one(done)
    else:
        with run.output.items(("conversation", "change", "reason"), empty="nothing to change") as listing:
            for conversation, change, reason in _change_rows(done):
                listing.add(None, conversation, change, reason)
    return Exit.DONE if done.done else Exit.PARTLY


def _change_rows(done: Synced) -> Iterator[tuple[str, str, str]]:
    yield from ((each, "put in", "") for each in done.added)
    yield from ((each, "taken out", "") for each in done.removed)
    yield from ((each, "kept", "put there by hand") for each in done.kept)
    yield from ((each, "failed", why) for each, why in done.failed)


@command(
    app, "unread", "sync-all",
    example="channel-adapter unread sync-all readers.csv\nchannel-adapter unread sync-all readers.csv --cursor 12000",
)  # fmt: skip
async def sync_all(
    run: Run,
    file: Annotated[str, typer.Argument(metavar="FILE.csv", help="CSV or one id a line; - for stdin.")],
    cursor: Annotated[int, typer.Option(min=0, help="Go on at the place that an interrupted run reported.")] = 0,
    heading: HeadingOption = None,
    delimiter: DelimiterOption = "",
    column: ColumnOption = "",
) -> Exit:
    """Do `sync` for all users of a file, about 190 users a second at the documented limits.

    An interrupted run reports where to go on. Users that the app does not know and lines that cannot be used are
    reported, and the rest goes on: exit code 3, or 1 when it failed for all.
    """
    with opened_seekable(file) as source:
        listed = users_in(source, file, heading, delimiter, column)
        total = max(0, listed.total - cursor)
        async with run.adapter() as adapter:
            with run.output.progress("synced", total) as progress:
                job = SyncAll(progress, run.output.report("problems", {}))
                syncs = adapter.unread.sync_many_stream(job.users(listed), cursor=cursor)
                run.output.describe_progress(lambda: f"{job.sentence()}; go on with --cursor {syncs.cursor}")
                await job.follow(syncs)
    if not run.output.json:
        run.output.line(job.sentence())
    return job.code


@command(app, "unread", "groups", example="channel-adapter unread groups reader_1")
async def list_groups(run: Run, user: UserArgument) -> None:
    """List a user's conversation groups and what is in them."""
    async with run.adapter() as adapter:
        with run.output.items(("name", "channels", "others"), empty="no conversation groups") as listing:
            async for each in adapter.unread.groups(user):
                listing.add(each, each.name, " ".join(each.channels), " ".join(each.others))


@command(app, "unread", "rename", example='channel-adapter unread rename reader_1 "Updates"')
async def rename(
    run: Run,
    user: UserArgument,
    new: Annotated[str, typer.Argument(metavar="NEW", help="The new name, 32 bytes.")],
    old: Annotated[str | None, typer.Option(help="The group's name now; else the one in the settings.")] = None,
) -> None:
    """Give a user's group another name. Set unread.name as well, or new channels go into a new group."""
    async with run.adapter() as adapter:
        renamed = await adapter.unread.rename(user, new, old=old)
    run.output.one(
        {"user": user, "name": new, "renamed": renamed}, "renamed" if renamed else "it had that name already"
    )


@command(app, "unread", "remove", example="channel-adapter unread remove reader_1")
async def remove(
    run: Run,
    user: UserArgument,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Else the one in the settings.")] = None,
) -> None:
    """Delete a user's conversation group; the channels in it stay subscribed."""
    async with run.adapter() as adapter:
        removed = await adapter.unread.remove(user, name)
        group_name = adapter.settings.unread.name if name is None else name
    document = {"user": user, "name": group_name, "removed": removed}
    run.output.one(document, "removed" if removed else "there was no such group")


@command(app, "unread", "star", example="channel-adapter unread star reader_1 harbor_news")
async def star(run: Run, user: UserArgument, channel: ChannelArgument, off: _OFF = False) -> None:
    """Mark a channel as important for a user."""
    async with run.adapter() as adapter:
        await adapter.unread.star(channel, user=user, on=not off)
        await _show_marks(run, adapter, user, channel)


@command(app, "unread", "hide", example="channel-adapter unread hide reader_1 harbor_news")
async def hide(run: Run, user: UserArgument, channel: ChannelArgument, off: _OFF = False) -> None:
    """Mark a channel as hidden in a user's list."""
    async with run.adapter() as adapter:
        await adapter.unread.hide(channel, user=user, on=not off)
        await _show_marks(run, adapter, user, channel)


@command(app, "unread", "fold", example="channel-adapter unread fold reader_1 harbor_news --off")
async def fold(run: Run, user: UserArgument, channel: ChannelArgument, off: _OFF = False) -> None:
    """Mark a channel as folded in a user's list."""
    async with run.adapter() as adapter:
        await adapter.unread.fold(channel, user=user, on=not off)
        await _show_marks(run, adapter, user, channel)


@command(app, "unread", "note", example='channel-adapter unread note reader_1 harbor_news "vip"')
async def note(
    run: Run,
    user: UserArgument,
    channel: ChannelArgument,
    text: Annotated[str, typer.Argument(metavar="TEXT", help='256 bytes; "" clears it.')],
) -> None:
    """Set a text of the app on a user's channel."""
    async with run.adapter() as adapter:
        await adapter.unread.note(channel, text, user=user)
        await _show_marks(run, adapter, user, channel)


@command(app, "unread", "marks", example="channel-adapter unread marks reader_1 harbor_news")
async def marks(run: Run, user: UserArgument, channel: ChannelArgument) -> None:
    """Show the marks that a user has on a channel."""
    async with run.adapter() as adapter:
        await _show_marks(run, adapter, user, channel)


async def _show_marks(run: Run, adapter: "ChannelAdapter", user: str, channel: str) -> None:
    """Write the user, the channel and the marks."""
    found = await adapter.unread.marks(channel, user=user)
    run.output.one({"user": user, "channel": run.channel_id(channel), **asdict(found)})


class SyncAll:
    """Counts what a sync of many users changed, and reports the users for whom it failed."""

    def __init__(self, progress: Progress, report: ObjectWriter | None) -> None:
        self._progress = progress
        self._report = report
        self._done = self._well = self._changed = self._added = self._removed = 0
        self.problems = 0

    @property
    def code(self) -> Exit:
        """Return the exit code for the results."""
        if not self.problems:
            return Exit.DONE
        return Exit.PARTLY if self._well else Exit.REFUSED

    def users(self, listed: UserList) -> Iterator[str]:
        """Return the users of the file; broken lines go into the report."""
        for each in listed:
            if isinstance(each, UnusableLine):
                self._report_problem({"line": each.line}, f"line {each.line}: {each.reason}", each.reason)
            else:
                yield each.user

    async def follow(self, syncs: "ConcurrentMap[str, Synced]") -> None:
        """Run the job to its end; whatever stops it, the report is a whole document."""
        complete = False
        try:
            async for done in syncs:
                self._count_user(done)
            complete = True
        finally:
            await syncs.aclose()
            if self._report is not None:
                self._report.close(
                    {"users": self._done, "changed": self._changed, "added": self._added, "removed": self._removed,
                     "cursor": syncs.cursor, "complete": complete}
                )  # fmt: skip

    def sentence(self) -> str:
        """Return `1,000 users: 12 changed, 14 channels put in, 3 taken out, 1 problem`."""
        changes = f"{self._changed:,} changed, {self._added:,} channels put in, {self._removed:,} taken out"
        problems = f", {self.problems:,} {'problem' if self.problems == 1 else 'problems'}" if self.problems else ""
        return f"{self._done:,} {'user' if self._done == 1 else 'users'}: {changes}{problems}"

    def _count_user(self, done: Synced) -> None:
        self._done += 1
        self._well += done.changed or done.done
        self._changed += done.changed
        self._added += len(done.added)
        self._removed += len(done.removed)
        self._progress.advance()
        for why in [done.error] if done.error else [f"{each}: {why}" for each, why in done.failed]:
            self._report_problem({"user": done.user}, f"{done.user}: {why}", why)

    def _report_problem(self, where: dict[str, Any], line: str, reason: str) -> None:
        self.problems += 1
        if self._report is not None:
            self._report.add({**where, "reason": reason})
        else:
            self._progress.say(line)
