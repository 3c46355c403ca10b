"""Groups."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.groups import (
    ChangeGroupOwnerReply,
    ChangeGroupOwnerRequest,
    CreateGroupReply,
    CreateGroupRequest,
    DefinedData,
    DestroyGroupReply,
    DestroyGroupRequest,
    GetAppidGroupListReply,
    GetAppidGroupListRequest,
    GetGroupInfoReply,
    GetGroupInfoRequest,
    GetJoinedGroupListReply,
    GetJoinedGroupListRequest,
    GetOnlineMemberNumReply,
    GetOnlineMemberNumRequest,
    GroupIdItem,
    GroupInfo,
    GroupResponseFilter,
    ImportGroupReply,
    ImportGroupRequest,
    JoinedGroup,
    JoinedResponseFilter,
    ModifyGroupBaseInfoReply,
    ModifyGroupBaseInfoRequest,
    SetUnreadMsgNumReply,
    SetUnreadMsgNumRequest,
)
from channel_adapter.tencent.wire.members import Member, MemberDefinedData, NewMember, SelfInfo
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
TAG = DefinedData(key="ch_tag", value="official")

CREATE: Exchanges = {
    "group_open_http_svc/create_group": (
        CreateGroupRequest(
            type="Community",
            name="City News 港口",
            owner_account="u_owner",
            group_id=NEWS,
            introduction="What happens in town",
            notification="Tide tables every Sunday",
            face_url="https://static.example.org/h.png",
            max_member_count=50000,
            apply_join_option="FreeAccess",
            app_defined_data=[TAG],
            member_list=[NewMember(member_account="u_ann", role="Admin"), NewMember(member_account="u_ben")],
            support_topic=0,
        ),
        CreateGroupReply(group_id=NEWS),
    ),
    "group_open_http_svc/create_group.topic": (
        CreateGroupRequest(
            type="Community",
            name="Forum",
            invite_join_option="DisableInvite",
            member_list=[
                NewMember(member_account="u_ann", app_member_defined_data=[MemberDefinedData(key="lvl", value="3")])
            ],
            support_topic=1,
            enable_permission=1,
            default_permission=64,
        ),
        CreateGroupReply(
            group_id="@TGS#_@TGS#cXXXXXXXXXXXX",
            type="Community",
            huge_group_flag=0,
            over_joined_group_limit_account=["u_ann"],
        ),
    ),
    "group_open_http_svc/create_group.taken": (
        CreateGroupRequest(type="Community", name="Another", owner_account="u_ann", group_id=NEWS, support_topic=0),
        ApiError(10021, "group id has been used"),
    ),
    "group_open_http_svc/create_group.own": (
        CreateGroupRequest(type="Community", name="City News", owner_account="u_owner", group_id=NEWS, support_topic=0),
        ApiError(10025, "group id has been used by yourself"),
    ),
    "group_open_http_svc/create_group.undeclared_key": (
        CreateGroupRequest(
            type="Community",
            name="City News",
            group_id=NEWS,
            app_defined_data=[DefinedData(key="no_such_key", value="x")],
            support_topic=0,
        ),
        ApiError(10004, "undeclared key no_such_key"),
    ),
    "group_open_http_svc/import_group": (
        ImportGroupRequest(
            type="Community",
            name="Old Channel",
            owner_account="u_owner",
            group_id="@TGS#_old_7",
            introduction="Since 2023",
            notification="",
            face_url="https://static.example.org/o.png",
            max_member_count=2000,
            apply_join_option="FreeAccess",
            app_defined_data=[TAG],
            support_topic=0,
            create_time=1700000000,
        ),
        ImportGroupReply(group_id="@TGS#_old_7"),
    ),
}

INFO: Exchanges = {
    "group_open_http_svc/get_group_info": (
        GetGroupInfoRequest(
            group_id_list=[NEWS, "@TGS#_gone"],
            response_filter=GroupResponseFilter(
                group_base_info_filter=[
                    "Type", "Name", "Introduction", "Notification", "FaceUrl", "Owner_Account", "CreateTime", "InfoSeq",
                    "LastInfoTime", "LastMsgTime", "NextMsgSeq", "MemberNum", "MaxMemberNum", "ApplyJoinOption",
                    "MuteAllMember",
                ],
                app_defined_data_filter_group=["ch_tag"],
            ),
        ),
        GetGroupInfoReply(
            group_info=[
                GroupInfo(
                    group_id=NEWS, error_code=0, error_info="", type="Community", name="City News", introduction="",
                    notification="", face_url="", owner_account="u_owner", create_time=1750000000, info_seq=1,
                    last_info_time=1750000000, last_msg_time=0, next_msg_seq=1, member_num=1, max_member_num=100000,
                    apply_join_option="FreeAccess", mute_all_member="Off", app_defined_data=[TAG],
                ),
                GroupInfo(group_id="@TGS#_gone", error_code=10010, error_info="group not exist"),
            ]
        ),
    ),
    "group_open_http_svc/get_group_info.older": (
        GetGroupInfoRequest(
            group_id_list=[NEWS],
            response_filter=GroupResponseFilter(group_base_info_filter=["Name", "ShutUpAllMember"]),
        ),
        GetGroupInfoReply(group_info=[GroupInfo(group_id=NEWS, name="City News", shut_up_all_member="On")]),
    ),
    "group_open_http_svc/get_group_info.members": (
        GetGroupInfoRequest(
            group_id_list=["@TGS#_forum"],
            response_filter=GroupResponseFilter(
                group_base_info_filter=["Type", "InviteJoinOption"],
                member_info_filter=["Member_Account", "Role"],
                app_defined_data_filter_group=["ch_tag"],
                app_defined_data_filter_group_member=["lvl"],
            ),
        ),
        GetGroupInfoReply(
            group_info=[
                GroupInfo(
                    group_id="@TGS#_forum",
                    appid=1400000001,
                    type="Public",
                    invite_join_option="NeedPermission",
                    support_topic=1,
                    enable_permission=1,
                    default_permission=64,
                    app_defined_data=[],
                    member_list=[
                        Member(
                            member_account="u_owner",
                            role="Owner",
                            app_member_defined_data=[MemberDefinedData(key="lvl", value="9")],
                        ),
                        Member(member_account="u_ann", role="Member"),
                    ],
                )
            ]
        ),
    ),
    "group_open_http_svc/get_online_member_num": (
        GetOnlineMemberNumRequest(group_id="regatta"),
        GetOnlineMemberNumReply(online_member_num=0),
    ),
    "group_open_http_svc/get_online_member_num.refused": (
        GetOnlineMemberNumRequest(group_id=NEWS),
        ApiError(10007, "not for this group type"),
    ),
    "million_group_open_http_svc/get_online_member_num.refused": (
        GetOnlineMemberNumRequest(group_id="regatta"),
        ApiError(10007, "not for this group type"),
    ),
    "million_group_open_http_svc/get_online_member_num": (
        GetOnlineMemberNumRequest(group_id=NEWS),
        GetOnlineMemberNumReply(online_member_num=0),
    ),
}  # fmt: skip

CHANGE: Exchanges = {
    "group_open_http_svc/modify_group_base_info": (
        ModifyGroupBaseInfoRequest(
            group_id=NEWS,
            name="City News Daily",
            introduction="Daily",
            notification="",
            face_url="https://static.example.org/h2.png",
            max_member_num=60000,
            apply_join_option="DisableApply",
            invite_join_option="FreeAccess",
            mute_all_member="On",
            app_defined_data=[DefinedData(key="ch_org", value="Harbour Press")],
            from_account="u_owner",
        ),
        ModifyGroupBaseInfoReply(),
    ),
    "group_open_http_svc/modify_group_base_info.older": (
        ModifyGroupBaseInfoRequest(group_id=NEWS, shut_up_all_member="Off"),
        ModifyGroupBaseInfoReply(),
    ),
    "group_open_http_svc/modify_group_base_info.topic": (
        ModifyGroupBaseInfoRequest(
            group_id="@TGS#_forum", enable_permission=1, default_permission=64, history_msg_before_join="On"
        ),
        ModifyGroupBaseInfoReply(),
    ),
    "group_open_http_svc/modify_group_base_info.gone": (
        ModifyGroupBaseInfoRequest(group_id="@TGS#_gone", mute_all_member="On"),
        ApiError(10010, "group not exist"),
    ),
    "group_open_http_svc/destroy_group": (DestroyGroupRequest(group_id=NEWS), DestroyGroupReply()),
    "group_open_http_svc/destroy_group.gone": (DestroyGroupRequest(group_id=NEWS), ApiError(10010, "group not exist")),
    "group_open_http_svc/destroy_group.bad_id": (
        DestroyGroupRequest(group_id="@TGS#_0123456789012345678901234567890123456789012345"),
        ApiError(10015, "the group id is malformed"),
    ),
    "group_open_http_svc/change_group_owner": (
        ChangeGroupOwnerRequest(group_id=NEWS, new_owner_account="u_ann", from_account="u_owner"),
        ChangeGroupOwnerReply(),
    ),
    "group_open_http_svc/set_unread_msg_num": (
        SetUnreadMsgNumRequest(group_id=NEWS, member_account="u_ann", unread_msg_num=3),
        SetUnreadMsgNumReply(),
    ),
}

LISTS: Exchanges = {
    "group_open_http_svc/get_joined_group_list": (
        GetJoinedGroupListRequest(
            member_account="u_ann",
            limit=200,
            offset=0,
            group_type="Community",
            support_topic=0,
            response_filter=JoinedResponseFilter(
                group_base_info_filter=["Type", "Name", "NextMsgSeq"],
                self_info_filter=["Role", "JoinTime", "MsgFlag", "MsgSeq"],
            ),
        ),
        GetJoinedGroupListReply(
            total_count=1,
            group_id_list=[
                JoinedGroup(
                    group_id=NEWS,
                    type="Community",
                    name="City News",
                    next_msg_seq=1,
                    self_info=SelfInfo(role="Member", join_time=1750000000, msg_flag="AcceptAndNotify", msg_seq=0),
                )
            ],
        ),
    ),
    "group_open_http_svc/get_joined_group_list.untyped": (
        GetJoinedGroupListRequest(member_account="u_ann", with_huge_groups=1, with_no_active_groups=1),
        GetJoinedGroupListReply(total_count=1, group_id_list=[JoinedGroup(group_id=NEWS)]),
    ),
    "group_open_http_svc/get_joined_group_list.none": (
        GetJoinedGroupListRequest(member_account="u_ben", limit=200, offset=0, group_type="Community", support_topic=0),
        GetJoinedGroupListReply(total_count=0, group_id_list=[]),
    ),
    "group_open_http_svc/get_joined_group_list.private": (
        GetJoinedGroupListRequest(member_account="u_ann", group_type="Private"),
        GetJoinedGroupListReply(total_count=0, group_id_list=[]),
    ),
    "group_open_http_svc/get_joined_group_list.meeting": (
        GetJoinedGroupListRequest(member_account="u_ann", group_type="ChatRoom"),
        GetJoinedGroupListReply(total_count=0, group_id_list=[]),
    ),
    "group_open_http_svc/get_joined_group_list.live": (
        GetJoinedGroupListRequest(member_account="u_ann", group_type="AVChatRoom", with_huge_groups=1),
        GetJoinedGroupListReply(total_count=0, group_id_list=[]),
    ),
    "group_open_http_svc/get_joined_group_list.sdk": (
        GetJoinedGroupListRequest(
            member_account="u_ann",
            type="Community",
            response_filter=JoinedResponseFilter(self_info_filter=["UnreadMsgNum"]),
        ),
        GetJoinedGroupListReply(
            total_count=1, group_id_list=[JoinedGroup(group_id=NEWS, self_info=SelfInfo(unread_msg_num=5))]
        ),
    ),
    "group_open_http_svc/get_appid_group_list": (
        GetAppidGroupListRequest(limit=1000, next=0, group_type="Community"),
        GetAppidGroupListReply(total_count=1, group_id_list=[GroupIdItem(group_id=NEWS)], next=0),
    ),
    "group_open_http_svc/get_appid_group_list.sdk": (
        GetAppidGroupListRequest(limit=1, next=4454685361, type="Community"),
        GetAppidGroupListReply(total_count=2, group_id_list=[GroupIdItem(group_id=NEWS)], next=9223372036854775807),
    ),
}

EXCHANGES: Exchanges = {**CREATE, **INFO, **CHANGE, **LISTS}
