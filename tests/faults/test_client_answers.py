"""The client with every kind of response: repeated requests, their bodies, and the resulting errors."""

import asyncio
import random
import re
from typing import Any

import aiohttp
import pytest

from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import ADD_GROUP_MEMBER, CREATE_GROUP, GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.client import Attempt, CallFailed, CommandUsage, TencentClient, Timeouts
from channel_adapter.tencent.rate_limit import CommandLimiter
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.transport import Transport
from channel_adapter.tencent.usersig import decode, verify
from channel_adapter.tencent.wire.envelope import Ambiguous, ApiError, HttpRejected, NotAttempted, NotSent, Throttled
from channel_adapter.tencent.wire.groups import CreateGroupRequest, GetGroupInfoRequest
from channel_adapter.tencent.wire.messages import SendGroupMsgRequest
from channel_adapter.tencent.wire.msg_body import Element
from tests.faults.conftest import APP, KEY, NOW, OK, PRIMARY, FakeClock, Script, refused

GROUP = "@TGS#_harbor"
READ = GetGroupInfoRequest(group_id_list=[GROUP])
POST = SendGroupMsgRequest(
    group_id=GROUP, random=7, msg_body=[Element(msg_type="TIMTextElem", msg_content={"Text": "high tide"})]
)
SENT = OK | {"MsgTime": 1700000000, "MsgSeq": 12}
FOUND = OK | {"GroupInfo": [{"GroupId": GROUP, "ErrorCode": 0, "Name": "Harbour"}]}


class _Place:
    """The part of the connection key of aiohttp that its errors read."""

    host, port, ssl, is_ssl = "primary.test", 443, True, True


PLACE: Any = _Place()


def kinds(attempts: list[Attempt]) -> list[str]:
    return [attempt.outcome_kind for attempt in attempts]


def code_of(failed: CallFailed) -> int | None:
    return failed.outcome.code if isinstance(failed.outcome, ApiError) else None


async def failure(client: TencentClient, *, deadline: float | None = None) -> CallFailed:
    """Return the error of a call that only reads."""
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, READ, deadline=deadline)
    return caught.value


async def test_call_is_signed_and_answered(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(SENT)
    async with client:
        reply = await client.call(SEND_GROUP_MSG, POST)
    assert (reply.msg_seq, reply.msg_time) == (12, 1700000000)
    (sent,) = script.sent
    assert str(sent.url.with_query(None)) == f"{PRIMARY}/v4/group_open_http_svc/send_group_msg"
    assert sent.url.query.keys() == {"sdkappid", "identifier", "random", "contenttype"}
    assert sent.url.query["sdkappid"] == str(APP.sdkappid)
    assert sent.url.query["contenttype"] == "json"
    assert 0 <= int(sent.url.query["random"]) <= limits.RANDOM_HIGHEST
    usersig = await sent.usersig()
    assert verify(usersig, sdkappid=APP.sdkappid, key=KEY, identifier=APP.admin, now=clock.now()).time == NOW
    assert sent.body == POST.to_json()
    assert sent.options["allow_redirects"] is False


async def test_every_request_has_its_own_random_number(script: Script, clock: FakeClock) -> None:
    script.then(*[SENT] * 20)
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock), random=random.Random(4)) as client:
        await asyncio.gather(*(client.call(SEND_GROUP_MSG, POST) for _ in range(20)))
    assert len({sent.url.query["random"] for sent in script.sent}) == 20
    assert len({await sent.usersig() for sent in script.sent}) == 1


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ((502, "<html><h1>502 Bad ApiCaller</h1></html>"), "HTTP 502"),
        ((200, '{"ActionStatus":"OK","Err'), "not JSON"),
        ((200, "<html>captive portal</html>"), "not JSON"),
        ((200, ""), "not JSON"),
        ({"ActionStatus": "OK", "GroupInfo": []}, "ErrorCode"),
        (aiohttp.ServerDisconnectedError(), "closed the connection without an answer"),
        (aiohttp.ClientPayloadError("cut"), "the answer broke off"),
        (ConnectionResetError(104, "reset"), "connection reset by peer"),
        (TimeoutError(), "no answer from primary.test within 10 s"),
    ],
)
async def test_read_succeeds_after_two_ambiguous_attempts(
    client: TencentClient, script: Script, attempts: list[Attempt], trouble: object, reason: str
) -> None:
    script.then(trouble, trouble, FOUND)
    async with client:
        reply = await client.call(GET_GROUP_INFO, READ)
    assert reply.group_info[0].group_id == GROUP
    assert kinds(attempts) == ["ambiguous", "ambiguous", "success"]

    script.then(trouble, trouble, trouble, FOUND)
    failed = await failure(client)
    assert isinstance(failed.outcome, Ambiguous)
    assert reason in failed.outcome.reason
    assert re.fullmatch(r"get_group_info failed: .*\(3 attempts\)", str(failed))


