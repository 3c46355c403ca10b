"""pytest fixtures for suites that call the stub, with or without our client.

`stub_server` runs for the whole session in a thread and has url, sdkappid, key, admin and ca_file; `stub_world` is
empty at the start of each test; `stub` is for assertions on what was called. Each xdist worker has a stub of its own.
"""

# ruff: noqa: PLC0415 - pytest loads this file in every project that has the package installed, most use nothing of it

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from channel_adapter.stub.scenario import Scenario
    from channel_adapter.stub.server import StubServer
    from channel_adapter.stub.world.stub_state import StubState
    from channel_adapter.testing.expectations import StubAssertions

PREFIX: Final = "channel_adapter_stub"  # pytest has one set of option and ini names for all installed plugins
CONFIG: Final = f"{PREFIX}_config"
STRICT: Final = f"{PREFIX}_strict"
TLS: Final = f"{PREFIX}_tls"
STRICT_MARK: Final = "stub_strict"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add three settings, each as an option and in the ini file; an option is stronger."""
    group = parser.getgroup(PREFIX, "stub of Tencent Cloud Chat (channel-adapter)")
    group.addoption(
        _option_name(CONFIG),
        dest=CONFIG,
        metavar="FILE",
        help="TOML file with settings, faults and webhooks of the stub",
    )
    group.addoption(
        _option_name(STRICT),
        dest=STRICT,
        action="store_true",
        default=None,
        help="tests fail on fields and commands that the service does not have",
    )
    group.addoption(_option_name(TLS), dest=TLS, action="store_true", default=None, help="the stub speaks https")
    parser.addini(CONFIG, "TOML file with settings, faults and webhooks of the stub, relative to this file", default="")
    parser.addini(STRICT, "tests fail on fields and commands that the service does not have", "bool", default=False)
    parser.addini(TLS, "the stub speaks https", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", f"{STRICT_MARK}(on=True): unknown fields and commands fail this test, or do not")


@pytest.fixture(scope="session")
def stub_scenario(pytestconfig: pytest.Config) -> "Scenario":
    """Return what channel_adapter_stub_config names, or the documented service; override it to make one in Python."""
    from channel_adapter.stub.scenario import Scenario
    from channel_adapter.stub.settings import SettingsError, StubSettings

    path = _config_file(pytestconfig)
    try:
        return Scenario(StubSettings()) if path is None else Scenario.load(path)
    except SettingsError as wrong:
        raise pytest.UsageError(str(wrong)) from None


@pytest.fixture(scope="session")
def stub_server(pytestconfig: pytest.Config, stub_scenario: "Scenario") -> "Iterator[StubServer]":
    """Return a stub on a free port until the session ends: url, sdkappid, key, admin, ca_file, control plane."""
    from channel_adapter.stub.control.plane import ControlSettings
    from channel_adapter.stub.server import StubServer

    server = StubServer(stub_scenario.settings, tls=_is_on(pytestconfig, TLS), control=ControlSettings())
    with server.run_in_thread():
        yield server


@pytest.fixture
def stub_world(
    request: pytest.FixtureRequest, stub_server: "StubServer", stub_scenario: "Scenario"
) -> "Iterator[StubState]":
    """Return the empty state of the stub: no accounts, calls or faults of another test, and the real time."""
    from channel_adapter.testing.expectations import StubAssertions

    stub_server.in_loop(lambda: _reset_server(stub_server, stub_scenario))
    yield stub_server.world
    if stub_server.app.failures:
        pytest.fail(f"the stub failed on {stub_server.app.failures} requests; its log has the tracebacks")
    unexpected = StubAssertions(stub_server).unexpected() if _is_strict(request) else []
    if unexpected:
        pytest.fail("\n".join(["the stub was sent what the service does not know:", *unexpected]), pytrace=False)


@pytest.fixture
def stub(stub_server: "StubServer", stub_world: "StubState") -> "StubAssertions":
    """Return assertions on what was called, and the stub's faults, clock and webhooks."""
    from channel_adapter.testing.expectations import StubAssertions

    return StubAssertions(stub_server)


def _option_name(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _reset_server(server: "StubServer", scenario: "Scenario") -> None:
    from channel_adapter.stub.callbacks.request import CallbackSettings

    server.faults.replace(scenario.faults)
    server.webhooks.settings = scenario.webhooks or CallbackSettings()
    server.app.latency.set(0.0)
    server.world.clock.resume()
    server.reset()


def _config_file(config: pytest.Config) -> Path | None:
    given = config.getoption(CONFIG)
    if given:
        return Path(config.invocation_params.dir, given)
    written = config.getini(CONFIG)
    return Path(config.inipath.parent if config.inipath else config.rootpath, written) if written else None


def _is_on(config: pytest.Config, name: str) -> bool:
    given = config.getoption(name)
    return bool(config.getini(name) if given is None else given)


def _is_strict(request: pytest.FixtureRequest) -> bool:
    """Return whether unknown fields fail the test: the nearest marker decides, else the option."""
    marker = request.node.get_closest_marker(STRICT_MARK)
    if marker is None:
        return _is_on(request.config, STRICT)
    return bool(marker.args[0]) if marker.args else bool(marker.kwargs.get("on", True))
