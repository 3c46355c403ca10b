"""A channel as a group: profile fields, the tag, custom fields, and errors of fields that are not declared."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from channel_adapter.backends.community.tag import Tag, read_tag
from channel_adapter.domain.channel import CONTACT, SUSPENDED, VERIFIED, Channel, ChannelProfile
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, InvalidError, LimitReachedError
from channel_adapter.mapping import ids
from channel_adapter.mapping.content import to_datetime
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.mapping.text import byte_size, require_text, require_url, split_text
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.limits import GroupProfileBytes
from channel_adapter.tencent.wire import groups

CUSTOM_DATA_BYTES = limits.OFFICIAL_CUSTOM_BYTES

BASE_FIELDS = (
    "Name", "Introduction", "Notification", "FaceUrl", "Owner_Account", "CreateTime", "LastMsgTime",
    "MemberNum", "MaxMemberNum", "MuteAllMember",
)  # fmt: skip
"""The base fields of a group that a channel needs."""


def check_profile(profile: ChannelProfile, keys: FieldKeys, sizes: GroupProfileBytes) -> None:
    """Check the sizes of a profile. Raises InvalidError with field, limit and size."""
    if profile.name is not None:
        require_text(profile.name, "name", sizes.name, empty=False)
    if profile.introduction is not None:
        require_text(profile.introduction, "introduction", sizes.introduction)
    if profile.notification is not None:
        require_text(profile.notification, "notification", sizes.notification)
    if profile.avatar is not None:
        require_url(profile.avatar, "avatar", sizes.face_url)
    _custom_fields(profile, keys)
    count = profile.max_subscribers
    if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
        raise InvalidError(
            f"max_subscribers must be a positive integer; got {shown_value(count)}", field="max_subscribers"
        )


def create_request(
    channel: ChannelId, owner: UserId, profile: ChannelProfile, keys: FieldKeys
) -> groups.CreateGroupRequest:
    """Return the first of the two requests that create a channel; `close_posting` is the second."""
    return groups.CreateGroupRequest(
        type=groups.COMMUNITY,
        group_id=channel,
        name=profile.name or "",
        owner_account=owner,
        introduction=profile.introduction or None,
        notification=profile.notification or None,
        face_url=profile.avatar or None,
        max_member_count=_max_members(profile.max_subscribers, owned=True),
        apply_join_option=groups.FREE_ACCESS,
        support_topic=0,
        app_defined_data=[
            groups.DefinedData(key=keys.tag, value=Tag(data=_count_data_fields(profile) or None).text()),
            *(groups.DefinedData(key=key, value=value) for key, value in _custom_fields(profile, keys) if value),
        ],
    )


def import_request(
    channel: ChannelId, owner: UserId, profile: ChannelProfile, keys: FieldKeys, *, created_at: int, tag: Tag
) -> groups.ImportGroupRequest:
    """Return the request that imports a channel, with its true age in Unix seconds, without webhooks and notices.

    `close_posting` follows when its posts and subscribers are in.
    """
    made = create_request(channel, owner, profile, keys)
    tag = replace(tag, data=_count_data_fields(profile) or None)
    fields = [
        item.model_copy(update={"value": tag.text()}) if item.key == keys.tag else item
        for item in made.app_defined_data or ()
    ]
    return groups.ImportGroupRequest(
        type=made.type,
        group_id=made.group_id,
        name=made.name,
        owner_account=made.owner_account,
        introduction=made.introduction,
        notification=made.notification,
        face_url=made.face_url,
        max_member_count=made.max_member_count,
        apply_join_option=made.apply_join_option,
        support_topic=made.support_topic,
        app_defined_data=fields,
        create_time=created_at,
    )


def retag_request(
    channel: ChannelId, tag: Tag, keys: FieldKeys, *, joining: bool | None = None
) -> groups.ModifyGroupBaseInfoRequest:
    """Return the request that writes the tag; `joining` opens or closes the group to users who join by themselves."""
    fields = [groups.DefinedData(key=keys.tag, value=tag.text())]
    option = None if joining is None else groups.FREE_ACCESS if joining else groups.DISABLE_APPLY
    return groups.ModifyGroupBaseInfoRequest(group_id=channel, app_defined_data=fields, apply_join_option=option)


def close_posting(channel: ChannelId) -> groups.ModifyGroupBaseInfoRequest:
    """Return the request after which only owner and admins may post."""
    return groups.ModifyGroupBaseInfoRequest(group_id=channel, mute_all_member=groups.ON)


def update_request(
    channel: ChannelId, change: ChannelProfile, keys: FieldKeys, *, owned: bool = True, tag: Tag | None = None
) -> groups.ModifyGroupBaseInfoRequest:
    """Return the request that changes the given fields. `owned`: the channel has an owner. `tag` counts custom data."""
    fields = [groups.DefinedData(key=key, value=value) for key, value in _custom_fields(change, keys)]
    if tag is not None and change.custom_data is not None:
        fields.insert(0, groups.DefinedData(key=keys.tag, value=replace(tag, data=_count_data_fields(change)).text()))
    return groups.ModifyGroupBaseInfoRequest(
        group_id=channel,
        name=change.name,
        introduction=change.introduction,
        notification=change.notification,
        face_url=change.avatar,
        max_member_num=_max_members(change.max_subscribers, owned=owned),
        app_defined_data=fields or None,
    )


def info_request(channels: Sequence[ChannelId], keys: FieldKeys, *, base: bool = True) -> groups.GetGroupInfoRequest:
    """Return the request that reads channels without their members. Without `base` only tag and custom fields."""
    return groups.GetGroupInfoRequest(
        group_id_list=list(channels),
        response_filter=groups.GroupResponseFilter(
            group_base_info_filter=list(BASE_FIELDS) if base else ["Type"],
            app_defined_data_filter_group=keys.all(),
        ),
    )


def fields_request(channels: Sequence[ChannelId], fields: Sequence[str]) -> groups.GetGroupInfoRequest:
    """Return the request that reads some base fields of groups, and no custom fields."""
    return groups.GetGroupInfoRequest(
        group_id_list=list(channels), response_filter=groups.GroupResponseFilter(group_base_info_filter=list(fields))
    )


def fields_of(profile: groups.GroupProfile | groups.GroupTag) -> dict[str, str]:
    """Return the custom fields by key; none if the list is empty or missing."""
    data = profile.app_defined_data
    return {item.key: item.value for item in data} if data else {}


def is_channel(fields: dict[str, str], keys: FieldKeys) -> bool:
    """Return whether a group is a channel, which only its tag decides."""
    return tag_of(fields, keys) is not None


def tag_of(fields: dict[str, str], keys: FieldKeys) -> Tag | None:
    """Return the tag; None for a group that is not a channel."""
    return read_tag(fields.get(keys.tag, "")) if fields else None


def to_channel(
    channel: ChannelId, group: groups.GroupProfile | groups.JoinedRow, fields: dict[str, str], keys: FieldKeys
) -> Channel:
    """Return a channel from the base fields and the custom fields of a group."""
    members, owned = group.member_num or 0, bool(group.owner_account)
    tag = tag_of(fields, keys)
    pieces = tag.data if tag is not None and tag.data is not None else len(keys.custom_data)
    attributes = (tag or Tag()).attributes
    contact = attributes.get(CONTACT)
    return Channel(
        id=channel,
        slug=ids.COMMUNITY_IDS.slug(channel),
        name=group.name or "",
        owner=UserId(group.owner_account) if group.owner_account else None,
        introduction=group.introduction or "",
        notification=group.notification or "",
        avatar=group.face_url or "",
        organization=fields.get(keys.organization, "") if keys.organization else "",
        custom_data="".join(fields.get(key, "") for key in keys.custom_data[:pieces]),
        custom_data_complete=pieces <= len(keys.custom_data),
        subscriber_count=max(0, members - owned),
        max_subscribers=max(0, group.max_member_num - owned) if group.max_member_num is not None else None,
        created_at=to_datetime(group.create_time),
        last_post_at=to_datetime(group.last_msg_time),
        complete=posting_closed(group),
        verified=VERIFIED in attributes,
        suspended=SUSPENDED in attributes,
        contact=UserId(contact) if contact else None,
    )


def posting_closed(group: groups.GroupProfile | groups.JoinedRow) -> bool:
    """Return whether only owner and admins may post; the field has two names."""
    return groups.ON in (group.mute_all_member, group.shut_up_all_member)


def _max_members(subscribers: int | None, *, owned: bool) -> int | None:
    """Return the maximum of members: the service counts the owner, a channel does not."""
    return subscribers + owned if subscribers is not None else None


def _count_data_fields(profile: ChannelProfile) -> int:
    """Return the number of fields that the custom data needs."""
    return len(split_text(profile.custom_data or "", limits.GROUP_FIELD_VALUE_BYTES))


def _custom_fields(profile: ChannelProfile, keys: FieldKeys) -> list[tuple[str, str]]:
    """Return key and value of every custom field that a profile changes; unused keys of custom data are emptied."""
    pairs: list[tuple[str, str]] = []
    if profile.organization is not None:
        pairs += _organization_pairs(profile.organization, keys)
    if profile.custom_data is not None:
        pairs += _custom_data_pairs(profile.custom_data, keys)
    return pairs


def _organization_pairs(text: str, keys: FieldKeys) -> list[tuple[str, str]]:
    require_text(text, "organization")
    if keys.organization is None:
        if not text:
            return []
        raise InvalidError(
            f"organization has {byte_size(text)} bytes and no custom group field to live in;"
            " declare one key in the console and name it in channels.organization_key",
            field="organization", limit=0, size=byte_size(text),
        )  # fmt: skip
    require_text(text, "organization", limits.GROUP_FIELD_VALUE_BYTES)
    return [(keys.organization, text)]


def _custom_data_pairs(text: str, keys: FieldKeys) -> list[tuple[str, str]]:
    require_text(text, "custom_data", CUSTOM_DATA_BYTES)
    pieces = split_text(text, limits.GROUP_FIELD_VALUE_BYTES)
    declared = len(keys.custom_data)
    if len(pieces) > declared:
        size = byte_size(text)
        needed = f"{len(pieces)} custom group field{'' if len(pieces) == 1 else 's'}"
        raise InvalidError(
            f"custom_data has {size} bytes and needs {needed}; channels.custom_data_keys names {declared}"
            f" (a character is never split between fields): declare {len(pieces) - declared} more in the console and"
            " name them there",
            field="custom_data", limit=declared * limits.GROUP_FIELD_VALUE_BYTES, size=size,
        )  # fmt: skip
    return list(zip(keys.custom_data, pieces + [""] * (declared - len(pieces)), strict=True))


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
"""Parameters of the service and the fields of a profile."""


_LEGACY: Final = {
    "name": limits.GROUP_PROFILE_LEGACY.name,
    "introduction": limits.GROUP_PROFILE_LEGACY.introduction,
    "notification": limits.GROUP_PROFILE_LEGACY.notification,
    "avatar": limits.GROUP_PROFILE_LEGACY.face_url,
}
_LEGACY_HINT: Final = 'set profile_limits = "legacy" in [channels] if the service has the older limits'
_CONSOLE: Final = "is not declared in the app's console, or not enabled for Community there"


def explained(error: ChannelAdapterError, sent_keys: Sequence[str], profile: ChannelProfile) -> ChannelAdapterError:
    """Return the error of a create or modify that carried these custom group fields and this profile.

    Everything was checked before, so an illegal parameter [10004] is most likely a key that the app has not declared or
    not enabled for Communities, or a text over the older byte limits of profiles [8]. The service names the parameter,
    or so the pages suggest [7]; if not, all that were sent are listed.
    """
    if error.code == codes.MEMBERS_OVER_PLAN and profile.max_subscribers is not None:
        return _to_over_plan_error(error, profile.max_subscribers)
    if error.code != codes.BAD_PARAMETER or error.origin is None:
        return error
    for key in _names_within(sent_keys, error.origin.text):
        return ConfigurationError(f"custom group field {key!r} {_CONSOLE}", field=key, origin=error.origin)
    over = _sizes_over_legacy(profile)
    for name in _names_within(_FIELDS, error.origin.text):
        field = _FIELDS[name]
        if field == _MAX and profile.max_subscribers is not None:
            return _to_over_plan_error(error, profile.max_subscribers)
        if field in over:
            message = f"{error.message}; {_describe_too_long(field, over[field])}; {_LEGACY_HINT}"
            return InvalidError(message, field=field, limit=_LEGACY[field], size=over[field], origin=error.origin)
        return InvalidError(error.message, field=field, origin=error.origin)
    hints = []
    if sent_keys:
        which = "the custom group field" if len(sent_keys) == 1 else "one of the custom group fields"
        hints.append(f"perhaps {which} {', '.join(sent_keys)} {_CONSOLE}")
    if over:
        hints.append(f"perhaps {', '.join(_describe_too_long(*each) for each in over.items())}; {_LEGACY_HINT}")
    return InvalidError("; ".join([error.message, *hints]), origin=error.origin) if hints else error


def _sizes_over_legacy(profile: ChannelProfile) -> dict[str, int]:
    """Return the sizes of the texts that the older limits do not allow."""
    sizes = {field: byte_size(getattr(profile, field) or "") for field in _LEGACY}
    return {field: size for field, size in sizes.items() if size > _LEGACY[field]}


def _describe_too_long(field: str, size: int) -> str:
    return f"{field} has {size} bytes, over the older limit of {_LEGACY[field]}"


def _to_over_plan_error(error: ChannelAdapterError, number: int) -> LimitReachedError:
    return LimitReachedError(
        f"{_MAX}: the service does not take {number:,}; the app's plan has fewer",
        field=_MAX,
        size=number,
        origin=error.origin,
    )


def _names_within(names: Iterable[str], text: str) -> list[str]:
    """Return the names that the text contains as whole words."""
    words = set(re.findall(r"\w+", text))
    return [name for name in names if name in words]
