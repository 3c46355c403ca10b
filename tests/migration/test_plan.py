"""Plans: their content, their problems, and equal bytes for equal input."""

import json
from pathlib import Path
from typing import Any

import pytest

from channel_adapter.concurrency.files import replaced_file
from channel_adapter.errors import ConfigurationError, ConflictError, InvalidError, NotFoundError
from channel_adapter.migration.plan import document as plan_file
from channel_adapter.migration.plan.document import Plan, TargetState, changes
from channel_adapter.migration.plan.make_plan import (
    CallRates,
    ChannelInventory,
    IdConflict,
    Inventory,
    PlanRequest,
    PostTally,
    SubscriberTally,
    make_plan,
)
from channel_adapter.migration.plan.planner import PlanOptions
from channel_adapter.migration.plan.resolutions import Incompatibility, Resolution, Resolutions
from channel_adapter.migration.plan.transform import assess_post
from channel_adapter.migration.sources.discover import Discovered
from channel_adapter.migration.sources.source import SourceChannel, SourceKind, SourcePost, SourceSpec
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.scenario import Scenario
from channel_adapter.tencent.catalog import IMPORT_GROUP_MEMBER
from tests.migration import worlds
from tests.migration.conftest import System, system
from tests.migration.test_transform import BARE, TARGET
from tests.migration.worlds import Size

SPEC = SourceSpec(kind=SourceKind.ACCOUNTS, accounts=("@TOA#_a",))


def wishes(*policies: str, **more: Any) -> PlanRequest:
    values: dict[str, Any] = {"sdkappid": 1, "target": TARGET, "policies": Resolutions.parse(policies)}
    return PlanRequest(**values | more)


def channel(**fields: Any) -> SourceChannel:
    values: dict[str, Any] = {"id": "@TOA#_a", "owner": "ann", "name": "A", "created_at": 1_700_000_000}
    return SourceChannel(**values | fields)


def inventory(*channels: SourceChannel, taken: dict[str, IdConflict] | None = None, **more: Any) -> Inventory:
    found = tuple(ChannelInventory(each, PostTally()) for each in channels or (channel(),))
    values: dict[str, Any] = {
        "spec": SPEC,
        "found": found,
        "conflicts": taken or {},
        "accounts": {"ann": True, "ben": True},
    }
    return Inventory(**values | more)


async def plan_of(at: System, options: PlanOptions | None = None, before: Plan | None = None, *ids: str) -> Plan:
    """Plan these accounts, or all; losses are cut unless the options differ."""
    accounts = ids or tuple(at.moving.ids)
    renamed = worlds.RENAMED if worlds.TAKEN in accounts else {}
    wanted = options or PlanOptions(policies=Resolutions.parse(["all=cut"]), renamed=renamed)
    async with at.adapter.migration.accounts_source(Discovered(accounts)) as source:
        return await at.adapter.migration.plan(source, wanted, before=before)


async def test_equal_input_yields_equal_bytes_that_can_be_read_back(tmp_path: Path) -> None:
    async with system(Size(40, 24)) as at:
        first, second = await plan_of(at), await plan_of(at)
        assert plan_file.to_json(first) == plan_file.to_json(second)
        path = tmp_path / "plan.json"
        plan_file.write_plan(path, first)
        assert plan_file.read_plan(path) == first
        assert first.ready
        at.server.world.state.subscribe(at.server.world.state.official[worlds.EMPTY], "reader_000001", 1_700_000_000)
        assert (await plan_of(at)).fingerprint != first.fingerprint


async def test_planning_writes_nothing() -> None:
    async with system(Size(40, 24)) as at:
        before = at.server.world.dump()
        await plan_of(at)
        assert at.server.world.dump() == before


