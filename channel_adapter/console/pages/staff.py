"""Staff of a channel: owner and administrators, blocked users, and the marks suspended and verified."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.subscription import DONE, BlockedUser, Outcome, Outcomes, Subscriber
from channel_adapter.errors import ChannelAdapterError, InvalidError

SHOWN: Final = 200
"""Blocked users that the page shows."""


async def show(page: View) -> web.Response:
    """Show owner, administrators and blocked users."""
    return await _render_staff(page)


async def change(page: View) -> web.Response:
    """Promote, demote, block or unblock the users of the form, or make one the owner."""
    form = await page.form()
    action, typed = str(form.get("action", "")), str(form.get("user", ""))
    channels = page.adapter.channels
    actions: dict[str, Callable[[str, Iterable[str]], Awaitable[Outcomes]]] = {
        "promote": channels.promote, "demote": channels.demote, "block": channels.block, "unblock": channels.unblock,
    }  # fmt: skip
    users = list(dict.fromkeys(typed.replace(",", " ").split()))
    outcomes: tuple[Outcome, ...] = ()
    try:
        if not users:
            raise InvalidError("user is empty; name an account of the app", field="user")
        if action == "transfer":
            if len(users) > 1:
                raise InvalidError("a channel has one owner; name one account", field="user")
            await channels.transfer(page.slug, users[0])
        elif action in actions:
            outcomes = tuple(await actions[action](page.slug, users))
        else:
            raise InvalidError("choose what to do", field="action")
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_staff(page, error, typed)
    page.console.channels.forget()
    failed = [each for each in outcomes if each.kind not in DONE]
    log = page.refused if failed and len(failed) == len(outcomes) else page.wrote
    done = "" if action == "transfer" else f": {len(outcomes) - len(failed)} of {len(outcomes)}"
    await log(f"{action} {', '.join(users)[:200]}{done}")
    if failed:
        answer = await _render_staff(page, None, typed, failed)
        answer.set_status(409)
        return answer
    return page.redirect("staff", slug=page.slug, query={"done": "saved"})


async def mark(page: View) -> web.Response:
    """Suspend or resume the channel, or set or remove the mark of a verified one."""
    form = await page.form()
    action = str(form.get("action", ""))
    channels = page.adapter.channels
    actions = {
        "suspend": channels.suspend, "resume": channels.resume, "verify": channels.verify,
        "unverify": channels.unverify,
    }  # fmt: skip
    try:
        if action not in actions:
            raise InvalidError("choose what to do", field="action")
        changed = await actions[action](page.slug)
    except ChannelAdapterError as error:
        await page.refused(error)
        return await _render_staff(page, error)
    page.console.channels.forget()
    await page.wrote(action if changed else "unchanged")
    back = "settings" if form.get("back") == "settings" else "staff"
    return page.redirect(back, slug=page.slug, query={"done": "saved" if changed else "unchanged"})


async def _render_staff(
    page: View, error: ChannelAdapterError | None = None, typed: str = "", failed: Iterable[Outcome] = ()
) -> web.Response:
    channel = await page.channel()
    staff: tuple[Subscriber, ...] = ()
    try:
        staff = await page.adapter.channels.staff(page.slug)
    except ChannelAdapterError as wrong:
        error = error or wrong
    blocked: list[BlockedUser] = []
    if page.adapter.settings.database_url is not None:
        async for user in page.adapter.channels.blocked(page.slug):
            blocked.append(user)
            if len(blocked) == SHOWN:
                break
    return page.render(
        "staff.html", error=error, channel=channel, channel_name=channel.name, staff=staff, blocked=blocked,
        typed=typed, failed=list(failed), stores=page.adapter.settings.database_url is not None,
        can=page.adapter.can,
    )  # fmt: skip


ROUTES = (
    PageRoute("GET", "/c/{slug}/staff", "staff", AccessRole.ADMIN, show),
    PageRoute("POST", "/c/{slug}/staff", "staff", AccessRole.ADMIN, change),
    PageRoute("POST", "/c/{slug}/staff/mark", "mark", AccessRole.ADMIN, mark),
)
