"""A stub in one TOML file: settings, `[[fault]]` tables, `[webhooks]`. A plain settings file is one too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from pydantic import BaseModel, ValidationError

from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.stub import settings
from channel_adapter.stub.callbacks.request import CallbackSettings
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.settings import SettingsError, StubSettings, read_toml
from channel_adapter.stub.shipped import scenario_file, scenario_names

ModelT = TypeVar("ModelT", bound=BaseModel)

FAULTS: Final = "fault"
WEBHOOKS: Final = "webhooks"


@dataclass(frozen=True, slots=True)
class Scenario:
    """Settings of the app, faults, and the app's webhook."""

    settings: StubSettings
    faults: tuple[Fault, ...] = ()
    webhooks: CallbackSettings | None = None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file; SettingsError names the file and what is wrong in it."""
        return cls.read(read_toml(path), str(path))

    @classmethod
    def named(cls, name: str) -> Self:
        """Load a scenario that comes with the package, such as `flaky_network`; SettingsError lists the names."""
        path = scenario_file(name)
        if path is None:
            raise SettingsError(
                f"no scenario is named {shown_value(name)}; the names are {', '.join(scenario_names())}"
            )
        return cls.load(path)

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "scenario") -> Self:
        """Read plain values; SettingsError names `where` and what is wrong."""
        rest = dict(values)
        faults, webhooks = rest.pop(FAULTS, ()), rest.pop(WEBHOOKS, None)
        return cls(
            StubSettings.read(rest, where),
            read_faults(faults, where),
            None if webhooks is None else read_model(CallbackSettings, webhooks, f"{where}: {WEBHOOKS}"),
        )


def example() -> str:
    """Return the text of `config/stub.example.toml`."""
    return settings.example(**{WEBHOOKS: CallbackSettings()})


def read_faults(values: Any, where: str = FAULTS) -> tuple[Fault, ...]:
    """Read a list of tables as faults; SettingsError counts them from 1."""
    if not isinstance(values, Sequence) or isinstance(values, str):
        raise SettingsError(f"{where}: write faults as [[{FAULTS}]] tables")
    return tuple(read_model(Fault, value, f"{where}: {FAULTS} {number}") for number, value in enumerate(values, 1))


def read_model(model: type[ModelT], values: Any, where: str) -> ModelT:
    """Read values as a model; SettingsError has the first problem, never a value, which may be a secret."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise SettingsError(f"{where}: {f'{shown_text(field)}: ' if field else ''}{problem['msg']}") from None
