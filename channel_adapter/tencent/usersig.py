"""UserSig, the signature of every call (TLSSigAPIv2): sign, decode, verify, renew once a day; and the URLs of calls.

A UserSig is a zlib-compressed JSON object in base64 whose `+ / =` are written `* - _`: not the url-safe alphabet of
RFC 4648. It grants all rights of the admin it names until it expires, so it never belongs in a log, an error or a repr
[rest basics 2; decisions 29, 30]. The UserSig is added to a URL last: traces and errors of other libraries may show the
URL without it.
"""

import base64
import hashlib
import hmac
import json
import threading
import zlib
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeVar
from urllib.parse import quote

import orjson
from pydantic import SecretStr
from yarl import URL

from channel_adapter.concurrency.clock import Clock
from channel_adapter.tencent import codes

LIFETIME: Final = 86_400  # seconds a signature of ours is valid; also the advised minimum [doc 1671] [29]
RENEW_BEFORE_END: Final = 600  # seconds [29]
_JSON_BYTES: Final = 16_384  # ours: far above any valid signature, far below a zip bomb

_VERSION: Final = "2.0"
_API_VERSION: Final = "v4"
_TO_URL = str.maketrans("+/=", "*-_")
_FROM_URL = str.maketrans("*-_+/=", "+/=!!!")  # characters of plain base64 become ones that it refuses

ValueT = TypeVar("ValueT", str, int)


class Defect(IntEnum):
    """Defects of a signature by the codes of the service, in the order in which it checks them."""  # [rest basics 2.5]

    EMPTY = codes.SIGNATURE_EMPTY
    UNREADABLE = codes.SIGNATURE_UNREADABLE
    OTHER_APP = codes.SIGNATURE_OF_ANOTHER_APP
    OTHER_IDENTIFIER = codes.SIGNATURE_OF_ANOTHER_USER
    WRONG_KEY = codes.SIGNATURE_WRONG_KEY
    EXPIRED = codes.SIGNATURE_EXPIRED


class BadSignature(ValueError):  # noqa: N818
    """A signature that is not valid; `code` is the one that the service returns, `reason` never holds the signature."""

    def __init__(self, code: Defect, reason: str) -> None:
        super().__init__(f"{reason} ({int(code)})")
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """The content of a signature; `time` in Unix seconds, `expire` in seconds after it."""

    sdkappid: int
    identifier: str
    time: int
    expire: int
    userbuf: bytes | None = None
    sig: str = field(default="", repr=False)  # TLS.sig: base64 of the HMAC

    @property
    def ends(self) -> int:
        """The last unix second at which the signature is accepted."""
        return self.time + self.expire


@dataclass(frozen=True, slots=True)
class App:
    """An app of the service, one of its admins, and the key that signs for it."""

    sdkappid: int
    admin: str
    key: SecretStr


def sign(
    sdkappid: int, key: str, identifier: str, *, now: int, expire: int = LIFETIME, userbuf: bytes | None = None
) -> str:
    """Return a UserSig of `identifier`, valid for `expire` seconds from Unix second `now`, like the official package.

    The key is used as text, as the console shows it, not hex-decoded. `userbuf` carries room rights of other products.
    """
    claims = Claims(sdkappid, identifier, now, expire, userbuf)
    members: dict[str, str | int] = {
        "TLS.ver": _VERSION,
        "TLS.identifier": identifier,
        "TLS.sdkappid": sdkappid,
        "TLS.expire": expire,
        "TLS.time": now,
    }
    if userbuf is not None:
        members["TLS.userbuf"] = base64.b64encode(userbuf).decode()
    members["TLS.sig"] = _sign_claims(key, claims)
    packed = zlib.compress(json.dumps(members).encode())
    return base64.b64encode(packed).decode().translate(_TO_URL)


def decode(usersig: str) -> Claims:
    """Return the content of a signature without verifying it. Raises BadSignature: EMPTY or UNREADABLE."""
    if not usersig:
        raise BadSignature(Defect.EMPTY, "the UserSig is empty")
    try:
        return _to_claims(orjson.loads(_inflate(base64.b64decode(usersig.translate(_FROM_URL), validate=True))))
    except _ShapeError as found:
        problem = str(found)
    except orjson.JSONDecodeError:
        problem = "does not hold JSON"
    except (ValueError, zlib.error):
        problem = "is not base64 of a zlib stream"
    raise BadSignature(Defect.UNREADABLE, f"the UserSig {problem}")


