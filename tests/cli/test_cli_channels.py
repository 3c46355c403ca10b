"""`channels`: create, show, list, update, delete."""

import os
import pty
import re
from collections.abc import Callable

from tests.cli.conftest import OWNER
from tests.cli.shell import SECONDS, Shell, interrupted


def test_channel_is_created_shown_updated_listed_and_deleted(cli: Shell) -> None:
    custom = cli.file("custom.txt", "数据" * 50)
    made = cli(
        "channels", "create", "--slug", "life", "--name", "港口 ⚓", "--owner", OWNER, "--introduction", "潮汐",
        "--organization", "Harbour office", "--custom-data-file", custom, "--json",
    ).json  # fmt: skip
    assert (made["id"], made["slug"], made["name"], made["owner"]) == ("@TGS#_life", "life", "港口 ⚓", OWNER)
    assert (made["introduction"], made["organization"], made["custom_data"]) == ("潮汐", "Harbour office", "数据" * 50)
    assert made["complete"] is True
    assert made["created_at"].endswith("Z")

    assert cli("--json", "channels", "show", "@TGS#_life").json == made  # the option may stand before the command
    shown = cli("channels", "show", "life").out
    assert re.search(r"^name +港口 ⚓$", shown, re.MULTILINE)

    changed = cli("channels", "update", "life", "--introduction", "", "--name", "Harbour", "--json").json
    assert changed == {**made, "introduction": "", "name": "Harbour"}

    listed = cli.installed("channels", "list", "--json").json
    assert changed in listed
    mine = cli("channels", "list", "--user", OWNER, "--json").json
    assert [each["channel"] for each in mine if each["channel"]["slug"] == "life"] == [changed]
    assert mine[0]["role"] == "owner"
    heading, *rows = cli("channels", "list").out.splitlines()
    assert heading.split() == ["slug", "name", "owner", "subscribers", "complete", "created_at"]
    assert any(row.startswith("life ") for row in rows)

    assert cli("channels", "delete", "life", "--yes", "--json").json == {
        "channel": "@TGS#_life",
        "deleted": True,
    }
    assert cli("channels", "delete", "life", "--yes").out == "life was gone already\n"
    assert cli("channels", "show", "life", "--json", code=1).error["kind"] == "not_found"


def test_overlong_text_is_refused_with_field_limit_and_size(cli: Shell) -> None:
    refused = cli("channels", "create", "--slug", "long", "--name", "港" * 34, "--owner", OWNER, "--json", code=1)
    assert refused.out == ""
    assert refused.error == {
        "kind": "invalid",
        "message": "name has 102 bytes; 100 are allowed",
        "field": "name",
        "limit": 100,
        "size": 102,
        "code": None,
        "retry_after": None,
    }
    spoken = cli("channels", "create", "--slug", "long", "--name", "x" * 101, "--owner", OWNER, code=1)
    assert (spoken.out, spoken.err) == ("", "error: name has 101 bytes; 100 are allowed\n")


def test_unknown_owner_is_named(cli: Shell) -> None:
    refused = cli(
        "channels", "create", "--slug", "orphan", "--name", "n", "--owner", "stranger", "--json", code=1
    ).error
    assert "stranger" in refused["message"]


def test_user_without_channels_gets_an_empty_list(cli: Shell) -> None:
    assert cli("channels", "list", "--user", "reader_79", "--json").json == []
    spoken = cli("channels", "list", "--user", "reader_79")
    assert (spoken.out, spoken.err) == ("", "reader_79 follows no channel\n")


def test_json_has_channel_id_for_slug_and_id_arguments(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    gone = cli("channels", "delete", news, "--yes", "--json").json
    assert gone == {"channel": f"@TGS#_{news}", "deleted": True}
    feed = cli.file("f.xml", "<rss version='2.0'><channel><title>T</title></channel></rss>")
    other = new_channel()
    for name in (other, f"@TGS#_{other}"):
        assert cli("posts", "import-feed", name, feed, "--json").json["channel"] == f"@TGS#_{other}"


def on_a_terminal(cli: Shell, *words: str, answer: bytes) -> tuple[int, str]:
    """Return the exit code and all output of a run whose stdin is a terminal."""
    ours, theirs = pty.openpty()
    try:
        process = cli.start_forked(*words, stdin=theirs)
        os.write(ours, answer)
        out, err = process.communicate(timeout=SECONDS)
    finally:
        os.close(ours)
        os.close(theirs)
    return process.returncode, (out + err).decode()


def test_delete_on_terminal_asks_and_accepts_missing_channel(cli: Shell, new_channel: Callable[[], str]) -> None:
    assert on_a_terminal(cli, "channels", "delete", "no_such", answer=b"")[0] == 0
    news = new_channel()
    code, said = on_a_terminal(cli, "channels", "delete", news, answer=b"n\n")
    assert code == 1
    assert f"Delete News {news} with 0 subscribers for good?" in said
    assert "nothing was deleted" in said
    assert on_a_terminal(cli, "channels", "delete", news, answer=b"y\n")[0] == 0


def test_delete_without_terminal_needs_yes(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    for name in (news, "no_such"):
        refused = cli("channels", "delete", name, "--json", code=2).error
        assert (refused["kind"], refused["field"]) == ("usage", "yes")
        assert "--yes" in refused["message"]
    assert cli("channels", "show", news).out
    assert cli("channels", "delete", news, "-y").out == f"{news} is deleted\n"


def test_control_characters_in_channel_name_are_escaped_in_all_output(cli: Shell) -> None:
    name = "\x1b[31mred\x9b32m\u202egnp"
    made = cli("channels", "create", "--slug", "hostile", "--name", name, "--owner", OWNER, "--json")
    assert made.json["name"] == name
    code, question = on_a_terminal(cli, "channels", "delete", "hostile", answer=b"\x04")  # end of input
    assert (code, "interrupted" in question) == (4, True)
    shown = [made.out, question, cli("channels", "show", "hostile").out, cli("channels", "list").out]
    shown.append(cli("call", "group_open_http_svc", "get_group_info", '{"GroupIdList": ["@TGS#_hostile"]}').out)
    for text in shown:
        assert "gnp" in text
        assert not {"\x1b", "\x9b", "\u202e"} & set(text)


def test_interruption_at_confirmation_deletes_nothing(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    ours, theirs = pty.openpty()
    try:
        process = cli.start_forked("channels", "delete", news, stdin=theirs)
        assert process.stderr is not None
        question = b""
        while b"for good?" not in question:
            block = os.read(process.stderr.fileno(), 4096)
            assert block, question
            question += block
        assert interrupted(process, question).err.splitlines()[-1].startswith("error: interrupted")
    finally:
        os.close(ours)
        os.close(theirs)
    assert cli("channels", "show", news).out


def test_excessive_max_subscribers_and_unknown_user_are_refused(cli: Shell) -> None:
    words = ("channels", "create", "--slug", "big", "--name", "n", "--owner", OWNER, "--max-subscribers", "9999999")
    assert "the app's plan has fewer" in cli(*words, code=1).err
    unknown = cli("channels", "list", "--user", "nobody_at_all", code=1).err
    assert unknown == "error: user 'nobody_at_all' is not an account of the app; add it first\n"
