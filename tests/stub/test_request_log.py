"""Request log of the stub: what is recorded, and what is never recorded."""

import sys
import threading

import pytest

from channel_adapter.stub.request_log import CALLS_KEPT, RecordedCall, RequestLog
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.testing.expectations import StubAssertions
from tests.stub.conftest import ACCOUNTS, GROUPS, NOW, Caller

IMPORT = f"{ACCOUNTS}/account_import"


def call(number: int = 0, *, raw: bytes = b"{}", code: int = 0) -> RecordedCall:
    return RecordedCall(float(number), GROUPS, "create_group", "administrator", code, 0.001, raw)


async def test_call_is_recorded_with_its_answer(caller: Caller, clock: StubClock) -> None:
    clock.freeze(NOW)
    await caller.call(IMPORT, {"UserID": "editor"})
    await caller.call(IMPORT, {"UserID": "x" * 33})
    first, second = caller.server.log.calls("account_import")
    assert (first.at, first.service, first.command, first.caller) == (NOW, ACCOUNTS, "account_import", "administrator")
    assert (first.body, first.code) == ({"UserID": "editor"}, 0)
    assert second.code != 0
    assert 0 < first.seconds < 10


async def test_calls_are_found_by_command_and_fields(caller: Caller) -> None:
    for user in ("a", "b", "a"):
        await caller.must(IMPORT, {"UserID": user})
    log = caller.server.log
    assert len(log.calls()) == len(log.calls(IMPORT)) == len(log.calls("account_import")) == 3
    assert len(log.calls("account_import", user_id="a")) == len(log.calls(UserID="a")) == 2
    assert log.calls("account_import", user_id="c") == log.calls("create_group") == log.calls(no_such_field=None) == []
    assert log.count() == log.count("account_import") == 3
    log.clear()
    assert (len(log), log.count()) == (0, 0)


async def test_refusals_by_gate_are_recorded(caller: Caller) -> None:
    await caller.call(IMPORT, {"UserID": "u"}, usersig=caller.signature(key="0" * 64))
    await caller.send("/v4/nowhere/nothing", b"{")
    await caller.send("/elsewhere", b"{}")
    await caller.send(f"/v4/{IMPORT}", b"x" * 2_000_000)
    assert [(c.command, c.code) for c in caller.server.log] == [
        ("account_import", 70009),
        ("nothing", 60002),
        ("", 60002),
        ("", 60002),
    ]
    assert caller.server.log.answers["unknown", 60002] == 3


@pytest.mark.parametrize("key", [None, "1" * 64])
async def test_no_signature_is_recorded(caller: Caller, key: str | None) -> None:
    usersig = caller.signature(key=key)
    await caller.call(IMPORT, {"UserID": "u", "note": f"my {usersig}"}, usersig=usersig)
    await caller.call(f"{GROUPS}/{usersig}", {"UserID": "u"}, usersig=usersig)
    kept = repr(list(caller.server.log)) + repr(caller.server.log) + repr(caller.server)
    assert usersig[:40] not in kept
    assert caller.server.key not in kept
    assert "[redacted]" in kept


def test_log_is_bounded_and_counters_are_not() -> None:
    log = RequestLog(max_calls=10)
    for number in range(25):
        log.add(call(number, code=number % 2), known=True)
    assert [kept.at for kept in log] == [float(n) for n in range(15, 25)]
    assert log.count("create_group") == 25
    assert log.answers[f"{GROUPS}/create_group", 1] == 12


def test_large_bodies_displace_older_calls() -> None:
    log = RequestLog(max_bytes=1_000)
    for number in range(5):
        log.add(call(number, raw=b'"' + b"x" * 398 + b'"'), known=True)
    assert [kept.at for kept in log] == [3.0, 4.0]


def test_body_that_is_no_object_has_no_fields() -> None:
    assert [call(raw=raw).body for raw in (b"", b"[1]", b"{", b"\xff", b'{"A":1}')] == [{}, {}, {}, {}, {"A": 1}]


async def test_long_unknown_names_are_truncated(caller: Caller) -> None:
    await caller.send(f"/v4/{'s' * 999}/{'c' * 999}", b"{}")
    assert max(len(kept.service) + len(kept.command) for kept in caller.server.log) < 200


def test_calls_can_be_counted_while_the_server_adds_some() -> None:
    log, interval = RequestLog(max_calls=10), sys.getswitchinterval()

    def add() -> None:
        for number in range(60_000):
            log.add(call()._replace(command=f"command_{number % 20_000}"), known=True)

    adding = threading.Thread(target=add)
    sys.setswitchinterval(1e-6)
    try:
        adding.start()
        while adding.is_alive():
            log.count("create_group")
    finally:
        sys.setswitchinterval(interval)
        adding.join()
    assert log.count() == 60_000


async def test_assertion_about_dropped_calls_fails(server: StubServer) -> None:
    body = b'{"GroupId": "@TGS#_first"}'
    for number in range(CALLS_KEPT + 1):
        server.log.add(call(number, raw=b"{}" if number else body), known=True)
    stub = StubAssertions(server)
    assert len(stub.assert_called("create_group")) == CALLS_KEPT
    reason = "has dropped 1 older calls of create_group, which may match"
    with pytest.raises(AssertionError, match=reason):
        stub.assert_not_called("create_group", group_id="@TGS#_first")
    with pytest.raises(AssertionError, match=reason):
        stub.assert_called("create_group", times=CALLS_KEPT)
    stub.assert_not_called("destroy_group")


async def test_field_that_is_absent_is_reported_when_null_was_expected(server: StubServer) -> None:
    server.log.add(call(raw=b'{"UserID": "ann"}'), known=True)
    with pytest.raises(AssertionError, match=r"create_group \(answered 0\): nick is absent, expected None"):
        StubAssertions(server).assert_called("create_group", user_id="ann", nick=None)
