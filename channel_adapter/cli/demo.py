"""`demo`: the main job on a stub of its own, with a report of what happened."""

# ruff: noqa: PLC0415 - client and stub are imported when the demo runs, not for its help

import dataclasses
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

import typer

from channel_adapter.backends.community.profile import CUSTOM_DATA_BYTES
from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.feed.entries import Feed, read_feed
from channel_adapter.cli.feed.publish import EntryState, FeedImport
from channel_adapter.cli.files import opened, opened_seekable, read_all, users_in
from channel_adapter.cli.output import Output, counted
from channel_adapter.domain import post as p
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.mode import Capabilities, Mode
from channel_adapter.domain.subscription import Outcome, OutcomeKind, Role
from channel_adapter.errors import UnsupportedError
from channel_adapter.mapping.ids import SCHEMES
from channel_adapter.mapping.user_list import ListedUser, UnusableLine
from channel_adapter.tencent import limits
from channel_adapter.tencent.catalog import CREATE_GROUP, GET_JOINED_GROUP_LIST
from channel_adapter.tencent.wire import groups

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.config.settings import Settings
    from channel_adapter.services.posts import Posts
    from channel_adapter.stub.server import StubServer
    from channel_adapter.tencent.client import Attempt


SHOWN_CHARACTERS = 80
_EPOCH: Final = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True)
class CallCount:
    """Counts how often one command was sent."""

    command: str
    count: int


@dataclass(slots=True)
class DemoStep:
    """Holds one step: its title, result and calls, and where a read-back differed from what was written."""

    title: str
    result: str = ""
    calls: tuple[CallCount, ...] = ()
    seconds: float = 0.0
    read_backs: int = 0
    differences: list[str] = field(default_factory=list)

    def same(self, what: str, wrote: Any, read: Any) -> None:
        """Count one comparison, and keep the difference if there is one."""
        self.read_backs += 1
        if wrote != read:
            self.differences.append(f"{what}: {_describe_difference(wrote, read)}")


@dataclass(slots=True)
class DemoReport:
    """Holds all steps so far. `seconds` and counts are those of the whole demo."""

    steps: list[DemoStep] = field(default_factory=list)

    @property
    def read_backs(self) -> int:
        """Return how many comparisons were made."""
        return sum(step.read_backs for step in self.steps)

    @property
    def differences(self) -> list[str]:
        """Return every comparison that failed, with its step."""
        return [f"{step.title}: {each}" for step in self.steps for each in step.differences]

    @property
    def calls(self) -> int:
        """Return how many calls were sent."""
        return sum(calls.count for step in self.steps for calls in step.calls)

    @property
    def seconds(self) -> float:
        """Return how long the steps took."""
        return sum(step.seconds for step in self.steps)

    def document(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "agree": not self.differences,
            "read_backs": self.read_backs,
            "differences": self.differences,
            "calls": self.calls,
            "seconds": round(self.seconds, 3),
            "steps": [dataclasses.replace(step, seconds=round(step.seconds, 3)) for step in self.steps],
        }


class ReadBackError(Exception):
    """Raised at the end of a step whose read-backs differ, without --keep-going."""


class DemoRecorder:
    """Runs steps one after another, counts the calls of each, and reports each at its end."""

    def __init__(
        self, on_step: Callable[[int, DemoStep], None], clock: Callable[[], float], *, keep_going: bool
    ) -> None:
        self.report = DemoReport()
        self._on_step = on_step
        self._clock = clock
        self._keep_going = keep_going
        self._calls: Counter[str] = Counter()

    def observe(self, attempt: "Attempt") -> None:
        """Count one attempt on the wire."""
        self._calls[f"{attempt.service}/{attempt.command}"] += 1

    @contextmanager
    def step(self, title: str) -> Iterator[DemoStep]:
        """Run a step in the block. Raises ReadBackError at its end when a read-back differs, without --keep-going."""
        self._calls.clear()
        step = DemoStep(title)
        began = self._clock()
        yield step
        step.seconds = self._clock() - began
        step.calls = tuple(CallCount(command, count) for command, count in self._calls.items())
        self.report.steps.append(step)
        self._on_step(len(self.report.steps), step)
        if step.differences and not self._keep_going:
            raise ReadBackError


