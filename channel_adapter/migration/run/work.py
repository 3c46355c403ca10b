"""One channel on its way: what its steps share, and how they note what came of them."""

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from channel_adapter.backends.community.tag import Tag
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration.budget import Metered
from channel_adapter.migration.plan.document import Plan, PlannedChannel
from channel_adapter.migration.plan.resolutions import Policies
from channel_adapter.migration.plan.transform import Target
from channel_adapter.migration.run.journal import Journal
from channel_adapter.migration.sources.source import Source, SourceChannel, SourcePost, SourceSubscriber
from channel_adapter.services.bulk import BatchSize
from channel_adapter.store.migration import ChannelRow, KeptRow, QuarantineRow

IMPORTING_CHANNEL, IMPORTING_POSTS, IMPORTING_SUBSCRIBERS, CLOSING = (
    "importing_channel", "importing_posts", "importing_subscribers", "closing",
)  # fmt: skip

POST, SUBSCRIBER, NOTIFICATIONS, ADMIN, PROFILE = "post", "subscriber", "notifications", "admin", "profile"
"""Kinds of records in the quarantine."""

POINTS: Final = (
    "queued", "channel.sending", "channel.made", "posts.sending", "posts.sent", "posts.noted", "people.sending",
    "people.sent", "options.set", "people.noted", "closing.sending", "closing.sent", "channel.done", "step.done",
)  # fmt: skip
"""Moments of the work, for tests that end the process in them."""

At = Callable[[str], None]


def nowhere(point: str) -> None:
    """For those who need not know where the work is."""


@dataclass(slots=True)
class ChannelWork:
    """What the steps of one channel need. `now` is the channel at the source, `round` 1 moves, a later one is a delta.

    `pages` are those of subscribers that all channels of a process may have under way.
    """

    calls: Metered
    journal: Journal
    plan: Plan
    planned: PlannedChannel
    source: Source
    now: SourceChannel
    row: ChannelRow
    clock: Clock
    add_size: BatchSize
    pages: asyncio.Semaphore
    at_once: int
    round: int
    at: At = nowhere
    tag: Tag | None = None
    closed: bool = False
    unclear: int = 0  # messages on the target that the journal does not know

    @property
    def channel(self) -> ChannelId:
        return self.planned.target.channel

    @property
    def id(self) -> str:
        """At the source."""
        return self.planned.source.id

    @property
    def target(self) -> Target:
        return self.plan.limits.target()

    @property
    def policies(self) -> Policies:
        return self.plan.chosen

    @property
    def first(self) -> bool:
        """Has this channel never been finished?"""
        return self.row.finished == 0

    async def note(self, state: str | None = None) -> None:
        """Write down how far the channel is."""
        if state is not None:
            self.row.state = state
        self.row.changed = self.clock.now()
        await self.journal.note([self.row])

    async def quarantine(self, what: str, key: str, reason: str, raw: Mapping[str, Any], retry: str) -> None:
        """Write down what cannot go."""
        text = orjson.dumps(raw).decode()
        await self.journal.note([QuarantineRow(self.plan.migration, self.id, what, key, reason, text, retry)])

    async def keep(self, what: str, key: str, text: str) -> None:
        """Put an original into the database, whole."""
        await self.journal.note([KeptRow(self.channel, what, key, text)])


def retry_command(what: str) -> str:
    """How a record goes after all."""
    return f"{what}, then `channel-adapter migrate retry`"


def said(error: ChannelAdapterError) -> str:
    """An error as a reason."""
    return error.message


def raw_post(post: SourcePost) -> dict[str, Any]:
    """A post as JSON, whole."""
    return {
        "key": post.key, "number": post.number, "time": post.time, "author": post.author, "state": post.state.value,
        "body": [element.model_dump(mode="json", by_alias=True) for element in post.body],
    }  # fmt: skip


def raw_person(person: SourceSubscriber) -> dict[str, Any]:
    """A subscriber as JSON, whole."""
    return dataclasses.asdict(person)
