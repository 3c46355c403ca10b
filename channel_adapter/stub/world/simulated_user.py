"""A user of a client app: actions with the effects and events of a client, not of the REST API."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar, cast

from channel_adapter.stub.settings import StubSettings
from channel_adapter.stub.world import contacts, extensions, members, messages, one_to_one
from channel_adapter.stub.world import group_rules as rules
from channel_adapter.stub.world import message_body as bodies
from channel_adapter.stub.world import official_accounts as official
from channel_adapter.stub.world.context import ALLOW, CallbackDecision, CallbackEvent, CommandContext
from channel_adapter.stub.world.conversations import MessageNumbers, PairMessage
from channel_adapter.stub.world.member_table import FLAGS
from channel_adapter.stub.world.message_log import StoredMessage
from channel_adapter.stub.world.refusal import Refusal
from channel_adapter.stub.world.state import AppData, Group, is_user_id
from channel_adapter.tencent import codes, limits
from channel_adapter.tencent.wire import callback_envelope as platforms
from channel_adapter.tencent.wire import callbacks_c2c as c2c_events
from channel_adapter.tencent.wire import callbacks_group as events
from channel_adapter.tencent.wire import callbacks_other as other_events
from channel_adapter.tencent.wire import contact_groups as filing_wire
from channel_adapter.tencent.wire import extensions as pairs_wire
from channel_adapter.tencent.wire import groups, official_accounts
from channel_adapter.tencent.wire import messages as wire
from channel_adapter.tencent.wire import one_to_one as c2c_wire
from channel_adapter.tencent.wire.msg_body import TEXT, Element, TextContent

PLATFORMS = (
    platforms.IOS,
    platforms.ANDROID,
    platforms.WEB,
    platforms.WINDOWS,
    platforms.MAC,
    platforms.MAC_BEFORE,
    platforms.IPAD,
    platforms.UNKNOWN_PLATFORM,
)
ResultT = TypeVar("ResultT")


class Simulation(Protocol):
    """What a simulated user acts on: the state of the stub."""

    changes: int
    state: AppData
    settings: StubSettings

    def draw(self, highest: int) -> int:
        """Return a random number from 0 to `highest`."""

    def calling(
        self, request: Any, caller: str, origin: str, decision: CallbackDecision
    ) -> AbstractContextManager[CommandContext[Any]]:
        """Return the context of one call; its events are emitted when it ends."""


class SimulatedUser:
    """One user on one platform. Every method raises Refusal where the service would refuse the client.

    `decision` is the app's answer to the before-event that the `ask_...` method of the same name returns.
    """

    def __init__(self, world: Simulation, user: str, platform: str) -> None:
        if platform not in PLATFORMS:
            raise ValueError(f"platform must be one of {', '.join(PLATFORMS)}")
        if world.state.account(user) is None:
            if not world.settings.behaviour.auto_import or not is_user_id(user):
                raise Refusal(codes.NO_SUCH_USER, "the account does not exist")
            world.state.add_account(user)
        self._world, self.user, self.platform = world, user, platform

    def login(self) -> None:
        """Log in on this platform; the user is online."""
        self._run_command(None, lambda call: self._switch_online(call, online=True))

    def logout(self) -> None:
        """Log out on this platform; the user is offline when no other platform is logged in."""
        self._run_command(None, lambda call: self._switch_online(call, online=False))

    def before_join(self, group_id: str) -> CallbackEvent:
        """Return the event before a join."""
        return self._run_command(None, lambda call: self._before_join(call, group_id))

    def join(self, group_id: str, *, decision: CallbackDecision = ALLOW) -> None:
        """Join immediately, unless applying is off (10007); 10013, 10014, 10037 [docS 1502]."""
        self._run_command(None, lambda call: self._join_group(call, group_id), decision)

    def leave(self, group_id: str) -> None:
        """Leave the group; the owner may not (10009)."""
        self._run_command(None, lambda call: self._leave_group(call, group_id))

    def read(self, group_id: str, up_to: int | None = None) -> int:
        """Read all messages, or up to a seq, never backwards; return the read seq."""
        return self._run_command(None, lambda call: self._mark_read(call, group_id, up_to))

    def unread(self, group_id: str) -> int:
        """Return the unread count of the group."""
        return self._run_command(None, lambda call: self._count_unread(call, group_id))

    def set_receive_option(self, group_id: str, flag: str) -> None:
        """Set AcceptAndNotify, AcceptNotNotify, AcceptNotNotifyExceptAt or Discard, for this user."""
        rules.check_choice("MsgFlag", flag, FLAGS)
        self._run_command(None, lambda call: self._set_flag(call, group_id, flag))

    def file(self, name: str, group_ids: Sequence[str]) -> list[int]:
        """Put groups into a conversation group, which is created if missing; return a code for each [sdk-header]."""
        book = self._world.state.contacts.get(self.user)
        items = [filing_wire.ContactItem(type=filing_wire.GROUP, to_group_id=group_id) for group_id in group_ids]
        if book is not None and book.number(name) is not None:
            return self._change_conversations(name, filing_wire.ADD, items)
        new = filing_wire.NewContactGroup(group_name=name, contact_item=items)
        request = filing_wire.CreateContactGroupRequest(from_account=self.user, group_contact_item=[new])
        reply = cast(
            "filing_wire.CreateContactGroupReply", self._run_command(request, contacts.create_contact_group.run)
        )
        return [item.result_code for item in reply.group_result_item[0].result_item]

    def unfile(self, name: str, group_ids: Sequence[str]) -> list[int]:
        """Remove groups from a conversation group; 51009 when there is none."""
        items = [filing_wire.ContactItem(type=filing_wire.GROUP, to_group_id=group_id) for group_id in group_ids]
        return self._change_conversations(name, filing_wire.REMOVE, items)

    def drop_folder(self, name: str) -> None:
        """Delete a conversation group; its conversations stay."""
        request = filing_wire.DelContactGroupRequest(from_account=self.user, group_name=[name])
        self._run_command(request, contacts.del_contact_group.run)

    def before_post(
        self, group_id: str, body: str | Sequence[Mapping[str, Any]], *, random: int | None = None
    ) -> CallbackEvent | None:
        """Return the event before a post."""
        return self._run_command(self._group_message(group_id, body, random), messages.before_send)

    def post(
        self,
        group_id: str,
        body: str | Sequence[Mapping[str, Any]],
        *,
        random: int | None = None,
        supports_extensions: bool = False,
        decision: CallbackDecision = ALLOW,
    ) -> wire.SendGroupMsgReply:
        """Send a text, or elements; 10017 when muted, 10007 for a user who is no member."""
        request = self._group_message(group_id, body, random)
        request.support_message_extension = int(supports_extensions)
        sent = self._run_command(request, messages.send, decision)
        return wire.SendGroupMsgReply(msg_time=sent.time, msg_seq=sent.seq, msg_drop_reason=sent.drop_reason)

    def edit(self, group_id: str, seq: int, body: str | Sequence[Mapping[str, Any]]) -> None:
        """Change any message, as any member may [client docs]; 20026 for one that does not exist."""
        self._run_command(None, lambda call: self._edit_post(call, group_id, seq, _to_elements(body)))

    def recall(self, group_id: str, seq: int) -> None:
        """Recall a message within two minutes (10031 later): one's own, or any as owner or admin [doc 34965]."""
        self._run_command(None, lambda call: self._recall_post(call, group_id, seq))

    def set_extensions(
        self, group_id: str, seq: int, pairs: Mapping[str, str], *, seqs: Mapping[str, int] | None = None
    ) -> list[pairs_wire.ExtensionResult]:
        """Set pairs on a message. `seqs` are the Seqs this client believes in; absent: the right ones."""
        return self._change_extensions(group_id, seq, pairs_wire.SET, pairs, seqs)

    def delete_extensions(
        self, group_id: str, seq: int, keys: Sequence[str], *, seqs: Mapping[str, int] | None = None
    ) -> list[pairs_wire.ExtensionResult]:
        """Delete pairs of a message."""
        return self._change_extensions(group_id, seq, pairs_wire.DELETE, dict.fromkeys(keys, ""), seqs)

    def before_follow(self, account_id: str) -> CallbackEvent:
        """Return the event before following an official account."""
        return self._run_command(
            None, lambda call: official.before_subscribe(call, official.find(call, account_id), [self.user])
        )

    def follow(self, account_id: str, *, decision: CallbackDecision = ALLOW) -> int:
        """Subscribe to an official account; return the Result as add_subscriber does."""
        return self._run_command(None, lambda call: self._follow_account(call, account_id), decision)

    def unfollow(self, account_id: str) -> int:
        """Unsubscribe; return the Result as delete_subscriber does."""
        return self._run_command(
            None, lambda call: official.unsubscribe(call, official.find(call, account_id), [self.user])[0]
        )

    def before_send(
        self, peer: str, body: str | Sequence[Mapping[str, Any]], *, random: int | None = None
    ) -> CallbackEvent | None:
        """Return the event before a one-to-one message."""
        return self._run_command(self._direct_message(peer, body, random), one_to_one.before_send)

    def send(
        self,
        peer: str,
        body: str | Sequence[Mapping[str, Any]],
        *,
        random: int | None = None,
        supports_extensions: bool = False,
        needs_receipt: bool = False,
        decision: CallbackDecision = ALLOW,
    ) -> c2c_wire.SendmsgReply:
        """Send a one-to-one message to a user or an official account; 130002 without a subscription to it."""
        request = self._direct_message(peer, body, random)
        request.support_message_extension = int(supports_extensions)
        request.is_need_read_receipt = int(needs_receipt)
        return cast("c2c_wire.SendmsgReply", self._run_command(request, one_to_one.send_message.run, decision))

    def read_messages(self, peer: str, up_to: int | None = None) -> None:
        """Read what a user or official account sent, all or up to a time in Unix seconds; 90048 for an unknown one."""
        self._run_command(None, lambda call: self._read_messages(call, peer, up_to))

    def unread_messages(self, peer: str | None = None) -> int:
        """Return the unread one-to-one messages and broadcasts, of one account (90048 if unknown) or of all."""
        return self._run_command(None, lambda call: self._count_unread_messages(call, peer))

    def read_all(self) -> None:
        """Read everything, groups too; the one event about it has the read positions of the groups."""
        self._run_command(None, self._mark_all_read)

    def confirm_read(self, peer: str, keys: Sequence[str]) -> None:
        """Confirm the reading of single messages of a peer to it."""
        self._run_command(None, lambda call: self._confirm_read(call, peer, keys))

    def edit_message(self, peer: str, key: str, body: str | Sequence[Mapping[str, Any]]) -> None:
        """Change a message of either side; 20026 for one that does not exist [client docs]."""
        self._run_command(None, lambda call: self._edit_message(call, peer, key, _to_elements(body)))

    def recall_message(self, peer: str, key: str) -> None:
        """Recall a message that this user sent within two minutes; 20016 later, 20022 for others [doc 34965]."""
        self._run_command(None, lambda call: self._recall_message(call, peer, key))

    def delete_messages(self, peer: str, keys: Sequence[str]) -> None:
        """Take messages out of the history of this user."""
        request = c2c_wire.DeleteC2cMsgRambleRequest(
            operator_account=self.user, peer_account=peer, msg_key_list=list(keys)
        )
        self._run_command(request, one_to_one.delete_messages.run)

    def set_message_extensions(
        self, peer: str, key: str, pairs: Mapping[str, str], *, seqs: Mapping[str, int] | None = None
    ) -> list[pairs_wire.ExtensionResult]:
        """Set pairs on a one-to-one message of either side, as `set_extensions` does in a group."""
        return self._run_command(
            None,
            lambda call: _apply_pairs(call, self._pair_message(call, peer, key), pairs_wire.SET, pairs, seqs),
        )

    def _change_conversations(self, name: str, operation: int, items: list[filing_wire.ContactItem]) -> list[int]:
        update = filing_wire.ContactGroupUpdate(
            update_group_type=filing_wire.CHANGE_CONVERSATIONS,
            old_group_name=name,
            contact_update_item=[
                filing_wire.ContactUpdate(contact_opt_type=operation, contact_item=item) for item in items
            ],
        )
        request = filing_wire.UpdateContactGroupRequest(from_account=self.user, update_group=update)
        reply = cast(
            "filing_wire.UpdateContactGroupReply", self._run_command(request, contacts.update_contact_group.run)
        )
        return [item.result_code for item in reply.update_group_result.contact_result_item or ()]

    def _run_command(
        self, request: Any, do: Callable[[CommandContext[Any]], ResultT], decision: CallbackDecision = ALLOW
    ) -> ResultT:
        if self._world.state.account(self.user) is None:  # it was deleted meanwhile
            raise Refusal(codes.NO_SUCH_USER, "the account does not exist")
        self._world.changes += 1
        with self._world.calling(request, self.user, self.platform, decision) as call:
            return do(call)

    def _switch_online(self, call: CommandContext[Any], *, online: bool) -> None:
        logins = call.state.online.get(self.user, [])
        if online == (self.platform in logins):
            return
        call.state.online[self.user] = [platform for platform in logins if platform != self.platform]
        if online:
            call.state.online[self.user].append(self.platform)
        elif not call.state.online[self.user]:
            del call.state.online[self.user]
        action, reason = ("Login", "Register") if online else ("Logout", "Unregister")
        call.emit(other_events.StateChange, info={"action": action, "to_account": self.user, "reason": reason})

    def _before_join(self, call: CommandContext[Any], group_id: str) -> CallbackEvent:
        group = self._find_joinable(call, group_id)
        return call.event(
            events.BeforeApplyJoinGroup,
            group_id=group.group_id,
            type=group.type,
            requestor_account=self.user,
        )

    def _find_joinable(self, call: CommandContext[Any], group_id: str) -> Group:
        group = call.state.group(group_id)
        if self.user in group.members:
            raise Refusal(codes.ALREADY_MEMBER, "already a member")
        if group.type == groups.PRIVATE or group.apply_join_option == groups.DISABLE_APPLY:
            raise Refusal(codes.NOT_ALLOWED, "applying to join this group is off")
        if not rules.may_join_more(call, self.user):
            raise Refusal(codes.USER_IN_TOO_MANY_GROUPS, "in too many groups")
        if len(group.members) >= group.max_members:
            raise rules.group_full(call, group)
        return group

    def _join_group(self, call: CommandContext[Any], group_id: str) -> None:
        group = self._find_joinable(call, group_id)
        call.apply_decision(codes.WEBHOOK_REFUSED)
        members.add_members(call, group, [self.user], events.APPLIED, self.user)

    def _find_membership(self, call: CommandContext[Any], group_id: str) -> tuple[Group, int]:
        """Return the group and the user's row in it; 10007 for a user who is no member."""
        group = call.state.group(group_id)
        row = group.members.find(self.user)
        if row is None:
            raise Refusal(codes.NOT_ALLOWED, "not a member of the group")
        return group, row

    def _leave_group(self, call: CommandContext[Any], group_id: str) -> None:
        group, _ = self._find_membership(call, group_id)
        if group.owner == self.user:
            raise Refusal(codes.OWNER_CANNOT_LEAVE, "the owner may not leave")
        members.remove_members(call, group, [self.user], events.QUIT, self.user)

    def _mark_read(self, call: CommandContext[Any], group_id: str, up_to: int | None) -> int:
        group, row = self._find_membership(call, group_id)
        last = group.log.next_seq - 1
        seq = max(group.members.read(row), last if up_to is None else min(up_to, last))
        group.members.set_read(row, seq)
        return seq

    def _count_unread(self, call: CommandContext[Any], group_id: str) -> int:
        group, row = self._find_membership(call, group_id)
        return group.log.unread(group.members.read(row))

    def _set_flag(self, call: CommandContext[Any], group_id: str, flag: str) -> None:
        group, row = self._find_membership(call, group_id)
        group.members.set_flag(row, flag)

    def _group_message(
        self, group_id: str, body: str | Sequence[Mapping[str, Any]], random: int | None
    ) -> wire.SendGroupMsgRequest:
        drawn = self._world.draw(limits.RANDOM_HIGHEST) if random is None else random
        return wire.SendGroupMsgRequest(
            group_id=group_id, random=drawn, msg_body=_to_elements(body), from_account=self.user
        )

    def _find_message(
        self, call: CommandContext[Any], group_id: str, seq: int, missing: int
    ) -> tuple[Group, StoredMessage]:
        group, _ = self._find_membership(call, group_id)
        message = group.log.get(seq)
        if message is None or message.recalled or message.system or messages.expired(call, message):
            raise Refusal(missing, "the message does not exist")
        return group, message

    def _edit_post(self, call: CommandContext[Any], group_id: str, seq: int, body: list[Element]) -> None:
        group, message = self._find_message(call, group_id, seq, codes.NO_MESSAGE_TO_MODIFY)
        bodies.check_body(body, bodies.MODIFYING)
        bodies.check_size(call.settings, body, message.cloud_custom_data)
        messages.change_message(call, group, message, body, message.cloud_custom_data)

    def _recall_post(self, call: CommandContext[Any], group_id: str, seq: int) -> None:
        group, message = self._find_message(call, group_id, seq, codes.NO_SUCH_MESSAGE)
        if message.sender != self.user and not rules.is_staff(group, self.user):
            raise Refusal(codes.NOT_ALLOWED, "the message of another user")
        if call.now - message.time > call.settings.limits.client_recall_seconds:
            raise Refusal(codes.RECALL_TOO_LATE, "the time to recall has passed")
        messages.recall(call, group, [message])

    def _change_extensions(
        self, group_id: str, seq: int, operation: int, pairs: Mapping[str, str], seqs: Mapping[str, int] | None
    ) -> list[pairs_wire.ExtensionResult]:
        def change(call: CommandContext[Any]) -> list[pairs_wire.ExtensionResult]:
            target = extensions.find_group_message(call, group_id, seq)
            self._find_membership(call, group_id)
            return _apply_pairs(call, target, operation, pairs, seqs)

        return self._run_command(None, change)

    def _direct_message(
        self, peer: str, body: str | Sequence[Mapping[str, Any]], random: int | None
    ) -> c2c_wire.SendmsgRequest:
        drawn = self._world.draw(limits.RANDOM_HIGHEST) if random is None else random
        return c2c_wire.SendmsgRequest(
            from_account=self.user, to_account=peer, msg_random=drawn, msg_body=_to_elements(body)
        )

    def _read_messages(self, call: CommandContext[Any], peer: str, up_to: int | None) -> None:
        known = one_to_one.find_reader(call, "the peer", peer)
        one_to_one.mark_read(call, self.user, known, call.now if up_to is None else up_to)

    def _count_unread_messages(self, call: CommandContext[Any], peer: str | None) -> int:
        known = None if peer is None else one_to_one.find_reader(call, "the peer", peer)
        return one_to_one.unread_from(call, self.user, known)

    def _mark_all_read(self, call: CommandContext[Any]) -> None:
        peers = {
            *call.state.conversations.logs(self.user),
            *(a.account_id for a in call.state.subscribed.get(self.user)),
        }
        for peer in peers:
            one_to_one.set_read(call, self.user, peer, call.now)
        positions = []
        for group in call.state.joined.get(self.user):
            seq = self._mark_read(call, group.group_id, None)
            positions.append({"group_id": group.group_id, "msg_seq": seq})
        call.emit(c2c_events.AfterMsgReadAll, report_account=self.user, group_read_info=positions)

    def _find_pair_message(self, call: CommandContext[Any], peer: str, key: str, missing: int) -> PairMessage:
        """Return a message of either direction."""
        numbers, log = MessageNumbers.read(key), call.state.conversations.get(self.user, peer)
        message = None if numbers is None or log is None else log.find(numbers)
        if message is None or self.user in message.hidden_from:
            raise Refusal(missing, "the message does not exist")
        return message

    def _pair_message(self, call: CommandContext[Any], peer: str, key: str) -> extensions.ExtensionTarget:
        message = self._find_pair_message(call, peer, key, codes.EXTENSION_NO_MESSAGE)
        return extensions.find_pair_message(call, message.sender, message.receiver, key)

    def _confirm_read(self, call: CommandContext[Any], peer: str, keys: Sequence[str]) -> None:
        pair = one_to_one.Pair(peer, self.user)
        found = [one_to_one.find_message(call, pair, key, codes.NO_MESSAGE_TO_MODIFY)[1] for key in keys]
        for message in found:
            message.receipt = True
        confirmed = [
            {
                "from_account": message.sender,
                "to_account": message.receiver,
                "msg_key": message.numbers.key,
                "msg_id": one_to_one.message_id(message.sender, message.numbers),
            }
            for message in found
        ]
        call.emit(c2c_events.AfterMsgReadReceipt, operator_account=self.user, peer_account=peer, c2c_msg_info=confirmed)

    def _edit_message(self, call: CommandContext[Any], peer: str, key: str, body: list[Element]) -> None:
        bodies.check_body(body, bodies.MODIFYING)
        message = self._find_pair_message(call, peer, key, codes.NO_MESSAGE_TO_MODIFY)
        one_to_one.change_message(call, message, body, None)

    def _recall_message(self, call: CommandContext[Any], peer: str, key: str) -> None:
        pair = one_to_one.Pair(self.user, peer)
        log, message = one_to_one.find_message(call, pair, key, codes.NO_MESSAGE_TO_RECALL)
        if call.now - message.time > call.settings.limits.client_recall_seconds:
            raise Refusal(codes.C2C_RECALL_TOO_LATE, "the time to recall has passed")
        one_to_one.recall(call, log, message)

    def _follow_account(self, call: CommandContext[Any], account_id: str) -> int:
        account = official.find(call, account_id)
        call.apply_decision(codes.MESSAGE_WEBHOOK_REFUSED)
        if self.user in call.decision.refused:
            return official_accounts.RESULT_FAILED
        return official.subscribe(call, account, [self.user])[0]


def _apply_pairs(
    call: CommandContext[Any],
    target: extensions.ExtensionTarget,
    operation: int,
    pairs: Mapping[str, str],
    seqs: Mapping[str, int] | None,
) -> list[pairs_wire.ExtensionResult]:
    """Change pairs of a message with the Seqs that a client believes in, None for the right ones."""
    believed = extensions.current_seqs(target.message) if seqs is None else seqs
    items = [pairs_wire.Extension(key=key, value=value, seq=believed.get(key, 0)) for key, value in pairs.items()]
    wanted = extensions.ExtensionChange(operation, items, call.settings.behaviour.extension_check_member_seq)
    extensions.check_change(call, wanted)
    return extensions.apply(call, target, wanted)


def _to_elements(body: str | Sequence[Mapping[str, Any]]) -> list[Element]:
    """Return a text, or wire elements, as elements."""
    if isinstance(body, str):
        return [Element(msg_type=TEXT, msg_content=TextContent(text=body).to_wire())]
    return [Element.model_validate(element) for element in body]
