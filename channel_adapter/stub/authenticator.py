"""Checks in front of each command: caller, address, rate and body. Uses no HTTP library and no clock of its own.

The order of the checks is the advised one; that of the real service is not documented.
"""

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Final, NamedTuple

import orjson

from channel_adapter.stub.rates import RateWindows
from channel_adapter.stub.routes import USERSIG, RequestTarget, unknown_command
from channel_adapter.stub.settings import AppSettings, StubSettings
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import COMMANDS, Command
from channel_adapter.tencent.usersig import BadSignature, verify

# Names in the query string [doc 34620]
SDKAPPID: Final = "sdkappid"
IDENTIFIER: Final = "identifier"

SIGNATURES_KEPT: Final = 1_024


class AuthenticatedRequest(NamedTuple):
    """A call that passed all checks."""

    command: Command[Any, Any]
    body: dict[str, Any]
    caller: str


class RequestAuthenticator:
    """Checks calls against the settings of one app. It caches verified signatures and counts calls.

    `on_call` is called for each call that counts for the rate of its command, also for those over it.
    """

    def __init__(
        self,
        settings: StubSettings,
        now: Callable[[], float],
        on_call: Callable[[Command[Any, Any], float], None] | None = None,
    ) -> None:
        self._app = settings.app
        self._now = now
        self._on_call = on_call
        self._sdkappid = str(settings.app.sdkappid)
        self._networks = _allowed_networks(settings.app)
        self._windows = RateWindows(calls_per_second(settings))
        self._proven: dict[tuple[str, str], int] = {}  # (signature, identifier) -> last second in which it is valid

    def authenticate(self, target: RequestTarget, remote: str | None, raw: bytes) -> AuthenticatedRequest:
        """Return the request if all checks pass, else raise Refusal with the code of the first that fails."""
        self._check_app(target.query.get(SDKAPPID))
        self._check_remote(remote)
        now = self._now()
        caller = self._check_caller(target.query, now)
        command = target.command
        if command is None:
            raise unknown_command(target)
        if self._on_call is not None:
            self._on_call(command, now)
        if not self._windows.acquire(command.path, now):
            rate = self._windows.rate(command.path)
            raise Refusal(codes.COMMAND_TOO_OFTEN, f"over {rate:g} calls/s: {command.path}")
        return AuthenticatedRequest(command, read_body(raw), caller)

    def _check_app(self, sdkappid: str | None) -> None:
        app = self._app
        if not sdkappid:
            raise Refusal(codes.NO_APP_ID, "sdkappid is missing from the URL")
        if sdkappid != self._sdkappid:
            raise Refusal(codes.UNKNOWN_APP, "no app has this sdkappid")
        if not app.enabled:
            raise Refusal(codes.APP_DISABLED, "the app is disabled")
        if not app.plan_active:
            raise Refusal(codes.PLAN_INACTIVE, "the plan of the app has expired or is not active yet")

    def _check_remote(self, remote: str | None) -> None:
        if not self._networks:
            return
        address = ip_address(remote.partition("%")[0]) if remote else None
        if address is None or not any(address in network for network in self._networks):
            raise Refusal(codes.IP_NOT_ALLOWED, "the caller's address is not on the allow-list")

    def _check_caller(self, query: Mapping[str, str], now: float) -> str:
        identifier, usersig = query.get(IDENTIFIER), query.get(USERSIG)
        if not identifier or usersig is None:
            raise Refusal(codes.BAD_CREDENTIALS, "identifier or usersig is missing from the URL")
        ends = self._proven.get((usersig, identifier))
        if ends is None or ends < now:
            self._verify_usersig(usersig, identifier, now)
        if identifier not in self._app.admins:
            raise Refusal(codes.NOT_APP_ADMIN, "the identifier is not an app admin")
        return identifier

    def _verify_usersig(self, usersig: str, identifier: str, now: float) -> None:
        """Verify a signature and cache when it ends: one signature usually serves thousands of calls."""
        app = self._app
        try:
            claims = verify(
                usersig, sdkappid=app.sdkappid, key=app.key.get_secret_value(), identifier=identifier, now=now
            )
        except BadSignature as bad:
            raise Refusal(int(bad.code), bad.reason) from None
        if len(self._proven) >= SIGNATURES_KEPT:
            del self._proven[next(iter(self._proven))]
        self._proven[usersig, identifier] = claims.ends


def read_body(raw: bytes) -> dict[str, Any]:
    """Return the JSON object of a request. Refusal 60003 for anything else; an empty body is not `{}` [doc 34620]."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        what = f"is not valid JSON: {error.msg}" if raw else "is empty; send {} when there is nothing to say"
        raise Refusal(codes.BAD_JSON, f"the body {what}") from None
    if not isinstance(body, dict):
        raise Refusal(codes.BAD_JSON, "the body is not a JSON object")
    return body


def calls_per_second(settings: StubSettings) -> dict[str, float]:
    """Return the rate of each command by path: the catalog's or that of the settings; empty when switched off."""
    if not settings.rates.enabled:
        return {}
    rates = {row.path: float(row.calls_per_second) for row in COMMANDS.values()}
    return rates | settings.rates.overrides


def _allowed_networks(app: AppSettings) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(entry, strict=False) for entry in app.ip_allow_list)
