"""The client converts a reply to the object written by hand, and the models contain every member."""

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from channel_adapter.tencent.catalog import COMMANDS
from channel_adapter.tencent.wire.envelope import ApiError, Success, Throttled, classify
from tests.golden.by_hand.everything import EXCHANGES
from tests.golden.loader import Golden, load_all

GOLDEN = load_all()


def unknown_members(value: Any, place: str) -> Iterator[str]:
    """Yield the places of members for which no model has a field."""
    if isinstance(value, BaseModel):
        yield from (f"{place}.{name}" for name in value.model_extra or ())
        for name in type(value).model_fields:
            yield from unknown_members(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_members(item, f"{place}[{index}]")


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_reply_of_the_file_equals_the_handwritten_object(golden: Golden) -> None:
    _, expected = EXCHANGES[golden.name]
    reply_type = COMMANDS[golden.service, golden.command].reply
    outcome = classify(reply_type, 200, golden.reply_bytes)
    if isinstance(expected, (ApiError, Throttled)):
        assert outcome == expected
    else:
        assert type(expected) is reply_type
        assert outcome == Success(expected)
        assert list(unknown_members(outcome.reply, reply_type.__name__)) == []


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_server_picks_are_members_of_the_reply(golden: Golden) -> None:
    for pick in golden.server_picks:
        found: list[Any] = [golden.reply]
        for part in pick.split("."):
            objects = [item for value in found for item in (value if isinstance(value, list) else [value])]
            found = [item[part] for item in objects if part in item]
        assert found, pick