def _describe_difference(wrote: Any, read: Any) -> str:
    if type(wrote) is type(read) and dataclasses.is_dataclass(wrote) and not isinstance(wrote, type):
        names = [each.name for each in dataclasses.fields(wrote)]
        return "; ".join(
            f"{name} was {_shorten_value(getattr(wrote, name))}, is {_shorten_value(getattr(read, name))}"
            for name in names
            if getattr(wrote, name) != getattr(read, name)
        )
    return f"was {_shorten_value(wrote)}, is {_shorten_value(read)}"


def _shorten_value(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}… ({len(text)} characters)"


OWNER: Final = "editor_7"
OUTSIDER: Final = "nobody_42"
SLUG: Final = "harbor_news"
SECOND_SLUG: Final = "harbor_tides"
ORDINARY: Final = ("Rowing club", "Night shift", "Dock 4")
MAX_LEAVERS: Final = 50

KINDS: Final[tuple[tuple[p.Content, ...], ...]] = (
    (p.Text("Fog until noon 🌫️ 大雾至中午，请各船只减速慢行。"),),
    (p.Image("https://harbour-news.example/fog.jpg", width=1200, height=800, size=48_213),),
    (p.TextAndImage("From the pier", p.Image("https://harbour-news.example/pier.png", width=640, height=480)),),
    (p.Video("https://harbour-news.example/crane.mp4", seconds=12, size=1_048_576),),
    (p.Sound("https://harbour-news.example/foghorn.mp3", seconds=3, size=40_960),),
    (p.File("https://harbour-news.example/tides.pdf", name="潮汐表 2026.pdf", size=92_160),),
    (p.Location(48.3904, -4.4861, "North Quay"),),
    (p.Face(7, "thumbs_up"),),
    (p.Custom('{"berth": 4, "free": true}', description="Berth 4 is free"),),
    (p.Text("Two parts in one post"), p.Location(48.39, -4.49, "Old Harbour")),
)
"""One post of every kind besides the feed's articles."""


