"""SyncChannelAdapter on a stub: results, iterators, threads, processes, webhooks, and closing."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest

from channel_adapter import (
    Attempt,
    ChannelAdapterError,
    ConfigurationError,
    NotFoundError,
    PostDraft,
    Refuse,
    Settings,
    Subscribed,
    SyncChannelAdapter,
    Text,
)
from channel_adapter.stub import StubServer
from channel_adapter.stub.faults.faults import Fault

USERS = [f"reader_{number}" for number in range(250)]


@pytest.fixture
def channel(sync_adapter: SyncChannelAdapter) -> str:
    """Return the id of a channel whose owner is editor_7."""
    assert sync_adapter.accounts.add(["editor_7", *USERS]).complete
    return sync_adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7").id


def test_typical_script_succeeds(sync_adapter: SyncChannelAdapter, channel: str) -> None:
    assert sync_adapter.subscriptions.subscribe(channel, USERS).complete
    first = sync_adapter.posts.publish(channel, Text("Tide table"))
    sync_adapter.posts.edit(first.ref, Text("Tide table, corrected"))
    sync_adapter.posts.publish("harbor_news", Text("Ferries"))
    assert sync_adapter.reactions.react(first.ref, "reader_1", "👍")
    assert sync_adapter.reactions.get(first.ref).counts == {"👍": 1}
    contents = [post.content for post in sync_adapter.posts.history(channel, oldest_first=True)]
    assert contents == [Text("Tide table, corrected"), Text("Ferries")]
    assert [found.channel.id for found in sync_adapter.channels.subscribed("reader_1")] == [channel]
    assert sync_adapter.unread.get("reader_1").badge == 2
    assert all(check.ok for check in sync_adapter.doctor())
    reply = sync_adapter.call("group_open_http_svc", "get_group_info", {"GroupIdList": [channel]})
    assert reply["GroupInfo"][0]["Name"] == "Harbour News"


def test_errors_equal_those_of_asynchronous_adapter(sync_adapter: SyncChannelAdapter) -> None:
    with pytest.raises(NotFoundError, match="there is no channel"):
        sync_adapter.channels.get("unknown")
    with pytest.raises(ChannelAdapterError, match="users must be a list of ids; got one string"):
        sync_adapter.subscriptions.subscribe("harbor_news", "reader_1")
    with pytest.raises(
        TypeError, match=r"Subscriptions\.subscribe\(\) missing 1 required positional argument: 'users'"
    ):
        sync_adapter.subscriptions.subscribe("harbor_news")  # type: ignore[call-arg]
    with pytest.raises(AttributeError, match="'Channels' object has no attribute 'lock'"):
        sync_adapter.channels.lock()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="'SyncChannelAdapter' object has no attribute 'backend'"):
        sync_adapter.backend  # type: ignore[attr-defined]  # noqa: B018


def test_methods_have_documentation_and_signatures(sync_adapter: SyncChannelAdapter) -> None:
    assert (inspect.getdoc(sync_adapter.posts.publish) or "").startswith("Publish")
    assert "idempotency_key" in inspect.signature(sync_adapter.posts.publish).parameters
    assert {"publish", "history"} <= {*dir(sync_adapter.posts)}
    assert repr(sync_adapter) == "SyncChannelAdapter(sdkappid=1400000001, admin='administrator')"


def test_iterables_are_read_in_calling_thread_and_no_further_than_needed(
    sync_adapter: SyncChannelAdapter, channel: str
) -> None:
    read: list[str] = []

    def rows() -> Iterator[str]:
        """Yield ids like a database cursor that is bound to a thread and refuses event loops."""
        for number in range(100_000):
            assert threading.current_thread() is threading.main_thread()
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            read.append(f"reader_{number % 250}")
            yield read[-1]

    with sync_adapter.subscriptions.subscribe_stream(channel, rows()) as outcomes:
        first = [next(outcomes).user for _ in range(300)]
    assert {*first} <= {*USERS}
    assert len(read) < 2_000
    assert len(sync_adapter.subscriptions.is_subscribed(channel, (user for user in USERS[:7]))) == 7


def test_exception_of_iterable_is_raised_by_call(sync_adapter: SyncChannelAdapter, channel: str) -> None:
    def rows() -> Iterator[str]:
        yield "reader_1"
        raise LookupError("the file ends here")

    with pytest.raises(LookupError, match="the file ends here"):
        sync_adapter.subscriptions.subscribe(channel, rows())
    assert sync_adapter.channels.get(channel).name == "Harbour News"


def test_list_can_be_resumed_at_its_cursor(sync_adapter: SyncChannelAdapter, channel: str) -> None:
    assert sync_adapter.subscriptions.subscribe(channel, USERS).complete
    listed = sync_adapter.subscriptions.subscribers(channel)
    first = [next(listed).user for _ in range(200)]
    assert listed.cursor
    rest = [each.user for each in sync_adapter.subscriptions.subscribers(channel, cursor=listed.cursor)]
    assert {*first, *rest} == {*USERS}
    assert list(listed)[-1].user == rest[-1]
    assert listed.cursor is None
    assert [counts.badge for counts in sync_adapter.unread.get_many(USERS[:3])] == [0, 0, 0]


def test_first_item_of_list_reads_one_page(settings: Settings) -> None:
    calls: list[str] = []
    with SyncChannelAdapter.open(settings, observer=lambda attempt: calls.append(attempt.command)) as adapter:
        adapter.accounts.add(["editor_7"])
        channel = adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        for number in range(45):  # a page has 20 posts
            adapter.posts.publish(channel.id, Text(f"{number}"))
        del calls[:]
        for _ in range(3):
            assert next(adapter.posts.history(channel.id)).content == Text("44")
        assert calls.count("group_msg_get_simple") == 3
        posts = adapter.posts.history(channel.id)
        assert [post.ref.seq for post in posts] == list(range(45, 0, -1))
        assert list(posts) == []


def test_failed_list_can_be_continued(settings: Settings, stub: StubServer) -> None:
    with SyncChannelAdapter.open(settings) as adapter:
        adapter.accounts.add(["editor_7", *USERS])
        adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
        adapter.subscriptions.subscribe("harbor_news", USERS)
        listed = adapter.subscriptions.subscribers("harbor_news")
        found = [next(listed).user]
        stub.faults.add(Fault(command="get_group_member_info", code=10007))
        with pytest.raises(ChannelAdapterError):
            found.extend(each.user for each in listed)
        assert 90 < len(found) <= 100
        stub.faults.replace([])
        found.extend(each.user for each in listed)
        assert sorted(found) == sorted(USERS)


def test_closed_iterator_has_no_items(sync_adapter: SyncChannelAdapter, channel: str) -> None:
    sync_adapter.subscriptions.subscribe(channel, USERS)
    for stream in (sync_adapter.subscriptions.subscribe_stream(channel, USERS), sync_adapter.events.stream(Subscribed)):
        with stream:
            pass
        assert list(stream) == []
    with sync_adapter.channels.subscribed("reader_1") as subscribed:
        assert next(subscribed).channel.id == channel
    assert list(subscribed) == []


def test_many_threads_share_one_adapter(sync_adapter: SyncChannelAdapter, channel: str) -> None:
    def publish(number: int) -> int:
        return sync_adapter.posts.publish(channel, Text(f"{number}")).ref.seq

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(publish, range(40))) == list(range(1, 41))


def test_adapter_can_be_used_inside_running_event_loop(settings: Settings) -> None:
    """Notebooks run an event loop in the main thread."""

    async def cell() -> bool:
        with SyncChannelAdapter.open(settings) as adapter:
            return adapter.accounts.add(["editor_7"]).complete

    assert asyncio.run(cell())


def test_call_from_event_loop_thread_is_refused(settings: Settings) -> None:
    raised: list[str] = []

    def observe(_: Attempt) -> None:
        with pytest.raises(RuntimeError, match="cannot be called from the event loop thread") as caught:
            adapter.accounts.check(["editor_7"])
        raised.append(str(caught.value))

    with SyncChannelAdapter.open(settings, observer=observe) as adapter:
        assert adapter.accounts.check(["editor_7"]) == {"editor_7": False}
    assert len(raised) == 1


def test_calls_run_in_context_of_caller(settings: Settings) -> None:
    request: ContextVar[str] = ContextVar("request", default="none")
    seen: list[str] = []
    with SyncChannelAdapter.open(settings, observer=lambda _: seen.append(request.get())) as adapter:
        adapter.accounts.add(["reader_1"])
        assert {*seen} == {"none"}
        seen.clear()
        request.set("GET /channels")
        adapter.accounts.check(["reader_1"])
        assert list(adapter.channels.subscribed("reader_1")) == []
    assert {*seen} == {"GET /channels"}


def test_close_ends_calls_of_other_threads(settings: Settings) -> None:
    adapter = SyncChannelAdapter.open(settings)
    stream = adapter.events.stream(Subscribed)
    with ThreadPoolExecutor(1) as other:
        waiting = other.submit(next, stream)
        time.sleep(0.1)
        adapter.close()
        with pytest.raises(RuntimeError, match="was closed during the call"):
            waiting.result(60)
    adapter.close()
    with pytest.raises(RuntimeError, match="SyncChannelAdapter is closed"):
        adapter.channels.get("harbor_news")
    assert not [each.name for each in threading.enumerate() if each.name == "SyncChannelAdapter"]


def test_invalid_settings_are_reported_when_adapter_is_opened(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        SyncChannelAdapter.open(tmp_path / "missing.toml")
    (tmp_path / "ca.pem").write_text("no certificate")
    adapter = SyncChannelAdapter.open(settings.model_copy(update={"ca_file": tmp_path / "ca.pem"}))
    for _ in range(2):
        with pytest.raises(ConfigurationError) as wrong, adapter:
            pass
        assert wrong.value.field == "ca_file"


def run(script: str, settings: Settings, *, code: int = 0) -> str:
    """Run a script that has `settings`, and return its output."""
    key = settings.key.get_secret_value()
    variables = {"SDKAPPID": str(settings.sdkappid), "KEY": key, "BASE_URL": str(settings.base_url)}
    environment = os.environ | {f"CHANNEL_ADAPTER_{name}": value for name, value in variables.items()}
    head = "from channel_adapter import *\nadapter = SyncChannelAdapter.open()\n"
    words = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", head + script]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == code, result.stderr
    return result.stdout + result.stderr


def test_process_ends_without_close_and_prints_nothing(settings: Settings) -> None:
    assert run("adapter.accounts.add(['editor_7'])\n", settings) == ""


FORK = """
import os, sys
def child(word):
    process = os.fork()
    if not process:
        try:
            print(word, adapter.accounts.check(["editor_7"]), flush=True)
        except RuntimeError as error:
            print(word, error, flush=True)
        finally:
            os._exit(0)
    os.waitpid(process, 0)
