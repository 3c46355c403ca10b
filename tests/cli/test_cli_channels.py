"""`channels`: create, show, list, update, delete."""

from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


def test_the_life_of_a_channel(cli: Shell) -> None:
    custom = cli.file("custom.txt", "数据" * 50)
    made = cli.installed(
        "channels", "create", "--slug", "life", "--name", "港口 ⚓", "--owner", OWNER, "--introduction", "潮汐",
        "--organization", "Harbour office", "--custom-data-file", custom, "--json",
    ).json  # fmt: skip
    assert (made["id"], made["slug"], made["name"], made["owner"]) == ("@TGS#_life", "life", "港口 ⚓", OWNER)
    assert (made["introduction"], made["organization"], made["custom_data"]) == ("潮汐", "Harbour office", "数据" * 50)
    assert made["complete"] is True
    assert made["created_at"].endswith("Z")

    assert (
        cli.installed("--json", "channels", "show", "@TGS#_life").json == made
    )  # the option may stand before the command
    shown = cli("channels", "show", "life").out
    assert "name              港口 ⚓\n" in shown

    changed = cli.installed("channels", "update", "life", "--introduction", "", "--name", "Harbour", "--json").json
    assert changed == {**made, "introduction": "", "name": "Harbour"}

    listed = cli.installed("channels", "list", "--json").json
    assert changed in listed
    mine = cli("channels", "list", "--user", OWNER, "--json").json
    assert [each["channel"] for each in mine if each["channel"]["slug"] == "life"] == [changed]
    assert mine[0]["role"] == "owner"
    heading, *rows = cli("channels", "list").out.splitlines()
    assert heading.split() == ["slug", "name", "owner", "subscribers", "complete", "created_at"]
    assert any(row.startswith("life ") for row in rows)

    assert cli.installed("channels", "delete", "life", "--json").json == {"channel": "life", "deleted": True}
    assert cli("channels", "delete", "life", "--yes").out == "life was gone already\n"
    assert cli("channels", "show", "life", "--json", code=1).error["kind"] == "not_found"


def test_texts_over_their_bytes_are_refused_with_field_limit_and_size(cli: Shell) -> None:
    refused = cli("channels", "create", "--slug", "long", "--name", "港" * 34, "--owner", OWNER, "--json", code=1)
    assert refused.out == ""
    assert refused.error == {
        "kind": "invalid",
        "message": "name has 102 bytes; 100 are allowed",
        "field": "name",
        "limit": 100,
        "size": 102,
        "code": None,
    }
    spoken = cli("channels", "create", "--slug", "long", "--name", "x" * 101, "--owner", OWNER, code=1)
    assert (spoken.out, spoken.err) == ("", "error: name has 101 bytes; 100 are allowed\n")


def test_an_owner_whom_the_app_does_not_know_is_named(cli: Shell) -> None:
    refused = cli(
        "channels", "create", "--slug", "orphan", "--name", "n", "--owner", "stranger", "--json", code=1
    ).error
    assert "stranger" in refused["message"]


def test_somebody_without_channels(cli: Shell) -> None:
    assert cli("channels", "list", "--user", "reader_79", "--json").json == []
    spoken = cli("channels", "list", "--user", "reader_79")
    assert (spoken.out, spoken.err) == ("", "reader_79 follows no channel\n")
