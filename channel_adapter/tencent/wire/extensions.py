"""Message extensions: `openim_msg_ext_http_svc`, key and value pairs on one message [messages 9].

The message must have been sent with `SupportMessageExtension` 1. Whether Communities take part is disputed [13].
The commands without `group_` are about one-to-one messages; all but the name of the message is equal [messages 9.4].
"""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel

SET, DELETE, CLEAR = 1, 2, 3  # OperateType [doc 52170]
ALL_RETURNED, MORE_TO_COME = 1, 0  # CompleteFlag [doc 52169]


class Extension(WireModel):
    """`Value` is `""` when a key is deleted; `Seq` is not checked for an app admin."""  # [doc 52170]

    key: str = Field(alias="Key")
    value: str = Field("", alias="Value")
    seq: int | None = Field(None, alias="Seq")


class ExtensionResult(WireModel):
    """One key, in the order of the request. After a failure the pair is the current one of the server [doc 52170]."""

    error_code: int = Field(alias="ErrorCode")
    extension: Extension = Field(alias="Extension")


class GroupSetKeyValuesRequest(WireModel):
    """`ExtensionList` is needed for set and delete. `TopicId` comes from the web client only."""  # [js-sdk]

    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    operate_type: int = Field(alias="OperateType")
    extension_list: list[Extension] | None = Field(None, alias="ExtensionList")
    topic_id: str | None = Field(None, alias="TopicId")


class GroupSetKeyValuesReply(Reply):
    """The call is OK while single keys fail. `Seq` is read by the web client, undocumented."""  # [js-sdk]

    extension_list: list[ExtensionResult] = Field(default_factory=list, alias="ExtensionList")
    seq: int | None = Field(None, alias="Seq")


class SetKeyValuesReply(GroupSetKeyValuesReply):
    pass


class SetKeyValuesRequest(WireModel):
    """A one-to-one message by its key, sent from `From_Account`, by default the caller, to `To_Account` [doc 51195]."""

    from_account: str | None = Field(None, alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_key: str = Field(alias="MsgKey")
    operate_type: int = Field(alias="OperateType")
    extension_list: list[Extension] | None = Field(None, alias="ExtensionList")


class GroupGetKeyValuesRequest(WireModel):
    """Pairs with a `Seq` of at least `StartSeq`."""  # [doc 52169]

    group_id: str = Field(alias="GroupId")
    msg_seq: int = Field(alias="MsgSeq")
    start_seq: int | None = Field(None, alias="StartSeq")
    topic_id: str | None = Field(None, alias="TopicId")


class GroupGetKeyValuesReply(Reply):
    """Ascending by `Seq`; pairs kept locally with a `Seq` up to `ClearSeq` are void."""  # [doc 52169]

    extension_list: list[Extension] = Field(default_factory=list, alias="ExtensionList")
    complete_flag: int = Field(ALL_RETURNED, alias="CompleteFlag")
    latest_seq: int = Field(0, alias="LatestSeq")
    clear_seq: int = Field(0, alias="ClearSeq")


class GetKeyValuesRequest(WireModel):
    """Pairs of a one-to-one message with a `Seq` of at least `StartSeq`."""  # [doc 51194]

    from_account: str | None = Field(None, alias="From_Account")
    to_account: str = Field(alias="To_Account")
    msg_key: str = Field(alias="MsgKey")
    start_seq: int | None = Field(None, alias="StartSeq")


class GetKeyValuesReply(GroupGetKeyValuesReply):
    pass
