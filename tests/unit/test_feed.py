"""Feeds read as entries, and entries published once as posts."""

import gzip
import io
import re
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import UTC, datetime

import feedparser
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.feed.entries import Feed, FeedEntry, read_feed
from channel_adapter.cli.feed.html import ELLIPSIS, excerpt, html_to_text
from channel_adapter.cli.feed.publish import EntryState, FeedImport, Imported
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Article, Content, Post, PostRef, PostState, Text
from channel_adapter.errors import ConfigurationError, InvalidError, UnavailableError


def rss(items: str, head: str = "<link>https://site.example/</link>") -> bytes:
    return f'<rss version="2.0" xmlns:media="http://search.yahoo.com/mrss/"><channel><title>T</title>{head}{items}</channel></rss>'.encode()


def one(item: str, head: str = "<link>https://site.example/</link>", **options: int) -> FeedEntry:
    (entry,) = read_feed(rss(f"<item>{item}</item>", head), **options).entries  # type: ignore[arg-type]
    return entry


def test_atom_entry_is_read() -> None:
    feed = read_feed(
        b'<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><link rel="self" href="https://s.example/a/feed"/>'
        b'<entry><id>tag:1</id><title type="html">Fish &amp;amp; &lt;b&gt;chips&lt;/b&gt;</title><link href="../fish"/>'
        b"<published>2026-01-02T03:04:05+02:00</published>"
        b'<content type="html">&lt;p&gt;One &amp;lt;1&amp;gt;&lt;/p&gt;&lt;p&gt;two&lt;br&gt;three&lt;/p&gt;'
        b'&lt;img src="p.png"&gt;</content></entry></feed>'
    )
    assert feed.title == "News"
    assert feed.entries == (
        FeedEntry(
            key="tag:1",
            title="Fish & chips",
            text="One <1>\ntwo\nthree",
            link="https://s.example/fish",
            image_url="https://s.example/a/p.png",
            published=datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC),
        ),
    )


def test_entries_are_sorted_by_date_oldest_first() -> None:
    dates = {
        "b": "Tue, 03 Mar 2026 10:00:00 GMT",
        "a": "Mon, 02 Mar 2026 10:00:00 GMT",
        "c": "Wed, 04 Mar 2026 10:00:00 GMT",
    }
    feed = read_feed(
        rss("".join(f"<item><guid>{key}</guid><pubDate>{date}</pubDate></item>" for key, date in dates.items()))
    )
    assert [entry.key for entry in feed.entries] == ["a", "b", "c"]


def test_entries_of_same_second_are_read_in_reverse_file_order() -> None:
    date = "<pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate>"
    feed = read_feed(rss(f"<item><guid>new</guid>{date}</item><item><guid>old</guid>{date}</item>"))
    assert [entry.key for entry in feed.entries] == ["old", "new"]


def test_last_entry_in_file_is_oldest_without_dates() -> None:
    feed = read_feed(rss("<item><guid>x</guid></item><item><guid>y</guid></item>"))
    assert [(entry.key, entry.published) for entry in feed.entries] == [("y", None), ("x", None)]


@pytest.mark.parametrize("date", ["", "<pubDate>Sep 23, 2019</pubDate>", "<pubDate>soon</pubDate>"])
def test_entry_without_readable_date_keeps_its_place_in_file(date: str) -> None:
    items = [
        "<item><guid>d</guid><pubDate>Wed, 04 Mar 2026 10:00:00 GMT</pubDate></item>",
        f"<item><guid>c</guid>{date}</item>",
        "<item><guid>b</guid><pubDate>Tue, 03 Mar 2026 10:00:00 GMT</pubDate></item>",
        f"<item><guid>a</guid>{date}</item>",
    ]
    assert [entry.key for entry in read_feed(rss("".join(items))).entries] == ["a", "b", "c", "d"]


