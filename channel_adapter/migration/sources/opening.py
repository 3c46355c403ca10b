"""Opens the source that a plan names."""

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.migration.sources.accounts import AccountsSource, WaitingPages
from channel_adapter.migration.sources.files import FilesSource
from channel_adapter.migration.sources.source import Source, SourceKind, SourceSpec


async def open_source(
    spec: SourceSpec, gateway: ApiCaller, *, concurrency: int, now: float, waiting: WaitingPages | None = None
) -> Source:
    """The source, open; `aclose` it afterwards. `now` bounds the times in files; `waiting` keeps pages of history.

    Raises InvalidError for files that cannot be used, OSError for those that cannot be read.
    """
    if spec.kind is SourceKind.FILES:
        return await FilesSource.open(spec.files, owner=spec.owner, now=now)
    return AccountsSource(gateway, spec.accounts, concurrency=concurrency, searched=spec.searched, waiting=waiting)
