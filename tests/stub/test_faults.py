"""Injected faults: when they apply, and their effect on the call and its answer."""

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.scenario import read_faults
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import SettingsError
from channel_adapter.stub.world.clock import StubClock
from tests.stub.conftest import ACCOUNTS, GROUPS, Caller, Start

IMPORT = f"{ACCOUNTS}/account_import"
CHECK = f"{ACCOUNTS}/account_check"


class Struck(Caller):
    """Caller of a server with faults; it can return raw HTTP answers."""

    async def raw(self, command: str, body: Any) -> tuple[int, str, bytes]:
        url = f"{self.server.url}/v4/{command}"
        async with self.session.post(url, params=self.parameters(), data=json.dumps(body).encode()) as response:
            return response.status, response.content_type, await response.read()

    def strike(self, *faults: dict[str, Any]) -> None:
        self.server.faults.replace(read_faults(list(faults)))

    async def codes(self, command: str, times: int, body: dict[str, Any] | None = None) -> list[int]:
        bodies = ({"UserID": f"u{n}"} if body is None else body for n in range(times))
        return [(await self.call(command, body))["ErrorCode"] for body in bodies]

    async def imported(self, *users: str) -> list[bool]:
        self.server.faults.replace(())
        answer = await self.must(CHECK, {"CheckItem": [{"UserID": user} for user in users]})
        return [item["AccountStatus"] == "Imported" for item in answer["ResultItem"]]


@pytest.fixture
def struck(server: StubServer, session: aiohttp.ClientSession) -> Struck:
    return Struck(server, session)


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ({}, [1, 1, 1, 1, 1, 1]),
        ({"nth": 2}, [0, 1, 0, 0, 0, 0]),
        ({"nth": [1, 4]}, [1, 0, 0, 1, 0, 0]),
        ({"every": 3}, [0, 0, 1, 0, 0, 1]),
        ({"times": 2}, [1, 1, 0, 0, 0, 0]),
        ({"every": 2, "times": 1}, [0, 1, 0, 0, 0, 0]),
        ({"account": "u3"}, [0, 0, 0, 1, 0, 0]),
        ({"account": "u[01]"}, [1, 1, 0, 0, 0, 0]),
        ({"service": "im_open_*", "command": "account_import"}, [1, 1, 1, 1, 1, 1]),
        ({"command": "create_group"}, [0, 0, 0, 0, 0, 0]),
        ({"group": "*"}, [0, 0, 0, 0, 0, 0]),
        ({"probability": 0.0}, [0, 0, 0, 0, 0, 0]),
    ],
)
async def test_fault_applies_to_selected_calls(struck: Struck, when: dict[str, Any], expected: list[int]) -> None:
    struck.strike({**when, "code": 60008})
    assert await struck.codes(IMPORT, 6) == [60008 if hit else 0 for hit in expected]


async def test_fault_selects_calls_by_group_in_body(struck: Struck) -> None:
    struck.strike({"group": "@TGS#_a", "code": 10002})
    assert await struck.codes(f"{GROUPS}/destroy_group", 1, {"GroupId": "@TGS#_a"}) == [10002]
    assert await struck.codes(f"{GROUPS}/destroy_group", 1, {"GroupId": "@TGS#_b"}) == [10010]
    assert await struck.codes(f"{GROUPS}/get_group_info", 1, {"GroupIdList": ["@TGS#_b", "@TGS#_a"]}) == [10002]


async def test_probability_depends_on_seed(stranger: Start) -> None:
    async def draw(seed: int) -> list[int]:
        async with StubServer(seed=seed, faults=[Fault(probability=0.4, code=60014)]) as server:
            caller = stranger(server)
            return [(await caller.call(IMPORT, {"UserID": f"u{n}"}))["ErrorCode"] for n in range(40)]

    drawn = await draw(1)
    assert drawn == await draw(1) != await draw(2)
    assert 5 < drawn.count(60014) < 30


