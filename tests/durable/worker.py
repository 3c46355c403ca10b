"""A process that runs jobs: `python -m tests.durable.worker URL FILE begin|serve [count]`.

Each job writes `<id> one` to the file, waits, and writes `<id> two`; both are steps.
`<id> recorded` comes between them.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from channel_adapter.durable import Job, Jobs, Kind, open_jobs

KIND = Kind("test-work")
PAUSE = 2.0  # seconds between the steps: a kill in between hits no step whose effect is not recorded yet


class Notes:
    """The function of the jobs and the file to which it writes."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def note(self, text: str) -> None:
        with self._file.open("a", encoding="utf-8") as file:
            file.write(f"{text} {os.getpid()}\n")

    async def write(self, text: str) -> None:
        self.note(text)

    async def two_steps(self, job: Job, name: str, pause: float) -> str:
        await job.step("one", self.write, f"{name} one")
        self.note(f"{name} recorded")  # no step: a repeat writes it again
        await asyncio.sleep(pause)
        await job.step("two", self.write, f"{name} two")
        return name


@asynccontextmanager
async def serving(url: str, file: Path) -> AsyncIterator[Jobs]:
    """Run these jobs in this process for the duration of a block."""
    async with open_jobs(url) as jobs:
        jobs.register(KIND, Notes(file).two_steps)
        async with jobs.run_worker([KIND]):
            yield jobs


async def main(url: str, file: Path, role: str, count: int) -> None:
    async with serving(url, file) as jobs:
        if role == "begin":
            for number in range(count):
                await jobs.start(KIND, f"w{number}", [f"w{number}", PAUSE])
        Notes(file).note("ready")
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0))
