"""A verified request as something that can be kept: command, body, and the keys by which repeats and order are known.

Pure. The body is not signed, so its size and depth are bounded before anything is made of it [webhooks 9].
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import orjson

from channel_adapter.tencent.wire import callbacks_group as g
from channel_adapter.tencent.wire import callbacks_official as o
from channel_adapter.tencent.wire.callback_envelope import QUERY_COMMAND, Callback
from channel_adapter.tencent.wire.callbacks import BODY_COMMAND, is_before, read
from channel_adapter.webhooks.verify import Reason, RequestRefused

COMMAND_BYTES: Final = 128  # the longest that is documented has 58
DEPTH: Final = 32  # arrays and objects inside each other; messages need 6
REPEAT_SECONDS: Final = 600  # two bodies without a time that are the same are one event if they come within it
SEQUENCE_BITS: Final = 21
"""Of `WebhookEvent.sequence`: the number of the message; the bits above are milliseconds."""


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One webhook as it is kept until it has been handled.

    `dedupe_key` is the same for every repeat of one event, and short. `order_key` is the group or account, "" where
    there is none; events of one `order_key` belong in the order of `sequence`, which grows with the time of the event,
    then with the number of the message, and fits into 63 bits. `query` has lower-case names and no signature.
    """

    command: str
    body: dict[str, Any]
    query: dict[str, str]
    dedupe_key: str
    order_key: str
    sequence: int
    received_at: float

    @property
    def is_before(self) -> bool:
        """The sender waits for a decision; in an inbox such an event is a post that was asked about and got lost."""
        return is_before(self.command)


def parse(query: Mapping[str, str], body: bytes, *, now: float) -> WebhookEvent:
    """The event of a request; `query` from `read_query`, `now` in unix seconds.

    Commands and members that nobody has heard of are kept. Raises RequestRefused: no JSON object, too deep, no command,
    or another command than the URL's.
    """
    content = _read_json(body)
    command = content.get(BODY_COMMAND)
    if not isinstance(command, str) or not 0 < len(command.encode()) <= COMMAND_BYTES or not command.isprintable():
        raise RequestRefused(Reason.COMMAND, f"the body has no {BODY_COMMAND} of 1 to {COMMAND_BYTES} printable bytes")
    if query.get(QUERY_COMMAND.lower()) != command:
        raise RequestRefused(Reason.COMMAND, "URL and body name different commands")
    return received(command, content, {k: v for k, v in query.items() if k not in _SECRET}, now=now)


def received(command: str, body: dict[str, Any], query: dict[str, str], *, now: float) -> WebhookEvent:
    """What a body is kept as; `parse` without its checks."""
    event = read(body)
    at = event.event_time if event else None
    members = event.__dict__ if event else {}  # models are slow to say that they lack a member
    seq = members.get("msg_seq") or members.get("seq") or 0
    milliseconds = int(now * 1000) if at is None else at
    return WebhookEvent(
        command=command,
        body=body,
        query=query,
        dedupe_key=_dedupe_key(command, event, body, now),
        order_key=members.get("group_id") or members.get("official_account") or "",
        sequence=(milliseconds << SEQUENCE_BITS) | min(max(seq, 0), (1 << SEQUENCE_BITS) - 1),
        received_at=now,
    )


_SECRET: Final = frozenset({"sign"})


def _read_json(body: bytes) -> dict[str, Any]:
    try:
        content = _load(body)
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
"""An escape of JSON: two surrogates that are one character, one alone (the group), or any other."""


def _load(body: bytes) -> Any:
    """Read JSON. Half characters become U+FFFD: texts that clients cut in the middle of an emoji have some.

    They come as the escape of one surrogate, or as bytes that are not UTF-8. Raises JSONDecodeError.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        repaired = _ESCAPE.sub(lambda found: b"\\ufffd" if found[1] else found[0], body)
        return orjson.loads(repaired.decode(errors="replace"))


def _deeper_than(value: Any, depth: int) -> bool:
    """Level by level, so that depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(depth):
        level = [inner for item in level for inner in _inside(item)]
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterator[Any]:
    items = value.values() if isinstance(value, dict) else value
    return (item for item in items if isinstance(item, (dict, list)))


def _dedupe_key(command: str, event: Callback | None, body: dict[str, Any], now: float) -> str:
    """Made of what the event is about where that is enough to know it again, else of the whole body [webhooks 6].

    A post that was asked about and never came is named like one that failed: it got lost once, whichever was seen.
    """
    if isinstance(event, g.BeforeSendMsg):
        command = g.SendMsgException.command
    parts = _parts(event)
    if parts is None:
        parts = [orjson.dumps(body, option=orjson.OPT_SORT_KEYS).decode()]
        if event is None or event.event_time is None:
            parts.append(str(int(now // REPEAT_SECONDS)))
    return f"{command}:{sha256(orjson.dumps(parts)).hexdigest()[:32]}"


def _parts(event: Callback | None) -> Sequence[object] | None:
    """What makes this event the same as another of its command; None when its members do not say."""
    match event:
        case g.AfterSendMsg(group_id=group, msg_seq=seq, topic_id=topic) if group and seq:
            # numbers begin anew in a group that was deleted and made again; its messages have other times
            return [group, seq, topic or "", event.msg_time, event.random]
        case g.BeforeSendMsg() | g.SendMsgException() if event.group_id and event.from_account and event.random:
            return [event.group_id, event.from_account, event.random, event.topic_id or ""]
        case g.AfterRecallMsg(group_id=group, msg_seq_list=list() as items, topic_id=topic) if group and items:
            return [group, sorted(item.msg_seq for item in items), topic or ""]
        case g.AfterGroupMsgExtension(group_id=group, msg_seq=message, seq=seq) if group and message and seq:
            changed = sorted((pair.key, pair.seq or 0) for pair in event.extension_list or ())
            return [group, message, seq, event.operate_type, changed]
        case g.AfterNewMemberJoin(group_id=group, new_member_list=list() as people, event_time=int() as at) if group:
            return [group, sorted(item.member_account for item in people), at]
        case g.AfterMemberExit(group_id=group, exit_member_list=list() as people, event_time=int() as at) if group:
            return [group, sorted(item.member_account for item in people), at]
        case o.OfficialAfterSendMsg(official_account=account, msg_key=key) if account and key:
            return [account, key]
        case o.AfterMsgWithDraw(official_account=account, withdraw_msg_list=list() as items) if account and items:
            return [account, sorted(item.msg_key for item in items)]
        case _:
            return None
