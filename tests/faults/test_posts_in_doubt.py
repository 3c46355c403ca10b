"""Posts whose answer was lost during a change of owner: never sent twice, never reported as refused in doubt."""

from typing import Any

import pytest

from channel_adapter import ChannelAdapter, OutcomeUnknownError, PermissionDeniedError, PostState, Text
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_adapter_trouble import USERS, Calls, channel_on, opened, settings
from tests.faults.test_lost_answers import HastyClock

SEND = "send_group_msg"


async def handed_over(server: StubServer, adapter: ChannelAdapter) -> str:
    """Create a channel whose owner this adapter has cached, then change its owner."""
    await adapter.accounts.add(["owner", *USERS[:2]])
    channel = await channel_on(adapter)
    await adapter.subscriptions.subscribe(channel, USERS[:1])
    await adapter.posts.publish(channel, Text("first"))
    body: dict[str, Any] = {"GroupId": channel, "NewOwner_Account": USERS[0]}
    await adapter.call("group_open_http_svc", "change_group_owner", body)
    return channel


async def texts(server: StubServer, adapter: ChannelAdapter, channel: str) -> list[object]:
    server.faults.replace(())
    return [post.content async for post in adapter.posts.history(channel) if post.state is PostState.PUBLISHED]


async def test_post_in_doubt_is_not_sent_again_under_another_account() -> None:
    """The service identifies a repetition by its sender: from another account it would be a second post."""
    calls = Calls()
    async with (
        StubServer() as server,
        ChannelAdapter.open(settings(server), observer=calls, clock=HastyClock()) as adapter,
    ):
        channel = await handed_over(server, adapter)
        server.faults.replace([Fault(command=SEND, nth=(1,), status=502)])
        before = calls[SEND]
        with pytest.raises(OutcomeUnknownError, match="an earlier attempt got no answer") as caught:
            await adapter.posts.publish(channel, Text("second"))
        assert isinstance(caught.value.__cause__, PermissionDeniedError)
        assert calls[SEND] - before == 2
        assert await texts(server, adapter, channel) == [Text("first")]
        await adapter.posts.publish(channel, Text("third"))  # the new owner is now cached


async def test_clearly_refused_post_is_sent_again_as_the_new_owner() -> None:
    calls = Calls()
    async with (
        StubServer() as server,
        ChannelAdapter.open(settings(server), observer=calls, clock=HastyClock()) as adapter,
    ):
        channel = await handed_over(server, adapter)
        server.faults.replace([Fault(command=SEND, nth=(1,), code=60007)])
        assert (await adapter.posts.publish(channel, Text("second"))).author == USERS[0]
        assert await texts(server, adapter, channel) == [Text("second"), Text("first")]


async def test_post_sent_as_the_new_owner_is_looked_up_too() -> None:
    async with StubServer() as server, ChannelAdapter.open(settings(server), clock=HastyClock()) as adapter:
        channel = await handed_over(server, adapter)
        server.faults.replace([Fault(command=SEND, nth=(2, 3, 4), drop=True, applied=True)])
        post = await adapter.posts.publish(channel, Text("second"))
        assert post.author == USERS[0]
        assert await texts(server, adapter, channel) == [Text("second"), Text("first")]


async def test_unreadable_history_leaves_the_outcome_of_a_post_unknown() -> None:
    async with StubServer() as server, ChannelAdapter.open(settings(server), clock=HastyClock()) as adapter:
        channel = await handed_over(server, adapter)
        adapter.channels.forget()
        unreadable = Fault(command="group_msg_get_simple", status=502)
        server.faults.replace([Fault(command=SEND, drop=True, applied=True), unreadable])
        with pytest.raises(OutcomeUnknownError, match=SEND):
            await adapter.posts.publish(channel, Text("second"))
        assert await texts(server, adapter, channel) == [Text("second"), Text("first")]


@pytest.mark.parametrize(
    ("mode", "command"), [("community", "group_msg_recall"), ("official", "official_account_msg_recall")]
)
async def test_post_that_the_answer_to_its_recall_leaves_out_is_looked_up(mode: str, command: str) -> None:
    async with opened(mode=mode) as (adapter, server):
        post = (await adapter.posts.publish(await channel_on(adapter), Text("x"))).ref
        nothing: dict[str, Any] = {"RecallRetList": []}
        server.faults.replace([Fault(command=command, fail_items=1, extra=nothing)])
        with pytest.raises(OutcomeUnknownError, match="the service's answer does not name post 1"):
            await adapter.posts.recall(post)
        server.faults.replace([Fault(command=command, extra=nothing)])
        await adapter.posts.recall(post)
        assert (await adapter.posts.get(post)).state is PostState.RECALLED
