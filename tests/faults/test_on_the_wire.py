"""Requests of the adapter, and its handling of answers that a stub without faults does not return."""

import asyncio
import dataclasses

import pytest

from channel_adapter import (
    ChannelAdapter,
    InvalidError,
    NotFoundError,
    OutcomeKind,
    OutcomeUnknownError,
    PermissionDeniedError,
    Text,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.config.settings import PostSettings, SubscriptionSettings
from channel_adapter.services.doctor import Doctor
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from tests.faults.test_adapter_trouble import USERS, channel_on, opened


def last(server: StubServer, command: str) -> dict[str, object]:
    """Return the body of the latest call of a command."""
    body = list(server.log.calls(command))[-1].body
    assert isinstance(body, dict)
    return body


async def test_channel_is_created_as_tagged_open_community_without_topics() -> None:
    async with opened() as (adapter, server):
        await channel_on(adapter)
        assert last(server, "create_group") == {
            "Type": "Community",
            "Name": "Tides",
            "Owner_Account": "owner",
            "GroupId": "@TGS#_tides",
            "ApplyJoinOption": "FreeAccess",
            "AppDefinedData": [{"Key": "ch_tag", "Value": "ch1"}],
            "SupportTopic": 0,
        }
        assert last(server, "modify_group_base_info") == {"GroupId": "@TGS#_tides", "MuteAllMember": "On"}


async def test_posts_support_extensions_and_silent_posts_do_not_count_as_unread() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.posts.publish(channel, Text("loud"))
        loud = last(server, "send_group_msg")
        assert (loud["SupportMessageExtension"], loud["From_Account"]) == (1, "owner")
        assert "SendMsgControl" not in loud
        await adapter.posts.publish(channel, Text("silent"), silent=True)
        assert last(server, "send_group_msg")["SendMsgControl"] == ["NoUnread"]


async def test_request_for_joined_groups_contains_the_group_type() -> None:
    async with opened() as (adapter, server):
        assert [mine async for mine in adapter.channels.subscribed(USERS[0])] == []
        asked = last(server, "get_joined_group_list")
        assert (asked["GroupType"], asked["SupportTopic"], asked["Limit"], asked["Offset"]) == ("Community", 0, 200, 0)


@pytest.mark.parametrize(("notify", "silence"), [(False, 1), (True, 0)])
async def test_notify_setting_controls_notices_of_joins_and_leaves(notify: bool, silence: int) -> None:
    async with opened(subscriptions=SubscriptionSettings(notify=notify)) as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        await adapter.subscriptions.unsubscribe(channel, USERS[:1])
        assert last(server, "add_group_member")["Silence"] == silence
        assert last(server, "delete_group_member")["Silence"] == silence


async def subscribed_under(fault: Fault, adapter: ChannelAdapter, server: StubServer) -> dict[OutcomeKind, int]:
    channel = await channel_on(adapter)
    server.faults.replace([fault])
    return dict((await adapter.subscriptions.subscribe(channel, USERS[:6])).counts)


async def test_user_in_too_many_groups_is_found_by_halving_the_batch() -> None:
    async with opened() as (adapter, server):
        fault = Fault(command="add_group_member", account=USERS[3], code=10037)
        counts = await subscribed_under(fault, adapter, server)
        assert counts == {OutcomeKind.TOO_MANY_CHANNELS: 1, OutcomeKind.ADDED: 5}


async def test_refusal_by_a_webhook_refuses_every_user_of_the_call() -> None:
    async with opened() as (adapter, server):
        fault = Fault(command="add_group_member", code=10016)
        assert await subscribed_under(fault, adapter, server) == {OutcomeKind.REFUSED: 6}


@pytest.mark.parametrize("code", [10014, 10038])
async def test_limit_other_than_the_channel_limit_is_reported_as_full(code: int) -> None:
    async with opened() as (adapter, server):
        fault = Fault(command="add_group_member", code=code)
        assert await subscribed_under(fault, adapter, server) == {OutcomeKind.FULL: 6}


async def test_existing_user_that_fails_alone_is_refused() -> None:
    async with opened() as (adapter, server):
        fault = Fault(command="add_group_member", fail_items=3)
        counts = await subscribed_under(fault, adapter, server)
        assert counts == {OutcomeKind.REFUSED: 2, OutcomeKind.ADDED: 4}


async def test_account_that_cannot_be_imported_is_reported() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="multiaccount_import", fail_items=2)])
        made = await adapter.accounts.add(["new_1", "new_2"])
        assert made.counts == {OutcomeKind.ADDED: 1, OutcomeKind.FAILED: 1}
        users = ["new_3", "new_4"]
        outcomes = await adapter.subscriptions.subscribe(channel, users, import_missing=True)
        assert {(each.kind, each.reason) for each in outcomes} == {
            (OutcomeKind.ADDED, ""),
            (OutcomeKind.NOT_FOUND, "importing it failed"),
        }


