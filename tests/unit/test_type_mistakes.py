"""Values of a wrong type in Python raise InvalidError with the parameter's name before a request is sent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import (
    Article,
    ChannelAdapter,
    ConfigurationError,
    Face,
    Image,
    InvalidError,
    Post,
    PostRef,
    Settings,
    Text,
    TextAndImage,
    Video,
)
from channel_adapter.domain.ids import ChannelId

NOWHERE = Settings(sdkappid=1, key=SecretStr("k"), base_url="http://127.0.0.1:1")
REF = PostRef(ChannelId("@TGS#_news"), 1)
POST = Post(ref=REF, author=None, published_at=datetime(2026, 3, 20, tzinfo=UTC), parts=(Text("x"),))

END = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))

NOTHING: Any = None
A_TEXT: Any = "text"

Mistake = Callable[[Any], Awaitable[object]]


@pytest.fixture
async def adapter() -> AsyncIterator[ChannelAdapter]:
    async with ChannelAdapter.open(NOWHERE) as adapter:
        yield adapter


async def drawn(items: Any) -> list[object]:
    return [item async for item in items]


async def streamed() -> AsyncIterator[str]:
    yield "reader"


async def reading(method: Callable[[Any], object], value: object) -> object:
    return method(value)


async def jobs(adapter: ChannelAdapter, kinds: Any) -> None:
    async with adapter.run_jobs(kinds):
        pass


@pytest.mark.parametrize(
    ("mistake", "field", "says"),
    [
        (lambda a: a.subscriptions.subscribe("news", None), "users", "users must be a list of ids; got None"),
        (lambda a: a.subscriptions.subscribe("news", 7), "users", "users must be a list of ids; got 7"),
        (lambda a: a.subscriptions.unsubscribe("news", None), "users", "users must be a list of ids; got None"),
        (lambda a: a.subscriptions.is_subscribed("news", None), "users", "users must be a list of ids; got None"),
        (lambda a: a.subscriptions.subscribe(None, ["reader"]), "channel", "channel must be a string; got None"),
        (lambda a: drawn(a.subscriptions.subscribers("news", cursor=None)), "cursor", "must be a string"),
        (lambda a: a.accounts.add(None), "users", "users must be a list of ids; got None"),
        (lambda a: a.accounts.check(None), "users", "users must be a list of ids; got None"),
        (lambda a: a.accounts.check(streamed()), "users", "users must be a list of ids; got <async_generator"),
        (lambda a: a.channels.block("news", streamed()), "users", "must be a list of ids; got <async_generator"),
        (lambda a: a.subscriptions.is_subscribed("news", streamed()), "users", "must be a list of ids; got <async"),
        (lambda a: a.channels.get_many(None), "channels", "must be a list of ids; got None"),
        (lambda a: a.channels.create(name=None, owner="o", slug="news"), "name", "must be a string"),
        (lambda a: a.channels.create(name="n", owner=None, slug="news"), "owner", "must be a string"),
        (
            lambda a: a.channels.create(name="n", owner="o", organization=5, slug="news"),
            "organization",
            "must be a string",
        ),
        (lambda a: a.channels.create(name="n", owner="o", idempotency_key=5), "idempotency_key", "must be a string"),
        (lambda a: a.channels.update("news", custom_data=b"x"), "custom_data", "must be a string"),
        (lambda a: drawn(a.channels.subscribed(None)), "user", "must be a string"),
        (lambda a: a.posts.edit(POST, Text("x")), "ref", "ref must be a PostRef; got a Post; pass its ref"),
        (lambda a: a.posts.get("@TGS#_news"), "ref", "ref must be a PostRef; got a str"),
        (lambda a: a.posts.recall(None), "ref", "ref must be a PostRef; got a NoneType"),
        (lambda a: a.posts.recall(REF, reason=None), "reason", "must be a string"),
        (lambda a: a.posts.publish("news", None), "content", "cannot publish a NoneType"),
        (lambda a: a.messages.send("news", user=None, content=Text("x")), "user", "user must be a string; got None"),
        (lambda a: a.messages.send("news", user="r", content=None), "content", "cannot publish a NoneType"),
        (
            lambda a: a.messages.send("news", user="r", content=Text("x"), idempotency_key=5),
            "idempotency_key",
            "must be a string",
        ),
        (lambda a: a.messages.send_many("news", None, Text("x")), "users", "users must be a list of ids; got None"),
        (lambda a: a.messages.recall(POST), "ref", "ref must be a MessageRef; got a Post"),
        (lambda a: drawn(a.messages.thread("news", user=7)), "user", "user must be a string; got 7"),
        (lambda a: a.channels.update("news", contact=7), "contact", "contact must be a string; got 7"),
        (lambda a: a.channels.update("news", contact=0), "contact", "contact must be a string; got 0"),
        (lambda a: a.posts.publish("news", Face(2**64)), "index", "index is 18446744073709551616; an integer has 64 b"),
        (
            lambda a: a.posts.publish("news", TextAndImage("x", A_TEXT)),
            "image",
            "must be an Image; got a str",
        ),
        (lambda a: a.posts.publish("news", Article(NOTHING)), "title", "must be a string; got a NoneType"),
        (
            lambda a: a.posts.publish("news", Image("https://s.example/a.png", width=A_TEXT)),
            "width",
            "must be an integer",
        ),
        (
            lambda a: a.posts.publish("news", Video("https://s.example/a", seconds=True)),
            "seconds",
            "must be an integer",
        ),
        (lambda a: a.posts.publish("news", Text("x"), author=7), "author", "must be a string"),
        (lambda a: a.posts.publish("news", Text("x"), idempotency_key=7), "idempotency_key", "must be a string"),
        (lambda a: drawn(a.posts.history("news", before="9")), "before", "'9'"),
        (lambda a: a.subscriptions.follow("reader", None), "channels", "must be a list of ids; got None"),
        (lambda a: a.subscriptions.unfollow("reader", "news"), "channels", "must be a list of ids; got one string"),
        (lambda a: a.unread.assign("reader", None), "channels", "must be a list of ids; got None"),
        (lambda a: a.unread.mark_read("news", "1", user="reader"), "up_to", "must be a positive integer; got '1'"),
        (lambda a: a.unread.mark_read("news", True, user="reader"), "up_to", "must be a positive integer; got True"),
        (lambda a: a.unread.mark_read("news", datetime(2026, 3, 20), user="reader"), "up_to", "no time zone"),  # noqa: DTZ001
        (lambda a: a.unread.mark_read("news", END, user="reader"), "up_to", "outside the years 1 to 9999"),
        (lambda a: a.unread.catch_up("reader", 5), "posts", "posts must be a list of PostRefs; got 5"),
        (lambda a: a.channels.block("news", None), "users", "users must be a list of ids; got None"),
        (lambda a: a.channels.unblock("news", "ann"), "users", "users must be a list of ids; got one string"),
        (lambda a: a.posts.acknowledge("abc"), "post_ids", "post_ids must be a list of ids; got one string"),
        (lambda a: a.insights.stored_views("abc"), "refs", "refs must be a list of PostRefs; got one string"),
        (lambda a: a.insights.stored_views(["abc"]), "refs", "refs must be a PostRef; got a str"),
        (lambda a: a.reactions.get_many(None), "refs", "refs must be a list of PostRefs; got None"),
        (lambda a: a.reactions.left("news", "ann"), "users", "users must be a list of ids; got one string"),
        (lambda a: a.reactions.set_policy("news", 5), "policy", "policy must be a list of emoji; got 5"),
        (
            lambda a: a.unread.mark_read("news", 2**32, user="reader"),
            "up_to",
            "up_to is 4294967296; numbers of posts end",
        ),
        (lambda a: a.posts.publish("news", Text("x"), idempotency_key="\ud800"), "idempotency_key", "surrogate"),
        (lambda a: jobs(a, "schedule"), "kinds", "kinds must be a list of kinds of jobs; got one string"),
        (lambda a: a.export_channel("news", ""), "folder", "folder must be the path of a folder, in UTF-8; got ''"),
        (lambda a: a.export_channel("news", 5), "folder", "folder must be the path of a folder, in UTF-8; got 5"),
        (lambda a: reading(a.unread.get_many, None), "users", "users must be a list of ids; got None"),
        (lambda a: reading(a.unread.groups, None), "user", "must be a string"),
        (lambda a: drawn(a.posts.history("news", before=0)), "before", "must be a positive integer; got 0"),
    ],
)
async def test_value_of_wrong_type_is_refused_with_its_field(
    adapter: ChannelAdapter, mistake: Mistake, field: str, says: str
) -> None:
    with pytest.raises(InvalidError) as refused:
        await mistake(adapter)
    assert refused.value.field == field
    assert says in refused.value.message


def test_config_of_wrong_type_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="config must be the path of a settings file; got 7") as refused:
        ChannelAdapter.open(7)  # type: ignore[arg-type]
    assert refused.value.field == "config"
