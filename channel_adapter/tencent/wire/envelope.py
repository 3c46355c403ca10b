"""What every body has in common: model settings, the reply envelope, and the one judgement of an answer.

HTTP 200 is not success: the verdict is in `ErrorCode`, and `ActionStatus` must not be `FAIL` [doc 34620].
`ErrorInfo` is documented as always present and missing in samples, so nothing but `ErrorCode` is required.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

OK = "OK"
FAIL = "FAIL"

TOO_MANY_REQUESTS: Final = 429  # not documented, but clear
MAYBE_DONE_STATUSES: Final = frozenset({303, 408})  # of those from 300 to 499, which otherwise mean "not done" [3.4]


class WireModel(BaseModel):
    """A JSON object of the service. `None` means absent on the wire, in both directions."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, extra="allow", defer_build=True)

    def to_json(self) -> bytes:
        """UTF-8 bytes with the JSON names, absent members left out."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)

    def to_wire(self) -> dict[str, Any]:
        """The same as a dict."""
        wire: dict[str, Any] = self.__pydantic_serializer__.to_python(self, by_alias=True, exclude_none=True)
        return wire


class WireRow:
    """A JSON object of which a reply holds hundreds: a dataclass with slots, checked like a model, with the fields we
    read and no others.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar = ConfigDict(extra="ignore")


class Reply(WireModel):
    """Envelope of every answer. `ErrorDisplay` comes from profile and recentcontact only [doc 1640]."""

    action_status: str = Field(OK, alias="ActionStatus")
    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")
    error_display: str | None = Field(None, alias="ErrorDisplay")

    def drop_reason(self) -> str | None:
        """Why a call that reports success was thrown away all the same; None for all commands but sending [17]."""
        return None


class SentReply(Reply):
    """A non-empty `MsgDropReason` beside `ErrorCode` 0 means that nothing was sent [doc 34959]."""

    msg_drop_reason: str | None = Field(None, alias="MsgDropReason")

    def drop_reason(self) -> str | None:
        return self.msg_drop_reason or None


class Verdict(WireModel):
    """The part of a reply that decides; `ErrorCode` has no default here."""

    error_code: int = Field(alias="ErrorCode")
    action_status: str = Field(OK, alias="ActionStatus")
    error_info: str = Field("", alias="ErrorInfo")


ReplyT = TypeVar("ReplyT", bound=Reply)


@dataclass(frozen=True, slots=True)
class Answered(Generic[ReplyT]):
    """The service did what it was asked; items of a batch may still have failed."""

    reply: ReplyT


@dataclass(frozen=True, slots=True)
class Refused:
    """The service answered with an error code."""

    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The service answered success and did nothing, because it was too much at once [17]."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request never reached the service (DNS, connect, TLS): repeating it is always harmless.

    `lasting`: and useless with the same server, whose certificate is not trusted.
    """

    reason: str
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing was sent, because our own limits leave no turn within the time the caller has."""

    reason: str


@dataclass(frozen=True, slots=True)
class TurnedAway:
    """HTTP sent the request elsewhere or found it wrong before the service saw it: it was not carried out."""

    reason: str
    http_status: int


@dataclass(frozen=True, slots=True)
class Unclear:
    """The request may have been carried out: timeout, reset, HTTP error, an answer that cannot be read."""

    reason: str
    http_status: int | None = None


Failure = Refused | Dropped | NotSent | Held | TurnedAway | Unclear
Outcome = Answered[ReplyT] | Failure


def judge(
    reply_type: type[ReplyT], http_status: int, body: bytes
) -> Answered[ReplyT] | Refused | Dropped | TurnedAway | Unclear:
    """Decide what an answer means: HTTP status, JSON, shape, `ErrorCode`, in this order [doc 34620; 3.4 of the notes].

    Pure. Statuses of a failing server and a body that is not an envelope leave it open whether the call was carried
    out; which of them may be repeated is for `retry` to say. A null where a list is documented is an empty list.
    """
    if http_status != 200:
        return _judge_status(http_status)
    reply: ReplyT | None
    try:
        reply = reply_type.__pydantic_validator__.validate_json(body)
    except ValidationError as unreadable:
        reply = _without_null_lists(reply_type, body, unreadable)
    if reply is not None and "error_code" in reply.model_fields_set:
        if reply.error_code == 0 and reply.action_status != FAIL:
            dropped = reply.drop_reason()
            return Dropped(dropped) if dropped else Answered(reply)
        return Refused(reply.error_code, reply.error_info)
    return _judge_unexpected(body)


def _judge_status(http_status: int) -> TurnedAway | Unclear:
    reason = f"HTTP {http_status}"
    if 300 <= http_status < 500 and http_status not in MAYBE_DONE_STATUSES:
        return TurnedAway(reason, http_status)
    return Unclear(reason, http_status)


def _without_null_lists(reply_type: type[ReplyT], body: bytes, unreadable: ValidationError) -> ReplyT | None:
    """The reply, if nothing stood in its way but nulls in place of lists."""
    problems = unreadable.errors(include_url=False, include_context=False)
    if any(problem["type"] != "list_type" or problem["input"] is not None for problem in problems):
        return None
    answer = from_json(body)
    for problem in problems:
        *steps, last = problem["loc"]
        place = answer
        for step in steps:
            place = place[step]
        place[last] = []
    try:
        return reply_type.model_validate(answer)
    except ValidationError:
        return None


def _judge_unexpected(body: bytes) -> Refused | Unclear:
    """A body that does not fit its reply type: a refusal may leave out what a success must have."""
    try:
        verdict = Verdict.model_validate_json(body)
    except ValidationError as unreadable:
        problem = unreadable.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "body"
        return Unclear(_unreadable(problem["type"], where, problem["msg"]))
    if verdict.error_code == 0 and verdict.action_status != FAIL:
        return Unclear("the answer reports success in a shape that is not documented")
    return Refused(verdict.error_code, verdict.error_info)


def _unreadable(kind: str, where: str, said: str) -> str:
    if kind == "json_invalid":
        return f"the answer is not JSON: {said.removeprefix('Invalid JSON: ')}"
    if kind == "missing":
        return f"the answer has no {where}"
    return f"the answer is not an envelope of the service: {where}: {said}"
