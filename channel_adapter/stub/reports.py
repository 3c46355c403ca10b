"""Reports about the stub: played commands, exercised codes, and points at which the real service is unknown.

The codes are in a file that lists the rows of the tests; the tests fail when the file lists other ones.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.stub.world.context import CommandHandler
from channel_adapter.stub.world.stub_state import HANDLERS
from channel_adapter.tencent.catalog import COMMANDS
from channel_adapter.tencent.codes import documented

COVERAGE_FILE: Final = Path(__file__).with_name("coverage.json")
GOLDEN: Final = Path(__file__).parents[2] / "tests" / "golden"
PLAYED, REFUSED, NOT_PLAYED = "yes", "refusals only", "no"
SITUATION, FAULT = "situation", "fault"  # how a code is shown: by what the documents say, or by an injected fault


@dataclass(frozen=True, slots=True)
class Coverage:
    """One command. `golden_files` is None without a checkout; `exercised` = `in_situation` + `by_fault`."""

    command: str
    implemented: bool
    golden_files: int | None
    documented: int
    exercised: int
    in_situation: int
    by_fault: int


@dataclass(frozen=True, slots=True)
class PlayedCommand:
    """One documented command; `played` is one of PLAYED, REFUSED and NOT_PLAYED."""

    command: str
    played: str


def played_commands() -> tuple[PlayedCommand, ...]:
    """Return every command of the catalog, in its order, with how much of it the stub plays."""
    return tuple(PlayedCommand(row.path, _play_status(HANDLERS.get(key))) for key, row in COMMANDS.items())


def _play_status(handler: CommandHandler | None) -> str:
    if handler is None:
        return NOT_PLAYED
    return REFUSED if handler.refusals_only else PLAYED


def coverage() -> tuple[Coverage, ...]:
    """Return the coverage of each command of the catalog, in its order."""
    rows, counts = _read_coverage_file(), _golden_files()
    return tuple(
        _command_coverage(path, codes, rows.get(path, {}), None if counts is None else counts.get(path, 0))
        for path, codes in documented_codes().items()
    )


def documented_codes() -> dict[str, frozenset[int]]:
    """Return by path the codes that the page of each command lists as its own."""
    return {row.path: documented(row.service, row.name) for row in COMMANDS.values()}


def _command_coverage(path: str, codes: frozenset[int], rows: Mapping[str, list[int]], golden: int | None) -> Coverage:
    situation = codes.intersection(rows.get(SITUATION, ()))
    fault = codes.intersection(rows.get(FAULT, ())) - situation
    service, _, name = path.partition("/")
    return Coverage(
        command=path,
        implemented=(service, name) in HANDLERS,
        golden_files=golden,
        documented=len(codes),
        exercised=len(situation) + len(fault),
        in_situation=len(situation),
        by_fault=len(fault),
    )


@cache
def _read_coverage_file() -> dict[str, Any]:
    content: dict[str, Any] = orjson.loads(COVERAGE_FILE.read_bytes())
    return content


def _golden_files() -> dict[str, int] | None:
    """Return by path the number of golden files `<service>/<command>[.<case>].json`; None without a checkout."""
    if not GOLDEN.is_dir():
        return None
    counts: dict[str, int] = {}
    for file in GOLDEN.glob("*/*.json"):
        path = f"{file.parent.name}/{file.name.partition('.')[0]}"
        counts[path] = counts.get(path, 0) + 1
    return counts


DIVERGENCES_FILE: Final = Path(__file__).with_name("divergences.toml")


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
    """Return each point, in the order of the file. TypeError for a table with other keys."""
    tables = tomllib.loads(DIVERGENCES_FILE.read_text(encoding="utf-8"))
    return tuple(Divergence(id=name, **table) for name, table in tables.items())
