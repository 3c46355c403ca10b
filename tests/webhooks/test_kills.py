"""Killed receivers, and two with one database: each acknowledged event is handled, each effect happens once."""

import asyncio
import random
import time
from collections import Counter
from pathlib import Path

from tests.benchmarks.bench_webhooks import ACCOUNTS, Killed
from tests.webhooks.rig import effects, engine_of, receiver, wait_for_effects, write_settings
from tests.webhooks.sender import Sender, body

START = 1_736_000_000_000


async def test_kills_lose_and_repeat_no_acknowledged_event(tmp_path: Path) -> None:
    killed = Killed(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}")
    try:
        done = await killed.run(200, at=(50, 100, 150))
    finally:
        killed.end()
    assert killed.kills == 3
    assert len(killed.acknowledged) == 200
    assert Counter(done) == dict.fromkeys(killed.acknowledged, 1)


async def test_two_receivers_with_one_database_produce_each_effect_once(tmp_path: Path, postgres_url: str) -> None:
    """Each event is sent to both receivers in different order, and one of them is killed during this."""
    settings = write_settings(tmp_path, postgres_url, retry_seconds=0.1)
    engine = engine_of(postgres_url)
    bodies = [body(f"@TOA#_a{n % ACCOUNTS}", f"u{n}", START + n) for n in range(200)]
    wanted = {(f"@TOA#_a{n % ACCOUNTS}", f"u{n}"): 1 for n in range(200)}
    with receiver(settings) as first, receiver(settings) as second:
        shuffled = random.sample(bodies, len(bodies))
        to_first, to_second = Sender(first.url), Sender(second.url)
        both = asyncio.gather(to_first.insist(bodies, 8), to_second.flood(shuffled, 8))
        await asyncio.sleep(0.4)
        second.kill()
        await both
        found = await asyncio.to_thread(wait_for_effects, engine, len(wanted))
        await asyncio.sleep(0.5)
        found = effects(engine)
        second.process.returncode = 0
    engine.dispose()
    assert Counter(found) == wanted


async def test_receiver_ends_immediately_and_the_next_one_continues(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    settings = write_settings(tmp_path, url, reorder_seconds=30.0)
    with receiver(settings) as running:
        sender = Sender(running.url)
        await sender.insist([body("@TOA#_a", f"u{n}", START + n) for n in range(20)], 4)
        begun = time.monotonic()
        running.process.terminate()
        assert running.process.wait(60) == 0
        assert time.monotonic() - begun < 20  # the events wait for 30
    write_settings(tmp_path, url)
    engine = engine_of(url)
    with receiver(settings):
        found = await asyncio.to_thread(wait_for_effects, engine, 20)
    engine.dispose()
    assert found == [("@TOA#_a", f"u{n}") for n in range(20)]


async def test_receiver_ends_in_time_while_a_handler_hangs(tmp_path: Path) -> None:
    """The handler ignores cancellation; the next receiver handles its event."""
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    settings = write_settings(tmp_path, url)
    with receiver(settings, handlers="tests.webhooks.effects:register_deaf") as running:
        assert await Sender(running.url).post(body("@TOA#_a", "u", START)) == 200
        await asyncio.sleep(0.3)
        running.process.terminate()
        begun = time.monotonic()
        assert await asyncio.to_thread(running.process.wait, 60) == 0
        assert time.monotonic() - begun < 20
    engine = engine_of(url)
    with receiver(settings):
        found = await asyncio.to_thread(wait_for_effects, engine, 1)
    engine.dispose()
    assert found == [("@TOA#_a", "u")]


async def test_receiver_ends_while_its_database_is_away(tmp_path: Path) -> None:
    """The next receiver handles the event that could not be recorded."""
    file = tmp_path / "inbox.db"
    url, away = f"sqlite:///{file}", tmp_path / "inbox.db.away"
    settings = write_settings(tmp_path, url)
    handlers, log = "tests.webhooks.effects:register_removing", tmp_path / "log.txt"
    with receiver(settings, stderr=log, handlers=handlers, more={"EFFECTS_FILE": str(file)}) as running:
        assert await Sender(running.url).post(body("@TOA#_a", "u", START)) == 200
        async with asyncio.timeout(60):
            while not away.exists():  # noqa: ASYNC110 - of another process
                await asyncio.sleep(0.01)
        running.process.terminate()
        assert await asyncio.to_thread(running.process.wait, 60) == 0
    assert "webhooks.marks_given_up" in log.read_text(encoding="utf-8")
    away.rename(file)
    engine = engine_of(url)
    with receiver(settings):
        found = await asyncio.to_thread(wait_for_effects, engine, 1)
    engine.dispose()
    assert found == [("@TOA#_a", "u")]