def test_unreadable_date_is_noted_and_its_entry_is_left_out_by_since() -> None:
    feed = read_feed(
        rss(
            "<item><guid>new</guid><pubDate>Mon, 01 Jun 2026 10:00:00 GMT</pubDate></item>"
            "<item><guid>old</guid><pubDate>Mon, 01 Jun 2020 10:00:00 GMT</pubDate></item>"
            "<item><guid>odd</guid><pubDate>Sep 23, 2019</pubDate></item>"
            "<item><guid>none</guid></item>"
        )
    )
    notes = {entry.key: entry.notes for entry in feed.entries}
    assert notes == {"new": (), "old": (), "none": (), "odd": ("date left out: 'Sep 23, 2019' cannot be read",)}
    recent = feed.since(datetime(2026, 1, 1, tzinfo=UTC))
    assert [entry.key for entry in recent.entries] == ["new"]
    assert recent.warnings == ("2 entries have no readable date and are left out because of --since",)


def test_key_is_id_or_link_or_content() -> None:
    assert one("<guid>g</guid><link>/l</link>").key == "g"
    assert one("<link>/l</link>").key == "https://site.example/l"
    assert one("<title>t</title>").key == one("<title>t</title>").key != one("<title>u</title>").key


def test_repeated_entry_is_read_once_and_reported() -> None:
    item = "<item><guid>g</guid><title>t</title><description>{}</description></item>"
    feed = read_feed(rss(item.format("first") + item.format("second")))
    assert [(entry.key, entry.text) for entry in feed.entries] == [("g", "first")]
    assert feed.repeated == ("g",)


def item(number: int, guid: str = "", link: str = "", title: str = "") -> str:
    identity = f"<guid isPermaLink='false'>{guid}</guid>" if guid else ""
    address = f"<link>{link}</link>" if link else ""
    shown = title or f"title {number}"
    return f"<item>{identity}{address}<title>{shown}</title><description>{number}</description></item>"


LINK = "https://site.example/"


@pytest.mark.parametrize(
    ("first", "second", "third", "keys"),
    [
        (("N/A", f"{LINK}1"), ("N/A", f"{LINK}2"), ("N/A", f"{LINK}3"), [f"{LINK}3", f"{LINK}2", f"{LINK}1"]),
        (("N/A", f"{LINK}1", "t"), ("N/A", f"{LINK}2", "t"), ("x", f"{LINK}3"), ["x", f"{LINK}2", f"{LINK}1"]),
        (("a", LINK), ("b", LINK), ("c", LINK), ["c", "b", "a"]),
        ((f"{LINK}2", f"{LINK}1"), ("N/A", f"{LINK}2"), ("N/A", f"{LINK}3"), [f"{LINK}3", None, f"{LINK}1"]),
        (("", LINK), ("", LINK), ("", LINK), [None, None, None]),
        (("N/A", LINK), ("N/A", LINK), ("N/A", LINK), [None, None, None]),
        (("N/A",), ("N/A",), ("N/A",), [None, None, None]),
    ],
)
def test_id_or_link_shared_by_different_entries_is_not_used_as_key(
    first: tuple[str, ...], second: tuple[str, ...], third: tuple[str, ...], keys: list[str | None]
) -> None:
    items = [item(number, *each) for number, each in enumerate((first, second, third), start=1)]
    feed = read_feed(rss("".join(items)))
    assert [entry.text for entry in feed.entries] == ["3", "2", "1"]
    digest = re.compile("[0-9a-f]{64}")
    assert [None if digest.fullmatch(entry.key) else entry.key for entry in feed.entries] == keys
    assert len({entry.key for entry in feed.entries}) == 3
    assert feed.repeated == ()


def test_relative_link_without_base_is_left_out_and_noted() -> None:
    entry = one("<title>t</title><link>/l</link>", head="")
    assert (entry.link, entry.notes) == ("", ("link left out: '/l' is relative, and the feed does not say to what",))
    (told,) = read_feed(rss("<item><link>/l</link></item>", ""), base_url="https://other.example/x/").entries
    assert told.link == "https://other.example/l"


@pytest.mark.parametrize("link", ["ftp://site.example/x", "javascript:alert(1)", "http://[broken"])
def test_link_that_is_no_http_address_is_left_out_and_noted(link: str) -> None:
    entry = one(f"<title>t</title><guid isPermaLink='false'>g</guid><link>{link}</link>")
    assert (entry.link, entry.notes) == ("", (f"link left out: {link!r} is no http address",))


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
def test_picture_of_entry_is_found(picture: str) -> None:
    assert one(f"<title>t</title>{picture}").image_url == "https://site.example/p.png"


