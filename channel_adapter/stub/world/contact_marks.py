"""Marks on conversations: bits and a custom text [conversations 1.4]."""

from typing import Any

from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.contact_book import ContactBook, Conversation, Entry
from channel_adapter.stub.world.contact_groups import bad, check_count, missing, open_book, read_conversation
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import contact_groups as wire

MARK_BITS = 64  # [doc 53438]


@handles(catalog.MARK_CONTACT)
def mark_contact(call: Call[wire.MarkContactRequest]) -> wire.MarkContactReply:
    """Standard bits and a custom text on conversations [doc 53438]."""
    user, items = call.request.from_account, call.request.mark_item
    conversations = [read_conversation(item.contact_item) for item in items]
    for item in items:
        _check_mark(call, item)
    edition = call.settings.behaviour.custom_marks_need_edition or any(
        item.opt_type != wire.MARK_CUSTOM for item in items
    )
    book = open_book(call, user, edition=edition)
    check_count(call, items)
    problems = [missing(call, user, conversation) for conversation in conversations]
    marked = {key for key, problem in zip(conversations, problems, strict=True) if problem is None}
    most = call.settings.limits.grouped_conversations
    if len(marked.union(book.marked())) > most:
        raise Refusal(codes.TOO_MANY_CONVERSATIONS, f"{most} marked conversations at most", guess="contact-mark-limit")
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


def _check_mark(call: Call[Any], item: wire.MarkItem) -> None:
    if item.opt_type not in (wire.MARK_STANDARD, wire.MARK_CUSTOM, wire.MARK_BOTH):
        raise bad("OptType must be 1, 2 or 3")
    if not all(0 <= bit < MARK_BITS for bit in (*(item.set_mark or ()), *(item.clear_mark or ()))):
        raise bad(f"marks are bits 0 to {MARK_BITS - 1}")
    most = call.settings.limits.custom_mark_bytes
    if item.custom_mark is not None and len(item.custom_mark.encode()) > most:
        raise bad(f"CustomMark has {most} bytes at most")


def _write_mark(book: ContactBook, item: wire.MarkItem, conversation: Conversation, now: int) -> None:
    entry = book.entries.get(conversation) or Entry()
    mark, custom = entry.mark, entry.custom_mark
    if item.opt_type != wire.MARK_CUSTOM:
        for bit in item.set_mark or ():
            mark |= 1 << bit
        for bit in item.clear_mark or ():
            mark &= ~(1 << bit)
    if item.opt_type != wire.MARK_STANDARD and item.custom_mark is not None:
        custom = item.custom_mark
    book.mark(conversation, mark, custom, now)
