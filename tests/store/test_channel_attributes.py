"""Attributes of channels in the database: merged after concurrent changes, deleted with the channel."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.channel_attributes import ChannelAttributeRows
from channel_adapter.store.database import Database

HARBOUR, QUAY = ChannelId("@TOA#_harbour"), ChannelId("@TOA#_quay")


@pytest.fixture(params=["sqlite", "postgresql"])
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ChannelAttributeRows]:
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'attributes.db'}"
    async with Database(url) as database:
        yield ChannelAttributeRows(database)


async def test_concurrent_changes_of_different_attributes_are_all_stored(rows: ChannelAttributeRows) -> None:
    await asyncio.gather(*(rows.write(HARBOUR, {f"name_{number}": "1"}) for number in range(10)))
    await rows.write(HARBOUR, {"name_0": "港口", "name_1": None})
    found = (await rows.read([HARBOUR, QUAY]))[HARBOUR]
    assert found == {"name_0": "港口", **{f"name_{number}": "1" for number in range(2, 10)}}


async def test_deleted_channel_has_no_attributes(rows: ChannelAttributeRows) -> None:
    await rows.write(HARBOUR, {"verified": "1"})
    await rows.write(QUAY, {"verified": "1"})
    await rows.delete(HARBOUR)
    assert await rows.read([HARBOUR, QUAY]) == {QUAY: {"verified": "1"}}
