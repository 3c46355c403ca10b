"""The general Tencent Chat SDK of PyPI, `tencentcloud-sdk-python-im`, works unmodified with the stub.

Its constructor accepts the base URL (`tencent_url`), so the address of the stub is set in the same way as the
address of another region. It sends with `requests`, which trusts the CA file that the environment variable
REQUESTS_CA_BUNDLE names; the package does not declare `requests`, so the extra of the tests does. It signs by
itself, with the official signature package. It returns the HTTP response, or None after any failure.
"""

import json
from typing import Any

import pytest
from tencentcloud_im import tcim_client as sdk  # type: ignore[import-untyped]

from channel_adapter.stub.server import StubServer
from tests.interop.plain_client import PlainClient

NEWS = "@TGS#_news"
TEXT = "Tide table 🌊 潮汐"
OLD = 1_700_000_000


def read(response: Any) -> dict[str, Any]:
    """Return the envelope of an answer; fail for any other response."""
    assert response is not None
    assert response.status_code == 200
    answer: dict[str, Any] = json.loads(response.content)
    assert answer["ActionStatus"] == ("OK" if answer["ErrorCode"] == 0 else "FAIL")
    return answer


def done(response: Any) -> dict[str, Any]:
    """Return the envelope of a call that must succeed."""
    answer = read(response)
    assert answer["ErrorCode"] == 0, answer
    return answer


def code(response: Any) -> int:
    number: int = read(response)["ErrorCode"]
    return number


@pytest.fixture
def client(stub: StubServer, monkeypatch: pytest.MonkeyPatch) -> Any:
    if stub.ca_file is not None:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stub.ca_file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return sdk.TCIMClient(stub.sdkappid, stub.key, stub.admin, tencent_url=f"{stub.url}/v4")


@pytest.fixture
def community(client: Any) -> Any:
    """Return the client of an app that has a Community with an owner and two members."""
    done(client.batch_add_users(["editor", "ann", "ben"]))
    group = sdk.GroupObj(
        owner_userid="editor",
        group_type="Community",
        group_name="Harbour News",
        introdction="Ships and tides",
        max_member_count=5_000,
        mem_list=[sdk.GroupMemObj("ann"), sdk.GroupMemObj("ben", "Admin")],
        applicationData=[sdk.GroupAppDefinedData("ch_tag", "channel")],
        group_id=NEWS,
    )
    assert done(client.create_group(group))["GroupId"] == NEWS
    return client


def info(client: Any, *fields: str) -> dict[str, Any]:
    """Return the item of the Community with the requested fields."""
    item: dict[str, Any] = done(client.get_group_detail([NEWS], list(fields), [], ["ch_tag", "ch_org"]))["GroupInfo"][0]
    return item


def members(client: Any, **filters: Any) -> dict[str, dict[str, Any]]:
    page = done(client.get_group_mem_info_detail(NEWS, **filters))
    return {item["Member_Account"]: item for item in page["MemberList"]}


def history(client: Any, **fields: Any) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = done(client.get_msg_in_group(NEWS, 20, **fields))["RspMsgList"]
    return page


def test_accounts_are_imported_checked_and_deleted(client: Any) -> None:
    done(client.add_single_user("ann", "Ann 🌊", "https://example.org/a.png"))
    assert done(client.batch_add_users(["ben", "cy", "x" * 33]))["FailAccounts"] == ["x" * 33]
    found = done(client.search_user(["ann", "cy", "nobody"]))["ResultItem"]
    assert [item["AccountStatus"] for item in found] == ["Imported", "Imported", "NotImported"]
    online = done(client.check_user_online(["ann", "nobody"]))
    assert online["QueryResult"][0]["Status"] == "Offline"
    assert online["ErrorList"] == [{"To_Account": "nobody", "ErrorCode": 70107}]
    done(client.abolition_user_sig("ann"))
    gone = done(client.del_user(["cy", "nobody"]))["ResultItem"]
    assert [item["ResultCode"] for item in gone] == [0, 70107]
    assert done(client.search_user(["cy"]))["ResultItem"][0]["AccountStatus"] == "NotImported"


@pytest.mark.parametrize("group_type", ["Public", "Private", "ChatRoom", "AVChatRoom", "Community"])
def test_group_of_every_type_is_created_and_deleted(client: Any, group_type: str) -> None:
    done(client.add_single_user("editor", "", ""))
    created = done(client.create_group(sdk.GroupObj("editor", group_type, "Some group")))["GroupId"]
    item = done(client.get_group_detail([created]))["GroupInfo"][0]
    assert (item["Type"], item["Owner_Account"], item["MaxMemberNum"]) == (group_type, "editor", 500)
    assert {"GroupId": created} in done(client.get_group(group_type=group_type))["GroupIdList"]
    done(client.delete_group(created))
    assert done(client.get_group_detail([created]))["GroupInfo"][0]["ErrorCode"] == 10010


