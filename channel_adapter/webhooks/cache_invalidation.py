"""Keeps cached roles and tags right in every receiver of a database, although each event is handled in one of them.

The receiver that handles an event writes what is out of date into the database; all others read it twice a second.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.extras import needs_store
from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.tencent.redaction import redact_text

if TYPE_CHECKING:
    from channel_adapter.store.cache_invalidation import InvalidationTable

LOOK_SECONDS: Final = 0.5
Forget = Callable[[ChannelId, Sequence[UserId] | None], None]
"""Drops what is cached of a channel, or of some of its users."""

_log = get_logger("channel_adapter.webhooks")


class CacheInvalidationBus:
    """Publishes to other processes of the database what is out of date, and listens to them. No-op without `table`."""

    def __init__(self, table: "InvalidationTable | None", forget: Forget) -> None:
        self._table = table
        self._forget = forget
        self._worth_logging = LogThrottle()

    async def publish(self, event: e.ChannelEvent) -> None:
        """Publish what an event makes out of date. Raises a ChannelAdapterError if the database fails."""
        if self._table is None:
            return
        from channel_adapter.store.cache_invalidation import Invalidation  # noqa: PLC0415 - an extra

        await self._table.publish([Invalidation(event.channel, user) for user in _affected_users(event)])

    async def listen(self) -> None:
        """Drop from the caches what other processes publish, until cancelled. Failures are logged and tried again."""
        if self._table is not None:
            await repeat(partial(self._forget_published, self._table), LOOK_SECONDS, SystemClock(), self._log_failure)

    async def _forget_published(self, table: "InvalidationTable") -> None:
        for channel, user in await table.published():
            self._forget(channel, None if user is None else [user])

    def _log_failure(self, error: Exception) -> None:
        if self._worth_logging():
            _log.warning("webhooks.changes_not_heard", reason=redact_text(f"{type(error).__name__}: {error}")[:300])

    async def aclose(self) -> None:
        """Close the connections to the database, if there are any."""
        if self._table is not None:
            await self._table.close()


def _affected_users(event: e.ChannelEvent) -> tuple[UserId | None, ...]:
    """Return the users whose roles have changed; None stands for all users and the channel itself."""
    match event:
        case e.RoleChanged(user=user):
            return (user,)
        case e.Unsubscribed(users=users):
            return users
        case e.ChannelCreated() | e.ChannelChanged() | e.ChannelDeleted() | e.OwnerChanged():
            return (None,)
        case _:
            return ()


def open_invalidation_bus(database_url: str | None, forget: Forget) -> CacheInvalidationBus:
    """Return the bus of an app; connections open when first used. Raises ConfigurationError without the extra."""
    if database_url is None:
        return CacheInvalidationBus(None, forget)
    with needs_store(database_url):
        from channel_adapter.store.cache_invalidation import InvalidationTable  # noqa: PLC0415 - an extra
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
    return CacheInvalidationBus(InvalidationTable(Database.shared(database_url)), forget)