PHOTO = '<img src="/photo.jpg" width="640" height="480">'


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://stats.example/b.gif?post=1" width="1" height="1">',
        '<img src="https://stats.example/b.gif" style="width:1px;height:1px">',
        '<img src="https://stats.example/b.gif" style="display: none">',
        '<img src="https://stats.wordpress.com/b.gif?host=x">',
        '<img src="https://medium.com/_/stat?event=post.clientViewed">',
        '<img src="/i/spacer.gif">',
        '<img class="wp-smiley" src="/i/face.png" style="height: 1em; max-height: 1em;">',
        '<img class="emoji" src="/i/face.png">',
        '<img src="https://s.w.org/images/core/emoji/2.4/72x72/1f642.png">',
        '<img src="/forum/smilies/smile.gif">',
        '<img src="https://buttons.example/share.png" width="16" height="16">',
        '<img src="https://site.example/badge.png" width="88" height="31">',
        '<a href="https://twitter.com/intent/tweet?url=x"><img src="/i/bird.png"></a>',
        '<a href="https://feeds.feedburner.com/~ff/x?a=1"><img src="https://feeds.feedburner.com/~ff/x?d=1"></a>',
        '<img src="https://secure.gravatar.com/avatar/0?s=96">',
        '<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">',
        '<img src="">',
        "<img>",
    ],
)
def test_pixels_buttons_smileys_and_placeholders_are_no_picture(html: str) -> None:
    def picture(body: str) -> str:
        return one(f"<title>t</title><description><![CDATA[<p>x</p>{body}]]></description>").image_url

    assert picture(html) == ""
    assert picture(html + PHOTO) == "https://site.example/photo.jpg"


@pytest.mark.parametrize(
    "attributes",
    [
        'src="data:image/gif;base64,R0" data-src="/photo.jpg"',
        'src="data:image/svg+xml,x" data-lazy-src="/photo.jpg"',
        'src="/i/blank.gif" data-original="/photo.jpg"',
        'src="data:image/gif;base64,R0" srcset="/photo.jpg 1x, /photo2.jpg 2x"',
        'src="/photo.jpg" width="100%" height="auto" style="max-width: 100%; height: auto; max-height: 40px"',
        'src="/photo.jpg" class="wp-image-7 alignnone"',
    ],
)
def test_lazily_loaded_or_scaled_picture_is_found(attributes: str) -> None:
    entry = one(f"<title>t</title><description><![CDATA[<img {attributes}>]]></description>")
    assert (entry.image_url, entry.notes) == ("https://site.example/photo.jpg", ())


@pytest.mark.parametrize(
    "attached",
    [
        '<media:content url="/pixel.gif" medium="image" width="1" height="1"/>',
        '<media:content url="https://0.gravatar.com/avatar/x?s=96" medium="image"/>',
        '<media:thumbnail url="data:image/png;base64,R0"/>',
        '<enclosure url="data:image/png;base64,R0" type="image/png" length="1"/>',
    ],
)
def test_attached_images_that_are_no_picture_are_skipped(attached: str) -> None:
    assert one(f"<title>t</title>{attached}").image_url == ""
    photo = '<media:thumbnail url="/photo.jpg" width="75"/>'
    assert one(f"<title>t</title>{attached}{photo}").image_url == "https://site.example/photo.jpg"


def test_podcast_entry_without_link_links_to_its_recording() -> None:
    recording = '<enclosure url="/17.mp3" type="audio/mpeg" length="1"/>'
    guid = "<guid isPermaLink='false'>17</guid>"
    entry = one(f"<title>Episode 17</title>{guid}{recording}")
    assert (entry.key, entry.link, entry.image_url) == ("17", "https://site.example/17.mp3", "")
    assert one(f"<title>t</title>{guid}<link>/shownotes</link>{recording}").link == "https://site.example/shownotes"
    assert one(f"{recording}").title == "https://site.example/17.mp3"
    cover = '<enclosure url="/17.jpg" type="image/jpeg" length="1"/>'
    assert one(f"<title>t</title>{guid}{cover}{recording}").link == "https://site.example/17.mp3"


def test_enclosure_that_is_no_picture_is_ignored() -> None:
    assert one('<title>t</title><enclosure url="/talk.mp3" type="audio/mpeg" length="1"/>').image_url == ""


