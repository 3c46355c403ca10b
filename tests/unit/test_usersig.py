"""Signatures: documented vectors, agreement with the official package, order of checks, daily renewal."""

import base64
import json
import threading
import time
import zlib

import orjson
import pytest
import TLSSigAPIv2
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channel_adapter.tencent.usersig import (
    LIFETIME,
    RENEW_BEFORE_END,
    App,
    BadSignature,
    Defect,
    Signer,
    decode,
    sign,
    verify,
)

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
APP = 1400123456
ADMIN = "channel_admin"
NOW = 1700000000

VECTOR_A = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkkjMS8-JSc*ITU3Iz82BKilOyEwsKMlOACgxNDAwMjYxNTM2gcqkVBZlFqUAZCzOgFFSwJDMXJ"
    "GRobgAFMIMy00GWmIcXh5Ym*qUnGySluTslBhQapUXl54S4GIZkBYZoOxrmJCX6FHlGZrh6ZNsq1QIALvc1WA__"
)
VECTOR_B = (
    "eJyrVgrxCdYrSy1SslJQMtIzUNJRAItkpqTmlWSmZUIkikuTipOLMpNSi3QNDAwMYYqKU7ITCwoyU4BKDE2A4kbGJqZmULnUioLMolSgjJmBiYWBAVS0J"
    "DMXJGZobgAFMJMy00H2mJQ6epf6FbgVFRobe*o7mZd5JJbkJHkFJBV6mLtqZ5WFmHkZm1oaploERNoq1QIAWVw0bg__"
)

identifiers = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=32)


class SetClock:
    """A clock that stands still at the time it is set to."""

    def __init__(self, now: float = NOW) -> None:
        self.time = now

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def encode(members: object) -> str:
    """Return any JSON in the outer form of a signature."""
    packed = base64.b64encode(zlib.compress(json.dumps(members).encode())).decode()
    return packed.replace("+", "*").replace("/", "-").replace("=", "_")


def refusal(usersig: str, *, key: str = KEY, app: int = APP, identifier: str = ADMIN, now: float = NOW) -> Defect:
    with pytest.raises(BadSignature) as caught:
        verify(usersig, sdkappid=app, key=key, identifier=identifier, now=now)
    assert not usersig or usersig not in str(caught.value)
    assert key not in str(caught.value)
    return caught.value.code


def test_vectors_are_reproduced_byte_for_byte() -> None:
    assert sign(APP, KEY, ADMIN, now=NOW, expire=86400) == VECTOR_A
    assert sign(APP, KEY, "subscriber-0001", now=NOW, expire=604800) == VECTOR_B
    assert decode(VECTOR_A).sig == "7WsUuaNgc0bfGBaPq2fZolTD1TjQT+A1lbaLrIYhEHk="
    assert decode(VECTOR_B).sig == "4uAKuNpFrq33I/B7vHatlbJPbqH7E+jvT6J3591e8PY="


def test_userbuf_is_signed() -> None:
    signed = decode(sign(APP, KEY, ADMIN, now=NOW, expire=86400, userbuf=b"abc"))
    assert (signed.userbuf, signed.sig) == (b"abc", "7BbxekG7brgsz1nZ9Mfrmt93dZBBV7ZbFgZMlaXcIrk=")
    assert verify(sign(APP, KEY, ADMIN, now=NOW, userbuf=b""), sdkappid=APP, key=KEY, identifier=ADMIN, now=NOW)


def test_signature_of_another_key_is_refused() -> None:
    foreign = sign(APP, "f" * 64, ADMIN, now=NOW)
    assert decode(foreign).sig == "C5mvuUGy7cxwp1u0cqrF/rrundJq9l3j0HcROde2VDQ="
    assert refusal(foreign) is Defect.WRONG_KEY


@given(identifiers)
def test_signature_of_the_official_package_is_decoded(identifier: str) -> None:
    theirs = TLSSigAPIv2.TLSSigAPIv2(APP, KEY).gen_sig(identifier, 3600)
    claims = verify(theirs, sdkappid=APP, key=KEY, identifier=identifier, now=time.time())
    assert (claims.identifier, claims.sdkappid, claims.expire) == (identifier, APP, 3600)


@given(identifiers, st.integers(1, 10**7), st.none() | st.binary(max_size=40))
def test_signatures_equal_those_of_the_official_package(identifier: str, expire: int, userbuf: bytes | None) -> None:
    package = TLSSigAPIv2.TLSSigAPIv2(APP, KEY)
    if userbuf is None:
        theirs = package.gen_sig(identifier, expire)
    else:
        theirs = package.gen_sig_with_userbuf(identifier, expire, userbuf)
    assert sign(APP, KEY, identifier, now=decode(theirs).time, expire=expire, userbuf=userbuf) == theirs


