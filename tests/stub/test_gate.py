"""Access checks of the gate: their codes and their order."""

import json
import zlib

import pytest
import TLSSigAPIv2

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from tests.stub.conftest import ACCOUNTS, GROUPS, Caller, Start

IMPORT = f"{ACCOUNTS}/account_import"
OTHER_KEY = "f" * 64


def unpack(usersig: str) -> dict[str, object]:
    """Return the members of a signature, read without code of this project."""
    members: dict[str, object] = json.loads(zlib.decompress(TLSSigAPIv2.base64_decode_url(usersig.encode())))
    return members


def pack(members: dict[str, object]) -> str:
    text: str = TLSSigAPIv2.base64_encode_url(zlib.compress(json.dumps(members).encode()))
    return text


def with_app(**values: object) -> StubSettings:
    return StubSettings.model_validate({"app": values})


async def test_valid_call_is_answered_with_envelope(caller: Caller) -> None:
    assert await caller.call(IMPORT, {"UserID": "editor_7"}) == {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_method_other_than_post_is_refused(caller: Caller, method: str) -> None:
    assert (await caller.request(method, f"/v4/{IMPORT}", b"{}"))["ErrorCode"] == 60002


@pytest.mark.parametrize("path", ["/", "/v4", "/v4/", f"/v3/{IMPORT}", f"/v4/{IMPORT}/", f"/v4/x/{IMPORT}", "/v4//a"])
async def test_unknown_path_is_refused(caller: Caller, path: str) -> None:
    assert (await caller.send(path, b"{}"))["ErrorCode"] == 60002


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"sdkappid": None}, 60012),
        ({"sdkappid": ""}, 60012),
        ({"sdkappid": "1400999999"}, 70020),
        ({"sdkappid": "many"}, 70020),
        ({"identifier": None}, 60025),
        ({"identifier": ""}, 60025),
        ({"usersig": None}, 60025),
        ({"usersig": ""}, 70002),
        ({"usersig": "eJwrz"}, 70003),
        ({"usersig": "no base64 at all"}, 70003),
    ],
)
async def test_missing_or_invalid_url_parameter_is_refused(
    caller: Caller, changes: dict[str, str | None], code: int
) -> None:
    assert (await caller.call(IMPORT, {"UserID": "u"}, **changes))["ErrorCode"] == code


async def test_random_and_contenttype_are_optional(caller: Caller) -> None:
    assert (await caller.call(IMPORT, {"UserID": "u"}, random=None, contenttype=None))["ErrorCode"] == 0


async def test_signature_of_another_key_is_refused(caller: Caller) -> None:
    forged = caller.signature(key=OTHER_KEY)
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=forged))["ErrorCode"] == 70009


async def test_signature_of_another_identifier_is_refused(caller: Caller) -> None:
    other = caller.signature("someone_else")
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=other))["ErrorCode"] == 70013


async def test_signature_of_another_app_is_refused(caller: Caller, stranger: Start) -> None:
    elsewhere = stranger(StubServer(with_app(sdkappid=1400000777)))
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=elsewhere.signature()))["ErrorCode"] == 70014


async def test_modified_signature_is_refused(caller: Caller) -> None:
    """A longer lifetime written into a genuine signature makes its HMAC invalid."""
    packed = unpack(caller.signature())
    packed["TLS.expire"] = 10**9
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=pack(packed)))["ErrorCode"] == 70009


async def test_signature_expires_by_clock_of_stub(caller: Caller, clock: StubClock) -> None:
    clock.freeze()
    usersig = caller.signature(expire=3600)
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig))["ErrorCode"] == 0
    clock.advance(3590)
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig))["ErrorCode"] == 0
    clock.advance(20)
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig))["ErrorCode"] == 70001
    clock.advance(-20)
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig))["ErrorCode"] == 0


async def test_accepted_signature_is_not_valid_for_another_identifier(caller: Caller) -> None:
    usersig = caller.signature()
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig))["ErrorCode"] == 0
    assert (await caller.call(IMPORT, {"UserID": "u"}, usersig=usersig, identifier="reader"))["ErrorCode"] == 70013


async def test_call_of_ordinary_user_is_refused(caller: Caller) -> None:
    usersig = caller.signature("reader_1")
    answer = await caller.call(IMPORT, {"UserID": "u"}, identifier="reader_1", usersig=usersig)
    assert answer["ErrorCode"] == 60010


