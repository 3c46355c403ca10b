"""Common parts of reaction tests: a stub with a channel, users and a post, its adapters, and the stored pairs."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

from pydantic import SecretStr

from channel_adapter import ChannelAdapter, PostRef, Settings, Text
from channel_adapter.domain.ids import ChannelId
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.faults import reacting

SERVICE = "openim_msg_ext_http_svc"
SLUG, OWNER = "tides", "owner"
Changes = list[tuple[str, Sequence[str], int]]


@dataclass
class System:
    """A stub in this process; all its adapters share one database."""

    server: StubServer
    ref: PostRef
    users: list[str]
    values: dict[str, Any]

    def settings(self, **more: Any) -> Settings:
        return Settings.model_validate({**self.values, **more})

    @asynccontextmanager
    async def adapter(self, **more: Any) -> AsyncIterator[ChannelAdapter]:
        async with ChannelAdapter.open(self.settings(**more)) as adapter:
            yield adapter

    def pairs(self, ref: PostRef | None = None) -> dict[str, str]:
        """Return the pairs stored on the message."""
        group = self.server.world.state.group((ref or self.ref).channel)
        message = group.log.get((ref or self.ref).seq)
        held = message.extensions.pairs if message is not None and message.extensions else {}
        return {key: value for key, (value, _) in held.items() if value is not None}

    def shown(self, ref: PostRef | None = None) -> dict[str, int]:
        """Return the counts as a plain client reads them."""
        return {key[2:]: int(value) for key, value in self.pairs(ref).items() if key.startswith("n|")}

    def own_keys(self, ref: PostRef | None = None) -> dict[str, str]:
        """Return the values of the users' own keys."""
        return {key[2:]: value for key, value in self.pairs(ref).items() if key.startswith("r|")}

    def job(self, **what: Any) -> dict[str, Any]:
        return {"settings": self.values, "channel": self.ref.channel, "seq": self.ref.seq, **what}

    async def process(self, **what: Any) -> "Ended":
        """Run one job in a separate process."""
        return await in_process(self.job(**what))

    def busiest_minute(self) -> int:
        """Return the maximum number of set calls on the post that the stub received within 60 seconds."""
        times = [call.at for call in self.server.log.calls("group_set_key_values", msg_seq=self.ref.seq)]
        return max((sum(first <= each < first + 60 for each in times) for first in times), default=0)

    def busiest_second(self) -> int:
        """Return the maximum number of set calls on the post within one second."""
        times = [call.at for call in self.server.log.calls("group_set_key_values", msg_seq=self.ref.seq)]
        return max((sum(first <= each < first + 1 for each in times) for first in times), default=0)


@dataclass(frozen=True)
class Ended:
    """Exit code of a process, and the answer that it sent before."""

    code: int
    answer: dict[str, Any]


async def in_process(job: dict[str, Any]) -> Ended:
    """Run a job in a process forked from a server with all imports done, as importing lasts longer than the job."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.faults.reacting"])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=reacting.work, args=(job, sender))
    process.start()
    sender.close()
    answer = await asyncio.to_thread(_answer_of, receiver)
    await asyncio.to_thread(process.join)
    code = process.exitcode
    process.close()
    receiver.close()
    assert code is not None
    return Ended(code, answer)


def _answer_of(receiver: Connection) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = receiver.recv()
    except EOFError:  # the process was killed
        return {}
    return answer


@asynccontextmanager
async def open_system(
    readers: int, database_url: str | None, *, stub: StubSettings | None = None, **more: Any
) -> AsyncIterator[System]:
    """Open a system with one channel, `readers` subscribers and one post."""
    users = [f"reader_{number:05}" for number in range(readers)]
    async with StubServer(stub or StubSettings()) as server:
        values = {
            "sdkappid": server.sdkappid, "key": server.key, "admin": server.admin, "base_url": server.url,
            "database_url": database_url, **more,
        }  # fmt: skip
        plain = Settings(sdkappid=server.sdkappid, key=SecretStr(server.key), base_url=server.url)
        async with ChannelAdapter.open(plain) as adapter:
            await adapter.accounts.add([OWNER, *users])
            await adapter.channels.create(slug=SLUG, name="Tides", owner=OWNER)
            await adapter.subscriptions.subscribe(SLUG, users, assign=False)
            post = await adapter.posts.publish(SLUG, Text("first"))
        yield System(server, PostRef(ChannelId(post.ref.channel), post.ref.seq), users, values)


def tally(chosen: Sequence[str]) -> dict[str, int]:
    return dict(Counter(chosen))


def write_from_client(system: System, users: Sequence[str], emoji: str) -> Changes:
    """Write keys as client apps do, 20 per call; return the changes as an event reports them."""
    changes: Changes = []
    for start in range(0, len(users), 20):
        client = system.server.world.client(users[start])
        pairs = {f"r|{user}": emoji for user in users[start : start + 20]}
        results = client.set_extensions(system.ref.channel, system.ref.seq, pairs)
        changes += [(each.extension.key[2:], [emoji], each.extension.seq or 0) for each in results]
    return changes


def behave(system: System, **switches: object) -> None:
    world = system.server.world
    behaviour = type(world.settings.behaviour).model_validate({**world.settings.behaviour.model_dump(), **switches})
    world.settings = world.settings.model_copy(update={"behaviour": behaviour})


def data(system: System, ref: PostRef | None = None) -> dict[str, int]:
    message = system.server.world.state.group(system.ref.channel).log.get((ref or system.ref).seq)
    assert message is not None
    return counts_in(message.cloud_custom_data)


def counts_in(custom_data: str | None) -> dict[str, int]:
    """Return the counts in the custom data of a message; empty if it holds none."""
    own = json.loads(custom_data or "{}").get("channel_adapter", {})
    counts: dict[str, int] = own.get("reactions", {})
    return counts


async def left_over(system: System) -> None:
    """Leave a committed reaction whose count is not published."""
    async with system.adapter() as adapter:
        stored = await adapter.reactions._require_store()
        await stored._publisher.close()
        await adapter.reactions.react(system.ref, "reader_00000", "👍")
        adapter.reactions._opened = None
        await stored._store.database.close()
    assert system.shown() == {}
