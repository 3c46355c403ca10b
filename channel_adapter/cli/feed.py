"""An RSS or Atom file as entries ready to be posted, oldest first. Nothing is fetched."""

# ruff: noqa: PLC0415 - feedparser is an extra

import calendar
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit
from xml.sax import SAXException

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.html_text import excerpt, html_to_text
from channel_adapter.cli.words import counted

EXCERPT_BYTES = 1_000
TITLE_BYTES = 300
UNTITLED = "(untitled)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. `key` is the same in every reading of the feed; `notes` say what was left out of it."""

    key: str
    title: str
    text: str
    link: str
    image_url: str
    published: datetime | None
    shortened: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as read. `repeated` are keys that stood in it more than once, `warnings` what a person should know."""

    title: str
    entries: tuple[Entry, ...]
    repeated: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())


def read_feed(data: bytes, *, name: str = "the feed", excerpt_bytes: int = EXCERPT_BYTES, base_url: str = "") -> Feed:
    """Parse `data`. Raises UsageError when it is no feed, or when the extra `feeds` is not installed.

    Entries are ordered by their date; those without one come behind them, the last of the file first, because files run
    from new to old. `base_url` stands in for the feed's own address when that is not in it.
    """
    parsed = _parse(data)
    if not parsed.get("version"):
        raise UsageError(f"{name} is neither RSS nor Atom{_reason(parsed)}", field="feed")
    base = base_url or _base(parsed.feed)
    warnings = _damage(parsed, name)
    whole = parsed.entries[:-1] if _breaks_off(parsed) else parsed.entries
    all_read = [_entry(raw, base, excerpt_bytes) for raw in whole]
    read = [entry for entry in all_read if entry.title or entry.text or entry.link or entry.image_url]
    if len(read) < len(all_read):
        said = counted(len(all_read) - len(read), "entry says nothing and is", "entries say nothing and are")
        warnings = (*warnings, f"{said} left out")
    unique = {entry.key: entry for entry in reversed(read)}
    kept = [entry for entry in read if unique.get(entry.key) is entry]
    repeated = [entry.key for entry in read if unique.get(entry.key) is not entry]
    return Feed(
        title=_plain(parsed.feed.get("title_detail"), parsed.feed.get("title", "")),
        entries=tuple(_oldest_first(kept)),
        repeated=tuple(repeated),
        warnings=warnings,
    )


def _parse(data: bytes) -> Any:
    try:
        import feedparser
    except ModuleNotFoundError:
        raise UsageError("reading feeds needs feedparser: pip install 'channel-adapter[feeds]'") from None
    return feedparser.parse(io.BytesIO(data))


def _damage(parsed: Any, name: str) -> tuple[str, ...]:
    """A remark of the parser on encoding or content type is no damage."""
    if not isinstance(parsed.get("bozo_exception"), SAXException):
        return ()
    rest = "; its last entry may be half and is left out" if _breaks_off(parsed) else ""
    return (f"{name} is not well-formed XML{_reason(parsed)}{rest}",)


def _breaks_off(parsed: Any) -> bool:
    """The file ends before its last element does [expat's messages]."""
    reason = parsed.get("bozo_exception")
    return isinstance(reason, SAXException) and reason.getMessage().startswith(("no element found", "unclosed"))


def _reason(parsed: Any) -> str:
    reason = parsed.get("bozo_exception")
    if reason is None:
        return ""
    message = getattr(reason, "getMessage", reason.__str__)()
    line = getattr(reason, "getLineNumber", lambda: None)()
    return f": {message}" + (f" in line {line}" if line else "")


def _base(feed: Mapping[str, Any]) -> str:
    """The address that relative links are meant against: the feed's own, else its site's."""
    site = str(feed.get("link") or "")
    own = next((str(each.get("href") or "") for each in feed.get("links") or () if each.get("rel") == "self"), "")
    for candidate in (own, urljoin(site, own), site):
        if candidate.startswith(("http://", "https://")):
            return candidate
    return ""


def _entry(raw: Any, base: str, excerpt_bytes: int) -> Entry:
    body, picture = _body(raw)
    notes: list[str] = []
    link = _address(raw.get("link") or "", base, "link", notes)
    image = _address(_attached_image(raw) or picture, base, "image", notes)
    text, shortened = excerpt(body, excerpt_bytes)
    title, title_shortened = excerpt(_plain(raw.get("title_detail"), raw.get("title", "")), TITLE_BYTES)
    if not title:
        title, title_shortened = excerpt(body.partition("\n")[0] or link, TITLE_BYTES)[0], False
    key = raw.get("id") or link or hashlib.sha256(f"{title}\n{body}".encode()).hexdigest()
    title = title or (UNTITLED if text or image else "")
    return Entry(
        key=key, title=title, text=text, link=link, image_url=image, published=_moment(raw),
        shortened=shortened or title_shortened, notes=tuple(notes),
    )  # fmt: skip


def _body(raw: Any) -> tuple[str, str]:
    """The fullest text of the entry, and the first picture in it."""
    contents: Sequence[Any] = raw.get("content") or ()
    detail = next((each for each in contents if each.get("value")), None) or raw.get("summary_detail") or {}
    value = str(detail.get("value") or raw.get("summary") or "")
    if "html" in str(detail.get("type") or "html"):
        return html_to_text(value)
    return value.strip(), ""


def _plain(detail: Mapping[str, Any] | None, value: str) -> str:
    """A title on one line; tags go only where the feed says that they are tags."""
    is_html = "html" in str((detail or {}).get("type") or "")
    text = html_to_text(value)[0] if is_html else value
    return re.sub(r"\s+", " ", text).strip()


def _attached_image(raw: Any) -> str:
    """From media:content, an enclosure, or media:thumbnail, in this order."""
    for media in raw.get("media_content") or ():
        if media.get("medium") == "image" or str(media.get("type") or "").startswith("image/"):
            return str(media.get("url") or "")
    for enclosure in raw.get("enclosures") or ():
        if str(enclosure.get("type") or "").startswith("image/"):
            return str(enclosure.get("href") or enclosure.get("url") or "")
    return next((str(each.get("url") or "") for each in raw.get("media_thumbnail") or ()), "")


def _address(found: str, base: str, what: str, notes: list[str]) -> str:
    """An absolute http address, or "" and a note."""
    if not found:
        return ""
    try:
        absolute = urljoin(base, found.strip())
        scheme = urlsplit(absolute).scheme
    except ValueError:
        absolute, scheme = found, "broken"
    if scheme in ("http", "https"):
        return absolute
    why = "is no http address" if scheme else "is relative, and the feed does not say to what"
    notes.append(f"{what} left out: {found!r} {why}")
    return ""


def _moment(raw: Any) -> datetime | None:
    for name in ("published_parsed", "updated_parsed", "created_parsed"):
        parts = raw.get(name)
        if parts:
            try:
                return datetime.fromtimestamp(calendar.timegm(parts), UTC)
            except (ValueError, OverflowError, OSError):
                continue
    return None


def _oldest_first(entries: list[Entry]) -> list[Entry]:
    """Files run from new to old, so entries of the same second, and those without a date, are turned round."""
    turned = entries[::-1]
    return sorted(turned, key=_date)


def _date(entry: Entry) -> datetime:
    return entry.published or datetime.max.replace(tzinfo=UTC)
