"""Accounts and their profiles: import, check, delete, kick, online status, profile fields."""

from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world.context import CommandContext, handles
from channel_adapter.stub.world.group_rules import U32
from channel_adapter.stub.world.message_log import SECONDS_PER_DAY
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import ONLINE, is_user_id
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import accounts as wire
from channel_adapter.tencent.wire import profiles


@handles(catalog.ACCOUNT_IMPORT)
def account_import(call: CommandContext[wire.AccountImportRequest]) -> wire.AccountImportReply:
    """Import one account; an existing one gets the new nick and avatar [doc 34953]."""
    user = call.request.user_id if call.request.user_id is not None else call.request.identifier
    if user is None:
        raise Refusal(codes.ACCOUNT_BAD_PARAMETER, "UserID is missing")
    check_import(call, user, call.request.nick, call.request.face_url)
    import_one(call, user, call.request.nick, call.request.face_url)
    return wire.AccountImportReply()


@handles(catalog.MULTIACCOUNT_IMPORT)
def multiaccount_import(call: CommandContext[wire.MultiaccountImportRequest]) -> wire.MultiaccountImportReply:
    """Import up to 100 accounts; those that cannot be imported are listed, the call succeeds [doc 34954]."""
    items = call.request.account_list
    if items is None and call.request.accounts is None:
        raise Refusal(codes.ACCOUNT_BAD_PARAMETER, "AccountList is missing")
    wanted = [(item.user_id, item.nick, item.face_url) for item in items or ()]
    wanted += [(user, None, None) for user in call.request.accounts or ()]
    _check_batch(call, wanted)
    failed = []
    for user, nick, face_url in wanted:
        try:
            check_import(call, user, nick, face_url)
        except Refusal:
            failed.append(user)
        else:
            import_one(call, user, nick, face_url)
    return wire.MultiaccountImportReply(fail_accounts=failed or None)


@handles(catalog.ACCOUNT_CHECK)
def account_check(call: CommandContext[wire.AccountCheckRequest]) -> wire.AccountCheckReply:
    """Return which accounts are imported; an unknown account is no error [doc 34956]."""
    _check_batch(call, call.request.check_item)
    return wire.AccountCheckReply(
        result_item=[
            wire.AccountCheckResult(
                user_id=item.user_id,
                account_status=wire.NOT_IMPORTED if call.state.account(item.user_id) is None else wire.IMPORTED,
            )
            for item in call.request.check_item
        ]
    )


@handles(catalog.ACCOUNT_DELETE)
def account_delete(call: CommandContext[wire.AccountDeleteRequest]) -> wire.AccountDeleteReply:
    """Remove accounts with profile, groups and conversations; 71000 where the app may not [doc 34955]."""
    if not call.settings.app.account_deletion:
        raise Refusal(codes.ACCOUNT_DELETE_DISABLED, "account deletion is not enabled for this app")
    _check_batch(call, call.request.delete_item)
    return wire.AccountDeleteReply(
        result_item=[_delete_account(call, item.user_id) for item in call.request.delete_item]
    )


@handles(catalog.KICK)
def kick(call: CommandContext[wire.KickRequest]) -> wire.KickReply:
    """End the logins of a user [doc 3853]."""
    user = call.request.user_id if call.request.user_id is not None else call.request.identifier
    if user is None:
        raise Refusal(codes.ACCOUNT_BAD_PARAMETER, "UserID is missing")
    if call.state.account(user) is None:
        raise Refusal(codes.NO_SUCH_USER, "the account does not exist")
    call.state.online.pop(user, None)
    return wire.KickReply()


@handles(catalog.QUERY_ONLINE_STATUS)
def query_online_status(call: CommandContext[wire.QueryOnlineStatusRequest]) -> wire.QueryOnlineStatusReply:
    """Return which users are online, with platforms if asked; unknown ones are in ErrorList [doc 35477]."""
    asked = call.request.to_account
    if not asked:
        raise Refusal(codes.NO_RECEIVER, "To_Account is empty")
    if len(asked) > call.settings.limits.online_status:
        raise Refusal(codes.TOO_MANY_RECEIVERS, f"more than {call.settings.limits.online_status} accounts")
    known = [user for user in asked if call.state.account(user) is not None]
    unknown = [user for user in asked if call.state.account(user) is None]
    return wire.QueryOnlineStatusReply(
        query_result=[_online_status(call, user) for user in known],
        error_list=[wire.OnlineStatusError(to_account=user, error_code=codes.NO_SUCH_USER) for user in unknown] or None,
    )


