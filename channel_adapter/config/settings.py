"""Settings: a TOML file, the environment (`CHANNEL_ADAPTER_*`, stronger than the file), or values given in Python.

`Settings` holds the values of the first level; each table of the file is one more class here and a field of `Settings`.
Nested tables are reached from the environment with two underscores: `CHANNEL_ADAPTER_CHANNELS__TAG_KEY`.
"""

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from channel_adapter.config.sources import CrossFieldError, Sources, explained, read_environment, read_file
from channel_adapter.config.values import OptionalSecret, RateLimits, Secret, Secrets, database_url_fault, proxy_fault
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.reaction import DisplayMode
from channel_adapter.errors import ConfigurationError, InvalidError
from channel_adapter.mapping.ids import SCHEMES, IdScheme
from channel_adapter.mapping.text import require_text
from channel_adapter.quoting import shown_value
from channel_adapter.tencent import limits
from channel_adapter.tencent.regions import REGIONS, HostPair

DATABASES: Final = ("sqlite", "postgresql")


class SettingsTable(BaseModel):
    """Base of the tables of a settings file. Unknown keys are refused; made in Python, it raises ConfigurationError."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,  # one of the values is the key
        str_strip_whitespace=True,  # files and variables often end with a line break
        defer_build=True,
    )

    if not TYPE_CHECKING:  # type checkers read the parameters off the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as wrong:
                raise explained(wrong, type(self)) from None

        __init__.__pydantic_base_init__ = True  # a table inside Settings is read in place, which keeps its whole path


class ChannelSettings(SettingsTable):
    """Configure how channels are stored in groups. Keys are declared in the console first; an app has 10 in all."""

    tag_key: str = Field(default="ch_tag", description="custom group field that marks a group as a channel")
    organization_key: str | None = Field(default=None, description="custom group field for the organization, 512 bytes")
    custom_data_keys: tuple[str, ...] = Field(
        default=(), description="fields for custom data, 512 bytes each, 3000 in all"
    )
    profile_limits: Literal["current", "legacy"] = Field(
        default="current",
        description="byte limits of name, introduction, notification, avatar: 100/400/400/500 or 30/240/300/100",
    )
    cache_seconds: float = Field(
        default=300.0, ge=0, description="time in seconds for which a tag that was read is used; 0 turns the cache off"
    )
    cache_entries: int = Field(default=100_000, ge=1, description="number of groups in the tag cache")

    @field_validator("tag_key", "organization_key", "custom_data_keys")
    @classmethod
    def _check_keys(cls, keys: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        for key in (keys,) if isinstance(keys, str) else keys or ():
            _check_key(key)
        return keys

    @model_validator(mode="after")
    def _check_keys_together(self) -> Self:
        keys = [self.tag_key, *filter(None, [self.organization_key]), *self.custom_data_keys]
        fields = ("tag_key", "organization_key", "custom_data_keys")
        if len(set(keys)) != len(keys):
            raise CrossFieldError("the same custom group field key is named twice", fields)
        if len(keys) > limits.GROUP_FIELD_KEYS:
            message = f"{len(keys)} custom group field keys; an app has {limits.GROUP_FIELD_KEYS} in all"
            raise CrossFieldError(message, fields)
        return self


class SubscriptionSettings(SettingsTable):
    """Configure batch sizes of subscribing and unsubscribing, and system notices."""

    add_per_call: int = Field(default=limits.ADD_MEMBERS_PER_CALL, ge=1, le=limits.ADD_MEMBERS_PER_CALL_HIGHEST)
    remove_per_call: int = Field(
        default=limits.DELETE_MEMBERS_PER_CALL, ge=1, le=limits.DELETE_MEMBERS_PER_CALL_HIGHEST
    )
    notify: bool = Field(default=False, description="notify members of every join and leave by a system notice")


class PostSettings(SettingsTable):
    """Configure the size and the rate of posts."""

    max_bytes: int = Field(default=limits.MESSAGE_BYTES_SAFE, ge=1, description="size of a post's body as JSON")
    per_second: int = Field(
        default=limits.MESSAGES_PER_SECOND_PER_GROUP, ge=1, description="posts a second in one channel"
    )
    broadcasts_per_second: float = Field(
        default=limits.OFFICIAL_MESSAGES_PER_SECOND,
        gt=0,
        description="posts a second of one official account, in mode official",
    )
    broadcasts_per_hour: int = Field(
        default=limits.OFFICIAL_BROADCASTS_PER_HOUR,
        ge=1,
        description="posts an hour of one official account, counted in database_url",
    )


class ScheduleSettings(SettingsTable):
    """Configure posts that are published at a time."""

    max_lateness: float = Field(
        default=3_600.0, ge=60, description="seconds after its time in which a post is still sent; later it is missed"
    )


class InviteSettings(SettingsTable):
    """Configure invitations."""

    link_template: str | None = Field(
        default=None,
        description="link of an invitation, with {code} and perhaps {slug}: https://example.org/join/{slug}/{code}",
    )

    @field_validator("link_template")
    @classmethod
    def _check_template(cls, template: str | None) -> str | None:
        if template is None:
            return None
        names = re.findall(r"\{(.*?)\}", template)
        if names.count("code") != 1 or not {"code", "slug"}.issuperset(names):
            raise ValueError("must have {code} once, and may have {slug}")
        if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", template):
            raise ValueError("must be a link with a scheme, for example https://example.org/join/{code}")
        return template


class InsightSettings(SettingsTable):
    """Configure the figures of channels."""

    record: bool = Field(
        default=False, description="store joins and leaves that webhooks report in database_url, for insights"
    )
    keep_days: int = Field(default=400, ge=1, le=36_500, description="days for which joins and leaves are kept")


class ConsoleSettings(SettingsTable):
    """Configure where pictures of this machine are stored for readers; one of directory and bucket."""

    media_dir: Path | None = Field(default=None, description="directory of pictures, which the console serves")
    media_bucket: str | None = Field(
        default=None,
        description="bucket of pictures: s3://name/path, gs:// or az://; AWS_... variables hold endpoint and keys",
    )
    media_public_url: str | None = Field(
        default=None, description="address under which readers load the pictures: https://example.org/media"
    )

    @field_validator("media_bucket")
    @classmethod
    def _check_bucket(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"(s3|gs|az)://[^/]", url):
            raise ValueError("must be s3://name, gs://name or az://account/name, perhaps with a path")
        return url

    @field_validator("media_public_url")
    @classmethod
    def _check_public_url(cls, url: str | None) -> str | None:
        if url is not None and not re.match(r"https?://[^/?#]+(/[^?#]*)?$", url):
            raise ValueError("must be an https address without a query")
        return url

    @model_validator(mode="after")
    def _check_one_store(self) -> Self:
        fields = ("media_dir", "media_bucket")
        if self.media_dir is not None and self.media_bucket is not None:
            raise CrossFieldError("media_dir and media_bucket are two stores: give one", fields)
        has_store = self.media_dir is not None or self.media_bucket is not None
        if has_store != (self.media_public_url is not None):
            raise CrossFieldError("media_public_url and one of media_dir and media_bucket go together", fields)
        return self


class UnreadSettings(SettingsTable):
    """Configure users' conversation groups of channels, which keep unread posts apart from chats."""

    assign: bool = Field(
        default=True, description="subscribing puts the channel into the group, unsubscribing takes it out"
    )
    name: str = Field(default="Channels", description="the group's name, 32 bytes")
    assign_up_to: int = Field(
        default=1_000, ge=0, description="users in one call whose groups are changed unless `assign` is given"
    )
    keep_by_hand: bool = Field(
        default=True, description="a sync leaves other conversations that the user put into the group"
    )

    @field_validator("name")
    @classmethod
    def _check_group_name(cls, name: str) -> str:
        try:
            return require_text(name, "name", limits.CONTACT_GROUP_NAME_BYTES, empty=False)
        except InvalidError as wrong:
            raise ValueError(wrong.message) from None


