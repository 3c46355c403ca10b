"""A stub with the accounts of a migration, and an adapter or a command line connected to it."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, Settings
from channel_adapter.config.settings import ChannelSettings
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.cli.shell import KEY, Shell
from tests.migration import worlds
from tests.migration.worlds import FIELDS, Moving, Size


@dataclass(frozen=True)
class System:
    """A running stub with accounts to move, and an open adapter."""

    server: StubServer
    adapter: ChannelAdapter
    moving: Moving

    @property
    def settings(self) -> Settings:
        return self.adapter.settings


def settings_for(server: StubServer, **more: Any) -> Settings:
    """Return the settings of an adapter that has every custom group field."""
    fields: dict[str, Any] = {
        "channels": ChannelSettings(organization_key=FIELDS[1], custom_data_keys=FIELDS[2:]),
        **more,
    }
    return Settings(
        sdkappid=server.sdkappid, key=SecretStr(server.key), admin=server.admin, base_url=server.url, **fields
    )


@asynccontextmanager
async def system(
    size: Size | None = None,
    *,
    ids: tuple[str, ...] = worlds.IDS,
    stub: Mapping[str, Mapping[str, Any]] | None = None,
    **settings: Any,
) -> AsyncIterator[System]:
    """Open a system with these accounts. `stub`: sections of the settings of the stub; `settings`: of the adapter."""
    sections = {"app": {"group_fields": FIELDS}} | dict(stub or {})
    async with StubServer(StubSettings.model_validate(sections)) as server:
        moving = worlds.build(server.world, size, ids)
        async with ChannelAdapter.open(settings_for(server, **settings)) as adapter:
            yield System(server, adapter, moving)


@contextmanager
def world_served(size: Size, ids: tuple[str, ...] = worlds.IDS) -> Iterator[tuple[StubServer, Moving]]:
    """Run a stub with these accounts in a separate thread, for shell commands."""
    settings = StubSettings.model_validate({"app": {"group_fields": FIELDS, "key": KEY}})
    with StubServer(settings).run_in_thread() as server:
        yield server, server.in_loop(lambda: worlds.build(server.world, size, ids))


def shell_on(server: StubServer, directory: Path, *, database: bool = False) -> Shell:
    """Return a shell whose settings have every custom group field; with `database`, also a database of the adapter."""
    keys = ", ".join(f'"{key}"' for key in FIELDS[2:])
    held = f'database_url = "sqlite:///{directory / "adapter.db"}"\n' if database else ""
    config = directory / "adapter.toml"
    config.write_text(
        f'sdkappid = {server.sdkappid}\nkey = "{KEY}"\nbase_url = "{server.url}"\n{held}'
        f'[channels]\norganization_key = "{FIELDS[1]}"\ncustom_data_keys = [{keys}]\n'
    )
    return Shell(directory, config)


def planned_shell(server: StubServer, directory: Path, ids: Sequence[str]) -> Shell:
    """Return a shell in whose directory `plan.json` moves these accounts, with every loss cut."""
    shell = shell_on(server, directory)
    shell.file("accounts.txt", "\n".join(ids))
    shell("migrate", "plan", "--accounts", "accounts.txt", "--policy", "all=cut")
    return shell


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Return the URL of a new database."""
    return f"sqlite:///{tmp_path / 'adapter.sqlite'}"
