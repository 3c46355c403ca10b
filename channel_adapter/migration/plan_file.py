"""plan.json: written whole or not at all, read with every mistake named."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import orjson
from pydantic import ValidationError

from channel_adapter.errors import InvalidError
from channel_adapter.migration.plan import FORMAT, VERSION, Plan

FIELD = "plan"


def to_json(plan: Plan) -> bytes:
    """The plan as it stands in the file: the same plan, the same bytes."""
    return orjson.dumps(plan.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_json(text: bytes, where: str) -> Plan:
    """A plan out of a file's bytes. Raises InvalidError that names the file and what is wrong in it."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise InvalidError(f"{where} is no JSON: {wrong}", field=FIELD) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidError(f"{where} is no plan of a migration", field=FIELD)
    if document.get("version") != VERSION:
        made = document.get("version")
        raise InvalidError(
            f"{where} is a plan of version {made}; this program reads {VERSION}: plan again", field=FIELD
        )
    try:
        return Plan.model_validate(document)
    except ValidationError as wrong:
        problem = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise InvalidError(f"{where}: {name}: {problem['msg']}", field=FIELD) from None


def read_plan(path: Path) -> Plan:
    """The plan in a file. Raises InvalidError; OSError when it cannot be read."""
    return from_json(path.read_bytes(), str(path))


def write_plan(path: Path, plan: Plan) -> None:
    """Put the plan there in one piece: a full disk leaves what was there before. Raises OSError."""
    write_whole(path, to_json(plan))


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that is either the old one or the new one, whatever happens. Raises OSError."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """The same for content that comes in pieces; nothing is written when the block raises, or writes nothing."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            written = file.tell()
        if written:
            Path(name).replace(path)
    except OSError as wrong:
        if wrong.errno is not None and wrong.filename in (None, name):  # a full disk does not say whose
            raise OSError(wrong.errno, wrong.strerror, str(path)) from None
        raise
    finally:
        Path(name).unlink(missing_ok=True)


def check_app(plan: Plan, sdkappid: int, where: str) -> None:
    """Refuse a plan that was made for another app. Raises InvalidError."""
    if plan.sdkappid != sdkappid:
        raise InvalidError(f"{where} is a plan for app {plan.sdkappid}; the settings name {sdkappid}", field=FIELD)
