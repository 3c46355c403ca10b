"""Numbers with their nouns, as people write them."""


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 entry`, `1,003 entries`: `many` is `one` with an s unless it is given."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
