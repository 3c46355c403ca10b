"""Reactions with failures: of the store, the extensions, the message, its capacity, or by other writers."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from sqlalchemy import event

from channel_adapter import (
    ChannelAdapter,
    ChannelId,
    ConfigurationError,
    DisplayMode,
    HealthCheckResult,
    LimitReachedError,
    NotFoundError,
    OutcomeUnknownError,
    PostRef,
    ReactionChange,
    Settings,
    Text,
    UnavailableError,
)
from channel_adapter.backends.community.reactions import USERS_WITHOUT_STORE
from channel_adapter.domain.ids import UserId
from channel_adapter.stub.faults.faults import Fault
from tests.faults.reaction_system import SERVICE, SLUG, System, behave, data, left_over, open_system
from tests.faults.test_adapter_trouble import channel_on, opened

ONE, TWO, THREE = (f"reader_0000{number}" for number in range(3))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reactions.db"


@pytest.fixture
async def system(file: Path) -> AsyncIterator[System]:
    async with open_system(3, f"sqlite:///{file}") as made:
        yield made


def finding_of(findings: list[HealthCheckResult]) -> str:
    return next(each.message for each in findings if each.check == "reactions")


def _hold_no_more(connection: Any, *_: object) -> None:
    """Limit the database of a connection to its present size."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA max_page_count = 1")  # that is: as many as exist
    cursor.close()


async def until(system: System, counts: dict[str, int]) -> None:
    """Wait until plain clients read these counts."""
    async with asyncio.timeout(20):
        while system.shown() != counts:  # noqa: ASYNC110 - the stub reports no changes
            await asyncio.sleep(0.02)


async def test_locked_store_raises_unavailable_and_counts_nothing(system: System, file: Path) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        blocker = sqlite3.connect(file, check_same_thread=False)
        await asyncio.to_thread(blocker.execute, "BEGIN IMMEDIATE")
        with pytest.raises(UnavailableError, match="locked"):
            await adapter.reactions.react(system.ref, TWO, "👍")
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 1}  # reading still works
        blocker.rollback()
        blocker.close()
        assert await adapter.reactions.react(system.ref, TWO, "👍")
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 2}


async def test_full_store_raises_unavailable_and_counts_nothing(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        stored = await adapter.reactions._require_store()
        event.listen(stored._store.database.engine, "checkout", _hold_no_more)
        users = [UserId(f"somebody_{number}_{'x' * 15}") for number in range(400)]
        with pytest.raises(UnavailableError, match="full"):
            await asyncio.gather(*(stored.react(system.ref, user, "👍") for user in users))
        assert (await adapter.reactions.get(system.ref)).total == 1


async def test_counts_are_published_after_a_fault_of_the_publisher(
    system: System, caplog: pytest.LogCaptureFixture
) -> None:
    """Not only after an error of the database: nothing else would start the publisher again."""
    faults = [LookupError("a fault of the program")] * 2

    def fail(*_: object) -> None:
        if faults:
            raise faults.pop()

    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        stored = await adapter.reactions._require_store()
        engine = stored._store.database.engine
        event.listen(engine, "before_cursor_execute", fail)
        async with asyncio.timeout(60):
            while faults:  # noqa: ASYNC110 - the publisher looks once a second
                await asyncio.sleep(0.01)
        event.remove(engine, "before_cursor_execute", fail)
        await adapter.reactions.react(system.ref, TWO, "👍")
        assert await adapter.reactions.flush(30.0)
        assert system.shown() == {"👍": 2}
    assert caplog.text.count("reactions.publisher_failed") == 2


async def test_missing_store_raises_unavailable(system: System, file: Path) -> None:
    with pytest.raises(UnavailableError, match="nothing was stored"):
        async with system.adapter(database_url=f"sqlite:///{file.parent / 'nowhere' / 'reactions.db'}") as adapter:
            await adapter.reactions.react(system.ref, ONE, "👍")
    async with system.adapter(database_url="postgresql://nobody:s3cret@127.0.0.1:1/none") as adapter:
        with pytest.raises(UnavailableError, match="nothing was stored") as refused:
            await adapter.reactions.react(system.ref, ONE, "👍")
        assert "s3cret" not in str(refused.value)


async def test_reactions_work_after_database_connections_are_terminated(system: System, postgres_url: str) -> None:
    async with system.adapter(database_url=postgres_url) as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                          " WHERE datname = current_database() AND pid <> pg_backend_pid()")  # fmt: skip
        for _ in range(5):  # every connection of the pool may be closed
            with suppress(UnavailableError):
                await adapter.reactions.react(system.ref, TWO, "❤️")
                break
        assert (await adapter.reactions.get(system.ref)).counts == {"❤️": 1, "👍": 1}


