"""A console on its demo stub, and the Chromium of the distribution.

The tests run with `-m browser` alone. Modules import no Playwright when they are collected, because the other tests
run without it.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

CHROMIUM = Path("/usr/bin/chromium")
INSTALL = (
    "the browser tier needs Chromium and Playwright: apt-get install chromium fonts-noto-cjk fonts-noto-color-emoji,"
    " and pip install -e '.[browser]'"
)
START_SECONDS = 60.0


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fail with one sentence when browser tests are selected but cannot run."""
    if not any(item.get_closest_marker("browser") for item in session.items) or session.config.option.collectonly:
        return
    if not CHROMIUM.exists() or not session.config.pluginmanager.has_plugin("playwright"):
        raise pytest.UsageError(INSTALL)


class Console(NamedTuple):
    """A running console: its address with the one-time token, and without; its database."""

    url: str
    process: subprocess.Popen[bytes]
    database: Path

    @property
    def root(self) -> str:
        return self.url.partition("?")[0].rstrip("/")


def _started(folder: Path) -> Console:
    ready = folder / "ready.json"
    command = Path(sys.executable).with_name("channel-adapter")
    with (folder / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [command, "console", "--demo", "--port", "0", "--ready-file", ready],
            cwd=folder, env={**os.environ, "TMPDIR": str(folder)}, stdout=subprocess.DEVNULL, stderr=log,
        )  # fmt: skip
    end = time.monotonic() + START_SECONDS
    while not ready.exists() or not ready.read_text():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise RuntimeError((folder / "console.log").read_text())
        time.sleep(0.05)
    (database,) = folder.glob("channel-adapter-demo-*/playground.db")
    return Console(json.loads(ready.read_text())["url"], process, database)


def _stopped(console: Console) -> None:
    console.process.terminate()
    assert console.process.wait(20) == 0


@pytest.fixture(scope="session")
def expect() -> Any:
    """Return Playwright's assertions, which wait."""
    from playwright.sync_api import expect  # noqa: PLC0415 - not when the module is collected

    expect.set_options(timeout=15_000)
    return expect


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    return {**browser_type_launch_args, "executable_path": str(CHROMIUM)}


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """Yield the console of all tests that do not need a separate one."""
    running = _started(tmp_path_factory.mktemp("console"))
    yield running
    _stopped(running)


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of screenshots: `--output` of pytest-playwright, or a temporary directory."""
    given = request.config.getoption("--output")
    folder = Path(given) if given != "test-results" else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def signed_in(browser: Any, console: Console) -> dict[str, Any]:
    """Return the cookies of an administrator, who has opened the address of the console."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.url)
    assert page.url == f"{console.root}/"
    state: dict[str, Any] = context.storage_state()
    context.close()
    return state


def narrowest_width(page: Any) -> float:
    """Return the width of the content in a window of 320 px: more than that scrolls sideways."""
    page.set_viewport_size({"width": 320, "height": 700})
    protocol = page.context.new_cdp_session(page)
    metrics = protocol.send("Page.getLayoutMetrics")
    protocol.detach()
    return float(metrics["cssContentSize"]["width"])


class Findings(list[str]):
    """Reports in the browser's console: errors of pages, failed resources, and violations of the policy.

    The status of a page itself, such as 422 for a refused form, is not a finding: tests assert the text of the page.
    """

    def watch(self, page: Any) -> None:
        page.on("console", self._add)
        page.on("pageerror", self._fail)

    def leave(self, page: Any) -> None:
        page.remove_listener("console", self._add)
        page.remove_listener("pageerror", self._fail)

    def _fail(self, error: Exception) -> None:
        self.append(str(error))

    def _add(self, message: Any) -> None:
        if message.type in ("error", "warning") and message.location["url"] != message.page.url:
            self.append(message.text)


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Return options of the browser's context; tests override them by parametrising this fixture."""
    return {}


@pytest.fixture(scope="session")
def contexts(browser: Any, console: Console, signed_in: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the contexts of an administrator by their options: each is opened once, with one page and its cache."""
    opened: dict[str, Any] = {}
    yield opened
    for context in opened.values():
        context.close()


@pytest.fixture
def page(
    browser: Any, console: Console, signed_in: dict[str, Any], contexts: dict[str, Any], context_options: dict[str, Any]
) -> Iterator[Any]:
    """Yield a page of an administrator. Errors in the browser's console fail the test."""
    options = {"locale": "en-GB", "viewport": {"width": 1200, "height": 900}} | context_options
    key = repr(options)
    if key not in contexts:
        contexts[key] = browser.new_context(storage_state=signed_in, base_url=console.root, **options)
    context, findings = contexts[key], Findings()
    page, *_ = context.pages or [context.new_page()]  # a new one for each test takes as long as loading what it shows
    findings.watch(page)
    context.on("page", findings.watch)
    yield page
    context.remove_listener("page", findings.watch)
    findings.leave(page)
    for other in context.pages[1:]:
        other.close()
    assert findings == []
