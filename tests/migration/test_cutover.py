"""Cutover: delta, verification, redirect of posting, double writing; the source is destroyed only when clean."""

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from channel_adapter.domain.post import Text
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, ConflictError, InvalidError
from channel_adapter.migration.budget import BudgetLimits
from channel_adapter.migration.cutover import cutover as cutting
from channel_adapter.migration.cutover.cutover import CutoverOptions, open_redirects
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Resolutions
from channel_adapter.migration.rollback import RollbackStatus
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.files import find_files
from channel_adapter.migration.sources.source import SourceKind, SourceSpec
from channel_adapter.migration.verify.findings import Baseline, Finding, Mark, Subject
from channel_adapter.store.cutover import CutoverChannelRow
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.tencent.catalog import DESTROY_OFFICIAL_ACCOUNT, SEND_OFFICIAL_ACCOUNT_MSG
from tests.migration import worlds
from tests.migration.applied import moved
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

SMALL = Size(30, 12)
TWO = (worlds.TEXTS, worlds.BUSY)
NOW = CutoverOptions(window_seconds=0, fill=False)
WINDOW = CutoverOptions(window_seconds=3_600, fill=False)


@asynccontextmanager
async def applied(database: str, ids: tuple[str, ...] = TWO) -> AsyncIterator[tuple[System, Plan]]:
    """Open a system whose accounts were moved without an entry in the journal."""
    async with system(SMALL, ids=ids, database_url=database) as at:
        yield at, await moved(at)


async def posting_moved(at: System, plan: Plan, window: float) -> None:
    """Write the rows of a completed cutover, without its deltas."""
    now = at.server.world.clock.now()
    async with open_redirects(at.adapter.migration.context) as posting:
        await posting.store.begin(plan.migration, now)
        await posting.store.put(
            CutoverChannelRow(
                channel.source.id, plan.migration, channel.target.id,
                verified_at=now, moved_at=now, window_end=now + window if window else 0.0,
            )
            for channel in plan.channels
        )  # fmt: skip


def broadcasters_held(database: str) -> int:
    """Return the number of accounts whose broadcasters must wait."""
    with sqlite3.connect(database.removeprefix("sqlite:///")) as rows:
        [(count,)] = rows.execute("SELECT count(*) FROM cutover_channels WHERE held_until > ?", (time.time(),))
    return int(count)


def broadcasts(at: System, account: str = worlds.TEXTS) -> list[str]:
    """Return the broadcasts of the account, the newest last."""
    log = at.server.world.state.official[account].log
    return [element.msg_content.get("Text", "") for message in log for element in message.body]


async def broadcast(at: System, words: str, account: str = worlds.TEXTS) -> dict[str, object]:
    body = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]
    request = {"Official_Account": account, "Random": len(words), "MsgBody": body}
    return await at.adapter.call(SEND_OFFICIAL_ACCOUNT_MSG.service, SEND_OFFICIAL_ACCOUNT_MSG.name, request)


async def test_last_changes_are_moved_before_posting_is_redirected(database: str) -> None:
    async with applied(database) as (at, plan):
        await broadcast(at, "just before")
        at.server.world.state.subscribe(
            at.server.world.state.official[worlds.TEXTS], worlds.OTHER_OWNER, int(at.server.world.clock.now()) - 5
        )
        held: list[int] = []

        def tell(kind: str, _: int) -> None:
            if kind in ("delta", "subscribers"):
                held.append(broadcasters_held(database))

        wish = CutoverOptions(window_seconds=600, guard="redirect", fill=False)
        done = await at.adapter.migration.cutover(plan, wish, on_progress=tell)
        assert held
        assert set(held) == {len(TWO)}
        assert broadcasters_held(database) == 0
        assert done.posting_moved
        assert done.verdict is not None
        assert done.verdict.clean
        assert {row.guard for row in done.moved} == {"redirect"}
        assert {round(row.window_end - row.moved_at) for row in done.moved} == {600}
        channel = plan.channels[0].target.id
        posts = [post async for post in at.adapter.posts.history(channel)]
        assert posts[0].content == Text("just before")
        assert await at.adapter.subscriptions.is_subscribed(channel, [worlds.OTHER_OWNER]) == {worlds.OTHER_OWNER: True}
        again = await at.adapter.migration.cutover(plan, NOW)
        assert again.posting_moved
        assert [row.moved_at for row in again.moved] == [row.moved_at for row in done.moved]
        assert again.status is None


