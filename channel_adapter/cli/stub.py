"""`stub`: the server that plays the service."""

# ruff: noqa: PLC0415 - the stub is imported when it runs, not for its help

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.exits import UsageError
from channel_adapter.cli.files import certificate_files
from channel_adapter.cli.output import Output, why_not_bound
from channel_adapter.config.sources import STUB_KEY_VARIABLE, STUB_TOKEN_VARIABLE
from channel_adapter.errors import ConfigurationError
from channel_adapter.quoting import shown_text
from channel_adapter.stub.shipped import scenario_names

if TYPE_CHECKING:
    from channel_adapter.stub.request_log import RecordedCall
    from channel_adapter.stub.scenario import Scenario
    from channel_adapter.stub.server import StubServer


app = single()

DEFAULT_PORT = 8900

_KEY = Annotated[str | None, typer.Option(envvar=STUB_KEY_VARIABLE, help="Secret that signs the app's UserSigs.")]
_CONTROL_TOKEN = Annotated[
    str | None,
    typer.Option(metavar="TOKEN", envvar=STUB_TOKEN_VARIABLE, help="Opens it to others too, with this bearer token."),
]
_GROUP_FIELDS = Annotated[
    list[str] | None, typer.Option("--group-field", metavar="KEY", help="Declare a custom group field; repeat it.")
]
_TLS_NAMES = Annotated[
    list[str] | None, typer.Option("--tls-name", metavar="NAME", help="Another name in that certificate; repeat it.")
]
_READY_FILE = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Gets one JSON line with url, sdkappid, admin, key, ca_file.")
]
_STATE = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Keep accounts, groups and messages here between two runs; one stub at a time uses it."
    ),
]
_SAVE_EVERY = Annotated[
    float | None,
    typer.Option(min=0, metavar="SECONDS", help="How often, 30 by default; 0 saves before a change is answered."),
]
_SCENARIO = Annotated[
    str | None,
    typer.Option(
        "--scenario", metavar="NAME", help=f"A shipped scenario in place of --config: {', '.join(scenario_names())}."
    ),
]


@command(
    app, "stub", until_interrupted=True,
    example="channel-adapter stub --port 8900 --group-field ch_tag\n"
    "channel-adapter stub --port 0 --ready-file stub.json --scenario flaky_network",
    config_help="The stub's own settings, faults and webhooks (see config/stub.example.toml); or use --scenario.",
)  # fmt: skip
async def stub(
    run: Run,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port; 0 picks a free one.")] = DEFAULT_PORT,
    sdkappid: Annotated[int | None, typer.Option(min=1, help="The app it plays.")] = None,
    key: _KEY = None,
    admin: Annotated[str | None, typer.Option(help="The app's admin.")] = None,
    group_field: _GROUP_FIELDS = None,
    tls: Annotated[bool, typer.Option("--tls", help="https, with a certificate made on the spot.")] = False,
    tls_name: _TLS_NAMES = None,
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain of your own, in PEM.")] = None,
    key_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key.")] = None,
    ready_file: _READY_FILE = None,
    latency: Annotated[float, typer.Option(min=0, max=3_600, metavar="SECONDS", help="Added to every answer.")] = 0.0,
    seed: Annotated[int, typer.Option(help="The same seed makes the same ids and the same faults.")] = 0,
    control: Annotated[
        bool, typer.Option("--control", help="Open the control plane under /_stub/, for loopback.")
    ] = False,
    control_token: _CONTROL_TOKEN = None,
    state: _STATE = None,
    save_every: _SAVE_EVERY = None,
    scenario: _SCENARIO = None,
    commands: Annotated[bool, typer.Option("--commands", help="Only list which commands it plays.")] = False,
    divergences: Annotated[bool, typer.Option("--divergences", help="Only list where it has to guess.")] = False,
    coverage: Annotated[bool, typer.Option("--coverage", help="Only list what of the documents it plays.")] = False,
) -> None:
    """Run the stub server until SIGTERM or Ctrl-C: the service on your own machine, for tests in any language.

    It checks signatures, keeps state, and answers with the documented codes and limits. --config names a file with its
    settings; options are stronger, but visible to other users of the machine. With -v every call is shown. SIGTERM and
    Ctrl-C end it with exit code 0. With --state it saves then and every 30 seconds; a kill loses what came later.
    """
    reports = {"commands": commands, "divergences": divergences, "coverage": coverage}
    if wanted := [name for name, asked in reports.items() if asked]:
        _print_report(run, wanted)
        return
    from pydantic import SecretStr

    from channel_adapter.stub.control.plane import ControlSettings
    from channel_adapter.stub.server import TLS_NAMES, serve
    from channel_adapter.stub.state_file import SAVE_EVERY

    played = _load_scenario(
        run.config,
        scenario,
        {"sdkappid": sdkappid, "key": key and key.strip(), "admin": admin, "group_fields": group_field},
    )
    token = SecretStr(control_token) if control_token and (control_token := control_token.strip()) else None
    with _convert_refusals(f"{host}:{port}"):
        await serve(
            played.settings, host=host, port=port, tls=certificate_files(cert, key_file) or tls,
            tls_names=[*TLS_NAMES, *(tls_name or ())], ready_file=ready_file, latency=latency, seed=seed,
            faults=played.faults, webhooks=played.webhooks,
            control=ControlSettings(token=token) if control or token else None,
            state=state, save_every=SAVE_EVERY if save_every is None else save_every,
            on_ready=lambda server: _show_address(run, server),
        )  # fmt: skip


