"""Lists that the service pages by cursor: they have to move on."""

from typing import Any, Generic, TypeVar

from channel_adapter.errors import UnavailableError
from channel_adapter.tencent.command import Command

C = TypeVar("C")


class Cursors(Generic[C]):
    """Where the reading of one list has been. Going there again would never end, or end somewhere in the middle."""

    def __init__(self, command: Command[Any, Any]) -> None:
        self._command = command
        self._read: set[C] = set()

    def follow(self, page: C, following: C) -> C:
        """`following`, when no page there was read yet; `page` has been read now. Raises UnavailableError."""
        self._read.add(page)
        if following in self._read:
            raise UnavailableError(
                f"{self._command.name}: the list came back to {following!r}, which was read already; it cannot be read"
                " to its end"
            )
        return following
