"""Which codes the page of a command lists as its own; the general ones of the REST gate and of UserSig come on top.

Codes of single items count as codes of their command.
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.command import Command

_USUAL: Final = frozenset({
    codes.INTERNAL_ERROR, codes.UNKNOWN_COMMAND, codes.BAD_PARAMETER, codes.NOT_ALLOWED, codes.NO_SUCH_GROUP,
    codes.BAD_GROUP_ID,
})  # fmt: skip
_TEXT: Final = frozenset({codes.TEXT_REJECTED})
_NEW_GROUP: Final = frozenset({
    codes.INTERNAL_ERROR, codes.UNKNOWN_COMMAND, codes.BAD_PARAMETER, codes.NOT_ALLOWED, codes.GROUP_ID_TAKEN,
    codes.TEXT_REJECTED,
})  # fmt: skip
_GROUP_QUOTA: Final = frozenset({
    codes.TOO_FREQUENT, codes.BAD_SIGNATURE_OR_EDITION, codes.WEBHOOK_REFUSED, codes.GROUP_ID_OWN,
    codes.AVCHATROOM_QUOTA, codes.USER_IN_TOO_MANY_GROUPS, codes.MEMBERS_OVER_PLAN,
})  # fmt: skip
_RECALL: Final = frozenset({
    codes.NO_SUCH_MESSAGE, codes.RECALL_TOO_LATE, codes.MESSAGE_NOT_RECALLABLE, codes.GROUP_NOT_RECALLABLE,
    codes.RECALL_DISABLED,
})  # fmt: skip
_EXTENSION_READ: Final = frozenset({
    codes.INTERNAL_ERROR, codes.BAD_PARAMETER, codes.BAD_SIGNATURE_OR_EDITION, codes.EXTENSION_NO_MESSAGE,
})  # fmt: skip
_EXTENSION_WRITE: Final = _EXTENSION_READ | {
    codes.EXTENSION_CONFLICT, codes.EXTENSION_UNSUPPORTED, codes.EXTENSION_TOO_FREQUENT,
}  # fmt: skip
_CONTACT: Final = frozenset({
    codes.CONTACT_NO_SUCH_ACCOUNT, codes.CONTACT_BAD_PARAMETER, codes.CONTACT_NOT_ADMIN, codes.CONTACT_INTERNAL_ERROR,
    codes.CONTACT_TIMEOUT,
})  # fmt: skip
_CONTACT_GROUP: Final = _CONTACT | {
    codes.CONVERSATIONS_PER_CALL_WRONG, codes.CONVERSATION_UNRESOLVED, codes.TOO_MANY_CONVERSATIONS,
    codes.NO_SUCH_CONTACT_GROUP, codes.TOO_MANY_CONTACT_GROUPS, codes.CONTACT_GROUP_NAME_TOO_LONG,
    codes.TOO_MANY_PINNED_CONVERSATIONS, codes.CONTACT_EDITION_TOO_LOW,
}  # fmt: skip
_OFFICIAL: Final = frozenset({
    codes.OFFICIAL_BAD_PARAMETER, codes.OFFICIAL_INTERNAL_ERROR, codes.BAD_PACKET, codes.MESSAGE_INTERNAL_ERROR,
    codes.OFFICIAL_NOT_ALLOWED, codes.NO_SUCH_OFFICIAL_ACCOUNT, codes.BAD_OFFICIAL_ACCOUNT_ID,
    codes.OFFICIAL_ACCOUNT_ID_TAKEN, codes.OFFICIAL_ACCOUNTS_OFF,
})  # fmt: skip
_OFFICIAL_MESSAGE: Final = _USUAL - {codes.BAD_GROUP_ID}
_ACCOUNT: Final = frozenset({
    codes.ACCOUNT_TIMEOUT, codes.ACCOUNT_BAD_PARAMETER, codes.ACCOUNT_NOT_ADMIN, codes.ACCOUNT_INTERNAL_ERROR,
})  # fmt: skip
_ACCOUNTS: Final = _ACCOUNT | {codes.ACCOUNT_BATCH_TIMEOUT}
_COUNTERS: Final = frozenset({
    codes.INTERNAL_ERROR, codes.BAD_PARAMETER, codes.NOT_ALLOWED, codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID,
    codes.EDITION_TOO_LOW, codes.TOO_MANY_COUNTERS,
})  # fmt: skip
_ATTRIBUTES: Final = frozenset({
    codes.ATTRIBUTE_KEY_TOO_LONG, codes.ATTRIBUTE_TOO_LONG, codes.TOO_MANY_ATTRIBUTES, codes.ATTRIBUTES_TOO_LARGE,
    codes.ATTRIBUTES_TOO_FREQUENT, codes.NO_SUCH_ATTRIBUTE, codes.ATTRIBUTE_CONFLICT,
})  # fmt: skip
_RECEIPTS: Final = _USUAL | {codes.RECEIPTS_GROUP_TOO_LARGE, codes.RECEIPTS_ONLINE_ONLY, codes.NO_SUCH_RECEIPT}
_PROFILE: Final = frozenset({
    codes.PROFILE_BAD_PARAMETER, codes.PROFILE_NO_SUCH_ACCOUNT, codes.PROFILE_NOT_ADMIN, codes.PROFILE_INTERNAL_ERROR,
    codes.PROFILE_UNKNOWN_TAG,
})  # fmt: skip

_BY_COMMAND: Final[Mapping[Command[Any, Any], Iterable[int]]] = {
    catalog.CREATE_GROUP: _NEW_GROUP | _GROUP_QUOTA | {codes.TOO_MANY_ACCOUNTS, codes.TRIAL_GROUP_QUOTA},
    catalog.IMPORT_GROUP: _NEW_GROUP,
    catalog.GET_GROUP_INFO: _USUAL | {codes.REPLY_TOO_LARGE},
    catalog.MODIFY_GROUP_BASE_INFO: _USUAL | _TEXT | {codes.COMMAND_DISABLED},
    catalog.DESTROY_GROUP: _USUAL,
    catalog.GET_JOINED_GROUP_LIST: {
        codes.INTERNAL_ERROR, codes.UNKNOWN_COMMAND, codes.BAD_PARAMETER, codes.REPLY_TOO_LARGE, codes.COMMUNITY_OFF,
    },
    catalog.GET_APPID_GROUP_LIST: {
        codes.INTERNAL_ERROR, codes.BAD_PARAMETER, codes.NOT_ALLOWED, codes.REPLY_TOO_LARGE,
    },
    catalog.CHANGE_GROUP_OWNER: _USUAL - {codes.UNKNOWN_COMMAND},
    catalog.SET_UNREAD_MSG_NUM: _USUAL,
    catalog.ADD_GROUP_MEMBER: _USUAL | {
        codes.TOO_MANY_ACCOUNTS, codes.GROUP_FULL, codes.WEBHOOK_REFUSED, codes.NO_SUCH_ACCOUNT,
        codes.COMMAND_DISABLED, codes.USER_IN_TOO_MANY_GROUPS,
    },
    catalog.DELETE_GROUP_MEMBER: _USUAL,
    catalog.GET_GROUP_MEMBER_INFO: _USUAL | {codes.REPLY_TOO_LARGE},
    catalog.GET_ROLE_IN_GROUP: _USUAL,
    catalog.MODIFY_GROUP_MEMBER_INFO: _USUAL | _TEXT,
    catalog.FORBID_SEND_MSG: _USUAL,
    catalog.GET_GROUP_MUTED_ACCOUNT: _USUAL,
    catalog.GET_GROUP_SHUTTED_UIN: _USUAL,
    catalog.IMPORT_GROUP_MEMBER: _USUAL | {codes.TOO_MANY_ACCOUNTS, codes.TOO_FREQUENT},
    catalog.SEND_GROUP_MSG: (_USUAL - {codes.UNKNOWN_COMMAND}) | _TEXT | {
        codes.WEBHOOK_REFUSED, codes.MUTED, codes.MESSAGES_TOO_FREQUENT, codes.MESSAGE_TOO_LONG, codes.WEBHOOK_SILENT,
        codes.IMAGE_REJECTED, codes.TOO_MANY_MENTIONS, codes.COMMUNITY_OFF, codes.MESSAGE_JSON_TOO_LONG,
    },
    catalog.MODIFY_GROUP_MSG: {
        codes.BAD_PACKET, codes.MESSAGE_SIGNATURE, codes.MESSAGE_NETWORK_ERROR, codes.MESSAGE_INTERNAL_ERROR,
        codes.MESSAGE_BAD_JSON, codes.MSG_BODY_MALFORMED, codes.MSG_BODY_NOT_AN_ARRAY, codes.ELEMENT_MALFORMED,
        codes.NO_RECEIVER, codes.MESSAGE_NOT_ADMIN, codes.MESSAGE_BACKEND_ERROR, codes.MESSAGE_WEBHOOK_SILENT,
    },
    catalog.GROUP_MSG_RECALL: _USUAL | _RECALL,
    catalog.GROUP_MSG_GET_SIMPLE: _USUAL | {codes.NO_HISTORY, codes.REPLY_TOO_LARGE},
    catalog.IMPORT_GROUP_MSG: _TEXT | {
        codes.BAD_PARAMETER, codes.NOT_ALLOWED, codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID, codes.IMPORTED_TOO_LONG,
        codes.MESSAGE_TOO_LONG,
    },
    catalog.DELETE_GROUP_MSG_BY_SENDER: _USUAL,
    catalog.SEND_GROUP_SYSTEM_NOTIFICATION: _USUAL,
    catalog.PIN_MESSAGE: {codes.TOO_MANY_PINS, codes.ALREADY_PINNED},
    catalog.GROUP_SET_KEY_VALUES: _EXTENSION_WRITE,
    catalog.SET_KEY_VALUES: _EXTENSION_WRITE,
    catalog.GROUP_GET_KEY_VALUES: _EXTENSION_READ,
    catalog.GET_KEY_VALUES: _EXTENSION_READ,
    catalog.CREATE_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.UPDATE_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.DEL_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.MARK_CONTACT: _CONTACT | {
        codes.CONVERSATIONS_PER_CALL_WRONG, codes.TOO_MANY_CONVERSATIONS, codes.CONTACT_EDITION_TOO_LOW,
    },
    catalog.SEARCH_CONTACT_GROUP: _CONTACT,
    catalog.GET_CONTACT_GROUP: _CONTACT,
    catalog.GET_RECENT_CONTACTS: _CONTACT,
    catalog.DELETE_RECENT_CONTACT: _CONTACT,
    catalog.CREATE_OFFICIAL_ACCOUNT: _OFFICIAL | {codes.MESSAGE_WEBHOOK_REFUSED, codes.OFFICIAL_ACCOUNT_QUOTA},
    catalog.DESTROY_OFFICIAL_ACCOUNT: _OFFICIAL,
    catalog.MODIFY_OFFICIAL_ACCOUNT_BASE_INFO: _OFFICIAL,
    catalog.GET_OFFICIAL_ACCOUNT_INFO: _OFFICIAL,
    catalog.ADD_SUBSCRIBER: _OFFICIAL | {
        codes.ALREADY_SUBSCRIBED, codes.OFFICIAL_ACCOUNT_FULL, codes.OFFICIAL_ACCOUNT_QUOTA,
    },
    catalog.DELETE_SUBSCRIBER: _OFFICIAL,
    catalog.GET_SUBSCRIBER_INFO: _OFFICIAL,
    catalog.MODIFY_SUBSCRIBER_INFO: _OFFICIAL | {codes.NO_SUCH_SUBSCRIPTION},
    catalog.GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST: _OFFICIAL,
    catalog.SEND_OFFICIAL_ACCOUNT_MSG: _OFFICIAL_MESSAGE | {codes.WEBHOOK_REFUSED},
    catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE: _OFFICIAL_MESSAGE,
    catalog.OFFICIAL_ACCOUNT_MSG_RECALL: _OFFICIAL_MESSAGE | {codes.NO_SUCH_MESSAGE, codes.OFFICIAL_NOT_RECALLABLE},
    catalog.ACCOUNT_IMPORT: _ACCOUNT | {
        codes.PROFILE_TEXT_REJECTED, codes.PROFILE_INTERNAL_ERROR, codes.PROFILE_VALUE_TOO_LONG, codes.ACCOUNT_QUOTA,
        codes.ACCOUNT_DELETED_RECENTLY,
    },
    catalog.MULTIACCOUNT_IMPORT: _ACCOUNTS | {codes.ACCOUNT_QUOTA},
    catalog.ACCOUNT_CHECK: _ACCOUNTS,
    catalog.ACCOUNT_DELETE: _ACCOUNTS | {
        codes.RELATIONS_INTERNAL_ERROR, codes.RELATIONS_TIMEOUT, codes.RELATIONS_CONFLICT,
        codes.PROFILE_INTERNAL_ERROR, codes.NO_SUCH_USER, codes.ACCOUNT_DELETE_DISABLED,
    },
    catalog.QUERY_ONLINE_STATUS: {codes.NO_SUCH_USER},
    catalog.PORTRAIT_SET: _PROFILE | {
        codes.PROFILE_TEXT_REJECTED, codes.PROFILE_NOT_WRITABLE, codes.PROFILE_VALUE_TOO_LONG,
        codes.PROFILE_BAD_VALUE, codes.PROFILE_BAD_TYPE,
    },
    catalog.PORTRAIT_GET: _PROFILE | {codes.PROFILE_NO_RECEIVER, codes.PROFILE_NOT_READABLE},
    catalog.GET_GROUP_COUNTER: _COUNTERS,
    catalog.UPDATE_GROUP_COUNTER: _COUNTERS,
    catalog.DELETE_GROUP_COUNTER: _COUNTERS,
    catalog.SET_GROUP_ATTR: _ATTRIBUTES,
    catalog.MODIFY_GROUP_ATTR: _ATTRIBUTES,
    catalog.DELETE_GROUP_ATTR: _ATTRIBUTES,
    catalog.GROUP_MSG_RECEIPT: _RECEIPTS,
    catalog.GET_GROUP_MSG_RECEIPT: _RECEIPTS,
    catalog.GET_GROUP_MSG_RECEIPT_DETAIL: _RECEIPTS,
    catalog.SEND_BROADCAST_MSG: {codes.NOT_ALLOWED, codes.MESSAGES_TOO_FREQUENT},
    catalog.CREATE_TOPIC: (_USUAL | _TEXT | _GROUP_QUOTA | {codes.COMMUNITY_OFF})
    - {codes.MEMBERS_OVER_PLAN},
}  # fmt: skip

_DOCUMENTED: Final = MappingProxyType(
    {(command.service, command.name): frozenset(listed) for command, listed in _BY_COMMAND.items()}
)


def documented(service: str, command: str) -> frozenset[int]:
    """The private codes on the command's page; empty where no page lists any."""
    return _DOCUMENTED.get((service, command), frozenset())
