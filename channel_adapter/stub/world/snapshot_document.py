"""A state as one JSON document, and as the records it is made of; older documents are brought up to date.

Records are `[kind, data]` and small, whatever the size of the world, so that a file of them can be written and read in
passing. `members` and `messages` belong to the group or official account before them. The document holds the same.
"""

import base64
import sys
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

VERSION = 2
OLDER = (1,)

WORLD, ACCOUNTS, PROFILES, CONTACTS = "world", "accounts", "profiles", "contacts"
GROUP, OFFICIAL_ACCOUNT, MEMBERS, MESSAGES = "group", "official_account", "members", "messages"
LISTS = {GROUP: "groups", OFFICIAL_ACCOUNT: "official_accounts"}
COLUMNS: tuple[tuple[str, Literal["I", "q", "B"]], ...] = (
    ("serials", "I"), ("joined", "q"), ("read", "I"), ("roles", "B"), ("flags", "B")
)  # fmt: skip

Record = tuple[str, Any]


class SnapshotError(ValueError):
    """The data are not a state that this version can load; the text says why."""


def fold(records: Iterable[Record]) -> dict[str, Any]:
    """One document out of the records of a whole state; SnapshotError when they do not fit together."""
    try:
        return _fold(records)
    except SnapshotError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(error) from error


def _fold(records: Iterable[Record]) -> dict[str, Any]:
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
    """The records of a document; SnapshotError for one of an unknown version or without what it must have."""
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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(error) from error


_IN_RECORDS = frozenset({"version", ACCOUNTS, PROFILES, CONTACTS, *LISTS.values()})


def check_version(version: Any) -> None:
    """SnapshotError unless this stub reads that version."""
    known = (*OLDER, VERSION)
    if version not in known or isinstance(version, bool):
        raise SnapshotError(f"the state has version {version!r}, this stub reads {' and '.join(map(str, known))}")


def damaged(error: Exception) -> SnapshotError:
    """What to say of data of a known version that do not fit."""
    if isinstance(error, KeyError):
        return SnapshotError(f"the state is damaged: {error} is missing")
    return SnapshotError(f"the state is damaged: {error}")


def _from_version_1(document: Mapping[str, Any]) -> dict[str, Any]:
    """Version 1 packed members into base64, users as numbers into the accounts, and kept logs apart."""
    accounts = document[ACCOUNTS]

    def unpacked(place: Mapping[str, Any], name: str) -> dict[str, Any]:
        packed, log = place[name], place[MESSAGES]
        users = {"users": [accounts[number] for number in _unpack("I", packed["users"])]}
        columns = {column: _unpack(kind, packed[column]).tolist() for column, kind in COLUMNS}
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


def _unpack(kind: Literal["I", "q", "B"], text: str) -> "array[int]":
    column = array(kind, base64.b64decode(text))
    if sys.byteorder == "big":
        column.byteswap()
    return column
