"""Tables, JSON streams and progress, without a service."""

import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from channel_adapter.cli.demo import DemoRecorder, DemoStep, ReadBackError
from channel_adapter.cli.exits import Exit, UsageError, for_counts, for_error
from channel_adapter.cli.output import ROWS_BEFORE_WIDTHS, ArrayWriter, ObjectWriter, Output, Table, cell, encode
from channel_adapter.cli.progress import Lines, Progress
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Post, PostRef, PostState, Text
from channel_adapter.domain.subscription import OutcomeKind
from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    InvalidError,
    NotFoundError,
    Origin,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.tencent.codes import EDITION_TOO_LOW


def screen(**options: bool) -> tuple[Output, io.BytesIO, io.StringIO]:
    out, err = io.BytesIO(), io.StringIO()
    return Output(stdout=io.TextIOWrapper(out, encoding="utf-8", write_through=True), stderr=err, **options), out, err


def lines_of(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> list[str]:
    written: list[str] = []
    table = Table(columns, written.append, str.upper)
    for row in rows:
        table.add(*row)
    table.close()
    return written


def test_columns_are_aligned_by_terminal_width() -> None:
    assert lines_of(("name", "count"), [("港口", 1), ("a", 22), ("⚓", 3)]) == [
        "NAME  COUNT",
        "港口  1",
        "a     22",
        "⚓    3",
    ]


def test_table_is_not_cut_without_terminal() -> None:
    assert lines_of(("content",), [("fog " * 200 + "end",)])[1] == "fog " * 200 + "end"


def test_table_without_rows_writes_nothing() -> None:
    assert lines_of(("name",), []) == []


def test_long_table_is_written_before_its_end() -> None:
    written: list[str] = []
    table = Table(("n",), written.append, str)
    for n in range(ROWS_BEFORE_WIDTHS):
        table.add(n)
    assert len(written) == ROWS_BEFORE_WIDTHS + 1
    table.add("wider than all before")
    assert written[-1] == "wider than all before"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (True, "yes"),
        (False, "no"),
        (0, "0"),
        ("two\nlines\tand \x1b[31mred\x9b", "two\\nlines\\tand \\x1b[31mred\\x9b"),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02 01:04:05Z"),
        (PostState.RECALLED, "recalled"),
    ],
)
def test_cell_formats_value(value: object, text: str) -> None:
    assert cell(value) == text


def test_json_has_field_names_of_the_domain() -> None:
    post = Post(
        ref=PostRef(ChannelId("@TGS#_x"), 1),
        author=UserId("ed"),
        published_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        parts=(Text("港"),),
        dedupe=7,
    )
    assert json.loads(encode(post)) == {
        "ref": {"channel": "@TGS#_x", "seq": 1},
        "author": "ed",
        "published_at": "2026-01-02T03:04:05Z",
        "parts": [{"text": "港", "kind": "text"}],
        "state": "published",
        "dedupe": 7,
        "broadcast": None,
    }


def test_arrays_and_objects_are_written_incrementally() -> None:
    out = io.BytesIO()
    array = ArrayWriter(out)
    assert out.getvalue() == b""
    array.add({"n": 1})
    assert out.getvalue() == b'[\n{"n":1}'
    array.add([2])
    array.close()
    assert json.loads(out.getvalue()) == [{"n": 1}, [2]]

    class Kind(StrEnum):
        A = "a"

    for before, items, after in (({"x": 1}, [1, 2], {"counts": {Kind.A: 2}}), ({}, [], {})):
        out = io.BytesIO()
        report = ObjectWriter(out, "items", before)
        for item in items:
            report.add(item)
        report.close(after)
        assert json.loads(out.getvalue()) == {**before, "items": items, **after}


def test_failed_list_writes_complete_json_or_nothing() -> None:
    for items, written in (([], b""), ([1, 2], b"[\n1,\n2\n]")):
        output, out, _ = screen(json=True)
        with pytest.raises(KeyError), output.items(("n",)) as listing:  # noqa: PT012
            for item in items:
                listing.add(item)
            raise KeyError
        assert out.getvalue() == written


