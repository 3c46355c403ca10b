"""Times given by callers: converted to UTC and storable as Unix seconds, or refused with their field."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.errors import InvalidError
from channel_adapter.mapping.times import to_utc, to_zone

OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=OFFSETS))
def test_time_is_converted_to_utc_and_storable_or_refused(moment: datetime) -> None:
    begin, end = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    if begin <= moment < end - timedelta(milliseconds=1):
        found = to_utc(moment, "at")
        assert (found, found.tzinfo) == (moment, UTC)
        assert abs(datetime.fromtimestamp(found.timestamp(), UTC) - moment) < timedelta(milliseconds=1)
    else:
        refused(moment)


def refused(moment: datetime) -> None:
    with pytest.raises(InvalidError, match="lies outside the years 1 to 9999 of UTC") as caught:
        to_utc(moment, "since")
    assert caught.value.field == "since"


def test_time_at_the_edge_of_the_calendar_is_refused() -> None:
    refused(datetime.min.replace(tzinfo=timezone(timedelta(hours=5))))
    refused(datetime.max.replace(tzinfo=timezone(timedelta(hours=-5))))
    refused(datetime.max.replace(tzinfo=UTC))  # Unix seconds round it to the year 10000


@pytest.mark.parametrize("name", ["", "Europe", "../zone", "Nowhere/None", "x" * 300, "a\0b"])
def test_invalid_time_zone_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidError, match="is not a time zone that this machine knows") as caught:
        to_zone(name)
    assert caught.value.field == "zone"
