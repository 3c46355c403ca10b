"""Webhooks of groups: `Group.*` [webhooks 5].

Topics, attributes, receipts and live groups are not for channels; they are here so that they are known when they come.
"""

from typing import ClassVar

from pydantic import Field

from channel_adapter.tencent.wire.callback_envelope import Callback, Seconds
from channel_adapter.tencent.wire.envelope import WireModel
from channel_adapter.tencent.wire.extensions import Extension
from channel_adapter.tencent.wire.messages import MsgSeqItem
from channel_adapter.tencent.wire.msg_body import Element

APPLIED, INVITED = "Apply", "Invited"  # JoinType [doc 34372]
KICKED, QUIT = "Kicked", "Quit"  # ExitType [doc 34373]


class MemberItem(WireModel):
    member_account: str = Field(alias="Member_Account")


class DefinedItem(WireModel):
    key: str = Field(alias="Key")
    value: str = Field("", alias="Value")


class GroupCallback(Callback):
    """About one group. `Type` has the server's names; a few commands leave it out."""

    group_id: str | None = Field(None, alias="GroupId")
    type: str | None = Field(None, alias="Type")
    operator_account: str | None = Field(None, alias="Operator_Account")


class BeforeCreateGroup(GroupCallback):
    """No `GroupId` and no custom fields: a channel cannot be recognised among Communities here."""  # [doc 34368]

    command: ClassVar[str] = "Group.CallbackBeforeCreateGroup"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")
    member_list: list[MemberItem] | None = Field(None, alias="MemberList")
    create_group_num: int | None = Field(None, alias="CreateGroupNum")
    created_group_num: dict[str, int] | None = Field(None, alias="CreatedGroupNum")
    invite_option: str | None = Field(None, alias="InviteOption")


class AfterCreateGroup(GroupCallback):
    """`UserDefinedDataList` only where the console allows it."""  # [doc 34369]

    command: ClassVar[str] = "Group.CallbackAfterCreateGroup"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")
    member_list: list[MemberItem] | None = Field(None, alias="MemberList")
    user_defined_data_list: list[DefinedItem] | None = Field(None, alias="UserDefinedDataList")


class BeforeApplyJoinGroup(GroupCallback):
    """A user asks to join."""  # [doc 34370]

    command: ClassVar[str] = "Group.CallbackBeforeApplyJoinGroup"
    requestor_account: str | None = Field(None, alias="Requestor_Account")


class BeforeInviteJoinGroup(GroupCallback):
    """A member, or the server, adds users; the answer may refuse some of them."""  # [doc 34371]

    command: ClassVar[str] = "Group.CallbackBeforeInviteJoinGroup"
    destination_members: list[MemberItem] | None = Field(None, alias="DestinationMembers")


