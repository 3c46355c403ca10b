"""`doctor`, `call`, `stub` and `demo`."""

import json
import signal
import ssl
import time
import urllib.request
from pathlib import Path

import pytest

from channel_adapter.cli.demo import Demo, filled
from tests.cli.conftest import FIELDS
from tests.cli.shell import DOCTOR, KEY, SECONDS, Shell


def test_doctor_finds_no_fault(cli: Shell) -> None:
    findings = [each for each in cli.installed("doctor", "--json", code=DOCTOR).json if each["check"] != "durable"]
    checks = ["service", "clock", "communities", "fields", "notices", "channels", "reactions"]
    assert [finding["check"] for finding in findings] == checks
    assert all(finding["ok"] for finding in findings)
    assert list(findings[0]) == ["check", "ok", "message", "remediation"]


def test_doctor_repairs_an_incomplete_channel(cli: Shell) -> None:
    half = {
        "Type": "Community", "GroupId": "@TGS#_half_made", "Name": "n", "Owner_Account": "editor_7", "SupportTopic": 0,
        "AppDefinedData": [{"Key": FIELDS[0], "Value": "ch1"}],
    }  # fmt: skip
    cli("call", "group_open_http_svc", "create_group", json.dumps(half))
    said = cli("doctor", code=1).out
    assert "half_made: every subscriber can post" in said
    assert "run the doctor with --repair" in said
    assert "half_made: posting is closed" in cli("doctor", "--repair", code=DOCTOR).out
    assert cli("channels", "show", "half_made", "--json").json["complete"] is True
    cli("channels", "delete", "half_made", "--yes")


def test_call_sends_raw_command(cli: Shell) -> None:
    request = '{"CheckItem": [{"UserID": "reader_1"}]}'
    answer = cli.installed("call", "im_open_login_svc", "account_check", "-", stdin=request).json
    assert answer["ResultItem"][0]["AccountStatus"] == "Imported"
    assert cli("call", "group_open_http_svc", "no_such_command", code=1).out == ""


def test_ctrl_c_stops_the_stub_with_exit_code_0(cli: Shell, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = cli.start("stub", "--port", "0", "--key", KEY, "--ready-file", str(ready))
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, b"")


def test_secrets_of_the_stub_are_read_from_environment(cli: Shell, tmp_path: Path) -> None:
    given = cli.having(CHANNEL_ADAPTER_STUB_KEY=f"{KEY}\n", CHANNEL_ADAPTER_STUB_CONTROL_TOKEN="open sesame")
    ready = tmp_path / "ready.json"
    process = given.start("stub", "--port", "0", "--ready-file", str(ready))
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        about = json.loads(ready.read_text())
        assert about["key"] == KEY
        foreign = {"Host": "stub.example", "Authorization": "Bearer open sesame"}
        health = urllib.request.Request(f"{about['url']}/_stub/health", headers=foreign)  # noqa: S310
        with urllib.request.urlopen(health, timeout=SECONDS) as answer:  # noqa: S310
            assert answer.status == 200
        assert given("state", "dump", "--url", about["url"]).json["accounts"]
        assert given("channels", "list", "--json").code == 0  # to other commands both are known settings
        misspelt = cli.having(CHANNEL_ADAPTER_STUB_KYE="x")("channels", "list", code=2).err
        assert "did you mean CHANNEL_ADAPTER_STUB_KEY?" in misspelt
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, b"")


def test_help_names_environment_variables_of_secrets(cli: Shell) -> None:
    text = cli("stub", "--help").out
    for name in ("CHANNEL_ADAPTER_STUB_KEY", "CHANNEL_ADAPTER_STUB_CONTROL_TOKEN"):
        assert name in " ".join(text.split())
    assert "CHANNEL_ADAPTER_STUB_CONTROL_TOKEN" in cli("state", "dump", "--help").out


