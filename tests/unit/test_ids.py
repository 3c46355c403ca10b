"""Identifiers: accepted values, and refusals that name field, limit and size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostRef
from channel_adapter.errors import InvalidError
from channel_adapter.mapping import ids


def test_slug_and_its_id_are_the_same_channel() -> None:
    assert ids.COMMUNITY_IDS.channel("harbor_news") == "@TGS#_harbor_news"
    assert ids.COMMUNITY_IDS.channel("@TGS#_harbor_news") == "@TGS#_harbor_news"
    assert ids.COMMUNITY_IDS.slug(ids.COMMUNITY_IDS.channel("harbor_news")) == "harbor_news"


@pytest.mark.parametrize("given_id", ["@TGS#_@TGS#cABCDEF", "@TGS#_@TOA#k7"])
def test_ids_made_by_the_service_or_a_migration_are_accepted(given_id: str) -> None:
    assert ids.COMMUNITY_IDS.channel(given_id) == given_id


@pytest.mark.parametrize("slug", ["", "@TGS#x", "@TOA#_x", "has space", "über", "a/b", "-lead", ".lead", "港口", "a\n"])
def test_bad_slug_is_refused_with_field_slug(slug: str) -> None:
    with pytest.raises(InvalidError) as refused:
        ids.COMMUNITY_IDS.from_slug(slug)
    assert refused.value.field == "slug"


def test_slug_is_limited_to_42_bytes_of_the_48_of_an_id() -> None:
    assert len(ids.COMMUNITY_IDS.from_slug("a" * 42)) == 48
    with pytest.raises(InvalidError) as refused:
        ids.COMMUNITY_IDS.from_slug("a" * 43)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("slug", 42, 43)


@pytest.mark.parametrize("text", ["@TGS#_", "@TGS#_x@TOPIC#_1", "@TGS#_é", "@TGS#_" + "x" * 43])
def test_invalid_community_ids_are_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        ids.COMMUNITY_IDS.channel(text)


@pytest.mark.parametrize("user", [7, None, "", "x" * 33, "読者", b"reader", True])
def test_invalid_user_ids_are_refused(user: object) -> None:
    with pytest.raises(InvalidError) as refused:
        ids.user_id(user)
    assert refused.value.field == "user"


def test_refusal_of_long_user_id_states_limit_and_size() -> None:
    with pytest.raises(InvalidError) as refused:
        ids.user_id("x" * 33, "owner")
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("owner", 32, 33)


@given(st.text(min_size=1, max_size=60))
def test_generated_slugs_are_valid_and_stable(key: str) -> None:
    slug = ids.generated_slug(key)
    assert slug == ids.generated_slug(key)
    assert ids.COMMUNITY_IDS.slug(ids.COMMUNITY_IDS.from_slug(slug)) == slug


@given(st.text(), st.text(), st.text(), st.text())
def test_dedupe_numbers_have_32_bits_and_depend_on_each_part(a: str, b: str, c: str, d: str) -> None:
    number = ids.random_of(a, b)
    assert 0 <= number < 2**32
    assert (number == ids.random_of(c, d)) == ((a, b) == (c, d))


def test_dedupe_number_depends_on_the_boundary_of_its_parts() -> None:
    assert ids.random_of("ab", "c") != ids.random_of("a", "bc")


@pytest.mark.parametrize(
    ("text", "channel", "seq"),
    [("harbor_news/12", "harbor_news", 12), ("@TGS#_a/b/1", "@TGS#_a/b", 1), ("x/9223372036854775807", "x", 2**63 - 1)],
)
def test_ref_is_parsed_and_keeps_its_channel_as_written(text: str, channel: str, seq: int) -> None:
    assert PostRef.parse(text) == PostRef(ChannelId(channel), seq)


@pytest.mark.parametrize(
    "text", ["", "harbor_news", "/12", "harbor_news/", "harbor_news/0", "harbor_news/-1", "x/012", "x/١", "x/1\n", 12]
)
def test_malformed_ref_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="CHANNEL/NUMBER") as refused:
        PostRef.parse(text)
    assert refused.value.field == "ref"


def test_error_of_long_ref_states_its_size_and_not_its_full_text() -> None:
    with pytest.raises(InvalidError) as refused:
        PostRef.parse("x" * 10_000)
    assert refused.value.size == 10_000
    assert len(refused.value.message) < 200


def test_message_dedupe_number_has_64_bits_and_depends_on_receiver() -> None:
    news = ids.COMMUNITY_IDS.channel("news")
    numbers = {ids.message_dedupe(news, ids.user_id(f"reader_{number}"), "welcome") for number in range(2_000)}
    assert len(numbers) == 2_000
    assert max(numbers) >= 2**63
    assert len({number >> 32 for number in numbers}) > 1_990
    assert ids.message_dedupe(news, ids.user_id("reader_1"), "welcome") in numbers
    assert ids.message_dedupe(news, ids.user_id("reader_1"), "welcome again") not in numbers
