"""Control plane as used by a test in another process and another language."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.plane import ROUTES, ControlPlane, ControlSettings
from channel_adapter.stub.faults.faults import Latency
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.stub.conftest import ACCOUNTS, GROUPS, NOW, Caller

IMPORT = f"{ACCOUNTS}/account_import"
TOKEN = "orchid-control"


class Remote(Caller):
    """Caller that also uses `/_stub/`."""

    async def control(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        url = f"{self.server.url}/_stub/{path}"
        async with self.session.request(method, url, json=body, headers=headers) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()

    async def good(self, method: str, path: str, body: Any = None) -> Any:
        status, answer = await self.control(method, path, body)
        assert status == 200, answer
        return answer


@pytest.fixture
async def remote(session: aiohttp.ClientSession) -> AsyncIterator[Remote]:
    settings = StubSettings.model_validate({"rates": {"enabled": False}})
    async with StubServer(settings, control=ControlSettings(token=SecretStr(TOKEN))) as server:
        yield Remote(server, session)
        assert server.app.failures == 0


async def test_control_plane_is_disabled_by_default(caller: Caller) -> None:
    async with caller.session.get(f"{caller.server.url}/_stub/health") as response:
        assert (await response.json())["ErrorCode"] == 60002


async def test_health_reports_status_app_calls_and_accounts(remote: Remote) -> None:
    await remote.must(IMPORT, {"UserID": "u"})
    health = await remote.good("GET", "health")
    assert (health["status"], health["sdkappid"], health["calls"], health["accounts"]) == ("ok", 1400000001, 1, 2)


async def test_reset_deletes_accounts_and_calls(remote: Remote) -> None:
    await remote.must(IMPORT, {"UserID": "u"})
    assert await remote.good("POST", "reset") == {"ok": True}
    assert (await remote.good("GET", "health"))["accounts"] == 1  # the admin
    assert await remote.good("GET", "calls") == []


@pytest.mark.parametrize(
    "change",
    [{"set": NOW * 1_000}, {"freeze": -1}, {"freeze": NOW, "advance": 1e18}, {"resume": True, "advance": -NOW * 2}],
)
async def test_time_that_is_not_in_seconds_is_refused(remote: Remote, change: dict[str, Any]) -> None:
    await remote.good("POST", "clock", {"freeze": NOW})
    status, answer = await remote.control("POST", "clock", change)
    assert (status, answer["error"].partition(",")[0]) == (
        400,
        "clock: the clock takes Unix seconds from 0 to 4294967295",
    )
    assert await remote.good("GET", "clock") == {"now": NOW, "frozen": True}


async def test_clock_can_be_frozen_advanced_set_and_resumed(remote: Remote) -> None:
    assert await remote.good("POST", "clock", {"freeze": NOW}) == {"now": NOW, "frozen": True}
    assert (await remote.good("POST", "clock", {"advance": 3600}))["now"] == NOW + 3600
    assert (await remote.good("POST", "clock", {"set": NOW - 5}))["now"] == NOW - 5
    assert (await remote.good("POST", "clock", {"resume": True}))["frozen"] is False
    assert (await remote.good("POST", "clock", {"freeze": True}))["frozen"] is True
    assert (await remote.good("GET", "clock"))["now"] > NOW


async def test_seed_adds_accounts_and_makes_calls(remote: Remote) -> None:
    users = [f"u{n}" for n in range(250)]
    calls = [
        {"command": "create_group", "body": {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a"}},
        {
            "command": f"{GROUPS}/add_group_member",
            "body": {"GroupId": "@TGS#_a", "MemberList": [{"Member_Account": "u7"}]},
        },
    ]
    assert await remote.good("POST", "seed", {"accounts": users, "calls": calls}) == {"done": 5}
    roles = await remote.must(f"{GROUPS}/get_role_in_group", {"GroupId": "@TGS#_a", "User_Account": ["u7", "u8"]})
    assert [item["Role"] for item in roles["UserIdList"]] == ["Member", "NotMember"]


async def test_seed_is_accepted_as_toml(remote: Remote) -> None:
    text = 'accounts = ["a"]\n[[calls]]\ncommand = "account_import"\nbody = {UserID = "b"}\n'
    url = f"{remote.server.url}/_stub/seed"
    async with remote.session.post(url, data=text, headers={"Content-Type": "application/toml"}) as response:
        assert await response.json() == {"done": 2}


async def test_error_of_seed_names_refused_call(remote: Remote) -> None:
    calls = [{"command": "account_import", "body": {"UserID": "a"}}, {"command": "destroy_group", "body": {}}]
    status, answer = await remote.control("POST", "seed", {"calls": calls})
    assert status == 409
    assert answer["error"].startswith("call 2, destroy_group: 10004")
    status, answer = await remote.control("POST", "seed", {"calls": [{"command": "nothing"}]})
    assert (status, answer["error"]) == (400, "call 1, nothing: no such command")


LETTERS = "a" * 20_000


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "a" * 5_000, None),
        ("POST", "seed", {"calls": [{"command": LETTERS}]}),
        ("POST", "seed", {LETTERS: 1}),
        ("PUT", "faults", [{LETTERS: 1}]),
        ("POST", "people", {"do": "join", "user": "u", "with": {"group_id": "g", LETTERS: 1}}),
        ("PUT", "state", {"version": LETTERS}),
        ("PUT", "webhooks", {LETTERS: 1}),
    ],
)
async def test_long_value_is_shortened_in_the_answer(remote: Remote, method: str, path: str, body: Any) -> None:
    await remote.must(IMPORT, {"UserID": "u"})
    status, answer = await remote.control(method, path, body)
    assert 400 <= status < 500
    assert len(answer["error"]) < 600
    assert "characters)" in answer["error"]


async def test_state_can_be_exported_and_restored(remote: Remote) -> None:
    await remote.must(IMPORT, {"UserID": "u"})
    await remote.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a"})
    state = await remote.good("GET", "state")
    await remote.good("POST", "reset")
    await remote.good("PUT", "state", state)
    assert await remote.good("GET", "state") == state
    await remote.must(f"{GROUPS}/destroy_group", {"GroupId": "@TGS#_a"})
    slips: list[Any] = [{}, [], {"version": 99}, {**state, "groups": 7}]
    for wrong in slips:
        status, answer = await remote.control("PUT", "state", wrong)
        assert (status, list(answer)) == (400, ["error"])
    assert (await remote.good("GET", "health"))["accounts"] == len(state["accounts"])


async def test_client_app_actions_change_state(remote: Remote) -> None:
    async def do(user: str, what: str, **arguments: Any) -> tuple[int, Any]:
        return await remote.control("POST", "people", {"user": user, "do": what, "with": arguments})

    await remote.good("POST", "seed", {"accounts": ["editor", "reader"]})
    group = {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a", "Owner_Account": "editor"}
    await remote.must(f"{GROUPS}/create_group", {**group, "ApplyJoinOption": "FreeAccess"})
    assert await do("reader", "join", group_id="@TGS#_a") == (200, {"result": None})
    status, posted = await do("reader", "post", group_id="@TGS#_a", body="hello", supports_extensions=True)
    assert (status, posted["result"]["MsgSeq"]) == (200, 1)
    status, outcome = await do("reader", "set_extensions", group_id="@TGS#_a", seq=1, pairs={"r|reader": "1"})
    assert (status, outcome["result"][0]["ErrorCode"]) == (200, 0)
    assert await do("editor", "unread", group_id="@TGS#_a") == (200, {"result": 1})
    assert await do("editor", "read", group_id="@TGS#_a") == (200, {"result": 1})
    status, refused = await do("editor", "leave", group_id="@TGS#_a")
    assert (status, refused["error"][:5]) == (409, "10009")


@pytest.mark.parametrize(
    ("action", "status"),
    [
        ({"user": "ghost", "do": "login"}, 409),
        ({"user": "u", "do": "fly"}, 400),
        ({"user": "u", "do": "_run_command"}, 400),
        ({"user": "u", "do": "login", "platform": "Toaster"}, 400),
        ({"user": "u", "do": "join", "with": {}}, 400),
        ({"user": "u", "do": "join", "with": {"group_id": 7}}, 400),
        ({"user": "u", "do": "join", "with": {"group_id": "@TGS#_none"}}, 409),
        ({"user": "u", "do": "post", "with": {"group_id": "@TGS#_none", "body": [{"MsgType": 1}]}}, 400),
    ],
)
async def test_invalid_client_app_action_is_refused(remote: Remote, action: dict[str, Any], status: int) -> None:
    await remote.good("POST", "seed", {"accounts": ["u"]})
    assert (await remote.control("POST", "people", action))[0] == status


async def test_faults_can_be_added_replaced_and_deleted(remote: Remote) -> None:
    await remote.good("POST", "faults", {"name": "first", "command": "account_import", "code": 60008, "nth": 1})
    assert (await remote.call(IMPORT, {"UserID": "u"}))["ErrorCode"] == 60008
    report = await remote.good("GET", "faults")
    assert report == [
        {"name": "first", "command": "account_import", "code": 60008, "nth": [1], "matched": 1, "struck": 1}
    ]
    assert len(await remote.good("POST", "faults", [{"code": 1}, {"code": 2}])) == 3
    assert len(await remote.good("PUT", "faults", [{"code": 3}])) == 1
    assert (await remote.call(IMPORT, {"UserID": "u"}))["ErrorCode"] == 3
    assert await remote.good("DELETE", "faults") == []
    assert (await remote.call(IMPORT, {"UserID": "u"}))["ErrorCode"] == 0


async def test_calls_can_be_filtered_by_command_and_fields(remote: Remote) -> None:
    for number, user in enumerate(["a", "b", "123"]):
        await remote.call(IMPORT, {"UserID": user, "Number": number})
    await remote.call(f"{GROUPS}/create_grup", {})
    assert [c["command"] for c in await remote.good("GET", "calls")] == ["account_import"] * 3 + ["create_grup"]
    assert [c["code"] for c in await remote.good("GET", "calls?limit=2")] == [0, 60002]
    found = await remote.good("GET", "calls?command=account_import&UserID=b")
    assert [c["body"] for c in found] == [{"UserID": "b", "Number": 1}]
    assert len(await remote.good("GET", "calls?user_id=123")) == len(await remote.good("GET", "calls?Number=2")) == 1
    assert await remote.good("GET", "calls?UserID=nobody") == []
    assert {"command": f"{ACCOUNTS}/account_import", "code": 0, "times": 3} in await remote.good("GET", "counters")


async def test_nearest_calls_are_listed_with_their_differences(remote: Remote) -> None:
    await remote.call(IMPORT, {"UserID": "a"})
    await remote.call(f"{ACCOUNTS}/account_check", {"CheckItem": []})
    await remote.call(IMPORT, {"UserID": "b", "Nick": "Bee"})
    misses = await remote.good("POST", "calls/nearest", {"command": "account_import", "fields": {"user_id": "b"}})
    assert [m["call"]["body"].get("UserID") for m in misses[:2]] == ["b", "a"]
    assert [m["differences"] for m in misses[:2]] == [[], [{"field": "user_id", "expected": "b", "actual": "a"}]]
    misses = await remote.good("POST", "calls/nearest", {"command": "acount_import", "fields": {"Nick": "Bea"}})
    assert misses[0]["differences"] == [{"field": "Nick", "expected": "Bea", "actual": "Bee"}]
    assert await remote.good("POST", "calls/nearest", {"command": "send_group_msg"}) == []


async def test_unknown_fields_are_counted_by_command(remote: Remote) -> None:
    await remote.call(IMPORT, {"UserID": "a", "UserName": "typo"})
    assert await remote.good("GET", "unknown_fields") == [{"command": IMPORT, "field": "UserName", "times": 1}]


async def test_latency_can_be_set(remote: Remote) -> None:
    await remote.good("PUT", "latency", {"base": 0.05})
    assert remote.server.app.latency.next() == 0.05
    await remote.good("PUT", "latency", {"base": 0})


async def test_webhooks_can_be_configured_triggered_and_redelivered(remote: Remote) -> None:
    status, answer = await remote.control("POST", "webhooks/trigger", {"command": "State.StateChange"})
    assert (status, answer["error"]) == (409, "webhooks are off: give them a url first")
    shown = await remote.good("PUT", "webhooks", {"url": "http://127.0.0.1:1/", "token": "hush", "timeout": 0.2})
    assert shown["url"] == "http://127.0.0.1:1/"
    assert "hush" not in str(shown)
    await remote.good("POST", "seed", {"accounts": ["reader"]})
    status, slip = await remote.control("POST", "people", {"user": "reader", "do": "post"})
    assert (status, slip["error"]) == (400, "post: group_id: Missing required argument")
    delivery = await remote.good("POST", "webhooks/trigger", {"command": "State.StateChange", "body": {"Info": {}}})
    assert delivery["body"]["CallbackCommand"] == "State.StateChange"
    assert delivery["outcome"].startswith("not reached")
    await remote.good("POST", "webhooks/redeliver", {"number": delivery["number"]})
    await remote.server.webhooks.idle()
    assert len(await remote.good("GET", "webhooks/deliveries?command=State.StateChange")) == 2
    assert await remote.good("GET", "webhooks/deliveries?command=Other") == []
    assert (await remote.control("POST", "webhooks/redeliver", {"number": 99}))[0] == 404
    status, answer = await remote.control("PUT", "webhooks", {"url": "gopher://x", "token": "hush"})
    assert status == 400
    assert "hush" not in str(answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "nothing", None, 404),
        ("GET", "", None, 404),
        ("GET", "reset", None, 405),
        ("POST", "clock", {"freze": True}, 400),
        ("POST", "clock", [1], 400),
        ("POST", "faults", [{"code": "x"}], 400),
        ("PUT", "faults", "x", 400),
        ("PUT", "latency", {"base": -1}, 400),
        ("PUT", "latency", {"base": float("inf")}, 400),
        ("POST", "clock", {"advance": float("nan")}, 400),
        ("POST", "seed", {"calls": [{"body": {}}]}, 400),
        ("GET", "calls?limit=all", None, 400),
    ],
)
async def test_invalid_request_is_refused_with_error(
    remote: Remote, method: str, path: str, body: Any, status: int
) -> None:
    got, answer = await remote.control(method, path, body)
    assert (got, list(answer)) == (status, ["error"])


async def test_body_that_is_no_json_is_refused(remote: Remote) -> None:
    async with remote.session.post(f"{remote.server.url}/_stub/faults", data=b"\xff{") as response:
        assert response.status == 400


async def test_requests_of_web_pages_are_refused(remote: Remote) -> None:
    assert (await remote.control("POST", "reset", Origin="http://evil.example"))[0] == 403


@pytest.mark.parametrize(
    ("peer", "token", "sent", "status"),
    [
        ("127.0.0.1", None, None, 200),
        ("::1", TOKEN, None, 200),
        ("192.0.2.7", None, None, 403),
        ("192.0.2.7", None, "Bearer ", 403),
        ("192.0.2.7", TOKEN, None, 401),
        ("192.0.2.7", TOKEN, "Bearer wrong", 401),
        ("192.0.2.7", TOKEN, f"Bearer {TOKEN}", 200),
        ("fe80::1%eth0", TOKEN, f"Bearer {TOKEN}", 200),
        (None, TOKEN, None, 401),
    ],
)
async def test_access_depends_on_address_and_token(
    peer: str | None, token: str | None, sent: str | None, status: int
) -> None:
    server = StubServer()
    settings = ControlSettings(token=None if token is None else SecretStr(token))
    control = ControlPlane(settings, server.dispatcher, server.webhooks, Latency(), server.reset)
    headers = {} if sent is None else {"Authorization": sent}
    bodies: list[bytes] = [b"{}"]

    async def read() -> bytes:
        return bodies.pop()

    got, body = await control.answer("GET", "/_stub/health", peer, headers, read)
    assert got == status
    assert TOKEN.encode() not in body
    assert len(bodies) == (0 if status == 200 else 1), "the body is read after the caller is admitted"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 401),
        ("evil.example:8900", 401),
        ("127.0.0.1.evil.example", 401),
        ("localhost.evil.example", 401),
        ("[::1", 401),
        ("192.0.2.7", 401),
        ("", 401),
        ("127.0.0.1", 200),
        ("127.8.8.8:80", 200),
        ("[::1]:8900", 200),
        ("LocalHost:8900", 200),
        ("localhost.", 200),
        ("stub.internal", 200),
    ],
)
async def test_foreign_host_needs_token(host: str, status: int, session: aiohttp.ClientSession) -> None:
    settings = ControlSettings(token=SecretStr(TOKEN))
    async with StubServer(control=settings, tls_names=["stub.internal"]) as server:
        remote = Remote(server, session)
        assert (await remote.control("GET", "state", Host=host))[0] == status
        token = {"Authorization": f"Bearer {TOKEN}"}
        assert (await remote.control("GET", "state", Host=host, **token))[0] == 200


async def test_foreign_host_is_refused_when_no_token_is_set(session: aiohttp.ClientSession) -> None:
    async with StubServer(control=ControlSettings()) as server:
        status, answer = await Remote(server, session).control("GET", "state", Host="evil.example")
    assert (status, list(answer)) == (403, ["error"])


async def test_refused_caller_is_answered_before_its_body_arrives(remote: Remote) -> None:
    port = int(remote.server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PUT /_stub/state HTTP/1.1\r\nHost: evil.example\r\nContent-Length: 200000000\r\n\r\n{")
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await writer.wait_closed()


async def test_body_over_limit_is_refused(remote: Remote) -> None:
    port = int(remote.server.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"PUT /_stub/state HTTP/1.1\r\nHost: localhost\r\nContent-Length: 300000000\r\n\r\n{")
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"400"
    writer.close()
    await writer.wait_closed()


async def test_no_answer_contains_secret(remote: Remote) -> None:
    remote.server.webhooks.settings = CallbackSettings.model_validate({"url": None, "token": "hush-hush"})
    usersig = remote.signature()
    await remote.call(IMPORT, {"UserID": "u", "note": usersig}, usersig=usersig)
    for method, path in ROUTES:
        if method == "GET":
            shown = str(await remote.good(method, path))
            assert not [s for s in (remote.server.key, usersig[:40], "hush-hush", TOKEN) if s in shown], path


async def test_control_calls_are_not_in_request_log(remote: Remote) -> None:
    await remote.good("GET", "health")
    assert await remote.good("GET", "calls") == []
