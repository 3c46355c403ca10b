"""Checks that a request is from the service, for this app, and recent. Pure.

Only token and time are signed, so an observer of one request can send another body within the window: the body is
treated as untrusted, and repeats are recognised.
"""

import hmac
from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

from pydantic import SecretStr

from channel_adapter.tencent.wire.callback_envelope import QUERY_APP, QUERY_REQUEST_TIME, QUERY_SIGN

SIGNATURE_SECONDS: Final = 60.0
"""Seconds by which RequestTime may differ from now in either direction; the value of the service's documentation."""

_TIME_DIGITS: Final = 12  # more would be no time
_APP, _SIGN, _TIME = QUERY_APP.lower(), QUERY_SIGN.lower(), QUERY_REQUEST_TIME.lower()


def read_query(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters by lower-case name: the documentation spells one of them in two ways.

    Raises RequestRefused for a name that comes twice with different values: it would be unclear which one was verified.
    """
    query: dict[str, str] = {}
    for name, value in pairs:
        if query.setdefault(name.lower(), value) != value:
            raise RequestRefused(Reason.QUERY, "a parameter comes twice with different values")
    return query


def verify(
    query: dict[str, str],
    *,
    sdkappid: int,
    tokens: Sequence[SecretStr],
    now: float,
    window: float = SIGNATURE_SECONDS,
) -> None:
    """Raise RequestRefused unless the request is for `sdkappid` and signed with one of `tokens` at about `now`.

    `query` comes from `read_query`; `now` and `window` are Unix seconds. Several tokens serve to change the token
    without losing events. Without tokens every request is accepted, signed or not.
    """
    if query.get(_APP) != str(sdkappid):
        raise RequestRefused(Reason.WRONG_APP, "SdkAppid is absent or another app's")
    if not tokens:
        return
    signature, request_time = query.get(_SIGN), query.get(_TIME)
    if not signature or not request_time:
        raise RequestRefused(Reason.UNSIGNED, "a token is set and the request is not signed")
    if not (request_time.isascii() and request_time.isdigit() and len(request_time) <= _TIME_DIGITS):
        raise RequestRefused(Reason.STALE, "RequestTime is no number of seconds")
    if not abs(now - int(request_time)) <= window:
        raise RequestRefused(Reason.STALE, f"RequestTime is {now - int(request_time):.0f} s away from now")
    if not _signed_with_one_of(tokens, signature, request_time):
        raise RequestRefused(Reason.SIGNATURE, "Sign fits none of the tokens")


def sign(token: str, request_time: str) -> str:
    """Return the lower-case hex of SHA-256 over token and time, with nothing between them; it is no HMAC."""
    return sha256(f"{token}{request_time}".encode()).hexdigest()


def _signed_with_one_of(tokens: Sequence[SecretStr], signature: str, request_time: str) -> bool:
    """Return whether a signature fits a token, in a time that does not depend on the signature."""
    given = signature.encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(sign(t.get_secret_value(), request_time).encode(), given) for t in tokens]
    return any(matches)


class Reason(StrEnum):
    """Reasons to refuse a request, counted and logged by these names.

    The service counts any status but 200 as a failure.
    """

    MALFORMED = "malformed"  # not HTTP
    METHOD = "method"  # not POST
    QUERY = "query"  # a parameter twice with different values, or unreadable
    WRONG_APP = "wrong_app"
    UNSIGNED = "unsigned"  # a token is set and Sign or RequestTime is missing
    STALE = "stale"  # RequestTime is no number, or too far from now
    SIGNATURE = "signature"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    TOO_MANY = "too_many"  # open requests
    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    COMMAND = "command"  # absent, too long, or another one in the URL than in the body
    NOT_STORED = "not_stored"  # the inbox could not store it

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
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
    """Raised for a request that is no webhook of this app. `detail` for the log has no signature, token or body."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
