"""Reactions in official-account mode: messages carry none, so that the adapter's store alone has them."""

from collections.abc import Mapping
from typing import Final

from channel_adapter.domain.post import PostRef
from channel_adapter.domain.reaction import (
    CarriedReactions,
    CarrierChange,
    CarrierResult,
    CarrierStatus,
    DisplayMode,
    DisplayStatus,
)

NO_EXTENSIONS: Final = "official accounts have no message extensions"


class OfficialReactions:
    """Reads nothing and refuses every write, without a call."""

    capacity: Final = None

    async def read(self, ref: PostRef, *, timeout: float | None = None) -> CarriedReactions | None:
        """Return None: a broadcast carries no keys."""
        return None

    async def write(self, ref: PostRef, change: CarrierChange, *, timeout: float | None = None) -> CarrierResult:
        """Return that a broadcast cannot carry keys."""
        return CarrierResult(CarrierStatus.UNSUPPORTED)

    async def write_custom_data(
        self, ref: PostRef, counts: Mapping[str, int], *, timeout: float | None = None
    ) -> CarrierResult:
        """Return that a broadcast cannot be changed."""
        return CarrierResult(CarrierStatus.UNSUPPORTED)

    async def probe(self, mode: DisplayMode) -> DisplayStatus:
        """Return the mode of the store, without a call."""
        return DisplayStatus(DisplayMode.STORE, NO_EXTENSIONS)
