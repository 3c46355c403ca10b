"""What a refusal of a channel's profile or of an account means, in the caller's own names."""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from channel_adapter.errors import (
    ChannelAdapterError,
    ConfigurationError,
    InvalidError,
    LimitReachedError,
    NotFoundError,
)
from channel_adapter.mapping.channel_group import Profile
from channel_adapter.mapping.text import byte_size
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import groups

_MAX: Final = "max_subscribers"
_OURS: Final = {
    "name": "name", "introduction": "introduction", "notification": "notification", "face_url": "avatar",
    "max_member_count": _MAX, "max_member_num": _MAX,
}  # fmt: skip
_FIELDS: Final = {
    str(field.alias): _OURS[name]
    for request in (groups.CreateGroupRequest, groups.ModifyGroupBaseInfoRequest)
    for name, field in request.model_fields.items()
    if name in _OURS
}
"""The service's names of parameters, and ours."""


_LEGACY: Final = {
    "name": limits.GROUP_PROFILE_LEGACY.name,
    "introduction": limits.GROUP_PROFILE_LEGACY.introduction,
    "notification": limits.GROUP_PROFILE_LEGACY.notification,
    "avatar": limits.GROUP_PROFILE_LEGACY.face_url,
}
_LEGACY_HINT: Final = 'set profile_limits = "legacy" in [channels] if the service has the older limits'
_CONSOLE: Final = "is not declared in the app's console, or not enabled for Community there"


def explained(error: ChannelAdapterError, sent_keys: Sequence[str], profile: Profile) -> ChannelAdapterError:
    """Return the error of a create or modify that carried these custom group fields and this profile.

    Everything was checked before, so an illegal parameter [10004] is most likely a key that the app has not declared or
    not enabled for Communities, or a text over the older byte limits of profiles [8]. The service names the parameter,
    or so the pages suggest [7]; if not, all that were sent are listed.
    """
    if error.code == codes.MEMBERS_OVER_PLAN and profile.max_subscribers is not None:
        return _over_plan(error, profile.max_subscribers)
    if error.code != codes.BAD_PARAMETER or error.origin is None:
        return error
    for key in _named(sent_keys, error.origin.text):
        return ConfigurationError(f"custom group field {key!r} {_CONSOLE}", field=key, origin=error.origin)
    over = _over_legacy(profile)
    for name in _named(_FIELDS, error.origin.text):
        field = _FIELDS[name]
        if field == _MAX and profile.max_subscribers is not None:
            return _over_plan(error, profile.max_subscribers)
        if field in over:
            message = f"{error.message}; {_too_long(field, over[field])}; {_LEGACY_HINT}"
            return InvalidError(message, field=field, limit=_LEGACY[field], size=over[field], origin=error.origin)
        return InvalidError(error.message, field=field, origin=error.origin)
    hints = []
    if sent_keys:
        which = "the custom group field" if len(sent_keys) == 1 else "one of the custom group fields"
        hints.append(f"perhaps {which} {', '.join(sent_keys)} {_CONSOLE}")
    if over:
        hints.append(f"perhaps {', '.join(_too_long(*each) for each in over.items())}; {_LEGACY_HINT}")
    return InvalidError("; ".join([error.message, *hints]), origin=error.origin) if hints else error


def _over_legacy(profile: Profile) -> dict[str, int]:
    """Return the sizes of the texts that the older limits do not allow."""
    sizes = {field: byte_size(getattr(profile, field) or "") for field in _LEGACY}
    return {field: size for field, size in sizes.items() if size > _LEGACY[field]}


def _too_long(field: str, size: int) -> str:
    return f"{field} has {size} bytes, over the older limit of {_LEGACY[field]}"


def without_account(error: ChannelAdapterError, user: str, field: str) -> ChannelAdapterError:
    """NotFoundError about this account where the service says that one does not exist; else the error as it is."""
    if error.code not in (codes.NO_SUCH_ACCOUNT, codes.CONTACT_NO_SUCH_ACCOUNT):
        return error
    message = f"{field} {user!r} is not an account of the app; add it first"
    return NotFoundError(message, field=field, origin=error.origin)


def _over_plan(error: ChannelAdapterError, number: int) -> LimitReachedError:
    return LimitReachedError(
        f"{_MAX}: the service does not take {number:,}; the app's plan has fewer",
        field=_MAX,
        size=number,
        origin=error.origin,
    )


def _named(names: Iterable[str], text: str) -> list[str]:
    """Those that stand in the text as whole words."""
    words = set(re.findall(r"\w+", text))
    return [name for name in names if name in words]
