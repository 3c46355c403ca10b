"""Export of a channel into a folder: files that `migrate plan --files` reads back, reactions and insights as CSV.

A page at a time is read and written, and its end recorded in `export.json`. After an interruption the files are cut to
what is recorded, and the export continues there.
"""

import asyncio
import csv
import io
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.concurrency.clock import Clock
from channel_adapter.domain.channel import Channel, ExportedChannel
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Post, PostState
from channel_adapter.domain.subscription import Role, Subscriber
from channel_adapter.errors import ConfigurationError, InvalidError
from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.services.channels import Channels
from channel_adapter.services.failpoints import failpoint
from channel_adapter.services.insights import Insights
from channel_adapter.services.posts import Posts
from channel_adapter.services.reactions.service import ReactionService
from channel_adapter.services.subscriptions import Subscriptions

STATE_FILE: Final = "export.json"
_DRAFT: Final = "export.json.new"
_PROFILE, _SUBSCRIBERS, _POSTS, _REACTIONS = "channels.jsonl", "subscribers.jsonl", "posts.jsonl", "reactions.csv"
_DAYS, _VIEWS = "insights.csv", "views.csv"
_HEADING: Final = ("channel", "post", "user", "emoji")
_DAY_COLUMNS: Final = ("day", "subscribers", "joins", "leaves", "posts")
_VIEW_COLUMNS: Final = ("post", "views", "reach", "reactions")
_POSTS_PER_PAGE: Final = 100
_REACTIONS_PER_WRITE: Final = 100
_VERSION: Final = 1
_FIELD: Final = "folder"

ExportCallback = Callable[[int, int], object]
"""Called with the subscribers and the posts that are written so far."""


@dataclass(slots=True)
class ExportProgress:
    """How far an export is, as `export.json` has it. `sizes` are the bytes of each file that count.

    `subscribers_from` and `posts_before` are where reading continues; None at the end of the list.
    """

    channel: str
    began: float
    version: int = _VERSION
    subscribers_from: str | None = ""
    posts_before: int | None = 0
    admins: list[str] = field(default_factory=list)
    sizes: dict[str, int] = field(default_factory=dict)
    subscribers: int = 0
    posts: int = 0
    without_content: int = 0
    reactions: int | None = 0
    complete: bool = False


