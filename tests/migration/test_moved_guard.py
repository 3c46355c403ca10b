"""Answers of the guard to broadcasts of an account whose posting is redirected to a channel."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Content, Text
from channel_adapter.migration.cutover.cutover import open_redirects
from channel_adapter.migration.cutover.redirects import REDIRECT, BroadcastHook
from channel_adapter.migration.plan.document import Plan
from channel_adapter.store.cutover import CutoverChannelRow
from channel_adapter.tencent import limits
from tests.migration import worlds
from tests.migration.conftest import System
from tests.migration.test_cutover import applied

Moved = tuple[System, Plan]
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def answer(at: System, asked: hooks.PostDraft) -> hooks.HookResponse:
    """Call the hook of a guard with a database."""
    posting = at.adapter.posting_moved
    assert posting is not None
    return await BroadcastHook(posting, at.adapter.posts, at.adapter.clock)(asked)


@pytest.fixture
async def redirected(database: str) -> AsyncIterator[Moved]:
    """Yield a system whose account has its broadcasts published in its channel, without a window."""
    async with applied(database, (worlds.TEXTS,)) as (at, plan):
        async with open_redirects(at.adapter.migration.context) as posting:
            row = CutoverChannelRow(
                worlds.TEXTS, plan.migration, plan.channels[0].target.id, guard=REDIRECT, moved_at=1.0
            )
            await posting.store.prepare()
            await posting.store.put([row])
        yield at, plan


def draft(*parts: Content, account: str = worlds.TEXTS, online_only: bool = False) -> hooks.PostDraft:
    return hooks.PostDraft(
        at=AT, channel=ChannelId(account), author=None, parts=parts, online_only=online_only, other_mode=True
    )


async def said(at: System, plan: Plan) -> list[Content | None]:
    return [post.content async for post in at.adapter.posts.history(plan.channels[0].target.id)]


async def test_repeated_request_for_a_broadcast_makes_one_post(redirected: Moved) -> None:
    at, plan = redirected
    before = len(await said(at, plan))
    for _ in range(2):
        assert await answer(at, draft(Text("tide"))) == hooks.Drop()
    now = await said(at, plan)
    assert (now[0], len(now) - before) == (Text("tide"), 1)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (draft(Text("only for who is here"), online_only=True), "posting has moved to the channel @TGS#_only_texts"),
        (draft(Text("x" * limits.MESSAGE_BYTES)), "which cannot take this"),
    ],
    ids=["online only", "too large"],
)
async def test_broadcast_unsuitable_for_a_channel_is_refused(
    redirected: Moved, asked: hooks.PostDraft, words: str
) -> None:
    at, plan = redirected
    before = await said(at, plan)
    decided = await answer(at, asked)
    assert isinstance(decided, hooks.Refuse)
    assert words in decided.text
    assert await said(at, plan) == before


async def test_broadcasts_of_other_accounts_are_allowed(redirected: Moved) -> None:
    at, _ = redirected
    assert await answer(at, draft(Text("tide"), account="@TOA#_other")) == hooks.Allow()
