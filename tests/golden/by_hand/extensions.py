"""Message extensions."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.extensions import (
    Extension,
    ExtensionResult,
    GroupGetKeyValuesReply,
    GroupGetKeyValuesRequest,
    GroupSetKeyValuesReply,
    GroupSetKeyValuesRequest,
)
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
FORUM = "@TGS#_forum"
TOPIC = "@TGS#_forum@TOPIC#_a"
MSG_KEY = "1353691732_123124_1630000000"

SET: Exchanges = {
    "openim_msg_ext_http_svc/group_set_key_values": (
        GroupSetKeyValuesRequest(
            group_id=NEWS,
            msg_seq=1,
            operate_type=1,
            extension_list=[
                Extension(key="rx:thumb", value='{"n":41}', seq=0),
                Extension(key="rx:heart", value='{"n":7}', seq=0),
            ],
        ),
        GroupSetKeyValuesReply(
            extension_list=[
                ExtensionResult(error_code=0, extension=Extension(key="rx:thumb", value='{"n":41}', seq=1)),
                ExtensionResult(error_code=0, extension=Extension(key="rx:heart", value='{"n":7}', seq=1)),
            ]
        ),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.conflict": (
        GroupSetKeyValuesRequest(
            group_id=FORUM,
            msg_seq=12,
            operate_type=1,
            extension_list=[Extension(key="rx:thumb", value='{"n":42}', seq=5)],
            topic_id=TOPIC,
        ),
        GroupSetKeyValuesReply(
            extension_list=[
                ExtensionResult(error_code=23001, extension=Extension(key="rx:thumb", value='{"n":43}', seq=6))
            ],
            seq=6,
        ),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.delete": (
        GroupSetKeyValuesRequest(
            group_id=NEWS, msg_seq=1, operate_type=2, extension_list=[Extension(key="rx:thumb", value="")]
        ),
        GroupSetKeyValuesReply(
            extension_list=[ExtensionResult(error_code=0, extension=Extension(key="rx:thumb", value="", seq=2))]
        ),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.clear": (
        GroupSetKeyValuesRequest(group_id=NEWS, msg_seq=1, operate_type=3),
        GroupSetKeyValuesReply(),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.unsupported": (
        GroupSetKeyValuesRequest(
            group_id=NEWS, msg_seq=1, operate_type=1, extension_list=[Extension(key="rx:thumb", value="1", seq=0)]
        ),
        ApiError(23002, "message does not support extension"),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.no_message": (
        GroupSetKeyValuesRequest(
            group_id=NEWS, msg_seq=99, operate_type=1, extension_list=[Extension(key="rx:thumb", value="1")]
        ),
        ApiError(23004, "message not exist"),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.edition": (
        GroupSetKeyValuesRequest(group_id=NEWS, msg_seq=1, operate_type=3),
        ApiError(10008, "please upgrade your package"),
    ),
    "openim_msg_ext_http_svc/group_set_key_values.too_often": (
        GroupSetKeyValuesRequest(group_id=NEWS, msg_seq=1, operate_type=3),
        ApiError(23003, "frequency limit"),
    ),
}

GET: Exchanges = {
    "openim_msg_ext_http_svc/group_get_key_values": (
        GroupGetKeyValuesRequest(group_id=NEWS, msg_seq=1, start_seq=0),
        GroupGetKeyValuesReply(
            extension_list=[
                Extension(key="rx:heart", value='{"n":7}', seq=1),
                Extension(key="rx:thumb", value='{"n":41}', seq=2),
            ],
            complete_flag=1,
            latest_seq=2,
            clear_seq=0,
        ),
    ),
    "openim_msg_ext_http_svc/group_get_key_values.topic": (
        GroupGetKeyValuesRequest(group_id=FORUM, msg_seq=12, topic_id=TOPIC),
        GroupGetKeyValuesReply(
            extension_list=[Extension(key="rx:heart", value="", seq=4)], complete_flag=0, latest_seq=9, clear_seq=3
        ),
    ),
}

EXCHANGES: Exchanges = {**SET, **GET}
