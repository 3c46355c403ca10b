"""Examples of README: one for every route of the control plane, each of which runs unchanged."""

import os
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import orjson
import pytest

from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.plane import ROUTES
from channel_adapter.stub.scenario import Scenario

README = Path(__file__).parents[2] / "channel_adapter" / "stub" / "README.md"
CONTROL, WEBHOOKS = "Control plane", "Webhooks from the stub"
SCRIPTS = Path(sys.executable).parent
KEPT = """
mkdir answers
eval "$(declare -f ask | sed '1s/ask/send/')"
ask() {
  asked=$((asked + 1))
  printf '%s %s' "$1" "$2" > "answers/$asked.request"
  send "$@" > "answers/$asked.json"
  cat "answers/$asked.json"
}
"""


def section(heading: str) -> str:
    _, found, rest = README.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    assert found, f"README has no section {heading!r}"
    return rest.partition("\n## ")[0]


def block(heading: str, language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)
    return str(found)


def asked() -> list[tuple[str, str]]:
    """Return method and path of every request in the block, without the query."""
    words = shlex.split(block(CONTROL, "sh").partition("\n}\n")[2], comments=True)
    return [(words[n + 1], words[n + 2].partition("?")[0]) for n, word in enumerate(words) if word == "ask"]


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the block unchanged in a shell on a free port, and return the answer to each `METHOD path`."""
    folder = tmp_path_factory.mktemp("examples")
    definitions, end, examples = block(CONTROL, "sh").partition("\n}\n")
    lines = ["set -e", "trap 'kill $(jobs -p) 2>/dev/null || true' EXIT", definitions + end, KEPT, examples]
    script = "\n".join(lines).replace("8900", free_port()).replace("8901", free_port())
    result = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=45,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    requests = sorted((folder / "answers").glob("*.request"), key=lambda file: int(file.stem))
    return {file.read_text(): orjson.loads(file.with_suffix(".json").read_bytes()) for file in requests}


def test_every_route_has_example() -> None:
    shown = set(asked())
    assert {path for _, path in ROUTES} - {path for _, path in shown} == set()
    assert shown - set(ROUTES) == set()


def test_every_example_succeeds(answers: dict[str, Any]) -> None:
    assert [tuple(request.partition("?")[0].split()) for request in answers] == asked()
    assert not [request for request, answer in answers.items() if isinstance(answer, dict) and "error" in answer]


def test_examples_have_described_effects(answers: dict[str, Any]) -> None:
    assert answers["GET health"]["status"] == "ok"
    assert answers["POST seed"] == {"done": 2}
    assert answers["POST people"] == {"result": None}
    assert answers["GET clock"]["frozen"] is True
    (fault,) = answers["GET faults"]
    assert fault["struck"] == 1
    assert answers["DELETE faults"] == []
    assert answers["PUT state"] == answers["POST reset"] == answers["PUT latency"] == {"ok": True}
    assert len(answers["GET state"]["groups"]) == 1


def test_examples_of_request_log_have_described_answers(answers: dict[str, Any]) -> None:
    calls = answers["GET calls?command=send_group_msg&Random=7&limit=10"]
    assert [call["code"] for call in calls] == [60008, 0]
    miss = answers["POST calls/nearest"][0]
    assert miss["differences"] == [{"field": "Random", "expected": 8, "actual": 7}]
    path = "group_open_http_svc/send_group_msg"
    assert {"command": path, "code": 60008, "times": 1} in answers["GET counters"]
    assert [(seen["command"], seen["field"]) for seen in answers["GET unknown_fields"]] == [(path, "Colour")]


def test_examples_of_webhooks_have_described_answers(answers: dict[str, Any]) -> None:
    assert "orchid" not in str(answers)
    delivery = answers["POST webhooks/trigger"]
    assert delivery["number"] == 1
    assert delivery["outcome"].startswith("not reached")
    assert (delivery["body"]["GroupId"], delivery["body"]["MsgSeq"]) == ("@TGS#_harbor", 1)
    assert delivery["command"] in answers["GET webhooks/samples"]
    assert 1 <= len(answers["GET webhooks/deliveries?command=Group.CallbackAfterSendMsg"]) <= 2


def test_example_of_webhook_settings_is_valid() -> None:
    scenario = Scenario.read(tomllib.loads(block(WEBHOOKS, "toml")))
    assert scenario.webhooks is not None
    assert scenario.webhooks.token is not None
    assert (scenario.webhooks.retries, scenario.webhooks.timeout) == (2, 2.0)


@pytest.mark.parametrize("name", CallbackSettings.model_fields)
def test_every_webhook_setting_is_explained(name: str) -> None:
    assert re.search(rf"(`{name}\b|^{name} = )", section(WEBHOOKS), re.MULTILINE)
