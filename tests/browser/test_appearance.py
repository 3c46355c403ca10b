"""Every page in both languages: appearance and accessibility."""

import re
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.console.app import TABLE
from tests.browser.conftest import narrowest_width

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

SAMPLES = {"slug": "harbor_news", "number": "2", "user": "reader_1"}
NO_PAGES = re.compile(r"\.\w+$|/events$|/messages/to$|\{id\}")
"""Files, streams, redirects, and pages of one import, which the journeys show."""
PAGES = sorted(
    {
        re.sub(r"\{(\w+)(:[^{}]*(\{[^}]*\})?)?\}", lambda found: SAMPLES[found[1]], row.path)
        for row in TABLE
        if row.method == "GET" and row.role is not None and not NO_PAGES.search(row.path)
    }
)
CHINESE = range(0x4E00, 0xA000)


@pytest.fixture
def context_options(request: pytest.FixtureRequest) -> dict[str, Any]:
    locale, scheme = request.param
    return {"locale": locale, "color_scheme": scheme}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("context_options", [("en-GB", "light"), ("zh-CN", "dark")], indirect=True, ids=["en", "zh"])
def test_every_page_is_translated_accessible_and_narrow(
    path: str, page: Any, pictures: Path, expect: Any, request: pytest.FixtureRequest
) -> None:
    from axe_playwright_python.sync_playwright import Axe  # noqa: PLC0415 - not when the module is collected

    page.set_viewport_size({"width": 1200, "height": 900})
    answer = page.goto(path)
    assert answer.status == 200
    headings = page.get_by_role("heading", level=1)
    expect(headings).to_have_count(1)
    language = request.node.callspec.params["context_options"][0][:2]
    assert page.locator("html").get_attribute("lang") == {"en": "en", "zh": "zh-CN"}[language]
    translated = any(ord(letter) in CHINESE for letter in headings.inner_text())
    assert translated is (language == "zh")
    name = path.strip("/").replace("/", "-") or "channels"
    page.screenshot(path=pictures / f"{name}-{language}.jpg", full_page=True, type="jpeg")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert narrowest_width(page) <= 320


@pytest.mark.parametrize("context_options", [("en-GB", "light")], indirect=True, ids=["en"])
@pytest.mark.parametrize("path", ["/", "/c/harbor_news", "/log"])
def test_label_of_a_search_form_is_above_its_field_on_a_phone(path: str, page: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(path)
    places = page.evaluate(
        """() => [...document.querySelectorAll(".search label")].map(label => {
            const [above, below] = [label, label.control].map(each => each.getBoundingClientRect());
            return [above.left - below.left, below.top - above.bottom];
        })"""
    )
    assert len(places) == 2
    for aside, gap in places:
        assert aside == 0
        assert 0 <= gap < 16
