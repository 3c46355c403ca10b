"""Injected failures of batch items: every command with results by item, and what is not carried out."""

from typing import Any

import aiohttp
import pytest

from channel_adapter.stub.faults.batches import BATCHES
from channel_adapter.stub.scenario import read_faults
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.stub.conftest import ACCOUNTS, GROUPS, IMPORT_MANY, NOW, Caller

EXTENSIONS = "openim_msg_ext_http_svc"
CONTACTS = "recentcontact"
OFFICIAL = "official_account_open_http_svc"
GROUP = "@TGS#_a"
OTHER = "@TGS#_b"
GAZETTE = "@TOA#_gazette"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]
CODE = 70500


class Struck(Caller):
    """Caller of a server on which every second item fails."""

    def strike(self, every: int = 2) -> None:
        self.server.faults.replace(read_faults([{"fail_items": every, "item_code": CODE}]))

    def calm(self) -> None:
        self.server.faults.replace(())

    async def failing(self, path: str, body: dict[str, Any], every: int = 2) -> dict[str, Any]:
        self.strike(every)
        try:
            return await self.must(path, body)
        finally:
            self.calm()

    async def join(self) -> None:
        """Make "a" a member of both groups: only members can put them into conversation groups."""
        for group_id in (GROUP, OTHER):
            members = [{"Member_Account": "a"}]
            await self.must(f"{GROUPS}/add_group_member", {"GroupId": group_id, "MemberList": members})

    async def say(self, *randoms: int) -> None:
        for number in randoms:
            message = {"GroupId": GROUP, "Random": number, "MsgBody": TEXT, "SupportMessageExtension": 1}
            await self.must(f"{GROUPS}/send_group_msg", message)


@pytest.fixture
def settings() -> StubSettings:
    return StubSettings.model_validate({"limits": {"official_broadcasts_per_hour": 9}})


@pytest.fixture
async def struck(server: StubServer, session: aiohttp.ClientSession) -> Struck:
    server.world.clock.freeze(NOW)
    caller = Struck(server, session)
    await caller.must(IMPORT_MANY, {"AccountList": [{"UserID": user} for user in ("a", "b", "c")]})
    for group_id in (GROUP, OTHER):
        await caller.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": group_id})
    account = {"Owner_Account": "a", "OfficialAccountUserID": GAZETTE, "Name": "n"}
    await caller.must(f"{OFFICIAL}/create_official_account", account)
    return caller


def contact(group_id: str) -> dict[str, Any]:
    return {"Type": 2, "ToGroupId": group_id}


def test_commands_with_results_by_item_are_listed() -> None:
    assert {path.rpartition("/")[2] for path in BATCHES} == {
        *("add_group_member", "import_group_member", "multiaccount_import", "account_check", "account_delete"),
        *("query_online_status", "portrait_get", "get_c2c_unread_msg_num", "get_group_info", "import_group_msg"),
        *("group_msg_recall", "group_set_key_values", "create_contact_group", "update_contact_group", "mark_contact"),
        *("add_subscriber", "delete_subscriber", "get_official_account_info", "official_account_msg_recall"),
        *("batchsendmsg", "set_key_values"),
    }


async def test_failed_items_of_message_import_are_not_stored(struck: Struck) -> None:
    old = {"Type": "Community", "Name": "n", "GroupId": "@TGS#_old", "CreateTime": NOW - 100}
    await struck.must(f"{GROUPS}/import_group", old)
    messages = [{"From_Account": "a", "SendTime": NOW - 50 + n, "MsgBody": TEXT} for n in range(5)]
    answer = await struck.failing(f"{GROUPS}/import_group_msg", {"GroupId": "@TGS#_old", "MsgList": messages})
    results = [(item["Result"], item["MsgSeq"], item["MsgTime"] - NOW + 50) for item in answer["ImportMsgResult"]]
    assert results == [(0, 1, 0), (CODE, 0, 1), (0, 2, 2), (CODE, 0, 3), (0, 3, 4)]
    page = await struck.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": "@TGS#_old", "ReqMsgNumber": 20})
    assert [message["MsgTimeStamp"] - NOW + 50 for message in page["RspMsgList"]] == [4, 2, 0]


async def test_failed_items_of_member_import_are_not_added(struck: Struck) -> None:
    members = [{"Member_Account": user, "Role": "Admin"} for user in ("a", "b", "ghost")]
    answer = await struck.failing(f"{GROUPS}/import_group_member", {"GroupId": GROUP, "MemberList": members})
    assert [(item["Member_Account"], item["Result"]) for item in answer["MemberList"]] == [
        ("a", 1),
        ("b", 0),
        ("ghost", 0),
    ]
    page = await struck.must(f"{GROUPS}/get_group_member_info", {"GroupId": GROUP, "Limit": 9})
    assert sorted(member["Member_Account"] for member in page["MemberList"]) == ["a"]