def test_list_of_groups_counts_every_group_of_the_app(community: Any) -> None:
    done(community.create_group(sdk.GroupObj("editor", "Public", "Another")))
    assert done(community.get_group())["TotalCount"] == 2


def test_profile_of_a_community_is_read_and_changed(community: Any) -> None:
    item = info(community, "Name", "Introduction", "MemberNum", "NextMsgSeq")
    assert (item["Name"], item["Introduction"]) == ("Harbour News", "Ships and tides")
    assert (item["MemberNum"], item["NextMsgSeq"]) == (3, 1)
    assert item["AppDefinedData"] == [{"Key": "ch_tag", "Value": "channel"}]
    done(
        community.update_group_baseinfo(
            NEWS,
            group_name="港口新闻",
            notification="New hours",
            max_member_num=6_000,
            appJoinOption="FreeAccess",
            shutUpFlag="On",
            appDefineData=[sdk.GroupAppDefinedData("ch_org", "Harbour Office"), sdk.GroupAppDefinedData("ch_tag", "")],
        )
    )
    changed = info(community, "Name", "Notification", "MaxMemberNum", "ApplyJoinOption", "ShutUpAllMember")
    assert changed["Name"] == "港口新闻"
    assert changed["ShutUpAllMember"] == "On"
    assert (changed["MaxMemberNum"], changed["ApplyJoinOption"]) == (6_000, "FreeAccess")
    assert changed["AppDefinedData"] == [{"Key": "ch_org", "Value": "Harbour Office"}]
    done(community.change_group_owner(NEWS, "ben"))
    assert info(community, "Owner_Account")["Owner_Account"] == "ben"


def test_members_of_a_community_are_added_changed_and_removed(community: Any) -> None:
    done(community.batch_add_users(["cy", "di"]))
    added = done(community.add_group_member(NEWS, [sdk.GroupMemObj(user) for user in ("cy", "di", "ann")]))
    assert [item["Result"] for item in added["MemberList"]] == [1, 1, 2]
    level = [sdk.GroupAppDefinedData("level", "3")]
    done(community.update_group_mem_info(NEWS, "cy", "Admin", "Cy 🌊", level, 60))
    item = members(community)["cy"]
    assert (item["Role"], item["NameCard"]) == ("Admin", "Cy 🌊")
    assert item["AppMemberDefinedData"] == [{"Key": "level", "Value": "3"}]
    assert set(members(community, memRoleFilter=["Admin"], memInfoFilter=["Role"])) == {"ben", "cy"}
    roles = done(community.get_mem_role_in_group(NEWS, ["editor", "di", "nobody"]))["UserIdList"]
    assert [item["Role"] for item in roles] == ["Owner", "Member", "NotMember"]
    done(community.delete_group_mem(NEWS, ["cy", "di", "nobody"]))
    assert set(members(community)) == {"editor", "ann", "ben"}
    assert code(community.get_online_member_num(NEWS)) == 10007


def test_members_of_a_community_are_paged_by_cursor(community: Any) -> None:
    first = done(community.get_group_mem_info_detail(NEWS, limit_count=2))
    assert first["MemberNum"] == 3
    second = done(community.get_group_mem_info_detail(NEWS, limit_count=2, next=first["Next"]))
    assert second["Next"] == ""
    names = [item["Member_Account"] for page in (first, second) for item in page["MemberList"]]
    assert names == ["editor", "ann", "ben"]


def test_members_of_another_group_are_paged_by_offset(client: Any) -> None:
    done(client.batch_add_users(["editor", "ann", "ben"]))
    users = [sdk.GroupMemObj("ann"), sdk.GroupMemObj("ben")]
    group = done(client.create_group(sdk.GroupObj("editor", "Public", "Town", mem_list=users)))["GroupId"]
    page = done(client.get_group_mem_info_detail(group, limit_count=2, offset=2))
    assert [item["Member_Account"] for item in page["MemberList"]] == ["ben"]


def test_joined_groups_of_a_user_are_listed(community: Any) -> None:
    joined = done(
        community.get_joined_groups("ann", 50, 0, "Community", ["Name", "Type"], ["Role", "JoinTime", "MsgSeq"])
    )
    assert joined["TotalCount"] == 1
    group = joined["GroupIdList"][0]
    assert (group["GroupId"], group["Name"], group["SelfInfo"]["Role"]) == (NEWS, "Harbour News", "Member")
    assert done(community.get_joined_groups("ann"))["GroupIdList"] == [{"GroupId": NEWS}]


