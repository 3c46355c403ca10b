"""Work on lists of users: imports of subscribers from files, and syncs of conversation groups.

A file is read and checked whole; the users are worked on in parts that are recorded one by one. With a database of the
settings it is a durable job, which another process continues when this one is killed. Without one it runs in this
process and ends with it.
"""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, aclosing
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Protocol, cast
from uuid import uuid4

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.config.extras import installed_durable_fault, is_installed
from channel_adapter.domain.subscription import DONE, OutcomeKind, Outcomes
from channel_adapter.domain.unread import Synced
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.mapping.user_list import ListedUser, UnusableLine, read_users
from channel_adapter.store import console as store
from channel_adapter.store.console import ConsoleRows, SubscriberImport
from channel_adapter.tencent.redaction import redact_text

if TYPE_CHECKING:
    from channel_adapter.durable import Job, Jobs, Kind

PART_USERS: Final = 500
"""Users of one part of an import: what is repeated when the process is killed."""
PART_SYNCS: Final = 100
"""Users of one part of a sync, which takes calls for each user."""
TRIES: Final = 20
_SYNC_TRIES: Final = 3
"""Attempts to sync a user while the service answers for others."""
INTERRUPTED: Final = "It was interrupted; start it again to continue."
_LONGEST_WAIT: Final = 30.0
_TRANSIENT: Final = (UnavailableError, ThrottledError, OutcomeUnknownError)
_log = get_logger("channel_adapter.console")


class Result(NamedTuple):
    """What became of one user. `kind` is the word of the counts; a `failed` one is tried again."""

    user: str
    kind: str
    reason: str
    done: bool
    failed: bool


