"""An inbox that does not forget: an event is in the database before it is acknowledged, and handled whoever is killed.

Requests that come together are stored together, as one DBOS workflow: its arguments are the events. The workflow makes
their keys known, leaves out repeats, lets each event wait for its turn, and ends when all are handled or given up.
Every step that succeeded is recorded by the key of its event. A workflow of a killed process is taken over by another
receiver of the same database, or by the next one that starts; what is recorded does not run again.
"""

import asyncio
import contextlib
import logging
import secrets
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson
import structlog
from dbos import DBOS, SetWorkflowID

from channel_adapter.durable import Durable, Feature
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.store.engine import Database
from channel_adapter.tencent.clock import Clock, SystemClock
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.webhooks import counters as names
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.handling import Handling, Patience
from channel_adapter.webhooks.inbox import DeadLetter, NotStoredError, Plan, Step, Task
from channel_adapter.webhooks.inbox_schema import AREA, DEAD, HANDLED
from channel_adapter.webhooks.inbox_table import InboxTable
from channel_adapter.webhooks.intake import Intake
from channel_adapter.webhooks.lines import Lines
from channel_adapter.webhooks.parse import Received
from channel_adapter.webhooks.room import BYTES, Room
from channel_adapter.webhooks.seldom import Seldom
from channel_adapter.webhooks.turns import Turns

BATCH: Final = "webhooks.batch"
FEATURE: Final = Feature("webhooks", (BATCH,))
WAITING: Final = 20_000
"""Events that may wait in one process before it takes no more."""
_TELL_SECONDS: Final = 2.0
_TIDY_SECONDS: Final = 60.0
_FINISHED_KEPT: Final = 600.0
_TIDIED_AT_ONCE: Final = 500
_WRITE_AGAIN_SECONDS: Final = 1.0

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))
_inbox: "DurableInbox | None" = None  # DBOS calls functions of modules; this is what they work for


@DBOS.workflow(name=BATCH, max_recovery_attempts=1_000_000)
async def handle_batch(documents: list[str], revive: bool = False) -> int:
    """Handle the events of one batch, with `revive` also those that were given up; how many there were to handle."""
    if _inbox is None:
        raise asyncio.CancelledError  # stays to be taken over
    return await _inbox.handle_batch(DBOS.workflow_id or "", documents, revive=revive)


class _Batch(NamedTuple):
    ended: "asyncio.Future[None]"
    size: int