async def test_fault_applies_to_calls_above_rate(struck: Struck, clock: StubClock) -> None:
    clock.freeze()
    struck.strike({"above_rate": 2, "code": 60007})
    assert await struck.codes(IMPORT, 4) == [0, 0, 60007, 60007]
    clock.advance(0.5)
    assert await struck.codes(IMPORT, 2) == [0, 60007]


async def test_first_matching_fault_applies_and_others_count(struck: Struck) -> None:
    struck.strike({"nth": 1, "code": 60001}, {"nth": [1, 2], "code": 60008})
    assert await struck.codes(IMPORT, 3) == [60001, 60008, 0]
    assert [(fault["matched"], fault["struck"]) for fault in struck.server.faults.report()] == [(3, 1), (3, 1)]
    struck.server.reset()
    assert await struck.codes(IMPORT, 1) == [60001]


async def test_call_with_injected_code_is_carried_out_only_if_applied(struck: Struck) -> None:
    struck.strike({"code": 60008, "info": "slow today", "nth": 1}, {"code": 60008, "applied": True, "nth": 2})
    answer = await struck.call(IMPORT, {"UserID": "lost"})
    assert (answer["ErrorCode"], answer["ErrorInfo"]) == (60008, "slow today")
    assert (await struck.call(IMPORT, {"UserID": "kept"}))["ErrorCode"] == 60008
    assert await struck.imported("lost", "kept") == [False, True]


async def test_injected_code_hides_refusal_of_applied_call(struck: Struck) -> None:
    struck.strike({"code": 60008, "applied": True})
    assert await struck.codes(f"{GROUPS}/destroy_group", 1, {"GroupId": "@TGS#_missing"}) == [60008]


@pytest.mark.parametrize("applied", [False, True])
async def test_fault_with_status_returns_html_page(struck: Struck, applied: bool) -> None:
    struck.strike({"status": 502, "applied": applied})
    status, content_type, body = await struck.raw(IMPORT, {"UserID": "u"})
    assert (status, content_type) == (502, "text/html")
    assert body.startswith(b"<html>")
    assert struck.server.log.calls()[0].code is None
    assert await struck.imported("u") == [applied]


@pytest.mark.parametrize("applied", [False, True])
async def test_fault_can_drop_connection(struck: Struck, applied: bool) -> None:
    struck.strike({"drop": True, "applied": applied})
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await struck.raw(IMPORT, {"UserID": "u"})
    assert await struck.imported("u") == [applied]


async def test_fault_can_drop_connection_during_answer(struck: Struck) -> None:
    struck.strike({"drop": True, "cut": 0.5})
    with pytest.raises(aiohttp.ClientPayloadError):
        await struck.raw(IMPORT, {"UserID": "u"})
    assert await struck.imported("u") == [True]


async def test_fault_can_truncate_answer(struck: Struck) -> None:
    struck.strike({"cut": 0.5})
    status, _, body = await struck.raw(IMPORT, {"UserID": "u"})
    assert status == 200
    with pytest.raises(json.JSONDecodeError):
        json.loads(body)
    assert await struck.imported("u") == [True]


async def test_fault_can_delay_or_slow_answer(struck: Struck) -> None:
    struck.strike({"nth": 1, "delay": 0.1, "delay_spread": 0.05}, {"nth": 2, "slow": 200})
    for _ in range(2):
        started = time.perf_counter()
        status, _, body = await struck.raw(IMPORT, {"UserID": "u"})
        assert time.perf_counter() - started >= 0.1
        assert (status, json.loads(body)["ErrorCode"]) == (200, 0)


async def test_call_is_carried_out_after_timeout_of_caller(struck: Struck) -> None:
    struck.strike({"delay": 30})
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(struck.raw(IMPORT, {"UserID": "u"}), 0.2)
    assert await struck.imported("u") == [True]


async def test_fault_can_add_unknown_fields_and_wrong_content_type(struck: Struck) -> None:
    struck.strike({"extra": {"TraceId": "7f", "Nested": {"a": [1]}}, "content_type": "text/plain"})
    status, content_type, body = await struck.raw(IMPORT, {"UserID": "u"})
    assert (status, content_type) == (200, "text/plain")
    assert json.loads(body) == {
        "ActionStatus": "OK",
        "ErrorCode": 0,
        "ErrorInfo": "",
        "TraceId": "7f",
        "Nested": {"a": [1]},
    }


