"""Files of any other system as a source: channels, subscribers and posts as JSONL or CSV in one folder.

    channels     id*, name*, owner, introduction, avatar, organization, custom_data, created_at, max_subscribers, admins
    subscribers  channel*, user*, since, notifications (all, muted, off, mentions), custom_data, unread
    posts        channel*, id*, time*, author, and one of text and content

`*` is required. Times are unix seconds, also with a fraction, or ISO 8601 with a time zone. `admins` is a list, in CSV
separated by `;`. `content` is a part of a post or a list of parts, as `posts show --json` prints them; in CSV as JSON.

Records are put into a temporary SQLite file when the source is opened, so that memory does not grow with them.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.domain.subscription import SETTABLE_NOTIFICATIONS, Notifications
from channel_adapter.errors import InvalidError, NotFoundError
from channel_adapter.mapping.content import to_elements
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.mapping.csv_file import LINE_CHARACTERS
from channel_adapter.mapping.ids import random_of, user_id
from channel_adapter.mapping.text import parse_digits, require_text
from channel_adapter.migration.sources.lines import SUFFIXES, Line, LineReader
from channel_adapter.migration.sources.source import (
    FIRST_PAGE,
    BrokenRecord,
    SourceChannel,
    SourceKind,
    SourcePost,
    SourceSpec,
    SourceSubscriber,
    SubscriberPage,
)
from channel_adapter.migration.temporary import TemporarySqlite
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.msg_body import TEXT, Element, TextContent

CHANNELS: Final = (
    "id", "name", "owner", "introduction", "avatar", "organization", "custom_data", "created_at", "max_subscribers",
    "admins",
)  # fmt: skip
SUBSCRIBERS: Final = ("channel", "user", "since", "notifications", "custom_data", "unread")
POSTS: Final = ("channel", "id", "time", "author", "text", "content")

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"channels": CHANNELS, "subscribers": SUBSCRIBERS, "posts": POSTS}

POST_ID_BYTES: Final = 500
"""A longer id does not fit into the index of the journal."""
MILLISECONDS_FROM: Final = 100_000_000_000
"""Times from here on are in milliseconds: no second of this millennium has such a number."""
_COUNT_HIGHEST: Final = 2**31 - 1


_UNIX_SECONDS: Final = re.compile(r"([0-9]{1,18})(?:\.[0-9]*)?(?: [+-][0-9]{4})?")
"""Accepts the offset that git appends, which changes nothing."""

_BEFORE_OFFSET: Final = re.compile(r" (?=[+-][0-9:]+$)")


@dataclass(frozen=True, slots=True)
class FilePost:
    """A post of a file, before it has a number."""

    key: str
    time: int
    author: str
    body: tuple[Element, ...]


def channel_of(values: Mapping[str, Any], owner: str, now: float) -> SourceChannel:
    """Return a channel. `owner` is for lines that name none. Raises InvalidError with the field."""
    return SourceChannel(
        id=_parse_text(values, "id", needed=True),
        owner=user_id(values.get("owner") or owner, "owner"),
        name=_parse_text(values, "name", needed=True),
        introduction=_parse_text(values, "introduction"),
        avatar=_parse_text(values, "avatar"),
        organization=_parse_text(values, "organization"),
        custom_data=_parse_text(values, "custom_data"),
        created_at=_parse_past_time(values, "created_at", now) or 0,
        max_subscribers=_parse_number(values, "max_subscribers", lowest=1),
        admins=_parse_users(values, "admins"),
    )


def subscriber_of(values: Mapping[str, Any], now: float) -> SourceSubscriber:
    """Return a subscriber. Raises InvalidError with the field."""
    how = _parse_text(values, "notifications") or Notifications.ALL.value
    if how not in SETTABLE_NOTIFICATIONS:
        raise InvalidError(
            f"notifications: {shown_value(how)} is not one of {', '.join(SETTABLE_NOTIFICATIONS)}",
            field="notifications",
        )
    custom_data = require_text(_parse_text(values, "custom_data"), "custom_data", limits.OFFICIAL_CUSTOM_BYTES)
    return SourceSubscriber(
        user=user_id(values.get("user", ""), "user"),
        since=_parse_past_time(values, "since", now),
        notifications=Notifications(how),
        custom_data=custom_data,
        unread=_parse_number(values, "unread", lowest=0),
    )


def post_of(values: Mapping[str, Any], now: float) -> FilePost:
    """Return a post. Raises InvalidError with the field."""
    time = _parse_past_time(values, "time", now)
    if time is None:
        raise InvalidError("time is missing", field="time")
    author = values.get("author")
    return FilePost(
        key=require_text(_parse_text(values, "id", needed=True), "id", POST_ID_BYTES),
        time=time,
        author=user_id(author, "author") if author else "",
        body=tuple(_parse_body(values)),
    )


def _parse_body(values: Mapping[str, Any]) -> list[Element]:
    """Return the body of a post; the plan reports what is too long for the target."""
    if ("text" in values) == ("content" in values):
        raise InvalidError("a post has either text or content", field="text")
    if "text" in values:
        content = TextContent(text=require_text(values["text"], "text", LINE_CHARACTERS * 4, empty=False))
        return [Element(msg_type=TEXT, msg_content=content.to_wire())]
    given = values["content"]
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as wrong:
            raise InvalidError(f"content is no JSON: {wrong}", field="content") from None
    elements, _ = to_elements(parts_of(given), LINE_CHARACTERS * 4)
    return elements


def _parse_text(values: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = values.get(name, "")
    if needed and value == "":
        raise InvalidError(f"{name} is missing", field=name)
    return require_text(value, name, LINE_CHARACTERS * 4, empty=not needed)


def _parse_past_time(values: Mapping[str, Any], name: str, now: float) -> int | None:
    """Return a time in the past as unix seconds; None if it is missing."""
    value = values.get(name)
    if value is None or value == "":
        return None
    seconds = _parse_seconds(value, name)
    if seconds >= MILLISECONDS_FROM:
        raise InvalidError(f"{name}: {shown_value(value)} counts milliseconds; seconds are wanted", field=name)
    if seconds > now:
        raise InvalidError(f"{name}: {shown_value(value)} lies in the future", field=name)
    if seconds <= 0:
        raise InvalidError(f"{name}: {shown_value(value)} lies before 1970", field=name)
    return seconds


def _parse_seconds(value: object, name: str) -> int:
    """Return a time as unix seconds; fractions, as Slack and Python write them, are cut off."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        raise InvalidError(f"{name}: {shown_value(value)} is no time", field=name)
    if number := _UNIX_SECONDS.fullmatch(value.strip()):
        return int(number[1])
    try:
        moment = datetime.fromisoformat(_BEFORE_OFFSET.sub("", value.strip()))
    except ValueError:
        raise InvalidError(f"{name}: {shown_value(value)} is neither unix seconds nor ISO 8601", field=name) from None
    if moment.tzinfo is None:
        raise InvalidError(f"{name}: {shown_value(value)} has no time zone", field=name)
    return int(moment.timestamp())


