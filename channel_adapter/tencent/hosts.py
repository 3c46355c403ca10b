"""Where the service listens: a primary and a backup address per region, and the choice between the two.

The backup is meant for a primary that cannot be reached (hijacked DNS, broken TLS). It serves the same data, so a call
that may have been carried out on one of them may have been carried out, whatever the other one says [rest basics 5.1].
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

FAILURES_BEFORE_SWITCH: Final = 3  # connect failures one after another
COOL_DOWN: Final = 60.0  # seconds on the backup before the primary is tried again


@dataclass(frozen=True, slots=True)
class HostPair:
    """Base URLs without a slash at the end; a server of one's own has no backup unless it is named."""

    primary: str
    backup: str | None = None

    @classmethod
    def of_base_url(cls, url: str, backup: str | None = None) -> "HostPair":
        """A server at any http or https URL. ValueError names what is wrong with it."""
        return cls(_base_url(url), None if backup is None else _base_url(backup))


def _base_url(url: str) -> str:
    """The URL without slashes at its end, once it is certain that a path and a query can be put behind it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the address of the service has a broken host or port") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the address of the service must look like https://host or http://host:port")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("the address of the service must be without user, query and fragment")
    if port == 0:
        raise ValueError("the address of the service must not have port 0")
    return url.rstrip("/")


def _region(name: str, *, backup: bool = True) -> HostPair:
    return HostPair(f"https://{name}.im.qcloud.com", f"https://{name}.my-imcloud.com" if backup else None)


REGIONS: Final[Mapping[str, HostPair]] = MappingProxyType(
    {
        "china": HostPair("https://console.tim.qq.com", "https://adminapi.my-imcloud.com"),  # [doc 34620, java-sdk]
        "singapore": _region("adminapisgp"),  # [doc 34620, java-sdk]
        "seoul": _region("adminapikr"),  # [doc 34620, java-sdk]
        "tokyo": _region("adminapijpn"),  # [doc 102302]; backup inferred from the pattern of the others
        "frankfurt": _region("adminapiger"),  # [doc 34620, java-sdk]
        "mumbai": _region("adminapiind"),  # legacy: gone from the pages since mid 2024 [java-sdk]
        "silicon_valley": _region("adminapiusa"),  # [doc 34620, java-sdk]
        "jakarta": _region("adminapiidn"),  # [doc 34620]
        "riyadh": _region("adminapiksa", backup=False),  # [doc 49471]; no backup is documented
    }
)


class HostChooser:
    """Which base URL the next attempt goes to. Pure: moments are handed in, in seconds of one steady clock.

    Only failures to connect count. After three in a row the other host serves for a minute; then one attempt probes the
    primary, and everything returns to it when that succeeds.
    """

    def __init__(self, hosts: HostPair) -> None:
        self._hosts = hosts
        self._serving = hosts.primary
        self._failures = 0
        self._probe_at = float("inf")

    @property
    def serving(self) -> str:
        """The host in use, probes aside."""
        return self._serving

    @property
    def has_backup(self) -> bool:
        """Is there another host to turn to?"""
        return self._hosts.backup is not None

    def choose(self, now: float) -> str:
        """The base URL for an attempt that starts now."""
        if now < self._probe_at:
            return self._serving
        self._probe_at = now + COOL_DOWN
        return self._hosts.primary

    def connected(self, host: str) -> None:
        """A connection to `host` worked; what came back over it does not matter."""
        if host == self._serving:
            self._failures = 0
        elif host == self._hosts.primary:
            self._serve(host, probe_at=float("inf"))

    def failed(self, host: str, now: float) -> bool:
        """No connection to `host` could be made. True when this made the other host the serving one."""
        if host != self._serving or self._hosts.backup is None:
            return False
        self._failures += 1
        if self._failures < FAILURES_BEFORE_SWITCH:
            return False
        if host == self._hosts.primary:
            self._serve(self._hosts.backup, probe_at=now + COOL_DOWN)
        else:
            self._serve(self._hosts.primary, probe_at=float("inf"))
        return True

    def _serve(self, host: str, *, probe_at: float) -> None:
        self._serving = host
        self._failures = 0
        self._probe_at = probe_at
