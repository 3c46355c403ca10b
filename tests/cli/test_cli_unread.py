"""`unread`, and the notifications and conversation groups of `subscribers`."""

import json
from collections.abc import Callable

from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.cli.shell import SECONDS, Shell, checked


def test_unread_posts_are_shown_by_channel(cli: Shell, new_channel: Callable[[], str]) -> None:
    news, tides = new_channel(), new_channel()
    found = cli("subscribers", "follow", "reader_60", news, tides, "no_such", "--json", code=3).json
    assert [(each["kind"], each["assignment"] and each["assignment"]["status"]) for each in found] == [
        ("added", "assigned"), ("added", "assigned"), ("channel_not_found", None),
    ]  # fmt: skip
    for words in (["one"], ["two"], ["three"], ["hush", "--silent"]):
        cli("posts", "publish", news, *words)
    cli("posts", "publish", tides, "low tide")
    cli("posts", "recall", news, "1")
    shown = cli.installed("unread", "show", "reader_60", "--json").json
    assert (shown["user"], shown["badge"], shown["chats"]) == ("reader_60", 3, 0)
    by_channel = {each["channel"]: each for each in shown["channels"]}
    assert by_channel[f"@TGS#_{news}"] == {
        "channel": f"@TGS#_{news}", "name": f"News {news}", "count": 2, "notifications": "all", "muted": False,
        "last_post_at": by_channel[f"@TGS#_{news}"]["last_post_at"], "explanation": None,
    }  # fmt: skip
    explained = cli("unread", "show", "reader_60", "--explain", "--json").json["channels"]
    assert {each["count"]: each["explanation"] for each in explained} == {
        2: {"source": "positions", "last_post": 4, "read_up_to": 0, "left_out": [1, 4]},
        1: {"source": "positions", "last_post": 1, "read_up_to": 0, "left_out": []},
    }
    assert cli("unread", "show", "reader_60", "--fast", "--json").json["badge"] == 5  # another process sent them

    lines = cli("unread", "show", "reader_60", "--explain").out.splitlines()
    assert lines[0].split() == [
        "channel", "name", "unread", "muted", "last_post_at", "last_post", "read_up_to", "left_out", "source",
    ]  # fmt: skip
    assert lines[-1] == "badge 3, chats 0"
    assert cli("unread", "show", "reader_60").out.splitlines()[0].split()[-1] == "last_post_at"
    assert cli("unread", "show", "reader_60", "-v", "--json").json["channels"][0]["explanation"]


def test_posts_are_marked_read_and_channels_muted(cli: Shell, new_channel: Callable[[], str]) -> None:
    news, tides = new_channel(), new_channel()
    cli("subscribers", "follow", "reader_61", news, tides)
    for number in range(3):
        cli("posts", "publish", news, f"post {number}")
    cli("posts", "publish", tides, "low tide")
    assert cli("unread", "mark-read", "reader_61", news, "--up-to", "2", "--json").json["left"] == 1
    cli("posts", "publish", news, "hush", "--silent")
    assert (
        cli("unread", "mark-read", "reader_61", news, "--up-to", "2").out == "1 post left unread\n"
    )  # the count that show reports
    history = cli("posts", "list", news, "--json").json
    second = next(each["published_at"] for each in history if each["ref"]["seq"] == 2)
    upto = cli("unread", "mark-read", "reader_61", news, "--up-to", second, "--json").json
    assert (upto["channel"], upto["left"] <= 1) == (f"@TGS#_{news}", True)
    assert cli("unread", "mark-read", "reader_61", news).out == "0 posts left unread\n"
    assert cli("subscribers", "mute", tides, "reader_61").out == "notifications: muted\n"
    assert cli("subscribers", "mute", tides, "reader_61").out == "notifications: muted, as before\n"
    assert cli("unread", "show", "reader_61", "--json").json["badge"] == 0
    assert cli("subscribers", "notifications", tides, "reader_61", "off", "--json").json["notifications"] == "off"
    again = cli("subscribers", "notifications", tides, "reader_61", "off").out
    assert again == "notifications: off, as before\n"
    assert cli("subscribers", "notifications", tides, "reader_61", "muted").out == "notifications: muted\n"
    assert cli("subscribers", "unmute", tides, "reader_61", "--json").json["changed"] is True
    assert cli("unread", "show", "reader_61", "--json").json["badge"] == 1
    assert cli("unread", "mark-read", "reader_61", "--all", "--json").json["channels"] == [f"@TGS#_{tides}"]
    assert cli("unread", "mark-read", "reader_61", "--all").out == "everything was read already\n"