def _parse_number(values: Mapping[str, Any], name: str, *, lowest: int) -> int | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and (number := parse_digits(value)) is not None:
        value = number
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise InvalidError(f"{name}: {shown_value(value)} is no number from {lowest} on", field=name)
    if value > _COUNT_HIGHEST:
        raise InvalidError(f"{name}: {shown_value(value)} is larger than {_COUNT_HIGHEST}", field=name)
    return value


def _parse_users(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = values.get(name, [])
    listed = [word.strip() for word in value.split(";") if word.strip()] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise InvalidError(f"{name}: {shown_value(value)} is no list of accounts", field=name)
    return tuple(dict.fromkeys(user_id(each, name) for each in listed))


ROWS_READ: Final = 200
_RANDOMS: Final = limits.RANDOM_HIGHEST + 1

_TABLES: Final = """
CREATE TABLE channel (place INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, born INTEGER NOT NULL, profile BLOB NOT NULL);
CREATE TABLE subscriber (channel INTEGER NOT NULL, id TEXT NOT NULL, since INTEGER, how TEXT NOT NULL,
    data TEXT NOT NULL, unread INTEGER, PRIMARY KEY (channel, id)) WITHOUT ROWID;
CREATE TABLE post (channel INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, time INTEGER NOT NULL,
    author TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (channel, id), UNIQUE (channel, number));
CREATE INDEX post_in_order ON post (channel, time, id);
CREATE TABLE broken (place INTEGER PRIMARY KEY, at TEXT NOT NULL, field TEXT NOT NULL, reason TEXT NOT NULL,
    raw TEXT NOT NULL);
"""


class RecordIndex:
    """Records of files in their order, each once: added first and read afterwards. Raises OSError on a full disk."""

    def __init__(self) -> None:
        self._file = TemporarySqlite("migration", _TABLES, cache_kilobytes=8_000)
        self._rows = self._file.connection

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def add_channel(self, channel: SourceChannel) -> bool:
        """Add a channel; return False when there is one with this id."""
        profile = {name: getattr(channel, name) for name in _PROFILE}
        row = (channel.id, channel.created_at, orjson.dumps(profile))
        return self._insert_row("INSERT OR IGNORE INTO channel (id, born, profile) VALUES (?, ?, ?)", row)

    def place(self, channel: str) -> tuple[int, int] | None:
        """Return the row number and the creation time of a channel; None if it is missing."""
        found: tuple[int, int] | None = self._rows.execute(
            "SELECT place, born FROM channel WHERE id = ?", (channel,)
        ).fetchone()
        return found

    def add_subscriber(self, place: int, subscriber: SourceSubscriber) -> bool:
        """Add a subscriber; return False when the channel has this user."""
        row = (
            place,
            subscriber.user,
            subscriber.since,
            subscriber.notifications.value,
            subscriber.custom_data,
            subscriber.unread,
        )
        return self._insert_row("INSERT OR IGNORE INTO subscriber VALUES (?, ?, ?, ?, ?, ?)", row)

    def add_post(self, place: int, channel: str, post: FilePost) -> bool:
        """Add a post; return False when the channel has one with this id.

        A post's number is drawn from its id, so that it stays the same when the file grows; the next free one is taken
        in the rare case that another post has it.
        """
        body = orjson.dumps([element.to_wire() for element in post.body])
        number = random_of("file", channel, post.key)
        known = "SELECT 1 FROM post WHERE channel = ? AND id = ?"
        if self._rows.execute(known, (place, post.key)).fetchone():
            return False
        row = (post.key, post.time, post.author, body)
        while not self._insert_row("INSERT OR IGNORE INTO post VALUES (?, ?, ?, ?, ?, ?)", (place, number, *row)):
            number = (number + 1) % _RANDOMS
        return True

    def add_broken(self, record: BrokenRecord) -> None:
        """Keep a record that cannot be used."""
        row = (record.where, record.field, record.reason, record.raw)
        self._insert_row("INSERT INTO broken (at, field, reason, raw) VALUES (?, ?, ?, ?)", row)

    def channels(self) -> Iterator[SourceChannel]:
        """Yield channels in the order of the file, each with the number of its subscribers."""
        counted = (
            "SELECT profile, (SELECT count(*) FROM subscriber WHERE channel = place),"
            " (SELECT max(time) FROM post WHERE channel = place) FROM channel ORDER BY place"
        )
        for profile, subscribers, latest in self._rows.execute(counted).fetchall():
            values = orjson.loads(profile)
            admins = tuple(values.pop("admins"))
            yield SourceChannel(**values, admins=admins, subscriber_count=subscribers, last_post_at=latest or 0)

    def subscribers(self, channel: str, after: str) -> list[SourceSubscriber]:
        """Return the next subscribers by their ids; an empty list at the end."""
        query = "SELECT id, since, how, data, unread FROM subscriber WHERE channel = ? AND id > ? ORDER BY id LIMIT ?"
        rows = self._rows.execute(query, (self._require_place(channel), after, ROWS_READ)).fetchall()
        return [
            SourceSubscriber(user, since, Notifications(how), data, unread) for user, since, how, data, unread in rows
        ]

    def posts(self, channel: str, after: str) -> Iterator[SourcePost]:
        """Yield posts by time, then by id; only later ones than the post `after`, if there is one with that id."""
        place = self._require_place(channel)
        found = self._rows.execute("SELECT time, id FROM post WHERE channel = ? AND id = ?", (place, after)).fetchone()
        time, key = found or (0, "")
        query = (
            "SELECT time, id, number, author, body FROM post WHERE channel = ? AND (time, id) > (?, ?)"
            " ORDER BY time, id LIMIT ?"
        )
        while rows := self._rows.execute(query, (place, time, key, ROWS_READ)).fetchall():
            for time, key, number, author, body in rows:
                elements = tuple(Element.model_validate(each) for each in orjson.loads(body))
                yield SourcePost(key, number, time, elements, author)

    def broken(self) -> Iterator[BrokenRecord]:
        """Yield broken records in the order they were found."""
        place = 0
        query = "SELECT place, at, field, reason, raw FROM broken WHERE place > ? ORDER BY place LIMIT ?"
        while rows := self._rows.execute(query, (place, ROWS_READ)).fetchall():
            yield from (BrokenRecord(*row[1:]) for row in rows)
            place = rows[-1][0]

    def _require_place(self, channel: str) -> int:
        found = self.place(channel)
        if found is None:
            raise KeyError(channel)
        return found[0]

    def _insert_row(self, statement: str, row: tuple[object, ...]) -> bool:
        return self._file.insert(statement, [row]) > 0


_PROFILE: Final = (
    "id", "owner", "name", "introduction", "avatar", "organization", "custom_data", "created_at", "max_subscribers",
    "admins",
)  # fmt: skip


KINDS: Final = ("channels", "subscribers", "posts")


def find_files(folder: str) -> dict[str, str]:
    """Return the files of a folder by kind. Raises InvalidError for no channels or two files of a kind, OSError."""
    next(Path(folder).iterdir(), None)  # one that is not there says so itself
    found: dict[str, str] = {}
    for kind in KINDS:
        there = [path for suffix in SUFFIXES if (path := Path(folder) / f"{kind}{suffix}").is_file()]
        if len(there) > 1:
            raise InvalidError(f"{folder} has {there[0].name} and {there[1].name}: keep one", field="files")
        if there:
            found[kind] = str(there[0])
    if "channels" not in found:
        wanted = " or ".join(f"channels{suffix}" for suffix in SUFFIXES)
        raise InvalidError(f"{folder} has no {wanted}", field="files")
    return found


class FilesSource:
    """Files that were read once, line by line, when the source was opened."""

    def __init__(self, index: RecordIndex, spec: SourceSpec) -> None:
        """Use `open`."""
        self._index = index
        self._spec = spec

    @classmethod
    async def open(cls, files: Mapping[str, str], *, owner: str = "", now: float) -> "FilesSource":
        """Read and check all lines. `owner` is for channels whose line names none; `now` bounds their times.

        Raises InvalidError: a heading with an unknown column, no channel at all. OSError: a file or the disk.
        """
        index = RecordIndex()
        try:
            spec = await _fill_index(_IndexBuilder(index, files, owner, now))
        except BaseException:
            index.close()
            raise
        return cls(index, spec)

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    async def channels(self) -> AsyncIterator[SourceChannel]:
        """Yield channels in the order of the file."""
        for channel in self._index.channels():
            yield channel

    async def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Yield posts by time, then by id. Raises NotFoundError for a channel that the files do not have."""
        self._require_channel(channel)
        for post in self._index.posts(channel, after):
            yield post

    def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """Yield posts by time, then by id: every order costs the same."""
        return self.posts(channel)

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """Return up to 200 subscribers by their ids."""
        self._require_channel(channel)
        subscribers = self._index.subscribers(channel, cursor)
        return SubscriberPage(tuple(subscribers), subscribers[-1].user if subscribers else None)

    async def broken(self) -> AsyncIterator[BrokenRecord]:
        """Yield lines that cannot be used."""
        for record in self._index.broken():
            yield record

    async def aclose(self) -> None:
        """Remove the temporary file."""
        self._index.close()

    def _require_channel(self, channel: str) -> None:
        if self._index.place(channel) is None:
            raise NotFoundError(f"the files have no channel {shown_value(channel)}", field="channel")


async def _fill_index(filling: "_IndexBuilder") -> SourceSpec:
    """Read in a thread, which has ended when this returns or raises."""
    reading = asyncio.ensure_future(asyncio.to_thread(filling.fill))
    try:
        return await asyncio.shield(reading)
    finally:
        filling.stopped = True
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # the caller was cancelled and does not need it


class _IndexBuilder:
    """Read the files into an index, until `stopped`."""

    def __init__(self, index: RecordIndex, files: Mapping[str, str], owner: str, now: float) -> None:
        self._index = index
        self._files = files
        self._owner = owner
        self._now = now
        self.stopped = False
        self._latest: tuple[str, tuple[int, int] | None] = ("", None)

    def fill(self) -> SourceSpec:
        """Read all files; return how to open them again."""
        digests: dict[str, str] = {}
        add = {"channels": self._add_channel, "subscribers": self._add_subscriber, "posts": self._add_post}
        for kind in KINDS:
            if kind not in self._files:
                continue
            reader = LineReader(Path(self._files[kind]), COLUMNS[kind])
            for line in reader.read():
                if self.stopped:
                    raise InvalidError("reading was stopped", field="files")
                self._add_record(line, add[kind])
            digests[kind] = reader.digest
        if not any(True for _ in self._index.channels()):
            raise InvalidError(
                f"{self._files['channels']} has no channel that can be used{self._first_broken_line()}", field="files"
            )
        return SourceSpec(kind=SourceKind.FILES, files=dict(self._files), digests=digests, owner=self._owner)

    def _first_broken_line(self) -> str:
        broken = next(self._index.broken(), None)
        return f": {broken.where}: {broken.reason}" if broken else ""

    def _add_record(self, line: Line | BrokenRecord, add: Any) -> None:
        if isinstance(line, BrokenRecord):
            self._index.add_broken(line)
            return
        try:
            add(line.values)
        except InvalidError as wrong:
            self._index.add_broken(BrokenRecord(line.where, wrong.field or "", wrong.message, line.raw.rstrip("\n")))

    def _add_channel(self, values: Mapping[str, Any]) -> None:
        channel = channel_of(values, self._owner, self._now)
        if not self._index.add_channel(channel):
            raise InvalidError(f"channel {shown_value(channel.id)} was there before", field="id")

    def _add_subscriber(self, values: Mapping[str, Any]) -> None:
        channel, place, born = self._find_channel(values)
        subscriber = subscriber_of(values, self._now)
        if subscriber.since is not None and subscriber.since < born:
            raise InvalidError(f"since lies before channel {shown_value(channel)} was made", field="since")
        if not self._index.add_subscriber(place, subscriber):
            raise InvalidError(
                f"{shown_value(subscriber.user)} was there before as a subscriber of {shown_value(channel)}",
                field="user",
            )

    def _add_post(self, values: Mapping[str, Any]) -> None:
        channel, place, born = self._find_channel(values)
        post = post_of(values, self._now)
        if post.time < born:
            raise InvalidError(f"time lies before channel {shown_value(channel)} was made", field="time")
        if not self._index.add_post(place, channel, post):
            raise InvalidError(f"post {shown_value(post.key)} of {shown_value(channel)} was there before", field="id")

    def _find_channel(self, values: Mapping[str, Any]) -> tuple[str, int, int]:
        """Return id, row number and creation time of the channel of a line."""
        name = values.get("channel")
        if not isinstance(name, str) or not name:
            raise InvalidError("channel is missing", field="channel")
        if name != self._latest[0]:
            self._latest = (name, self._index.place(name))
        found = self._latest[1]
        if found is None:
            raise InvalidError(f"channel {shown_value(name)} is not in the file of channels", field="channel")
        return (name, *found)
