"""Where counts can be shown: tried out once an app on a message of our own, remembered in the store."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import Ladder, Rung
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping import ids
from channel_adapter.mapping.reactions import PROBE
from channel_adapter.services.bulk import TRANSIENT
from channel_adapter.services.message_keys import MessageKeys
from channel_adapter.tencent.catalog import CREATE_GROUP, DESTROY_GROUP, MODIFY_GROUP_MSG, SEND_GROUP_MSG
from channel_adapter.tencent.wire import groups, messages
from channel_adapter.tencent.wire.msg_body import TEXT, Element, TextContent

if TYPE_CHECKING:
    from channel_adapter.store.reaction_publishing import PublishingStore

SLUG: Final = "channel_adapter_probe_"
_RANDOM_BITS: Final = 32


class ReactionLadder:
    """The app's rung: remembered in the store, found out by a probe."""

    def __init__(self, gateway: ApiCaller, keys: MessageKeys, store: "PublishingStore", clock: Clock) -> None:
        self._gateway = gateway
        self._keys = keys
        self._store = store
        self._clock = clock
        self._probing = asyncio.Lock()

    async def current(self) -> Ladder:
        """What is remembered."""
        said = await self._store.rung()
        if not said:
            return Ladder()
        rung, when, reason = said.split(" ", 2)
        return Ladder(Rung(rung), reason, datetime.fromtimestamp(float(when), UTC))

    async def proven(self) -> None:
        """A count was set on a message: that is as good as a probe, if there was none."""
        if (await self.current()).rung is None:
            await self._remember(Ladder(Rung.EXTENSION, "a count was written as an extension"), before=Rung.EXTENSION)

    async def doubted(self, believed: Rung | None) -> Ladder:
        """Probe, unless somebody found out since that the app is not on the rung that was believed in."""
        async with self._probing:
            found = await self.current()
            return found if found.rung is not believed else await self.probe()

    async def probe(self, *, anew: bool = False) -> Ladder:
        """Find out anew, on a message in a group of our own that is dissolved again; nobody is in it and sees it.

        When the rung is another one than before, every post is written anew; with `anew` those that fell below the
        app's rung are in any case. Raises what the service's failures are; then what was remembered stays.
        """
        before = (await self.current()).rung
        scratch = ids.channel_id(SLUG + secrets.token_hex(4))
        request = groups.CreateGroupRequest(
            type=groups.COMMUNITY, group_id=scratch, name=SLUG, support_topic=0, apply_join_option=groups.DISABLE_APPLY
        )
        await self._gateway.call(CREATE_GROUP, request)
        try:
            found = await self._try_out(await self._message(scratch))
        finally:
            await self._gateway.call(DESTROY_GROUP, groups.DestroyGroupRequest(group_id=scratch))
        return await self._remember(found, before=before, anew=anew)

    async def finding(self) -> HealthCheckResult:
        """For the doctor: where the counts of this app are shown."""
        found = await self.current()
        if found.rung is None:
            return HealthCheckResult(
                "reactions", True, "store; not known yet where counts can be shown: reactions probe finds out"
            )
        message = f"store; counts are shown as {found.rung.value.replace('_', ' ')}: {found.reason}"
        if found.rung is Rung.EXTENSION:
            return HealthCheckResult("reactions", True, message)
        advice = "enable message extensions in the console, they need a high plan; then run reactions probe"
        return HealthCheckResult("reactions", False, message, advice)

    async def _message(self, scratch: ChannelId) -> PostRef:
        body = Element(msg_type=TEXT, msg_content=TextContent(text=SLUG).to_wire())
        request = messages.SendGroupMsgRequest(
            group_id=scratch,
            random=secrets.randbits(_RANDOM_BITS),
            msg_body=[body],
            support_message_extension=1,
            forbid_callback_control=[messages.FORBID_BEFORE, messages.FORBID_AFTER],
        )
        reply = await self._gateway.call(SEND_GROUP_MSG, request)
        return PostRef(scratch, reply.msg_seq or 1)

    async def _try_out(self, ref: PostRef) -> Ladder:
        try:
            results = await self._keys.set(ref, [PROBE])
            code = next((result.error_code for result in results), 0)
            refusal = f"code {code}" if code else ""
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            refusal = error.message
        if not refusal:
            return Ladder(Rung.EXTENSION, "probed")
        request = messages.ModifyGroupMsgRequest(group_id=ref.channel, msg_seq=ref.seq, cloud_custom_data="{}")
        try:
            await self._gateway.call(MODIFY_GROUP_MSG, request)
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            return Ladder(Rung.STORE, f"{refusal}; {error.message}")
        return Ladder(Rung.CUSTOM_DATA, refusal)

    async def _remember(self, found: Ladder, *, before: Rung | None, anew: bool = False) -> Ladder:
        rung, now = found.rung or Rung.STORE, self._clock.now()
        said = f"{rung.value} {now:.3f} {found.reason}"
        await self._store.climb(said, now, everywhere=rung is not before, fallen=anew)
        return Ladder(rung, found.reason, datetime.fromtimestamp(now, UTC))
