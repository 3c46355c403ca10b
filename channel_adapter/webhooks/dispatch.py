"""From a stored webhook to the event for the app's handlers: resolve it, do the adapter's own work, filter it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from channel_adapter.backends.callbacks import MessageT, from_other_side
from channel_adapter.backends.protocols import Backend, ChannelBackend
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.single_flight import SingleFlight
from channel_adapter.config.settings import Settings
from channel_adapter.domain import events as e
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.domain.subscription import AssignmentStatus, GroupAssignment
from channel_adapter.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from channel_adapter.mapping.ids import is_user_id
from channel_adapter.services.messages import ContactRegistry
from channel_adapter.services.signals import Signals
from channel_adapter.webhooks.cache_invalidation import CacheInvalidationBus, open_invalidation_bus
from channel_adapter.webhooks.channel_registry import ChannelRegistry, open_channel_registry
from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.modes import CallbackTables
from channel_adapter.webhooks.parse import WebhookEvent

LATE_SECONDS: Final = 60.0
"""Seconds after the deletion of a channel, by the service's times, in which an event may still be about it."""
UNASSIGNING: Final = "channel_adapter.unassign"
"""Name of the step that removes a left channel from the conversation groups of its former subscribers."""
CATCHING_UP: Final = "channel_adapter.catch_up"
"""Name of the step that corrects read positions after a client has marked everything as read."""
_NAMED: Final = 5

_log = get_logger("channel_adapter.webhooks")


class ReactionUpdater(Protocol):
    """The reaction service, as far as events change what it stores."""

    async def merge(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int = 0) -> object:
        """Merge changes made by clients; extensions up to version `cleared` were removed."""

    async def drop(self, ref: PostRef) -> object:
        """Delete the reactions of a recalled post."""

    async def left(self, channel: str, users: Iterable[str]) -> object:
        """Keep or delete the reactions of users who unsubscribed, as the settings say."""


class UnreadUpdater(Protocol):
    """The unread service, as far as events change conversation groups and read positions."""

    async def unassign_left(self, user: str, channels: Iterable[str]) -> Mapping[ChannelId, GroupAssignment]:
        """Remove channels from a user's conversation groups, except those that the user has subscribed to again."""

    async def catch_up(self, user: str, posts: Sequence[PostRef]) -> object:
        """Move a user's read positions forward to these posts."""


class EventPipeline:
    """Resolves a webhook, runs the built-in handlers, and decides whether the app's handlers get the event."""

    def __init__(
        self,
        settings: Settings,
        backend: Backend,
        signals: Signals,
        contacts: ContactRegistry,
        reactions: ReactionUpdater,
        unread: UnreadUpdater,
    ) -> None:
        url = settings.database_url.get_secret_value() if settings.database_url is not None else None
        self.registry: ChannelRegistry = open_channel_registry(url)
        self.invalidation: CacheInvalidationBus = open_invalidation_bus(url, backend.forget)
        self.callbacks: CallbackTables = CallbackTables(backend.mode, admin=settings.admin)
        self._contacts = contacts if backend.can.contacts else None
        self.resolver: EventResolver = EventResolver(self.callbacks, backend.channels, self.registry, self._contacts)
        self._builtin = BuiltinHandlers(backend.observe, self.registry, self.invalidation, signals, reactions, unread)
        self._assigns = settings.unread.assign
        self._own_echoes = settings.webhooks.own_echoes
        self._other_groups = settings.webhooks.other_groups

    async def handle(self, webhook: WebhookEvent) -> e.Event | None:
        """Return the event for the app's handlers, None if the settings exclude it.

        May be repeated with the same webhook any number of times. Raises a ChannelAdapterError if the service or the
        store is needed and fails: repeat it later.
        """
        event = await self.resolver.resolve(webhook)
        if self._contacts is not None and isinstance(event, e.ChannelEvent) and not event.other_mode:
            await self._contacts.observe(event)
        await self._builtin.handle(event)
        return event if self._is_wanted(event) else None

    async def publish(self, event: e.ChannelEvent) -> None:
        """Report a change that this adapter has made: to the registries and to the caches of other processes.

        Raises UnavailableError if the database fails.
        """
        await self.invalidation.publish(event)
        await self.registry.observe(event)
        if self._contacts is not None:
            await self._contacts.observe(event)

    def post_steps(self, event: e.Event) -> list[HandlerStep]:
        """Return the adapter's own steps that run after the app's handlers and fail independently of them."""
        if isinstance(event, e.Unsubscribed) and not self._assigns:
            return []
        return self._builtin.post_steps(event)

    async def aclose(self) -> None:
        """Close the connections to the database. The adapter calls this when it closes."""
        try:
            await self.registry.aclose()
        finally:
            await self.invalidation.aclose()

    def _is_wanted(self, event: e.Event) -> bool:
        if isinstance(event, e.Other) and not self._other_groups:
            return False
        return self._own_echoes or not event.own


