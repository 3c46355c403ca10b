"""Catalog of commands: rows are complete, unique, and consistent with their types and the limits."""

import json
import subprocess
import sys
from typing import Any

import pytest

from channel_adapter.tencent import catalog, limits
from channel_adapter.tencent.catalog import COMMANDS, UNMODELLED, Command, Community, Idempotency
from channel_adapter.tencent.wire.groups import GetGroupInfoReply, GroupTagsReply

NAMED = {name: row for name, row in vars(catalog).items() if isinstance(row, Command)}
ROWS = list(COMMANDS.values())
MODELLED = [row for row in ROWS if row.area != UNMODELLED]

# The service has two commands of the same name, and two names that are too general.
NAMES_OF_OUR_OWN = {"GET_COMMUNITY_ONLINE_MEMBER_NUM", "GET_RECENT_CONTACTS", "DELETE_RECENT_CONTACT"}

# Typed from the pages, not from `limits`: the most that the service accepts in one call.
HIGHEST_BATCH = {
    "create_group": 100, "get_group_info": 50, "get_joined_group_list": 5000, "get_appid_group_list": 10000,
    "add_group_member": 300, "delete_group_member": 100, "import_group_member": 300, "get_group_member_info": 200,
    "get_specified_group_member_info": 50, "get_role_in_group": 500, "forbid_send_msg": 500, "group_msg_recall": 10,
    "group_msg_get_simple": 20, "import_group_msg": 7, "send_group_system_notification": 500,
    "multiaccount_import": 100, "account_check": 100, "account_delete": 100, "query_online_status": 500,
    "group_set_key_values": 20, "group_get_key_values": 200,
    "create_contact_group": 100, "update_contact_group": 100, "del_contact_group": 1, "mark_contact": 100,
    "search_contact_group": 300, "get_c2c_unread_msg_num": 10, "get_official_account_info": 50,
    "add_subscriber": 100, "delete_subscriber": 100, "get_subscriber_info": 200,
    "get_subscribed_official_account_list": 200, "official_account_msg_get_simple": 20,
    "official_account_msg_recall": 10, "portrait_get": 100, "get_group_counter": 20, "update_group_counter": 20,
    "delete_group_counter": 20, "batchsendmsg": 500, "admin_getroammsg": 100, "delete_c2c_msg_ramble": 30,
    "set_key_values": 20, "get_key_values": 200,
}  # fmt: skip


def camel_case(command: str) -> str:
    return "".join(part.capitalize() for part in command.split("_"))


def test_every_row_is_found_by_service_and_command() -> None:
    assert all(COMMANDS[row.service, row.name] is row for row in (*ROWS, *NAMED.values()))
    assert [row.path for row in MODELLED if row not in NAMED.values()] == []


@pytest.mark.parametrize("name", sorted(NAMED.keys() - NAMES_OF_OUR_OWN))
def test_constant_is_named_after_its_command(name: str) -> None:
    assert name == NAMED[name].name.upper()


def test_exceptional_names_are_still_needed() -> None:
    assert {name for name, row in NAMED.items() if name != row.name.upper()} == NAMES_OF_OUR_OWN


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.path)
def test_row_has_source(row: Command[Any, Any]) -> None:
    assert row.source.strip()


@pytest.mark.parametrize("row", MODELLED, ids=lambda row: row.path)
def test_row_has_bodies_of_its_own_command(row: Command[Any, Any]) -> None:
    assert row.request.__name__ == f"{camel_case(row.name)}Request"
    assert row.reply.__name__ == f"{camel_case(row.name)}Reply"
    assert row.path == f"{row.service}/{row.name}"


@pytest.mark.parametrize("row", MODELLED, ids=lambda row: row.path)
def test_batch_is_positive_and_within_limit_of_service(row: Command[Any, Any]) -> None:
    assert (row.batch is not None) == (row.name in HIGHEST_BATCH)
    assert 1 <= (row.batch or 1) <= HIGHEST_BATCH.get(row.name, 1)
    assert 1 <= row.calls_per_second <= limits.CALLS_PER_SECOND


