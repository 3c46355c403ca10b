"""The doctor: checks with what to do, call rates, the settings in use without secrets, and a file for support."""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib import metadata
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import SecretStr

from channel_adapter.console.auth import AccessRole
from channel_adapter.console.page import PageRoute, View
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.errors import ChannelAdapterError

SET: Final = "set"
NOT_SET: Final = "not set"


async def show(page: View) -> web.Response:
    """Run the checks and show them."""
    try:
        return _render_doctor(page, await page.adapter.doctor())
    except ChannelAdapterError as error:
        return _render_doctor(page, [], error)


async def repair(page: View) -> web.Response:
    """Finish interrupted creations, then show the checks."""
    await page.form()
    try:
        checks = await page.adapter.doctor(repair=True)
    except ChannelAdapterError as error:
        await page.refused(error)
        return _render_doctor(page, [], error)
    failed = sum(not each.ok for each in checks)
    page.console.channels.forget()
    await page.wrote(f"repaired; {failed} checks fail" if failed else "repaired")
    return _render_doctor(page, checks)


async def bundle(page: View) -> web.Response:
    """Send checks, settings without secrets and versions as one JSON file."""
    try:
        checks: list[HealthCheckResult] = await page.adapter.doctor()
        failure = ""
    except ChannelAdapterError as error:
        checks, failure = [], error.message
    document = {
        "checks": [{"check": each.check, "ok": each.ok, "message": each.message} for each in checks],
        "failure": failure,
        "call_rates": [asdict(each) for each in page.adapter.call_rates],
        "settings": dict(shown_settings(page.adapter.settings.model_dump())),
        "versions": {name: metadata.version(name) for name in ("channel-adapter", "aiohttp", "jinja2", "sqlalchemy")},
        "python": platform.python_version(),
    }
    return web.Response(
        body=orjson.dumps(document, option=orjson.OPT_INDENT_2),
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="channel-adapter-doctor.json"'},
    )


def _render_doctor(
    page: View, checks: list[HealthCheckResult], error: ChannelAdapterError | None = None
) -> web.Response:
    if error is None:
        page.console.remember_checks(checks)
    return page.render(  # after the checks: their calls are counted too
        "doctor.html",
        error=error,
        checks=checks,
        rates=page.adapter.call_rates,
        settings=list(shown_settings(page.adapter.settings.model_dump())),
    )


def shown_settings(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield settings by their names, a secret as "set" or "not set"."""
    for name, value in values.items():
        if isinstance(value, Mapping) and name not in ("calls_per_second", "caps"):
            yield from shown_settings(value, f"{prefix}{name}.")
        elif isinstance(value, SecretStr) or _holds_secrets(value) or name in ("key", "tokens", "database_url"):
            yield f"{prefix}{name}", SET if value else NOT_SET
        else:
            yield f"{prefix}{name}", "" if value is None else str(value)


def _holds_secrets(value: Any) -> bool:
    return isinstance(value, tuple | list) and any(isinstance(each, SecretStr) for each in value)


ROUTES = (
    PageRoute("GET", "/doctor", "doctor", AccessRole.VIEWER, show),
    PageRoute("POST", "/doctor", "doctor", AccessRole.ADMIN, repair),
    PageRoute("GET", "/doctor/bundle.json", "bundle", AccessRole.ADMIN, bundle),
)
