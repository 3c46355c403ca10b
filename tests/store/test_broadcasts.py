"""Keys of broadcasts: numbers of the whole range of the service."""

from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostKey
from channel_adapter.store.broadcasts import BroadcastStore
from channel_adapter.store.database import Database
from channel_adapter.tencent.limits import SEQ_HIGHEST

GAZETTE = ChannelId("@TOA#_gazette")


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_highest_number_of_a_broadcast_is_stored(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    postgres = kind == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'broadcasts.db'}"
    key = PostKey(SEQ_HIGHEST, f"{SEQ_HIGHEST}_1_2")
    async with Database(url) as database:
        store = BroadcastStore(database)
        await store.add(GAZETTE, [key])
        assert await store.get(GAZETTE, SEQ_HIGHEST) == key
