"""Posts as message elements: every kind reads back as written, and invalid content is refused."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter.domain.post import (
    Article,
    Content,
    Custom,
    Face,
    File,
    Image,
    Location,
    Sound,
    Text,
    TextAndImage,
    Unrecognised,
    Video,
)
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content import from_elements, to_elements
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement

LIMIT = 12_000
URL = "https://static.example.org/a"

words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(lambda text: bool(text.strip()))
any_text = st.text(st.characters(codec="utf-8"), max_size=40)
urls = st.sampled_from([URL, URL + ".png", "http://example.org/b.JPG?x=1"])
numbers = st.integers(0, 2**31)
images = st.builds(Image, urls, numbers, numbers, numbers)
contents: st.SearchStrategy[Content] = st.one_of(
    st.builds(Text, words),
    images,
    st.builds(TextAndImage, words, images),
    st.builds(Article, words, any_text, urls, urls, numbers, numbers),
    st.builds(Video, urls, numbers, numbers, st.just("mp4"), urls, st.just("png"), numbers, numbers, numbers),
    st.builds(File, urls, any_text, numbers),
    st.builds(Sound, urls, numbers, numbers),
    st.builds(Location, st.floats(-90, 90), st.floats(-180, 180), any_text),
    st.builds(Face, numbers, any_text),
    st.builds(Custom, words, any_text, any_text, any_text),
)


@given(contents)
def test_every_kind_of_content_reads_back_as_written(content: Content) -> None:
    elements, parts = to_elements(content, LIMIT)
    assert parts == (content,)
    over_the_wire = [Element.model_validate_json(element.to_json()) for element in elements]
    assert from_elements(over_the_wire) == (content,)


@given(
    st.lists(
        st.one_of(st.builds(Text, words), images, st.builds(File, urls, any_text, numbers)), min_size=1, max_size=4
    )
)
def test_several_parts_read_back_in_order(parts: list[Content]) -> None:
    elements, expected = to_elements(parts, LIMIT)
    assert from_elements(elements) == expected


def test_text_followed_by_image_is_one_part() -> None:
    elements, parts = to_elements([Text("Low tide"), Image(URL)], LIMIT)
    assert parts == (TextAndImage("Low tide", Image(URL)),)
    assert [element.msg_type for element in elements] == ["TIMTextElem", "TIMImageElem"]


def test_article_is_written_as_custom_element_of_stock_clients() -> None:
    elements, _ = to_elements(Article("Tides", "Low at noon", "https://example.org/t", URL, 640, 480), LIMIT)
    assert elements[0].to_wire() == {
        "MsgType": "TIMCustomElem",
        "MsgContent": {
            "Data": '{"businessID":"official_account_tweet","title":"Tides","content":"Low at noon",'
            '"link":"https://example.org/t","imageInfo":{"url":"https://static.example.org/a","width":640,"height":480},'
            '"version":1}',
            "Desc": "Tides",
            "Ext": "",
            "Sound": "",
        },
    }


@pytest.mark.parametrize(
    ("content", "field"),
    [
        ([], "content"),
        (Text(""), "text"),
        (Text(" \n"), "text"),
        (Image(""), "url"),
        (Image("harbour.png"), "url"),
        (TextAndImage("x", Image("")), "url"),
        (Article(""), "title"),
        (Article("t", link="nowhere"), "link"),
        (Video(""), "url"),
        (File("ftp://example.org/x"), "url"),
        (Location(91, 0), "latitude"),
        (Location(0, float("nan")), "longitude"),
        (Custom(""), "data"),
        ([Custom("a"), Custom("b")], "content"),
        ([Article("a"), Custom("b")], "content"),
        (Unrecognised("TIMRelayElem", "{}"), "content"),
        ("just text", "content"),
    ],
)
def test_invalid_content_is_refused_with_its_field(content: Content, field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        to_elements(content, LIMIT)
    assert refused.value.field == field


def test_body_over_the_limit_is_refused_with_its_size() -> None:
    envelope = len('[{"MsgType":"TIMTextElem","MsgContent":{"Text":""}}]')
    to_elements(Text("港" * ((LIMIT - envelope) // 3)), LIMIT)
    with pytest.raises(InvalidError) as refused:
        to_elements(Text("x" * (LIMIT - envelope + 1)), LIMIT)
    assert (refused.value.field, refused.value.limit, refused.value.size) == ("content", LIMIT, LIMIT + 1)


@pytest.mark.parametrize(
    "content", [Text("x" * 2 * LIMIT), Article("x" * 2 * LIMIT), Image("https://s.example/" + "x" * 2 * LIMIT)]
)
def test_limit_applies_to_the_whole_body_with_its_json(content: Content) -> None:
    with pytest.raises(InvalidError, match="as a message body, with the JSON around it") as refused:
        to_elements(content, LIMIT)
    assert (refused.value.field, refused.value.limit) == ("content", LIMIT)


@pytest.mark.parametrize(
    "element",
    [
        {"MsgType": "TIMRelayElem", "MsgContent": {"Title": "t", "MsgNum": 1}},
        {"MsgType": "TIMTextElem", "MsgContent": {"Words": "no Text here"}},
        {"MsgType": "TIMImageElem", "MsgContent": {"UUID": "u", "ImageInfoArray": []}},
        {"MsgType": "AppElem", "MsgContent": {}},
    ],
)
def test_foreign_elements_are_kept_as_unrecognised_parts(element: dict[str, object]) -> None:
    (part,) = from_elements([Element.model_validate(element)])
    assert isinstance(part, Unrecognised)
    assert part.type == element["MsgType"]


def test_foreign_custom_json_is_not_an_article() -> None:
    element = Element(msg_type="TIMCustomElem", msg_content={"Data": '{"businessID":"order","title":"x"}', "Desc": "d"})
    assert from_elements([element]) == (Custom('{"businessID":"order","title":"x"}', "d"),)


@pytest.mark.parametrize(
    "content",
    [
        Image(URL, width="wide"),  # type: ignore[arg-type]
        Face("first"),  # type: ignore[arg-type]
        Custom("data", extension=None),  # type: ignore[arg-type]
        Custom("\ud83d"),
        Location("north", 1),  # type: ignore[arg-type]
        Video(URL, format="\ud83d"),
    ],
)
def test_values_of_wrong_type_are_refused_with_one_line_message(content: Content) -> None:
    with pytest.raises(InvalidError) as refused:
        to_elements(content, LIMIT)
    assert refused.value.field
    assert "\n" not in refused.value.message


@pytest.mark.parametrize(
    ("content", "read"),
    [
        (Image(URL, large_url=URL), Image(URL)),
        (Article("t", image_width=5), Article("t")),
        (Custom('{"businessID":"official_account_tweet","title":"t"}', "t"), Article("t")),
    ],
)
def test_equivalent_content_is_returned_as_it_reads_back(content: Content, read: Content) -> None:
    elements, parts = to_elements(content, LIMIT)
    assert parts == from_elements(elements) == (read,)


@pytest.mark.parametrize("content", ["just text", [1, 2], None, 7])
@pytest.mark.parametrize("kind", ["TIMNewElem", "TIMTextElem", "TIMCustomElem"])
def test_element_of_unknown_shape_keeps_its_content(kind: str, content: object) -> None:
    element = ReceivedElement(msg_type=kind, msg_content=content)
    assert from_elements([element]) == (Unrecognised(kind, orjson.dumps(content).decode()),)


@pytest.mark.parametrize("character", ["a", "\x01", "港", "👍", '"'])
def test_limit_of_single_text_is_that_of_its_json(character: str) -> None:
    """Short texts are not measured, because they always fit; measured and unmeasured texts have the same limit."""
    for length in range(1, 80):
        size = len(to_elements(Text(character * length), LIMIT)[0][0].to_json()) + 2
        to_elements(Text(character * length), size)
        with pytest.raises(InvalidError):
            to_elements(Text(character * length), size - 1)