async def test_only_listed_admins_may_call(stranger: Start) -> None:
    settings = with_app(admin="boss", admins=["boss", "Zoë +1"])
    async with StubServer(settings) as server:
        caller = stranger(server)
        usersig = caller.signature("Zoë +1")
        assert (await caller.call(IMPORT, {"UserID": "u"}, identifier="Zoë +1", usersig=usersig))["ErrorCode"] == 0
        usersig = caller.signature("administrator")
        answer = await caller.call(IMPORT, {"UserID": "u"}, identifier="administrator", usersig=usersig)
        assert answer["ErrorCode"] == 60010


@pytest.mark.parametrize(
    ("app", "code"),
    [
        ({"enabled": False}, 60016),
        ({"plan_active": False}, 60020),
        ({"enabled": False, "plan_active": False}, 60016),
        ({"ip_allow_list": ["203.0.113.0/24"]}, 60021),
        ({"ip_allow_list": ["203.0.113.7", "127.0.0.0/8"]}, 0),
    ],
)
async def test_settings_of_app_determine_code_of_call(stranger: Start, app: dict[str, object], code: int) -> None:
    async with StubServer(with_app(**app)) as server:
        assert (await stranger(server).call(IMPORT, {"UserID": "u"}))["ErrorCode"] == code


async def test_error_of_unknown_service_names_known_one(caller: Caller) -> None:
    answer = await caller.call("group_open_htp_svc/create_grup", {})
    assert answer["ErrorCode"] == 60002
    assert f"/v4/{GROUPS}/create_group" in answer["ErrorInfo"]


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (f"{GROUPS}/create_grup", f"/v4/{GROUPS}/create_group"),
        (f"{GROUPS}/Create_Group", f"/v4/{GROUPS}/create_group"),
        (f"{ACCOUNTS}/create_group", f"/v4/{GROUPS}/create_group"),
        (f"{ACCOUNTS}/acount_import", f"/v4/{IMPORT}"),
        ("openim/modify_grp_msg", "/v4/openim/modify_group_msg"),
    ],
)
async def test_error_of_unknown_command_names_nearest_one(caller: Caller, command: str, named: str) -> None:
    answer = await caller.call(command, {})
    assert (answer["ErrorCode"], named in answer["ErrorInfo"]) == (60002, True), answer
    assert f"the stub does not play /v4/{command}" in answer["ErrorInfo"]


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"text"', b"7", b"\xff\xfe", b'{"UserID": NaN}'])
async def test_body_that_is_no_json_object_is_refused(caller: Caller, body: bytes) -> None:
    assert (await caller.send(f"/v4/{IMPORT}", body))["ErrorCode"] == 60003


async def test_checks_are_applied_in_fixed_order(stranger: Start, clock: StubClock) -> None:
    """Send a call with every defect; after each correction the answer shows the next check."""
    clock.freeze()
    settings = StubSettings.model_validate(
        {"app": {"ip_allow_list": ["203.0.113.1"]}, "rates": {"overrides": {IMPORT: 1}}}
    )
    async with StubServer(settings, clock=clock) as server:
        caller = stranger(server)
        forged = caller.signature("stranger", key=OTHER_KEY)
        bad: dict[str, str | None] = {"sdkappid": None, "identifier": None, "usersig": forged}
        assert (await caller.request("GET", "/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 60002
        assert (await caller.send("/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 60012
        bad["sdkappid"] = str(server.sdkappid)
        assert (await caller.send("/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 60021
    async with StubServer(settings.changed(app={"ip_allow_list": ()}), clock=clock) as server:
        caller = stranger(server)
        assert (await caller.send("/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 60025
        bad["identifier"] = "stranger"
        assert (await caller.send("/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 70009
        bad["usersig"] = caller.signature("stranger")
        assert (await caller.send("/v4/nowhere/nothing", b"{", **bad))["ErrorCode"] == 60010
        assert (await caller.send("/v4/nowhere/nothing", b"{"))["ErrorCode"] == 60002
        assert (await caller.send(f"/v4/{GROUPS}/nothing", b"{"))["ErrorCode"] == 60002
        assert (await caller.call(IMPORT, {"UserID": "u"}))["ErrorCode"] == 0
        assert (await caller.send(f"/v4/{IMPORT}", b"{"))["ErrorCode"] == 60007
        assert (await caller.send(f"/v4/{GROUPS}/create_group", b"{"))["ErrorCode"] == 60003
