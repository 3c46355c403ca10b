"""An RSS or Atom file as entries ready to be posted, oldest first. Nothing is fetched."""

import calendar
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.feed.html import excerpt, html_to_text, is_picture
from channel_adapter.cli.feed.xml import ParsedFeed, parse_feed
from channel_adapter.cli.output import counted
from channel_adapter.quoting import shown_value

EXCERPT_BYTES = 1_000
TITLE_BYTES = 300
UNTITLED = "(untitled)"


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """Holds one entry. `key` is the same in every reading of the feed; `notes` name what was left out of it.

    `other_keys` are keys that the entry may have had in an earlier reading, when other entries stood in the feed.
    """

    key: str
    title: str
    text: str
    link: str
    image_url: str
    published: datetime | None
    shortened: bool = False
    notes: tuple[str, ...] = ()
    other_keys: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Feed:
    """Holds a feed as read. `repeated` are the keys of entries that it has more than once."""

    title: str
    entries: tuple[FeedEntry, ...]
    repeated: tuple[str, ...] = ()
    warnings: tuple[str, ...] = field(default=())

    def since(self, oldest: datetime) -> "Feed":
        """Return the feed with the entries from `oldest` on. A warning counts those without a readable date."""
        undated = sum(entry.published is None for entry in self.entries)
        entries = tuple(entry for entry in self.entries if entry.published is not None and entry.published >= oldest)
        if not undated:
            return replace(self, entries=entries)
        which = counted(undated, "entry has no readable date and is", "entries have no readable date and are")
        return replace(self, entries=entries, warnings=(*self.warnings, f"{which} left out because of --since"))


def read_feed(data: bytes, *, name: str = "the feed", excerpt_bytes: int = EXCERPT_BYTES, base_url: str = "") -> Feed:
    """Parse `data`. Raises UsageError when it is no feed, ConfigurationError without the extra `feeds`.

    Entries are ordered by date. Files run from new to old: an entry without a readable date comes directly after the
    one that follows it in the file. `base_url` stands in for the feed's own address when that is not in it.
    """
    parsed = parse_feed(data, name)
    if not parsed.version:
        raise UsageError(f"{name} is neither RSS nor Atom{_damage_reason(parsed)}", field="feed")
    base = base_url or _base_url(parsed.feed)
    warnings = _describe_damage(parsed, name)
    complete = parsed.entries[:-1] if _is_truncated(parsed) else parsed.entries
    all_read = [_to_entry(raw, base, excerpt_bytes) for raw in complete]
    read = [entry for entry in all_read if entry.title or entry.text or entry.link or entry.image_url]
    if len(read) < len(all_read):
        empty = counted(len(all_read) - len(read), "entry says nothing and is", "entries say nothing and are")
        warnings = (*warnings, f"{empty} left out")
    read = _choose_keys(read)
    unique = {entry.key: entry for entry in reversed(read)}
    return Feed(
        title=_to_plain_text(parsed.feed.get("title_detail"), parsed.feed.get("title", "")),
        entries=tuple(_oldest_first([entry for entry in read if unique[entry.key] is entry])),
        repeated=tuple(entry.key for entry in read if unique[entry.key] is not entry),
        warnings=warnings,
    )


def _choose_keys(entries: Sequence[FeedEntry]) -> list[FeedEntry]:
    """Choose the first key of each entry that no entry with another link or title has."""
    bearers: dict[str, set[tuple[str, str]]] = {}
    for entry in entries:
        for key in (entry.key, *entry.other_keys):
            bearers.setdefault(key, set()).add((entry.link, entry.title))
    found = []
    for entry in entries:
        keys = (entry.key, *entry.other_keys)
        key = next((key for key in keys if len(bearers[key]) == 1), keys[-1])
        found.append(replace(entry, key=key, other_keys=tuple(each for each in keys if each != key)))
    return found


def _describe_damage(parsed: ParsedFeed, name: str) -> tuple[str, ...]:
    unreadable = (f"{name}: {parsed.unreadable}",) if parsed.unreadable else ()
    if parsed.damage is None:
        return unreadable
    rest = "; its last entry may be half and is left out" if _is_truncated(parsed) else ""
    return (f"{name} is not well-formed XML{_damage_reason(parsed)}{rest}", *unreadable)


def _is_truncated(parsed: ParsedFeed) -> bool:
    """Return whether the file ends before its last element does [expat's messages]."""
    return parsed.damage is not None and parsed.damage.getMessage().startswith(("no element found", "unclosed"))


def _damage_reason(parsed: ParsedFeed) -> str:
    if parsed.damage is None:
        return ""
    line = getattr(parsed.damage, "getLineNumber", lambda: None)()
    return f": {parsed.damage.getMessage()}" + (f" in line {line}" if line else "")