async def test_failed_item_of_a_call_raises_its_own_error() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        post = await adapter.posts.publish(channel, Text("stays"))
        server.faults.replace([Fault(command="group_msg_recall", fail_items=1, item_code=10032)])
        with pytest.raises(PermissionDeniedError, match="cannot be recalled"):
            await adapter.posts.recall(post.ref)
        server.faults.replace([Fault(command="get_group_info", fail_items=1, item_code=10007)])
        with pytest.raises(PermissionDeniedError):
            await adapter.channels.get_many([channel])
        server.faults.replace([Fault(command="account_check", fail_items=1, item_code=70402)])
        with pytest.raises(InvalidError):
            await adapter.accounts.check(USERS)


async def test_edit_in_a_deleted_channel_raises_not_found_for_the_group() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        post = await adapter.posts.publish(channel, Text("first"))
        server.faults.replace([Fault(command="modify_group_msg", code=10010)])
        with pytest.raises(NotFoundError, match="no such group"):
            await adapter.posts.edit(post.ref, Text("second"))


async def test_reason_and_author_are_validated() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        post = await adapter.posts.publish(channel, Text("stays"))
        with pytest.raises(InvalidError) as refused:
            await adapter.posts.recall(post.ref, reason="潮" * 34)
        assert (refused.value.field, refused.value.limit, refused.value.size) == ("reason", 100, 102)
        with pytest.raises(PermissionDeniedError):
            await adapter.posts.publish(channel, Text("by somebody outside"), author=USERS[5])
        assert server.log.count("send_group_msg") == 1


async def test_excess_concurrent_posts_are_refused_as_throttled() -> None:
    async with opened(posts=PostSettings(per_second=1), total_seconds=2.0) as (adapter, _):
        channel = await channel_on(adapter)
        posts = [adapter.posts.publish(channel, Text(f"post {number}")) for number in range(6)]
        results = await asyncio.gather(*posts, return_exceptions=True)
        late = [result for result in results if isinstance(result, ThrottledError)]
        assert late
        assert "publish more slowly" in late[0].message
        assert len([post async for post in adapter.posts.history(channel)]) == len(results) - len(late)


async def test_subscriber_limit_of_a_channel_can_be_changed() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        assert (await adapter.channels.update(channel, max_subscribers=7)).max_subscribers == 7
        assert last(server, "modify_group_base_info") == {"GroupId": channel, "MaxMemberNum": 8}


async def test_publish_in_a_deleted_channel_raises_not_found() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.posts.publish(channel, Text("first"))
        await adapter.channels.delete(channel)
        with pytest.raises(NotFoundError, match="there is no channel"):
            await adapter.posts.publish(channel, Text("second"))
        assert server.log.count("send_group_msg") == 1


async def test_doctor_reports_a_disabled_switch() -> None:
    async with opened({"app": {"community": False}}) as (adapter, _):
        failed = {finding.check: finding.remediation for finding in await adapter.doctor() if not finding.ok}
        assert "console" in failed["communities"]


@pytest.mark.parametrize(
    ("skew", "ok", "says"),
    [
        (None, True, "not compared"),
        (7_200.0, False, "2 hours behind the service's"),
        (-90.0, False, "1.5 minutes ahead of"),
        (3.0, True, "3 seconds behind"),
    ],
)
def test_doctor_compares_clocks(skew: float | None, ok: bool, says: str) -> None:
    finding = Doctor.clock(skew)
    assert finding.ok is ok
    assert says in finding.message


async def test_users_that_cannot_be_added_use_no_capacity() -> None:
    async with opened({"limits": {"groups_per_user": 1}}) as (adapter, _):
        other = (await adapter.channels.create(slug="other", name="Other", owner="owner")).id
        await adapter.subscriptions.subscribe(other, USERS[:3])
        await adapter.accounts.add(["second_owner"])
        small = (await adapter.channels.create(slug="small", name="Small", owner="second_owner", max_subscribers=3)).id
        outcomes = await adapter.subscriptions.subscribe(small, USERS[:7])
        assert outcomes.counts == {OutcomeKind.TOO_MANY_CHANNELS: 3, OutcomeKind.ADDED: 3, OutcomeKind.FULL: 1}
        assert await adapter.subscriptions.count(small) == 3


async def test_large_batches_with_unknown_users_have_correct_outcomes() -> None:
    subscriptions = SubscriptionSettings(add_per_call=300)
    async with opened({"limits": {"add_members": 300}}, subscriptions=subscriptions) as (adapter, _):
        channel = await channel_on(adapter)
        users = [f"person_{number}" for number in range(150)]
        outcomes = await adapter.subscriptions.subscribe(channel, [*USERS, *users])
        assert outcomes.counts == {OutcomeKind.ADDED: len(USERS), OutcomeKind.NOT_FOUND: 150}
        outcomes = await adapter.subscriptions.subscribe(channel, users, import_missing=True)
        assert outcomes.counts == {OutcomeKind.ADDED: 150}


@pytest.mark.parametrize("code", [10004, 10006, 90026])
async def test_post_whose_repeat_is_refused_as_duplicate_is_found(code: int) -> None:
    async with opened({"behaviour": {"duplicate_answer_code": code}}, total_seconds=3.0) as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="send_group_msg", nth=(1,), drop=True, applied=True)])
        post = await adapter.posts.publish(channel, Text("once"))
        assert [found async for found in adapter.posts.history(channel)] == [post]


