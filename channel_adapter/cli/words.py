"""Numbers with their nouns, and the words of the system, as people write them."""

import os


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 entry`, `1,003 entries`: `many` is `one` with an s unless it is given."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


def why_not_bound(error: OSError) -> str:
    """Why nothing can listen at an address, without the address, which asyncio puts into the text of the system."""
    found = error.errno
    return os.strerror(found) if found is not None and found > 0 else error.strerror or str(error)
