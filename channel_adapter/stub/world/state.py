"""The data of the stub: accounts, groups, official accounts and memberships. The rules are in the handlers."""

from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, Self, TypeVar

from channel_adapter.stub.world.conversations import Conversations, PairMessage
from channel_adapter.stub.world.member_table import MemberRole, MemberTable
from channel_adapter.stub.world.message_log import MessageLog
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire.groups import COMMUNITY


class Joinable(Protocol):
    """What users can be in; `as_tuple` is the tuple of itself, stored once."""

    @property
    def as_tuple(self) -> tuple[Self, ...]: ...


JoinableT = TypeVar("JoinableT", bound=Joinable)


class Memberships(Generic[JoinableT]):
    """user -> groups or official accounts, in the order of entering or in an order of their own."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[JoinableT, ...]] = {}

    def get(self, user: str) -> tuple[JoinableT, ...]:
        return self._places.get(user, ())

    def enter(self, user: str, place: JoinableT, order: Callable[[JoinableT], Any] | None = None) -> None:
        """Add a user to a group or official account: last, or by `order`."""
        others = self._places.get(user)
        if others is None:
            self._places[user] = place.as_tuple
            return
        at = len(others) if order is None else bisect_right(others, order(place), key=order)
        self._places[user] = (*others[:at], place, *others[at:])

    def leave(self, user: str, place: JoinableT) -> None:
        rest = tuple(other for other in self.get(user) if other is not place)
        if not rest:
            self._places.pop(user, None)
        else:
            self._places[user] = rest[0].as_tuple if len(rest) == 1 else rest


ConversationKey = tuple[int, str]  # Type and the peer's or group's id


@dataclass(slots=True)
class ConversationEntry:
    """Groups and marks of one conversation. `mark` has the standard bits."""

    groups: list[int] = field(default_factory=list)
    mark: int = 0
    custom_mark: str = ""
    time: int = 0  # of the last change, seconds

    @property
    def empty(self) -> bool:
        return not (self.groups or self.mark or self.custom_mark)


@dataclass(slots=True)
class ContactBook:
    """Conversation groups by number, which is never reused, and entries in the order of their first change."""

    groups: dict[int, str] = field(default_factory=dict)
    entries: dict[ConversationKey, ConversationEntry] = field(default_factory=dict)
    next_group: int = 1
    deleted: dict[ConversationKey, int] = field(default_factory=dict)  # from the recent list, and when

    def number(self, name: str) -> int | None:
        """Return the number of the group with this name, None if there is none."""
        return next((number for number, known in self.groups.items() if known == name), None)

    def add_group(self, name: str) -> int:
        number = self.next_group
        self.groups[number] = name
        self.next_group += 1
        return number

    def remove_group(self, number: int, now: int) -> None:
        """Forget the group; its conversations stay."""
        del self.groups[number]
        for conversation in self.conversations(number):
            self.unassign(conversation, number, now)

    def conversations(self, number: int | None = None) -> list[ConversationKey]:
        """Return the conversations in one group, or in any."""
        return [
            conversation
            for conversation, entry in self.entries.items()
            if (entry.groups if number is None else number in entry.groups)
        ]

    def marked(self) -> list[ConversationKey]:
        """Return the conversations with a standard or a custom mark."""
        return [key for key, entry in self.entries.items() if entry.mark or entry.custom_mark]

    def assign(self, conversation: ConversationKey, number: int, now: int) -> bool:
        """Add a conversation to a group; return whether it was not in it."""
        entry = self.entries.setdefault(conversation, ConversationEntry())
        if number in entry.groups:
            return False
        entry.groups.append(number)
        entry.time = now
        return True

    def unassign(self, conversation: ConversationKey, number: int, now: int) -> bool:
        """Remove a conversation from a group; return whether it was in it."""
        entry = self.entries.get(conversation)
        if entry is None or number not in entry.groups:
            return False
        entry.groups.remove(number)
        entry.time = now
        self._drop_if_empty(conversation)
        return True

    def mark(self, conversation: ConversationKey, mark: int, custom_mark: str, now: int) -> None:
        """Write both kinds of marks."""
        entry = self.entries.setdefault(conversation, ConversationEntry())
        entry.mark, entry.custom_mark, entry.time = mark, custom_mark, now
        self._drop_if_empty(conversation)

    def forget(self, conversation: ConversationKey) -> None:
        """Remove groups and marks of a conversation."""
        self.entries.pop(conversation, None)

    def _drop_if_empty(self, conversation: ConversationKey) -> None:
        if self.entries[conversation].empty:
            del self.entries[conversation]


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
    as_tuple: tuple["Group", ...] = ()

    def __post_init__(self) -> None:
        self.as_tuple = (self,)

    def row_of(self, user: str) -> int:
        """Return the row of a member."""
        row = self.members.find(user)
        if row is None:
            raise LookupError(f"{self.group_id} is in the joined list of a user who is no member")
        return row

    def muted_until(self, user: str, now: float) -> int:
        """Return when the mute of the user ends, 0 without one."""
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
    last_message: int = 0  # time of the latest one-to-one message
    as_tuple: tuple["OfficialAccount", ...] = ()

    def __post_init__(self) -> None:
        self.as_tuple = (self,)


class AppData:
    """All accounts, groups and official accounts. The string of a user is stored once: `account` returns it."""

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
        self.conversations = Conversations()
        self._accounts: dict[str, str] = {admin: admin for admin in admins}
        self._next_serial = 1

    def account(self, user: str) -> str | None:
        """Return the stored string of an account, None if it does not exist."""
        return self._accounts.get(user)

    def party(self, account: str) -> str | None:
        """Return the stored id of a user or an official account, None if neither exists."""
        known = self._accounts.get(account)
        if known is None and (official := self.official.get(account)) is not None:
            return official.account_id
        return known

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
        for group in self.joined.get(user):
            self.leave(group, user)
            if group.owner == user:
                group.owner = ""
        for account in self.subscribed.get(user):
            self.unsubscribe(account, user)
        self._accounts.pop(user, None)
        self.profiles.pop(user, None)
        self.contacts.pop(user, None)
        self.conversations.remove(user)
        self.online.pop(user, None)
        self.deleted[user] = now

    def group(self, group_id: str) -> Group:
        """Return the group; Refusal 10015 for a malformed id, 10010 for an unknown one."""
        group = self.groups.get(group_id)
        if group is None:
            if not is_group_id(group_id):
                raise Refusal(codes.BAD_GROUP_ID, "GroupId is malformed")
            raise Refusal(codes.NO_SUCH_GROUP, "the group does not exist or was dissolved")
        return group

    def add_group(self, group: Group) -> None:
        """Add a group after all others; one with a serial that is high enough keeps it."""
        group.serial = max(group.serial, self._next_serial)
        self._next_serial = group.serial + 1
        self.groups[group.group_id] = group
        self.community_count += group.type == COMMUNITY

    def join(self, group: Group, user: str, role: MemberRole, joined: int, read: int) -> int:
        """Make an existing account a member; returns the row. The caller has checked that it is not one."""
        known = self._accounts[user]
        row = group.members.add(known, role, joined, read)
        self.enter(group, known)
        return row

    def enter(self, group: Group, user: str) -> None:
        """Put the group into the joined list of a member, by the time of joining."""
        self.joined.enter(user, group, lambda other: (other.members.joined(other.row_of(user)), other.serial))

    def leave(self, group: Group, user: str) -> None:
        """Remove a member with the data of the membership, except mutes."""
        group.members.remove(user)
        group.name_cards.pop(user, None)
        group.member_fields.pop(user, None)
        self.joined.leave(user, group)

    def dissolve(self, group: Group) -> None:
        """Remove the group from the app and from all joined lists."""
        for user in group.members:
            self.joined.leave(user, group)
        del self.groups[group.group_id]
        self.community_count -= group.type == COMMUNITY

    def subscribe(self, account: OfficialAccount, user: str, now: int) -> None:
        """Make an existing account a subscriber; earlier broadcasts are not unread."""
        known = self._accounts[user]
        self.subscribed.enter(known, account)
        account.subscribers.add(known, MemberRole.MEMBER, now, account.log.next_seq - 1)

    def unsubscribe(self, account: OfficialAccount, user: str) -> None:
        account.subscribers.remove(user)
        account.subscriber_strings.pop(user, None)
        self.subscribed.leave(user, account)

    def destroy_official(self, account: OfficialAccount) -> None:
        for user in account.subscribers:
            self.subscribed.leave(user, account)
        self.conversations.remove(account.account_id)
        del self.official[account.account_id]
        self.official_gone.add(account.account_id)

    def add_message(self, message: PairMessage) -> None:
        """Store a one-to-one message; it is the latest one of an official account unless it is not listed."""
        self.conversations.add(message)
        for party in (message.sender, message.receiver):
            account = self.official.get(party)
            if account is not None and message.listed:
                account.last_message = max(account.last_message, message.time)

    def contact_book(self, user: str) -> ContactBook:
        """Return the user's conversation groups and marks; they are created empty."""
        return self.contacts.setdefault(user, ContactBook())


ONLINE, OFFLINE = "Online", "Offline"  # [java-sdk]


def is_printable(text: str) -> bool:
    """Return whether a text is printable ASCII, 0x20 to 0x7e [doc 34381]."""
    return text.isascii() and text.isprintable()


def is_group_id(text: str) -> bool:
    """Return whether this has the form of a group id, custom or assigned [doc 34381]."""
    return 1 <= len(text) <= limits.GROUP_ID_BYTES and is_printable(text)


def is_user_id(text: str) -> bool:
    """Return whether this has the form of a UserID [doc 34381]."""
    return 1 <= len(text) <= limits.USER_ID_BYTES and is_printable(text)
