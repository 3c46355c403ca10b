"""Every JSON name, wire string and code of `tencent` is in a golden file, or in an exception list with a reason."""

import importlib
import json
import pkgutil
from collections.abc import Iterable, Iterator
from types import ModuleType
from typing import Any

from pydantic import BaseModel

from channel_adapter.tencent import codes, wire
from channel_adapter.tencent.wire.envelope import WireModel
from tests.golden.callback_loader import load_callbacks
from tests.golden.loader import load_all

NAMES_WITHOUT_WITNESS = {"original": "ours: inside the Data of a custom element, and never read by the service"}

STRINGS_WITHOUT_WITNESS = {
    "jpg": "a file suffix that maps to a number, never sent",
    "jpeg": "the same",
    "gif": "the same",
    "png": "the same",
    "bmp": "the same",
    "AcceptNotNotifyExceptAt": "MsgFlag that clients set; no page of a command shows it",
    "Mac": "OptPlatform of older pages; the file has the one of the newer page, and both are read",
}

# One reason per family; the numbers are typed here a second time from the documentation.
CODES_WITHOUT_WITNESS: dict[str, set[int]] = {
    "UserSig: refused before a command is looked at; their situations are tests of the gate": {
        70002, 70003, 70005, 70009, 70013, 70014, 70016, 70020, 70050, 70051, 70052, 70101,
    },
    "REST gate: refused before a command is looked at; their situations are tests of the gate": {
        60002, 60003, 60004, 60005, 60006, 60007, 60008, 60009, 60011, 60012, 60013, 60014, 60015, 60016, 60017, 60018,
        60019, 60020, 60021, 60025, 60026, 60027, 60028,
    },
    "moderation, the app's webhook and the oldest size limit: nothing in a body shows when they come": {
        80003, 80004, 80005, 80101, 93000,
    },
    "accounts, profiles and relations: one line each in a table, without a sample": {
        30005, 30006, 30007, 30008, 40001, 40002, 40004, 40005, 40006, 40007, 40008, 40601, 40605, 40610, 70114, 70169,
        70202, 70206, 70398, 70399, 70402, 70403, 70404, 70500, 72000, 72001, 72002, 72010, 72011, 72012,
    },
    "groups: faults, throttles and quotas, one line each in a table, without a sample": {
        10002, 10003, 10006, 10011, 10012, 10016, 10018, 10026, 10036, 10037, 10038, 10041, 10054, 10058, 10059,
    },
    "groups: about joining by oneself, other group types, deletion by range, attributes, receipts": {
        10009, 10013, 10020, 10024, 10032, 10033, 10034, 10035, 10044, 10045, 10046, 10047, 10048, 10049, 10050, 10051,
        10052, 10053, 10056, 10060, 10061, 10062, 11000,
    },
    "messages outside the group service: one line each in a table, without a sample": {
        20001, 20002, 20004, 20005, 20006, 20007, 20009, 20010, 20011, 20016, 20018, 20027, 20028, 22002, 22006, 22007,
        90001, 90002, 90003, 90005, 90006, 90007, 90008, 90009, 90010, 90011, 90012, 90018, 90026, 90031, 90043, 90044,
        90048, 90055, 90992, 90994, 90995, 91000,
    },
    "reactions of client SDKs: there is no server command": {23005, 23006, 23007, 23008, 23009},
    "recent contacts: faults and quotas, one line each in a table, without a sample": {
        50003, 50004, 50005, 51008, 51010, 51012,
    },
    "official accounts: one line in a table, without a sample": {
        130002, 130005, 130006, 130009, 130010, 131003, 131005,
    },
    "additional services: one line in a table, without a sample": set(range(110006, 110015)),
}  # fmt: skip


def wire_modules() -> Iterator[ModuleType]:
    for entry in pkgutil.iter_modules(wire.__path__, f"{wire.__name__}."):
        yield importlib.import_module(entry.name)


def subclasses(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in base.__subclasses__():
        yield child
        yield from subclasses(child)


def objects_in(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every JSON object, including those of JSON texts inside strings."""
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from objects_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects_in(item)
    elif isinstance(value, str) and value.startswith("{"):
        yield from objects_in(json.loads(value))


def values_in(item: dict[str, Any]) -> Iterator[str | int]:
    """Yield the plain values of one object, including those in its arrays."""
    for value in item.values():
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, (str, int)))


def strings_of(value: object) -> Iterator[str]:
    """Yield the strings of a constant: itself, or the items or keys of a container."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list, set, frozenset, dict)):
        for item in value:
            yield from strings_of(item)


def constants_of(module: ModuleType) -> Iterator[tuple[str, object]]:
    return ((name, value) for name, value in vars(module).items() if name.isupper() and not name.startswith("_"))


CALLBACKS = load_callbacks()
OBJECTS = [
    *(item for golden in load_all() for part in (golden.request, golden.reply) for item in objects_in(part)),
    *(
        item
        for golden in CALLBACKS
        for part in (golden.query, golden.body, golden.answers)
        for item in objects_in(part)
    ),
]
NAMES = frozenset(name for item in OBJECTS for name in item)
PARAMETERS = frozenset(name for golden in CALLBACKS for name in golden.query)  # in the URL, constants in our code
VALUES = PARAMETERS.union(value for item in OBJECTS for value in values_in(item))


def test_every_json_name_of_a_model_is_in_a_file() -> None:
    list(wire_modules())
    ours = [model for model in subclasses(WireModel) if model.__module__.startswith(wire.__name__)]
    aliases = {field.alias or name for model in ours for name, field in model.model_fields.items()}
    assert len(ours) > 200
    assert aliases - NAMES == set(NAMES_WITHOUT_WITNESS)


def test_every_wire_string_constant_is_in_a_file() -> None:
    strings = {text for module in wire_modules() for _, value in constants_of(module) for text in strings_of(value)}
    assert len(strings) > 60
    assert strings - VALUES == set(STRINGS_WITHOUT_WITNESS)


def test_every_code_is_in_a_file() -> None:
    listed = {row.code for row in codes.ROWS}
    without = set().union(*CODES_WITHOUT_WITNESS.values())
    assert sum(len(family) for family in CODES_WITHOUT_WITNESS.values()) == len(without), "a code has two reasons"
    assert listed - VALUES == without


def test_every_exception_has_a_nonempty_reason() -> None:
    reasons: Iterable[str] = [
        *NAMES_WITHOUT_WITNESS.values(), *STRINGS_WITHOUT_WITNESS.values(), *CODES_WITHOUT_WITNESS,
    ]  # fmt: skip
    assert all(reason.strip() for reason in reasons)
