"""Spans and metrics through the OpenTelemetry API: of operations, of attempts of calls, of webhooks, and of backlogs.

No span and no metric carries a body, a URL, a text of the service or of an exception: names, numbers and times only.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from importlib.metadata import version
from typing import Final, TypeVar, cast

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from channel_adapter.concurrency.clock import SystemClock
from channel_adapter.concurrency.instruments import AttributeValue, ValueReader
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.concurrency.repeat import repeat
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.observability.operations import TracedPart
from channel_adapter.tencent.client import Attempt
from channel_adapter.tencent.redaction import redact_text

T = TypeVar("T")

NAME: Final = "channel_adapter"
REFRESH_SECONDS: Final = 15.0
"""How often values of backlogs are read, beside each request for metrics."""
_READ_SECONDS: Final = 2.0
_REFUSED: Final = frozenset({"api_error", "throttled", "http_rejected"})
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
GAUGES: Final = {
    "inbox.lag": ("s", "how long the oldest event in the inbox has waited"),
    "inbox.waiting": ("{event}", "events in the inbox that are not handled yet"),
    "inbox.dead": ("{event}", "dead letters"),
    "reactions.unpublished": ("{post}", "posts whose counts of reactions are not published yet"),
    "schedule.lag": ("s", "how late the latest scheduled post was published"),
    "schedule.problems": ("{post}", "scheduled posts that failed, are late or were missed, until acknowledged"),
    "schedule.waiting": ("{post}", "scheduled posts that are not published yet"),
}
"""Metrics of values that are read periodically: name behind `channel_adapter.`, unit, description."""

_log = get_logger("channel_adapter.observability")


class Telemetry:
    """Spans and metrics of any number of adapters. Without providers those of the process are used.

    Make one object for each meter provider, and pass it to `ChannelAdapter.open(..., telemetry=...)`.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        release = version("channel-adapter")
        self.tracer: trace.Tracer = trace.get_tracer(NAME, release, tracer_provider=tracer_provider)
        meter = metrics.get_meter(NAME, release, meter_provider=meter_provider)
        self.duration: metrics.Histogram = meter.create_histogram(
            f"{NAME}.call.duration", "s", "time of an attempt of a call from sending to the answer",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )  # fmt: skip
        self.limiter_wait: metrics.Histogram = meter.create_histogram(
            f"{NAME}.limiter.wait", "s", "time that an attempt waited for the rate limit",
            explicit_bucket_boundaries_advisory=_BUCKETS,
        )  # fmt: skip
        self.refused: metrics.Counter = meter.create_counter(
            f"{NAME}.call.refused", "{call}", "attempts that the service refused"
        )
        self._sources: dict[ValueReader, _Source] = {}
        for name, (unit, description) in GAUGES.items():
            meter.create_observable_gauge(f"{NAME}.{name}", [partial(self._observe_values, name)], unit, description)

    @classmethod
    @cache
    def of_process(cls) -> "Telemetry":
        """Return the telemetry of this process: its providers are those that the app, or an agent, has set."""
        return cls()

    def of_app(self, sdkappid: int) -> "AppTelemetry":
        """Return what records for one adapter."""
        return AppTelemetry(self, sdkappid)

    async def refresh(self, app: "AppTelemetry | None" = None) -> None:
        """Read the values of all adapters of this event loop, or of one of them.

        What cannot be read within 2 seconds has no value until the next time.
        """
        reads = [read for read, source in self._sources.items() if app in (None, source.app)]
        await asyncio.gather(*(self._read_values(read) for read in reads))

    @contextmanager
    def source(self, app: "AppTelemetry", read: ValueReader) -> Iterator[None]:
        """Record what `read` returns for the length of a block."""
        self._sources[read] = _Source(app)
        try:
            yield
        finally:
            del self._sources[read]

    async def _read_values(self, read: ValueReader) -> None:
        values: Mapping[str, float] = {}
        try:
            async with asyncio.timeout(_READ_SECONDS):
                values = await read()
        except (ChannelAdapterError, TimeoutError) as error:
            _log.info("observability.unreadable", error=redact_text(str(error)) or "no answer in time")
        if read in self._sources:
            self._sources[read].values = values

    def _observe_values(self, name: str, _: CallbackOptions) -> Iterable[Observation]:
        """Return the values of one metric; called from any thread."""
        for source in list(self._sources.values()):
            if name in source.values:
                yield Observation(source.values[name], {f"{NAME}.app": source.app.sdkappid})


