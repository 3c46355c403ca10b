"""The first and last step of a channel: create or recognise the group; close posting, add admins, apply changes."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

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

_REMEMBERED: Final = ("owner", "name", "introduction", "avatar", "organization", "custom_data", "admins")


async def open_channel(work: ChannelWork) -> None:
    """Create the group with its true age and the tag of the migration, or recognise it.

    Raises ConflictError for a group of another owner, NotFoundError for one that was created before and is missing.
    """
    row = work.row
    if row.created_at or not await _create_group(work):
        await _recognise_group(work)
    row.last_time = max(row.last_time, row.created_at)
    await _store_originals(work)
    await work.note(IMPORTING_CHANNEL if row.state == PLANNED else None)


async def _create_group(work: ChannelWork) -> bool:
    """Return False when the id is in use, which may be the group of an earlier run."""
    planned = work.planned.target
    born = planned.created_at or int(work.context.clock.now())
    tag = planned.tag(work.plan.migration)
    await work.note(IMPORTING_CHANNEL)
    work.failpoint("channel.sending")
    owner = UserId(planned.owner)
    if not await work.importer.create(work.channel, owner, planned.profile, created_at=born, tag=tag):
        return False
    work.failpoint("channel.made")
    work.row.created_at, work.tag, work.owner = born, tag, planned.owner
    work.row.profile = remembered(_planned_source_channel(work))
    return True


async def _recognise_group(work: ChannelWork) -> None:
    group = (await work.importer.inspect([work.channel])).get(work.channel)
    row = work.row
    if group is None:
        raise NotFoundError(f"{work.channel} was made by this migration and is gone; roll back and plan again")
    tag = group.tag
    if tag is None or tag.migration != work.plan.migration:
        whose = "a group that is no channel" if tag is None else f"migration {tag.migration or 'none'}"
        name = group.channel.name
        raise ConflictError(f"{work.channel} is taken by {whose}, {name!r}; plan again with --rename", field="id")
    work.tag, work.owner = tag, group.channel.owner or ""
    work.closed = group.channel.complete
    if not row.created_at:
        row.profile = remembered(_planned_source_channel(work))
    row.created_at = group.created_at or row.created_at
    work.unclear = max(0, (group.next_seq or 1) - 1 - row.last_seq)
    row.last_time = max(row.last_time, group.last_post_at)


async def _store_originals(work: ChannelWork) -> None:
    """Store originals of what was cut, for the policy `store`."""
    for loss in PROFILE_INCOMPATIBILITIES:
        if loss.value in work.planned.target.kept:
            await work.store_original(loss.value, "", getattr(work.now, loss.value))


async def close_channel(work: ChannelWork) -> None:
    """Allow only owner and admins to post, then move what differs from what was moved last."""
    await work.note(CLOSING)
    if not work.closed:
        work.failpoint("closing.sending")
        await work.importer.close(work.channel)
        work.failpoint("closing.sent")
    before: dict[str, Any] = orjson.loads(work.row.profile or "{}")
    refused = await _move_profile(work, before)
    await _move_admins(work, before)
    await _release_obsolete(work, refused)
    work.row.profile = remembered(work.now, {name: before.get(name, "") for name in refused})
    work.row.finished, work.row.status, work.row.reason = work.round, DONE, ""
    await work.note(DONE)
    await work.journal.flush()
    work.failpoint("channel.done")


async def _move_profile(work: ChannelWork, before: dict[str, Any]) -> set[str]:
    """Move texts that the source has changed since; changes of the target stay. Return the fields that were refused."""
    refused: set[str] = set()
    changed = [
        loss for loss in PROFILE_INCOMPATIBILITIES if before.get(loss.value, "") != getattr(work.now, loss.value)
    ]
    if work.now.owner not in (before.get("owner", work.now.owner), work.owner):
        raw = {"owner": work.now.owner, "was": before["owner"]}
        reason = "the owner in the source is another one now"
        retry = "subscribe the new owner, then `channel-adapter channels transfer`, and apply"
        await work.quarantine(PROFILE, "owner", reason, raw, retry)
        refused.add("owner")
    mapped = transform.map_profile(work.now, work.target)
    lost = {text.loss: text for text in mapped.lost}
    change: dict[str, str] = {}
    for loss in changed:
        if loss in lost and work.policies.of(loss) is Resolution.REFUSE:
            text = lost[loss]
            reason = f"{loss.value} has {text.size} bytes now; {text.limit} are allowed, and the policy is refuse"
            raw = {loss.value: getattr(work.now, loss.value)}
            await work.quarantine(PROFILE, loss.value, reason, raw, "plan again with a policy for it, and apply")
            refused.add(loss.value)
            continue
        if loss in lost and work.policies.of(loss) is Resolution.STORE:
            await work.store_original(loss.value, "", getattr(work.now, loss.value))
        change[loss.value] = getattr(mapped.profile, loss.value) or ""
    if change:
        wanted: dict[str, Any] = change
        await work.importer.update(work.channel, ChannelProfile(**wanted), work.tag)
    return refused


async def _move_admins(work: ChannelWork, before: dict[str, Any]) -> None:
    """Add users who became admins in the source since; on the first run all admins."""
    known = () if work.first else before.get("admins", ())
    fresh = [user for user in work.now.admins if user not in known and user != work.planned.target.owner]
    for user in fresh:
        try:
            await work.importer.make_admin(work.channel, user)
            await work.release(ADMIN, [user])
        except TRANSIENT:
            raise
        except ChannelAdapterError as error:
            retry = retry_command("see that the account exists")
            await work.quarantine(ADMIN, user, error.message, {"user": user}, retry)


async def _release_obsolete(work: ChannelWork, refused: Collection[str]) -> None:
    """Release fields that are on the target as they are in the source, and admins that the source has no more."""
    if not work.quarantined:
        return
    current = {PROFILE: refused, ADMIN: work.now.admins}
    for row in await work.journal.store.quarantined(work.plan.migration, work.id, [*current]):
        if row.key not in current[row.what]:
            await work.release(row.what, [row.key])


def remembered(channel: SourceChannel, other: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return the fields of a profile that are compared with a later one of the source, as JSON.

    `other` are fields that the target has with other values.
    """
    return orjson.dumps({name: getattr(channel, name) for name in _REMEMBERED} | dict(other)).decode()


def _planned_source_channel(work: ChannelWork) -> SourceChannel:
    """Return the source as it was when the plan was made, which is the profile of the new group."""
    planned = work.planned.source
    return SourceChannel(**{name: getattr(planned, name) for name in ("id", *_REMEMBERED)})