async def test_database_of_another_version_or_app_is_refused(system: System, file: Path) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
    database = sqlite3.connect(file)
    with database:
        database.execute("UPDATE reaction_facts SET value = '7' WHERE name = 'app'")
    async with system.adapter() as adapter:
        with pytest.raises(ConfigurationError, match="app 7"):
            await adapter.reactions.get(system.ref)
    with database:
        database.execute("UPDATE channel_adapter_schema SET version = 99 WHERE area = 'reactions'")
    database.close()
    async with system.adapter() as adapter:
        with pytest.raises(ConfigurationError, match="reactions have version 99, this program needs 3"):
            await adapter.reactions.get(system.ref)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresqlx://host/x", "sqlite"])
async def test_invalid_database_url_is_refused(system: System, url: str) -> None:
    with pytest.raises(ConfigurationError, match="database_url"):
        async with system.adapter(database_url=url) as adapter:
            await adapter.reactions.get(system.ref)


async def test_direct_mode_ends_at_250_users_and_names_the_store_setting(file: Path) -> None:
    async with open_system(USERS_WITHOUT_STORE + 1, None) as system:
        async with system.adapter() as adapter:
            pairs = [{"Key": f"r|{user}", "Value": "👍"} for user in system.users[:-2]]
            for start in range(0, len(pairs), 20):
                body = {"GroupId": system.ref.channel, "MsgSeq": 1, "OperateType": 1,
                        "ExtensionList": pairs[start : start + 20]}  # fmt: skip
                await adapter.call(SERVICE, "group_set_key_values", body)
            assert await adapter.reactions.react(system.ref, system.users[-2], "👍")
            with pytest.raises(LimitReachedError, match="database_url turns on the store") as refused:
                await adapter.reactions.react(system.ref, system.users[-1], "👍")
            assert (refused.value.limit, refused.value.size) == (250, 251)
            assert await adapter.reactions.react(system.ref, system.users[0], "❤️")  # a reaction may be changed
            system.server.log.clear()
            assert (await adapter.reactions.get(system.ref)).counts == {"👍": 249, "❤️": 1}
            assert len(system.server.log.calls("group_get_key_values")) == 2
            assert await adapter.reactions.unreact(system.ref, system.users[0])
            assert await adapter.reactions.react(system.ref, system.users[-1], "👍")
        await taken_over(system, file)


async def taken_over(system: System, file: Path) -> None:
    """Move from direct mode to the store, interrupted once; keys above 200 are removed."""
    async with system.adapter(database_url=f"sqlite:///{file}") as adapter:
        first = system.users[1]
        await adapter.reactions.react(system.ref, first, "😂")  # newer than the key
        system.server.faults.replace([Fault(command="group_get_key_values", nth=(2, 3, 4, 5, 6, 7), drop=True)])
        with pytest.raises(UnavailableError):
            _ = [each async for each in adapter.reactions.adopt(SLUG)]
        system.server.faults.replace(())
        for reactions in (249, 0):
            assert [each.reactions async for each in adapter.reactions.adopt(SLUG)] == [reactions]
            found = await adapter.reactions.get(system.ref, first)
            assert (found.counts, found.mine) == ({"👍": 249, "😂": 1}, ("😂",))
        assert await adapter.reactions.flush(20)
        assert system.shown() == {"👍": 249, "😂": 1}
        assert len(system.own_keys()) == 200
        await adapter.reactions.reconcile(system.ref)
        assert (await adapter.reactions.get(system.ref)).total == 250


@pytest.mark.parametrize("code", [23002, 10004, 10007, 10008])
async def test_app_without_extensions_keeps_counts_in_the_store(system: System, code: int) -> None:
    behave(system, community_extensions=False, extension_unsupported_code=code)
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        await adapter.reactions.react(system.ref, TWO, "❤️")
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {})
        findings = await adapter.doctor()
        assert "shown nowhere else" in finding_of(findings)
        assert not next(each.ok for each in findings if each.check == "reactions")
        assert not [each async for each in adapter.channels.all() if each.slug != SLUG]
    async with system.adapter() as adapter:  # remembered
        system.server.log.clear()
        await adapter.reactions.react(system.ref, THREE, "❤️")
        assert await adapter.reactions.flush()
        assert not system.server.log.calls("group_set_key_values")
        assert (await adapter.reactions.get(system.ref)).total == 3
        behave(system, community_extensions=True)
        assert (await adapter.reactions.probe()).mode is DisplayMode.EXTENSIONS
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"👍": 1, "❤️": 2})
        assert (await adapter.reactions.get(system.ref)).total == 3


