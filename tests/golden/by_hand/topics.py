"""Topics and permission groups, refused for a Community without topics."""

from channel_adapter.tencent.wire.envelope import Refused
from channel_adapter.tencent.wire.topics import (
    AddPermissionGroupMemberRequest,
    CreatePermissionGroupReply,
    CreatePermissionGroupRequest,
    CreateTopicReply,
    CreateTopicRequest,
    DeletePermissionGroupMemberRequest,
    DestroyTopicReply,
    DestroyTopicRequest,
    GetPermissionGroupMemberListReply,
    GetPermissionGroupMemberListRequest,
    GetPermissionGroupRequest,
    GetTopicReply,
    GetTopicRequest,
    ImportTopicReply,
    ImportTopicRequest,
    ModifyPermissionGroupRequest,
    ModifyTopicReply,
    ModifyTopicRequest,
    TopicAndSelfInfo,
    TopicDestroyed,
    TopicInfo,
    TopicSelfInfo,
)
from tests.golden.by_hand import Exchanges

NEWS = "@TGS#_news_42"
FORUM = "@TGS#_forum"
TOPIC = "@TGS#_forum@TOPIC#_a"
EDITORS = "@PMG#_@PMG#cXXXX"
FACE = "https://static.example.org/f.png"
REFUSED = Refused(10007, "not for this group type")

TOPICS: Exchanges = {
    "million_group_open_http_svc/create_topic": (
        CreateTopicRequest(
            group_id=FORUM,
            topic_name="Ferries",
            topic_id=TOPIC,
            from_account="u_owner",
            custom_string="{}",
            face_url=FACE,
            notification="n",
            introduction="i",
        ),
        CreateTopicReply(topic_id=TOPIC),
    ),
    "million_group_open_http_svc/create_topic.refused": (
        CreateTopicRequest(group_id=NEWS, topic_name="Ferries"),
        REFUSED,
    ),
    "million_group_open_http_svc/create_topic.off": (
        CreateTopicRequest(group_id=FORUM, topic_name="Ferries"),
        Refused(11000, "community is not enabled"),
    ),
    "million_group_open_http_svc/get_topic": (
        GetTopicRequest(group_id=FORUM, from_account="u_owner", topic_id_list=[TOPIC], response_filter={}),
        GetTopicReply(
            topic_and_self_info=[
                TopicAndSelfInfo(
                    error_code=0,
                    error_info="",
                    topic_info=TopicInfo(
                        topic_id=TOPIC,
                        topic_name="Ferries",
                        group_id=FORUM,
                        face_url="",
                        notification="",
                        introduction="",
                        create_time=1750000000,
                        last_msg_time=0,
                        next_msg_seq=1,
                        shut_up_all_flag="Off",
                        custom_string="",
                    ),
                    self_info=TopicSelfInfo(shut_up_time=0, msg_seq=0, msg_flag="AcceptAndNotify"),
                )
            ]
        ),
    ),
    "million_group_open_http_svc/get_topic.refused": (GetTopicRequest(group_id=NEWS), REFUSED),
    "million_group_open_http_svc/modify_topic": (
        ModifyTopicRequest(
            group_id=FORUM,
            topic_id=TOPIC,
            topic_name="Boats",
            custom_string="{}",
            face_url=FACE,
            notification="n",
            introduction="i",
            mute_all_member="On",
        ),
        ModifyTopicReply(),
    ),
    "million_group_open_http_svc/modify_topic.refused": (
        ModifyTopicRequest(group_id=NEWS, topic_id="@TGS#_news_42@TOPIC#_a"),
        REFUSED,
    ),
    "million_group_open_http_svc/destroy_topic": (
        DestroyTopicRequest(group_id=FORUM, topic_id_list=[TOPIC]),
        DestroyTopicReply(destroy_result_item=[TopicDestroyed(topic_id=TOPIC, error_code=0, error_info="")]),
    ),
    "million_group_open_http_svc/destroy_topic.refused": (
        DestroyTopicRequest(group_id=NEWS, topic_id_list=["@TGS#_news_42@TOPIC#_a"]),
        REFUSED,
    ),
    "group_open_http_svc/import_topic": (
        ImportTopicRequest(
            type="Community",
            group_id=FORUM,
            topic_name="Ferries",
            topic_id=TOPIC,
            create_time=1700000000,
            custom_string="{}",
            face_url=FACE,
            notification="n",
            introduction="i",
        ),
        ImportTopicReply(topic_id=TOPIC),
    ),
    "group_open_http_svc/import_topic.refused": (
        ImportTopicRequest(type="Community", group_id=NEWS, topic_name="Ferries"),
        REFUSED,
    ),
}

PERMISSION_GROUPS: Exchanges = {
    "group_open_http_svc/create_permission_group": (
        CreatePermissionGroupRequest(group_id=FORUM),
        CreatePermissionGroupReply(permission_group_id=EDITORS),
    ),
    "group_open_http_svc/create_permission_group.refused": (CreatePermissionGroupRequest(group_id=NEWS), REFUSED),
    "group_open_http_svc/modify_permission_group.refused": (
        ModifyPermissionGroupRequest(group_id=NEWS, permission_group_id=EDITORS),
        REFUSED,
    ),
    "group_open_http_svc/get_permission_group.refused": (GetPermissionGroupRequest(group_id=NEWS), REFUSED),
    "group_open_http_svc/add_permission_group_member.refused": (
        AddPermissionGroupMemberRequest(group_id=NEWS, permission_group_id=EDITORS),
        REFUSED,
    ),
    "group_open_http_svc/delete_permission_group_member.refused": (
        DeletePermissionGroupMemberRequest(group_id=NEWS, permission_group_id=EDITORS),
        REFUSED,
    ),
    "group_open_http_svc/get_permission_group_member_list": (
        GetPermissionGroupMemberListRequest(group_id=FORUM, permission_group_id=EDITORS, limit=50, next=""),
        GetPermissionGroupMemberListReply(next=""),
    ),
    "group_open_http_svc/get_permission_group_member_list.refused": (
        GetPermissionGroupMemberListRequest(group_id=NEWS, permission_group_id=EDITORS),
        REFUSED,
    ),
}

EXCHANGES: Exchanges = {**TOPICS, **PERMISSION_GROUPS}
