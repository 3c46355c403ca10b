"""Meaning of a refused channel profile: the custom field, limit or account that it concerns."""

import pytest

from channel_adapter.backends.caller import without_account
from channel_adapter.backends.community.profile import explained
from channel_adapter.domain.channel import ChannelProfile
from channel_adapter.errors import ConfigurationError, InvalidError, LimitReachedError, NotFoundError, Origin
from channel_adapter.tencent import codes

PROFILE = ChannelProfile(name="Harbour", introduction="")
KEYS = ["ch_tag", "ch_org", "ch_data", "ch_data_2"]


def refused(text: str, code: int = codes.BAD_PARAMETER) -> InvalidError:
    origin = Origin("group_open_http_svc", "create_group", code, text, attempts=1)
    return InvalidError(f"create_group was refused: illegal parameter [{code}: {text}]", origin=origin)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("AppDefinedData: ch_org is not declared", "ch_org"),
        ("ch_data_2", "ch_data_2"),
        ("no such key (ch_data).", "ch_data"),
    ],
)
def test_key_named_by_the_service_is_a_configuration_error(text: str, key: str) -> None:
    error = explained(refused(text), KEYS, PROFILE)
    assert isinstance(error, ConfigurationError)
    assert error.field == key
    assert (
        error.message
        == f"custom group field {key!r} is not declared in the app's console, or not enabled for Community there"
    )
    assert error.code == codes.BAD_PARAMETER


@pytest.mark.parametrize("text", ["xch_org is bad", "ch_data_3 is bad", "ch_tags", "invalid request", ""])
def test_refusal_without_a_full_key_lists_all_sent_keys(text: str) -> None:
    error = explained(refused(text), KEYS, PROFILE)
    assert isinstance(error, InvalidError)
    assert error.field is None
    assert error.message.endswith(
        "; perhaps one of the custom group fields ch_tag, ch_org, ch_data, ch_data_2 is not declared"
        " in the app's console, or not enabled for Community there"
    )


def test_keys_that_were_not_sent_are_not_listed() -> None:
    error = explained(refused("invalid request"), ["ch_org"], PROFILE)
    assert error.message.endswith(
        "; perhaps the custom group field ch_org is not declared in the app's console,"
        " or not enabled for Community there"
    )
    plain = refused("invalid request")
    assert explained(plain, [], PROFILE) is plain


@pytest.mark.parametrize(("text", "field"), [("Name is too long", "name"), ("FaceUrl: 300 bytes at most", "avatar")])
def test_parameter_named_by_the_service_is_reported_by_adapter_name(text: str, field: str) -> None:
    error = explained(refused(text), KEYS, PROFILE)
    assert isinstance(error, InvalidError)
    assert error.field == field
    assert "console" not in error.message


LONG = ChannelProfile(name="x" * 30, introduction="ü" * 121, avatar="https://example.org/" + "x" * 81)


@pytest.mark.parametrize(("text", "field", "limit", "size"), [
    ("Introduction is too long", "introduction", 240, 242), ("FaceUrl: 100 bytes at most", "avatar", 100, 101),
])  # fmt: skip
def test_text_over_the_older_limits_names_the_setting(text: str, field: str, limit: int, size: int) -> None:
    error = explained(refused(text), KEYS, LONG)
    assert isinstance(error, InvalidError)
    assert (error.field, error.limit, error.size) == (field, limit, size)
    assert f'{field} has {size} bytes, over the older limit of {limit}; set profile_limits = "legacy"' in error.message


def test_texts_over_the_older_limits_are_listed_if_the_service_names_none() -> None:
    error = explained(refused("invalid request"), [], LONG)
    assert error.message.endswith(
        "; perhaps introduction has 242 bytes, over the older limit of 240, avatar has 101 bytes, over the older limit"
        ' of 100; set profile_limits = "legacy" in [channels] if the service has the older limits'
    )
    both = explained(refused("invalid request"), ["ch_tag"], LONG).message
    assert "enabled for Community" in both
    assert "profile_limits" in both


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("MaxMemberNum must be 1 to 100000", codes.BAD_PARAMETER),
        ("MaxMemberCount: too many", codes.BAD_PARAMETER),
        ("whatever", codes.MEMBERS_OVER_PLAN),
    ],
)
def test_more_subscribers_than_the_plan_allows_raises_limit_reached(text: str, code: int) -> None:
    error = explained(refused(text, code), KEYS, ChannelProfile(max_subscribers=2_000_000))
    assert isinstance(error, LimitReachedError)
    assert (error.field, error.size) == ("max_subscribers", 2_000_000)
    assert error.message == "max_subscribers: the service does not take 2,000,000; the app's plan has fewer"


def test_unknown_owner_account_raises_not_found() -> None:
    unknown = refused("", codes.NO_SUCH_ACCOUNT)
    owner = without_account(unknown, "nobody", "owner")
    assert isinstance(owner, NotFoundError)
    assert (owner.message, owner.field) == ("owner 'nobody' is not an account of the app; add it first", "owner")
    other = refused("")
    assert without_account(other, "nobody", "owner") is other
