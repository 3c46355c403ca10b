"""Golden webhooks: the models contain every member, and the resulting objects equal those written by hand."""

from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from channel_adapter.domain.events import Other
from channel_adapter.domain.hooks import (
    Drop,
    HookRequest,
    HookResponse,
    Refuse,
    RefuseSome,
    Rewrite,
    SubscribeRequest,
)
from channel_adapter.domain.mode import Mode
from channel_adapter.errors import InvalidError
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.callback_samples import samples
from channel_adapter.tencent.wire.callbacks import MODELS, is_before, read
from channel_adapter.tencent.wire.envelope import WireModel
from channel_adapter.webhooks.guard import ALLOWED, REFUSED, GuardAnswer
from channel_adapter.webhooks.modes import CallbackTables
from channel_adapter.webhooks.parse import parse
from channel_adapter.webhooks.verify import read_query, verify
from tests.golden.by_hand.callbacks import DECISIONS, EVENTS, REQUESTS
from tests.golden.callback_loader import GoldenCallback, load_callbacks

GOLDEN = load_callbacks()
NAMED = {golden.name: golden for golden in GOLDEN}
NOT_DESCRIBED = {"Group.CallbackAfterMemberExit.kicked": {"ToSomebody"}}
TABLES = CallbackTables(Mode.COMMUNITY, admin="root")
each = pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)


def unknown_members(model: Any) -> set[str]:
    """Return the names in the model and its nested models for which no field exists."""
    if isinstance(model, list):
        return set().union(*map(unknown_members, model))
    if not isinstance(model, WireModel):
        return set()
    inside = set().union(*(unknown_members(getattr(model, name)) for name in type(model).model_fields))
    return set(model.model_extra or ()) | inside


def test_every_command_has_a_file_and_every_file_a_model() -> None:
    assert {golden.command for golden in GOLDEN} == MODELS.keys() == samples().keys()


@each
def test_model_has_every_member_and_writes_it_back(golden: GoldenCallback) -> None:
    model = read(golden.body)
    assert model is not None
    assert unknown_members(model) == NOT_DESCRIBED.get(golden.name, set())
    assert model.to_wire() == {**golden.body, **golden.respelt}
    assert orjson.loads(model.to_json()) == model.to_wire()


@each
def test_request_is_accepted_and_parsed(golden: GoldenCallback) -> None:
    query = read_query(golden.query.items())
    tokens = [SecretStr("orchid-7f")] if "Sign" in golden.query else []
    verify(query, sdkappid=1400000001, tokens=tokens, now=1700000000)
    got = parse(query, golden.body_bytes, now=1736000000)
    assert (got.command, got.body, got.is_before) == (golden.command, golden.body, "Before" in golden.command)
    assert got.order_key == golden.body.get("GroupId", golden.body.get("Official_Account", pair_of(golden)))


def pair_of(golden: GoldenCallback) -> str:
    """Return the two accounts of a webhook about their messages; other webhooks have no order key."""
    of_one_account = ("C2C.CallbackAfterC2CMsgExtension", "C2C.CallbackAfterMsgReadAll")
    return "cook mate" if golden.command.startswith("C2C.") and golden.command not in of_one_account else ""


@each
def test_event_equals_the_handwritten_one(golden: GoldenCallback) -> None:
    event = TABLES.event(golden.command, golden.body, read_query(golden.query.items()))
    if golden.name in EVENTS:
        assert event == EVENTS[golden.name]
    else:
        assert isinstance(event, Other)
        assert (event.command, event.body, event.about) == (
            golden.command, golden.body, golden.body.get("GroupId", ""),
        )  # fmt: skip


@each
def test_question_equals_the_handwritten_one(golden: GoldenCallback) -> None:
    question = TABLES.request(golden.command, golden.body, read_query(golden.query.items()))
    assert question == REQUESTS.get(golden.name)
    assert bool(golden.answers) == is_before(golden.command)


