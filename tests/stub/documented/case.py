"""One row: the state, the settings, the call, and the code of its answer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUPS = "group_open_http_svc"
ATTRIBUTES = "group_open_attr_http_svc"
TOPICS = "million_group_open_http_svc"
MESSAGES = "openim"
EXTENSIONS = "openim_msg_ext_http_svc"
CONTACTS = "recentcontact"
OFFICIAL = "official_account_open_http_svc"
ACCOUNTS = "im_open_login_svc"
PROFILES = "profile"

NOW = 1_770_000_000
NEWS, TOWN, LIVE, CIRCLE = "@TGS#_news", "town", "live", "circle"  # Community, Public, AVChatRoom, Private
HARBOUR = "@TOA#_harbour"
OWNER, ANN, BEN, NOBODY = "editor", "ann", "ben", "nobody"
GONE = "@TGS#_gone"
ITEM_CODES = ("ErrorCode", "ResultCode", "RetCode", "Result", "Code")

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Case:
    """`path` (service/command) with `body` is answered with `code` after the calls in `given` have succeeded.

    `item`: the call succeeds, and one of its items has the code. `settings`: sections of the stub's settings.
    `app_says`: answer of the app's webhook before the call. `fault`: why only a fault can return the code.
    """

    path: str
    code: int
    body: Mapping[str, Any]
    item: bool = False
    given: tuple[Call, ...] = ()
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    app_says: Mapping[str, Any] | None = None
    fault: str | None = None

    def __str__(self) -> str:
        return f"{self.path}-{self.code}"


def text(words: str = "tide table") -> list[dict[str, Any]]:
    """Return a MsgBody of one text."""
    return [{"MsgType": "TIMTextElem", "MsgContent": {"Text": words}}]


def message(random: int, group: str = NEWS, **fields: Any) -> Call:
    """Return a call that sends a message of the owner."""
    return f"{GROUPS}/send_group_msg", {
        "GroupId": group,
        "From_Account": OWNER,
        "Random": random,
        "MsgBody": text(),
        **fields,
    }


def standard() -> Iterator[Call]:
    """Yield the calls that make the initial state of every row."""
    users = [{"UserID": user} for user in (OWNER, ANN, BEN)]
    yield f"{ACCOUNTS}/multiaccount_import", {"AccountList": users}
    for group, kind in ((NEWS, "Community"), (TOWN, "Public"), (LIVE, "AVChatRoom"), (CIRCLE, "Private")):
        members = [] if kind == "AVChatRoom" else [{"Member_Account": ANN}]
        new = {"Type": kind, "GroupId": group, "Name": "Harbour", "Owner_Account": OWNER, "MemberList": members}
        yield f"{GROUPS}/create_group", new
    yield message(1, SupportMessageExtension=1)
    yield message(2)
    account = {"OfficialAccountUserID": HARBOUR, "Owner_Account": OWNER, "Name": "Harbour"}
    yield f"{OFFICIAL}/create_official_account", account
    yield f"{OFFICIAL}/add_subscriber", {"Official_Account": HARBOUR, "SubscriberList": [{"Subscriber_Account": ANN}]}
    filed = {"GroupName": "Channels", "ContactItem": [{"Type": 2, "ToGroupId": NEWS}]}
    yield f"{CONTACTS}/create_contact_group", {"From_Account": ANN, "GroupContactItem": [filed]}


def codes_of_items(answer: Any) -> Iterator[int]:
    """Yield every code below the envelope of an answer."""
    for value in answer.values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict):
                yield from (item[known] for known in ITEM_CODES if isinstance(item.get(known), int))
                yield from codes_of_items(item)