class ChannelExporter:
    """Exports channels. `reactions` and `insights` are None where the service and the settings have none."""

    def __init__(
        self,
        channels: Channels,
        subscriptions: Subscriptions,
        posts: Posts,
        reactions: ReactionService | None,
        insights: Insights | None,
        clock: Clock,
    ) -> None:
        self._insights = insights
        self._channels = channels
        self._subscriptions = subscriptions
        self._posts = posts
        self._reactions = reactions
        self._clock = clock

    async def export(self, name: str, folder: str | Path, on_progress: ExportCallback) -> ExportedChannel:
        """Export a channel, or continue an export. Raises InvalidError for a folder that cannot be used."""
        target = ExportFolder(_require_folder_path(folder))
        channel = await self._channels.get(name)
        state = await target.begin(channel.id, self._clock.now())
        resumed = bool(state.sizes)
        if self._reactions is None:
            state.reactions = None
        await self._export_subscribers(channel, state, target, on_progress)
        if _PROFILE not in state.sizes:
            heads = {_PROFILE: _to_json_lines([_profile_fields(channel, state.admins)])}
            if state.reactions is not None:
                heads[_REACTIONS] = _to_csv([_HEADING])
            await target.append(state, heads)
        await self._export_posts(channel, state, target, on_progress)
        figures = await self._read_figures(channel)
        state.complete = True
        await target.append(state, figures)
        return ExportedChannel(
            channel=channel.id, folder=str(folder), began_at=datetime.fromtimestamp(state.began, UTC),
            subscribers=state.subscribers, posts=state.posts, without_content=state.without_content,
            reactions=state.reactions, resumed=resumed,
        )  # fmt: skip

    async def _export_subscribers(
        self, channel: Channel, state: ExportProgress, target: "ExportFolder", on_progress: ExportCallback
    ) -> None:
        if state.subscribers_from is None:
            return
        pages = self._subscriptions.subscribers(channel.id, cursor=state.subscribers_from)
        page: list[Subscriber] = []
        async for subscriber in pages:
            page.append(subscriber)
            if pages.cursor != state.subscribers_from:
                await self._write_subscribers(channel, page, pages.cursor, state, target)
                page = []
                on_progress(state.subscribers, state.posts)
        await self._write_subscribers(channel, page, None, state, target)

    async def _write_subscribers(
        self,
        channel: Channel,
        page: Sequence[Subscriber],
        cursor: str | None,
        state: ExportProgress,
        target: "ExportFolder",
    ) -> None:
        state.admins += [each.user for each in page if each.role is Role.ADMIN]
        state.subscribers += len(page)
        state.subscribers_from = cursor
        lines = _to_json_lines(_subscriber_fields(channel.slug, each) for each in page)
        await target.append(state, {_SUBSCRIBERS: lines})

    async def _export_posts(
        self, channel: Channel, state: ExportProgress, target: "ExportFolder", on_progress: ExportCallback
    ) -> None:
        if state.posts_before is None:
            return
        page: list[Post] = []
        async with aclosing(self._posts.history(channel.id, before=state.posts_before or None)) as posts:
            async for post in posts:
                page.append(post)
                if len(page) == _POSTS_PER_PAGE:
                    await self._write_posts(channel, page, post.ref.seq, state, target)
                    page = []
                    on_progress(state.subscribers, state.posts)
        await self._write_posts(channel, page, None, state, target)
        on_progress(state.subscribers, state.posts)

    async def _write_posts(
        self, channel: Channel, page: Sequence[Post], before: int | None, state: ExportProgress, target: "ExportFolder"
    ) -> None:
        kept = [post for post in page if post.state is PostState.PUBLISHED]
        await self._write_reactions(channel, kept, state, target)
        state.posts += len(kept)
        state.without_content += len(page) - len(kept)
        state.posts_before = before
        await target.append(state, {_POSTS: _to_json_lines(_post_fields(channel.slug, post) for post in kept)})

    async def _read_figures(self, channel: Channel) -> dict[str, bytes]:
        """Return the figures of the last 30 days: one row a day, and one a post."""
        if self._insights is None:
            return {}
        found = await self._insights.channel(channel.id)
        days = ([getattr(day, name) for name in _DAY_COLUMNS] for day in found.days)
        views = ((f"{post.ref.seq:012}", post.views, post.reach, post.reactions) for post in found.posts)
        return {_DAYS: _to_csv([_DAY_COLUMNS, *days]), _VIEWS: _to_csv([_VIEW_COLUMNS, *views])}

    async def _write_reactions(
        self, channel: Channel, posts: Sequence[Post], state: ExportProgress, target: "ExportFolder"
    ) -> None:
        """Write the reactions of a page of posts, which may be any number; they count once the page is recorded."""
        if self._reactions is None or state.reactions is None:
            return
        rows: list[tuple[object, ...]] = []
        try:
            found = await self._reactions.get_many(post.ref for post in posts)
        except ConfigurationError as error:
            if error.field != "database_url" or state.reactions:
                raise
            state.reactions = None  # without a database, and messages of this app carry none
            return
        for post in posts:
            if not found[post.ref].total:
                continue
            async for reactor in self._reactions.reactors(post.ref):
                rows.append((channel.slug, _post_id(post), reactor.user, reactor.emoji))
                if len(rows) == _REACTIONS_PER_WRITE:
                    await target.write(state, {_REACTIONS: _to_csv(rows)})
                    state.reactions += len(rows)
                    rows = []
        await target.write(state, {_REACTIONS: _to_csv(rows)})
        state.reactions += len(rows)


