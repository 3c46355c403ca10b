"""Any input: the answer is HTTP 200 with an envelope, the stub keeps running, and nothing changes."""

import asyncio
import json
import logging
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from channel_adapter.stub.dispatcher import RequestDispatcher
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.stub_state import HANDLERS, StubState
from tests.stub.conftest import ACCOUNTS, GROUPS, Caller

UNLIMITED = StubSettings.model_validate({"rates": {"enabled": False}})
IMPORT = f"{ACCOUNTS}/account_import"
PATHS = sorted(f"/v4/{service}/{command}" for service, command in HANDLERS)
NAMES = st.sampled_from(
    [
        "GroupId",
        "GroupIdList",
        "Type",
        "Name",
        "Owner_Account",
        "Member_Account",
        "MemberList",
        "MsgBody",
        "MsgType",
        "MsgContent",
        "Random",
        "Text",
        "Key",
        "From_Account",
        "UserID",
        "AccountList",
        "CheckItem",
        "Limit",
        "Next",
        "Offset",
        "ResponseFilter",
        "AppDefinedData",
        "Value",
        "MuteTime",
        "MsgSeqList",
        "User_Account",
        "CreateTime",
        "ReqMsgNumber",
        "ReqMsgSeq",
        "MemberToDel_Account",
        "To_Account",
        "OnlineOnlyFlag",
        "MuteAllMember",
        "SendTime",
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.sampled_from(["", "editor", "@TGS#_a", "Community", "On", "TIMTextElem", "@TGS#_" + "x" * 60, "\x00", "\u202e"]),
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
BODIES = st.dictionaries(NAMES, VALUES, max_size=6)
THOROUGH = effort(max_examples=300)


def ask(dispatcher: RequestDispatcher, path: str, raw: bytes, query: str, method: str = "POST") -> dict[str, Any]:
    """Return the envelope of the answer to a request, without a socket."""
    reply = asyncio.run(dispatcher.answer(method, f"{path}?{query}", "127.0.0.1", raw))
    answer: dict[str, Any] = json.loads(reply.body)
    assert set(answer) >= {"ActionStatus", "ErrorCode", "ErrorInfo"}
    assert answer["ActionStatus"] == ("OK" if answer["ErrorCode"] == 0 else "FAIL")
    return answer


@pytest.fixture(scope="module")
def query() -> str:
    server = StubServer(UNLIMITED)
    usersig = Caller(server, None).signature()  # type: ignore[arg-type] # no session is used
    return f"sdkappid={server.sdkappid}&identifier={server.admin}&usersig={usersig}&random=1&contenttype=json"


@THOROUGH
@given(st.sampled_from(PATHS), BODIES)
def test_refused_json_changes_nothing_for_every_command(query: str, path: str, body: dict[str, Any]) -> None:
    world = StubState(UNLIMITED)
    before = world.dump()
    if ask(RequestDispatcher(world), path, json.dumps(body).encode(), query)["ErrorCode"] != 0:
        assert world.dump() == before


@THOROUGH
@given(st.sampled_from(PATHS), st.binary(max_size=200))
def test_refused_random_bytes_change_nothing(query: str, path: str, raw: bytes) -> None:
    world = StubState(UNLIMITED)
    before = world.dump()
    answer = ask(RequestDispatcher(world), path, raw, query)
    if answer["ErrorCode"] == 0:  # a JSON object by chance
        assert raw.strip().startswith(b"{")
    else:
        assert world.dump() == before


@THOROUGH
@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.sampled_from(["GET", "POST", "HEAD", "BREW"]),
)
def test_any_request_line_is_refused_with_envelope(path: str, query: str, method: str) -> None:
    assert ask(RequestDispatcher(StubState(UNLIMITED)), "/v4/" + path, b"{}", query, method)["ErrorCode"] != 0


@pytest.mark.parametrize("depth", [100, 10_000, 200_000])
async def test_deeply_nested_json_is_refused(caller: Caller, depth: int) -> None:
    deep = b'{"UserID":' + b"[" * depth + b"]" * depth + b"}"
    assert (await caller.send(f"/v4/{IMPORT}", deep))["ErrorCode"] != 0


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_of_ten_megabytes_is_refused(caller: Caller, chunked: bool) -> None:
    blob = b'{"UserID":"' + b"x" * 10_000_000 + b'"}'

    async def pieces() -> Any:
        for start in range(0, len(blob), 100_000):
            yield blob[start : start + 100_000]

    url = f"{caller.server.url}/v4/{IMPORT}"
    async with caller.session.post(
        url, params=caller.parameters(), data=pieces() if chunked else BytesIO(blob)
    ) as response:
        assert response.status == 200
        assert (await response.json())["ErrorCode"] == 60002
    await caller.must(IMPORT, {"UserID": "still_there"})


async def test_number_in_place_of_account_is_refused(caller: Caller) -> None:
    assert (await caller.call(IMPORT, {"UserID": 10086}))["ErrorCode"] == 60015
    owner = {"Type": "Community", "Name": "n", "Owner_Account": 10086}
    assert (await caller.call(f"{GROUPS}/create_group", owner))["ErrorCode"] == 60015


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"POST /v4/a/b HTTP/9.9\r\n\r\n",
        b"POST /v4/a/b HTTP/1.1\r\nContent-Length: many\r\n\r\n",
        b"POST /v4/a/b?" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v4/a/b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n",
        b"POST /v4/a/b HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"POST /v4/\xff/\xfe?sdkappid=\xff HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}",
    ],
    ids=["bytes", "version", "length", "long line", "chunks", "gzip", "not utf-8"],
)
async def test_malformed_http_is_answered_with_envelope(caller: Caller, request_bytes: bytes) -> None:
    port = int(caller.server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    assert json.loads(await reader.readexactly(length))["ErrorCode"] in (60002, 60012)
    writer.close()
    await caller.must(IMPORT, {"UserID": "still_there"})


async def test_malformed_requests_are_counted_and_logged_once_without_their_bytes(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    port = int(caller.server.url.rpartition(":")[2])
    line = f"POST /v4/{IMPORT}?usersig={caller.signature()}".encode()
    for request in [line + b" HTTQ/1.1\r\n\r\n", line + b" HTTP/1.1\r\nContent-Length: usersig=x\r\n\r\n"] * 20:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        assert b"usersig" not in await reader.read()
        writer.close()
        await writer.wait_closed()
    assert caller.server.log.answers["unknown", 60002] == 40
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == [
        "a request was not HTTP: BadStatusLine", "a request was not HTTP: BadHttpMessage",
    ]  # fmt: skip
    assert "usersig" not in caplog.text


async def test_body_that_cannot_be_decompressed_logs_no_traceback(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    port = int(caller.server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v4/a/b HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
    assert b"60002" in await reader.read()
    writer.close()
    await writer.wait_closed()
    assert all(record.exc_info is None for record in caplog.records)


async def test_client_that_expects_100_continue_is_answered(caller: Caller) -> None:
    await caller.must(IMPORT, {"UserID": "first"})
    async with caller.session.post(
        f"{caller.server.url}/v4/{IMPORT}", params=caller.parameters(), data=b'{"UserID":"u"}', expect100=True
    ) as response:
        assert (await response.json())["ErrorCode"] == 0


async def test_client_that_disconnects_mid_request_does_not_stop_stub(caller: Caller) -> None:
    port = int(caller.server.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v4/a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await caller.must(IMPORT, {"UserID": "still_there"})
