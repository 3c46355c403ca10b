"""Broadcasts of official accounts whose posting has moved to a channel: refused, or published there instead."""

import hashlib
from typing import TYPE_CHECKING, Final

from channel_adapter.domain import hooks
from channel_adapter.errors import InvalidError

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter

REDIRECT: Final = "redirect"
MOVING: Final = "posting moves to a channel just now: try again in a few minutes"


async def may_broadcast(adapter: "ChannelAdapter", draft: hooks.OfficialPostDraft) -> hooks.HookResponse:
    """Allow for accounts that have not moved. Drop: it was published in the channel, whose copy takes its place.

    Raises whatever makes the store or the publishing fail.
    """
    moved = adapter.posting_moved
    row = await moved.account(draft.account) if moved is not None else None
    if row is None or (not row.moved_at and row.held_until <= adapter.workings.clock.now()):
        return hooks.Allow()
    if not row.moved_at:
        return hooks.Refuse(MOVING)
    if row.guard != REDIRECT or draft.online_only:
        return hooks.Refuse(f"posting has moved to the channel {row.channel}")
    at = draft.at.isoformat() if draft.at else ""
    said = hashlib.sha256(repr(draft.parts).encode("utf-8", "surrogatepass")).hexdigest()
    key = f"redirected:{draft.account}:{at}:{said}"
    try:
        await adapter.posts.publish(row.channel, draft.parts, idempotency_key=key)
    except InvalidError as wrong:
        return hooks.Refuse(f"posting has moved to the channel {row.channel}, which cannot take this: {wrong.message}")
    return hooks.Drop()
