"""Error codes: the most specific row applies, unlisted codes are permanent, webhook ranges are known."""

import pytest

from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.catalog import COMMANDS
from channel_adapter.tencent.codes import ErrorKind, Repeat, documented, look_up

GROUP = "group_open_http_svc"
OFFICIAL = "official_account_open_http_svc"
EXTENSION = "openim_msg_ext_http_svc"


def test_code_has_different_meanings_in_different_services() -> None:
    assert look_up(GROUP, "get_group_info", 10004).kind is ErrorKind.INVALID
    in_management = look_up(OFFICIAL, "create_official_account", 10004)
    assert (in_management.kind, in_management.repeat) == (ErrorKind.UNAVAILABLE, Repeat.IF_REPEATABLE)
    assert look_up(OFFICIAL, "official_account_msg_recall", 10004).kind is ErrorKind.INVALID
    assert look_up(GROUP, "create_group", 10008).repeat is Repeat.NEW_SIGNATURE
    assert look_up(EXTENSION, "group_set_key_values", 10008).kind is ErrorKind.CONFIGURATION


@pytest.mark.parametrize(("service", "code", "kind", "again"), [
    ("im_open_login_svc", 60004, ErrorKind.UNAVAILABLE, Repeat.IF_REPEATABLE),
    ("im_open_login_svc", 60005, ErrorKind.UNAVAILABLE, Repeat.IF_REPEATABLE),
    (GROUP, 60025, ErrorKind.AUTHENTICATION, Repeat.NEW_SIGNATURE),
    (GROUP, 60026, ErrorKind.CONFIGURATION, Repeat.NEVER),
    (GROUP, 60027, ErrorKind.LIMIT, Repeat.NEVER), (GROUP, 60028, ErrorKind.LIMIT, Repeat.NEVER),
    (GROUP, 80004, ErrorKind.REFUSED, Repeat.NEVER), (GROUP, 80005, ErrorKind.CONFIGURATION, Repeat.NEVER),
    ("im_open_login_svc", 70399, ErrorKind.PERMISSION, Repeat.NEVER),
    ("im_open_login_svc", 70404, ErrorKind.NOT_FOUND, Repeat.NEVER),
    *(("openim", code, ErrorKind.CONFIGURATION, Repeat.NEVER) for code in (72002, 72010, 72011, 72012)),
    *(("openim", code, ErrorKind.CONFIGURATION, Repeat.NEVER) for code in range(110006, 110015)),
    ("sns", 30005, ErrorKind.REFUSED, Repeat.NEVER), ("openim", 22007, ErrorKind.INVALID, Repeat.NEVER),
    ("openim", 90057, ErrorKind.THROTTLED, Repeat.AFTER_WAIT),
    ("recentcontact", 51007, ErrorKind.NOT_FOUND, Repeat.NEVER),
    (OFFICIAL, 130002, ErrorKind.PERMISSION, Repeat.NEVER), (OFFICIAL, 130005, ErrorKind.ALREADY, Repeat.NEVER),
    (OFFICIAL, 130006, ErrorKind.LIMIT, Repeat.NEVER), (OFFICIAL, 130009, ErrorKind.CONFIGURATION, Repeat.NEVER),
    (OFFICIAL, 130010, ErrorKind.LIMIT, Repeat.NEVER), (OFFICIAL, 131003, ErrorKind.NOT_FOUND, Repeat.NEVER),
    (OFFICIAL, 131005, ErrorKind.CONFIGURATION, Repeat.NEVER),
])  # fmt: skip
def test_codes_of_error_table_are_classified(service: str, code: int, kind: ErrorKind, again: Repeat) -> None:
    row = look_up(service, "any_command", code)
    assert (row.kind, row.repeat) == (kind, again)
    assert row.source != "unlisted"


def test_row_of_command_overrides_that_of_service() -> None:
    assert look_up(GROUP, "get_appid_group_list", 10006).repeat is Repeat.AFTER_WAIT
    quota = look_up(GROUP, "create_group", 10006)
    assert (quota.kind, quota.repeat, quota.command) == (ErrorKind.LIMIT, Repeat.NEVER, "create_group")


def test_row_of_service_overrides_general_row() -> None:
    """10004 has no general row; 20005 has one that applies to every service."""
    assert look_up(OFFICIAL, "add_subscriber", 20005).service == codes.ANY
    assert look_up(OFFICIAL, "add_subscriber", 10004).service == OFFICIAL


@pytest.mark.parametrize(
    "service", ["million_group_open_http_svc", "group_open_attr_http_svc", "group_open_avchatroom_http_svc"]
)
def test_neighbouring_group_services_have_group_codes(service: str) -> None:
    assert look_up(service, "get_topic", 10010).kind is ErrorKind.NOT_FOUND


