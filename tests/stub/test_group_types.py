"""Group types, webhooks and profile fields as third-party clients expect them, over raw HTTP."""

from typing import Any

import aiohttp
import pytest

from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world.clock import StubClock
from tests.stub.app_server import GROUP, App
from tests.stub.conftest import ACCOUNTS, GROUPS, IMPORT_MANY, Caller

COMMUNITIES = "million_group_open_http_svc"
LIVE_ROOMS = "group_open_avchatroom_http_svc"
OFFICIAL = "official_account_open_http_svc"
HARBOR = "@TOA#_harbor"
TEXT = [{"MsgType": "TIMTextElem", "MsgContent": {"Text": "x"}}]
ONLY_ADMINS_CHANGE = "modify_group_member_info"


@pytest.fixture
async def world(caller: Caller) -> Caller:
    """Return a caller of a stub with one group of each type; ann and ben are in all groups."""
    users = ("editor", "ann", "ben")
    await caller.must(IMPORT_MANY, {"AccountList": [{"UserID": user, "Nick": user.title()} for user in users]})
    members = [{"Member_Account": user} for user in users[1:]]
    for group_type, group_id in (("Community", GROUP), ("Public", "town"), ("AVChatRoom", "live")):
        group = {"Type": group_type, "GroupId": group_id, "Name": "n", "Owner_Account": "editor"}
        initial = [] if group_type == "AVChatRoom" else members
        await caller.must(f"{GROUPS}/create_group", {**group, "MemberList": initial})
    for user in users[1:]:
        caller.server.world.client(user).join("live")
    return caller


async def test_delete_subscriber_accepts_both_spellings(world: Caller) -> None:
    account = {"Official_Account": HARBOR}
    await world.must(
        f"{OFFICIAL}/create_official_account",
        {"Owner_Account": "editor", "OfficialAccountUserID": HARBOR, "Name": "Harbour"},
    )
    objects = [{"Subscriber_Account": "ann"}, {"Subscriber_Account": "ben"}]
    await world.must(f"{OFFICIAL}/add_subscriber", {**account, "SubscriberList": objects})
    for body, result in (
        ({"SubscriberList": objects[:1]}, [("ann", 1)]),
        ({"SubscriberToDel_Account": ["ann", "ben"]}, [("ann", 2), ("ben", 1)]),
        ({"SubscriberToDel_Account": ["ann"], "SubscriberList": objects}, [("ann", 2)]),
    ):
        answer = await world.must(f"{OFFICIAL}/delete_subscriber", {**account, **body})
        assert [(item["Subscriber_Account"], item["Result"]) for item in answer["SubscriberList"]] == result
    assert (await world.call(f"{OFFICIAL}/delete_subscriber", account))["ErrorCode"] == 6017


async def test_online_status_names_platforms_on_request(world: Caller) -> None:
    for platform in ("iOS", "Web"):
        world.server.world.client("ann", platform).login()
    asked = {"To_Account": ["ann", "ben"]}
    path = "openim/query_online_status"
    plain = [{"To_Account": "ann", "Status": "Online"}, {"To_Account": "ben", "Status": "Offline"}]
    assert (await world.must(path, asked))["QueryResult"] == plain
    assert (await world.must(path, {**asked, "IsNeedDetail": 0}))["QueryResult"] == plain
    detail = [{"Platform": "IPhone", "Status": "Online"}, {"Platform": "Web", "Status": "Online"}]
    assert (await world.must(path, {**asked, "IsNeedDetail": 1}))["QueryResult"] == [
        plain[0] | {"Detail": detail},
        plain[1],
    ]
    world.server.world.client("ann", "iOS").logout()
    assert (await world.must(path, {**asked, "IsNeedDetail": 1}))["QueryResult"][0]["Detail"] == detail[1:]
    await world.must(f"{ACCOUNTS}/kick", {"UserID": "ann"})
    assert (await world.must(path, {**asked, "IsNeedDetail": 1}))["QueryResult"][0] == {
        "To_Account": "ann",
        "Status": "Offline",
    }


