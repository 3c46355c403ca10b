"""Groups: `group_open_http_svc` create, read, modify, dissolve, list, import [groups 5.1-5.6, 5.13, 5.16, 5.17]."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel, WireRow
from channel_adapter.tencent.wire.members import Member, NewMember, OwnRow, SelfInfo

COMMUNITY = "Community"  # wire names of group types [docS 1615]
PUBLIC = "Public"
PRIVATE = "Private"  # shown as Work
CHAT_ROOM = "ChatRoom"  # shown as Meeting
AV_CHAT_ROOM = "AVChatRoom"

FREE_ACCESS = "FreeAccess"  # ApplyJoinOption [docS 1615]
NEED_PERMISSION = "NeedPermission"
DISABLE_APPLY = "DisableApply"

ON = "On"  # MuteAllMember [docS 1620]
OFF = "Off"


class DefinedData(WireModel):
    """One custom field; the value `""` deletes it."""  # [docS 1620]

    key: str = Field(alias="Key")
    value: str = Field(alias="Value")


class GroupProfile(WireModel):
    """Base fields of a group, present as far as a filter asks for them."""  # [groups 3.1]

    type: str | None = Field(None, alias="Type")
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")
    owner_account: str | None = Field(None, alias="Owner_Account")
    create_time: int | None = Field(None, alias="CreateTime")
    info_seq: int | None = Field(None, alias="InfoSeq")
    last_info_time: int | None = Field(None, alias="LastInfoTime")
    last_msg_time: int | None = Field(None, alias="LastMsgTime")
    next_msg_seq: int | None = Field(None, alias="NextMsgSeq")
    member_num: int | None = Field(None, alias="MemberNum")
    max_member_num: int | None = Field(None, alias="MaxMemberNum")
    apply_join_option: str | None = Field(None, alias="ApplyJoinOption")
    invite_join_option: str | None = Field(None, alias="InviteJoinOption")
    mute_all_member: str | None = Field(None, alias="MuteAllMember")
    shut_up_all_member: str | None = Field(None, alias="ShutUpAllMember")
    support_topic: int | None = Field(None, alias="SupportTopic")
    enable_permission: int | None = Field(None, alias="EnablePermission")
    default_permission: int | None = Field(None, alias="DefaultPermission")
    app_defined_data: list[DefinedData] | None = Field(None, alias="AppDefinedData")


class CreateGroupRequest(WireModel):
    """`MuteAllMember` is no field here: create, then modify. Without `Owner_Account` there is no owner [docS 1615].

    `EnablePermission` and `DefaultPermission` are for Communities with topics [java-sdk].
    """

    type: str = Field(alias="Type")
    name: str = Field(alias="Name")
    owner_account: str | None = Field(None, alias="Owner_Account")
    group_id: str | None = Field(None, alias="GroupId")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")
    max_member_count: int | None = Field(None, alias="MaxMemberCount")
    apply_join_option: str | None = Field(None, alias="ApplyJoinOption")
    invite_join_option: str | None = Field(None, alias="InviteJoinOption")
    app_defined_data: list[DefinedData] | None = Field(None, alias="AppDefinedData")
    member_list: list[NewMember] | None = Field(None, alias="MemberList")
    support_topic: int | None = Field(None, alias="SupportTopic")
    enable_permission: int | None = Field(None, alias="EnablePermission")
    default_permission: int | None = Field(None, alias="DefaultPermission")


class CreateGroupReply(Reply):
    """`OverJoinedGroupLimit_Account`: initial members left out, being in too many groups [js-sdk].

    `HugeGroupFlag` belongs to AVChatRooms [java-sdk].
    """

    group_id: str = Field(alias="GroupId")
    type: str | None = Field(None, alias="Type")
    huge_group_flag: int | None = Field(None, alias="HugeGroupFlag")
    over_joined_group_limit_account: list[str] | None = Field(None, alias="OverJoinedGroupLimit_Account")


class GroupResponseFilter(WireModel):
    """With a filter only what it names is returned; without one everything."""  # [docS 1616]

    group_base_info_filter: list[str] | None = Field(None, alias="GroupBaseInfoFilter")
    member_info_filter: list[str] | None = Field(None, alias="MemberInfoFilter")
    app_defined_data_filter_group: list[str] | None = Field(None, alias="AppDefinedDataFilter_Group")
    app_defined_data_filter_group_member: list[str] | None = Field(None, alias="AppDefinedDataFilter_GroupMember")


class GetGroupInfoRequest(WireModel):
    group_id_list: list[str] = Field(alias="GroupIdList")
    response_filter: GroupResponseFilter | None = Field(None, alias="ResponseFilter")


class GroupInfo(GroupProfile):
    """One item; its own `ErrorCode` decides, the call's is always 0."""  # [docS 1616]

    group_id: str = Field(alias="GroupId")
    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")
    appid: int | None = Field(None, alias="Appid")
    member_list: list[Member] | None = Field(None, alias="MemberList")


