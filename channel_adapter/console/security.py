"""Checks of every request, in this order: Host (421), cross-site (403), session (401), role (403); and the headers.

Answers of all kinds have the same headers, errors included.
"""

import socket
import struct
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from aiohttp import BodyPartReader, MultipartReader, web
from aiohttp.typedefs import Handler

from channel_adapter.concurrency.logs import get_logger
from channel_adapter.console.auth import COOKIE, SESSION_SECONDS
from channel_adapter.console.i18n import message
from channel_adapter.console.page import PageRoute, View
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.tencent.redaction import redact_text, shown_traceback

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: data:; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_FORM, _FORM_WITH_FILES = "application/x-www-form-urlencoded", "multipart/form-data"
KEPT_BYTES: Final = 256 << 10
"""The largest form of an ended session that is shown again: names and texts of its fields, without files."""
_MOST_FIELDS: Final = 1_000
_STATIC_SECONDS: Final = 3600
_UNWRITTEN: Final = frozenset({"once", "draft", "seen", "channel_name", "format", "action", "zone"})
"""Fields of forms that an operator does not write."""
ROUTES: Final[web.AppKey[dict[web.AbstractRoute, PageRoute]]] = web.AppKey("channel_adapter_console_routes", dict)

MEDIA: Final = "media"
"""Name of the route of uploaded pictures, which need no operator."""
PAGE: Final[web.RequestKey[View]] = web.RequestKey("channel_adapter_console_page", View)

STARTED: Final[web.RequestKey[web.StreamResponse]] = web.RequestKey(
    "channel_adapter_console_started", web.StreamResponse
)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER without time

_log = get_logger("channel_adapter.console")

_TITLES: Final = {
    400: message("That form cannot be read"),
    401: message("Sign in"),
    403: message("Not allowed"),
    404: message("There is no such page"),
    405: message("There is no such page"),
    413: message("That is too large"),
    421: message("Unknown host"),
    500: message("This failed"),
}
_TEXTS: Final = {
    400: message("Nothing was done. Open its page again and repeat it there."),
    403: message("Your role does not include this. An administrator of the console can do it."),
    404: message("The address is wrong, or what was there has been deleted."),
    405: message("The address is wrong, or what was there has been deleted."),
    413: message("Send a smaller file or text."),
    421: message("The console does not answer under this name. It is started with --allowed-host for other names."),
    500: message("It is a fault of this program. Its log has more."),
}
CROSS_SITE: Final = message("The form was sent from another site. Open the console itself and repeat it there.")


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Add the headers of all answers, just before their first byte is sent."""
    request[STARTED] = response
    for name, value in HEADERS.items():
        response.headers[name] = value
    if _is_static(request) and response.status in (200, 304):
        response.headers["Cache-Control"] = f"max-age={_STATIC_SECONDS}"
        if request.match_info.route.name == MEDIA:  # clients of readers show these pictures
            response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    else:
        response.headers["Cache-Control"] = "no-store"
        response.headers["Vary"] = "Cookie, Accept-Language, HX-Request"


@web.middleware
async def protect(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Check a request, run its page, and turn errors into pages. An error within an answer ends its connection."""
    page = View(request, None)
    try:
        return await _check_request(page) or await handler(request)
    except Exception as error:  # noqa: BLE001 - the outermost frame of a request
        if STARTED in request:
            return _reset_connection(request, error)
        return await _answer_error(page, error)
    finally:
        page.close()


async def _answer_error(page: View, error: Exception) -> web.Response:
    """Return the page of an error, and log a write that failed. Raises it if it is a redirect."""
    if isinstance(error, web.HTTPException):
        if error.status < 400:
            raise error
        return error_page(page, error.status)
    if page.request.method not in _SAFE and page.operator is not None and not page.has_logged:
        await page.refused(error if isinstance(error, ChannelAdapterError) else "fault")
    if isinstance(error, ChannelAdapterError):
        return page.render("error.html", error=error, title="", text="")
    _log.error("console.failure", traceback=shown_traceback(error))
    return error_page(page, 500)


def _reset_connection(request: web.Request, error: Exception) -> web.StreamResponse:
    """Reset the connection of an answer that has begun, so that the client does not take what it has for all of it."""
    if isinstance(error, ConnectionResetError):  # the browser has gone
        _log.debug("console.answer_ended", place=request.path)
    elif isinstance(error, ChannelAdapterError):
        _log.error("console.answer_cut_off", place=request.path, error=redact_text(error.message)[:200])
    else:
        _log.error("console.failure", place=request.path, traceback=shown_traceback(error))
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        if connection is not None:  # the end of an answer of HTTP/1.0 is the end of its connection
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        request.transport.abort()
    return request[STARTED]