def test_entry_without_title_uses_its_first_line() -> None:
    assert one("<description>&lt;p&gt;First&lt;/p&gt;&lt;p&gt;Second&lt;/p&gt;</description>").title == "First"
    assert one("<enclosure url='/i.png' type='image/png'/>").title == "(untitled)"


def test_empty_entry_is_left_out_and_reported() -> None:
    feed = read_feed(rss("<item/><item><guid isPermaLink='false'>g</guid></item><item><title>t</title></item>"))
    assert [entry.title for entry in feed.entries] == ["t"]
    assert feed.warnings == ("2 entries say nothing and are left out",)


def test_long_body_is_shortened_and_marked() -> None:
    entry = one(f"<description>{'word ' * 500}</description>", excerpt_bytes=100)
    assert entry.shortened
    assert len(entry.text.encode()) <= 100
    assert entry.text.endswith("word" + ELLIPSIS)


@pytest.mark.parametrize("data", [b"", b"hello", b"{}", b"\x00\xff\xfe", b"<html><body>no feed</body></html>", b"<x/>"])
def test_data_that_is_no_feed_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"^news\.xml is neither RSS nor Atom"):
        read_feed(data, name="news.xml")


def test_missing_extra_is_named_in_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "feedparser", None)
    with pytest.raises((ConfigurationError, UsageError), match=r"pip install 'channel-adapter\[feeds\]'"):
        read_feed(rss(""))


REFERENCE = "<item><guid>g</guid><title>a {} b</title></item>"


@pytest.mark.parametrize(
    ("reference", "shown"),
    [
        ("&#55357;&#56842;", "\U0001f60a"),
        ("&#xD83D;&#xDE0A;", "\U0001f60a"),
        ("&#55357;", "\ufffd"),
        ("&#56842;&#55357;", "\ufffd\ufffd"),
        ("&#x110000;", "\ufffd"),
        ("&#99999999999999999999999;", "\ufffd"),
        ("&#0;", "\ufffd"),
        ("&#128522;", "\U0001f60a"),
        ("&#0000065;&#x1;", "A\ufffd"),
    ],
)
def test_invalid_character_references_are_repaired(reference: str, shown: str) -> None:
    feed = read_feed(rss("<item><guid>good</guid><title>good</title></item>" + REFERENCE.format(reference)))
    assert [entry.title for entry in feed.entries] == [f"a {shown} b", "good"]
    body = one(f"<title>t</title><description><![CDATA[<p>a {reference} b</p>]]></description>")
    assert body.text == f"a {shown} b"


GEO = 'xmlns:georss="http://www.georss.org/georss" xmlns:gml="http://www.opengis.net/gml"'


@pytest.mark.parametrize(
    "data",
    [
        rss(
            f"<item><guid>g</guid><title>Quay</title><georss:where {GEO}>"
            f"<gml:Point srsName='EPSG:none'><gml:pos>1 2</gml:pos></gml:Point></georss:where></item>"
        ),
        b'<!DOCTYPE rss [\n<!ENTITY x "C:\\quay">\n]>\n' + rss("<item><guid>g</guid><title>Quay</title></item>"),
    ],
)
def test_places_and_doctypes_that_break_feedparser_are_skipped(data: bytes) -> None:
    feed = read_feed(data)
    assert [(entry.key, entry.title) for entry in feed.entries] == [("g", "Quay")]


def test_entry_that_breaks_feedparser_is_left_out_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    items = "".join(f"<item><guid>{number}</guid><title>t{number}</title></item>" for number in range(3))
    parse = feedparser.parse

    def failing(source: io.BytesIO, **options: bool) -> object:
        if b"<title>t1" in source.getvalue():
            raise ZeroDivisionError("a fault of the parser")
        return parse(source, **options)

    monkeypatch.setattr(feedparser, "parse", failing)
    feed = read_feed(rss(items), name="news.xml")
    assert [entry.key for entry in feed.entries] == ["2", "0"]
    assert feed.warnings == (
        "news.xml: 1 entry that cannot be read is left out: feedparser fails with"
        " ZeroDivisionError: a fault of the parser",
    )
    with pytest.raises(UsageError, match=r"^news\.xml cannot be read: feedparser fails with ZeroDivisionError"):
        read_feed(rss(items, head="<title>t1</title>"), name="news.xml")


