"""The answers to before-webhooks: who may post, who may come, who may make channels, and what the app's hooks say.

The service waits two seconds and then goes on as if it had been allowed. So an answer has a budget, and when it is used
up, or something fails, the setting `on_failure` decides: "allow" lets stand what was decided until then, so that a hook
that hangs does not open the door to somebody whom the settings block. Network work happens inside the budget only.
"""

import asyncio
import inspect
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

import structlog

from channel_adapter.domain import hooks
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.callback_question import to_reply, to_request
from channel_adapter.mapping.ids import user_id
from channel_adapter.tencent.redaction import redact_text, shown_traceback
from channel_adapter.webhooks.dispatch import EventResolver
from channel_adapter.webhooks.moved_accounts import may_broadcast
from channel_adapter.webhooks.parse import WebhookEvent

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
from channel_adapter.tencent.wire.callback_envelope import ALLOW, DROP, REFUSE, CallbackReply

RequestT = TypeVar("RequestT", bound=hooks.HookRequest)
Hook = Callable[[RequestT], "hooks.HookResponse | Awaitable[hooks.HookResponse | None] | None"]

_TROUBLE_LENGTH: Final = 300

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


@dataclass(frozen=True, slots=True)
class CallbackAnswer:
    """The body of an HTTP 200. `outcome` is what is counted: allowed, refused, dropped, rewritten, partly."""

    outcome: str
    body: bytes

    @property
    def allows(self) -> bool:
        """What was asked about goes on, perhaps changed."""
        return self.outcome in ("allowed", "rewritten", "partly")

    def to_json(self) -> bytes:
        return self.body

    @classmethod
    def of(cls, reply: CallbackReply) -> "CallbackAnswer":
        """The answer that `reply` is."""
        if reply.error_code == ALLOW:
            changed = reply.msg_body is not None or reply.cloud_custom_data is not None
            outcome = "rewritten" if changed else "partly" if reply.refused_members else "allowed"
        else:
            outcome = "dropped" if reply.error_code == DROP else "refused"
        return cls(outcome, reply.to_json())


ALLOWED: Final = CallbackAnswer.of(CallbackReply())
"""Also what every after-webhook is answered."""
REFUSED: Final = CallbackAnswer.of(CallbackReply(error_code=REFUSE))


@dataclass(slots=True)
class _Asked:
    """A question, and the answer to it as far as it is decided."""

    question: hooks.HookRequest
    answer: CallbackAnswer = ALLOWED


