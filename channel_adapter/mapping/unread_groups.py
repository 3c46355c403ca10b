"""Conversation groups, marks and read positions of a person: domain values to wire bodies and back.

The family's traps, each dealt with in one place below:

- a chat group is `ToGroupId` in a conversation, `ToGroupid` in `delete` and `GroupId` in `get_list` [doc 53437, 43088];
- `GroupId` in `GroupItem` is a number, that of the conversation group, beside all those texts [doc 53437];
- conversations are `ContactItem` in `get_contact_group`, `ContactResultItem` in `search_contact_group` [doc 53442];
- `GroupContactItem` and `GroupName` are arrays that hold exactly one element [doc 53437, 53441];
- `StandardMark` is read from its right end and has no fixed length [js-sdk].
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.post import PostRef
from channel_adapter.domain.unread import ConversationGroup, CountSource, Explanation, Marks
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.ids import post_number, post_ref
from channel_adapter.mapping.text import require_text
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import contact_groups as wire
from channel_adapter.tencent.wire import groups, members

COUNTED_TYPES: Final = (groups.COMMUNITY, groups.PUBLIC, groups.PRIVATE)
"""Types whose unread messages a client counts; meetings and live rooms have no such number [doc 48320]."""

LIST_FIELDS: Final = ("Name", "NextMsgSeq", "LastMsgTime")
CHAT_FIELDS: Final = ("NextMsgSeq",)
SELF_FIELDS: Final = (("MsgFlag", "MsgSeq", "UnreadMsgNum"), ("MsgFlag", "MsgSeq"), ("MsgFlag",))
"""What is asked of a person's own data, and what instead when the service does not know a field [12]."""

FULL: Final = frozenset({codes.TOO_MANY_CONVERSATIONS, codes.TOO_MANY_CONTACT_GROUPS})


