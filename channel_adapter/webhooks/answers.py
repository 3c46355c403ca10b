"""What a webhook is answered: a value, and its bytes."""

from dataclasses import dataclass
from typing import Final

from channel_adapter.tencent.wire.callback_envelope import ALLOW, DROP, REFUSE, CallbackReply


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The body of an HTTP 200. `outcome` is what is counted: allowed, refused, dropped, rewritten, partly."""

    outcome: str
    body: bytes

    @property
    def allows(self) -> bool:
        """What was asked about goes on, perhaps changed."""
        return self.outcome in ("allowed", "rewritten", "partly")

    def to_json(self) -> bytes:
        return self.body

    @classmethod
    def of(cls, reply: CallbackReply) -> "CallbackAnswer":
        """The answer that `reply` is."""
        if reply.error_code == ALLOW:
            changed = reply.msg_body is not None or reply.cloud_custom_data is not None
            outcome = "rewritten" if changed else "partly" if reply.refused_members else "allowed"
        else:
            outcome = "dropped" if reply.error_code == DROP else "refused"
        return cls(outcome, reply.to_json())


ALLOWED: Final = CallbackAnswer.of(CallbackReply())
"""Also what every after-webhook is answered."""
REFUSED: Final = CallbackAnswer.of(CallbackReply(error_code=REFUSE))
