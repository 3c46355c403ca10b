"""`messages`: send, send-many, thread, threads, edit, recall, mark-read."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from channel_adapter import ChannelAdapter, ChannelId, MessageReceived, Settings, Text, UserId
from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


def test_message_is_sent_shown_edited_and_recalled(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    words = ("messages", "send", news, "reader_1", "Welcome aboard", "--idempotency-key", "k")
    sent = cli(*words, "--json").json
    assert (sent["channel"], sent["user"], sent["direction"], sent["parts"]) == (
        f"@TGS#_{news}", "reader_1", "sent", [{"kind": "text", "text": "Welcome aboard"}],
    )  # fmt: skip
    assert cli(*words).out == f"sent to reader_1 as {sent['key']}\n"
    assert cli("messages", "send", news, "reader_1", "-", "--json", code=2).error["kind"] == "usage"
    newest = cli("messages", "thread", news, "reader_1", "--json").json
    assert newest[0]["key"] == sent["key"]
    ref = {"channel": f"@TGS#_{news}", "user": "reader_1", "key": sent["key"]}
    edited = cli("messages", "edit", news, "reader_1", sent["key"], "Welcome on board", "--json").json
    assert edited == {"ref": ref, "edited": True}
    heading, row, *rest = cli("messages", "thread", news, "reader_1", "--limit", "1").out.splitlines()
    assert heading.split() == ["sent_at", "direction", "read", "key", "content"]
    assert row.endswith(f"sent       no    {sent['key']}  Welcome on board")
    assert not rest
    assert cli("messages", "recall", news, "reader_1", sent["key"], "--json").json == {"ref": ref, "recalled": True}
    assert "(recalled)" in cli("messages", "thread", news, "reader_1").out
    assert cli("messages", "mark-read", news, "reader_1").out == "the messages of reader_1 are read\n"
    assert cli("messages", "thread", news, "reader_2").out == ""


def test_message_content_may_be_json(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    content = '{"kind": "article", "title": "Tides", "link": "https://s.example/t"}'
    sent = cli("messages", "send", news, "reader_1", "--content", content, "--json").json
    assert sent["parts"][0]["title"] == "Tides"
    assert "stands alone" in cli("messages", "send", news, "reader_1", "x", "--content", content, code=2).err


def test_send_many_sends_one_message_to_users_of_file(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    file = cli.file("readers.csv", "user,name\nreader_3,A\nreader_4,B\nreader_3,A again\nnobody_7,C\n")
    report = cli("messages", "send-many", news, file, "The ferry is cancelled", "--json", code=3).json
    assert report["counts"] == {"sent": 2, "not_found": 1, "already": 1}
    assert [(each["line"], each["user"], each["kind"]) for each in report["problems"]] == [(5, "nobody_7", "not_found")]
    thread = cli("messages", "thread", news, "reader_3", "--json").json
    assert [each["parts"][0]["text"] for each in thread] == ["The ferry is cancelled"]
    done = cli.installed("messages", "send-many", news, "-", "again", stdin="reader_3\nreader_4\n").out
    assert done == "2 lines read: 2 sent\n"


def test_contact_sends_messages_and_shared_contact_is_reported(cli: Shell, new_channel: Callable[[], str]) -> None:
    news, tides = new_channel(), new_channel()
    url = f"sqlite:///{cli.directory}/messages.db"  # otherwise no other process knows the contacts
    shell = cli.having(CHANNEL_ADAPTER_DATABASE_URL=url)
    assert shell("channels", "update", news, "--contact", "reader_70", "--json").json["contact"] == "reader_70"
    second = shell("channels", "update", tides, "--contact", "reader_70")
    assert f"warning: this account writes for @TGS#_{news} too" in second.err
    sent = shell("messages", "send", news, "reader_5", "from the desk", "--json").json
    thread = {"Operator_Account": "reader_5", "Peer_Account": "reader_70", "MaxCnt": 9, "MinTime": 0}
    between = json.dumps({**thread, "MaxTime": 2**31})
    (message,) = shell("call", "openim", "admin_getroammsg", between, "--json").json["MsgList"]
    assert (message["From_Account"], message["MsgKey"]) == ("reader_70", sent["key"])
    assert shell("channels", "update", tides, "--contact", "", "--json").json["contact"] is None
    refused = shell("channels", "update", tides, "--contact", "nobody_7", "--json", code=1).error
    assert (refused["kind"], refused["field"]) == ("not_found", "contact")


def test_threads_are_listed_from_database(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    shell = cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{cli.directory}/messages.db")
    asyncio.run(_receive(cli.config, f"sqlite:///{cli.directory}/messages.db", f"@TGS#_{news}"))
    (thread,) = shell("messages", "threads", news, "--json").json
    assert (thread["user"], thread["unread"], thread["last"]["parts"][0]["text"]) == ("reader_6", 1, "ahoy")
    heading, row = shell("messages", "threads", news, "--limit", "1").out.splitlines()
    assert heading.split() == ["user", "unread", "sent_at", "direction", "content"]
    assert row.split() == ["reader_6", "1", "2026-03-20", "12:00:00Z", "received", "ahoy"]


async def _receive(config: Path | None, url: str, channel: str) -> None:
    settings = Settings.load(config, database_url=url)
    async with ChannelAdapter.open(settings) as adapter:
        at = datetime(2026, 3, 20, 12, tzinfo=UTC)
        received = MessageReceived(
            at=at, account=UserId(OWNER), user=UserId("reader_6"), channel=ChannelId(channel), key="1_2_3",
            parts=(Text("ahoy"),), sent_at=at,
        )  # fmt: skip
        await adapter.signals.message_event.emit(received)


def test_failed_command_reports_kind_and_field(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    for words, kind, field, code in (
        (("threads", news), "configuration", "database_url", 2),
        (("send", news, "nobody_7", "x"), "not_found", "user", 1),
        (("send", news, OWNER, "x"), "invalid", "user", 1),
        (("send", news, "reader_1", "x" * 12_289), "invalid", "content", 1),
        (("recall", news, "reader_1", "12"), "invalid", "key", 1),
        (("recall", news, "reader_1", "1_2_3"), "not_found", "key", 1),
        (("edit", news, "reader_1", "1_2_3", "x"), "not_found", "key", 1),
        (("send-many", "no_such", cli.file("u.txt", "reader_1\n"), "x"), "not_found", "channel", 1),
    ):
        error = cli("messages", *words, "--json", code=code).error
        assert (error["kind"], error["field"]) == (kind, field), words