@dataclass(slots=True)
class _Source:
    """The values of one reader."""

    app: "AppTelemetry"
    values: Mapping[str, float] = field(default_factory=dict)


class AppTelemetry:
    """Records spans and metrics of one adapter."""

    def __init__(self, telemetry: Telemetry, sdkappid: int) -> None:
        self.telemetry = telemetry
        self.sdkappid = sdkappid
        self._tracer = telemetry.tracer
        self._calls: dict[tuple[str, str], dict[str, AttributeValue]] = {}

    def observe(self, attempt: Attempt) -> None:
        """Record an attempt that has just ended, as a child of the current span."""
        key = (attempt.service, attempt.command)
        common = self._calls.get(key)
        if common is None:
            common = self._calls[key] = {
                f"{NAME}.app": self.sdkappid, f"{NAME}.service": attempt.service, f"{NAME}.command": attempt.command,
            }  # fmt: skip
        self._add_span(attempt, common)
        labels = common | {f"{NAME}.outcome": attempt.outcome_kind}
        if attempt.outcome_kind != "not_attempted":
            self.telemetry.duration.record(attempt.wire, labels)
        self.telemetry.limiter_wait.record(attempt.limit_wait, common)
        if attempt.outcome_kind in _REFUSED:
            code = {} if attempt.code is None else {f"{NAME}.code": attempt.code}
            self.telemetry.refused.add(1, {**labels, **code})

    def _add_span(self, attempt: Attempt, common: Mapping[str, AttributeValue]) -> None:
        ended = time.time_ns()
        span = self._tracer.start_span(
            f"{attempt.service}/{attempt.command}",
            kind=SpanKind.CLIENT,
            start_time=ended - int(attempt.seconds * 1e9),
        )
        if span.is_recording():
            span.set_attributes(
                {
                    **common,
                    f"{NAME}.outcome": attempt.outcome_kind,
                    f"{NAME}.attempt": attempt.number,
                    f"{NAME}.waited": attempt.waited,
                    f"{NAME}.seconds": attempt.wire,
                }
            )
            if attempt.code is not None:
                span.set_attribute(f"{NAME}.code", attempt.code)
            if attempt.outcome_kind != "success":
                span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    @contextmanager
    def span(self, name: str, attributes: Mapping[str, AttributeValue]) -> Iterator[Span]:
        """Record a block as a span; an exception marks it as failed, by its class."""
        span = self.start(name)
        for key, value in attributes.items():
            span.set_attribute(f"{NAME}.{key}", value)
        try:
            with trace.use_span(span, record_exception=False, set_status_on_exception=False):
                yield span
        except BaseException as error:
            mark_failed(span, error)
            raise
        finally:
            span.end()

    def start(self, name: str) -> Span:
        """Begin a span."""
        return self._tracer.start_span(name, attributes={f"{NAME}.app": self.sdkappid})

    def values(self, read: ValueReader) -> AbstractContextManager[None]:
        """Record what `read` returns, periodically, for the length of a block."""
        return self.telemetry.source(self, read)

    async def refresh_regularly(self) -> None:
        """Read the values of this adapter every 15 seconds, until cancelled."""
        await repeat(partial(self.telemetry.refresh, self), REFRESH_SECONDS, SystemClock(), _log_failure)

    def traced(self, name: str, part: T) -> T:
        """Return a part of the adapter each of whose public methods is a span `name.method`."""
        return cast("T", TracedPart(part, name, self.start, mark_failed))

    def both(self, observer: Callable[[Attempt], None] | None) -> Callable[[Attempt], None]:
        """Return a function that records an attempt, and passes it to `observer` too."""
        if observer is None:
            return self.observe

        def record(attempt: Attempt) -> None:
            self.observe(attempt)
            observer(attempt)

        return record


def _log_failure(error: Exception) -> None:
    _log.error("observability.refresh_failed", error=redact_text(f"{type(error).__name__}: {error}"))


def mark_failed(span: Span, error: BaseException) -> None:
    """Record the class of an exception, and the number of the service if there is one; not its text."""
    if not span.is_recording():
        return
    span.set_attribute("error.type", type(error).__qualname__)
    if isinstance(error, ChannelAdapterError) and error.code is not None:
        span.set_attribute(f"{NAME}.code", error.code)
    if isinstance(error, Exception):
        span.set_status(Status(StatusCode.ERROR))
