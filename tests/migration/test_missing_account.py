"""An official account that is destroyed while its migration goes on: the others are moved on."""

from channel_adapter.migration.run.apply import ChannelStatus
from channel_adapter.stub.world.message_log import StoredMessage, pack
from tests.migration import worlds
from tests.migration.conftest import system
from tests.migration.planned import planned
from tests.migration.worlds import Size, text


async def test_later_run_fails_for_a_destroyed_account_and_moves_the_others(database: str) -> None:
    async with system(Size(30, 12), ids=(worlds.TEXTS, worlds.FULL), database_url=database) as at:
        plan, migration = await planned(at), at.adapter.migration
        assert (await migration.apply(plan)).complete
        state = at.server.world.state
        log = state.official[worlds.TEXTS].log
        log.append(StoredMessage(log.next_seq, log.last_time + 1, 1, worlds.TEXTS, 2, pack([text("new")])))
        del state.official[worlds.FULL]
        for run in (migration.apply, migration.retry):
            status = await run(plan)
            assert [_result(each) for each in status.channels] == [
                (worlds.TEXTS, "done", ""),
                (worlds.FULL, "failed", f"the source of migration {plan.migration} has no channel {worlds.FULL} any"
                 f" more: plan again without it, with --name {plan.migration}"),
            ]  # fmt: skip
        assert [post.body[0].msg_content["Text"] for post in state.groups["@TGS#_only_texts"].log][-1] == "new"


def _result(channel: ChannelStatus) -> tuple[str, str, str]:
    return channel.source, channel.status, channel.reason
