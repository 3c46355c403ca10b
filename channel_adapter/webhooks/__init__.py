"""Webhooks: received, verified, stored, and passed to the app's handlers. `application` mounts the receiver."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.webhooks.inbox import MemoryInbox
    from channel_adapter.webhooks.receiver import application, serve

__all__ = ["MemoryInbox", "application", "serve"]

_HOMES = {"MemoryInbox": "inbox", "application": "receiver", "serve": "receiver"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
