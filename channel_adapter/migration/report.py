"""The report of a migration: what was moved, what was not and why, the last verification, and the cutover."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from channel_adapter.errors import ConflictError
from channel_adapter.mapping.text import markdown
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.cutover.cutover import read_cutover_state
from channel_adapter.migration.plan.document import Plan, check_app
from channel_adapter.migration.run.apply import Status, read_status
from channel_adapter.migration.run.journal import open_journal
from channel_adapter.migration.verify.findings import Mark, Subject

FORMAT: Final = "channel-adapter migration report"
_LISTED: Final = 50


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """One report. `document` is the same whenever nothing has happened in between."""

    document: dict[str, Any]

    def to_json(self) -> bytes:
        """Return the document as indented JSON."""
        return orjson.dumps(self.document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)

    def to_markdown(self) -> bytes:
        """Return the document as Markdown."""
        return ("\n".join(_report_lines(self.document)) + "\n").encode()


async def make_report(
    context: MigrationContext, plan: Plan, verdict: Mapping[str, Any] | None = None
) -> MigrationReport:
    """Return what is recorded of a migration. Neither source nor target is read.

    `verdict` is the result of a verification, as JSON; without one, the cutover's is used. Raises InvalidError for a
    plan of another app.
    """
    check_app(plan, context.settings.sdkappid, "this")
    status, quarantine = await _read_journal(plan, context.journal)
    cutover, recorded = await _read_cutover(context, plan)
    document = {
        "format": FORMAT,
        "migration": plan.migration,
        "sdkappid": plan.sdkappid,
        "fingerprint": plan.fingerprint,
        "source": plan.source.kind.value,
        "channels": [_describe_channel(plan, place, status) for place in range(len(plan.channels))],
        "no_longer_planned": [
            {"source": each.source, "target": each.target} for each in (status.dropped if status else ())
        ],
        "round": status.round if status else 0,
        "complete": bool(status and status.complete),
        "quarantine": quarantine,
        "broken_lines": plan.broken_count,
        "verification": dict(verdict) if verdict is not None else recorded,
        "cutover": cutover,
        "never_moved": list(plan.not_carried),
    }
    return MigrationReport(document)


async def _read_journal(plan: Plan, database: str | None) -> tuple[Status | None, list[dict[str, Any]]]:
    """Return how far it is, and what could not be moved, by channel, kind and reason."""
    if database is None:
        return None, []
    async with open_journal(database) as journal:
        try:
            status = await read_status(journal, plan.migration)
        except ConflictError:  # never applied, or rolled back
            return None, []
        counts = await journal.store.quarantine_counts(plan.migration)
    planned = {channel.source.id for channel in plan.channels}
    return status, [
        {"channel": source, "what": what, "reason": reason, "count": count}
        for source, what, reason, count in counts
        if source in planned
    ]


async def _read_cutover(context: MigrationContext, plan: Plan) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the state of the cutover, and its last verification."""
    state = await read_cutover_state(context, plan.migration)
    if state is None:
        return None, None
    group_sync = state.group_sync
    document = {
        "moved": [
            {
                "source": each.source, "channel": each.channel,
                "at": _format_timestamp(each.moved_at), "guard": each.guard,
                "window_end": _format_timestamp(each.window_end), "verified_at": _format_timestamp(each.verified_at),
                "destroyed_at": _format_timestamp(each.destroyed_at),
            }
            for each in state.moved
        ],
        "broadcasts": dict(sorted(Counter(each.state for each in state.broadcasts).items())),
        "not_broadcast": [
            {"source": each.source, "seq": each.seq, "reason": each.result}
            for each in state.broadcasts if each.state == "not_sent"
        ],
        "conversation_groups": {
            "state": group_sync.state, "filled": group_sync.filled, "problems": group_sync.problems,
            "left": group_sync.left, "reason": group_sync.last_error or None,
        },
    }  # fmt: skip
    return document, orjson.loads(state.verdict) if state.verdict else None


def _describe_channel(plan: Plan, place: int, status: Status | None) -> dict[str, Any]:
    planned = plan.channels[place]
    found = next((each for each in status.channels if each.source == planned.source.id), None) if status else None
    return {
        "source": planned.source.id,
        "target": planned.target.id,
        "state": f"{found.status}: {found.state}" if found and found.status != "done" else
                 found.state if found else "planned",
        "reason": found.reason if found else "",
        "planned": {
            "posts": planned.source.posts.reachable,
            "subscribers": planned.source.audience.subscribers,
            "recalled": planned.source.posts.recalled,
            "expired": planned.source.posts.expired,
        },
        "moved": {
            "posts": found.posts, "subscribers": found.subscribers,
            "already_subscribed": found.already, "removed": found.removed,
        } if found else None,
        "losses": [
            {"loss": loss.loss.value, "policy": loss.policy.value, "count": loss.count} for loss in planned.losses
        ],
        "left_behind": list(planned.left_behind),
    }  # fmt: skip


