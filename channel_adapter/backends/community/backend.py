"""The parts of Community mode, each imported and made when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from channel_adapter.backends.caller import remediation
from channel_adapter.domain import events as e
from channel_adapter.domain.mode import COMMUNITY_CAPABILITIES, Mode
from channel_adapter.mapping.ids import COMMUNITY_IDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from channel_adapter.backends.accounts import AppAccounts
    from channel_adapter.backends.caller import Caller
    from channel_adapter.backends.community.channels import ChannelCache, CommunityChannels
    from channel_adapter.backends.community.history import History, SilentPosts
    from channel_adapter.backends.community.joined import JoinedPages
    from channel_adapter.backends.community.members import CommunityMembers, Membership, RoleCache
    from channel_adapter.backends.community.posts import CommunityPosts
    from channel_adapter.backends.community.reactions import CommunityReactions
    from channel_adapter.backends.community.unread import CommunityUnread
    from channel_adapter.backends.conversation_groups import ConversationGroups
    from channel_adapter.backends.messages import ChannelMessages
    from channel_adapter.backends.options import BackendOptions
    from channel_adapter.concurrency.clock import Clock
    from channel_adapter.domain.health import HealthCheckResult
    from channel_adapter.domain.ids import ChannelId, UserId
    from channel_adapter.errors import ChannelAdapterError


class CommunityBackend:
    """Channels as Community groups. The caches below are shared by its parts."""

    mode = Mode.COMMUNITY
    can = COMMUNITY_CAPABILITIES
    ids = COMMUNITY_IDS

    def __init__(self, caller: Caller, options: BackendOptions, clock: Clock) -> None:
        self.caller = caller
        self.options = options
        self.clock = clock

    @cached_property
    def channels(self) -> CommunityChannels:
        """Channels: create, read, update, delete."""
        from channel_adapter.backends.community.channels import CommunityChannels

        return CommunityChannels(self.caller, self.channel_cache, self.options, self.silent_posts.forget)

    @cached_property
    def members(self) -> CommunityMembers:
        """Subscribers: add, remove, list, notifications, and the channels of a user."""
        from channel_adapter.backends.community.members import CommunityMembers

        return CommunityMembers(self.caller, self.channel_cache, self.accounts, self.joined_pages, self.options)

    @cached_property
    def accounts(self) -> AppAccounts:
        """Accounts: check and import."""
        from channel_adapter.backends.accounts import AppAccounts

        return AppAccounts(self.caller, self.options.concurrency)

    @cached_property
    def posts(self) -> CommunityPosts:
        """Posts: send, read back, edit, recall."""
        from channel_adapter.backends.community.posts import CommunityPosts

        return CommunityPosts(
            self.caller, self.channel_cache, self.role_cache, self.post_history, self.silent_posts, self.options
        )

    @cached_property
    def unread(self) -> CommunityUnread:
        """Unread counts and read positions of users."""
        from channel_adapter.backends.community.unread import CommunityUnread

        return CommunityUnread(
            self.caller, self.channel_cache, self.joined_pages, self.post_history, self.silent_posts,
            self.options.concurrency,
        )  # fmt: skip

    @cached_property
    def groups(self) -> ConversationGroups:
        """Conversation groups and marks of users."""
        from channel_adapter.backends.conversation_groups import ConversationGroups, ConversationKind

        kind = ConversationKind(one_to_one=False, prefix=self.ids.prefix)
        return ConversationGroups(
            self.caller, kind, self.channels.classify, self.joined_pages.channels, self.membership.require
        )

    @cached_property
    def messages(self) -> ChannelMessages:
        """One-to-one messages with users."""
        from channel_adapter.backends.community.channels import ContactSenders
        from channel_adapter.backends.messages import ChannelMessages

        senders = ContactSenders(self.channel_cache, self.channels, self.accounts)
        return ChannelMessages(self.caller, senders, self.accounts, self.clock, max_bytes=self.options.post_bytes)

    @cached_property
    def reactions(self) -> CommunityReactions:
        """Reactions on messages."""
        from channel_adapter.backends.community.reactions import CommunityReactions

        return CommunityReactions(self.caller, self.post_history, self.options, self.clock)

    @cached_property
    def channel_cache(self) -> ChannelCache:
        """Tags and owners of channels."""
        from channel_adapter.backends.community.channels import ChannelCache

        return ChannelCache(self.caller, self.options, self.clock)

    @cached_property
    def role_cache(self) -> RoleCache:
        """Users who may post in a channel."""
        from channel_adapter.backends.community.members import RoleCache

        return RoleCache(self.caller, seconds=self.options.cache_seconds, clock=self.clock)

    @cached_property
    def membership(self) -> Membership:
        """The row of one user in one channel."""
        from channel_adapter.backends.community.members import Membership

        return Membership(self.caller, self.channel_cache)

    @cached_property
    def joined_pages(self) -> JoinedPages:
        """Pages of the joined-group lists of users."""
        from channel_adapter.backends.community.joined import JoinedPages

        return JoinedPages(self.caller, self.channel_cache, self.options.concurrency)

    @cached_property
    def post_history(self) -> History:
        """Messages of channels, by number."""
        from channel_adapter.backends.community.history import History

        return History(self.caller, self.channel_cache)

    @cached_property
    def silent_posts(self) -> SilentPosts:
        """Messages that do not count as unread."""
        from channel_adapter.backends.community.history import SilentPosts

        return SilentPosts(self.post_history, seconds=self.options.cache_seconds, clock=self.clock)

    def checks(self, admin: UserId) -> AsyncIterator[HealthCheckResult]:
        """Check the edition, the custom group fields and system notices."""
        from channel_adapter.backends.community.checks import checks

        return checks(self.members.subscriptions, self.options.field_keys, admin)

    @staticmethod
    def remediation(error: ChannelAdapterError) -> str:
        """Return what to do about an error, in one sentence."""
        return remediation(error)

    async def may_post(self, channel: ChannelId, user: UserId) -> bool:
        """Return whether a user is owner or admin of a channel. Cached."""
        return await self.role_cache.may_post(channel, user)

    def observe(self, event: e.ChannelEvent) -> None:
        """Correct what is cached after an event of a channel."""
        channel = event.channel
        match event:
            case e.RoleChanged(user=user):
                self.role_cache.forget(channel, [user])
            case e.Unsubscribed(users=users):
                self.role_cache.forget(channel, users)
            case e.OwnerChanged():
                self.forget(channel)
            case e.ChannelDeleted():
                self.forget(channel)
                self.silent_posts.forget(channel)
            case e.ChannelChanged():
                self.channels.forget(channel)
            case e.PostRecalled(refs=refs):
                for ref in refs:
                    self.silent_posts.add(channel, ref.seq)  # a recalled post is unread for no user

    def forget(self, channel: ChannelId, users: Sequence[UserId] | None = None) -> None:
        """Drop what is cached of a channel, or of the roles of some of its users."""
        self.role_cache.forget(channel, users)
        if users is None:
            self.channels.forget(channel)
