"""URLs of calls: every part in its place, reserved characters encoded, a new signature seen at once."""

import pytest

from channel_adapter.tencent.catalog import GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.urls import CallUrls


def test_all_parts_are_there() -> None:
    url = CallUrls(1400000001, "administrator").build("https://h.test", GET_GROUP_INFO, "eJ*-_", 4294967295)
    assert str(url) == (
        "https://h.test/v4/group_open_http_svc/get_group_info"
        "?sdkappid=1400000001&identifier=administrator&usersig=eJ*-_&contenttype=json&random=4294967295"
    )


@pytest.mark.parametrize("host", ["http://127.0.0.1:8900", "http://[::1]:8900", "https://gate.test/tencent"])
def test_the_host_is_kept_as_it_is(host: str) -> None:
    url = CallUrls(1, "a").build(host, SEND_GROUP_MSG, "s", 0)
    assert str(url).startswith(f"{host}/v4/group_open_http_svc/send_group_msg?")


def test_an_identifier_with_reserved_characters_is_encoded() -> None:
    url = CallUrls(1, "a&b=c d+%é").build("https://h.test", SEND_GROUP_MSG, "s", 0)
    assert url.query["identifier"] == "a&b=c d+%é"
    assert "identifier=a%26b%3Dc%20d%2B%25%C3%A9&" in str(url)


def test_command_host_and_signature_are_not_mixed_up() -> None:
    urls = CallUrls(1, "a")
    built = [
        urls.build(host, command, usersig, 5)
        for usersig in ("one", "two")
        for host in ("https://p.test", "https://b.test")
        for command in (GET_GROUP_INFO, SEND_GROUP_MSG)
    ]
    assert [(url.query["usersig"], url.host, url.name) for url in built] == [
        (usersig, host, name)
        for usersig in ("one", "two")
        for host in ("p.test", "b.test")
        for name in ("get_group_info", "send_group_msg")
    ]
