"""Rows of insights: each event once, last scan of a day, views of posts that history no longer has."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database
from channel_adapter.store.insights import JOIN, LEAVE, InsightEvent, InsightRows, ScanRows
from channel_adapter.tencent.limits import SEQ_HIGHEST

HARBOUR, QUAY = ChannelId("@TGS#_harbour"), ChannelId("@TGS#_quay")
DAY, NEXT = "2026-03-01", "2026-03-02"


@pytest.fixture(params=["sqlite", "postgresql"])
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[InsightRows]:
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'insights.db'}"
    async with Database(url) as database:
        yield InsightRows(database)


async def test_repeated_event_counts_once(rows: InsightRows) -> None:
    events = [InsightEvent(HARBOUR, DAY, JOIN, f"u{number} 1", 10.0 + number) for number in range(3)]
    await rows.record([*events, InsightEvent(HARBOUR, NEXT, LEAVE, "u0 1", 90.0)])
    await rows.record(events)
    found = await rows.read(HARBOUR, DAY)
    assert found.events == {(JOIN, DAY): 3, (LEAVE, NEXT): 1}
    assert found.recorded_since == 10.0
    assert (await rows.read(HARBOUR, NEXT)).events == {(LEAVE, NEXT): 1}


async def test_scan_replaces_earlier_scan_of_day_and_keeps_views_of_missing_posts(rows: InsightRows) -> None:
    await rows.store(ScanRows(HARBOUR, DAY, 10.0, 5, {DAY: 5}, {1: (2, 5), 2: (1, 5)}))
    await rows.store(ScanRows(HARBOUR, DAY, 20.0, 6, {DAY: 4, NEXT: 2}, {2: (3, 6)}))
    found = await rows.read(HARBOUR, DAY)
    assert (found.scans, found.joins) == ({DAY: 6}, {DAY: 4, NEXT: 2})
    assert found.views == {1: (2, 5), 2: (3, 6)}
    assert found.scanned_at == 20.0


async def test_pruned_days_and_deleted_channels_leave_no_rows(rows: InsightRows) -> None:
    for channel in (HARBOUR, QUAY):
        await rows.record(
            [InsightEvent(channel, DAY, JOIN, "u1 1", 1.0), InsightEvent(channel, NEXT, JOIN, "u2 1", 2.0)]
        )
        await rows.store(ScanRows(channel, NEXT, 3.0, 2, {NEXT: 2}, {1: (1, 2)}))
    await rows.prune(HARBOUR, NEXT)
    assert (await rows.read(HARBOUR, DAY)).events == {(JOIN, NEXT): 1}
    await rows.prune(HARBOUR, None)
    gone = await rows.read(HARBOUR, DAY)
    assert (gone.events, gone.scans, gone.joins, gone.views, gone.scanned_at) == ({}, {}, {}, {}, None)
    assert (await rows.read(QUAY, DAY)).events == {(JOIN, DAY): 1, (JOIN, NEXT): 1}


async def test_events_with_impossible_ids_are_ignored(rows: InsightRows) -> None:
    """Webhooks without a signature may name anything."""
    longest = InsightEvent(HARBOUR, DAY, JOIN, "u" * 100, 1.0)
    impossible = [replace(longest, key=key) for key in ("u" * 101, "nul\x00", "half \udcff")]
    await rows.record([longest, *impossible, InsightEvent(ChannelId("@TGS#_" + "a" * 43), DAY, JOIN, "u1 1", 1.0)])
    await rows.record(impossible)
    assert (await rows.read(HARBOUR, DAY)).events == {(JOIN, DAY): 1}


async def test_highest_number_of_a_post_is_stored(rows: InsightRows) -> None:
    await rows.store(ScanRows(HARBOUR, DAY, 10.0, 5, {}, {SEQ_HIGHEST: (2, 5)}))
    assert (await rows.views(HARBOUR, [SEQ_HIGHEST]))[SEQ_HIGHEST][:2] == (2, 5)