def verify(usersig: str, *, sdkappid: int, key: str, identifier: str, now: float) -> Claims:
    """Return the content of a valid signature. Raises BadSignature with the first defect in the order of `Defect`."""
    claims = decode(usersig)
    if claims.sdkappid != sdkappid:
        raise BadSignature(Defect.OTHER_APP, "the UserSig was made for another SDKAppID")
    if claims.identifier != identifier:
        raise BadSignature(Defect.OTHER_IDENTIFIER, "the UserSig was made for another identifier")
    if not hmac.compare_digest(_sign_claims(key, claims).encode(), claims.sig.encode()):
        raise BadSignature(Defect.WRONG_KEY, "the UserSig was not made with the key of this SDKAppID")
    if claims.ends < now:
        raise BadSignature(Defect.EXPIRED, "the UserSig has expired")
    return claims


class Signer:
    """Keep one signature of one admin: made at the first use, renewed before it expires, shared by all callers."""

    def __init__(self, app: App, clock: Clock) -> None:
        self._app = app
        self._clock = clock
        self._lock = threading.Lock()
        self._usersig = ""
        self._renew_at = float("-inf")

    def __repr__(self) -> str:
        return f"Signer(sdkappid={self._app.sdkappid}, admin={self._app.admin!r})"

    def current(self) -> str:
        """Return the signature to send now. Concurrent callers, threads included, get the same one."""
        if self._clock.now() < self._renew_at:
            return self._usersig
        with self._lock:
            return self._usersig if self._clock.now() < self._renew_at else self._renew_usersig()

    def renew(self, refused: str) -> str:
        """Replace the `refused` signature and return the new one, or the one that another caller has made meanwhile."""
        with self._lock:
            return self._renew_usersig() if refused == self._usersig else self._usersig

    def _renew_usersig(self) -> str:
        """Sign now. Within one second the same inputs give the same bytes; a second less makes it another one."""
        now, refused = int(self._clock.now()), self._usersig
        self._usersig = self._sign_usersig(now, LIFETIME)
        if self._usersig == refused:
            self._usersig = self._sign_usersig(now, LIFETIME - 1)
        self._renew_at = now + LIFETIME - RENEW_BEFORE_END
        return self._usersig

    def _sign_usersig(self, now: int, expire: int) -> str:
        app = self._app
        return sign(app.sdkappid, app.key.get_secret_value(), app.admin, now=now, expire=expire)


class CallUrls:
    """Build the URLs of one admin; all but the random number is assembled once per host and command."""

    def __init__(self, sdkappid: int, identifier: str) -> None:
        self._query = f"sdkappid={sdkappid}&identifier={quote(identifier, safe='')}&contenttype=json&random="
        self._places: dict[tuple[str, str], tuple[str, str, str]] = {}

    def build(self, host: str, path: str, random: int) -> URL:
        """Return the URL of one request without the UserSig; `random`, an unsigned 32-bit number, identifies it."""
        place = self._places.get((host, path))
        if place is None:
            base = URL(f"{host}/{_API_VERSION}/{path}")
            place = self._places[host, path] = (base.scheme, base.raw_authority, base.raw_path)
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


class _ShapeError(Exception):
    """The JSON of a signature lacks a member or holds one of another type."""


def _sign_claims(key: str, claims: Claims) -> str:
    """Return TLS.sig: base64 of HMAC-SHA256 over the signed lines; their order is part of the algorithm."""
    content = (
        f"TLS.identifier:{claims.identifier}\nTLS.sdkappid:{claims.sdkappid}\n"
        f"TLS.time:{claims.time}\nTLS.expire:{claims.expire}\n"
    )
    if claims.userbuf is not None:
        content += f"TLS.userbuf:{base64.b64encode(claims.userbuf).decode()}\n"
    return base64.b64encode(hmac.digest(key.encode(), content.encode(), hashlib.sha256)).decode()


def _inflate(packed: bytes) -> bytes:
    """Decompress one whole zlib stream of bounded size."""
    stream = zlib.decompressobj()
    unpacked = stream.decompress(packed, _JSON_BYTES)
    if not stream.eof or stream.unused_data:
        raise _ShapeError("is cut off, too large or followed by something else")
    return unpacked


def _to_claims(members: object) -> Claims:
    """Return the signed members with their types checked."""
    if not isinstance(members, dict):
        raise _ShapeError("does not hold a JSON object")
    if members.get("TLS.ver") != _VERSION:
        raise _ShapeError(f"is not of version {_VERSION}")
    userbuf = members.get("TLS.userbuf")
    return Claims(
        sdkappid=_get_member(members, "TLS.sdkappid", int),
        identifier=_get_member(members, "TLS.identifier", str),
        time=_get_member(members, "TLS.time", int),
        expire=_get_member(members, "TLS.expire", int),
        userbuf=None if userbuf is None else base64.b64decode(_get_member(members, "TLS.userbuf", str), validate=True),
        sig=_get_member(members, "TLS.sig", str),
    )


def _get_member(members: dict[str, object], name: str, kind: type[ValueT]) -> ValueT:
    value = members.get(name)
    if type(value) is not kind:
        raise _ShapeError(f"has no usable {name}")
    return value
