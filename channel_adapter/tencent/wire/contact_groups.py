"""Recent contacts: `recentcontact` conversation groups, marks, the conversation list [conversations 1].

All data belong to `From_Account`, a user. Two traps: `GroupId` of a conversation group is an integer, of a chat group
a string; and the chat group is `ToGroupId` everywhere but in `delete`, which spells it `ToGroupid` [doc 43088].
"""

from pydantic import Field

from channel_adapter.tencent.wire.envelope import Reply, WireModel

ONE_TO_ONE, GROUP = 1, 2  # Type of a conversation [doc 53437]
UPDATE_GROUP = 1  # UpdateType, the only value documented [doc 53439]
RENAME, CHANGE_CONVERSATIONS = 1, 2  # UpdateGroupType [doc 53439]
ADD, REMOVE = 1, 2  # ContactOptType [doc 53439]
MARK_STANDARD, MARK_CUSTOM, MARK_BOTH = 1, 2, 3  # OptType [doc 53438]
BIT_STAR, BIT_UNREAD, BIT_FOLD, BIT_HIDE = 0, 1, 2, 3  # SetMark; 32-63 belong to the app [doc 53438, sdk-header]
ASSIST_FLAGS = 63  # get_list; "do not change" [doc 43087, 2026]


class ContactItem(WireModel):
    """A conversation: `To_Account` with Type 1, `ToGroupId` with Type 2."""  # [doc 53437]

    type: int = Field(alias="Type")
    to_account: str | None = Field(None, alias="To_Account")
    to_group_id: str | None = Field(None, alias="ToGroupId")


class ContactResult(WireModel):
    contact_item: ContactItem = Field(alias="ContactItem")
    result_code: int = Field(0, alias="ResultCode")
    result_info: str = Field("", alias="ResultInfo")


class ContactGroup(WireModel):
    """Name and number of a conversation group; a rename keeps the number."""  # [js-sdk]

    group_name: str = Field(alias="GroupName")
    group_id: int = Field(alias="GroupId")


class NewContactGroup(WireModel):
    """`GroupName` 1 to 32 bytes; at least one conversation."""  # [doc 53437]

    group_name: str = Field(alias="GroupName")
    contact_item: list[ContactItem] = Field(alias="ContactItem")


class CreateContactGroupRequest(WireModel):
    """An array, but exactly one element a call."""  # [doc 53437]

    from_account: str = Field(alias="From_Account")
    group_contact_item: list[NewContactGroup] = Field(alias="GroupContactItem")


class CreatedContactGroup(WireModel):
    group_item: ContactGroup = Field(alias="GroupItem")
    result_item: list[ContactResult] = Field(default_factory=list, alias="ResultItem")


class CreateContactGroupReply(Reply):
    group_result_item: list[CreatedContactGroup] = Field(alias="GroupResultItem")


class ContactUpdate(WireModel):
    contact_opt_type: int = Field(alias="ContactOptType")
    contact_item: ContactItem = Field(alias="ContactItem")


class ContactGroupUpdate(WireModel):
    """`NewGroupName` renames, `ContactUpdateItem` adds and removes, mixed in one call if need be."""  # [doc 53439]

    update_group_type: int = Field(alias="UpdateGroupType")
    old_group_name: str = Field(alias="OldGroupName")
    new_group_name: str | None = Field(None, alias="NewGroupName")
    contact_update_item: list[ContactUpdate] | None = Field(None, alias="ContactUpdateItem")


class UpdateContactGroupRequest(WireModel):
    from_account: str = Field(alias="From_Account")
    update_type: int = Field(UPDATE_GROUP, alias="UpdateType")
    update_group: ContactGroupUpdate = Field(alias="UpdateGroup")


class ContactUpdateResult(ContactResult):
    contact_opt_type: int = Field(alias="ContactOptType")


class ContactGroupUpdated(WireModel):
    """`ContactResultItem` only after a change of conversations."""  # [doc 53439]

    update_group_type: int = Field(alias="UpdateGroupType")
    group_name: str = Field(alias="GroupName")
    group_id: int = Field(alias="GroupId")
    old_group_name: str | None = Field(None, alias="OldGroupName")
    contact_result_item: list[ContactUpdateResult] | None = Field(None, alias="ContactResultItem")


class UpdateContactGroupReply(Reply):
    update_type: int = Field(UPDATE_GROUP, alias="UpdateType")
    update_group_result: ContactGroupUpdated = Field(alias="UpdateGroupResult")


class DelContactGroupRequest(WireModel):
    """An array of names, but one a call."""  # [doc 53441]

    from_account: str = Field(alias="From_Account")
    group_name: list[str] = Field(alias="GroupName")


