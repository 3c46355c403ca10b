"""Command line in official mode: the same commands, and one sentence for an unsupported operation."""

from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


def official(cli: Shell, database: bool = True) -> Shell:
    url = {"CHANNEL_ADAPTER_DATABASE_URL": f"sqlite:///{cli.directory / 'official.db'}"} if database else {}
    return cli.having(CHANNEL_ADAPTER_MODE="official", **url)


def test_channel_is_created_used_and_deleted_in_official_mode(cli: Shell) -> None:
    shell = official(cli)
    slug = "official_gazette"
    made = shell("channels", "create", "--slug", slug, "--name", "Gazette", "--owner", OWNER, "--json").json
    assert made["id"] == f"@TOA#_{slug}"
    assert shell("subscribers", "add", slug, "reader_1", "reader_2").code == 0
    post = shell("posts", "publish", slug, "low tide", "--json").json
    assert (post["ref"]["seq"], post["ref"]["key"][:4], post["author"]) == (1, "1_1_", None)
    assert shell("reactions", "add", slug, "1", "reader_1", "👍", "--json").json["channel"] == f"@TOA#_{slug}"
    assert slug in shell("channels", "list").out
    shown = shell("channels", "list")
    assert "created, read or adopted here" in shown.err
    assert [row["user"] for row in shell("subscribers", "list", slug, "--json").json] == ["reader_1", "reader_2"]
    refused = shell("posts", "edit", slug, "1", "high tide", "--json", code=2)
    assert (refused.code, refused.error["kind"], refused.error["field"]) == (2, "unsupported", "mode")
    assert refused.error["message"] == "unsupported in official mode: posts.edit (the service has no command for it)"
    assert shell("posts", "recall", slug, "1").code == 0
    adopted = shell("channels", "adopt", slug, "absent", code=3)
    assert (adopted.code, "no channels: @TOA#_absent" in adopted.err) == (3, True)
    other = cli("channels", "show", f"@TOA#_{slug}", "--json", code=1)
    assert (other.code, "official mode" in other.error["message"]) == (1, True)
    assert shell("channels", "delete", slug, "--yes").code == 0


def test_posts_of_several_processes_share_one_budget(cli: Shell) -> None:
    shell, slug = official(cli), "official_budget"
    shell("channels", "create", "--slug", slug, "--name", "Budget", "--owner", OWNER)
    for number, code in enumerate((0, 0, 7)):
        result = shell.forked("posts", "publish", slug, f"post {number}", "--json", code=code)
    assert "the next one in" in result.error["message"]
    assert (result.error["kind"], 0 < result.error["retry_after"] <= 3_600) == ("throttled", True)
    shell("channels", "delete", slug, "--yes")


def test_command_that_needs_database_names_the_setting(cli: Shell) -> None:
    shell = official(cli, database=False)
    for arguments in (("channels", "list"), ("reactions", "add", "gazette", "1", "reader_1", "👍")):
        refused = shell(*arguments, "--json", code=2)
        assert (refused.code, refused.error["field"]) == (2, "database_url")


def test_demo_agrees_in_official_mode(cli: Shell) -> None:
    shown = cli("demo", "--mode", "official")
    assert shown.code == 0, shown.out
    assert "read-backs agree" in shown.out
    assert "refused before any call: posts.edit" in shown.out
