"""Group counters and attributes: refused for Communities unless switched on, stored for other types."""

from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world.context import CommandContext, handles
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes, limits
from channel_adapter.tencent.wire import group_data as wire
from channel_adapter.tencent.wire import groups

MODES = (wire.COUNTER_SET, wire.COUNTER_INCREASE, wire.COUNTER_DECREASE)
LOWEST, HIGHEST = -(2**63), 2**63 - 1  # a counter is an int64 [doc 53428]
ATTRIBUTES = 16  # of a group [doc 1671]
ATTRIBUTE_KEY_BYTES, ATTRIBUTE_BYTES, ATTRIBUTES_BYTES = 32, 4_000, 16_000  # key, value, all [doc 1671]


def _find_group(call: CommandContext[Any], *, on_communities: bool) -> Group:
    group: Group = call.state.group(call.request.group_id)
    if group.type == groups.COMMUNITY and not on_communities:
        raise Refusal(codes.NOT_ALLOWED, "not for Communities", guess="command-for-other-types")
    return group


def _find_group_with_counters(call: CommandContext[Any]) -> Group:
    return _find_group(call, on_communities=call.settings.behaviour.counters_on_community)


def _find_group_with_attributes(call: CommandContext[Any]) -> Group:
    return _find_group(call, on_communities=call.settings.behaviour.attributes_on_community)


@handles(catalog.GET_GROUP_COUNTER)
def get_group_counter(call: CommandContext[wire.GetGroupCounterRequest]) -> wire.GetGroupCounterReply:
    """Return all counters, or those that are named and exist [doc 53427]."""
    group = _find_group_with_counters(call)
    wanted = call.request.group_counter_keys
    keys = list(group.counters) if wanted is None else [key for key in wanted if key in group.counters]
    return wire.GetGroupCounterReply(group_counter=_read_counters(group, keys))


def _read_counters(group: Group, keys: Sequence[str]) -> list[wire.Counter]:
    return [wire.Counter(key=key, value=group.counters[key]) for key in keys]


@handles(catalog.UPDATE_GROUP_COUNTER)
def update_group_counter(call: CommandContext[wire.UpdateGroupCounterRequest]) -> wire.UpdateGroupCounterReply:
    """Set, increase or decrease; a counter that is not there starts at 0 [doc 53428]."""
    group, items = _find_group_with_counters(call), call.request.group_counter
    mode = wire.COUNTER_SET if call.request.mode is None else call.request.mode
    rules.check_choice("Mode", mode, MODES)
    if not items:
        raise rules.bad("GroupCounter is empty")
    values = dict(group.counters)
    for item in items:
        if not item.key:
            raise rules.bad("Key is empty")
        rules.check_bytes("Key", item.key, limits.COUNTER_KEY_BYTES)
        old = 0 if mode == wire.COUNTER_SET else values.get(item.key, 0)
        values[item.key] = old - item.value if mode == wire.COUNTER_DECREASE else old + item.value
        rules.check_range("Value", values[item.key], LOWEST, HIGHEST)
    if len(values) > limits.COUNTERS_PER_GROUP:
        raise Refusal(codes.TOO_MANY_COUNTERS, f"a group has {limits.COUNTERS_PER_GROUP} counters at most")
    group.counters.clear()
    group.counters.update(values)
    return wire.UpdateGroupCounterReply(group_counter=_read_counters(group, [item.key for item in items]))


@handles(catalog.DELETE_GROUP_COUNTER)
def delete_group_counter(call: CommandContext[wire.DeleteGroupCounterRequest]) -> wire.DeleteGroupCounterReply:
    """Delete the named counters, or all [doc 53429]."""
    group = _find_group_with_counters(call)
    for key in list(group.counters) if call.request.group_counter_keys is None else call.request.group_counter_keys:
        group.counters.pop(key, None)
    return wire.DeleteGroupCounterReply()


@handles(catalog.GET_GROUP_ATTR)
def get_group_attr(call: CommandContext[wire.GetGroupAttrRequest]) -> wire.GetGroupAttrReply:
    """Return all attributes [doc 44187]."""
    group = _find_group_with_attributes(call)
    return wire.GetGroupAttrReply(
        group_attr_ary=[wire.Attribute(key=key, value=value) for key, value in group.attributes.items()]
    )


def _write_attributes(group: Group, kept: dict[str, str], items: Sequence[wire.Attribute]) -> None:
    """Replace the attributes by `kept` and the new ones, after checking all of them."""
    for item in items:
        if not item.key or len(item.key.encode()) > ATTRIBUTE_KEY_BYTES:
            raise Refusal(codes.ATTRIBUTE_KEY_TOO_LONG, f"key: 1 to {ATTRIBUTE_KEY_BYTES} bytes")
        if len((item.value or "").encode()) > ATTRIBUTE_BYTES:
            raise Refusal(codes.ATTRIBUTE_TOO_LONG, f"value: {ATTRIBUTE_BYTES} bytes at most")
        kept[item.key] = item.value or ""
    if len(kept) > ATTRIBUTES:
        raise Refusal(codes.TOO_MANY_ATTRIBUTES, f"a group has {ATTRIBUTES} attributes at most")
    if sum(len(key.encode()) + len(value.encode()) for key, value in kept.items()) > ATTRIBUTES_BYTES:
        raise Refusal(codes.ATTRIBUTES_TOO_LARGE, f"attributes have {ATTRIBUTES_BYTES} bytes at most in all")
    group.attributes.clear()
    group.attributes.update(kept)


@handles(catalog.SET_GROUP_ATTR)
def set_group_attr(call: CommandContext[wire.SetGroupAttrRequest]) -> wire.SetGroupAttrReply:
    """Replace all attributes."""
    _write_attributes(_find_group_with_attributes(call), {}, call.request.group_attr)
    return wire.SetGroupAttrReply()


@handles(catalog.MODIFY_GROUP_ATTR)
def modify_group_attr(call: CommandContext[wire.ModifyGroupAttrRequest]) -> wire.ModifyGroupAttrReply:
    """Change the named attributes."""
    group = _find_group_with_attributes(call)
    _write_attributes(group, dict(group.attributes), call.request.group_attr)
    return wire.ModifyGroupAttrReply()


@handles(catalog.DELETE_GROUP_ATTR)
def delete_group_attr(call: CommandContext[wire.DeleteGroupAttrRequest]) -> wire.DeleteGroupAttrReply:
    """Delete the named attributes; 10050 if one of them does not exist [doc 1671]."""
    group = _find_group_with_attributes(call)
    if any(item.key not in group.attributes for item in call.request.group_attr):
        raise Refusal(codes.NO_SUCH_ATTRIBUTE, "the attribute does not exist")
    for item in call.request.group_attr:
        group.attributes.pop(item.key, None)
    return wire.DeleteGroupAttrReply()


@handles(catalog.CLEAR_GROUP_ATTR)
def clear_group_attr(call: CommandContext[wire.ClearGroupAttrRequest]) -> wire.ClearGroupAttrReply:
    """Delete all attributes."""
    _find_group_with_attributes(call).attributes.clear()
    return wire.ClearGroupAttrReply()
