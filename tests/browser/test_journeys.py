"""Tasks of an operator in a real browser: sign in, create, publish, edit, import, delete."""

import csv
import io
import json
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import channel_adapter
from channel_adapter.webhooks.parse import parse
from channel_adapter.webhooks.storage import channel_name, document_of, position_of
from tests.browser.conftest import Console, narrowest_width

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

PICTURE = "/static/demo-harbour.png"
HARBOUR = Path(channel_adapter.__file__).parent / "console" / PICTURE.strip("/")
SCRIPT = "<script>document.title = 'changed'</script> & <b>bold</b>"
numbers = count(1)


def create_channel(page: Any) -> str:
    """Create a channel with the form; return its slug."""
    slug = f"journey_{next(numbers)}"
    page.goto("/new")
    page.get_by_label("Name", exact=True).fill(f"Journey {slug} 旅程")
    page.get_by_label("Short name").fill(slug)
    page.get_by_label("Owner").fill("editor_7")
    page.get_by_role("button", name="Create").click()
    page.wait_for_url(f"**/c/{slug}?*")
    return slug


@pytest.fixture(scope="module")
def slug(browser: Any, console: Console, signed_in: dict[str, Any]) -> str:
    """A channel of all journeys that need no other."""
    context = browser.new_context(storage_state=signed_in, base_url=console.root)
    created = create_channel(context.new_page())
    context.close()
    return created


def published(page: Any, slug: str) -> str:
    """Click on Publish; return the address of the post."""
    page.get_by_role("button", name="Publish").click()
    page.wait_for_url(f"**/c/{slug}?*")
    return f"/c/{slug}/p/{re.search(r'number=([0-9]+)', page.url)[1]}"  # type: ignore[index]


def publish(page: Any, slug: str, text: str) -> str:
    """Publish a text with the composer; return the address of the post."""
    page.goto(f"/c/{slug}/compose")
    page.get_by_role("radio").last.check()
    page.locator("textarea").first.fill(text)
    return published(page, slug)


def store_dead_letter(console: Console) -> None:
    """Store an event whose attempts are used up in the inbox of the console: no handler of the demo fails."""
    command = "Group.CallbackAfterNewMemberJoin"
    body = {
        "CallbackCommand": command, "GroupId": "@TGS#_night_bus", "Type": "Community", "JoinType": "Apply",
        "NewMemberList": [{"Member_Account": "reader_1"}], "EventTime": 1_736_000_000_000,
    }  # fmt: skip
    event = parse({"callbackcommand": command}, json.dumps(body).encode(), now=time.time())
    at, number, key = position_of(event)
    values = {
        "key": key, "channel": channel_name(event), "at": at, "seq": number, "command": command, "state": "dead",
        "body": document_of(event).decode(), "received": time.time(), "changed": time.time(), "due": 0.0,
        "attempts": 5, "done": "", "reason": "ValueError: the handler failed",
    }  # fmt: skip
    with closing(sqlite3.connect(console.database)) as connection, connection:
        names = ", ".join(values)
        marks = ", ".join(f":{name}" for name in values)
        connection.execute(f"INSERT INTO inbox_event ({names}) VALUES ({marks})", values)  # noqa: S608 - names above


def test_sign_in_link_works_once(page: Any, console: Console, browser: Any, expect: Any) -> None:
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Channels")
    other = browser.new_context()
    second = other.new_page()
    answer = second.goto(console.url)
    assert answer.status == 401
    expect(second.locator("main")).to_contain_text("Open the address")
    other.close()


@pytest.mark.parametrize("context_options", [{}, {"java_script_enabled": False}], ids=["script", "no-script"])
def test_channel_is_created_updated_and_deleted(
    page: Any, console: Console, expect: Any, context_options: dict[str, Any]
) -> None:
    slug = create_channel(page)
    page.goto(f"/c/{slug}/settings")
    page.get_by_label("Description").fill("About journeys.")
    page.get_by_label("Upload an avatar").set_input_files(HARBOUR)
    avatar, stored = page.get_by_label("Avatar address"), re.compile(f"^{console.root}/media/")
    if context_options.get("java_script_enabled", True):
        expect(avatar).to_have_value(stored)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(avatar).to_have_value(stored)
    page.goto(f"/c/{slug}")
    expect(page.locator("main")).to_contain_text("About journeys.")
    page.goto(f"/c/{slug}/settings")
    page.get_by_label(f"Type {slug} to confirm").fill("another")
    page.get_by_role("button", name="Delete permanently").click()
    expect(page.get_by_role("alert").first).to_be_visible()
    page.goto(f"/c/{slug}/settings")
    page.get_by_label(f"Type {slug} to confirm").fill(slug)
    page.get_by_role("button", name="Delete permanently").click()
    page.wait_for_url(lambda url: "/c/" not in url)
    expect(page.locator(f"main a[href$='/c/{slug}']")).to_have_count(0)