class Guard:
    """Decides for the app. `counts`: how often it was allowed, refused, dropped, rewritten, partly, late, failed."""

    def __init__(self, adapter: "ChannelAdapter", resolver: EventResolver) -> None:
        self.counts: Counter[str] = Counter()
        self._adapter = adapter
        self._settings = adapter.settings.guard
        self._admin = adapter.settings.admin
        self._max_bytes = adapter.settings.posts.max_bytes
        self._directory = adapter.workings.directory
        self._roles = adapter.workings.roles
        self._resolver = resolver
        self._hooks: list[tuple[type[hooks.HookRequest], Callable[[Any], Any]]] = []
        self._late: set[asyncio.Task[None]] = set()

    def on(self, kind: type[RequestT]) -> Callable[[Hook[RequestT]], Hook[RequestT]]:
        """Register a hook for one kind of question, or for all: `HookRequest`; a plain function must not block.

        Hooks run in the order of their registration after the settings' own policies; the first refusal ends it.
        TypeError for what is no question: nobody would ever ask it.
        """
        if not (isinstance(kind, type) and issubclass(kind, hooks.HookRequest)):
            raise TypeError(f"{kind!r} is no question; see channel_adapter.domain.hooks")

        def register(hook: Hook[RequestT]) -> Hook[RequestT]:
            self._hooks.append((kind, hook))
            return hook

        return register

    async def answer(self, received: WebhookEvent) -> CallbackAnswer:
        """What a before-webhook is answered, within the budget. Never raises but for cancellation."""
        try:
            question = to_request(received.command, received.body, received.query, admin=self._admin)
        except Exception as unreadable:  # noqa: BLE001 - raised further, the service would go on whatever the policy says
            return self._without_decision(received, ALLOWED, "failed", unreadable)
        if question is None:
            return self._counted(ALLOWED)
        asked = _Asked(question)
        task = asyncio.ensure_future(self._decide(asked))
        try:
            await asyncio.wait({task}, timeout=self._settings.budget_seconds)
        finally:
            if not task.done():
                self._give_up(task)
        if not task.done():
            return self._without_decision(received, asked.answer, "late", None)
        if task.cancelled():
            return self._without_decision(received, asked.answer, "failed", None)
        trouble = task.exception()
        if isinstance(trouble, hooks.InvalidRefusalError):
            _log.error("webhooks.guard_refusal_invalid", command=received.command, **_told(trouble))
            return self._counted(REFUSED)
        if trouble is not None:
            return self._without_decision(received, asked.answer, "failed", trouble)
        return self._counted(asked.answer)

    def _give_up(self, task: "asyncio.Task[None]") -> None:
        """Whatever it still does, nobody waits for it."""
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        task.cancel()

    def _counted(self, answer: CallbackAnswer) -> CallbackAnswer:
        self.counts[answer.outcome] += 1
        return answer

    def _without_decision(
        self, received: WebhookEvent, so_far: CallbackAnswer, outcome: str, trouble: BaseException | None
    ) -> CallbackAnswer:
        """Answer as the policy says. Faults of hooks are logged with their traceback, those of the service without."""
        self.counts[outcome] += 1
        policy = self._settings.on_failure
        details = {"error": outcome} if trouble is None else _told(trouble)
        expected = trouble is None or isinstance(trouble, ChannelAdapterError)
        log = _log.warning if expected else _log.error
        log("webhooks.guard_undecided", command=received.command, outcome=outcome, answer=policy, **details)
        return so_far if policy == "allow" else REFUSED

    async def _decide(self, asked: _Asked) -> None:
        decision, question = await self._by_policy(asked.question)
        self._settle(asked, decision)
        if question is not None and not isinstance(decision, hooks.Refuse):
            await self._by_hooks(asked, question, decision)

    def _settle(self, asked: _Asked, decision: hooks.HookResponse) -> None:
        """Raises InvalidError for a decision that this question cannot have; what was settled before stands then."""
        kind = type(asked.question)
        if isinstance(decision, hooks.Refuse) and decision.code is not None and decision.code not in kind.codes:
            _log.warning("webhooks.guard_code_not_sent", question=kind.__name__, code=decision.code)
        asked.answer = CallbackAnswer.of(to_reply(asked.question, decision, self._max_bytes))

    async def _by_policy(self, question: hooks.HookRequest) -> tuple[hooks.HookResponse, hooks.HookRequest | None]:
        """What the settings say, and what is left to ask the hooks about."""
        match question:
            case hooks.PostDraft(channel=channel, author=author):
                if not await self._resolver.is_channel(channel):
                    return hooks.Allow(), None
                return await self._may_post(channel, author), question
            case hooks.SubscribeRequest(channel=channel):
                if not await self._resolver.is_channel(channel):
                    return hooks.Allow(), None
                return self._without(question, await self._unwelcome(question))
            case hooks.OfficialSubscribeRequest(users=users):
                return self._without(question, {user for user in users if user in self._settings.blocked})
            case hooks.OfficialPostDraft():
                decision = await may_broadcast(self._adapter, question)
                return decision, question if isinstance(decision, hooks.Allow) else None
            case hooks.CreateRequest(own=False, by=by) if self._settings.creators and by not in self._settings.creators:
                return hooks.Refuse("this account may not create Communities"), question
            case _:
                return hooks.Allow(), question

    async def _may_post(self, channel: ChannelId, author: UserId | None) -> hooks.HookResponse:
        if not self._settings.only_staff_posts or author == self._admin:
            return hooks.Allow()
        try:
            poster = user_id(author or "")
        except InvalidError:
            return hooks.Refuse("nobody is named as the author")
        if await self._roles.may_post(channel, poster):
            return hooks.Allow()
        return hooks.Refuse("only owner and admins post here")

    async def _unwelcome(self, request: hooks.SubscribeRequest) -> set[UserId]:
        """Whom the settings keep out: everybody, the blocked, and who finds no room."""
        if request.channel in self._settings.closed and not request.own:
            return set(request.users)
        blocked = {user for user in request.users if user in self._settings.blocked}
        cap = self._settings.caps.get(request.channel)
        if cap is None:
            return blocked
        channel = (await self._directory.lookup(request.channel)).channel
        room = max(0, cap - channel.subscriber_count) if channel is not None else 0
        welcome = [user for user in request.users if user not in blocked]
        return blocked.union(welcome[room:])

    @staticmethod
    def _without(
        question: hooks.SubscribeRequest | hooks.OfficialSubscribeRequest, unwelcome: set[UserId]
    ) -> tuple[hooks.HookResponse, hooks.HookRequest | None]:
        left = tuple(user for user in question.users if user not in unwelcome)
        if not left and question.users:
            return hooks.Refuse("subscribing is not possible"), question
        if not unwelcome:
            return hooks.Allow(), question
        return hooks.RefuseSome(tuple(user for user in question.users if user in unwelcome)), replace(
            question, users=left
        )

    async def _by_hooks(self, asked: _Asked, question: hooks.HookRequest, said: hooks.HookResponse) -> None:
        """Each hook is asked about what those before it have left; the first refusal ends it."""
        for kind, hook in self._hooks:
            if not isinstance(question, kind):
                continue
            decision = hook(question)
            if inspect.isawaitable(decision):
                decision = await decision
            if decision is None or isinstance(decision, hooks.Allow):
                continue
            said = _together(said, decision)
            self._settle(asked, said)
            if isinstance(said, hooks.Refuse | hooks.Drop):
                return
            question = _left_of(question, decision)


