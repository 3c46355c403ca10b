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
from channel_adapter.tencent import codes
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


def explained(
    error: ChannelAdapterError, sent_keys: Sequence[str], max_subscribers: int | None = None
) -> ChannelAdapterError:
    """The error of a create or modify that carried these custom group fields and this limit.

    Everything else in it was checked before, so an illegal parameter [10004] is most likely a key that the app has not
    declared. The service names the key, or so the pages let one think [7]; if not, all that were sent are suspects.
    """
    if error.code == codes.MEMBERS_OVER_PLAN and max_subscribers is not None:
        return _over_plan(error, max_subscribers)
    if error.code != codes.BAD_PARAMETER or error.origin is None:
        return error
    for key in _named(sent_keys, error.origin.text):
        message = f"custom group field {key!r} is not declared in the app's console"
        return ConfigurationError(message, field=key, origin=error.origin)
    for name in _named(_FIELDS, error.origin.text):
        if _FIELDS[name] == _MAX and max_subscribers is not None:
            return _over_plan(error, max_subscribers)
        return InvalidError(error.message, field=_FIELDS[name], origin=error.origin)
    if not sent_keys:
        return error
    which = "the custom group field" if len(sent_keys) == 1 else "one of the custom group fields"
    hint = f"perhaps {which} {', '.join(sent_keys)} is not declared in the app's console"
    return InvalidError(f"{error.message}; {hint}", origin=error.origin)


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
