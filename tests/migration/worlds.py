"""State that a migration moves: twelve official accounts that cover the difficult cases.

`build` writes it directly into the state of a stub, since no user can broadcast a thousand posts two an hour.
Sizes are parameters: the largest account has `subscribers` users, the busiest has `posts` posts, the others
fractions of that. Equal sizes and clocks result in equal states.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Final

import orjson

from channel_adapter.migration.plan.transform import target_id
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.state import Group, OfficialAccount
from channel_adapter.stub.world.stub_state import StubState
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire import msg_body as w
from channel_adapter.tencent.wire.groups import COMMUNITY
from channel_adapter.tencent.wire.members import ACCEPT_NOT_NOTIFY, DISCARD

OWNER: Final = "editor_7"
OTHER_OWNER: Final = "editor_8"
FIELDS: Final = ("ch_tag", "ch_org", *(f"ch_data_{number}" for number in range(1, 7)))
"""Custom group fields of the app when everything but the name is to fit."""

DAY: Final = 86_400
NAME: Final = "港" * 33 + "x"  # 100 bytes: limit of a group's name
LONG_NAME: Final = "港湾新闻" * 12 + "号外"  # 150 bytes: limit of an account's name
GENERATED: Final = "@TOA#_@TOA#KD73HXQ2MB9L"
TAKEN: Final = "@TOA#_taken"

FULL: Final = "@TOA#_full"
BUSY: Final = "@TOA#_busy"
EMPTY: Final = "@TOA#_empty"
LIMITS: Final = "@TOA#_every_limit"
SAME_SECOND: Final = "@TOA#_same_second"
GONE: Final = "@TOA#_recalled_and_expired"
FLAGS: Final = "@TOA#_quiet_readers"
LONG_ID: Final = "@TOA#_" + "l" * 42
SELF: Final = "@TOA#_owner_follows"
TEXTS: Final = "@TOA#_only_texts"
ONE: Final = "@TOA#_one of each"

IDS: Final = (FULL, BUSY, EMPTY, LIMITS, GENERATED, SAME_SECOND, GONE, FLAGS, LONG_ID, SELF, TEXTS, TAKEN)
RENAMED: Final = {TAKEN: "taken_by_us"}
"""What has to be renamed for the world to move."""


@dataclass(frozen=True, slots=True)
class Size:
    """Size of the state. `days` is the age of the oldest post; the stub keeps seven days by default."""

    subscribers: int = 300
    posts: int = 60
    days: float = 6.0
    media: bool = True
    """Pictures, films, files and recordings too, and one post that is too large: things that policies are for."""

    long_profile: bool = True
    """An account with every text at its limit."""

    subscriber_data: bool = True
    """Texts on single subscriptions, for which a member has no place."""


@dataclass(slots=True)
class Moving:
    """Result of `build`. `users` are all accounts that follow any account."""

    ids: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    stranger: str = str(target_id(TAKEN))

    def write_ids(self, path: Path) -> Path:
        """Write a list of the accounts, with the comments and blank lines of a typical list."""
        lines = ["# accounts of the app", "", *self.ids, "", f"  {self.ids[0]}  "]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def write_people(self, path: Path) -> Path:
        """Write a list of the users."""
        path.write_text("\n".join(self.users) + "\n", encoding="utf-8")
        return path


def build(world: StubState, size: Size | None = None, ids: tuple[str, ...] = IDS) -> Moving:
    """Write the accounts `ids` into the state, and a foreign group at the id of one of their channels."""
    size = size or Size()
    builder = _Builder(world, size)
    made = builder.moving
    for user in (OWNER, OTHER_OWNER, *made.users):
        world.state.add_account(user)
    for account in ids:
        builder.account(account)
    if TAKEN in ids:
        builder.strangers_group()
    world.changes += 1
    return made


def save(world: StubState, path: Path) -> Path:
    """Write the state as `channel-adapter stub --state` loads it."""
    path.write_bytes(orjson.dumps(world.dump(), option=orjson.OPT_NON_STR_KEYS))
    return path


def text(words: str) -> w.Element:
    return _element(w.TEXT, Text=words)


def picture(name: str) -> w.Element:
    infos = [
        {"Type": kind, "Size": 4096, "Width": 640, "Height": 480, "URL": f"https://example.org/{name}_{kind}.jpg"}
        for kind in (w.IMAGE_ORIGINAL, w.IMAGE_LARGE, w.IMAGE_THUMB)
    ]
    return _element(w.IMAGE, UUID=f"image_{name}", ImageFormat=1, ImageInfoArray=infos)


def carried(number: int) -> list[list[w.Element]]:
    """Return one body of each kind that import accepts."""
    card = {"businessID": w.ARTICLE_BUSINESS_ID, "title": f"Ferries {number}", "content": "", "link": "", "version": 1}
    return [
        [text(f"Tide table {number}")],
        [text(f'港湾 {number} 🚢🏽 éa\u0301 "quoted" \\ \u2028')],
        [_element(w.FACE, Index=number, Data="wave")],
        [_element(w.LOCATION, Desc=f"Pier {number}", Latitude=53.5 + number / 1000, Longitude=9.9)],
        [_element(w.CUSTOM, Data=orjson.dumps(card).decode(), Desc="a card", Ext="", Sound="")],
        [text(f"first {number}"), text("second"), _element(w.FACE, Index=1, Data="")],
    ]


def media(number: int) -> list[list[w.Element]]:
    """Return one body of each kind that import does not accept."""
    url = f"https://example.org/{number}"
    film = {
        "VideoUrl": f"{url}.mp4", "VideoUUID": f"v{number}", "VideoFormat": "mp4", "VideoSize": 9, "VideoSecond": 3,
        "VideoDownloadFlag": 2, "ThumbUrl": f"{url}.jpg", "ThumbUUID": f"t{number}", "ThumbFormat": "jpg",
        "ThumbSize": 1, "ThumbWidth": 16, "ThumbHeight": 9, "ThumbDownloadFlag": 2,
    }  # fmt: skip
    return [
        [picture(str(number))],
        [text(f"with a picture 港 {number}"), picture(f"t{number}")],
        [_element(w.VIDEO, **film)],
        [_element(w.FILE, Url=f"{url}.pdf", UUID=f"f{number}", FileSize=7, FileName="tides.pdf", Download_Flag=2)],
        [_element(w.SOUND, Url=f"{url}.m4a", UUID=f"s{number}", Size=7, Second=2, Download_Flag=2)],
        [picture(f"a{number}"), text("between"), picture(f"b{number}")],
        [_element("TIMFutureElem", Anything=[1, {"deep": None}])],
    ]


def huge() -> list[w.Element]:
    """Return a text that only the source accepts: within 12 KB as the service counts, over it as JSON."""
    return [text('"港"' * ((limits.MESSAGE_BYTES_SAFE - 200) // 5))]


def _element(kind: str, **content: Any) -> w.Element:
    return w.Element(msg_type=kind, msg_content=content)


class _Builder:
    """Fills one state."""

    def __init__(self, world: StubState, size: Size) -> None:
        self._world = world
        self._size = size
        self._now = int(world.clock.now())
        self.moving = Moving(users=[f"reader_{number:06}" for number in range(size.subscribers)])
        self._makers: dict[str, Callable[[OfficialAccount], None]] = {
            FULL: self._full, BUSY: self._busy, LIMITS: self._limits, GENERATED: self._ordinary,
            SAME_SECOND: self._same_second, GONE: self._gone, FLAGS: self._flags, LONG_ID: self._ordinary,
            SELF: self._self, TEXTS: self._texts, TAKEN: self._ordinary, EMPTY: lambda account: None,
        }  # fmt: skip

    @property
    def _began(self) -> int:
        """Return a time just before the oldest post."""
        return self._now - int(self._size.days * DAY)

    def account(self, account_id: str) -> OfficialAccount:
        """Make one account."""
        account = OfficialAccount(
            account_id, OWNER, f"News of {account_id.removeprefix(limits.OFFICIAL_ACCOUNT_ID_PREFIX)}"[:90],
            self._began - 30 * DAY, limits.OFFICIAL_SUBSCRIBERS,
            introduction="Tides and ferries", face_url="https://example.org/face.png",
        )  # fmt: skip
        self._world.state.official[account_id] = account
        self._makers.get(account_id, self._ordinary)(account)
        self.moving.ids.append(account_id)
        return account

    def strangers_group(self) -> None:
        """Make a group of another user at the id where an account would go."""
        state = self._world.state
        group = Group(self.moving.stranger, COMMUNITY, "Somebody else's", self._now - 400 * DAY, owner=OTHER_OWNER)
        state.add_group(group)
        state.join(group, OTHER_OWNER, MemberRole.OWNER, group.create_time, 0)

    def _full(self, account: OfficialAccount) -> None:
        self._follow(account, self._size.subscribers)
        self._post(account, self._mixed(self._size.posts // 4))

    def _busy(self, account: OfficialAccount) -> None:
        self._follow(account, min(40, self._size.subscribers))
        self._post(account, self._mixed(self._size.posts))

    def _ordinary(self, account: OfficialAccount) -> None:
        self._follow(account, self._size.subscribers // 10)
        self._post(account, self._mixed(self._size.posts // 6))

    def _texts(self, account: OfficialAccount) -> None:
        self._follow(account, self._size.subscribers // 5)
        self._post(account, ([text(f"Text {number}")] for number in range(self._size.posts // 3)))

    def _limits(self, account: OfficialAccount) -> None:
        account.name = NAME
        if self._size.long_profile:
            account.name = LONG_NAME
            account.introduction = "介" * 133 + "x"
            account.face_url = "https://example.org/" + "f" * 480
            account.organization = "组" * 166 + "xx"
            account.custom_string = "数" * 999 + "xyz"
        self._follow(account, self._size.subscribers // 10)
        bodies: list[list[w.Element]] = [[text("港" * (limits.MESSAGE_BYTES_SAFE // 3 - 40))]]
        self._post(account, iter([*bodies, *([huge()] if self._size.media else [])]))

    def _same_second(self, account: OfficialAccount) -> None:
        account.create_time = self._began
        self._follow(account, 5, since=account.create_time)
        bodies = list(self._mixed(max(9, self._size.posts // 6)))
        for number, body in enumerate(bodies):
            self._append(account, body, self._began + 60 * (number // 4))

    def _gone(self, account: OfficialAccount) -> None:
        self._follow(account, 7)
        old = self._now - (self._world.settings.limits.roaming_days + 3) * DAY
        for number in range(5):
            self._append(account, [text(f"expired {number}")], old + number)
        for number, body in enumerate(self._mixed(max(12, self._size.posts // 6))):
            message = self._append(account, body, self._began + 900 * (number + 1))
            if number % 3 == 1:
                account.log.recall(message)

    def _flags(self, account: OfficialAccount) -> None:
        self._follow(account, min(30, self._size.subscribers))
        table = account.subscribers
        for number, user in enumerate(list(table)):
            row = table.find(user)
            if row is not None and number % 3:
                table.set_flag(row, (ACCEPT_NOT_NOTIFY, DISCARD)[number % 3 - 1])
            if self._size.subscriber_data and number % 5 == 0:
                account.subscriber_strings[user] = f"since the 港 {number}"
        self._post(account, self._mixed(self._size.posts // 10))

    def _self(self, account: OfficialAccount) -> None:
        self._follow(account, 3)
        self._world.state.subscribe(account, OWNER, self._began)
        self._post(account, self._mixed(3))

    def _follow(self, account: OfficialAccount, count: int, since: int | None = None) -> None:
        """Subscribe the first `count` users, one every ten seconds."""
        first = account.create_time + 100 if since is None else since
        step = 10 if since is None else 0
        for number, user in enumerate(self.moving.users[:count]):
            self._world.state.subscribe(account, user, min(first + step * number, self._now - 60))

    def _mixed(self, count: int) -> Iterator[list[w.Element]]:
        """Yield bodies of every kind in turn."""
        kinds = [*carried(0), *(media(0) if self._size.media else [])]
        for number, place in enumerate(islice(cycle(range(len(kinds))), count)):
            yield [*carried(number), *media(number)][place]

    def _post(self, account: OfficialAccount, bodies: Iterator[list[w.Element]]) -> None:
        """Publish posts spread over the days, the last an hour ago."""
        listed = list(bodies)
        span = self._now - 3_600 - self._began
        for number, body in enumerate(listed):
            self._append(account, body, self._began + span * (number + 1) // (len(listed) + 1))

    def _append(self, account: OfficialAccount, body: list[w.Element], time: int) -> StoredMessage:
        log = account.log
        message = StoredMessage(
            log.next_seq, max(time, log.last_time), 7_000 + log.next_seq, account.account_id, 2, pack(body)
        )
        log.append(message)
        return message
