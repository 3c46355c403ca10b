"""Common parts of the benchmarks: a stub in its own process, settings for it, and memory."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psutil

from channel_adapter import ChannelAdapter, Settings

COMMAND = Path(sys.executable).with_name("channel-adapter")


@contextmanager
def stub_process(toml: str = "", *, latency: float = 0, words: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the ready file's content of a stub in another process, with more `words` on its command line."""
    with tempfile.TemporaryDirectory() as folder:
        ready, config = Path(folder) / "ready.json", Path(folder) / "stub.toml"
        config.write_text(toml, encoding="utf-8")
        options: list[str | Path] = ["--ready-file", ready, "--config", config, "--latency", str(latency), *words]
        process = subprocess.Popen([COMMAND, "stub", "--port", "0", *options], stdout=subprocess.DEVNULL)
        try:
            while not ready.exists():
                if process.poll() is not None:
                    raise RuntimeError(f"the stub ended with {process.returncode}")
                time.sleep(0.02)
            yield json.loads(ready.read_text(encoding="utf-8")) | {"pid": process.pid}
        finally:
            process.terminate()
            process.wait(10)


def settings_for(ready: dict[str, Any], **more: Any) -> Settings:
    return Settings(sdkappid=ready["sdkappid"], key=ready["key"], admin=ready["admin"], base_url=ready["url"], **more)


@asynccontextmanager
async def adapter_on(ready: dict[str, Any], **more: Any) -> AsyncIterator[ChannelAdapter]:
    async with ChannelAdapter.open(settings_for(ready, **more)) as adapter:
        yield adapter


def resident_megabytes(pid: int | None = None) -> float:
    return psutil.Process(pid).memory_info().rss / 1e6
