"""Webhook that warns before a command is refused because of too many calls."""

import pytest

from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.rates import RateLimitAlarm
from channel_adapter.stub.routes import find
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.context import CallbackEvent
from tests.stub.app_server import App
from tests.stub.conftest import ACCOUNTS, NOW, Start

ALARM = "Alert.RequestOverLimit"
CHECK = f"{ACCOUNTS}/account_check"
IMPORT = f"{ACCOUNTS}/account_import"
BODY = {"CheckItem": [{"UserID": "administrator"}]}
TEN_A_SECOND = StubSettings.model_validate({"rates": {"overrides": {CHECK: 10, IMPORT: 10}}})


async def test_one_alarm_per_minute_is_sent_for_each_command(
    hook_url: str, app: App, clock: StubClock, stranger: Start
) -> None:
    clock.freeze(NOW)
    async with StubServer(TEN_A_SECOND, clock=clock, webhooks=CallbackSettings(url=hook_url)) as server:
        caller = stranger(server)

        async def check(times: int) -> int:
            codes = [(await caller.call(CHECK, BODY))["ErrorCode"] for _ in range(times)]
            await server.webhooks.idle()
            return codes.count(60007)

        assert await check(8) == 0
        assert app.told == []
        assert await check(4) == 2
        (alarm,) = app.told
        clock.advance(59)
        await check(12)
        assert len(app.told) == 1
        for number in range(9):
            await caller.call(IMPORT, {"UserID": f"u{number}"})
        clock.advance(1)
        await check(9)
    command, query, body = alarm
    assert command == ALARM
    assert body == {
        "CallbackCommand": ALARM,
        "ServiceName": "im_open_login_svc",
        "Command": "account_check",
        "Request": 9,
        "Limit": 10,
    }
    assert list(query) == ["SdkAppid", "CallbackCommand", "contenttype", "OptPlatform"]
    assert [body["Command"] for body in app.bodies(ALARM)] == ["account_check", "account_import", "account_check"]


async def test_calls_with_invalid_signature_do_not_count(
    hook_url: str, app: App, clock: StubClock, stranger: Start
) -> None:
    clock.freeze(NOW)
    async with StubServer(TEN_A_SECOND, clock=clock, webhooks=CallbackSettings(url=hook_url)) as server:
        for _ in range(20):
            assert (await stranger(server).call(CHECK, BODY, usersig="x"))["ErrorCode"] == 70003
        await server.webhooks.idle()
    assert app.told == []


async def test_alarm_can_be_disabled(hook_url: str, app: App, clock: StubClock, stranger: Start) -> None:
    clock.freeze(NOW)
    settings = CallbackSettings(url=hook_url, commands=("Group.*",))
    async with StubServer(TEN_A_SECOND, clock=clock, webhooks=settings) as server:
        for _ in range(10):
            await stranger(server).must(CHECK, BODY)
        await server.webhooks.idle()
    assert app.told == []


@pytest.mark.parametrize(
    ("limit", "times", "told"),
    [(200.0, 160, []), (200.0, 161, [(161, 200)]), (1.0, 1, [(1, 1)]), (0.5, 2, [(1, 1)]), (None, 500, [])],
)
def test_alarm_is_sent_above_80_percent_of_limit(limit: float | None, times: int, told: list[tuple[int, int]]) -> None:
    command, heard = find(CHECK), list[CallbackEvent]()
    assert command is not None
    alarm = RateLimitAlarm({} if limit is None else {CHECK: limit}, heard.append)
    for number in range(times):
        alarm.count(command, NOW + number / 1000)
    assert [(event.body["Request"], event.body["Limit"]) for event in heard] == told


def test_alarm_is_sent_again_after_clock_is_set_back() -> None:
    command, heard = find(CHECK), list[CallbackEvent]()
    assert command is not None
    alarm = RateLimitAlarm({CHECK: 1.0}, heard.append)
    for at in (NOW, NOW + 30, NOW - 5, NOW - 4):
        alarm.count(command, at)
    assert len(heard) == 2
