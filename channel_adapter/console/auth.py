"""Operators of the console: their roles, and how a request is known to come from one of them.

Three ways: a link with a token that works once, a file of users with passwords, and a header that a proxy sets.
"""

import asyncio
import ipaddress
import secrets
import tomllib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cachetools import TTLCache

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.errors import ConfigurationError
from channel_adapter.quoting import shown_text, shown_value

SESSION_SECONDS: Final = 12 * 3600
COOKIE: Final = "channel_adapter_console"
_SESSIONS: Final = 10_000
_FAILURES: Final = 10  # wrong passwords of one name from one address, then a pause
_PAUSE_SECONDS: Final = 300
_CONCURRENT_HASHES: Final = 2  # each takes 64 MiB
_NAME_BYTES: Final = 200
_ENDED_SECONDS: Final = 7 * 86_400


class AccessRole(StrEnum):
    """What an operator may do. Each role includes the ones before it."""

    VIEWER = "viewer"  # read
    EDITOR = "editor"  # posts, reactions, replies
    ADMIN = "admin"  # channels, subscribers, dead letters, repairs

    def includes(self, needed: "AccessRole") -> bool:
        """Return whether this role may do what `needed` may do."""
        ranks = list(AccessRole)
        return ranks.index(self) >= ranks.index(needed)


@dataclass(frozen=True, slots=True)
class Operator:
    """The operator of one request: a name for the log, and a role: viewer, editor or admin.

    Raises ValueError for another role.
    """

    name: str
    role: AccessRole

    def __post_init__(self) -> None:
        object.__setattr__(self, "role", AccessRole(self.role))


Authorise = Callable[[web.Request], Operator | Awaitable[Operator | None] | None]
"""Returns the operator of a request, or None if the request comes from none; may be a coroutine."""


@dataclass(frozen=True, slots=True)
class User:
    """One entry of a file of users; `password_hash` is an Argon2 hash."""

    name: str
    role: AccessRole
    password_hash: str


