"""Conversation groups and marks of a user, in every mode: put in, take out, read, sync, rename, delete, mark.

The traps of this command family, each handled in one place below:

- a chat group is `ToGroupId` in a conversation, `ToGroupid` in `delete` and `GroupId` in `get_list` [doc 53437, 43088];
- `GroupId` in `GroupItem` is a number, that of the conversation group, unlike all those texts [doc 53437];
- conversations are `ContactItem` in `get_contact_group`, `ContactResultItem` in `search_contact_group` [doc 53442];
- `GroupContactItem` and `GroupName` are arrays that hold exactly one element [doc 53437, 53441];
- `StandardMark` is read from its right end and has no fixed length [js-sdk];
- whether creating a group that exists is refused or merged is unknown, and so is whether a limit applies to a call or
  to an item [conversations 1.9]; both readings lead to the same results here.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Final

from cachetools import LRUCache

from channel_adapter.backends.caller import Caller, item_error, naming_account, possibly_applied
from channel_adapter.backends.protocols import attempt_status
from channel_adapter.concurrency.outage import AttemptStatus
from channel_adapter.concurrency.paging import CursorLoopGuard, Page, read_pages
from channel_adapter.domain.channel import IdKind, IdStatus
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.subscription import MEMBERSHIP_READS, REPEAT_HINT, AssignmentStatus, GroupAssignment
from channel_adapter.domain.unread import ConversationGroup, MarkChange, Marks, Synced
from channel_adapter.errors import ChannelAdapterError, ConflictError, NotFoundError, UnavailableError
from channel_adapter.mapping.text import require_text
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.catalog import (
    CREATE_CONTACT_GROUP,
    DEL_CONTACT_GROUP,
    GET_CONTACT_GROUP,
    MARK_CONTACT,
    SEARCH_CONTACT_GROUP,
    UPDATE_CONTACT_GROUP,
)
from channel_adapter.tencent.redaction import redact_text
from channel_adapter.tencent.wire import contact_groups as wire

FULL_CODES: Final = frozenset({codes.TOO_MANY_CONVERSATIONS, codes.TOO_MANY_CONTACT_GROUPS})
_CONCLUSIVE_CODES: Final = FULL_CODES | {codes.CONVERSATION_UNRESOLVED}
"""Codes after which it is certain where a conversation is."""

_CACHED_USERS: Final = 20_000
"""Users whose group is known to exist; each takes a few hundred bytes."""

_SEND_ATTEMPTS: Final = 4
"""Updates and creations in turn, while other processes create and delete the same group."""

_CHANGING: Final = f"the subscription changed {MEMBERSHIP_READS} times meanwhile; a sync repairs it"

Failures = dict["Conversation", tuple[int, str]]
"""Code and text of conversations that could not be put in or taken out."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A chat group, or the partner of a one-to-one conversation."""

    id: str
    one_to_one: bool = False


@dataclass(frozen=True, slots=True)
class ConversationKind:
    """What the conversations of channels are in a mode: chat groups or one-to-one; ids start with `prefix`."""

    one_to_one: bool
    prefix: str

    def conversation(self, channel: ChannelId) -> Conversation:
        """Return the conversation of a channel."""
        return Conversation(channel, self.one_to_one)

    def has_channel_id(self, conversation: Conversation) -> bool:
        """Return whether the id is one of this kind: only then the conversation can be or have been a channel."""
        return conversation.one_to_one is self.one_to_one and conversation.id.startswith(self.prefix)