async def test_repeated_post_has_the_same_bytes(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(TimeoutError(), aiohttp.ServerDisconnectedError(), SENT)
    async with client:
        assert (await client.call(SEND_GROUP_MSG, POST)).msg_seq == 12
    assert [sent.body for sent in script.sent] == [POST.to_json()] * 3
    assert 0.36 <= clock.waits[0] <= 0.45
    assert 0.72 <= clock.waits[1] <= 0.90


async def test_ambiguous_write_is_reported_as_ambiguous(client: TencentClient, script: Script) -> None:
    script.then(*[TimeoutError()] * 3)
    async with client:
        with pytest.raises(CallFailed, match="send_group_msg may or may not have been carried out") as caught:
            await client.call(SEND_GROUP_MSG, POST)
    assert caught.value.attempts == 3


async def test_earlier_ambiguous_attempt_is_reported(client: TencentClient, script: Script) -> None:
    script.then(TimeoutError(), *[refused(60007)] * 8)
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(SEND_GROUP_MSG, POST, deadline=100)
    assert isinstance(caught.value.outcome, Ambiguous)
    assert caught.value.attempts == 9


async def test_permanent_error_after_an_ambiguous_attempt_is_reported(client: TencentClient, script: Script) -> None:
    script.then(TimeoutError(), refused(10021))
    request = CreateGroupRequest(type="Community", name="Harbour", group_id=GROUP)
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(CREATE_GROUP, request)
    assert caught.value.outcome == ApiError(10021, "no")


@pytest.mark.parametrize("code", [10004, 10007, 10010, 60010, 70009, 70050, 123456])
async def test_permanent_error_is_final(client: TencentClient, script: Script, clock: FakeClock, code: int) -> None:
    script.then(refused(code, "the text of the service"))
    failed = await failure(client)
    assert failed.outcome == ApiError(code, "the text of the service")
    assert (failed.service, failed.command) == ("group_open_http_svc", "get_group_info")
    assert (failed.attempts, code_of(failed), clock.waits) == (1, code, [])
    assert failed.row is not None
    assert failed.row.code == code
    assert f"[{code}: the text of the service]" in str(failed)


@pytest.mark.parametrize("status", [301, 302, 307, 400, 403, 404])
async def test_other_http_status_is_final(client: TencentClient, script: Script, status: int) -> None:
    script.then((status, "moved"))
    failed = await failure(client)
    assert failed.outcome == HttpRejected(f"HTTP {status}", status)
    assert failed.attempts == 1


async def test_refused_signature_is_replaced_once(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(refused(70001), FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
        first, second = script.sent
        assert await first.usersig() != await second.usersig()
        assert clock.waits == [0.0]
        script.then(FOUND)
        await client.call(GET_GROUP_INFO, READ)
        assert await script.sent[2].usersig() == await second.usersig()


async def test_second_refusal_of_the_signature_is_final(client: TencentClient, script: Script) -> None:
    script.then(refused(70003), refused(70003), FOUND)
    failed = await failure(client)
    assert (code_of(failed), failed.attempts) == (70003, 2)


@pytest.mark.parametrize(
    ("off_by", "words"),
    [
        (-86_400.0, "this machine's clock is wrong: it is 1 day behind the server's"),
        (7_200.0, "this machine's clock is wrong: it is 2 hours ahead of the server's"),
        (-150.0, "this machine's clock is wrong: it is 2.5 minutes behind the server's"),
        (0.0, "this machine's clock is wrong"),
    ],
)
async def test_error_reports_a_wrong_clock(
    client: TencentClient, script: Script, clock: FakeClock, off_by: float, words: str
) -> None:
    clock.off_by = off_by
    assert client.clock_skew is None
    script.then(refused(70001), refused(70001), headers={"Date": "Tue, 14 Nov 2023 22:13:20 GMT"})
    failed = await failure(client)
    assert words in str(failed)
    assert client.clock_skew == pytest.approx(-off_by)


@pytest.mark.parametrize("date", ["soon", f"Mon, 01 Jan {'9' * 20} 00:00:00 GMT"])
async def test_malformed_date_yields_no_skew(client: TencentClient, script: Script, date: str) -> None:
    script.then(FOUND, headers={"Date": date})
    async with client:
        await client.call(GET_GROUP_INFO, READ)
    assert client.clock_skew is None


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (70009, "the key does not belong to this app"),
        (70014, "the sdkappid is wrong, or this host serves another region"),
        (70016, "the sdkappid is wrong, or this host serves another region"),
        (70020, "the sdkappid is wrong, or this host serves another region"),
    ],
)
async def test_error_reports_wrong_settings(client: TencentClient, script: Script, code: int, words: str) -> None:
    script.then(refused(code))
    assert words in str(await failure(client))


@pytest.mark.parametrize("trouble", [refused(60007), refused(60011), (429, "slow down")])
async def test_frequency_code_waits_a_second_and_reduces_the_rate(
    script: Script, clock: FakeClock, trouble: object
) -> None:
    limiter = CommandLimiter(clock=clock)
    script.then(trouble, FOUND)
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock), limiter=limiter) as client:
        full = limiter.rate(GET_GROUP_INFO)
        await client.call(GET_GROUP_INFO, READ)
    assert 1.2 <= clock.waits[0] <= 1.5
    assert client.call_rates() == [CommandUsage(GET_GROUP_INFO.path, 2, full / 2, reduced=True)]
    assert limiter.rate(GET_GROUP_INFO) == full / 2
    assert limiter.rate(ADD_GROUP_MEMBER) == full


