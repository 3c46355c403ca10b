"""The directory: results of a search in both databases, and what refresh reads, stores and removes."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from channel_adapter import ChannelAdapter, ConfigurationError, InvalidError
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.conftest import KEYS, OWNER, settings_for


@dataclass(frozen=True)
class Town:
    """An adapter with a database, and another process of the app without one."""

    adapter: ChannelAdapter
    other: ChannelAdapter

    async def found(self, text: str = "", **terms: object) -> list[str]:
        return [entry.slug for entry in await self.adapter.directory.search(text, **terms)]  # type: ignore[arg-type]


STORES = ["SQLite", "PostgreSQL"]
OFFICIAL = "SQLite, official mode"
in_both_modes = pytest.mark.parametrize("town", [*STORES, OFFICIAL], indirect=True)


@pytest.fixture(params=STORES)
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    postgres = request.param == "PostgreSQL"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'app.db'}"
    async with StubServer(StubSettings.model_validate({"app": {"group_fields": KEYS}})) as server:
        mode = Mode.OFFICIAL if request.param == OFFICIAL else Mode.COMMUNITY
        plain = settings_for(server).model_copy(update={"mode": mode})
        stored = plain.model_copy(update={"database_url": SecretStr(url)})
        async with ChannelAdapter.open(stored) as adapter, ChannelAdapter.open(plain) as other:
            await adapter.accounts.add([OWNER])
            yield Town(adapter, other)


@in_both_modes
async def test_search_finds_words_in_name_slug_and_introduction(town: Town) -> None:
    channels = town.adapter.channels
    await channels.create(
        slug="harbor_news", name="港口新闻 Harbour News", owner=OWNER, introduction="潮汐、渡轮与鱼市"
    )
    await channels.create(slug="ferry_times", name="Ferry Times", owner=OWNER, introduction="港口 timetables, 100%")
    await channels.create(slug="quotes", name="""O'Neill's "Quay" 50% off\\_""", owner=OWNER)
    assert await town.found("港口") == ["harbor_news", "ferry_times"], "names that begin with the text come first"
    assert await town.found("渡轮") == ["harbor_news"]
    assert await town.found("HARBOUR") == await town.found("ｈａｒｂｏｕｒ") == ["harbor_news"]
    assert await town.found("ferry_t") == ["ferry_times"]
    assert await town.found("times ferry") == ["ferry_times"]
    assert await town.found("tgs") == []
    assert await town.found("q") == ["quotes"]
    assert sorted(await town.found("%")) == ["ferry_times", "quotes"]
    assert sorted(await town.found("_")) == ["ferry_times", "harbor_news", "quotes"]
    for text in ('"', "'", "\\", "\\_"):
        assert await town.found(text) == ["quotes"], text
    assert await town.found("50%") == ["quotes"]
    assert await town.found("' OR 1=1 --") == await town.found("口港") == []
    assert len(await town.found("\0港口")) == 2
    with pytest.raises(InvalidError, match="verified must be True, False or None; got 'yes'"):
        await town.found(verified="yes")
    assert len(await town.found()) == 3
    assert await town.found(limit=1) == ["ferry_times"]


@in_both_modes
async def test_changes_by_this_adapter_are_found_without_refresh(town: Town) -> None:
    channels = town.adapter.channels
    await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
    await channels.update("harbor_news", introduction="Tides", categories=["News", "港口 ", "news"])
    (entry,) = await town.adapter.directory.search("tides")
    assert (entry.slug, entry.owner, entry.verified, entry.subscriber_count) == ("harbor_news", OWNER, False, None)
    assert sorted(entry.categories) == ["News", "港口"]
    assert await town.found(category="NEWS") == await town.found("h", category=" 港口") == ["harbor_news"]
    assert await town.found(category="Sport") == []
    await channels.verify("harbor_news")
    assert (await town.found(verified=True), await town.found(verified=False)) == (["harbor_news"], [])
    await channels.update("harbor_news", categories=[])
    assert await town.found(category="News") == []
    await channels.update("harbor_news", categories=["News"])
    await channels.delete("harbor_news")
    assert await town.found() == []
    await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
    assert (await town.found(), await town.found(category="News")) == (["harbor_news"], [])


async def test_refresh_reads_all_channels_and_removes_deleted_ones(town: Town) -> None:
    for number in range(60):
        await town.other.channels.create(slug=f"news_{number}", name=f"News {number}", owner=OWNER)
    assert await town.found("news") == []
    assert await town.adapter.directory.refresh() == 60
    await town.adapter.channels.update("news_1", categories=["Sport"])
    await town.other.channels.delete("news_2")
    await town.other.channels.update("news_3", name="Tides")
    await town.other.channels.verify("news_4")
    assert await town.adapter.directory.refresh() == 59
    assert len(await town.found("news", limit=100)) == 59
    assert await town.found("news_2", limit=1) == ["news_20"]
    assert await town.found("tides") == ["news_3"]
    assert (await town.found(verified=True), await town.found(category="Sport")) == (["news_4"], ["news_1"])


async def test_refresh_in_official_mode_reads_known_channels(tmp_path: Path) -> None:
    url = SecretStr(f"sqlite:///{tmp_path / 'app.db'}")
    async with StubServer(StubSettings.model_validate({"app": {"group_fields": KEYS}})) as server:
        settings = settings_for(server).model_copy(update={"database_url": url, "mode": Mode.OFFICIAL})
        community = settings_for(server).model_copy(update={"database_url": url})
        async with ChannelAdapter.open(settings) as adapter, ChannelAdapter.open(community) as other:
            await adapter.accounts.add([OWNER])
            await other.channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
            await adapter.channels.create(slug="gazette", name="Gazette", owner=OWNER)
            await adapter.channels.create(slug="courier", name="Courier", owner=OWNER)
            town = Town(adapter, other)
            assert await town.found() == ["courier", "gazette"], "channels of the other mode are not found"
            await ChannelAdapter.call(
                adapter, "official_account_open_http_svc", "destroy_official_account",
                {"Official_Account": "@TOA#_courier"},
            )  # fmt: skip
            assert await adapter.directory.refresh() == 1
            assert await town.found() == ["gazette"]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"text": "x" * 201}, "text"),
        ({"text": None}, "text"),
        ({"text": "", "limit": 0}, "limit"),
        ({"text": "", "limit": 1_001}, "limit"),
        ({"text": "", "category": ""}, "category"),
        ({"text": "", "category": "a\x1bb"}, "category"),
    ],
)
async def test_invalid_search_term_is_named(town: Town, terms: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        await town.adapter.directory.search(**terms)  # type: ignore[arg-type]
    assert refused.value.field == field


async def test_invalid_categories_change_nothing(town: Town) -> None:
    channels = town.adapter.channels
    await channels.create(slug="harbor_news", name="Harbour News", owner=OWNER)
    for wrong in ("News", ["x" * 61], [""], [f"c{number}" for number in range(21)], ["a\nb"]):
        with pytest.raises(InvalidError):
            await channels.update("harbor_news", name="Another", categories=wrong)
    assert (await channels.get("harbor_news")).name == "Harbour News"
    await town.other.channels.create(slug="tides", name="Tides", owner=OWNER)
    with pytest.raises(ConfigurationError, match="set database_url"):
        await town.other.channels.update("tides", name="Another", categories=["News"])
    with pytest.raises(ConfigurationError, match="set database_url"):
        await town.other.directory.search("tides")
    assert (await channels.get("tides")).name == "Tides"


@in_both_modes
async def test_get_reads_one_channel_from_the_database(town: Town) -> None:
    await town.adapter.channels.create(slug="harbor_news", name="Harbour", owner=OWNER)
    await town.adapter.channels.update("harbor_news", categories=["Ports", "港口"])
    entry = await town.adapter.directory.get("harbor_news")
    assert entry is not None
    assert (entry.name, sorted(entry.categories)) == ("Harbour", ["Ports", "港口"])
    await town.adapter.channels.delete("harbor_news")
    assert await town.adapter.directory.get("harbor_news") is None
    assert await town.adapter.directory.get("unknown") is None
    with pytest.raises(ConfigurationError):
        await town.other.directory.get("harbor_news")