@dataclass(slots=True)
class ConversationGroupsSnapshot:
    """The conversation groups of one user as read: their numbers and names, and the conversations in them."""

    names: dict[int, str] = field(default_factory=dict)
    conversations: dict[Conversation, tuple[int, ...]] = field(default_factory=dict)

    def add(self, page: wire.GetContactGroupReply) -> None:
        """Add one page. Each page repeats groups, and a later one may know more of them [js-sdk]."""
        for item in page.group_item:
            self.names[item.group_id] = item.group_name
        for entry in page.contact_item:
            self.conversations[from_item(entry)] = tuple(entry.contact_group_id or ())

    def get(self, name: str) -> list[Conversation]:
        """Return the conversations in one group, the oldest entry first."""
        numbers = {number for number, known in self.names.items() if known == name}
        return [each for each, inside in self.conversations.items() if not numbers.isdisjoint(inside)]

    def as_groups(self, kind: ConversationKind) -> list[ConversationGroup]:
        """Return all groups, empty ones too, in the order of their numbers."""
        groups = []
        for _, name in sorted(self.names.items()):
            inside = self.get(name)
            channels = tuple(ChannelId(each.id) for each in inside if kind.has_channel_id(each))
            others = tuple(each.id for each in inside if not kind.has_channel_id(each))
            groups.append(ConversationGroup(name, channels, others))
        return groups


