"""`subscribers`: add, remove, list, import, check."""

import json
from collections.abc import Callable

import pytest

from tests.cli.shell import Shell


def test_users_are_added_and_removed(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    added = cli("subscribers", "add", news, "reader_1", "reader_2", "--json").json
    assigned = {"status": "assigned", "reason": "", "transient": False}
    assert added == [{"user": f"reader_{n}", "kind": "added", "reason": "", "assignment": assigned} for n in (1, 2)]

    partly = cli("subscribers", "add", news, "reader_2", "reader_3", "stranger", code=3)
    assert [line.split()[:2] for line in partly.out.splitlines()] == [
        ["user", "outcome"], ["reader_2", "already"], ["reader_3", "added"], ["stranger", "not_found"],
    ]  # fmt: skip
    assert cli("subscribers", "add", news, "stranger", "--json", code=1).json[0]["kind"] == "not_found"
    assert cli("subscribers", "add", news, "newcomer", "--import-missing", "--json").json[0]["kind"] == "added"

    checked = cli("subscribers", "check", news, "reader_1", "reader_9", "--json").json
    assert checked == [{"user": "reader_1", "subscribed": True}, {"user": "reader_9", "subscribed": False}]

    listed = cli("subscribers", "list", news, "--json").json
    assert [row["user"] for row in listed] == ["reader_1", "reader_2", "reader_3", "newcomer"]
    assert list(listed[0]) == ["user", "role", "since", "notifications"]
    assert len(cli("subscribers", "list", news, "--limit", "2", "--json").json) == 2

    removed = cli("subscribers", "remove", news, "reader_1", "reader_9", "--json").json
    assert [each["kind"] for each in removed] == ["removed", "already"]
    assert "nobody" not in cli("subscribers", "list", news).err


def test_import_reports_every_kind_of_line(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    data = (
        b'\xef\xbb\xbfuser_id,name\r\n"reader_1",x\r\n\r\n# off\r\nreader_2\r\nbad\xff\r\n'
        + b"x" * 33
        + b"\r\nlatecomer\r\n"
    )
    file = cli.file("users.csv", data)
    assert cli.installed("subscribers", "import", news, file, "--json", code=3).json == {
        "channel": f"@TGS#_{news}",
        "problems": [
            {"line": 6, "user": None, "kind": "broken_line", "reason": "not UTF-8"},
            {"line": 7, "user": None, "kind": "broken_line", "reason": "user has 33 bytes; 32 are allowed"},
            {"line": 8, "user": "latecomer", "kind": "not_found", "reason": ""},
        ],
        "read": 5,
        "broken_lines": 2,
        "counts": {"added": 2, "not_found": 1},
        "assignments": {"assigned": 2},
        "complete": True,
    }
    again = cli("subscribers", "import", news, file, "--import-missing", code=3)
    assert again.out == "5 lines read: 1 added, 2 already, 2 broken lines\n"
    assert again.err.splitlines() == ["line 6: not UTF-8", "line 7: user has 33 bytes; 32 are allowed"]


def test_import_reads_stdin_and_accepts_empty_input(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    assert cli.forked("subscribers", "import", news, "-", stdin="reader_1\nreader_2").out == "2 lines read: 2 added\n"
    assert cli.forked("subscribers", "import", news, "-", stdin="").out == "0 lines read: no users in them\n"


def test_missing_channel_is_reported(cli: Shell) -> None:
    users = cli.file("users.txt", "reader_1\n")
    refused = cli("subscribers", "import", "no_such", users, "--json", code=1)
    assert (refused.out, refused.error["kind"]) == ("", "not_found")
    assert cli("subscribers", "list", "no_such", "--json", code=1).out == ""


def test_list_that_stops_early_reports_its_cursor(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    users = "".join(f"crowd_{n}\n" for n in range(130))
    cli("subscribers", "import", news, cli.file("crowd.txt", users), "--import-missing")
    stopped = cli("subscribers", "list", news, "--limit", "110")
    assert len(stopped.out.splitlines()) == 111
    (said,) = stopped.err.splitlines()
    assert said.startswith("stopped after 110; --cursor ")
    cursor = said.split("--cursor ")[1].split()[0]
    rest = [row["user"] for row in cli("subscribers", "list", news, "--cursor", cursor, "--json").json]
    listed = [line.split()[0] for line in stopped.out.splitlines()[1:]]
    assert set(listed) | set(rest) == set(users.split())
    machine = cli("subscribers", "list", news, "--limit", "110", "--json")
    assert (len(machine.json), json.loads(machine.err)) == (110, {"stopped": {"count": 110, "cursor": cursor}})
    assert cli("subscribers", "list", news, "--limit", "2").err == "stopped after 2; there may be more\n"
    assert cli("subscribers", "list", news, "--limit", "500").err == ""


def test_repeated_user_in_file_has_two_line_numbers(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    file = cli.file("users.txt", "reader_1\nstranger\nreader_2\nstranger\n")
    problems = cli("subscribers", "import", news, file, "--json", code=3).json["problems"]
    assert [(problem["line"], problem["user"]) for problem in problems] == [(2, "stranger"), (4, "stranger")]


@pytest.mark.parametrize(
    "data",
    [
        "email;name\nann@example.org;Ann\nbob@example.org;Bob\n",
        "reader_1,Ann\nreader_2,Bob\n",
        "user_id\n" + "reader_1\n" * 300 + "reader_2;Bob\n",
        'user_id,bio\nreader_1,"Hi\nfriend\n',
    ],
)
@pytest.mark.parametrize("name", ["users.csv", "-"])
def test_ambiguous_file_is_refused_without_changes(
    cli: Shell, new_channel: Callable[[], str], data: str, name: str
) -> None:
    news = new_channel()
    file = cli.file(name, data) if name != "-" else name
    words = ("subscribers", "import", news, file, "--import-missing", "--json")
    refused = cli.forked(*words, stdin=data, code=2)
    assert refused.out == ""
    assert refused.error["message"].startswith(file if name != "-" else "stdin")
    assert cli("subscribers", "list", news).err == "no subscribers\n"


def test_import_accepts_delimiter_and_column_options(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    lists = {
        "a.csv": ("key;name\nreader_1;Ann\n", ("--column", "key")),
        "b.csv": ("Bob:reader_2\n", ("--delimiter", ":", "--column", "2", "--no-header")),
        "c.csv": ('sep=;\nuser_id;bio\nreader_3;"Hi\nfriend;\nbye"\n', ()),
        "d.csv": ("reader_4,Dee\n", ("--no-header",)),
    }
    for name, (data, options) in lists.items():
        done = cli("subscribers", "import", news, cli.file(name, data), "--import-missing", *options)
        assert (done.out, done.err) == ("1 line read: 1 added\n", "")
    listed = cli("subscribers", "list", news, "--json").json
    assert [row["user"] for row in listed] == ["reader_1", "reader_2", "reader_3", "reader_4"]


def test_notifications_name_the_channel_by_its_id(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    cli("subscribers", "add", news, "reader_1")
    for words, wanted in ((("notifications", news, "reader_1", "off"), "off"), (("mute", news, "reader_1"), "muted")):
        assert cli("subscribers", *words, "--json").json == {
            "user": "reader_1", "channel": f"@TGS#_{news}", "notifications": wanted, "changed": True,
        }  # fmt: skip
