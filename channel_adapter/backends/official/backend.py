"""The parts of official-account mode, each imported and made when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from channel_adapter.backends.caller import remediation
from channel_adapter.domain import events as e
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.mode import OFFICIAL_CAPABILITIES, Mode
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.ids import OFFICIAL_IDS
from channel_adapter.tencent import codes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from channel_adapter.backends.accounts import AppAccounts
    from channel_adapter.backends.caller import Caller
    from channel_adapter.backends.conversation_groups import ConversationGroups
    from channel_adapter.backends.messages import ChannelMessages
    from channel_adapter.backends.official.channels import OfficialAttributes, OfficialChannels
    from channel_adapter.backends.official.members import OfficialMembers
    from channel_adapter.backends.official.options import OfficialOptions
    from channel_adapter.backends.official.posts import OfficialPosts
    from channel_adapter.backends.official.reactions import OfficialReactions
    from channel_adapter.backends.official.unread import OfficialUnread
    from channel_adapter.backends.protocols import AttributeRows, BroadcastRows, ChannelRegistryRows, PostKeys
    from channel_adapter.concurrency.clock import Clock
    from channel_adapter.domain.ids import ChannelId, UserId

PLAN = (
    "official accounts need the plan Enterprise, or a development app, which may have five; enable them in the console,"
    " or set mode to community"
)


class OfficialBackend:
    """Channels as official accounts.

    A database keeps keys and times of `broadcasts`, `attributes` of channels, and the `registry` of channels.
    """

    mode = Mode.OFFICIAL
    can = OFFICIAL_CAPABILITIES
    ids = OFFICIAL_IDS

    def __init__(
        self,
        caller: Caller,
        options: OfficialOptions,
        clock: Clock,
        broadcasts: BroadcastRows | None = None,
        attributes: AttributeRows | None = None,
        registry: ChannelRegistryRows | None = None,
    ) -> None:
        self.caller = caller
        self.options = options
        self.clock = clock
        self._broadcasts = broadcasts
        self._attributes = attributes
        self._registry = registry

    @cached_property
    def channels(self) -> OfficialChannels:
        """Accounts: create, read, update, delete."""
        from channel_adapter.backends.official.channels import OfficialChannels, OfficialRegistry

        registry = OfficialRegistry(self._registry, self.clock)
        return OfficialChannels(
            self.caller, self.accounts, self.post_keys, self.channel_attributes, registry, self.options.concurrency
        )

    @cached_property
    def members(self) -> OfficialMembers:
        """Subscribers of accounts, and the accounts of a user."""
        from channel_adapter.backends.official.members import OfficialMembers

        return OfficialMembers(self.caller, self.channels, self.accounts, self.options.concurrency)

    @cached_property
    def post_keys(self) -> PostKeys:
        """Keys of broadcasts: in the database, else those that this process has seen."""
        from channel_adapter.backends.official.posts import MemoryPostKeys

        return self._broadcasts or MemoryPostKeys()

    @cached_property
    def channel_attributes(self) -> OfficialAttributes:
        """Attributes of channels: verified, suspended, contact, policies."""
        from channel_adapter.backends.official.channels import OfficialAttributes

        return OfficialAttributes(self._attributes, self.options.cache_seconds, self.clock)

    @cached_property
    def accounts(self) -> AppAccounts:
        """Accounts of users: check and import."""
        from channel_adapter.backends.accounts import AppAccounts

        return AppAccounts(self.caller, self.options.concurrency)

    @cached_property
    def posts(self) -> OfficialPosts:
        """Broadcasts of accounts."""
        from channel_adapter.backends.official.posts import OfficialPosts

        return OfficialPosts(
            self.caller, self.options, self.clock, self.post_keys, self._broadcasts, self.channel_attributes
        )

    @cached_property
    def unread(self) -> OfficialUnread:
        """Unread counts and read positions of users."""
        from channel_adapter.backends.official.unread import OfficialUnread

        return OfficialUnread(self.caller, self.members, self.posts, self.clock, self.options.concurrency)

    @cached_property
    def groups(self) -> ConversationGroups:
        """Conversation groups and marks of users."""
        from channel_adapter.backends.conversation_groups import ConversationGroups, ConversationKind

        kind = ConversationKind(one_to_one=True, prefix=self.ids.prefix)
        members = self.members
        return ConversationGroups(self.caller, kind, self.channels.classify, members.followed_list, members.require)

    @cached_property
    def messages(self) -> ChannelMessages:
        """One-to-one messages with users."""
        from channel_adapter.backends.messages import ChannelMessages
        from channel_adapter.backends.official.channels import AccountSenders

        return ChannelMessages(
            self.caller, AccountSenders(self.channels), self.accounts, self.clock, max_bytes=self.options.post_bytes
        )

    @cached_property
    def reactions(self) -> OfficialReactions:
        """Reactions on messages: none."""
        from channel_adapter.backends.official.reactions import OfficialReactions

        return OfficialReactions()

    async def checks(self, admin: UserId) -> AsyncIterator[HealthCheckResult]:
        """Yield whether the plan has official accounts, with one call."""
        from channel_adapter.domain.ids import ChannelId

        try:
            await self.channels.read([ChannelId(f"{self.ids.prefix}channel_adapter_check")])
        except ChannelAdapterError as error:
            yield HealthCheckResult("official_accounts", False, error.message, self.remediation(error))
        else:
            yield HealthCheckResult("official_accounts", True, "enabled")

    @staticmethod
    def remediation(error: ChannelAdapterError) -> str:
        """Return what to do about an error, in one sentence."""
        return PLAN if error.code == codes.OFFICIAL_ACCOUNTS_OFF else remediation(error)

    async def may_post(self, channel: ChannelId, user: UserId) -> bool:
        """Return False: no user posts in an official account, only the account itself."""
        return False

    def observe(self, event: e.ChannelEvent) -> None:
        """Drop what is cached of a channel that was created, changed or deleted."""
        if isinstance(event, e.ChannelCreated | e.ChannelChanged | e.ChannelDeleted):
            self.forget(event.channel)

    def forget(self, channel: ChannelId, users: Sequence[UserId] | None = None) -> None:
        """Drop what is cached of a channel."""
        if users is None:
            self.channels.forget(channel)
