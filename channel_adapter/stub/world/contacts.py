"""Conversation groups, marks and recent conversations of a user."""

from collections.abc import Iterable, Sequence
from typing import Any

from channel_adapter.stub.world.context import CommandContext, handles
from channel_adapter.stub.world.one_to_one import hide
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import ContactBook, ConversationEntry, ConversationKey
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import contact_groups as wire

OPERATIONS = (wire.ADD, wire.REMOVE)


def bad(info: str, *, guess: str | None = None) -> Refusal:
    """Return the refusal of a parameter of the contact service."""
    return Refusal(codes.CONTACT_BAD_PARAMETER, info, guess=guess)


def read_conversation(item: wire.ContactItem) -> ConversationKey:
    """Return type and id of a conversation; 50002 when the id that belongs to the type is missing."""
    peer = {wire.ONE_TO_ONE: item.to_account, wire.GROUP: item.to_group_id}.get(item.type)
    if not peer:
        raise bad("ContactItem: Type 1 with To_Account, or 2 with ToGroupId")
    return item.type, peer


def get_book(call: CommandContext[Any], user: str, *, edition: bool = True) -> ContactBook:
    """Return the user's book; 50001 for an unknown user, 51013 if the edition has no conversation groups."""
    if call.state.account(user) is None:
        raise Refusal(codes.CONTACT_NO_SUCH_ACCOUNT, "From_Account does not exist")
    if edition and not call.settings.app.conversation_groups:
        raise Refusal(codes.CONTACT_EDITION_TOO_LOW, "the edition has no conversation groups")
    return call.state.contacts.get(user) or ContactBook()


def _check_name(call: CommandContext[Any], name: str) -> None:
    maximum = call.settings.limits.contact_group_name_bytes
    if len(name.encode()) > maximum:
        raise Refusal(codes.CONTACT_GROUP_NAME_TOO_LONG, f"the name of a group has {maximum} bytes at most")


def check_count(call: CommandContext[Any], items: Sequence[object]) -> None:
    maximum = call.settings.limits.conversations
    if not 1 <= len(items) <= maximum:
        raise Refusal(codes.CONVERSATIONS_PER_CALL_WRONG, f"1 to {maximum} conversations a call")


def _check_room(
    call: CommandContext[Any], book: ContactBook, number: int | None, new: Iterable[ConversationKey]
) -> None:
    """Refuse the whole call with 51008 above the limit of distinct conversations in all groups, or in one."""
    everywhere = call.settings.behaviour.contact_group_limit == "user"
    if everywhere:
        filed = set(book.conversations())
    else:
        filed = set(book.conversations(number)) if number is not None else set()
    maximum = call.settings.limits.grouped_conversations
    if len(filed.union(new)) > maximum:
        raise Refusal(
            codes.TOO_MANY_CONVERSATIONS, f"{maximum} conversations in groups at most", guess="contact-group-limit"
        )


def conversation_problem(call: CommandContext[Any], user: str, conversation: ConversationKey) -> tuple[int, str] | None:
    """Return code and text for a conversation that cannot be put into a group, None for a good one."""
    kind, peer = conversation
    if kind == wire.GROUP:
        group = call.state.groups.get(peer)
        if group is None:
            return codes.CONVERSATION_UNRESOLVED, "the group does not exist"
        if call.settings.behaviour.contact_group_needs_membership and user not in group.members:
            return codes.CONVERSATION_UNRESOLVED, "the user is not in the group"
    elif call.state.account(peer) is None and peer not in call.state.official:
        return codes.CONTACT_NO_SUCH_ACCOUNT, "the account does not exist"
    return None


@handles(catalog.CREATE_CONTACT_GROUP)
def create_contact_group(call: CommandContext[wire.CreateContactGroupRequest]) -> wire.CreateContactGroupReply:
    """Create one group with its first conversations; an existing name is 50002 unless merging is on."""
    user = call.request.from_account
    if len(call.request.group_contact_item) != 1:
        raise bad("GroupContactItem: exactly one group a call", guess="contact-group-batch")
    new = call.request.group_contact_item[0]
    if not new.group_name:
        raise bad("GroupName is empty")
    conversations = [read_conversation(item) for item in new.contact_item]
    book = get_book(call, user)
    _check_name(call, new.group_name)
    check_count(call, conversations)
    number = book.number(new.group_name)
    if number is not None and call.settings.behaviour.contact_group_duplicate == "refuse":
        raise bad("GroupName: the user has a group of this name", guess="contact-group-duplicate")
    if number is None and len(book.groups) >= call.settings.limits.contact_groups:
        raise Refusal(codes.TOO_MANY_CONTACT_GROUPS, f"a user has {call.settings.limits.contact_groups} groups at most")
    problems = [conversation_problem(call, user, conversation) for conversation in conversations]
    good = [key for key, problem in zip(conversations, problems, strict=True) if problem is None]
    _check_room(call, book, number, good)
    book = call.state.contact_book(user)
    number = book.add_group(new.group_name) if number is None else number
    for conversation in good:
        book.assign(conversation, number, call.now)
    results = [_contact_result(item, problem) for item, problem in zip(new.contact_item, problems, strict=True)]
    group = wire.ContactGroup(group_name=new.group_name, group_id=number)
    return wire.CreateContactGroupReply(
        group_result_item=[wire.CreatedContactGroup(group_item=group, result_item=results)]
    )