async def test_after_send_webhook_contains_mentions(hooked: Caller, app: App) -> None:
    mentions = [{"GroupAtAllFlag": 0, "GroupAt_Account": "reader_1"}, {"GroupAtAllFlag": 1}]
    message = {"GroupId": GROUP, "From_Account": "editor", "MsgBody": TEXT}
    await hooked.must(f"{GROUPS}/send_group_msg", {**message, "Random": 1, "GroupAtInfo": mentions})
    await hooked.must(f"{GROUPS}/send_group_msg", {**message, "Random": 2})
    await hooked.server.webhooks.idle()
    with_mentions, without = app.bodies("Group.CallbackAfterSendMsg")
    assert with_mentions["GroupAtInfo"] == mentions
    assert "GroupAtInfo" not in without


async def test_after_create_webhook_lists_initial_members_without_owner(hooked: Caller, app: App) -> None:
    group = {"Type": "Community", "Name": "n", "Owner_Account": "editor"}
    initial = [{"Member_Account": "reader_1"}, {"Member_Account": "editor"}, {"Member_Account": "reader_1"}]
    await hooked.must(f"{GROUPS}/create_group", {**group, "GroupId": "@TGS#_a", "MemberList": initial})
    await hooked.must(f"{GROUPS}/create_group", {**group, "GroupId": "@TGS#_b"})
    await hooked.server.webhooks.idle()
    first, second = app.bodies("Group.CallbackAfterCreateGroup")
    assert (first["Owner_Account"], first["MemberList"]) == ("editor", [{"Member_Account": "reader_1"}])
    assert second["MemberList"] == []


NOT_FOR_LIVE_ROOMS: list[tuple[str, dict[str, Any]]] = [
    ("get_role_in_group", {"User_Account": ["ann"]}),
    ("change_group_owner", {"NewOwner_Account": "ann"}),
    ("import_group_member", {"MemberList": [{"Member_Account": "ann"}]}),
    ("import_group_msg", {"MsgList": [{"From_Account": "ann", "SendTime": 1, "Random": 1, "MsgBody": TEXT}]}),
    ("get_group_member_info", {"Limit": 10, "Offset": 0}),
    (ONLY_ADMINS_CHANGE, {"Member_Account": "ann", "NameCard": "Ann"}),
]


@pytest.mark.parametrize(("command", "body"), NOT_FOR_LIVE_ROOMS, ids=[name for name, _ in NOT_FOR_LIVE_ROOMS])
async def test_command_refuses_live_room(world: Caller, command: str, body: dict[str, Any]) -> None:
    refused = await world.call(f"{GROUPS}/{command}", {"GroupId": "live", **body})
    assert (refused["ErrorCode"], "AVChatRoom" in refused["ErrorInfo"]) == (10007, True)
    assert (await world.call(f"{GROUPS}/{command}", {"GroupId": "town", **body}))["ErrorCode"] == 0


async def test_live_room_cannot_be_imported(world: Caller) -> None:
    group = {"GroupId": "old", "Name": "n", "Owner_Account": "editor"}
    assert (await world.call(f"{GROUPS}/import_group", {**group, "Type": "AVChatRoom"}))["ErrorCode"] == 10007
    await world.must(f"{GROUPS}/import_group", {**group, "Type": "Public"})


async def test_owner_of_live_room_can_be_modified_as_member(world: Caller) -> None:
    body = {"GroupId": "live", "Member_Account": "editor", "NameCard": "Keeper"}
    await world.must(f"{GROUPS}/{ONLY_ADMINS_CHANGE}", body)


