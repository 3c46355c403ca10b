"""The state of one stub: everything that it stores, and the commands that it carries out one at a time."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from random import Random
from types import MappingProxyType, ModuleType
from typing import Any

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world import (
    accounts,
    contacts,
    extensions,
    group_data,
    groups,
    imports,
    members,
    messages,
    official_accounts,
    official_messages,
    one_to_one,
    parsing,
    refused,
    snapshot,
)
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.context import (
    ALLOW,
    RESTAPI,
    CallbackDecision,
    CallbackEvent,
    CommandContext,
    CommandHandler,
    PrebuiltReply,
)
from channel_adapter.stub.world.refusal import Refusal, not_played
from channel_adapter.stub.world.simulated_user import SimulatedUser
from channel_adapter.stub.world.state import AppData
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import CONTACT_SERVICE, PROFILE_SERVICE, UNMODELLED, Command, Idempotency
from channel_adapter.tencent.wire.envelope import Reply

AREAS: tuple[ModuleType, ...] = (
    accounts, groups, members, messages, imports, extensions, contacts, official_accounts, official_messages,
    group_data, one_to_one,
)  # fmt: skip

HANDLERS: Mapping[tuple[str, str], CommandHandler] = MappingProxyType(
    {
        (handler.command.service, handler.command.name): handler
        for handler in (
            *(value for area in AREAS for value in vars(area).values() if isinstance(value, CommandHandler)),
            *refused.HANDLERS,
        )
    }
)


UNKNOWN_FIELDS_KEPT = 1_000
WITH_ERROR_DISPLAY = frozenset({CONTACT_SERVICE, PROFILE_SERVICE})  # [doc 1640, 53437]


class StubState:
    """Executes commands on the data of one app, without I/O; deterministic with a seed and a frozen clock."""

    def __init__(
        self,
        settings: StubSettings | None = None,
        *,
        clock: StubClock | None = None,
        seed: int = 0,
        on_event: Callable[[CallbackEvent], None] | None = None,
    ) -> None:
        self.settings = settings or StubSettings()
        self.clock = clock or StubClock()
        self._listener = on_event
        self.unknown_fields: Counter[tuple[str, str]] = Counter()
        self.changes = 0
        """Grows with everything that may have changed the state."""
        self._seed = seed
        self._random = Random(seed)  # noqa: S311 - made-up ids must be repeatable
        self.state = AppData(self.settings.app.admins)

    def reset(self) -> None:
        """Forget everything but settings and clock; ids are drawn from the start of the seed again."""
        self._random.seed(self._seed)
        self.unknown_fields.clear()
        self.state = AppData(self.settings.app.admins)
        self.changes += 1

    def dump(self) -> dict[str, Any]:
        """Return the whole state as one JSON document with a version number; no settings, no secrets."""
        return snapshot.fold(self.records())

    def load(self, document: Any) -> None:
        """Replace the state by one that `dump` wrote; SnapshotError, and no change, for anything else."""
        self.restore(snapshot.unfold(document))

    def records(self) -> Iterator[snapshot.Record]:
        """Yield the state in small records; it must not change before the last one is yielded."""
        return snapshot.records(self.state, self._random)

    def restore(self, records: Iterable[snapshot.Record]) -> None:
        """Replace the state by that of such records; SnapshotError, and no change, when they are damaged."""
        self.state, self._random = snapshot.restore(records, self.settings.app.admins)
        self.changes += 1

    def handles(self, command: Command[Any, Any]) -> bool:
        """Return whether the stub has a handler for this command."""
        return (command.service, command.name) in HANDLERS

    def execute(
        self,
        command: Command[Any, Any],
        body: Any,
        *,
        caller: str,
        origin: str = RESTAPI,
        decision: CallbackDecision = ALLOW,
    ) -> Reply | PrebuiltReply:
        """Execute one call, or raise Refusal and change nothing. `decision`: the answer to the before-event."""
        handler, reply = self._run_command(command, body, caller, origin, decision)
        if handler.sized:
            self._check_size(reply.to_json())
        return reply

    def answer(
        self, command: Command[Any, Any], body: Any, *, caller: str, decision: CallbackDecision = ALLOW
    ) -> bytes:
        """Execute one call and return the reply as JSON."""
        handler, reply = self._run_command(command, body, caller, RESTAPI, decision)
        text = reply.to_json()
        if handler.sized:
            self._check_size(text)
        return text

    def _run_command(
        self, command: Command[Any, Any], body: Any, caller: str, origin: str, decision: CallbackDecision
    ) -> tuple[CommandHandler, Reply | PrebuiltReply]:
        handler, request = self._read_request(command, body)
        self.changes += command.idempotency is not Idempotency.READ
        call = self._make_context(request, caller, origin, decision)
        try:
            reply = handler.run(call)
        except UnicodeEncodeError:  # of a caller in this process: JSON text cannot contain it
            raise Refusal(parsing.bad_parameter(command), "a text has a surrogate, which is not valid UTF-8") from None
        finally:
            for event in call.events:
                self.emit(event)
        if command.service in WITH_ERROR_DISPLAY:
            reply.error_display = ""
        return handler, reply

    def _check_size(self, text: bytes) -> None:
        if len(text) > self.settings.limits.reply_bytes:
            raise Refusal(codes.REPLY_TOO_LARGE, "the answer is over 1 MB: ask for less")

    def before_callback(
        self, command: Command[Any, Any], body: Any, *, caller: str, origin: str = RESTAPI
    ) -> CallbackEvent | None:
        """Return the event to send before `execute`, if there is one; raises as `execute` does."""
        if not self.handles(command) or HANDLERS[command.service, command.name].before is None:
            return None
        handler, request = self._read_request(command, body)
        with self.calling(request, caller, origin) as call:
            return handler.before(call) if handler.before else None

    def client(self, user: str, platform: str = "iOS") -> SimulatedUser:
        """Return a simulated user of a client app; events have that platform."""
        self.changes += 1
        return SimulatedUser(self, user, platform)

    def draw(self, highest: int) -> int:
        """Return a random number from 0 to `highest`, under the seed."""
        return self._random.randint(0, highest)

    @contextmanager
    def calling(
        self, request: Any, caller: str, origin: str = RESTAPI, decision: CallbackDecision = ALLOW
    ) -> Iterator[CommandContext[Any]]:
        """Return the context of one call; its events are emitted when it ends, also with a Refusal."""
        call = self._make_context(request, caller, origin, decision)
        try:
            yield call
        finally:
            for event in call.events:
                self.emit(event)

    def _make_context(self, request: Any, caller: str, origin: str, decision: CallbackDecision) -> CommandContext[Any]:
        return CommandContext(
            request,
            self.state,
            self.settings,
            self._random,
            self.clock.now(),
            caller,
            origin,
            decision,
            listening=self._listener is not None,
        )

    def emit(self, event: CallbackEvent) -> None:
        """Pass an after-event to the listener, if there is one."""
        if self._listener is not None:
            self._listener(event)

    @property
    def listening(self) -> bool:
        """Return whether after-events have a listener; without one none are made."""
        return self._listener is not None

    def listen(self, listener: Callable[[CallbackEvent], None] | None) -> None:
        """Call `listener` with each after-event from now on; None ends it."""
        self._listener = listener

    @contextmanager
    def silenced(self) -> Iterator[None]:
        """Make no after-events inside the block."""
        listener, self._listener = self._listener, None
        try:
            yield
        finally:
            self._listener = listener

    def _read_request(self, command: Command[Any, Any], body: Any) -> tuple[CommandHandler, Any]:
        """Return handler and request; fields that the request type does not have are counted."""
        handler = HANDLERS.get((command.service, command.name))
        if handler is None:
            raise not_played(command.path)
        request = parsing.parse(command, handler.respell(body, self.settings) if handler.respell else body)
        for name in () if command.area == UNMODELLED else parsing.unknown_fields(request):
            seen = (command.path, name)
            if seen in self.unknown_fields or len(self.unknown_fields) < UNKNOWN_FIELDS_KEPT:
                self.unknown_fields[seen] += 1
        return handler, request
