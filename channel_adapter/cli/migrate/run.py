"""`migrate apply`, `status`, `retry`: carrying a plan out, and how far it and its cutover are."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.migrate.options import (
    DATABASE,
    MAX_CALLS,
    MAX_DURATION,
    PLAN,
    PlanFiles,
    app,
    bounds_of,
    find_journal,
)
from channel_adapter.cli.migrate.progress import MigrationProgress
from channel_adapter.cli.output import counted

if TYPE_CHECKING:
    from channel_adapter.migration.cutover.cutover import CutoverState, GroupSyncProgress
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.run.apply import Status


@command(
    app, "migrate", "apply",
    example="channel-adapter migrate apply plan.json\nchannel-adapter migrate apply plan.json --max-duration 30m",
)  # fmt: skip
async def apply(
    run: Run, file: PLAN, database: DATABASE = None, max_calls: MAX_CALLS = None, max_duration: MAX_DURATION = None
) -> Exit:
    """Move what a plan names. Stops and starts at any instant; run again when it is done, it moves what has changed.

    Exit code 0: all is moved. 3: some could not go; PLAN.quarantine.jsonl says what, why, and what to do. 4: stopped,
    and to be run again. 7: the service failed; run again.
    """
    return await _run_plan(run, "apply", file, database, max_calls, max_duration)


@command(app, "migrate", "retry", example="channel-adapter migrate retry plan.json")
async def retry(
    run: Run, file: PLAN, database: DATABASE = None, max_calls: MAX_CALLS = None, max_duration: MAX_DURATION = None
) -> Exit:
    """Go on with channels that failed, and try again what is in the quarantine. What goes leaves it."""
    return await _run_plan(run, "retry", file, database, max_calls, max_duration)


@command(app, "migrate", "status", example="channel-adapter migrate status plan.json")
async def status(run: Run, file: PLAN, database: DATABASE = None) -> Exit:
    """Show how far a migration is, from its journal; and its cutover, with the conversation groups that are filled.

    Exit code 3 while it is not done, or something could not go: records in quarantine, or lines of the source that
    the plan could not read.
    """
    from channel_adapter.migration.plan.document import read_plan

    plan = read_plan(file)
    async with run.adapter() as adapter:
        url = await find_journal(adapter, PlanFiles(file), plan, database)
        found = await adapter.migration.status(plan.migration, database=url)
        cutover = await adapter.migration.cutover_state(plan)
    show_status(run, found, plan, None, cutover)
    return Exit.DONE if found.complete and code_of(found, plan.broken_count) is Exit.DONE else Exit.PARTLY


async def _run_plan(
    run: Run, verb: str, file: Path, database: str | None, max_calls: int | None, max_duration: str | None
) -> Exit:
    from channel_adapter.migration.plan.document import read_plan
    from channel_adapter.migration.run.journal import open_journal
    from channel_adapter.migration.run.quarantine import read_quarantine, replaced_quarantine

    plan = read_plan(file)
    bounds = bounds_of(max_calls, max_duration)
    async with run.adapter() as adapter:
        files = PlanFiles(file)
        url = await find_journal(adapter, files, plan, database)
        remark = f"the journal is {files.journal}; keep it beside the plan until the migration is over"
        progress = MigrationProgress(
            plan, adapter.settings, run.output, first=remark if url == files.journal_url else ""
        )
        run.output.describe_progress(progress.so_far)
        with progress:
            begin = adapter.migration.apply if verb == "apply" else adapter.migration.retry
            found = await begin(plan, database=url, limits=bounds, on_progress=progress.update)
        async with open_journal(url) as journal, aclosing(read_quarantine(journal, plan)) as pages:
            with replaced_quarantine(files.quarantine) as written:
                async for rows in pages:
                    written.add(rows)
    show_status(run, found, plan, files.quarantine if written.count else None)
    return code_of(found, plan.broken_count)


def code_of(found: "Status", broken: int = 0) -> Exit:
    """Return the exit code of a state; `broken` is the number of lines of the source that the plan could not read."""
    if found.stopped:
        return Exit.INTERRUPTED
    if any(channel.transient for channel in found.failed):
        return Exit.SERVICE
    if found.failed:
        return Exit.PARTLY if found.done or found.posts or found.subscribers else Exit.REFUSED
    return Exit.PARTLY if broken or found.quarantined else Exit.DONE


def show_status(
    run: Run, found: "Status", plan: "Plan", quarantine: Path | None, cutover: "CutoverState | None" = None
) -> None:
    """Write a state as a JSON document, or as a table and sentences."""
    if run.output.json:
        run.output.one(_status_document(found, plan, quarantine) | {"cutover": state_document(cutover)})
        return
    table = run.output.table(("from", "to", "state", "subscribers", "posts", "reason"))
    for each in found.channels:
        state = each.state if each.status == "done" else f"{each.status}: {each.state}"
        state = "no longer in the plan" if each in found.dropped else state
        table.add(each.source, each.target, state, each.subscribers, each.posts, each.reason)
    table.close()
    run.output.line("")
    kind = "moved" if found.round == 1 else f"brought up to date, run {found.round}"
    run.output.line(
        f"migration {found.migration}: {found.done:,} of {counted(len(found.planned), 'channel')} {kind};"
        f" {counted(found.subscribers, 'subscriber')}, {counted(found.posts, 'post')}, {counted(found.calls, 'call')}"
    )
    for each in found.dropped:
        run.output.line(f"no longer in the plan, and left as it is: {each.source}")
    if found.already:
        run.output.line(f"subscribed already, and left as they are: {counted(found.already, 'user')}")
    if found.quarantined or plan.broken_count:
        records, lines = counted(found.quarantined, "record"), counted(plan.broken_count, "broken line")
        run.output.line(f"could not go: {records}, {lines} of the source")
    if quarantine is not None:
        run.output.line(f"what could not go is in {quarantine}, with reasons")
    for line in state_lines(cutover):
        run.output.line(line)
    if found.stopped:
        run.output.line(f"stopped: {found.stopped}; the same command goes on from there")


def _status_document(found: "Status", plan: "Plan", quarantine: Path | None) -> dict[str, Any]:
    return {
        "migration": found.migration,
        "round": found.round,
        "complete": found.complete,
        "stopped": found.stopped or None,
        "channels": [
            {
                "source": each.source, "target": each.target, "state": each.state, "status": each.status,
                "subscribers": each.subscribers, "already_subscribed": each.already, "posts": each.posts,
                "removed": each.removed, "reason": each.reason or None,
            }
            for each in found.channels
        ],
        "subscribers": found.subscribers,
        "already_subscribed": found.already,
        "posts": found.posts,
        "quarantined": found.quarantined,
        "broken": plan.broken_count,
        "quarantine": str(quarantine) if quarantine else None,
        "calls": found.calls,
    }  # fmt: skip


def state_lines(state: "CutoverState | None") -> Iterator[str]:
    """Return how far posting and conversation groups are; nothing before a cutover."""
    if state is None:
        return
    moved = sum(bool(row.moved_at) for row in state.moved)
    yield f"cutover: posting has moved for {moved:,} of {counted(len(state.moved), 'channel')}"
    if state.group_sync.wanted:
        yield filling_sentence(state.group_sync)


def state_document(state: "CutoverState | None") -> dict[str, Any] | None:
    """Return how far posting and conversation groups are, as JSON; None before a cutover."""
    if state is None:
        return None
    return {
        "moved": sum(bool(row.moved_at) for row in state.moved),
        "of": len(state.moved),
        "window_end": max(row.window_end for row in state.moved) or None,
        "conversation_groups": filling_document(state.group_sync),
    }


def filling_sentence(filling: "GroupSyncProgress") -> str:
    """Return a sentence on how far users' conversation groups are."""
    left = f", {filling.left:,} to go" if filling.left else ""
    why = f": {filling.last_error}" if filling.last_error and not filling.done else ""
    problems = counted(filling.problems, "problem")
    return f"conversation groups: {filling.filled:,} filled{left}, {problems}, {filling.state}{why}"


def filling_document(filling: "GroupSyncProgress") -> dict[str, Any]:
    """Return how far conversation groups are, as JSON."""
    return {
        "state": filling.state, "filled": filling.filled, "left": filling.left, "problems": filling.problems,
        "reason": filling.last_error or None,
    }  # fmt: skip
