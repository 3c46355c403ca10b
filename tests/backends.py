"""Access to the backend of an adapter in one mode, for tests that inspect its caches."""

from channel_adapter import ChannelAdapter
from channel_adapter.backends.community.backend import CommunityBackend


def community(adapter: ChannelAdapter) -> CommunityBackend:
    """Return the backend of an adapter in Community mode."""
    assert isinstance(adapter.backend, CommunityBackend)
    return adapter.backend
