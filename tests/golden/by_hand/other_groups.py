"""Counters, attributes and online members of groups: disputed or refused for a Community."""

from channel_adapter.tencent.wire.envelope import ApiError
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
from channel_adapter.tencent.wire.members import GetMembersReply, GetMembersRequest, LiveMember
from channel_adapter.tencent.wire.msg_body import Element
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
PUBLIC = "@TGS#aJRGC4MH6"
LIVE = "@TGS#a2"
REFUSED = ApiError(10007, "not for this group type")
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
        ApiError(10063, "too many counters"),
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

ONLINE_MEMBERS: Exchanges = {
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
}

EXCHANGES: Exchanges = {**COUNTERS, **ATTRIBUTES, **ONLINE_MEMBERS}
