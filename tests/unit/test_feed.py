"""Feeds as entries, and entries as posts that are published once."""

import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.feed import Entry, Feed, read_feed
from channel_adapter.cli.feed_import import EntryState, FeedImport, Imported
from channel_adapter.cli.html_text import ELLIPSIS, excerpt, html_to_text
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Article, Content, Post, PostRef, PostState, Text
from channel_adapter.errors import InvalidError, UnavailableError


def rss(items: str, head: str = "<link>https://site.example/</link>") -> bytes:
    return f'<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>T</title>{head}{items}</channel></rss>'.encode()


def one(item: str, head: str = "<link>https://site.example/</link>", **options: int) -> Entry:
    (entry,) = read_feed(rss(f"<item>{item}</item>", head), **options).entries  # type: ignore[arg-type]
    return entry


def test_an_atom_entry() -> None:
    feed = read_feed(
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><link rel="self" href="https://s.example/a/feed"/>'
        b'<entry><id>tag:1</id><title type="html">Fish &amp;amp; &lt;b&gt;chips&lt;/b&gt;</title><link href="../fish"/>'
        b"<published>2026-01-02T03:04:05+02:00</published>"
        b'<content type="html">&lt;p&gt;One &amp;lt;1&amp;gt;&lt;/p&gt;&lt;p&gt;two&lt;br&gt;three&lt;/p&gt;'
        b'&lt;img src="p.png"&gt;</content></entry></feed>'
    )
    assert feed.title == "News"
    assert feed.entries == (
        Entry(
            key="tag:1",
            title="Fish & chips",
            text="One <1>\ntwo\nthree",
            link="https://s.example/fish",
            image_url="https://s.example/a/p.png",
            published=datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        ),
    )


def test_oldest_first_by_date() -> None:
    dates = {
        "b": "Tue, 03 Mar 2026 10:00:00 GMT",
        "a": "Mon, 02 Mar 2026 10:00:00 GMT",
        "c": "Wed, 04 Mar 2026 10:00:00 GMT",
    }
    feed = read_feed(
        rss("".join(f"<item><guid>{key}</guid><pubDate>{date}</pubDate></item>" for key, date in dates.items()))
    )
    assert [entry.key for entry in feed.entries] == ["a", "b", "c"]


def test_entries_of_one_second_are_turned_round_because_files_run_from_new_to_old() -> None:
    date = "<pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate>"
    feed = read_feed(rss(f"<item><guid>new</guid>{date}</item><item><guid>old</guid>{date}</item>"))
    assert [entry.key for entry in feed.entries] == ["old", "new"]


def test_without_dates_the_last_in_the_file_is_the_oldest() -> None:
    feed = read_feed(rss("<item><guid>x</guid></item><item><guid>y</guid></item>"))
    assert [(entry.key, entry.published) for entry in feed.entries] == [("y", None), ("x", None)]


def test_undated_entries_come_after_dated_ones() -> None:
    date = "<pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate>"
    feed = read_feed(rss(f"<item><guid>x</guid></item><item><guid>y</guid>{date}</item><item><guid>z</guid></item>"))
    assert [entry.key for entry in feed.entries] == ["y", "z", "x"]


def test_the_key_is_the_id_or_the_link_or_the_content() -> None:
    assert one("<guid>g</guid><link>/l</link>").key == "g"
    assert one("<link>/l</link>").key == "https://site.example/l"
    assert one("<title>t</title>").key == one("<title>t</title>").key != one("<title>u</title>").key


def test_the_same_entry_twice_is_one_entry_and_is_said() -> None:
    feed = read_feed(
        rss("<item><guid>g</guid><title>first</title></item><item><guid>g</guid><title>second</title></item>")
    )
    assert [entry.title for entry in feed.entries] == ["first"]
    assert feed.repeated == ("g",)


def test_a_relative_link_without_anything_to_be_relative_to_is_left_out_and_noted() -> None:
    entry = one("<title>t</title><link>/l</link>", head="")
    assert (entry.link, entry.notes) == ("", ("link left out: '/l' is relative, and the feed does not say to what",))
    (told,) = read_feed(rss("<item><link>/l</link></item>", ""), base_url="https://other.example/x/").entries
    assert told.link == "https://other.example/l"


@pytest.mark.parametrize("link", ["ftp://site.example/x", "javascript:alert(1)", "http://[broken"])
def test_a_link_that_is_no_http_address_is_left_out_and_noted(link: str) -> None:
    entry = one(f"<title>t</title><guid isPermaLink='false'>g</guid><link>{link}</link>")
    assert entry.link == ""
    assert len(entry.notes) <= 1  # the parser may drop a dangerous link by itself


