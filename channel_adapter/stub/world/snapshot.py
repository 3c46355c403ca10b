"""The state as records of plain JSON values, and as one document; older documents are converted.

Records are `[kind, data]` and small, whatever the size of the state, so that a file of them can be written and read in
a stream. `members` and `messages` belong to the group or official account before them. The document has the same data.
Settings and secrets are not in it.
"""

import base64
import sys
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from itertools import islice
from random import Random
from typing import Any, ClassVar, Literal, TypeVar

from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.stub.world.conversations import PairMessage
from channel_adapter.stub.world.member_table import MemberTable
from channel_adapter.stub.world.message_log import Extensions, MessageLog, StoredMessage, pack
from channel_adapter.stub.world.snapshot_types import check_types
from channel_adapter.stub.world.state import AppData, ContactBook, ConversationEntry, Group, OfficialAccount
from channel_adapter.tencent.wire.callback_envelope import UNKNOWN_PLATFORM
from channel_adapter.tencent.wire.msg_body import Element

VERSION = 2
OLDER = (1,)

WORLD, ACCOUNTS, PROFILES, CONTACTS = "world", "accounts", "profiles", "contacts"
ONE_TO_ONE = "one_to_one"  # absent without one-to-one messages, and in files of earlier stubs
GROUP, OFFICIAL_ACCOUNT, MEMBERS, MESSAGES = "group", "official_account", "members", "messages"
LISTS = {GROUP: "groups", OFFICIAL_ACCOUNT: "official_accounts"}
COLUMNS: tuple[tuple[str, Literal["I", "q", "B"]], ...] = (
    ("serials", "I"), ("joined", "q"), ("read", "I"), ("roles", "B"), ("flags", "B")
)  # fmt: skip

Record = tuple[str, Any]


class SnapshotError(ValueError):
    """The data are not a state that this version can load; the text has the reason."""


def fold(records: Iterable[Record]) -> dict[str, Any]:
    """Return one document with the records of a whole state; SnapshotError when they do not fit together."""
    try:
        return _fold_records(records)
    except SnapshotError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(error) from error


def _fold_records(records: Iterable[Record]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": VERSION, ACCOUNTS: [], PROFILES: {}, CONTACTS: {}, **{name: [] for name in LISTS.values()}
    }  # fmt: skip
    place: dict[str, Any] = {}
    for kind, data in records:
        if kind == WORLD:
            document |= data
        elif kind == ACCOUNTS:
            document[ACCOUNTS] += data
        elif kind in (PROFILES, CONTACTS):
            document[kind] |= data
        elif kind == ONE_TO_ONE:
            document.setdefault(kind, []).extend(data)
        elif kind in LISTS:
            place = data | {MEMBERS: {name: [] for name in ("users", *dict(COLUMNS))}, MESSAGES: []}
            document[LISTS[kind]].append(place)
        elif kind == MEMBERS:
            for name, column in data.items():
                place[MEMBERS][name] += column
        else:
            place[MESSAGES] += data
    return document


def unfold(document: Any) -> Iterator[Record]:
    """Yield the records of a document; SnapshotError for an unknown version or missing parts."""
    version = document.get("version") if isinstance(document, Mapping) else None
    check_version(version)
    try:
        current = document if version == VERSION else _from_version_1(document)
        rest = {name: data for name, data in current.items() if name not in _IN_RECORDS}
        yield WORLD, rest
        for kind in (ACCOUNTS, PROFILES, CONTACTS):
            yield kind, current[kind]
        for kind, name in LISTS.items():
            for place in current[name]:
                yield kind, {name: data for name, data in place.items() if name not in (MEMBERS, MESSAGES)}
                yield MEMBERS, place[MEMBERS]
                yield MESSAGES, place[MESSAGES]
        if ONE_TO_ONE in current:
            yield ONE_TO_ONE, current[ONE_TO_ONE]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(error) from error


_IN_RECORDS = frozenset({"version", ACCOUNTS, PROFILES, CONTACTS, ONE_TO_ONE, *LISTS.values()})


def check_version(version: Any) -> None:
    """Raise SnapshotError unless this stub reads that version."""
    known = (*OLDER, VERSION)
    if version not in known or isinstance(version, bool):
        raise SnapshotError(
            f"the state has version {shown_value(version)}, this stub reads {' and '.join(map(str, known))}"
        )