@pytest.mark.parametrize("code", [10999, 1, 65000, 10099, 10201, 120000, 130001])
def test_unlisted_code_is_permanent_and_described_as_unlisted(code: int) -> None:
    row = look_up(GROUP, "send_group_msg", code)
    assert (row.repeat, row.kind, row.code) == (Repeat.NEVER, ErrorKind.REFUSED, code)
    assert "not listed" in row.meaning


@pytest.mark.parametrize("code", [10100, 10150, 10200, 120001, 125000, 130000])
def test_webhook_codes_of_app_are_refusals(code: int) -> None:
    row = look_up(GROUP, "send_group_msg", code)
    assert (row.repeat, row.kind) == (Repeat.NEVER, ErrorKind.REFUSED)
    assert "webhook" in row.meaning


def test_code_of_one_service_is_unlisted_in_another() -> None:
    assert look_up("recentcontact", "get_list", 50001).kind is ErrorKind.NOT_FOUND
    assert "not listed" in look_up(GROUP, "get_group_info", 50001).meaning


@pytest.mark.parametrize("code", [60007, 60011, 60018, 60019, 22006])
def test_frequency_codes_may_be_repeated_after_wait(code: int) -> None:
    row = look_up(GROUP, "send_group_msg", code)
    assert (row.repeat, row.kind) == (Repeat.AFTER_WAIT, ErrorKind.THROTTLED)


@pytest.mark.parametrize("code", [70001, 70002, 70003, 70052, 60025])
def test_signature_codes_require_new_signature(code: int) -> None:
    row = look_up("openim", "modify_group_msg", code)
    assert (row.repeat, row.kind) == (Repeat.NEW_SIGNATURE, ErrorKind.AUTHENTICATION)


@pytest.mark.parametrize("code", [70009, 70013, 70014, 70016, 70020, 70050])
def test_wrong_key_or_app_does_not_require_new_signature(code: int) -> None:
    assert look_up(GROUP, "get_group_info", code).repeat is Repeat.NEVER


@pytest.mark.parametrize(("service", "command", "code"), [
    (GROUP, "add_group_member", 10013), (GROUP, "create_group", 10025), (GROUP, "pin_message", 10071),
    ("openim", "admin_msgwithdraw", 20023), (EXTENSION, "group_reaction_add", 23007),
])  # fmt: skip
def test_codes_of_existing_state_have_kind_already(service: str, command: str, code: int) -> None:
    assert look_up(service, command, code).kind is ErrorKind.ALREADY


@pytest.mark.parametrize("row", codes.ROWS, ids=lambda row: f"{row.service}/{row.command}/{row.code}")
def test_repeat_and_kind_of_row_are_consistent(row: codes.CodeRow) -> None:
    assert row.meaning
    assert row.source
    assert row.code != codes.OK
    if row.kind is ErrorKind.THROTTLED:
        assert row.repeat in (Repeat.AFTER_WAIT, Repeat.LATER)
    if row.kind is ErrorKind.UNAVAILABLE:
        assert row.repeat is Repeat.IF_REPEATABLE
    if row.repeat is Repeat.NEW_SIGNATURE:
        assert row.kind is ErrorKind.AUTHENTICATION


def test_rows_name_existing_commands() -> None:
    known = {command.service for command in COMMANDS.values()}
    for row in codes.ROWS:
        assert row.service in known | {codes.ANY}
        assert row.command == codes.ANY or (row.service, row.command) in COMMANDS


def test_every_documented_code_is_listed() -> None:
    for service, command in COMMANDS:
        for code in documented(service, command):
            assert look_up(service, command, code).source != "unlisted", (service, command, code)


def test_documented_codes_equal_those_of_page() -> None:
    assert documented(GROUP, "destroy_group") == {10002, 10003, 10004, 10007, 10010, 10015}
    assert documented(GROUP, "create_group") == {
        10002, 10003, 10004, 10005, 10006, 10007, 10008, 10016, 10021, 10025, 10036, 10037, 10038, 10058, 80001,
    }  # fmt: skip
    assert documented(GROUP, "add_group_member") == {
        10002, 10003, 10004, 10005, 10007, 10010, 10014, 10015, 10016, 10019, 10026, 10037,
    }  # fmt: skip
    assert documented(OFFICIAL, "destroy_official_account") == {
        6017, 10004, 20001, 20005, 130002, 130004, 130007, 130008, 131000,
    }  # fmt: skip
    assert documented(GROUP, "no_such_command") == frozenset()
    assert documented(catalog.KICK.service, catalog.KICK.name) == frozenset()
