"""Who may post, come, and make channels: asked by the service over a socket, answered in time."""

import asyncio
import time
from typing import Any

import pytest

from channel_adapter import Article, OutcomeKind, RefusedError, Text, UserId
from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.errors import ChannelAdapterError
from channel_adapter.stub.world.refusal import Refusal
from tests.webhooks.harbour import KEEPER, LIGHTHOUSE, MATE, SAILOR, Harbour, harbour, lighthouse

GROUPS = "group_open_http_svc"
OFFICIAL = "official_account_open_http_svc"
GAZETTE = "@TOA#_gazette"


async def post(sea: Harbour, user: str, body: str = "fog", **more: Any) -> int | None:
    """The code that the phone sees, None when it believes that all is well."""
    try:
        await sea.phone(user, "post", group_id=LIGHTHOUSE, body=body, **more)
    except Refusal as refusal:
        return refusal.code
    return None


async def join(sea: Harbour, user: str, group: str = LIGHTHOUSE) -> int | None:
    try:
        await sea.phone(user, "join", group_id=group)
    except Refusal as refusal:
        return refusal.code
    return None


async def said(sea: Harbour) -> list[str]:
    """What the channel says, oldest first."""
    await sea.settle()
    return [part.text for post in sea.heard if isinstance(post, e.PostPublished) for part in post.post.parts
            if isinstance(part, Text)]  # fmt: skip


async def unmuted(sea: Harbour) -> Harbour:
    """A channel whose posting somebody has opened by mistake, with two subscribers."""
    await lighthouse(sea)
    await sea.other.call(GROUPS, "modify_group_base_info", {"GroupId": LIGHTHOUSE, "MuteAllMember": "Off"})
    for user in (SAILOR, MATE):
        await sea.phone(user, "join", group_id=LIGHTHOUSE)
    await sea.settle()
    sea.heard.clear()
    return sea


async def role(sea: Harbour, user: str, name: str) -> None:
    member = {"GroupId": LIGHTHOUSE, "Member_Account": user, "Role": name}
    await sea.other.call(GROUPS, "modify_group_member_info", member)
    await sea.settle()


async def test_only_owner_and_admins_post() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        assert await post(sea, KEEPER) is None
        assert await post(sea, SAILOR) == 10016
        await role(sea, MATE, "Admin")
        assert await post(sea, MATE) is None
        await role(sea, MATE, "Member")
        assert await post(sea, MATE) == 10016, "the event of the demotion did not reach the cache"
        await sea.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": SAILOR})
        await sea.settle()
        assert (await post(sea, KEEPER), await post(sea, SAILOR)) == (10016, None)
        assert await said(sea) == ["fog"] * 3
        assert sea.adapter.guard.counts["refused"] == 3


async def test_role_is_read_once() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        for _ in range(5):
            assert await post(sea, KEEPER) is None
        assert len([call for call in sea.stub.log if call.command == "get_role_in_group"]) == 1


async def test_refused_author_is_read_once() -> None:
    """Else a flood of posts is a flood of calls, until there is no time left to refuse them."""
    async with harbour() as sea:
        await unmuted(sea)
        for _ in range(5):
            assert await post(sea, SAILOR) == 10016
        assert len([call for call in sea.stub.log if call.command == "get_role_in_group"]) == 1
        await role(sea, SAILOR, "Admin")
        assert await post(sea, SAILOR) is None, "the event of the promotion did not reach the cache"
        await role(sea, SAILOR, "Member")
        assert await post(sea, SAILOR) == 10016
        await sea.other.call(GROUPS, "change_group_owner", {"GroupId": LIGHTHOUSE, "NewOwner_Account": SAILOR})
        await sea.settle()
        assert await post(sea, SAILOR) is None


