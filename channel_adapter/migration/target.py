"""Read the target: ids in use, accounts, the edition, pages of members and messages. Nothing is written."""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Final

from channel_adapter.backends.caller import ApiCaller, item_error
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import (
    ConfigurationError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
)
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS
from channel_adapter.migration.context import MigrationContext
from channel_adapter.migration.plan.document import TargetState
from channel_adapter.migration.plan.make_plan import IdConflict
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    GET_GROUP_INFO,
    GET_GROUP_MEMBER_INFO,
    GET_JOINED_GROUP_LIST,
    GROUP_MSG_GET_SIMPLE,
    IMPORT_GROUP_MSG,
)
from channel_adapter.tencent.wire import groups, members, messages

NO_GROUP: Final = frozenset({codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID})


class TargetReader:
    """Read for a plan what exists on the target."""

    def __init__(self, context: MigrationContext) -> None:
        self._api = context.api
        self._accounts = context.accounts
        self._keys = context.target.keys
        self._admin = context.settings.admin
        self._concurrency = context.settings.concurrency

    async def check_edition(self, probe: ChannelId) -> None:
        """Raise ConfigurationError where the app has no Communities, or may not import into them.

        Nothing is written: the import that is tried has no message.
        """
        asked = groups.GetJoinedGroupListRequest(
            member_account=self._admin, group_type=groups.COMMUNITY, support_topic=0, limit=1
        )
        await self._api.call(GET_JOINED_GROUP_LIST, asked)
        try:
            await self._api.call(IMPORT_GROUP_MSG, messages.ImportGroupMsgRequest(group_id=probe, msg_list=[]))
        except (InvalidError, NotFoundError):
            return  # the command is there and found nothing to do
        except PermissionDeniedError as error:
            raise ConfigurationError(
                f"the app may not import into groups: {error.message}", field="edition", origin=error.origin
            ) from error

    async def conflicts(self, channels: Iterable[ChannelId], migration: str) -> dict[str, IdConflict]:
        """Return what exists at these ids; ids that are free are left out."""
        found: dict[str, IdConflict] = {}
        parts = batches(dict.fromkeys(channels), limits.GROUP_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._info, limit=self._concurrency)) as answers:
            async for items in answers:
                for item in items:
                    if item.error_code not in NO_GROUP:
                        found[item.group_id] = self._state(item, migration)
        return found

    async def existing_accounts(self, users: Iterable[str]) -> dict[str, bool]:
        """Return which of these users are accounts of the app."""
        found = await self._accounts.check([user for user in dict.fromkeys(users) if _is_user(user)])
        return {str(user): there for user, there in found.items()}

    async def _info(self, channels: Sequence[ChannelId]) -> list[groups.GroupInfo]:
        reply = await self._api.call(GET_GROUP_INFO, channel_group.info_request(channels, self._keys))
        for item in reply.group_info:
            if item.error_code != codes.OK and item.error_code not in NO_GROUP:
                raise item_error(GET_GROUP_INFO, item.error_code, item.error_info)
        return reply.group_info

    def _state(self, item: groups.GroupInfo, migration: str) -> IdConflict:
        tag = channel_group.tag_of(channel_group.fields_of(item), self._keys)
        if tag is None:
            return IdConflict(TargetState.STRANGER, item.name or "")
        if not tag.migration:
            return IdConflict(TargetState.CHANNEL, item.name or "")
        state = TargetState.OURS if tag.migration == migration else TargetState.OTHER_MIGRATION
        return IdConflict(state, tag.migration)


def _is_user(text: str) -> bool:
    return 0 < len(text.encode()) <= limits.USER_ID_BYTES


_ASKED: Final = (*channel_group.BASE_FIELDS, "NextMsgSeq")


async def read_groups(
    api: ApiCaller, channels: Sequence[ChannelId], keys: FieldKeys
) -> dict[ChannelId, groups.GroupInfo]:
    """Return those of at most 50 groups that exist. Raises the error of the first that cannot be read."""
    request = groups.GetGroupInfoRequest(
        group_id_list=list(channels),
        response_filter=groups.GroupResponseFilter(
            group_base_info_filter=list(_ASKED), app_defined_data_filter_group=keys.all()
        ),
    )
    found: dict[ChannelId, groups.GroupInfo] = {}
    for item in (await api.call(GET_GROUP_INFO, request)).group_info:
        if item.error_code in NO_GROUP:
            continue
        if item.error_code != codes.OK:
            raise item_error(GET_GROUP_INFO, item.error_code, item.error_info)
        found[ChannelId(item.group_id)] = item
    return found


async def member_pages(
    api: ApiCaller, channel: ChannelId, fields: Sequence[str] = SUBSCRIBER_FIELDS
) -> AsyncGenerator[list[members.Member], None]:
    """Yield all members of a group, 100 a call; one may appear twice when others join or leave meanwhile."""
    cursor = ""
    seen: set[str] = set()
    while cursor not in seen:
        seen.add(cursor)
        request = members.GetGroupMemberInfoRequest(
            group_id=channel, limit=limits.MEMBERS_PER_PAGE, next=cursor, member_info_filter=list(fields)
        )
        reply = await api.call(GET_GROUP_MEMBER_INFO, request)
        if not reply.member_list:
            return
        yield reply.member_list
        cursor = str(reply.next) if reply.next else ""
        if cursor in ("", "0"):
            return


async def message_pages(api: ApiCaller, channel: ChannelId) -> AsyncGenerator[list[messages.HistoryMessage], None]:
    """Yield all that history keeps of a group, newest first, 20 a call, system messages included."""
    top: int | None = None
    while top is None or top > 0:
        request = messages.GroupMsgGetSimpleRequest(
            group_id=channel, req_msg_number=limits.HISTORY_PER_CALL, req_msg_seq=top, with_recalled_msg=1
        )
        page = (await api.call(GROUP_MSG_GET_SIMPLE, request)).rsp_msg_list
        fresh = [message for message in page if top is None or message.msg_seq <= top]
        if not fresh:
            return
        yield fresh
        top = min(message.msg_seq for message in fresh) - 1
