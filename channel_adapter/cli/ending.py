"""How commands end that run until they are stopped."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from channel_adapter.cli.exits import Exit, UsageError, for_error
from channel_adapter.cli.output import Output
from channel_adapter.errors import ChannelAdapterError

_END_SECONDS = 1.9
_GOES_ON = "what was under way goes on at the next start"


class Ending:
    """The end of a command: whether it was asked for, and what is lost if the process does not wait for it."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._find_lost: Callable[[], str] = str
        self._failure: Exception | None = None
        self._timer = threading.Timer(_END_SECONDS, self._force_exit)
        self._timer.daemon = True

    async def wait(self) -> None:
        """Wait for SIGTERM or Ctrl-C."""
        await self._asked.wait()

    def report_lost(self, find: Callable[[], str]) -> None:
        """Set how to find out what work ends with the process; an empty text: none."""
        self._find_lost = find

    def finish(self, output: Output) -> Exit | None:
        """Return the exit code of a command that was asked to end: 4 if work ends with the process, which is noted."""
        lost = self._find_lost()
        if not lost:
            return None
        output.note(lost)
        return Exit.INTERRUPTED

    def ask(self) -> None:
        """Set the event, and let the process end in 1.9 seconds if it has not ended before."""
        if not self._asked.is_set():
            self._asked.set()
            self._timer.start()

    def fail(self, error: Exception) -> None:
        """Keep the error that ended the command, which decides the exit code."""
        self._failure = error

    def _force_exit(self) -> None:
        """End the process although threads wait for a database that does not answer."""
        code, text = Exit.DONE, _GOES_ON
        if lost := self._find_lost():
            code, text = Exit.INTERRUPTED, lost
        if isinstance(self._failure, ChannelAdapterError | UsageError):
            code, text = for_error(self._failure), self._failure.message
        elif self._failure is not None:
            code, text = Exit.REFUSED, f"a fault in this program: {type(self._failure).__name__}"
        sys.stderr.write(f"ended without waiting any longer; {text}\n")
        sys.stderr.flush()
        os._exit(code)


@asynccontextmanager
async def end_signal() -> AsyncIterator[Ending]:
    """Yield an ending that SIGTERM and Ctrl-C ask for. The process ends soon after them, whatever hangs.

    It is the outermost block of a command, so that the exit code is that of any error of the command.
    """
    ending = Ending()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.ask)
    try:
        yield ending
    except Exception as error:
        ending.fail(error)
        raise
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
