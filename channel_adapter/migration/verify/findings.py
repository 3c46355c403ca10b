"""What a verification finds: a mark for every profile field, subscriber and post, counts, accepted findings."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Self

import orjson

from channel_adapter.errors import InvalidError

Value = str | int | None


class Mark(StrEnum):
    """Source against target."""

    SAME = "="
    MISSING = "-"  # on the target
    EXTRA = "+"  # on the target
    DIFFERS = "*"
    UNREADABLE = "!"


class Subject(StrEnum):
    """What a finding is about."""

    PROFILE = "profile"
    POST = "post"
    SUBSCRIBER = "subscriber"


NAMED: Final = 20
"""Findings that a verdict names; the file has all."""
ACCEPTED: Final = "accepted by hand"
"""What explains a difference that somebody has looked at."""
EVERY: Final = "*"
"""The key of a finding about all posts or people of a channel at once."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that is not the same. `explained` says which policy or rule wants it so; empty: nothing does."""

    field: str
    source: Value
    target: Value
    explained: str = ""

    def __str__(self) -> str:
        why = f" ({self.explained})" if self.explained else ""
        return f"{self.field}: {self.source!r} at the source, {self.target!r} here{why}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One profile field, post or subscriber of a channel, which is named by its id at the source.

    `key`: the field's name, the post's key at the source (`#` and its number on the target for one that only stands
    there), or the person. `reason` says in words what `differences` cannot; `explained` is about the whole of it.
    """

    channel: str
    what: Subject
    key: str
    mark: Mark
    differences: tuple[FieldDifference, ...] = ()
    reason: str = ""
    explained: str = ""

    @property
    def settled(self) -> bool:
        """The same, or as it has to be."""
        if self.mark is Mark.SAME or self.explained:
            return True
        return bool(self.differences) and all(each.explained for each in self.differences)

    def to_json(self) -> bytes:
        """One line, without what is empty."""
        line: dict[str, Any] = {"channel": self.channel, "what": self.what, "key": self.key, "mark": self.mark}
        if self.mark is not Mark.SAME:
            line["settled"] = self.settled
        if self.differences:
            line["differences"] = [
                {"field": each.field, "source": each.source, "target": each.target, "explained": each.explained}
                for each in self.differences
            ]
        line |= {name: text for name in ("reason", "explained") if (text := getattr(self, name))}
        return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    @classmethod
    def from_json(cls, line: bytes) -> "Finding":
        """What `to_json` has written."""
        held = orjson.loads(line)
        return cls(
            held["channel"], Subject(held["what"]), held["key"], Mark(held["mark"]),
            tuple(FieldDifference(**each) for each in held.get("differences", ())),
            held.get("reason", ""), held.get("explained", ""),
        )  # fmt: skip

    def __str__(self) -> str:
        """`* @TOA#_news profile name: name: 'Harbour news' at the source, 'Harbour' here`."""
        told = [str(each) for each in self.differences]
        words = "; ".join(filter(None, [self.reason, *told, self.explained]))
        return f"{self.mark} {self.channel} {self.what} {self.key}{f': {words}' if words else ''}"


@dataclass(slots=True)
class FindingCounts:
    """Counts of one channel, by what and mark. `open` are those that nothing explains."""

    marks: Counter[tuple[Subject, Mark]] = field(default_factory=Counter)
    open: int = 0
    lost: int = 0
    """Of the open ones: what the source has and the target has not, or has otherwise, or cannot show."""
    accepted: int = 0
    """Of the others: what nothing but somebody's word explains."""

    def add(self, finding: Finding) -> None:
        """Count one."""
        self.marks[finding.what, finding.mark] += 1
        self.accepted += finding.explained == ACCEPTED
        if not finding.settled:
            self.open += 1
            self.lost += finding.mark is not Mark.EXTRA

    def count(self, mark: Mark, what: Subject | None = None) -> int:
        """How many have this mark."""
        return sum(
            count for (each, found), count in self.marks.items() if found is mark and (what is None or each is what)
        )

    def to_json(self) -> dict[str, Any]:
        """Counts by what, then by mark."""
        counts = {what.value: {mark.value: self.count(mark, what) for mark in Mark} for what in Subject}
        return {**counts, "open": self.open, "accepted": self.accepted}


@dataclass(slots=True)
class VerificationResult:
    """What a verification has found. `named` are the first of the open findings.

    `not_compared` says in words what one of the two sides does not tell, of any post or person.
    """

    migration: str
    at: float
    not_compared: tuple[str, ...] = ()
    channels: dict[str, FindingCounts] = field(default_factory=dict)
    named: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Is everything the same, or as the plan's policies want it?"""
        return not self.open

    @property
    def open(self) -> int:
        """Findings that nothing explains."""
        return sum(tally.open for tally in self.channels.values())

    @property
    def accepted(self) -> int:
        """Findings that nothing but somebody's word explains."""
        return sum(tally.accepted for tally in self.channels.values())

    def count(self, mark: Mark, what: Subject | None = None) -> int:
        """How many have this mark, in all channels."""
        return sum(tally.count(mark, what) for tally in self.channels.values())

    def name(self, finding: Finding) -> None:
        """Keep it if it is one of the first that nothing explains."""
        if not finding.settled and len(self.named) < NAMED:
            self.named.append(finding)

    def to_json(self) -> dict[str, Any]:
        """The summary."""
        totals = {mark.value: self.count(mark) for mark in Mark}
        return {
            "migration": self.migration,
            "at": self.at,
            "clean": self.clean,
            "totals": totals,
            "open": self.open,
            "accepted": self.accepted,
            "not_compared": list(self.not_compared),
            "channels": {channel: tally.to_json() for channel, tally in self.channels.items()},
            "named": [orjson.loads(finding.to_json()) for finding in self.named],
        }


_DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Baseline:
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

    def apply(self, finding: Finding) -> Finding:
        """The finding, explained if it is one of these."""
        if finding.settled or _digest(finding) not in self.digests:
            return finding
        return replace(finding, explained=ACCEPTED)


EMPTY_BASELINE: Final = Baseline()


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
