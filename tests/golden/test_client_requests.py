"""Requests of the client equal the golden files byte for byte."""

import pytest

from channel_adapter.tencent.catalog import COMMANDS, UNMODELLED
from tests.golden.by_hand.everything import EXCHANGES
from tests.golden.loader import Golden, load_all

GOLDEN = load_all()


def test_golden_files_and_handwritten_exchanges_have_equal_names() -> None:
    assert {golden.name for golden in GOLDEN} == set(EXCHANGES)


def test_every_command_with_models_has_a_file() -> None:
    modelled = {command for command, row in COMMANDS.items() if row.area != UNMODELLED}
    assert {(golden.service, golden.command) for golden in GOLDEN} == modelled


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_request_bytes_equal_the_file(golden: Golden) -> None:
    request, _ = EXCHANGES[golden.name]
    assert type(request) is COMMANDS[golden.service, golden.command].request
    assert request.to_json() == golden.request_bytes


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_request_of_the_file_is_parsed_to_the_handwritten_object(golden: Golden) -> None:
    """The direction of the stub: JSON names in, attributes out, nothing unknown."""
    request, _ = EXCHANGES[golden.name]
    assert type(request).model_validate_json(golden.request_bytes) == request
