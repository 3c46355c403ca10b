"""User ids from files of every kind."""

import gzip
import io
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.files import users_in
from channel_adapter.mapping.csv_file import FIELD_CHARACTERS, LINE_CHARACTERS
from channel_adapter.mapping.user_list import ListedUser
from channel_adapter.tencent.limits import USER_ID_BYTES


def read(data: bytes, *, heading: bool | None = None, delimiter: str = "", column: str = "") -> list[tuple[int, str]]:
    readers = users_in(io.BytesIO(data), "list.csv", heading, delimiter, column)
    found = [(found.line, found.user if isinstance(found, ListedUser) else f"! {found.reason}") for found in readers]
    assert len(found) == readers.total
    return found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"\n\n# nobody\n", []),
        (b"ann\nbob\n", [(1, "ann"), (2, "bob")]),
        (b"ann\nbob", [(1, "ann"), (2, "bob")]),
        (b"\xef\xbb\xbfann\r\nbob\r\n", [(1, "ann"), (2, "bob")]),
        (b"ann\rbob\r", [(1, "ann"), (2, "bob")]),
        (b"\n  \nann\n\n#c\n  # d\nbob\n", [(3, "ann"), (7, "bob")]),
        (b"user\nann\n", [(2, "ann")]),
        (b"id,name,user\n1,Ann,ann\n", [(2, "ann")]),
        (b"account,user_id\nx,ann\n", [(2, "ann")]),
        (b"id,account\n1,ann\n", [(2, "ann")]),
        (b"member,id\nAnn,ann\n", [(2, "ann")]),
        (b"\xef\xbb\xbfUser-ID,name\nann,Ann\n", [(2, "ann")]),
        (b'# list\nname,"Account"\n"Ann, A.",ann\n', [(3, "ann")]),
        (b"name;id;city\nAnn;ann;Oslo\n", [(2, "ann")]),
        (b"name\tid\nAnn\tann\n", [(2, "ann")]),
        (b"name|id|city\nAnn|ann|Oslo\n", [(2, "ann")]),
        (b"sep=;\nname;id\nAnn;ann\n", [(3, "ann")]),
        (b"sep=|\r\nid|name\r\nann|a, b; c\r\n", [(3, "ann")]),
        (b"name;id\rAnn;ann\rBob;bob\r", [(2, "ann"), (3, "bob")]),
        (b"id,name,,\nann,Ann,,\n,,,\nbob\n,,\n", [(2, "ann"), (4, "bob")]),
        (b"id,name\n# ann,off\nbob,Bob\n", [(3, "bob")]),
        (b'user_id,bio\nann,"Hi\nfriend\nbye"\nbob,x\n', [(2, "ann"), (5, "bob")]),
        (b'user_id,bio\r\nann,"# Hi\r\n\r\n""bye"", Ann"\r\nbob,x\r\n', [(2, "ann"), (5, "bob")]),
        (b'bio,user_id\n"one; two|three",ann\nplain,bob\n', [(2, "ann"), (3, "bob")]),
        ("user_id\tname\r\nann\tÄnne\r\n".encode("utf-16"), [(2, "ann")]),
        (b"user_id,name\nann," + b"x" * 200_000 + b"\nbob,x\n", [(2, "ann"), (3, "bob")]),
        (b'user_id,bio\nann,"' + b"x" * 99 * 1_000 + b"\n" * 99_000 + b'"\nbob,x\n', [(2, "ann"), (99_003, "bob")]),
    ],
)
def test_lines_with_a_user_id_are_read(data: bytes, found: list[tuple[int, str]]) -> None:
    assert read(data) == found


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfea", "not UTF-8"),
        (b'""', "the user id is empty"),
        (b"b\0ob", "holds a NUL character; is it UTF-16?"),
        (b"x" * (USER_ID_BYTES + 1), f"user has {USER_ID_BYTES + 1} bytes; {USER_ID_BYTES} are allowed"),
        ("张三".encode(), "user: '张三' holds characters that are not printable ASCII"),
        (b"x" * (LINE_CHARACTERS * 2 + 5), f"longer than {LINE_CHARACTERS:,} characters"),
    ],
)
def test_broken_line_is_reported_with_number_and_reason(line: bytes, reason: str) -> None:
    assert read(b"ann\n" + line + b"\ncy\n") == [(1, "ann"), (2, f"! {reason}"), (3, "cy")]


