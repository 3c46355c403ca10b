"""A realistic body for every documented callback command, as data [webhooks 5, 7, 8]."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.tencent.wire.callback_envelope import QUERY_COMMAND, REST, Callback

FILE: Final = Path(__file__).with_suffix(".json")
_TIME: Final = str(Callback.model_fields["event_time"].alias)  # the one member that is never as the file has it


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of one command: its body without CallbackCommand, and the OptPlatform it may come from."""

    source: str
    body: Mapping[str, Any]
    platform: str = REST


@cache
def samples() -> Mapping[str, Sample]:
    """Return the samples by callback command, in the order of the file. Raises TypeError for a broken entry."""
    return {command: Sample(**entry) for command, entry in orjson.loads(FILE.read_bytes()).items()}


def sample_body(command: str, changes: Mapping[str, Any], *, now: float) -> dict[str, Any]:
    """Return the sample of a command with changes, as of `now` in Unix seconds; without a sample, the changes only.

    Changes are merged as RFC 7396 has it: objects field by field, `None` takes a field out, all else replaces.
    EventTime is `now` in milliseconds where the command has one, and where the command is unknown.
    """
    sample = samples().get(command, Sample("", {_TIME: 0}))
    body = {QUERY_COMMAND: command, **sample.body}
    if _TIME in body:
        body[_TIME] = int(now * 1000)
    return merged(body, changes)


def merged(value: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `value` with `changes` merged as in RFC 7396."""
    result = dict(value) if isinstance(value, Mapping) else {}
    for name, change in changes.items():
        if change is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), change) if isinstance(change, Mapping) else change
    return result
