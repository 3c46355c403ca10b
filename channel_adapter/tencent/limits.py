"""Limits of the service, each with its source. Byte limits count UTF-8 bytes. A number lives here once.

`[n]` after a source is the decision in the project's wire decisions that chose between contradicting pages.
"""

from typing import Final, NamedTuple

# Identifiers
USER_ID_BYTES: Final = 32  # [doc 34381]
GROUP_ID_BYTES: Final = 48  # whole id, prefix included [doc 34381; inferred]
COMMUNITY_ID_PREFIX: Final = "@TGS#_"  # every Community id [docS 1502, doc 48172]
COMMUNITY_ID_RESERVED: Final = "@TGS#_@TGS#"  # shape of ids the service assigns [docS create_topic; inferred]
TOPIC_ID_MARK: Final = "@TOPIC#_"  # never inside a Community id [js-sdk]
OFFICIAL_ACCOUNT_ID_PREFIX: Final = "@TOA#_"  # [doc 60813]
OFFICIAL_ACCOUNT_ID_RESERVED: Final = "@TOA#_@TOA#"  # [doc 60813]
OFFICIAL_ACCOUNT_ID_BYTES: Final = 48  # [doc 60813]


class GroupProfileBytes(NamedTuple):
    """Byte limits of a group's profile; two generations of pages disagree."""  # [8]

    name: int
    introduction: int
    notification: int
    face_url: int


GROUP_PROFILE: Final = GroupProfileBytes(100, 400, 400, 500)  # [doc 48184, client docs 2024-11]
GROUP_PROFILE_LEGACY: Final = GroupProfileBytes(30, 240, 300, 100)  # [docS 1615, doc 34381]
NAME_CARD_BYTES: Final = 50  # [docS 1623]

# Custom fields
GROUP_FIELD_KEYS: Final = 10  # declared per app [docS 1502, doc 34381] [7]
GROUP_FIELD_KEY_BYTES: Final = 16  # A-Z a-z 0-9 _ [docS 1502]
GROUP_FIELD_VALUE_BYTES: Final = 512  # [docS 1502]
MEMBER_FIELD_KEYS: Final = 5  # [docS 1502]
MEMBER_FIELD_VALUE_BYTES: Final = 64  # [docS 1502]

# Sizes of an app and of a group
COMMUNITY_MEMBERS: Final = 100_000  # of the plan Pro, the smallest with Communities [doc 33529]
COMMUNITY_MEMBERS_HIGHEST: Final = 1_000_000  # default of the plans Pro Plus and Enterprise [doc 33529]
COMMUNITIES_PER_APP: Final = 100_000  # [docS 1502, doc 9346]
GROUPS_PER_USER: Final = 1_000  # standard and pro plans, all types together [doc 34381]
ADMINS_PER_APP: Final = 10  # [doc 50301]

