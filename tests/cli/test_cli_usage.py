"""Help, usage errors, and invalid settings: reported without loading the client."""

import shlex
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from typer.main import get_command

from channel_adapter.cli.command import EXAMPLES
from channel_adapter.cli.main import COMMANDS, main
from tests.cli.shell import KEY, Shell


@pytest.fixture
def bare(tmp_path: Path) -> Shell:
    """Return a shell without settings."""
    return Shell(tmp_path, None)


def leaves() -> dict[tuple[str, ...], object]:
    """Return every command by its path, imported."""
    found: dict[tuple[str, ...], object] = {}
    for name, entry in COMMANDS.items():
        built = get_command(import_module(f"channel_adapter.cli.{entry.module}").app)
        inner = getattr(built, "commands", None)
        found |= {(name, each): command for each, command in inner.items()} if inner else {(name,): built}
    return found


LEAVES = leaves()


NAMES = {
    "channels": (
        "create show list adopt update delete staff promote demote transfer block unblock blocked suspend "
        "resume verify unverify export"
    ),
    "directory": "search refresh",
    "insights": "show views export",
    "invites": "create accept revoke list",
    "subscribers": "add remove follow unfollow notifications mute unmute list check import",
    "unread": "show mark-read sync sync-all groups rename remove star hide fold note marks",
    "messages": "send send-many thread threads edit recall mark-read",
    "posts": (
        "publish list show edit recall import-feed schedule scheduled reschedule unschedule publish-now draft "
        "drafts publish-draft discard-draft pin unpin pinned"
    ),
    "reactions": "add remove show users policy reconcile adopt probe publish",
    "accounts": "add check",
    "migrate": "plan show apply status retry verify cutover rollback report",
    "worker": "",
    "webhooks": "list retry drop tail stats serve trigger",
    "console": "serve hash-password",
    "doctor": "",
    "settings": "example",
    "stub": "",
    "state": "dump load diff",
    "demo": "",
    "completion": "",
    "call": "",
}
"""Names of the commands by group; empty for a command without a group."""


def test_command_list_is_complete() -> None:
    groups: dict[str, list[str]] = {}
    for group, *names in LEAVES:
        groups.setdefault(group, []).extend(names)
    assert groups == {group: names.split() for group, names in NAMES.items()}


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_help_of_every_command_has_example(path: tuple[str, ...], bare: Shell) -> None:
    text = bare(*path, "--help").out
    assert f"Usage: channel-adapter {' '.join(path)} " in text
    assert f"\n  Example:\n    {EXAMPLES[path].splitlines()[0]}\n" in text
    for option in ("--json", "--config FILE", "-v, --verbose", "--debug"):
        assert option in text
    assert " <" not in text.partition("Options:")[2], "a type of Python where the name of a value should be"


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_example_is_parsed_by_its_command(path: tuple[str, ...]) -> None:
    for line in EXAMPLES[path].splitlines():
        words = shlex.split(line.rpartition("| ")[2], comments=False)
        assert words[: len(path) + 1] == ["channel-adapter", *path]
        given = words[len(path) + 1 :]
        if ">" in given:
            given = given[: given.index(">")]
        LEAVES[path].make_context(path[-1], given)  # type: ignore[attr-defined]


def test_overview_has_summaries_of_all_groups(bare: Shell) -> None:
    overview = " ".join(bare("--help").out.split())
    for name, entry in COMMANDS.items():
        assert f"{name} {entry.summary}" in overview


def test_group_help_has_its_summary(bare: Shell) -> None:
    for name in ("channels", "posts", "webhooks"):
        assert COMMANDS[name].summary in bare(name, "--help").out