async def test_plan_counts_subscribers_posts_and_losses() -> None:
    async with system(Size(120, 60)) as at:
        plan = await plan_of(at)
        state = at.server.world.state
        for planned in plan.channels:
            account = state.official[planned.source.id]
            posts = planned.source.posts
            assert planned.source.audience.subscribers == len(account.subscribers)
            assert posts.reachable + posts.recalled + posts.expired == len(list(account.log))
            assert planned.target.created_at == account.create_time
            assert planned.target.owner == account.owner
        gone = plan.channel(worlds.GONE)
        assert gone is not None
        assert (gone.source.posts.recalled, gone.source.posts.expired) == (4, 5)
        same = plan.channel(worlds.SAME_SECOND)
        assert same is not None
        assert same.source.posts.moved_in_time > 5
        lost = {loss.loss: loss for loss in (plan.channel(worlds.LIMITS) or gone).losses}
        assert (lost[Incompatibility.NAME].size, lost[Incompatibility.NAME].limit, lost[Incompatibility.NAME].kept) == (
            150,
            100,
            worlds.LONG_NAME[:33],
        )
        assert lost[Incompatibility.POST_SIZE].posts == (f"2_1_{_time_of(at, worlds.LIMITS, 2)}",)
        assert plan.channel(worlds.GENERATED) is not None
        assert (plan.channel(worlds.TAKEN) or gone).target.id == "@TGS#_taken_by_us"


def _time_of(at: System, account: str, seq: int) -> int:
    message = at.server.world.state.official[account].log.get(seq)
    assert message is not None
    return message.time


async def test_losses_without_a_policy_are_refused_and_named() -> None:
    async with system(Size(20, 12), ids=(worlds.LIMITS, worlds.TEXTS)) as at:
        plan = await plan_of(at, PlanOptions())
        assert not plan.ready
        assert [(each.source.id, loss.loss) for each, loss in plan.losses() if loss.refused] == [
            (worlds.LIMITS, Incompatibility.NAME), (worlds.LIMITS, Incompatibility.POST_SIZE),
        ]  # fmt: skip
        assert (await plan_of(at, PlanOptions(), None, worlds.TEXTS)).ready


async def test_subscribers_are_read_only_if_requested() -> None:
    async with system(Size(40, 3), ids=(worlds.FLAGS,)) as at:
        guessed = (await plan_of(at)).channels[0]
        assert (guessed.source.audience.read, guessed.source.audience.not_default) == (False, None)
        options = PlanOptions(read_subscribers=True)
        known = await plan_of(at, options)
        users = known.channels[0].source.audience
        assert (users.read, users.not_default, users.with_data) == (True, 20, 6)
        assert [(loss.loss, loss.count) for loss in known.channels[0].losses] == [(Incompatibility.SUBSCRIBER_DATA, 6)]
        assert not known.ready


async def test_id_of_a_foreign_group_is_a_problem_until_renamed() -> None:
    async with system(Size(10, 3), ids=(worlds.TAKEN,)) as at:
        plan = await plan_of(at, PlanOptions(policies=Resolutions.parse(["all=cut"])))
        [(_, problem)] = plan.problems()
        assert 'taken by a group that is no channel, "Somebody else\'s"' in problem.message
        assert plan.channels[0].target.state is TargetState.STRANGER
        assert not plan.ready
        assert (await plan_of(at)).ready
        await at.adapter.channels.create(slug="taken_by_us", name="Ours", owner=worlds.OWNER)
        [(_, problem)] = (await plan_of(at)).problems()
        assert "taken by a channel that no migration made, 'Ours'" in problem.message


@pytest.mark.parametrize(
    ("taken", "problem"),
    [
        (IdConflict(TargetState.FREE), ""),
        (IdConflict(TargetState.OURS, "m"), ""),
        (IdConflict(TargetState.STRANGER, "Chat"), "by a group that is no channel, 'Chat'"),
        (IdConflict(TargetState.CHANNEL, "News"), "by a channel that no migration made, 'News'"),
        (IdConflict(TargetState.OTHER_MIGRATION, "m2"), "by migration m2"),
    ],
)
def test_existing_target_of_another_origin_is_a_problem(taken: IdConflict, problem: str) -> None:
    plan = make_plan(inventory(taken={"@TGS#_a": taken}), wishes())
    assert [each.message for _, each in plan.problems()] == (
        [f"@TGS#_a is taken {problem}; move @TOA#_a elsewhere with --rename"] if problem else []
    )
    assert plan.ready == (not problem)