def test_muted_users_cannot_post(community: Any) -> None:
    done(community.forbid_send_msg(NEWS, ["ann"], 600))
    assert [item["Member_Account"] for item in done(community.get_group_shutup_list(NEWS))["ShuttedUinList"]] == ["ann"]
    assert code(community.send_group_message(NEWS, [sdk.MessageText("me too")], from_account="ann")) == 10017
    done(community.forbid_send_msg(NEWS, ["ann"], 0))
    done(community.send_group_message(NEWS, [sdk.MessageText("me too")], from_account="ann"))
    done(community.update_group_baseinfo(NEWS, shutUpFlag="On"))
    assert code(community.send_group_message(NEWS, [sdk.MessageText("again")], from_account="ann")) == 10017
    done(community.send_group_message(NEWS, [sdk.MessageText("mine")], from_account="editor"))


def test_messages_of_a_community_are_sent_recalled_and_deleted(community: Any) -> None:
    attachment = sdk.MessageFile("https://example.org/tides.pdf", 2_048, "tides.pdf")
    sent = done(
        community.send_group_message(
            NEWS, [sdk.MessageText(TEXT)], [attachment], from_account="editor", msgPriority="High"
        )
    )
    assert sent["MsgSeq"] == 1
    done(community.send_group_message(NEWS, [sdk.MessageText("second")]))
    newest, oldest = history(community)
    assert (newest["MsgSeq"], newest["From_Account"]) == (2, "administrator")
    assert (oldest["From_Account"], oldest["MsgPriority"]) == ("editor", 1)
    assert oldest["MsgBody"][0] == {"MsgType": "TIMTextElem", "MsgContent": {"Text": TEXT}}
    assert oldest["MsgBody"][1]["MsgContent"]["FileName"] == "tides.pdf"
    assert history(community, msg_seq=1) == [oldest]
    recalled = done(community.recall_group_message(NEWS, [1, 99]))["RecallRetList"]
    assert recalled == [{"MsgSeq": 1, "RetCode": 0}, {"MsgSeq": 99, "RetCode": 10030}]
    assert [item["MsgSeq"] for item in history(community, with_recalled_msg=0)] == [2]
    assert [item["IsPlaceMsg"] for item in history(community)] == [0, 2]
    done(community.delete_group_msg_by_sender(NEWS, "administrator"))
    assert history(community, with_recalled_msg=0) == []
    done(community.send_system_message_in_group(NEWS, "Closed tomorrow", ["ann"]))


def test_history_and_members_are_imported(client: Any, stub: StubServer) -> None:
    """The SDK has no import_group, so the plain client imports the empty old group."""
    done(client.batch_add_users(["editor", "ann"]))
    old = {"Type": "Community", "GroupId": NEWS, "Name": "Old", "Owner_Account": "editor", "CreateTime": OLD}
    PlainClient(stub).must("group_open_http_svc", "import_group", old)
    posts = [sdk.GroupMessageObj("editor", OLD + number, [sdk.MessageText(str(number))]) for number in (0, 1, 2)]
    results = done(client.import_message_to_group(NEWS, 0, posts))["ImportMsgResult"]
    assert [(item["Result"], item["MsgSeq"]) for item in results] == [(10004, 0), (0, 1), (0, 2)]
    joined = done(client.import_group_members(NEWS, [sdk.GroupMemObj("ann", "Admin", OLD + 5), sdk.GroupMemObj("x")]))
    assert [item["Result"] for item in joined["MemberList"]] == [1, 0]
    done(client.set_group_unread_msg_num(NEWS, "ann", 2))
    listed = done(client.get_joined_groups("ann", selfInfoFilter=["MsgSeq", "Role", "JoinTime"]))["GroupIdList"]
    assert listed == [{"GroupId": NEWS, "SelfInfo": {"MsgSeq": 0, "Role": "Admin", "JoinTime": OLD + 5}}]


def test_attributes_of_a_group_are_set_and_cleared(client: Any) -> None:
    done(client.add_single_user("editor", "", ""))
    group = done(client.create_group(sdk.GroupObj("editor", "Public", "Town")))["GroupId"]
    assert done(client.get_group_attr(group))["GroupAttrAry"] == []
    done(client.update_group_attr(group, [sdk.GroupAttr("pilot", "on duty")]))
    assert done(client.get_group_attr(group))["GroupAttrAry"] == [{"key": "pilot", "value": "on duty"}]
    done(client.clean_group_attr(group))
    assert done(client.get_group_attr(group))["GroupAttrAry"] == []