async def test_failed_items_of_subscribers_are_neither_added_nor_deleted(struck: Struck) -> None:
    users = [{"Subscriber_Account": user} for user in ("a", "b", "c")]
    body = {"Official_Account": GAZETTE, "SubscriberList": users}
    answer = await struck.failing(f"{OFFICIAL}/add_subscriber", body)
    assert [(item["Subscriber_Account"], item["Result"]) for item in answer["SubscriberList"]] == [
        ("a", 1),
        ("b", 0),
        ("c", 1),
    ]
    gone = {"Official_Account": GAZETTE, "SubscriberToDel_Account": ["b", "c", "a"]}
    answer = await struck.failing(f"{OFFICIAL}/delete_subscriber", gone)
    assert [(item["Subscriber_Account"], item["Result"]) for item in answer["SubscriberList"]] == [
        ("b", 2),
        ("c", 0),
        ("a", 1),
    ]
    left = await struck.must(f"{OFFICIAL}/get_subscriber_info", {"Official_Account": GAZETTE, "Limit": 9})
    assert [item["Subscriber_Account"] for item in left["SubscriberList"]] == ["c"]


async def test_failed_items_of_subscribers_in_the_other_spelling_are_not_deleted(struck: Struck) -> None:
    users = [{"Subscriber_Account": user} for user in "ab"]
    await struck.must(f"{OFFICIAL}/add_subscriber", {"Official_Account": GAZETTE, "SubscriberList": users})
    gone = {"Official_Account": GAZETTE, "SubscriberList": users}
    answer = await struck.failing(f"{OFFICIAL}/delete_subscriber", gone)
    assert [item["Result"] for item in answer["SubscriberList"]] == [1, 0]
    left = await struck.must(f"{OFFICIAL}/get_subscriber_info", {"Official_Account": GAZETTE, "Limit": 9, "Next": ""})
    assert [item["Subscriber_Account"] for item in left["SubscriberList"]] == ["b"]


async def test_failed_items_of_one_to_one_messages_are_not_sent(struck: Struck) -> None:
    body = {"From_Account": "a", "To_Account": ["b", "c"], "MsgRandom": 1, "MsgBody": TEXT}
    answer = await struck.failing("openim/batchsendmsg", body)
    assert answer["ErrorList"] == [{"To_Account": "c", "ErrorCode": CODE}]
    unread = [await struck.must("openim/get_c2c_unread_msg_num", {"To_Account": user}) for user in ("b", "c")]
    assert [reply["AllC2CUnreadMsgNum"] for reply in unread] == [1, 0]
    message = {"From_Account": "a", "To_Account": "b", "MsgSeq": 1, "MsgRandom": 2, "MsgBody": TEXT}
    sent = await struck.must("openim/sendmsg", {**message, "SupportMessageExtension": 1})
    named = {"From_Account": "a", "To_Account": "b", "MsgKey": sent["MsgKey"]}
    pairs = [{"Key": key, "Value": key} for key in ("x", "y")]
    answer = await struck.failing(f"{EXTENSIONS}/set_key_values", {**named, "OperateType": 1, "ExtensionList": pairs})
    assert [(item["ErrorCode"], item["Extension"]) for item in answer["ExtensionList"]] == [
        (0, {"Key": "x", "Value": "x", "Seq": 1}),
        (CODE, {"Key": "y", "Value": "", "Seq": 0}),
    ]
    held = await struck.must(f"{EXTENSIONS}/get_key_values", {**named, "StartSeq": 0})
    assert [(pair["Key"], pair["Value"]) for pair in held["ExtensionList"]] == [("x", "x")]


async def test_failed_items_of_message_extensions_keep_old_value(struck: Struck) -> None:
    await struck.say(1)
    message = {"GroupId": GROUP, "MsgSeq": 1}
    path = f"{EXTENSIONS}/group_set_key_values"
    first = [{"Key": "b", "Value": "old"}]
    await struck.must(path, {**message, "OperateType": 1, "ExtensionList": first})
    pairs = [{"Key": key, "Value": "new"} for key in "abcd"]
    answer = await struck.failing(path, {**message, "OperateType": 1, "ExtensionList": pairs})
    seen = [(item["ErrorCode"], *item["Extension"].values()) for item in answer["ExtensionList"]]
    assert seen == [(0, "a", "new", 2), (CODE, "b", "old", 1), (0, "c", "new", 2), (CODE, "d", "", 0)]
    held = await struck.must(f"{EXTENSIONS}/group_get_key_values", {**message, "StartSeq": 0})
    assert {pair["Key"]: pair["Value"] for pair in held["ExtensionList"]} == {"a": "new", "b": "old", "c": "new"}
    answer = await struck.failing(path, {**message, "OperateType": 2, "ExtensionList": [{"Key": "b"}]}, every=1)
    assert answer["ExtensionList"] == [{"ErrorCode": CODE, "Extension": {"Key": "b", "Value": "old", "Seq": 1}}]
    cleared = await struck.failing(path, {**message, "OperateType": 3, "ExtensionList": [{"Key": "b"}]}, every=1)
    assert cleared["ExtensionList"] == []


