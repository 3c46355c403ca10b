"""Files of `migrate verify` and `report`, and which journal the commands continue."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.server import StubServer
from tests.cli.shell import Shell
from tests.migration import worlds
from tests.migration.conftest import planned_shell, world_served
from tests.migration.worlds import Size

IDS = (worlds.TEXTS, worlds.FLAGS)
STEPS = ("apply", "status", "retry", "verify", "cutover", "report", "rollback")


@pytest.fixture
def served() -> Iterator[StubServer]:
    with world_served(Size(20, 9), IDS) as (server, _):
        yield server


@pytest.fixture
def cli(served: StubServer, tmp_path: Path) -> Shell:
    return planned_shell(served, tmp_path, IDS)


def own(cli: Shell) -> Shell:
    """Return a shell whose settings name a database."""
    return cli.having(CHANNEL_ADAPTER_DATABASE_URL="sqlite:///own.db")


def content(cli: Shell) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in cli.directory.glob("plan.*") if path.suffix.startswith(".json")}


def test_stopped_verification_leaves_findings_and_counts(cli: Shell) -> None:
    cli("migrate", "apply", "plan.json")
    cli("migrate", "verify", "plan.json")
    before = content(cli)
    assert {"plan.verify.jsonl", "plan.verify.json"} <= before.keys()
    for calls in ("4", "6", "8"):
        cli("migrate", "verify", "plan.json", "--max-calls", calls, code=4)
        assert content(cli) == before


def test_report_has_no_verification_of_an_earlier_migration_with_the_same_plan_file(cli: Shell) -> None:
    cli("migrate", "apply", "plan.json")
    cli("migrate", "verify", "plan.json")
    assert cli("migrate", "report", "plan.json", "--json").json["verification"]["clean"] is True
    cli.file("accounts.txt", worlds.TEXTS)
    cli("migrate", "plan", "--accounts", "accounts.txt", "--policy", "all=cut", "--name", "other", "--rename",
        f"{worlds.TEXTS}=other", "--accept-empty")  # fmt: skip
    assert cli("migrate", "report", "plan.json", "--json", code=3).json["verification"] is None


def test_counts_are_beside_the_plan_wherever_the_findings_are(cli: Shell) -> None:
    cli("migrate", "apply", "plan.json")
    for out in ("elsewhere.jsonl", "result.json"):
        cli("migrate", "verify", "plan.json", "--out", out)
        lines = (cli.directory / out).read_text().splitlines()
        assert {"mark", "channel"} <= json.loads(lines[0]).keys()
        assert json.loads((cli.directory / "plan.verify.json").read_text())["clean"] is True
        (cli.directory / "plan.verify.json").rename(cli.directory / "moved")
        cli("migrate", "report", "plan.json", code=3)
        (cli.directory / "moved").rename(cli.directory / "plan.verify.json")
        cli("migrate", "report", "plan.json")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("verify", "plan.json", "--out", "plan.json"), "--out would replace plan.json, which the migration needs"),
        (("verify", "plan.json", "--out", "./plan.verify.json"), "--out would replace plan.verify.json"),
        (("verify", "plan.json", "--out", "plan.quarantine.jsonl"), "--out would replace plan.quarantine.jsonl"),
        (("report", "plan.json", "--out", "plan.md"), "--out would replace plan.json"),
        (("report", "plan.json", "--out", "report.json"), "--out names the Markdown; the JSON is written beside it"),
    ],
)
def test_output_that_would_replace_a_file_of_the_migration_is_refused(
    cli: Shell, words: tuple[str, ...], reason: str
) -> None:
    before = content(cli)
    assert reason in cli("migrate", *words, code=2).err
    assert content(cli) == before
    assert not (cli.directory / "report.json").exists()


def test_journal_beside_the_plan_is_continued_when_the_settings_name_a_database_later(cli: Shell) -> None:
    cli("migrate", "apply", "plan.json")
    for step in STEPS:
        run = own(cli)("migrate", step, "plan.json")
        if step == "apply":
            assert "2 of 2 channels brought up to date, run 2" in run.out
    listed = own(cli)("migrate", "report", "plan.json", "--json").json
    assert (listed["round"], listed["complete"]) == (3, True)  # the cutover was the third run


def test_journal_of_the_settings_is_continued_beside_an_empty_journal(cli: Shell) -> None:
    own(cli)("migrate", "apply", "plan.json")
    cli("migrate", "report", "plan.json", "--database", "sqlite:///plan.journal.db", code=3)
    assert (cli.directory / "plan.journal.db").exists()
    for step in STEPS:
        run = own(cli)("migrate", step, "plan.json")
        if step == "apply":
            assert "2 of 2 channels brought up to date, run 2" in run.out


def test_migration_with_two_journals_is_refused_until_one_is_named(cli: Shell) -> None:
    cli("migrate", "apply", "plan.json")
    (cli.directory / "aside.db").write_bytes((cli.directory / "plan.journal.db").read_bytes())
    (cli.directory / "own.db").write_bytes((cli.directory / "plan.journal.db").read_bytes())
    for step in (each for each in STEPS if each != "verify"):
        refused = own(cli)("migrate", step, "plan.json", code=1)
        assert "has two journals, in plan.journal.db and in database_url of the settings: name the one" in refused.err
    own(cli)("migrate", "status", "plan.json", "--database", "sqlite:///plan.journal.db")


@pytest.mark.parametrize("step", ["apply", "status", "retry", "cutover", "rollback", "report"])
def test_database_without_the_journal_is_refused_where_another_has_it(cli: Shell, step: str) -> None:
    cli("migrate", "apply", "plan.json")
    refused = own(cli)("migrate", step, "plan.json", "--database", "sqlite:///wrong.db", code=1)
    assert "is in plan.journal.db, and not in the database that --database names: leave the option out" in refused.err
    assert not (cli.directory / "wrong.db").exists()


@pytest.mark.parametrize("damaged", ["", '{"clean": ', "[1]", '{"clean": true}'])
def test_report_names_a_damaged_file_of_counts(cli: Shell, damaged: str) -> None:
    cli.file("plan.verify.json", damaged)
    refused = cli("migrate", "report", "plan.json", code=1)
    assert "plan.verify.json is no result of a verification: run `migrate verify` again" in refused.err
