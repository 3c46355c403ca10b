"""Rows of the commands about one-to-one messages."""

from typing import Any

from tests.stub.documented.case import ANN, BEN, EXTENSIONS, HARBOUR, MESSAGES, NOBODY, NOW, OWNER, Call, Case, text
from tests.stub.documented.groups import REFUSES

SEND_PATH, BATCH_PATH, IMPORT_PATH = (f"{MESSAGES}/{name}" for name in ("sendmsg", "batchsendmsg", "importmsg"))
RECALL_PATH, CHANGE_PATH = f"{MESSAGES}/admin_msgwithdraw", f"{MESSAGES}/modify_c2c_msg"
ROAM_PATH, HIDE_PATH = f"{MESSAGES}/admin_getroammsg", f"{MESSAGES}/delete_c2c_msg_ramble"
SET_PATH, GET_PATH = f"{EXTENSIONS}/set_key_values", f"{EXTENSIONS}/get_key_values"

SEND = {"From_Account": OWNER, "To_Account": ANN, "MsgSeq": 7, "MsgRandom": 8, "MsgBody": text()}
BATCH = {**SEND, "To_Account": [ANN, BEN]}
KEY = f"7_8_{NOW}"
NAMED = {"From_Account": OWNER, "To_Account": ANN, "MsgKey": KEY}
SENT: tuple[Call, ...] = ((SEND_PATH, {**SEND, "SupportMessageExtension": 1}),)
PLAIN: tuple[Call, ...] = ((SEND_PATH, SEND),)
IMPORT = {**SEND, "SyncFromOldSystem": 2, "MsgTimeStamp": NOW - 60}
ROAM = {"Operator_Account": ANN, "Peer_Account": OWNER, "MaxCnt": 20, "MinTime": 0, "MaxTime": NOW}
HIDE = {"Operator_Account": ANN, "Peer_Account": OWNER, "MsgKeyList": [KEY]}
NO_ELEMENT = [{"MsgType": "TIMTextElem", "MsgContent": {}}]
PAIR = {"Key": "like", "Value": "1", "Seq": 0}
SET = {**NAMED, "OperateType": 1, "ExtensionList": [PAIR]}
NO_EXTENSIONS = {"app": {"message_extensions": False}}


def without(body: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in names}


def body_cases(path: str, body: dict[str, Any]) -> list[Case]:
    """Return the rows of a command that takes a message."""
    return [
        Case(path, 90001, {**body, "MsgSeq": "seven"}),
        Case(path, 90002, {**body, "MsgBody": []}),
        Case(path, 90003, without(body, "To_Account")),
        Case(path, 90005, without(body, "MsgRandom")),
        Case(path, 90007, {**body, "MsgBody": {}}),
        Case(path, 90008, {**body, "From_Account": {}}),
        Case(path, 90010, {**body, "MsgBody": NO_ELEMENT}),
    ]


def sending_cases(path: str, body: dict[str, Any]) -> list[Case]:
    """Return the rows of a command that sends."""
    return [
        *body_cases(path, body),
        Case(path, 20003, {**body, "From_Account": NOBODY}),
        Case(path, 90026, {**body, "MsgLifeTime": 604_801}),
        Case(path, 90031, {**body, "SyncOtherMachine": 3}),
        Case(path, 90043, {**body, "OfflinePushInfo": []}),
        Case(path, 90044, {**body, "MsgLifeTime": "a week"}),
    ]