@pytest.mark.parametrize("link", [False, True], ids=["", "link"])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["text-and-image", "image", "text"])
def test_published_post_equals_its_preview(
    page: Any, console: Console, slug: str, expect: Any, place: int, *, link: bool
) -> None:
    page.goto(f"/c/{slug}/compose")
    page.get_by_role("radio").nth(place).check()
    if place != 1:
        page.locator("textarea").first.fill(SCRIPT)
    if place != 2:
        page.get_by_label("Image address").fill(console.root + PICTURE)
    if link:
        page.get_by_text("Add link").click()
        page.get_by_label("Link text").fill("Timetable 时刻表")
        page.get_by_label("Link address").fill("https://example.org/timetable?a=1&b=2")
    preview = page.locator("#preview article")
    expect(preview).to_contain_text("Preview: not published")
    if place != 1:
        expect(preview).to_contain_text(SCRIPT)
    expect(preview.get_by_role("link")).to_have_count(int(link))
    shown = preview.locator(".text, a").all_inner_texts()
    page.goto(published(page, slug))
    stored = page.locator("main article")
    expect(stored).to_have_count(1)
    assert stored.locator(".text, a").all_inner_texts() == shown
    expect(stored.locator("img")).to_have_count(int(place != 2))
    assert "changed" not in page.title()


def test_double_click_publishes_once(page: Any, slug: str, expect: Any) -> None:
    page.goto(f"/c/{slug}/compose")
    page.get_by_role("radio").last.check()
    page.locator("textarea").first.fill("Once.")
    page.get_by_role("button", name="Publish").dblclick()
    page.wait_for_url(f"**/c/{slug}?*")
    page.reload()
    expect(page.locator(".posts > li").filter(has_text="Once.")).to_have_count(1)


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no-script"])
def test_preview_and_publishing_work_without_javascript(page: Any, slug: str, expect: Any) -> None:
    page.goto(f"/c/{slug}/compose")
    page.get_by_role("radio").last.check()
    page.locator("textarea").first.fill("Without a script.")
    page.get_by_role("button", name="Update the preview").click()
    expect(page.locator("#preview article")).to_contain_text("Without a script.")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator(".posts > li").first).to_contain_text("Without a script.")


