"""WhatsApp-style channels on Tencent Cloud Chat Community groups.

`ChannelAdapter` is the way in; contents of posts, outcomes and errors are values of this package.
Names are imported when they are first used, so that the command line and the stub start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.domain.channel import Channel
    from channel_adapter.domain.ids import ChannelId, UserId
    from channel_adapter.domain.post import (
        Article,
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
    from channel_adapter.domain.subscription import Notifications, Outcome, OutcomeKind, Role, Subscriber, Subscription
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
    from channel_adapter.services.bulk import Bulk, Outcomes
    from channel_adapter.services.doctor import Finding
    from channel_adapter.settings import Settings

__all__ = [
    "Article",
    "AuthenticationError",
    "Bulk",
    "Channel",
    "ChannelAdapter",
    "ChannelAdapterError",
    "ChannelId",
    "ConfigurationError",
    "ConflictError",
    "Custom",
    "Face",
    "File",
    "Finding",
    "Image",
    "InvalidError",
    "LimitReachedError",
    "Location",
    "NotFoundError",
    "Notifications",
    "Outcome",
    "OutcomeKind",
    "OutcomeUnknownError",
    "Outcomes",
    "PermissionDeniedError",
    "Post",
    "PostRef",
    "PostState",
    "RefusedError",
    "Role",
    "Settings",
    "Sound",
    "Subscriber",
    "Subscription",
    "Text",
    "TextAndImage",
    "ThrottledError",
    "UnavailableError",
    "Unrecognised",
    "UserId",
    "Video",
]

_MODULES = {
    "channel_adapter.adapter": "ChannelAdapter",
    "channel_adapter.domain.channel": "Channel",
    "channel_adapter.domain.ids": "ChannelId UserId",
    "channel_adapter.domain.post": "Article Custom Face File Image Location Post PostRef PostState Sound Text TextAndImage Unrecognised Video",
    "channel_adapter.domain.subscription": "Notifications Outcome OutcomeKind Role Subscriber Subscription",
    "channel_adapter.errors": "AuthenticationError ChannelAdapterError ConfigurationError ConflictError InvalidError LimitReachedError NotFoundError OutcomeUnknownError PermissionDeniedError RefusedError ThrottledError UnavailableError",
    "channel_adapter.services.bulk": "Bulk Outcomes",
    "channel_adapter.services.doctor": "Finding",
    "channel_adapter.settings": "Settings",
}
_HOME = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value
