"""Conversation groups on the wire: the bytes of the golden files, the traps of the family, a count by its inputs."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter import ConversationGroup, CountSource, Explanation, InvalidError, Marks, PostRef
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.mapping.unread_groups import Conversation, Filed
from channel_adapter.tencent.wire import contact_groups as wire
from channel_adapter.tencent.wire.members import Member, SelfInfo
from tests.golden.loader import HERE, load

ANN = UserId("u_ann")
CHANNEL = ChannelId("@TGS#_news")
NEWS, SPORT, GONE = (Conversation(f"@TGS#_{name}") for name in ("news_42", "sport_7", "gone"))
BEN = Conversation("u_ben", one_to_one=True)
FILED = wire.GetContactGroupReply.model_validate(
    {
        "ContactItem": [
            {"Type": 2, "ToGroupId": "@TGS#_news_42", "To_Account": "ignored", "ContactGroupId": [1, 3]},
            {"Type": 1, "To_Account": "u_ben", "ContactGroupId": [3]},
            {"Type": 2, "ToGroupId": "@TGS#2ORDINARY", "ContactGroupId": [3]},
            {"Type": 2, "ToGroupId": "@TGS#_sport_7", "StandardMark": "1"},
        ],
        "GroupItem": [{"GroupName": "Mine", "GroupId": 3}, {"GroupName": "Channels", "GroupId": 1}],
        "ErrorCode": 0,
    }
)


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("create_contact_group", mapping.create_request(ANN, "Channels", [NEWS, GONE])),
        ("update_contact_group.mixed", mapping.change_request(ANN, "Channels", add=[SPORT, GONE], remove=[NEWS])),
        ("update_contact_group.rename", mapping.rename_request(ANN, "Channels", "Updates 频道")),
        ("del_contact_group", mapping.delete_request(ANN, "Channels")),
        ("get_contact_group", mapping.page_request(ANN, 0)),
        ("search_contact_group", mapping.search_request(ANN, [ChannelId(NEWS.id)])),
        (
            "mark_contact",
            mapping.mark_request(ANN, ChannelId(NEWS.id), {wire.BIT_STAR: True, 3: True, 1: False}, "vip"),
        ),
    ],
)
def test_requests_are_those_of_the_golden_files(name: str, request_: Any) -> None:
    golden = load(HERE / "recentcontact" / f"{name}.json")
    assert request_.to_json() == golden.request_bytes


def test_failures_are_told_item_by_item() -> None:
    created = load(HERE / "recentcontact" / "create_contact_group.json").reply
    assert mapping.results_of_creation(wire.CreateContactGroupReply.model_validate(created)) == {
        GONE: (51007, "group not found")
    }
    changed = load(HERE / "recentcontact" / "update_contact_group.mixed.json").reply
    assert mapping.results_of_change(wire.UpdateContactGroupReply.model_validate(changed)) == {
        GONE: (51007, "group not found")
    }
    renamed = load(HERE / "recentcontact" / "update_contact_group.rename.json").reply
    assert mapping.results_of_change(wire.UpdateContactGroupReply.model_validate(renamed)) == {}


@pytest.mark.parametrize(
    ("bits", "text", "kind"), [({0: True}, None, 1), ({}, "x", 2), ({}, "", 2), ({0: False}, "x", 3)]
)
def test_the_kind_of_a_mark_says_what_is_in_it(bits: dict[int, bool], text: str | None, kind: int) -> None:
    item = mapping.mark_request(ANN, ChannelId(NEWS.id), bits, text).to_wire()["MarkItem"][0]
    assert (item["OptType"], "CustomMark" in item) == (kind, text is not None)
    assert ("SetMark" in item, "ClearMark" in item) == (bits == {0: True}, bits == {0: False})


def test_what_is_filed_is_put_together_from_pages() -> None:
    filed = Filed()
    filed.add(FILED)
    assert (filed.has("Mine"), filed.has("mine")) == (True, False)
    assert filed.of("Channels") == [NEWS]
    assert filed.of("Mine") == [NEWS, BEN, Conversation("@TGS#2ORDINARY")]
    assert filed.of("Theirs") == []
    second = {"ContactItem": [{"Type": 2, "ToGroupId": "@TGS#_x", "ContactGroupId": [1]}], "ErrorCode": 0}
    filed.add(wire.GetContactGroupReply.model_validate(second))
    assert filed.as_groups() == [
        ConversationGroup("Channels", (ChannelId("@TGS#_news_42"), ChannelId("@TGS#_x"))),
        ConversationGroup("Mine", (ChannelId("@TGS#_news_42"),), ("u_ben", "@TGS#2ORDINARY")),
    ]


def test_marks_are_read_from_the_right() -> None:
    reply = wire.SearchContactGroupReply.model_validate(
        {"ContactResultItem": [{"Type": 2, "ToGroupId": NEWS.id, "StandardMark": "111101001", "CustomMark": "vip"}]}
    )
    assert mapping.marks_of(ChannelId(NEWS.id), reply) == Marks(starred=True, hidden=True, folded=False, text="vip")
    assert mapping.marks_of(ChannelId(SPORT.id), reply) == Marks()
    bare = wire.SearchContactGroupReply.model_validate({"ContactResultItem": [{"Type": 2, "ToGroupId": NEWS.id}]})
    assert mapping.marks_of(ChannelId(NEWS.id), bare) == Marks()


@given(bits=st.sets(st.integers(0, 63)), zeros=st.integers(0, 5))
def test_a_mark_holds_the_bits_that_were_set(bits: set[int], zeros: int) -> None:
    text = "0" * zeros + f"{sum(1 << bit for bit in bits):b}"
    assert {bit for bit in range(64) if mapping.has_bit(text, bit)} == bits


def test_a_number_of_the_server_is_taken_as_it_is() -> None:
    own = SelfInfo(msg_seq=3, unread_msg_num=2)
    assert mapping.count(11, own, [5]) == 2
    assert mapping.explain(11, own, [5]) == Explanation(CountSource.SERVER, 10, 3)
    assert mapping.count(None, SelfInfo(unread_msg_num=-1)) == 0
    assert mapping.explain(None, SelfInfo(unread_msg_num=0)) == Explanation(CountSource.SERVER, None, None)


def test_positions_of_the_list_or_of_the_member() -> None:
    own = SelfInfo(msg_seq=3)
    assert mapping.count(11, own, [1, 3, 4, 10, 11]) == 5
    assert mapping.explain(11, own, [1, 3, 4, 10, 11]) == Explanation(CountSource.POSITIONS, 10, 3, (4, 10))
    member = Member(member_account="u_ann", msg_seq=9)
    assert mapping.count(11, member) == 1
    assert mapping.explain(11, member) == Explanation(CountSource.MEMBER, 10, 9)
    assert mapping.count(3, SelfInfo(msg_seq=9)) == 0


def test_too_little_is_no_count() -> None:
    assert mapping.count(11, SelfInfo()) is None
    assert mapping.count(None, SelfInfo(msg_seq=3)) is None
    assert mapping.count(11, None) is None
    assert mapping.explain(None, SelfInfo(msg_seq=3), [4]) == Explanation(CountSource.POSITIONS, None, 3)


@given(last=st.integers(0, 60), read=st.integers(0, 60), uncounted=st.sets(st.integers(1, 70)).map(sorted))
def test_the_count_is_the_number_of_posts_that_count(last: int, read: int, uncounted: list[int]) -> None:
    counted = mapping.count(last + 1, SelfInfo(msg_seq=read), uncounted)
    assert counted == len([seq for seq in range(read + 1, last + 1) if seq not in uncounted])


@pytest.mark.parametrize(("last", "up_to", "number"), [(5, 5, 0), (5, 1, 4), (1, 1, 0)])
def test_reading_up_to_a_post(last: int, up_to: int, number: int) -> None:
    assert mapping.unread_number(last, up_to) == number


def test_a_post_that_is_not_there_yet() -> None:
    with pytest.raises(InvalidError) as refused:
        mapping.unread_number(5, 6)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("up_to", 5, 6)


@pytest.mark.parametrize("up_to", [0, -1, True, 2.5, "3", date(2026, 3, 20), datetime(2026, 3, 20)])  # noqa: DTZ001
def test_nothing_to_read_up_to(up_to: Any) -> None:
    with pytest.raises(InvalidError) as refused:
        mapping.read_up_to(CHANNEL, up_to)
    assert refused.value.field == "up_to"


def test_how_far_somebody_has_read() -> None:
    moment = datetime(2026, 3, 20, tzinfo=UTC)
    given = (None, 3, PostRef(CHANNEL, 4), moment)
    assert [mapping.read_up_to(CHANNEL, up_to) for up_to in given] == [None, 3, 4, moment]


@pytest.mark.parametrize(
    ("name", "size"), [("", 0), ("   ", 3), ("x" * 33, 33), ("频道" * 5 + "频", 33), ("\ud800", None)]
)
def test_names_that_no_group_can_have(name: str, size: int | None) -> None:
    with pytest.raises(InvalidError) as refused:
        mapping.group_name(name)
    assert (refused.value.field, refused.value.size) == ("name", size)


def test_names_and_texts_up_to_their_bytes() -> None:
    assert mapping.group_name("频道" * 5 + "xx") == "频道" * 5 + "xx"
    assert mapping.custom_mark("ü" * 128) == "ü" * 128
    assert mapping.custom_mark("") == ""
    with pytest.raises(InvalidError) as refused:
        mapping.custom_mark("ü" * 128 + "x")
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("text", 256, 257)
