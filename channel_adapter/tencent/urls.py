"""The URL of a call, without the UserSig: traces, logs and errors of other libraries may show it [30]."""

from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from channel_adapter.tencent.command import Command

_VERSION: Final = "v4"


class CallUrls:
    """Builds URLs as one admin; all but the random number is put together once per host and command."""

    def __init__(self, sdkappid: int, identifier: str) -> None:
        self._query = f"sdkappid={sdkappid}&identifier={quote(identifier, safe='')}&contenttype=json&random="
        self._places: dict[tuple[str, str, str], tuple[str, str, str]] = {}

    def build(self, host: str, command: Command[Any, Any], random: int) -> URL:
        """Return the URL of one request; `random` is an unsigned 32-bit number that names it [doc 34620]."""
        place = self._places.get((host, command.service, command.name))
        if place is None:
            base = URL(f"{host}/{_VERSION}/{command.path}")
            place = self._places[host, command.service, command.name] = (base.scheme, base.raw_authority, base.raw_path)
        scheme, authority, path = place
        return URL.build(
            scheme=scheme, authority=authority, path=path, query_string=f"{self._query}{random}", encoded=True
        )


def signed(url: URL, usersig: str) -> URL:
    """Return the URL with the UserSig as its last parameter, in the alphabet of its own, which needs no encoding."""
    return URL.build(
        scheme=url.scheme,
        authority=url.raw_authority,
        path=url.raw_path,
        query_string=f"{url.raw_query_string}&usersig={usersig}",
        encoded=True,
    )
