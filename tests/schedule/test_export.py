"""Export of a channel: files that a migration can read, with equal content after any interruptions."""

import asyncio
import csv
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from channel_adapter import (
    Article,
    ChannelAdapter,
    Content,
    Image,
    InvalidError,
    Location,
    Notifications,
    Role,
    Settings,
    Subscriber,
    Text,
)
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from channel_adapter.services import failpoints
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.schedule.conftest import CHANNELS, OWNER, Scene

SLUG = "harbor_log"
READERS = [f"reader_{number:03}" for number in range(230)]
FIELDS = ["ch_tag", "ch_org", "ch_data_1"]


class StoppedError(Exception):
    """Ends an export at a named point, like a kill."""


@pytest.fixture
async def source(tmp_path: Path) -> AsyncIterator[Scene]:
    """Yield a stub with a channel of 230 subscribers, posts of several kinds, and reactions."""
    stub = StubSettings.model_validate({"app": {"group_fields": FIELDS}})
    async with StubServer(stub) as server:
        scene = Scene(server, f"sqlite:///{tmp_path / 'source.db'}")
        server.world.clock.advance(-3_600)  # an import spreads the posts of one second over later seconds
        async with adapter_on(scene) as adapter:
            await adapter.accounts.add([OWNER, *READERS])
            await adapter.channels.create(
                slug=SLUG, name="Harbour log", owner=OWNER, introduction="Tides, 潮汐", avatar="https://a.example/a.png",
                organization="Harbour", custom_data='{"a": 1}', max_subscribers=5_000,
            )  # fmt: skip
            await adapter.subscriptions.subscribe(SLUG, READERS, assign=False)
            await adapter.channels.promote(SLUG, READERS[:2])
            await adapter.subscriptions.mute(SLUG, user=READERS[5])
            for number in range(112):
                server.world.clock.advance(1)
                await adapter.posts.publish(SLUG, Text(f"post {number}"))
            article = Article("Ferries", "today", "https://a.example/f", "https://a.example/f.png")
            contents: list[Content | list[Content]] = [
                [Text("two"), Image("https://a.example/1.png", 10, 20)],
                article,
                Location(54.1, 12.1, "pier"),
                Text('quotes " and\nlines, 🌊'),
            ]
            refs = [(await adapter.posts.publish(SLUG, content)).ref for content in contents]
            recalled = await adapter.posts.publish(SLUG, Text("recalled"))
            await adapter.posts.recall(recalled.ref)
            for user, emoji in zip(READERS[:3], ("👍", "👍", "❤️"), strict=True):
                await adapter.reactions.react(refs[0], user, emoji)
        yield scene


def adapter_on(scene: Scene, **more: Any) -> ChannelAdapter:
    values = {"channels": {"organization_key": FIELDS[1], "custom_data_keys": FIELDS[2:]}, **more}
    return ChannelAdapter.open(Settings.model_validate({**scene.settings().model_dump(), **values}))


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "export.json"}


def interrupt_at(point: str, nth: int) -> None:
    left = nth

    def passed(name: str) -> None:
        nonlocal left
        left -= name == point
        if name == point and left == 0:
            failpoints.hooks.clear()
            raise StoppedError

    failpoints.hooks.append(passed)


async def test_interrupted_export_continues_to_same_files(source: Scene, tmp_path: Path) -> None:
    async with adapter_on(source) as adapter:
        seen: list[tuple[int, int]] = []
        done = await adapter.export_channel(SLUG, tmp_path / "whole", on_progress=lambda *far: seen.append(far))
        assert (done.subscribers, done.posts, done.without_content, done.reactions) == (230, 116, 1, 3)
        assert not done.resumed
        assert seen[-1] == (230, 116)
        whole = files_of(tmp_path / "whole")
        names = {"channels.jsonl", "subscribers.jsonl", "posts.jsonl", "reactions.csv", "insights.csv", "views.csv"}
        assert set(whole) == names
        assert whole["insights.csv"].startswith(b"day,subscribers,joins,leaves,posts\n")
        assert b"\n000000000113,,,3\n" in whole["views.csv"]
        with (tmp_path / "whole" / "reactions.csv").open(encoding="utf-8", newline="") as file:
            rows = [*csv.reader(file)]
        assert rows[0] == ["channel", "post", "user", "emoji"]
        assert sorted(rows[1:]) == [
            [SLUG, "000000000113", user, emoji] for user, emoji in zip(READERS[:3], ("👍", "👍", "❤️"), strict=True)
        ]
        parts = tmp_path / "parts"
        stops = [("export.written", 1), ("export.written", 2), ("export.written", 3), ("export.recorded", 2)]
        for point, nth in stops:
            interrupt_at(point, nth)
            with pytest.raises(StoppedError):
                await adapter.export_channel(SLUG, parts)
        assert (await adapter.export_channel(SLUG, parts)).resumed
        assert files_of(parts) == whole
        with pytest.raises(InvalidError, match=r"parts holds a complete export of @TGS#_harbor_log: name another"):
            await adapter.export_channel(SLUG, parts)
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "notes.txt").write_text("mine")
        with pytest.raises(InvalidError, match="other is not empty and holds no export"):
            await adapter.export_channel(SLUG, tmp_path / "other")
        (tmp_path / "other" / "export.json").write_text("{")
        with pytest.raises(InvalidError, match=r"export\.json is not the record of an export by this version"):
            await adapter.export_channel(SLUG, tmp_path / "other")
        (tmp_path / "taken").write_text("a file")
        for bad in (
            tmp_path / "taken",
            tmp_path / "taken" / "below",
            Path("/proc/none/export"),
            tmp_path / ("x" * 300),
        ):
            with pytest.raises(
                InvalidError, match=r"cannot be written: .*; name a folder that can be written"
            ) as caught:
                await adapter.export_channel(SLUG, bad)
            assert caught.value.field == "folder"


