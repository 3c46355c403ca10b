"""Files that come with the package: scenarios, sample feed and subscribers. Imports nothing slow."""

from importlib.resources import files
from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(str(files("channel_adapter")))
_FOLDERS: Final = (_PACKAGE / "scenarios", _PACKAGE.parent / "config" / "scenarios")  # installed wheel, checkout
_SUFFIX: Final = ".toml"


def shipped_file(name: str) -> Path | None:
    """Return the path of a shipped file, None when the installation has no such file."""
    return next((folder / name for folder in _FOLDERS if (folder / name).is_file()), None)


def scenario_names() -> tuple[str, ...]:
    """Return the names of the shipped scenarios, without the suffix of their files."""
    found = {path.stem for folder in _FOLDERS for path in folder.glob(f"*{_SUFFIX}")}
    return tuple(sorted(found))


def scenario_file(name: str) -> Path | None:
    """Return the file of a shipped scenario, None for a name that is not in `scenario_names`."""
    return shipped_file(f"{name}{_SUFFIX}") if name in scenario_names() else None
