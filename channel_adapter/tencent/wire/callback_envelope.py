"""What every webhook has in common: the query of its URL, the body's two common members, the answer [webhooks 1, 2, 4].

The documents disagree about details, so bodies are read tolerantly: nothing but the command is required, times may be
text, and unknown members are kept.
"""

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Final

from pydantic import BeforeValidator, Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel
from channel_adapter.tencent.wire.msg_body import Element

QUERY_APP = "SdkAppid"  # names in the URL; newer tables print SDKAppID [doc 34354, 76007]
QUERY_COMMAND = "CallbackCommand"
QUERY_CONTENT_TYPE = "contenttype"
QUERY_CLIENT_IP = "ClientIP"
QUERY_PLATFORM = "OptPlatform"
QUERY_SIGN = "Sign"
QUERY_REQUEST_TIME = "RequestTime"

CONTENT_TYPE = "json"

REST = "RESTAPI"  # OptPlatform [doc 34354]
ANDROID, IOS, WEB, WINDOWS, MAC, IPAD, UNKNOWN_PLATFORM = (
    "Android", "iOS", "Web", "Windows", "macOS", "iPad", "Unknown",
)  # fmt: skip
MAC_BEFORE = "Mac"  # in older pages and SDKs

ALLOW, REFUSE, DROP = 0, 1, 2  # ErrorCode of the answer; DROP for messages only [doc 34354]

_HIGHEST_TIME: Final = 2**42  # milliseconds; the year 2109


def _time_below(highest: int) -> Callable[[Any], int | None]:
    def time(value: Any) -> int | None:
        """Return a number or the number that a text holds; None for what is not a time."""  # [webhooks 4]
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(highest)):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return None
        return value if 0 < value < highest else None

    return time


Milliseconds = Annotated[int | None, BeforeValidator(_time_below(_HIGHEST_TIME))]
Seconds = Annotated[int | None, BeforeValidator(_time_below(_HIGHEST_TIME // 1000))]


class Callback(WireModel):
    """Body of a webhook. `EventTime` is missing in older samples and in those of topics."""

    command: ClassVar[str] = ""
    callback_command: str = Field(alias="CallbackCommand")
    event_time: Milliseconds = Field(None, alias="EventTime")


class CallbackReply(Reply):
    """What the app answers; the replacements need `ErrorCode` 0 [doc 34374, 34371].

    Refused subscribers of official accounts stand under both names: sample and table have one, the prose the other
    [doc 60799].
    """

    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")
    refused_members: list[str] | None = Field(None, alias="RefusedMembers_Account")
    refused_subscribers: list[str] | None = Field(None, alias="RefusedSubscribers_Account")
