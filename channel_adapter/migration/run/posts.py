"""Move posts, oldest first, seven a call, each later than the one before; posts that exist are not sent again."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from channel_adapter.concurrency.batching import batches, stream
from channel_adapter.migration.plan import transform
from channel_adapter.migration.plan.resolutions import Incompatibility
from channel_adapter.migration.plan.transform import SendTimes, refused
from channel_adapter.migration.run.work import IMPORTING_POSTS, POST, RECALL, ChannelWork, raw_post, retry_command
from channel_adapter.migration.sources.source import SourceKind, SourcePost, SourceState
from channel_adapter.store.migration import PostRow
from channel_adapter.tencent.wire import messages
from channel_adapter.tencent.wire.msg_body import Element

RECALLED_MEANWHILE: Final = "recalled in the source"
_WAIT_AT_MOST: Final = 60
_LOOKED_UP: Final = 200


async def move_posts(work: ChannelWork) -> None:
    """Move what was not moved before; in a delta, recall what the source has recalled since."""
    await work.note(IMPORTING_POSTS)
    there = await _find_unrecorded(work)
    sender = PostImporter(work, there)
    # A post that a file has now and did not have before may have any time; an account has new posts at the end only.
    whole = not work.first and work.plan.source.kind is SourceKind.FILES
    posts = work.source.posts(work.id, after="" if whole else work.row.post_key)
    refused = await _quarantined_posts(work) if whole else frozenset()
    async with aclosing(batches(posts, _LOOKED_UP)) as parts:
        async for part in parts:
            recorded = await work.journal.store.posts(work.plan.migration, work.id, [post.key for post in part])
            for post in part:
                row = recorded.get(post.key)
                if post.key not in refused and (row is None or row.seq > work.row.last_seq):
                    await sender.take(post)
    await sender.send()
    await work.note()
    if not work.first:
        await _recall_posts(work)
    await work.journal.flush()
    await work.journal.store.drop_pages(work.plan.migration, work.id)
    work.failpoint("posts.noted")


async def retry_posts(work: ChannelWork, posts: Sequence[SourcePost]) -> None:
    """Move posts of the quarantine, behind all others. Those that are moved leave it."""
    sender = PostImporter(work, await _find_unrecorded(work), in_order=False)
    for post in sorted(posts, key=lambda each: (each.time, each.number)):
        await sender.take(post)
    await sender.send()
    await work.journal.flush()
    keys = [post.key for post in posts]
    await work.release(POST, await work.journal.store.posts(work.plan.migration, work.id, keys))
    await work.note()


async def _quarantined_posts(work: ChannelWork) -> frozenset[str]:
    """Return the keys of posts that `retry` tries again."""
    if not work.quarantined:
        return frozenset()
    pages = work.journal.store.quarantine_pages(work.plan.migration, work.id, [POST])
    return frozenset([row.key async for rows in pages for row in rows])


@dataclass(slots=True)
class SentButUnrecorded:
    """Messages of this migration that the journal lacks: by the source's number, and how many history no longer has."""

    found: dict[int, tuple[int, int]] = field(default_factory=dict)
    forgotten: int = 0


async def _find_unrecorded(work: ChannelWork) -> SentButUnrecorded:
    """Return what was sent and not recorded before the process ended."""
    there = SentButUnrecorded()
    lowest = work.row.last_seq + 1
    top = work.row.last_seq + work.unclear
    seen = 0
    while top >= lowest:
        page = await work.importer.raw_page(work.channel, top, top - lowest + 1)
        fresh = [message for message in page if lowest <= message.msg_seq <= top]
        if not fresh:
            break
        for message in fresh:
            seen += 1
            if message.msg_random is not None:
                number = transform.imported_post_number(work.plan.migration, work.channel, message.msg_random)
                there.found[number] = (message.msg_seq, message.msg_time_stamp)
        top = min(message.msg_seq for message in fresh) - 1
    if work.first:  # no user can have posted yet: what history does not show is of this migration
        there.forgotten = work.unclear - seen
    return there


