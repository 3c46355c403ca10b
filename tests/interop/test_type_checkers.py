"""mypy --strict and pyright strict on an example project, and `pyright --verifytypes` on the public names."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import channel_adapter

PACKAGE = Path(channel_adapter.__file__).parent
PROJECT = {
    "publishing.py": '''
"""An asynchronous application."""
import asyncio
from collections.abc import AsyncIterator, Mapping

from channel_adapter import (
    Article, Channel, ChannelAdapter, ChannelAdapterError, ChannelId, Content, NotFoundError, Outcome, OutcomeKind,
    Post, Reactions, Settings, Text,
)


async def publish(adapter: ChannelAdapter, texts: Mapping[str, str]) -> dict[str, Post]:
    contents: dict[str, Content] = {slug: Text(text) for slug, text in texts.items()}
    return {slug: await adapter.posts.publish(slug, content) for slug, content in contents.items()}


async def added(adapter: ChannelAdapter, slug: str, users: AsyncIterator[str]) -> list[str]:
    found: list[Outcome] = [each async for each in adapter.subscriptions.subscribe_stream(slug, users)]
    return [each.user for each in found if each.kind is OutcomeKind.ADDED]


async def main(settings: Settings) -> None:
    async with ChannelAdapter.open(settings) as adapter:
        channel: Channel = await adapter.channels.create(slug="news", name="News", owner="editor_7")
        channel_id: ChannelId = channel.id
        try:
            post: Post = await adapter.posts.publish(channel_id, Article("Ferries", "Timetable", "https://example.org/"))
        except NotFoundError as error:
            print(error.code, error.message)
            return
        reactions: Reactions = await adapter.reactions.get(post.ref)
        counts: Mapping[str, int] = reactions.counts
        print(counts, [each.name async for each in adapter.channels.all()])
        async for subscription in adapter.channels.subscribed("reader_1"):
            print(subscription.channel.name.upper(), subscription.role.value)


if __name__ == "__main__":
    try:
        asyncio.run(main(Settings.load("adapter.toml")))
    except ChannelAdapterError as failed:
        print(failed.kind)
''',
    "receiving.py": '''
"""Handlers of webhooks, and the two applications that receive them."""
from aiohttp import web

from channel_adapter import ChannelAdapter, Drop, HookResponse, PostDraft, PostPublished, Refuse, Subscribed, Text
from channel_adapter.webhooks import application, asgi


def register(adapter: ChannelAdapter) -> None:
    @adapter.events.on(Subscribed)
    async def welcome(event: Subscribed) -> None:
        print(event.channel, *event.users)

    @adapter.guard.on(PostDraft)
    def moderate(draft: PostDraft) -> HookResponse | None:
        if Text("spam") in draft.parts:
            return Drop()
        return Refuse("no fog today", 10150) if Text("fog") in draft.parts else None

    del welcome, moderate


async def follow(adapter: ChannelAdapter) -> None:
    async for event in adapter.events.stream(PostPublished):
        print(event.post.ref.seq + 1)


def aiohttp_application(adapter: ChannelAdapter) -> web.Application:
    app = web.Application()
    app.add_subapp("/hooks", application(adapter))
    return app


adapter = ChannelAdapter.open("adapter.toml")
hooks = asgi(adapter, path="/hooks")
''',
    "blocking.py": '''
"""A script and a view on the blocking twin."""
from collections.abc import Iterable, Iterator

from channel_adapter import Attempt, Outcomes, Post, Subscribed, SyncChannelAdapter, Text


def observe(attempt: Attempt) -> None:
    print(attempt.command, attempt.code)


adapter = SyncChannelAdapter.open("adapter.toml", observer=observe)


def publish(slug: str, text: str) -> int:
    post: Post = adapter.posts.publish(slug, Text(text))
    return post.ref.seq


def subscribe(slug: str, users: Iterable[str]) -> Outcomes:
    return adapter.subscriptions.subscribe(slug, users, import_missing=True)


def users_of(slug: str) -> Iterator[str]:
    listed = adapter.subscriptions.subscribers(slug)
    for subscriber in listed:
        yield subscriber.user
    cursor: str | None = listed.cursor
    print(cursor)


def events() -> None:
    with adapter.receive_webhooks(port=8080) as url, adapter.events.stream(Subscribed) as stream:
        print(url)
        for event in stream:
            print(event.channel, *event.users)


@adapter.events.on(Subscribed)
def welcome(event: Subscribed) -> None:
    print(event.by)
''',
}
SETTINGS = """
from collections.abc import Sequence

from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Notifications, PostRef, Settings
from channel_adapter.config.settings import ChannelSettings, WebhookSettings
from channel_adapter.stub.callbacks.request import CallbackSettings as StubWebhooks
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import AppSettings, StubSettings

