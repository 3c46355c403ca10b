"""The adapter with a service that refuses, returns little or answers late: nothing is lost or repeated."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    AuthenticationError,
    ChannelAdapter,
    ConfigurationError,
    InvalidError,
    NotFoundError,
    OutcomeKind,
    Settings,
    Text,
    UnavailableError,
)
from channel_adapter.config.settings import ChannelSettings, PostSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock

USERS = [f"reader_{number}" for number in range(40)]
DAY = 86_400


class Calls(Counter[str]):
    """Counter of attempts by command."""

    def __call__(self, attempt: Any) -> None:
        self[attempt.command] += 1


@asynccontextmanager
async def opened(
    stub: dict[str, Any] | None = None, calls: Calls | None = None, clock: StubClock | None = None, **more: Any
) -> AsyncIterator[tuple[ChannelAdapter, StubServer]]:
    """Open an adapter on a stub with these settings, with an owner and 40 users imported."""
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(StubServer(StubSettings.model_validate(stub or {}), clock=clock))
        adapter = await stack.enter_async_context(ChannelAdapter.open(settings(server, **more), observer=calls))
        if clock is None:
            await adapter.accounts.add(["owner", *USERS])
        yield adapter, server


def settings(server: StubServer, **more: Any) -> Settings:
    values: dict[str, Any] = {"sdkappid": server.sdkappid, "key": SecretStr(server.key), "base_url": server.url} | more
    return Settings(**values)


async def channel_on(adapter: ChannelAdapter) -> str:
    return (await adapter.channels.create(slug="tides", name="Tides", owner="owner")).id


async def test_smaller_batch_cap_is_learned_once() -> None:
    calls = Calls()
    async with opened({"limits": {"add_members": 6}}, calls, concurrency=1) as (adapter, _):
        channel = await channel_on(adapter)
        assert (await adapter.subscriptions.subscribe(channel, USERS)).counts == {OutcomeKind.ADDED: 40}
        # 20 and 10 are refused once each, 5 fit: two refusals and eight calls, not two refusals for every batch
        assert calls["add_group_member"] == 10


async def test_unknown_users_are_found_by_per_member_results() -> None:
    async with opened({"behaviour": {"unknown_account": "per_member"}}) as (adapter, _):
        channel = await channel_on(adapter)
        users = [*USERS[:3], "stranger"]
        outcomes = await adapter.subscriptions.subscribe(channel, users)
        assert outcomes.counts == {OutcomeKind.ADDED: 3, OutcomeKind.NOT_FOUND: 1}
        again = await adapter.subscriptions.subscribe(channel, users, import_missing=True)
        assert again.counts == {OutcomeKind.ALREADY: 3, OutcomeKind.ADDED: 1}


async def test_user_in_too_many_groups_does_not_block_the_others() -> None:
    async with opened({"limits": {"groups_per_user": 1}}) as (adapter, _):
        first = (await adapter.channels.create(slug="first", name="First", owner="owner")).id
        await adapter.subscriptions.subscribe(first, USERS[:2])
        await adapter.accounts.add(["second_owner"])
        second = (await adapter.channels.create(slug="second", name="Second", owner="second_owner")).id
        outcomes = await adapter.subscriptions.subscribe(second, USERS[:5])
        assert outcomes.counts == {OutcomeKind.TOO_MANY_CHANNELS: 2, OutcomeKind.ADDED: 3}


async def test_interrupted_creation_is_detected_completed_and_repaired() -> None:
    async with opened() as (adapter, _):
        for slug in ("tides", "ferries"):
            body = {
                "Type": "Community", "GroupId": f"@TGS#_{slug}", "Name": "Tides", "Owner_Account": "owner",
                "ApplyJoinOption": "FreeAccess", "AppDefinedData": [{"Key": "ch_tag", "Value": "ch1"}],
            }  # fmt: skip
            await adapter.call("group_open_http_svc", "create_group", body)
        assert not (await adapter.channels.get("tides")).complete
        assert (await adapter.channels.create(slug="tides", name="Tides", owner="owner")).complete
        findings = await adapter.doctor()
        assert [finding.message for finding in findings if not finding.ok] == ["ferries: every subscriber can post"]
        assert all(finding.ok for finding in await adapter.doctor(repair=True))
        assert (await adapter.channels.get("ferries")).complete
        assert all(finding.ok for finding in await adapter.doctor())


async def test_name_over_the_legacy_limit_raises_error_with_the_setting() -> None:
    async with opened({"behaviour": {"profile_limits": "legacy"}}) as (adapter, _):
        with pytest.raises(InvalidError, match='set profile_limits = "legacy"') as refused:
            await adapter.channels.create(slug="tides", name="n" * 31, owner="owner")
        assert (refused.value.field, refused.value.limit, refused.value.size) == ("name", 30, 31)
        channel = await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        with pytest.raises(InvalidError, match="profile_limits"):
            await adapter.channels.update(channel.id, introduction="i" * 241)


async def test_undeclared_field_is_named_in_the_error() -> None:
    channels = ChannelSettings(tag_key="my_tag")
    async with opened(channels=channels) as (adapter, server):
        with pytest.raises(ConfigurationError, match=r"'my_tag' is not declared .* enabled for Community") as refused:
            await channel_on(adapter)
        assert refused.value.field == "my_tag"
        assert not server.world.state.groups


@pytest.mark.parametrize(
    ("stub", "error", "says"),
    [
        ({"app": {"community": False}}, ConfigurationError, "Communities are not enabled"),
        ({"app": {"plan_active": False}}, ConfigurationError, "plan has expired"),
        ({"app": {"ip_allow_list": ["10.0.0.1"]}}, Exception, "not on the allow-list"),
    ],
)
async def test_plan_and_console_switches_are_named_in_the_error(
    stub: dict[str, Any], error: type[Exception], says: str
) -> None:
    async with (
        StubServer(StubSettings.model_validate(stub)) as server,
        ChannelAdapter.open(settings(server)) as adapter,
    ):
        with pytest.raises(error, match=says):
            await adapter.call(
                "group_open_http_svc",
                "get_joined_group_list",
                {"Member_Account": "administrator", "GroupType": "Community"},
            )
        assert not all(finding.ok for finding in await adapter.doctor())


async def test_wrong_key_is_reported_as_not_belonging_to_the_app() -> None:
    key = SecretStr("another secret")
    async with StubServer() as server, ChannelAdapter.open(settings(server, key=key)) as stranger:
        with pytest.raises(AuthenticationError, match="key does not belong to this app") as refused:
            await stranger.channels.get("tides")
        assert "another secret" not in str(refused.value)
        (finding,) = await stranger.doctor()
        assert not finding.ok
        assert "sdkappid, key and admin" in finding.remediation


async def test_clock_slow_by_a_day_is_reported() -> None:
    clock = StubClock()
    clock.advance(DAY + 3600)
    async with opened(clock=clock) as (adapter, _):
        with pytest.raises(AuthenticationError, match="clock is wrong"):
            await adapter.channels.get("tides")
        (finding,) = await adapter.doctor()
        assert finding.remediation == "set this machine's clock, for example by NTP"


async def test_throttled_post_is_repeated_and_published_once() -> None:
    class Waiting(Calls):
        """Counter that advances the clock of the stub only after a throttled attempt."""

        def __call__(self, attempt: Any) -> None:
            super().__call__(attempt)
            if attempt.outcome_kind == "throttled":
                server.world.clock.advance(1.5)

    calls = Waiting()
    posts = PostSettings(per_second=1000)
    async with opened({"limits": {"messages_per_second": 2}}, calls, posts=posts) as (adapter, server):
        channel = await channel_on(adapter)
        server.world.clock.freeze()
        for number in range(3):
            await adapter.posts.publish(channel, Text(f"post {number}"))
        assert calls["send_group_msg"] == 4
        assert [post.content async for post in adapter.posts.history(channel, oldest_first=True)] == [
            Text(f"post {number}") for number in range(3)
        ]


async def test_joined_list_too_large_for_one_answer_is_read_in_smaller_pages() -> None:
    calls = Calls()
    async with opened({"limits": {"reply_bytes": 30_000}}, calls) as (adapter, _):
        slugs = [f"channel_{number:03}" for number in range(120)]
        for slug in slugs:
            channel = await adapter.channels.create(slug=slug, name="A name " * 10, owner="owner")
            await adapter.subscriptions.subscribe(channel.id, USERS[:1])
        found = sorted([mine.channel.slug async for mine in adapter.channels.subscribed(USERS[0])])
        assert found == slugs


async def test_warm_tag_cache_requires_only_the_list_pages() -> None:
    calls = Calls()
    async with opened({}, calls) as (adapter, _):
        for number in range(60):
            channel = await adapter.channels.create(slug=f"channel_{number}", name="Tides", owner="owner")
            await adapter.subscriptions.subscribe(channel.id, USERS[:1])
        adapter.channels.forget()
        calls.clear()
        assert len([mine async for mine in adapter.channels.subscribed(USERS[0])]) == 60
        assert calls == {"get_joined_group_list": 1, "get_group_info": 2}
        calls.clear()
        assert len([mine async for mine in adapter.channels.subscribed(USERS[0])]) == 60
        assert calls == {"get_joined_group_list": 1}


async def test_tag_cache_can_be_disabled() -> None:
    calls = Calls()
    async with opened({}, calls, channels=ChannelSettings(cache_seconds=0)) as (adapter, _):
        channel = await channel_on(adapter)
        calls.clear()
        for number in range(2):
            await adapter.posts.publish(channel, Text(f"post {number}"))
        assert calls == {"get_group_info": 2, "send_group_msg": 2}


async def test_channel_deleted_elsewhere_is_forgotten_once_detected() -> None:
    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        await adapter.posts.publish(channel, Text("remembered now"))
        await adapter.call("group_open_http_svc", "destroy_group", {"GroupId": channel})
        assert not await adapter.channels.exists(channel)
        with pytest.raises(NotFoundError, match="no channel"):
            await adapter.posts.publish(channel, Text("too late"))


async def test_long_call_ends_soon_after_the_service_stops() -> None:
    async with opened(total_seconds=1.0, connect_seconds=0.5, concurrency=2) as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        await server.stop()
        kinds: Counter[OutcomeKind] = Counter()
        outcomes = adapter.subscriptions.subscribe_stream(channel, (f"reader_{n}" for n in range(100_000)))

        async def count() -> None:
            async for outcome in outcomes:
                kinds[outcome.kind] += 1

        with pytest.raises(UnavailableError):
            await count()
        assert set(kinds) == {OutcomeKind.FAILED}
        assert kinds.total() < 1_000


async def test_closing_the_stream_stops_the_call() -> None:
    calls = Calls()
    async with opened({}, calls, concurrency=2) as (adapter, _):
        channel = await channel_on(adapter)
        await adapter.accounts.add([f"reader_{n}" for n in range(2000)])
        outcomes = adapter.subscriptions.subscribe_stream(channel, (f"reader_{n}" for n in range(2000)))
        await anext(outcomes)
        await outcomes.aclose()
        before = calls["add_group_member"]
        assert before < 10
        # two more may have been under way, and a call that was sent is not undone
        assert await adapter.subscriptions.count(channel) <= (before + 2) * 20


async def test_unusable_database_raises_error_before_a_post_is_published() -> None:
    async with opened(database_url=SecretStr("postgresql://h:not_a_port/x")) as (adapter, server):
        with pytest.raises(ConfigurationError, match="database_url"):
            await channel_on(adapter)
        with pytest.raises(ConfigurationError, match="database_url"):
            await adapter.posts.publish("tides", Text("high tide"))
        assert not server.world.state.groups
