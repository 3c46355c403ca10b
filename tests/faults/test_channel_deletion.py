"""A channel that was not deleted keeps what the database has of it."""

import sqlite3
from pathlib import Path

import pytest

from channel_adapter import ChannelAdapterError, OutcomeUnknownError, PermissionDeniedError, Text, UnavailableError
from channel_adapter.stub.faults.faults import Fault
from tests.faults.reaction_system import SLUG, open_system
from tests.faults.test_broadcasts import TIDES, opened, stub

DESTROY = "destroy_official_account"
STILL = "is deleted, and the database still has data of it: delete it again"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(command=DESTROY, status=403), UnavailableError),
        (Fault(command=DESTROY, code=130002), PermissionDeniedError),
        (Fault(command=DESTROY, drop=True), OutcomeUnknownError),
    ],
    ids=["not carried out", "refused", "unknown outcome"],
)
async def test_official_account_that_was_not_deleted_stays_suspended_and_listed(
    tmp_path: Path, fault: Fault, error: type[ChannelAdapterError]
) -> None:
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        post = await adapter.posts.publish("tides", Text("Fog"))
        await adapter.channels.verify("tides")
        await adapter.reactions.set_policy("tides", ["👍"])
        await adapter.channels.suspend("tides")
        server.faults.replace([fault])
        with pytest.raises(error):
            await adapter.channels.delete("tides")
        server.faults.replace(())
        (listed,) = [channel async for channel in adapter.channels.all()]
        assert (listed.id, listed.suspended, listed.verified) == (TIDES, True, True)
        assert (await adapter.reactions.policy("tides")).emoji == ("👍",)
        with pytest.raises(PermissionDeniedError, match="is suspended"):
            await adapter.posts.publish("tides", Text("Rain"))
        assert (await adapter.posts.get(post.ref)).parts == post.parts


async def test_official_account_that_was_deleted_is_cleaned_up_when_the_answer_was_lost(tmp_path: Path) -> None:
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        await adapter.channels.suspend("tides")
        server.faults.replace([Fault(command=DESTROY, drop=True, applied=True)])
        with pytest.raises(OutcomeUnknownError):
            await adapter.channels.delete("tides")
        server.faults.replace(())
        assert not await adapter.channels.delete("tides")
        assert [channel async for channel in adapter.channels.all()] == []
        assert not (await adapter.channels.get_many(["tides"]))


async def test_deletion_is_repeated_after_a_failure_of_the_database(tmp_path: Path) -> None:
    async with stub() as server, opened(server, f"sqlite:///{tmp_path / 'app.db'}") as adapter:
        await adapter.posts.publish("tides", Text("Fog"))
        await adapter.channels.suspend("tides")
        rename = "ALTER TABLE {} RENAME TO {}"
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute(rename.format("broadcast_keys", "away"))
        with pytest.raises(
            UnavailableError, match="is deleted, and the database still has data of it: delete it again"
        ):
            await adapter.channels.delete("tides")
        with sqlite3.connect(tmp_path / "app.db") as connection:
            connection.execute(rename.format("away", "broadcast_keys"))
        assert not await adapter.channels.delete("tides")
        with sqlite3.connect(tmp_path / "app.db") as connection:
            assert connection.execute("SELECT COUNT(*) FROM channel_attribute").fetchone() == (0,)
            assert connection.execute("SELECT COUNT(*) FROM broadcast_keys").fetchone() == (0,)


async def test_deletion_of_a_group_is_repeated_after_a_failure_of_the_database(tmp_path: Path) -> None:
    file = tmp_path / "app.db"
    async with open_system(1, f"sqlite:///{file}") as system, system.adapter() as adapter:
        await adapter.reactions.react(system.ref, system.users[0], "👍")
        assert await adapter.reactions.flush()
        file.rename(tmp_path / "gone.db")
        with pytest.raises(UnavailableError, match=STILL):
            await adapter.channels.delete(SLUG)
        (tmp_path / "gone.db").rename(file)
        assert not await adapter.channels.exists(SLUG)
        assert not await adapter.channels.delete(SLUG)
        await adapter.channels.create(slug=SLUG, name="Tides", owner="owner")
        post = await adapter.posts.publish(SLUG, Text("first"))
        assert (await adapter.reactions.get(post.ref)).total == 0
