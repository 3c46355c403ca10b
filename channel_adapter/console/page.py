"""What every page works with: the console, one request of an operator, and the entries of the table of routes."""

import asyncio
import inspect
import tempfile
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final
from urllib.parse import quote

import aiohttp_jinja2
from aiohttp import web
from cachetools import TTLCache
from multidict import MultiDictProxy
from yarl import URL

from channel_adapter.adapter import ChannelAdapter
from channel_adapter.concurrency.logs import get_logger
from channel_adapter.config.extras import needs_store
from channel_adapter.console import explain, i18n
from channel_adapter.console.auth import AccessRole, Authorise, Operator, Sessions
from channel_adapter.console.channel_list import ChannelList
from channel_adapter.console.i18n import message
from channel_adapter.console.imports import SubscriberImports
from channel_adapter.domain.channel import Channel
from channel_adapter.domain.health import HealthCheckResult
from channel_adapter.domain.insights import StoredViews
from channel_adapter.domain.post import Post, PostRef
from channel_adapter.domain.reaction import Reactions
from channel_adapter.domain.subscription import DONE
from channel_adapter.errors import ChannelAdapterError, ConfigurationError, NotFoundError, UnavailableError
from channel_adapter.store.console import ConsoleRows
from channel_adapter.store.database import Database
from channel_adapter.tencent.redaction import redact_text

if TYPE_CHECKING:
    from channel_adapter.console.playground import Playground

FORM_BYTES: Final = 1 << 20
_PROBLEMS_SECONDS: Final = 5.0
_CHECKS_SECONDS: Final = 300.0
_log = get_logger("channel_adapter.console")

NOTICES: Final = {
    "acknowledged": message("Acknowledged."),
    "added": message("%(number)s added."),
    "cancelled": message("Cancelled."),
    "created": message("The channel is created."),
    "deleted": message("The channel is deleted."),
    "drafted": message("The draft is saved."),
    "dropped": message("Dropped: %(number)s."),
    "edited": message("The post is changed for every reader."),
    "finished": message("The creation is finished."),
    "published": message("Published as number %(number)s."),
    "reacted": message("The reaction is set."),
    "recalled": message("The post is recalled for every reader."),
    "removed": message("%(number)s removed."),
    "retried": message("Given new attempts: %(number)s."),
    "scanned": message("The views are counted."),
    "scheduled": message("The post is scheduled."),
    "sent": message("The message is sent."),
    "saved": message("Saved."),
    "unchanged": message("Nothing had to be changed."),
}
"""What a page says on top after a form was accepted, by the value of `done` in its address."""


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """How a console is served.

    `hosts`: the values of the Host header that are answered, in lower case; None: any, for an app that checks itself.
    `sign_in`: sessions that operators begin here; None: the app knows its operators.
    `playground`: the stub that the console runs on, for a demonstration.
    """

    hosts: frozenset[str] | None = None
    sign_in: Sessions | None = None
    playground: "Playground | None" = None