class EventResolver:
    """Turns webhooks into events, and reads the tag of a group where that is needed to tell whether it is a channel.

    Everything about a group that is no channel becomes Other. Events of the other mode are not checked.
    """

    def __init__(
        self,
        callbacks: CallbackTables,
        channels: ChannelBackend,
        registry: ChannelRegistry,
        contacts: ContactRegistry | None,
    ) -> None:
        """`contacts` None: the account of a channel is the channel itself."""
        self._callbacks = callbacks
        self._contacts = contacts
        self._channels = channels
        self._registry = registry
        self._lookups: SingleFlight[ChannelId, bool] = SingleFlight(self._look_up)

    async def resolve(self, webhook: WebhookEvent) -> e.Event:
        """Return the event of a webhook.

        Raises a ChannelAdapterError if the tag is needed and cannot be read: try again later.
        """
        event = self._callbacks.event(webhook.command, webhook.body, webhook.query)
        if isinstance(event, e.MessageEvent):
            return await self.with_contact(event) or _to_other_event(event, webhook)
        if isinstance(event, e.AllRead) and event.posts:
            known = await self._channels.known([ref.channel for ref in event.posts])
            return replace(event, posts=tuple(ref for ref in event.posts if ref.channel in known))
        if not isinstance(event, e.ChannelEvent) or event.other_mode:
            return event
        if isinstance(event, e.ChannelCreated) and not self._channels.cached(event.channel):
            self._channels.forget(event.channel)  # what is cached is from before its creation
        if isinstance(event, e.ChannelDeleted):
            return await self._resolve_deleted(event, webhook)
        if await self.is_channel(event.channel) or await self._was_channel(event):
            return event
        return _to_other_event(event, webhook)

    async def with_contact(self, message: MessageT) -> MessageT | None:
        """Return the event or request from the side of the account that a channel has; None if neither end is one.

        `channel` is set if only one is known to have the account. If both ends are such accounts, the receiver or
        reader is meant.
        """
        if message.channel is not None:
            return message
        if self._contacts is None:
            return None
        known = await self._contacts.channels([message.account, message.user])
        for side in (message, from_other_side(message)):
            if channels := known.get(side.account):
                return replace(side, channel=channels[0] if len(channels) == 1 else None)
        return None

    async def is_channel(self, channel: ChannelId) -> bool:
        """Return whether a group has the adapter's tag. Concurrent questions about one group are one call.

        Raises a ChannelAdapterError if it is not cached and cannot be read.
        """
        cached = self._channels.cached(channel)
        return await self._lookups.get(channel) if cached is None else cached

    async def _was_channel(self, event: e.ChannelEvent) -> bool:
        """Return whether this is a late event of a deleted channel. Much later events are about another group."""
        known = await self._registry.get(event.channel)
        if known is None or known.deleted_at is None:
            return False
        latest = 0.0 if isinstance(event, e.ChannelCreated) else LATE_SECONDS
        return event.at is None or (event.at - known.deleted_at).total_seconds() <= latest

    async def _resolve_deleted(self, event: e.ChannelDeleted, webhook: WebhookEvent) -> e.Event:
        """Decide by what is cached or registered: the service cannot be asked any more. Else it is not confirmed."""
        was_channel = self._channels.cached(event.channel, allow_stale=True)
        if await self._registry.get(event.channel) is not None:
            was_channel = True
        if was_channel is None:
            return replace(event, confirmed=False)
        return event if was_channel else _to_other_event(event, webhook)

    async def _look_up(self, channel: ChannelId) -> bool:
        return channel in await self._channels.known([channel])


