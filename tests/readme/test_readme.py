"""README and the manuals: commands exist, code blocks run, and settings, files and links are valid."""

import os
import re
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from channel_adapter import Settings, SyncChannelAdapter, Text
from channel_adapter.cli.main import COMMANDS, main
from channel_adapter.stub.reports import PLAYED, REFUSED, played_commands
from channel_adapter.stub.server import StubServer
from tests import forked

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "channel_adapter"
SCRIPTS = Path(sys.executable).parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
STUB_MANUAL = (PACKAGE / "stub" / "README.md").read_text(encoding="utf-8")
MANUALS = [
    ROOT / "README.md",
    *sorted(PACKAGE.glob("*/README.md")),
    ROOT / "tests" / "benchmarks" / "README.md",
    ROOT / ".github" / "CONTRIBUTING.md",
    ROOT / ".github" / "CHANGELOG.md",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def blocks(language: str, text: str | None = None) -> list[str]:
    """Return the code blocks of a language, of all manuals or of one text."""
    texts = [path.read_text(encoding="utf-8") for path in MANUALS] if text is None else [text]
    return [
        code
        for each in texts
        for name, code in re.findall(r"^```(\w+)\n(.*?)^```$", each, re.MULTILINE | re.DOTALL)
        if name == language
    ]


def section(text: str, heading: str) -> str:
    return text.split(f"\n## {heading}\n")[1].split("\n## ", maxsplit=1)[0]


def under(heading: str) -> str:
    (block,) = blocks("sh", section(README, heading))
    return block


def settings_of(stub: StubServer) -> str:
    return f'sdkappid = {stub.sdkappid}\nkey = "{stub.key}"\nbase_url = "{stub.url}"\n'


def test_readme_stays_within_length_limits() -> None:
    lines = README.splitlines()
    assert len(lines) <= 250
    assert len(README.split()) <= 2_500
    assert max(len(line) for line in lines) <= 160


def test_links_lead_to_existing_files_and_headings() -> None:
    for path in MANUALS:
        text = path.read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-")
            for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        }
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in headings, f"{path}: {target}"
            elif not target.startswith("https://"):
                assert (path.parent / target).exists(), f"{path}: {target}"


def test_table_of_played_commands_equals_generated_list() -> None:
    """Compare the two tables of the manual, row by row, with the output of `stub --commands`."""
    tables = section(STUB_MANUAL, "Commands").split("| Service | Commands |\n")[1:]
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
def test_set_up_is_one_line_per_heading(heading: str) -> None:
    (line,) = under(heading).strip().splitlines()
    assert line.startswith("python3 -m venv .venv && .venv/bin/pip install ")


