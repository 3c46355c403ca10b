"""The guard of official accounts whose posting has moved: their broadcasts are refused, or published in the channel."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import Text
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.migration.cutover.redirects import REDIRECT
from channel_adapter.store.cutover import CutoverChannelRow
from tests.webhooks.harbour import KEEPER, LIGHTHOUSE, Harbour, harbour, lighthouse

OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"


@asynccontextmanager
async def gazette(tmp_path: Path) -> AsyncIterator[Harbour]:
    """A harbour with an official account, and a database."""
    async with harbour(database_url=f"sqlite:///{tmp_path / 'adapter.db'}") as sea:
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await sea.other.call(OFFICIAL, "create_official_account", made)
        yield await lighthouse(sea)


async def moved(sea: Harbour, **fields: Any) -> None:
    """What a cutover writes down, in this process or another one."""
    posting = sea.adapter.posting_moved
    assert posting is not None
    row = replace(CutoverChannelRow(GAZETTE, "m1", LIGHTHOUSE), **fields)
    await posting.store.prepare()
    await posting.store.put([row])
    posting.forget()


async def broadcast(sea: Harbour, words: str) -> None:
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]
    request = {"Official_Account": GAZETTE, "Random": len(words), "MsgBody": body}
    await sea.other.call(OFFICIAL, "send_official_account_msg", request)


def said(sea: Harbour) -> list[str]:
    log = sea.stub.world.state.official[GAZETTE].log
    return [element.msg_content["Text"] for message in log for element in message.body]


async def test_broadcasts_are_refused_once_posting_has_moved(tmp_path: Path) -> None:
    async with gazette(tmp_path) as sea:
        await broadcast(sea, "before")
        await moved(sea, moved_at=1.0)
        with pytest.raises(ChannelAdapterError):
            await broadcast(sea, "after it")
        assert said(sea) == ["before"]


async def test_broadcasts_are_refused_while_posting_moves(tmp_path: Path) -> None:
    async with gazette(tmp_path) as sea:
        now = sea.adapter.clock.now()
        await moved(sea, held_until=now + 60)
        with pytest.raises(ChannelAdapterError):
            await broadcast(sea, "meanwhile")
        await moved(sea, held_until=now - 1)
        await broadcast(sea, "given up")
        assert said(sea) == ["given up"]


async def test_broadcasts_can_be_published_in_the_channel_which_copies_them(tmp_path: Path) -> None:
    async with gazette(tmp_path) as sea:
        now = sea.adapter.clock.now()
        await moved(sea, moved_at=now - 10, guard=REDIRECT, window_end=now + 3_600)
        await broadcast(sea, "to the channel")
        posts = [post async for post in sea.adapter.posts.history(LIGHTHOUSE)]
        assert posts[0].content == Text("to the channel")
        assert said(sea) == ["to the channel"]
