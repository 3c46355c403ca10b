"""Sending to groups, and the elements of a message."""

from channel_adapter.tencent.wire.envelope import ApiError, Throttled
from channel_adapter.tencent.wire.messages import SendGroupMsgReply, SendGroupMsgRequest
from channel_adapter.tencent.wire.msg_body import (
    ArticleData,
    ArticleImage,
    CustomContent,
    Element,
    FaceContent,
    FileContent,
    ImageContent,
    ImageInfo,
    LocationContent,
    SoundContent,
    TextContent,
    VideoContent,
)
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"


def text(words: str) -> Element:
    return Element(msg_type="TIMTextElem", msg_content=TextContent(text=words).to_wire())


ARTICLE = ArticleData(
    business_id="official_account_tweet",
    title="Storm",
    content="Stay home",
    link="https://news.example.org/storm",
    image_info=ArticleImage(url="https://static.example.org/storm.jpg", width=640, height=360),
    version=1,
)

EXCHANGES: Exchanges = {
    "group_open_http_svc/send_group_msg": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=904112233,
            msg_body=[text("Autumn issue is out 秋")],
            msg_priority="High",
            from_account="u_owner",
            cloud_custom_data='{"v":1}',
            support_message_extension=1,
            offline_push_info={"PushFlag": 0, "Title": "City News", "Desc": "Autumn issue"},
            forbid_callback_control=["ForbidBeforeSendMsgCallback", "ForbidAfterSendMsgCallback"],
            send_msg_control=["NoUnread", "NoLastMsg"],
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=1),
    ),
    "group_open_http_svc/send_group_msg.mention": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=5,
            msg_body=[text("@all @Ann ferry cancelled")],
            msg_priority="Low",
            online_only_flag=1,
            group_at_info=[{"GroupAtAllFlag": 1}, {"GroupAtAllFlag": 0, "GroupAt_Account": "u_ann"}],
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=0),
    ),
    "group_open_http_svc/send_group_msg.elements": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=6,
            msg_body=[
                Element(msg_type="TIMFaceElem", msg_content=FaceContent(index=6, data="tt00").to_wire()),
                Element(
                    msg_type="TIMLocationElem",
                    msg_content=LocationContent(desc="the pier", latitude=29.34, longitude=116.57).to_wire(),
                ),
                Element(
                    msg_type="TIMSoundElem",
                    msg_content=SoundContent(
                        url="https://static.example.org/s.m4a", uuid="s-1", size=62351, second=3, download_flag=2
                    ).to_wire(),
                ),
                Element(
                    msg_type="TIMImageElem",
                    msg_content=ImageContent(
                        uuid="i-1",
                        image_format=1,
                        image_info_array=[
                            ImageInfo(
                                type=1, size=1853095, width=2448, height=3264, url="https://static.example.org/1.jpg"
                            ),
                            ImageInfo(
                                type=2, size=2565240, width=720, height=960, url="https://static.example.org/2.jpg"
                            ),
                            ImageInfo(
                                type=3, size=12535, width=198, height=264, url="https://static.example.org/3.jpg"
                            ),
                        ],
                    ).to_wire(),
                ),
                Element(
                    msg_type="TIMFileElem",
                    msg_content=FileContent(
                        url="https://static.example.org/f.pdf",
                        uuid="f-1",
                        file_size=1773552,
                        file_name="tides.pdf",
                        download_flag=2,
                    ).to_wire(),
                ),
                Element(
                    msg_type="TIMVideoFileElem",
                    msg_content=VideoContent(
                        video_url="https://static.example.org/v.mp4",
                        video_uuid="v-1",
                        video_format="mp4",
                        video_size=1194603,
                        video_second=5,
                        video_download_flag=2,
                        thumb_url="https://static.example.org/t.jpg",
                        thumb_uuid="t-1",
                        thumb_format="JPG",
                        thumb_size=13907,
                        thumb_width=720,
                        thumb_height=1280,
                        thumb_download_flag=2,
                    ).to_wire(),
                ),
            ],
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=1),
    ),
    "group_open_http_svc/send_group_msg.article": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=7,
            msg_body=[
                Element(
                    msg_type="TIMCustomElem",
                    msg_content=CustomContent(
                        data=ARTICLE.to_json().decode(), desc="Storm", ext='{"kind":"article"}', sound="bell.mp3"
                    ).to_wire(),
                )
            ],
            msg_priority="Normal",
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=1),
    ),
    "group_open_http_svc/send_group_msg.dropped": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=8,
            msg_body=[
                Element(
                    msg_type="TIMRelayElem",
                    msg_content={
                        "Title": "Thread",
                        "MsgNum": 2,
                        "CompatibleText": "2 posts",
                        "AbstractList": ["first", "second"],
                        "JsonMsgKey": "k",
                    },
                )
            ],
        ),
        Throttled("MsgFreqCtrl"),
    ),
    "group_open_http_svc/send_group_msg.other_types": (
        SendGroupMsgRequest(
            group_id="@TGS#_forum",
            random=9,
            msg_body=[text("for two")],
            to_account=["u_ann", "u_ben"],
            topic_id="@TGS#_forum@TOPIC#_a",
            need_read_receipt=1,
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=12),
    ),
    "group_open_http_svc/send_group_msg.muted": (
        SendGroupMsgRequest(group_id=NEWS, random=10, msg_body=[text("hello?")], from_account="u_ann"),
        ApiError(10017, "the sender is muted"),
    ),
    "group_open_http_svc/send_group_msg.duplicate": (
        SendGroupMsgRequest(
            group_id=NEWS,
            random=904112233,
            msg_body=[text("Autumn issue is out")],
            from_account="u_owner",
            support_message_extension=1,
        ),
        SendGroupMsgReply(msg_time=1767225600, msg_seq=1),
    ),
    "group_open_http_svc/send_group_msg.too_often": (
        SendGroupMsgRequest(group_id=NEWS, random=11, msg_body=[text("x")]),
        ApiError(10023, "message frequency limit"),
    ),
}
