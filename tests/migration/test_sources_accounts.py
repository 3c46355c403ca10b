"""Official accounts as a source, against the stub: profiles, ordered posts, users, and a failing source."""

import asyncio
import io

import pytest

from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import ConfigurationError, InvalidError, NotFoundError, UnavailableError
from channel_adapter.mapping.user_list import UserList, read_users
from channel_adapter.migration.sources import accounts as history
from channel_adapter.migration.sources.accounts import AccountsSource, sequence_of
from channel_adapter.migration.sources.discover import from_callbacks, from_list, from_users
from channel_adapter.migration.sources.source import SourcePost, SourceState, channels_by_id, every_subscriber
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.world.message_log import StoredMessage, pack
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.worlds import Size


def source(at: System, *ids: str) -> AccountsSource:
    return AccountsSource(at.adapter.migration.context.official, ids or at.moving.ids)


async def keys(at: System, account: str, after: str = "") -> list[str]:
    return [post.key async for post in source(at).posts(account, after=after)]


async def test_profiles_are_yielded_once_each_in_order_of_ids() -> None:
    async with system(Size(20, 6)) as at:
        asked = [worlds.LIMITS, worlds.FULL, worlds.LIMITS]
        found = [channel async for channel in source(at, *asked).channels()]
        assert [channel.id for channel in found] == asked[:2]
        limits, full = found
        assert (limits.name, limits.owner) == (worlds.LONG_NAME, worlds.OWNER)
        assert len(limits.custom_data.encode()) == 3000
        assert full.subscriber_count == 20
        assert full.max_subscribers is None
        assert full.created_at == at.server.world.state.official[worlds.FULL].create_time


async def test_120_accounts_are_read_in_three_calls() -> None:
    async with system(Size(3, 2)) as at:
        ids = [f"@TOA#_n{number}" for number in range(120)]
        worlds.build(at.server.world, Size(3, 2), tuple(ids))
        at.server.log.clear()
        assert list(await channels_by_id(source(at, *ids))) == ids
        assert at.server.log.count("get_official_account_info") == 3


async def test_error_names_every_missing_account() -> None:
    async with system(Size(3, 2)) as at:
        with pytest.raises(NotFoundError) as refusal:
            await channels_by_id(source(at, worlds.FULL, "@TOA#_gone_1", worlds.BUSY, "@TOA#_gone_2"))
        assert "2 of 4" in refusal.value.message
        assert "@TOA#_gone_1, @TOA#_gone_2" in refusal.value.message


@pytest.mark.parametrize("kept", [1, 3, 32])
@pytest.mark.parametrize("inclusive", [False, True])
async def test_posts_are_yielded_oldest_first_with_any_number_of_cached_pages(
    monkeypatch: pytest.MonkeyPatch, kept: int, inclusive: bool
) -> None:
    monkeypatch.setattr(history, "CACHED_PAGES", kept)
    async with system(Size(3, 107), stub={"behaviour": {"official_history_inclusive": inclusive}}) as at:
        log = at.server.world.state.official[worlds.BUSY].log
        assert [sequence_of(key) for key in await keys(at, worlds.BUSY)] == [message.seq for message in log]
        downwards = [post.number async for post in source(at).posts_any_order(worlds.BUSY)]
        assert downwards == [message.seq for message in log][::-1]


@pytest.mark.parametrize("after", [1, 19, 20, 21, 86, 106, 107])
async def test_resumed_read_yields_only_later_posts(after: int) -> None:
    async with system(Size(3, 107), ids=(worlds.BUSY,)) as at:
        log = at.server.world.state.official[worlds.BUSY].log
        message = log.get(after)
        assert message is not None
        at.server.log.clear()
        later = await keys(at, worlds.BUSY, after=f"{after}_1_{message.time}")
        assert [sequence_of(key) for key in later] == list(range(after + 1, 108))
        calls = at.server.log.count("official_account_msg_get_simple")
        assert calls <= (107 - after) // 20 + 2


