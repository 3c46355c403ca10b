"""The blocking twin of ChannelAdapter, for threads, Django views, Celery tasks, scripts and notebooks.

`sync.pyi` declares its interface; `python -m tests.sync.interface` writes that file from the asynchronous classes.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.extras import needs_extra
from channel_adapter.config.settings import Settings
from channel_adapter.tencent.client import Attempt

if TYPE_CHECKING:
    from channel_adapter.observability.telemetry import Telemetry

INTERNAL = frozenset(
    {"aclose", "backend", "call_rates", "clock", "instruments", "pipeline", "posting_moved", "signals"}
)
"""Attributes of ChannelAdapter that this class does not have: `close` replaces one, the others are not for apps."""

_WITH_HANDLERS = frozenset({"events", "guard"})


class SyncChannelAdapter:
    """Channels of one app, with blocking methods; any number of threads may share one.

    ```python
    with SyncChannelAdapter.open("adapter.toml") as adapter:
        channel = adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    ```
    """

    def __init__(self, adapter: ChannelAdapter) -> None:
        """Use `open`."""
        with needs_extra("SyncChannelAdapter", extra="sync"):
            from channel_adapter.concurrency.blocking import LoopThread  # noqa: PLC0415 - needs anyio
        self.settings: Settings = adapter.settings
        self._adapter = adapter
        self._thread = LoopThread(adapter, "SyncChannelAdapter")
        self._lock = threading.Lock()
        self._parts: dict[str, Any] = {}

    @classmethod
    def open(
        cls,
        config: str | Path | Settings | None = None,
        *,
        observer: Callable[[Attempt], None] | None = None,
        clock: Clock | None = None,
        telemetry: Telemetry | None = None,
    ) -> Self:
        """Return an adapter for a TOML file, for Settings, or for the environment alone.

        It connects at its first use, in a thread of its own; use it with `with`, or call `close`. In a server that
        forks, open it before and use it after. `observer` is called in that thread; `telemetry` records spans and
        metrics. Raises ConfigurationError.
        """
        return cls(ChannelAdapter.open(config, observer=observer, clock=clock, telemetry=telemetry))

    @contextmanager
    def receive_webhooks(
        self, *, host: str = "127.0.0.1", port: int = 0, path: str = "/", tls: ssl.SSLContext | None = None
    ) -> Iterator[str]:
        """Receive webhooks on a socket for the length of a block, and yield its URL. Raises OSError."""
        from channel_adapter.webhooks import serve  # noqa: PLC0415 - an area is imported when it is first used

        serving = self._thread.blocking(serve)(self._adapter, host=host, port=port, path=path, tls=tls)
        with serving as (_, url):
            yield url

    def close(self) -> None:
        """Publish the counts of reactions that are not published yet, close the connections, and end the thread.

        Calls of other threads that are running end with RuntimeError.
        """
        self._thread.stop()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in INTERNAL:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        if callable(getattr(type(self._adapter), name, None)):
            return self._thread.blocking(getattr(self._adapter, name))
        with self._lock:
            if name not in self._parts:
                part = self._thread.call(getattr, self._adapter, name)
                self._parts[name] = self._thread.view(part, handlers=name in _WITH_HANDLERS)
            return self._parts[name]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __dir__(self) -> list[str]:
        names = {*dir(type(self)), *dir(self._adapter)} - INTERNAL
        return sorted(name for name in names if not name.startswith("_"))

    def __repr__(self) -> str:
        return f"Sync{self._adapter!r}"
