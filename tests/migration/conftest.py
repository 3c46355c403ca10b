"""A stub with the world of a migration, and an adapter or a command line on it."""

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
    """A running stub with a world in it, and an open adapter."""

    server: StubServer
    adapter: ChannelAdapter
    moving: Moving

    @property
    def settings(self) -> Settings:
        return self.adapter.settings


def settings_for(server: StubServer, **more: Any) -> Settings:
    """Settings of an adapter that has every custom group field."""
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
    """A system with these accounts. `stub` are sections of the stub's settings, the rest are the adapter's."""
    sections = {"app": {"group_fields": FIELDS}} | dict(stub or {})
    async with StubServer(StubSettings.model_validate(sections)) as server:
        moving = worlds.build(server.world, size, ids)
        async with ChannelAdapter.open(settings_for(server, **settings)) as adapter:
            yield System(server, adapter, moving)


@contextmanager
def world_served(size: Size, ids: tuple[str, ...] = worlds.IDS) -> Iterator[tuple[StubServer, Moving]]:
    """A stub with these accounts in a thread of its own, for commands that are typed."""
    settings = StubSettings.model_validate({"app": {"group_fields": FIELDS, "key": KEY}})
    with StubServer(settings).run_in_thread() as server:
        yield server, server.in_loop(lambda: worlds.build(server.world, size, ids))


def shell_on(server: StubServer, directory: Path, *, database: bool = False) -> Shell:
    """A shell whose settings have every custom group field; with `database`, the adapter's own is set too."""
    keys = ", ".join(f'"{key}"' for key in FIELDS[2:])
    held = f'database_url = "sqlite:///{directory / "adapter.db"}"\n' if database else ""
    config = directory / "adapter.toml"
    config.write_text(
        f'sdkappid = {server.sdkappid}\nkey = "{KEY}"\nbase_url = "{server.url}"\n{held}'
        f'[channels]\norganization_key = "{FIELDS[1]}"\ncustom_data_keys = [{keys}]\n'
    )
    return Shell(directory, config)


def planned_shell(server: StubServer, directory: Path, ids: Sequence[str]) -> Shell:
    """One in whose directory `plan.json` moves these accounts, with every loss cut."""
    shell = shell_on(server, directory)
    shell.file("accounts.txt", "\n".join(ids))
    shell("migrate", "plan", "--accounts", "accounts.txt", "--policy", "all=cut")
    return shell


@pytest.fixture
def database(tmp_path: Path) -> str:
    """A database of its own."""
    return f"sqlite:///{tmp_path / 'adapter.sqlite'}"
