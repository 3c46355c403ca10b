"""Accounts in the state of the stub."""

import pytest

from tests.unit.worlds import ADMIN, DAY, Play

LOGIN = "im_open_login_svc"


def test_account_check_distinguishes_imported_accounts() -> None:
    play = Play()
    play.users("reader_1")
    reply = play.call("account_check", LOGIN, CheckItem=[{"UserID": "reader_1"}, {"UserID": "ghost"}])
    assert [item["AccountStatus"] for item in reply["ResultItem"]] == ["Imported", "NotImported"]
    assert [item["ResultCode"] for item in reply["ResultItem"]] == [0, 0]


def test_every_app_admin_is_an_account() -> None:
    play = Play(app={"admins": ["administrator", "second"]})
    reply = play.call("account_check", LOGIN, CheckItem=[{"UserID": ADMIN}, {"UserID": "second"}])
    assert [item["AccountStatus"] for item in reply["ResultItem"]] == ["Imported", "Imported"]


def test_older_name_of_the_user_field_is_accepted() -> None:
    play = Play()
    assert play.code("account_import", LOGIN, Identifier="reader_1") == 0
    assert play.code("kick", LOGIN, Identifier="reader_1") == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 70402),
        ({"UserID": 7}, 60015),
        ({"UserID": 7.5}, 60015),
        ({"UserID": None}, 70402),
        ({"UserID": ["a"]}, 70402),
        ({"UserID": ""}, 70402),
        ({"UserID": "x" * 32}, 0),
        ({"UserID": "x" * 33}, 70402),
        ({"UserID": "naïve"}, 70402),
        ({"UserID": "a\nb"}, 70402),
        ({"UserID": "a", "Nick": "汉" * 166}, 0),
        ({"UserID": "a", "Nick": "汉" * 167}, 40601),
        ({"UserID": "a", "FaceUrl": "x" * 501}, 40601),
        ({"UserID": "a", "Nick": 1}, 70402),
    ],
)
def test_account_import_has_documented_code(body: dict[str, object], code: int) -> None:
    assert Play().code("account_import", LOGIN, **body) == code


def test_multi_import_lists_failed_accounts() -> None:
    play = Play()
    reply = play.call("multiaccount_import", LOGIN, AccountList=[{"UserID": "a"}, {"UserID": "ä"}, {"UserID": "b"}])
    assert reply["FailAccounts"] == ["ä"]
    assert "FailAccounts" not in play.call("multiaccount_import", LOGIN, Accounts=["c", "d"])
    assert play.code("multiaccount_import", LOGIN, Accounts=[f"u{n}" for n in range(101)]) == 70206
    assert play.code("multiaccount_import", LOGIN, Accounts=[]) == 70206
    assert play.code("multiaccount_import", LOGIN) == 70402


def test_second_import_updates_the_profile() -> None:
    play = Play()
    play.call("account_import", LOGIN, UserID="a", Nick="Ann")
    play.call("account_import", LOGIN, UserID="a", FaceUrl="https://example.org/a.png")
    assert play.world.state.profiles["a"] == {
        "Tag_Profile_IM_Nick": "Ann",
        "Tag_Profile_IM_Image": "https://example.org/a.png",
    }


def test_deleted_account_leaves_groups_and_is_blocked_for_90_days() -> None:
    play = Play()
    play.channel("reader_1")
    reply = play.call("account_delete", LOGIN, DeleteItem=[{"UserID": "reader_1"}, {"UserID": "ghost"}])
    assert [item["ResultCode"] for item in reply["ResultItem"]] == [0, 70107]
    assert play.info()["MemberNum"] == 1
    assert play.code("account_import", LOGIN, UserID="reader_1") == 70399
    play.clock.advance(90 * DAY)
    assert play.code("account_import", LOGIN, UserID="reader_1") == 0


def test_app_admin_cannot_be_deleted() -> None:
    play = Play()
    reply = play.call("account_delete", LOGIN, DeleteItem=[{"UserID": ADMIN}])
    assert reply["ResultItem"][0]["ResultCode"] == 70402


def test_account_deletion_and_number_of_accounts_can_be_limited() -> None:
    play = Play(app={"account_deletion": False}, limits={"accounts_in_app": 2})
    assert play.code("account_delete", LOGIN, DeleteItem=[{"UserID": "a"}]) == 71000
    play.users("a")
    assert play.code("account_import", LOGIN, UserID="b") == 70398
    assert play.call("multiaccount_import", LOGIN, Accounts=["a", "b"])["FailAccounts"] == ["b"]


def test_online_status_lists_known_and_unknown_accounts() -> None:
    play = Play()
    play.users("a")
    reply = play.call("query_online_status", "openim", To_Account=["a", "ghost"])
    assert reply["QueryResult"] == [{"To_Account": "a", "Status": "Offline"}]
    assert reply["ErrorList"] == [{"To_Account": "ghost", "ErrorCode": 70107}]
    assert play.code("query_online_status", "openim") == 90003
    assert play.code("query_online_status", "openim", To_Account=[1]) == 60015
    assert play.code("query_online_status", "openim", To_Account=["a"] * 501) == 90011
    assert play.code("kick", LOGIN, UserID="ghost") == 70107