class GetGroupInfoReply(Reply):
    group_info: list[GroupInfo] = Field(alias="GroupInfo")


@dataclass(slots=True)
class FieldRow(WireRow):
    """A DefinedData as a row."""

    key: Annotated[str, Field(alias="Key")]
    value: Annotated[str, Field(alias="Value")]


@dataclass(slots=True)
class GroupTag(WireRow):
    """An item of which only custom fields were requested; takes a fifth of the time of a GroupInfo."""

    group_id: Annotated[str, Field(alias="GroupId")]
    error_code: Annotated[int, Field(alias="ErrorCode")] = 0
    error_info: Annotated[str, Field(alias="ErrorInfo")] = ""
    app_defined_data: Annotated[list[FieldRow] | None, Field(alias="AppDefinedData")] = None


class GroupTagsReply(Reply):
    group_info: list[GroupTag] = Field(alias="GroupInfo")


class ModifyGroupBaseInfoRequest(WireModel):
    """Absent fields stay unchanged; custom fields are changed key by key [docS 1620; inferred].

    The last three are not for Communities without topics [java-sdk].
    """

    group_id: str = Field(alias="GroupId")
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")
    max_member_num: int | None = Field(None, alias="MaxMemberNum")
    apply_join_option: str | None = Field(None, alias="ApplyJoinOption")
    invite_join_option: str | None = Field(None, alias="InviteJoinOption")
    mute_all_member: str | None = Field(None, alias="MuteAllMember")
    shut_up_all_member: str | None = Field(None, alias="ShutUpAllMember")
    app_defined_data: list[DefinedData] | None = Field(None, alias="AppDefinedData")
    from_account: str | None = Field(None, alias="From_Account")
    enable_permission: int | None = Field(None, alias="EnablePermission")
    default_permission: int | None = Field(None, alias="DefaultPermission")
    history_msg_before_join: str | None = Field(None, alias="HistoryMsgBeforeJoin")


class ModifyGroupBaseInfoReply(Reply):
    pass


class DestroyGroupRequest(WireModel):
    group_id: str = Field(alias="GroupId")


class DestroyGroupReply(Reply):
    pass


class JoinedResponseFilter(WireModel):
    group_base_info_filter: list[str] | None = Field(None, alias="GroupBaseInfoFilter")
    self_info_filter: list[str] | None = Field(None, alias="SelfInfoFilter")


class GetJoinedGroupListRequest(WireModel):
    """`SupportTopic` needs `GroupType` Community. Public SDKs spell the type filter `Type` as well."""  # [groups 5.5]

    member_account: str = Field(alias="Member_Account")
    limit: int | None = Field(None, alias="Limit")
    offset: int | None = Field(None, alias="Offset")
    group_type: str | None = Field(None, alias="GroupType")
    type: str | None = Field(None, alias="Type")
    support_topic: int | None = Field(None, alias="SupportTopic")
    with_huge_groups: int | None = Field(None, alias="WithHugeGroups")
    with_no_active_groups: int | None = Field(None, alias="WithNoActiveGroups")
    response_filter: JoinedResponseFilter | None = Field(None, alias="ResponseFilter")


class JoinedGroup(GroupProfile):
    group_id: str = Field(alias="GroupId")
    self_info: SelfInfo | None = Field(None, alias="SelfInfo")


