"""Almost valid bodies: an exchange of the golden files, and every place where a value can be replaced.

Documented fields are read from the request type of a command, so that fields without a golden file are
changed too.
"""

import asyncio
import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, get_args

import orjson
import TLSSigAPIv2
from pydantic import BaseModel

from channel_adapter.stub.dispatcher import RequestDispatcher
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.stub_state import HANDLERS, StubState
from tests.golden.loader import Golden, load_all

Place = tuple[str | int, ...]

SETTINGS = StubSettings().changed(rates={"enabled": False}, app={"group_fields": ("ch_tag", "ch_org")})
APP = SETTINGS.app
QUERY = f"sdkappid={APP.sdkappid}&identifier={APP.admin}&random=1&contenttype=json&usersig=" + TLSSigAPIv2.TLSSigAPIv2(
    APP.sdkappid, APP.key.get_secret_value()
).gen_sig(APP.admin, 2**31)
NOW = 1_770_000_000


class Stub:
    """Stub that is called without a socket, and can be reset to the state of a golden file."""

    def __init__(self) -> None:
        clock = StubClock()
        clock.freeze(NOW)
        self.world = StubState(SETTINGS, clock=clock)
        self.dispatcher = RequestDispatcher(self.world)
        self._runner = asyncio.Runner()
        self._states: dict[str, dict[str, Any]] = {}

    def close(self) -> None:
        self._runner.close()

    def ask(self, path: str, raw: bytes) -> int:
        """Return the code of the answer."""
        return self.ask_all(path, [raw])[0]

    def ask_all(self, path: str, bodies: Iterable[bytes], back_to: Mapping[str, Any] | None = None) -> list[int]:
        """Return the codes of the answers; after each success the stub returns to `back_to`, if set."""
        return self._runner.run(self._ask_all(f"/v4/{path}?{QUERY}", bodies, back_to))

    async def _ask_all(self, url: str, bodies: Iterable[bytes], back_to: Mapping[str, Any] | None) -> list[int]:
        codes = []
        for raw in bodies:
            answer = orjson.loads((await self.dispatcher.answer("POST", url, "127.0.0.1", raw)).body)
            code = answer["ErrorCode"]
            assert type(code) is int
            assert type(answer["ErrorInfo"]) is str
            assert answer["ActionStatus"] == ("OK" if code == 0 else "FAIL")
            if code == 0 and back_to is not None:
                self.world.load(back_to)
            codes.append(code)
        return codes

    def enter(self, golden: Golden) -> dict[str, Any]:
        """Put the stub into the initial state of the golden file, and return that state."""
        state = self._states.get(golden.name)
        if state is None:
            self.dispatcher.reset()
            for call in golden.given:
                body = json.dumps(call.body).encode()
                assert self.ask(f"{call.service}/{call.command}", body) == 0
            state = self._states[golden.name] = self.world.dump()
        self.world.load(state)
        return state


@cache
def exchanges() -> tuple[Golden, ...]:
    """Return the golden files of commands that the stub handles."""
    return tuple(
        golden for golden in load_all() if golden.only_client is None and (golden.service, golden.command) in HANDLERS
    )


@cache
def fullest() -> dict[str, Golden]:
    """Return for every command the exchange with the longest request."""
    found: dict[str, Golden] = {}
    for golden in sorted(exchanges(), key=lambda golden: len(golden.request_bytes)):
        found[f"{golden.service}/{golden.command}"] = golden
    return found


def nodes(value: Any, place: Place = ()) -> Iterator[Place]:
    """Yield the place of every value inside a JSON value."""
    if place:
        yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from nodes(item, (*place, key))


def documented_fields(model: type[BaseModel], place: Place = ()) -> Iterator[Place]:
    """Yield the place of every field of a request; for lists, that of the first item."""
    for name, field in model.model_fields.items():
        here = (*place, field.alias or name)
        yield here
        for inner, listed in _models(field.annotation):
            yield from documented_fields(inner, (*here, 0) if listed else here)


def _models(annotation: Any, listed: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    parts = get_args(annotation)
    if not parts and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
    for part in parts:
        yield from _models(part, listed or str(annotation).startswith("list"))


def places(path: str) -> list[Place]:
    """Return every place in the fullest exchange of a command, and every place that its request documents."""
    service, _, name = path.partition("/")
    known = documented_fields(HANDLERS[service, name].command.request)
    return list(dict.fromkeys((*nodes(fullest()[path].request), *known)))


def with_value(body: Any, place: Place, value: Any) -> Any:
    """Return the body with another value at one place; missing parents are created."""
    if not place:
        return value
    key, rest = place[0], place[1:]
    if isinstance(key, int):
        items = list(body) if isinstance(body, list) else []
        if key < len(items):
            items[key] = with_value(items[key], rest, value)
        else:
            items.append(with_value(None, rest, value))
        return items
    members = body if isinstance(body, dict) else {}
    return {**members, key: with_value(members.get(key), rest, value)}


def without(body: Any, place: Place) -> Any:
    """Return the body without the value at one place, or unchanged if there is none."""
    key, rest = place[0], place[1:]
    if isinstance(body, list) and isinstance(key, int) and key < len(body):
        return [*body[:key], *([without(body[key], rest)] if rest else []), *body[key + 1 :]]
    if isinstance(body, dict) and key in body:
        if rest:
            return {**body, key: without(body[key], rest)}
        return {name: item for name, item in body.items() if name != key}
    return body
