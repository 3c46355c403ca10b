"""The composer and its drafts: what is sent once, kept, and refused when another operator was faster."""

import asyncio

import pytest

from channel_adapter import ChannelId, Image, PostRef, Text, TextAndImage
from channel_adapter.stub.faults.faults import Fault
from tests.console.conftest import OWNER, Browser, Served

SLUG = "harbor_news"
ID = ChannelId(SLUG)
COMPOSE, POST = f"/c/{SLUG}/compose", f"/c/{SLUG}/p/1"


@pytest.mark.parametrize(
    ("at", "zone", "field"),
    [("", "UTC", "at"), ("2099-01-01T00:00", "Mars/Base", "zone"), ("2001-01-01T00:00", "UTC", "at")],
)
async def test_invalid_time_is_shown_again_with_the_text(at: str, zone: str, field: str, stored: Served) -> None:
    sent = await stored.browser().submit(COMPOSE, action="schedule", format="text", text="Later", at=at, zone=zone)
    assert sent.status == 422
    form = sent.form(COMPOSE)
    assert (form["text"], form["at"], form["zone"]) == ("Later", at, zone)
    assert f'id="{field}-hint" class="wrong"' in sent.text


async def test_test_message_is_sent_once_to_one_account_and_not_published(browser: Browser, served: Served) -> None:
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Try", "user": "reader_1"}
    for _ in range(2):
        sent = await browser.post(COMPOSE, {**form, "action": "test"})
        assert "Sent to reader_1 as a one-to-one message." in sent.text
        assert (sent.form(COMPOSE)["text"], sent.form(COMPOSE)["user"]) == ("Try", "reader_1")
    messages = [each async for each in served.adapter.messages.thread(SLUG, user="reader_1")]
    assert [each.content for each in messages] == [Text("Try")]
    for user, status in (("", 422), ("nobody_9", 404)):
        wrong = await browser.post(COMPOSE, {**form, "action": "test", "user": user})
        assert (wrong.status, wrong.form(COMPOSE)["text"]) == (status, "Try")
        assert 'id="user-hint" class="wrong"' in wrong.text
    assert [post async for post in served.adapter.posts.history(SLUG)] == []


async def test_post_is_copied_to_a_draft(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.posts.publish(SLUG, Text("Tide"))
    sent = await browser.submit(POST, f"{POST}/copy")
    assert (await browser.get(sent.place)).form(COMPOSE)["text"] == "Tide"
    assert (await browser.post(f"/c/{SLUG}/p/9/copy", {})).status == 404


async def test_draft_is_saved_edited_and_published(stored: Served) -> None:
    browser = stored.browser()
    sent = await browser.submit(COMPOSE, action="draft", format="text", text="First")
    assert sent.place == "/schedule?done=drafted"
    (draft,) = [each async for each in stored.adapter.posts.drafts()]
    opened = (await browser.get(f"{COMPOSE}?draft={draft.id}")).form(COMPOSE)
    assert opened["text"] == "First"
    await browser.post(COMPOSE, {**opened, "action": "draft", "text": "Second"})
    (draft,) = [each async for each in stored.adapter.posts.drafts()]
    assert draft.parts == (Text("Second"),)
    form = (await browser.get("/schedule")).form(f"/schedule/{draft.id}/move")
    sent = await browser.post(f"/schedule/{draft.id}/publish", form)
    assert sent.place == "/schedule?done=published&number=1"
    assert (await stored.adapter.posts.get(PostRef(ID, 1))).content == Text("Second")


@pytest.mark.parametrize("fault", [Fault(drop=True), Fault(code=60012), Fault(code=10010), Fault(status=502)])
async def test_composer_keeps_text_when_the_service_fails(fault: Fault, served: Served) -> None:
    browser = served.browser()
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Tide <b>"}
    served.stub.faults.add(fault)
    sent = await browser.post(COMPOSE, form)
    assert sent.status >= 400
    assert sent.form(COMPOSE)["text"] == "Tide <b>"
    assert sent.form(COMPOSE)["once"] == form["once"]
    served.stub.faults.replace([])
    assert (await browser.post(COMPOSE, sent.form(COMPOSE))).status == 303
    assert len([post async for post in served.adapter.posts.history(SLUG)]) == 1


async def test_draft_is_stored_once_however_often_the_form_is_sent(stored: Served) -> None:
    browser = stored.browser()
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Once", "action": "draft"}
    found = await asyncio.gather(*(browser.post(COMPOSE, form) for _ in range(3)))
    assert {each.place for each in found} == {"/schedule?done=drafted"}
    assert len([each async for each in stored.adapter.posts.drafts()]) == 1
    await stored.adapter.posts.publish(SLUG, Text("Tide"))
    form = (await browser.get(POST)).form(f"{POST}/copy")
    found = await asyncio.gather(*(browser.post(f"{POST}/copy", form) for _ in range(3)))
    assert len({each.place for each in found}) == 1
    assert len([each async for each in stored.adapter.posts.drafts()]) == 2


async def test_form_that_is_sent_again_with_another_text_or_button_is_not_ignored(stored: Served) -> None:
    browser = stored.browser()
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "First"}
    for _ in range(2):
        assert (await browser.post(COMPOSE, {**form, "action": "draft"})).place == "/schedule?done=drafted"
        assert (await browser.post(COMPOSE, form)).place == f"/c/{SLUG}?done=published&number=1"
    for _ in range(2):
        changed = {**form, "text": "Second"}
        assert (await browser.post(COMPOSE, {**changed, "action": "draft"})).place == "/schedule?done=drafted"
        assert (await browser.post(COMPOSE, changed)).place == f"/c/{SLUG}?done=published&number=2"
    assert [each.parts async for each in stored.adapter.posts.drafts()] == [(Text("First"),), (Text("Second"),)]
    assert len([post async for post in stored.adapter.posts.history(SLUG)]) == 2


