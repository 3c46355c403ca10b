"""60007: calls per second by command, by the clock of the stub."""

from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.stub.rates import RateWindow
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from tests.stub.conftest import ACCOUNTS, GROUPS, Caller, Start

LIST = f"{GROUPS}/get_appid_group_list"
CHECK = f"{ACCOUNTS}/account_check"


async def test_list_of_all_groups_is_limited_to_one_call_per_second(caller: Caller, clock: StubClock) -> None:
    clock.freeze()
    assert (await caller.call(LIST, {}))["ErrorCode"] == 0
    assert (await caller.call(LIST, {}))["ErrorCode"] == 60007
    clock.advance(0.9)
    assert (await caller.call(LIST, {}))["ErrorCode"] == 60007
    clock.advance(0.2)
    assert (await caller.call(LIST, {}))["ErrorCode"] == 0


async def test_each_command_has_its_own_window(caller: Caller, clock: StubClock) -> None:
    clock.freeze()
    body = {"CheckItem": [{"UserID": "u"}]}
    codes = [(await caller.call(CHECK, body))["ErrorCode"] for _ in range(101)]
    assert codes == [0] * 100 + [60007]
    assert (await caller.call(f"{ACCOUNTS}/account_import", {"UserID": "u"}))["ErrorCode"] == 0


async def test_refused_call_changes_nothing(stranger: Start, clock: StubClock) -> None:
    clock.freeze()
    settings = StubSettings.model_validate({"rates": {"overrides": {f"{ACCOUNTS}/account_import": 1}}})
    async with StubServer(settings, clock=clock) as server:
        caller = stranger(server)
        await caller.must(f"{ACCOUNTS}/account_import", {"UserID": "first"})
        assert (await caller.call(f"{ACCOUNTS}/account_import", {"UserID": "second"}))["ErrorCode"] == 60007
        found = (await caller.must(CHECK, {"CheckItem": [{"UserID": "first"}, {"UserID": "second"}]}))["ResultItem"]
        assert [item["AccountStatus"] for item in found] == ["Imported", "NotImported"]


async def test_rates_can_be_disabled(stranger: Start, clock: StubClock) -> None:
    clock.freeze()
    async with StubServer(StubSettings.model_validate({"rates": {"enabled": False}}), clock=clock) as server:
        assert {(await stranger(server).call(LIST, {}))["ErrorCode"] for _ in range(5)} == {0}


async def test_reset_refills_windows(caller: Caller, clock: StubClock) -> None:
    clock.freeze()
    await caller.must(LIST, {})
    caller.server.reset()
    await caller.must(LIST, {})


@given(st.integers(1, 50), st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_calls_never_exceed_burst_and_rate(per_second: int, gaps: list[float]) -> None:
    window, now, taken = RateWindow(per_second, 0.0), 0.0, 0
    for gap in gaps:
        now += gap
        taken += window.acquire(now)
        assert taken <= per_second * (1 + now) + 1e-6


@given(st.integers(1, 200), st.integers(1, 400))
def test_caller_within_rate_is_never_refused(per_second: int, calls: int) -> None:
    window = RateWindow(per_second, 0.0)
    assert all(window.acquire(number / per_second) for number in range(calls))


def test_clock_set_back_allows_no_additional_calls() -> None:
    window = RateWindow(1, 100.0)
    assert [window.acquire(at) for at in (100.0, 50.0, 50.5, 51.5)] == [True, False, False, True]
