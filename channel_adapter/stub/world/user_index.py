"""Finds a row in a list of users with four bytes a slot: a dictionary and its numbers would take fifteen times that.

Open addressing with linear probing. An emptied row matches nobody, so leaving needs no mark in the index.
"""

from array import array
from collections.abc import Sequence

SMALLEST = 8  # slots; always a power of two
FULL = 0.6  # share of used slots above which the index grows


class UserIndex:
    """user -> row over `users`, which the owner of both keeps and appends to."""

    __slots__ = ("_slots", "_users")

    def __init__(self, users: Sequence[str | None]) -> None:
        self._users = users
        self._slots = array("I", bytes(4 * SMALLEST))
        self._grow()

    def find(self, user: str) -> int | None:
        """The row in which the user stands."""
        slots, users = self._slots, self._users
        mask = len(slots) - 1
        place = hash(user) & mask
        while entry := slots[place]:
            if users[entry - 1] == user:
                return entry - 1
            place = (place + 1) & mask
        return None

    def enter(self, row: int) -> None:
        """Make the user in a newly appended row findable."""
        if len(self._users) > FULL * len(self._slots):
            self._grow()
        else:
            self._enter(row)

    def _enter(self, row: int) -> None:
        slots = self._slots
        mask = len(slots) - 1
        place = hash(self._users[row]) & mask
        while slots[place]:
            place = (place + 1) & mask
        slots[place] = row + 1

    def _grow(self) -> None:
        """Start again with room for twice the rows there are."""
        size = SMALLEST
        while len(self._users) * 2 > FULL * size and size < 2**31:
            size *= 2
        self._slots = array("I", bytes(4 * size))
        for row, user in enumerate(self._users):
            if user is not None:
                self._enter(row)
