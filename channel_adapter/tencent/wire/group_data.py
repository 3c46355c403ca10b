"""Group counters and attributes. Sources contradict each other for Communities; we do not use them [23; groups 6]."""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel

COUNTER_SET, COUNTER_INCREASE, COUNTER_DECREASE = "Set", "Increase", "Decrease"  # Mode [doc 53428]


class Counter(WireModel):
    key: str = Field(alias="Key")
    value: int = Field(alias="Value")


class GetGroupCounterRequest(WireModel):
    """Without keys all counters."""  # [doc 53427]

    group_id: str = Field(alias="GroupId")
    group_counter_keys: list[str] | None = Field(None, alias="GroupCounterKeys")


class GetGroupCounterReply(Reply):
    group_counter: list[Counter] = Field(default_factory=list, alias="GroupCounter")


class UpdateGroupCounterRequest(WireModel):
    """A counter that does not exist starts at 0."""  # [doc 53428]

    group_id: str = Field(alias="GroupId")
    group_counter: list[Counter] = Field(alias="GroupCounter")
    mode: str | None = Field(None, alias="Mode")


class UpdateGroupCounterReply(Reply):
    group_counter: list[Counter] = Field(default_factory=list, alias="GroupCounter")


class DeleteGroupCounterRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    group_counter_keys: list[str] | None = Field(None, alias="GroupCounterKeys")


class DeleteGroupCounterReply(Reply):
    pass


class Attribute(WireModel):
    """Lower-case names, unlike everywhere else."""  # [doc 44187]

    key: str = Field(alias="key")
    value: str | None = Field(None, alias="value")


class GetGroupAttrRequest(WireModel):
    group_id: str = Field(alias="GroupId")


class GetGroupAttrReply(Reply):
    group_attr_ary: list[Attribute] = Field(default_factory=list, alias="GroupAttrAry")


class SetGroupAttrRequest(WireModel):
    """Replaces all attributes."""  # [groups 6]

    group_id: str = Field(alias="GroupId")
    group_attr: list[Attribute] = Field(alias="GroupAttr")


class SetGroupAttrReply(Reply):
    pass


class ModifyGroupAttrRequest(SetGroupAttrRequest):
    """Changes the attributes it names."""


class ModifyGroupAttrReply(Reply):
    pass


class DeleteGroupAttrRequest(SetGroupAttrRequest):
    """Seen in the web client only."""  # [js-sdk]


class DeleteGroupAttrReply(Reply):
    pass


class ClearGroupAttrRequest(WireModel):
    group_id: str = Field(alias="GroupId")


class ClearGroupAttrReply(Reply):
    pass