async def test_differences_block_the_redirect_of_posting_until_accepted(database: str) -> None:
    async with applied(database) as (at, plan):
        group = at.server.world.state.groups[plan.channels[0].target.id]
        group.name = "Another name"
        kept = await at.adapter.migration.cutover(plan, NOW)
        assert not kept.posting_moved
        assert kept.stopped == "source and target differ"
        assert kept.status is not None
        assert kept.status.round == 2  # a second delta did not remove it, so there is no third
        assert kept.verdict is not None
        assert kept.verdict.open == 1
        assert not any(row.moved_at or row.held_until for row in kept.moved)
        await broadcast(at, "still here")
        moved = await at.adapter.migration.cutover(plan, CutoverOptions(window_seconds=0, accept_differences=True))
        assert moved.posting_moved
        wish = CutoverOptions(window_seconds=0, fill=False, destroy_source=True)
        refused = await at.adapter.migration.cutover(plan, wish)
        assert refused.stopped == "source and target differ: nothing was destroyed"
        assert worlds.TEXTS in at.server.world.state.official


async def test_accepted_differences_do_not_block_redirect_and_destruction(
    database: str,
) -> None:
    async with applied(database) as (at, plan):
        channel = plan.channels[0].target.id
        await at.adapter.subscriptions.unsubscribe(channel, ["reader_000001"], assign=False)
        await at.adapter.subscriptions.mute(channel, user="reader_000002")
        findings: list[Finding] = []
        await at.adapter.migration.verify(plan, on_finding=findings.append)
        wish = replace(NOW, accepted=Baseline.of(findings), destroy_source=True)
        await at.adapter.subscriptions.mute(channel, user="reader_000003")
        kept = await at.adapter.migration.cutover(plan, wish)
        assert not kept.posting_moved
        assert kept.verdict is not None
        assert [finding.key for finding in kept.verdict.named] == ["reader_000003"]
        await at.adapter.subscriptions.unmute(channel, user="reader_000003")
        done = await at.adapter.migration.cutover(plan, wish)
        assert done.posting_moved
        assert set(done.destroyed) == set(TWO)


async def test_posts_within_the_window_are_broadcast_at_most_twice_an_hour(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 3_600)
        channel = plan.channels[0].target.id
        before = len(broadcasts(at))
        first = await at.adapter.posts.publish(channel, Text("one"), idempotency_key="one")
        assert first.broadcast is not None
        assert (first.broadcast.account, first.broadcast.sent) == (worlds.TEXTS, True)
        at.server.world.clock.advance(2)
        again = await at.adapter.posts.publish(channel, Text("one"), idempotency_key="one")
        assert again.broadcast == first.broadcast
        second = await at.adapter.posts.publish(channel, Text("two"))
        assert second.broadcast is not None
        assert second.broadcast.sent
        third = await at.adapter.posts.publish(channel, Text("three"))
        assert third.broadcast is not None
        assert not third.broadcast.sent
        assert "2 times an hour" in third.broadcast.reason or "2 broadcasts an hour" in third.broadcast.reason
        assert broadcasts(at)[before:] == ["one", "two"]
        report = await at.adapter.migration.report(plan)
        assert report.document["cutover"]["broadcasts"] == {"sent": 2, "not_sent": 1}
        assert f"- {worlds.TEXTS}: post {third.ref.seq} was not broadcast: 2 ".encode() in report.to_markdown()
        verdict = await at.adapter.migration.verify(plan)
        assert verdict.clean
        assert verdict.count(Mark.EXTRA) == 3
        assert (await at.adapter.migration.apply(plan)).complete
        assert len([post async for post in at.adapter.posts.history(channel)]) == before + 3


async def test_failed_broadcast_is_reported_and_the_post_is_kept(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 3_600)
        at.server.faults.replace([Fault(command=SEND_OFFICIAL_ACCOUNT_MSG.name, code=10007)])
        post = await at.adapter.posts.publish(plan.channels[0].target.id, Text("one"))
        assert post.broadcast is not None
        assert not post.broadcast.sent
        assert "10007" in post.broadcast.reason
        other = await at.adapter.posts.get(post.ref)
        assert other.content == Text("one")


async def test_post_without_a_window_is_not_broadcast(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        before = len(broadcasts(at))
        post = await at.adapter.posts.publish(plan.channels[0].target.id, Text("one"))
        assert post.broadcast is None
        assert len(broadcasts(at)) == before


async def test_final_broadcast_is_sent_once(database: str) -> None:
    options = CutoverOptions(window_seconds=3_600, fill=False, final_broadcast="We have moved")
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 3_600)
        done = await at.adapter.migration.cutover(plan, options)
        assert [each.sent for each in done.final_broadcasts] == [True, True]
        again = await at.adapter.migration.cutover(plan, options)
        assert again.final_broadcasts == done.final_broadcasts
        assert broadcasts(at).count("We have moved") == 1
        assert (await at.adapter.migration.verify(plan)).clean


