"""Differences that somebody has looked at and accepts: lines of an earlier verification, taken word by word.

What is not in them, or is no longer as it was, stays open. A list that could not be read cannot be accepted: nobody has
seen what is in it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import orjson

from channel_adapter.errors import InvalidError
from channel_adapter.migration.findings import ACCEPTED, EVERY, Finding

_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Accepted:
    """Findings that may be there. Holds 16 bytes of each."""

    digests: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """Those of these findings that nothing explains, or that were accepted before."""
        wanted = (each for each in findings if (not each.settled or each.explained == ACCEPTED) and each.key != EVERY)
        return cls(frozenset(map(_digest, wanted)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file that `verify` has written, whole or in part. Raises InvalidError for other lines, OSError."""
        with path.open("rb") as lines:
            return cls.of(
                _finding(line, f"{path.name}, line {number}")
                for number, line in enumerate(lines, start=1)
                if line.strip()
            )

    def judged(self, finding: Finding) -> Finding:
        """The finding, explained if it is one of these."""
        if finding.settled or _digest(finding) not in self.digests:
            return finding
        return replace(finding, explained=ACCEPTED)


NOTHING_ACCEPTED: Final = Accepted()


def _finding(line: bytes, where: str) -> Finding:
    try:
        return Finding.from_json(line)
    except (ValueError, KeyError, TypeError):
        raise InvalidError(f"{where}: this is no line of a verification", field="explained") from None


def _digest(finding: Finding) -> bytes:
    """Of everything but the explanations."""
    said = [[each.field, each.source, each.target] for each in finding.differences]
    whole = [finding.channel, finding.what, finding.key, finding.mark, said, finding.reason]
    return hashlib.blake2b(orjson.dumps(whole), digest_size=_DIGEST_BYTES).digest()