class ConversationGroups:
    """Conversation groups and marks of users.

    `classify` returns what ids of the mode's kind are on the service, `followed` the channels of a user, and
    `require_subscribed` raises NotFoundError for a channel that does not exist or that the user is not in.
    """

    def __init__(
        self,
        caller: Caller,
        kind: ConversationKind,
        classify: Callable[[Sequence[str]], Awaitable[Mapping[str, IdStatus]]],
        followed: Callable[[UserId], Awaitable[Sequence[ChannelId]]],
        require_subscribed: Callable[[UserId, ChannelId], Awaitable[object]],
    ) -> None:
        self._caller = caller
        self._kind = kind
        self._classify = classify
        self._followed_channels = followed
        self._require_subscribed = require_subscribed
        self._existing: LRUCache[UserId, str] = LRUCache(_CACHED_USERS)  # the group that is known to exist

    @property
    def max_groups(self) -> int:
        """Conversation groups that a user can have."""
        return limits.CONTACT_GROUPS_PER_USER

    async def put(self, user: UserId, name: str, channels: Sequence[ChannelId]) -> dict[ChannelId, GroupAssignment]:
        """Put channels into the group `name`, up to 100 a call, and create the group if it is missing.

        Reads the user's groups first unless this process knows that the group exists. Failures of the service are
        outcomes too: nothing is raised for them.
        """
        exists, present = self._existing.get(user) == name, set[Conversation]()
        try:
            if not exists:
                snapshot = await self._read_first(user)
                if exists := name in snapshot.names.values():
                    present = set(snapshot.get(name))
            missing = []
            for channel in dict.fromkeys(channels):
                conversation = self._kind.conversation(channel)
                if conversation not in present:
                    missing.append(conversation)
            failures = await self._add_conversations(user, name, missing, exists=exists)
        except ChannelAdapterError as error:
            return dict.fromkeys(channels, _to_failed_assignment(error))
        if exists or len(failures) < len(missing):
            self._existing[user] = name
        return _to_assignments(channels, failures, AssignmentStatus.ASSIGNED)

    async def take_out(
        self, user: UserId, name: str, channels: Sequence[ChannelId]
    ) -> dict[ChannelId, GroupAssignment]:
        """Take channels out of the group `name`, 100 a call. A channel is out if it is not in it or there is no group.

        Failures of the service are outcomes too: nothing is raised for them.
        """
        unwanted = [self._kind.conversation(channel) for channel in dict.fromkeys(channels)]
        try:
            failures = await self._remove_conversations(user, name, unwanted)
        except ChannelAdapterError as error:
            if error.code == codes.CONTACT_NO_SUCH_ACCOUNT:  # an account that does not exist has no groups
                return dict.fromkeys(channels, GroupAssignment(AssignmentStatus.TAKEN_OUT))
            return dict.fromkeys(channels, _to_failed_assignment(error))
        return _to_assignments(channels, failures, AssignmentStatus.TAKEN_OUT)

    async def read(self, user: UserId) -> tuple[ConversationGroup, ...]:
        """Return all groups of a user, 20 at most, with what is in them. Raises NotFoundError for an unknown account.

        Raises UnavailableError for a list that does not end.
        """
        with naming_account(user):
            return tuple((await self._read_snapshot(user)).as_groups(self._kind))

    async def sync(self, user: UserId, name: str, *, keep_by_hand: bool) -> Synced:
        """Make the group `name` hold exactly the channels that the user follows; a second run changes nothing.

        Conversations that are not channels stay if `keep_by_hand`. Groups are read first and the list of channels
        after it, so that a channel that is followed meanwhile stays in. Raises NotFoundError for an unknown account.
        """
        self._existing.pop(user, None)
        with naming_account(user):
            return await self._sync_with_followed(user, name, keep_by_hand=keep_by_hand)

    async def rename(self, user: UserId, old: str, new: str) -> bool:
        """Rename a group, to 32 bytes at most; return False if it has been renamed already.

        Raises NotFoundError without a group `old`, ConflictError if there is a group of each name, InvalidError.
        """
        new, old = group_name(new, "new"), group_name(old, "old")
        if old == new:
            return False
        self._existing.pop(user, None)
        with naming_account(user):
            try:
                await self._caller.call(UPDATE_CONTACT_GROUP, rename_request(user, old, new))
            except ChannelAdapterError as error:  # what a name that is taken is answered with is unknown, here 50002
                if error.code not in (codes.NO_SUCH_CONTACT_GROUP, codes.CONTACT_BAD_PARAMETER):
                    raise
                snapshot = await self._read_first(user)
                if new not in snapshot.names.values():
                    if error.code != codes.NO_SUCH_CONTACT_GROUP:
                        raise
                    message = f"{user!r} has no conversation group {old!r}"
                    raise NotFoundError(message, field="old", origin=error.origin) from error
                if old in snapshot.names.values():
                    message = f"{user!r} has a group {old!r} and a group {new!r}; remove one of them"
                    raise ConflictError(message, field="new", origin=error.origin) from error
                return possibly_applied(error)  # by an earlier attempt of this call
        return True

    async def delete(self, user: UserId, name: str) -> bool:
        """Delete a group; return False if there is none. Its conversations stay.

        Raises InvalidError, and NotFoundError for an unknown account.
        """
        name = group_name(name)
        self._existing.pop(user, None)
        with naming_account(user):
            try:
                await self._caller.call(DEL_CONTACT_GROUP, delete_request(user, name))
            except ChannelAdapterError as error:
                if error.code != codes.NO_SUCH_CONTACT_GROUP:
                    raise
                return possibly_applied(error)  # by an earlier attempt of this call
        return True

    async def mark(self, user: UserId, channel: ChannelId, change: MarkChange) -> None:
        """Change marks of a user on a channel; up to 1,000 conversations of a user can have some.

        Raises InvalidError for a text over 256 bytes, NotFoundError for a user who is not in the channel.
        """
        bits = {
            bit: on
            for bit, on in (
                (wire.BIT_STAR, change.starred),
                (wire.BIT_HIDE, change.hidden),
                (wire.BIT_FOLD, change.folded),
            )
            if on is not None
        }
        text = None if change.text is None else mark_text(change.text)
        await self._require_subscribed(user, channel)
        request = mark_request(user, self._kind.conversation(channel), bits, text)
        for item in (await self._caller.call(MARK_CONTACT, request)).result_item:
            if item.result_code != codes.OK:
                raise item_error(MARK_CONTACT, item.result_code, item.result_info)

    async def marks(self, user: UserId, channel: ChannelId) -> Marks:
        """Return the marks of a user on a channel. Raises NotFoundError for a user who is not in the channel."""
        await self._require_subscribed(user, channel)
        conversation = self._kind.conversation(channel)
        return marks_of(
            conversation, await self._caller.call(SEARCH_CONTACT_GROUP, search_request(user, [conversation]))
        )

    async def _read_first(self, user: UserId) -> ConversationGroupsSnapshot:
        """Read the first page: all groups, and enough to know whether one exists."""
        snapshot = ConversationGroupsSnapshot()
        snapshot.add(
            await self._caller.call(GET_CONTACT_GROUP, wire.GetContactGroupRequest(from_account=user, start_index=0))
        )
        return snapshot

    async def _read_snapshot(self, user: UserId) -> ConversationGroupsSnapshot:
        async def fetch(start: int) -> Page[wire.GetContactGroupReply, int]:
            request = wire.GetContactGroupRequest(from_account=user, start_index=start)
            page = await self._caller.call(GET_CONTACT_GROUP, request)
            return Page([page], None if page.complete_flag else page.next_start_index or None)

        snapshot = ConversationGroupsSnapshot()
        guard: CursorLoopGuard[int] = CursorLoopGuard(GET_CONTACT_GROUP.name, UnavailableError)
        async with aclosing(read_pages(fetch, 0, guard)) as pages:
            async for found in pages:
                for page in found:
                    snapshot.add(page)
        return snapshot

    async def _add_conversations(
        self, user: UserId, name: str, wanted: Sequence[Conversation], *, exists: bool
    ) -> Failures:
        """Put conversations in; `exists` is where to begin, not a promise.

        If a call's worth does not fit, half of it is tried, and so on; after one that does not fit the rest is not
        tried. Conversations that are in another group need no capacity, and should stand first.
        """
        failures: Failures = {}
        rest, size = wanted, limits.CONVERSATIONS_PER_CALL
        while rest:
            part = rest[:size]
            try:
                failures |= await self._update_or_create(user, name, part, exists=exists)
            except ChannelAdapterError as error:
                if error.code not in FULL_CODES or error.code is None:
                    raise
                if error.code == codes.TOO_MANY_CONTACT_GROUPS or len(part) == 1:
                    failures |= dict.fromkeys(rest, (error.code, error.message))
                    break
                size = (len(part) + 1) // 2
            else:
                exists, rest = True, rest[size:]
        if not failures:
            return failures
        return await self._drop_repeated_failures(user, name, failures, inside=True, unsure=len(rest) > 1)

    async def _remove_conversations(self, user: UserId, name: str, unwanted: Sequence[Conversation]) -> Failures:
        """Take conversations out; without the group there is nothing to do."""
        failures: Failures = {}
        for start in range(0, len(unwanted), limits.CONVERSATIONS_PER_CALL):
            part = unwanted[start : start + limits.CONVERSATIONS_PER_CALL]
            try:
                reply = await self._caller.call(UPDATE_CONTACT_GROUP, change_request(user, name, add=(), remove=part))
            except ChannelAdapterError as error:
                if error.code == codes.NO_SUCH_CONTACT_GROUP:
                    return failures
                raise
            failures |= failures_in(reply.update_group_result.contact_result_item)
        if not failures:
            return failures
        return await self._drop_repeated_failures(user, name, failures, inside=False, unsure=True)

    async def _drop_repeated_failures(
        self, user: UserId, name: str, failures: Failures, *, inside: bool, unsure: bool
    ) -> Failures:
        """Return the failures without conversations that are where they should be.

        What putting in twice, or taking out twice, is answered with is unknown. `unsure`: read the groups even if the
        codes are conclusive, because some conversations were not tried or taking out should not have such a code.
        """
        if not unsure and all(code in _CONCLUSIVE_CODES for code, _ in failures.values()):
            return failures
        present = set((await self._read_snapshot(user)).get(name))
        return {each: why for each, why in failures.items() if (each in present) is not inside}

    async def _update_or_create(
        self, user: UserId, name: str, part: Sequence[Conversation], *, exists: bool
    ) -> Failures:
        """Update the group while it exists and create it while it does not, in turn with processes that change that."""
        attempts = 0
        while True:
            attempts += 1
            try:
                if exists:
                    change = change_request(user, name, add=part)
                    changed = await self._caller.call(UPDATE_CONTACT_GROUP, change)
                    return failures_in(changed.update_group_result.contact_result_item)
                new = create_request(user, name, part)
                created = await self._caller.call(CREATE_CONTACT_GROUP, new)
                return failures_in(*map(attrgetter("result_item"), created.group_result_item))
            except ChannelAdapterError as error:
                contradicted = codes.NO_SUCH_CONTACT_GROUP if exists else codes.CONTACT_BAD_PARAMETER
                if attempts == _SEND_ATTEMPTS or error.code != contradicted:
                    raise
            exists = not exists

    async def _sync_with_followed(self, user: UserId, name: str, *, keep_by_hand: bool) -> Synced:
        snapshot = await self._read_snapshot(user)
        followed = await self._read_followed(user)
        inside = snapshot.get(name)
        known = set(inside)
        missing = [each for each in followed if each not in known]
        extra = await self._classify_extra([each for each in inside if each not in followed], keep=keep_by_hand)
        failed = await self._remove_conversations(user, name, extra.unwanted) if extra.unwanted else {}
        removed = [each for each in extra.unwanted if each not in failed]
        if missing:
            # what is in another group needs no capacity and goes first
            wanted = sorted(missing, key=lambda each: not snapshot.conversations.get(each))
            failed = failed | await self._add_conversations(user, name, wanted, exists=name in snapshot.names.values())
        changes = {each: True for each in missing if each not in failed} | dict.fromkeys(removed, False)
        unresolved = [each for each in missing if failed.get(each, (0, ""))[0] == codes.CONVERSATION_UNRESOLVED]
        current, failures = await self._follow_membership(user, name, changes, unresolved)
        failed = {each: why for each, why in failed.items() if each not in unresolved} | failures
        reasons = extra.unclear | {each: _refusal_reason(*why) for each, why in failed.items()}
        return Synced(
            user=user,
            added=tuple(each.id for each in missing if current.get(each)),
            removed=tuple(each.id for each in removed if not current[each]),
            kept=tuple(each.id for each in extra.kept),
            failed=tuple((each.id, reason) for each, reason in reasons.items()),
        )

    async def _read_followed(self, user: UserId) -> dict[Conversation, None]:
        return dict.fromkeys(self._kind.conversation(channel) for channel in await self._followed_channels(user))

    async def _follow_membership(
        self, user: UserId, name: str, changes: Mapping[Conversation, bool], unresolved: Sequence[Conversation]
    ) -> tuple[dict[Conversation, bool], Failures]:
        """Read membership after the changes, and make in the other direction those that it contradicts.

        `changes` holds True for conversations that were put in and False for those that were taken out. `unresolved`
        could not be put in, and are failures while the user follows them. Returns which are in the group now, and the
        failures.
        """
        inside, failures, doubtful = dict(changes), Failures(), [*changes, *unresolved]
        for _ in range(MEMBERSHIP_READS):
            if not doubtful:
                break
            followed = await self._read_followed(user)
            back = [each for each in doubtful if each in followed and not inside.get(each)]
            left = [each for each in doubtful if each not in followed and inside.get(each)]
            if back:
                failures |= await self._add_conversations(user, name, back, exists=True)
            if left:
                failures |= await self._remove_conversations(user, name, left)
            done = [each for each in (*back, *left) if each not in failures]
            inside |= {each: each in followed for each in done}
            doubtful = done
        return inside, failures | dict.fromkeys(doubtful, (codes.OK, _CHANGING))

    async def _classify_extra(self, extra: Sequence[Conversation], *, keep: bool) -> "_Extra":
        """Decide about conversations in the group that are not followed channels.

        Ids that do not exist, are channels or were channels are unwanted; others are kept if `keep`.
        """
        result = _Extra()
        ids = [each.id for each in extra if each.one_to_one is self._kind.one_to_one]
        statuses = await self._classify(ids) if ids else {}
        for conversation in extra:
            status = statuses.get(conversation.id) if conversation.one_to_one is self._kind.one_to_one else None
            kind = IdKind.OTHER if status is None else status.kind
            if status is not None and kind is IdKind.UNCLEAR:
                result.unclear[conversation] = status.reason
            elif kind is IdKind.OTHER and keep:
                result.kept.append(conversation)
            else:
                result.unwanted.append(conversation)
        return result


