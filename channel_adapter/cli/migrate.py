"""`migrate`: from official accounts, or from files, to channels."""

from channel_adapter.cli import migrate_apply, migrate_cutover, migrate_plan, migrate_report, migrate_verify
from channel_adapter.cli.migrate_group import app

__all__ = ["app", "migrate_apply", "migrate_cutover", "migrate_plan", "migrate_report", "migrate_verify"]

_IN_THE_ORDER_OF_WORK = (
    "plan", "show", "apply", "status", "retry", "verify", "cutover", "rollback", "report",
)  # fmt: skip
app.registered_commands.sort(key=lambda each: _IN_THE_ORDER_OF_WORK.index(each.name or ""))
