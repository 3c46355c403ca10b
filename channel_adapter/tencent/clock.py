"""Time as an argument: what the runtime reads and waits with."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Wall time for signatures, steady time for deadlines, and a way to wait."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to other tasks."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds since some fixed moment; never goes back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only yields to other tasks."""
        await asyncio.sleep(max(0.0, seconds))
