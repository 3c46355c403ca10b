"""Members: add, delete, read, roles, mutes, import [groups 5.7-5.12, 5.14, 5.15, 5.19]."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel, WireRow

OWNER = "Owner"  # Role [docS 1502]
ADMIN = "Admin"
MEMBER = "Member"
NOT_MEMBER = "NotMember"  # get_role_in_group only [docS 1626]

ACCEPT_AND_NOTIFY = "AcceptAndNotify"  # MsgFlag [doc 48032]
ACCEPT_NOT_NOTIFY = "AcceptNotNotify"
ACCEPT_MENTIONS = "AcceptNotNotifyExceptAt"  # push only for mentions [doc 33529]
DISCARD = "Discard"

RESULT_FAILED = 0  # Result of add and import [docS 1621]
RESULT_ADDED = 1
RESULT_ALREADY = 2
RESULT_PENDING = 3
RESULT_TOO_MANY_GROUPS = 4  # [js-sdk]


class MemberDefinedData(WireModel):
    key: str = Field(alias="Key")
    value: str = Field(alias="Value")


class SelfInfo(WireModel):
    """A member's own data in the joined list; `MsgSeq` is the highest seq that was read."""  # [docS 1625]

    role: str | None = Field(None, alias="Role")
    join_time: int | None = Field(None, alias="JoinTime")
    msg_flag: str | None = Field(None, alias="MsgFlag")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    unread_msg_num: int | None = Field(None, alias="UnreadMsgNum")


@dataclass(slots=True)
class OwnRow(WireRow):
    """A SelfInfo as a row."""

    role: Annotated[str | None, Field(alias="Role")] = None
    join_time: Annotated[int | None, Field(alias="JoinTime")] = None
    msg_flag: Annotated[str | None, Field(alias="MsgFlag")] = None
    msg_seq: Annotated[int | None, Field(alias="MsgSeq")] = None
    unread_msg_num: Annotated[int | None, Field(alias="UnreadMsgNum")] = None


Own = SelfInfo | OwnRow


class Member(WireModel):
    """A member as far as a filter asks; `Member_Account` is always there."""  # [groups 3.2]

    member_account: str = Field(alias="Member_Account")
    role: str | None = Field(None, alias="Role")
    join_time: int | None = Field(None, alias="JoinTime")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_flag: str | None = Field(None, alias="MsgFlag")
    last_send_msg_time: int | None = Field(None, alias="LastSendMsgTime")
    name_card: str | None = Field(None, alias="NameCard")
    mute_until: int | None = Field(None, alias="MuteUntil")
    shut_up_until: int | None = Field(None, alias="ShutUpUntil")
    online_status: str | None = Field(None, alias="OnlineStatus")
    app_member_defined_data: list[MemberDefinedData] | None = Field(None, alias="AppMemberDefinedData")


class NewMember(WireModel):
    """An initial member of a new group; `Role` may be Admin only."""  # [docS 1615]

    member_account: str = Field(alias="Member_Account")
    role: str | None = Field(None, alias="Role")
    app_member_defined_data: list[MemberDefinedData] | None = Field(None, alias="AppMemberDefinedData")


class MemberAccount(WireModel):
    member_account: str = Field(alias="Member_Account")


class MemberResult(WireModel):
    member_account: str = Field(alias="Member_Account")
    result: int = Field(alias="Result")


class AddGroupMemberRequest(WireModel):
    """`Silence` 1: no member is notified."""  # [docS 1621]

    group_id: str = Field(alias="GroupId")
    member_list: list[MemberAccount] = Field(alias="MemberList")
    silence: int | None = Field(None, alias="Silence")


class AddGroupMemberReply(Reply):
    member_list: list[MemberResult] = Field(alias="MemberList")


class DeleteGroupMemberRequest(WireModel):
    """Accounts that are no members are ignored."""  # [doc 1622]

    group_id: str = Field(alias="GroupId")
    member_to_del_account: list[str] = Field(alias="MemberToDel_Account")
    silence: int | None = Field(None, alias="Silence")
    reason: str | None = Field(None, alias="Reason")


class DeleteGroupMemberReply(Reply):
    pass


class GetGroupMemberInfoRequest(WireModel):
    """Communities page by `Next`, first `""`, never by `Offset`."""  # [java-sdk, docS 1617]

    group_id: str = Field(alias="GroupId")
    limit: int | None = Field(None, alias="Limit")
    offset: int | None = Field(None, alias="Offset")
    next: str | int | None = Field(None, alias="Next")
    member_info_filter: list[str] | None = Field(None, alias="MemberInfoFilter")
    member_role_filter: list[str] | None = Field(None, alias="MemberRoleFilter")
    app_defined_data_filter_group_member: list[str] | None = Field(None, alias="AppDefinedDataFilter_GroupMember")


