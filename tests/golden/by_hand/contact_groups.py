"""Recent contacts and conversation groups."""

from channel_adapter.tencent.wire.contact_groups import (
    ContactEntry,
    ContactGroup,
    ContactGroupUpdate,
    ContactGroupUpdated,
    ContactItem,
    ContactResult,
    ContactUpdate,
    ContactUpdateResult,
    CreateContactGroupReply,
    CreateContactGroupRequest,
    CreatedContactGroup,
    DelContactGroupReply,
    DelContactGroupRequest,
    DeleteReply,
    DeleteRequest,
    GetContactGroupReply,
    GetContactGroupRequest,
    GetListReply,
    GetListRequest,
    MarkContactReply,
    MarkContactRequest,
    MarkItem,
    MarkResult,
    NewContactGroup,
    SearchContactGroupReply,
    SearchContactGroupRequest,
    SessionItem,
    UpdateContactGroupReply,
    UpdateContactGroupRequest,
)
from channel_adapter.tencent.wire.envelope import ApiError
from tests.golden.by_hand import Exchanges

NEWS = ContactItem(type=2, to_group_id="@TGS#_news_42")
GONE = ContactItem(type=2, to_group_id="@TGS#_gone")
SPORT = ContactItem(type=2, to_group_id="@TGS#_sport_7")
BEN = ContactItem(type=1, to_account="u_ben")
CHANNELS = ContactGroup(group_name="Channels", group_id=1)

GROUPS: Exchanges = {
    "recentcontact/create_contact_group": (
        CreateContactGroupRequest(
            from_account="u_ann",
            group_contact_item=[NewContactGroup(group_name="Channels", contact_item=[NEWS, GONE])],
        ),
        CreateContactGroupReply(
            error_display="",
            group_result_item=[
                CreatedContactGroup(
                    group_item=CHANNELS,
                    result_item=[
                        ContactResult(contact_item=NEWS, result_code=0, result_info=""),
                        ContactResult(contact_item=GONE, result_code=51007, result_info="group not found"),
                    ],
                )
            ],
        ),
    ),
    "recentcontact/create_contact_group.edition": (
        CreateContactGroupRequest(
            from_account="u_ann", group_contact_item=[NewContactGroup(group_name="Channels", contact_item=[NEWS])]
        ),
        ApiError(51013, "package not support"),
    ),
    "recentcontact/create_contact_group.name_too_long": (
        CreateContactGroupRequest(
            from_account="u_ann",
            group_contact_item=[NewContactGroup(group_name="频道频道频道频道频道频", contact_item=[NEWS])],
        ),
        ApiError(51011, "group name too long"),
    ),
    "recentcontact/create_contact_group.empty": (
        CreateContactGroupRequest(
            from_account="u_ann", group_contact_item=[NewContactGroup(group_name="Channels", contact_item=[])]
        ),
        ApiError(51006, "0 or over 100 conversations"),
    ),
    "recentcontact/create_contact_group.duplicate": (
        CreateContactGroupRequest(
            from_account="u_ann", group_contact_item=[NewContactGroup(group_name="Channels", contact_item=[NEWS])]
        ),
        ApiError(50002, "group exists"),
    ),
    "recentcontact/update_contact_group": (
        UpdateContactGroupRequest(
            from_account="u_ann",
            update_type=1,
            update_group=ContactGroupUpdate(
                update_group_type=2,
                old_group_name="Channels",
                contact_update_item=[
                    ContactUpdate(contact_opt_type=1, contact_item=BEN),
                    ContactUpdate(contact_opt_type=2, contact_item=NEWS),
                ],
            ),
        ),
        UpdateContactGroupReply(
            error_display="",
            update_type=1,
            update_group_result=ContactGroupUpdated(
                update_group_type=2,
                group_name="Channels",
                group_id=1,
                old_group_name="Channels",
                contact_result_item=[
                    ContactUpdateResult(contact_opt_type=1, contact_item=BEN, result_code=0, result_info=""),
                    ContactUpdateResult(contact_opt_type=2, contact_item=NEWS, result_code=0, result_info=""),
                ],
            ),
        ),
    ),
    "recentcontact/update_contact_group.mixed": (
        UpdateContactGroupRequest(
            from_account="u_ann",
            update_type=1,
            update_group=ContactGroupUpdate(
                update_group_type=2,
                old_group_name="Channels",
                contact_update_item=[
                    ContactUpdate(contact_opt_type=2, contact_item=NEWS),
                    ContactUpdate(contact_opt_type=1, contact_item=SPORT),
                    ContactUpdate(contact_opt_type=1, contact_item=GONE),
                ],
            ),
        ),
        UpdateContactGroupReply(
            error_display="",
            update_type=1,
            update_group_result=ContactGroupUpdated(
                update_group_type=2,
                group_name="Channels",
                group_id=1,
                old_group_name="Channels",
                contact_result_item=[
                    ContactUpdateResult(contact_opt_type=2, contact_item=NEWS, result_code=0, result_info=""),
                    ContactUpdateResult(contact_opt_type=1, contact_item=SPORT, result_code=0, result_info=""),
                    ContactUpdateResult(
                        contact_opt_type=1, contact_item=GONE, result_code=51007, result_info="group not found"
                    ),
                ],
            ),
        ),
    ),
    "recentcontact/update_contact_group.missing": (
        UpdateContactGroupRequest(
            from_account="u_ann",
            update_type=1,
            update_group=ContactGroupUpdate(
                update_group_type=2,
                old_group_name="Channels",
                contact_update_item=[ContactUpdate(contact_opt_type=1, contact_item=NEWS)],
            ),
        ),
        ApiError(51009, "group not exist"),
    ),
    "recentcontact/update_contact_group.rename": (
        UpdateContactGroupRequest(
            from_account="u_ann",
            update_type=1,
            update_group=ContactGroupUpdate(
                update_group_type=1, old_group_name="Channels", new_group_name="Updates 频道"
            ),
        ),
        UpdateContactGroupReply(
            error_display="",
            update_type=1,
            update_group_result=ContactGroupUpdated(
                update_group_type=1, group_name="Updates 频道", group_id=1, old_group_name="Channels"
            ),
        ),
    ),
    "recentcontact/del_contact_group": (
        DelContactGroupRequest(from_account="u_ann", group_name=["Channels"]),
        DelContactGroupReply(error_display="", group_item=[CHANNELS]),
    ),
    "recentcontact/del_contact_group.missing": (
        DelContactGroupRequest(from_account="u_ann", group_name=["Channels"]),
        ApiError(51009, "group not exist"),
    ),
}

