"""Channels as groups: byte limits, custom data over several fields, and the tag."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.backends.community.profile import (
    check_profile,
    create_request,
    fields_of,
    is_channel,
    to_channel,
    update_request,
)
from channel_adapter.backends.community.tag import Tag, read_tag
from channel_adapter.domain.channel import Channel, ChannelProfile
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.text import byte_size, split_text
from channel_adapter.tencent.limits import GROUP_PROFILE, GROUP_PROFILE_LEGACY
from channel_adapter.tencent.wire import groups

KEYS = FieldKeys("ch_tag", "ch_org", tuple(f"ch_data_{n}" for n in range(1, 7)))
TAG_ALONE = FieldKeys("ch_tag")
HARBOUR = ChannelId("@TGS#_harbor_news")
EDITOR = UserId("editor_7")


def text_of(size: int, piece: str) -> str:
    """Return a text of exactly `size` bytes, made of `piece` and filled up with ASCII."""
    count = size // byte_size(piece)
    return piece * count + "x" * (size - count * byte_size(piece))


@pytest.mark.parametrize(("field", "limit"), [("name", 100), ("introduction", 400), ("notification", 400)])
@pytest.mark.parametrize("piece", ["a", "港", "🚢", "👩‍👩‍👧"])
def test_multi_byte_text_is_accepted_up_to_exact_limit(field: str, limit: int, piece: str) -> None:
    check_profile(ChannelProfile(**{field: text_of(limit, piece)}), KEYS, GROUP_PROFILE)  # type: ignore[arg-type]
    with pytest.raises(InvalidError) as refused:
        check_profile(ChannelProfile(**{field: text_of(limit + 1, piece)}), KEYS, GROUP_PROFILE)  # type: ignore[arg-type]
    assert (refused.value.field, refused.value.limit, refused.value.size) == (field, limit, limit + 1)


def test_legacy_limits_are_smaller() -> None:
    with pytest.raises(InvalidError) as refused:
        check_profile(ChannelProfile(name="港" * 11), KEYS, GROUP_PROFILE_LEGACY)
    assert (refused.value.limit, refused.value.size) == (30, 33)


@pytest.mark.parametrize("avatar", ["ftp://x/y", "harbour.png", "https://" + "x" * 500])
def test_avatar_that_is_no_url_of_at_most_500_bytes_is_refused(avatar: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_profile(ChannelProfile(avatar=avatar), KEYS, GROUP_PROFILE)
    assert refused.value.field == "avatar"


@pytest.mark.parametrize("name", ["", "   ", "\n"])
def test_blank_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidError) as refused:
        check_profile(ChannelProfile(name=name), KEYS, GROUP_PROFILE)
    assert refused.value.field == "name"


def test_unpaired_surrogate_is_refused() -> None:
    with pytest.raises(InvalidError, match="surrogate"):
        check_profile(ChannelProfile(name="\ud83d"), KEYS, GROUP_PROFILE)


def test_organization_needs_declared_key() -> None:
    with pytest.raises(InvalidError, match="organization_key") as refused:
        check_profile(ChannelProfile(organization="Harbour Office"), TAG_ALONE, GROUP_PROFILE)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("organization", 0, 14)


def test_error_of_custom_data_reports_number_of_keys_needed() -> None:
    keys = FieldKeys("ch_tag", None, ("one",))
    with pytest.raises(InvalidError, match=r"needs 2 custom group fields.*declare 1 more") as refused:
        check_profile(ChannelProfile(custom_data="x" * 513), keys, GROUP_PROFILE)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("custom_data", 512, 513)
    with pytest.raises(InvalidError, match="needs 1 custom group field;"):
        check_profile(ChannelProfile(custom_data="x"), TAG_ALONE, GROUP_PROFILE)


@pytest.mark.parametrize("piece", ["x", "港", "🚢"])
def test_custom_data_is_limited_to_3000_bytes_in_six_keys(piece: str) -> None:
    check_profile(ChannelProfile(custom_data=text_of(3000, piece)), KEYS, GROUP_PROFILE)
    with pytest.raises(InvalidError) as refused:
        check_profile(ChannelProfile(custom_data=text_of(3001, piece)), KEYS, GROUP_PROFILE)
    assert (refused.value.limit, refused.value.size) == (3000, 3001)


@given(st.text(st.characters(codec="utf-8"), max_size=800), st.integers(4, 600))
def test_split_text_is_complete_and_every_piece_fits(text: str, size: int) -> None:
    pieces = split_text(text, size)
    assert "".join(pieces) == text
    assert all(0 < byte_size(piece) <= size for piece in pieces)


@given(st.text(st.characters(codec="utf-8"), max_size=700), st.text(st.characters(codec="utf-8"), max_size=100))
def test_created_channel_reads_back(custom_data: str, organization: str) -> None:
    wanted = ChannelProfile(
        name="Harbour News 港口",
        introduction="Tides",
        notification="",
        avatar="https://static.example.org/h.png",
        organization=organization,
        custom_data=custom_data,
        max_subscribers=500,
    )
    check_profile(wanted, KEYS, GROUP_PROFILE)
    request = create_request(HARBOUR, EDITOR, wanted, KEYS)
    group = groups.GroupProfile(
        name=request.name,
        introduction=request.introduction,
        face_url=request.face_url,
        owner_account=request.owner_account,
        max_member_num=request.max_member_count,
        app_defined_data=request.app_defined_data,
        member_num=1,
        mute_all_member="On",
    )
    fields = fields_of(group)
    assert is_channel(fields, KEYS)
    channel = to_channel(HARBOUR, group, fields, KEYS)
    assert channel.owner == EDITOR
    assert channel.subscriber_count == 0
    assert channel.complete
    assert wanted.difference(channel).is_empty()


def channel_with(fields: dict[str, str], keys: FieldKeys = KEYS) -> Channel:
    group = groups.GroupProfile(owner_account=EDITOR, member_num=3, max_member_num=501, mute_all_member="On")
    return to_channel(HARBOUR, group, fields, keys)


def written(custom_data: str, keys: FieldKeys = KEYS) -> dict[str, str]:
    """Return the custom fields of a channel that is created with this data."""
    request = create_request(HARBOUR, EDITOR, ChannelProfile(name="Tides", custom_data=custom_data), keys)
    return {item.key: item.value for item in request.app_defined_data or ()}


def test_owner_is_not_counted_as_subscriber() -> None:
    wanted = ChannelProfile(name="Tides", max_subscribers=500)
    assert create_request(HARBOUR, EDITOR, wanted, KEYS).max_member_count == 501
    channel = channel_with({"ch_tag": "ch1"})
    assert (channel.max_subscribers, channel.subscriber_count) == (500, 2)
    assert update_request(HARBOUR, ChannelProfile(max_subscribers=500), KEYS).max_member_num == 501
    orphan = to_channel(HARBOUR, groups.GroupProfile(member_num=3, max_member_num=501), {}, KEYS)
    assert (orphan.max_subscribers, orphan.subscriber_count) == (501, 3)
    assert update_request(HARBOUR, ChannelProfile(max_subscribers=500), KEYS, owned=False).max_member_num == 500


@pytest.mark.parametrize("declared", range(7))
@pytest.mark.parametrize("size", [0, 1, 512, 513, 1500, 3000])
def test_data_cut_because_of_missing_keys_is_incomplete(declared: int, size: int) -> None:
    data = text_of(size, "港")
    fields = written(data)
    keys = dataclasses.replace(KEYS, custom_data=KEYS.custom_data[:declared])
    channel = channel_with({key: value for key, value in fields.items() if key in keys.all()}, keys)
    assert data.startswith(channel.custom_data)
    assert channel.custom_data_complete is (channel.custom_data == data)
    assert (
        ChannelProfile(custom_data=channel.custom_data).difference(channel).is_empty() is channel.custom_data_complete
    )


def test_fields_left_by_adapter_with_more_keys_are_not_read() -> None:
    fields = written("x" * 1500)
    narrow = dataclasses.replace(KEYS, custom_data=KEYS.custom_data[:1])
    for data in ("short", ""):
        request = update_request(HARBOUR, ChannelProfile(custom_data=data), narrow, tag=Tag(data=3))
        after = fields | {item.key: item.value for item in request.app_defined_data or ()}
        assert after["ch_data_2"]
        assert (channel_with(after).custom_data, channel_with(after).custom_data_complete) == (data, True)


@pytest.mark.parametrize("tag", ["ch1", "ch1;data=", "ch1;data=many"])
def test_data_without_valid_count_is_complete(tag: str) -> None:
    channel = channel_with(written("x" * 600) | {"ch_tag": tag})
    assert (channel.custom_data, channel.custom_data_complete) == ("x" * 600, True)


def test_update_contains_only_changes_and_empties_unused_fields() -> None:
    request = update_request(HARBOUR, ChannelProfile(custom_data="short"), KEYS, tag=Tag(others=("later=1",)))
    assert request.to_wire() == {
        "GroupId": HARBOUR,
        "AppDefinedData": [
            {"Key": "ch_tag", "Value": "ch1;data=1;later=1"},
            {"Key": "ch_data_1", "Value": "short"},
            *({"Key": f"ch_data_{n}", "Value": ""} for n in range(2, 7)),
        ],
    }


@pytest.mark.parametrize("data", [None, [], [{"Key": "other", "Value": "ch1"}], [{"Key": "ch_tag", "Value": ""}]])
def test_group_without_tag_is_no_channel(data: list[dict[str, str]] | None) -> None:
    group = groups.GroupProfile.model_validate({"AppDefinedData": data})
    assert not is_channel(fields_of(group), KEYS)


@pytest.mark.parametrize(("tag", "ours"), [("ch1", True), ("ch1;m=42", True), ("ch12", False), ("CH1", False)])
def test_tag_consists_of_kind_version_and_optional_parts(tag: str, ours: bool) -> None:
    assert is_channel({"ch_tag": tag}, KEYS) is ours


def test_mute_all_is_read_under_its_old_name() -> None:
    group = groups.GroupProfile.model_validate({"ShutUpAllMember": "On", "MemberNum": 3})
    channel = to_channel(HARBOUR, group, {}, KEYS)
    assert channel.complete
    assert channel.subscriber_count == 3  # without an owner every member counts


def test_attributes_with_special_characters_read_back_and_longest_take_128_bytes() -> None:
    contact = ";%=%3B~" + "%;" * 12 + "~"
    tag = Tag(migration="m1", others=("later",)).with_attributes(
        {"verified": "1", "suspended": "1", "contact": contact}
    )
    read = read_tag(tag.text())
    assert read == tag
    assert read.attributes == {"verified": "1", "suspended": "1", "contact": contact}
    longest = Tag().with_attributes({"verified": "1", "suspended": "1", "contact": "%" * 32})
    assert len(longest.text()) - len(Tag().text()) == 128
    channel = channel_with({"ch_tag": tag.text()})
    assert (channel.verified, channel.suspended, channel.contact) == (True, True, contact)
    removed = tag.with_attributes({"verified": None, "suspended": None, "contact": None})
    assert removed == Tag(migration="m1", others=("later",))
