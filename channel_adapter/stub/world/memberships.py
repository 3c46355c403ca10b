"""Who is in what, by user: an index that costs one shared tuple for everybody who is in one place only."""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Generic, Protocol, Self, TypeVar


class Place(Protocol):
    """Something users can be in; `alone` is the tuple of itself, held once."""

    @property
    def alone(self) -> tuple[Self, ...]: ...


PlaceT = TypeVar("PlaceT", bound=Place)


class Memberships(Generic[PlaceT]):
    """user -> the places he is in, in the order in which he was entered, or in one of their own."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[PlaceT, ...]] = {}

    def of(self, user: str) -> tuple[PlaceT, ...]:
        return self._places.get(user, ())

    def enter(self, user: str, place: PlaceT, order: Callable[[PlaceT], Any] | None = None) -> None:
        """Put the user in a place: behind the others, or where it belongs if they have an `order`."""
        others = self._places.get(user)
        if others is None:
            self._places[user] = place.alone
            return
        at = len(others) if order is None else bisect_right(others, order(place), key=order)
        self._places[user] = (*others[:at], place, *others[at:])

    def leave(self, user: str, place: PlaceT) -> None:
        rest = tuple(other for other in self.of(user) if other is not place)
        if not rest:
            self._places.pop(user, None)
        else:
            self._places[user] = rest[0].alone if len(rest) == 1 else rest
