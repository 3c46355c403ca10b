"""Files of any other system as a source: valid lines, errors of invalid lines, and memory use."""

import asyncio
import gzip
import json
import time
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.domain.post import Article, Image, Text, TextAndImage
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import InvalidError, NotFoundError
from channel_adapter.mapping.content import from_elements
from channel_adapter.migration.sources.files import FilesSource, find_files
from channel_adapter.migration.sources.source import BrokenRecord, SourceChannel, SourcePost, SourceSubscriber

NOW = 1_770_000_000
BORN = 1_760_000_000
CHANNEL = {"id": "harbour", "name": "Harbour", "owner": "editor_7", "created_at": BORN}


def write(folder: Path, name: str, *rows: Mapping[str, Any] | str) -> None:
    lines = (row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows)
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


async def opened(folder: Path, owner: str = "") -> FilesSource:
    return await FilesSource.open(find_files(str(folder)), owner=owner, now=NOW)


async def broken(source: FilesSource) -> list[BrokenRecord]:
    return [record async for record in source.broken()]


async def channels(source: FilesSource) -> list[SourceChannel]:
    return [channel async for channel in source.channels()]


async def users(source: FilesSource, channel: str = "harbour") -> list[SourceSubscriber]:
    found: list[SourceSubscriber] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await source.subscribers(channel, cursor)
        found += page.subscribers
        cursor = page.next
    return found


async def posts(source: FilesSource, channel: str = "harbour", after: str = "") -> list[SourcePost]:
    return [post async for post in source.posts(channel, after=after)]


