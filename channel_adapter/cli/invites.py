"""`invites`: create, accept, revoke, list."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.durations import DURATIONS, match_duration
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.config.extras import is_installed
from channel_adapter.quoting import shown_value

app = group("invites")


@command(
    app,
    "invites",
    "create",
    example="channel-adapter invites create harbor_news --max-uses 100 --expires 7d --qr join.svg",
)
async def create(
    run: Run,
    channel: ChannelArgument,
    max_uses: Annotated[int | None, typer.Option(min=1, help="Users who may subscribe with it; without: any.")] = None,
    expires: Annotated[
        str | None, typer.Option(metavar="TIME", help=f"2026-12-24T18:00+01:00, or {DURATIONS}; without: never.")
    ] = None,
    qr: Annotated[Path | None, typer.Option(metavar="FILE", help="Write its QR code into an SVG file.")] = None,
) -> Exit:
    """Create an invitation to a channel, and show its code and link: they cannot be shown again. Needs database_url.

    Users who have the code can subscribe. The link is made of the code by invites.link_template of the settings. --qr
    needs the extra `invites`.
    """
    if qr is not None and not is_installed("segno"):
        raise UsageError("--qr needs segno: pip install 'channel-adapter[invites]'", field="qr")
    until = None if expires is None else _parse_expiry(expires)
    async with run.adapter() as adapter:
        invitation = await adapter.invites.create(channel, max_uses=max_uses, expires=until)
        image = adapter.invites.qr(invitation) if qr is not None else ""
    link = [f"link: {invitation.link}"] if invitation.link else []
    shown = f"invitation {invitation.id} to {invitation.channel}", f"code: {invitation.code}", *link
    run.output.one(invitation, *shown)
    if qr is not None:
        try:
            qr.write_text(image, encoding="utf-8")
        except OSError as error:
            run.output.note(f"{qr} was not written: {error.strerror}")
            return Exit.PARTLY
    return Exit.DONE


@command(app, "invites", "accept", example="channel-adapter invites accept k5xw2lq7c4m3rjv6ztf2ypa5he reader_1")
async def accept(
    run: Run,
    code: Annotated[str, typer.Argument(metavar="CODE", help="The code of an invitation.")],
    user: Annotated[str, typer.Argument(metavar="USER", help="An account of the app.")],
) -> None:
    """Subscribe a user with the code of an invitation. A user who follows already uses up nothing."""
    async with run.adapter() as adapter:
        outcome = await adapter.invites.accept(code, user=user)
    run.output.one({"user": outcome.user, "kind": outcome.kind, "reason": outcome.reason}, f"{user}: {outcome.kind}")


@command(app, "invites", "revoke", example="channel-adapter invites revoke inv_6f1f0c9a4e2b7d35")
async def revoke(
    run: Run, invitation: Annotated[str, typer.Argument(metavar="ID", help="Its id, or its code.")]
) -> None:
    """Revoke an invitation. Users who have subscribed with it stay subscribed."""
    async with run.adapter() as adapter:
        revoked = await adapter.invites.revoke(invitation)
    run.output.one({"revoked": revoked}, "revoked" if revoked else "it was revoked before")


@command(app, "invites", "list", example="channel-adapter invites list harbor_news --json")
async def list_invitations(
    run: Run, channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Slug or id; else all.")] = None
) -> None:
    """List the invitations of a channel, or of all. Their codes are not stored and not shown."""
    columns = ("id", "channel", "state", "uses", "max_uses", "expires_at", "created_at")
    async with run.adapter() as adapter:
        with run.output.items(columns, empty="no invitations") as listing:
            async for each in adapter.invites.list(channel):
                document = {name: getattr(each, name) for name in columns}
                listing.add(document, *document.values())


def _parse_expiry(text: str) -> datetime | timedelta:
    """Parse --expires. Raises UsageError."""
    if (seconds := match_duration(text)) is not None:
        return timedelta(seconds=seconds)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        message = f"--expires must be a time like 2026-12-24T18:00+01:00, or {DURATIONS}; got {shown_value(text)}"
        raise UsageError(message, field="expires") from None
