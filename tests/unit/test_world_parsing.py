"""Any JSON request: a reply or a refusal with a code of its family, no other exception, no partial change."""

from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_adapter.stub.world.context import PrebuiltReply
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent.catalog import COMMANDS, Command
from channel_adapter.tencent.wire.envelope import Reply, WireModel
from tests.unit.worlds import ADMIN, CHANNEL, OWNER, Play, text

SURROGATE = "\ud800"
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([-1, 0, 1, 2**31, 2**32, 2**63, 2**64, 10**400])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", CHANNEL, OWNER, ADMIN, SURROGATE, "\x00", "@TGS#_", "@TOA#_x", "汉" * 200, "0", "-1"])
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def _parts(annotation: Any) -> list[type[WireModel]]:
    if isinstance(annotation, type) and not get_args(annotation):
        return [annotation] if issubclass(annotation, WireModel) else []
    return [part for inner in get_args(annotation) for part in _parts(inner)]


def shaped(model: type[WireModel]) -> st.SearchStrategy[Any]:
    """Generate bodies similar to the request: right names, right and wrong values."""
    fields: dict[str, st.SearchStrategy[Any]] = {}
    for name, field in model.model_fields.items():
        fields[field.alias or name] = _value(field.annotation) | scalars
    return st.fixed_dictionaries({}, optional=fields)


def _value(annotation: Any) -> st.SearchStrategy[Any]:
    parts = _parts(annotation)
    if parts:
        one = shaped(parts[0])
        return st.lists(one, min_size=1, max_size=2) | one if "list" in str(annotation) else one
    if "list[str]" in str(annotation):
        return st.lists(st.sampled_from([OWNER, "a", CHANNEL, "Name", "Role"]), max_size=3)
    if "dict" in str(annotation):
        return st.dictionaries(st.sampled_from(["Text", "Data"]), values, max_size=2)
    if "int" in str(annotation):
        return st.integers(-2, 5) | st.sampled_from([2**32 - 1, 2**32])
    return st.sampled_from([OWNER, "a", CHANNEL, "Community", "x", "@TOA#_n"])


FAMILY = {
    "im_open_login_svc": {70402},
    "profile": {40001, 40002, 40610},
    "recentcontact": {50002},
    "official_account_open_http_svc": {6017, 10004},
    "openim": {90001, 90002, 90003, 90007, 90008, 90010},
}


@pytest.fixture(scope="module")
def world() -> StubState:
    play = Play()
    play.channel("a")
    play.send(SupportMessageExtension=1)
    service = "official_account_open_http_svc"
    play.call("create_official_account", service, OfficialAccountUserID="@TOA#_n", Owner_Account=OWNER, Name="n")
    return play.world


def answer(world: StubState, command: Command[Any, Any], body: Any) -> Reply | PrebuiltReply | Refusal:
    """Return the reply or refusal of the stub; any other exception fails the test."""
    try:
        return world.execute(command, body, caller=ADMIN)
    except Refusal as refusal:
        return refusal


USELESS: tuple[Any, ...] = (None, [], "x", 5, 5.5, True, {}, {"Type": {}}, float("nan"))


@pytest.mark.parametrize("command", COMMANDS.values(), ids=lambda row: row.path)
def test_useless_bodies_are_refused_without_change(world: StubState, command: Command[Any, Any]) -> None:
    before = world.dump()
    takes_nothing = not any(field.is_required() for field in command.request.model_fields.values())
    for body in USELESS:
        said = answer(world, command, body)
        if isinstance(said, Refusal):
            assert said.code in FAMILY.get(command.service, {10004, 10007})
        else:
            assert takes_nothing
            assert isinstance(body, dict)
    assert world.dump() == before


@settings(max_examples=400, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_json_has_a_reply_or_a_refusal_without_change(world: StubState, data: st.DataObject) -> None:
    command = data.draw(st.sampled_from(list(COMMANDS.values())))
    body = data.draw(shaped(command.request) | values)
    before = world.dump()
    said = answer(world, command, body)
    if isinstance(said, Refusal):
        assert 6017 <= said.code <= 131000
        assert said.info
        assert world.dump() == before
    else:
        assert said.to_wire()["ErrorCode"] == 0
        assert said.to_json()
        world.load(before)


@pytest.mark.parametrize("value", [7, 7.5, -1, 2**80])
def test_number_instead_of_account_is_refused(value: Any) -> None:
    play = Play()
    play.channel()
    for name, service, body in (
        ("create_group", "group_open_http_svc", {"Type": "Community", "Name": "n", "Owner_Account": value}),
        ("add_group_member", "group_open_http_svc", {"GroupId": CHANNEL, "MemberList": [{"Member_Account": value}]}),
        ("get_role_in_group", "group_open_http_svc", {"GroupId": CHANNEL, "User_Account": [OWNER, value]}),
        ("delete_group_member", "group_open_http_svc", {"GroupId": CHANNEL, "MemberToDel_Account": [value]}),
        ("portrait_get", "profile", {"To_Account": [value], "TagList": ["Tag_Profile_IM_Nick"]}),
        ("multiaccount_import", "im_open_login_svc", {"Accounts": [value]}),
        ("get_contact_group", "recentcontact", {"From_Account": value, "StartIndex": 0}),
    ):
        assert play.code(name, service, **body) == 60015


def test_python_field_names_are_not_accepted() -> None:
    play = Play()
    assert play.code("create_group", type="Community", name="n") == 10004
    play.call("account_import", "im_open_login_svc", UserID="a", user_id="b")
    assert play.world.state.account("b") is None


def test_unknown_fields_are_ignored_and_counted() -> None:
    play = Play(limits={"add_members": 3})
    play.channel()
    play.users("a", "b")
    members = [{"Member_Account": "a", "Colour": 1}, {"Member_Account": "b", "Colour": 1}]
    play.call("add_group_member", GroupId=CHANNEL, MemberList=members, Hurry=True)
    path = "group_open_http_svc/add_group_member"
    assert play.world.unknown_fields == {(path, "Hurry"): 1, (path, "MemberList.Colour"): 2}
    for number in range(2_000):
        play.call("get_appid_group_list", **{f"x{number}": 1})
    assert len(play.world.unknown_fields) == 1_000
    assert play.world.unknown_fields[(path, "Hurry")] == 1


def test_deep_json_is_refused_only_in_stored_fields() -> None:
    play = Play()
    play.channel()
    deep: Any = "x"
    for _ in range(5_000):
        deep = [deep]
    body = [{"MsgType": "TIMNewElem", "MsgContent": {"x": deep}}]
    assert play.code("send_group_msg", GroupId=CHANNEL, Random=1, MsgBody=body) == 10004
    assert play.code("send_group_msg", GroupId=CHANNEL, Random=1, MsgBody=text(), OfflinePushInfo={"x": deep}) == 0
