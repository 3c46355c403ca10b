"""Commands for other group types and for topics, refused for a Community without topics."""

from channel_adapter.tencent.wire.envelope import Refused
from channel_adapter.tencent.wire.group_data import (
    Attribute,
    ClearGroupAttrReply,
    ClearGroupAttrRequest,
    Counter,
    DeleteGroupAttrReply,
    DeleteGroupAttrRequest,
    DeleteGroupCounterReply,
    DeleteGroupCounterRequest,
    GetGroupAttrReply,
    GetGroupAttrRequest,
    GetGroupCounterReply,
    GetGroupCounterRequest,
    ModifyGroupAttrReply,
    ModifyGroupAttrRequest,
    SetGroupAttrReply,
    SetGroupAttrRequest,
    UpdateGroupCounterReply,
    UpdateGroupCounterRequest,
)
from channel_adapter.tencent.wire.live_groups import (
    BanGroupMemberReply,
    BanGroupMemberRequest,
    BannedAccount,
    CheckMembersReply,
    CheckMembersRequest,
    GetAdminListReply,
    GetAdminListRequest,
    GetGroupBanMemberReply,
    GetGroupBanMemberRequest,
    GetMembersReply,
    GetMembersRequest,
    LiveAdmin,
    LiveMember,
    ModifyAdminReply,
    ModifyAdminRequest,
    ModifyUserInfoRequest,
    SendBroadcastMsgReply,
    SendBroadcastMsgRequest,
    UnbanGroupMemberReply,
    UnbanGroupMemberRequest,
)
from channel_adapter.tencent.wire.messages import MsgSeqItem
from channel_adapter.tencent.wire.msg_body import Element
from channel_adapter.tencent.wire.receipts import (
    GetGroupMsgReceiptDetailReply,
    GetGroupMsgReceiptDetailRequest,
    GetGroupMsgReceiptReply,
    GetGroupMsgReceiptRequest,
    GroupMsgReceiptReply,
    GroupMsgReceiptRequest,
    NonReader,
    Reader,
    Receipt,
)
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
PUBLIC = "@TGS#aJRGC4MH6"
LIVE = "@TGS#a2"
REFUSED = Refused(10007, "not for this group type")
OPEN = Attribute(key="room", value="open")
SHUT = Attribute(key="room", value="shut")
TO_ALL = Element(msg_type="TIMTextElem", msg_content={"Text": "to all"})

COUNTERS: Exchanges = {
    "group_open_http_svc/get_group_counter": (
        GetGroupCounterRequest(group_id=PUBLIC, group_counter_keys=["likes"]),
        GetGroupCounterReply(group_counter=[Counter(key="likes", value=42)]),
    ),
    "group_open_http_svc/get_group_counter.refused": (GetGroupCounterRequest(group_id=NEWS), REFUSED),
    "group_open_http_svc/update_group_counter": (
        UpdateGroupCounterRequest(group_id=PUBLIC, group_counter=[Counter(key="likes", value=2)], mode="Increase"),
        UpdateGroupCounterReply(group_counter=[Counter(key="likes", value=44)]),
    ),
    "group_open_http_svc/update_group_counter.set": (
        UpdateGroupCounterRequest(group_id=PUBLIC, group_counter=[Counter(key="k21", value=1)], mode="Set"),
        Refused(10063, "too many counters"),
    ),
    "group_open_http_svc/update_group_counter.refused": (
        UpdateGroupCounterRequest(group_id=NEWS, group_counter=[Counter(key="likes", value=1)], mode="Decrease"),
        REFUSED,
    ),
    "group_open_http_svc/delete_group_counter": (
        DeleteGroupCounterRequest(group_id=PUBLIC, group_counter_keys=["likes"]),
        DeleteGroupCounterReply(),
    ),
    "group_open_http_svc/delete_group_counter.refused": (DeleteGroupCounterRequest(group_id=NEWS), REFUSED),
}