Settings(sdkappid=1, key="k", region="seoul")
Settings(sdkappid=1, key=SecretStr("k"), base_url="http://h", database_url="sqlite:///x.db", admin="boss")
settings = Settings(
    sdkappid=1, key="k", region="seoul", channels=ChannelSettings(tag_key="t"),
    webhooks=WebhookSettings(tokens=["t", SecretStr("u")], own_echoes=True), database_url=None,
)
key: str = settings.key.get_secret_value()
url: SecretStr | None = settings.database_url
tokens: Sequence[SecretStr] = settings.webhooks.tokens
stub = StubSettings(app=AppSettings(key="k", admin="boss"))
stub_key: str = stub.app.key.get_secret_value()
StubWebhooks(url="http://h/x", token="t")
StubServer(stub)
Fault(command="send_group_msg", status=503)


async def use(adapter: ChannelAdapter) -> None:
    await adapter.subscriptions.set_notifications("channel", "muted", user="user")
    await adapter.subscriptions.set_notifications("channel", Notifications.OFF, user="user")
    await adapter.posts.recall(PostRef.parse("harbor_news/12"))
"""
WRONG_SETTINGS = {
    'Settings(sdkappid="one", key="k", region="seoul")': "arg-type",
    "Settings(sdkappid=1, key=5)": "arg-type",
    "Settings(sdkappid=1)": "call-arg",
    'Settings(sdkappid=1, key="k", regoin="seoul")': "call-arg",
    "WebhookSettings(tokens=5)": "arg-type",
    "settings.key.upper()": "attr-defined",
}
"""Mistakes in the use of the pydantic models, and how mypy names them; pyright has other rules for these lines."""
PROJECT["wrong.py"] = """
from channel_adapter import ChannelAdapter, SyncChannelAdapter


async def publish(adapter: ChannelAdapter, twin: SyncChannelAdapter) -> None:
    await adapter.posts.publish("news", "a str")
    twin.posts.publish("news", "a str")
    twin.posts.publsih("news")
"""
MISTAKES = [["wrong.py", "6"], ["wrong.py", "7"], ["wrong.py", "8"]]
"""File and line of each mistake of the project."""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Create a project in an empty directory, and the package as if installed, outside any source tree."""
    (tmp_path / "site" / "channel_adapter").mkdir(parents=True)
    for child in PACKAGE.iterdir():
        (tmp_path / "site" / "channel_adapter" / child.name).symlink_to(child)
    folder = tmp_path / "project"
    folder.mkdir()
    for name, text in PROJECT.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    return folder


def check(tool: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a type checker of this installation in a folder."""
    programs, site = Path(sys.executable).parent, str(folder.parent / "site")
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": site, "MYPYPATH": site}
    return subprocess.run(
        [programs / tool, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_mypy_strict_without_plugins_finds_exactly_the_mistakes(project: Path) -> None:
    (project / "settings.py").write_text(SETTINGS + "\n".join(WRONG_SETTINGS) + "\n", encoding="utf-8")
    words = ["--strict", "--config-file", os.devnull, "--cache-dir", os.devnull]
    found = check("mypy", *words, ".", folder=project)
    lines = [
        [*line.split(":")[:2], line.rpartition("[")[2]] for line in found.stdout.splitlines() if ": error:" in line
    ]
    first = SETTINGS.count("\n") + 1
    wrong = [["settings.py", str(first + number), f"{code}]"] for number, code in enumerate(WRONG_SETTINGS.values())]
    assert [each for each in lines if each[0] == "settings.py"] == wrong, found.stdout
    assert [each[:2] for each in lines if each[0] != "settings.py"] == MISTAKES, found.stdout


def test_pyright_strict_finds_exactly_the_mistakes(project: Path) -> None:
    found = json.loads(check("pyright", "--outputjson", ".", folder=project).stdout)["generalDiagnostics"]
    places = {(Path(each["file"]).name, str(each["range"]["start"]["line"] + 1)) for each in found}
    assert sorted(map(list, places)) == MISTAKES, found


def test_every_public_name_is_completely_typed(project: Path) -> None:
    """Checks a module with only the public names, because other modules are not part of the interface."""
    names = channel_adapter.__all__
    imported = "".join(f"    {name} as {name},\n" for name in names)
    module = project.parent / "site" / "channel_adapter" / "public_names.py"
    module.write_text(f"from channel_adapter import (\n{imported})\n__all__ = {names!r}\n")
    (project / "pyrightconfig.json").unlink()
    words = ["--verifytypes", "channel_adapter.public_names", "--ignoreexternal", "--outputjson"]
    report: dict[str, Any] = json.loads(check("pyright", *words, folder=project).stdout)["typeCompleteness"]
    problems = [
        f"{symbol['name']}: {each['message']}"
        for symbol in report["symbols"]
        for each in symbol["diagnostics"]
        if not (symbol["isTypeKnown"] and not symbol["isTypeAmbiguous"])
    ]
    assert problems == []
    assert report["completenessScore"] == 1.0
    assert report["exportedSymbolCounts"]["withKnownType"] >= len(names)
