"""Every command of the service that an application with channels or official accounts can call, one row each.

`COMMANDS` looks a row up by (service, command); rows have names for typed calls. Sources: document numbers of the
service's own pages; what is repeatable follows section 3.2 of the notes on REST basics where a page is silent.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from channel_adapter.tencent import limits
from channel_adapter.tencent.command import Command, Community, Retry
from channel_adapter.tencent.wire import (
    accounts,
    contact_groups,
    extensions,
    group_data,
    groups,
    live_groups,
    members,
    messages,
    official_accounts,
    profiles,
    receipts,
    topics,
    unread,
)

GROUP_SERVICE = "group_open_http_svc"
MILLION_GROUP_SERVICE = "million_group_open_http_svc"  # topics; online count of Communities
GROUP_ATTR_SERVICE = "group_open_attr_http_svc"
AVCHATROOM_SERVICE = "group_open_avchatroom_http_svc"
MESSAGE_SERVICE = "openim"
EXTENSION_SERVICE = "openim_msg_ext_http_svc"
CONTACT_SERVICE = "recentcontact"
OFFICIAL_SERVICE = "official_account_open_http_svc"
ACCOUNT_SERVICE = "im_open_login_svc"
PROFILE_SERVICE = "profile"

READ, REPEATABLE, RANDOM, UNSAFE = Retry.READ, Retry.REPEATABLE, Retry.RANDOM, Retry.UNSAFE
YES, NO, DISPUTED, UNRELATED = Community.YES, Community.NO, Community.DISPUTED, Community.UNRELATED

# fmt: off
# Groups
CREATE_GROUP = Command(
    GROUP_SERVICE, "create_group", groups.CreateGroupRequest, groups.CreateGroupReply, REPEATABLE, YES,
    "doc 1615/34895; repeatable because GroupId is always sent", batch=limits.CREATE_GROUP_MEMBERS)
GET_GROUP_INFO = Command(
    GROUP_SERVICE, "get_group_info", groups.GetGroupInfoRequest, groups.GetGroupInfoReply, READ, YES,
    "doc 1616", batch=limits.GROUP_INFO_PER_CALL)
MODIFY_GROUP_BASE_INFO = Command(
    GROUP_SERVICE, "modify_group_base_info", groups.ModifyGroupBaseInfoRequest, groups.ModifyGroupBaseInfoReply,
    REPEATABLE, YES, "doc 1620/34962")
DESTROY_GROUP = Command(
    GROUP_SERVICE, "destroy_group", groups.DestroyGroupRequest, groups.DestroyGroupReply, REPEATABLE, YES,
    "doc 1624/34896; a repeat answers 10010")
GET_JOINED_GROUP_LIST = Command(
    GROUP_SERVICE, "get_joined_group_list", groups.GetJoinedGroupListRequest, groups.GetJoinedGroupListReply,
    READ, YES, "doc 1625/34925; js-sdk for the page size", batch=limits.JOINED_GROUPS_PER_PAGE)
GET_APPID_GROUP_LIST = Command(
    GROUP_SERVICE, "get_appid_group_list", groups.GetAppidGroupListRequest, groups.GetAppidGroupListReply,
    READ, YES, "doc 1614", limits.CALLS_PER_SECOND_APP_LIST, batch=limits.APP_GROUPS_PER_PAGE)
CHANGE_GROUP_OWNER = Command(
    GROUP_SERVICE, "change_group_owner", groups.ChangeGroupOwnerRequest, groups.ChangeGroupOwnerReply,
    REPEATABLE, YES, "doc 1633")
SET_UNREAD_MSG_NUM = Command(
    GROUP_SERVICE, "set_unread_msg_num", groups.SetUnreadMsgNumRequest, groups.SetUnreadMsgNumReply,
    REPEATABLE, YES, "doc 1637/34909")
IMPORT_GROUP = Command(
    GROUP_SERVICE, "import_group", groups.ImportGroupRequest, groups.ImportGroupReply, REPEATABLE, YES,
    "doc 1634/34967; repeatable because GroupId is always sent")

# Members
ADD_GROUP_MEMBER = Command(
    GROUP_SERVICE, "add_group_member", members.AddGroupMemberRequest, members.AddGroupMemberReply,
    REPEATABLE, YES, "doc 1621/34921", batch=limits.ADD_MEMBERS_PER_CALL)
DELETE_GROUP_MEMBER = Command(
    GROUP_SERVICE, "delete_group_member", members.DeleteGroupMemberRequest, members.DeleteGroupMemberReply,
    REPEATABLE, YES, "doc 1622/34949", batch=limits.DELETE_MEMBERS_PER_CALL)
GET_GROUP_MEMBER_INFO = Command(
    GROUP_SERVICE, "get_group_member_info", members.GetGroupMemberInfoRequest, members.GetGroupMemberInfoReply,
    READ, YES, "doc 1617/34948", batch=limits.MEMBERS_PER_PAGE)
GET_SPECIFIED_GROUP_MEMBER_INFO = Command(
    GROUP_SERVICE, "get_specified_group_member_info",
    members.GetSpecifiedGroupMemberInfoRequest, members.GetSpecifiedGroupMemberInfoReply,
    READ, YES, "doc 112002/64897", batch=limits.SPECIFIED_MEMBERS_PER_CALL)
GET_ROLE_IN_GROUP = Command(
    GROUP_SERVICE, "get_role_in_group", members.GetRoleInGroupRequest, members.GetRoleInGroupReply,
    READ, YES, "doc 1626/34963", batch=limits.ROLES_PER_CALL)
MODIFY_GROUP_MEMBER_INFO = Command(
    GROUP_SERVICE, "modify_group_member_info",
    members.ModifyGroupMemberInfoRequest, members.ModifyGroupMemberInfoReply, REPEATABLE, YES, "doc 1623/34900")
FORBID_SEND_MSG = Command(
    GROUP_SERVICE, "forbid_send_msg", members.ForbidSendMsgRequest, members.ForbidSendMsgReply,
    REPEATABLE, YES, "doc 1627/34951", batch=limits.MUTES_PER_CALL)
GET_GROUP_MUTED_ACCOUNT = Command(
    GROUP_SERVICE, "get_group_muted_account",
    members.GetGroupMutedAccountRequest, members.GetGroupMutedAccountReply, READ, YES, "doc 2925/34964")
GET_GROUP_SHUTTED_UIN = Command(
    GROUP_SERVICE, "get_group_shutted_uin",
    members.GetGroupShuttedUinRequest, members.GetGroupShuttedUinReply,
    READ, YES, "docS 2925: older name of get_group_muted_account")
IMPORT_GROUP_MEMBER = Command(
    GROUP_SERVICE, "import_group_member", members.ImportGroupMemberRequest, members.ImportGroupMemberReply,
    REPEATABLE, YES, "doc 1636", batch=limits.IMPORT_MEMBERS_PER_CALL)

# Messages
SEND_GROUP_MSG = Command(
    GROUP_SERVICE, "send_group_msg", messages.SendGroupMsgRequest, messages.SendGroupMsgReply, RANDOM, YES,
    "doc 34959/1629")
MODIFY_GROUP_MSG = Command(
    MESSAGE_SERVICE, "modify_group_msg", messages.ModifyGroupMsgRequest, messages.ModifyGroupMsgReply,
    REPEATABLE, YES, "doc 47948/74741")
GROUP_MSG_RECALL = Command(
    GROUP_SERVICE, "group_msg_recall", messages.GroupMsgRecallRequest, messages.GroupMsgRecallReply,
    REPEATABLE, YES, "doc 34965/12341", batch=limits.RECALLS_PER_CALL)
GROUP_MSG_GET_SIMPLE = Command(
    GROUP_SERVICE, "group_msg_get_simple", messages.GroupMsgGetSimpleRequest, messages.GroupMsgGetSimpleReply,
    READ, YES, "doc 34971/2738", batch=limits.HISTORY_PER_CALL)
IMPORT_GROUP_MSG = Command(
    GROUP_SERVICE, "import_group_msg", messages.ImportGroupMsgRequest, messages.ImportGroupMsgReply, RANDOM, YES,
    "doc 1635/34968; every item carries its Random", batch=limits.IMPORT_MESSAGES_PER_CALL)
DELETE_GROUP_MSG_BY_SENDER = Command(
    GROUP_SERVICE, "delete_group_msg_by_sender",
    messages.DeleteGroupMsgBySenderRequest, messages.DeleteGroupMsgBySenderReply, REPEATABLE, YES, "doc 34970/2359")
SEND_GROUP_SYSTEM_NOTIFICATION = Command(
    GROUP_SERVICE, "send_group_system_notification",
    messages.SendGroupSystemNotificationRequest, messages.SendGroupSystemNotificationReply,
    UNSAFE, YES, "doc 34958; no dedupe key", batch=limits.SYSTEM_NOTICE_RECEIVERS)
PIN_MESSAGE = Command(
    GROUP_SERVICE, "pin_message", messages.PinMessageRequest, messages.PinMessageReply, REPEATABLE, YES,
    "doc cn-133874; a repeat answers 10071")
UNPIN_MESSAGE = Command(
    GROUP_SERVICE, "unpin_message", messages.UnpinMessageRequest, messages.UnpinMessageReply, REPEATABLE, YES,
    "doc cn-134119")
GET_PINNED_MESSAGES = Command(
    GROUP_SERVICE, "get_pinned_messages", messages.GetPinnedMessagesRequest, messages.GetPinnedMessagesReply,
    READ, YES, "doc cn-134120")

# Accounts
ACCOUNT_IMPORT = Command(
    ACCOUNT_SERVICE, "account_import", accounts.AccountImportRequest, accounts.AccountImportReply,
    REPEATABLE, UNRELATED, "doc 34953/1608")
MULTIACCOUNT_IMPORT = Command(
    ACCOUNT_SERVICE, "multiaccount_import", accounts.MultiaccountImportRequest, accounts.MultiaccountImportReply,
    REPEATABLE, UNRELATED, "doc 34954/4919", limits.CALLS_PER_SECOND_ACCOUNTS, batch=limits.ACCOUNTS_PER_CALL)
ACCOUNT_CHECK = Command(
    ACCOUNT_SERVICE, "account_check", accounts.AccountCheckRequest, accounts.AccountCheckReply,
    READ, UNRELATED, "doc 34956/38417", limits.CALLS_PER_SECOND_ACCOUNTS, batch=limits.ACCOUNTS_PER_CALL)
ACCOUNT_DELETE = Command(
    ACCOUNT_SERVICE, "account_delete", accounts.AccountDeleteRequest, accounts.AccountDeleteReply,
    REPEATABLE, UNRELATED, "doc 34955/36443; a repeat answers 70107 per item",
    limits.CALLS_PER_SECOND_ACCOUNTS, batch=limits.ACCOUNTS_PER_CALL)
KICK = Command(
    ACCOUNT_SERVICE, "kick", accounts.KickRequest, accounts.KickReply, REPEATABLE, UNRELATED, "doc 3853")
QUERY_ONLINE_STATUS = Command(
    MESSAGE_SERVICE, "query_online_status", accounts.QueryOnlineStatusRequest, accounts.QueryOnlineStatusReply,
    READ, UNRELATED, "java-sdk, go-sdk", batch=limits.ONLINE_STATUS_PER_CALL)

# Online counts of groups
GET_COMMUNITY_ONLINE_MEMBER_NUM = Command(
    MILLION_GROUP_SERVICE, "get_online_member_num", groups.GetOnlineMemberNumRequest, groups.GetOnlineMemberNumReply,
    READ, YES, "doc 66883")
GET_ONLINE_MEMBER_NUM = Command(
    GROUP_SERVICE, "get_online_member_num", groups.GetOnlineMemberNumRequest, groups.GetOnlineMemberNumReply,
    READ, DISPUTED, "java-sdk: AVChatRoom only; js-sdk: all types")

# Message extensions
GROUP_SET_KEY_VALUES = Command(
    EXTENSION_SERVICE, "group_set_key_values",
    extensions.GroupSetKeyValuesRequest, extensions.GroupSetKeyValuesReply,
    REPEATABLE, DISPUTED, "doc 52170/82032; no Seq check for admins", batch=limits.EXTENSION_KEYS_PER_CALL)
GROUP_GET_KEY_VALUES = Command(
    EXTENSION_SERVICE, "group_get_key_values", extensions.GroupGetKeyValuesRequest, extensions.GroupGetKeyValuesReply,
    READ, DISPUTED, "doc 52169, doc cn-82031", batch=limits.EXTENSION_KEYS_PER_READ)
SET_KEY_VALUES = Command(
    EXTENSION_SERVICE, "set_key_values", extensions.SetKeyValuesRequest, extensions.SetKeyValuesReply,
    REPEATABLE, UNRELATED, "doc 51195/82030", batch=limits.EXTENSION_KEYS_PER_CALL)
GET_KEY_VALUES = Command(
    EXTENSION_SERVICE, "get_key_values", extensions.GetKeyValuesRequest, extensions.GetKeyValuesReply, READ, UNRELATED,
    "doc 51194/82029", batch=limits.EXTENSION_KEYS_PER_READ)

# Recent contacts and conversation groups
CREATE_CONTACT_GROUP = Command(
    CONTACT_SERVICE, "create_contact_group",
    contact_groups.CreateContactGroupRequest, contact_groups.CreateContactGroupReply,
    REPEATABLE, YES, "doc 53437/85791; a repeat may answer 50002", batch=limits.CONVERSATIONS_PER_CALL)
UPDATE_CONTACT_GROUP = Command(
    CONTACT_SERVICE, "update_contact_group",
    contact_groups.UpdateContactGroupRequest, contact_groups.UpdateContactGroupReply,
    REPEATABLE, YES, "doc 53439/85793", batch=limits.CONVERSATIONS_PER_CALL)
DEL_CONTACT_GROUP = Command(
    CONTACT_SERVICE, "del_contact_group", contact_groups.DelContactGroupRequest, contact_groups.DelContactGroupReply,
    REPEATABLE, YES, "doc 53441; a repeat answers 51009", batch=limits.CONTACT_GROUPS_DELETED_PER_CALL)
MARK_CONTACT = Command(
    CONTACT_SERVICE, "mark_contact", contact_groups.MarkContactRequest, contact_groups.MarkContactReply,
    REPEATABLE, YES, "doc 53438/85792", batch=limits.CONVERSATIONS_PER_CALL)
SEARCH_CONTACT_GROUP = Command(
    CONTACT_SERVICE, "search_contact_group",
    contact_groups.SearchContactGroupRequest, contact_groups.SearchContactGroupReply,
    READ, YES, "doc 53442/85796", batch=limits.CONVERSATIONS_PER_SEARCH)
GET_CONTACT_GROUP = Command(
    CONTACT_SERVICE, "get_contact_group", contact_groups.GetContactGroupRequest, contact_groups.GetContactGroupReply,
    READ, YES, "doc 53440")
GET_RECENT_CONTACTS = Command(
    CONTACT_SERVICE, "get_list", contact_groups.GetListRequest, contact_groups.GetListReply, READ, YES,
    "doc 43087/62118")
DELETE_RECENT_CONTACT = Command(
    CONTACT_SERVICE, "delete", contact_groups.DeleteRequest, contact_groups.DeleteReply, REPEATABLE, YES,
    "doc 43088/62119")

# Unread counts of one-to-one conversations
GET_C2C_UNREAD_MSG_NUM = Command(
    MESSAGE_SERVICE, "get_c2c_unread_msg_num", unread.GetC2cUnreadMsgNumRequest, unread.GetC2cUnreadMsgNumReply,
    READ, UNRELATED, "doc 41046/56043", batch=limits.C2C_UNREAD_PEERS_PER_CALL)
ADMIN_SET_MSG_READ = Command(
    MESSAGE_SERVICE, "admin_set_msg_read", unread.AdminSetMsgReadRequest, unread.AdminSetMsgReadReply,
    REPEATABLE, UNRELATED, "java-sdk")

# Official accounts
CREATE_OFFICIAL_ACCOUNT = Command(
    OFFICIAL_SERVICE, "create_official_account",
    official_accounts.CreateOfficialAccountRequest, official_accounts.CreateOfficialAccountReply,
    REPEATABLE, UNRELATED, "doc 60755/102302; repeatable because the id is always sent")
DESTROY_OFFICIAL_ACCOUNT = Command(
    OFFICIAL_SERVICE, "destroy_official_account",
    official_accounts.DestroyOfficialAccountRequest, official_accounts.DestroyOfficialAccountReply,
    REPEATABLE, UNRELATED, "doc 60756; a repeat answers 130004")
MODIFY_OFFICIAL_ACCOUNT_BASE_INFO = Command(
    OFFICIAL_SERVICE, "modify_official_account_base_info",
    official_accounts.ModifyOfficialAccountBaseInfoRequest, official_accounts.ModifyOfficialAccountBaseInfoReply,
    REPEATABLE, UNRELATED, "doc 60757")
GET_OFFICIAL_ACCOUNT_INFO = Command(
    OFFICIAL_SERVICE, "get_official_account_info",
    official_accounts.GetOfficialAccountInfoRequest, official_accounts.GetOfficialAccountInfoReply,
    READ, UNRELATED, "doc 60758", batch=limits.OFFICIAL_INFO_PER_CALL)
ADD_SUBSCRIBER = Command(
    OFFICIAL_SERVICE, "add_subscriber", official_accounts.AddSubscriberRequest, official_accounts.AddSubscriberReply,
    REPEATABLE, UNRELATED, "doc 60760/102308", batch=limits.OFFICIAL_SUBSCRIBERS_PER_CALL)
DELETE_SUBSCRIBER = Command(
    OFFICIAL_SERVICE, "delete_subscriber",
    official_accounts.DeleteSubscriberRequest, official_accounts.DeleteSubscriberReply,
    REPEATABLE, UNRELATED, "doc 60761", batch=limits.OFFICIAL_SUBSCRIBERS_PER_CALL)
GET_SUBSCRIBER_INFO = Command(
    OFFICIAL_SERVICE, "get_subscriber_info",
    official_accounts.GetSubscriberInfoRequest, official_accounts.GetSubscriberInfoReply,
    READ, UNRELATED, "doc 60759/102306", batch=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE)
MODIFY_SUBSCRIBER_INFO = Command(
    OFFICIAL_SERVICE, "modify_subscriber_info",
    official_accounts.ModifySubscriberInfoRequest, official_accounts.ModifySubscriberInfoReply,
    REPEATABLE, UNRELATED, "doc 60762")
GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST = Command(
    OFFICIAL_SERVICE, "get_subscribed_official_account_list",
    official_accounts.GetSubscribedOfficialAccountListRequest, official_accounts.GetSubscribedOfficialAccountListReply,
    READ, UNRELATED, "doc 60763/102311", batch=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE)
SEND_OFFICIAL_ACCOUNT_MSG = Command(
    OFFICIAL_SERVICE, "send_official_account_msg",
    official_accounts.SendOfficialAccountMsgRequest, official_accounts.SendOfficialAccountMsgReply,
    RANDOM, UNRELATED, "doc 60810/102298")
OFFICIAL_ACCOUNT_MSG_GET_SIMPLE = Command(
    OFFICIAL_SERVICE, "official_account_msg_get_simple",
    official_accounts.OfficialAccountMsgGetSimpleRequest, official_accounts.OfficialAccountMsgGetSimpleReply,
    READ, UNRELATED, "doc 60812/102299", batch=limits.OFFICIAL_HISTORY_PER_CALL)
OFFICIAL_ACCOUNT_MSG_RECALL = Command(
    OFFICIAL_SERVICE, "official_account_msg_recall",
    official_accounts.OfficialAccountMsgRecallRequest, official_accounts.OfficialAccountMsgRecallReply,
    REPEATABLE, UNRELATED, "doc 60811/102327", batch=limits.OFFICIAL_RECALLS_PER_CALL)

# Profiles
PORTRAIT_SET = Command(
    PROFILE_SERVICE, "portrait_set", profiles.PortraitSetRequest, profiles.PortraitSetReply, REPEATABLE, UNRELATED,
    "doc 1640")
PORTRAIT_GET = Command(
    PROFILE_SERVICE, "portrait_get", profiles.PortraitGetRequest, profiles.PortraitGetReply, READ, UNRELATED,
    "doc 1639", batch=limits.PROFILES_PER_CALL)

# Documented, but not for Communities or disputed there: counters, attributes, receipts, clearing
GET_GROUP_COUNTER = Command(
    GROUP_SERVICE, "get_group_counter", group_data.GetGroupCounterRequest, group_data.GetGroupCounterReply, READ, NO,
    "doc 53427", batch=limits.COUNTERS_PER_GROUP)
UPDATE_GROUP_COUNTER = Command(
    GROUP_SERVICE, "update_group_counter", group_data.UpdateGroupCounterRequest, group_data.UpdateGroupCounterReply,
    UNSAFE, NO, "doc 53428; Increase counts twice", batch=limits.COUNTERS_PER_GROUP)
DELETE_GROUP_COUNTER = Command(
    GROUP_SERVICE, "delete_group_counter", group_data.DeleteGroupCounterRequest, group_data.DeleteGroupCounterReply,
    REPEATABLE, NO, "doc 53429", batch=limits.COUNTERS_PER_GROUP)
GET_GROUP_ATTR = Command(
    GROUP_ATTR_SERVICE, "get_group_attr", group_data.GetGroupAttrRequest, group_data.GetGroupAttrReply, READ, DISPUTED,
    "doc 44187")
SET_GROUP_ATTR = Command(
    GROUP_SERVICE, "set_group_attr", group_data.SetGroupAttrRequest, group_data.SetGroupAttrReply, REPEATABLE, DISPUTED,
    "groups 6")
MODIFY_GROUP_ATTR = Command(
    GROUP_SERVICE, "modify_group_attr", group_data.ModifyGroupAttrRequest, group_data.ModifyGroupAttrReply,
    REPEATABLE, DISPUTED, "groups 6")
DELETE_GROUP_ATTR = Command(
    GROUP_SERVICE, "delete_group_attr", group_data.DeleteGroupAttrRequest, group_data.DeleteGroupAttrReply,
    REPEATABLE, DISPUTED, "js-sdk")
CLEAR_GROUP_ATTR = Command(
    GROUP_SERVICE, "clear_group_attr", group_data.ClearGroupAttrRequest, group_data.ClearGroupAttrReply,
    REPEATABLE, DISPUTED, "groups 6")
GROUP_MSG_RECEIPT = Command(
    GROUP_SERVICE, "group_msg_receipt", receipts.GroupMsgReceiptRequest, receipts.GroupMsgReceiptReply, REPEATABLE, NO,
    "doc cn-107478", batch=limits.RECEIPTS_PER_CALL)
GET_GROUP_MSG_RECEIPT = Command(
    GROUP_SERVICE, "get_group_msg_receipt", receipts.GetGroupMsgReceiptRequest, receipts.GetGroupMsgReceiptReply,
    READ, NO, "doc 49439", batch=limits.RECEIPTS_PER_CALL)
GET_GROUP_MSG_RECEIPT_DETAIL = Command(
    GROUP_SERVICE, "get_group_msg_receipt_detail",
    receipts.GetGroupMsgReceiptDetailRequest, receipts.GetGroupMsgReceiptDetailReply,
    READ, NO, "doc 49438", batch=limits.RECEIPT_READERS_PER_PAGE)
CLEAR_GROUP_MSG = Command(
    GROUP_SERVICE, "clear_group_msg", messages.ClearGroupMsgRequest, messages.ClearGroupMsgReply, REPEATABLE, NO,
    "doc 65970/95617")

# Live groups only
BAN_GROUP_MEMBER = Command(
    GROUP_SERVICE, "ban_group_member", live_groups.BanGroupMemberRequest, live_groups.BanGroupMemberReply,
    REPEATABLE, NO, "java-sdk", batch=limits.BANS_PER_CALL)
UNBAN_GROUP_MEMBER = Command(
    GROUP_SERVICE, "unban_group_member", live_groups.UnbanGroupMemberRequest, live_groups.UnbanGroupMemberReply,
    REPEATABLE, NO, "java-sdk", batch=limits.BANS_PER_CALL)
GET_GROUP_BAN_MEMBER = Command(
    GROUP_SERVICE, "get_group_ban_member", live_groups.GetGroupBanMemberRequest, live_groups.GetGroupBanMemberReply,
    READ, NO, "java-sdk", batch=limits.BANNED_PER_PAGE)
MODIFY_ADMIN = Command(
    AVCHATROOM_SERVICE, "modify_admin", live_groups.ModifyAdminRequest, live_groups.ModifyAdminReply, REPEATABLE, NO,
    "doc 60525", batch=limits.LIVE_GROUP_ADMINS)
GET_ADMIN_LIST = Command(
    AVCHATROOM_SERVICE, "get_admin_list", live_groups.GetAdminListRequest, live_groups.GetAdminListReply, READ, NO,
    "doc 60524")
CHECK_MEMBERS = Command(
    AVCHATROOM_SERVICE, "check_members", live_groups.CheckMembersRequest, live_groups.CheckMembersReply, READ, NO,
    "doc 60523")
GET_MEMBERS = Command(
    AVCHATROOM_SERVICE, "get_members", live_groups.GetMembersRequest, live_groups.GetMembersReply, READ, NO, "groups 6")
MODIFY_USER_INFO = Command(
    AVCHATROOM_SERVICE, "modify_user_info", live_groups.ModifyUserInfoRequest, live_groups.ModifyUserInfoReply,
    REPEATABLE, NO, "groups 6")
SEND_BROADCAST_MSG = Command(
    GROUP_SERVICE, "send_broadcast_msg", live_groups.SendBroadcastMsgRequest, live_groups.SendBroadcastMsgReply,
    RANDOM, NO, "doc 49440", limits.CALLS_PER_SECOND_BROADCAST)

# Communities with topics only
CREATE_TOPIC = Command(
    MILLION_GROUP_SERVICE, "create_topic", topics.CreateTopicRequest, topics.CreateTopicReply, UNSAFE, NO,
    "docS create_topic")
GET_TOPIC = Command(
    MILLION_GROUP_SERVICE, "get_topic", topics.GetTopicRequest, topics.GetTopicReply, READ, NO, "groups 7.1")
MODIFY_TOPIC = Command(
    MILLION_GROUP_SERVICE, "modify_topic", topics.ModifyTopicRequest, topics.ModifyTopicReply, REPEATABLE, NO,
    "groups 7.1")
DESTROY_TOPIC = Command(
    MILLION_GROUP_SERVICE, "destroy_topic", topics.DestroyTopicRequest, topics.DestroyTopicReply, REPEATABLE, NO,
    "groups 7.1")
IMPORT_TOPIC = Command(
    GROUP_SERVICE, "import_topic", topics.ImportTopicRequest, topics.ImportTopicReply, UNSAFE, NO, "doc 53448")
CREATE_PERMISSION_GROUP = Command(
    GROUP_SERVICE, "create_permission_group", topics.CreatePermissionGroupRequest, topics.CreatePermissionGroupReply,
    UNSAFE, NO, "doc 61232")
MODIFY_PERMISSION_GROUP = Command(
    GROUP_SERVICE, "modify_permission_group", topics.ModifyPermissionGroupRequest, topics.ModifyPermissionGroupReply,
    REPEATABLE, NO, "doc 61234")
GET_PERMISSION_GROUP = Command(
    GROUP_SERVICE, "get_permission_group", topics.GetPermissionGroupRequest, topics.GetPermissionGroupReply, READ, NO,
    "doc 61235")
ADD_PERMISSION_GROUP_MEMBER = Command(
    GROUP_SERVICE, "add_permission_group_member",
    topics.AddPermissionGroupMemberRequest, topics.AddPermissionGroupMemberReply,
    REPEATABLE, NO, "doc 61240")
DELETE_PERMISSION_GROUP_MEMBER = Command(
    GROUP_SERVICE, "delete_permission_group_member",
    topics.DeletePermissionGroupMemberRequest, topics.DeletePermissionGroupMemberReply,
    REPEATABLE, NO, "doc 61241")
GET_PERMISSION_GROUP_MEMBER_LIST = Command(
    GROUP_SERVICE, "get_permission_group_member_list",
    topics.GetPermissionGroupMemberListRequest, topics.GetPermissionGroupMemberListReply,
    READ, NO, "doc 61242/103976", batch=limits.PERMISSION_GROUP_MEMBERS_PER_PAGE)
# fmt: on

COMMANDS: Mapping[tuple[str, str], Command[Any, Any]] = MappingProxyType(
    {(row.service, row.name): row for row in list(globals().values()) if isinstance(row, Command)}
)
