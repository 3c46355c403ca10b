"""What the client sends is, byte for byte, what the golden file says."""

import pytest

from channel_adapter.tencent.catalog import COMMANDS, UNMODELLED
from tests.golden.by_hand.everything import EXCHANGES
from tests.golden.loader import Golden, load_all

GOLDEN = load_all()


def test_every_file_has_a_hand_written_twin_and_the_other_way_round() -> None:
    assert {golden.name for golden in GOLDEN} == set(EXCHANGES)


def test_every_command_with_models_has_a_file() -> None:
    modelled = {command for command, row in COMMANDS.items() if row.area != UNMODELLED}
    assert {(golden.service, golden.command) for golden in GOLDEN} == modelled


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_request_bytes(golden: Golden) -> None:
    request, _ = EXCHANGES[golden.name]
    assert type(request) is COMMANDS[golden.service, golden.command].request
    assert request.to_json() == golden.request_bytes


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden.name)
def test_a_request_of_the_file_is_read_back_as_the_same_object(golden: Golden) -> None:
    """The way of the stub: JSON names in, attributes out, nothing unknown."""
    request, _ = EXCHANGES[golden.name]
    assert type(request).model_validate_json(golden.request_bytes) == request
