"""Why a request is no webhook of ours: the reasons, their HTTP status, and the exception that carries one."""

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Counted and logged under these names. The sender takes any status but 200 as a failure [doc 34354]."""

    MALFORMED = "malformed"  # not HTTP
    METHOD = "method"  # not POST
    QUERY = "query"  # a parameter twice with different values, or unreadable
    WRONG_APP = "wrong_app"
    UNSIGNED = "unsigned"  # a token is set and Sign or RequestTime is missing
    STALE = "stale"  # RequestTime is no number, or too far from now
    SIGNATURE = "signature"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"  # requests at once
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    COMMAND = "command"  # absent, too long, or another one in the URL than in the body
    NOT_STORED = "not_stored"  # the inbox could not keep it: the sender must not believe that it did

    @property
    def status(self) -> int:
        """The HTTP status of the answer [webhooks 9]."""
        return _STATUS.get(self, 400)


_STATUS: Final = {
    Reason.METHOD: 405,
    Reason.WRONG_APP: 403,
    Reason.UNSIGNED: 403,
    Reason.STALE: 403,
    Reason.SIGNATURE: 403,
    Reason.TOO_LARGE: 413,
    Reason.TOO_SLOW: 408,
    Reason.TOO_MANY: 503,
    Reason.NOT_STORED: 503,
}


class RequestRefused(Exception):  # noqa: N818 - an answer, not a fault of ours
    """Raised by `verify` and `parse`. `detail` is for the log: it holds no signature, no token and no body."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
