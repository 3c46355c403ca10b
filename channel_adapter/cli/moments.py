"""Days and moments on the command line."""

from datetime import UTC, datetime

from channel_adapter.cli.exits import UsageError


def moment(text: str, option: str, example: str) -> datetime:
    """A day or a moment; without an offset it is meant in UTC. Raises UsageError, which shows `example`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        field = option.lstrip("-").replace("-", "_")
        raise UsageError(f"{option} takes {example}, not {text!r}", field=field) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
