"""Guard of official accounts whose posting has moved: broadcasts are refused or published in the channel."""

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
from tests.webhooks.scenario import KEEPER, LIGHTHOUSE, Scenario, lighthouse, open_scenario

OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"


@asynccontextmanager
async def gazette(tmp_path: Path) -> AsyncIterator[Scenario]:
    """Open a scenario with an official account and a database."""
    async with open_scenario(database_url=f"sqlite:///{tmp_path / 'adapter.db'}") as scenario:
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await scenario.other.call(OFFICIAL, "create_official_account", made)
        yield await lighthouse(scenario)


async def moved(scenario: Scenario, **fields: Any) -> None:
    """Store the row of a cutover, as written by this process or another one."""
    posting = scenario.adapter.posting_moved
    assert posting is not None
    row = replace(CutoverChannelRow(GAZETTE, "m1", LIGHTHOUSE), **fields)
    await posting.store.prepare()
    await posting.store.put([row])
    posting.forget()


async def broadcast(scenario: Scenario, words: str) -> None:
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]
    request = {"Official_Account": GAZETTE, "Random": len(words), "MsgBody": body}
    await scenario.other.call(OFFICIAL, "send_official_account_msg", request)


def said(scenario: Scenario) -> list[str]:
    log = scenario.stub.world.state.official[GAZETTE].log
    return [element.msg_content["Text"] for message in log for element in message.body]


async def test_broadcasts_are_refused_after_posting_has_moved(tmp_path: Path) -> None:
    async with gazette(tmp_path) as scenario:
        await broadcast(scenario, "before")
        await moved(scenario, moved_at=1.0)
        with pytest.raises(ChannelAdapterError):
            await broadcast(scenario, "after it")
        assert said(scenario) == ["before"]


async def test_broadcasts_are_refused_while_posting_is_moving(tmp_path: Path) -> None:
    async with gazette(tmp_path) as scenario:
        now = scenario.adapter.clock.now()
        await moved(scenario, held_until=now + 60)
        with pytest.raises(ChannelAdapterError):
            await broadcast(scenario, "meanwhile")
        await moved(scenario, held_until=now - 1)
        await broadcast(scenario, "given up")
        assert said(scenario) == ["given up"]


async def test_redirected_broadcast_is_published_in_channel_and_copied_once(tmp_path: Path) -> None:
    async with gazette(tmp_path) as scenario:
        now = scenario.adapter.clock.now()
        await moved(scenario, moved_at=now - 10, guard=REDIRECT, window_end=now + 3_600)
        await broadcast(scenario, "to the channel")
        posts = [post async for post in scenario.adapter.posts.history(LIGHTHOUSE)]
        assert posts[0].content == Text("to the channel")
        assert said(scenario) == ["to the channel"]
