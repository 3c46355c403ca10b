"""Numbers and articles with their nouns."""

import pytest

from channel_adapter.cli.output import counted
from channel_adapter.mapping.text import with_article


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (counted(0, "byte"), "0 bytes"),
        (counted(1, "byte"), "1 byte"),
        (counted(1_003, "byte"), "1,003 bytes"),
        (counted(1, "entry", "entries"), "1 entry"),
        (counted(2, "entry", "entries"), "2 entries"),
        (with_article("image"), "an image"),
        (with_article("face"), "a face"),
    ],
)
def test_noun_follows_its_number_or_article(said: str, text: str) -> None:
    assert said == text
