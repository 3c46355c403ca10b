"""Rows of one-to-one messages: reports in any order and again, ids that cannot exist."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channel_adapter.domain.ids import ChannelId
from channel_adapter.store.database import Database
from channel_adapter.store.messages import ENDED_SECONDS, MessageRows, ReportedMessage

OWNER, SAILOR = "owner", "sailor"
MESSAGE = ReportedMessage(OWNER, SAILOR, "1_1_1", True, '["ahoy"]', 10.0, 10.5)


@pytest.fixture(params=["sqlite", "postgresql"])
async def rows(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MessageRows]:
    postgres = request.param == "postgresql"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'messages.db'}"
    async with Database(url) as database:
        yield MessageRows(database)


async def test_message_reported_again_after_it_was_read_is_not_unread(rows: MessageRows) -> None:
    await rows.add([MESSAGE])
    assert await rows.unread(OWNER) == 1
    await rows.read_keys(OWNER, SAILOR, [MESSAGE.key], 11.0)
    await rows.read_keys(OWNER, SAILOR, [MESSAGE.key], 11.0)
    await rows.add([MESSAGE, replace(MESSAGE, key="2_2_2", position=10.0)])
    assert await rows.unread(OWNER) == 1
    (thread,) = (await rows.threads(OWNER, None)).items
    assert (thread.last.key, thread.last.parts, thread.recalled, thread.unread) == ("1_1_1", '["ahoy"]', False, 1)


@pytest.mark.parametrize("reported_before", [True, False])
async def test_recalled_message_that_is_reported_later_has_no_content(rows: MessageRows, reported_before: bool) -> None:
    if reported_before:
        await rows.add([MESSAGE])
    await rows.recall(OWNER, SAILOR, MESSAGE.key, 12.0)
    await rows.read_keys(OWNER, SAILOR, [MESSAGE.key], 13.0)
    await rows.add([MESSAGE])
    assert await rows.unread(OWNER) == 0
    (thread,) = (await rows.threads(OWNER, None)).items
    assert (thread.last.key, thread.last.parts, thread.recalled) == ("1_1_1", "[]", True)


async def test_ends_of_messages_are_forgotten_after_a_month(rows: MessageRows) -> None:
    await rows.recall(OWNER, SAILOR, "1_1_1", 12.0)
    await rows.recall(OWNER, SAILOR, "2_2_2", 13.0 + ENDED_SECONDS)
    await rows.add([MESSAGE, replace(MESSAGE, key="2_2_2")])
    assert await rows.unread(OWNER) == 1


@pytest.mark.parametrize("impossible", ["x" * 101, "nul\x00", "half \udcff"])
async def test_changes_with_impossible_ids_are_ignored(rows: MessageRows, impossible: str) -> None:
    """Webhooks without a signature may name anything."""
    await rows.add([replace(MESSAGE, account=impossible), replace(MESSAGE, user=impossible), MESSAGE])
    await rows.add([replace(MESSAGE, key=impossible)])
    for account, user, key in ((impossible, SAILOR, "1"), (OWNER, impossible, "1"), (OWNER, SAILOR, impossible)):
        await rows.recall(account, user, key, 11.0)
        await rows.edit(account, user, key, "[]", 11.0)
        await rows.read_keys(account, user, [key], 11.0)
    await rows.read(impossible, SAILOR, until=20.0, by_user=False)
    await rows.read_all(impossible, 20.0)
    assert await rows.contacts([impossible]) == []
    await rows.set_contact(ChannelId("@TGS#_a"), OWNER)
    assert await rows.contacts([impossible, OWNER]) == [(OWNER, "@TGS#_a")]
    assert await rows.unread(OWNER) == 1
