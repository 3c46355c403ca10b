"""Assertions on the calls that the stub received, with the nearest calls when one is missing."""

from collections.abc import Mapping
from reprlib import Repr
from typing import Any, Final

from channel_adapter.stub.request_log import NearMiss, RecordedCall, is_named, nearest
from channel_adapter.stub.routes import check_name, find
from channel_adapter.stub.server import StubServer

_SHORT: Final = Repr()
_SHORT.maxstring = _SHORT.maxother = 120


class StubAssertions:
    """Assertions on a running stub. Fields are JSON names in snake case: `group_id` is `GroupId`."""

    def __init__(self, server: StubServer) -> None:
        self.server = server
        self.world = server.world
        self.clock = server.world.clock
        self.faults = server.faults
        self.webhooks = server.webhooks

    def __repr__(self) -> str:
        return f"Stub({self.server!r})"

    def calls(self, command: str | None = None, /, **fields: object) -> list[RecordedCall]:
        """Return the calls of this test, oldest first, of one command and with these fields in their bodies."""
        return self.server.log.calls(command, **fields)

    def assert_called(self, command: str, /, *, times: int | None = None, **fields: object) -> list[RecordedCall]:
        """Return the calls that match; AssertionError lists the nearest ones when none match, or not `times`."""
        __tracebackhide__ = True
        found = self.calls(command, **fields)
        if times == 0:
            check_name(command)
        if times is not None or not found:
            self._require_all_kept(command)
        if times is None and not found:
            raise AssertionError(
                f"{_describe_expected(command, fields)} was not called\n{self._describe_nearest(command, fields)}"
            )
        if times is not None and len(found) != times:
            actual, expected = _count_word(len(found)), _count_word(times)
            message = f"{_describe_expected(command, fields)} was called {actual}, expected {expected}"
            raise AssertionError(message if found else f"{message}\n{self._describe_nearest(command, fields)}")
        return found

    def assert_not_called(self, command: str, /, **fields: object) -> None:
        """Raise AssertionError when there is such a call.

        ValueError for a name that no command has, which a misspelt one is; `service/command` may be any.
        """
        __tracebackhide__ = True
        check_name(command)
        found = self.calls(command, **fields)
        if not found:
            self._require_all_kept(command)
        if found:
            answers = ", ".join("no answer" if call.code is None else str(call.code) for call in found)
            raise AssertionError(
                f"{_describe_expected(command, fields)} was called {_count_word(len(found))}, answered {answers}"
            )

    def unexpected(self) -> list[str]:
        """Return sentences about commands that the service does not have, and fields that commands do not have."""
        commands = {f"{call.service}/{call.command}": call for call in self.server.log}
        unknown = [path for path in commands if path != "/" and find(path) is None]
        return [f"unknown command {path}" for path in unknown] + [
            f"unknown field {field} of {path}, sent {_count_word(times)}"
            for (path, field), times in dict(self.world.unknown_fields).items()
        ]

    def _require_all_kept(self, command: str) -> None:
        """Raise AssertionError when the log has dropped calls of the command: they may be the ones that match."""
        __tracebackhide__ = True
        dropped = self.server.log.count(command) - len(self.calls(command))
        if dropped > 0:
            raise AssertionError(
                f"the log of the stub has dropped {dropped} older calls of {command}, which may match;"
                " server.log.count counts them too"
            )

    def _describe_nearest(self, command: str, fields: Mapping[str, object]) -> str:
        if not len(self.server.log):
            return "the stub was not called at all"
        count = f"{len(self.server.log)} call{'s' * (len(self.server.log) > 1)}"
        misses = [miss for miss in nearest(self.server.log, command, fields) if _is_different(miss, command)]
        shown = [miss for miss in misses if is_named(miss.call, command)] or misses
        if not shown:
            return f"none of {count} came near"
        return "\n".join([f"nearest of {count}:", *(f"  {_describe_miss(miss)}" for miss in shown)])


def _describe_expected(command: str, fields: Mapping[str, object]) -> str:
    given = ", ".join(f"{name}={_SHORT.repr(value)}" for name, value in fields.items())
    return f"{command} with {given}" if given else command


def _is_different(miss: NearMiss, command: str) -> bool:
    return bool(miss.differences) or not is_named(miss.call, command)


def _describe_miss(miss: NearMiss) -> str:
    call = miss.call
    answer = "no answer" if call.code is None else f"answered {call.code}"
    wrong = [
        f"{field} is {_shorten_value(actual)}, expected {_SHORT.repr(expected)}"
        for field, expected, actual in miss.differences
    ]
    return f"{call.service}/{call.command} ({answer}){': ' if wrong else ''}{'; '.join(wrong)}"


def _count_word(number: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(number, f"{number} times")


def _shorten_value(actual: Any) -> str:
    return "absent" if actual is None else _SHORT.repr(actual)
