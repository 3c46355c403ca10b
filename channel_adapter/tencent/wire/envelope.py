"""Parts that all bodies share: model settings, the reply envelope, and the classification of an HTTP response.

HTTP 200 is not success: the verdict is in `ErrorCode`, and `ActionStatus` must not be `FAIL` [doc 34620].
`ErrorInfo` is documented as always present and missing in samples, so nothing but `ErrorCode` is required.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails, from_json

OK = "OK"
FAIL = "FAIL"

TOO_MANY_REQUESTS: Final = 429  # not documented, but clear
_TEXTS: Final = frozenset({"ActionStatus", "ErrorInfo"})  # beside a verdict; null is an absent one
AMBIGUOUS_STATUSES: Final = frozenset({303, 408})  # of those from 300 to 499, which otherwise mean "not done" [3.4]


class WireModel(BaseModel):
    """A JSON object of the service. `None` means absent on the wire, in both directions."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        validate_by_name=True, validate_by_alias=True, extra="allow", defer_build=True
    )

    def to_json(self) -> bytes:
        """Return the JSON object as UTF-8 bytes, absent members left out."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)

    def to_wire(self) -> dict[str, Any]:
        """Return the JSON object as a dict, absent members left out."""
        wire: dict[str, Any] = self.__pydantic_serializer__.to_python(self, by_alias=True, exclude_none=True)
        return wire


class WireRow:
    """Base of dataclasses with slots for objects of which a reply holds hundreds: checked like a model, without the
    fields that are not read.
    """

    __slots__ = ()
    __pydantic_config__: ClassVar = ConfigDict(extra="ignore")


class Reply(WireModel):
    """Envelope of every reply. `ErrorDisplay` comes from profile and recentcontact only."""  # [doc 1640]

    action_status: str = Field(OK, alias="ActionStatus")
    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")
    error_display: str | None = Field(None, alias="ErrorDisplay")


class SentReply(Reply):
    """Reply to sending: a non-empty `MsgDropReason` beside `ErrorCode` 0 means that nothing was sent."""  # [doc 34959]

    msg_drop_reason: str | None = Field(None, alias="MsgDropReason")


class ErrorEnvelope(WireModel):
    """The part of a reply that decides whether the call succeeded; `ErrorCode` has no default here."""

    error_code: int = Field(alias="ErrorCode")
    action_status: str = Field(OK, alias="ActionStatus")
    error_info: str = Field("", alias="ErrorInfo")


ModelT = TypeVar("ModelT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)


@dataclass(frozen=True, slots=True)
class Success(Generic[ReplyT]):
    """The service accepted the call; items of a batch may still have failed."""

    kind: ClassVar = "success"
    reply: ReplyT


@dataclass(frozen=True, slots=True)
class ApiError:
    """The service answered with an error code."""

    kind: ClassVar = "api_error"
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """The service reported success and did nothing, because of too many messages."""  # MsgDropReason [17]

    kind: ClassVar = "throttled"
    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """The request never reached the service (DNS, connect, TLS): repeating it is always safe.

    `permanent`: the same host will fail again, because its certificate is not trusted.
    """

    kind: ClassVar = "not_sent"
    reason: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class NotAttempted:
    """Nothing was sent: the client's own limits left no slot within the deadline of the call."""

    kind: ClassVar = "not_attempted"
    reason: str


@dataclass(frozen=True, slots=True)
class HttpRejected:
    """The HTTP status means that the call was not carried out: a redirect or a client error."""

    kind: ClassVar = "http_rejected"
    reason: str
    http_status: int


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The call may have been carried out: timeout, reset, HTTP server error, a response that cannot be read."""

    kind: ClassVar = "ambiguous"
    reason: str
    http_status: int | None = None


Failure = ApiError | Throttled | NotSent | NotAttempted | HttpRejected | Ambiguous
AttemptOutcome = Success[ReplyT] | Failure


def classify(
    reply_type: type[ReplyT], http_status: int, body: bytes
) -> Success[ReplyT] | ApiError | Throttled | HttpRejected | Ambiguous:
    """Classify an HTTP response by status, JSON, shape and `ErrorCode`, in this order.

    Pure. Statuses of a failing server and a body that is not an envelope leave open whether the call was carried out;
    `retry` decides which of them may be repeated. A null where a list is documented is an empty list.
    """
    # [doc 34620; section 3.4 of the notes on REST basics]
    if http_status != 200:
        return _classify_status(http_status)
    reply: ReplyT | None
    try:
        reply = reply_type.__pydantic_validator__.validate_json(body)
    except ValidationError as unreadable:
        reply = _without_nulls(reply_type, body, unreadable)
    if reply is not None and "error_code" in reply.model_fields_set:
        if reply.error_code == 0 and reply.action_status != FAIL:
            if isinstance(reply, SentReply) and reply.msg_drop_reason:
                return Throttled(reply.msg_drop_reason)
            return Success(reply)
        return ApiError(reply.error_code, reply.error_info)
    return _classify_unexpected(body)


def _classify_status(http_status: int) -> HttpRejected | Ambiguous:
    reason = f"HTTP {http_status}"
    if 300 <= http_status < 500 and http_status not in AMBIGUOUS_STATUSES:
        return HttpRejected(reason, http_status)
    return Ambiguous(reason, http_status)


def _without_nulls(model: type[ModelT], body: bytes, unreadable: ValidationError) -> ModelT | None:
    """Return the reply if its only errors are nulls in place of lists, and of texts that only explain."""
    problems = unreadable.errors(include_url=False, include_context=False)
    if not all(problem["input"] is None and _get_empty(problem) is not None for problem in problems):
        return None
    answer = from_json(body)
    for problem in problems:
        *steps, last = problem["loc"]
        place = answer
        for step in steps:
            place = place[step]
        place[last] = _get_empty(problem)
    try:
        return model.model_validate(answer)
    except ValidationError:
        return None


def _get_empty(problem: ErrorDetails) -> list[Any] | str | None:
    """Return what a null means in this place; None where it is an error."""
    if problem["type"] == "list_type":
        return []
    return "" if _TEXTS.intersection(problem["loc"][-1:]) else None


def _classify_unexpected(body: bytes) -> ApiError | Ambiguous:
    """Classify a body that does not fit its reply type: an error may leave out what a success must have."""
    verdict: ErrorEnvelope | None
    try:
        verdict = ErrorEnvelope.model_validate_json(body)
    except ValidationError as unreadable:
        verdict = _without_nulls(ErrorEnvelope, body, unreadable)
        if verdict is None:
            problem = unreadable.errors(include_url=False, include_input=False, include_context=False)[0]
            where = ".".join(str(part) for part in problem["loc"]) or "body"
            return Ambiguous(_describe_unreadable(problem["type"], where, problem["msg"]))
    if verdict.error_code == 0 and verdict.action_status != FAIL:
        return Ambiguous("the answer reports success in a shape that is not documented")
    return ApiError(verdict.error_code, verdict.error_info)


def _describe_unreadable(kind: str, where: str, message: str) -> str:
    if kind == "json_invalid":
        return f"the answer is not JSON: {message.removeprefix('Invalid JSON: ')}"
    if kind == "missing":
        return f"the answer has no {where}"
    return f"the answer is not an envelope of the service: {where}: {message}"