async def test_roles_of_many_authors_are_read_in_one_call() -> None:
    """The service answers 200 such questions a second, each about 500 people."""
    async with harbour() as sea:
        await unmuted(sea)
        ask: dict[str, Any] = {"GroupId": LIGHTHOUSE, "MsgBody": []}
        trigger = sea.stub.webhooks.trigger
        crowd = [f"stranger_{number}" for number in range(300)]
        asked = (trigger("Group.CallbackBeforeSendMsg", **ask, From_Account=name) for name in (*crowd, "x" * 99, ""))
        answers = await asyncio.gather(*asked)
        assert [(each.answer or {}).get("ErrorCode") for each in answers] == [1] * 302
        assert len([call for call in sea.stub.log if call.command == "get_role_in_group"]) < 100


async def test_every_user_may_post_if_the_settings_allow_it() -> None:
    async with harbour(guard={"only_staff_posts": False}) as sea:
        await unmuted(sea)
        assert await post(sea, SAILOR) is None


async def test_requests_about_other_groups_are_allowed() -> None:
    async with harbour(guard={"blocked": [SAILOR], "on_failure": "refuse"}) as sea:
        group = {"Type": "Community", "Name": "Quay", "GroupId": "@TGS#_quay", "ApplyJoinOption": "FreeAccess"}
        await sea.other.call(GROUPS, "create_group", group)
        asked: list[hooks.HookRequest] = []
        sea.adapter.guard.on(hooks.PostDraft)(asked.append)
        assert await join(sea, SAILOR, "@TGS#_quay") is None
        await sea.phone(SAILOR, "post", group_id="@TGS#_quay", body="ahoy")
        assert asked == []


async def test_closed_and_blocked() -> None:
    async with harbour(guard={"closed": ["lighthouse"], "blocked": [MATE]}) as sea:
        await lighthouse(sea)
        assert await join(sea, SAILOR) == 10016
        other = (await sea.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR])).outcomes
        assert [outcome.kind for outcome in other] == [OutcomeKind.REFUSED]
        own = (await sea.adapter.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])).outcomes
        assert [outcome.kind for outcome in own] == [OutcomeKind.ADDED, OutcomeKind.REFUSED]
        assert sea.adapter.guard.counts["partly"] == 1


async def test_a_cap_of_subscribers() -> None:
    async with harbour(guard={"caps": {"lighthouse": 2}}) as sea:
        await lighthouse(sea)
        people = [f"passenger_{number}" for number in range(4)]
        await sea.adapter.accounts.add(people)
        assert await join(sea, SAILOR) is None
        outcomes = (await sea.other.subscriptions.subscribe(LIGHTHOUSE, people)).outcomes
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ADDED, *[OutcomeKind.REFUSED] * 3]
        assert await join(sea, MATE) == 10016
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        assert await join(sea, MATE) is None


async def test_only_named_accounts_may_create_communities() -> None:
    async with harbour(guard={"creators": [KEEPER]}) as sea:
        with pytest.raises(ChannelAdapterError) as refused:
            await sea.other.channels.create(slug="quay", name="Quay", owner=KEEPER)
        assert refused.value.code == 10016
        await sea.adapter.channels.create(slug="lighthouse", name="Lighthouse", owner=KEEPER)
        await sea.other.call(GROUPS, "create_group", {"Type": "Public", "Name": "Dinghy"})


async def test_hooks_rewrite_one_after_the_other() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        asked: list[hooks.PostDraft] = []

        @sea.adapter.guard.on(hooks.PostDraft)
        async def calm(draft: hooks.PostDraft) -> hooks.HookResponse | None:
            asked.append(draft)
            return hooks.Rewrite(Text("haze"), app_data="mood=blue") if draft.parts == (Text("fog"),) else None

        @sea.adapter.guard.on(hooks.PostDraft)
        def shout(draft: hooks.PostDraft) -> hooks.HookResponse:
            asked.append(draft)
            (part,) = draft.parts
            assert isinstance(part, Text)
            return hooks.Rewrite(Text(part.text.upper()))

        assert await post(sea, KEEPER, "fog") is None
        assert await said(sea) == ["HAZE"]
        published = await sea.until(e.PostPublished)
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
async def test_a_hook_refuses_or_drops(decision: hooks.HookResponse, code: int | None, outcome: str) -> None:
    async with harbour(webhooks={"lost_after_seconds": 0.1}) as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: decision)
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: pytest.fail("the first refusal should have ended it"))
        assert await post(sea, KEEPER) == code
        assert await said(sea) == []
        assert sea.adapter.guard.counts[outcome] == 1
        await asyncio.sleep(0.3)
        assert await sea.settle() == [], "what the guard held back is not lost"


