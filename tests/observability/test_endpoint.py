"""/metrics, /healthz and /readyz: the functions, and the commands that serve them."""

import asyncio
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from channel_adapter import ChannelAdapter, UnavailableError
from channel_adapter.observability import Health, serve_metrics
from channel_adapter.observability.endpoint import ask_database, prometheus_telemetry
from channel_adapter.stub.server import StubServer
from tests.cli.shell import KEY, Shell, interrupted
from tests.observability.conftest import TOKEN


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=30)


async def fetch(url: str) -> requests.Response:
    return await asyncio.to_thread(get, url)


async def test_endpoint_is_ready_only_if_every_check_succeeds() -> None:
    health = Health()
    answers: list[Exception | None] = [None]

    async def check() -> None:
        if answers[-1] is not None:
            raise answers[-1]

    health.add("inbox", check)
    with prometheus_telemetry() as telemetry:
        async with serve_metrics(telemetry, health) as url:
            starting = await fetch(f"{url}/readyz")
            assert (starting.status_code, starting.json()) == (
                503, {"ready": False, "checks": {"start": "under way", "inbox": "ok"}},
            )  # fmt: skip
            assert (await fetch(f"{url}/healthz")).json() == {"alive": True}
            health.begin()
            assert (await fetch(f"{url}/readyz")).status_code == 200
            answers.append(UnavailableError("the store postgresql://harbor:orchid@127.0.0.1/x failed"))
            failed = await fetch(f"{url}/readyz")
            assert (failed.status_code, failed.json()["checks"]["inbox"]) == (503, "unavailable")
            assert "orchid" not in failed.text
            assert (await fetch(f"{url}/healthz")).status_code == 200
            assert (await fetch(f"{url}/")).status_code == 404
            posted = await asyncio.to_thread(requests.post, f"{url}/readyz", timeout=30)
            assert posted.status_code == 405


async def test_check_without_answer_in_time_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.observability.endpoint.CHECK_SECONDS", 0.05)
    health = Health()
    health.add("database", lambda: asyncio.sleep(60))
    health.begin()
    assert await health.results() == {"start": "ok", "database": "no answer in time"}


async def test_unreachable_database_raises_unavailable(tmp_path: Path) -> None:
    await ask_database(f"sqlite:///{tmp_path / 'there.db'}")
    with pytest.raises(UnavailableError):
        await ask_database(f"sqlite:///{tmp_path / 'no' / 'folder.db'}")


async def test_metrics_have_format_of_prometheus_exporter() -> None:
    with prometheus_telemetry() as telemetry:
        async with StubServer() as server, serve_metrics(telemetry, Health()) as url:
            from channel_adapter import Settings  # noqa: PLC0415

            settings = Settings(sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url)
            async with ChannelAdapter.open(settings, telemetry=telemetry) as adapter:
                await adapter.accounts.check(["reader_1"])
                answer = await fetch(f"{url}/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    counted = re.findall(r"^channel_adapter_call_duration_seconds_count\{(.*)\} (\S+)$", answer.text, re.MULTILINE)
    ((labels, number),) = counted
    assert float(number) == 1
    assert 'channel_adapter_command="account_check"' in labels
    assert "channel_adapter_limiter_wait_seconds_bucket" in answer.text
    with prometheus_telemetry():  # a second one, after the first
        pass


@contextmanager
def command(folder: Path, *words: str) -> Iterator[tuple[Shell, "subprocess.Popen[bytes]", str]]:
    """Start a command that serves metrics on a free port, with a stub; yield its shell, process and URL."""
    with StubServer().run_in_thread() as server:
        config = folder / "adapter.toml"
        config.write_text(
            f'sdkappid = {server.sdkappid}\nkey = "{server.key}"\nadmin = "{server.admin}"\nbase_url = "{server.url}"\n'
            f'database_url = "sqlite:///{folder / "app.db"}"\n[webhooks]\ntokens = ["{TOKEN}"]\n'
        )
        shell = Shell(folder, config)
        process = shell.start_forked(*words, "--metrics-port", "0")
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        found = re.search(r"metrics are at (http://127\.0\.0\.1:\d+)/metrics", line)
        assert found, line
        try:
            yield shell, process, found[1]
        finally:
            process.kill()
            process.communicate()


def wait_until_ready(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + 90
    while (answer := get(f"{url}/readyz")).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    checks: dict[str, Any] = answer.json()["checks"]
    return checks


def test_receiver_serves_metrics_and_is_ready_when_it_listens(tmp_path: Path) -> None:
    ready = tmp_path / "ready.json"
    with command(tmp_path, "webhooks", "serve", "--port", "0", "--ready-file", str(ready)) as (shell, process, url):
        assert wait_until_ready(url) == {"start": "ok", "inbox": "ok"}
        about = json.loads(ready.read_text())
        assert about["metrics_url"] == url
        shell("webhooks", "trigger", "Subscribed", "--url", about["url"])
        deadline = time.monotonic() + 60
        while "channel_adapter_call_duration" not in (text := get(f"{url}/metrics").text):
            assert time.monotonic() < deadline  # a call resolves the event
            time.sleep(0.05)
        for name in ("inbox_lag_seconds", "inbox_waiting", "inbox_dead", "call_duration_seconds_bucket"):
            assert re.search(rf"^channel_adapter_{name}\{{", text, re.MULTILINE), name
        for secret in (KEY, TOKEN, "usersig"):
            assert secret not in text
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_worker_serves_metrics(tmp_path: Path) -> None:
    with command(tmp_path, "worker") as (_, process, url):
        assert wait_until_ready(url) == {"start": "ok", "database": "ok"}
        assert "# HELP" in get(f"{url}/metrics").text
        interrupted(process)


def test_console_reports_readiness_at_metrics_port(tmp_path: Path) -> None:
    with command(tmp_path, "console", "serve", "--port", "0") as (_, process, url):
        assert wait_until_ready(url) == {"start": "ok", "database": "ok"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def test_port_in_use_is_usage_error(tmp_path: Path) -> None:
    with command(tmp_path, "webhooks", "serve", "--port", "0") as (shell, _, url):
        port = url.rpartition(":")[2]
        refused = shell("webhooks", "serve", "--port", "0", "--metrics-port", port, "--json", code=2)
        assert refused.error["field"] == "metrics_port"
        assert "Address already in use" in refused.error["message"]


@pytest.mark.usefixtures("_no_opentelemetry")
def test_missing_extra_is_usage_error_with_install_command(tmp_path: Path) -> None:
    (tmp_path / "adapter.toml").write_text('sdkappid = 1\nkey = "k"\nregion = "seoul"\n')
    refused = Shell(tmp_path, tmp_path / "adapter.toml")("webhooks", "serve", "--metrics-port", "0", "--json", code=2)
    assert "--metrics-port needs OpenTelemetry: pip install 'channel-adapter[otel]'" in refused.error["message"]