async def test_doctor_stores_that_extensions_are_accepted_again(system: System) -> None:
    behave(system, community_extensions=False)
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        behave(system, community_extensions=True)
        assert "shown as extensions" in finding_of(await adapter.doctor())
        assert await adapter.reactions.flush()
        assert system.shown() == {"👍": 1}


async def test_fixed_extensions_mode_is_never_disabled_for_the_whole_app(system: System) -> None:
    behave(system, community_extensions=False, extension_unsupported_code=10008)
    async with system.adapter(reactions={"display": "extensions"}) as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        assert "shown nowhere else" in finding_of(await adapter.doctor())
        behave(system, community_extensions=True)
        other = (await adapter.posts.publish(SLUG, Text("second"))).ref
        await adapter.reactions.react(other, ONE, "👍")
        assert await adapter.reactions.flush()
        assert (system.shown(), system.shown(other)) == ({}, {"👍": 1})


async def test_counts_are_moved_when_the_display_setting_changes(system: System) -> None:
    async with system.adapter(reactions={"display": "custom_data"}) as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        await adapter.reactions.react(system.ref, TWO, "❤️")
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({"👍": 1, "❤️": 1}, {})
        message = system.server.world.state.group(system.ref.channel).log.get(1)
        assert message is not None
        assert message.body[0].msg_content == {"Text": "first"}
        findings = await adapter.doctor()
        assert "shown as custom data" in finding_of(findings)
        assert next(each.ok for each in findings if each.check == "reactions")
    async with system.adapter() as adapter:
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"👍": 1, "❤️": 1})
    async with system.adapter(reactions={"display": "custom_data"}) as adapter:
        assert await adapter.reactions.flush()
        assert data(system) == {"👍": 1, "❤️": 1}
    async with system.adapter(reactions={"display": "store"}) as adapter:
        assert await adapter.reactions.flush()
        assert data(system) == {}
        system.server.log.clear()
        await adapter.reactions.react(system.ref, THREE, "❤️")
        assert await adapter.reactions.flush()
        assert not system.server.log.calls("modify_group_msg")
        assert not system.server.log.calls("group_set_key_values")
        assert next(each.ok for each in await adapter.doctor() if each.check == "reactions")


async def test_refused_custom_data_leaves_counts_in_the_store(system: System) -> None:
    system.server.faults.replace([Fault(command="modify_group_msg", code=10007)])
    async with system.adapter(reactions={"display": "custom_data"}) as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        assert "shown nowhere else" in finding_of(await adapter.doctor())
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 1}
        assert (data(system), system.shown()) == ({}, {})


