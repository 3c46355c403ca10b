"""The parts of official-account mode, each imported and made when it is first used."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from channel_adapter.backends.caller import Caller
    from channel_adapter.backends.official.channels import OfficialChannels
    from channel_adapter.backends.official.members import OfficialMembers
    from channel_adapter.backends.official.posts import OfficialPosts


class OfficialBackend:
    """Channels as official accounts."""

    def __init__(self, caller: Caller, concurrency: int) -> None:
        self._caller = caller
        self._concurrency = concurrency

    @cached_property
    def channels(self) -> OfficialChannels:
        """Accounts: read and delete."""
        from channel_adapter.backends.official.channels import OfficialChannels

        return OfficialChannels(self._caller, self._concurrency)

    @cached_property
    def members(self) -> OfficialMembers:
        """Subscribers of accounts, and the accounts of a user."""
        from channel_adapter.backends.official.members import OfficialMembers

        return OfficialMembers(self._caller)

    @cached_property
    def posts(self) -> OfficialPosts:
        """Broadcasts of accounts."""
        from channel_adapter.backends.official.posts import OfficialPosts

        return OfficialPosts(self._caller)
