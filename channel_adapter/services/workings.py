"""What webhooks share with the services: memories to be corrected by events, and the limiter to be slowed down."""

from collections.abc import Callable
from dataclasses import dataclass

from channel_adapter.backends.community.channels import ChannelCache
from channel_adapter.backends.community.history import History, SilentPosts
from channel_adapter.backends.community.members import RoleCache
from channel_adapter.concurrency.clock import Clock


@dataclass(frozen=True, slots=True)
class Workings:
    """Parts of an open adapter. For the packages of this project, not for apps: they may change at any time."""

    directory: ChannelCache
    roles: RoleCache
    history: History
    uncounted: SilentPosts
    clock: Clock
    reduce_rate: Callable[[str, str], None]
    """Takes service and command: calls of it go slower for a while."""
