"""Plans as values, and plan.json: what moves where, what does not fit, and what it costs.

A plan is ready when it has no problems and none of its losses is refused. `changes` returns what the source did since.
"""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final, Literal

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from channel_adapter.backends.community.tag import Tag
from channel_adapter.concurrency.files import replace_file
from channel_adapter.domain.channel import ChannelProfile
from channel_adapter.domain.ids import ChannelId
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.migration.plan.resolutions import Incompatibility, Resolution, Resolutions
from channel_adapter.migration.plan.transform import TargetLimits
from channel_adapter.migration.sources.source import SourceChannel, SourceSpec
from channel_adapter.quoting import shown_text, shown_value
from channel_adapter.tencent.limits import GroupProfileBytes

FORMAT: Final = "channel-adapter migration plan"
VERSION: Final = 1


class PlanPart(BaseModel):
    """A part of a plan; unknown keys are refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")


class PostCounts(PlanPart):
    """Posts of one channel. `expired`: the source still counts them, and their bodies are gone. `foreign` ones are
    what others wrote to it.

    `moved_in_time` get another second than their own, because the target wants each later than the one before.
    """

    reachable: int = 0
    recalled: int = 0
    expired: int = 0
    foreign: int = 0
    moved_in_time: int = 0
    newest: str = ""
    elements: dict[str, int] = {}


class SubscriberCounts(PlanPart):
    """Subscribers of one channel: the source's count, and the counts of reading them all, where that was done."""

    subscribers: int = 0
    read: bool = False
    not_default: int | None = None
    with_data: int | None = None


class PlannedSource(PlanPart):
    """A channel as it was read."""

    id: str
    owner: str
    name: str
    introduction: str = ""
    avatar: str = ""
    organization: str = ""
    custom_data: str = ""
    created_at: int = 0
    max_subscribers: int | None = None
    admins: tuple[str, ...] = ()
    posts: PostCounts = PostCounts()
    audience: SubscriberCounts = SubscriberCounts()


class TargetState(StrEnum):
    """What exists at the id on the target."""

    FREE = "free"
    OURS = "ours"  # made by this migration
    OTHER_MIGRATION = "other_migration"
    CHANNEL = "channel"  # made here, by no migration
    STRANGER = "stranger"  # a group that is no channel
    UNKNOWN = "unknown"  # the id itself is impossible


class PlannedTarget(PlanPart):
    """The channel to create. `created_at` is None where it is unknown: then it is the time of the move.

    `kept` names what of it stands whole in the adapter's database.
    """

    id: str
    owner: str
    name: str
    introduction: str = ""
    avatar: str = ""
    organization: str = ""
    custom_data: str = ""
    created_at: int | None = None
    max_subscribers: int | None = None
    admins: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    state: TargetState = TargetState.FREE

    @property
    def channel(self) -> ChannelId:
        """The id, checked when the plan was made."""
        return ChannelId(self.id)

    @property
    def profile(self) -> ChannelProfile:
        """The profile of the target."""
        return ChannelProfile(
            name=self.name, introduction=self.introduction, avatar=self.avatar,
            organization=self.organization, custom_data=self.custom_data, max_subscribers=self.max_subscribers,
        )  # fmt: skip

    def tag(self, migration: str) -> Tag:
        """Return the tag of the target."""
        return Tag(migration, self.kept)


class PlannedIncompatibility(PlanPart):
    """What does not fit of one channel, and what is done about it.

    Texts: size and limit in bytes, and the text that is kept. Posts: their keys. Subscribers: how many, if known.
    """

    loss: Incompatibility
    policy: Resolution
    count: int
    size: int | None = None
    limit: int | None = None
    kept: str | None = None
    posts: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        return self.policy is Resolution.REFUSE


class Problem(PlanPart):
    """Why a channel cannot be moved as planned, whatever the policies say."""

    field: str
    message: str


class PlannedChannel(PlanPart):
    """One channel, from and to. `left_behind` are posts of which no part can be carried: they go to the quarantine."""

    source: PlannedSource
    target: PlannedTarget
    losses: tuple[PlannedIncompatibility, ...] = ()
    left_behind: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class PlannedCalls(PlanPart):
    """Calls of one command: how many for how many items, and the seconds they take under its limit."""

    stage: Literal["move", "verify"]
    command: str
    items: int
    per_call: int
    calls: int
    per_second: float
    seconds: float


class UnusableRecord(PlanPart):
    """A record of the source that cannot be used; the quarantine file has it whole."""

    where: str
    field: str
    reason: str


class PlannedLimits(PlanPart):
    """What the target allowed when the plan was made: custom group fields by name, and sizes in bytes."""

    tag_key: str
    organization_key: str | None
    custom_data_keys: tuple[str, ...]
    name: int
    introduction: int
    notification: int
    face_url: int
    post: int

    @classmethod
    def of(cls, target: TargetLimits) -> "PlannedLimits":
        """Return the limits of the settings."""
        keys, sizes = target.keys, target.sizes._asdict()
        return cls(
            tag_key=keys.tag, organization_key=keys.organization, custom_data_keys=keys.custom_data,
            post=target.post_bytes, **sizes,
        )  # fmt: skip

    def target(self) -> TargetLimits:
        """Return the limits as transforms take them."""
        return TargetLimits(
            FieldKeys(self.tag_key, self.organization_key, self.custom_data_keys),
            GroupProfileBytes(self.name, self.introduction, self.notification, self.face_url),
            self.post,
        )


