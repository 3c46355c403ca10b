"""The stub answers the raw calls of a golden file over HTTP as in the file, without any part of the client.

Error texts may differ, and so may values chosen by the server: for those the type must be equal.
"""

from typing import Any

import aiohttp
import orjson
import pytest
import TLSSigAPIv2

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.stub_state import HANDLERS
from tests.golden.loader import Golden, load_all

FREE_TEXTS = frozenset({"ErrorInfo", "ResultInfo"})
SETTINGS = StubSettings().changed(app={"group_fields": ("ch_tag", "ch_org")})


def carried_out_by_the_stub(golden: Golden) -> bool:
    commands = [(golden.service, golden.command), *((call.service, call.command) for call in golden.given)]
    return golden.only_client is None and all(command in HANDLERS for command in commands)


GOLDEN = [golden for golden in load_all() if carried_out_by_the_stub(golden)]


def differences(expected: Any, found: Any, free: frozenset[str], path: tuple[str, ...] = ()) -> list[str]:
    """Return where two JSON values differ: members, lengths, types, and values that are not free."""
    place = ".".join(path)
    if type(expected) is not type(found):
        return [f"{place}: expected {expected!r}, found {found!r}"]
    if isinstance(expected, dict):
        here = [f"{place}: {name} is missing" for name in expected.keys() - found.keys()]
        here += [f"{place}: {name} is not documented" for name in found.keys() - expected.keys()]
        return here + [
            line
            for name in expected.keys() & found.keys()
            for line in differences(expected[name], found[name], free, (*path, name))
        ]
    if isinstance(expected, list):
        if len(expected) != len(found):
            return [f"{place}: expected {len(expected)} items, found {found!r}"]
        return [
            line for one, other in zip(expected, found, strict=True) for line in differences(one, other, free, path)
        ]
    if expected == found or place in free or (path and path[-1] in FREE_TEXTS):
        return []
    return [f"{place}: expected {expected!r}, found {found!r}"]


class RawCaller:
    """A caller that signs with the official package and posts bytes."""

    def __init__(self, server: StubServer, session: aiohttp.ClientSession) -> None:
        self._server = server
        self._session = session
        self._usersig = TLSSigAPIv2.TLSSigAPIv2(server.sdkappid, server.key).gen_sig(server.admin)

    async def post(self, service: str, command: str, body: dict[str, Any]) -> dict[str, Any]:
        query = {
            "sdkappid": str(self._server.sdkappid),
            "identifier": self._server.admin,
            "usersig": self._usersig,
            "random": "1",
            "contenttype": "json",
        }
        url = f"{self._server.url}/v4/{service}/{command}"
        async with self._session.post(url, params=query, data=orjson.dumps(body)) as response:
            assert response.status == 200
            answer: dict[str, Any] = orjson.loads(await response.read())
            return answer


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
async def test_stub_answers_equal_the_file(golden: Golden) -> None:
    async with StubServer(SETTINGS) as server, aiohttp.ClientSession() as session:
        caller = RawCaller(server, session)
        for call in golden.given:
            answer = await caller.post(call.service, call.command, call.body)
            assert answer["ErrorCode"] == 0, (call, answer)
        reply = await caller.post(golden.service, golden.command, golden.request)
    assert differences(golden.reply, reply, golden.server_picks) == []


def test_every_command_of_the_stub_has_a_golden_file() -> None:
    """For a handler without a golden file, only the models of the client would confirm its names."""
    played = {command for command, handler in HANDLERS.items() if not handler.refusals_only}
    assert played <= {(golden.service, golden.command) for golden in GOLDEN}
