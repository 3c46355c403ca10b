"""Four processes, one PostgreSQL, one post: exact counts within the limits of the service, no reaction lost."""

import asyncio
import os

import pytest

from channel_adapter import DisplayMode, NotFoundError
from channel_adapter.stub.settings import StubSettings
from tests.faults.reaction_system import SLUG, behave, data, open_system, tally, write_from_client

USERS = 10_000 if os.environ.get("CHANNEL_ADAPTER_FULL") else 2_000
PROCESSES = 4
EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏", "🎉"]
STUB = StubSettings.model_validate({"limits": {"members_per_community": 100_000}})


@pytest.mark.timeout(240)
async def test_reactions_through_four_processes_are_counted_exactly_within_limits(postgres_url: str) -> None:
    async with open_system(USERS, postgres_url, stub=STUB) as system:
        chosen = {user: EMOJI[number % len(EMOJI)] for number, user in enumerate(system.users)}
        first = dict.fromkeys(system.users[:100], "👎")  # replaced below: one reaction per user
        shares = [list(chosen.items())[number::PROCESSES] for number in range(PROCESSES)]
        jobs = [
            system.process(react=[*((user, first[user]) for user, _ in share if user in first), *share])
            for share in shares
        ]
        results = await asyncio.gather(*jobs)
        assert [result.code for result in results] == [0] * PROCESSES
        assert sum(result.answer["answered"] for result in results) == USERS + len(first)
        async with system.adapter() as adapter:
            found = await adapter.reactions.get(system.ref, system.users[0])
            assert found.counts == dict(sorted(tally([*chosen.values()]).items(), key=lambda item: (-item[1], item[0])))
            assert (found.total, found.mine) == (USERS, (chosen[system.users[0]],))
            assert len([each async for each in adapter.reactions.reactors(system.ref)]) == USERS
            assert await adapter.reactions.flush()
        assert system.shown() == tally([*chosen.values()])
        assert system.busiest_minute() <= 180
        assert system.busiest_second() <= 3
        assert not [call for call in system.server.log if call.code not in (0, None)]


async def test_client_keys_modes_and_recall_work_on_postgresql(postgres_url: str) -> None:
    async with open_system(240, postgres_url) as system, system.adapter() as adapter:
        write_from_client(system, system.users, "👍")
        assert (await adapter.reactions.reconcile(system.ref)).changed == 240
        await asyncio.gather(*(adapter.reactions.react(system.ref, user, "🙏") for user in system.users[:40]))
        assert await adapter.reactions.flush(20)
        assert system.shown() == {"👍": 200, "🙏": 40}
        assert len(system.own_keys()) == 200
        assert (await adapter.reactions.reconcile(system.ref)).changed == 0
        behave(system, community_extensions=False)
        assert (await adapter.reactions.probe()).mode is DisplayMode.STORE
        assert await adapter.reactions.flush(20)
        assert data(system) == {}
        found = await adapter.reactions.get_many([system.ref], system.users[0])
        assert (found[system.ref].total, found[system.ref].mine) == (240, ("🙏",))
        await adapter.posts.recall(system.ref)
        with pytest.raises(NotFoundError):
            await adapter.reactions.get(system.ref)
        assert await adapter.channels.delete(SLUG)