async def test_hooks_for_subscriptions_and_creations() -> None:
    async with harbour() as sea:
        await lighthouse(sea)

        @sea.adapter.guard.on(hooks.SubscribeRequest)
        def only_sailors(request: hooks.SubscribeRequest) -> hooks.HookResponse:
            return hooks.RefuseSome(tuple(user for user in request.users if user != SAILOR))

        @sea.adapter.guard.on(hooks.CreateRequest)
        def nothing_new(request: hooks.CreateRequest) -> hooks.HookResponse:
            return hooks.Refuse(f"no {request.name}", 10101)

        assert await join(sea, SAILOR) is None
        assert await join(sea, MATE) == 10016
        with pytest.raises(RefusedError) as refused:
            await sea.other.channels.create(slug="quay", name="Quay", owner=KEEPER)
        assert refused.value.code == 10101
        assert "no Quay" in str(refused.value)


async def test_official_accounts_are_guarded_too() -> None:
    async with harbour(guard={"blocked": [MATE]}) as sea:
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await sea.other.call(OFFICIAL, "create_official_account", made)
        sea.adapter.guard.on(hooks.PostDraft, other_mode=True)(
            lambda draft: hooks.Rewrite(Article(title=draft.channel))
        )
        sea.adapter.guard.on(hooks.CreateRequest, other_mode=True)(lambda _: hooks.Refuse("", 10150))
        subscribers = {"Official_Account": GAZETTE,
                       "SubscriberList": [{"Subscriber_Account": SAILOR}, {"Subscriber_Account": MATE}]}  # fmt: skip
        answer = await sea.other.call(OFFICIAL, "add_subscriber", subscribers)
        assert [item["Result"] for item in answer["SubscriberList"]] == [1, 0]
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]
        message = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": text}
        await sea.other.call(OFFICIAL, "send_official_account_msg", message)
        assert (await sea.until(e.PostPublished)).post.parts == (Article(title=GAZETTE),)
        with pytest.raises(ChannelAdapterError) as refused:
            await sea.other.call(OFFICIAL, "create_official_account", {"Owner_Account": KEEPER, "Name": "Second"})
        assert refused.value.code == 20006


async def test_hooks_without_other_mode_are_not_called_for_official_accounts() -> None:
    async with harbour() as sea:
        sea.adapter.guard.on(hooks.HookRequest)(lambda _: hooks.Refuse("not here"))
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await sea.other.call(OFFICIAL, "create_official_account", made)
        with pytest.raises(RefusedError, match="not here"):
            await sea.other.channels.create(slug="quay", name="Quay", owner=KEEPER)


@pytest.mark.parametrize(("policy", "code"), [("allow", None), ("refuse", 10016)])
async def test_a_hook_that_takes_too_long(policy: str, code: int | None) -> None:
    async with harbour(guard={"budget_seconds": 0.1, "on_failure": policy}) as sea:
        await unmuted(sea)
        cancelled = asyncio.Event()

        @sea.adapter.guard.on(hooks.PostDraft)
        async def think(_: hooks.PostDraft) -> None:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.set()

        began = time.monotonic()
        assert await post(sea, KEEPER) == code
        assert time.monotonic() - began < 30
        assert sea.adapter.guard.counts["late"] == 1
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
async def test_a_hook_that_fails(policy: str, code: int | None, hook: Any) -> None:
    async with harbour(guard={"on_failure": policy}) as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(hook)
        assert await post(sea, KEEPER) == code
        assert sea.adapter.guard.counts["failed"] == 1


