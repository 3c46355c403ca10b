"""What all commands share: their options, their way from an error to an exit code, and their help."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the client to be imported

import functools
import inspect
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from channel_adapter.cli.exits import Exit, UsageError, for_error
from channel_adapter.cli.output import Output
from channel_adapter.config.extras import missing_extra
from channel_adapter.config.sources import CONFIG_VARIABLE
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.mapping.text import printable
from channel_adapter.quoting import shown_text, shown_value

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.config.settings import Settings
    from channel_adapter.observability.telemetry import Telemetry
    from channel_adapter.tencent.client import Attempt


CONFIG_HERE = Path("adapter.toml")

Handler = Callable[..., Coroutine[Any, Any, Exit | None]]

EXAMPLES: dict[tuple[str, ...], str] = {}
"""The example in the help of each command that has been loaded."""

JSON = Annotated[bool, typer.Option("--json", help="One JSON document on stdout; errors as JSON on stderr.")]
CONFIG = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Settings file; else ${CONFIG_VARIABLE}, else {CONFIG_HERE} if it exists, else the environment alone.",
    ),
]
VERBOSE = Annotated[
    int,
    typer.Option(
        "--verbose", "-v", count=True, show_default=False,
        help="Show every call to the service on stderr; -vv also why one is repeated.",
    ),
]  # fmt: skip
DEBUG = Annotated[bool, typer.Option("--debug", help="Show tracebacks.")]
_COMMON = {"json": (JSON, False), "config": (CONFIG, None), "verbose": (VERBOSE, 0), "debug": (DEBUG, False)}


@dataclass
class Run:
    """Holds the options of one run of a command, and opens what it needs."""

    output: Output
    config: str | None = None
    debug: bool = False

    def settings(self) -> "Settings":
        """Read settings: --config, the variable, ./adapter.toml, or the environment only. Raises ConfigurationError."""
        from channel_adapter.config.settings import Settings

        path = self.config or os.environ.get(CONFIG_VARIABLE) or (CONFIG_HERE if CONFIG_HERE.is_file() else None)
        return Settings.load(path)

    def channel_id(self, channel: str) -> str:
        """Return the id of a channel in the mode of the settings. Raises InvalidError and ConfigurationError."""
        from channel_adapter.mapping.ids import SCHEMES

        return SCHEMES[self.settings().mode].channel(channel)

    def database_url(self) -> str | None:
        """Return database_url of the settings, None without it or without usable settings."""
        try:
            url = self.settings().database_url
        except ConfigurationError:
            return None
        return url.get_secret_value() if url else None

    def observer(self) -> "Callable[[Attempt], None] | None":
        """Return an observer of all calls with -v, None without; set up the logs of the client."""
        configure_logs(self.output.verbose)
        return show_attempts(self.output) if self.output.verbose else None

    @asynccontextmanager
    async def adapter(self, telemetry: "Telemetry | None" = None) -> AsyncIterator["ChannelAdapter"]:
        """Open an adapter; with -v every call is shown. Raises ConfigurationError."""
        from channel_adapter.adapter import ChannelAdapter

        async with ChannelAdapter.open(self.settings(), observer=self.observer(), telemetry=telemetry) as adapter:
            yield adapter

    @asynccontextmanager
    async def jobs(self, adapter: "ChannelAdapter") -> AsyncIterator[None]:
        """Publish scheduled posts and run jobs beside a command, where the settings name a database for them."""
        async with AsyncExitStack() as stack:
            if adapter.settings.database_url is not None:
                try:
                    await stack.enter_async_context(adapter.run_jobs())
                except ConfigurationError as missing:
                    self.output.note(f"scheduled posts and jobs are left to other processes: {missing.message}")
            yield


def group(name: str, cls: "type[CommandGroup] | None" = None) -> typer.Typer:
    """Return a group of commands that accepts the common options before its commands too."""
    return typer.Typer(
        name=name, callback=remember, cls=cls or CommandGroup, invoke_without_command=True, add_completion=False,
        rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]},
    )  # fmt: skip


def single() -> typer.Typer:
    """Return an app for a command outside of groups."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, context_settings={"help_option_names": ["-h", "--help"]}
    )


def command(
    app: typer.Typer, *path: str, example: str, config_help: str | None = None, until_interrupted: bool = False
) -> Callable[[Handler], Handler]:
    """Register a coroutine as a command. Its docstring is the help, its parameters behind `run` the options.

    `config_help` says what --config is where it does not name the adapter's settings. With `until_interrupted` Ctrl-C
    is the usual end of the command: exit code 0, and nothing on stderr.
    """

    def register(handler: Handler) -> Handler:
        EXAMPLES[path] = example
        lines = [f"  {line}" for line in example.strip().splitlines()]
        text = inspect.cleandoc(handler.__doc__ or "") + "\n\n\b\nExample:\n" + "\n".join(lines)
        short = (handler.__doc__ or "").strip().partition("\n")[0]
        full = _with_common_options(handler, config_help, until_interrupted=until_interrupted)
        app.command(path[-1], cls=PlainCommand, help=text, short_help=short)(full)
        return handler

    return register


def remember(
    ctx: typer.Context, json: JSON = False, config: CONFIG = None, verbose: VERBOSE = 0, debug: DEBUG = False
) -> None:
    """Store the common options for the command, which may have them too; a later one is stronger."""
    if isinstance(ctx.command, CommandGroup) and ctx.invoked_subcommand is None:
        ctx.fail(f"a command is missing: {', '.join(ctx.command.list_commands(ctx))}")
    before = ctx.obj or {}
    ctx.obj = {
        "json": json or before.get("json", False),
        "config": config or before.get("config"),
        "verbose": verbose + before.get("verbose", 0),
        "debug": debug or before.get("debug", False),
    }


