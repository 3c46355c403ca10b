"""Numbers in texts: ASCII digits, up to a limit, however long the text is."""

import pytest

from channel_adapter.mapping.text import parse_digits


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7), ("9" * 18, 10**18 - 1)])
def test_digits_are_a_number(text: str, number: int) -> None:
    assert parse_digits(text) == number


@pytest.mark.parametrize("text", ["", " 7", "-7", "7.0", "٧", "x", "1" + "0" * 18, "9" * 5_000])
def test_other_texts_are_no_number(text: str) -> None:
    assert parse_digits(text) is None


def test_number_over_the_limit_is_none() -> None:
    assert (parse_digits("20", 20), parse_digits("21", 20)) == (20, None)
