"""Forms about one channel and about the console itself, sent without JavaScript."""

import asyncio
import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html import escape
from pathlib import Path
from urllib.parse import quote

import pytest

from channel_adapter import (
    ChannelAdapter,
    ChannelId,
    Image,
    Outcome,
    OutcomeKind,
    Outcomes,
    PostRef,
    PostState,
    Role,
    Subscribed,
    Text,
    TextAndImage,
    UnavailableError,
    UserId,
)
from channel_adapter.console.explain import explain
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.webhooks import serve
from tests.console.conftest import OWNER, READERS, Browser, Forms, Served

SLUG = "harbor_news"
ID = ChannelId(SLUG)
SETTINGS, STAFF, COMPOSE = f"/c/{SLUG}/settings", f"/c/{SLUG}/staff", f"/c/{SLUG}/compose"
POST, SUBSCRIBERS, THREAD = f"/c/{SLUG}/p/1", f"/c/{SLUG}/subscribers", f"/c/{SLUG}/messages/with/reader_1"


async def test_settings_form_changes_edited_fields_only(browser: Browser, served: Served) -> None:
    form = (await browser.get(SETTINGS)).form(SETTINGS)
    await served.adapter.channels.update(SLUG, organization="Port")  # by another operator
    sent = await browser.post(SETTINGS, {**form, "introduction": "Tides\r\nand ferries"})
    assert sent.place == f"{SETTINGS}?done=saved"
    channel = await served.adapter.channels.get(SLUG)
    assert (channel.introduction, channel.organization) == ("Tides\nand ferries", "Port")
    assert "introduction" in (await browser.get("/log")).text


@pytest.mark.parametrize("number", ["0", "-1", "7.5", "9" * 5_000])
async def test_number_of_subscribers_that_cannot_be_used_is_shown_again(number: str, browser: Browser) -> None:
    sent = await browser.submit(SETTINGS, max_subscribers=number)
    assert sent.status == 422
    assert "max_subscribers must be a whole number" in sent.text


async def test_conflicting_edit_is_shown_to_second_operator(browser: Browser, served: Served) -> None:
    form = (await browser.get(SETTINGS)).form(SETTINGS)
    await served.adapter.channels.update(SLUG, name="Harbour Times")
    sent = await browser.post(SETTINGS, {**form, "name": "Harbour Post"})
    assert sent.status == 409
    assert "Harbour Times" in sent.text
    assert sent.form(SETTINGS)["name"] == "Harbour Post"
    assert (await served.adapter.channels.get(SLUG)).name == "Harbour Times"
    again = await browser.post(SETTINGS, sent.form(SETTINGS))
    assert again.status == 303
    assert (await served.adapter.channels.get(SLUG)).name == "Harbour Post"


async def test_reaction_policy_is_set_by_name_or_list(browser: Browser, served: Served) -> None:
    place = f"/c/{SLUG}/policy"
    assert (await browser.submit(SETTINGS, place, policy="some", emoji="👍 🚢")).status == 303
    assert (await served.adapter.reactions.policy(SLUG)).allowed == ("👍", "🚢")
    assert (await browser.submit(SETTINGS, place, policy="some", usual="🔥", emoji="🚢")).status == 303
    assert (await served.adapter.reactions.policy(SLUG)).allowed == ("🔥", "🚢")
    page = await browser.get(SETTINGS)
    assert (page.form(place)["usual"], page.form(place)["emoji"]) == ("🔥", "🚢")
    assert page.text.count("checked") == 1
    assert (await browser.post(place, {"policy": "some", "emoji": ""})).status == 422
    assert (await browser.submit(SETTINGS, place, policy="some", emoji="<b>")).status == 422
    assert (await browser.submit(SETTINGS, place, policy="none")).status == 303
    assert (await served.adapter.reactions.policy(SLUG)).allowed == ()


async def test_contact_and_categories_are_set_with_the_profile(stored: Served) -> None:
    browser = stored.browser()
    sent = await browser.submit(SETTINGS, contact="reader_3", categories="Ports\r\n 港口 \r\n")
    assert sent.place == f"{SETTINGS}?done=saved"
    assert (await stored.adapter.messages.contact(SLUG)).account == "reader_3"
    assert [each.slug for each in await stored.adapter.directory.search(category="港口")] == [SLUG]
    form = (await browser.get(SETTINGS)).form(SETTINGS)
    assert (form["contact"], form["categories"]) == ("reader_3", "Ports\n港口")
    assert (await browser.post(SETTINGS, form)).place == f"{SETTINGS}?done=unchanged"
    for name, value in (("contact", "nobody_9"), ("categories", "x" * 61)):
        wrong = await browser.post(SETTINGS, {**form, name: value})
        assert f'id="{name}-hint" class="wrong"' in wrong.text
        assert wrong.form(SETTINGS)[name] == value
    assert (await browser.post(SETTINGS, {**form, "contact": "", "categories": ""})).status == 303
    assert (await stored.adapter.messages.contact(SLUG)).account == OWNER


