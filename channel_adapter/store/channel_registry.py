"""Rows of the directory: what was reported of channels, and the text and categories by which they are searched.

A channel has one row with one JSON value, which is kept over restarts and shared by processes.

A field is kept with the time at which it was reported. Merging takes the later of two reports, so the order in which
processes write makes no difference. Beside it is a row with the text by which a channel is searched, and one row for
each of its categories.
"""

import unicodedata
from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    not_,
    select,
    update,
)

from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.domain.channel import DELETED_AT, VERIFIED, ObservedFields, merge_later
from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database, Schema

_metadata = MetaData()
_CHANNELS: Final = Table(
    "channel_registry",
    _metadata,
    Column("channel", String(48), primary_key=True),
    Column("fields", Text, nullable=False, default="{}"),
    Column("deleted", Boolean, nullable=False, default=False),
)
SCHEMA: Final = Schema("channel_registry", 1, _metadata)

_search_metadata = MetaData()
# A search may read the table whole, so it is narrow and in the order of the results. Texts are compared byte by byte,
# which takes a fraction of the time of a comparison by the rules of a language.
_FOLDED: Final = Text().with_variant(Text(collation="C"), "postgresql")
_PAIRS: Final = tuple(f"pairs_{number}" for number in range(4))
"""Columns with a bit for each pair of characters that occurs in the text: few texts have all bits of a longer word."""
_TEXTS: Final = Table(
    "channel_text",
    _search_metadata,
    Column("channel", String(48), primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in _PAIRS),
    Column("prefix", String(8), nullable=False),  # of the id, to and with its first "_"
    Column("verified", Boolean, nullable=False),
    Column("name", _FOLDED, nullable=False, index=True),  # its beginning
    Column("text", _FOLDED, nullable=False),  # name, slug and introduction, one a line
    sqlite_with_rowid=False,
)
_CATEGORIES: Final = Table(
    "channel_category",
    _search_metadata,
    Column("category", String(200), primary_key=True),  # folded
    Column("channel", String(48), primary_key=True, index=True),
    Column("name", Text, nullable=False),  # as given
)
SEARCH_SCHEMA: Final = Schema("channel_directory", 1, _search_metadata)

_NAME_CHARACTERS: Final = 100
_LAST_CHARACTER: Final = "\U0010ffff"
_PER_PAGE: Final = 1_000


class FoundChannel(NamedTuple):
    """A channel that a search found, with what is known of it and its categories as given."""

    channel: ChannelId
    fields: ObservedFields
    categories: tuple[str, ...]


