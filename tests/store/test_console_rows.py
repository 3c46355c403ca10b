"""Rows of the console: the log, published forms, imports, in both databases."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.store import console as store
from channel_adapter.store.console import ConsoleRows, SubscriberImport
from channel_adapter.store.database import Database

USERS = [[(1, "reader_1"), (2, "reader_2")], [(4, "reader_4")]]
BROKEN = [(3, "a\x00b\u00e9", "unusable", "holds a NUL character")]


@pytest.fixture(params=["sqlite", "postgresql"])
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ConsoleRows]:
    url = f"sqlite:///{tmp_path / 'a.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    opened = ConsoleRows(Database(url))
    yield opened
    await opened.close()


def imported(name: str = "one", **changes: object) -> SubscriberImport:
    values: dict[str, object] = {
        "id": name, "channel": "@TGS#_a", "name": "users\x00.csv", "operator": "ada", "state": store.PREVIEW,
        "total": 4,
        "import_missing": False, "run": 0, "created": time.time(), "started": None, "ended": None, "message": "",
        "counts": {},
    }  # fmt: skip
    return SubscriberImport(**(values | changes))  # type: ignore[arg-type]


async def test_log_is_read_newest_first_in_pages_and_by_operator(rows: ConsoleRows) -> None:
    for number in range(5):
        await rows.log(f"op_{number % 2}", "compose", "harbor\x00", f"published {number}")
    found = await rows.logged(2)
    assert [each.outcome for each in found] == ["published 4", "published 3"]
    assert found[0].channel == "harbor\x00"
    assert [each.outcome for each in await rows.logged(9, before=found[-1].number, operator="op_0")] == [
        "published 2", "published 0",
    ]  # fmt: skip


async def test_form_keeps_its_first_result(rows: ConsoleRows) -> None:
    assert await rows.result_of("form") is None
    await rows.remember("form", "/c/a?number=1")
    await rows.remember("form", "/c/a?number=2")
    assert await rows.result_of("form") == "/c/a?number=1"


async def test_import_is_counted_by_parts_and_each_part_ends_once(rows: ConsoleRows) -> None:
    await rows.add_import(imported(), USERS, BROKEN)
    assert await rows.parts("one") == [1, 2]
    assert await rows.start_import("one", import_missing=True) == 1
    assert await rows.start_import("one", import_missing=True) is None
    await rows.end_part("one", 1, {"added": 1, "failed": 1}, [[2, "reader_2", "failed", "no answer"]])
    await rows.end_part("one", 1, {"added": 2}, [])
    found = await rows.get_import("one")
    assert found is not None
    assert (found.state, found.import_missing, found.name) == (store.RUNNING, True, "users\x00.csv")
    assert found.counts == {"unusable": 1, "added": 1, "failed": 1}
    assert await rows.failures("one", 0) == [list(BROKEN[0])]
    assert await rows.part("one", 1, is_open=True) == []
    assert await rows.part("one", 2, is_open=True) == USERS[1]

    await rows.set_import("one", state=store.FAILED, message="no answer")
    assert await rows.start_import("one", import_missing=False) == 2
    assert await rows.parts("one") == [1, 2, 3]
    assert [await rows.part("one", number, is_open=True) for number in (1, 2, 3)] == [[], USERS[1], USERS[0][1:]]
    assert await rows.failures("one", 4) is None
    assert await rows.get_import("two") is None


async def test_old_rows_are_deleted(rows: ConsoleRows) -> None:
    old = time.time() - (store.IMPORT_DAYS + 1) * 86_400
    await rows.add_import(imported("old", created=old), USERS, BROKEN)
    await rows.add_import(imported("new"), USERS, [])
    await rows.tidy()
    assert [each.id for each in await rows.imports(channel="@TGS#_a")] == ["new"]
    assert await rows.parts("old") == []
    assert [each.id for each in await rows.imports(state=store.PREVIEW)] == ["new"]