ATTRIBUTES: Exchanges = {
    "group_open_attr_http_svc/get_group_attr": (
        GetGroupAttrRequest(group_id=PUBLIC),
        GetGroupAttrReply(group_attr_ary=[OPEN]),
    ),
    "group_open_attr_http_svc/get_group_attr.refused": (GetGroupAttrRequest(group_id=NEWS), REFUSED),
    "group_open_http_svc/set_group_attr": (
        SetGroupAttrRequest(group_id=PUBLIC, group_attr=[OPEN]),
        SetGroupAttrReply(),
    ),
    "group_open_http_svc/set_group_attr.refused": (SetGroupAttrRequest(group_id=NEWS, group_attr=[OPEN]), REFUSED),
    "group_open_http_svc/modify_group_attr": (
        ModifyGroupAttrRequest(group_id=PUBLIC, group_attr=[SHUT]),
        ModifyGroupAttrReply(),
    ),
    "group_open_http_svc/modify_group_attr.refused": (
        ModifyGroupAttrRequest(group_id=NEWS, group_attr=[SHUT]),
        REFUSED,
    ),
    "group_open_http_svc/delete_group_attr": (
        DeleteGroupAttrRequest(group_id=PUBLIC, group_attr=[Attribute(key="room")]),
        DeleteGroupAttrReply(),
    ),
    "group_open_http_svc/delete_group_attr.refused": (
        DeleteGroupAttrRequest(group_id=NEWS, group_attr=[Attribute(key="room")]),
        REFUSED,
    ),
    "group_open_http_svc/clear_group_attr": (ClearGroupAttrRequest(group_id=PUBLIC), ClearGroupAttrReply()),
    "group_open_http_svc/clear_group_attr.refused": (ClearGroupAttrRequest(group_id=NEWS), REFUSED),
}

RECEIPTS: Exchanges = {
    "group_open_http_svc/group_msg_receipt": (
        GroupMsgReceiptRequest(group_id=PUBLIC, from_account="u_ann", msg_seq_list=[MsgSeqItem(msg_seq=1)]),
        GroupMsgReceiptReply(),
    ),
    "group_open_http_svc/group_msg_receipt.refused": (
        GroupMsgReceiptRequest(group_id=NEWS, from_account="u_owner", msg_seq_list=[MsgSeqItem(msg_seq=1)]),
        REFUSED,
    ),
    "group_open_http_svc/get_group_msg_receipt": (
        GetGroupMsgReceiptRequest(group_id=PUBLIC, msg_seq_list=[MsgSeqItem(msg_seq=1), MsgSeqItem(msg_seq=2)]),
        GetGroupMsgReceiptReply(
            group_msg_receipt_list=[
                Receipt(code=0, msg_seq=1, read_num=3, unread_num=4),
                Receipt(code=10062, msg_seq=2),
            ]
        ),
    ),
    "group_open_http_svc/get_group_msg_receipt.refused": (
        GetGroupMsgReceiptRequest(group_id=NEWS, msg_seq_list=[MsgSeqItem(msg_seq=1)]),
        REFUSED,
    ),
    "group_open_http_svc/get_group_msg_receipt_detail": (
        GetGroupMsgReceiptDetailRequest(group_id=PUBLIC, msg_seq=1, filter=0, cursor="", count=100),
        GetGroupMsgReceiptDetailReply(is_finish=1, msg_seq=1, read_list=[Reader(read_account="u_ann")], cursor="ab12"),
    ),
    "group_open_http_svc/get_group_msg_receipt_detail.unread": (
        GetGroupMsgReceiptDetailRequest(group_id=PUBLIC, msg_seq=1, filter=1, cursor="ab12", count=100),
        GetGroupMsgReceiptDetailReply(
            is_finished=1, msg_seq=1, unread_list=[NonReader(unread_account="u_ben")], cursor=""
        ),
    ),
    "group_open_http_svc/get_group_msg_receipt_detail.refused": (
        GetGroupMsgReceiptDetailRequest(group_id=NEWS, msg_seq=1, filter=0, cursor="", count=100),
        REFUSED,
    ),
}

