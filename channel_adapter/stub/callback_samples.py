"""Events made of the documented samples."""

from collections.abc import Mapping
from typing import Any

from channel_adapter.stub.world.call import RESTAPI, Event
from channel_adapter.tencent.wire.callback_samples import FILE, Sample, sample_body, samples

__all__ = ["FILE", "Sample", "sample_event", "samples"]


def sample_event(command: str, changes: Mapping[str, Any], *, now: float, platform: str | None = None) -> Event:
    """The sample of a command with changes, as of `now` in unix seconds; a command without one has the changes only.

    Changes are merged as RFC 7396 has it. `platform` None: where the sample says that it comes from.
    """
    sample = samples().get(command)
    usual = sample.platform if sample is not None else RESTAPI
    return Event(command, sample_body(command, changes, now=now), usual if platform is None else platform)
