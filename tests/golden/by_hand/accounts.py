"""Accounts, profiles, and the unread counts of one-to-one conversations."""

from channel_adapter.tencent.wire.accounts import (
    AccountCheckReply,
    AccountCheckRequest,
    AccountCheckResult,
    AccountDeleteReply,
    AccountDeleteRequest,
    AccountDeleteResult,
    AccountImportReply,
    AccountImportRequest,
    KickReply,
    KickRequest,
    MultiaccountImportReply,
    MultiaccountImportRequest,
    NewAccount,
    OnlineStatus,
    OnlineStatusError,
    PlatformStatus,
    QueryOnlineStatusReply,
    QueryOnlineStatusRequest,
    UserIdItem,
)
from channel_adapter.tencent.wire.envelope import ApiError
from channel_adapter.tencent.wire.profiles import (
    PortraitGetReply,
    PortraitGetRequest,
    PortraitSetReply,
    PortraitSetRequest,
    ProfileItem,
    UserProfile,
)
from channel_adapter.tencent.wire.unread import (
    AdminSetMsgReadReply,
    AdminSetMsgReadRequest,
    GetC2cUnreadMsgNumReply,
    GetC2cUnreadMsgNumRequest,
    PeerError,
    PeerUnread,
)
from tests.golden.by_hand import Exchanges

ACCOUNTS: Exchanges = {
    "im_open_login_svc/account_import": (
        AccountImportRequest(user_id="chan_owner_7", nick="Harbour News", face_url="https://static.example.org/h.png"),
        AccountImportReply(),
    ),
    "im_open_login_svc/account_import.older": (
        AccountImportRequest(identifier="chan_owner_7", nick="Harbour News"),
        AccountImportReply(),
    ),
    "im_open_login_svc/account_import.not_admin": (
        AccountImportRequest(user_id="chan_owner_7"),
        ApiError(60010, "identifier is not an app administrator"),
    ),
    "im_open_login_svc/account_import.expired": (
        AccountImportRequest(user_id="chan_owner_7"),
        ApiError(70001, "usersig expired"),
    ),
    "im_open_login_svc/multiaccount_import": (
        MultiaccountImportRequest(
            account_list=[
                NewAccount(user_id="chan_owner_7", nick="Harbour News", face_url="https://static.example.org/h.png"),
                NewAccount(user_id="reader-0001"),
            ]
        ),
        MultiaccountImportReply(),
    ),
    "im_open_login_svc/multiaccount_import.ids_only": (
        MultiaccountImportRequest(accounts=["reader-0001", "reader-0002"]),
        MultiaccountImportReply(),
    ),
    "im_open_login_svc/multiaccount_import.partial": (
        MultiaccountImportRequest(account_list=[NewAccount(user_id="chan_owner_7"), NewAccount(user_id="reader-0001")]),
        MultiaccountImportReply(fail_accounts=["reader-0001"]),
    ),
    "im_open_login_svc/account_check": (
        AccountCheckRequest(check_item=[UserIdItem(user_id="u_ann"), UserIdItem(user_id="u_ghost")]),
        AccountCheckReply(
            result_item=[
                AccountCheckResult(user_id="u_ann", result_code=0, result_info="", account_status="Imported"),
                AccountCheckResult(user_id="u_ghost", result_code=0, result_info="", account_status="NotImported"),
            ]
        ),
    ),
    "im_open_login_svc/account_delete": (
        AccountDeleteRequest(delete_item=[UserIdItem(user_id="u_ann"), UserIdItem(user_id="u_ghost")]),
        AccountDeleteReply(
            result_item=[
                AccountDeleteResult(result_code=0, result_info="", user_id="u_ann"),
                AccountDeleteResult(
                    result_code=70107, result_info="Err_TLS_PT_Open_Login_Account_Not_Exist", user_id="u_ghost"
                ),
            ]
        ),
    ),
    "im_open_login_svc/account_delete.not_enabled": (
        AccountDeleteRequest(delete_item=[UserIdItem(user_id="u_ann")]),
        ApiError(71000, "this app may not delete accounts"),
    ),
    "im_open_login_svc/kick": (KickRequest(user_id="u_ann"), KickReply()),
    "im_open_login_svc/kick.older": (KickRequest(identifier="u_ann"), KickReply()),
}