def _contact_result(item: wire.ContactItem, problem: tuple[int, str] | None) -> wire.ContactResult:
    code, info = problem or (codes.OK, "")
    return wire.ContactResult(contact_item=item, result_code=code, result_info=info)


@handles(catalog.UPDATE_CONTACT_GROUP)
def update_contact_group(call: CommandContext[wire.UpdateContactGroupRequest]) -> wire.UpdateContactGroupReply:
    """Rename, or add and remove conversations; the number stays [doc 53439]."""
    update = call.request.update_group
    if call.request.update_type != wire.UPDATE_GROUP:
        raise bad("UpdateType must be 1")
    if update.update_group_type == wire.RENAME:
        return _rename_group(call, update)
    if update.update_group_type == wire.CHANGE_CONVERSATIONS:
        return _change_conversations(call, update)
    raise bad("UpdateGroupType must be 1 or 2")


def _find_group(book: ContactBook, name: str) -> int:
    number = book.number(name)
    if number is None:
        raise Refusal(codes.NO_SUCH_CONTACT_GROUP, "the conversation group does not exist")
    return number


def _rename_group(
    call: CommandContext[wire.UpdateContactGroupRequest], update: wire.ContactGroupUpdate
) -> wire.UpdateContactGroupReply:
    if not update.new_group_name:
        raise bad("NewGroupName is missing")
    book = get_book(call, call.request.from_account)
    _check_name(call, update.new_group_name)
    number = _find_group(book, update.old_group_name)
    if book.number(update.new_group_name) not in (None, number):
        raise bad("NewGroupName: the user has a group of this name", guess="contact-group-duplicate")
    book.groups[number] = update.new_group_name
    return _update_reply(update, update.new_group_name, number, None)


def _change_conversations(
    call: CommandContext[wire.UpdateContactGroupRequest], update: wire.ContactGroupUpdate
) -> wire.UpdateContactGroupReply:
    user, items = call.request.from_account, update.contact_update_item or []
    changes = [(item.contact_opt_type, read_conversation(item.contact_item)) for item in items]
    if any(operation not in OPERATIONS for operation, _ in changes):
        raise bad("ContactOptType must be 1 or 2")
    book = get_book(call, user)
    check_count(call, items)
    number = _find_group(book, update.old_group_name)
    problems = [
        conversation_problem(call, user, conversation) if operation == wire.ADD else None
        for operation, conversation in changes
    ]
    added = [
        conversation
        for (operation, conversation), problem in zip(changes, problems, strict=True)
        if operation == wire.ADD and problem is None
    ]
    _check_room(call, book, number, added)
    results = []
    for item, (operation, conversation), problem in zip(items, changes, problems, strict=True):
        if problem is None:
            perform = book.assign if operation == wire.ADD else book.unassign
            done = perform(conversation, number, call.now)
            problem = (codes.OK if done else call.settings.behaviour.contact_group_repeat_code), ""  # noqa: PLW2901
        results.append(
            wire.ContactUpdateResult(
                contact_opt_type=operation,
                contact_item=item.contact_item,
                result_code=problem[0],
                result_info=problem[1],
            )
        )
    return _update_reply(update, update.old_group_name, number, results)


def _update_reply(
    update: wire.ContactGroupUpdate, name: str, number: int, results: list[wire.ContactUpdateResult] | None
) -> wire.UpdateContactGroupReply:
    return wire.UpdateContactGroupReply(
        update_group_result=wire.ContactGroupUpdated(
            update_group_type=update.update_group_type,
            group_name=name,
            group_id=number,
            old_group_name=update.old_group_name,
            contact_result_item=results,
        )
    )


@handles(catalog.DEL_CONTACT_GROUP)
def del_contact_group(call: CommandContext[wire.DelContactGroupRequest]) -> wire.DelContactGroupReply:
    """Delete one group; its conversations stay [doc 53441]."""
    if len(call.request.group_name) != 1:
        raise bad("GroupName: exactly one name a call", guess="contact-group-batch")
    book = get_book(call, call.request.from_account)
    name = call.request.group_name[0]
    number = _find_group(book, name)
    book.remove_group(number, call.now)
    return wire.DelContactGroupReply(group_item=[wire.ContactGroup(group_name=name, group_id=number)])


