"""Jobs that publish what is due: one for each channel with such posts, which ends when there are none.

The posts of a channel are published one after the other, in the order of their times. A job begins a little before its
first post is due, so that starting it costs no delay. Imported by processes that publish scheduled posts.
"""

import asyncio
from functools import partial
from typing import Final

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.durable import Job, Jobs, Kind, open_jobs
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.scheduled_publisher import ScheduledPublisher, log, log_failure

LEAD_SECONDS: Final = 3.0
"""How long before its time a post gets a job: more than a look, a poll and a start take."""
LOOK_SECONDS: Final = 0.4
_POLL_SECONDS: Final = 0.4  # the longest time without a look at what has changed
_AGAIN_SECONDS: Final = 1.0
_KEEP_SECONDS: Final = 30 * 86_400.0
_TIDY_SECONDS: Final = 600.0
_TIDIED: Final = 1_000


class ScheduleJobs:
    """Start jobs for channels with due posts, and run them."""

    def __init__(self, publisher: ScheduledPublisher, jobs: Jobs) -> None:
        self._publisher = publisher
        self._store = publisher.store
        self._jobs = jobs
        self.kind = Kind(publisher.kind)
        self._tidied = 0.0

    async def publish_due(self, job: Job, channel: str) -> None:
        """Publish the posts of a channel that are due, until none is due soon, as the function of a job."""
        while True:
            await job.lease()
            try:
                found = await self._store.claim_next(
                    channel, job.key, self._publisher.claim_seconds, LEAD_SECONDS, self._publisher.now
                )
                if found is None:
                    return
                if isinstance(found, float):
                    await asyncio.sleep(min(found, _POLL_SECONDS))
                    continue
                failpoint("schedule.claimed")
                await self._publisher.publish(found.row, found.now)
            except ChannelAdapterError as error:  # of the database: a job that raises would end for good
                log.warning("schedule.store_failed", channel=channel, reason=error.message[:200])
                await asyncio.sleep(_AGAIN_SECONDS)

    async def look(self) -> None:
        """Start the jobs that are due, and delete old posts. Raises UnavailableError."""
        await self.start_due()
        await self.tidy(asyncio.get_running_loop().time())

    async def start_due(self) -> None:
        """Start a job for every channel that needs one and has none. Raises UnavailableError."""
        lanes = await self._store.due_lanes(LEAD_SECONDS, self._publisher.now)
        states = await self._jobs.statuses([_job_key(channel, run) for channel, run in lanes.items() if run])
        running = {key for key, state in states.items() if not state.ended}
        wanted = {channel: run + 1 for channel, run in lanes.items() if _job_key(channel, run) not in running}
        if not wanted:
            return
        failpoint("schedule.queueing")
        await self._jobs.start_many(self.kind, {_job_key(channel, run): [channel] for channel, run in wanted.items()})
        failpoint("schedule.queued")
        await self._store.next_runs(wanted)
        await self._jobs.delete([key for key, state in states.items() if state.ended])

    async def tidy(self, clock: float) -> None:
        """Delete posts that ended 30 days ago, periodically; `clock` is in seconds."""
        if clock - self._tidied >= _TIDY_SECONDS:
            self._tidied = clock
            await self._store.tidy(_KEEP_SECONDS, _TIDIED, self._publisher.now)


async def serve(publisher: ScheduledPublisher, url: str) -> None:
    """Publish what is due until the call is cancelled. Raises ConfigurationError and UnavailableError at the start."""
    async with open_jobs(url) as jobs:
        schedule = ScheduleJobs(publisher, jobs)
        jobs.register(schedule.kind, schedule.publish_due, shared=True)
        async with jobs.run_worker([schedule.kind]):
            await repeat(schedule.look, LOOK_SECONDS, SystemClock(), partial(log_failure, "schedule.look_failed"))


def _job_key(channel: str, run: int) -> str:
    return f"schedule:{channel}:{run}"
