"""What services need of a mode. A method is one finished action on the service.

It resolves the owner, checks that an id is a channel, keeps the rates, splits batches, repeats, and reads back.
Refusals of single items are values; every other failure is a ChannelAdapterError.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from channel_adapter.concurrency.outage import AttemptStatus
from channel_adapter.concurrency.paging import Page
from channel_adapter.domain.batch import AddOptions, BatchResult
from channel_adapter.domain.channel import Channel, ChannelProfile, NewChannel
from channel_adapter.domain.events import ChannelEvent
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.insights import ReadPosition
from channel_adapter.domain.message import Message, MessageRef, PeerId, SentBatch
from channel_adapter.domain.mode import Capabilities, Mode
from channel_adapter.domain.post import Content, Draft, Post, PostKey, PostPreview, PostRef
from channel_adapter.domain.reaction import (
    CarriedReactions,
    CarrierChange,
    CarrierResult,
    DisplayMode,
    DisplayStatus,
    MessageCapacity,
)
from channel_adapter.domain.subscription import GroupAssignment, Notifications, Role, Subscriber, Subscription
from channel_adapter.domain.unread import ConversationGroup, MarkChange, Marks, Synced, Unread
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    OutcomeUnknownError,
    PermissionDeniedError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.ids import IdScheme


class PostKeys(Protocol):
    """Keeps the keys of broadcasts, so that a number alone names one. A key that is missing is looked up in history."""

    async def get(self, channel: ChannelId, seq: int) -> PostKey | None:
        """Return the key of a broadcast, None if it is not known."""
        ...

    async def add(self, channel: ChannelId, keys: Sequence[PostKey]) -> None:
        """Keep keys of broadcasts; a later one of the same number replaces it."""
        ...

    async def forget(self, channel: ChannelId) -> None:
        """Drop the keys of a channel."""
        ...


class SendBudget(Protocol):
    """Counts the posts of the last hour of each channel, over all processes."""

    async def reserve(self, channel: ChannelId, here: float, per_hour: int) -> float | None:
        """Count a post; return None, or the seconds until one is possible if there were `per_hour` already.

        `here` is the time of this process.
        """
        ...

    async def release(self, channel: ChannelId) -> None:
        """Do not count the post that was reserved last: it was not sent."""
        ...


class BroadcastRows(PostKeys, SendBudget, Protocol):
    """What a database keeps of broadcasts."""


class ChannelRegistryRows(Protocol):
    """Channels that this app has created, read or been notified of, for a mode in which the service lists none.

    Fields are kept with the Unix seconds at which they were reported.
    """

    async def merge_many(self, reports: Mapping[ChannelId, Mapping[str, tuple[Any, float]]]) -> object:
        """Store the later report of each field of some channels, in one transaction."""
        ...

    def existing(self) -> AsyncIterator[tuple[ChannelId, Mapping[str, tuple[Any, float]]]]:
        """Yield the channels that are not deleted, by id."""
        ...


class ChannelBackend(Protocol):
    """Channels: create, read, update, delete."""

    async def create(self, new: NewChannel) -> Channel:
        """Create a channel, or return the one that exists with the same values. Raises ConflictError for another."""
        ...

    async def read(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the channels with these ids as they are now; other ids are left out."""
        ...

    async def get(self, channel: ChannelId) -> Channel:
        """Return a channel as it is now. Raises NotFoundError."""
        ...

    def check(self, change: ChannelProfile) -> None:
        """Raise InvalidError for a profile, or a part of one, that no channel can have."""
        ...

    async def update(self, channel: ChannelId, change: ChannelProfile) -> Channel:
        """Change the fields that differ, and return the channel. Raises InvalidError and NotFoundError."""
        ...

    async def delete(self, channel: ChannelId) -> bool:
        """Delete a channel; return False if it did not exist. Raises NotFoundError for what is not a channel."""
        ...

    async def finish(self, channel: ChannelId) -> bool:
        """Finish an interrupted creation; return False if the channel is complete."""
        ...

    def all(self) -> AsyncGenerator[Channel, None]:
        """Yield every channel of the app once; those of the registry where the service lists none."""
        ...

    async def adopt(self, channels: Iterable[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the channels with these ids, and add them to the registry where `all` lists that."""
        ...

    async def require(self, channel: ChannelId) -> None:
        """Raise NotFoundError unless an id is a channel. Cached."""
        ...

    async def known(self, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return which ids are channels. Cached."""
        ...

    def cached(self, channel: ChannelId, *, allow_stale: bool = False) -> bool | None:
        """Return whether an id is a channel, without a call; None if that is not known."""
        ...

    def forget(self, channel: ChannelId | None = None) -> None:
        """Drop what is cached of one channel, or of all."""
        ...

    async def attributes(self, channel: ChannelId) -> Mapping[str, str]:
        """Return the attributes of a channel. Cached. Raises NotFoundError."""
        ...

    async def set_attributes(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel; None removes one. Raises InvalidError and NotFoundError."""
        ...


class PostBackend(Protocol):
    """Posts of channels."""

    async def send(self, channel: ChannelId, draft: Draft) -> Post:
        """Send one post once, whatever is lost on the way. Raises OutcomeUnknownError if it may have been sent."""
        ...

    async def preview(self, channel: ChannelId, draft: Draft) -> PostPreview:
        """Return what `send` would send, and send nothing."""
        ...

    def history(
        self, channel: ChannelId, *, before: PostRef | None = None, oldest_first: bool = False
    ) -> AsyncGenerator[Post, None]:
        """Yield the posts that the service keeps, below the post `before`. Raises NotFoundError."""
        ...

    async def get(self, ref: PostRef, *, deadline: float | None = None) -> Post | None:
        """Return a post as it is now, or None. `deadline` is in seconds. Raises NotFoundError for the channel."""
        ...

    async def find(self, channel: ChannelId, dedupe: int) -> Post | None:
        """Return the post with this dedupe number if it is among the latest posts."""
        ...

    async def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a post. Raises InvalidError, and NotFoundError for a post that is gone."""
        ...

    async def recall(self, refs: Sequence[PostRef], reason: str) -> Mapping[PostRef, ChannelAdapterError | None]:
        """Recall posts of one channel, and return the error for each, None if it is recalled now."""
        ...


class MemberBackend(Protocol):
    """Subscribers of channels."""

    def add_batch(self) -> int:
        """Return how many users one call adds, as learned so far. A longer list is split."""
        ...

    def remove_batch(self) -> int:
        """Return how many users one call removes. A longer list is split."""
        ...

    async def add(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Subscribe different users to an id that is a channel. Every failure is in the result.

        An `error` of NotFoundError with field `channel` says that the channel does not exist any more.
        """
        ...

    async def remove(self, channel: ChannelId, users: Sequence[UserId], options: AddOptions) -> BatchResult:
        """Unsubscribe different users from an id that is a channel. Every failure is in the result, as for `add`."""
        ...

    async def subscribed(self, channel: ChannelId, users: Sequence[UserId]) -> dict[UserId, bool]:
        """Return which users are in a channel, its owner included. Raises NotFoundError."""
        ...

    async def subscribed_to(self, user: UserId, channels: Sequence[ChannelId]) -> frozenset[ChannelId]:
        """Return which of these channels a user is in."""
        ...

    async def get(self, channel: ChannelId, user: UserId) -> Subscriber | None:
        """Return one user of a channel, the owner included, or None. Raises NotFoundError for the channel."""
        ...

    async def page(self, channel: ChannelId, cursor: str) -> Page[Subscriber, str]:
        """Return one page of the subscribers, without the owner; "" is the first. Raises NotFoundError."""
        ...

    async def read_positions(self, channel: ChannelId, cursor: str) -> Page[ReadPosition, str]:
        """Return how far the subscribers of one page have read, without the owner. Needs `can.views`."""
        ...

    async def set_notifications(self, channel: ChannelId, user: UserId, wanted: Notifications) -> bool:
        """Set how new posts reach a subscriber; return False if it was set already. Raises NotFoundError."""
        ...

    async def staff(self, channel: ChannelId) -> list[Subscriber]:
        """Return the owner, if there is one, and the admins. Raises NotFoundError for the channel."""
        ...

    async def set_role(self, channel: ChannelId, users: Sequence[UserId], role: Role) -> BatchResult:
        """Make different subscribers admins, or admins subscribers again. Every failure is in the result."""
        ...

    async def transfer(self, channel: ChannelId, new_owner: UserId) -> UserId | None:
        """Make a subscriber the owner; return the owner before, None without one.

        Raises NotFoundError for a user who is not an account or not subscribed, and for the channel.
        """
        ...

    def subscriptions(self, user: UserId) -> AsyncGenerator[Subscription, None]:
        """Yield the channels of a user, each once. Raises NotFoundError for an account that does not exist."""
        ...


class AccountBackend(Protocol):
    """Accounts of the app."""

    def add_batch(self) -> int:
        """Return how many accounts one call adds. A longer list is split."""
        ...

    async def check(self, users: Sequence[UserId]) -> dict[UserId, bool]:
        """Return which accounts exist."""
        ...

    async def add(self, users: Sequence[UserId]) -> BatchResult:
        """Import the accounts that do not exist. Every failure is in the result."""
        ...


class UnreadBackend(Protocol):
    """Unread counts and read positions of users."""

    async def count(self, user: UserId, *, exact: bool, explain: bool) -> Unread:
        """Return the channels of a user with their counts, and the sums over channels and over other groups.

        `exact`: posts of other processes that do not count are looked up. `explain` adds the inputs of every count.
        Raises NotFoundError for an unknown account.
        """
        ...

    async def mark_read(
        self, user: UserId, channel: ChannelId, up_to: PostRef | datetime | None, *, exact: bool
    ) -> int:
        """Mark posts up to a post or a time as read, None: all; return how many are unread then.

        Raises InvalidError for a post that does not exist yet and for a time in the future, NotFoundError for a user
        who is not in the channel.
        """
        ...

    async def mark_all_read(self, user: UserId) -> tuple[ChannelId, ...]:
        """Mark every post in every channel as read; return the channels in which one was not.

        After a failure the other channels are marked all the same, then the first error is raised.
        """
        ...


class GroupingBackend(Protocol):
    """Conversation groups and marks of users."""

    @property
    def max_groups(self) -> int:
        """Conversation groups that a user can have."""
        ...

    async def put(self, user: UserId, name: str, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the group `name`, which is created if it is missing. Failures are outcomes."""
        ...

    async def take_out(
        self, user: UserId, name: str, channels: Sequence[ChannelId]
    ) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the group `name`. Failures are outcomes."""
        ...

    async def read(self, user: UserId) -> tuple[ConversationGroup, ...]:
        """Return all groups of a user with what is in them. Raises NotFoundError for an unknown account."""
        ...

    async def sync(self, user: UserId, name: str, *, keep_by_hand: bool) -> Synced:
        """Make the group `name` hold exactly the channels that the user follows.

        `keep_by_hand`: conversations that are not channels stay. Raises NotFoundError for an unknown account.
        """
        ...

    async def rename(self, user: UserId, old: str, new: str) -> bool:
        """Rename a group; return False if it has been renamed already.

        Raises InvalidError, NotFoundError without the group, and ConflictError if there is a group of each name.
        """
        ...

    async def delete(self, user: UserId, name: str) -> bool:
        """Delete a group; return False if there is none. Raises InvalidError."""
        ...

    async def mark(self, user: UserId, channel: ChannelId, change: MarkChange) -> None:
        """Change marks on a channel. Raises InvalidError, and NotFoundError for a user who is not in the channel."""
        ...

    async def marks(self, user: UserId, channel: ChannelId) -> Marks:
        """Return the marks on a channel. Raises NotFoundError for a user who is not in the channel."""
        ...


class ReactionCarrier(Protocol):
    """What the messages of posts carry: keys of users, and counts for client apps without this adapter."""

    @property
    def capacity(self) -> MessageCapacity | None:
        """What one message can carry; None: messages carry no reactions in this mode."""
        ...

    async def read(self, ref: PostRef, *, timeout: float | None = None) -> CarriedReactions | None:
        """Return what stands on a message; None if it carries no keys. `timeout` is in seconds for each call.

        Raises NotFoundError for a message that does not exist.
        """
        ...

    async def write(self, ref: PostRef, change: CarrierChange, *, timeout: float | None = None) -> CarrierResult:
        """Set and remove keys. A refusal is a result. `timeout` is in seconds for each call.

        Raises errors that are no refusal of the message, for example UnavailableError.
        """
        ...

    async def write_custom_data(
        self, ref: PostRef, counts: Mapping[str, int], *, timeout: float | None = None
    ) -> CarrierResult:
        """Write all counts into the custom data of a message; none removes them. `timeout` is in seconds in all."""
        ...

    async def probe(self, mode: DisplayMode) -> DisplayStatus:
        """Check on a message of a group of its own whether a display mode works; return it, or the store's mode."""
        ...


class MessageBackend(Protocol):
    """One-to-one messages between the account of a channel and users."""

    def send_batch(self) -> int:
        """Return how many users one call writes to. A longer list is split."""
        ...

    async def sender(self, channel: ChannelId, *, fresh: bool = False) -> PeerId:
        """Return the account that sends the messages of a channel. Cached, unless `fresh`. Raises NotFoundError."""
        ...

    async def set_contact(self, channel: ChannelId, account: UserId | None) -> None:
        """Let an account send the messages of a channel; None: its owner.

        Raises NotFoundError for the channel and for the account, InvalidError without room for it in the channel.
        """
        ...

    async def check(self, channel: ChannelId, content: Content | Sequence[Content]) -> None:
        """Raise what a message of this channel with this content would raise for them. Sends nothing."""
        ...

    async def send(self, channel: ChannelId, user: UserId, draft: Draft) -> Message:
        """Send one message once, whatever is lost on the way. Raises OutcomeUnknownError if it may have been sent."""
        ...

    async def send_many(
        self, channel: ChannelId, users: Sequence[UserId], content: Content | Sequence[Content]
    ) -> SentBatch:
        """Send one message to different users, and return it as each of them got it. Every failure is in the result.

        An `error` of OutcomeUnknownError says that the message may have been sent to users without an outcome; it is
        not sent again, because the service would not recognise it.
        """
        ...

    def thread(self, channel: ChannelId, user: UserId) -> AsyncGenerator[Message, None]:
        """Yield the messages that the service keeps, newest first. Raises NotFoundError for the channel."""
        ...

    async def edit(self, ref: MessageRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a message that the channel sent. Raises InvalidError and NotFoundError."""
        ...

    async def recall(self, ref: MessageRef) -> None:
        """Recall a message that the channel sent; again changes nothing. Raises NotFoundError."""
        ...

    async def mark_read(self, channel: ChannelId, user: UserId) -> None:
        """Mark the messages of a user as read by the account of the channel."""
        ...

    async def unread(self, channel: ChannelId) -> int | None:
        """Return the unread messages of the account of a channel; None if the service does not count them."""
        ...


class Backend(Protocol):
    """One mode of storing channels on the service."""

    @property
    def mode(self) -> Mode:
        """Which mode this is."""
        ...

    @property
    def can(self) -> Capabilities:
        """What the service can do in this mode."""
        ...

    @property
    def ids(self) -> IdScheme:
        """How ids of channels are made and checked."""
        ...

    @property
    def channels(self) -> ChannelBackend:
        """Channels: create, read, update, delete."""
        ...

    @property
    def members(self) -> MemberBackend:
        """Subscribers of channels."""
        ...

    @property
    def accounts(self) -> AccountBackend:
        """Accounts of the app."""
        ...

    @property
    def posts(self) -> PostBackend:
        """Posts of channels."""
        ...

    @property
    def reactions(self) -> ReactionCarrier:
        """Reactions on messages."""
        ...

    @property
    def unread(self) -> UnreadBackend:
        """Unread counts and read positions of users."""
        ...

    @property
    def groups(self) -> GroupingBackend:
        """Conversation groups and marks of users."""
        ...

    @property
    def messages(self) -> MessageBackend:
        """One-to-one messages with users."""
        ...

    def checks(self, admin: UserId) -> AsyncIterator[HealthCheckResult]:
        """Check what the mode needs of the app: edition, fields, settings of the console."""
        ...

    def remediation(self, error: ChannelAdapterError) -> str:
        """Return what to do about an error, in one sentence."""
        ...

    async def may_post(self, channel: ChannelId, user: UserId) -> bool:
        """Return whether a user may be the author of posts in a channel. Cached."""
        ...

    def observe(self, event: ChannelEvent) -> None:
        """Correct what is cached after an event of a channel."""
        ...

    def forget(self, channel: ChannelId, users: Sequence[UserId] | None = None) -> None:
        """Drop what is cached of a channel, or of the roles of some of its users."""
        ...


class AttributeRows(Protocol):
    """Attributes of channels in the database, for a mode in which the service keeps none."""

    async def read(self, channels: Sequence[ChannelId]) -> dict[ChannelId, Mapping[str, str]]:
        """Return the attributes of the channels that have some. Raises UnavailableError."""
        ...

    async def write(self, channel: ChannelId, changes: Mapping[str, str | None]) -> None:
        """Set attributes of a channel; None removes one. Raises UnavailableError; nothing was changed then."""
        ...


def suspended(channel: ChannelId) -> PermissionDeniedError:
    """Return the error for a post in a channel that is suspended."""
    return PermissionDeniedError(
        f"channel {channel} is suspended: posting and subscribing are closed until it is resumed", field="channel"
    )


def unnamed_post(ref: PostRef) -> OutcomeUnknownError:
    """Return the error for a post that the answer to its recall does not name, and that is not recalled."""
    return OutcomeUnknownError(f"the service's answer does not name post {ref.seq} of {ref.channel}; recall it again")


def deleted_in_part(channel: ChannelId, error: ChannelAdapterError) -> ChannelAdapterError:
    """Return the error for a channel that is deleted, while the database failed with OutcomeUnknown or Unavailable."""
    return type(error)(
        f"channel {channel} is deleted, and the database still has data of it: delete it again; {error.message}"
    )


SUSPENDED_REASON: Final = "the channel is suspended"
"""Reason of the outcome for a user who is not subscribed to a suspended channel."""


def require_same(new: NewChannel, found: Channel) -> Channel:
    """Return the channel that has the id already, if it has the wanted values. Raises ConflictError.

    A maximum of subscribers that cannot be read is not compared.
    """
    other = new.profile.difference(found).names()
    if found.max_subscribers is None and "max_subscribers" in other:
        other.remove("max_subscribers")
    if found.owner != new.owner:
        other.insert(0, "owner")
    if other:
        raise ConflictError(
            f"channel {new.id} exists with another {', '.join(other)}; choose another slug, or update it",
            field=other[0],
        )
    return found


def attempt_status(error: ChannelAdapterError) -> AttemptStatus:
    """Return what a failed call says about the service. A call that this process held back has made no attempt."""
    if isinstance(error, ThrottledError):
        held_back = error.origin is not None and error.origin.attempts == 0
        return AttemptStatus.NOT_SENT if held_back else AttemptStatus.THROTTLED
    if isinstance(error, OutcomeUnknownError | UnavailableError):
        return AttemptStatus.UNANSWERED
    return AttemptStatus.ANSWERED