@handles(catalog.SEARCH_CONTACT_GROUP)
def search_contact_group(call: CommandContext[wire.SearchContactGroupRequest]) -> wire.SearchContactGroupReply:
    """Return groups and marks of some conversations [doc 53442]."""
    asked = [read_conversation(item) for item in call.request.contact_item]
    maximum = call.settings.limits.conversation_search
    if not 1 <= len(asked) <= maximum:
        raise bad(f"ContactItem: 1 to {maximum} conversations", guess="conversation-search-batch")
    book = get_book(call, call.request.from_account)
    bare = call.settings.behaviour.search_returns_bare
    return wire.SearchContactGroupReply(
        contact_result_item=[entry_item(key, book.entries.get(key)) for key in asked if bare or key in book.entries],
        group_item=group_items(book),
    )


@handles(catalog.GET_CONTACT_GROUP)
def get_contact_group(call: CommandContext[wire.GetContactGroupRequest]) -> wire.GetContactGroupReply:
    """Return all groups, and conversations with groups or marks, paged by an index [doc 53440]."""
    start = call.request.start_index
    if start < 0:
        raise bad("StartIndex must be 0 or more")
    book = get_book(call, call.request.from_account)
    entries = list(book.entries.items())
    end = start + call.settings.limits.contact_group_page
    return wire.GetContactGroupReply(
        contact_item=[entry_item(key, entry) for key, entry in entries[start:end]],
        group_item=group_items(book),
        complete_flag=int(end >= len(entries)),
        next_start_index=0 if end >= len(entries) else end,
    )


def group_items(book: ContactBook) -> list[wire.ContactGroup]:
    return [wire.ContactGroup(group_name=name, group_id=number) for number, name in book.groups.items()]


def entry_item(conversation: ConversationKey, entry: ConversationEntry | None) -> wire.ContactEntry:
    """Return one conversation with its groups and marks; what is not set is left out [doc 53440]."""
    kind, peer = conversation
    return wire.ContactEntry(
        type=kind,
        to_account=peer if kind == wire.ONE_TO_ONE else None,
        to_group_id=peer if kind == wire.GROUP else None,
        standard_mark=f"{entry.mark:b}" if entry and entry.mark else None,
        custom_mark=(entry.custom_mark or None) if entry else None,
        contact_group_id=(list(entry.groups) or None) if entry else None,
        timestamp=entry.time if entry else None,
    )


def remove_conversation(call: CommandContext[Any], group_id: str, users: Iterable[str]) -> None:
    """Remove a group that users have left from their conversation groups, if that is switched on."""
    if call.settings.behaviour.contact_group_cleaned:
        for user in users:
            book = call.state.contacts.get(user)
            if book is not None:
                book.forget((wire.GROUP, group_id))


MARK_BITS = 64  # [doc 53438]


@handles(catalog.MARK_CONTACT)
def mark_contact(call: CommandContext[wire.MarkContactRequest]) -> wire.MarkContactReply:
    """Write standard bits and a custom text on conversations [doc 53438]."""
    user, items = call.request.from_account, call.request.mark_item
    conversations = [read_conversation(item.contact_item) for item in items]
    for item in items:
        _check_mark(call, item)
    edition = call.settings.behaviour.custom_marks_need_edition or any(
        item.opt_type != wire.MARK_CUSTOM for item in items
    )
    book = get_book(call, user, edition=edition)
    check_count(call, items)
    problems = [conversation_problem(call, user, conversation) for conversation in conversations]
    marked = {key for key, problem in zip(conversations, problems, strict=True) if problem is None}
    maximum = call.settings.limits.grouped_conversations
    if len(marked.union(book.marked())) > maximum:
        raise Refusal(
            codes.TOO_MANY_CONVERSATIONS, f"{maximum} marked conversations at most", guess="contact-mark-limit"
        )
    book = call.state.contact_book(user)
    results = []
    for item, conversation, problem in zip(items, conversations, problems, strict=True):
        if problem is None:
            _write_mark(book, item, conversation, call.now)
        code, info = problem or (codes.OK, "")
        results.append(
            wire.MarkResult(opt_type=item.opt_type, contact_item=item.contact_item, result_code=code, result_info=info)
        )
    return wire.MarkContactReply(result_item=results)