async def test_failed_items_of_extensions_of_missing_message_are_reported(struck: Struck) -> None:
    path, pair = f"{EXTENSIONS}/group_set_key_values", [{"Key": "k", "Value": "v"}]
    for message in ({"GroupId": "@TGS#_no", "MsgSeq": 1}, {"GroupId": [], "MsgSeq": "x"}, {"GroupId": GROUP}):
        answer = await struck.failing(path, {**message, "OperateType": 1, "ExtensionList": pair}, every=1)
        assert answer["ExtensionList"][0]["ErrorCode"] == CODE


@pytest.mark.parametrize(("every", "codes", "filed"), [(2, [0, CODE, 0], 2), (1, [CODE, CODE, CODE], 0)])
async def test_failed_items_of_new_conversation_group_are_not_added(
    struck: Struck, every: int, codes: list[int], filed: int
) -> None:
    await struck.join()
    items = [contact(GROUP), {"Type": 1, "To_Account": "b"}, contact(OTHER)]
    new = {"From_Account": "a", "GroupContactItem": [{"GroupName": "News", "ContactItem": items}]}
    (group,) = (await struck.failing(f"{CONTACTS}/create_contact_group", new, every))["GroupResultItem"]
    assert group["GroupItem"]["GroupName"] == "News"
    assert [item["ResultCode"] for item in group["ResultItem"]] == codes
    assert [item["ContactItem"] for item in group["ResultItem"]] == items
    book = await struck.must(f"{CONTACTS}/get_contact_group", {"From_Account": "a", "StartIndex": 0})
    assert len(book["ContactItem"]) == filed


async def test_failed_items_of_changed_conversation_group_are_not_changed(struck: Struck) -> None:
    await struck.join()
    new = {"From_Account": "a", "GroupContactItem": [{"GroupName": "News", "ContactItem": [contact(GROUP)]}]}
    await struck.must(f"{CONTACTS}/create_contact_group", new)
    changes = [
        {"ContactOptType": 1, "ContactItem": contact(OTHER)},
        {"ContactOptType": 2, "ContactItem": contact(GROUP)},
    ]
    update = {"UpdateGroupType": 2, "OldGroupName": "News", "ContactUpdateItem": changes}
    body = {"From_Account": "a", "UpdateType": 1, "UpdateGroup": update}
    result = (await struck.failing(f"{CONTACTS}/update_contact_group", body))["UpdateGroupResult"]
    assert [
        (item["ContactOptType"], item["ContactItem"], item["ResultCode"]) for item in result["ContactResultItem"]
    ] == [(1, contact(OTHER), 0), (2, contact(GROUP), CODE)]
    book = await struck.must(f"{CONTACTS}/get_contact_group", {"From_Account": "a", "StartIndex": 0})
    assert [item["ToGroupId"] for item in book["ContactItem"]] == [GROUP, OTHER]
    rename = {"UpdateGroupType": 1, "OldGroupName": "News", "NewGroupName": "Old", "ContactUpdateItem": changes}
    body["UpdateGroup"] = rename
    result = (await struck.failing(f"{CONTACTS}/update_contact_group", body))["UpdateGroupResult"]
    assert (result["GroupName"], "ContactResultItem" in result) == ("Old", False)


async def test_failed_items_of_marks_are_not_marked(struck: Struck) -> None:
    await struck.join()
    items = [{"OptType": 1, "ContactItem": contact(group_id), "SetMark": [0]} for group_id in (GROUP, OTHER)]
    answer = await struck.failing(f"{CONTACTS}/mark_contact", {"From_Account": "a", "MarkItem": items})
    assert [(item["ContactItem"], item["ResultCode"]) for item in answer["ResultItem"]] == [
        (contact(GROUP), 0),
        (contact(OTHER), CODE),
    ]
    found = await struck.must(
        f"{CONTACTS}/search_contact_group", {"From_Account": "a", "ContactItem": [contact(GROUP), contact(OTHER)]}
    )
    assert ["StandardMark" in item for item in found["ContactResultItem"]] == [True, False]


