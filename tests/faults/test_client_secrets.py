"""Key and UserSig appear in no error, repr or log event, regardless of the failure."""

import logging
import traceback
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import RequestInfo
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from channel_adapter.backends.caller import item_error
from channel_adapter.tencent.catalog import GET_GROUP_INFO, SEND_GROUP_MSG
from channel_adapter.tencent.client import CallFailed, TencentClient
from channel_adapter.tencent.wire.groups import GetGroupInfoRequest
from channel_adapter.tencent.wire.messages import SendGroupMsgRequest
from channel_adapter.tencent.wire.msg_body import Element
from tests.faults.conftest import KEY, OK, Script, refused

TEXT = "nobody but the reader"
POST = SendGroupMsgRequest(
    group_id="@TGS#_harbor", random=7, msg_body=[Element(msg_type="TIMTextElem", msg_content={"Text": TEXT})]
)


def telling(usersig: str) -> list[Any]:
    """Return failures that contain the signature, as lower layers and the service could produce them."""
    url = URL(f"https://primary.test/v4/a/b?usersig={usersig}")
    request = RequestInfo(url, "POST", CIMultiDictProxy(CIMultiDict()), url)
    return [
        aiohttp.ClientResponseError(request, (), message=f"bad header at {url}"),
        aiohttp.ConnectionTimeoutError(f"Connection timeout to host {url}"),
        aiohttp.ServerDisconnectedError(f"{url}"),
        aiohttp.InvalidURL(url),
        OSError(5, f"{url}"),
        refused(10004, f"bad request {url}"),
        refused(10004, f'{{"usersig":"{usersig}"}}'),
        refused(10004, usersig),
        (502, f"<a href='{url}'>"),
        f"not JSON {url}".encode(),
    ]


@pytest.mark.parametrize("number", range(len(telling(""))))
async def test_no_error_contains_a_secret(
    client: TencentClient, script: Script, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    caplog.set_level(logging.DEBUG)
    usersig = client._signer.current()
    script.then(*[telling(usersig)[number]] * 4)
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(SEND_GROUP_MSG, POST)
        said = "\n".join(
            [
                str(caught.value),
                repr(caught.value),
                repr(vars(caught.value)),
                "".join(traceback.format_exception(caught.value)),
                repr(client),
                *(record.getMessage() for record in caplog.records),
            ]
        )
    assert await script.sent[0].usersig() == usersig
    assert usersig not in str(script.sent[0].url)
    assert usersig not in said
    assert KEY not in said
    assert TEXT not in said


async def test_no_exception_of_a_lower_layer_is_chained(client: TencentClient, script: Script) -> None:
    script.then(*[aiohttp.ServerDisconnectedError("https://x/?usersig=1")] * 3)
    async with client:
        with pytest.raises(CallFailed) as caught:
            await client.call(GET_GROUP_INFO, GetGroupInfoRequest(group_id_list=[]))
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_log_events_of_a_repeated_call_contain_no_message_text(client: TencentClient, script: Script) -> None:
    script.then(refused(60007, f"text {TEXT}"), refused(10010, f"text {TEXT}"))
    async with client:
        with structlog.testing.capture_logs() as events, pytest.raises(CallFailed):
            await client.call(SEND_GROUP_MSG, POST)
    again, failed = events
    assert again.pop("wait") > 1
    common = {"service": "group_open_http_svc", "command": "send_group_msg", "outcome": "api_error"}
    common["log_level"] = "info"
    assert again == common | {"event": "call.retry", "attempt": 1, "reason": 60007}
    assert failed == common | {"event": "call.failed", "attempt": 2, "reason": 10010}


async def test_failed_call_prints_nothing(
    client: TencentClient, script: Script, capsys: pytest.CaptureFixture[str]
) -> None:
    script.then(refused(60007), refused(10010))
    async with client:
        with pytest.raises(CallFailed):
            await client.call(SEND_GROUP_MSG, POST)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("part", [slice(50), slice(20), slice(40, 90), slice(-30, None), slice(100, 112)])
async def test_part_of_the_signature_in_an_error_text_is_masked(
    client: TencentClient, script: Script, part: slice
) -> None:
    fragment = client._signer.current()[part]
    script.then(
        refused(10004, f"bad signature {fragment}... of harbor_news"),
        refused(10004, f"no=%3D{fragment}%2Ax, harbor_news"),
        OK | {"MsgDropReason": f"{fragment} harbor_news", "MsgSeq": 1, "MsgTime": 1},
    )
    async with client:
        for _ in range(3):
            with pytest.raises(CallFailed) as caught:
                await client.call(SEND_GROUP_MSG, POST, deadline=0.5)
            said = f"{caught.value} {caught.value.outcome!r}"
            assert not any(fragment[start : start + 8] in said for start in range(len(fragment) - 7))
            assert "***" in said
            assert "harbor_news" in said


async def test_part_of_the_signature_in_an_item_error_is_masked(client: TencentClient) -> None:
    fragment = client._signer.current()[:50]
    error = item_error(GET_GROUP_INFO, 10015, f"no group {fragment}")
    assert fragment[:20] not in f"{error} {error.origin!r}"
