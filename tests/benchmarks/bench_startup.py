"""Cost of starting, in CPU seconds of whole processes: imports, `--help`, and the stub.

    python -m tests.benchmarks.bench_startup [--small]

Runs alternate; the medians are printed. Modules are compiled first, as pip leaves them. pydantic loads its modules
lazily, so it counts as imported once its BaseModel is available.
"""

import asyncio
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASE = "import aiohttp, tenacity, structlog; from pydantic import BaseModel"
OURS = "from channel_adapter import ChannelAdapter, Text"
COMMAND = Path(sys.executable).with_name("channel-adapter")


def cpu_of(arguments: list[str], environment: dict[str, str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def stub_times() -> tuple[float, float]:
    """Return the CPU time until the stub accepts connections, and until it has stopped."""
    from channel_adapter.stub.server import StubServer  # noqa: PLC0415 - imported after the other measurements

    server = StubServer()
    started = time.process_time()
    await server.start()
    ready = time.process_time()
    await server.stop()
    return ready - started, time.process_time() - ready


def main(*, small: bool) -> None:
    rounds = 3 if small else 15
    empty: list[float] = []
    base: list[float] = []
    ours: list[float] = []
    bare: list[float] = []
    help_: list[float] = []
    programs = {
        (sys.executable, "-c", "pass"): empty,
        (sys.executable, "-c", BASE): base,
        (sys.executable, "-c", OURS): ours,
        (sys.executable, "-c", "import channel_adapter"): bare,
        (str(COMMAND), "--help"): help_,
    }
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for program in programs:
            cpu_of(list(program), environment)
        for _ in range(rounds):
            for program, times in programs.items():
                times.append(cpu_of(list(program), environment))
    four, adapter = statistics.median(base), statistics.median(ours)
    print(f"its four main libraries: {four:.3f} s CPU; with the adapter: {adapter:.3f} s; ratio {adapter / four:.2f}")
    print(f"import channel_adapter alone: ratio {statistics.median(bare) / four:.2f}")
    print(f"python itself: {statistics.median(empty):.3f} s")
    print(f"channel-adapter --help: {statistics.median(help_):.3f} s CPU")
    runs = [asyncio.run(stub_times()) for _ in range(rounds)]
    ready, stopped = (statistics.median(column) * 1000 for column in zip(*runs, strict=True))
    print(f"stub ready after {ready:.1f} ms of CPU, stopped after {stopped:.1f} ms")


if __name__ == "__main__":
    main(small="--small" in sys.argv)