class GetGroupMemberInfoReply(Reply):
    """The end is an empty or zero `Next`, or an empty page."""  # [js-sdk]

    member_num: int = Field(alias="MemberNum")
    member_list: list[Member] = Field(alias="MemberList")
    next: str | int | None = Field(None, alias="Next")


class GetSpecifiedGroupMemberInfoRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    member_list_account: list[str] = Field(alias="Member_List_Account")
    member_info_filter: list[str] | None = Field(None, alias="MemberInfoFilter")
    member_role_filter: list[str] | None = Field(None, alias="MemberRoleFilter")
    app_defined_data_filter_group_member: list[str] | None = Field(None, alias="AppDefinedDataFilter_GroupMember")


class GetSpecifiedGroupMemberInfoReply(Reply):
    group_id: str | None = Field(None, alias="GroupId")
    member_list: list[Member] = Field(alias="MemberList")


class GetRoleInGroupRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    user_account: list[str] = Field(alias="User_Account")


class MemberRoleItem(WireModel):
    member_account: str = Field(alias="Member_Account")
    role: str = Field(alias="Role")


class GetRoleInGroupReply(Reply):
    user_id_list: list[MemberRoleItem] = Field(alias="UserIdList")


class ModifyGroupMemberInfoRequest(WireModel):
    """`MuteTime` (older: `ShutUpTime`) in seconds, 0 ends a mute [docS 1623]. `TopicId`: topics only."""  # [js-sdk]

    group_id: str = Field(alias="GroupId")
    member_account: str = Field(alias="Member_Account")
    role: str | None = Field(None, alias="Role")
    msg_flag: str | None = Field(None, alias="MsgFlag")
    name_card: str | None = Field(None, alias="NameCard")
    app_member_defined_data: list[MemberDefinedData] | None = Field(None, alias="AppMemberDefinedData")
    mute_time: int | None = Field(None, alias="MuteTime")
    shut_up_time: int | None = Field(None, alias="ShutUpTime")
    topic_id: str | None = Field(None, alias="TopicId")


class ModifyGroupMemberInfoReply(Reply):
    pass


class ForbidSendMsgRequest(WireModel):
    """`MuteTime` (older: `ShutUpTime`) in seconds: 0 ends the mute, 4294967295 for ever."""  # [docS 1627]

    group_id: str = Field(alias="GroupId")
    members_account: list[str] = Field(alias="Members_Account")
    mute_time: int | None = Field(None, alias="MuteTime")
    shut_up_time: int | None = Field(None, alias="ShutUpTime")
    topic_id: str | None = Field(None, alias="TopicId")


class ForbidSendMsgReply(Reply):
    pass


class MutedAccount(WireModel):
    member_account: str = Field(alias="Member_Account")
    muted_until: int | None = Field(None, alias="MutedUntil")
    shutted_until: int | None = Field(None, alias="ShuttedUntil")


class GetGroupMutedAccountRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    topic_id: str | None = Field(None, alias="TopicId")


class GetGroupMutedAccountReply(Reply):
    group_id: str | None = Field(None, alias="GroupId")
    muted_account_list: list[MutedAccount] = Field(alias="MutedAccountList")


class GetGroupShuttedUinRequest(GetGroupMutedAccountRequest):
    """The older name of the same command."""  # [docS 2925]


class GetGroupShuttedUinReply(Reply):
    group_id: str | None = Field(None, alias="GroupId")
    shutted_uin_list: list[MutedAccount] = Field(alias="ShuttedUinList")


class ImportedMember(WireModel):
    """`JoinTime` in seconds, after the group's creation and before now; `Role` may be Admin only."""  # [docS 1636]

    member_account: str = Field(alias="Member_Account")
    role: str | None = Field(None, alias="Role")
    join_time: int | None = Field(None, alias="JoinTime")
    unread_msg_num: int | None = Field(None, alias="UnreadMsgNum")


class ImportGroupMemberRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    member_list: list[ImportedMember] = Field(alias="MemberList")


class ImportGroupMemberReply(Reply):
    member_list: list[MemberResult] = Field(alias="MemberList")


class GetMembersRequest(WireModel):
    """`Timestamp` 0 asks for the first page; `Mark` selects members with that mark."""  # [doc 50293]

    group_id: str = Field(alias="GroupId")
    timestamp: int | None = Field(None, alias="Timestamp")
    mark: int | None = Field(None, alias="Mark")


class LiveMember(WireModel):
    member_account: str = Field(alias="Member_Account")
    join_time: int | None = Field(None, alias="JoinTime")
    nick_name: str | None = Field(None, alias="NickName")
    avatar: str | None = Field(None, alias="Avatar")


class GetMembersReply(Reply):
    """Online members; `NextTimestamp` 0 is the end, else the Timestamp of the next call."""  # [doc 50293]

    member_list: list[LiveMember] = Field(default_factory=list, alias="MemberList")
    next_timestamp: int = Field(0, alias="NextTimestamp")