async def test_posts_published_during_read_of_long_history_displace_no_earlier_post(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "CACHED_PAGES", 1)
    async with system(Size(3, 90), ids=(worlds.BUSY,)) as at:
        log = at.server.world.state.official[worlds.BUSY].log
        seen: list[int] = []
        async for post in source(at).posts(worlds.BUSY):
            seen.append(post.number)
            if len(seen) in (1, 30):
                for _ in range(25):
                    last = log.get(log.next_seq - 1)
                    assert last is not None
                    log.append(StoredMessage(log.next_seq, last.time + 1, 1, "x", 2, pack([worlds.text("new")])))
        assert seen[:90] == list(range(1, 91))
        assert seen == sorted(set(seen))


async def test_posts_have_state_published_recalled_or_expired() -> None:
    async with system(Size(10, 60), ids=(worlds.GONE,)) as at:
        found = [post async for post in source(at).posts(worlds.GONE)]
        states = [post.state for post in found]
        assert states.count(SourceState.EXPIRED) == 5
        assert states[5:8] == [SourceState.PUBLISHED, SourceState.RECALLED, SourceState.PUBLISHED]
        assert all(bool(post.body) == (post.state is SourceState.PUBLISHED) for post in found)
        assert {post.author for post in found} == {""}
        first = found[5]
        assert first == SourcePost(first.key, 6, first.time, tuple(worlds.carried(0)[0]))


async def test_message_of_another_sender_is_foreign_and_has_no_body() -> None:
    async with system(Size(10, 10), ids=(worlds.TEXTS,)) as at:
        log = at.server.world.state.official[worlds.TEXTS].log
        first = log.get(1)
        assert first is not None
        first.sender = "reader_000001"
        found = [post async for post in source(at).posts(worlds.TEXTS)]
        assert [post.state for post in found] == [SourceState.FOREIGN, SourceState.PUBLISHED, SourceState.PUBLISHED]
        assert found[0].body == ()


async def test_subscribers_are_read_page_by_page_with_options_and_join_times() -> None:
    async with system(Size(450, 3), ids=(worlds.FULL, worlds.FLAGS)) as at:
        first = await source(at).subscribers(worlds.FULL)
        assert (len(first.subscribers), first.next is None) == (200, False)
        users = [user.user for user in first.subscribers]
        cursor = first.next
        while cursor is not None:
            page = await source(at).subscribers(worlds.FULL, cursor)
            users += [user.user for user in page.subscribers]
            cursor = page.next
        assert users == at.moving.users
        readers = (await source(at).subscribers(worlds.FLAGS)).subscribers
        assert [user.notifications for user in readers[:4]] == [
            Notifications.ALL, Notifications.MUTED, Notifications.OFF, Notifications.ALL,
        ]  # fmt: skip
        assert readers[0].custom_data == "since the 港 0"
        table = at.server.world.state.official[worlds.FLAGS].subscribers
        assert readers[3].since == table.joined(table.find(readers[3].user) or 0)


async def test_empty_list_that_contradicts_its_count_raises_unavailable() -> None:
    async with system(Size(30, 3), ids=(worlds.FULL,)) as at:
        empty = {"Next": "", "SubscriberList": []}
        at.server.faults.replace([Fault(command="get_subscriber_info", extra=empty)])
        with pytest.raises(UnavailableError, match="counts 30 subscribers and lists none"):
            await source(at).subscribers(worlds.FULL)


async def test_cycle_in_the_list_of_subscribers_raises_unavailable() -> None:
    async with system(Size(450, 3), ids=(worlds.FULL,)) as at:
        second = (await source(at).subscribers(worlds.FULL)).next
        at.server.faults.replace([Fault(command="get_subscriber_info", extra={"Next": second})])
        async with asyncio.timeout(10):
            with pytest.raises(UnavailableError, match="subscribers: the list came back to"):
                assert [page async for page in every_subscriber(source(at), worlds.FULL)]


async def test_disabled_official_accounts_raise_configuration_error() -> None:
    async with system(Size(3, 3), stub={"app": {"official_accounts": False}}) as at:
        with pytest.raises(ConfigurationError):
            await channels_by_id(source(at))