class ChannelRows:
    """The rows of one database. Raises what Database raises; then nothing was changed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, channel: ChannelId) -> ObservedFields | None:
        """Return what is known of a channel, None without a row."""
        await self._prepare_schemas()
        query = select(_CHANNELS.c.fields).where(_CHANNELS.c.channel == channel)
        text = await self._database.read(lambda connection: connection.scalar(query))
        return None if text is None else _parse_fields(text)

    async def merge(self, channel: ChannelId, fields: ObservedFields) -> ObservedFields:
        """Store the later report of each field; return all fields that are known then."""
        return (await self.merge_many({channel: fields}))[channel]

    async def merge_many(self, reports: Mapping[ChannelId, ObservedFields]) -> dict[ChannelId, ObservedFields]:
        """Store the later report of each field of some channels in one transaction; return all that is known then."""
        await self._prepare_schemas()
        channels = sorted(reports)
        named = self._database.rows({"channel": String()}, [[channel] for channel in channels])
        query = select(_CHANNELS).where(_CHANNELS.c.channel.in_(select(named.c.channel)))

        def transaction(connection: Connection) -> dict[ChannelId, ObservedFields]:
            new = self._database.insert(_CHANNELS).on_conflict_do_nothing()
            connection.execute(new, [{"channel": channel} for channel in channels])
            rows = connection.execute(query.order_by(_CHANNELS.c.channel).with_for_update()).all()
            known = {
                ChannelId(row.channel): merge_later(_parse_fields(row.fields), reports[ChannelId(row.channel)])
                for row in rows
            }
            self._write_fields(connection, known)
            return known

        return await self._database.write(transaction)

    def _write_fields(self, connection: Connection, known: Mapping[ChannelId, ObservedFields]) -> None:
        """Store all fields of some channels, and the texts by which they are searched."""
        gone = [channel for channel, fields in known.items() if _value_of(fields, DELETED_AT) is not None]
        connection.execute(
            update(_CHANNELS)
            .where(_CHANNELS.c.channel == bindparam("of"))
            .values(fields=bindparam("all_fields"), deleted=bindparam("is_deleted")),
            [
                {"of": channel, "all_fields": orjson.dumps(fields).decode(), "is_deleted": channel in gone}
                for channel, fields in known.items()
            ],
        )
        for channel in gone:
            _remove_from_search(connection, channel)
        if texts := [_search_row(channel, fields) for channel, fields in known.items() if channel not in gone]:
            insert = self._database.insert(_TEXTS)
            changed = {name: insert.excluded[name] for name in ("name", "text", "verified", *_PAIRS)}
            connection.execute(insert.on_conflict_do_update(index_elements=["channel"], set_=changed), texts)

    async def hide(self, channel: ChannelId) -> None:
        """Do not find a channel any more, until something is reported of it."""
        await self._prepare_schemas()
        await self._database.write(_remove_from_search, channel)

    async def set_categories(self, channel: ChannelId, categories: Sequence[str]) -> None:
        """Replace the categories of a channel. Of several that differ in case only the first is kept."""
        await self._prepare_schemas()
        rows = {folded(category): {"channel": channel, "name": category} for category in reversed(categories)}

        def transaction(connection: Connection) -> None:
            connection.execute(delete(_CATEGORIES).where(_CATEGORIES.c.channel == channel))
            if rows:
                new = self._database.insert(_CATEGORIES).on_conflict_do_nothing()
                connection.execute(new, [{"category": key, **row} for key, row in sorted(rows.items())])

        await self._database.write(transaction)

    async def search(
        self, words: Sequence[str], *, prefix: str, category: str | None, verified: bool | None, limit: int
    ) -> list[FoundChannel]:
        """Return channels in whose name, slug or introduction every word occurs, whatever its case.

        `prefix` begins the ids of the channels. Those whose names begin with the first word come first, by name, then
        the others, by id: so the search ends with the last result, and sorts nothing.
        """
        await self._prepare_schemas()
        needles = [folded(word) for word in words]
        bits = _pair_bits(" ".join(needles))
        conditions = [_TEXTS.c[name].bitwise_and(mask) == mask for name, mask in bits.items() if mask]
        conditions.append(_TEXTS.c.prefix == prefix)
        conditions += [
            _TEXTS.c.text.contains(needle, autoescape=True) for needle in sorted(needles, key=len, reverse=True)
        ]
        if verified is not None:
            conditions.append(_TEXTS.c.verified.is_(verified))
        if category is not None:
            named = and_(_CATEGORIES.c.category == folded(category), _CATEGORIES.c.channel == _TEXTS.c.channel)
            conditions.append(exists().where(named))
        query = select(_TEXTS.c.channel).where(*conditions)
        begin = needles[0][:_NAME_CHARACTERS] if needles else ""
        begins = and_(_TEXTS.c.name >= begin, _TEXTS.c.name < begin + _LAST_CHARACTER)
        by_name = query.where(begins).order_by(_TEXTS.c.name, _TEXTS.c.channel)
        by_id = query.where(not_(begins)).order_by(_TEXTS.c.channel)

        def transaction(connection: Connection) -> list[FoundChannel]:
            found = list(connection.scalars(by_name.limit(limit)))
            if len(found) < limit:
                found += connection.scalars(by_id.limit(limit - len(found)))
            return _read_channels(connection, list(map(ChannelId, found)))

        return await self._database.read(transaction)

    async def find(self, channel: ChannelId) -> FoundChannel | None:
        """Return what is known of a channel; None for one that a search does not find."""
        await self._prepare_schemas()

        def transaction(connection: Connection) -> FoundChannel | None:
            query = select(_TEXTS.c.channel).where(_TEXTS.c.channel == channel)
            return _read_channels(connection, [channel])[0] if connection.scalar(query) is not None else None

        return await self._database.read(transaction)

    async def existing(self) -> AsyncIterator[tuple[ChannelId, ObservedFields]]:
        """Yield the channels that are not deleted, by id; no transaction is open between two pages."""
        await self._prepare_schemas()

        async def fetch(after: str) -> Page[tuple[ChannelId, str], str]:
            rows = await self._database.read(_read_page_after, after)
            return Page(rows, rows[-1][0] if len(rows) == _PER_PAGE else None)

        async for rows in read_pages(fetch, ""):
            for channel, text in rows:
                yield channel, _parse_fields(text)

    async def beginning_with(self, prefix: str, *, limit: int) -> list[ChannelId]:
        """Return channels whose ids begin with `prefix`, by id; none if the table does not exist. Creates nothing."""
        if not await self._database.has_table(_CHANNELS):
            return []
        channel = _CHANNELS.c.channel
        query = (
            select(channel)
            .where(channel.startswith(prefix, autoescape=True), _CHANNELS.c.deleted.is_(False))
            .order_by(channel)
            .limit(limit)
        )
        return await self._database.read(lambda connection: [ChannelId(each) for each in connection.scalars(query)])

    async def _prepare_schemas(self) -> None:
        await self._database.prepare(SCHEMA)
        await self._database.prepare(SEARCH_SCHEMA)

    async def close(self) -> None:
        """Close the connections."""
        await self._database.close()


def _read_page_after(connection: Connection, channel: str) -> list[tuple[ChannelId, str]]:
    page = select(_CHANNELS.c.channel, _CHANNELS.c.fields).where(
        _CHANNELS.c.channel > channel, _CHANNELS.c.deleted.is_(False)
    )
    rows = connection.execute(page.order_by(_CHANNELS.c.channel).limit(_PER_PAGE))
    return [(ChannelId(channel), text) for channel, text in rows]


def _parse_fields(text: str) -> ObservedFields:
    return {name: (value, at) for name, (value, at) in orjson.loads(text).items()}


def _remove_from_search(connection: Connection, channel: ChannelId) -> None:
    for table in (_TEXTS, _CATEGORIES):
        connection.execute(delete(table).where(table.c.channel == channel))


def folded(text: str) -> str:
    """Return a text as it is compared: without differences of case, of full and half width, and of spaces."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().replace("\0", " ").split())  # PostgreSQL has no NUL