class PostImporter:
    """Collect posts into calls, and record their results; with `in_order` also how far the channel is."""

    def __init__(self, work: ChannelWork, there: SentButUnrecorded, *, in_order: bool = True) -> None:
        self._work = work
        self._times = SendTimes(work.row.created_at, work.row.last_time)
        self._there = there
        self._in_order = in_order
        self._batch: list[tuple[SourcePost, messages.ImportedMessage]] = []
        self._passed = ""
        """The key of the last post that was skipped since the last one in the batch."""

    async def take(self, post: SourcePost) -> None:
        """Add the next post, skip it, or put it into the quarantine."""
        if post.state is not SourceState.PUBLISHED or await self._record_if_sent(post):
            await self._skip_post(post)
            return
        work = self._work
        mapped = transform.map_post(post, work.target)
        forbidden = refused(mapped.lost, work.policies)
        if mapped.body is None or forbidden:
            await self._quarantine_left_behind(post, forbidden)
            await self._skip_post(post)
            return
        if transform.to_store(mapped.lost, work.policies):
            await work.store_original(POST, post.key, orjson.dumps(raw_post(post)).decode())
        await self._add_to_batch(post, mapped.body)

    async def send(self) -> None:
        """Send what is collected in one call."""
        batch, self._batch = self._batch, []
        if not batch:
            self._advance_position(self._passed)
            return
        work = self._work
        work.failpoint("posts.sending")
        results = await work.importer.import_posts(work.channel, [message for _, message in batch])
        work.failpoint("posts.sent")
        rows: list[PostRow] = []
        for (post, message), result in zip(batch, results, strict=True):
            if result.reason:
                await self._quarantine_refused(post, result.reason)
            else:
                rows.append(self._record_post(post, result.seq, message.send_time))
        await work.journal.note(rows)
        self._advance_position(batch[-1][0].key)
        self._advance_position(self._passed)
        await work.note()

    async def _record_if_sent(self, post: SourcePost) -> bool:
        """Return whether it was sent before and not recorded; record it then."""
        work, there = self._work, self._there
        if post.number in there.found:
            seq, time = there.found[post.number]
        elif there.forgotten and not self._batch:
            there.forgotten -= 1
            seq, time = work.row.last_seq + 1, post.time
        else:
            return False
        await self.send()
        await work.journal.note([self._record_post(post, seq, time)])
        return True

    def _record_post(self, post: SourcePost, seq: int, time: int) -> PostRow:
        row = self._work.row
        row.posts += 1
        row.last_seq, row.last_time = max(row.last_seq, seq), max(row.last_time, time)
        return PostRow(self._work.plan.migration, self._work.id, post.key, post.number, seq, time)

    async def _add_to_batch(self, post: SourcePost, body: Sequence[Element]) -> None:
        work = self._work
        time = self._times.next(post.time)
        ahead = time - work.context.clock.now() + 1
        if ahead > 0 and ahead <= _WAIT_AT_MOST:
            await self.send()
            await work.context.clock.sleep(ahead)
        message = transform.import_post(
            post, body, migration=work.plan.migration, channel=work.channel, owner=work.planned.target.owner, time=time
        )
        self._batch.append((post, message))
        self._passed = ""
        if len(self._batch) >= work.importer.posts_per_call:
            await self.send()

    async def _skip_post(self, post: SourcePost) -> None:
        self._passed = post.key
        if not self._batch:
            self._advance_position(post.key)
            await self._work.note()

    def _advance_position(self, key: str) -> None:
        if key and self._in_order and not self._batch:
            self._work.row.post_key = key
            self._passed = ""

    async def _quarantine_left_behind(self, post: SourcePost, forbidden: Sequence[Incompatibility]) -> None:
        if forbidden:
            reason = f"it would lose {', '.join(forbidden)}, and the policy is refuse"
            retry = retry_command("plan again with a policy for it")
        else:
            reason, retry = "no part of it can be carried", "post it again by hand"
        await self._work.quarantine(POST, post.key, reason, raw_post(post), retry)

    async def _quarantine_refused(self, post: SourcePost, reason: str) -> None:
        retry = retry_command("check that its author is an account of the app")
        await self._work.quarantine(POST, post.key, f"the target refused it: {reason}", raw_post(post), retry)


async def _recall_posts(work: ChannelWork) -> None:
    """Recall on the target what the source has recalled since."""
    gone: list[PostRow] = []
    some: list[str] = []
    async with aclosing(stream(work.source.posts_any_order(work.id))) as posts:
        async for post in posts:
            if post.state is SourceState.RECALLED:
                some.append(post.key)
            if len(some) >= _LOOKED_UP:
                await work.release(POST, some)
                gone += await _find_moved_posts(work, some)
                some = []
    await work.release(POST, some)
    gone += await _find_moved_posts(work, some)
    for start in range(0, len(gone), work.importer.recalls_per_call):
        batch = gone[start : start + work.importer.recalls_per_call]
        refused = await work.importer.recall(work.channel, [row.seq for row in batch], RECALLED_MEANWHILE)
        recalled = [replace(row, recalled=True) for row in batch if row.seq not in refused]
        await work.journal.note(recalled)
        await work.release(RECALL, [row.key for row in recalled])
        for row in batch:
            if row.seq in refused:
                reason = f"it was recalled in the source, and the target refuses that: {refused[row.seq]}"
                retry = "recall it with `channel-adapter posts recall`, and apply"
                await work.quarantine(RECALL, row.key, reason, {"key": row.key, "seq": row.seq}, retry)


async def _find_moved_posts(work: ChannelWork, keys: list[str]) -> list[PostRow]:
    if not keys:
        return []
    found = await work.journal.store.posts(work.plan.migration, work.id, keys)
    return [row for row in found.values() if not row.recalled]
