"""A realistic body for every documented callback command, as data, and events made of them [webhooks 5, 7, 8]."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.stub.world.call import RESTAPI, Event

FILE: Final = Path(__file__).with_suffix(".json")
_COMMAND, _TIME = "CallbackCommand", "EventTime"


@dataclass(frozen=True, slots=True)
class Sample:
    """What one command looks like: its body without CallbackCommand, and the OptPlatform it may come from."""

    source: str
    body: Mapping[str, Any]
    platform: str = RESTAPI


@cache
def samples() -> Mapping[str, Sample]:
    """By callback command, in the order of the file. TypeError for an entry that is none."""
    return {command: Sample(**entry) for command, entry in orjson.loads(FILE.read_bytes()).items()}


def sample_event(command: str, changes: Mapping[str, Any], *, now: float, platform: str | None = None) -> Event:
    """The sample of a command with changes, as of `now` in unix seconds; a command without one has the changes only.

    Changes are merged as RFC 7396 has it: objects field by field, `None` takes a field out, all else replaces.
    EventTime is `now` in milliseconds where the command has one, and where the command is unknown.
    """
    sample = samples().get(command, Sample("", {_TIME: 0}))
    body = {_COMMAND: command, **sample.body}
    if _TIME in body:
        body[_TIME] = int(now * 1000)
    return Event(command, _merged(body, changes), sample.platform if platform is None else platform)


def _merged(value: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(value) if isinstance(value, Mapping) else {}
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), change) if isinstance(change, Mapping) else change
    return merged
