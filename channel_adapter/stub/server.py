"""The stub on a socket: in an event loop, in a thread, or as a process."""

import asyncio
import contextlib
import gc
import shutil
import signal
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

import orjson

from channel_adapter.concurrency.files import replace_file
from channel_adapter.quoting import shown_text
from channel_adapter.stub.callbacks.delivery import WebhookSender
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.plane import ControlPlane, ControlSettings
from channel_adapter.stub.dispatcher import RequestDispatcher
from channel_adapter.stub.faults.faults import Fault, Faults, Latency
from channel_adapter.stub.http_app import HttpApp, HttpServer
from channel_adapter.stub.request_log import RequestLog
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.state_file import SAVE_EVERY, StateFile
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.stub_state import StubState

CA_NAME = "ca.pem"


def own_certificate(names: Sequence[str], directory: Path) -> tuple[ssl.SSLContext, Path]:
    """Return a server context for `names` (hosts, addresses), and the CA file that clients must trust.

    The CA file is written into `directory`. Private keys are on disk only while the context loads them.
    """
    import trustme  # noqa: PLC0415 - a tenth of a second that a stub without TLS need not spend

    authority = trustme.CA()
    context = _server_context()
    authority.issue_cert(*names).configure_cert(context)
    ca_file = directory / CA_NAME
    authority.cert_pem.write_to_path(ca_file)
    return context, ca_file


def given_certificate(cert_file: Path, key_file: Path) -> ssl.SSLContext:
    """Return a server context with a certificate chain and key from files."""
    context = _server_context()
    context.load_cert_chain(cert_file, key_file)
    return context


def _server_context() -> ssl.SSLContext:
    return ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)


LOOPBACK: Final = "127.0.0.1"
TLS_NAMES: Final = ("localhost", LOOPBACK)
_EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - recognised, not bound to
_BACKLOG: Final = 1_024

ResultT = TypeVar("ResultT")