def test_groups_are_synced_renamed_removed_and_marks_set(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    assert cli("unread", "groups", "reader_62").err == "no conversation groups\n"
    cli("subscribers", "add", news, "reader_62", "--no-assign")
    done = cli("unread", "sync", "reader_62", "--json").json
    assert (done["added"], done["removed"], done["error"]) == ([f"@TGS#_{news}"], [], "")
    assert cli("unread", "sync", "reader_62").err == "nothing to change\n"
    assert cli("unread", "rename", "reader_62", "频道").out == "renamed\n"
    assert cli("unread", "groups", "reader_62", "--json").json == [
        {"name": "频道", "channels": [f"@TGS#_{news}"], "others": []}
    ]
    assert cli("unread", "rename", "reader_62", "频道", "--json").json["renamed"] is False
    assert cli("unread", "sync", "reader_62").out.splitlines()[1].split() == [f"@TGS#_{news}", "put", "in"]
    assert cli("unread", "remove", "reader_62", "频道").out == "removed\n"
    assert cli("unread", "remove", "reader_62", "频道").out == "there was no such group\n"
    gone = cli("unread", "remove", "reader_62", "--json").json
    assert gone == {"user": "reader_62", "name": "Channels", "removed": True}
    starred = cli("unread", "star", "reader_62", news, "--json").json
    assert (starred["user"], starred["channel"], starred["starred"]) == ("reader_62", f"@TGS#_{news}", True)
    cli("unread", "fold", "reader_62", news)
    cli("unread", "hide", "reader_62", news)
    cli("unread", "fold", "reader_62", news, "--off")
    whose = {"user": "reader_62", "channel": f"@TGS#_{news}"}
    marked = whose | {"starred": True, "hidden": True, "folded": False, "text": "vip"}
    assert cli("unread", "note", "reader_62", news, "vip", "--json").json == marked
    assert cli("unread", "marks", "reader_62", news, "--json").json == marked


def test_sync_all_syncs_all_users_of_a_file(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    users = [f"reader_{number}" for number in range(63, 73)]
    cli("subscribers", "add", news, *users, "--no-assign")
    file = cli.file("users.csv", "user\n" + "\n".join([*users[:5], "stranger", "x" * 33, *users[5:]]) + "\n")
    done = cli("unread", "sync-all", file, "--json", code=3).json
    reason = done["problems"].pop(1)["reason"]
    assert "not" in reason
    assert done == {
        "problems": [{"line": 8, "reason": "user has 33 bytes; 32 are allowed"}],
        "users": 11, "changed": 10, "added": 10, "removed": 0, "cursor": 11, "complete": True,
    }  # fmt: skip
    headed = cli.file("headed.csv", "who,age\n" + "\n".join(f"{user},5" for user in users))
    assert "--no-header" in cli("unread", "sync-all", headed, code=2).err
    assert cli("unread", "sync-all", headed, "--column", "who").out.startswith("10 users: 0 changed")
    assert cli("unread", "sync-all", headed, "--header").out.startswith("10 users: 0 changed")
    assert cli("unread", "sync-all", cli.file("none.csv", "stranger_1\nstranger_2\n"), code=1).out.startswith("2 users")
    again = cli("unread", "sync-all", file, "--cursor", "6", code=3)
    assert again.out == "5 users: 0 changed, 0 channels put in, 0 taken out, 1 problem\n"
    assert cli.forked("unread", "sync-all", "-", stdin="reader_63").out.startswith("1 user: 0 changed")


def test_outcomes_show_group_assignment(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    small = cli.having(CHANNEL_ADAPTER_UNREAD__ASSIGN_UP_TO="1")
    lines = small("subscribers", "add", news, "reader_73", "reader_74").out.splitlines()
    assert lines[0].split() == ["user", "outcome", "assignment", "reason"]
    assert lines[1].split()[:3] == ["reader_73", "added", "left_out"]
    assert "sync_many" in lines[1]
    file = cli.file("users.txt", "reader_73\nreader_74\nreader_75\n")
    imported = small("subscribers", "import", news, file)
    assert imported.out == "3 lines read: 1 added, 2 already\n"
    rest = "'unread sync-all' with the same file does the rest\n"
    assert imported.err == f"conversation groups: 3 left out; {rest}"
    piped = small.forked("subscribers", "import", news, "-", stdin="reader_73\nreader_74\nreader_75\n")
    assert piped.err == imported.err
    assert small("subscribers", "import", news, file, "--assign").err == ""
    off = cli.having(CHANNEL_ADAPTER_UNREAD__ASSIGN="false")
    assert off("subscribers", "remove", news, "reader_73", "--json").json[0]["assignment"] is None
    left = cli("subscribers", "unfollow", "reader_74", news, "--json").json
    assert (left[0]["kind"], left[0]["assignment"]["status"]) == ("removed", "taken_out")


def test_invalid_unread_commands_are_refused(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    assert cli("unread", "mark-read", "reader_1", "--json", code=2).error["field"] == "channel"
    assert cli("unread", "mark-read", "reader_1", news, "--all", "--json", code=2).error["field"] == "channel"
    assert cli("unread", "mark-read", "reader_1", "--all", "--up-to", "1", "--json", code=2).error["field"] == "up_to"
    assert cli("unread", "mark-read", "reader_1", news, "--json", code=1).error["kind"] == "not_found"
    for up_to in ("soon", "9" * 5_000):
        assert (
            cli("unread", "mark-read", "reader_1", news, "--up-to", up_to, "--json", code=2).error["field"] == "up_to"
        )
    cli("subscribers", "add", news, "reader_2")
    for up_to in ("0", "1", "2999-01-01"):
        refused = cli("unread", "mark-read", "reader_2", news, "--up-to", up_to, "--json", code=1).error
        assert (refused["kind"], refused["field"]) == ("invalid", "up_to")
    assert cli("unread", "show", "stranger", "--json", code=1).error["kind"] == "not_found"
    assert cli("unread", "rename", "reader_1", "x" * 33, "--json", code=1).error["limit"] == 32
    assert cli("unread", "sync-all", "nowhere.csv", "--json", code=2).error["field"] == "file"
    assert cli("unread", "show", "reader_1", "--config", cli.file("a.toml", '[unread]\nname = ""\n'), code=2)


def test_concurrent_processes_assign_groups_of_the_same_users(cli: Shell, new_channel: Callable[[], str]) -> None:
    channels = [new_channel() for _ in range(2)]
    users = ["reader_76", "reader_77"]
    running = [cli.start_forked("subscribers", "add", channel, *users, "--json") for channel in channels]
    for process in running:
        out, err = process.communicate(timeout=SECONDS)
        outcomes = checked(process.returncode, out, err, 0).json
        assert [each["assignment"]["status"] for each in outcomes] == ["assigned", "assigned"]
    for user in users:
        (group,) = cli("unread", "groups", user, "--json").json
        assert set(group["channels"]) == {f"@TGS#_{channel}" for channel in channels}


def test_sync_all_that_breaks_off_is_not_complete(cli: Shell) -> None:
    users = [f"reader_{number}" for number in range(1, 51)]
    stub = StubServer()
    with stub.run_in_thread():
        own = {"BASE_URL": stub.url, "KEY": stub.key, "ADMIN": stub.admin, "SDKAPPID": str(stub.sdkappid)}
        shell = cli.having(**{f"CHANNEL_ADAPTER_{name}": value for name, value in own.items()})
        accounts = {"AccountList": [{"UserID": user} for user in users]}
        shell("call", "im_open_login_svc", "multiaccount_import", json.dumps(accounts))
        stub.in_loop(lambda: stub.faults.replace([Fault(account="reader_40", code=70003)]))
        stopped = shell("unread", "sync-all", cli.file("users.csv", "\n".join(users)), "--json", code=1)
    assert stopped.json["complete"] is False
    assert stopped.json["users"] < len(users)