# Items in one call
ADD_MEMBERS_PER_CALL: Final = 20  # [doc 1621, 2026-02] [1]
IMPORT_MEMBERS_PER_CALL: Final = 20  # [doc 1636, 2026-01] [1]
ADD_MEMBERS_PER_CALL_HIGHEST: Final = 300  # older revision of the page [docS 1621] [1]
DELETE_MEMBERS_PER_CALL: Final = 20  # what we send [2]
DELETE_MEMBERS_PER_CALL_HIGHEST: Final = 100  # [doc 1622] [2]
IMPORT_MESSAGES_PER_CALL: Final = 7  # [doc 1635, 2025-12] [3]
GROUP_INFO_PER_CALL: Final = 50  # [docS 1616] [4]
JOINED_GROUPS_PER_PAGE: Final = 200  # as the web client requests [js-sdk] [5]
JOINED_GROUPS_PER_PAGE_SMALL: Final = 50  # after 10018 [js-sdk] [5]
JOINED_GROUPS_PER_PAGE_HIGHEST: Final = 5_000  # [docS 1625]
APP_GROUPS_PER_PAGE: Final = 10_000  # [docS 1614]
MEMBERS_PER_PAGE: Final = 100  # advised; the web client's cap [docS 1617, js-sdk] [20]
MEMBERS_PER_PAGE_HIGHEST: Final = 200  # text of the page; its table has 6000 [docS 1617]
SPECIFIED_MEMBERS_PER_CALL: Final = 50  # [doc 112002]
ROLES_PER_CALL: Final = 500  # [docS 1626]
MUTES_PER_CALL: Final = 500  # [docS 1627]
CREATE_GROUP_MEMBERS: Final = 100  # [docS 1615]
ACCOUNTS_PER_CALL: Final = 100  # import, check, delete [doc 34954, 34956, 34955]
PROFILES_PER_CALL: Final = 100  # [doc 1639]
ONLINE_STATUS_PER_CALL: Final = 500  # [java-sdk, go-sdk]
SYSTEM_NOTICE_RECEIVERS: Final = 500  # [doc 34958]
TARGETED_RECEIVERS: Final = 50  # [java-sdk]
MENTIONS_PER_MESSAGE: Final = 30  # [doc 34348]

# Messages
MESSAGE_BYTES: Final = 12_288  # 12 KB as the service is assumed to count it [doc 34959; messages 2.5]
MESSAGE_BYTES_SAFE: Final = 12_000  # what we send at most: the smaller reading of "12 KB" [doc 49440]
MESSAGES_PER_SECOND_PER_GROUP: Final = 40  # [doc 34381, doc 9346]
DEDUPE_SECONDS: Final = 300  # same sender and Random [doc 34959, doc 34381] [16]
HISTORY_PER_CALL: Final = 20  # [doc 34971] [19]
RECALLS_PER_CALL: Final = 10  # [doc 34965] [19]
RECALL_REASON_BYTES: Final = 100  # of official accounts too [doc 34965, doc 60811]
CLIENT_RECALL_SECONDS: Final = 120  # default of clients; admins have no window [doc 34965]
ROAMING_DAYS: Final = 7  # free and standard plans [doc 34381]
PINS_PER_GROUP: Final = 10  # [doc cn-133874]

# One-to-one messages
BATCH_RECEIVERS: Final = 500  # batchsendmsg [doc 34920]
BATCH_MESSAGES_PER_MINUTE: Final = 12_000  # receivers of batchsendmsg, all calls together; 90057 [doc cn-1612]
C2C_DEDUPE_SECONDS: Final = 120  # same sender, MsgSeq, MsgRandom and content [doc cn-2282]
MESSAGE_LIFE_SECONDS: Final = 604_800  # highest MsgLifeTime; 0 is for those online only [doc 34919]
ROAMING_PER_CALL: Final = 100  # MaxCnt of the page's sample; no highest number is documented [doc 35478]
ROAMING_REPLY_BYTES: Final = 13_312  # "13 KB"; the rest is asked for with LastMsgKey [doc 35478]
C2C_DELETIONS_PER_CALL: Final = 30  # delete_c2c_msg_ramble, as the web client calls it [js-sdk]

# Message extensions
EXTENSION_KEYS_PER_MESSAGE: Final = 300  # [doc 52170] [15]
EXTENSION_KEYS_PER_CALL: Final = 20  # [doc 52170] [15]
EXTENSION_KEYS_PER_READ: Final = 200  # [doc 52169]
EXTENSION_KEY_BYTES: Final = 100  # [doc 52170]
EXTENSION_VALUE_BYTES: Final = 1_000  # [doc 52170]
EXTENSION_SETS_PER_MINUTE: Final = 200  # per message [doc 52170] [15]
EXTENSION_SETS_PER_SECOND: Final = 3  # what we send at most: 180 a minute [15]

