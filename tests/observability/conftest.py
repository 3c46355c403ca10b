"""Adapter on the embedded stub with spans and metrics in memory."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import channel_adapter
from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.settings import WebhookSettings
from channel_adapter.observability import Telemetry
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings

KEY = "c0de5afe" * 8
TOKEN = "lighthouse-9d"


@dataclass
class Recorded:
    """Spans and metrics recorded so far."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.telemetry = Telemetry(provider, MeterProvider([self.reader]))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def children(self, parent: ReadableSpan) -> list[str]:
        """Return the names of the direct child spans of a span."""
        assert parent.context is not None
        return [
            span.name
            for span in self.spans
            if span.parent is not None and span.parent.span_id == parent.context.span_id
        ]

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        assert data is not None
        metrics = [each for of_app in data.resource_metrics for scope in of_app.scope_metrics for each in scope.metrics]
        return [point for each in metrics if each.name == f"channel_adapter.{name}" for point in each.data.data_points]

    def value(self, name: str) -> float:
        (point,) = self.points(name)
        return float(point.value)

    @property
    def text(self) -> str:
        """Return everything that would be exported."""
        data = self.reader.get_metrics_data()
        metrics = "" if data is None else data.to_json()
        return "\n".join([*(span.to_json() for span in self.spans), metrics])


def attributes(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of this package, without the prefix."""
    return {name.removeprefix("channel_adapter."): value for name, value in (span.attributes or {}).items()}


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


@asynccontextmanager
async def observed(
    recorded: Recorded, folder: Path, values: Mapping[str, Any] | None = None, **more: Any
) -> AsyncIterator[tuple[ChannelAdapter, StubServer]]:
    """Yield an adapter with telemetry in memory, and its stub; `values` are settings of the stub."""
    stub = StubSettings.model_validate({"app": {"group_fields": ["ch_tag"], "key": KEY}, **(values or {})})
    async with StubServer(stub) as server:
        settings = Settings(
            sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url,
            database_url=f"sqlite:///{folder / 'app.db'}", webhooks=WebhookSettings(tokens=[TOKEN]), **more,
        )  # fmt: skip
        async with ChannelAdapter.open(settings, telemetry=recorded.telemetry) as adapter:
            yield adapter, server


@pytest.fixture
def _no_opentelemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the modules of the extra `otel` fail to import, until the end of the test."""
    monkeypatch.setattr(channel_adapter, "observability", channel_adapter.observability)  # a new import replaces it
    for name in [name for name in sys.modules if name.startswith("channel_adapter.observability")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
