"""Golden files: exchanges with the service, typed by hand from its documentation, not generated.

A file is `<service>/<command>[.<case>].json`. `given` are raw calls that bring an empty app (admin
`administrator`, declared group keys `ch_tag` and `ch_org`) into the state that `request` needs.
`server_picks` lists members of the reply whose values the server chooses; a dot enters objects and every
element of an array. `only_client` is the reason why a stub of such an app cannot carry out this exchange.
"""

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

HERE = Path(__file__).parent
CONFIDENCES = ("documented", "inferred", "mixed")


@dataclass(frozen=True, slots=True)
class Call:
    """One raw call."""

    service: str
    command: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """One exchange; `name` is the path of its file without the suffix."""

    name: str
    source: str
    confidence: str
    service: str
    command: str
    given: tuple[Call, ...]
    request: dict[str, Any]
    reply: dict[str, Any]
    server_picks: frozenset[str] = field(default_factory=frozenset)
    only_client: str | None = None

    @property
    def request_bytes(self) -> bytes:
        """Return compact JSON in the member order of the file."""
        return orjson.dumps(self.request)

    @property
    def reply_bytes(self) -> bytes:
        return orjson.dumps(self.reply)


def load(path: Path, root: Path = HERE) -> Golden:
    """Read one file below `root`. ValueError for an unknown or missing key, or a path that contradicts the content."""
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    name = path.relative_to(root).with_suffix("").as_posix()
    known = {entry.name for entry in fields(Golden)} - {"name"}
    optional = {"server_picks", "only_client"}
    if unknown := content.keys() - known:
        raise ValueError(f"{name}: unknown keys {sorted(unknown)}")
    if missing := known - optional - content.keys():
        raise ValueError(f"{name}: missing keys {sorted(missing)}")
    if name.split(".", 1)[0] != f"{content['service']}/{content['command']}":
        raise ValueError(f"{name}: the file stands under another name than its command")
    if content["confidence"] not in CONFIDENCES or not content["source"]:
        raise ValueError(f"{name}: needs a source and a confidence of {CONFIDENCES}")
    given = tuple(Call(**call) for call in content.pop("given"))
    picks = frozenset(content.pop("server_picks", ()))
    return Golden(name=name, given=given, server_picks=picks, **content)


def load_all() -> list[Golden]:
    """Return every golden file, sorted by name."""
    return [load(path) for path in sorted(HERE.glob("*/*.json")) if path.parent.name != "callbacks"]