class Console:
    """One console: the adapter, and who may use it. Pages find it at `page.console`."""

    def __init__(self, adapter: ChannelAdapter, authorise: Authorise, options: ConsoleOptions) -> None:
        self.adapter = adapter
        self.options = options
        self.channels = ChannelList(adapter.channels, adapter.clock)
        self._authorise = authorise
        self._opened: tuple[ConsoleRows, SubscriberImports] | None = None
        self._problems: TTLCache[str, int] = TTLCache(1, _PROBLEMS_SECONDS, timer=adapter.clock.monotonic)
        self._failed_checks: TTLCache[str, int] = TTLCache(1, _CHECKS_SECONDS, timer=adapter.clock.monotonic)
        self._checking = asyncio.Lock()

    async def problems(self) -> int:
        """Return how many scheduled posts failed, are late or were missed and are not acknowledged, a moment ago."""
        if self.adapter.settings.database_url is None:
            return 0
        found = self._problems.get("")
        if found is None:
            try:
                found = (await self.adapter.posts.schedule_status()).problems
            except ChannelAdapterError as error:
                self.log_part_not_read("schedule", error)
                found = 0
            self._problems[""] = found
        return found

    def log_part_not_read(self, what: str, error: ChannelAdapterError) -> None:
        """Log why a part of a page is left out."""
        _log.warning("console.part_not_read", part=what, error=redact_text(error.message)[:200])

    def forget_problems(self) -> None:
        """Count them again for the next page."""
        self._problems.clear()

    @property
    def failed_checks(self) -> int | None:
        """How many checks of the doctor failed when they ran last, at most 5 minutes ago; None if they did not."""
        return self._failed_checks.get("")

    async def check(self) -> int:
        """Return how many checks of the doctor fail; they run if they did not in the last 5 minutes."""
        async with self._checking:
            found = self.failed_checks
            if found is None:
                try:
                    found = self.remember_checks(await self.adapter.doctor())
                except ChannelAdapterError as error:
                    self.log_part_not_read("checks", error)
                    found = self._failed_checks[""] = 1
            return found

    def remember_checks(self, checks: Iterable[HealthCheckResult]) -> int:
        """Keep the result of checks for the list of channels, and return how many failed."""
        self._failed_checks[""] = sum(not each.ok for each in checks)
        return self._failed_checks[""]

    @property
    def rows(self) -> ConsoleRows:
        """The log, published forms and imports. Raises RuntimeError before the application has started."""
        return self._require_opened()[0]

    @property
    def imports(self) -> SubscriberImports:
        """Imports of subscribers. Raises RuntimeError before the application has started."""
        return self._require_opened()[1]

    async def run(self, _: web.Application) -> AsyncIterator[None]:
        """Open the database for the life of the application: that of the settings, else a temporary one."""
        with tempfile.TemporaryDirectory(prefix="channel-adapter-console-") as directory:
            url = self.adapter.settings.database_url
            place = url.get_secret_value() if url is not None else f"sqlite:///{Path(directory) / 'console.db'}"
            with needs_store(place):
                rows = ConsoleRows(Database.shared(place))
            imports = SubscriberImports(self.adapter, rows)
            self._opened = rows, imports
            try:
                await self._prepare_database(rows, imports)
                yield
            finally:
                await imports.close()
                await rows.close()

    async def _prepare_database(self, rows: ConsoleRows, imports: SubscriberImports) -> None:
        """Delete old rows and continue imports. The console starts without, if it can use the database later.

        Raises ConfigurationError for a database of another version.
        """
        try:
            await rows.tidy()
        except UnavailableError as error:
            _log.warning("console.database_not_ready", error=redact_text(error.message)[:200])
            imports.resume_later()
            return
        try:
            await imports.resume()
        except ChannelAdapterError as error:
            _log.warning("console.imports_not_resumed", error=redact_text(error.message)[:200])
            if isinstance(error, UnavailableError):
                imports.resume_later()

    def _require_opened(self) -> tuple[ConsoleRows, SubscriberImports]:
        if self._opened is None:
            raise RuntimeError("the console has not started: run its application")
        return self._opened

    async def operator(self, request: web.Request) -> Operator | None:
        """Return the operator of a request."""
        found = self._authorise(request)
        return await found if inspect.isawaitable(found) else found


