"""Rows of cutovers, on both databases."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channel_adapter.store.cutover import (
    NOT_SENT,
    SENDING,
    SENT,
    BroadcastRow,
    CutoverChannelRow,
    CutoverStore,
    CutoverUsers,
)
from channel_adapter.store.database import Database

ROW = CutoverChannelRow("@TOA#_a", "m1", "@TGS#_a")


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, database: str) -> AsyncIterator[CutoverStore]:
    url = database if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    held = Database(url)
    yield CutoverStore(held)
    await held.close()


async def test_reading_without_tables_returns_nothing(store: CutoverStore) -> None:
    assert await store.channels_if_any() == []
    assert await store.broadcasts_if_any(SENT) == []
    await store.prepare()
    assert await store.channels() == []


async def test_channels_are_written_together_and_updated(store: CutoverStore) -> None:
    begun = await store.begin("m1", 5.0)
    assert await store.begin("m1", 9.0) == begun
    await store.put([ROW, replace(ROW, source="@TOA#_b", channel="@TGS#_b")])
    await store.put([replace(ROW, moved_at=7.0)])
    assert [row.moved_at for row in await store.channels_if_any()] == [7.0, 0.0]
    await store.forget("m1", "@TOA#_a")
    assert [row.source for row in await store.channels()] == ["@TOA#_b"]
    assert await store.cutover("m1") is not None
    await store.forget("m1", "@TOA#_b")
    assert await store.cutover("m1") is None


async def test_broadcasts_are_limited_to_two_an_hour_and_stored_once(store: CutoverStore) -> None:
    await store.prepare()
    await store.put([ROW])

    async def begin(seq: int, at: float) -> BroadcastRow | None:
        return await store.begin_broadcast(
            BroadcastRow(ROW.source, seq, seq, at, SENDING), since=at - 3_600, max_broadcasts=2
        )

    assert await begin(1, 10.0) is None
    known = await begin(1, 11.0)
    assert known is not None
    assert known.state == SENDING
    await store.end_broadcast(ROW.source, 1, SENT, "1_1_10")
    assert await begin(2, 20.0) is None
    refused = await begin(3, 30.0)
    assert refused is not None
    assert (refused.state, refused.result) == (NOT_SENT, "10.0")
    assert await begin(3, 3_611.0) is None
    assert [copy.result for copy in await store.broadcasts_if_any(SENT)] == ["1_1_10"]


async def test_users_are_listed_once_and_filled_in_order_by_one_process(store: CutoverStore) -> None:
    readers = CutoverUsers(store.database)
    assert await store.unfilled_if_any() == []
    await store.begin("m1", 1.0)
    assert await store.unfilled_if_any() == []
    await store.change("m1", fill_wanted=1)
    [row] = await store.unfilled_if_any()
    await readers.add("m1", ["b", "a"])
    await readers.add("m1", ["c", "b"])
    assert await readers.after("m1", "", 2) == ["a", "b"]
    assert await readers.count_after("m1", "a") == 2
    await store.advance_fill(row, "b", 2, 1)
    await store.advance_fill(row, "c", 3, 0)  # of an outdated process
    held = await store.cutover("m1")
    assert held is not None
    assert (held.filled_to, held.filled, held.fill_problems) == ("b", 2, 1)
    assert await readers.after("m1", "b", 2) == ["c"]
    await readers.drop("m1")
    assert await readers.after("m1", "", 2) == []
    await store.change("m1", fill_done=1)
    assert await store.unfilled_if_any() == []


async def test_channels_to_remove_are_listed_by_user(store: CutoverStore) -> None:
    readers = CutoverUsers(store.database)
    assert await readers.count_to_clean_if_any("m1") == 0
    await readers.prepare()
    for channel, users in (("@TGS#_a", ["x", "y"]), ("@TGS#_b", ["y", "z"]), ("@TGS#_c", ["z"])):
        await readers.add_to_clean("m1", channel, users)
        await readers.add_to_clean("m1", channel, users)
    await readers.keep("m1", ["@TGS#_c"])
    assert await readers.count_to_clean_if_any("m1") == 3
    assert await readers.to_clean_after("m1", "", 2) == {"x": ["@TGS#_a"], "y": ["@TGS#_a", "@TGS#_b"]}
    assert await readers.to_clean_after("m1", "y", 2) == {"z": ["@TGS#_b"]}
    await readers.cleaned("m1", ["x", "y"])
    assert await readers.count_to_clean_if_any("m1") == 1
