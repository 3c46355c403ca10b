"""Scheduled posts and drafts of all channels: what waits, what failed or is late, and what can be done with it."""

from collections import deque
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from aiohttp import web
from babel.dates import LOCALTZ

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.schedule import SavedDraft, ScheduledPost, ScheduleState
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.content import excerpt
from channel_adapter.mapping.times import to_zone

ZONE_COOKIE: Final = "channel_adapter_zone"
_IN_WEEK: Final = 5_000
_FIRST: Final = date(2000, 1, 3)
_LAST: Final = date(2199, 12, 30)
SHOWN: Final = 200
"""Posts and drafts that the page shows; the command `posts scheduled` lists all."""


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One scheduled post or draft as the page shows it; `at` is its time for the form, in the zone of the form.

    A form that was refused is shown as it was sent: with its own `zone`, and in `wrong` the field, or "form".
    """

    id: str
    slug: str
    excerpt: str
    at: str = ""
    post: ScheduledPost | None = None
    draft: SavedDraft | None = None
    day: str = ""
    zone: str = ""
    wrong: str = ""


def moment(at: str, zone: str) -> datetime:
    """Return a date and time of a form in a time zone. Raises InvalidError."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise InvalidError("at: choose a date and a time", field="at") from None
    return found.replace(tzinfo=to_zone(zone))


def last_zone(page: View) -> str:
    """Return the time zone that was used last in this browser, else that of this machine."""
    return page.request.cookies.get(ZONE_COOKIE) or getattr(LOCALTZ, "key", "") or "UTC"


async def show(page: View) -> web.Response:
    """Show what is scheduled by its times, what has a problem, and drafts."""
    return await _render_schedule(page)


async def reschedule(page: View) -> web.Response:
    """Change the time of a post, or give one to a draft."""
    form = await page.form()
    at, zone = str(form.get("at", "")), str(form.get("zone", "")).strip()
    post_id = page.request.match_info["id"]
    channel = await _find_channel_slug(page, post_id)
    try:
        when = moment(at, zone)
        if "draft" in form:
            await page.adapter.posts.publish_draft(post_id, at=when)
        else:
            await page.adapter.posts.reschedule(post_id, when)
    except ChannelAdapterError as error:
        await page.refused(error, channel)
        return await _render_schedule(page, error, (at, zone))
    page.console.forget_problems()
    await page.wrote(f"rescheduled {post_id}", channel)
    answer = page.redirect("schedule", query={"done": "scheduled"})
    answer.set_cookie(ZONE_COOKIE, zone, path=page.url("channels"), httponly=True, samesite="Strict")
    return answer


async def publish(page: View) -> web.Response:
    """Publish a scheduled post or a draft now, once."""
    form = await page.form()
    post_id = page.request.match_info["id"]
    channel = await _find_channel_slug(page, post_id)
    try:
        if "draft" in form:
            found = await page.adapter.posts.publish_draft(post_id)
        else:
            found = await page.adapter.posts.publish_now(post_id)
    except ChannelAdapterError as error:
        page.console.forget_problems()  # the post may have failed for good
        await page.refused(error, channel)
        return await _render_schedule(page, error)
    page.console.forget_problems()
    page.console.channels.forget()
    await page.wrote(f"published {post_id}", channel)
    number = str(found.ref.seq) if found.ref is not None else ""
    return page.redirect("schedule", query={"done": "published", "number": number} if number else {"done": "scheduled"})


async def cancel(page: View) -> web.Response:
    """Cancel a scheduled post, or delete a draft."""
    form = await page.form()
    post_id = page.request.match_info["id"]
    channel = await _find_channel_slug(page, post_id)
    try:
        if "draft" in form:
            await page.adapter.posts.discard_draft(post_id)
        else:
            await page.adapter.posts.unschedule(post_id)
    except ChannelAdapterError as error:
        await page.refused(error, channel)
        return await _render_schedule(page, error)
    page.console.forget_problems()
    await page.wrote(f"cancelled {post_id}", channel)
    return page.redirect("schedule", query={"done": "cancelled"})


async def acknowledge(page: View) -> web.Response:
    """End the report about a post that failed, is late or was missed."""
    await page.form()
    post_id = page.request.match_info["id"]
    channel = await _find_channel_slug(page, post_id)
    try:
        await page.adapter.posts.acknowledge([post_id])
    except ChannelAdapterError as error:
        await page.refused(error, channel)
        return await _render_schedule(page, error)
    page.console.forget_problems()
    await page.wrote(f"acknowledged {post_id}", channel)
    return page.redirect("schedule", query={"done": "acknowledged"})


async def _find_channel_slug(page: View, post_id: str) -> str:
    """Return the slug of the channel of a scheduled post or draft, for the log; empty if it is not known."""
    posts = page.adapter.posts
    for get in (posts.get_scheduled, posts.get_draft):
        try:
            return page.adapter.backend.ids.slug((await get(post_id)).channel)
        except ChannelAdapterError:
            pass  # the write itself reports why
    return ""


