"""Where the sources contradict each other or are silent: one switch a point, its default the project's decision."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """One table of the settings file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Behaviour(Section):
    """Each description is the reason; the brackets name the source or `inferred`."""

    # Groups
    profile_limits: Literal["current", "legacy"] = Field(
        default="current",
        description="legacy: Name 30, Introduction 240, Notification 300, FaceUrl 100 bytes [doc 34381]",
    )
    default_apply_join_option: Literal["FreeAccess", "NeedPermission", "DisableApply"] = Field(
        default="NeedPermission", description="ApplyJoinOption when create_group has none [docS 1615]"
    )
    community_in_untyped_list: bool = Field(
        default=True,
        description="a list without GroupType holds Communities; off is how the web client behaves [docS 1625, js-sdk]",
    )
    joined_list_app_defined_data: bool = Field(
        default=False, description="get_joined_group_list honours NeedAppDefineData; unknown for REST [js-sdk]"
    )
    joined_list_unread: bool = Field(
        default=False, description="SelfInfoFilter honours UnreadMsgNum; documented in 2019 only [doc19 1625]"
    )
    unknown_account: Literal["refuse_call", "per_member"] = Field(
        default="refuse_call",
        description="add_group_member with an unknown account: 10019, or Result 0 for it [docS 1621]",
    )
    auto_import: bool = Field(
        default=False, description="a client that logs in is imported by that; common product behaviour [inferred]"
    )
    counters_on_community: bool = Field(
        default=False,
        description="group counters work on Communities; the REST pages say no, one overview yes [doc 53428, 53432]",
    )
    attributes_on_community: bool = Field(
        default=False, description="group attributes are not refused with 10007; sources disagree [doc 44187, java-sdk]"
    )
    create_event_fields: bool = Field(
        default=False, description="the after-create webhook carries UserDefinedDataList; by ticket only [doc 34369]"
    )
    # Messages
    targeted_on_community: bool = Field(
        default=False,
        description="To_Account of a message works on Communities, as for clients since 8.7 [doc cn-76669; doc 34959]",
    )
    duplicate_key: Literal["sender_random", "content"] = Field(
        default="sender_random",
        description="what makes a repeat: sender and Random, or the content as well [doc 34381, doc 34959]",
    )
    duplicate_answer_code: int = Field(
        default=0,
        description="0 answers the first MsgSeq and MsgTime, any other code refuses the repeat; unknown [inferred]",
    )
    frequency: Literal["drop", "refuse"] = Field(
        default="drop",
        description="above messages_per_second: success with MsgDropReason, or 10023 [doc 34959, doc 34348]",
    )
    count_cloud_custom_data: bool = Field(
        default=True, description="CloudCustomData counts in message_bytes; unknown [inferred]"
    )
    history_cloud_custom_data: bool = Field(
        default=False, description="history returns CloudCustomData; no page lists it [doc 34971]"
    )
    recalled_body_empty: bool = Field(
        default=True, description="a recalled placeholder has no MsgBody; unknown [inferred]"
    )
    recall_twice_code: int = Field(
        default=0, description="RetCode of a second recall; 10030 is the other reading [inferred]"
    )
    modify_conflict: bool = Field(
        default=False, description="modify_group_msg answers 20028, as under concurrent modification [doc 34348]"
    )
    equal_send_time: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="an imported message as old as the latest one; the rule says later [doc 1635; inferred]",
    )
    imported_extensions: bool = Field(
        default=False, description="imported messages can carry extensions; no field says so [doc 34968; inferred]"
    )
    import_media: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="import_group_msg with other elements than text, face, location, custom [docS 1635]",
    )
    modify_event: bool = Field(
        default=True,
        description="modify_group_msg fires a webhook of its own; only a mainland page of 2026 has it [doc cn-129193]",
    )
    pins: bool = Field(
        default=True, description="the pin commands exist; off: 10003, as before 2026-07 [doc cn-133874]"
    )
    # Message extensions
    community_extensions: bool = Field(
        default=True,
        description="extensions work on Communities; mainland pages yes, international no [doc cn-82032, doc 52170]",
    )
    extension_unsupported_code: int = Field(
        default=23002, description="code when they do not; 10004 and 10007 are as plausible, none documented [inferred]"
    )
    extension_seq: Literal["message", "key"] = Field(
        default="message",
        description="one counter a message, or one a key; the pages can be read both ways [doc 52169, 52170]",
    )
    extension_check_admin_seq: bool = Field(
        default=False, description="an admin's Seq is compared too; documented no [doc 52170]"
    )
    extension_check_member_seq: bool = Field(
        default=True, description="a member's Seq must be the stored one, else 23001 [doc 52170]"
    )
    extension_tombstones: bool = Field(
        default=False, description="a read returns deleted keys with an empty Value [inferred]"
    )
    extension_over_limit: Literal["refuse_call", "per_key"] = Field(
        default="refuse_call",
        description="more pairs than a message holds: 10004 for the call or for the keys [inferred]",
    )
    extension_delete_missing_code: int = Field(
        default=0,
        description="item code for deleting a key that is not there; one header says 23004 [sdk-hdr 8.0, inferred]",
    )
    extension_recalled_code: int = Field(
        default=23004, description="set and get on a recalled message; unknown [inferred]"
    )
    extension_unflagged_read_code: int = Field(
        default=0, description="get on a message without the flag: 0 answers an empty list, 23002 refuses [inferred]"
    )
    get_members_on_community: bool = Field(
        default=True,
        description="group_open_avchatroom_http_svc/get_members answers for a Community, as its page says; another "
        "guide contradicts [doc 50293]",
    )
    # Conversation groups
    contact_group_duplicate: Literal["refuse", "merge"] = Field(
        default="refuse",
        description="create with a name that exists: 50002, or into the existing one; unknown [inferred]",
    )
    contact_group_needs_membership: bool = Field(
        default=True,
        description="only joined groups can be put into conversation groups and marked, others get 51007 [doc 34348]",
    )
    contact_group_repeat_code: int = Field(
        default=0, description="item code for adding what is in or removing what is not; unknown [inferred]"
    )
    contact_group_limit: Literal["user", "group"] = Field(
        default="user", description="1000 conversations of a user in all, or in each group [sdk-header, doc 53441]"
    )
    contact_group_cleaned: bool = Field(
        default=False, description="leaving or dissolving takes the conversation out of conversation groups [inferred]"
    )
    custom_marks_need_edition: bool = Field(
        default=False, description="51013 for custom marks too; the newer page can be read so [doc 53438]"
    )
    search_returns_bare: bool = Field(
        default=True, description="search_contact_group returns conversations without data; unknown [doc 53442]"
    )
    # Profiles
    profile_empty_fields: bool = Field(
        default=False, description="portrait_get returns fields that were never set, empty; unknown [doc 1639]"
    )
    profile_msg_settings: bool = Field(
        default=True,
        description="Tag_Profile_IM_MsgSettings is a standard profile field; SDKs have it, the table of fields does "
        "not; unknown [doc 33520, sdk-hdr 8.0]",
    )
    # Official accounts
    official_frequency_code: int = Field(
        default=10023, description="above 1/s and 2 broadcasts an hour; unknown [inferred]"
    )
    official_duplicate: Literal["content_and_random", "content"] = Field(
        default="content_and_random", description="what makes a repeat; the page says both [doc 60810]"
    )
    official_show_max_subscribers: bool = Field(
        default=False,
        description="get_official_account_info returns MaxSubscriberNum; not in its filter list [doc 60758]",
    )
    official_delete_alias: bool = Field(
        default=True,
        description="delete_subscriber takes SubscriberList too, as its field table says; off: 6017, unknown which "
        "the service does [doc 60761]",
    )
    official_modify_alias: bool = Field(
        default=False, description="modify takes OfficialAccount for Official_Account, as one SDK spells it [java-sdk]"
    )
    official_history_inclusive: bool = Field(
        default=False, description="the page after LastMsgKey repeats that message; the sample is ambiguous [doc 60812]"
    )
    official_id_reuse: bool = Field(
        default=True, description="a destroyed account's id can be created again; unknown [inferred]"
    )