async def test_channel_is_deleted_after_its_short_name_is_typed(browser: Browser, served: Served) -> None:
    place = f"/c/{SLUG}/delete"
    assert (await browser.submit(SETTINGS, place, confirm="harbor")).status == 422
    assert await served.adapter.channels.exists(SLUG)
    sent = await browser.submit(SETTINGS, place, confirm=SLUG)
    assert sent.place == "/?done=deleted"
    assert not await served.adapter.channels.exists(SLUG)
    assert "The channel is deleted." in (await browser.get(sent.place)).text


async def test_edited_post_keeps_sizes_of_its_image(browser: Browser, served: Served) -> None:
    picture = Image("https://example.org/a.png", 640, 360, 1_000)
    await served.adapter.posts.publish(SLUG, TextAndImage("Tide", picture))
    sent = await browser.submit(f"{POST}/edit", text="Tide & time")
    assert sent.place == f"{POST}?done=edited"
    content = (await served.adapter.posts.get(PostRef(ID, 1))).content
    assert content == TextAndImage("Tide & time", picture)
    assert "Tide &amp; time" in (await browser.get(sent.place)).text


async def test_post_is_recalled_in_two_steps(browser: Browser, served: Served) -> None:
    await served.adapter.posts.publish(SLUG, Text("Wrong"))
    assert f'href="{POST}/recall"' in (await browser.get(POST)).text
    sent = await browser.submit(f"{POST}/recall", reason="a mistake")
    assert sent.place == f"{POST}?done=recalled"
    assert (await served.adapter.posts.get(PostRef(ID, 1))).state is PostState.RECALLED
    assert "cannot be edited here" in (await browser.get(f"{POST}/edit")).text


async def test_reactions_show_names_to_admins_only_and_can_be_removed(served: Served) -> None:
    await served.adapter.subscriptions.subscribe(SLUG, READERS[:1])
    post = await served.adapter.posts.publish(SLUG, Text("Tide"))
    await served.adapter.reactions.react(post.ref, "reader_1", "👍")
    admin, viewer = served.browser(), served.browser("viewer")
    assert "reader_1" in (await admin.get(POST)).text
    page = (await viewer.get(POST)).text
    assert "👍 1" in page
    assert "reader_1" not in page
    assert (await admin.submit(POST, f"{POST}/unreact")).place == f"{POST}?done=removed&number=1"
    assert (await admin.submit(POST, f"{POST}/react", emoji="🎉")).place == f"{POST}?done=reacted"
    assert (await served.adapter.reactions.get(post.ref)).counts == {"🎉": 1}
    wrong = await admin.submit(POST, f"{POST}/react", emoji="no emoji")
    assert (wrong.status, wrong.form(f"{POST}/react")["emoji"]) == (422, "no emoji")


