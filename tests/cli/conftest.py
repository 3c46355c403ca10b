"""One stub in its own process for all tests of the command line."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests import forked
from tests.cli.shell import KEY, SECONDS, Shell

OWNER = "editor_7"
FIELDS = ("ch_tag", "ch_org", "ch_data_1")
_numbers = count(1)


@dataclass(frozen=True)
class Served:
    """A running stub as its ready file describes it."""

    url: str
    sdkappid: int
    config: Path


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("cli")
    ready = directory / "ready.json"
    fields = [word for name in FIELDS for word in ("--group-field", name)]
    arguments = ["stub", "--port", "0", "--key", KEY, "--ready-file", str(ready), *fields]
    program = forked.programs() / "channel-adapter"
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + SECONDS
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline, "the stub does not get ready"
            time.sleep(0.02)
        about = json.loads(ready.read_text())
        config = directory / "adapter.toml"
        config.write_text(
            f'sdkappid = {about["sdkappid"]}\nkey = "{about["key"]}"\nadmin = "{about["admin"]}"\n'
            f'base_url = "{about["url"]}"\n[channels]\norganization_key = "ch_org"\ncustom_data_keys = ["ch_data_1"]\n'
        )
        shell = Shell(directory, config)
        accounts = {"AccountList": [{"UserID": OWNER}, *({"UserID": f"reader_{n}"} for n in range(1, 80))]}
        shell("call", "im_open_login_svc", "multiaccount_import", json.dumps(accounts))
        yield Served(about["url"], about["sdkappid"], config)
    finally:
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert KEY.encode() not in out + err


@pytest.fixture
def cli(served: Served, tmp_path: Path) -> Shell:
    return Shell(tmp_path, served.config)


@pytest.fixture
def new_channel(cli: Shell) -> Callable[[], str]:
    """Return a function that creates an empty channel and returns its slug."""

    def make() -> str:
        slug = f"news_{next(_numbers)}"
        cli("channels", "create", "--slug", slug, "--name", f"News {slug}", "--owner", OWNER)
        return slug

    return make
