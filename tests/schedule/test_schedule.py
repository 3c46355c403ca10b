"""Scheduled posts: on time and once, changed, cancelled, late, missed, and reported until acknowledged."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    ConflictError,
    Image,
    InvalidError,
    NotFoundError,
    RefusedError,
    ScheduledPost,
    ScheduleState,
    Text,
    UnavailableError,
)
from channel_adapter.services import failpoints
from channel_adapter.stub.faults.faults import Fault
from tests.schedule.conftest import CHANNELS, Scene, ended, soon, until

NEWS, TIDES = CHANNELS
SEND = "send_group_msg"
HOUR = timedelta(hours=1)


async def collected(adapter: ChannelAdapter, *, problems: bool = False, ended: bool = False) -> list[ScheduledPost]:
    return [post async for post in adapter.posts.scheduled(problems=problems, ended=ended)]


async def test_posts_are_published_once_on_time_and_in_order(scene: Scene) -> None:
    async with scene.adapter() as adapter, adapter.run_jobs():
        at = soon(4)
        later = await adapter.posts.schedule(NEWS, Text("second"), at=at + timedelta(seconds=0.2))
        first = await adapter.posts.schedule(NEWS, [Text("first"), Image("https://a.example/1.png")], at=at)
        elsewhere = await adapter.posts.schedule(TIDES, Text("other"), at=at + timedelta(seconds=0.1), silent=True)
        assert [post.id for post in await collected(adapter)] == [first.id, elsewhere.id, later.id]
        for post in (first, later, elsewhere):
            found = await ended(adapter, post)
            assert found.state is ScheduleState.PUBLISHED
            assert found.ref is not None
            assert not found.problem
            assert (await adapter.posts.get(found.ref)).parts == post.parts
        assert scene.texts() == ["first", "second"]
        assert 0 <= adapter.posts.schedule_lag < 15  # measured by the benchmark: here other tests run concurrently
        assert await collected(adapter) == []
        assert len(await collected(adapter, ended=True)) == 3
        status = await adapter.posts.schedule_status()
        assert status.states == {ScheduleState.PUBLISHED: 3}
        assert (status.problems, status.workers) == (0, 1)


async def test_same_key_schedules_once(scene: Scene) -> None:
    at = soon(3_600)
    async with scene.adapter() as adapter:
        posts = await asyncio.gather(
            *(adapter.posts.schedule(NEWS, Text("once"), at=at, idempotency_key="k") for _ in range(5))
        )
        assert len({post.id for post in posts}) == 1
        with pytest.raises(ConflictError, match=f"it was used for scheduled post {posts[0].id}, with other content"):
            await adapter.posts.schedule(NEWS, Text("other"), at=at, idempotency_key="k")
        other = await adapter.posts.schedule(TIDES, Text("once"), at=at, idempotency_key="k")
        assert other.id != posts[0].id
        published = await adapter.posts.publish_now(posts[0].id)
        assert published.ref == (await adapter.posts.publish(NEWS, Text("once"), idempotency_key="k")).ref


def at_berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


@pytest.mark.parametrize(
    ("at", "message"),
    [
        (lambda: "tomorrow", "at must be a datetime with a time zone; got 'tomorrow'"),
        (lambda: datetime.fromisoformat("2031-05-01T09:00"), "at: 2031-05-01 09:00:00 has no time zone; add one"),
        (lambda: datetime.now(UTC) - HOUR, "lies 1 hour in the past; publish the post now"),
        (lambda: datetime.now(UTC), "lies 1 second in the past"),
        (lambda: datetime.now(UTC) + timedelta(days=367), "lies more than a year ahead"),
        (lambda: datetime.max.replace(tzinfo=timezone(-HOUR)), "lies outside the years 1 to 9999 of UTC"),
        (
            lambda: at_berlin("2027-03-28T02:30"),
            "2027-03-28 02:30 does not exist in Europe/Berlin, where clocks go forward then; nothing was scheduled:"
            " choose 03:30",
        ),
    ],
)
async def test_invalid_time_is_refused(on_sqlite: Scene, at: Callable[[], object], message: str) -> None:
    async with on_sqlite.adapter() as adapter:
        with pytest.raises(InvalidError) as caught:
            await adapter.posts.schedule(NEWS, Text("a"), at=at())  # type: ignore[arg-type]
        assert message in caught.value.message
        assert caught.value.field == "at"
        assert await collected(adapter, ended=True) == []
        draft = await adapter.posts.draft(NEWS, Text("a"))
        with pytest.raises(InvalidError):
            await adapter.posts.publish_draft(draft.id, at=at())  # type: ignore[arg-type]
        assert [each async for each in adapter.posts.drafts()] == [draft]


async def test_invalid_post_is_not_scheduled(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        with pytest.raises(NotFoundError):
            await adapter.posts.schedule("nowhere", Text("a"), at=soon())
        with pytest.raises(InvalidError):
            await adapter.posts.schedule(NEWS, Text(""), at=soon())
        with pytest.raises(InvalidError):
            await adapter.posts.schedule(NEWS, Text("x" * 13_000), at=soon())
        for missing in (adapter.posts.get_scheduled, adapter.posts.unschedule, adapter.posts.publish_now):
            for wrong in ("1234", "000000000000", "\udce4", "a\0b", "x" * 5_000, 5, None):
                with pytest.raises(NotFoundError, match="there is no scheduled post ") as unknown:
                    await missing(wrong)  # type: ignore[arg-type]
                assert len(unknown.value.message) < 140
        for wrong_key in ("a\0b", "\udce4", "x" * 513):
            with pytest.raises(InvalidError) as caught:
                await adapter.posts.schedule(NEWS, Text("a"), at=soon(), idempotency_key=wrong_key)
            assert caught.value.field == "idempotency_key"
        for draft in (adapter.posts.get_draft, adapter.posts.publish_draft):
            with pytest.raises(NotFoundError, match=r"there is no draft 'a\\x00b'"):
                await draft("a\0b")
        assert not await adapter.posts.discard_draft("a\0b")
    async with scene.adapter(database_url=None) as adapter:
        with pytest.raises(ConfigurationError, match="need a database: set database_url"):
            await adapter.posts.schedule(NEWS, Text("a"), at=soon())
        with pytest.raises(ConfigurationError, match="jobs need a database"):
            async with adapter.run_jobs():
                pass


async def test_post_can_be_moved_cancelled_and_published_early(scene: Scene) -> None:
    async with scene.adapter() as adapter, adapter.run_jobs():
        moved, cancelled, early = [
            await adapter.posts.schedule(NEWS, Text(text), at=soon(3_600)) for text in ("moved", "cancelled", "early")
        ]
        assert (await adapter.posts.unschedule(cancelled.id)).state is ScheduleState.CANCELLED
        assert (await adapter.posts.unschedule(cancelled.id)).state is ScheduleState.CANCELLED
        published = await adapter.posts.publish_now(early.id)
        assert published.state is ScheduleState.PUBLISHED
        assert await adapter.posts.publish_now(early.id) == published
        await adapter.posts.reschedule(moved.id, soon(1))
        await ended(adapter, moved)
        assert scene.texts() == ["early", "moved"]
        with pytest.raises(ConflictError, match=f"{early.id} was published as number 1 of @TGS#_{NEWS}"):
            await adapter.posts.unschedule(early.id)
        with pytest.raises(ConflictError, match=f"{cancelled.id} was cancelled"):
            await adapter.posts.reschedule(cancelled.id, soon(60))
        with pytest.raises(ConflictError, match=f"{cancelled.id} was cancelled"):
            await adapter.posts.publish_now(cancelled.id)


async def test_change_of_post_that_is_being_sent_raises_conflict(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        post = await adapter.posts.schedule(NEWS, Text("a"), at=soon(3_600))
        scene.server.faults.replace([Fault(command=SEND, delay=1.0)])
        sending = asyncio.ensure_future(adapter.posts.publish_now(post.id))

        async def is_sending() -> bool:
            return (await adapter.posts.get_scheduled(post.id)).state is ScheduleState.PUBLISHING

        await until(is_sending)
        for change in (
            adapter.posts.unschedule(post.id),
            adapter.posts.reschedule(post.id, soon(60)),
            adapter.posts.publish_now(post.id),
        ):
            with pytest.raises(ConflictError, match=f"scheduled post {post.id} is being sent"):
                await change
        assert (await sending).state is ScheduleState.PUBLISHED
        assert scene.texts() == ["a"]


async def test_late_post_is_sent_and_missed_post_is_not_sent_and_both_are_reported(on_sqlite: Scene) -> None:
    async with on_sqlite.adapter() as adapter:
        late = await adapter.posts.schedule(NEWS, Text("late"), at=soon(7_200))
        missed = await adapter.posts.schedule(NEWS, Text("missed"), at=soon(60))
    async with on_sqlite.adapter(ahead=7_500) as adapter:
        assert {post.id: post.late for post in await collected(adapter, problems=True)} == {
            missed.id: True,
            late.id: True,
        }
        async with adapter.run_jobs():
            found = await ended(adapter, late)
            assert (found.state, found.late) == (ScheduleState.PUBLISHED, True)
            assert adapter.posts.schedule_lag == pytest.approx(300, abs=30)
            found = await ended(adapter, missed)
            assert (found.state, found.error) == (ScheduleState.MISSED, "no process published it in time")
        assert on_sqlite.texts() == ["late"]
        assert [post.id for post in await collected(adapter, problems=True)] == [missed.id, late.id]
        assert [(check.ok, check.message) for check in await adapter.posts.check_schedule()] == [
            (False, "2 scheduled posts failed, late or missed")
        ]
        with pytest.raises(NotFoundError):
            await adapter.posts.acknowledge([late.id, "1234"])
        await adapter.posts.acknowledge([late.id, missed.id])
        assert await collected(adapter, problems=True) == []
        assert all(check.ok for check in await adapter.posts.check_schedule())
        assert (await adapter.posts.publish_now(missed.id)).state is ScheduleState.PUBLISHED


async def test_doctor_reports_posts_that_no_process_publishes(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        assert "schedule" not in [check.check for check in await adapter.doctor()]
        await adapter.posts.schedule(NEWS, Text("a"), at=soon(3_600))
        found = [check for check in await adapter.doctor() if check.check == "schedule"]
        assert [(check.ok, check.message) for check in found] == [
            (True, "1 waiting, 0 to be acknowledged"),
            (False, "1 scheduled post waiting, and no process publishes them"),
        ]
        async with adapter.run_jobs():

            async def is_running() -> bool:
                return bool((await adapter.posts.schedule_status()).workers)

            await until(is_running)
            assert all(check.ok for check in await adapter.posts.check_schedule())


async def test_refused_post_is_failed_and_can_be_scheduled_again(scene: Scene) -> None:
    async with scene.adapter() as adapter, adapter.run_jobs():
        scene.server.faults.replace([Fault(command=SEND, code=80001, info="rejected by moderation")])
        post = await adapter.posts.schedule(NEWS, Text("a"), at=soon(1))
        found = await ended(adapter, post)
        assert found.state is ScheduleState.FAILED
        assert "80001" in found.error or "moderation" in found.error
        assert found.problem
        with pytest.raises(RefusedError):
            await adapter.posts.publish_now(post.id)
        scene.server.faults.replace([])
        await adapter.posts.reschedule(post.id, soon(1))
        found = await ended(adapter, post)
        assert (found.state, found.error, found.problem) == (ScheduleState.PUBLISHED, "", False)
        assert scene.texts() == ["a"]


async def test_post_is_retried_during_outage_and_missed_after_largest_lateness(on_sqlite: Scene) -> None:
    async with on_sqlite.adapter() as adapter:
        first = await adapter.posts.schedule(NEWS, Text("first"), at=soon(0.5))
        second = await adapter.posts.schedule(NEWS, Text("second"), at=soon(0.5))
        on_sqlite.server.faults.replace([Fault(command=SEND, status=503)])
        async with on_sqlite.adapter(total_seconds=0.3) as hasty, hasty.run_jobs():

            async def has_failed() -> bool:
                return bool((await adapter.posts.get_scheduled(first.id)).error)

            await until(has_failed)
            on_sqlite.server.faults.replace([])
            assert (await ended(adapter, first)).state is ScheduleState.PUBLISHED
            assert (await ended(adapter, second)).state is ScheduleState.PUBLISHED
        assert sorted(on_sqlite.texts()) == ["first", "second"]
        on_sqlite.server.faults.replace([Fault(command=SEND, status=503)])
        third = await adapter.posts.schedule(NEWS, Text("third"), at=soon(0.5))
    async with on_sqlite.adapter(ahead=3_650, total_seconds=0.3) as late, late.run_jobs():
        assert (await ended(late, third)).state is ScheduleState.MISSED
    assert len(on_sqlite.texts()) == 2


class StoppedError(Exception):
    """Ends a call at a named point, like a kill."""


def stop_at(point: str) -> None:
    def passed(name: str) -> None:
        if name == point:
            failpoints.hooks.clear()
            raise StoppedError

    failpoints.hooks.append(passed)


@pytest.mark.parametrize("minutes", [1, 10, 120])
async def test_sent_post_is_found_in_history(on_sqlite: Scene, minutes: int) -> None:
    """The post is found although the service no longer recognises a repetition and other posts follow."""
    async with on_sqlite.adapter() as adapter:
        post = await adapter.posts.schedule(NEWS, Text("sent"), at=soon(3_600))
        stop_at("schedule.sent")
        with pytest.raises(StoppedError):
            await adapter.posts.publish_now(post.id)
        assert (await adapter.posts.get_scheduled(post.id)).state is ScheduleState.PUBLISHING
        if minutes > 5:
            for number in range(25):
                await adapter.posts.publish(NEWS, Text(str(number)))
    on_sqlite.server.world.clock.advance(minutes * 60)
    async with on_sqlite.adapter(ahead=minutes * 60) as adapter, adapter.run_jobs():
        found = await ended(adapter, post)
        assert found.state is ScheduleState.PUBLISHED
        assert found.ref is not None
        assert found.ref.seq == 1
    assert on_sqlite.texts().count("sent") == 1


SENT_WITHOUT_ANSWER = Fault(command=SEND, drop=True, applied=True)
NO_HISTORY = Fault(command="group_msg_get_simple", status=503)


async def attempted(scene: Scene, fault: Fault) -> ScheduledPost:
    """Return a scheduled post whose first attempt met a fault."""
    async with scene.adapter(total_seconds=0.3) as hasty:
        post = await hasty.posts.schedule(NEWS, Text("sent"), at=soon(3_600))
        scene.server.faults.replace([fault, NO_HISTORY])
        found = await hasty.posts.publish_now(post.id)
        scene.server.faults.replace([])
    assert (found.state, bool(found.error)) == (ScheduleState.SCHEDULED, True)
    return found


@pytest.mark.parametrize("change", ["unschedule", "reschedule"])
async def test_post_that_is_in_the_channel_without_an_answer_is_not_changed(scene: Scene, change: str) -> None:
    post = await attempted(scene, SENT_WITHOUT_ANSWER)
    async with scene.adapter() as adapter:
        for number in range(25):
            await adapter.posts.publish(NEWS, Text(str(number)))
        work = (
            adapter.posts.unschedule(post.id) if change == "unschedule" else adapter.posts.reschedule(post.id, soon(60))
        )
        with pytest.raises(ConflictError, match=f"scheduled post {post.id} was published as number 1 of @TGS#_{NEWS}"):
            await work
        found = await adapter.posts.get_scheduled(post.id)
        assert (found.state, found.late, found.error) == (ScheduleState.PUBLISHED, False, "")
        assert found.ref is not None
        assert (await adapter.posts.get(found.ref)).parts == post.parts
    assert scene.texts().count("sent") == 1


async def test_post_of_unknown_outcome_is_not_changed_while_history_cannot_be_read(on_sqlite: Scene) -> None:
    post = await attempted(on_sqlite, SENT_WITHOUT_ANSWER)
    async with on_sqlite.adapter(total_seconds=0.3) as adapter:
        on_sqlite.server.faults.replace([NO_HISTORY])
        for change in (adapter.posts.unschedule(post.id), adapter.posts.reschedule(post.id, soon(60))):
            with pytest.raises(
                UnavailableError, match=f"{post.id} was not changed: an earlier attempt may have sent it"
            ):
                await change
        found = await adapter.posts.get_scheduled(post.id)
        assert (found.state, found.at) == (ScheduleState.SCHEDULED, post.at)


async def test_post_that_was_attempted_and_is_not_in_the_channel_is_changed(on_sqlite: Scene) -> None:
    post = await attempted(on_sqlite, Fault(command=SEND, drop=True))
    async with on_sqlite.adapter() as adapter:
        moved = await adapter.posts.reschedule(post.id, soon(7_200))
        assert moved.state is ScheduleState.SCHEDULED
        assert moved.at > post.at
        assert (await adapter.posts.unschedule(post.id)).state is ScheduleState.CANCELLED
    assert on_sqlite.texts() == []


async def test_attempted_post_of_a_deleted_channel_can_be_cancelled(on_sqlite: Scene) -> None:
    post = await attempted(on_sqlite, SENT_WITHOUT_ANSWER)
    async with on_sqlite.adapter() as adapter:
        await adapter.channels.delete(NEWS)
        assert (await adapter.posts.unschedule(post.id)).state is ScheduleState.CANCELLED


async def test_same_key_stores_a_draft_once(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        calls = (adapter.posts.draft(NEWS, Text("one"), idempotency_key="form 1") for _ in range(3))
        draft, *others = await asyncio.gather(*calls)
        assert others == [draft, draft]
        elsewhere = await adapter.posts.draft(TIDES, Text("one"), idempotency_key="form 1")
        assert [each.id async for each in adapter.posts.drafts()] == [draft.id, elsewhere.id]
        changed = await adapter.posts.draft(NEWS, Text("two"), replace=draft.id, idempotency_key="form 2")
        assert await adapter.posts.draft(NEWS, Text("one"), idempotency_key="form 1") == changed
        await adapter.posts.publish_draft(draft.id)
        with pytest.raises(ConflictError, match="was scheduled or published"):
            await adapter.posts.draft(NEWS, Text("one"), idempotency_key="form 1")
        with pytest.raises(InvalidError, match="idempotency_key"):
            await adapter.posts.draft(NEWS, Text("one"), idempotency_key="k" * 513)
        assert [each.id async for each in adapter.posts.drafts()] == [elsewhere.id]


async def test_draft_that_is_replaced_while_it_is_published_is_not_lost(scene: Scene) -> None:
    async with scene.adapter() as editor, scene.adapter() as publisher:
        draft = await editor.posts.draft(NEWS, Text("one"))
        scene.server.faults.replace([Fault(command="get_group_info", nth=(1,), delay=0.5)])
        publishing = asyncio.ensure_future(publisher.posts.publish_draft(draft.id))
        await asyncio.sleep(0.2)  # it has read the draft, and waits for the channel
        await editor.posts.draft(NEWS, Text("two"), replace=draft.id)
        with pytest.raises(ConflictError, match=f"draft {draft.id} was changed meanwhile; publish it again"):
            await publishing
        assert (await editor.posts.get_draft(draft.id)).parts == (Text("two"),)
        await publisher.posts.publish_draft(draft.id)
        assert scene.texts() == ["two"]


async def test_draft_that_is_published_while_it_is_replaced_is_not_stored_again(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        for number in range(10):
            draft = await adapter.posts.draft(NEWS, Text(f"one {number}"))
            text = Text(f"two {number}")
            published, replaced = await asyncio.gather(
                adapter.posts.publish_draft(draft.id),
                adapter.posts.draft(NEWS, text, replace=draft.id),
                return_exceptions=True,
            )
            drafts = [each async for each in adapter.posts.drafts()]
            if isinstance(published, ScheduledPost):
                assert drafts == []
                assert published.parts == (text,) or isinstance(replaced, NotFoundError)
            else:
                assert isinstance(published, ConflictError)
                assert drafts == [replaced]
                await adapter.posts.discard_draft(draft.id)


async def test_drafts_can_be_stored_replaced_published_and_discarded(scene: Scene) -> None:
    async with scene.adapter() as adapter:
        draft = await adapter.posts.draft(NEWS, Text("one"), author=None, silent=True)
        changed = await adapter.posts.draft(NEWS, Text("two"), replace=draft.id)
        other = await adapter.posts.draft(TIDES, Text("three"))
        assert (changed.id, changed.created_at, changed.parts) == (draft.id, draft.created_at, (Text("two"),))
        assert [each.id async for each in adapter.posts.drafts()] == [draft.id, other.id]
        assert [each.id async for each in adapter.posts.drafts(TIDES)] == [other.id]
        with pytest.raises(NotFoundError, match="there is no draft '1234'"):
            await adapter.posts.draft(NEWS, Text("a"), replace="1234")
        published = await adapter.posts.publish_draft(draft.id)
        assert (published.state, published.id) == (ScheduleState.PUBLISHED, draft.id)
        assert await adapter.posts.publish_draft(draft.id) == published
        at = soon(3_600)
        planned = await adapter.posts.publish_draft(other.id, at=at)
        assert (planned.state, planned.at) == (ScheduleState.SCHEDULED, at)
        assert await adapter.posts.publish_draft(other.id, at=at) == planned
        assert [each async for each in adapter.posts.drafts()] == []
        last = await adapter.posts.draft(NEWS, Text("four"))
        assert await adapter.posts.discard_draft(last.id)
        assert not await adapter.posts.discard_draft(last.id)
        with pytest.raises(NotFoundError, match=f"there is no draft '{last.id}'"):
            await adapter.posts.publish_draft(last.id)
        assert scene.texts() == ["two"]