async def test_every_second_member_of_batch_fails(struck: Struck) -> None:
    users = [f"u{n}" for n in range(5)]
    await struck.must(f"{ACCOUNTS}/multiaccount_import", {"AccountList": [{"UserID": user} for user in users]})
    await struck.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a"})
    struck.strike({"command": "add_group_member", "fail_items": 2})
    body = {"GroupId": "@TGS#_a", "MemberList": [{"Member_Account": user} for user in users]}
    added = (await struck.must(f"{GROUPS}/add_group_member", body))["MemberList"]
    assert added == [{"Member_Account": user, "Result": n % 2} for n, user in enumerate(users, 1)]
    roles = await struck.must(f"{GROUPS}/get_role_in_group", {"GroupId": "@TGS#_a", "User_Account": users})
    assert [item["Role"] == "Member" for item in roles["UserIdList"]] == [True, False, True, False, True]


async def test_every_second_account_and_group_of_batch_fails(struck: Struck) -> None:
    struck.strike({"fail_items": 2, "item_code": 70500})
    body: dict[str, Any] = {"AccountList": [{"UserID": "a"}, {"UserID": "b"}, {"UserID": "c"}]}
    assert (await struck.must(f"{ACCOUNTS}/multiaccount_import", body))["FailAccounts"] == ["b"]
    checked = await struck.must(CHECK, {"CheckItem": body["AccountList"]})
    assert [(item["UserID"], item["ResultCode"]) for item in checked["ResultItem"]] == [
        ("a", 0),
        ("b", 70500),
        ("c", 0),
    ]
    groups = await struck.must(f"{GROUPS}/get_group_info", {"GroupIdList": ["@TGS#_x", "@TGS#_y"]})
    assert [item["ErrorCode"] for item in groups["GroupInfo"]][1] == 70500
    assert await struck.imported("a", "b", "c") == [True, False, True]


async def test_every_item_of_batch_fails(struck: Struck) -> None:
    struck.strike({"fail_items": 1})
    answer = await struck.must(f"{ACCOUNTS}/multiaccount_import", {"AccountList": [{"UserID": "a"}, {"UserID": "b"}]})
    assert answer["FailAccounts"] == ["a", "b"]
    assert await struck.imported("a", "b") == [False, False]


@pytest.mark.parametrize("body", [{"AccountList": "a"}, {"AccountList": [None]}, {"AccountList": [{"UserID": []}]}, {}])
async def test_malformed_batch_is_refused_with_usual_code(struck: Struck, body: dict[str, Any]) -> None:
    struck.strike({"fail_items": 1})
    assert (await struck.call(f"{ACCOUNTS}/multiaccount_import", body))["ErrorCode"] == 70402


async def test_fault_does_not_apply_to_calls_refused_by_gate(struck: Struck) -> None:
    struck.strike({"code": 60008})
    assert (await struck.call(IMPORT, {"UserID": "u"}, usersig="x"))["ErrorCode"] == 70003
    assert struck.server.faults.report()[0]["matched"] == 0


async def test_fault_selects_account_in_deeply_nested_body(struck: Struck) -> None:
    struck.strike({"account": "deep", "code": 60008})
    depth = 500
    raw = b'{"From_Account":' + b"[" * depth + b'"deep"' + b"]" * depth + b"}"
    assert (await struck.send(f"/v4/{IMPORT}", raw))["ErrorCode"] == 60008


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ({}, "no effect"),
        ({"nth": 3}, "no effect"),
        ({"code": "many"}, "code"),
        ({"status": 200}, "status"),
        ({"cood": 1}, "cood"),
        ({"code": 1, "probability": 2}, "probability"),
        ({"code": 1, "every": 0}, "every"),
        ({"cut": 1.0}, "cut"),
    ],
)
def test_invalid_fault_is_refused(fault: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        read_faults([{"code": 60007}, fault])
    assert "fault 2" in str(caught.value)
