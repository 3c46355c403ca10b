"""A migration whose calls are counted, bounded, and made again while the service answers others."""

from typing import TYPE_CHECKING

from channel_adapter.migration.budget import Allowance, Metered
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import BulkTerms

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration


def bounded(migration: "Migration", allowance: Allowance | None = None) -> "Migration":
    """The same migration on such calls: they raise Stopped when the allowance is used up."""
    settings, clock = migration.settings, migration.clock
    calls = Metered(migration.gateway, allowance or Allowance(clock), clock, settings.total_seconds)
    terms = BulkTerms(settings.concurrency, settings.total_seconds, clock)
    return type(migration)(calls, Accounts(calls, terms), settings, clock)