def test_reads_are_commands_with_names_of_reads() -> None:
    """A write that is marked as a read would be repeated without a check after a timeout."""
    reads = {row.name for row in ROWS if row.idempotency is Idempotency.READ}
    other_reads = {"account_check", "query_online_status", "search_contact_group", "check_members"}
    assert {name for name in reads if not name.startswith("get_") and "_get" not in name} == other_reads
    assert {row.name for row in ROWS if row.name.startswith("get_")} <= reads


def test_commands_repeated_by_random_are_those_listed() -> None:
    with_random = {row.name for row in ROWS if row.idempotency is Idempotency.RANDOM}
    assert with_random == {
        "send_group_msg", "import_group_msg", "send_official_account_msg", "send_broadcast_msg", "sendmsg", "importmsg",
    }  # fmt: skip


def test_commands_repeated_by_random_carry_the_field() -> None:
    carry = {row.name for row in MODELLED if 'Random"' in json.dumps(row.request.model_json_schema())}
    repeated = {row.name for row in MODELLED if row.idempotency is Idempotency.RANDOM}
    assert carry - repeated == {"batchsendmsg"}  # whether a repeat is dropped is undocumented
    assert repeated <= carry


def test_commands_with_second_effect_are_unsafe() -> None:
    assert catalog.UPDATE_GROUP_COUNTER.idempotency is Idempotency.UNSAFE
    assert catalog.SEND_GROUP_SYSTEM_NOTIFICATION.idempotency is Idempotency.UNSAFE


def test_slow_commands_have_their_own_rate() -> None:
    slower = {row.name: row.calls_per_second for row in ROWS if row.calls_per_second != limits.CALLS_PER_SECOND}
    assert slower == {
        "get_appid_group_list": 1,
        "send_broadcast_msg": 1,
        "multiaccount_import": 100,
        "account_check": 100,
        "account_delete": 100,
    }


def test_commands_for_channels_work_on_communities() -> None:
    needed: list[Command[Any, Any]] = [
        catalog.CREATE_GROUP, catalog.GET_GROUP_INFO, catalog.MODIFY_GROUP_BASE_INFO, catalog.DESTROY_GROUP,
        catalog.GET_JOINED_GROUP_LIST, catalog.ADD_GROUP_MEMBER, catalog.DELETE_GROUP_MEMBER,
        catalog.GET_GROUP_MEMBER_INFO, catalog.GET_ROLE_IN_GROUP, catalog.SEND_GROUP_MSG, catalog.MODIFY_GROUP_MSG,
        catalog.GROUP_MSG_RECALL, catalog.GROUP_MSG_GET_SIMPLE, catalog.IMPORT_GROUP_MSG,
    ]  # fmt: skip
    assert {row.community for row in needed} == {Community.YES}
    assert catalog.GROUP_SET_KEY_VALUES.community is Community.DISPUTED
    assert COMMANDS["million_group_open_http_svc", "create_topic"].community is Community.NO
    assert catalog.ADD_SUBSCRIBER.community is Community.UNRELATED


def test_models_found_by_name_equal_those_of_annotation() -> None:
    """mypy uses the annotation, the program looks up the names: both must agree."""
    for name, row in NAMED.items():
        models = f"{row.area}.{row.request.__name__}, {row.area}.{row.reply.__name__}"
        assert catalog.__annotations__[name].replace("\n    ", "").replace("\n", "") == f"Command[{models}]"


def test_row_can_be_read_as_part_of_its_reply() -> None:
    part = catalog.GET_GROUP_INFO.read_as(GroupTagsReply)
    assert (part.reply, part.request) == (GroupTagsReply, catalog.GET_GROUP_INFO.request)
    assert catalog.GET_GROUP_INFO.reply is GetGroupInfoReply
    assert part.path == catalog.GET_GROUP_INFO.path


def test_unused_areas_are_not_imported() -> None:
    program = (
        "import sys; import channel_adapter.tencent.catalog;"
        "print([name for name in sys.modules if name.startswith('channel_adapter.tencent.wire.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['channel_adapter.tencent.wire.envelope']"
