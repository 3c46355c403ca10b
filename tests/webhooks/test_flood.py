"""A receiver process whose connections are used up by a client that never completes a request."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.webhooks.rig import receiver, write_settings
from tests.webhooks.sender import Sender, Wire, body, query

OPEN_FILES = 300
HALF_OPEN = 400
WEBHOOKS = 40


async def flood(url: str) -> list[int]:
    """Open more connections than the receiver has descriptors, then send webhooks; return their statuses."""
    wire = Wire(url)
    assert await wire.post(body("@TOA#_a", "first", 1_736_000_000_000), query()) == 200
    await wire.close()
    host, port = "127.0.0.1", int(url.rpartition(":")[2].partition("/")[0])
    opened = [await asyncio.open_connection(host, port) for _ in range(HALF_OPEN)]
    try:
        for _, writer in opened:
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\n")
        sender = Sender(url)
        bodies = [body("@TOA#_a", f"u{number}", 1_736_000_000_001 + number) for number in range(WEBHOOKS)]
        async with asyncio.timeout(60):
            return await asyncio.gather(*map(sender.post, bodies))
    finally:
        for _, writer in opened:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for _, writer in opened), return_exceptions=True)


@pytest.mark.parametrize(
    ("settings", "logged"),
    [({}, "webhooks.connection_limit"), ({"max_connections": 5_000}, "webhooks.accept_failed")],
    ids=["default limit", "limit above the descriptors"],
)
def test_signed_webhooks_are_answered_despite_half_open_connections(
    settings: dict[str, Any], logged: str, tmp_path: Path
) -> None:
    slow: dict[str, Any] = {"request_seconds": 600.0, **settings}  # no timeout of heads: only the limit helps
    file = write_settings(tmp_path, f"sqlite:///{tmp_path / 'inbox.db'}", slow, kind="memory")
    errors = tmp_path / "stderr"
    handlers = "tests.webhooks.effects:register_nothing"
    with receiver(file, handlers=handlers, open_files=OPEN_FILES, stderr=errors) as running:
        assert asyncio.run(flood(running.url)) == [200] * WEBHOOKS
    text = errors.read_text(encoding="utf-8")
    assert text.count(logged) == 1, text
    assert "Traceback" not in text
    assert len(text.splitlines()) < 10, text