@dataclass(slots=True)
class _Extra:
    """Conversations in a group that are not followed channels."""

    unwanted: list[Conversation] = field(default_factory=list)
    kept: list[Conversation] = field(default_factory=list)
    unclear: dict[Conversation, str] = field(default_factory=dict)


def group_name(name: object, what: str = "name") -> str:
    """Return `name` if it can name a conversation group: 1 to 32 bytes [doc 53437]. Raises InvalidError."""
    return require_text(name, what, limits.CONTACT_GROUP_NAME_BYTES, empty=False)


def mark_text(text: object) -> str:
    """Return `text` if it can be a custom mark: 256 bytes at most [doc 53438]. Raises InvalidError."""
    return require_text(text, "text", limits.CUSTOM_MARK_BYTES)


def to_item(conversation: Conversation) -> wire.ContactItem:
    """Return the wire form: `To_Account` with type 1, `ToGroupId` with type 2; the other one must be absent."""
    if conversation.one_to_one:
        return wire.ContactItem(type=wire.ONE_TO_ONE, to_account=conversation.id)
    return wire.ContactItem(type=wire.GROUP, to_group_id=conversation.id)


def from_item(item: wire.ContactItem) -> Conversation:
    """Return the conversation with the id that belongs to the type; the other id is ignored."""
    if item.type == wire.ONE_TO_ONE:
        return Conversation(item.to_account or "", one_to_one=True)
    return Conversation(item.to_group_id or "")