def filled(text: str, size: int) -> str:
    """Return `text` repeated to exactly `size` bytes of UTF-8."""
    data = (text * (size // len(text.encode()) + 1)).encode()[:size].decode(errors="ignore")
    return data + "." * (size - len(data.encode()))


class ProfileTexts(TypedDict):
    """Texts of a channel's profile."""

    name: str
    introduction: str
    notification: str
    avatar: str
    organization: str
    custom_data: str


def profile(can: Capabilities) -> ProfileTexts:
    """Return texts that are as long as the service accepts; official accounts have no notification text."""
    of_groups, sizes = can.notification_text, limits.GROUP_PROFILE
    return {
        "name": filled("港口新闻 Harbour News ⚓ ", sizes.name if of_groups else limits.OFFICIAL_NAME_BYTES),
        "introduction": filled("潮汐、渡轮和鲜鱼 🐟 Tides, ferries & fish. ", sizes.introduction),
        "notification": filled("Follow us! 欢迎关注 🎉 ", sizes.notification) if of_groups else "",
        "avatar": "https://harbour-news.example/avatar.png",
        "organization": filled(
            "港务局 Harbour office. ",
            limits.GROUP_FIELD_VALUE_BYTES if of_groups else limits.OFFICIAL_ORGANIZATION_BYTES,
        ),
        "custom_data": filled('{"berths": 12, "备注": "⚓"} ', CUSTOM_DATA_BYTES),
    }


class RecordingPosts:
    """Wraps the adapter's posts, and records every post that is published."""

    def __init__(self, posts: "Posts", notes: list[p.Post]) -> None:
        self._posts = posts
        self._notes = notes

    def history(self, channel: str) -> AsyncIterator[p.Post]:
        """Call the adapter."""
        return self._posts.history(channel)

    def dedupe_of(self, channel: str, idempotency_key: str) -> int:
        """Call the adapter."""
        return self._posts.dedupe_of(channel, idempotency_key)

    async def publish(
        self, channel: str, content: p.Content, *, author: str | None = None, idempotency_key: str | None = None
    ) -> p.Post:
        """Publish a post, and record it."""
        post = await self._posts.publish(channel, content, author=author, idempotency_key=idempotency_key)
        self._notes.append(post)
        return post


class Demo:
    """Runs the steps on an open adapter."""

    def __init__(
        self, adapter: "ChannelAdapter", recorder: DemoRecorder, output: Output, feed: Feed, users: Sequence[UserId]
    ) -> None:
        self._adapter = adapter
        self._recorder = recorder
        self._output = output
        self._feed = feed
        self._users = users
        self._written: list[p.Post] = []
        self._leavers = users[-min(MAX_LEAVERS, len(users)) :]
        self._in_groups = adapter.settings.mode is Mode.COMMUNITY
        self._ids = [SCHEMES[adapter.settings.mode].from_slug(slug) for slug in (SLUG, SECOND_SLUG)]

    async def run(self) -> None:
        """Run all steps. Raises the errors of the adapter, and ReadBackError."""
        begin = (self._add_accounts, self._create_ordinary_groups) if self._in_groups else (self._add_accounts,)
        change = self._edit_post if self._adapter.can.edit_posts else self._attempt_unsupported
        steps = (
            *begin, self._create_channel, self._subscribe_users, self._subscribe_again, self._publish_feed,
            self._publish_kinds, self._read_history, self._list_subscribed, self._count_unread,
            self._unsubscribe_leavers, change, self._recall_post, self._publish_feed_again, self._update_channel,
            self._run_doctor, self._delete_channels,
        )  # fmt: skip
        for step in steps:
            await step()

    async def _add_accounts(self) -> None:
        users = [UserId(OWNER), *self._users]
        with self._recorder.step("Make the accounts known to the app") as step:
            with self._output.progress("accounts", len(users)) as progress:
                async for _ in self._adapter.accounts.add_stream(users):
                    progress.advance()
            known = await self._adapter.accounts.check([*users, OUTSIDER])
            step.same("accounts", {**dict.fromkeys(users, True), OUTSIDER: False}, known)
            step.result = f"{counted(len(users), 'account')}; {OUTSIDER!r} stays unknown"

    async def _create_ordinary_groups(self) -> None:
        with self._recorder.step("Create Communities that are no channels") as step:
            for number, name in enumerate(ORDINARY):
                request = groups.CreateGroupRequest(
                    type=groups.COMMUNITY, group_id=f"{limits.COMMUNITY_ID_PREFIX}ordinary_{number}", name=name,
                    owner_account=self._users[0], support_topic=0,
                )  # fmt: skip
                await self._adapter.call(CREATE_GROUP.service, CREATE_GROUP.name, request.to_wire())
            step.same("Communities", len(ORDINARY), await self._count_joined_groups())
            step.result = f"{len(ORDINARY)} of them, owned by {self._users[0]}"

    async def _create_channel(self) -> None:
        wrote = profile(self._adapter.can)
        with self._recorder.step("Create a channel with Chinese, emoji and every text at its limit") as step:
            await self._adapter.channels.create(slug=SLUG, owner=OWNER, **wrote)
            read = await self._adapter.channels.get(SLUG)
            for name, text in {**wrote, "slug": SLUG, "owner": OWNER, "complete": True}.items():
                step.same(name, text, getattr(read, name))
            sizes = ", ".join(f"{name} {counted(len(str(text).encode()), 'byte')}" for name, text in wrote.items())
            step.result = f"{read.id}: {sizes}"

    async def _subscribe_users(self) -> None:
        with self._recorder.step("Subscribe all users of the file") as step:
            outcomes: list[Outcome] = []
            with self._output.progress("subscribed", len(self._users)) as progress:
                async for outcome in self._adapter.subscriptions.subscribe_stream(SLUG, self._users, assign=False):
                    outcomes.append(outcome)
                    progress.advance()
            step.same("outcomes", dict.fromkeys(self._users, OutcomeKind.ADDED), {o.user: o.kind for o in outcomes})
            read = [row async for row in self._adapter.subscriptions.subscribers(SLUG)]
            step.same("subscribers", sorted(self._users), sorted(row.user for row in read))
            step.same("roles", {Role.SUBSCRIBER}, {row.role for row in read})
            step.same("count", len(self._users), await self._adapter.subscriptions.count(SLUG))
            step.result = f"{counted(len(outcomes), 'user')} added, {len(read):,} read back"

    async def _subscribe_again(self) -> None:
        some = [*self._users[:5], OUTSIDER]
        with self._recorder.step("Subscribe some of them again, and an unknown user") as step:
            outcomes = await self._adapter.subscriptions.subscribe(SLUG, some)
            wanted = {**dict.fromkeys(some, OutcomeKind.ALREADY), OUTSIDER: OutcomeKind.NOT_FOUND}
            step.same("outcomes", wanted, {outcome.user: outcome.kind for outcome in outcomes})
            checked = await self._adapter.subscriptions.is_subscribed(SLUG, some)
            step.same("subscribed", {user: user != OUTSIDER for user in some}, checked)
            step.result = ", ".join(f"{count} {kind.value}" for kind, count in outcomes.counts.items())

    async def _publish_feed(self) -> None:
        with self._recorder.step(f"Publish the feed {self._feed.title!r} as articles, oldest first") as step:
            counts = await self._import_feed()
            step.same("entries", len(self._feed.entries), counts[EntryState.PUBLISHED])
            shortened = sum(entry.shortened for entry in self._feed.entries)
            step.result = f"{counted(len(self._feed.entries), 'entry', 'entries')}, {shortened} of them shortened"

    async def _publish_kinds(self) -> None:
        with self._recorder.step("Publish one post of every other kind") as step:
            for parts in KINDS:
                self._written.append(await self._adapter.posts.publish(SLUG, parts))
            step.result = ", ".join(" + ".join(part.kind for part in parts) for parts in KINDS)

    async def _read_history(self) -> None:
        with self._recorder.step("Read the history back, from the first post to the last") as step:
            read = [post async for post in self._adapter.posts.history(SLUG, oldest_first=True)]
            step.same("posts", len(self._written), len(read))
            for wrote, found in zip(self._written, read, strict=False):
                step.same(f"post {wrote.ref.seq}", wrote, found)
            parts = sum(len(post.parts) for post in read)
            step.result = f"{counted(len(read), 'post')} with {counted(parts, 'part')}, each as it was written"

    async def _list_subscribed(self) -> None:
        user = self._users[0]
        title = f"List the channels of {user}{' among other Communities' if self._in_groups else ''}"
        with self._recorder.step(title) as step:
            await self._adapter.channels.create(slug=SECOND_SLUG, owner=OWNER, name="Harbour Tides")
            await self._adapter.subscriptions.subscribe(SECOND_SLUG, [user])
            mine = [each async for each in self._adapter.channels.subscribed(user)]
            slugs = {each.channel.slug for each in mine}
            step.same("channels", {SLUG, SECOND_SLUG}, slugs)
            step.same("roles", {Role.SUBSCRIBER}, {each.role for each in mine})
            step.result = f"{len(mine)} channels: {', '.join(sorted(slugs))}"
            if self._in_groups:
                joined = await self._count_joined_groups()
                step.same("joined Communities", len(ORDINARY) + 2, joined)
                among = counted(joined, "joined Community", "joined Communities")
                step.result = f"{among}, {len(mine)} of them channels: {', '.join(sorted(slugs))}"

    async def _count_unread(self) -> None:
        user = self._users[0]
        with self._recorder.step(f"Fill the conversation group of {user}, count what is unread, and read it") as step:
            await self._adapter.unread.sync(user)
            step.same("in the group", set(self._ids), await self._list_grouped_channels(user))
            before = await self._adapter.unread.get(user)
            step.same("badge", len(self._written), before.badge)
            left = await self._adapter.unread.mark_read(SLUG, before.badge - 1, user=user)
            step.same("left after reading", self._count_posts_after(self._written[-2]), left)
            step.same("read", (self._ids[0],) if left else (), await self._adapter.unread.mark_all_read(user))
            step.same("badge after reading", 0, (await self._adapter.unread.get(user)).badge)
            step.result = f"{before.badge} posts were unread in {len(before.channels)} channels, none are now"

    def _count_posts_after(self, last_read: p.Post) -> int:
        """Return how many posts are unread behind one; where it is read by its time, so are others of that second."""
        if self._adapter.can.read_to_number:
            return sum(post.ref.seq > last_read.ref.seq for post in self._written)
        at = last_read.published_at
        return sum(
            at is not None and post.published_at is not None and post.published_at > at for post in self._written
        )

    async def _list_grouped_channels(self, user: str) -> set[str]:
        return {channel async for each in self._adapter.unread.groups(user) for channel in each.channels}

    async def _unsubscribe_leavers(self) -> None:
        with self._recorder.step("Unsubscribe the last ones in the file") as step:
            outcomes = await self._adapter.subscriptions.unsubscribe(SLUG, self._leavers)
            wanted = dict.fromkeys(self._leavers, OutcomeKind.REMOVED)
            step.same("outcomes", wanted, {outcome.user: outcome.kind for outcome in outcomes})
            left = await self._adapter.subscriptions.is_subscribed(SLUG, self._users)
            step.same("subscribed", {user: user not in wanted for user in self._users}, left)
            remaining = await self._adapter.subscriptions.count(SLUG)
            step.same("count", len(self._users) - len(self._leavers), remaining)
            step.result = f"{counted(len(self._leavers), 'user')} removed, {remaining:,} left"

    async def _edit_post(self) -> None:
        with self._recorder.step("Edit a post") as step:
            wrote = self._written[-len(KINDS)]
            edited = dataclasses.replace(wrote, parts=(p.Text("Fog has lifted ☀️ 雾已散。"),))
            await self._adapter.posts.edit(wrote.ref, edited.parts)
            step.same("post", edited, await self._adapter.posts.get(wrote.ref))
            step.result = f"post {wrote.ref.seq} has another text; number, author and time stay"

    async def _attempt_unsupported(self) -> None:
        with self._recorder.step("Ask for what official accounts cannot do") as step:
            wrote, posts = self._written[0], self._adapter.posts
            refused: list[str] = []
            for work in (
                posts.edit(wrote.ref, p.Text("another text")),
                posts.publish(SLUG, p.Text("silent"), silent=True),
                self._adapter.subscriptions.mute(SLUG, user=self._users[0]),
            ):
                try:
                    await work
                except UnsupportedError as error:
                    refused.append(error.message.partition(": ")[2].partition(" (")[0])
            step.same("refused", 3, len(refused))
            step.result = f"refused before any call: {', '.join(refused)}"

    async def _recall_post(self) -> None:
        with self._recorder.step("Recall the first post") as step:
            wrote = self._written[0]
            await self._adapter.posts.recall(wrote.ref, "published too early")
            read = await self._adapter.posts.get(wrote.ref)
            step.same("state", (p.PostState.RECALLED, ()), (read.state, read.parts))
            step.result = f"post {wrote.ref.seq} keeps its number and loses its content"

    async def _publish_feed_again(self) -> None:
        with self._recorder.step("Import the same feed again") as step:
            counts = await self._import_feed()
            step.same("posts", {EntryState.ALREADY: len(self._feed.entries)}, dict(counts))
            step.result = "nothing is published twice, and what was recalled stays away"

    async def _update_channel(self) -> None:
        with self._recorder.step("Change the channel's name and introduction") as step:
            before = await self._adapter.channels.get(SLUG)
            wrote = dataclasses.replace(before, name="港口新闻", introduction="New: the log book 📖")
            await self._adapter.channels.update(SLUG, name=wrote.name, introduction=wrote.introduction)
            step.same("channel", wrote, await self._adapter.channels.get(SLUG))
            step.result = "both are new, everything else is as it was"

    async def _run_doctor(self) -> None:
        with self._recorder.step("Run the doctor") as step:
            findings = await self._adapter.doctor()
            for found in findings:
                if found.check != "durable":  # about this machine; the demo does no durable work
                    step.same(f"{found.check}: {found.message}", True, found.ok)
            step.result = f"{len(findings)} things looked at"

    async def _delete_channels(self) -> None:
        with self._recorder.step("Delete the channels") as step:
            for slug in (SLUG, SECOND_SLUG):
                step.same(f"{slug} deleted", True, await self._adapter.channels.delete(slug))
                step.same(f"{slug} exists", False, await self._adapter.channels.exists(slug))
            step.result = "both are gone"
            if self._in_groups:
                step.same("ordinary Communities", len(ORDINARY), await self._count_joined_groups())
                step.result = f"both are gone; the {len(ORDINARY)} ordinary Communities are untouched"

    async def _import_feed(self) -> dict[EntryState, int]:
        job = FeedImport(RecordingPosts(self._adapter.posts, self._written), SLUG, None)
        await job.read_history(lambda: None)
        with self._output.progress("entries", len(self._feed.entries)) as progress:
            async for _ in job.run(self._feed.entries, dry_run=False, limit=None):
                progress.advance()
        return job.counts

    async def _count_joined_groups(self) -> int:
        """Return how many Communities the first user is in, as the service counts them."""
        request = groups.GetJoinedGroupListRequest(
            member_account=self._users[0], group_type=groups.COMMUNITY, support_topic=0, limit=1, offset=0
        )
        answer = await self._adapter.call(GET_JOINED_GROUP_LIST.service, GET_JOINED_GROUP_LIST.name, request.to_wire())
        return groups.GetJoinedGroupListReply.model_validate(answer).total_count


app = single()

TAG_KEY: Final = "ch_tag"
ORGANIZATION_KEY: Final = "ch_org"
DATA_KEYS: Final = tuple(f"ch_data_{number}" for number in range(1, 7))

BROADCASTS: Final = 100_000
"""Posts a second and an hour of one official account that the stub of the demo accepts; the service accepts 1 and 2."""

SAMPLE_FEED: Final = "sample_feed.xml"
SAMPLE_USERS: Final = "sample_subscribers.csv"


@command(
    app, "demo",
    example="channel-adapter demo\nchannel-adapter demo --feed feed.xml --subscribers readers.csv",
    config_help="Not used: the demo makes its own settings.",
)  # fmt: skip
async def demo(
    run: Run,
    feed: Annotated[str | None, typer.Option(metavar="FILE", help="RSS or Atom; a sample if not given.")] = None,
    subscribers: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV; 1,000 invented users if not given.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="Channels as Community groups, or as official accounts.")] = Mode.COMMUNITY,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on when a read-back differs.")] = False,
) -> Exit:
    """Show the whole main job on a stub server that it starts itself, without any account or settings.

    Makes a channel, subscribes users from a file, publishes a feed and one post of every kind, reads everything back
    and compares it with what was written, and says what each step became on the wire: over a real socket, with real
    signatures. Exit code 1 when a read-back differs. With --mode official the stub accepts more than the service's two
    posts an hour.
    """
    read = _read_feed(feed)
    users, broken = _read_users(subscribers)
    for line in broken:
        run.output.note(f"line {line.line}: {line.reason}")
    for warning in read.warnings:
        run.output.note(f"warning: {warning}")
    recorder = DemoRecorder(
        lambda number, step: _show_step(run, number, step), time.perf_counter, keep_going=keep_going
    )
    await _perform_demo(run, recorder, read, users, mode)
    report = recorder.report
    if run.output.json:
        run.output.one(report.document())
    elif report.differences:
        run.output.line(f"{len(report.differences)} of {counted(report.read_backs, 'read-back')} differ:")
        for difference in report.differences:
            run.output.line(f"  {difference}")
    else:
        run.output.line(
            f"all {counted(report.read_backs, 'read-back')} agree: {counted(len(report.steps), 'step')},"
            f" {counted(report.calls, 'call')},"
            f" {report.seconds:.1f} s"
        )
    return Exit.REFUSED if report.differences else Exit.DONE