def test_help_and_usage_errors_load_no_heavy_library() -> None:
    script = (
        "import sys\nfrom channel_adapter.cli.main import main\n"
        "codes = [main(['--help']), main(['-h']), main(['channels', 'lst']), main(['posts', 'show', 'x', 'y']),"
        " main(['subscribers', 'import', 'x', '/nowhere.csv'])]\n"
        "heavy = {'aiohttp', 'feedparser', 'structlog'} & set(sys.modules)\n"
        "assert codes == [0, 0, 2, 2, 2] and not heavy, (codes, heavy)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("url", "durable", "store"),
    [
        ("", "durable", None),
        ("sqlite:///a.db", "durable", "store"),
        ("postgresql://h/d", "durable,postgres", "postgres"),
    ],
)
def test_missing_library_is_named_with_its_extra(
    url: str, durable: str, store: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"SDKAPPID": "1400000001", "KEY": KEY, "BASE_URL": "http://127.0.0.1:1", "DATABASE_URL": url}
    for name, value in given.items():
        monkeypatch.setenv(f"CHANNEL_ADAPTER_{name}", value)
    script = (
        "import asyncio, sys\nsys.modules |= {'sqlalchemy': None, 'dbos': None, 'psycopg': None}\n"
        "from channel_adapter import ChannelAdapter, ConfigurationError, Settings\n"
        "from channel_adapter.cli.main import main\n"
        "async def use(attribute):\n"
        "    async with ChannelAdapter.open(Settings.load()) as adapter:\n        getattr(adapter, attribute)\n"
        "print(main(['migrate', 'plan', '--files', '.']), main(['webhooks', 'list']))\n"
        "for attribute in ('migration', 'events'):\n"
        "    try:\n        asyncio.run(use(attribute))\n"
        "    except ConfigurationError as error:\n        print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, cwd=tmp_path)
    sentence = f"this needs SQLAlchemy: pip install 'channel-adapter[{durable}]'"
    inbox = 'error: the durable inbox needs SQLAlchemy, and inbox.kind = "memory" does not: '
    assert done.stderr.splitlines() == [
        f"error: {sentence}", f"{inbox}pip install 'channel-adapter[{store or 'store'}]'",
    ]  # fmt: skip
    tables = [f"database_url needs SQLAlchemy: pip install 'channel-adapter[{store}]'"] if store else []
    assert done.stdout.splitlines() == ["2 2", sentence, *tables]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["channels"], "a command is missing: create, show, list, adopt, update, delete"),
        (["chanels", "list"], "there is no command 'chanels'; did you mean 'channels'? See"),
        (["posts", "publsh"], "there is no command 'publsh'; did you mean 'publish'?"),
        (
            ["zzz"],
            "there is no command 'zzz'; known: channels, subscribers",
        ),
        (["channels", "list", "--limt", "3"], "no such option: --limt"),
        (["channels", "list", "--limit", "three"], "invalid value for '--limit'"),
        (["posts", "show", "news", "0"], "invalid value for 'SEQ'"),
        (["channels", "create", "--name", "x"], "missing option '--owner'"),
        (["posts", "publish"], "missing argument 'CHANNEL'"),
        (["channels", "update", "news"], "nothing to change; name at least one field"),
        (
            ["posts", "publish", "news", "--link", "https://s.example"],
            "--link belongs to an article; give a --title too",
        ),
        (
            ["posts", "publish", "news", "x", "--content", "{}"],
            "--content stands alone, without text and the other options",
        ),
        (["posts", "publish", "news", "--content", "{"], "--content is not JSON"),
        (
            ["posts", "publish", "news", "--content", '{"kind": "tweet"}'],
            "--content: kind must be one of text, image",
        ),
        (["posts", "publish", "news", "--content", '{"kind": "face"}'], "--content: a face needs index"),
        (["posts", "publish", "news", "--content", '{"kind": "image"}'], "--content: an image needs url"),
        (["posts", "publish", "news", "x", "--image", ""], "--image is empty; leave it out"),
        (["posts", "publish", "news"], "there is no content: give TEXT, --image, --title, --location or --content"),
        (["posts", "publish", "news", " \n"], "there is no content"),
        (["posts", "publish", "news", "--author", "ed", "--dry-run"], "there is no content"),
        (["posts", "edit", "news", "1"], "there is no content"),
        (
            ["posts", "publish", "news", "--title", "T", "--image", "https://a", "--image", "https://b"],
            "--title makes an article, which has one --image, not 2",
        ),
        (
            ["subscribers", "notifications", "news", "reader_1", "loud"],
            "invalid value for 'all|muted|off|mentions': 'loud' is not one of 'all', 'muted', 'off', 'mentions'",
        ),
        (["subscribers", "mute", "news", "reader_1", "--off"], "no such option: --off"),
        (["posts", "edit", "news", "1", "x", "--title", ""], "--title is empty; leave it out"),
        (["posts", "publish", "news", "x", "--link", ""], "--link is empty; leave it out"),
        (["posts", "publish", "news", "x", "--location", ""], "--location is empty; leave it out"),
        (
            ["posts", "publish", "news", "--content", '{"kind": "face", "index": "1"}'],
            "--content: index of a face must be an integer",
        ),
        (
            ["posts", "publish", "news", "--content", '{"kind": "face", "idx": 1}'],
            "--content: a face has no 'idx'; it has index, data",
        ),
        (
            ["posts", "publish", "news", "--content", "[1]"],
            "--content must be an object with a kind, or an array of them",
        ),
        (
            ["posts", "publish", "news", "--location", "north"],
            "--location must be LATITUDE,LONGITUDE in degrees; got 'north'",
        ),
        (["posts", "import-feed", "news", "nowhere.xml"], "nowhere.xml cannot be read: No such file or directory"),
        (
            ["posts", "import-feed", "news", "nowhere.xml", "--base-url", "site.example"],
            "--base-url must be an http or https address; got 'site.example'",
        ),
        (
            ["posts", "import-feed", "news", "nowhere.xml", "--base-url", "keeper:abc123@site.example"],
            "--base-url must be an http or https address; got '***@site.example'",
        ),
        (["subscribers", "import", "news", "."], ". cannot be read: Is a directory"),
        (["call", "s", "c", "{"], "the request is not JSON"),
        (["call", "s", "c", "[]"], "the request must be a JSON object"),
        (["call", "s"], "a command is needed: SERVICE COMMAND, or SERVICE/COMMAND"),
        (["call", "s/"], "a command is needed: SERVICE COMMAND, or SERVICE/COMMAND"),
        (["call", "s/c", "{"], "the request is not JSON"),
        (["demo", "--feed", "nowhere.xml"], "nowhere.xml cannot be read: No such file or directory"),
        (["stub", "--cert", "a.pem"], "--cert and --key-file belong together"),
        (["webhooks", "serve", "--handlers", ".module:function"], "'.module:function' is not MODULE:FUNCTION"),
        (
            [
                "webhooks",
                "trigger",
                "Subscribed",
                "--url",
                "http://127.0.0.1:1/",
                "--sdkappid",
                "1",
                "--platform",
                "\udcff",
            ],
            "platform contains half of a surrogate pair",
        ),
        (["webhooks", "retry", "\udcff"], "KEY contains half of a surrogate pair"),
        (["webhooks", "drop", "\udcff"], "KEY contains half of a surrogate pair"),
        (["webhooks", "list", "--limit", "9223372036854775808"], "invalid value for '--limit'"),
    ],
)
def test_usage_error_is_one_sentence_with_exit_code_2(words: list[str], message: str, bare: Shell) -> None:
    said = bare(*words, code=2)
    assert said.out == ""
    assert said.err.startswith(f"error: {message}")
    assert len(said.err.splitlines()) == 1
    error = bare(*words, "--json", code=2).error
    assert error["kind"] == "usage"
    assert error["message"].startswith(message)


