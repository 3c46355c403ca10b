"""Progress of a verification or a cutover: for programs, off a terminal and on a terminal."""

import asyncio
import io
import json
from collections.abc import Callable
from itertools import count

import pytest

from channel_adapter.cli.migrate.progress import CheckProgress, limits_of
from channel_adapter.cli.output import Output
from channel_adapter.config.settings import Settings
from channel_adapter.migration.plan.document import Plan, PlannedChannel
from channel_adapter.migration.sources.source import SourceKind
from tests.migration import worlds
from tests.migration.conftest import system
from tests.migration.planned import planned
from tests.migration.worlds import Size


@pytest.fixture(scope="module")
def made() -> tuple[Plan, Settings]:
    async def make() -> tuple[Plan, Settings]:
        async with system(Size(40, 12), ids=(worlds.FULL, worlds.TEXTS)) as s:
            return await planned(s), s.settings

    return asyncio.run(make())


def every(seconds: float) -> Callable[[], float]:
    """Return a clock that advances by `seconds` at every call."""
    times = count(0, seconds)
    return lambda: float(next(times))


def people_in(channel: PlannedChannel) -> int:
    return channel.source.audience.subscribers


class Terminal(io.StringIO):
    """A stream that counts as a terminal."""

    def isatty(self) -> bool:
        return True


def test_json_progress_contains_rate_limit_and_time_left(made: tuple[Plan, Settings]) -> None:
    plan, settings = made
    err = io.StringIO()
    output = Output(json=True, stderr=err, stdout=io.StringIO())
    with CheckProgress(plan, settings, output, "verified", clock=every(5.0)) as progress:
        progress.add("subscribers", 20)
        progress.add("posts", 7)
    first, second = map(json.loads, err.getvalue().splitlines())
    users = sum(map(people_in, plan.channels))
    assert first["event"] == "verified"
    assert first["subscribers"] == {"done": 20, "of": users, "per_second": 4.0, "limit": 20_000}
    assert first["seconds_left"] == round((users - 20) / 4)
    assert second["posts"]["limit"] == 4_000
    assert second["posts"]["per_second"] == 1.4


def test_delta_restarts_the_counts_and_groups_to_fill_are_counted_when_known(
    made: tuple[Plan, Settings],
) -> None:
    plan, settings = made
    err = io.StringIO()
    output = Output(stderr=err, stdout=io.StringIO())
    with CheckProgress(plan, settings, output, "cutover", clock=every(5.0)) as progress:
        for kind, number in (("subscribers", 30), ("delta", 1), ("moved", 2), ("subscribers", 8)):
            progress.add(kind, number)
        progress.add("final_broadcast", 2)
        progress.add("again", 1)
        progress.add("subscribers", 9)
        progress.add("to_fill", 50)
        progress.add("filled", 20)
    lines = err.getvalue().splitlines()
    assert lines[0].startswith("subscribers compared 30 of ")
    assert lines[2].startswith("channels moved again 2 of 2, 0/s")
    assert "; subscribers compared 8 of " in lines[3]
    assert lines[6].startswith("channels moved again 2 of 2, 0/s; subscribers compared 9 of ")
    assert lines[-1].endswith("conversation groups 20 of 50, 4/s of 200/s; 8 s left")


def test_terminal_progress_shows_bars_with_the_limit(
    made: tuple[Plan, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, settings = made
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "140")
    with CheckProgress(plan, settings, Output(stderr=screen, stdout=io.StringIO()), "verified") as progress:
        progress.add("subscribers", 20)
        progress.add("delta", 1)
        progress.add("subscribers", 10)
    [*_, last, _] = screen.getvalue().splitlines()
    assert "subscribers compared" in last
    assert f"10/{sum(map(people_in, plan.channels))}" in last
    assert "of 20,000/s" in last


def test_slower_side_sets_the_limit_and_settings_can_lower_it(made: tuple[Plan, Settings]) -> None:
    plan, settings = made
    slow = settings.model_copy(
        update={"calls_per_second": {"official_account_open_http_svc/get_subscriber_info": 10.0}}
    )
    assert limits_of(plan, slow)["subscribers"] == 2_000
    files = plan.model_copy(update={"source": plan.source.model_copy(update={"kind": SourceKind.FILES})})
    assert limits_of(files, slow)["subscribers"] == 20_000
