"""Settings of the stub: the app it plays, its limits and rates, and its behaviour where the sources say nothing."""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from channel_adapter.config.values import Secret
from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import COMMANDS


class SettingsSection(BaseModel):
    """One table of the settings file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Behaviour(SettingsSection):
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
    # One-to-one messages
    c2c_unknown_account_code: int = Field(
        default=20003,
        description="a sender or receiver that does not exist; 90012 and 90048 are as plausible [doc 34348, inferred]",
    )
    c2c_duplicate_scope: Literal["sender", "pair"] = Field(
        default="sender",
        description="a repeat has sender, MsgSeq, MsgRandom and content in common, or the receiver too [doc cn-2282]",
    )
    batch_deduplicates: bool = Field(
        default=False, description="a repeated batchsendmsg sends nothing twice within the window; unknown [inferred]"
    )
    import_for_official_accounts: bool = Field(
        default=False, description="importmsg takes official accounts as sender and receiver; unknown [inferred]"
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
    official_refusal: Literal["per_account", "call"] = Field(
        default="per_account",
        description="a subscriber too many or one again: its Result, or 130005, 130006, 130010 for the call; unknown "
        "[doc 34348, doc 60760]",
    )
    official_c2c_needs_subscription: bool = Field(
        default=True,
        description="one-to-one messages need a subscriber or the owner on the other side, else 130002; its text says "
        "so [doc 34348, inferred]",
    )
    official_broadcast_counts_as_unread: bool = Field(
        default=True, description="broadcasts count in get_c2c_unread_msg_num of their subscribers [inferred]"
    )
    official_account_reads: bool = Field(
        default=True,
        description="get_c2c_unread_msg_num and admin_set_msg_read take an official account as the reader; off: 90048, "
        "unknown [inferred]",
    )
    official_id_reuse: bool = Field(
        default=True, description="a destroyed account's id can be created again; unknown [inferred]"
    )
    official_empty_kept: bool = Field(
        default=False, description="modify leaves a text as it is for an empty one; unknown [inferred]"
    )


class Capacity(SettingsSection):
    """Byte limits, batch caps, quotas, windows. Bytes are UTF-8 bytes."""

    name_bytes: int = Field(default=limits.GROUP_PROFILE.name, description="group Name; 10004 above [doc 48184]")
    introduction_bytes: int = Field(
        default=limits.GROUP_PROFILE.introduction, description="group Introduction [doc 48184]"
    )
    notification_bytes: int = Field(
        default=limits.GROUP_PROFILE.notification, description="group Notification [doc 48184]"
    )
    face_url_bytes: int = Field(
        default=limits.GROUP_PROFILE.face_url, description="group FaceUrl [client docs 2024-11]"
    )
    name_card_bytes: int = Field(default=limits.NAME_CARD_BYTES, description="member NameCard [docS 1623]")
    group_field_bytes: int = Field(
        default=limits.GROUP_FIELD_VALUE_BYTES, description="a custom group value [docS 1502]"
    )
    member_field_bytes: int = Field(
        default=limits.MEMBER_FIELD_VALUE_BYTES, description="a custom member value [docS 1502]"
    )
    members_per_community: int = Field(
        default=limits.COMMUNITY_MEMBERS_HIGHEST,
        description="members of a Community; the plan Pro has 100,000 [doc 33529]",
    )
    communities: int = Field(
        default=limits.COMMUNITIES_PER_APP, description="Communities per app; 10006 above [docS 1502]"
    )
    groups_per_user: int = Field(default=limits.GROUPS_PER_USER, description="groups one user may be in [doc 34381]")
    add_members: int = Field(
        default=limits.ADD_MEMBERS_PER_CALL, description="add_group_member; 10005 above [doc 1621, 2026-02]"
    )
    import_members: int = Field(
        default=limits.IMPORT_MEMBERS_PER_CALL, description="import_group_member [doc 1636, 2026-01]"
    )
    delete_members: int = Field(
        default=limits.DELETE_MEMBERS_PER_CALL_HIGHEST, description="delete_group_member [doc 1622]"
    )
    import_messages: int = Field(
        default=limits.IMPORT_MESSAGES_PER_CALL, description="import_group_msg [doc 1635, 2025-12]"
    )
    create_members: int = Field(
        default=limits.CREATE_GROUP_MEMBERS, description="MemberList of create_group [docS 1615]"
    )
    group_info: int = Field(
        default=limits.GROUP_INFO_PER_CALL, description="get_group_info; 10004 above [docS 1616; inferred]"
    )
    joined_groups: int = Field(
        default=limits.JOINED_GROUPS_PER_PAGE_HIGHEST, ge=1, description="joined list Limit [docS 1625]"
    )
    app_groups: int = Field(
        default=limits.APP_GROUPS_PER_PAGE, ge=1, description="get_appid_group_list Limit [docS 1614]"
    )
    members_per_page: int = Field(
        default=limits.MEMBERS_PER_PAGE_HIGHEST, ge=1, description="member list Limit [docS 1617]"
    )
    specified_members: int = Field(
        default=limits.SPECIFIED_MEMBERS_PER_CALL, description="named members a call [doc 112002]"
    )
    roles: int = Field(default=limits.ROLES_PER_CALL, description="get_role_in_group [docS 1626]")
    mutes: int = Field(default=limits.MUTES_PER_CALL, description="forbid_send_msg [docS 1627]")
    accounts: int = Field(
        default=limits.ACCOUNTS_PER_CALL, description="accounts a call; 70206 above [doc 34954-34956]"
    )
    accounts_in_app: int = Field(
        default=0, description="accounts an app may have, 0 = any; 70398 above (trial: 100) [doc 1671]"
    )
    deleted_account_days: int = Field(
        default=90,
        description="days in which a deleted account cannot be imported again (70399); 0 allows it [doc 34955]",
    )
    online_status: int = Field(default=limits.ONLINE_STATUS_PER_CALL, description="query_online_status [java-sdk]")
    profiles: int = Field(default=limits.PROFILES_PER_CALL, description="portrait_get accounts a call [doc 1639]")
    profile_text_bytes: int = Field(
        default=limits.PROFILE_TEXT_BYTES, description="Nick, Image, signature; 40601 [doc 1500]"
    )
    profile_location_bytes: int = Field(
        default=limits.PROFILE_LOCATION_BYTES, description="Tag_Profile_IM_Location [doc 1500]"
    )
    notice_receivers: int = Field(
        default=limits.SYSTEM_NOTICE_RECEIVERS, description="send_group_system_notification [doc 34958]"
    )
    mentions: int = Field(default=limits.MENTIONS_PER_MESSAGE, description="GroupAtInfo; 10053 above [doc 34348]")
    targeted_receivers: int = Field(
        default=limits.TARGETED_RECEIVERS, description="To_Account of a group message; 10004 above [java-sdk]"
    )
    message_bytes: int = Field(
        default=limits.MESSAGE_BYTES,
        description="lengths of all element fields together; 80002 above [doc 34959, sdk-hdr 8.0]",
    )
    messages_per_second: int = Field(
        default=limits.MESSAGES_PER_SECOND_PER_GROUP, description="messages of a group [doc 34381]"
    )
    dedupe_seconds: int = Field(
        default=limits.DEDUPE_SECONDS, description="window in which a repeat is dropped [doc 34959]"
    )
    batch_receivers: int = Field(
        default=limits.BATCH_RECEIVERS, description="receivers of batchsendmsg; 90011 above [doc 34920]"
    )
    batch_messages_per_minute: int = Field(
        default=limits.BATCH_MESSAGES_PER_MINUTE, description="messages of batchsendmsg; 90057 above [doc cn-1612]"
    )
    c2c_dedupe_seconds: int = Field(
        default=limits.C2C_DEDUPE_SECONDS, description="window in which a repeat of sendmsg is dropped [doc cn-2282]"
    )
    roaming_messages: int = Field(
        default=limits.ROAMING_PER_CALL, ge=1, description="messages of an admin_getroammsg page [doc 35478; inferred]"
    )
    roaming_bytes: int = Field(
        default=limits.ROAMING_REPLY_BYTES, description="bytes of an admin_getroammsg page [doc 35478]"
    )
    c2c_deletions: int = Field(
        default=limits.C2C_DELETIONS_PER_CALL, description="delete_c2c_msg_ramble; 90001 above [js-sdk; inferred]"
    )
    roaming_days: int = Field(default=limits.ROAMING_DAYS, description="older messages are IsPlaceMsg 1 [doc 34381]")
    history: int = Field(default=limits.HISTORY_PER_CALL, ge=1, description="messages a history page [doc 34971]")
    recalls: int = Field(default=limits.RECALLS_PER_CALL, description="group_msg_recall [doc 34965]")
    recall_reason_bytes: int = Field(
        default=limits.RECALL_REASON_BYTES, description="Reason of a recall [doc 34965, 60811]"
    )
    client_recall_seconds: int = Field(
        default=limits.CLIENT_RECALL_SECONDS, description="a client's recall window [doc 34965]"
    )
    pins: int = Field(
        default=limits.PINS_PER_GROUP, description="pinned messages of a group; 10070 above [doc cn-133874]"
    )
    extension_keys: int = Field(default=limits.EXTENSION_KEYS_PER_MESSAGE, description="pairs on a message [doc 52170]")
    extension_keys_per_call: int = Field(
        default=limits.EXTENSION_KEYS_PER_CALL, description="pairs a call; 10004 [doc 52170]"
    )
    extension_keys_per_read: int = Field(
        default=limits.EXTENSION_KEYS_PER_READ, ge=1, description="pairs a read [doc 52169]"
    )
    extension_key_bytes: int = Field(default=limits.EXTENSION_KEY_BYTES, description="an extension's Key [doc 52170]")
    extension_value_bytes: int = Field(
        default=limits.EXTENSION_VALUE_BYTES, description="an extension's Value [doc 52170]"
    )
    extension_sets_per_minute: int = Field(
        default=limits.EXTENSION_SETS_PER_MINUTE, description="changes on one message; 23003 above [doc 52170]"
    )
    contact_groups: int = Field(default=limits.CONTACT_GROUPS_PER_USER, description="51010 above [doc 53437]")
    contact_group_name_bytes: int = Field(
        default=limits.CONTACT_GROUP_NAME_BYTES,
        description="51011 above; the 2026-04 rename page says 64 [doc 53437, 53439]",
    )
    grouped_conversations: int = Field(
        default=limits.GROUPED_CONVERSATIONS_PER_USER, description="51008 above [doc 53437]"
    )
    conversations: int = Field(
        default=limits.CONVERSATIONS_PER_CALL, description="51006 above and for none [sdk-header]"
    )
    conversation_search: int = Field(
        default=limits.CONVERSATIONS_PER_SEARCH, description="50002 above [doc 53442; inferred]"
    )
    contact_group_page: int = Field(
        default=100, ge=1, description="get_contact_group page; the real size is unknown [inferred]"
    )
    custom_mark_bytes: int = Field(default=limits.CUSTOM_MARK_BYTES, description="CustomMark; 50002 above [doc 53438]")
    recent_conversations: int = Field(default=100, description="recent conversations kept a user [doc 34381]")
    unread_peers: int = Field(
        default=limits.C2C_UNREAD_PEERS_PER_CALL, description="get_c2c_unread_msg_num [doc 41046]"
    )
    official_name_bytes: int = Field(default=limits.OFFICIAL_NAME_BYTES, description="6017 above [doc 60755]")
    official_introduction_bytes: int = Field(
        default=limits.OFFICIAL_INTRODUCTION_BYTES, description="6017 above [doc 60755]"
    )
    official_face_url_bytes: int = Field(default=limits.OFFICIAL_FACE_URL_BYTES, description="6017 above [doc 60755]")
    official_organization_bytes: int = Field(
        default=limits.OFFICIAL_ORGANIZATION_BYTES, description="6017 above [doc 60755]"
    )
    official_custom_bytes: int = Field(
        default=limits.OFFICIAL_CUSTOM_BYTES, description="CustomString, both kinds [doc 60755]"
    )
    official_subscribers: int = Field(
        default=limits.OFFICIAL_SUBSCRIBERS, description="default MaxSubscriberNum [doc 60755]"
    )
    official_subscribers_per_call: int = Field(
        default=limits.OFFICIAL_SUBSCRIBERS_PER_CALL, description="6017 above [doc 60760]"
    )
    official_subscribers_per_page: int = Field(
        default=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, ge=1, description="Limit [doc 60759]"
    )
    official_subscriptions_of_user: int = Field(
        default=limits.OFFICIAL_SUBSCRIPTIONS_PER_USER,
        description="accounts that one user may follow, 0 = any; 130010 [doc 34348, seeds]",
    )
    official_accounts_in_app: int = Field(
        default=0, description="official accounts of an app, 0 = any; 130010 (free apps: 5) [doc 34348, doc 60813]"
    )
    official_info: int = Field(default=limits.OFFICIAL_INFO_PER_CALL, description="6017 above [doc 60758; inferred]")
    official_subscriptions: int = Field(
        default=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE, ge=1, description="Limit [doc 60763]"
    )
    official_broadcasts_per_hour: int = Field(
        default=limits.OFFICIAL_BROADCASTS_PER_HOUR, description="an account [doc 60810]"
    )
    official_messages_per_second: int = Field(
        default=limits.OFFICIAL_MESSAGES_PER_SECOND, description="an account [doc 60810]"
    )
    reply_bytes: int = Field(default=limits.REPLY_BYTES, description="a group answer; 10018 above [doc 1671]")
    request_bytes: int = Field(
        default=1_048_576, description="a request body; the native SDK's packet limit [sdk-hdr 8.0]"
    )

    @field_validator("*")
    @classmethod
    def _check_number(cls, number: int) -> int:
        if number < 0:
            raise ValueError("a limit is 0 or more")
        return number


DEFAULT_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"  # made up
KEY_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class SettingsError(ValueError):
    """The settings file cannot be used; the text names the key and what would be right."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """Return the tables of a TOML file; SettingsError names the file and the reason."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{shown_text(path)}: {error.strerror or 'cannot be read'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {shown_text(error)}") from None


