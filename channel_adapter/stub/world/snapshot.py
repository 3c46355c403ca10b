"""The world's state as plain JSON values and back. No settings and no secrets; one version number for the whole."""

from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import fields
from random import Random
from typing import Any

from channel_adapter.stub.world.contact_book import ContactBook, Entry
from channel_adapter.stub.world.member_table import MemberTable
from channel_adapter.stub.world.message_log import Extensions, Message, MessageLog
from channel_adapter.stub.world.state import Group, OfficialAccount, State
from channel_adapter.tencent.wire.msg_body import Element

VERSION = 1
REMEMBERED_SECONDS = 3_600.0  # a window longer than every dedupe window

GROUP_FIELDS = tuple(
    item.name for item in fields(Group) if item.name not in ("members", "log", "pins", "serial", "alone")
)
OFFICIAL_FIELDS = tuple(
    item.name for item in fields(OfficialAccount) if item.name not in ("subscribers", "log", "broadcasts", "alone")
)


class SnapshotError(ValueError):
    """The data are not a state that this version can load; the text says why."""


def dump(state: State, random: Random) -> dict[str, Any]:
    """Everything that is stored; users stand in member tables as numbers into `accounts`."""
    accounts = list(state.accounts())
    numbers = {user: number for number, user in enumerate(accounts)}
    kind, internal, gauss = random.getstate()
    return {
        "version": VERSION,
        "random": [kind, list(internal), gauss],
        "accounts": accounts,
        "profiles": {user: dict(profile) for user, profile in state.profiles.items()},
        "deleted": dict(state.deleted),
        "online": sorted(state.online),
        "groups": [_dump_group(group, numbers) for group in state.groups.values()],
        "official_accounts": [_dump_official(account, numbers) for account in state.official.values()],
        "official_gone": sorted(state.official_gone),
        "contacts": {user: _dump_book(book) for user, book in state.contacts.items()},
    }


def load(data: Mapping[str, Any], admins: Sequence[str]) -> tuple[State, Random]:
    """State and source of ids as `dump` wrote them; SnapshotError for anything else."""
    version = data.get("version") if isinstance(data, Mapping) else None
    if version != VERSION:
        raise SnapshotError(f"state of version {version!r}; this stub reads version {VERSION}")
    try:
        random = Random()  # noqa: S311 - made-up ids must be repeatable
        kind, internal, gauss = data["random"]
        random.setstate((kind, tuple(internal), gauss))
        return _load(data, admins), random
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise SnapshotError(f"the state is damaged: {type(error).__name__}: {error}") from error


def _load(data: Mapping[str, Any], admins: Sequence[str]) -> State:
    state = State(admins)
    accounts: list[str] = data["accounts"]
    for user in accounts:
        state.add_account(user)
    state.profiles = {user: dict(profile) for user, profile in data["profiles"].items()}
    state.deleted = dict(data["deleted"])
    state.online = set(data["online"])
    for item in data["groups"]:
        group = _load_group(item, accounts)
        state.add_group(group)
        for user in group.members:
            state.joined.enter(user, group)
    for item in data["official_accounts"]:
        account = _load_official(item, accounts)
        state.official[account.account_id] = account
        for user in account.subscribers:
            state.subscribed.enter(user, account)
    state.official_gone = set(data["official_gone"])
    state.contacts = {user: _load_book(book) for user, book in data["contacts"].items()}
    return state


def _dump_group(group: Group, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {name: deepcopy(getattr(group, name)) for name in GROUP_FIELDS} | {
        "pins": list(group.pins.items()),
        "members": group.members.dump(numbers),
        "messages": _dump_log(group.log),
    }


def _load_group(item: Mapping[str, Any], accounts: Sequence[str]) -> Group:
    group = Group(**{name: deepcopy(item[name]) for name in GROUP_FIELDS})
    group.pins = {int(seq): user for seq, user in item["pins"]}
    group.members = MemberTable.load(item["members"], accounts)
    group.log = _load_log(item["messages"])
    return group


def _dump_official(account: OfficialAccount, numbers: Mapping[str, int]) -> dict[str, Any]:
    return {name: deepcopy(getattr(account, name)) for name in OFFICIAL_FIELDS} | {
        "broadcasts": list(account.broadcasts),
        "subscribers": account.subscribers.dump(numbers),
        "messages": _dump_log(account.log),
    }


def _load_official(item: Mapping[str, Any], accounts: Sequence[str]) -> OfficialAccount:
    account = OfficialAccount(**{name: deepcopy(item[name]) for name in OFFICIAL_FIELDS})
    account.broadcasts = deque(item["broadcasts"])
    account.subscribers = MemberTable.load(item["subscribers"], accounts)
    account.log = _load_log(item["messages"])
    return account


def _dump_log(log: MessageLog) -> dict[str, Any]:
    return {
        "items": [_dump_message(message) for message in log],
        "uncounted": list(log.uncounted),
        "recent": [[key, *seen] for key, seen in log.recent.items()],
    }


def _load_log(data: Mapping[str, Any]) -> MessageLog:
    log = MessageLog()
    messages = (_load_message(seq, item) for seq, item in enumerate(data["items"], start=1))
    log.restore(messages, data["uncounted"])
    for key, moment, seq, time in data["recent"]:
        log.remember(tuple(key), moment, REMEMBERED_SECONDS, seq, time)
    return log


def _dump_message(message: Message) -> dict[str, Any]:
    stored = {
        "time": message.time,
        "random": message.random,
        "sender": message.sender,
        "priority": message.priority,
        "body": [element.to_wire() for element in message.body],
        "cloud_custom_data": message.cloud_custom_data,
        "supports_extensions": message.supports_extensions,
        "recalled": message.recalled,
    }
    if message.extensions is not None:
        held = message.extensions
        pairs = [[key, value, seq] for key, (value, seq) in held.pairs.items()]
        stored["extensions"] = {"pairs": pairs, "seq": held.seq, "clear_seq": held.clear_seq}
    return stored


def _load_message(seq: int, item: Mapping[str, Any]) -> Message:
    held = item.get("extensions")
    message = Message(
        seq,
        item["time"],
        item["random"],
        item["sender"],
        item["priority"],
        [Element.model_validate(element) for element in item["body"]],
        item["cloud_custom_data"],
        supports_extensions=item["supports_extensions"],
        recalled=item["recalled"],
    )
    if held is not None:
        pairs = {key: (value, number) for key, value, number in held["pairs"]}
        message.extensions = Extensions(pairs, held["seq"], held["clear_seq"])
    return message


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
            (kind, peer): Entry(list(groups), mark, custom, time)
            for kind, peer, groups, mark, custom, time in data["entries"]
        },
        next_group=data["next_group"],
        deleted={(kind, peer): time for kind, peer, time in data["deleted"]},
    )
