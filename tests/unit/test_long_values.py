"""A wrong value of 20,000 characters is refused in a short message that names the field and states the size."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    Article,
    ChannelAdapter,
    ChannelAdapterError,
    ChannelId,
    ConfigurationError,
    Image,
    InvalidError,
    Location,
    MessageRef,
    PostRef,
    Settings,
    Text,
)
from channel_adapter.domain.ids import UserId
from channel_adapter.migration.plan.document import from_json
from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.stub.scenario import Scenario
from channel_adapter.stub.settings import SettingsError, StubSettings

MAX_CHARACTERS = 600
SIZE = re.compile(r"\b2\d,?\d{3}\b")  # 20,000 and the characters around them, or their bytes
LETTERS = "a" * 20_000
SIGNS = "!" * 20_000
CONTROLS = "\x1b\n" * 10_000
COMMUNITY = f"@TGS#_{LETTERS}"
OFFICIAL = f"@TOA#_{LETTERS}"
REF = PostRef(ChannelId("@TGS#_news"), 1)
BAD_REF = PostRef(ChannelId(SIGNS), 1)
MESSAGE = MessageRef(ChannelId("news"), UserId("reader"), SIGNS)
AT = datetime.now(UTC) + timedelta(days=1)
ANY: Any = SIGNS

Mistake = Callable[[Any], Awaitable[object]]


def check(message: str, field: str) -> None:
    """Check that a message is short, states the size of the value, and can be printed."""
    assert len(message) < MAX_CHARACTERS
    assert SIZE.search(message), message
    assert field in message
    assert message.isprintable()


@pytest.fixture
async def adapter(tmp_path: Path) -> AsyncIterator[ChannelAdapter]:
    settings = Settings(
        sdkappid=1, key=SecretStr("k"), base_url="http://127.0.0.1:1", database_url=f"sqlite:///{tmp_path}/a.db"
    )
    async with ChannelAdapter.open(settings) as adapter:
        yield adapter


async def drawn(items: Any) -> list[object]:
    return [item async for item in items]


async def parsed(text: str) -> object:
    return PostRef.parse(text)


@pytest.mark.parametrize(
    ("mistake", "field"),
    [
        (lambda a: a.accounts.add([LETTERS]), "users"),
        (lambda a: a.accounts.check([LETTERS]), "users"),
        (lambda a: a.channels.get(LETTERS), "slug"),
        (lambda a: a.channels.get(SIGNS), "slug"),
        (lambda a: a.channels.get(CONTROLS), "slug"),
        (lambda a: a.channels.get(COMMUNITY), "channel"),
        (lambda a: a.channels.get(f"@TGS#_{CONTROLS}"), "channel"),
        (lambda a: a.channels.get(f"@TGS#_{LETTERS}@TOPIC#_"), "channel"),
        (lambda a: a.channels.get(OFFICIAL), "channel"),
        (lambda a: a.channels.get([LETTERS] * 20_000), "channel"),
        (lambda a: a.channels.get(LETTERS.encode()), "channel"),
        (lambda a: a.channels.get_many([SIGNS]), "slug"),
        (lambda a: a.channels.create(slug=SIGNS, name="News", owner="editor"), "slug"),
        (lambda a: a.channels.create(slug="news", name=LETTERS, owner="editor"), "name"),
        (lambda a: a.channels.create(slug="news", name="News", owner=LETTERS), "owner"),
        (lambda a: a.channels.create(slug="news", name="News", owner="editor", max_subscribers=ANY), "max_subscribers"),
        (lambda a: a.channels.update("news", avatar=SIGNS), "avatar"),
        (lambda a: a.channels.block("news", [LETTERS]), "user"),
        (lambda a: drawn(a.channels.subscribed(LETTERS)), "user"),
        (lambda a: a.directory.search(LETTERS), "text"),
        (lambda a: a.directory.search("x", limit=ANY), "limit"),
        (lambda a: a.directory.search("x", verified=ANY), "verified"),
        (lambda a: a.insights.channel("news", since=ANY), "since"),
        (lambda a: a.insights.growth(["news"], days=ANY), "days"),
        (lambda a: a.invites.create("news", max_uses=ANY), "max_uses"),
        (lambda a: a.invites.create("news", expires=ANY), "expires"),
        (lambda a: a.messages.send("news", user=COMMUNITY, content=Text("x")), "user"),
        (lambda a: a.messages.send("news", user=LETTERS, content=Text("x")), "user"),
        (lambda a: a.messages.recall(MESSAGE), "key"),
        (lambda a: drawn(a.messages.threads("news", cursor=SIGNS)), "cursor"),
        (lambda a: a.posts.publish("news", Text(LETTERS)), "content"),
        (lambda a: a.posts.publish("news", Text("x"), author=LETTERS), "author"),
        (lambda a: a.posts.publish("news", Image(SIGNS)), "url"),
        (lambda a: a.posts.publish("news", Article("x", "y", SIGNS)), "link"),
        (lambda a: a.posts.get(BAD_REF), "slug"),
        (lambda a: parsed(CONTROLS), "ref"),
        (lambda a: drawn(a.posts.history("news", before=ANY)), "before"),
        (lambda a: a.posts.get_scheduled(SIGNS), "scheduled post"),
        (lambda a: a.posts.get_draft(CONTROLS), "draft"),
        (lambda a: a.posts.reschedule("x", ANY), "at"),
        (lambda a: a.posts.schedule("news", Text("x"), at=AT, idempotency_key=LETTERS), "idempotency_key"),
        (lambda a: a.reactions.react(REF, "reader", SIGNS), "emoji"),
        (lambda a: a.reactions.react(REF, "reader", "👍" * 20_000), "emoji"),
        (lambda a: a.reactions.set_policy("news", SIGNS), "policy"),
        (lambda a: a.reactions.set_policy("news", [SIGNS]), "policy"),
        (lambda a: a.subscriptions.set_notifications("news", ANY, user="reader"), "notifications"),
        (lambda a: a.subscriptions.set_notifications("news", [ANY] * 20_000, user="reader"), "notifications"),
        (lambda a: a.subscriptions.subscribe("news", [LETTERS]), "user"),
        (lambda a: drawn(a.subscriptions.subscribers("news", cursor=f"official:{LETTERS}")), "cursor"),
        (lambda a: a.subscriptions.follow("reader", [SIGNS]), "slug"),
        (lambda a: drawn(a.unread.groups("reader", cursor=ANY)), "cursor"),
        (lambda a: a.unread.note("news", LETTERS, user="reader"), "text"),
        (lambda a: a.unread.rename("reader", LETTERS), "new"),
        (lambda a: a.unread.mark_read("news", ANY, user="reader"), "up_to"),
        (lambda a: a.call("service", LETTERS, {}), "service"),
        (lambda a: a.export_channel("news", f"\0{LETTERS}"), "folder"),
    ],
)
async def test_long_value_is_shortened(adapter: ChannelAdapter, mistake: Mistake, field: str) -> None:
    with pytest.raises(ChannelAdapterError) as refused:
        await mistake(adapter)
    check(refused.value.message, field)


@pytest.mark.parametrize("cursor", ["nan/ann", "inf/ann", "-1e999/ann", "1.0", "1.0/a\0", "x/ann"])
async def test_cursor_that_no_list_of_threads_has_is_refused(adapter: ChannelAdapter, cursor: str) -> None:
    with pytest.raises(InvalidError, match="is not the cursor of a list of threads") as refused:
        await drawn(adapter.messages.threads("news", cursor=cursor))
    assert refused.value.field == "cursor"


async def test_number_that_python_does_not_write_is_refused(adapter: ChannelAdapter) -> None:
    huge = 10**5_000
    with pytest.raises(InvalidError, match=r"^before is <int> \(16,610 bits\)"):
        await drawn(adapter.posts.history("news", before=huge))
    with pytest.raises(InvalidError, match=r"^max_uses must be .* got <int> \(16,610 bits\)"):
        await adapter.invites.create("news", max_uses=huge)
    with pytest.raises(InvalidError, match=r"^latitude is <int> \(16,610 bits\)"):
        await adapter.posts.publish("news", Location(huge, 1, "x"))


@pytest.mark.parametrize(
    "values",
    [
        {"region": SIGNS},
        {LETTERS: 1},
        {"channels": {"tag_key": SIGNS}},
        {"channels": {"custom_data_keys": [SIGNS]}},
        {"calls_per_second": {LETTERS: 1}},
    ],
)
def test_long_value_of_a_setting_is_shortened(values: dict[str, Any]) -> None:
    address: dict[str, Any] = {} if "region" in values else {"base_url": "http://127.0.0.1:1"}
    with pytest.raises(ConfigurationError) as refused:
        Settings(sdkappid=1, key=SecretStr("k"), **address, **values)
    check(refused.value.message, next(iter(values))[:4])


def test_long_name_of_a_file_or_of_a_variable_is_shortened(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ChannelAdapter.open(f"/{LETTERS}.toml")
    check(refused.value.message, "settings file")
    monkeypatch.setenv(f"CHANNEL_ADAPTER_{LETTERS}", "x")
    with pytest.raises(ConfigurationError) as refused:
        Settings.load(None)
    message, _, known = refused.value.message.partition("; ")
    check(message, "environment variable")
    assert known.startswith("known here: ")


@pytest.mark.parametrize("name", ["base_url", "backup_url", "proxy"])
def test_name_of_a_host_that_is_too_long_is_refused(name: str) -> None:
    for host in (LETTERS, "a." * 10_000 + "example", "a..example"):
        values: dict[str, Any] = {"base_url": "http://127.0.0.1:1", name: f"http://{host}"}
        with pytest.raises(ConfigurationError, match=f"^{name}: .*host name that is too long or has an empty part$"):
            Settings(sdkappid=1, key=SecretStr("k"), **values)


@pytest.mark.parametrize("values", [{"ca_file": Path(f"/{LETTERS}")}, {"database_url": f"sqlite:////{LETTERS}"}])
async def test_path_of_a_setting_that_cannot_be_opened_is_shortened(values: dict[str, Any]) -> None:
    with pytest.raises(ChannelAdapterError) as refused:
        async with ChannelAdapter.open(
            Settings(sdkappid=1, key=SecretStr("k"), base_url="http://127.0.0.1:1", **values)
        ) as adapter:
            await drawn(adapter.invites.list("news"))
    check(refused.value.message, "CA file" if "ca_file" in values else "store")


def test_long_value_of_a_setting_of_the_stub_is_shortened() -> None:
    for section in ({LETTERS: 1}, {"app": {LETTERS: 1}}, {"app": {"group_fields": [SIGNS]}}):
        with pytest.raises(SettingsError) as refused:
            StubSettings.read(section)
        check(str(refused.value), "")
    with pytest.raises(SettingsError) as refused:
        Scenario.named(LETTERS)
    check(str(refused.value), "scenario")
    with pytest.raises(SettingsError) as refused:
        Scenario.load(f"/{LETTERS}.toml")
    check(str(refused.value), "File name too long")


def test_long_value_in_a_plan_is_shortened() -> None:
    with pytest.raises(ChannelAdapterError) as refused:
        from_json(f'{{"format": "channel-adapter migration plan", "version": "{LETTERS}"}}'.encode(), "plan.json")
    check(refused.value.message, "plan.json")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("news", "'news'"),
        ("a" * 80, repr("a" * 80)),
        ("a" * 81, f"'{'a' * 80}...' (81 characters)"),
        ("\x1b" * 21, "'" + r"\x1b" * 20 + "...' (21 characters)"),
        ("\ud800", r"'\ud800'"),
        (b"a" * 81, f"b'{'a' * 78}... (81 bytes)"),
        ([1] * 1_000, "[" + "1, " * 26 + "1... (1,000 items)"),
        (datetime(2026, 3, 20, tzinfo=UTC), repr(datetime(2026, 3, 20, tzinfo=UTC))),
        ([10**5_000], "<list>"),
        (None, "None"),
    ],
)
def test_value_is_shown_with_its_size(value: object, shown: str) -> None:
    assert shown_value(value) == shown


def test_text_is_shown_without_quotes_unless_it_is_long() -> None:
    assert shown_text(Path("/srv/it's here")) == "/srv/it's here"
    assert shown_text("a" * 241) == f"'{'a' * 240}...' (241 characters)"
