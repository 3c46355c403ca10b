"""Creating a channel."""

import secrets
from typing import Final

from aiohttp import web

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.console.pages.media import UPLOAD_BYTES, uploaded_avatar
from channel_adapter.errors import ChannelAdapterError, InvalidError

FIELDS: Final = ("name", "slug", "introduction", "owner", "avatar", "organization", "custom_data")


async def show(page: View) -> web.Response:
    """Show an empty form."""
    values = dict.fromkeys(FIELDS, "")
    return _render_create_form(
        page, {**values, "owner": page.adapter.settings.admin, "once": secrets.token_urlsafe(16)}
    )


async def create(page: View) -> web.Response:
    """Create the channel; sending the form again finishes a creation that was interrupted."""
    form = await page.form(UPLOAD_BYTES)
    values = {name: str(form.get(name, "")).strip() for name in (*FIELDS, "once")}
    try:
        if not values["name"]:
            raise InvalidError("name is empty", field="name")
        values["avatar"] = await uploaded_avatar(page, form, values["avatar"])
        channel = await page.adapter.channels.create(
            name=values["name"], owner=values["owner"], slug=values["slug"] or None,
            introduction=values["introduction"], avatar=values["avatar"], organization=values["organization"],
            custom_data=values["custom_data"], idempotency_key=values["once"] or secrets.token_urlsafe(16),
        )  # fmt: skip
    except ChannelAdapterError as error:
        await page.refused(error, values["slug"])
        return _render_create_form(page, values, error)
    page.console.channels.forget()
    await page.wrote("created", channel.slug)
    return page.redirect("channel", slug=channel.slug, query={"done": "created"})


def _render_create_form(page: View, values: dict[str, str], error: ChannelAdapterError | None = None) -> web.Response:
    own = page.adapter.settings.channels
    return page.render(
        "create.html",
        error=error,
        values=values,
        has_organization=bool(own.organization_key),
        has_custom_data=bool(own.custom_data_keys),
    )


ROUTES = (
    PageRoute("GET", "/new", "create", AccessRole.ADMIN, show),
    PageRoute("POST", "/new", "create", AccessRole.ADMIN, create),
)
