"""`channel-adapter webhooks trigger`."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.cli.conftest import Served
from tests.cli.shell import Shell

OK = {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}


class Listener(HTTPServer):
    """Independent receiver that stores requests and answers OK."""

    heard: list[tuple[dict[str, list[str]], Any]]

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Ear)
        self.heard = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Ear(BaseHTTPRequestHandler):
    server: Listener

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((parse_qs(urlsplit(self.path).query), json.loads(body)))
        answer = json.dumps(OK).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_event_is_sent_and_signed_for_the_configured_app(served: Served, tmp_path: Path, listener: Listener) -> None:
    shell = Shell(tmp_path, served.config, {"CHANNEL_ADAPTER_WEBHOOKS__TOKENS": '["orchid-7f"]'})
    told = shell(
        "webhooks", "trigger", "PostPublished", "--url", listener.url, "--channel", "harbor", "--set", '{"MsgSeq": 7}',
        "--json",
    )  # fmt: skip
    assert (told.json["command"], told.json["status"], told.json["answer"]) == ("Group.CallbackAfterSendMsg", 200, OK)
    ((query, body),) = listener.heard
    assert (body["GroupId"], body["MsgSeq"]) == ("@TGS#_harbor", 7)
    assert (query["SdkAppid"], query["OptPlatform"]) == ([str(served.sdkappid)], ["iOS"])
    assert len(query["Sign"][0]) == 64
    assert "orchid" not in told.out + told.err


def test_trigger_needs_no_settings_and_repeats_same_request(tmp_path: Path, listener: Listener) -> None:
    shell = Shell(tmp_path, None)
    told = shell("webhooks", "trigger", "AfterGroupFull", "--url", listener.url, "--sdkappid", "5", "--times", "3")
    assert "HTTP 200" in told.out
    assert len(listener.heard) == 3
    assert all(each == listener.heard[0] for each in listener.heard)
    assert "Sign" not in listener.heard[0][0]


def test_unsigned_option_omits_signature(served: Served, tmp_path: Path, listener: Listener) -> None:
    shell = Shell(tmp_path, served.config, {"CHANNEL_ADAPTER_WEBHOOKS__TOKENS": '["orchid-7f"]'})
    shell("webhooks", "trigger", "Subscribed", "--url", listener.url, "--unsigned")
    assert "Sign" not in listener.heard[0][0]


def test_list_shows_all_commands(tmp_path: Path) -> None:
    rows = Shell(tmp_path, None)("webhooks", "trigger", "--list", "--json").json
    assert {"event": "Subscribed", "command": "Group.CallbackAfterNewMemberJoin"} in rows
    assert {"event": "PostDraft", "command": "Group.CallbackBeforeSendMsg"} in rows
    assert {"event": "", "command": "Group.CallbackBeforeCreateTopic"} in rows


@pytest.mark.parametrize(
    ("args", "code", "hint"),
    [
        (["Subscribd", "--url", "http://127.0.0.1:1/", "--sdkappid", "5"], 2, "Subscribed"),
        (["Subscribed", "--url", "http://127.0.0.1:1/", "--sdkappid", "5"], 7, "not reached: connection refused\n"),
        (["Subscribed", "--url", "http://127.0.0.1:1/"], 2, "sdkappid"),
        (["Subscribed"], 2, "--url"),
        ([], 2, "--list"),
        (["Subscribed", "--url", "http://127.0.0.1:1/", "--sdkappid", "5", "--set", "[]"], 2, "object"),
        (["Subscribed", "--url", "http://127.0.0.1:1/", "--sdkappid", "5", "--set", "{"], 2, "JSON"),
        (["Subscribed", "--url", "127.0.0.1", "--sdkappid", "5"], 2, "address"),
    ],
)
def test_failed_trigger_is_reported(tmp_path: Path, args: list[str], code: int, hint: str) -> None:
    assert hint in Shell(tmp_path, None)("webhooks", "trigger", *args, code=code).err


def test_refusal_by_receiver_has_exit_code_1(tmp_path: Path, served: Served) -> None:
    told = Shell(tmp_path, None)("webhooks", "trigger", "Subscribed", "--url", served.url, "--sdkappid", "5", code=1)
    assert "HTTP" in told.out