async def test_recall_whose_repeat_finds_nothing_succeeds() -> None:
    async with opened({"behaviour": {"recall_twice_code": 10030}}) as (adapter, server):
        channel = await channel_on(adapter)
        post = await adapter.posts.publish(channel, Text("goes"))
        server.faults.replace([Fault(command="group_msg_recall", nth=(1,), drop=True, applied=True)])
        await adapter.posts.recall(post.ref)
        with pytest.raises(NotFoundError, match="no post 9"):
            await adapter.posts.recall(dataclasses.replace(post.ref, seq=9))


async def test_deletion_with_lost_answer_returns_true() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.replace([Fault(command="destroy_group", nth=(1,), drop=True, applied=True)])
        assert await adapter.channels.delete(channel)


async def test_brief_failure_of_account_import_fails_one_batch() -> None:
    async with opened(concurrency=1) as (adapter, server):
        server.faults.replace([Fault(command="multiaccount_import", nth=(1, 2, 3), code=70500)])
        users = [f"person_{number}" for number in range(250)]
        made = await adapter.accounts.add(users)
        assert made.counts == {OutcomeKind.FAILED: 100, OutcomeKind.ADDED: 150}


async def test_string_in_place_of_a_list_is_refused() -> None:
    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        for attempt in (
            adapter.accounts.check("reader_1"),
            adapter.channels.get_many("tides"),
            adapter.subscriptions.is_subscribed(channel, "reader_1"),
        ):
            with pytest.raises(InvalidError, match="must be a list of ids; got one string"):
                await attempt


async def test_interrupted_creation_reports_what_exists() -> None:
    async with opened() as (adapter, server):
        server.faults.replace([Fault(command="modify_group_base_info", code=10007)])
        with pytest.raises(PermissionDeniedError, match="@TGS#_tides exists, but every subscriber can post in it"):
            await channel_on(adapter)
        server.faults.replace([])
        assert (await adapter.channels.create(slug="tides", name="Tides", owner="owner")).complete


async def test_doctor_raises_unavailable_when_the_service_is_stopped() -> None:
    async with opened(total_seconds=1.0) as (adapter, server):
        await server.stop()
        with pytest.raises(UnavailableError):
            await adapter.doctor()


async def test_invalid_id_in_a_list_is_named() -> None:
    async with opened() as (adapter, _):
        channel = await channel_on(adapter)
        with pytest.raises(InvalidError, match=r"^users\[2\] is empty"):
            await adapter.subscriptions.subscribe(channel, [*USERS[:2], "", *USERS[2:]])


async def test_slow_read_does_not_discard_a_newly_created_channel() -> None:
    async with opened() as (adapter, server):
        server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.5)])
        early = asyncio.create_task(adapter.posts.publish("tides", Text("too early")))
        await asyncio.sleep(0.1)
        body = {"GroupIdList": ["@TGS#_tides"]}
        await asyncio.gather(channel_on(adapter), adapter.call("group_open_http_svc", "get_group_info", body))
        await asyncio.gather(early, return_exceptions=True)
        assert (await adapter.posts.publish("tides", Text("in time"))).ref.seq >= 1
        assert [mine.channel.slug async for mine in adapter.channels.subscribed("owner")] == ["tides"]


async def test_success_without_post_number_is_an_unknown_outcome() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        server.faults.add(Fault(command="send_group_msg", extra={"MsgSeq": None}))
        with pytest.raises(OutcomeUnknownError, match="no number of the post"):
            await adapter.posts.publish(channel, Text("x"))


async def test_channels_are_read_from_every_page_of_the_list() -> None:
    async with opened() as (adapter, server):
        slugs = [f"channel_{number}" for number in range(8)]
        for slug in slugs:
            await adapter.channels.create(slug=slug, name=slug, owner="owner")
        server.faults.add(Fault(command="get_appid_group_list", nth=(1,), extra={"GroupIdList": [], "Next": 3}))
        assert [channel async for channel in adapter.channels.all()] == []  # an empty page ends the list
        server.faults.replace([])
        half = [{"GroupId": f"@TGS#_{slug}"} for slug in slugs[:5]]
        server.faults.add(Fault(command="get_appid_group_list", nth=(1,), extra={"GroupIdList": half, "Next": 3}))
        assert sorted([channel.slug async for channel in adapter.channels.all()]) == slugs
        assert [call.body["Next"] for call in server.log.calls("get_appid_group_list")] == [0, 0, 3]


async def test_tag_cached_from_a_list_does_not_replace_the_owner() -> None:
    async with opened() as (adapter, server):
        channel = await channel_on(adapter)
        await adapter.subscriptions.subscribe(channel, USERS[:1])
        adapter.channels.forget()
        assert len([mine async for mine in adapter.channels.subscribed(USERS[0])]) == 1  # the tag is cached now
        post = await adapter.posts.publish(channel, Text("x"))
        assert post.author == "owner"
        assert last(server, "send_group_msg")["From_Account"] == "owner"