def test_broken_first_line_is_reported() -> None:
    assert read(b"\xff\nann\n") == [(1, "! not UTF-8"), (2, "ann")]


def test_longest_user_id_is_accepted() -> None:
    assert read(b"x" * USER_ID_BYTES) == [(1, "x" * USER_ID_BYTES)]


def test_line_without_the_id_column_is_reported() -> None:
    assert read(b"name,id\nann\nBob,bob\n") == [(2, "! has 1 column; the id is in column 2"), (3, "bob")]


def test_lines_that_do_not_match_the_heading_are_reported() -> None:
    assert read(b'id,name\n,Ann\nann"x,Ann\nbob,B,o,b\ncy,Cy,,\n') == [
        (2, "! the user id is empty"),
        (3, "! the user id 'ann\"x' holds a quotation mark"),
        (4, "! has 4 columns; the heading has 2"),
        (5, "cy"),
    ]


@pytest.mark.parametrize(("heading", "found"), [(False, [(1, "id"), (2, "ann")]), (True, [(2, "ann")])])
def test_heading_can_be_declared_by_the_caller(heading: bool, found: list[tuple[int, str]]) -> None:
    assert read(b"id\nann\n", heading=heading) == found
    assert read(b"nick\nann\n", heading=True) == [(2, "ann")]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"ann\tOslo\nbob\tRiga\n", [(1, "ann"), (2, "bob")]),
        (b"ann,Oslo,1\nbob,Riga\ncy,a,b,c\ndee\n", None),
        (b"ann,Oslo,1\nbob,Riga\ncy,a,b,c\n", [(1, "ann"), (2, "bob"), (3, "cy")]),
        (b' ann , x\n"bob",y\n', [(1, "ann"), (2, "bob")]),
        (b'"a,b",x\n', [(1, "a,b")]),
        (b"ann,x;y\nbob,z\n", [(1, "ann"), (2, "bob")]),
    ],
)
def test_file_without_heading_is_refused_unless_declared(data: bytes, found: list[tuple[int, str]] | None) -> None:
    with pytest.raises(UsageError, match=r"^list\.csv"):
        read(data)
    if found is None:
        with pytest.raises(UsageError, match=r"',' found in some lines only"):
            read(data, heading=False)
    else:
        assert read(data, heading=False) == found


