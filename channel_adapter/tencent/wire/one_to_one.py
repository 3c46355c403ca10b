"""One-to-one messages: `openim`, between two users or a user and an official account [second mode 9.2].

A message is named by its `MsgKey`, `{MsgSeq}_{MsgRandom}_{seconds}`. The numbers are the sender's; they may repeat.
"""

from typing import Any

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement

SYNC_TO_SENDER, RECEIVER_ONLY = 1, 2  # SyncOtherMachine [doc 34919]
IMPORT_COUNTED, IMPORT_HISTORY = 1, 2  # SyncFromOldSystem: counts as unread, or does not [doc 35014]
WITH_MUTE_NOTIFICATIONS = "WithMuteNotifications"  # SendMsgControl, beside NoUnread and NoLastMsg [doc 34919]
FLAG_NORMAL, FLAG_RECALLED = 0, 8  # MsgFlagBits [doc 35478]
ROAMING_COMPLETE, ROAMING_MORE = 1, 0  # Complete [doc 35478]


class SendmsgRequest(WireModel):
    """`MsgSeq`, `MsgRandom`, sender and content make a repeat within 120 s."""  # [doc 34919, CN 2282]

    sync_other_machine: int | None = Field(None, alias="SyncOtherMachine")
    from_account: str | None = Field(None, alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_life_time: int | None = Field(None, alias="MsgLifeTime")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_random: int = Field(alias="MsgRandom")
    msg_time_stamp: int | None = Field(None, alias="MsgTimeStamp")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    forbid_callback_control: list[str] | None = Field(None, alias="ForbidCallbackControl")
    send_msg_control: list[str] | None = Field(None, alias="SendMsgControl")
    msg_body: list[Element] = Field(alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    offline_push_info: dict[str, Any] | None = Field(None, alias="OfflinePushInfo")
    support_message_extension: int | None = Field(None, alias="SupportMessageExtension")
    is_need_read_receipt: int | None = Field(None, alias="IsNeedReadReceipt")


class SendmsgReply(Reply):
    msg_time: int | None = Field(None, alias="MsgTime")
    msg_key: str = Field("", alias="MsgKey")
    msg_id: str | None = Field(None, alias="MsgId")


class BatchsendmsgRequest(WireModel):
    """One message to up to 500 users, no webhooks; whether a repeat is recognised is undocumented."""  # [doc 34920]

    sync_other_machine: int | None = Field(None, alias="SyncOtherMachine")
    from_account: str | None = Field(None, alias="From_Account")
    to_account: list[str] = Field(alias="To_Account")
    msg_life_time: int | None = Field(None, alias="MsgLifeTime")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_random: int = Field(alias="MsgRandom")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    send_msg_control: list[str] | None = Field(None, alias="SendMsgControl")
    msg_body: list[Element] = Field(alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    offline_push_info: dict[str, Any] | None = Field(None, alias="OfflinePushInfo")
    support_message_extension: int | None = Field(None, alias="SupportMessageExtension")
    is_need_read_receipt: int | None = Field(None, alias="IsNeedReadReceipt")


class BatchError(WireModel):
    """A receiver that the message was not sent to."""

    to_account: str = Field(alias="To_Account")
    error_code: int = Field(alias="ErrorCode")


class BatchsendmsgReply(Reply):
    """The call succeeds while single receivers fail; all messages have one `MsgKey`."""  # [doc 34920]

    msg_key: str = Field("", alias="MsgKey")
    msg_id: str | None = Field(None, alias="MsgId")
    error_list: list[BatchError] | None = Field(None, alias="ErrorList")


class AdminGetroammsgRequest(WireModel):
    """Messages as `Operator_Account` sees them, the newest of a range of seconds first.

    The next page has the previous `LastMsgTime` as `MaxTime`, and its `LastMsgKey`.
    """  # [doc 35478]

    operator_account: str = Field(alias="Operator_Account")
    peer_account: str = Field(alias="Peer_Account")
    max_cnt: int = Field(alias="MaxCnt")
    min_time: int = Field(alias="MinTime")
    max_time: int = Field(alias="MaxTime")
    last_msg_key: str | None = Field(None, alias="LastMsgKey")


class RoamingMessage(WireModel):
    """A stored message; a recalled one has `MsgFlagBits` 8."""

    from_account: str = Field("", alias="From_Account")
    to_account: str = Field("", alias="To_Account")
    msg_seq: int = Field(0, alias="MsgSeq")
    msg_random: int = Field(0, alias="MsgRandom")
    msg_time_stamp: int = Field(0, alias="MsgTimeStamp")
    msg_flag_bits: int = Field(FLAG_NORMAL, alias="MsgFlagBits")
    is_peer_read: int | None = Field(None, alias="IsPeerRead")
    msg_key: str = Field(alias="MsgKey")
    msg_body: list[ReceivedElement] = Field(default_factory=list, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class AdminGetroammsgReply(Reply):
    """A page is in ascending order; `LastMsgTime` and `LastMsgKey` are those of its oldest message."""  # [doc 35478]

    complete: int = Field(alias="Complete")
    msg_cnt: int = Field(0, alias="MsgCnt")
    last_msg_time: int = Field(0, alias="LastMsgTime")
    last_msg_key: str = Field("", alias="LastMsgKey")
    msg_list: list[RoamingMessage] = Field(default_factory=list, alias="MsgList")


class AdminMsgwithdrawRequest(WireModel):
    """Sender and receiver of the message, in the direction in which it was sent; no time limit."""  # [doc 35015]

    from_account: str = Field(alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_key: str = Field(alias="MsgKey")


class AdminMsgwithdrawReply(Reply):
    pass


class ModifyC2cMsgRequest(WireModel):
    """What is not sent stays; the last write wins."""  # [doc 74740]

    from_account: str = Field(alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_key: str = Field(alias="MsgKey")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class ModifyC2cMsgReply(Reply):
    pass


class ImportmsgRequest(WireModel):
    """A message of the past. Equal `MsgSeq`, `MsgRandom` and `MsgTimeStamp` in one conversation make a repeat."""

    sync_from_old_system: int = Field(alias="SyncFromOldSystem")
    from_account: str = Field(alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_random: int = Field(alias="MsgRandom")
    msg_time_stamp: int = Field(alias="MsgTimeStamp")
    msg_body: list[Element] = Field(alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    sync_other_machine: int | None = Field(None, alias="SyncOtherMachine")  # sent by a public SDK [py-sdk 0.9.4]


class ImportmsgReply(Reply):
    pass


class DeleteC2cMsgRambleRequest(WireModel):
    """Hides messages from `Operator_Account`; its peer keeps them."""  # [php-sdk, js-sdk]

    operator_account: str = Field(alias="Operator_Account")
    peer_account: str = Field(alias="Peer_Account")
    msg_key_list: list[str] = Field(alias="MsgKeyList")


class DeleteC2cMsgRambleReply(Reply):
    pass