def test_run_it_section_ends_with_successful_demo() -> None:
    command = under("Run it").strip().split(" && ")[-1].removeprefix(".venv/bin/")
    assert command == "channel-adapter demo"
    result = subprocess.run([SCRIPTS / "channel-adapter", "demo"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"all \d+ read-backs agree", result.stdout)


def test_test_it_section_ends_with_command_of_this_suite() -> None:
    assert under("Test it").strip().split(" && ")[-1] == ".venv/bin/pytest -q -n 6 --dist worksteal"


SCRIPTS_IN_PYTHON = [text for text in blocks("python") if text.endswith("asyncio.run(main())\n")]
SEEN = (
    "Harbour News",
    "no operator 401\nada 200",
    "Ferry Times",
    "im_open_login_svc/account_check",
    "editor_8",
    "published @TGS#_harbor_news/2",
    "1 of 1 viewed",
    "sent Text(text='Welcome on board'",
    "{'👍': 1} 1",
    "Synced(",
)
"""What the output of each script shows, in the order of the manuals."""


@pytest.mark.parametrize(("code", "seen"), list(zip(SCRIPTS_IN_PYTHON, SEEN, strict=True)), ids=SEEN)
def test_python_examples_run(code: str, seen: str, stub: StubServer, tmp_path: Path) -> None:
    (tmp_path / "adapter.toml").write_text(settings_of(stub), encoding="utf-8")
    (tmp_path / "example.py").write_text(code, encoding="utf-8")
    words = [str(forked.programs() / "python"), "example.py"]
    result = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert seen in result.stdout


def test_pytest_example_passes(tmp_path: Path) -> None:
    (code,) = [text for text in blocks("python") if "async def test_" in text]
    (tmp_path / "test_example.py").write_text(code, encoding="utf-8")
    words = ["-q", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


@contextmanager
def web_application(code: str, settings: str, folder: Path) -> Iterator[str]:
    """Run the web application of README in a process, and yield its address."""
    (folder / "web_app.py").write_text(code, encoding="utf-8")
    (folder / "adapter.toml").write_text(settings, encoding="utf-8")
    port = free_port()
    words = [sys.executable, "-m", "aiohttp.web", "-H", "127.0.0.1", "-P", str(port), "web_app:create_app"]
    with (folder / "output.txt").open("wb") as output, subprocess.Popen(
        words, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}, stdout=output,
        stderr=output,
    ) as process:  # fmt: skip
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def test_web_application_publishes_and_receives_webhooks(stub: StubServer, tmp_path: Path) -> None:
    (code,) = [text for text in blocks("python") if text.startswith("# web_app.py\n")]
    environment = os.environ | {
        "CHANNEL_ADAPTER_SDKAPPID": str(stub.sdkappid),
        "CHANNEL_ADAPTER_KEY": stub.key,
        "CHANNEL_ADAPTER_BASE_URL": stub.url,
        "CHANNEL_ADAPTER_WEBHOOKS__TOKENS": '["orchid-7f"]',
    }

    def command(*words: str) -> None:
        program = forked.programs() / "channel-adapter"
        subprocess.run([program, *words], check=True, env=environment, capture_output=True)

    command("accounts", "add", "editor_7")
    command("channels", "create", "--slug", "harbor_news", "--name", "News", "--owner", "editor_7")
    settings = settings_of(stub) + '[webhooks]\ntokens = ["orchid-7f"]\n[inbox]\nkind = "memory"\n'
    with web_application(code, settings, tmp_path) as url:
        answer = None
        while answer is None:
            try:
                answer = requests.post(f"{url}/channels/harbor_news/posts", json={"text": "Tide table"}, timeout=30)
            except requests.ConnectionError:  # process is still starting
                time.sleep(0.1)
        assert (answer.status_code, answer.json()) == (201, {"number": 1})
        answer = requests.post(f"{url}/channels/unknown/posts", json={"text": "Tide table"}, timeout=30)
        assert (answer.status_code, answer.json()["error"]) == (400, "not_found")
        command("webhooks", "trigger", "Subscribed", "--url", f"{url}/hooks", "--channel", "harbor_news")
        while "subscribed to @TGS#_harbor_news" not in (tmp_path / "output.txt").read_text():
            time.sleep(0.05)


END_WHEN_READY = "until [ -s ready.json ]; do sleep 0.1; done; kill -TERM $!; wait $!"


def harbour_news(stub: StubServer) -> dict[str, str]:
    """Apply the block of README's section Shell, which the others continue; return its variables."""
    with SyncChannelAdapter.open(Settings(sdkappid=stub.sdkappid, key=stub.key, base_url=stub.url)) as adapter:
        adapter.accounts.add(["editor_7"])
        adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        adapter.subscriptions.subscribe("harbor_news", ["reader_1", "reader_2"], import_missing=True)
        adapter.posts.publish("harbor_news", Text("Tide table for Sunday"))
    return {
        "CHANNEL_ADAPTER_SDKAPPID": str(stub.sdkappid),
        "CHANNEL_ADAPTER_KEY": stub.key,
        "CHANNEL_ADAPTER_BASE_URL": stub.url,
    }


@pytest.mark.parametrize("block", [text for text in blocks("sh") if "venv" not in text])
def test_shell_blocks_run(block: str, stub: StubServer, tmp_path: Path) -> None:
    """Run a block unchanged in a shell; a server that it leaves running is ended with the shell."""
    programs = tmp_path / "programs"  # without Python: some lines run modules of other packages
    programs.mkdir()
    (programs / "channel-adapter").symlink_to(forked.programs() / "channel-adapter")
    path = f"{programs}:{SCRIPTS}:{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(tmp_path)}
    for module in blocks("python"):
        if name := re.match(r"# (\w+\.py)\n", module):
            (tmp_path / name[1]).write_text(module, encoding="utf-8")
    if "channel-adapter stub" not in block:
        environment |= harbour_news(stub)
    for port in ("8900", "8080"):
        block = block.replace(port, str(free_port()))
    lines = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", *block.splitlines()]
    script = "\n".join(line if "stub --port 0" not in line else f"{line} &\n{END_WHEN_READY}" for line in lines)
    result = subprocess.run(
        ["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=220
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_table_of_commands_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    rows = re.findall(r"^\| (`[a-z].*?`(?:, `.*?`)*) \| ", section(README, "Shell"), re.MULTILINE)
    named = defaultdict[str, set[str]](set)
    for row in rows:
        for text in re.findall(r"`(.*?)`", row):
            group, *names = text.replace("\\|", "|").split()[:2]
            named[group].update(names[0].split("|") if names else ())
    assert set(named) == set(COMMANDS)
    for group, names in named.items():
        code = main([group, "--help"])
        shown = capsys.readouterr()
        assert code == 0, f"{group}: {shown.err}"
        listed = re.search(r"^Commands:\n(.*?)(?:\n\n|\Z)", shown.out, re.MULTILINE | re.DOTALL)
        assert set(re.findall(r"^  ([a-z-]+)\b", listed[1] if listed else "", re.MULTILINE)) == names, group


def test_files_named_in_manuals_exist() -> None:
    for path in MANUALS:
        text = path.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:config|tests|channel_adapter)/[\w./]+)`", text):
            assert (ROOT / name).exists(), f"{path}: {name}"
