"""Completeness of the list of divergences: every doubtful setting has an entry, every cited id exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import channel_adapter.stub
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.reports import DIVERGENCES_FILE, divergences
from channel_adapter.stub.settings import Behaviour, StubSettings
from tests.stub.conftest import GROUPS, Caller

DOUBT = re.compile(r"unknown|inferred|contradict|disagree|ambiguous|both ways")
SOURCES = sorted(Path(channel_adapter.stub.__file__).parent.rglob("*.py"))
IDS = {entry.id for entry in divergences()}
SWITCHES = {entry.switch for entry in divergences() if entry.switch}


def settings() -> Iterator[tuple[str, str]]:
    """Yield every setting as `section.name`, with its description."""
    for section, name, _, description in StubSettings().entries():
        yield f"{section}.{name}", description
    for name, field in CallbackSettings.model_fields.items():
        yield f"webhooks.{name}", field.description or ""


def cited() -> Iterator[tuple[str, str]]:
    """Yield every constant that is passed as `guess`, or is its default, with the file name."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            given: list[ast.expr | None] = []
            if isinstance(node, ast.keyword) and node.arg == "guess":
                given = [node.value]
            elif isinstance(node, ast.FunctionDef):
                named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
                given = [default for argument, default in named if argument.arg == "guess"]
            for value in given:
                for part in ast.walk(value) if value is not None else ():
                    if isinstance(part, ast.Constant) and isinstance(part.value, str):
                        yield part.value, path.name


def test_entries_are_complete_and_unique() -> None:
    assert len(IDS) == len(divergences()) > 100
    for entry in divergences():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", entry.id)
        assert entry.unknown
        assert entry.stub
        assert entry.source
    assert len(SWITCHES) == sum(entry.switch is not None for entry in divergences())


def test_every_switch_is_setting() -> None:
    assert SWITCHES - {name for name, _ in settings()} == set()


@pytest.mark.parametrize("name", Behaviour.model_fields)
def test_every_switch_of_behaviour_has_entry(name: str) -> None:
    assert f"behaviour.{name}" in SWITCHES


def test_every_doubtful_setting_has_entry() -> None:
    doubtful = {name for name, description in settings() if DOUBT.search(description)}
    assert doubtful - SWITCHES == set()


def test_every_cited_id_is_in_list() -> None:
    found = set(cited())
    assert [(guess, file) for guess, file in found if guess not in IDS] == []
    assert len({guess for guess, _ in found}) > 30


async def test_answer_contains_id_of_guess(caller: Caller) -> None:
    bad = {"Type": "Community", "Name": "n", "AppDefinedData": [{"Key": "colour", "Value": "red"}]}
    answer = await caller.call(f"{GROUPS}/create_group", bad)
    assert answer["ErrorCode"] == 10004
    assert "'colour'" in answer["ErrorInfo"]
    assert answer["ErrorInfo"].endswith("[stub guess: undeclared-key]")
    certain = await caller.call(f"{GROUPS}/destroy_group", {"GroupId": "@TGS#_gone"})
    assert "guess" not in certain["ErrorInfo"]


def test_file_of_divergences_is_in_package() -> None:
    assert DIVERGENCES_FILE.parent == Path(channel_adapter.stub.__file__).parent
