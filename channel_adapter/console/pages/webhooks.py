"""Webhooks: what arrived, the dead letters, a sample to try a receiver with, and what to switch on in the console."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.post import Post
from channel_adapter.errors import ChannelAdapterError, UnavailableError
from channel_adapter.store.inbox import ListedEvent
from channel_adapter.store.marks import DEAD, WAITING
from channel_adapter.webhooks.counters import COUNTS
from channel_adapter.webhooks.modes import COMMANDS, REQUESTS
from channel_adapter.webhooks.parse import published_key
from channel_adapter.webhooks.stored_inbox import open_stored_inbox
from channel_adapter.webhooks.trigger import Triggered, names_of_commands, trigger

SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class PostReport:
    """Whether a webhook reported a post: the state of its event and when it was received, or why neither is known.

    `state` is that of an event, or absent: none has arrived; forgotten: it may have been deleted; no_receiver.
    """

    state: str
    at: datetime | None = None


async def show(page: View) -> web.Response:
    """Show counts and dead letters."""
    return await _render_webhooks(page)


async def retry(page: View) -> web.Response:
    """Give dead letters new attempts: the chosen ones, those of one command, or all."""
    return await _change_dead_letters(page, "retried")


async def drop(page: View) -> web.Response:
    """Drop dead letters."""
    return await _change_dead_letters(page, "dropped")


async def send_sample(page: View) -> web.Response:
    """Send the sample of an event to an address, signed as the service signs it."""
    form = await page.form()
    url, event = str(form.get("url", "")).strip(), str(form.get("event", ""))
    settings = page.adapter.settings
    tokens = settings.webhooks.tokens
    try:
        sent = await trigger(url, event, sdkappid=settings.sdkappid, token=tokens[0] if tokens else None)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_webhooks(page, error, url=url, event=event)
    await page.wrote(f"sample of {sent.command}")
    return await _render_webhooks(page, url=url, event=event, sent=sent)


async def dead_letters(page: View) -> int | None:
    """Return how many events have used up their attempts; None if no receiver has run on the database."""
    async with open_stored_inbox(page.adapter.settings, "console") as inbox:
        if inbox is None:
            return None
        database, table = inbox
        return (await database.read(table.backlog, time.time())).dead


async def report_of(page: View, post: Post) -> PostReport:
    """Return whether a receiver on this database has stored the event of a published post."""
    inbox_settings, ref = page.adapter.settings.inbox, page.adapter.backend.ids.post(post.ref)
    key = published_key(page.adapter.settings.mode, replace(post, ref=ref))
    try:
        async with open_stored_inbox(page.adapter.settings, "console") as inbox:
            if inbox is None:
                return PostReport("no_receiver")
            database, table = inbox
            row = await database.read(table.get, key) if key is not None else None
    except ChannelAdapterError as error:
        page.console.log_part_not_read("webhook", error)
        return PostReport("no_receiver")
    if row is not None:
        return PostReport(row.state, datetime.fromtimestamp(row.received, UTC))
    kept = timedelta(hours=inbox_settings.remember_hours)
    now = datetime.fromtimestamp(page.adapter.clock.now(), UTC)
    is_known = key is not None and post.published_at is not None and now - post.published_at < kept
    return PostReport("absent" if is_known else "forgotten")


async def _change_dead_letters(page: View, word: str) -> web.Response:
    form = await page.form()
    chosen = [str(key) for key in form.getall("key", [])]
    async with open_stored_inbox(page.adapter.settings, "console") as inbox:
        if inbox is None:
            raise UnavailableError("no receiver has run on this database yet")
        database, table = inbox
        keys: list[str] | None = chosen
        if "all" in form:
            keys = None
        elif command := str(form.get("command", "")):
            rows = await database.read(table.rows, [DEAD], 10_000)
            keys = [row.key for row in rows if row.command == command]
        if keys == []:
            number = 0
        elif word == "retried":
            number = len(await database.write(table.retry, keys, time.time()))
        else:
            number = len(await database.write(table.drop, keys, time.time()))
    await page.wrote(f"{word} {number}")
    return page.redirect("webhooks", query={"done": word, "number": str(number)})


async def _render_webhooks(
    page: View,
    error: ChannelAdapterError | None = None,
    *,
    url: str = "",
    event: str = "",
    sent: Triggered | None = None,
) -> web.Response:
    values: dict[str, Any] = {"counts": {}, "waiting": 0, "dead": 0, "lag": 0.0, "letters": [], "commands": []}
    async with open_stored_inbox(page.adapter.settings, "console") as inbox:
        if inbox is not None:
            database, table = inbox
            counts, by_state, oldest = await database.read(table.stats)
            letters = await database.read(table.rows, [DEAD], SHOWN)
            values = {
                "counts": {name: counts.get(name, 0) for name in COUNTS},
                "waiting": by_state.get(WAITING, 0),
                "dead": by_state.get(DEAD, 0),
                "lag": 0.0 if oldest is None else max(0.0, time.time() - oldest),
                "letters": [(row, datetime.fromtimestamp(row.received, UTC), _format_body(row)) for row in letters],
                "commands": sorted({row.command for row in letters}),
            }
    return page.render(
        "webhooks.html", error=error, has_inbox=inbox is not None, events=sorted(names_of_commands()), url=url,
        event=event or "Subscribed", sent=sent, has_token=bool(page.adapter.settings.webhooks.tokens),
        callbacks=sorted({*COMMANDS.values(), *REQUESTS.values()}), **values,
    )  # fmt: skip


def _format_body(row: ListedEvent) -> str:
    if not row.body:
        return ""
    return orjson.dumps(orjson.loads(row.body)["body"], option=orjson.OPT_INDENT_2).decode()


ROUTES = (
    PageRoute("GET", "/webhooks", "webhooks", AccessRole.VIEWER, show),
    PageRoute("POST", "/webhooks/retry", "retry", AccessRole.ADMIN, retry),
    PageRoute("POST", "/webhooks/drop", "drop", AccessRole.ADMIN, drop),
    PageRoute("POST", "/webhooks/sample", "sample", AccessRole.ADMIN, send_sample),
)
