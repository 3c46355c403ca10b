"""`reactions`: add, remove, show, users, policy, and commands that need the store."""

from collections.abc import Callable

from tests.cli.shell import DOCTOR, Shell


def post_in(cli: Shell, channel: str) -> str:
    cli("subscribers", "add", channel, "reader_1", "reader_2")
    return str(cli("posts", "publish", channel, "low tide", "--json").json["ref"]["seq"])


def test_reactions_are_added_shown_and_removed(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    seq = post_in(cli, news)
    added = cli.installed("reactions", "add", news, seq, "reader_1", "👍", "--json").json
    assert added == {"channel": f"@TGS#_{news}", "seq": int(seq), "user": "reader_1", "emoji": "👍", "changed": True}
    assert cli("reactions", "add", news, seq, "reader_1", "👍").out == "reader_1 reacted with 👍 before\n"
    assert cli("reactions", "add", news, seq, "reader_2", "👍🏽").out == "reader_2 reacts with 👍🏽\n"
    shown = cli("reactions", "show", news, seq, "--viewer", "reader_2").out.splitlines()
    assert [line.split() for line in shown] == [["emoji", "users"], ["👍", "1"], ["👍🏽", "1"], ["reader_2:", "👍🏽"]]
    assert cli("reactions", "show", news, seq, "--json").json["counts"] == {"👍": 1, "👍🏽": 1}
    assert cli("reactions", "users", news, seq, "--emoji", "👍", "--json").json == [
        {"user": "reader_1", "emoji": "👍", "since": None}
    ]
    assert cli("reactions", "remove", news, seq, "reader_1").out == "reader_1 reacts no more\n"
    assert cli("reactions", "remove", news, seq, "reader_1").out == "reader_1 had no such reaction\n"


def test_policy_is_set_and_shown(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    seq = post_in(cli, news)
    assert cli("reactions", "policy", news).out == "all: every emoji is accepted\n"
    assert cli("reactions", "policy", news, "basic").out == "basic: 👍 ❤️ 😂 😮 😢 🙏\n"
    refused = cli("reactions", "add", news, seq, "reader_1", "💩", "--json", code=1).error
    assert (refused["kind"], refused["field"]) == ("invalid", "emoji")
    assert "👍 ❤️" in refused["message"]
    assert cli("reactions", "policy", news, "🎉", "👍", "--json").json == {
        "channel": f"@TGS#_{news}", "policy": "some", "allowed": ["🎉", "👍"],
    }  # fmt: skip
    assert cli("reactions", "policy", news, "none").out == "none: no reactions are accepted\n"
    assert cli("reactions", "policy", news, "most", code=1).err.startswith(
        "error: policy must be all, basic, none or a list of emoji; got 'most'"
    )


def test_failed_command_reports_its_kind(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    seq = post_in(cli, news)
    for words, kind, code in (
        (["add", news, seq, "reader_1", "👍👍"], "invalid", 1),
        (["add", news, seq, "reader_9", "👍"], "permission", 1),
        (["add", news, "99", "reader_1", "👍"], "not_found", 1),
        (["reconcile", news, seq], "configuration", 2),
        (["adopt", news], "configuration", 2),
        (["probe"], "configuration", 2),
        (["publish"], "configuration", 2),
    ):
        assert cli("reactions", *words, "--json", code=code).error["kind"] == kind


def test_reactions_of_direct_mode_are_adopted_by_the_store(cli: Shell, new_channel: Callable[[], str]) -> None:
    news = new_channel()
    seq = post_in(cli, news)
    cli("reactions", "add", news, seq, "reader_1", "👍")
    stored = cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{cli.directory / 'reactions.db'}")
    assert stored("reactions", "adopt", news, "--json").json == [
        {"ref": {"channel": f"@TGS#_{news}", "seq": int(seq)}, "reactions": 1}
    ]
    stored("reactions", "add", news, seq, "reader_2", "👍")
    assert stored("reactions", "show", news, seq, "--json").json["counts"] == {"👍": 2}
    assert stored("reactions", "publish").out == "everything is published\n"
    assert stored("reactions", "reconcile", news, seq).out == "0 reactions changed, 0 counts to repair\n"
    assert stored("reactions", "probe").out == "extensions: probed\n"
    doctor = {each["check"]: each for each in stored("doctor", "--json", code=DOCTOR).json}
    assert doctor["reactions"]["message"] == "store; counts are shown as extensions: probed"
    body = f'{{"GroupId": "@TGS#_{news}", "MsgSeq": {seq}}}'
    pairs = cli("call", "openim_msg_ext_http_svc", "group_get_key_values", body).json["ExtensionList"]
    assert {pair["Key"]: pair["Value"] for pair in pairs} == {"r|reader_1": "👍", "n|👍": "2"}
