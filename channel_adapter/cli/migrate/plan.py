"""`migrate plan` and `migrate show`: what would move, and what would not."""

# ruff: noqa: PLC0415 - help must not wait for the client to be imported

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError, read_option
from channel_adapter.cli.files import opened_seekable, read_text, shown_name, users_in
from channel_adapter.cli.migrate.options import PlanFiles, app
from channel_adapter.cli.output import Output, counted
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.migration.plan.document import Plan
    from channel_adapter.migration.plan.planner import PlanOptions
    from channel_adapter.migration.sources.discover import Discovered
    from channel_adapter.migration.sources.source import Source

LISTED = 20

_OUT = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the plan goes.")]
_POLICY = Annotated[
    list[str] | None,
    typer.Option("--policy", metavar="LOSS=POLICY", help="refuse, store or cut; LOSS may be all. May be repeated."),
]


@command(
    app, "migrate", "plan",
    example="channel-adapter migrate plan --accounts accounts.txt --out plan.json\n"
    "channel-adapter migrate plan --files exported/ --owner editor_7 --policy all=cut --policy name=store",
)  # fmt: skip
async def plan(
    run: Run,
    accounts: Annotated[str | None, typer.Option(metavar="FILE", help="Ids of official accounts, one a line.")] = None,
    users: Annotated[
        str | None, typer.Option(metavar="FILE", help="Users; the accounts they follow are moved.")
    ] = None,
    callbacks: Annotated[
        str | None, typer.Option(metavar="FILE", help="Captured webhooks, one JSON a line; what they created is moved.")
    ] = None,
    files: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="channels, subscribers, posts: JSONL, CSV.")
    ] = None,
    owner: Annotated[str, typer.Option(help="Owner of channels whose line in the files names none.")] = "",
    out: _OUT = Path("plan.json"),
    policy: _POLICY = None,
    rename: Annotated[
        list[str] | None, typer.Option(metavar="ID=SLUG", help="Another target for one id. May be repeated.")
    ] = None,
    name: Annotated[str, typer.Option(help="Names the migration; else it is drawn from app and ids.")] = "",
    member_cap: Annotated[int, typer.Option(min=1, help="Members of a channel that the plan of the app allows.")] = (
        limits.COMMUNITY_MEMBERS
    ),
    read_subscribers: Annotated[bool, typer.Option("--read-subscribers", help="Read all subscribers too.")] = False,
    accept_empty: Annotated[
        bool, typer.Option("--accept-empty", help="Do not compare with the plan that is there already.")
    ] = False,
) -> Exit:
    """Show what moves, how many calls and how much time that takes, and what will not fit. Writes the plan file only.

    Exactly one source: --accounts, --users, --callbacks or --files. What does not fit is refused unless a policy says
    otherwise: exit code 1, reasons in the plan. Lines that cannot be used go to FILE.quarantine.jsonl: exit code 3.
    """
    from channel_adapter.migration.plan.document import write_plan
    from channel_adapter.migration.plan.resolutions import Resolutions
    from channel_adapter.migration.run.quarantine import write_broken

    given = {"accounts": accounts, "users": users, "callbacks": callbacks, "files": files}
    kind = _require_one_source(given)
    with read_option("policy"):
        policies = Resolutions.parse(policy or [])
    options = _parse_plan_options(policies, rename or [], name, member_cap, read_subscribers=read_subscribers)
    before = None if accept_empty else _read_previous_plan(out, run.settings().sdkappid)
    async with run.adapter() as adapter, _open_source(adapter, kind, given[kind] or "", owner) as source:
        with run.output.progress("read") as progress:
            run.output.describe_progress(
                lambda: f"{progress.done:,} posts and users were read; no plan was written" if progress.done else ""
            )
            made = await adapter.migration.plan(
                source, options, before=before, on_progress=lambda _, count: progress.advance(count)
            )
        quarantine = PlanFiles(out).quarantine
        broken = quarantine if await write_broken(quarantine, source.broken()) else None
        write_plan(out, made)
    _print_plan(run.output, made, out, broken)
    if not made.ready:
        return Exit.REFUSED
    return Exit.PARTLY if made.broken_count else Exit.DONE


@command(app, "migrate", "show", example="channel-adapter migrate show plan.json")
async def show(run: Run, file: Annotated[Path, typer.Argument(metavar="PLAN.json")]) -> Exit:
    """Show a plan, without calls to the service. Exit code 1 when it cannot be applied as it is."""
    from channel_adapter.migration.plan.document import read_plan

    made = read_plan(file)
    _print_plan(run.output, made, file, None)
    return Exit.DONE if made.ready else Exit.REFUSED


def _require_one_source(given: dict[str, str | None]) -> str:
    named = [kind for kind, value in given.items() if value is not None]
    if len(named) != 1:
        all_of_them = ", ".join(f"--{kind}" for kind in given)
        raise UsageError(f"give exactly one source of {all_of_them}; {len(named)} were given", field="source")
    return named[0]


def _parse_plan_options(
    policies: Any, rename: list[str], name: str, member_cap: int, *, read_subscribers: bool
) -> "PlanOptions":
    from channel_adapter.migration.plan.planner import PlanOptions

    renamed: dict[str, str] = {}
    for word in rename:
        old, _, new = word.rpartition("=")
        if not old or not new:
            raise UsageError(f"--rename must be ID=SLUG; got {shown_value(word)}", field="rename")
        renamed[old] = new
    return PlanOptions(
        policies=policies, migration=name, renamed=renamed, member_cap=member_cap, read_subscribers=read_subscribers
    )


