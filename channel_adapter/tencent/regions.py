"""Data regions of the service and their addresses, and addresses of other servers. Loads no HTTP library."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

HOST_NAME_BYTES: Final = 253  # RFC 1035


@dataclass(frozen=True, slots=True)
class HostPair:
    """Base URLs of a primary and a backup host, without a slash at the end."""

    primary: str
    backup: str | None = None

    @classmethod
    def of_base_url(cls, url: str, backup: str | None = None) -> "HostPair":
        """Return the hosts of a server at any http or https URL. Raises ValueError for a malformed one."""
        return cls(_base_url(url), None if backup is None else _base_url(backup))


def is_host_name(name: str) -> bool:
    """Return whether a name can be looked up: parts of 1 to 63 bytes and 253 bytes in all, where IDNA encodes it."""
    try:
        return len(name.encode("idna")) <= HOST_NAME_BYTES
    except UnicodeError:
        return False


def _base_url(url: str) -> str:
    """Return the URL without slashes at its end. Raises ValueError unless a path and a query can be appended to it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError("the address of the service has a broken host or port") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("the address of the service must look like https://host or http://host:port")
    if not is_host_name(parts.hostname):
        raise ValueError("the address of the service has a host name that is too long or has an empty part")
    if parts.username is not None or "?" in url or "#" in url:
        raise ValueError("the address of the service must be without user, query and fragment")
    if port == 0:
        raise ValueError("the address of the service must not have port 0")
    return url.rstrip("/")


def _host_pair(name: str, *, backup: bool = True) -> HostPair:
    return HostPair(f"https://{name}.im.qcloud.com", f"https://{name}.my-imcloud.com" if backup else None)


REGIONS: Final[Mapping[str, HostPair]] = MappingProxyType(
    {
        "china": HostPair("https://console.tim.qq.com", "https://adminapi.my-imcloud.com"),  # [doc 34620, java-sdk]
        "singapore": _host_pair("adminapisgp"),  # [doc 34620, java-sdk]
        "seoul": _host_pair("adminapikr"),  # [doc 34620, java-sdk]
        "tokyo": _host_pair("adminapijpn"),  # [doc 102302]; backup inferred from the pattern of the others
        "frankfurt": _host_pair("adminapiger"),  # [doc 34620, java-sdk]
        "mumbai": _host_pair("adminapiind"),  # legacy: gone from the pages since mid 2024 [java-sdk]
        "silicon_valley": _host_pair("adminapiusa"),  # [doc 34620, java-sdk]
        "jakarta": _host_pair("adminapiidn"),  # [doc 34620]
        "riyadh": _host_pair("adminapiksa", backup=False),  # [doc 49471]; no backup is documented
    }
)