MARKS_AND_READS: Exchanges = {
    "recentcontact/mark_contact": (
        MarkContactRequest(
            from_account="u_ann",
            mark_item=[MarkItem(opt_type=3, contact_item=NEWS, set_mark=[0, 3], clear_mark=[1], custom_mark="vip")],
        ),
        MarkContactReply(
            error_display="",
            result_item=[MarkResult(opt_type=3, contact_item=NEWS, result_code=0, result_info="")],
        ),
    ),
    "recentcontact/mark_contact.mixed": (
        MarkContactRequest(
            from_account="u_ann",
            mark_item=[
                MarkItem(opt_type=1, contact_item=NEWS, set_mark=[0], clear_mark=[2]),
                MarkItem(opt_type=2, contact_item=GONE, custom_mark="vip"),
            ],
        ),
        MarkContactReply(
            error_display="",
            result_item=[
                MarkResult(opt_type=1, contact_item=NEWS, result_code=0, result_info=""),
                MarkResult(opt_type=2, contact_item=GONE, result_code=51007, result_info="group not found"),
            ],
        ),
    ),
    "recentcontact/search_contact_group.mixed": (
        SearchContactGroupRequest(from_account="u_ann", contact_item=[NEWS, SPORT]),
        SearchContactGroupReply(
            error_display="",
            contact_result_item=[
                ContactEntry(type=2, to_group_id="@TGS#_news_42", contact_group_id=[1], timestamp=1760000000),
                ContactEntry(type=2, to_group_id="@TGS#_sport_7"),
            ],
            group_item=[CHANNELS],
        ),
    ),
    "recentcontact/get_contact_group.page": (
        GetContactGroupRequest(from_account="u_ann", start_index=100),
        GetContactGroupReply(
            error_display="",
            contact_item=[
                ContactEntry(type=2, to_group_id="@TGS#_news_42", contact_group_id=[1, 3], timestamp=1760000000)
            ],
            group_item=[CHANNELS, ContactGroup(group_name="Mine", group_id=3)],
            complete_flag=0,
            next_start_index=200,
        ),
    ),
    "recentcontact/search_contact_group": (
        SearchContactGroupRequest(from_account="u_ann", contact_item=[NEWS]),
        SearchContactGroupReply(
            error_display="",
            contact_result_item=[
                ContactEntry(type=2, to_group_id="@TGS#_news_42", contact_group_id=[1], timestamp=1760000000)
            ],
            group_item=[CHANNELS],
        ),
    ),
    "recentcontact/get_contact_group": (
        GetContactGroupRequest(from_account="u_ann", start_index=0),
        GetContactGroupReply(
            error_display="",
            contact_item=[
                ContactEntry(type=2, to_group_id="@TGS#_news_42", contact_group_id=[1], timestamp=1760000000),
                ContactEntry(type=1, to_account="u_ben", standard_mark="1001", custom_mark="vip", timestamp=1760000100),
            ],
            group_item=[CHANNELS],
            complete_flag=1,
            next_start_index=0,
        ),
    ),
}

RECENT: Exchanges = {
    "recentcontact/get_list": (
        GetListRequest(
            from_account="u_ann", time_stamp=0, start_index=0, top_time_stamp=0, top_start_index=0, assist_flags=63
        ),
        GetListReply(
            error_display="",
            session_item=[
                SessionItem(
                    type=1, to_account="u_ben", msg_time=1760000100, top_flag=1, standard_mark="1", custom_mark="vip"
                ),
                SessionItem(type=2, group_id="@TGS#_news_42", msg_time=1760000000, top_flag=0, contact_group_id=[1]),
            ],
            complete_flag=1,
            time_stamp=1760000000,
            start_index=2,
            top_time_stamp=1760000100,
            top_start_index=1,
        ),
    ),
    "recentcontact/get_list.none": (
        GetListRequest(
            from_account="u_ann", time_stamp=0, start_index=0, top_time_stamp=0, top_start_index=0, assist_flags=63
        ),
        GetListReply(error_display="", session_item=[], complete_flag=1),
    ),
    "recentcontact/get_list.unknown_account": (
        GetListRequest(
            from_account="u_ghost", time_stamp=0, start_index=0, top_time_stamp=0, top_start_index=0, assist_flags=63
        ),
        ApiError(50001, "account not exist"),
    ),
    "recentcontact/delete": (
        DeleteRequest(from_account="u_ann", type=2, to_groupid="@TGS#_news_42", clear_ramble=1),
        DeleteReply(error_display=""),
    ),
    "recentcontact/delete.one_to_one": (
        DeleteRequest(from_account="u_ann", type=1, to_account="u_ben"),
        DeleteReply(error_display=""),
    ),
}

EXCHANGES: Exchanges = {**GROUPS, **MARKS_AND_READS, **RECENT}
