"""The members of one group in columns: it holds a million, and no operation but a compaction reads all.

A row is found by user. Rows are in the order of joining and have a serial number that only grows, so a cursor (the
serial of the next row) stays valid while others join and leave. The row of a user who leaves stays empty until a
compaction. The index takes four bytes a slot, where a dictionary would take fifteen times as much: open addressing with
linear probing, in which an emptied row matches no user and needs no mark.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import pairwise
from typing import Any

from channel_adapter.quoting import shown_value
from channel_adapter.tencent.wire.members import (
    ACCEPT_AND_NOTIFY,
    ACCEPT_MENTIONS,
    ACCEPT_NOT_NOTIFY,
    ADMIN,
    DISCARD,
    MEMBER,
    OWNER,
)

SMALLEST = 8  # slots; always a power of two
FULL = 0.6  # share of used slots above which the index grows


class UserIndex:
    """user -> row over `users`, which the owner of both keeps and appends to."""

    __slots__ = ("_slots", "_users")

    def __init__(self, users: Sequence[str | None]) -> None:
        self._users = users
        self._slots = array("I", bytes(4 * SMALLEST))
        self._double_slots()

    def find(self, user: str) -> int | None:
        """Return the row of a user, None if there is none."""
        slots, users = self._slots, self._users
        mask = len(slots) - 1
        place = hash(user) & mask
        while entry := slots[place]:
            if users[entry - 1] == user:
                return entry - 1
            place = (place + 1) & mask
        return None

    def enter(self, row: int) -> None:
        """Add a newly appended row to the index."""
        if len(self._users) > FULL * len(self._slots):
            self._double_slots()
        else:
            self._insert_row(row)

    def _insert_row(self, row: int) -> None:
        slots = self._slots
        mask = len(slots) - 1
        place = hash(self._users[row]) & mask
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = row + 1

    def _double_slots(self) -> None:
        """Rebuild with slots for twice the rows."""
        size = SMALLEST
        while len(self._users) * 2 > FULL * size and size < 2**31:
            size *= 2
        self._slots = array("I", bytes(4 * size))
        for row, user in enumerate(self._users):
            if user is not None:
                self._insert_row(row)


EMPTY_ROWS_KEPT = 64  # below this a compaction is not worth it
FLAGS = (ACCEPT_AND_NOTIFY, ACCEPT_NOT_NOTIFY, DISCARD, ACCEPT_MENTIONS)  # new ones last: files hold the place


class MemberRole(IntEnum):
    """A member's role; the number is what files hold."""

    MEMBER = 1
    ADMIN = 2
    OWNER = 3

    @property
    def wire(self) -> str:
        """The role as on the wire."""
        return (MEMBER, ADMIN, OWNER)[self - 1]


ROLES = {role.wire: role for role in MemberRole}


