"""Webhooks of both modes: a receiver gets both during a migration. The only place here that names the modes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from channel_adapter.backends.callbacks import (
    MESSAGE_COMMANDS,
    MESSAGE_REQUESTS,
    CallbackMapping,
    Identity,
    MessageT,
    PendingPost,
    from_other_side,
    message_event,
    message_identity,
    message_request,
    rate_alarm,
    read_context,
    reply_to,
    unreadable,
)
from channel_adapter.backends.community.callbacks import COMMUNITY_CALLBACKS
from channel_adapter.backends.official.callbacks import OFFICIAL_CALLBACKS
from channel_adapter.domain import events as e
from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.mode import Mode
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.callback_envelope import Callback, CallbackReply
from channel_adapter.tencent.wire.callbacks import MODELS, is_before, read
from channel_adapter.tencent.wire.callbacks_other import RequestOverLimit

TABLES: Final[Mapping[Mode, CallbackMapping]] = {
    Mode.COMMUNITY: COMMUNITY_CALLBACKS,
    Mode.OFFICIAL: OFFICIAL_CALLBACKS,
}


def commands_of(mode: Mode) -> Mapping[type[e.Event], str]:
    """Return the command of the webhook for each event of a mode."""
    return {**TABLES[mode].commands, **MESSAGE_COMMANDS, e.RateAlarm: RequestOverLimit.command}


def requests_of(mode: Mode) -> Mapping[type[hooks.HookRequest], str]:
    """Return the command of the webhook for each request to the guard.

    In Community mode invitations come with Group.CallbackBeforeInviteJoinGroup as well.
    """
    return {**TABLES[mode].requests, **MESSAGE_REQUESTS}


COMMANDS: Final = commands_of(Mode.COMMUNITY)
REQUESTS: Final = requests_of(Mode.COMMUNITY)


class CallbackTables:
    """Reads webhooks for an adapter of one mode. What is about the other mode has `other_mode` True."""

    def __init__(self, mode: Mode, *, admin: str) -> None:
        """`admin` is the account as which the adapter calls."""
        self._mode = mode
        self._own = TABLES[mode]
        self._others = tuple(table for other, table in TABLES.items() if other is not mode)
        self._admin = admin

    def event(self, command: str, body: Mapping[str, Any], query: Mapping[str, str]) -> e.Event:
        """Return the event of a webhook; `query` has lower-case names.

        Never raises: what is not as documented is Unknown, what is not about a channel is Other. An event of a message
        without `channel` is about two users: `account` is the receiver, or the reader, and may belong to a channel.
        """
        model = read(body)
        context = read_context(command, body, query, model, self._admin)
        if model is None:
            return context.unknown()
        if isinstance(model, RequestOverLimit):
            return rate_alarm(model, context)
        if (message := message_event(model, context)) is not None:
            if isinstance(message, e.AllRead):
                return replace(message, posts=tuple(filter(self._is_post, message.posts)))
            return self._with_channel(message) if isinstance(message, e.MessageEvent) else message
        if (event := self._own.event(model, context)) is not None:
            return event
        for table in self._others:
            if (event := table.event(model, context)) is not None:
                return replace(event, other_mode=True) if isinstance(event, e.ChannelEvent) else event
        return context.other()

    def request(self, command: str, body: Mapping[str, Any], query: Mapping[str, str]) -> hooks.HookRequest | None:
        """Return the request of a before-webhook, None if it is not about a channel of either mode.

        Raises InvalidError for a body that is not as documented: it may be about anything.
        """
        model = read(body)
        if model is None and is_before(command) and command in MODELS:
            raise unreadable(command, "body")
        if model is None:
            return None
        context = read_context(command, body, query, model, self._admin)
        if (draft := message_request(model, context)) is not None:
            return self._with_channel(draft)
        if (request := self._own.request(model, context)) is not None:
            return request
        for table in self._others:
            if (request := table.request(model, context)) is not None:
                return replace(request, other_mode=True)
        return None

    def reply(self, request: hooks.HookRequest, response: hooks.HookResponse, max_bytes: int) -> CallbackReply:
        """Return the reply for a response. Raises InvalidError for one that this request cannot have."""
        if isinstance(request, hooks.MessageDraft):
            return reply_to(request, response, hooks.ACCOUNT_CODES, max_bytes)
        table = self._others[0] if request.other_mode else self._own
        return table.reply(request, response, max_bytes)

    def _with_channel(self, message: MessageT) -> MessageT:
        """Return a message with its channel if one end is an official account, else as it is."""
        for side in (message, from_other_side(message)):
            if side.account.startswith(limits.OFFICIAL_ACCOUNT_ID_PREFIX):
                channel = ChannelId(side.account)
                return replace(side, channel=channel, other_mode=self._mode is not Mode.OFFICIAL)
        return message

    def _is_post(self, ref: PostRef) -> bool:
        return self._mode is Mode.COMMUNITY and ref.channel.startswith(limits.COMMUNITY_ID_PREFIX)

    def pending_post(self, body: Mapping[str, Any]) -> PendingPost | None:
        """Return the post of a webhook before or after sending, None for others and those of the other mode."""
        model = read(body)
        return None if model is None else self._own.pending_post(model)


def identify_published(mode: Mode, post: Post) -> Identity | None:
    """Return what identifies the webhook that reports a published post; None if the post does not identify it."""
    return TABLES[mode].published(post)


def identify(model: Callback) -> Identity:
    """Return what identifies a webhook of either mode, and its place in the order."""
    if (identity := message_identity(model)) is not None:
        return identity
    for table in TABLES.values():
        if (identity := table.identity(model)) is not None:
            return identity
    return Identity(model.command, None, "", 0)
