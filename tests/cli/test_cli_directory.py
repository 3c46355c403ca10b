"""`directory`: refresh from the app's list, and search without a call."""

from pathlib import Path

from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


def test_channels_are_found_after_refresh(cli: Shell, tmp_path: Path) -> None:
    shell = cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")
    cli(
        "channels",
        "create",
        "--slug",
        "dir_harbour",
        "--name",
        "目录港口",
        "--owner",
        OWNER,
        "--introduction",
        "潮汐 50%",
    )
    nothing = shell("directory", "search", "目录")
    assert nothing.out == ""
    assert "directory refresh" in nothing.err
    assert shell("directory", "refresh", "--json").json["channels"] >= 1
    assert shell("channels", "update", "dir_harbour", "--category", "News", "--category", "港口", "--json").json["name"]
    (entry,) = shell("directory", "search", "录港", "--category", "news", "--json").json
    assert (entry["slug"], entry["verified"], entry["categories"]) == ("dir_harbour", False, ["News", "港口"])
    assert [each["slug"] for each in shell("directory", "search", "目录 50%", "--json").json] == ["dir_harbour"]
    heading, row = shell("directory", "search", "目录").out.splitlines()
    assert heading.split() == ["slug", "name", "verified", "subscribers", "categories", "introduction"]
    assert row.split()[:2] == ["dir_harbour", "目录港口"]
    shell("channels", "verify", "dir_harbour")
    assert len(shell("directory", "search", "目录", "--verified", "--json").json) == 1
    assert shell("directory", "search", "目录", "--not-verified", "--json").json == []
    shell("channels", "update", "dir_harbour", "--category", "")
    assert shell("directory", "search", "目录", "--category", "News", "--json").json == []
    error = cli("directory", "search", "目录", "--json", code=2).error
    assert (error["kind"], error["field"]) == ("configuration", "database_url")
    assert shell("directory", "search", "x" * 201, "--json", code=1).error["limit"] == 200
