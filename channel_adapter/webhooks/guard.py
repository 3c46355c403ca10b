"""Answers to before-webhooks: the policies of the settings, then the hooks of the app.

The service waits two seconds and then goes on as if it had been allowed. So an answer has a time budget; when that is
used up, or something fails, the setting `on_failure` decides. "allow" keeps what was decided until then. What the
settings alone refuse is decided first, so that neither a hook that hangs nor a database that fails admits a user whom
they block. Network work happens inside the budget only.
"""

import asyncio
import inspect
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeVar

from channel_adapter.backends.protocols import Backend
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.config.settings import Settings
from channel_adapter.domain import hooks
from channel_adapter.domain.channel import SUSPENDED
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.ids import is_user_id, user_id
from channel_adapter.services.blocks import Blocklist
from channel_adapter.tencent.redaction import redact_text, shown_traceback
from channel_adapter.tencent.wire.callback_envelope import ALLOW, DROP, REFUSE, CallbackReply
from channel_adapter.webhooks.dispatch import EventResolver
from channel_adapter.webhooks.modes import CallbackTables
from channel_adapter.webhooks.parse import WebhookEvent

RequestT = TypeVar("RequestT", bound=hooks.HookRequest)
Hook = Callable[[RequestT], "hooks.HookResponse | Awaitable[hooks.HookResponse | None] | None"]

_MAX_ERROR_LENGTH: Final = 300

_log = get_logger("channel_adapter.webhooks")


@dataclass(frozen=True, slots=True)
class GuardAnswer:
    """The body of an HTTP 200. `outcome` is what is counted: allowed, refused, dropped, rewritten, partly."""

    outcome: str
    body: bytes

    @property
    def allows(self) -> bool:
        """Whether the requested action happens, perhaps changed."""
        return self.outcome in ("allowed", "rewritten", "partly")

    @classmethod
    def from_reply(cls, reply: CallbackReply) -> "GuardAnswer":
        """Return the answer with the bytes and the outcome of a reply."""
        if reply.error_code == ALLOW:
            changed = reply.msg_body is not None or reply.cloud_custom_data is not None
            outcome = "rewritten" if changed else "partly" if reply.refused_members else "allowed"
        else:
            outcome = "dropped" if reply.error_code == DROP else "refused"
        return cls(outcome, reply.to_json())


ALLOWED: Final = GuardAnswer.from_reply(CallbackReply())
"""Also the answer to every after-webhook."""
_NO_AUTHOR: Final = hooks.Refuse("the post has no author")
REFUSED: Final = GuardAnswer.from_reply(CallbackReply(error_code=REFUSE))


@dataclass(slots=True)
class _PendingAnswer:
    """A request, and the answer to it as far as it is decided."""

    request: hooks.HookRequest
    answer: GuardAnswer = ALLOWED


class _RegisteredHook(NamedTuple):
    kind: type[hooks.HookRequest]
    function: Callable[[Any], Any]
    other_mode: bool


