"""Files of any other system as a source: channels, subscribers and posts as JSONL or CSV in one folder."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from channel_adapter.errors import InvalidError, NotFoundError
from channel_adapter.migration.plan import SourceKind, SourceSpec
from channel_adapter.migration.records import BrokenRecord, SourceChannel, SourcePost, SubscriberPage
from channel_adapter.migration.sources import schema
from channel_adapter.migration.sources.index import Index
from channel_adapter.migration.sources.lines import SUFFIXES, Line, LineReader
from channel_adapter.migration.sources.source import FIRST_PAGE

KINDS: Final = ("channels", "subscribers", "posts")


def find_files(folder: str) -> dict[str, str]:
    """The files of a folder by what they hold. Raises InvalidError: no channels, or two files of a kind. OSError."""
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
    """Files that were read once, line by line, when the source was opened; see `schema` for what they hold."""

    def __init__(self, index: Index, spec: SourceSpec) -> None:
        """Use `open`."""
        self._index = index
        self._spec = spec

    @classmethod
    async def open(cls, files: Mapping[str, str], *, owner: str = "", now: float) -> "FilesSource":
        """Read and check all lines. `owner` is for channels whose line names none; `now` bounds their times.

        Raises InvalidError: a heading with an unknown column, no channel at all. OSError: a file or the disk.
        """
        index = Index()
        try:
            spec = await _fill(_Filling(index, files, owner, now))
        except BaseException:
            index.close()
            raise
        return cls(index, spec)

    @property
    def spec(self) -> SourceSpec:
        return self._spec

    async def channels(self) -> AsyncIterator[SourceChannel]:
        """In the order of the file."""
        for channel in self._index.channels():
            yield channel

    async def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """By time, then by id. Raises NotFoundError for a channel that the files do not have."""
        self._require(channel)
        for post in self._index.posts(channel, after):
            yield post

    def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """The same: one order costs what the other does."""
        return self.posts(channel)

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """200 people by their ids."""
        self._require(channel)
        people = self._index.people(channel, cursor)
        return SubscriberPage(tuple(people), people[-1].user if people else None)

    async def broken(self) -> AsyncIterator[BrokenRecord]:
        """Lines that cannot be used."""
        for record in self._index.broken():
            yield record

    async def aclose(self) -> None:
        """Remove the index."""
        self._index.close()

    def _require(self, channel: str) -> None:
        if self._index.place(channel) is None:
            raise NotFoundError(f"the files have no channel {channel!r}", field="channel")


async def _fill(filling: "_Filling") -> SourceSpec:
    """Read in a thread, which ends with this line whatever happens: nobody waits for a file that is not wanted."""
    reading = asyncio.ensure_future(asyncio.to_thread(filling.fill))
    try:
        return await asyncio.shield(reading)
    finally:
        filling.stopped = True
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # taken note of: whoever left has no use for it


class _Filling:
    """Reads the files into an index, until `stopped`."""

    def __init__(self, index: Index, files: Mapping[str, str], owner: str, now: float) -> None:
        self._index = index
        self._files = files
        self._owner = owner
        self._now = now
        self.stopped = False
        self._latest: tuple[str, tuple[int, int] | None] = ("", None)

    def fill(self) -> SourceSpec:
        """Read them all."""
        digests: dict[str, str] = {}
        add = {"channels": self._add_channel, "subscribers": self._add_subscriber, "posts": self._add_post}
        for kind in KINDS:
            if kind not in self._files:
                continue
            reader = LineReader(Path(self._files[kind]), schema.COLUMNS[kind])
            for line in reader.read():
                if self.stopped:
                    raise InvalidError("reading was stopped", field="files")
                self._take(line, add[kind])
            digests[kind] = reader.digest
        if not any(True for _ in self._index.channels()):
            raise InvalidError(
                f"{self._files['channels']} has no channel that can be used{self._first()}", field="files"
            )
        return SourceSpec(kind=SourceKind.FILES, files=dict(self._files), digests=digests, owner=self._owner)

    def _first(self) -> str:
        broken = next(self._index.broken(), None)
        return f": {broken.where}: {broken.reason}" if broken else ""

    def _take(self, line: Line | BrokenRecord, add: Any) -> None:
        if isinstance(line, BrokenRecord):
            self._index.add_broken(line)
            return
        try:
            add(line.values)
        except InvalidError as wrong:
            self._index.add_broken(BrokenRecord(line.where, wrong.field or "", wrong.message, line.raw.rstrip("\n")))

    def _add_channel(self, values: Mapping[str, Any]) -> None:
        channel = schema.channel_of(values, self._owner, self._now)
        if not self._index.add_channel(channel):
            raise InvalidError(f"channel {channel.id!r} was there before", field="id")

    def _add_subscriber(self, values: Mapping[str, Any]) -> None:
        channel, place, born = self._channel(values)
        person = schema.subscriber_of(values, self._now)
        if person.since is not None and person.since < born:
            raise InvalidError(f"since lies before channel {channel!r} was made", field="since")
        if not self._index.add_person(place, person):
            raise InvalidError(f"{person.user!r} was there before as a subscriber of {channel!r}", field="user")

    def _add_post(self, values: Mapping[str, Any]) -> None:
        channel, place, born = self._channel(values)
        post = schema.post_of(values, self._now)
        if post.time < born:
            raise InvalidError(f"time lies before channel {channel!r} was made", field="time")
        if not self._index.add_post(place, channel, post):
            raise InvalidError(f"post {post.key!r} of {channel!r} was there before", field="id")

    def _channel(self, values: Mapping[str, Any]) -> tuple[str, int, int]:
        """Id, place and birth of the channel that a line is about; lines of one channel mostly stand together."""
        name = values.get("channel")
        if not isinstance(name, str) or not name:
            raise InvalidError("channel is missing", field="channel")
        if name != self._latest[0]:
            self._latest = (name, self._index.place(name))
        found = self._latest[1]
        if found is None:
            raise InvalidError(f"channel {name!r} is not in the file of channels", field="channel")
        return (name, *found)