def test_list_of_ids_may_contain_comments_blank_lines_and_repetitions() -> None:
    found = from_list(
        ["# ours", "", "  @TOA#_a ", "@TOA#_b c", "@TOA#_a", "#", "#note", "@TOA#_@TOA#K"], "accounts.txt"
    )
    assert found.accounts == ("@TOA#_a", "@TOA#_b c", "@TOA#_@TOA#K")
    assert found.repeated == 1


def test_error_names_every_invalid_id_of_list_with_its_line() -> None:
    lines = ["@TOA#_a", "#TOA#_123", "@TGS#_x", "@TOA#_", "@TOA#_ü", "@TOA#_" + "x" * 43, "harbour"]
    with pytest.raises(InvalidError) as refusal:
        from_list(lines, "accounts.txt")
    for number in range(2, 8):
        assert f"line {number}: " in refusal.value.message
    assert "49 bytes; 48 are allowed" in refusal.value.message
    assert refusal.value.size == 6


@pytest.mark.parametrize("lines", [[], ["", "# nothing"], ["\n"]])
def test_list_without_ids_is_refused(lines: list[str]) -> None:
    with pytest.raises(InvalidError, match="names no official account"):
        from_list(lines, "accounts.txt")


def callback(command: str, account: str) -> str:
    return f'{{"CallbackCommand":"OfficialAccount.{command}","Official_Account":"{account}"}}'


def test_callbacks_list_accounts_that_were_created_and_still_exist() -> None:
    lines = [
        callback("CallbackAfterCreateOfficialAccount", "@TOA#_b"),
        f'{{"query":"x","body":{callback("CallbackAfterCreateOfficialAccount", "@TOA#_a")}}}',
        callback("CallbackAfterAddSubscriber", "@TOA#_never"),
        callback("CallbackAfterCreateOfficialAccount", "@TOA#_gone"),
        "",
        "no json",
        "[1]",
        callback("CallbackAfterOfficialAccountDestroyed", "@TOA#_gone"),
    ]
    found = from_callbacks(lines, "callbacks.jsonl")
    assert found.accounts == ("@TOA#_b", "@TOA#_a")
    assert [record.where for record in found.broken] == ["callbacks.jsonl, line 6", "callbacks.jsonl, line 7"]
    with pytest.raises(InvalidError, match="still exists"):
        from_callbacks(lines[2:5] + lines[7:], "callbacks.jsonl")


def listed(lines: list[str]) -> UserList:
    return read_users(io.BytesIO("\n".join(lines).encode()), name="users.txt")


async def test_users_lead_to_all_accounts_they_follow() -> None:
    async with system(Size(30, 3), ids=(worlds.FULL, worlds.BUSY, worlds.GENERATED, worlds.EMPTY)) as at:
        members = at.adapter.migration.context.official.members
        lines = ["# people", "reader_000000", "ghost", "reader_000000", "x" * 33, "reader_000020"]
        found = await from_users(members, listed(lines), "users.txt", concurrency=4)
        assert found.accounts == tuple(sorted((worlds.FULL, worlds.BUSY, worlds.GENERATED)))
        assert [record.where for record in found.broken] == ["users.txt, line 3", "users.txt, line 5"]
        with pytest.raises(InvalidError, match=r"no user in users\.txt follows"):
            await from_users(members, listed([worlds.OTHER_OWNER]), "users.txt", concurrency=4)


async def test_user_with_more_than_one_page_of_subscriptions_is_read_completely() -> None:
    async with system(Size(1, 0), ids=(worlds.FULL,), stub={"limits": {"official_subscriptions": 200}}) as at:
        ids = tuple(f"@TOA#_n{number:03}" for number in range(230))
        worlds.build(at.server.world, Size(10, 0), ids)
        for account in ids:
            state = at.server.world.state
            if "reader_000000" not in state.official[account].subscribers:
                state.subscribe(state.official[account], "reader_000000", 1_700_000_000)
        found = await from_users(
            at.adapter.migration.context.official.members, listed(["reader_000000"]), "users.txt", concurrency=4
        )
        assert found.accounts == (worlds.FULL, *ids)
