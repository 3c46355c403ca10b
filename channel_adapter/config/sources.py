"""Where settings come from, and one sentence on the first thing that is wrong: what, and in which file or variable.

No value is repeated in a sentence: one of them is the key.
"""

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from channel_adapter.errors import ConfigurationError
from channel_adapter.quoting import shown_text, shown_value

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError

ENV_PREFIX: Final = "CHANNEL_ADAPTER_"
DELIMITER: Final = "__"
CONFIG_VARIABLE: Final = f"{ENV_PREFIX}CONFIG"
"""Names the settings file for the command line."""

STUB_KEY_VARIABLE: Final = f"{ENV_PREFIX}STUB_KEY"
STUB_TOKEN_VARIABLE: Final = f"{ENV_PREFIX}STUB_CONTROL_TOKEN"
"""Secrets of the stub for the command line, where options are visible to other users of the machine."""

OTHER_VARIABLES: Final = (CONFIG_VARIABLE, STUB_KEY_VARIABLE, STUB_TOKEN_VARIABLE, f"{ENV_PREFIX}LIVE")
"""Variables that are no settings; the last one names the live service for the tests."""

NO_SOURCE: Final = "settings"
"""What `Sources.name_of` returns where there is neither file nor variable."""

Loc = tuple[int | str, ...]

_KUBERNETES: Final = re.compile(
    r"_SERVICE_HOST$|_SERVICE_PORT(_\w+)?$|_PORT_\d+_(TCP|UDP)(_\w+)?$", re.ASCII | re.IGNORECASE
)
"""Variables that Kubernetes injects for every Service; one called channel-adapter has our prefix."""

_NO_TABLE: Final = frozenset({"model_type", "dict_type", "tuple_type", "list_type"})
_MUST_BE: Final = {  # in place of pydantic's words, which name types of Python
    **dict.fromkeys(("model_type", "dict_type"), "must be a table"),
    **dict.fromkeys(("tuple_type", "list_type"), "must be a list"),
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float"), "must be a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "must be true or false"),
    "string_type": "must be a text",
}


class CrossFieldError(ValueError):
    """A rule about several fields of one table is broken; `fields` are their names in that table."""

    def __init__(self, message: str, fields: tuple[str, ...]) -> None:
        super().__init__(message)
        self.fields = fields


