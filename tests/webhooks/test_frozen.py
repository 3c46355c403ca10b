"""A receiver that is stopped for longer than its leases and then continues."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

from channel_adapter.webhooks.durable_storage import LEASE_SECONDS
from tests.webhooks.rig import effects, engine_of, receiver, wait_for_effects, write_settings
from tests.webhooks.sender import Sender, body

START = 1_736_000_000_000
EVENTS, CHANNELS = 400, 20


async def test_frozen_receiver_repeats_no_transactional_effect(tmp_path: Path, postgres_url: str) -> None:
    """Both receivers write an effect of each event in its transaction, and another one to a file."""
    settings = write_settings(tmp_path, postgres_url, retry_seconds=0.1)
    engine = engine_of(postgres_url)
    plain = tmp_path / "plain"
    bodies = [body(f"@TOA#_a{n % CHANNELS}", f"u{n}", START + n) for n in range(EVENTS)]
    wanted = {(f"@TOA#_a{n % CHANNELS}", f"u{n}") for n in range(EVENTS)}
    options = {"handlers": "tests.webhooks.effects:register_both", "more": {"EFFECTS_FILE": str(plain)}}
    with receiver(settings, **options) as first, receiver(settings, **options) as second:
        to_first = asyncio.ensure_future(Sender(first.url).pace(bodies[::2], 150.0, 4))
        await asyncio.sleep(0.7)
        first.process.send_signal(signal.SIGSTOP)
        try:
            await Sender(second.url).insist(bodies[1::2], 4)
            await asyncio.sleep(2 * LEASE_SECONDS)
        finally:
            first.process.send_signal(signal.SIGCONT)
        await to_first
        await Sender(second.url).insist(bodies[::2], 4)  # those not acknowledged by the first
        await asyncio.to_thread(wait_for_effects, engine, EVENTS)
        await asyncio.sleep(1.0)
        found = effects(engine)
    engine.dispose()
    assert Counter(found) == dict.fromkeys(wanted, 1)
    repeats = Counter(plain.read_text(encoding="utf-8").split())
    assert set(repeats) == {who for _, who in wanted}
    assert sum(repeats.values()) - EVENTS <= 20
