"""Subscribers of a channel: the list, one account, adding and removing, notifications, and a file of all."""

from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.charts import growth_chart
from channel_adapter.console.csv_file import CsvDownload
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.insights import DayInsights
from channel_adapter.domain.subscription import DONE, Notifications, Outcome, Role, Subscriber
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError

PER_PAGE: Final = 100
GROWTH_DAYS: Final = 30
"""Days of the chart."""
_CHOICES: Final = (Notifications.ALL, Notifications.MUTED, Notifications.OFF)


@dataclass(frozen=True, slots=True)
class SubscriptionFacts:
    """One subscriber: role, since when, unread posts, and up to which number posts were read, None where unknown."""

    role: Role | None = None
    since: datetime | None = None
    unread: int | None = None
    read: int | None = None


async def show(page: View) -> web.Response:
    """Show a page of subscribers, or one account."""
    return await _render_subscribers(page)


async def add(page: View) -> web.Response:
    """Subscribe the users of the form, one a line; each has its outcome on the page."""
    form = await page.form()
    typed = str(form.get("users", ""))
    try:
        users = _parse_users(typed)
        outcomes = await page.adapter.subscriptions.subscribe(page.slug, users, import_missing="import" in form)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_subscribers(page, error, typed)
    return await _respond_to_outcomes(page, tuple(outcomes), typed, "added")


async def remove(page: View) -> web.Response:
    """Remove the users of the form."""
    form = await page.form()
    typed = str(form.get("users", ""))
    try:
        outcomes = await page.adapter.subscriptions.unsubscribe(page.slug, _parse_users(typed))
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_subscribers(page, error, typed)
    return await _respond_to_outcomes(page, tuple(outcomes), typed, "removed")


async def set_notifications(page: View) -> web.Response:
    """Set how new posts reach a subscriber."""
    form = await page.form()
    user, wanted = str(form.get("user", "")), str(form.get("notifications", ""))
    try:
        if wanted not in _CHOICES:
            raise InvalidError(f"notifications must be one of {', '.join(_CHOICES)}", field="notifications")
        changed = await page.adapter.subscriptions.set_notifications(page.slug, Notifications(wanted), user=user)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_subscribers(page, error)
    await page.wrote(f"notifications {wanted} of {user}")
    query = {"done": "saved" if changed else "unchanged", "user": user}
    return page.redirect("subscribers", slug=page.slug, query=query)


async def download(page: View) -> web.StreamResponse:
    """Send all subscribers as CSV while they are read."""
    file = CsvDownload(page, f"{page.slug}-subscribers.csv")
    rows = [["user", "role", "since", "notifications"]]
    async for each in page.adapter.subscriptions.subscribers(page.slug):
        rows.append([each.user, each.role, each.since.isoformat() if each.since else "", each.notifications])
        if len(rows) >= PER_PAGE:
            await file.write(rows)
            rows = []
    await file.write(rows)
    return await file.end()


async def _render_subscribers(
    page: View, error: ChannelAdapterError | None = None, typed: str = "", outcomes: tuple[Outcome, ...] = ()
) -> web.Response:
    query = page.request.query
    channel = await page.channel()
    shown: list[Subscriber] = []
    following = None
    looked_up, found = query.get("user", "").strip() if page.request.method == "GET" else "", None
    try:
        if looked_up:
            found = await _look_up(page, looked_up)
        pages = page.adapter.subscriptions.subscribers(page.slug, cursor=query.get("cursor", ""))
        async for each in pages:
            shown.append(each)
            if len(shown) == PER_PAGE:
                following = pages.cursor
                break
    except ChannelAdapterError as failed:
        if isinstance(failed, NotFoundError):
            raise
        error = error or failed
    days = await _read_growth(page) if error is None and page.here == page.url("subscribers", slug=page.slug) else ()
    imports = await page.console.rows.imports(channel=channel.id) if page.may(AccessRole.ADMIN) else []
    return page.render(
        "subscribers.html", error=error, channel=channel, channel_name=channel.name, subscribers=shown,
        membership=await _read_subscription(page, looked_up) if found is not None else None,
        following=following, is_first="cursor" not in query, looked_up=looked_up, found=found, typed=typed,
        outcomes=[each for each in outcomes if each.kind not in DONE], choices=_CHOICES, imports=imports,
        can=page.adapter.can, stores=page.adapter.settings.database_url is not None,
        days=days, chart=growth_chart(days),
    )  # fmt: skip


async def _read_growth(page: View) -> tuple[DayInsights, ...]:
    """Return the figures of the last days; none without a database, or if they cannot be read, which is logged."""
    if page.adapter.settings.database_url is None:
        return ()
    since = (datetime.now(UTC) - timedelta(days=GROWTH_DAYS - 1)).date()
    try:
        return (await page.adapter.insights.channel(page.slug, since)).days
    except ChannelAdapterError as error:
        page.console.log_part_not_read("growth", error)
        return ()


async def _look_up(page: View, user: str) -> Notifications | None:
    """Return how posts reach a user; None for one who is no subscriber."""
    if not page.adapter.can.read_notifications:
        subscribed = await page.adapter.subscriptions.is_subscribed(page.slug, [user])
        return Notifications.ALL if any(subscribed.values()) else None
    try:
        return await page.adapter.subscriptions.notifications(page.slug, user=user)
    except NotFoundError as error:
        if error.field == "channel":
            raise
        return None


async def _read_subscription(page: View, user: str) -> SubscriptionFacts:
    """Return what the service knows of a subscriber; what it does not answer stays out, and is logged."""
    channel = page.adapter.backend.ids.channel(page.slug)
    found = SubscriptionFacts()
    try:
        async with aclosing(page.adapter.channels.subscribed(user)) as subscriptions:
            async for each in subscriptions:
                if each.channel.id == channel:
                    found = SubscriptionFacts(each.role, each.since)
                    break
        unread = await page.adapter.unread.get(user, explain=True)
    except ChannelAdapterError as error:
        page.console.log_part_not_read("subscriber", error)
        return found
    for one in unread.channels:
        if one.channel == channel:
            return replace(found, unread=one.count, read=one.explanation.read_up_to if one.explanation else None)
    return found


async def _respond_to_outcomes(page: View, outcomes: tuple[Outcome, ...], typed: str, word: str) -> web.Response:
    """Return to the list if every user is as asked, else show what failed."""
    page.console.channels.forget()
    done = sum(each.kind in DONE for each in outcomes)
    await (page.wrote if done else page.refused)(f"{word} {done} of {len(outcomes)}")
    if done == len(outcomes):
        return page.redirect("subscribers", slug=page.slug, query={"done": word, "number": str(done)})
    answer = await _render_subscribers(page, None, typed, outcomes)
    answer.set_status(409)
    return answer


def _parse_users(typed: str) -> list[str]:
    users = list(dict.fromkeys(line.strip() for line in typed.replace(",", "\n").splitlines() if line.strip()))
    if not users:
        raise InvalidError("users is empty; write one user id on each line", field="users")
    return users


ROUTES = (
    PageRoute("GET", "/c/{slug}/subscribers", "subscribers", AccessRole.VIEWER, show),
    PageRoute("POST", "/c/{slug}/subscribers/add", "add_subscribers", AccessRole.ADMIN, add),
    PageRoute("POST", "/c/{slug}/subscribers/remove", "remove_subscribers", AccessRole.ADMIN, remove),
    PageRoute("POST", "/c/{slug}/subscribers/notifications", "notifications", AccessRole.ADMIN, set_notifications),
    PageRoute("GET", "/c/{slug}/subscribers.csv", "subscribers_csv", AccessRole.ADMIN, download),
)
