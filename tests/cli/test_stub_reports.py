"""Reports of the stub command about the stub, without running one."""

from tests.cli.shell import Shell


def test_divergences_are_listed(cli: Shell) -> None:
    entries = cli("stub", "--divergences", "--json").json
    assert len(entries) > 100
    assert list(entries[0]) == ["id", "unknown", "stub", "source", "switch"]
    assert {entry["switch"] for entry in entries} >= {None, "behaviour.community_extensions", "limits.add_members"}
    table = cli("stub", "--divergences").out.splitlines()
    assert table[0].split() == ["id", "switch", "the", "stub", "unknown", "source"]
    assert len(table) == len(entries) + 1
    assert any(line.startswith("undeclared-key ") for line in table)


def test_coverage_is_listed(cli: Shell) -> None:
    rows = cli("stub", "--coverage", "--json").json
    assert all(row["implemented"] for row in rows)
    create = next(row for row in rows if row["command"] == "group_open_http_svc/create_group")
    assert create["golden_files"] >= 1
    assert create["exercised"] == create["in_situation"] + create["by_fault"]
    assert sum(row["exercised"] for row in rows) >= 0.9 * sum(row["documented"] for row in rows)
    *table, total = cli("stub", "--coverage").out.splitlines()
    assert len(table) == len(rows) + 1
    assert total.startswith(f"{len(rows)} of {len(rows)} commands; tests exercise ")


def test_stub_commands_are_listed(cli: Shell) -> None:
    rows = cli("stub", "--commands", "--json").json
    played = {row["command"]: row["played"] for row in rows}
    assert played["group_open_http_svc/create_group"] == "yes"
    assert played["million_group_open_http_svc/create_topic"] == "refusals only"
    assert played["openim/sendmsg"] == "yes"
    assert "openim/querystate" not in played
    heading, *lines = cli("stub", "--commands").out.splitlines()
    assert heading.split() == ["command", "played"]
    assert [line.split(maxsplit=1) for line in lines] == [[row["command"], row["played"]] for row in rows]


def test_two_reports_in_one_call_are_refused(cli: Shell) -> None:
    result = cli("stub", "--coverage", "--divergences", "--json", code=2)
    assert result.error["field"] == "coverage"
