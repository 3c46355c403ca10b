"""Which handler carries out which command."""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from channel_adapter.stub.world import (
    accounts,
    contact_groups,
    contact_marks,
    extensions,
    group_data,
    group_lists,
    groups,
    history,
    imports,
    member_reads,
    members,
    messages,
    official_accounts,
    official_messages,
    online,
    pins,
    profiles,
    recent_contacts,
    refused,
    subscribers,
)
from channel_adapter.stub.world.call import Handler

AREAS: tuple[ModuleType, ...] = (
    accounts, profiles, groups, group_lists, members, member_reads, online, messages, history, imports, pins,
    extensions, contact_groups, contact_marks, recent_contacts, official_accounts, subscribers,
    official_messages, group_data,
)  # fmt: skip

HANDLERS: Mapping[tuple[str, str], Handler] = MappingProxyType(
    {
        (handler.command.service, handler.command.name): handler
        for handler in (
            *(value for area in AREAS for value in vars(area).values() if isinstance(value, Handler)),
            *refused.HANDLERS,
        )
    }
)
