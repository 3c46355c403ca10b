"""What a command of the service is: a value that knows its names, its bodies, its limits and how it may be repeated."""

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from importlib import import_module
from typing import Any, Final, Generic, TypeVar

from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.envelope import Reply, WireModel

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)
PartT = TypeVar("PartT", bound=Reply)

_WIRE: Final = "channel_adapter.tencent.wire"


class Retry(StrEnum):
    """May a call whose outcome is unclear be sent again? [rest basics 3.2]"""

    READ = "read"  # changes nothing
    REPEATABLE = "repeatable write"  # doing it twice ends in the same state
    RANDOM = "write with Random"  # the service drops the second one while the Random is the same
    UNSAFE = "unsafe"  # a second one may do it twice


class Community(StrEnum):
    """Does the command work on a Community without topics?"""

    YES = "yes"
    NO = "no"
    DISPUTED = "disputed"  # the sources contradict each other
    UNRELATED = "unrelated"  # it is not about groups


UNMODELLED: Final = ""
"""The area of a command whose bodies nobody has written down."""


@dataclass(frozen=True)
class Command(Generic[RequestT, ReplyT]):
    """One row of the catalog. `batch` is the number of items we put into one call at most.

    `area` is the module of `tencent.wire` where its bodies are, named like the command: GetGroupInfoRequest and
    GetGroupInfoReply for get_group_info.
    """

    service: str
    name: str
    area: str
    retry: Retry
    community: Community
    source: str
    calls_per_second: int = limits.CALLS_PER_SECOND
    batch: int | None = None

    @cached_property
    def request(self) -> type[RequestT]:
        """The model of its request."""
        model: type[RequestT] = self._body("Request", WireModel)
        return model

    @cached_property
    def reply(self) -> type[ReplyT]:
        """The model of its reply."""
        model: type[ReplyT] = self._body("Reply", Reply)
        return model

    def read_as(self, reply: type[PartT]) -> "Command[RequestT, PartT]":
        """The same command with another model of its reply, for callers who ask for a part of it."""
        other: Command[Any, Any] = replace(self)
        vars(other)["reply"] = reply
        return other

    def _body(self, kind: str, unmodelled: type[WireModel]) -> Any:
        if self.area == UNMODELLED:
            return unmodelled
        words = "".join(word[0].upper() + word[1:] for word in self.name.split("_"))
        return getattr(import_module(f"{_WIRE}.{self.area}"), f"{words}{kind}")

    @property
    def path(self) -> str:
        """`service/command`, as it stands in the URL after `v4/`."""
        return f"{self.service}/{self.name}"