def damaged(error: Exception) -> SnapshotError:
    """Return the error for data of a known version that do not fit."""
    if isinstance(error, KeyError):
        return SnapshotError(f"the state is damaged: {shown_text(error)} is missing")
    return SnapshotError(f"the state is damaged: {shown_text(error)}")


def _from_version_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Convert version 1, which packed members into base64 and users into numbers, and stored logs apart."""
    accounts = document[ACCOUNTS]

    def unpacked(place: Mapping[str, Any], name: str) -> dict[str, Any]:
        packed, log = place[name], place[MESSAGES]
        users = {"users": [accounts[number] for number in _unpack_column("I", packed["users"])]}
        columns = {column: _unpack_column(kind, packed[column]).tolist() for column, kind in COLUMNS}
        return {key: data for key, data in place.items() if key != name} | {
            "next_serial": packed["next_serial"],
            "uncounted": log["uncounted"],
            "recent": log["recent"],
            MEMBERS: users | columns,
            MESSAGES: log["items"],
        }

    return {
        **document,
        "groups": [unpacked(group, MEMBERS) for group in document["groups"]],
        "official_accounts": [unpacked(account, "subscribers") for account in document["official_accounts"]],
    }


def _unpack_column(kind: Literal["I", "q", "B"], text: str) -> "array[int]":
    column = array(kind, base64.b64decode(text))
    if sys.byteorder == "big":
        column.byteswap()
    return column


ITEMS_A_RECORD = 10_000
REMEMBERED_SECONDS = 3_600.0  # a window longer than every dedupe window

GROUP_FIELDS = tuple(
    item.name for item in fields(Group) if item.name not in ("members", "log", "pins", "serial", "as_tuple")
)
OFFICIAL_FIELDS = tuple(
    item.name
    for item in fields(OfficialAccount)
    if item.name not in ("subscribers", "log", "broadcasts", "last_message", "as_tuple")
)

ItemT = TypeVar("ItemT")


def records(state: AppData, random: Random) -> Iterator[Record]:
    """Yield all that is stored; the state must not change before the last record is yielded."""
    kind, internal, gauss = random.getstate()
    world = {
        "random": [kind, list(internal), gauss],
        "deleted": dict(state.deleted),
        "online": {user: list(platforms) for user, platforms in sorted(state.online.items())},
        "official_gone": sorted(state.official_gone),
    }
    if state.conversations.recent:
        world["one_to_one_recent"] = [[key, *seen] for key, seen in state.conversations.recent.items()]
    yield WORLD, world
    for users in _split_items(state.accounts()):
        yield ACCOUNTS, users
    for profiles in _split_items(state.profiles.items()):
        yield PROFILES, {user: dict(profile) for user, profile in profiles}
    for group in state.groups.values():
        yield GROUP, _dump_group(group)
        yield from _dump_rows(group.members, group.log)
    for account in state.official.values():
        yield OFFICIAL_ACCOUNT, _dump_official(account)
        yield from _dump_rows(account.subscribers, account.log)
    for books in _split_items(state.contacts.items()):
        yield CONTACTS, {user: _dump_book(book) for user, book in books}
    for messages in _split_items(state.conversations.messages()):
        yield ONE_TO_ONE, [_dump_pair_message(message) for message in messages]


def restore(source: Iterable[Record], admins: Sequence[str]) -> tuple[AppData, Random]:
    """Return state and source of ids from such records; SnapshotError for anything else."""
    try:
        state = AppData(admins)
        random = Random()  # noqa: S311 - made-up ids must be repeatable
        reader = _RecordReader(state, random)
        for kind, data in source:
            reader.take(kind, data)
        reader.finish()
    except SnapshotError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise damaged(error) from error
    return state, random


class _RecordReader:
    """Puts one record after the other into an empty state."""

    def __init__(self, state: AppData, random: Random) -> None:
        self._state = state
        self._random = random
        self._place: Group | OfficialAccount | None = None
        self._table, self._log = MemberTable(), MessageLog()
        self._begun = False

    def take(self, kind: str, data: Any) -> None:
        """Read one record; ValueError for one of an unknown kind."""
        reader = self.READERS.get(kind)
        if reader is None:
            raise ValueError(f"unknown record {shown_value(kind)}")
        check_types(kind, data)
        reader(self, data)

    def finish(self) -> None:
        """Raise ValueError when there was no record."""
        if not self._begun:
            raise ValueError("it is empty")

    def _read_world(self, data: Mapping[str, Any]) -> None:
        state = self._state
        kind, internal, gauss = data["random"]
        self._random.setstate((kind, tuple(internal), gauss))
        state.deleted = dict(data["deleted"])
        online = data["online"]  # a list of users in files of earlier stubs, which knew no platforms
        known = online.items() if isinstance(online, Mapping) else ((user, [UNKNOWN_PLATFORM]) for user in online)
        state.online = {user: list(platforms) for user, platforms in known}
        state.official_gone = set(data["official_gone"])
        for key, moment, seq, time in data.get("one_to_one_recent", ()):
            state.conversations.recent[tuple_of(key)] = (moment, seq, time)
        self._begun = True

    def _read_accounts(self, data: Iterable[str]) -> None:
        for user in data:
            self._state.add_account(user)

    def _read_profiles(self, data: Mapping[str, Any]) -> None:
        self._state.profiles |= {user: dict(profile) for user, profile in data.items()}

    def _read_contacts(self, data: Mapping[str, Any]) -> None:
        self._state.contacts |= {user: _load_book(book) for user, book in data.items()}

    def _read_group(self, data: Mapping[str, Any]) -> None:
        group = Group(**{name: deepcopy(data[name]) for name in GROUP_FIELDS}, serial=data.get("serial", 0))
        group.pins = {int(seq): user for seq, user in data["pins"]}
        group.members, group.log = self._begin_place(data)
        self._state.add_group(group)
        self._place = group

    def _read_official_account(self, data: Mapping[str, Any]) -> None:
        account = OfficialAccount(
            **{name: deepcopy(data[name]) for name in OFFICIAL_FIELDS}, last_message=data.get("last_message", 0)
        )
        account.broadcasts = deque(data["broadcasts"])
        account.subscribers, account.log = self._begin_place(data)
        self._state.official[account.account_id] = account
        self._place = account

    def _begin_place(self, data: Mapping[str, Any]) -> tuple[MemberTable, MessageLog]:
        self._table = MemberTable(int(data["next_serial"]))
        self._log = MessageLog()
        self._log.restore((), data["uncounted"])
        for key, moment, seq, time in data["recent"]:
            self._log.remember(tuple(key), moment, REMEMBERED_SECONDS, seq, time)
        return self._table, self._log

    def _read_members(self, columns: Mapping[str, Any]) -> None:
        state, place = self._state, self._place
        users = [self._require_user(user) for user in columns["users"]]
        self._table.extend(users, columns)
        if isinstance(place, Group):
            for user in users:
                state.enter(place, user)
        elif place is not None:
            for user in users:
                state.subscribed.enter(user, place)

    def _read_messages(self, data: Iterable[Mapping[str, Any]]) -> None:
        for item in data:
            self._log.append(_load_message(self._log.next_seq, item))

    def _read_one_to_one(self, data: Iterable[Mapping[str, Any]]) -> None:
        for item in data:
            message = _load_pair_message(
                item, self._require_party(item["sender"]), self._require_party(item["receiver"])
            )
            self._state.add_message(message)

    def _require_party(self, account: str) -> str:
        known = self._state.party(account)
        if known is None:
            raise ValueError(f"a message is about {shown_value(account)}, which does not exist")
        return known

    def _require_user(self, user: str) -> str:
        """Return the account's own string, which is stored once."""
        known = self._state.account(user)
        if known is None:
            raise ValueError(f"the member {shown_value(user)} has no account")
        return known

    READERS: ClassVar[Mapping[str, Callable[["_RecordReader", Any], None]]] = {
        WORLD: _read_world,
        ACCOUNTS: _read_accounts,
        PROFILES: _read_profiles,
        CONTACTS: _read_contacts,
        GROUP: _read_group,
        OFFICIAL_ACCOUNT: _read_official_account,
        MEMBERS: _read_members,
        MESSAGES: _read_messages,
        ONE_TO_ONE: _read_one_to_one,
    }


