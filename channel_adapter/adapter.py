"""The door: opens a client from settings and holds the services."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.errors import ConfigurationError
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import BulkTerms
from channel_adapter.services.channels import Channels
from channel_adapter.services.conversation_groups import ConversationGroups
from channel_adapter.services.directory import Directory
from channel_adapter.services.doctor import Doctor, Finding
from channel_adapter.services.filing import FilingDesk
from channel_adapter.services.gateway import Gateway
from channel_adapter.services.history import History
from channel_adapter.services.joined import JoinedList, JoinedPages
from channel_adapter.services.membership import Membership
from channel_adapter.services.message_keys import MessageKeys
from channel_adapter.services.posts import Posts
from channel_adapter.services.reactions import ReactionService
from channel_adapter.services.reactions_admission import Gatekeeper, ReactionRules
from channel_adapter.services.reactions_direct import DirectReactions
from channel_adapter.services.reactions_opening import StoreAt
from channel_adapter.services.roles import Roles
from channel_adapter.services.subscriptions import Subscriptions
from channel_adapter.services.uncounted import Uncounted
from channel_adapter.services.unread import Unreads
from channel_adapter.services.workings import Workings
from channel_adapter.settings import Settings
from channel_adapter.tencent import limits
from channel_adapter.tencent.client import App, Attempt, TencentClient, Timeouts
from channel_adapter.tencent.clock import Clock, SystemClock
from channel_adapter.tencent.hosts import REGIONS, HostPair
from channel_adapter.tencent.rate_limit import CommandLimiter, KeyedLimiter
from channel_adapter.tencent.wire.msg_body import Element

if TYPE_CHECKING:
    from channel_adapter.migration.planning import Migration
    from channel_adapter.migration.posting_moved import PostingMoved
    from channel_adapter.webhooks.events import Events
    from channel_adapter.webhooks.guard import Guard
    from channel_adapter.webhooks.pipeline import Pipeline


class ChannelAdapter:
    """Channels on Community groups of one app.

    ```python
    async with ChannelAdapter.open("adapter.toml") as adapter:
        channel = await adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    ```
    """

    channels: Channels
    subscriptions: Subscriptions
    posts: Posts
    accounts: Accounts
    unread: Unreads
    reactions: ReactionService

    def __init__(self, settings: Settings, client: TencentClient, clock: Clock) -> None:
        """Use `open`."""
        self.settings = settings
        self._client = client
        self._clock = clock
        self._gateway = gateway = Gateway(client)
        own = settings.channels
        directory = _directory(settings, gateway, clock)
        history = History(gateway, directory)
        roles = Roles(gateway, seconds=own.cache_seconds, clock=clock)
        uncounted = Uncounted(history, seconds=own.cache_seconds, clock=clock)
        self.workings = Workings(directory, roles, history, uncounted, clock, client.slow_down)
        sizes = limits.GROUP_PROFILE if own.profile_limits == "current" else limits.GROUP_PROFILE_LEGACY
        terms = BulkTerms(settings.concurrency, settings.total_seconds, clock)
        self.accounts = Accounts(gateway, terms)
        joined = JoinedPages(gateway, settings.concurrency)
        self.channels = Channels(
            gateway, directory, JoinedList(joined, directory), sizes, uncounted, self._channel_deleted
        )
        desk = _desk(settings, gateway, clock)
        membership = Membership(gateway, directory)
        self.subscriptions = Subscriptions(
            gateway,
            directory,
            terms,
            add_per_call=settings.subscriptions.add_per_call,
            remove_per_call=settings.subscriptions.remove_per_call,
            notify=settings.subscriptions.notify,
            membership=membership,
            desk=desk,
            left=self._people_left,
        )
        self.unread = Unreads(
            gateway,
            directory,
            joined,
            uncounted,
            membership,
            desk,
            history,
            clock,
            keep_by_hand=settings.unread.keep_by_hand,
            concurrency=settings.concurrency,
        )
        self.posts = Posts(
            gateway,
            directory,
            roles,
            history,
            KeyedLimiter(settings.posts.per_second, clock=clock),
            settings.posts.max_bytes,
            longest_wait=settings.total_seconds,
            uncounted=uncounted,
            recalled=self._post_recalled,
            published=self._post_published,
        )
        self.reactions = _reactions(settings, gateway, directory, history, self.subscriptions, clock)

    @cached_property
    def pipeline(self) -> "Pipeline":
        """What becomes of webhooks that came in: events, and what the adapter itself does about them."""
        from channel_adapter.webhooks.pipeline import Pipeline  # noqa: PLC0415 - most adapters receive nothing

        return Pipeline(self)

    @cached_property
    def posting_moved(self) -> "PostingMoved | None":
        """Official accounts that post here since a cutover, as the database says; None without one."""
        if self.settings.database_url is None:
            return None
        try:
            from channel_adapter.migration.posting_moved import PostingMoved  # noqa: PLC0415 - an extra
        except ImportError:
            return None
        return PostingMoved(self.settings.database_url.get_secret_value(), self._gateway, self._clock)

    @cached_property
    def events(self) -> "Events":
        """What happens in channels, told by webhooks: `@adapter.events.on(Subscribed)`, `adapter.events.stream()`."""
        from channel_adapter.webhooks.events import Events  # noqa: PLC0415 - most adapters receive nothing

        return Events(self.pipeline)

    @cached_property
    def guard(self) -> "Guard":
        """What is answered when the service asks beforehand; hooks of the app are registered here."""
        from channel_adapter.webhooks.guard import Guard  # noqa: PLC0415 - most adapters receive nothing

        return Guard(self, self.pipeline.interpreter)

    @classmethod
    def open(
        cls,
        config: str | Path | Settings | None = None,
        *,
        observer: Callable[[Attempt], None] | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """An adapter from a TOML file, from Settings, or from the environment alone; use it with `async with`.

        `observer` is told of every attempt on the wire. Raises ConfigurationError; no connection is made yet.
        """
        settings = config if isinstance(config, Settings) else Settings.load(config)
        clock = clock or SystemClock()
        client = TencentClient(
            App(settings.sdkappid, settings.admin, settings.key),
            _hosts(settings),
            ca_file=settings.ca_file,
            timeouts=Timeouts(settings.connect_seconds, settings.call_seconds, settings.total_seconds),
            concurrency=settings.concurrency,
            limiter=CommandLimiter(settings.calls_per_second, enabled=settings.rate_limits, clock=clock),
            clock=clock,
            observer=observer,
        )
        return cls(settings, client, clock)

    @property
    def migration(self) -> "Migration":
        """Channels that move here from official accounts, or from files of any other system."""
        from channel_adapter.migration.planning import Migration  # noqa: PLC0415 - most programs never move anything

        return Migration(self._gateway, self.accounts, self.settings, self._clock, self.unread)

    async def call(self, service: str, command: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Any command of the service, modelled or not: same signing, limiting and retrying, JSON in and out."""
        return await self._gateway.call_raw(service, command, body)

    async def doctor(self, *, repair: bool = False) -> list[Finding]:
        """Look at service, clock, plan and channels; with `repair`, finish interrupted creations."""
        doctor = Doctor(self.channels, self.accounts, self.settings.admin, self.settings.channels.field_keys)
        first = await doctor.service()
        if not first.ok:
            return [first]
        found = await doctor.examine(clock_skew=self._client.clock_skew, repair=repair)
        return [first, *found, await self.reactions.finding()]

    async def aclose(self) -> None:
        """Publish what reactions are left to publish, and close the connections."""
        try:
            await self.reactions.aclose()
            if "pipeline" in vars(self):
                await self.pipeline.aclose()
            moved = vars(self).get("posting_moved")
            if moved is not None:
                await moved.aclose()
        finally:
            await self._client.close()

    async def __aenter__(self) -> Self:
        try:
            await self._client.__aenter__()
        except ValueError as wrong:
            raise ConfigurationError(str(wrong), field="ca_file") from None
        self.reactions.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _post_recalled(self, ref: PostRef) -> None:
        await self.reactions.drop(ref)

    async def _post_published(self, post: Post, elements: Sequence[Element]) -> Post:
        moved = self.posting_moved
        return post if moved is None else await moved.copied(post, elements)

    async def _channel_deleted(self, channel: ChannelId) -> None:
        await self.reactions.drop_channel(channel)

    async def _people_left(self, channel: ChannelId, users: list[UserId]) -> None:
        await self.reactions.left(channel, users)

    def __repr__(self) -> str:
        return f"ChannelAdapter(sdkappid={self.settings.sdkappid}, admin={self.settings.admin!r})"


