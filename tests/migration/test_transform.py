"""Transforms of one source value into one request: the stub accepts the request and returns the value."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.backends.community import profile as channel_group
from channel_adapter.backends.community.tag import Tag, migration_id, read_tag
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import Image, Text, Unrecognised, Video
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import from_elements
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.subscription_member import MSG_FLAGS
from channel_adapter.migration.plan import cards
from channel_adapter.migration.plan.resolutions import Incompatibility, Resolution, Resolutions
from channel_adapter.migration.plan.transform import (
    PostAssessment,
    SendTimes,
    TargetLimits,
    assess_post,
    import_post,
    import_subscriber,
    imported_post_number,
    join_time,
    map_post,
    map_profile,
    post_random,
    refused,
    subscriber_losses,
    target_id,
    to_store,
)
from channel_adapter.migration.sources.source import SourceChannel, SourcePost, SourceState, SourceSubscriber
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import members, messages
from channel_adapter.tencent.wire.msg_body import CUSTOM, Element
from tests.migration import worlds
from tests.unit.worlds import NOW, OWNER, Play

KEYS = FieldKeys(worlds.FIELDS[0], worlds.FIELDS[1], worlds.FIELDS[2:])
TARGET = TargetLimits(KEYS, limits.GROUP_PROFILE, limits.MESSAGE_BYTES_SAFE)
BARE = TargetLimits(FieldKeys("ch_tag"), limits.GROUP_PROFILE_LEGACY, limits.MESSAGE_BYTES_SAFE)
TWO_KEYS = TargetLimits(FieldKeys("t", None, ("a", "b")), limits.GROUP_PROFILE, limits.MESSAGE_BYTES_SAFE)
CHANNEL = ChannelId("@TGS#_moved")
BODIES = [*worlds.carried(1), *worlds.media(1)]


def source(**fields: Any) -> SourceChannel:
    values: dict[str, Any] = {"id": "@TOA#_moved", "owner": OWNER, "name": "Harbour", "created_at": NOW - 1000}
    return SourceChannel(**values | fields)


def post(body: Sequence[Element], number: int = 1, time: int = NOW - 500) -> SourcePost:
    return SourcePost(f"{number}_1_{time}", number, time, tuple(body))


def play() -> Play:
    return Play(app={"group_fields": worlds.FIELDS})


@pytest.mark.parametrize(
    ("source_id", "channel"),
    [
        ("@TOA#_x", "@TGS#_x"),
        ("@TOA#_@TOA#k", "@TGS#_@TOA#k"),
        ("@TOA#_" + "x" * 42, "@TGS#_" + "x" * 42),
        ("@TOA#_with space", "@TGS#_with space"),
        ("harbor_news", "@TGS#_harbor_news"),
        ("@TGS#_as it is", "@TGS#_as it is"),
    ],
)
def test_source_id_is_mapped_to_channel_id(source_id: str, channel: str) -> None:
    assert target_id(source_id) == channel


@pytest.mark.parametrize(
    "source_id",
    [
        "@TOA#_",
        "@TOA#_@TGS#x",
        "@TOA#_a@TOPIC#_b",
        "@TOA#_" + "x" * 43,
        "@TOA#_ü",
        "#TOA#_123",
        "",
        "a/b",
        "@TGS#_@TGS#c1",
    ],
)
def test_id_that_no_channel_can_have_is_refused(source_id: str) -> None:
    with pytest.raises(InvalidError):
        target_id(source_id)


def test_profile_that_fits_is_mapped_unchanged() -> None:
    mapped = map_profile(source(name="汉" * 33 + "x", introduction="i" * 400, avatar="cos://face"), TARGET)
    assert not mapped.lost
    assert (mapped.profile.name, mapped.profile.avatar) == ("汉" * 33 + "x", "cos://face")


@pytest.mark.parametrize(
    ("target", "field", "text", "kept", "limit"),
    [
        (TARGET, "name", "汉" * 50, "汉" * 33, 100),
        (TARGET, "name", "a" * 98 + "👩‍🚀", "a" * 98, 100),
        (TARGET, "organization", "o" * 513, "o" * 512, 512),
        (BARE, "name", "汉" * 11, "汉" * 10, 30),
        (BARE, "introduction", "é" * 200, "é" * 120, 240),
        (BARE, "avatar", "https://e.org/" + "x" * 90, "", 100),
        (BARE, "organization", "Port", "", 0),
        (BARE, "custom_data", "d", "", 0),
        (TWO_KEYS, "custom_data", "汉" * 400, "汉" * 340, 1024),
    ],
)  # fmt: skip
def test_oversized_profile_text_is_cut_between_characters_and_reported(
    target: TargetLimits, field: str, text: str, kept: str, limit: int
) -> None:
    mapped = map_profile(source(**{field: text}), target)
    [lost] = mapped.lost
    assert (lost.loss, lost.size, lost.limit, lost.kept) == (Incompatibility(field), len(text.encode()), limit, kept)
    assert getattr(mapped.profile, field) == kept
    channel_group.check_profile(mapped.profile, target.keys, target.sizes)


def test_imported_channel_has_its_creation_time_and_migration_tag() -> None:
    stub = play()
    stub.users(OWNER)
    mapped = map_profile(source(organization="Port", custom_data="汉" * 1000), TARGET)
    tag = Tag("m1", ("name",))
    request = channel_group.import_request(CHANNEL, UserId(OWNER), mapped.profile, KEYS, created_at=NOW - 1000, tag=tag)
    stub.call("import_group", **request.to_wire())
    info = stub.info(CHANNEL)
    fields = {item["Key"]: item["Value"] for item in info["AppDefinedData"]}
    assert info["CreateTime"] == NOW - 1000
    assert channel_group.is_channel(fields, KEYS)
    assert channel_group.tag_of(fields, KEYS) == tag
    assert "".join(fields[key] for key in KEYS.custom_data if key in fields) == "汉" * 1000


@pytest.mark.parametrize("body", BODIES, ids=lambda body: "+".join(element.msg_type for element in body))
def test_every_body_is_accepted_by_import_and_reads_back_unchanged(body: list[Element]) -> None:
    stub = play()
    stub.channel()
    stub.clock.advance(2000)
    mapped = map_post(post(body), TARGET)
    assert mapped.body is not None
    assert (Incompatibility.POST_MEDIA in mapped.lost) == (not cards.is_importable(body))
    message = import_post(
        post(body), mapped.body, migration="m1", channel=ChannelId("@TGS#_harbour"), owner=OWNER, time=NOW + 5
    )
    reply = stub.call(
        "import_group_msg", **messages.ImportGroupMsgRequest(group_id="@TGS#_harbour", msg_list=[message]).to_wire()
    )
    assert [item["Result"] for item in reply["ImportMsgResult"]] == [0]
    [read] = stub.call("group_msg_get_simple", GroupId="@TGS#_harbour", ReqMsgNumber=5)["RspMsgList"]
    elements = [Element.model_validate(each) for each in read["MsgBody"]]
    assert from_elements(elements) == from_elements(body)
    assert imported_post_number("m1", ChannelId("@TGS#_harbour"), read["MsgRandom"]) == 1


def test_picture_is_sent_in_card_that_stock_clients_display() -> None:
    [card] = map_post(post(worlds.media(3)[1]), TARGET).body or ()
    assert card.msg_type == CUSTOM
    data = card.msg_content["Data"]
    assert '"businessID":"official_account_tweet"' in data
    assert '"title":"with a picture 港 3"' in data
    assert "https://example.org/t3_2.jpg" in data
    assert isinstance(from_elements(worlds.media(3)[0])[0], Image)
    assert isinstance(from_elements(worlds.media(3)[2])[0], Video)
    assert isinstance(from_elements(map_post(post(worlds.media(3)[6]), TARGET).body or ())[0], Unrecognised)


def test_text_over_limit_is_cut_to_limit() -> None:
    mapped = map_post(post(worlds.huge()), TARGET)
    assert mapped.lost == (Incompatibility.POST_SIZE,)
    assert mapped.body is not None
    size = cards.body_size(mapped.body)
    assert limits.MESSAGE_BYTES_SAFE - 5 < size <= limits.MESSAGE_BYTES_SAFE
    [part] = from_elements(mapped.body)
    assert isinstance(part, Text)
    whole = worlds.huge()[0].msg_content["Text"]
    assert whole.startswith(part.text)


def test_picture_with_text_over_limit_keeps_its_url() -> None:
    body = [*worlds.huge(), worlds.picture("x")]
    mapped = map_post(post(body), TARGET)
    assert mapped.lost[0] is Incompatibility.POST_MEDIA
    assert mapped.body is not None
    assert cards.body_size(mapped.body) <= limits.MESSAGE_BYTES_SAFE
    assert "https://example.org/x_1.jpg" in mapped.body[0].msg_content["Data"]


def test_post_that_cannot_be_cut_is_not_moved() -> None:
    big = Element(msg_type=CUSTOM, msg_content={"Data": "x" * 13_000})
    assert map_post(post([big]), TARGET) == map_post(post([big], 2), TARGET)
    assert map_post(post([big]), TARGET).body is None
    assert map_post(post([]), TARGET).body is None


@pytest.mark.parametrize("max_bytes", [200, 700, 1_500, 4_000, 12_000])
@pytest.mark.parametrize("body", [*BODIES, worlds.huge(), [], [worlds.text('\x01"\\' * 300)]], ids=len)
def test_assessment_of_post_equals_its_mapping(body: list[Element], max_bytes: int) -> None:
    target = TargetLimits(KEYS, limits.GROUP_PROFILE, max_bytes)
    for whole in (body, [*body, worlds.picture("x")]):
        mapped, judged = map_post(post(whole), target), assess_post(post(whole), target)
        assert judged == PostAssessment(mapped.lost, mapped.body is None)


@pytest.mark.parametrize("state", [SourceState.RECALLED, SourceState.EXPIRED])
def test_recalled_or_expired_post_is_left_out_without_loss(state: SourceState) -> None:
    mapped = map_post(SourcePost("1_1_1", 1, 1, (), "", state), TARGET)
    assert (mapped.body, mapped.lost) == (None, ())


@given(st.lists(st.integers(0, 300), max_size=40), st.integers(0, 50), st.integers(0, 100))
def test_send_times_are_strictly_increasing_and_never_before_source_times(
    times: list[int], created_at: int, latest: int
) -> None:
    stamps = SendTimes(created_at, latest)
    given_times = [stamps.next(time) for time in sorted(times)]
    assert all(later > before for before, later in pairwise(given_times))
    assert all(stamp >= time for stamp, time in zip(given_times, sorted(times), strict=True))
    assert not given_times or given_times[0] > max(created_at, latest) or given_times[0] == min(times)
    assert stamps.moved == sum(stamp != time for stamp, time in zip(given_times, sorted(times), strict=True))


@given(st.sets(st.integers(0, 2**32 - 1), max_size=50), st.text("abc", min_size=1))
def test_dedupe_numbers_are_unique_per_post_and_reversible(numbers: set[int], migration: str) -> None:
    randoms = {post_random(migration, CHANNEL, number) for number in numbers}
    assert len(randoms) == len(numbers)
    assert {imported_post_number(migration, CHANNEL, random) for random in randoms} == numbers
    assert all(0 <= random <= limits.RANDOM_HIGHEST for random in randoms)


@given(st.text(max_size=60), st.integers(0, 80))
def test_cut_text_is_prefix_within_byte_limit(text: str, limit: int) -> None:
    cut = cards.cut_text(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len(text.encode()) > limit


@pytest.mark.parametrize(
    ("text", "limit", "kept"),
    [("👩‍🚀x", 11, "👩‍🚀"), ("ab👩‍🚀", 9, "ab"), ("e\u0301e\u0301", 5, "e\u0301"), ("🇩🇪🇫🇷", 12, "🇩🇪"),
     ("a🇩🇪🇫🇷", 13, "a🇩🇪"), ("👍🏽👍🏽", 12, "👍🏽"), ("👩‍🚀", 8, "👩‍")],
)  # fmt: skip
def test_character_that_fits_is_not_split(text: str, limit: int, kept: str) -> None:
    assert cards.cut_text(text, limit) == kept


@pytest.mark.parametrize(
    ("since", "expected"), [(None, None), (NOW - 500, NOW - 500), (NOW - 2000, NOW - 999), (NOW + 5, NOW - 1)]
)
def test_join_time_lies_between_creation_and_now(since: int | None, expected: int | None) -> None:
    assert join_time(since, NOW - 1000, NOW) == expected


def test_subscribers_are_imported_with_join_times_options_and_roles() -> None:
    stub = play()
    stub.users("ann", "ben", OWNER)
    profile = map_profile(source(), TARGET).profile
    request = channel_group.import_request(CHANNEL, UserId(OWNER), profile, KEYS, created_at=NOW - 1000, tag=Tag("m1"))
    stub.call("import_group", **request.to_wire())
    ann = SourceSubscriber("ann", NOW - 1000, Notifications.OFF, "data", 0)
    ben = SourceSubscriber("ben", NOW - 300)
    users = [import_subscriber(each, created_at=NOW - 1000, now=NOW, admins=("ben",)) for each in (ann, ben)]
    reply = stub.call(
        "import_group_member", **members.ImportGroupMemberRequest(group_id=CHANNEL, member_list=users).to_wire()
    )
    assert [item["Result"] for item in reply["MemberList"]] == [1, 1]
    flag = members.ModifyGroupMemberInfoRequest(
        group_id=CHANNEL, member_account="ann", msg_flag=MSG_FLAGS[ann.notifications]
    )
    stub.call("modify_group_member_info", **flag.to_wire())
    found = stub.member("ann", CHANNEL), stub.member("ben", CHANNEL)
    assert [(item["JoinTime"], item["MsgFlag"], item["Role"]) for item in found if item] == [
        (NOW - 999, "Discard", "Member"),
        (NOW - 300, "AcceptAndNotify", "Admin"),
    ]
    assert (subscriber_losses(ann), subscriber_losses(ben)) == ((Incompatibility.SUBSCRIBER_DATA,), ())


def test_policies_determine_refused_and_stored_losses() -> None:
    policies = Resolutions.parse(["all=cut", "name=store", "post_media=refuse"])
    assert refused(Incompatibility, policies) == [Incompatibility.POST_MEDIA]
    assert to_store(Incompatibility, policies) == [Incompatibility.NAME]
    assert policies.stores
    assert Resolutions().of(Incompatibility.AVATAR) is Resolution.REFUSE


@pytest.mark.parametrize("word", ["name", "name=", "name=lose", "title=cut", "=cut"])
def test_invalid_policy_is_refused(word: str) -> None:
    with pytest.raises(InvalidError) as refusal:
        Resolutions.parse([word])
    assert word in refusal.value.message


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("ch1", Tag()),
        ("ch1;mig=m1", Tag("m1")),
        ("ch1;kept=name+posts;mig=m1", Tag("m1", ("name", "posts"))),
        ("ch1;later=1;mig=m1", Tag("m1", (), ("later=1",))),
        ("ch2", None), ("ch10", None), ("", None), ("ch1x;mig=a", None),
    ],
)  # fmt: skip
def test_tag_is_parsed_and_formatted(value: str, tag: Tag | None) -> None:
    assert read_tag(value) == tag
    if tag is not None:
        assert read_tag(tag.text()) == tag


@pytest.mark.parametrize("text", ["", "a b", "ü", "x" * 41, "a;b", "a=b"])
def test_migration_id_that_does_not_fit_tag_is_refused(text: str) -> None:
    assert migration_id("spring-2026_a") == "spring-2026_a"
    with pytest.raises(InvalidError):
        migration_id(text)
