"""Findings of verify: every mark, for states that were damaged on purpose."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from channel_adapter.errors import InvalidError, UnavailableError
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.verify.findings import ACCEPTED, Baseline, Finding, Mark, Subject, VerificationResult
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.world.member_table import MemberRole
from channel_adapter.stub.world.message_log import StoredMessage, pack
from channel_adapter.stub.world.state import Group, OfficialAccount
from channel_adapter.tencent.catalog import GET_GROUP_MEMBER_INFO, GROUP_MSG_GET_SIMPLE
from channel_adapter.tencent.wire.members import DISCARD
from tests.migration import worlds
from tests.migration.applied import moved
from tests.migration.conftest import System, system
from tests.migration.worlds import Size

SMALL = Size(40, 24)
ONE = ("@TOA#_full",)


async def found_in(at: System, plan: Plan) -> tuple[VerificationResult, list[Finding]]:
    findings: list[Finding] = []
    return await at.adapter.migration.verify(plan, on_finding=findings.append), findings


def group_of(at: System, plan: Plan, account: str = worlds.FULL) -> Group:
    channel = plan.channel(account)
    assert channel is not None
    return at.server.world.state.groups[channel.target.id]


def account_of(at: System, account: str = worlds.FULL) -> OfficialAccount:
    return at.server.world.state.official[account]


async def test_moved_state_is_clean_and_every_item_has_mark() -> None:
    async with system(Size(60, 40)) as at:
        plan = await moved(at)
        verdict, findings = await found_in(at, plan)
        assert verdict.clean
        assert verdict.named == []
        assert verdict.count(Mark.MISSING) == verdict.count(Mark.EXTRA) == 0
        accounts = at.server.world.state.official.values()
        users = sum(len(account.subscribers) - (account.owner in account.subscribers) for account in accounts)
        posts = sum(account.log.next_seq - 1 for account in accounts)
        assert sum(finding.what is Subject.SUBSCRIBER for finding in findings) == users
        assert sum(finding.what is Subject.POST for finding in findings) == posts
        fields = {finding.key for finding in findings if finding.what is Subject.PROFILE}
        assert {"name", "owner", "created_at", "custom_data", "posting", "tag", "admins"} <= fields
        assert list(dict.fromkeys(finding.channel for finding in findings)) == [
            each.source.id for each in plan.channels
        ]
        assert all(finding.settled for finding in findings)


async def test_every_finding_is_restored_from_its_line() -> None:
    async with system(Size(20, 24)) as at:
        _, findings = await found_in(at, await moved(at))
        assert {finding.mark for finding in findings} >= {Mark.SAME, Mark.DIFFERS, Mark.UNREADABLE}
        for finding in findings:
            line = finding.to_json()
            assert Finding.from_json(line) == finding
            assert line.count(b"\n") == 1
            assert orjson.loads(line).get("settled", True) is finding.settled


async def test_loss_that_policy_allows_is_reported_and_explained() -> None:
    async with system(SMALL, ids=(worlds.LIMITS, worlds.FLAGS)) as at:
        _, findings = await found_in(at, await moved(at))
        name = next(each for each in findings if each.key == "name" and each.mark is Mark.DIFFERS)
        assert name.differences[0].explained == "policy name=cut"
        told = [each for each in findings if each.what is Subject.SUBSCRIBER and each.mark is Mark.DIFFERS]
        assert told
        assert {each.differences[0].field for each in told} == {"custom_data"}
        assert {each.differences[0].explained for each in told} == {"policy subscriber_data=cut"}


Damage = Callable[[System, Group, OfficialAccount], None]


def lose_a_person(at: System, group: Group, account: OfficialAccount) -> None:
    at.server.world.state.leave(group, "reader_000003")


def bring_a_stranger(at: System, group: Group, account: OfficialAccount) -> None:
    at.server.world.state.join(group, worlds.OTHER_OWNER, MemberRole.MEMBER, group.create_time + 500, 0)


def join_later(at: System, group: Group, account: OfficialAccount) -> None:
    state = at.server.world.state
    state.leave(group, "reader_000003")
    state.join(group, "reader_000003", MemberRole.MEMBER, group.create_time + 999_999, 0)


def quieten(at: System, group: Group, account: OfficialAccount) -> None:
    row = group.members.find("reader_000003")
    assert row is not None
    group.members.set_flag(row, DISCARD)


def rename(at: System, group: Group, account: OfficialAccount) -> None:
    group.name = "Another name"


def open_posting(at: System, group: Group, account: OfficialAccount) -> None:
    group.mute_all = False


def change_a_body(at: System, group: Group, account: OfficialAccount) -> None:
    message = group.log.get(1)
    assert message is not None
    message.body = [worlds.text("another")]


def make_an_admin(at: System, group: Group, account: OfficialAccount) -> None:
    row = group.members.find("reader_000003")
    assert row is not None
    group.members.set_role(row, MemberRole.ADMIN)


def recall_here(at: System, group: Group, account: OfficialAccount) -> None:
    message = group.log.get(1)
    assert message is not None
    group.log.recall(message)


def recall_there(at: System, group: Group, account: OfficialAccount) -> None:
    message = account.log.get(1)
    assert message is not None
    account.log.recall(message)


def another_author(at: System, group: Group, account: OfficialAccount) -> None:
    message = group.log.get(1)
    assert message is not None
    message.sender = worlds.OTHER_OWNER


def a_minute_later(at: System, group: Group, account: OfficialAccount) -> None:
    message = group.log.get(1)
    assert message is not None
    message.time += 60


def swap_two(at: System, group: Group, account: OfficialAccount) -> None:
    first, second = group.log.get(1), group.log.get(2)
    assert first is not None
    assert second is not None
    first.random, second.random = second.random, first.random


def post_here(at: System, group: Group, account: OfficialAccount) -> None:
    log = group.log
    log.append(StoredMessage(log.next_seq, log.last_time + 5, 17, worlds.OWNER, 2, pack([worlds.text("live")])))


def post_twice(at: System, group: Group, account: OfficialAccount) -> None:
    first, log = group.log.get(1), group.log
    assert first is not None
    log.append(StoredMessage(log.next_seq, log.last_time + 5, first.random, worlds.OWNER, 2, pack(first.body)))


def post_there(at: System, group: Group, account: OfficialAccount) -> None:
    log = account.log
    log.append(StoredMessage(log.next_seq, log.last_time + 5, 17, account.account_id, 2, pack([worlds.text("new")])))


@pytest.mark.parametrize(
    ("damage", "what", "mark", "telling"),
    [
        (lose_a_person, Subject.SUBSCRIBER, Mark.MISSING, "reader_000003"),
        (bring_a_stranger, Subject.SUBSCRIBER, Mark.EXTRA, worlds.OTHER_OWNER),
        (join_later, Subject.SUBSCRIBER, Mark.DIFFERS, "since"),
        (quieten, Subject.SUBSCRIBER, Mark.DIFFERS, "notifications"),
        (rename, Subject.PROFILE, Mark.DIFFERS, "Another name"),
        (make_an_admin, Subject.PROFILE, Mark.DIFFERS, "reader_000003"),
        (open_posting, Subject.PROFILE, Mark.DIFFERS, "open to all"),
        (change_a_body, Subject.POST, Mark.DIFFERS, "another"),
        (recall_here, Subject.POST, Mark.DIFFERS, "recalled here"),
        (recall_there, Subject.POST, Mark.DIFFERS, "recalled in the source"),
        (another_author, Subject.POST, Mark.DIFFERS, "author"),
        (a_minute_later, Subject.POST, Mark.DIFFERS, "time"),
        (swap_two, Subject.POST, Mark.DIFFERS, "order"),
        (post_here, Subject.POST, Mark.EXTRA, "#7"),
        (post_twice, Subject.POST, Mark.EXTRA, "a second copy"),
        (post_there, Subject.POST, Mark.MISSING, "7_1_"),
    ],
    ids=lambda value: value.__name__ if callable(value) else None,
)
async def test_damage_is_found_and_named(damage: Damage, what: Subject, mark: Mark, telling: str) -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        damage(at, group_of(at, plan), account_of(at))
        verdict, findings = await found_in(at, plan)
        assert not verdict.clean
        open_ones = [finding for finding in findings if not finding.settled]
        assert open_ones == verdict.named
        assert verdict.open == len(open_ones)
        assert {finding.what for finding in open_ones} == {what}
        told = [finding for finding in open_ones if finding.mark is mark]
        assert told
        assert any(telling in str(finding) for finding in told)


async def test_accepted_findings_are_explained_and_new_findings_stay_open(tmp_path: Path) -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        group, account = group_of(at, plan), account_of(at)
        for damage in (lose_a_person, change_a_body, bring_a_stranger, rename):
            damage(at, group, account)
        _, findings = await found_in(at, plan)
        reviewed = tmp_path / "reviewed.jsonl"
        reviewed.write_bytes(b"\n".join(finding.to_json() for finding in findings))
        accepted = Baseline.read(reviewed)
        again: list[Finding] = []
        verdict = await at.adapter.migration.verify(plan, accepted=accepted, on_finding=again.append)
        assert (verdict.clean, verdict.accepted, verdict.to_json()["accepted"]) == (True, 4, 4)
        assert [each.explained for each in again if each.what is Subject.SUBSCRIBER and each.mark is not Mark.SAME] == [
            ACCEPTED,
            ACCEPTED,
        ]
        reviewed.write_bytes(b"".join(finding.to_json() for finding in again))
        assert Baseline.read(reviewed) == accepted
        at.server.world.state.leave(group, "reader_000004")
        group.name = "A third name"
        verdict = await at.adapter.migration.verify(plan, accepted=accepted)
        assert [(each.key, each.mark) for each in verdict.named] == [
            ("name", Mark.DIFFERS),
            ("reader_000004", Mark.MISSING),
        ]
        assert not verdict.clean


async def test_text_that_differs_behind_its_excerpt_is_new_finding() -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        message = group_of(at, plan).log.get(1)
        assert message is not None
        findings: list[Finding] = []
        for end in ("first", "second"):
            message.body = [worlds.text("x" * 500 + end)]
            verdict = await at.adapter.migration.verify(
                plan, accepted=Baseline.of(findings), on_finding=findings.append
            )
            assert verdict.open == 1


async def test_unreadable_list_cannot_be_accepted() -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        at.server.faults.replace([Fault(command=GET_GROUP_MEMBER_INFO.name, code=10007)])
        _, findings = await found_in(at, plan)
        verdict = await at.adapter.migration.verify(plan, accepted=Baseline.of(findings))
        assert [(each.key, each.mark) for each in verdict.named] == [("*", Mark.UNREADABLE)]


@pytest.mark.parametrize("line", [b"{", b"[]", b"{}", b'{"channel": 1, "what": "person", "key": "", "mark": "="}'])
def test_error_names_line_that_is_no_finding(line: bytes, tmp_path: Path) -> None:
    reviewed = tmp_path / "reviewed.jsonl"
    reviewed.write_bytes(b"\n" + line + b"\n")
    with pytest.raises(InvalidError, match=r"reviewed\.jsonl, line 2: this is no line of a verification"):
        Baseline.read(reviewed)


async def test_items_of_missing_or_foreign_group_are_missing() -> None:
    async with system(SMALL, ids=(worlds.FULL, worlds.TEXTS)) as at:
        plan = await moved(at)
        state = at.server.world.state
        state.dissolve(group_of(at, plan))
        group_of(at, plan, worlds.TEXTS).fields.clear()
        verdict, findings = await found_in(at, plan)
        channels = [each for each in findings if each.key == "channel"]
        assert [(each.channel, each.mark) for each in channels] == [
            (worlds.FULL, Mark.MISSING),
            (worlds.TEXTS, Mark.MISSING),
        ]
        assert "no such group" in channels[0].reason
        assert "no channel stands there" in channels[1].reason
        users = [each for each in findings if each.what is Subject.SUBSCRIBER]
        assert len(users) == SMALL.subscribers + SMALL.subscribers // 5
        assert {each.mark for each in users} == {Mark.MISSING}
        assert verdict.count(Mark.MISSING, Subject.POST) == 6 + 8


async def test_missing_account_is_unreadable_and_others_are_compared() -> None:
    async with system(SMALL, ids=(worlds.FULL, worlds.TEXTS)) as at:
        plan = await moved(at)
        del at.server.world.state.official[worlds.FULL]
        verdict, findings = await found_in(at, plan)
        gone = [each for each in findings if each.channel == worlds.FULL]
        assert [(each.mark, each.reason) for each in gone] == [(Mark.UNREADABLE, "gone from the source")]
        assert verdict.open == 1


async def test_history_that_service_refuses_is_unreadable() -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        at.server.faults.replace([Fault(command=GROUP_MSG_GET_SIMPLE.name, code=10007)])
        verdict, findings = await found_in(at, plan)
        assert verdict.count(Mark.UNREADABLE, Subject.POST) == 1
        assert not verdict.clean
        assert verdict.count(Mark.SAME, Subject.SUBSCRIBER) == SMALL.subscribers
        assert any("does not show" in finding.reason for finding in findings)


async def test_outage_raises_unavailable() -> None:
    async with system(SMALL, ids=ONE, total_seconds=3.0, call_seconds=1.5) as at:
        plan = await moved(at)
        at.server.faults.replace([Fault(command=GET_GROUP_MEMBER_INFO.name, status=503)])
        with pytest.raises(UnavailableError):
            await found_in(at, plan)


async def test_verify_writes_nothing() -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = await moved(at)
        before = at.server.world.dump()
        await found_in(at, plan)
        assert at.server.world.dump() == before


async def test_plan_of_another_app_is_refused() -> None:
    async with system(SMALL, ids=ONE) as at:
        plan = (await moved(at)).model_copy(update={"sdkappid": 1})
        with pytest.raises(InvalidError, match="app 1"):
            await found_in(at, plan)
