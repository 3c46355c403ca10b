"""Tables on a terminal of 80 columns, and the same tables without a terminal."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from collections import Counter
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from channel_adapter.cli.output import Table, fold
from tests.cli.shell import DOCTOR, PROGRAM, SECONDS, Shell

COLUMNS = 80


def on_a_terminal(cli: Shell, *words: str, code: int = 0) -> list[str]:
    """Return the lines that a command shows on a terminal of 80 columns, without the attributes of the heading."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    environment = {name: value for name, value in cli.environment.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
        cwd=cli.directory, env=environment,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    try:
        while block := _read(ours):
            shown += block
        _, err = process.communicate(timeout=SECONDS)
    finally:
        os.close(ours)
        process.kill()
    assert process.returncode == code, err
    return re.sub(r"\x1b\[\d*m", "", shown.decode()).splitlines()


def _read(terminal: int) -> bytes:
    """Return the next bytes; none when the last writing process has ended, which Linux reports as an error."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def characters(text: str) -> Counter[str]:
    """Return the characters of a text without those that a fold adds or removes."""
    return Counter(re.sub(r"\s", "", text))


def test_stub_report_folds_at_terminal_width_without_loss(cli: Shell) -> None:
    whole = cli("stub", "--divergences").out
    lines = on_a_terminal(cli, "stub", "--divergences")
    assert max(map(cell_len, lines)) <= COLUMNS
    assert len(lines) > len(whole.splitlines())
    assert characters("".join(lines)) == characters(whole)


def test_explained_unread_counts_fold_at_terminal_width_without_loss(
    cli: Shell, new_channel: Callable[[], str]
) -> None:
    news = new_channel()
    cli("subscribers", "add", news, "reader_70")
    cli("posts", "publish", news, "one")
    words = ("unread", "show", "reader_70", "--explain")
    whole = cli(*words).out
    assert len(whole.splitlines()) == 3
    lines = on_a_terminal(cli, *words)
    assert max(map(cell_len, lines)) <= COLUMNS
    assert characters("".join(lines)) == characters(whole)


def test_doctor_shows_whole_sentences_on_terminal(cli: Shell) -> None:
    found = cli("doctor", "--json", code=DOCTOR).json
    lines = on_a_terminal(cli, "doctor", code=DOCTOR)
    assert max(map(cell_len, lines)) <= COLUMNS
    fields = next(each["message"] for each in found if each["check"] == "fields")
    assert characters(fields) - characters("".join(lines)) == Counter()
    assert len(cli("doctor", code=DOCTOR).out.splitlines()) == len(found) + 1


def test_widest_column_is_folded() -> None:
    written: list[str] = []
    table = Table(("seq", "author", "content"), written.append, str, width=40)
    table.add(1, "editor_7", "fog " * 8)
    table.add(2, "editor_7", "港" * 14)
    table.close()
    assert written == [
        "seq  author    content",
        "1    editor_7  fog fog fog fog fog fog",
        "               fog fog",
        "2    editor_7  港港港港港港港港港港港港",
        "               港港",
    ]


@pytest.mark.parametrize("width", [5, 8, 13, 24])
def test_columns_fit_narrow_terminal(width: int) -> None:
    written: list[str] = []
    table = Table(("one", "two"), written.append, str, width=width)
    table.add("x" * 50, "y" * 50)
    table.close()
    assert max(map(cell_len, written)) <= width
    assert characters("".join(written)) == characters("onetwo" + "x" * 50 + "y" * 50)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("fog", 5, ["fog"]),
        ("fog at noon", 6, ["fog at", "noon"]),
        ("fog at noon", 3, ["fog", "at", "noo", "n"]),
        ("港口新闻", 5, ["港口", "新闻"]),
        ("港", 1, ["港"]),
    ],
)
def test_text_is_folded_at_width(text: str, width: int, lines: list[str]) -> None:
    assert fold(text, width) == lines
