"""Four processes, one PostgreSQL, one post: exact counts within the service's limits, every reaction answered."""

import asyncio
import os

import pytest

from channel_adapter import DisplayMode, NotFoundError
from channel_adapter.stub.settings import StubSettings
from tests.faults.reaction_stage import SLUG, behave, data, staged, tally, write_by_phone

PEOPLE = 10_000 if os.environ.get("CHANNEL_ADAPTER_FULL") else 2_000
PROCESSES = 4
EMOJI = ["👍", "❤️", "😂", "😮", "😢", "🙏", "🎉"]
STUB = StubSettings.model_validate({"limits": {"members_per_community": 100_000}})


@pytest.mark.timeout(240)
async def test_many_people_react_through_four_processes(postgres_url: str) -> None:
    async with staged(PEOPLE, postgres_url, stub=STUB) as stage:
        chosen = {user: EMOJI[number % len(EMOJI)] for number, user in enumerate(stage.people)}
        first = dict.fromkeys(stage.people[:100], "👎")  # replaced below: one reaction a person
        shares = [list(chosen.items())[number::PROCESSES] for number in range(PROCESSES)]
        jobs = [
            stage.process(react=[*((user, first[user]) for user, _ in share if user in first), *share])
            for share in shares
        ]
        results = await asyncio.gather(*jobs)
        assert [result.code for result in results] == [0] * PROCESSES
        assert sum(result.answer["answered"] for result in results) == PEOPLE + len(first)
        async with stage.adapter() as adapter:
            found = await adapter.reactions.get(stage.ref, stage.people[0])
            assert found.counts == dict(sorted(tally([*chosen.values()]).items(), key=lambda item: (-item[1], item[0])))
            assert (found.total, found.mine) == (PEOPLE, (chosen[stage.people[0]],))
            assert len([each async for each in adapter.reactions.reactors(stage.ref)]) == PEOPLE
            assert await adapter.reactions.flush()
        assert stage.shown() == tally([*chosen.values()])
        assert stage.busiest_minute() <= 180
        assert stage.busiest_second() <= 3
        assert not [call for call in stage.server.log if call.code not in (0, None)]


async def test_client_apps_modes_and_recalls_on_postgresql(postgres_url: str) -> None:
    async with staged(240, postgres_url) as stage, stage.adapter() as adapter:
        write_by_phone(stage, stage.people, "👍")
        assert (await adapter.reactions.reconcile(stage.ref)).changed == 240
        await asyncio.gather(*(adapter.reactions.react(stage.ref, user, "🙏") for user in stage.people[:40]))
        assert await adapter.reactions.flush(20)
        assert stage.shown() == {"👍": 200, "🙏": 40}
        assert len(stage.own_keys()) == 200
        assert (await adapter.reactions.reconcile(stage.ref)).changed == 0
        behave(stage, community_extensions=False)
        assert (await adapter.reactions.probe()).mode is DisplayMode.STORE
        assert await adapter.reactions.flush(20)
        assert data(stage) == {}
        found = await adapter.reactions.get_many([stage.ref], stage.people[0])
        assert (found[stage.ref].total, found[stage.ref].mine) == (240, ("🙏",))
        await adapter.posts.recall(stage.ref)
        with pytest.raises(NotFoundError):
            await adapter.reactions.get(stage.ref)
        assert await adapter.channels.delete(SLUG)