def _told(trouble: BaseException) -> dict[str, str]:
    """What a log line says of an exception; its traceback unless the class says enough."""
    error = redact_text(f"{type(trouble).__name__}: {trouble}")[:_TROUBLE_LENGTH]
    service = isinstance(trouble, ChannelAdapterError) and not isinstance(trouble, hooks.InvalidRefusalError)
    return {"error": error} if service else {"error": error, "traceback": shown_traceback(trouble)}


def _together(said: hooks.HookResponse, more: object) -> hooks.HookResponse:
    """What was decided before, with one more decision. Raises InvalidError for what is none."""
    match said, more:
        case hooks.RefuseSome(users=users), hooks.RefuseSome(users=others):
            return hooks.RefuseSome((*users, *others))
        case hooks.Rewrite(content=content, app_data=app_data), hooks.Rewrite():
            return hooks.Rewrite(
                content if more.content is None else more.content, app_data if more.app_data is None else more.app_data
            )
        case _, hooks.Refuse() | hooks.RefuseSome() | hooks.Rewrite() | hooks.Drop():
            return more
        case _:
            raise InvalidError(f"a hook decided {type(more).__name__}, which is no decision", field="decision")


def _left_of(question: hooks.HookRequest, decision: hooks.HookResponse) -> hooks.HookRequest:
    """What the next hook is asked about."""
    match question, decision:
        case hooks.PostDraft() | hooks.OfficialPostDraft(), hooks.Rewrite():
            parts = question.parts if decision.parts is None else decision.parts
            app_data = question.app_data if decision.app_data is None else decision.app_data
            return replace(question, parts=parts, app_data=app_data)
        case hooks.SubscribeRequest() | hooks.OfficialSubscribeRequest(), hooks.RefuseSome(users=refused):
            return replace(question, users=tuple(user for user in question.users if user not in refused))
        case _:
            return question