class MemberTable:
    """Rows of (user, join time, read seq, role, receive option). `row` arguments come from `find` or `page`."""

    __slots__ = (
        "_count", "_flags", "_index", "_joined", "_next_serial", "_read", "_serials", "_staff", "_users"
    )  # fmt: skip

    def __init__(self, next_serial: int = 1) -> None:
        self._count = 0
        self._users: list[str | None] = []
        self._index = UserIndex(self._users)
        self._serials = array("I")
        self._joined = array("q")
        self._read = array("I")
        self._flags = bytearray()
        self._next_serial = next_serial
        self._staff: dict[str, MemberRole] = {}  # owner and admins: all others are plain members

    def __len__(self) -> int:
        return self._count

    def __contains__(self, user: object) -> bool:
        return isinstance(user, str) and self._index.find(user) is not None

    def __iter__(self) -> Iterator[str]:
        return (user for user in self._users if user is not None)

    def find(self, user: str) -> int | None:
        """Return the row of a member, None if the user is none."""
        return self._index.find(user)

    def add(self, user: str, role: MemberRole, joined: int, read: int) -> int:
        """Append a new member; `user` should be the account's own string, so that it is stored once."""
        row = len(self._users)
        self._count += 1
        self._users.append(user)
        self._index.enter(row)
        self._serials.append(self._next_serial)
        self._joined.append(joined)
        self._read.append(read)
        self._flags.append(0)
        self._next_serial += 1
        if role is not MemberRole.MEMBER:
            self._staff[user] = role
        return row

    def remove(self, user: str) -> None:
        """Empty the member's row; unknown users are ignored."""
        row = self._index.find(user)
        if row is None:
            return
        self._count -= 1
        self._users[row] = None
        self._staff.pop(user, None)
        empty = len(self._users) - self._count
        if empty > EMPTY_ROWS_KEPT and empty * 4 > len(self._users):
            self._compact_rows()

    def user(self, row: int) -> str:
        user = self._users[row]
        if user is None:
            raise LookupError(f"row {row} is empty")
        return user

    def role(self, row: int) -> MemberRole:
        return self._staff.get(self.user(row), MemberRole.MEMBER)

    def role_name(self, row: int) -> str:
        """Return the role as on the wire."""
        role = self._staff.get(self.user(row))
        return MEMBER if role is None else role.wire

    def set_role(self, row: int, role: MemberRole) -> None:
        user = self.user(row)
        if role is MemberRole.MEMBER:
            self._staff.pop(user, None)
        else:
            self._staff[user] = role

    def joined(self, row: int) -> int:
        """Return the time of joining in unix seconds."""
        return self._joined[row]

    def read(self, row: int) -> int:
        """Return the highest seq that this member has read."""
        return self._read[row]

    def set_read(self, row: int, seq: int) -> None:
        self._read[row] = seq

    def set_all_read(self, seq: int) -> None:
        """Mark all messages up to `seq` as read for all members."""
        self._read = array("I", [seq]) * len(self._users)

    def flag(self, row: int) -> str:
        """Return the receive option as on the wire."""
        return FLAGS[self._flags[row]]

    def set_flag(self, row: int, flag: str) -> None:
        self._flags[row] = FLAGS.index(flag)

    def staff(self) -> list[int]:
        """Return the rows of the owner and the admins, in the order of joining."""
        return sorted(row for user in self._staff if (row := self._index.find(user)) is not None)

    def page(self, start: int, maximum: int) -> tuple[list[int], int]:
        """Return up to `maximum` rows from serial `start` on, and the serial of the next one (0: there is none)."""
        rows: list[int] = []
        for row in range(bisect_left(self._serials, start), len(self._users)):
            if self._users[row] is None:
                continue
            if len(rows) == maximum:
                return rows, self._serials[row]
            rows.append(row)
        return rows, 0

    def serial(self, row: int) -> int:
        return self._serials[row]

    @property
    def next_serial(self) -> int:
        """Return the serial of the next row."""
        return self._next_serial

    def columns(self, maximum: int) -> Iterator[dict[str, list[Any]]]:
        """Yield all rows, up to `maximum` at a time, each column as a list."""
        if self._count < len(self._users):
            self._compact_rows()
        for start in range(0, self._count, maximum):
            part = slice(start, start + maximum)
            yield {
                "users": self._users[part],
                "serials": self._serials[part].tolist(),
                "joined": self._joined[part].tolist(),
                "read": self._read[part].tolist(),
                "roles": [int(self.role(row)) for row in range(start, min(start + maximum, self._count))],
                "flags": list(self._flags[part]),
            }

    def extend(self, users: Sequence[str], columns: Mapping[str, Sequence[int]]) -> None:
        """Append rows that `columns` yielded; ValueError when they cannot follow the existing ones."""
        serials, roles, flags = columns["serials"], columns["roles"], columns["flags"]
        lengths = {len(users), len(serials), len(columns["joined"]), len(columns["read"]), len(roles), len(flags)}
        if len(lengths) != 1:
            raise ValueError("the columns of a member table differ in length")
        last = self._serials[-1:].tolist()
        if not _is_ascending([*last, *serials, self._next_serial]):
            raise ValueError("the serials of a member table do not ascend")
        if not set(roles) <= set(MemberRole) or not set(flags) <= set(range(len(FLAGS))):
            raise ValueError("a member has a role or a receive option that does not exist")
        start = len(self._users)
        self._serials.extend(serials)
        self._joined.extend(columns["joined"])
        self._read.extend(columns["read"])
        self._flags.extend(flags)
        for row, (user, role) in enumerate(zip(users, roles, strict=True), start):
            if self._index.find(user) is not None:
                raise ValueError(f"{shown_value(user)} is a member twice")
            self._users.append(user)
            self._index.enter(row)
            if role != MemberRole.MEMBER:
                self._staff[user] = MemberRole(role)
        self._count += len(users)

    def _compact_rows(self) -> None:
        kept = [row for row, user in enumerate(self._users) if user is not None]
        self._users = [self._users[row] for row in kept]
        self._serials = array("I", (self._serials[row] for row in kept))
        self._joined = array("q", (self._joined[row] for row in kept))
        self._read = array("I", (self._read[row] for row in kept))
        self._flags = bytearray(self._flags[row] for row in kept)
        self._index = UserIndex(self._users)
        self._count = len(self._users)


def _is_ascending(numbers: Sequence[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(numbers))
