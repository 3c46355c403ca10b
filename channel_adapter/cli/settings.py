"""`settings`: print commented settings files."""

from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Final

import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import UsageError

app = group("settings")

_PACKAGE: Final = Path(str(files("channel_adapter")))
_FOLDERS: Final = (_PACKAGE / "config", _PACKAGE.parent / "config")  # installed wheel, checkout


class SettingsFile(StrEnum):
    """Programs that read a settings file."""

    ADAPTER = "adapter"
    STUB = "stub"


@command(
    app, "settings", "example",
    example="channel-adapter settings example > adapter.toml\nchannel-adapter settings example stub > stub.toml",
    config_help="Not used: the example has the defaults.",
)  # fmt: skip
async def example(
    run: Run,
    which: Annotated[
        SettingsFile, typer.Argument(metavar="adapter|stub", help="Settings of the adapter, or of the stub.")
    ] = SettingsFile.ADAPTER,
) -> None:
    """Print a settings file in which every setting has its default and a comment."""
    name = f"{which.value}.example.toml"
    path = next((folder / name for folder in _FOLDERS if (folder / name).is_file()), None)
    if path is None:
        raise UsageError(f"{name} is not installed", field="which")
    if run.output.json:
        run.output.one({"name": which, "text": path.read_text(encoding="utf-8")})
    else:
        run.output.binary.write(path.read_bytes())
