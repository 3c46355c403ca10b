"""Syncing conversation groups: of all subscribers of a channel, or of the users of a file."""

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.imports import read_file
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.store import console as store


async def show(page: View) -> web.Response:
    """Show the forms for all subscribers and for a file."""
    return await _render_sync_form(page)


async def start(page: View) -> web.Response:
    """Start the sync of all subscribers of the channel."""
    await page.form()
    operator = page.operator.name if page.operator else ""
    try:
        channel = await page.channel()
        found = await page.console.imports.add_sync_of_all(channel.id, operator)
        await page.console.imports.start(found, import_missing=False)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_sync_form(page, error=error)
    await page.wrote("sync started")
    return page.redirect("subscriber_import", slug=page.slug, id=found)


async def upload(page: View) -> web.Response:
    """Check and store a file of users; nothing is synced yet."""
    return await read_file(page, store.SYNC, _render_sync_form)


async def _render_sync_form(
    page: View, values: dict[str, str] | None = None, error: ChannelAdapterError | None = None
) -> web.Response:
    channel = await page.channel()
    return page.render(
        "sync.html", error=error, channel=channel, channel_name=channel.name, durable=page.console.imports.durable,
        values=values or {"column": "", "delimiter": ""},
    )  # fmt: skip


ROUTES = (
    PageRoute("GET", "/c/{slug}/sync", "sync", AccessRole.ADMIN, show),
    PageRoute("POST", "/c/{slug}/sync", "sync", AccessRole.ADMIN, start),
    PageRoute("POST", "/c/{slug}/sync/file", "sync_file", AccessRole.ADMIN, upload),
)
