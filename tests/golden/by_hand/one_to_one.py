"""One-to-one messages and their extensions."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.extensions import (
    Extension,
    ExtensionResult,
    GetKeyValuesReply,
    GetKeyValuesRequest,
    SetKeyValuesReply,
    SetKeyValuesRequest,
)
from channel_adapter.tencent.wire.msg_body import CustomContent, Element, ReceivedElement, TextContent
from channel_adapter.tencent.wire.one_to_one import (
    AdminGetroammsgReply,
    AdminGetroammsgRequest,
    AdminMsgwithdrawReply,
    AdminMsgwithdrawRequest,
    BatchError,
    BatchsendmsgReply,
    BatchsendmsgRequest,
    DeleteC2cMsgRambleReply,
    DeleteC2cMsgRambleRequest,
    ImportmsgReply,
    ImportmsgRequest,
    ModifyC2cMsgReply,
    ModifyC2cMsgRequest,
    RoamingMessage,
    SendmsgReply,
    SendmsgRequest,
)
from tests.golden.by_hand import Exchanges

OWNER, ANN, BEN, GHOST = "u_owner", "u_ann", "u_ben", "u_ghost"
KEY = "549396494_2578554_1735999000"
LATER_KEY = "1054803289_7201_1735999100"
MSG_KEY = "7_8_1736000000"
ID = "144115233406643804-1736000000"


def text(words: str) -> Element:
    return Element(msg_type="TIMTextElem", msg_content=TextContent(text=words).to_wire())


def received(words: str) -> ReceivedElement:
    return ReceivedElement(msg_type="TIMTextElem", msg_content=TextContent(text=words).to_wire())


SENDING: Exchanges = {
    "openim/sendmsg": (
        SendmsgRequest(
            sync_other_machine=1,
            from_account=OWNER,
            to_account=ANN,
            msg_life_time=604800,
            msg_seq=93847636,
            msg_random=1287657,
            msg_time_stamp=1736000000,
            online_only_flag=0,
            forbid_callback_control=["ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"],
            send_msg_control=["NoUnread", "NoLastMsg", "WithMuteNotifications"],
            msg_body=[text("The ferry leaves at nine")],
            cloud_custom_data='{"v":1}',
            offline_push_info={"PushFlag": 0, "Title": "Harbor News"},
            support_message_extension=1,
            is_need_read_receipt=1,
        ),
        SendmsgReply(msg_time=1736000000, msg_key="93847636_1287657_1736000000", msg_id=f"{ID}-1287657"),
    ),
    "openim/sendmsg.account": (
        SendmsgRequest(
            sync_other_machine=1,
            from_account="@TOA#_harbor_news",
            to_account=ANN,
            msg_seq=7,
            msg_random=8,
            msg_body=[text("Welcome aboard")],
        ),
        SendmsgReply(msg_time=1736000000, msg_key=MSG_KEY, msg_id=f"{ID}-8"),
    ),
    "openim/sendmsg.online": (
        SendmsgRequest(
            sync_other_machine=2,
            from_account=OWNER,
            to_account=ANN,
            msg_life_time=0,
            msg_random=9,
            online_only_flag=1,
            msg_body=[Element(msg_type="TIMCustomElem", msg_content=CustomContent(data='{"typing":1}').to_wire())],
        ),
        SendmsgReply(msg_time=1736000000, msg_key="31906_9_1736000000", msg_id=f"{ID}-9"),
    ),
    "openim/sendmsg.unknown": (
        SendmsgRequest(sync_other_machine=2, to_account=GHOST, msg_random=8, msg_body=[text("hello?")]),
        ApiError(20003, "receiver not exist"),
    ),
    "openim/batchsendmsg": (
        BatchsendmsgRequest(
            sync_other_machine=2,
            from_account=OWNER,
            to_account=[ANN, GHOST],
            msg_life_time=86400,
            msg_seq=28360,
            msg_random=19901224,
            online_only_flag=0,
            send_msg_control=["NoLastMsg"],
            msg_body=[text("Gale warning")],
            cloud_custom_data='{"v":1}',
            offline_push_info={"PushFlag": 0, "Title": "Harbor News"},
            support_message_extension=0,
            is_need_read_receipt=0,
        ),
        BatchsendmsgReply(
            msg_key="28360_19901224_1736000000",
            msg_id=f"{ID}-19901224",
            error_list=[BatchError(to_account=GHOST, error_code=70107)],
        ),
    ),
    "openim/batchsendmsg.too_often": (
        BatchsendmsgRequest(to_account=[ANN], msg_random=1, msg_body=[text("x")]),
        ApiError(90057, "frequency limit"),
    ),
    "openim/importmsg": (
        ImportmsgRequest(
            sync_from_old_system=2,
            from_account=OWNER,
            to_account=ANN,
            msg_seq=549396494,
            msg_random=2578554,
            msg_time_stamp=1735999000,
            msg_body=[text("Does the ferry run?")],
            cloud_custom_data='{"v":1}',
        ),
        ImportmsgReply(),
    ),
}

READING: Exchanges = {
    "openim/admin_getroammsg": (
        AdminGetroammsgRequest(
            operator_account=ANN, peer_account=OWNER, max_cnt=100, min_time=1735990000, max_time=1736000000
        ),
        AdminGetroammsgReply(
            complete=1,
            msg_cnt=2,
            last_msg_time=1735999000,
            last_msg_key=KEY,
            msg_list=[
                RoamingMessage(
                    from_account=OWNER,
                    to_account=ANN,
                    msg_seq=549396494,
                    msg_random=2578554,
                    msg_time_stamp=1735999000,
                    is_peer_read=0,
                    msg_key=KEY,
                    msg_body=[received("Does the ferry run?")],
                    cloud_custom_data="",
                ),
                RoamingMessage(
                    from_account=ANN,
                    to_account=OWNER,
                    msg_seq=1054803289,
                    msg_random=7201,
                    msg_time_stamp=1735999100,
                    is_peer_read=0,
                    msg_key=LATER_KEY,
                    msg_body=[received("It does")],
                    cloud_custom_data="",
                ),
            ],
        ),
    ),
    "openim/admin_getroammsg.more": (
        AdminGetroammsgRequest(
            operator_account=ANN,
            peer_account=OWNER,
            max_cnt=1,
            min_time=1735990000,
            max_time=1735999100,
            last_msg_key=LATER_KEY,
        ),
        AdminGetroammsgReply(
            complete=0,
            msg_cnt=1,
            last_msg_time=1735999000,
            last_msg_key=KEY,
            msg_list=[
                RoamingMessage(
                    from_account=OWNER,
                    to_account=ANN,
                    msg_seq=549396494,
                    msg_random=2578554,
                    msg_time_stamp=1735999000,
                    msg_flag_bits=8,
                    is_peer_read=1,
                    msg_key=KEY,
                    cloud_custom_data='{"v":1}',
                )
            ],
        ),
    ),
    "openim/admin_getroammsg.none": (
        AdminGetroammsgRequest(operator_account=ANN, peer_account=BEN, max_cnt=20, min_time=0, max_time=1736000000),
        AdminGetroammsgReply(complete=1),
    ),
}

CHANGING: Exchanges = {
    "openim/admin_msgwithdraw": (
        AdminMsgwithdrawRequest(from_account=OWNER, to_account=ANN, msg_key=KEY),
        AdminMsgwithdrawReply(),
    ),
    "openim/admin_msgwithdraw.missing": (
        AdminMsgwithdrawRequest(from_account=OWNER, to_account=ANN, msg_key="1_2_1735999000"),
        ApiError(20022, "message not exist"),
    ),
    "openim/admin_msgwithdraw.again": (
        AdminMsgwithdrawRequest(from_account=OWNER, to_account=ANN, msg_key=KEY),
        ApiError(20023, "message already recalled"),
    ),
    "openim/admin_msgwithdraw.bad_key": (
        AdminMsgwithdrawRequest(from_account=OWNER, to_account=ANN, msg_key="seven"),
        ApiError(90054, "MsgKey illegal"),
    ),
    "openim/modify_c2c_msg": (
        ModifyC2cMsgRequest(
            from_account=OWNER,
            to_account=ANN,
            msg_key=KEY,
            msg_body=[text("The ferry leaves at ten")],
            cloud_custom_data='{"v":1,"isEdited":true}',
        ),
        ModifyC2cMsgReply(error_info="succeed"),
    ),
    "openim/modify_c2c_msg.missing": (
        ModifyC2cMsgRequest(from_account=OWNER, to_account=ANN, msg_key="1_2_1735999000", cloud_custom_data="x"),
        ApiError(20026, "message not exist"),
    ),
    "openim/delete_c2c_msg_ramble": (
        DeleteC2cMsgRambleRequest(operator_account=ANN, peer_account=OWNER, msg_key_list=[KEY]),
        DeleteC2cMsgRambleReply(),
    ),
}

EXTENSIONS: Exchanges = {
    "openim_msg_ext_http_svc/set_key_values": (
        SetKeyValuesRequest(
            from_account=OWNER,
            to_account=ANN,
            msg_key=MSG_KEY,
            operate_type=1,
            extension_list=[Extension(key="rx:thumb", value="1", seq=0)],
        ),
        SetKeyValuesReply(
            extension_list=[ExtensionResult(error_code=0, extension=Extension(key="rx:thumb", value="1", seq=1))]
        ),
    ),
    "openim_msg_ext_http_svc/set_key_values.no_message": (
        SetKeyValuesRequest(from_account=OWNER, to_account=ANN, msg_key=MSG_KEY, operate_type=3),
        ApiError(23004, "message not exist"),
    ),
    "openim_msg_ext_http_svc/get_key_values": (
        GetKeyValuesRequest(from_account=OWNER, to_account=ANN, msg_key=MSG_KEY, start_seq=1),
        GetKeyValuesReply(
            extension_list=[Extension(key="rx:thumb", value="1", seq=1)], complete_flag=1, latest_seq=1, clear_seq=0
        ),
    ),
    "openim_msg_ext_http_svc/get_key_values.no_message": (
        GetKeyValuesRequest(to_account=ANN, msg_key=MSG_KEY),
        ApiError(23004, "message not exist"),
    ),
}

EXCHANGES: Exchanges = {**SENDING, **READING, **CHANGING, **EXTENSIONS}