@pytest.mark.parametrize(
    ("fields", "more", "field"),
    [
        ({"id": "@TOA#_@TGS#x"}, {}, "id"),
        ({"owner": "ghost"}, {}, "owner"),
        ({"admins": ("ann", "ghost")}, {}, "owner"),
        ({"subscriber_count": 100_000}, {}, "subscribers"),
        ({"subscriber_count": 100}, {"member_cap": 100}, "subscribers"),
        ({"subscriber_count": 51, "max_subscribers": 50}, {}, "subscribers"),
        ({"name": "   "}, {}, "name"),
    ],
)  # fmt: skip
def test_problem_without_a_policy_makes_the_plan_not_ready(
    fields: dict[str, Any], more: dict[str, Any], field: str
) -> None:
    plan = make_plan(inventory(channel(**fields)), wishes("all=cut", **more))
    assert [each.field for _, each in plan.problems()] == [field]
    assert not plan.ready
    assert make_plan(inventory(channel(subscriber_count=99_999)), wishes()).ready
    assert make_plan(inventory(channel(subscriber_count=500_000)), wishes(member_cap=1_000_000)).ready


def test_subscriber_limit_above_the_plan_maximum_becomes_none() -> None:
    for most, planned in ((500, 500), (99_999, 99_999), (100_000, None), (700_000, None), (None, None)):
        target = make_plan(inventory(channel(max_subscribers=most)), wishes()).channels[0].target
        assert target.max_subscribers == planned


def test_two_channels_with_one_target_are_both_a_problem() -> None:
    found = inventory(channel(id="a"), channel(id="@TOA#_a"), channel(id="b"))
    plan = make_plan(found, wishes())
    assert [each.source.id for each, _ in plan.problems()] == ["a", "@TOA#_a"]
    assert make_plan(found, wishes(renamed={"a": "c"})).ready
    with pytest.raises(InvalidError, match="'d' is not in the source"):
        make_plan(found, wishes(renamed={"d": "e"}))


def test_policies_decide_losses_and_the_tag_lists_kept_originals() -> None:
    long = channel(name="n" * 101, organization="o" * 600)
    for words, ready, kept in (
        ((), False, ()),
        (("all=cut",), True, ()),
        (("all=cut", "name=store"), True, ("name",)),
        (("all=store",), True, ("name", "organization")),
        (("name=cut",), False, ()),
    ):
        plan = make_plan(inventory(long), wishes(*words))
        target = plan.channels[0].target
        assert (plan.ready, target.kept) == (ready, kept)
        assert target.name == "n" * 100
        assert target.tag(plan.migration).kept == kept


def test_fields_without_a_key_have_limit_zero() -> None:
    plan = make_plan(inventory(channel(organization="Port", custom_data="x")), wishes("all=cut", target=BARE))
    lost = {loss.loss: loss for loss in plan.channels[0].losses}
    assert (lost[Incompatibility.ORGANIZATION].limit, lost[Incompatibility.CUSTOM_DATA].limit) == (0, 0)
    assert plan.limits.target() == BARE
    assert plan.chosen.of(Incompatibility.NAME) is Resolution.CUT


def test_migration_id_depends_on_app_and_accounts() -> None:
    one, two = channel(), channel(id="@TOA#_b")
    first = make_plan(inventory(one, two), wishes()).migration
    assert make_plan(inventory(two, one), wishes("all=cut")).migration == first
    assert make_plan(inventory(one), wishes()).migration != first
    assert make_plan(inventory(one, two), wishes(sdkappid=2)).migration != first
    assert make_plan(inventory(one), wishes(migration="spring")).migration == "spring"
    with pytest.raises(InvalidError):
        make_plan(inventory(one), wishes(migration="a b"))


