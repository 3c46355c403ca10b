"""`messages`: send, send-many, thread, threads, edit, recall, mark-read."""

from typing import Annotated

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.files import (
    STDIN,
    ColumnOption,
    DelimiterOption,
    HeadingOption,
    opened_seekable,
    read_text,
    users_in,
)
from channel_adapter.cli.posts import describe, from_json
from channel_adapter.cli.subscribers import UserFileReport
from channel_adapter.domain.ids import ChannelId, UserId
from channel_adapter.domain.message import Message, MessageRef
from channel_adapter.domain.post import Content, Text

app = group("messages")

_USER = Annotated[str, typer.Argument(metavar="USER", help="An account of the app.")]
_TEXT = Annotated[str, typer.Argument(metavar="TEXT", help="Text of the message; - for stdin.")]
_KEY = Annotated[str, typer.Argument(metavar="KEY", help="Key of the message, as messages thread shows it.")]
_CONTENT = Annotated[
    str | None,
    typer.Option(metavar="JSON", help="Any kind in place of a text, as messages thread --json prints parts."),
]
_LIMIT = Annotated[int | None, typer.Option(min=1, help="Stop after so many.")]


@command(app, "messages", "send", example='channel-adapter messages send harbor_news reader_1 "Welcome aboard"')
async def send(
    run: Run,
    channel: ChannelArgument,
    user: _USER,
    text: _TEXT = "",
    content: _CONTENT = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Repeating with the same key and text within 120 s sends once.")
    ] = None,
) -> None:
    """Send a message to one user, from the account of the channel.

    That is the channel's contact (channels update --contact), or its owner.
    """
    parts = _read_content(text, content)
    async with run.adapter() as adapter:
        message = await adapter.messages.send(channel, user=user, content=parts, idempotency_key=idempotency_key)
    run.output.one(message, f"sent to {message.user} as {message.key}")


@command(
    app, "messages", "send-many",
    example='channel-adapter messages send-many harbor_news readers.csv "The ferry to Hven is cancelled"',
)  # fmt: skip
async def send_many(
    run: Run,
    channel: ChannelArgument,
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV or one id a line; - for stdin.")],
    text: _TEXT = "",
    content: _CONTENT = None,
    heading: HeadingOption = None,
    delimiter: DelimiterOption = "",
    column: ColumnOption = "",
) -> Exit:
    """Send one message to each user in a file, 12,000 a minute.

    The file is read as subscribers import reads it, and checked first. A user who is named twice gets one message.
    "unknown" are users of a call whose answer was lost: they may have the message, and it is not sent to them again.
    Running the command again sends to all of them again.
    """
    parts = _read_content(text, content)
    with opened_seekable(file) as source:
        listed = users_in(source, file, heading, delimiter, column)
        async with run.adapter() as adapter:
            with run.output.progress("sent", listed.total) as progress:
                document = run.output.report("problems", {"channel": run.channel_id(channel)})
                job = UserFileReport(run, progress, document)
                await job.follow(adapter.messages.send_many_stream(channel, job.users(listed), parts))
    if not run.output.json:
        run.output.line(job.sentence())
    return job.code


@command(app, "messages", "thread", example="channel-adapter messages thread harbor_news reader_1 --limit 10")
async def thread(run: Run, channel: ChannelArgument, user: _USER, limit: _LIMIT = None) -> None:
    """List the messages between a channel and a user that the service keeps, newest first."""
    columns = ("sent_at", "direction", "read", "key", "content")
    async with run.adapter() as adapter:
        with run.output.items(columns, empty="there is no message") as listing:
            async for message in adapter.messages.thread(channel, user=user):
                listing.add(
                    message, message.sent_at, message.direction, message.read, message.key, _describe_message(message)
                )
                if listing.count == limit:
                    break


@command(app, "messages", "threads", example="channel-adapter messages threads harbor_news --limit 20")
async def threads(run: Run, channel: ChannelArgument, limit: _LIMIT = None) -> None:
    """List the users who exchanged messages with a channel: the last message, and how many are unread.

    Needs database_url, and webhooks that are received: the list holds what they reported.
    """
    columns = ("user", "unread", "sent_at", "direction", "content")
    async with run.adapter() as adapter:
        with run.output.items(columns, empty="there is no thread") as listing:
            async for each in adapter.messages.threads(channel):
                last = each.last
                listing.add(each, each.user, each.unread, last.sent_at, last.direction, _describe_message(last))
                if listing.count == limit:
                    break


@command(
    app, "messages", "edit",
    example='channel-adapter messages edit harbor_news reader_1 1833_90125_1767225600 "Welcome on board"',
)  # fmt: skip
async def edit(
    run: Run, channel: ChannelArgument, user: _USER, key: _KEY, text: _TEXT = "", content: _CONTENT = None
) -> None:
    """Replace the content of a message that the channel sent."""
    parts = _read_content(text, content)
    ref = _message_ref(run, channel, user, key)
    async with run.adapter() as adapter:
        await adapter.messages.edit(ref, parts)
    run.output.one({"ref": ref, "edited": True}, f"message {key} to {user} is edited")


@command(
    app, "messages", "recall",
    example="channel-adapter messages recall harbor_news reader_1 1833_90125_1767225600",
)  # fmt: skip
async def recall(run: Run, channel: ChannelArgument, user: _USER, key: _KEY) -> None:
    """Recall a message that the channel sent, however old it is; the user sees it no more."""
    ref = _message_ref(run, channel, user, key)
    async with run.adapter() as adapter:
        await adapter.messages.recall(ref)
    run.output.one({"ref": ref, "recalled": True}, f"message {key} to {user} is recalled")


@command(app, "messages", "mark-read", example="channel-adapter messages mark-read harbor_news reader_1")
async def mark_read(run: Run, channel: ChannelArgument, user: _USER) -> None:
    """Mark what a user wrote to a channel as read by the channel's account."""
    async with run.adapter() as adapter:
        await adapter.messages.mark_read(channel, user=user)
    document = {"channel": run.channel_id(channel), "user": user, "read": True}
    run.output.one(document, f"the messages of {user} are read")


def _message_ref(run: Run, channel: str, user: str, key: str) -> MessageRef:
    return MessageRef(ChannelId(run.channel_id(channel)), UserId(user), key)


def _read_content(text: str, content: str | None) -> Content | list[Content]:
    if content is not None:
        if text:
            raise UsageError("--content stands alone, without TEXT", field="content")
        return from_json(content)
    return Text(read_text(STDIN, "text") if text == STDIN else text)


def _describe_message(message: Message) -> str:
    return "(recalled)" if message.recalled else describe(message.parts)
