"""`doctor`: check settings, access and channels."""

from typing import Annotated

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import Exit

app = single()


@command(app, "doctor", example="channel-adapter doctor --repair")
async def doctor(
    run: Run, repair: Annotated[bool, typer.Option("--repair", help="Repair what can be repaired.")] = False
) -> Exit:
    """Check settings, access, clock, whether Communities are on, and all channels; show what to do about each finding.

    Other switches of the console, and its list of custom group fields, no call can see. Writes nothing without
    --repair. With it, channels whose creation was interrupted are finished. Exit code 1 when something is wrong.
    """
    async with run.adapter() as adapter:
        findings = await adapter.doctor(repair=repair)
    with run.output.items(("check", "ok", "message", "remediation"), empty="nothing was checked") as listing:
        for found in findings:
            listing.add(found, found.check, found.ok, found.message, found.remediation)
    return Exit.DONE if all(found.ok for found in findings) else Exit.REFUSED
