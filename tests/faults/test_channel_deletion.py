"""A channel that was not deleted keeps what the database has of it."""

from pathlib import Path

import pytest

from channel_adapter import ChannelAdapterError, OutcomeUnknownError, PermissionDeniedError, Text, UnavailableError
from channel_adapter.stub.faults.faults import Fault
from tests.faults.test_broadcasts import TIDES, opened, stub

DESTROY = "destroy_official_account"


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
