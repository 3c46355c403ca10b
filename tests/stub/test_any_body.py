"""Any body for every command: an envelope with a code of its family; a refusal changes nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from channel_adapter.stub.reports import documented_codes
from channel_adapter.stub.world.stub_state import HANDLERS
from tests.stub.any_body import Place, Stub, exchanges, fullest, nodes, places, with_value, without

PATHS = [handler.command.path for handler in HANDLERS.values() if not handler.refusals_only]
BAD_JSON, NUMBER_AS_ACCOUNT = 60003, 60015
WRONG: list[Any] = [
    *(None, True, 5, -1, 1.5, 2**64, 10**400),
    *("", "5", "x", "\x00\x1b[2J\u202e", "\ud800", "港" * 4_300),
    *([], {}, [None], [5]),
]
RAW = {
    "nothing": b"",
    "a blank": b" ",
    "null": b"null",
    "an array": b"[]",
    "a number": b"5",
    "a string": b'"x"',
    "a beginning": b"{",
    "two objects": b"{}{}",
    "no UTF-8": b'{"GroupId":"\xff\xfe"}',
    "half a pair": b'{"GroupId":"\\ud800"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "not a number": b'{"GroupId":NaN}',
    "a form": b"GroupId=%40TGS%23_news",
    "deep arrays": b'{"GroupId":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"GroupId":' * 100_000 + b"1" + b"}" * 100_000,
    "UTF-16": '{"GroupId":"x"}'.encode("utf-16"),
}
OF_ANY_GROUP = {10004, 10005, 10007, 10010, 10015, 10019, 10037, 10038}
EXTRA = {  # codes of a family besides those on the pages of its commands
    "group_open_http_svc": {*OF_ANY_GROUP, 10030, 80002},
    "group_open_attr_http_svc": OF_ANY_GROUP,
    "group_open_avchatroom_http_svc": OF_ANY_GROUP,
    "million_group_open_http_svc": OF_ANY_GROUP,
    "im_open_login_svc": {70107, 70206},
    "openim": {10010, 10015, 20026, 80002, 90011, 90048},
    "openim_msg_ext_http_svc": {10010, 10015},
    "official_account_open_http_svc": {10015, 80002},
}
PER_COMMAND = documented_codes()


def codes_of(service: str) -> set[int]:
    """Return the codes with which the commands of a service may answer a body."""
    own = {code for path, codes in PER_COMMAND.items() if path.startswith(f"{service}/") for code in codes}
    return own | EXTRA.get(service, set()) | {0, BAD_JSON, NUMBER_AS_ACCOUNT}


CODES = {service: codes_of(service) for service, _ in HANDLERS}


@pytest.fixture(scope="module")
def stub() -> Iterator[Stub]:
    opened = Stub()
    yield opened
    opened.close()


def test_every_command_has_exchange() -> None:
    assert set(PATHS) <= set(fullest())


@pytest.mark.parametrize("path", PATHS)
def test_wrong_value_in_any_documented_field_is_answered_and_refusal_changes_nothing(stub: Stub, path: str) -> None:
    """Send the bodies one by one to find the refused ones; then send these in sequence: nothing changes."""
    golden = fullest()[path]
    state = stub.enter(golden)
    bodies = list(bent(path, golden.request))
    codes = stub.ask_all(path, bodies, back_to=state)
    assert set(codes) - CODES[golden.service] == set()
    stub.world.load(state)
    refused = [raw for raw, code in zip(bodies, codes, strict=True) if code]
    assert stub.ask_all(path, refused) == [code for code in codes if code]
    assert stub.world.dump() == state


def bent(path: str, body: dict[str, Any]) -> Iterator[bytes]:
    for place in places(path):
        yield json.dumps(without(body, place)).encode()
        for value in WRONG:
            yield json.dumps(with_value(body, place, value)).encode()


def account_places(path: str) -> list[Place]:
    """Return the places of accounts in the fullest exchange of a command."""
    found = []
    for place in nodes(fullest()[path].request):
        name = next((key for key in reversed(place) if isinstance(key, str)), "")
        if name in ("UserID", "Identifier", "Accounts") or name.endswith("_Account"):
            found.append(place)
    return found


@pytest.mark.parametrize("path", [path for path in PATHS if account_places(path)])
@pytest.mark.parametrize("number", [10086, -1, 0.5, 2**63])
def test_number_in_place_of_account_is_refused(stub: Stub, path: str, number: float) -> None:
    golden = fullest()[path]
    state = stub.enter(golden)
    for place in account_places(path):
        code = stub.ask(path, json.dumps(with_value(golden.request, place, number)).encode())
        if isinstance(golden.request[str(place[0])], list) and len(place) == 1:
            assert code != 0  # the list itself is not an account
        else:
            assert code == NUMBER_AS_ACCOUNT, place
    assert stub.world.dump() == state


@pytest.mark.parametrize("path", PATHS)
def test_body_that_is_no_object_is_refused(stub: Stub, path: str) -> None:
    golden = fullest()[path]
    state = stub.enter(golden)
    for name, raw in RAW.items():
        code = stub.ask(path, raw)
        assert code in CODES[golden.service] - {0}, name
        if name not in ("deep arrays", "deep objects"):
            assert code == BAD_JSON, name
    assert stub.world.dump() == state


LEAVES = st.one_of(
    st.sampled_from(WRONG),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(max_size=40),
    st.sampled_from(["@TGS#_news", "@TOA#_harbour", "u_ann", "On", "Community", "Owner", "TIMCustomElem"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["Key", "Value", "x"]), inner),
    max_leaves=8,
)


@settings(max_examples=250, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_golden_body_with_several_changes_is_answered_with_known_code(stub: Stub, data: st.DataObject) -> None:
    golden = data.draw(st.sampled_from(exchanges()))
    body: dict[str, Any] = golden.request
    for _ in range(data.draw(st.integers(1, 3))):
        found = list(nodes(body)) or [("GroupId",)]
        place = data.draw(st.sampled_from(found))
        cut = data.draw(st.booleans())
        body = without(body, place) if cut else with_value(body, place, data.draw(VALUES))
    state = stub.enter(golden)
    path = f"{golden.service}/{golden.command}"
    code = stub.ask(path, json.dumps(body).encode())
    assert code in CODES[golden.service]
    if code:
        assert stub.world.dump() == state


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(PATHS), st.binary(max_size=300))
def test_refused_random_bytes_change_nothing(stub: Stub, path: str, raw: bytes) -> None:
    state = stub.enter(fullest()[path])
    if stub.ask(path, raw):
        assert stub.world.dump() == state
