"""Values of settings that adapter, store and stub read in the same way: secrets and database URLs."""

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr

from channel_adapter.tencent.regions import is_host_name

RateLimitScope = Literal["process", "shared", "off"]
_TRUE: Final = frozenset({"true", "t", "1", "yes", "y", "on"})  # as pydantic reads them
_FALSE: Final = frozenset({"false", "f", "0", "no", "n", "off"})


def database_url_fault(url: str) -> str | None:
    """Return what makes a database URL ambiguous, without a part of it; None if nothing does.

    The user name and password end at the first `@`. With another `@` behind it the rest of the password would count as
    the host, which errors and logs show.
    """
    scheme, _, rest = url.partition("://")
    if scheme.startswith("sqlite"):
        return None
    user, _, behind = rest.partition("@")
    has_user = "/" not in user.partition(":")[0]
    return "an @ in a user name or password is written %40" if has_user and "@" in behind else None


def proxy_fault(url: str) -> str | None:
    """Return why a URL is not that of an HTTP proxy, without a part of it; None if it is."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "has a broken host or port"
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        return "must look like http://host:port or http://user:password@host:port"
    if not is_host_name(parts.hostname):
        return "has a host name that is too long or has an empty part"
    if parts.path not in {"", "/"} or parts.query or parts.fragment:
        return "must be without path, query and fragment; write a / in a password as %2F"
    return None


def rate_limit_scope(value: Any) -> Any:
    """Return the scope of the rate limits that a setting means: true is "process", false is "off"."""
    text = str(value).strip().lower() if isinstance(value, bool | int | str) else ""
    return "process" if text in _TRUE else "off" if text in _FALSE else value


def _strip_secret(value: Any) -> Any:
    """Remove white space around a secret; files and variables often end with a line break."""
    if isinstance(value, SecretStr):
        return SecretStr(value.get_secret_value().strip())
    return value.strip() if isinstance(value, str) else value


if TYPE_CHECKING:
    from collections.abc import Iterable

    # Type checkers read the parameter of a model from `__set__` and the attribute from `__get__`.

    class Secret:
        """Type of a secret that is passed as `str` or SecretStr and read as SecretStr."""

        def __get__(self, instance: object, owner: object) -> SecretStr: ...
        def __set__(self, instance: object, value: str | SecretStr) -> None: ...

    class OptionalSecret:
        """Type of a secret or None."""

        def __get__(self, instance: object, owner: object) -> SecretStr | None: ...
        def __set__(self, instance: object, value: str | SecretStr | None) -> None: ...

    class Secrets:
        """Type of any number of secrets."""

        def __get__(self, instance: object, owner: object) -> tuple[SecretStr, ...]: ...
        def __set__(self, instance: object, value: Iterable[str | SecretStr]) -> None: ...

    class RateLimits:
        """Type of the scope of rate limits, which may be passed as a bool."""

        def __get__(self, instance: object, owner: object) -> RateLimitScope: ...
        def __set__(self, instance: object, value: RateLimitScope | bool) -> None: ...

else:
    Secret = Annotated[SecretStr, BeforeValidator(_strip_secret)]
    OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_strip_secret)]
    Secrets = tuple[Secret, ...]
    RateLimits = Annotated[RateLimitScope, BeforeValidator(rate_limit_scope)]
