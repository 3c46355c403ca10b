"""Importing subscribers from a CSV file: upload, preview, start, progress, what failed; and the progress of syncs."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.csv_file import CsvDownload
from channel_adapter.console.page import PageRoute, View
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError
from channel_adapter.store import console as store
from channel_adapter.store.console import SubscriberImport

FILE_BYTES: Final = 64 << 20
PREVIEW_ROWS: Final = 20
_EVENT_SECONDS: Final = 0.5


async def show_form(page: View) -> web.Response:
    """Show the form for a file."""
    return await _render_import_form(page)


async def upload(page: View) -> web.Response:
    """Check and store a file; nothing is imported yet."""
    return await read_file(page, store.SUBSCRIBE, _render_import_form)


async def read_file(
    page: View, work: str, shown: Callable[[View, dict[str, str], ChannelAdapterError], Awaitable[web.Response]]
) -> web.Response:
    """Check and store the file of a form, and lead to its preview; `shown` shows the form again with what is wrong."""
    form = await page.form(FILE_BYTES)
    file = form.get("file")
    values = {name: str(form.get(name, "")).strip() for name in ("column", "delimiter")}
    operator = page.operator.name if page.operator else ""
    try:
        channel = await page.channel()
        if not isinstance(file, web.FileField) or not file.filename:
            raise InvalidError("file is missing; choose a CSV or text file", field="file")
        name = file.filename.encode("utf-8", "replace").decode()
        found = await page.console.imports.add(channel.id, operator, file.file, name, work=work, **values)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await shown(page, values, error)
    await page.wrote("uploaded")
    return page.redirect("subscriber_import", slug=page.slug, id=found)


async def show(page: View) -> web.Response:
    """Show the preview of an import, its progress, or its result."""
    channel, found = await page.channel(), await _find_import(page)
    first = await page.console.rows.part(found.id, 1) if found.state == store.PREVIEW else []
    broken = await page.console.rows.failures(found.id, 0) or []
    return page.render(
        "import.html", channel_name=channel.name, first=first[:PREVIEW_ROWS], broken=broken[:PREVIEW_ROWS],
        broken_total=len(broken), durable=page.console.imports.durable, **_progress_fields(found),
    )  # fmt: skip


async def start(page: View) -> web.Response:
    """Start the import or the sync, or continue one that failed."""
    form, found = await page.form(), await _find_import(page)
    try:
        await page.console.imports.start(found.id, import_missing="import_missing" in form)
    except ChannelAdapterError as error:
        await page.refused(error)
        raise
    await page.wrote("sync started" if found.work == store.SYNC else "import started")
    return page.redirect("subscriber_import", slug=page.slug, id=found.id)


async def show_progress(page: View) -> web.Response:
    """Return the progress, for a part of the page."""
    return page.render("import_progress.html", **_progress_fields(await _find_import(page)))


async def events(page: View) -> web.StreamResponse:
    """Send the progress as server-sent events until the import ends."""
    return await page.send_events(_progress_events(page, await _find_import(page)))


async def _progress_events(page: View, found: SubscriberImport) -> AsyncIterator[tuple[str, str]]:
    sent = ""
    while page.is_connected:
        text = page.text("import_progress.html", **_progress_fields(found))
        if text != sent:
            yield "message", text
            sent = text
        if found.state != store.RUNNING:
            yield "end", ""
            break
        await asyncio.sleep(_EVENT_SECONDS)
        found = await _find_import(page)


async def download(page: View) -> web.StreamResponse:
    """Send what failed, with the reason of each line."""
    found = await _find_import(page)
    file = CsvDownload(page, f"{page.slug}-{found.work}-failed.csv")
    await file.write([["line", "user", "outcome", "reason"]])
    number = 0
    while (rows := await page.console.rows.failures(found.id, number)) is not None:
        await file.write([[str(cell) for cell in row] for row in rows])
        number += 1
    return await file.end()


def _progress_fields(found: SubscriberImport) -> dict[str, Any]:
    """Return what the progress shows: users a second and seconds left, from the parts so far."""
    unusable = sum(number for kind, number in found.counts.items() if kind in ("unusable", "repeated"))
    done, total = found.done - unusable, (found.total or 0) - unusable
    spent = (found.ended or time.time()) - (found.started or time.time())
    rate = done / spent if spent > 0 and done else 0.0
    return {
        "found": found, "done": done, "total": total, "rate": round(rate),
        "left": round((total - done) / rate) if rate and found.state == store.RUNNING else None,
    }  # fmt: skip


async def _find_import(page: View) -> SubscriberImport:
    channel = page.adapter.backend.ids.channel(page.slug)
    found = await page.console.rows.get_import(page.request.match_info["id"])
    if found is None or found.channel != channel:
        raise NotFoundError("there is no such import; imports are kept for 30 days")
    return found


async def _render_import_form(
    page: View, values: dict[str, str] | None = None, error: ChannelAdapterError | None = None
) -> web.Response:
    channel = await page.channel()
    return page.render(
        "import_new.html", error=error, channel_name=channel.name, values=values or {"column": "", "delimiter": ""},
        durable=page.console.imports.durable,
    )  # fmt: skip


ROUTES = (
    PageRoute("GET", "/c/{slug}/imports", "imports", AccessRole.ADMIN, show_form),
    PageRoute("POST", "/c/{slug}/imports", "imports", AccessRole.ADMIN, upload),
    PageRoute("GET", "/c/{slug}/imports/{id}", "subscriber_import", AccessRole.ADMIN, show),
    PageRoute("POST", "/c/{slug}/imports/{id}", "subscriber_import", AccessRole.ADMIN, start),
    PageRoute("GET", "/c/{slug}/imports/{id}/progress", "import_progress", AccessRole.ADMIN, show_progress),
    PageRoute("GET", "/c/{slug}/imports/{id}/events", "import_events", AccessRole.ADMIN, events),
    PageRoute("GET", "/c/{slug}/imports/{id}/failed.csv", "import_failed", AccessRole.ADMIN, download),
)
