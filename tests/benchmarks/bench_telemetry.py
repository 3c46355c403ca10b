"""Cost of spans and metrics: calls with telemetry against calls without, and one attempt and operation alone.

python -m tests.benchmarks.bench_telemetry [--small]
"""

import asyncio
import sys
import time
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from channel_adapter import Attempt, ChannelAdapter
from channel_adapter.observability import Telemetry
from tests.benchmarks.rig import settings_for, stub_process


class Discard(SpanExporter):
    """Exporter that exports nothing: the cost of sending spans to a collector depends on the exporter."""

    def export(self, spans: Any) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def recording() -> Telemetry:
    """Return telemetry backed by the SDK, as in an app."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Discard()))
    return Telemetry(provider, MeterProvider([InMemoryMetricReader()]))


async def cost_of_calls(ready: dict[str, Any], telemetry: Telemetry | None, calls: int) -> float:
    """Return the CPU microseconds of this process for one operation with one call."""
    settings = settings_for(ready, rate_limits=False)
    async with ChannelAdapter.open(settings, telemetry=telemetry) as adapter:

        async def work(number: int) -> None:
            for _ in range(number):
                await adapter.accounts.check(["reader_1"])

        await work(20)
        busy = time.process_time()
        await asyncio.gather(*(work(calls // 10) for _ in range(10)))
        return (time.process_time() - busy) / calls * 1e6


def cost_alone(telemetry: Telemetry, number: int) -> tuple[float, float]:
    """Return the CPU microseconds to record an attempt, and an operation without work."""
    recorder = telemetry.of_app(1)
    attempt = Attempt("group_open_http_svc", "send_group_msg", 1, "success", None, 0.0, 0.0, 0.02)
    start = time.process_time()
    for _ in range(number):
        recorder.observe(attempt)
    attempts = (time.process_time() - start) / number * 1e6
    start = time.process_time()
    for _ in range(number):
        with recorder.span("posts.publish", {}):
            pass
    return attempts, (time.process_time() - start) / number * 1e6


def main() -> None:
    calls = 200 if "--small" in sys.argv else 3_000
    with stub_process("[rates]\nenabled = false\n") as ready:
        without, api, sdk = [], [], []
        for _ in range(1 if "--small" in sys.argv else 3):  # alternating, because the load of the machine varies
            without.append(asyncio.run(cost_of_calls(ready, None, calls)))
            api.append(asyncio.run(cost_of_calls(ready, Telemetry(), calls)))
            sdk.append(asyncio.run(cost_of_calls(ready, recording(), calls)))
    base = min(without)
    print(f"operation with one call         {base:.0f} us of CPU time without telemetry")
    print(f"with the API alone              {min(api) / base:.2f} times, {min(api) - base:+.0f} us")
    print(f"with the SDK                    {min(sdk) / base:.2f} times, {min(sdk) - base:+.0f} us")
    for name, telemetry in (("API alone", Telemetry()), ("SDK", recording())):
        attempt, operation = cost_alone(telemetry, calls)
        print(f"{name:10} one attempt {attempt:.1f} us, one operation {operation:.1f} us")


if __name__ == "__main__":
    main()