def _check_mark(call: CommandContext[Any], item: wire.MarkItem) -> None:
    if item.opt_type not in (wire.MARK_STANDARD, wire.MARK_CUSTOM, wire.MARK_BOTH):
        raise bad("OptType must be 1, 2 or 3")
    if not all(0 <= bit < MARK_BITS for bit in (*(item.set_mark or ()), *(item.clear_mark or ()))):
        raise bad(f"marks are bits 0 to {MARK_BITS - 1}")
    maximum = call.settings.limits.custom_mark_bytes
    if item.custom_mark is not None and len(item.custom_mark.encode()) > maximum:
        raise bad(f"CustomMark has {maximum} bytes at most")


def _write_mark(book: ContactBook, item: wire.MarkItem, conversation: ConversationKey, now: int) -> None:
    entry = book.entries.get(conversation) or ConversationEntry()
    mark, custom = entry.mark, entry.custom_mark
    if item.opt_type != wire.MARK_CUSTOM:
        for bit in item.set_mark or ():
            mark |= 1 << bit
        for bit in item.clear_mark or ():
            mark &= ~(1 << bit)
    if item.opt_type != wire.MARK_STANDARD and item.custom_mark is not None:
        custom = item.custom_mark
    book.mark(conversation, mark, custom, now)


EMPTY_TOO = 1 << 1  # AssistFlags: conversations without messages as well [doc 43087 older]
WITH_MARKS = 1 << 3  # groups and marks in the items [doc 43087, 2026; inferred]


def recent(call: CommandContext[Any], user: str, *, empty_too: bool) -> list[tuple[int, ConversationKey]]:
    """Return time and key of the user's conversations, newest first: groups, official accounts, other users."""
    logs = call.state.conversations.logs(user)
    peers = {peer: log.last_time(user) for peer, log in logs.items()}
    for account in call.state.subscribed.get(user):
        peers[account.account_id] = max(account.log.last_listed_time, peers.get(account.account_id, 0))
    everything: list[tuple[int, ConversationKey]] = [
        *((group.log.last_listed_time, (wire.GROUP, group.group_id)) for group in call.state.joined.get(user)),
        *((time, (wire.ONE_TO_ONE, peer)) for peer, time in peers.items()),
    ]
    found = [(time, key) for time, key in everything if time or empty_too]
    book = call.state.contacts.get(user)
    if book is not None:
        found = [(time, key) for time, key in found if key not in book.deleted or time > book.deleted[key]]
    found.sort(key=lambda item: (-item[0], item[1]))  # by name within a second: a restart keeps the order
    return found[: call.settings.limits.recent_conversations]


@handles(catalog.GET_RECENT_CONTACTS)
def get_list(call: CommandContext[wire.GetListRequest]) -> wire.GetListReply:
    """Return all recent conversations in one page, a hundred at most, without unread counts [doc 43087]."""
    request = call.request
    positions = (request.time_stamp, request.start_index, request.top_time_stamp, request.top_start_index)
    if min(positions) < 0 or request.assist_flags < 0:
        raise bad("TimeStamp, StartIndex, TopTimeStamp, TopStartIndex and AssistFlags must be 0 or more")
    book = get_book(call, request.from_account, edition=False)
    conversations = recent(call, request.from_account, empty_too=bool(request.assist_flags & EMPTY_TOO))
    items = []
    for time, (kind, peer) in conversations[request.start_index :]:
        filed = book.entries.get((kind, peer)) if request.assist_flags & WITH_MARKS else None
        marks = entry_item((kind, peer), filed)
        items.append(
            wire.SessionItem(
                type=kind,
                to_account=peer if kind == wire.ONE_TO_ONE else None,
                group_id=peer if kind == wire.GROUP else None,
                msg_time=time,
                top_flag=0,
                standard_mark=marks.standard_mark,
                custom_mark=marks.custom_mark,
                contact_group_id=marks.contact_group_id,
            )
        )
    return wire.GetListReply(session_item=items)


@handles(catalog.DELETE_RECENT_CONTACT)
def delete(call: CommandContext[wire.DeleteRequest]) -> wire.DeleteReply:
    """Hide one conversation until its next message; its groups and marks stay [doc 43088; inferred].

    With ClearRamble 1 the messages of a one-to-one conversation are gone for this user.
    """
    request = call.request
    peer = {wire.ONE_TO_ONE: request.to_account, wire.GROUP: request.to_groupid}.get(request.type)
    if not peer:
        raise bad("Type 1 with To_Account, or 2 with ToGroupid")
    if request.clear_ramble not in (None, 0, 1):
        raise bad("ClearRamble must be 0 or 1")
    get_book(call, request.from_account, edition=False)
    call.state.contact_book(request.from_account).deleted[request.type, peer] = call.now
    if request.clear_ramble and request.type == wire.ONE_TO_ONE:
        hide(call, request.from_account, peer)
    return wire.DeleteReply()
