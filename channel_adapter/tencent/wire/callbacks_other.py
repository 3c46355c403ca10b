"""Webhooks that are not about channels: alarms, presence, topics, receipts, attributes, live groups [webhooks 5, 8]."""

from typing import ClassVar

from pydantic import Field

from channel_adapter.tencent.wire.callback_envelope import Callback, Seconds
from channel_adapter.tencent.wire.callbacks_group import DefinedItem, GroupCallback, MemberItem
from channel_adapter.tencent.wire.envelope import WireModel
from channel_adapter.tencent.wire.extensions import Extension
from channel_adapter.tencent.wire.msg_body import Element

IOS_IN_CAPITALS = "IOS"  # OptPlatform of State.StateChange alone [doc 34357]


class RequestOverLimit(Callback):
    """Over 80 % of a command's rate; calls a second, as seen and as allowed. URL without ClientIP."""  # [doc 60256]

    command: ClassVar[str] = "Alert.RequestOverLimit"
    service_name: str | None = Field(None, alias="ServiceName")
    command_name: str | None = Field(None, alias="Command")
    request: int | None = Field(None, alias="Request")
    limit: int | None = Field(None, alias="Limit")


class StateInfo(WireModel):
    action: str | None = Field(None, alias="Action")
    to_account: str | None = Field(None, alias="To_Account")
    reason: str | None = Field(None, alias="Reason")


class KickedItem(WireModel):
    platform: str | None = Field(None, alias="Platform")


class StateChange(Callback):
    """Login, Logout or Disconnect, and why."""  # [doc 34357]

    command: ClassVar[str] = "State.StateChange"
    info: StateInfo | None = Field(None, alias="Info")
    kicked_device: list[KickedItem] | None = Field(None, alias="KickedDevice")


class FollowAdd(Callback):
    """Users who follow users, which is not what official accounts are; other members are not known."""  # [doc 70355]

    command: ClassVar[str] = "Follow.CallbackAfterFollowAdd"


class FollowDelete(Callback):
    """Other members are not known."""  # [doc 70356]

    command: ClassVar[str] = "Follow.CallbackAfterFollowDelete"


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


class GroupReceipt(WireModel):
    msg_seq: int = Field(alias="MsgSeq")
    read_num: int | None = Field(None, alias="ReadNum")
    unread_num: int | None = Field(None, alias="UnreadNum")
    read_receipt_members: list[MemberItem] | None = Field(None, alias="ReadReceiptMembers")


class AfterReadReceipt(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterReadReceipt"
    group_msg_receipt_list: list[GroupReceipt] | None = Field(None, alias="GroupMsgReceiptList")


class AttributeItem(WireModel):
    """Lower-case names, here alone."""  # [doc 60394]

    key: str
    value: str = ""


class AfterGroupAttrChanged(GroupCallback):
    """`OptionType`: set, modify, clear, delete."""  # [doc 60394]

    command: ClassVar[str] = "Group.CallbackAfterGroupAttrChanged"
    option_type: str | None = Field(None, alias="OptionType")
    group_attr: list[AttributeItem] | None = Field(None, alias="GroupAttr")


class OnMemberStateChange(GroupCallback):
    """Live groups: members that went Offline or Online."""  # [doc 48734]

    command: ClassVar[str] = "Group.CallbackOnMemberStateChange"
    event_type: str | None = Field(None, alias="EventType")
    member_list: list[MemberItem] | None = Field(None, alias="MemberList")


class OnDailyGroupQuotaAlarm(Callback):
    command: ClassVar[str] = "Group.CallbackOnDailyGroupQuotaAlarm"
    quota_used: int | None = Field(None, alias="QuotaUsed")
    quota: int | None = Field(None, alias="Quota")


class BeforeCreateTopic(GroupCallback):
    """The page's sample has neither `GroupId` nor `EventTime`."""  # [doc 49463]

    command: ClassVar[str] = "Group.CallbackBeforeCreateTopic"
    name: str | None = Field(None, alias="Name")


class AfterCreateTopic(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterCreateTopic"
    topic_id: str | None = Field(None, alias="TopicId")
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")
    user_defined_data_list: list[DefinedItem] | None = Field(None, alias="UserDefinedDataList")


class AfterTopicDestroyed(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterTopicDestroyed"
    topic_id_list: list[str] | None = Field(None, alias="TopicIdList")


class AfterTopicInfoChanged(GroupCallback):
    """The page's sample does not include the topic."""  # [doc 49466]

    command: ClassVar[str] = "Group.CallbackAfterTopicInfoChanged"
    topic_id: str | None = Field(None, alias="TopicId")
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")


OTHER_CALLBACKS: tuple[type[Callback], ...] = (
    RequestOverLimit, StateChange, FollowAdd, FollowDelete, AfterC2CMsgExtension, AfterMsgReadAll,
    AfterMsgReadReceipt, AfterModifyC2CMsg, AfterReadReceipt,
    AfterGroupAttrChanged, OnMemberStateChange, OnDailyGroupQuotaAlarm, BeforeCreateTopic, AfterCreateTopic,
    AfterTopicDestroyed, AfterTopicInfoChanged,
)  # fmt: skip