FEED = rss("<item><guid>g</guid><title>Schönes Wetter 你好</title></item>").decode()


@pytest.mark.parametrize("declared", ["", "utf-8", "utf-16", "UTF-16LE", "ISO-10646-UCS-2"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_feed_is_read_in_every_encoding_and_compressed(
    encoding: str, declared: str, pack: Callable[[bytes], bytes]
) -> None:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    feed = read_feed(pack((declaration + FEED).encode(encoding)))
    assert [entry.title for entry in feed.entries] == ["Schönes Wetter 你好"]
    assert feed.warnings == ()


@pytest.mark.parametrize("damaged", [gzip.compress(FEED.encode(), mtime=0)[:-9], b"\x1f\x8bnothing", b"\x1f\x8b"])
def test_damaged_gzip_is_reported(damaged: bytes) -> None:
    with pytest.raises(UsageError, match=r"^news\.gz is compressed with gzip and cannot be decompressed: "):
        read_feed(damaged, name="news.gz")


def test_malformed_feed_is_read_with_warning() -> None:
    feed = read_feed(rss("<item><guid>a</guid><title>x & y</title></item><item><guid>b</guid></item>"), name="news.xml")
    assert [entry.key for entry in feed.entries] == ["b", "a"]
    assert feed.warnings
    assert feed.warnings[0].startswith("news.xml is not well-formed XML")


def test_truncated_feed_loses_its_last_entry_with_warning() -> None:
    whole = rss("<item><guid>a</guid></item><item><guid>b</guid><description>half a sentence</description></item>")
    feed = read_feed(whole[: whole.index(b" a sentence")], name="news.xml")
    assert [entry.key for entry in feed.entries] == ["a"]
    assert feed.warnings[0].endswith("its last entry may be half and is left out")


def test_feed_without_entries_is_valid() -> None:
    assert read_feed(rss("")) == Feed(title="T", entries=())


def test_five_thousand_entries_are_read_in_30_seconds() -> None:
    items = "".join(
        f"<item><guid>{n}</guid><title>t{n}</title><description>d</description></item>" for n in range(5_000)
    )
    began = time.process_time()
    assert len(read_feed(rss(items)).entries) == 5_000
    assert time.process_time() - began < 30


@settings(max_examples=50)
@given(st.binary(max_size=200))
def test_any_bytes_inside_feed_are_read_or_refused(junk: bytes) -> None:
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
def test_html_is_converted_to_text(html: str, text: str) -> None:
    assert html_to_text(html)[0] == text


@given(st.text(max_size=200), st.integers(min_value=4, max_value=300))
def test_excerpt_fits_and_is_prefix_of_text(text: str, most: int) -> None:
    short, shortened = excerpt(text, most)
    assert len(short.encode()) <= most
    assert shortened == (len(text.encode()) > most)
    assert text.startswith(short.removesuffix(ELLIPSIS) if shortened else short)


def test_excerpt_of_chinese_text_ends_after_whole_character() -> None:
    assert excerpt("码头维修首班渡轮", 12) == ("码头维…", True)


CHANNEL = ChannelId("@TGS#_news")


class Shelf:
    """Posts of a channel for the importer: `numbers` maps keys to their dedupe numbers."""

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


def entry(key: str) -> FeedEntry:
    return FeedEntry(
        key=key, title=f"title {key}", text="", link=f"https://s.example/{key}", image_url="", published=None
    )


async def imported(
    shelf: Shelf, *entries: FeedEntry, dry_run: bool = False, limit: int | None = None, author: str | None = None
) -> list[Imported]:
    job = FeedImport(shelf, CHANNEL, author)
    await job.read_history(lambda: None)
    return [done async for done in job.run(entries, dry_run=dry_run, limit=limit)]


def states(done: list[Imported]) -> list[str]:
    return [each.state.value for each in done]


async def test_second_run_publishes_only_new_entries() -> None:
    shelf = Shelf()
    assert states(await imported(shelf, entry("a"), entry("b"))) == ["published", "published"]
    assert states(await imported(shelf, entry("a"), entry("b"), entry("c"))) == ["already", "already", "published"]
    assert shelf.keys == ["a", "b", "c"]


async def test_entries_with_same_dedupe_number_are_both_published_once() -> None:
    shelf = Shelf({"a": 7, "b": 7})
    for _ in range(2):
        await imported(shelf, entry("a"), entry("b"))
    assert shelf.keys == ["a", "b#2"]
    assert [post.content and post.content.title for post in shelf.posts if isinstance(post.content, Article)] == [
        "title a",
        "title b",
    ]


async def test_next_run_publishes_only_new_entry_of_feed_with_shared_id() -> None:
    shelf = Shelf()
    runs = [
        [item(1, "N/A", f"{LINK}1")],  # the only entry, which has its id as key
        [item(2, "N/A", f"{LINK}2"), item(1, "N/A", f"{LINK}1")],
        [item(4, "N/A", f"{LINK}4"), item(3, "N/A", f"{LINK}3"), item(2, "N/A", f"{LINK}2")],
        [item(4, "N/A", f"{LINK}4")],
        [item(5, "five", f"{LINK}5"), item(4, "four", f"{LINK}4")],  # the feed was repaired
    ]
    found = [states(await imported(shelf, *read_feed(rss("".join(run))).entries)) for run in runs]
    assert found == [
        ["published"], ["already", "published"], ["already", "published", "published"], ["already"],
        ["already", "published"],
    ]  # fmt: skip
    assert [post.content.title for post in shelf.posts if isinstance(post.content, Article)] == [
        f"title {number}" for number in range(1, 6)
    ]


async def test_next_run_publishes_only_new_entry_of_feed_with_shared_link() -> None:
    shelf = Shelf()
    await imported(shelf, *read_feed(rss(item(2, "", LINK) + item(1, "", LINK))).entries)
    later = read_feed(rss(item(3, "", LINK) + item(2, "", LINK) + item(1, "", LINK))).entries
    assert states(await imported(shelf, *later)) == ["already", "already", "published"]


@pytest.mark.parametrize(
    ("title", "link"),
    [("edited", "https://s.example/a"), ("title a", "https://s.example/edited"), ("edited", "https://s.example/b")],
)
async def test_entry_with_edited_title_or_link_is_not_published_again(title: str, link: str) -> None:
    shelf = Shelf({"a": 7})
    shelf.put(Article(title=title, link=link), 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]


async def test_entry_with_changed_title_and_link_is_recognised_by_its_id() -> None:
    shelf = Shelf({"a": 7, "b": 8})
    shelf.put(Article(title="an old title", link="https://s.example/old"), 7)
    assert states(await imported(shelf, entry("a"), entry("b"))) == ["already", "published"]
    assert shelf.keys == ["b"]


async def test_recalled_entry_is_not_published_again() -> None:
    shelf = Shelf({"a": 7})
    shelf.put(None, 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]


async def test_entry_edited_into_text_is_not_published_again() -> None:
    shelf = Shelf({"a": 7})
    shelf.put(Text("corrected by hand"), 7)
    assert states(await imported(shelf, entry("a"))) == ["already"]
    assert shelf.keys == []


async def test_dry_run_publishes_nothing() -> None:
    shelf = Shelf()
    assert states(await imported(shelf, entry("a"), dry_run=True)) == ["planned"]
    assert shelf.posts == []


async def test_limit_counts_only_published_entries() -> None:
    shelf = Shelf()
    await imported(shelf, entry("a"))
    assert states(await imported(shelf, entry("a"), entry("b"), entry("c"), limit=1)) == ["already", "published"]


async def test_refused_entry_does_not_stop_other_entries() -> None:
    shelf = Shelf()
    shelf.fail["a"] = InvalidError("title has 900 bytes; 300 are allowed")
    done = await imported(shelf, entry("a"), entry("b"), author="ed")
    assert states(done) == [EntryState.REFUSED, EntryState.PUBLISHED]
    assert done[0].reason == "title has 900 bytes; 300 are allowed"
    assert shelf.posts[0].author == "ed"


async def test_unavailable_service_stops_import() -> None:
    shelf = Shelf()
    shelf.fail["b"] = UnavailableError("gone")
    with pytest.raises(UnavailableError):
        await imported(shelf, entry("a"), entry("b"), entry("c"))
    assert shelf.keys == ["a"]
