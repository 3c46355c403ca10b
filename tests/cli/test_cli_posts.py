"""`posts`: publish, list, show, edit, recall, import-feed."""

import json
import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.cli.conftest import OWNER
from tests.cli.shell import PROGRAM, SECONDS, Shell

SAMPLE = Path(__file__).parents[2] / "config" / "scenarios" / "sample_feed.xml"


def rss(*items: str) -> str:
    body = "".join(f"<item>{item}</item>" for item in items)
    return f'<rss version="2.0"><channel><title>T</title><link>https://s.example/</link>{body}</channel></rss>'


def test_post_is_published_listed_shown_edited_and_recalled(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    first = cli("posts", "publish", news, "Tides 潮汐 🌊", "--idempotency-key", "k", "--json").json
    assert (first["ref"], first["author"]) == ({"channel": f"@TGS#_{news}", "seq": 1}, OWNER)
    assert first["parts"] == [{"text": "Tides 潮汐 🌊", "kind": "text"}]
    assert cli("posts", "publish", news, "Tides 潮汐 🌊", "--idempotency-key", "k", "--json").json["ref"]["seq"] == 1

    parts = [{"kind": "text", "text": "a"}, {"kind": "location", "latitude": 1.5, "longitude": -2, "description": "b"}]
    assert "as number 2" in cli("posts", "publish", news, "--content", json.dumps(parts)).out
    cli.installed("posts", "publish", news, "-", "--image", "https://s.example/p.png", stdin="from\nstdin")

    newest = cli("posts", "list", news, "--json").json
    assert [post["ref"]["seq"] for post in newest] == [3, 2, 1]
    assert newest[0]["parts"][0]["text"] == "from\nstdin"
    assert newest[0]["parts"][0]["image"]["url"] == "https://s.example/p.png"
    assert newest[2] == first
    assert cli("posts", "show", news, "2", "--json").json == newest[1]
    assert cli("posts", "list", news, "--oldest-first", "--limit", "1", "--json").json == [first]

    assert cli("posts", "edit", news, "1", "Ebb", "--json").json == {"ref": first["ref"], "edited": True}
    cli("posts", "recall", news, "2", "--reason", "wrong")
    heading, *rows = cli("posts", "list", news).out.splitlines()
    assert heading.split() == ["seq", "published_at", "author", "state", "content"]
    assert rows[0].endswith("from\\nstdin + image <https://s.example/p.png>")
    assert rows[1].split()[-2:] == ["recalled", "-"]
    assert rows[2].endswith("published  Ebb")
    shown = cli("posts", "show", news, "3").out
    assert "image.url " in shown
    assert cli("posts", "show", news, "99", "--json", code=1).error["field"] == "seq"


def test_post_may_have_several_images(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    urls = [f"https://s.example/{n}.png" for n in range(3)]
    options = [word for url in urls for word in ("--image", url)]
    with_text = cli("posts", "publish", news, "Three views", *options, "--json").json
    assert [part["kind"] for part in with_text["parts"]] == ["text", "image", "image", "image"]
    pictures = cli("posts", "publish", news, *options[:4], "--json").json
    assert [part["url"] for part in pictures["parts"]] == urls[:2]
    one = cli("posts", "publish", news, "One view", *options[:2], "--json").json
    assert [part["kind"] for part in one["parts"]] == ["text_and_image"]
    read = cli("posts", "list", news, "--oldest-first", "--json").json
    assert [post["parts"] for post in read] == [post["parts"] for post in (with_text, pictures, one)]


def test_dry_run_prints_request_and_sends_nothing(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    words = ("posts", "publish", news, "Tides 潮汐", "--idempotency-key", "k", "--silent")
    preview = cli(*words, "--dry-run", "--json").json
    assert preview["body"]["GroupId"] == preview["channel"] == f"@TGS#_{news}"
    assert preview["body"]["From_Account"] == preview["author"] == OWNER
    assert preview["body"]["MsgBody"] == [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "Tides 潮汐"}}]
    assert preview["body"]["SendMsgControl"] == ["NoUnread"]
    assert preview["command"] == "group_open_http_svc/send_group_msg"
    shown = cli("posts", "publish", news, "Tides 潮汐", "--dry-run", "-v")
    assert '"Text": "Tides 潮汐"' in shown.out
    assert "Random" not in shown.out
    assert "dry run: nothing was sent" in shown.err
    assert "send_group_msg" not in shown.err
    assert cli("posts", "list", news, "--json").json == []
    sent = cli(*words, "--json").json
    assert (sent["dedupe"], sent["ref"]["seq"]) == (preview["dedupe"], 1)
    assert preview["body"]["Random"] == sent["dedupe"]
    refused = cli("posts", "publish", news, "x", "--author", "reader_1", "--dry-run", "--json", code=1).error
    assert refused["kind"] == "permission"
    long = cli("posts", "publish", news, "x" * 12_001, "--dry-run", "--json", code=1).error
    assert long["size"] > long["limit"] == 12_000
    assert cli("posts", "publish", "no_such", "x", "--dry-run", "--json", code=1).error["kind"] == "not_found"


def test_dry_run_prints_request_below_its_command(cli: Shell, new_channel: Callable[[], str]) -> None:
    shown = cli("posts", "publish", new_channel(), "Tides", "--dry-run").out
    assert shown.index("send_group_msg") < shown.index("MsgBody")


def test_invalid_posts_are_refused(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    for words, stdin in (([], b""), (["-"], b"\n")):
        empty = cli.forked("posts", "publish", news, *words, "--json", stdin=stdin, code=2).error
        assert (empty["kind"], empty["field"]) == ("usage", "text")
    long = cli.forked("posts", "publish", news, "-", "--json", stdin="x" * 12_001, code=1).error
    assert long["size"] > long["limit"] == 12_000
    stranger = cli("posts", "publish", news, "x", "--author", "reader_1", "--json", code=1).error
    assert stranger["kind"] == "permission"


def test_feed_is_published_once(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    planned = cli("posts", "import-feed", news, str(SAMPLE), "--dry-run", "--json").json
    assert planned["counts"] == {"planned": 12}
    first = cli("posts", "import-feed", news, str(SAMPLE), "--limit", "5", "--json").json
    assert first["counts"] == {"published": 5}
    assert first["feed"] == "Harbour News"
    rest = cli.forked("posts", "import-feed", news, "-", "--excerpt", "60", stdin=SAMPLE.read_bytes())
    assert rest.out == "12 entries: 5 already, 7 published, 7 of them shortened\n"
    assert cli("posts", "import-feed", news, str(SAMPLE)).out == "12 entries: 12 already\n"

    posts = cli("posts", "list", news, "--oldest-first", "--json").json
    assert [post["parts"][0]["title"] for post in posts] == [entry["title"] for entry in planned["entries"]]
    assert {post["parts"][0]["kind"] for post in posts} == {"article"}
    market = next(post["parts"][0] for post in posts if post["parts"][0]["title"].startswith("Fish market"))
    assert market["link"] == "https://harbour-news.example/market/opening-hours"
    pictures = [post["parts"][0]["image_url"] for post in posts if post["parts"][0]["image_url"]]
    assert pictures == [f"https://harbour-news.example/pictures/{name}" for name in ("beach.png", "lighthouse.jpg")]


def test_feed_with_repeated_and_overlong_entries_is_imported(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    items = (
        "<guid>a</guid><title>A</title><link>/a</link>",
        "<guid>a</guid><title>A</title><description>again</description>",
        "<guid>b</guid><title>B</title>",
    )
    done = cli("posts", "import-feed", news, cli.file("f.xml", rss(*items)), "--json").json
    assert [(each["title"], each["link"], each["state"]) for each in done["entries"]] == [
        ("B", "https://s.example/b", "published"),
        ("A", "https://s.example/a", "published"),
    ]
    assert done["repeated"] == ["a"]

    huge = f"<guid>c</guid><title>C</title><link>https://s.example/{'c' * 12_000}</link>"
    partly = cli(
        "posts", "import-feed", news, cli.file("g.xml", rss(huge, "<guid>d</guid><title>D</title>")), "--json", code=3
    )
    assert [each["state"] for each in partly.json["entries"]] == ["published", "refused"]
    assert "12000 are allowed" in partly.json["entries"][1]["reason"]


def test_since_omits_and_reports_entries_without_readable_date(cli: Shell, new_channel: Callable[[], str]) -> None:
    items = (
        "<guid>a</guid><title>New</title><pubDate>Mon, 01 Jun 2026 10:00:00 GMT</pubDate>",
        "<guid>b</guid><title>Odd</title><pubDate>Sep 23, 2019</pubDate>",
    )
    done = cli("posts", "import-feed", new_channel(), cli.file("s.xml", rss(*items)), "--since", "2026-01-01", "-v")
    assert done.out.splitlines()[-1] == "1 entry: 1 published"
    assert "warning: 1 entry has no readable date and is left out because of --since" in done.err


def test_successful_entries_are_counted_and_listed_with_verbose(cli: Shell, new_channel: Callable[[], str]) -> None:
    huge = f"<guid>c</guid><title>Too long</title><link>https://s.example/{'c' * 12_000}</link>"
    good = [f"<guid>{n}</guid><title>Entry {n}</title>" for n in range(5)]
    feed = cli.file("h.xml", rss(huge, *good))
    news = new_channel()
    planned = cli("posts", "import-feed", news, feed, "--dry-run").out
    assert [planned.count(word) for word in ("Entry ", "Too long")] == [5, 1]
    done = cli("posts", "import-feed", news, feed, code=3)
    *table, sentence = done.out.splitlines()
    assert sentence == "6 entries: 5 published, 1 refused"
    assert [row.split()[:2] for row in table] == [["seq", "state"], ["-", "refused"]]
    assert "12000 are allowed" in table[1]
    assert "Entry 4" in cli("posts", "import-feed", new_channel(), feed, "-v", code=3).out


def test_import_on_terminal_shows_progress(cli: Shell, new_channel: Callable[[], str]) -> None:
    feed = cli.file("t.xml", rss(*(f"<guid>{n}</guid><title>Entry {n}</title>" for n in range(3))))
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [PROGRAM, "posts", "import-feed", new_channel(), feed],
            stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, cwd=cli.directory,
            env={**cli.environment, "TERM": "xterm", "COLUMNS": "100"},
        )  # fmt: skip
        os.close(follower)
        seen = b"".join(iter(lambda: _read(leader), b"")).decode()
    finally:
        os.close(leader)
    assert process.wait(SECONDS) == 0
    assert "entries imported" in seen
    assert "3/3" in seen
    assert "3 entries: 3 published" in seen
    assert "Entry 1" not in seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the last program has closed it
        return b""


def test_since_omits_earlier_entries(cli: Shell, new_channel: Callable[[], str]) -> None:
    done = cli("posts", "import-feed", new_channel(), str(SAMPLE), "--since", "2026-03-27", "--dry-run", "--json").json
    assert [entry["published"][:10] for entry in done["entries"]] == ["2026-03-27", "2026-03-28"]


def test_feed_argument_without_feed_is_refused(cli: Shell) -> None:
    page = cli("posts", "import-feed", "news", cli.file("page.html", "<html><p>hello</html>"), "--json", code=2).error
    assert "neither RSS nor Atom" in page["message"]
    address = cli("posts", "import-feed", "news", "https://s.example/feed", code=2).err
    assert address == "error: https://s.example/feed is an address; fetch it first and give the file, or - for stdin\n"


def test_local_images_are_stored(cli: Shell, new_channel: Callable[[], str], tmp_path: Path) -> None:
    news = new_channel()
    source = tmp_path / "a.png"
    Image.new("RGB", (640, 360)).save(source)
    refused = cli("posts", "publish", news, "--image", str(source), "--json", code=2).error
    assert "console.media_dir" in refused["message"]
    url, folder = "https://pictures.example.org", tmp_path / "media"
    own = cli.having(CHANNEL_ADAPTER_CONSOLE__MEDIA_DIR=str(folder), CHANNEL_ADAPTER_CONSOLE__MEDIA_PUBLIC_URL=url)
    own("posts", "publish", news, "Ferries", "--image", str(source), "--dry-run")
    assert not folder.exists()
    post = own("posts", "publish", news, "Ferries", "--image", str(source), "--json").json
    image = post["parts"][0]["image"]
    assert (image["width"], image["height"]) == (640, 360)
    assert (folder / image["url"].removeprefix(f"{url}/")).stat().st_size == image["size"]
    assert "No such file" in own("posts", "edit", news, "1", "--image", "b.png", "--json", code=1).error["message"]
    card = own("posts", "draft", news, "--title", "T", "--link", "https://s.example", "--image", str(source), code=2)
    assert "database_url" in card.err
