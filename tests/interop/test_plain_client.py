"""Channel operations with urllib: only documented names, the standard library and a signature."""

import pytest

from channel_adapter.stub.server import StubServer
from tests.interop.plain_client import PlainClient

GROUPS = "group_open_http_svc"
ACCOUNTS = "im_open_login_svc"
EXTENSIONS = "openim_msg_ext_http_svc"
CONTACTS = "recentcontact"
OFFICIAL = "official_account_open_http_svc"
NEWS = "@TGS#_news"


@pytest.fixture
def client(stub: StubServer) -> PlainClient:
    client = PlainClient(stub)
    client.must(ACCOUNTS, "multiaccount_import", {"AccountList": [{"UserID": "editor"}, {"UserID": "ann"}]})
    return client


def create(client: PlainClient) -> None:
    client.must(
        GROUPS,
        "create_group",
        {
            "Type": "Community",
            "GroupId": NEWS,
            "Name": "港口新闻 🌊",
            "Owner_Account": "editor",
            "ApplyJoinOption": "FreeAccess",
            "SupportTopic": 0,
            "AppDefinedData": [{"Key": "ch_tag", "Value": "channel"}],
        },
    )


def post(client: PlainClient, text: str, random: int) -> int:
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": text}}]
    sent = {"GroupId": NEWS, "From_Account": "editor", "Random": random, "MsgBody": body, "SupportMessageExtension": 1}
    seq: int = client.must(GROUPS, "send_group_msg", sent)["MsgSeq"]
    return seq


def test_channel_can_be_created_used_and_deleted(client: PlainClient) -> None:
    create(client)
    client.must(GROUPS, "modify_group_base_info", {"GroupId": NEWS, "MuteAllMember": "On"})
    client.must(GROUPS, "add_group_member", {"GroupId": NEWS, "MemberList": [{"Member_Account": "ann"}]})
    assert post(client, "Tide table", 1) == 1
    assert post(client, "Tide table", 1) == 1
    assert post(client, "Ferries", 2) == 2
    page = client.must(GROUPS, "group_msg_get_simple", {"GroupId": NEWS, "ReqMsgNumber": 20})
    assert [item["MsgBody"][0]["MsgContent"]["Text"] for item in page["RspMsgList"]] == ["Ferries", "Tide table"]
    wanted = {"Member_Account": "ann", "GroupType": "Community", "SupportTopic": 0}
    assert client.must(GROUPS, "get_joined_group_list", wanted)["GroupIdList"] == [{"GroupId": NEWS}]
    item = client.must(GROUPS, "get_group_info", {"GroupIdList": [NEWS]})["GroupInfo"][0]
    assert item["Name"] == "港口新闻 🌊"
    client.must(GROUPS, "destroy_group", {"GroupId": NEWS})
    assert client.call(GROUPS, "destroy_group", {"GroupId": NEWS})["ErrorCode"] == 10010


def test_reactions_and_an_edit_are_stored(client: PlainClient) -> None:
    create(client)
    post(client, "Tide table", 1)
    pair = {"Key": "👍", "Value": "41", "Seq": 0}
    change = {"GroupId": NEWS, "MsgSeq": 1, "OperateType": 1, "ExtensionList": [pair]}
    assert client.must(EXTENSIONS, "group_set_key_values", change)["ExtensionList"][0]["Extension"]["Seq"] == 1
    found = client.must(EXTENSIONS, "group_get_key_values", {"GroupId": NEWS, "MsgSeq": 1})
    assert found["ExtensionList"] == [pair | {"Seq": 1}]
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Tide table, corrected"}}]
    client.must("openim", "modify_group_msg", {"GroupId": NEWS, "MsgSeq": 1, "MsgBody": body})
    page = client.must(GROUPS, "group_msg_get_simple", {"GroupId": NEWS, "ReqMsgNumber": 1})
    assert page["RspMsgList"][0]["MsgBody"] == body


def test_conversation_group_with_a_channel_is_stored(client: PlainClient) -> None:
    create(client)
    client.must(GROUPS, "add_group_member", {"GroupId": NEWS, "MemberList": [{"Member_Account": "ann"}]})
    item = {"GroupName": "Channels", "ContactItem": [{"Type": 2, "ToGroupId": NEWS}]}
    client.must(CONTACTS, "create_contact_group", {"From_Account": "ann", "GroupContactItem": [item]})
    filed = client.must(CONTACTS, "get_contact_group", {"From_Account": "ann", "StartIndex": 0})
    assert filed["GroupItem"][0]["GroupName"] == "Channels"
    assert filed["ContactItem"][0]["ToGroupId"] == NEWS


def test_official_account_publishes_to_subscribers(client: PlainClient) -> None:
    account = {"OfficialAccountUserID": "@TOA#_harbour", "Owner_Account": "editor", "Name": "Harbour"}
    client.must(OFFICIAL, "create_official_account", account)
    users = {"Official_Account": "@TOA#_harbour", "SubscriberList": [{"Subscriber_Account": "ann"}]}
    assert client.must(OFFICIAL, "add_subscriber", users)["SubscriberList"][0]["Result"] == 1
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Closed tomorrow"}}]
    sent = {"Official_Account": "@TOA#_harbour", "Random": 7, "MsgBody": body}
    key = client.must(OFFICIAL, "send_official_account_msg", sent)["MsgKey"]
    page = client.must(
        OFFICIAL, "official_account_msg_get_simple", {"Official_Account": "@TOA#_harbour", "ReqMsgNumber": 5}
    )
    assert [item["MsgKey"] for item in page["RspMsgList"]] == [key]


def test_old_group_can_be_imported_with_history(client: PlainClient) -> None:
    old = {"Type": "Community", "GroupId": NEWS, "Name": "Old", "Owner_Account": "editor", "CreateTime": 1_600_000_000}
    client.must(GROUPS, "import_group", old)
    items = [
        {
            "From_Account": "editor",
            "SendTime": 1_600_000_000 + number,
            "Random": number,
            "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": f"post {number}"}}],
        }
        for number in range(1, 8)
    ]
    results = client.must(GROUPS, "import_group_msg", {"GroupId": NEWS, "MsgList": items})["ImportMsgResult"]
    assert [item["MsgSeq"] for item in results] == [1, 2, 3, 4, 5, 6, 7]
    member = {"Member_Account": "ann", "JoinTime": 1_600_000_100, "UnreadMsgNum": 3}
    client.must(GROUPS, "import_group_member", {"GroupId": NEWS, "MemberList": [member]})
    found = client.must(GROUPS, "get_specified_group_member_info", {"GroupId": NEWS, "Member_List_Account": ["ann"]})
    assert (found["MemberList"][0]["JoinTime"], found["MemberList"][0]["MsgSeq"]) == (1_600_000_100, 4)


def test_stub_is_reachable_by_the_host_name_of_its_certificate(stub: StubServer) -> None:
    """The certificate is valid for localhost and for the address, so both are accepted."""
    named = PlainClient(stub, url=stub.url.replace("127.0.0.1", "localhost"))
    assert named.must(GROUPS, "get_appid_group_list", {})["TotalCount"] == 0
