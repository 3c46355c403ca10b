"""quarantine.jsonl: what cannot go, one record a line, whole, with the reason and how to try again."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import orjson

from channel_adapter.migration.plan_file import whole_file
from channel_adapter.migration.records import BrokenRecord

MEND = "mend the line in the file and plan again"


async def write_broken(path: Path, records: AsyncIterator[BrokenRecord]) -> int:
    """Write the broken records of a source; how many there were. Without any, a file of before goes. Raises OSError."""
    count = 0
    with whole_file(path) as file:
        async for record in records:
            entry = dataclasses.asdict(record) | {"retry": MEND}
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    if not count:
        _remove(path)
    return count


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
