"""Everything the stub remembers: accounts, groups, who is in what. Data and look-ups; the rules are the handlers'."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from channel_adapter.stub.world.member_table import MemberTable, Role
from channel_adapter.stub.world.message_log import MessageLog
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire.groups import COMMUNITY


@dataclass(slots=True, eq=False)
class Group:
    """A group's profile, members and messages. Times are unix seconds."""

    group_id: str
    type: str
    name: str
    create_time: int
    introduction: str = ""
    notification: str = ""
    face_url: str = ""
    owner: str = ""
    info_seq: int = 1
    last_info_time: int = 0
    max_members: int = limits.COMMUNITY_MEMBERS
    apply_join_option: str = ""
    invite_join_option: str = ""
    mute_all: bool = False
    support_topic: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    members: MemberTable = field(default_factory=MemberTable)
    name_cards: dict[str, str] = field(default_factory=dict)
    member_fields: dict[str, dict[str, str]] = field(default_factory=dict)
    mutes: dict[str, int] = field(default_factory=dict)  # user -> end; outlives membership [docS 1627]
    log: MessageLog = field(default_factory=MessageLog)
    pins: dict[int, str] = field(default_factory=dict)  # seq -> who pinned it
    serial: int = 0  # order of creation, grows
    alone: tuple["Group", ...] = ()  # the joined groups of everybody who is in this group only, held once

    def __post_init__(self) -> None:
        self.alone = (self,)

    def muted_until(self, user: str, now: float) -> int:
        """When the user may speak again, 0 if now."""
        end = self.mutes.get(user, 0)
        return end if end > now else 0


class State:
    """All accounts and groups. Strings of users are held once: `account` hands out the stored one."""

    def __init__(self, admins: Iterable[str]) -> None:
        self.profiles: dict[str, dict[str, str | int]] = {}
        self.deleted: dict[str, int] = {}  # user -> when
        self.online: set[str] = set()
        self.groups: dict[str, Group] = {}
        self.community_count = 0
        self._next_serial = 1
        self._accounts: dict[str, str] = {admin: admin for admin in admins}
        self._joined: dict[str, tuple[Group, ...]] = {}

    def account(self, user: str) -> str | None:
        """The stored spelling object of an account that exists."""
        return self._accounts.get(user)

    def accounts(self) -> Iterator[str]:
        return iter(self._accounts)

    def account_count(self) -> int:
        return len(self._accounts)

    def online_status(self, user: str) -> str:
        return ONLINE if user in self.online else OFFLINE

    def add_account(self, user: str) -> None:
        self._accounts.setdefault(user, user)
        self.deleted.pop(user, None)

    def remove_account(self, user: str, now: int) -> None:
        """Forget the account, its profile and its memberships."""
        for group in self.joined(user):
            self.leave(group, user)
            if group.owner == user:
                group.owner = ""
        self._accounts.pop(user, None)
        self.profiles.pop(user, None)
        self.online.discard(user)
        self.deleted[user] = now

    def group(self, group_id: str) -> Group:
        """The group, or Refusal: 10015 for an id that cannot be one, 10010 for one that is not there."""
        group = self.groups.get(group_id)
        if group is None:
            if not is_group_id(group_id):
                raise Refusal(codes.BAD_GROUP_ID, "GroupId is malformed")
            raise Refusal(codes.NO_SUCH_GROUP, "the group does not exist or was dissolved")
        return group

    def add_group(self, group: Group) -> None:
        group.serial = self._next_serial
        self._next_serial += 1
        self.groups[group.group_id] = group
        self.community_count += group.type == COMMUNITY

    def joined(self, user: str) -> tuple[Group, ...]:
        """The groups a user is in, in the order of the calls that brought him in."""
        return self._joined.get(user, ())

    def join(self, group: Group, user: str, role: Role, joined: int, read: int) -> int:
        """Make an existing account a member; returns the row. The caller has checked that it is not one."""
        known = self._accounts[user]
        others = self._joined.get(known)
        self._joined[known] = group.alone if others is None else (*others, group)
        return group.members.add(known, role, joined, read)

    def leave(self, group: Group, user: str) -> None:
        """Take a member out, with everything a membership carries except mutes."""
        group.members.remove(user)
        group.name_cards.pop(user, None)
        group.member_fields.pop(user, None)
        self._forget_membership(group, user)

    def dissolve(self, group: Group) -> None:
        """Remove the group from the world and from every joined list."""
        for user in group.members:
            self._forget_membership(group, user)
        del self.groups[group.group_id]
        self.community_count -= group.type == COMMUNITY

    def _forget_membership(self, group: Group, user: str) -> None:
        rest = tuple(other for other in self.joined(user) if other is not group)
        if not rest:
            self._joined.pop(user, None)
        else:
            self._joined[user] = rest[0].alone if len(rest) == 1 else rest


ONLINE, OFFLINE = "Online", "Offline"  # [java-sdk]


def is_printable(text: str) -> bool:
    """Printable ASCII, 0x20 to 0x7e [doc 34381]."""
    return text.isascii() and text.isprintable()


def is_group_id(text: str) -> bool:
    """Could this be the id of a group, custom or assigned? [doc 34381]"""
    return 1 <= len(text) <= limits.GROUP_ID_BYTES and is_printable(text)


def is_user_id(text: str) -> bool:
    """Could this be an account? [doc 34381]"""
    return 1 <= len(text) <= limits.USER_ID_BYTES and is_printable(text)