LIVE_GROUPS: Exchanges = {
    "group_open_http_svc/ban_group_member": (
        BanGroupMemberRequest(group_id=LIVE, members_account=["u_ann"], duration=60, description="spam"),
        BanGroupMemberReply(),
    ),
    "group_open_http_svc/ban_group_member.refused": (
        BanGroupMemberRequest(group_id=NEWS, members_account=["u_ann"], duration=60),
        REFUSED,
    ),
    "group_open_http_svc/unban_group_member": (
        UnbanGroupMemberRequest(group_id=LIVE, members_account=["u_ann"]),
        UnbanGroupMemberReply(),
    ),
    "group_open_http_svc/unban_group_member.refused": (
        UnbanGroupMemberRequest(group_id=NEWS, members_account=["u_ann"]),
        REFUSED,
    ),
    "group_open_http_svc/get_group_ban_member": (
        GetGroupBanMemberRequest(group_id=LIVE, limit=100, offset=0),
        GetGroupBanMemberReply(
            banned_account_list=[BannedAccount(member_account="u_ann", banned_until=1750000060)], next_offset=0
        ),
    ),
    "group_open_http_svc/get_group_ban_member.refused": (
        GetGroupBanMemberRequest(group_id=NEWS, limit=100, offset=0),
        REFUSED,
    ),
    "group_open_http_svc/send_broadcast_msg": (
        SendBroadcastMsgRequest(from_account="u_owner", random=14, msg_body=[TO_ALL], cloud_custom_data="{}"),
        SendBroadcastMsgReply(msg_seq=1),
    ),
    "group_open_http_svc/send_broadcast_msg.refused": (SendBroadcastMsgRequest(random=14, msg_body=[TO_ALL]), REFUSED),
    "group_open_avchatroom_http_svc/modify_admin": (
        ModifyAdminRequest(group_id=LIVE, command_type=1, admin_account=["u_ann"]),
        ModifyAdminReply(),
    ),
    "group_open_avchatroom_http_svc/modify_admin.refused": (
        ModifyAdminRequest(group_id=NEWS, command_type=2, admin_account=["u_ann"]),
        REFUSED,
    ),
    "group_open_avchatroom_http_svc/get_admin_list": (
        GetAdminListRequest(group_id=LIVE),
        GetAdminListReply(
            admin_list=[LiveAdmin(admin_account="u_ann", nick_name="Ann", avatar="https://static.example.org/a.png")]
        ),
    ),
    "group_open_avchatroom_http_svc/get_admin_list.refused": (GetAdminListRequest(group_id=NEWS), REFUSED),
    "group_open_avchatroom_http_svc/check_members": (
        CheckMembersRequest(group_id=LIVE, member_account=["u_ann", "u_ben"]),
        CheckMembersReply(member_account=["u_ann"]),
    ),
    "group_open_avchatroom_http_svc/check_members.refused": (
        CheckMembersRequest(group_id=NEWS, member_account=["u_ann"]),
        REFUSED,
    ),
    "group_open_avchatroom_http_svc/get_members": (
        GetMembersRequest(group_id="@TGS#a2", timestamp=0, mark=1000),
        GetMembersReply(
            member_list=[
                LiveMember(
                    member_account="u_ann",
                    join_time=1736000000,
                    nick_name="Ann 安",
                    avatar="https://static.example.org/a.png",
                )
            ],
            next_timestamp=0,
        ),
    ),
    "group_open_avchatroom_http_svc/get_members.empty": (
        GetMembersRequest(group_id=NEWS, timestamp=0),
        GetMembersReply(member_list=[], next_timestamp=0),
    ),
    "group_open_avchatroom_http_svc/get_members.refused": (GetMembersRequest(group_id="town", timestamp=0), REFUSED),
    "group_open_avchatroom_http_svc/modify_user_info.refused": (ModifyUserInfoRequest(group_id=NEWS), REFUSED),
}

EXCHANGES: Exchanges = {**COUNTERS, **ATTRIBUTES, **RECEIPTS, **LIVE_GROUPS}
