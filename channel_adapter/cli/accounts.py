"""`accounts`: add, check."""

from typing import Annotated

import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.output import list_outcomes

app = group("accounts")

_USERS = Annotated[list[str], typer.Argument(metavar="USER", help="Ids of 1 to 32 bytes.")]


@command(app, "accounts", "add", example="channel-adapter accounts add editor_7 reader_1")
async def add(run: Run, users: _USERS) -> Exit:
    """Add accounts to the app, so that they can own and follow channels.

    "added" is a new account, "already" one that the app knew before; it stays as it is. Apps that sign their users in
    by Tencent's SDK need this only for accounts that have never signed in.
    """
    async with run.adapter() as adapter:
        return await list_outcomes(run.output, adapter.accounts.add_stream(users), assign=False)


@command(app, "accounts", "check", example="channel-adapter accounts check editor_7 reader_1")
async def check(run: Run, users: _USERS) -> None:
    """Check for each of the ids whether the app knows the account."""
    async with run.adapter() as adapter:
        found = await adapter.accounts.check(users)
    with run.output.items(("user", "known")) as listing:
        for user, known in found.items():
            listing.add({"user": user, "known": known}, user, known)