class DelContactGroupReply(Reply):
    group_item: list[ContactGroup] = Field(alias="GroupItem")


class MarkItem(WireModel):
    """`SetMark` and `ClearMark` hold bit numbers; `CustomMark` at most 256 bytes."""  # [doc 53438]

    opt_type: int = Field(alias="OptType")
    contact_item: ContactItem = Field(alias="ContactItem")
    set_mark: list[int] | None = Field(None, alias="SetMark")
    clear_mark: list[int] | None = Field(None, alias="ClearMark")
    custom_mark: str | None = Field(None, alias="CustomMark")


class MarkContactRequest(WireModel):
    from_account: str = Field(alias="From_Account")
    mark_item: list[MarkItem] = Field(alias="MarkItem")


class MarkResult(ContactResult):
    opt_type: int = Field(alias="OptType")


class MarkContactReply(Reply):
    result_item: list[MarkResult] = Field(alias="ResultItem")


class ContactEntry(ContactItem):
    """A conversation with its marks and groups. The last character of `StandardMark` is bit 0."""  # [js-sdk]

    standard_mark: str | None = Field(None, alias="StandardMark")
    custom_mark: str | None = Field(None, alias="CustomMark")
    contact_group_id: list[int] | None = Field(None, alias="ContactGroupId")
    timestamp: int | None = Field(None, alias="Timestamp")


class SearchContactGroupRequest(WireModel):
    from_account: str = Field(alias="From_Account")
    contact_item: list[ContactItem] = Field(alias="ContactItem")


class SearchContactGroupReply(Reply):
    """The array is `ContactResultItem` here and `ContactItem` in `get_contact_group`."""  # [doc 53442]

    contact_result_item: list[ContactEntry] = Field(default_factory=list, alias="ContactResultItem")
    group_item: list[ContactGroup] = Field(default_factory=list, alias="GroupItem")


class GetContactGroupRequest(WireModel):
    """`StartIndex` is 0 first, then the last `NextStartIndex`."""  # [doc 53440]

    from_account: str = Field(alias="From_Account")
    start_index: int = Field(0, alias="StartIndex")


class GetContactGroupReply(Reply):
    """`CompleteFlag` 1 ends the list."""  # [doc 53440]

    contact_item: list[ContactEntry] = Field(default_factory=list, alias="ContactItem")
    group_item: list[ContactGroup] = Field(default_factory=list, alias="GroupItem")
    complete_flag: int = Field(1, alias="CompleteFlag")
    next_start_index: int = Field(0, alias="NextStartIndex")


class GetListRequest(WireModel):
    """Positions among normal and pinned conversations: 0 first, then what the reply gave."""  # [doc 43087]

    from_account: str = Field(alias="From_Account")
    time_stamp: int = Field(0, alias="TimeStamp")
    start_index: int = Field(0, alias="StartIndex")
    top_time_stamp: int = Field(0, alias="TopTimeStamp")
    top_start_index: int = Field(0, alias="TopStartIndex")
    assist_flags: int = Field(ASSIST_FLAGS, alias="AssistFlags")


class SessionItem(WireModel):
    """A recent conversation; `GroupId` is the chat group here. No unread count."""  # [doc 43087]

    type: int = Field(alias="Type")
    to_account: str | None = Field(None, alias="To_Account")
    group_id: str | None = Field(None, alias="GroupId")
    msg_time: int | None = Field(None, alias="MsgTime")
    top_flag: int | None = Field(None, alias="TopFlag")
    standard_mark: str | None = Field(None, alias="StandardMark")
    custom_mark: str | None = Field(None, alias="CustomMark")
    contact_group_id: list[int] | None = Field(None, alias="ContactGroupId")


class GetListReply(Reply):
    session_item: list[SessionItem] = Field(default_factory=list, alias="SessionItem")
    complete_flag: int = Field(1, alias="CompleteFlag")
    time_stamp: int = Field(0, alias="TimeStamp")
    start_index: int = Field(0, alias="StartIndex")
    top_time_stamp: int = Field(0, alias="TopTimeStamp")
    top_start_index: int = Field(0, alias="TopStartIndex")


class DeleteRequest(WireModel):
    """`ToGroupid` is spelled like that; `ClearRamble` 1 also wipes the user's stored history."""  # [doc 43088]

    from_account: str = Field(alias="From_Account")
    type: int = Field(alias="Type")
    to_account: str | None = Field(None, alias="To_Account")
    to_groupid: str | None = Field(None, alias="ToGroupid")
    clear_ramble: int | None = Field(None, alias="ClearRamble")


class DeleteReply(Reply):
    pass
