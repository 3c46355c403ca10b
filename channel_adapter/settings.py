"""Settings: a TOML file, the environment (`CHANNEL_ADAPTER_*`, stronger than the file), or values given in Python.

Nested tables are reached from the environment with two underscores: `CHANNEL_ADAPTER_CHANNELS__TAG_KEY`.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator

from channel_adapter.errors import ConfigurationError
from channel_adapter.settings_sections import (
    ChannelSettings,
    GuardSettings,
    InboxSettings,
    PostSettings,
    ReactionSettings,
    Section,
    SubscriptionSettings,
    UnreadSettings,
    WebhookSettings,
)
from channel_adapter.settings_sources import CrossFieldError, Sources, explained, read_environment, read_file
from channel_adapter.settings_values import OptionalSecret, Secret, database_url_fault
from channel_adapter.tencent import limits
from channel_adapter.tencent.hosts import REGIONS, HostPair

__all__ = [
    "ChannelSettings",
    "GuardSettings",
    "InboxSettings",
    "PostSettings",
    "ReactionSettings",
    "Settings",
    "SubscriptionSettings",
    "UnreadSettings",
    "WebhookSettings",
]

DATABASES = ("sqlite", "postgresql")


class Settings(Section):
    """Everything an adapter needs. Only `sdkappid`, `key` and one of `region` and `base_url` have no default.

    `Settings(...)` is made of these values alone; `Settings.load` reads the environment too. Both raise
    ConfigurationError.
    """

    sdkappid: int = Field(gt=0, description="the app's number")
    key: Secret = Field(description="the app's secret key, as the console shows it")
    admin: str = Field(
        default="administrator", min_length=1, description="an admin account of the app; calls are made as it"
    )
    region: str | None = Field(default=None, description=f"data region of the app: {', '.join(REGIONS)}")
    base_url: str | None = Field(
        default=None, description="another server, for example the stub: http://127.0.0.1:8900"
    )
    backup_url: str | None = Field(default=None, description="where to turn when base_url cannot be reached")
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authority that signed the server's certificate"
    )
    connect_seconds: float = Field(default=5.0, gt=0, description="time to connect")
    call_seconds: float = Field(default=10.0, gt=0, description="time for one attempt")
    total_seconds: float = Field(default=30.0, gt=0, description="time for a call with all its attempts and waits")
    concurrency: int = Field(default=64, ge=1, le=1000, description="calls under way at once")
    max_response_bytes: int = Field(
        default=limits.MAX_RESPONSE_BYTES,
        ge=1,
        description="size of an answer after decompression; a larger one is not read",
    )
    rate_limits: bool = Field(default=True, description="keep to the documented calls a second")
    calls_per_second: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict, description='other ceilings, by "service/command", for apps that bought more'
    )
    database_url: OptionalSecret = Field(
        default=cast("Any", None),
        description="where state is stored; None: nowhere, all is read from the service",
    )
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    subscriptions: SubscriptionSettings = Field(default_factory=SubscriptionSettings)
    posts: PostSettings = Field(default_factory=PostSettings)
    unread: UnreadSettings = Field(default_factory=UnreadSettings)
    reactions: ReactionSettings = Field(default_factory=ReactionSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    inbox: InboxSettings = Field(default_factory=InboxSettings)

    @field_validator("base_url", "backup_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None:
            HostPair.of_base_url(url)
        return url

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().startswith(DATABASES):
            raise ValueError(f"must begin with {' or '.join(DATABASES)}")
        if fault := database_url_fault(url.get_secret_value()):
            raise ValueError(fault)
        return url

    @field_validator("region")
    @classmethod
    def _is_a_region(cls, region: str | None) -> str | None:
        if region is not None and region not in REGIONS:
            raise ValueError(f"{region!r} is not one of {', '.join(REGIONS)}")
        return region

    @field_validator("key")
    @classmethod
    def _is_not_empty(cls, key: SecretStr) -> SecretStr:
        if not key.get_secret_value():
            raise ValueError("is empty")
        return key

    @field_validator("calls_per_second")
    @classmethod
    def _are_commands(cls, ceilings: dict[str, float]) -> dict[str, float]:
        if ceilings:
            from channel_adapter.tencent.catalog import COMMANDS  # noqa: PLC0415 - slow, and few have own ceilings

            known = [row.path for row in COMMANDS.values()]
            for path in sorted(ceilings.keys() - set(known)):
                near = difflib.get_close_matches(path, known, n=1)
                raise ValueError(f"there is no command {path!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return ceilings

    @model_validator(mode="after")
    def _one_server(self) -> Self:
        if (self.region is None) == (self.base_url is None):
            raise CrossFieldError("exactly one of region and base_url must be given", ("region", "base_url"))
        return self

    @classmethod
    def load(cls, path: str | Path | None = None, **given: Any) -> Self:
        """Read a settings file, then the environment, then `given`; a later value replaces an earlier one.

        `region` and `base_url` exclude each other wherever they come from, and a `backup_url` does not stay when a
        later source replaces the `base_url` that it belongs to. `region=None` or `base_url=None` in `given` drops the
        value of file and environment.

        Raises ConfigurationError, which names the file or variable, the key that is wrong, and the nearest that exists.
        """
        if path is not None and not isinstance(path, str | Path):
            raise ConfigurationError(f"{path!r} is no path of a settings file", field="config")
        file = Path(path) if path is not None else None
        sources = Sources(read_file(file) if file is not None else {}, read_environment(cls), given, file)
        _refuse_two_servers(sources)
        try:
            return cls.model_validate(sources.merged())
        except ValidationError as wrong:
            raise explained(wrong, cls, sources) from None


def _refuse_two_servers(sources: Sources) -> None:
    """Raise ConfigurationError if a source would redirect calls that another source sends to a server of its own."""
    region, base, backup = (sources.rank(name) for name in ("region", "base_url", "backup_url"))
    if region is not None and base is not None and region != base:
        raise ConfigurationError(
            f"{sources.name_of(('region',))} sets region and {sources.name_of(('base_url',))} sets base_url;"
            " exactly one of them must be given",
            field="region",
        )
    if base is not None and backup is not None and base > backup and sources.sets(backup, "base_url"):
        raise ConfigurationError(
            f"{sources.name_of(('backup_url',))} sets backup_url for a base_url that {sources.name_of(('base_url',))}"
            " replaces; set both in one place",
            field="backup_url",
        )
