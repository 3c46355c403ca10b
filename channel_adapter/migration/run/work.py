"""One channel that is being moved: what its steps share, and how they record results."""

import asyncio
import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from channel_adapter.backends.community.importing import CommunityImporter
from channel_adapter.backends.community.members import BatchSize
from channel_adapter.backends.community.tag import Tag
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.migration.context import Failpoint, MigrationContext, noop_failpoint
from channel_adapter.migration.plan.document import Plan, PlannedChannel
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.plan.transform import TargetLimits
from channel_adapter.migration.run.journal import Journal
from channel_adapter.migration.sources.source import Source, SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.store.migration import ChannelRow, OriginalRow, QuarantineRow, ReleasedRow
from channel_adapter.tencent.wire.msg_body import Element

IMPORTING_CHANNEL, IMPORTING_POSTS, IMPORTING_SUBSCRIBERS, CLOSING = (
    "importing_channel", "importing_posts", "importing_subscribers", "closing",
)  # fmt: skip

POST, SUBSCRIBER, NOTIFICATIONS, ADMIN, PROFILE, RECALL = (
    "post", "subscriber", "notifications", "admin", "profile", "recall",
)  # fmt: skip
"""Kinds of records in the quarantine."""

POINTS: Final = (
    "queued", "channel.sending", "channel.made", "posts.sending", "posts.sent", "posts.noted", "subscribers.sending",
    "subscribers.sent", "options.set", "subscribers.noted", "closing.sending", "closing.sent", "channel.done",
    "step.done",
)  # fmt: skip
"""Failpoints of the work, in order."""


@dataclass(slots=True)
class ChannelWork:
    """What the steps of one channel need. `now` is the channel in the source; `round` 1 moves, a later one is a delta.

    `pages` limits the pages of subscribers that all channels of a process move at the same time.
    """

    context: MigrationContext
    importer: CommunityImporter
    journal: Journal
    plan: Plan
    planned: PlannedChannel
    source: Source
    now: SourceChannel
    row: ChannelRow
    add_size: BatchSize
    pages: asyncio.Semaphore
    round: int
    failpoint: Failpoint = noop_failpoint
    quarantined: bool = False  # records of an earlier run are in the quarantine
    tag: Tag | None = None
    owner: str = ""  # of the group on the target
    closed: bool = False
    unclear: int = 0  # messages on the target that the journal does not know

    @property
    def channel(self) -> ChannelId:
        return self.planned.target.channel

    @property
    def id(self) -> str:
        """The id in the source."""
        return self.planned.source.id

    @property
    def target(self) -> TargetLimits:
        return self.plan.limits.target()

    @property
    def policies(self) -> Resolutions:
        return self.plan.chosen

    @property
    def first(self) -> bool:
        """Return whether this channel was never finished."""
        return self.row.finished == 0

    async def note(self, state: str | None = None) -> None:
        """Record how far the channel is."""
        if state is not None:
            self.row.state = state
        self.row.changed = self.context.clock.now()
        await self.journal.note([self.row])

    async def quarantine(self, what: str, key: str, reason: str, raw: Mapping[str, Any], retry: str) -> None:
        """Record what cannot be moved."""
        text = orjson.dumps(raw).decode()
        await self.journal.note([QuarantineRow(self.plan.migration, self.id, what, key, reason, text, retry)])

    async def release(self, what: str, keys: Iterable[str]) -> None:
        """Record that nothing is left to do for records that an earlier run may have put into the quarantine."""
        if self.quarantined:
            await self.journal.note([ReleasedRow(self.plan.migration, self.id, what, key) for key in keys])

    async def store_original(self, what: str, key: str, text: str) -> None:
        """Store an original in the database."""
        await self.journal.note([OriginalRow(self.channel, what, key, text)])


def retry_command(action: str) -> str:
    """Return how to try a record again."""
    return f"{action}, then `channel-adapter migrate retry`"


def raw_post(post: SourcePost) -> dict[str, Any]:
    """Return a post as JSON."""
    return {
        "key": post.key, "number": post.number, "time": post.time, "author": post.author, "state": post.state.value,
        "body": [element.model_dump(mode="json", by_alias=True) for element in post.body],
    }  # fmt: skip


def post_from_raw(text: str) -> SourcePost:
    """Return a post of the quarantine."""
    raw = orjson.loads(text)
    body = tuple(Element.model_validate(element) for element in raw["body"])
    return SourcePost(**{**raw, "body": body, "state": SourceState(raw["state"])})


def raw_subscriber(subscriber: SourceSubscriber) -> dict[str, Any]:
    """Return a subscriber as JSON."""
    return dataclasses.asdict(subscriber)


def subscriber_from_raw(text: str) -> SourceSubscriber:
    """Return a subscriber of the quarantine."""
    raw = orjson.loads(text)
    return SourceSubscriber(**{**raw, "notifications": Notifications(raw["notifications"])})
