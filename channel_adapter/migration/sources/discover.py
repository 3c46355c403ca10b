"""Find the official accounts of an app: no call lists them, so ids come from a list, from users, or from callbacks."""

import re
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final

import orjson
from pydantic import ValidationError

from channel_adapter.backends.official.members import OfficialMembers
from channel_adapter.concurrency.batching import concurrently
from channel_adapter.errors import InvalidError, NotFoundError
from channel_adapter.mapping.user_list import ListedUser, UnusableLine
from channel_adapter.migration.sources.source import BrokenRecord
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.callbacks_official import (
    AfterCreateOfficialAccount,
    AfterOfficialAccountDestroyed,
    OfficialCallback,
)

MISTAKES_TOLD: Final = 10
_PRINTABLE: Final = re.compile(r"[\x20-\x7e]+")
_MISTAKEN: Final = "#TOA#"  # a misprint of the documents, and no remark [doc 60805]


@dataclass(frozen=True, slots=True)
class Discovered:
    """Ids of official accounts, each once, and the lines that named none."""

    accounts: tuple[str, ...]
    broken: tuple[BrokenRecord, ...] = ()
    repeated: int = 0
    searched: bool = False


def from_list(lines: Iterable[str], name: str) -> Discovered:
    """Return the ids of a list, one a line, in their order; blank lines and lines that begin with `#` are skipped.

    Raises InvalidError that lists every line that is no id of an official account: nothing is left out silently.
    """
    ids: list[str] = []
    wrong: list[str] = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or (text.startswith("#") and not text.startswith(_MISTAKEN)):
            continue
        reason = _find_id_problem(text)
        if reason:
            wrong.append(f"line {number}: {shown_value(text)} {reason}")
        ids.append(text)
    if wrong:
        more = f" and {len(wrong) - MISTAKES_TOLD} more" if len(wrong) > MISTAKES_TOLD else ""
        raise InvalidError(f"{name}: {'; '.join(wrong[:MISTAKES_TOLD])}{more}", field="accounts", size=len(wrong))
    return _require_accounts(ids, (), f"{name} names no official account", searched=False)


def from_callbacks(lines: Iterable[str], name: str) -> Discovered:
    """Return accounts that were created and not destroyed since, from captured callbacks, one JSON object a line.

    A line is the body as it was posted, or an object that holds it as `body`. Other callbacks are skipped.
    """
    alive: dict[str, None] = {}
    broken: list[BrokenRecord] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            callback = _parse_callback(line)
        except ValueError as wrong:
            broken.append(BrokenRecord(f"{name}, line {number}", "", f"no callback: {wrong}", line.strip()))
            continue
        account = callback.official_account
        if account and callback.callback_command == AfterCreateOfficialAccount.command:
            alive[account] = None
        elif account and callback.callback_command == AfterOfficialAccountDestroyed.command:
            alive.pop(account, None)
    return _require_accounts(
        list(alive), broken, f"{name} tells of no official account that was created and still exists"
    )


async def from_users(
    members: OfficialMembers, listed: Iterable[ListedUser | UnusableLine], name: str, *, concurrency: int
) -> Discovered:
    """Return the union of what the users of a list follow, sorted; unknown users and unusable lines are `broken`."""
    broken: list[BrokenRecord] = []
    lines: dict[str, ListedUser] = {}
    for each in listed:
        if isinstance(each, UnusableLine):
            broken.append(BrokenRecord(f"{name}, line {each.line}", "user", each.reason, each.raw.strip()))
        else:
            lines.setdefault(each.user, each)
    accounts: set[str] = set()

    async def followed(listed: ListedUser) -> set[str] | BrokenRecord:
        try:
            return {account async for account in members.followed(listed.user)}
        except (InvalidError, NotFoundError) as wrong:
            return BrokenRecord(f"{name}, line {listed.line}", "user", wrong.message, listed.raw.strip())

    async with aclosing(concurrently(list(lines.values()), followed, limit=concurrency)) as answers:
        async for answer in answers:
            if isinstance(answer, BrokenRecord):
                broken.append(answer)
            else:
                accounts |= answer
    broken.sort(key=lambda record: int(record.where.rpartition(" ")[2]))
    return _require_accounts(sorted(accounts), broken, f"no user in {name} follows an official account")


def _require_accounts(
    ids: Sequence[str], broken: Sequence[BrokenRecord], nothing: str, *, searched: bool = True
) -> Discovered:
    """Return the ids, each once. Raises InvalidError when there are none."""
    once = tuple(dict.fromkeys(ids))
    if not once:
        first = f": {broken[0].where}: {broken[0].reason}" if broken else ""
        raise InvalidError(f"{nothing}{first}", field="accounts", size=0)
    return Discovered(once, tuple(broken), len(ids) - len(once), searched)


def _find_id_problem(text: str) -> str:
    """Return why a text cannot be the id of an official account; empty when it can."""
    prefix, most = limits.OFFICIAL_ACCOUNT_ID_PREFIX, limits.OFFICIAL_ACCOUNT_ID_BYTES
    if not text.startswith(prefix):
        return f"does not begin with {prefix}"
    if len(text) == len(prefix):
        return "has nothing behind its prefix"
    if not _PRINTABLE.fullmatch(text):
        return "is not printable ASCII"
    size = len(text.encode())
    return f"has {size} bytes; {most} are allowed" if size > most else ""


def _parse_callback(line: str) -> OfficialCallback:
    """Return a captured callback. Raises ValueError."""
    value = orjson.loads(line)
    try:
        return OfficialCallback.model_validate(value.get("body", value) if isinstance(value, dict) else value)
    except ValidationError as wrong:
        problem = wrong.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}") from None
