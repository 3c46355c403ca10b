"""From a kept webhook to the event that the app's handlers get."""

from typing import TYPE_CHECKING

from channel_adapter.domain import events as e
from channel_adapter.webhooks.cache_invalidation import open_invalidation_bus
from channel_adapter.webhooks.channel_registry import open_channel_registry
from channel_adapter.webhooks.inbox import HandlerStep
from channel_adapter.webhooks.parse import WebhookEvent

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

import structlog

from channel_adapter.domain.filing import Filing, FilingKind
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from channel_adapter.mapping.callback_event import to_event
from channel_adapter.services.directory import Directory
from channel_adapter.services.workings import Workings
from channel_adapter.webhooks.cache_invalidation import CacheInvalidationBus
from channel_adapter.webhooks.channel_registry import ChannelRegistry


class EventPipeline:
    """Interpretation, then the adapter's own consumers, then the choice of what the app wants to hear."""

    def __init__(self, adapter: "ChannelAdapter") -> None:
        settings = adapter.settings
        workings = adapter.workings
        url = settings.database_url.get_secret_value() if settings.database_url is not None else None
        self.registry = open_channel_registry(url)
        self.invalidation = open_invalidation_bus(url, workings.directory, workings.roles)
        self.resolver = EventResolver(workings.directory, self.registry, admin=settings.admin)
        unread = adapter.unread if settings.unread.filing else None
        self._builtin = BuiltinHandlers(
            workings, self.registry, self.invalidation, reactions=adapter.reactions, unread=unread
        )
        self._own_echoes = settings.webhooks.own_echoes
        self._other_groups = settings.webhooks.other_groups

    async def handle(self, received: WebhookEvent) -> e.Event | None:
        """The event for the app's handlers; None when nobody is to hear of it.

        May be repeated with the same webhook as often as one likes. Raises a ChannelAdapterError when the service or
        the store has to be asked and fails: repeat it later.
        """
        event = await self.resolver.resolve(received)
        await self._builtin.handle(event)
        return event if self._wanted(event) else None

    def post_steps(self, event: e.Event) -> list[HandlerStep]:
        """The adapter's own work that comes after the app's handlers, and fails for itself."""
        return self._builtin.post_steps(event)

    async def aclose(self) -> None:
        """Close what was opened for it; the adapter does it when it closes."""
        await self.registry.aclose()
        await self.invalidation.aclose()

    def _wanted(self, event: e.Event) -> bool:
        if isinstance(event, e.Other) and not self._other_groups:
            return False
        return self._own_echoes or not event.own


LATE_SECONDS: Final = 60.0
"""How long after a deletion something may still have happened in the channel, by the service's times."""


class EventResolver:
    """Turns WebhookEvent into events. Everything about a group that is no channel becomes Other."""

    def __init__(self, directory: Directory, known: ChannelRegistry, *, admin: str) -> None:
        self._directory = directory
        self._known = known
        self._admin = admin
        self._asked: dict[ChannelId, asyncio.Task[bool]] = {}

    async def resolve(self, received: WebhookEvent) -> e.Event:
        """The event. Raises a ChannelAdapterError when the tag has to be read and cannot: try again later."""
        event = to_event(received.command, received.body, received.query, admin=self._admin)
        if not isinstance(event, e.ChannelEvent):
            return event
        if isinstance(event, e.ChannelCreated) and not self._directory.remembered(event.channel):
            self._directory.forget(event.channel)  # before it was made, it was rightly remembered as none
        if isinstance(event, e.ChannelDeleted):
            return await self._deleted(event, received)
        if await self.is_channel(event.channel) or await self._was_channel(event):
            return event
        return _other(event, received)

    async def is_channel(self, channel: ChannelId) -> bool:
        """Has it our tag? Many questions at once about one group are one call."""
        remembered = self._directory.remembered(channel)
        if remembered is None:
            task = self._asked.get(channel)
            if task is None:
                task = self._asked[channel] = asyncio.ensure_future(self._look_up(channel))
                task.add_done_callback(lambda done: self._answered(channel, done))
            remembered = await asyncio.shield(task)
        return remembered

    async def _was_channel(self, event: e.ChannelEvent) -> bool:
        """Is it a late event of a channel that is deleted now? What comes much later is about another group."""
        known = await self._known.get(event.channel)
        if known is None or known.deleted_at is None:
            return False
        latest = 0.0 if isinstance(event, e.ChannelCreated) else LATE_SECONDS
        return event.at is None or (event.at - known.deleted_at).total_seconds() <= latest

    def _answered(self, channel: ChannelId, task: "asyncio.Task[bool]") -> None:
        del self._asked[channel]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits any more

    async def _deleted(self, event: e.ChannelDeleted, received: WebhookEvent) -> e.Event:
        """The service has nothing left to ask about it: what is remembered decides, and what is not, is told so."""
        was_channel = self._directory.remembered(event.channel, however_old=True)
        if await self._known.get(event.channel) is not None:
            was_channel = True
        if was_channel is None:
            return replace(event, confirmed=False)
        return event if was_channel else _other(event, received)

    async def _look_up(self, channel: ChannelId) -> bool:
        return channel in await self._directory.fields([channel])