def _base_url(feed: Mapping[str, Any]) -> str:
    """Return the address that relative links start from: the feed's own, else its site's."""
    site = str(feed.get("link") or "")
    own = next((str(each.get("href") or "") for each in feed.get("links") or () if each.get("rel") == "self"), "")
    for candidate in (own, urljoin(site, own), site):
        if candidate.startswith(("http://", "https://")):
            return candidate
    return ""


def _to_entry(raw: Any, base: str, excerpt_bytes: int) -> FeedEntry:
    body, picture = _extract_body(raw)
    notes: list[str] = []
    own_link = _resolve_url(raw.get("link") or "", base, "link", notes)
    link = own_link or _resolve_url(_find_recording(raw), base, "recording", notes)
    image = _resolve_url(_attached_image(raw) or picture, base, "image", notes)
    text, shortened = excerpt(body, excerpt_bytes)
    title, title_shortened = excerpt(_to_plain_text(raw.get("title_detail"), raw.get("title", "")), TITLE_BYTES)
    if not title:
        title, title_shortened = excerpt(body.partition("\n")[0] or link, TITLE_BYTES)[0], False
    digest = hashlib.sha256(f"{title}\n{body}".encode(errors="replace")).hexdigest()
    key, *other_keys = dict.fromkeys(each for each in (raw.get("id"), own_link, digest) if each)
    title = title or (UNTITLED if text or image or link else "")
    return FeedEntry(
        key=key, title=title, text=text, link=link, image_url=image, published=_published_time(raw, notes),
        shortened=shortened or title_shortened, notes=tuple(notes), other_keys=tuple(other_keys),
    )  # fmt: skip


def _extract_body(raw: Any) -> tuple[str, str]:
    """Return the longest text of the entry, and the first picture in it."""
    contents: Sequence[Any] = raw.get("content") or ()
    detail = next((each for each in contents if each.get("value")), None) or raw.get("summary_detail") or {}
    value = str(detail.get("value") or raw.get("summary") or "")
    if "html" in str(detail.get("type") or "html"):
        return html_to_text(value)
    return value.strip(), ""


def _to_plain_text(detail: Mapping[str, Any] | None, value: str) -> str:
    """Return a title on one line; tags are removed only where the feed declares HTML."""
    is_html = "html" in str((detail or {}).get("type") or "")
    text = html_to_text(value)[0] if is_html else value
    return re.sub(r"\s+", " ", text).strip()


def _attached_image(raw: Any) -> str:
    """Return the first picture of media:content, the enclosures and media:thumbnail, in this order."""
    found = [
        *(
            (media.get("url"), media)
            for media in raw.get("media_content") or ()
            if media.get("medium") == "image" or str(media.get("type") or "").startswith("image/")
        ),
        *((href, each) for href, each in _list_enclosures(raw) if str(each.get("type") or "").startswith("image/")),
        *((media.get("url"), media) for media in raw.get("media_thumbnail") or ()),
    ]
    usable = (str(url) for url, media in found if is_picture(str(url or ""), media.get("width"), media.get("height")))
    return next(usable, "")


def _find_recording(raw: Any) -> str:
    """Return the first enclosure that is no picture: the audio or video file of a podcast."""
    return next(
        (href for href, each in _list_enclosures(raw) if not str(each.get("type") or "").startswith("image/")), ""
    )


def _list_enclosures(raw: Any) -> list[tuple[str, Mapping[str, Any]]]:
    return [(str(each.get("href") or each.get("url") or ""), each) for each in raw.get("enclosures") or ()]


def _resolve_url(found: str, base: str, what: str, notes: list[str]) -> str:
    """Return an absolute http address, or add a note and return ""."""
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
    notes.append(f"{what} left out: {shown_value(found)} {why}")
    return ""


def _published_time(raw: Any, notes: list[str]) -> datetime | None:
    unreadable = ""
    for name in ("published", "updated", "created"):
        if name not in raw:  # `get` warns where feedparser puts one for another
            continue
        try:
            return datetime.fromtimestamp(calendar.timegm(raw[f"{name}_parsed"]), UTC)
        except (TypeError, ValueError, OverflowError, OSError):
            unreadable = unreadable or str(raw[name])
    if unreadable:
        notes.append(f"date left out: {excerpt(unreadable, 60)[0]!r} cannot be read")
    return None


def _oldest_first(entries: list[FeedEntry]) -> list[FeedEntry]:
    """Order by date. Files run from new to old, so entries of one second are reversed.

    An entry without a readable date comes directly after the one that follows it in the file.
    """
    dated: list[tuple[datetime, FeedEntry]] = []
    date = datetime.min.replace(tzinfo=UTC)
    for entry in reversed(entries):
        date = entry.published or date
        dated.append((date, entry))
    return [entry for _, entry in sorted(dated, key=lambda each: each[0])]
