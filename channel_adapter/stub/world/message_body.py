"""Checks of a message body: elements, sizes, mentions."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.group_rules import bad
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import codes
from channel_adapter.tencent.wire import msg_body as wire
from channel_adapter.tencent.wire.envelope import WireModel

CONTENTS: Mapping[str, type[WireModel]] = {
    wire.TEXT: wire.TextContent,
    wire.FACE: wire.FaceContent,
    wire.LOCATION: wire.LocationContent,
    wire.CUSTOM: wire.CustomContent,
    wire.SOUND: wire.SoundContent,
    wire.IMAGE: wire.ImageContent,
    wire.FILE: wire.FileContent,
    wire.VIDEO: wire.VideoContent,
}
UNCHECKED = frozenset({wire.FileContent.model_fields["uuid"].alias})  # a public SDK sends files without it
CUSTOM_ELEMENTS = 1  # at most, in one message [doc 33527]
MENTION_ALL, MENTIONED = "GroupAtAllFlag", "GroupAt_Account"  # GroupAtInfo [doc 34959]


class BodyCodes(NamedTuple):
    """The codes of a service for an empty body and for a bad element."""

    empty: int
    element: int


SENDING = BodyCodes(codes.BAD_PARAMETER, codes.BAD_PARAMETER)
MODIFYING = BodyCodes(codes.MSG_BODY_MALFORMED, codes.ELEMENT_MALFORMED)


def check_body(body: Sequence[wire.Element], answer: BodyCodes = SENDING) -> None:
    """Check elements: one at least, documented types in each, one custom element at most. Unknown types pass."""
    if not body:
        raise Refusal(answer.empty, "MsgBody is empty")
    if len(body) > 1 and sum(element.msg_type == wire.CUSTOM for element in body) > CUSTOM_ELEMENTS:
        raise Refusal(
            answer.element, f"MsgBody: more than {CUSTOM_ELEMENTS} {wire.CUSTOM}", guess="two-custom-elements"
        )
    for element in body:
        _check_element(element, answer)


def _check_element(element: wire.Element, answer: BodyCodes) -> None:
    try:
        # What cannot be sent again cannot be stored: lone surrogates, huge numbers, bottomless nesting.
        orjson.dumps(element.msg_content)
        if element.model_extra:
            orjson.dumps(element.model_extra)
    except orjson.JSONEncodeError:
        raise Refusal(answer.element, f"{element.msg_type}: MsgContent is no JSON that can be kept") from None
    content = CONTENTS.get(element.msg_type)
    if content is None:
        return
    try:
        content.model_validate(element.msg_content, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
    else:
        return
    for problem in problems:
        if problem["type"] == "missing" and problem["loc"][-1] in UNCHECKED:
            continue
        where = ".".join(str(part) for part in problem["loc"])
        raise Refusal(answer.element, f"{element.msg_type}.{where}: {problem['msg']}")


def check_size(settings: StubSettings, body: Sequence[wire.Element], cloud_custom_data: str | None) -> None:
    """Refuse with 80002 above the limit of the lengths of all element fields together [sdk-hdr 8.0]."""
    size = sum(_count_bytes(element.msg_content) for element in body)
    if cloud_custom_data and settings.behaviour.count_cloud_custom_data:
        size += len(cloud_custom_data.encode())
    if size > settings.limits.message_bytes:
        raise Refusal(
            codes.MESSAGE_TOO_LONG, f"the message has {size} bytes, the limit is {settings.limits.message_bytes}"
        )


def _count_bytes(value: Any) -> int:
    """Return the UTF-8 bytes of all texts and numbers in a JSON value."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    if isinstance(value, dict):
        return sum(map(_count_bytes, value.values()))
    if isinstance(value, list):
        return sum(map(_count_bytes, value))
    return 0 if value is None or isinstance(value, bool) else len(str(value))


def fingerprint(body: Sequence[wire.Element], cloud_custom_data: str | None) -> str:
    """Return a digest of the content that does not depend on the order of its fields."""
    content = [[element.to_wire() for element in body], cloud_custom_data]
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def check_mentions(mentions: Sequence[Mapping[str, Any]] | None, maximum: int) -> None:
    """Check that each item mentions all members or one account [doc 34959]."""
    if mentions is None:
        return
    if len(mentions) > maximum:
        raise Refusal(codes.TOO_MANY_MENTIONS, f"GroupAtInfo: {maximum} at most")
    for item in mentions:
        flag, account = item.get(MENTION_ALL), item.get(MENTIONED)
        if isinstance(account, int | float) and not isinstance(account, bool):
            raise Refusal(codes.ACCOUNT_NOT_A_STRING, f"{MENTIONED} must be a string")
        if flag not in (0, 1) or isinstance(flag, bool) or (flag == 0 and not isinstance(account, str)):
            raise bad(f"GroupAtInfo: {MENTION_ALL} 1, or 0 with {MENTIONED}")
