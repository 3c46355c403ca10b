"""Webhooks that are not about channels: alarms, presence, topics, receipts, attributes, live groups [webhooks 5, 8]."""

from typing import ClassVar

from pydantic import Field

from channel_adapter.tencent.wire.callback_envelope import Callback
from channel_adapter.tencent.wire.callbacks_group import DefinedItem, GroupCallback, MemberItem
from channel_adapter.tencent.wire.envelope import WireModel

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
    RequestOverLimit, StateChange, FollowAdd, FollowDelete, AfterReadReceipt,
    AfterGroupAttrChanged, OnMemberStateChange, OnDailyGroupQuotaAlarm, BeforeCreateTopic, AfterCreateTopic,
    AfterTopicDestroyed, AfterTopicInfoChanged,
)  # fmt: skip
