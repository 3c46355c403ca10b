"""Group messages."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.messages import (
    DeleteGroupMsgBySenderReply,
    DeleteGroupMsgBySenderRequest,
    GetPinnedMessagesReply,
    GetPinnedMessagesRequest,
    GroupMsgGetSimpleReply,
    GroupMsgGetSimpleRequest,
    GroupMsgRecallReply,
    GroupMsgRecallRequest,
    HistoryMessage,
    ImportedMessage,
    ImportGroupMsgReply,
    ImportGroupMsgRequest,
    ImportMsgResult,
    ModifyGroupMsgReply,
    ModifyGroupMsgRequest,
    MsgSeqItem,
    PinMessageReply,
    PinMessageRequest,
    PinnedMessage,
    RecallResult,
    SendGroupSystemNotificationReply,
    SendGroupSystemNotificationRequest,
    UnpinMessageReply,
    UnpinMessageRequest,
)
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement, TextContent
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
FORUM = "@TGS#_forum"
TOPIC = "@TGS#_forum@TOPIC#_a"


def text(words: str) -> Element:
    return Element(msg_type="TIMTextElem", msg_content=TextContent(text=words).to_wire())


def received(words: str) -> ReceivedElement:
    return ReceivedElement(msg_type="TIMTextElem", msg_content=TextContent(text=words).to_wire())


CHANGE: Exchanges = {
    "openim/modify_group_msg": (
        ModifyGroupMsgRequest(
            group_id=NEWS,
            msg_seq=1,
            msg_body=[text("Autumn issue is out (fixed link)")],
            cloud_custom_data='{"v":1,"isEdited":true}',
        ),
        ModifyGroupMsgReply(error_info="succeed"),
    ),
    "openim/modify_group_msg.topic": (
        ModifyGroupMsgRequest(group_id=FORUM, msg_seq=3, cloud_custom_data="x", topic_id=TOPIC),
        ModifyGroupMsgReply(error_info="succeed"),
    ),
    "openim/modify_group_msg.missing": (
        ModifyGroupMsgRequest(group_id=NEWS, msg_seq=99, cloud_custom_data="x"),
        ApiError(20026, "message not exist"),
    ),
    "group_open_http_svc/group_msg_recall": (
        GroupMsgRecallRequest(
            group_id=NEWS, msg_seq_list=[MsgSeqItem(msg_seq=1), MsgSeqItem(msg_seq=99)], reason="wrong link"
        ),
        GroupMsgRecallReply(
            recall_ret_list=[RecallResult(msg_seq=1, ret_code=0), RecallResult(msg_seq=99, ret_code=10030)]
        ),
    ),
    "group_open_http_svc/group_msg_recall.topic": (
        GroupMsgRecallRequest(group_id=FORUM, msg_seq_list=[MsgSeqItem(msg_seq=1)], topic_id=TOPIC),
        GroupMsgRecallReply(recall_ret_list=[RecallResult(msg_seq=1, ret_code=10031)]),
    ),
    "group_open_http_svc/delete_group_msg_by_sender": (
        DeleteGroupMsgBySenderRequest(group_id=NEWS, sender_account="u_owner"),
        DeleteGroupMsgBySenderReply(),
    ),
    "group_open_http_svc/delete_group_msg_by_sender.topic": (
        DeleteGroupMsgBySenderRequest(group_id=FORUM, sender_account="u_ann", topic_id=TOPIC),
        DeleteGroupMsgBySenderReply(),
    ),
}

HISTORY: Exchanges = {
    "group_open_http_svc/group_msg_get_simple": (
        GroupMsgGetSimpleRequest(group_id=NEWS, req_msg_number=2, req_msg_seq=2, with_recalled_msg=1),
        GroupMsgGetSimpleReply(
            group_id=NEWS,
            is_finished=1,
            rsp_msg_list=[
                HistoryMessage(
                    from_account="u_owner", is_place_msg=0, msg_priority=2, msg_random=904112233, msg_seq=2,
                    msg_time_stamp=1767225600, msg_body=[received("Autumn issue is out")],
                ),
                HistoryMessage(
                    from_account="u_owner", is_place_msg=2, msg_priority=2, msg_random=77, msg_seq=1,
                    msg_time_stamp=1767225000, msg_body=[],
                ),
            ],
        ),
    ),
    "group_open_http_svc/group_msg_get_simple.system": (
        GroupMsgGetSimpleRequest(group_id=FORUM, req_msg_number=20, topic_id=TOPIC),
        GroupMsgGetSimpleReply(
            group_id=FORUM,
            is_finished=0,
            rsp_msg_list=[
                HistoryMessage(
                    from_account="@TIM#SYSTEM", is_place_msg=0, is_system_msg=1, msg_priority=1, msg_random=1,
                    msg_seq=9, msg_time_stamp=1767225600, msg_body=[],
                ),
                HistoryMessage(
                    from_account="u_ann", is_place_msg=1, msg_priority=3, msg_random=2, msg_seq=8,
                    msg_time_stamp=1767225000, msg_body=[], cloud_custom_data='{"v":1}',
                ),
            ],
        ),
    ),
}  # fmt: skip

IMPORT: Exchanges = {
    "group_open_http_svc/import_group_msg": (
        ImportGroupMsgRequest(
            group_id="@TGS#_old_7",
            msg_list=[
                ImportedMessage(from_account="u_owner", send_time=1700000100, random=11, msg_body=[text("first post")]),
                ImportedMessage(
                    from_account="u_owner", send_time=1700000050, random=12, msg_body=[text("earlier than the first")]
                ),
            ],
        ),
        ImportGroupMsgReply(
            import_msg_result=[
                ImportMsgResult(msg_seq=1, msg_time=1700000100, result=0),
                ImportMsgResult(msg_seq=0, msg_time=1700000050, result=10004),
            ]
        ),
    ),
    "group_open_http_svc/import_group_msg.topic": (
        ImportGroupMsgRequest(
            group_id=FORUM,
            msg_list=[ImportedMessage(from_account="u_owner", send_time=1700000100, msg_body=[text("first post")])],
            recent_contact_flag=1,
            topic_id=TOPIC,
        ),
        ImportGroupMsgReply(
            import_msg_result=[
                ImportMsgResult(msg_seq=0, msg_time=0, result=80001),
                ImportMsgResult(msg_seq=0, msg_time=0, result=80002),
            ]
        ),
    ),
}

NOTICES_AND_PINS: Exchanges = {
    "group_open_http_svc/send_group_system_notification": (
        SendGroupSystemNotificationRequest(group_id=NEWS, content="reactions changed", to_members_account=["u_ann"]),
        SendGroupSystemNotificationReply(),
    ),
    "group_open_http_svc/send_group_system_notification.topic": (
        SendGroupSystemNotificationRequest(group_id=FORUM, content="hello", topic_id=TOPIC),
        SendGroupSystemNotificationReply(),
    ),
    "group_open_http_svc/pin_message": (
        PinMessageRequest(group_id=NEWS, msg_seq=1, pinner_account="u_owner"),
        PinMessageReply(),
    ),
    "group_open_http_svc/pin_message.already": (
        PinMessageRequest(group_id=NEWS, msg_seq=1),
        ApiError(10071, "already pinned"),
    ),
    "group_open_http_svc/pin_message.topic": (
        PinMessageRequest(group_id=FORUM, msg_seq=1, topic_id=TOPIC),
        ApiError(10070, "too many pinned messages"),
    ),
    "group_open_http_svc/unpin_message": (
        UnpinMessageRequest(group_id=NEWS, msg_seq=1, un_pinner_account="u_owner"),
        UnpinMessageReply(),
    ),
    "group_open_http_svc/unpin_message.topic": (
        UnpinMessageRequest(group_id=FORUM, msg_seq=1, topic_id=TOPIC),
        UnpinMessageReply(),
    ),
    "group_open_http_svc/get_pinned_messages": (
        GetPinnedMessagesRequest(group_id=NEWS),
        GetPinnedMessagesReply(pinned_msg_list=[PinnedMessage(msg_seq=1, pinner_account="u_owner")]),
    ),
    "group_open_http_svc/get_pinned_messages.topic": (
        GetPinnedMessagesRequest(group_id=FORUM, topic_id=TOPIC),
        GetPinnedMessagesReply(pinned_msg_list=[]),
    ),
}

EXCHANGES: Exchanges = {**CHANGE, **HISTORY, **IMPORT, **NOTICES_AND_PINS}
