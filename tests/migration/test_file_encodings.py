"""Files of other encodings: lines that are not UTF-8 are reported and kept, and JSON arrays may be UTF-16."""

import io
import json
from pathlib import Path

import pytest

from channel_adapter.mapping.user_list import UnusableLine, read_users
from channel_adapter.migration.run.quarantine import write_broken
from tests.migration.test_sources_files import CHANNEL, broken, channels, opened, users, write

LATIN = {
    "subscribers.csv": b"channel,user\r\nharbour,anna\r\nharbour,J\xfcrgen\r\n"
    b'harbour,"m\xfcl\r\nler"\r\nharbour,bob\r\n',
    "subscribers.jsonl": b'{"channel":"harbour","user":"anna"}\n{"channel":"harbour","user":"J\xfcrgen"}\n'
    b'{"channel":"harbour","user":"m\xfcller"}\n{"channel":"harbour","user":"bob"}\n',
}
LATIN["array"] = b"[" + LATIN["subscribers.jsonl"].strip().replace(b"\n", b",\n") + b"]"


@pytest.mark.parametrize("form", LATIN)
async def test_lines_that_are_not_utf_8_are_reported_and_the_others_are_read(tmp_path: Path, form: str) -> None:
    write(tmp_path, "channels.jsonl", CHANNEL)
    (tmp_path / (form if "." in form else "subscribers.jsonl")).write_bytes(LATIN[form])
    source = await opened(tmp_path)
    assert [each.user for each in await users(source)] == ["anna", "bob"]
    assert [each.reason for each in await broken(source)] == ["not UTF-8"] * 2
    file = tmp_path / "plan.quarantine.jsonl"
    assert await write_broken(file, source.broken()) == 2
    raw = [json.loads(line)["raw"] for line in file.read_text().splitlines()]
    assert "J\\xfcrgen" in raw[0]
    assert "m\\xfcl" in raw[1]
    await source.aclose()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
async def test_json_array_in_the_encoding_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    text = json.dumps([CHANNEL | {"name": "Hafen 港"}], indent=2, ensure_ascii=False).replace("\n", "\r\n")
    (tmp_path / "channels.jsonl").write_bytes(text.encode(encoding))
    source = await opened(tmp_path)
    assert [each.name for each in await channels(source)] == ["Hafen 港"]
    assert await broken(source) == []
    await source.aclose()


def test_line_of_a_list_of_users_that_is_not_utf_8_can_be_stored() -> None:
    listed = list(read_users(io.BytesIO(b"user\nanna\nJ\xfcrgen\n")))
    [wrong] = [each for each in listed if isinstance(each, UnusableLine)]
    assert (wrong.reason, wrong.raw) == ("not UTF-8", "J\\xfcrgen\n")
