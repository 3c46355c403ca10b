"""User profiles: `profile` portrait_set and portrait_get [rest basics 6.8]."""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel

NICK = "Tag_Profile_IM_Nick"  # Tag [doc 1500]
IMAGE = "Tag_Profile_IM_Image"
SELF_SIGNATURE = "Tag_Profile_IM_SelfSignature"
GENDER = "Tag_Profile_IM_Gender"
BIRTH_DAY = "Tag_Profile_IM_BirthDay"
LANGUAGE = "Tag_Profile_IM_Language"
LEVEL = "Tag_Profile_IM_Level"
ROLE = "Tag_Profile_IM_Role"
LOCATION = "Tag_Profile_IM_Location"
ALLOW_TYPE = "Tag_Profile_IM_AllowType"
ADMIN_FORBID_TYPE = "Tag_Profile_IM_AdminForbidType"
MSG_SETTINGS = "Tag_Profile_IM_MsgSettings"  # in SDKs, not in doc 33520
CUSTOM_PREFIX = "Tag_Profile_Custom_"  # followed by up to 8 letters

GENDERS = ("Gender_Type_Unknown", "Gender_Type_Female", "Gender_Type_Male")
ALLOW_TYPES = ("AllowType_Type_NeedConfirm", "AllowType_Type_AllowAny", "AllowType_Type_DenyAny")
ADMIN_FORBID_TYPES = ("AdminForbid_Type_None", "AdminForbid_Type_SendOut")


class ProfileItem(WireModel):
    """Texts are strings, `BirthDay`, `Language`, `Level`, `Role` and `MsgSettings` are numbers."""  # [doc 1500]

    tag: str = Field(alias="Tag")
    value: str | int = Field(alias="Value")


class PortraitSetRequest(WireModel):
    """`From_Account` is the one whose profile is set."""  # [doc 1640]

    from_account: str = Field(alias="From_Account")
    profile_item: list[ProfileItem] = Field(alias="ProfileItem")


class PortraitSetReply(Reply):
    pass


class PortraitGetRequest(WireModel):
    to_account: list[str] = Field(alias="To_Account")
    tag_list: list[str] = Field(alias="TagList")


class UserProfile(WireModel):
    """A failed item has no `ProfileItem`."""  # [doc 1639]

    to_account: str = Field(alias="To_Account")
    profile_item: list[ProfileItem] | None = Field(None, alias="ProfileItem")
    result_code: int = Field(0, alias="ResultCode")
    result_info: str = Field("", alias="ResultInfo")


class PortraitGetReply(Reply):
    """`Fail_Account` is there only when something failed."""  # [doc 1639]

    user_profile_item: list[UserProfile] = Field(default_factory=list, alias="UserProfileItem")
    fail_account: list[str] | None = Field(None, alias="Fail_Account")