child("before")
adapter.accounts.check(["editor_7"])
child("after")
"""


def test_forked_process_can_use_adapter_only_if_parent_has_not_used_it(settings: Settings) -> None:
    shown = run(FORK, settings).splitlines()
    assert shown == [
        "before {'editor_7': False}",
        "after SyncChannelAdapter was used before this process was forked: use one in each process",
    ]


def test_interruption_ends_call(settings: Settings) -> None:
    script = (
        "import os, signal, threading\n"
        f"threading.Timer(0.5, os.kill, (os.getpid(), {int(signal.SIGINT)})).start()\n"
        "with adapter:\n"
        "    next(adapter.events.stream(Subscribed))\n"
    )
    assert run(script, settings, code=-signal.SIGINT).endswith("KeyboardInterrupt\n")


def test_handlers_may_block_and_use_adapter(sync_adapter: SyncChannelAdapter, stub: StubServer) -> None:
    sync_adapter.accounts.add(["editor_7", "reader_1"])
    channel = sync_adapter.channels.create(slug="harbor_news", name="Harbour News", owner="editor_7")
    seen: list[object] = []
    handled = threading.Event()

    @sync_adapter.events.on(Subscribed)
    def welcome(event: Subscribed) -> None:
        seen.extend([sync_adapter.channels.get(event.channel).name, event.users, sync_adapter.events.key is not None])
        handled.set()

    @sync_adapter.guard.on(PostDraft)
    def moderate(draft: PostDraft) -> Refuse | None:
        return Refuse("no fog today", 10150) if Text("fog") in draft.parts else None

    with sync_adapter.receive_webhooks(path="/hooks") as url:
        program = Path(sys.executable).with_name("channel-adapter")

        def trigger(event: str, *more: str) -> subprocess.CompletedProcess[str]:
            words = ["webhooks", "trigger", event, "--url", url, "--channel", channel.slug, *more]
            environment = os.environ | {
                "CHANNEL_ADAPTER_SDKAPPID": str(stub.sdkappid), "CHANNEL_ADAPTER_KEY": stub.key,
                "CHANNEL_ADAPTER_BASE_URL": stub.url, "CHANNEL_ADAPTER_WEBHOOKS__TOKENS": '["orchid-7f"]',
            }  # fmt: skip
            return subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)

        assert trigger("Subscribed").returncode == 0
        assert handled.wait(60)
        body = '{"From_Account": "editor_7", "MsgBody": [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "fog"}}]}'
        assert "10150" in trigger("PostDraft", "--set", body).stdout
    assert seen[0] == "Harbour News"
    assert seen[2] is True


def test_missing_library_is_named_when_adapter_is_opened(settings: Settings) -> None:
    script = (
        "import sys\nsys.modules['anyio'] = None\n"
        "from channel_adapter import *\n"
        "try:\n    SyncChannelAdapter.open()\nexcept ConfigurationError as error:\n    print(error)\n"
    )
    environment = {"CHANNEL_ADAPTER_SDKAPPID": "1", "CHANNEL_ADAPTER_KEY": "k", "CHANNEL_ADAPTER_REGION": "seoul"}
    result = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "SyncChannelAdapter needs anyio: pip install 'channel-adapter[sync]'\n"