class Guard:
    """Answers before-webhooks. `counts` by outcome: allowed, refused, dropped, rewritten, partly, late, failed."""

    def __init__(
        self,
        settings: Settings,
        backend: Backend,
        blocks: Blocklist,
        callbacks: CallbackTables,
        resolver: EventResolver,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings = settings.guard
        self._admin = settings.admin
        self._max_bytes = settings.posts.max_bytes
        self._backend = backend
        self._blocks = blocks
        self._callbacks = callbacks
        self._resolver = resolver
        self._hooks: list[_RegisteredHook] = []
        self._late: set[asyncio.Task[None]] = set()

    def on(self, kind: type[RequestT], *, other_mode: bool = False) -> Callable[[Hook[RequestT]], Hook[RequestT]]:
        """Register a hook for one kind of request, or with `HookRequest` for all; a plain function must not block.

        Hooks run in the order of their registration after the policies of the settings, until one refuses. With
        `other_mode` the hook gets requests about channels of the mode that this adapter does not use as well.
        Raises TypeError for what is no kind of request.
        """
        if not (isinstance(kind, type) and issubclass(kind, hooks.HookRequest)):
            raise TypeError(f"{kind!r} is no request of channel_adapter.domain.hooks")

        def register(hook: Hook[RequestT]) -> Hook[RequestT]:
            self._hooks.append(_RegisteredHook(kind, hook, other_mode))
            return hook

        return register

    async def answer(self, webhook: WebhookEvent) -> GuardAnswer:
        """Return the answer to a before-webhook within the budget. Raises nothing but CancelledError."""
        try:
            request = self._callbacks.request(webhook.command, webhook.body, webhook.query)
        except Exception as error:  # noqa: BLE001 - without an answer the service would allow it in any case
            return self._answer_undecided(webhook, ALLOWED, "failed", error)
        if request is None:
            return self._count_answer(ALLOWED)
        pending = _PendingAnswer(request)
        task = asyncio.ensure_future(self._decide_answer(pending))
        try:
            await asyncio.wait({task}, timeout=self._settings.budget_seconds)
        finally:
            if not task.done():
                self._abandon_task(task)
        if not task.done():
            return self._answer_undecided(webhook, pending.answer, "late", None)
        if task.cancelled():
            return self._answer_undecided(webhook, pending.answer, "failed", None)
        failure = task.exception()
        if isinstance(failure, hooks.InvalidRefusalError):
            _log.error("webhooks.guard_refusal_invalid", command=webhook.command, **_error_fields(failure))
            return self._count_answer(REFUSED)
        if failure is not None:
            return self._answer_undecided(webhook, pending.answer, "failed", failure)
        return self._count_answer(pending.answer)

    def _abandon_task(self, task: "asyncio.Task[None]") -> None:
        """Cancel a task without waiting for its end."""
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        task.cancel()

    def _count_answer(self, answer: GuardAnswer) -> GuardAnswer:
        self.counts[answer.outcome] += 1
        return answer

    def _answer_undecided(
        self, webhook: WebhookEvent, so_far: GuardAnswer, outcome: str, error: BaseException | None
    ) -> GuardAnswer:
        """Answer as `on_failure` says. Errors of hooks are logged with a traceback, those of the service without."""
        self.counts[outcome] += 1
        policy = self._settings.on_failure
        details = {"error": outcome} if error is None else _error_fields(error)
        expected = error is None or isinstance(error, ChannelAdapterError)
        log = _log.warning if expected else _log.error
        log("webhooks.guard_undecided", command=webhook.command, outcome=outcome, answer=policy, **details)
        return so_far if policy == "allow" else REFUSED

    async def _decide_answer(self, pending: _PendingAnswer) -> None:
        self._set_answer(pending, self._decide_by_settings(pending.request))
        response, request = await self._decide_by_policy(pending)
        self._set_answer(pending, response)
        if request is not None and not isinstance(response, hooks.Refuse):
            await self._decide_by_hooks(pending, request, response)

    def _set_answer(self, pending: _PendingAnswer, response: hooks.HookResponse) -> None:
        """Raise InvalidError for a response that this request cannot have; the previous answer stays then."""
        reply = self._callbacks.reply(pending.request, response, self._max_bytes)
        if isinstance(response, hooks.Refuse) and response.code not in (None, reply.error_code):
            _log.warning("webhooks.guard_code_not_sent", request=type(pending.request).__name__, code=response.code)
        pending.answer = GuardAnswer.from_reply(reply)

    def _decide_by_settings(self, request: hooks.HookRequest) -> hooks.HookResponse:
        """Return the response as far as it follows from the settings alone, which no failure may change."""
        match request:
            case hooks.SubscribeRequest():
                return self._refuse_users(request, self._kept_out(request))[0]
            case hooks.PostDraft(other_mode=False, author=author) if self._needs_role(author):
                return hooks.Allow() if is_user_id(author) else _NO_AUTHOR
            case hooks.CreateRequest(own=False, other_mode=False, by=by) if by not in (self._settings.creators or [by]):
                return hooks.Refuse("this account may not create channels or groups")
            case _:
                return hooks.Allow()

    async def _decide_by_policy(self, pending: _PendingAnswer) -> tuple[hooks.HookResponse, hooks.HookRequest | None]:
        """Return the response of the policies, and the request for the hooks; None if they are not called."""
        request = pending.request
        match request:
            case hooks.SubscribeRequest(other_mode=True, channel=channel, users=users):
                blocked = await self._blocks.among(channel, users)
                return self._refuse_users(request, self._kept_out(request).union(blocked))
            case hooks.HookRequest(other_mode=True):
                return self._decide_by_settings(request), request
            case hooks.MessageDraft():
                return hooks.Allow(), await self._resolver.with_contact(request)
            case hooks.PostDraft(channel=channel, author=author):
                if not await self._resolver.is_channel(channel):
                    return hooks.Allow(), None
                return await self._may_post(channel, author), request
            case hooks.SubscribeRequest(channel=channel):
                if not await self._resolver.is_channel(channel):
                    return hooks.Allow(), None
                return self._refuse_users(request, await self._find_unwelcome(pending, request))
            case _:
                return self._decide_by_settings(request), request

    async def _may_post(self, channel: ChannelId, author: UserId | None) -> hooks.HookResponse:
        if await self._is_suspended(channel):
            return hooks.Refuse("the channel is suspended")
        if not self._needs_role(author):
            return hooks.Allow()
        if author is None or not is_user_id(author):
            return _NO_AUTHOR
        if await self._backend.may_post(channel, user_id(author)):
            return hooks.Allow()
        return hooks.Refuse("only owner and admins post here")

    def _needs_role(self, author: UserId | None) -> bool:
        """Return whether only the role of an author tells whether this is a post of the staff."""
        if not self._settings.only_staff_posts or author == self._admin:
            return False
        return author is not None or self._backend.can.named_authors  # else no user can post, only the account itself

    def _kept_out(self, request: hooks.SubscribeRequest) -> set[UserId]:
        """Return the users whom the settings keep out: all of a closed channel, and those blocked everywhere."""
        if request.channel in self._settings.closed and not request.own and not request.other_mode:
            return set(request.users)
        return {user for user in request.users if user in self._settings.blocked}

    async def _find_unwelcome(self, pending: _PendingAnswer, request: hooks.SubscribeRequest) -> set[UserId]:
        """Return the users kept out: all of a closed or suspended channel, blocked ones, and those above the cap."""
        kept_out = self._kept_out(request)
        if kept_out.issuperset(request.users) or await self._is_suspended(request.channel):
            return set(request.users)
        room = await self._free_places(request.channel)
        refused = _users_to_refuse(request, kept_out, room)
        self._set_answer(pending, self._refuse_users(request, refused)[0])  # stays if the database fails
        kept_out |= await self._blocks.among(request.channel, request.users)
        return _users_to_refuse(request, kept_out, room)

    async def _free_places(self, channel: ChannelId) -> int | None:
        """Return how many users may still subscribe, None without a cap."""
        cap = self._settings.caps.get(channel)
        if cap is None:
            return None
        found = (await self._backend.channels.read([channel])).get(channel)
        return max(0, cap - found.subscriber_count) if found is not None else 0

    async def _is_suspended(self, channel: ChannelId) -> bool:
        return SUSPENDED in await self._backend.channels.attributes(channel)

    @staticmethod
    def _refuse_users(
        request: hooks.SubscribeRequest, unwelcome: set[UserId]
    ) -> tuple[hooks.HookResponse, hooks.HookRequest | None]:
        left = tuple(user for user in request.users if user not in unwelcome)
        if not left and request.users:
            return hooks.Refuse("subscribing is not possible"), request
        if not unwelcome:
            return hooks.Allow(), request
        refused = tuple(user for user in request.users if user in unwelcome)
        return hooks.RefuseSome(refused), replace(request, users=left)

    async def _decide_by_hooks(
        self, pending: _PendingAnswer, request: hooks.HookRequest, response: hooks.HookResponse
    ) -> None:
        """Call each hook with what the previous ones have left of the request, until one refuses or drops."""
        for hook in self._hooks:
            if not isinstance(request, hook.kind) or (request.other_mode and not hook.other_mode):
                continue
            result = hook.function(request)
            if inspect.isawaitable(result):
                result = await result
            if result is None or isinstance(result, hooks.Allow):
                continue
            response = _combine_responses(response, result)
            self._set_answer(pending, response)
            if isinstance(response, hooks.Refuse | hooks.Drop):
                return
            request = _remaining_request(request, result)


def _users_to_refuse(request: hooks.SubscribeRequest, kept_out: set[UserId], room: int | None) -> set[UserId]:
    """Return the users who are kept out, and those for whom there is no room."""
    welcome = [user for user in request.users if user not in kept_out]
    return kept_out if room is None else kept_out.union(welcome[room:])


def _error_fields(error: BaseException) -> dict[str, str]:
    """Return what a log line shows of an exception; the traceback for all but errors of the service."""
    text = redact_text(f"{type(error).__name__}: {error}")[:_MAX_ERROR_LENGTH]
    of_service = isinstance(error, ChannelAdapterError) and not isinstance(error, hooks.InvalidRefusalError)
    return {"error": text} if of_service else {"error": text, "traceback": shown_traceback(error)}


def _combine_responses(response: hooks.HookResponse, more: object) -> hooks.HookResponse:
    """Return the previous response together with one more. Raises InvalidError for what is no response."""
    match response, more:
        case hooks.RefuseSome(users=users), hooks.RefuseSome(users=others):
            return hooks.RefuseSome((*users, *others))
        case hooks.Rewrite(content=content, app_data=app_data), hooks.Rewrite():
            return hooks.Rewrite(
                content if more.content is None else more.content, app_data if more.app_data is None else more.app_data
            )
        case _, hooks.Refuse() | hooks.RefuseSome() | hooks.Rewrite() | hooks.Drop():
            return more
        case _:
            raise InvalidError(f"a hook returned {type(more).__name__}, which is no response", field="response")


def _remaining_request(request: hooks.HookRequest, response: hooks.HookResponse) -> hooks.HookRequest:
    """Return the request for the next hook."""
    match request, response:
        case hooks.PostDraft() | hooks.MessageDraft(), hooks.Rewrite():
            parts = request.parts if response.parts is None else response.parts
            app_data = request.app_data if response.app_data is None else response.app_data
            return replace(request, parts=parts, app_data=app_data)
        case hooks.SubscribeRequest(), hooks.RefuseSome(users=refused):
            return replace(request, users=tuple(user for user in request.users if user not in refused))
        case _:
            return request
