"""Webhooks and guard of an adapter in official mode: the same events, refusals and corrections."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import (
    Allow,
    ChannelChanged,
    ChannelCreated,
    ChannelDeleted,
    ChannelFull,
    ChannelId,
    HookRequest,
    OutcomeKind,
    PostDraft,
    PostPublished,
    PostRecalled,
    PostRef,
    Refuse,
    RefusedError,
    RefuseSome,
    Subscribed,
    SubscribeRequest,
    Text,
    Unsubscribed,
)
from channel_adapter.domain.events import ChannelEvent, Departure
from channel_adapter.webhooks.trigger import names_of_commands, trigger
from tests.webhooks.scenario import KEEPER, MATE, SAILOR, Scenario, open_scenario

GAZETTE = ChannelId("@TOA#_gazette")
OFFICIAL = "official_account_open_http_svc"


@pytest.fixture
async def scenario(tmp_path: Path) -> AsyncIterator[Scenario]:
    async with open_scenario(mode="official", database_url=f"sqlite:///{tmp_path / 'app.db'}") as built:
        await call(
            built, "create_official_account", OfficialAccountUserID=GAZETTE, Owner_Account=KEEPER, Name="Gazette"
        )
        await built.settle()
        yield built


async def call(built: Scenario, command: str, **body: Any) -> Any:
    """Make a call as another program of the app."""
    return await built.other.call(OFFICIAL, command, body)


async def test_official_account_events_are_channel_events_of_the_mode(scenario: Scenario) -> None:
    created = await scenario.until(ChannelCreated)
    assert (created.channel, created.name, created.owner, created.other_mode) == (GAZETTE, "Gazette", KEEPER, False)
    account: dict[str, Any] = {"Official_Account": GAZETTE}
    await call(scenario, "modify_official_account_base_info", **account, Introduction="news", MaxSubscriberNum=1)
    assert (await scenario.until(ChannelChanged)).introduction == "news"
    await scenario.act(MATE, "follow", account_id=GAZETTE)
    joined = await scenario.until(Subscribed)
    assert (joined.users, joined.invited) == ((MATE,), False)
    await scenario.until(ChannelFull)
    sent = await call(
        scenario, "send_official_account_msg", **account, Random=1,
        MsgBody=[{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}],
    )  # fmt: skip
    published = await scenario.until(PostPublished)
    assert (published.post.ref, published.post.ref.key) == (PostRef(GAZETTE, 1), sent["MsgKey"])
    assert await scenario.adapter.posts.get(published.post.ref)
    assert await scenario.adapter.reactions.react(published.post.ref, MATE, "👍")
    await call(scenario, "official_account_msg_recall", **account, MsgKeyList=[sent["MsgKey"]])
    assert (await scenario.until(PostRecalled)).refs == (PostRef(GAZETTE, 1),)
    await scenario.act(MATE, "unfollow", account_id=GAZETTE)
    assert (await scenario.until(Unsubscribed)).reason is Departure.LEFT
    await call(scenario, "destroy_official_account", **account)
    await scenario.until(ChannelDeleted)
    assert not [event for event in await scenario.settle() if isinstance(event, ChannelEvent) and event.other_mode]


async def test_registry_lists_accounts_reported_by_webhooks(scenario: Scenario) -> None:
    """The accounts are created and destroyed by another program."""
    assert [each.slug async for each in scenario.adapter.channels.all()] == ["gazette"]
    await call(scenario, "destroy_official_account", Official_Account=GAZETTE)
    await scenario.until(ChannelDeleted)
    assert [each.slug async for each in scenario.adapter.channels.all()] == []


async def test_unfollowing_in_client_removes_channel_from_conversation_group(scenario: Scenario) -> None:
    await scenario.adapter.subscriptions.subscribe("gazette", [MATE])
    assert [each.channels async for each in scenario.adapter.unread.groups(MATE)] == [(GAZETTE,)]
    await scenario.act(MATE, "unfollow", account_id=GAZETTE)
    await scenario.until(Unsubscribed)
    await scenario.settle()
    assert [each.channels async for each in scenario.adapter.unread.groups(MATE)] == [()]


async def test_guard_refuses_users_posts_and_closed_channels() -> None:
    async with open_scenario(mode="official", guard={"blocked": [SAILOR], "closed": ["closed"]}) as scenario:
        for slug in ("gazette", "closed"):
            await scenario.other.call(
                OFFICIAL, "create_official_account",
                {"OfficialAccountUserID": f"@TOA#_{slug}", "Owner_Account": KEEPER, "Name": slug},
            )  # fmt: skip

        @scenario.adapter.guard.on(HookRequest)
        async def decide(request: HookRequest) -> Any:
            match request:
                case PostDraft(parts=(Text("no"),), author=None):
                    return Refuse("not this one", code=120_007)
                case SubscribeRequest(users=users) if KEEPER in users:
                    return RefuseSome((users[users.index(KEEPER)],))
            return Allow()

        subscriptions = scenario.adapter.subscriptions
        outcomes = await subscriptions.subscribe("gazette", [KEEPER, MATE, SAILOR], assign=False)
        assert {each.user: each.kind for each in outcomes} == {
            KEEPER: OutcomeKind.REFUSED, MATE: OutcomeKind.ADDED, SAILOR: OutcomeKind.REFUSED,
        }  # fmt: skip
        assert await subscriptions.is_subscribed("gazette", [KEEPER, MATE, SAILOR]) == {
            KEEPER: False, MATE: True, SAILOR: False,
        }  # fmt: skip
        with pytest.raises(RefusedError, match="120007"):
            await scenario.adapter.posts.publish("gazette", Text("no"))
        assert (await scenario.adapter.posts.publish("gazette", Text("yes"))).ref.seq == 1
        with pytest.raises(Exception, match="20006"):
            await scenario.act(MATE, "follow", account_id="@TOA#_closed")


async def test_trigger_sends_the_webhooks_of_the_mode(scenario: Scenario) -> None:
    settings = scenario.adapter.settings
    names = names_of_commands(settings.mode)
    assert names["Subscribed"] == "OfficialAccount.CallbackAfterAddSubscriber"
    result = await trigger(
        scenario.url, "Subscribed",
        {"Official_Account": GAZETTE, "SubscribeAccountList": [{"Subscriber_Account": MATE}]},
        sdkappid=scenario.stub.sdkappid, token=settings.webhooks.tokens[0], mode=settings.mode,
    )  # fmt: skip
    assert result.accepted
    assert (await scenario.until(Subscribed)).users == (MATE,)