async def test_message_without_the_extension_flag_falls_back_alone(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        body = {"GroupId": system.ref.channel, "Random": 7, "From_Account": "owner",
                "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "of another program"}}]}  # fmt: skip
        sent = await adapter.call("group_open_http_svc", "send_group_msg", body)
        unflagged = PostRef(system.ref.channel, sent["MsgSeq"])
        assert await adapter.reactions.flush()
        for ref in (unflagged, system.ref):
            await adapter.reactions.react(ref, TWO, "❤️")
        assert await adapter.reactions.flush()
        assert (data(system, unflagged), system.shown(unflagged)) == ({}, {})
        assert (data(system), system.shown()) == ({}, {"👍": 1, "❤️": 1})
        assert "shown as extension" in finding_of(await adapter.doctor())


async def test_custom_data_of_another_program_is_not_overwritten(system: System) -> None:
    behave(system, history_cloud_custom_data=True)
    async with system.adapter(reactions={"display": "custom_data"}) as adapter:
        edit = {
            "GroupId": system.ref.channel,
            "MsgSeq": 1,
            "CloudCustomData": orjson.dumps({"isEdited": True}).decode(),
        }
        await adapter.call("openim", "modify_group_msg", edit)
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        message = system.server.world.state.group(system.ref.channel).log.get(1)
        assert message is not None
        assert orjson.loads(message.cloud_custom_data or "")["isEdited"] is True
        assert data(system) == {"👍": 1}
        await adapter.call("openim", "modify_group_msg", {**edit, "CloudCustomData": "of another kind"})
        await adapter.reactions.react(system.ref, TWO, "👍")
        assert await adapter.reactions.flush()
        assert message.cloud_custom_data == "of another kind"
        assert (await adapter.reactions.get(system.ref)).total == 2


async def test_keys_of_a_full_message_are_reduced_for_counts(file: Path) -> None:
    readers = [f"phone_{number}" for number in range(300)]
    async with open_system(3, f"sqlite:///{file}", reactions={"subscribers_only": False}) as system:
        client = system.server.world.client(ONE)
        for start in range(0, len(readers), 20):
            client.set_extensions(system.ref.channel, 1, {f"r|{user}": "🙏" for user in readers[start : start + 20]})
        async with system.adapter() as adapter:
            await adapter.reactions.react(system.ref, ONE, "👍")
            assert await adapter.reactions.react(system.ref, TWO, "🎉")
            await until(system, {"🙏": 300, "👍": 1, "🎉": 1})
            assert await adapter.reactions.flush(20)
            assert len(system.own_keys()) == 200
            assert (await adapter.reactions.get(system.ref)).total == 302


async def test_foreign_keys_are_kept_and_tampered_counts_are_repaired(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        client = system.server.world.client(TWO)
        tampered = {"n|👍": "999", "n|💩": "7", "n|🎉": "many", "poll": "x", "r|nobody_here": "👍", f"r|{THREE}": "x"}
        client.set_extensions(system.ref.channel, 1, tampered)
        assert (await adapter.reactions.reconcile(system.ref)).repaired == 3
        assert await adapter.reactions.flush()
        assert system.shown() == {"👍": 1}
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 1}
        assert system.pairs()["poll"] == "x"


async def test_client_reactions_can_be_ignored_and_follow_the_policy(system: System) -> None:
    client = system.server.world.client(TWO)
    client.set_extensions(system.ref.channel, 1, {f"r|{TWO}": "💩"})
    async with system.adapter(reactions={"client_reactions": "ignore"}) as adapter:
        await adapter.reactions.react(system.ref, TWO, "👍")
        assert (await adapter.reactions.reconcile(system.ref)).changed == 0
        client.delete_extensions(system.ref.channel, 1, [f"r|{TWO}"])
        assert (await adapter.reactions.reconcile(system.ref)).changed == 0
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 1}
    async with system.adapter() as adapter:
        await adapter.reactions.set_policy(SLUG, "basic")
        for emoji, counts in (("🎉", {"👍": 1}), ("🙏", {"🙏": 1})):
            client.set_extensions(system.ref.channel, 1, {f"r|{TWO}": emoji})
            await adapter.reactions.reconcile(system.ref)
            assert (await adapter.reactions.get(system.ref)).counts == counts


async def test_counts_are_restored_after_all_keys_are_cleared(system: System) -> None:
    client = system.server.world.client(ONE)
    client.set_extensions(system.ref.channel, 1, {f"r|{ONE}": "👍"})
    async with system.adapter() as adapter:
        await adapter.reactions.reconcile(system.ref)
        assert await adapter.reactions.flush()
        clear = {"GroupId": system.ref.channel, "MsgSeq": 1, "OperateType": 3}
        await adapter.call(SERVICE, "group_set_key_values", clear)
        assert system.pairs() == {}
        assert await adapter.reactions.merge(system.ref, [], cleared=3) == 0
        assert await adapter.reactions.flush()
        assert system.shown() == {"👍": 1}
        await adapter.reactions.reconcile(system.ref)
        assert (await adapter.reactions.get(system.ref)).counts == {"👍": 1}


async def test_post_recalled_by_a_client_is_detected(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        system.server.world.client("owner").recall(system.ref.channel, 1)
        await adapter.reactions.react(system.ref, TWO, "👍")  # no event of it was received yet
        assert await adapter.reactions.flush()
        with pytest.raises(NotFoundError, match="recalled"):
            await adapter.reactions.get(system.ref)
        with pytest.raises(NotFoundError, match="recalled"):
            await adapter.reactions.react(system.ref, THREE, "👍")
        assert await adapter.reactions.merge(system.ref, [ReactionChange(UserId(ONE), ("👍",), 99)]) == 0


async def test_message_shows_at_most_80_emoji_with_the_highest_counts(file: Path) -> None:
    from emoji import EMOJI_DATA  # noqa: PLC0415

    whole = [each for each, about in EMOJI_DATA.items() if about["status"] == 2][:120]
    async with (
        open_system(3, f"sqlite:///{file}", reactions={"subscribers_only": False}) as system,
        system.adapter() as adapter,
    ):
        readers = {f"somebody_{number}": emoji for number, emoji in enumerate(whole)} | {ONE: whole[-1]}
        await asyncio.gather(*(adapter.reactions.react(system.ref, *each) for each in readers.items()))
        assert await adapter.reactions.flush(20)
        assert (await adapter.reactions.get(system.ref)).total == 121
        assert len(system.shown()) == 80
        assert system.shown()[whole[-1]] == 2


async def test_counts_are_published_within_two_seconds_after_the_last_reaction(system: System) -> None:
    async with system.adapter() as adapter:
        for number in range(60):
            await adapter.reactions.react(
                system.ref, (ONE, TWO, THREE)[number % 3], ("👍", "❤️", "😂", "🙏")[number % 4]
            )
            await asyncio.sleep(0.02)
        began = asyncio.get_running_loop().time()
        wanted = dict((await adapter.reactions.get(system.ref)).counts)
        await until(system, wanted)
        assert asyncio.get_running_loop().time() - began < 2
        assert system.busiest_second() <= 3


async def test_counts_are_published_when_the_service_is_available_again(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        system.server.faults.replace([Fault(command="group_set_key_values", status=503, times=9)])
        assert await adapter.reactions.react(system.ref, TWO, "👍")  # stored already
        assert (await adapter.reactions.get(system.ref)).total == 2
        await until(system, {"👍": 2})


async def test_remaining_counts_of_another_process_are_published(system: System) -> None:
    await left_over(system)
    async with system.adapter() as adapter:
        await adapter.posts.publish(SLUG, Text("unrelated"))
        assert (await adapter.reactions.get(system.ref)).total == 1  # the first use starts the publisher
        assert await adapter.reactions.flush()
    assert system.shown() == {"👍": 1}


def test_repr_of_settings_omits_the_password() -> None:
    url = "postgresql://me:s3cret@db/reactions"
    assert "s3cret" not in repr(Settings(sdkappid=1, key="k", base_url="http://h", database_url=url))


async def test_count_removed_in_store_mode_is_removed_from_extensions_later(system: System) -> None:
    async with system.adapter() as adapter:
        await adapter.reactions.react(system.ref, ONE, "👍")
        assert await adapter.reactions.flush()
        behave(system, community_extensions=False)
        await adapter.reactions.probe()
        await adapter.reactions.react(system.ref, ONE, "❤️")
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"👍": 1})  # no key can be written now
        behave(system, community_extensions=True)
        await adapter.reactions.probe()
        assert await adapter.reactions.flush()
        assert (data(system), system.shown()) == ({}, {"❤️": 1})


async def test_first_failure_of_get_many_without_store_ends_the_other_reads() -> None:
    """At most three posts are read at a time, and none after the error: a later call does not wait for them."""
    async with opened(concurrency=3) as (adapter, server):
        channel = ChannelId(await channel_on(adapter))
        refs = [(await adapter.posts.publish(channel, Text(str(number)))).ref for number in range(20)]
        server.faults.replace([Fault(command="group_get_key_values", nth=(2,), code=10007)])
        with pytest.raises(ConfigurationError):
            await adapter.reactions.get_many(refs)
        await adapter.channels.get(channel)
        assert server.log.count("group_get_key_values") <= 5
        server.faults.replace(())
        assert list(await adapter.reactions.get_many(refs)) == refs


@pytest.mark.parametrize("applied", [True, False])
async def test_probe_whose_creation_has_no_answer_leaves_no_group(system: System, file: Path, *, applied: bool) -> None:
    async with system.adapter() as patient, system.adapter(total_seconds=0.5, call_seconds=0.2) as adapter:
        before = await groups_of(patient)
        system.server.faults.replace([Fault(command="create_group", drop=True, applied=applied)])
        with pytest.raises(OutcomeUnknownError):
            await adapter.reactions.probe()
        system.server.faults.replace(())
        assert await groups_of(patient) == before
        assert (await adapter.reactions.probe()).mode is DisplayMode.EXTENSIONS


async def groups_of(adapter: ChannelAdapter) -> set[str]:
    """Return the ids of all groups of the app."""
    reply = await adapter.call("group_open_http_svc", "get_appid_group_list", {"Limit": 1_000})
    return {item["GroupId"] for item in reply["GroupIdList"]}
