"""Invitations: codes with which users subscribe to a channel, as often as they may be used and no more."""

import base64
import hashlib
import io
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.batch_loader import BatchLoader
from channel_adapter.concurrency.clock import Clock
from channel_adapter.concurrency.single_flight import SingleFlight
from channel_adapter.config.extras import needs_extra
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.invitation import Invitation, InvitationState
from channel_adapter.domain.subscription import Outcome, OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    UnavailableError,
    needs_database,
)
from channel_adapter.mapping import ids
from channel_adapter.mapping.text import require_text
from channel_adapter.mapping.times import to_utc
from channel_adapter.quoting import shown_value
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.subscriptions import Subscriptions

if TYPE_CHECKING:
    from channel_adapter.store.invitations import InvitationRows, KeptInvitation, Reserved

CODE_BYTES: Final = 16
"""Random bytes of a code: 128 bits, 26 letters and digits (base 32), so that a command never takes it for an option."""
MAX_USES: Final = 1_000_000_000
MAX_SCALE: Final = 1_000
_CODE: Final = re.compile(r"[a-z2-7]{26}")
_ID_BEGINS: Final = "inv_"
_ID: Final = re.compile(rf"{_ID_BEGINS}[0-9a-f]{{16}}")
_BUSY_INTERVAL: Final = 0.25
_RESERVE_SECONDS: Final = 120.0
"""How long a use is reserved at least: longer than a subscription takes with all its attempts."""
_PER_BATCH: Final = 500
_SUBSCRIBED: Final = frozenset({OutcomeKind.ADDED, OutcomeKind.PENDING})


