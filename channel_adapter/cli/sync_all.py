"""The job behind `unread sync-all`: counts, a report of problems, an exit code."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from channel_adapter.cli.exits import Exit
from channel_adapter.cli.json_stream import ObjectWriter
from channel_adapter.cli.people import BrokenLine, People
from channel_adapter.cli.progress import Progress
from channel_adapter.domain.unread import Synced

if TYPE_CHECKING:
    from channel_adapter.concurrency.batching import ConcurrentMap


class SyncAll:
    """Counts what a sync of many changed, and reports everybody for whom it was not done."""

    def __init__(self, progress: Progress, report: ObjectWriter | None) -> None:
        self._progress = progress
        self._report = report
        self._done = self._well = self._changed = self._added = self._removed = 0
        self.problems = 0

    @property
    def code(self) -> Exit:
        """The exit code for what came out."""
        if not self.problems:
            return Exit.DONE
        return Exit.PARTLY if self._well else Exit.REFUSED

    def people(self, found: People) -> Iterator[str]:
        """Return the users of the file; broken lines go into the report."""
        for each in found:
            if isinstance(each, BrokenLine):
                self._problem({"line": each.line}, f"line {each.line}: {each.reason}", each.reason)
            else:
                yield each.user

    async def follow(self, people: "ConcurrentMap[str, Synced]") -> None:
        """Run the job to its end; whatever stops it, the report is a whole document."""
        try:
            async for done in people:
                self._count(done)
        finally:
            await people.aclose()
            if self._report is not None:
                self._report.close(
                    {"people": self._done, "changed": self._changed, "added": self._added, "removed": self._removed,
                     "cursor": people.cursor}
                )  # fmt: skip

    def sentence(self) -> str:
        """`1,000 people: 12 changed, 14 channels put in, 3 taken out, 1 problem`."""
        changes = f"{self._changed:,} changed, {self._added:,} channels put in, {self._removed:,} taken out"
        problems = f", {self.problems:,} {'problem' if self.problems == 1 else 'problems'}" if self.problems else ""
        return f"{self._done:,} {'person' if self._done == 1 else 'people'}: {changes}{problems}"

    def _count(self, done: Synced) -> None:
        self._done += 1
        self._well += done.changed or done.done
        self._changed += done.changed
        self._added += len(done.added)
        self._removed += len(done.removed)
        self._progress.advance()
        for why in [done.problem] if done.problem else [f"{each}: {why}" for each, why in done.failed]:
            self._problem({"user": done.user}, f"{done.user}: {why}", why)

    def _problem(self, where: dict[str, Any], line: str, reason: str) -> None:
        self.problems += 1
        if self._report is not None:
            self._report.add({**where, "reason": reason})
        else:
            self._progress.say(line)
