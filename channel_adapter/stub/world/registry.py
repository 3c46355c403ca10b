"""Which handler carries out which command."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from channel_adapter.stub.world import accounts, group_lists, groups, history, imports, member_reads, members, messages
from channel_adapter.stub.world.call import Handler

AREAS: tuple[ModuleType, ...] = (accounts, groups, group_lists, members, member_reads, messages, history, imports)

HANDLERS: Mapping[tuple[str, str], Handler] = MappingProxyType(
    {
        (value.command.service, value.command.name): value
        for area in AREAS
        for value in vars(area).values()
        if isinstance(value, Handler)
    }
)
