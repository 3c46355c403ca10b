"""Foreign texts as displayed by a terminal, a JSON document and a Markdown file."""

import json
import re

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from channel_adapter.mapping.text import markdown, printable, printable_json

TEXTS = st.text(
    st.sampled_from("ab1 _*`~|<>&#[]()!\\$-+=.:/\"'@\n\t\x1b\x9b\u202e\u2028\u200d港é") | st.characters(), max_size=40
)
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
RENDERER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@given(TEXTS)
def test_printable_text_is_one_line_and_stable(text: str) -> None:
    shown = printable(text)
    assert UNSAFE.findall(shown) == []
    assert printable(shown) == shown


@pytest.mark.parametrize("text", ["Ebb & flow", "港口 ⚓️", "👩‍🚀", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "می‌خواهم", "a\\nb"])
def test_harmless_text_is_unchanged(text: str) -> None:
    assert printable(text) == text
    assert printable_json(orjson.dumps(text)) == orjson.dumps(text)


@given(st.recursive(TEXTS.filter(lambda text: not re.search("[\ud800-\udfff]", text)), st.lists, max_leaves=5))
def test_printable_json_has_same_value(value: object) -> None:
    for option in (0, orjson.OPT_INDENT_2):
        document = printable_json(orjson.dumps(value, option=option)).decode()
        assert UNSAFE.findall(document.replace("\n", "")) == []
        assert json.loads(document) == value


def texts_in(source: str, kind: str) -> tuple[list[str], set[str]]:
    """Return the text of every token of one kind, and the types of all tokens inside them."""
    inside = [token for token in RENDERER.parse(source) if token.type == "inline"]
    types = {child.type for token in inside for child in token.children or ()}
    shown = ["".join(child.content for child in token.children or ()) for token in inside]
    assert f"{kind}_open" in {token.type for token in RENDERER.parse(source)}
    assert not any(token.type == "html_block" for token in RENDERER.parse(source))
    return shown, types


@given(TEXTS)
@example("<img src=x onerror=alert(1)> [click](https://evil.example) **bold** | cell")
@example("&lt;b&gt; &#x1b; ~~gone~~ `code` http://a.example/_x_ ![](https://pixel.example)")
@example("# heading #")
@example("1. one")
@example("__init__ @TGS#_news _x_ a_b_")
def test_markdown_displays_text_literally(text: str) -> None:
    literal = printable(" ".join(text.split()))
    shown = markdown(text)
    expected = ["a", "b", literal, "end"]
    found, types = texts_in(f"| a | b |\n|---|---|\n| {shown} | end |\n", "table")
    assert (found, types <= {"text", "text_special"}) == (expected, True)
    for prefix, kind in (("- ", "bullet_list"), ("# x ", "heading"), ("- `*` x: ", "bullet_list")):
        found, types = texts_in(f"{prefix}{shown}\n", kind)
        before = prefix.lstrip("-# ").replace("`", "")
        assert "".join(found) == f"{before}{literal}".strip()
        assert types <= {"text", "text_special", "code_inline"}


def test_ids_stay_readable_in_markdown() -> None:
    assert markdown("@TGS#_harbor_news") == "@TGS#_harbor_news"
    assert markdown("a | b <i>") == "a \\| b \\<i\\>"