def execute(run: Run, work: Callable[[], Coroutine[Any, Any, Exit | None]], *, until_interrupted: bool = False) -> Exit:
    """Run a command and return its exit code. Every failure becomes one sentence on stderr here."""
    import asyncio

    try:
        code = asyncio.run(work()) or Exit.DONE
        run.output.flush()
    except KeyboardInterrupt:
        if until_interrupted:
            return Exit.DONE
        far = run.output.so_far() or "the last call may have been carried out; look before you repeat it"
        run.output.error("interrupted", f"interrupted: {far}")
        return Exit.INTERRUPTED
    except BrokenPipeError:
        return Exit.INTERRUPTED
    except OSError as error:
        trouble = run.output.trouble()
        if trouble is None:
            return _report_error(run, error)
        run.output.lost(trouble)
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost frame: a fault of ours is one sentence too
        if run.debug:
            run.output.trace(_format_traceback())
        return _report_error(run, error)
    return code


def _report_error(run: Run, error: Exception) -> Exit:
    if isinstance(error, ChannelAdapterError):
        run.output.refusal(error)
        return for_error(error)
    if isinstance(error, UsageError):
        run.output.error("usage", error.message, field=error.field)
        return for_error(error)
    if isinstance(error, OSError):
        name = f"{shown_text(error.filename)}: " if error.filename else ""
        run.output.error("usage", f"{name}{error.strerror or error}")
        return Exit.USAGE
    if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error, database_url=run.database_url())):
        return _report_error(run, missing)
    hint = "" if run.debug else "; --debug shows where"
    run.output.error("internal", f"a fault in this program: {type(error).__name__}{hint}")
    return Exit.REFUSED


def _format_traceback() -> str:
    from channel_adapter.tencent.redaction import redact_text

    return redact_text(traceback.format_exc()).rstrip()


def _with_common_options(handler: Handler, config_help: str | None, *, until_interrupted: bool) -> Callable[..., Exit]:
    """Return a function with the parameters of the handler and the common options, which typer reads."""
    own = list(inspect.signature(handler).parameters.values())[1:]
    annotations: dict[str, Any] = {name: annotation for name, (annotation, _) in _COMMON.items()}
    if config_help is not None:
        annotations["config"] = Annotated[str | None, typer.Option("--config", metavar="FILE", help=config_help)]
    common = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotations[name])
        for name, (_, default) in _COMMON.items()
    ]
    context = inspect.Parameter("ctx", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def run_it(*, ctx: typer.Context, **values: Any) -> Exit:
        remember(ctx, **{name: values.pop(name) for name in _COMMON})
        options = ctx.obj
        output = Output(json=options["json"], verbose=options["verbose"])
        run = Run(output, options["config"], options["debug"])
        return execute(run, functools.partial(handler, run, **values), until_interrupted=until_interrupted)

    parameters = [context, *(each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in own), *common]
    run_it.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run_it.__annotations__ = {each.name: each.annotation for each in parameters}
    run_it.__name__ = handler.__name__
    return run_it


_TYPE: Final = re.compile(r" <([^>]*)>$")
_VALUE_NAMES: Final = {"str": "TEXT", "path": "FILE"}


class PlainCommand(TyperCommand):
    """Names values in the help as a manual does, where typer shows types of Python."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then options."""
        for title, kind in (("Arguments", "argument"), ("Options", "option")):
            records = [each.get_help_record(ctx) for each in self.get_params(ctx) if each.param_type_name == kind]
            rows = [
                (_TYPE.sub(_value_name if kind == "option" else "", record[0]), record[1])
                for record in records
                if record
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _value_name(found: re.Match[str]) -> str:
    return f" {_VALUE_NAMES.get(found[1], 'N')}"


class CommandGroup(TyperGroup):
    """Names the nearest command when it does not know the one that is given."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Refuse an unknown command with the nearest that exists."""
        known = self.list_commands(ctx)
        if not args[0].startswith("-") and args[0] not in known and not ctx.resilient_parsing:
            near = get_close_matches(args[0], known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            ctx.fail(f"there is no command {shown_value(args[0])}; {hint}")
        return super().resolve_command(ctx, args)


LOGGER = "channel_adapter.tencent"


class _PrintableFormatter(logging.Formatter):
    """Formats records for a terminal; only their line breaks, as in a traceback, stay control characters."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def configure_logs(verbose: int) -> None:
    """Send log events with date and level to stderr: none without -v, since errors are reported once.

    With -v only warnings, since an observer shows the calls; with -vv also why a call is repeated or given up.
    """
    import structlog

    from channel_adapter.tencent.redaction import redact

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_PrintableFormatter())
    logging.basicConfig(handlers=[handler])
    logging.getLogger(LOGGER).setLevel({0: logging.CRITICAL, 1: logging.WARNING}.get(verbose, logging.DEBUG))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.LogfmtRenderer(key_order=["event"], bool_as_flag=False),
        ]
    )


def show_attempts(output: Output) -> Callable[["Attempt"], None]:
    """Return an observer that writes a line for each attempt on the wire: command, outcome, time; no body, no URL."""

    def show(attempt: "Attempt") -> None:
        code = f" {attempt.code}" if attempt.code is not None else ""
        repeat = f" (attempt {attempt.number})" if attempt.number > 1 else ""
        took = f"{attempt.seconds * 1000:.0f} ms"
        output.note(f"{attempt.service}/{attempt.command}{repeat}: {attempt.outcome_kind}{code}, {took}")

    return show
