"""What the composer holds, as content of a post and back: three formats, with a link and an attachment or without."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from channel_adapter.domain.post import Article, Content, File, Image, Text, TextAndImage, Video
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.content import body_size, to_elements
from channel_adapter.mapping.text import parse_digits, require_text, require_url
from channel_adapter.quoting import shown_value

TEXT_AND_IMAGE: Final = "text_and_image"
IMAGE: Final = "image"
TEXT: Final = "text"
FORMATS: Final = (TEXT_AND_IMAGE, IMAGE, TEXT)
VIDEO: Final = "video"
FILE: Final = "file"
ATTACHMENTS: Final = (VIDEO, FILE)
_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """The fields of the composer. `sizes` are width, height and bytes of the picture, 0 where unknown.

    `thumbnail_url` is known for a picture that was uploaded, `large_url` for one of another client. `attachment` is "",
    "video" or "file".
    """

    format: str = TEXT_AND_IMAGE
    text: str = ""
    link_text: str = ""
    link_url: str = ""
    image_url: str = ""
    sizes: tuple[int, int, int] = (0, 0, 0)
    thumbnail_url: str = ""
    large_url: str = ""
    attachment: str = ""
    attachment_url: str = ""
    attachment_name: str = ""
    attachment_seconds: str = ""

    @classmethod
    def read(cls, form: Mapping[str, Any]) -> "Composed":
        """Return the fields of a form. Line ends are those of the service, not of HTTP."""
        values = {name: str(form.get(name, "")) for name in ("text", "link_text", "link_url", "image_url", *_ATTACHED)}
        values = {name: value.replace("\r\n", "\n") for name, value in values.items()}
        chosen = str(form.get("format", ""))
        picture = read_picture(str(form.get("picture", "")), values["image_url"].strip())
        return cls(
            format=chosen if chosen in FORMATS else TEXT_AND_IMAGE,
            text=values["text"],
            link_text=values["link_text"].strip(),
            link_url=values["link_url"].strip(),
            image_url=values["image_url"].strip(),
            sizes=(picture.width, picture.height, picture.size),
            thumbnail_url=picture.thumbnail_url,
            large_url=picture.large_url,
            **{name: values[name].strip() for name in _ATTACHED},
        )

    @classmethod
    def of(cls, parts: tuple[Content, ...]) -> "Composed | None":
        """Return the fields that make a post; None for a post that the composer cannot make."""
        if parts and isinstance(parts[-1], Video | File):
            found = cls(format=TEXT) if len(parts) == 1 else cls.of(parts[:-1])
            return found.with_attachment(parts[-1]) if found is not None and not found.attachment else None
        if len(parts) == 2 and isinstance(parts[0], Text) and isinstance(parts[1], Image):
            parts = (TextAndImage(parts[0].text, parts[1]),)
        if len(parts) != 1:
            return None
        (part,) = parts
        if isinstance(part, Text):
            return cls(format=TEXT, text=part.text)
        if isinstance(part, Image):
            return cls(format=IMAGE).with_picture(part)
        if isinstance(part, TextAndImage):
            return cls(format=TEXT_AND_IMAGE, text=part.text).with_picture(part.image)
        if isinstance(part, Article) and part.link:
            chosen = TEXT if not part.image_url else TEXT_AND_IMAGE if part.text else IMAGE
            return cls(
                format=chosen, text=part.text, link_text=part.title, link_url=part.link, image_url=part.image_url,
                sizes=(part.image_width, part.image_height, 0),
            )  # fmt: skip
        return None

    def with_picture(self, image: Image) -> "Composed":
        """Return the same fields with a picture."""
        sizes, urls = (image.width, image.height, image.size), (image.thumbnail_url, image.large_url)
        return replace(self, image_url=image.url, sizes=sizes, thumbnail_url=urls[0], large_url=urls[1])

    def with_attachment(self, part: Content) -> "Composed | None":
        """Return the same fields with a video or a file; None for one with more than the form has fields for."""
        if isinstance(part, Video) and part == Video(part.url, part.seconds):
            seconds = str(part.seconds) if part.seconds else ""
            return replace(self, attachment=VIDEO, attachment_url=part.url, attachment_seconds=seconds)
        if isinstance(part, File) and part == File(part.url, part.name):
            return replace(self, attachment=FILE, attachment_url=part.url, attachment_name=part.name)
        return None

    @property
    def picture(self) -> str:
        """What is known of the picture, as the form keeps it."""
        return write_picture(Image(self.image_url, *self.sizes, self.large_url, self.thumbnail_url))

    def content(self) -> Content | tuple[Content, ...]:
        """Return the content. With a link it is an article: the text of the link is its title.

        An attachment is a part of its own behind it, or alone. Raises InvalidError with the field of the form.
        """
        attached = self._build_attachment()
        if attached is None:
            return self._build_main_part()
        alone = self.format == TEXT and not (self.text.strip() or self.link_url or self.link_text)
        return attached if alone else (self._build_main_part(), attached)

    def _build_attachment(self) -> Video | File | None:
        if self.attachment not in ATTACHMENTS:
            return None
        url = require_url(self.attachment_url, "attachment_url", empty=False)
        if self.attachment == FILE:
            return File(url, require_text(self.attachment_name, "attachment_name"))
        seconds = parse_digits(self.attachment_seconds or "0", _SECONDS)
        if seconds is None:
            raise InvalidError(
                f"attachment_seconds must be a whole number, {_SECONDS:,} at most;"
                f" got {shown_value(self.attachment_seconds)}",
                field="attachment_seconds", limit=_SECONDS,
            )  # fmt: skip
        return Video(url, seconds)

    def _build_main_part(self) -> Content:
        text = "" if self.format == IMAGE else require_text(self.text, "text", empty=False)
        picture = ""
        if self.format != TEXT:
            picture = require_url(self.image_url, "image_url", empty=False)
        width, height, size = self.sizes
        if self.link_url or self.link_text:
            link = require_url(self.link_url, "link_url", empty=False)
            title = require_text(self.link_text or link, "link_text", empty=False)
            return Article(title, text, link, picture, width, height)
        if not picture:
            return Text(text)
        image = Image(picture, width, height, size, self.large_url, self.thumbnail_url)
        return image if self.format == IMAGE else TextAndImage(text, image)


_ATTACHED: Final = ("attachment", "attachment_url", "attachment_name", "attachment_seconds")


_NONE: Final = "-"


def write_picture(image: Image) -> str:
    """Return what is known of a picture as one text: sizes and addresses."""
    if image == Image(image.url):
        return ""
    addresses = (image.url, image.thumbnail_url or _NONE, image.large_url or _NONE)
    return " ".join([str(image.width), str(image.height), str(image.size), *addresses])


def read_picture(text: str, url: str) -> Image:
    """Return the picture with an address, with what a text of `write_picture` says about it."""
    numbers, addresses = text.split()[:3], text.split()[3:]
    if (
        addresses[:1] != [url]
        or len(addresses) != 3
        or not all(each.isdecimal() and len(each) < 10 for each in numbers)
    ):
        return Image(url)
    thumbnail_url, large_url = ("" if each == _NONE else each for each in addresses[1:])
    width, height, size = map(int, numbers)
    return Image(url, width, height, size, large_url, thumbnail_url)


def preview(composed: Composed, max_bytes: int) -> tuple[tuple[Content, ...], int, ChannelAdapterError | None]:
    """Return the parts that readers would see, their size in bytes, and what is wrong with the fields."""
    error: ChannelAdapterError | None = None
    try:
        content = composed.content()
        elements, parts = to_elements(content, 1 << 30)
        size = body_size(elements)
        if size > max_bytes:
            error = InvalidError(
                f"content has {size} bytes as a message body; {max_bytes} are allowed",
                field="text", limit=max_bytes, size=size,
            )  # fmt: skip
    except InvalidError as wrong:
        parts = _preview_incomplete(composed)
        texts = [Text(part.text) for part in parts if isinstance(part, Text | Article) and part.text.strip()]
        size = body_size([each for text in texts for each in to_elements(text, 1 << 30)[0]]) if texts else 0
        return parts, size, wrong
    return parts, size, error


def _preview_incomplete(composed: Composed) -> tuple[Content, ...]:
    """Return what can be shown of fields that are not complete."""
    picture = composed.image_url if composed.format != TEXT and composed.image_url.startswith("http") else ""
    text = "" if composed.format == IMAGE else composed.text
    if composed.link_text:
        return (Article(composed.link_text, text, composed.link_url, picture),)
    found: list[Content] = [Text(text)] if text.strip() else []
    return (*found, Image(picture)) if picture else tuple(found)


def picture(parts: Sequence[Content]) -> str:
    """Return the address of the first picture of a post; empty without one."""
    for part in parts:
        image = part.image if isinstance(part, TextAndImage) else part
        if isinstance(image, Image):
            return image.thumbnail_url or image.url
        if isinstance(image, Article) and image.image_url:
            return image.image_url
    return ""
