"""Webhooks of one-to-one messages: `C2C.*` [second mode 9.3]. Users and official accounts are senders and receivers."""

from typing import ClassVar

from pydantic import Field

from channel_adapter.tencent.wire.callback_envelope import Callback, Seconds
from channel_adapter.tencent.wire.envelope import WireModel
from channel_adapter.tencent.wire.extensions import Extension
from channel_adapter.tencent.wire.msg_body import Element

SENT_INFO = "send msg succeed"  # ErrorInfo of C2C.CallbackAfterSendMsg for a message that was sent [doc 34365]


class C2CMessageCallback(Callback):
    """A message of one user to another one; it is sent in the direction of `From_Account` to `To_Account`."""

    from_account: str | None = Field(None, alias="From_Account")
    to_account: str | None = Field(None, alias="To_Account")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_random: int | None = Field(None, alias="MsgRandom")
    msg_time: Seconds = Field(None, alias="MsgTime")
    msg_key: str | None = Field(None, alias="MsgKey")
    msg_id: str | None = Field(None, alias="MsgId")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class C2CBeforeSendMsg(C2CMessageCallback):
    """Not for batchsendmsg. Own codes are 120001 to 130000."""  # [doc 34364]

    command: ClassVar[str] = "C2C.CallbackBeforeSendMsg"


class C2CAfterSendMsg(C2CMessageCallback):
    """Comes for messages that could not be sent too: `SendMsgResult` is the code, 0 for a sent one.

    `UnreadMsgNum` is the number of all unread one-to-one messages of the receiver.
    """  # [doc 34365]

    command: ClassVar[str] = "C2C.CallbackAfterSendMsg"
    send_msg_result: int | None = Field(None, alias="SendMsgResult")
    error_info: str | None = Field(None, alias="ErrorInfo")
    unread_msg_num: int | None = Field(None, alias="UnreadMsgNum")


class AfterMsgReport(Callback):
    """A conversation was read up to `LastReadTime`; `UnreadMsgNum` is of all conversations of the reader."""  # [43465]

    command: ClassVar[str] = "C2C.CallbackAfterMsgReport"
    report_account: str | None = Field(None, alias="Report_Account")
    peer_account: str | None = Field(None, alias="Peer_Account")
    last_read_time: Seconds = Field(None, alias="LastReadTime")
    unread_msg_num: int | None = Field(None, alias="UnreadMsgNum")


class AfterC2CMsgWithDraw(Callback):
    """A message was recalled; `UnreadMsgNum` is of all conversations of its receiver."""  # [doc 43466]

    command: ClassVar[str] = "C2C.CallbackAfterMsgWithDraw"
    from_account: str | None = Field(None, alias="From_Account")
    to_account: str | None = Field(None, alias="To_Account")
    msg_key: str | None = Field(None, alias="MsgKey")
    unread_msg_num: int | None = Field(None, alias="UnreadMsgNum")


class AfterC2CMsgExtension(Callback):
    """Message extensions of one-to-one messages."""  # [doc 76006]

    command: ClassVar[str] = "C2C.CallbackAfterC2CMsgExtension"
    from_account: str | None = Field(None, alias="From_Account")
    to_account: str | None = Field(None, alias="To_Account")
    msg_key: str | None = Field(None, alias="MsgKey")
    operate_type: int | None = Field(None, alias="OperateType")
    extension_list: list[Extension] | None = Field(None, alias="ExtensionList")
    seq: int | None = Field(None, alias="Seq")


class GroupReadItem(WireModel):
    """How far a user has read in one group."""

    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")


class AfterMsgReadAll(Callback):
    """A client cleared all its unread counts, those of groups too."""  # [doc CN 128225]

    command: ClassVar[str] = "C2C.CallbackAfterMsgReadAll"
    report_account: str | None = Field(None, alias="Report_Account")
    group_read_info: list[GroupReadItem] | None = Field(None, alias="GroupReadInfo")


class C2CReceipt(WireModel):
    """A one-to-one message that was read."""

    from_account: str | None = Field(None, alias="From_Account")
    to_account: str | None = Field(None, alias="To_Account")
    msg_key: str | None = Field(None, alias="MsgKey")
    msg_id: str | None = Field(None, alias="MsgId")


class AfterMsgReadReceipt(Callback):
    """Read receipts of single one-to-one messages."""  # [doc CN 128223]

    command: ClassVar[str] = "C2C.CallbackAfterMsgReadReceipt"
    operator_account: str | None = Field(None, alias="Operator_Account")
    peer_account: str | None = Field(None, alias="Peer_Account")
    c2c_msg_info: list[C2CReceipt] | None = Field(None, alias="C2CMsgInfo")


class AfterModifyC2CMsg(Callback):
    """A one-to-one message was edited, by a client or with modify_c2c_msg."""  # [doc CN 128224]

    command: ClassVar[str] = "C2C.CallbackAfterModifyMsg"
    operator_account: str | None = Field(None, alias="Operator_Account")
    from_account: str | None = Field(None, alias="From_Account")
    to_account: str | None = Field(None, alias="To_Account")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_random: int | None = Field(None, alias="MsgRandom")
    msg_time: Seconds = Field(None, alias="MsgTime")
    msg_key: str | None = Field(None, alias="MsgKey")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


C2C_CALLBACKS: tuple[type[Callback], ...] = (
    C2CBeforeSendMsg, C2CAfterSendMsg, AfterMsgReport, AfterC2CMsgWithDraw, AfterC2CMsgExtension, AfterMsgReadAll,
    AfterMsgReadReceipt, AfterModifyC2CMsg,
)  # fmt: skip