def test_program_without_arguments_shows_help_with_exit_code_2(bare: Shell) -> None:
    assert bare(code=2).out.startswith("Usage: channel-adapter")


def test_closed_pipe_of_help_is_not_reported(bare: Shell) -> None:
    process = bare.start("--help")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    with process.stderr:
        assert process.stderr.read() == b""
    assert process.wait() in (0, 4)


SERVER = 'sdkappid = 1400000001\nbase_url = "http://127.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("toml", "field", "message"),
    [
        (SERVER + f'key = "{KEY}"\n[posts]\nmaxbytes = 1\n', "posts.maxbytes", "did you mean 'max_bytes'?"),
        (SERVER + f'key = "{KEY}"\nregio = "seoul"\n', "regio", "unknown key 'regio'; did you mean 'region'?"),
        (SERVER, "key", "'key' is missing; give it there or as CHANNEL_ADAPTER_KEY"),
        (f'key = "{KEY}"\nregion = "atlantis"\nsdkappid = 1\n', "region", "region: must be one of china"),
        (SERVER + f'key = "{KEY}"\nca_file = "nowhere.pem"\n', "ca_file", "nowhere.pem cannot be used"),
        (f'key = "{KEY}"\nsdkappid = 1\nbase_url = "http://[x"\n', "base_url", "broken host or port"),
        ("key = \n", "config", "is not TOML"),
        (f"sdkappid = {'1' * 5_000}\n", "config", "is not TOML"),
        (f'key = "{KEY}"\nsdkappid = 1\nbase_url = "http://h.test/?"\n', "base_url", "without user, query"),
        (SERVER + f'key = "{KEY}"\nconcurrency = "many"\n', "concurrency", "concurrency: must be a whole number"),
        (SERVER + f'key = "{KEY}"\nconcurrency = 0\n', "concurrency", "must be greater than or equal to 1"),
        (SERVER + f'key = "{KEY}"\nchannels = 3\n', "channels", "channels: must be a table"),
    ],
)  # fmt: skip
def test_invalid_setting_is_named(toml: str, field: str | None, message: str, bare: Shell) -> None:
    file = bare.file("bad.toml", toml)
    error = bare("channels", "list", "--config", file, "--json", code=2).error
    assert (error["kind"], error["field"]) == ("configuration", field)
    assert message in error["message"]


def test_settings_file_is_found_in_documented_order(bare: Shell, tmp_path: Path) -> None:
    missing = bare("channels", "list", "--config", "nowhere.toml", code=2).err
    assert missing == "error: there is no settings file nowhere.toml\n"
    assert bare("channels", "list", code=2).err == (
        "error: no settings file: 'sdkappid' is missing; give it in adapter.toml, in --config FILE, or as"
        " CHANNEL_ADAPTER_SDKAPPID\n"
    )
    bare.file("adapter.toml", "oops = 1\n")
    assert "adapter.toml: " in bare("channels", "list", code=2).err
    named = bare.having(CHANNEL_ADAPTER_CONFIG=bare.file("named.toml", "oops = 1\n"))
    assert "named.toml: " in named("channels", "list", code=2).err
    assert "first.toml" in named("--config", "first.toml", "channels", "list", code=2).err
    assert "last.toml" in named("--config", "first.toml", "channels", "list", "--config", "last.toml", code=2).err


def test_interruption_during_import_has_exit_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("channel_adapter.cli.main.import_module", interrupt)
    assert main(["channels", "list"]) == 4