def _directory(settings: Settings, gateway: Gateway, clock: Clock) -> Directory:
    own = settings.channels
    return Directory(
        gateway,
        own.field_keys,
        seconds=own.cache_seconds,
        entries=own.cache_entries,
        concurrency=settings.concurrency,
        clock=clock,
    )


def _desk(settings: Settings, gateway: Gateway, clock: Clock) -> FilingDesk:
    return FilingDesk(
        ConversationGroups(gateway),
        name=settings.unread.name,
        on=settings.unread.filing,
        most_people=settings.unread.file_up_to,
        at_once=max(1, settings.concurrency // 2),  # the subscriptions that go on meanwhile need connections too
        clock=clock,
    )


def _reactions(
    settings: Settings,
    gateway: Gateway,
    directory: Directory,
    history: History,
    subscriptions: Subscriptions,
    clock: Clock,
) -> ReactionService:
    own, seconds, keys = settings.reactions, settings.channels.cache_seconds, MessageKeys(gateway)
    rules = ReactionRules(
        own.per_person, own.subscribers_only, own.phone_reactions == "accept", own.on_unsubscribe == "keep"
    )
    gatekeeper = Gatekeeper(directory, subscriptions, history, rules, seconds=seconds, clock=clock)
    pace = KeyedLimiter(limits.EXTENSION_SETS_PER_SECOND, clock=clock)
    direct = DirectReactions(gateway, keys, pace, most=own.per_person, longest_wait=settings.total_seconds)
    url = settings.database_url
    at = None
    if url is not None:
        at = StoreAt(
            url.get_secret_value(), settings.sdkappid, gateway, keys, history, clock,
            most=own.per_person, admit=gatekeeper.admit,
        )  # fmt: skip
    return ReactionService(gateway, directory, gatekeeper, rules, direct, at.open if at else None, clock)


def _hosts(settings: Settings) -> HostPair:
    if settings.base_url is not None:
        return HostPair.of_base_url(settings.base_url, settings.backup_url)
    return REGIONS[settings.region or ""]
