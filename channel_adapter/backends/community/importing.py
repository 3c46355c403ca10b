"""Import of channels with their history: groups with a true age, posts with true times, members with join times.

One method is one call, unless its docstring says otherwise, so that a caller can record the result of every call.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from channel_adapter.backends.caller import Caller, item_error
from channel_adapter.backends.community import profile
from channel_adapter.backends.community.history import pages_downwards
from channel_adapter.backends.community.tag import Tag
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, read_pages
from channel_adapter.domain.channel import Channel, ChannelProfile
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import Notifications
from channel_adapter.errors import (
    ConfigurationError,
    ConflictError,
    InvalidError,
    NotFoundError,
    Origin,
    OutcomeUnknownError,
    PermissionDeniedError,
    UnavailableError,
)
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.subscription_member import MSG_FLAGS, NOTIFICATIONS, SUBSCRIBER_FIELDS
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    DELETE_GROUP_MEMBER,
    DESTROY_GROUP,
    GET_GROUP_INFO,
    GET_GROUP_MEMBER_INFO,
    GET_JOINED_GROUP_LIST,
    GET_SPECIFIED_GROUP_MEMBER_INFO,
    GROUP_MSG_GET_SIMPLE,
    GROUP_MSG_RECALL,
    IMPORT_GROUP,
    IMPORT_GROUP_MEMBER,
    IMPORT_GROUP_MSG,
    MODIFY_GROUP_BASE_INFO,
    MODIFY_GROUP_MEMBER_INFO,
    Command,
)
from channel_adapter.tencent.wire import groups, members, messages

_STATE_FIELDS: Final = (*profile.BASE_FIELDS, "NextMsgSeq")


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group that exists. `tag` is None for one that is not a channel. Times are unix seconds, 0 where unknown.

    `next_seq` is the number of its next message, `members` counts the owner.
    """

    channel: Channel
    tag: Tag | None
    next_seq: int
    members: int
    created_at: int
    last_post_at: int


@dataclass(frozen=True, slots=True)
class PostImport:
    """What came of one post: its number, or why it was refused."""

    seq: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MemberState:
    """When a member joined, in unix seconds, and how new posts reach them; None where that is unknown."""

    joined: int | None
    notifications: Notifications | None