def group_name(name: object, what: str = "name") -> str:
    """`name`, if it can name a conversation group: 1 to 32 bytes [doc 53437]. Raises InvalidError."""
    return require_text(name, what, limits.CONTACT_GROUP_NAME_BYTES, empty=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat group, or the partner of a one-to-one conversation."""

    id: str
    one_to_one: bool = False

    @property
    def may_be_channel(self) -> bool:
        """Has it the id of a Community? Only then it can be a channel, or have been one."""
        return not self.one_to_one and self.id.startswith(limits.COMMUNITY_ID_PREFIX)


@dataclass(slots=True)
class Filed:
    """Everything that is filed for one person: numbers and names of the groups, and what is in them."""

    groups: dict[int, str] = field(default_factory=dict)
    inside: dict[Conversation, tuple[int, ...]] = field(default_factory=dict)

    def add(self, page: wire.GetContactGroupReply) -> None:
        """One more page; each repeats groups, and a later one may know more of them [js-sdk]."""
        self.groups |= {item.group_id: item.group_name for item in page.group_item}
        self.inside |= {from_item(entry): tuple(entry.contact_group_id or ()) for entry in page.contact_item}

    def has(self, name: str) -> bool:
        """Is there a group of this name?"""
        return name in self.groups.values()

    def of(self, name: str) -> list[Conversation]:
        """The conversations in one group, oldest entry first."""
        numbers = {number for number, known in self.groups.items() if known == name}
        return [each for each, inside in self.inside.items() if not numbers.isdisjoint(inside)]

    def as_groups(self) -> list[ConversationGroup]:
        """All groups, empty ones too, in the order of their numbers."""
        return [
            ConversationGroup(
                name,
                tuple(ChannelId(each.id) for each in self.of(name) if each.may_be_channel),
                tuple(each.id for each in self.of(name) if not each.may_be_channel),
            )
            for _, name in sorted(self.groups.items())
        ]


def to_item(conversation: Conversation) -> wire.ContactItem:
    """`To_Account` goes with type 1, `ToGroupId` with type 2; the other one must be absent."""
    if conversation.one_to_one:
        return wire.ContactItem(type=wire.ONE_TO_ONE, to_account=conversation.id)
    return wire.ContactItem(type=wire.GROUP, to_group_id=conversation.id)


def from_item(item: wire.ContactItem) -> Conversation:
    """The id that belongs to the type, whatever else is in the item."""
    if item.type == wire.ONE_TO_ONE:
        return Conversation(item.to_account or "", one_to_one=True)
    return Conversation(item.to_group_id or "")


def create_request(user: UserId, name: str, first: Sequence[Conversation]) -> wire.CreateContactGroupRequest:
    """A group cannot be created empty [doc 53437]."""
    items = [to_item(each) for each in first]
    new = wire.NewContactGroup(group_name=name, contact_item=items)
    return wire.CreateContactGroupRequest(from_account=user, group_contact_item=[new])


def change_request(
    user: UserId, name: str, add: Iterable[Conversation], remove: Iterable[Conversation] = ()
) -> wire.UpdateContactGroupRequest:
    """Removals stand first: they make room. The group is named by `OldGroupName` though nothing is renamed."""
    items = [
        wire.ContactUpdate(contact_opt_type=operation, contact_item=to_item(each))
        for operation, conversations in ((wire.REMOVE, remove), (wire.ADD, add))
        for each in conversations
    ]
    update = wire.ContactGroupUpdate(
        update_group_type=wire.CHANGE_CONVERSATIONS, old_group_name=name, contact_update_item=items
    )
    return wire.UpdateContactGroupRequest(from_account=user, update_group=update)


def rename_request(user: UserId, old: str, new: str) -> wire.UpdateContactGroupRequest:
    """The number stays [js-sdk]."""
    update = wire.ContactGroupUpdate(update_group_type=wire.RENAME, old_group_name=old, new_group_name=new)
    return wire.UpdateContactGroupRequest(from_account=user, update_group=update)


def delete_request(user: UserId, name: str) -> wire.DelContactGroupRequest:
    """One name a call, in an array."""
    return wire.DelContactGroupRequest(from_account=user, group_name=[name])


def page_request(user: UserId, start: int) -> wire.GetContactGroupRequest:
    """`StartIndex` is 0, then what the last page said."""
    return wire.GetContactGroupRequest(from_account=user, start_index=start)


def results_of_creation(reply: wire.CreateContactGroupReply) -> dict[Conversation, tuple[int, str]]:
    """Code and text of every conversation that was not put in."""
    return _failures(item for created in reply.group_result_item for item in created.result_item)


def results_of_change(reply: wire.UpdateContactGroupReply) -> dict[Conversation, tuple[int, str]]:
    """Code and text of every conversation that was not put in or taken out."""
    return _failures(reply.update_group_result.contact_result_item or ())


def _failures(results: Iterable[wire.ContactResult]) -> dict[Conversation, tuple[int, str]]:
    return {
        from_item(item.contact_item): (item.result_code, item.result_info)
        for item in results
        if item.result_code != codes.OK
    }


def mark_request(
    user: UserId, channel: ChannelId, bits: Mapping[int, bool], text: str | None = None
) -> wire.MarkContactRequest:
    """Set and clear standard bits, and set the custom text unless it is None."""
    kind = wire.MARK_CUSTOM if not bits else wire.MARK_STANDARD if text is None else wire.MARK_BOTH
    item = wire.MarkItem(
        opt_type=kind,
        contact_item=to_item(Conversation(channel)),
        set_mark=[bit for bit, on in bits.items() if on] or None,
        clear_mark=[bit for bit, on in bits.items() if not on] or None,
        custom_mark=text,
    )
    return wire.MarkContactRequest(from_account=user, mark_item=[item])


def custom_mark(text: object) -> str:
    """`text`, if it fits: 256 bytes [doc 53438]. Raises InvalidError."""
    return require_text(text, "text", limits.CUSTOM_MARK_BYTES)


def search_request(user: UserId, channels: Iterable[ChannelId]) -> wire.SearchContactGroupRequest:
    """What is filed about named conversations, up to 300 a call [doc 53442]."""
    return wire.SearchContactGroupRequest(
        from_account=user, contact_item=[to_item(Conversation(channel)) for channel in channels]
    )


def marks_of(channel: ChannelId, reply: wire.SearchContactGroupReply) -> Marks:
    """No marks for a conversation that is returned bare, or not at all [unknown which]."""
    for entry in reply.contact_result_item:
        if from_item(entry) == Conversation(channel):
            bits = entry.standard_mark or ""
            return Marks(
                starred=has_bit(bits, wire.BIT_STAR),
                hidden=has_bit(bits, wire.BIT_HIDE),
                folded=has_bit(bits, wire.BIT_FOLD),
                text=entry.custom_mark or "",
            )
    return Marks()


def has_bit(mark: str, bit: int) -> bool:
    """Is this bit set? The last character is bit 0; what the text is too short for is not set."""
    return bit < len(mark) and mark[-1 - bit] == "1"


def joined_request(user: UserId, offset: int, size: int, kind: str, fallback: int) -> groups.GetJoinedGroupListRequest:
    """One page of a person's groups of one type, with what counting needs; `fallback` is an index of SELF_FIELDS.

    Always by type: an untyped list cannot be trusted to hold Communities [5].
    """
    community = kind == groups.COMMUNITY
    return groups.GetJoinedGroupListRequest(
        member_account=user,
        limit=size,
        offset=offset,
        group_type=kind,
        support_topic=0 if community else None,
        response_filter=groups.JoinedResponseFilter(
            group_base_info_filter=list(LIST_FIELDS if community else CHAT_FIELDS),
            self_info_filter=list(SELF_FIELDS[fallback]),
        ),
    )


def followed_request(user: UserId, offset: int, size: int) -> groups.GetJoinedGroupListRequest:
    """One page of a person's Communities without topics; without a filter there are only ids [docS 1625]."""
    return groups.GetJoinedGroupListRequest(
        member_account=user, limit=size, offset=offset, group_type=groups.COMMUNITY, support_topic=0
    )


def count(next_seq: int | None, own: members.Own | members.Member | None, uncounted: Sequence[int] = ()) -> int | None:
    """How many posts are unread; None when the service told too little [12].

    `uncounted` are numbers of posts known never to count, ascending.
    """
    if own is None:
        return None
    if isinstance(own, members.Own) and own.unread_msg_num is not None:
        return max(0, own.unread_msg_num)
    read = own.msg_seq
    if next_seq is None or read is None:
        return None
    return max(0, next_seq - 1 - read - len(_left_out(uncounted, read, next_seq - 1)))


def explain(next_seq: int | None, own: members.Own | members.Member, uncounted: Sequence[int] = ()) -> Explanation:
    """The inputs of `count`, and where they came from."""
    last = next_seq - 1 if next_seq is not None else None
    source = CountSource.POSITIONS if isinstance(own, members.Own) else CountSource.MEMBER
    if isinstance(own, members.Own) and own.unread_msg_num is not None:
        return Explanation(CountSource.SERVER, last, own.msg_seq)
    left_out = _left_out(uncounted, own.msg_seq, last) if last is not None and own.msg_seq is not None else ()
    return Explanation(source, last, own.msg_seq, left_out)


def _left_out(uncounted: Sequence[int], read: int, last: int) -> tuple[int, ...]:
    return tuple(seq for seq in uncounted if read < seq <= last) if uncounted else ()


def read_up_to(channel: ChannelId, up_to: object) -> int | datetime | None:
    """How far somebody has read: the number of a post of this channel, a moment, or None. Raises InvalidError."""
    if up_to is None:
        return None
    if isinstance(up_to, PostRef):
        of, number = post_ref(up_to, "up_to")
        if of != channel:
            raise InvalidError(f"up_to: post {number} is one of {of}", field="up_to")
        return number
    if isinstance(up_to, datetime):
        if up_to.utcoffset() is None:
            raise InvalidError(f"up_to: {up_to} has no time zone; give an aware datetime", field="up_to")
        return up_to
    return post_number(up_to, "up_to")


def unread_number(last: int, up_to: int) -> int:
    """What `set_unread_msg_num` is told so that everything up to post `up_to` is read. Raises InvalidError."""
    if up_to > last:
        raise InvalidError(f"up_to is {up_to}, and the last post is {last}", field="up_to", limit=last, size=up_to)
    return last - up_to
