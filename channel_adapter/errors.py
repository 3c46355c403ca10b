"""Errors, as classes by what the caller can do about them.

    ChannelAdapterError
    ├── ConfigurationError    correct the settings, the console or the plan
    │   └── UnsupportedError  the service cannot do it in the mode of the settings
    ├── AuthenticationError   wrong key, wrong app, wrong clock
    ├── PermissionDeniedError this account may not do it
    ├── NotFoundError         no such channel, post or account
    ├── ConflictError         the id is taken, or was changed meanwhile
    ├── InvalidError          a value breaks a rule: names the field, the limit and the size
    ├── LimitReachedError     full: a quota of the plan, the channel or the user
    ├── RefusedError          content moderation, the app's own webhook, or a code that no page lists
    ├── ThrottledError        too fast, and still so when the time was up: try later
    ├── UnavailableError      the service or the network failed; nothing was done
    └── OutcomeUnknownError   the service or the network failed; it may have been done

`str(error)` is one sentence for a user. No error contains a key, a signature or a URL with one. Values from outside
are quoted by `channel_adapter.quoting`, so that no message grows with its input.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from channel_adapter.domain.subscription import Outcomes


@dataclass(frozen=True, slots=True)
class Origin:
    """The call that failed. `code` is the service's error code, None without a reply."""

    service: str
    command: str
    code: int | None
    text: str
    attempts: int


class ChannelAdapterError(Exception):
    """Base of all errors of this package; `kind` names the class for machines.

    `outcomes` is set if a call about many users ended early: the outcomes that are known.
    """

    kind: ClassVar[str] = "error"
    outcomes: "Outcomes | None" = None

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        size: int | None = None,
        origin: Origin | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.limit = limit
        self.size = size
        self.origin = origin

    @property
    def code(self) -> int | None:
        """The service's error code, where one caused this."""
        return self.origin.code if self.origin else None


class ConfigurationError(ChannelAdapterError):
    """Settings, console switches or the plan do not allow it; repeating does not help."""

    kind = "configuration"


class UnsupportedError(ConfigurationError):
    """The service has nothing for this in the mode of the settings. Raised before any call; `field` is `mode`.

    `adapter.can` reports it before the call.
    """

    kind = "unsupported"

    def __init__(self, mode: str, what: str, reason: str = "the service has no command for it") -> None:
        super().__init__(f"unsupported in {mode} mode: {what} ({reason})", field="mode")


class AuthenticationError(ChannelAdapterError):
    """The service does not accept the key, the app id, the admin or the clock."""

    kind = "authentication"


class PermissionDeniedError(ChannelAdapterError):
    """The account is known and may not do this."""

    kind = "permission"


class NotFoundError(ChannelAdapterError):
    """The channel, post or account does not exist."""

    kind = "not_found"


class ConflictError(ChannelAdapterError):
    """The id belongs to something else, or was changed meanwhile."""

    kind = "conflict"


class InvalidError(ChannelAdapterError):
    """A value breaks a rule. `field`, `limit` and `size` (UTF-8 bytes or items) name what is wrong."""

    kind = "invalid"


class LimitReachedError(ChannelAdapterError):
    """A quota of the plan, the channel or the user is used up."""

    kind = "limit"


class RefusedError(ChannelAdapterError):
    """The service declined: moderation, a webhook, or a code that no document lists."""

    kind = "refused"


class ThrottledError(ChannelAdapterError):
    """The service kept asking for a lower rate until the deadline; nothing was done.

    `retry_after` is in how many seconds it will be accepted, None if that is not known.
    """

    kind = "throttled"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        limit: int | None = None,
        size: int | None = None,
        origin: Origin | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, field=field, limit=limit, size=size, origin=origin)
        self.retry_after = retry_after


class UnavailableError(ChannelAdapterError):
    """The service could not be reached or failed; nothing was done."""

    kind = "unavailable"


class OutcomeUnknownError(ChannelAdapterError):
    """The call was sent and no usable answer came back: it may have been carried out."""

    kind = "outcome_unknown"


def needs_database(reason: str) -> ConfigurationError:
    """Return the error of a method that needs `database_url`, which is not set."""
    return ConfigurationError(f"{reason}: set database_url, for example sqlite:///adapter.db", field="database_url")
