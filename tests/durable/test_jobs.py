"""Jobs: started once by their key, at their time, in the caller's transaction, by processes that serve their kind."""

import asyncio
import threading
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, text

from channel_adapter.durable import Job, Kind, State, open_jobs
from channel_adapter.durable.database import JobDatabase
from channel_adapter.errors import ConfigurationError, ConflictError, UnavailableError
from channel_adapter.store.database import Database
from tests.durable.test_durable import OTHER, THIRD, echo, running

FAR = 3_600.0


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    found: str = request.getfixturevalue("postgres_url") if request.param == "postgresql" else ""
    return found or f"sqlite:///{tmp_path / 'adapter.db'}"


async def test_job_waits_for_its_due_time_and_is_rescheduled(url: str) -> None:
    async with running(url) as jobs:
        await jobs.start(OTHER, "later", ["a"], due=time.time() + FAR)
        assert await jobs.status("later") is State.WAITING
        assert await jobs.reschedule("later", time.time() + 2 * FAR)
        assert await jobs.reschedule("later", time.time() + 1)
        assert await jobs.wait("later") == "a"
        assert not await jobs.reschedule("later", time.time() + FAR)
        assert await jobs.status("never") is None


async def test_cancelled_job_never_begins(url: str) -> None:
    async with running(url) as jobs:
        await jobs.start(OTHER, "a", ["a"], due=time.time() + FAR)
        await jobs.cancel("a")
        assert await jobs.status("a") is State.CANCELLED
        with pytest.raises(ConflictError, match="the job a is cancelled"):
            await jobs.wait("a")
        with pytest.raises(ConflictError, match="the job b is unknown"):
            await jobs.wait("b")


async def test_job_is_started_in_the_transaction_of_the_caller(url: str) -> None:
    async with running(url) as jobs, Database(jobs.database.url.render_as_string(hide_password=False)) as database:

        def start(connection: Connection, key: str, error: Exception | None) -> None:
            jobs.start_within(connection, OTHER, key, [key])
            if error is not None:
                raise error

        with pytest.raises(LookupError):
            await database.write(start, "undone", LookupError())
        await database.write(start, "done", None)
        assert await jobs.wait("done") == "done"
        assert await jobs.status("undone") is None


async def test_transaction_of_another_file_cannot_start_a_job(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'adapter.db'}"
    async with open_jobs(url) as jobs, Database(url) as database:
        with pytest.raises(ConfigurationError, match=r"adapter\.dbos\.db only"):
            await database.write(jobs.start_within, OTHER, "a", ["a"])


async def test_job_of_unserved_kind_waits(url: str) -> None:
    async with running(url) as jobs:
        await jobs.start(THIRD, "third", ["third"])
        await jobs.start(OTHER, "other", ["other"])
        assert await jobs.wait("other") == "other"
        assert await jobs.status("third") is State.WAITING
        async with running(url, THIRD):
            assert await jobs.wait("third") == "third"
    async with open_jobs(url) as jobs:
        await jobs.start(THIRD, "again", ["again"])
        assert await jobs.status("again") is State.WAITING


async def test_running_job_continues_when_its_process_starts_serving_another_kind(url: str) -> None:
    kind, begun = Kind("test-slow"), 0
    recorded, go_on = asyncio.Event(), asyncio.Event()

    async def slow(job: Job) -> str:
        async def begin() -> int:
            nonlocal begun
            begun += 1
            return begun

        count = await job.step("begin", begin)
        recorded.set()
        await go_on.wait()
        return f"begun {count} time"

    async with open_jobs(url) as jobs:
        jobs.register(kind, slow)
        async with jobs.run_worker([kind]):
            await jobs.start(kind, "slow")
            await recorded.wait()  # a step that is not recorded yet is repeated
            async with running(url):
                go_on.set()
                assert await jobs.wait("slow") == "begun 1 time"


async def test_job_that_raises_is_failed(url: str) -> None:
    kind = Kind("test-failing")

    async def fail(_: Job) -> None:
        await asyncio.sleep(0)
        raise LookupError

    async with open_jobs(url) as jobs:
        jobs.register(kind, fail)
        async with jobs.run_worker([kind]):
            await jobs.start(kind, "a")
            with pytest.raises(ConflictError, match="the job a is failed"):
                await jobs.wait("a")


