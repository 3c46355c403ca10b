"""User ids from files of every kind."""

import io
import tracemalloc
from collections.abc import Iterator
from typing import BinaryIO, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.cli.people import LINE_CHARACTERS, BrokenLine, Person, read_people
from channel_adapter.tencent.limits import USER_ID_BYTES


def read(data: bytes, *, heading: bool | None = None) -> list[tuple[int, str]]:
    return [
        (found.line, found.user if isinstance(found, Person) else f"! {found.reason}")
        for found in read_people(io.BytesIO(data), heading=heading)
    ]


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
        (b"ann\tOslo\nbob\tRiga\n", [(1, "ann"), (2, "bob")]),
        (b"ann,Oslo,1\nbob,Riga\n", [(1, "ann"), (2, "bob")]),
        (b' ann , x\n"bob",y\n', [(1, "ann"), (2, "bob")]),
        (b'"a,b",x\n', [(1, "a,b")]),
        (b"id,name\n# ann,off\nbob,Bob\n", [(3, "bob")]),
        (b"ann;dee\nbob\n", [(1, "ann;dee"), (2, "bob")]),
    ],
)
def test_lines_that_name_somebody(data: bytes, found: list[tuple[int, str]]) -> None:
    assert read(data) == found


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff\xfea", "not UTF-8"),
        (b",Oslo", "the user id is empty"),
        (b'""', "the user id is empty"),
        (b'"bob', "a quotation mark without its partner; one line is one person"),
        (b'end of a text",bob', "the user id 'end of a text\"' holds a quotation mark"),
        (b"b\0ob", "holds a NUL character; is it UTF-16?"),
        (b"x" * (USER_ID_BYTES + 1), f"user has {USER_ID_BYTES + 1} bytes; {USER_ID_BYTES} are allowed"),
        ("张三".encode(), "user: '张三' holds characters that are not printable ASCII"),
        (b"x" * (LINE_CHARACTERS * 2 + 5), f"longer than {LINE_CHARACTERS:,} characters"),
    ],
)
def test_a_broken_line_has_its_number_and_reason_and_the_rest_goes_on(line: bytes, reason: str) -> None:
    assert read(b"ann\n" + line + b"\ncy\n") == [(1, "ann"), (2, f"! {reason}"), (3, "cy")]


def test_a_broken_first_line_is_reported_too() -> None:
    assert read(b"\xff\nann\n") == [(1, "! not UTF-8"), (2, "ann")]


def test_a_user_id_of_the_longest_length_is_taken() -> None:
    assert read(b"x" * USER_ID_BYTES) == [(1, "x" * USER_ID_BYTES)]


def test_a_line_without_the_column_of_the_heading() -> None:
    assert read(b"name,id\nann\nBob,bob\n") == [(2, "! has 1 column; the id is in column 2"), (3, "bob")]


@pytest.mark.parametrize(("heading", "found"), [(False, [(1, "id"), (2, "ann")]), (True, [(2, "ann")])])
def test_the_caller_may_say_whether_there_is_a_heading(heading: bool, found: list[tuple[int, str]]) -> None:
    assert read(b"id\nann\n", heading=heading) == found
    assert read(b"nick\nann\n", heading=True) == [(2, "ann")]


@pytest.mark.parametrize(
    ("data", "heading", "remarks"),
    [
        (b"nick,city\nann,Oslo\n", None, 1),
        (b"nick,city\nann,Oslo\n", False, 0),
        (b"nick,city\nann,Oslo\n", True, 0),
        (b"nick,user\nAnn,ann\n", None, 0),
        (b"ann\nbob\n", None, 0),
        (b"", None, 0),
    ],
)
def test_a_first_line_of_several_columns_none_of_them_known_is_remarked_upon(
    data: bytes, heading: bool | None, remarks: int
) -> None:
    said: list[str] = []
    list(read_people(io.BytesIO(data), heading=heading, remark=said.append))
    assert len(said) == remarks
    if said:
        assert said[0] == (
            "line 1 names no column that is known (user, user_id, account, id), so the first column is taken"
            " from line 1 on; say --header when line 1 is a heading, --no-header when it is not"
        )


@given(st.binary(max_size=300))
def test_any_bytes_give_people_or_reasons(data: bytes) -> None:
    numbers = [found.line for found in read_people(io.BytesIO(data))]
    assert numbers == sorted(set(numbers))


@given(st.lists(st.text(alphabet="abcXYZ019_-@.", min_size=1, max_size=32), max_size=30))
def test_ids_come_back_as_written(users: list[str]) -> None:
    data = "user_id,x\r\n" + "".join(f'"{user}",1\r\n' for user in users)
    assert [user for _, user in read(data.encode())] == users


class Endless(io.RawIOBase):
    """Lines that are nowhere at once."""

    def __init__(self, lines: int) -> None:
        self._blocks = iter([b"user_12345,some,columns\n" * 300] * (lines // 300))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        block = next(self._blocks, b"")
        memoryview(buffer).cast("B")[: len(block)] = block
        return len(block)


def test_memory_does_not_grow_with_the_file() -> None:
    def peak(lines: int) -> int:
        tracemalloc.start()
        try:
            people: Iterator[Person | BrokenLine] = read_people(cast("BinaryIO", Endless(lines)))
            assert sum(1 for _ in people) == lines
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(60_000) < peak(6_000) * 1.5