def test_stub_starts_with_tls_scenario_and_control_plane(cli: Shell, tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    process = cli.start(
        "stub", "--port", "0", "--tls", "--key", KEY, "--sdkappid", "77", "--ready-file", str(ready), "--json",
        "--scenario", "strict", "--admin", "boss", "--control",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + SECONDS
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        about = json.loads(ready.read_text())
        assert (about["sdkappid"], about["admin"], about["key"]) == (77, "boss", KEY)
        trust = ssl.create_default_context(cafile=about["ca_file"])
        for path, body, told in (("v4/openim/x", b"{}", '"FAIL"'), ("_stub/health", None, "77")):
            with urllib.request.urlopen(f"{about['url']}/{path}", body, timeout=SECONDS, context=trust) as answer:  # noqa: S310
                assert told in answer.read().decode()
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
    assert (process.returncode, err) == (0, b"")
    said = json.loads(out)
    assert said == {name: about[name] for name in ("url", "sdkappid", "admin", "ca_file")}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--config", "nowhere.toml"), "nowhere.toml: No such file or directory"),
        (("--group-field", "far_too_long_a_name_for_a_field"), "'far_too_long_a_name_for_a_field' is no key"),
        (("--tls", "--cert", "nowhere.pem", "--key-file", "nowhere.key"), "nowhere.pem cannot be read"),
        (("--host", "192.0.2.1"), "the stub cannot start on 192.0.2.1:8900"),
        (("--scenario", "flaky"), "no scenario is named 'flaky'; the names are busy_day, edition_too_low, "),
        (("--scenario", "../strict"), "no scenario is named '../strict'"),
        (("--scenario", ""), "no scenario is named ''"),
        (("--scenario", "strict", "--config", "stub.toml"), "--config and --scenario are two sources of settings"),
    ],
)
def test_stub_with_invalid_options_does_not_start(words: tuple[str, ...], message: str, cli: Shell) -> None:
    assert message in cli("stub", *words, code=2).err


def test_demo_works_with_defaults_and_ignores_user_settings(cli: Shell) -> None:
    said = cli.having(CHANNEL_ADAPTER_REGION="seoul").installed("demo")  # the user's own settings are not used
    assert "error" not in said.err  # a slow machine writes lines of progress
    last = said.out.splitlines()[-1]
    assert last.startswith("all ")
    assert "read-backs agree: 17 steps" in last
    assert "1,000 users added, 1,000 read back" in said.out
    assert "50 x add_group_member" in said.out
    assert "12 x send_group_msg" in said.out


def test_demo_accepts_feed_and_subscriber_files(cli: Shell) -> None:
    users = cli.file("users.csv", "id\nann\nbob\n\xff" + "x" * 40 + "\n")
    feed = cli.file(
        "feed.xml", "<rss version='2.0'><channel><title>Mine</title><item><title>x & y</title></item></channel></rss>"
    )
    said = cli("demo", "--feed", feed, "--subscribers", users, "--json")
    report = said.json
    assert report["agree"] is True
    assert report["differences"] == []
    assert report["read_backs"] == sum(step["read_backs"] for step in report["steps"])
    steps = {step["title"]: step for step in report["steps"]}
    assert steps["Publish the feed 'Mine' as articles, oldest first"]["result"].startswith("1 entry")
    subscribed = steps["Subscribe all users of the file"]
    assert {"command": "group_open_http_svc/add_group_member", "count": 1} in subscribed["calls"]


def test_demo_reports_differing_read_backs_and_stops(cli: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    async def examine(self: Demo) -> None:
        with self._recorder.step("Compare") as step:
            step.same("a number", 1, 1)
            step.same("another", 2, 3)

    monkeypatch.setattr(Demo, "_create_ordinary_groups", examine)
    users = cli.file("users.csv", "ann\n")
    stopped = cli("demo", "--subscribers", users, code=1)
    assert stopped.out.splitlines()[-2:] == ["1 of 3 read-backs differ:", "  Compare: another: was 2, is 3"]
    assert "--keep-going shows the other steps" in stopped.err
    report = cli("demo", "--subscribers", users, "--keep-going", "--json", code=1).json
    assert report["agree"] is False
    assert len(report["steps"]) == 17
    assert "Compare: another: was 2, is 3" in report["differences"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 99, 100, 101])
def test_demo_text_has_exact_byte_size(size: int) -> None:
    assert len(filled("港⚓x", size).encode()) == size


def test_unwritable_ready_file_is_named(cli: Shell, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "ready.json"
    said = cli("stub", "--port", "0", "--ready-file", str(missing), "--json", code=2).error
    assert (said["field"], said["message"]) == ("ready_file", f"{missing} cannot be written: No such file or directory")


def test_stub_help_describes_its_config(cli: Shell) -> None:
    text = " ".join(cli("stub", "--help").out.split())
    assert "--config FILE The stub's own settings, faults and webhooks" in text
    assert "CHANNEL_ADAPTER_CONFIG" not in text


def test_call_accepts_command_in_one_word(cli: Shell) -> None:
    message = {
        "From_Account": "reader_1", "To_Account": "reader_2", "MsgSeq": 7, "MsgRandom": 8,
        "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "hello"}}],
    }  # fmt: skip
    sent = cli("call", "openim/sendmsg", json.dumps(message)).json
    assert sent["MsgKey"] == f"7_8_{sent['MsgTime']}"
    asked = {
        "Operator_Account": "reader_2", "Peer_Account": "reader_1", "MaxCnt": 20, "MinTime": 0,
        "MaxTime": sent["MsgTime"],
    }  # fmt: skip
    read = cli("call", "openim", "admin_getroammsg", json.dumps(asked)).json
    assert [item["MsgKey"] for item in read["MsgList"]] == [sent["MsgKey"]]