class CommunityImporter:
    """Imports into Community groups and reads back what is there. `keys` are the custom group fields of channels."""

    posts_per_call: Final = limits.IMPORT_MESSAGES_PER_CALL
    recalls_per_call: Final = limits.RECALLS_PER_CALL
    groups_per_call: Final = limits.GROUP_INFO_PER_CALL
    removals_per_call: Final = limits.DELETE_MEMBERS_PER_CALL
    lookups_per_call: Final = limits.SPECIFIED_MEMBERS_PER_CALL

    def __init__(self, caller: Caller, keys: FieldKeys) -> None:
        self._caller = caller
        self._keys = keys

    # Groups

    async def check_edition(self, admin: str, probe: ChannelId) -> None:
        """Raise ConfigurationError where the app has no Communities, or may not import into them. Two calls.

        Nothing is written: the import that is tried has no message.
        """
        request = groups.GetJoinedGroupListRequest(
            member_account=admin, group_type=groups.COMMUNITY, support_topic=0, limit=1
        )
        await self._caller.call(GET_JOINED_GROUP_LIST, request)
        try:
            await self._caller.call(IMPORT_GROUP_MSG, messages.ImportGroupMsgRequest(group_id=probe, msg_list=[]))
        except (InvalidError, NotFoundError):
            return  # the command exists and found nothing to do
        except PermissionDeniedError as error:
            raise ConfigurationError(
                f"the app may not import into groups: {error.message}", field="edition", origin=error.origin
            ) from error

    async def inspect(self, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupState]:
        """Return the groups that exist, of at most 50. Raises the error of the first one that cannot be read."""
        request = groups.GetGroupInfoRequest(
            group_id_list=list(channels),
            response_filter=groups.GroupResponseFilter(
                group_base_info_filter=list(_STATE_FIELDS), app_defined_data_filter_group=self._keys.all()
            ),
        )
        found: dict[ChannelId, GroupState] = {}
        for item in (await self._caller.call(GET_GROUP_INFO, request)).group_info:
            if item.error_code in codes.NO_GROUP_CODES:
                continue
            if item.error_code != codes.OK:
                raise item_error(GET_GROUP_INFO, item.error_code, item.error_info)
            found[ChannelId(item.group_id)] = self._to_group_state(item)
        return found

    async def create(
        self, channel: ChannelId, owner: UserId, wanted: ChannelProfile, *, created_at: int, tag: Tag
    ) -> bool:
        """Create a group with its true age, without webhooks and notices; return False if the id is in use."""
        request = profile.import_request(channel, owner, wanted, self._keys, created_at=created_at, tag=tag)
        try:
            await self._caller.call(IMPORT_GROUP, request)
        except ConflictError as error:
            if error.code != codes.GROUP_ID_TAKEN:
                raise
            return False
        return True

    async def close(self, channel: ChannelId) -> None:
        """Allow only the owner and admins to post. Idempotent."""
        await self._caller.call(MODIFY_GROUP_BASE_INFO, profile.close_posting(channel))

    async def update(self, channel: ChannelId, change: ChannelProfile, tag: Tag | None) -> None:
        """Change the fields that `change` names, and the tag if one is given."""
        request = profile.update_request(channel, change, self._keys, tag=tag)
        if tag is not None and change.custom_data is None:
            tagged = profile.retag_request(channel, tag, self._keys).app_defined_data or []
            request = request.model_copy(update={"app_defined_data": [*tagged, *(request.app_defined_data or [])]})
        await self._caller.call(MODIFY_GROUP_BASE_INFO, request)

    async def destroy(self, channel: ChannelId) -> None:
        """Dissolve a group, whatever its tag says; one that does not exist is no error."""
        try:
            await self._caller.call(DESTROY_GROUP, groups.DestroyGroupRequest(group_id=channel))
        except NotFoundError as error:
            if error.code not in codes.NO_GROUP_CODES:
                raise

    # Posts

    async def import_posts(self, channel: ChannelId, posts: Sequence[messages.ImportedMessage]) -> list[PostImport]:
        """Import at most 7 posts, each later than all before. A call that is refused is repeated for each post.

        Raises OutcomeUnknownError where the reply lacks posts, and the error of a post that may be imported later.
        Others may have been imported then: they are in the history.
        """
        request = messages.ImportGroupMsgRequest(group_id=channel, msg_list=list(posts))
        try:
            results = (await self._caller.call(IMPORT_GROUP_MSG, request)).import_msg_result
        except InvalidError as error:
            if len(posts) == 1:
                return [_refused_post(error.code or codes.BAD_PARAMETER)]
            return [result for post in posts for result in await self.import_posts(channel, [post])]
        _require_all(IMPORT_GROUP_MSG, len(results), len(posts))
        return [
            PostImport(result.msg_seq) if result.result == codes.OK else _refused_post(result.result)
            for result in results
        ]

    async def raw_page(self, channel: ChannelId, top: int | None, max_items: int) -> list[messages.HistoryMessage]:
        """Return at most 20 messages from the number `top` (None: the newest) downwards, system messages included."""
        request = messages.GroupMsgGetSimpleRequest(
            group_id=channel,
            req_msg_number=min(max_items, limits.HISTORY_PER_CALL),
            req_msg_seq=top,
            with_recalled_msg=1,
        )
        return (await self._caller.call(GROUP_MSG_GET_SIMPLE, request)).rsp_msg_list

    def raw_pages(self, channel: ChannelId) -> AsyncGenerator[Sequence[messages.HistoryMessage], None]:
        """Yield all that history keeps of a group, newest first, 20 a call, system messages included."""
        return pages_downwards(partial(self.raw_page, channel), None)

    async def recall(self, channel: ChannelId, numbers: Sequence[int], reason: str) -> dict[int, str]:
        """Recall at most 10 posts; return why some were refused. Raises the error of one that may be recalled later.

        A post that does not exist any more, or was recalled before, is none that was refused.
        """
        items = [messages.MsgSeqItem(msg_seq=number) for number in numbers]
        request = messages.GroupMsgRecallRequest(group_id=channel, msg_seq_list=items, reason=reason)
        refused: dict[int, str] = {}
        for item in (await self._caller.call(GROUP_MSG_RECALL, request)).recall_ret_list:
            row = codes.look_up(GROUP_MSG_RECALL.service, GROUP_MSG_RECALL.name, item.ret_code)
            if item.ret_code == codes.OK or row.kind in (codes.ErrorKind.NOT_FOUND, codes.ErrorKind.ALREADY):
                continue
            if row.repeat is not codes.Repeat.NEVER:
                raise item_error(GROUP_MSG_RECALL, item.ret_code, "")
            refused[item.msg_seq] = f"{row.meaning} ({item.ret_code})"
        return refused

    # Members

    async def import_members(self, channel: ChannelId, batch: Sequence[members.ImportedMember]) -> dict[str, int]:
        """Import members with their join times; return the `Result` of each.

        Raises InvalidError for a refused call, OutcomeUnknownError where the reply lacks members.
        """
        request = members.ImportGroupMemberRequest(group_id=channel, member_list=list(batch))
        reply = await self._caller.call(IMPORT_GROUP_MEMBER, request)
        results = {item.member_account: item.result for item in reply.member_list}
        _require_all(IMPORT_GROUP_MEMBER, len(results), len({item.member_account for item in batch}))
        return results

    async def make_admin(self, channel: ChannelId, user: str) -> None:
        """Import a user as an admin, or change the role of a member. One call or two."""
        admin = members.ImportedMember(member_account=user, role=members.ADMIN)
        if (await self.import_members(channel, [admin])).get(user) == members.RESULT_ADDED:
            return
        request = members.ModifyGroupMemberInfoRequest(group_id=channel, member_account=user, role=members.ADMIN)
        await self._caller.call(MODIFY_GROUP_MEMBER_INFO, request)

    async def set_notifications(self, channel: ChannelId, user: str, wanted: Notifications) -> None:
        """Set how new posts reach a member."""
        request = members.ModifyGroupMemberInfoRequest(
            group_id=channel, member_account=user, msg_flag=MSG_FLAGS[wanted]
        )
        await self._caller.call(MODIFY_GROUP_MEMBER_INFO, request)

    async def member_states(self, channel: ChannelId, users: Sequence[str]) -> dict[str, MemberState]:
        """Return at most 50 users, of those who are members."""
        request = members.GetSpecifiedGroupMemberInfoRequest(
            group_id=channel, member_list_account=list(users), member_info_filter=["JoinTime", "MsgFlag"]
        )
        reply = await self._caller.call(GET_SPECIFIED_GROUP_MEMBER_INFO, request)
        return {
            item.member_account: MemberState(item.join_time, NOTIFICATIONS.get(item.msg_flag or ""))
            for item in reply.member_list
        }

    async def remove_members(self, channel: ChannelId, users: Sequence[str]) -> None:
        """Remove members without a notice."""
        request = members.DeleteGroupMemberRequest(group_id=channel, member_to_del_account=list(users), silence=1)
        await self._caller.call(DELETE_GROUP_MEMBER, request)

    def member_pages(
        self, channel: ChannelId, fields: Sequence[str] = SUBSCRIBER_FIELDS
    ) -> AsyncGenerator[Sequence[members.Member], None]:
        """Yield all members of a group, 100 a call; one may appear twice when others join or leave meanwhile."""

        async def fetch(cursor: str) -> Page[members.Member, str]:
            request = members.GetGroupMemberInfoRequest(
                group_id=channel, limit=limits.MEMBERS_PER_PAGE, next=cursor, member_info_filter=list(fields)
            )
            reply = await self._caller.call(GET_GROUP_MEMBER_INFO, request)
            more = reply.member_list and str(reply.next or "0") != "0"
            return Page(reply.member_list, str(reply.next) if more else None)

        return read_pages(fetch, "", CursorLoopGuard(GET_GROUP_MEMBER_INFO.name, UnavailableError))

    def _to_group_state(self, item: groups.GroupInfo) -> GroupState:
        fields = profile.fields_of(item)
        return GroupState(
            channel=profile.to_channel(ChannelId(item.group_id), item, fields, self._keys),
            tag=profile.tag_of(fields, self._keys),
            next_seq=item.next_msg_seq or 0,
            members=item.member_num or 0,
            created_at=item.create_time or 0,
            last_post_at=item.last_msg_time or 0,
        )


def _refused_post(code: int) -> PostImport:
    """Return the refusal of a post. Raises the error of a code after which it may be imported later."""
    row = codes.look_up(IMPORT_GROUP_MSG.service, IMPORT_GROUP_MSG.name, code)
    if row.repeat is not codes.Repeat.NEVER:
        raise item_error(IMPORT_GROUP_MSG, code, "")
    return PostImport(0, f"{row.meaning} ({code})")


def _require_all(command: Command[Any, Any], reported: int, asked: int) -> None:
    if reported < asked:
        raise OutcomeUnknownError(
            f"{command.name} reported on {reported} of {asked} items: the others may have been imported",
            origin=Origin(command.service, command.name, None, "", attempts=1),
        )
