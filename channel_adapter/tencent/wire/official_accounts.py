"""Official accounts: `official_account_open_http_svc`, the source of a migration [official accounts 4].

The id is `OfficialAccountUserID` in create and `Official_Account` everywhere else [doc 60755, 60756].
"""

from typing import Any

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel
from channel_adapter.tencent.wire.messages import HistoryMessage
from channel_adapter.tencent.wire.msg_body import Element

RESULT_FAILED, RESULT_DONE, RESULT_ALREADY = 0, 1, 2  # of adding and of deleting subscribers [doc 60760]
RANGE_CUT, RANGE_WHOLE, RANGE_EXPIRED = 0, 1, 2  # IsFinished of the history [doc 60812]


class CreateOfficialAccountRequest(WireModel):
    """Without an id the service assigns one; own ids start with `@TOA#_`."""  # [doc 60755]

    owner_account: str = Field(alias="Owner_Account")
    official_account_user_id: str | None = Field(None, alias="OfficialAccountUserID")
    name: str = Field(alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    face_url: str | None = Field(None, alias="FaceUrl")
    max_subscriber_num: int | None = Field(None, alias="MaxSubscriberNum")
    organization: str | None = Field(None, alias="Organization")
    custom_string: str | None = Field(None, alias="CustomString")


class CreateOfficialAccountReply(Reply):
    official_account_user_id: str = Field(alias="OfficialAccountUserID")


class DestroyOfficialAccountRequest(WireModel):
    official_account: str = Field(alias="Official_Account")


class DestroyOfficialAccountReply(Reply):
    pass


class ModifyOfficialAccountBaseInfoRequest(WireModel):
    """Absent fields stay unchanged."""  # [inferred]

    official_account: str = Field(alias="Official_Account")
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    face_url: str | None = Field(None, alias="FaceUrl")
    organization: str | None = Field(None, alias="Organization")
    custom_string: str | None = Field(None, alias="CustomString")
    max_subscriber_num: int | None = Field(None, alias="MaxSubscriberNum")


class ModifyOfficialAccountBaseInfoReply(Reply):
    pass


class OfficialAccountItem(WireModel):
    official_account: str = Field(alias="Official_Account")


class OfficialResponseFilter(WireModel):
    """Absent: all fields. `MaxSubscriberNum` cannot be asked for."""  # [doc 60758]

    official_account_base_info_filter: list[str] | None = Field(None, alias="OfficialAccountBaseInfoFilter")


class GetOfficialAccountInfoRequest(WireModel):
    official_account_id_list: list[OfficialAccountItem] = Field(alias="OfficialAccountIdList")
    response_filter: OfficialResponseFilter | None = Field(None, alias="ResponseFilter")


class OfficialProfile(WireModel):
    """Without `Official_Account`, which public models leave out, an item is identified by its position in the list."""

    official_account: str | None = Field(None, alias="Official_Account")
    create_time: int | None = Field(None, alias="CreateTime")
    name: str | None = Field(None, alias="Name")
    owner_account: str | None = Field(None, alias="Owner_Account")
    last_msg_time: int | None = Field(None, alias="LastMsgTime")
    subscriber_num: int | None = Field(None, alias="SubscriberNum")
    max_subscriber_num: int | None = Field(None, alias="MaxSubscriberNum")
    introduction: str | None = Field(None, alias="Introduction")
    face_url: str | None = Field(None, alias="FaceUrl")
    organization: str | None = Field(None, alias="Organization")
    custom_string: str | None = Field(None, alias="CustomString")


class OfficialAccountInfo(OfficialProfile):
    """One item; its own `ErrorCode` decides."""  # [doc 60758, java-sdk]

    error_code: int = Field(0, alias="ErrorCode")
    error_info: str = Field("", alias="ErrorInfo")


class GetOfficialAccountInfoReply(Reply):
    official_account_info_list: list[OfficialAccountInfo] = Field(alias="OfficialAccountInfoList")


class SubscriberItem(WireModel):
    subscriber_account: str = Field(alias="Subscriber_Account")


class SubscriberResult(WireModel):
    subscriber_account: str = Field(alias="Subscriber_Account")
    result: int = Field(alias="Result")


class AddSubscriberRequest(WireModel):
    official_account: str = Field(alias="Official_Account")
    subscriber_list: list[SubscriberItem] = Field(alias="SubscriberList")


class AddSubscriberReply(Reply):
    subscriber_list: list[SubscriberResult] = Field(alias="SubscriberList")


class DeleteSubscriberRequest(WireModel):
    """`SubscriberToDel_Account` in the page's sample, `SubscriberList` in its table [doc 60761]; we send the first."""

    official_account: str = Field(alias="Official_Account")
    subscriber_to_del_account: list[str] | None = Field(None, alias="SubscriberToDel_Account")
    subscriber_list: list[SubscriberItem] | None = Field(None, alias="SubscriberList")


class DeleteSubscriberReply(Reply):
    subscriber_list: list[SubscriberResult] = Field(alias="SubscriberList")


class GetSubscriberInfoRequest(WireModel):
    """`Next` is `""` first, then the returned cookie; always send `Limit`."""  # [doc 60759]

    official_account: str = Field(alias="Official_Account")
    limit: int | None = Field(None, alias="Limit")
    next: str = Field("", alias="Next")


class SubscriberRow(WireModel):
    subscriber_account: str = Field(alias="Subscriber_Account")
    subscribe_time: int | None = Field(None, alias="SubscribeTime")
    custom_string: str | None = Field(None, alias="CustomString")
    msg_flag: str | None = Field(None, alias="MsgFlag")
    last_send_msg_time: int | None = Field(None, alias="LastSendMsgTime")


class GetSubscriberInfoReply(Reply):
    """An empty `Next` is the end; `SubscriberNum` is the total."""  # [doc 60759]

    next: str = Field("", alias="Next")
    subscriber_num: int = Field(alias="SubscriberNum")
    subscriber_list: list[SubscriberRow] = Field(alias="SubscriberList")


class ModifySubscriberInfoRequest(WireModel):
    official_account: str = Field(alias="Official_Account")
    subscriber_account: str = Field(alias="Subscriber_Account")
    custom_string: str | None = Field(None, alias="CustomString")


class ModifySubscriberInfoReply(Reply):
    pass


class SubscribedResponseFilter(OfficialResponseFilter):
    self_info_filter: list[str] | None = Field(None, alias="SelfInfoFilter")


class GetSubscribedOfficialAccountListRequest(WireModel):
    subscriber_account: str = Field(alias="Subscriber_Account")
    limit: int | None = Field(None, alias="Limit")
    offset: int | None = Field(None, alias="Offset")
    response_filter: SubscribedResponseFilter | None = Field(None, alias="ResponseFilter")


class SubscriptionSelfInfo(WireModel):
    subscribe_time: int | None = Field(None, alias="SubscribeTime")
    custom_string: str | None = Field(None, alias="CustomString")


class SubscribedOfficialAccount(OfficialProfile):
    self_info: SubscriptionSelfInfo | None = Field(None, alias="SelfInfo")


class GetSubscribedOfficialAccountListReply(Reply):
    """`CompleteFlag` 1 ends the list; `Next` is the `Offset` of the next page."""  # [java-sdk]

    official_account_info_list: list[SubscribedOfficialAccount] = Field(alias="OfficialAccountInfoList")
    total_count: int | None = Field(None, alias="TotalCount")
    complete_flag: int = Field(1, alias="CompleteFlag")
    next: int | None = Field(None, alias="Next")


class SendOfficialAccountMsgRequest(WireModel):
    """A broadcast: 1 message/s and 2 an hour per account; `SendMsgControl` knows `NoLastMsg` only."""  # [doc 60810]

    official_account: str = Field(alias="Official_Account")
    random: int = Field(alias="Random")
    msg_body: list[Element] = Field(alias="MsgBody")
    offline_push_info: dict[str, Any] | None = Field(None, alias="OfflinePushInfo")
    forbid_callback_control: list[str] | None = Field(None, alias="ForbidCallbackControl")
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    send_msg_control: list[str] | None = Field(None, alias="SendMsgControl")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class SendOfficialAccountMsgReply(Reply):
    """`MsgKey` is `{seq}_1_{seconds}`."""  # [doc 60812]

    msg_time: int | None = Field(None, alias="MsgTime")
    msg_key: str | None = Field(None, alias="MsgKey")


class OfficialAccountMsgGetSimpleRequest(WireModel):
    """Without `LastMsgKey` the newest messages; afterwards older ones."""  # [doc 60812]

    official_account: str = Field(alias="Official_Account")
    last_msg_key: str | None = Field(None, alias="LastMsgKey")
    req_msg_number: int | None = Field(None, alias="ReqMsgNumber")
    with_recalled_msg: int | None = Field(None, alias="WithRecalledMsg")


class OfficialHistoryMessage(HistoryMessage):
    msg_key: str = Field(alias="MsgKey")


class OfficialAccountMsgGetSimpleReply(Reply):
    official_account: str | None = Field(None, alias="Official_Account")
    is_finished: int | None = Field(None, alias="IsFinished")
    last_msg_key: str | None = Field(None, alias="LastMsgKey")
    rsp_msg_list: list[OfficialHistoryMessage] = Field(alias="RspMsgList")


class OfficialAccountMsgRecallRequest(WireModel):
    official_account: str = Field(alias="Official_Account")
    msg_key_list: list[str] = Field(alias="MsgKeyList")
    reason: str | None = Field(None, alias="Reason")


class OfficialRecallResult(WireModel):
    msg_key: str = Field(alias="MsgKey")
    ret_code: int = Field(alias="RetCode")


class OfficialAccountMsgRecallReply(Reply):
    recall_ret_list: list[OfficialRecallResult] = Field(alias="RecallRetList")