def test_channel_of_unknown_age_is_created_before_its_content() -> None:
    posts, users = PostTally(), SubscriberTally()
    post = SourcePost("p", 1, 1_700_000_500, tuple(worlds.carried(1)[0]))
    posts.add(post, assess_post(post, TARGET))
    users.earliest = 1_700_000_300
    young = channel(created_at=0)
    assert make_plan(inventory(found=(ChannelInventory(young, posts, users),)), wishes()).channels[
        0
    ].target.created_at == (1_700_000_299)
    assert make_plan(inventory(young), wishes()).channels[0].target.created_at is None


def test_calls_and_seconds_follow_from_the_limits() -> None:
    plan = make_plan(inventory(channel(subscriber_count=99_999)), wishes())
    [row] = [row for row in plan.calls if row.command == IMPORT_GROUP_MEMBER.path]
    assert (row.calls, row.per_call, row.per_second, row.seconds) == (5_000, 20, 200.0, 25.0)
    assert plan.seconds >= 25 + 5
    pace = CallRates(300, {IMPORT_GROUP_MEMBER.path: 400.0})
    [row] = [
        row for row in make_plan(inventory(channel(subscriber_count=99_999)), wishes(pace=pace)).calls
        if row.command == IMPORT_GROUP_MEMBER.path
    ]  # fmt: skip
    assert (row.calls, row.seconds) == (334, 0.8)


async def test_planned_read_calls_equal_the_calls_made() -> None:
    async with system(Size(450, 90)) as at:
        at.server.log.clear()
        cut = Resolutions.parse(["all=cut"])
        options = PlanOptions(policies=cut, renamed=worlds.RENAMED, read_subscribers=True)
        plan = await plan_of(at, options)
        planned = {row.command.partition("/")[2]: row.calls for row in plan.calls if row.stage == "move"}
        reading = {name: calls for name, calls in planned.items() if "get_" in name}
        assert reading.keys() == {
            "get_official_account_info", "official_account_msg_get_simple", "get_subscriber_info",
        }  # fmt: skip
        assert reading == {name: at.server.log.count(name) for name in reading}


async def test_flaky_network_yields_the_same_plan() -> None:
    flaky = Scenario.load(Path(__file__).parents[2] / "config" / "scenarios" / "flaky_network.toml")
    async with system(Size(40, 40)) as at:
        calm = await plan_of(at)
        at.server.faults.replace(flaky.faults)
        assert plan_file.to_json(await plan_of(at)) == plan_file.to_json(calm)


async def test_source_that_became_empty_raises_conflict() -> None:
    async with system(Size(20, 12), ids=(worlds.FULL, worlds.BUSY)) as at:
        before = await plan_of(at)
        account = at.server.world.state.official[worlds.FULL]
        for user in list(account.subscribers):
            at.server.world.state.unsubscribe(account, user)
        with pytest.raises(ConflictError, match=f"{worlds.FULL} had 20 subscribers"):
            await plan_of(at, None, before)
        assert (await plan_of(at)).channels[0].source.audience.subscribers == 0


async def test_account_missing_from_a_search_is_an_error_and_an_omitted_one_is_not() -> None:
    async with system(Size(20, 12), ids=(worlds.FULL, worlds.BUSY)) as at:
        before, migration = await plan_of(at), at.adapter.migration
        assert len((await plan_of(at, None, before, worlds.FULL)).channels) == 1
        async with migration.accounts_source(Discovered((worlds.FULL,), searched=True)) as source:
            with pytest.raises(ConflictError, match=f"{worlds.BUSY} was there"):
                await migration.plan(source, PlanOptions(policies=Resolutions.parse(["all=cut"])), before=before)


async def test_missing_account_raises_not_found() -> None:
    async with system(Size(20, 12), ids=(worlds.FULL, worlds.BUSY)) as at:
        at.server.world.state.destroy_official(at.server.world.state.official[worlds.BUSY])
        with pytest.raises(NotFoundError, match=worlds.BUSY):
            await plan_of(at, None, None, worlds.FULL, worlds.BUSY)