class GetJoinedGroupListReply(Reply):
    """`TotalCount` counts all matches, whatever the page."""  # [docS 1625]

    total_count: int = Field(alias="TotalCount")
    group_id_list: list[JoinedGroup] = Field(alias="GroupIdList")


@dataclass(slots=True)
class JoinedRow(WireRow):
    """The fields of a JoinedGroup that are requested; parsing a page of 200 takes half the time."""

    group_id: Annotated[str, Field(alias="GroupId")]
    name: Annotated[str | None, Field(alias="Name")] = None
    introduction: Annotated[str | None, Field(alias="Introduction")] = None
    notification: Annotated[str | None, Field(alias="Notification")] = None
    face_url: Annotated[str | None, Field(alias="FaceUrl")] = None
    owner_account: Annotated[str | None, Field(alias="Owner_Account")] = None
    create_time: Annotated[int | None, Field(alias="CreateTime")] = None
    last_msg_time: Annotated[int | None, Field(alias="LastMsgTime")] = None
    next_msg_seq: Annotated[int | None, Field(alias="NextMsgSeq")] = None
    member_num: Annotated[int | None, Field(alias="MemberNum")] = None
    max_member_num: Annotated[int | None, Field(alias="MaxMemberNum")] = None
    mute_all_member: Annotated[str | None, Field(alias="MuteAllMember")] = None
    shut_up_all_member: Annotated[str | None, Field(alias="ShutUpAllMember")] = None
    self_info: Annotated[OwnRow | None, Field(alias="SelfInfo")] = None


class JoinedRowsReply(Reply):
    total_count: int = Field(alias="TotalCount")
    group_id_list: list[JoinedRow] = Field(alias="GroupIdList")


class GetAppidGroupListRequest(WireModel):
    """`Next` is 0 first, then the returned value; 64 bits."""  # [docS 1614, java-sdk]

    limit: int | None = Field(None, alias="Limit")
    next: int | None = Field(None, alias="Next")
    group_type: str | None = Field(None, alias="GroupType")
    type: str | None = Field(None, alias="Type")


class GroupIdItem(WireModel):
    group_id: str = Field(alias="GroupId")


class GetAppidGroupListReply(Reply):
    total_count: int = Field(alias="TotalCount")
    group_id_list: list[GroupIdItem] = Field(alias="GroupIdList")
    next: int = Field(0, alias="Next")


class ChangeGroupOwnerRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    new_owner_account: str = Field(alias="NewOwner_Account")
    from_account: str | None = Field(None, alias="From_Account")


class ChangeGroupOwnerReply(Reply):
    pass


class SetUnreadMsgNumRequest(WireModel):
    """For migration; silent; cut to the group's message total."""  # [docS 1637]

    group_id: str = Field(alias="GroupId")
    member_account: str = Field(alias="Member_Account")
    unread_msg_num: int = Field(alias="UnreadMsgNum")


class SetUnreadMsgNumReply(Reply):
    pass


class ImportGroupRequest(WireModel):
    """As create, with a `CreateTime` (seconds); no webhooks, no notices."""  # [docS 1634]

    type: str = Field(alias="Type")
    name: str = Field(alias="Name")
    owner_account: str | None = Field(None, alias="Owner_Account")
    group_id: str | None = Field(None, alias="GroupId")
    introduction: str | None = Field(None, alias="Introduction")
    notification: str | None = Field(None, alias="Notification")
    face_url: str | None = Field(None, alias="FaceUrl")
    max_member_count: int | None = Field(None, alias="MaxMemberCount")
    apply_join_option: str | None = Field(None, alias="ApplyJoinOption")
    app_defined_data: list[DefinedData] | None = Field(None, alias="AppDefinedData")
    support_topic: int | None = Field(None, alias="SupportTopic")
    create_time: int | None = Field(None, alias="CreateTime")


class ImportGroupReply(Reply):
    group_id: str = Field(alias="GroupId")


class GetOnlineMemberNumRequest(WireModel):
    """In two services; the count of a Community is refreshed every 4 minutes."""  # [doc 66883]

    group_id: str = Field(alias="GroupId")


class GetOnlineMemberNumReply(Reply):
    online_member_num: int = Field(alias="OnlineMemberNum")
