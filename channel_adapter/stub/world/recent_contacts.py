"""The list of recent conversations, and one-to-one unread counts [conversations 1.7, 1.8, 2.3, 2.4]."""

from typing import Any

from channel_adapter.stub.world.call import Call, handles
from channel_adapter.stub.world.contact_book import Conversation
from channel_adapter.stub.world.contact_groups import bad, entry_item, open_book
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.tencent import catalog, codes
from channel_adapter.tencent.wire import contact_groups as wire
from channel_adapter.tencent.wire import unread

EMPTY_TOO = 1 << 1  # AssistFlags: conversations without messages as well [doc 43087 older]
WITH_MARKS = 1 << 3  # groups and marks in the items [doc 43087, 2026; inferred]


def recent(call: Call[Any], user: str, *, empty_too: bool) -> list[tuple[int, Conversation]]:
    """Time and key of the user's conversations, newest first: groups he is in, official accounts he follows."""
    everything: list[tuple[int, Conversation]] = [
        *((group.log.last_time, (wire.GROUP, group.group_id)) for group in call.state.joined.of(user)),
        *((account.log.last_time, (wire.ONE_TO_ONE, account.account_id)) for account in call.state.subscribed.of(user)),
    ]
    found = [(time, key) for time, key in everything if time or empty_too]
    book = call.state.contacts.get(user)
    if book is not None:
        found = [(time, key) for time, key in found if key not in book.deleted or time > book.deleted[key]]
    found.sort(key=lambda item: item[0], reverse=True)
    return found[: call.settings.limits.recent_conversations]


@handles(catalog.GET_RECENT_CONTACTS)
def get_list(call: Call[wire.GetListRequest]) -> wire.GetListReply:
    """All in one page: the service keeps a hundred of them. No unread counts [doc 43087]."""
    request = call.request
    positions = (request.time_stamp, request.start_index, request.top_time_stamp, request.top_start_index)
    if min(positions) < 0 or request.assist_flags < 0:
        raise bad("TimeStamp, StartIndex, TopTimeStamp, TopStartIndex and AssistFlags must be 0 or more")
    book = open_book(call, request.from_account, edition=False)
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
def delete(call: Call[wire.DeleteRequest]) -> wire.DeleteReply:
    """Hide one conversation until its next message; what is filed about it stays [doc 43088; inferred]."""
    request = call.request
    peer = {wire.ONE_TO_ONE: request.to_account, wire.GROUP: request.to_groupid}.get(request.type)
    if not peer:
        raise bad("Type 1 with To_Account, or 2 with ToGroupid")
    if request.clear_ramble not in (None, 0, 1):
        raise bad("ClearRamble must be 0 or 1")
    open_book(call, request.from_account, edition=False)
    call.state.contact_book(request.from_account).deleted[request.type, peer] = call.now
    return wire.DeleteReply()


@handles(catalog.GET_C2C_UNREAD_MSG_NUM)
def get_c2c_unread_msg_num(call: Call[unread.GetC2cUnreadMsgNumRequest]) -> unread.GetC2cUnreadMsgNumReply:
    """In all, or by peer. The stub's only one-to-one messages are broadcasts of official accounts [inferred]."""
    user, peers = call.request.to_account, call.request.peer_account
    if call.state.account(user) is None:
        raise Refusal(codes.NO_SUCH_PEER, "To_Account does not exist")
    counts = {}
    for account in call.state.subscribed.of(user):
        row = account.subscribers.find(user)
        counts[account.account_id] = 0 if row is None else account.log.unread(account.subscribers.read(row))
    if not peers:
        return unread.GetC2cUnreadMsgNumReply(all_c2c_unread_msg_num=sum(counts.values()))
    most = call.settings.limits.unread_peers
    if len(peers) > most:
        raise Refusal(codes.MESSAGE_BAD_JSON, f"Peer_Account: {most} accounts at most")
    known = [peer for peer in peers if _exists(call, peer)]
    return unread.GetC2cUnreadMsgNumReply(
        c2c_unread_msg_num_list=[
            unread.PeerUnread(peer_account=peer, c2c_unread_msg_num=counts.get(peer, 0)) for peer in known
        ],
        error_list=[
            unread.PeerError(peer_account=peer, error_code=codes.NO_SUCH_PEER) for peer in peers if peer not in known
        ]
        or None,
    )


def _exists(call: Call[Any], peer: str) -> bool:
    return call.state.account(peer) is not None or peer in call.state.official


@handles(catalog.ADMIN_SET_MSG_READ)
def admin_set_msg_read(call: Call[unread.AdminSetMsgReadRequest]) -> unread.AdminSetMsgReadReply:
    """Everything a peer sent up to a moment is read [java-sdk]."""
    request = call.request
    if call.state.account(request.report_account) is None:
        raise Refusal(codes.NO_SUCH_PEER, "Report_Account does not exist")
    if not _exists(call, request.peer_account):
        raise Refusal(codes.NO_SUCH_PEER, "Peer_Account does not exist")
    until = call.now if request.msg_read_time is None else request.msg_read_time
    if until < 0:
        raise Refusal(codes.MESSAGE_BAD_JSON, "MsgReadTime must be 0 or more")
    account = call.state.official.get(request.peer_account)
    row = account.subscribers.find(request.report_account) if account else None
    if account is not None and row is not None:
        account.subscribers.set_read(row, max(account.subscribers.read(row), account.log.seq_at(until)))
    return unread.AdminSetMsgReadReply()