def read_file(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file; relative paths are beside it. Raises ConfigurationError."""
    import tomllib  # noqa: PLC0415 - many settings come from the environment alone

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no settings file {shown_text(path)}", field="config") from None
    except OSError as trouble:
        raise ConfigurationError(
            f"settings file {shown_text(path)} cannot be read: {trouble.strerror}", field="config"
        ) from None
    except ValueError as trouble:  # also for bytes that are not UTF-8, and for a number of over 4,300 digits
        raise ConfigurationError(
            f"settings file {shown_text(path)} is not TOML: {shown_text(trouble)}", field="config"
        ) from None
    if isinstance(table.get("ca_file"), str):
        table["ca_file"] = path.parent / table["ca_file"]
    if isinstance(console := table.get("console"), dict) and isinstance(console.get("media_dir"), str):
        console["media_dir"] = path.parent / console["media_dir"]
    return table


def read_environment(model: "type[BaseModel]") -> dict[str, Any]:
    """Read the fields of `model` in the environment. Raises ConfigurationError for an unknown name."""
    _check_unknown_variables(model)
    from pydantic_settings import EnvSettingsSource  # noqa: PLC0415 - slow to import, and only files and variables need it

    class Environment(EnvSettingsSource):
        def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
            try:
                return super().decode_complex_value(field_name, field, value)
            except ValueError:
                return value  # the model reports what is wrong with it, and under which name

    source = Environment(
        model,  # type: ignore[arg-type]  # only its fields are read
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=DELIMITER,
        env_ignore_empty=True,
    )
    return source()


def merged(weaker: Mapping[str, Any], stronger: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two tables; where both have a name the second one wins, table by table."""
    whole = dict(weaker)
    for name, value in stronger.items():
        below = whole.get(name)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        whole[name] = merged(below, value) if both else value  # type: ignore[arg-type]  # `both` says so
    return whole


@dataclass(frozen=True, slots=True)
class Sources:
    """Holds the values of each source of settings, the strongest last, and names the sources in errors."""

    file: Mapping[str, Any]
    environment: Mapping[str, Any]
    given: Mapping[str, Any]
    path: Path | None = None

    def merged(self) -> dict[str, Any]:
        """Return the values of all sources in one table."""
        return merged(merged(self.file, self.environment), self.given)

    def rank(self, name: str) -> int | None:
        """Return the place of the strongest source that sets a field of the first level, None if it stays unset."""
        for place, values in reversed(list(enumerate(self._weakest_first))):
            if name in values:
                return None if values[name] is None else place
        return None

    def sets(self, place: int, name: str) -> bool:
        """Return whether the source at this place sets a field of the first level."""
        return self._weakest_first[place].get(name) is not None

    @property
    def _weakest_first(self) -> tuple[Mapping[str, Any], ...]:
        return self.file, self.environment, self.given

    def name_of(self, loc: Loc) -> str:
        """Return where the value at `loc` comes from: Python, a variable, or the file."""
        if _has_value(self.given, loc):
            return "settings given in Python"
        if _has_value(self.environment, loc):
            return _describe_variables(loc)
        return f"settings file {self.path}" if self.path is not None else NO_SOURCE

    def names_of(self, loc: Loc, fields: Iterable[str]) -> str:
        """Return where those of some fields of the table at `loc` come from that have been set."""
        set_fields = [field for field in fields if _has_value(self.merged(), (*loc, field))]
        names = dict.fromkeys(self.name_of((*loc, field)) for field in set_fields)
        return " and ".join(names) or self.name_of(loc)


def _has_value(values: Mapping[str, Any], loc: Loc) -> bool:
    """Return whether the value at `loc`, or one in the place of its table, is among `values`."""
    below: Any = values
    for part in loc:
        if not isinstance(below, Mapping):
            return True
        if part not in below:
            return False
        below = below[part]
    return bool(loc)


def _describe_variables(loc: Loc) -> str:
    for length in range(len(loc), 0, -1):
        variable = variable_of(loc[:length])
        if variable in _list_variables():
            return f"environment variable {shown_text(variable)}"
    inside = sorted(name for name in _list_variables() if name.startswith(f"{variable_of(loc)}{DELIMITER}"))
    return f"environment variable{'s' if len(inside) > 1 else ''} {shown_text(', '.join(inside))}"


def variable_of(loc: Loc) -> str:
    """Return the variable that can hold the value at `loc`."""
    return ENV_PREFIX + DELIMITER.join(str(part) for part in loc).upper()


def explained(wrong: "ValidationError", model: "type[BaseModel]", sources: Sources | None = None) -> ConfigurationError:
    """Return one sentence on the first problem. Without `sources` the values were given in Python."""
    problem = wrong.errors(include_url=False, include_input=False)[0]
    loc = problem["loc"]
    name = ".".join(str(part) for part in loc)
    cause = problem.get("ctx", {}).get("error")
    fields = cause.fields if isinstance(cause, CrossFieldError) else ()
    if len(fields) == 1:
        name = f"{name}.{fields[0]}"
    where = sources.names_of(loc, fields) if sources else ""
    message = problem["msg"].removeprefix("Value error, ").replace("Input should be ", "must be ")
    message = _MUST_BE.get(problem["type"], message)
    sentence = f"{shown_text(name)}: {message}" if name else message
    if problem["type"] == "extra_forbidden":
        known = [each[-1] for each in _field_paths(model) if each[:-1] == loc[:-1]]
        sentence = f"unknown key {shown_value(name)}; {_suggest_name(str(loc[-1]), known)}"
    elif problem["type"] == "missing":
        sentence = f"{shown_value(name)} is missing"
        if where == NO_SOURCE:
            where = "no settings file"
            sentence += f"; give it in adapter.toml, in --config FILE, or as {variable_of(loc)}"
        elif sources:
            sentence += f"; give it there or as {variable_of(loc)}"
    elif problem["type"] in _NO_TABLE and where.startswith("environment"):
        sentence += "; in the environment, tables and lists are JSON"
    return ConfigurationError(f"{where}: {sentence}" if where else sentence, field=name or None)


def _check_unknown_variables(model: "type[BaseModel]") -> None:
    known = {variable_of(loc): loc for loc in _field_paths(model)}
    open_ended = tuple(f"{variable_of(loc)}{DELIMITER}" for loc in _field_paths(model, "dict"))
    for name in sorted(_list_variables()):
        if name not in known and name not in OTHER_VARIABLES and not name.startswith(open_ended):
            hint = _suggest_name(name, [*known, *OTHER_VARIABLES[:-1]], quote="")
            raise ConfigurationError(f"environment variable {shown_text(name)} is no setting; {hint}", field=None)


def _list_variables() -> set[str]:
    """Return our variables in capitals, without empty ones and those of Kubernetes."""
    return {
        name.upper()
        for name, value in os.environ.items()
        if value and name.upper().startswith(ENV_PREFIX) and not _is_of_kubernetes(name, value)
    }


def _is_of_kubernetes(name: str, value: str) -> bool:
    return bool(_KUBERNETES.search(name)) or (name.upper().endswith("_PORT") and "://" in value)


def _field_paths(model: "type[BaseModel]", kind: str = "", above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the path of every field and table; with `kind`, only of those whose type begins so."""
    for name, field in model.model_fields.items():
        if str(getattr(field.annotation, "__name__", "")).startswith(kind):
            yield (*above, name)
        if hasattr(field.annotation, "model_fields"):
            yield from _field_paths(field.annotation, kind, (*above, name))  # type: ignore[arg-type]  # a table


def _suggest_name(name: str, known: list[str], quote: str = "'") -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {quote}{near[0]}{quote}?" if near else f"known here: {', '.join(known)}"
