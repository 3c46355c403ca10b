"""`channel-adapter`: the command line. Command groups are imported when they are used."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, Final, NamedTuple, TextIO

import typer
from typer.main import get_command as build

import channel_adapter
from channel_adapter.cli.command import CONFIG, DEBUG, JSON, VERBOSE, CommandGroup, remember
from channel_adapter.cli.exits import Exit
from channel_adapter.cli.output import Output
from channel_adapter.quoting import VALUE_CHARACTERS, shown_value

PROGRAM: Final = "channel-adapter"

# typer carries click inside itself since 0.22 and outside before; this is the base of all its usage errors in both.
BadUsage: type[Exception] = typer.BadParameter.__mro__[1]


class CommandInfo(NamedTuple):
    """Module of a command, and its line in the overview."""

    module: str
    summary: str


COMMANDS: Final = {
    "channels": CommandInfo("channels", "Create, read, change and delete channels."),
    "subscribers": CommandInfo("subscribers", "Add, remove, list, import and check subscribers; their notifications."),
    "unread": CommandInfo("unread", "Show what a user has not read; their conversation groups and marks."),
    "posts": CommandInfo("posts", "Publish, read, edit and recall posts; import a feed."),
    "reactions": CommandInfo("reactions", "Add, remove and show reactions to posts; policies, and the store."),
    "messages": CommandInfo("messages", "Write to subscribers one to one; read, edit and recall such messages."),
    "directory": CommandInfo("directory", "Search channels by name, introduction and category."),
    "invites": CommandInfo("invites", "Create, accept, revoke and list invitations to channels."),
    "insights": CommandInfo("insights", "Show views of posts and the growth of a channel; export them."),
    "accounts": CommandInfo("accounts", "Add accounts to the app, and check which it knows."),
    "migrate": CommandInfo("migrate", "Move official accounts, or files of another system, to channels."),
    "worker": CommandInfo("worker", "Publish scheduled posts, and run jobs that other commands have queued."),
    "webhooks": CommandInfo("webhooks", "Receive webhooks; list, retry and drop failed events; send one by hand."),
    "console": CommandInfo("console", "Serve the web page for operators; --demo shows it on a stub."),
    "doctor": CommandInfo("doctor", "Check settings, access and channels, and repair what is incomplete."),
    "settings": CommandInfo("settings", "Print commented settings files of the adapter and of the stub."),
    "stub": CommandInfo("stub", "Run the stub server: the service on your own machine, for tests."),
    "state": CommandInfo("state", "Dump, load and compare states of stubs."),
    "demo": CommandInfo("demo", "Show the whole main job on a stub that it starts itself."),
    "completion": CommandInfo("completion", "Print the script that completes command lines in bash, zsh and fish."),
    "call": CommandInfo("call", "Call any command of the service, modelled here or not."),
}


class LazyGroup(CommandGroup):
    """Lists commands by name, and imports one when it is run."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the overview."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import the command's module and build it; None for names that are not there."""
        if cmd_name not in COMMANDS:
            return None
        built = build(import_module(f"channel_adapter.cli.{COMMANDS[cmd_name].module}").app)
        built.name = cmd_name
        if isinstance(built, CommandGroup):
            built.help = COMMANDS[cmd_name].summary
        return built

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the overview without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


def root(
    ctx: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and end.")] = False,
    json: JSON = False,
    config: CONFIG = None,
    verbose: VERBOSE = 0,
    debug: DEBUG = False,
) -> None:
    """Read the common options before a command, and --version in place of one."""
    if version:
        number = channel_adapter.__version__
        Output(json=json).one({"version": number}, f"{PROGRAM} {number}")
        raise typer.Exit
    remember(ctx, json, config, verbose, debug)


def make_app() -> typer.Typer:
    """Return the whole command line."""
    return typer.Typer(
        name=PROGRAM,
        cls=LazyGroup,
        callback=root,
        invoke_without_command=True,
        help=_HELP,
        add_completion=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


_HELP = """Channels that users follow, on the Community groups or official accounts of Tencent Cloud Chat.

Settings come from a TOML file (--config FILE) and from CHANNEL_ADAPTER_* in the environment, which is stronger. Needed
are sdkappid, key, and region or base_url. The options below may stand before or after the command.

Exit codes: 0 done, 1 refused, a difference or a fault in this program, 2 usage (options, files, settings), 3 partly
done, 4 interrupted, 7 the service or the network failed.

\b
Start here:
  channel-adapter demo                        the whole tour; needs nothing
  channel-adapter stub --ready-file stub.json a server to try commands on
  channel-adapter doctor                      do settings, key and clock work?
  channel-adapter channels create --help      a command, with an example
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line, and return the exit code."""
    args = list(sys.argv[1:] if arguments is None else arguments)
    _open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        result = build(make_app()).main(args or ["--help"], prog_name=PROGRAM, standalone_mode=False)
        code = _to_exit_code(result, nothing_asked=not args)
    except BadUsage as error:
        code = _report_usage_error(error, args)
    except (KeyboardInterrupt, SystemExit):  # typer ends so when the reader of its help has gone away
        code = Exit.INTERRUPTED
    except OSError as error:  # commands report their own; this is help or --version on a full disk
        Output().lost(error)
        code = Exit.INTERRUPTED
    return _flush_and_exit(code)


def _to_exit_code(result: object, *, nothing_asked: bool) -> Exit:
    """Return the exit code of a command; typer returns 130 for an interruption before it began."""
    if nothing_asked:
        return Exit.USAGE
    if not result:
        return Exit.DONE
    return Exit(result) if isinstance(result, int) and result in set(Exit) else Exit.INTERRUPTED


def _report_usage_error(error: Exception, args: Sequence[str]) -> Exit:
    context = getattr(error, "ctx", None)
    text = str(getattr(error, "format_message", error.__str__)()).rstrip(".").replace(": Value error, ", ": ")
    text = _with_short_values(text, args)
    where = context.command_path if context else PROGRAM
    end = "" if text.endswith("?") else "."
    Output(json="--json" in args).error("usage", f"{text[:1].lower()}{text[1:]}{end} See '{where} --help'")
    return Exit.USAGE


def _with_short_values(text: str, args: Sequence[str]) -> str:
    """Return the text of a usage error, which click writes, with long arguments shown as in other errors."""
    for arg in args:
        for value in (arg, *arg.split("=", 1)):
            if len(value) > VALUE_CHARACTERS:
                shown = shown_value(value)
                text = text.replace(repr(value), shown).replace(f"'{value}'", shown).replace(value, shown)
    return text


def _open_closed_streams() -> None:
    """Replace streams that the shell closed by ones that drop their text: no file or socket may get their numbers."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdin, sys.stdout, sys.stderr = (
        sys.stdin or _open_descriptor(0, "r"),
        sys.stdout or _open_descriptor(1, "w"),
        sys.stderr or _open_descriptor(2, "w"),
    )


def _open_descriptor(number: int, mode: str) -> TextIO:
    return os.fdopen(number, mode, encoding="utf-8", closefd=False)  # type: ignore[return-value]


def _flush_and_exit(code: Exit) -> int:
    """Flush; when that fails, keep the interpreter from reporting it at its own end."""
    output = Output()
    trouble = output.trouble()
    if trouble is None:
        return int(code)
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code is Exit.DONE:
        output.lost(trouble)
    return int(Exit.INTERRUPTED if isinstance(trouble, BrokenPipeError) else code or Exit.INTERRUPTED)