STATUS: Exchanges = {
    "openim/query_online_status": (
        QueryOnlineStatusRequest(to_account=["u_ann", "u_ghost"]),
        QueryOnlineStatusReply(
            query_result=[OnlineStatus(to_account="u_ann", status="Offline")],
            error_list=[OnlineStatusError(to_account="u_ghost", error_code=70107)],
        ),
    ),
    "openim/query_online_status.detail": (
        QueryOnlineStatusRequest(to_account=["u_ann", "u_ben"], is_need_detail=1),
        QueryOnlineStatusReply(
            query_result=[
                OnlineStatus(
                    to_account="u_ann",
                    status="Online",
                    detail=[
                        PlatformStatus(platform="IPhone", status="PushOnline"),
                        PlatformStatus(platform="Web", status="Online"),
                    ],
                ),
                OnlineStatus(to_account="u_ben", status="Offline"),
            ]
        ),
    ),
    "openim/get_c2c_unread_msg_num": (
        GetC2cUnreadMsgNumRequest(to_account="u_ann"),
        GetC2cUnreadMsgNumReply(all_c2c_unread_msg_num=0),
    ),
    "openim/get_c2c_unread_msg_num.peers": (
        GetC2cUnreadMsgNumRequest(to_account="u_ann", peer_account=["u_ben", "u_ghost"]),
        GetC2cUnreadMsgNumReply(
            c2c_unread_msg_num_list=[PeerUnread(peer_account="u_ben", c2c_unread_msg_num=4)],
            error_list=[PeerError(peer_account="u_ghost", error_code=70107)],
        ),
    ),
    "openim/admin_set_msg_read": (
        AdminSetMsgReadRequest(report_account="u_ann", peer_account="u_ben", msg_read_time=1750000000),
        AdminSetMsgReadReply(),
    ),
}

PROFILES: Exchanges = {
    "profile/portrait_set": (
        PortraitSetRequest(
            from_account="u_ann",
            profile_item=[
                ProfileItem(tag="Tag_Profile_IM_Nick", value="Ann 安"),
                ProfileItem(tag="Tag_Profile_IM_Image", value="https://static.example.org/a.png"),
                ProfileItem(tag="Tag_Profile_IM_SelfSignature", value="by the sea"),
                ProfileItem(tag="Tag_Profile_IM_Gender", value="Gender_Type_Female"),
                ProfileItem(tag="Tag_Profile_IM_BirthDay", value=19900101),
                ProfileItem(tag="Tag_Profile_IM_Language", value=1),
                ProfileItem(tag="Tag_Profile_IM_Level", value=3),
                ProfileItem(tag="Tag_Profile_IM_Role", value=2),
                ProfileItem(tag="Tag_Profile_IM_Location", value="harbour"),
                ProfileItem(tag="Tag_Profile_IM_AllowType", value="AllowType_Type_NeedConfirm"),
                ProfileItem(tag="Tag_Profile_IM_AdminForbidType", value="AdminForbid_Type_None"),
                ProfileItem(tag="Tag_Profile_IM_MsgSettings", value=1),
            ],
        ),
        PortraitSetReply(error_display=""),
    ),
    "profile/portrait_set.other_values": (
        PortraitSetRequest(
            from_account="u_ben",
            profile_item=[
                ProfileItem(tag="Tag_Profile_IM_Gender", value="Gender_Type_Male"),
                ProfileItem(tag="Tag_Profile_IM_Gender", value="Gender_Type_Unknown"),
                ProfileItem(tag="Tag_Profile_IM_AllowType", value="AllowType_Type_AllowAny"),
                ProfileItem(tag="Tag_Profile_IM_AllowType", value="AllowType_Type_DenyAny"),
                ProfileItem(tag="Tag_Profile_IM_AdminForbidType", value="AdminForbid_Type_SendOut"),
                ProfileItem(tag="Tag_Profile_Custom_", value="x"),
            ],
        ),
        ApiError(40009, "unknown tag"),
    ),
    "profile/portrait_get": (
        PortraitGetRequest(to_account=["chan_owner_7", "ghost"], tag_list=["Tag_Profile_IM_Nick"]),
        PortraitGetReply(
            error_display="",
            user_profile_item=[
                UserProfile(
                    to_account="chan_owner_7",
                    profile_item=[ProfileItem(tag="Tag_Profile_IM_Nick", value="Harbour News")],
                    result_code=0,
                    result_info="",
                ),
                UserProfile(to_account="ghost", result_code=40003, result_info="account not found"),
            ],
            fail_account=["ghost"],
        ),
    ),
}

EXCHANGES: Exchanges = {**ACCOUNTS, **STATUS, **PROFILES}