class Plan(PlanPart):
    """What `migrate apply` applies."""

    format: Literal["channel-adapter migration plan"] = FORMAT
    version: Literal[1] = VERSION
    migration: str
    sdkappid: int
    fingerprint: str
    source: SourceSpec
    policies: dict[Incompatibility, Resolution]
    limits: PlannedLimits
    channels: tuple[PlannedChannel, ...]
    broken: tuple[UnusableRecord, ...] = ()
    broken_count: int = 0
    calls: tuple[PlannedCalls, ...] = ()
    seconds: float = 0.0
    not_carried: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Return whether the plan may be applied."""
        return not any(self.problems()) and not any(loss.refused for _, loss in self.losses())

    @property
    def chosen(self) -> Resolutions:
        """The resolutions of the plan."""
        return Resolutions(self.policies)

    def losses(self) -> Iterator[tuple[PlannedChannel, PlannedIncompatibility]]:
        """Yield every incompatibility with its channel."""
        return ((channel, loss) for channel in self.channels for loss in channel.losses)

    def problems(self) -> Iterator[tuple[PlannedChannel, Problem]]:
        """Yield every problem with its channel."""
        return ((channel, problem) for channel in self.channels for problem in channel.problems)

    def channel(self, source_id: str) -> PlannedChannel | None:
        """Return the channel with this id in the source; None if there is none."""
        return next((each for each in self.channels if each.source.id == source_id), None)


class SourceChange(PlanPart):
    """A change of a source since the plan was made. `planned` and `now` are texts for users.

    A `serious` one makes the plan wrong: it must be made again. The others are what the next delta moves.
    """

    channel: str
    field: str
    planned: str
    now: str
    serious: bool

    def __str__(self) -> str:
        return f"{self.channel}: {self.field} was {shown_value(self.planned)}, is {shown_value(self.now)}"


PROFILE_FIELDS: Final = (
    "owner", "name", "introduction", "avatar", "organization", "custom_data", "created_at", "admins",
)  # fmt: skip


def changes(plan: Plan, now: Mapping[str, SourceChannel], spec: SourceSpec | None = None) -> list[SourceChange]:
    """Return what differs between the channels of a plan and the channels now, by source id.

    `spec`, of the source as it is now, tells which files are others than they were.
    """
    found: list[SourceChange] = []
    for kind, before in plan.source.digests.items():
        after = spec.digests.get(kind, "") if spec else before
        if after != before:
            file = plan.source.files.get(kind, kind)
            found.append(SourceChange(channel=file, field="file", planned=before[:12], now=after[:12], serious=False))
    for channel in plan.channels:
        was, current = channel.source, now.get(channel.source.id)
        if current is None:
            found.append(SourceChange(channel=was.id, field="channel", planned="there", now="gone", serious=True))
            continue
        for name in PROFILE_FIELDS:
            before, after = getattr(was, name), getattr(current, name)
            if before != after:
                found.append(
                    SourceChange(channel=was.id, field=name, planned=str(before), now=str(after), serious=True)
                )
        if was.audience.subscribers != current.subscriber_count:
            before, after = str(was.audience.subscribers), str(current.subscriber_count)
            found.append(SourceChange(channel=was.id, field="subscribers", planned=before, now=after, serious=False))
    return found


FIELD = "plan"


def to_json(plan: Plan) -> bytes:
    """Return the plan as JSON; equal plans are equal bytes."""
    return orjson.dumps(plan.model_dump(mode="json"), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def from_json(text: bytes, where: str) -> Plan:
    """Return the plan of a file. Raises InvalidError that names the file and what is wrong in it."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise InvalidError(f"{where} is no JSON: {wrong}", field=FIELD) from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise InvalidError(f"{where} is no plan of a migration", field=FIELD)
    if document.get("version") != VERSION:
        made = document.get("version")
        raise InvalidError(
            f"{where} is a plan of version {shown_value(made)}; this program reads {VERSION}: plan again", field=FIELD
        )
    try:
        return Plan.model_validate(document)
    except ValidationError as wrong:
        problem = wrong.errors(include_url=False, include_context=False, include_input=False)[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise InvalidError(f"{where}: {shown_text(name)}: {problem['msg']}", field=FIELD) from None


def planned_sources(text: str) -> frozenset[str]:
    """Return the ids in the source of the channels of a plan that `to_json` has written, without checking the rest."""
    return frozenset(channel["source"]["id"] for channel in orjson.loads(text)["channels"])


def read_plan(path: Path) -> Plan:
    """Read a plan. Raises InvalidError, and OSError when the file cannot be read."""
    return from_json(path.read_bytes(), str(path))


def write_plan(path: Path, plan: Plan) -> None:
    """Write a plan; a full disk leaves the earlier file. Raises OSError."""
    replace_file(path, to_json(plan))


def check_app(plan: Plan, sdkappid: int, where: str) -> None:
    """Raise InvalidError for a plan of another app."""
    if plan.sdkappid != sdkappid:
        raise InvalidError(f"{where} is a plan for app {plan.sdkappid}; the settings name {sdkappid}", field=FIELD)
