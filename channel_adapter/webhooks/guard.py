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

from channel_adapter.domain import questions as q
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.errors import ChannelAdapterError, InvalidError
from channel_adapter.mapping.callback_question import to_question, to_reply
from channel_adapter.mapping.ids import user_id
from channel_adapter.tencent.redaction import redact_text, shown_traceback
from channel_adapter.webhooks.answers import ALLOWED, REFUSED, CallbackAnswer
from channel_adapter.webhooks.interpret import Interpreter
from channel_adapter.webhooks.moved_accounts import may_broadcast
from channel_adapter.webhooks.parse import Received

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter

QuestionT = TypeVar("QuestionT", bound=q.Question)
Hook = Callable[[QuestionT], "q.Decision | Awaitable[q.Decision | None] | None"]

_TROUBLE_LENGTH: Final = 300

_log = structlog.wrap_logger(logging.getLogger("channel_adapter.webhooks"))


@dataclass(slots=True)
class _Asked:
    """A question, and the answer to it as far as it is decided."""

    question: q.Question
    answer: CallbackAnswer = ALLOWED


class Guard:
    """Decides for the app. `counts`: how often it was allowed, refused, dropped, rewritten, partly, late, failed."""

    def __init__(self, adapter: "ChannelAdapter", interpreter: Interpreter) -> None:
        self.counts: Counter[str] = Counter()
        self._adapter = adapter
        self._settings = adapter.settings.guard
        self._admin = adapter.settings.admin
        self._max_bytes = adapter.settings.posts.max_bytes
        self._directory = adapter.workings.directory
        self._roles = adapter.workings.roles
        self._interpreter = interpreter
        self._hooks: list[tuple[type[q.Question], Callable[[Any], Any]]] = []
        self._late: set[asyncio.Task[None]] = set()

    def on(self, kind: type[QuestionT]) -> Callable[[Hook[QuestionT]], Hook[QuestionT]]:
        """Register a hook for one kind of question, or for all: `Question`; a plain function must not block.

        Hooks run in the order of their registration after the settings' own policies; the first refusal ends it.
        TypeError for what is no question: nobody would ever ask it.
        """
        if not (isinstance(kind, type) and issubclass(kind, q.Question)):
            raise TypeError(f"{kind!r} is no question; see channel_adapter.domain.questions")

        def register(hook: Hook[QuestionT]) -> Hook[QuestionT]:
            self._hooks.append((kind, hook))
            return hook

        return register

    async def answer(self, received: Received) -> CallbackAnswer:
        """What a before-webhook is answered, within the budget. Never raises but for cancellation."""
        try:
            question = to_question(received.command, received.body, received.query, admin=self._admin)
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
        if isinstance(trouble, q.InvalidRefusalError):
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
        self, received: Received, so_far: CallbackAnswer, outcome: str, trouble: BaseException | None
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
        if question is not None and not isinstance(decision, q.Refuse):
            await self._by_hooks(asked, question, decision)

    def _settle(self, asked: _Asked, decision: q.Decision) -> None:
        """Raises InvalidError for a decision that this question cannot have; what was settled before stands then."""
        kind = type(asked.question)
        if isinstance(decision, q.Refuse) and decision.code is not None and decision.code not in kind.codes:
            _log.warning("webhooks.guard_code_not_sent", question=kind.__name__, code=decision.code)
        asked.answer = CallbackAnswer.of(to_reply(asked.question, decision, self._max_bytes))

    async def _by_policy(self, question: q.Question) -> tuple[q.Decision, q.Question | None]:
        """What the settings say, and what is left to ask the hooks about."""
        match question:
            case q.PostDraft(channel=channel, author=author):
                if not await self._interpreter.is_channel(channel):
                    return q.Allow(), None
                return await self._may_post(channel, author), question
            case q.SubscribeRequest(channel=channel):
                if not await self._interpreter.is_channel(channel):
                    return q.Allow(), None
                return self._without(question, await self._unwelcome(question))
            case q.OfficialSubscribeRequest(users=users):
                return self._without(question, {user for user in users if user in self._settings.blocked})
            case q.OfficialPostDraft():
                decision = await may_broadcast(self._adapter, question)
                return decision, question if isinstance(decision, q.Allow) else None
            case q.CreateRequest(own=False, by=by) if self._settings.creators and by not in self._settings.creators:
                return q.Refuse("this account may not create Communities"), question
            case _:
                return q.Allow(), question

    async def _may_post(self, channel: ChannelId, author: UserId | None) -> q.Decision:
        if not self._settings.only_staff_posts or author == self._admin:
            return q.Allow()
        try:
            poster = user_id(author or "")
        except InvalidError:
            return q.Refuse("nobody is named as the author")
        if await self._roles.may_post(channel, poster):
            return q.Allow()
        return q.Refuse("only owner and admins post here")

    async def _unwelcome(self, request: q.SubscribeRequest) -> set[UserId]:
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
        question: q.SubscribeRequest | q.OfficialSubscribeRequest, unwelcome: set[UserId]
    ) -> tuple[q.Decision, q.Question | None]:
        left = tuple(user for user in question.users if user not in unwelcome)
        if not left and question.users:
            return q.Refuse("subscribing is not possible"), question
        if not unwelcome:
            return q.Allow(), question
        return q.RefuseSome(tuple(user for user in question.users if user in unwelcome)), replace(question, users=left)

    async def _by_hooks(self, asked: _Asked, question: q.Question, said: q.Decision) -> None:
        """Each hook is asked about what those before it have left; the first refusal ends it."""
        for kind, hook in self._hooks:
            if not isinstance(question, kind):
                continue
            decision = hook(question)
            if inspect.isawaitable(decision):
                decision = await decision
            if decision is None or isinstance(decision, q.Allow):
                continue
            said = _together(said, decision)
            self._settle(asked, said)
            if isinstance(said, q.Refuse | q.Drop):
                return
            question = _left_of(question, decision)


def _told(trouble: BaseException) -> dict[str, str]:
    """What a log line says of an exception; its traceback unless the class says enough."""
    error = redact_text(f"{type(trouble).__name__}: {trouble}")[:_TROUBLE_LENGTH]
    service = isinstance(trouble, ChannelAdapterError) and not isinstance(trouble, q.InvalidRefusalError)
    return {"error": error} if service else {"error": error, "traceback": shown_traceback(trouble)}


def _together(said: q.Decision, more: object) -> q.Decision:
    """What was decided before, with one more decision. Raises InvalidError for what is none."""
    match said, more:
        case q.RefuseSome(users=users), q.RefuseSome(users=others):
            return q.RefuseSome((*users, *others))
        case q.Rewrite(content=content, app_data=app_data), q.Rewrite():
            return q.Rewrite(
                content if more.content is None else more.content, app_data if more.app_data is None else more.app_data
            )
        case _, q.Refuse() | q.RefuseSome() | q.Rewrite() | q.Drop():
            return more
        case _:
            raise InvalidError(f"a hook decided {type(more).__name__}, which is no decision", field="decision")


def _left_of(question: q.Question, decision: q.Decision) -> q.Question:
    """What the next hook is asked about."""
    match question, decision:
        case q.PostDraft() | q.OfficialPostDraft(), q.Rewrite():
            parts = question.parts if decision.parts is None else decision.parts
            app_data = question.app_data if decision.app_data is None else decision.app_data
            return replace(question, parts=parts, app_data=app_data)
        case q.SubscribeRequest() | q.OfficialSubscribeRequest(), q.RefuseSome(users=refused):
            return replace(question, users=tuple(user for user in question.users if user not in refused))
        case _:
            return question