async def test_post_is_pinned_and_unpinned(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.posts.publish(SLUG, Text("Tide"))
    assert (await browser.submit(POST, f"{POST}/pin")).place == f"{POST}?done=saved"
    assert "📌" in (await browser.get(f"/c/{SLUG}")).text
    assert "Unpin" in (await browser.get(POST)).text
    assert (await browser.post(f"{POST}/pin", {"unpin": "1"})).place == f"{POST}?done=saved"
    assert "📌" not in (await browser.get(f"/c/{SLUG}")).text
    assert (await browser.post(f"/c/{SLUG}/p/9/pin", {})).status == 404
    assert (await browser.get(f"/c/{SLUG}?before={'9' * 5_000}")).status == 200


async def test_subscribers_are_added_looked_up_muted_and_removed(browser: Browser, served: Served) -> None:
    add, remove = f"{SUBSCRIBERS}/add", f"{SUBSCRIBERS}/remove"
    sent = await browser.submit(SUBSCRIBERS, add, users="reader_1\r\nreader_2")
    assert sent.place == f"{SUBSCRIBERS}?done=added&number=2"
    page = await browser.get(f"{SUBSCRIBERS}?user=reader_1")
    assert "reader_1 is a subscriber; new posts: all." in page.text
    assert "<dt>Role</dt><dd>subscriber</dd>" in page.text
    assert "<dt>Unread posts</dt><dd>0</dd>" in page.text
    place = f"{SUBSCRIBERS}/notifications"
    assert (await browser.post(place, {**page.form(place), "notifications": "muted"})).status == 303
    assert await served.adapter.subscriptions.notifications(SLUG, user="reader_1") == "muted"
    failed = await browser.submit(SUBSCRIBERS, add, users="reader_3\nnobody_9")
    assert failed.status == 409
    assert "<code>nobody_9</code>: not_found" in failed.text
    csv = (await browser.get(f"/c/{SLUG}/subscribers.csv")).text
    assert csv.splitlines()[0] == "user,role,since,notifications"
    assert "reader_1,subscriber," in csv
    assert (await browser.post(remove, {"users": "reader_1, reader_2"})).status == 303
    assert "reader_1 is no subscriber." in (await browser.get(f"{SUBSCRIBERS}?user=reader_1")).text
    assert (await browser.submit(SUBSCRIBERS, add, users=" ")).status == 422


async def test_dead_letters_are_shown_retried_and_dropped(stored: Served) -> None:
    browser = stored.browser()
    assert "No receiver has run" in (await browser.get("/webhooks")).text

    @stored.adapter.events.on(Subscribed)
    async def handle(event: Subscribed) -> None:
        raise ValueError("<script>alert(1)</script>")

    async def letters(number: int) -> list[str]:
        """Wait for a number of dead letters and return their keys."""
        deadline = time.monotonic() + 30
        while len(keys := re.findall(r'name="key" value="([^"]*)"', (await browser.get("/webhooks")).text)) != number:
            assert time.monotonic() < deadline, keys
            await asyncio.sleep(0.05)
        return keys

    async with serve(stored.adapter) as (_, url):
        sent = await browser.submit("/webhooks", "/webhooks/sample", url=url, event="Subscribed")
        assert "was answered with status 200." in sent.text
        stored.stub.webhooks.settings = CallbackSettings(url=url)
        stored.stub.world.client("reader_1").join("@TGS#_harbor_news")
        (key,) = await letters(1)
        assert "&lt;script&gt;" in (await browser.get("/webhooks")).text
        retried = await browser.post("/webhooks/retry", {"key": key})
        assert retried.place == "/webhooks?done=retried&number=1"
        assert await letters(1) == [key]
        command = "Group.CallbackAfterNewMemberJoin"
        assert (await browser.post("/webhooks/retry", {"command": command})).place == retried.place
        await letters(1)
        assert (await browser.post("/webhooks/drop", {"key": "unknown"})).place == "/webhooks?done=dropped&number=0"
        assert (await browser.post("/webhooks/drop", {"key": key})).place == "/webhooks?done=dropped&number=1"
        await letters(0)
    wrong = await browser.submit("/webhooks", "/webhooks/sample", url=url, event="Subscribed")
    assert (wrong.status, wrong.form("/webhooks/sample")["url"]) == (503, url)


async def test_doctor_shows_checks_and_finishes_interrupted_creation(browser: Browser, served: Served) -> None:
    half = {
        "Type": "Community", "GroupId": "@TGS#_half_made", "Name": "n", "Owner_Account": "editor_7",
        "ApplyJoinOption": "FreeAccess", "AppDefinedData": [{"Key": "ch_tag", "Value": "ch1"}],
    }  # fmt: skip
    await served.adapter.call("group_open_http_svc", "create_group", half)
    page = await browser.get("/doctor")
    assert '<th scope="row">service</th>' in page.text
    assert "half_made: every subscriber can post" in page.text
    assert re.search("<code>group_open_http_svc/create_group</code></th><td>2</td>\n<td>none</td>", page.text)
    repaired = await browser.submit("/doctor")
    assert (repaired.status, "half_made: posting is closed" in repaired.text) == (200, True)
    assert (await served.adapter.channels.get("half_made")).complete


async def test_post_is_scheduled_moved_and_cancelled(stored: Served) -> None:
    browser = stored.browser()
    at = (datetime.now(UTC) + timedelta(days=2)).replace(second=0, microsecond=0)
    sent = await browser.submit(
        COMPOSE, action="schedule", format="text", text="Later", at=at.strftime("%Y-%m-%dT%H:%M"), zone="Asia/Tokyo"
    )
    assert sent.place == "/schedule?done=scheduled"
    (post,) = [each async for each in stored.adapter.posts.scheduled()]
    assert post.at == at - timedelta(hours=9)
    page = await browser.get("/schedule")
    assert "No process publishes scheduled posts." in page.text
    assert 'value="Asia/Tokyo"' in page.text
    moved = await browser.submit("/schedule", f"/schedule/{post.id}/move", at=at.strftime("%Y-%m-%dT%H:%M"), zone="UTC")
    assert moved.status == 303
    assert (await stored.adapter.posts.get_scheduled(post.id)).at == at
    wrong = await browser.submit("/schedule", f"/schedule/{post.id}/move", at="2001-01-01T00:00", zone="UTC")
    assert wrong.status == 422
    assert "in the past" in wrong.text
    assert (await browser.post(f"/schedule/{post.id}/cancel", {})).place == "/schedule?done=cancelled"
    assert "Nothing is scheduled." in (await browser.get("/schedule")).text


async def test_failed_post_is_reported_until_acknowledged(stored: Served) -> None:
    browser = stored.browser()
    at = datetime.now(UTC) + timedelta(days=1)
    post = await stored.adapter.posts.schedule(SLUG, Text("Later"), at=at)
    stored.stub.faults.add(Fault(command="send_group_msg", code=80001))
    assert (await browser.post(f"/schedule/{post.id}/publish", {})).status == 409
    stored.stub.faults.replace([])
    text = (await browser.get("/")).text
    assert "1 scheduled post failed or is late" in text
    assert (await browser.submit("/schedule", f"/schedule/{post.id}/acknowledge")).status == 303
    assert "failed or is late" not in (await browser.get("/")).text


async def test_posts_are_found_by_state_when_they_are_scheduled_failed_or_drafts(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.channels.create(slug="other", name="Other", owner=OWNER)
    for slug in (SLUG, "other"):
        for text in ("Later", "Wrong"):
            at = datetime.now(UTC) + timedelta(days=1)
            post = await stored.adapter.posts.schedule(slug, Text(f"{text} of {slug}"), at=at)
        stored.stub.faults.add(Fault(command="send_group_msg", code=80001))
        await browser.post(f"/schedule/{post.id}/publish", {})
        stored.stub.faults.replace([])
        await stored.adapter.posts.draft(slug, Text(f"Draft of {slug}"))
        await stored.adapter.posts.publish(slug, Text(f"Published of {slug}"))
    texts = re.compile(r"(Later|Wrong|Draft|Published) of (\w+)")
    for state, text in (("scheduled", "Later"), ("failed", "Wrong"), ("draft", "Draft"), ("published", "Published")):
        page = await browser.get(f"/c/{SLUG}?state={state}")
        assert set(texts.findall(page.text)) == {(text, SLUG)}
        assert "No post matches." in (await browser.get(f"/c/{SLUG}?state={state}&q=nothing")).text
    draft = (await browser.get(f"/c/{SLUG}?state=draft")).text
    assert f'href="{COMPOSE}?draft=' in draft
    weeks = [f"/schedule/week?from={each.astimezone().date().isoformat()}" for each in (at, datetime.now(UTC))]
    shown = {found for week in weeks for found in texts.findall((await browser.get(week)).text)}
    assert shown == {("Later", SLUG), ("Wrong", SLUG), ("Later", "other"), ("Wrong", "other")}
    for other in ("2001-01-01", "9999-12-31", "0001-01-01"):
        assert texts.findall((await browser.get(f"/schedule/week?from={other}")).text) == []


async def test_staff_is_promoted_demoted_and_ownership_transferred(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.subscriptions.subscribe(SLUG, READERS[:2])
    for action in ("promote", "demote", "promote"):
        assert (await browser.submit(STAFF, action=action, user="reader_1")).place == f"{STAFF}?done=saved"
    assert {each.user: each.role for each in await stored.adapter.channels.staff(SLUG)} == {
        OWNER: Role.OWNER, "reader_1": Role.ADMIN,
    }  # fmt: skip
    failed = await browser.submit(STAFF, action="promote", user="reader_9")
    assert failed.status == 409
    assert "<code>reader_9</code>: not_subscribed" in failed.text
    assert (await browser.submit(STAFF, action="transfer", user="reader_2")).status == 303
    assert (await stored.adapter.channels.get(SLUG)).owner == "reader_2"
    assert (await browser.submit(STAFF, action="transfer", user="reader_1 reader_2")).status == 422


async def test_users_are_blocked_and_channel_is_suspended(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.subscriptions.subscribe(SLUG, ["reader_1"])
    lookup = f"{SUBSCRIBERS}?user=reader_1"
    assert (await browser.get(lookup)).form(f"{SUBSCRIBERS}/remove") == {"users": "reader_1"}
    assert (await browser.submit(lookup, STAFF, action="block")).status == 303
    assert "<code>reader_1</code>" in (await browser.get(STAFF)).text
    assert (await browser.submit(SUBSCRIBERS, f"{SUBSCRIBERS}/add", users="reader_1")).status == 409
    assert (await browser.submit(STAFF, action="unblock", user="reader_1")).status == 303
    for action in ("suspend", "verify"):
        assert (await browser.submit(STAFF, f"{STAFF}/mark", action=action)).status == 303
    channel = await stored.adapter.channels.get(SLUG)
    assert (channel.suspended, channel.verified) == (True, True)
    refused = await browser.submit(COMPOSE, format="text", text="Kept", action="publish")
    assert refused.status in (403, 409)
    assert refused.form(COMPOSE)["text"] == "Kept"


async def test_insights_show_views_after_scan_and_are_downloaded(stored: Served) -> None:
    browser, place = stored.browser(), f"/c/{SLUG}/insights"
    await stored.adapter.subscriptions.subscribe(SLUG, READERS[:4])
    await stored.adapter.posts.publish(SLUG, Text("Tide"))
    stored.stub.world.client("reader_1").read("@TGS#_harbor_news")
    assert "views not counted yet" in (await browser.get(place)).text
    sent = await browser.submit(place, f"{place}?days=30")
    assert sent.place == f"{place}?done=scanned&days=30"
    page = (await browser.get(f"{place}?days=7")).text
    assert "<td>1 (25%)</td>" in page
    assert "<polyline" not in page, "a chart of one day"
    for shown in (f"/c/{SLUG}", POST):
        assert "1 view (25%), <abbr" in (await browser.get(shown)).text
    csv = (await browser.get(f"{place}.csv?days=7")).text.splitlines()
    assert csv[0] == "day,subscribers,joins,leaves,posts"
    assert len(csv) == 2, "the channel was created today"
    found = json.loads((await browser.get(f"{place}.json")).text)
    assert (found["posts"][0]["views"], found["subscribers"]) == (1, 4)
    assert f"{found['posts'][0]['published_at'][11:13]}:00–" in page
    assert "<td>1</td><td>1</td><td>0</td>" in page, "one post in its hour, with one view"
    yesterday = datetime.now(UTC) - timedelta(days=1)
    joined = Subscribed(channel=ChannelId(f"@TGS#_{SLUG}"), users=(UserId("reader_1"),), at=yesterday)
    await stored.adapter.insights.record(joined)
    for shown, with_chart in ((place, True), (SUBSCRIBERS, True), (f"{SUBSCRIBERS}?user=reader_1", False)):
        page = (await browser.get(shown)).text
        assert ("<polyline" in page, f"{yesterday.date()}</th>" in page) == (with_chart, with_chart), shown


async def test_post_shows_whether_its_webhook_came_and_reactions_by_day(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.posts.publish(SLUG, Text("No receiver"))
    assert "no receiver stores its events here" in (await browser.get(POST)).text
    async with serve(stored.adapter) as (_, url):
        assert "no event of it has arrived" in (await browser.get(POST)).text
        stored.stub.webhooks.settings = CallbackSettings(url=url)
        second = await stored.adapter.posts.publish(SLUG, Text("Reported"))
        deadline = time.monotonic() + 30
        while "reported and handled" not in (await browser.get(f"/c/{SLUG}/p/2")).text:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    await stored.adapter.reactions.react(second.ref, OWNER, "👍")
    page = (await browser.get(f"/c/{SLUG}/p/2")).text
    assert re.search(r'<th scope="row">\d{4}-\d\d-\d\d</th><td>1</td>', page)


async def test_invitation_is_shown_once_and_revoked(stored: Served) -> None:
    browser, place = stored.browser(), f"/c/{SLUG}/invites"
    assert (await browser.submit(place, uses="none")).status == 422
    created = await browser.submit(place, uses="1", days="7")
    (code,) = re.findall(r"<code>([a-z2-7]{26})</code>", created.text)
    assert "data:image/svg+xml;base64," in created.text
    assert (await stored.adapter.invites.accept(code, user="reader_1")).kind == "added"
    page = await browser.get(place)
    assert code not in page.text
    assert "used up" in page.text
    assert (await browser.submit(place, f"{place}/revoke")).place == f"{place}?done=saved"
    assert "revoked" in (await browser.get(place)).text


async def test_message_is_sent_once_and_recalled(stored: Served) -> None:
    browser = stored.browser()
    form = {**(await browser.get(THREAD)).form(THREAD), "text": "Hello", "format": "text"}
    for _ in range(2):
        assert (await browser.post(THREAD, form)).place == f"{THREAD}?done=sent"
    messages = [each async for each in stored.adapter.messages.thread(SLUG, user="reader_1")]
    assert [each.content for each in messages] == [Text("Hello")]
    assert (await browser.submit(THREAD, f"{THREAD}/recall")).status == 303
    assert (await browser.submit(THREAD, f"{THREAD}/read")).status == 303
    assert "recalled" in (await browser.get(THREAD)).text
    assert (await browser.get(f"/c/{SLUG}/messages/to?user=reader_1")).place == THREAD
    wrong = await browser.submit(THREAD, text="")
    assert (wrong.status, wrong.heading) == (422, "Messages with reader_1")


async def test_canned_reply_is_put_behind_what_was_written_and_nothing_is_sent(stored: Served) -> None:
    browser, place = stored.browser("editor"), "/messages/replies"
    for text in ("Thank you <b>", "We open at\r\nten."):
        assert (await browser.submit(place, text=text)).place == f"{place}?done=saved"
    _, second = re.findall(r'name="reply" value="([^"]*)"', (await browser.get(THREAD)).text)
    form = (await browser.get(THREAD)).form(THREAD)
    sent = await browser.post(THREAD, {**form, "format": "text", "text": "Hello.", "reply": second})
    assert sent.form(THREAD)["text"] == "Hello.\nWe open at\nten."
    assert [each async for each in stored.adapter.messages.thread(SLUG, user="reader_1")] == []
    (first, _) = re.findall(rf'action="({place}/\w+/delete)"', (await browser.get(place)).text)
    assert (await browser.post(first, {})).place == f"{place}?done=saved"
    page = (await browser.get(place)).text
    assert "Thank you" not in page
    assert "We open at" in page
    for text in ("", "x" * 2_001):
        wrong = await browser.submit(place, text=text)
        assert (wrong.status, wrong.form(place)["text"]) == (422, text)


async def test_post_edited_in_the_console_has_a_mark(stored: Served) -> None:
    browser = stored.browser()
    for number in (1, 2):
        await stored.adapter.posts.publish(SLUG, Text(f"Tide {number}"))
    await browser.submit(f"{POST}/edit", text="Tide & time")
    assert "Edited in the console" in (await browser.get(POST)).text
    assert (await browser.get(f"/c/{SLUG}")).text.count("Edited in the console") == 1
    await stored.adapter.channels.delete(SLUG)
    await stored.adapter.channels.create(slug=SLUG, name="Harbour News", owner=OWNER)
    await stored.adapter.posts.publish(SLUG, Text("Another post with the number"))
    assert "Edited in the console" not in (await browser.get(f"/c/{SLUG}")).text


async def test_settings_show_staff_and_pins_and_close_the_channel(stored: Served) -> None:
    browser = stored.browser()
    post = await stored.adapter.posts.publish(SLUG, Text("Tide"))
    await stored.adapter.posts.pin(post.ref)
    page = (await browser.get(SETTINGS)).text
    assert f"<code>{OWNER}</code>: owner" in page
    assert f'href="/c/{SLUG}/invites"' in page
    assert "#1</a> Tide" in page
    assert (await browser.submit(SETTINGS, f"{STAFF}/mark", action="suspend")).place == f"{SETTINGS}?done=saved"
    assert (await stored.adapter.channels.get(SLUG)).suspended


async def test_pages_report_an_unavailable_service(served: Served) -> None:
    browser = served.browser()
    served.stub.faults.add(Fault(status=502))
    for place in ("/", f"/c/{SLUG}", COMPOSE, SETTINGS, SUBSCRIBERS):
        page = await browser.get(place)
        assert page.status == 503, place
        assert page.heading in ("The service does not answer", "The service is asking for fewer calls")
        assert "Nothing was done. Try again" in page.text
    assert (await browser.get("/doctor")).status == 503


async def test_script_in_text_is_escaped_on_every_page(stored: Served) -> None:
    script = "<script>alert(1)</script>"
    browser = stored.browser()
    await stored.adapter.channels.update(SLUG, name=script, introduction=script, organization=script)
    await stored.adapter.posts.publish(SLUG, Text(script))
    await stored.adapter.posts.draft(SLUG, Text(script))
    await stored.adapter.messages.send(SLUG, user="reader_1", content=Text(script))
    places = ["/", f"/c/{SLUG}", "/new", COMPOSE, SETTINGS, STAFF, SUBSCRIBERS, POST, f"{POST}/edit", f"{POST}/recall",
              "/schedule", "/messages", "/messages/replies", f"/c/{SLUG}/messages", THREAD, "/webhooks", "/doctor",
              "/log", f"/c/{SLUG}/imports", f"/c/{SLUG}/sync", f"/c/{SLUG}/invites", f"/c/{SLUG}/insights"]  # fmt: skip
    for place in places:
        page = await browser.get(f"{place}?q={script}&user={script}&done={script}&number={script}&order={script}")
        assert script not in page.text, place
        for action, fields in Forms((await browser.get(place)).text).forms:
            if action in ("/logout", "/language"):
                continue
            sent = await browser.post(action, dict.fromkeys(fields, script))
            assert script not in sent.text, (place, action)
            assert sent.status < 500, (place, action, sent.status)


async def test_channel_list_is_ordered_and_paginated(browser: Browser, adapter: ChannelAdapter) -> None:
    for number in range(55):
        await adapter.channels.create(slug=f"c{number:02}", name=f"Channel {number:02}", owner=OWNER)
    first = await browser.get("/?order=name")
    found = re.findall(r'href="/c/(\w+)"', first.text)
    assert found == [f"c{number:02}" for number in range(50)]
    (following,) = re.findall(r'href="(/\?[^"]*from=[^"]*)"', first.text)
    second = await browser.get(following.replace("&amp;", "&"))
    assert re.findall(r'href="/c/(\w+)"', second.text) == [*(f"c{number:02}" for number in range(50, 55)), SLUG]


async def test_posts_are_filtered_by_text_and_state_and_paginated(browser: Browser, served: Served) -> None:
    for number in range(1, 26):
        await served.adapter.posts.publish(SLUG, Text(f"Tide {number:02}"))
    await served.adapter.posts.recall(PostRef(ID, 3))
    first = await browser.get(f"/c/{SLUG}")
    assert re.findall(r'id="p(\d+)"', first.text) == [str(number) for number in range(25, 5, -1)]
    (older,) = re.findall(r'href="([^"]*before=[^"]*)"', first.text)
    second = await browser.get(older.replace("&amp;", "&"))
    assert re.findall(r'id="p(\d+)"', second.text) == ["5", "4", "3", "2", "1"]
    assert re.findall(r'id="p(\d+)"', (await browser.get(f"/c/{SLUG}?q=TIDE+07")).text) == ["7"]
    assert re.findall(r'id="p(\d+)"', (await browser.get(f"/c/{SLUG}?state=recalled")).text) == ["3"]


def run_sql(tmp_path: Path, statement: str) -> None:
    """Change the database of the console of `stored`."""
    with closing(sqlite3.connect(tmp_path / "console.db")) as database, database:
        database.execute(statement)


def fail_writes(tmp_path: Path, kind: str, table: str) -> None:
    """Let INSERT or DELETE of a table fail, as in an outage of the database."""
    fails = "BEGIN SELECT abs(-9223372036854775807 - 1 + 0 * random()); END"  # integer overflow
    run_sql(tmp_path, f"CREATE TRIGGER no_{kind}_{table} BEFORE {kind} ON {table} {fails}")


async def logged(browser: Browser, channel: str = SLUG) -> list[str]:
    """Return the outcomes in the log of a channel, the latest first."""
    return re.findall(r'<td lang="en">(.*?)</td></tr>', (await browser.get(f"/log?channel={channel}")).text)


async def test_published_post_is_reported_although_the_database_fails(
    stored: Served, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    browser = stored.browser()
    await browser.submit(COMPOSE, action="draft", format="text", text="Tide")
    (draft,) = [each async for each in stored.adapter.posts.drafts()]
    form = (await browser.get(f"{COMPOSE}?draft={draft.id}")).form(COMPOSE)
    fail_writes(tmp_path, "INSERT", "console_once")
    fail_writes(tmp_path, "DELETE", "post_draft")
    sent = await browser.post(COMPOSE, form)
    assert sent.place == f"/c/{SLUG}?done=published&number=1"
    assert (await logged(browser))[0] == "published 1"
    assert "console.form_not_stored" in caplog.text
    assert f"console.draft_not_deleted draft={draft.id}" in caplog.text
    assert (await browser.post(COMPOSE, form)).place == sent.place, "the service knows the form"
    assert len([post async for post in stored.adapter.posts.history(SLUG)]) == 1


async def test_error_behind_a_write_does_not_say_that_nothing_was_done(browser: Browser, served: Served) -> None:
    served.stub.faults.add(Fault(command="get_group_member_info", status=502))
    sent = await browser.post(f"{SUBSCRIBERS}/add", {"users": "reader_1\nnobody_9"})
    assert sent.heading == "Subscribers"
    assert "It was done, as the log says; only this page failed." in sent.text
    assert "Nothing was done" not in sent.text
    assert await logged(browser) == ["added 1 of 2"]
    sent = await browser.post(f"{SUBSCRIBERS}/add", {"users": "nobody_9"})
    assert "Nothing was done" in sent.text
    assert await logged(browser) == ["added 0 of 1", "added 1 of 2"]


async def test_call_that_ends_early_is_logged_with_what_was_done(browser: Browser, served: Served) -> None:
    users = [f"user_{number}" for number in range(1_000)]
    await served.adapter.accounts.add(users)
    served.stub.faults.add(Fault(command="add_group_member", nth=tuple(range(3, 400)), code=70003))
    sent = await browser.post(f"{SUBSCRIBERS}/add", {"users": "\n".join(users)})
    assert sent.status == 500
    assert "It was done for some of the users." in sent.text
    (outcome,) = await logged(browser)
    done = await served.adapter.subscriptions.count(SLUG)
    assert (outcome, done > 0) == (f"authentication; done for {done} before", True)


def test_error_of_a_call_about_many_users_says_that_some_are_done() -> None:
    error = UnavailableError("the service does not answer")
    assert explain(error, str).advice.startswith("Nothing was done.")
    for kind, advice in ((OutcomeKind.FAILED, "Nothing was done."), (OutcomeKind.ADDED, "It was done for some")):
        error.outcomes = Outcomes((Outcome(UserId("reader_1"), kind),))
        assert explain(error, str).advice.startswith(advice)


@pytest.mark.parametrize("stored_text", ["Lines\r\nand times", "Lines\rand times"])
async def test_description_with_other_line_ends_is_edited_without_a_conflict(stored_text: str, served: Served) -> None:
    await served.adapter.channels.update(SLUG, introduction=stored_text)
    browser = served.browser()
    assert (await browser.submit(SETTINGS, introduction="Lines\r\nand detours")).place == f"{SETTINGS}?done=saved"
    assert (await served.adapter.channels.get(SLUG)).introduction == "Lines\nand detours"
    await served.adapter.channels.update(SLUG, introduction=stored_text)
    await browser.submit(SETTINGS, name="Harbour")
    assert (await served.adapter.channels.get(SLUG)).introduction == stored_text


async def test_messages_of_a_user_whose_id_has_a_slash(stored: Served) -> None:
    user = "berlin/ada?#%2F"
    await stored.adapter.accounts.add([user])
    browser = stored.browser()
    place = (await browser.get(f"/c/{SLUG}/messages/to?user={quote(user, safe='')}")).place
    page = await browser.get(place)
    assert page.heading == escape(f"Messages with {user}")
    sent = await browser.submit(place, format="text", text="Tide")
    assert "Tide" in (await browser.get(sent.place)).text
    assert (await browser.submit(place, f"{place}/read")).status == 303


async def test_failed_and_waiting_posts_are_listed_behind_hundreds_that_were_published(
    stored: Served, tmp_path: Path
) -> None:
    browser, now = stored.browser(), datetime.now(UTC)
    done = await stored.adapter.posts.schedule(SLUG, Text("Done"), at=now + timedelta(hours=1))
    await stored.adapter.posts.publish_now(done.id)
    late = await stored.adapter.posts.schedule(SLUG, Text("Too late"), at=now + timedelta(hours=2))
    await stored.adapter.posts.schedule(SLUG, Text("Tomorrow"), at=now + timedelta(days=1))
    with closing(sqlite3.connect(tmp_path / "console.db")) as database, database:
        database.execute("UPDATE scheduled_post SET state = 'failed' WHERE id = ?", [late.id])
        (row,) = database.execute("SELECT * FROM scheduled_post WHERE id = ?", [done.id])
        marks = ", ".join("?" * len(row))
        copies = [(f"{number:012}", *row[1:]) for number in range(250)]
        database.executemany(f"INSERT INTO scheduled_post VALUES ({marks})", copies)  # noqa: S608 - marks alone
    assert "Too late" in (await browser.get(f"/c/{SLUG}?state=failed")).text
    page = (await browser.get("/schedule?ended=1")).text
    assert re.findall("(Too late|Tomorrow)</p>", page) == ["Too late", "Tomorrow"]
    assert page.count("Done</p>") == 200
    day = (now + timedelta(days=1)).astimezone().date()
    assert "Tomorrow" in (await browser.get(f"/schedule/week?from={day}")).text


@pytest.mark.parametrize(("at", "zone", "wrong"), [("2027-02-03T04:05", "Europ/Berlin", "zone"), ("", "", "at")])
async def test_refused_time_of_a_post_or_draft_is_shown_as_it_was_written(
    at: str, zone: str, wrong: str, stored: Served
) -> None:
    browser = stored.browser()
    post = await stored.adapter.posts.schedule(SLUG, Text("Later"), at=datetime.now(UTC) + timedelta(days=1))
    draft = await stored.adapter.posts.draft(SLUG, Text("Draft"))
    for each, other, fields in ((post.id, draft.id, {}), (draft.id, post.id, {"draft": "1"})):
        place = f"/schedule/{each}/move"
        refused = await browser.post(place, {"at": at, "zone": zone, **fields})
        assert (refused.status, refused.form(place)) == (422, {"at": at, "zone": zone, **fields})
        assert refused.form(f"/schedule/{other}/move")["zone"] == (await browser.get("/schedule")).form(place)["zone"]
        assert re.findall(r'name="(\w+)"[^>]* aria-invalid="true" aria-describedby="problem"', refused.text) == [wrong]
        assert refused.text.count("<details open>") == 1


async def test_log_of_a_transfer_names_the_new_owner(browser: Browser, served: Served) -> None:
    await served.adapter.subscriptions.subscribe(SLUG, ["reader_1"])
    assert (await browser.submit(STAFF, action="transfer", user="reader_1")).status == 303
    assert await logged(browser) == ["transfer reader_1"]


async def test_log_has_writes_that_failed_and_their_channels(stored: Served, tmp_path: Path) -> None:
    browser = stored.browser()
    await browser.submit("/messages/replies", text="Thank you")
    page = await browser.get("/messages/replies")
    (delete_reply,) = re.findall(r'action="(/messages/replies/\w+/delete)"', page.text)
    stored.stub.faults.add(Fault(status=502))
    fail_writes(tmp_path, "DELETE", "console_reply")
    for place in (f"/c/{SLUG}/finish", f"{THREAD}/read", delete_reply, "/webhooks/retry", "/doctor"):
        outcomes = await logged(browser, "")
        assert (await browser.post(place, {"all": "1"})).status == 503, place
        assert await logged(browser, "") == ["unavailable", *outcomes], place
    assert await logged(browser) == ["unavailable", "unavailable"]


async def test_log_of_a_channel_has_its_scheduled_posts_and_drafts(stored: Served) -> None:
    browser = stored.browser()
    at = datetime.now(UTC) + timedelta(days=1)
    post = await stored.adapter.posts.schedule(SLUG, Text("Later"), at=at)
    draft = await stored.adapter.posts.draft(SLUG, Text("Draft"))
    time_fields = {"at": at.strftime("%Y-%m-%dT%H:%M"), "zone": "UTC"}
    await browser.post(f"/schedule/{post.id}/move", time_fields)
    await browser.post(f"/schedule/{post.id}/move", {**time_fields, "at": "2001-01-01T00:00"})
    await browser.post(f"/schedule/{post.id}/acknowledge", {})
    await browser.post(f"/schedule/{post.id}/cancel", {})
    await browser.post(f"/schedule/{draft.id}/publish", {"draft": "1"})
    await browser.post(f"/schedule/{draft.id}/cancel", {"draft": "1"})
    assert await logged(browser) == [
        f"cancelled {draft.id}", f"published {draft.id}", f"cancelled {post.id}", f"acknowledged {post.id}", "invalid",
        f"rescheduled {post.id}",
    ]  # fmt: skip


async def test_log_says_how_many_checks_fail_after_a_repair(browser: Browser, served: Served) -> None:
    half = {
        "Type": "Community", "GroupId": "@TGS#_half_made", "Name": "n", "Owner_Account": OWNER,
        "ApplyJoinOption": "FreeAccess", "AppDefinedData": [{"Key": "ch_tag", "Value": "ch1"}],
    }  # fmt: skip
    await served.adapter.call("group_open_http_svc", "create_group", half)
    served.stub.faults.add(Fault(command="modify_group_base_info", group="@TGS#_half_made", code=10007))
    sent = await browser.submit("/doctor")
    assert "half_made: every subscriber can post" in sent.text
    served.stub.faults.replace([])
    await browser.submit("/doctor")
    assert await logged(browser, "") == ["repaired", "repaired; 1 checks fail"]


async def test_invitation_of_another_channel_is_not_revoked(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.channels.create(slug="other", name="Other", owner=OWNER)
    invitation = await stored.adapter.invites.create("other")
    sent = await browser.post(f"/c/{SLUG}/invites/revoke", {"invitation": invitation.id})
    assert (sent.status, await logged(browser)) == (404, ["not_found"])
    assert [each.state async for each in stored.adapter.invites.list("other")] == ["open"]
    assert (await browser.post("/c/other/invites/revoke", {"invitation": invitation.id})).status == 303
