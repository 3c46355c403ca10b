"""Which handler carries out which command."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from channel_adapter.stub.world import accounts
from channel_adapter.stub.world.call import Handler

AREAS: tuple[ModuleType, ...] = (accounts,)

HANDLERS: Mapping[tuple[str, str], Handler] = MappingProxyType(
    {
        (value.command.service, value.command.name): value
        for area in AREAS
        for value in vars(area).values()
        if isinstance(value, Handler)
    }
)
