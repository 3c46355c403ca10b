"""`channels staff` and related commands: one outcome per user, and exit codes for complete and partial success."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import OWNER
from tests.cli.shell import Shell


@pytest.fixture
def shell(cli: Shell, tmp_path: Path) -> Shell:
    """Return the command line with a database."""
    return cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")


def test_staff_is_promoted_demoted_and_ownership_transferred(cli: Shell, new_channel: Callable[[], str]) -> None:
    slug = new_channel()
    cli("subscribers", "add", slug, "reader_1", "reader_2")
    partly = cli("channels", "promote", slug, "reader_1", "reader_3", "--json", code=3)
    assert [(each["user"], each["kind"]) for each in partly.json] == [
        ("reader_1", "changed"), ("reader_3", "not_subscribed"),
    ]  # fmt: skip
    heading, owner, admin = cli("channels", "staff", slug).out.splitlines()
    assert heading.split() == ["user", "role", "since"]
    assert (owner.split()[:2], admin.split()[:2]) == ([OWNER, "owner"], ["reader_1", "admin"])
    assert cli("channels", "demote", slug, OWNER, "--json", code=1).json[0]["kind"] == "refused"
    assert cli("channels", "demote", slug, "reader_1").out.split()[-2:] == ["reader_1", "changed"]
    assert cli("channels", "transfer", slug, "reader_2").out == f"{slug} belongs to reader_2\n"
    assert cli("channels", "transfer", slug, "reader_2", "--json").json["owner"] == "reader_2"
    refused = cli("channels", "transfer", slug, "reader_3", "--json", code=1).error
    assert (refused["kind"], refused["field"]) == ("not_found", "new_owner")
    posted = cli("posts", "publish", slug, "Fog", "--json").json
    assert posted["author"] == "reader_2"


def test_blocked_user_cannot_be_added(shell: Shell, new_channel: Callable[[], str]) -> None:
    slug = new_channel()
    shell("subscribers", "add", slug, "reader_1")
    assert shell("channels", "block", slug, "reader_1", "--json").json == [
        {"user": "reader_1", "kind": "added", "reason": ""}
    ]
    assert shell("subscribers", "add", slug, "reader_1", "--json", code=1).json[0]["kind"] == "refused"
    (row,) = shell("channels", "blocked", slug, "--json").json
    assert (row["user"], row["since"][-1]) == ("reader_1", "Z")
    assert shell("channels", "unblock", slug, "reader_1").out.split()[-2:] == ["reader_1", "removed"]
    assert shell("channels", "blocked", slug).out == ""
    shell("subscribers", "add", slug, "reader_1")


def test_blocking_needs_a_database(cli: Shell, new_channel: Callable[[], str]) -> None:
    error = cli("channels", "block", new_channel(), "reader_1", "--json", code=2).error
    assert (error["kind"], error["field"]) == ("configuration", "database_url")


def test_channel_is_suspended_resumed_verified_and_unverified(cli: Shell, new_channel: Callable[[], str]) -> None:
    slug = new_channel()
    assert cli("channels", "suspend", slug).out == f"{slug} is suspended\n"
    assert cli("channels", "suspend", slug, "--json").json == {
        "channel": f"@TGS#_{slug}", "suspended": True, "changed": False,
    }  # fmt: skip
    assert cli("posts", "publish", slug, "Fog", "--json", code=1).error["kind"] == "permission"
    assert cli("channels", "resume", slug).out == f"{slug} is not suspended\n"
    assert cli("channels", "verify", slug).out == f"{slug} is verified\n"
    assert cli("channels", "show", slug, "--json").json["verified"] is True
    assert cli("channels", "unverify", slug).out == f"{slug} is not verified\n"
    assert cli("channels", "unverify", slug).out == f"{slug} is not verified, as before\n"
    assert cli("channels", "verify", "no_such", "--json", code=1).error["kind"] == "not_found"
