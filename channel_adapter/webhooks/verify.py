"""Is this request from the service, for our app, and fresh? Pure: query and time in, nothing or RequestRefused out.

Signed are token and time only, so whoever saw one request can send another body within the window: parse the body as an
outsider's, and know repeats [webhooks 1.1] [31].
"""

import hmac
from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

from pydantic import SecretStr

from channel_adapter.tencent.wire.callback_envelope import QUERY_APP, QUERY_REQUEST_TIME, QUERY_SIGN

SIGNATURE_SECONDS: Final = 60.0
"""How far RequestTime may lie from now, either way [doc CN 32431]."""

_TIME_DIGITS: Final = 12  # more would be no time
_APP, _SIGN, _TIME = QUERY_APP.lower(), QUERY_SIGN.lower(), QUERY_REQUEST_TIME.lower()


def read_query(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters by lower-case name: the documents spell one of them in two ways [doc 34354, 76007].

    Raises RequestRefused for a name that comes twice with different values: nobody could say which one was verified.
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
    """Raises RequestRefused unless the request is for `sdkappid` and signed with one of `tokens` around `now`.

    `query` comes from `read_query`, `now` and `window` are unix seconds. Several tokens are for changing one without
    losing events. Without tokens every request is taken, signed or not.
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
    """Lower-case hex of SHA-256 over token and time, nothing between them, no HMAC [doc 34354]."""
    return sha256(f"{token}{request_time}".encode()).hexdigest()


def _signed_with_one_of(tokens: Sequence[SecretStr], signature: str, request_time: str) -> bool:
    """Takes the same time for every wrong signature, whichever token it is nearest to."""
    given = signature.encode("utf-8", "surrogatepass")
    matches = [hmac.compare_digest(sign(t.get_secret_value(), request_time).encode(), given) for t in tokens]
    return any(matches)


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
