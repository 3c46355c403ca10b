"""Pytest plugin in a project that has installed the package: pytest runs in processes of its own."""

import subprocess
import sys
from textwrap import dedent

import pytest

pytest_plugins = ["pytester"]

RAW = """
import json
import urllib.request
import TLSSigAPIv2

IMPORT = "im_open_login_svc/account_import"

def post(server, command, body, **more):
    signature = TLSSigAPIv2.TLSSigAPIv2(server.sdkappid, server.key).gen_sig(server.admin)
    query = f"sdkappid={server.sdkappid}&identifier={server.admin}&usersig={signature}"
    request = urllib.request.Request(f"{server.url}/v4/{command}?{query}", json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=10, **more) as answer:
        return json.load(answer)["ErrorCode"]
"""
INI = "asyncio_default_fixture_loop_scope = function\nfilterwarnings = error\n"
MISSES = """
    import pytest
    from raw import *

    def test_nothing(stub):
        stub.assert_called("send_group_msg", group_id="@TGS#_news")

    def test_other_fields(stub, stub_server):
        post(stub_server, IMPORT, {"UserID": "ann"})
        stub.assert_called("account_import", user_id="bob", nick="Bo")

    def test_other_command(stub, stub_server):
        post(stub_server, IMPORT, {"UserID": "x" * 500})
        stub.assert_called("account_imports")

    def test_far_off(stub, stub_server):
        post(stub_server, IMPORT, {"UserID": "ann"})
        stub.assert_called("zzz")

    def test_times(stub, stub_server):
        for user in "ann", "bob":
            post(stub_server, IMPORT, {"UserID": user})
        stub.assert_called("account_import", times=2)
        stub.assert_called("account_import", times=1, user_id="bob")
        stub.assert_called("account_import", times=3)

    def test_not_called(stub, stub_server):
        post(stub_server, IMPORT, {"UserID": "x" * 500})
        stub.assert_not_called("account_import", user_id="ann")
        stub.assert_not_called("account_import")

    def test_unknown_field(stub, stub_server):
        assert post(stub_server, IMPORT, {"UserID": "ann", "Nickname": "Ann"}) == 0

    @pytest.mark.stub_strict
    def test_unknown_field_where_it_matters(stub, stub_server):
        assert post(stub_server, IMPORT, {"UserID": "ann", "Nickname": "Ann"}) == 0
"""


def run(pytester: pytest.Pytester, source: str, *args: str, ini: str = "") -> pytest.RunResult:
    """Run tests that may `from raw import *`, and return the result."""
    pytester.makepyfile(raw=RAW, test_inner=dedent(source))
    pytester.makeini(f"[pytest]\npythonpath = .\n{INI}{ini}")
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:hypothesispytest", *args)


def test_plain_tests_share_server_and_have_separate_states(pytester: pytest.Pytester) -> None:
    """One server serves all tests; each has an empty state, its own calls, no faults, and the real time."""
    source = """
        import sys
        from channel_adapter.stub.faults.faults import Fault
        from raw import *
        urls = set()

        def test_one(stub_server, stub_world, stub):
            urls.add(stub_server.url)
            assert post(stub_server, IMPORT, {"UserID": "ann"}) == 0
            assert stub_world.state.account("ann") == "ann"
            [call] = stub.assert_called("account_import", user_id="ann")
            assert call.code == 0
            stub.clock.advance(20_000_000)
            assert post(stub_server, IMPORT, {"UserID": "ann"}) == 70001
            stub.clock.resume()
            stub.faults.add(Fault(code=60008))
            assert post(stub_server, IMPORT, {"UserID": "ann"}) == 60008
            stub.clock.freeze(at=1)

        def test_two(stub_server, stub):
            assert urls == {stub_server.url}
            assert stub.calls() == []
            assert stub.world.state.account("ann") is None
            assert not stub.faults
            assert post(stub_server, IMPORT, {"UserID": "bob"}) == 0
            assert not {"channel_adapter.adapter", "channel_adapter.tencent.client"} & set(sys.modules)
    """
    run(pytester, source).assert_outcomes(passed=2)