async def _perform_demo(run: Run, recorder: DemoRecorder, feed: Feed, users: list[UserId], mode: Mode) -> None:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.stub.server import StubServer
    from channel_adapter.stub.settings import StubSettings

    show_attempt = run.observer()

    def observe(attempt: "Attempt") -> None:
        recorder.observe(attempt)
        if show_attempt is not None:
            show_attempt(attempt)

    keys = [TAG_KEY, ORGANIZATION_KEY, *DATA_KEYS]
    ceilings = {"official_broadcasts_per_hour": BROADCASTS, "official_messages_per_second": BROADCASTS}
    async with StubServer(StubSettings.read({"app": {"group_fields": keys}, "limits": ceilings})) as server:
        if not run.output.json:
            run.output.line(f"A stub of the service listens on {server.url}, as app {server.sdkappid}.")
            run.output.line("")
        run.output.describe_progress(lambda: f"{counted(len(recorder.report.steps), 'step')} done")
        async with ChannelAdapter.open(_stub_settings(server, mode), observer=observe) as adapter:
            try:
                await Demo(adapter, recorder, run.output, feed, users).run()
            except ReadBackError:
                run.output.note("stopped here; --keep-going shows the other steps too")


def _stub_settings(server: "StubServer", mode: Mode) -> "Settings":
    """Return settings for the stub; the environment, which may name another app, is not read."""
    from pydantic import SecretStr

    from channel_adapter.config.settings import ChannelSettings, PostSettings, Settings

    return Settings(
        sdkappid=server.sdkappid,
        key=SecretStr(server.key),
        admin=server.admin,
        base_url=server.url,
        mode=mode,
        posts=PostSettings(broadcasts_per_second=BROADCASTS, broadcasts_per_hour=BROADCASTS),
        channels=ChannelSettings(tag_key=TAG_KEY, organization_key=ORGANIZATION_KEY, custom_data_keys=DATA_KEYS),
    )


