"""Members."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.members import (
    AddGroupMemberReply,
    AddGroupMemberRequest,
    DeleteGroupMemberReply,
    DeleteGroupMemberRequest,
    ForbidSendMsgReply,
    ForbidSendMsgRequest,
    GetGroupMemberInfoReply,
    GetGroupMemberInfoRequest,
    GetGroupMutedAccountReply,
    GetGroupMutedAccountRequest,
    GetGroupShuttedUinReply,
    GetGroupShuttedUinRequest,
    GetRoleInGroupReply,
    GetRoleInGroupRequest,
    GetSpecifiedGroupMemberInfoReply,
    GetSpecifiedGroupMemberInfoRequest,
    ImportedMember,
    ImportGroupMemberReply,
    ImportGroupMemberRequest,
    Member,
    MemberAccount,
    MemberDefinedData,
    MemberResult,
    MemberRoleItem,
    ModifyGroupMemberInfoReply,
    ModifyGroupMemberInfoRequest,
    MutedAccount,
)
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
TOPIC = "@TGS#_forum@TOPIC#_a"

ADD: Exchanges = {
    "group_open_http_svc/add_group_member": (
        AddGroupMemberRequest(
            group_id=NEWS,
            member_list=[MemberAccount(member_account="u_ann"), MemberAccount(member_account="u_ben")],
            silence=1,
        ),
        AddGroupMemberReply(
            member_list=[MemberResult(member_account="u_ann", result=1), MemberResult(member_account="u_ben", result=2)]
        ),
    ),
    "group_open_http_svc/add_group_member.mixed": (
        AddGroupMemberRequest(
            group_id=NEWS,
            member_list=[
                MemberAccount(member_account="u_0"),
                MemberAccount(member_account="u_1"),
                MemberAccount(member_account="u_2"),
                MemberAccount(member_account="u_3"),
                MemberAccount(member_account="u_4"),
            ],
        ),
        AddGroupMemberReply(
            member_list=[
                MemberResult(member_account="u_0", result=0),
                MemberResult(member_account="u_1", result=1),
                MemberResult(member_account="u_2", result=2),
                MemberResult(member_account="u_3", result=3),
                MemberResult(member_account="u_4", result=4),
            ]
        ),
    ),
    "group_open_http_svc/add_group_member.unknown_account": (
        AddGroupMemberRequest(
            group_id=NEWS, member_list=[MemberAccount(member_account="u_ann"), MemberAccount(member_account="u_ghost")]
        ),
        ApiError(10019, "check every Member_Account"),
    ),
    "group_open_http_svc/add_group_member.too_many": (
        AddGroupMemberRequest(
            group_id=NEWS, member_list=[MemberAccount(member_account=f"u_{number:02}") for number in range(1, 22)]
        ),
        ApiError(10005, "too many accounts"),
    ),
    "group_open_http_svc/add_group_member.full": (
        AddGroupMemberRequest(group_id="@TGS#_small", member_list=[MemberAccount(member_account="u_ann")]),
        ApiError(10014, "the group is full"),
    ),
    "group_open_http_svc/delete_group_member": (
        DeleteGroupMemberRequest(
            group_id=NEWS, member_to_del_account=["u_ann", "u_ben"], silence=1, reason="moved away"
        ),
        DeleteGroupMemberReply(),
    ),
    "group_open_http_svc/import_group_member": (
        ImportGroupMemberRequest(
            group_id="@TGS#_old_7",
            member_list=[
                ImportedMember(member_account="u_ann", role="Admin", join_time=1700000050, unread_msg_num=1),
                ImportedMember(member_account="u_ben", join_time=1600000000),
            ],
        ),
        ImportGroupMemberReply(
            member_list=[MemberResult(member_account="u_ann", result=1), MemberResult(member_account="u_ben", result=0)]
        ),
    ),
}

READ: Exchanges = {
    "group_open_http_svc/get_group_member_info": (
        GetGroupMemberInfoRequest(
            group_id=NEWS,
            limit=100,
            next="",
            member_info_filter=[
                "Role", "JoinTime", "MsgSeq", "MsgFlag", "LastSendMsgTime", "NameCard", "MuteUntil",
            ],
            member_role_filter=["Member"],
        ),
        GetGroupMemberInfoReply(
            member_num=2,
            member_list=[
                Member(
                    member_account="u_ann", role="Member", join_time=1750000000, msg_seq=0, msg_flag="AcceptAndNotify",
                    last_send_msg_time=0, name_card="", mute_until=0,
                )
            ],
            next="",
        ),
    ),
    "group_open_http_svc/get_group_member_info.page": (
        GetGroupMemberInfoRequest(group_id=NEWS, limit=1, next="", member_info_filter=["Role"]),
        GetGroupMemberInfoReply(
            member_num=2, member_list=[Member(member_account="u_owner", role="Owner")], next="b7f0c2"
        ),
    ),
    "group_open_http_svc/get_group_member_info.numeric_next": (
        GetGroupMemberInfoRequest(
            group_id=NEWS,
            next=0,
            member_info_filter=["OnlineStatus", "ShutUpUntil"],
            app_defined_data_filter_group_member=["lvl"],
        ),
        GetGroupMemberInfoReply(
            member_num=1,
            member_list=[
                Member(
                    member_account="u_owner", shut_up_until=0, online_status="Online",
                    app_member_defined_data=[MemberDefinedData(key="lvl", value="9")],
                )
            ],
            next=0,
        ),
    ),
    "group_open_http_svc/get_group_member_info.offset": (
        GetGroupMemberInfoRequest(group_id=NEWS, limit=100, offset=100),
        ApiError(10004, "Offset is not for Communities"),
    ),
    "group_open_http_svc/get_specified_group_member_info": (
        GetSpecifiedGroupMemberInfoRequest(
            group_id=NEWS,
            member_list_account=["u_ann", "u_ben"],
            member_info_filter=["Role", "JoinTime", "MsgSeq"],
            member_role_filter=["Owner", "Admin", "Member"],
        ),
        GetSpecifiedGroupMemberInfoReply(
            group_id=NEWS, member_list=[Member(member_account="u_ann", role="Member", join_time=1750000000, msg_seq=0)]
        ),
    ),
    "group_open_http_svc/get_role_in_group": (
        GetRoleInGroupRequest(group_id=NEWS, user_account=["u_owner", "u_ann", "u_ben"]),
        GetRoleInGroupReply(
            user_id_list=[
                MemberRoleItem(member_account="u_owner", role="Owner"),
                MemberRoleItem(member_account="u_ann", role="Member"),
                MemberRoleItem(member_account="u_ben", role="NotMember"),
            ]
        ),
    ),
}  # fmt: skip

CHANGE: Exchanges = {
    "group_open_http_svc/modify_group_member_info": (
        ModifyGroupMemberInfoRequest(
            group_id=NEWS,
            member_account="u_ann",
            role="Admin",
            msg_flag="AcceptNotNotify",
            name_card="Ann 安",
            mute_time=0,
        ),
        ModifyGroupMemberInfoReply(),
    ),
    "group_open_http_svc/modify_group_member_info.older": (
        ModifyGroupMemberInfoRequest(
            group_id=NEWS,
            member_account="u_ann",
            msg_flag="Discard",
            app_member_defined_data=[MemberDefinedData(key="lvl", value="3")],
            shut_up_time=60,
            topic_id=TOPIC,
        ),
        ModifyGroupMemberInfoReply(),
    ),
    "group_open_http_svc/forbid_send_msg": (
        ForbidSendMsgRequest(group_id=NEWS, members_account=["u_ann"], mute_time=4294967295),
        ForbidSendMsgReply(),
    ),
    "group_open_http_svc/forbid_send_msg.older": (
        ForbidSendMsgRequest(group_id=NEWS, members_account=["u_ann"], shut_up_time=60),
        ForbidSendMsgReply(),
    ),
    "group_open_http_svc/forbid_send_msg.topic": (
        ForbidSendMsgRequest(group_id="@TGS#_forum", members_account=["u_ann"], mute_time=60, topic_id=TOPIC),
        ForbidSendMsgReply(),
    ),
    "group_open_http_svc/get_group_muted_account": (
        GetGroupMutedAccountRequest(group_id=NEWS),
        GetGroupMutedAccountReply(
            group_id=NEWS, muted_account_list=[MutedAccount(member_account="u_ann", muted_until=1750000600)]
        ),
    ),
    "group_open_http_svc/get_group_shutted_uin": (
        GetGroupShuttedUinRequest(group_id=NEWS),
        GetGroupShuttedUinReply(
            group_id=NEWS, shutted_uin_list=[MutedAccount(member_account="u_ann", shutted_until=1750000600)]
        ),
    ),
}

EXCHANGES: Exchanges = {**ADD, **READ, **CHANGE}
