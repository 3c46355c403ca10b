"""Official accounts."""

from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.msg_body import Element, ReceivedElement
from channel_adapter.tencent.wire.official_accounts import (
    AddSubscriberReply,
    AddSubscriberRequest,
    CreateOfficialAccountReply,
    CreateOfficialAccountRequest,
    DeleteSubscriberReply,
    DeleteSubscriberRequest,
    DestroyOfficialAccountReply,
    DestroyOfficialAccountRequest,
    GetOfficialAccountInfoReply,
    GetOfficialAccountInfoRequest,
    GetSubscribedOfficialAccountListReply,
    GetSubscribedOfficialAccountListRequest,
    GetSubscriberInfoReply,
    GetSubscriberInfoRequest,
    ModifyOfficialAccountBaseInfoReply,
    ModifyOfficialAccountBaseInfoRequest,
    ModifySubscriberInfoReply,
    ModifySubscriberInfoRequest,
    OfficialAccountInfo,
    OfficialAccountItem,
    OfficialAccountMsgGetSimpleReply,
    OfficialAccountMsgGetSimpleRequest,
    OfficialAccountMsgRecallReply,
    OfficialAccountMsgRecallRequest,
    OfficialHistoryMessage,
    OfficialRecallResult,
    OfficialResponseFilter,
    SendOfficialAccountMsgReply,
    SendOfficialAccountMsgRequest,
    SubscribedOfficialAccount,
    SubscribedResponseFilter,
    SubscriberItem,
    SubscriberResult,
    SubscriberRow,
    SubscriptionSelfInfo,
)
from tests.golden.by_hand import Exchanges

HARBOR = "@TOA#_harbor_news"
GONE = "@TOA#_gone"
TIDES = Element(msg_type="TIMTextElem", msg_content={"Text": "High water at noon"})

PROFILE: Exchanges = {
    "official_account_open_http_svc/create_official_account": (
        CreateOfficialAccountRequest(
            owner_account="u_editor7",
            official_account_user_id=HARBOR,
            name="Harbor News",
            introduction="Tides and ferries",
            face_url="https://static.example.org/h.png",
            max_subscriber_num=50000,
            organization="Harbour Press",
            custom_string='{"city":7}',
        ),
        CreateOfficialAccountReply(official_account_user_id=HARBOR),
    ),
    "official_account_open_http_svc/create_official_account.taken": (
        CreateOfficialAccountRequest(
            owner_account="u_editor7", official_account_user_id=HARBOR, name="Harbor News"
        ),
        ApiError(130008, "official account id is used"),
    ),
    "official_account_open_http_svc/create_official_account.bad_id": (
        CreateOfficialAccountRequest(
            owner_account="u_editor7", official_account_user_id="harbor_news", name="Harbor News"
        ),
        ApiError(130007, "official account id is wrong"),
    ),
    "official_account_open_http_svc/create_official_account.not_enabled": (
        CreateOfficialAccountRequest(owner_account="u_editor7", name="Harbor News"),
        ApiError(131000, "not enabled"),
    ),
    "official_account_open_http_svc/destroy_official_account": (
        DestroyOfficialAccountRequest(official_account=HARBOR),
        DestroyOfficialAccountReply(),
    ),
    "official_account_open_http_svc/destroy_official_account.gone": (
        DestroyOfficialAccountRequest(official_account=GONE),
        ApiError(130004, "official account not exist"),
    ),
    "official_account_open_http_svc/modify_official_account_base_info": (
        ModifyOfficialAccountBaseInfoRequest(
            official_account=HARBOR,
            name="Harbor News Daily",
            introduction="Daily",
            face_url="https://static.example.org/h2.png",
            organization="Harbour Press",
            custom_string="{}",
            max_subscriber_num=200,
        ),
        ModifyOfficialAccountBaseInfoReply(),
    ),
    "official_account_open_http_svc/get_official_account_info": (
        GetOfficialAccountInfoRequest(
            official_account_id_list=[
                OfficialAccountItem(official_account=HARBOR),
                OfficialAccountItem(official_account=GONE),
            ],
            response_filter=OfficialResponseFilter(
                official_account_base_info_filter=[
                    "CreateTime", "Name", "Owner_Account", "LastMsgTime", "SubscriberNum", "Introduction", "FaceUrl",
                    "Organization", "CustomString",
                ]
            ),
        ),
        GetOfficialAccountInfoReply(
            official_account_info_list=[
                OfficialAccountInfo(
                    official_account=HARBOR, error_code=0, error_info="", create_time=1735700000, name="Harbor News",
                    owner_account="u_editor7", last_msg_time=0, subscriber_num=0, introduction="Tides and ferries",
                    face_url="", organization="Harbour Press", custom_string="",
                ),
                OfficialAccountInfo(
                    official_account=GONE, error_code=130004, error_info="official account not exist"
                ),
            ]
        ),
    ),
    "official_account_open_http_svc/get_official_account_info.sdk": (
        GetOfficialAccountInfoRequest(official_account_id_list=[OfficialAccountItem(official_account=HARBOR)]),
        GetOfficialAccountInfoReply(
            official_account_info_list=[OfficialAccountInfo(name="Harbor News", max_subscriber_num=100000)]
        ),
    ),
}  # fmt: skip

