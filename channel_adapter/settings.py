"""Settings: a TOML file, the environment (`CHANNEL_ADAPTER_*`, stronger than the file), or values given in Python.

Nested tables are reached from the environment with two underscores: `CHANNEL_ADAPTER_CHANNELS__TAG_KEY`.
"""

import difflib
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from channel_adapter.errors import ConfigurationError
from channel_adapter.tencent import limits
from channel_adapter.tencent.hosts import REGIONS, HostPair

ENV_PREFIX = "CHANNEL_ADAPTER_"


class Section(BaseModel):
    """One table of the file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ChannelSettings(Section):
    """How channels are kept in groups. Every key must be declared in the console first; the app has 10 in all."""

    tag_key: str = Field("ch_tag", description="custom group field that marks a group as a channel")
    organization_key: str | None = Field(None, description="custom group field for the organization, 512 bytes")
    custom_data_keys: tuple[str, ...] = Field((), description="fields for custom data, 512 bytes each, 3000 in all")
    profile_limits: Literal["current", "legacy"] = Field(
        "current",
        description="byte limits of name, introduction, notification, avatar: 100/400/400/500 or 30/240/300/100",
    )
    cache_seconds: float = Field(
        300.0, ge=0, description="how long a tag that was read is believed; 0 turns the cache off"
    )
    cache_entries: int = Field(100_000, ge=1, description="how many groups the tag cache remembers")

    @model_validator(mode="after")
    def _keys_are_legal(self) -> Self:
        keys = self.keys()
        for key in keys:
            if not (key.isascii() and key.replace("_", "a").isalnum() and len(key) <= limits.GROUP_FIELD_KEY_BYTES):
                raise ValueError(
                    f"custom group field key {key!r}: letters, digits and _ only,"
                    f" {limits.GROUP_FIELD_KEY_BYTES} bytes at most"
                )
        if len(set(keys)) != len(keys):
            raise ValueError("the same custom group field key is named twice")
        if len(keys) > limits.GROUP_FIELD_KEYS:
            raise ValueError(f"{len(keys)} custom group field keys; an app has {limits.GROUP_FIELD_KEYS} in all")
        return self

    def keys(self) -> tuple[str, ...]:
        """All custom group field keys that are ours."""
        organization = (self.organization_key,) if self.organization_key else ()
        return (self.tag_key, *organization, *self.custom_data_keys)


class SubscriptionSettings(Section):
    """Batch sizes of joining and leaving, and who hears of it."""

    add_per_call: int = Field(limits.ADD_MEMBERS_PER_CALL, ge=1, le=limits.ADD_MEMBERS_PER_CALL_HIGHEST)
    remove_per_call: int = Field(limits.DELETE_MEMBERS_PER_CALL, ge=1, le=limits.DELETE_MEMBERS_PER_CALL_HIGHEST)
    notify: bool = Field(False, description="tell members of every join and leave by a system notice")


class PostSettings(Section):
    """Size and speed of posts."""

    max_bytes: int = Field(limits.MESSAGE_BYTES_SAFE, ge=1, description="size of a post's body as JSON")
    per_second: int = Field(limits.MESSAGES_PER_SECOND_PER_GROUP, ge=1, description="posts a second in one channel")


class Settings(BaseSettings):
    """Everything an adapter needs. Only `sdkappid`, `key` and one of `region` and `base_url` have no default."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        hide_input_in_errors=True,  # one of the values is the key
    )

    sdkappid: int = Field(gt=0, description="the app's number")
    key: SecretStr = Field(description="the app's secret key, as the console shows it")
    admin: str = Field("administrator", min_length=1, description="an admin account of the app; calls are made as it")
    region: str | None = Field(None, description=f"data region of the app: {', '.join(REGIONS)}")
    base_url: str | None = Field(None, description="another server, for example the stub: http://127.0.0.1:8900")
    backup_url: str | None = Field(None, description="where to turn when base_url cannot be reached")
    ca_file: Path | None = Field(None, description="PEM file of the authority that signed the server's certificate")
    connect_seconds: float = Field(5.0, gt=0, description="time to connect")
    call_seconds: float = Field(10.0, gt=0, description="time for one attempt")
    total_seconds: float = Field(30.0, gt=0, description="time for a call with all its attempts and waits")
    concurrency: int = Field(64, ge=1, le=1000, description="calls under way at once")
    rate_limits: bool = Field(True, description="keep to the documented calls a second")
    calls_per_second: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description='other ceilings, by "service/command", for apps that bought more'
    )
    channels: ChannelSettings = ChannelSettings()
    subscriptions: SubscriptionSettings = SubscriptionSettings()
    posts: PostSettings = PostSettings()

    @field_validator("base_url", "backup_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None:
            HostPair.of_base_url(url)
        return url

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if (self.region is None) == (self.base_url is None):
            raise ValueError("exactly one of region and base_url must be given")
        if self.region is not None and self.region not in REGIONS:
            raise ValueError(f"region {self.region!r} is not one of {', '.join(REGIONS)}")
        if not self.key.get_secret_value():
            raise ValueError("key is empty")
        return self

    @classmethod
    def load(cls, path: str | Path | None = None, **overrides: Any) -> "Settings":
        """Read `path` (or nothing), then the environment, then `overrides`; the later one wins.

        Raises ConfigurationError, which names the file, the key that is wrong, and the nearest key that exists.
        """
        table = _read_toml(Path(path)) if path is not None else {}
        for stronger, weaker in (("base_url", ("region",)), ("region", ("base_url", "backup_url"))):
            if stronger in overrides or os.environ.get(ENV_PREFIX + stronger.upper()):
                for name in weaker:
                    table.pop(name, None)
        source = f"settings file {path}" if path is not None else "settings"

        class FromFile(cls):  # type: ignore[valid-type,misc]
            @classmethod
            def settings_customise_sources(
                cls_,  # noqa: N804
                settings_cls: type[BaseSettings],
                init_settings: PydanticBaseSettingsSource,
                env_settings: PydanticBaseSettingsSource,
                dotenv_settings: PydanticBaseSettingsSource,
                file_secret_settings: PydanticBaseSettingsSource,
            ) -> tuple[PydanticBaseSettingsSource, ...]:
                return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=table)

        try:
            found = FromFile(**overrides)
        except ValidationError as wrong:
            raise _explained(wrong, source) from None
        except SettingsError as wrong:
            raise ConfigurationError(f"{source}: {wrong}; tables and lists are JSON in the environment") from None
        return Settings.model_construct(**{name: getattr(found, name) for name in cls.model_fields})


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"there is no settings file {path}", field="config") from None
    except OSError as trouble:
        raise ConfigurationError(f"settings file {path} cannot be read: {trouble.strerror}", field="config") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as trouble:
        raise ConfigurationError(f"settings file {path} is not TOML: {trouble}", field="config") from None


def _explained(wrong: ValidationError, source: str) -> ConfigurationError:
    """One sentence on the first problem, without the values: one of them is the key."""
    problem = wrong.errors(include_url=False, include_input=False, include_context=False)[0]
    name = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _known_names(name.rpartition(".")[0])
        near = difflib.get_close_matches(name.rpartition(".")[2], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return ConfigurationError(f"{source}: unknown key {name!r}; {hint}", field=name)
    if problem["type"] == "missing":
        variable = ENV_PREFIX + name.replace(".", "__").upper()
        return ConfigurationError(f"{source}: {name!r} is missing; give it there or as {variable}", field=name)
    message = problem["msg"].removeprefix("Value error, ")
    return ConfigurationError(f"{source}: {f'{name}: ' if name else ''}{message}", field=name or None)


def _known_names(table: str) -> list[str]:
    model: type[BaseModel] = Settings
    for part in filter(None, table.split(".")):
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return list(model.model_fields)