def test_new_one_to_one_conversations_have_no_unread_messages(client: Any) -> None:
    done(client.batch_add_users(["ann", "ben"]))
    done(client.set_user_message_read("ann", "ben"))
    assert done(client.get_unread_num("ann"))["AllC2CUnreadMsgNum"] == 0
    assert done(client.get_unread_num("ann", ["ben"]))["C2CUnreadMsgNumList"] == [
        {"Peer_Account": "ben", "C2CUnreadMsgNum": 0}
    ]


def test_one_to_one_messages_are_sent_listed_withdrawn_and_read(client: Any) -> None:
    done(client.batch_add_users(["ann", "ben", "cleo"]))
    sent = done(client.send_message(sdk.MessageObj("ann", "ben", [sdk.MessageText(TEXT)], extra_data="v1")))
    later = done(client.send_message(sdk.MessageObj("ben", "ann", [sdk.MessageText("thanks")])))
    batch = done(client.batch_send_message(sdk.BatchMessageObj("ann", ["ben", "nobody"], [sdk.MessageText("gale")])))
    assert batch["ErrorList"] == [{"To_Account": "nobody", "ErrorCode": 70107}]
    now = int(sent["MsgTime"])
    old = sdk.MessageObj("ann", "ben", [sdk.MessageText("old")])
    done(client.import_message_to_im(old, now - 60, 2))
    first = done(client.get_message_list("ben", "ann", 3, now - 90, now + 60))
    assert (first["Complete"], first["MsgCnt"], len(first["MsgList"])) == (0, 3, 3)
    rest = done(client.get_message_list("ben", "ann", 3, now - 90, first["LastMsgTime"], first["LastMsgKey"]))
    assert (rest["Complete"], [item["MsgTimeStamp"] for item in rest["MsgList"]]) == (1, [now - 60])
    keys = {item["MsgKey"]: item for item in first["MsgList"]}
    assert keys.keys() == {sent["MsgKey"], later["MsgKey"], batch["MsgKey"]}
    assert keys[sent["MsgKey"]]["MsgBody"][0]["MsgContent"]["Text"] == TEXT
    assert done(client.get_unread_num("ben", ["ann", "cleo"]))["C2CUnreadMsgNumList"] == [
        {"Peer_Account": "ann", "C2CUnreadMsgNum": 2}, {"Peer_Account": "cleo", "C2CUnreadMsgNum": 0},
    ]  # fmt: skip
    done(client.draw_message("ann", "ben", sent["MsgKey"]))
    assert code(client.draw_message("ann", "ben", sent["MsgKey"])) == 20023
    assert done(client.get_unread_num("ben"))["AllC2CUnreadMsgNum"] == 1
    done(client.set_user_message_read("ben", "ann"))
    assert done(client.get_unread_num("ben"))["AllC2CUnreadMsgNum"] == 0
    assert code(client.send_message(sdk.MessageObj("ann", "nobody", [sdk.MessageText("hello")]))) == 20003


def test_invalid_calls_have_documented_codes(community: Any, stub: StubServer) -> None:
    again = sdk.GroupObj("editor", "Community", "Twin", group_id=NEWS)
    assert code(community.create_group(again)) == 10025
    assert code(community.create_group(sdk.GroupObj("ann", "Community", "Twin", group_id=NEWS))) == 10021
    assert code(community.create_group(sdk.GroupObj("ann", "Community", "No prefix", group_id="news"))) == 10015
    assert code(community.add_group_member("@TGS#_gone", [sdk.GroupMemObj("ann")])) == 10010
    assert code(community.get_group_attr(NEWS)) == 10007
    stranger = sdk.TCIMClient(stub.sdkappid, stub.key, "ann", tencent_url=f"{stub.url}/v4")
    assert code(stranger.get_group()) == 60010
    forger = sdk.TCIMClient(stub.sdkappid, "0" * 64, stub.admin, tencent_url=f"{stub.url}/v4")
    assert code(forger.get_group()) == 70009
    elsewhere = sdk.TCIMClient(1_400_000_002, stub.key, stub.admin, tencent_url=f"{stub.url}/v4")
    assert code(elsewhere.get_group()) == 70020


def test_unsupported_command_is_answered_with_60002(client: Any) -> None:
    done(client.batch_add_users(["ann", "ben"]))
    assert code(client.get_friends("ann")) == 60002


def test_client_without_trust_in_the_certificate_fails(stub: StubServer, caplog: pytest.LogCaptureFixture) -> None:
    client = sdk.TCIMClient(stub.sdkappid, stub.key, stub.admin, tencent_url=f"{stub.url}/v4")
    response = client.search_user(["ann"])
    if stub.ca_file is None:
        done(response)
    else:
        assert response is None
        assert "CERTIFICATE_VERIFY_FAILED" in caplog.text