def test_defects_are_found_in_the_documented_order() -> None:
    other, late = "f" * 64, NOW + LIFETIME + 1
    assert refusal("", app=1, identifier="someone", key=other, now=late) is Defect.EMPTY
    assert refusal("x", app=1, identifier="someone", key=other, now=late) is Defect.UNREADABLE
    assert refusal(VECTOR_A, app=1, identifier="someone", key=other, now=late) is Defect.OTHER_APP
    assert refusal(VECTOR_A, identifier="someone", key=other, now=late) is Defect.OTHER_IDENTIFIER
    assert refusal(VECTOR_A, key=other, now=late) is Defect.WRONG_KEY
    assert refusal(VECTOR_A, now=late) is Defect.EXPIRED
    assert [int(defect) for defect in Defect] == [70002, 70003, 70014, 70013, 70009, 70001]


def test_signature_expires_after_its_last_second() -> None:
    assert verify(VECTOR_A, sdkappid=APP, key=KEY, identifier=ADMIN, now=NOW + LIFETIME).ends == NOW + LIFETIME
    assert refusal(VECTOR_A, now=NOW + LIFETIME + 0.5) is Defect.EXPIRED


GOOD = orjson.loads(zlib.decompress(base64.b64decode(VECTOR_A.replace("*", "+").replace("-", "/").replace("_", "="))))


@pytest.mark.parametrize(
    "usersig",
    [
        VECTOR_A[:-20],
        VECTOR_A[:100] + VECTOR_A[104:],
        VECTOR_A.replace("*", "+"),
        VECTOR_A.replace("_", "="),
        VECTOR_A + "AAAA",
        "签名",
        "____",
        encode([1, 2]),
        encode("text"),
        encode({}),
        *(encode({name: value for name, value in GOOD.items() if name != absent}) for absent in GOOD),
        encode(GOOD | {"TLS.sdkappid": str(APP)}),
        encode(GOOD | {"TLS.time": True}),
        encode(GOOD | {"TLS.expire": 10**30}),
        encode(GOOD | {"TLS.ver": "1.0"}),
        encode(GOOD | {"TLS.userbuf": "not base64!"}),
        encode(GOOD | {"more": "x" * 10_000_000}),
        base64.b64encode(zlib.compress(b"[" * 16_000)).decode().translate(str.maketrans("+/=", "*-_")),
        base64.b64encode(zlib.compress(b"\xff\xfe{}")).decode().translate(str.maketrans("+/=", "*-_")),
    ],
)  # fmt: skip
def test_unreadable_signature_has_one_defect_code(usersig: str) -> None:
    assert refusal(usersig) is Defect.UNREADABLE


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()))
def test_any_text_is_decoded_or_refused(usersig: str) -> None:
    with pytest.raises(BadSignature) as caught:
        decode(usersig)
    assert caught.value.code in {Defect.EMPTY, Defect.UNREADABLE}
    assert caught.value.__context__ is None


def test_spacing_and_order_of_the_json_are_ignored() -> None:
    compact = json.dumps(dict(reversed(GOOD.items())), separators=(",", ":")).encode()
    usersig = base64.b64encode(zlib.compress(compact, 9)).decode().translate(str.maketrans("+/=", "*-_"))
    assert usersig != VECTOR_A
    assert verify(usersig, sdkappid=APP, key=KEY, identifier=ADMIN, now=NOW) == decode(VECTOR_A)


def make_signer(clock: SetClock) -> Signer:
    return Signer(App(APP, ADMIN, SecretStr(KEY)), clock)


def test_signature_is_reused_until_ten_minutes_before_its_end() -> None:
    clock = SetClock()
    signer = make_signer(clock)
    first = signer.current()
    assert first == VECTOR_A
    clock.time = NOW + LIFETIME - RENEW_BEFORE_END - 1
    assert signer.current() is first
    clock.time += 1
    second = signer.current()
    assert decode(second).time == NOW + 85_800
    assert signer.current() is second


def test_refused_signature_is_renewed_once() -> None:
    clock = SetClock()
    signer = make_signer(clock)
    refused = signer.current()
    clock.time += 5
    fresh = signer.renew(refused)
    assert decode(fresh).time == NOW + 5
    clock.time += 5
    assert signer.renew(refused) is fresh
    assert signer.current() is fresh


def test_renewal_within_the_same_second_returns_another_signature() -> None:
    signer = make_signer(SetClock())
    first = signer.current()
    second = signer.renew(first)
    third = signer.renew(second)
    assert first != second != third
    assert verify(third, sdkappid=APP, key=KEY, identifier=ADMIN, now=NOW)


def test_threads_share_one_renewal() -> None:
    class MovingClock(SetClock):
        def now(self) -> float:
            self.time += 1
            return self.time

    signer = make_signer(MovingClock())
    barrier = threading.Barrier(8)
    seen: set[str] = set()

    def work() -> None:
        barrier.wait()
        seen.add(signer.current())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 1


def test_repr_contains_no_secret() -> None:
    app = App(APP, ADMIN, SecretStr(KEY))
    signer = make_signer(SetClock())
    shown = f"{app!r} {app} {signer!r} {decode(signer.current())!r}"
    assert KEY not in shown
    assert signer.current() not in shown
    assert decode(VECTOR_A).sig not in shown
    assert ADMIN in shown
