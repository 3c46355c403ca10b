"""The exchanges of the golden files a second time, as objects written by hand, one file per area.

Each table maps the name of a golden file to its request and to the object that the client makes of its reply.
"""

from collections.abc import Mapping

from channel_adapter.tencent.wire.envelope import ApiError, Reply, Throttled, WireModel

Exchanges = Mapping[str, tuple[WireModel, Reply | ApiError | Throttled]]
