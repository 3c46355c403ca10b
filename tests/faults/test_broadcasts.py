"""Posts of official accounts: two per hour over all processes, published once, and found by number or key."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    InvalidError,
    NotFoundError,
    OutcomeKind,
    OutcomeUnknownError,
    PostRef,
    PostState,
    Settings,
    Text,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.settings import PostSettings
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.test_insights import StubTime
from tests.faults.test_lost_answers import FAULTS, HastyClock

TIDES = ChannelId("@TOA#_tides")
SEND, READ, RECALL = "send_official_account_msg", "official_account_msg_get_simple", "official_account_msg_recall"
FAST = PostSettings(broadcasts_per_second=100_000, broadcasts_per_hour=100_000)


def stub(**behaviour: object) -> StubServer:
    limits = {"official_broadcasts_per_hour": 100_000, "official_messages_per_second": 100_000}
    return StubServer(StubSettings.model_validate({"limits": limits, "behaviour": behaviour}))


@asynccontextmanager
async def opened(
    server: StubServer, url: str | None = None, *, clock: Clock | None = None, **changes: object
) -> AsyncIterator[ChannelAdapter]:
    values: dict[str, Any] = {
        "sdkappid": server.sdkappid, "key": SecretStr(server.key), "base_url": server.url, "call_seconds": 0.5,
        "mode": Mode.OFFICIAL, "posts": FAST, "database_url": SecretStr(url) if url else None, **changes,
    }  # fmt: skip
    async with ChannelAdapter.open(Settings(**values), clock=clock or HastyClock()) as adapter:
        if TIDES not in server.world.state.official:
            await adapter.accounts.add(["owner", "reader_1"])
            await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        yield adapter


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "SQLite":
        return f"sqlite:///{tmp_path / 'app.db'}"
    return str(request.getfixturevalue("postgres_url"))


async def texts(adapter: ChannelAdapter) -> list[object]:
    return [post.content async for post in adapter.posts.history("tides", oldest_first=True)]


def sent(server: StubServer) -> int:
    return len(list(server.log.calls(SEND)))


async def test_third_post_within_an_hour_is_refused_immediately_in_every_process(database: str) -> None:
    async with StubServer() as server:
        async with opened(server, database, posts=PostSettings()) as first:
            await first.posts.publish("tides", Text("one"))
        server.world.clock.advance(5)
        async with opened(server, database, posts=PostSettings()) as second:
            await second.posts.publish("tides", Text("two"))
            server.world.clock.advance(5)
            before = len(list(server.log.calls()))
            with pytest.raises(ThrottledError, match=r"2 posts within an hour.* the next one in") as refused:
                await second.posts.publish("tides", Text("three"))
            assert refused.value.retry_after is not None
            assert 3_500 < refused.value.retry_after <= 3_600
            assert len(list(server.log.calls())) == before
            await second.channels.create(slug="other", name="Other", owner="owner")
            await second.posts.publish("other", Text("another account has a budget of its own"))


async def test_refusal_of_the_service_is_reported_without_a_database() -> None:
    async with StubServer() as server, opened(server, posts=PostSettings()) as adapter:
        for number in range(2):
            server.world.clock.advance(5)
            await adapter.posts.publish("tides", Text(f"{number}"))
        before = sent(server)
        with pytest.raises(ThrottledError, match="two an hour") as refused:
            await adapter.posts.publish("tides", Text("three"))
        assert (refused.value.retry_after, refused.value.code) == (None, 10023)
        assert sent(server) == before + 1


async def test_post_after_an_interrupted_one_is_published_in_the_next_second(tmp_path: Path) -> None:
    """The clock stands still but for what an adapter waits, and the service refuses a second post in one second."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with StubServer() as server:
        server.world.clock.freeze(1_800_000_000)
        own: dict[str, Any] = {"posts": PostSettings(), "clock": StubTime(server)}
        async with opened(server, url, **own) as first, opened(server, url, **own) as second:
            server.faults.replace([Fault(command=SEND, nth=(1,), delay=60)])
            interrupted = asyncio.ensure_future(first.posts.publish("tides", Text("one")))
            while not any(report["struck"] for report in server.faults.report()):  # noqa: ASYNC110 - the stub sets no event
                await asyncio.sleep(0.01)
            interrupted.cancel()
            await asyncio.gather(interrupted, return_exceptions=True)
            server.faults.replace(())
            await second.posts.publish("tides", Text("two"))
            posts = [post async for post in second.posts.history("tides", oldest_first=True)]
            assert [post.content for post in posts] == [Text("one"), Text("two")]
            assert posts[0].published_at != posts[1].published_at
            with pytest.raises(ThrottledError, match="2 posts within an hour"):
                await second.posts.publish("tides", Text("three"))