async def test_error_of_unwritable_folder_explains_how_to_continue(on_sqlite: Scene, tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def replace(name: str) -> None:
        if name == "export.recorded" and not folder.is_symlink():
            folder.rename(tmp_path / "aside")
            folder.symlink_to(tmp_path / "nowhere")

    failpoints.hooks.append(replace)
    async with on_sqlite.adapter() as adapter:
        await adapter.subscriptions.subscribe(CHANNELS[0], ["reader_1"])
        with pytest.raises(InvalidError, match="exporting to it again continues the export"):
            await adapter.export_channel(CHANNELS[0], folder)
        failpoints.hooks.clear()
        folder.unlink()
        (tmp_path / "aside").rename(folder)
        kept = (folder / "subscribers.jsonl").read_bytes()
        (folder / "subscribers.jsonl").write_bytes(kept[:-1])
        with pytest.raises(InvalidError, match=r"subscribers\.jsonl is shorter than export\.json records: remove"):
            await adapter.export_channel(CHANNELS[0], folder)
        (folder / "subscribers.jsonl").write_bytes(kept)
        assert (await adapter.export_channel(CHANNELS[0], folder)).resumed


async def test_reactions_of_an_interrupted_page_are_written_once(on_sqlite: Scene, tmp_path: Path) -> None:
    """They are written in pieces, before the page that they belong to is recorded."""
    users = [f"fan_{number}" for number in range(150)]
    async with on_sqlite.adapter() as adapter:
        await adapter.accounts.add(users)
        await adapter.subscriptions.subscribe(CHANNELS[0], users, assign=False)
        post = await adapter.posts.publish(CHANNELS[0], Text("Fog"))
        await asyncio.gather(*(adapter.reactions.react(post.ref, user, "👍") for user in users))
        surplus = 0
        while surplus == 0:  # each run records one page more, and is interrupted behind the next
            interrupt_at("export.written", 2)
            with pytest.raises(StoppedError):
                await adapter.export_channel(CHANNELS[0], tmp_path / "out")
            recorded = orjson.loads((tmp_path / "out" / "export.json").read_bytes())["sizes"].get("reactions.csv", 0)
            surplus = recorded and (tmp_path / "out" / "reactions.csv").stat().st_size - recorded
        done = await adapter.export_channel(CHANNELS[0], tmp_path / "out")
    assert (done.resumed, done.posts, done.reactions) == (True, 1, 150)
    lines = (tmp_path / "out" / "reactions.csv").read_text(encoding="utf-8").splitlines()
    assert sorted(line.split(",")[2] for line in lines[1:]) == sorted(users)


async def test_migration_imports_export(source: Scene, tmp_path: Path) -> None:
    async with adapter_on(source) as adapter:
        await adapter.export_channel(SLUG, tmp_path / "files")
        before = await picture(adapter)
        posts = [post async for post in adapter.posts.history(SLUG)]
    lines = [orjson.loads(line) for line in (tmp_path / "files" / "posts.jsonl").read_bytes().splitlines()]
    kept = [(post.parts, post.author, post.published_at) for post in posts if post.parts]
    assert [read(line) for line in lines] == kept
    stub = StubSettings.model_validate({"app": {"group_fields": FIELDS}})
    async with StubServer(stub) as server:
        target = Scene(server, f"sqlite:///{tmp_path / 'target.db'}")
        async with adapter_on(target) as adapter:
            await adapter.accounts.add([OWNER, *READERS])
            spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(tmp_path / "files")))
            async with adapter.migration.source(spec) as files:
                assert [line async for line in files.broken()] == []
                assert [post.key async for post in files.posts(SLUG)] == [f"{seq:012}" for seq in range(1, 117)]
                policies = Resolutions.parse(["post_media=cut"])  # an import contains no image
                plan = await adapter.migration.plan(files, PlanOptions(policies=policies))
            assert plan.ready
            status = await adapter.migration.apply(plan)
            assert (status.complete, status.posts, status.subscribers) == (True, 116, 230)
            assert await picture(adapter) == before


def read(line: dict[str, Any]) -> tuple[object, ...]:
    return tuple(parts_of(line["content"])), line["author"], datetime.fromtimestamp(line["time"], UTC)


async def picture(adapter: ChannelAdapter) -> tuple[object, ...]:
    """Return a snapshot of the values of a channel that an export contains."""
    channel = await adapter.channels.get(SLUG)
    posts = [post async for post in adapter.posts.history(SLUG, oldest_first=True)]
    users = [each async for each in adapter.subscriptions.subscribers(SLUG)]
    kept = ("name", "owner", "introduction", "avatar", "organization", "custom_data", "max_subscribers", "created_at")
    return (
        {name: getattr(channel, name) for name in kept},
        [(post.parts, post.author) for post in posts if len(post.parts) == 1],  # an import shifts times by seconds
        sorted(map(subscription, users)),
    )


def subscription(each: Subscriber) -> tuple[str, Role, Notifications]:
    return each.user, each.role, each.notifications


async def test_channel_of_an_app_without_extensions_is_exported_without_reactions(tmp_path: Path) -> None:
    stub = StubSettings.model_validate({"app": {"message_extensions": False}})
    async with StubServer(stub) as server, Scene(server, "").adapter(database_url=None) as adapter:
        await adapter.accounts.add([OWNER])
        await adapter.channels.create(slug=SLUG, name="Harbour log", owner=OWNER)
        await adapter.posts.publish(SLUG, Text("one"))
        done = await adapter.export_channel(SLUG, tmp_path / "export")
        assert (done.posts, done.reactions) == (1, None)
