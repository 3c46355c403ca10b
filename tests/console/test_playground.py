"""The playground: client apps of simulated readers, the request log, faults and the clock."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer
from TLSSigAPIv2 import TLSSigAPIv2

from channel_adapter import PostRef, Text
from channel_adapter.console import ConsoleOptions, application
from channel_adapter.console.playground import Playground, open_playground
from channel_adapter.domain.schedule import ScheduledPost
from tests.console.conftest import Browser, Served, authorise


@pytest.fixture
async def playground(tmp_path: Path) -> AsyncIterator[Playground]:
    """Yield a stub with one channel and three reader accounts."""
    async with open_playground(tmp_path) as opened:
        await opened.adapter.accounts.add(["editor_7", "reader_1", "reader_100", "reader_199"])
        await opened.adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        await opened.adapter.subscriptions.subscribe("harbor_news", ["reader_1"], assign=False)
        await opened.adapter.posts.publish("harbor_news", Text("First"))
        yield opened


@pytest.fixture
async def browser(playground: Playground) -> AsyncIterator[Browser]:
    app = application(playground.adapter, authorise, options=ConsoleOptions(playground=playground))
    async with TestClient(TestServer(app)) as client:
        yield Browser(client, "admin")


async def press(browser: Browser, number: int, do: str, /, **fields: str) -> str:
    """Press a button of a client app without JavaScript and return the following page."""
    sent = await browser.post(f"/play/phones/{number}", {"do": do, **fields})
    assert (sent.status, sent.place) == (303, "/play")
    return (await browser.get("/play")).text


async def until(read: Callable[[], Awaitable[ScheduledPost]], state: str) -> bool:
    """Return whether a scheduled post is in a state within 20 seconds."""
    for _ in range(200):
        if (await read()).state == state:
            return True
        await asyncio.sleep(0.1)
    return False


async def test_playground_is_not_found_on_other_services(served: Served) -> None:
    for role in ("viewer", "admin"):
        assert (await served.browser(role).get("/play")).status == 404
        assert (await served.browser(role).get("/play/events")).status == 404
    admin = served.browser()
    assert (await admin.post("/play/phones/0", {"do": "join", "channel": "harbor_news"})).status == 404
    assert (await admin.post("/play/switches", {"step": "day"})).status == 404
    assert "/play" not in (await admin.get("/")).text


async def test_client_follows_reads_reacts_mutes_and_leaves(browser: Browser, playground: Playground) -> None:
    ref = PostRef.parse("harbor_news/1")
    assert (await playground.view(1)).others[0].slug == "harbor_news"
    await press(browser, 1, "join", channel="harbor_news")
    assert (await playground.view(1)).updates == 0, "posts from before are read"
    await playground.adapter.posts.publish("harbor_news", Text("Second"))
    assert (await playground.view(1)).updates == 1
    page = await press(browser, 1, "open", channel="harbor_news")
    assert "1 unread post" in page
    assert (await playground.view(1)).updates == 0
    await press(browser, 0, "open", channel="harbor_news")
    assert [each.unread for each in (await playground.view(0)).channel.posts] == [2, 0]  # type: ignore[union-attr]
    await press(browser, 1, "react", number="1", emoji="👍🏽")
    assert (await playground.adapter.reactions.get(ref)).counts == {"👍🏽": 1}
    await press(browser, 1, "react", number="1", emoji="👍🏽")
    assert (await playground.adapter.reactions.get(ref)).counts == {}
    page = await press(browser, 1, "react", number="1", emoji="no emoji")
    assert 'role="alert"' in page
    assert "Unmute" in await press(browser, 1, "mute")
    await press(browser, 1, "unmute")
    await press(browser, 1, "leave")
    assert not (await playground.view(1)).followed
    assert await playground.adapter.subscriptions.count("harbor_news") == 1


async def test_post_shows_reactions_by_day(browser: Browser, playground: Playground) -> None:
    ref = PostRef.parse("harbor_news/1")
    first = playground.now.date()
    await playground.adapter.reactions.react(ref, "reader_1", "👍")
    assert "<rect" not in (await browser.get("/c/harbor_news/p/1")).text, "a chart of one day"
    playground.go_forward("day")
    await playground.adapter.reactions.react(ref, "editor_7", "🙏")
    page = (await browser.get("/c/harbor_news/p/1")).text
    assert page.count("<rect") == 2
    for day in (first, first + timedelta(days=1)):
        assert f'<th scope="row">{day}</th><td>1</td>' in page


async def test_offline_client_shows_earlier_state(browser: Browser, playground: Playground) -> None:
    assert "Offline" in await press(browser, 0, "offline")
    await playground.adapter.posts.publish("harbor_news", Text("Second"))
    assert (await playground.view(0)).followed[0].unread == 1
    await press(browser, 0, "open", channel="harbor_news")
    assert (await playground.view(0)).channel is None
    await press(browser, 0, "online")
    assert (await playground.view(0)).followed[0].unread == 2


async def test_client_with_other_account_recalls_and_chats(browser: Browser, playground: Playground) -> None:
    assert "does not exist" in await press(browser, 2, "switch", user="stranger")
    assert "another phone" in await press(browser, 2, "switch", user="reader_1")
    await press(browser, 2, "switch", user="editor_7")
    assert "Recall" in await press(browser, 2, "open", channel="harbor_news")
    assert "This post was removed." in await press(browser, 2, "recall", number="1")
    await press(browser, 0, "chat", peer="editor_7")
    await press(browser, 0, "send", text="When is the office open?")
    assert "is empty" in await press(browser, 0, "send", text=" ")
    assert (await playground.view(2)).chats_unread == 1
    assert "When is the office open?" in await press(browser, 2, "chat", peer="reader_1")
    assert (await playground.view(2)).chats_unread == 0


async def test_switches_throttle_the_service_and_move_its_clock(browser: Browser, playground: Playground) -> None:
    due = datetime.now(UTC) + timedelta(minutes=30)
    post = await playground.adapter.posts.schedule("harbor_news", Text("Later"), at=due)
    await browser.post("/play/switches", {"step": "hour"})
    assert await until(lambda: playground.adapter.posts.get_scheduled(post.id), "published")
    await browser.post("/play/switches", {"fault": "throttle", "on": "1"})
    assert "Switch off" in (await browser.get("/play")).text
    assert (await browser.get("/c/harbor_news")).status == 503
    await browser.post("/play/switches", {"fault": "throttle", "on": "0"})
    assert (await browser.get("/c/harbor_news")).status == 200
    assert (await browser.post("/play/switches", {"fault": "fire", "on": "1"})).status == 404
    assert (await browser.post("/play/switches", {"step": "year"})).status == 404


async def test_log_shows_calls_as_curl_that_runs_with_a_signature(playground: Playground) -> None:
    post = await playground.adapter.posts.publish("harbor_news", Text('It\'s "quoted"'))
    shown = next(each for each in playground.calls() if each.call.command == "send_group_msg")
    assert shown.curl.startswith("curl -X POST 'http://127.0.0.1:")
    assert "usersig=[redacted]" in shown.curl
    assert "'\"'\"'s" in shown.curl
    assert shown.number == max(each.number for each in playground.calls() if each.call.command == "send_group_msg")
    _, _, method, url, _, header, _, body = shlex.split(shown.curl)
    signature = TLSSigAPIv2(playground.server.sdkappid, playground.server.key).gen_sig(playground.server.admin)
    headers = dict([header.split(": ", 1)])
    async with (
        ClientSession() as session,
        session.request(method, url.replace("[redacted]", signature), headers=headers, data=body) as answer,
    ):
        repeated = json.loads(await answer.text())
    assert (repeated["ErrorCode"], repeated["MsgSeq"]) == (0, post.ref.seq)  # equal Random: the first post


async def test_changes_are_sent_as_events(playground: Playground) -> None:
    app = application(playground.adapter, authorise, options=ConsoleOptions(playground=playground))
    async with TestServer(app) as server, ClientSession(headers={"X-Test-Role": "viewer"}) as session:
        async with session.get(server.make_url("/play/events")) as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            first = await _event(answer)
            assert 'id="phone-2"' in first
            await playground.adapter.posts.publish("harbor_news", Text("Fresh herring"))
            later = await _event(answer)
            assert "Fresh herring" in later
            assert 'id="phone-2"' not in later, "nothing has changed on it"
        assert not answer.closed or answer.connection is None


async def _event(answer: Any) -> str:
    lines = []
    async with asyncio.timeout(10):
        while line := (await answer.content.readline()).decode().rstrip("\n"):
            lines.append(line)
    return "\n".join(lines)