@pytest.mark.parametrize("policy", ["allow", "refuse"])
@pytest.mark.parametrize(
    "hook",
    [lambda _: hooks.Refuse("", 7), lambda _: hooks.Refuse(10150), lambda _: hooks.Refuse("", "10150")],  # type: ignore[arg-type]
    ids=["foreign code", "code as text", "text as code"],
)
async def test_refusal_that_cannot_be_made_is_a_refusal(
    policy: str, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with harbour(guard={"on_failure": policy}) as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(hook)
        assert await post(sea, KEEPER) == 10016
        assert sea.adapter.guard.counts["refused"] == 1
    (record,) = [each for each in caplog.records if "webhooks.guard_refusal_invalid" in each.getMessage()]
    assert record.levelname == "ERROR"
    assert "test_guard.py" in record.getMessage()


async def test_code_of_another_kind_of_question_is_a_refusal_without_it(caplog: pytest.LogCaptureFixture) -> None:
    async with harbour() as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Refuse("no", 120_500))
        assert await post(sea, KEEPER) == 10016
        assert "webhooks.guard_code_not_sent" in caplog.text
        caplog.clear()
        sea.adapter.guard.on(hooks.PostDraft, other_mode=True)(lambda _: hooks.Refuse("no issue today", 120_500))
        made = {"Owner_Account": KEEPER, "OfficialAccountUserID": GAZETTE, "Name": "Gazette"}
        await sea.other.call(OFFICIAL, "create_official_account", made)
        text = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "extra"}}]
        message = {"Official_Account": GAZETTE, "Random": 1, "MsgBody": text}
        with pytest.raises(ChannelAdapterError, match="no issue today") as refused:
            await sea.other.call(OFFICIAL, "send_official_account_msg", message)
        assert refused.value.code == 120_500
        assert "webhooks.guard_code_not_sent" not in caplog.text


async def test_refusal_with_half_a_character_in_its_text_is_a_refusal() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Refuse("no \ud83d today", 10150))
        assert await post(sea, KEEPER) == 10150


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
async def test_request_without_a_required_field_is_not_decided(
    policy: str, code: int, command: str, without: str
) -> None:
    async with harbour(guard={"on_failure": policy}) as sea:
        about = (
            {"GroupId": LIGHTHOUSE} if command.startswith("Group.CallbackBefore") and "Create" not in command else {}
        )
        odd = await sea.stub.webhooks.trigger(command, {**about, without: None})
        assert (odd.answer or {})["ErrorCode"] == code
        assert sea.adapter.guard.counts["failed"] == 1


@pytest.mark.parametrize(
    ("hook", "outcome"),
    [
        (lambda _: 1 / 0, "failed"),
        (lambda _: hooks.Rewrite(Text("welcome")), "failed"),
        (lambda _: asyncio.sleep(60), "late"),
    ],
    ids=["raises", "of another question", "hangs"],
)
async def test_failing_hook_admits_no_user_whom_the_settings_refuse(hook: Any, outcome: str) -> None:
    async with harbour(guard={"blocked": [MATE], "budget_seconds": 0.2, "on_failure": "allow"}) as sea:
        await lighthouse(sea)
        sea.adapter.guard.on(hooks.SubscribeRequest)(hook)
        outcomes = (await sea.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE])).outcomes
        assert [each.kind for each in outcomes] == [OutcomeKind.ADDED, OutcomeKind.REFUSED]
        assert sea.adapter.guard.counts[outcome] == 1


async def test_response_of_a_hook_stays_when_the_next_one_fails() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Rewrite(Text("haze")))
        sea.adapter.guard.on(hooks.PostDraft)(lambda _: hooks.Rewrite(Text("x" * 20_000)))
        assert await post(sea, KEEPER, "fog") is None
        assert await said(sea) == ["haze"]


