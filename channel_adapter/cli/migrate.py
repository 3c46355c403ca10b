"""`migrate`: from official accounts, or from files, to channels."""

from channel_adapter.cli import migrate_apply, migrate_plan, migrate_verify
from channel_adapter.cli.migrate_group import app

__all__ = ["app", "migrate_apply", "migrate_plan", "migrate_verify"]
