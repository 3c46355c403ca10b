"""Invitations: codes with which users subscribe to a channel."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from channel_adapter.domain.ids import ChannelId


class InvitationState(StrEnum):
    """Whether an invitation can be accepted."""

    OPEN = "open"
    USED_UP = "used_up"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An invitation to a channel. `uses` counts the users who subscribed with it; `max_uses` None: any number.

    `code` and `link` are known only when the invitation is created: the database keeps a hash. They are not in `repr`.
    """

    id: str
    channel: ChannelId
    state: InvitationState = InvitationState.OPEN
    uses: int = 0
    max_uses: int | None = None
    created_at: datetime
    expires_at: datetime | None = None
    code: str = field(default="", repr=False)
    link: str = field(default="", repr=False)
