"""`channel-adapter console`: its options, its address and its end, in a separate process where needed."""

import asyncio
import json
import signal
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import aiohttp
import pytest
from argon2 import PasswordHasher

import channel_adapter.console
from tests.cli.shell import Shell

PROGRAM = Path(sys.executable).with_name("channel-adapter")
SECONDS = 60
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path, None)


def demo(ready: Path) -> "subprocess.Popen[bytes]":
    """Start a demonstration and return its process."""
    arguments = ["console", "--demo", "--port", "0", "--ready-file", str(ready)]
    return subprocess.Popen([PROGRAM, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ready.parent)


async def test_demo_signs_in_and_publishes_a_post(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    began = time.monotonic()
    process = demo(ready)
    try:
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < began + SECONDS
            await asyncio.sleep(0.05)
        assert stat.S_IMODE(ready.stat().st_mode) == 0o600
        lines = ready.read_text().splitlines()
        assert len(lines) == 1
        url = json.loads(lines[0])["url"]
        base = url.partition("/?token=")[0]
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(url) as page:
                text = await page.text()
                assert (page.status, str(page.url)) == (200, f"{base}/"), text
            assert all(name in text for name in ("Harbour News 港口新闻", "Market Hall 市场大厅", "Night Bus"))
            fields = {"format": "text", "text": "Hello", "once": "one"}
            async with session.post(f"{base}/c/harbor_news/compose", data=fields, headers=SAME_SITE) as page:
                text = await page.text()
            assert "Published as number 4." in text
            assert "demo-harbour.png" in text
            assert "❤️ 7" in text
            async with session.get(f"{base}/static/demo-harbour.png") as picture:
                assert picture.status == 200
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert out.decode() == f"Open {url}\n"
    assert b"event=console.write operator=admin route=compose channel=harbor_news" in err
    assert url.rpartition("=")[2].encode() not in err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--host", "0.0.0.0"], "needs --users or --trusted-header"),  # noqa: S104 - refused
        (["--host", "::"], "needs --users or --trusted-header"),
        (["--trusted-role-header", "X-Role"], "needs --trusted-header"),
        (["--trusted-proxy", "10.0.0.0/8"], "needs --trusted-header"),
        (["--trusted-header", "X-User", "--trusted-proxy", "ten"], "--trusted-proxy"),
        (["--trusted-header", "X-User", "--users", "users.toml"], "two ways to sign in"),
        (["--users", "missing.toml"], "missing.toml"),
        (["--base-path", "channels"], "begins with /"),
        (["--base-path", "/my channels"], "between slashes are letters"),
        (["--base-path", "/频道"], "between slashes are letters"),
        (["--base-path", "//channels"], "between slashes are letters"),
        (["--demo", "--config", "adapter.toml"], "two services"),
        (["--host", "192.0.2.1", "--trusted-header", "X-User"], "cannot listen on 192.0.2.1"),
    ],
)
def test_incompatible_options_are_refused_in_one_sentence(options: list[str], says: str, shell: Shell) -> None:
    refused = shell("console", "--port", "0", *options, code=2)
    assert says in refused.err
    assert len(refused.err.splitlines()) == 1


def test_hash_password_prints_argon2_hash_of_password(shell: Shell) -> None:
    found = shell.installed("console", "hash-password", stdin="correct horse\n").out.strip()
    assert PasswordHasher().verify(found, "correct horse")
    assert "the password is empty" in shell.installed("console", "hash-password", code=2).err


def test_password_that_is_not_utf8_is_refused(shell: Shell) -> None:
    assert "not UTF-8" in shell.installed("console", "hash-password", stdin=b"\xff\xfe\n", code=2).err


def test_help_names_both_commands(shell: Shell) -> None:
    out = shell("console", "--help").out
    assert "--demo" in out
    assert "console hash-password" in " ".join(out.split())


def test_command_without_its_libraries_names_the_extra(shell: Shell, tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "sitecustomize.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in ('jinja2', 'aiohttp_jinja2', 'babel'):\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    refused = shell.having(PYTHONPATH=str(missing)).installed("console", "--demo", code=2)
    assert "pip install 'channel-adapter[console]'" in refused.err
    assert "Commands" in shell.having(PYTHONPATH=str(missing)).installed("--help").out


def test_importing_the_package_imports_no_console_library() -> None:
    script = (
        "import sys, channel_adapter\nchannel_adapter.ChannelAdapter\n"
        "assert not {'jinja2', 'aiohttp_jinja2', 'babel', 'argon2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_templates_styles_and_catalogues_are_part_of_the_package() -> None:
    """Files other than modules are in the wheel: hatch omits files that git ignores."""
    root = Path(channel_adapter.console.__file__).parent
    files = [path for path in root.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert {path.suffix for path in files} >= {".html", ".css", ".js", ".svg", ".png", ".po"}
    ignored = subprocess.run(["git", "check-ignore", *files], cwd=root, capture_output=True, text=True, check=False)
    assert ignored.stdout == ""
    project = tomllib.loads((root.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["channel_adapter"]