async def test_each_hook_gets_the_remaining_users() -> None:
    async with harbour() as sea:
        await lighthouse(sea)
        asked: list[tuple[UserId, ...]] = []

        @sea.adapter.guard.on(hooks.SubscribeRequest)
        def not_the_first(request: hooks.SubscribeRequest) -> hooks.HookResponse:
            asked.append(request.users)
            return hooks.RefuseSome(request.users[:1])

        sea.adapter.guard.on(hooks.SubscribeRequest)(not_the_first)
        outcomes = (await sea.other.subscriptions.subscribe(LIGHTHOUSE, [SAILOR, MATE, KEEPER])).outcomes
        assert asked[0] == (SAILOR, MATE, *asked[0][2:])
        assert asked[1] == asked[0][1:]
        assert [each.kind for each in outcomes][:2] == [OutcomeKind.REFUSED] * 2


async def test_hook_for_every_request() -> None:
    async with harbour() as sea:
        await unmuted(sea)
        asked: list[type[hooks.HookRequest]] = []
        sea.adapter.guard.on(hooks.HookRequest)(lambda question: asked.append(type(question)))
        await post(sea, KEEPER)
        await sea.phone(SAILOR, "leave", group_id=LIGHTHOUSE)
        await join(sea, SAILOR)
        assert asked == [hooks.PostDraft, hooks.SubscribeRequest]


@pytest.mark.parametrize("kind", [e.Subscribed, hooks.Refuse, "PostDraft", None])
async def test_hook_for_what_is_no_request_is_refused(kind: Any) -> None:
    async with harbour() as sea:
        with pytest.raises(TypeError, match="is no question"):
            sea.adapter.guard.on(kind)


def test_one_text_is_no_tuple_of_users() -> None:
    with pytest.raises(TypeError, match="one text"):
        hooks.RefuseSome(KEEPER)  # type: ignore[arg-type]


async def test_failure_of_a_hook_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async with harbour() as sea:
        await unmuted(sea)

        def fails(_: hooks.PostDraft) -> hooks.HookResponse:
            raise LookupError("no mood called blue, nor usersig=eJwtzEELgjAY")

        sea.adapter.guard.on(hooks.PostDraft)(fails)
        await post(sea, KEEPER)
        (record,) = [each for each in caplog.records if "webhooks.guard_undecided" in each.getMessage()]
        assert record.levelname == "ERROR"
        assert "LookupError" in record.getMessage()
        assert "no mood called blue" in record.getMessage()
        assert "in fails" in record.getMessage()
        assert "eJwtzEELgjAY" not in caplog.text


@pytest.mark.parametrize(("policy", "code"), [("allow", None), ("refuse", 10016)])
async def test_a_service_that_does_not_answer_in_time(policy: str, code: int | None) -> None:
    """The guard's own questions to the service have the same budget."""
    async with harbour(guard={"budget_seconds": 0.2, "on_failure": policy}) as sea:
        await unmuted(sea)
        sea.stub.app.latency.set(5.0)
        began = time.monotonic()
        assert await post(sea, SAILOR) == code
        assert time.monotonic() - began < 4.9
        sea.stub.app.latency.set(0.0)
        assert sea.adapter.guard.counts["late"] == 1


async def test_requests_about_no_channel_are_allowed() -> None:
    async with harbour(guard={"on_failure": "refuse"}) as sea:
        for command in ("Group.CallbackBeforeCreateTopic", "Group.CallbackBeforeSomethingNew"):
            assert (await sea.stub.webhooks.trigger(command)).answer == {
                "ActionStatus": "OK", "ErrorCode": 0, "ErrorInfo": "",
            }  # fmt: skip


@pytest.mark.parametrize(("policy", "code"), [("allow", 0), ("refuse", 1)])
async def test_unreadable_requests_are_not_decided(policy: str, code: int) -> None:
    """Not understood is not decided: whoever wants to be careful does not let it pass."""
    async with harbour(guard={"on_failure": policy}) as sea:
        odd = await sea.stub.webhooks.trigger("Group.CallbackBeforeSendMsg", GroupId=LIGHTHOUSE, MsgBody="fog")
        assert (odd.answer or {})["ErrorCode"] == code
        assert sea.adapter.guard.counts["failed"] == 1
