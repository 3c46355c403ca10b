"""Group messages: send, modify, recall, history, import and the rest of messages.md sections 2-7."""

from typing import Any

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, SentReply, WireModel
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement

PRIORITY_HIGH, PRIORITY_NORMAL, PRIORITY_LOW = "High", "Normal", "Low"  # [doc 34959]
PRIORITY_NUMBERS = {PRIORITY_HIGH: 1, PRIORITY_NORMAL: 2, PRIORITY_LOW: 3}  # in history [doc 34971]

FORBID_BEFORE = "ForbidBeforeSendMsgCallback"  # ForbidCallbackControl [doc 34959]
FORBID_AFTER = "ForbidAfterSendMsgCallback"
NO_UNREAD = "NoUnread"  # SendMsgControl [doc 34959]
NO_LAST_MSG = "NoLastMsg"

DROPPED_BY_FREQUENCY = "MsgFreqCtrl"  # MsgDropReason beside ErrorCode 0 [doc 34959]

PLACE_NORMAL, PLACE_GONE, PLACE_RECALLED = 0, 1, 2  # IsPlaceMsg [doc 34971]


class SendGroupMsgRequest(WireModel):
    """`Random` is the dedupe key for 300 s; `SupportMessageExtension` cannot be turned on later."""  # [doc 34959]

    group_id: str = Field(alias="GroupId")
    random: int = Field(alias="Random")
    msg_body: list[Element] = Field(alias="MsgBody")
    msg_priority: str | None = Field(None, alias="MsgPriority")
    from_account: str | None = Field(None, alias="From_Account")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    support_message_extension: int | None = Field(None, alias="SupportMessageExtension")
    offline_push_info: dict[str, Any] | None = Field(None, alias="OfflinePushInfo")
    forbid_callback_control: list[str] | None = Field(None, alias="ForbidCallbackControl")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    send_msg_control: list[str] | None = Field(None, alias="SendMsgControl")
    to_account: list[str] | None = Field(None, alias="To_Account")
    topic_id: str | None = Field(None, alias="TopicId")
    need_read_receipt: int | None = Field(None, alias="NeedReadReceipt")
    group_at_info: list[dict[str, Any]] | None = Field(None, alias="GroupAtInfo")


class SendGroupMsgReply(SentReply):
    msg_time: int | None = Field(None, alias="MsgTime")
    msg_seq: int | None = Field(None, alias="MsgSeq")


class ModifyGroupMsgRequest(WireModel):
    """In service `openim`. What is not sent stays; the last write wins."""  # [doc 47948]

    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    topic_id: str | None = Field(None, alias="TopicId")


class ModifyGroupMsgReply(Reply):
    pass


class MsgSeqItem(WireModel):
    msg_seq: int = Field(alias="MsgSeq")


class GroupMsgRecallRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    msg_seq_list: list[MsgSeqItem] = Field(alias="MsgSeqList")
    reason: str | None = Field(None, alias="Reason")
    topic_id: str | None = Field(None, alias="TopicId")


class RecallResult(WireModel):
    msg_seq: int = Field(alias="MsgSeq")
    ret_code: int = Field(alias="RetCode")


class GroupMsgRecallReply(Reply):
    recall_ret_list: list[RecallResult] = Field(alias="RecallRetList")


class GroupMsgGetSimpleRequest(WireModel):
    """Messages with `MsgSeq` at or below `ReqMsgSeq`, newest first; absent: the newest."""  # [doc 34971]

    group_id: str = Field(alias="GroupId")
    req_msg_number: int = Field(alias="ReqMsgNumber")
    req_msg_seq: int | None = Field(None, alias="ReqMsgSeq")
    with_recalled_msg: int | None = Field(None, alias="WithRecalledMsg")
    topic_id: str | None = Field(None, alias="TopicId")


class HistoryMessage(WireModel):
    from_account: str = Field("", alias="From_Account")
    is_place_msg: int = Field(0, alias="IsPlaceMsg")
    is_system_msg: int | None = Field(None, alias="IsSystemMsg")
    msg_body: list[ReceivedElement] = Field(default_factory=list, alias="MsgBody")
    msg_priority: int | None = Field(None, alias="MsgPriority")
    msg_random: int | None = Field(None, alias="MsgRandom")
    msg_seq: int = Field(alias="MsgSeq")
    msg_time_stamp: int = Field(0, alias="MsgTimeStamp")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class GroupMsgGetSimpleReply(Reply):
    """`IsFinished` refers to the requested page, not to the end of history."""  # [messages 5]

    group_id: str | None = Field(None, alias="GroupId")
    is_finished: int | None = Field(None, alias="IsFinished")
    rsp_msg_list: list[HistoryMessage] = Field(alias="RspMsgList")


class ImportedMessage(WireModel):
    """`SendTime` in seconds, ascending, after the group's creation and its latest message."""  # [doc 1635]

    from_account: str = Field(alias="From_Account")
    send_time: int = Field(alias="SendTime")
    random: int | None = Field(None, alias="Random")
    msg_body: list[Element] = Field(alias="MsgBody")


class ImportGroupMsgRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    msg_list: list[ImportedMessage] = Field(alias="MsgList")
    recent_contact_flag: int | None = Field(None, alias="RecentContactFlag")
    topic_id: str | None = Field(None, alias="TopicId")


class ImportMsgResult(WireModel):
    msg_seq: int = Field(0, alias="MsgSeq")
    msg_time: int = Field(0, alias="MsgTime")
    result: int = Field(alias="Result")


class ImportGroupMsgReply(Reply):
    import_msg_result: list[ImportMsgResult] = Field(alias="ImportMsgResult")


class DeleteGroupMsgBySenderRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    sender_account: str = Field(alias="Sender_Account")
    topic_id: str | None = Field(None, alias="TopicId")


class DeleteGroupMsgBySenderReply(Reply):
    pass


class SendGroupSystemNotificationRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    content: str = Field(alias="Content")
    to_members_account: list[str] | None = Field(None, alias="ToMembers_Account")
    topic_id: str | None = Field(None, alias="TopicId")


class SendGroupSystemNotificationReply(Reply):
    pass


class PinMessageRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    pinner_account: str | None = Field(None, alias="Pinner_Account")
    topic_id: str | None = Field(None, alias="TopicId")


class PinMessageReply(Reply):
    pass


class UnpinMessageRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    un_pinner_account: str | None = Field(None, alias="UnPinner_Account")
    topic_id: str | None = Field(None, alias="TopicId")


class UnpinMessageReply(Reply):
    pass


class GetPinnedMessagesRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    topic_id: str | None = Field(None, alias="TopicId")


class PinnedMessage(WireModel):
    msg_seq: int = Field(alias="MsgSeq")
    pinner_account: str = Field("", alias="Pinner_Account")


class GetPinnedMessagesReply(Reply):
    pinned_msg_list: list[PinnedMessage] = Field(alias="PinnedMsgList")
