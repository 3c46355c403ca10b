"""What webhooks share with the services: memories to be corrected by events, and the limiter to be slowed down."""

from collections.abc import Callable
from dataclasses import dataclass

from channel_adapter.concurrency.clock import Clock
from channel_adapter.services.directory import Directory
from channel_adapter.services.history import History
from channel_adapter.services.roles import Roles
from channel_adapter.services.uncounted import Uncounted


@dataclass(frozen=True, slots=True)
class Workings:
    """Parts of an open adapter. For the packages of this project, not for apps: they may change at any time."""

    directory: Directory
    roles: Roles
    history: History
    uncounted: Uncounted
    clock: Clock
    slow_down: Callable[[str, str], None]
    """Takes service and command: calls of it go slower for a while."""
