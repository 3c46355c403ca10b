"""Authentication of webhooks: app, signature, freshness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channel_adapter.webhooks.verify import Reason, RequestRefused, read_query, sign, verify

APP = 1400000001
VECTORS = [
    ("orchid-7f", 1700000000, "58abcb788997d56b5c746819d62594d73075c1d7cc26f8731b81c4eeee5a4091"),
    ("xxxxyyyy", 1669872112, "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"),
]
TOKEN, THEN, GOOD = VECTORS[0]


def check(query: dict[str, str], now: float = THEN, tokens: tuple[str, ...] = (TOKEN,)) -> None:
    verify(read_query(query.items()), sdkappid=APP, tokens=[SecretStr(token) for token in tokens], now=now)


def reason(query: dict[str, str], now: float = THEN, tokens: tuple[str, ...] = (TOKEN,)) -> Reason:
    with pytest.raises(RequestRefused) as refused:
        check(query, now, tokens)
    assert not any(token in str(refused.value) for token in tokens if token)
    return refused.value.reason


SIGNED = {"SdkAppid": str(APP), "Sign": GOOD, "RequestTime": str(THEN)}


@pytest.mark.parametrize(("token", "at", "expected"), VECTORS)
def test_published_vectors_are_accepted(token: str, at: int, expected: str) -> None:
    assert sign(token, str(at)) == expected
    check({"SdkAppid": str(APP), "Sign": expected, "RequestTime": str(at)}, at, (token,))


def test_misprinted_vector_of_the_overview_is_refused() -> None:
    token, at, expected = "xxxyyy", *VECTORS[1][1:]
    assert reason({"SdkAppid": str(APP), "Sign": expected, "RequestTime": str(at)}, at, (token,)) is Reason.SIGNATURE


@pytest.mark.parametrize("name", ["SdkAppid", "SDKAppID", "sdkappid"])
def test_app_is_accepted_under_any_spelling_of_its_name(name: str) -> None:
    check({name: str(APP)}, tokens=())


@pytest.mark.parametrize("app", ["1400000002", "", " 1400000001", "1400000001.0", "+1400000001", "01400000001"])
def test_another_app_is_refused(app: str) -> None:
    assert reason({**SIGNED, "SdkAppid": app}) is Reason.WRONG_APP
    assert reason({"SdkAppid": app}, tokens=()) is Reason.WRONG_APP
    assert reason({"Sign": GOOD, "RequestTime": str(THEN)}) is Reason.WRONG_APP


@pytest.mark.parametrize("missing", ["Sign", "RequestTime"])
def test_unsigned_is_refused_when_a_token_is_set(missing: str) -> None:
    assert reason({name: value for name, value in SIGNED.items() if name != missing}) is Reason.UNSIGNED
    assert reason({**SIGNED, missing: ""}) is Reason.UNSIGNED


def test_unsigned_is_accepted_when_no_token_is_set() -> None:
    check({"SdkAppid": str(APP)}, tokens=())
    check({"SdkAppid": str(APP), "Sign": "anything", "RequestTime": "1"}, tokens=())


@pytest.mark.parametrize("away", [-60, -59.5, 0, 60])
def test_request_within_sixty_seconds_is_accepted(away: float) -> None:
    check(SIGNED, THEN + away)


@pytest.mark.parametrize("away", [-61, 60.5, 86_400, float("nan")])
def test_request_older_or_newer_than_sixty_seconds_is_refused(away: float) -> None:
    assert reason(SIGNED, THEN + away) is Reason.STALE


@pytest.mark.parametrize(
    "at", ["soon", "-1700000000", "1700000000.0", "1_700_000_000", "١٧٠٠٠٠٠٠٠٠", "9" * 5000, " 17"]
)
def test_invalid_request_time_is_refused(at: str) -> None:
    assert reason({**SIGNED, "RequestTime": at}) is Reason.STALE


@pytest.mark.parametrize(
    "signature", [GOOD.upper(), GOOD[:-1], GOOD + "0", "0" * 64, "é", "\udcff", sign("x", str(THEN))]
)
def test_wrong_signature_is_refused(signature: str) -> None:
    assert reason({**SIGNED, "Sign": signature}) is Reason.SIGNATURE


def test_signature_of_another_time_is_refused() -> None:
    assert reason({**SIGNED, "RequestTime": str(THEN + 1)}) is Reason.SIGNATURE


def test_signature_of_any_configured_token_is_accepted() -> None:
    for tokens in [(TOKEN, "next"), ("last", TOKEN), ("a", TOKEN, "b")]:
        check(SIGNED, tokens=tokens)
    assert reason(SIGNED, tokens=("last", "next")) is Reason.SIGNATURE


def test_parameter_with_two_values_is_refused() -> None:
    assert read_query([("Sign", "a"), ("sign", "a")]) == {"sign": "a"}
    with pytest.raises(RequestRefused) as refused:
        read_query([("SdkAppid", "1"), ("SDKAppID", "2")])
    assert (refused.value.reason, refused.value.reason.status) == (Reason.QUERY, 400)


def test_refusal_reasons_have_documented_statuses() -> None:
    assert {reason.value: reason.status for reason in Reason} == {
        "malformed": 400, "method": 405, "query": 400,
        "wrong_app": 403, "unsigned": 403, "stale": 403, "signature": 403,
        "too_large": 413, "too_slow": 408, "too_many": 503, "not_json": 400, "too_deep": 400, "command": 400,
        "not_stored": 503,
    }  # fmt: skip


@given(st.dictionaries(st.sampled_from(["SdkAppid", "Sign", "RequestTime", "x"]), st.text()), st.floats())
def test_random_query_is_refused_unless_correctly_signed(query: dict[str, str], now: float) -> None:
    try:
        check(query, now)
    except RequestRefused:
        return
    assert query == SIGNED
