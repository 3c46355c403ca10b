"""What may not fit on the target, and what is done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from channel_adapter.errors import InvalidError
from channel_adapter.quoting import shown_value


class Resolution(StrEnum):
    """What is done about an incompatibility."""

    REFUSE = "refuse"  # the plan cannot be applied while there is one
    STORE = "store"  # cut on the target, kept whole in the adapter's database, and the tag says so
    CUT = "cut"  # cut on a character boundary, and listed


class Incompatibility(StrEnum):
    """What may not fit on the target."""

    NAME = "name"
    INTRODUCTION = "introduction"
    AVATAR = "avatar"  # half a URL is none: cut leaves it out
    ORGANIZATION = "organization"
    CUSTOM_DATA = "custom_data"
    POST_MEDIA = "post_media"  # import carries text, face, location and custom elements: the rest becomes a card
    POST_SIZE = "post_size"
    SUBSCRIBER_DATA = "subscriber_data"  # a member has no room for 3,000 bytes: cut leaves it out


PROFILE_INCOMPATIBILITIES: Final = (
    Incompatibility.NAME,
    Incompatibility.INTRODUCTION,
    Incompatibility.AVATAR,
    Incompatibility.ORGANIZATION,
    Incompatibility.CUSTOM_DATA,
)

EVERY: Final = "all"


@dataclass(frozen=True, slots=True)
class Resolutions:
    """One resolution for each incompatibility; `refuse` where none is named."""

    chosen: Mapping[Incompatibility, Resolution] = field(default_factory=dict)

    def of(self, loss: Incompatibility) -> Resolution:
        return self.chosen.get(loss, Resolution.REFUSE)

    @property
    def stores(self) -> bool:
        """Return whether any resolution needs a database."""
        return Resolution.STORE in self.chosen.values()

    def to_json(self) -> dict[str, str]:
        """Return every incompatibility with its resolution."""
        return {loss.value: self.of(loss).value for loss in Incompatibility}

    @classmethod
    def parse(cls, words: Iterable[str]) -> "Resolutions":
        """Return the resolutions of `name=cut`, `all=store`; later ones take precedence. Raises InvalidError."""
        chosen: dict[Incompatibility, Resolution] = {}
        for word in words:
            name, _, value = word.partition("=")
            if value not in set(Resolution):
                raise InvalidError(
                    f"policy {shown_value(word)}: give LOSS=POLICY with one of {', '.join(Resolution)}",
                    field="policies",
                )
            if name != EVERY and name not in set(Incompatibility):
                raise InvalidError(
                    f"policy {shown_value(word)}: {shown_value(name)} is not one of"
                    f" {', '.join([*Incompatibility, EVERY])}",
                    field="policies",
                )
            chosen |= {loss: Resolution(value) for loss in Incompatibility if name in (EVERY, loss.value)}
        return cls(chosen)