async def _check_request(page: View) -> web.Response | None:
    """Return the answer to a request that goes no further; None if its page is to be run."""
    request, console = page.request, page.console
    if not _is_our_host(request, console.options.hosts):
        return error_page(page, 421)
    if request.method not in _SAFE and not _is_same_origin(request):
        return error_page(page, 403, CROSS_SITE)
    if (begun := _redeem_token(page)) is not None:
        return begun
    page.operator = await console.operator(request)
    route = request.app[ROUTES].get(request.match_info.route)
    public = route.role is None if route is not None else _is_static(request)
    if not public and page.operator is None:
        return await _sign_in(page)
    if page.operator is not None and not _is_static(request) and not _is_fragment(page):
        page.problems = await console.problems()
    if route is not None and route.role is not None and not page.may(route.role):
        return error_page(page, 403)
    request[PAGE] = page
    return None


def error_page(page: View, status: int, text: str | None = None) -> web.Response:
    """Return the page of an error."""
    title = _TITLES.get(status, _TITLES[500])
    return page.render(
        "error.html",
        status=status,
        title=page.gettext(title),
        text=page.gettext(_TEXTS.get(status, "") if text is None else text),
    )


def start_session(page: View, cookie: str, place: str) -> web.Response:
    """Return the answer that sets the cookie of a new session and leads to a page."""
    answer = web.Response(status=303, headers={"Location": place})
    root = page.url("channels")
    answer.set_cookie(
        COOKIE, cookie, max_age=SESSION_SECONDS, path=root, httponly=True, samesite="Strict", secure=_is_https(page)
    )
    return answer


def _redeem_token(page: View) -> web.Response | None:
    """Begin a session for the token in the address, which leads to the address without it."""
    request, sign_in = page.request, page.console.options.sign_in
    token = request.query.get("token")
    if request.method != "GET" or sign_in is None or token is None:
        return None
    cookie = sign_in.redeem(token)
    query = [(name, value) for name, value in request.query.items() if name != "token"]
    place = "/" + str(request.rel_url.with_query(query)).lstrip("/")  # two slashes would lead to another host
    if cookie is not None:
        return start_session(page, cookie, place)
    return web.Response(status=303, headers={"Location": place}) if sign_in.authorise(request) is not None else None


async def _sign_in(page: View) -> web.Response:
    """Return the page for a request without an operator.

    After the end of a session of this console, what a form held is shown, and can be sent again. The body of any other
    request is not read: anyone can send one.
    """
    sign_in = page.console.options.sign_in
    if page.request.method == "GET" and sign_in is not None and sign_in.has_users:
        return page.render("login.html", status=401, next=page.here, name="", wrong="")
    fields: list[tuple[str, str]] = []
    if page.request.method == "POST" and sign_in is not None and sign_in.has_ended(page.request):
        fields = await _written_texts(page)
    return page.render(
        "sign_in.html",
        status=401,
        fields=fields,
        written=[value for name, value in fields if value and name not in _UNWRITTEN and not name.startswith("seen_")],
        has_users=sign_in is not None and sign_in.has_users,
        by_link=sign_in is not None and not sign_in.has_users,
    )


async def _written_texts(page: View) -> list[tuple[str, str]]:
    """Return the fields of a form without its files, which are not stored; none if they are larger than 256 KiB."""
    with suppress(web.HTTPRequestEntityTooLarge, web.HTTPBadRequest, ValueError):  # too large, or not a form
        if page.request.content_type == _FORM:
            form = await page.form(KEPT_BYTES)
            return [(name, value) for name, value in form.items() if isinstance(value, str)]
        if page.request.content_type == _FORM_WITH_FILES:
            return await _texts_beside_files(await page.request.multipart())
    return []


async def _texts_beside_files(parts: MultipartReader) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    left = KEPT_BYTES
    while (part := await parts.next()) is not None:
        if not isinstance(part, BodyPartReader) or part.filename is not None:
            await part.release()
            continue
        name, value = part.name or "", bytearray()
        left -= len(name)
        while left >= 0 and (chunk := await part.read_chunk()):
            value += chunk
            left -= len(chunk)
        if left < 0 or len(found) == _MOST_FIELDS:
            return []
        found.append((name, value.decode()))
    return found


def _is_fragment(page: View) -> bool:
    return page.request.headers.get("HX-Request") == "true"


def _is_static(request: web.Request) -> bool:
    return isinstance(request.match_info.route.resource, web.StaticResource)


def _is_our_host(request: web.Request, hosts: frozenset[str] | None) -> bool:
    return hosts is None or (len(request.headers.getall("Host", [])) == 1 and request.headers["Host"].lower() in hosts)


def _is_same_origin(request: web.Request) -> bool:
    """Return whether a request comes from a page of this console, by Fetch Metadata or else by its Origin."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site == "same-origin"
    try:
        origin = urlsplit(request.headers.get("Origin", "")).netloc
    except ValueError:  # http://[
        return False
    return origin.lower() == request.headers.get("Host", "").lower() != ""


def _is_https(page: View) -> bool:
    """Return whether the browser uses https, which a proxy in front of the console reports."""
    return page.request.secure or page.request.headers.get("X-Forwarded-Proto", "").lower() == "https"