class DurableInbox:
    """On SQLite for one receiver, on PostgreSQL for several: they share the events and take over from each other."""

    def __init__(
        self,
        url: str,
        *,
        patience: Patience | None = None,
        window: float = 0.05,
        at_once: int = 64,
        remember_seconds: float = 86_400.0,
        waiting_bytes: int = BYTES,
        counters: Counters | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.counters = counters or Counters()
        self._url = url
        self._patience = patience or Patience()
        self._window = window
        self._at_once = at_once
        self._remember = remember_seconds
        self._room = Room(WAITING, waiting_bytes)
        self._clock = clock or SystemClock()
        self._worth_telling = Seldom()
        self._ready = asyncio.Event()
        self._intake = Intake(self._begin)
        self._chores: list[asyncio.Task[None]] = []
        self._under_way: dict[str, _Batch] = {}  # those that are handled here, by name
        self._database: Database | None = None
        self._durable: Durable | None = None
        self._turns: Turns | None = None  # on SQLite there are no others

    async def start(self, plan: Plan) -> None:
        """See Inbox. What earlier receivers left is handled too."""
        global _inbox  # noqa: PLW0603 - see there
        if _inbox is not None:
            raise ConfigurationError("one process has one durable inbox", field="inbox.kind")
        _inbox = self
        try:
            self._database = Database(self._url)
            self._table = InboxTable(self._database)
            await self._database.prepare(AREA)
            handling = Handling(self, plan, self._patience, self.counters, self._clock, at_once=self._at_once)
            if not self._database.is_sqlite:
                self._turns = Turns(self._database)
                await self._turns.prepare()
            asking = self._is_turn if self._turns is not None else None
            self._lines = Lines(handling.handle, window=self._window, clock=self._clock, may_begin=asking)
            self._ready.set()
            self._durable = await Durable.start(self._url, FEATURE)
        except BaseException:
            await self.stop()
            raise
        self._chores = [asyncio.ensure_future(chore()) for chore in (self._keep_telling, self._keep_tidy)]

    async def store(self, received: Received) -> bool:
        """See Inbox. Back when the event is committed; a repeat that only the database knows counts as new here."""
        if self._durable is None:
            raise NotStoredError("the inbox is not running")
        document = _document(received)
        size = len(document.encode())
        self._room.admit(len(self._lines), size)
        with self._room.taken(size):
            new = await self._intake.store(received.dedupe_key, document)
        if not new:
            self.counters.add(names.DUPLICATES)
        return new

    @property
    def lag(self) -> float:
        """Seconds that the oldest event waiting in this process has waited."""
        oldest = self._lines.oldest if self._durable is not None else None
        return 0.0 if oldest is None else max(0.0, self._clock.now() - oldest)

    async def idle(self) -> None:
        """See Inbox."""
        await self._intake.idle()
        while self._under_way:
            await asyncio.wait({batch.ended for batch in self._under_way.values()})

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """See Inbox."""
        rows = await self._table.rows([DEAD], limit=limit)
        return [DeadLetter(r.key, r.command, r.channel, r.reason or "", r.attempts, r.received_at) for r in rows]

    async def retry(self, key: str) -> bool:
        """See Inbox."""
        document = await self._table.dead(key)
        if document is None:
            return False
        batch = new_batch()
        await self._begin([document], batch, revive=True)
        await self._table.revive(key, batch)
        return True

    async def drop(self, key: str) -> bool:
        """See Inbox."""
        return await self._table.drop(key)

    async def stop(self) -> None:
        """See Inbox."""
        global _inbox  # noqa: PLW0603 - as above
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        await self._intake.stop()
        if self._ready.is_set():
            await self._lines.stop()
        await asyncio.sleep(0)  # workflows learn that they are cancelled
        durable, self._durable = self._durable, None
        if durable is not None:
            with contextlib.suppress(ChannelAdapterError):  # counts of the last seconds, no events
                await self._tell()
            await durable.stop()
        if self._database is not None:
            await self._database.close()
        if _inbox is self:
            _inbox = None

    async def _begin(self, documents: list[str], batch: str | None = None, *, revive: bool = False) -> None:
        """Back when DBOS has committed the batch, which then runs."""
        batch = batch or new_batch()
        self._open(batch, documents)
        try:
            with SetWorkflowID(batch):
                await DBOS.start_workflow_async(handle_batch, documents, revive)
        except BaseException:
            self._close(batch)
            raise

    async def handle_batch(self, batch: str, documents: list[str], *, revive: bool) -> int:
        """The body of the workflow. Cancelled when the inbox stops: DBOS then has it taken over."""
        began_here = batch in self._under_way
        self._open(batch, documents)
        try:
            return await self._handle_batch(batch, documents, revive, waited_before=revive or not began_here)
        finally:
            self._close(batch)

    def _open(self, batch: str, documents: list[str]) -> None:
        if batch not in self._under_way:
            size = sum(len(document.encode()) for document in documents)  # DBOS holds all until the batch has ended
            self._under_way[batch] = _Batch(asyncio.get_running_loop().create_future(), size)
            self._room.take(size)

    def _close(self, batch: str) -> None:
        closed = self._under_way.pop(batch, None)
        if closed is not None:
            self._room.give_back(closed.size)
            closed.ended.set_result(None)

    async def _handle_batch(self, batch: str, documents: list[str], revive: bool, *, waited_before: bool) -> int:
        events = {event.dedupe_key: (event, document) for document in documents for event in [_event(document)]}
        rows = [
            {
                "key": key,
                "command": event.command,
                "channel": event.order_key,
                "document": document,
                "received_at": event.received_at,
                "sequence": event.sequence,
            }
            for key, (event, document) in sorted(events.items())  # everybody locks rows in the same order
        ]
        if waited_before and (turns := self._turns) is not None:
            await self._insist(lambda: turns.end(sorted(events)))
        claims = await self._insist(lambda: self._table.claim(batch, rows, revive=revive))
        self.counters.add(names.DUPLICATES, len(documents) - len(claims))
        await self._through([Task(events[c.key][0], c.attempts, set(c.done)) for c in claims])
        return len(claims)

    async def _through(self, tasks: list[Task]) -> None:
        """Back when all are handled or given up; cancelled when the inbox stops before that."""
        everything = asyncio.get_running_loop().create_future()
        left = len(tasks)

        def ended(well: bool) -> None:
            nonlocal left
            left -= 1
            if not everything.done() and not (well and left):
                everything.set_result(None) if well else everything.cancel()

        for task in tasks:
            self._lines.put(task, ended)
        if tasks:
            await everything

    async def _is_turn(self, task: Task) -> bool:
        key = task.received.dedupe_key
        return bool(await self._insist(lambda: self._table.may_begin(key)))

    async def advance(self, task: Task, step: Step | None, *, last: bool) -> None:
        """See Ledger. A step that has run is recorded however long that takes: it must not run again."""
        key, state = task.received.dedupe_key, {"state": HANDLED} if last else {}
        if step is None or not step.transaction:
            if step is not None:
                await step.run(None)
            await self._insist(lambda: self._table.mark(key, step=step.name if step else None, **state))
            return
        async with self._table.database.writing() as connection:
            if await self._table.mark_within(connection, key, step=step.name, **state):
                await step.run(connection)

    async def failed(self, task: Task, reason: str, *, dead: bool) -> None:
        """See Ledger."""
        state = {"state": DEAD} if dead else {}
        await self._table.mark(task.received.dedupe_key, attempts=task.attempts, reason=reason, **state)

    async def _insist(self, write: Any) -> Any:
        while True:
            try:
                return await write()
            except ChannelAdapterError as trouble:
                if self._worth_telling():
                    _log.warning("webhooks.ledger_failed", reason=redact_text(trouble.message)[:300])
                await asyncio.sleep(_WRITE_AGAIN_SECONDS)

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(_TELL_SECONDS)
            with contextlib.suppress(ChannelAdapterError):  # they are told the next time
                await self._tell()

    async def _tell(self) -> None:
        news = self.counters.news()
        if news:
            try:
                await self._table.add_counts(news)
            except ChannelAdapterError:
                self.counters.give_back(news)
                raise

    async def _keep_tidy(self) -> None:
        while True:
            await asyncio.sleep(_TIDY_SECONDS)
            try:
                await self._forget_old(self._clock.now() - self._remember)
                await self._forget_finished()
            except Exception as trouble:  # noqa: BLE001 - tidying can wait; the inbox goes on
                _log.warning("webhooks.tidying_failed", reason=redact_text(str(trouble))[:300])

    async def _forget_old(self, before: float) -> None:
        if self._turns is not None:
            await self._turns.forget(before)
        await self._table.forget(before)

    async def _forget_finished(self) -> None:
        """Delete workflows that are through: the table knows all that matters of them."""
        if self._durable is None:
            return
        before = _iso(self._clock.now() - _FINISHED_KEPT)
        while True:
            done = await DBOS.list_workflows_async(
                name=BATCH, status="SUCCESS", completed_before=before, limit=_TIDIED_AT_ONCE,
                load_input=False, load_output=False,
            )  # fmt: skip
            if done:
                await DBOS.delete_workflows_async([row.workflow_id for row in done])
            if len(done) < _TIDIED_AT_ONCE:
                return


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def new_batch() -> str:
    """The name of a batch, which is that of its workflow."""
    return f"webhooks:{secrets.token_hex(12)}"


def _document(received: Received) -> str:
    values = {name: getattr(received, name) for name in Received.__slots__}
    return orjson.dumps(values).decode()


def _event(document: str) -> Received:
    return Received(**orjson.loads(document))