@pytest.mark.parametrize(("service", "right", "wrong"), [(COMMUNITIES, GROUP, "live"), (GROUPS, "live", GROUP)])
async def test_online_count_is_refused_for_other_type_of_group(
    world: Caller, service: str, right: str, wrong: str
) -> None:
    world.server.world.client("ann").login()
    path = f"{service}/get_online_member_num"
    assert (await world.must(path, {"GroupId": right}))["OnlineMemberNum"] == 1
    refused = await world.call(path, {"GroupId": wrong})
    assert (refused["ErrorCode"], COMMUNITIES in refused["ErrorInfo"]) == (10007, service == GROUPS)
    assert (await world.call(path, {"GroupId": "@TGS#_gone"}))["ErrorCode"] == 10010


@pytest.mark.parametrize("group", [GROUP, "live"])
async def test_list_of_online_members_is_newest_first_and_refuses_invalid_calls(world: Caller, group: str) -> None:
    path = f"{LIVE_ROOMS}/get_members"
    for user in ("ben", "ann"):
        world.server.world.client(user).login()
    answer = await world.must(path, {"GroupId": group, "Timestamp": 0})
    assert [item["Member_Account"] for item in answer["MemberList"]] == ["ben", "ann"]  # joined last, listed first
    assert answer["MemberList"][0].keys() == {"Member_Account", "JoinTime", "NickName", "Avatar"}
    assert (answer["MemberList"][0]["NickName"], answer["NextTimestamp"]) == ("Ben", 0)
    assert (await world.must(path, {"GroupId": group, "Timestamp": 0, "Mark": 1000}))["MemberList"] == []
    assert not world.server.world.unknown_fields
    for body, code in (
        ({"GroupId": group}, 10004),
        ({"GroupId": group, "Timestamp": -1}, 10004),
        ({"GroupId": "town", "Timestamp": 0}, 10007),
        ({"GroupId": "@TGS#_gone", "Timestamp": 0}, 10010),
    ):
        assert (await world.call(path, body))["ErrorCode"] == code


async def test_list_of_online_members_is_paged(world: Caller) -> None:
    play = world.server.world
    users = [f"reader_{number}" for number in range(1_002)]
    for user in users:
        play.state.add_account(user)
        reader = play.client(user)
        reader.join("live")
        reader.login()
    found, timestamp, calls = [], 0, 0
    while calls == 0 or timestamp:
        answer = await world.must(f"{LIVE_ROOMS}/get_members", {"GroupId": "live", "Timestamp": timestamp})
        found += [item["Member_Account"] for item in answer["MemberList"]]
        timestamp, calls = answer["NextTimestamp"], calls + 1
    assert (calls, found) == (2, users[:1:-1])


async def test_get_members_refuses_communities_if_disabled(session: aiohttp.ClientSession, clock: StubClock) -> None:
    settings = StubSettings().changed(behaviour={"get_members_on_community": False})
    async with StubServer(settings, clock=clock) as server:
        caller = Caller(server, session)
        await caller.must(f"{GROUPS}/create_group", {"Type": "Community", "Name": "n", "GroupId": GROUP})
        assert (await caller.call(f"{LIVE_ROOMS}/get_members", {"GroupId": GROUP, "Timestamp": 0}))[
            "ErrorCode"
        ] == 10007


async def test_msg_settings_is_profile_field_unless_disabled(world: Caller, session: aiohttp.ClientSession) -> None:
    tag = "Tag_Profile_IM_MsgSettings"
    written = {"From_Account": "ann", "ProfileItem": [{"Tag": tag, "Value": 1}]}
    await world.must("profile/portrait_set", written)
    answer = await world.must("profile/portrait_get", {"To_Account": ["ann"], "TagList": [tag]})
    assert answer["UserProfileItem"][0]["ProfileItem"] == [{"Tag": tag, "Value": 1}]
    async with StubServer(StubSettings().changed(behaviour={"profile_msg_settings": False})) as strict:
        caller = Caller(strict, session)
        await caller.must(IMPORT_MANY, {"AccountList": [{"UserID": "ann"}]})
        refused = await caller.call("profile/portrait_set", written)
        assert (refused["ErrorCode"], "profile-msg-settings" in refused["ErrorInfo"]) == (40009, True)