def _show_step(run: Run, number: int, step: DemoStep) -> None:
    if run.output.json:
        return
    calls = ", ".join(f"{each.count} x {each.command.rpartition('/')[2]}" for each in step.calls)
    run.output.line(f"{number:>2}. {step.title}")
    run.output.line(f"    {step.result}" if not step.differences else f"    DIFFERS: {'; '.join(step.differences)}")
    run.output.line(f"    {counted(step.read_backs, 'read-back')}; {calls or 'no calls'}; {step.seconds:.2f} s")
    run.output.line("")


def _read_feed(name: str | None) -> Feed:
    path = name or _find_sample(SAMPLE_FEED)
    with opened(path) as source:
        feed = read_feed(read_all(source), name=path)
    if not feed.entries:
        raise UsageError(f"{path} has no entries", field="feed")
    return feed


def _read_users(name: str | None) -> tuple[list[UserId], list[UnusableLine]]:
    path = name or _find_sample(SAMPLE_USERS)
    with opened_seekable(path) as source:
        found = list(users_in(source, path))
    users = list(dict.fromkeys(each.user for each in found if isinstance(each, ListedUser)))
    if not users:
        raise UsageError(f"{path} names no user", field="subscribers")
    return users, [each for each in found if isinstance(each, UnusableLine)]


def _find_sample(name: str) -> str:
    """Return the path of a sample in the installed package, or in the repository."""
    from channel_adapter.stub.shipped import shipped_file

    path = shipped_file(name)
    if path is None:
        raise UsageError(f"the sample {name} is not installed; name a file of your own")
    return str(path)