async def test_second_or_missing_function_of_a_kind_is_refused(tmp_path: Path) -> None:
    async with running(f"sqlite:///{tmp_path / 'adapter.db'}") as jobs:

        async def other(_: Job) -> None:
            """Do nothing."""

        with pytest.raises(ConfigurationError, match="test-other run in this process already"):
            jobs.register(OTHER, other)
        with pytest.raises(ConfigurationError, match="no function is registered for the kind test-third"):
            async with jobs.run_worker([THIRD]):
                pass


async def test_job_of_shared_kind_is_continued_by_the_next_function(url: str) -> None:
    kind, begun = Kind("test-shared"), asyncio.Event()

    async def first(_: Job) -> str:
        begun.set()
        await asyncio.Event().wait()
        return "first"

    async def second(_: Job) -> str:
        await asyncio.sleep(0)
        return "second"

    async with open_jobs(url) as jobs, AsyncExitStack() as stack:
        jobs.register(kind, first, shared=True)
        await stack.enter_async_context(jobs.run_worker([kind]))
        jobs.register(kind, second, shared=True)
        async with jobs.run_worker([kind]):
            await jobs.start(kind, "a")
            await begun.wait()
            await stack.aclose()
            assert await jobs.wait("a") == "second"


async def test_start_many_keeps_existing_keys_and_delete_removes_records(url: str) -> None:
    async with running(url) as jobs:
        await jobs.start_many(OTHER, {"a": ["one"], "b": ["two"]})
        await jobs.start_many(OTHER, {"b": ["three"], "c": ["four"]})  # the key b has a job
        assert [await jobs.wait(key) for key in "abc"] == ["one", "two", "four"]
        await jobs.delete(["a", "b"])
        assert set(await jobs.statuses(["a", "b", "c"])) == {"c"}


async def test_start_many_queues_none_when_one_job_cannot_be_stored(url: str) -> None:
    async with running(url) as jobs:
        with pytest.raises(TypeError, match="cannot pickle"):
            await jobs.start_many(OTHER, {"a": ["one"], "b": [threading.Lock()], "c": ["three"]})
        assert await jobs.statuses(["a", "b", "c"]) == {}


async def test_error_of_the_database_shows_no_statement_and_no_value(url: str) -> None:
    database = JobDatabase(url)
    engine = await database.open()

    def insert() -> None:
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE numbers (number INTEGER UNIQUE)"))
            for _ in range(2):
                connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": 48151623})

    with pytest.raises(UnavailableError, match="cannot be used") as raised:
        await database.run(insert)
    for hidden in ("INSERT", "48151623"):
        assert hidden not in str(raised.value)
    await database.close()


@pytest.mark.parametrize("seconds", [2.1, 4.0], ids=["while DBOS ends", "after its end"])
async def test_job_that_does_not_end_with_its_worker_is_continued_by_the_next_one(url: str, seconds: float) -> None:
    kind, begun, left, runs = Kind("test-late"), asyncio.Event(), asyncio.Event(), 0

    async def nothing() -> None:
        await asyncio.sleep(0)

    async def late(job: Job) -> str:
        nonlocal runs
        runs += 1
        if runs == 1:
            begun.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await asyncio.sleep(seconds)
            try:
                await job.step("late", nothing)
            finally:
                left.set()
        return "done"

    async with open_jobs(url) as jobs:
        jobs.register(kind, late)
        async with jobs.run_worker([kind]):
            await jobs.start(kind, "a")
            await begun.wait()
        async with jobs.run_worker([kind]):
            assert await jobs.wait("a") == "done"
            async with asyncio.timeout(60):
                await left.wait()


async def test_jobs_of_others_run_again_after_a_kind_could_not_be_added(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        async with running(postgres_url) as jobs, open_jobs(postgres_url) as same:
            same.register(THIRD, echo)
            admin.execute("ALTER TABLE lease RENAME TO away")
            with pytest.raises(UnavailableError):
                async with same.run_worker([THIRD]):
                    pass
            admin.execute("ALTER TABLE away RENAME TO lease")
            await jobs.start(OTHER, "a", ["a"])
            async with asyncio.timeout(60):
                assert await jobs.wait("a") == "a"
