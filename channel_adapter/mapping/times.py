"""Times that callers pass, checked and converted to UTC, and times that are stored as Unix seconds."""

from datetime import UTC, datetime
from typing import overload
from zoneinfo import ZoneInfo

from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value


def to_utc(moment: object, field: str) -> datetime:
    """Return an aware datetime in UTC. Raises InvalidError for anything else, and outside the years 1 to 9999 of UTC.

    A time that is returned can be stored as Unix seconds and read back.
    """
    if not isinstance(moment, datetime):
        raise InvalidError(f"{field} must be a datetime with a time zone; got {shown_value(moment)}", field=field)
    if moment.utcoffset() is None:
        raise InvalidError(
            f"{field}: {moment.isoformat(' ', 'seconds')} has no time zone; add one, for example UTC or +01:00",
            field=field,
        )
    try:
        found = moment.astimezone(UTC)
        datetime.fromtimestamp(found.timestamp(), UTC)  # the last microseconds of 9999 are rounded up
    except (OverflowError, ValueError):
        raise InvalidError(f"{field}: {moment} lies outside the years 1 to 9999 of UTC", field=field) from None
    return found


@overload
def from_seconds(seconds: float) -> datetime: ...


@overload
def from_seconds(seconds: float | None) -> datetime | None: ...


def from_seconds(seconds: float | None) -> datetime | None:
    """Return stored Unix seconds as a datetime in UTC; None for None."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def to_zone(name: str, field: str = "zone") -> ZoneInfo:
    """Return a time zone by its name, for example Europe/Berlin. Raises InvalidError."""
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # also for the name of a folder of zones, and for a path
        raise InvalidError(
            f"{field}: {shown_value(name)} is not a time zone that this machine knows", field=field
        ) from None
