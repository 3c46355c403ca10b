"""A wrong value of 20,000 characters on the command line or in a file makes a short error that states its size."""

import pytest

from tests.cli.shell import Shell

LETTERS = "a" * 20_000
SIGNS = "!\x1b" * 10_000
DIGITS = "1" * 20_000
TIME = f"2026-12-24T18:00:00.{'0' * 20_000}"
MAX_CHARACTERS = 600
BY_THE_ADAPTER = {"slug", "channel", "emoji", "policy", "cursor", "user", "channels.csv"}  # these make exit code 1


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((LETTERS,), "command"),
        (("posts", LETTERS), "command"),
        (("posts", f"--{LETTERS}"), "option"),
        (("posts", "list", SIGNS), "slug"),
        (("posts", "list", LETTERS), "slug"),
        (("posts", "list", f"@TGS#_{SIGNS}"), "channel"),
        (("posts", "schedule", "news", "x", "--at", LETTERS), "--at"),
        (("posts", "schedule", "news", "x", "--at", TIME), "--at"),
        (("posts", "schedule", "news", "x", "--at", "2026-12-24T18:00", "--zone", LETTERS), "--zone"),
        (("posts", "publish", "news", "--location", LETTERS), "--location"),
        (("posts", "import-feed", "news", "feed.xml", "--base-url", LETTERS), "--base-url"),
        (("reactions", "add", "news", "1", "reader_1", "👍" * 20_000), "emoji"),
        (("reactions", "policy", "news", LETTERS), "policy"),
        (("subscribers", "notifications", "news", "reader_1", LETTERS), "all|muted|off"),
        (("subscribers", "list", "news", "--cursor", f"official:{LETTERS}"), "cursor"),
        (("subscribers", "add", "news", LETTERS), "user"),
        (("subscribers", "import", "news", f"/{LETTERS}"), "cannot be read"),
        (("subscribers", "import", "news", f"https://{LETTERS}"), "is an address"),
        (("subscribers", "import", "news", "users.csv", "--column", LETTERS), "column"),
        (("subscribers", "import", "news", "users.csv", "--column", DIGITS), "column"),
        (("subscribers", "import", "news", "users.csv", "--delimiter", LETTERS), "--delimiter"),
        (("invites", "create", "news", "--expires", LETTERS), "--expires"),
        (("migrate", "plan", "--files", ".", "--rename", LETTERS), "--rename"),
        (("migrate", "plan", "--files", ".", "--owner", "editor_7", "--policy", f"all={LETTERS}"), "LOSS=POLICY"),
        (("migrate", "plan", "--files", f"/{LETTERS}"), "/aaa"),
        (("migrate", "apply", f"/{LETTERS}"), "/aaa"),
        (("migrate", "plan", "--files", ".", "--owner", "editor_7"), "channels.csv"),
        (("webhooks", "serve", "--handlers", LETTERS), "MODULE:FUNCTION"),
        (("webhooks", "serve", "--handlers", f"{LETTERS}:f"), "module"),
        (("webhooks", "serve", "--host", LETTERS, "--port", "0"), "name of a host"),
        (("webhooks", "trigger", LETTERS, "--url", "http://127.0.0.1:1"), "event"),
        (("webhooks", "trigger", "Subscribed", "--url", LETTERS), "url"),
        (("stub", "--scenario", LETTERS), "scenario"),
        (("stub", "--host", LETTERS, "--port", "0"), "name of a host"),
        (("stub", "--config", f"/{LETTERS}"), "/aaa"),
        (("state", "dump", "--url", f"http://{LETTERS}"), "address"),
        (("doctor", "--config", f"/{LETTERS}"), "settings file"),
    ],
)
def test_long_value_is_shortened(cli: Shell, arguments: tuple[str, ...], field: str) -> None:
    cli.file("users.csv", "user\nreader_1\n")
    cli.file("feed.xml", "<rss/>")
    cli.file("channels.csv", f"id,name,{LETTERS}\n")
    result = cli(*arguments, code=1 if field in BY_THE_ADAPTER else 2)
    assert result.out == ""
    (message,) = result.err.splitlines()
    assert field in message
    assert len(message) < MAX_CHARACTERS
    assert "characters)" in message or "bytes; " in message
    assert message.isprintable()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (f"2026-01-01T00:00Z,{LETTERS}", "20000 bytes"),
        (f"{DIGITS},reader_1", "20,000 characters"),
        (f"2026-01-01T00:00Z,{'é' * 20_000}", "40000 bytes"),
    ],
)
def test_long_cell_of_a_file_is_shortened_in_the_report(cli: Shell, line: str, reason: str) -> None:
    cli.file("channels.csv", "id,name,owner\nnews,News,editor_7\n")
    cli.file("subscribers.csv", f"channel,since,user\nnews,{line}\n")
    result = cli("migrate", "plan", "--files", ".", "--out", "plan.json", code=3)
    assert reason in result.out + result.err
    assert max(map(len, (result.out + result.err).splitlines())) < MAX_CHARACTERS