class ReactionSettings(SettingsTable):
    """Which users may react, how often, and where counts are displayed. Without `database_url` messages carry both."""

    per_person: int = Field(
        default=1, ge=1, le=20, description="reactions of a user to a post; a new one replaces the oldest"
    )
    subscribers_only: bool = Field(default=True, description="refuse users who do not follow the channel")
    client_reactions: Literal["accept", "ignore"] = Field(
        default="accept",
        description="what client apps write into keys; the service lets them write the keys of other users, too",
    )
    display: Literal["auto", "extensions", "custom_data", "store"] = Field(
        default="auto",
        description="where counts of the store are written for other client apps; auto: extensions, unless refused",
    )
    on_unsubscribe: Literal["keep", "remove"] = Field(
        default="keep", description="the reactions of users in a channel that they leave"
    )
    keep_days: int = Field(
        365, ge=0, le=36_500,
        description="remove reactions to a post when none has changed for so many days; 0 keeps them",
    )  # fmt: skip

    @property
    def display_mode(self) -> DisplayMode | None:
        """The fixed display mode, or None for the automatic one."""
        return None if self.display == "auto" else DisplayMode(self.display)


class WebhookSettings(SettingsTable):
    """Configure which webhooks are accepted, and which of their events reach the app's handlers."""

    tokens: Secrets = Field(
        default=cast("Any", ()), description="the console's token, and the next one while it is changed"
    )
    window_seconds: float = Field(default=60.0, gt=0, le=600, description="how far a signature's time may lie from now")
    own_echoes: bool = Field(default=False, description="deliver events that this adapter's own calls caused, too")
    other_groups: bool = Field(default=False, description="deliver what is about no channel, as Other")
    lost_after_seconds: float = Field(
        default=5.0, ge=0, description="time after which a post that passed the guard counts as lost; 0 turns it off"
    )
    max_requests: int = Field(default=512, ge=1, description="requests under way; more are turned away")
    max_connections: int | None = Field(
        default=None,
        ge=1,
        description="open connections; unset: the limit of open files (ulimit -n) less 200, at most 2,000",
    )
    request_seconds: float = Field(
        default=5.0, gt=0, description="time for a request to arrive whole, and again for its head"
    )

    @field_validator("tokens")
    @classmethod
    def _check_tokens(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(token.get_secret_value() for token in tokens):
            raise ValueError("a token is empty; leave it out to accept unsigned requests")
        return tokens


class InboxSettings(SettingsTable):
    """Configure how events are stored and handled after they are acknowledged."""

    kind: Literal["durable", "memory"] = Field(
        default="durable",
        description="durable: in database_url, else in ./channel-adapter.db; memory: a crash loses events",
    )
    attempts: int = Field(default=5, ge=1, description="how often an event is tried before it goes to the dead letters")
    retry_seconds: float = Field(
        default=1.0, ge=0, description="wait after the first failure; it doubles, to a minute at most"
    )
    reorder_seconds: float = Field(
        default=0.05, ge=0, description="how long an event waits for others that belong before it"
    )
    remember_hours: float = Field(
        default=24.0, gt=0, description="how long handled events are known, and repeats of them"
    )
    concurrency: int = Field(default=64, ge=1, description="events that are handled at once, of different channels")
    waiting_bytes: int = Field(
        default=32_000_000, ge=2**20, description="of events that may wait in one process; more are answered 503"
    )


class GuardSettings(SettingsTable):
    """Configure the answers to requests before posts, subscriptions and creations."""

    budget_seconds: float = Field(
        default=1.0, gt=0, lt=2, description="time for an answer; the service waits for 2 seconds"
    )
    on_failure: Literal["allow", "refuse"] = Field(default="allow", description="the answer when there is none in time")
    only_staff_posts: bool = Field(
        default=True, description="refuse posts of users who are neither owner nor admin of the channel"
    )
    closed: tuple[str, ...] = Field(default=(), description="channels that users cannot join by themselves")
    blocked: tuple[str, ...] = Field(default=(), description="users who cannot subscribe to any channel")
    caps: dict[str, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="most subscribers, by channel; the service's own limit may be lower"
    )
    creators: tuple[str, ...] = Field(
        default=(), description="users who may create Communities beside this adapter; empty: all"
    )

    def with_ids(self, scheme: IdScheme) -> "GuardSettings":
        """Return these settings with whole ids of channels in place of slugs. Raises CrossFieldError."""
        closed = [_channel_id(scheme, name, "closed") for name in self.closed]
        caps = {_channel_id(scheme, name, "caps"): cap for name, cap in self.caps.items()}
        return self.model_copy(update={"closed": tuple(closed), "caps": caps})


def _channel_id(scheme: IdScheme, name: str, field: str) -> str:
    try:
        return scheme.channel(name)
    except InvalidError as wrong:
        raise CrossFieldError(wrong.message, (field,)) from None


def _check_key(key: str) -> None:
    """Raise ValueError for a custom group field key that no app can declare [docS 1502, doc 34419]."""
    if not (key.isascii() and key.replace("_", "a").isalnum() and len(key) <= limits.GROUP_FIELD_KEY_BYTES):
        raise ValueError(
            f"custom group field key {shown_value(key)}: letters, digits and _ only,"
            f" {limits.GROUP_FIELD_KEY_BYTES} bytes at most"
        )
    if key[:1].isdigit():
        raise ValueError(f"custom group field key {shown_value(key)} begins with a digit, which the console refuses")


class Settings(SettingsTable):
    """Hold all settings of an adapter. Only `sdkappid`, `key` and one of `region` and `base_url` have no default.

    `Settings(...)` is made of these values alone; `Settings.load` reads the environment too. Both raise
    ConfigurationError.
    """

    sdkappid: int = Field(gt=0, description="the app's number")
    key: Secret = Field(description="the app's secret key, as the console shows it")
    admin: str = Field(
        default="administrator", min_length=1, description="an admin account of the app; calls are made as it"
    )
    mode: Mode = Field(
        default=Mode.COMMUNITY, description="how channels are stored: community (groups) or official (accounts)"
    )
    region: str | None = Field(default=None, description=f"data region of the app: {', '.join(REGIONS)}")
    base_url: str | None = Field(
        default=None, description="another server, for example the stub: http://127.0.0.1:8900"
    )
    backup_url: str | None = Field(default=None, description="second address, used when base_url cannot be reached")
    ca_file: Path | None = Field(
        default=None, description="PEM file of the authority that signed the server's certificate"
    )
    proxy: OptionalSecret = Field(
        default=cast("Any", None),
        description="HTTP proxy through which the service is reached: http://user:password@host:port",
    )
    trust_env: bool = Field(
        default=False, description="without proxy, use the proxies that the environment names, such as HTTPS_PROXY"
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
    rate_limits: RateLimits = Field(
        default=cast("Any", "process"),
        description="keep to the documented calls a second: each process, or all that share database_url; or off",
    )
    telemetry: bool = Field(
        default=False, description="spans and metrics by the OpenTelemetry providers of the process; extra otel"
    )
    calls_per_second: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict, description='other ceilings, by "service/command", for apps that bought more'
    )
    database_url: OptionalSecret = Field(
        default=cast("Any", None),
        description="where state is stored; None: nowhere, all is read from the service",
    )
    channels: ChannelSettings = Field(default_factory=ChannelSettings)
    subscriptions: SubscriptionSettings = Field(default_factory=SubscriptionSettings)
    posts: PostSettings = Field(default_factory=PostSettings)
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)
    invites: InviteSettings = Field(default_factory=InviteSettings)
    insights: InsightSettings = Field(default_factory=InsightSettings)
    console: ConsoleSettings = Field(default_factory=ConsoleSettings)
    unread: UnreadSettings = Field(default_factory=UnreadSettings)
    reactions: ReactionSettings = Field(default_factory=ReactionSettings)
    webhooks: WebhookSettings = Field(default_factory=WebhookSettings)
    guard: GuardSettings = Field(default_factory=GuardSettings)
    inbox: InboxSettings = Field(default_factory=InboxSettings)

    @field_validator("base_url", "backup_url")
    @classmethod
    def _check_url(cls, url: str | None) -> str | None:
        if url is not None:
            HostPair.of_base_url(url)
        return url

    @field_validator("proxy")
    @classmethod
    def _check_proxy(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and (fault := proxy_fault(url.get_secret_value())):
            raise ValueError(fault)
        return url

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        if not url.get_secret_value().startswith(DATABASES):
            raise ValueError(f"must begin with {' or '.join(DATABASES)}")
        if fault := database_url_fault(url.get_secret_value()):
            raise ValueError(fault)
        return url

    @field_validator("region")
    @classmethod
    def _check_region(cls, region: str | None) -> str | None:
        if region is not None and region not in REGIONS:
            raise ValueError(f"must be one of {', '.join(REGIONS)}; got {shown_value(region)}")
        return region

    @field_validator("key")
    @classmethod
    def _check_not_empty(cls, key: SecretStr) -> SecretStr:
        if not key.get_secret_value():
            raise ValueError("is empty")
        return key

    @field_validator("calls_per_second")
    @classmethod
    def _check_command_paths(cls, ceilings: dict[str, float]) -> dict[str, float]:
        if ceilings:
            from channel_adapter.tencent.catalog import COMMANDS  # noqa: PLC0415 - slow, and few have own ceilings

            known = [row.path for row in COMMANDS.values()]
            for path in sorted(ceilings.keys() - set(known)):
                near = difflib.get_close_matches(path, known, n=1)
                raise ValueError(
                    f"there is no command {shown_value(path)}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
        return ceilings

    @field_validator("guard")
    @classmethod
    def _resolve_channel_ids(cls, guard: GuardSettings, info: ValidationInfo) -> GuardSettings:
        return guard.with_ids(SCHEMES[info.data.get("mode", Mode.COMMUNITY)])

    @model_validator(mode="after")
    def _check_one_server(self) -> Self:
        if (self.region is None) == (self.base_url is None):
            raise CrossFieldError("exactly one of region and base_url must be given", ("region", "base_url"))
        return self

    @model_validator(mode="after")
    def _check_rate_limits(self) -> Self:
        url = self.database_url.get_secret_value() if self.database_url is not None else ""
        if self.rate_limits == "shared" and not url.startswith("postgresql"):
            raise CrossFieldError(
                'rate_limits = "shared" needs database_url on PostgreSQL', ("rate_limits", "database_url")
            )
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
            raise ConfigurationError(
                f"config must be the path of a settings file; got {shown_value(path)}", field="config"
            )
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
