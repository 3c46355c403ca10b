"""A stub of the service with channels, readers and reactions, for trying the console without an account.

Simulated phones show what readers see. They act as client apps do, not through the REST API, except for reactions,
which client apps send to the server of their app.
"""

import asyncio
import secrets
import shlex
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.config.settings import ChannelSettings, ConsoleSettings, InsightSettings, Settings, WebhookSettings
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import Article, Content, Image, Post, PostRef, PostState, Text, TextAndImage
from channel_adapter.domain.reaction import Reactions
from channel_adapter.errors import ChannelAdapterError, InvalidError, NotFoundError, RefusedError
from channel_adapter.mapping.content import excerpt, from_elements, is_post, to_datetime, to_post
from channel_adapter.mapping.text import parse_digits
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.control.user_actions import UserAction, perform
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.request_log import RecordedCall
from channel_adapter.stub.routes import REDACTED
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import SettingsError, StubSettings
from channel_adapter.stub.world.clock import StubClock
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import Group
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire.members import ACCEPT_AND_NOTIFY, ACCEPT_NOT_NOTIFY, MEMBER
from channel_adapter.tencent.wire.messages import GroupMsgGetSimpleReply
from channel_adapter.tencent.wire.msg_body import ReceivedElement

if TYPE_CHECKING:
    from channel_adapter.observability.telemetry import Telemetry

READERS: Final = 200
PHONES: Final = ("reader_1", "reader_100", "reader_199")
POSTS: Final = 20
"""Posts that the view of a channel shows."""
CALLS: Final = 25
"""Calls that the request log shows."""
FAULTS: Final = {
    "throttle": Fault(name="throttle", code=codes.COMMAND_TOO_OFTEN, info="too frequent"),
    "drop": Fault(name="drop", drop=True, applied=True),
    "extensions": Fault(
        name="extensions", service=catalog.EXTENSION_SERVICE, code=codes.EXTENSION_UNSUPPORTED, info="not supported"
    ),
}
"""Faults that can be switched on, by name."""
STEPS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
"""Seconds by which the clock goes forward, by name."""
_OWNER: Final = "editor_7"
_FIELDS: Final = ("ch_tag", "ch_org", "ch_data_1", "ch_data_2")
_EMOJI: Final = ("👍", "❤️", "😂", "🙏", "😮")
_CALL_SECONDS: Final = 5.0  # a page that meets a fault is shown after this time
_CHECK_SECONDS: Final = 0.2


class _ServiceTime:
    """The clock of the stub, for the adapter: going forward moves both."""

    def __init__(self, clock: StubClock) -> None:
        self._clock = clock

    monotonic = staticmethod(time.monotonic)
    sleep = staticmethod(asyncio.sleep)

    def now(self) -> float:
        """Return Unix seconds of the stub."""
        return self._clock.now()


@dataclass(frozen=True, slots=True)
class Phone:
    """The state of a simulated phone. `channel` is the open channel by its id, `peer` the open chat; "": neither.

    `unread` are two numbers of posts: the last one that was read before the channel was opened, and its last one then.
    `seen` is the view that an offline phone goes on showing.
    """

    user: str
    tab: str = "updates"
    channel: str = ""
    peer: str = ""
    unread: tuple[int, int] = (0, 0)
    error: str = ""
    seen: "PhoneView | None" = None


@dataclass(frozen=True, slots=True)
class ListedChannel:
    """A channel in the list of a phone."""

    slug: str
    name: str
    avatar: str
    unread: int
    muted: bool
    last: str


@dataclass(frozen=True, slots=True)
class ShownPost:
    """A post on a phone. `unread` is above 0 for the first of so many unread posts: the divider is above it."""

    post: Post
    reactions: Reactions
    unread: int


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """The open channel of a phone; posts are in the order of their numbers."""

    slug: str
    name: str
    avatar: str
    subscribers: int
    muted: bool
    is_staff: bool
    posts: tuple[ShownPost, ...]


@dataclass(frozen=True, slots=True)
class ListedChat:
    """A chat in the list of a phone, and its messages: sent by the user, content, time."""

    peer: str
    unread: int
    last: str
    messages: tuple[tuple[bool, tuple[Content, ...], datetime | None], ...]