def create_request(user: UserId, name: str, first: Sequence[Conversation]) -> wire.CreateContactGroupRequest:
    """Return the request that creates a group, which cannot be created empty [doc 53437]."""
    new = wire.NewContactGroup(group_name=name, contact_item=list(map(to_item, first)))
    return wire.CreateContactGroupRequest(from_account=user, group_contact_item=[new])


def change_request(
    user: UserId, name: str, add: Iterable[Conversation], remove: Iterable[Conversation] = ()
) -> wire.UpdateContactGroupRequest:
    """Return the request that changes a group. Removals stand first, because they free capacity.

    The group is named by `OldGroupName`, although nothing is renamed.
    """
    items = [
        wire.ContactUpdate(contact_opt_type=operation, contact_item=to_item(each))
        for operation, conversations in ((wire.REMOVE, remove), (wire.ADD, add))
        for each in conversations
    ]
    update = wire.ContactGroupUpdate(
        update_group_type=wire.CHANGE_CONVERSATIONS, old_group_name=name, contact_update_item=items
    )
    return wire.UpdateContactGroupRequest(from_account=user, update_group=update)


def rename_request(user: UserId, old: str, new: str) -> wire.UpdateContactGroupRequest:
    """Return the request that renames a group, whose number stays [js-sdk]."""
    update = wire.ContactGroupUpdate(update_group_type=wire.RENAME, old_group_name=old, new_group_name=new)
    return wire.UpdateContactGroupRequest(from_account=user, update_group=update)