def _format_timestamp(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


# Markdown


def _report_lines(document: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Migration {_escape_cell(document['migration'])}"
    yield ""
    kind = str(document["source"]).replace("_", " ")
    state = "complete" if document["complete"] else "not complete"
    yield f"From {_escape_cell(kind)}, app {document['sdkappid']}; {state}, run {document['round']}."
    yield ""
    yield from _channel_lines(document["channels"])
    if document["no_longer_planned"]:
        sources = ", ".join(each["source"] for each in document["no_longer_planned"])
        yield f"No longer in the plan, and left as it is: {_escape_cell(sources)}."
        yield ""
    yield from _quarantine_lines(document)
    yield from _verification_lines(document["verification"])
    yield from _cutover_lines(document["cutover"])
    if document["never_moved"]:
        yield "## Never moved"
        yield ""
        yield from (f"- {_escape_cell(text)}" for text in document["never_moved"])


def _channel_lines(channels: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    rows: list[Sequence[Any]] = []
    for each in channels:
        moved, planned = each["moved"] or {"posts": 0, "subscribers": 0, "already_subscribed": 0}, each["planned"]
        losses = ", ".join(f"{loss['loss']} {loss['policy']} ({loss['count']})" for loss in each["losses"])
        state = f"{each['state']}: {each['reason']}" if each["reason"] else each["state"]
        already = f", {moved['already_subscribed']} subscribed already" if moved["already_subscribed"] else ""
        rows.append((
            each["source"], each["target"], state, f"{moved['posts']} of {planned['posts']}",
            f"{moved['subscribers']} of {planned['subscribers']}{already}", losses,
        ))  # fmt: skip
    yield "## Channels"
    yield ""
    yield from _table_lines(("from", "to", "state", "posts", "subscribers", "what did not fit"), rows)


def _quarantine_lines(document: Mapping[str, Any]) -> Iterator[str]:
    records = document["quarantine"]
    if not records and not document["broken_lines"]:
        return
    yield "## What could not go"
    yield ""
    if document["broken_lines"]:
        yield f"Lines of the source that cannot be used: {document['broken_lines']}."
        yield ""
    if records:
        rows = [(each["channel"], each["what"], each["count"], each["reason"]) for each in records]
        yield from _table_lines(("channel", "what", "count", "reason"), rows)


def _verification_lines(verdict: Mapping[str, Any] | None) -> Iterator[str]:
    yield "## Verification"
    yield ""
    if verdict is None:
        yield "None yet: `channel-adapter migrate verify`."
        yield ""
        return
    at = datetime.fromtimestamp(verdict["at"], UTC).isoformat(timespec="seconds")
    found = "clean" if verdict["clean"] else f"{verdict['open']} differences that nothing explains"
    if verdict.get("accepted"):
        found += f", {verdict['accepted']} accepted by hand"
    yield f"At {at}: {found}. `=` same, `-` missing here, `+` extra here, `*` differs, `!` unreadable."
    yield ""
    rows = [
        (channel, what.value, *(counts[what][mark] for mark in Mark))
        for channel, counts in verdict["channels"].items()
        for what in Subject
    ]
    yield from _table_lines(("channel", "what", *Mark), rows)
    if verdict.get("not_compared"):
        yield f"Not compared: {_escape_cell('; '.join(verdict['not_compared']))}."
        yield ""
    for finding in verdict["named"]:
        text = "; ".join(
            filter(None, [finding.get("reason"), *(
                f"{each['field']}: {each['source']!r} in the source, {each['target']!r} here"
                for each in finding.get("differences", ())
            )])
        )  # fmt: skip
        where = f"{_escape_cell(finding['channel'])} {_escape_cell(finding['what'])} {_escape_cell(finding['key'])}"
        yield f"- `{finding['mark']}` {where}: {_escape_cell(text)}"
    if verdict["named"]:
        yield ""


def _cutover_lines(cutover: Mapping[str, Any] | None) -> Iterator[str]:
    if cutover is None:
        return
    yield "## Cutover"
    yield ""
    rows = [
        (each["source"], each["at"] or "not yet", each["guard"], each["window_end"] or "-", each["destroyed_at"] or "-")
        for each in cutover["moved"]
    ]
    yield from _table_lines(("account", "posting moved", "broadcasts are", "also broadcast until", "destroyed"), rows)
    groups = cutover["conversation_groups"]
    why = f": {_escape_cell(groups['reason'])}" if groups["reason"] else ""
    problems = f"{groups['problems']} with a problem"
    yield f"Conversation groups filled: {groups['filled']} ({problems}), {_escape_cell(groups['state'])}{why}."
    yield ""
    for copy in cutover["not_broadcast"][:_LISTED]:
        what = f"post {copy['seq']}" if copy["seq"] else "the last broadcast"
        yield f"- {_escape_cell(copy['source'])}: {what} was not broadcast: {_escape_cell(copy['reason'])}"
    if cutover["not_broadcast"]:
        yield ""


def _table_lines(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_escape_cell(each) for each in row)} |"
    yield ""


def _escape_cell(value: Any) -> str:
    return markdown(str(value))