async def test_failed_items_of_recalls_are_not_recalled(struck: Struck) -> None:
    await struck.say(1, 2)
    body = {"GroupId": GROUP, "MsgSeqList": [{"MsgSeq": 2}, {"MsgSeq": 1}, {"MsgSeq": 99}]}
    answer = await struck.failing(f"{GROUPS}/group_msg_recall", body)
    results = [(item["MsgSeq"], item["RetCode"]) for item in answer["RecallRetList"]]
    assert results[:2] == [(2, 0), (1, CODE)]
    assert results[2][0] == 99
    assert results[2][1] not in (0, CODE)
    page = await struck.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": GROUP, "ReqMsgNumber": 9})
    assert [message["MsgSeq"] for message in page["RspMsgList"]] == [1]
    broadcast = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": TEXT}
    key = (await struck.must(f"{OFFICIAL}/send_official_account_msg", broadcast))["MsgKey"]
    recall = {"Official_Account": GAZETTE, "MsgKeyList": [key]}
    answer = await struck.failing(f"{OFFICIAL}/official_account_msg_recall", recall, every=1)
    assert answer["RecallRetList"] == [{"MsgKey": key, "RetCode": CODE}]
    page = await struck.must(
        f"{OFFICIAL}/official_account_msg_get_simple", {"Official_Account": GAZETTE, "ReqMsgNumber": 9}
    )
    assert [message["MsgBody"] for message in page["RspMsgList"]] == [TEXT]
    answer = await struck.must(f"{OFFICIAL}/official_account_msg_recall", recall)
    assert answer["RecallRetList"] == [{"MsgKey": key, "RetCode": 0}]


async def test_failed_items_of_profiles_states_and_unread_counts_are_reported(struck: Struck) -> None:
    users = {"To_Account": ["a", "b", "ghost"]}
    answer = await struck.failing("profile/portrait_get", {**users, "TagList": ["Tag_Profile_IM_Nick"]})
    assert [item["ResultCode"] for item in answer["UserProfileItem"]][:2] == [0, CODE]
    assert sorted(answer["Fail_Account"]) == ["b", "ghost"]
    assert answer["ErrorDisplay"] == ""
    answer = await struck.failing("profile/portrait_get", {**users, "TagList": ["Tag_Profile_IM_Nick"]}, every=1)
    assert (answer["Fail_Account"], answer["ErrorDisplay"]) == (["a", "b", "ghost"], "")
    answer = await struck.failing("openim/query_online_status", {"To_Account": ["a", "b"]})
    assert [item["To_Account"] for item in answer["QueryResult"]] == ["a"]
    assert answer["ErrorList"] == [{"To_Account": "b", "ErrorCode": CODE}]
    unread = {"To_Account": "a", "Peer_Account": ["b", "c"]}
    answer = await struck.failing("openim/get_c2c_unread_msg_num", unread)
    assert answer["ErrorList"] == [{"Peer_Account": "c", "ErrorCode": CODE}]


async def test_failed_items_of_accounts_are_neither_imported_nor_deleted(struck: Struck) -> None:
    wanted = [{"Official_Account": GAZETTE}, {"Official_Account": GAZETTE}]
    answer = await struck.failing(f"{OFFICIAL}/get_official_account_info", {"OfficialAccountIdList": wanted})
    assert [item["ErrorCode"] for item in answer["OfficialAccountInfoList"]] == [0, CODE]
    answer = await struck.failing(IMPORT_MANY, {"Accounts": ["x", "y"]})
    assert answer["FailAccounts"] == ["y"]
    deleted = await struck.failing(f"{ACCOUNTS}/account_delete", {"DeleteItem": [{"UserID": "b"}, {"UserID": "c"}]})
    assert [item["ResultCode"] for item in deleted["ResultItem"]] == [0, CODE]
    users = [{"UserID": user} for user in ("x", "y", "b", "c")]
    found = await struck.must(f"{ACCOUNTS}/account_check", {"CheckItem": users})
    states = [item["AccountStatus"] for item in found["ResultItem"]]
    assert states == ["Imported", "NotImported", "NotImported", "Imported"]


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        (f"{GROUPS}/import_group_msg", {"GroupId": GROUP, "MsgList": [{"From_Account": 7}]}, 60015),
        (f"{GROUPS}/import_group_msg", {"GroupId": GROUP, "MsgList": "x"}, 10004),
        (f"{CONTACTS}/create_contact_group", {"From_Account": "a", "GroupContactItem": [7]}, 50002),
        (f"{CONTACTS}/create_contact_group", {"From_Account": "a", "GroupContactItem": "xy"}, 50002),
        (f"{CONTACTS}/update_contact_group", {"From_Account": "a", "UpdateGroup": {"UpdateGroupType": 2}}, 50002),
        (f"{OFFICIAL}/delete_subscriber", {"Official_Account": GAZETTE, "SubscriberToDel_Account": [None]}, 6017),
    ],
)
async def test_malformed_batch_is_refused_with_usual_code(
    struck: Struck, path: str, body: dict[str, Any], code: int
) -> None:
    struck.strike(1)
    assert (await struck.call(path, body))["ErrorCode"] == code