async def test_unsent_final_broadcast_is_reported_and_leaves_the_cutover_incomplete(database: str) -> None:
    async with applied(database, (worlds.TEXTS,)) as (at, plan):
        await posting_moved(at, plan, 3_600)
        for words in ("one", "two"):
            await at.adapter.posts.publish(plan.channels[0].target.id, Text(words))
            at.server.world.clock.advance(2)
        options = CutoverOptions(window_seconds=3_600, fill=False, final_broadcast="We have moved")
        done = await at.adapter.migration.cutover(plan, options)
        assert [(each.sent, "2 broadcasts an hour" in each.reason) for each in done.final_broadcasts] == [(False, True)]
        assert done.posting_moved
        assert not done.complete
        assert broadcasts(at)[-2:] == ["one", "two"]


async def test_account_is_not_destroyed_before_its_final_broadcast_is_sent(database: str) -> None:
    async with applied(database) as (at, plan):
        wish = CutoverOptions(window_seconds=0, fill=False, final_broadcast="We have moved", destroy_source=True)
        throttled = Fault(command=SEND_OFFICIAL_ACCOUNT_MSG.name, account=worlds.TEXTS, code=20004)
        at.server.faults.replace([throttled])
        stopped = await at.adapter.migration.cutover(plan, wish)
        assert [each.sent for each in stopped.final_broadcasts].count(False) == 1
        without = await at.adapter.migration.cutover(plan, replace(wish, final_broadcast=""))
        for done in (stopped, without):
            assert done.posting_moved
            assert not done.complete
            words = f"the last broadcast of {worlds.TEXTS} is still to be sent: nothing was destroyed"
            assert (done.stopped, done.destroyed) == (words, ())
        assert len(at.server.world.state.official) == 2
        at.server.faults.replace([])
        done = await at.adapter.migration.cutover(plan, wish)
        assert (done.stopped, set(done.destroyed)) == ("", set(TWO))


async def test_cutover_that_exceeds_its_call_limit_redirects_nothing(database: str) -> None:
    async with applied(database) as (at, plan):
        held: list[int] = []
        stopped = await at.adapter.migration.cutover(
            plan, NOW, limits=BudgetLimits(calls=6), on_progress=lambda *_: held.append(broadcasters_held(database))
        )
        assert len(TWO) in held
        assert not stopped.posting_moved
        assert "6 calls are used up" in stopped.stopped
        assert broadcasters_held(database) == 0


async def test_posting_is_not_redirected_after_the_hold_of_broadcasters_ends(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutting, "HELD_SECONDS", 0.0)
    monkeypatch.setattr(cutting, "ROUNDS", 1)
    async with applied(database, (worlds.TEXTS,)) as (at, plan):
        kept = await at.adapter.migration.cutover(plan, NOW)
        assert not kept.posting_moved
        assert "longer than broadcasters wait" in kept.stopped


async def test_accounts_of_another_cutover_are_refused(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan.model_copy(update={"migration": "another"}), 0)
        with pytest.raises(ConflictError, match="was cut over by migration another"):
            await at.adapter.migration.cutover(plan, NOW)


async def test_file_source_has_no_window_no_final_broadcast_and_no_destruction(database: str, tmp_path: Path) -> None:
    records = {
        "channels": {"id": "quay", "name": "Quay", "owner": worlds.OWNER},
        "subscribers": {"channel": "quay", "user": "reader_000001", "since": 1_700_000_000},
    }
    for kind, record in records.items():
        (tmp_path / f"{kind}.jsonl").write_text(json.dumps(record))
    async with system(SMALL, ids=(worlds.EMPTY,), database_url=database) as at:
        spec = SourceSpec(kind=SourceKind.FILES, files=find_files(str(tmp_path)))
        async with at.adapter.migration.source(spec) as source:
            plan = await at.adapter.migration.plan(source)
        wish = CutoverOptions(final_broadcast="We have moved", fill=False)
        with pytest.raises(InvalidError, match="files are no source"):
            await at.adapter.migration.cutover(plan, replace(wish, destroy_source=True))
        done = await at.adapter.migration.cutover(plan, wish)
        assert done.complete
        assert done.final_broadcasts == ()
        assert [row.window_end for row in done.moved] == [0.0]
        post = await at.adapter.posts.publish("quay", Text("live"))
        assert post.broadcast is None


