"""WhatsApp-style channels on Tencent Cloud Chat Community groups.

`ChannelAdapter` is the way in; contents of posts, outcomes and errors are values of this package.
Names are imported when they are first used, so that the command line and the stub start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.domain.channel import Channel
    from channel_adapter.domain.filing import Filing, FilingKind
    from channel_adapter.domain.ids import ChannelId, UserId
    from channel_adapter.domain.post import (
        Article,
        Content,
        Custom,
        Face,
        File,
        Image,
        Location,
        Post,
        PostRef,
        PostState,
        Sound,
        Text,
        TextAndImage,
        Unrecognised,
        Video,
    )
    from channel_adapter.domain.reaction import (
        Adopted,
        Ladder,
        PolicyKind,
        ReactionChange,
        ReactionPolicy,
        Reactions,
        Reactor,
        Reconciled,
        Rung,
    )
    from channel_adapter.domain.subscription import (
        ChannelOutcome,
        Notifications,
        Outcome,
        OutcomeKind,
        Outcomes,
        Role,
        Subscriber,
        Subscription,
    )
    from channel_adapter.domain.unread import (
        ChannelUnread,
        ConversationGroup,
        CountSource,
        Explanation,
        Marks,
        Synced,
        Unread,
    )
    from channel_adapter.errors import (
        AuthenticationError,
        ChannelAdapterError,
        ConfigurationError,
        ConflictError,
        InvalidError,
        LimitReachedError,
        NotFoundError,
        OutcomeUnknownError,
        PermissionDeniedError,
        RefusedError,
        ThrottledError,
        UnavailableError,
    )
    from channel_adapter.services.bulk import Bulk
    from channel_adapter.services.doctor import Finding
    from channel_adapter.settings import Settings

__all__ = [
    "Adopted",
    "Article",
    "AuthenticationError",
    "Bulk",
    "Channel",
    "ChannelAdapter",
    "ChannelAdapterError",
    "ChannelId",
    "ChannelOutcome",
    "ChannelUnread",
    "ConfigurationError",
    "ConflictError",
    "Content",
    "ConversationGroup",
    "CountSource",
    "Custom",
    "Explanation",
    "Face",
    "File",
    "Filing",
    "FilingKind",
    "Finding",
    "Image",
    "InvalidError",
    "Ladder",
    "LimitReachedError",
    "Location",
    "Marks",
    "NotFoundError",
    "Notifications",
    "Outcome",
    "OutcomeKind",
    "OutcomeUnknownError",
    "Outcomes",
    "PermissionDeniedError",
    "PolicyKind",
    "Post",
    "PostRef",
    "PostState",
    "ReactionChange",
    "ReactionPolicy",
    "Reactions",
    "Reactor",
    "Reconciled",
    "RefusedError",
    "Role",
    "Rung",
    "Settings",
    "Sound",
    "Subscriber",
    "Subscription",
    "Synced",
    "Text",
    "TextAndImage",
    "ThrottledError",
    "UnavailableError",
    "Unread",
    "Unrecognised",
    "UserId",
    "Video",
]

_HOMES = (  # cheapest first: nobody who wants a value pays for the client
    "domain.channel",
    "domain.filing",
    "domain.ids",
    "domain.post",
    "domain.reaction",
    "domain.subscription",
    "domain.unread",
    "errors",
    "settings",
    "services.bulk",
    "services.doctor",
    "adapter",
)


def __getattr__(name: str) -> Any:
    if name in __all__:
        for home in _HOMES:
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