@pytest.mark.parametrize(
    ("name", "answer"),
    [(golden.name, answer) for golden in GOLDEN for answer in golden.answers if golden.name in REQUESTS],
)
def test_decision_has_the_documented_answer(name: str, answer: str) -> None:
    decision = (DECISIONS["*"] | DECISIONS.get(name, {}))[answer]
    given = GuardAnswer.from_reply(TABLES.reply(REQUESTS[name], decision, limits.MESSAGE_BYTES_SAFE))
    assert orjson.loads(given.body) == NAMED[name].answers[answer]
    assert given.outcome == {
        "allow": "allowed", "refuse": "refused", "own_code": "refused", "drop": "dropped", "some": "partly",
        "rewrite": "rewritten",
    }[answer]  # fmt: skip
    assert given.allows == (answer in ("allow", "some", "rewrite"))


def test_constant_answers_equal_the_files() -> None:
    assert orjson.loads(ALLOWED.body) == NAMED["Group.CallbackBeforeCreateTopic"].answers["allow"]
    assert orjson.loads(REFUSED.body) == NAMED["Group.CallbackBeforeSendMsg"].answers["refuse"]


def test_decision_unsuitable_for_its_question_is_refused() -> None:
    joining = REQUESTS["Group.CallbackBeforeInviteJoinGroup"]
    posting = REQUESTS["Group.CallbackBeforeSendMsg"]
    impossible: list[tuple[HookRequest, HookResponse]] = [
        (joining, Drop()), (joining, Rewrite(app_data="x")), (posting, RefuseSome(())),
    ]  # fmt: skip
    for question, decision in impossible:
        with pytest.raises(InvalidError):
            TABLES.reply(question, decision, limits.MESSAGE_BYTES_SAFE)


def test_refusal_of_all_users_is_a_complete_refusal() -> None:
    question = REQUESTS["OfficialAccount.CallbackBeforeAddSubscriber"]
    assert isinstance(question, SubscribeRequest)
    all_users = TABLES.reply(question, RefuseSome(question.users), limits.MESSAGE_BYTES_SAFE)
    assert (all_users.error_code, all_users.refused_members, all_users.refused_subscribers) == (1, None, None)
    no_user = TABLES.reply(question, RefuseSome(()), limits.MESSAGE_BYTES_SAFE)
    assert (no_user.error_code, no_user.refused_members, no_user.refused_subscribers) == (0, None, None)


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("Group.CallbackBeforeSendMsg", (10100, 10200)),
        ("Group.CallbackBeforeApplyJoinGroup", (10100, 10200)),
        ("Group.CallbackBeforeInviteJoinGroup", (10100, 10200)),
        ("Group.CallbackBeforeCreateGroup", (10100, 10200)),
        ("OfficialAccount.CallbackBeforeSendMsg", (120001, 130000)),
        ("OfficialAccount.CallbackBeforeAddSubscriber", ()),
        ("OfficialAccount.CallbackBeforeCreateOfficialAccount", ()),
    ],
)
def test_code_is_sent_only_within_its_range(name: str, codes: tuple[int, ...]) -> None:
    sent = {
        code: TABLES.reply(REQUESTS[name], Refuse("no", code), limits.MESSAGE_BYTES_SAFE).error_code
        for code in (10100, 10200, 120001, 130000)
    }
    assert sent == {code: code if code in codes else 1 for code in sent}


@pytest.mark.parametrize("code", [-1, 0, 1, 2, 10099, 10201, 120000, 130001, True, 10150.0, "10150"])
def test_code_outside_every_range_is_refused_on_creation(code: Any) -> None:
    with pytest.raises(InvalidError, match="is not one of 10100 to 10200 or 120001 to 130000") as wrong:
        Refuse("no", code)
    assert wrong.value.field == "code"


def test_refusal_text_that_is_no_string_is_refused() -> None:
    with pytest.raises(InvalidError, match="text: int is not a text"):
        Refuse(10150)  # type: ignore[arg-type]


def type_names(value: Any) -> Any:
    """Return the shape of a JSON value: names and types."""
    if isinstance(value, dict):
        return {name: type_names(held) for name, held in value.items()}
    if isinstance(value, list):
        return [type_names(value[0])] if value else []
    return type(value).__name__


@pytest.mark.parametrize("command", sorted(MODELS))
def test_handwritten_samples_have_the_shape_of_the_files(command: str) -> None:
    cases = [golden.body | golden.respelt for golden in GOLDEN if golden.command == command]
    for name, value in samples()[command].body.items():
        if name == "MsgBody":
            continue
        shapes = [type_names(case[name]) for case in cases if name in case]
        assert type_names(value) in shapes or (value == [] and list in map(type, shapes)), f"{command}: {name}"
