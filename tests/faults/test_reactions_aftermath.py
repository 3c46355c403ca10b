"""Reactions after failures: what remains to be published, what is reported, and what is tried again."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event

from channel_adapter import ConfigurationError, DisplayMode, NotFoundError, PostRef, Text, UnavailableError
from channel_adapter.domain.ids import UserId
from channel_adapter.store.database import Database
from channel_adapter.stub.faults.faults import Fault
from tests.faults.reaction_system import SLUG, System, behave, data, left_over, open_system
from tests.webhooks import rig as receivers

ONE, TWO, THREE = (f"reader_0000{number}" for number in range(3))


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with open_system(3, f"sqlite:///{tmp_path / 'reactions.db'}") as made:
        yield made


async def test_remaining_counts_are_published_by_a_process_that_starts_publishing(system: System) -> None:
    await left_over(system)
    async with system.adapter() as adapter, asyncio.timeout(10):
        adapter.reactions.start()
        while system.shown() != {"👍": 1}:  # noqa: ASYNC110 - the stub reports no changes
            await asyncio.sleep(0.02)


async def test_remaining_counts_stay_unpublished_in_a_process_without_reactions(system: System) -> None:
    await left_over(system)
    async with system.adapter() as adapter:
        await adapter.posts.publish(SLUG, Text("second"))
        await asyncio.sleep(1.5)
    assert system.shown() == {}


async def test_process_without_reactions_creates_no_reaction_tables(system: System, tmp_path: Path) -> None:
    async with system.adapter(
        database_url=f"sqlite:///{tmp_path / 'other.db'}", reactions={"on_unsubscribe": "remove"}
    ) as adapter:
        adapter.reactions.start()
        post = await adapter.posts.publish(SLUG, Text("second"))
        await adapter.posts.recall(post.ref)
        await adapter.subscriptions.unsubscribe(SLUG, [ONE])
        await adapter.channels.delete(SLUG)
    with closing(sqlite3.connect(tmp_path / "other.db")) as found:
        tables = {name for (name,) in found.execute("SELECT name FROM sqlite_master")}
    assert tables  # tables of the directory and of blocked users
    assert not {name for name in tables if name.startswith("reaction")}


async def test_recall_in_a_process_without_reactions_removes_them(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
    async with system.adapter() as other:
        await other.posts.recall(system.ref)
    async with system.adapter() as adapter:
        with pytest.raises(NotFoundError, match="recalled"):
            await adapter.reactions.get(system.ref)


async def test_store_unavailable_at_the_start_is_opened_later(system: System, tmp_path: Path) -> None:
    await left_over(system)
    (tmp_path / "reactions.db").rename(tmp_path / "later.db")
    (tmp_path / "reactions.db").mkdir()
    async with system.adapter() as adapter, asyncio.timeout(20):
        with pytest.raises(UnavailableError):
            await adapter.reactions.get(system.ref)
        adapter.reactions.start()
        await asyncio.sleep(1.5)
        (tmp_path / "reactions.db").rmdir()
        (tmp_path / "later.db").rename(tmp_path / "reactions.db")
        while system.shown() != {"👍": 1}:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_flush_returns_false_while_the_service_refuses(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        system.server.faults.replace([Fault(command="group_set_key_values", status=503)])
        await adapter.reactions.react(system.ref, TWO, "👍")
        assert not await adapter.reactions.flush(1.5)
        system.server.faults.replace(())
        assert await adapter.reactions.flush(20)
        assert system.shown() == {"👍": 2}


async def test_doctor_reports_an_unusable_store(system: System, tmp_path: Path) -> None:
    async with system.adapter(database_url=f"sqlite:///{tmp_path / 'nowhere' / 'x.db'}") as adapter:
        finding = (await adapter.doctor())[-1]
        assert (finding.check, finding.ok) == ("reactions", False)
        assert "nothing was stored" in finding.message
        assert finding.remediation


@pytest.mark.parametrize(
    "where", ["me:s3c/ret@db:5432/x", "me:s3c?ret@db/x", "db:s3cret/x", "db/x?user=me&password=s3cret"]
)
def test_password_in_a_database_url_is_never_shown(where: str) -> None:
    try:
        said = repr(Database(f"postgresql://{where}"))
    except ConfigurationError as refused:
        said = str(refused)
    assert "s3c" not in said


async def test_error_for_unreachable_database_omits_the_password(system: System) -> None:
    async with system.adapter(database_url="postgresql://127.0.0.1:1/x?user=me&password=s3cret") as adapter:
        with pytest.raises(UnavailableError) as refused:
            await adapter.reactions.get(system.ref)
    assert "s3cret" not in str(refused.value)


async def test_probe_retries_messages_that_fell_back_to_the_store(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        behave(system, community_extensions=False)  # the console disables them, and each message falls back alone
        await adapter.reactions.react(system.ref, TWO, "❤️")
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"👍": 1})
        behave(system, community_extensions=True)
        assert (await adapter.reactions.probe()).mode is DisplayMode.EXTENSIONS
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"👍": 1, "❤️": 1})


async def test_channel_deleted_by_another_process_leaves_nothing_to_publish(system: System) -> None:
    async with system.adapter() as adapter, system.adapter(database_url=None) as other:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        await other.channels.delete(SLUG)
        await adapter.reactions.react(system.ref, ONE, "❤️")  # this process has received no event
        assert await adapter.reactions.flush(5)
        assert (await adapter.reactions.get(system.ref)).total == 0


async def test_repeats_of_a_lost_call_stay_within_the_rate(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        system.server.faults.replace([Fault(command="group_set_key_values", drop=True, applied=True, times=8)])
        for number in range(20):
            await adapter.reactions.react(system.ref, (ONE, TWO, THREE)[number % 3], ("👍", "🙏")[number % 2])
            await asyncio.sleep(0.1)
        assert system.busiest_second() <= 3
        system.server.faults.replace(())
        assert await adapter.reactions.flush(20)


async def test_user_has_one_reaction_regardless_of_client_keys(system: System) -> None:
    client = system.server.world.client(ONE)
    client.set_extensions(system.ref.channel, 1, {f"r|{ONE}": "👍 ❤️ 😂"})
    for url in (None, system.values["database_url"]):
        async with system.adapter(database_url=url) as adapter:
            if url:
                await adapter.reactions.reconcile(system.ref)
            found = await adapter.reactions.get(system.ref, ONE)
            assert (found.counts, found.mine) == ({"😂": 1}, ("😂",))


async def test_reactions_of_a_hundred_posts_need_one_query_plus_one_for_the_viewer(system: System) -> None:
    refs = [PostRef(system.ref.channel, number) for number in range(1, 101)]
    async with system.adapter() as adapter:
        stored = await adapter.reactions._require_store()
        await stored._publisher.close()
        await asyncio.gather(*(stored.react(ref, UserId(ONE), "👍") for ref in refs))
        asked: list[str] = []
        engine = stored._store.database.engine
        event.listen(engine, "before_cursor_execute", lambda *told: asked.append(told[2]))
        for viewer, statements in ((None, 1), (ONE, 2)):
            asked.clear()
            found = await adapter.reactions.get_many(refs, viewer)
            assert sum(each.total for each in found.values()) == 100
            assert len([each for each in asked if each.startswith("SELECT")]) == statements
        await stored.drop_channel(system.ref.channel)


async def test_reactions_of_an_unsubscribed_user_are_removed_with_few_commits(system: System) -> None:
    refs = [PostRef(system.ref.channel, number) for number in range(1, 1_201)]
    async with system.adapter(reactions={"on_unsubscribe": "remove"}) as adapter:
        stored = await adapter.reactions._require_store()
        await stored._publisher.close()
        await asyncio.gather(*(stored.react(ref, UserId(user), "👍") for ref in refs for user in (ONE, TWO)))
        await stored.drop(refs[600])
        commits: list[object] = []
        event.listen(stored._store.database.engine, "commit", commits.append)
        await adapter.reactions.left(SLUG, [ONE])
        assert len(commits) == 3
        found = await adapter.reactions.get_many(refs)
        assert sum(each.total for each in found.values()) == 1_199
        await stored.drop_channel(system.ref.channel)


async def test_webhooks_serve_publishes_remaining_counts_of_another_process(system: System, tmp_path: Path) -> None:
    await left_over(system)
    server, settings = system.server, tmp_path / "adapter.toml"
    settings.write_text(
        f'sdkappid = {server.sdkappid}\nkey = "{server.key}"\nbase_url = "{server.url}"\n'
        f'database_url = "{system.values["database_url"]}"\n',
        encoding="utf-8",
    )
    running = await asyncio.to_thread(receivers.start, settings)
    try:
        async with asyncio.timeout(30):
            while system.shown() != {"👍": 1}:  # noqa: ASYNC110 - the stub reports nothing
                await asyncio.sleep(0.05)
    finally:
        await asyncio.to_thread(running.kill)
