"""Downloads and streams that fail after their first byte: the client is not left with what looks like all of it."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest

from channel_adapter.stub.faults.faults import Fault
from tests.console.conftest import ROLE_HEADER, Served
from tests.console.test_imports import uploaded

HEADERS = {ROLE_HEADER: "admin"}
CSV = "/c/harbor_news/subscribers.csv"
SECONDS = 30


async def subscribe_350_and_break_the_third_page(served: Served) -> None:
    users = [f"user_{number}" for number in range(350)]
    await served.adapter.accounts.add(users)
    await served.adapter.subscriptions.subscribe("harbor_news", users, assign=False)
    served.stub.faults.add(Fault(command="get_group_member_info", nth=(3,), code=10004))


async def read_into(found: bytearray, answer: aiohttp.ClientResponse) -> None:
    async with asyncio.timeout(SECONDS):
        async for chunk in answer.content.iter_any():
            found += chunk


async def read_until_error(served: Served, place: str) -> bytes:
    """Return what arrived of an answer before its connection was reset."""
    found = bytearray()
    async with served.client.get(place, headers=HEADERS) as answer:
        assert answer.status == 200
        with pytest.raises(aiohttp.ClientError):
            await read_into(found, answer)
    assert b"<html" not in found
    assert b"HTTP/" not in found
    return bytes(found)


async def test_download_is_cut_off_when_the_service_fails(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    await subscribe_350_and_break_the_third_page(served)
    assert (await read_until_error(served, CSV)).startswith(b"user,role,since,notifications")
    assert f"console.answer_cut_off place={CSV}" in caplog.text.replace("'", "")
    async with served.client.get(CSV, headers=HEADERS) as answer:
        assert len((await answer.text()).splitlines()) == 351


async def test_download_of_http_1_0_is_reset(served: Served) -> None:
    """The end of the connection is the end of the file there."""
    await subscribe_350_and_break_the_third_page(served)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.client.server.port or 0)
    writer.write(f"GET {CSV} HTTP/1.0\r\nHost: a\r\n{ROLE_HEADER}: admin\r\n\r\n".encode())
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_error_before_the_first_byte_is_a_page(served: Served) -> None:
    served.stub.faults.add(Fault(command="get_group_member_info", code=10004))
    async with served.client.get(CSV, headers=HEADERS) as answer:
        assert (answer.status, answer.content_type) == (422, "text/html")


async def test_file_of_failures_is_cut_off_by_a_fault(stored: Served, tmp_path: Path) -> None:
    sent = await uploaded(stored.browser(), "user\nreader_1\nuser é\n")
    with closing(sqlite3.connect(tmp_path / "console.db")) as database, database:
        database.execute("UPDATE console_import_part SET failed = '[' WHERE number = 1")
    found = await read_until_error(stored, f"{sent.place}/failed.csv")
    assert b"unusable" in found


async def test_progress_is_cut_off_when_the_import_is_gone(stored: Served, tmp_path: Path) -> None:
    stored.stub.faults.add(Fault(command="add_group_member", status=502))
    browser = stored.browser()
    sent = await uploaded(browser, "reader_1\n")
    await browser.submit(sent.place)
    async with stored.client.get(f"{sent.place}/events", headers=HEADERS) as answer:
        assert await answer.content.readline() == b"event: message\n"
        with closing(sqlite3.connect(tmp_path / "console.db")) as database, database:
            database.execute("DELETE FROM console_import")
        with pytest.raises(aiohttp.ClientError):
            await read_into(bytearray(), answer)