async def _render_schedule(
    page: View, error: ChannelAdapterError | None = None, typed: tuple[str, str] | None = None
) -> web.Response:
    """Return the page, with an error; `typed` are time and zone of the form that it refused."""
    posts, ended = page.adapter.posts, "ended" in page.request.query
    if page.adapter.settings.database_url is None:
        return page.render("schedule.html", error=error, stores=False)
    scheduled, drafts = await scheduled_lines(page), await draft_lines(page)
    if error is not None and typed is not None:
        refused, wrong = page.request.match_info["id"], error.field or "form"
        scheduled, drafts = (
            [replace(each, at=typed[0], zone=typed[1], wrong=wrong) if each.id == refused else each for each in lines]
            for lines in (scheduled, drafts)
        )
    past = await scheduled_lines(page, wanted=_is_past, ended=True) if ended else []
    status = await posts.schedule_status()
    waits = any(line.post is not None and line.post.state is ScheduleState.SCHEDULED for line in scheduled)
    return page.render(
        "schedule.html", error=error, stores=True, zone=last_zone(page), ended=ended, drafts=drafts,
        problems=[line for line in scheduled if line.post is not None and line.post.problem],
        scheduled=[*past, *(line for line in scheduled if line.post is not None and not line.post.problem)],
        no_worker=waits and not status.workers,
    )  # fmt: skip


def _is_past(post: ScheduledPost) -> bool:
    """Return whether a post has ended and is no problem: those that are, are listed with those that wait."""
    return post.state not in (ScheduleState.SCHEDULED, ScheduleState.PUBLISHING) and not post.problem


async def scheduled_lines(
    page: View,
    channel: str | None = None,
    *,
    wanted: Callable[[ScheduledPost], bool] = lambda _: True,
    ended: bool = False,
    most: int = SHOWN,
) -> list[ScheduleLine]:
    """Return the first scheduled posts that are wanted, by their times; with `ended` the last, ended ones included."""
    zone = last_zone(page)
    found: deque[ScheduledPost] = deque(maxlen=most)
    async with aclosing(page.adapter.posts.scheduled(channel, ended=ended)) as posts:
        async for post in posts:
            if wanted(post):
                found.append(post)
            if len(found) == most and not ended:
                break
    return [_scheduled_line(page, post, zone) for post in found]


async def draft_lines(page: View, channel: str | None = None) -> list[ScheduleLine]:
    """Return the first 200 drafts of a channel, or of all, the oldest first."""
    found: list[ScheduleLine] = []
    async with aclosing(page.adapter.posts.drafts(channel)) as drafts:
        async for draft in drafts:
            slug = page.adapter.backend.ids.slug(draft.channel)
            found.append(ScheduleLine(draft.id, slug, excerpt(draft.parts), draft=draft))
            if len(found) == SHOWN:
                break
    return found


@dataclass(frozen=True, slots=True)
class WeekDay:
    """One day of the week view."""

    at: datetime
    lines: tuple[ScheduleLine, ...]


async def show_week(page: View) -> web.Response:
    """Show the posts of one week, day by day; with those that have ended in the last 30 days."""
    if page.adapter.settings.database_url is None:
        return page.render("week.html", stores=False)
    try:
        wanted = date.fromisoformat(page.request.query.get("from", ""))
    except ValueError:
        wanted = datetime.fromtimestamp(page.adapter.clock.now(), LOCALTZ).date()
    wanted = min(max(wanted, _FIRST), _LAST)
    monday = wanted - timedelta(days=wanted.weekday())
    sunday = monday + timedelta(days=6)
    found = await scheduled_lines(
        page, wanted=lambda post: monday <= _local_day(post) <= sunday, ended=True, most=_IN_WEEK
    )
    days = []
    for number in range(7):
        day = monday + timedelta(days=number)
        at = datetime.combine(day, time(12), LOCALTZ)
        days.append(WeekDay(at, tuple(line for line in found if line.day == day.isoformat())))
    before, after = (monday + timedelta(days=step) for step in (-7, 7))
    return page.render("week.html", stores=True, days=days, before=before.isoformat(), after=after.isoformat())


def _local_day(post: ScheduledPost) -> date:
    return post.at.astimezone(LOCALTZ).date()


def _scheduled_line(page: View, post: ScheduledPost, zone: str) -> ScheduleLine:
    try:
        local = post.at.astimezone(to_zone(zone))
    except InvalidError:
        local = post.at.astimezone(UTC)
    at = local.strftime("%Y-%m-%dT%H:%M")
    slug, day = page.adapter.backend.ids.slug(post.channel), _local_day(post).isoformat()
    return ScheduleLine(post.id, slug, excerpt(post.parts), at, post, day=day)


ROUTES = (
    PageRoute("GET", "/schedule", "schedule", AccessRole.VIEWER, show),
    PageRoute("GET", "/schedule/week", "week", AccessRole.VIEWER, show_week),
    PageRoute("POST", "/schedule/{id}/move", "reschedule", AccessRole.EDITOR, reschedule),
    PageRoute("POST", "/schedule/{id}/publish", "publish_scheduled", AccessRole.EDITOR, publish),
    PageRoute("POST", "/schedule/{id}/cancel", "unschedule", AccessRole.EDITOR, cancel),
    PageRoute("POST", "/schedule/{id}/acknowledge", "acknowledge", AccessRole.EDITOR, acknowledge),
)