async def test_call_rates_count_the_calls_of_the_last_minute(script: Script, clock: FakeClock) -> None:
    script.then(FOUND, FOUND, FOUND)
    found = []
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock)) as client:
        for pause in (0.0, 30.0, 31.0):
            clock.elapsed += pause
            await client.call(GET_GROUP_INFO, READ)
            found += client.call_rates()
        clock.elapsed += 600.0
        found += client.call_rates()
    assert [each.last_minute for each in found] == [1, 2, 2, 0]
    assert {(each.limit, each.reduced) for each in found} == {(GET_GROUP_INFO.calls_per_second, False)}


async def test_group_rate_limit_causes_a_wait_and_no_rate_reduction(script: Script, clock: FakeClock) -> None:
    limiter = CommandLimiter(clock=clock)
    script.then(refused(10023), OK | {"MsgDropReason": "MsgFreqCtrl"}, SENT)
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock), limiter=limiter) as client:
        full = limiter.rate(SEND_GROUP_MSG)
        assert (await client.call(SEND_GROUP_MSG, POST)).msg_seq == 12
    assert limiter.rate(SEND_GROUP_MSG) == full
    assert [sent.body for sent in script.sent] == [POST.to_json()] * 3
    assert all(wait >= 1.2 for wait in clock.waits)


async def test_repeatedly_dropped_message_is_a_failure(client: TencentClient, script: Script) -> None:
    script.then(*[OK | {"MsgDropReason": "MsgFreqCtrl"}] * 8)
    async with client:
        with pytest.raises(CallFailed, match="was dropped by the service") as caught:
            await client.call(SEND_GROUP_MSG, POST, deadline=100)
    assert caught.value.outcome == Throttled("MsgFreqCtrl")
    assert (caught.value.attempts, caught.value.row) == (8, None)