class ExportFolder:
    """The files of one export, read and written in a thread. Methods raise InvalidError if that is not possible."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def begin(self, channel: ChannelId, now: float) -> ExportProgress:
        """Return where an export begins or continues, with the files as they were then.

        Raises InvalidError for a folder of another export, of a complete one, or with anything else.
        """
        try:
            return await asyncio.to_thread(self._begin_or_continue, channel, now)
        except OSError as error:
            raise self._to_unusable_folder_error(error, "name a folder that can be written") from error

    async def append(self, state: ExportProgress, written: dict[str, bytes]) -> None:
        """Append to files, then record the state: what an interruption leaves behind it is cut off."""
        await self._in_thread(self._write_and_record, state, written)

    async def write(self, state: ExportProgress, written: dict[str, bytes]) -> None:
        """Append to files what counts once `append` has recorded the state."""
        await self._in_thread(self._write_files, state, written)

    async def _in_thread(
        self, work: Callable[[ExportProgress, dict[str, bytes]], None], state: ExportProgress, written: dict[str, bytes]
    ) -> None:
        try:
            await asyncio.to_thread(work, state, written)
        except OSError as error:
            raise self._to_unusable_folder_error(error, "exporting to it again continues the export") from error

    def _to_unusable_folder_error(self, error: OSError, next_step: str) -> InvalidError:
        reason = error.strerror or type(error).__name__
        return InvalidError(
            f"{shown_text(error.filename or self._folder)} cannot be written: {reason}; {next_step}", field=_FIELD
        )

    def _begin_or_continue(self, channel: ChannelId, now: float) -> ExportProgress:
        self._folder.mkdir(parents=True, exist_ok=True)
        recorded = self._folder / STATE_FILE
        if not recorded.exists():
            if {path.name for path in self._folder.iterdir()} - {_DRAFT}:
                raise InvalidError(
                    f"{self._folder} is not empty and holds no export: name another folder", field=_FIELD
                )
            state = ExportProgress(channel, now)
            self._record_progress(state)
            return state
        state = self._read_progress(recorded)
        if state.channel != channel:
            raise InvalidError(f"{self._folder} holds an export of {state.channel}: name another folder", field=_FIELD)
        if state.complete:
            raise InvalidError(
                f"{self._folder} holds a complete export of {channel}: name another folder, or remove it", field=_FIELD
            )
        for name, size in state.sizes.items():
            if (self._folder / name).stat().st_size < size:
                raise InvalidError(
                    f"{self._folder / name} is shorter than {STATE_FILE} records: remove the folder, and export again",
                    field=_FIELD,
                )
            os.truncate(self._folder / name, size)
        return state

    def _write_and_record(self, state: ExportProgress, written: dict[str, bytes]) -> None:
        self._write_files(state, written)
        failpoint("export.written")
        self._record_progress(state)
        failpoint("export.recorded")

    def _write_files(self, state: ExportProgress, written: dict[str, bytes]) -> None:
        for name, data in written.items():
            if data:
                size = state.sizes.get(name, 0)
                with (self._folder / name).open("r+b" if size else "wb") as file:
                    file.seek(size)
                    file.write(data)
                state.sizes[name] = size + len(data)

    def _record_progress(self, state: ExportProgress) -> None:
        draft = self._folder / _DRAFT
        draft.write_bytes(orjson.dumps(asdict(state), option=orjson.OPT_INDENT_2))
        draft.replace(self._folder / STATE_FILE)

    @staticmethod
    def _read_progress(recorded: Path) -> ExportProgress:
        try:
            state = ExportProgress(**orjson.loads(recorded.read_bytes()))
        except (orjson.JSONDecodeError, TypeError):
            state = None
        if state is None or state.version != _VERSION:
            raise InvalidError(f"{recorded} is not the record of an export by this version", field=_FIELD)
        return state


def _require_folder_path(folder: object) -> Path:
    """Return the folder of an export. Raises InvalidError for what cannot be the name of one."""
    path = str(folder) if isinstance(folder, (str, Path)) else ""
    if not path or "\0" in path or path != path.encode(errors="ignore").decode():
        raise InvalidError(f"{_FIELD} must be the path of a folder, in UTF-8; got {shown_value(folder)}", field=_FIELD)
    return Path(path)


def _profile_fields(channel: Channel, admins: Iterable[str]) -> dict[str, Any]:
    return {
        "id": channel.slug,
        "name": channel.name,
        "owner": channel.owner,
        "introduction": channel.introduction,
        "avatar": channel.avatar,
        "organization": channel.organization,
        "custom_data": channel.custom_data,
        "created_at": _to_seconds(channel.created_at),
        "max_subscribers": channel.max_subscribers,
        "admins": [*admins],
    }


def _subscriber_fields(slug: str, subscriber: Subscriber) -> dict[str, Any]:
    return {
        "channel": slug,
        "user": subscriber.user,
        "since": _to_seconds(subscriber.since),
        "notifications": subscriber.notifications,
    }


def _post_fields(slug: str, post: Post) -> dict[str, Any]:
    return {
        "channel": slug,
        "id": _post_id(post),
        "time": _to_seconds(post.published_at),
        "author": post.author,
        "content": post.parts,
    }


def _post_id(post: Post) -> str:
    """Return the id of a post in the files; posts of one second are sorted by it."""
    return f"{post.ref.seq:012}"


def _to_seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _to_json_lines(values: Iterable[dict[str, Any]]) -> bytes:
    """Return JSON lines without what is empty."""
    kept = ({name: value for name, value in each.items() if value not in (None, "", [])} for each in values)
    return b"".join(orjson.dumps(each) + b"\n" for each in kept)


def _to_csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
