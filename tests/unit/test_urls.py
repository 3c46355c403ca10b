"""URLs of calls: all parts in place, reserved characters encoded, signature added separately."""

import pytest
from yarl import URL

from channel_adapter.tencent.catalog import GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.usersig import CallUrls, signed


def test_unsigned_url_has_all_other_parts() -> None:
    url = CallUrls(1400000001, "administrator").build("https://h.test", GET_GROUP_INFO.path, 4294967295)
    assert str(url) == (
        "https://h.test/v4/group_open_http_svc/get_group_info"
        "?sdkappid=1400000001&identifier=administrator&contenttype=json&random=4294967295"
    )


def test_signature_is_appended_unchanged() -> None:
    url = signed(URL("https://h.test:8443/tencent/v4/a/b?identifier=a%26b&random=1", encoded=True), "eJ*-_")
    assert str(url) == "https://h.test:8443/tencent/v4/a/b?identifier=a%26b&random=1&usersig=eJ*-_"


@pytest.mark.parametrize("host", ["http://127.0.0.1:8900", "http://[::1]:8900", "https://gate.test/tencent"])
def test_host_is_kept_unchanged(host: str) -> None:
    url = CallUrls(1, "a").build(host, SEND_GROUP_MSG.path, 0)
    for built in (url, signed(url, "s")):
        assert str(built).startswith(f"{host}/v4/group_open_http_svc/send_group_msg?")


def test_reserved_characters_of_identifier_are_encoded() -> None:
    url = CallUrls(1, "a&b=c d+%é").build("https://h.test", SEND_GROUP_MSG.path, 0)
    assert url.query["identifier"] == "a&b=c d+%é"
    assert "identifier=a%26b%3Dc%20d%2B%25%C3%A9&" in str(url)


def test_urls_match_their_command_and_host() -> None:
    urls = CallUrls(1, "a")
    built = [
        urls.build(host, command.path, 5)
        for _ in range(2)
        for host in ("https://p.test", "https://b.test")
        for command in (GET_GROUP_INFO, SEND_GROUP_MSG)
    ]
    assert [(url.host, url.name) for url in built] == [
        (host, name) for _ in range(2) for host in ("p.test", "b.test") for name in ("get_group_info", "send_group_msg")
    ]
