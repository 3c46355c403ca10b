"""Signing in with a name and a password, signing out, and the switch of languages."""

from typing import Final

from aiohttp import web

from channel_adapter.console.auth import COOKIE, TooManyFailuresError
from channel_adapter.console.i18n import COOKIE as LANGUAGE_COOKIE
from channel_adapter.console.i18n import LANGUAGES
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.security import error_page, start_session

_YEAR: Final = 365 * 86_400
_FORM_BYTES: Final = 16 << 10
"""The largest form that is read from anyone."""


async def show(page: View) -> web.Response:
    """Show the form for name and password."""
    sign_in = page.console.options.sign_in
    if sign_in is None or not sign_in.has_users:
        return error_page(page, 404)
    return _render_login_form(page, page.request.query.get("next", ""), "", "")


async def login(page: View) -> web.Response:
    """Begin a session."""
    sign_in = page.console.options.sign_in
    if sign_in is None or not sign_in.has_users:
        return error_page(page, 404)
    form = await page.form(_FORM_BYTES)
    name, password, place = (str(form.get(field, "")) for field in ("name", "password", "next"))
    try:
        cookie = await sign_in.login(name, password, page.request.remote or "")
    except TooManyFailuresError:
        return _render_login_form(page, place, name, page.gettext("Too many wrong passwords. Wait five minutes."), 429)
    if cookie is None:
        return _render_login_form(page, place, name, page.gettext("Name or password is wrong."), 401)
    return start_session(page, cookie, _to_own_address(page, place))


async def logout(page: View) -> web.Response:
    """End the session."""
    if page.console.options.sign_in is not None:
        page.console.options.sign_in.end(page.request)
    answer = page.render("signed_out.html")
    answer.del_cookie(COOKIE, path=page.url("channels"))
    return answer


async def language(page: View) -> web.Response:
    """Set the language of this browser."""
    form = await page.form(_FORM_BYTES)
    answer = web.Response(status=303, headers={"Location": _to_own_address(page, str(form.get("next", "")))})
    if (chosen := str(form.get("language", ""))) in LANGUAGES:
        root = page.url("channels")
        answer.set_cookie(LANGUAGE_COOKIE, chosen, max_age=_YEAR, path=root, httponly=True, samesite="Strict")
    return answer


def _render_login_form(page: View, place: str, name: str, wrong: str, status: int = 200) -> web.Response:
    return page.render("login.html", status=status, next=place, name=name, wrong=wrong)


def _to_own_address(page: View, place: str) -> str:
    """Return an address of this console; another one could lead to a site that looks like it."""
    root = page.url("channels")
    is_own = place.startswith(root) and not place.startswith("//") and "\\" not in place and min(place) > " "
    return place if is_own else root


ROUTES = (
    PageRoute("GET", "/login", "login", None, show),
    PageRoute("POST", "/login", "login", None, login),
    PageRoute("POST", "/logout", "logout", None, logout),
    PageRoute("POST", "/language", "language", None, language),
)