async def test_concurrent_posts_stay_within_the_budget(database: str) -> None:
    async with stub() as server:
        posts = replace_budget(2)
        async with opened(server, database, posts=posts) as first, opened(server, database, posts=posts) as second:
            work = [each.posts.publish("tides", Text(f"{n}")) for n in range(4) for each in (first, second)]
            results = await asyncio.gather(*work, return_exceptions=True)
            assert sorted(type(each).__name__ for each in results) == ["Post"] * 2 + ["ThrottledError"] * 6
            assert sent(server) == 2


def replace_budget(per_hour: int) -> PostSettings:
    return FAST.model_copy(update={"broadcasts_per_hour": per_hour})


async def test_refused_or_repeated_post_uses_no_budget(database: str) -> None:
    async with stub() as server, opened(server, database, posts=replace_budget(2)) as adapter:
        await adapter.posts.publish("tides", Text("one"), idempotency_key="k1")
        assert (await adapter.posts.publish("tides", Text("one"), idempotency_key="k1")).ref.seq == 1
        server.faults.replace([Fault(command=SEND, code=80001, nth=(1,))])
        with pytest.raises(Exception, match="80001"):
            await adapter.posts.publish("tides", Text("moderated"))
        await adapter.posts.publish("tides", Text("two"), idempotency_key="k2")
        again = await adapter.posts.publish("tides", Text("two"), idempotency_key="k2")  # the budget is exhausted
        assert (again.ref.seq, again.content) == (2, Text("two"))
        with pytest.raises(ThrottledError):
            await adapter.posts.publish("tides", Text("three"), idempotency_key="k3")
        assert await texts(adapter) == [Text("one"), Text("two")]


@pytest.mark.parametrize("fault", FAULTS)
async def test_post_with_lost_answer_is_published_once(fault: str, tmp_path: Path) -> None:
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}", posts=replace_budget(2)) as adapter:
        server.faults.replace([FAULTS[fault].model_copy(update={"command": SEND})])
        post = await adapter.posts.publish("tides", Text("once"))
        server.faults.replace(())
        assert await texts(adapter) == [Text("once")]
        assert (await adapter.posts.get(post.ref)) == post
        await adapter.posts.publish("tides", Text("twice"))
        with pytest.raises(ThrottledError):
            await adapter.posts.publish("tides", Text("thrice"))


async def test_post_without_any_answer_is_looked_up_in_history(database: str) -> None:
    async with stub() as server, opened(server, database, posts=replace_budget(2)) as adapter:
        server.faults.replace([Fault(command=SEND, drop=True, applied=True)])
        post = await adapter.posts.publish("tides", Text("there"))
        assert (post.ref.seq, post.ref.key[:4]) == (1, "1_1_")
        server.faults.replace([Fault(command=SEND, drop=True)])
        with pytest.raises(OutcomeUnknownError):
            await adapter.posts.publish("tides", Text("nowhere"))
        with pytest.raises(ThrottledError):  # a post in doubt counts
            await adapter.posts.publish("tides", Text("third"))
        server.faults.replace(())
        assert await texts(adapter) == [Text("there")]


async def test_duplicate_text_dropped_by_the_service_is_not_reported_as_published() -> None:
    async with stub(official_duplicate="content") as server, opened(server) as adapter:
        await adapter.posts.publish("tides", Text("high tide"))
        with pytest.raises(OutcomeUnknownError, match=r"repetition of post 1 .* same content"):
            await adapter.posts.publish("tides", Text("high tide"))
        assert await texts(adapter) == [Text("high tide")]
        assert (await adapter.posts.publish("tides", Text("low tide"))).ref.seq == 2