class Invites:
    """Invitations to channels. Every method raises ConfigurationError without `database_url`.

    A code is 128 random bits. The database keeps its SHA-256 hash, with which no invitation can be accepted; `list`
    returns the id of the invitation, with which it can be revoked and not accepted.
    """

    def __init__(
        self,
        backend: Backend,
        rows: "InvitationRows | None",
        subscriptions: Subscriptions,
        link_template: str | None,
        max_wait: float,
        clock: Clock,
    ) -> None:
        """`max_wait` is how long `accept` waits for uses that others have reserved, in seconds."""
        self._backend = backend
        self._rows = rows
        self._subscriptions = subscriptions
        self._link_template = link_template
        self._max_wait = max_wait
        self._clock = clock
        self._reserving: BatchLoader[str, UserId, Reserved] = BatchLoader(self._reserve_batch, max_items=_PER_BATCH)
        self._finding: SingleFlight[str, KeptInvitation] = SingleFlight(self._find_invitation)
        self._checking: BatchLoader[ChannelId, UserId, bool] = BatchLoader(self._check_subscribed, max_items=_PER_BATCH)

    async def create(
        self, channel: str, *, max_uses: int | None = None, expires: datetime | timedelta | None = None
    ) -> Invitation:
        """Create an invitation; its `code`, and its `link` by `invites.link_template`, are known from this alone.

        `max_uses` users may subscribe with it, None: any number; until `expires`, an aware datetime or a time from now,
        None: for ever. Raises InvalidError, and NotFoundError for the channel.
        """
        rows, wanted = self._require_rows(), self._backend.ids.channel(channel)
        if max_uses is not None and (
            isinstance(max_uses, bool) or not isinstance(max_uses, int) or not 1 <= max_uses <= MAX_USES
        ):
            size = max_uses if isinstance(max_uses, int) and not isinstance(max_uses, bool) else None
            raise InvalidError(
                f"max_uses must be 1 to {MAX_USES:,}; got {shown_value(max_uses)}",
                field="max_uses",
                limit=MAX_USES,
                size=size,
            )
        created_at = datetime.fromtimestamp(self._clock.now(), UTC)
        expires_at = None if expires is None else _require_expiry(expires, created_at)
        found = await self._backend.channels.get(wanted)
        code = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().rstrip("=").lower()
        template = self._link_template or ""
        invitation = Invitation(
            id=f"{_ID_BEGINS}{secrets.token_hex(8)}",
            channel=wanted,
            max_uses=max_uses,
            created_at=created_at,
            expires_at=expires_at,
            code=code,
            link=template.replace("{slug}", found.slug).replace("{code}", code),
        )
        await rows.add(invitation, _hash_code(code))
        return invitation

    async def accept(self, code: str, *, user: str) -> Outcome:
        """Subscribe a user with the code of an invitation: `added`, or `already`, which uses up nothing.

        A use is reserved in the database before the user is subscribed, so no more users than `max_uses` subscribe with
        it, in any number of processes. A subscription that another program makes at the same moment counts too. One
        that fails gives the use back; one that was interrupted does so after some minutes. A user who has used the
        invitation may use it again. Raises NotFoundError for a wrong code, PermissionDeniedError for an invitation that
        has expired or was revoked, LimitReachedError for one that is used up and for a channel without room,
        RefusedError for a user who is blocked or a channel that is suspended, NotFoundError for an unknown account, and
        UnavailableError.
        """
        rows, account = self._require_rows(), ids.user_id(user)
        invitation = (await self._finding.get(_require_code(code))).invitation
        if invitation.state in (InvitationState.EXPIRED, InvitationState.REVOKED):
            raise _to_refusal_error(invitation.state)
        if await self._checking.load(invitation.channel, account):
            return Outcome(account, OutcomeKind.ALREADY)
        held = await self._reserve_use(invitation, code, account)
        failpoint("invites.reserved")
        outcome, failure = await self._subscribe_user(invitation, account)
        failpoint("invites.subscribed")
        if outcome.kind is OutcomeKind.ALREADY and not held:  # since the check: by an attempt whose answer was lost
            outcome = replace(outcome, kind=OutcomeKind.ADDED)
        if outcome.kind in _SUBSCRIBED:
            if await rows.confirm(invitation.id, account, self._clock.now()):
                return outcome
            await self._subscriptions.unsubscribe(invitation.channel, [account])
            raise _to_refusal_error(InvitationState.USED_UP)
        if not held:
            await rows.release(invitation.id, account)
        if outcome.kind is OutcomeKind.ALREADY:
            return outcome
        raise failure or _to_outcome_error(outcome, invitation.channel)

    async def revoke(self, invitation: str, *, channel: str | None = None) -> bool:
        """Revoke an invitation by its id or its code; return False if it was revoked before.

        Users who have subscribed with it stay subscribed. Raises NotFoundError, also for one to another channel than
        `channel`, and InvalidError for one to a channel of the other mode.
        """
        wanted = None if channel is None else self._backend.ids.channel(channel)
        rows, name = self._require_rows(), require_text(invitation, "invitation", empty=False)
        found = revoked = None
        if _CODE.fullmatch(name) or _ID.fullmatch(name):
            found = await rows.find(_hash_code(name) if _CODE.fullmatch(name) else name, self._clock.now())
        if found is not None and wanted in (None, found.invitation.channel):
            self._backend.ids.channel(found.invitation.channel)
            revoked = await rows.revoke(found.invitation.id, self._clock.now())
        if revoked is None:
            raise NotFoundError("there is no such invitation", field="invitation")
        return revoked

    def list(self, channel: str | None = None) -> AsyncIterator[Invitation]:
        """Yield the invitations of a channel, or of all channels, by id, without codes and links."""
        wanted = None if channel is None else self._backend.ids.channel(channel)
        return self._require_rows().all(wanted, self._backend.ids.prefix, self._clock.now())

    def qr(self, invitation: Invitation, *, scale: int = 8) -> str:
        """Return an SVG image with the QR code of an invitation that was just created: its link, or else its code.

        `scale` is the width of a module in pixels. Raises InvalidError for another scale than 1 to 1,000 and for an
        invitation without its code, and ConfigurationError without the extra `invites`.
        """
        if isinstance(scale, bool) or not isinstance(scale, int) or not 1 <= scale <= MAX_SCALE:
            raise InvalidError(
                f"scale must be 1 to {MAX_SCALE:,}; got {shown_value(scale)}", field="scale", limit=MAX_SCALE
            )
        if not invitation.code:
            raise InvalidError(
                "the code of an invitation is known only when it is created; create another one", field="invitation"
            )
        with needs_extra("a QR code"):
            import segno  # noqa: PLC0415 - an extra
        image = io.BytesIO()
        segno.make(invitation.link or invitation.code, micro=False).save(image, kind="svg", scale=scale, xmldecl=False)
        return image.getvalue().decode()

    async def drop(self, channel: ChannelId) -> None:
        """Delete the invitations of a deleted channel."""
        if self._rows is not None:
            await self._rows.drop(channel)

    async def _find_invitation(self, code: str) -> "KeptInvitation":
        """Return the invitation with a code, after its overdue reservations are confirmed or released.

        Raises NotFoundError, and InvalidError for one to a channel of the other mode.
        """
        found = await self._require_rows().find(_hash_code(code), self._clock.now())
        if found is None:
            raise _wrong_code()
        self._backend.ids.channel(found.invitation.channel)
        if found.overdue:
            await self._settle_overdue(found)
        return found

    async def _settle_overdue(self, found: "KeptInvitation") -> None:
        """Confirm the uses of users who were subscribed before their process ended, and release the others."""
        rows, invitation = self._require_rows(), found.invitation
        inside = await self._backend.members.subscribed(invitation.channel, found.overdue)
        for user, subscribed in inside.items():
            if subscribed:
                await rows.confirm(invitation.id, user, self._clock.now())
            else:
                await rows.release_overdue(invitation.id, user, self._clock.now())

    async def _reserve_use(self, invitation: Invitation, code: str, user: UserId) -> bool:
        """Reserve a use, and wait while all that are left are reserved; return whether another call holds this one."""
        from channel_adapter.store.invitations import Reserved  # noqa: PLC0415 - an extra

        deadline = self._clock.monotonic() + self._max_wait
        while True:
            result = await self._reserving.load(invitation.id, user)
            if result in (Reserved.DONE, Reserved.HELD):
                return result is Reserved.HELD
            if result is not Reserved.BUSY:
                raise _to_refusal_error(InvitationState(result.value))
            if self._clock.monotonic() > deadline:
                raise UnavailableError("every use of the invitation is being accepted by another user; try again")
            await self._clock.sleep(_BUSY_INTERVAL)
            await self._finding.get(code)  # uses that are overdue are released, or confirmed

    async def _subscribe_user(self, invitation: Invitation, user: UserId) -> tuple[Outcome, ChannelAdapterError | None]:
        """Subscribe a user; return the outcome, and the error that ended the call if the user is not subscribed.

        After a failure that may have been carried out, the subscription is looked up; if that fails too, the error is
        raised and the use stays reserved.
        """
        failure: ChannelAdapterError | None = None
        try:
            (outcome,) = await self._subscriptions.subscribe(invitation.channel, [user])
        except ChannelAdapterError as error:
            failure, outcome = error, Outcome(user, OutcomeKind.FAILED, error.message)
        if outcome.kind is not OutcomeKind.FAILED or isinstance(failure, NotFoundError):
            return outcome, failure
        if (await self._backend.members.subscribed(invitation.channel, [user]))[user]:
            return Outcome(user, OutcomeKind.ADDED), None
        return outcome, failure

    async def _reserve_batch(self, invitation: str, users: Sequence[UserId]) -> "Sequence[Reserved]":
        seconds = max(_RESERVE_SECONDS, 4 * self._max_wait)
        return await self._require_rows().reserve(invitation, users, seconds, self._clock.now())

    async def _check_subscribed(self, channel: ChannelId, users: Sequence[UserId]) -> Sequence[bool]:
        found = await self._backend.members.subscribed(channel, list(dict.fromkeys(users)))
        return [found[user] for user in users]

    def _require_rows(self) -> "InvitationRows":
        if self._rows is None:
            raise needs_database("invitations are kept in a database")
        return self._rows


