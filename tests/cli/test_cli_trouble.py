"""A service that refuses, fails or is unreachable; interruptions; output pipes that are closed."""

import io
import json
from collections.abc import Callable

import pytest

from channel_adapter.cli.command import Run, execute
from channel_adapter.cli.output import Output
from channel_adapter.tencent.codes import NO_SUCH_GROUP, NOT_APP_ADMIN, SIGNATURE_WRONG_KEY
from tests.cli.shell import SECONDS, WRONG_KEY, Shell, interrupted


def test_wrong_key_is_reported(cli: Shell) -> None:
    stranger = cli.having(CHANNEL_ADAPTER_KEY=WRONG_KEY)
    for extra in ((), ("-v", "--debug"), ("-vv",)):
        said = stranger("channels", "list", *extra, code=1)
        assert said.out == ""
        assert "error: " in said.err
        assert "the key does not belong to this app" in said.err
    error = stranger("channels", "list", "--json", code=1).error
    assert error["kind"] == "authentication"
    assert error["code"] == SIGNATURE_WRONG_KEY


def test_account_without_admin_rights_is_reported(cli: Shell) -> None:
    said = cli.having(CHANNEL_ADAPTER_ADMIN="reader_1")("channels", "list", code=1)
    assert said.err == (
        "error: get_appid_group_list was refused: the account that is set as admin is no admin of this app"
        f" [{NOT_APP_ADMIN}: the identifier is not an app admin]\n"
    )


def test_message_of_the_service_is_not_repeated(cli: Shell) -> None:
    said = cli("call", "group_open_http_svc", "destroy_group", '{"GroupId": "@TGS#_none"}', code=1)
    assert (
        said.err == f"error: destroy_group was refused: the group does not exist or was dissolved [{NO_SUCH_GROUP}]\n"
    )


def test_debug_shows_traceback_and_verbose_shows_calls(cli: Shell) -> None:
    said = cli.installed("channels", "show", "no_such", "-v", "--debug", code=1)
    assert "Traceback" in said.err
    assert "group_open_http_svc/get_group_info: success, " in said.err
    assert said.err.splitlines()[-1] == "error: there is no channel @TGS#_no_such"


def test_unreachable_server_is_reported(cli: Shell) -> None:
    gone = cli.having(CHANNEL_ADAPTER_BASE_URL="http://127.0.0.1:1", CHANNEL_ADAPTER_TOTAL_SECONDS="0.5")
    error = gone("channels", "show", "news", "--json", code=7).error
    assert error["kind"] == "unavailable"
    assert "no connection to 127.0.0.1:1" in error["message"]
    readers = cli.file("users.txt", "reader_1\n")
    imported = gone("subscribers", "import", "news", readers, code=7)
    assert imported.out == ""
    assert "no connection to 127.0.0.1:1" in imported.err


def test_interrupted_import_reports_its_progress(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    users = [f"reader_{n}" for n in range(1, 60)] + ["stranger"] + ["reader_1"] * 100_000
    process = cli.start(
        "subscribers", "import", news, cli.file("users.txt", "\n".join(users)), "--no-assign", "--json", "-v"
    )
    assert process.stderr is not None
    told = b""
    while told.count(b"add_group_member: success") < 3:
        line = process.stderr.readline()
        assert line, told.decode()
        told += line
    said = interrupted(process, told)
    document = said.json
    assert document["complete"] is False
    assert document["counts"]["added"] >= 20
    assert said.error["kind"] == "interrupted"
    assert "lines read: " in said.error["message"]
    assert "added" in said.error["message"]


def test_closed_pipe_is_not_reported(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    cli("subscribers", "add", news, *(f"reader_{n}" for n in range(1, 60)))
    process = cli.start("subscribers", "list", news, "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait(SECONDS) == 4


@pytest.mark.parametrize("debug", [False, True])
def test_internal_fault_is_reported_in_one_sentence(debug: bool) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    err = io.StringIO()
    code = execute(Run(Output(json=True, stderr=err), debug=debug), broken)
    *trace, sentence = err.getvalue().splitlines()
    error = json.loads(sentence)["error"]
    assert (code, error["kind"]) == (1, "internal")
    assert error["message"].startswith("a fault in this program: ZeroDivisionError")
    assert ("ZeroDivisionError" in "".join(trace)) == debug