class AfterNewMemberJoin(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterNewMemberJoin"
    join_type: str | None = Field(None, alias="JoinType")
    new_member_list: list[MemberItem] | None = Field(None, alias="NewMemberList")


class AfterMemberExit(GroupCallback):
    """For `Quit` the operator is the leaver."""  # [doc 34373]

    command: ClassVar[str] = "Group.CallbackAfterMemberExit"
    exit_type: str | None = Field(None, alias="ExitType")
    exit_member_list: list[MemberItem] | None = Field(None, alias="ExitMemberList")


class MessageCallback(GroupCallback):
    """A message of a group; the operator differs from the sender if an admin sends for another user."""  # [doc 34374]

    from_account: str | None = Field(None, alias="From_Account")
    random: int | None = Field(None, alias="Random")
    msg_id: str | None = Field(None, alias="MsgId")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    topic_id: str | None = Field(None, alias="TopicId")


class BeforeSendMsg(MessageCallback):
    command: ClassVar[str] = "Group.CallbackBeforeSendMsg"


class AtItem(WireModel):
    group_at_all_flag: int | None = Field(None, alias="GroupAtAllFlag")
    group_at_account: str | None = Field(None, alias="GroupAt_Account")


class AfterSendMsg(MessageCallback):
    """`MsgTime` in seconds; `GroupAtInfo` [java-sdk]."""  # [doc 34375]

    command: ClassVar[str] = "Group.CallbackAfterSendMsg"
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_time: Seconds = Field(None, alias="MsgTime")
    group_at_info: list[AtItem] | None = Field(None, alias="GroupAtInfo")


class SendMsgException(MessageCallback):
    """Why a message was not delivered: a code of the group service."""  # [doc 49462]

    command: ClassVar[str] = "Group.CallbackSendMsgException"
    error_code: int | None = Field(None, alias="ErrorCode")
    error_info: str | None = Field(None, alias="ErrorInfo")


class AfterRecallMsg(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterRecallMsg"
    msg_seq_list: list[MsgSeqItem] | None = Field(None, alias="MsgSeqList")
    topic_id: str | None = Field(None, alias="TopicId")


class AfterModifyMsg(GroupCallback):
    """A message was edited; the custom data of the edit is not included."""  # [doc CN 129193]

    command: ClassVar[str] = "Group.CallbackAfterModifyMsg"
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    topic_id: str | None = Field(None, alias="TopicId")


class AfterGroupFull(GroupCallback):
    """Comes when a join fills the group, and when one fails because it is full."""  # [doc 34376]

    command: ClassVar[str] = "Group.CallbackAfterGroupFull"


class AfterGroupDestroyed(GroupCallback):
    """`MemberList` never for a Community."""  # [doc 34377]

    command: ClassVar[str] = "Group.CallbackAfterGroupDestroyed"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")
    member_list: list[MemberItem] | None = Field(None, alias="MemberList")


class AfterGroupInfoChanged(GroupCallback):
    """Only what has changed of these four; custom fields do not come by default."""  # [doc 34378]

    command: ClassVar[str] = "Group.CallbackAfterGroupInfoChanged"
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")


class AfterMemberFieldChanged(GroupCallback):
    """Role or name card of one member. A sample of 2024 has `Member_Account`."""  # [doc 60393, CN 105353]

    command: ClassVar[str] = "Group.CallbackAfterMemberFieldChanged"
    modified_account: str | None = Field(None, alias="Modified_Account")
    member_account: str | None = Field(None, alias="Member_Account")
    role: str | None = Field(None, alias="Role")
    name_card: str | None = Field(None, alias="NameCard")

    def changed_account(self) -> str | None:
        """Return the member whose role or name card changed, from either field."""
        return self.modified_account or self.member_account


class AfterChangeGroupOwner(GroupCallback):
    command: ClassVar[str] = "Group.CallbackAfterChangeGroupOwner"
    old_owner_account: str | None = Field(None, alias="OldOwner_Account")
    new_owner_account: str | None = Field(None, alias="NewOwner_Account")


class AfterGroupMsgExtension(GroupCallback):
    """Changed pairs of one message, each with its version, without the user who changed them [doc 76007, CN 126476]."""

    command: ClassVar[str] = "Group.CallbackAfterGroupMsgExtension"
    msg_seq: int | None = Field(None, alias="MsgSeq")
    operate_type: int | None = Field(None, alias="OperateType")
    extension_list: list[Extension] | None = Field(None, alias="ExtensionList")
    seq: int | None = Field(None, alias="Seq")


GROUP_CALLBACKS: tuple[type[Callback], ...] = (
    BeforeCreateGroup, AfterCreateGroup, BeforeApplyJoinGroup, BeforeInviteJoinGroup, AfterNewMemberJoin,
    AfterMemberExit, BeforeSendMsg, AfterSendMsg, SendMsgException, AfterRecallMsg, AfterModifyMsg, AfterGroupFull,
    AfterGroupDestroyed, AfterGroupInfoChanged, AfterMemberFieldChanged, AfterChangeGroupOwner, AfterGroupMsgExtension,
)  # fmt: skip
