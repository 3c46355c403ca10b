"""Read receipts of group messages: not for Communities [23; messages 6.3]."""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel
from channel_adapter.tencent.wire.messages import MsgSeqItem

FILTER_READ, FILTER_UNREAD = 0, 1  # Filter [doc 49438]


class GroupMsgReceiptRequest(WireModel):
    """Reports messages as read by `From_Account` [doc cn-107478]."""

    group_id: str = Field(alias="GroupId")
    from_account: str = Field(alias="From_Account")
    msg_seq_list: list[MsgSeqItem] = Field(alias="MsgSeqList")


class GroupMsgReceiptReply(Reply):
    pass


class GetGroupMsgReceiptRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    msg_seq_list: list[MsgSeqItem] = Field(alias="MsgSeqList")


class Receipt(WireModel):
    code: int = Field(alias="Code")
    msg_seq: int = Field(alias="MsgSeq")
    read_num: int | None = Field(None, alias="ReadNum")
    unread_num: int | None = Field(None, alias="UnreadNum")


class GetGroupMsgReceiptReply(Reply):
    group_msg_receipt_list: list[Receipt] = Field(alias="GroupMsgReceiptList")


class GetGroupMsgReceiptDetailRequest(WireModel):
    """`Cursor` is `""` first [doc 49438]."""

    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    filter: int = Field(alias="Filter")
    cursor: str = Field("", alias="Cursor")
    count: int = Field(alias="Count")


class Reader(WireModel):
    read_account: str = Field(alias="Read_Account")


class NonReader(WireModel):
    unread_account: str = Field(alias="Unread_Account")


class GetGroupMsgReceiptDetailReply(Reply):
    """`IsFinish` in the page's sample, `IsFinished` in its table [doc 49438]."""

    is_finish: int | None = Field(None, alias="IsFinish")
    is_finished: int | None = Field(None, alias="IsFinished")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    read_list: list[Reader] | None = Field(None, alias="ReadList")
    unread_list: list[NonReader] | None = Field(None, alias="UnreadList")
    cursor: str | None = Field(None, alias="Cursor")