async def test_conversation_groups_are_filled_once(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        done = await at.adapter.migration.cutover(plan, CutoverOptions(window_seconds=0))
        assert done.complete
        users = {user for channel in plan.channels for user in at.server.world.state.groups[channel.target.id].members}
        assert (done.group_sync.filled, done.group_sync.problems, done.group_sync.left) == (len(users), 0, 0)
        for user in ("reader_000000", worlds.OWNER):
            shown = [group async for group in at.adapter.unread.groups(user)]
            assert any(channel.target.id in str(shown) for channel in plan.channels)
        again = await at.adapter.migration.cutover(plan, CutoverOptions(window_seconds=0))
        assert again.group_sync == done.group_sync


async def test_source_is_destroyed_only_after_the_window(database: str) -> None:
    async with applied(database) as (at, plan):
        wish = CutoverOptions(window_seconds=3_600, fill=False, destroy_source=True)
        with pytest.raises(InvalidError, match="posting has not moved, and its window begins then"):
            await at.adapter.migration.cutover(plan, wish)
        for window, left in ((36_000, r"\d+\.\d h"), (3_500, r"\d+ s")):
            await posting_moved(at, plan, window)
            with pytest.raises(InvalidError, match=f"another ({left}): destroy them when that is over"):
                await at.adapter.migration.cutover(plan, wish)
        await posting_moved(at, plan, 0)
        at.server.faults.replace([Fault(command=DESTROY_OFFICIAL_ACCOUNT.name, nth=(2,), code=130002)])
        with pytest.raises(ChannelAdapterError):
            await at.adapter.migration.cutover(plan, CutoverOptions(window_seconds=0, fill=False, destroy_source=True))
        assert len(at.server.world.state.official) == 1
        at.server.faults.replace([])
        done = await at.adapter.migration.cutover(
            plan, CutoverOptions(window_seconds=0, fill=False, destroy_source=True)
        )
        assert set(done.destroyed) == set(TWO)
        assert not at.server.world.state.official
        verdict = await at.adapter.migration.verify(plan)
        assert verdict.clean
        found = await at.adapter.migration.rollback(plan, remove=True)
        assert {item.status for item in found.items} == {RollbackStatus.SOURCE_GONE}


async def test_cancelled_cutover_is_completed_by_the_next(database: str) -> None:
    async with applied(database) as (at, plan):
        for moment in (0.05, 0.15, 0.3):
            task = asyncio.ensure_future(at.adapter.migration.cutover(plan, WINDOW))
            await asyncio.sleep(moment)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        done = await at.adapter.migration.cutover(plan, WINDOW)
        assert done.posting_moved
        assert (await at.adapter.migration.verify(plan)).clean


async def test_cutover_requires_the_database_of_the_adapter() -> None:
    async with system(SMALL, ids=TWO) as at:
        async with at.adapter.migration.accounts_source(Discovered(TWO)) as source:
            plan = await at.adapter.migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])))
        with pytest.raises(ConfigurationError, match="database_url"):
            await at.adapter.migration.cutover(plan)


async def test_changes_by_users_after_the_redirect_are_explained(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 0)
        channel = plan.channels[0].target.id
        await at.adapter.channels.update(channel, name="Another name")
        await at.adapter.subscriptions.unsubscribe(channel, ["reader_000001"], assign=False)
        await at.adapter.subscriptions.subscribe(channel, [worlds.OTHER_OWNER], assign=False)
        await at.adapter.subscriptions.mute(channel, user="reader_000002")
        await at.adapter.posts.publish(channel, Text("live"))
        findings: list[Finding] = []
        assert (await at.adapter.migration.verify(plan, on_finding=findings.append)).clean
        told = {finding.mark for finding in findings if "since posting has moved" in str(finding)}
        assert told == {Mark.MISSING, Mark.EXTRA, Mark.DIFFERS}
        async with open_redirects(at.adapter.migration.context) as posting:
            await posting.store.put([replace(row, verified_at=0.0) for row in await posting.store.channels()])
        doubtful = await at.adapter.migration.verify(plan)
        assert {(finding.what, finding.mark) for finding in doubtful.named} == {
            (Subject.PROFILE, Mark.DIFFERS),
            (Subject.SUBSCRIBER, Mark.MISSING),
            (Subject.SUBSCRIBER, Mark.DIFFERS),
        }


async def test_rollback_removes_the_redirect_of_posting(database: str) -> None:
    async with applied(database) as (at, plan):
        await posting_moved(at, plan, 3_600)
        found = await at.adapter.migration.rollback(plan, remove=True)
        assert found.complete
        async with open_redirects(at.adapter.migration.context) as posting:
            assert await posting.store.channels() == []
            assert await posting.store.cutover(plan.migration) is None
        verdict = await at.adapter.migration.verify(plan)
        assert verdict.count(Mark.MISSING, Subject.PROFILE) == len(TWO)