CONSOLE: Final[web.AppKey[Console]] = web.AppKey("channel_adapter_console", Console)


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One entry of the table of routes. `role` None: the page needs no operator."""

    method: str
    path: str
    name: str
    role: AccessRole | None
    handler: "Callable[[View], Awaitable[web.StreamResponse]]"


class View:
    """One request, its operator, and what its templates use."""

    def __init__(self, request: web.Request, operator: Operator | None) -> None:
        self.request = request
        self.operator = operator
        self.console = request.app[CONSOLE]
        self.adapter = self.console.adapter
        self.problems = 0
        """Scheduled posts that failed or are late, which every page reports."""
        self.has_written = False
        """Whether a write of this request is done, and in the log."""
        self.has_logged = False
        """Whether a write of this request is in the log, done or not."""
        self._files: list[IO[bytes]] = []

    @property
    def slug(self) -> str:
        """The channel of the address, by its slug."""
        return self.request.match_info["slug"]

    @cached_property
    def language(self) -> str:
        """The language of the page."""
        return i18n.language_of(self.request)

    @property
    def html_language(self) -> str:
        """The language as the attribute `lang` has it."""
        return self.language.replace("_", "-")

    @property
    def languages(self) -> Mapping[str, str]:
        """Names of the languages."""
        return i18n.LANGUAGES

    @cached_property
    def formats(self) -> i18n.Formats:
        """Dates and numbers in the language of the page."""
        return i18n.Formats(self.language)

    def gettext(self, text: str) -> str:
        """Return a text in the language of the page."""
        return i18n.translations(self.language).gettext(text)

    def ngettext(self, one: str, many: str, count: int) -> str:
        """Return a text for a number in the language of the page."""
        return i18n.translations(self.language).ngettext(one, many, count)

    def may(self, role: str) -> bool:
        """Return whether the operator has a role."""
        return self.operator is not None and self.operator.role.includes(AccessRole(role))

    def url(self, name: str, /, *, query: Mapping[str, str] | None = None, **parts: str) -> str:
        """Return the address of a route."""
        quoted = {part: quote(value, safe="") for part, value in parts.items()}  # `url_for` leaves a / in a user id
        found = URL(self.request.app.router[name].canonical.format_map(quoted), encoded=True)
        return str(found.with_query(query) if query else found)

    def static(self, file: str) -> str:
        """Return the address of a file of the console."""
        return str(self.request.app.router["static"].url_for(filename=file))

    @property
    def here(self) -> str:
        """The address of this page with its query."""
        return self.request.path_qs

    @property
    def uploads(self) -> bool:
        """Whether there is a place for pictures that operators upload."""
        return self.adapter.settings.console.media_public_url is not None

    @property
    def notice(self) -> str:
        """What the page says on top after a form was accepted."""
        text = NOTICES.get(self.request.query.get("done", ""))
        number = self.request.query.get("number", "")
        return "" if text is None else self.gettext(text) % {"number": number[:20]}

    async def form(self, max_bytes: int = FORM_BYTES) -> MultiDictProxy[Any]:
        """Return the fields of a form; files are in temporary files.

        Raises HTTPRequestEntityTooLarge, and HTTPBadRequest for what is not the form of a browser.
        """
        try:
            fields = await self.request.clone(client_max_size=max_bytes).post()
        except (ValueError, LookupError):  # parts that are not closed or have no name, another charset
            raise web.HTTPBadRequest from None
        self._files += [each.file for each in fields.values() if isinstance(each, web.FileField)]
        return fields

    @property
    def is_connected(self) -> bool:
        """Whether the browser still waits for the answer."""
        return self.request.transport is not None and not self.request.transport.is_closing()

    def close(self) -> None:
        """Delete the files of the form."""
        for file in self._files:
            file.close()

    async def channel(self) -> Channel:
        """Return the channel of the address. Raises NotFoundError."""
        return await self.adapter.channels.get(self.slug)

    async def reactions(self, refs: list[PostRef]) -> dict[PostRef, Reactions]:
        """Return the reactions to posts; none where they are counted in a database only and there is none."""
        try:
            return await self.adapter.reactions.get_many(refs)
        except ConfigurationError:
            return {}

    async def views(self, refs: list[PostRef]) -> dict[PostRef, StoredViews]:
        """Return the views of posts that a scan has counted; none without a database."""
        if self.adapter.settings.database_url is None:
            return {}
        return await self.adapter.insights.stored_views(refs)

    async def remember(self, form: str, place: str) -> None:
        """Keep where a form has led. A database that fails is logged only: what the form asked for is done."""
        try:
            await self.console.rows.remember(form, place)
        except ChannelAdapterError as error:
            _log.error("console.form_not_stored", error=redact_text(error.message)[:200])

    async def discard_draft(self, draft_id: str) -> None:
        """Delete a draft of the channel that was published. A database that fails is logged only, as in `remember`."""
        try:
            draft = await self.adapter.posts.get_draft(draft_id)
            if draft.channel == self.adapter.backend.ids.channel(self.slug):
                await self.adapter.posts.discard_draft(draft_id)
        except NotFoundError:
            pass  # it has gone already
        except ChannelAdapterError as error:
            _log.error("console.draft_not_deleted", draft=draft_id, error=redact_text(error.message)[:200])

    async def edited(self, post: Post) -> None:
        """Record that a post of the channel was edited. A database that fails is logged only: the post is changed."""
        try:
            await self.console.rows.edited(self.adapter.backend.ids.channel(self.slug), post.ref.seq, post.dedupe)
        except ChannelAdapterError as error:
            _log.error("console.edit_not_stored", error=redact_text(error.message)[:200])

    async def edits(self, posts: Iterable[Post]) -> dict[int, datetime]:
        """Return when posts of the channel were edited in the console, by their numbers."""
        found = await self.console.rows.edits(
            self.adapter.backend.ids.channel(self.slug), {post.ref.seq: post.dedupe for post in posts}
        )
        return {seq: datetime.fromtimestamp(at, UTC) for seq, at in found.items()}

    async def pinned(self) -> list[Post]:
        """Return the pinned posts of the channel; none without a database."""
        if self.adapter.settings.database_url is None:
            return []
        return await self.adapter.posts.pinned(self.slug)

    def explain(self, error: ChannelAdapterError) -> explain.ErrorText:
        """Return an error of the adapter in words."""
        return explain.explain(error, self.gettext, is_done=self.has_written)

    def render(
        self, template: str, *, status: int = 200, error: ChannelAdapterError | None = None, **values: Any
    ) -> web.Response:
        """Return a page. With an error the page shows it on top, and has its status."""
        explained = None if error is None else self.explain(error)
        context = {"page": self, "error": explained, **values}
        status = status if explained is None else explained.status
        return aiohttp_jinja2.render_template(template, self.request, context, status=status)

    def text(self, template: str, **values: Any) -> str:
        """Return a part of a page as text."""
        return str(aiohttp_jinja2.render_string(template, self.request, {"page": self, "error": None, **values}))

    def redirect(self, name: str, /, *, query: Mapping[str, str] | None = None, **parts: str) -> web.Response:
        """Return the answer that leads to another page after a form was accepted."""
        return web.Response(status=303, headers={"Location": self.url(name, query=query, **parts)})

    async def send_events(self, events: AsyncIterable[tuple[str, str]]) -> web.StreamResponse:
        """Send server-sent events, each a name and a text, until they end."""
        answer = web.StreamResponse()
        answer.content_type = "text/event-stream"
        await answer.prepare(self.request)
        async for name, text in events:
            lines = "".join(f"data: {line}\n" for line in text.splitlines() or [""])
            await answer.write(f"event: {name}\n{lines}\n".encode())
        await answer.write_eof()
        return answer

    async def wrote(self, outcome: str, channel: str = "") -> None:
        """Log a write that is done. An error behind it does not say that nothing was done."""
        self.has_written = True
        await self._log_write(outcome, channel)

    async def refused(self, failure: str | ChannelAdapterError, channel: str = "") -> None:
        """Log a write that failed, by the kind of its error; with the number of users for whom it was done before."""
        if isinstance(failure, ChannelAdapterError):
            done = sum(each.kind in DONE for each in failure.outcomes or ())
            failure = f"{failure.kind}; done for {done} before" if done else failure.kind
        await self._log_write(failure, channel)

    async def _log_write(self, outcome: str, channel: str) -> None:
        """Emit the event `console.write`, and store a row. A database that fails is logged only."""
        self.has_logged = True
        resource = self.request.match_info.route.resource
        route = (resource.name if resource is not None else None) or ""
        operator = self.operator.name if self.operator else ""
        channel = channel or self.request.match_info.get("slug", "")
        _log.info("console.write", operator=operator, route=route, channel=channel, outcome=outcome)
        try:
            await self.console.rows.log(operator, route, channel, outcome)
        except ChannelAdapterError as error:
            _log.error("console.write_not_stored", error=redact_text(error.message)[:200])
