"""Interface of SyncChannelAdapter. Written by `python -m tests.sync.interface`; do not edit."""

import os
import ssl
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self, overload

from channel_adapter.concurrency.blocking import SyncIterator, SyncPages
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.settings import Settings
from channel_adapter.domain.channel import Channel, DirectoryEntry, ExportedChannel
from channel_adapter.domain.events import ChannelEvent, Event
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.insights import ChannelInsights, ChannelViews, StoredViews
from channel_adapter.domain.invitation import Invitation
from channel_adapter.domain.message import Contact, Message, MessageRef, Thread
from channel_adapter.domain.mode import Capabilities
from channel_adapter.domain.post import Content, Image, Post, PostPreview, PostRef
from channel_adapter.domain.reaction import (
    Adopted,
    DisplayStatus,
    ReactionChange,
    ReactionPolicy,
    Reactions,
    Reactor,
    Reconciled,
)
from channel_adapter.domain.schedule import SavedDraft, ScheduledPost, ScheduleStatus
from channel_adapter.domain.subscription import (
    BlockedUser,
    ChannelOutcome,
    GroupAssignment,
    Notifications,
    Outcome,
    Outcomes,
    Subscriber,
    Subscription,
)
from channel_adapter.domain.unread import ConversationGroup, Marks, Synced, Unread
from channel_adapter.mapping.user_list import ListedUser, UnusableLine
from channel_adapter.migration.budget import BudgetLimits, ProgressCallback
from channel_adapter.migration.context import Failpoint, MigrationContext
from channel_adapter.migration.cutover.cutover import Cutover, CutoverOptions, CutoverState
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.report import MigrationReport
from channel_adapter.migration.rollback import Rollback
from channel_adapter.migration.run.apply import Status, StatusCallback, WorkerCallback
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.source import Source, SourceSpec
from channel_adapter.migration.verify.findings import Baseline, VerificationResult
from channel_adapter.migration.verify.verify import FindingCallback
from channel_adapter.observability.telemetry import Telemetry
from channel_adapter.services.bulk import Users
from channel_adapter.tencent.client import Attempt
from channel_adapter.webhooks.events import EventT, HandlerT
from channel_adapter.webhooks.guard import GuardAnswer, Hook, RequestT
from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.parse import WebhookEvent

INTERNAL: frozenset[str]