async def test_number_and_key_identify_the_same_post(database: str) -> None:
    async with stub() as server:
        async with opened(server, database) as writer:
            refs = [(await writer.posts.publish("tides", Text(f"{n}"))).ref for n in range(45)]
        async with opened(server, database) as known, opened(server) as unknown:
            assert refs[2] == PostRef(TIDES, 3)
            assert hash(refs[2]) == hash(PostRef.parse(f"{TIDES}/3"))
            for adapter, pages in ((known, 1), (unknown, 3)):
                for ref in (PostRef.parse("tides/3"), PostRef(TIDES, 3, refs[2].key)):
                    assert (await adapter.posts.get(ref)).content == Text("2")
                before = len(list(server.log.calls(READ)))
                await adapter.posts.get(PostRef.parse("tides/3"))
                assert len(list(server.log.calls(READ))) - before == 1  # the key of the following post is known
                before = len(list(server.log.calls(READ)))
                below = [post.ref async for post in adapter.posts.history("tides", before=21)]
                assert below == refs[:20][::-1]
                assert below == [post.ref async for post in adapter.posts.history("tides", before=refs[20])]
                assert pages
            await unknown.posts.recall(PostRef.parse("tides/4"))
            await known.posts.recall(PostRef(TIDES, 4))
            assert (await known.posts.get(PostRef(TIDES, 4))).state is PostState.RECALLED
            with pytest.raises(NotFoundError, match="no post 46"):
                await known.posts.recall(PostRef(TIDES, 46))
            with pytest.raises(InvalidError, match="one of"):
                [post async for post in known.posts.history("tides", before=PostRef(ChannelId("other"), 1))]


async def test_recreated_channel_uses_new_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with stub() as server, opened(server, url) as adapter, opened(server) as other:
        for number in range(3):
            await adapter.posts.publish("tides", Text(f"old {number}"))
        assert len(await texts(other)) == 3
        assert await adapter.channels.delete("tides")
        server.world.clock.advance(10)
        await adapter.channels.create(slug="tides", name="Tides", owner="owner")
        fresh = [await adapter.posts.publish("tides", Text(f"new {number}")) for number in range(3)]
        for number, each in enumerate((adapter, other)):  # `other` has cached the old keys
            ref = PostRef(TIDES, number + 1)
            await each.posts.recall(ref)
            assert (await each.posts.get(ref)).state is PostState.RECALLED
        assert (await other.posts.get(fresh[2].ref)).content == Text("new 2")


CODES: dict[str, tuple[str, int, type[Exception], str]] = {
    "off": ("create_official_account", 131000, ConfigurationError, "plan Enterprise"),
    "quota": ("create_official_account", 130010, Exception, "130010"),
    "not recallable": (RECALL, 130009, ConfigurationError, "does not support deletion"),
    "webhook": (SEND, 120_001, Exception, "120001"),
    "gone": (SEND, 10010, NotFoundError, "there is no channel"),
}


@pytest.mark.parametrize("case", CODES)
async def test_official_account_code_raises_documented_error(case: str) -> None:
    command, code, error, text = CODES[case]
    acts: dict[str, Callable[[ChannelAdapter], Any]] = {
        "create_official_account": lambda a: a.channels.create(slug="new", name="x", owner="owner"),
        RECALL: lambda a: a.posts.recall(PostRef.parse("tides/1")),
        SEND: lambda a: a.posts.publish("tides", Text("x")),
    }
    async with stub() as server, opened(server) as adapter:
        await adapter.posts.publish("tides", Text("first"))
        server.faults.replace([Fault(command=command, code=code)])
        with pytest.raises(error, match=text):
            await acts[command](adapter)


