"""Realistic, signed webhooks for trying any receiver, as the service would send them."""

import difflib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import SecretStr, ValidationError
from yarl import URL

from channel_adapter.domain.mode import Mode
from channel_adapter.errors import InvalidError, UnavailableError
from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.tencent.redaction import shown_url
from channel_adapter.tencent.wire import callback_envelope as envelope
from channel_adapter.tencent.wire import callbacks_other as x
from channel_adapter.tencent.wire.callback_samples import sample_body, samples
from channel_adapter.tencent.wire.envelope import OK, ErrorEnvelope
from channel_adapter.webhooks.modes import commands_of, requests_of
from channel_adapter.webhooks.verify import sign

SECONDS: Final = 2.0
"""Seconds that the service waits for an answer."""
_ANSWER_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Triggered:
    """The result of one request. `answer` is the receiver's JSON, None if it was no JSON."""

    command: str
    status: int
    answer: Any
    seconds: float

    @property
    def accepted(self) -> bool:
        """Whether the service would count it as delivered: status 200, and an envelope that is no failure."""
        if self.status != 200:
            return False
        try:
            return ErrorEnvelope.model_validate(self.answer).action_status == OK
        except ValidationError:
            return False


def find_command(name: str, mode: Mode = Mode.COMMUNITY) -> str:
    """Return the callback command for a name; that of an event or a request depends on the mode.

    Names are those of events (`Subscribed`) and of requests to the guard (`PostDraft`), commands, and their ends
    (`AfterSendMsg`). An undocumented name with a dot is accepted as it is. Raises InvalidError with similar names.
    """
    if "." in name:
        return name
    known = names_of_commands(mode)
    last_first = list(samples())[::-1]
    for command in sorted(last_first, key=lambda command: not command.startswith("C2C.")):
        # of several that end alike, the group's stays, else the account's
        known[command.rpartition(".")[2].removeprefix("Callback")] = command
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=3)
    events = ", ".join(names_of_commands(mode))
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {events}, and the commands of the service"
    raise InvalidError(f"there is no event {shown_value(name)}; {hint}", field="event")


def names_of_commands(mode: Mode = Mode.COMMUNITY) -> dict[str, str]:
    """Return the command of each event and request of a mode by its name."""
    return {
        kind.__name__: command for kinds in (commands_of(mode), requests_of(mode)) for kind, command in kinds.items()
    }


def request_of(
    command: str,
    changes: Mapping[str, Any],
    *,
    sdkappid: int,
    token: SecretStr | None,
    now: float,
    platform: str | None = None,
    client_ip: str = "127.0.0.1",
) -> tuple[str, bytes]:
    """Return query and body as the service would send them at `now`, in Unix seconds; `changes` by JSON name."""
    sample = samples().get(command)
    query = {
        envelope.QUERY_APP: str(sdkappid),
        envelope.QUERY_COMMAND: command,
        envelope.QUERY_CONTENT_TYPE: envelope.CONTENT_TYPE,
    }
    if command != x.RequestOverLimit.command:
        query[envelope.QUERY_CLIENT_IP] = client_ip
    query[envelope.QUERY_PLATFORM] = platform or (sample.platform if sample else envelope.REST)
    if token is not None:
        query[envelope.QUERY_SIGN] = sign(token.get_secret_value(), str(int(now)))
        query[envelope.QUERY_REQUEST_TIME] = str(int(now))
    encoded = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return encoded, orjson.dumps(sample_body(command, changes, now=now))


async def trigger(
    url: str,
    event: str,
    changes: Mapping[str, Any] | None = None,
    *,
    sdkappid: int,
    token: SecretStr | None = None,
    platform: str | None = None,
    mode: Mode = Mode.COMMUNITY,
    now: float | None = None,
    session: aiohttp.ClientSession | None = None,
) -> Triggered:
    """Send one webhook to `url` and return the answer.

    `event` is any name that `find_command` accepts, in the given mode. Raises InvalidError for others, and
    UnavailableError without an answer within two seconds.
    """
    command = find_command(event, mode)
    at = time.time() if now is None else now
    query, body = request_of(command, changes or {}, sdkappid=sdkappid, token=token, now=at, platform=platform)
    if not url.startswith(("http://", "https://")) or "?" in url:
        raise InvalidError(
            f"url: {shown_value(shown_url(url))} is no http:// or https:// address without a query", field="url"
        )
    if session is not None:
        return await _send_callback(session, url, query, body, command)
    async with aiohttp.ClientSession() as own:
        return await _send_callback(own, url, query, body, command)


async def _send_callback(session: aiohttp.ClientSession, url: str, query: str, body: bytes, command: str) -> Triggered:
    began = time.monotonic()
    try:
        async with session.post(
            URL(f"{url}?{query}", encoded=True),
            data=body,
            headers={"Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(total=SECONDS),
            allow_redirects=False,
        ) as got:
            answer = _parse_answer(await got.content.read(_ANSWER_BYTES))
            return Triggered(command, got.status, answer, time.monotonic() - began)
    except TimeoutError:
        failure = f"no answer within {SECONDS:g} s"
    except (aiohttp.ClientError, ValueError, OSError) as failed:
        failure = f"not reached: {_failure_reason(failed)}"
    raise UnavailableError(f"{shown_text(shown_url(url))}: {failure}")


def _failure_reason(failed: Exception) -> str:
    """Return the reason of a failed connection: the text of the system, else the name of the error."""
    number = failed.errno if isinstance(failed, OSError) else None
    return os.strerror(number).lower() if number is not None and number > 0 else type(failed).__name__


def _parse_answer(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
