"""The value of the tag field: that a group is a channel, and where it comes from.

`ch1` is kind and version of the layout, and all that a channel made here has. Behind it stand `;name=value` parts:
`mig=ID`, the migration that made the group, `kept=name+posts`, what of it is kept whole in the adapter's database, and
`data=3`, over how many fields the custom data is spread. All others are attributes: `verified=1`, `suspended=1`,
`contact=USER` and the policy of reactions; `%` and `;` in their values are written as `%25` and `%3B`. Parts of a later
version are kept as they are.

The tag has 512 bytes at most. The flags and the contact take 128 of them at most, what a migration writes 80.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value

KIND: Final = "ch1"
MIGRATION_ID_CHARACTERS: Final = 40

_MIGRATION: Final = "mig"
_KEPT: Final = "kept"
_DATA: Final = "data"
_KNOWN: Final = frozenset({_MIGRATION, _KEPT, _DATA})
_PLAIN: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag in parts. `migration` is empty for a channel that was made here, `kept` names what lies in the database.

    `data` is the number of fields with custom data, None if that was not recorded. Tags are compared without it.
    """

    migration: str = ""
    kept: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    data: int | None = field(default=None, compare=False)

    def text(self) -> str:
        """Return the value of the group's field."""
        parts = [KIND]
        if self.migration:
            parts.append(f"{_MIGRATION}={self.migration}")
        if self.kept:
            parts.append(f"{_KEPT}={'+'.join(self.kept)}")
        if self.data is not None:
            parts.append(f"{_DATA}={self.data}")
        return ";".join([*parts, *self.others])

    @property
    def attributes(self) -> Mapping[str, str]:
        """The `name=value` parts that are attributes of the channel."""
        if not self.others:
            return _NO_ATTRIBUTES
        return {
            name: _decode_value(value) for name, mark, value in (part.partition("=") for part in self.others) if mark
        }

    def with_attributes(self, changes: Mapping[str, str | None]) -> "Tag":
        """Return the tag with changed attributes; None removes one."""
        kept = [part for part in self.others if _attribute_name(part) not in changes]
        added = [f"{name}={_encode_value(value)}" for name, value in changes.items() if value is not None]
        return replace(self, others=(*kept, *added))


_PLAIN_TAG: Final = Tag()
_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


def _attribute_name(part: str) -> str:
    return part.partition("=")[0]


def _encode_value(value: str) -> str:
    return value.replace("%", "%25").replace(";", "%3B")


def _decode_value(value: str) -> str:
    return value.replace("%3B", ";").replace("%25", "%") if "%" in value else value


def read_tag(value: str) -> Tag | None:
    """Return the parts of a tag; None for a value that is not the tag of a channel."""
    if value == KIND:
        return _PLAIN_TAG
    kind, *parts = value.split(";")
    if kind != KIND:
        return None
    known = {name: value for name, _, value in (part.partition("=") for part in parts) if name in _KNOWN}
    others = tuple(part for part in parts if _attribute_name(part) not in _KNOWN)
    kept = tuple(filter(None, known.get(_KEPT, "").split("+")))
    data = known.get(_DATA, "")
    return Tag(known.get(_MIGRATION, ""), kept, others, int(data) if data.isdecimal() else None)


def migration_id(text: str) -> str:
    """Return a valid id of a migration: letters, digits, `_` and `-`. Raises InvalidError."""
    if not _PLAIN.fullmatch(text) or len(text) > MIGRATION_ID_CHARACTERS:
        raise InvalidError(
            f"migration {shown_value(text)}: letters, digits, _ and - only, 1 to {MIGRATION_ID_CHARACTERS} of them",
            field="migration", limit=MIGRATION_ID_CHARACTERS, size=len(text),
        )  # fmt: skip
    return text
