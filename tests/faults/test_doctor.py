"""Findings of the doctor for a faulty app; one faulty channel does not stop the checks of the others."""

import sys
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapter, HealthCheckResult
from channel_adapter.backends.community.checks import ENABLE_COMMUNITIES
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent import codes
from tests.faults.test_adapter_trouble import opened

SLUGS = ("tides", "ferries", "harbour")


async def half_made(adapter: ChannelAdapter) -> None:
    """Create channels whose creation stopped after the first call."""
    for slug in SLUGS:
        body = {
            "Type": "Community", "GroupId": f"@TGS#_{slug}", "Name": slug, "Owner_Account": "owner",
            "ApplyJoinOption": "FreeAccess", "AppDefinedData": [{"Key": "ch_tag", "Value": "ch1"}],
        }  # fmt: skip
        await adapter.call("group_open_http_svc", "create_group", body)


async def finding(adapter: ChannelAdapter, check: str, *, repair: bool = False) -> HealthCheckResult:
    (found,) = [each for each in await adapter.doctor(repair=repair) if each.check == check]
    return found


async def test_disabled_communities_have_their_own_remediation() -> None:
    async with opened({"app": {"community": False}}) as (adapter, _):
        assert (await finding(adapter, "communities")).remediation == ENABLE_COMMUNITIES


@pytest.mark.parametrize("code", [codes.NOT_ALLOWED, codes.BAD_PARAMETER, 65000])
async def test_other_refusal_is_reported_without_the_communities_remediation(code: int) -> None:
    async with opened() as (adapter, server):
        server.faults.add(Fault(command="get_joined_group_list", code=code))
        found = await finding(adapter, "communities")
        assert not found.ok
        assert str(code) in found.message
        assert found.remediation
        assert "Communit" not in found.remediation


async def test_database_without_its_libraries_is_a_failed_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    async with opened(database_url=f"sqlite:///{tmp_path / 'channels.db'}") as (adapter, _):
        found = await finding(adapter, "database")
        assert (found.ok, found.message) == (
            False,
            "database_url needs SQLAlchemy: pip install 'channel-adapter[store]'",
        )


async def test_failed_repair_does_not_stop_the_other_repairs() -> None:
    async with opened() as (adapter, server):
        await half_made(adapter)
        refuse = Fault(command="modify_group_base_info", group="@TGS#_ferries", code=codes.NOT_ALLOWED)
        server.faults.add(refuse)
        found = [each for each in await adapter.doctor(repair=True) if each.check == "channel"]
        assert {each.message.partition(":")[0]: each.ok for each in found} == {
            "tides": True,
            "ferries": False,
            "harbour": True,
        }
        (failed,) = [each for each in found if not each.ok]
        assert failed.message.startswith("ferries: every subscriber can post, and that could not be changed: ")
        assert [channel.complete async for channel in adapter.channels.all()].count(True) == 2


async def test_incomplete_channel_list_is_a_failed_check() -> None:
    async with opened() as (adapter, server):
        server.faults.add(Fault(command="get_appid_group_list", code=codes.NOT_ALLOWED))
        found = await finding(adapter, "channels")
        assert not found.ok
        assert found.message.startswith("0 complete before the list broke off: ")


async def test_doctor_lists_settings_that_no_call_can_verify() -> None:
    async with opened() as (adapter, _):
        found = await finding(adapter, "fields")
        assert found.ok
        assert found.message == (
            "ch_tag: no call tells whether the console declares it and enables it for Community, readable and writable"
            " by admins; a channel that is created without that is refused"
        )
        notices = await finding(adapter, "notices")
        assert notices.ok
        assert "'Group System Notification Configuration'" in notices.message