def delete_request(user: UserId, name: str) -> wire.DelContactGroupRequest:
    """Return the request that deletes a group: one name a call, in an array."""
    return wire.DelContactGroupRequest(from_account=user, group_name=[name])


def failures_in(*lists: Iterable[wire.ContactResult] | None) -> Failures:
    """Return code and text of every conversation that was not put in or taken out, from the lists of an answer."""
    failures: Failures = {}
    for results in lists:
        for item in results or ():
            if item.result_code != codes.OK:
                failures[from_item(item.contact_item)] = item.result_code, item.result_info
    return failures


def mark_request(
    user: UserId, conversation: Conversation, bits: Mapping[int, bool], text: str | None = None
) -> wire.MarkContactRequest:
    """Return the request that sets and clears standard bits, and sets the custom text unless it is None."""
    kind = wire.MARK_CUSTOM if not bits else wire.MARK_STANDARD if text is None else wire.MARK_BOTH
    item = wire.MarkItem(
        opt_type=kind,
        contact_item=to_item(conversation),
        set_mark=[bit for bit, on in bits.items() if on] or None,
        clear_mark=[bit for bit, on in bits.items() if not on] or None,
        custom_mark=text,
    )
    return wire.MarkContactRequest(from_account=user, mark_item=[item])


def search_request(user: UserId, conversations: Iterable[Conversation]) -> wire.SearchContactGroupRequest:
    """Return the request for groups and marks of conversations, up to 300 a call [doc 53442]."""
    return wire.SearchContactGroupRequest(from_account=user, contact_item=list(map(to_item, conversations)))


