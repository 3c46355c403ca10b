"""`invites`: a code is shown once, accepted up to its maximum of uses, and revoked by its id."""

from collections.abc import Callable
from pathlib import Path

from tests.cli.shell import Shell


def test_invitation_is_created_accepted_listed_and_revoked(
    cli: Shell, new_channel: Callable[[], str], tmp_path: Path
) -> None:
    shell = cli.having(
        CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}",
        CHANNEL_ADAPTER_INVITES__LINK_TEMPLATE="https://example.org/{slug}/{code}",
    )
    slug = new_channel()
    made = shell("invites", "create", slug, "--max-uses", "1", "--expires", "7d", "--qr", "join.svg", "--json").json
    assert made["link"] == f"https://example.org/{slug}/{made['code']}"
    assert (tmp_path / "join.svg").read_text().startswith("<svg ")
    assert shell("invites", "accept", made["code"], "reader_1").out == "reader_1: added\n"
    assert shell("invites", "accept", made["code"], "reader_1", "--json").json["kind"] == "already"
    error = shell("invites", "accept", made["code"], "reader_2", "--json", code=1).error
    assert (error["kind"], error["message"]) == ("limit", "the invitation is used up")
    listed = shell("invites", "list", slug)
    heading, row = listed.out.splitlines()
    assert heading.split() == ["id", "channel", "state", "uses", "max_uses", "expires_at", "created_at"]
    assert row.split()[:5] == [made["id"], f"@TGS#_{slug}", "used_up", "1", "1"]
    assert made["code"] not in listed.out + shell("invites", "list", "--json").out
    assert shell("invites", "revoke", made["id"]).out == "revoked\n"
    assert shell("invites", "revoke", made["code"]).out == "it was revoked before\n"
    assert shell("invites", "list", "--json").json[0]["state"] == "revoked"


def test_invalid_invitation_commands_are_refused(cli: Shell, new_channel: Callable[[], str], tmp_path: Path) -> None:
    shell = cli.having(CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}")
    slug = new_channel()
    assert "--expires must be a time like" in shell("invites", "create", slug, "--expires", "soon", code=2).err
    naive = shell("invites", "create", slug, "--expires", "2090-01-01T00:00", "--json", code=1).error
    assert (naive["kind"], naive["field"]) == ("invalid", "expires")
    assert "has passed" in shell("invites", "create", slug, "--expires", "2020-01-01T00:00Z", code=1).err
    assert shell("invites", "accept", "wrong", "reader_1", "--json", code=1).error["kind"] == "not_found"
    assert shell("invites", "revoke", "inv_unknown", "--json", code=1).error["kind"] == "not_found"
    assert cli("invites", "create", slug, "--json", code=2).error["field"] == "database_url"
    assert shell("invites", "list", slug).out == ""


def test_created_invitation_shows_code_and_link(cli: Shell, new_channel: Callable[[], str], tmp_path: Path) -> None:
    shell = cli.having(
        CHANNEL_ADAPTER_DATABASE_URL=f"sqlite:///{tmp_path / 'app.db'}",
        CHANNEL_ADAPTER_INVITES__LINK_TEMPLATE="https://example.org/{code}",
    )
    first, code, link = shell("invites", "create", new_channel()).out.splitlines()
    assert first.startswith("invitation inv_")
    assert link == f"link: https://example.org/{code.removeprefix('code: ')}"
    assert shell("invites", "accept", code.removeprefix("code: "), "reader_1").out == "reader_1: added\n"