class StubServer:
    """A stub that listens between `start` and `stop`. Its state exists before and after.

    `tls`: True makes a certificate for `tls_names` and the host; a pair of paths is (chain, key).
    `latency`, `latency_spread`: seconds by which every answer is late, and up to how many more, drawn from `seed`.
    `control` opens `/_stub/`; without it the stub has no such path.
    `state` is loaded at the first start, saved every `save_every` seconds and at the end; 0 saves before every answer.
    It is locked while the server runs: a second server on the same file raises StateFileError at its start.
    """

    def __init__(
        self,
        settings: StubSettings | None = None,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        tls: bool | tuple[Path, Path] = False,
        tls_names: Sequence[str] = TLS_NAMES,
        clock: StubClock | None = None,
        seed: int = 0,
        latency: float = 0.0,
        latency_spread: float = 0.0,
        faults: Sequence[Fault] = (),
        webhooks: CallbackSettings | None = None,
        control: ControlSettings | None = None,
        state: Path | None = None,
        save_every: float = SAVE_EVERY,
    ) -> None:
        self.world = StubState(settings, clock=clock, seed=seed)
        self.faults = Faults(faults, seed=seed)
        self.webhooks = WebhookSender(self.world, webhooks, seed=seed)
        self.dispatcher = RequestDispatcher(self.world, faults=self.faults, webhooks=self.webhooks)
        late = Latency(latency, latency_spread, seed)
        hosts = [name for name in (host, *tls_names) if name not in _EVERYWHERE]
        plane = (
            None
            if control is None
            else ControlPlane(control, self.dispatcher, self.webhooks, late, self.reset, hosts=hosts)
        )
        self._state = None if state is None else StateFile(state, self.world)
        self._save_every = save_every
        self._saving: asyncio.Task[None] | None = None
        before = self._state.save if self._state is not None and not save_every else None
        self.app = HttpApp(self.dispatcher, latency=late, control=plane, before_response=before)
        self.ca_file: Path | None = None
        """The CA to trust while the server runs; None without TLS and with a certificate of the caller's own."""
        self._host = host
        self._port = port
        self._tls = tls
        self._tls_names = tls_names
        self._directory: Path | None = None
        self._http: HttpServer | None = None
        self._listener: asyncio.Server | None = None

    def __repr__(self) -> str:
        where = self.url if self._listener is not None else "stopped"
        return f"StubServer({where}, sdkappid={self.sdkappid}, admin={self.admin!r})"

    @property
    def url(self) -> str:
        """Return the base URL with scheme and port; a client appends `/v4/...`. RuntimeError unless it runs."""
        if self._listener is None:
            raise RuntimeError("the stub has no address before start() and after stop()")
        port = self._listener.sockets[0].getsockname()[1]
        host = LOOPBACK if self._host in _EVERYWHERE else self._host
        return f"{'https' if self._tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"

    @property
    def sdkappid(self) -> int:
        return self.world.settings.app.sdkappid

    @property
    def admin(self) -> str:
        return self.world.settings.app.admin

    @property
    def key(self) -> str:
        """Return the secret that signs UserSigs of this app."""
        return self.world.settings.app.key.get_secret_value()

    @property
    def log(self) -> RequestLog:
        return self.dispatcher.log

    def reset(self) -> None:
        """Forget accounts, groups, calls and rates; settings, clock and faults stay, faults count from zero."""
        self.dispatcher.reset()
        self.webhooks.reset()
        self.app.reset()

    async def start(self) -> None:
        """Listen. OSError when the address is taken or not ours, StateFileError when the state cannot be loaded."""
        if self._listener is not None:
            raise RuntimeError("the stub is running already")
        if self._state is not None:
            self._state.open()
        try:
            await self._start_listening()
        except BaseException:
            if self._state is not None:
                self._state.close()
            raise
        await self.webhooks.start()
        if self._state is not None and self._save_every:
            self._saving = asyncio.create_task(self._state.keep(self._save_every))

    async def _start_listening(self) -> None:
        context = self._make_tls_context()
        self._http = HttpServer(self.app)
        try:
            self._listener = await asyncio.get_running_loop().create_server(
                self._http, self._host, self._port, ssl=context, backlog=_BACKLOG
            )
        except OSError:
            self._remove_directory()
            raise

    async def stop(self) -> None:
        """Stop listening, drop all connections, save. Does nothing when it does not run.

        StateFileError when the state cannot be saved; the stub has stopped all the same.
        """
        listener, http = self._listener, self._http
        if listener is None or http is None:
            return
        self._listener = self._http = None
        listener.close()
        await http.stop()
        await self.webhooks.stop()
        await asyncio.sleep(0)  # the transports close in the next turn of the loop
        self._remove_directory()
        if self._saving is not None:
            self._saving.cancel()
            self._saving = None
        if self._state is not None:
            try:
                self._state.save()
            finally:
                self._state.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @contextlib.contextmanager
    def run_in_thread(self) -> Iterator[Self]:
        """Run in a thread with a loop of its own, for callers without one."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="stub", daemon=True)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self.start(), loop).result()
            yield self
        finally:
            try:
                asyncio.run_coroutine_threadsafe(self.stop(), loop).result()
            finally:
                loop.call_soon_threadsafe(loop.stop)
                thread.join()
                loop.close()

    def in_loop(self, do: Callable[[], ResultT]) -> ResultT:
        """Run a function between two requests, from a thread other than the one that serves."""

        async def turn() -> ResultT:
            return do()

        if self._listener is None:
            raise RuntimeError("the stub does not run")
        return asyncio.run_coroutine_threadsafe(turn(), self._listener.get_loop()).result()

    def _make_tls_context(self) -> ssl.SSLContext | None:
        if isinstance(self._tls, tuple):
            return given_certificate(*self._tls)
        if not self._tls:
            return None
        self._directory = Path(tempfile.mkdtemp(prefix="stub-ca-"))
        names = dict.fromkeys(name for name in (*self._tls_names, self._host) if name not in _EVERYWHERE)
        context, self.ca_file = own_certificate(tuple(names), self._directory)
        return context

    def _remove_directory(self) -> None:
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)
            self._directory = self.ca_file = None


async def serve(
    settings: StubSettings | None = None,
    *,
    host: str = LOOPBACK,
    port: int = 0,
    tls: bool | tuple[Path, Path] = False,
    tls_names: Sequence[str] = TLS_NAMES,
    ready_file: Path | None = None,
    latency: float = 0.0,
    seed: int = 0,
    faults: Sequence[Fault] = (),
    webhooks: CallbackSettings | None = None,
    control: ControlSettings | None = None,
    state: Path | None = None,
    save_every: float = SAVE_EVERY,
    on_ready: Callable[[StubServer], None] | None = None,
) -> None:
    """Run a stub until SIGTERM or SIGINT, then end immediately.

    `ready_file` gets one JSON line once connections are accepted; an older file is removed first. `on_ready` is called.
    Raises StubStartError, ReadyFileError, and StateFileError for a state that cannot be loaded or saved.
    """
    if ready_file is not None:
        _delete_file(ready_file)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    server = StubServer(
        settings,
        host=host,
        port=port,
        tls=tls,
        tls_names=tls_names,
        seed=seed,
        latency=latency,
        faults=faults,
        webhooks=webhooks,
        control=control,
        state=state,
        save_every=save_every,
    )
    gc.freeze()  # modules live as long as the process: the collector need not look at them again
    async with contextlib.AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(server)
        except (OSError, UnicodeError) as error:
            raise StubStartError(error) from None
        if ready_file is not None:
            write_ready_file(ready_file, server)
        if on_ready is not None:
            on_ready(server)
        await ended.wait()


class StubStartError(Exception):
    """Raised when a stub cannot listen, or cannot use its certificate; `reason` is the error of the system.

    It is UnicodeError for a name of a host that is too long.
    """

    def __init__(self, reason: OSError | UnicodeError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class ReadyFileError(Exception):
    """Raised for a ready file that cannot be removed or written. `str()` is one sentence."""


def _delete_file(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise ReadyFileError(f"{shown_text(path)} cannot be removed: {error.strerror}") from None


def write_ready_file(path: Path, server: StubServer) -> None:
    """Write one JSON line with what a client needs, the key included; only its owner can read the file.

    Raises ReadyFileError.
    """
    ready = {
        "url": server.url,
        "sdkappid": server.sdkappid,
        "admin": server.admin,
        "key": server.key,
        "ca_file": None if server.ca_file is None else str(server.ca_file),
    }
    try:
        replace_file(path, orjson.dumps(ready, option=orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise ReadyFileError(f"{shown_text(path)} cannot be written: {error.strerror}") from None
