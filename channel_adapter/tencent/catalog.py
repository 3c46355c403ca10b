"""Every command of the service that an application with channels or official accounts can call, one row each.

`COMMANDS` looks a row up by (service, command); rows have names for typed calls. Sources: document numbers of the
service's own pages; what is repeatable follows section 3.2 of the notes on REST basics where a page is silent.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from channel_adapter.tencent import limits
from channel_adapter.tencent.command import Command, Community, Retry
from channel_adapter.tencent.wire import accounts, groups, members, messages

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
# fmt: on

COMMANDS: Mapping[tuple[str, str], Command[Any, Any]] = MappingProxyType(
    {(row.service, row.name): row for row in list(globals().values()) if isinstance(row, Command)}
)
