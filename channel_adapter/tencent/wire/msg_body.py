"""Message elements: `MsgBody` is an array of {`MsgType`, `MsgContent`} [doc 33527].

Kept as data: the service stores unknown elements as they are, so nothing here refuses or drops one.
"""

from typing import Any, Final

from pydantic import Field

from channel_adapter.tencent.wire.envelope import WireModel

TEXT = "TIMTextElem"
FACE = "TIMFaceElem"
LOCATION = "TIMLocationElem"
CUSTOM = "TIMCustomElem"
SOUND = "TIMSoundElem"
IMAGE = "TIMImageElem"
FILE = "TIMFileElem"
VIDEO = "TIMVideoFileElem"
RELAY = "TIMRelayElem"
IMPORTABLE = frozenset({TEXT, FACE, LOCATION, CUSTOM})  # what import_group_msg lists [docS 1635]

DOWNLOAD_BY_URL = 2  # Download_Flag and similar fields: always by URL [doc 33527]
IMAGE_ORIGINAL, IMAGE_LARGE, IMAGE_THUMB = 1, 2, 3  # ImageInfoArray[].Type [doc 33527]
IMAGE_FORMATS = {"jpg": 1, "jpeg": 1, "gif": 2, "png": 3, "bmp": 4}  # ImageFormat [doc 33527]
IMAGE_FORMAT_OTHER = 255

ARTICLE_BUSINESS_ID = "official_account_tweet"  # a custom element that stock clients draw [public UI kit, 2026]


class ReceivedElement(WireModel):
    """An element without a check of its content: types of other senders may have any shape."""

    msg_type: str = Field(alias="MsgType")
    msg_content: Any = Field(None, alias="MsgContent")


class Element(ReceivedElement):
    msg_content: dict[str, Any] = Field(alias="MsgContent")


class TextContent(WireModel):
    text: str = Field(alias="Text")


_TEXT_MEMBER: Final = TextContent.model_fields["text"].alias or ""


def text_element(text: str) -> Element:
    """Return a text element, built without a model of its content because it is by far the most frequent one."""
    return Element(msg_type=TEXT, msg_content={_TEXT_MEMBER: text})


class FaceContent(WireModel):
    index: int = Field(alias="Index")
    data: str = Field("", alias="Data")


class LocationContent(WireModel):
    desc: str = Field("", alias="Desc")
    latitude: float = Field(alias="Latitude")
    longitude: float = Field(alias="Longitude")


class CustomContent(WireModel):
    """`Desc` is the offline push text; `Ext` and `Sound` go to APNs. One such element a message."""  # [doc 33527]

    data: str = Field("", alias="Data")
    desc: str = Field("", alias="Desc")
    ext: str = Field("", alias="Ext")
    sound: str = Field("", alias="Sound")


class SoundContent(WireModel):
    url: str = Field(alias="Url")
    uuid: str = Field(alias="UUID")
    size: int = Field(0, alias="Size")
    second: int = Field(0, alias="Second")
    download_flag: int = Field(DOWNLOAD_BY_URL, alias="Download_Flag")


class ImageInfo(WireModel):
    type: int = Field(alias="Type")
    size: int = Field(0, alias="Size")
    width: int = Field(0, alias="Width")
    height: int = Field(0, alias="Height")
    url: str = Field(alias="URL")


class ImageContent(WireModel):
    uuid: str = Field(alias="UUID")
    image_format: int = Field(IMAGE_FORMAT_OTHER, alias="ImageFormat")
    image_info_array: list[ImageInfo] = Field(alias="ImageInfoArray")


class FileContent(WireModel):
    url: str = Field(alias="Url")
    uuid: str = Field(alias="UUID")
    file_size: int = Field(0, alias="FileSize")
    file_name: str = Field("", alias="FileName")
    download_flag: int = Field(DOWNLOAD_BY_URL, alias="Download_Flag")


class VideoContent(WireModel):
    video_url: str = Field(alias="VideoUrl")
    video_uuid: str = Field(alias="VideoUUID")
    video_format: str = Field("", alias="VideoFormat")
    video_size: int = Field(0, alias="VideoSize")
    video_second: int = Field(0, alias="VideoSecond")
    video_download_flag: int = Field(DOWNLOAD_BY_URL, alias="VideoDownloadFlag")
    thumb_url: str = Field("", alias="ThumbUrl")
    thumb_uuid: str = Field("", alias="ThumbUUID")
    thumb_format: str = Field("", alias="ThumbFormat")
    thumb_size: int = Field(0, alias="ThumbSize")
    thumb_width: int = Field(0, alias="ThumbWidth")
    thumb_height: int = Field(0, alias="ThumbHeight")
    thumb_download_flag: int = Field(DOWNLOAD_BY_URL, alias="ThumbDownloadFlag")


class ArticleImage(WireModel):
    url: str = Field(alias="url")
    width: int = Field(0, alias="width")
    height: int = Field(0, alias="height")


class ArticleData(WireModel):
    """JSON in `Data` of a custom element."""  # [public UI kit, 2026]

    business_id: str = Field(alias="businessID")
    title: str = Field(alias="title")
    content: str = Field("", alias="content")
    link: str = Field("", alias="link")
    image_info: ArticleImage | None = Field(None, alias="imageInfo")
    version: int = Field(1, alias="version")


class MovedData(ArticleData):
    """A custom element with the body that import does not carry. The additional name is ours."""

    original: list[Element] = Field(alias="original")
