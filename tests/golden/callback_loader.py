"""Golden webhooks: requests of the service to the app, typed by hand from its documentation, not generated.

A file is `callbacks/<command>[.<case>].json`. `query` are the parameters of the URL. `answers` are the
possible answers to a before-event, by name of the decision. `respelt` are members of the body whose value
has a spelling that we read and never write, with the spelling that we write.
"""

from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson

from tests.golden.loader import CONFIDENCES, HERE

FOLDER: Final = HERE / "callbacks"


@dataclass(frozen=True, slots=True)
class GoldenCallback:
    """One webhook; `name` is the name of its file without the suffix."""

    name: str
    source: str
    confidence: str
    query: dict[str, str]
    body: dict[str, Any]
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    respelt: dict[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> str:
        return self.query["CallbackCommand"]

    @property
    def body_bytes(self) -> bytes:
        return orjson.dumps(self.body)


def load_callbacks() -> list[GoldenCallback]:
    """Return every file, sorted by name. ValueError for unknown keys, a missing source or a wrong file name."""
    found = []
    known = {entry.name for entry in fields(GoldenCallback)} - {"name"}
    for path in sorted(FOLDER.glob("*.json")):
        content: dict[str, Any] = orjson.loads(path.read_bytes())
        golden = GoldenCallback(name=path.stem, **content)
        if content.keys() - known or not golden.source or golden.confidence not in CONFIDENCES:
            raise ValueError(f"{path.stem}: needs a source and a confidence of {CONFIDENCES}, and no other keys")
        if golden.name != golden.command and not golden.name.startswith(f"{golden.command}."):
            raise ValueError(f"{path.stem}: the file stands under another name than its command")
        found.append(golden)
    return found