def _value_of(fields: ObservedFields, name: str) -> Any:
    return fields.get(name, (None, 0.0))[0]


def _search_row(channel: ChannelId, fields: ObservedFields) -> dict[str, Any]:
    """Return the row by which a channel is searched; its slug is what stands behind the first `_` of the id."""
    start, mark, slug = channel.partition("_")
    lines = (_value_of(fields, "name") or "", slug, _value_of(fields, "introduction") or "")
    text = "\n".join(folded(line) for line in lines)
    return {
        "channel": channel,
        "prefix": start + mark,
        "verified": bool(_value_of(fields, VERIFIED)),
        "name": folded(lines[0])[:_NAME_CHARACTERS],
        "text": text,
        **_pair_bits(text),
    }


def _pair_bits(text: str) -> dict[str, int]:
    """Return the bits of the pairs of characters in the words of a text, 63 in each column."""
    bits = [0] * len(_PAIRS)
    for first, second in pairwise(text):
        if not (first.isspace() or second.isspace()):
            place = (ord(first) * 1_000_003 ^ ord(second) * 7_919) % (63 * len(bits))
            bits[place // 63] |= 1 << place % 63
    return dict(zip(_PAIRS, bits, strict=True))


def _read_channels(connection: Connection, channels: Sequence[ChannelId]) -> list[FoundChannel]:
    """Return what is known of these channels."""
    rows = connection.execute(select(_CHANNELS.c.channel, _CHANNELS.c.fields).where(_CHANNELS.c.channel.in_(channels)))
    fields = {str(channel): _parse_fields(text) for channel, text in rows}
    named = select(_CATEGORIES.c.channel, _CATEGORIES.c.name).where(_CATEGORIES.c.channel.in_(channels))
    categories: dict[str, list[str]] = {channel: [] for channel in channels}
    for channel, name in connection.execute(named.order_by(_CATEGORIES.c.category)):
        categories[channel].append(name)
    return [FoundChannel(each, fields.get(each, {}), tuple(categories[each])) for each in channels]
