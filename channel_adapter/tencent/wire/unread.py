"""Unread counts and read positions of one-to-one conversations: `openim`.

Groups have no such call [conversations 2.3, 2.4].
"""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel


class GetC2cUnreadMsgNumRequest(WireModel):
    """Without peers the total is answered."""  # [doc 41046]

    to_account: str = Field(alias="To_Account")
    peer_account: list[str] | None = Field(None, alias="Peer_Account")


class PeerUnread(WireModel):
    peer_account: str = Field(alias="Peer_Account")
    c2c_unread_msg_num: int = Field(alias="C2CUnreadMsgNum")


class PeerError(WireModel):
    peer_account: str = Field(alias="Peer_Account")
    error_code: int = Field(alias="ErrorCode")


class GetC2cUnreadMsgNumReply(Reply):
    all_c2c_unread_msg_num: int | None = Field(None, alias="AllC2CUnreadMsgNum")
    c2c_unread_msg_num_list: list[PeerUnread] | None = Field(None, alias="C2CUnreadMsgNumList")
    error_list: list[PeerError] | None = Field(None, alias="ErrorList")


class AdminSetMsgReadRequest(WireModel):
    """`Report_Account` is the reader; `MsgReadTime` in seconds, absent: now."""  # [java-sdk]

    report_account: str = Field(alias="Report_Account")
    peer_account: str = Field(alias="Peer_Account")
    msg_read_time: int | None = Field(None, alias="MsgReadTime")


class AdminSetMsgReadReply(Reply):
    pass