SUBSCRIBERS: Exchanges = {
    "official_account_open_http_svc/add_subscriber": (
        AddSubscriberRequest(
            official_account=HARBOR,
            subscriber_list=[
                SubscriberItem(subscriber_account="u_1"),
                SubscriberItem(subscriber_account="u_2"),
                SubscriberItem(subscriber_account="u_ghost"),
            ],
        ),
        AddSubscriberReply(
            subscriber_list=[
                SubscriberResult(subscriber_account="u_1", result=2),
                SubscriberResult(subscriber_account="u_2", result=1),
                SubscriberResult(subscriber_account="u_ghost", result=0),
            ]
        ),
    ),
    "official_account_open_http_svc/add_subscriber.empty": (
        AddSubscriberRequest(official_account=HARBOR, subscriber_list=[]),
        ApiError(6017, "SubscriberList is empty"),
    ),
    "official_account_open_http_svc/delete_subscriber": (
        DeleteSubscriberRequest(official_account=HARBOR, subscriber_to_del_account=["u_1", "u_2"]),
        DeleteSubscriberReply(
            subscriber_list=[
                SubscriberResult(subscriber_account="u_1", result=1),
                SubscriberResult(subscriber_account="u_2", result=2),
            ]
        ),
    ),
    "official_account_open_http_svc/delete_subscriber.table": (
        DeleteSubscriberRequest(
            official_account=HARBOR,
            subscriber_list=[SubscriberItem(subscriber_account="u_1"), SubscriberItem(subscriber_account="u_2")],
        ),
        DeleteSubscriberReply(
            subscriber_list=[
                SubscriberResult(subscriber_account="u_1", result=1),
                SubscriberResult(subscriber_account="u_2", result=2),
            ]
        ),
    ),
    "official_account_open_http_svc/get_subscriber_info": (
        GetSubscriberInfoRequest(official_account=HARBOR, limit=200, next=""),
        GetSubscriberInfoReply(
            next="",
            subscriber_num=1,
            subscriber_list=[
                SubscriberRow(
                    subscriber_account="u_1",
                    subscribe_time=1735700001,
                    custom_string="",
                    msg_flag="AcceptAndNotify",
                    last_send_msg_time=0,
                )
            ],
        ),
    ),
    "official_account_open_http_svc/modify_subscriber_info": (
        ModifySubscriberInfoRequest(official_account=HARBOR, subscriber_account="u_1", custom_string="gold"),
        ModifySubscriberInfoReply(),
    ),
    "official_account_open_http_svc/get_subscribed_official_account_list": (
        GetSubscribedOfficialAccountListRequest(
            subscriber_account="u_1",
            limit=200,
            offset=0,
            response_filter=SubscribedResponseFilter(
                official_account_base_info_filter=["Name", "SubscriberNum"],
                self_info_filter=["SubscribeTime", "CustomString"],
            ),
        ),
        GetSubscribedOfficialAccountListReply(
            official_account_info_list=[
                SubscribedOfficialAccount(
                    official_account=HARBOR,
                    name="Harbor News",
                    subscriber_num=1,
                    self_info=SubscriptionSelfInfo(subscribe_time=1735700001, custom_string=""),
                )
            ],
            total_count=1,
            complete_flag=1,
            next=1,
        ),
    ),
}

