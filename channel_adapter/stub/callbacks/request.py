"""The request of a webhook: URL, signature and body, and the faults of it that a test may want."""

import re
from fnmatch import fnmatchcase
from hashlib import sha256
from typing import Any, Final, cast
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, field_validator

from channel_adapter.config.values import OptionalSecret
from channel_adapter.stub.world.context import CallbackEvent
from channel_adapter.tencent.wire import callback_envelope as wire
from channel_adapter.tencent.wire.callbacks_group import AfterMemberFieldChanged
from channel_adapter.tencent.wire.callbacks_other import IOS_IN_CAPITALS, RequestOverLimit, StateChange

_LABEL: Final = "[A-Za-z0-9_-]+"  # between the dots of a host: an empty one is no name
_URL: Final = re.compile(rf"https?://(?P<host>{_LABEL}(\.{_LABEL})*\.?)(:(?P<port>\d{{1,5}}))?(/[^!$&?#\s]*)?")
_HOST_CHARACTERS: Final = 63  # [webhooks 1.3]
_HIGHEST_PORT: Final = 65_535
LIMIT_ALARM: Final = RequestOverLimit.command  # the one command without ClientIP [doc 60256]
_IN_CAPITALS: Final = (StateChange.command, wire.IOS)  # written IOS by this command alone [doc 34357]
_TIME: Final = str(wire.Callback.model_fields["event_time"].alias)
_MODIFIED, _MODIFIED_ONCE = (  # two spellings of one field [webhooks 5.12]
    str(AfterMemberFieldChanged.model_fields[name].alias) for name in ("modified_account", "member_account")
)


class CallbackSettings(BaseModel):
    """Where the app listens, which commands it gets, and faults of the requests that a test may want."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    url: str | None = Field(
        default=None, description="http:// or https://, without a query; off when absent [doc 34520]"
    )
    token: OptionalSecret = Field(default=cast("Any", None), description="signs requests when given [doc 34354]")
    commands: tuple[str, ...] = Field(default=("*",), description="callback commands switched on; patterns [doc 34520]")
    block: tuple[str, ...] = Field(
        default=(), description="before-commands that are blocked by silence; patterns [doc 34354]"
    )
    timeout: float = Field(default=2.0, gt=0, description="seconds; not adjustable in the real service [doc 34354]")
    retries: int = Field(default=0, ge=0, description="of after-events that got no answer; number unknown [doc 34354]")
    retry_delay: float = Field(default=1.0, ge=0, description="seconds between them; unknown [inferred]")
    delay: float = Field(default=0.0, ge=0, description="seconds an after-event is late [inferred]")
    delay_spread: float = Field(
        default=0.0, ge=0, description="up to so many more, each for itself: order is lost [inferred]"
    )
    duplicate: float = Field(
        default=0.0, ge=0, le=1, description="probability that an after-event arrives twice [inferred]"
    )
    event_time_text: bool = Field(
        default=False, description="EventTime as a string, as many samples have it [webhooks 4]"
    )
    unknown_field: bool = Field(default=False, description="an extra field in the body [webhooks 4]")
    client_ip: bool = Field(default=True, description="ClientIP in the URL [doc 34354]")
    member_account: bool = Field(
        default=False, description="Member_Account for Modified_Account, once printed [doc 60393 2024]"
    )
    wrong_sign: bool = Field(
        default=False, description="a signature of another token, which must be refused [doc 34354]"
    )
    stale: int = Field(
        default=0, description="seconds that RequestTime lies in the past; over 60 must be refused [doc 32431]"
    )

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is None:
            return None
        found = _URL.fullmatch(url)
        if found is None or len(found["host"]) > _HOST_CHARACTERS or int(found["port"] or 0) > _HIGHEST_PORT:
            raise ValueError("a webhook URL is http(s)://host/path: no query, no spaces, none of ! $ & ?")
        return url

    def wants(self, command: str) -> bool:
        """Return whether this callback command is switched on."""
        return any(fnmatchcase(command, pattern) for pattern in self.commands)

    def blocks(self, command: str) -> bool:
        """Return whether this before-command is blocked when the app does not answer."""
        return any(fnmatchcase(command, pattern) for pattern in self.block)


def url_of(settings: CallbackSettings, event: CallbackEvent, *, sdkappid: int, client_ip: str, now: float) -> str:
    """Return the URL with its parameters in the documented order, percent-encoded; `now` in unix seconds."""
    query = {
        wire.QUERY_APP: str(sdkappid),
        wire.QUERY_COMMAND: event.command,
        wire.QUERY_CONTENT_TYPE: wire.CONTENT_TYPE,
    }
    if settings.client_ip and event.command != LIMIT_ALARM:
        query[wire.QUERY_CLIENT_IP] = client_ip
    in_capitals = (event.command, event.platform) == _IN_CAPITALS
    query[wire.QUERY_PLATFORM] = IOS_IN_CAPITALS if in_capitals else event.platform
    if settings.token is not None:
        request_time = str(int(now) - settings.stale)
        query[wire.QUERY_SIGN] = sign(
            settings.token.get_secret_value() + ("?" if settings.wrong_sign else ""), request_time
        )
        query[wire.QUERY_REQUEST_TIME] = request_time
    return f"{settings.url}?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())


def sign(token: str, request_time: str) -> str:
    """Return the hex SHA-256 of token and time without a separator; the body is not covered [doc 34354]."""
    return sha256(f"{token}{request_time}".encode()).hexdigest()


def body_of(settings: CallbackSettings, event: CallbackEvent) -> dict[str, Any]:
    """Return the JSON body with the changes that the settings ask for."""
    body = dict(event.body)
    if settings.event_time_text and _TIME in body:
        body[_TIME] = str(body[_TIME])
    if settings.member_account and _MODIFIED in body:
        body[_MODIFIED_ONCE] = body.pop(_MODIFIED)
    if settings.unknown_field:
        body["ToBeIgnored"] = {"since": "a later version"}
    return body
