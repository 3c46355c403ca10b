"""`demo`: the main job on a stub of its own, with a report of what happened."""

# ruff: noqa: PLC0415 - client and stub are imported when the demo runs, not for its help

import time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from channel_adapter.cli.command import Run, command, single
from channel_adapter.cli.demo_steps import Demo
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.feed import Feed, read_feed
from channel_adapter.cli.people import BrokenLine, Person, read_people
from channel_adapter.cli.readback import Differs, Recorder, Step
from channel_adapter.cli.sources import opened, opened_seekable, read_all
from channel_adapter.cli.words import counted
from channel_adapter.domain.ids import UserId

if TYPE_CHECKING:
    from channel_adapter.config.settings import Settings
    from channel_adapter.stub.server import StubServer
    from channel_adapter.tencent.client import Attempt

app = single()

TAG_KEY: Final = "ch_tag"
ORGANIZATION_KEY: Final = "ch_org"
DATA_KEYS: Final = tuple(f"ch_data_{number}" for number in range(1, 7))

SAMPLE_FEED: Final = "sample_feed.xml"
SAMPLE_PEOPLE: Final = "sample_subscribers.csv"


@command(
    app, "demo",
    example="channel-adapter demo\nchannel-adapter demo --feed feed.xml --subscribers readers.csv",
    config_help="Not used: the demo makes its own settings.",
)  # fmt: skip
async def demo(
    run: Run,
    feed: Annotated[str | None, typer.Option(metavar="FILE", help="RSS or Atom; a sample if not given.")] = None,
    subscribers: Annotated[
        str | None, typer.Option(metavar="FILE", help="CSV; 1,000 invented people if not given.")
    ] = None,
    keep_going: Annotated[bool, typer.Option("--keep-going", help="Go on when a read-back differs.")] = False,
) -> Exit:
    """Show the whole main job on a stub server that it starts itself, without any account or settings.

    Makes a channel, subscribes people from a file, publishes a feed and one post of every kind, reads everything back
    and compares it with what was written, and says what each step became on the wire: over a real socket, with real
    signatures. Exit code 1 when a read-back differs.
    """
    read = _read_feed(feed)
    people, broken = _read_people(subscribers)
    for line in broken:
        run.output.note(f"line {line.line}: {line.reason}")
    for warning in read.warnings:
        run.output.note(f"warning: {warning}")
    recorder = Recorder(lambda number, step: _tell(run, number, step), time.perf_counter, keep_going=keep_going)
    await _perform(run, recorder, read, people)
    report = recorder.report
    if run.output.json:
        run.output.one(report.document())
    elif report.differences:
        run.output.line(f"{len(report.differences)} of {counted(report.read_backs, 'read-back')} differ:")
        for difference in report.differences:
            run.output.line(f"  {difference}")
    else:
        run.output.line(
            f"all {counted(report.read_backs, 'read-back')} agree: {counted(len(report.steps), 'step')},"
            f" {counted(report.calls, 'call')},"
            f" {report.seconds:.1f} s"
        )
    return Exit.REFUSED if report.differences else Exit.DONE


async def _perform(run: Run, recorder: Recorder, feed: Feed, people: list[UserId]) -> None:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.stub.server import StubServer
    from channel_adapter.stub.settings import StubSettings

    tell = run.observer()

    def observe(attempt: "Attempt") -> None:
        recorder.observe(attempt)
        if tell is not None:
            tell(attempt)

    keys = [TAG_KEY, ORGANIZATION_KEY, *DATA_KEYS]
    async with StubServer(StubSettings.read({"app": {"group_fields": keys}})) as server:
        if not run.output.json:
            run.output.line(f"A stub of the service listens on {server.url}, as app {server.sdkappid}.")
            run.output.line("")
        run.so_far = lambda: f"{counted(len(recorder.report.steps), 'step')} done"
        async with ChannelAdapter.open(_settings(server), observer=observe) as adapter:
            try:
                await Demo(adapter, recorder, run.output.progress, feed, people).run()
            except Differs:
                run.output.note("stopped here; --keep-going shows the other steps too")


def _settings(server: "StubServer") -> "Settings":
    """For the stub and nothing else; the environment, which may name another app, plays no part."""
    from pydantic import SecretStr

    from channel_adapter.config.settings import ChannelSettings, Settings

    return Settings(
        sdkappid=server.sdkappid,
        key=SecretStr(server.key),
        admin=server.admin,
        base_url=server.url,
        channels=ChannelSettings(tag_key=TAG_KEY, organization_key=ORGANIZATION_KEY, custom_data_keys=DATA_KEYS),
    )


def _tell(run: Run, number: int, step: Step) -> None:
    if run.output.json:
        return
    calls = ", ".join(f"{each.count} x {each.command.rpartition('/')[2]}" for each in step.calls)
    run.output.line(f"{number:>2}. {step.title}")
    run.output.line(f"    {step.result}" if not step.differences else f"    DIFFERS: {'; '.join(step.differences)}")
    run.output.line(f"    {counted(step.read_backs, 'read-back')}; {calls}; {step.seconds:.2f} s")
    run.output.line("")


def _read_feed(name: str | None) -> Feed:
    path = name or _sample(SAMPLE_FEED)
    with opened(path) as source:
        feed = read_feed(read_all(source), name=path)
    if not feed.entries:
        raise UsageError(f"{path} has no entries", field="feed")
    return feed


def _read_people(name: str | None) -> tuple[list[UserId], list[BrokenLine]]:
    path = name or _sample(SAMPLE_PEOPLE)
    with opened_seekable(path) as source:
        found = list(read_people(source, name=path))
    people = list(dict.fromkeys(each.user for each in found if isinstance(each, Person)))
    if not people:
        raise UsageError(f"{path} names nobody", field="subscribers")
    return people, [each for each in found if isinstance(each, BrokenLine)]


def _sample(name: str) -> str:
    """A sample from the installed package, or from the repository."""
    from channel_adapter.stub.shipped import shipped_file

    path = shipped_file(name)
    if path is None:
        raise UsageError(f"the sample {name} is not installed; name a file of your own")
    return str(path)