class AppSettings(SettingsSection):
    """The app that the stub plays: identity, plan, switches of the console, declared custom fields."""

    sdkappid: int = Field(default=1400000001, ge=1, description="the app's SDKAppID; made up")
    key: Secret = Field(
        default=cast("Any", SecretStr(DEFAULT_KEY)),
        description="secret that signs UserSigs; made up, never shown in logs or dumps",
    )
    admin: str = Field(default="administrator", description="the admin that every app has [doc 32578]")
    admins: tuple[str, ...] = Field(
        default=("administrator",), description="app admins, 10 at most, `admin` among them [doc 50301]"
    )
    enabled: bool = Field(default=True, description="off: every call answers 60016 [doc 1671]")
    plan_active: bool = Field(default=True, description="off: every call answers 60020 [doc 1671]")
    ip_allow_list: tuple[str, ...] = Field(
        default=(),
        description="addresses and networks that may call, any when empty; others get 60021 [doc 1519]",
    )
    community: bool = Field(
        default=True, description="console switch for Communities; off: 11000 [doc 48172, docS create_topic]"
    )
    message_extensions: bool = Field(
        default=True, description="edition and console switch for message extensions; off: 10008 [doc 52170]"
    )
    conversation_groups: bool = Field(
        default=True, description="edition with conversation groups and standard marks; off: 51013 [doc 53437]"
    )
    official_accounts: bool = Field(default=True, description="the official account service; off: 131000 [doc 60756]")
    official_recall: bool = Field(
        default=True, description="official accounts can recall broadcasts; off: 130009 [doc 34348]"
    )
    system_notices: bool = Field(
        default=False,
        description="Communities write notices of joins, leaves and changes into history, as by default [doc 33529]",
    )
    account_deletion: bool = Field(
        default=True, description="console restriction on account_delete lifted; off: 71000 [doc 34955, doc 50301]"
    )
    group_fields: tuple[str, ...] = Field(
        default=("ch_tag",), description="custom group fields declared in the console, 10 at most [docS 1502]"
    )
    member_fields: tuple[str, ...] = Field(
        default=(), description="custom member fields declared in the console, 5 at most [docS 1502]"
    )
    profile_fields: tuple[str, ...] = Field(
        default=(), description="custom profile fields declared in the console, without Tag_Profile_Custom_ [doc 1500]"
    )

    @model_validator(mode="before")
    @classmethod
    def _default_admins(cls, values: Any) -> Any:
        """Accept `admin` without `admins`: it is then the only one."""
        if isinstance(values, Mapping) and "admin" in values and "admins" not in values:
            return {**values, "admins": (values["admin"],)}
        return values

    @field_validator("ip_allow_list")
    @classmethod
    def _check_ip_allow_list(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(
                    f"{shown_value(entry)} is neither an IP address nor a network such as 192.0.2.0/24"
                ) from None
        return entries

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if "" in self.admins:
            raise ValueError("an admin has an empty name")
        if self.admin not in self.admins:
            raise ValueError(f"admins must contain {shown_value(self.admin)}")
        if len(self.admins) > limits.ADMINS_PER_APP:
            raise ValueError(f"{len(self.admins)} admins; an app has {limits.ADMINS_PER_APP} at most")
        _check_declared("group_fields", self.group_fields, limits.GROUP_FIELD_KEYS)
        _check_declared("member_fields", self.member_fields, limits.MEMBER_FIELD_KEYS)
        for key in self.group_fields:
            if key in self.member_fields:
                raise ValueError(
                    f"{shown_value(key)} is a key of group_fields and of member_fields; a name may be used once"
                )
        return self


def _check_declared(what: str, keys: tuple[str, ...], maximum: int) -> None:
    if len(set(keys)) > maximum:
        raise ValueError(f"{what}: {len(keys)} keys; an app declares {maximum} at most")
    for key in keys:
        if not 1 <= len(key) <= limits.GROUP_FIELD_KEY_BYTES or not KEY_LETTERS.issuperset(key):
            raise ValueError(
                f"{what}: {shown_value(key)} is no key: A-Z a-z 0-9 _, {limits.GROUP_FIELD_KEY_BYTES} bytes at most"
            )
        if key[0].isdigit():
            raise ValueError(f"{what}: {shown_value(key)} begins with a digit")


class RateSettings(SettingsSection):
    """Calls per second of each command; the numbers themselves stand in the command catalog."""

    enabled: bool = Field(default=True, description="off: no call is ever refused with 60007 [doc 34381]")
    overrides: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default={}, description='calls per second by "service/command", in place of the catalog\'s number'
    )

    @field_validator("overrides")
    @classmethod
    def _check_overrides(cls, overrides: dict[str, float]) -> dict[str, float]:
        known = [row.path for row in COMMANDS.values()]
        for path in overrides:
            if path not in known:
                nearest = difflib.get_close_matches(path, known, n=1, cutoff=0.4)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
                raise ValueError(f"{shown_value(path)} is no service/command{hint}")
        return overrides


