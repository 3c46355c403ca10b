"""Community from creation to dissolution, call by call, as documented."""

from channel_adapter.stub.world.clock import StubClock
from tests.stub.conftest import ACCOUNTS, GROUPS, NOW, Caller

GROUP = "@TGS#_harbor_news"


def text(words: str) -> list[dict[str, object]]:
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]


async def with_people(caller: Caller) -> None:
    users = [{"UserID": "editor"}, *({"UserID": f"reader_{n}"} for n in range(3))]
    await caller.must(f"{ACCOUNTS}/multiaccount_import", {"AccountList": users})


async def with_group(caller: Caller) -> None:
    await with_people(caller)
    await caller.must(
        f"{GROUPS}/create_group",
        {
            "Type": "Community",
            "Name": "港口新闻 ⚓",
            "GroupId": GROUP,
            "Owner_Account": "editor",
            "ApplyJoinOption": "FreeAccess",
            "AppDefinedData": [{"Key": "ch_tag", "Value": "1"}],
        },
    )


async def test_created_group_reads_back(caller: Caller, clock: StubClock) -> None:
    clock.freeze(NOW)
    usersig = caller.signature()  # of today; the frozen clock accepts it, because only the expiry is checked
    await with_group(caller)
    body = {
        "GroupIdList": [GROUP, "@TGS#_none"],
        "ResponseFilter": {
            "GroupBaseInfoFilter": ["Name", "Type", "Owner_Account", "CreateTime", "MemberNum"],
            "AppDefinedDataFilter_Group": ["ch_tag"],
        },
    }
    answer = await caller.call(f"{GROUPS}/get_group_info", body, usersig=usersig)
    found, missing = answer["GroupInfo"]
    assert answer["ErrorCode"] == 0
    assert found == {
        "GroupId": GROUP,
        "ErrorCode": 0,
        "ErrorInfo": "",
        "Type": "Community",
        "Name": "港口新闻 ⚓",
        "Owner_Account": "editor",
        "CreateTime": NOW,
        "MemberNum": 1,
        "AppDefinedData": [{"Key": "ch_tag", "Value": "1"}],
    }
    assert missing["GroupId"] == "@TGS#_none"
    assert missing["ErrorCode"] != 0


async def test_id_of_existing_group_is_refused(caller: Caller) -> None:
    await with_group(caller)
    again = {"Type": "Community", "Name": "x", "GroupId": GROUP, "Owner_Account": "editor"}
    assert (await caller.call(f"{GROUPS}/create_group", again))["ErrorCode"] in (10021, 10025)


async def test_members_can_be_added_post_and_be_removed(caller: Caller) -> None:
    await with_group(caller)
    members = [{"Member_Account": f"reader_{n}"} for n in range(3)]
    added = await caller.must(f"{GROUPS}/add_group_member", {"GroupId": GROUP, "MemberList": members})
    assert [(item["Member_Account"], item["Result"]) for item in added["MemberList"]] == [
        ("reader_0", 1),
        ("reader_1", 1),
        ("reader_2", 1),
    ]
    again = await caller.must(f"{GROUPS}/add_group_member", {"GroupId": GROUP, "MemberList": members[:1]})
    assert [item["Result"] for item in again["MemberList"]] == [2]

    await caller.must(f"{GROUPS}/modify_group_base_info", {"GroupId": GROUP, "MuteAllMember": "On"})
    message = {"GroupId": GROUP, "Random": 7, "MsgBody": text("潮汐表")}
    muted = await caller.call(f"{GROUPS}/send_group_msg", {**message, "From_Account": "reader_0"})
    assert muted["ErrorCode"] == 10017
    sent = await caller.must(f"{GROUPS}/send_group_msg", {**message, "From_Account": "editor"})
    assert sent["MsgSeq"] == 1
    repeated = await caller.must(f"{GROUPS}/send_group_msg", {**message, "From_Account": "editor"})
    assert (repeated["MsgSeq"], repeated["MsgTime"]) == (sent["MsgSeq"], sent["MsgTime"])

    page = await caller.must(f"{GROUPS}/group_msg_get_simple", {"GroupId": GROUP, "ReqMsgNumber": 20})
    assert [(m["From_Account"], m["MsgSeq"], m["MsgBody"]) for m in page["RspMsgList"]] == [
        ("editor", 1, text("潮汐表"))
    ]

    await caller.must(f"{GROUPS}/delete_group_member", {"GroupId": GROUP, "MemberToDel_Account": ["reader_1"]})
    roles = await caller.must(
        f"{GROUPS}/get_role_in_group", {"GroupId": GROUP, "User_Account": ["editor", "reader_0", "reader_1"]}
    )
    assert [item["Role"] for item in roles["UserIdList"]] == ["Owner", "Member", "NotMember"]


async def test_unknown_account_prevents_addition_of_all_members(caller: Caller) -> None:
    await with_group(caller)
    members = [{"Member_Account": "reader_0"}, {"Member_Account": "ghost"}]
    assert (await caller.call(f"{GROUPS}/add_group_member", {"GroupId": GROUP, "MemberList": members}))[
        "ErrorCode"
    ] == 10019
    roles = await caller.must(f"{GROUPS}/get_role_in_group", {"GroupId": GROUP, "User_Account": ["reader_0"]})
    assert roles["UserIdList"][0]["Role"] == "NotMember"


async def test_dissolved_group_is_not_found(caller: Caller) -> None:
    await with_group(caller)
    await caller.must(f"{GROUPS}/destroy_group", {"GroupId": GROUP})
    message = {"GroupId": GROUP, "Random": 7, "MsgBody": text("anyone?")}
    assert (await caller.call(f"{GROUPS}/send_group_msg", message))["ErrorCode"] == 10010


async def test_two_servers_share_no_state(caller: Caller) -> None:
    await with_group(caller)
    other = Caller(type(caller.server)(), caller.session)
    async with other.server:
        assert (await other.call(f"{GROUPS}/destroy_group", {"GroupId": GROUP}))["ErrorCode"] == 10010
    await caller.must(f"{GROUPS}/destroy_group", {"GroupId": GROUP})
