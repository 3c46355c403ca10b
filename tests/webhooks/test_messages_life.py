"""Whole one-to-one conversations of a channel, from client apps to the table: both databases and both modes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channel_adapter import Direction, MessageReceived, MessageSent, Subscribed, Text, UserId
from channel_adapter.domain import events as e
from channel_adapter.domain.mode import Mode
from tests.webhooks.scenario import KEEPER, MATE, SAILOR, Scenario, open_scenario


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/messages.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture(params=[*Mode])
async def scenario(request: pytest.FixtureRequest, url: str) -> AsyncIterator[Scenario]:
    own = {"own_echoes": True}
    async with open_scenario(mode=request.param.value, database_url=url, webhooks=own) as scenario:
        await scenario.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await scenario.adapter.subscriptions.subscribe("lighthouse", [SAILOR, MATE])
        await scenario.settle()
        scenario.received.clear()
        yield scenario


async def account_of(scenario: Scenario) -> str:
    return (await scenario.adapter.messages.contact("lighthouse")).account


async def test_conversation_is_recorded_in_the_table(scenario: Scenario) -> None:
    messages, account = scenario.adapter.messages, await account_of(scenario)
    welcome = await messages.send("lighthouse", user=SAILOR, content=Text("welcome"))
    await scenario.act(SAILOR, "send", peer=account, body="thanks", random=1)
    await scenario.act(SAILOR, "send", peer=account, body="when is high tide?", random=2)
    await scenario.act(MATE, "send", peer=account, body="ahoy", random=3)
    await scenario.act(SAILOR, "read_messages", peer=account)
    await scenario.settle()
    assert [type(event) for event in scenario.received].count(MessageReceived) == 3
    received = await scenario.until(MessageReceived, lambda event: event.user == SAILOR)
    assert (received.account, received.other_mode) == (account, False)
    assert received.channel == welcome.channel
    sent = await scenario.until(MessageSent)
    assert sent.ref == welcome.ref
    read = await scenario.until(e.MessageRead)
    assert (read.user, read.direction) == (SAILOR, Direction.SENT)

    found = {thread.user: thread async for thread in messages.threads("lighthouse")}
    assert {user: thread.unread for user, thread in found.items()} == {SAILOR: 2, MATE: 1}
    assert found[UserId(MATE)].last.content == Text("ahoy")
    assert await messages.unread("lighthouse") == 3
    thread = {message.key: message async for message in messages.thread("lighthouse", user=SAILOR)}
    assert thread[welcome.key].read

    await messages.mark_read("lighthouse", user=SAILOR)
    await messages.edit(welcome.ref, Text("welcome aboard"))
    await scenario.settle()
    edited = await scenario.until(e.MessageEdited)
    thread = {message.key: message async for message in messages.thread("lighthouse", user=SAILOR)}
    assert (thread[welcome.key].content, thread[welcome.key].edited_at) == (Text("welcome aboard"), edited.at)
    found = {thread.user: thread async for thread in messages.threads("lighthouse")}
    assert {user: thread.unread for user, thread in found.items()} == {SAILOR: 0, MATE: 1}
    assert await messages.unread("lighthouse") == 1

    await scenario.act(SAILOR, "read_all")
    await scenario.settle()
    assert (await scenario.until(e.AllRead)).user == SAILOR
    found = {thread.user: thread async for thread in messages.threads("lighthouse")}
    assert {user: thread.unread for user, thread in found.items()} == {SAILOR: 0, MATE: 1}

    await messages.recall(welcome.ref)
    await scenario.settle()
    recalled = await scenario.until(e.MessageRecalled)
    assert (recalled.key, recalled.direction) == (welcome.key, Direction.SENT)


async def test_list_of_threads_resumes_at_its_cursor(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("channel_adapter.store.messages.THREADS_PER_PAGE", 1)
    account = await account_of(scenario)
    for number, user in enumerate((SAILOR, MATE)):
        await scenario.act(user, "send", peer=account, body="ahoy", random=number)
    await scenario.settle()
    threads = scenario.adapter.messages.threads("lighthouse")
    first = (await anext(threads)).user
    assert threads.cursor
    rest = scenario.adapter.messages.threads("lighthouse", cursor=threads.cursor)
    assert sorted([first, *[thread.user async for thread in rest]]) == sorted([SAILOR, MATE])
    assert rest.cursor is None


async def test_new_subscriber_receives_message_of_an_event_handler(scenario: Scenario) -> None:
    @scenario.adapter.events.on(Subscribed)
    async def welcome(event: Subscribed) -> None:
        for user in event.users:
            key = f"welcome {scenario.adapter.events.key} {user}"
            await scenario.adapter.messages.send(
                event.channel, user=user, content=Text("Welcome aboard"), idempotency_key=key
            )

    await scenario.adapter.accounts.add(["newcomer"])
    await scenario.adapter.subscriptions.subscribe("lighthouse", ["newcomer"])
    await scenario.settle()
    found = [message.content async for message in scenario.adapter.messages.thread("lighthouse", user="newcomer")]
    assert found == [Text("Welcome aboard")]
