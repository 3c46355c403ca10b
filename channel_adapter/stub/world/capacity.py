"""How much the stub takes: every limit of the service as a setting, its documented value as default."""

from pydantic import Field

from channel_adapter.stub.world.behaviour import Section
from channel_adapter.tencent import limits


class Capacity(Section):
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
        default=limits.JOINED_GROUPS_PER_PAGE_HIGHEST, description="joined list Limit [docS 1625]"
    )
    app_groups: int = Field(default=limits.APP_GROUPS_PER_PAGE, description="get_appid_group_list Limit [docS 1614]")
    members_per_page: int = Field(default=limits.MEMBERS_PER_PAGE_HIGHEST, description="member list Limit [docS 1617]")
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
    roaming_days: int = Field(default=limits.ROAMING_DAYS, description="older messages are IsPlaceMsg 1 [doc 34381]")
    history: int = Field(default=limits.HISTORY_PER_CALL, description="messages a history page [doc 34971]")
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
    extension_keys_per_read: int = Field(default=limits.EXTENSION_KEYS_PER_READ, description="pairs a read [doc 52169]")
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
        default=100, description="get_contact_group page; the real size is unknown [inferred]"
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
        default=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE, description="Limit [doc 60759]"
    )
    official_info: int = Field(default=limits.OFFICIAL_INFO_PER_CALL, description="6017 above [doc 60758; inferred]")
    official_subscriptions: int = Field(default=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE, description="Limit [doc 60763]")
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
