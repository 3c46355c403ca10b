"""What is remembered of roles and tags, kept right in every receiver: an event is handled in one of them alone.

Who handles it writes what is out of date into the database; all others look there twice a second. Nobody who answers
the service waits for that.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import structlog

from channel_adapter.concurrency.http_server import LogThrottle
from channel_adapter.config.extras import needs_store
from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services.directory import Directory
from channel_adapter.services.roles import Roles
from channel_adapter.tencent.redaction import redact_text

if TYPE_CHECKING:
    from channel_adapter.store.cache_invalidation import InvalidationTable


LOOK_SECONDS: Final = 0.5

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


class CacheInvalidationBus:
    """Tells other processes of the database what has changed, and hears it from them. Without `changes`: nobody."""

    def __init__(self, changes: "InvalidationTable | None", directory: Directory, roles: Roles) -> None:
        self._changes = changes
        self._directory = directory
        self._roles = roles
        self._worth_telling = LogThrottle()

    async def tell(self, event: e.ChannelEvent) -> None:
        """Raises a ChannelAdapterError when it cannot be told now."""
        if self._changes is None:
            return
        from channel_adapter.store.cache_invalidation import Invalidation  # noqa: PLC0415 - an extra

        await self._changes.tell([Invalidation(event.channel, user) for user in _whom(event)])

    async def listen(self) -> None:
        """Forget what others say is out of date, until it is cancelled; while they cannot be heard, try again."""
        while self._changes is not None:
            try:
                for channel, user in await self._changes.news():
                    self._forget(channel, user)
            except ChannelAdapterError as trouble:
                if self._worth_telling():
                    _log.warning("webhooks.changes_not_heard", reason=redact_text(trouble.message)[:300])
            await asyncio.sleep(LOOK_SECONDS)

    async def aclose(self) -> None:
        """Close the connections to the database, if there are any."""
        if self._changes is not None:
            await self._changes.close()

    def _forget(self, channel: ChannelId, user: UserId | None) -> None:
        if user is not None:
            self._roles.forget(channel, [user])
        else:
            self._roles.forget(channel)
            self._directory.forget(channel)


def _whom(event: e.ChannelEvent) -> tuple[UserId | None, ...]:
    """Whose role is another one now; None: everybody's, and the channel itself."""
    match event:
        case e.RoleChanged(user=user):
            return (user,)
        case e.Unsubscribed(users=users):
            return users
        case e.ChannelCreated() | e.ChannelChanged() | e.ChannelDeleted() | e.OwnerChanged():
            return (None,)
        case _:
            return ()


def open_invalidation_bus(database_url: str | None, directory: Directory, roles: Roles) -> CacheInvalidationBus:
    """Nothing is opened before it is used. Raises ConfigurationError without the extra."""
    if database_url is None:
        return CacheInvalidationBus(None, directory, roles)
    with needs_store(database_url):
        from channel_adapter.store.cache_invalidation import InvalidationTable  # noqa: PLC0415 - an extra
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
    return CacheInvalidationBus(InvalidationTable(Database.shared(database_url)), directory, roles)
