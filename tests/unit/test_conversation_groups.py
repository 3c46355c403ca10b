"""Conversation groups on the wire: bytes of the golden files, special cases, limits in bytes."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter import ConversationGroup, InvalidError, Marks
from channel_adapter.backends import conversation_groups as mapping
from channel_adapter.backends.conversation_groups import Conversation, ConversationGroupsSnapshot, ConversationKind
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.tencent.wire import contact_groups as wire
from tests.golden.loader import HERE, load

ANN = UserId("u_ann")
KIND = ConversationKind(one_to_one=False, prefix="@TGS#_")
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
        ("get_contact_group", wire.GetContactGroupRequest(from_account=ANN, start_index=0)),
        ("search_contact_group", mapping.search_request(ANN, [NEWS])),
        (
            "mark_contact",
            mapping.mark_request(ANN, NEWS, {wire.BIT_STAR: True, 3: True, 1: False}, "vip"),
        ),
    ],
)
def test_requests_equal_golden_files(name: str, request_: Any) -> None:
    golden = load(HERE / "recentcontact" / f"{name}.json")
    assert request_.to_json() == golden.request_bytes


def test_failures_are_reported_item_by_item() -> None:
    created = wire.CreateContactGroupReply.model_validate(
        load(HERE / "recentcontact" / "create_contact_group.json").reply
    )
    assert mapping.failures_in(*(group.result_item for group in created.group_result_item)) == {
        GONE: (51007, "group not found")
    }
    changed, renamed = (
        wire.UpdateContactGroupReply.model_validate(
            load(HERE / "recentcontact" / f"update_contact_group.{name}.json").reply
        ).update_group_result.contact_result_item
        for name in ("mixed", "rename")
    )
    assert mapping.failures_in(changed) == {GONE: (51007, "group not found")}
    assert mapping.failures_in(renamed) == {}


@pytest.mark.parametrize(
    ("bits", "text", "kind"), [({0: True}, None, 1), ({}, "x", 2), ({}, "", 2), ({0: False}, "x", 3)]
)
def test_type_of_mark_depends_on_its_contents(bits: dict[int, bool], text: str | None, kind: int) -> None:
    item = mapping.mark_request(ANN, NEWS, bits, text).to_wire()["MarkItem"][0]
    assert (item["OptType"], "CustomMark" in item) == (kind, text is not None)
    assert ("SetMark" in item, "ClearMark" in item) == (bits == {0: True}, bits == {0: False})


def test_snapshot_combines_pages() -> None:
    snapshot = ConversationGroupsSnapshot()
    snapshot.add(FILED)
    names = snapshot.names.values()
    assert ("Mine" in names, "mine" in names) == (True, False)
    assert snapshot.get("Channels") == [NEWS]
    assert snapshot.get("Mine") == [NEWS, BEN, Conversation("@TGS#2ORDINARY")]
    assert snapshot.get("Theirs") == []
    second = {"ContactItem": [{"Type": 2, "ToGroupId": "@TGS#_x", "ContactGroupId": [1]}], "ErrorCode": 0}
    snapshot.add(wire.GetContactGroupReply.model_validate(second))
    assert snapshot.as_groups(KIND) == [
        ConversationGroup("Channels", (ChannelId("@TGS#_news_42"), ChannelId("@TGS#_x"))),
        ConversationGroup("Mine", (ChannelId("@TGS#_news_42"),), ("u_ben", "@TGS#2ORDINARY")),
    ]


def test_marks_are_read_from_right() -> None:
    reply = wire.SearchContactGroupReply.model_validate(
        {"ContactResultItem": [{"Type": 2, "ToGroupId": NEWS.id, "StandardMark": "111101001", "CustomMark": "vip"}]}
    )
    assert mapping.marks_of(NEWS, reply) == Marks(starred=True, hidden=True, folded=False, text="vip")
    assert mapping.marks_of(SPORT, reply) == Marks()
    bare = wire.SearchContactGroupReply.model_validate({"ContactResultItem": [{"Type": 2, "ToGroupId": NEWS.id}]})
    assert mapping.marks_of(NEWS, bare) == Marks()


@given(bits=st.sets(st.integers(0, 63)), zeros=st.integers(0, 5))
def test_mark_has_bits_that_were_set(bits: set[int], zeros: int) -> None:
    text = "0" * zeros + f"{sum(1 << bit for bit in bits):b}"
    assert {bit for bit in range(64) if mapping.has_bit(text, bit)} == bits


@pytest.mark.parametrize(
    ("name", "size"), [("", 0), ("   ", 3), ("x" * 33, 33), ("频道" * 5 + "频", 33), ("\ud800", None)]
)
def test_invalid_group_names_are_refused(name: str, size: int | None) -> None:
    with pytest.raises(InvalidError) as refused:
        mapping.group_name(name)
    assert (refused.value.field, refused.value.size) == ("name", size)


def test_names_and_texts_have_limits_in_bytes() -> None:
    assert mapping.group_name("频道" * 5 + "xx") == "频道" * 5 + "xx"
    assert mapping.mark_text("ü" * 128) == "ü" * 128
    assert mapping.mark_text("") == ""
    with pytest.raises(InvalidError) as refused:
        mapping.mark_text("ü" * 128 + "x")
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("text", 256, 257)
