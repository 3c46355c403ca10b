"""Rows of the commands about accounts, profiles, conversations and official accounts."""

from typing import Any

from tests.stub.documented.case import (
    ACCOUNTS,
    ANN,
    BEN,
    CONTACTS,
    GONE,
    HARBOUR,
    MESSAGES,
    NEWS,
    NOBODY,
    OFFICIAL,
    OWNER,
    PROFILES,
    Case,
    text,
)
from tests.stub.documented.groups import REFUSES

TAG = "Tag_Profile_IM_Nick"


def profile(code: int, tag: str, value: Any) -> Case:
    """Return a row that sets one profile field of ann."""
    return Case(f"{PROFILES}/portrait_set", code, {"From_Account": ANN, "ProfileItem": [{"Tag": tag, "Value": value}]})


ACCOUNT_CASES = [
    Case(f"{ACCOUNTS}/account_import", 40601, {"UserID": ANN, "Nick": "x" * 501}),
    Case(f"{ACCOUNTS}/account_import", 70398, {"UserID": "cy"}, settings={"limits": {"accounts_in_app": 1}}),
    Case(
        f"{ACCOUNTS}/account_import",
        70399,
        {"UserID": BEN},
        given=((f"{ACCOUNTS}/account_delete", {"DeleteItem": [{"UserID": BEN}]}),),
    ),
    Case(f"{ACCOUNTS}/account_import", 70402, {"UserID": "x" * 33}),
    Case(f"{ACCOUNTS}/multiaccount_import", 70402, {}),
    Case(f"{ACCOUNTS}/account_check", 70402, {}),
    Case(f"{ACCOUNTS}/account_delete", 70402, {}),
    Case(f"{ACCOUNTS}/account_delete", 70107, {"DeleteItem": [{"UserID": NOBODY}]}, item=True),
    Case(
        f"{ACCOUNTS}/account_delete",
        71000,
        {"DeleteItem": [{"UserID": ANN}]},
        settings={"app": {"account_deletion": False}},
    ),
    Case(f"{MESSAGES}/query_online_status", 70107, {"To_Account": [NOBODY]}, item=True),
    Case(f"{PROFILES}/portrait_set", 40001, {"From_Account": ANN, "ProfileItem": []}),
    Case(f"{PROFILES}/portrait_set", 40003, {"From_Account": NOBODY, "ProfileItem": [{"Tag": TAG, "Value": "n"}]}),
    profile(40009, "Tag_Profile_IM_Shoe", "n"),
    profile(40601, TAG, "x" * 501),
    profile(40605, "Tag_Profile_IM_Gender", "n"),
    profile(40610, TAG, 5),
    Case(f"{PROFILES}/portrait_get", 40001, {"To_Account": [ANN], "TagList": []}),
    Case(f"{PROFILES}/portrait_get", 40002, {"TagList": [TAG]}),
    Case(f"{PROFILES}/portrait_get", 40003, {"To_Account": [NOBODY], "TagList": [TAG]}, item=True),
    Case(f"{PROFILES}/portrait_get", 40009, {"To_Account": [ANN], "TagList": ["Tag_Profile_IM_Shoe"]}),
]

NEWS_ITEM = {"Type": 2, "ToGroupId": NEWS}
BEN_ITEM = {"Type": 1, "To_Account": BEN}
GONE_ITEM = {"Type": 2, "ToGroupId": GONE}


def create(*items: dict[str, Any], name: str = "Second") -> dict[str, Any]:
    """Return the body that creates a conversation group."""
    return {"GroupContactItem": [{"GroupName": name, "ContactItem": list(items)}]}


def change(*items: dict[str, Any], name: str = "Channels") -> dict[str, Any]:
    """Return the body that adds to a conversation group."""
    updates = [{"ContactOptType": 1, "ContactItem": item} for item in items]
    update = {"UpdateGroupType": 2, "OldGroupName": name, "ContactUpdateItem": updates}
    return {"UpdateType": 1, "UpdateGroup": update}


def rename(new: str) -> dict[str, Any]:
    return {
        "UpdateType": 1,
        "UpdateGroup": {"UpdateGroupType": 1, "OldGroupName": "Channels", "NewGroupName": new},
    }


def mark(*items: dict[str, Any]) -> dict[str, Any]:
    return {"MarkItem": [{"OptType": 1, "ContactItem": item, "SetMark": [0]} for item in items]}


