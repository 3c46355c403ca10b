"""What starting costs, in CPU seconds of whole processes: imports, `--help`, and the stub.

    python -m tests.benchmarks.bench_startup [--small]

Runs take turns; the medians are printed.
"""

import asyncio
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

BASE = "import aiohttp, pydantic, tenacity, structlog"
OURS = "from channel_adapter import ChannelAdapter, Text"
COMMAND = Path(sys.executable).with_name("channel-adapter")


def cpu_of(arguments: list[str]) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


async def stub_times() -> tuple[float, float]:
    """CPU until the stub accepts connections, and until it has stopped."""
    from channel_adapter.stub.serve import StubServer  # noqa: PLC0415 - imported after the other measurements

    server = StubServer()
    started = time.process_time()
    await server.start()
    ready = time.process_time()
    await server.stop()
    return ready - started, time.process_time() - ready


def main(*, small: bool) -> None:
    rounds = 3 if small else 15
    empty, base, ours, bare, help_ = [], [], [], [], []
    for _ in range(rounds):
        empty.append(cpu_of([sys.executable, "-c", "pass"]))
        base.append(cpu_of([sys.executable, "-c", BASE]))
        ours.append(cpu_of([sys.executable, "-c", OURS]))
        bare.append(cpu_of([sys.executable, "-c", "import channel_adapter"]))
        help_.append(cpu_of([str(COMMAND), "--help"]))
    four, adapter = statistics.median(base), statistics.median(ours)
    print(f"its four main libraries: {four:.3f} s CPU; with the adapter: {adapter:.3f} s; ratio {adapter / four:.2f}")
    print(f"import channel_adapter alone: ratio {statistics.median(bare) / four:.2f}")
    print(f"python itself: {statistics.median(empty):.3f} s")
    print(f"channel-adapter --help: {statistics.median(help_):.3f} s CPU")
    times = [asyncio.run(stub_times()) for _ in range(rounds)]
    ready, stopped = (statistics.median(column) * 1000 for column in zip(*times, strict=True))
    print(f"stub ready after {ready:.1f} ms of CPU, stopped after {stopped:.1f} ms")


if __name__ == "__main__":
    main(small="--small" in sys.argv)
