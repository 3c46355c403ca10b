"""Commands of live groups (AVChatRoom): bans, admins, online members, broadcast [groups 6]."""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel
from channel_adapter.tencent.wire.msg_body import Element

ADMIN_SET, ADMIN_UNSET = 1, 2  # CommandType of modify_admin [doc 60525]


class BanGroupMemberRequest(WireModel):
    """`Duration` in seconds [java-sdk]."""

    group_id: str = Field(alias="GroupId")
    members_account: list[str] = Field(alias="Members_Account")
    duration: int | None = Field(None, alias="Duration")
    description: str | None = Field(None, alias="Description")


class BanGroupMemberReply(Reply):
    pass


class UnbanGroupMemberRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    members_account: list[str] = Field(alias="Members_Account")


class UnbanGroupMemberReply(Reply):
    pass


class GetGroupBanMemberRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    limit: int | None = Field(None, alias="Limit")
    offset: int | None = Field(None, alias="Offset")


class BannedAccount(WireModel):
    member_account: str = Field(alias="Member_Account")
    banned_until: int = Field(alias="BannedUntil")


class GetGroupBanMemberReply(Reply):
    """`NextOffset` 0 is the end [java-sdk]."""

    banned_account_list: list[BannedAccount] = Field(alias="BannedAccountList")
    next_offset: int = Field(0, alias="NextOffset")


class ModifyAdminRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    command_type: int = Field(alias="CommandType")
    admin_account: list[str] = Field(alias="Admin_Account")


class ModifyAdminReply(Reply):
    pass


class GetAdminListRequest(WireModel):
    group_id: str = Field(alias="GroupId")


class LiveAdmin(WireModel):
    admin_account: str = Field(alias="Admin_Account")
    nick_name: str | None = Field(None, alias="NickName")
    avatar: str | None = Field(None, alias="Avatar")


class GetAdminListReply(Reply):
    admin_list: list[LiveAdmin] = Field(alias="Admin_List")


class CheckMembersRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    member_account: list[str] = Field(alias="Member_Account")


class CheckMembersReply(Reply):
    """Those of the accounts that are present [doc 60523]."""

    member_account: list[str] = Field(default_factory=list, alias="Member_Account")


class GetMembersRequest(WireModel):
    """`Timestamp` 0 asks for the first page; `Mark` selects members with that mark [doc 50293]."""

    group_id: str = Field(alias="GroupId")
    timestamp: int | None = Field(None, alias="Timestamp")
    mark: int | None = Field(None, alias="Mark")


class LiveMember(WireModel):
    member_account: str = Field(alias="Member_Account")
    join_time: int | None = Field(None, alias="JoinTime")
    nick_name: str | None = Field(None, alias="NickName")
    avatar: str | None = Field(None, alias="Avatar")


class GetMembersReply(Reply):
    """Online members; `NextTimestamp` 0 is the end, else the Timestamp of the next call [doc 50293]."""

    member_list: list[LiveMember] = Field(default_factory=list, alias="MemberList")
    next_timestamp: int = Field(0, alias="NextTimestamp")


class ModifyUserInfoRequest(WireModel):
    """Marks of members; nothing but the group was established of its fields."""

    group_id: str = Field(alias="GroupId")


class ModifyUserInfoReply(Reply):
    pass


class SendBroadcastMsgRequest(WireModel):
    """To all live groups of the app, 1 call/s [doc 49440]."""

    from_account: str | None = Field(None, alias="From_Account")
    random: int = Field(alias="Random")
    msg_body: list[Element] = Field(alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class SendBroadcastMsgReply(Reply):
    msg_seq: int | None = Field(None, alias="MsgSeq")