PAGE = {"TimeStamp": 0, "StartIndex": 0, "TopTimeStamp": 0, "TopStartIndex": 0, "AssistFlags": 63}
OF_A_USER: dict[str, dict[str, Any]] = {  # valid bodies except for From_Account
    "create_contact_group": create(NEWS_ITEM),
    "update_contact_group": change(BEN_ITEM),
    "del_contact_group": {"GroupName": ["Channels"]},
    "mark_contact": mark(NEWS_ITEM),
    "search_contact_group": {"ContactItem": [NEWS_ITEM]},
    "get_contact_group": {"StartIndex": 0},
    "get_list": PAGE,
    "delete": {"Type": 2, "ToGroupid": NEWS},
}
MALFORMED: dict[str, dict[str, Any]] = {  # in each of the others a field is missing
    "get_contact_group": {"StartIndex": -1},
    "get_list": {**PAGE, "TimeStamp": -1},
}
ONE_IN_ALL = {"limits": {"grouped_conversations": 1}}
NO_GROUPS = {"app": {"conversation_groups": False}}
CONTACT_CASES = [
    *(Case(f"{CONTACTS}/{name}", 50001, {"From_Account": NOBODY, **body}) for name, body in OF_A_USER.items()),
    *(Case(f"{CONTACTS}/{name}", 50002, {"From_Account": ANN, **MALFORMED.get(name, {})}) for name in OF_A_USER),
    *(
        Case(f"{CONTACTS}/{name}", code, {"From_Account": ANN, **body}, item=code == 51007, settings=settings)
        for name, code, body, settings in (
            ("create_contact_group", 51006, create(), {}),
            ("create_contact_group", 51007, create(GONE_ITEM), {}),
            ("create_contact_group", 51008, create(BEN_ITEM), ONE_IN_ALL),
            ("create_contact_group", 51010, create(BEN_ITEM), {"limits": {"contact_groups": 1}}),
            ("create_contact_group", 51011, create(BEN_ITEM, name="x" * 33), {}),
            ("create_contact_group", 51013, create(BEN_ITEM), NO_GROUPS),
            ("update_contact_group", 51006, change(), {}),
            ("update_contact_group", 51007, change(GONE_ITEM), {}),
            ("update_contact_group", 51008, change(BEN_ITEM), ONE_IN_ALL),
            ("update_contact_group", 51009, change(BEN_ITEM, name="Third"), {}),
            ("update_contact_group", 51011, rename("x" * 33), {}),
            ("update_contact_group", 51013, change(BEN_ITEM), NO_GROUPS),
            ("del_contact_group", 51009, {"GroupName": ["Third"]}, {}),
            ("del_contact_group", 51013, {"GroupName": ["Channels"]}, NO_GROUPS),
            ("mark_contact", 51006, mark(), {}),
            ("mark_contact", 51008, mark(NEWS_ITEM, BEN_ITEM), ONE_IN_ALL),
            ("mark_contact", 51013, mark(NEWS_ITEM), NO_GROUPS),
        )
    ),
]