CASES = [
    *sending_cases(SEND_PATH, SEND),
    Case(SEND_PATH, 20006, SEND, app_says=REFUSES),
    Case(SEND_PATH, 80002, {**SEND, "MsgBody": text("x" * 12_289)}),
    Case(SEND_PATH, 90006, {**SEND, "MsgTimeStamp": "now"}),
    Case(SEND_PATH, 90012, {**SEND, "To_Account": NOBODY}, settings={"behaviour": {"c2c_unknown_account_code": 90012}}),
    Case(SEND_PATH, 90048, {**SEND, "To_Account": NOBODY}, settings={"behaviour": {"c2c_unknown_account_code": 90048}}),
    Case(SEND_PATH, 130002, {**SEND, "From_Account": HARBOUR, "To_Account": BEN}),
    Case(SEND_PATH, 131000, {**SEND, "From_Account": HARBOUR}, settings={"app": {"official_accounts": False}}),
    *sending_cases(BATCH_PATH, BATCH),
    Case(BATCH_PATH, 70107, {**BATCH, "To_Account": [ANN, NOBODY]}, item=True),
    Case(BATCH_PATH, 90011, {**BATCH, "To_Account": [f"u{number}" for number in range(501)]}),
    Case(
        BATCH_PATH,
        90012,
        {**BATCH, "From_Account": NOBODY},
        settings={"behaviour": {"c2c_unknown_account_code": 90012}},
    ),
    Case(
        BATCH_PATH,
        90048,
        {**BATCH, "From_Account": NOBODY},
        settings={"behaviour": {"c2c_unknown_account_code": 90048}},
    ),
    Case(BATCH_PATH, 90057, BATCH, settings={"limits": {"batch_messages_per_minute": 1}}),
    Case(BATCH_PATH, 130002, {**BATCH, "From_Account": HARBOUR}, item=True),
    *body_cases(IMPORT_PATH, IMPORT),
    Case(IMPORT_PATH, 90006, without(IMPORT, "MsgTimeStamp")),
    Case(
        IMPORT_PATH,
        90012,
        {**IMPORT, "To_Account": NOBODY},
        settings={"behaviour": {"c2c_unknown_account_code": 90012}},
    ),
    Case(ROAM_PATH, 90001, {**ROAM, "MaxCnt": 0}),
    Case(ROAM_PATH, 90003, without(ROAM, "Peer_Account")),
    Case(ROAM_PATH, 90008, without(ROAM, "Operator_Account")),
    Case(RECALL_PATH, 20022, NAMED),
    Case(RECALL_PATH, 20023, NAMED, given=(*PLAIN, (RECALL_PATH, NAMED))),
    Case(RECALL_PATH, 90003, without(NAMED, "To_Account")),
    Case(RECALL_PATH, 90008, without(NAMED, "From_Account")),
    Case(RECALL_PATH, 90054, {**NAMED, "MsgKey": "seven"}),
    Case(CHANGE_PATH, 20026, {**NAMED, "CloudCustomData": "x"}),
    Case(
        CHANGE_PATH,
        20028,
        {**NAMED, "CloudCustomData": "x"},
        given=PLAIN,
        settings={"behaviour": {"modify_conflict": True}},
    ),
    Case(CHANGE_PATH, 90001, {**NAMED, "CloudCustomData": 5}),
    Case(CHANGE_PATH, 90002, {**NAMED, "MsgBody": []}),
    Case(CHANGE_PATH, 90003, without(NAMED, "To_Account")),
    Case(CHANGE_PATH, 90007, {**NAMED, "MsgBody": {}}),
    Case(CHANGE_PATH, 90008, without(NAMED, "From_Account")),
    Case(CHANGE_PATH, 90010, {**NAMED, "MsgBody": NO_ELEMENT}),
    Case(CHANGE_PATH, 90054, {**NAMED, "MsgKey": "seven", "CloudCustomData": "x"}),
    Case(HIDE_PATH, 90001, {**HIDE, "MsgKeyList": []}),
    Case(HIDE_PATH, 90003, without(HIDE, "Peer_Account")),
    Case(HIDE_PATH, 90008, without(HIDE, "Operator_Account")),
    Case(HIDE_PATH, 90054, {**HIDE, "MsgKeyList": ["seven"]}),
    Case(SET_PATH, 10004, {**SET, "ExtensionList": []}),
    Case(SET_PATH, 10008, SET, settings=NO_EXTENSIONS),
    Case(
        SET_PATH,
        23001,
        {**SET, "ExtensionList": [{**PAIR, "Seq": 7}]},
        item=True,
        given=(*SENT, (SET_PATH, SET)),
        settings={"behaviour": {"extension_check_admin_seq": True}},
    ),
    Case(SET_PATH, 23002, SET, given=PLAIN),
    Case(SET_PATH, 23003, SET, given=(*SENT, (SET_PATH, SET)), settings={"limits": {"extension_sets_per_minute": 1}}),
    Case(SET_PATH, 23004, SET),
    Case(GET_PATH, 10004, {**NAMED, "StartSeq": -1}),
    Case(GET_PATH, 10008, NAMED, settings=NO_EXTENSIONS),
    Case(GET_PATH, 23004, NAMED),
]
