"""Commands that the stub does not implement: code 60002 with an explanation, not repeated by clients."""

from typing import Any

import pytest

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.config.settings import Settings
from channel_adapter.errors import ChannelAdapterError
from tests.stub.app_server import GROUP
from tests.stub.conftest import ACCOUNTS, GROUPS, Caller

TOPICS = "million_group_open_http_svc"
LIVE_ROOMS = "group_open_avchatroom_http_svc"
UNKNOWN = [
    ("openim/querystate", {"To_Account": ["ann"]}),
    ("openim/im_push", {}),
    ("sns/friend_get", {"From_Account": "ann"}),
    (f"{ACCOUNTS}/acount_import", {}),
    (f"{GROUPS}/no_such_command", {}),
    ("no_such_service/get", {}),
]
ELSEWHERE: list[tuple[str, str, dict[str, Any]]] = [
    (f"{GROUPS}/ban_group_member", "live", {"Members_Account": ["administrator"], "Duration": 60}),
    (f"{LIVE_ROOMS}/get_admin_list", "live", {}),
    (f"{LIVE_ROOMS}/modify_user_info", "live", {}),
    (f"{GROUPS}/get_group_msg_receipt", "town", {"MsgSeqList": [{"MsgSeq": 1}]}),
    (f"{GROUPS}/clear_group_msg", "town", {}),
    (f"{TOPICS}/get_topic", "@TGS#_topics", {}),
    (f"{GROUPS}/get_permission_group", "@TGS#_topics", {}),
]


def said_so(answer: dict[str, Any], path: str) -> bool:
    return answer["ErrorCode"] == 60002 and f"the stub does not play {path}" in answer["ErrorInfo"]


@pytest.mark.parametrize(("path", "body"), UNKNOWN, ids=[path for path, _ in UNKNOWN])
async def test_unknown_command_is_refused_with_explanation(caller: Caller, path: str, body: dict[str, Any]) -> None:
    answer = await caller.call(path, body)
    assert said_so(answer, f"/v4/{path}"), answer
    assert "stub --commands" in answer["ErrorInfo"]
    assert said_so(await caller.send(f"/v4/{path}", b"no json"), f"/v4/{path}")


@pytest.mark.parametrize(("path", "group", "body"), ELSEWHERE, ids=[path for path, _, _ in ELSEWHERE])
async def test_command_for_unsupported_group_type_is_refused_with_explanation(
    caller: Caller, path: str, group: str, body: dict[str, Any]
) -> None:
    await caller.must(f"{GROUPS}/create_group", {"Type": "AVChatRoom", "Name": "n", "GroupId": "live"})
    await caller.must(f"{GROUPS}/create_group", {"Type": "Public", "Name": "n", "GroupId": "town"})
    await caller.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": GROUP})
    topics = {"Type": "Community", "Name": "n", "GroupId": "@TGS#_topics", "SupportTopic": 1}
    await caller.must(f"{GROUPS}/create_group", topics)
    answer = await caller.call(path, {"GroupId": group, **body})
    assert said_so(answer, path), answer
    assert (await caller.call(path, {"GroupId": GROUP, **body}))["ErrorCode"] == 10007


@pytest.mark.parametrize("command", ["openim/querystate", f"{GROUPS}/no_such_command", "no_such_service/get"])
async def test_client_does_not_repeat_unsupported_command(caller: Caller, command: str) -> None:
    server = caller.server
    service, _, name = command.partition("/")
    settings = Settings(sdkappid=server.sdkappid, key=server.world.settings.app.key, base_url=server.url)
    async with ChannelAdapter.open(settings) as adapter:
        with pytest.raises(ChannelAdapterError, match="the stub does not play") as refused:
            await adapter.call(service, name, {})
    assert refused.value.code == 60002
    assert [(f"{call.service}/{call.command}", call.code) for call in server.log] == [(command, 60002)]
