"""Making a person's group of channels hold exactly the channels that they follow."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.backends.community.channels import NOT_FOUND_CODES, ChannelCache
from channel_adapter.backends.community.joined import JoinedPages
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.unread import Synced
from channel_adapter.mapping import unread_groups as mapping
from channel_adapter.mapping.unread_groups import Conversation
from channel_adapter.services.conversation_groups import ConversationGroups, Failures, parts_of
from channel_adapter.services.unread.assignment import CHECKS
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import GET_GROUP_INFO
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.tencent.wire import groups

CHANGING = f"the subscription changed {CHECKS} times meanwhile; a sync repairs it"


@dataclass(slots=True)
class _Strangers:
    """Conversations in the group that are no channels of the person: what becomes of each."""

    unwanted: list[Conversation] = field(default_factory=list)
    kept: list[Conversation] = field(default_factory=list)
    unclear: Failures = field(default_factory=dict)


class Syncing:
    """Reads the groups first and the list of channels after it, so that who subscribes meanwhile stays filed."""

    def __init__(
        self,
        gateway: ApiCaller,
        pages: JoinedPages,
        directory: ChannelCache,
        folders: ConversationGroups,
        *,
        name: str,
        keep_by_hand: bool,
    ) -> None:
        self._gateway = gateway
        self._pages = pages
        self._directory = directory
        self._folders = folders
        self._name = name
        self._keep_by_hand = keep_by_hand

    async def sync(self, user: UserId) -> Synced:
        """What was added, removed and kept. A second run changes nothing."""
        filed = await self._folders.read(user)
        followed = await self._followed(user)
        inside = filed.of(self._name)
        known = set(inside)
        missing = [each for each in followed if each not in known]
        strangers = await self._judged([each for each in inside if each not in followed])
        failed = await self._folders.take(user, self._name, strangers.unwanted) if strangers.unwanted else {}
        removed = [each for each in strangers.unwanted if each not in failed]
        wanted = sorted(missing, key=lambda each: not filed.inside.get(each))  # filed elsewhere: needs no room
        if wanted:
            failed = failed | await self._folders.put(user, self._name, wanted, exists=filed.has(self._name))
        changes = {each: True for each in missing if each not in failed} | dict.fromkeys(removed, False)
        unresolved = [each for each in missing if failed.get(each, (0, ""))[0] == codes.CONVERSATION_UNRESOLVED]
        held, failures = await self._follow_membership(user, changes, unresolved)
        failed = {each: why for each, why in failed.items() if each not in unresolved} | failures
        return Synced(
            user=user,
            added=tuple(each.id for each in missing if held.get(each)),
            removed=tuple(each.id for each in removed if not held[each]),
            kept=tuple(each.id for each in strangers.kept),
            failed=tuple((each.id, _text(*why)) for each, why in {**strangers.unclear, **failed}.items()),
        )

    async def _follow_membership(
        self, user: UserId, changes: dict[Conversation, bool], unresolved: Sequence[Conversation]
    ) -> tuple[dict[Conversation, bool], Failures]:
        """Read membership after the changes, and make in the other direction those that it contradicts.

        `changes` tells which conversations were put in, and which were taken out. `unresolved` could not be put in, and
        are failures while the user follows them. Returns what is in the group now, and the failures.
        """
        inside, failures, doubtful = dict(changes), Failures(), [*changes, *unresolved]
        for _ in range(CHECKS):
            if not doubtful:
                break
            followed = await self._followed(user)
            back = [each for each in doubtful if each in followed and not inside.get(each)]
            gone = [each for each in doubtful if each not in followed and inside.get(each)]
            if back:
                failures |= await self._folders.put(user, self._name, back, exists=True)
            if gone:
                failures |= await self._folders.take(user, self._name, gone)
            done = [each for each in (*back, *gone) if each not in failures]
            inside |= {each: each in followed for each in done}
            doubtful = done
        return inside, failures | dict.fromkeys(doubtful, (codes.OK, CHANGING))

    async def _followed(self, user: UserId) -> dict[Conversation, None]:
        async def channels(page: list[groups.JoinedRow]) -> list[ChannelId]:
            return list(await self._directory.fields([ChannelId(item.group_id) for item in page]))

        def ask(start: int, size: int) -> groups.GetJoinedGroupListRequest:
            return mapping.followed_request(user, start, size)

        found: dict[Conversation, None] = {}
        async with aclosing(self._pages.each(ask, channels)) as pages:
            async for page in pages:
                found.update(dict.fromkeys(Conversation(channel) for channel in page))
        return found

    async def _judged(self, strange: Sequence[Conversation]) -> _Strangers:
        """Gone, no longer a channel, a channel that is not followed: unwanted. What was put there by hand is kept.

        A Community without our tag was a channel if the tag is there with another value, or if only owner and admins
        may post in it; else the person put a chat there.
        """
        judged = _Strangers()
        for part in parts_of([each for each in strange if not each.one_to_one], limits.GROUP_INFO_PER_CALL):
            request = channel_group.info_request([ChannelId(each.id) for each in part], self._directory.keys)
            reply = await self._gateway.call(GET_GROUP_INFO, request)
            items = {item.group_id: item for item in reply.group_info}
            for each in part:
                self._judge(each, items.get(each.id), judged)
        for each in strange:
            if each.one_to_one:
                (judged.kept if self._keep_by_hand else judged.unwanted).append(each)
        return judged

    def _judge(self, conversation: Conversation, item: groups.GroupInfo | None, judged: _Strangers) -> None:
        if item is not None and item.error_code != 0 and item.error_code not in NOT_FOUND_CODES:
            judged.unclear[conversation] = item.error_code, item.error_info
            return
        gone = item is None or item.error_code != 0
        was_channel = item is not None and (
            self._directory.keys.tag in channel_group.fields_of(item) or channel_group.posting_closed(item)
        )
        if gone or (was_channel and conversation.may_be_channel) or not self._keep_by_hand:
            judged.unwanted.append(conversation)
        else:
            judged.kept.append(conversation)


def _text(code: int, text: str) -> str:
    text = redact_text(text)
    return text if code == codes.OK else f"{text or 'refused'} ({code})"
