"""WhatsApp-style channels on Tencent Cloud Chat Community groups.

`ChannelAdapter` is the way in; contents of posts, outcomes and errors are values of this package.
Names are imported when they are first used, so that the command line and the stub start quickly.
"""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    __version__: str

    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.config.settings import Settings
    from channel_adapter.domain.channel import Channel, DirectoryEntry, ExportedChannel
    from channel_adapter.domain.events import (
        AllRead,
        ChannelChanged,
        ChannelCreated,
        ChannelDeleted,
        ChannelEvent,
        ChannelFull,
        Departure,
        Event,
        Loss,
        MessageEdited,
        MessageEvent,
        MessageRead,
        MessageRecalled,
        MessageReceived,
        MessageSent,
        Other,
        OwnerChanged,
        Platform,
        PostEdited,
        PostLost,
        PostPublished,
        PostRecalled,
        RateAlarm,
        ReactionChanged,
        RoleChanged,
        Subscribed,
        Unknown,
        Unsubscribed,
    )
    from channel_adapter.domain.health import HealthCheckResult
    from channel_adapter.domain.hooks import (
        Allow,
        CreateRequest,
        Drop,
        HookRequest,
        HookResponse,
        MessageDraft,
        PostDraft,
        Refuse,
        RefuseSome,
        Rewrite,
        SubscribeRequest,
    )
    from channel_adapter.domain.ids import ChannelId, UserId
    from channel_adapter.domain.insights import (
        ChannelInsights,
        ChannelViews,
        DayInsights,
        PostInsights,
        PostViews,
        StoredViews,
    )
    from channel_adapter.domain.invitation import Invitation, InvitationState
    from channel_adapter.domain.message import Contact, Direction, Message, MessageRef, Thread
    from channel_adapter.domain.mode import Capabilities, Mode
    from channel_adapter.domain.post import (
        Article,
        Broadcast,
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
        DisplayMode,
        DisplayStatus,
        PolicyKind,
        ReactionChange,
        ReactionPolicy,
        Reactions,
        Reactor,
        Reconciled,
    )
    from channel_adapter.domain.schedule import SavedDraft, ScheduledPost, ScheduleState, ScheduleStatus
    from channel_adapter.domain.subscription import (
        AssignmentStatus,
        BlockedUser,
        ChannelOutcome,
        GroupAssignment,
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
        UnsupportedError,
    )
    from channel_adapter.sync import SyncChannelAdapter
    from channel_adapter.tencent.client import Attempt

__all__ = [
    "Adopted",
    "AllRead",
    "Allow",
    "Article",
    "AssignmentStatus",
    "Attempt",
    "AuthenticationError",
    "BlockedUser",
    "Broadcast",
    "Capabilities",
    "Channel",
    "ChannelAdapter",
    "ChannelAdapterError",
    "ChannelChanged",
    "ChannelCreated",
    "ChannelDeleted",
    "ChannelEvent",
    "ChannelFull",
    "ChannelId",
    "ChannelInsights",
    "ChannelOutcome",
    "ChannelUnread",
    "ChannelViews",
    "ConfigurationError",
    "ConflictError",
    "Contact",
    "Content",
    "ConversationGroup",
    "CountSource",
    "CreateRequest",
    "Custom",
    "DayInsights",
    "Departure",
    "Direction",
    "DirectoryEntry",
    "DisplayMode",
    "DisplayStatus",
    "Drop",
    "Event",
    "Explanation",
    "ExportedChannel",
    "Face",
    "File",
    "GroupAssignment",
    "HealthCheckResult",
    "HookRequest",
    "HookResponse",
    "Image",
    "InvalidError",
    "Invitation",
    "InvitationState",
    "LimitReachedError",
    "Location",
    "Loss",
    "Marks",
    "Message",
    "MessageDraft",
    "MessageEdited",
    "MessageEvent",
    "MessageRead",
    "MessageRecalled",
    "MessageReceived",
    "MessageRef",
    "MessageSent",
    "Mode",
    "NotFoundError",
    "Notifications",
    "Other",
    "Outcome",
    "OutcomeKind",
    "OutcomeUnknownError",
    "Outcomes",
    "OwnerChanged",
    "PermissionDeniedError",
    "Platform",
    "PolicyKind",
    "Post",
    "PostDraft",
    "PostEdited",
    "PostInsights",
    "PostLost",
    "PostPublished",
    "PostRecalled",
    "PostRef",
    "PostState",
    "PostViews",
    "RateAlarm",
    "ReactionChange",
    "ReactionChanged",
    "ReactionPolicy",
    "Reactions",
    "Reactor",
    "Reconciled",
    "Refuse",
    "RefuseSome",
    "RefusedError",
    "Rewrite",
    "Role",
    "RoleChanged",
    "SavedDraft",
    "ScheduleState",
    "ScheduleStatus",
    "ScheduledPost",
    "Settings",
    "Sound",
    "StoredViews",
    "SubscribeRequest",
    "Subscribed",
    "Subscriber",
    "Subscription",
    "SyncChannelAdapter",
    "Synced",
    "Text",
    "TextAndImage",
    "Thread",
    "ThrottledError",
    "UnavailableError",
    "Unknown",
    "Unread",
    "Unrecognised",
    "Unsubscribed",
    "UnsupportedError",
    "UserId",
    "Video",
]

_VALUES = (  # searched in this order, the most used first
    "errors",
    "domain.ids",
    "domain.post",
    "domain.channel",
    "domain.subscription",
    "domain.reaction",
    "domain.unread",
    "domain.insights",
    "domain.invitation",
    "domain.message",
    "domain.schedule",
    "domain.hooks",
    "domain.events",
    "domain.mode",
)
_MACHINERY = {  # imported only when they are used
    "Attempt": "tencent.client",
    "ChannelAdapter": "adapter",
    "HealthCheckResult": "domain.health",
    "Settings": "config.settings",
    "SyncChannelAdapter": "sync",
}


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return metadata.version("channel-adapter")
    if name in __all__:
        for home in (_MACHINERY[name],) if name in _MACHINERY else _VALUES:
            module = import_module(f"{__name__}.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
