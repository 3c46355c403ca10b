"""Decision to repeat a call: by outcome, command and code, within limits."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import (
    ADD_GROUP_MEMBER,
    COMMANDS,
    CREATE_GROUP,
    GET_GROUP_INFO,
    SEND_GROUP_MSG,
    UNMODELLED,
    Command,
    Community,
    Idempotency,
)
from channel_adapter.tencent.regions import HostPair
from channel_adapter.tencent.retry import (
    AMBIGUOUS_ATTEMPTS,
    CONNECT_ATTEMPTS,
    MAX_WAIT,
    SIGNATURE_ATTEMPTS,
    THROTTLED_ATTEMPTS,
    Decision,
    FailureClass,
    GiveUp,
    Retry,
    StopReason,
    decide,
    exceeds_command_limit,
    failure_class,
    final_outcome,
    latest_start,
    possibly_applied,
)
from channel_adapter.tencent.transport import HostChooser
from channel_adapter.tencent.wire.envelope import (
    Ambiguous,
    ApiError,
    AttemptOutcome,
    Failure,
    HttpRejected,
    NotAttempted,
    NotSent,
    Reply,
    Success,
    Throttled,
)

UNSAFE: Command[Any, Any] = Command(
    "openim", "sendmsg", UNMODELLED, Idempotency.UNSAFE, Community.UNRELATED, "a command that no class protects"
)
PROTECTED = [GET_GROUP_INFO, ADD_GROUP_MEMBER, SEND_GROUP_MSG]
ALL = [*PROTECTED, UNSAFE]

TIMEOUT = Ambiguous("no answer within 10 s")
UNREACHABLE = NotSent("connection refused")
TOO_OFTEN = ApiError(60007, "")
EXPIRED = ApiError(70001, "")
INTERNAL = ApiError(10002, "")
LOCKED = ApiError(70050, "")

failures = st.one_of(
    st.builds(ApiError, st.sampled_from([row.code for row in codes.ROWS] + [999_999]), st.just("")),
    st.builds(Ambiguous, st.just("?"), st.sampled_from([None, 204, 303, 408, 500, 502, 503, 504, 520])),
    st.builds(HttpRejected, st.just("?"), st.sampled_from([301, 404, 413, 429])),
    st.just(UNREACHABLE),
    st.just(Throttled("MsgFreqCtrl")),
    st.just(NotAttempted("")),
)
commands = st.sampled_from([*COMMANDS.values(), UNSAFE])


def after(
    times: int,
    command: Command[Any, Any],
    outcome: AttemptOutcome[Any],
    *,
    elapsed: float = 0.0,
    latest: float = 1000.0,
    jitter: float = 0.0,
) -> Decision:
    """Return the decision after `times` attempts with this outcome."""
    return decide(failure_class(command, outcome), times, elapsed=elapsed, latest=latest, jitter=jitter)


@pytest.mark.parametrize("command", ALL)
def test_success_ends_the_call(command: Command[Any, Any]) -> None:
    assert after(1, command, Success(Reply())) == GiveUp(StopReason.DONE)


@pytest.mark.parametrize("command", PROTECTED)
@pytest.mark.parametrize(
    "outcome",
    [TIMEOUT, INTERNAL, ApiError(60008, ""), *(Ambiguous("", status) for status in (408, 500, 502, 503, 504))],
)
def test_ambiguous_outcome_is_attempted_three_times(command: Command[Any, Any], outcome: Failure) -> None:
    decisions = [after(attempt, command, outcome) for attempt in range(1, AMBIGUOUS_ATTEMPTS + 1)]
    assert [type(decision) for decision in decisions] == [Retry, Retry, GiveUp]
    assert [decision.wait for decision in decisions if isinstance(decision, Retry)] == pytest.approx([0.36, 0.72])
    assert decisions[-1] == GiveUp(StopReason.ATTEMPTS)


@pytest.mark.parametrize("outcome", [TIMEOUT, ApiError(60008, ""), Ambiguous("", 502)])
def test_ambiguous_outcome_of_an_unsafe_command_is_not_repeated(outcome: Failure) -> None:
    assert after(1, UNSAFE, outcome) == GiveUp(StopReason.UNSAFE)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("outcome", [TOO_OFTEN, Throttled("MsgFreqCtrl"), HttpRejected("HTTP 429", 429)])
def test_throttled_call_waits_longer_after_each_attempt(command: Command[Any, Any], outcome: Failure) -> None:
    waits = []
    for attempt in range(1, THROTTLED_ATTEMPTS):
        decision = after(attempt, command, outcome, jitter=0.5)
        assert isinstance(decision, Retry)
        waits.append(decision.wait)
    assert waits[:2] == pytest.approx([1.35, 2.7])
    assert waits == sorted(waits)
    assert after(THROTTLED_ATTEMPTS, command, outcome) == GiveUp(StopReason.ATTEMPTS)


@pytest.mark.parametrize("command", ALL)
def test_unsent_call_is_repeated_until_one_attempt_has_reached_the_backup(command: Command[Any, Any]) -> None:
    hosts = HostChooser(HostPair("https://primary.test", "https://backup.test"))
    reached: list[str] = []
    decision: Decision = Retry(0.0)
    while isinstance(decision, Retry):
        reached.append(hosts.choose(0.0))
        hosts.failed(reached[-1], 0.0)
        decision = after(len(reached), command, UNREACHABLE)
    assert decision == GiveUp(StopReason.ATTEMPTS)
    assert reached == [*["https://primary.test"] * (CONNECT_ATTEMPTS - 1), "https://backup.test"]


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("code", [70001, 70002, 70003, 70005, 70052, 70101, 60025])
def test_refused_signature_is_renewed_once(command: Command[Any, Any], code: int) -> None:
    assert after(1, command, ApiError(code, "")) == Retry(0.0, new_signature=True)
    assert after(2, command, ApiError(code, "")) == GiveUp(StopReason.SIGNATURE)


@pytest.mark.parametrize("command", ALL)
@pytest.mark.parametrize("code", [70050, 70009, 70013, 70014, 70016, 70020, 60010, 999_999])
def test_permanent_codes_are_never_repeated(command: Command[Any, Any], code: int) -> None:
    assert after(1, command, ApiError(code, "")) == GiveUp(StopReason.PERMANENT)


@pytest.mark.parametrize(
    "outcome",
    [
        *(HttpRejected("", status) for status in (301, 302, 400, 401, 403, 404, 413)),
        *(Ambiguous("", status) for status in (204, 303, 501, 520)),
    ],
)
def test_other_http_statuses_are_permanent(outcome: Failure) -> None:
    assert after(1, GET_GROUP_INFO, outcome) == GiveUp(StopReason.PERMANENT)


def test_meaning_of_a_code_depends_on_the_command() -> None:
    quota = ApiError(10006, "")
    assert isinstance(after(1, ADD_GROUP_MEMBER, quota), Retry)
    assert after(1, CREATE_GROUP, quota) == GiveUp(StopReason.PERMANENT)


@given(commands, failures, st.integers(1, 20), st.floats(0, 60), st.floats(0.1, 60), st.floats(0, 1))
def test_no_wait_ends_after_latest_start(
    command: Command[Any, Any], outcome: Failure, times: int, elapsed: float, latest: float, jitter: float
) -> None:
    decision = after(times, command, outcome, elapsed=elapsed, latest=latest, jitter=jitter)
    if isinstance(decision, Retry):
        assert elapsed + decision.wait < latest
        assert 0 <= decision.wait <= MAX_WAIT
    if elapsed >= latest:
        assert isinstance(decision, GiveUp)


@given(commands, st.lists(failures, max_size=30), st.floats(0, 1))
def test_every_mixture_of_failures_ends(command: Command[Any, Any], outcomes: list[Failure], jitter: float) -> None:
    """Each kind of failure has its own number of attempts, so that any mixture is limited."""
    troubles = Counter[FailureClass | StopReason]()
    for outcome in outcomes:
        trouble = failure_class(command, outcome)
        troubles[trouble] += 1
        if isinstance(after(troubles[trouble], command, outcome, jitter=jitter), GiveUp):
            return
    assert len(outcomes) <= AMBIGUOUS_ATTEMPTS + THROTTLED_ATTEMPTS + CONNECT_ATTEMPTS + SIGNATURE_ATTEMPTS - 4


@pytest.mark.parametrize(("total", "attempt", "latest"), [(30.0, 10.0, 27.0), (5.0, 10.0, 4.5), (200.0, 10.0, 190.0)])
def test_latest_start_leaves_a_tenth_of_the_total_or_one_attempt_timeout(
    total: float, attempt: float, latest: float
) -> None:
    assert latest_start(total, attempt) == pytest.approx(latest)


@given(failures, st.integers(1, 10))
def test_unsafe_command_is_repeated_only_if_it_was_not_applied(outcome: Failure, times: int) -> None:
    if isinstance(after(times, UNSAFE, outcome), Retry):
        assert not possibly_applied(UNSAFE, outcome)


@given(st.integers(1, 7), st.floats(0, 1))
def test_jitter_adds_a_fifth_to_a_half_of_every_wait(attempt: int, between: float) -> None:
    def wait(jitter: float) -> float:
        decision = after(attempt, GET_GROUP_INFO, TOO_OFTEN, jitter=jitter)
        assert isinstance(decision, Retry)
        return decision.wait

    assert wait(1.0) / wait(0.0) == pytest.approx(1.5 / 1.2)
    assert wait(0.0) <= wait(between) <= wait(1.0)


def test_ambiguous_outcome_outranks_later_attempts_that_were_not_applied() -> None:
    for last in (UNREACHABLE, NotAttempted(""), Throttled("MsgFreqCtrl"), TOO_OFTEN, EXPIRED):
        assert final_outcome(ADD_GROUP_MEMBER, TIMEOUT, last) == TIMEOUT
        assert final_outcome(ADD_GROUP_MEMBER, None, last) == last
    assert final_outcome(ADD_GROUP_MEMBER, TIMEOUT, INTERNAL) == INTERNAL
    assert final_outcome(CREATE_GROUP, TIMEOUT, ApiError(10021, "")) == ApiError(10021, "")


def test_read_is_never_possibly_applied() -> None:
    assert not possibly_applied(GET_GROUP_INFO, TIMEOUT)
    assert possibly_applied(ADD_GROUP_MEMBER, TIMEOUT)
    assert possibly_applied(ADD_GROUP_MEMBER, INTERNAL)
    assert not possibly_applied(ADD_GROUP_MEMBER, TOO_OFTEN)
    assert not possibly_applied(ADD_GROUP_MEMBER, UNREACHABLE)


@pytest.mark.parametrize("outcome", [TOO_OFTEN, ApiError(60011, ""), ApiError(60018, ""), HttpRejected("", 429)])
def test_general_frequency_code_reduces_the_whole_command(outcome: Failure) -> None:
    assert exceeds_command_limit(SEND_GROUP_MSG, outcome)


@pytest.mark.parametrize(
    "outcome", [ApiError(10023, ""), Throttled("MsgFreqCtrl"), INTERNAL, UNREACHABLE, Ambiguous("", 502)]
)
def test_limit_of_one_group_does_not_reduce_the_command(outcome: Failure) -> None:
    assert not exceeds_command_limit(SEND_GROUP_MSG, outcome)
