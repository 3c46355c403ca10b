"""HTML as plain text, and the first picture in it."""

import re
from collections.abc import Mapping
from html.parser import HTMLParser

BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer",
     "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
     "table", "tr", "ul"}
)  # fmt: skip
UNREAD = frozenset({"script", "style", "template", "title", "head"})
ELLIPSIS = "…"
MIN_PICTURE_PIXELS = 50
"""Images with a declared width or height below this are tracking pixels, smileys or buttons."""

_NO_PICTURE = re.compile(
    r"""^(?:data|about|cid):
    |\bfeeds\.feedburner\.com/~|\bfeedsportal\.com/|\bfeeds\.wordpress\.com/1\.0/
    |\bstats?\.wordpress\.com/|\b(?:pixel|stats)\.wp\.com/|\bmedium\.com/_/stat|\bgoogle-analytics\.com/
    |\bblogger\.googleusercontent\.com/tracker/|\bdoubleclick\.net/|\bfacebook\.com/tr\b|\bapi\.flattr\.com/
    |\bgravatar\.com/avatar/|\bs\.w\.org/images/core/emoji/|\bimg\.shields\.io/|\bpaypalobjects\.com/
    |/(?:smil(?:ies|eys?)|emoticons?|emojis?|buttons?)/
    |(?:^|[/_-])(?:pixel|spacer|blank|clear|transparent|1x1|tracker|tracking)\.(?:gif|png)\b
    |(?:btn|button)s?\.(?:gif|png|svg)\b""",
    re.IGNORECASE | re.VERBOSE,
)
"""Addresses of trackers, avatars, smileys and buttons that blog services put into feeds."""
_SHARE_LINK = re.compile(
    r"\b(?:(?:twitter|x)\.com/(?:share|intent)|facebook\.com/shar|linkedin\.com/share|pinterest\.com/pin/create"
    r"|reddit\.com/submit|feeds\.feedburner\.com/~|feeds\.wordpress\.com/1\.0/)",
    re.IGNORECASE,
)
_SMALL_CLASS = re.compile(r"(?:^|[\s_-])(?:smil(?:ey|ie)s?|emoji|emoticon|button|tracker)(?:$|[\s_-])", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_STYLED = re.compile(r"(?:^|[;\s])(?:width|height)\s*:\s*(\d+(?:\.\d+)?)\s*(px|r?em)", re.IGNORECASE)
_PIXELS = re.compile(r"\s*(\d+)\s*(?:px)?\s*$", re.IGNORECASE)
_EM_PIXELS = 16
_SOURCES = ("src", "data-src", "data-lazy-src", "data-original", "data-orig-file", "srcset", "data-srcset")
"""Where an image may have its address: pages that load images when they are scrolled to have a placeholder in `src`."""


def is_picture(address: str, *sizes: str | None) -> bool:
    """Return whether an image may be a picture of an article, by its address and its declared width and height.

    `data:` placeholders, tracking pixels, smileys, avatars and buttons are none.
    """
    if not address.strip() or _NO_PICTURE.search(address.strip()):
        return False
    return all(int(found[1]) >= MIN_PICTURE_PIXELS for size in sizes if (found := _PIXELS.match(size or "")))


class _HtmlReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.image = ""
        self._unread = 0
        self._link = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNREAD:
            self._unread += 1
        elif tag == "img" and not self.image:
            self.image = _picture_url(dict(attrs), self._link)
        elif tag == "a":
            self._link = dict(attrs).get("href") or ""
        elif tag in BLOCKS:
            self.pieces.append("\n- " if tag == "li" else "\n")
        elif tag in ("td", "th"):
            self.pieces.append(" ")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in UNREAD:
            self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag in UNREAD:
            self._unread = max(0, self._unread - 1)
        elif tag == "a":
            self._link = ""
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(re.sub(r"\s+", " ", data))


def _picture_url(attributes: Mapping[str, str | None], link: str) -> str:
    """Return the address of an `img` inside a link, or "" when it is no picture of the article."""
    style = attributes.get("style") or ""
    styled = (float(size) * (_EM_PIXELS if unit.lower() != "px" else 1) for size, unit in _STYLED.findall(style))
    if (
        "hidden" in attributes
        or _SHARE_LINK.search(link)
        or _SMALL_CLASS.search(attributes.get("class") or "")
        or _HIDDEN.search(style)
        or any(size < MIN_PICTURE_PIXELS for size in styled)
    ):
        return ""
    for name in _SOURCES:
        address = (attributes.get(name) or "").strip()
        if name.endswith("srcset"):
            address = address.partition(" ")[0].rstrip(",")
        if is_picture(address, attributes.get("width"), attributes.get("height")):
            return address
    return ""


def html_to_text(html: str) -> tuple[str, str]:
    """Return the text with one line a block and entities resolved, and the address of the first picture."""
    reader = _HtmlReader()
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line and line != "-"), reader.image


def excerpt(text: str, max_bytes: int) -> tuple[str, bool]:
    """Return as much of a text as fits into `max_bytes` with an ellipsis, and whether it was shortened.

    Ends behind a word where there is one in the second half, else behind a character.
    """
    if len(text.encode()) <= max_bytes:
        return text, False
    room = max(0, max_bytes - len(ELLIPSIS.encode()))
    cut = text.encode()[:room].decode(errors="ignore")
    following = text[len(cut) : len(cut) + 1]
    if cut and not following.isspace():
        head = re.sub(r"\s+\S*$", "", cut)
        if len(head) >= len(cut) / 2:
            cut = head
    return (cut.rstrip() + ELLIPSIS if cut.strip() else ""), True
