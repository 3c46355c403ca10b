"""`migrate verify`, `cutover`, `rollback` and `report` as shell commands, and the content of a report."""

import json
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from channel_adapter.migration.plan.document import Plan
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.world.state import Group
from tests.cli.shell import Shell
from tests.migration import worlds
from tests.migration.applied import moved
from tests.migration.conftest import shell_on, system, world_served
from tests.migration.worlds import Moving, Size

SIZE = Size(20, 12)
HOSTILE = "<img src=x> | **Another** \x1b[31m\x9b\u202e"
TWO = (worlds.TEXTS, worlds.LIMITS)


@pytest.fixture
def served() -> Iterator[tuple[StubServer, Moving]]:
    with world_served(SIZE, TWO) as server_and_world:
        yield server_and_world


@pytest.fixture
def cli(served: tuple[StubServer, Moving], tmp_path: Path) -> Shell:
    """Return a shell in a directory with a plan."""
    server, moving = served
    shell = shell_on(server, tmp_path, database=True)
    shell("migrate", "plan", "--accounts", str(moving.write_ids(tmp_path / "a.txt")), "--policy", "all=cut")
    return shell


def test_verify_cutover_report_and_rollback_work_in_sequence(cli: Shell, served: tuple[StubServer, Moving]) -> None:
    server, _ = served
    missing = cli("migrate", "verify", "plan.json", code=3)
    assert "there is no such group" in missing.out
    cli("migrate", "apply", "plan.json")
    clean = cli("migrate", "verify", "plan.json")
    assert "clean: " in clean.out
    lines = [orjson.loads(line) for line in (cli.directory / "plan.verify.jsonl").read_bytes().splitlines()]
    assert {line["mark"] for line in lines} == {"=", "*"}
    assert json.loads((cli.directory / "plan.verify.json").read_text())["clean"] is True

    def rename() -> Group:
        group = server.world.state.groups["@TGS#_only_texts"]
        group.name = HOSTILE
        return group

    group = server.in_loop(rename)
    differs = cli("migrate", "verify", "plan.json", "--json", code=3)
    assert differs.json["open"] == 1
    assert differs.json["named"][0]["differences"][0]["target"] == HOSTILE
    cli("migrate", "report", "plan.json", code=3)
    text = (cli.directory / "plan.report.md").read_text()
    shown = [cli("migrate", "verify", "plan.json", code=3).out, text]
    shown.append(cli("migrate", "cutover", "plan.json", "--window", "0", code=3).out)
    for each in shown:
        assert "Another" in each
        assert not set("\x1b\x9b\u202e") & set(each)
    assert "\\<img src=x\\> \\| \\*\\*Another\\*\\*" in text
    assert "1 differences that nothing explains" in text
    assert "- `*` @TOA#_only_texts profile name" in text
    assert "| @TOA#_every_limit | @TGS#_every_limit | done |" in text
    accepted = cli("migrate", "verify", "plan.json", "--explained", "plan.verify.jsonl")
    assert "1 accepted by hand" in accepted.out
    assert "not compared: unread counts: no call tells" in accepted.out
    cli("migrate", "report", "plan.json")
    assert ": clean, 1 accepted by hand." in (cli.directory / "plan.report.md").read_text()
    group.name = f"News of {worlds.TEXTS.removeprefix('@TOA#_')}"
    cli("migrate", "verify", "plan.json")
    left = cli("migrate", "cutover", "plan.json", "--window", "0", "--no-wait")
    assert "posting has moved for 2 of 2 channels" in left.out
    assert "conversation groups: 0 filled, 0 problems, unfinished" in left.out
    assert "posting has moved for 2 of 2 channels" in cli("migrate", "status", "plan.json").out
    done = cli("migrate", "cutover", "plan.json", "--window", "0", "--json")
    assert done.json["posting_moved"] is True
    assert done.json["conversation_groups"]["state"] == "done"
    assert cli("migrate", "status", "plan.json", "--json").json["cutover"]["moved"] == 2
    report = cli("migrate", "report", "plan.json", "--json")
    assert report.json["complete"] is True
    assert report.json["cutover"]["conversation_groups"]["state"] == "done"
    assert json.loads((cli.directory / "plan.report.json").read_text()) == report.json
    users = done.json["conversation_groups"]["filled"]
    listed = cli("migrate", "rollback", "plan.json")
    assert "the conversation groups that the cutover has filled lose what goes" in listed.out
    assert f"conversation groups cleared: {users}\n" in cli("migrate", "rollback", "plan.json", "--yes").out


def test_rollback_lists_and_then_removes_channels(cli: Shell, served: tuple[StubServer, Moving]) -> None:
    server, _ = served
    cli("migrate", "apply", "plan.json")
    listed = cli("migrate", "rollback", "plan.json")
    assert "2 channels could go; nothing was removed: --yes removes" in listed.out
    assert len(server.in_loop(lambda: list(server.world.state.groups))) == 2
    assert "2 channels removed" in cli("migrate", "rollback", "plan.json", "--yes").out
    assert server.in_loop(lambda: list(server.world.state.groups)) == []
    assert cli("migrate", "rollback", "plan.json", "--yes", "--json").json["complete"] is True
    cli("migrate", "status", "plan.json", code=1)
    cli("migrate", "apply", "plan.json")
    assert cli("migrate", "verify", "plan.json", "--json").json["clean"] is True


def test_rollback_reports_a_missing_source_and_removes_nothing(cli: Shell, served: tuple[StubServer, Moving]) -> None:
    server, _ = served
    cli("migrate", "apply", "plan.json")
    server.in_loop(server.world.state.official.clear)
    told = cli("migrate", "rollback", "plan.json", "--yes", code=3)
    assert "the source is gone: what stands here is the only copy" in told.out
    assert told.out.endswith("0 channels removed\n")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("cutover", "plan.json", "--window", "soon"), 2, "--window must be like"),
        (("cutover", "plan.json", "--window", ""), 2, "--window must be like"),
        (("cutover", "plan.json", "--window", "d"), 2, "--window must be like 90s, 30m, 2h, 7d or 2w, or 0; got 'd'"),
        (("cutover", "plan.json", "--max-duration", "0"), 2, "--max-duration must be like"),
        (("cutover", "plan.json", "--max-duration", "999999999w"), 2, "--max-duration must be like"),
        (("cutover", "plan.json", "--destroy-source"), 1, "or cut over without a window; nothing was changed"),
        (("verify", "plan.json", "--max-calls", "1"), 4, "1 calls are used up"),
        (("rollback", "plan.json", "--max-calls", "1"), 4, "1 calls are used up"),
    ],
)
def test_refused_or_stopped_command_has_its_message_and_exit_code(
    cli: Shell, options: tuple[str, ...], code: int, words: str
) -> None:
    run = cli("migrate", *options, "--json", code=code)
    assert words in run.error["message"]
    assert not (cli.directory / "plan.verify.jsonl").exists()


async def test_report_without_verification_names_the_command() -> None:
    async with system(SIZE, ids=TWO) as at:
        plan: Plan = await moved(at)
        made = await at.adapter.migration.report(plan)
        assert made.document["verification"] is None
        assert b"None yet: `channel-adapter migrate verify`" in made.to_markdown()
        verdict = await at.adapter.migration.verify(plan)
        told = await at.adapter.migration.report(plan, verdict=verdict.to_json())
        assert b": clean." in told.to_markdown()
        assert orjson.loads(told.to_json())["verification"]["clean"] is True
