"""A process that does durable work: `python -m tests.durable.worker URL FILE begin|serve [count]`.

Each workflow writes `<id> one` to the file, waits, and writes `<id> two`; both are steps.
`<id> recorded` comes between them.
"""

import asyncio
import os
import sys
from pathlib import Path

from dbos import DBOS, SetWorkflowID

from channel_adapter.durable import Durable, Feature

FEATURE = Feature("test-work", ("test.two_steps",))
_file = Path()


def note(text: str) -> None:
    with _file.open("a", encoding="utf-8") as file:
        file.write(f"{text} {os.getpid()}\n")


@DBOS.step()
async def write(text: str) -> None:
    note(text)


@DBOS.workflow(name="test.two_steps")
async def two_steps(name: str, pause: float) -> str:
    await write(f"{name} one")
    note(f"{name} recorded")  # no step: a repeat writes it again
    await asyncio.sleep(pause)
    await write(f"{name} two")
    return name


async def main(url: str, role: str, count: int) -> None:
    durable = await Durable.start(url, FEATURE)
    if role == "begin":
        for number in range(count):
            with SetWorkflowID(f"w{number}"):
                await DBOS.start_workflow_async(two_steps, f"w{number}", 0.5)
    note("ready")
    await asyncio.sleep(60)
    await durable.stop()


if __name__ == "__main__":
    _file = Path(sys.argv[2])
    asyncio.run(main(sys.argv[1], sys.argv[3], int(sys.argv[4]) if len(sys.argv) > 4 else 0))