async def test_jsonl_and_csv_are_read_as_same_records(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    write(
        one, "channels.jsonl", CHANNEL | {"admins": ["ann", "ben"], "max_subscribers": 500, "introduction": '汉, "x"'}
    )
    write(one, "subscribers.jsonl", {"channel": "harbour", "user": "ann", "since": "2025-10-10T10:00:00+02:00",
                                     "notifications": "off", "unread": 3, "custom_data": "vip"})  # fmt: skip
    write(one, "posts.jsonl", {"channel": "harbour", "id": "p1", "time": BORN + 5, "text": "two\nlines"},
          {"channel": "harbour", "id": "p0", "time": BORN + 5, "author": "ann",
           "content": [{"kind": "text", "text": "see"}, {"kind": "image", "url": "https://e.org/x.png"}]})  # fmt: skip
    write(two, "channels.csv", "id,name,owner,created_at,admins,max_subscribers,introduction",
          f'harbour,Harbour,editor_7,{BORN},ann; ben,500,"汉, ""x"""')  # fmt: skip
    write(two, "subscribers.csv", "\ufeffchannel,user,since,notifications,unread,custom_data",
          "", "harbour,ann,2025-10-10T08:00:00Z,off,3,vip")  # fmt: skip
    content = '[{"kind": "text", "text": "see"}, {"kind": "image", "url": "https://e.org/x.png"}]'
    quoted = content.replace('"', '""')
    write(two, "posts.csv", "channel,id,time,author,text,content",
          f'harbour,p1,{BORN + 5},,"two', 'lines",', f'harbour,p0,{BORN + 5},ann,,"{quoted}"')  # fmt: skip
    first, second = await opened(one), await opened(two)
    try:
        assert await broken(first) == await broken(second) == []
        assert await channels(first) == await channels(second)
        assert (
            await users(first)
            == await users(second)
            == [SourceSubscriber("ann", 1_760_083_200, Notifications.OFF, "vip", 3)]
        )
        assert await posts(first) == await posts(second)
        [channel] = await channels(first)
        assert channel == SourceChannel(
            id="harbour", owner="editor_7", name="Harbour", introduction='汉, "x"', created_at=BORN,
            last_post_at=BORN + 5, subscriber_count=1, max_subscribers=500, admins=("ann", "ben"),
        )  # fmt: skip
        earlier, later = await posts(first)
        assert (earlier.key, earlier.author, later.key) == ("p0", "ann", "p1")
        assert from_elements(earlier.body) == (TextAndImage("see", Image("https://e.org/x.png")),)
        assert from_elements(later.body) == (Text("two\nlines"),)
    finally:
        await first.aclose()
        await second.aclose()


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ("{", "", "no JSON"),
        ("[]", "", "no JSON object"),
        ({"channel": "harbour", "user": "ann", "sinse": 1}, "sinse", "did you mean 'since'?"),
        ({"user": "ann"}, "channel", "channel is missing"),
        ({"channel": "other", "user": "ann"}, "channel", "'other' is not in the file of channels"),
        ({"channel": "harbour"}, "user", "user is empty"),
        ({"channel": "harbour", "user": 5}, "user", "must be a string"),
        ({"channel": "harbour", "user": "x" * 33}, "user", "33 bytes; 32 are allowed"),
        ({"channel": "harbour", "user": "ünal"}, "user", "not printable ASCII"),
        ({"channel": "harbour", "user": "ann", "since": NOW + 1}, "since", "in the future"),
        ({"channel": "harbour", "user": "ann", "since": BORN - 1}, "since", "before channel 'harbour' was made"),
        ({"channel": "harbour", "user": "ann", "since": BORN * 1000}, "since", "milliseconds"),
        ({"channel": "harbour", "user": "ann", "since": "2025-10-10T10:00:00"}, "since", "no time zone"),
        ({"channel": "harbour", "user": "ann", "since": "yesterday"}, "since", "neither unix seconds nor ISO 8601"),
        ({"channel": "harbour", "user": "ann", "since": True}, "since", "is no time"),
        ({"channel": "harbour", "user": "ann", "notifications": "loud"}, "notifications", "one of all, muted, off"),
        ({"channel": "harbour", "user": "ann", "unread": -1}, "unread", "no number from 0 on"),
        ({"channel": "harbour", "user": "ann", "unread": 2**64 - 1}, "unread", "is larger than 2147483647"),
        ({"channel": "harbour", "user": "ann", "unread": 2**31}, "unread", "is larger than 2147483647"),
        ({"channel": "harbour", "user": "ann", "since": 2**64 - 1}, "since", "milliseconds"),
        ({"channel": "harbour", "user": "ann", "custom_data": "x" * 3001}, "custom_data", "3001 bytes"),
        ({"channel": "harbour", "user": "first"}, "user", "was there before"),
        (b"\xff", "", "not UTF-8"),
        ("x" * 300_000, "", "longer than"),
        ({"channel": "harbour", "user": "ann", "since": "1769999999,5"}, "since", "neither unix seconds nor ISO 8601"),
        ({"channel": "harbour", "user": "ann", "since": float(BORN * 1000)}, "since", "milliseconds"),
    ],
)  # fmt: skip
async def test_broken_line_of_subscribers_is_reported_with_line_field_and_reason(
    tmp_path: Path, row: Any, field: str, reason: str
) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    first, last = '{"channel": "harbour", "user": "first"}', '{"channel": "harbour", "user": "zoe"}'
    line = row if isinstance(row, bytes) else (row if isinstance(row, str) else json.dumps(row)).encode()
    (tmp_path / "subscribers.jsonl").write_bytes(b"\n".join([first.encode(), line, b"", last.encode()]))
    source = await opened(tmp_path)
    try:
        [found] = await broken(source)
        assert (found.where, found.field) == ("subscribers.jsonl, line 2", field)
        assert reason in found.reason
        assert not isinstance(row, dict) or json.loads(found.raw) == row
        assert [user.user for user in await users(source)] == ["first", "zoe"]
    finally:
        await source.aclose()