async def test_failing_source_raises_its_error() -> None:
    async with system(Size(20, 12), ids=(worlds.BUSY,), total_seconds=3.0) as at:
        at.server.faults.replace([Fault(command="official_account_msg_get_simple", nth=(1,), code=10010)])
        with pytest.raises(NotFoundError):
            await plan_of(at)


@pytest.mark.parametrize(
    ("stub", "fault", "words"),
    [
        ({"app": {"community": False}}, None, "Communit"),
        ({"app": {"official_accounts": False}}, None, "official account"),
        ({}, Fault(command="import_group_msg", code=10007), "may not import"),
        ({}, Fault(command="import_group_msg", code=10026), "command"),
    ],
)
async def test_unsuitable_edition_raises_configuration_error(
    stub: dict[str, Any], fault: Fault | None, words: str
) -> None:
    async with system(Size(5, 3), ids=(worlds.FULL,), stub=stub) as at:
        at.server.faults.replace([fault] if fault else [])
        with pytest.raises(ConfigurationError, match=words):
            await plan_of(at)


async def test_store_policy_requires_a_database(database: str) -> None:
    options = PlanOptions(policies=Resolutions.parse(["all=store"]))
    async with system(Size(5, 3), ids=(worlds.TEXTS,)) as at:
        with pytest.raises(ConfigurationError) as refusal:
            await plan_of(at, options)
        assert refusal.value.field == "database_url"
    async with system(Size(5, 3), ids=(worlds.TEXTS,), database_url=database) as at:
        assert (await plan_of(at, options)).ready


def test_changes_list_what_differs_in_the_source() -> None:
    plan = make_plan(inventory(channel(), channel(id="@TOA#_b"), channel(id="@TOA#_c")), wishes())
    now = {"@TOA#_a": channel(name="B", subscriber_count=5), "@TOA#_b": channel(id="@TOA#_b")}
    found = changes(plan, now)
    assert [(each.channel, each.field, each.serious) for each in found] == [
        ("@TOA#_a", "name", True), ("@TOA#_a", "subscribers", False), ("@TOA#_c", "channel", True),
    ]  # fmt: skip
    assert str(found[0]) == "@TOA#_a: name was 'A', is 'B'"


def test_changes_list_files_with_another_digest() -> None:
    spec = SourceSpec(kind=SourceKind.FILES, files={"posts": "x/posts.csv"}, digests={"posts": "1" * 64})
    plan = make_plan(inventory(spec=spec), wishes())
    now = {"@TOA#_a": channel()}
    assert changes(plan, now, spec) == []
    [found] = changes(plan, now, spec.model_copy(update={"digests": {"posts": "2" * 64}}))
    assert (found.channel, found.field, found.serious) == ("x/posts.csv", "file", False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (b"{", "is no JSON"),
        (b"[]", "is no plan of a migration"),
        (b'{"format": "other"}', "is no plan of a migration"),
        ({"version": 2}, "version 2; this program reads 1"),
        ({"sdkappid": "x"}, "sdkappid"),
        ({"colour": "red"}, "colour"),
        ({"channels": [{"source": {}}]}, "channels.0.source.id"),
    ],
)
def test_invalid_plan_file_is_refused_with_the_reason(change: bytes | dict[str, Any], words: str) -> None:
    text = change
    if isinstance(change, dict):
        text = json.dumps(json.loads(plan_file.to_json(make_plan(inventory(), wishes()))) | change).encode()
    assert isinstance(text, bytes)
    with pytest.raises(InvalidError, match=words):
        plan_file.from_json(text, "plan.json")


def test_plan_of_another_app_is_refused() -> None:
    plan = make_plan(inventory(), wishes())
    plan_file.check_app(plan, 1, "plan.json")
    with pytest.raises(InvalidError, match="for app 1; the settings name 2"):
        plan_file.check_app(plan, 2, "plan.json")


def test_full_disk_leaves_the_existing_plan(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(b"before")

    def half() -> None:
        with replaced_file(path) as file:
            file.write(b"half")
            raise OSError(28, "No space left on device", str(path))

    with pytest.raises(OSError, match="No space left"):
        half()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
