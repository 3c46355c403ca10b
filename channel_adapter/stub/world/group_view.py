"""What a group or a member looks like from outside: base fields by name, as a filter asks for them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from channel_adapter.stub.world.state import Group, State
from channel_adapter.tencent.wire import groups, members
from channel_adapter.tencent.wire.envelope import WireModel

ACCOUNT_ALIAS = "Account"  # get_group_info's sample asks so for Member_Account [docS 1616]

PROFILE: Mapping[str, Callable[[Group], Any]] = {
    "type": lambda group: group.type,
    "name": lambda group: group.name,
    "introduction": lambda group: group.introduction,
    "notification": lambda group: group.notification,
    "face_url": lambda group: group.face_url,
    "owner_account": lambda group: group.owner,
    "create_time": lambda group: group.create_time,
    "info_seq": lambda group: group.info_seq,
    "last_info_time": lambda group: group.last_info_time,
    "last_msg_time": lambda group: group.log.last_time,
    "next_msg_seq": lambda group: group.log.next_seq,
    "member_num": lambda group: len(group.members),
    "max_member_num": lambda group: group.max_members,
    "apply_join_option": lambda group: group.apply_join_option,
    "invite_join_option": lambda group: group.invite_join_option or None,
    "mute_all_member": lambda group: groups.ON if group.mute_all else groups.OFF,
    "shut_up_all_member": lambda group: groups.ON if group.mute_all else groups.OFF,
    "support_topic": lambda group: group.support_topic if group.type == groups.COMMUNITY else None,
}
OLD_NAMES = frozenset({"shut_up_all_member", "shut_up_until"})  # answered only when a filter asks for them [1.1]


def attributes(model: type[WireModel]) -> dict[str, str]:
    """JSON name -> attribute."""
    return {field.alias or name: name for name, field in model.model_fields.items()}


GROUP_ATTRIBUTES = {alias: name for alias, name in attributes(groups.GroupProfile).items() if name in PROFILE}
MEMBER_ATTRIBUTES = attributes(members.Member)
SELF_ATTRIBUTES = attributes(members.SelfInfo)


def profile(group: Group, wanted: Iterable[str] | None) -> dict[str, Any]:
    """Attributes of GroupProfile: all, or those that a filter names; unknown names are passed over."""
    if wanted is None:
        return {name: read(group) for name, read in PROFILE.items() if name not in OLD_NAMES}
    names = (GROUP_ATTRIBUTES.get(alias) for alias in wanted)
    return {name: PROFILE[name](group) for name in names if name is not None}


def custom_fields(group: Group, wanted: Iterable[str] | None) -> list[groups.DefinedData]:
    """Keys that have a value: all, or those that a filter names."""
    keys = group.fields if wanted is None else [key for key in wanted if key in group.fields]
    return [groups.DefinedData(key=key, value=group.fields[key]) for key in keys]


def self_info(group: Group, row: int, wanted: Iterable[str], *, unread: bool) -> members.SelfInfo:
    """A member's own data in the joined list; `unread` says whether UnreadMsgNum is honoured [decision 12]."""
    table = group.members
    values: dict[str, Callable[[], Any]] = {
        "role": lambda: table.role(row).wire,
        "join_time": lambda: table.joined(row),
        "msg_flag": lambda: table.flag(row),
        "msg_seq": lambda: table.read(row),
    }
    if unread:
        values["unread_msg_num"] = lambda: group.log.unread(table.read(row))
    names = (SELF_ATTRIBUTES.get(alias, "") for alias in wanted)
    return members.SelfInfo(**{name: values[name]() for name in names if name in values})


class MemberView:
    """Builds member items for one call: the filters are looked at once, not once a member."""

    def __init__(
        self,
        state: State,
        group: Group,
        now: float,
        wanted: Iterable[str] | None,
        custom: Iterable[str] | None,
    ) -> None:
        self._group = group
        names = MEMBER_ATTRIBUTES.values() if wanted is None else (MEMBER_ATTRIBUTES.get(alias, "") for alias in wanted)
        readers = _member_readers(state, group, now)
        self._readers = [
            (name, readers[name]) for name in names if name in readers and not (wanted is None and name in OLD_NAMES)
        ]
        self._custom = None if custom is None else frozenset(custom)
        self._with_custom = wanted is None or custom is not None

    def item(self, row: int) -> members.Member:
        """One member; Member_Account is always there."""
        user = self._group.members.user(row)
        values = {name: read(row, user) for name, read in self._readers}
        if self._with_custom:
            values["app_member_defined_data"] = self._fields(user)
        return members.Member(member_account=user, **values)

    def _fields(self, user: str) -> list[members.MemberDefinedData]:
        stored = self._group.member_fields.get(user, {})
        return [
            members.MemberDefinedData(key=key, value=value)
            for key, value in stored.items()
            if self._custom is None or key in self._custom
        ]


def _member_readers(state: State, group: Group, now: float) -> dict[str, Callable[[int, str], Any]]:
    """Attribute of Member -> how it is read from a row and its user."""
    table = group.members
    return {
        "role": lambda row, _: table.role(row).wire,
        "join_time": lambda row, _: table.joined(row),
        "msg_seq": lambda row, _: table.read(row),
        "msg_flag": lambda row, _: table.flag(row),
        "last_send_msg_time": lambda _row, _user: 0,  # unknown for Communities [docS 1502]
        "name_card": lambda _, user: group.name_cards.get(user, ""),
        "mute_until": lambda _, user: group.muted_until(user, now),
        "shut_up_until": lambda _, user: group.muted_until(user, now),
        "online_status": lambda _, user: state.online_status(user),
    }
