"""The console as an aiohttp application: the table of routes, and what they share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp_jinja2
import jinja2
from aiohttp import web

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.console.auth import Authorise
from channel_adapter.console.page import CONSOLE, Console, ConsoleOptions, PageRoute
from channel_adapter.console.pages import (
    account,
    channels,
    compose,
    create,
    doctor,
    imports,
    insights,
    invites,
    log,
    media,
    messages,
    playground,
    post,
    posts,
    replies,
    schedule,
    settings,
    staff,
    subscribers,
    sync,
    webhooks,
)
from channel_adapter.console.security import MEDIA, PAGE, ROUTES, add_headers, protect
from channel_adapter.errors import ConfigurationError
from channel_adapter.quoting import shown_text

HERE: Final = Path(__file__).parent
TABLE: Final[tuple[PageRoute, ...]] = (
    *account.ROUTES,
    *channels.ROUTES,
    *create.ROUTES,
    *compose.ROUTES,
    *posts.ROUTES,
    *post.ROUTES,
    *settings.ROUTES,
    *staff.ROUTES,
    *subscribers.ROUTES,
    *imports.ROUTES,
    *sync.ROUTES,
    *schedule.ROUTES,
    *messages.ROUTES,
    *replies.ROUTES,
    *invites.ROUTES,
    *insights.ROUTES,
    *webhooks.ROUTES,
    *doctor.ROUTES,
    *log.ROUTES,
    *media.ROUTES,
    *playground.ROUTES,
)
"""All routes, each with the role that it needs."""


def application(
    adapter: ChannelAdapter, authorise: Authorise, *, options: ConsoleOptions | None = None
) -> web.Application:
    """Return the console of an open adapter as an application: `app.add_subapp("/channels-admin", ...)`.

    `authorise(request)` returns the Operator of a request, or None; it may be a coroutine. Start the application after
    the adapter, and stop it before the adapter closes. Without `options` every Host header is accepted.
    """
    app = web.Application(middlewares=[protect])
    app[CONSOLE] = console = Console(adapter, authorise, options or ConsoleOptions())
    app.cleanup_ctx.append(console.run)
    environment = aiohttp_jinja2.setup(
        app,
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        extensions=["jinja2.ext.i18n"],
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        default_helpers=False,
    )
    _install_translations(environment)
    environment.filters["web_address"] = web_address
    app.on_response_prepare.append(add_headers)
    app.router.add_static("/static/", HERE / "static", name="static")
    if (directory := adapter.settings.console.media_dir) is not None:
        make_directory(directory)
        app.router.add_static("/media/", directory, name=MEDIA)
    app[ROUTES] = {app.router.add_route(row.method, row.path, _run_handler, name=row.name): row for row in TABLE}
    return app


def has_local_work(app: web.Application) -> bool:
    """Return whether a console that has started runs an import or a sync that ends with this process."""
    return app[CONSOLE].imports.has_local_work


def make_directory(path: Path) -> None:
    """Create the directory of pictures if it is missing. Raises ConfigurationError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as wrong:
        raise ConfigurationError(
            f"console.media_dir: {shown_text(path)}: {wrong.strerror}", field="console.media_dir"
        ) from None


async def _run_handler(request: web.Request) -> web.StreamResponse:
    return await request.app[ROUTES][request.match_info.route].handler(request[PAGE])


def web_address(text: str) -> str:
    """Return an address that a page may lead to or load from: http or https; empty for any other."""
    return text if text.lower().startswith(("http://", "https://")) else ""


def _install_translations(environment: jinja2.Environment) -> None:
    @jinja2.pass_context
    def gettext(context: jinja2.runtime.Context, text: str) -> str:
        return str(context["page"].gettext(text))

    @jinja2.pass_context
    def ngettext(context: jinja2.runtime.Context, one: str, many: str, count: int) -> str:
        return str(context["page"].ngettext(one, many, count))

    install: Callable[..., Any] = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(gettext, ngettext, newstyle=True)
