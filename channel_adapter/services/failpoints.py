"""Named points at which tests interrupt the work of services, for example by killing the process."""

from collections.abc import Callable
from typing import Final

hooks: Final[list[Callable[[str], None]]] = []
"""Functions that are called with the name of each point that is passed; empty outside of tests."""


def failpoint(name: str) -> None:
    """Call the hooks of tests."""
    for hook in hooks:
        hook(name)
