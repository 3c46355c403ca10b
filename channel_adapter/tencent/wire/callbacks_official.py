"""Webhooks of official accounts: `OfficialAccount.*` [webhooks 7]."""

from typing import ClassVar

from pydantic import Field

from channel_adapter.tencent.wire.callback_envelope import Callback, Seconds
from channel_adapter.tencent.wire.envelope import WireModel
from channel_adapter.tencent.wire.msg_body import Element
from channel_adapter.tencent.wire.official_accounts import SubscriberItem


class OfficialCallback(Callback):
    """About one account. No command includes its type, and not all include the operator."""

    official_account: str | None = Field(None, alias="Official_Account")
    operator_account: str | None = Field(None, alias="Operator_Account")


class BeforeCreateOfficialAccount(OfficialCallback):
    """Has no id yet. A refusal reaches the caller as 20006."""  # [doc 60795]

    command: ClassVar[str] = "OfficialAccount.CallbackBeforeCreateOfficialAccount"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")


class AfterCreateOfficialAccount(OfficialCallback):
    command: ClassVar[str] = "OfficialAccount.CallbackAfterCreateOfficialAccount"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")


class AfterOfficialAccountInfoChanged(OfficialCallback):
    """Only what has changed."""  # [java-sdk, inferred]

    command: ClassVar[str] = "OfficialAccount.CallbackAfterOfficialAccountInfoChanged"
    name: str | None = Field(None, alias="Name")
    introduction: str | None = Field(None, alias="Introduction")
    face_url: str | None = Field(None, alias="FaceUrl")
    organization: str | None = Field(None, alias="Organization")


class AfterOfficialAccountDestroyed(OfficialCallback):
    command: ClassVar[str] = "OfficialAccount.CallbackAfterOfficialAccountDestroyed"
    owner_account: str | None = Field(None, alias="Owner_Account")
    name: str | None = Field(None, alias="Name")


class SubscribersCallback(OfficialCallback):
    """The list is called `SubscriberList` in the REST API, not so here."""  # [doc 60799]

    subscribe_account_list: list[SubscriberItem] | None = Field(None, alias="SubscribeAccountList")


class BeforeAddSubscriber(SubscribersCallback):
    command: ClassVar[str] = "OfficialAccount.CallbackBeforeAddSubscriber"


class AfterAddSubscriber(SubscribersCallback):
    command: ClassVar[str] = "OfficialAccount.CallbackAfterAddSubscriber"


class AfterOfficialAccountFull(OfficialCallback):
    command: ClassVar[str] = "OfficialAccount.CallbackAfterOfficialAccountFull"


class AfterDeleteSubscriber(SubscribersCallback):
    """Does not include whether the users left or were removed."""  # [doc 60802]

    command: ClassVar[str] = "OfficialAccount.CallbackAfterDeleteSubscriber"


class BroadcastCallback(OfficialCallback):
    online_only_flag: int | None = Field(None, alias="OnlineOnlyFlag")
    msg_body: list[Element] | None = Field(None, alias="MsgBody")
    cloud_custom_data: str | None = Field(None, alias="CloudCustomData")


class OfficialBeforeSendMsg(BroadcastCallback):
    """Neither `Random` nor operator."""  # [doc 60803]

    command: ClassVar[str] = "OfficialAccount.CallbackBeforeSendMsg"


class OfficialAfterSendMsg(BroadcastCallback):
    """Comes when the subscribers have it; `MsgTime` in seconds."""  # [doc 60804]

    command: ClassVar[str] = "OfficialAccount.CallbackAfterSendMsg"
    msg_key: str | None = Field(None, alias="MsgKey")
    msg_time: Seconds = Field(None, alias="MsgTime")


class MsgKeyItem(WireModel):
    msg_key: str = Field(alias="MsgKey")


class AfterMsgWithDraw(OfficialCallback):
    """Written with this capital D."""  # [doc 60805]

    command: ClassVar[str] = "OfficialAccount.CallbackAfterMsgWithDraw"
    withdraw_msg_list: list[MsgKeyItem] | None = Field(None, alias="WithdrawMsgList")


OFFICIAL_CALLBACKS: tuple[type[Callback], ...] = (
    BeforeCreateOfficialAccount, AfterCreateOfficialAccount, AfterOfficialAccountInfoChanged,
    AfterOfficialAccountDestroyed, BeforeAddSubscriber, AfterAddSubscriber, AfterOfficialAccountFull,
    AfterDeleteSubscriber, OfficialBeforeSendMsg, OfficialAfterSendMsg, AfterMsgWithDraw,
)  # fmt: skip
