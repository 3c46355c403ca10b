"""`accounts`: add, check."""

from tests.cli.shell import Shell


def test_accounts_are_added_and_checked(cli: Shell) -> None:
    before = cli("accounts", "check", "brand_new", "reader_1", "--json").json
    assert before == [{"user": "brand_new", "known": False}, {"user": "reader_1", "known": True}]
    added = cli.installed("accounts", "add", "brand_new", "reader_1", "--json").json
    assert added == [
        {"user": "brand_new", "kind": "added", "reason": ""},
        {"user": "reader_1", "kind": "already", "reason": ""},
    ]
    assert cli("accounts", "check", "brand_new").out.splitlines()[1].split() == ["brand_new", "yes"]


def test_too_long_account_id_is_refused(cli: Shell) -> None:
    error = cli("accounts", "add", "x" * 33, "--json", code=1).error
    assert (error["field"], error["limit"], error["size"]) == ("users", 32, 33)
