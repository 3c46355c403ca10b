"""Topics and permission groups: only for Communities made with `SupportTopic` 1, so never for a channel [groups 7]."""

from typing import Any

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel


class CreateTopicRequest(WireModel):
    """Topic ids are `{CommunityId}@TOPIC#_{suffix}` [docS create_topic]."""

    group_id: str = Field(alias="GroupId")
    topic_name: str = Field(alias="TopicName")
    topic_id: str | None = Field(None, alias="TopicId")
    from_account: str | None = Field(None, alias="From_Account")
    custom_string: str | None = Field(None, alias="CustomString")
    face_url: str | None = Field(None, alias="FaceUrl")
    notification: str | None = Field(None, alias="Notification")
    introduction: str | None = Field(None, alias="Introduction")


class CreateTopicReply(Reply):
    topic_id: str = Field(alias="TopicId")


class GetTopicRequest(WireModel):
    """Without `TopicIdList` all topics [docS get_topic]."""

    group_id: str = Field(alias="GroupId")
    from_account: str | None = Field(None, alias="From_Account")
    topic_id_list: list[str] | None = Field(None, alias="TopicIdList")
    response_filter: dict[str, Any] | None = Field(None, alias="ResponseFilter")


class TopicInfo(WireModel):
    """The Community is `GroupID` here, with a capital D [groups 7.1]."""

    topic_id: str = Field(alias="TopicId")
    topic_name: str | None = Field(None, alias="TopicName")
    group_id: str | None = Field(None, alias="GroupID")
    face_url: str | None = Field(None, alias="FaceUrl")
    notification: str | None = Field(None, alias="Notification")
    introduction: str | None = Field(None, alias="Introduction")
    create_time: int | None = Field(None, alias="CreateTime")
    last_msg_time: int | None = Field(None, alias="LastMsgTime")
    next_msg_seq: int | None = Field(None, alias="NextMsgSeq")
    shut_up_all_flag: str | int | None = Field(None, alias="ShutUpAllFlag")
    custom_string: str | None = Field(None, alias="CustomString")


class TopicSelfInfo(WireModel):
    shut_up_time: int | None = Field(None, alias="ShutUpTime")
    msg_seq: int | None = Field(None, alias="MsgSeq")
    msg_flag: str | None = Field(None, alias="MsgFlag")


class TopicAndSelfInfo(WireModel):
    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")
    topic_info: TopicInfo | None = Field(None, alias="TopicInfo")
    self_info: TopicSelfInfo | None = Field(None, alias="SelfInfo")


class GetTopicReply(Reply):
    topic_and_self_info: list[TopicAndSelfInfo] = Field(alias="TopicAndSelfInfo")


class ModifyTopicRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    topic_id: str = Field(alias="TopicId")
    topic_name: str | None = Field(None, alias="TopicName")
    custom_string: str | None = Field(None, alias="CustomString")
    face_url: str | None = Field(None, alias="FaceUrl")
    notification: str | None = Field(None, alias="Notification")
    introduction: str | None = Field(None, alias="Introduction")
    mute_all_member: str | None = Field(None, alias="MuteAllMember")


class ModifyTopicReply(Reply):
    pass


class DestroyTopicRequest(WireModel):
    group_id: str = Field(alias="GroupId")
    topic_id_list: list[str] = Field(alias="TopicIdList")


class TopicDestroyed(WireModel):
    topic_id: str = Field(alias="TopicId")
    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")


class DestroyTopicReply(Reply):
    destroy_result_item: list[TopicDestroyed] = Field(alias="DestroyResultItem")


class ImportTopicRequest(WireModel):
    """In the group service, unlike its siblings [doc 53448]."""

    type: str = Field(alias="Type")
    group_id: str = Field(alias="GroupId")
    topic_name: str = Field(alias="TopicName")
    topic_id: str | None = Field(None, alias="TopicId")
    create_time: int | None = Field(None, alias="CreateTime")
    custom_string: str | None = Field(None, alias="CustomString")
    face_url: str | None = Field(None, alias="FaceUrl")
    notification: str | None = Field(None, alias="Notification")
    introduction: str | None = Field(None, alias="Introduction")


class ImportTopicReply(Reply):
    topic_id: str = Field(alias="TopicId")


class PermissionGroupRequest(WireModel):
    """Of these commands little more than the ids was established; other fields are kept as they come."""

    group_id: str = Field(alias="GroupId")
    permission_group_id: str | None = Field(None, alias="PermissionGroupId")


class CreatePermissionGroupRequest(PermissionGroupRequest):
    pass


class CreatePermissionGroupReply(Reply):
    permission_group_id: str | None = Field(None, alias="PermissionGroupId")


class ModifyPermissionGroupRequest(PermissionGroupRequest):
    pass


class ModifyPermissionGroupReply(Reply):
    pass


class GetPermissionGroupRequest(PermissionGroupRequest):
    pass


class GetPermissionGroupReply(Reply):
    pass


class AddPermissionGroupMemberRequest(PermissionGroupRequest):
    pass


class AddPermissionGroupMemberReply(Reply):
    pass


class DeletePermissionGroupMemberRequest(PermissionGroupRequest):
    pass


class DeletePermissionGroupMemberReply(Reply):
    pass


class GetPermissionGroupMemberListRequest(WireModel):
    """`Next` is `""` at the start and at the end [doc 103976]."""

    group_id: str = Field(alias="GroupId")
    permission_group_id: str = Field(alias="PermissionGroupId")
    limit: int | None = Field(None, alias="Limit")
    next: str | None = Field(None, alias="Next")


class GetPermissionGroupMemberListReply(Reply):
    next: str = Field("", alias="Next")