@pytest.mark.parametrize(
    "picture",
    [
        '<media:content url="/p.png" medium="image"/>',
        '<media:content url="/p.png" type="image/png"/>',
        '<media:thumbnail url="/p.png"/>',
        '<enclosure url="/p.png" type="image/png" length="1"/>',
        '<description>&lt;p&gt;x&lt;img alt="" src="/p.png"/&gt;&lt;img src="/second.png"/&gt;&lt;/p&gt;</description>',
    ],
)
def test_the_picture_of_an_entry(picture: str) -> None:
    assert one(f"<title>t</title>{picture}").image_url == "https://site.example/p.png"


def test_an_enclosure_that_is_no_picture_is_none() -> None:
    assert one('<title>t</title><enclosure url="/talk.mp3" type="audio/mpeg" length="1"/>').image_url == ""


def test_an_entry_without_a_title_borrows_its_first_line() -> None:
    assert one("<description>&lt;p&gt;First&lt;/p&gt;&lt;p&gt;Second&lt;/p&gt;</description>").title == "First"
    assert one("<enclosure url='/i.png' type='image/png'/>").title == "(untitled)"


def test_an_entry_that_says_nothing_is_left_out_and_told() -> None:
    feed = read_feed(rss("<item/><item><guid isPermaLink='false'>g</guid></item><item><title>t</title></item>"))
    assert [entry.title for entry in feed.entries] == ["t"]
    assert feed.warnings == ("2 entries say nothing and are left out",)


def test_a_long_body_is_shortened_and_says_so() -> None:
    entry = one(f"<description>{'word ' * 500}</description>", excerpt_bytes=100)
    assert entry.shortened
    assert len(entry.text.encode()) <= 100
    assert entry.text.endswith("word" + ELLIPSIS)


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"\x00\xff\xfe", b"<html><body>no feed</body></html>", b"<x/>"])
def test_what_is_no_feed_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^news\.xml is neither RSS nor Atom"):
        read_feed(data, name="news.xml")


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "feedparser", None)
    with pytest.raises(UsageError, match=r"pip install 'channel-adapter\[feeds\]'"):
        read_feed(rss(""))


def test_a_feed_with_a_bad_place_is_read_with_a_warning() -> None:
    feed = read_feed(rss("<item><guid>a</guid><title>x & y</title></item><item><guid>b</guid></item>"), name="news.xml")
    assert [entry.key for entry in feed.entries] == ["b", "a"]
    assert feed.warnings
    assert feed.warnings[0].startswith("news.xml is not well-formed XML")


def test_a_feed_that_breaks_off_loses_its_last_entry_which_may_be_half_and_says_so() -> None:
    whole = rss("<item><guid>a</guid></item><item><guid>b</guid><description>half a sentence</description></item>")
    feed = read_feed(whole[: whole.index(b" a sentence")], name="news.xml")
    assert [entry.key for entry in feed.entries] == ["a"]
    assert feed.warnings[0].endswith("its last entry may be half and is left out")


def test_a_feed_without_entries_is_no_error() -> None:
    assert read_feed(rss("")) == Feed(title="T", entries=())


def test_five_thousand_entries() -> None:
    items = "".join(
        f"<item><guid>{n}</guid><title>t{n}</title><description>d</description></item>" for n in range(5_000)
    )
    began = time.process_time()
    assert len(read_feed(rss(items)).entries) == 5_000
    assert time.process_time() - began < 30


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_bytes_inside_a_feed_never_break_the_reader(junk: bytes) -> None:
    with suppress(UsageError):
        feed = read_feed(b"<rss version='2.0'><channel><item><title>" + junk + b"</title></item></channel></rss>")
        assert len(feed.entries) <= 1 or b"<item" in junk


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br>b", "a\nb"),
        ("<p>a</p>\n\n<p>b</p>", "a\nb"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a <b>bold</b>  c\n d", "a bold c d"),
        ("&lt;tag&gt; &amp; &eacute;&#x4f60;", "<tag> & é你"),
        ("<script>x<y</script><style>p{}</style>seen", "seen"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
        ("plain", "plain"),
    ],
)
def test_html_as_text(html: str, text: str) -> None:
    assert html_to_text(html)[0] == text


@given(st.text(max_size=200), st.integers(min_value=4, max_value=300))
def test_an_excerpt_fits_and_is_the_beginning(text: str, most: int) -> None:
    short, shortened = excerpt(text, most)
    assert len(short.encode()) <= most
    assert shortened == (len(text.encode()) > most)
    assert text.startswith(short.removesuffix(ELLIPSIS) if shortened else short)


def test_an_excerpt_of_chinese_ends_behind_a_character() -> None:
    assert excerpt("码头维修首班渡轮", 12) == ("码头维…", True)


CHANNEL = ChannelId("@TGS#_news")


