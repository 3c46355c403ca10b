"""What a command of the service is: a value that knows its names, its bodies, its limits and how it may be repeated."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.envelope import Reply, WireModel

RequestT = TypeVar("RequestT", bound=WireModel)
ReplyT = TypeVar("ReplyT", bound=Reply)
PartT = TypeVar("PartT", bound=Reply)


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


@dataclass(frozen=True, slots=True)
class Command(Generic[RequestT, ReplyT]):
    """One row of the catalog. `batch` is the number of items we put into one call at most."""

    service: str
    name: str
    request: type[RequestT]
    reply: type[ReplyT]
    retry: Retry
    community: Community
    source: str
    calls_per_second: int = limits.CALLS_PER_SECOND
    batch: int | None = None

    def read_as(self, reply: type[PartT]) -> "Command[RequestT, PartT]":
        """The same command with another model of its answer, for callers who ask for a part of it."""
        return Command(
            self.service,
            self.name,
            self.request,
            reply,
            self.retry,
            self.community,
            self.source,
            self.calls_per_second,
            self.batch,
        )

    @property
    def path(self) -> str:
        """`service/command`, as it stands in the URL after `v4/`."""
        return f"{self.service}/{self.name}"