async def test_draft_of_two_operators_is_published_once(stored: Served) -> None:
    browser = stored.browser()
    draft = await stored.adapter.posts.draft(SLUG, Text("Tide"))
    form = (await browser.get(f"{COMPOSE}?draft={draft.id}")).form(COMPOSE)
    first, second = form, {**form, "once": "another window", "text": "Tide table"}
    assert (await browser.post(COMPOSE, first)).status == 303
    for action in ("publish", "draft", "schedule"):
        refused = await browser.post(COMPOSE, {**second, "action": action})
        assert (refused.status, refused.form(COMPOSE)["text"]) == (404, "Tide table")
    assert (await browser.post(COMPOSE, refused.form(COMPOSE))).place == f"/c/{SLUG}?done=published&number=2"
    assert len([post async for post in stored.adapter.posts.history(SLUG)]) == 2


async def test_draft_that_another_operator_changed_is_replaced_at_the_second_attempt(stored: Served) -> None:
    browser = stored.browser()
    draft = await stored.adapter.posts.draft(SLUG, Text("Tide"))
    form = (await browser.get(f"{COMPOSE}?draft={draft.id}")).form(COMPOSE)
    await browser.submit(f"{COMPOSE}?draft={draft.id}", COMPOSE, text="By Ada", action="draft")
    for action in ("draft", "publish"):
        refused = await browser.post(COMPOSE, {**form, "text": "By Eve", "action": action})
        assert refused.status == 409
        assert "was changed meanwhile" in refused.text
        assert [each.parts async for each in stored.adapter.posts.drafts()] == [(Text("By Ada"),)]
    assert (await browser.post(COMPOSE, {**refused.form(COMPOSE), "action": "draft"})).status == 303
    assert [each.parts async for each in stored.adapter.posts.drafts()] == [(Text("By Eve"),)]


async def test_draft_opened_in_the_composer_stays_silent_and_keeps_its_author(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.subscriptions.subscribe(SLUG, ["reader_1"], assign=False)
    await stored.adapter.channels.promote(SLUG, ["reader_1"])
    draft = await stored.adapter.posts.draft(SLUG, Text("Tide"), author="reader_1", silent=True)
    await browser.submit(f"{COMPOSE}?draft={draft.id}", COMPOSE, text="High tide", action="draft")
    found = await stored.adapter.posts.get_draft(draft.id)
    assert (found.parts, found.author, found.silent) == ((Text("High tide"),), "reader_1", True)
    await browser.submit(f"{COMPOSE}?draft={draft.id}", COMPOSE)
    assert (await stored.adapter.posts.get(PostRef(ID, 1))).author == "reader_1"
    (call,) = stored.stub.log.calls("send_group_msg")
    assert "NoUnread" in call.body["SendMsgControl"]


async def test_addresses_of_a_picture_that_the_form_does_not_show_are_kept(stored: Served) -> None:
    browser = stored.browser()
    picture = Image(
        "https://example.org/a.png", large_url="https://example.org/b.png", thumbnail_url="https://example.org/c.png"
    )
    await stored.adapter.posts.publish(SLUG, TextAndImage("Tide", picture))
    assert (await browser.submit(f"{POST}/edit", text="High tide")).status == 303
    assert (await stored.adapter.posts.get(PostRef(ID, 1))).parts == (TextAndImage("High tide", picture),)
    draft = await stored.adapter.posts.draft(SLUG, picture)
    await browser.submit(f"{COMPOSE}?draft={draft.id}", COMPOSE)
    assert (await stored.adapter.posts.get(PostRef(ID, 2))).parts == (picture,)


async def test_draft_of_another_channel_is_neither_shown_nor_replaced_nor_deleted(stored: Served) -> None:
    browser = stored.browser()
    await stored.adapter.channels.create(slug="other", name="Other", owner=OWNER)
    draft = await stored.adapter.posts.draft("other", Text("Of the other"))
    assert (await browser.get(f"{COMPOSE}?draft={draft.id}")).status == 404
    form = {**(await browser.get(COMPOSE)).form(COMPOSE), "format": "text", "text": "Mine", "draft": draft.id}
    for action in ("draft", "publish"):
        assert (await browser.post(COMPOSE, {**form, "action": action})).status == 404
    assert await stored.adapter.posts.get_draft(draft.id) == draft