class BuiltinHandlers:
    """Does the adapter's own work for an event, before the app's handlers run. All of it may be repeated.

    It corrects caches by `observe`, merges reactions, cleans up after unsubscribed users, and emits signals.
    """

    def __init__(
        self,
        observe: Callable[[e.ChannelEvent], None],
        registry: ChannelRegistry,
        invalidation: CacheInvalidationBus,
        signals: Signals,
        reactions: ReactionUpdater,
        unread: UnreadUpdater,
    ) -> None:
        self._observe = observe
        self._registry = registry
        self._invalidation = invalidation
        self._signals = signals
        self._reactions = reactions
        self._unread = unread

    async def handle(self, event: e.Event) -> None:
        """Do the work. Raises a ChannelAdapterError if a part of it failed: repeat it later."""
        if isinstance(event, e.RateAlarm):
            _log.warning("webhooks.rate_alarm", service=event.service, command=event.command, calls=event.calls,
                         allowed=event.allowed)  # fmt: skip
            await self._signals.rate_alarm.emit(event)
        if isinstance(event, e.AllRead) or (isinstance(event, e.MessageEvent) and not event.other_mode):
            await self._signals.message_event.emit(event)
        if isinstance(event, e.ChannelEvent) and not event.other_mode:
            self._observe(event)
            await self._invalidation.publish(event)
            await self._registry.observe(event)
            await self._signals.channel_event.emit(event)
            await self._update_stored(event)

    async def _update_stored(self, event: e.ChannelEvent) -> None:
        """Update what is stored."""
        match event:
            case e.ReactionChanged(ref=ref, changes=changes, cleared=cleared) if changes or cleared:
                await self._ignore_absent(
                    event, self._reactions.merge(ref, changes, cleared=event.version if cleared else 0)
                )
            case e.PostRecalled(refs=refs):
                for ref in refs:
                    await self._ignore_absent(event, self._reactions.drop(ref))
            case e.ChannelDeleted(channel=channel):
                await self._ignore_absent(event, self._signals.channel_deleted.emit(channel))
            case e.Unsubscribed(channel=channel, users=users) if not event.own:  # own calls clean up themselves
                await self._ignore_absent(event, self._reactions.left(channel, [*filter(is_user_id, users)]))

    async def _ignore_absent(self, event: e.ChannelEvent, update: Awaitable[object]) -> None:
        """Await an update; ignore a post or channel that is gone by now, and an id that cannot be ours."""
        try:
            await update
        except (NotFoundError, InvalidError) as error:
            kind = type(event).__name__
            _log.info("webhooks.nothing_to_update", channel=event.channel, event_kind=kind, error=error.kind)

    def post_steps(self, event: e.Event) -> list[HandlerStep]:
        """Return the steps that run after the app's handlers, which need not wait for them."""
        match event:
            case e.Unsubscribed(own=False, other_mode=False, channel=channel, users=users):
                return [HandlerStep(UNASSIGNING, partial(self._unassign_channel, channel, users))]
            case e.AllRead(user=user, posts=posts) if posts:
                return [HandlerStep(CATCHING_UP, partial(self._catch_up, user, posts))]
            case _:
                return []

    async def _catch_up(self, user: UserId, posts: Sequence[PostRef], _: object) -> None:
        """Correct the read positions of a user. An account that is gone by now is ignored."""
        try:
            await self._unread.catch_up(user, posts)
        except (NotFoundError, InvalidError) as error:
            _log.info("webhooks.nothing_to_update", event_kind=e.AllRead.__name__, error=error.kind)

    async def _unassign_channel(self, channel: ChannelId, users: Iterable[UserId], _: object) -> None:
        """Remove a channel from the conversation groups of users.

        Raises UnavailableError or RefusedError if it failed for some of them; it is done for the others then.
        """
        failed: list[tuple[UserId, GroupAssignment]] = []
        for user in users:
            try:
                assignment = (await self._unread.unassign_left(user, [channel]))[channel]
            except InvalidError:  # an id that no conversation group can have
                continue
            if assignment.status in (AssignmentStatus.FAILED, AssignmentStatus.UNCERTAIN):
                failed.append((user, assignment))
        if failed:
            names = ", ".join(user for user, _ in failed[:_NAMED])
            what = f"{len(failed)} not taken out of the conversation group ({names}): {failed[0][1].reason}"
            raise UnavailableError(what) if any(each.transient for _, each in failed) else RefusedError(what)


def _to_other_event(event: e.ChannelEvent | e.MessageEvent, webhook: WebhookEvent) -> e.Other:
    return e.Other(
        at=event.at,
        platform=event.platform,
        by=event.by,
        own=event.own,
        command=webhook.command,
        about=event.channel or "",
        body=webhook.body,
    )
