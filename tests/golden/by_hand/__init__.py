"""The exchanges of the golden files once more, as objects written by hand, one file an area.

Each table goes from the name of a golden file to its request and to what the client makes of its reply.
"""

from collections.abc import Mapping

from channel_adapter.tencent.wire.envelope import ApiError, Reply, Throttled, WireModel

Exchanges = Mapping[str, tuple[WireModel, Reply | ApiError | Throttled]]
