"""`insights`: tables, JSON and CSV."""

import csv
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
    assert shown.out.splitlines()[-1].split()[1:5] == ["1", "1", "-", "1"]
    assert "1 subscriber now; 1 joins, - leaves, 1 post since" in shown.err
    assert "@TGS#_figures/1: 1 of 1 viewed, 0 reactions: One post" in shown.err
    edge = shell("insights", "show", "figures", "--since", "0001-01-01T00:00:00+05:00", "--json", code=1).error
    assert (edge["kind"], edge["field"]) == ("invalid", "since")
    found = shell("insights", "show", "figures", "--json").json
    assert (found["subscribers"], found["joins"], found["best"][0]["excerpt"]) == (1, 1, "One post")
    out = tmp_path / "days.csv"
    assert (
        shell("insights", "export", "figures", "--out", str(out), "--since", "0001-01-01", "--json").json["rows"] == 1
    )
    assert out.read_text(encoding="utf-8").splitlines()[0] == "day,subscribers,joins,leaves,posts"
    again = shell("insights", "export", "figures", "--out", str(out), "--json", code=2).error
    assert again["field"] == "out"
    posts = tmp_path / "posts.csv"
    shell("insights", "export", "figures", "--posts", "--out", str(posts))
    assert posts.read_text(encoding="utf-8").splitlines()[1].startswith("@TGS#_figures/1,")


def test_exported_text_is_no_formula_of_a_spreadsheet(shell: Shell, tmp_path: Path) -> None:
    shell("channels", "create", "--slug", "formulas", "--name", "Formulas", "--owner", OWNER)
    for text in ("=1+1", "@SUM(A1)", "Tide"):
        shell("posts", "publish", "formulas", text)
    out = tmp_path / "posts.csv"
    shell("insights", "export", "formulas", "--posts", "--out", str(out))
    with out.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["excerpt"] for row in rows) == ["'=1+1", "'@SUM(A1)", "Tide"]
    assert {row["ref"].rpartition("/")[0] for row in rows} == {"@TGS#_formulas"}


def test_insights_without_database_name_missing_setting(cli: Shell) -> None:
    assert cli("insights", "show", "figures", "--json", code=2).error["field"] == "database_url"


def test_export_to_name_that_is_not_utf8_is_reported_as_json(shell: Shell, tmp_path: Path) -> None:
    shell("channels", "create", "--slug", "odd_name", "--name", "Odd", "--owner", OWNER)
    out = str(tmp_path / "days\udcff.csv")
    assert shell("insights", "export", "odd_name", "--out", out, "--json").json["file"] == out
    assert shell("posts", "discard-draft", "\udcff", "--json").json == {"id": "\udcff", "discarded": False}
