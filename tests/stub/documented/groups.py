"""Rows of the commands about groups and members."""

from typing import Any

from tests.stub.documented.case import ANN, BEN, CIRCLE, GONE, GROUPS, LIVE, NEWS, NOBODY, OWNER, Case, text

LONG_ID = "@TGS#_" + "x" * 43
NEW = {"Type": "Community", "Name": "Harbour", "Owner_Account": OWNER}
ADD = {"GroupId": NEWS, "MemberList": [{"Member_Account": BEN}]}
SMALL = {"limits": {"reply_bytes": 120}}
NO_COMMUNITY = {"app": {"community": False}}
REFUSES = {"ActionStatus": "OK", "ErrorCode": 1, "ErrorInfo": "not today"}
COUNTERS = [{"Key": f"k{number}", "Value": 1} for number in range(21)]

ON_A_GROUP: dict[str, dict[str, Any]] = {  # bodies valid except for GroupId, of commands that look a group up
    "modify_group_base_info": {"Name": "New"},
    "destroy_group": {},
    "change_group_owner": {"NewOwner_Account": ANN},
    "set_unread_msg_num": {"Member_Account": ANN, "UnreadMsgNum": 1},
    "add_group_member": {"MemberList": [{"Member_Account": BEN}]},
    "delete_group_member": {"MemberToDel_Account": [ANN]},
    "get_group_member_info": {"Limit": 10, "Next": ""},
    "get_role_in_group": {"User_Account": [ANN]},
    "modify_group_member_info": {"Member_Account": ANN, "NameCard": "A"},
    "forbid_send_msg": {"Members_Account": [ANN], "MuteTime": 60},
    "get_group_muted_account": {},
    "get_group_shutted_uin": {},
    "import_group_member": {"MemberList": [{"Member_Account": BEN}]},
    "send_group_msg": {"From_Account": OWNER, "Random": 9, "MsgBody": text()},
    "group_msg_recall": {"MsgSeqList": [{"MsgSeq": 1}]},
    "group_msg_get_simple": {"ReqMsgNumber": 5},
    "import_group_msg": {"MsgList": [{"From_Account": OWNER, "SendTime": 5, "Random": 1, "MsgBody": text()}]},
    "delete_group_msg_by_sender": {"Sender_Account": OWNER},
    "send_group_system_notification": {"Content": "closed"},
    "get_group_counter": {},
    "update_group_counter": {"Mode": "Set", "GroupCounter": [{"Key": "seen", "Value": 1}]},
    "delete_group_counter": {},
}
WITHOUT_A_GROUP = [
    *(Case(f"{GROUPS}/{name}", 10010, {"GroupId": GONE, **body}) for name, body in ON_A_GROUP.items()),
    *(Case(f"{GROUPS}/{name}", 10015, {"GroupId": LONG_ID, **body}) for name, body in ON_A_GROUP.items()),
    Case(f"{GROUPS}/get_group_info", 10010, {"GroupIdList": [GONE]}, item=True),
    Case(f"{GROUPS}/get_group_info", 10015, {"GroupIdList": [LONG_ID]}, item=True),
]
MALFORMED = [
    *(Case(f"{GROUPS}/{name}", 10004, {"GroupId": {}, **body}) for name, body in ON_A_GROUP.items()),
    Case(f"{GROUPS}/create_group", 10004, {**NEW, "Type": "Crowd"}),
    Case(f"{GROUPS}/import_group", 10004, {**NEW, "CreateTime": 0}),
    Case(f"{GROUPS}/get_group_info", 10004, {"GroupIdList": []}),
    Case(f"{GROUPS}/get_joined_group_list", 10004, {"Member_Account": ANN, "Limit": 0}),
    Case(f"{GROUPS}/get_appid_group_list", 10004, {"Limit": 0}),
]
NOT_ALLOWED = [
    Case(f"{GROUPS}/{name}", 10007, {"GroupId": group, **ON_A_GROUP[name], **body})
    for name, group, body in (
        ("add_group_member", LIVE, {}),
        ("delete_group_member", NEWS, {"MemberToDel_Account": [OWNER]}),
        ("modify_group_member_info", NEWS, {"Member_Account": BEN}),
        ("set_unread_msg_num", NEWS, {"Member_Account": BEN}),
        ("forbid_send_msg", CIRCLE, {}),
        ("send_group_msg", NEWS, {"From_Account": BEN}),
        ("get_group_counter", NEWS, {}),
        ("update_group_counter", NEWS, {}),
        ("delete_group_counter", NEWS, {}),
    )
]
TOO_LARGE = [
    Case(f"{GROUPS}/get_group_info", 10018, {"GroupIdList": [NEWS]}, settings=SMALL),
    Case(f"{GROUPS}/get_joined_group_list", 10018, {"Member_Account": ANN}, settings=SMALL),
    Case(f"{GROUPS}/get_appid_group_list", 10018, {}, settings=SMALL),
    Case(f"{GROUPS}/get_group_member_info", 10018, {"GroupId": NEWS, "Next": ""}, settings=SMALL),
    Case(f"{GROUPS}/group_msg_get_simple", 10018, {"GroupId": NEWS, "ReqMsgNumber": 2}, settings=SMALL),
]
NEW_GROUPS = [
    Case(
        f"{GROUPS}/create_group",
        10005,
        {**NEW, "MemberList": [{"Member_Account": ANN}, {"Member_Account": BEN}]},
        settings={"limits": {"create_members": 1}},
    ),
    Case(f"{GROUPS}/create_group", 10006, NEW, settings={"limits": {"communities": 1}}),
    Case(f"{GROUPS}/create_group", 10016, NEW, app_says=REFUSES),
    Case(f"{GROUPS}/create_group", 10021, {**NEW, "GroupId": NEWS, "Owner_Account": ANN}),
    Case(f"{GROUPS}/create_group", 10025, {**NEW, "GroupId": NEWS}),
    Case(f"{GROUPS}/create_group", 10037, NEW, settings={"limits": {"groups_per_user": 4}}),
    Case(f"{GROUPS}/create_group", 10038, {**NEW, "MaxMemberCount": 1_000_001}),
    Case(f"{GROUPS}/import_group", 10021, {**NEW, "GroupId": NEWS}),
    Case(
        f"{GROUPS}/get_joined_group_list",
        11000,
        {"Member_Account": ANN, "GroupType": "Community"},
        settings=NO_COMMUNITY,
    ),
]
MEMBERS = [
    Case(f"{GROUPS}/add_group_member", 10005, ADD, settings={"limits": {"add_members": 0}}),
    Case(
        f"{GROUPS}/add_group_member",
        10014,
        ADD,
        given=((f"{GROUPS}/modify_group_base_info", {"GroupId": NEWS, "MaxMemberNum": 2}),),
    ),
    Case(f"{GROUPS}/add_group_member", 10016, ADD, app_says=REFUSES),
    Case(f"{GROUPS}/add_group_member", 10019, {"GroupId": NEWS, "MemberList": [{"Member_Account": NOBODY}]}),
    Case(
        f"{GROUPS}/import_group_member",
        10005,
        {"GroupId": NEWS, "MemberList": [{"Member_Account": BEN}]},
        settings={"limits": {"import_members": 0}},
    ),
    Case(
        f"{GROUPS}/update_group_counter",
        10063,
        {"GroupId": "town", "Mode": "Set", "GroupCounter": COUNTERS},
    ),
]
CASES = [*WITHOUT_A_GROUP, *MALFORMED, *NOT_ALLOWED, *TOO_LARGE, *NEW_GROUPS, *MEMBERS]
