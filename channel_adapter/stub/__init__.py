"""A stub of the service: `StubServer` plays its HTTP in front of a state machine, for tests and demonstrations.

`world` holds the state machine, without HTTP; `faults`, `callbacks` and `control` hold what tests do to it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.stub.server import StubServer

__all__ = ["StubServer"]


def __getattr__(name: str) -> Any:
    """Import the server when it is first used, so that a module such as `shipped` costs no import of aiohttp."""
    if name in __all__:
        globals()[name] = getattr(import_module("channel_adapter.stub.server"), name)
        return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
