"""What may not fit on the target, and what is to be done about each of them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from channel_adapter.errors import InvalidError


class Policy(StrEnum):
    """What is done about a loss."""

    REFUSE = "refuse"  # the plan cannot be applied while there is one
    STORE = "store"  # cut on the target, kept whole in the adapter's database, and the tag says so
    CUT = "cut"  # cut on a character boundary, and listed


class Loss(StrEnum):
    """What can be lost."""

    NAME = "name"
    INTRODUCTION = "introduction"
    AVATAR = "avatar"  # half a URL is none: cut leaves it out
    ORGANIZATION = "organization"
    CUSTOM_DATA = "custom_data"
    POST_MEDIA = "post_media"  # import carries text, face, location and custom elements: the rest becomes a card
    POST_SIZE = "post_size"
    SUBSCRIBER_DATA = "subscriber_data"  # a member has no room for 3,000 bytes: cut leaves it out


PROFILE_LOSSES: Final = (Loss.NAME, Loss.INTRODUCTION, Loss.AVATAR, Loss.ORGANIZATION, Loss.CUSTOM_DATA)

EVERY: Final = "all"


@dataclass(frozen=True, slots=True)
class Policies:
    """One policy a loss; `refuse` for those that are not named."""

    chosen: Mapping[Loss, Policy] = field(default_factory=dict)

    def of(self, loss: Loss) -> Policy:
        return self.chosen.get(loss, Policy.REFUSE)

    @property
    def stores(self) -> bool:
        """Is a database needed?"""
        return Policy.STORE in self.chosen.values()

    def to_json(self) -> dict[str, str]:
        """Every loss with its policy."""
        return {loss.value: self.of(loss).value for loss in Loss}

    @classmethod
    def parse(cls, words: Iterable[str]) -> "Policies":
        """From `name=cut`, `all=store`; a later word is stronger. Raises InvalidError."""
        chosen: dict[Loss, Policy] = {}
        for word in words:
            name, _, value = word.partition("=")
            if value not in set(Policy):
                raise InvalidError(
                    f"policy {word!r}: give LOSS=POLICY with one of {', '.join(Policy)}", field="policies"
                )
            if name != EVERY and name not in set(Loss):
                raise InvalidError(
                    f"policy {word!r}: {name!r} is not one of {', '.join([*Loss, EVERY])}", field="policies"
                )
            chosen |= {loss: Policy(value) for loss in Loss if name in (EVERY, loss.value)}
        return cls(chosen)
