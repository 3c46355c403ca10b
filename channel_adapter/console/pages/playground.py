"""The playground: phones of simulated readers, the request log, faults and the clock of the stub."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.reaction import BASIC
from channel_adapter.errors import NotFoundError

if TYPE_CHECKING:
    from channel_adapter.console.playground import Playground

_QUIET_SECONDS: Final = 15.0  # then a line that changes nothing, by which a closed page is noticed


async def show(page: View) -> web.Response:
    """Show the phones, the switches and the request log."""
    playground = _require_playground(page)
    return page.render(
        "playground.html",
        phones=[await _phone_fields(playground, number) for number in range(len(playground.phones))],
        **_switch_fields(playground),
        calls=playground.calls(),
    )


async def act(page: View) -> web.Response:
    """Do what a button of a phone does."""
    playground, form = _require_playground(page), await page.form()
    values = {name: value for name, value in form.items() if isinstance(value, str)}
    await playground.act(int(page.request.match_info["number"]), values.get("do", ""), values)
    return _respond_done(page)


async def switch(page: View) -> web.Response:
    """Switch a fault, or move the clock forward."""
    playground, form = _require_playground(page), await page.form()
    if "step" in form:
        playground.go_forward(str(form["step"]))
        page.console.forget_problems()
    else:
        playground.set_fault(str(form.get("fault", "")), on=str(form.get("on", "")) == "1")
    return _respond_done(page)


async def events(page: View) -> web.StreamResponse:
    """Send the parts of the page that change, as server-sent events."""
    return await page.send_events(_part_events(page, _require_playground(page)))


async def _part_events(page: View, playground: "Playground") -> AsyncIterator[tuple[str, str]]:
    sent: dict[str, str] = {}
    while True:
        position = playground.position
        parts = await _render_parts(page, playground)
        changed = [text for name, text in parts.items() if sent.get(name) != text]
        sent = parts
        yield "parts", "\n".join(changed)
        await playground.changed(position, _QUIET_SECONDS)


async def _render_parts(page: View, playground: "Playground") -> dict[str, str]:
    """Return the parts of the page as text, by their ids."""
    found = {"switches": page.text("playground_switches.html", **_switch_fields(playground))}
    for number in range(len(playground.phones)):
        found[f"phone-{number}"] = page.text("playground_phone.html", **await _phone_fields(playground, number))
    found["calls"] = page.text("playground_calls.html", calls=playground.calls())
    return found


async def _phone_fields(playground: "Playground", number: int) -> dict[str, Any]:
    return {"number": number, "phone": await playground.view(number), "emoji": BASIC}


def _switch_fields(playground: "Playground") -> dict[str, Any]:
    return {"faults_on": playground.faults, "service_time": playground.now.replace(second=0, microsecond=0)}


def _require_playground(page: View) -> "Playground":
    found = page.console.options.playground
    if found is None:
        raise NotFoundError("the playground needs a console that runs on a stub: channel-adapter console --demo")
    return found


def _respond_done(page: View) -> web.Response:
    """Return the answer to a form: nothing where the page is live, else the page again."""
    if page.request.headers.get("HX-Request") == "true":
        return web.Response(status=204)
    return page.redirect("play")


ROUTES = (
    PageRoute("GET", "/play", "play", AccessRole.VIEWER, show),
    PageRoute("GET", "/play/events", "play_events", AccessRole.VIEWER, events),
    PageRoute("POST", r"/play/phones/{number:\d}", "play_phone", AccessRole.EDITOR, act),
    PageRoute("POST", "/play/switches", "play_switches", AccessRole.ADMIN, switch),
)