CREATE = {"OfficialAccountUserID": "@TOA#_second", "Owner_Account": OWNER, "Name": "Second"}
BROADCAST = {"Random": 1, "MsgBody": text()}
SWITCHED_OFF = {"app": {"official_accounts": False}}
ON_AN_ACCOUNT: dict[str, dict[str, Any]] = {  # valid bodies except for Official_Account
    "destroy_official_account": {},
    "modify_official_account_base_info": {"Name": "New"},
    "add_subscriber": {"SubscriberList": [{"Subscriber_Account": BEN}]},
    "delete_subscriber": {"SubscriberToDel_Account": [ANN]},
    "get_subscriber_info": {"Limit": 10, "Next": ""},
    "modify_subscriber_info": {"Subscriber_Account": ANN, "CustomString": "x"},
}
MESSAGES_OF_AN_ACCOUNT: dict[str, dict[str, Any]] = {
    "send_official_account_msg": BROADCAST,
    "official_account_msg_get_simple": {"ReqMsgNumber": 5},
    "official_account_msg_recall": {"MsgKeyList": ["1_1_1"]},
}
LIST_PATH = f"{OFFICIAL}/get_subscribed_official_account_list"
ADD_PATH = f"{OFFICIAL}/add_subscriber"
ANN_ITEM = {"Subscriber_Account": ANN}
BEN_TOO = {"SubscriberList": [{"Subscriber_Account": BEN}]}
REFUSED_AS_A_CALL = {"behaviour": {"official_refusal": "call"}}
SMALL = (
    (f"{OFFICIAL}/create_official_account", {**CREATE, "MaxSubscriberNum": 1}),
    (ADD_PATH, {"Official_Account": "@TOA#_second", "SubscriberList": [ANN_ITEM]}),
)
OFFICIAL_CASES = [
    *(
        Case(f"{OFFICIAL}/{name}", code, {"Official_Account": account, **body}, settings=settings)
        for name, body in ON_AN_ACCOUNT.items()
        for code, account, settings in (
            (130004, "@TOA#_gone", {}),
            (130007, "harbour", {}),
            (131000, HARBOUR, SWITCHED_OFF),
        )
    ),
    *(Case(f"{OFFICIAL}/{name}", 6017, {"Official_Account": {}, **body}) for name, body in ON_AN_ACCOUNT.items()),
    *(
        Case(f"{OFFICIAL}/{name}", code, {"Official_Account": account, **body})
        for name, body in MESSAGES_OF_AN_ACCOUNT.items()
        for code, account in ((10004, {}), (10010, "@TOA#_gone"))
    ),
    Case(
        f"{OFFICIAL}/modify_subscriber_info",
        131003,
        {"Official_Account": HARBOUR, "Subscriber_Account": BEN, "CustomString": "x"},
    ),
    Case(f"{OFFICIAL}/create_official_account", 6017, {**CREATE, "Name": "x" * 151}),
    Case(f"{OFFICIAL}/create_official_account", 20006, CREATE, app_says=REFUSES),
    Case(f"{OFFICIAL}/create_official_account", 130002, {**CREATE, "Owner_Account": NOBODY}),
    Case(f"{OFFICIAL}/create_official_account", 130007, {**CREATE, "OfficialAccountUserID": "@TOA#_@TOA#x"}),
    Case(f"{OFFICIAL}/create_official_account", 130008, {**CREATE, "OfficialAccountUserID": HARBOUR}),
    Case(f"{OFFICIAL}/create_official_account", 131000, CREATE, settings=SWITCHED_OFF),
    Case(f"{OFFICIAL}/create_official_account", 130010, CREATE, settings={"limits": {"official_accounts_in_app": 1}}),
    Case(ADD_PATH, 130005, {"Official_Account": HARBOUR, "SubscriberList": [ANN_ITEM]}, settings=REFUSED_AS_A_CALL),
    Case(ADD_PATH, 130006, {"Official_Account": "@TOA#_second", **BEN_TOO}, given=SMALL, settings=REFUSED_AS_A_CALL),
    Case(
        ADD_PATH,
        130010,
        {"Official_Account": HARBOUR, **BEN_TOO},
        given=(SMALL[0], (ADD_PATH, {"Official_Account": "@TOA#_second", **BEN_TOO})),
        settings={**REFUSED_AS_A_CALL, "limits": {"official_subscriptions_of_user": 1}},
    ),
    Case(
        f"{OFFICIAL}/official_account_msg_recall",
        130009,
        {"Official_Account": HARBOUR, "MsgKeyList": ["1_1_1"]},
        settings={"app": {"official_recall": False}},
    ),
    Case(f"{OFFICIAL}/get_official_account_info", 6017, {"OfficialAccountIdList": []}),
    *(
        Case(
            f"{OFFICIAL}/get_official_account_info",
            code,
            {"OfficialAccountIdList": [{"Official_Account": account}]},
            item=True,
        )
        for code, account in ((130004, "@TOA#_gone"), (130007, "harbour"))
    ),
    Case(
        f"{OFFICIAL}/get_official_account_info",
        131000,
        {"OfficialAccountIdList": [{"Official_Account": HARBOUR}]},
        settings=SWITCHED_OFF,
    ),
    Case(LIST_PATH, 6017, {"Subscriber_Account": ANN, "Limit": 0}),
    Case(LIST_PATH, 131000, {"Subscriber_Account": ANN}, settings=SWITCHED_OFF),
    Case(f"{OFFICIAL}/send_official_account_msg", 10016, {"Official_Account": HARBOUR, **BROADCAST}, app_says=REFUSES),
    Case(
        f"{OFFICIAL}/official_account_msg_recall",
        10030,
        {"Official_Account": HARBOUR, "MsgKeyList": ["9_1_1"]},
        item=True,
    ),
]
CASES = [*ACCOUNT_CASES, *CONTACT_CASES, *OFFICIAL_CASES]
