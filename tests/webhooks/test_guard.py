"""Guard of posts, subscriptions and creations: requests of the service over a socket, answered in time."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from channel_adapter import Article, ChannelAdapter, OutcomeKind, RefusedError, Text, UserId
from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.stub.world.refusal import Refusal
from tests.webhooks.scenario import (
    KEEPER,
    LIGHTHOUSE,
    MATE,
    OTHER,
    SAILOR,
    Scenario,
    lighthouse,
    open_scenario,
    settings_of,
)

GROUPS = "group_open_http_svc"
OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"


async def post(scenario: Scenario, user: str, body: str = "fog", **more: Any) -> int | None:
    """Post, and return the code that the client app receives, or None if it receives success."""
    try:
        await scenario.act(user, "post", group_id=LIGHTHOUSE, body=body, **more)
    except Refusal as refusal:
        return refusal.code
    return None


async def until_post(scenario: Scenario, code: int | None) -> None:
    """Post as the owner until the client app receives this code: receivers read changes twice a second."""
    async with asyncio.timeout(30):
        while await post(scenario, KEEPER) != code:  # noqa: ASYNC110 - another process makes the change
            await asyncio.sleep(0.1)


async def join(scenario: Scenario, user: str, group: str = LIGHTHOUSE) -> int | None:
    try:
        await scenario.act(user, "join", group_id=group)
    except Refusal as refusal:
        return refusal.code
    return None


async def said(scenario: Scenario) -> list[str]:
    """Return the texts of the published posts, oldest first."""
    await scenario.settle()
    return [part.text for post in scenario.received if isinstance(post, e.PostPublished) for part in post.post.parts
            if isinstance(part, Text)]  # fmt: skip


async def unmuted(scenario: Scenario) -> Scenario:
    """Create a channel with two subscribers in which all members were unmuted by mistake."""
    await lighthouse(scenario)
    await scenario.other.call(GROUPS, "modify_group_base_info", {"GroupId": LIGHTHOUSE, "MuteAllMember": "Off"})
    for user in (SAILOR, MATE):
        await scenario.act(user, "join", group_id=LIGHTHOUSE)
    await scenario.settle()
    scenario.received.clear()
    return scenario


async def role(scenario: Scenario, user: str, name: str) -> None:
    member = {"GroupId": LIGHTHOUSE, "Member_Account": user, "Role": name}
    await scenario.other.call(GROUPS, "modify_group_member_info", member)
    await scenario.settle()


async def test_only_owner_and_admins_can_post() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        assert await post(scenario, KEEPER) is None
        assert await post(scenario, SAILOR) == 10016
        await role(scenario, MATE, "Admin")
        assert await post(scenario, MATE) is None
        await role(scenario, MATE, "Member")
        assert await post(scenario, MATE) == 10016, "the event of the demotion did not reach the cache"
        await scenario.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": SAILOR})
        await scenario.settle()
        assert (await post(scenario, KEEPER), await post(scenario, SAILOR)) == (10016, None)
        assert await said(scenario) == ["fog"] * 3
        assert scenario.adapter.guard.counts["refused"] == 3


async def test_role_of_allowed_author_is_read_once() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        for _ in range(5):
            assert await post(scenario, KEEPER) is None
        assert len([call for call in scenario.stub.log if call.command == "get_role_in_group"]) == 1


async def test_role_of_refused_author_is_read_once() -> None:
    """Without the cache a flood of posts would cause a flood of calls, and refusals would come too late."""
    async with open_scenario() as scenario:
        await unmuted(scenario)
        for _ in range(5):
            assert await post(scenario, SAILOR) == 10016
        assert len([call for call in scenario.stub.log if call.command == "get_role_in_group"]) == 1
        await role(scenario, SAILOR, "Admin")
        assert await post(scenario, SAILOR) is None, "the event of the promotion did not reach the cache"
        await role(scenario, SAILOR, "Member")
        assert await post(scenario, SAILOR) == 10016
        await scenario.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": SAILOR})
        await scenario.settle()
        assert await post(scenario, SAILOR) is None


async def test_roles_of_many_authors_are_read_in_few_calls() -> None:
    """The service allows 200 such calls a second, each for up to 500 users."""
    async with open_scenario() as scenario:
        await unmuted(scenario)
        ask: dict[str, Any] = {"GroupId": LIGHTHOUSE, "MsgBody": []}
        trigger = scenario.stub.webhooks.trigger
        crowd = [f"stranger_{number}" for number in range(300)]
        asked = (trigger("Group.CallbackBeforeSendMsg", **ask, From_Account=name) for name in (*crowd, "x" * 99, ""))
        answers = await asyncio.gather(*asked)
        assert [(each.answer or {}).get("ErrorCode") for each in answers] == [1] * 302
        assert len([call for call in scenario.stub.log if call.command == "get_role_in_group"]) < 100


async def test_every_user_can_post_if_the_settings_allow_it() -> None:
    async with open_scenario(guard={"only_staff_posts": False}) as scenario:
        await unmuted(scenario)
        assert await post(scenario, SAILOR) is None


async def test_requests_about_other_groups_are_allowed() -> None:
    async with open_scenario(guard={"blocked": [SAILOR], "on_failure": "refuse"}) as scenario:
        group = {"Type": "Community", "Name": "Quay", "GroupId": "@TGS#_quay", "ApplyJoinOption": "FreeAccess"}
        await scenario.other.call(GROUPS, "create_group", group)
        asked: list[hooks.HookRequest] = []
        scenario.adapter.guard.on(hooks.PostDraft)(asked.append)
        assert await join(scenario, SAILOR, "@TGS#_quay") is None
        await scenario.act(SAILOR, "post", group_id="@TGS#_quay", body="ahoy")
        assert asked == []


async def test_closed_channels_and_blocked_users_are_refused() -> None:
    async with open_scenario(guard={"closed": ["lighthouse"], "blocked": [MATE]}) as scenario:
        await lighthouse(scenario)
        assert await join(scenario, SAILOR) == 10016
        other = (await scenario.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])).outcomes
        assert [outcome.kind for outcome in other] == [OutcomeKind.REFUSED]
        own = (await scenario.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])).outcomes
        assert [outcome.kind for outcome in own] == [OutcomeKind.ADDED, OutcomeKind.REFUSED]
        assert scenario.adapter.guard.counts["partly"] == 1


async def test_blocked_users_are_refused_in_their_channel(tmp_path: Path) -> None:
    """Refused are joins and invitations; blocks of a channel are added to those of the settings."""
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with open_scenario(database_url=url, guard={"blocked": [MATE]}) as scenario:
        await lighthouse(scenario)
        await scenario.adapter.channels.block("lighthouse", [SAILOR])
        assert (await join(scenario, SAILOR), await join(scenario, MATE)) == (10016, 10016)
        outcomes = await scenario.other.subscriptions.subscribe("lighthouse", [SAILOR], assign=False)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.REFUSED]
        await scenario.adapter.channels.unblock("lighthouse", [SAILOR])
        assert await join(scenario, SAILOR) is None


@pytest.mark.parametrize("database", [True, False])
async def test_suspended_channel_is_closed_to_all(tmp_path: Path, database: bool) -> None:
    """Suspended by this process, or by another one with the same database."""
    url: dict[str, Any] = {"database_url": f"sqlite:///{tmp_path / 'app.db'}"} if database else {}
    async with open_scenario(**url) as scenario:
        await unmuted(scenario)
        await scenario.adapter.accounts.add(["navigator"])
        assert await post(scenario, KEEPER) is None
        settings = settings_of(scenario.stub, OTHER, **url)
        async with ChannelAdapter.open(settings) as other:
            channels = other.channels if database else scenario.adapter.channels
            assert await channels.suspend("lighthouse")
            await until_post(scenario, 10016)
            assert await join(scenario, "navigator") is not None
            assert await channels.resume("lighthouse")
            await until_post(scenario, None)


async def test_transfer_is_reported_and_corrects_the_cached_owner(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'app.db'}"
    async with open_scenario(database_url=url, webhooks={"own_echoes": True}) as scenario:
        await unmuted(scenario)
        assert await post(scenario, KEEPER) is None
        await scenario.adapter.channels.transfer("lighthouse", SAILOR)
        changed = await scenario.until(e.OwnerChanged)
        assert (changed.old_owner, changed.new_owner, changed.own) == (KEEPER, SAILOR, True)
        assert (await post(scenario, KEEPER), await post(scenario, SAILOR)) == (10016, None)
        observed = await scenario.adapter.pipeline.registry.get(LIGHTHOUSE)
        assert observed is not None
        assert observed.owner == SAILOR


async def test_subscribers_above_the_cap_are_refused() -> None:
    async with open_scenario(guard={"caps": {"lighthouse": 2}}) as scenario:
        await lighthouse(scenario)
        users = [f"passenger_{number}" for number in range(4)]
        await scenario.adapter.accounts.add(users)
        assert await join(scenario, SAILOR) is None
        outcomes = (await scenario.other.subscriptions.subscribe(LIGHTHOUSE, users)).outcomes
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ADDED, *[OutcomeKind.REFUSED] * 3]
        assert await join(scenario, MATE) == 10016
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        assert await join(scenario, MATE) is None


async def test_only_named_accounts_can_create_communities() -> None:
    async with open_scenario(guard={"creators": [KEEPER]}) as scenario:
        with pytest.raises(ChannelAdapterError) as refused:
            await scenario.other.channels.create(slug="quay", name="Quay", owner=KEEPER)
        assert refused.value.code == 10016
        await scenario.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await scenario.other.call(GROUPS, "create_group", {"Type": "Public", "Name": "Dinghy"})


async def test_hooks_rewrite_in_order_of_registration() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        asked: list[hooks.PostDraft] = []

        @scenario.adapter.guard.on(hooks.PostDraft)
        async def calm(draft: hooks.PostDraft) -> hooks.HookResponse | None:
            asked.append(draft)
            return hooks.Rewrite(Text("haze"), app_data="mood=blue") if draft.parts == (Text("fog"),) else None

        @scenario.adapter.guard.on(hooks.PostDraft)
        def shout(draft: hooks.PostDraft) -> hooks.HookResponse:
            asked.append(draft)
            (part,) = draft.parts
            assert isinstance(part, Text)
            return hooks.Rewrite(Text(part.text.upper()))

        assert await post(scenario, KEEPER, "fog") is None
        assert await said(scenario) == ["HAZE"]
        published = await scenario.until(e.PostPublished)
        assert published.app_data == "mood=blue"
        first, second = asked
        assert (first.channel, first.author, first.by, first.platform) == (LIGHTHOUSE, KEEPER, KEEPER, e.Platform.IOS)
        assert (second.parts, second.app_data) == ((Text("haze"),), "mood=blue")


@pytest.mark.parametrize(
    ("decision", "code", "outcome"),
    [
        (hooks.Refuse(), 10016, "refused"),
        (hooks.Refuse("not today", 10150), 10150, "refused"),
        (hooks.Drop(), None, "dropped"),
    ],
)
async def test_hook_can_refuse_or_drop_a_post(decision: hooks.HookResponse, code: int | None, outcome: str) -> None:
    async with open_scenario(webhooks={"lost_after_seconds": 0.1}) as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: decision)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: pytest.fail("the first refusal should have ended it"))
        assert await post(scenario, KEEPER) == code
        assert await said(scenario) == []
        assert scenario.adapter.guard.counts[outcome] == 1
        await asyncio.sleep(0.3)
        assert await scenario.settle() == [], "what the guard held back is not lost"


async def test_hooks_can_refuse_subscriptions_and_creations() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)

        @scenario.adapter.guard.on(hooks.SubscribeRequest)
        def only_sailors(request: hooks.SubscribeRequest) -> hooks.HookResponse:
            return hooks.RefuseSome(tuple(user for user in request.users if user != SAILOR))

        @scenario.adapter.guard.on(hooks.CreateRequest)
        def nothing_new(request: hooks.CreateRequest) -> hooks.HookResponse:
            return hooks.Refuse(f"no {request.name}", 10101)

        assert await join(scenario, SAILOR) is None
        assert await join(scenario, MATE) == 10016
        with pytest.raises(RefusedError) as refused:
            await scenario.other.channels.create(slug="quay", name="Quay", owner=KEEPER)
        assert refused.value.code == 10101
        assert "no Quay" in str(refused.value)


async def test_official_accounts_are_guarded() -> None:
    async with open_scenario(guard={"blocked": [MATE]}) as scenario:
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await scenario.other.call(OFFICIAL, "create_official_account", made)
        scenario.adapter.guard.on(hooks.PostDraft, other_mode=True)(
            lambda draft: hooks.Rewrite(Article(title=draft.channel))
        )
        scenario.adapter.guard.on(hooks.CreateRequest, other_mode=True)(lambda _: hooks.Refuse("", 10150))
        subscribers = {"Official_Account": GAZETTE,
                       "SubscriberList": [{"Subscriber_Account": SAILOR}, {"Subscriber_Account": MATE}]}  # fmt: skip
        answer = await scenario.other.call(OFFICIAL, "add_subscriber", subscribers)
        assert [item["Result"] for item in answer["SubscriberList"]] == [1, 0]
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]
        message = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": text}
        await scenario.other.call(OFFICIAL, "send_official_account_msg", message)
        assert (await scenario.until(e.PostPublished)).post.parts == (Article(title=GAZETTE),)
        with pytest.raises(ChannelAdapterError) as refused:
            await scenario.other.call(OFFICIAL, "create_official_account", {"Owner_Account": KEEPER, "Name": "Second"})
        assert refused.value.code == 20006


async def test_hooks_without_other_mode_are_not_called_for_official_accounts() -> None:
    async with open_scenario() as scenario:
        scenario.adapter.guard.on(hooks.HookRequest)(lambda _: hooks.Refuse("not here"))
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await scenario.other.call(OFFICIAL, "create_official_account", made)
        with pytest.raises(RefusedError, match="not here"):
            await scenario.other.channels.create(slug="quay", name="Quay", owner=KEEPER)


@pytest.mark.parametrize(("policy", "code"), [("allow", None), ("refuse", 10016)])
async def test_late_hook_is_cancelled_and_the_failure_policy_applies(policy: str, code: int | None) -> None:
    async with open_scenario(guard={"budget_seconds": 0.5, "on_failure": policy}) as scenario:
        await unmuted(scenario)
        cancelled = asyncio.Event()

        @scenario.adapter.guard.on(hooks.PostDraft)
        async def think(_: hooks.PostDraft) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        began = time.monotonic()
        assert await post(scenario, KEEPER) == code
        assert time.monotonic() - began < 30
        assert scenario.adapter.guard.counts["late"] == 1
        await asyncio.wait_for(cancelled.wait(), 60)


@pytest.mark.parametrize(("policy", "code"), [("allow", None), ("refuse", 10016)])
@pytest.mark.parametrize(
    "hook",
    [
        lambda _: 1 / 0,
        lambda _: "yes",
        lambda _: hooks.RefuseSome((UserId(KEEPER),)),
        lambda _: hooks.Rewrite(Text("x" * 20_000)),
        lambda _: hooks.Rewrite(Text("")),
        lambda _: hooks.RefuseSome(KEEPER),  # type: ignore[arg-type]
    ],
    ids=["raises", "no decision", "of another question", "too long", "empty", "letters"],
)
async def test_failure_policy_applies_to_failed_hook(policy: str, code: int | None, hook: Any) -> None:
    async with open_scenario(guard={"on_failure": policy}) as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(hook)
        assert await post(scenario, KEEPER) == code
        assert scenario.adapter.guard.counts["failed"] == 1


@pytest.mark.parametrize("policy", ["allow", "refuse"])
@pytest.mark.parametrize(
    "hook",
    [lambda _: hooks.Refuse("", 7), lambda _: hooks.Refuse(10150), lambda _: hooks.Refuse("", "10150")],  # type: ignore[arg-type]
    ids=["foreign code", "code as text", "text as code"],
)
async def test_invalid_refusal_refuses_with_the_default_code(
    policy: str, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_scenario(guard={"on_failure": policy}) as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(hook)
        assert await post(scenario, KEEPER) == 10016
        assert scenario.adapter.guard.counts["refused"] == 1
    (record,) = [each for each in caplog.records if "webhooks.guard_refusal_invalid" in each.getMessage()]
    assert record.levelname == "ERROR"
    assert "test_guard.py" in record.getMessage()


async def test_code_of_another_request_type_is_replaced_by_the_default(caplog: pytest.LogCaptureFixture) -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Refuse("no", 120_500))
        assert await post(scenario, KEEPER) == 10016
        assert "webhooks.guard_code_not_sent" in caplog.text
        caplog.clear()
        scenario.adapter.guard.on(hooks.PostDraft, other_mode=True)(lambda _: hooks.Refuse("no issue today", 120_500))
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await scenario.other.call(OFFICIAL, "create_official_account", made)
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]
        message = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": text}
        with pytest.raises(ChannelAdapterError, match="no issue today") as refused:
            await scenario.other.call(OFFICIAL, "send_official_account_msg", message)
        assert refused.value.code == 120_500
        assert "webhooks.guard_code_not_sent" not in caplog.text


async def test_refusal_with_half_a_character_in_its_text_is_sent() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Refuse("no \ud83d today", 10150))
        assert await post(scenario, KEEPER) == 10150


@pytest.mark.parametrize(("policy", "code"), [("allow", 0), ("refuse", 1)])
@pytest.mark.parametrize(
    ("command", "without"),
    [
        ("Group.CallbackBeforeSendMsg", "GroupId"),
        ("Group.CallbackBeforeSendMsg", "MsgBody"),
        ("Group.CallbackBeforeApplyJoinGroup", "Requestor_Account"),
        ("Group.CallbackBeforeInviteJoinGroup", "DestinationMembers"),
        ("Group.CallbackBeforeCreateGroup", "Type"),
        ("OfficialAccount.CallbackBeforeAddSubscriber", "SubscribeAccountList"),
        ("OfficialAccount.CallbackBeforeAddSubscriber", "Official_Account"),
        ("OfficialAccount.CallbackBeforeSendMsg", "Official_Account"),
        ("OfficialAccount.CallbackBeforeSendMsg", "MsgBody"),
    ],
)
async def test_failure_policy_applies_to_request_without_required_field(
    policy: str, code: int, command: str, without: str
) -> None:
    async with open_scenario(guard={"on_failure": policy}) as scenario:
        about = (
            {"GroupId": LIGHTHOUSE} if command.startswith("Group.CallbackBefore") and "Create" not in command else {}
        )
        odd = await scenario.stub.webhooks.trigger(command, {**about, without: None})
        assert (odd.answer or {})["ErrorCode"] == code
        assert scenario.adapter.guard.counts["failed"] == 1


@pytest.mark.parametrize(
    ("hook", "outcome"),
    [
        (lambda _: 1 / 0, "failed"),
        (lambda _: hooks.Rewrite(Text("welcome")), "failed"),
        (lambda _: asyncio.sleep(60), "late"),
    ],
    ids=["raises", "of another question", "hangs"],
)
async def test_failed_hook_admits_no_user_refused_by_the_settings(hook: Any, outcome: str) -> None:
    async with open_scenario(guard={"blocked": [MATE], "budget_seconds": 0.2, "on_failure": "allow"}) as scenario:
        await lighthouse(scenario)
        scenario.adapter.guard.on(hooks.SubscribeRequest)(hook)
        outcomes = (await scenario.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])).outcomes
        assert [each.kind for each in outcomes] == [OutcomeKind.ADDED, OutcomeKind.REFUSED]
        assert scenario.adapter.guard.counts[outcome] == 1


async def test_failed_database_admits_no_user_refused_by_the_settings(tmp_path: Path) -> None:
    """Blocks of a channel are in the database; the settings and the cap are not."""
    file = tmp_path / "app.db"
    guard = {"blocked": [MATE], "caps": {"lighthouse": 1}, "on_failure": "allow"}
    async with open_scenario(database_url=f"sqlite:///{file}", guard=guard) as scenario:
        await lighthouse(scenario)
        await scenario.adapter.accounts.add(["navigator", "pilot"])
        assert await join(scenario, MATE) == 10016
        file.rename(tmp_path / "away.db")
        users = [MATE, "navigator", "pilot"]
        outcomes = (await scenario.other.subscriptions.subscribe(LIGHTHOUSE, users)).outcomes
        assert [each.kind for each in outcomes] == [OutcomeKind.REFUSED, OutcomeKind.ADDED, OutcomeKind.REFUSED]
        (tmp_path / "away.db").rename(file)
        assert scenario.adapter.guard.counts["failed"] == 1


@pytest.mark.parametrize("guard", [{"blocked": [MATE]}, {"closed": ["lighthouse"]}])
async def test_slow_service_admits_no_user_refused_by_the_settings(guard: dict[str, Any]) -> None:
    guard |= {"budget_seconds": 0.2, "on_failure": "allow"}
    async with open_scenario(guard=guard, channels={"cache_seconds": 0}) as scenario:
        await lighthouse(scenario)
        scenario.stub.app.latency.set(1.0)
        assert await join(scenario, MATE) == 10016
        scenario.stub.app.latency.set(0.0)
        assert scenario.adapter.guard.counts["late"] == 1


async def test_response_of_a_hook_is_kept_when_the_next_one_fails() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Rewrite(Text("haze")))
        scenario.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Rewrite(Text("x" * 20_000)))
        assert await post(scenario, KEEPER, "fog") is None
        assert await said(scenario) == ["haze"]


async def test_each_hook_receives_the_remaining_users() -> None:
    async with open_scenario() as scenario:
        await lighthouse(scenario)
        asked: list[tuple[UserId, ...]] = []

        @scenario.adapter.guard.on(hooks.SubscribeRequest)
        def not_the_first(request: hooks.SubscribeRequest) -> hooks.HookResponse:
            asked.append(request.users)
            return hooks.RefuseSome(request.users[:1])

        scenario.adapter.guard.on(hooks.SubscribeRequest)(not_the_first)
        outcomes = (await scenario.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE, KEEPER])).outcomes
        assert asked[0] == (SAILOR, MATE, *asked[0][2:])
        assert asked[1] == asked[0][1:]
        assert [each.kind for each in outcomes][:2] == [OutcomeKind.REFUSED] * 2


async def test_hook_for_base_type_receives_every_request() -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)
        asked: list[type[hooks.HookRequest]] = []
        scenario.adapter.guard.on(hooks.HookRequest)(lambda question: asked.append(type(question)))
        await post(scenario, KEEPER)
        await scenario.act(SAILOR, "leave", group_id=LIGHTHOUSE)
        await join(scenario, SAILOR)
        assert asked == [hooks.PostDraft, hooks.SubscribeRequest]


@pytest.mark.parametrize("kind", [e.Subscribed, hooks.Refuse, "PostDraft", None])
async def test_hook_for_other_type_than_request_is_refused(kind: Any) -> None:
    async with open_scenario() as scenario:
        with pytest.raises(TypeError, match="is no request of"):
            scenario.adapter.guard.on(kind)


def test_string_instead_of_users_is_refused() -> None:
    with pytest.raises(TypeError, match="one text"):
        hooks.RefuseSome(KEEPER)  # type: ignore[arg-type]


async def test_failed_hook_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with open_scenario() as scenario:
        await unmuted(scenario)

        def fails(_: hooks.PostDraft) -> hooks.HookResponse:
            raise LookupError("no mood called blue, nor usersig=eJwtzEELgjAY")

        scenario.adapter.guard.on(hooks.PostDraft)(fails)
        await post(scenario, KEEPER)
        (record,) = [each for each in caplog.records if "webhooks.guard_undecided" in each.getMessage()]
        assert record.levelname == "ERROR"
        assert "LookupError" in record.getMessage()
        assert "no mood called blue" in record.getMessage()
        assert "in fails" in record.getMessage()
        assert "eJwtzEELgjAY" not in caplog.text


@pytest.mark.parametrize(("policy", "code"), [("allow", None), ("refuse", 10016)])
async def test_failure_policy_applies_when_the_service_is_slow(policy: str, code: int | None) -> None:
    """The guard's calls to the service have the same time budget."""
    async with open_scenario(guard={"budget_seconds": 0.2, "on_failure": policy}) as scenario:
        await unmuted(scenario)
        scenario.stub.app.latency.set(5.0)
        began = time.monotonic()
        assert await post(scenario, SAILOR) == code
        assert time.monotonic() - began < 4.9
        scenario.stub.app.latency.set(0.0)
        assert scenario.adapter.guard.counts["late"] == 1


async def test_requests_without_channel_are_allowed() -> None:
    async with open_scenario(guard={"on_failure": "refuse"}) as scenario:
        for command in ("Group.CallbackBeforeCreateTopic", "Group.CallbackBeforeSomethingNew"):
            assert (await scenario.stub.webhooks.trigger(command)).answer == {
                "ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "",
            }  # fmt: skip


@pytest.mark.parametrize(("policy", "code"), [("allow", 0), ("refuse", 1)])
async def test_failure_policy_applies_to_unreadable_request(policy: str, code: int) -> None:
    """An unreadable request is not decided; with `on_failure` set to refuse it is refused."""
    async with open_scenario(guard={"on_failure": policy}) as scenario:
        odd = await scenario.stub.webhooks.trigger("Group.CallbackBeforeSendMsg", GroupId=LIGHTHOUSE, MsgBody="fog")
        assert (odd.answer or {})["ErrorCode"] == code
        assert scenario.adapter.guard.counts["failed"] == 1
