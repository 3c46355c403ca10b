"""OpenTelemetry spans and metrics of an adapter, and an endpoint for metrics and health. Needs the extra `otel`."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.observability.endpoint import Health, serve_metrics
    from channel_adapter.observability.telemetry import Telemetry

__all__ = ["Health", "Telemetry", "serve_metrics"]

_HOMES = {"Health": "endpoint", "Telemetry": "telemetry", "serve_metrics": "endpoint"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
