"""config/adapter.example.toml contains every setting with its default."""

import re
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from channel_adapter.config.settings import (
    ChannelSettings,
    ConsoleSettings,
    GuardSettings,
    InboxSettings,
    InsightSettings,
    InviteSettings,
    PostSettings,
    ReactionSettings,
    ScheduleSettings,
    Settings,
    SubscriptionSettings,
    UnreadSettings,
    WebhookSettings,
)
from tests.cli.shell import Shell

EXAMPLE = Path(__file__).parents[2] / "config" / "adapter.example.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
TABLES: dict[str, type[BaseModel]] = {
    "": Settings,
    "channels": ChannelSettings,
    "subscriptions": SubscriptionSettings,
    "posts": PostSettings,
    "insights": InsightSettings,
    "invites": InviteSettings,
    "schedule": ScheduleSettings,
    "console": ConsoleSettings,
    "unread": UnreadSettings,
    "reactions": ReactionSettings,
    "webhooks": WebhookSettings,
    "guard": GuardSettings,
    "inbox": InboxSettings,
}
OWN_VALUES = {"sdkappid", "key", "region"}


def settings_of(table: str) -> list[str]:
    return [name for name in TABLES[table].model_fields if name not in TABLES]


def section(table: str) -> str:
    """Return the text of one table; the first one has no heading."""
    parts = re.split(r"^\[(.+)\]$", TEXT, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}[table]


def test_tables_match_nested_settings() -> None:
    nested = {
        name
        for name, field in Settings.model_fields.items()
        if isinstance(field.get_default(call_default_factory=True), BaseModel)
    }
    assert nested == TABLES.keys() - {""}


@pytest.mark.parametrize(("table", "name"), [(table, name) for table in TABLES for name in settings_of(table)])
def test_every_setting_is_written_with_its_default(table: str, name: str) -> None:
    written: dict[str, Any] = tomllib.loads(TEXT)
    values = written[table] if table else written
    if name in OWN_VALUES:
        assert name in values
        return
    default = TABLES[table].model_fields[name].get_default(call_default_factory=True)
    if default is None:
        assert name not in values
        assert re.search(rf"^# {name} = ", section(table), re.MULTILINE), f"{name} is not mentioned"
    else:
        assert values[name] == (list(default) if isinstance(default, tuple) else default)


def test_every_paragraph_begins_with_a_comment() -> None:
    for paragraph in TEXT.split("\n\n"):
        body = [line for line in paragraph.strip().splitlines() if not re.fullmatch(r"\[(?!calls).+\]", line)]
        assert not body or body[0].startswith("# "), paragraph


def choices(kind: Any) -> set[str]:
    """Return the texts that a setting of a closed set of values accepts."""
    if isinstance(kind, type):
        return {each.value for each in kind} if issubclass(kind, StrEnum) else set()
    if get_origin(kind) is Literal:
        return {each for each in get_args(kind) if isinstance(each, str)}
    return {each for inner in get_args(kind) for each in choices(inner)}


def test_comments_name_every_choice_of_a_setting() -> None:
    wanted = {
        (table, name): found
        for table in TABLES
        for name in settings_of(table)
        if (found := choices(TABLES[table].model_fields[name].annotation))
    }
    assert len(wanted) >= 8
    for (table, name), found in wanted.items():
        (paragraph,) = [text for text in section(table).split("\n\n") if re.search(rf"^{name} = ", text, re.MULTILINE)]
        comment = " ".join(line for line in paragraph.splitlines() if line.startswith("# "))
        assert {each for each in found if each not in comment} == set(), name


def test_example_file_loads_to_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = Settings.load(EXAMPLE)
    given = Settings(sdkappid=loaded.sdkappid, key=loaded.key, region=loaded.region)
    assert loaded.model_dump() == given.model_dump()


@pytest.mark.parametrize(("words", "name"), [((), "adapter"), (("adapter",), "adapter"), (("stub",), "stub")])
def test_settings_command_prints_example_files(words: tuple[str, ...], name: str, tmp_path: Path) -> None:
    shell = Shell(tmp_path, None)
    text = EXAMPLE.with_name(f"{name}.example.toml").read_text(encoding="utf-8")
    assert shell("settings", "example", *words).out == text
    assert shell("settings", "example", *words, "--json").json == {"name": name, "text": text}
