"""The first and last step of a channel: create or recognise the group; close posting, add admins, apply changes."""

from typing import Any, Final

import orjson

from channel_adapter.backends.caller import item_error
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.domain.channel import ChannelProfile
from channel_adapter.domain.ids import UserId
from channel_adapter.errors import ChannelAdapterError, ConflictError, NotFoundError
from channel_adapter.migration.budget import TRANSIENT
from channel_adapter.migration.plan import transform
from channel_adapter.migration.plan.resolutions import PROFILE_INCOMPATIBILITIES, Resolution
from channel_adapter.migration.run.work import (
    ADMIN,
    CLOSING,
    IMPORTING_CHANNEL,
    PROFILE,
    ChannelWork,
    retry_command,
)
from channel_adapter.migration.sources.source import SourceChannel
from channel_adapter.store.migration import DONE, PLANNED
from channel_adapter.tencent import codes
from channel_adapter.tencent.catalog import (
    GET_GROUP_INFO,
    IMPORT_GROUP,
    IMPORT_GROUP_MEMBER,
    MODIFY_GROUP_BASE_INFO,
    MODIFY_GROUP_MEMBER_INFO,
)
from channel_adapter.tencent.wire import groups, members

NO_GROUP: Final = frozenset({codes.NO_SUCH_GROUP, codes.BAD_GROUP_ID})
_ASKED: Final = (*channel_group.BASE_FIELDS, "NextMsgSeq")
_REMEMBERED: Final = ("owner", "name", "introduction", "avatar", "organization", "custom_data", "admins")


async def open_channel(work: ChannelWork) -> None:
    """Create the group with its true age and the tag of the migration, or recognise it.

    Raises ConflictError for a group of another owner, NotFoundError for one that was created before and is missing.
    """
    row = work.row
    if row.created_at or not await _made(work):
        await _recognise(work)
    row.last_time = max(row.last_time, row.created_at)
    await _keep_texts(work)
    await work.note(IMPORTING_CHANNEL if row.state == PLANNED else None)


async def _made(work: ChannelWork) -> bool:
    """Return False when the id is in use, which may be the group of an earlier run."""
    planned = work.planned.target
    born = planned.created_at or int(work.clock.now())
    tag = planned.tag(work.plan.migration)
    request = transform.import_channel(
        work.channel, UserId(planned.owner), planned.profile, work.target, created_at=born, tag=tag
    )
    await work.note(IMPORTING_CHANNEL)
    work.failpoint("channel.sending")
    try:
        await work.calls.call(IMPORT_GROUP, request)
    except ConflictError as error:
        if error.code != codes.GROUP_ID_TAKEN:
            raise
        return False
    work.failpoint("channel.made")
    work.row.created_at, work.tag = born, tag
    work.row.profile = remembered(_as_planned(work))
    return True


async def _recognise(work: ChannelWork) -> None:
    info = await _read(work)
    row = work.row
    if info.error_code in NO_GROUP:
        raise NotFoundError(f"{work.channel} was made by this migration and is gone; roll back and plan again")
    if info.error_code != codes.OK:
        raise item_error(GET_GROUP_INFO, info.error_code, info.error_info)
    tag = channel_group.tag_of(channel_group.fields_of(info), work.target.keys)
    if tag is None or tag.migration != work.plan.migration:
        whose = "a group that is no channel" if tag is None else f"migration {tag.migration or 'none'}"
        raise ConflictError(f"{work.channel} is taken by {whose}, {info.name!r}; plan again with --rename", field="id")
    work.tag = tag
    work.closed = channel_group.posting_closed(info)
    if not row.created_at:
        row.profile = remembered(_as_planned(work))
    row.created_at = info.create_time or row.created_at
    work.unclear = max(0, (info.next_msg_seq or 1) - 1 - row.last_seq)
    row.last_time = max(row.last_time, info.last_msg_time or 0)


async def _read(work: ChannelWork) -> groups.GroupInfo:
    asked = groups.GetGroupInfoRequest(
        group_id_list=[work.channel],
        response_filter=groups.GroupResponseFilter(
            group_base_info_filter=list(_ASKED), app_defined_data_filter_group=work.target.keys.all()
        ),
    )
    return (await work.calls.call(GET_GROUP_INFO, asked)).group_info[0]


