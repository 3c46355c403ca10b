"""Events, questions and decisions of the golden webhooks, written by hand, for an adapter with the admin `root`."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.events import Platform
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Direction
from channel_adapter.domain.post import Post, PostRef, Text
from channel_adapter.domain.reaction import ReactionChange
from channel_adapter.domain.subscription import Role

LIGHTHOUSE = ChannelId("@TGS#_lighthouse")
GAZETTE = ChannelId("@TOA#_gazette")
ROOT, KEEPER, MATE, COOK, SAILOR, PIRATE = map(UserId, ("root", "keeper", "mate", "cook", "sailor", "pirate"))
FOG = (Text("fog"),)


def at(seconds: int, milliseconds: int = 0) -> datetime:
    """Return the time at this offset from 2025-01-04 14:13:20 UTC."""
    return datetime(2025, 1, 4, 14, 13, 20 + seconds, milliseconds * 1000, tzinfo=UTC)


def by_server(moment: datetime | None, by: UserId | None = ROOT, *, own: bool = True) -> dict[str, Any]:
    return {"at": moment, "platform": Platform.SERVER, "by": by, "own": own}


def by_hand(moment: datetime | None, platform: Platform, by: UserId | None = None) -> dict[str, Any]:
    return {"at": moment, "platform": platform, "by": by}


_FOG_LOST: dict[str, Any] = {
    "channel": LIGHTHOUSE,
    "author": KEEPER,
    "parts": FOG,
    "dedupe": 4294967295,
    "reason": e.Loss.VANISHED,
}
_REACTED: dict[str, Any] = {"channel": LIGHTHOUSE, "ref": PostRef(LIGHTHOUSE, 5)}
_GAZETTE: dict[str, Any] = {"channel": GAZETTE, "other_mode": True}

_SOUP: dict[str, Any] = {"account": MATE, "user": COOK, "channel": None}
_SOUP_KEY = "7_8_1736000013"

EVENTS: Mapping[str, e.Event] = {
    "C2C.CallbackAfterSendMsg": e.MessageReceived(
        **by_hand(at(13), Platform.IOS),
        **_SOUP,
        key=_SOUP_KEY,
        parts=(Text("soup?"),),
        sent_at=at(13),
        app_data="mood=grey",
    ),
    "C2C.CallbackAfterMsgReport": e.MessageRead(
        **by_hand(at(14), Platform.IOS), **_SOUP, direction=Direction.RECEIVED, until=at(13)
    ),
    "C2C.CallbackAfterMsgWithDraw": e.MessageRecalled(
        **by_hand(at(15), Platform.IOS), **_SOUP, direction=Direction.RECEIVED, key=_SOUP_KEY
    ),
    "C2C.CallbackAfterMsgReadReceipt": e.MessageRead(
        **by_hand(at(16), Platform.IOS, COOK),
        account=COOK,
        user=MATE,
        channel=None,
        direction=Direction.RECEIVED,
        keys=("7_8_1736000015",),
    ),
    "C2C.CallbackAfterModifyMsg": e.MessageEdited(
        **by_hand(at(17), Platform.IOS, MATE),
        account=COOK,
        user=MATE,
        channel=None,
        direction=Direction.RECEIVED,
        key="7_8_1736000015",
        parts=(Text("soup"),),
    ),
    "C2C.CallbackAfterMsgReadAll": e.AllRead(
        **by_hand(at(16), Platform.IOS),
        user=COOK,
        posts=(PostRef(LIGHTHOUSE, 5), PostRef(ChannelId("@TGS#_pier"), 31)),
    ),
    "Group.CallbackAfterCreateGroup": e.ChannelCreated(
        **by_server(at(0, 120)), channel=LIGHTHOUSE, name="Lighthouse", owner=KEEPER, users=(MATE,)
    ),
    "Group.CallbackAfterNewMemberJoin": e.Subscribed(
        **by_hand(at(2, 456), Platform.IOS, SAILOR), channel=LIGHTHOUSE, users=(SAILOR,)
    ),
    "Group.CallbackAfterNewMemberJoin.invited": e.Subscribed(
        **by_server(at(2, 456)), channel=LIGHTHOUSE, users=(SAILOR, COOK), invited=True
    ),
    "Group.CallbackAfterMemberExit": e.Unsubscribed(
        **by_hand(at(3, 1), Platform.WEB, SAILOR), channel=LIGHTHOUSE, users=(SAILOR,), reason=e.Departure.LEFT
    ),
    "Group.CallbackAfterMemberExit.kicked": e.Unsubscribed(
        **by_server(at(3, 50)), channel=LIGHTHOUSE, users=(PIRATE,), reason=e.Departure.REMOVED
    ),
    "Group.CallbackBeforeSendMsg": e.PostLost(**by_hand(at(4), Platform.WINDOWS, KEEPER), **_FOG_LOST),
    "Group.CallbackAfterSendMsg": e.PostPublished(
        **by_server(at(4, 111)),
        channel=LIGHTHOUSE,
        post=Post(ref=PostRef(LIGHTHOUSE, 5), author=KEEPER, published_at=at(4), parts=FOG, dedupe=77),
        app_data="mood=grey",
    ),
    "Group.CallbackSendMsgException": e.PostLost(
        **by_hand(at(5), Platform.MAC, SAILOR),
        channel=LIGHTHOUSE,
        author=SAILOR,
        parts=(Text("let me in"),),
        dedupe=79,
        reason=e.Loss.FAILED,
        code=10017,
        text="muted",
    ),
    "Group.CallbackAfterRecallMsg": e.PostRecalled(
        **by_hand(at(6), Platform.ANDROID, KEEPER),
        channel=LIGHTHOUSE,
        refs=(PostRef(LIGHTHOUSE, 5), PostRef(LIGHTHOUSE, 4)),
    ),
    "Group.CallbackAfterModifyMsg": e.PostEdited(
        **by_hand(at(6, 500), Platform.IOS, MATE),
        channel=LIGHTHOUSE,
        ref=PostRef(LIGHTHOUSE, 5),
        parts=(Text("thick fog"),),
    ),
    "Group.CallbackAfterGroupFull": e.ChannelFull(**by_server(at(7), None, own=False), channel=LIGHTHOUSE),
    "Group.CallbackAfterGroupDestroyed": e.ChannelDeleted(
        **by_server(at(8), None, own=False), channel=LIGHTHOUSE, name="Lighthouse", owner=KEEPER
    ),
    "Group.CallbackAfterGroupInfoChanged": e.ChannelChanged(
        **by_hand(at(9), Platform.WEB, KEEPER),
        channel=LIGHTHOUSE,
        name="Light",
        introduction="a tower",
        notification="closed on Mondays",
        avatar="https://example.com/tower.png",
    ),
    "Group.CallbackAfterMemberFieldChanged": e.RoleChanged(
        **by_server(at(10)), channel=LIGHTHOUSE, user=MATE, role=Role.ADMIN
    ),
    "Group.CallbackAfterMemberFieldChanged.2024": e.RoleChanged(
        **by_hand(at(10, 500), Platform.IOS, KEEPER), channel=LIGHTHOUSE, user=MATE, role=Role.SUBSCRIBER
    ),
    "Group.CallbackAfterChangeGroupOwner": e.OwnerChanged(
        **by_server(at(11)), channel=LIGHTHOUSE, old_owner=KEEPER, new_owner=MATE
    ),
    "Group.CallbackAfterGroupMsgExtension": e.ReactionChanged(
        **by_hand(at(12), Platform.ANDROID),
        **_REACTED,
        changes=(ReactionChange(SAILOR, ("👍",), 3, from_client=True),),
        version=4,
    ),
    "Group.CallbackAfterGroupMsgExtension.deleted": e.ReactionChanged(
        **by_hand(at(12, 100), Platform.ANDROID),
        **_REACTED,
        changes=(ReactionChange(SAILOR, (), 5, from_client=True),),
        version=5,
    ),
    "Group.CallbackAfterGroupMsgExtension.cleared": e.ReactionChanged(
        **by_server(at(12, 200), None, own=False), **_REACTED, changes=(), version=6, cleared=True
    ),
    "OfficialAccount.CallbackAfterCreateOfficialAccount": e.ChannelCreated(
        **by_server(at(20, 100)), **_GAZETTE, name="Harbour Gazette", owner=KEEPER
    ),
    "OfficialAccount.CallbackAfterOfficialAccountInfoChanged": e.ChannelChanged(
        **by_server(at(21)),
        **_GAZETTE,
        name="Gazette",
        introduction="what floats",
        avatar="https://example.com/g.png",
        organization="Harbour Board",
    ),
    "OfficialAccount.CallbackAfterOfficialAccountDestroyed": e.ChannelDeleted(
        **by_server(at(29), None, own=False), **_GAZETTE, name="Gazette", owner=KEEPER
    ),
    "OfficialAccount.CallbackAfterAddSubscriber": e.Subscribed(
        **by_hand(at(22, 100), Platform.IOS, SAILOR), **_GAZETTE, users=(SAILOR,)
    ),
    "OfficialAccount.CallbackAfterOfficialAccountFull": e.ChannelFull(**by_server(at(23), None, own=False), **_GAZETTE),
    "OfficialAccount.CallbackAfterDeleteSubscriber": e.Unsubscribed(
        **by_hand(at(24), Platform.ANDROID, SAILOR), **_GAZETTE, users=(SAILOR,), reason=e.Departure.LEFT
    ),
    "OfficialAccount.CallbackAfterSendMsg": e.PostPublished(
        **by_server(at(25, 100), None, own=False),
        **_GAZETTE,
        post=Post(ref=PostRef(GAZETTE, 41), author=None, published_at=at(25), parts=(Text("extra"),)),
        app_data="issue=1",
    ),
    "OfficialAccount.CallbackAfterMsgWithDraw": e.PostRecalled(
        **by_server(at(26), None, own=False), **_GAZETTE, refs=(PostRef(GAZETTE, 41),)
    ),
    "Alert.RequestOverLimit": e.RateAlarm(
        **by_server(None, None, own=False),
        service="group_open_http_svc",
        command="send_group_msg",
        calls=180,
        allowed=200,
    ),
}
"""By name of the file; what is not here is about no channel, and so Other."""

REQUESTS: Mapping[str, hooks.HookRequest] = {
    "C2C.CallbackBeforeSendMsg": hooks.MessageDraft(
        **by_hand(at(13), Platform.IOS),
        account=MATE,
        user=COOK,
        channel=None,
        direction=Direction.RECEIVED,
        parts=(Text("soup?"),),
        app_data="mood=grey",
    ),
    "Group.CallbackBeforeCreateGroup": hooks.CreateRequest(
        **by_hand(at(0, 1), Platform.ANDROID, KEEPER), name="Lighthouse", owner=KEEPER, users=(MATE, COOK)
    ),
    "Group.CallbackBeforeApplyJoinGroup": hooks.SubscribeRequest(
        **by_hand(at(1, 1), Platform.IPAD, SAILOR), channel=LIGHTHOUSE, users=(SAILOR,)
    ),
    "Group.CallbackBeforeInviteJoinGroup": hooks.SubscribeRequest(
        **by_server(at(1, 100)), channel=LIGHTHOUSE, users=(SAILOR, PIRATE), invited=True
    ),
    "Group.CallbackBeforeSendMsg": hooks.PostDraft(
        **by_hand(at(4), Platform.WINDOWS, KEEPER), channel=LIGHTHOUSE, author=KEEPER, parts=FOG, app_data="mood=grey"
    ),
    "OfficialAccount.CallbackBeforeCreateOfficialAccount": hooks.CreateRequest(
        **by_server(at(20)), name="Harbour Gazette", owner=KEEPER, other_mode=True
    ),
    "OfficialAccount.CallbackBeforeAddSubscriber": hooks.SubscribeRequest(
        **by_server(at(22)), **_GAZETTE, users=(SAILOR, PIRATE), invited=True
    ),
    "OfficialAccount.CallbackBeforeSendMsg": hooks.PostDraft(
        **by_server(at(25), None, own=False), **_GAZETTE, author=None, parts=(Text("extra"),), app_data="issue=1"
    ),
}

DECISIONS: Mapping[str, dict[str, hooks.HookResponse]] = {
    "*": {
        "allow": hooks.Allow(),
        "refuse": hooks.Refuse(),
        "drop": hooks.Drop(),
        "some": hooks.RefuseSome((PIRATE,)),
        "rewrite": hooks.Rewrite(Text("haze"), "mood=blue"),
    },
    "C2C.CallbackBeforeSendMsg": {"own_code": hooks.Refuse("the galley is closed", 120500)},
    "Group.CallbackBeforeCreateGroup": {"own_code": hooks.Refuse("ask the harbour master", 10100)},
    "Group.CallbackBeforeApplyJoinGroup": {"own_code": hooks.Refuse("crew only", 10200)},
    "Group.CallbackBeforeSendMsg": {"own_code": hooks.Refuse("no fog today", 10150)},
    "OfficialAccount.CallbackBeforeSendMsg": {"own_code": hooks.Refuse("no issue today", 120500)},
}
"""By name of the file, or for all, and by name of the answer there."""
