"""English and Chinese: every text has a translation, and every page is shown in both."""

import re
from importlib import resources
from pathlib import Path
from typing import Any

from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import channel_adapter.console
from channel_adapter import Text
from channel_adapter.console.app import TABLE
from channel_adapter.console.i18n import LANGUAGES, translations
from tests.console.conftest import Browser, Served
from tests.console.test_security import filled

ROOT = Path(channel_adapter.console.__file__).parent
METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
KEYWORDS: dict[str, Any] = {"gettext": None, "ngettext": (1, 2), "_": None, "message": None}
OPTIONS = {"**/templates/**.html": {"silent": "false"}}
CHINESE = re.compile("[\u4e00-\u9fff]")


def used() -> dict[str, str | tuple[str, ...]]:
    """Return the texts in the sources, by their first form."""
    found = extract_from_dir(str(ROOT), method_map=METHODS, options_map=OPTIONS, keywords=KEYWORDS)
    texts = [text for _, _, text, _, _ in found]
    return {text if isinstance(text, str) else text[0]: text for text in texts}


def test_every_text_is_translated_and_every_translation_is_used() -> None:
    for language in LANGUAGES:
        if language == "en":
            continue
        path = resources.files("channel_adapter.console") / "locale" / language / "LC_MESSAGES" / "messages.po"
        with path.open("rb") as source:
            catalogue = read_po(source, locale=language, abort_invalid=True)
        entries = {entry.id if isinstance(entry.id, str) else entry.id[0]: entry for entry in catalogue if entry.id}
        assert used().keys() == entries.keys()
        for text, entry in entries.items():
            assert entry.string, text
            assert all(entry.string), text
            assert not list(entry.check(catalogue)), text
            one = entry.string if isinstance(entry.string, str) else entry.string[0]
            assert sorted(re.findall(r"%\(\w+\)s", text)) == sorted(re.findall(r"%\(\w+\)s", one)), text


def test_texts_of_python_and_templates_are_extracted() -> None:
    assert len(used()) > 200
    assert translations("zh_CN").gettext("Channels") == "频道"
    assert translations("zh_CN").ngettext("%(num)s channel", "%(num)s channels", 3) == "%(num)s 个频道"


async def test_every_page_has_one_heading_in_browser_language(browser: Browser, served: Served) -> None:
    await served.adapter.posts.publish("harbor_news", Text("First"))
    for route in TABLE:
        fragment = route.path.endswith((".csv", ".json", "events", "progress", "messages/to"))
        if route.method != "GET" or fragment:
            continue
        place = filled(route.path)
        english = await browser.get(place, Accept_Language="en-GB,zh;q=0.5")
        chinese = await browser.get(place, Accept_Language="zh-CN,zh;q=0.9,en;q=0.8")
        assert english.heading != chinese.heading, place
        assert not CHINESE.search(english.heading), place
        assert CHINESE.search(chinese.heading), place
        assert '<html lang="zh-CN">' in chinese.text


async def test_selected_language_overrides_browser_language(served: Served) -> None:
    browser = served.browser()
    page = await browser.get("/c/harbor_news?state=published")
    assert page.form("/language")["next"] == "/c/harbor_news?state=published"
    sent = await browser.post("/language", {"language": "zh_CN", "next": "/c/harbor_news?state=published"})
    assert (sent.status, sent.place) == (303, "/c/harbor_news?state=published")
    assert (await browser.get("/", Accept_Language="en")).heading == "频道"
    away = await browser.post("/language", {"language": "en", "next": "https://evil.example"})
    assert away.place == "/"
    assert (await browser.get("/", Accept_Language="zh")).heading == "Channels"