async def _keep_texts(work: ChannelWork) -> None:
    """Store originals of what was cut, for the policy `store`."""
    for loss in PROFILE_INCOMPATIBILITIES:
        if loss.value in work.planned.target.kept:
            await work.store_original(loss.value, "", getattr(work.now, loss.value))


async def close_channel(work: ChannelWork) -> None:
    """Allow only owner and admins to post, then move what differs from what was moved last."""
    await work.note(CLOSING)
    if not work.closed:
        work.failpoint("closing.sending")
        await work.calls.call(MODIFY_GROUP_BASE_INFO, channel_group.close_posting(work.channel))
        work.failpoint("closing.sent")
    before: dict[str, Any] = orjson.loads(work.row.profile or "{}")
    await _move_profile(work, before)
    await _move_admins(work, before)
    work.row.profile = remembered(work.now)
    work.row.finished, work.row.standing, work.row.reason = work.round, DONE, ""
    await work.note(DONE)
    await work.journal.flush()
    work.failpoint("channel.done")


async def _move_profile(work: ChannelWork, before: dict[str, Any]) -> None:
    """Move texts that the source has changed since; changes of the target stay."""
    changed = [
        loss for loss in PROFILE_INCOMPATIBILITIES if before.get(loss.value, "") != getattr(work.now, loss.value)
    ]
    if before.get("owner", work.now.owner) != work.now.owner:
        raw = {"owner": work.now.owner, "was": before["owner"]}
        await work.quarantine(PROFILE, "owner", "the owner at the source is another one now", raw,
                              "hand the channel over by hand")  # fmt: skip
    mapped = transform.map_profile(work.now, work.target)
    lost = {text.loss: text for text in mapped.lost}
    change: dict[str, str] = {}
    for loss in changed:
        if loss in lost and work.policies.of(loss) is Resolution.REFUSE:
            text = lost[loss]
            reason = f"{loss.value} has {text.size} bytes now; {text.limit} are allowed, and the policy is refuse"
            raw = {loss.value: getattr(work.now, loss.value)}
            await work.quarantine(PROFILE, loss.value, reason, raw, "plan again with a policy for it, and apply")
            continue
        if loss in lost and work.policies.of(loss) is Resolution.STORE:
            await work.store_original(loss.value, "", getattr(work.now, loss.value))
        change[loss.value] = getattr(mapped.profile, loss.value) or ""
    if change:
        wanted: dict[str, Any] = change
        request = transform.update_channel(work.channel, ChannelProfile(**wanted), work.target, tag=work.tag)
        await work.calls.call(MODIFY_GROUP_BASE_INFO, request)


async def _move_admins(work: ChannelWork, before: dict[str, Any]) -> None:
    """Add users who became admins at the source since; on the first run all admins."""
    known = () if work.first else before.get("admins", ())
    fresh = [user for user in work.now.admins if user not in known and user != work.planned.target.owner]
    for user in fresh:
        try:
            await make_admin(work, user)
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            retry = retry_command("see that the account exists")
            await work.quarantine(ADMIN, user, error.message, {"user": user}, retry)


async def make_admin(work: ChannelWork, user: str) -> None:
    """Import a user as an admin, or change the role of a member."""
    request = transform.import_subscribers(
        work.channel, [members.ImportedMember(member_account=user, role=members.ADMIN)]
    )
    reply = await work.calls.call(IMPORT_GROUP_MEMBER, request)
    if reply.member_list and reply.member_list[0].result == members.RESULT_ADDED:
        return
    await work.calls.call(MODIFY_GROUP_MEMBER_INFO, transform.admin_request(work.channel, user))


def remembered(channel: SourceChannel) -> str:
    """Return the fields of a profile that are compared with a later one of the source, as JSON."""
    return orjson.dumps({name: getattr(channel, name) for name in _REMEMBERED}).decode()


def _as_planned(work: ChannelWork) -> SourceChannel:
    """Return the source as it was when the plan was made, which is the profile of the new group."""
    planned = work.planned.source
    return SourceChannel(**{name: getattr(planned, name) for name in ("id", *_REMEMBERED)})