@pytest.mark.parametrize(
    ("data", "options", "found"),
    [
        (b"email;name\nann@x;Ann\n", {"column": "email"}, [(2, "ann@x")]),
        (b"E-Mail;name\nann@x;Ann\n", {"column": "e mail"}, [(2, "ann@x")]),
        (b"email;name\nann@x;Ann\n", {"column": "1", "heading": True}, [(2, "ann@x")]),
        (b"Ann;ann@x\n", {"column": "2", "heading": False}, [(1, "ann@x")]),
        (b"id,name,key\n1,Ann,ann\n", {"column": "key"}, [(2, "ann")]),
        (b"id,name,key\n1,Ann,ann\n", {"column": "3"}, [(2, "ann")]),
        (b"ann;dee\nbob\n", {"delimiter": ","}, [(1, "ann;dee"), (2, "bob")]),
        (b"tenant|ann\ntenant|bob\n", {"delimiter": ","}, [(1, "tenant|ann"), (2, "tenant|bob")]),
        (b"name:id\nAnn:ann\n", {"delimiter": ":"}, [(2, "ann")]),
        (b"name\tid\nAnn, A.\tann\n", {"delimiter": "tab"}, [(2, "ann")]),
        (b"id,name\nann;x,Ann\n", {"delimiter": ","}, [(2, "ann;x")]),
        (b"id\nann,x\n", {"delimiter": ","}, [(2, "! has 2 columns; the heading has 1")]),
    ],
)
def test_delimiter_and_column_can_be_specified(
    data: bytes, options: dict[str, Any], found: list[tuple[int, str]]
) -> None:
    assert read(data, **options) == found


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"email;name\nann@x;Ann\n", "line 1 has 2 columns separated by ';', and none has a name that is known"),
        (b"nick,city\nann,Oslo\n", "line 1 has 2 columns separated by ','"),
        (b"# list\nann|Ann\nbob|Bob\n", "line 2 has 2 columns separated by '|'"),
        (b"ann;dee\nbob\n", "what separates the columns is not certain, ';' found in some lines only"),
        (b"ann,x;y\nbob,z;w\n", "not certain, ',' and ';' found in every line"),
        (b"user_id\nann;Ann\nbob;Bob\n", "not certain, ';' found in some lines only"),
        (b"user_id\n" + b"ann\n" * 500 + b"ann;Ann\n", "line 502: the user id 'ann;Ann' holds ';'"),
        (b"user_id\n" + b"ann\n" * 500 + b"ann,Ann\n", "line 502 has 2 columns, and the first line has one"),
        (b"user_id,name\nann,Ann\n" + b"bob;Bob\n", "line 3: the user id 'bob;Bob' holds ';'"),
        (b'ann\n"bob\ncy\n', "line 2: quotation marks do not match"),
        (b'id,name\nann,"Ann\nbob,Bob\n', "line 2: quotation marks do not match"),
        (b'id,name\nann,"Ann" A.\nbob,Bob\n', "line 2: quotation marks do not match"),
        (
            b'id,name\nann,"' + (b"x" * 999 + b"\n") * (FIELD_CHARACTERS // 1_000 + 1),
            "line 2: quotation marks do not match",
        ),
        (gzip.compress(b"ann\nbob\n", mtime=0), "is compressed with gzip"),
        (b"PK\x03\x04\x14\0", "is a ZIP archive or a spreadsheet"),
    ],
)
def test_ambiguous_file_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(data)
    assert str(refused.value).startswith("list.csv")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"column": "mail"}, "line 1: no column is named 'mail'; there are id, name"),
        ({"column": "3"}, "line 1 has 2 columns, and no column 3"),
        ({"column": "0"}, "line 1 has 2 columns, and no column 0"),
        ({"delimiter": ", "}, "--delimiter must be one character"),
        ({"delimiter": '"'}, "--delimiter must be one character"),
    ],
)
def test_wrong_delimiter_or_column_is_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(b"id,name\nann,Ann\n", **options)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_with_ascending_line_numbers_or_refused(data: bytes) -> None:
    with suppress(UsageError):
        numbers = [found.line for found in users_in(io.BytesIO(data), heading=False)]
        assert numbers == sorted(set(numbers))


@given(st.lists(st.text(alphabet="abcXYZ019_-@.", min_size=1, max_size=32), max_size=30))
def test_user_ids_read_back_as_written(users: list[str]) -> None:
    data = "user_id,x\r\n" + "".join(f'"{user}",1\r\n' for user in users)
    assert [user for _, user in read(data.encode())] == users


def test_memory_does_not_grow_with_file_size(tmp_path: Path) -> None:
    def peak(lines: int) -> int:
        path = tmp_path / str(lines)
        path.write_bytes(b"user_id,some,columns\n" + b"user_12345,some,columns\n" * lines)
        with path.open("rb") as source:
            tracemalloc.start()
            try:
                assert sum(1 for _ in users_in(source)) == lines
                return tracemalloc.get_traced_memory()[1]
            finally:
                tracemalloc.stop()

    assert peak(20_000) < peak(4_000) * 1.5
