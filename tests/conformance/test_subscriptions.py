"""Subscribing and unsubscribing: one outcome per user, never one answer for all."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from channel_adapter import InvalidError, NotFoundError, OutcomeKind
from channel_adapter.domain.mode import Mode
from tests.conformance.conftest import OWNER, READERS, Setting


async def channel_of(setting: Setting, **values: int) -> str:
    return (await setting.adapter.channels.create(slug=setting.slug, name="Tides", owner=OWNER, **values)).id  # type: ignore[arg-type]


async def test_users_are_subscribed_and_unsubscribed(setting: Setting) -> None:
    subscriptions = setting.adapter.subscriptions
    channel = await channel_of(setting)
    joined = await subscriptions.subscribe(channel, READERS)
    assert joined.complete
    assert joined.counts == {OutcomeKind.ADDED: len(READERS)}
    assert await subscriptions.count(channel) == len(READERS)
    again = await subscriptions.subscribe(channel, READERS[:3])
    assert again.counts == {OutcomeKind.ALREADY: 3}
    left = await subscriptions.unsubscribe(channel, [*READERS[:30], "never_was_here", OWNER])
    owner_inside = setting.mode is Mode.COMMUNITY
    of_owner = {OutcomeKind.REFUSED: 1} if owner_inside else {OutcomeKind.ALREADY: 2}
    assert left.counts == {OutcomeKind.REMOVED: 30, OutcomeKind.ALREADY: 1, **of_owner}
    states = await subscriptions.is_subscribed(channel, [READERS[0], READERS[40], OWNER])
    assert states == {READERS[0]: False, READERS[40]: True, OWNER: owner_inside}


async def test_subscribers_are_listed_once_without_the_owner(setting: Setting) -> None:
    channel = await channel_of(setting)
    await setting.adapter.subscriptions.subscribe(channel, READERS)
    listed = [subscriber async for subscriber in setting.adapter.subscriptions.subscribers(channel)]
    assert sorted(subscriber.user for subscriber in listed) == sorted(READERS)
    assert all(subscriber.since is not None for subscriber in listed)


async def test_unknown_accounts_are_reported_and_others_added(setting: Setting) -> None:
    channel = await channel_of(setting)
    outcomes = await setting.adapter.subscriptions.subscribe(channel, [READERS[0], "stranger_1", READERS[1]])
    assert {outcome.user: outcome.kind for outcome in outcomes} == {
        READERS[0]: OutcomeKind.ADDED,
        "stranger_1": OutcomeKind.NOT_FOUND,
        READERS[1]: OutcomeKind.ADDED,
    }
    assert not outcomes.complete


async def test_adding_accounts_distinguishes_new_and_existing_ones(setting: Setting) -> None:
    new = f"add_{setting.slug[-12:]}"
    outcomes = await setting.adapter.accounts.add([READERS[0], new, READERS[1], new])
    assert [(each.user, each.kind, each.reason) for each in outcomes] == [
        (READERS[0], OutcomeKind.ALREADY, ""),
        (new, OutcomeKind.ADDED, ""),
        (READERS[1], OutcomeKind.ALREADY, ""),
        (new, OutcomeKind.ALREADY, "named twice in this call"),
    ]
    assert (await setting.adapter.accounts.add([new])).counts == {OutcomeKind.ALREADY: 1}


async def test_import_missing_imports_unknown_accounts(setting: Setting) -> None:
    channel = await channel_of(setting)
    new = f"new_{setting.slug[-12:]}"
    outcomes = await setting.adapter.subscriptions.subscribe(channel, [READERS[0], new], import_missing=True)
    assert outcomes.counts == {OutcomeKind.ADDED: 2}
    assert await setting.adapter.accounts.check([new]) == {new: True}


async def test_full_channel_adds_users_up_to_its_maximum(setting: Setting) -> None:
    channel = await channel_of(setting, max_subscribers=10)
    shown = setting.mode is Mode.COMMUNITY  # an official account does not show its maximum
    assert (await setting.adapter.channels.get(channel)).max_subscribers == (10 if shown else None)
    outcomes = await setting.adapter.subscriptions.subscribe(channel, READERS[:8])
    assert outcomes.complete
    outcomes = await setting.adapter.subscriptions.subscribe(channel, READERS[5:12])
    assert outcomes.counts == {OutcomeKind.ALREADY: 3, OutcomeKind.ADDED: 2, OutcomeKind.FULL: 2}
    assert await setting.adapter.subscriptions.count(channel) == 10
    changed = await setting.adapter.channels.update(channel, max_subscribers=11)
    assert changed.max_subscribers == (11 if shown else None)
    assert (await setting.adapter.subscriptions.subscribe(channel, READERS[10:12])).counts == {
        OutcomeKind.ADDED: 1,
        OutcomeKind.FULL: 1,
    }


async def test_stream_of_users_returns_stream_of_outcomes(setting: Setting) -> None:
    channel = await channel_of(setting)

    async def readers() -> AsyncIterator[str]:
        for reader in READERS:
            yield reader
        yield ""
        yield "x" * 33

    outcomes = [outcome async for outcome in setting.adapter.subscriptions.subscribe_stream(channel, readers())]
    assert len(outcomes) == len(READERS) + 2
    assert sum(outcome.kind is OutcomeKind.ADDED for outcome in outcomes) == len(READERS)
    assert {outcome.user for outcome in outcomes if outcome.kind is OutcomeKind.INVALID} == {"", "x" * 33}


async def test_invalid_collection_is_refused_before_any_user_is_added(setting: Setting) -> None:
    channel = await channel_of(setting)
    wrong: list[Any] = [[READERS[0], 7], [READERS[0], ""], [READERS[0], "x" * 33], "reader_1"]
    for users in wrong:
        with pytest.raises(InvalidError) as refused:
            await setting.adapter.subscriptions.subscribe(channel, users)
        assert refused.value.field == "users"
    assert await setting.adapter.subscriptions.count(channel) == 0


async def test_repeated_user_is_added_once(setting: Setting) -> None:
    channel = await channel_of(setting)
    outcomes = await setting.adapter.subscriptions.subscribe(channel, [READERS[0], READERS[1], READERS[0]])
    assert outcomes.counts == {OutcomeKind.ADDED: 2, OutcomeKind.ALREADY: 1}
    outcomes = await setting.adapter.subscriptions.unsubscribe(channel, [READERS[0], READERS[0]])
    assert outcomes.counts == {OutcomeKind.REMOVED: 1, OutcomeKind.ALREADY: 1}


async def test_missing_channel_is_refused_and_empty_list_has_no_outcomes(setting: Setting) -> None:
    with pytest.raises(NotFoundError):
        await setting.adapter.subscriptions.subscribe(setting.slug, READERS)
    channel = await channel_of(setting)
    assert len(await setting.adapter.subscriptions.subscribe(channel, [])) == 0
