"""Code blocks of the manuals for FastAPI and Django: run by uvicorn, and by the test client of Django."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from channel_adapter.stub.server import StubServer
from tests import forked
from tests.readme.test_readme import SCRIPTS, blocks, free_port, settings_of

DJANGO = """
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "site_urls"
"""
URLS = """
from django.urls import path
import views
urlpatterns = [
    path("channels/<channel>/posts", views.publish), path("channels/<channel>/subscribers", views.subscribers)
]
"""
TESTS = """
import json, os, subprocess, sys, threading
import django
from django.test import Client
django.setup()
def answered(response):
    return response.status_code, json.loads(response.content)
client = Client(raise_request_exception=True)
assert answered(client.post("/channels/harbor_news/posts", {"text": "Tide table"})) == (201, {"number": 1})
status, body = answered(client.post("/channels/unknown/posts", {"text": "Tide table"}))
assert (status, body["error"]) == (400, "not_found"), body
assert client.get("/channels/harbor_news/posts").status_code == 405
assert answered(client.get("/channels/harbor_news/subscribers")) == (200, {"users": ["reader_1"]})
def post(number):
    numbers.append(answered(Client().post("/channels/harbor_news/posts", {"text": str(number)}))[1]["number"])
numbers = []
threads = [threading.Thread(target=post, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert sorted(numbers) == list(range(2, 10)), numbers
print("views agree")
"""


@pytest.fixture
def project(stub: StubServer, tmp_path: Path) -> Path:
    """Return a folder with the blocks as files, settings, and a Django project; prepare a channel."""
    for text in blocks("python"):
        for name in ("fastapi_app.py", "asgi.py", "views.py"):
            if text.startswith(f"# {name}\n"):
                (tmp_path / name).write_text(text, encoding="utf-8")
    table = '[webhooks]\ntokens = ["orchid-7f"]\n[inbox]\nkind = "memory"\n'
    (tmp_path / "adapter.toml").write_text(settings_of(stub) + table, encoding="utf-8")
    (tmp_path / "site_settings.py").write_text(DJANGO)
    (tmp_path / "site_urls.py").write_text(URLS)
    command(tmp_path, "accounts", "add", "editor_7", "reader_1")
    command(tmp_path, "channels", "create", "--slug", "harbor_news", "--name", "News", "--owner", "editor_7")
    command(tmp_path, "subscribers", "add", "harbor_news", "reader_1")
    return tmp_path


def environment(folder: Path) -> dict[str, str]:
    own = {"DJANGO_SETTINGS_MODULE": "site_settings", "CHANNEL_ADAPTER_CONFIG": str(folder / "adapter.toml")}
    return os.environ | own | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1"}


def command(folder: Path, *words: str) -> None:
    program = forked.programs() / "channel-adapter"
    subprocess.run([program, *words], check=True, env=environment(folder), capture_output=True, cwd=folder)


@contextmanager
def under_uvicorn(application: str, folder: Path) -> Iterator[str]:
    """Run an application in a process, and yield its address when it listens."""
    words = [str(forked.programs() / "python"), "-m", "uvicorn", "--no-access-log", "--port", "0", application]
    with (folder / "output.txt").open("wb") as output, subprocess.Popen(
        words, cwd=folder, env=environment(folder), stdout=output, stderr=output
    ) as process:  # fmt: skip
        try:
            while not (listens := re.search(r"running on (http://[\d.:]+)", (folder / "output.txt").read_text())):
                assert process.poll() is None, (folder / "output.txt").read_text()
                time.sleep(0.05)
            yield listens[1]
        finally:
            process.terminate()
    shown = (folder / "output.txt").read_text()
    assert "Application shutdown complete" in shown
    assert "Sign=" not in shown


def receive(url: str, folder: Path) -> None:
    """Send a webhook and wait for the output of the block's handler; check that a wrong token is refused."""
    command(folder, "webhooks", "trigger", "Subscribed", "--url", url, "--channel", "harbor_news")
    while "subscribed to @TGS#_harbor_news" not in (folder / "output.txt").read_text():
        time.sleep(0.05)
    answer = requests.post(f"{url}?SdkAppid=1400000001&Sign=00&RequestTime=1", json={}, timeout=30)
    assert (answer.status_code, answer.json()) == (403, {"error": "stale"})


def test_fastapi_block_publishes_and_receives_webhooks(project: Path) -> None:
    with under_uvicorn("fastapi_app:app", project) as url:
        answer = requests.post(f"{url}/channels/harbor_news/posts", params={"text": "Tide table"}, timeout=30)
        assert (answer.status_code, answer.json()) == (201, {"number": 1})
        receive(f"{url}/hooks/", project)


def test_asgi_block_serves_django_and_receives_webhooks(project: Path) -> None:
    with under_uvicorn("asgi:application", project) as url:
        answer = requests.get(f"{url}/channels/harbor_news/subscribers", timeout=30)
        assert (answer.status_code, answer.json()) == (200, {"users": ["reader_1"]})
        receive(f"{url}/hooks", project)


def test_django_views_pass_with_its_test_client(project: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", TESTS],
        cwd=project, env=environment(project), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("views agree\n")


def test_stub_image_serves_client_with_documented_variables(tmp_path: Path) -> None:
    """Run the entry point of the Dockerfile with variables of the CI service, its health check, a client."""
    (dockerfile,), (service,) = blocks("dockerfile"), blocks("yaml")
    base, install, entry = dockerfile.splitlines()
    assert base.startswith("FROM python:3.1")
    assert install == "RUN pip install --no-cache-dir channel-adapter"
    port = str(free_port())
    words = [word.replace("8900", port) for word in json.loads(entry.removeprefix("ENTRYPOINT "))]
    own = dict(re.findall(r"^ +(CHANNEL_ADAPTER_\w+): (.*)$", service, re.MULTILINE))
    (check,) = re.findall(r'--health-cmd "python -c \\"(.*)\\""$', service, re.MULTILINE)
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen([str(SCRIPTS / words[0]), *words[1:]], cwd=tmp_path, env=os.environ | own) as process:
        try:
            healthy = [sys.executable, "-c", check.replace("8900", port)]
            while subprocess.run(healthy, check=False, capture_output=True).returncode:
                assert process.poll() is None
            key = own["CHANNEL_ADAPTER_STUB_KEY"]
            app = {"SDKAPPID": "1400000001", "KEY": key, "BASE_URL": url, "ADMIN": "administrator"}
            client = os.environ | {f"CHANNEL_ADAPTER_{name}": value for name, value in app.items()}
            program = forked.programs() / "channel-adapter"
            subprocess.run([program, "accounts", "add", "editor_7"], env=client, check=True, capture_output=True)
            token = {"Authorization": f"Bearer {own['CHANNEL_ADAPTER_STUB_CONTROL_TOKEN']}"}
            assert requests.post(f"{url}/_stub/reset", headers=token, timeout=30).status_code == 200
        finally:
            process.terminate()
