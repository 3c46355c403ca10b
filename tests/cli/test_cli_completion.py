"""`completion`: results in a real bash, scripts of the other shells, and channels of the registry."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.shell import PROGRAM, Shell

COMPLETE = """
. ./completion.bash
complete -p channel-adapter
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_channel_adapter "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""
TAB = """
eval "$(channel-adapter completion bash)"
bind 'set show-all-if-ambiguous on' 'set completion-query-items 0' 'set enable-bracketed-paste off'
"""

Complete = Callable[..., list[str]]


def environment(cli: Shell) -> dict[str, str]:
    return {**cli.environment, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}


@pytest.fixture
def complete(cli: Shell) -> Complete:
    """Return a function that returns bash's completions of the last word."""
    cli.file("completion.bash", cli("completion", "bash").out)

    def run(*words: str) -> list[str]:
        result = subprocess.run(
            ["bash", "--norc", "-c", COMPLETE, "bash", *words],
            env=environment(cli), cwd=cli.directory, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert result.stderr == ""
        shown, *candidates = result.stdout.splitlines()
        assert shown == "complete -o default -F _channel_adapter channel-adapter"
        return [each for each in candidates if each]

    return lambda *words: run("channel-adapter", *words)


def test_bash_completes_commands_and_options(complete: Complete) -> None:
    assert complete("pos") == ["posts"]
    assert {"channels", "stub", "completion"} <= {*complete("")}
    assert complete("posts", "publish", "--auth") == ["--author"]
    assert complete("completion", "") == ["bash", "zsh", "fish"]
    assert complete("posts", "publish", "--author", "") == []


def test_bash_completes_typed_line(cli: Shell) -> None:
    """Type into an interactive bash on a terminal, press the tab key, and run the resulting line."""
    if shutil.which("script") is None:
        raise RuntimeError("this test needs the command `script` of util-linux")
    rc = cli.file("rc", f"PS1=\n{TAB}")
    typed = "channel-adapter sett\texam\tst\t| head -n 1\nexit\n"
    result = subprocess.run(
        ["script", "-qec", f"bash --noprofile --rcfile {rc} -i", "/dev/null"],
        input=typed, env=environment(cli), cwd=cli.directory, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert "channel-adapter settings example stub | head -n 1" in result.stdout, result.stdout


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_completion_script_has_syntax_of_its_shell(cli: Shell, name: str) -> None:
    script = cli.installed("completion", name).out
    assert f"completion {name} -- " in script
    assert cli("completion", name, "--json").json == {"shell": name, "script": script}
    candidates = cli("completion", name, "--", "settings", "").out
    separator = {"bash": "", "zsh": ":Print", "fish": "\tPrint"}[name]
    assert candidates.startswith(f"example{separator}")
    if shutil.which(name) is not None:
        assert subprocess.run([name, "-n", cli.file("script", script)], check=False).returncode == 0


def test_channels_are_completed_from_the_registry(cli: Shell, complete: Complete, tmp_path: Path) -> None:
    registry = cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path}/channels.db")
    cli.environment.update(registry.environment)
    assert complete("posts", "publish", "harb") == []
    assert not (tmp_path / "channels.db").exists()
    cli("accounts", "add", "editor_7")
    for slug in ("harbor_news", "harbor_jobs", "tides"):
        cli("channels", "create", "--slug", slug, "--name", slug, "--owner", "editor_7")
    cli("directory", "refresh")
    assert complete("posts", "publish", "harb") == ["harbor_jobs", "harbor_news"]
    assert complete("channels", "show", "@TGS#_t") == ["@TGS#_tides"]
    assert complete("unread", "mark-read", "reader_1", "tid") == ["tides"]
    assert complete("webhooks", "trigger", "Subscribed", "--channel", "=", "harbor_n") == ["harbor_news"]
    assert complete("posts", "publish", "harbor_news", "") == [], "the second argument is a text"
    assert complete("posts", "list", "--config", "missing.toml", "h") == []


def test_bash_completes_value_behind_equals_sign(complete: Complete) -> None:
    """A word that ends in = is two words in bash: the option, and the sign."""
    kinds = ["schedule", "migration", "jobs"]
    assert complete("worker", "--only", "=") == complete("worker", "--only", "") == kinds
    assert complete("worker", "--only", "=", "mig") == ["migration"]
    assert "posts" in complete("=")
