"""From a stored event to a handled one: attempts, waits between them, and when to give up. Both inboxes share it."""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

import structlog

from channel_adapter.errors import ChannelAdapterError, ThrottledError, UnavailableError
from channel_adapter.tencent.clock import Clock
from channel_adapter.tencent.redaction import redact_text, shown_traceback
from channel_adapter.webhooks import counters as names
from channel_adapter.webhooks.counters import Counters
from channel_adapter.webhooks.inbox import Ledger, Plan, Step, Task

LONGEST_WAIT: Final = 60.0
_REASON_LENGTH: Final = 300
_LEDGER_WAIT: Final = 1.0
_AWAY_WAIT: Final = 10.0  # so that all goes on soon after an outage

_logger = logging.getLogger("channel_adapter.webhooks")
_log = structlog.wrap_logger(_logger)


@dataclass(frozen=True, slots=True)
class Patience:
    """How often an event is tried, and the wait after the first failure in seconds; it doubles, to a minute at most.

    While the service or a store is away, for `away_seconds` at most, no attempt is used up.
    """

    attempts: int = 5
    first_wait: float = 1.0
    away_seconds: float = 3600.0

    def wait_after(self, attempt: int) -> float | None:
        """Seconds to wait after the attempt of this number, from 1 on; None when it was the last."""
        if attempt >= self.attempts:
            return None
        return min(self.first_wait * 2.0 ** min(attempt - 1, 32), LONGEST_WAIT)


class _Outage:
    """How long one event has met nothing but closed doors."""

    def __init__(self, patience: Patience, clock: Clock) -> None:
        self._patience = patience
        self._clock = clock
        self._since: float | None = None
        self._times = 0

    def wait_after(self, error: BaseException) -> float | None:
        """Seconds to wait; None when nobody is away, or for so long that attempts count."""
        if not isinstance(error, (UnavailableError, ThrottledError)):
            self._since, self._times = None, 0
            return None
        now = self._clock.monotonic()
        self._since = now if self._since is None else self._since
        if now - self._since >= self._patience.away_seconds:
            return None
        wait = min(self._patience.first_wait * 2.0 ** min(self._times, 32), _AWAY_WAIT)
        self._times += 1
        return wait


class Handling:
    """Handles events, `at_once` of them side by side; `Lines` decides which."""

    def __init__(
        self, ledger: Ledger, plan: Plan, patience: Patience, counters: Counters, clock: Clock, *, at_once: int
    ) -> None:
        self._turns = asyncio.Semaphore(at_once)  # nobody holds one while waiting for the next attempt
        self._ledger = ledger
        self._plan = plan
        self._patience = patience
        self._counters = counters
        self._clock = clock

    async def handle(self, task: Task) -> None:
        """Try until the event is handled or given up; either way that is recorded when this returns."""
        outage = _Outage(self._patience, self._clock)
        while True:
            try:
                async with self._turns:
                    await self._attempt(task)
            except (Exception, asyncio.CancelledError) as error:  # handlers are the app's: whatever they raise
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                wait = outage.wait_after(error)
                if wait is not None:
                    _log.warning("webhooks.away", **_told(task, error), retry_in=wait)
                    await self._clock.sleep(wait)
                elif not await self._try_again(task, error):
                    return
            else:
                self._counters.add(names.HANDLED)
                return

    async def _attempt(self, task: Task) -> None:
        steps = [step for step in await self._plan(task.received) if step.name not in task.done]
        if not steps:
            await self._ledger.advance(task, None, last=True)
        for step in steps:
            await self._advance(task, step, last=step is steps[-1])

    async def _advance(self, task: Task, step: Step, *, last: bool) -> None:
        await self._ledger.advance(task, step, last=last)
        task.done.add(step.name)

    async def _try_again(self, task: Task, error: BaseException) -> bool:
        """Record the failure and wait; False when the event is dead now."""
        task.attempts += 1
        wait = self._patience.wait_after(task.attempts)
        told = _told(task, error)
        await self._record_failure(task, told["reason"], dead=wait is None)
        if wait is None:
            self._counters.add(names.DEAD)
            _log.error("webhooks.dead", **told, attempt=task.attempts, traceback=shown_traceback(error))
            return False
        self._counters.add(names.FAILED)
        _log.warning("webhooks.failed", **told, attempt=task.attempts, retry_in=wait)
        if _logger.isEnabledFor(logging.DEBUG):
            key = task.received.dedupe_key
            _log.debug("webhooks.failed_at", event_key=key, attempt=task.attempts, traceback=shown_traceback(error))
        await self._clock.sleep(wait)
        return True

    async def _record_failure(self, task: Task, reason: str, *, dead: bool) -> None:
        """A ledger that cannot be written now is tried until it can: giving up silently would lose the event."""
        while True:
            try:
                await self._ledger.failed(task, reason, dead=dead)
            except ChannelAdapterError as trouble:
                _log.warning("webhooks.ledger_failed", reason=redact_text(trouble.message)[:_REASON_LENGTH])
                await asyncio.sleep(_LEDGER_WAIT)
            else:
                return


def _told(task: Task, error: BaseException) -> dict[str, str]:
    """What happened to which event, in characters that every log and database takes."""
    said = redact_text(f"{type(error).__name__}: {error}")[:_REASON_LENGTH]
    reason = said.encode(errors="replace").decode().replace("\x00", "\ufffd")
    return {"event_key": task.received.dedupe_key, "command": task.received.command, "reason": reason}


def _is_cancelled() -> bool:
    """Are we asked to end, or was it only something that a handler waited for?"""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