def read_users(path: Path) -> dict[str, User]:
    """Return the users of a TOML file with tables `[[users]]`: name, role, hash. Raises ConfigurationError."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as wrong:
        reason = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        raise ConfigurationError(f"{shown_text(path)}: {shown_text(reason)}", field="users") from None
    rows = document.get("users")
    if not isinstance(rows, list) or not rows:
        raise ConfigurationError(f"{path} has no [[users]]", field="users")
    found: dict[str, User] = {}
    for number, row in enumerate(rows, 1):
        user = _parse_user(row, f"{path}, user {number}")
        if user.name in found:
            raise ConfigurationError(f"{path}: the name {shown_value(user.name)} is there twice", field="users")
        found[user.name] = user
    return found


def _parse_user(row: Any, where: str) -> User:
    keys = {"name", "role", "hash"}
    if not isinstance(row, dict) or row.keys() != keys or not all(isinstance(each, str) for each in row.values()):
        raise ConfigurationError(f"{where}: name, role and hash are needed, as texts, and nothing else", field="users")
    if not row["name"].strip():
        raise ConfigurationError(f"{where}: the name is empty", field="users")
    if (size := len(row["name"].encode())) > _NAME_BYTES:
        raise ConfigurationError(
            f"{where}: the name has {size} bytes; {_NAME_BYTES} are allowed",
            field="users",
            limit=_NAME_BYTES,
            size=size,
        )
    if row["role"] not in set(AccessRole):
        raise ConfigurationError(f"{where}: role must be one of {', '.join(AccessRole)}", field="users")
    if not row["hash"].startswith("$argon2"):
        raise ConfigurationError(
            f"{where}: hash is no Argon2 hash; channel-adapter console hash-password makes one", field="users"
        )
    return User(row["name"], AccessRole(row["role"]), row["hash"])


def _hash_password(password: str) -> str:
    from argon2 import PasswordHasher  # noqa: PLC0415 - only used with a file of users

    return PasswordHasher().hash(password)


def _verify_password(password_hash: str, password: str) -> bool:
    from argon2 import PasswordHasher, exceptions  # noqa: PLC0415

    try:
        return PasswordHasher().verify(password_hash, password)
    except (exceptions.VerificationError, exceptions.InvalidHashError):
        return False


class TooManyFailuresError(Exception):
    """Raised for a login after ten wrong passwords within five minutes."""


class Sessions:
    """Cookies of operators who opened the link with the token, or logged in. A session ends after 12 hours.

    Without users there is one token, for one session of an admin. Sessions are in memory: they end with the process.
    Cookies of sessions that ended are known for a week.
    """

    def __init__(self, users: dict[str, User] | None = None, clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self._users = users
        self._sessions: TTLCache[str, Operator] = TTLCache(_SESSIONS, SESSION_SECONDS, timer=clock.monotonic)
        self._begun: TTLCache[str, None] = TTLCache(_SESSIONS, _ENDED_SECONDS, timer=clock.monotonic)
        self._failures: TTLCache[tuple[str, str], int] = TTLCache(_SESSIONS, _PAUSE_SECONDS, timer=clock.monotonic)
        self._hashing = asyncio.Semaphore(_CONCURRENT_HASHES)
        self._decoy = _hash_password(secrets.token_urlsafe()) if users is not None else ""
        self.token = secrets.token_urlsafe(32) if users is None else None
        """The token of the link; None once it has been used, and with users."""

    def __repr__(self) -> str:
        return f"Sessions({len(self._sessions)})"

    @property
    def has_users(self) -> bool:
        """Whether operators log in with a name and a password."""
        return self._users is not None

    def redeem(self, token: str) -> str | None:
        """Return the cookie of a new session for the token, which then works no more; None for another token."""
        if self.token is None or not secrets.compare_digest(token.encode(), self.token.encode()):
            return None
        self.token = None
        return self._begin_session(Operator("admin", AccessRole.ADMIN))

    async def login(self, name: str, password: str, remote: str) -> str | None:
        """Return the cookie of a new session, None for a wrong name or password. Raises TooManyFailuresError.

        A login counts as a failure until its password is verified, so that concurrent guesses do not exceed the limit.
        """
        if len(name.encode(errors="replace")) > _NAME_BYTES:  # no user has it; it would be stored with its failures
            return None
        key = (name, remote)
        if self._failures.get(key, 0) >= _FAILURES:
            raise TooManyFailuresError
        self._failures[key] = self._failures.get(key, 0) + 1
        user = (self._users or {}).get(name)
        async with self._hashing:
            # An unknown name takes the time of a known one.
            right = await asyncio.to_thread(_verify_password, user.password_hash if user else self._decoy, password)
        if user is None or not right:
            return None
        self._failures[key] = max(0, self._failures.get(key, 0) - 1)
        return self._begin_session(Operator(user.name, user.role))

    def authorise(self, request: web.Request) -> Operator | None:
        """Return the operator whose session the cookie names."""
        return self._sessions.get(request.cookies.get(COOKIE, ""))

    def has_ended(self, request: web.Request) -> bool:
        """Return whether the cookie is of a session that began here, at most a week ago, and has ended."""
        cookie = request.cookies.get(COOKIE, "")
        return cookie in self._begun and cookie not in self._sessions

    def end(self, request: web.Request) -> None:
        """End the session of a request."""
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)

    def _begin_session(self, operator: Operator) -> str:
        cookie = secrets.token_urlsafe(32)
        self._sessions[cookie] = operator
        self._begun[cookie] = None
        return cookie


class TrustedHeader:
    """Headers of a proxy that has checked who the user is; requests of other addresses are refused.

    A request with two headers of a name is refused: one may be the client's. Without `role_name`, and for values that
    are no role, every operator is a viewer.
    """

    def __init__(self, name: str, role_name: str | None, proxies: Iterable[str]) -> None:
        """Raise ConfigurationError for a proxy that is no network such as 10.0.0.0/8."""
        self._name = name
        self._role_name = role_name
        try:
            self._proxies = [ipaddress.ip_network(each) for each in proxies]
        except ValueError as wrong:
            raise ConfigurationError(f"--trusted-proxy: {shown_text(wrong)}", field="trusted_proxy") from None

    def authorise(self, request: web.Request) -> Operator | None:
        """Return the operator whom the header names, if the request comes from the proxy."""
        names = request.headers.getall(self._name, [])
        roles = request.headers.getall(self._role_name, []) if self._role_name else []
        if len(names) != 1 or not names[0].strip() or not self._is_trusted(request.remote):
            return None
        if len(roles) > 1:  # a proxy that adds its header to that of a client
            return None
        role = roles[0].strip().lower() if roles else ""
        return Operator(names[0].strip(), AccessRole(role) if role in set(AccessRole) else AccessRole.VIEWER)

    def _is_trusted(self, remote: str | None) -> bool:
        try:
            address = ipaddress.ip_address(remote or "")
        except ValueError:
            return False
        return any(address in proxy for proxy in self._proxies)