async def test_doctor_reports_a_plan_without_official_accounts() -> None:
    async with StubServer(StubSettings.model_validate({"app": {"official_accounts": False}})) as server:
        settings = Settings(sdkappid=server.sdkappid, key=SecretStr(server.key), base_url=server.url, mode="official")  # type: ignore[arg-type]
        async with ChannelAdapter.open(settings) as adapter:
            found = {each.check: each for each in await adapter.doctor()}
            assert not found["official_accounts"].ok
            assert "Enterprise" in found["official_accounts"].remediation
            with pytest.raises(ConfigurationError, match="Enterprise"):
                await adapter.channels.get("tides")


async def test_subscriber_that_was_not_added_has_a_reason() -> None:
    async with stub() as server, opened(server) as adapter:
        readers = [f"user_{n}" for n in range(6)]
        await adapter.accounts.add(readers)
        for code, kind in ((130005, "already"), (130006, "full"), (130010, "too_many_channels"), (20006, "refused")):
            server.faults.replace([Fault(command="add_subscriber", code=code)])
            outcomes = await adapter.subscriptions.subscribe("tides", readers, assign=False)
            assert outcomes.counts == {OutcomeKind(kind): 6}
        server.faults.replace([Fault(command="add_subscriber", code=130004)])
        with pytest.raises(NotFoundError, match="there is no channel"):
            await adapter.subscriptions.subscribe("tides", readers, assign=False)
        server.faults.replace([Fault(command="add_subscriber", status=502, nth=(1,))])
        assert (await adapter.subscriptions.subscribe("tides", readers, assign=False)).complete


async def test_membership_check_uses_the_fewest_calls() -> None:
    async with stub() as server, opened(server) as adapter:
        readers = [f"user_{n:04}" for n in range(1_000)]
        await adapter.accounts.add([*readers, "stranger"])
        await adapter.subscriptions.subscribe("tides", readers, assign=False)
        for users, calls in (
            (readers[:1], 1), ([*readers[:2]], 2), (readers[:3], 1), ([*readers[:3], "stranger"], 2), (readers, 5),
        ):  # fmt: skip
            before = len(list(server.log.calls()))
            found = await adapter.subscriptions.is_subscribed("tides", users)
            assert found == {user: user != "stranger" for user in users}
            assert len(list(server.log.calls())) - before == calls


async def test_emptied_field_is_verified_by_reading(tmp_path: Path) -> None:
    async with stub() as server, opened(server) as adapter:
        await adapter.channels.update("tides", introduction="about", organization="office")
        assert (await adapter.channels.update("tides", introduction="")).introduction == ""
    async with stub(official_empty_kept=True) as server, opened(server) as adapter:
        await adapter.channels.update("tides", introduction="about")
        with pytest.raises(OutcomeUnknownError, match=r"introduction .* was to be emptied"):
            await adapter.channels.update("tides", introduction="")


async def test_failed_account_lookup_raises_unavailable() -> None:
    async with stub() as server, opened(server) as adapter:
        server.faults.replace([Fault(command="get_official_account_info", status=502)])
        with pytest.raises(UnavailableError):
            await adapter.channels.get("tides")


async def test_database_failure_after_a_post_keeps_the_post_published(tmp_path: Path) -> None:
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        await adapter.posts.publish("tides", Text("one"))
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute("DROP TABLE broadcast_keys")
        post = await adapter.posts.publish("tides", Text("two"))
        assert post.ref.seq == 2
        assert (await adapter.posts.get(post.ref)).parts == post.parts


async def test_history_is_read_and_posts_are_recalled_while_keys_cannot_be_kept(tmp_path: Path) -> None:
    """History has the keys, too: a database without them costs calls."""
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        for number in range(3):
            await adapter.posts.publish("tides", Text(f"{number}"))
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute("DROP TABLE broadcast_keys")
        assert await texts(adapter) == [Text(f"{number}") for number in range(3)]
        second = PostRef(TIDES, 2)
        assert [post.ref.seq async for post in adapter.posts.history("tides", before=second)] == [1]
        assert (await adapter.posts.get(second)).content == Text("1")
        await adapter.posts.recall(second)
        assert (await adapter.posts.get(second)).state is PostState.RECALLED
