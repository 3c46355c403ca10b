"""quarantine.jsonl: what cannot go, one record a line, whole, with the reason and how to try again."""

import dataclasses
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from channel_adapter.migration.plan_file import whole_file
from channel_adapter.migration.records import BrokenRecord

if TYPE_CHECKING:
    from channel_adapter.store.migration import QuarantineRow

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


def write_quarantine(path: Path, rows: Iterable["QuarantineRow"]) -> int:
    """Write what could not go, behind the broken records that the plan has put there; how much there is now.

    A line of these names channel, kind, key, reason, the record whole, and how to try again. Raises OSError.
    """
    held = path.read_bytes().splitlines() if path.exists() else []
    broken = [line for line in held if "what" not in orjson.loads(line)]
    count = 0
    with whole_file(path) as file:
        for line in broken:
            file.write(line + b"\n")
            count += 1
        for row in rows:
            entry = {
                "channel": row.source, "what": row.what, "key": row.key, "reason": row.reason,
                "raw": orjson.loads(row.raw), "retry": row.retry,
            }  # fmt: skip
            file.write(orjson.dumps(entry, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    if not count:
        _remove(path)
    return count


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