def _read_previous_plan(out: Path, sdkappid: int) -> "Plan | None":
    """Read the plan that would be overwritten: its channels must still exist. Raises InvalidError."""
    from channel_adapter.errors import InvalidError
    from channel_adapter.migration.plan.document import check_app, read_plan

    if not out.exists():
        return None
    try:
        before = read_plan(out)
        check_app(before, sdkappid, str(out))
    except InvalidError as wrong:
        message = f"{wrong.message}; choose another --out, or --accept-empty to write over it"
        raise InvalidError(message, field="out") from None
    return before


@asynccontextmanager
async def _open_source(adapter: "ChannelAdapter", kind: str, given: str, owner: str) -> "AsyncIterator[Source]":
    """Open the source that an option names."""
    from channel_adapter.migration.sources.files import find_files
    from channel_adapter.migration.sources.source import SourceKind, SourceSpec

    if kind == "files":
        with read_option():
            found = find_files(given)
        async with adapter.migration.source(SourceSpec(kind=SourceKind.FILES, files=found, owner=owner)) as source:
            yield source
        return
    discovered = await _discover_accounts(adapter, kind, given)
    async with adapter.migration.accounts_source(discovered) as source:
        yield source


async def _discover_accounts(adapter: "ChannelAdapter", kind: str, given: str) -> "Discovered":
    from channel_adapter.migration.sources import discover

    if kind == "users":
        with opened_seekable(given) as source:
            users = users_in(source, given)
            return await adapter.migration.discover_from_users(users, shown_name(given))
    lines = read_text(given, kind).split("\n")
    read: Callable[..., Discovered] = discover.from_list if kind == "accounts" else discover.from_callbacks
    return read(lines, given)


def _print_plan(output: Output, plan: "Plan", out: Path, broken: Path | None) -> None:
    """Write the plan in short: a JSON document, or tables and sentences."""
    if output.json:
        output.one(_plan_summary(plan, out, broken))
        return
    channels = output.table(("from", "to", "subscribers", "posts", "gone", "what does not fit"))
    for channel in plan.channels:
        counts, losses = channel.source.posts, ", ".join(f"{loss.loss} {loss.policy}" for loss in channel.losses)
        gone = counts.recalled + counts.expired
        channels.add(
            channel.source.id, channel.target.id, channel.source.audience.subscribers, counts.reachable, gone, losses
        )
    channels.close()
    output.line("")
    calls = output.table(("stage", "command", "calls", "a second", "seconds"))
    for row in filter(lambda row: row.calls, plan.calls):
        calls.add(row.stage, row.command, row.calls, f"{row.per_second:g}", row.seconds)
    calls.close()
    output.line("")
    for line in _plan_sentences(plan, out, broken):
        output.line(line)


def _plan_sentences(plan: "Plan", out: Path, broken: Path | None) -> Iterator[str]:
    for channel, problem in plan.problems():
        yield f"problem: {channel.source.id}: {problem.message}"
    refused = [(channel, loss) for channel, loss in plan.losses() if loss.refused]
    for channel, loss in refused[:LISTED]:
        size = f" ({loss.size} bytes; {loss.limit} are allowed)" if loss.size else f" ({loss.count})"
        yield f"refused: {channel.source.id}: {loss.loss}{size}"
    if len(refused) > LISTED:
        yield f"refused: {len(refused) - LISTED} more in {out}"
    for channel in plan.channels:
        if channel.source.posts.foreign:
            others = counted(channel.source.posts.foreign, "message")
            yield f"never moves: {channel.source.id}: {others} that others wrote to it"
    for line in plan.broken[:LISTED]:
        yield f"broken: {line.where}: {line.reason}"
    if plan.broken_count:
        yield f"{counted(plan.broken_count, 'broken line')}{f', whole in {broken}' if broken else ''}"
    if not all(channel.source.audience.read or not channel.source.audience.subscribers for channel in plan.channels):
        yield "not counted: muted subscriptions and texts on them; --read-subscribers reads them"
    for text in plan.not_carried:
        yield f"never moves: {text}"
    yield _describe_verdict(plan, out, len(refused))


def _describe_verdict(plan: "Plan", out: Path, refused: int) -> str:
    subscribers = sum(channel.source.audience.subscribers for channel in plan.channels)
    posts = sum(channel.source.posts.reachable for channel in plan.channels)
    moved = f"{counted(len(plan.channels), 'channel')}, {counted(subscribers, 'subscriber')}, {counted(posts, 'post')}"
    what = f"{out}: migration {plan.migration}, {moved}"
    if plan.ready:
        return f"{what}; {counted(sum(row.calls for row in plan.calls), 'call')}, {plan.seconds:,.0f} s at least"
    problems = counted(sum(1 for _ in plan.problems()), "problem")
    refusals = counted(refused, "loss that no policy allows", "losses that no policy allows")
    refusals += " (plan again with --policy LOSS=cut or LOSS=store)" if refused else ""
    return f"{what}; it cannot be applied: {problems}, {refusals}"


def _plan_summary(plan: "Plan", out: Path, broken: Path | None) -> dict[str, Any]:
    return {
        "plan": str(out),
        "ready": plan.ready,
        "migration": plan.migration,
        "fingerprint": plan.fingerprint,
        "channels": len(plan.channels),
        "subscribers": sum(channel.source.audience.subscribers for channel in plan.channels),
        "posts": sum(channel.source.posts.reachable for channel in plan.channels),
        "calls": sum(row.calls for row in plan.calls),
        "seconds": plan.seconds,
        "losses": [
            {"channel": channel.source.id} | loss.model_dump(mode="json", exclude={"posts"})
            for channel, loss in plan.losses()
        ],
        "problems": [{"channel": channel.source.id} | problem.model_dump() for channel, problem in plan.problems()],
        "broken": plan.broken_count,
        "quarantine": str(broken) if broken else None,
    }
