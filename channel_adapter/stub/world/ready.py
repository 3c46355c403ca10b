"""Replies that are JSON values already: a page of items does without a model for each of them.

Names come from the wire models all the same, values from a state in which only checked ones stand.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

import orjson

from channel_adapter.tencent.wire.envelope import Reply, WireModel

_OK = Reply().to_wire()


class Ready(Reply):
    """A reply by its JSON names, without those of the envelope."""

    values: dict[str, Any]

    def to_json(self) -> bytes:
        """As every reply."""
        return orjson.dumps(self.to_wire())

    def to_wire(self) -> dict[str, Any]:
        """As every reply."""
        return _OK | self.values


def ready(reply: type[Reply], **attributes: Any) -> Ready:
    """What `reply` would be with these attributes; its items stand in them under their JSON names."""
    names = json_names(reply)
    return Ready(values={names[name]: value for name, value in attributes.items() if value is not None})


@cache
def json_names(model: type[WireModel]) -> Mapping[str, str]:
    """Attribute -> JSON name."""
    return MappingProxyType({name: field.alias or name for name, field in model.model_fields.items()})
