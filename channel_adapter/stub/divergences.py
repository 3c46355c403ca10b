"""Where the real service is unknown or disputed, as data: what the stub does there, and how to make it do otherwise."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

FILE: Final = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, slots=True)
class Divergence:
    """One point. `id` is what answers cite; `switch` is `section.name` of a setting, None where there is none."""

    id: str
    unknown: str
    stub: str
    source: str
    switch: str | None = None


@cache
def divergences() -> tuple[Divergence, ...]:
    """Every point, in the order of the file. TypeError for a table that is not one."""
    tables = tomllib.loads(FILE.read_text(encoding="utf-8"))
    return tuple(Divergence(id=name, **table) for name, table in tables.items())
