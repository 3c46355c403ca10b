"""Whole table of rows, and the file of it in the package.

python -m tests.stub.documented.table    writes the file again, after rows have been added
"""

from pathlib import Path
from typing import Any

import orjson

import channel_adapter.stub.reports as report
from tests.stub.documented import groups, messages, one_to_one, users
from tests.stub.documented.case import Case
from tests.stub.documented.only_faults import fault_cases

SITUATIONS: list[Case] = [*groups.CASES, *messages.CASES, *users.CASES, *one_to_one.CASES]
FAULTS: list[Case] = list(
    fault_cases(report.documented_codes(), {(case.path, case.code) for case in SITUATIONS}),
)


def content() -> dict[str, Any]:
    """Return the content of the file: by command, the codes returned in a situation and by a fault."""
    found: dict[str, dict[str, set[int]]] = {}
    for kind, cases in ((report.SITUATION, SITUATIONS), (report.FAULT, FAULTS)):
        for case in cases:
            found.setdefault(case.path, {}).setdefault(kind, set()).add(case.code)
    return {path: {kind: sorted(codes) for kind, codes in kinds.items()} for path, kinds in sorted(found.items())}


def write(path: Path) -> None:
    """Write one command per line, so that a change affects one line."""
    lines = [f"  {orjson.dumps(name).decode()}: {orjson.dumps(kinds).decode()}" for name, kinds in content().items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    write(report.COVERAGE_FILE)