def check_import(call: CommandContext[Any], user: str, nick: str | None, face_url: str | None) -> None:
    """Check that this account can be imported or updated; Refusal if not."""
    limits = call.settings.limits
    if not is_user_id(user):
        raise Refusal(codes.ACCOUNT_BAD_PARAMETER, "UserID must be 1 to 32 bytes of printable ASCII")
    for name, value in (("Nick", nick), ("FaceUrl", face_url)):
        if value is not None and len(value.encode()) > limits.profile_text_bytes:
            raise Refusal(codes.PROFILE_VALUE_TOO_LONG, f"{name} is over {limits.profile_text_bytes} bytes")
    if call.state.account(user) is not None:
        return
    deleted = call.state.deleted.get(user)
    if deleted is not None and call.now < deleted + limits.deleted_account_days * SECONDS_PER_DAY:
        raise Refusal(codes.ACCOUNT_DELETED_RECENTLY, "the account was deleted and cannot be imported again yet")
    if limits.accounts_in_app and call.state.account_count() >= limits.accounts_in_app:
        raise Refusal(codes.ACCOUNT_QUOTA, f"the app has {limits.accounts_in_app} accounts already")


def import_one(call: CommandContext[Any], user: str, nick: str | None, face_url: str | None) -> None:
    """Import or update an account that `check_import` accepted."""
    call.state.add_account(user)
    if nick is not None:
        call.state.profiles.setdefault(user, {})[profiles.NICK] = nick
    if face_url is not None:
        call.state.profiles.setdefault(user, {})[profiles.IMAGE] = face_url


def _delete_account(call: CommandContext[wire.AccountDeleteRequest], user: str) -> wire.AccountDeleteResult:
    if call.state.account(user) is None:
        return wire.AccountDeleteResult(
            user_id=user, result_code=codes.NO_SUCH_USER, result_info="the account does not exist"
        )
    if call.is_app_admin(user):
        return wire.AccountDeleteResult(
            user_id=user, result_code=codes.ACCOUNT_BAD_PARAMETER, result_info="an app admin cannot be deleted"
        )
    call.state.remove_account(user, call.now)
    return wire.AccountDeleteResult(user_id=user)


def _check_batch(call: CommandContext[Any], items: Sequence[object]) -> None:
    maximum = call.settings.limits.accounts
    if not 1 <= len(items) <= maximum:
        raise Refusal(codes.ACCOUNT_BATCH_SIZE, f"1 to {maximum} accounts a call")


def _online_status(call: CommandContext[wire.QueryOnlineStatusRequest], user: str) -> wire.OnlineStatus:
    platforms = call.state.online.get(user)
    detail = None
    if platforms and call.request.is_need_detail == 1:
        detail = [
            wire.PlatformStatus(platform=wire.PLATFORM_NAMES.get(platform, platform), status=ONLINE)
            for platform in platforms
        ]
    return wire.OnlineStatus(to_account=user, status=call.state.online_status(user), detail=detail)


TEXTS = frozenset({profiles.NICK, profiles.IMAGE, profiles.SELF_SIGNATURE})
NUMBERS = frozenset({profiles.BIRTH_DAY, profiles.LANGUAGE, profiles.LEVEL, profiles.ROLE, profiles.MSG_SETTINGS})
CHOICES = {
    profiles.GENDER: profiles.GENDERS,
    profiles.ALLOW_TYPE: profiles.ALLOW_TYPES,
    profiles.ADMIN_FORBID_TYPE: profiles.ADMIN_FORBID_TYPES,
}