# Conversation groups
CONTACT_GROUPS_PER_USER: Final = 20  # [doc 53437] [21]
CONTACT_GROUP_NAME_BYTES: Final = 32  # [doc 53437] [21]
GROUPED_CONVERSATIONS_PER_USER: Final = 1_000  # [doc 53437] [21]
CONVERSATIONS_PER_CALL: Final = 100  # [sdk-header 51006] [21]
CONTACT_GROUPS_DELETED_PER_CALL: Final = 1  # the array holds one name, as the one of create does [doc 53437, 53441]
CONVERSATIONS_PER_SEARCH: Final = 300  # [doc 53442]
CUSTOM_MARK_BYTES: Final = 256  # [doc 53438]
C2C_UNREAD_PEERS_PER_CALL: Final = 10  # [doc 41046]

# Group counters and attributes (not for Communities [23])
COUNTERS_PER_GROUP: Final = 20  # [doc 53428]
COUNTER_KEY_BYTES: Final = 128  # [doc 53428]

# Official accounts
OFFICIAL_NAME_BYTES: Final = 150  # [doc 60755]
OFFICIAL_INTRODUCTION_BYTES: Final = 400  # [doc 60755]
OFFICIAL_FACE_URL_BYTES: Final = 500  # [doc 60755]
OFFICIAL_ORGANIZATION_BYTES: Final = 500  # [doc 60755]
OFFICIAL_CUSTOM_BYTES: Final = 3_000  # [doc 60755]
OFFICIAL_SUBSCRIBERS: Final = 100_000  # default MaxSubscriberNum [doc 60755]
OFFICIAL_SUBSCRIBERS_PER_CALL: Final = 100  # [doc 60760]; for removal inferred [doc 60761]
OFFICIAL_SUBSCRIBERS_PER_PAGE: Final = 200  # [doc 60759]
OFFICIAL_INFO_PER_CALL: Final = 50  # [doc 60758]
OFFICIAL_SUBSCRIPTIONS_PER_PAGE: Final = 200  # [doc 60763]
OFFICIAL_SUBSCRIPTIONS_PER_USER: Final = 1_000  # accounts that one user may follow [seed]
OFFICIAL_HISTORY_PER_CALL: Final = 20  # [doc 60812]
OFFICIAL_RECALLS_PER_CALL: Final = 10  # [doc 60811]
OFFICIAL_BROADCASTS_PER_HOUR: Final = 2  # [doc 60810]
OFFICIAL_MESSAGES_PER_SECOND: Final = 1  # [doc 60810]

# Online members
LIVE_MEMBERS: Final = 1_000  # newest online members that get_members lists [doc 50293]
LIVE_MEMBERS_PER_PAGE: Final = 500  # [doc 50293]

# Profiles
PROFILE_TEXT_BYTES: Final = 500  # Nick, Image, SelfSignature, custom values [doc 1500]
PROFILE_LOCATION_BYTES: Final = 16  # [doc 1500]

# Transport
CALLS_PER_SECOND: Final = 200  # default of every command [doc 34381, doc 9346]
CALLS_PER_SECOND_ACCOUNTS: Final = 100  # import of many, check, delete [doc 34956]
CALLS_PER_SECOND_APP_LIST: Final = 1  # get_appid_group_list [docS 1614]
CALLS_PER_SECOND_BROADCAST: Final = 1  # send_broadcast_msg [doc 49440]
REPLY_BYTES: Final = 1_048_576  # above: 10018 [doc 1671]
MAX_RESPONSE_BYTES: Final = 4 * REPLY_BYTES  # ours: what the client reads of one answer, after decompression
RANDOM_HIGHEST: Final = 4_294_967_295  # URL random and body Random are u32 [doc 34620]
SEQ_HIGHEST: Final = 4_294_967_295  # ours: MsgSeq counts the messages of a group; the documents print no limit
MUTE_FOREVER: Final = 4_294_967_295  # seconds [docS 1627]
