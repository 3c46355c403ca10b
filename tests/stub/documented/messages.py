"""Rows of the commands about messages, pins, extensions and attributes."""

from typing import Any

from tests.stub.documented.case import ANN, EXTENSIONS, GROUPS, LIVE, MESSAGES, NEWS, NOW, OWNER, TOWN, Case, text
from tests.stub.documented.groups import NO_COMMUNITY, REFUSES

SEND = {"GroupId": NEWS, "From_Account": OWNER, "Random": 9, "MsgBody": text()}
MODIFY = {"GroupId": NEWS, "MsgSeq": 1}
HUGE = text("x" * 12_289)
MUTED = ((f"{GROUPS}/forbid_send_msg", {"GroupId": NEWS, "Members_Account": [ANN], "MuteTime": 60}),)
EVERYBODY = [{"GroupAtAllFlag": 1}] * 31

SENDING = [
    Case(f"{GROUPS}/send_group_msg", 10016, SEND, app_says=REFUSES),
    Case(f"{GROUPS}/send_group_msg", 10017, {**SEND, "From_Account": ANN}, given=MUTED),
    Case(
        f"{GROUPS}/send_group_msg",
        10023,
        SEND,
        settings={"limits": {"messages_per_second": 0}, "behaviour": {"frequency": "refuse"}},
    ),
    Case(f"{GROUPS}/send_group_msg", 10053, {**SEND, "GroupAtInfo": EVERYBODY}),
    Case(f"{GROUPS}/send_group_msg", 11000, SEND, settings=NO_COMMUNITY),
    Case(f"{GROUPS}/send_group_msg", 80002, {**SEND, "MsgBody": HUGE}),
    Case(
        f"{GROUPS}/import_group_msg",
        80002,
        {
            "GroupId": "@TGS#_old",
            "MsgList": [{"From_Account": OWNER, "SendTime": NOW - 5, "Random": 1, "MsgBody": HUGE}],
        },
        item=True,
        given=(
            (
                f"{GROUPS}/import_group",
                {"Type": "Community", "GroupId": "@TGS#_old", "Name": "Old", "CreateTime": NOW - 9},
            ),
        ),
    ),
]
CHANGING = [
    Case(f"{MESSAGES}/modify_group_msg", 90001, {**MODIFY, "CloudCustomData": 5}),
    Case(f"{MESSAGES}/modify_group_msg", 90002, {**MODIFY, "MsgBody": []}),
    Case(f"{MESSAGES}/modify_group_msg", 90007, {**MODIFY, "MsgBody": {}}),
    Case(f"{MESSAGES}/modify_group_msg", 90010, {**MODIFY, "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {}}]}),
    Case(f"{GROUPS}/group_msg_recall", 10030, {"GroupId": NEWS, "MsgSeqList": [{"MsgSeq": 99}]}, item=True),
    Case(f"{GROUPS}/group_msg_get_simple", 10044, {"GroupId": LIVE, "ReqMsgNumber": 5}),
]
PIN = {"GroupId": NEWS, "MsgSeq": 1}
PINNED = ((f"{GROUPS}/pin_message", PIN),)
PINS = [
    Case(f"{GROUPS}/pin_message", 10070, {**PIN, "MsgSeq": 2}, given=PINNED, settings={"limits": {"pins": 1}}),
    Case(f"{GROUPS}/pin_message", 10071, PIN, given=PINNED),
]

PAIR = {"Key": "like", "Value": "1", "Seq": 0}
SET = {"GroupId": NEWS, "MsgSeq": 1, "OperateType": 1, "ExtensionList": [PAIR]}
GET = {"GroupId": NEWS, "MsgSeq": 1}
NO_EXTENSIONS = {"app": {"message_extensions": False}}
SET_PATH, GET_PATH = f"{EXTENSIONS}/group_set_key_values", f"{EXTENSIONS}/group_get_key_values"
EXTENSION_CASES = [
    Case(SET_PATH, 10004, {**SET, "ExtensionList": []}),
    Case(SET_PATH, 10008, SET, settings=NO_EXTENSIONS),
    Case(
        SET_PATH,
        23001,
        {**SET, "ExtensionList": [{**PAIR, "Seq": 7}]},
        item=True,
        given=((SET_PATH, SET),),
        settings={"behaviour": {"extension_check_admin_seq": True}},
    ),
    Case(SET_PATH, 23002, {**SET, "MsgSeq": 2}),
    Case(SET_PATH, 23003, SET, given=((SET_PATH, SET),), settings={"limits": {"extension_sets_per_minute": 1}}),
    Case(SET_PATH, 23004, {**SET, "MsgSeq": 99}),
    Case(GET_PATH, 10004, {**GET, "StartSeq": -1}),
    Case(GET_PATH, 10008, GET, settings=NO_EXTENSIONS),
    Case(GET_PATH, 23004, {**GET, "MsgSeq": 99}),
]


def attribute_cases(name: str) -> list[Case]:
    """Return the rows of codes that refuse a write of attributes."""

    def case(code: int, pairs: list[tuple[str, str]]) -> Case:
        body: dict[str, Any] = {"GroupId": TOWN, "GroupAttr": [{"key": key, "value": value} for key, value in pairs]}
        return Case(f"{GROUPS}/{name}", code, body)

    return [
        case(10045, [("x" * 33, "1")]),
        case(10046, [("a", "x" * 4_001)]),
        case(10047, [(str(number), "1") for number in range(17)]),
        case(10048, [(str(number), "x" * 4_000) for number in range(4)]),
    ]


ATTRIBUTE_CASES = [
    *attribute_cases("set_group_attr"),
    *attribute_cases("modify_group_attr"),
    Case(f"{GROUPS}/delete_group_attr", 10050, {"GroupId": TOWN, "GroupAttr": [{"key": "a"}]}),
]
CASES = [*SENDING, *CHANGING, *PINS, *EXTENSION_CASES, *ATTRIBUTE_CASES]