async def test_no_attempt_starts_after_the_deadline(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(*[refused(60007)] * 8)
    failed = await failure(client, deadline=6.0)
    assert clock.elapsed < 6.0
    assert 2 <= failed.attempts <= 4
    assert code_of(failed) == 60007


async def test_wait_of_the_rate_limiter_counts_against_the_deadline(script: Script, clock: FakeClock) -> None:
    limiter = CommandLimiter({GET_GROUP_INFO.path: 0.1}, clock=clock)
    script.then(FOUND)
    transport = Transport(HostPair(PRIMARY), timeouts=Timeouts(total=5.0), clock=clock)
    client = TencentClient(APP, transport, limiter=limiter)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
        with pytest.raises(CallFailed, match="was not sent: the rate limit allows it in 10") as caught:
            await client.call(GET_GROUP_INFO, READ)
    assert isinstance(caught.value.outcome, NotAttempted)
    assert len(script.sent) == 1


async def test_failed_connections_switch_to_the_backup(
    client: TencentClient, script: Script, attempts: list[Attempt]
) -> None:
    unreachable = aiohttp.ClientConnectorError(PLACE, ConnectionRefusedError(111, "refused"))
    script.then(*[unreachable] * 3, FOUND, FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
        await client.call(GET_GROUP_INFO, READ)
    assert [sent.url.host for sent in script.sent] == ["primary.test"] * 3 + ["backup.test"] * 2
    assert kinds(attempts) == ["not_sent"] * 3 + ["success"] * 2


async def test_error_after_sending_never_changes_the_host(client: TencentClient, script: Script) -> None:
    script.then(*[TimeoutError(), (502, ""), aiohttp.ServerDisconnectedError()] * 2)
    async with client:
        for _ in range(2):
            with pytest.raises(CallFailed):
                await client.call(GET_GROUP_INFO, READ)
    assert {sent.url.host for sent in script.sent} == {"primary.test"}


async def test_unreachable_hosts_are_reported_as_not_sent(client: TencentClient, script: Script) -> None:
    script.then(*[aiohttp.ClientConnectorError(PLACE, ConnectionRefusedError(111, "refused"))] * 4)
    failed = await failure(client)
    assert failed.outcome == NotSent("no connection to primary.test:443: connection refused")
    assert str(failed) == (
        "get_group_info could not be sent: no connection to primary.test:443: connection refused (4 attempts)"
    )


async def test_raw_call_is_repeated_like_a_typed_call(client: TencentClient, script: Script) -> None:
    answer = SENT | {"Unmodelled": {"deep": [1]}}
    script.then(refused(60007), OK | {"MsgDropReason": "MsgFreqCtrl"}, answer)
    async with client:
        body = {"GroupId": GROUP, "Random": 7, "MsgBody": [], "New": "方"}
        assert await client.call_raw("group_open_http_svc", "send_group_msg", body) == answer
    assert script.bodies == [body] * 3


async def test_raw_call_outside_the_catalog_is_not_repeated_when_ambiguous(
    client: TencentClient, script: Script
) -> None:
    script.then(TimeoutError())
    async with client:
        with pytest.raises(CallFailed, match="may or may not have been carried out") as caught:
            await client.call_raw("openim", "brand_new_command", {})
    assert caught.value.attempts == 1
    assert script.sent[0].url.path == "/v4/openim/brand_new_command"


@pytest.mark.parametrize(("service", "name"), [("openim", "a/b"), ("..", "x"), ("openim", "x?y=1"), ("", "x")])
async def test_raw_call_with_invalid_path_is_refused(client: TencentClient, service: str, name: str) -> None:
    async with client:
        with pytest.raises(ValueError, match="letters, digits and _"):
            await client.call_raw(service, name, {})


async def test_observer_receives_every_attempt(client: TencentClient, script: Script, attempts: list[Attempt]) -> None:
    script.then(refused(60007), (502, ""), FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
    assert [(seen.command, seen.number, seen.outcome_kind, seen.code) for seen in attempts] == [
        ("get_group_info", 1, "api_error", 60007),
        ("get_group_info", 2, "ambiguous", None),
        ("get_group_info", 3, "success", None),
    ]
    assert all(seen.seconds >= 0 for seen in attempts)


async def test_attempt_reports_waiting_and_wire_time_separately(script: Script, clock: FakeClock) -> None:
    seen: list[Attempt] = []
    limiter = CommandLimiter({GET_GROUP_INFO.path: 1}, clock=clock)
    script.then(FOUND, FOUND)
    transport = Transport(HostPair(PRIMARY), clock=clock)
    async with TencentClient(APP, transport, limiter=limiter, observer=seen.append) as client:
        await client.call(GET_GROUP_INFO, READ)
        await client.call(GET_GROUP_INFO, READ)
        with pytest.raises(CallFailed):
            await client.call(GET_GROUP_INFO, READ, deadline=0.5)
    assert [attempt.limit_wait for attempt in seen] == [0, pytest.approx(1.01, abs=0.01), 0]
    assert [attempt.connection_wait for attempt in seen] == [0, 0, 0]
    assert [attempt.wire for attempt in seen] == [0, 0, 0]
    assert all(attempt.seconds == attempt.waited + attempt.wire for attempt in seen)
    assert kinds(seen) == ["success", "success", "not_attempted"]


async def test_call_of_unopened_client_raises_runtime_error(client: TencentClient) -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await client.call(GET_GROUP_INFO, READ)


async def test_signature_is_renewed_before_it_expires(client: TencentClient, script: Script, clock: FakeClock) -> None:
    script.then(FOUND, FOUND)
    async with client:
        await client.call(GET_GROUP_INFO, READ)
        clock.elapsed = 86_000.0
        await client.call(GET_GROUP_INFO, READ)
    assert [decode(await sent.usersig()).time for sent in script.sent] == [NOW, NOW + 86_000]


async def test_observer_that_raises_is_logged_once_and_changes_nothing(
    script: Script, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[Attempt] = []

    def observer(attempt: Attempt) -> None:
        seen.append(attempt)
        raise LookupError("no such metric")

    script.then((502, ""), SENT, SENT)
    async with TencentClient(APP, Transport(HostPair(PRIMARY), clock=clock), observer=observer) as client:
        assert (await client.call(SEND_GROUP_MSG, POST)).msg_seq == 12
        assert (await client.call(SEND_GROUP_MSG, POST)).msg_seq == 12
    assert kinds(seen) == ["ambiguous", "success", "success"]
    (record,) = [record for record in caplog.records if record.name == "channel_adapter.callbacks"]
    assert "callback=observer" in record.getMessage()
    assert "LookupError: no such metric" in record.getMessage()