def test_errors_are_written_as_sentence_or_json() -> None:
    error = InvalidError("name has 102 bytes; 100 are allowed", field="name", limit=100, size=102)
    output, out, err = screen()
    output.describe_progress(lambda: "3 were done")
    output.refusal(error)
    assert err.getvalue() == "error: name has 102 bytes; 100 are allowed; 3 were done\n"
    output, out, err = screen(json=True)
    output.refusal(InvalidError("half \ud800"))
    assert out.getvalue() == b""
    assert json.loads(err.getvalue())["error"]["message"] == "half \\ud800"


def test_notes_are_omitted_with_json() -> None:
    quiet, _, err = screen(json=True)
    quiet.note("x")
    assert err.getvalue() == ""
    output, _, err = screen()
    output.note("x")
    assert err.getvalue() == "x\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError("x"), Exit.REFUSED),
        (InvalidError("x"), Exit.REFUSED),
        (ConfigurationError("x"), Exit.USAGE),
        (ConfigurationError("x", origin=Origin("s", "c", EDITION_TOO_LOW, "", 1)), Exit.USAGE),
        (UsageError("x"), Exit.USAGE),
        (UnavailableError("x"), Exit.SERVICE),
        (ThrottledError("x"), Exit.SERVICE),
        (OutcomeUnknownError("x"), Exit.SERVICE),
    ],
)
def test_error_has_its_exit_code(error: ChannelAdapterError | UsageError, code: Exit) -> None:
    assert for_error(error) is code


@pytest.mark.parametrize(
    ("counts", "broken", "code"),
    [
        ({}, 0, Exit.DONE),
        ({OutcomeKind.ADDED: 2, OutcomeKind.ALREADY: 1}, 0, Exit.DONE),
        ({OutcomeKind.ADDED: 2}, 1, Exit.PARTLY),
        ({OutcomeKind.ADDED: 2, OutcomeKind.FAILED: 1}, 0, Exit.PARTLY),
        ({OutcomeKind.NOT_FOUND: 2}, 0, Exit.REFUSED),
        ({}, 3, Exit.REFUSED),
        ({OutcomeKind.FAILED: 2}, 0, Exit.SERVICE),
        ({OutcomeKind.FAILED: 2, OutcomeKind.FULL: 1}, 0, Exit.REFUSED),
    ],
)
def test_outcome_counts_have_their_exit_code(counts: dict[OutcomeKind, int], broken: int, code: Exit) -> None:
    assert for_counts(counts, broken) is code


def test_progress_writes_line_every_few_seconds() -> None:
    now = [100.0]
    written: list[str] = []
    lines = Lines(lambda snapshot: written.append(snapshot.line()), written.append, every=5.0, clock=lambda: now[0])
    with Progress("imported", 1_000, lines) as progress:
        for _ in range(12):
            now[0] += 1
            progress.advance(50)
    assert written == ["imported 250 of 1,000, 50/s, 15 s left", "imported 500 of 1,000, 50/s, 10 s left"]


def test_progress_on_terminal_shows_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    output = Output(stdout=io.TextIOWrapper(io.BytesIO()), stderr=terminal)
    with output.progress("imported", 2) as progress:
        progress.advance(2)
        progress.say("line 3: [red]not a colour[/]")
    assert "imported" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "line 3: [red]not a colour[/]" in terminal.getvalue()


