"""The URL of a call. It carries the UserSig: it goes to the wire and nowhere else [30]."""

from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from channel_adapter.tencent.command import Command

_VERSION: Final = "v4"


class CallUrls:
    """Builds URLs as one admin; all but the random number is put together once per host, command and signature."""

    def __init__(self, sdkappid: int, identifier: str) -> None:
        self._caller = f"sdkappid={sdkappid}&identifier={quote(identifier, safe='')}"
        self._usersig = ""
        self._stems: dict[tuple[str, str], str] = {}

    def build(self, host: str, command: Command[Any, Any], usersig: str, random: int) -> URL:
        """`random` is an unsigned 32-bit number that names the request; it is no dedupe key [doc 34620]."""
        if usersig != self._usersig:
            self._usersig = usersig
            self._stems.clear()
        place = (host, command.path)
        stem = self._stems.get(place)
        if stem is None:
            stem = f"{host}/{_VERSION}/{command.path}?{self._caller}&usersig={usersig}&contenttype=json&random="
            self._stems[place] = stem
        return URL(f"{stem}{random}", encoded=True)
