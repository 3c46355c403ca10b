"""Everything the stub remembers: accounts, groups, who is in what. Data and look-ups; the rules are the handlers'."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from channel_adapter.stub.world.contact_book import ContactBook
from channel_adapter.stub.world.member_table import MemberTable, Role
from channel_adapter.stub.world.memberships import Memberships
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
    max_members: int = limits.COMMUNITY_MEMBERS_HIGHEST
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
    counters: dict[str, int] = field(default_factory=dict)
    attributes: dict[str, str] = field(default_factory=dict)
    serial: int = 0  # order of creation, grows
    alone: tuple["Group", ...] = ()

    def __post_init__(self) -> None:
        self.alone = (self,)

    def row_of(self, user: str) -> int:
        """The row of somebody whose joined list holds the group."""
        row = self.members.find(user)
        if row is None:
            raise LookupError(f"{self.group_id} is in a joined list of somebody who is not in it")
        return row

    def muted_until(self, user: str, now: float) -> int:
        """When the user may speak again, 0 if now."""
        end = self.mutes.get(user, 0)
        return end if end > now else 0


@dataclass(slots=True, eq=False)
class OfficialAccount:
    """An official account: profile, subscribers (a member table without roles), broadcasts."""

    account_id: str
    owner: str
    name: str
    create_time: int
    max_subscribers: int
    introduction: str = ""
    face_url: str = ""
    organization: str = ""
    custom_string: str = ""
    subscribers: MemberTable = field(default_factory=MemberTable)
    subscriber_strings: dict[str, str] = field(default_factory=dict)
    log: MessageLog = field(default_factory=MessageLog)
    broadcasts: deque[float] = field(default_factory=deque)  # moments of the last hour
    alone: tuple["OfficialAccount", ...] = ()

    def __post_init__(self) -> None:
        self.alone = (self,)


class State:
    """All accounts, groups and official accounts. A user's string is held once: `account` hands out the stored one."""

    def __init__(self, admins: Iterable[str]) -> None:
        self.profiles: dict[str, dict[str, str | int]] = {}
        self.deleted: dict[str, int] = {}  # user -> when
        self.online: dict[str, list[str]] = {}  # user -> platforms, in the order of login
        self.groups: dict[str, Group] = {}
        self.community_count = 0
        self.joined: Memberships[Group] = Memberships()
        self.official: dict[str, OfficialAccount] = {}
        self.official_gone: set[str] = set()  # ids of destroyed official accounts
        self.subscribed: Memberships[OfficialAccount] = Memberships()
        self.contacts: dict[str, ContactBook] = {}
        self._accounts: dict[str, str] = {admin: admin for admin in admins}
        self._next_serial = 1

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
        """Forget the account, its profile, memberships, subscriptions and conversations."""
        for group in self.joined.of(user):
            self.leave(group, user)
            if group.owner == user:
                group.owner = ""
        for account in self.subscribed.of(user):
            self.unsubscribe(account, user)
        self._accounts.pop(user, None)
        self.profiles.pop(user, None)
        self.contacts.pop(user, None)
        self.online.pop(user, None)
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

    def join(self, group: Group, user: str, role: Role, joined: int, read: int) -> int:
        """Make an existing account a member; returns the row. The caller has checked that it is not one."""
        known = self._accounts[user]
        row = group.members.add(known, role, joined, read)
        self.enter(group, known)
        return row

    def enter(self, group: Group, user: str) -> None:
        """Put the group into the joined list of somebody who stands in its member table, by the time of joining."""
        self.joined.enter(user, group, lambda other: (other.members.joined(other.row_of(user)), other.serial))

    def leave(self, group: Group, user: str) -> None:
        """Take a member out, with everything a membership carries except mutes."""
        group.members.remove(user)
        group.name_cards.pop(user, None)
        group.member_fields.pop(user, None)
        self.joined.leave(user, group)

    def dissolve(self, group: Group) -> None:
        """Remove the group from the world and from every joined list."""
        for user in group.members:
            self.joined.leave(user, group)
        del self.groups[group.group_id]
        self.community_count -= group.type == COMMUNITY

    def subscribe(self, account: OfficialAccount, user: str, now: int) -> None:
        """Make an existing account a subscriber; earlier broadcasts are not unread."""
        known = self._accounts[user]
        self.subscribed.enter(known, account)
        account.subscribers.add(known, Role.MEMBER, now, account.log.next_seq - 1)

    def unsubscribe(self, account: OfficialAccount, user: str) -> None:
        account.subscribers.remove(user)
        account.subscriber_strings.pop(user, None)
        self.subscribed.leave(user, account)

    def destroy_official(self, account: OfficialAccount) -> None:
        for user in account.subscribers:
            self.subscribed.leave(user, account)
        del self.official[account.account_id]
        self.official_gone.add(account.account_id)

    def contact_book(self, user: str) -> ContactBook:
        """The user's conversation groups and marks, empty ones at first."""
        return self.contacts.setdefault(user, ContactBook())


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
