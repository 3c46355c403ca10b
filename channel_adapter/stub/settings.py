"""Settings of the stub: the app it plays, its limits, its rates, and how it behaves where the sources are silent."""

import difflib
import json
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from channel_adapter.config.values import Secret
from channel_adapter.stub.world.behaviour import Behaviour, Section
from channel_adapter.stub.world.capacity import Capacity
from channel_adapter.tencent import limits

DEFAULT_KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0"  # made up
KEY_LETTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


class SettingsError(ValueError):
    """The settings file cannot be used; the text says which key and what would be right."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """The tables of a TOML file; SettingsError names the file and says why it cannot be read."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not a TOML file: {error}") from None


class App(Section):
    """The app that the stub plays: identity, plan, switches of the console, declared custom fields."""

    sdkappid: int = Field(default=1400000001, ge=1, description="the app's SDKAppID; made up")
    key: Secret = Field(
        default=cast("Any", SecretStr(DEFAULT_KEY)),
        description="secret that signs UserSigs; made up, never shown in logs or dumps",
    )
    admin: str = Field(default="administrator", description="the admin that every app has [doc 32578]")
    admins: tuple[str, ...] = Field(
        default=("administrator",), description="app admins, 10 at most, `admin` among them [doc 50301]"
    )
    enabled: bool = Field(default=True, description="off: every call answers 60016 [doc 1671]")
    plan_active: bool = Field(default=True, description="off: every call answers 60020 [doc 1671]")
    ip_allow_list: tuple[str, ...] = Field(
        default=(),
        description="addresses and networks that may call, any when empty; others get 60021 [doc 1519]",
    )
    community: bool = Field(
        default=True, description="console switch for Communities; off: 11000 [doc 48172, docS create_topic]"
    )
    message_extensions: bool = Field(
        default=True, description="edition and console switch for message extensions; off: 10008 [doc 52170]"
    )
    conversation_groups: bool = Field(
        default=True, description="edition with conversation groups and standard marks; off: 51013 [doc 53437]"
    )
    official_accounts: bool = Field(default=True, description="the official account service; off: 131000 [doc 60756]")
    system_notices: bool = Field(
        default=False,
        description="Communities write notices of joins, leaves and changes into history, as by default [doc 33529]",
    )
    account_deletion: bool = Field(
        default=True, description="console restriction on account_delete lifted; off: 71000 [doc 34955, doc 50301]"
    )
    group_fields: tuple[str, ...] = Field(
        default=("ch_tag",), description="custom group fields declared in the console, 10 at most [docS 1502]"
    )
    member_fields: tuple[str, ...] = Field(
        default=(), description="custom member fields declared in the console, 5 at most [docS 1502]"
    )
    profile_fields: tuple[str, ...] = Field(
        default=(), description="custom profile fields declared in the console, without Tag_Profile_Custom_ [doc 1500]"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_admin_at_least(cls, values: Any) -> Any:
        """`admin` alone is enough: it is then the only one."""
        if isinstance(values, Mapping) and "admin" in values and "admins" not in values:
            return {**values, "admins": (values["admin"],)}
        return values

    @field_validator("ip_allow_list")
    @classmethod
    def _addresses(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(f"{entry!r} is neither an IP address nor a network such as 192.0.2.0/24") from None
        return entries

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.admin not in self.admins:
            raise ValueError(f"admins must contain {self.admin!r}")
        if len(self.admins) > limits.ADMINS_PER_APP:
            raise ValueError(f"{len(self.admins)} admins; an app has {limits.ADMINS_PER_APP} at most")
        _check_declared("group_fields", self.group_fields, limits.GROUP_FIELD_KEYS)
        _check_declared("member_fields", self.member_fields, limits.MEMBER_FIELD_KEYS)
        for key in self.group_fields:
            if key in self.member_fields:
                raise ValueError(f"{key!r} is a key of group_fields and of member_fields; a name may be used once")
        return self


def _check_declared(what: str, keys: tuple[str, ...], most: int) -> None:
    if len(set(keys)) > most:
        raise ValueError(f"{what}: {len(keys)} keys; an app declares {most} at most")
    for key in keys:
        if not 1 <= len(key) <= limits.GROUP_FIELD_KEY_BYTES or not KEY_LETTERS.issuperset(key):
            raise ValueError(f"{what}: {key!r} is no key: A-Z a-z 0-9 _, {limits.GROUP_FIELD_KEY_BYTES} bytes at most")
        if key[0].isdigit():
            raise ValueError(f"{what}: {key!r} begins with a digit")


class Rates(Section):
    """Calls per second of each command; the numbers themselves stand in the command catalog."""

    enabled: bool = Field(default=True, description="off: no call is ever refused with 60007 [doc 34381]")
    overrides: dict[str, float] = Field(
        default={}, description='calls per second by "service/command", in place of the catalog\'s number'
    )


class StubSettings(BaseModel):
    """Everything that can be set; `StubSettings()` is the documented service with every feature on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    app: App = App()
    limits: Capacity = Capacity()
    rates: Rates = Rates()
    behaviour: Behaviour = Behaviour()

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file; raises SettingsError naming the file, the key and, for an unknown key, the nearest one."""
        return cls.read(read_toml(path), str(path))

    @classmethod
    def read(cls, values: Mapping[str, Any], where: str = "stub settings") -> Self:
        """The same from plain values."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise SettingsError(f"{where}: {_explain(cls, error)}") from None

    def changed(self, **sections: Mapping[str, Any]) -> Self:
        """A copy with some values replaced: `settings.changed(app={"community": False})`."""
        current = {name: dict(getattr(self, name)) for name in type(self).model_fields}
        if self.app.admins == (self.app.admin,):
            del current["app"]["admins"]  # they follow from `admin`
        values = {name: {**current[name], **sections.get(name, {})} for name in current}
        return self.read(values | {name: value for name, value in sections.items() if name not in values})

    def entries(self) -> Iterator[tuple[str, str, Any, str]]:
        """Every setting as (section, name, value, description)."""
        for section in type(self).model_fields:
            part: BaseModel = getattr(self, section)
            for name, field in type(part).model_fields.items():
                yield section, name, getattr(part, name), field.description or ""


def _explain(root: type[BaseModel], error: ValidationError) -> str:
    """One sentence for the first problem. Values are never printed: one of them is the key."""
    problem = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] != "extra_forbidden":
        return f"{where}: {problem['msg']}" if where else problem["msg"]
    known = root
    for part in problem["loc"][:-1]:
        annotation = known.model_fields[str(part)].annotation
        if not isinstance(annotation, type) or not issubclass(annotation, BaseModel):
            break
        known = annotation
    nearest = difflib.get_close_matches(str(problem["loc"][-1]), known.model_fields, n=1, cutoff=0.4)
    return f"unknown setting {where!r}" + (f"; did you mean {nearest[0]!r}?" if nearest else "")


def example(**more: BaseModel) -> str:
    """Every setting with its default, its reason and its source, as TOML; `more` are sections beside the settings."""
    defaults = StubSettings()
    sections: dict[str, BaseModel] = {name: getattr(defaults, name) for name in type(defaults).model_fields} | more
    lines = ["# Settings of the stub server. Every value is the default; brackets name the source.", ""]
    for section, part in sections.items():
        lines += [f"# {line}" for line in (type(part).__doc__ or "").strip().splitlines()] + [f"[{section}]"]
        for name, field in type(part).model_fields.items():
            value = getattr(part, name)
            lines += [f"# {field.description}", f"# {name} =" if value is None else f"{name} = {_toml(value)}"]
        lines.append("")
    return "\n".join(lines)


def _toml(value: object) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False)