def test_async_tests_can_use_adapter(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHANNEL_ADAPTER_REGION", "seoul")  # of the developer's own app
    source = """
        import pytest
        from channel_adapter import Text
        pytestmark = pytest.mark.asyncio

        @pytest.mark.parametrize("turn", [1, 2])
        async def test_post(channel_adapter, stub, turn):
            assert (await channel_adapter.accounts.add(["editor_7"])).complete
            channel = await channel_adapter.channels.create(slug="news", name="News", owner="editor_7")
            await channel_adapter.posts.publish(channel.id, Text("Tide table"))
            stub.assert_called("send_group_msg", group_id="@TGS#_news", times=1)
            assert channel_adapter.settings.rate_limits

        class TestOthers:
            @pytest.fixture
            def channel_adapter_settings(self, channel_adapter_settings):
                return channel_adapter_settings.model_copy(update={"rate_limits": False})

            async def test_settings_of_ones_own(self, channel_adapter):
                assert not channel_adapter.settings.rate_limits
                assert await channel_adapter.accounts.check(["editor_7"]) == {"editor_7": False}
    """
    run(pytester, source).assert_outcomes(passed=3)


def test_each_worker_has_its_own_server(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        from raw import *

        @pytest.mark.parametrize("number", range(8))
        def test_each(stub_server, stub, number, worker_id):
            for user in range(20):
                assert post(stub_server, IMPORT, {"UserID": f"{worker_id}_{user}"}) == 0
            assert stub.server.log.count() == 20
            assert [call.body["UserID"] for call in stub.calls()] == [f"{worker_id}_{user}" for user in range(20)]
    """
    run(pytester, source, "-n2", "--channel-adapter-stub-strict").assert_outcomes(passed=8)


def test_failed_assertion_reports_nearest_call(pytester: pytest.Pytester) -> None:
    result = run(pytester, MISSES)
    result.assert_outcomes(failed=6, passed=2, errors=1)
    said = [line.removeprefix("E").strip() for line in result.outlines if line.startswith("E  ")]
    assert "\n".join(said).replace("AssertionError: ", "") == dedent(
        """\
        send_group_msg with group_id='@TGS#_news' was not called
        the stub was not called at all
        account_import with user_id='bob', nick='Bo' was not called
        nearest of 1 call:
        im_open_login_svc/account_import (answered 0): user_id is 'ann', expected 'bob'; nick is absent, expected 'Bo'
        account_imports was not called
        nearest of 1 call:
        im_open_login_svc/account_import (answered 70402)
        zzz was not called
        none of 1 call came near
        account_import was called twice, expected 3 times
        account_import was called once, answered 70402"""
    )


def test_absence_of_misspelt_command_is_an_error(pytester: pytest.Pytester) -> None:
    """A command that does not exist is never called: a test would pass whatever the client does."""
    source = """
        def test_misspelt(stub):
            stub.assert_not_called("send_grup_msg")

        def test_misspelt_times(stub):
            stub.assert_called("send_grup_msg", times=0)

        def test_right(stub):
            stub.assert_not_called("send_group_msg")
            stub.assert_not_called("get_online_member_num")
            stub.assert_called("sns/friend_add", times=0)
    """
    result = run(pytester, source)
    result.assert_outcomes(passed=1, failed=2)
    reason = "*no command is named 'send_grup_msg'; did you mean 'send_group_msg'[?]"
    result.stdout.fnmatch_lines([reason, reason], consecutive=False)


def test_strict_mode_reports_unknown_field_and_command_as_error(pytester: pytest.Pytester) -> None:
    """An unknown field or command is an error of the test that sent it, unless a marker allows it."""
    source = """
        import pytest
        from raw import *

        def test_clean(stub_server, stub):
            assert post(stub_server, IMPORT, {"UserID": "ann"}) == 0

        def test_field(stub_server, stub):
            assert post(stub_server, IMPORT, {"UserID": "ann", "Nickname": "Ann"}) == 0

        def test_command(stub_server, stub_world):
            assert post(stub_server, "im_open_login_svc/account_imports", {}) != 0

        @pytest.mark.stub_strict(False)
        def test_on_purpose(stub_server, stub):
            assert post(stub_server, IMPORT, {"UserID": "ann", "Nickname": "Ann"}) == 0
    """
    strict = run(pytester, source, ini="channel_adapter_stub_strict = true\n")
    strict.assert_outcomes(passed=4, errors=2)
    strict.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_field*",
            "the stub was sent what the service does not know:",
            "unknown field Nickname of im_open_login_svc/account_import, sent once",
            "*ERROR at teardown of test_command*",
            "unknown command im_open_login_svc/account_imports",
        ]
    )


def test_plugin_supports_config_file_and_https(pytester: pytest.Pytester) -> None:
    source = """
        import ssl
        import pytest
        from raw import *

        def test_it(stub_server, stub):
            assert stub_server.url.startswith("https://")
            trust = ssl.create_default_context(cafile=stub_server.ca_file)
            assert (stub_server.sdkappid, stub_server.admin, len(stub.faults.report())) == (77, "root", 1)
            assert post(stub_server, IMPORT, {"UserID": "ann"}, context=trust) == 60008
            assert post(stub_server, "im_open_login_svc/account_check", {"CheckItem": []}, context=trust) != 60008

        @pytest.mark.asyncio
        async def test_the_adapter(channel_adapter):
            assert await channel_adapter.accounts.check(["root"]) == {"root": True}
    """
    app = '[app]\nsdkappid = 77\nadmin = "root"\n[[fault]]\ncommand = "account_import"\ncode = 60008\n'
    pytester.mkdir("settings").joinpath("stub.toml").write_text(app)
    run(
        pytester, source, "--channel-adapter-stub-tls", ini="channel_adapter_stub_config = settings/stub.toml\n"
    ).assert_outcomes(passed=2)
    wrong = run(pytester, source, "--channel-adapter-stub-config", "nowhere.toml")
    wrong.assert_outcomes(errors=2)
    wrong.stdout.fnmatch_lines(["*nowhere.toml: No such file or directory"])


def test_unused_plugin_imports_neither_adapter_nor_its_libraries() -> None:
    code = (
        "import sys, pytest, channel_adapter.testing.adapter_plugin, channel_adapter.testing.stub_plugin\n"
        "print({'aiohttp', 'pydantic', 'orjson', 'structlog', 'channel_adapter.adapter'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


OTHER = """
import pytest

def pytest_addoption(parser):
    for name in "config", "strict", "tls":
        parser.addoption(f"--stub-{name}", dest=f"stub_{name}", default="theirs", help="of another plugin")
        parser.addini(f"stub_{name}", "of another plugin", default="theirs")
    parser.getgroup("stub", "another stub").addoption("--stub-port", default="theirs", help="of another plugin")

def pytest_configure(config):
    config.addinivalue_line("markers", "stub_strict: of another plugin")
"""


@pytest.mark.parametrize("position", ["before", "after"])
def test_another_plugin_with_equal_options_can_be_loaded(pytester: pytest.Pytester, position: str) -> None:
    """Plugins named with `-p` load before those of installed packages; a conftest file loads after them."""
    if position == "before":
        pytester.makepyfile(other_stub=OTHER)
    else:
        pytester.makeconftest(OTHER)
    pytester.mkdir("settings").joinpath("stub.toml").write_text("[app]\nsdkappid = 77\n")
    source = """
        from raw import *

        def test_both(pytestconfig, stub_server, stub):
            assert stub_server.sdkappid == 77
            assert pytestconfig.getoption("stub_config") == "mine.toml"
            assert pytestconfig.getini("stub_config") == "theirs"
            assert (pytestconfig.getoption("stub_strict"), pytestconfig.getini("stub_tls")) == ("theirs", "theirs")
            assert post(stub_server, IMPORT, {"UserID": "ann"}) == 0
    """
    words = ["-p", "other_stub"] if position == "before" else []
    ours = ["--channel-adapter-stub-config", "settings/stub.toml", "--stub-config", "mine.toml"]
    run(pytester, source, *words, *ours).assert_outcomes(passed=1)


@pytest.mark.parametrize(("scope", "passed"), [("function", 0), ("session", 2)])
def test_error_of_adapter_fixture_on_another_event_loop_names_setting(
    pytester: pytest.Pytester, scope: str, passed: int
) -> None:
    source = """
        import pytest
        pytestmark = pytest.mark.asyncio(loop_scope="session")

        async def test_one(channel_adapter):
            await channel_adapter.accounts.add(["editor_7"])

        async def test_two(channel_adapter):
            await channel_adapter.accounts.add(["editor_7"])
    """
    pytester.makepyfile(test_inner=dedent(source))
    pytester.makeini(f"[pytest]\nasyncio_default_fixture_loop_scope = {scope}\nfilterwarnings = error\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=passed, failed=2 - passed)
    if not passed:
        result.stdout.fnmatch_lines(["*RuntimeError: the adapter was opened on another event loop: *loop_scope*"])
