"""The URL of a call. It carries the UserSig: it goes to the wire and nowhere else [30]."""

from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from channel_adapter.tencent.command import Command

_VERSION: Final = "v4"


class CallUrls:
    """Builds URLs as one admin; all but the random number is put together once per signature, host and command."""

    def __init__(self, sdkappid: int, identifier: str) -> None:
        self._caller = f"sdkappid={sdkappid}&identifier={quote(identifier, safe='')}"
        self._usersig = ""
        self._query = ""
        self._places: dict[tuple[str, str, str], tuple[str, str, str]] = {}

    def build(self, host: str, command: Command[Any, Any], usersig: str, random: int) -> URL:
        """`random` is an unsigned 32-bit number that names the request; it is no dedupe key [doc 34620]."""
        if usersig != self._usersig:
            self._usersig = usersig
            self._query = f"{self._caller}&usersig={usersig}&contenttype=json&random="
        place = self._places.get((host, command.service, command.name))
        if place is None:
            base = URL(f"{host}/{_VERSION}/{command.path}")
            place = self._places[host, command.service, command.name] = (base.scheme, base.raw_authority, base.raw_path)
        scheme, authority, path = place
        return URL.build(
            scheme=scheme, authority=authority, path=path, query_string=f"{self._query}{random}", encoded=True
        )
