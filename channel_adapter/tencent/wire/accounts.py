"""Accounts: `im_open_login_svc` import, check, delete, kick; online status [rest basics 6.2-6.6]."""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel

IMPORTED = "Imported"  # AccountStatus [doc 34956]
NOT_IMPORTED = "NotImported"

PLATFORM_NAMES = {"iOS": "IPhone"}  # OptPlatform -> Platform of query_online_status, where they differ [doc 35477]


class AccountImportRequest(WireModel):
    """Older clients send `Identifier` in place of `UserID`."""  # [go-sdk]

    user_id: str | None = Field(None, alias="UserID")
    identifier: str | None = Field(None, alias="Identifier")
    nick: str | None = Field(None, alias="Nick")
    face_url: str | None = Field(None, alias="FaceUrl")


class AccountImportReply(Reply):
    pass


class NewAccount(WireModel):
    user_id: str = Field(alias="UserID")
    nick: str | None = Field(None, alias="Nick")
    face_url: str | None = Field(None, alias="FaceUrl")


class MultiaccountImportRequest(WireModel):
    """`AccountList` since mid 2024, `Accounts` (ids only) before."""  # [doc 34954]

    account_list: list[NewAccount] | None = Field(None, alias="AccountList")
    accounts: list[str] | None = Field(None, alias="Accounts")


class MultiaccountImportReply(Reply):
    """`FailAccounts` is absent when all went well."""  # [doc 34954]

    fail_accounts: list[str] | None = Field(None, alias="FailAccounts")


class UserIdItem(WireModel):
    user_id: str = Field(alias="UserID")


class AccountCheckRequest(WireModel):
    check_item: list[UserIdItem] = Field(alias="CheckItem")


class AccountCheckResult(WireModel):
    user_id: str = Field(alias="UserID")
    result_code: int = Field(0, alias="ResultCode")
    result_info: str = Field("", alias="ResultInfo")
    account_status: str | None = Field(None, alias="AccountStatus")


class AccountCheckReply(Reply):
    result_item: list[AccountCheckResult] = Field(alias="ResultItem")


class AccountDeleteRequest(WireModel):
    delete_item: list[UserIdItem] = Field(alias="DeleteItem")


class AccountDeleteResult(WireModel):
    result_code: int = Field(0, alias="ResultCode")
    result_info: str = Field("", alias="ResultInfo")
    user_id: str = Field(alias="UserID")


class AccountDeleteReply(Reply):
    result_item: list[AccountDeleteResult] = Field(alias="ResultItem")


class KickRequest(WireModel):
    user_id: str | None = Field(None, alias="UserID")
    identifier: str | None = Field(None, alias="Identifier")


class KickReply(Reply):
    pass


class QueryOnlineStatusRequest(WireModel):
    to_account: list[str] = Field(alias="To_Account")
    is_need_detail: int | None = Field(None, alias="IsNeedDetail")


class PlatformStatus(WireModel):
    """One login; the page's sample writes `IPhone` and `Web`."""  # [doc 35477]

    platform: str = Field(alias="Platform")
    status: str = Field(alias="Status")


class OnlineStatus(WireModel):
    """`Detail` is there with IsNeedDetail 1 and for accounts that are online only."""  # [doc 35477]

    to_account: str = Field(alias="To_Account")
    status: str = Field(alias="Status")
    detail: list[PlatformStatus] | None = Field(None, alias="Detail")


class OnlineStatusError(WireModel):
    to_account: str = Field(alias="To_Account")
    error_code: int = Field(alias="ErrorCode")


class QueryOnlineStatusReply(Reply):
    query_result: list[OnlineStatus] = Field(default_factory=list, alias="QueryResult")
    error_list: list[OnlineStatusError] | None = Field(None, alias="ErrorList")