class StubSettings(BaseModel):
    """Everything that can be set; `StubSettings()` is the documented service with every feature on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    app: AppSettings = AppSettings()
    limits: Capacity = Capacity()
    rates: RateSettings = RateSettings()
    behaviour: Behaviour = Behaviour()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file; raises SettingsError naming the file, the key and, for an unknown key, the nearest one."""
        return cls.read(read_toml(path), str(path))

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "stub settings") -> Self:
        """Read plain values; SettingsError names `where` and what is wrong."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(f"{where}: {_describe_error(cls, error)}") from None

    def changed(self, **sections: Mapping[str, Any]) -> Self:
        """Return a copy with some values replaced: `settings.changed(app={"community": False})`."""
        current = {name: dict(getattr(self, name)) for name in type(self).model_fields}
        if self.app.admins == (self.app.admin,):
            del current["app"]["admins"]  # they follow from `admin`
        values = {name: {**current[name], **sections.get(name, {})} for name in current}
        return self.read(values | {name: value for name, value in sections.items() if name not in values})

    def entries(self) -> Iterator[tuple[str, str, Any, str]]:
        """Yield each setting as (section, name, value, description)."""
        for section in type(self).model_fields:
            part: BaseModel = getattr(self, section)
            for name, field in type(part).model_fields.items():
                yield section, name, getattr(part, name), field.description or ""


def _describe_error(root: type[BaseModel], error: ValidationError) -> str:
    """Return one sentence for the first problem. Values are never printed: one of them is the key."""
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{shown_text(where)}: {problem['msg']}" if where else problem["msg"]
    known = root
    for part in problem["loc"][:-1]:
        annotation = known.model_fields[str(part)].annotation
        if not isinstance(annotation, type) or not issubclass(annotation, BaseModel):
            break
        known = annotation
    nearest = difflib.get_close_matches(str(problem["loc"][-1]), known.model_fields, n=1, cutoff=0.4)
    return f"unknown setting {shown_value(where)}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")


def example(**more: BaseModel) -> str:
    """Return each setting with default, reason and source, as TOML; `more` are further sections."""
    defaults = StubSettings()
    sections: dict[str, BaseModel] = {name: getattr(defaults, name) for name in type(defaults).model_fields} | more
    lines = ["# Settings of the stub server. Every value is the default; brackets name the source.", ""]
    for section, part in sections.items():
        lines += [f"# {line}" for line in (type(part).__doc__ or "").strip().splitlines()] + [f"[{section}]"]
        for name, field in type(part).model_fields.items():
            value = getattr(part, name)
            lines += [f"# {field.description}", f"# {name} =" if value is None else f"{name} = {_to_toml(value)}"]
        lines.append("")
    return "\n".join(lines)


def _to_toml(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_to_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_to_toml(key)} = {_to_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
