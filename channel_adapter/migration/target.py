"""What stands on the target already, read and never written: ids that are taken, people the app knows, its edition."""

from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Final

from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.config.settings import Settings
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import (
    ConfigurationError,
    InvalidError,
    NotFoundError,
    PermissionDeniedError,
)
from channel_adapter.mapping import channel_group
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.migration.inventory import TakenId
from channel_adapter.migration.plan import TargetState
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.gateway import Gateway
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_GROUP_INFO, GET_JOINED_GROUP_LIST, IMPORT_GROUP_MSG
from channel_adapter.tencent.wire import groups, messages

NO_GROUP: Final = frozenset({codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID})


class TargetReader:
    """Looks at the target for a plan."""

    def __init__(self, gateway: Gateway, accounts: Accounts, keys: FieldKeys, settings: Settings) -> None:
        self._gateway = gateway
        self._accounts = accounts
        self._keys = keys
        self._admin = settings.admin
        self._concurrency = settings.concurrency

    async def check_edition(self, probe: ChannelId) -> None:
        """Raises ConfigurationError where the app has no Communities, or may not import into them.

        Nothing is written: the import that is tried holds no message.
        """
        asked = groups.GetJoinedGroupListRequest(
            member_account=self._admin, group_type=groups.COMMUNITY, support_topic=0, limit=1
        )
        await self._gateway.call(GET_JOINED_GROUP_LIST, asked)
        try:
            await self._gateway.call(IMPORT_GROUP_MSG, messages.ImportGroupMsgRequest(group_id=probe, msg_list=[]))
        except (InvalidError, NotFoundError):
            return  # the command is there and found nothing to do
        except PermissionDeniedError as error:
            raise ConfigurationError(
                f"the app may not import into groups: {error.message}", field="edition", origin=error.origin
            ) from error

    async def taken(self, channels: Iterable[ChannelId], migration: str) -> dict[str, TakenId]:
        """What stands at these ids; ids that are free are left out."""
        found: dict[str, TakenId] = {}
        parts = batches(dict.fromkeys(channels), limits.GROUP_INFO_PER_CALL)
        async with aclosing(concurrently(parts, self._info, limit=self._concurrency)) as answers:
            async for items in answers:
                for item in items:
                    if item.error_code not in NO_GROUP:
                        found[item.group_id] = self._state(item, migration)
        return found

    async def known(self, users: Iterable[str]) -> dict[str, bool]:
        """Which of these people are accounts of the app."""
        found = await self._accounts.check([user for user in dict.fromkeys(users) if _is_user(user)])
        return {str(user): there for user, there in found.items()}

    async def _info(self, channels: Sequence[ChannelId]) -> list[groups.GroupInfo]:
        reply = await self._gateway.call(GET_GROUP_INFO, channel_group.info_request(channels, self._keys))
        for item in reply.group_info:
            if item.error_code != codes.OK and item.error_code not in NO_GROUP:
                raise self._gateway.item_error(GET_GROUP_INFO, item.error_code, item.error_info)
        return reply.group_info

    def _state(self, item: groups.GroupInfo, migration: str) -> TakenId:
        tag = channel_group.tag_of(channel_group.fields_of(item), self._keys)
        if tag is None:
            return TakenId(TargetState.STRANGER, item.name or "")
        if not tag.migration:
            return TakenId(TargetState.CHANNEL, item.name or "")
        state = TargetState.OURS if tag.migration == migration else TargetState.OTHER_MIGRATION
        return TakenId(state, tag.migration)


def _is_user(text: str) -> bool:
    return 0 < len(text.encode()) <= limits.USER_ID_BYTES
