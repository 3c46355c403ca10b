"""Settings: a TOML file, the environment (`CHANNEL_ADAPTER_*`, stronger than the file), or values given in Python.

Nested tables are reached from the environment with two underscores: `CHANNEL_ADAPTER_CHANNELS__TAG_KEY`.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Self

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
from channel_adapter.settings_sources import explained, merged, read_environment, read_file, source_of
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
    database_url: SecretStr | None = Field(None, description="where state is stored; None: nowhere, all is asked anew")
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
        if url is not None and not url.get_secret_value().startswith(DATABASES):
            raise ValueError(f"must begin with {' or '.join(DATABASES)}")
        return url

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
            raise ValueError("exactly one of region and base_url must be given")
        if self.region is not None and self.region not in REGIONS:
            raise ValueError(f"region {self.region!r} is not one of {', '.join(REGIONS)}")
        if not self.key.get_secret_value():
            raise ValueError("key is empty")
        return self

    @classmethod
    def load(cls, path: str | Path | None = None, **given: Any) -> Self:
        """Read `path` (or nothing), then the environment, then `given`; the later one wins, and names the server.

        Raises ConfigurationError, which names the file or variable, the key that is wrong, and the nearest that exists.
        """
        if path is not None and not isinstance(path, str | Path):
            raise ConfigurationError(f"{path!r} is no path of a settings file", field="config")
        file = Path(path) if path is not None else None
        values = read_file(file) if file is not None else {}
        for stronger in (read_environment(cls), given):
            if "base_url" in stronger:
                values.pop("region", None)
            if "region" in stronger:
                values = {name: value for name, value in values.items() if name not in {"base_url", "backup_url"}}
            values = merged(values, stronger)
        try:
            return cls.model_validate(values)
        except ValidationError as wrong:
            raise explained(wrong, cls, lambda loc: source_of(loc, given, file)) from None
