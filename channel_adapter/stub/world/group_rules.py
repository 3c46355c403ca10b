"""Rules that commands of groups share: profile, id, custom fields, accounts, capacity and roles of members.

A check raises Refusal and changes nothing.
"""

from collections.abc import Sequence
from typing import Any, Protocol

from channel_adapter.quoting import shown_value
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.context import CommandContext
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group, is_group_id
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import groups as wire
from channel_adapter.tencent.wire import messages

TYPES = (wire.COMMUNITY, wire.PUBLIC, wire.PRIVATE, wire.CHAT_ROOM, wire.AV_CHAT_ROOM)
APPLY_OPTIONS = (wire.FREE_ACCESS, wire.NEED_PERMISSION, wire.DISABLE_APPLY)
INVITE_OPTIONS = (wire.FREE_ACCESS, wire.NEED_PERMISSION, "DisableInvite")  # [java-sdk, js-sdk]
U32 = 2**32 - 1  # MsgSeq, Seq and profile numbers are unsigned, 32 bits [java-sdk]
ASSIGNED_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
ASSIGNED_LENGTH = 12  # of the part that differs [docS create_topic]
SYSTEM = "@TIM#SYSTEM"  # who a notice comes from [doc 34971]
NOTICE_PRIORITY = messages.PRIORITY_NUMBERS[messages.PRIORITY_HIGH]
OTHER_TYPES_PREFIX = "@TGS#"  # of ids assigned to other groups, refused for custom ones [docS 1502]


class ProfileFields(Protocol):
    """The profile fields that create, import and modify have in common."""

    @property
    def name(self) -> str | None: ...
    @property
    def introduction(self) -> str | None: ...
    @property
    def notification(self) -> str | None: ...
    @property
    def face_url(self) -> str | None: ...
    @property
    def apply_join_option(self) -> str | None: ...


class CustomField(Protocol):
    """A custom field as it is sent."""

    key: str
    value: str


def bad(info: str, *, guess: str | None = None) -> Refusal:
    """Return the refusal of a parameter of the group services."""
    return Refusal(codes.BAD_PARAMETER, info, guess=guess)