class SyncChannelAdapter:
    """Channels of one app, with blocking methods; any number of threads may share one.

    ```python
    with SyncChannelAdapter.open("adapter.toml") as adapter:
        channel = adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    ```
    """

    settings: Settings

    @property
    def channels(self) -> _SyncChannels:
        """Channels: create, read, update, delete, and the channels of a user."""

    @property
    def invites(self) -> _SyncInvites:
        """Invitations: create, accept, revoke and list codes with which users subscribe."""

    @property
    def directory(self) -> _SyncDirectory:
        """The directory: search channels, and refresh what is known of them."""

    @property
    def insights(self) -> _SyncInsights:
        """Insights: views of posts, and the growth of channels."""

    @property
    def subscriptions(self) -> _SyncSubscriptions:
        """Subscriptions: add and remove users of a channel, list them, and the notifications of each."""

    @property
    def posts(self) -> _SyncPosts:
        """Posts: publish, edit, recall, read back; scheduled posts and drafts."""

    @property
    def media(self) -> _SyncMedia:
        """Pictures of this machine, stored where readers can load them."""

    @property
    def messages(self) -> _SyncMessages:
        """One-to-one messages between channels and users."""

    @property
    def accounts(self) -> _SyncAccounts:
        """Accounts of the app: check and import."""

    @property
    def unread(self) -> _SyncUnreadService:
        """Unread posts of users, and the conversation group that holds a user's channels."""

    @property
    def reactions(self) -> _SyncReactionService:
        """Reactions of users to posts."""

    @property
    def can(self) -> Capabilities:
        """What the service can do in the mode of the settings.

        Where one is False, the methods that need it raise UnsupportedError before any call, or have a substitute.
        """

    @property
    def events(self) -> _SyncEvents:
        """Handlers and streams of events that webhooks report: `@adapter.events.on(Subscribed)`."""

    @property
    def guard(self) -> _SyncGuard:
        """Answers to before-webhooks: policies of the settings and hooks of the app."""

    @property
    def migration(self) -> _SyncMigration:
        """Migrations of official accounts, or of files of any other system, to channels.

        Raises UnsupportedError in official-account mode, because channels of Community mode are the target, and
        ConfigurationError without the extra `durable`.
        """

    @classmethod
    def open(
        cls,
        config: str | Path | Settings | None = None,
        *,
        observer: Callable[[Attempt], None] | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> Self:
        """Return an adapter for a TOML file, for Settings, or for the environment alone.

        It connects at its first use, in a thread of its own; use it with `with`, or call `close`. In a server that
        forks, open it before and use it after. `observer` is called in that thread; `telemetry` records spans and
        metrics. Raises ConfigurationError.
        """

    @contextmanager
    def receive_webhooks(
        self, *, host: str = "127.0.0.1", port: int = 0, path: str = "/", tls: ssl.SSLContext | None = None
    ) -> Iterator[str]:
        """Receive webhooks on a socket for the length of a block, and yield its URL. Raises OSError."""

    def close(self) -> None:
        """Publish the counts of reactions that are not published yet, close the connections, and end the thread.

        Calls of other threads that are running end with RuntimeError.
        """

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def call(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call any command with a JSON body, signed, limited and repeated as the others, and return the JSON reply."""

    def doctor(self, *, repair: bool = False) -> list[HealthCheckResult]:
        """Check service, clock, plan and channels; with `repair`, finish interrupted creations."""

    def export_channel(
        self, channel: str, folder: str | Path, *, on_progress: Callable[[int, int], object] | None = None
    ) -> ExportedChannel:
        """Write channel, subscribers, posts and reactions to a folder, as of now; or continue an interrupted export.

        `migrate plan --files` reads `channels.jsonl`, `subscribers.jsonl` and `posts.jsonl`; `reactions.csv` has one
        line for each user and emoji. With a database, `insights.csv` and `views.csv` have the figures of 30 days.
        Recalled and expired posts have no content and are left out. A page at a time is in memory. `on_progress` is
        called with the subscribers and posts written so far. Raises NotFoundError, and InvalidError for a folder that
        cannot be written, or with anything but an unfinished export of this channel.
        """

    def run_jobs(self, kinds: Collection[str] = ...) -> AbstractContextManager[None]:
        """Run jobs of the database in this process for the length of a block; other processes may do so, too.

        `schedule` publishes scheduled posts, `jobs` continues conversation groups of cutovers. A process that is killed
        loses nothing: another one, or the next, goes on. Migrations are left to `migration.work`. Raises
        ConfigurationError without `database_url`, for an unknown kind, and without the extra `durable`.
        """

class _SyncChannels:
    """The channels of an app. Every method accepts a channel by slug or by id."""

    def adopt(self, channels: Iterable[str]) -> dict[ChannelId, Channel]:
        """Add existing channels to the registry that `all` lists, and return them, 50 a call.

        Ids that are not channels are left out. Where `adapter.can.list_all` is True it only reads: `all` needs no
        registry. Else it raises ConfigurationError without `database_url`.
        """

    def all(self) -> SyncIterator[Channel]:
        """Yield every channel of the app once. For administration: the list behind it allows one call a second.

        Where `adapter.can.list_all` is False, these are the channels of the adapter's own registry in `database_url`,
        filled by `create`, by reading channels, by webhooks and by `adopt`; without it ConfigurationError is raised.
        """

    def block(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Remove users from a channel and keep them out of it, in every process; return one outcome for each.

        `added`: blocked now; `already`: was blocked; `refused`: the owner; `failed`: blocked, and still subscribed:
        blocking again removes the user. The guard refuses blocked users too, in addition to those of `guard.blocked` in
        the settings. Raises NotFoundError, and ConfigurationError without `database_url`.
        """

    def blocked(self, channel: str) -> SyncIterator[BlockedUser]:
        """Yield the users whom `block` keeps out of a channel, by id, and since when.

        Raises NotFoundError, and ConfigurationError without `database_url`.
        """

    def create(
        self,
        *,
        name: str,
        owner: str,
        slug: str | None = None,
        introduction: str = "",
        notification: str = "",
        avatar: str = "",
        organization: str = "",
        custom_data: str = "",
        max_subscribers: int | None = None,
        idempotency_key: str | None = None,
    ) -> Channel:
        """Create a channel that every user may follow and in which only owner and admins post.

        Three calls: create, close posting, read back. Repeating with the same slug (or, without a slug, the same
        `idempotency_key`) finishes what was interrupted and changes nothing that is complete.

        Raises InvalidError for values over their bytes, NotFoundError for an owner that is not an account of the app,
        ConflictError when the id belongs to a group that is not a channel, or to a channel with other values,
        ConfigurationError for custom group fields that are not declared in the console.
        """

    def delete(self, channel: str) -> bool:
        """Delete a channel permanently; return False if it did not exist. Raises NotFoundError for other groups.

        UnavailableError that says so: the channel is deleted, and a repetition deletes what the database still has.
        """

    def demote(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Make admins subscribers without a role again, and return one outcome for each, as `promote` does.

        The owner is `refused`: use `transfer`.
        """

    def exists(self, channel: str) -> bool:
        """Return whether there is a channel with this id. A group of another kind does not count."""

    def finish(self, channel: str) -> bool:
        """Finish an interrupted creation; return False if there was nothing to do."""

    def forget(self, channel: str | None = None) -> None:
        """Drop what is cached of one channel or of all, when another process has changed it."""

    def get(self, channel: str) -> Channel:
        """Return a channel as it is now. Raises NotFoundError, also for a group that is not a channel."""

    def get_many(self, channels: Iterable[str]) -> dict[ChannelId, Channel]:
        """Return the channels among any number of ids, 50 a call; ids that are not channels are left out."""

    def promote(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Make subscribers admins, who may post and change the profile, and return one outcome for each.

        `changed`: an admin now; `already`: was an admin; `not_subscribed`: must subscribe first; `refused`: the owner,
        or one whom the service declines. Raises NotFoundError for the channel.
        """

    def resume(self, channel: str) -> bool:
        """Open posting and subscribing again; return False if the channel was not suspended."""

    def staff(self, channel: str) -> tuple[Subscriber, ...]:
        """Return the owner, if there is one, and the admins. Raises NotFoundError."""

    def subscribed(self, user: str) -> SyncIterator[Subscription]:
        """Yield the channels of a user, with role and notifications, in the service's order; other groups are left out.

        Costs one call for 200 joined groups, and one for 50 groups whose tag is not cached.
        """

    def suspend(self, channel: str) -> bool:
        """Close posting and subscribing, for the owner and admins too; return False if it was so already.

        Posts and subscriptions that exist stay, and may be read, edited and recalled. `publish` and `subscribe` refuse;
        the guard refuses client apps, as for `guard.closed` of the settings; users cannot join by themselves. Receivers
        on the same database know it within a second, other processes within `channels.cache_seconds`.
        """

    def transfer(self, channel: str, new_owner: str) -> Channel:
        """Make a subscriber the owner, and return the channel. The owner before stays subscribed, without a role.

        Posts are published as the new owner from now on. Signals OwnerChanged, by which the caches of this process, and
        with a database those of the receivers, are corrected; repeating changes nothing. Raises NotFoundError for a
        user who is not an account of the app or not subscribed.
        """

    def unblock(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Allow users to subscribe again; they are not subscribed by this. Return one outcome for each.

        `removed`: not blocked any more; `already`: was not blocked. Raises NotFoundError, and ConfigurationError
        without `database_url`.
        """

    def unverify(self, channel: str) -> bool:
        """Remove the mark of `verify`; return False if there was none."""

    def update(
        self,
        channel: str,
        *,
        name: str | None = None,
        introduction: str | None = None,
        notification: str | None = None,
        avatar: str | None = None,
        organization: str | None = None,
        custom_data: str | None = None,
        max_subscribers: int | None = None,
        contact: str | None = None,
        categories: Iterable[str] | None = None,
    ) -> Channel:
        """Change the fields that differ, and return the channel; None leaves a field as it is, "" empties it.

        `categories` replaces those of the directory: up to 20 of 60 bytes each, kept in `database_url`.

        `contact` is the account that sends and receives one-to-one messages for the channel, "" its owner. An account
        may be the contact of several channels, with a warning in the log: its messages do not name the channel then.
        Raises InvalidError and NotFoundError, before anything is changed.
        """

    def verify(self, channel: str) -> bool:
        """Mark a channel as verified by the operator of the app; return False if it was so already."""

class _SyncInvites:
    """Invitations to channels. Every method raises ConfigurationError without `database_url`.

    A code is 128 random bits. The database keeps its SHA-256 hash, with which no invitation can be accepted; `list`
    returns the id of the invitation, with which it can be revoked and not accepted.
    """

    def accept(self, code: str, *, user: str) -> Outcome:
        """Subscribe a user with the code of an invitation: `added`, or `already`, which uses up nothing.

        A use is reserved in the database before the user is subscribed, so no more users than `max_uses` subscribe with
        it, in any number of processes. A subscription that another program makes at the same moment counts too. One
        that fails gives the use back; one that was interrupted does so after some minutes. A user who has used the
        invitation may use it again. Raises NotFoundError for a wrong code, PermissionDeniedError for an invitation that
        has expired or was revoked, LimitReachedError for one that is used up and for a channel without room,
        RefusedError for a user who is blocked or a channel that is suspended, NotFoundError for an unknown account, and
        UnavailableError.
        """

    def create(
        self, channel: str, *, max_uses: int | None = None, expires: datetime | timedelta | None = None
    ) -> Invitation:
        """Create an invitation; its `code`, and its `link` by `invites.link_template`, are known from this alone.

        `max_uses` users may subscribe with it, None: any number; until `expires`, an aware datetime or a time from now,
        None: for ever. Raises InvalidError, and NotFoundError for the channel.
        """

    def drop(self, channel: ChannelId) -> None:
        """Delete the invitations of a deleted channel."""

    def list(self, channel: str | None = None) -> SyncIterator[Invitation]:
        """Yield the invitations of a channel, or of all channels, by id, without codes and links."""

    def qr(self, invitation: Invitation, *, scale: int = 8) -> str:
        """Return an SVG image with the QR code of an invitation that was just created: its link, or else its code.

        `scale` is the width of a module in pixels. Raises InvalidError for another scale than 1 to 1,000 and for an
        invitation without its code, and ConfigurationError without the extra `invites`.
        """

    def revoke(self, invitation: str, *, channel: str | None = None) -> bool:
        """Revoke an invitation by its id or its code; return False if it was revoked before.

        Users who have subscribed with it stay subscribed. Raises NotFoundError, also for one to another channel than
        `channel`, and InvalidError for one to a channel of the other mode.
        """

class _SyncDirectory:
    """Searches the channels that the database knows.

    They come from webhooks, from what this adapter creates and changes, and from `refresh`. Every method raises
    ConfigurationError without `database_url`.
    """

    def get(self, channel: str) -> DirectoryEntry | None:
        """Return a channel as the database has it, without a call to the service; None for one it does not know."""

    def hide(self, channel: ChannelId) -> None:
        """Do not find a deleted channel any more. A failure is logged."""

    def record(self, channel: Channel) -> None:
        """Store a channel that was just read or changed. A failure is logged: the directory follows, and may lag."""

    def refresh(self) -> int:
        """Read every channel of the app and store it; return how many there are. Channels that are gone are removed.

        For administration: the list behind `channels.all` allows one call a second. In a mode in which the service does
        not list channels, those that the database knows are read. The contacts of channels that were made or changed
        without this database are known from then on. Interrupted, it has stored what it has read.
        """

    def require_categories(self, categories: Iterable[str]) -> list[str]:
        """Return valid categories. Raises InvalidError, and ConfigurationError without a database."""

    def search(
        self, text: str = "", *, category: str | None = None, verified: bool | None = None, limit: int = 50
    ) -> tuple[DirectoryEntry, ...]:
        """Return up to `limit` channels in whose name, slug or introduction every word of `text` occurs.

        Parts of words count, from one character on; case and width of characters do not, and every character stands
        for itself. "" finds all. Channels whose names begin with the first word come first, then by name. `category`
        and `verified` keep those with this category and this mark. One query, no call to the service. Raises
        InvalidError for a text over 200 bytes and a limit that is not 1 to 1,000.
        """

    def set_categories(self, channel: ChannelId, categories: Sequence[str]) -> None:
        """Replace the categories of a channel."""

class _SyncInsights:
    """Figures of channels. `views` needs no database; the other methods raise ConfigurationError without one."""

    def channel(self, channel: str, since: datetime | date | None = None) -> ChannelInsights:
        """Return the figures of a channel since a time, of 30 days without one, as DEFINITIONS describes each.

        Joins and leaves come from webhooks, with the setting `insights.record`; views, and joins from before that, from
        the last scan by `views`. Days begin when the channel was created, or with what is known of it if that is
        earlier. Costs a call for 20 posts and one for the channel. Raises InvalidError for a time that has no zone or
        is in the future, and NotFoundError.
        """

    def drop(self, channel: ChannelId) -> None:
        """Delete what is stored of a channel that is gone."""

    def growth(self, channels: Iterable[str], days: int = 7) -> dict[ChannelId, int]:
        """Return joins minus leaves in the last days of UTC, today included, as webhooks reported them.

        Channels without any are left out. One query for all channels, no call to the service. Raises InvalidError for
        `days` that are not 1 to 36,500.
        """

    def record(self, event: ChannelEvent) -> None:
        """Store a join or leave that a webhook reported; other events are ignored. Repeating changes nothing."""

    def stored_views(self, refs: Iterable[PostRef]) -> dict[PostRef, StoredViews]:
        """Return the views of those posts that a scan by `views` has counted; no call to the service."""

    def views(self, channel: str) -> ChannelViews:
        """Return the views of all posts in a channel's history, from one scan of its subscribers.

        The service reports no views: a subscriber counts whose read position is at or past the post and who subscribed
        before it. The scan takes a call for 100 subscribers, and memory for the posts alone. With a database its result
        is stored for `channel`. Raises UnsupportedError without `can.views`, and NotFoundError.
        """

class _SyncSubscriptions:
    """Subscribers of channels. Every method accepts a channel by slug or by id, and refuses other groups."""

    def count(self, channel: str) -> int:
        """Return how many users follow the channel, without its owner. Raises NotFoundError."""

    def follow(
        self, user: str, channels: Iterable[str], *, import_missing: bool = False, assign: bool | None = None
    ) -> tuple[ChannelOutcome, ...]:
        """Subscribe one user to many channels: one outcome each, in their order, a channel named twice once.

        The conversation group is changed in one call for 100 channels. An id that is not a channel is
        `channel_not_found`; an account that the app does not have is `not_found` for every channel. A channel in which
        the service refuses the call is `failed`; the error is raised if it is the same in every channel.
        """

    def is_subscribed(self, channel: str, users: Iterable[str]) -> dict[UserId, bool]:
        """Return which users receive the channel's posts, its owner included, 500 a call. Raises NotFoundError."""

    def mute(self, channel: str, *, user: str) -> bool:
        """Turn off push for new posts, and leave them out of the user's badge; return False if it was so already."""

    def notifications(self, channel: str, *, user: str) -> Notifications:
        """Return how new posts reach a user. Raises NotFoundError for a user who is not in the channel."""

    def set_notifications(
        self, channel: str, notifications: Notifications | Literal["all", "muted", "off", "mentions"], *, user: str
    ) -> bool:
        """Set how new posts reach a subscriber: `all`, `muted`, `off`, `mentions`; return False if it was set already.

        `mentions` is documented for client apps only. Raises InvalidError for another value, and NotFoundError for a
        user who is not in the channel.
        """

    def subscribe(
        self, channel: str, users: Users, *, import_missing: bool = False, assign: bool | None = None
    ) -> Outcomes:
        """Subscribe users to a channel, and return one outcome for each.

        A collection is checked whole before the first call (InvalidError, nothing changed); in a stream an illegal user
        id is an outcome of its own. Accounts that the app does not have are `not_found`, or imported first with
        `import_missing`. A batch without an answer is `failed`; repeating is harmless. Raises NotFoundError for an
        unknown channel, and UnavailableError when the service does not answer; its `outcomes` holds what is known.

        Users who are subscribed then have the channel in their conversation group, as the settings or `assign` say: the
        result is the outcome's `assignment`, and repeating finishes it. It costs up to two calls a user, so none is
        assigned in a call for more than 1,000 users unless `assign` is True. Of an async stream, which cannot be read
        ahead without waiting, the first 1,000 are.
        """

    def subscribe_stream(
        self, channel: str, users: Users, *, import_missing: bool = False, assign: bool | None = None
    ) -> SyncIterator[Outcome]:
        """Subscribe users as `subscribe` does, and yield the outcomes in bounded memory, for any number of users.

        Outcomes come as the service answers, not in the order of the users. Closing the generator stops the call; what
        was sent before stays done. A call that ends early first yields everything that is known, then raises.
        """

    def subscribers(self, channel: str, *, cursor: str = "") -> SyncPages[Subscriber, str]:
        """Return an iterator over the users who follow the channel, without its owner, 100 a call.

        The iterator's `cursor` is where to resume another time, None at the end. Resuming reads the current page again:
        no user is left out, up to a page of users comes twice. Raises InvalidError for a cursor of the other mode.
        """

    def unfollow(self, user: str, channels: Iterable[str], *, assign: bool | None = None) -> tuple[ChannelOutcome, ...]:
        """Remove one user from many channels: one outcome each, and one change of the conversation group for 100.

        An id that is not a channel is `channel_not_found`; failures as for `follow`.
        """

    def unmute(self, channel: str, *, user: str) -> bool:
        """Turn on push for new posts, and count them in the user's badge; return False if it was so already."""

    def unsubscribe(self, channel: str, users: Users, *, assign: bool | None = None) -> Outcomes:
        """Remove users from a channel, and return one outcome for each.

        A user who was not in it is `already`; the owner, who cannot leave, is `refused`. The channel is taken out of
        the users' conversation groups too, which leaving does not do; `assign` as for `subscribe`.
        """

    def unsubscribe_stream(self, channel: str, users: Users, *, assign: bool | None = None) -> SyncIterator[Outcome]:
        """Remove users as `unsubscribe` does, and yield the outcomes in bounded memory, for any number of users."""

class _SyncPosts:
    """Posts of any channel; a channel is named by slug or by id, a post by its ref."""

    def acknowledge(self, post_ids: Iterable[str]) -> None:
        """End the reports about posts that failed, are late or were missed. Raises NotFoundError for unknown ids."""

    def check_schedule(self) -> list[HealthCheckResult]:
        """Return what the doctor reports of scheduled posts; nothing where none was ever scheduled."""

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """Return the number by which the service knows a post published with this key: `Post.dedupe` in history."""

    def discard_draft(self, draft_id: str) -> bool:
        """Delete a draft; return False if there was none."""

    def draft(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        silent: bool = False,
        replace: str | None = None,
        idempotency_key: str | None = None,
    ) -> SavedDraft:
        """Store a post without a time; `replace` is the id of a draft whose place it takes.

        Until the draft is deleted, a second call with the same `idempotency_key`, of up to 512 bytes, returns it as it
        is then; it is not used with `replace`. Raises NotFoundError for a draft that does not exist, ConflictError for
        a key whose draft was scheduled or published, and what `publish` raises for content, author and channel.
        """

    def drafts(self, channel: str | None = None) -> SyncIterator[SavedDraft]:
        """Yield drafts, the oldest first."""

    def edit(self, ref: PostRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a post permanently for every user; the last writer wins.

        Raises NotFoundError for a post that is gone or was recalled.
        """

    def get(self, ref: PostRef) -> Post:
        """Return one post as it is now. Raises NotFoundError if the channel or the post does not exist."""

    def get_draft(self, draft_id: str) -> SavedDraft:
        """Return one draft. Raises NotFoundError."""

    def get_scheduled(self, post_id: str) -> ScheduledPost:
        """Return one scheduled post as it is now. Raises NotFoundError."""

    def history(
        self, channel: str, *, oldest_first: bool = False, before: int | PostRef | None = None
    ) -> SyncIterator[Post]:
        """Yield the posts that the service still keeps, newest first, 20 a call, with recalled and expired ones.

        `before` is the number or the ref of a post: it begins below that one. How far back it reaches is the plan's
        roaming time: 7 days or more.
        """

    def pin(self, ref: PostRef) -> bool:
        """Pin a post of a channel, for `pinned`; return False if it is pinned already. Needs `database_url`.

        Pins are kept in the store: the service and its client SDKs know nothing of them. Raises NotFoundError for a
        post that is gone or was recalled, and LimitReachedError for the eleventh pin of a channel.
        """

    def pinned(self, channel: str) -> list[Post]:
        """Return the pinned posts of a channel as they are now, the last pinned first, one call a post.

        Posts that are gone, expired or recalled are left out, and are not pinned any more. Needs `database_url`.
        """

    def preview(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> PostPreview:
        """Return what `publish` would send for the same arguments, and send nothing: it only reads channel and roles.

        Raises what `publish` raises for content, author and channel.
        """

    def publish(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> Post:
        """Publish one post, as the owner or as an admin named by `author`. `silent` posts do not count as unread.

        Every attempt carries the same dedupe number, so that a lost reply never posts twice; with an `idempotency_key`
        the same holds for calls up to 300 s apart, and the first content is kept. Reactions are enabled on every post,
        because that cannot be done later. Raises InvalidError (empty, over 12,000 bytes, two custom elements, an image
        without URL), PermissionDeniedError for an author who is neither owner nor admin, NotFoundError, ThrottledError
        if the service still drops the post at the deadline, and OutcomeUnknownError if it may have been published.
        """

    def publish_draft(self, draft_id: str, *, at: datetime | None = None) -> ScheduledPost:
        """Publish a draft immediately, or schedule it; the post has the id of the draft, which is gone then.

        Repeating the call publishes nothing twice. Raises NotFoundError, ConflictError for a draft that is replaced
        meanwhile, which stays a draft, and what `schedule` or `publish_now` raises.
        """

    def publish_due(self) -> AbstractContextManager[None]:
        """Publish scheduled posts in this process for the length of a block, from when there was any in the database.

        Raises ConfigurationError without `database_url`, and without the extra `durable`.
        """

    def publish_now(self, post_id: str) -> ScheduledPost:
        """Publish a scheduled post immediately, once; one that was published before is returned as it is.

        If the service is not available, the post stays scheduled and workers try again: `error` and `retry_at` say so.
        Raises NotFoundError, ConflictError for a post that is being sent or was cancelled, and what `publish` raises
        for a post that is refused; it has failed then.
        """

    def recall(self, ref: PostRef, reason: str = "") -> None:
        """Recall a post permanently for every user; recalling it again changes nothing.

        `reason` has 100 bytes at most. Raises NotFoundError for a post that does not exist.
        """

    def reschedule(self, post_id: str, at: datetime) -> ScheduledPost:
        """Change the time of a post that waits, failed or was missed; it is published then.

        Raises InvalidError for the time, NotFoundError, and ConflictError for a post that is being sent, was published
        or cancelled. A post that was attempted is searched for in history first: if it is there, it is published, and
        ConflictError is raised; if history cannot be read, nothing is changed, and the error of reading is raised.
        """

    def schedule(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        at: datetime,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> ScheduledPost:
        """Store a post that a worker publishes at a time: `channel-adapter worker`, `webhooks serve`, `run_jobs`.

        `at` has a time zone and lies within the next 366 days. A second call with the same `idempotency_key`, of up to
        512 bytes, returns the first post. Raises InvalidError for such a time, ConflictError for a key that was used
        for another post or time, and what `publish` raises for content, author and channel.
        """

    @property
    def schedule_lag(self) -> float:
        """How many seconds after its time the last scheduled post of this process was published; 0 without one."""

    def schedule_status(self) -> ScheduleStatus:
        """Return how many scheduled posts are in each state, and how late they are."""

    def schedule_values(self) -> dict[str, float]:
        """Return the values of monitoring by name: lag, and from the first scheduled post on how many wait or failed.

        Creates no tables. Raises UnavailableError.
        """

    def scheduled(
        self, channel: str | None = None, *, problems: bool = False, ended: bool = False
    ) -> SyncIterator[ScheduledPost]:
        """Yield scheduled posts by their times: those that wait, and those that failed, are late or were missed.

        With `problems` only the latter, until they are acknowledged; with `ended` also published and cancelled ones of
        the last 30 days.
        """

    def unpin(self, ref: PostRef) -> bool:
        """Unpin a post; return False if it was not pinned. Needs `database_url`."""

    def unschedule(self, post_id: str) -> ScheduledPost:
        """Cancel a scheduled post; cancelling it again changes nothing.

        Raises NotFoundError, and ConflictError for a post that is being sent or was published; a post that was
        attempted is searched for in history first, as by `reschedule`.
        """

class _SyncMedia:
    """Pictures for posts and avatars. Metadata such as the place in EXIF is removed, and a thumbnail is made."""

    def add(self, source: str | os.PathLike[str] | bytes | IO[bytes]) -> Image:
        """Store a picture, given as a path, bytes or a binary file, and return it with its address and sizes.

        The same picture has the same address. PNG, JPEG, WebP and GIF are accepted, up to 20 MB and 50 million pixels.
        Raises InvalidError with the field `image` for anything else, UnavailableError if it cannot be stored, and
        ConfigurationError without `console.media_public_url` and one of `console.media_dir` and `console.media_bucket`.
        """

    def inspect(self, source: str | os.PathLike[str] | bytes | IO[bytes]) -> Image:
        """Return what `add` would return, and store nothing. Raises InvalidError and ConfigurationError."""

class _SyncMessages:
    """One-to-one messages of channels. Every method accepts a channel by slug or by id.

    A channel's messages are sent and received by one account: its contact, or its owner if it has none.
    """

    def contact(self, channel: str) -> Contact:
        """Return the account that sends a channel's messages, and the other channels known to use it."""

    def edit(self, ref: MessageRef, content: Content | Sequence[Content]) -> None:
        """Replace the content of a message that the channel sent; the last writer wins.

        Raises InvalidError, and NotFoundError for a message that the channel has not sent to this user.
        """

    def mark_read(self, channel: str, *, user: str) -> None:
        """Mark the messages of a user as read by the channel's account. Raises NotFoundError."""

    def recall(self, ref: MessageRef) -> None:
        """Recall a message that the channel sent, however old it is; recalling it again changes nothing.

        Raises NotFoundError for a message that the channel has not sent to this user.
        """

    def send(
        self, channel: str, *, user: str, content: Content | Sequence[Content], idempotency_key: str | None = None
    ) -> Message:
        """Send one message to a user, and return it. The service may demand that the user is a subscriber.

        Every attempt carries the same dedupe number, so that a lost reply never sends twice; with an `idempotency_key`
        the same holds for calls with equal content up to 120 s apart. Raises InvalidError (empty, over 12,000 bytes,
        the channel's own account), NotFoundError for the channel and the user, PermissionDeniedError if the user has
        blocked the account or would have to subscribe first, RefusedError, and OutcomeUnknownError if the message may
        have been sent.
        """

    def send_many(self, channel: str, users: Users, content: Content | Sequence[Content]) -> Outcomes:
        """Send one message to many users, and return one outcome for each.

        500 users a call, 12,000 messages a minute. A collection is checked whole before the first call; a user named
        again in it is `already`. A batch whose answer was lost is `unknown` for its users and is not repeated: the
        service does not document that it would recognise it. Webhooks do not report these messages; with a database
        each one is in `threads` as soon as its batch is answered. Raises InvalidError, NotFoundError for the channel,
        and UnavailableError when the service does not answer; its `outcomes` holds what is known.
        """

    def send_many_stream(
        self, channel: str, users: Users, content: Content | Sequence[Content]
    ) -> SyncIterator[Outcome]:
        """Send as `send_many` does, and yield the outcomes as the service answers, not in the order of the users.

        Keeps nothing but the ids that it has read, about 200 bytes each, so that a user named twice gets one message.
        Closing the generator stops the call; what was sent before stays sent.
        """

    def set_contact(self, channel: str, account: str) -> None:
        """Let another account send a channel's messages; "" is the owner again. `channels.update` calls this.

        Logs a warning if the account sends those of another channel: its received messages do not tell for which one.
        """

    def thread(self, channel: str, *, user: str) -> SyncIterator[Message]:
        """Yield the messages between a channel and a user that the service still keeps, newest first, up to 100 a call.

        How far back it reaches is the plan's roaming time: 7 days or more. `read` and `edited_at` are what webhooks
        reported, if there is a database; else `read` shows single receipts alone. Raises NotFoundError for the channel.
        """

    def threads(self, channel: str, *, cursor: str = "") -> SyncPages[Thread, str]:
        """Return an iterator over the users who have exchanged messages with a channel, the latest first.

        Read from the adapter's table, which webhooks and `send_many` fill: it holds what was reported since the first
        receiver ran. An account that is the contact of several channels has its threads in each. The iterator's
        `cursor` is where to resume another time. Raises InvalidError for any other cursor, also for one of the other
        mode, and ConfigurationError without `database_url`.
        """

    def unread(self, channel: str) -> int:
        """Return how many messages of all users the channel's account has not read, as the service counts them.

        Where the service does not count them, from the adapter's table: raises ConfigurationError without
        `database_url` there.
        """

class _SyncAccounts:
    """Accounts that can own and follow channels, 100 a call."""

    def add(self, users: Users) -> Outcomes:
        """Import accounts that the app does not have, and return one outcome for each user.

        Outcomes: `added`; `already` for an account that existed before, which stays as it is, and for a second mention;
        `failed`; `invalid`. An account that another process imports meanwhile may be `added` as well. Raises
        InvalidError before anything is sent, and UnavailableError if the service does not answer; its `outcomes` holds
        what is known.
        """

    def add_stream(self, users: Users) -> SyncIterator[Outcome]:
        """Import accounts as `add` does, and yield the outcomes in bounded memory, for any number of users."""

    def check(self, users: Iterable[str]) -> dict[UserId, bool]:
        """Return for each id whether the app has the account."""

class _SyncUnreadService:
    """Unread counts, conversation groups and marks of users.

    Every method accepts a channel by slug or by id. An account that the app does not have raises NotFoundError where
    a method has no result that says so.
    """

    def assign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the user's group, 100 a call; subscribing does it by itself.

        Every failure is a result, also that of an account that the app does not have.
        """

    def catch_up(self, user: str, posts: Sequence[PostRef]) -> tuple[ChannelId, ...]:
        """Mark posts up to these as read where the service has an earlier position; return the channels of these.

        For a webhook that reports how far a user has read in every channel at once.
        """

    def fold(self, channel: str, *, user: str, on: bool = True) -> None:
        """Fold a channel away in a user's list, or unfold it. Raises NotFoundError if the user is not in it."""

    def get(self, user: str, *, exact: bool = False, explain: bool = False) -> Unread:
        """Return a user's channels with their counts, the badge over them, and the sum over the user's other groups.

        Costs the pages of the joined-group list, 200 groups a call, and one call for 50 groups whose tag is not cached.
        Where the service does not count by itself, recalled and silent posts are left out as far as this process has
        seen them: the newest 1,000 of each channel. With `exact`, history is read after each read position, 20 posts a
        call and at most the newest 1,000, for those of other processes and for system notices. `explain` adds the
        inputs of every count. A channel that the user owns is in the list too. Raises NotFoundError for an unknown
        account.
        """

    def get_many(
        self, users: Users, *, exact: bool = False, explain: bool = False, cursor: int = 0
    ) -> SyncPages[Unread, int]:
        """Return an async iterator over the counts of many users, one result for each in their order.

        A user who cannot be counted has an `error` in the result. The iterator's `cursor` is where to resume later.
        After five consecutive users for whom the service failed, the error is raised. `exact` and `explain` as in
        `get`. Raises InvalidError for a cursor that is not a number of users.
        """

    def groups(self, user: str, *, cursor: int = 0) -> SyncPages[ConversationGroup, int]:
        """Return an async iterator over a user's conversation groups with what is in them, from number `cursor` on.

        A user has 20 groups at most. Raises InvalidError for another cursor.
        """

    def hide(self, channel: str, *, user: str, on: bool = True) -> None:
        """Hide a channel in a user's list, or show it again. Raises NotFoundError if the user is not in it."""

    def mark_all_read(self, user: str) -> tuple[ChannelId, ...]:
        """Mark every post in every channel as read for a user, and return the channels in which one was not.

        After a failure the other channels are marked all the same, then the error is raised; repeating marks the rest.
        """

    def mark_read(
        self, channel: str, up_to: int | PostRef | datetime | None = None, *, user: str, exact: bool = False
    ) -> int:
        """Mark posts of a channel as read for a user, and return how many are left unread.

        `up_to` is the number of a post, its ref, or an aware datetime, for which history is searched, 20 posts a call;
        None marks all. What is left is counted as in `get`, `exact` or not. Never makes read posts unread. Client apps
        that are online are not notified. Raises InvalidError for a post that does not exist yet and for a time in the
        future, NotFoundError for a user who is not in the channel.
        """

    def marks(self, channel: str, *, user: str) -> Marks:
        """Return the marks that a user has on a channel. Raises NotFoundError if the user is not in it."""

    def note(self, channel: str, text: str, *, user: str) -> None:
        """Set a text of the app's own on a user's channel, 256 bytes at most; "" clears it.

        Raises InvalidError for a longer text, NotFoundError if the user is not in the channel.
        """

    def remove(self, user: str, name: str | None = None) -> bool:
        """Delete a user's group, that of channels if no `name` is given; return False if there is none.

        The conversations in it stay. Raises InvalidError for a name that is empty or over 32 bytes.
        """

    def rename(self, user: str, new: str, *, old: str | None = None) -> bool:
        """Rename a user's group, to 32 bytes at most; return False if it has been renamed already.

        `old` is the name in the settings if it is not given. The settings do not change: once they name another group,
        `rename` moves users from the old name to the new one. Raises NotFoundError without such a group,
        ConflictError if there is a group of each name, InvalidError for a name that is empty or too long.
        """

    def star(self, channel: str, *, user: str, on: bool = True) -> None:
        """Mark a channel as important for a user, or remove the mark. Raises NotFoundError if the user is not in it."""

    def sync(self, user: str) -> Synced:
        """Make the user's group of channels hold exactly the channels that the user follows; return what changed.

        Takes out channels that do not exist, are not followed or are no longer channels; keeps what the user put there
        by hand, unless `unread.keep_by_hand` is off. Channels for which a group is full are in `failed`. Running it
        again changes nothing.
        """

    def sync_many(self, users: Users) -> tuple[Synced, ...]:
        """Run `sync` for many users, and return one result for each in their order.

        A user who cannot be synced has an `error` in the result; after five consecutive users for whom the service
        failed, the error is raised: `sync_many_stream` can be resumed after it.
        """

    def sync_many_stream(self, users: Users, *, cursor: int = 0) -> SyncPages[Synced, int]:
        """Run `sync` as `sync_many` does, and return an async iterator over the results, for any number of users.

        The iterator's `cursor` is where to resume later with the same users. Raises InvalidError for a cursor that is
        not a number of users.
        """

    def unassign(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the user's group, 100 a call; unsubscribing does it by itself, a client app does not.

        Every failure is a result; an account that the app does not have has no channel in a group.
        """

    def unassign_left(self, user: str, channels: Iterable[str]) -> dict[ChannelId, GroupAssignment]:
        """Take channels that the user has left out of the user's group; what is followed again stays in it."""

class _SyncReactionService:
    """Reactions of users to posts.

    Without `database_url` in direct mode: keys on the message, for 250 users a post. With it in store mode: any number
    of users. The store is opened, and the task that publishes counts started, by the first method that needs them.
    """

    def adopt(self, channel: str) -> SyncIterator[Adopted]:
        """Copy into the store the reactions that direct mode left on a channel's posts; yield one result for each post.

        Users who have a reaction in the store keep that one. After an interruption, run it again. Raises
        ConfigurationError in direct mode.
        """

    def by_day(self, ref: PostRef) -> dict[date, int]:
        """Return how many of the reactions that stand now were set on each day of UTC, the first day first.

        Days without any are left out, and so are reactions that were removed or replaced. Raises ConfigurationError in
        direct mode, where no times are stored.
        """

    def drop(self, ref: PostRef) -> None:
        """Remove the reactions of a post that is deleted; `posts.recall` does this itself."""

    def drop_channel(self, channel: str) -> None:
        """Remove all reactions of a channel that is deleted; `channels.delete` does this itself."""

    def finding(self) -> HealthCheckResult:
        """Return for the doctor the mode of reactions and, in store mode, the result of a new probe."""

    def flush(self, seconds: float = ...) -> bool:
        """Wait until every count is published; return False if that takes longer, for example during an outage.

        Returns True immediately in direct mode.
        """

    def get(self, ref: PostRef, viewer: str | None = None) -> Reactions:
        """Return the counts of a post, the most frequent emoji first, and what `viewer` chose. Raises NotFoundError."""

    def get_many(self, refs: Iterable[PostRef], viewer: str | None = None) -> dict[PostRef, Reactions]:
        """Return the counts of many posts by the references that were asked for, in their order.

        A post that does not exist has no reactions. Store mode: one statement, and one more with a viewer, for up to
        500 posts. Direct mode: two calls for each post, `concurrency` of the settings at a time.
        """

    def left(self, channel: str, users: Iterable[str]) -> None:
        """Remove the reactions of users who left a channel, if the settings demand it."""

    def merge(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int = 0) -> int:
        """Merge the changes of users' keys that an event reports; return how many reactions changed.

        Repeating it is harmless. `cleared`: all keys up to this version were removed together, which removes no
        reaction. Does nothing in direct mode, where the keys are all there is.
        """

    def policy(self, channel: str) -> ReactionPolicy:
        """Return which emoji a channel accepts. Raises NotFoundError."""

    def probe(self) -> DisplayStatus:
        """Check where counts can be displayed for other client apps, and write again posts that refused them.

        It is tried on a message in a channel of its own, which is deleted again. Raises ConfigurationError in direct
        mode.
        """

    def publish(self, seconds: float = ...) -> bool:
        """Publish every count, as `flush` does. Raises ConfigurationError in direct mode."""

    def react(self, ref: PostRef, user: str, emoji: str) -> bool:
        """Set the reaction of a user; return whether it changed. A new emoji replaces the old one.

        In store mode it is stored permanently when this returns. Raises InvalidError for text that is not one emoji or
        an emoji that the channel does not allow, NotFoundError if there is no such post, PermissionDeniedError for a
        user who does not follow the channel, LimitReachedError in direct mode for a 251st user, and UnavailableError if
        the store or the service fails; then nothing was counted.
        """

    def reactors(self, ref: PostRef, emoji: str | None = None) -> SyncIterator[Reactor]:
        """Yield the users who reacted, or those who chose `emoji`, ordered by user id. For administration."""

    def reconcile(self, ref: PostRef) -> Reconciled:
        """Compare a post with the service: merge what client apps wrote, and find counts that others changed.

        Raises ConfigurationError in direct mode, and NotFoundError for a post that is deleted.
        """

    def set_policy(self, channel: str, policy: str | Iterable[str] | ReactionPolicy) -> ReactionPolicy:
        """Set which emoji a channel accepts: `all`, `basic` (six of them), `none`, or a list of about 50.

        It is stored with the channel: other processes see it within `channels.cache_seconds`. Existing reactions stay.
        Raises InvalidError, with limit and size in bytes for a list of more than 280 bytes, and NotFoundError.
        """

    def start(self) -> None:
        """Publish in the background what other processes left in the store, until the adapter is closed.

        For processes that do not use reactions themselves, such as a webhook receiver. It creates no tables: it waits
        until there are some. Does nothing in direct mode.
        """

    def unpublished(self) -> int:
        """Return how many posts have counts that are not published yet, of all processes; 0 in direct mode.

        It creates no tables.
        """

    def unreact(self, ref: PostRef, user: str, emoji: str | None = None) -> bool:
        """Remove the reactions of a user, or only `emoji`; return False if there was none."""

class _SyncEvents:
    """Registers handlers and calls them with events. Needs a receiver: `webhooks serve`, `serve` or `application`."""

    @property
    def key(self) -> str | None:
        """In a handler: the key of its event, which is equal in every attempt and for every repeat. Else None.

        For effects that happen once per key: an insert that ignores a conflict, an idempotency key.
        """

    def listen_for_invalidations(self) -> None:
        """Keep caches right when other receivers handle events, until cancelled."""

    def on(
        self, *kinds: type[Event], transaction: bool = False, other_mode: bool = False
    ) -> Callable[[HandlerT], HandlerT]:
        """Register a coroutine function or a plain function, which must not block; without kinds, for all events.

        With `transaction` it is a plain function that is called in a worker thread with a second argument, a
        synchronous SQLAlchemy connection to the inbox's database: what it writes there and the record that it ran are
        committed together, so that it has its effect exactly once. In a memory inbox that argument is None. With
        `other_mode` it gets events about channels of the mode that this adapter does not use as well.
        Raises TypeError for what is no event, ConfigurationError for a coroutine function with `transaction`.
        """

    def plan(self, webhook: WebhookEvent) -> Sequence[HandlerStep]:
        """Return the steps that an inbox runs for a webhook, after the adapter's own work for it is done."""

    @overload
    def stream(self, *, other_mode: bool = False) -> SyncIterator[Event]: ...
    @overload
    def stream(self, *kinds: type[EventT], other_mode: bool = False) -> SyncIterator[EventT]: ...

class _SyncGuard:
    """Answers before-webhooks. `counts` by outcome: allowed, refused, dropped, rewritten, partly, late, failed."""

    def answer(self, webhook: WebhookEvent) -> GuardAnswer:
        """Return the answer to a before-webhook within the budget. Raises nothing but CancelledError."""

    def on(self, kind: type[RequestT], *, other_mode: bool = False) -> Callable[[Hook[RequestT]], Hook[RequestT]]:
        """Register a hook for one kind of request, or with `HookRequest` for all; a plain function must not block.

        Hooks run in the order of their registration after the policies of the settings, until one refuses. With
        `other_mode` the hook gets requests about channels of the mode that this adapter does not use as well.
        Raises TypeError for what is no kind of request.
        """

class _SyncMigration:
    """Moves channels from a source to this app.

    `limits` bound the calls and seconds of one run: it ends there, and the next run continues. `database` is the one
    of the journal, if it is not the adapter's own.
    """

    def accounts_source(self, found: Discovered) -> AbstractContextManager[Source]:
        """Open official accounts that were searched for, with the lines of the search that named none."""

    def apply(
        self,
        plan: Plan,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: StatusCallback = ...,
        failpoint: Failpoint = ...,
    ) -> Status:
        """Apply a plan, continue it, or move what has changed since; return how far it is then.

        Raises before anything is written: InvalidError for a plan that is not ready, of another app, or older than the
        source; ConfigurationError for the edition, the database, a missing extra; ConflictError for accounts that
        another migration moves. Failures of single channels are in the result.
        """

    @property
    def context(self) -> MigrationContext:
        """What the parts of a migration share."""

    def cutover(
        self,
        plan: Plan,
        options: CutoverOptions | None = None,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: ProgressCallback = ...,
    ) -> Cutover:
        """Move what has changed, verify, then move posting to the channels; or continue that. May be repeated.

        A run that ends at the limits says so in `stopped`. Raises ConfigurationError without `database_url`,
        InvalidError for a plan of another app and for a source that may not be destroyed yet, ConflictError for
        accounts that another migration has cut over, and errors of source and target.
        """

    def cutover_state(self, plan: Plan) -> CutoverState | None:
        """Return how far a cutover is, as the adapter's database has it; None where none has begun."""

    def discover_from_users(self, listed: Iterable[ListedUser | UnusableLine], name: str) -> Discovered:
        """Return the official accounts that the users of a list follow; `name` is that of the list, for messages.

        Raises InvalidError when none of them follows an official account.
        """

    def has_journal(self, migration: str, database: str | None = None) -> bool:
        """Return whether a database has the journal of a migration. Creates nothing. Raises UnavailableError."""

    def journal_url(self, database: str | None = None) -> str:
        """Return the database of the journal. Raises ConfigurationError when none is set."""

    def plan(
        self,
        source: Source,
        options: PlanOptions | None = None,
        *,
        before: Plan | None = None,
        on_progress: ProgressCallback = ...,
    ) -> Plan:
        """Return what moving this source takes. Nothing is written; the same source and target yield the same plan.

        `before` is an earlier plan of the same source: where that had subscribers or posts and now there are none, it
        is an error. Raises NotFoundError for an account that does not exist, ConflictError for a source that has become
        empty, ConfigurationError for an edition without Communities or imports, and errors of the source.
        """

    def report(
        self, plan: Plan, *, database: str | None = None, verdict: Mapping[str, Any] | None = None
    ) -> MigrationReport:
        """Return what is recorded of a migration. Neither source nor target is read.

        `verdict` is the result of a verification, as JSON; without one, the cutover's is used. Raises InvalidError for
        a plan of another app.
        """

    def retry(
        self,
        plan: Plan,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: StatusCallback = ...,
    ) -> Status:
        """Continue what failed or was stopped, and try again what is in the quarantine; return how far it is then.

        Raises what `apply` raises.
        """

    def rollback(
        self,
        plan: Plan,
        *,
        remove: bool = False,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: ProgressCallback = ...,
    ) -> Rollback:
        """List the groups that may be removed; with `remove`, remove them. The source is only read. May be repeated.

        Raises InvalidError for a plan of another app, BudgetExhausted at the limits, and errors of source and target.
        """

    def run_group_sync(self) -> AbstractContextManager[None]:
        """Synchronize conversation groups for cutovers of the adapter's database for the length of a block.

        Jobs run from when a cutover waits for them. Raises ConfigurationError without a database or `durable`.
        """

    def source(self, spec: SourceSpec) -> AbstractContextManager[Source]:
        """Open the source that a plan names, for the length of a block.

        Raises InvalidError for files that cannot be used, OSError for those that cannot be read.
        """

    def status(self, migration: str, *, database: str | None = None) -> Status:
        """Return how far a migration is. Raises ConflictError when the database does not know it."""

    def verify(
        self,
        plan: Plan,
        *,
        accepted: Baseline = ...,
        limits: BudgetLimits | None = None,
        on_finding: FindingCallback = ...,
        on_progress: ProgressCallback = ...,
    ) -> VerificationResult:
        """Read source and target again and compare everything; `on_finding` receives every finding. Nothing is written.

        `accepted` are findings of an earlier verification that are waived. Raises BudgetExhausted at the limits.
        """

    def work(
        self,
        *,
        database: str | None = None,
        limits: BudgetLimits | None = None,
        on_progress: WorkerCallback = ...,
        failpoint: Failpoint = ...,
    ) -> int:
        """Work on what other processes have queued, until the limits or a cancellation; return the calls made.

        In the adapter's own database, conversation groups are synchronized for cutovers as well.
        """