class Shelf:
    """A channel's posts, for the importer: `numbers` says which dedupe number a key has."""

    def __init__(self, numbers: dict[str, int] | None = None) -> None:
        self.posts: list[Post] = []
        self.numbers = numbers or {}
        self.keys: list[str] = []
        self.fail: dict[str, Exception] = {}

    async def history(self, channel: str) -> AsyncIterator[Post]:
        for post in reversed(self.posts):
            yield post

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        return self.numbers.get(idempotency_key, hash(idempotency_key))

    async def publish(
        self, channel: str, content: Content, *, author: str | None = None, idempotency_key: str | None = None
    ) -> Post:
        key = idempotency_key or ""
        if key in self.fail:
            raise self.fail[key]
        self.keys.append(key)
        return self.put(content, self.dedupe_of(channel, key), author)

    def put(self, content: Content | None, dedupe: int, author: str | None = None) -> Post:
        post = Post(
            ref=PostRef(CHANNEL, len(self.posts) + 1),
            author=UserId(author) if author else None,
            published_at=None,
            parts=(content,) if content else (),
            state=PostState.PUBLISHED if content else PostState.RECALLED,
            dedupe=dedupe,
        )
        self.posts.append(post)
        return post


def entry(key: str) -> Entry:
    return Entry(key=key, title=f"title {key}", text="", link=f"https://s.example/{key}", image_url="", published=None)


async def imported(
    shelf: Shelf, *entries: Entry, dry_run: bool = False, limit: int | None = None, author: str | None = None
) -> list[Imported]:
    job = FeedImport(shelf, CHANNEL, author)
    await job.read_history(lambda: None)
    return [done async for done in job.run(entries, dry_run=dry_run, limit=limit)]


def states(done: list[Imported]) -> list[str]:
    return [each.state.value for each in done]


async def test_a_second_run_publishes_only_what_is_new() -> None:
    shelf = Shelf()
    assert states(await imported(shelf, entry("a"), entry("b"))) == ["published", "published"]
    assert states(await imported(shelf, entry("a"), entry("b"), entry("c"))) == ["already", "already", "published"]
    assert shelf.keys == ["a", "b", "c"]


async def test_two_entries_with_one_dedupe_number_are_both_published_and_only_once() -> None:
    shelf = Shelf({"a": 7, "b": 7})
    for _ in range(2):
        await imported(shelf, entry("a"), entry("b"))
    assert shelf.keys == ["a", "b#2"]
    assert [post.content and post.content.title for post in shelf.posts if isinstance(post.content, Article)] == [
        "title a",
        "title b",
    ]


async def test_an_edited_title_or_link_is_still_the_same_entry() -> None:
    shelf = Shelf({"a": 7})
    shelf.put(Article(title="edited", link="https://s.example/a"), 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]


async def test_an_entry_whose_title_and_link_changed_is_known_by_its_id() -> None:
    shelf = Shelf({"a": 7, "b": 8})
    shelf.put(Article(title="an old title", link="https://s.example/old"), 7)
    assert states(await imported(shelf, entry("a"), entry("b"))) == ["already", "published"]
    assert shelf.keys == ["b"]


async def test_a_recalled_entry_does_not_come_back() -> None:
    shelf = Shelf({"a": 7})
    shelf.put(None, 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]


async def test_an_entry_that_was_edited_by_hand_into_a_text_is_not_published_again() -> None:
    shelf = Shelf({"a": 7})
    shelf.put(Text("corrected by hand"), 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]
    assert shelf.keys == []


async def test_a_dry_run_writes_nothing() -> None:
    shelf = Shelf()
    assert states(await imported(shelf, entry("a"), dry_run=True)) == ["planned"]
    assert shelf.posts == []


async def test_the_limit_counts_what_is_published() -> None:
    shelf = Shelf()
    await imported(shelf, entry("a"))
    assert states(await imported(shelf, entry("a"), entry("b"), entry("c"), limit=1)) == ["already", "published"]


async def test_a_refused_entry_does_not_stop_the_others() -> None:
    shelf = Shelf()
    shelf.fail["a"] = InvalidError("title has 900 bytes; 300 are allowed")
    done = await imported(shelf, entry("a"), entry("b"), author="ed")
    assert states(done) == [EntryState.REFUSED, EntryState.PUBLISHED]
    assert done[0].reason == "title has 900 bytes; 300 are allowed"
    assert shelf.posts[0].author == "ed"


async def test_a_failing_service_stops_the_import_because_order_matters() -> None:
    shelf = Shelf()
    shelf.fail["b"] = UnavailableError("gone")
    with pytest.raises(UnavailableError):
        await imported(shelf, entry("a"), entry("b"), entry("c"))
    assert shelf.keys == ["a"]
