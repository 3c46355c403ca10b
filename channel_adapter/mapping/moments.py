"""Moments of the service as datetimes."""

from datetime import UTC, datetime


def moment(seconds: int | None) -> datetime | None:
    """Unix seconds as an aware datetime; 0 and absent mean never [docS 1625]."""
    return datetime.fromtimestamp(seconds, UTC) if seconds else None
