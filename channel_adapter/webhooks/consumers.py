"""What the adapter itself does about events, before the app hears of them. Everything here may be done twice."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Final, Protocol

import structlog

from channel_adapter.domain import events as e
from channel_adapter.domain.filing import Filing, FilingKind
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.errors import InvalidError, NotFoundError, RefusedError, UnavailableError
from channel_adapter.services.workings import Workings
from channel_adapter.webhooks.elsewhere import Elsewhere
from channel_adapter.webhooks.inbox import Step
from channel_adapter.webhooks.known_channels import KnownChannels

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


class Consumers:
    """Corrects memories, folds reactions, cleans up after who has left, slows down when the service says so.

    `unread` None: channels are not filed, so there is nothing to take out.
    """

    def __init__(
        self,
        workings: Workings,
        known: KnownChannels,
        elsewhere: Elsewhere,
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

    async def take(self, event: e.Event) -> None:
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

    def afterwards(self, event: e.Event) -> list[Step]:
        """What is to be done once the app has heard of the event: it need not wait for that, the channel does."""
        if self._unread is None or not isinstance(event, e.Unsubscribed) or event.own:
            return []
        return [Step(UNFILING, partial(self._unfile, self._unread, event.channel, event.users))]

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