@pytest.mark.parametrize(
    ("row", "field", "reason"),
    [
        ({"id": "p", "time": BORN, "text": "x"}, "channel", "channel is missing"),
        ({"channel": "harbour", "time": BORN, "text": "x"}, "id", "id is missing"),
        ({"channel": "harbour", "id": "p", "text": "x"}, "time", "time is missing"),
        ({"channel": "harbour", "id": "p", "time": BORN - 1, "text": "x"}, "time", "before channel"),
        ({"channel": "harbour", "id": "p", "time": NOW + 60, "text": "x"}, "time", "in the future"),
        ({"channel": "harbour", "id": "p", "time": BORN}, "text", "either text or content"),
        ({"channel": "harbour", "id": "p", "time": BORN, "text": "  "}, "text", "text is empty"),
        ({"channel": "harbour", "id": "p", "time": BORN, "text": "x", "content": {}}, "text", "either"),
        ({"channel": "harbour", "id": "p", "time": BORN, "content": {"kind": "poll"}}, "content", "must be one of"),
        ({"channel": "harbour", "id": "p", "time": BORN, "content": {"kind": "image"}}, "url", "needs url"),
        ({"channel": "harbour", "id": "p", "time": BORN, "content": "{"}, "content", "no JSON"),
        ({"channel": "harbour", "id": "p0", "time": BORN, "text": "x"}, "id", "was there before"),
        ({"channel": "harbour", "id": "p", "time": BORN, "text": "x", "author": "x" * 33}, "author", "33 bytes"),
    ],
)  # fmt: skip
async def test_broken_line_of_posts_is_reported_with_line_field_and_reason(
    tmp_path: Path, row: dict[str, Any], field: str, reason: str
) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    write(tmp_path, "posts.jsonl", {"channel": "harbour", "id": "p0", "time": BORN, "text": "first"}, row)
    source = await opened(tmp_path)
    try:
        [found] = await broken(source)
        assert (found.where, found.field) == ("posts.jsonl, line 2", field)
        assert reason in found.reason
        assert [post.key for post in await posts(source)] == ["p0"]
    finally:
        await source.aclose()


async def test_broken_lines_of_channels_and_of_csv_are_reported_with_line_and_field(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", {"id": "x"}, CHANNEL, CHANNEL, CHANNEL | {"id": "y", "admins": 5},
          CHANNEL | {"id": "z", "max_subscribers": 0}, {"id": "w", "name": "W"})  # fmt: skip
    write(
        tmp_path, "subscribers.csv", "channel,user", "harbour,ann,extra", '"harbour,ben', "harbour,cid", '"harbour",dan'
    )
    source = await opened(tmp_path, owner="editor_9")
    try:
        assert [channel.id for channel in await channels(source)] == ["harbour", "w"]
        assert [user.user for user in await users(source)] == ["cid", "dan"]
        assert (await channels(source))[1].owner == "editor_9"
        where = [(record.where, record.field) for record in await broken(source)]
        assert where == [
            ("channels.jsonl, line 1", "name"), ("channels.jsonl, line 3", "id"), ("channels.jsonl, line 4", "admins"),
            ("channels.jsonl, line 5", "max_subscribers"), ("subscribers.csv, line 2", ""),
            ("subscribers.csv, line 3", ""),
        ]  # fmt: skip
    finally:
        await source.aclose()


@pytest.mark.parametrize("heading", ["channel,user,sinse", "channel,user,user", "kanal;user", "channel;usr"])
async def test_heading_with_unknown_or_repeated_columns_refuses_file(tmp_path: Path, heading: str) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    write(tmp_path, "subscribers.csv", heading, "harbour,ann,1")
    with pytest.raises(InvalidError, match=r"subscribers\.csv, line 1: "):
        await opened(tmp_path)


async def test_files_without_usable_channel_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match=r"no channels\.jsonl or channels\.csv"):
        find_files(str(tmp_path))
    write(tmp_path, "channels.jsonl", {"id": "x"})
    with pytest.raises(InvalidError, match=r"no channel that can be used: channels\.jsonl, line 1: name is missing"):
        await opened(tmp_path, owner="ann")
    write(tmp_path, "channels.csv", "id,name")
    with pytest.raises(InvalidError, match="keep one"):
        find_files(str(tmp_path))


