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
    """How source and target compare."""

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
"""Number of findings that a result names; the file has all."""
ACCEPTED: Final = "accepted by hand"
"""What explains a difference that was accepted by hand."""
EVERY: Final = "*"
"""The key of a finding about all posts or subscribers of a channel."""


@dataclass(frozen=True, slots=True)
class FieldDifference:
    """One field that differs. `explained` is the policy or rule that causes it; empty if none does."""

    field: str
    source: Value
    target: Value
    explained: str = ""

    def __str__(self) -> str:
        why = f" ({self.explained})" if self.explained else ""
        return f"{self.field}: {self.source!r} in the source, {self.target!r} here{why}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One profile field, post or subscriber of a channel, which is named by its id in the source.

    `key`: the field's name, the post's key in the source (`#` and its number on the target for one that only stands
    there), or the user. `reason` is what `differences` cannot express; `explained` is about the whole finding.
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
        """Return whether both sides are equal, or the difference is explained."""
        if self.mark is Mark.SAME or self.explained:
            return True
        return bool(self.differences) and all(each.explained for each in self.differences)

    def to_json(self) -> bytes:
        """Return one line of JSON without empty fields."""
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
        """Return the finding that `to_json` has written."""
        held = orjson.loads(line)
        return cls(
            held["channel"], Subject(held["what"]), held["key"], Mark(held["mark"]),
            tuple(FieldDifference(**each) for each in held.get("differences", ())),
            held.get("reason", ""), held.get("explained", ""),
        )  # fmt: skip

    def __str__(self) -> str:
        """Return one line: `* @TOA#_news profile name: name: 'Harbour news' in the source, 'Harbour' here`."""
        texts = [str(each) for each in self.differences]
        words = "; ".join(filter(None, [self.reason, *texts, self.explained]))
        return f"{self.mark} {self.channel} {self.what} {self.key}{f': {words}' if words else ''}"


@dataclass(slots=True)
class FindingCounts:
    """Counts of one channel by subject and mark. `open` findings are not explained."""

    marks: Counter[tuple[Subject, Mark]] = field(default_factory=Counter)
    open: int = 0
    lost: int = 0
    """Open findings about what the source has and the target lacks, has differently, or cannot show."""
    accepted: int = 0
    """Findings that only were accepted by hand."""

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        self.marks[finding.what, finding.mark] += 1
        self.accepted += finding.explained == ACCEPTED
        if not finding.settled:
            self.open += 1
            self.lost += finding.mark is not Mark.EXTRA

    def count(self, mark: Mark, what: Subject | None = None) -> int:
        """Return the number of findings with a mark."""
        return sum(
            count for (each, found), count in self.marks.items() if found is mark and (what is None or each is what)
        )

    def to_json(self) -> dict[str, Any]:
        """Return counts by subject, then by mark."""
        counts = {what.value: {mark.value: self.count(mark, what) for mark in Mark} for what in Subject}
        return {**counts, "open": self.open, "accepted": self.accepted}


@dataclass(slots=True)
class VerificationResult:
    """The result of a verification. `named` are the first of the open findings.

    `not_compared` names what one of the two sides does not report of any post or subscriber.
    """

    migration: str
    at: float
    not_compared: tuple[str, ...] = ()
    channels: dict[str, FindingCounts] = field(default_factory=dict)
    named: list[Finding] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Return whether no finding is open."""
        return not self.open

    @property
    def open(self) -> int:
        """Number of findings that are not explained."""
        return sum(tally.open for tally in self.channels.values())

    @property
    def accepted(self) -> int:
        """Number of findings that only were accepted by hand."""
        return sum(tally.accepted for tally in self.channels.values())

    def count(self, mark: Mark, what: Subject | None = None) -> int:
        """Return the number of findings with a mark, in all channels."""
        return sum(tally.count(mark, what) for tally in self.channels.values())

    def name(self, finding: Finding) -> None:
        """Keep a finding if it is one of the first open ones."""
        if not finding.settled and len(self.named) < NAMED:
            self.named.append(finding)

    def to_json(self) -> dict[str, Any]:
        """Return the summary."""
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
    """Findings that are waived; 16 bytes of each are in memory."""

    digests: frozenset[bytes] = frozenset()

    @classmethod
    def of(cls, findings: Iterable[Finding]) -> Self:
        """Return a baseline of the open and the accepted ones of some findings."""
        wanted = (each for each in findings if (not each.settled or each.explained == ACCEPTED) and each.key != EVERY)
        return cls(frozenset(map(_digest_finding, wanted)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read lines that `verify` has written. Raises InvalidError for other lines, OSError."""
        with path.open("rb") as lines:
            return cls.of(
                _parse_finding(line, f"{path.name}, line {number}")
                for number, line in enumerate(lines, start=1)
                if line.strip()
            )

    def apply(self, finding: Finding) -> Finding:
        """Return the finding, explained if it is in the baseline."""
        if finding.settled or _digest_finding(finding) not in self.digests:
            return finding
        return replace(finding, explained=ACCEPTED)


EMPTY_BASELINE: Final = Baseline()


def _parse_finding(line: bytes, where: str) -> Finding:
    try:
        return Finding.from_json(line)
    except (ValueError, KeyError, TypeError):
        raise InvalidError(f"{where}: this is no line of a verification", field="explained") from None


def _digest_finding(finding: Finding) -> bytes:
    """Return a digest of everything but the explanations."""
    differences = [[each.field, each.source, each.target] for each in finding.differences]
    whole = [finding.channel, finding.what, finding.key, finding.mark, differences, finding.reason]
    return hashlib.blake2b(orjson.dumps(whole), digest_size=_DIGEST_BYTES).digest()
