"""Staff of a channel: owner and admins, blocked users, and the flags that the operator of the app sets."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from channel_adapter.backends.protocols import Backend
from channel_adapter.domain import events as e
from channel_adapter.domain.channel import SUSPENDED, VERIFIED, Channel
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import (
    BlockedUser,
    Outcome,
    OutcomeKind,
    Outcomes,
    Role,
    Subscriber,
)
from channel_adapter.errors import ChannelAdapterError, OutcomeUnknownError, UnavailableError
from channel_adapter.mapping import ids
from channel_adapter.mapping.text import require_list
from channel_adapter.services.blocks import Blocklist
from channel_adapter.services.bulk import BulkLoop, BulkOptions, collect, require_users
from channel_adapter.services.directory import Directory
from channel_adapter.services.signals import Signals
from channel_adapter.services.subscriptions import Subscriptions

_ROLES_PER_BATCH: Final = 20
_OWNER_STAYS: Final = "the owner cannot be blocked; transfer the channel first"


class ChannelStaff:
    """Methods of `channels` about owner, admins and blocked users. Each accepts a channel by slug or by id."""

    def __init__(
        self,
        backend: Backend,
        signals: Signals,
        subscriptions: Subscriptions,
        blocks: Blocklist,
        directory: Directory,
        bulk: BulkOptions,
    ) -> None:
        self._channels = backend.channels
        self._members = backend.members
        self._ids = backend.ids
        self._signals = signals
        self._subscriptions = subscriptions
        self._blocks = blocks
        self._directory = directory
        self._bulk = bulk

    async def staff(self, channel: str) -> tuple[Subscriber, ...]:
        """Return the owner, if there is one, and the admins. Raises NotFoundError."""
        return tuple(await self._members.staff(self._ids.channel(channel)))

    async def promote(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Make subscribers admins, who may post and change the profile, and return one outcome for each.

        `changed`: an admin now; `already`: was an admin; `not_subscribed`: must subscribe first; `refused`: the owner,
        or one whom the service declines. Raises NotFoundError for the channel.
        """
        return await self._set_role(channel, users, Role.ADMIN)

    async def demote(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Make admins subscribers without a role again, and return one outcome for each, as `promote` does.

        The owner is `refused`: use `transfer`.
        """
        return await self._set_role(channel, users, Role.SUBSCRIBER)

    async def transfer(self, channel: str, new_owner: str) -> Channel:
        """Make a subscriber the owner, and return the channel. The owner before stays subscribed, without a role.

        Posts are published as the new owner from now on. Signals OwnerChanged, by which the caches of this process, and
        with a database those of the receivers, are corrected; repeating changes nothing. Raises NotFoundError for a
        user who is not an account of the app or not subscribed.
        """
        wanted, user = self._ids.channel(channel), ids.user_id(new_owner, "new_owner")
        old_owner = await self._members.transfer(wanted, user)
        await self._signal_changes(wanted, [e.OwnerChanged(channel=wanted, old_owner=old_owner, new_owner=user)])
        return await self._channels.get(wanted)

    async def block(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Remove users from a channel and keep them out of it, in every process; return one outcome for each.

        `added`: blocked now; `already`: was blocked; `refused`: the owner; `failed`: blocked, and still subscribed:
        blocking again removes the user. The guard refuses blocked users too, in addition to those of `guard.blocked` in
        the settings. Raises NotFoundError, and ConfigurationError without `database_url`.
        """
        wanted = self._ids.channel(channel)
        accounts = _require_distinct(users)
        owner = (await self._channels.get(wanted)).owner
        others = [user for user in accounts if user != owner]
        new = await self._blocks.add(wanted, others)
        try:
            removed = await self._subscriptions.unsubscribe(wanted, others)
        except ChannelAdapterError as error:
            raise type(error)(
                f"the users are blocked in {wanted}, not all of them are removed: {error.message}; block them again",
                field=error.field, origin=error.origin,
            ) from error  # fmt: skip
        outcomes = {outcome.user: _to_block_outcome(outcome, new) for outcome in removed}
        return Outcomes(tuple(outcomes.get(user) or _to_refused_outcome(user) for user in accounts))

    async def unblock(self, channel: str, users: Iterable[str]) -> Outcomes:
        """Allow users to subscribe again; they are not subscribed by this. Return one outcome for each.

        `removed`: not blocked any more; `already`: was not blocked. Raises NotFoundError, and ConfigurationError
        without `database_url`.
        """
        wanted, accounts = self._ids.channel(channel), _require_distinct(users)
        await self._channels.require(wanted)
        gone = await self._blocks.remove(wanted, accounts)
        kinds = {user: OutcomeKind.REMOVED if user in gone else OutcomeKind.ALREADY for user in accounts}
        return Outcomes(tuple(Outcome(user, kind) for user, kind in kinds.items()))

    async def blocked(self, channel: str) -> AsyncIterator[BlockedUser]:
        """Yield the users whom `block` keeps out of a channel, by id, and since when.

        Raises NotFoundError, and ConfigurationError without `database_url`.
        """
        wanted = self._ids.channel(channel)
        await self._channels.require(wanted)
        async for user in self._blocks.all(wanted):
            yield user

    async def suspend(self, channel: str) -> bool:
        """Close posting and subscribing, for the owner and admins too; return False if it was so already.

        Posts and subscriptions that exist stay, and may be read, edited and recalled. `publish` and `subscribe` refuse;
        the guard refuses client apps, as for `guard.closed` of the settings; users cannot join by themselves. Receivers
        on the same database know it within a second, other processes within `channels.cache_seconds`.
        """
        return await self._set_flag(channel, SUSPENDED, wanted=True)

    async def resume(self, channel: str) -> bool:
        """Open posting and subscribing again; return False if the channel was not suspended."""
        return await self._set_flag(channel, SUSPENDED, wanted=False)

    async def verify(self, channel: str) -> bool:
        """Mark a channel as verified by the operator of the app; return False if it was so already."""
        return await self._set_flag(channel, VERIFIED, wanted=True)

    async def unverify(self, channel: str) -> bool:
        """Remove the mark of `verify`; return False if there was none."""
        return await self._set_flag(channel, VERIFIED, wanted=False)

    async def _set_role(self, channel: str, users: Iterable[str], role: Role) -> Outcomes:
        wanted = self._ids.channel(channel)

        async def then(outcomes: Sequence[Outcome], ended: bool) -> Sequence[Outcome]:
            changes = (
                e.RoleChanged(channel=wanted, user=UserId(outcome.user), role=role)
                for outcome in outcomes
                if outcome.kind is OutcomeKind.CHANGED
            )
            await self._signal_changes(wanted, changes)
            return outcomes

        return await collect(
            BulkLoop(self._bulk).outcomes(
                require_users(users),
                lambda: _ROLES_PER_BATCH,
                partial(self._members.set_role, wanted, role=role),
                then=then,
                prepare=partial(self._channels.require, wanted),
            )
        )

    async def _set_flag(self, channel: str, name: str, *, wanted: bool) -> bool:
        """Set or remove an attribute; return whether that changed something. The channel is read first."""
        id_ = self._ids.channel(channel)
        self._channels.forget(id_)
        if (name in await self._channels.attributes(id_)) is wanted:
            return False
        await self._channels.set_attributes(id_, {name: "1" if wanted else None})
        await self._signal_changes(id_, [e.ChannelChanged(channel=id_)])
        if name == VERIFIED:
            await self._directory.record(await self._channels.get(id_))
        return True

    async def _signal_changes(self, channel: ChannelId, events: Iterable[e.ChannelEvent]) -> None:
        """Signal changes that were made. Raises an error that says so if other processes cannot be notified of one."""
        at = datetime.fromtimestamp(self._bulk.clock.now(), UTC)
        try:
            await self._signals.channel_changed.emit(*(replace(event, at=at, own=True) for event in events))
        except (OutcomeUnknownError, UnavailableError) as error:
            raise type(error)(
                f"channel {channel} is changed, and other processes learn of it late, within"
                f" channels.cache_seconds: {error.message}"
            ) from error


def _require_distinct(users: Iterable[str]) -> list[UserId]:
    """Return the ids of different users. Raises InvalidError."""
    accounts = users if isinstance(users, Collection) else [*require_list(users, "users")]
    return [UserId(user) for user in dict.fromkeys(require_users(accounts))]


def _to_block_outcome(removed: Outcome, new: Collection[str]) -> Outcome:
    """Return the outcome of blocking a user, from the outcome of the removal."""
    if not removed.done:
        return Outcome(removed.user, OutcomeKind.FAILED, f"blocked, and still subscribed: {removed.reason}")
    added = removed.user in new or removed.kind is OutcomeKind.REMOVED
    return Outcome(removed.user, OutcomeKind.ADDED if added else OutcomeKind.ALREADY, assignment=removed.assignment)


def _to_refused_outcome(user: str) -> Outcome:
    return Outcome(user, OutcomeKind.REFUSED, _OWNER_STAYS)
