"""Every documented code of every command: returned in its situation, or else by a fault."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import TLSSigAPIv2

from channel_adapter.stub.dispatcher import RequestDispatcher
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.reports import COVERAGE_FILE, coverage, documented_codes
from channel_adapter.stub.routes import find
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.context import ALLOW, CallbackDecision
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.stub_state import StubState
from tests.stub.documented.case import NOW, Case, codes_of_items, standard
from tests.stub.documented.table import FAULTS, SITUATIONS, content

ENOUGH = 0.9
APP = StubSettings().app
QUERY = f"sdkappid={APP.sdkappid}&identifier={APP.admin}&random=1&contenttype=json&usersig=" + TLSSigAPIv2.TLSSigAPIv2(
    APP.sdkappid, APP.key.get_secret_value()
).gen_sig(APP.admin, 2**31)


class System:
    """Stub that is called without a socket; empty unless a state is passed."""

    def __init__(
        self, runner: asyncio.Runner, settings: Mapping[str, Mapping[str, Any]], state: dict[str, Any] | None = None
    ) -> None:
        clock = StubClock()
        clock.freeze(NOW)
        self.world = StubState(StubSettings().changed(**{"rates": {"enabled": False}, **settings}), clock=clock)
        if state is not None:
            self.world.load(state)
        self.dispatcher = RequestDispatcher(self.world)
        self._runner = runner

    def ask(self, path: str, body: Any) -> dict[str, Any]:
        """Return the answer to one call."""
        given = self._runner.run(
            self.dispatcher.answer("POST", f"/v4/{path}?{QUERY}", "127.0.0.1", json.dumps(body).encode())
        )
        answer: dict[str, Any] = json.loads(given.body)
        return answer

    def must(self, path: str, body: Any) -> None:
        answer = self.ask(path, body)
        assert answer["ErrorCode"] == 0, (path, answer)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def state(runner: asyncio.Runner) -> dict[str, Any]:
    """Return the initial state of every row."""
    system = System(runner, {})
    for path, body in standard():
        system.must(path, body)
    return system.world.dump()


@pytest.mark.parametrize("case", SITUATIONS, ids=str)
def test_situation_returns_its_code_and_refusal_changes_nothing(
    case: Case, state: dict[str, Any], runner: asyncio.Runner
) -> None:
    system = System(runner, case.settings, state)
    for path, body in case.given:
        system.must(path, body)
    before = system.world.dump()
    if case.app_says is not None:
        assert refused_by_the_app(system.world, case) == case.code
    elif case.item:
        answer = system.ask(case.path, case.body)
        assert answer["ErrorCode"] == 0
        assert case.code in codes_of_items(answer)
        return
    else:
        answer = system.ask(case.path, case.body)
        assert (answer["ErrorCode"], answer["ActionStatus"]) == (case.code, "FAIL"), answer
    assert system.world.dump() == before


def refused_by_the_app(world: StubState, case: Case) -> int:
    """Return the code of a call that the app's webhook refused; without the webhook the call succeeds."""
    command = find(case.path)
    assert command is not None
    assert case.app_says is not None
    assert world.before_callback(command, case.body, caller=APP.admin) is not None
    try:
        world.execute(command, case.body, caller=APP.admin, decision=CallbackDecision.from_answer(case.app_says))
    except Refusal as refusal:
        before = world.dump()
        world.execute(command, case.body, caller=APP.admin, decision=ALLOW)
        assert world.dump() != before
        world.load(before)
        return refusal.code
    return 0


@pytest.mark.parametrize("case", FAULTS, ids=str)
def test_fault_returns_its_code_once_and_changes_nothing(
    case: Case, state: dict[str, Any], runner: asyncio.Runner
) -> None:
    system = System(runner, case.settings, state)
    service, _, command = case.path.partition("/")
    system.dispatcher.faults.add(
        Fault(service=service, command=command, code=case.code, info=case.fault or "", times=1)
    )
    answer = system.ask(case.path, case.body)
    assert answer["ErrorCode"] == case.code
    assert answer["ErrorInfo"] == case.fault
    assert system.world.dump() == state
    assert system.ask(case.path, case.body)["ErrorInfo"] != case.fault


def test_rows_have_documented_codes_and_are_unique() -> None:
    pairs = [(case.path, case.code) for case in (*SITUATIONS, *FAULTS)]
    assert len(pairs) == len(set(pairs))
    documented = {(path, code) for path, codes in documented_codes().items() for code in codes}
    assert set(pairs) - documented == set()


def test_coverage_file_of_package_equals_table() -> None:
    assert json.loads(COVERAGE_FILE.read_bytes()) == content()


def test_coverage_of_documented_codes_is_at_least_90_percent() -> None:
    rows = coverage()
    assert all(row.implemented for row in rows)
    assert sum(row.exercised for row in rows) >= ENOUGH * sum(row.documented for row in rows)
    for row in rows:
        assert row.exercised == row.in_situation + row.by_fault <= row.documented