def marks_of(conversation: Conversation, reply: wire.SearchContactGroupReply) -> Marks:
    """Return the marks of a conversation.

    It has none if it is returned without marks or left out of the reply; which of the two happens is unknown.
    """
    for entry in reply.contact_result_item:
        if from_item(entry) == conversation:
            bits = entry.standard_mark or ""
            return Marks(
                starred=has_bit(bits, wire.BIT_STAR),
                hidden=has_bit(bits, wire.BIT_HIDE),
                folded=has_bit(bits, wire.BIT_FOLD),
                text=entry.custom_mark or "",
            )
    return Marks()


def has_bit(mark: str, bit: int) -> bool:
    """Return whether a bit is set. The last character is bit 0; bits beyond the length of the text are not set."""
    return bit < len(mark) and mark[-1 - bit] == "1"


def _to_assignments(
    channels: Iterable[ChannelId], failures: Failures, status: AssignmentStatus
) -> dict[ChannelId, GroupAssignment]:
    outcomes = dict.fromkeys(channels, GroupAssignment(status))
    for conversation, why in failures.items():
        if (channel := ChannelId(conversation.id)) in outcomes:
            outcomes[channel] = _to_refused_assignment(*why)
    return outcomes


def _to_refused_assignment(code: int, text: str) -> GroupAssignment:
    """Return the outcome of one conversation that was refused."""
    if code in FULL_CODES:
        return GroupAssignment(AssignmentStatus.FULL, "the user's conversation groups are full")
    if code == codes.CONVERSATION_UNRESOLVED:
        return GroupAssignment(
            AssignmentStatus.NOT_SUBSCRIBED, "the user is not subscribed to the channel, or the channel is gone"
        )
    return GroupAssignment(AssignmentStatus.FAILED, f"{text or 'refused'} ({code})")


def _to_failed_assignment(error: ChannelAdapterError) -> GroupAssignment:
    """Return the outcome of every channel of a call that failed."""
    if error.code == codes.CONTACT_EDITION_TOO_LOW:
        return GroupAssignment(AssignmentStatus.UNSUPPORTED, "the app's edition has no conversation groups")
    transient = attempt_status(error) is not AttemptStatus.ANSWERED
    return GroupAssignment(AssignmentStatus.FAILED, f"{error.message}; {REPEAT_HINT}", transient=transient)


def _refusal_reason(code: int, text: str) -> str:
    text = redact_text(text)
    return text if code == codes.OK else f"{text or 'refused'} ({code})"
