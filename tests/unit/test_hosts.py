"""Regions, base URLs and the choice between the primary and the backup host."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.tencent.regions import REGIONS, HostPair
from channel_adapter.tencent.transport import COOL_DOWN, FAILURES_BEFORE_SWITCH, HostChooser

PRIMARY, BACKUP = "https://primary.test", "https://backup.test"


def chooser() -> HostChooser:
    return HostChooser(HostPair(PRIMARY, BACKUP))


def switched() -> HostChooser:
    chosen = chooser()
    assert [chosen.failed(PRIMARY, 0.0) for _ in range(3)] == [False, False, True]
    return chosen


def test_regions_have_documented_hosts() -> None:
    assert {region: (pair.primary, pair.backup) for region, pair in REGIONS.items()} == {
        "china": ("https://console.tim.qq.com", "https://adminapi.my-imcloud.com"),
        "singapore": ("https://adminapisgp.im.qcloud.com", "https://adminapisgp.my-imcloud.com"),
        "seoul": ("https://adminapikr.im.qcloud.com", "https://adminapikr.my-imcloud.com"),
        "tokyo": ("https://adminapijpn.im.qcloud.com", "https://adminapijpn.my-imcloud.com"),
        "frankfurt": ("https://adminapiger.im.qcloud.com", "https://adminapiger.my-imcloud.com"),
        "mumbai": ("https://adminapiind.im.qcloud.com", "https://adminapiind.my-imcloud.com"),
        "silicon_valley": ("https://adminapiusa.im.qcloud.com", "https://adminapiusa.my-imcloud.com"),
        "jakarta": ("https://adminapiidn.im.qcloud.com", "https://adminapiidn.my-imcloud.com"),
        "riyadh": ("https://adminapiksa.im.qcloud.com", None),
    }


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8900", "http://127.0.0.1:8900"),
        ("https://chat.example.org/", "https://chat.example.org"),
        ("https://gate.example.org/tencent/", "https://gate.example.org/tencent"),
        ("http://[::1]:8900", "http://[::1]:8900"),
    ],
)
def test_valid_base_url_is_accepted_without_its_last_slash(url: str, base: str) -> None:
    assert HostPair.of_base_url(url) == HostPair(base)
    assert HostPair.of_base_url(url, backup=url) == HostPair(base, base)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "chat.example.org",
        "ftp://h",
        "https://",
        "https://u:p@h",
        "https://h?a=1",
        "https://h#x",
        "http://h:0",
        "http://h:99999",
        "http://h:x",
        "http://[::",
    ],
)
def test_malformed_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the address of the service"):
        HostPair.of_base_url(url)
    with pytest.raises(ValueError, match="the address of the service"):
        HostPair.of_base_url("http://h", backup=url)


def test_three_failures_in_a_row_switch_to_backup() -> None:
    chosen = chooser()
    chosen.failed(PRIMARY, 0.0)
    chosen.failed(PRIMARY, 0.0)
    chosen.connected(PRIMARY)
    chosen.failed(PRIMARY, 1.0)
    chosen.failed(PRIMARY, 1.0)
    assert chosen.choose(1.0) == PRIMARY
    assert chosen.failed(PRIMARY, 1.0) is True
    assert chosen.choose(1.0) == BACKUP == chosen.active


def test_late_failures_of_primary_do_not_count_against_backup() -> None:
    chosen = switched()
    for _ in range(5):
        assert chosen.failed(PRIMARY, 0.5) is False
    assert chosen.choose(1.0) == BACKUP


def test_one_attempt_probes_primary_after_cool_down() -> None:
    chosen = switched()
    assert chosen.choose(COOL_DOWN - 0.1) == BACKUP
    assert chosen.choose(COOL_DOWN) == PRIMARY
    assert chosen.choose(COOL_DOWN) == BACKUP
    chosen.connected(PRIMARY)
    assert chosen.choose(COOL_DOWN + 1) == PRIMARY == chosen.active


def test_failed_probe_waits_for_another_cool_down() -> None:
    chosen = switched()
    assert chosen.choose(COOL_DOWN) == PRIMARY
    chosen.failed(PRIMARY, COOL_DOWN + 5)
    assert chosen.choose(COOL_DOWN + 5) == BACKUP
    assert chosen.choose(2 * COOL_DOWN) == PRIMARY


def test_failing_backup_is_replaced_by_primary() -> None:
    chosen = switched()
    for _ in range(FAILURES_BEFORE_SWITCH):
        assert chosen.choose(1.0) == BACKUP
        chosen.failed(BACKUP, 1.0)
    assert chosen.choose(1.0) == PRIMARY


def test_primary_without_backup_stays_active() -> None:
    chosen = HostChooser(HostPair(PRIMARY))
    for moment in range(100):
        assert chosen.failed(PRIMARY, float(moment)) is False
        assert chosen.choose(float(moment)) == PRIMARY


@given(st.lists(st.tuples(st.sampled_from(["ok", "fail"]), st.floats(0, 30)), max_size=60))
def test_working_primary_is_active_again_after_cool_down(steps: list[tuple[str, float]]) -> None:
    chosen, now = chooser(), 0.0
    for step, pause in steps:
        now += pause
        host = chosen.choose(now)
        if step == "ok":
            chosen.connected(host)
        else:
            chosen.failed(host, now)
    for _ in range(2):
        now += COOL_DOWN
        chosen.connected(chosen.choose(now))
    assert chosen.choose(now) == PRIMARY
