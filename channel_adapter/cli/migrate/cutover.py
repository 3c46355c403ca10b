"""`migrate cutover` and `rollback`: move posting, and undo a migration."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.durations import DURATIONS, parse_duration
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.migrate.options import (
    DATABASE,
    EXPLAINED,
    MAX_CALLS,
    MAX_DURATION,
    PLAN,
    PlanFiles,
    accepted_in,
    app,
    bounds_of,
    find_journal,
    stopping,
)
from channel_adapter.cli.migrate.progress import CheckProgress
from channel_adapter.cli.migrate.run import code_of, filling_document, filling_sentence
from channel_adapter.cli.output import counted
from channel_adapter.errors import InvalidError

if TYPE_CHECKING:
    from channel_adapter.cli.output import Output
    from channel_adapter.migration.cutover.cutover import Cutover
    from channel_adapter.migration.rollback import Rollback

CLEARING: Final = ("to_clear", "cleared")


class OnBroadcast(StrEnum):
    """Treatments of broadcasts of an account that has moved."""

    REFUSE = "refuse"
    REDIRECT = "redirect"


@command(
    app, "migrate", "cutover",
    example='channel-adapter migrate cutover plan.json --window 7d --final-broadcast "We have moved"\n'
    "channel-adapter migrate cutover plan.json --destroy-source",
)  # fmt: skip
async def cutover(
    run: Run,
    file: PLAN,
    window: Annotated[
        str,
        typer.Option(
            "--window", metavar="TIME", help=f"How long posts are broadcast on the accounts too: {DURATIONS}, or 0."
        ),
    ] = "7d",
    on_broadcast: Annotated[
        OnBroadcast, typer.Option("--on-broadcast", help="What the guard does with broadcasts of a moved account.")
    ] = OnBroadcast.REFUSE,
    final_broadcast: Annotated[
        str, typer.Option("--final-broadcast", metavar="TEXT", help="A last broadcast of every account.")
    ] = "",
    no_fill: Annotated[bool, typer.Option("--no-fill", help="Leave users' conversation groups as they are.")] = False,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Leave conversation groups to `worker`, or to a later run.")
    ] = False,
    explained: EXPLAINED = None,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Move posting in spite of what verify finds.")
    ] = False,
    destroy_source: Annotated[
        bool, typer.Option("--destroy-source", help="Destroy the accounts, after a clean verification.")
    ] = False,
    database: DATABASE = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """Move posting: a last delta, a verification, then all accounts together. Run again, it continues where it was.

    It needs `database_url` in the settings, where publishing and the guard find that posting has moved. Exit code 3:
    differences, and nothing has moved; or a last broadcast that is still to be sent. 4: stopped. When posting has moved
    it waits for users' conversation groups; a `worker` on the same database fills them as well.
    """
    from channel_adapter.migration.cutover.cutover import CutoverOptions
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    options = CutoverOptions(
        window_seconds=parse_duration(window, "window", zero=True), guard=on_broadcast.value,
        final_broadcast=final_broadcast, fill=not no_fill, wait=not no_wait, destroy_source=destroy_source,
        accepted=accepted_in(explained), accept_differences=accept_differences,
    )  # fmt: skip
    run.output.describe_progress(lambda: "the same command goes on from there")
    async with run.adapter() as adapter:
        database = await find_journal(adapter, PlanFiles(file), plan, database)
        with CheckProgress(plan, adapter.settings, run.output, "cutover") as progress:
            try:
                done = await adapter.migration.cutover(
                    plan, options, database=database, limits=bounds, on_progress=progress.add
                )
            except InvalidError as wrong:
                if wrong.field == "destroy_source":  # refused at once; the same command would be again
                    run.output.describe_progress(lambda: "nothing was changed")
                raise
    _show_cutover(run.output, done)
    return _cutover_code(done, filled=no_fill or no_wait or done.group_sync.done or not done.group_sync.wanted)


@command(
    app, "migrate", "rollback",
    example="channel-adapter migrate rollback plan.json\nchannel-adapter migrate rollback plan.json --yes",
)  # fmt: skip
async def rollback(
    run: Run,
    file: PLAN,
    yes: Annotated[bool, typer.Option("--yes", help="Remove what the list says; without it, only list.")] = False,
    database: DATABASE = None,
    max_calls: MAX_CALLS = None,
    max_duration: MAX_DURATION = None,
) -> Exit:
    """List the channels of this migration that could go, and with --yes remove them. The source is only read.

    Channels with posts or subscribers of their own since stay, and so does what the source has no more. Exit code 3:
    some of the migration's channels stay.
    """
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    async with run.adapter() as adapter:
        url = await find_journal(adapter, PlanFiles(file), plan, database)
        run.output.describe_progress(lambda: "what was removed is gone; the same command goes on")
        progress = CheckProgress(plan, adapter.settings, run.output, "rollback")
        with progress, stopping(run) as stopped:
            done = await adapter.migration.rollback(
                plan, remove=yes, database=url, limits=bounds,
                on_progress=lambda kind, count: progress.add(kind if kind in CLEARING else "looked", count),
            )  # fmt: skip
    if stopped:
        return Exit.INTERRUPTED
    _show_rollback(run.output, done)
    return Exit.DONE if not yes or done.complete else Exit.PARTLY


def _show_cutover(output: "Output", done: "Cutover") -> None:
    if output.json:
        output.one(_cutover_document(done))
        return
    if done.verdict is not None and not done.verdict.clean:
        for finding in done.verdict.named:
            output.line(str(finding))
        output.line("`migrate verify` writes all of them; those that may stay can be given as --explained")
    moved = sum(bool(row.moved_at) for row in done.moved)
    output.line(f"posting has moved for {moved:,} of {counted(done.channels, 'channel')}")
    for last in done.final_broadcasts:
        if not last.sent:
            output.line(f"the last broadcast of {last.account} is still to be sent: {last.reason}")
    if done.posting_moved and done.group_sync.wanted:
        output.line(filling_sentence(done.group_sync))
    if done.destroyed:
        output.line(f"destroyed accounts: {', '.join(done.destroyed)}")
    if done.stopped:
        output.line(f"stopped: {done.stopped}")


def _cutover_document(done: "Cutover") -> dict[str, Any]:
    return {
        "migration": done.migration,
        "posting_moved": done.posting_moved,
        "channels": [
            {"source": row.source, "target": row.channel, "moved_at": row.moved_at or None,
             "window_end": row.window_end or None, "destroyed_at": row.destroyed_at or None}
            for row in done.moved
        ],
        "verification": done.verdict.to_json() if done.verdict else None,
        "final_broadcasts": [
            {"account": each.account, "sent": each.sent, "key": each.key, "reason": each.reason}
            for each in done.final_broadcasts
        ],
        "conversation_groups": filling_document(done.group_sync),
        "stopped": done.stopped or None,
    }  # fmt: skip


def _cutover_code(done: "Cutover", *, filled: bool) -> Exit:
    if done.status is not None and not done.status.complete:
        code = code_of(done.status)
        return code if code is not Exit.DONE else Exit.INTERRUPTED
    if done.verdict is not None and not done.verdict.clean and done.stopped:
        return Exit.PARTLY
    if not all(each.sent for each in done.final_broadcasts):
        return Exit.PARTLY
    if done.stopped:
        return Exit.INTERRUPTED
    return Exit.DONE if done.posting_moved and filled and not done.group_sync.problems else Exit.PARTLY


def _show_rollback(output: "Output", done: "Rollback") -> None:
    if output.json:
        output.one({
            "migration": done.migration,
            "removed": done.acted,
            "complete": done.complete,
            "conversation_groups": {"filled": done.filled, "cleared": done.cleared, "to_clear": done.to_clear},
            "channels": [
                {"source": each.source, "target": each.target, "status": each.status.value, "posts": each.posts,
                 "subscribers": each.subscribers, "own_posts": each.own_posts,
                 "own_subscribers": each.own_subscribers, "reason": each.reason or None}
                for each in done.items
            ],
        })  # fmt: skip
        return
    table = output.table(("from", "to", "status", "posts", "subscribers", "reason"))
    for each in done.items:
        table.add(each.source, each.target, each.status.value, each.posts, each.subscribers, each.reason)
    table.close()
    output.line("")
    if done.acted:
        gone = sum(each.status == "removed" for each in done.items)
        kept = "" if any(each.status == "source_gone" for each in done.items) else "; the source is as it was"
        output.line(f"{counted(gone, 'channel')} removed{kept}")
    else:
        could = sum(each.status == "removable" for each in done.items)
        output.line(f"{counted(could, 'channel')} could go; nothing was removed: --yes removes")
        if done.filled:
            output.line("the conversation groups that the cutover has filled lose what goes")
    if done.cleared or done.to_clear:
        users = counted(done.to_clear, "user")
        rest = f"; those of {users} are still to be: run it again" if done.to_clear else ""
        output.line(f"conversation groups cleared: {done.cleared:,}{rest}")
