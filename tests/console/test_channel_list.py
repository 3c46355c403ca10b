"""The list of channels: overview at the top and marks of each channel."""

import asyncio
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp.test_utils import TestClient, TestServer

from channel_adapter import ChannelAdapter, ChannelId, Subscribed, Text, UserId
from channel_adapter.config.settings import InsightSettings
from channel_adapter.console import application
from channel_adapter.store.cutover import CutoverChannelRow
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.webhooks import serve
from tests.console.conftest import Browser, Served, authorise, settings_for

SLUG = "harbor_news"


async def test_channel_list_shows_checks_dead_letters_and_next_posts(stored: Served) -> None:
    browser = stored.browser()
    for days, text in ((3, "Third day"), (1, "<i>First day</i>"), (2, "Second day"), (4, "Fourth day")):
        await stored.adapter.posts.schedule(SLUG, Text(text), at=datetime.now(UTC) + timedelta(days=days))
    page = (await browser.get("/")).text
    assert "not checked yet" in page
    assert "Dead letters" not in page  # no receiver has run
    shown = (await browser.get("/?overview=1", HX_Request="true")).text
    assert "✗ 1 check failed" in shown  # no process publishes scheduled posts
    assert "<h1>" not in shown
    assert re.findall("(First|Second|Third|Fourth) day", shown) == ["First", "Second", "Third"]
    assert "<i>" not in shown
    assert "✗ 1 check failed" in (await browser.get("/")).text
    async with serve(stored.adapter):
        assert "Dead letters</a>: 0" in (await browser.get("/")).text


async def test_channel_list_counts_failed_checks(served: Served) -> None:
    browser = served.browser()
    assert "✓ good" in (await browser.get("/?overview=1", HX_Request="true")).text
    served.stub.faults.add(Fault(command="account_check", code=70402))
    assert (await browser.get("/doctor")).status == 200
    assert '<strong class="wrong">✗ 1 check failed' in (await browser.get("/")).text


async def test_channel_list_shows_growth_where_insights_are_recorded(
    stub: StubServer, adapter: ChannelAdapter, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    settings = settings_for(stub, database_url=url, insights=InsightSettings(record=True))
    async with ChannelAdapter.open(settings) as own:
        event = Subscribed(channel=ChannelId(f"@TGS#_{SLUG}"), users=(UserId("reader_1"),), at=datetime.now(UTC))
        await own.signals.channel_event.emit(event)
        assert own.posting_moved is not None
        moved = CutoverChannelRow("@TOA#_harbor", "m1", f"@TGS#_{SLUG}", moved_at=1.0)
        await own.posting_moved.store.prepare()
        await own.posting_moved.store.put([moved])
        async with TestClient(TestServer(application(own, authorise))) as client:
            page = (await Browser(client, "viewer").get("/")).text
        assert "+1 in 7 days" in page
        assert "moved from an official account" in page


async def test_channel_created_while_the_list_is_read_is_on_the_next_page(served: Served) -> None:
    browser = served.browser()
    served.stub.faults.add(Fault(command="get_group_info", delay=1.0, times=1))
    reading = asyncio.create_task(browser.get("/"))
    deadline = time.monotonic() + 10
    while not served.stub.log.calls("get_appid_group_list"):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)
    await served.adapter.accounts.add(["editor_8"])
    assert (await browser.submit("/new", name="Night Bus", slug="night_bus", owner="editor_8")).status == 303
    assert 'href="/c/night_bus"' not in (await reading).text
    assert 'href="/c/night_bus"' in (await browser.get("/")).text
