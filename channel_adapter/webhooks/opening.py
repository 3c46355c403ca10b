"""Which inbox the settings mean, and where its database is."""

from typing import TYPE_CHECKING, Final

from channel_adapter.errors import ConfigurationError
from channel_adapter.extras import missing_extra
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.handling import Patience
from channel_adapter.webhooks.memory_inbox import MemoryInbox

if TYPE_CHECKING:
    from channel_adapter.settings import Settings
    from channel_adapter.webhooks.inbox import Inbox
    from channel_adapter.webhooks.inbox_table import InboxTable

DEFAULT_URL: Final = "sqlite:///channel-adapter.db"
_NEED: Final = 'the durable inbox needs DBOS, and inbox.kind = "memory" does not'


def open_inbox(settings: "Settings", counters: Counters | None = None) -> "Inbox":
    """The inbox of the settings, not yet started. Raises ConfigurationError when its extra is missing."""
    own = settings.inbox
    patience = Patience(own.attempts, own.retry_seconds)
    if own.kind == "memory":
        return MemoryInbox(
            patience=patience,
            window=own.reorder_seconds,
            at_once=own.at_once,
            waiting_bytes=own.waiting_bytes,
            counters=counters,
        )
    try:
        from channel_adapter.webhooks.durable_inbox import DurableInbox  # noqa: PLC0415 - DBOS is slow to import
    except ImportError:
        raise missing_extra(_NEED, "durable", database_of(settings), field="inbox.kind") from None
    return DurableInbox(
        database_of(settings),
        patience=patience,
        window=own.reorder_seconds,
        at_once=own.at_once,
        remember_seconds=own.remember_hours * 3600,
        waiting_bytes=own.waiting_bytes,
        counters=counters,
    )


def database_of(settings: "Settings") -> str:
    """The URL of the inbox's database."""
    return settings.database_url.get_secret_value() if settings.database_url is not None else DEFAULT_URL


def table_of(settings: "Settings") -> "InboxTable":
    """The events of a durable inbox, to look at from outside. Raises ConfigurationError for a memory inbox."""
    if settings.inbox.kind == "memory":
        raise ConfigurationError("a memory inbox cannot be looked into from outside", field="inbox.kind")
    try:
        from channel_adapter.store.engine import Database  # noqa: PLC0415 - as above
        from channel_adapter.webhooks.inbox_table import InboxTable  # noqa: PLC0415 - as above
    except ImportError:
        raise missing_extra(_NEED, "durable", database_of(settings), field="inbox.kind") from None
    return InboxTable(Database(database_of(settings)))