def _other(event: e.ChannelEvent, received: WebhookEvent) -> e.Other:
    return e.Other(
        at=event.at,
        platform=event.platform,
        by=event.by,
        own=event.own,
        command=received.command,
        about=event.channel,
        body=received.body,
    )


UNFILING: Final = "channel_adapter.unfiling"
"""The step that takes who left out of the conversation group."""
_NAMED: Final = 5

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


class Reactions(Protocol):
    """Where reactions are kept."""

    async def fold(self, ref: PostRef, changes: Sequence[ReactionChange], *, cleared: int = 0) -> object:
        """Take in changes that were made elsewhere; keys up to version `cleared` are gone."""

    async def drop(self, ref: PostRef) -> object:
        """Forget the reactions of a post that is gone."""

    async def drop_channel(self, channel: str) -> object:
        """Forget those of all posts of a channel that is gone."""

    async def left(self, channel: str, users: Iterable[str]) -> object:
        """These people went; the settings say what becomes of their reactions."""


class Unread(Protocol):
    """Where conversations are filed."""

    async def unfile_left(self, user: str, channels: Iterable[str]) -> Mapping[ChannelId, Filing]:
        """Take channels that a user has left out of their conversation groups, unless they follow them again."""


class BuiltinHandlers:
    """Corrects memories, folds reactions, cleans up after who has left, slows down when the service says so.

    `unread` None: channels are not filed, so there is nothing to take out.
    """

    def __init__(
        self,
        workings: Workings,
        known: ChannelRegistry,
        elsewhere: CacheInvalidationBus,
        *,
        reactions: Reactions,
        unread: Unread | None,
    ) -> None:
        self._directory = workings.directory
        self._roles = workings.roles
        self._uncounted = workings.uncounted
        self._slow_down = workings.slow_down
        self._known = known
        self._elsewhere = elsewhere
        self._reactions = reactions
        self._unread = unread

    async def handle(self, event: e.Event) -> None:
        """Raises a ChannelAdapterError when something could not be done: take the event again later."""
        if isinstance(event, e.RateAlarm):
            _log.warning("webhooks.rate_alarm", service=event.service, command=event.command, calls=event.calls,
                         allowed=event.allowed)  # fmt: skip
            self._slow_down(event.service, event.command)
        if isinstance(event, e.ChannelEvent):
            self._correct(event)
            await self._elsewhere.tell(event)
            await self._known.learn(event)
            await self._follow(event)

    def _correct(self, event: e.ChannelEvent) -> None:
        """Memories of what has changed now. Own changes are known to the service that made them, in this process."""
        match event:
            case e.RoleChanged(channel=channel, user=user):
                self._roles.forget(channel, [user])
            case e.OwnerChanged(channel=channel):
                self._roles.forget(channel)
                self._directory.forget(channel)
            case e.Unsubscribed(channel=channel, users=users):
                self._roles.forget(channel, users)
            case e.ChannelDeleted(channel=channel):
                self._roles.forget(channel)
                self._directory.forget(channel)
                self._uncounted.forget(channel)
            case e.PostRecalled(channel=channel, refs=refs):
                for ref in refs:
                    self._uncounted.add(channel, ref.seq)  # nobody has it unread any more
            case e.ChannelChanged(channel=channel):
                self._directory.forget(channel)

    async def _follow(self, event: e.ChannelEvent) -> None:
        """What is stored elsewhere. What is gone meanwhile, or has no id that could be ours, needs nothing."""
        try:
            match event:
                case e.ReactionChanged(ref=ref, changes=changes, cleared=cleared) if changes or cleared:
                    await self._reactions.fold(ref, changes, cleared=event.version if cleared else 0)
                case e.PostRecalled(refs=refs):
                    for ref in refs:
                        await self._reactions.drop(ref)
                case e.ChannelDeleted(channel=channel):
                    await self._reactions.drop_channel(channel)
                case e.Unsubscribed(channel=channel, users=users) if not event.own:  # own ones are cleaned up after
                    await self._reactions.left(channel, users)
        except (NotFoundError, InvalidError) as gone:
            kind = type(event).__name__
            _log.info("webhooks.nothing_to_follow", channel=event.channel, event_kind=kind, error=gone.kind)

    def post_steps(self, event: e.Event) -> list[HandlerStep]:
        """What is to be done once the app has heard of the event: it need not wait for that, the channel does."""
        if self._unread is None or not isinstance(event, e.Unsubscribed) or event.own:
            return []
        return [HandlerStep(UNFILING, partial(self._unfile, self._unread, event.channel, event.users))]

    async def _unfile(self, unread: Unread, channel: ChannelId, users: Iterable[UserId], _: object) -> None:
        """Raises UnavailableError or RefusedError for those who could not be taken out; the others are then."""
        failed: list[tuple[UserId, Filing]] = []
        for user in users:
            try:
                filing = (await unread.unfile_left(user, [channel]))[channel]
            except InvalidError:  # no id that could be in a conversation group
                continue
            if filing.kind in (FilingKind.FAILED, FilingKind.UNCERTAIN):
                failed.append((user, filing))
        if failed:
            names = ", ".join(user for user, _ in failed[:_NAMED])
            what = f"{len(failed)} not taken out of the conversation group ({names}): {failed[0][1].reason}"
            raise UnavailableError(what) if any(each.passing for _, each in failed) else RefusedError(what)
