"""HTML as plain text: what a feed's body says, and the first picture in it."""

import re
from html.parser import HTMLParser

BLOCKS = frozenset(
    {"address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "figcaption", "figure", "footer",
     "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section",
     "table", "tr", "ul"}
)  # fmt: skip
UNREAD = frozenset({"script", "style", "template", "title", "head"})
ELLIPSIS = "…"


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.image = ""
        self._unread = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in UNREAD:
            self._unread += 1
        elif tag == "img" and not self.image:
            self.image = (dict(attrs).get("src") or "").strip()
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
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(re.sub(r"\s+", " ", data))


def html_to_text(html: str) -> tuple[str, str]:
    """Text with one line a block, entities resolved, and the address of the first picture as it stands there."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in "".join(reader.pieces).split("\n"))
    return "\n".join(line for line in lines if line and line != "-"), reader.image


def excerpt(text: str, most_bytes: int) -> tuple[str, bool]:
    """`text`, or as much of it as fits into `most_bytes` with an ellipsis, and whether it was shortened.

    Ends behind a word where there is one in the second half, else behind a character.
    """
    if len(text.encode()) <= most_bytes:
        return text, False
    room = max(0, most_bytes - len(ELLIPSIS.encode()))
    cut = text.encode()[:room].decode(errors="ignore")
    following = text[len(cut) : len(cut) + 1]
    if cut and not following.isspace():
        head = re.sub(r"\s+\S*$", "", cut)
        if len(head) >= len(cut) / 2:
            cut = head
    return (cut.rstrip() + ELLIPSIS if cut.strip() else ""), True
