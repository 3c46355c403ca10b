"""User profiles [rest basics 6.8]."""

from collections.abc import Sequence
from typing import Any

from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.group_rules import U32
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import profiles as wire

TEXTS = frozenset({wire.NICK, wire.IMAGE, wire.SELF_SIGNATURE})
NUMBERS = frozenset({wire.BIRTH_DAY, wire.LANGUAGE, wire.LEVEL, wire.ROLE, wire.MSG_SETTINGS})
CHOICES = {
    wire.GENDER: wire.GENDERS,
    wire.ALLOW_TYPE: wire.ALLOW_TYPES,
    wire.ADMIN_FORBID_TYPE: wire.ADMIN_FORBID_TYPES,
}


def check_tag(call: Call[Any], tag: str) -> None:
    """40009 for a tag that is neither standard nor declared in the console."""
    declared = tag.startswith(wire.CUSTOM_PREFIX) and (
        tag.removeprefix(wire.CUSTOM_PREFIX) in call.settings.app.profile_fields
    )
    if tag == wire.MSG_SETTINGS and not call.settings.behaviour.profile_msg_settings:
        raise Refusal(codes.PROFILE_UNKNOWN_TAG, "Tag is not a standard field", guess="profile-msg-settings")
    if not (declared or tag in TEXTS or tag in NUMBERS or tag in CHOICES or tag == wire.LOCATION):
        raise Refusal(codes.PROFILE_UNKNOWN_TAG, "Tag is neither a standard field nor declared in the console")


def check_value(call: Call[Any], tag: str, value: str | int) -> None:
    """Type, choice and bytes of one value [doc 1500]."""
    limits = call.settings.limits
    if tag in NUMBERS:
        if not isinstance(value, int) or not 0 <= value <= U32:
            raise Refusal(codes.PROFILE_BAD_TYPE, f"{tag} must be a number of 32 bits")
        return
    if not isinstance(value, str):
        raise Refusal(codes.PROFILE_BAD_TYPE, f"{tag} must be a string")
    if tag in CHOICES and value not in CHOICES[tag]:
        raise Refusal(codes.PROFILE_BAD_VALUE, f"{tag} must be one of {', '.join(CHOICES[tag])}")
    most = limits.profile_location_bytes if tag == wire.LOCATION else limits.profile_text_bytes
    if len(value.encode()) > most:
        raise Refusal(codes.PROFILE_VALUE_TOO_LONG, f"{tag} is over {most} bytes")


@handles(catalog.PORTRAIT_SET)
def portrait_set(call: Call[wire.PortraitSetRequest]) -> wire.PortraitSetReply:
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
    return wire.PortraitSetReply()


@handles(catalog.PORTRAIT_GET)
def portrait_get(call: Call[wire.PortraitGetRequest]) -> wire.PortraitGetReply:
    """Fields of some accounts; unknown accounts fail one by one [doc 1639]."""
    users, tags, most = call.request.to_account, call.request.tag_list, call.settings.limits.profiles
    if not 1 <= len(users) <= most:
        raise Refusal(codes.PROFILE_BAD_PARAMETER, f"To_Account: 1 to {most} accounts")
    if not tags:
        raise Refusal(codes.PROFILE_BAD_PARAMETER, "TagList is empty")
    for tag in tags:
        check_tag(call, tag)
    failed = [user for user in users if call.state.account(user) is None]
    return wire.PortraitGetReply(
        user_profile_item=[_profile(call, user, tags) for user in users], fail_account=failed or None
    )


def _profile(call: Call[wire.PortraitGetRequest], user: str, tags: Sequence[str]) -> wire.UserProfile:
    if call.state.account(user) is None:
        return wire.UserProfile(
            to_account=user, result_code=codes.PROFILE_NO_SUCH_ACCOUNT, result_info="the account does not exist"
        )
    stored = call.state.profiles.get(user, {})
    empty = call.settings.behaviour.profile_empty_fields
    values = {tag: stored.get(tag, 0 if tag in NUMBERS else "") for tag in tags if empty or tag in stored}
    return wire.UserProfile(
        to_account=user, profile_item=[wire.ProfileItem(tag=tag, value=value) for tag, value in values.items()]
    )
