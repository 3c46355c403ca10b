"""Spans of operations, attempts and webhooks, and metrics: names, values, parents; no secret, no body."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode

from channel_adapter import (
    Attempt,
    ChannelAdapter,
    ConfigurationError,
    InvalidError,
    NotFoundError,
    PostDraft,
    RefusedError,
    Settings,
    Subscribed,
    SyncChannelAdapter,
    Text,
    ThrottledError,
    UnavailableError,
)
from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.webhooks import serve
from channel_adapter.webhooks.trigger import trigger
from tests.observability.conftest import KEY, TOKEN, Recorded, attributes, observed

WRITTEN = "low tide at the lighthouse"
SEND = "group_open_http_svc/send_group_msg"


async def with_channel(adapter: ChannelAdapter) -> str:
    await adapter.accounts.add(["editor_7", "reader_1", "reader_2"])
    channel = await adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    return channel.id


async def test_operation_is_span_with_its_calls_as_children(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, server):
        await with_channel(adapter)
        await adapter.posts.publish("harbor_news", Text(WRITTEN))
    publish, send = recorded.one("posts.publish"), recorded.one(SEND)
    assert recorded.children(publish) == [SEND]
    assert attributes(publish) == {"app": server.sdkappid}
    assert publish.status.status_code is StatusCode.UNSET
    found = attributes(send)
    assert found["waited"] >= 0
    assert 0 < found["seconds"] < 60
    assert {name: found[name] for name in found if name not in ("waited", "seconds")} == {
        "app": server.sdkappid, "service": "group_open_http_svc", "command": "send_group_msg",
        "outcome": "success", "attempt": 1,
    }  # fmt: skip
    assert send.kind is SpanKind.CLIENT
    assert send.start_time is not None
    assert send.end_time is not None
    assert (send.end_time - send.start_time) / 1e9 == pytest.approx(found["waited"] + found["seconds"], abs=0.001)
    assert "channels.create" in {span.name for span in recorded.spans}
    assert "accounts.add" in {span.name for span in recorded.spans}


async def test_every_attempt_is_span_with_its_code(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, server):
        await with_channel(adapter)
        server.faults.replace([Fault(command="send_group_msg", nth=(1,), code=60007)])
        await adapter.posts.publish("harbor_news", Text(WRITTEN))
    found = [attributes(span) for span in recorded.named(SEND)]
    assert [(each["attempt"], each["outcome"], each.get("code")) for each in found] == [
        (1, "api_error", 60007),
        (2, "success", None),
    ]
    assert [span.status.status_code for span in recorded.named(SEND)] == [StatusCode.ERROR, StatusCode.UNSET]
    assert recorded.children(recorded.one("posts.publish")) == [SEND, SEND]
    (refused,) = recorded.points("call.refused")
    assert refused.value == 1
    assert refused.attributes["channel_adapter.code"] == 60007


async def test_failed_operation_records_error_type_without_text(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        with pytest.raises(NotFoundError):
            await adapter.posts.publish("no_such_place", Text(WRITTEN))
        assert [each async for each in adapter.channels.subscribed("administrator")] == []
    publish = recorded.one("posts.publish")
    assert publish.status.status_code is StatusCode.ERROR
    assert publish.status.description is None
    assert publish.events == ()
    assert attributes(publish)["error.type"] == "NotFoundError"
    assert recorded.one("channels.subscribed").status.status_code is StatusCode.UNSET


async def test_iteration_is_one_span(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        await with_channel(adapter)
        for number in range(3):
            await adapter.posts.publish("harbor_news", Text(f"{number}"))
        posts = adapter.posts.history("harbor_news")
        assert recorded.named("posts.history") == []
        assert len([post async for post in posts]) == 3
        assert "group_open_http_svc/group_msg_get_simple" in recorded.children(recorded.one("posts.history"))
        async for _post in adapter.posts.history("harbor_news"):
            break  # ended early, and collected
        with pytest.raises(NotFoundError):
            [post async for post in adapter.posts.history("no_such_place")]
    spans = recorded.named("posts.history")
    assert [span.status.status_code for span in spans].count(StatusCode.ERROR) == 1
    assert len(spans) == 3


async def test_spans_of_concurrent_operations_do_not_mix(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        await with_channel(adapter)
        await asyncio.gather(*(adapter.posts.publish("harbor_news", Text(f"{n}")) for n in range(8)))
    assert [recorded.children(span) for span in recorded.named("posts.publish")] == [[SEND]] * 8


async def test_durations_and_waits_are_measured(recorded: Recorded, tmp_path: Path) -> None:
    rates = {SEND: 5, "im_open_login_svc/kick": 0.001}
    async with observed(recorded, tmp_path, calls_per_second=rates, total_seconds=5.0) as (adapter, _):
        await with_channel(adapter)
        for number in range(3):
            await adapter.posts.publish("harbor_news", Text(f"{number}"))
        with suppress(RefusedError, UnavailableError):
            await adapter.call("im_open_login_svc", "kick", {"UserID": "reader_1"})
        with pytest.raises(ThrottledError):
            await adapter.call("im_open_login_svc", "kick", {"UserID": "reader_1"})
    durations, waits = (recorded.points(name) for name in ("call.duration", "limiter.wait"))
    assert [each.count for each in durations if each.attributes["channel_adapter.command"] == "send_group_msg"] == [3]
    (wait,) = [each for each in waits if each.attributes["channel_adapter.command"] == "send_group_msg"]
    assert wait.sum > 0.25
    kicks = [each for each in durations if each.attributes["channel_adapter.command"] == "kick"]
    assert "not_attempted" not in [each.attributes["channel_adapter.outcome"] for each in kicks]


async def test_backlogs_are_measured_while_receiver_runs(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path, inbox={"attempts": 1}) as (adapter, _):
        await with_channel(adapter)
        post = await adapter.posts.publish("harbor_news", Text(WRITTEN))

        @adapter.events.on(Subscribed)
        async def fail(event: Subscribed) -> None:
            raise LookupError(event.channel)

        async with serve(adapter) as (receiver, url):
            await send(url, "Subscribed", adapter)
            await receiver.inbox.idle()
            await adapter.subscriptions.subscribe("harbor_news", ["reader_1"])
            await adapter.reactions.react(post.ref, "reader_1", "👍")
            assert await adapter.reactions.flush()
            await recorded.telemetry.refresh()
            assert recorded.value("inbox.dead") == 1
            assert recorded.value("inbox.waiting") == 0
            assert recorded.value("inbox.lag") == 0
            assert recorded.value("reactions.unpublished") == 0
            assert recorded.value("schedule.lag") == 0
            assert recorded.points("schedule.problems") == []  # nothing was scheduled
            await adapter.posts.schedule("harbor_news", Text(WRITTEN), at=datetime.now(UTC) + timedelta(hours=1))
            await recorded.telemetry.refresh()
            assert (recorded.value("schedule.waiting"), recorded.value("schedule.problems")) == (1, 0)
        assert recorded.points("inbox.dead") == []  # no receiver, no value
    assert recorded.points("schedule.lag") == []


async def test_unreadable_backlog_has_no_value(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _), serve(adapter):
        await recorded.telemetry.refresh()
        assert recorded.value("inbox.waiting") == 0
        (tmp_path / "app.db").rename(tmp_path / "gone.db")
        await recorded.telemetry.refresh()
        assert recorded.points("inbox.waiting") == []
        (tmp_path / "gone.db").rename(tmp_path / "app.db")


async def send(url: str, event: str, adapter: ChannelAdapter, **body: Any) -> None:
    settings = adapter.settings
    token, now = (
        settings.webhooks.tokens[0],
        1_000.0 * int(adapter.clock.now() / 1_000),
    )  # so that the second is a repetition
    members = {"GroupId": "@TGS#_harbor_news", "EventTime": now, **body}
    result = await trigger(
        url, event, members, sdkappid=settings.sdkappid, token=token, platform="iOS", now=adapter.clock.now()
    )
    assert result.accepted


async def test_webhooks_have_spans_from_reception_to_handlers(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        await with_channel(adapter)

        @adapter.events.on(Subscribed)
        async def welcome(event: Subscribed) -> None:
            await adapter.posts.publish(event.channel, Text(WRITTEN))

        @adapter.guard.on(PostDraft)
        async def allow(_: PostDraft) -> None: ...

        async with serve(adapter) as (receiver, url):
            await send(url, "Subscribed", adapter)
            await send(url, "Subscribed", adapter)
            await send(url, "PostDraft", adapter)
            await receiver.inbox.idle()
    received = [attributes(span) for span in recorded.named("webhooks.receive")]
    assert [each["outcome"] for each in received] == ["stored", "repeat", "refused"]
    assert [each["command"] for each in received[:2]] == ["Group.CallbackAfterNewMemberJoin"] * 2
    (handled,) = [span for span in recorded.named("webhooks.handle") if "welcome" in attributes(span)["handler"]]
    assert attributes(handled)["event"] == received[0]["event"]
    assert recorded.children(handled) == ["posts.publish"]
    assert recorded.named("webhooks.resolve")


async def test_refused_request_has_no_span(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _), serve(adapter) as (_, url):
        result = await trigger(url, "Subscribed", {}, sdkappid=adapter.settings.sdkappid, token=None,
                               platform="iOS", now=adapter.clock.now())  # fmt: skip
        assert not result.accepted
    assert recorded.named("webhooks.receive") == []


async def test_spans_and_metrics_contain_no_secret_and_no_body(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, server):
        await with_channel(adapter)

        @adapter.events.on()
        async def read(event: object) -> None:
            raise ValueError(f"{TOKEN} {KEY} {WRITTEN} {event}")

        async with serve(adapter) as (_, url):
            await adapter.posts.publish("harbor_news", Text(WRITTEN))
            server.faults.replace([Fault(command="send_group_msg", code=10004)])
            with pytest.raises(InvalidError):
                await adapter.posts.publish("harbor_news", Text(WRITTEN))
            parts = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": WRITTEN}}]
            await send(url, "PostPublished", adapter, MsgBody=parts)
            await asyncio.sleep(0.1)
            await recorded.telemetry.refresh()
            text, address = recorded.text, server.url
    assert recorded.named("webhooks.receive")
    assert recorded.named("posts.publish")
    for secret in (KEY, TOKEN, WRITTEN, "usersig", "eJ", "MsgBody", "harbor_news", address):
        assert secret not in text, secret


async def test_observer_of_app_still_receives_attempts(recorded: Recorded, tmp_path: Path) -> None:
    attempts: list[Attempt] = []
    async with observed(recorded, tmp_path) as (first, _):
        settings = first.settings
        async with ChannelAdapter.open(settings, observer=attempts.append, telemetry=recorded.telemetry) as adapter:
            await adapter.accounts.check(["reader_1"])
    assert [each.command for each in attempts] == ["account_check"]
    assert recorded.named("im_open_login_svc/account_check")


async def test_call_and_doctor_are_spans(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        await adapter.call("im_open_login_svc", "account_check", {"CheckItem": [{"UserID": "reader_1"}]})
        await adapter.doctor()
    assert recorded.children(recorded.one("call")) == ["im_open_login_svc/account_check"]
    assert "im_open_login_svc/account_check" in recorded.children(recorded.one("doctor"))


def test_every_part_of_adapter_is_traced(recorded: Recorded, tmp_path: Path) -> None:
    """Every part of ChannelAdapter is made by `_part`, so that its methods are spans."""
    settings = Settings(
        sdkappid=1, key="k", region="seoul", database_url=f"sqlite:///{tmp_path / 'x.db'}", telemetry=False
    )
    adapter = ChannelAdapter.open(settings, telemetry=recorded.telemetry)
    others = {"backend", "pipeline", "posting_moved", "events", "guard"}
    names = [name for name, value in vars(ChannelAdapter).items() if type(value).__name__ == "cached_property"]
    parts = [name for name in names if not name.startswith("_") and name not in others]
    assert "posts" in parts
    assert [name for name in parts if type(getattr(adapter, name)).__name__ != "TracedPart"] == []


def test_setting_uses_providers_of_process() -> None:
    script = (
        "import asyncio\n"
        "from opentelemetry import trace\n"
        "from opentelemetry.sdk.trace import TracerProvider\n"
        "from opentelemetry.sdk.trace.export import SimpleSpanProcessor\n"
        "from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter\n"
        "from channel_adapter import ChannelAdapter, Settings\n"
        "from channel_adapter.stub import StubServer\n"
        "exporter, provider = InMemorySpanExporter(), TracerProvider()\n"
        "provider.add_span_processor(SimpleSpanProcessor(exporter))\n"
        "async def main():\n"
        "    async with StubServer() as s:\n"
        "        settings = Settings(sdkappid=s.sdkappid, key=s.key, base_url=s.url, telemetry=True)\n"
        "        async with ChannelAdapter.open(settings) as adapter:\n"
        "            trace.set_tracer_provider(provider)\n"
        "            await adapter.accounts.check(['a'])\n"
        "asyncio.run(main())\n"
        "print([span.name for span in exporter.get_finished_spans()])\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "['im_open_login_svc/account_check', 'accounts.check']"


@pytest.mark.usefixtures("_no_opentelemetry")
def test_missing_extra_raises_configuration_error_with_install_command() -> None:
    with pytest.raises(
        ConfigurationError, match=r"telemetry needs OpenTelemetry: pip install 'channel-adapter\[otel\]'"
    ):
        ChannelAdapter.open(Settings(sdkappid=1, key="k", region="seoul", telemetry=True))


def test_opentelemetry_is_not_imported_without_telemetry() -> None:
    script = (
        "import sys\nfrom channel_adapter import ChannelAdapter, Settings\n"
        "adapter = ChannelAdapter.open(Settings(sdkappid=1, key='k', region='seoul'))\nadapter.posts, adapter.events\n"
        "assert not [name for name in sys.modules if name.startswith(('opentelemetry', 'prometheus_client'))]"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_blocking_adapter_is_traced(recorded: Recorded) -> None:
    with StubServer().run_in_thread() as server:
        settings = Settings(sdkappid=server.sdkappid, key=server.key, admin=server.admin, base_url=server.url)
        with SyncChannelAdapter.open(settings, telemetry=recorded.telemetry) as adapter:
            adapter.accounts.check(["reader_1"])
            assert list(adapter.channels.subscribed("administrator")) == []
    assert recorded.children(recorded.one("accounts.check")) == ["im_open_login_svc/account_check"]
    assert "group_open_http_svc/get_joined_group_list" in recorded.children(recorded.one("channels.subscribed"))


async def test_method_that_runs_until_stopped_has_no_span(recorded: Recorded, tmp_path: Path) -> None:
    async with observed(recorded, tmp_path) as (adapter, _):
        await adapter.migration.work(limits=BudgetLimits(seconds=0.1))
    assert recorded.named("migration.work") == []


async def test_closed_adapter_leaves_no_task(recorded: Recorded, tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    async with StubServer() as server:
        settings = Settings(sdkappid=server.sdkappid, key=server.key, base_url=server.url)
        tasks = asyncio.all_tasks()
        async with ChannelAdapter.open(settings, telemetry=recorded.telemetry):
            assert asyncio.all_tasks() > tasks
        assert asyncio.all_tasks() == tasks
    assert asyncio.all_tasks() == before
