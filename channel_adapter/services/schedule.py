"""Scheduled posts and drafts: what is stored until it is published. `schedule_jobs` publishes what is due."""

import asyncio
import hashlib
import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace as replaced
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import orjson

from channel_adapter.concurrency.clock import Clock, SystemClock
from channel_adapter.concurrency.paging import Page, read_pages
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.config.extras import is_installed, needs_store, require_durable
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Content, Post, PostPreview, PostRef
from channel_adapter.domain.schedule import (
    LATE_SECONDS,
    SCHEDULE_JOBS,
    SavedDraft,
    ScheduledPost,
    ScheduleState,
    ScheduleStatus,
)
from channel_adapter.errors import (
    ChannelAdapterError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
    needs_database,
)
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.mapping.ids import IdScheme
from channel_adapter.mapping.ids import idempotency_key as checked_key
from channel_adapter.mapping.text import require_list, require_text
from channel_adapter.mapping.times import from_seconds, to_utc
from channel_adapter.quoting import duration, shown_value
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.scheduled_publisher import (
    PostSender,
    ScheduledPublisher,
    ScheduleOptions,
    log_failure,
    post_key,
    published_values,
)

if TYPE_CHECKING:
    from channel_adapter.store.database import Database
    from channel_adapter.store.schedule import DraftRow, ScheduledRow, ScheduleStore

FARTHEST: Final = timedelta(days=366)
KEY_BYTES: Final = 512
"""The longest idempotency key of a scheduled post."""
SEE_PROBLEMS: Final = "`channel-adapter posts scheduled --problems` lists them, and --acknowledge ID ends the report"
CHECK_DATABASE: Final = "check that database_url names a database that accepts connections"
START_WORKER: Final = "run `channel-adapter worker`, `webhooks serve` or `console`"
_MOVABLE: Final = (ScheduleState.SCHEDULED, ScheduleState.FAILED, ScheduleState.MISSED)
_ID_BYTES: Final = 6
_ID: Final = re.compile(rf"[0-9a-f]{{{2 * _ID_BYTES}}}")
_LOOK_SECONDS: Final = 0.5
_AGAIN_SECONDS: Final = 3.0
_JOBS: Final = "channel_adapter.services.schedule_jobs"


def check_time(at: datetime, now: float, field: str = "at") -> datetime:
    """Return a time at which a post can be scheduled, in UTC. Raises InvalidError."""
    wanted = to_utc(at, field)
    later = wanted.astimezone(at.tzinfo)
    if later.replace(tzinfo=None, fold=0) != at.replace(tzinfo=None, fold=0):
        raise InvalidError(
            f"{field}: {at:%Y-%m-%d %H:%M} does not exist in {at.tzinfo}, where clocks go forward then; nothing was"
            f" scheduled: choose {later:%H:%M} or a time before the change",
            field=field,
        )
    current = datetime.fromtimestamp(now, UTC)
    if wanted <= current:
        raise InvalidError(
            f"{field}: {wanted:%Y-%m-%d %H:%M:%SZ} lies {duration(max(1, (current - wanted).total_seconds()))} in the"
            " past; publish the post now, or choose a later time",
            field=field,
        )
    if wanted > current + FARTHEST:
        raise InvalidError(
            f"{field}: {wanted:%Y-%m-%d %H:%M:%SZ} lies more than a year ahead; a post is scheduled for the next"
            f" {FARTHEST.days} days",
            field=field,
        )
    return wanted