def check_tag(call: CommandContext[Any], tag: str) -> None:
    """Refuse with 40009 a tag that is neither standard nor declared in the console."""
    declared = tag.startswith(profiles.CUSTOM_PREFIX) and (
        tag.removeprefix(profiles.CUSTOM_PREFIX) in call.settings.app.profile_fields
    )
    if tag == profiles.MSG_SETTINGS and not call.settings.behaviour.profile_msg_settings:
        raise Refusal(codes.PROFILE_UNKNOWN_TAG, "Tag is not a standard field", guess="profile-msg-settings")
    if not (declared or tag in TEXTS or tag in NUMBERS or tag in CHOICES or tag == profiles.LOCATION):
        raise Refusal(codes.PROFILE_UNKNOWN_TAG, "Tag is neither a standard field nor declared in the console")


def check_value(call: CommandContext[Any], tag: str, value: str | int) -> None:
    """Check type, choice and bytes of one value [doc 1500]."""
    limits = call.settings.limits
    if tag in NUMBERS:
        if not isinstance(value, int) or not 0 <= value <= U32:
            raise Refusal(codes.PROFILE_BAD_TYPE, f"{tag} must be a number of 32 bits")
        return
    if not isinstance(value, str):
        raise Refusal(codes.PROFILE_BAD_TYPE, f"{tag} must be a string")
    if tag in CHOICES and value not in CHOICES[tag]:
        raise Refusal(codes.PROFILE_BAD_VALUE, f"{tag} must be one of {', '.join(CHOICES[tag])}")
    maximum = limits.profile_location_bytes if tag == profiles.LOCATION else limits.profile_text_bytes
    if len(value.encode()) > maximum:
        raise Refusal(codes.PROFILE_VALUE_TOO_LONG, f"{tag} is over {maximum} bytes")


@handles(catalog.PORTRAIT_SET)
def portrait_set(call: CommandContext[profiles.PortraitSetRequest]) -> profiles.PortraitSetReply:
    """Write some fields of one account, all or none [doc 1640]."""
    user, items = call.request.from_account, call.request.profile_item
    if not items:
        raise Refusal(codes.PROFILE_BAD_PARAMETER, "ProfileItem is empty")
    if call.state.account(user) is None:
        raise Refusal(codes.PROFILE_NO_SUCH_ACCOUNT, "From_Account does not exist")
    for item in items:
        check_tag(call, item.tag)
        check_value(call, item.tag, item.value)
    call.state.profiles.setdefault(user, {}).update({item.tag: item.value for item in items})
    return profiles.PortraitSetReply()


@handles(catalog.PORTRAIT_GET)
def portrait_get(call: CommandContext[profiles.PortraitGetRequest]) -> profiles.PortraitGetReply:
    """Return fields of some accounts; unknown accounts fail one by one [doc 1639]."""
    users, tags, maximum = call.request.to_account, call.request.tag_list, call.settings.limits.profiles
    if not 1 <= len(users) <= maximum:
        raise Refusal(codes.PROFILE_BAD_PARAMETER, f"To_Account: 1 to {maximum} accounts")
    if not tags:
        raise Refusal(codes.PROFILE_BAD_PARAMETER, "TagList is empty")
    for tag in tags:
        check_tag(call, tag)
    failed = [user for user in users if call.state.account(user) is None]
    return profiles.PortraitGetReply(
        user_profile_item=[_user_profile(call, user, tags) for user in users], fail_account=failed or None
    )


def _user_profile(
    call: CommandContext[profiles.PortraitGetRequest], user: str, tags: Sequence[str]
) -> profiles.UserProfile:
    if call.state.account(user) is None:
        return profiles.UserProfile(
            to_account=user, result_code=codes.PROFILE_NO_SUCH_ACCOUNT, result_info="the account does not exist"
        )
    stored = call.state.profiles.get(user, {})
    empty = call.settings.behaviour.profile_empty_fields
    values = {tag: stored.get(tag, 0 if tag in NUMBERS else "") for tag in tags if empty or tag in stored}
    return profiles.UserProfile(
        to_account=user, profile_item=[profiles.ProfileItem(tag=tag, value=value) for tag, value in values.items()]
    )
