"""The composition root: builds the client, the backend and the services from settings.

Each area of services is imported and made when it is first used: few programs use all of them.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.instruments import NO_INSTRUMENTS, Instruments
from channel_adapter.config.extras import is_installed, needs_extra, needs_store
from channel_adapter.config.settings import Settings
from channel_adapter.config.values import rate_limit_scope
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import ConfigurationError, UnsupportedError, needs_database
from channel_adapter.quoting import shown_value
from channel_adapter.services.signals import Signals
from channel_adapter.tencent import limits
from channel_adapter.tencent.client import App, Attempt, CommandUsage, Route, TencentClient, Timeouts, Transport
from channel_adapter.tencent.rate_limit import CommandLimiter
from channel_adapter.tencent.regions import REGIONS, HostPair

if TYPE_CHECKING:  # pyright accepts a property alone where a protocol declares one
    from builtins import property as _part
    from builtins import property as cached_property
    from collections.abc import AsyncIterator, Callable, Collection, Mapping
    from types import TracebackType

    from channel_adapter.backends.protocols import Backend
    from channel_adapter.domain.channel import ExportedChannel
    from channel_adapter.domain.events import AllRead, ChannelEvent, MessageEvent, RateAlarm
    from channel_adapter.domain.health import HealthCheckResult
    from channel_adapter.domain.ids import ChannelId
    from channel_adapter.domain.mode import Capabilities
    from channel_adapter.migration.cutover.redirects import AccountRedirects
    from channel_adapter.migration.service import Migration
    from channel_adapter.observability.telemetry import AppTelemetry, Telemetry
    from channel_adapter.services.accounts import Accounts
    from channel_adapter.services.blocks import Blocklist
    from channel_adapter.services.bulk import BulkOptions
    from channel_adapter.services.channels import Channels
    from channel_adapter.services.directory import Directory
    from channel_adapter.services.insights import Insights
    from channel_adapter.services.invites import Invites
    from channel_adapter.services.media import Media
    from channel_adapter.services.messages import ContactRegistry, Messages
    from channel_adapter.services.posts import Posts
    from channel_adapter.services.reactions.service import ReactionService
    from channel_adapter.services.subscriptions import Subscriptions
    from channel_adapter.services.unread.assignment import ConversationGroupAssigner
    from channel_adapter.services.unread.service import UnreadService
    from channel_adapter.store.database import Database
    from channel_adapter.store.messages import MessageRows
    from channel_adapter.webhooks.dispatch import EventPipeline
    from channel_adapter.webhooks.events import Events
    from channel_adapter.webhooks.guard import Guard
else:
    from functools import cached_property

    def _part(build):
        """Return a property for a part of the adapter: made when first used, its methods traced with telemetry."""

        @wraps(build)
        def made(adapter):
            return adapter._trace_part(build.__name__, build(adapter))  # noqa: SLF001 - of this module

        return cached_property(made)


T = TypeVar("T")

SCHEDULE, JOBS = "schedule", "jobs"
JOB_KINDS = (SCHEDULE, JOBS)
"""Kinds of jobs for `ChannelAdapter.run_jobs`."""


class ChannelAdapter:
    """The channels of one app of Tencent Cloud Chat.

    ```python
    async with ChannelAdapter.open("adapter.toml") as adapter:
        channel = await adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    ```
    """

    def __init__(
        self, settings: Settings, client: TencentClient, clock: Clock, telemetry: AppTelemetry | None = None
    ) -> None:
        """Use `open`."""
        self.settings = settings
        self._client = client
        self.clock = clock
        self._caller = ApiCaller(client)
        self._closing = AsyncExitStack()  # of the parts that were made and hold connections or tasks
        self._telemetry = telemetry
        self._recording = AsyncExitStack()
        self.instruments: Instruments = NO_INSTRUMENTS if telemetry is None else telemetry
        """Spans and values of the packages of this project, not for apps."""
        self.signals: Signals = Signals()
        self.signals.post_recalled.connect(lambda ref: self.reactions.drop(ref))  # noqa: PLW0108 - imported when needed
        self.signals.channel_deleted.connect(lambda channel: self.reactions.drop_channel(channel))  # noqa: PLW0108
        self.signals.users_left.connect(lambda left: self.reactions.left(left.channel, left.users))
        self.signals.contact_changed.connect(lambda change: self.messages.set_contact(change.channel, change.account))
        self.signals.message_event.connect(self._record_message)
        self.signals.channel_deleted.connect(self._drop_channel)
        if settings.insights.record:
            self.signals.channel_event.connect(lambda event: self.insights.record(event))  # noqa: PLW0108
        self.signals.channel_changed.connect(self._observe_change)  # first: it needs no database
        self.signals.channel_changed.connect(self._publish_change)
        self.signals.rate_alarm.connect(self._reduce_rate)

    @_part
    def channels(self) -> Channels:
        """Channels: create, read, update, delete, and the channels of a user."""
        from channel_adapter.services.channels import Channels

        return Channels(
            self.backend, self.signals, self.subscriptions, self._blocklist, self.directory, self._bulk_options
        )

    @_part
    def invites(self) -> Invites:
        """Invitations: create, accept, revoke and list codes with which users subscribe."""
        from channel_adapter.services.invites import Invites

        own = self.settings
        rows: InvitationRows | None = None
        if self._database is not None:
            from channel_adapter.store.invitations import InvitationRows

            rows = InvitationRows(self._database)
        return Invites(self.backend, rows, self.subscriptions, own.invites.link_template, own.total_seconds, self.clock)

    @_part
    def directory(self) -> Directory:
        """The directory: search channels, and refresh what is known of them."""
        from channel_adapter.services.directory import Directory

        if self._database is None:
            return Directory(self.backend, None, self.clock)
        from channel_adapter.store.channel_registry import ChannelRows

        contacts = self._contacts if self.can.contacts else None
        return Directory(self.backend, ChannelRows(self._database), self.clock, contacts)

    @_part
    def insights(self) -> Insights:
        """Insights: views of posts, and the growth of channels."""
        from channel_adapter.services.insights import Insights

        keep_days = self.settings.insights.keep_days
        if self._database is None:
            return Insights(self.backend, self.reactions, None, self.clock, keep_days)
        from channel_adapter.store.insights import InsightRows

        return Insights(self.backend, self.reactions, InsightRows(self._database), self.clock, keep_days)

    @_part
    def subscriptions(self) -> Subscriptions:
        """Subscriptions: add and remove users of a channel, list them, and the notifications of each."""
        from channel_adapter.services.subscriptions import SubscriptionOptions, Subscriptions

        options = SubscriptionOptions(self._bulk_options, self.settings.subscriptions.notify)
        blocks = self._blocklist if self._database_url is not None else None
        return Subscriptions(self.backend, blocks, self._assigner, self.signals.users_left, options)

    @_part
    def posts(self) -> Posts:
        """Posts: publish, edit, recall, read back; scheduled posts and drafts."""
        from channel_adapter.services.posts import Posts
        from channel_adapter.services.scheduled_publisher import ScheduleOptions

        moved = self.posting_moved  # before a post is published: a database that cannot be used is an error of its own
        if moved is not None:
            self.signals.post_published.connect(moved.mirror)
        backend, signals = self.backend, self.signals
        options = ScheduleOptions(self._database_url, self.settings.schedule.max_lateness, self.settings.total_seconds)
        posts = Posts(backend.posts, backend.ids, signals.post_published, signals.post_recalled, options, self.clock)
        self._closing.push_async_callback(posts.aclose)
        return posts

    @_part
    def media(self) -> Media:
        """Pictures of this machine, stored where readers can load them."""
        with needs_extra("pictures", extra="media", field="image"):
            from channel_adapter.services.media import Media

        own = self.settings.console
        return Media(own.media_dir, own.media_bucket, own.media_public_url)

    @_part
    def messages(self) -> Messages:
        """One-to-one messages between channels and users."""
        from channel_adapter.services.messages import Messages

        backend = self.backend
        return Messages(backend.messages, backend.ids, self._contacts, self._message_rows, self._bulk_options)

    @cached_property
    def _contacts(self) -> ContactRegistry:
        """Accounts of one-to-one messages and their channels."""
        from channel_adapter.services.messages import ContactRegistry

        return ContactRegistry(self._message_rows)

    @_part
    def accounts(self) -> Accounts:
        """Accounts of the app: check and import."""
        from channel_adapter.services.accounts import Accounts

        return Accounts(self.backend.accounts, self._bulk_options)

    @_part
    def unread(self) -> UnreadService:
        """Unread posts of users, and the conversation group that holds a user's channels."""
        from channel_adapter.services.unread.service import UnreadService

        backend = self.backend
        return UnreadService(
            backend.unread, backend.groups, backend.ids, self._assigner,
            keep_by_hand=self.settings.unread.keep_by_hand, concurrency=self.settings.concurrency,
        )  # fmt: skip

    @_part
    def reactions(self) -> ReactionService:
        """Reactions of users to posts."""
        from channel_adapter.services.reactions.rules import ReactionOptions
        from channel_adapter.services.reactions.service import ReactionService

        settings, own = self.settings, self.settings.reactions
        options = ReactionOptions(
            max_per_user=own.per_person,
            subscribers_only=own.subscribers_only,
            client_reactions=own.client_reactions == "accept",
            keep_on_unsubscribe=own.on_unsubscribe == "keep",
            display=own.display_mode,
            keep_seconds=own.keep_days * 86_400.0 or None,
            cache_seconds=settings.channels.cache_seconds,
            concurrency=settings.concurrency,
        )
        reactions = ReactionService(self.backend, options, self._database_url, settings.sdkappid, self.clock)
        self._closing.push_async_callback(reactions.aclose)
        return reactions

    @cached_property
    def backend(self) -> Backend:
        """How channels are stored on the service. For the packages of this project, not for apps."""
        if self.settings.mode is Mode.OFFICIAL:
            return self._make_official_backend()
        return self._make_community_backend()

    @property
    def can(self) -> Capabilities:
        """What the service can do in the mode of the settings.

        Where one is False, the methods that need it raise UnsupportedError before any call, or have a substitute.
        """
        return self.backend.can

    def _make_community_backend(self) -> Backend:
        from channel_adapter.backends.community.backend import CommunityBackend
        from channel_adapter.backends.options import BackendOptions
        from channel_adapter.mapping.field_keys import FieldKeys

        settings, channels, subscriptions = self.settings, self.settings.channels, self.settings.subscriptions
        options = BackendOptions(
            field_keys=FieldKeys(channels.tag_key, channels.organization_key, channels.custom_data_keys),
            profile_limits=limits.GROUP_PROFILE
            if channels.profile_limits == "current"
            else limits.GROUP_PROFILE_LEGACY,
            post_bytes=settings.posts.max_bytes,
            posts_per_second=settings.posts.per_second,
            add_per_call=subscriptions.add_per_call,
            remove_per_call=subscriptions.remove_per_call,
            cache_seconds=channels.cache_seconds,
            cache_entries=channels.cache_entries,
            total_seconds=settings.total_seconds,
            concurrency=settings.concurrency,
        )
        return CommunityBackend(self._caller, options, self.clock)

    def _make_official_backend(self) -> Backend:
        from channel_adapter.backends.official.backend import OfficialBackend
        from channel_adapter.backends.official.options import OfficialOptions

        settings, posts = self.settings, self.settings.posts
        options = OfficialOptions(
            post_bytes=posts.max_bytes,
            posts_per_second=posts.broadcasts_per_second,
            posts_per_hour=posts.broadcasts_per_hour,
            total_seconds=settings.total_seconds,
            cache_seconds=settings.channels.cache_seconds,
            concurrency=settings.concurrency,
        )
        database = self._database
        if database is None:
            return OfficialBackend(self._caller, options, self.clock)
        from channel_adapter.store.broadcasts import BroadcastStore
        from channel_adapter.store.channel_attributes import ChannelAttributeRows
        from channel_adapter.store.channel_registry import ChannelRows

        registry = ChannelRows(database)
        return OfficialBackend(
            self._caller, options, self.clock, BroadcastStore(database), ChannelAttributeRows(database), registry
        )

    @cached_property
    def _database(self) -> Database | None:
        """The database of the settings, which is closed with the adapter; None without one."""
        url = self._database_url
        if url is None:
            return None
        with needs_store(url):
            from channel_adapter.store.database import Database
        database = Database.shared(url)
        self._closing.push_async_callback(database.close)
        return database

    @cached_property
    def pipeline(self) -> EventPipeline:
        """Resolve webhooks into events and do the adapter's own work for them."""
        from channel_adapter.webhooks.dispatch import EventPipeline

        pipeline = EventPipeline(
            self.settings, self.backend, self.signals, self._contacts, self.reactions, self.unread
        )  # fmt: skip
        self._closing.push_async_callback(pipeline.aclose)
        return pipeline

    @cached_property
    def posting_moved(self) -> AccountRedirects | None:
        """Official accounts that a cutover has moved, from the database; None without one."""
        url = self._database_url
        if url is None or self.settings.mode is Mode.OFFICIAL:
            return None
        if not is_installed("sqlalchemy"):
            return None
        from channel_adapter.backends.official.options import OfficialOptions
        from channel_adapter.backends.official.posts import OfficialPosts
        from channel_adapter.migration.cutover.redirects import AccountRedirects

        options = OfficialOptions(total_seconds=self.settings.total_seconds, concurrency=self.settings.concurrency)
        redirects = AccountRedirects(url, OfficialPosts(self._caller, options, self.clock), self.clock)
        self._closing.push_async_callback(redirects.aclose)
        return redirects

    @cached_property
    def events(self) -> Events:
        """Handlers and streams of events that webhooks report: `@adapter.events.on(Subscribed)`."""
        from channel_adapter.webhooks.events import Events

        return Events(self.pipeline, self.instruments)

    @cached_property
    def guard(self) -> Guard:
        """Answers to before-webhooks: policies of the settings and hooks of the app."""
        from channel_adapter.webhooks.guard import Guard

        guard = Guard(self.settings, self.backend, self._blocklist, self.pipeline.callbacks, self.pipeline.resolver)
        if self.posting_moved is not None:
            from channel_adapter.domain.hooks import PostDraft

            guard.on(PostDraft, other_mode=True)(self.posting_moved.hook(self.posts))
        return guard

    @classmethod
    def open(
        cls,
        config: str | Path | Settings | None = None,
        *,
        observer: Callable[[Attempt], None] | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> Self:
        """Return an adapter for a TOML file, for Settings, or for the environment alone; use it with `async with`.

        `observer` is called after every attempt on the wire; an exception of it is logged once and changes nothing.
        `telemetry` records spans and metrics by providers of its own; without it the setting `telemetry` decides.
        Raises ConfigurationError; no connection is made yet.
        """
        settings = config if isinstance(config, Settings) else Settings.load(config)
        clock = clock or SystemClock()
        if telemetry is None and settings.telemetry:
            telemetry = _telemetry_of_process()
        recording = None if telemetry is None else telemetry.of_app(settings.sdkappid)
        client = TencentClient(
            App(settings.sdkappid, settings.admin, settings.key),
            Transport(
                _choose_hosts(settings),
                route=Route(settings.ca_file, settings.proxy, settings.trust_env),
                timeouts=Timeouts(settings.connect_seconds, settings.call_seconds, settings.total_seconds),
                concurrency=settings.concurrency,
                max_response_bytes=settings.max_response_bytes,
                clock=clock,
            ),
            limiter=_make_limiter(settings, clock),
            observer=observer if recording is None else recording.both(observer),
        )
        return cls(settings, client, clock, recording)

    @property
    def migration(self) -> Migration:
        """Migrations of official accounts, or of files of any other system, to channels.

        Raises UnsupportedError in official-account mode, because channels of Community mode are the target, and
        ConfigurationError without the extra `durable`.
        """
        if not self.can.import_history:
            raise UnsupportedError(self.settings.mode, "migration", "posts cannot be imported into official accounts")
        with needs_extra(database_url=self._database_url):
            from channel_adapter.migration.service import Migration
        return self._trace_part("migration", Migration(self._caller, self.settings, self.clock, self.unread))

    async def call(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Call any command with a JSON body, signed, limited and repeated as the others, and return the JSON reply."""
        with self.instruments.span("call", {}):
            return await self._caller.call_raw(service, command, body)

    async def doctor(self, *, repair: bool = False) -> list[HealthCheckResult]:
        """Check service, clock, plan and channels; with `repair`, finish interrupted creations."""
        with self.instruments.span("doctor", {}):
            return await self._run_checks(repair=repair)

    @property
    def call_rates(self) -> list[CommandUsage]:
        """How often this process sent each command in the last minute, and its limit. Not for apps."""
        return self._client.call_rates()

    async def _run_checks(self, *, repair: bool) -> list[HealthCheckResult]:
        from channel_adapter.mapping.ids import user_id
        from channel_adapter.services.doctor import Doctor

        doctor = Doctor(self.backend, user_id(self.settings.admin))
        first = await doctor.service()
        if not first.ok:
            return [first]
        found = await doctor.examine(clock_skew=self._client.clock_skew, repair=repair)
        url = self._database_url
        if missing := doctor.database(url):
            return [first, *found, *missing]
        durable = doctor.durable(sqlite=url is None or url.startswith("sqlite"))
        return [first, *found, *durable, *await self.posts.check_schedule(), await self.reactions.finding()]

    @asynccontextmanager
    async def run_jobs(self, kinds: Collection[str] = JOB_KINDS) -> AsyncIterator[None]:
        """Run jobs of the database in this process for the length of a block; other processes may do so, too.

        `schedule` publishes scheduled posts, `jobs` continues conversation groups of cutovers. A process that is killed
        loses nothing: another one, or the next, goes on. Migrations are left to `migration.work`. Raises
        ConfigurationError without `database_url`, for an unknown kind, and without the extra `durable`.
        """
        from channel_adapter.mapping.text import require_list

        if unknown := [kind for kind in require_list(kinds, "kinds", "kinds of jobs") if kind not in JOB_KINDS]:
            raise ConfigurationError(f"jobs: there is no kind {shown_value(unknown[0])}; known: {', '.join(JOB_KINDS)}")
        if self._database_url is None:
            raise needs_database("jobs need a database")
        async with AsyncExitStack() as stack:
            if SCHEDULE in kinds:
                await stack.enter_async_context(self.posts.publish_due())
            if JOBS in kinds and self.can.import_history:  # without, there are no cutovers
                await stack.enter_async_context(self.migration.run_group_sync())
            yield

    async def export_channel(
        self, channel: str, folder: str | Path, *, on_progress: Callable[[int, int], object] | None = None
    ) -> ExportedChannel:
        """Write channel, subscribers, posts and reactions to a folder, as of now; or continue an interrupted export.

        `migrate plan --files` reads `channels.jsonl`, `subscribers.jsonl` and `posts.jsonl`; `reactions.csv` has one
        line for each user and emoji. With a database, `insights.csv` and `views.csv` have the figures of 30 days.
        Recalled and expired posts have no content and are left out. A page at a time is in memory. `on_progress` is
        called with the subscribers and posts written so far. Raises NotFoundError, and InvalidError for a folder that
        cannot be written, or with anything but an unfinished export of this channel.
        """
        from channel_adapter.services.export import ChannelExporter
        from channel_adapter.tencent.notify import Notifier

        reactions = self.reactions if self.can.service_reactions or self._database_url is not None else None
        insights = self.insights if self._database_url is not None else None
        exporter = ChannelExporter(self.channels, self.subscriptions, self.posts, reactions, insights, self.clock)
        notify = Notifier("on_progress", on_progress) if on_progress is not None else _ignore_progress
        return await exporter.export(channel, folder, notify)

    async def aclose(self) -> None:
        """Publish the counts of reactions that are not published yet, and close the connections.

        A part that cannot be closed, or a cancellation, does not keep the others open. Raises RuntimeError on another
        event loop than the one on which the adapter was opened.
        """
        self._client.require_same_loop()
        try:
            async with self._closing:
                await self._recording.aclose()
        finally:
            await self._client.close()

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except ValueError as wrong:
            raise ConfigurationError(str(wrong), field="ca_file") from None
        if self._telemetry is not None:
            self._recording.enter_context(self._telemetry.values(self._measure_parts))
            refreshing = asyncio.ensure_future(self._telemetry.refresh_regularly())
            self._recording.push_async_callback(_cancel_and_wait, refreshing)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _trace_part(self, name: str, made: T) -> T:
        return made if self._telemetry is None else self._telemetry.traced(name, made)

    async def _measure_parts(self) -> dict[str, float]:
        """Return the values of the parts that this process uses."""
        values: dict[str, float] = {}
        if "posts" in vars(self):
            values |= await self.posts.schedule_values()
        if "reactions" in vars(self):
            values["reactions.unpublished"] = await self.reactions.unpublished()
        return values

    @property
    def _database_url(self) -> str | None:
        url = self.settings.database_url
        return url.get_secret_value() if url is not None else None

    @cached_property
    def _bulk_options(self) -> BulkOptions:
        from channel_adapter.services.bulk import BulkOptions

        return BulkOptions(self.settings.concurrency, self.settings.total_seconds, self.clock)

    @cached_property
    def _assigner(self) -> ConversationGroupAssigner:
        from channel_adapter.services.unread.assignment import AssignmentOptions, ConversationGroupAssigner

        own = self.settings.unread
        concurrency = max(1, self.settings.concurrency // 2)  # subscriptions go on meanwhile
        options = AssignmentOptions(own.name, own.assign, own.assign_up_to, concurrency)
        return ConversationGroupAssigner(self.backend.groups, self.backend.members, options, self.clock)

    @cached_property
    def _message_rows(self) -> MessageRows | None:
        if self._database is None:
            return None
        from channel_adapter.store.messages import MessageRows

        return MessageRows(self._database)

    async def _record_message(self, event: MessageEvent | AllRead) -> None:
        if self._message_rows is not None:
            from channel_adapter.services.messages import record

            await record(self._message_rows, event)

    @cached_property
    def _blocklist(self) -> Blocklist:
        from channel_adapter.services.blocks import Blocklist

        if self._database is None:
            return Blocklist(None)
        from channel_adapter.store.channel_blocks import BlockRows

        return Blocklist(BlockRows(self._database))

    async def _observe_change(self, event: ChannelEvent) -> None:
        """Correct what this process has cached."""
        self.backend.observe(event)

    async def _publish_change(self, event: ChannelEvent) -> None:
        """Correct with a database what other processes have cached."""
        if self._database_url is not None:
            await self.pipeline.publish(event)

    async def _drop_channel(self, channel: ChannelId) -> None:
        """Delete what the database keeps of a channel that is gone; one that was created again keeps it."""
        if self._database_url is not None and not await self.backend.channels.read([channel]):
            await self._blocklist.drop(channel)
            await self.directory.hide(channel)
            await self._contacts.set(channel, None)
            await self.invites.drop(channel)
            await self.insights.drop(channel)

    async def _reduce_rate(self, alarm: RateAlarm) -> None:
        self._client.reduce_rate(alarm.service, alarm.command)

    def __repr__(self) -> str:
        return f"ChannelAdapter(sdkappid={self.settings.sdkappid}, admin={self.settings.admin!r})"


async def _cancel_and_wait(task: asyncio.Future[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _ignore_progress(*_: int) -> None:
    """Do nothing."""


def _telemetry_of_process() -> Telemetry:
    with needs_extra("telemetry", extra="otel", field="telemetry"):
        from channel_adapter.observability.telemetry import Telemetry
    return Telemetry.of_process()


def _make_limiter(settings: Settings, clock: Clock) -> CommandLimiter:
    scope, shared = rate_limit_scope(settings.rate_limits), None
    if scope == "shared" and settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        with needs_store(url):
            from channel_adapter.store.rate_limits import SharedRateLimits

            shared = SharedRateLimits(url, settings.sdkappid, clock)
    return CommandLimiter(settings.calls_per_second, enabled=scope != "off", clock=clock, shared=shared)


def _choose_hosts(settings: Settings) -> HostPair:
    if settings.base_url is not None:
        return HostPair.of_base_url(settings.base_url, settings.backup_url)
    return REGIONS[settings.region or ""]
