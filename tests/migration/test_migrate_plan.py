"""`migrate plan` and `migrate show` as shell commands."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.server import StubServer
from tests.cli.shell import Shell
from tests.migration import worlds
from tests.migration.conftest import shell_on, world_served
from tests.migration.worlds import Moving, Size


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[StubServer, Moving]]:
    with world_served(Size(40, 24)) as server_and_world:
        yield server_and_world


@pytest.fixture
def cli(served: tuple[StubServer, Moving], tmp_path: Path) -> Shell:
    return shell_on(served[0], tmp_path)


@pytest.fixture
def accounts(served: tuple[StubServer, Moving], tmp_path: Path) -> str:
    return str(served[1].write_ids(tmp_path / "accounts.txt"))


RENAME = ("--rename", f"{worlds.TAKEN}=taken_by_us")


def test_complete_plan_is_reproducible_and_can_be_shown(cli: Shell, accounts: str) -> None:
    run = cli("migrate", "plan", "--accounts", accounts, "--policy", "all=cut", *RENAME)
    assert "plan.json: migration m" in run.out
    assert "12 channels" in run.out
    assert "import_group_member" in run.out
    first = (cli.directory / "plan.json").read_bytes()
    again = cli("migrate", "plan", "--accounts", accounts, "--policy", "all=cut", *RENAME, "--json")
    assert (cli.directory / "plan.json").read_bytes() == first
    assert again.json["ready"] is True
    assert again.json["channels"] == 12
    assert cli("migrate", "show", "plan.json").out == run.out
    assert list(cli.directory.glob("*.quarantine.jsonl")) == []


def test_plan_without_policies_is_refused_with_losses_and_problems(cli: Shell, accounts: str) -> None:
    run = cli("migrate", "plan", "--accounts", accounts, "--out", "p.json", code=1)
    assert f"refused: {worlds.LIMITS}: name (150 bytes; 100 are allowed)" in run.out
    assert f"problem: {worlds.TAKEN}: @TGS#_taken is taken by a group that is no channel" in run.out
    assert "it cannot be applied: 1 problem, " in run.out
    assert "that no policy allows (plan again with --policy LOSS=cut or LOSS=store)" in run.out
    assert json.loads((cli.directory / "p.json").read_text())["migration"]
    assert cli("migrate", "show", "p.json", "--json", code=1).json["ready"] is False


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["@TOA#_full", "#TOA#_123", "", "harbour"], ("line 2", "line 4", "does not begin with @TOA#_")),
        (["# nothing"], ("names no official account",)),
        (["@TOA#_full", "@TOA#_no_such"], ("1 of 2 official accounts do not exist", "@TOA#_no_such")),
    ],
)
def test_unusable_account_list_makes_no_plan(cli: Shell, lines: list[str], words: tuple[str, ...]) -> None:
    file = cli.file("accounts.txt", "\n".join(lines))
    run = cli("migrate", "plan", "--accounts", file, "--json", code=1)
    assert all(each in run.error["message"] for each in words)
    assert not (cli.directory / "plan.json").exists()


def test_users_and_callbacks_yield_the_same_accounts(cli: Shell, served: tuple[StubServer, Moving]) -> None:
    _, moving = served
    moving.write_people(cli.directory / "users.txt")
    followed = [account for account in moving.ids if account != worlds.EMPTY]
    callbacks = [
        {"CallbackCommand": "OfficialAccount.CallbackAfterCreateOfficialAccount", "Official_Account": account}
        for account in followed
    ]
    cli.file("callbacks.jsonl", "\n".join(map(json.dumps, callbacks)))
    cut = ("--policy", "all=cut", *RENAME)
    found = []
    for option, name in (("--users", "users.txt"), ("--callbacks", "callbacks.jsonl")):
        cli("migrate", "plan", option, name, "--out", f"{name}.json", *cut)
        document = json.loads((cli.directory / f"{name}.json").read_text())
        found.append((document["migration"], sorted(each["source"]["id"] for each in document["channels"])))
    assert found[0] == found[1]
    assert found[0][1] == sorted(followed)


def test_unknown_user_is_written_to_the_quarantine_file(cli: Shell) -> None:
    cli.file("users.txt", "reader_000000\nghost\n")
    run = cli("migrate", "plan", "--users", "users.txt", "--policy", "all=cut", *RENAME, code=3)
    assert "broken: users.txt, line 2" in run.out
    [line] = (cli.directory / "plan.quarantine.jsonl").read_text().splitlines()
    assert json.loads(line)["raw"] == "ghost"


def test_files_yield_a_plan_and_broken_lines(cli: Shell) -> None:
    folder = cli.directory / "exported"
    folder.mkdir()
    cli.file(
        "exported/channels.csv", "id,name,created_at\nharbour,Harbour,1760000000\nports,Ports,2025-10-10T08:00:00Z\n"
    )
    cli.file("exported/subscribers.jsonl", '{"channel": "harbour", "user": "reader_000001"}\n{"user": 5}\n')
    cli.file("exported/posts.csv", 'channel,id,time,text\nharbour,1,1760000100,"Tides, today"\nharbour,2,99,early\n')
    words = ("migrate", "plan", "--files", "exported", "--owner", worlds.OWNER)
    run = cli(*words, code=3)
    assert "broken: subscribers.jsonl, line 2: channel is missing" in run.out
    assert "broken: posts.csv, line 3: time lies before channel 'harbour' was made" in run.out
    document = json.loads((cli.directory / "plan.json").read_text())
    assert [each["target"]["id"] for each in document["channels"]] == ["@TGS#_harbour", "@TGS#_ports"]
    assert document["source"]["digests"].keys() == {"channels", "subscribers", "posts"}
    cli.file("exported/subscribers.jsonl", '{"channel": "harbour", "user": "reader_000001"}\n')
    cli.file("exported/posts.csv", "channel,id,time,text\nharbour,1,1760000100,Tides\n")
    cli(*words)
    assert list(cli.directory.glob("*.quarantine.jsonl")) == []
    cli.file("exported/posts.csv", "channel,id,time,text\n")
    assert "harbour had 1 posts" in cli(*words, code=1).err
    cli(*words, "--accept-empty")
    cli.file("exported/posts.csv", "channel,id,when,text\n")
    assert "posts.csv, line 1: unknown column 'when'" in cli(*words, code=1).err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), 2, "exactly one source of --accounts, --users, --callbacks, --files; 0 were given"),
        (("--accounts", "a", "--files", "b"), 2, "2 were given"),
        (("--accounts", "missing.txt"), 2, "missing.txt cannot be read"),
        (("--files", "noop_failpoint"), 2, "noop_failpoint: No such file or directory"),
        (("--files", "."), 2, ". has no channels.jsonl or channels.csv"),
        (("--accounts", "ids", "--policy", "name=lose"), 2, "refuse, store, cut"),
        (("--accounts", "ids", "--policy", "all=store"), 2, "set database_url"),
        (("--accounts", "ids", "--rename", "x"), 2, "--rename must be ID=SLUG"),
        (("--accounts", "ids", "--rename", "x=y"), 1, "'x' is not in the source"),
        (("--accounts", "ids", "--name", "a b"), 1, "letters, digits, _ and - only"),
        (("--accounts", "ids", "--out", "no/such/folder/plan.json"), 2, "No such file"),
    ],
)
def test_wrong_usage_is_reported_and_makes_no_plan(cli: Shell, words: tuple[str, ...], code: int, message: str) -> None:
    cli.file("ids", "@TOA#_only_texts\n")
    run = cli("migrate", "plan", *words, code=code)
    assert message in run.err
    assert not (cli.directory / "plan.json").exists()


def test_unreadable_earlier_plan_is_not_overwritten(cli: Shell) -> None:
    cli.file("ids", "@TOA#_only_texts\n")
    cli.file("plan.json", "{")
    assert "plan.json is no JSON" in cli("migrate", "plan", "--accounts", "ids", code=1).err
    assert (cli.directory / "plan.json").read_text() == "{"
    cli("migrate", "plan", "--accounts", "ids", "--accept-empty")
    other = (cli.directory / "plan.json").read_text().replace('"sdkappid": 1400000001', '"sdkappid": 7')
    cli.file("plan.json", other)
    assert (
        "is a plan for app 7; the settings name 1400000001" in cli("migrate", "plan", "--accounts", "ids", code=1).err
    )
    assert (cli.directory / "plan.json").read_text() == other
    assert "no plan" in cli("migrate", "show", cli.file("other.json", "{}"), code=1).err


def test_installed_command_shows_help_and_plans(cli: Shell) -> None:
    cli.file("ids", "@TOA#_only_texts\n")
    assert "--accounts" in cli("migrate", "plan", "--help").out
    assert "only_texts" in cli("migrate", "plan", "--accounts", "ids").out