MESSAGES: Exchanges = {
    "official_account_open_http_svc/send_official_account_msg": (
        SendOfficialAccountMsgRequest(
            official_account=HARBOR,
            random=41,
            msg_body=[TIDES],
            offline_push_info={"PushFlag": 0, "Title": "Harbor News"},
            forbid_callback_control=["ForbidAfterSendMsgCallback"],
            send_msg_control=["NoLastMsg"],
            cloud_custom_data='{"v":1}',
        ),
        SendOfficialAccountMsgReply(msg_time=1736000000, msg_key="1_1_1736000000"),
    ),
    "official_account_open_http_svc/send_official_account_msg.online_only": (
        SendOfficialAccountMsgRequest(
            official_account=HARBOR,
            random=42,
            msg_body=[Element(msg_type="TIMTextElem", msg_content={"Text": "ferry leaves now"})],
            online_only_flag=1,
        ),
        SendOfficialAccountMsgReply(msg_time=1736000000, msg_key="1_1_1736000000"),
    ),
    "official_account_open_http_svc/official_account_msg_get_simple": (
        OfficialAccountMsgGetSimpleRequest(official_account=HARBOR, req_msg_number=20, with_recalled_msg=1),
        OfficialAccountMsgGetSimpleReply(
            official_account=HARBOR,
            is_finished=1,
            last_msg_key="1_1_1736000000",
            rsp_msg_list=[
                OfficialHistoryMessage(
                    from_account=HARBOR,
                    is_place_msg=0,
                    msg_body=[ReceivedElement(msg_type=TIDES.msg_type, msg_content=TIDES.msg_content)],
                    msg_key="1_1_1736000000",
                    msg_seq=1,
                    msg_time_stamp=1736000000,
                    msg_random=41,
                    msg_priority=2,
                )
            ],
        ),
    ),
    "official_account_open_http_svc/official_account_msg_get_simple.older_page": (
        OfficialAccountMsgGetSimpleRequest(official_account=HARBOR, last_msg_key="41_1_1736000000", req_msg_number=20),
        OfficialAccountMsgGetSimpleReply(
            official_account=HARBOR,
            is_finished=2,
            last_msg_key="40_1_1735900000",
            rsp_msg_list=[
                OfficialHistoryMessage(
                    from_account=HARBOR,
                    is_place_msg=1,
                    is_system_msg=0,
                    msg_body=[],
                    msg_key="40_1_1735900000",
                    msg_seq=40,
                    msg_time_stamp=1735900000,
                )
            ],
        ),
    ),
    "official_account_open_http_svc/official_account_msg_recall": (
        OfficialAccountMsgRecallRequest(official_account=HARBOR, msg_key_list=["99_1_1736000000"], reason="wrong hour"),
        OfficialAccountMsgRecallReply(
            recall_ret_list=[OfficialRecallResult(msg_key="99_1_1736000000", ret_code=10030)]
        ),
    ),
    "official_account_open_http_svc/official_account_msg_recall.gone": (
        OfficialAccountMsgRecallRequest(official_account=GONE, msg_key_list=["1_1_1736000000"]),
        ApiError(10010, "official account not exist"),
    ),
}

EXCHANGES: Exchanges = {**PROFILE, **SUBSCRIBERS, **MESSAGES}
