"""What two states of the stub differ in: accounts, groups, members, messages, official accounts, conversation groups.

Pure. Only what the service would show counts; the source of ids and the order of joining do not.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_NOT_SHOWN = frozenset({"members", "messages", "next_serial", "recent", "uncounted", "mutes"})
_BY_MEMBER = {"name_cards": "name card", "member_fields": "fields", "subscriber_strings": "custom string"}
_COLUMNS = {"roles": "role", "joined": "joined", "read": "read up to", "flags": "receive option"}
_ROLES = {1: "Member", 2: "Admin", 3: "Owner"}


class Difference(NamedTuple):
    """One thing that is not the same on both sides; None where it is not there at all."""

    where: str
    what: str
    first: Any
    second: Any


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    """Every difference of two documents, in the order of the first one."""
    yield from _compare("accounts", _accounts(first), _accounts(second))
    for kind, name, key in (
        ("group", "groups", "group_id"),
        ("official account", "official_accounts", "account_id"),
    ):
        yield from _places(kind, _by_id(first[name], key), _by_id(second[name], key))
    yield from _compare("conversations", first["contacts"], second["contacts"])


def _accounts(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    online, profiles = set(document["online"]), document["profiles"]
    return {
        user: {"imported": True, "online": user in online} | profiles.get(user, {}) for user in document["accounts"]
    }


def _by_id(places: list[dict[str, Any]], key: str) -> dict[str, dict[str, Any]]:
    return {place[key]: place for place in places}


def _places(kind: str, first: Mapping[str, Any], second: Mapping[str, Any]) -> Iterator[Difference]:
    for name in {**first, **second}:
        where, one, other = f"{kind} {name}", first.get(name), second.get(name)
        if one is None or other is None:
            yield Difference(where, "exists", one is not None, other is not None)
            continue
        yield from _compare(where, _profile(one), _profile(other))
        yield from _compare(where, _members(one), _members(other), "member ")
        yield from _compare(where, _messages(one), _messages(other), "message ")


def _profile(place: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if name not in _NOT_SHOWN and name not in _BY_MEMBER}


def _members(place: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    columns = place["members"]
    beside = {label: place.get(name, {}) for name, label in _BY_MEMBER.items()} | {
        "muted until": place.get("mutes", {})
    }
    found = {}
    for row, user in enumerate(columns["users"]):
        shown = {label: columns[name][row] for name, label in _COLUMNS.items()}
        shown["role"] = _ROLES.get(shown["role"], shown["role"])
        found[user] = shown | {label: held[user] for label, held in beside.items() if user in held}
    return found


def _messages(place: Mapping[str, Any]) -> dict[str, Any]:
    return {str(seq): message for seq, message in enumerate(place["messages"], 1)}


def _compare(where: str, first: Mapping[str, Any], second: Mapping[str, Any], prefix: str = "") -> Iterator[Difference]:
    """Of two mappings: what only one has, whole; of objects that both have, the fields that differ."""
    for name in {**first, **second}:
        one, other = first.get(name), second.get(name)
        if one == other:
            continue
        if isinstance(one, dict) and isinstance(other, dict):
            yield from (
                Difference(where, f"{prefix}{name}: {field}", one.get(field), other.get(field))
                for field in {**one, **other}
                if one.get(field) != other.get(field)
            )
        else:
            yield Difference(where, f"{prefix}{name}", one, other)