@contextmanager
def _convert_refusals(address: str) -> Iterator[None]:
    """Raise UsageError for what a stub cannot use: its state, its address, its ready file."""
    from channel_adapter.stub.server import ReadyFileError, StubStartError
    from channel_adapter.stub.state_file import StateFileError

    try:
        yield
    except StateFileError as error:
        raise UsageError(str(error), field="state") from None
    except ReadyFileError as error:
        raise UsageError(str(error), field="ready_file") from None
    except StubStartError as error:
        raise UsageError(
            f"the stub cannot start on {shown_text(address)}: {why_not_bound(error.reason)}", field="port"
        ) from None


def _print_report(run: Run, wanted: list[str]) -> None:
    first, *others = wanted
    if others:
        raise UsageError(f"--{first} and --{others[0]} are two reports: ask for one", field=others[0])
    _REPORTS[first](run.output)


def _load_scenario(config: str | None, name: str | None, given: dict[str, Any]) -> "Scenario":
    from channel_adapter.stub.scenario import Scenario
    from channel_adapter.stub.settings import SettingsError, StubSettings

    for option, value in given.items():
        if value == "":
            raise UsageError(f"--{option} is empty; leave it out for the stub's own", field=option)
    if config and name is not None:
        raise UsageError("--config and --scenario are two sources of settings: give one", field="scenario")
    app_given = {option: value for option, value in given.items() if value}
    try:
        if name is not None:
            scenario = Scenario.named(name)
        else:
            scenario = Scenario.load(config) if config else Scenario(StubSettings())
        return replace(scenario, settings=scenario.settings.changed(app=app_given)) if app_given else scenario
    except SettingsError as wrong:
        raise ConfigurationError(str(wrong), field="config" if name is None else "scenario") from None


def _show_address(run: Run, server: "StubServer") -> None:
    """Show the address; the key is in the ready file only."""
    about = {"url": server.url, "sdkappid": server.sdkappid, "admin": server.admin, "ca_file": server.ca_file}
    trust = f"; trust {server.ca_file}" if server.ca_file else ""
    run.output.one(
        about, f"stub of app {server.sdkappid} on {server.url}, admin {server.admin!r}{trust}; Ctrl-C ends it"
    )
    run.output.flush()
    if run.output.verbose:
        server.log.listen(lambda call: run.output.note(_call_line(call)))


def _call_line(call: "RecordedCall") -> str:
    """Return a request and its answer on one line; a fault may have dropped the answer."""
    caller = f" by {call.caller}" if call.caller else ""
    answer = "no answer" if call.code is None else call.code
    return f"{call.service}/{call.command}{caller}: {answer}, {call.seconds * 1000:.1f} ms"


def _show_commands(output: Output) -> None:
    """List every documented command and how much of it is played."""
    from channel_adapter.stub.reports import played_commands

    with output.items(("command", "played")) as listing:
        for row in played_commands():
            listing.add(row, row.command, row.played)


def _show_divergences(output: Output) -> None:
    """List every point where the real service is unknown."""
    from channel_adapter.stub.reports import divergences

    with output.items(("id", "switch", "the stub", "unknown", "source")) as listing:
        for entry in divergences():
            listing.add(entry, entry.id, entry.switch, entry.stub, entry.unknown, entry.source)


def _show_coverage(output: Output) -> None:
    """List every command, and without --json the sum of them."""
    from channel_adapter.stub.reports import coverage

    rows = coverage()
    with output.items(("command", "implemented", "golden files", "codes", "in situation", "by fault")) as listing:
        for row in rows:
            golden = "unknown" if row.golden_files is None else row.golden_files
            codes = f"{row.exercised}/{row.documented}"
            listing.add(row, row.command, row.implemented, golden, codes, row.in_situation, row.by_fault)
    if not output.json:
        shown, listed = sum(row.exercised for row in rows), sum(row.documented for row in rows)
        played, natural = sum(row.implemented for row in rows), sum(row.in_situation for row in rows)
        output.line(
            f"{played} of {len(rows)} commands; tests exercise {shown} of {listed} documented codes "
            f"({shown / listed:.0%}), {natural} of them in their situation"
        )


_REPORTS: Final[dict[str, Callable[[Output], None]]] = {
    "commands": _show_commands,
    "divergences": _show_divergences,
    "coverage": _show_coverage,
}
