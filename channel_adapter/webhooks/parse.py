"""A verified request as a value that can be stored: its JSON, repaired where necessary, and its keys.

The keys are those for repeats and for order. Pure. The body is not signed, so its size and depth are bounded before
it is used.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from channel_adapter.backends.callbacks import Identity
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Post
from channel_adapter.tencent.wire.callback_envelope import QUERY_COMMAND
from channel_adapter.tencent.wire.callbacks import BODY_COMMAND, is_before, read
from channel_adapter.webhooks.modes import identify, identify_published
from channel_adapter.webhooks.verify import Reason, RequestRefused

COMMAND_BYTES: Final = 128  # the longest that is documented has 58
DEPTH: Final = 32  # arrays and objects inside each other; messages need 6
REPEAT_SECONDS: Final = 600  # equal bodies without a time are one event if they arrive within it
SEQUENCE_BITS: Final = 21
"""Bits of `WebhookEvent.sequence` for the number of the message; the bits above are milliseconds."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One webhook as it is stored until it is handled.

    `dedupe_key` is short and equal for every repeat of one event. `order_key` is the group or account, "" without one;
    events of one `order_key` are handled in the order of `sequence`, which grows with the time of the event, then with
    the number of the message, and fits into 63 bits. `query` has lower-case names and no signature.
    """

    command: str
    body: dict[str, Any]
    query: dict[str, str]
    dedupe_key: str
    order_key: str
    sequence: int
    received_at: float

    @property
    def attributes(self) -> dict[str, str]:
        """Names under which spans of this webhook are found: its command and its key, which is a hash."""
        return {"command": self.command, "event": self.dedupe_key}

    @property
    def is_before(self) -> bool:
        """Whether the service waits for a decision. In an inbox such an event is an announced post that was lost."""
        return is_before(self.command)


def parse(query: Mapping[str, str], body: bytes, *, now: float) -> WebhookEvent:
    """Return the event of a request; `query` from `read_query`, `now` in Unix seconds.

    Unknown commands and fields are kept. Raises RequestRefused for a body that is no JSON object, nested more than 32
    levels, without a command, or with another command than the URL.
    """
    content = _parse_object(body)
    command = content.get(BODY_COMMAND)
    if not isinstance(command, str) or not 0 < len(command.encode()) <= COMMAND_BYTES or not command.isprintable():
        raise RequestRefused(Reason.COMMAND, f"the body has no {BODY_COMMAND} of 1 to {COMMAND_BYTES} printable bytes")
    if query.get(QUERY_COMMAND.lower()) != command:
        raise RequestRefused(Reason.COMMAND, "URL and body name different commands")
    return make_event(command, content, {k: v for k, v in query.items() if k not in _SECRET}, now=now)


def make_event(command: str, body: dict[str, Any], query: dict[str, str], *, now: float) -> WebhookEvent:
    """Return the event of a body, as `parse` does but without its checks."""
    event = read(body)
    at = event.event_time if event else None
    identity = Identity(command, None, "", 0) if event is None else identify(event)
    milliseconds = int(now * 1000) if at is None else at
    return WebhookEvent(
        command=command,
        body=body,
        query=query,
        dedupe_key=_dedupe_key(identity, body, None if at is not None else now),
        order_key=identity.order_key,
        sequence=(milliseconds << SEQUENCE_BITS) | min(max(identity.number, 0), (1 << SEQUENCE_BITS) - 1),
        received_at=now,
    )


def published_key(mode: Mode, post: Post) -> str | None:
    """Return the `dedupe_key` of the event that reports a published post; None if the post does not identify it.

    The channel of the post is named by its id.
    """
    identity = identify_published(mode, post)
    return None if identity is None else _dedupe_key(identity, {}, None)


_SECRET: Final = frozenset({"sign"})


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        content = _load_json(body)
    except orjson.JSONDecodeError:
        raise RequestRefused(Reason.NOT_JSON, f"{len(body)} bytes that are no JSON, or nested endlessly") from None
    if not isinstance(content, dict):
        raise RequestRefused(Reason.NOT_JSON, "JSON, but no object")
    if body.count(b"{") + body.count(b"[") > DEPTH and _deeper_than(content, DEPTH):
        raise RequestRefused(Reason.TOO_DEEP, f"nested more than {DEPTH} times")
    return content


_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""Match an escape of JSON: two surrogates that are one character, one alone (the group), or any other."""


def _load_json(body: bytes) -> Any:
    """Read JSON. Half characters, as of texts that clients cut within an emoji, become U+FFFD.

    They come as the escape of one surrogate, or as bytes that are not UTF-8. Raises JSONDecodeError.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        repaired = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
        return orjson.loads(repaired.decode(errors="replace"))


def _deeper_than(value: Any, depth: int) -> bool:
    """Return whether JSON is nested deeper than `depth`; iterates by level, so that it needs no stack."""
    level: list[Any] = [value]
    for _ in range(depth):
        level = [inner for item in level for inner in _containers_in(item)]
        if not level:
            return False
    return True


def _containers_in(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value
    return (item for item in items if isinstance(item, (dict, list)))


def _dedupe_key(identity: Identity, body: dict[str, Any], now: float | None) -> str:
    """Return a key made of what identifies the event, else of the whole body, and of `now` without its own time."""
    parts = identity.parts
    if parts is None:
        parts = [orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()]
        if now is not None:
            parts.append(str(int(now // REPEAT_SECONDS)))
    return f"{identity.command}:{sha256(orjson.dumps(parts)).hexdigest()[:32]}"
