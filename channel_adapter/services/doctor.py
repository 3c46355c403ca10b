"""What is wrong with this app, these settings or these channels, and what can be mended from here."""

from dataclasses import dataclass

from channel_adapter.config.extras import installed_durable_fault
from channel_adapter.domain.channel import Channel
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.ids import user_id
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import TRANSIENT
from channel_adapter.services.channels import Channels
from channel_adapter.tencent import codes
from channel_adapter.tencent.failure import duration

CLOCK_SECONDS = 60.0
"""More than this between our clock and the service's is worth a warning; signatures live for 24 hours."""


SET_THE_CLOCK = "set this machine's clock, for example by NTP"
ENABLE_COMMUNITIES = "enable Community groups in the console; they need a high plan"
REPAIR = "run the doctor with --repair"
NOTICES = (
    "no call tells whether Communities write system notices into history, as they do by default; in the console, turn"
    " off those of joining, leaving, removal, and changes of profile, owner, roles and mutes, for Community, in"
    " 'Group System Notification Configuration'"
)
TRY_AGAIN = "run the doctor again later"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `advice` says what to do when it is not well."""

    check: str
    ok: bool
    message: str
    advice: str = ""


class Doctor:
    """Looks, and mends interrupted creations when asked to; nothing else is ever written."""

    def __init__(self, channels: Channels, accounts: Accounts, admin: str, keys: FieldKeys) -> None:
        self._keys = keys
        self._channels = channels
        self._accounts = accounts
        self._admin = admin

    async def examine(self, *, clock_skew: float | None, repair: bool) -> list[Finding]:
        """All findings once the service has answered. `clock_skew`: seconds its clock is ahead of ours, if known."""
        return [
            self.clock(clock_skew),
            await self._communities(),
            self._fields(),
            Finding("notices", True, NOTICES),
            *await self._unfinished(repair),
        ]

    async def service(self) -> Finding:
        """Does it accept key, app and admin? Raises UnavailableError and its kin when it cannot be asked."""
        try:
            await self._accounts.check([self._admin])
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            return Finding("service", False, error.message, _advice(error))
        return Finding("service", True, f"answers, and accepts {self._admin!r} as an admin")

    @staticmethod
    def clock(skew: float | None) -> Finding:
        """Is our clock near enough to the service's? `skew`: seconds it is ahead of ours, None when it did not say."""
        if skew is None:
            return Finding("clock", True, "not compared: the service sent no date")
        message = f"{duration(abs(skew))} {'behind' if skew > 0 else 'ahead of'} the service's"
        ok = abs(skew) <= CLOCK_SECONDS
        return Finding("clock", ok, message, "" if ok else SET_THE_CLOCK)

    @staticmethod
    def durable(*, sqlite: bool) -> list[Finding]:
        """Return a finding if the installed versions cannot run durable work in a database of this kind."""
        fault = installed_durable_fault(sqlite=sqlite)
        return [Finding("durable", False, fault, "change what the message names")] if fault else []

    async def _communities(self) -> Finding:
        """Asking for the admin's own channels is refused with 11000 when Communities are off."""
        try:
            async for _ in self._channels.subscribed(user_id(self._admin)):
                break
        except ChannelAdapterError as error:
            off = error.code == codes.COMMUNITY_OFF
            return Finding("communities", False, error.message, ENABLE_COMMUNITIES if off else _advice(error))
        return Finding("communities", True, "enabled")

    def _fields(self) -> Finding:
        """The console alone knows which custom group fields are declared."""
        keys = ", ".join(self._keys.all())
        return Finding(
            "fields",
            True,
            f"{keys}: no call tells whether the console declares {'them' if ',' in keys else 'it'} and enables"
            f" {'them' if ',' in keys else 'it'} for Community, readable and writable by admins; a channel that is"
            " created without that is refused",
        )

    async def _unfinished(self, repair: bool) -> list[Finding]:
        """Channels whose creation stopped before posting was closed to subscribers."""
        findings: list[Finding] = []
        whole = 0
        try:
            async for channel in self._channels.all():
                if channel.complete:
                    whole += 1
                else:
                    findings.append(await self._half_made(channel, repair))
        except ChannelAdapterError as error:
            message = f"{whole} complete before the list broke off: {error.message}"
            return [Finding("channels", False, message, _advice(error)), *findings]
        return [Finding("channels", True, f"{whole} complete"), *findings]

    async def _half_made(self, channel: Channel, repair: bool) -> Finding:
        """One channel in which everybody may post; a repair that fails is a finding, and the others go on."""
        open_to_all = f"{channel.slug}: every subscriber can post"
        if not repair:
            return Finding("channel", False, open_to_all, REPAIR)
        try:
            await self._channels.finish(channel.id)
        except ChannelAdapterError as error:
            message = f"{open_to_all}, and that could not be changed: {error.message}"
            return Finding("channel", False, message, _advice(error))
        return Finding("channel", True, f"{channel.slug}: posting is closed to subscribers now")


def _advice(error: ChannelAdapterError) -> str:
    if error.code == codes.SIGNATURE_EXPIRED:
        return SET_THE_CLOCK
    if isinstance(error, TRANSIENT):
        return TRY_AGAIN
    return {
        "authentication": "compare sdkappid, key and admin with the console of this app",
        "permission": "make this account an admin of the app, or allow this machine's address",
    }.get(error.kind, "mend what the message names, in the settings or in the console")