class PostSchedule(PostSender):
    """Scheduled posts and drafts of any channel, in `database_url`. The base of `adapter.posts`.

    Every method raises ConfigurationError without `database_url`, and UnavailableError if it cannot be used.
    """

    def __init__(self, scheme: IdScheme, options: ScheduleOptions, clock: Clock) -> None:
        self._ids = scheme
        self._kind = SCHEDULE_JOBS[scheme.mode]
        self._options = options
        self._clock = clock
        self._publisher: ScheduledPublisher | None = None
        self._publishing_here = 0  # blocks of `publish_due`

    async def schedule(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        at: datetime,
        author: str | None = None,
        idempotency_key: str | None = None,
        silent: bool = False,
    ) -> ScheduledPost:
        """Store a post that a worker publishes at a time: `channel-adapter worker`, `webhooks serve`, `run_jobs`.

        `at` has a time zone and lies within the next 366 days. A second call with the same `idempotency_key`, of up to
        512 bytes, returns the first post. Raises InvalidError for such a time, ConflictError for a key that was used
        for another post or time, and what `publish` raises for content, author and channel.
        """
        store = await self._prepare_store()
        wanted = check_time(at, await store.now(self._clock.now()))
        key = None if idempotency_key is None else _require_key(idempotency_key)
        preview = await self._preview_existing(channel, content, author, silent=silent)
        row = self._make_row(preview, author, at=wanted.timestamp(), key=key)
        stored = await store.add(row)
        failpoint("schedule.stored")
        if stored.digest != row.digest:
            raise ConflictError(
                f"idempotency_key: it was used for scheduled post {stored.id}, with other content or another time",
                field="idempotency_key",
            )
        return await self._to_scheduled_post(stored)

    async def scheduled(
        self, channel: str | None = None, *, problems: bool = False, ended: bool = False
    ) -> AsyncGenerator[ScheduledPost, None]:
        """Yield scheduled posts by their times: those that wait, and those that failed, are late or were missed.

        With `problems` only the latter, until they are acknowledged; with `ended` also published and cancelled ones of
        the last 30 days.
        """
        wanted = None if channel is None else self._ids.channel(channel)
        store = await self._prepare_store()

        async def fetch(after: tuple[float, str]) -> Page["ScheduledRow", tuple[float, str]]:
            rows = await store.page(after, wanted, self._clock.now(), problems=problems, ended=ended)
            return Page(rows, (rows[-1].at, rows[-1].id) if rows else None)

        async for rows in read_pages(fetch, (0.0, "")):
            for row in rows:
                yield await self._to_scheduled_post(row)

    async def get_scheduled(self, post_id: str) -> ScheduledPost:
        """Return one scheduled post as it is now. Raises NotFoundError."""
        return await self._to_scheduled_post(await self._require_row(post_id))

    async def reschedule(self, post_id: str, at: datetime) -> ScheduledPost:
        """Change the time of a post that waits, failed or was missed; it is published then.

        Raises InvalidError for the time, NotFoundError, and ConflictError for a post that is being sent, was published
        or cancelled. A post that was attempted is searched for in history first: if it is there, it is published, and
        ConflictError is raised; if history cannot be read, nothing is changed, and the error of reading is raised.
        """
        store = await self._prepare_store()
        wanted = check_time(at, await store.now(self._clock.now())).timestamp()
        await self._change_row(
            post_id, _MOVABLE, state=ScheduleState.SCHEDULED, at=wanted, due=wanted, error="", acknowledged=False,
            changed=self._clock.now(),
        )  # fmt: skip
        return await self.get_scheduled(post_id)

    async def unschedule(self, post_id: str) -> ScheduledPost:
        """Cancel a scheduled post; cancelling it again changes nothing.

        Raises NotFoundError, and ConflictError for a post that is being sent or was published; a post that was
        attempted is searched for in history first, as by `reschedule`.
        """
        states = (*_MOVABLE, ScheduleState.CANCELLED)
        await self._change_row(post_id, states, state=ScheduleState.CANCELLED, changed=self._clock.now())
        return await self.get_scheduled(post_id)

    async def publish_now(self, post_id: str) -> ScheduledPost:
        """Publish a scheduled post immediately, once; one that was published before is returned as it is.

        If the service is not available, the post stays scheduled and workers try again: `error` and `retry_at` say so.
        Raises NotFoundError, ConflictError for a post that is being sent or was cancelled, and what `publish` raises
        for a post that is refused; it has failed then.
        """
        store, publisher = await self._prepare_store(), await self._prepare_publisher()
        owner = f"call:{secrets.token_hex(8)}"
        await self._require_row(post_id)
        claimed = await store.claim(post_id, owner, publisher.claim_seconds, self._clock.now())
        if claimed is None:
            row = await self._require_row(post_id)
            if row.state is not ScheduleState.PUBLISHED:
                raise _not_in_state(row)
            return await self._to_scheduled_post(row)
        failpoint("schedule.claimed")
        error = await publisher.publish(claimed.row, claimed.now)
        found = await self.get_scheduled(post_id)
        if error is not None and found.state is ScheduleState.FAILED:
            raise error
        return found

    async def acknowledge(self, post_ids: Iterable[str]) -> None:
        """End the reports about posts that failed, are late or were missed. Raises NotFoundError for unknown ids."""
        wanted = [*require_list(post_ids, "post_ids")]
        for post_id in wanted:
            await self._require_row(post_id)
        await (await self._prepare_store()).acknowledge(wanted)

    async def schedule_status(self) -> ScheduleStatus:
        """Return how many scheduled posts are in each state, and how late they are."""
        store = await self._prepare_store()
        counts = await store.counts(self._kind, self._clock.now())
        return ScheduleStatus(
            states=counts.states, problems=counts.problems, waiting_seconds=counts.waiting_seconds,
            lag=self.schedule_lag, workers=max(counts.workers, self._publishing_here),
        )  # fmt: skip

    @property
    def schedule_lag(self) -> float:
        """How many seconds after its time the last scheduled post of this process was published; 0 without one."""
        return self._publisher.lag if self._publisher is not None else 0.0

    async def schedule_values(self) -> dict[str, float]:
        """Return the values of monitoring by name: lag, and from the first scheduled post on how many wait or failed.

        Creates no tables. Raises UnavailableError.
        """
        values = {"schedule.lag": self.schedule_lag}
        if self._options.database_url is not None and is_installed("sqlalchemy") and await self._is_used():
            counts = await (await self._prepare_store()).counts(self._kind, self._clock.now())
            values |= {"schedule.waiting": counts.open, "schedule.problems": counts.problems}
        return values

    async def draft(
        self,
        channel: str,
        content: Content | Sequence[Content],
        *,
        author: str | None = None,
        silent: bool = False,
        replace: str | None = None,
        idempotency_key: str | None = None,
    ) -> SavedDraft:
        """Store a post without a time; `replace` is the id of a draft whose place it takes.

        Until the draft is deleted, a second call with the same `idempotency_key`, of up to 512 bytes, returns it as it
        is then; it is not used with `replace`. Raises NotFoundError for a draft that does not exist, ConflictError for
        a key whose draft was scheduled or published, and what `publish` raises for content, author and channel.
        """
        store = await self._prepare_store()
        key = None if idempotency_key is None else _require_key(idempotency_key)
        preview = await self._preview_existing(channel, content, author, silent=silent)
        keyed = None if key is None or replace is not None else _id_of_key(preview.channel, key)
        row = self._make_row(preview, author, at=0.0, post_id=keyed)
        if replace is not None:
            await self.get_draft(replace)
        from channel_adapter.store.schedule import DraftRow  # noqa: PLC0415 - an extra

        saved = DraftRow(
            id=replace or row.id, channel=row.channel, content=row.content, author=row.author, silent=row.silent,
            created=row.created, changed=row.created,
        )  # fmt: skip
        if replace is not None:
            if not await store.replace_draft(saved):
                raise _no_draft(replace)
        elif not await store.add_draft(saved):
            raise ConflictError(
                f"idempotency_key: its draft {keyed} was scheduled or published", field="idempotency_key"
            )
        return await self.get_draft(saved.id)

    async def drafts(self, channel: str | None = None) -> AsyncGenerator[SavedDraft, None]:
        """Yield drafts, the oldest first."""
        wanted = None if channel is None else self._ids.channel(channel)
        store = await self._prepare_store()

        async def fetch(after: tuple[float, str]) -> Page["DraftRow", tuple[float, str]]:
            rows = await store.drafts(after, wanted)
            return Page(rows, (rows[-1].created, rows[-1].id) if rows else None)

        async for rows in read_pages(fetch, (0.0, "")):
            for row in rows:
                yield _to_saved_draft(row)

    async def get_draft(self, draft_id: str) -> SavedDraft:
        """Return one draft. Raises NotFoundError."""
        row = await (await self._prepare_store()).draft(draft_id) if _is_id(draft_id) else None
        if row is None:
            raise _no_draft(draft_id)
        self._ids.channel(row.channel)
        return _to_saved_draft(row)

    async def publish_draft(self, draft_id: str, *, at: datetime | None = None) -> ScheduledPost:
        """Publish a draft immediately, or schedule it; the post has the id of the draft, which is gone then.

        Repeating the call publishes nothing twice. Raises NotFoundError, ConflictError for a draft that is replaced
        meanwhile, which stays a draft, and what `schedule` or `publish_now` raises.
        """
        store = await self._prepare_store()
        now = await store.now(self._clock.now())
        wanted = now if at is None else check_time(at, now).timestamp()
        if not _is_id(draft_id):
            raise _no_draft(draft_id)
        draft = await store.draft(draft_id)
        if draft is not None:
            preview = await self.preview(
                draft.channel, parts_of(orjson.loads(draft.content)), author=draft.author, silent=draft.silent
            )
            row = self._make_row(preview, draft.author, at=wanted, post_id=draft_id)
            if at is None:  # workers leave it to this call
                row = replaced(row, due=now + self._options.claim_seconds)
            if await store.schedule_draft(row, draft) is None and await store.draft(draft_id) is not None:
                raise ConflictError(f"draft {draft_id} was changed meanwhile; publish it again", field="draft_id")
            failpoint("schedule.draft_taken")
        elif (found := await store.get(draft_id)) is None:
            raise _no_draft(draft_id)
        elif at is not None:
            return await self._to_scheduled_post(found)
        return await self.publish_now(draft_id) if at is None else await self.get_scheduled(draft_id)

    async def discard_draft(self, draft_id: str) -> bool:
        """Delete a draft; return False if there was none."""
        try:
            await self.get_draft(draft_id)
        except NotFoundError:
            return False
        return await (await self._prepare_store()).discard_draft(draft_id)

    async def check_schedule(self) -> list[HealthCheckResult]:
        """Return what the doctor reports of scheduled posts; nothing where none was ever scheduled."""
        url = self._options.database_url
        try:
            if url is None or not is_installed("sqlalchemy") or not await self._is_used():
                return []
            counts = await (await self._prepare_store()).counts(self._kind, self._clock.now())
        except UnavailableError as error:
            return [HealthCheckResult("schedule", False, error.message, CHECK_DATABASE)]
        results = [HealthCheckResult("schedule", True, f"{counts.open} waiting, {counts.problems} to be acknowledged")]
        if counts.problems:
            message = f"{_format_post_count(counts.problems)} failed, late or missed"
            results = [HealthCheckResult("schedule", False, message, SEE_PROBLEMS)]
        if counts.open and not (counts.workers or self._publishing_here):
            message = f"{_format_post_count(counts.open)} waiting, and no process publishes them"
            results.append(HealthCheckResult("schedule", False, message, START_WORKER))
        return results

    @asynccontextmanager
    async def publish_due(self) -> AsyncIterator[None]:
        """Publish scheduled posts in this process for the length of a block, from when there was any in the database.

        Raises ConfigurationError without `database_url`, and without the extra `durable`.
        """
        url = self._require_url()
        require_durable(url)
        worker = asyncio.ensure_future(
            repeat(
                partial(self._publish_if_used, url), _AGAIN_SECONDS, SystemClock(),
                partial(log_failure, "schedule.worker_failed"),
            )
        )  # fmt: skip
        self._publishing_here += 1
        try:
            yield
        finally:
            self._publishing_here -= 1
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    async def _publish_if_used(self, url: str) -> float:
        """Publish scheduled posts until cancelled, if there was ever one; return the seconds until the next look."""
        if await self._is_used():
            jobs = await asyncio.to_thread(import_module, _JOBS)  # DBOS is slow to import
            await jobs.serve(await self._prepare_publisher(), url)
        return _LOOK_SECONDS

    async def _is_used(self) -> bool:
        """Return whether the database has ever held a scheduled post or a draft. Creates nothing."""
        return await self._get_publisher().store.exists()

    async def aclose(self) -> None:
        """Close the database, if it was used."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            await publisher.store.close()

    def _require_url(self, what: str = "scheduled posts and drafts") -> str:
        if self._options.database_url is None:
            raise needs_database(f"{what} need a database")
        return self._options.database_url

    def _require_database(self, what: str) -> "Database":
        """Return the database, opened if necessary. Raises ConfigurationError without one; `what` needs it."""
        self._require_url(what)
        return self._get_publisher().store.database

    def _get_publisher(self) -> ScheduledPublisher:
        if self._publisher is None:
            url = self._require_url()
            with needs_store(url):
                from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
                from channel_adapter.store.schedule import ScheduleStore  # noqa: PLC0415 - an extra
            store = ScheduleStore(Database.shared(url), self._ids.prefix)
            self._publisher = ScheduledPublisher(store, self, self._options, self._clock, self._kind)
        return self._publisher

    async def _prepare_publisher(self) -> ScheduledPublisher:
        publisher = self._get_publisher()
        await publisher.store.prepare()
        return publisher

    async def _prepare_store(self) -> "ScheduleStore":
        return (await self._prepare_publisher()).store

    async def _preview_existing(
        self, channel: str, content: Content | Sequence[Content], author: str | None, *, silent: bool
    ) -> PostPreview:
        """Return what would be sent. Raises NotFoundError for a channel that does not exist."""
        preview = await self.preview(channel, content, author=author, silent=silent)
        if preview.author is None:  # the channel was not read for its owner
            async with aclosing(self.history(preview.channel)) as posts:
                await anext(posts, None)
        return preview

    def _make_row(
        self, preview: PostPreview, author: str | None, *, at: float, key: str | None = None, post_id: str | None = None
    ) -> "ScheduledRow":
        """Return a row. Without an author the post is sent as the owner that the channel has then."""
        from channel_adapter.store.schedule import ScheduledRow  # noqa: PLC0415 - an extra

        content = orjson.dumps(preview.parts).decode()
        digest = hashlib.sha256(orjson.dumps([content, author, preview.silent, at])).hexdigest()
        post_id = post_id or secrets.token_hex(_ID_BYTES)
        now = self._clock.now()
        return ScheduledRow(
            id=post_id, channel=preview.channel, key=key, digest=digest, content=content, author=author,
            silent=preview.silent, dedupe=self.dedupe_of(preview.channel, post_key(post_id, key)), at=at, due=at,
            created=now, changed=now,
        )  # fmt: skip

    async def _require_row(self, post_id: str) -> "ScheduledRow":
        """Return a scheduled post. Raises NotFoundError, and InvalidError for one of the other mode."""
        store = await self._prepare_store()
        row = await store.get(post_id) if _is_id(post_id) else None
        if row is None:
            raise NotFoundError(f"there is no scheduled post {shown_value(post_id)}", field="post_id")
        self._ids.channel(row.channel)
        return row

    async def _change_row(self, post_id: str, states: Sequence[ScheduleState], **values: Any) -> None:
        """Change a post in one of these states that is not in the channel; one that is there is marked as published."""
        publisher = await self._prepare_publisher()
        row = await self._require_row(post_id)
        if row.state not in states:
            raise _not_in_state(row)
        sent = await self._find_sent(row) if row.attempts and row.state in _MOVABLE else None
        if sent is not None:
            late = sent.published_at is not None and sent.published_at.timestamp() - row.at > LATE_SECONDS
            values = {**published_values(sent), "late": late, "changed": self._clock.now()}
        changed = await publisher.store.change(post_id, [row.state], row.attempts, **values)
        if sent is not None or not changed:
            raise _not_in_state(await self._require_row(post_id))

    async def _find_sent(self, row: "ScheduledRow") -> Post | None:
        """Return the post if an attempt whose outcome is not known has sent it. Raises the error of reading history."""
        try:
            return await self._get_publisher().find_sent(row)
        except NotFoundError:  # the channel is gone, and its posts with it
            return None
        except ChannelAdapterError as error:
            raise type(error)(
                f"scheduled post {row.id} was not changed: an earlier attempt may have sent it, and history cannot be"
                f" read: {error.message}",
                origin=error.origin,
            ) from error

    async def _to_scheduled_post(self, row: "ScheduledRow") -> ScheduledPost:
        store = await self._prepare_store()
        waits = row.state in (ScheduleState.SCHEDULED, ScheduleState.PUBLISHING)
        overdue = waits and await store.now(self._clock.now()) - row.at > LATE_SECONDS
        retries = row.state is ScheduleState.SCHEDULED and row.due > row.at
        return ScheduledPost(
            id=row.id, channel=ChannelId(row.channel), at=from_seconds(row.at), state=row.state,
            parts=_to_parts(row.content), author=None if row.author is None else UserId(row.author),
            silent=row.silent, created_at=from_seconds(row.created),
            ref=None if row.seq is None else PostRef(ChannelId(row.channel), row.seq, row.message_key),
            published_at=None if row.published is None else from_seconds(row.published), late=row.late or overdue,
            error=row.error, retry_at=from_seconds(row.due) if retries else None, acknowledged=row.acknowledged,
        )  # fmt: skip


def _not_in_state(row: "ScheduledRow") -> ConflictError:
    states = {
        ScheduleState.PUBLISHING: "is being sent",
        ScheduleState.PUBLISHED: f"was published as number {row.seq} of {row.channel}",
        ScheduleState.CANCELLED: "was cancelled",
    }
    return ConflictError(f"scheduled post {row.id} {states.get(row.state, 'was changed meanwhile')}", field="post_id")


def _format_post_count(count: int) -> str:
    return f"{count:,} scheduled post{'' if count == 1 else 's'}"


def _no_draft(draft_id: object) -> NotFoundError:
    return NotFoundError(f"there is no draft {shown_value(draft_id)}", field="draft_id")


def _require_key(text: str) -> str:
    """Return an idempotency key that can be stored, in an index. Raises InvalidError."""
    key = require_text(checked_key(text), "idempotency_key", KEY_BYTES)
    if "\0" in key:
        raise InvalidError("idempotency_key holds a NUL character, which no database stores", field="idempotency_key")
    return key


def _id_of_key(channel: str, key: str) -> str:
    """Return the id of the draft with an idempotency key, which a second call stores nothing under."""
    return hashlib.sha256(orjson.dumps(["draft", channel, key])).hexdigest()[: 2 * _ID_BYTES]


def _is_id(text: object) -> bool:
    """Return whether a scheduled post or a draft can have this id; a database refuses some texts."""
    return isinstance(text, str) and _ID.fullmatch(text) is not None


def _to_parts(content: str) -> tuple[Content, ...]:
    return tuple(parts_of(orjson.loads(content)))


def _to_saved_draft(row: "DraftRow") -> SavedDraft:
    return SavedDraft(
        id=row.id, channel=ChannelId(row.channel), parts=_to_parts(row.content),
        author=None if row.author is None else UserId(row.author), silent=row.silent,
        created_at=from_seconds(row.created), changed_at=from_seconds(row.changed),
    )  # fmt: skip