@pytest.mark.parametrize(
    "time",
    [
        BORN + 5, BORN + 5.0, BORN + 5.75, f"{BORN + 5}", f"{BORN + 5}.000093", f" {BORN + 5}.5 ", f"{BORN + 5} +0500",
        "2025-10-09T13:53:25+0500", "2025-10-09 13:53:25 +0500", "2025-10-09T13:53:25.5 +05:00",
        "2025-10-09T08:53:25.123456Z", "20251009T085325Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["posts.jsonl", "posts.csv"])
async def test_time_is_read_in_every_supported_format(tmp_path: Path, time: float | str, name: str) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    rows: dict[str, list[Mapping[str, Any] | str]] = {
        "posts.jsonl": [{"channel": "harbour", "id": "p", "time": time, "text": "x"}],
        "posts.csv": ["channel,id,time,text", f"harbour,p,{time},x"],
    }
    write(tmp_path, name, *rows[name])
    source = await opened(tmp_path)
    try:
        assert await broken(source) == []
        assert [post.time for post in await posts(source)] == [BORN + 5]
    finally:
        await source.aclose()


LONG = "汉字 and\nmore " * 30_000


@pytest.mark.parametrize(
    "data",
    [
        "id,name,,\r\nharbour,Harbour,,\r\n,,,\r\nquay,Quay\r\n\r\n",
        "id;name\nharbour;Harbour\nquay;Quay\n",
        "sep=;\r\nid;name;introduction\r\nharbour;Harbour;\r\nquay;Quay;\r\n",
        "id\tname\nharbour\tHarbour\nquay\tQuay\n",
        "id|name|\nharbour|Harbour|\nquay|Quay|\n",
        "id,name\rharbour,Harbour\rquay,Quay\r",
        "ID, Name\n\nharbour,Harbour\nquay,Quay",
        '"id","name","introduction"\n"harbour","Harbour",""\n"","",""\n"quay","Quay",""\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
async def test_csv_is_read_in_every_supported_dialect_and_encoding(tmp_path: Path, data: str, encoding: str) -> None:
    (tmp_path / "channels.csv").write_bytes(data.encode(encoding))
    source = await opened(tmp_path, owner="editor_7")
    try:
        assert [(channel.id, channel.name) for channel in await channels(source)] == [
            ("harbour", "Harbour"),
            ("quay", "Quay"),
        ]
        assert await broken(source) == []
    finally:
        await source.aclose()


async def test_long_quoted_fields_are_read_completely(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    write(tmp_path, "posts.csv", "channel,id,time,text", f'harbour,p1,{BORN},"{LONG}"', f"harbour,p2,{BORN + 1},x")
    source = await opened(tmp_path)
    try:
        assert await broken(source) == []
        first, second = await posts(source)
        assert (from_elements(first.body), second.key) == ((Text(LONG),), "p2")
    finally:
        await source.aclose()


async def test_each_unreadable_record_is_reported_once(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    too_long = "x" * 300_000
    write(tmp_path, "posts.csv", "channel,id,time,text", f'harbour,p1,{BORN},"a', too_long, 'b",x,y', "",
          f'harbour,p2,{BORN},"a', 'b",c', f"harbour,p3,{BORN},x")  # fmt: skip
    source = await opened(tmp_path)
    try:
        assert [(each.where, each.reason) for each in await broken(source)] == [
            ("posts.csv, line 2", "longer than 262,144 characters"),
            ("posts.csv, line 6", "5 columns where the heading has 4"),
        ]
        assert [post.key for post in await posts(source)] == ["p3"]
    finally:
        await source.aclose()


def post(number: int) -> dict[str, Any]:
    return {"channel": "harbour", "id": f"p{number}", "time": BORN + number, "text": f"[汉], {{ \n {number}"}


@pytest.mark.parametrize(
    "data",
    [
        json.dumps([post(number) for number in range(3)]),
        json.dumps([post(number) for number in range(3)], indent=2, ensure_ascii=False),
        "\ufeff\n [\n" + ",\n".join(json.dumps(post(number)) for number in range(3)) + "\n]\n\n",
        "[" + json.dumps(post(0)) + "]\n[" + json.dumps(post(1)) + "," + json.dumps(post(2)) + "]",
    ],
)
async def test_posts_are_read_from_json_array(tmp_path: Path, data: str) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    (tmp_path / "posts.jsonl").write_text(data, encoding="utf-8")
    source = await opened(tmp_path)
    try:
        assert await broken(source) == []
        assert [post.key for post in await posts(source)] == ["p0", "p1", "p2"]
    finally:
        await source.aclose()


async def test_errors_in_long_json_array_are_reported_with_their_lines(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    rows: list[Any] = [post(number) for number in range(3_000)]
    rows[1_999] |= {"tine": 5}
    rows[2_500] = 7
    rows[2_600] = post(2_600) | {"text": "x" * 300_000}
    write(tmp_path, "posts.jsonl", "[", *(json.dumps(row) + "," for row in rows[:-1]), json.dumps(rows[-1]), "]")
    source = await opened(tmp_path)
    try:
        assert [(each.where, each.reason[:20]) for each in await broken(source)] == [
            ("posts.jsonl, line 2001", "unknown column 'tine"),
            ("posts.jsonl, line 2502", "no JSON object"),
            ("posts.jsonl, line 2602", "longer than 262,144 "),
        ]
        assert len(await posts(source)) == 2_997
    finally:
        await source.aclose()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("[" + json.dumps(post(0)) + ",\n", r"line 2: the JSON array has no end"),
        ("[" + json.dumps(post(0)) + ",\n{'x': 1}]", r"line 2: no JSON: "),
        ("[" + json.dumps(post(0))[:-1], r"line 1: no JSON: "),
    ],
)
async def test_incomplete_json_array_refuses_file(tmp_path: Path, data: str, reason: str) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    (tmp_path / "posts.jsonl").write_text(data, encoding="utf-8")
    with pytest.raises(InvalidError, match=r"^posts\.jsonl, " + reason):
        await opened(tmp_path)


@pytest.mark.parametrize("name", ["channels.csv", "channels.jsonl"])
async def test_compressed_files_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"id,name\nharbour,Harbour\n"))
    with pytest.raises(InvalidError, match=rf"^{name} is compressed with gzip"):
        await opened(tmp_path)


async def test_numbers_of_posts_stay_when_file_grows(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    rows = [{"channel": "harbour", "id": f"p{n}", "time": BORN + n, "text": "x"} for n in range(300)]
    write(tmp_path, "posts.jsonl", *rows[100:])
    before = await opened(tmp_path)
    numbers = {post.key: post.number for post in await posts(before)}
    await before.aclose()
    write(tmp_path, "posts.jsonl", *rows)
    after = await opened(tmp_path)
    found = await posts(after)
    assert [post.key for post in found] == [f"p{n}" for n in range(300)]
    assert {post.key: post.number for post in found}.items() >= numbers.items()
    assert len({post.number for post in found}) == 300
    assert [post.key for post in await posts(after, after="p297")] == ["p298", "p299"]
    assert len(await posts(after, after="no such post")) == 300
    with pytest.raises(NotFoundError):
        await after.subscribers("noop_failpoint")
    await after.aclose()


async def test_article_is_read_as_content(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    article = {"kind": "article", "title": "Ferries", "link": "https://example.org"}
    write(tmp_path, "posts.jsonl", {"channel": "harbour", "id": "p", "time": BORN, "content": article})
    source = await opened(tmp_path)
    [post] = await posts(source)
    assert from_elements(post.body) == (Article("Ferries", link="https://example.org"),)
    await source.aclose()


async def test_cancelled_read_ends_within_three_seconds(tmp_path: Path) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    with (tmp_path / "subscribers.csv").open("w") as file:
        file.write("channel,user\n")
        file.writelines(f"harbour,reader_{number:07}\n" for number in range(300_000))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await opened(tmp_path)
    assert time.monotonic() - began < 3


async def test_memory_does_not_grow_with_files(tmp_path: Path) -> None:
    peaks = []
    for count in (1_000, 8_000):
        folder = tmp_path / str(count)
        folder.mkdir()
        write(folder, "channels.jsonl", CHANNEL)
        with (folder / "subscribers.csv").open("w") as file:
            file.write("channel,user,since\n")
            file.writelines(f"harbour,reader_{number:07},{BORN + number}\n" for number in range(count))
        tracemalloc.start()
        source = await opened(folder)
        seen, cursor = 0, ""
        while page := await source.subscribers("harbour", cursor):
            seen += len(page.subscribers)
            if page.next is None:
                break
            cursor = page.next
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        await source.aclose()
        assert seen == count
    assert peaks[1] < peaks[0] * 1.2 + 100_000