class Steps(Protocol):
    """Runs the steps of an import: a durable job, or this process."""

    async def step(self, name: str, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Run a step."""


class _LocalSteps:
    """Runs steps without recording them."""

    async def step(self, name: str, function: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> Any:
        """Run a step."""
        return await function(*args)


class SubscriberImports:
    """The imports of one console. `close` it: imports under way are left to other processes or to the next start."""

    def __init__(self, adapter: ChannelAdapter, rows: ConsoleRows) -> None:
        self._adapter = adapter
        self._rows = rows
        url = adapter.settings.database_url
        self._url = url.get_secret_value() if url is not None and _can_be_durable(url.get_secret_value()) else None
        self._jobs: Jobs | None = None
        self._opening = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running_here: set[str] = set()  # imports that this process runs without a job

    @property
    def durable(self) -> bool:
        """Whether an import continues after the end of this process."""
        return self._url is not None

    @property
    def has_local_work(self) -> bool:
        """Whether an import that ends with this process has begun and not ended."""
        return bool(self._running_here)

    async def resume(self) -> None:
        """Run imports that an earlier process has left. Raises UnavailableError."""
        left = await self._rows.imports(state=store.RUNNING, limit=1_000)
        if not left:
            return
        states: dict[str, Any] = {}
        if self.durable:
            jobs = await self._open_jobs()
            for each in left:  # killed between the row and the job: a key that has a job starts nothing
                await jobs.start(_job_kind(), _job_key(each.id, each.run), [each.id])
            states = dict(await jobs.statuses([_job_key(each.id, each.run) for each in left]))
        for each in left:
            state = states.get(_job_key(each.id, each.run))
            if (state is None or state.ended) and each.id not in self._running_here:
                await self._rows.set_import(each.id, state=store.FAILED, message=INTERRUPTED, run=each.run)

    def resume_later(self) -> None:
        """Run imports that an earlier process has left as soon as the database answers."""
        self._run_in_background(self._retry_until_done(self.resume))

    async def close(self) -> None:
        """Stop the work of this process."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    async def add(
        self, channel: str, operator: str, source: IO[bytes], name: str, *, work: str = store.SUBSCRIBE,
        column: str = "", delimiter: str = "",
    ) -> str:  # fmt: skip
        """Store a file that was checked whole, and return the id of its import, which is not started yet.

        Raises InvalidError for a file in which it is not certain what the user ids are, and for one without users.
        """
        users, unusable = await asyncio.to_thread(_read_user_file, cast("BinaryIO", source), name, column, delimiter)
        found = _new_import(channel, operator, work, name=name[:200], total=len(users) + len(unusable))
        size = PART_SYNCS if work == store.SYNC else PART_USERS
        parts = [users[start : start + size] for start in range(0, len(users), size)]
        await self._rows.add_import(found, parts, unusable)
        return found.id

    async def add_sync_of_all(self, channel: str, operator: str) -> str:
        """Store a sync of all subscribers of a channel, who are listed when it begins; return its id."""
        found = _new_import(channel, operator, store.SYNC, name="", total=None)
        await self._rows.add_import(found, [], [])
        return found.id

    async def start(self, import_id: str, *, import_missing: bool) -> None:
        """Start an import, or continue one that failed. Raises ConflictError if it runs or is done."""
        run = await self._rows.start_import(import_id, import_missing=import_missing)
        if run is None:
            raise ConflictError("the import runs already, or is done")
        if not self.durable:
            self._running_here.add(import_id)
            self._run_in_background(self._run_import(_LocalSteps(), import_id))
            return
        try:
            jobs = await self._open_jobs()
            await jobs.start(_job_kind(), _job_key(import_id, run), [import_id])
        except ChannelAdapterError as error:
            self._run_in_background(self._record_end(import_id, error.message))
            raise

    def _run_in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine until it ends or the console closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open_jobs(self) -> "Jobs":
        """Open the jobs, and run imports in this process from now on."""
        from channel_adapter.durable import open_jobs  # noqa: PLC0415 - DBOS is imported when it is needed

        async with self._opening:
            if self._jobs is None:
                jobs = await self._stack.enter_async_context(open_jobs(self._url or ""))
                jobs.register(_job_kind(), self._run_job, shared=True)
                await self._stack.enter_async_context(jobs.run_worker([_job_kind()]))
                self._jobs = jobs
            return self._jobs

    async def _run_job(self, job: "Job", import_id: str) -> None:
        await self._run_import(job, import_id)

    async def _run_import(self, steps: Steps, import_id: str) -> None:
        """Work on part after part; how it ended is recorded."""
        failure = ""
        try:
            failure = await steps.step("list", self._list_subscribers, import_id)
            for number in (
                [] if failure else await self._rows.parts(import_id)
            ):  # all of them: a job repeats its steps in their order
                failure = await steps.step(f"part {number}", self._work_on_part, import_id, number)
                if failure:
                    break
        except ChannelAdapterError as error:
            failure = error.message
        except Exception as fault:
            await self._record_end(import_id, f"a fault in this program: {type(fault).__name__}")
            raise
        await self._record_end(import_id, failure)

    async def _record_end(self, import_id: str, failure: str) -> None:
        """Record how an import ended; a database that does not answer is tried again until it does."""
        state = store.FAILED if failure else store.DONE

        async def record() -> None:
            await self._rows.set_import(import_id, state=state, message=failure)

        await self._retry_until_done(record)
        self._running_here.discard(import_id)

    async def _retry_until_done(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Repeat some work on the database until it is done."""
        for attempt in itertools.count():
            try:
                await work()
            except _TRANSIENT as error:
                _log.warning("console.database_not_ready", error=redact_text(error.message)[:200])
            else:
                return
            await self._adapter.clock.sleep(_seconds_to_wait(attempt))

    async def _list_subscribers(self, import_id: str) -> str:
        """Store the subscribers of a sync of all in parts; return what is still wrong after 20 tries, else ""."""
        found = await self._rows.get_import(import_id)
        if found is None or found.total is not None:
            return ""
        await self._rows.clear_parts(import_id)
        pages = self._adapter.subscriptions.subscribers(found.channel)
        total, part, users = 0, 0, list[tuple[int, str]]()
        for attempt in range(TRIES):
            try:
                async for subscriber in pages:
                    total += 1
                    users.append((total, subscriber.user))
                    if len(users) == PART_SYNCS:
                        part += 1
                        await self._rows.add_part(import_id, part, users)
                        users = []
                break
            except _TRANSIENT as error:
                if attempt == TRIES - 1:
                    return error.message
                await self._wait_for_retry(import_id, attempt, error.message)
                pages = self._adapter.subscriptions.subscribers(found.channel, cursor=pages.cursor or "")
        if users:
            await self._rows.add_part(import_id, part + 1, users)
        await self._rows.set_total(import_id, total)
        return ""

    async def _work_on_part(self, import_id: str, number: int) -> str:
        """Work on the users of a part without outcomes; return what is still wrong after 20 tries, else ""."""
        found = await self._rows.get_import(import_id)
        rows = await self._rows.part(import_id, number, is_open=True)
        if found is None or not rows:
            return ""
        left = {user: line for line, user in rows}
        counts: Counter[str] = Counter()
        failed: list[tuple[int, str, str, str]] = []
        for attempt in range(TRIES):
            results, error = await (self._sync_users if found.work == store.SYNC else self._subscribe_users)(
                found, list(left)
            )
            tries = _SYNC_TRIES if found.work == store.SYNC else TRIES
            for result in results:
                if result.failed and (error is not None or attempt < tries - 1):
                    continue
                line = left.pop(result.user)
                counts[result.kind] += 1
                if not result.done:
                    failed.append((line, result.user, result.kind, result.reason))
            if not left or (error is not None and not isinstance(error, _TRANSIENT)):
                break
            await self._wait_for_retry(import_id, attempt, error.message if error is not None else "")
        if left:
            await self._rows.end_part(import_id, number, counts, failed, [(line, user) for user, line in left.items()])
            return error.message if error is not None else INTERRUPTED
        if attempt:
            await self._rows.set_import(import_id, state=store.RUNNING)
        await self._rows.end_part(import_id, number, counts, failed)
        return ""

    async def _wait_for_retry(self, import_id: str, attempt: int, message: str) -> None:
        """Record why it is tried again, and wait."""
        await self._rows.set_import(import_id, state=store.RUNNING, message=message)
        await self._adapter.clock.sleep(_seconds_to_wait(attempt))

    async def _subscribe_users(
        self, found: SubscriberImport, users: list[str]
    ) -> tuple[list[Result], ChannelAdapterError | None]:
        failure: ChannelAdapterError | None = None
        try:
            outcomes = await self._adapter.subscriptions.subscribe(
                found.channel, users, import_missing=found.import_missing, assign=False
            )
        except ChannelAdapterError as error:
            outcomes, failure = error.outcomes or Outcomes(()), error
        return [
            Result(each.user, each.kind.value, each.reason, each.kind in DONE, each.kind is OutcomeKind.FAILED)
            for each in outcomes
        ], failure

    async def _sync_users(
        self, _: SubscriberImport, users: list[str]
    ) -> tuple[list[Result], ChannelAdapterError | None]:
        results: list[Result] = []
        try:
            async with aclosing(self._adapter.unread.sync_many_stream(users)) as synced:
                async for each in synced:
                    results.append(_to_result(each))  # noqa: PERF401 - those before an error are kept
        except ChannelAdapterError as error:
            return results, error
        return results, None


def _to_result(synced: Synced) -> Result:
    """Return the outcome of a sync."""
    if synced.error:
        return Result(synced.user, "failed", synced.error, done=False, failed=True)
    if synced.failed:
        reasons = "; ".join(f"{channel}: {reason}" for channel, reason in synced.failed)
        return Result(synced.user, "incomplete", reasons, done=False, failed=False)
    return Result(synced.user, "changed" if synced.changed else "unchanged", "", done=True, failed=False)


def _new_import(channel: str, operator: str, work: str, *, name: str, total: int | None) -> SubscriberImport:
    return SubscriberImport(
        id=uuid4().hex, channel=channel, name=name, operator=operator, work=work, state=store.PREVIEW, total=total,
        import_missing=False, run=0, created=time.time(), started=None, ended=None, message="", counts={},
    )  # fmt: skip


def _seconds_to_wait(attempt: int) -> float:
    return min(2.0 ** min(attempt, 10) * 0.25, _LONGEST_WAIT)


def _job_kind() -> "Kind":
    from channel_adapter.durable import Kind  # noqa: PLC0415

    return Kind("console_import", 2)


def _job_key(import_id: str, run: int) -> str:
    return f"console-import-{import_id}-{run}"


def _can_be_durable(url: str) -> bool:
    return is_installed("dbos") and installed_durable_fault(sqlite=url.startswith("sqlite")) is None


def _read_user_file(
    source: BinaryIO, name: str, column: str, delimiter: str
) -> tuple[list[tuple[int, str]], list[tuple[int, str, str, str]]]:
    """Return line and user of each usable record, and what is wrong with the others. A user named twice counts once."""
    users: dict[str, int] = {}
    unusable: list[tuple[int, str, str, str]] = []
    for each in read_users(source, name=name, column=column, delimiter=delimiter):
        if isinstance(each, ListedUser):
            if each.user in users:
                unusable.append((each.line, each.user, "repeated", f"the user is in line {users[each.user]}, too"))
            else:
                users[each.user] = each.line
        elif isinstance(each, UnusableLine):
            raw = each.raw.strip()[:200].encode("utf-8", "replace").decode()
            unusable.append((each.line, raw, "unusable", each.reason))
    if not users and not unusable:
        raise NotFoundError(f"{name} has no users", field="file")
    return [(line, user) for user, line in users.items()], unusable
