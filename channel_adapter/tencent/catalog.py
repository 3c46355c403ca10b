"""Every command of the service that an application with channels or official accounts can call, one row each.

`COMMANDS` looks a row up by (service, command); rows have names for typed calls. Sources: document numbers of the
service's own pages; what is repeatable follows section 3.2 of the notes on REST basics where a page is silent.
The models of a row are imported when it is first used: an application uses a third of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.envelope import Reply, WireModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from channel_adapter.tencent.wire import (
        accounts,
        contact_groups,
        extensions,
        group_data,
        groups,
        members,
        messages,
        official_accounts,
        one_to_one,
        profiles,
        unread,
    )

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)
PartT = TypeVar("PartT", bound=Reply)

_WIRE: Final = "channel_adapter.tencent.wire"


class Idempotency(StrEnum):
    """Whether a call with an ambiguous outcome may be sent again."""  # [rest basics 3.2]

    READ = "read"  # changes nothing
    REPEATABLE = "repeatable write"  # a second execution changes nothing
    RANDOM = "write with Random"  # the service drops the second one while the Random is the same
    UNSAFE = "unsafe"  # a second execution has a second effect


class Community(StrEnum):
    """Whether the command works on a Community without topics."""

    YES = "yes"
    NO = "no"
    DISPUTED = "disputed"  # the sources contradict each other
    UNRELATED = "unrelated"  # it is not about groups


UNMODELLED: Final = ""
"""The area of a command whose bodies have no models."""


@dataclass(frozen=True)
class Command(Generic[RequestT, ReplyT]):
    """One row of the catalog. `batch` is the maximum number of items that are sent in one call.

    `area` is the module of `tencent.wire` where its bodies are, named like the command: GetGroupInfoRequest and
    GetGroupInfoReply for get_group_info.
    """

    service: str
    name: str
    area: str
    idempotency: Idempotency
    community: Community
    source: str
    calls_per_second: int = limits.CALLS_PER_SECOND
    batch: int | None = None

    @cached_property
    def request(self) -> type[RequestT]:
        """The model of the request."""
        model: type[RequestT] = self._wire_model("Request", WireModel)
        return model

    @cached_property
    def reply(self) -> type[ReplyT]:
        """The model of the reply."""
        model: type[ReplyT] = self._wire_model("Reply", Reply)
        return model

    def read_as(self, reply: type[PartT]) -> Command[RequestT, PartT]:
        """Return the command with another model of its reply, for callers that need a part of it."""
        other: Command[Any, Any] = replace(self)
        vars(other)["reply"] = reply
        return other

    def _wire_model(self, kind: str, unmodelled: type[WireModel]) -> Any:
        if self.area == UNMODELLED:
            return unmodelled
        words = "".join(word[0].upper() + word[1:] for word in self.name.split("_"))
        return getattr(import_module(f"{_WIRE}.{self.area}"), f"{words}{kind}")

    @cached_property
    def path(self) -> str:
        """`service/command`, the part of the URL after `v4/`."""
        return f"{self.service}/{self.name}"


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

READ, REPEATABLE, RANDOM, UNSAFE = Idempotency.READ, Idempotency.REPEATABLE, Idempotency.RANDOM, Idempotency.UNSAFE
YES, NO, DISPUTED, UNRELATED = Community.YES, Community.NO, Community.DISPUTED, Community.UNRELATED

# fmt: off
# Groups
CREATE_GROUP: Command[groups.CreateGroupRequest, groups.CreateGroupReply] = Command(
    GROUP_SERVICE, "create_group", "groups", REPEATABLE, YES,
    "doc 1615/34895; repeatable because GroupId is always sent", batch=limits.CREATE_GROUP_MEMBERS)
GET_GROUP_INFO: Command[groups.GetGroupInfoRequest, groups.GetGroupInfoReply] = Command(
    GROUP_SERVICE, "get_group_info", "groups", READ, YES, "doc 1616", batch=limits.GROUP_INFO_PER_CALL)
MODIFY_GROUP_BASE_INFO: Command[groups.ModifyGroupBaseInfoRequest, groups.ModifyGroupBaseInfoReply] = Command(
    GROUP_SERVICE, "modify_group_base_info", "groups", REPEATABLE, YES, "doc 1620/34962")
DESTROY_GROUP: Command[groups.DestroyGroupRequest, groups.DestroyGroupReply] = Command(
    GROUP_SERVICE, "destroy_group", "groups", REPEATABLE, YES, "doc 1624/34896; a repeat answers 10010")
GET_JOINED_GROUP_LIST: Command[groups.GetJoinedGroupListRequest, groups.GetJoinedGroupListReply] = Command(
    GROUP_SERVICE, "get_joined_group_list", "groups", READ, YES, "doc 1625/34925; js-sdk for the page size",
    batch=limits.JOINED_GROUPS_PER_PAGE)
GET_APPID_GROUP_LIST: Command[groups.GetAppidGroupListRequest, groups.GetAppidGroupListReply] = Command(
    GROUP_SERVICE, "get_appid_group_list", "groups", READ, YES, "doc 1614", limits.CALLS_PER_SECOND_APP_LIST,
    batch=limits.APP_GROUPS_PER_PAGE)
CHANGE_GROUP_OWNER: Command[groups.ChangeGroupOwnerRequest, groups.ChangeGroupOwnerReply] = Command(
    GROUP_SERVICE, "change_group_owner", "groups", REPEATABLE, YES, "doc 1633")
SET_UNREAD_MSG_NUM: Command[groups.SetUnreadMsgNumRequest, groups.SetUnreadMsgNumReply] = Command(
    GROUP_SERVICE, "set_unread_msg_num", "groups", REPEATABLE, YES, "doc 1637/34909")
IMPORT_GROUP: Command[groups.ImportGroupRequest, groups.ImportGroupReply] = Command(
    GROUP_SERVICE, "import_group", "groups", REPEATABLE, YES,
    "doc 1634/34967; repeatable because GroupId is always sent")

# Members
ADD_GROUP_MEMBER: Command[members.AddGroupMemberRequest, members.AddGroupMemberReply] = Command(
    GROUP_SERVICE, "add_group_member", "members", REPEATABLE, YES, "doc 1621/34921", batch=limits.ADD_MEMBERS_PER_CALL)
DELETE_GROUP_MEMBER: Command[members.DeleteGroupMemberRequest, members.DeleteGroupMemberReply] = Command(
    GROUP_SERVICE, "delete_group_member", "members", REPEATABLE, YES, "doc 1622/34949",
    batch=limits.DELETE_MEMBERS_PER_CALL)
GET_GROUP_MEMBER_INFO: Command[members.GetGroupMemberInfoRequest, members.GetGroupMemberInfoReply] = Command(
    GROUP_SERVICE, "get_group_member_info", "members", READ, YES, "doc 1617/34948", batch=limits.MEMBERS_PER_PAGE)
GET_SPECIFIED_GROUP_MEMBER_INFO: Command[
    members.GetSpecifiedGroupMemberInfoRequest, members.GetSpecifiedGroupMemberInfoReply
] = Command(
    GROUP_SERVICE, "get_specified_group_member_info", "members", READ, YES, "doc 112002/64897",
    batch=limits.SPECIFIED_MEMBERS_PER_CALL)
GET_ROLE_IN_GROUP: Command[members.GetRoleInGroupRequest, members.GetRoleInGroupReply] = Command(
    GROUP_SERVICE, "get_role_in_group", "members", READ, YES, "doc 1626/34963", batch=limits.ROLES_PER_CALL)
MODIFY_GROUP_MEMBER_INFO: Command[members.ModifyGroupMemberInfoRequest, members.ModifyGroupMemberInfoReply] = Command(
    GROUP_SERVICE, "modify_group_member_info", "members", REPEATABLE, YES, "doc 1623/34900")
FORBID_SEND_MSG: Command[members.ForbidSendMsgRequest, members.ForbidSendMsgReply] = Command(
    GROUP_SERVICE, "forbid_send_msg", "members", REPEATABLE, YES, "doc 1627/34951", batch=limits.MUTES_PER_CALL)
GET_GROUP_MUTED_ACCOUNT: Command[members.GetGroupMutedAccountRequest, members.GetGroupMutedAccountReply] = Command(
    GROUP_SERVICE, "get_group_muted_account", "members", READ, YES, "doc 2925/34964")
GET_GROUP_SHUTTED_UIN: Command[members.GetGroupShuttedUinRequest, members.GetGroupShuttedUinReply] = Command(
    GROUP_SERVICE, "get_group_shutted_uin", "members", READ, YES, "docS 2925: older name of get_group_muted_account")
IMPORT_GROUP_MEMBER: Command[members.ImportGroupMemberRequest, members.ImportGroupMemberReply] = Command(
    GROUP_SERVICE, "import_group_member", "members", REPEATABLE, YES, "doc 1636", batch=limits.IMPORT_MEMBERS_PER_CALL)

# Messages
SEND_GROUP_MSG: Command[messages.SendGroupMsgRequest, messages.SendGroupMsgReply] = Command(
    GROUP_SERVICE, "send_group_msg", "messages", RANDOM, YES, "doc 34959/1629")
MODIFY_GROUP_MSG: Command[messages.ModifyGroupMsgRequest, messages.ModifyGroupMsgReply] = Command(
    MESSAGE_SERVICE, "modify_group_msg", "messages", REPEATABLE, YES, "doc 47948/74741")
GROUP_MSG_RECALL: Command[messages.GroupMsgRecallRequest, messages.GroupMsgRecallReply] = Command(
    GROUP_SERVICE, "group_msg_recall", "messages", REPEATABLE, YES, "doc 34965/12341", batch=limits.RECALLS_PER_CALL)
GROUP_MSG_GET_SIMPLE: Command[messages.GroupMsgGetSimpleRequest, messages.GroupMsgGetSimpleReply] = Command(
    GROUP_SERVICE, "group_msg_get_simple", "messages", READ, YES, "doc 34971/2738", batch=limits.HISTORY_PER_CALL)
IMPORT_GROUP_MSG: Command[messages.ImportGroupMsgRequest, messages.ImportGroupMsgReply] = Command(
    GROUP_SERVICE, "import_group_msg", "messages", RANDOM, YES, "doc 1635/34968; every item carries its Random",
    batch=limits.IMPORT_MESSAGES_PER_CALL)
DELETE_GROUP_MSG_BY_SENDER: Command[
    messages.DeleteGroupMsgBySenderRequest, messages.DeleteGroupMsgBySenderReply
] = Command(
    GROUP_SERVICE, "delete_group_msg_by_sender", "messages", REPEATABLE, YES, "doc 34970/2359")
SEND_GROUP_SYSTEM_NOTIFICATION: Command[
    messages.SendGroupSystemNotificationRequest, messages.SendGroupSystemNotificationReply
] = Command(
    GROUP_SERVICE, "send_group_system_notification", "messages", UNSAFE, YES, "doc 34958; no dedupe key",
    batch=limits.SYSTEM_NOTICE_RECEIVERS)
PIN_MESSAGE: Command[messages.PinMessageRequest, messages.PinMessageReply] = Command(
    GROUP_SERVICE, "pin_message", "messages", REPEATABLE, YES, "doc cn-133874; a repeat answers 10071")
UNPIN_MESSAGE: Command[messages.UnpinMessageRequest, messages.UnpinMessageReply] = Command(
    GROUP_SERVICE, "unpin_message", "messages", REPEATABLE, YES, "doc cn-134119")
GET_PINNED_MESSAGES: Command[messages.GetPinnedMessagesRequest, messages.GetPinnedMessagesReply] = Command(
    GROUP_SERVICE, "get_pinned_messages", "messages", READ, YES, "doc cn-134120")

# Accounts
ACCOUNT_IMPORT: Command[accounts.AccountImportRequest, accounts.AccountImportReply] = Command(
    ACCOUNT_SERVICE, "account_import", "accounts", REPEATABLE, UNRELATED, "doc 34953/1608")
MULTIACCOUNT_IMPORT: Command[accounts.MultiaccountImportRequest, accounts.MultiaccountImportReply] = Command(
    ACCOUNT_SERVICE, "multiaccount_import", "accounts", REPEATABLE, UNRELATED, "doc 34954/4919",
    limits.CALLS_PER_SECOND_ACCOUNTS, batch=limits.ACCOUNTS_PER_CALL)
ACCOUNT_CHECK: Command[accounts.AccountCheckRequest, accounts.AccountCheckReply] = Command(
    ACCOUNT_SERVICE, "account_check", "accounts", READ, UNRELATED, "doc 34956/38417", limits.CALLS_PER_SECOND_ACCOUNTS,
    batch=limits.ACCOUNTS_PER_CALL)
ACCOUNT_DELETE: Command[accounts.AccountDeleteRequest, accounts.AccountDeleteReply] = Command(
    ACCOUNT_SERVICE, "account_delete", "accounts", REPEATABLE, UNRELATED,
    "doc 34955/36443; a repeat answers 70107 per item", limits.CALLS_PER_SECOND_ACCOUNTS,
    batch=limits.ACCOUNTS_PER_CALL)
KICK: Command[accounts.KickRequest, accounts.KickReply] = Command(
    ACCOUNT_SERVICE, "kick", "accounts", REPEATABLE, UNRELATED, "doc 3853")
QUERY_ONLINE_STATUS: Command[accounts.QueryOnlineStatusRequest, accounts.QueryOnlineStatusReply] = Command(
    MESSAGE_SERVICE, "query_online_status", "accounts", READ, UNRELATED, "java-sdk, go-sdk",
    batch=limits.ONLINE_STATUS_PER_CALL)

# Online counts of groups
GET_COMMUNITY_ONLINE_MEMBER_NUM: Command[groups.GetOnlineMemberNumRequest, groups.GetOnlineMemberNumReply] = Command(
    MILLION_GROUP_SERVICE, "get_online_member_num", "groups", READ, YES, "doc 66883: Communities only")
GET_ONLINE_MEMBER_NUM: Command[groups.GetOnlineMemberNumRequest, groups.GetOnlineMemberNumReply] = Command(
    GROUP_SERVICE, "get_online_member_num", "groups", READ, NO, "doc 38521: not for Communities")

# Message extensions
GROUP_SET_KEY_VALUES: Command[extensions.GroupSetKeyValuesRequest, extensions.GroupSetKeyValuesReply] = Command(
    EXTENSION_SERVICE, "group_set_key_values", "extensions", REPEATABLE, DISPUTED,
    "doc 52170/82032; no Seq check for admins", batch=limits.EXTENSION_KEYS_PER_CALL)
GROUP_GET_KEY_VALUES: Command[extensions.GroupGetKeyValuesRequest, extensions.GroupGetKeyValuesReply] = Command(
    EXTENSION_SERVICE, "group_get_key_values", "extensions", READ, DISPUTED, "doc 52169, doc cn-82031",
    batch=limits.EXTENSION_KEYS_PER_READ)

# Recent contacts and conversation groups
CREATE_CONTACT_GROUP: Command[
    contact_groups.CreateContactGroupRequest, contact_groups.CreateContactGroupReply
] = Command(
    CONTACT_SERVICE, "create_contact_group", "contact_groups", REPEATABLE, YES,
    "doc 53437/85791; a repeat may answer 50002", batch=limits.CONVERSATIONS_PER_CALL)
UPDATE_CONTACT_GROUP: Command[
    contact_groups.UpdateContactGroupRequest, contact_groups.UpdateContactGroupReply
] = Command(
    CONTACT_SERVICE, "update_contact_group", "contact_groups", REPEATABLE, YES, "doc 53439/85793",
    batch=limits.CONVERSATIONS_PER_CALL)
DEL_CONTACT_GROUP: Command[contact_groups.DelContactGroupRequest, contact_groups.DelContactGroupReply] = Command(
    CONTACT_SERVICE, "del_contact_group", "contact_groups", REPEATABLE, YES, "doc 53441; a repeat answers 51009",
    batch=limits.CONTACT_GROUPS_DELETED_PER_CALL)
MARK_CONTACT: Command[contact_groups.MarkContactRequest, contact_groups.MarkContactReply] = Command(
    CONTACT_SERVICE, "mark_contact", "contact_groups", REPEATABLE, YES, "doc 53438/85792",
    batch=limits.CONVERSATIONS_PER_CALL)
SEARCH_CONTACT_GROUP: Command[
    contact_groups.SearchContactGroupRequest, contact_groups.SearchContactGroupReply
] = Command(
    CONTACT_SERVICE, "search_contact_group", "contact_groups", READ, YES, "doc 53442/85796",
    batch=limits.CONVERSATIONS_PER_SEARCH)
GET_CONTACT_GROUP: Command[contact_groups.GetContactGroupRequest, contact_groups.GetContactGroupReply] = Command(
    CONTACT_SERVICE, "get_contact_group", "contact_groups", READ, YES, "doc 53440")
GET_RECENT_CONTACTS: Command[contact_groups.GetListRequest, contact_groups.GetListReply] = Command(
    CONTACT_SERVICE, "get_list", "contact_groups", READ, YES, "doc 43087/62118")
DELETE_RECENT_CONTACT: Command[contact_groups.DeleteRequest, contact_groups.DeleteReply] = Command(
    CONTACT_SERVICE, "delete", "contact_groups", REPEATABLE, YES, "doc 43088/62119")

# One-to-one messages
SENDMSG: Command[one_to_one.SendmsgRequest, one_to_one.SendmsgReply] = Command(
    MESSAGE_SERVICE, "sendmsg", "one_to_one", RANDOM, UNRELATED,
    "doc 34919, cn-2282; dropped twice within 120 s where MsgSeq, MsgRandom and content are equal")
BATCHSENDMSG: Command[one_to_one.BatchsendmsgRequest, one_to_one.BatchsendmsgReply] = Command(
    MESSAGE_SERVICE, "batchsendmsg", "one_to_one", UNSAFE, UNRELATED,
    "doc 34920, cn-1612; whether a repeat is dropped is undocumented", batch=limits.BATCH_RECEIVERS)
ADMIN_GETROAMMSG: Command[one_to_one.AdminGetroammsgRequest, one_to_one.AdminGetroammsgReply] = Command(
    MESSAGE_SERVICE, "admin_getroammsg", "one_to_one", READ, UNRELATED, "doc 35478", batch=limits.ROAMING_PER_CALL)
ADMIN_MSGWITHDRAW: Command[one_to_one.AdminMsgwithdrawRequest, one_to_one.AdminMsgwithdrawReply] = Command(
    MESSAGE_SERVICE, "admin_msgwithdraw", "one_to_one", REPEATABLE, UNRELATED, "doc 35015; a repeat answers 20023")
MODIFY_C2C_MSG: Command[one_to_one.ModifyC2cMsgRequest, one_to_one.ModifyC2cMsgReply] = Command(
    MESSAGE_SERVICE, "modify_c2c_msg", "one_to_one", REPEATABLE, UNRELATED, "doc cn-74740")
IMPORTMSG: Command[one_to_one.ImportmsgRequest, one_to_one.ImportmsgReply] = Command(
    MESSAGE_SERVICE, "importmsg", "one_to_one", RANDOM, UNRELATED,
    "doc 35014; a repeat of MsgSeq, MsgRandom and MsgTimeStamp is dropped")
DELETE_C2C_MSG_RAMBLE: Command[
    one_to_one.DeleteC2cMsgRambleRequest, one_to_one.DeleteC2cMsgRambleReply
] = Command(
    MESSAGE_SERVICE, "delete_c2c_msg_ramble", "one_to_one", REPEATABLE, UNRELATED, "java-sdk, php-sdk",
    batch=limits.C2C_DELETIONS_PER_CALL)
SET_KEY_VALUES: Command[extensions.SetKeyValuesRequest, extensions.SetKeyValuesReply] = Command(
    EXTENSION_SERVICE, "set_key_values", "extensions", REPEATABLE, UNRELATED, "doc 51195/82030",
    batch=limits.EXTENSION_KEYS_PER_CALL)
GET_KEY_VALUES: Command[extensions.GetKeyValuesRequest, extensions.GetKeyValuesReply] = Command(
    EXTENSION_SERVICE, "get_key_values", "extensions", READ, UNRELATED, "doc 51194/82029",
    batch=limits.EXTENSION_KEYS_PER_READ)

# Unread counts of one-to-one conversations
GET_C2C_UNREAD_MSG_NUM: Command[unread.GetC2cUnreadMsgNumRequest, unread.GetC2cUnreadMsgNumReply] = Command(
    MESSAGE_SERVICE, "get_c2c_unread_msg_num", "unread", READ, UNRELATED, "doc 41046/56043",
    batch=limits.C2C_UNREAD_PEERS_PER_CALL)
ADMIN_SET_MSG_READ: Command[unread.AdminSetMsgReadRequest, unread.AdminSetMsgReadReply] = Command(
    MESSAGE_SERVICE, "admin_set_msg_read", "unread", REPEATABLE, UNRELATED, "java-sdk")

# Official accounts
CREATE_OFFICIAL_ACCOUNT: Command[
    official_accounts.CreateOfficialAccountRequest, official_accounts.CreateOfficialAccountReply
] = Command(
    OFFICIAL_SERVICE, "create_official_account", "official_accounts", REPEATABLE, UNRELATED,
    "doc 60755/102302; repeatable because the id is always sent")
DESTROY_OFFICIAL_ACCOUNT: Command[
    official_accounts.DestroyOfficialAccountRequest, official_accounts.DestroyOfficialAccountReply
] = Command(
    OFFICIAL_SERVICE, "destroy_official_account", "official_accounts", REPEATABLE, UNRELATED,
    "doc 60756; a repeat answers 130004")
MODIFY_OFFICIAL_ACCOUNT_BASE_INFO: Command[
    official_accounts.ModifyOfficialAccountBaseInfoRequest, official_accounts.ModifyOfficialAccountBaseInfoReply
] = Command(
    OFFICIAL_SERVICE, "modify_official_account_base_info", "official_accounts", REPEATABLE, UNRELATED, "doc 60757")
GET_OFFICIAL_ACCOUNT_INFO: Command[
    official_accounts.GetOfficialAccountInfoRequest, official_accounts.GetOfficialAccountInfoReply
] = Command(
    OFFICIAL_SERVICE, "get_official_account_info", "official_accounts", READ, UNRELATED, "doc 60758",
    batch=limits.OFFICIAL_INFO_PER_CALL)
ADD_SUBSCRIBER: Command[official_accounts.AddSubscriberRequest, official_accounts.AddSubscriberReply] = Command(
    OFFICIAL_SERVICE, "add_subscriber", "official_accounts", REPEATABLE, UNRELATED, "doc 60760/102308",
    batch=limits.OFFICIAL_SUBSCRIBERS_PER_CALL)
DELETE_SUBSCRIBER: Command[
    official_accounts.DeleteSubscriberRequest, official_accounts.DeleteSubscriberReply
] = Command(
    OFFICIAL_SERVICE, "delete_subscriber", "official_accounts", REPEATABLE, UNRELATED, "doc 60761",
    batch=limits.OFFICIAL_SUBSCRIBERS_PER_CALL)
GET_SUBSCRIBER_INFO: Command[
    official_accounts.GetSubscriberInfoRequest, official_accounts.GetSubscriberInfoReply
] = Command(
    OFFICIAL_SERVICE, "get_subscriber_info", "official_accounts", READ, UNRELATED, "doc 60759/102306",
    batch=limits.OFFICIAL_SUBSCRIBERS_PER_PAGE)
MODIFY_SUBSCRIBER_INFO: Command[
    official_accounts.ModifySubscriberInfoRequest, official_accounts.ModifySubscriberInfoReply
] = Command(
    OFFICIAL_SERVICE, "modify_subscriber_info", "official_accounts", REPEATABLE, UNRELATED, "doc 60762")
GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST: Command[
    official_accounts.GetSubscribedOfficialAccountListRequest, official_accounts.GetSubscribedOfficialAccountListReply
] = Command(
    OFFICIAL_SERVICE, "get_subscribed_official_account_list", "official_accounts", READ, UNRELATED, "doc 60763/102311",
    batch=limits.OFFICIAL_SUBSCRIPTIONS_PER_PAGE)
SEND_OFFICIAL_ACCOUNT_MSG: Command[
    official_accounts.SendOfficialAccountMsgRequest, official_accounts.SendOfficialAccountMsgReply
] = Command(
    OFFICIAL_SERVICE, "send_official_account_msg", "official_accounts", RANDOM, UNRELATED, "doc 60810/102298")
OFFICIAL_ACCOUNT_MSG_GET_SIMPLE: Command[
    official_accounts.OfficialAccountMsgGetSimpleRequest, official_accounts.OfficialAccountMsgGetSimpleReply
] = Command(
    OFFICIAL_SERVICE, "official_account_msg_get_simple", "official_accounts", READ, UNRELATED, "doc 60812/102299",
    batch=limits.OFFICIAL_HISTORY_PER_CALL)
OFFICIAL_ACCOUNT_MSG_RECALL: Command[
    official_accounts.OfficialAccountMsgRecallRequest, official_accounts.OfficialAccountMsgRecallReply
] = Command(
    OFFICIAL_SERVICE, "official_account_msg_recall", "official_accounts", REPEATABLE, UNRELATED, "doc 60811/102327",
    batch=limits.OFFICIAL_RECALLS_PER_CALL)

# Profiles
PORTRAIT_SET: Command[profiles.PortraitSetRequest, profiles.PortraitSetReply] = Command(
    PROFILE_SERVICE, "portrait_set", "profiles", REPEATABLE, UNRELATED, "doc 1640")
PORTRAIT_GET: Command[profiles.PortraitGetRequest, profiles.PortraitGetReply] = Command(
    PROFILE_SERVICE, "portrait_get", "profiles", READ, UNRELATED, "doc 1639", batch=limits.PROFILES_PER_CALL)

# Documented, but not for Communities or disputed there: counters and attributes
GET_GROUP_COUNTER: Command[group_data.GetGroupCounterRequest, group_data.GetGroupCounterReply] = Command(
    GROUP_SERVICE, "get_group_counter", "group_data", READ, NO, "doc 53427", batch=limits.COUNTERS_PER_GROUP)
UPDATE_GROUP_COUNTER: Command[group_data.UpdateGroupCounterRequest, group_data.UpdateGroupCounterReply] = Command(
    GROUP_SERVICE, "update_group_counter", "group_data", UNSAFE, NO, "doc 53428; Increase counts twice",
    batch=limits.COUNTERS_PER_GROUP)
DELETE_GROUP_COUNTER: Command[group_data.DeleteGroupCounterRequest, group_data.DeleteGroupCounterReply] = Command(
    GROUP_SERVICE, "delete_group_counter", "group_data", REPEATABLE, NO, "doc 53429", batch=limits.COUNTERS_PER_GROUP)
GET_GROUP_ATTR: Command[group_data.GetGroupAttrRequest, group_data.GetGroupAttrReply] = Command(
    GROUP_ATTR_SERVICE, "get_group_attr", "group_data", READ, DISPUTED, "doc 44187")
SET_GROUP_ATTR: Command[group_data.SetGroupAttrRequest, group_data.SetGroupAttrReply] = Command(
    GROUP_SERVICE, "set_group_attr", "group_data", REPEATABLE, DISPUTED, "groups 6")
MODIFY_GROUP_ATTR: Command[group_data.ModifyGroupAttrRequest, group_data.ModifyGroupAttrReply] = Command(
    GROUP_SERVICE, "modify_group_attr", "group_data", REPEATABLE, DISPUTED, "groups 6")
DELETE_GROUP_ATTR: Command[group_data.DeleteGroupAttrRequest, group_data.DeleteGroupAttrReply] = Command(
    GROUP_SERVICE, "delete_group_attr", "group_data", REPEATABLE, DISPUTED, "js-sdk")
CLEAR_GROUP_ATTR: Command[group_data.ClearGroupAttrRequest, group_data.ClearGroupAttrReply] = Command(
    GROUP_SERVICE, "clear_group_attr", "group_data", REPEATABLE, DISPUTED, "groups 6")

# Live groups only
GET_MEMBERS: Command[members.GetMembersRequest, members.GetMembersReply] = Command(
    AVCHATROOM_SERVICE, "get_members", "members", READ, DISPUTED, "doc 50293")

# Commands whose bodies have no models: not for Communities without topics. The stub refuses them.
WITHOUT_MODELS: Final[tuple[Command[WireModel, Reply], ...]] = (
    # Read receipts, and clearing the history
    Command(GROUP_SERVICE, "group_msg_receipt", UNMODELLED, REPEATABLE, NO, "doc cn-107478"),
    Command(GROUP_SERVICE, "get_group_msg_receipt", UNMODELLED, READ, NO, "doc 49439"),
    Command(GROUP_SERVICE, "get_group_msg_receipt_detail", UNMODELLED, READ, NO, "doc 49438"),
    Command(GROUP_SERVICE, "clear_group_msg", UNMODELLED, REPEATABLE, NO, "doc 65970/95617"),
    # Live groups only
    Command(GROUP_SERVICE, "ban_group_member", UNMODELLED, REPEATABLE, NO, "java-sdk"),
    Command(GROUP_SERVICE, "unban_group_member", UNMODELLED, REPEATABLE, NO, "java-sdk"),
    Command(GROUP_SERVICE, "get_group_ban_member", UNMODELLED, READ, NO, "java-sdk"),
    Command(AVCHATROOM_SERVICE, "modify_admin", UNMODELLED, REPEATABLE, NO, "doc 60525"),
    Command(AVCHATROOM_SERVICE, "get_admin_list", UNMODELLED, READ, NO, "doc 60524"),
    Command(AVCHATROOM_SERVICE, "check_members", UNMODELLED, READ, NO, "doc 60523"),
    Command(AVCHATROOM_SERVICE, "modify_user_info", UNMODELLED, REPEATABLE, NO, "groups 6"),
    Command(GROUP_SERVICE, "send_broadcast_msg", UNMODELLED, RANDOM, NO, "doc 49440",
            limits.CALLS_PER_SECOND_BROADCAST),
    # Communities with topics only
    Command(MILLION_GROUP_SERVICE, "create_topic", UNMODELLED, UNSAFE, NO, "docS create_topic"),
    Command(MILLION_GROUP_SERVICE, "get_topic", UNMODELLED, READ, NO, "groups 7.1"),
    Command(MILLION_GROUP_SERVICE, "modify_topic", UNMODELLED, REPEATABLE, NO, "groups 7.1"),
    Command(MILLION_GROUP_SERVICE, "destroy_topic", UNMODELLED, REPEATABLE, NO, "groups 7.1"),
    Command(GROUP_SERVICE, "import_topic", UNMODELLED, UNSAFE, NO, "doc 53448"),
    Command(GROUP_SERVICE, "create_permission_group", UNMODELLED, UNSAFE, NO, "doc 61232"),
    Command(GROUP_SERVICE, "modify_permission_group", UNMODELLED, REPEATABLE, NO, "doc 61234"),
    Command(GROUP_SERVICE, "get_permission_group", UNMODELLED, READ, NO, "doc 61235"),
    Command(GROUP_SERVICE, "add_permission_group_member", UNMODELLED, REPEATABLE, NO, "doc 61240"),
    Command(GROUP_SERVICE, "delete_permission_group_member", UNMODELLED, REPEATABLE, NO, "doc 61241"),
    Command(GROUP_SERVICE, "get_permission_group_member_list", UNMODELLED, READ, NO, "doc 61242/103976"),
)
# fmt: on

COMMANDS: Mapping[tuple[str, str], Command[Any, Any]] = MappingProxyType(
    {(row.service, row.name): row for row in (*globals().values(), *WITHOUT_MODELS) if isinstance(row, Command)}
)