def _split_items(items: Iterable[ItemT]) -> Iterator[list[ItemT]]:
    iterator = iter(items)
    while part := list(islice(iterator, ITEMS_A_RECORD)):
        yield part


def _dump_group(group: Group) -> dict[str, Any]:
    return {name: deepcopy(getattr(group, name)) for name in GROUP_FIELDS} | {
        "pins": list(group.pins.items()),
        "serial": group.serial,
        **_dump_heads(group.members, group.log),
    }


def _dump_official(account: OfficialAccount) -> dict[str, Any]:
    return {name: deepcopy(getattr(account, name)) for name in OFFICIAL_FIELDS} | {
        "broadcasts": list(account.broadcasts),
        "last_message": account.last_message,
        **_dump_heads(account.subscribers, account.log),
    }


def _dump_heads(table: MemberTable, log: MessageLog) -> dict[str, Any]:
    return {
        "next_serial": table.next_serial,
        "uncounted": list(log.uncounted),
        "recent": [[key, *seen] for key, seen in log.recent.items()],
    }


def _dump_rows(table: MemberTable, log: MessageLog) -> Iterator[Record]:
    for columns in table.columns(ITEMS_A_RECORD):
        yield MEMBERS, columns
    for messages in _split_items(log):
        yield MESSAGES, [_dump_message(message) for message in messages]


