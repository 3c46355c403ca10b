"""`webhooks`: what comes in from the service."""

# ruff: noqa: PLC0415 - help and usage errors must not wait for the client to be imported

from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli import webhooks_inbox, webhooks_serve
from channel_adapter.cli.command import Run, command
from channel_adapter.cli.exits import Exit, UsageError, read_option
from channel_adapter.cli.webhooks_group import app
from channel_adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic import SecretStr

__all__ = ["app", "webhooks_inbox", "webhooks_serve"]

_EVENT = Annotated[
    str | None,
    typer.Argument(metavar="EVENT", help="Subscribed, PostDraft, Group.CallbackAfterSendMsg; --list shows all."),
]


@command(
    app, "webhooks", "trigger",
    example="channel-adapter webhooks trigger Subscribed --url http://127.0.0.1:8080/\n"
    "channel-adapter webhooks trigger PostPublished --url http://127.0.0.1:8080/ --channel harbor_news "
    """--set '{"MsgSeq": 7}'""",
)  # fmt: skip
async def trigger(
    run: Run,
    event: _EVENT = None,
    url: Annotated[str | None, typer.Option("--url", metavar="URL", help="The receiver's address.")] = None,
    channel: Annotated[
        str | None, typer.Option("--channel", metavar="CHANNEL", help="What it is about; else a channel of the sample.")
    ] = None,
    changes: Annotated[
        str, typer.Option("--set", metavar="JSON", help="Members of the body to change; null takes one out.")
    ] = "{}",
    platform: Annotated[
        str, typer.Option("--platform", metavar="NAME", help="OptPlatform: iOS, Android, Web, RESTAPI ...")
    ] = "iOS",
    sdkappid: Annotated[int | None, typer.Option(min=1, help="The app; that of the settings unless given.")] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Do not sign, whatever token is set.")] = False,
    times: Annotated[int, typer.Option(min=1, max=1000, help="Send it so often, as a repeat of itself.")] = 1,
    listing: Annotated[bool, typer.Option("--list", help="Show every event and its command, send nothing.")] = False,
) -> Exit | None:
    """Send a realistic webhook to a receiver, signed with the first token of the settings, and show its answer.

    With --sdkappid no settings are needed; the token is then that of the settings if there are any. A receiver of this
    program hands events to its handlers only for channels that exist: name one with --channel. The name of a question
    (PostDraft) asks the receiver's guard.
    """
    import time

    from channel_adapter.webhooks.trigger import trigger as send

    if listing:
        _list(run)
        return None
    if event is None or url is None:
        raise UsageError("EVENT and --url are needed; --list shows the events", field="url" if event else "event")
    app_id, token = _sender(run, sdkappid)
    body = _changes(changes, channel)
    key = None if unsigned else token
    now = time.time()
    with read_option():
        sent = [
            await send(url, event, body, sdkappid=app_id, token=key, platform=platform, now=now) for _ in range(times)
        ]
    last = sent[-1]
    took = f"{last.seconds * 1000:.0f} ms"
    run.output.one(last, f"{last.command}: HTTP {last.status}, {_shown(last.answer)}, {took}")
    return None if all(each.taken for each in sent) else Exit.REFUSED


def _list(run: Run) -> None:
    """Every command that is known, with the event or question it means."""
    from channel_adapter.tencent.wire.callback_samples import samples
    from channel_adapter.webhooks.trigger import names_of_commands

    names = {command: name for name, command in names_of_commands().items()}
    with run.output.items(("event", "command")) as rows:
        for name in samples():
            rows.add({"event": names.get(name, ""), "command": name}, names.get(name, ""), name)


def _sender(run: Run, sdkappid: int | None) -> "tuple[int, SecretStr | None]":
    """The app and the token to send as. Raises ConfigurationError when neither option nor settings name an app."""
    try:
        settings = run.settings()
    except ConfigurationError:
        if sdkappid is None:
            raise
        return sdkappid, None
    token = next(iter(settings.webhooks.tokens), None)
    return settings.sdkappid if sdkappid is None else sdkappid, token


def _changes(text: str, channel: str | None) -> dict[str, object]:
    """The members that --channel and --set name; the latter is stronger."""
    import orjson

    from channel_adapter.mapping.ids import channel_id
    from channel_adapter.tencent.wire.callbacks_group import GroupCallback

    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"--set is not JSON: {wrong}", field="set") from None
    if not isinstance(value, dict):
        raise UsageError("--set takes a JSON object", field="set")
    if channel is not None:
        return {str(GroupCallback.model_fields["group_id"].alias): channel_id(channel), **value}
    return value


def _shown(answer: object) -> str:
    import orjson

    return "no JSON" if answer is None else orjson.dumps(answer).decode()