HOSTILE = "\x1b]0;owned\x07\x9b31m\x7f\u202egnp.exe\u2028\u2029\u200f\ufeff\r\nforged line"
HARMLESS = "Ünïcode 港 👩‍🚀 ⚓️ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 <b>[red]"
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def everything_written(**options: bool) -> tuple[str, str]:
    """Return stdout and stderr after every method of an Output has written hostile text."""
    output, out, err = screen(**options)
    output.line(HOSTILE)
    output.note(HOSTILE)
    output.one({"name": HOSTILE, HOSTILE: 1})
    output.one({"name": HOSTILE}, f"sentence {HOSTILE}")
    output.document([HOSTILE])
    with output.items(("name",), empty=HOSTILE) as listing:
        listing.add({"name": HOSTILE}, HOSTILE)
    table = output.table(("name",))
    table.add(HOSTILE)
    table.close()
    report = output.report("items", {"name": HOSTILE})
    if report is not None:
        report.add(HOSTILE)
        report.close({"last": HOSTILE})
    output.event({"name": HOSTILE})
    output.error("usage", HOSTILE, field=HOSTILE)
    output.trace(f"Traceback\n{HOSTILE}")
    with output.progress("listed") as progress:
        progress.say(HOSTILE)
    return out.getvalue().decode(), err.getvalue()


@pytest.mark.parametrize("json_", [False, True])
def test_control_characters_are_escaped_in_all_output(json_: bool) -> None:
    for text in everything_written(json=json_, verbose=True):
        assert "gnp.exe" in text
        assert DANGEROUS.findall(text) == []
        if not json_:
            assert "\\x1b]0;owned\\x07\\x9b31m\\x7f\\u202egnp.exe\\u2028" in text


def test_line_break_in_foreign_text_starts_no_line() -> None:
    output, out, err = screen()
    output.line(HOSTILE)
    output.note(HOSTILE)
    assert (out.getvalue().count(b"\n"), err.getvalue().count("\n")) == (1, 1)
    assert "\nforged" not in err.getvalue()


def test_escaped_json_decodes_to_the_same_value() -> None:
    assert json.loads(encode({HOSTILE: [HARMLESS]})) == {HOSTILE: [HARMLESS]}
    assert HARMLESS.encode() in encode(HARMLESS)
    assert encode({"a": 1}, indent=True) == b'{\n  "a": 1\n}'


def test_letters_and_emoji_are_not_escaped() -> None:
    assert cell(HARMLESS) == HARMLESS
    assert cell(cell(HOSTILE)) == cell(HOSTILE)


def test_progress_messages_and_log_lines_are_escaped() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    with Output(stdout=io.TextIOWrapper(io.BytesIO()), stderr=terminal).progress("imported", 2) as progress:
        progress.say(HOSTILE)
    assert "\\x1b]0;owned\\x07\\x9b31m" in terminal.getvalue()
    script = (
        "import logging; from channel_adapter.cli.command import LOGGER, configure_logs; configure_logs(2);"
        f"logging.getLogger(LOGGER).warning('from outside: %s', {HOSTILE!r})"
    )
    logged = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stderr
    assert "from outside: \\x1b]0;owned" in logged
    assert DANGEROUS.findall(logged) == []


def test_demo_step_reports_differences_by_field() -> None:
    told: list[int] = []
    recorder = DemoRecorder(lambda number, step: told.append(number), iter([1.0, 3.5]).__next__, keep_going=False)
    with pytest.raises(ReadBackError), recorder.step("s") as step:  # noqa: PT012 - it is raised at the end
        step.same("same", Text("a"), Text("a"))
        step.same("post", Text("a"), Text("b" * 200))
    assert told == [1]
    assert recorder.report.seconds == 2.5
    (difference,) = recorder.report.differences
    assert difference.startswith("s: post: text was 'a', is 'bbb")
    assert difference.endswith("… (202 characters)")
    assert DemoStep("t").differences == []


@pytest.mark.parametrize("indent", [False, True])
def test_json_has_what_orjson_refuses(indent: bool) -> None:
    value = {"file": "days\udcff.csv", "number": 2**70, "at": datetime(2026, 3, 20, 8, tzinfo=UTC), "kind": Exit.PARTLY}
    document = encode({**value, "each": Text("港")}, indent=indent)
    assert json.loads(document) == {
        "file": "days\udcff.csv", "number": 2**70, "at": "2026-03-20T08:00:00Z", "kind": 3,
        "each": json.loads(encode(Text("港"))),
    }  # fmt: skip
    assert (b"\n" in document) is indent
