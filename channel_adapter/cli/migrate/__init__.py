"""`migrate`: from official accounts, or from files, to channels."""

from channel_adapter.cli.migrate import cutover, plan, run, verify
from channel_adapter.cli.migrate.options import app

__all__ = ["app", "cutover", "plan", "run", "verify"]

_IN_THE_ORDER_OF_WORK = (
    "plan", "show", "apply", "status", "retry", "verify", "cutover", "rollback", "report",
)  # fmt: skip
app.registered_commands.sort(key=lambda each: _IN_THE_ORDER_OF_WORK.index(each.name or ""))
