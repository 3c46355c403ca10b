"""Conversation groups and marks in a mode whose channels are one-to-one conversations."""

from collections.abc import Sequence

import pytest

from channel_adapter import AssignmentStatus, GroupAssignment, NotFoundError
from channel_adapter.backends.conversation_groups import ConversationGroups, ConversationKind
from channel_adapter.domain.channel import IdKind, IdStatus
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.unread import ConversationGroup, MarkChange, Marks
from tests.backends import community
from tests.faults.test_adapter_trouble import opened

ANN = UserId("reader_0")
NAME = "Channels"
CHANNELS = [ChannelId(f"@TOA#_{name}") for name in ("news", "sport", "tides")]
NEWS, SPORT, TIDES = CHANNELS
KIND = ConversationKind(one_to_one=True, prefix="@TOA#_")


class Scenario:
    """The existing channels and the channels that the user follows."""

    def __init__(self) -> None:
        self.followed = list(CHANNELS)
        self.kinds = dict.fromkeys(CHANNELS, IdKind.CHANNEL)
        self.classified: list[str] = []

    async def classify(self, ids: Sequence[str]) -> dict[str, IdStatus]:
        self.classified += ids
        return {each: IdStatus(self.kinds.get(ChannelId(each), IdKind.OTHER)) for each in ids}

    async def channels_of(self, user: UserId) -> list[ChannelId]:
        return list(self.followed)

    async def require(self, user: UserId, channel: ChannelId) -> None:
        if channel not in self.followed:
            raise NotFoundError(f"{user} does not follow {channel}", field="user")


async def test_channels_are_type_1_conversations() -> None:
    scenario = Scenario()
    async with opened() as (adapter, server):
        await adapter.accounts.add(CHANNELS)
        groups = ConversationGroups(
            community(adapter).caller, KIND, scenario.classify, scenario.channels_of, scenario.require
        )
        assigned, taken_out = map(GroupAssignment, (AssignmentStatus.ASSIGNED, AssignmentStatus.TAKEN_OUT))
        assert await groups.put(ANN, NAME, [NEWS, SPORT]) == {NEWS: assigned, SPORT: assigned}
        assert server.world.state.contacts[ANN].conversations(1) == [(1, NEWS), (1, SPORT)]
        assert await groups.take_out(ANN, NAME, [NEWS, TIDES]) == {NEWS: taken_out, TIDES: taken_out}
        assert await groups.read(ANN) == (ConversationGroup(NAME, (SPORT,)),)
        await groups.mark(ANN, SPORT, MarkChange(starred=True, text="vip"))
        assert await groups.marks(ANN, SPORT) == Marks(starred=True, text="vip")
        scenario.followed = [NEWS]
        with pytest.raises(NotFoundError):
            await groups.mark(ANN, SPORT, MarkChange(starred=False))


async def test_sync_classifies_conversations_of_the_mode_and_keeps_the_others() -> None:
    scenario = Scenario()
    async with opened() as (adapter, _):
        await adapter.accounts.add(CHANNELS)
        await adapter.channels.create(slug="chat", name="Chat", owner=ANN)
        groups = ConversationGroups(
            community(adapter).caller, KIND, scenario.classify, scenario.channels_of, scenario.require
        )
        chat = {"Type": 2, "ToGroupId": "@TGS#_chat"}
        friend = {"Type": 1, "To_Account": "reader_1"}
        old = [{"Type": 1, "To_Account": each} for each in (NEWS, SPORT)]
        body = {"From_Account": ANN, "GroupContactItem": [{"GroupName": NAME, "ContactItem": [chat, friend, *old]}]}
        await adapter.call("recentcontact", "create_contact_group", body)
        scenario.followed = [NEWS, TIDES]
        done = await groups.sync(ANN, NAME, keep_by_hand=True)
        assert (done.added, done.removed, done.kept) == ((TIDES,), (SPORT,), ("@TGS#_chat", "reader_1"))
        assert scenario.classified == ["reader_1", SPORT]
        assert await groups.read(ANN) == (ConversationGroup(NAME, (NEWS, TIDES), ("@TGS#_chat", "reader_1")),)
        done = await groups.sync(ANN, NAME, keep_by_hand=False)
        assert (done.added, set(done.removed), done.kept) == ((), {"@TGS#_chat", "reader_1"}, ())