@dataclass(frozen=True, slots=True)
class PhoneView:
    """What a phone shows. `updates` counts channels with unread posts, `chats_unread` unread one-to-one messages."""

    user: str
    online: bool
    tab: str
    error: str
    updates: int
    chats_unread: int
    followed: tuple[ListedChannel, ...]
    others: tuple[ListedChannel, ...]
    chats: tuple[ListedChat, ...]
    channel: OpenChannel | None
    chat: ListedChat | None


@dataclass(frozen=True, slots=True)
class ShownCall:
    """One call of the request log, and the command that repeats it, without the signature."""

    number: int
    call: RecordedCall
    at: datetime
    curl: str


class Playground:
    """A running stub, the adapter that the console uses on it, and simulated phones."""

    def __init__(self, server: StubServer, adapter: ChannelAdapter) -> None:
        self.server = server
        self.adapter = adapter
        self.phones = [Phone(user) for user in PHONES]
        self.faults: frozenset[str] = frozenset()
        """Names of the faults that are switched on."""
        self._actions: Mapping[str, Callable[[Phone, Mapping[str, str]], Coroutine[Any, Any, Phone]]] = {
            "tab": self._switch_tab, "open": self._open_channel_view, "chat": self._open_chat_view,
            "back": self._go_back, "join": self._join_channel, "leave": self._leave_channel, "mute": self._mute_channel,
            "unmute": self._unmute_channel, "react": self._react_to, "recall": self._recall_post,
            "send": self._send_message, "online": self._go_online, "offline": self._go_offline,
            "switch": self._switch_account,
        }  # fmt: skip

    @property
    def position(self) -> tuple[object, ...]:
        """What is different after every change that phones, the log or the switches show."""
        world = self.server.world
        ahead = round(world.clock.now() - time.time())
        return (world.changes, self.server.log.answers.total(), tuple(self.phones), self.faults, ahead)

    async def changed(self, position: tuple[object, ...], seconds: float) -> bool:
        """Wait until the position is another one, or `seconds` have passed; return whether it is."""
        for _ in range(round(seconds / _CHECK_SECONDS)):
            if self.position != position:
                return True
            await asyncio.sleep(_CHECK_SECONDS)
        return False

    async def act(self, number: int, action: str, values: Mapping[str, str]) -> None:
        """Do what a button of a phone does; a refusal is shown on the phone. Raises NotFoundError for no button."""
        if number >= len(self.phones) or action not in self._actions:
            raise NotFoundError("there is no such button", field="do")
        phone = replace(self.phones[number], error="")
        if phone.seen is not None and action not in ("online", "switch"):
            self.phones[number] = phone
            return
        try:
            self.phones[number] = await self._actions[action](phone, values)
        except ChannelAdapterError as error:
            self.phones[number] = replace(phone, error=error.message)

    def set_fault(self, name: str, *, on: bool) -> None:
        """Switch a fault on or off. Raises NotFoundError."""
        if name not in FAULTS:
            raise NotFoundError("there is no such fault", field="fault")
        self.faults = self.faults | {name} if on else self.faults - {name}
        self.server.faults.replace([fault for each, fault in FAULTS.items() if each in self.faults])

    def go_forward(self, step: str) -> None:
        """Move the clock of the service and of the adapter forward. Raises NotFoundError."""
        if step not in STEPS:
            raise NotFoundError("there is no such step", field="step")
        self.server.world.clock.advance(STEPS[step])

    @property
    def now(self) -> datetime:
        """The time of the service."""
        return datetime.fromtimestamp(self.server.world.clock.now(), UTC)

    def calls(self) -> list[ShownCall]:
        """Return the latest calls, newest first."""
        kept = list(self.server.log)
        first = self.server.log.answers.total() - len(kept)
        newest = list(enumerate(kept, first))[: -CALLS - 1 : -1]
        return [
            ShownCall(at, call, datetime.fromtimestamp(call.at, UTC), self._to_curl_command(call))
            for at, call in newest
        ]

    def _to_curl_command(self, call: RecordedCall) -> str:
        query = f"sdkappid={self.server.sdkappid}&identifier={call.caller or ''}&usersig={REDACTED}&random=1"
        url = f"{self.server.url}/v4/{call.service}/{call.command}?{query}&contenttype=json"
        body = call.raw.decode(errors="replace")
        return f"curl -X POST {shlex.quote(url)} -H 'Content-Type: application/json' -d {shlex.quote(body)}"

    async def view(self, number: int) -> PhoneView:
        """Return what a phone shows. An online phone with an open channel reads what arrives."""
        return await self._view_phone(self.phones[number])

    async def _view_phone(self, phone: Phone) -> PhoneView:
        if phone.seen is not None:
            return replace(phone.seen, error=phone.error)
        state = self.server.world.state
        groups = [group for group in state.groups.values() if self.adapter.settings.channels.tag_key in group.fields]
        opened = next((group for group in groups if group.group_id == phone.channel), None)
        chats = [self._listed_chat(phone.user, peer) for peer in state.conversations.logs(phone.user)]
        if phone.peer and phone.peer not in [chat.peer for chat in chats]:
            chats.append(ListedChat(phone.peer, 0, "", ()))
        shown = await self._open_channel(phone, opened) if opened is not None else None
        if phone.peer in state.conversations.logs(phone.user) and state.conversations.unread(phone.user):
            self.server.world.client(phone.user).read_messages(phone.peer)
        followed = [self._listed_channel(group, phone.user) for group in groups if phone.user in group.members]
        return PhoneView(
            user=phone.user, online=True, tab=phone.tab, error=phone.error,
            updates=sum(each.unread > 0 for each in followed), chats_unread=state.conversations.unread(phone.user),
            followed=tuple(followed),
            others=tuple(
                self._listed_channel(group, phone.user) for group in groups if phone.user not in group.members
            ),
            chats=tuple(chats), channel=shown,
            chat=next((chat for chat in chats if chat.peer == phone.peer), None) if phone.peer else None,
        )  # fmt: skip

    def _listed_channel(self, group: Group, user: str) -> ListedChannel:
        row = group.members.find(user)
        posts = self._read_history(group, 1) if row is not None else []
        return ListedChannel(
            slug=self.adapter.backend.ids.slug(ChannelId(group.group_id)), name=group.name, avatar=group.face_url,
            unread=0 if row is None else group.log.unread(group.members.read(row)),
            muted=row is not None and group.members.flag(row) != ACCEPT_AND_NOTIFY,
            last=excerpt(posts[0].parts) if posts else group.introduction,
        )  # fmt: skip

    async def _open_channel(self, phone: Phone, group: Group) -> OpenChannel | None:
        row = group.members.find(phone.user)
        if row is None:
            return None
        if group.log.unread(group.members.read(row)):
            self.server.world.client(phone.user).read(group.group_id)
        posts = self._read_history(group, POSTS)
        refs = [post.ref for post in posts if post.state is PostState.PUBLISHED]
        reactions = await self.adapter.reactions.get_many(refs, viewer=phone.user)
        read, last = phone.unread
        unread = [post.ref.seq for post in posts if read < post.ref.seq <= last]
        shown = [
            ShownPost(
                post, reactions.get(post.ref, Reactions(ref=post.ref)),
                len(unread) if post.ref.seq in unread[-1:] else 0,
            )
            for post in posts
        ]  # fmt: skip
        listed = self._listed_channel(group, phone.user)
        return OpenChannel(
            slug=listed.slug, name=group.name, avatar=group.face_url, subscribers=len(group.members),
            muted=listed.muted, is_staff=group.members.role_name(row) != MEMBER, posts=tuple(reversed(shown)),
        )  # fmt: skip

    def _read_history(self, group: Group, count: int) -> list[Post]:
        """Return the newest posts as a client app receives them, without a call of the REST API."""
        body = {"GroupId": group.group_id, "ReqMsgNumber": count, "WithRecalledMsg": 1}
        found = self.server.world.answer(catalog.GROUP_MSG_GET_SIMPLE, body, caller=self.server.admin)
        messages = GroupMsgGetSimpleReply.model_validate_json(found).rsp_msg_list
        return [to_post(ChannelId(group.group_id), each) for each in messages if is_post(each)]

    def _listed_chat(self, user: str, peer: str) -> ListedChat:
        log = self.server.world.state.conversations.get(user, peer)
        found = [each for each in log or () if user not in each.hidden_from and not each.recalled]
        messages = [
            (
                each.sender == user,
                from_elements([ReceivedElement.model_validate(element) for element in each.body_json()]),
                to_datetime(each.time),
            )
            for each in found[-POSTS:]
        ]
        last = excerpt(messages[-1][1]) if messages else ""
        return ListedChat(peer, log.unread(user) if log is not None else 0, last, tuple(messages))

    async def _act_as_user(self, user: str, action: str, **arguments: Any) -> None:
        """Act as a client app, with the webhooks that such an action has. Raises RefusedError."""
        try:
            asked = UserAction.model_validate({"user": user, "do": action, "with": arguments})
            await perform(self.server.world, self.server.webhooks, asked, None)
        except (Refusal, SettingsError) as refused:
            raise RefusedError(str(refused)) from None

    def _find_group(self, slug: str) -> Group:
        found = self.server.world.state.groups.get(self.adapter.backend.ids.channel(slug))
        if found is None:
            raise NotFoundError("the channel does not exist", field="channel")
        return found

    async def _switch_tab(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        tab = "chats" if values.get("tab") == "chats" else "updates"
        return replace(phone, tab=tab, channel="", peer="")

    async def _open_channel_view(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        group = self._find_group(values.get("channel", ""))
        row = group.members.find(phone.user)
        read = 0 if row is None else group.members.read(row)
        return replace(
            phone, tab="updates", channel=group.group_id, peer="", unread=(read, group.log.next_seq - 1)
        )  # fmt: skip

    async def _open_chat_view(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        peer = values.get("peer", "")
        if self.server.world.state.account(peer) is None:
            raise NotFoundError("the account does not exist", field="peer")
        return replace(phone, tab="chats", channel="", peer=peer)

    async def _go_back(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        return replace(phone, channel="", peer="")

    async def _join_channel(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "join", group_id=self._find_group(values.get("channel", "")).group_id)
        return phone

    async def _leave_channel(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "leave", group_id=phone.channel)
        return replace(phone, channel="")

    async def _mute_channel(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "set_receive_option", group_id=phone.channel, flag=ACCEPT_NOT_NOTIFY)
        return phone

    async def _unmute_channel(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "set_receive_option", group_id=phone.channel, flag=ACCEPT_AND_NOTIFY)
        return phone

    async def _react_to(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        """Set a reaction, or remove it if it is set."""
        ref, emoji = self._post_ref(phone, values), values.get("emoji", "").strip()
        found = await self.adapter.reactions.get_many([ref], viewer=phone.user)
        if emoji in found.get(ref, Reactions(ref=ref)).mine:
            await self.adapter.reactions.unreact(ref, phone.user, emoji)
        else:
            await self.adapter.reactions.react(ref, phone.user, emoji)
        self.server.world.changes += 1  # the publisher writes the count later
        return phone

    async def _recall_post(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "recall", group_id=phone.channel, seq=self._post_ref(phone, values).seq)
        return phone

    async def _send_message(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        text = values.get("text", "").strip()
        if not text:
            raise InvalidError("the message is empty", field="text")
        await self._act_as_user(phone.user, "send", peer=phone.peer, body=text)
        return phone

    async def _go_online(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        await self._act_as_user(phone.user, "login")
        return replace(phone, seen=None)

    async def _go_offline(self, phone: Phone, _: Mapping[str, str]) -> Phone:
        shown = await self._view_phone(phone)
        await self._act_as_user(phone.user, "logout")
        return replace(phone, seen=replace(shown, online=False))

    async def _switch_account(self, phone: Phone, values: Mapping[str, str]) -> Phone:
        user = values.get("user", "").strip()
        if self.server.world.state.account(user) is None:
            raise NotFoundError("the account does not exist", field="user")
        if user in [each.user for each in self.phones]:
            raise InvalidError("another phone shows this account", field="user")
        await self._act_as_user(user, "login")
        return Phone(user)

    def _post_ref(self, phone: Phone, values: Mapping[str, str]) -> PostRef:
        number = parse_digits(values.get("number", ""))
        if number is None or not phone.channel:
            raise NotFoundError("the post does not exist", field="number")
        return PostRef(ChannelId(phone.channel), number)

    async def fill(self, pictures: str) -> None:
        """Create three channels with posts, 200 readers and reactions. `pictures` is where the console has pictures."""
        readers = [f"reader_{number}" for number in range(1, READERS + 1)]
        await self.adapter.accounts.add([_OWNER, *readers])
        for index, (slug, name, introduction, organization, posts) in enumerate(_demo_channels(pictures)):
            await self.adapter.channels.create(
                slug=slug, name=name, owner=_OWNER, introduction=introduction, organization=organization
            )
            followers = readers[: READERS - index * 70]
            await self.adapter.subscriptions.subscribe(slug, followers, assign=False)
            for content in posts:
                post = await self.adapter.posts.publish(slug, content)
                await self._react_to_post(post.ref, followers[: 24 - 8 * index])

    async def _react_to_post(self, ref: PostRef, readers: list[str]) -> None:
        chosen = [_EMOJI[number * number % 7 % len(_EMOJI)] for number in range(len(readers))]
        await asyncio.gather(
            *(self.adapter.reactions.react(ref, reader, emoji) for reader, emoji in zip(readers, chosen, strict=True))
        )


@asynccontextmanager
async def open_playground(
    directory: Path, telemetry: "Telemetry | None" = None, media_url: str = "http://127.0.0.1/media"
) -> AsyncIterator[Playground]:
    """Run a stub, and a receiver of its webhooks, for the length of a block.

    Database and pictures are in `directory`; the console serves these under `media_url`.
    """
    from channel_adapter.webhooks import serve  # noqa: PLC0415 - only used here

    token = SecretStr(secrets.token_urlsafe())
    stub = StubSettings.read({"app": {"group_fields": list(_FIELDS)}})
    clock = StubClock()
    async with StubServer(stub, clock=clock) as server:
        settings = Settings(
            sdkappid=server.sdkappid,
            key=SecretStr(server.key),
            admin=server.admin,
            base_url=server.url,
            total_seconds=_CALL_SECONDS,
            webhooks=WebhookSettings(tokens=(token,)),
            console=ConsoleSettings(media_dir=directory / "media", media_public_url=media_url),
            insights=InsightSettings(record=True),
            database_url=SecretStr(f"sqlite:///{directory / 'playground.db'}"),
            channels=ChannelSettings(organization_key="ch_org", custom_data_keys=("ch_data_1", "ch_data_2")),
        )
        async with (
            ChannelAdapter.open(settings, clock=_ServiceTime(clock), telemetry=telemetry) as adapter,
            serve(adapter) as (_, url),
            adapter.run_jobs(["schedule"]),
        ):
            server.webhooks.settings = CallbackSettings(url=url, token=token)
            try:
                yield Playground(server, adapter)
            finally:
                server.webhooks.settings = CallbackSettings()


def _demo_channels(pictures: str) -> list[tuple[str, str, str, str, list[Content]]]:
    harbour = Image(f"{pictures}demo-harbour.png", 640, 360)
    market = Image(f"{pictures}demo-market.png", 640, 360)
    return [
        (
            "harbor_news", "Harbour News 港口新闻", "Ferries, tides and what happens at the quay.", "Port Authority",
            [
                Text("The harbour office is open again from 8 to 16."),
                TextAndImage("Two new ferries arrived this morning 🚢\nFirst trips on Sunday.", harbour),
                Article("Timetable", "The winter timetable is out.", "https://example.org/ferries"),
            ],
        ),
        (
            "market_hall", "Market Hall 市场大厅", "Stalls, prices and opening hours.", "City Markets",
            [Text("Fresh herring at stall 12 🐟"), TextAndImage("The hall is decorated for the holidays.", market)],
        ),
        ("night_bus", "Night Bus", "Lines and detours of the night buses.", "City Transport",
         [Text("Line N3 stops at the bridge until Friday.")]),
    ]  # fmt: skip
