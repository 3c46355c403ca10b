"""One request to the app's server and what came of it."""

from typing import Any, Final, NamedTuple

import orjson

from channel_adapter.tencent.wire.envelope import OK

ANSWERED: Final = "answered"


class Delivery(NamedTuple):
    """One attempt to deliver an event. `outcome` is `answered`, or what went wrong; `answer` is the app's JSON then.

    `body` is the event as it happened: what the settings bend is bent on each attempt anew.
    """

    number: int
    at: float
    command: str
    body: dict[str, Any]
    platform: str
    client_ip: str
    outcome: str
    answer: dict[str, Any] | None = None


def read_answer(status: int, body: bytes) -> tuple[dict[str, Any] | None, str]:
    """The app's answer, or None and why it does not count: not 200, not JSON, not `OK` [webhooks 2]."""
    if status != 200:
        return None, f"HTTP {status}"
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None, "the answer is not JSON"
    if not isinstance(answer, dict) or not isinstance(answer.get("ErrorCode"), int):
        return None, "the answer has no ErrorCode"
    if answer.get("ActionStatus") != OK:
        return None, "the answer's ActionStatus is not OK"
    return answer, ANSWERED
