"""Manually triggered webhooks: sent as the service would send them, to the adapter's and to foreign receivers."""

import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from pydantic import SecretStr

from channel_adapter import InvalidError, UnavailableError
from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.callbacks.request import CallbackSettings, url_of
from channel_adapter.stub.world.context import CallbackEvent as StubEvent
from channel_adapter.tencent.wire.callback_samples import samples
from channel_adapter.webhooks.modes import COMMANDS, REQUESTS, CallbackTables
from channel_adapter.webhooks.trigger import find_command, request_of, trigger
from channel_adapter.webhooks.verify import read_query, verify
from tests.webhooks.scenario import KEEPER, LIGHTHOUSE, TOKEN, lighthouse, open_scenario

APP = 1400000001
TABLES = CallbackTables(Mode.COMMUNITY, admin="nobody")
NOW = 1_736_000_000.25


@pytest.mark.parametrize("kind", COMMANDS, ids=lambda kind: kind.__name__)
def test_sample_of_an_event_is_read_as_that_event(kind: type[e.Event]) -> None:
    command = find_command(kind.__name__)
    query, body = request_of(command, {}, sdkappid=APP, token=None, now=NOW)
    assert f"CallbackCommand={command}" in query
    assert type(TABLES.event(command, json.loads(body), {})) is kind


def test_every_request_has_a_command() -> None:
    assert {kind.__name__ for kind in REQUESTS} == {kind.__name__ for kind in hooks.HookRequest.__subclasses__()}


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: kind.__name__)
def test_sample_of_a_request_is_read_as_that_request(kind: type[hooks.HookRequest]) -> None:
    command = find_command(kind.__name__)
    _, body = request_of(command, {}, sdkappid=APP, token=None, now=NOW)
    assert type(TABLES.request(command, json.loads(body), {})) is kind


async def test_name_of_a_request_triggers_the_guard() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda draft: hooks.Refuse(f"not {draft.app_data}", 10150))
        changes = {"GroupId": LIGHTHOUSE, "From_Account": KEEPER, "CloudCustomData": "today"}
        token = SecretStr(TOKEN)
        sent = await trigger(scenario.url, "PostDraft", changes, sdkappid=scenario.stub.sdkappid, token=token)
        assert sent.answer == {"ActionStatus": "OK", "ErrorCode": 10150, "ErrorInfo": "not today"}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("PostDraft", "Group.CallbackBeforeSendMsg"),
        ("SubscribeRequest", "Group.CallbackBeforeApplyJoinGroup"),
        ("Subscribed", "Group.CallbackAfterNewMemberJoin"),
        ("AfterSendMsg", "Group.CallbackAfterSendMsg"),
        ("AfterMsgWithDraw", "OfficialAccount.CallbackAfterMsgWithDraw"),
        ("BeforeApplyJoinGroup", "Group.CallbackBeforeApplyJoinGroup"),
        ("RequestOverLimit", "Alert.RequestOverLimit"),
        ("State.StateChange", "State.StateChange"),
        ("Group.CallbackAfterSomethingNew", "Group.CallbackAfterSomethingNew"),
    ],
)
def test_known_names_are_resolved_to_commands(name: str, command: str) -> None:
    assert find_command(name) == command


def test_unknown_names_are_refused_with_similar_ones() -> None:
    with pytest.raises(InvalidError, match="Subscribed"):
        find_command("Subscribd")


@pytest.mark.parametrize("command", sorted(samples()))
def test_url_equals_the_one_of_the_stub(command: str) -> None:
    """Adapter and stub were written independently from the documentation."""
    token = SecretStr(TOKEN)
    query, _ = request_of(command, {}, sdkappid=APP, token=token, now=NOW, platform="Web", client_ip="203.0.113.7")
    settings = CallbackSettings(url="http://receiver.example/hook", token=token)
    theirs = url_of(settings, StubEvent(command, {}, "Web"), sdkappid=APP, client_ip="203.0.113.7", now=NOW)
    assert f"http://receiver.example/hook?{query}" == theirs
    verify(read_query(parse_qsl(query)), sdkappid=APP, tokens=[token], now=NOW)


async def test_receiver_accepts_signed_trigger_and_refuses_forged_one() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        changes = {"GroupId": LIGHTHOUSE, "MsgSeq": 7}
        sent = await trigger(
            scenario.url,
            "PostPublished",
            changes,
            sdkappid=scenario.stub.sdkappid,
            token=SecretStr(TOKEN),
            platform="iOS",
        )
        assert (sent.status, sent.accepted) == (200, True)
        assert sent.answer == {"ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": ""}
        assert (await scenario.until(e.PostPublished)).post.ref.seq == 7
        forged = await trigger(
            scenario.url, "PostPublished", changes, sdkappid=scenario.stub.sdkappid, token=SecretStr("guess")
        )
        assert (forged.status, forged.accepted) == (403, False)


@pytest.fixture
async def elsewhere() -> AsyncIterator[tuple[str, list[Any]]]:
    """Run a foreign server that responds with a text; yield its URL and the received bodies."""
    heard: list[Any] = []

    async def take(request: web.Request) -> web.Response:
        heard.append(await request.json())
        return web.Response(text="thanks")

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", heard
    await runner.cleanup()


async def test_text_response_of_foreign_receiver_is_not_accepted(elsewhere: tuple[str, list[Any]]) -> None:
    url, heard = elsewhere
    sent = await trigger(url, "Group.CallbackAfterSomethingNew", {"Colour": "red"}, sdkappid=APP, now=NOW)
    assert (sent.status, sent.answer, sent.accepted) == (200, None, False)
    assert heard == [
        {"CallbackCommand": "Group.CallbackAfterSomethingNew", "EventTime": 1_736_000_000_250, "Colour": "red"}
    ]


async def test_trigger_without_receiver_raises_unavailable_error() -> None:
    with pytest.raises(UnavailableError) as no_user:
        await trigger("http://127.0.0.1:1/hook", "Subscribed", sdkappid=APP, token=SecretStr(TOKEN))
    assert "Sign" not in str(no_user.value)
    assert no_user.value.__cause__ is None
    assert no_user.value.__context__ is None


@pytest.mark.parametrize("url", ["http://keeper:abc123@127.0.0.1:1/hook", "ftp://keeper:abc123@x/", "keeper:abc123@x"])
async def test_credentials_of_the_url_are_hidden_in_the_error(url: str) -> None:
    with pytest.raises((UnavailableError, InvalidError)) as wrong:
        await trigger(url, "Subscribed", sdkappid=APP)
    assert "***@" in str(wrong.value)
    assert "abc123" not in repr(wrong.value)


@pytest.mark.parametrize("url", ["ftp://x/", "127.0.0.1:80", "http://x/?a=1", ""])
async def test_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidError, match="url"):
        await trigger(url, "Subscribed", sdkappid=APP)