def _require_code(code: object) -> str:
    """Return a text that can be a code. Raises NotFoundError."""
    if not isinstance(code, str) or not _CODE.fullmatch(code):
        raise _wrong_code()
    return code


def _wrong_code() -> NotFoundError:
    return NotFoundError("there is no invitation with this code", field="code")


def _hash_code(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()


def _require_expiry(expires: object, now: datetime) -> datetime:
    """Return the time at which an invitation expires. Raises InvalidError for a time that has passed."""
    if isinstance(expires, timedelta):
        try:
            expires = now + expires
        except OverflowError:
            raise InvalidError("expires is after the year 9999; leave it out", field="expires") from None
    if not isinstance(expires, datetime):
        raise InvalidError(f"expires must be a datetime or a timedelta; got {shown_value(expires)}", field="expires")
    found = to_utc(expires, "expires")
    if found <= now:
        raise InvalidError(f"expires: {expires} has passed", field="expires")
    return found


def _to_refusal_error(state: InvitationState) -> ChannelAdapterError:
    """Return the error for an invitation that cannot be accepted."""
    match state:
        case InvitationState.EXPIRED:
            return PermissionDeniedError("the invitation has expired", field="code")
        case InvitationState.REVOKED:
            return PermissionDeniedError("the invitation was revoked", field="code")
        case _:
            return LimitReachedError("the invitation is used up", field="code")


def _to_outcome_error(outcome: Outcome, channel: ChannelId) -> ChannelAdapterError:
    """Return the error for an outcome that is no subscription."""
    reason = f": {outcome.reason}" if outcome.reason else ""
    match outcome.kind:
        case OutcomeKind.NOT_FOUND:
            return NotFoundError(f"user {outcome.user!r} is not an account of the app{reason}", field="user")
        case OutcomeKind.FULL:
            return LimitReachedError(f"channel {channel} has no room{reason}", field="channel")
        case OutcomeKind.TOO_MANY_CHANNELS:
            return LimitReachedError(f"user {outcome.user!r} is in as many channels as the plan allows", field="user")
        case OutcomeKind.FAILED:
            return UnavailableError(f"user {outcome.user!r} was not subscribed{reason}; the invitation is not used")
        case _:
            return RefusedError(f"user {outcome.user!r} cannot subscribe to {channel}{reason}", field="user")
