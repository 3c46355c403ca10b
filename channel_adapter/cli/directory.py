"""`directory`: search, refresh."""

from typing import Annotated

import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.output import counted

app = group("directory")


@command(
    app,
    "directory",
    "search",
    example="channel-adapter directory search 港口\nchannel-adapter directory search news --category Sport --verified",
)
async def search(
    run: Run,
    text: Annotated[str, typer.Argument(help="Words of name, slug or introduction; none lists all.")] = "",
    category: Annotated[str | None, typer.Option(help="Only channels of this category.")] = None,
    verified: Annotated[
        bool | None, typer.Option("--verified/--not-verified", help="Only channels with, or without, the mark.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Stop after so many.")] = 50,
) -> None:
    """Search the channels that the database knows; no call to the service. Needs database_url.

    Every word must occur; parts of words count, case does not, and %, _ and quotes stand for themselves. Channels whose
    names begin with the first word come first.
    """
    async with run.adapter() as adapter:
        found = await adapter.directory.search(text, category=category, verified=verified, limit=limit)
    columns = ("slug", "name", "verified", "subscribers", "categories", "introduction")
    with run.output.items(columns, empty="no channel found; directory refresh reads all channels") as listing:
        for entry in found:
            listing.add(
                entry, entry.slug, entry.name, entry.verified, entry.subscriber_count, ", ".join(entry.categories),
                entry.introduction,
            )  # fmt: skip


@command(app, "directory", "refresh", example="channel-adapter directory refresh")
async def refresh(run: Run) -> None:
    """Read all channels of the app into the database, one call a second for 50 of them; remove those that are gone."""
    async with run.adapter() as adapter:
        count = await adapter.directory.refresh()
    run.output.one({"channels": count}, f"the directory has {counted(count, 'channel')}")
