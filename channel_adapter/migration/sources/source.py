"""What every source can do. Reading only, and in pieces: no list of people or posts is ever held whole."""

from collections.abc import AsyncIterator
from typing import Protocol

from channel_adapter.migration.plan import SourceSpec
from channel_adapter.migration.records import BrokenRecord, SourceChannel, SourcePost, SubscriberPage

FIRST_PAGE = ""


class Source(Protocol):
    """A source that is open. Every method may be asked again at any time and then reads anew.

    A failing source raises a ChannelAdapterError; one that is empty where it says that it is not raises one too.
    """

    @property
    def spec(self) -> SourceSpec:
        """How it is opened again."""
        ...

    def channels(self) -> AsyncIterator[SourceChannel]:
        """All of its channels, in the order of the spec. Raises NotFoundError for one that is gone."""
        ...

    def posts(self, channel: str, *, after: str = "") -> AsyncIterator[SourcePost]:
        """Posts of a channel, oldest first, recalled and expired ones too; `after` the key of one: only later ones."""
        ...

    def posts_any_order(self, channel: str) -> AsyncIterator[SourcePost]:
        """The same in the order that costs least, for counting."""
        ...

    async def subscribers(self, channel: str, cursor: str = FIRST_PAGE) -> SubscriberPage:
        """A page of subscribers. A cursor may have died since it was given: begin with the first page then."""
        ...

    def broken(self) -> AsyncIterator[BrokenRecord]:
        """Records that cannot be used, found so far."""
        ...

    async def aclose(self) -> None:
        """Let go of files."""
        ...


async def channels_by_id(source: Source) -> dict[str, SourceChannel]:
    """All channels of a source by their ids."""
    return {channel.id: channel async for channel in source.channels()}