def check_bytes(name: str, value: str | None, maximum: int) -> None:
    """Count UTF-8 bytes."""
    if value is not None and len(value) * 4 > maximum and (size := len(value.encode())) > maximum:
        raise bad(f"{name} has {size} bytes, the limit is {maximum}")


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Refuse other values; None, which means absent, is accepted."""
    if value is not None and value not in choices:
        raise bad(f"{name} must be one of {', '.join(map(str, choices))}")


def check_range(name: str, value: int | None, least: int, maximum: int) -> None:
    """Refuse other values; None, which means absent, is accepted."""
    if value is not None and not least <= value <= maximum:
        raise bad(f"{name} must be {least} to {maximum}")


def profile_limits(settings: StubSettings) -> limits.GroupProfileBytes:
    """Return the byte limits in force."""
    if settings.behaviour.profile_limits == "legacy":
        return limits.GROUP_PROFILE_LEGACY
    capacity = settings.limits
    return limits.GroupProfileBytes(
        capacity.name_bytes, capacity.introduction_bytes, capacity.notification_bytes, capacity.face_url_bytes
    )


def check_profile(call: CommandContext[Any], profile: ProfileFields) -> None:
    """Check byte limits and the join option."""
    maximum = profile_limits(call.settings)
    if profile.name == "":
        raise bad("Name is empty")
    check_bytes("Name", profile.name, maximum.name)
    check_bytes("Introduction", profile.introduction, maximum.introduction)
    check_bytes("Notification", profile.notification, maximum.notification)
    check_bytes("FaceUrl", profile.face_url, maximum.face_url)
    check_choice("ApplyJoinOption", profile.apply_join_option, APPLY_OPTIONS)


def check_fields(what: str, fields: Sequence[CustomField] | None, declared: Sequence[str], maximum: int) -> None:
    """Refuse keys that are not declared in the console; the text names the key."""
    for item in fields or ():
        if item.key not in declared:
            raise bad(
                f"{what}: the key {shown_value(item.key)} is not declared in the console or not enabled for this group"
                " type",
                guess="undeclared-key",
            )
        check_bytes(f"{what} {item.key}", item.value, maximum)


def check_group_fields(call: CommandContext[Any], fields: Sequence[CustomField] | None) -> None:
    check_fields("AppDefinedData", fields, call.settings.app.group_fields, call.settings.limits.group_field_bytes)


def check_member_fields(call: CommandContext[Any], fields: Sequence[CustomField] | None) -> None:
    check_fields(
        "AppMemberDefinedData", fields, call.settings.app.member_fields, call.settings.limits.member_field_bytes
    )


def write_fields(target: dict[str, str], fields: Sequence[CustomField] | None) -> None:
    """Write fields key by key; an empty value deletes [docS 1620]."""
    for item in fields or ():
        if item.value:
            target[item.key] = item.value
        else:
            target.pop(item.key, None)


def check_new_id(call: CommandContext[Any], group_type: str, group_id: str) -> None:
    """Refuse with 10015 what is no custom id for a group of the type [docS 1502, doc 48172]."""
    reserved = group_type == wire.COMMUNITY and group_id.startswith(limits.COMMUNITY_ID_RESERVED)
    if group_type == wire.COMMUNITY:
        legal = (
            group_id.startswith(limits.COMMUNITY_ID_PREFIX)
            and group_id != limits.COMMUNITY_ID_PREFIX
            and not reserved
            and limits.TOPIC_ID_MARK not in group_id
        )
    else:
        legal = not group_id.startswith(OTHER_TYPES_PREFIX)
    if not legal or not is_group_id(group_id):
        raise Refusal(
            codes.BAD_GROUP_ID,
            f"GroupId: 1 to {limits.GROUP_ID_BYTES} bytes of printable ASCII; of a Community: starts with "
            f"{limits.COMMUNITY_ID_PREFIX}, not with {limits.COMMUNITY_ID_RESERVED}; of others: not with "
            f"{OTHER_TYPES_PREFIX}",
            guess="reserved-community-id" if reserved else None,
        )


def assigned_id(call: CommandContext[Any], group_type: str) -> str:
    """Return an unused id of the form that the service assigns."""
    prefix = f"{limits.COMMUNITY_ID_RESERVED}c" if group_type == wire.COMMUNITY else OTHER_TYPES_PREFIX
    while True:
        group_id = prefix + "".join(call.random.choices(ASSIGNED_LETTERS, k=ASSIGNED_LENGTH))
        if group_id not in call.state.groups:
            return group_id


def check_community(call: CommandContext[Any], group_type: str | None) -> None:
    """Refuse with 11000 a call about Communities while the console switch is off."""
    if group_type == wire.COMMUNITY and not call.settings.app.community:
        raise Refusal(codes.COMMUNITY_OFF, "Communities are not enabled for this app")


def check_not_live(group_type: str, what: str) -> None:
    """Raise 10007 for a live room, for commands whose pages exclude AVChatRoom."""
    if group_type == wire.AV_CHAT_ROOM:
        raise Refusal(codes.NOT_ALLOWED, f"{what} is not for {wire.AV_CHAT_ROOM}")


def check_account(
    call: CommandContext[Any], user: str | None, field: str, *, guess: str = "unknown-account-code"
) -> None:
    """Refuse with 10019 an account that is not imported; None is accepted."""
    if user is not None and call.state.account(user) is None:
        raise Refusal(codes.NO_SUCH_ACCOUNT, f"{field}: the account does not exist", guess=guess)


def may_join_more(call: CommandContext[Any], user: str) -> bool:
    """Return whether the user may join one more group."""
    return len(call.state.joined.get(user)) < call.settings.limits.groups_per_user


def group_full(call: CommandContext[Any], group: Group) -> Refusal:
    """Return the refusal 10014 and emit the event of a full group, which failed joins have too [doc 34376]."""
    call.emit(events.AfterGroupFull, group_id=group.group_id)
    some_fit = len(group.members) < group.max_members
    return Refusal(
        codes.GROUP_FULL,
        f"the group holds {group.max_members} members",
        guess="batch-over-capacity" if some_fit else None,
    )


def check_topicless(topic_id: str | None) -> None:
    """Refuse a TopicId: the group has no topics [inferred]."""
    if topic_id:
        raise bad("TopicId: the group has no topics", guess="topic-id-without-topics")


def write_notice(call: CommandContext[Any], group: Group) -> None:
    """Write a system notice into the history of a Community where the console has them on [doc 33529, 34419]."""
    if not call.settings.app.system_notices or group.type != wire.COMMUNITY:
        return
    notice = StoredMessage(group.log.next_seq, call.now, 0, SYSTEM, NOTICE_PRIORITY, pack([]), system=True)
    group.log.append(notice, counted=False)


def is_staff(group: Group, user: str) -> bool:
    """Return whether the user is owner or admin of the group."""
    row = group.members.find(user)
    return row is not None and group.members.role(row) is not MemberRole.MEMBER
