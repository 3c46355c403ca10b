"""`insights`: tables, JSON and CSV."""

from pathlib import Path

import pytest

from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


@pytest.fixture
def shell(cli: Shell, tmp_path: Path) -> Shell:
    return cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")


def test_views_and_growth_are_shown_and_exported(shell: Shell, tmp_path: Path) -> None:
    shell("channels", "create", "--slug", "figures", "--name", "Figures", "--owner", OWNER)
    shell("subscribers", "add", "figures", "figure_reader", "--import-missing")
    shell("posts", "publish", "figures", "One post")
    shell("unread", "mark-read", "figure_reader", "figures")
    (post,) = shell("insights", "views", "figures", "--json").json["posts"]
    assert (post["views"], post["reach"]) == (1, 1)
    heading, row = shell("insights", "views", "figures").out.splitlines()
    assert heading.split() == ["ref", "published_at", "views", "reach", "share", "trend"]
    assert "100%" in row
    shown = shell("insights", "show", "figures", "--scan")
    assert shown.out.splitlines()[-1].split()[1:5] == ["1", "1", "0", "1"]
    assert "1 of 1 viewed" in shown.err
    found = shell("insights", "show", "figures", "--json").json
    assert (found["subscribers"], found["joins"], found["best"][0]["excerpt"]) == (1, 1, "One post")
    out = tmp_path / "days.csv"
    assert shell("insights", "export", "figures", "--out", str(out), "--json").json["rows"] == 30
    assert out.read_text(encoding="utf-8").splitlines()[0] == "day,subscribers,joins,leaves,posts"
    again = shell("insights", "export", "figures", "--out", str(out), "--json", code=2).error
    assert again["field"] == "out"
    posts = tmp_path / "posts.csv"
    shell("insights", "export", "figures", "--posts", "--out", str(posts))
    assert "One post" in posts.read_text(encoding="utf-8")


def test_growth_without_a_database_is_a_setting_that_is_missing(cli: Shell) -> None:
    assert cli("insights", "show", "figures", "--json", code=2).error["field"] == "database_url"
