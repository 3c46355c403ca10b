"""Secrets are removed from text and events; everything else is unchanged."""

from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from channel_adapter.tencent.redaction import HIDDEN, redact, redact_text, shown_traceback, shown_url
from channel_adapter.tencent.usersig import sign

KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"
USERSIG = sign(1400123456, KEY, "administrator", now=1700000000)


def processed(**event: Any) -> Any:
    return redact(None, "info", event)


@pytest.mark.parametrize(
    "text",
    [
        f"https://h/v4/a/b?sdkappid=1&usersig={USERSIG}&random=1",
        f"the signature {USERSIG}.",
        f'{{"usersig": "{USERSIG}"}}',
        f"usersig={USERSIG[:20]}",
        f"the signature begins with {USERSIG[:50]}",
        f"({USERSIG[:20]})",
        f"key {KEY}",
        f"?Sign={KEY}&RequestTime=1",
        "token=abc123",
        'Token: "abc123"',
        "secret_key = 'abc123'",
        "postgresql://db/app?user=u&password=abc123",
        "host=h password='abc123 and abc123' dbname=app",
        "PGPASSWORD=abc123 psql",
        '{"Password": "abc123;abc123"}',
        '{\\"password\\": \\"abc123\\"}',
        "passwd: abc123",
        "pwd=abc123",
        "Authorization: Basic abc123==",
        "{'Proxy-Authorization': 'Bearer abc123'}",
        "authorization=abc123 status=401",
        "the header Bearer abc123.abc123 was refused",
        "nobody at https://keeper:abc123@h.example/hook answers",
        "https://abc123@h.example",
    ],
)
def test_secrets_in_text_are_hidden(text: str) -> None:
    hidden = redact_text(text)
    assert HIDDEN in hidden
    for secret in (USERSIG, USERSIG[:20], KEY, "abc123"):
        assert secret not in hidden


@pytest.mark.parametrize(
    "text",
    [
        "",
        "undeclared custom field key: ch_tag",
        "the key does not belong to this app",
        "the proxy wants another user or password (HTTP 407)",
        "the authorization of the bearer certificate has ended",
        "@TGS#_harbor_news 港口新闻 👍",
        "https://static.example.org/h.png?size=200",
        "sign up by Sunday, eJoyment guaranteed",
        "eJxavier_of_harbour",
    ],
)
def test_harmless_text_is_unchanged(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://keeper:abc123@h:80/hook", "http://***@h:80/hook"),
        ("keeper:abc123@h", "***@h"),
        ("ftp://keeper:a/bc?1@23@h/", "ftp://***@h/"),
        ("http://h/hook", "http://h/hook"),
        ("", ""),
    ],
)
def test_credentials_in_url_are_hidden(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@given(st.text(min_size=1, max_size=32), st.integers(1, 2**31), st.integers(0, 2**31))
def test_every_signature_is_recognised_by_its_shape(identifier: str, sdkappid: int, now: int) -> None:
    try:
        usersig = sign(sdkappid, KEY, identifier, now=now)
    except UnicodeEncodeError:
        return
    assert usersig not in redact_text(f"seen {usersig} here")


def test_secrets_in_event_values_are_hidden() -> None:
    event = processed(
        event="call.failed",
        usersig=USERSIG,
        key="short",
        Token="t",
        password="p",
        Authorization="Basic a",
        url=f"https://h/?usersig={USERSIG}",
        nested={"list": [{"Sign": "s"}, f"x {USERSIG}"], "pair": (KEY, 1)},
        raw=USERSIG.encode(),
        error=ValueError(USERSIG),
        count=3,
        nothing=None,
    )
    assert USERSIG not in repr(event)
    assert KEY not in repr(event)
    assert (event["usersig"], event["key"], event["Token"]) == (HIDDEN,) * 3
    assert (event["password"], event["Authorization"]) == (HIDDEN,) * 2
    assert event["nested"]["list"][0] == {"Sign": HIDDEN}
    assert (event["event"], event["count"], event["nothing"]) == ("call.failed", 3, None)


def test_harmless_values_keep_their_type() -> None:
    problem, secret = ValueError("no"), SecretStr(KEY)
    event = processed(group="@TGS#_a", seconds=0.5, done=True, problem=problem, secretive=secret)
    assert event["problem"] is problem
    assert event["secretive"] is secret
    assert (event["group"], event["seconds"], event["done"]) == ("@TGS#_a", 0.5, True)


def test_cyclic_value_does_not_hang_redaction() -> None:
    loop: list[Any] = []
    loop.append(loop)
    processed(loop=loop)


def test_redaction_works_as_structlog_processor() -> None:
    lines: list[str] = []

    class Sink:
        def msg(self, text: str) -> None:
            lines.append(text)

        info = error = msg

    logger = structlog.wrap_logger(
        Sink(), processors=[structlog.processors.format_exc_info, redact, structlog.processors.JSONRenderer()]
    )
    logger.error("broke", exc_info=RuntimeError(f"https://h/?usersig={USERSIG}"), key=KEY)
    assert len(lines) == 1
    assert "RuntimeError" in lines[0]
    assert USERSIG not in lines[0]
    assert KEY not in lines[0]


def test_traceback_with_invalid_unicode_can_be_encoded() -> None:
    shown = shown_traceback(ValueError("half a character: \udcff"))
    assert "half a character: \\udcff" in shown
    assert shown.encode()
