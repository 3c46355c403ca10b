"""Scenario files: effects of the shipped files, errors of broken files."""

import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from channel_adapter.stub.scenario import Scenario
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import SettingsError, StubSettings
from tests.stub.conftest import ACCOUNTS, GROUPS, Start

FOLDER = Path(__file__).parents[2] / "config" / "scenarios"
NAMES = ["busy_day", "edition_too_low", "extensions_refused", "flaky_network", "legacy_limits", "strict"]
IMPORT = f"{ACCOUNTS}/account_import"
COMMUNITY = {"Type": "Community", "Name": "n", "GroupId": "@TGS#_a"}


def server(name: str) -> StubServer:
    scenario = Scenario.load(FOLDER / f"{name}.toml")
    return StubServer(scenario.settings, faults=scenario.faults, webhooks=scenario.webhooks)


def text(words: str) -> list[dict[str, Any]]:
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]


def test_every_shipped_scenario_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.toml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_scenario_is_found_by_name(name: str) -> None:
    assert Scenario.named(name) == Scenario.load(FOLDER / f"{name}.toml")


def test_scenarios_are_found_in_installed_wheel(tmp_path: Path) -> None:
    """A wheel has no `config` folder: its layout is made from what pyproject.toml adds to the package."""
    root = FOLDER.parents[1]
    included = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    package = tmp_path / "channel_adapter"
    package.mkdir()
    for path in (root / "channel_adapter").rglob("*"):
        copy = package / path.relative_to(root / "channel_adapter")
        copy.mkdir() if path.is_dir() else copy.symlink_to(path)
    for source, target in included["force-include"].items():
        (tmp_path / target).symlink_to(root / source)
    code = (
        "import channel_adapter.stub.scenario as s; from channel_adapter.stub.shipped import shipped_file; "
        "print(s.Scenario.named('strict').settings.behaviour.duplicate_answer_code, shipped_file('strict.toml'))"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["10004", str(package / "scenarios" / "strict.toml")]


@pytest.mark.parametrize("name", ["", "flaky", "strict.toml", "../scenarios/strict", "/etc/passwd"])
def test_error_of_unknown_scenario_lists_names(name: str) -> None:
    with pytest.raises(SettingsError, match=", ".join(NAMES)) as unknown:
        Scenario.named(name)
    assert repr(name) in str(unknown.value)


@pytest.mark.parametrize("name", NAMES)
def test_each_scenario_differs_from_default(name: str) -> None:
    scenario = Scenario.load(FOLDER / f"{name}.toml")
    assert scenario.settings != StubSettings() or scenario.faults


async def test_flaky_network_drops_connections_and_returns_other_status_codes(stranger: Start) -> None:
    seen: Counter[str] = Counter()
    async with server("flaky_network") as running:
        caller = stranger(running)
        for number in range(150):
            try:
                await caller.call(IMPORT, {"UserID": f"u{number}"})
            except (aiohttp.ClientError, AssertionError, ValueError) as trouble:
                seen[type(trouble).__name__] += 1
        assert sum(fault["struck"] for fault in running.faults.report()) > 5
    assert {"ServerDisconnectedError", "AssertionError"} <= set(seen)


async def test_busy_day_refuses_some_calls_with_60008(stranger: Start) -> None:
    async with server("busy_day") as running:
        answers = Counter(
            [(await stranger(running).call(IMPORT, {"UserID": f"u{n}"}))["ErrorCode"] for n in range(102)]
        )
    assert answers[60008] == 2
    assert answers[0] >= 90


async def test_edition_too_low_refuses_community(stranger: Start) -> None:
    async with server("edition_too_low") as running:
        assert (await stranger(running).call(f"{GROUPS}/create_group", COMMUNITY))["ErrorCode"] == 11000


async def test_extensions_refused_refuses_message_extensions(stranger: Start) -> None:
    async with server("extensions_refused") as running:
        caller = stranger(running)
        await caller.must(f"{GROUPS}/create_group", COMMUNITY)
        message = {"GroupId": "@TGS#_a", "Random": 1, "MsgBody": text("x"), "SupportMessageExtension": 1}
        await caller.must(f"{GROUPS}/send_group_msg", message)
        pair = {"Key": "r", "Value": "1"}
        body = {"GroupId": "@TGS#_a", "MsgSeq": 1, "OperateType": 1, "ExtensionList": [pair]}
        assert (await caller.call("openim_msg_ext_http_svc/group_set_key_values", body))["ErrorCode"] == 23002


@pytest.mark.parametrize(("size", "code"), [(30, 0), (31, 10004)])
async def test_legacy_limits_refuse_name_over_30_bytes(stranger: Start, size: int, code: int) -> None:
    async with server("legacy_limits") as running:
        answer = await stranger(running).call(f"{GROUPS}/create_group", {**COMMUNITY, "Name": "n" * size})
        assert answer["ErrorCode"] == code


async def test_strict_refuses_repeated_message(stranger: Start) -> None:
    async with server("strict") as running:
        caller = stranger(running)
        await caller.must(f"{GROUPS}/create_group", COMMUNITY)
        message = {"GroupId": "@TGS#_a", "Random": 1, "MsgBody": text("x")}
        await caller.must(f"{GROUPS}/send_group_msg", message)
        assert (await caller.call(f"{GROUPS}/send_group_msg", message))["ErrorCode"] == 10004


def test_file_may_contain_settings_faults_and_webhooks(tmp_path: Path) -> None:
    path = tmp_path / "all.toml"
    path.write_text(
        '[app]\nsdkappid = 1400000009\n[[fault]]\ncode = 60008\n[webhooks]\nurl = "http://127.0.0.1:9/h"\ntoken = "t"\n'
    )
    scenario = Scenario.load(path)
    assert scenario.settings.app.sdkappid == 1400000009
    assert [fault.code for fault in scenario.faults] == [60008]
    assert scenario.webhooks is not None
    assert scenario.webhooks.url == "http://127.0.0.1:9/h"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (None, "No such file"),
        ("[app", "not a TOML file"),
        ("[ap]\n", "did you mean 'app'"),
        ("[app]\nsdkapid = 1\n", "did you mean 'sdkappid'"),
        ("fault = 7\n", "[[fault]]"),
        ("[[fault]]\ncode = 1\n[[fault]]\nnth = 1\n", "fault 2"),
        ("[[fault]]\ncode = 1\ncolour = 1\n", "colour"),
        ('[webhooks]\nurl = "http://h/"\ntoken = 5\n', "webhooks: token"),
    ],
)
def test_error_of_broken_file_names_file_and_problem(tmp_path: Path, content: str | None, named: str) -> None:
    path = tmp_path / "broken.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError) as caught:
        Scenario.load(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)
