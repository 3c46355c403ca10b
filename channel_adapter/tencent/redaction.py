"""Hide secrets in text and log events: UserSig, key, webhook token and signature, passwords, authorization headers.

`redact` is a structlog processor, to be placed after the one that turns exceptions into text and before the renderer.
"""

import re
import traceback
from collections.abc import Mapping, MutableMapping
from typing import Any, Final

from structlog.typing import WrappedLogger

HIDDEN: Final = "***"
_NAMES: Final = frozenset(
    {
        "usersig", "user_sig", "tls.sig", "sig", "key", "secret", "secret_key", "sign", "token", "tokens",
        "password", "passwd", "pwd", "authorization", "proxy-authorization", "proxy_authorization",
    }
)  # fmt: skip
_DEPTH: Final = 8  # events are shallow; a cycle must not hang the log

_BEFORE_VALUE: Final = r"""\\?["']?\s*[=:]\s*\\?["']?"""
_VALUE: Final = r"""(?:(?<=")[^"\n]+|(?<=')[^'\n]+|[^\s&"',;)}\]]+)"""
_NAMED_VALUE: Final = re.compile(
    rf"(?i)(\b(?:usersig|user_sig|tls\.sig|secret_key|sign|token|\w*password|passwd|pwd){_BEFORE_VALUE}){_VALUE}"
)  # not "key" alone: in prose it names harmless things, and a key of the console is known by its shape
_AUTHORIZATION: Final = re.compile(  # a scheme and its credentials, or credentials alone
    rf"""(?i)(authorization{_BEFORE_VALUE})[^\s"']+(?:\s+[^\s"']+)?"""
)
_BEARER: Final = re.compile(r"(?i)(\bbearer\s+)(?=\S*\d|\S{20})[^\s\"',;)}\]]+")  # in prose a word follows
# Base64 of a zlib stream as `sign` and others make it, whole or its beginning; words that begin like it are shorter.
_USERSIG: Final = re.compile(r"\beJ[w-z][A-Za-z0-9*_-]{17,}")
_RUN: Final = re.compile(r"[A-Za-z0-9*_%+/=-]{8,}")
_FRAGMENT: Final = 8  # characters
_USER: Final = re.compile(r"(?<=://)[^\s/]*@")  # user and password of a URL
_HEX_SECRET: Final = re.compile(r"\b[0-9a-fA-F]{64}\b")  # a key as the console shows it; a webhook's Sign


def redact_text(text: str) -> str:
    """Return the text with every value hidden that is a secret by its name or by its shape."""
    for named in (_AUTHORIZATION, _BEARER, _NAMED_VALUE):
        text = named.sub(rf"\1{HIDDEN}", text)
    text = _USER.sub(f"{HIDDEN}@", text)
    return _HEX_SECRET.sub(HIDDEN, _USERSIG.sub(HIDDEN, text))


def redact_fragments(text: str, secret: str) -> str:
    """Return the text with every word hidden that contains eight consecutive characters of the secret."""
    if len(secret) < _FRAGMENT:
        return text
    fragments = {secret[start : start + _FRAGMENT] for start in range(len(secret) - _FRAGMENT + 1)}

    def hidden(run: re.Match[str]) -> str:
        word = run[0]
        found = any(word[start : start + _FRAGMENT] in fragments for start in range(len(word) - _FRAGMENT + 1))
        return HIDDEN if found else word

    return _RUN.sub(hidden, text)


def shown_url(url: str) -> str:
    """Return a URL as it may be shown: everything before an @ is hidden, however malformed the URL is."""
    scheme, slashes, rest = url.partition("://") if "://" in url else ("", "", url)
    _, at, place = rest.rpartition("@")
    return redact_text(f"{scheme}{slashes}{HIDDEN}@{place}" if at else url)


def shown_traceback(error: BaseException | None) -> str:
    """Return the traceback of an error as text that every log file takes, with its secrets hidden; empty for None."""
    if error is None:
        return ""
    text = "".join(traceback.format_exception(error)).encode(errors="backslashreplace").decode()
    return redact_text(text)


def redact(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide secrets anywhere in a log event; a structlog processor."""
    for name in event:
        event[name] = _redact_value(name, event[name], _DEPTH)
    return event


def _redact_value(name: object, value: Any, depth: int) -> Any:
    if isinstance(name, str) and name.lower() in _NAMES:
        return HIDDEN
    if isinstance(value, str):
        return redact_text(value)
    if depth == 0 or value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, Mapping):
        return {key: _redact_value(key, inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_redact_value(None, inner, depth - 1) for inner in value]
    if isinstance(value, bytes):
        return redact_text(value.decode(errors="replace"))
    text = repr(value)
    hidden = redact_text(text)
    return value if hidden == text else hidden