def _dump_message(message: StoredMessage) -> dict[str, Any]:
    stored = {
        "time": message.time,
        "random": message.random,
        "sender": message.sender,
        "priority": message.priority,
        "body": message.body_json(),
        "cloud_custom_data": message.cloud_custom_data,
        "supports_extensions": message.supports_extensions,
        "recalled": message.recalled,
    }
    if message.system:
        stored["system"] = True
    if not message.listed:
        stored["listed"] = False
    if message.extensions is not None:
        stored["extensions"] = _dump_extensions(message.extensions)
    return stored


def _load_message(seq: int, item: Mapping[str, Any]) -> StoredMessage:
    return StoredMessage(
        seq,
        item["time"],
        item["random"],
        item["sender"],
        item["priority"],
        pack([Element.model_validate(element) for element in item["body"]]),
        item["cloud_custom_data"],
        supports_extensions=item["supports_extensions"],
        recalled=item["recalled"],
        system=item.get("system", False),
        listed=item.get("listed", True),
        extensions=_load_extensions(item.get("extensions")),
    )


_PAIR_FIELDS = tuple(item.name for item in fields(PairMessage) if item.name not in ("packed", "extensions", "system"))


def _dump_pair_message(message: PairMessage) -> dict[str, Any]:
    return {name: getattr(message, name) for name in _PAIR_FIELDS} | {
        "body": message.body_json(),
        "hidden_from": list(message.hidden_from),
        "extensions": _dump_extensions(message.extensions),
    }


def _load_pair_message(item: Mapping[str, Any], sender: str, receiver: str) -> PairMessage:
    own = {name: item[name] for name in _PAIR_FIELDS}
    return PairMessage(
        **own
        | {
            "sender": sender,
            "receiver": receiver,
            "hidden_from": tuple(item["hidden_from"]),
            "packed": pack([Element.model_validate(element) for element in item["body"]]),
            "extensions": _load_extensions(item["extensions"]),
        }
    )


def _dump_extensions(extensions: Extensions | None) -> dict[str, Any] | None:
    if extensions is None:
        return None
    pairs = [[key, value, seq] for key, (value, seq) in extensions.pairs.items()]
    return {"pairs": pairs, "seq": extensions.seq, "clear_seq": extensions.clear_seq}


def _load_extensions(stored: Mapping[str, Any] | None) -> Extensions | None:
    if stored is None:
        return None
    pairs = {key: (value, number) for key, value, number in stored["pairs"]}
    return Extensions(pairs, stored["seq"], stored["clear_seq"])


def tuple_of(key: Any) -> Any:
    """Return a key that was stored as JSON: its lists are tuples."""
    return tuple(map(tuple_of, key)) if isinstance(key, list | tuple) else key


def _dump_book(book: ContactBook) -> dict[str, Any]:
    return {
        "groups": list(book.groups.items()),
        "next_group": book.next_group,
        "entries": [
            [kind, peer, list(entry.groups), entry.mark, entry.custom_mark, entry.time]
            for (kind, peer), entry in book.entries.items()
        ],
        "deleted": [[kind, peer, time] for (kind, peer), time in book.deleted.items()],
    }


def _load_book(data: Mapping[str, Any]) -> ContactBook:
    return ContactBook(
        groups={int(number): name for number, name in data["groups"]},
        entries={
            (kind, peer): ConversationEntry(list(groups), mark, custom, time)
            for kind, peer, groups, mark, custom, time in data["entries"]
        },
        next_group=data["next_group"],
        deleted={(kind, peer): time for kind, peer, time in data["deleted"]},
    )
