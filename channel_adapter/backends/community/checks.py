"""Health checks of Community mode: the edition, the custom group fields, and system notices."""

from collections.abc import AsyncIterator, Callable
from typing import Final

from channel_adapter.backends.caller import remediation
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.subscription import Subscription
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.tencent import codes

ENABLE_COMMUNITIES: Final = "enable Community groups in the console; they need a high plan"
_NOTICES: Final = (
    "no call tells whether Communities write system notices into history, as they do by default; in the console, turn"
    " off those of joining, leaving, removal, and changes of profile, owner, roles and mutes, for Community, in"
    " 'Group System Notification Configuration'"
)


async def checks(
    subscriptions: Callable[[UserId], AsyncIterator[Subscription]], keys: FieldKeys, admin: UserId
) -> AsyncIterator[HealthCheckResult]:
    """Yield the results, with one call: the list of the admin's own channels, which is refused without Communities."""
    try:
        async for _ in subscriptions(admin):
            break
    except ChannelAdapterError as error:
        advice = ENABLE_COMMUNITIES if error.code == codes.COMMUNITY_OFF else remediation(error)
        yield HealthCheckResult("communities", False, error.message, advice)
    else:
        yield HealthCheckResult("communities", True, "enabled")
    names = keys.all()
    them = "it" if len(names) == 1 else "them"
    yield HealthCheckResult(
        "fields",
        True,
        f"{', '.join(names)}: no call tells whether the console declares {them} and enables {them} for Community,"
        " readable and writable by admins; a channel that is created without that is refused",
    )
    yield HealthCheckResult("notices", True, _NOTICES)
