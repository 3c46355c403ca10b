"""Puts store mode together: database, rows, ladder and publisher. Imported with SQLAlchemy by who has a database."""

from typing import TYPE_CHECKING, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.history import History
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.extras import needs_store
from channel_adapter.services.message_keys import MessageKeys
from channel_adapter.services.reactions.ladder import ReactionLadder
from channel_adapter.services.reactions.publisher import Publisher
from channel_adapter.services.reactions.stored import Admission, StoredReactions
from channel_adapter.services.reactions.writer import LEASE_SECONDS, ClaimWriter
from channel_adapter.store.reaction_publishing import MessageCapacity
from channel_adapter.tencent import limits

if TYPE_CHECKING:
    from channel_adapter.store.reactions import ReactionStore

PEOPLE_KEPT: Final = 200
"""People's own keys that stay on a message; older ones are deleted once they are folded."""
COUNTS_SHOWN: Final = 80
"""Emoji whose counts are shown on a message; what is left of the 300 is for phones that react in between."""


class StoreAt:
    """Store mode at a URL, not opened yet."""

    def __init__(
        self,
        url: str,
        app: int,
        gateway: ApiCaller,
        keys: MessageKeys,
        history: History,
        clock: Clock,
        *,
        most: int,
        keep_seconds: float | None,
        admit: Admission,
    ) -> None:
        self._url = url
        self._app = app
        self._gateway = gateway
        self._keys = keys
        self._history = history
        self._clock = clock
        self._most = most
        self._keep_seconds = keep_seconds
        self._admit = admit

    async def open(self) -> StoredReactions:
        """Make the tables, and put everything together. Raises ConfigurationError and UnavailableError."""
        with needs_store(self._url):
            from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
            from channel_adapter.store.reactions import ReactionStore  # noqa: PLC0415
        database = Database.shared(self._url)
        store = ReactionStore(database, self._app, max_per_user=self._most)
        try:
            await store.prepare()
        except BaseException:
            await database.close()
            raise
        return self._assembled(store)

    def _assembled(self, store: "ReactionStore") -> StoredReactions:
        from channel_adapter.store.client_reactions import Folding  # noqa: PLC0415
        from channel_adapter.store.reaction_publishing import PublishingStore  # noqa: PLC0415

        capacity = MessageCapacity(
            limits.EXTENSION_KEYS_PER_MESSAGE, limits.EXTENSION_KEYS_PER_CALL, PEOPLE_KEPT, COUNTS_SHOWN
        )
        claims = PublishingStore(store, capacity, lease_seconds=LEASE_SECONDS)
        ladder = ReactionLadder(self._gateway, self._keys, claims, self._clock)
        writer = ClaimWriter(self._gateway, self._keys, self._history, ladder, claims, self._clock)
        return StoredReactions(
            store,
            Folding(store, max_per_user=self._most),
            claims,
            ladder,
            self._keys,
            self._history,
            Publisher(claims, writer, self._clock, keep_seconds=self._keep_seconds),
            self._clock,
            admit=self._admit,
        )
