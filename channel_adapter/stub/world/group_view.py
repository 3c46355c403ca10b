"""Items of groups and members: base fields by name, as a filter asks for them.

A view is made once a call and returns items as JSON values under the names of their wire model; None is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any

from channel_adapter.stub.world.context import json_names
from channel_adapter.stub.world.state import AppData, Group
from channel_adapter.tencent.wire import groups, members
from channel_adapter.tencent.wire.envelope import WireModel

ACCOUNT_ALIAS = "Account"  # get_group_info's sample asks so for Member_Account [docS 1616]

PROFILE: Mapping[str, Callable[[Group], Any]] = {
    "type": attrgetter("type"),
    "name": attrgetter("name"),
    "introduction": attrgetter("introduction"),
    "notification": attrgetter("notification"),
    "face_url": attrgetter("face_url"),
    "owner_account": attrgetter("owner"),
    "create_time": attrgetter("create_time"),
    "info_seq": attrgetter("info_seq"),
    "last_info_time": attrgetter("last_info_time"),
    "last_msg_time": attrgetter("log.last_time"),
    "next_msg_seq": attrgetter("log.next_seq"),
    "member_num": lambda group: len(group.members),
    "max_member_num": attrgetter("max_members"),
    "apply_join_option": attrgetter("apply_join_option"),
    "invite_join_option": lambda group: group.invite_join_option or None,
    "mute_all_member": lambda group: groups.ON if group.mute_all else groups.OFF,
    "shut_up_all_member": lambda group: groups.ON if group.mute_all else groups.OFF,
    "support_topic": lambda group: group.support_topic if group.type == groups.COMMUNITY else None,
}
OLD_NAMES = frozenset({"shut_up_all_member", "shut_up_until"})  # answered only when a filter asks for them [1.1]


def attributes(model: type[WireModel]) -> dict[str, str]:
    """Return the attribute of each JSON name."""
    return {alias: name for name, alias in json_names(model).items()}


GROUP_ATTRIBUTES = {alias: name for alias, name in attributes(groups.GroupProfile).items() if name in PROFILE}
MEMBER_ATTRIBUTES = attributes(members.Member)
SELF_ATTRIBUTES = attributes(members.SelfInfo)
MEMBER_ACCOUNT = json_names(members.Member)["member_account"]
MEMBER_FIELDS = json_names(members.Member)["app_member_defined_data"]
KEY, VALUE = (json_names(groups.DefinedData)[name] for name in ("key", "value"))


class GroupView:
    """Base fields of GroupProfile: all, or those that a filter names; unknown names are ignored."""

    def __init__(self, wanted: Iterable[str] | None) -> None:
        names = GROUP_ATTRIBUTES if wanted is None else [name for name in wanted if name in GROUP_ATTRIBUTES]
        chosen = [(name, GROUP_ATTRIBUTES[name]) for name in names]
        self._readers = [
            (name, PROFILE[attribute]) for name, attribute in chosen if not (wanted is None and attribute in OLD_NAMES)
        ]

    def item(self, group: Group) -> dict[str, Any]:
        """Return one group."""
        return {name: value for name, read in self._readers if (value := read(group)) is not None}


class SelfView:
    """A member's own data in the joined list; `unread`: UnreadMsgNum is honoured."""

    def __init__(self, wanted: Iterable[str], *, unread: bool) -> None:
        chosen = [(name, SELF_ATTRIBUTES.get(name, "")) for name in wanted]
        self._readers = [
            (name, SELF[attribute])
            for name, attribute in chosen
            if attribute in SELF and (unread or attribute != "unread_msg_num")
        ]

    def item(self, group: Group, row: int) -> dict[str, Any]:
        """Return one group of the member in `row`."""
        return {name: read(group, row) for name, read in self._readers}


SELF: Mapping[str, Callable[[Group, int], Any]] = {
    "role": lambda group, row: group.members.role_name(row),
    "join_time": lambda group, row: group.members.joined(row),
    "msg_flag": lambda group, row: group.members.flag(row),
    "msg_seq": lambda group, row: group.members.read(row),
    "unread_msg_num": lambda group, row: group.log.unread(group.members.read(row)),
}


def custom_fields(group: Group, wanted: Iterable[str] | None) -> list[dict[str, str]]:
    """Return keys that have a value, as DefinedData: all, or those that a filter names."""
    keys = group.fields if wanted is None else [key for key in wanted if key in group.fields]
    return [{KEY: key, VALUE: group.fields[key]} for key in keys]


class MemberView:
    """Builds member items for one call; the filters are read once, not once a member."""

    def __init__(
        self,
        state: AppData,
        group: Group,
        now: float,
        wanted: Iterable[str] | None,
        custom: Iterable[str] | None,
    ) -> None:
        self._group = group
        readers = _member_readers(state, group, now)
        names = MEMBER_ATTRIBUTES if wanted is None else [name for name in wanted if name in MEMBER_ATTRIBUTES]
        chosen = [(name, MEMBER_ATTRIBUTES[name]) for name in names]
        self._readers = [
            (name, readers[attribute])
            for name, attribute in chosen
            if attribute in readers and not (wanted is None and attribute in OLD_NAMES)
        ]
        self._custom = None if custom is None else frozenset(custom)
        self._with_custom = wanted is None or custom is not None

    def item(self, row: int) -> dict[str, Any]:
        """Return one member; Member_Account is always present."""
        user = self._group.members.user(row)
        item: dict[str, Any] = {MEMBER_ACCOUNT: user}
        for name, read in self._readers:
            item[name] = read(row, user)
        if self._with_custom:
            item[MEMBER_FIELDS] = self._custom_fields(user)
        return item

    def _custom_fields(self, user: str) -> list[dict[str, str]]:
        stored = self._group.member_fields.get(user, {})
        return [
            {KEY: key, VALUE: value} for key, value in stored.items() if self._custom is None or key in self._custom
        ]


def _member_readers(state: AppData, group: Group, now: float) -> dict[str, Callable[[int, str], Any]]:
    """Return for each attribute of Member how it is read from a row and its user."""
    table = group.members
    return {
        "role": lambda row, _: table.role_name(row),
        "join_time": lambda row, _: table.joined(row),
        "msg_seq": lambda row, _: table.read(row),
        "msg_flag": lambda row, _: table.flag(row),
        "last_send_msg_time": lambda _row, _user: 0,  # unknown for Communities [docS 1502]
        "name_card": lambda _, user: group.name_cards.get(user, ""),
        "mute_until": lambda _, user: group.muted_until(user, now),
        "shut_up_until": lambda _, user: group.muted_until(user, now),
        "online_status": lambda _, user: state.online_status(user),
    }