def test_post_is_edited_reacted_to_and_recalled(page: Any, slug: str, expect: Any) -> None:
    place = publish(page, slug, "First words.")
    page.goto(place)
    page.get_by_role("button", name="Edit").click()
    page.locator("textarea").first.fill("Better words.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("main article")).to_contain_text("Better words.")
    page.get_by_label("React as the owner").fill("👍🏽")
    page.get_by_role("button", name="React").click()
    expect(page.locator("main article .chips")).to_contain_text("👍🏽 1")
    page.get_by_role("button", name="Recall").click()
    page.locator("main form").get_by_role("button").first.click()
    page.goto(f"/c/{slug}")
    expect(page.locator(f"#p{place.rpartition('/')[2]} mark")).to_have_text("recalled")


def test_post_is_published_with_keyboard_only(page: Any, slug: str, expect: Any) -> None:
    page.goto(f"/c/{slug}/compose")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("[name=format]").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.type("Typed on a keyboard.")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.locator("button:focus").filter(has_text="Publish").count():
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/c/{slug}?*")
    expect(page.locator(".posts > li").first).to_contain_text("Typed on a keyboard.")


def test_subscribers_are_imported_from_file_with_broken_lines(
    page: Any, slug: str, expect: Any, tmp_path: Path, pictures: Path
) -> None:
    unusable = ["x" * length for length in range(33, 40)]
    lines = [f"reader_{number}" for number in range(1, 101)]
    for place, line in enumerate([*unusable, "no such account"], 1):
        lines.insert(place * 12, line)
    source = tmp_path / "readers.csv"
    source.write_text("\n".join(["user", *lines]))
    page.goto(f"/c/{slug}/imports")
    page.locator("input[type=file]").set_input_files(source)
    page.get_by_role("button", name="Check the file").click()
    main = page.locator("main")
    expect(main).to_contain_text("reader_20")
    expect(main.get_by_role("heading", name="7 lines cannot be used")).to_be_visible()
    page.screenshot(path=pictures / "import-checked.jpg", full_page=True, type="jpeg")
    assert narrowest_width(page) <= 320
    page.set_viewport_size({"width": 1200, "height": 900})
    page.get_by_role("button", name="Start").click()
    expect(main).to_contain_text("done: 101 of 101 users")
    expect(main).to_contain_text("added: 100")
    page.screenshot(path=pictures / "import-done.jpg", full_page=True, type="jpeg")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download what failed").click()
    with Path(download.value.path()).open(newline="") as file:
        failed = list(csv.DictReader(file))
    assert [(row["line"], row["user"], row["outcome"]) for row in failed] == [
        *((str(place * 12 + 2), line, "unusable") for place, line in enumerate(unusable, 1)),
        ("98", "no such account", "not_found"),
    ]


def test_scheduled_post_appears_as_published_when_it_is_due(page: Any, slug: str, expect: Any) -> None:
    page.goto(f"/c/{slug}/compose")
    page.get_by_role("radio").last.check()
    page.locator("textarea").first.fill("On time.")
    page.locator("summary").filter(has_text="Schedule").click()
    at = datetime.now(UTC) + timedelta(minutes=2)
    page.get_by_label("Date and time").fill(at.strftime("%Y-%m-%dT%H:%M"))
    page.get_by_label("Time zone").fill("UTC")
    page.get_by_role("button", name="Schedule the post").click()
    post = page.locator("main .posts > li").filter(has_text="On time.")
    expect(post.locator("strong")).to_have_text("scheduled")
    for _ in range(2):
        page.request.post("/play/switches", form={"step": "minute"}, headers={"Sec-Fetch-Site": "same-origin"})
    end = time.monotonic() + 20
    while not post.locator("strong").filter(has_text="published").count():
        assert time.monotonic() < end
        page.goto("/schedule?ended=1")
    post.get_by_role("link", name="#").click()
    expect(page.locator("main article")).to_contain_text("On time.")


def test_dead_letter_is_shown_and_retried(page: Any, console: Console, expect: Any) -> None:
    store_dead_letter(console)
    page.goto("/webhooks")
    row = page.get_by_role("row").filter(has_text="the handler failed")
    row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Retry the chosen ones").click()
    expect(page.get_by_role("status")).to_have_text("Given new attempts: 1.")
    page.reload()
    expect(page.locator("main")).to_contain_text("None: every event was handled.")


def test_client_receives_post_with_image_and_reacts(page: Any, console: Console, expect: Any, pictures: Path) -> None:
    market = "market_hall"
    operator, clients = page, page.context.new_page()
    clients.goto("/play")
    client = clients.get_by_role("region", name="Phone of reader_199")
    client.get_by_role("button", name="Follow Market Hall").click()
    expect(client.get_by_role("button", name="Updates")).to_have_text("Updates 1")  # one unread channel: the other one
    operator.goto(f"/c/{market}/compose")
    operator.locator("textarea").first.fill("Open until ten tonight 🏮\nLive music at stall 7.")
    operator.locator("input[type=file]").set_input_files(HARBOUR)
    address = operator.get_by_label("Image address")
    expect(address).to_have_value(re.compile(f"^{console.root}/media/"))
    url = address.input_value()
    preview = operator.locator("#preview article img")
    expect(preview).to_have_attribute("src", url)
    expect(preview).to_have_js_property("complete", True)
    shot = Image.open(io.BytesIO(operator.screenshot()))
    shot.save(pictures / "console.webp", quality=80, method=6)
    operator.get_by_role("button", name="Publish").click()
    operator.wait_for_url(f"**/c/{market}?*")
    expect(client.get_by_role("button", name="Updates")).to_have_text("Updates 2")
    client.get_by_role("button", name="Market Hall").click()
    expect(client.locator(".divider")).to_have_text("1 unread post")
    post = client.locator("article").last
    expect(post).to_contain_text("Open until ten tonight")
    expect(post.locator("img")).to_have_attribute("src", url)
    expect(client.get_by_role("button", name="Updates")).to_have_text("Updates 1")
    client.locator("summary").last.click()
    client.get_by_label("Another emoji").last.fill("👍🏽")
    client.locator(".bar button").last.click()
    expect(post.locator(".chips")).to_contain_text("👍🏽 1")
    expect(operator.locator(".posts > li").first.locator(".chips")).to_contain_text("👍🏽 1")
    client.get_by_role("button", name="Mute").click()
    expect(client.get_by_role("button", name="Unmute")).to_be_visible()
    client.get_by_role("button", name="Leave").click()
    expect(client.get_by_role("button", name="Follow Market Hall")).to_be_visible()


@pytest.mark.parametrize("context_options", [{"java_script_enabled": False}], ids=["no-script"])
def test_playground_clients_and_faults_work_without_javascript(page: Any, expect: Any) -> None:
    page.goto("/play")
    client = page.locator("#phone-0")
    client.get_by_role("button", name="Harbour News").click()
    expect(client.locator("article")).to_have_count(3)
    client.locator("summary").first.click()
    client.get_by_role("button", name="🙏").first.click()
    expect(page.locator("#emoji-0-1-6")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Switch on: Message extensions are refused").click()
    page.get_by_role("button", name="Switch off: Message extensions are refused").click()
    expect(page.locator("#calls")).to_contain_text("send_group_msg")
    assert "[redacted]" in page.locator("#calls pre").first.text_content()
