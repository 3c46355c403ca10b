"""Unread counts by their inputs, and the number that marks posts as read."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter import CountSource, Explanation, InvalidError, PostRef
from channel_adapter.backends.community import unread
from channel_adapter.domain.ids import ChannelId
from channel_adapter.mapping.ids import COMMUNITY_IDS
from channel_adapter.services.unread.service import read_up_to
from channel_adapter.tencent.wire.members import Member, SelfInfo

CHANNEL = ChannelId("@TGS#_news")


def test_unread_count_of_server_is_used_unchanged() -> None:
    own = SelfInfo(msg_seq=3, unread_msg_num=2)
    assert unread.unread_count(11, own, [5]) == 2
    assert unread.explanation(11, own, [5]) == Explanation(CountSource.SERVER, 10, 3)
    assert unread.unread_count(None, SelfInfo(unread_msg_num=-1)) == 0
    assert unread.explanation(None, SelfInfo(unread_msg_num=0)) == Explanation(CountSource.SERVER, None, None)


def test_unread_count_is_computed_from_list_or_member_positions() -> None:
    own = SelfInfo(msg_seq=3)
    assert unread.unread_count(11, own, [1, 3, 4, 10, 11]) == 5
    assert unread.explanation(11, own, [1, 3, 4, 10, 11]) == Explanation(CountSource.POSITIONS, 10, 3, (4, 10))
    member = Member(member_account="u_ann", msg_seq=9)
    assert unread.unread_count(11, member) == 1
    assert unread.explanation(11, member) == Explanation(CountSource.MEMBER, 10, 9)
    assert unread.unread_count(3, SelfInfo(msg_seq=9)) == 0


def test_missing_inputs_return_no_count() -> None:
    assert unread.unread_count(11, SelfInfo()) is None
    assert unread.unread_count(None, SelfInfo(msg_seq=3)) is None
    assert unread.unread_count(11, None) is None
    assert unread.explanation(None, SelfInfo(msg_seq=3), [4]) == Explanation(CountSource.POSITIONS, None, 3)


@given(last=st.integers(0, 60), read=st.integers(0, 60), uncounted=st.sets(st.integers(1, 70)).map(sorted))
def test_unread_count_excludes_uncounted_posts(last: int, read: int, uncounted: list[int]) -> None:
    counted = unread.unread_count(last + 1, SelfInfo(msg_seq=read), uncounted)
    assert counted == len([seq for seq in range(read + 1, last + 1) if seq not in uncounted])


@pytest.mark.parametrize(("last", "up_to", "number"), [(5, 5, 0), (5, 1, 4), (1, 1, 0)])
def test_unread_number_is_the_number_of_posts_after_up_to(last: int, up_to: int, number: int) -> None:
    assert unread.unread_number(last, up_to) == number


def test_nonexistent_post_is_refused() -> None:
    with pytest.raises(InvalidError) as refused:
        unread.unread_number(5, 6)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("up_to", 5, 6)


@pytest.mark.parametrize("up_to", [0, -1, True, 2.5, "3", date(2026, 3, 20), datetime(2026, 3, 20)])  # noqa: DTZ001
def test_invalid_up_to_is_refused(up_to: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        read_up_to(COMMUNITY_IDS, CHANNEL, up_to)
    assert refused.value.field == "up_to"


def test_up_to_accepts_post_number_ref_time_or_none() -> None:
    moment = datetime(2026, 3, 20, tzinfo=UTC)
    given = (None, 3, PostRef(CHANNEL, 4), moment)
    expected = [None, PostRef(CHANNEL, 3), PostRef(CHANNEL, 4), moment]
    assert [read_up_to(COMMUNITY_IDS, CHANNEL, up_to) for up_to in given] == expected
