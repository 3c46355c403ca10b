"""The directory: channels found by name, slug, introduction, category and verification."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.batching import batches
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.domain.channel import DELETED_AT, Channel, DirectoryEntry, ObservedFields
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import (
    InvalidError,
    OutcomeUnknownError,
    UnavailableError,
    needs_database,
)
from channel_adapter.mapping.text import printable, require_list, require_text
from channel_adapter.quoting import shown_value

if TYPE_CHECKING:
    from channel_adapter.services.messages import ContactRegistry
    from channel_adapter.store.channel_registry import ChannelRows, FoundChannel

MAX_CATEGORIES: Final = 20
CATEGORY_BYTES: Final = 60
TEXT_BYTES: Final = 200
"""The longest text of a search."""
MAX_FOUND: Final = 1_000
_PER_BATCH: Final = 500
_FIELDS: Final = ("name", "introduction", "notification", "avatar", "owner", "verified")
"""Fields of a channel that the directory keeps."""
_COUNT: Final = "subscriber_count"
"""Field that only a refresh stores: it changes without a report."""

_log = get_logger("channel_adapter.directory")


class Directory:
    """Searches the channels that the database knows.

    They come from webhooks, from what this adapter creates and changes, and from `refresh`. Every method raises
    ConfigurationError without `database_url`.
    """

    def __init__(
        self, backend: Backend, rows: "ChannelRows | None", clock: Clock, contacts: "ContactRegistry | None" = None
    ) -> None:
        """`contacts` is filled by `refresh`; None where a channel sends its own messages."""
        self._backend = backend
        self._rows = rows
        self._clock = clock
        self._contacts = contacts

    async def search(
        self, text: str = "", *, category: str | None = None, verified: bool | None = None, limit: int = 50
    ) -> tuple[DirectoryEntry, ...]:
        """Return up to `limit` channels in whose name, slug or introduction every word of `text` occurs.

        Parts of words count, from one character on; case and width of characters do not, and every character stands
        for itself. "" finds all. Channels whose names begin with the first word come first, then by name. `category`
        and `verified` keep those with this category and this mark. One query, no call to the service. Raises
        InvalidError for a text over 200 bytes and a limit that is not 1 to 1,000.
        """
        require_text(text, "text", TEXT_BYTES)
        if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_FOUND:
            raise InvalidError(
                f"limit must be 1 to {MAX_FOUND:,}; got {shown_value(limit)}", field="limit", limit=MAX_FOUND
            )
        if verified is not None and not isinstance(verified, bool):
            raise InvalidError(f"verified must be True, False or None; got {shown_value(verified)}", field="verified")
        wanted = None if category is None else _require_category(category)
        found = await self._require_rows().search(
            text.split(), prefix=self._backend.ids.prefix, category=wanted, verified=verified, limit=limit
        )
        return tuple(map(self._to_directory_entry, found))

    async def get(self, channel: str) -> DirectoryEntry | None:
        """Return a channel as the database has it, without a call to the service; None for one it does not know."""
        found = await self._require_rows().find(self._backend.ids.channel(channel))
        return None if found is None else self._to_directory_entry(found)

    async def refresh(self) -> int:
        """Read every channel of the app and store it; return how many there are. Channels that are gone are removed.

        For administration: the list behind `channels.all` allows one call a second. In a mode in which the service does
        not list channels, those that the database knows are read. The contacts of channels that were made or changed
        without this database are known from then on. Interrupted, it has stored what it has read.
        """
        rows = self._require_rows()
        seen: set[ChannelId] = set()
        read_at = self._clock.now()
        async with aclosing(self._backend.channels.all()) as channels:
            async for batch in batches(channels, _PER_BATCH):
                await rows.merge_many(_to_observed_fields(batch, read_at))
                if self._contacts is not None:
                    await self._contacts.set_many(batch)
                seen.update(channel.id for channel in batch)
                read_at = self._clock.now()
        prefix = self._backend.ids.prefix
        others = (channel async for channel, _ in rows.existing() if channel.startswith(prefix) and channel not in seen)
        async for ids in batches(others, _PER_BATCH):
            read_at = self._clock.now()
            found = await self._backend.channels.read(ids)
            gone: dict[ChannelId, ObservedFields] = {
                channel: {DELETED_AT: (read_at, read_at)} for channel in ids if channel not in found
            }
            await rows.merge_many(gone | _to_observed_fields(found.values(), read_at))
            seen.update(found)
        return len(seen)

    async def record(self, channel: Channel) -> None:
        """Store a channel that was just read or changed. A failure is logged: the directory follows, and may lag."""
        if self._rows is not None:
            with _log_unavailable(channel.id):
                await self._rows.merge_many(_to_observed_fields([channel], self._clock.now(), _FIELDS))

    async def hide(self, channel: ChannelId) -> None:
        """Do not find a deleted channel any more. A failure is logged."""
        if self._rows is not None:
            with _log_unavailable(channel):
                await self._rows.hide(channel)

    async def set_categories(self, channel: ChannelId, categories: Sequence[str]) -> None:
        """Replace the categories of a channel."""
        await self._require_rows().set_categories(channel, categories)

    def require_categories(self, categories: Iterable[str]) -> list[str]:
        """Return valid categories. Raises InvalidError, and ConfigurationError without a database."""
        self._require_rows()
        checked = [_require_category(each, "categories") for each in require_list(categories, "categories", "texts")]
        if len(checked) > MAX_CATEGORIES:
            raise InvalidError(
                f"categories: {len(checked)} are given; {MAX_CATEGORIES} are allowed",
                field="categories", limit=MAX_CATEGORIES, size=len(checked),
            )  # fmt: skip
        return checked

    def _require_rows(self) -> "ChannelRows":
        if self._rows is None:
            raise needs_database("the directory is kept in a database")
        return self._rows

    def _to_directory_entry(self, found: "FoundChannel") -> DirectoryEntry:
        known = {name: value for name, (value, _) in found.fields.items()}
        return DirectoryEntry(
            id=found.channel,
            slug=self._backend.ids.slug(found.channel),
            name=known.get("name") or "",
            introduction=known.get("introduction") or "",
            avatar=known.get("avatar") or "",
            owner=known.get("owner"),
            verified=bool(known.get("verified")),
            categories=found.categories,
            subscriber_count=known.get(_COUNT),
        )


def _to_observed_fields(
    channels: Iterable[Channel], read_at: float, fields: Sequence[str] = (*_FIELDS, _COUNT)
) -> "dict[ChannelId, ObservedFields]":
    """Return what is known of channels that were read at a time in Unix seconds."""
    return {
        channel.id: {**{name: (getattr(channel, name), read_at) for name in fields}, DELETED_AT: (None, read_at)}
        for channel in channels
    }


@contextmanager
def _log_unavailable(channel: ChannelId) -> Iterator[None]:
    try:
        yield
    except (OutcomeUnknownError, UnavailableError) as error:
        _log.warning("directory.not_updated", channel=channel, reason=error.message)


def _require_category(text: object, field: str = "category") -> str:
    """Return a category without spaces around it. Raises InvalidError with the name of the argument."""
    category = require_text(text, field, CATEGORY_BYTES, empty=False).strip()
    if printable(category) != category:
        raise InvalidError(f"{field}: {shown_value(category)} holds characters that cannot be shown", field=field)
    return category
