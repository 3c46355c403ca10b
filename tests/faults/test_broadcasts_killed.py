"""A process that broadcasts is killed with signal 9 before and after the effect; the next one posts once."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Text, ThrottledError
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_messages_killed import SECONDS, System
from tests.faults.test_messages_lost import settings

SEND = "send_official_account_msg"


@pytest.fixture(params=["SQLite", "PostgreSQL"])
async def system(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[System]:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    if request.param == "PostgreSQL":
        url = request.getfixturevalue("postgres_url")
    async with StubServer() as server:
        own = settings(server, Mode.OFFICIAL).model_copy(update={"database_url": SecretStr(url)})
        async with ChannelAdapter.open(own) as adapter:
            await adapter.accounts.add(["owner"])
            await adapter.channels.create(slug="tides", name="Tides", owner="owner")
            yield System(server, adapter, tmp_path)


@pytest.mark.parametrize(
    ("system", "fault"),
    [
        ("SQLite", Fault(command=SEND, nth=(1,), drop=True, delay=SECONDS)),
        ("SQLite", Fault(command=SEND, nth=(1,), delay=SECONDS)),
        ("PostgreSQL", Fault(command=SEND, nth=(1,), delay=SECONDS)),
    ],
    indirect=["system"],
    ids=["before the effect", "after the effect", "after the effect, PostgreSQL"],
)
async def test_killed_broadcast_is_sent_once_and_counts_in_the_budget(system: System, fault: Fault) -> None:
    posts, words = system.adapter.posts, ("posts", "publish", "tides", "low tide", "--idempotency-key", "entry 1")
    await system.kill_in_call(fault, *words)
    assert await system.run(*words) == 0
    again = await posts.publish("tides", Text("low tide"), idempotency_key="entry 1")
    assert [post.ref async for post in posts.history("tides")] == [again.ref]
    before = len(list(system.server.log.calls(SEND)))
    with pytest.raises(ThrottledError, match="2 posts within an hour") as refused:  # the killed one may have been sent
        await posts.publish("tides", Text("high tide"))
    assert refused.value.retry_after is not None
    assert len(list(system.server.log.calls(SEND))) == before
    assert [post.ref async for post in posts.history("tides")] == [again.ref]
