"""Webhooks: received, verified, stored, and passed to the app's handlers. `application` and `asgi` mount it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.webhooks.aiohttp_app import application, serve
    from channel_adapter.webhooks.asgi_app import asgi
    from channel_adapter.webhooks.inbox import MemoryInbox

__all__ = ["MemoryInbox", "application", "asgi", "serve"]

_HOMES = {"MemoryInbox": "inbox", "application": "aiohttp_app", "asgi": "asgi_app", "serve": "aiohttp_app"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
