"""Which extra of the package brings a library that is not there."""

from typing import Final

from channel_adapter.errors import ConfigurationError

_EXTRAS: Final = {
    "sqlalchemy": ("SQLAlchemy", "durable"),  # reactions, which need `store` alone, say so themselves
    "aiosqlite": ("aiosqlite", "durable"),
    "dbos": ("DBOS", "durable"),
    "psycopg": ("psycopg", "postgres"),
    "feedparser": ("feedparser", "feeds"),
}


def lacking(error: ModuleNotFoundError) -> ConfigurationError | None:
    """What to install when a library of an extra is missing; None for any other module."""
    library, extra = _EXTRAS.get((error.name or "").partition(".")[0], (None, ""))
    if library is None:
        return None
    return ConfigurationError(f"this needs {library}: pip install 'channel-adapter[{extra}]'")
