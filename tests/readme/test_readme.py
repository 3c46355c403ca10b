"""README tells the truth: its commands exist, its blocks run, its settings and names are real."""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from channel_adapter.stub.reports import PLAYED, REFUSED, played_commands
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SCRIPTS = Path(sys.executable).parent
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.fixture
def stub() -> Iterator[StubServer]:
    settings = StubSettings.model_validate({"app": {"group_fields": ["ch_tag"]}})
    with StubServer(settings).run_in_thread() as server:
        yield server


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


def section(heading: str) -> str:
    return README.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def under(heading: str) -> str:
    (block,) = re.findall(r"^```sh\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)
    return str(block)


def test_list_of_played_commands_is_the_generated_one() -> None:
    """The two tables of the section, row by row, beside what `stub --commands` prints."""
    tables = section("The stub").split("\n### Commands\n")[1].split("\n### ")[0].split("| Service | Commands |\n")[1:]
    written = [
        [f"{service}/{name}" for service, names in re.findall(r"^\| `(\w+)` \| (.+) \|$", table, re.MULTILINE)
         for name in names.split(", ")]
        for table in tables
    ]  # fmt: skip
    for kind, commands in zip((PLAYED, REFUSED), written, strict=True):
        expected = [row.command for row in played_commands() if row.played == kind]
        assert sorted(commands) == sorted(expected)
    assert {row.played for row in played_commands()} == {PLAYED, REFUSED}


@pytest.mark.parametrize("heading", ["Run it", "Test it"])
def test_set_up_is_one_line_a_heading(heading: str) -> None:
    (line,) = under(heading).strip().splitlines()
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_run_it_ends_in_the_demo_and_the_demo_agrees() -> None:
    command = under("Run it").strip().split(" && ")[-1].removeprefix(".venv/bin/")
    assert command == "channel-adapter demo"
    result = subprocess.run([SCRIPTS / "channel-adapter", "demo"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"all \d+ read-backs agree", result.stdout)


def test_test_it_runs_this_suite() -> None:
    assert under("Test it").strip().split(" && ")[-1] == ".venv/bin/pytest -q -n 4"


SCRIPTS_IN_PYTHON = [text for text in blocks("python") if text.endswith("asyncio.run(main())\n")]
SEEN = ("Harbour News", "{'👍': 1} 1", "Synced(", "Ferry Times")
"""What the output of each script shows, in the order of README."""


@pytest.mark.parametrize(("code", "seen"), list(zip(SCRIPTS_IN_PYTHON, SEEN, strict=True)), ids=SEEN)
def test_python_examples_run(code: str, seen: str, stub: StubServer, tmp_path: Path) -> None:
    settings = f'sdkappid = {stub.sdkappid}\nkey = "{stub.key}"\nbase_url = "{stub.url}"\n'
    (tmp_path / "adapter.toml").write_text(settings, encoding="utf-8")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    result = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert seen in result.stdout


def test_the_pytest_example_passes(tmp_path: Path) -> None:
    (code,) = [text for text in blocks("python") if "async def test_" in text]
    (tmp_path / "test_example.py").write_text(code, encoding="utf-8")
    words = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


SERVER, SHELL = re.split(r"(?<=ADAPTER_BASE_URL=http://127.0.0.1:8900\n)", blocks("sh")[2])
"""The lines that start a stub and name it, and those that go on: other blocks stand on the first, and on its people."""
ENDED_WHEN_READY = "until [ -s ready.json ]; do sleep 0.1; done; kill -TERM $!; wait $!"


@pytest.mark.parametrize("block", [text for text in blocks("sh") if "venv" not in text])
def test_shell_blocks_run(block: str, tmp_path: Path) -> None:
    """As they stand, in a shell; a server that a block leaves running is ended with the shell."""
    environment = os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}", "PYTHONPATH": str(tmp_path)}
    for module in blocks("python"):
        if name := re.match(r"# (\w+\.py)\n", module):
            (tmp_path / name[1]).write_text(module, encoding="utf-8")
    if "channel-adapter stub" not in block:
        block = SERVER + SHELL + block
    for port in ("8900", "8080"):
        block = block.replace(port, str(free_port()))
    lines = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *block.splitlines()]
    script = "\n".join(line if "stub --port 0" not in line else f"{line} &\n{ENDED_WHEN_READY}" for line in lines)
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=220
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_command_of_the_table_exists() -> None:
    rows = re.findall(r"^\| (`.*?`(?:, `.*?`)*) \| ", section("From the shell"), re.MULTILINE)
    named = {tuple(text.replace("\\|", "|").split()[:2]) for row in rows for text in re.findall(r"`(.*?)`", row)}
    assert len(named) > 6
    for words in named:
        group = words[0]
        result = subprocess.run(
            [SCRIPTS / "channel-adapter", group, "--help"], capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, f"{group}: {result.stderr}"
        if len(words) > 1 and re.fullmatch(r"[a-z|-]+", words[1]) and "--" not in words[1]:
            for name in words[1].split("|"):
                assert re.search(rf"^  {name}\b", result.stdout, re.MULTILINE), f"{group} has no {name}"


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:config|tests|channel_adapter)/[\w./]+)`", README):
        assert (ROOT / name).exists(), name
