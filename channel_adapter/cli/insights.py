"""`insights`: show, views, export."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.output import cell, counted, to_datetime
from channel_adapter.mapping.csv_text import csv_text
from channel_adapter.quoting import shown_text

app = group("insights")

BARS: Final = "▁▂▃▄▅▆▇█"
_SINCE = Annotated[
    str | None, typer.Option(metavar="DATE", help="First day, or a time; 30 days without it. In UTC without an offset.")
]
_DAY_COLUMNS: Final = ("day", "subscribers", "joins", "leaves", "posts")
_POST_COLUMNS: Final = ("ref", "published_at", "views", "reach", "reactions", "excerpt")


@command(
    app, "insights", "show",
    example="channel-adapter insights show harbor_news\n"
    "channel-adapter insights show harbor_news --since 2026-03-01 --scan",
)  # fmt: skip
async def show(
    run: Run,
    channel: ChannelArgument,
    since: _SINCE = None,
    scan: Annotated[bool, typer.Option("--scan", help="Count views first, with a call for 100 subscribers.")] = False,
) -> None:
    """Show subscribers, joins, leaves and posts by day, and the best posts. Needs database_url.

    Joins and leaves are those that webhooks reported with the setting insights.record; a scan adds the joins of users
    who are still subscribed. Days are days of UTC, from the creation of the channel on. A dash is a figure that is not
    known.
    """
    async with run.adapter() as adapter:
        if scan:
            await adapter.insights.views(channel)
        found = await adapter.insights.channel(channel, _parse_since(since))
    if run.output.json:
        run.output.one(found)
        return
    with run.output.items((*_DAY_COLUMNS, "trend"), empty="no day") as listing:
        for day, bar in zip(found.days, sparkline([day.subscribers for day in found.days]), strict=True):
            listing.add(day, day.day.isoformat(), day.subscribers, day.joins, day.leaves, day.posts, bar)
    run.output.note(
        f"{counted(found.subscribers, 'subscriber')} now; {cell(found.joins)} joins, {cell(found.leaves)} leaves,"
        f" {counted(len(found.posts), 'post')} since {cell(found.since)}"
    )
    run.output.note(
        f"joins and leaves recorded since {cell(found.recorded_since)}; views scanned at {cell(found.scanned_at)}"
        if found.recorded_since or found.scanned_at
        else "nothing was recorded or scanned yet: see insights.record and --scan"
    )
    for post in found.best:
        views = "" if post.views is None else f"{post.views} of {post.reach} viewed, "
        run.output.note(f"{post.ref}: {views}{counted(post.reactions, 'reaction')}: {post.excerpt[:60]}")


@command(app, "insights", "views", example="channel-adapter insights views harbor_news")
async def views(run: Run, channel: ChannelArgument) -> None:
    """Count the views of every post in the channel's history, with a call for 100 subscribers.

    A subscriber who has read up to a post, and subscribed before it, counts. The service reports no views: they are
    inferred from read positions.
    """
    async with run.adapter() as adapter:
        found = await adapter.insights.views(channel)
    if run.output.json:
        run.output.one(found)
        return
    columns = ("ref", "published_at", "views", "reach", "share", "trend")
    with run.output.items(columns, empty="history has no post") as listing:
        for post, bar in zip(found.posts, sparkline([post.views for post in found.posts]), strict=True):
            listing.add(post, post.ref, post.published_at, post.views, post.reach, f"{post.share:.0%}", bar)
    run.output.note(f"{counted(found.subscribers, 'subscriber')} at {cell(found.at)}; views are inferred")


@command(
    app, "insights", "export",
    example="channel-adapter insights export harbor_news --out days.csv\n"
    "channel-adapter insights export harbor_news --posts --out posts.csv",
)  # fmt: skip
async def export(
    run: Run,
    channel: ChannelArgument,
    out: Annotated[Path, typer.Option(metavar="FILE", help="CSV file to write; it must not exist.")],
    since: _SINCE = None,
    posts: Annotated[bool, typer.Option("--posts", help="One row for each post in place of each day.")] = False,
) -> None:
    """Write the figures of a channel as CSV: one row a day, or one a post. Needs database_url."""
    async with run.adapter() as adapter:
        found = await adapter.insights.channel(channel, _parse_since(since))
    columns, rows = (_POST_COLUMNS, found.posts) if posts else (_DAY_COLUMNS, found.days)
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(_format_csv(columns, rows))
    except FileExistsError:
        raise UsageError(f"{out} exists already; name another file", field="out") from None
    except OSError as error:
        with suppress(OSError):  # half a file would look like a whole one
            out.unlink(missing_ok=True)
        raise UsageError(f"{shown_text(out)} cannot be written: {error.strerror}", field="out") from None
    run.output.one({"file": str(out), "rows": len(rows)}, f"{counted(len(rows), 'row')} in {out}")


def sparkline(values: Sequence[int | None]) -> list[str]:
    """Return a bar of eight heights for each value, "" for None; the lowest value has the lowest bar."""
    known = [value for value in values if value is not None]
    lowest = min(known, default=0)
    span = max(known, default=0) - lowest
    return [
        "" if value is None else BARS[(value - lowest) * (len(BARS) - 1) // span if span else 0] for value in values
    ]


def _format_csv(columns: Sequence[str], rows: Sequence[Any]) -> str:
    found = [[getattr(row, column) for column in columns] for row in rows]
    texts = [["" if value is None else cell(value) for value in row] for row in found]
    return csv_text([columns, *texts], verbatim=[columns.index("ref")] if "ref" in columns else ())


def _parse_since(text: str | None) -> Any:
    return None if text is None else to_datetime(text, "--since", "a date like 2026-03-20")
