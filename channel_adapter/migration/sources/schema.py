"""What the lines of channels, subscribers and posts hold, and how each is checked.

    channels     id*, name*, owner, introduction, avatar, organization, custom_data, created_at, max_subscribers, admins
    subscribers  channel*, user*, since, notifications (all, muted, off, mentions), custom_data, unread
    posts        channel*, id*, time*, author, and one of text and content

`*` must be there. Times are unix seconds, also with a fraction, or ISO 8601 with a time zone. `admins` is a list, in
CSV with `;` between. `content` is a part of a post or a list of them, as `posts show --json` prints them; in CSV as
JSON.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.mapping.ids import user_id
from channel_adapter.mapping.post_body import to_elements
from channel_adapter.mapping.text import require_text
from channel_adapter.migration.records import SourceChannel, SourceSubscriber
from channel_adapter.migration.sources.csv_file import LINE_CHARACTERS
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.msg_body import TEXT, Element, TextContent

CHANNELS: Final = (
    "id", "name", "owner", "introduction", "avatar", "organization", "custom_data", "created_at", "max_subscribers",
    "admins",
)  # fmt: skip
SUBSCRIBERS: Final = ("channel", "user", "since", "notifications", "custom_data", "unread")
POSTS: Final = ("channel", "id", "time", "author", "text", "content")

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {"channels": CHANNELS, "subscribers": SUBSCRIBERS, "posts": POSTS}

POST_ID_BYTES: Final = 500
"""A longer id does not fit into the index of the journal."""
MILLISECONDS_FROM: Final = 100_000_000_000
"""No second of this millennium has a number so high: such a time counts milliseconds."""


_UNIX_SECONDS: Final = re.compile(r"([0-9]{1,18})(?:\.[0-9]*)?(?: [+-][0-9]{4})?")
"""Also with the offset that git writes behind them, which changes nothing."""

_BEFORE_OFFSET: Final = re.compile(r" (?=[+-][0-9:]+$)")


@dataclass(frozen=True, slots=True)
class FilePost:
    """A post of a line, before it has a number."""

    key: str
    time: int
    author: str
    body: tuple[Element, ...]


def channel_of(values: Mapping[str, Any], owner: str, now: float) -> SourceChannel:
    """A channel. `owner` is for lines that name none. Raises InvalidError with the field."""
    return SourceChannel(
        id=_text(values, "id", needed=True),
        owner=user_id(values.get("owner") or owner, "owner"),
        name=_text(values, "name", needed=True),
        introduction=_text(values, "introduction"),
        avatar=_text(values, "avatar"),
        organization=_text(values, "organization"),
        custom_data=_text(values, "custom_data"),
        created_at=_moment(values, "created_at", now) or 0,
        max_subscribers=_count(values, "max_subscribers", lowest=1),
        admins=_users(values, "admins"),
    )


def subscriber_of(values: Mapping[str, Any], now: float) -> SourceSubscriber:
    """A person. Raises InvalidError with the field."""
    how = _text(values, "notifications") or Notifications.ALL.value
    if how not in set(Notifications):
        raise InvalidError(f"notifications: {how!r} is not one of {', '.join(Notifications)}", field="notifications")
    custom_data = require_text(_text(values, "custom_data"), "custom_data", limits.OFFICIAL_CUSTOM_BYTES)
    return SourceSubscriber(
        user=user_id(values.get("user", ""), "user"),
        since=_moment(values, "since", now),
        notifications=Notifications(how),
        custom_data=custom_data,
        unread=_count(values, "unread", lowest=0),
    )


def post_of(values: Mapping[str, Any], now: float) -> FilePost:
    """A post. Raises InvalidError with the field."""
    time = _moment(values, "time", now)
    if time is None:
        raise InvalidError("time is missing", field="time")
    author = values.get("author")
    return FilePost(
        key=require_text(_text(values, "id", needed=True), "id", POST_ID_BYTES),
        time=time,
        author=user_id(author, "author") if author else "",
        body=tuple(_body(values)),
    )


def _body(values: Mapping[str, Any]) -> list[Element]:
    """Long texts are let through: what is too much for the target is for the plan to say."""
    if ("text" in values) == ("content" in values):
        raise InvalidError("a post has either text or content", field="text")
    if "text" in values:
        content = TextContent(text=require_text(values["text"], "text", LINE_CHARACTERS * 4, empty=False))
        return [Element(msg_type=TEXT, msg_content=content.to_wire())]
    given = values["content"]
    if isinstance(given, str):
        try:
            given = orjson.loads(given)
        except orjson.JSONDecodeError as wrong:
            raise InvalidError(f"content is no JSON: {wrong}", field="content") from None
    elements, _ = to_elements(parts_of(given), LINE_CHARACTERS * 4)
    return elements


def _text(values: Mapping[str, Any], name: str, *, needed: bool = False) -> str:
    value = values.get(name, "")
    if needed and value == "":
        raise InvalidError(f"{name} is missing", field=name)
    return require_text(value, name, LINE_CHARACTERS * 4, empty=not needed)


def _moment(values: Mapping[str, Any], name: str, now: float) -> int | None:
    """A time that is over."""
    value = values.get(name)
    if value is None or value == "":
        return None
    seconds = _seconds(value, name)
    if seconds >= MILLISECONDS_FROM:
        raise InvalidError(f"{name}: {value!r} counts milliseconds; seconds are wanted", field=name)
    if seconds > now:
        raise InvalidError(f"{name}: {value!r} lies in the future", field=name)
    if seconds <= 0:
        raise InvalidError(f"{name}: {value!r} lies before 1970", field=name)
    return seconds


def _seconds(value: object, name: str) -> int:
    """Return a time as unix seconds; fractions, as Slack and Python write them, are cut off."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value)
    if not isinstance(value, str):
        raise InvalidError(f"{name}: {value!r} is no time", field=name)
    if number := _UNIX_SECONDS.fullmatch(value.strip()):
        return int(number[1])
    try:
        moment = datetime.fromisoformat(_BEFORE_OFFSET.sub("", value.strip()))
    except ValueError:
        raise InvalidError(f"{name}: {value!r} is neither unix seconds nor ISO 8601", field=name) from None
    if moment.tzinfo is None:
        raise InvalidError(f"{name}: {value!r} has no time zone", field=name)
    return int(moment.timestamp())


def _count(values: Mapping[str, Any], name: str, *, lowest: int) -> int | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isdecimal() and value.isascii() and len(value) < 10:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
        raise InvalidError(f"{name}: {value!r} is no number from {lowest} on", field=name)
    return value


def _users(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = values.get(name, [])
    listed = [word.strip() for word in value.split(";") if word.strip()] if isinstance(value, str) else value
    if not isinstance(listed, list):
        raise InvalidError(f"{name}: {value!r} is no list of accounts", field=name)
    return tuple(dict.fromkeys(user_id(each, name) for each in listed))
