"""What the parts of a migration share: calls to the service, settings, clock, and the sources that plans name."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from functools import cached_property

from channel_adapter.backends.accounts import AppAccounts
from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community.importing import CommunityImporter
from channel_adapter.backends.official.backend import OfficialBackend
from channel_adapter.backends.official.options import OfficialOptions
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.extras import needs_extra
from channel_adapter.config.settings import Settings
from channel_adapter.config.values import rate_limit_scope
from channel_adapter.errors import ConfigurationError, NotFoundError
from channel_adapter.mapping.field_keys import FieldKeys
from channel_adapter.migration.budget import Budget, BudgetedApi
from channel_adapter.migration.plan.document import Plan
from channel_adapter.migration.plan.transform import TargetLimits
from channel_adapter.migration.sources.accounts import AccountsSource, PageCache
from channel_adapter.migration.sources.files import FilesSource
from channel_adapter.migration.sources.mirrored import exclude_mirrored
from channel_adapter.migration.sources.source import Source, SourceChannel, SourceKind, SourceSpec, channels_by_id
from channel_adapter.services.accounts import Accounts
from channel_adapter.services.bulk import BulkOptions
from channel_adapter.services.unread.service import UnreadService
from channel_adapter.store.rate_limits import SharedRateLimits
from channel_adapter.tencent import limits
from channel_adapter.tencent.rate_limit import CommandLimiter

Failpoint = Callable[[str], None]
"""Called at named points of the work, for tests that end the process there."""


def noop_failpoint(point: str) -> None:
    """Do nothing at a point of the work."""


class MigrationContext:
    """Calls, settings, clock and databases of a migration.

    `unread` synchronizes conversation groups at the end of a cutover. `journal` is the database of the journal, if it
    is not the adapter's own.
    """

    def __init__(
        self,
        api: ApiCaller,
        settings: Settings,
        clock: Clock,
        unread: UnreadService | None = None,
        journal: str | None = None,
    ) -> None:
        self.api = api
        self.settings = settings
        self.clock = clock
        self.unread = unread
        self._journal = journal

    @cached_property
    def accounts(self) -> Accounts:
        """Accounts of the app, read through the calls of this context."""
        options = BulkOptions(self.settings.concurrency, self.settings.total_seconds, self.clock)
        return Accounts(AppAccounts(self.api, self.settings.concurrency), options)

    @cached_property
    def official(self) -> OfficialBackend:
        """Official accounts, through the calls of this context."""
        options = OfficialOptions(total_seconds=self.settings.total_seconds, concurrency=self.settings.concurrency)
        return OfficialBackend(self.api, options, self.clock)

    def importer(self, keys: FieldKeys) -> CommunityImporter:
        """Return what imports into groups, through the calls of this context; `keys` are those of a plan."""
        return CommunityImporter(self.api, keys)

    @property
    def target(self) -> TargetLimits:
        """Custom fields and byte limits that the settings name for new channels."""
        own = self.settings.channels
        sizes = limits.GROUP_PROFILE if own.profile_limits == "current" else limits.GROUP_PROFILE_LEGACY
        keys = FieldKeys(own.tag_key, own.organization_key, own.custom_data_keys)
        return TargetLimits(keys, sizes, self.settings.posts.max_bytes)

    @property
    def database_url(self) -> str | None:
        """The adapter's own database."""
        url = self.settings.database_url
        return url.get_secret_value() if url else None

    @property
    def journal(self) -> str | None:
        """The database of the journal; the adapter's own if no other is set."""
        return self._journal or self.database_url

    def require_journal(self, plan: Plan | None = None) -> str:
        """Return the database of the journal.

        Raises ConfigurationError where none is set, and where `plan` stores originals, which belong into the adapter's
        own database, and the journal is in another one.
        """
        if self.journal is None:
            raise ConfigurationError(
                "a migration keeps a journal: set database_url, or give a database", field="database_url"
            )
        if plan is not None and plan.chosen.stores and self.database_url != self.journal:
            raise ConfigurationError(
                "policy store keeps originals in the adapter's database: set database_url, and give no other",
                field="database_url",
            )
        return self.journal

    def with_journal(self, database: str | None) -> "MigrationContext":
        """Return a context whose journal is in `database`."""
        return MigrationContext(self.api, self.settings, self.clock, self.unread, database)

    def with_budget(self, budget: Budget) -> "MigrationContext":
        """Return a context whose calls count in `budget`, and are repeated while the service answers others.

        They raise BudgetExhausted when the budget is used up.
        """
        return self.with_api(self.budgeted_api(budget))

    def with_api(self, api: ApiCaller) -> "MigrationContext":
        """Return a context that makes its calls through `api`."""
        return MigrationContext(api, self.settings, self.clock, self.unread, self._journal)

    def budgeted_api(self, budget: Budget, limiter: CommandLimiter | None = None) -> BudgetedApi:
        """Return calls that count in `budget`, and keep to `limiter`."""
        return BudgetedApi(self.api, budget, self.clock, self.settings.total_seconds, limiter)

    def journal_limiter(self) -> CommandLimiter | None:
        """Return the limit of all processes that work on the journal, in its database.

        None where calls are not limited, or where the adapter shares a limit with all processes of the app already.
        """
        if rate_limit_scope(self.settings.rate_limits) != "process":
            return None
        slots = SharedRateLimits(self.require_journal(), self.settings.sdkappid, self.clock, skip_alone=True)
        return CommandLimiter(self.settings.calls_per_second, clock=self.clock, shared=slots)

    async def open_source(self, spec: SourceSpec, pages: PageCache | None = None) -> Source:
        """Open the source that a plan names; `aclose` it afterwards. `pages` keeps pages of history of accounts.

        Broadcasts that repeat posts of channels since a cutover are left out. Raises InvalidError for files that
        cannot be used, OSError for those that cannot be read.
        """
        if spec.kind is SourceKind.FILES:
            return await FilesSource.open(spec.files, owner=spec.owner, now=self.clock.now())
        source = AccountsSource(self.official, spec.accounts, searched=spec.searched, pages=pages)
        return exclude_mirrored(source, self.database_url)

    @asynccontextmanager
    async def source(self, spec: SourceSpec) -> AsyncIterator[Source]:
        """Open the source that a plan names for the length of a block. Raises what `open_source` raises."""
        source = await self.open_source(spec)
        try:
            yield source
        finally:
            await source.aclose()

    async def existing_channels(self, plan: Plan, source: Source) -> dict[str, SourceChannel]:
        """Return the channels of a plan's source as they are now, by id, without those that do not exist any more."""
        try:
            return await channels_by_id(source)
        except NotFoundError:
            if plan.source.kind is not SourceKind.ACCOUNTS:
                raise
        found: dict[str, SourceChannel] = {}
        for account in plan.source.accounts:
            async with self.source(plan.source.model_copy(update={"accounts": (account,)})) as one:
                try:
                    found |= await channels_by_id(one)
                except NotFoundError:
                    continue
        return found


def needs_durable(url: str) -> AbstractContextManager[None]:
    """Return `needs_extra` for a block that opens a journal at `url`, or runs its jobs."""
    return needs_extra("moving channels", extra="durable", database_url=url, field="database_url")
