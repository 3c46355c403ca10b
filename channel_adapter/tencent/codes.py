"""Documented codes: meaning, whether the call may be sent again, and what the caller can do.

Keyed on (service, command, code), because the same number means different things: 10004 is a bad parameter in groups
and an internal error in official accounts. A code has a constant where code compares against it or a command lists it.
Sources: `3.5` and the like are sections of the notes on REST basics, which name the document numbers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from channel_adapter.tencent import catalog
from channel_adapter.tencent.catalog import Command

ANY: Final = "*"


class Repeat(StrEnum):
    """Whether a call that failed with this code may be sent again."""  # [3.1]

    NEVER = "never"  # permanent until the caller, the data, the settings or the plan change
    AFTER_WAIT = "after a wait"  # refused before execution
    LATER = "later"  # refused before execution, for longer than a call lasts: up to an hour
    IF_REPEATABLE = "if repeatable"  # the outcome is unknown
    NEW_SIGNATURE = "new signature"  # once, with a new UserSig; refused before execution


class ErrorKind(StrEnum):
    """Kinds of errors by what the caller can do."""

    CONFIGURATION = "configuration"  # change a setting, the console, the plan
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"  # not this caller, not this target
    NOT_FOUND = "not found"
    CONFLICT = "conflict"  # read again, then decide
    INVALID = "invalid"  # send something else
    LIMIT = "limit"  # a quota is used up
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"  # moderation, a webhook, or a code that is not listed
    ALREADY = "already"  # the requested state exists already


@dataclass(frozen=True, slots=True)
class CodeRow:
    """One meaning of one code; `*` stands for every service or every command of the service."""

    service: str
    command: str
    code: int
    meaning: str
    repeat: Repeat
    kind: ErrorKind
    source: str


_ROWS: Final[dict[tuple[str, str, int], CodeRow]] = {}


def _add_row(service: str, command: str, code: int, meaning: str, repeat: Repeat, kind: ErrorKind, source: str) -> int:
    """Add a row and return its number, so that each number is typed once."""
    key = (service, command, code)
    if key in _ROWS:
        raise ValueError(f"code {code} has two rows for {service}/{command}")
    _ROWS[key] = CodeRow(service, command, code, meaning, repeat, kind, source)
    return code


_any = partial(_add_row, ANY, ANY)
_group = partial(_add_row, catalog.GROUP_SERVICE, ANY)
_extension = partial(_add_row, catalog.EXTENSION_SERVICE, ANY)
_contact = partial(_add_row, catalog.CONTACT_SERVICE, ANY)
_message = partial(_add_row, catalog.MESSAGE_SERVICE, ANY)
_official = partial(_add_row, catalog.OFFICIAL_SERVICE, ANY)


def _command(command: Command[Any, Any], code: int, meaning: str, repeat: Repeat, kind: ErrorKind, source: str) -> None:
    _add_row(command.service, command.name, code, meaning, repeat, kind, source)


def _official_message(code: int, meaning: str, repeat: Repeat, kind: ErrorKind, source: str) -> None:
    for command in (
        catalog.SEND_OFFICIAL_ACCOUNT_MSG,
        catalog.OFFICIAL_ACCOUNT_MSG_RECALL,
        catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE,
    ):
        _command(command, code, meaning, repeat, kind, source)


NEVER, WAIT, REPEAT, FRESH = Repeat.NEVER, Repeat.AFTER_WAIT, Repeat.IF_REPEATABLE, Repeat.NEW_SIGNATURE
LATER = Repeat.LATER
CONFIGURATION, AUTHENTICATION, PERMISSION = ErrorKind.CONFIGURATION, ErrorKind.AUTHENTICATION, ErrorKind.PERMISSION
NOT_FOUND, CONFLICT, INVALID, LIMIT = ErrorKind.NOT_FOUND, ErrorKind.CONFLICT, ErrorKind.INVALID, ErrorKind.LIMIT
THROTTLED, UNAVAILABLE, REFUSED, ALREADY = (
    ErrorKind.THROTTLED,
    ErrorKind.UNAVAILABLE,
    ErrorKind.REFUSED,
    ErrorKind.ALREADY,
)

OK: Final = 0

# UserSig, every service
SIGNATURE_EXPIRED = _any(70001, "the UserSig has expired", FRESH, AUTHENTICATION, "2.3")
SIGNATURE_EMPTY = _any(70002, "the UserSig is empty", FRESH, AUTHENTICATION, "2.3")
SIGNATURE_UNREADABLE = _any(70003, "the UserSig cannot be parsed", FRESH, AUTHENTICATION, "2.3")
_any(70005, "the UserSig is invalid", FRESH, AUTHENTICATION, "2.3")
SIGNATURE_WRONG_KEY = _any(70009, "the key does not belong to this SDKAppID", NEVER, AUTHENTICATION, "2.3")
SIGNATURE_OF_ANOTHER_USER = _any(70013, "the UserSig is of another identifier", NEVER, AUTHENTICATION, "2.3")
SIGNATURE_OF_ANOTHER_APP = _any(70014, "the UserSig is of another SDKAppID", NEVER, AUTHENTICATION, "2.3")
NO_KEY_ON_RECORD = _any(70016, "no key on record, or a host of another region", NEVER, AUTHENTICATION, "2.3")
UNKNOWN_APP = _any(70020, "the SDKAppID is unknown, or the host is of another region", NEVER, AUTHENTICATION, "2.3")
SIGNATURE_LOCKED = _any(70050, "too many failed checks, locked for about a minute", NEVER, AUTHENTICATION, "2.3")
_any(70051, "the account is on a blocklist", NEVER, PERMISSION, "2.3")
SIGNATURE_ENDED = _any(70052, "the UserSig is no longer valid, perhaps after a kick", FRESH, AUTHENTICATION, "2.3")
_any(70101, "the login ticket has expired", FRESH, AUTHENTICATION, "2.3")

# The REST gate, every service
BAD_URL = _any(60002, "the URL or the HTTP request cannot be parsed", NEVER, INVALID, "3.5")
BAD_JSON = _any(60003, "the body is not valid JSON", NEVER, INVALID, "3.5")
ACCOUNT_CHECK_FAILED = _any(60004, "the check of the account failed, retry later", REPEAT, UNAVAILABLE, "doc 34348")
_any(60005, "the check of the account failed, retry later", REPEAT, UNAVAILABLE, "doc 34348")
_any(60006, "the SDKAppID is not valid", NEVER, CONFIGURATION, "3.5")
COMMAND_TOO_OFTEN = _any(60007, "this command is called too often", WAIT, THROTTLED, "3.5")
SERVICE_TIMEOUT = _any(60008, "the service timed out, or service and command do not fit", REPEAT, UNAVAILABLE, "3.5")
NO_SUCH_SERVICE = _any(60009, "no such resource, check the URL", NEVER, INVALID, "3.5")
NOT_APP_ADMIN = _any(60010, "the identifier is not an app admin", NEVER, PERMISSION, "3.5")
APP_TOO_OFTEN = _any(60011, "the whole app calls too often", WAIT, THROTTLED, "3.5")
NO_APP_ID = _any(60012, "sdkappid is missing", NEVER, CONFIGURATION, "3.5")
_any(60013, "the answer inside the service was not valid JSON", REPEAT, UNAVAILABLE, "3.5")
_any(60014, "the account lookup timed out", REPEAT, UNAVAILABLE, "3.5")
ACCOUNT_NOT_A_STRING = _any(60015, "an account must be a JSON string", NEVER, INVALID, "3.5")
APP_DISABLED = _any(60016, "the app is disabled", NEVER, PERMISSION, "3.5")
REQUEST_FORBIDDEN = _any(60017, "this request is forbidden", NEVER, PERMISSION, "3.5")
_any(60018, "too frequent", WAIT, THROTTLED, "3.5")
_any(60019, "too frequent", WAIT, THROTTLED, "3.5")
PLAN_INACTIVE = _any(60020, "the plan has expired or is not active yet", NEVER, CONFIGURATION, "3.5")
IP_NOT_ALLOWED = _any(60021, "the caller's IP address is not on the allow-list", NEVER, PERMISSION, "3.5")
BAD_CREDENTIALS = _any(
    60025, "SDKAppID, identifier, UserSig or contenttype is missing or wrong", FRESH, AUTHENTICATION, "doc 34348"
)
HOST_OF_ANOTHER_REGION = _any(60026, "the host does not fit the app's region", NEVER, CONFIGURATION, "doc 34348")
TRIAL_VOLUME = _any(60027, "the trial volume of 24 hours is used up", NEVER, LIMIT, "doc 34348")
_any(60028, "the trial volume of 24 hours is used up", NEVER, LIMIT, "doc 34348")
TEXT_REJECTED = _any(80001, "the text was rejected by moderation", NEVER, REFUSED, "3.5")
MESSAGE_TOO_LONG = _any(80002, "the message is over 12 KB", NEVER, INVALID, "3.5")
WEBHOOK_SILENT = _any(80003, "the before-send webhook failed; nothing was delivered", REPEAT, UNAVAILABLE, "3.5")
IMAGE_REJECTED = _any(80004, "the image was rejected by moderation", NEVER, REFUSED, "3.5")
SERVICE_SUSPENDED = _any(80005, "the service is stopped or in arrears", NEVER, CONFIGURATION, "doc 34348")
_any(80101, "the content was rejected", NEVER, REFUSED, "3.5")
MESSAGE_JSON_TOO_LONG = _any(93000, "the JSON of a message is too long", NEVER, INVALID, "3.5")

# Accounts and profiles
NO_SUCH_USER = _any(70107, "the account does not exist", NEVER, NOT_FOUND, "3.6")
_any(70114, "restricted for security reasons", NEVER, PERMISSION, "3.6")
ACCOUNT_TIMEOUT = _any(70169, "timeout inside the service", REPEAT, UNAVAILABLE, "3.6")
ACCOUNT_BATCH_TIMEOUT = _any(70202, "timeout inside the service", REPEAT, UNAVAILABLE, "3.6")
ACCOUNT_BATCH_SIZE = _any(70206, "illegal number of items", NEVER, INVALID, "3.6")
ACCOUNT_QUOTA = _any(70398, "the app has no room for more accounts", NEVER, LIMIT, "3.6")
ACCOUNT_DELETED_RECENTLY = _any(
    70399, "the account was deleted and cannot be imported again for three months", NEVER, PERMISSION, "doc 34348"
)
ACCOUNT_BAD_PARAMETER = _any(70402, "illegal parameter or missing field", NEVER, INVALID, "3.6")
ACCOUNT_NOT_ADMIN = _any(70403, "needs an app admin", NEVER, PERMISSION, "3.6")
_any(70404, "the account does not exist", NEVER, NOT_FOUND, "doc 34348; meaning inferred")
ACCOUNT_INTERNAL_ERROR = _any(70500, "internal error", REPEAT, UNAVAILABLE, "3.6")
ACCOUNT_DELETE_DISABLED = _any(71000, "deleting accounts is not enabled for this app", NEVER, CONFIGURATION, "3.6")
_any(72000, "trial app: too many daily active users", NEVER, LIMIT, "3.6")
_any(72001, "user status is not enabled in the console", NEVER, CONFIGURATION, "3.6")
for _code in (72002, 72010, 72011):
    _any(
        _code, "user status or profile subscription is not available to this app", NEVER, CONFIGURATION,
        "doc 34348; meaning inferred",
    )  # fmt: skip
_any(72012, "profile subscription is not enabled in the console", NEVER, CONFIGURATION, "3.6")
PROFILE_BAD_PARAMETER = _any(40001, "bad parameter", NEVER, INVALID, "3.6")
PROFILE_NO_RECEIVER = _any(40002, "To_Account is missing", NEVER, INVALID, "3.6")
PROFILE_NO_SUCH_ACCOUNT = _any(40003, "the account does not exist", NEVER, NOT_FOUND, "3.6")
PROFILE_NOT_ADMIN = _any(40004, "needs an app admin", NEVER, PERMISSION, "3.6")
PROFILE_TEXT_REJECTED = _any(40005, "a field holds a sensitive word", NEVER, REFUSED, "3.6")
PROFILE_INTERNAL_ERROR = _any(40006, "internal error", REPEAT, UNAVAILABLE, "3.6")
PROFILE_NOT_READABLE = _any(40007, "no read permission on that field", NEVER, PERMISSION, "3.6")
PROFILE_NOT_WRITABLE = _any(40008, "no write permission on that field", NEVER, PERMISSION, "3.6")
PROFILE_UNKNOWN_TAG = _any(40009, "unknown Tag", NEVER, INVALID, "3.6")
PROFILE_VALUE_TOO_LONG = _any(40601, "a value is over 500 bytes", NEVER, INVALID, "3.6")
PROFILE_BAD_VALUE = _any(40605, "value not allowed for a standard field", NEVER, INVALID, "3.6")
PROFILE_BAD_TYPE = _any(40610, "value of a wrong JSON type", NEVER, INVALID, "3.6")
_any(30005, "a field of a relation holds a sensitive word", NEVER, REFUSED, "doc 34348")
RELATIONS_INTERNAL_ERROR = _any(30006, "internal error while clearing relations", REPEAT, UNAVAILABLE, "3.6")
RELATIONS_TIMEOUT = _any(30007, "timeout while clearing relations", REPEAT, UNAVAILABLE, "3.6")
RELATIONS_CONFLICT = _any(30008, "concurrent change of relations", NEVER, CONFLICT, "3.6")

# Groups
INTERNAL_ERROR = _group(10002, "internal error", REPEAT, UNAVAILABLE, "3.7")
UNKNOWN_COMMAND = _group(10003, "unknown command", NEVER, INVALID, "3.7")
BAD_PARAMETER = _group(10004, "illegal parameter", NEVER, INVALID, "3.7")
TOO_MANY_ACCOUNTS = _group(10005, "too many accounts in one request", NEVER, INVALID, "3.7")
TOO_FREQUENT = _group(10006, "operation too frequent", WAIT, THROTTLED, "3.7")
_command(catalog.CREATE_GROUP, TOO_FREQUENT, "quota of new groups used up", NEVER, LIMIT, "3.7")
NOT_ALLOWED = _group(10007, "not allowed for this caller, role or group type", NEVER, PERMISSION, "3.7")
BAD_SIGNATURE_OR_EDITION = _group(10008, "request not legal: signature", FRESH, AUTHENTICATION, "3.7")
OWNER_CANNOT_LEAVE = _group(10009, "the owner may not leave this group type", NEVER, PERMISSION, "3.7")
NO_SUCH_GROUP = _group(10010, "the group does not exist or was dissolved", NEVER, NOT_FOUND, "3.7")
_group(10011, "the body cannot be parsed", NEVER, INVALID, "3.7")
_group(10012, "the operator's id is illegal", NEVER, INVALID, "3.7")
ALREADY_MEMBER = _group(10013, "already a member", NEVER, ALREADY, "3.7")
GROUP_FULL = _group(10014, "the group is full", NEVER, LIMIT, "3.7")
BAD_GROUP_ID = _group(10015, "the group id is illegal or unknown", NEVER, NOT_FOUND, "3.7")
WEBHOOK_REFUSED = _group(10016, "the app's own webhook refused", NEVER, REFUSED, "3.7")
MUTED = _group(10017, "the sender is muted", NEVER, PERMISSION, "3.7")
REPLY_TOO_LARGE = _group(10018, "the answer would be over 1 MB: ask for less", NEVER, LIMIT, "3.7")
NO_SUCH_ACCOUNT = _group(10019, "an account does not exist", NEVER, NOT_FOUND, "3.7")
IMPORTED_TOO_LONG = _group(10020, "an imported message is too long", NEVER, INVALID, "doc 1635")
GROUP_ID_TAKEN = _group(10021, "the group id is taken by someone else", NEVER, CONFLICT, "3.7")
MESSAGES_TOO_FREQUENT = _group(10023, "message frequency exceeded", WAIT, THROTTLED, "3.7")
_group(10024, "the join request was handled already", NEVER, ALREADY, "3.7")
GROUP_ID_OWN = _group(10025, "the group id is taken, and the operator owns it", NEVER, ALREADY, "3.7")
COMMAND_DISABLED = _group(10026, "the command is disabled for this app", NEVER, PERMISSION, "3.7")
NO_SUCH_MESSAGE = _group(10030, "the message to recall does not exist", NEVER, NOT_FOUND, "3.7")
RECALL_TOO_LATE = _group(10031, "the time to recall has passed", NEVER, PERMISSION, "3.7")
MESSAGE_NOT_RECALLABLE = _group(10032, "this message cannot be recalled", NEVER, PERMISSION, "3.7")
GROUP_NOT_RECALLABLE = _group(10033, "this group type cannot recall", NEVER, PERMISSION, "3.7")
_group(10034, "this message type cannot be deleted", NEVER, PERMISSION, "3.7")
_group(10035, "this group type cannot delete messages", NEVER, PERMISSION, "3.7")
AVCHATROOM_QUOTA = _group(10036, "too many AVChatRooms", NEVER, LIMIT, "3.7")
USER_IN_TOO_MANY_GROUPS = _group(10037, "the user is in too many groups", NEVER, LIMIT, "3.7")
MEMBERS_OVER_PLAN = _group(10038, "more members than the plan allows", NEVER, LIMIT, "3.7")
RECALL_DISABLED = _group(10041, "recall is switched off for this app", NEVER, CONFIGURATION, "3.7")
NO_HISTORY = _group(10044, "this group type keeps no history", NEVER, PERMISSION, "3.7")
ATTRIBUTE_KEY_TOO_LONG = _group(10045, "a group attribute's key is over 32 bytes", NEVER, INVALID, "3.7")
ATTRIBUTE_TOO_LONG = _group(10046, "a group attribute's value is over 4000 bytes", NEVER, INVALID, "3.7")
TOO_MANY_ATTRIBUTES = _group(10047, "more than 16 group attributes", NEVER, LIMIT, "3.7")
ATTRIBUTES_TOO_LARGE = _group(10048, "group attributes over 16000 bytes in all", NEVER, LIMIT, "3.7")
ATTRIBUTES_TOO_FREQUENT = _group(10049, "group attributes are written too often", WAIT, THROTTLED, "3.7")
NO_SUCH_ATTRIBUTE = _group(10050, "the group attribute to delete does not exist", NEVER, NOT_FOUND, "3.7")
_group(10051, "the range to delete is too large", NEVER, INVALID, "3.7")
_group(10052, "there is nothing to delete", NEVER, NOT_FOUND, "3.7")
TOO_MANY_MENTIONS = _group(10053, "more than 30 mentions", NEVER, INVALID, "3.7")
_group(10054, "too many members, page the request", NEVER, LIMIT, "3.7")
ATTRIBUTE_CONFLICT = _group(10056, "concurrent write of group attributes", NEVER, CONFLICT, "3.7")
TRIAL_GROUP_QUOTA = _group(10058, "trial app: more than 100 groups", NEVER, LIMIT, "3.7")
EDITION_TOO_LOW = _group(10059, "the feature needs a higher edition", NEVER, CONFIGURATION, "3.7")
_group(10060, "the group is too large for read receipts", NEVER, LIMIT, "3.7")
_group(10061, "an online-only message has no read receipts", NEVER, INVALID, "3.7")
_group(10062, "the message has no read receipt", NEVER, NOT_FOUND, "3.7")
TOO_MANY_COUNTERS = _group(10063, "more than 20 group counters", NEVER, LIMIT, "3.7")
TOO_MANY_PINS = _group(10070, "too many pinned messages", NEVER, LIMIT, "sdk-hdr 8.0; doc cn-133874")
ALREADY_PINNED = _group(10071, "the message is pinned already", NEVER, ALREADY, "sdk-hdr 8.0; doc cn-133874")
COMMUNITY_OFF = _group(11000, "Communities are not enabled for this app", NEVER, CONFIGURATION, "3.7")

# Messages outside the group service
BAD_PACKET = _any(20001, "illegal request packet", NEVER, INVALID, "3.8")
MESSAGE_SIGNATURE = _any(20002, "UserSig or ticket invalid", FRESH, AUTHENTICATION, "3.8")
NO_SUCH_PARTY = _any(20003, "sender or receiver invalid or not imported", NEVER, NOT_FOUND, "3.8")
MESSAGE_NETWORK_ERROR = _any(20004, "network error inside the service", REPEAT, UNAVAILABLE, "3.8")
MESSAGE_INTERNAL_ERROR = _any(20005, "internal error", REPEAT, UNAVAILABLE, "3.8")
MESSAGE_WEBHOOK_REFUSED = _any(20006, "the app's own webhook refused", NEVER, REFUSED, "3.8; doc 60795")
_any(20007, "the receiver has blocked the sender", NEVER, PERMISSION, "3.8")
_any(20009, "the friendship check failed", NEVER, PERMISSION, "3.8")
_any(20010, "the friendship check failed", NEVER, PERMISSION, "3.8")
_any(20011, "the friendship check failed", NEVER, PERMISSION, "3.8")
C2C_MUTED = _any(20012, "the sender is muted", NEVER, PERMISSION, "3.8")
C2C_RECALL_TOO_LATE = _any(20016, "the time to recall has passed", NEVER, PERMISSION, "3.8")
C2C_DELETION_ERROR = _any(20018, "internal error while deleting stored messages", REPEAT, UNAVAILABLE, "3.8")
NO_MESSAGE_TO_RECALL = _any(20022, "the message to recall does not exist", NEVER, NOT_FOUND, "3.8")
ALREADY_RECALLED = _any(20023, "the message was recalled already", NEVER, ALREADY, "3.8")
NO_MESSAGE_TO_MODIFY = _any(20026, "the message to modify does not exist", NEVER, NOT_FOUND, "js-sdk")
_any(20027, "the message was modified by someone else", NEVER, CONFLICT, "js-sdk")
MODIFY_CONFLICT = _any(20028, "concurrent modification of one message", NEVER, CONFLICT, "3.8")
_any(22002, "network error of the push service", REPEAT, UNAVAILABLE, "3.8")
_any(22006, "too frequent", WAIT, THROTTLED, "3.8")
_any(22007, "the message is not accepted by the push service", NEVER, INVALID, "doc 34348; meaning inferred")
MESSAGE_BAD_JSON = _any(90001, "the body cannot be parsed", NEVER, INVALID, "3.8")
MSG_BODY_MALFORMED = _any(90002, "MsgBody is malformed", NEVER, INVALID, "3.8")
NO_RECEIVER = _any(90003, "To_Account is missing", NEVER, INVALID, "3.8")
BAD_MSG_RANDOM = _any(90005, "MsgRandom is missing or no integer", NEVER, INVALID, "3.8")
BAD_MSG_TIME = _any(90006, "MsgTimeStamp is missing or no integer", NEVER, INVALID, "3.8")
MSG_BODY_NOT_AN_ARRAY = _any(90007, "MsgBody is not an array", NEVER, INVALID, "3.8")
NO_SENDER = _any(90008, "From_Account is missing or does not exist", NEVER, NOT_FOUND, "3.8")
MESSAGE_NOT_ADMIN = _any(90009, "needs an app admin", NEVER, PERMISSION, "3.8")
ELEMENT_MALFORMED = _any(90010, "an element of MsgBody is malformed", NEVER, INVALID, "3.8")
TOO_MANY_RECEIVERS = _any(90011, "more than 500 receivers", NEVER, INVALID, "3.8")
RECEIVER_NOT_IMPORTED = _any(90012, "To_Account is not imported", NEVER, NOT_FOUND, "3.8")
_any(90018, "too many accounts", NEVER, INVALID, "3.8")
BAD_OFFLINE_TIME = _any(90026, "illegal time of offline storage", NEVER, INVALID, "3.8")
BAD_SYNC = _any(90031, "SyncOtherMachine is malformed", NEVER, INVALID, "3.8")
BAD_PUSH_INFO = _any(90043, "OfflinePushInfo is malformed", NEVER, INVALID, "3.8")
BAD_LIFE_TIME = _any(90044, "MsgLifeTime is malformed", NEVER, INVALID, "3.8")
NO_SUCH_PEER = _any(90048, "the account does not exist", NEVER, NOT_FOUND, "3.8")
BAD_MSG_KEY = _any(90054, "MsgKey is illegal", NEVER, INVALID, "3.8")
BATCH_TOO_LONG = _any(90055, "the batch message is too long", NEVER, INVALID, "3.8")
BATCH_TOO_FREQUENT = _any(90057, "more than 12,000 batch messages a minute", WAIT, THROTTLED, "doc 34348; doc cn-1612")
for _code in range(110_006, 110_015):
    _any(
        _code, "an additional service is not available to this app", NEVER, CONFIGURATION, "doc 34348; meaning inferred"
    )
MESSAGE_WEBHOOK_SILENT = _any(90992, "internal error, or the webhook does not answer", REPEAT, UNAVAILABLE, "3.8")
MESSAGE_STORE_ERROR = _any(90994, "internal error", REPEAT, UNAVAILABLE, "3.8")
MESSAGE_ROUTE_ERROR = _any(90995, "internal error", REPEAT, UNAVAILABLE, "3.8")
MESSAGE_BACKEND_ERROR = _any(91000, "internal error", REPEAT, UNAVAILABLE, "3.8")
_message(130002, "the user is neither subscribed to the official account nor manages it", NEVER, PERMISSION, "inferred")
_message(131000, "official accounts are not enabled: they need the plan Enterprise", NEVER, CONFIGURATION, "inferred")
_command(catalog.MODIFY_GROUP_MSG, NO_SUCH_GROUP, "no such group", NEVER, NOT_FOUND, "inferred")
_command(catalog.MODIFY_GROUP_MSG, BAD_GROUP_ID, "illegal group id", NEVER, NOT_FOUND, "inferred")

# Message extensions and reactions
_extension(INTERNAL_ERROR, "internal error", REPEAT, UNAVAILABLE, "doc 52170")
_extension(BAD_PARAMETER, "bad parameter", NEVER, INVALID, "doc 52170")
_extension(NOT_ALLOWED, "not allowed for this group type", NEVER, PERMISSION, "inferred")
_extension(BAD_SIGNATURE_OR_EDITION, "the edition has no message extensions", NEVER, CONFIGURATION, "3.8")
EXTENSION_CONFLICT = _extension(23001, "the key was changed by someone else", NEVER, CONFLICT, "3.8")
EXTENSION_UNSUPPORTED = _extension(23002, "the message supports no extensions", NEVER, PERMISSION, "3.8")
EXTENSION_TOO_FREQUENT = _extension(23003, "over 200 writes a minute on one message", WAIT, THROTTLED, "3.8")
EXTENSION_NO_MESSAGE = _extension(23004, "the message or the key does not exist", NEVER, NOT_FOUND, "3.8")
_extension(23005, "too many different reactions on the message", NEVER, LIMIT, "3.8")
_extension(23006, "too many users on one reaction", NEVER, LIMIT, "3.8")
_extension(23007, "the user has this reaction already", NEVER, ALREADY, "3.8")
_extension(23008, "the reaction is gone already", NEVER, ALREADY, "3.8")
_extension(23009, "the user has no such reaction", NEVER, ALREADY, "3.8")

# Recent contacts and conversation groups
CONTACT_NO_SUCH_ACCOUNT = _contact(50001, "the account is not imported", NEVER, NOT_FOUND, "3.9")
CONTACT_BAD_PARAMETER = _contact(50002, "bad parameter", NEVER, INVALID, "3.9")
CONTACT_NOT_ADMIN = _contact(50003, "needs an app admin", NEVER, PERMISSION, "3.9")
CONTACT_INTERNAL_ERROR = _contact(50004, "internal error", REPEAT, UNAVAILABLE, "3.9")
CONTACT_TIMEOUT = _contact(50005, "network timeout", REPEAT, UNAVAILABLE, "3.9")
CONVERSATIONS_PER_CALL_WRONG = _contact(51006, "no conversation, or more than 100", NEVER, INVALID, "3.9")
CONVERSATION_UNRESOLVED = _contact(
    51007, "the user is not in the group, or the group does not exist", NEVER, NOT_FOUND, "doc 34348"
)
TOO_MANY_CONVERSATIONS = _contact(51008, "more than 1000 grouped conversations", NEVER, LIMIT, "3.9")
NO_SUCH_CONTACT_GROUP = _contact(51009, "the conversation group does not exist", NEVER, NOT_FOUND, "3.9")
TOO_MANY_CONTACT_GROUPS = _contact(51010, "more than 20 conversation groups", NEVER, LIMIT, "3.9")
CONTACT_GROUP_NAME_TOO_LONG = _contact(51011, "the name is over 32 bytes", NEVER, INVALID, "3.9")
TOO_MANY_PINNED_CONVERSATIONS = _contact(51012, "too many pinned conversations", NEVER, LIMIT, "3.9")
CONTACT_EDITION_TOO_LOW = _contact(51013, "the edition has no conversation groups", NEVER, CONFIGURATION, "3.9")

# Official accounts: management commands, then the three message commands with the group codes
OFFICIAL_BAD_PARAMETER = _official(6017, "illegal parameter", NEVER, INVALID, "3.10")
OFFICIAL_INTERNAL_ERROR = _official(BAD_PARAMETER, "internal error", REPEAT, UNAVAILABLE, "3.10")
OFFICIAL_NOT_ALLOWED = _official(
    130002, "permission denied: the user is neither subscribed nor a manager", NEVER, PERMISSION, "doc 34348"
)
NO_SUCH_OFFICIAL_ACCOUNT = _official(130004, "the official account does not exist", NEVER, NOT_FOUND, "3.10")
ALREADY_SUBSCRIBED = _official(130005, "already subscribed", NEVER, ALREADY, "doc 34348")
OFFICIAL_ACCOUNT_FULL = _official(
    130006, "the official account has no room for more subscribers", NEVER, LIMIT, "doc 34348"
)
BAD_OFFICIAL_ACCOUNT_ID = _official(130007, "the official account's id is malformed", NEVER, INVALID, "3.10")
OFFICIAL_ACCOUNT_ID_TAKEN = _official(130008, "the official account's id is taken", NEVER, CONFLICT, "3.10")
OFFICIAL_NOT_RECALLABLE = _official(
    130009, "the official account does not support deletion of messages", NEVER, CONFIGURATION, "doc 34348"
)
OFFICIAL_ACCOUNT_QUOTA = _official(
    130010, "too many official accounts created by the app or subscribed by the user", NEVER, LIMIT, "doc 34348"
)
OFFICIAL_ACCOUNTS_OFF = _official(
    131000, "official accounts are not enabled: they need the plan Enterprise", NEVER, CONFIGURATION, "3.10"
)
NO_SUCH_SUBSCRIPTION = _official(131003, "the user is not subscribed", NEVER, NOT_FOUND, "doc 34348")
_official(131005, "the client SDK is too old for official accounts", NEVER, CONFIGURATION, "doc 34348")
_official_message(INTERNAL_ERROR, "internal error", REPEAT, UNAVAILABLE, "doc 60811")
_official_message(UNKNOWN_COMMAND, "unknown command", NEVER, INVALID, "doc 60811")
_official_message(BAD_PARAMETER, "illegal parameter", NEVER, INVALID, "doc 60811")
_official_message(NOT_ALLOWED, "permission denied", NEVER, PERMISSION, "doc 60811")
_official_message(NO_SUCH_GROUP, "the official account does not exist", NEVER, NOT_FOUND, "doc 60811")
_official_message(BAD_GROUP_ID, "the official account's id is malformed", NEVER, INVALID, "inferred")
_official_message(WEBHOOK_REFUSED, "the app's own webhook refused", NEVER, REFUSED, "doc 60803")
_command(
    catalog.SEND_OFFICIAL_ACCOUNT_MSG, MESSAGES_TOO_FREQUENT, "more than one broadcast a second or two an hour",
    LATER, THROTTLED, "inferred",
)  # fmt: skip
for _reading in (catalog.OFFICIAL_ACCOUNT_MSG_RECALL, catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE):
    _command(_reading, MESSAGES_TOO_FREQUENT, "called too often for this account", WAIT, THROTTLED, "inferred")
_official_message(NO_SUCH_MESSAGE, "the message to recall does not exist", NEVER, NOT_FOUND, "doc 60811")
_official_message(RECALL_TOO_LATE, "the time to recall has passed", NEVER, PERMISSION, "inferred")
_official_message(MESSAGE_NOT_RECALLABLE, "this message cannot be recalled", NEVER, PERMISSION, "inferred")

NO_GROUP_CODES: Final = frozenset({NO_SUCH_GROUP, BAD_GROUP_ID})
"""A group does not exist, or in commands on messages an official account."""
OWN_WEBHOOK_CODES: Final = (range(10100, 10201), range(120001, 130001))  # of groups, of one-to-one [doc 1671]
ROWS: Final = tuple(_ROWS.values())
_SERVICES_WITH_GROUP_CODES: Final = frozenset(
    {catalog.MILLION_GROUP_SERVICE, catalog.GROUP_ATTR_SERVICE, catalog.AVCHATROOM_SERVICE}
)


def look_up(service: str, command: str, code: int) -> CodeRow:
    """Return the most specific row of a code; a code that is not listed is permanent."""  # [27]
    family = catalog.GROUP_SERVICE if service in _SERVICES_WITH_GROUP_CODES else service
    for key in ((service, command, code), (family, ANY, code), (ANY, ANY, code)):
        if key in _ROWS:
            return _ROWS[key]
    if any(code in own for own in OWN_WEBHOOK_CODES):
        return CodeRow(service, command, code, "a code of the app's own webhook", NEVER, REFUSED, "doc 1671")
    return CodeRow(service, command, code, "the code is not listed in the documentation", NEVER, REFUSED, "unlisted")


# Which codes the page of a command lists as its own; the general ones of the REST gate and of UserSig come on top.
# Codes of single items count as codes of their command.
_USUAL: Final = frozenset({
    INTERNAL_ERROR, UNKNOWN_COMMAND, BAD_PARAMETER, NOT_ALLOWED, NO_SUCH_GROUP,
    BAD_GROUP_ID,
})  # fmt: skip
_TEXT: Final = frozenset({TEXT_REJECTED})
_NEW_GROUP: Final = frozenset({
    INTERNAL_ERROR, UNKNOWN_COMMAND, BAD_PARAMETER, NOT_ALLOWED, GROUP_ID_TAKEN,
    TEXT_REJECTED,
})  # fmt: skip
_GROUP_QUOTA: Final = frozenset({
    TOO_FREQUENT, BAD_SIGNATURE_OR_EDITION, WEBHOOK_REFUSED, GROUP_ID_OWN,
    AVCHATROOM_QUOTA, USER_IN_TOO_MANY_GROUPS, MEMBERS_OVER_PLAN,
})  # fmt: skip
_RECALL: Final = frozenset({
    NO_SUCH_MESSAGE, RECALL_TOO_LATE, MESSAGE_NOT_RECALLABLE, GROUP_NOT_RECALLABLE,
    RECALL_DISABLED,
})  # fmt: skip
_EXTENSION_READ: Final = frozenset({
    INTERNAL_ERROR, BAD_PARAMETER, BAD_SIGNATURE_OR_EDITION, EXTENSION_NO_MESSAGE,
})  # fmt: skip
_EXTENSION_WRITE: Final = _EXTENSION_READ | {
    EXTENSION_CONFLICT, EXTENSION_UNSUPPORTED, EXTENSION_TOO_FREQUENT,
}  # fmt: skip
_C2C: Final = frozenset({
    MESSAGE_BAD_JSON, NO_RECEIVER, NO_SENDER, MESSAGE_NOT_ADMIN, MESSAGE_BACKEND_ERROR,
})  # fmt: skip
_C2C_SEND: Final = _C2C | {
    NO_SUCH_PARTY, MSG_BODY_MALFORMED, BAD_MSG_RANDOM, MSG_BODY_NOT_AN_ARRAY, ELEMENT_MALFORMED,
    RECEIVER_NOT_IMPORTED, BAD_OFFLINE_TIME, BAD_SYNC, BAD_PUSH_INFO, BAD_LIFE_TIME, NO_SUCH_PEER,
    MESSAGE_WEBHOOK_SILENT, MESSAGE_STORE_ERROR, MESSAGE_ROUTE_ERROR,
}  # fmt: skip
_CONTACT: Final = frozenset({
    CONTACT_NO_SUCH_ACCOUNT, CONTACT_BAD_PARAMETER, CONTACT_NOT_ADMIN, CONTACT_INTERNAL_ERROR,
    CONTACT_TIMEOUT,
})  # fmt: skip
_CONTACT_GROUP: Final = _CONTACT | {
    CONVERSATIONS_PER_CALL_WRONG, CONVERSATION_UNRESOLVED, TOO_MANY_CONVERSATIONS,
    NO_SUCH_CONTACT_GROUP, TOO_MANY_CONTACT_GROUPS, CONTACT_GROUP_NAME_TOO_LONG,
    TOO_MANY_PINNED_CONVERSATIONS, CONTACT_EDITION_TOO_LOW,
}  # fmt: skip
_OFFICIAL: Final = frozenset({
    OFFICIAL_BAD_PARAMETER, OFFICIAL_INTERNAL_ERROR, BAD_PACKET, MESSAGE_INTERNAL_ERROR,
    OFFICIAL_NOT_ALLOWED, NO_SUCH_OFFICIAL_ACCOUNT, BAD_OFFICIAL_ACCOUNT_ID,
    OFFICIAL_ACCOUNT_ID_TAKEN, OFFICIAL_ACCOUNTS_OFF,
})  # fmt: skip
_OFFICIAL_MESSAGE: Final = _USUAL - {BAD_GROUP_ID}
_ACCOUNT: Final = frozenset({
    ACCOUNT_TIMEOUT, ACCOUNT_BAD_PARAMETER, ACCOUNT_NOT_ADMIN, ACCOUNT_INTERNAL_ERROR,
})  # fmt: skip
_ACCOUNTS: Final = _ACCOUNT | {ACCOUNT_BATCH_TIMEOUT}
_COUNTERS: Final = frozenset({
    INTERNAL_ERROR, BAD_PARAMETER, NOT_ALLOWED, NO_SUCH_GROUP, BAD_GROUP_ID,
    EDITION_TOO_LOW, TOO_MANY_COUNTERS,
})  # fmt: skip
_ATTRIBUTES: Final = frozenset({
    ATTRIBUTE_KEY_TOO_LONG, ATTRIBUTE_TOO_LONG, TOO_MANY_ATTRIBUTES, ATTRIBUTES_TOO_LARGE,
    ATTRIBUTES_TOO_FREQUENT, NO_SUCH_ATTRIBUTE, ATTRIBUTE_CONFLICT,
})  # fmt: skip
_PROFILE: Final = frozenset({
    PROFILE_BAD_PARAMETER, PROFILE_NO_SUCH_ACCOUNT, PROFILE_NOT_ADMIN, PROFILE_INTERNAL_ERROR,
    PROFILE_UNKNOWN_TAG,
})  # fmt: skip

_BY_COMMAND: Final[Mapping[Command[Any, Any], Iterable[int]]] = {
    catalog.CREATE_GROUP: _NEW_GROUP | _GROUP_QUOTA | {TOO_MANY_ACCOUNTS, TRIAL_GROUP_QUOTA},
    catalog.IMPORT_GROUP: _NEW_GROUP,
    catalog.GET_GROUP_INFO: _USUAL | {REPLY_TOO_LARGE},
    catalog.MODIFY_GROUP_BASE_INFO: _USUAL | _TEXT | {COMMAND_DISABLED},
    catalog.DESTROY_GROUP: _USUAL,
    catalog.GET_JOINED_GROUP_LIST: {
        INTERNAL_ERROR, UNKNOWN_COMMAND, BAD_PARAMETER, REPLY_TOO_LARGE, COMMUNITY_OFF,
    },
    catalog.GET_APPID_GROUP_LIST: {
        INTERNAL_ERROR, BAD_PARAMETER, NOT_ALLOWED, REPLY_TOO_LARGE,
    },
    catalog.CHANGE_GROUP_OWNER: _USUAL - {UNKNOWN_COMMAND},
    catalog.SET_UNREAD_MSG_NUM: _USUAL,
    catalog.ADD_GROUP_MEMBER: _USUAL | {
        TOO_MANY_ACCOUNTS, GROUP_FULL, WEBHOOK_REFUSED, NO_SUCH_ACCOUNT,
        COMMAND_DISABLED, USER_IN_TOO_MANY_GROUPS,
    },
    catalog.DELETE_GROUP_MEMBER: _USUAL,
    catalog.GET_GROUP_MEMBER_INFO: _USUAL | {REPLY_TOO_LARGE},
    catalog.GET_ROLE_IN_GROUP: _USUAL,
    catalog.MODIFY_GROUP_MEMBER_INFO: _USUAL | _TEXT,
    catalog.FORBID_SEND_MSG: _USUAL,
    catalog.GET_GROUP_MUTED_ACCOUNT: _USUAL,
    catalog.GET_GROUP_SHUTTED_UIN: _USUAL,
    catalog.IMPORT_GROUP_MEMBER: _USUAL | {TOO_MANY_ACCOUNTS, TOO_FREQUENT},
    catalog.SEND_GROUP_MSG: (_USUAL - {UNKNOWN_COMMAND}) | _TEXT | {
        WEBHOOK_REFUSED, MUTED, MESSAGES_TOO_FREQUENT, MESSAGE_TOO_LONG, WEBHOOK_SILENT,
        IMAGE_REJECTED, TOO_MANY_MENTIONS, COMMUNITY_OFF, MESSAGE_JSON_TOO_LONG,
    },
    catalog.MODIFY_GROUP_MSG: {
        BAD_PACKET, MESSAGE_SIGNATURE, MESSAGE_NETWORK_ERROR, MESSAGE_INTERNAL_ERROR,
        MESSAGE_BAD_JSON, MSG_BODY_MALFORMED, MSG_BODY_NOT_AN_ARRAY, ELEMENT_MALFORMED,
        NO_RECEIVER, MESSAGE_NOT_ADMIN, MESSAGE_BACKEND_ERROR, MESSAGE_WEBHOOK_SILENT,
    },
    catalog.SENDMSG: _C2C_SEND | {
        OFFICIAL_NOT_ALLOWED, OFFICIAL_ACCOUNTS_OFF, MESSAGE_WEBHOOK_REFUSED, C2C_MUTED, MESSAGE_TOO_LONG,
        MESSAGE_JSON_TOO_LONG, TEXT_REJECTED, WEBHOOK_SILENT, BAD_MSG_TIME,
    },
    catalog.BATCHSENDMSG: _C2C_SEND | {
        NO_SUCH_USER, OFFICIAL_NOT_ALLOWED, TOO_MANY_RECEIVERS, BATCH_TOO_LONG, BATCH_TOO_FREQUENT,
    },
    catalog.ADMIN_GETROAMMSG: _C2C,
    catalog.ADMIN_MSGWITHDRAW: _C2C | {C2C_DELETION_ERROR, NO_MESSAGE_TO_RECALL, ALREADY_RECALLED, BAD_MSG_KEY},
    catalog.MODIFY_C2C_MSG: _C2C | {
        BAD_PACKET, MESSAGE_SIGNATURE, MESSAGE_NETWORK_ERROR, MESSAGE_INTERNAL_ERROR, NO_MESSAGE_TO_MODIFY,
        MODIFY_CONFLICT, MSG_BODY_MALFORMED, MSG_BODY_NOT_AN_ARRAY, ELEMENT_MALFORMED, BAD_MSG_KEY,
    },
    catalog.IMPORTMSG: _C2C | {
        MSG_BODY_MALFORMED, BAD_MSG_RANDOM, BAD_MSG_TIME, MSG_BODY_NOT_AN_ARRAY, ELEMENT_MALFORMED,
        RECEIVER_NOT_IMPORTED,
    },
    catalog.DELETE_C2C_MSG_RAMBLE: _C2C | {BAD_MSG_KEY},
    catalog.SET_KEY_VALUES: _EXTENSION_WRITE,
    catalog.GET_KEY_VALUES: _EXTENSION_READ,
    catalog.GROUP_MSG_RECALL: _USUAL | _RECALL,
    catalog.GROUP_MSG_GET_SIMPLE: _USUAL | {NO_HISTORY, REPLY_TOO_LARGE},
    catalog.IMPORT_GROUP_MSG: _TEXT | {
        BAD_PARAMETER, NOT_ALLOWED, NO_SUCH_GROUP, BAD_GROUP_ID, IMPORTED_TOO_LONG,
        MESSAGE_TOO_LONG,
    },
    catalog.DELETE_GROUP_MSG_BY_SENDER: _USUAL,
    catalog.SEND_GROUP_SYSTEM_NOTIFICATION: _USUAL,
    catalog.PIN_MESSAGE: {TOO_MANY_PINS, ALREADY_PINNED},
    catalog.GROUP_SET_KEY_VALUES: _EXTENSION_WRITE,
    catalog.GROUP_GET_KEY_VALUES: _EXTENSION_READ,
    catalog.CREATE_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.UPDATE_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.DEL_CONTACT_GROUP: _CONTACT_GROUP,
    catalog.MARK_CONTACT: _CONTACT | {
        CONVERSATIONS_PER_CALL_WRONG, TOO_MANY_CONVERSATIONS, CONTACT_EDITION_TOO_LOW,
    },
    catalog.SEARCH_CONTACT_GROUP: _CONTACT,
    catalog.GET_CONTACT_GROUP: _CONTACT,
    catalog.GET_RECENT_CONTACTS: _CONTACT,
    catalog.DELETE_RECENT_CONTACT: _CONTACT,
    catalog.CREATE_OFFICIAL_ACCOUNT: _OFFICIAL | {MESSAGE_WEBHOOK_REFUSED, OFFICIAL_ACCOUNT_QUOTA},
    catalog.DESTROY_OFFICIAL_ACCOUNT: _OFFICIAL,
    catalog.MODIFY_OFFICIAL_ACCOUNT_BASE_INFO: _OFFICIAL,
    catalog.GET_OFFICIAL_ACCOUNT_INFO: _OFFICIAL,
    catalog.ADD_SUBSCRIBER: _OFFICIAL | {
        ALREADY_SUBSCRIBED, OFFICIAL_ACCOUNT_FULL, OFFICIAL_ACCOUNT_QUOTA,
    },
    catalog.DELETE_SUBSCRIBER: _OFFICIAL,
    catalog.GET_SUBSCRIBER_INFO: _OFFICIAL,
    catalog.MODIFY_SUBSCRIBER_INFO: _OFFICIAL | {NO_SUCH_SUBSCRIPTION},
    catalog.GET_SUBSCRIBED_OFFICIAL_ACCOUNT_LIST: _OFFICIAL,
    catalog.SEND_OFFICIAL_ACCOUNT_MSG: _OFFICIAL_MESSAGE | {WEBHOOK_REFUSED},
    catalog.OFFICIAL_ACCOUNT_MSG_GET_SIMPLE: _OFFICIAL_MESSAGE,
    catalog.OFFICIAL_ACCOUNT_MSG_RECALL: _OFFICIAL_MESSAGE | {NO_SUCH_MESSAGE, OFFICIAL_NOT_RECALLABLE},
    catalog.ACCOUNT_IMPORT: _ACCOUNT | {
        PROFILE_TEXT_REJECTED, PROFILE_INTERNAL_ERROR, PROFILE_VALUE_TOO_LONG, ACCOUNT_QUOTA,
        ACCOUNT_DELETED_RECENTLY,
    },
    catalog.MULTIACCOUNT_IMPORT: _ACCOUNTS | {ACCOUNT_QUOTA},
    catalog.ACCOUNT_CHECK: _ACCOUNTS,
    catalog.ACCOUNT_DELETE: _ACCOUNTS | {
        RELATIONS_INTERNAL_ERROR, RELATIONS_TIMEOUT, RELATIONS_CONFLICT,
        PROFILE_INTERNAL_ERROR, NO_SUCH_USER, ACCOUNT_DELETE_DISABLED,
    },
    catalog.QUERY_ONLINE_STATUS: {NO_SUCH_USER},
    catalog.PORTRAIT_SET: _PROFILE | {
        PROFILE_TEXT_REJECTED, PROFILE_NOT_WRITABLE, PROFILE_VALUE_TOO_LONG,
        PROFILE_BAD_VALUE, PROFILE_BAD_TYPE,
    },
    catalog.PORTRAIT_GET: _PROFILE | {PROFILE_NO_RECEIVER, PROFILE_NOT_READABLE},
    catalog.GET_GROUP_COUNTER: _COUNTERS,
    catalog.UPDATE_GROUP_COUNTER: _COUNTERS,
    catalog.DELETE_GROUP_COUNTER: _COUNTERS,
    catalog.SET_GROUP_ATTR: _ATTRIBUTES,
    catalog.MODIFY_GROUP_ATTR: _ATTRIBUTES,
    catalog.DELETE_GROUP_ATTR: _ATTRIBUTES,
}  # fmt: skip

_DOCUMENTED: Final = MappingProxyType(
    {(command.service, command.name): frozenset(listed) for command, listed in _BY_COMMAND.items()}
)


def documented(service: str, command: str) -> frozenset[int]:
    """Return the codes on the page of the command; empty if no page lists any."""
    return _DOCUMENTED.get((service, command), frozenset())
