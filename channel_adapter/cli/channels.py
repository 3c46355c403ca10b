"""`channels`: create, show, list, update, delete; staff, blocked users, suspension and verification; export."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, UsageError
from channel_adapter.cli.files import read_text
from channel_adapter.cli.output import counted, list_outcomes
from channel_adapter.concurrency.batching import stream
from channel_adapter.errors import InvalidError, NotFoundError

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter
    from channel_adapter.domain.channel import Channel
    from channel_adapter.domain.subscription import Outcomes

app = group("channels")

ChannelArgument = Annotated[str, typer.Argument(metavar="CHANNEL", help="Slug or id, for example harbor_news.")]

_INTRODUCTION = Annotated[str | None, typer.Option(help="What the channel is about; 400 bytes.")]
_NOTIFICATION = Annotated[str | None, typer.Option(help="A notice on top of the channel; 400 bytes.")]
_AVATAR = Annotated[str | None, typer.Option(metavar="URL", help="Picture; 500 bytes.")]
_ORGANIZATION = Annotated[
    str | None, typer.Option(help="Organization of the channel; 512 bytes, needs a declared field.")
]
_CUSTOM = Annotated[str | None, typer.Option(help="Anything of your own; 512 bytes for each declared field.")]
_CUSTOM_FILE = Annotated[str | None, typer.Option(metavar="FILE", help="Custom data from a file, - for stdin.")]
_MAX = Annotated[int | None, typer.Option(min=1, help="Largest number of subscribers.")]

COLUMNS = ("slug", "name", "owner", "subscribers", "complete", "created_at")


@command(
    app,
    "channels",
    "create",
    example='channel-adapter channels create --slug harbor_news --name "Harbour News" --owner editor_7',
)
async def create(
    run: Run,
    name: Annotated[str, typer.Option(help="Name that users see; 100 bytes.")],
    owner: Annotated[str, typer.Option(metavar="USER", help="An account of the app; posts are sent as it.")],
    slug: Annotated[str | None, typer.Option(help="Short name for the id: letters, digits, _ . -; 42 bytes.")] = None,
    introduction: _INTRODUCTION = None,
    notification: _NOTIFICATION = None,
    avatar: _AVATAR = None,
    organization: _ORGANIZATION = None,
    custom_data: _CUSTOM = None,
    custom_data_file: _CUSTOM_FILE = None,
    max_subscribers: _MAX = None,
    idempotency_key: Annotated[
        str | None, typer.Option(help="Without a slug: the same key makes the same channel.")
    ] = None,
) -> None:
    """Create a channel that any user may follow, and in which only its owner and admins post.

    Repeating the command with the same slug finishes what was interrupted and changes nothing that is complete. An id
    that belongs to something else is refused. Texts over their bytes are refused, never cut.
    """
    custom_data = _read_custom_data(custom_data, custom_data_file)
    async with run.adapter() as adapter:
        channel = await adapter.channels.create(
            name=name, owner=owner, slug=slug, introduction=introduction or "", notification=notification or "",
            avatar=avatar or "", organization=organization or "", custom_data=custom_data or "",
            max_subscribers=max_subscribers, idempotency_key=idempotency_key,
        )  # fmt: skip
    run.output.one(channel)


@command(app, "channels", "show", example="channel-adapter channels show harbor_news")
async def show(run: Run, channel: ChannelArgument) -> None:
    """Show one channel as it is now."""
    async with run.adapter() as adapter:
        run.output.one(await adapter.channels.get(channel))


@command(app, "channels", "list", example="channel-adapter channels list --user reader_1")
async def list_channels(
    run: Run,
    user: Annotated[str | None, typer.Option(metavar="USER", help="Only the channels that this user follows.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
) -> None:
    """List the channels of the app, or the channels that one user follows.

    Groups that are no channels are left out. With --user each row has the user's role too, and since when.
    """
    async with run.adapter() as adapter:
        if user is not None:
            columns = ("slug", "name", "role", "since", "notifications")
            with run.output.items(columns, empty=f"{user} follows no channel") as listing:
                async for mine in adapter.channels.subscribed(user):
                    listing.add(mine, mine.channel.slug, mine.channel.name, mine.role, mine.since, mine.notifications)
                    if listing.count == limit:
                        break
            return
        with run.output.items(COLUMNS, empty="there is no channel") as listing:
            async for channel in adapter.channels.all():
                listing.add(channel, *_channel_row(channel))
                if listing.count == limit:
                    break
        if not adapter.can.list_all:
            run.output.note("the service lists no official accounts: these were created, read or adopted here")


@command(app, "channels", "adopt", example="channel-adapter channels adopt harbor_news '@TOA#_harbor_tides'")
async def adopt(
    run: Run, channels: Annotated[list[str], typer.Argument(metavar="CHANNEL", help="Slugs or ids.")]
) -> Exit:
    """Add existing official accounts to the registry that `channels list` shows in mode "official".

    The service does not list official accounts; take their ids from the console. Ids that are no channels are reported
    with exit code 3, or 1 if there is no channel among them.
    """
    async with run.adapter() as adapter:
        found = await adapter.channels.adopt(channels)
    with run.output.items(COLUMNS, empty="none of them is a channel") as listing:
        for channel in found.values():
            listing.add(channel, *_channel_row(channel))
    if missing := [each for each in map(run.channel_id, channels) if each not in found]:
        run.output.note(f"no channels: {', '.join(missing)}")
        return Exit.PARTLY if found else Exit.REFUSED
    return Exit.DONE


@command(
    app,
    "channels",
    "update",
    example='channel-adapter channels update harbor_news --introduction "Tides, ferries, fish"',
)
async def update(
    run: Run,
    channel: ChannelArgument,
    name: Annotated[str | None, typer.Option(help="Name that users see; 100 bytes.")] = None,
    introduction: _INTRODUCTION = None,
    notification: _NOTIFICATION = None,
    avatar: _AVATAR = None,
    organization: _ORGANIZATION = None,
    custom_data: _CUSTOM = None,
    custom_data_file: _CUSTOM_FILE = None,
    max_subscribers: _MAX = None,
    contact: Annotated[
        str | None, typer.Option(metavar="USER", help="Account that sends its one-to-one messages; empty: the owner.")
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Category of the directory, once for each; an empty one removes all.")
    ] = None,
) -> None:
    """Change the fields that are given; an empty text empties a field. Categories need database_url.

    An account that is the contact of several channels is reported: what users write to it does not name the channel.
    """
    change = {
        "name": name, "introduction": introduction, "notification": notification, "avatar": avatar,
        "organization": organization, "custom_data": _read_custom_data(custom_data, custom_data_file),
    }  # fmt: skip
    if (
        max_subscribers is None
        and contact is None
        and not category
        and not any(value is not None for value in change.values())
    ):
        raise UsageError("nothing to change; name at least one field")
    categories = [each for each in category if each] if category else None
    async with run.adapter() as adapter:
        changed = await adapter.channels.update(
            channel, **change, max_subscribers=max_subscribers, contact=contact, categories=categories
        )
        run.output.one(changed)
        if contact is not None and (shared := (await adapter.messages.contact(channel)).shared_with):
            run.output.note(
                f"warning: this account writes for {', '.join(shared)} too; answers do not name the channel"
            )


@command(app, "channels", "delete", example="channel-adapter channels delete harbor_news --yes")
async def delete(
    run: Run, channel: ChannelArgument, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False
) -> Exit:
    """Delete a channel with its posts and subscriptions, for good.

    Asks first on a terminal; without a terminal it needs --yes. A channel that is gone already is no error. Groups
    that are no channels are refused.
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError("without a terminal, deleting a channel needs --yes", field="yes")
    async with run.adapter() as adapter:
        if not yes and not await _confirm_deletion(run, adapter, channel):
            run.output.note("nothing was deleted")
            return Exit.REFUSED
        deleted = await adapter.channels.delete(channel)
    sentence = f"{channel} is deleted" if deleted else f"{channel} was gone already"
    run.output.one({"channel": run.channel_id(channel), "deleted": deleted}, sentence)
    return Exit.DONE


# Staff

_USERS = Annotated[list[str], typer.Argument(metavar="USER", help="Accounts of the app.")]


@command(app, "channels", "staff", example="channel-adapter channels staff harbor_news")
async def staff(run: Run, channel: ChannelArgument) -> None:
    """List the owner and the admins of a channel."""
    async with run.adapter() as adapter:
        found = await adapter.channels.staff(channel)
    with run.output.items(("user", "role", "since"), empty="no owner and no admins") as listing:
        for row in found:
            listing.add(row, row.user, row.role, row.since)


@command(app, "channels", "promote", example="channel-adapter channels promote harbor_news editor_8 editor_9")
async def promote(run: Run, channel: ChannelArgument, users: _USERS) -> Exit:
    """Make subscribers admins, who may post, one outcome each.

    A user who is an admin already is "already"; one who is not subscribed is "not_subscribed", and must be added first.
    """
    async with run.adapter() as adapter:
        return await _list_outcomes(run, await adapter.channels.promote(channel, users))


@command(app, "channels", "demote", example="channel-adapter channels demote harbor_news editor_9")
async def demote(run: Run, channel: ChannelArgument, users: _USERS) -> Exit:
    """Make admins plain subscribers again, one outcome each. The owner is refused: see transfer."""
    async with run.adapter() as adapter:
        return await _list_outcomes(run, await adapter.channels.demote(channel, users))


@command(app, "channels", "transfer", example="channel-adapter channels transfer harbor_news editor_8")
async def transfer(
    run: Run,
    channel: ChannelArgument,
    new_owner: Annotated[str, typer.Argument(metavar="USER", help="A subscriber of the channel.")],
) -> None:
    """Make a subscriber the owner of a channel; posts are published as the new owner from then on.

    The owner before stays subscribed, as a plain subscriber. Repeating the command changes nothing.
    """
    async with run.adapter() as adapter:
        found = await adapter.channels.transfer(channel, new_owner)
    run.output.one(found, f"{found.slug} belongs to {found.owner}")


@command(app, "channels", "block", example="channel-adapter channels block harbor_news reader_9")
async def block(run: Run, channel: ChannelArgument, users: _USERS) -> Exit:
    """Remove users from a channel and keep them out of it, one outcome each. Needs database_url.

    A user who is blocked already is "already". "failed" means blocked and still subscribed: repeat the command.
    """
    async with run.adapter() as adapter:
        return await _list_outcomes(run, await adapter.channels.block(channel, users))


@command(app, "channels", "unblock", example="channel-adapter channels unblock harbor_news reader_9")
async def unblock(run: Run, channel: ChannelArgument, users: _USERS) -> Exit:
    """Allow blocked users to subscribe again, one outcome each; it does not subscribe them. Needs database_url."""
    async with run.adapter() as adapter:
        return await _list_outcomes(run, await adapter.channels.unblock(channel, users))


@command(app, "channels", "blocked", example="channel-adapter channels blocked harbor_news --json")
async def blocked(run: Run, channel: ChannelArgument) -> None:
    """List the blocked users of a channel. Those of guard.blocked in the settings are not among them."""
    async with run.adapter() as adapter:
        with run.output.items(("user", "since"), empty="no blocked users") as listing:
            async for row in adapter.channels.blocked(channel):
                listing.add(row, row.user, row.since)


@command(app, "channels", "suspend", example="channel-adapter channels suspend harbor_news")
async def suspend(run: Run, channel: ChannelArgument) -> None:
    """Close posting and subscribing until resume, for the owner and admins too. What is there stays readable."""
    async with run.adapter() as adapter:
        _show_flag(run, channel, "suspended", value=True, changed=await adapter.channels.suspend(channel))


@command(app, "channels", "resume", example="channel-adapter channels resume harbor_news")
async def resume(run: Run, channel: ChannelArgument) -> None:
    """Open posting and subscribing again."""
    async with run.adapter() as adapter:
        _show_flag(run, channel, "suspended", value=False, changed=await adapter.channels.resume(channel))


@command(app, "channels", "verify", example="channel-adapter channels verify harbor_news")
async def verify(run: Run, channel: ChannelArgument) -> None:
    """Mark a channel as verified by the operator of the app."""
    async with run.adapter() as adapter:
        _show_flag(run, channel, "verified", value=True, changed=await adapter.channels.verify(channel))


@command(app, "channels", "unverify", example="channel-adapter channels unverify harbor_news")
async def unverify(run: Run, channel: ChannelArgument) -> None:
    """Remove the mark of verify."""
    async with run.adapter() as adapter:
        _show_flag(run, channel, "verified", value=False, changed=await adapter.channels.unverify(channel))


async def _list_outcomes(run: Run, outcomes: "Outcomes") -> Exit:
    return await list_outcomes(run.output, stream(outcomes), assign=False)


def _show_flag(run: Run, channel: str, name: str, *, value: bool, changed: bool) -> None:
    document = {"channel": run.channel_id(channel), name: value, "changed": changed}
    run.output.one(document, f"{channel} is {'' if value else 'not '}{name}{'' if changed else ', as before'}")


@command(app, "channels", "export", example="channel-adapter channels export harbor_news --out harbor_news")
async def export(
    run: Run,
    channel: ChannelArgument,
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder for the files; created if it is missing.")],
) -> None:
    """Write a channel, its subscribers, posts and reactions to files, as of now.

    channels.jsonl, subscribers.jsonl and posts.jsonl are what `migrate plan --files` reads; reactions.csv has a line
    for each user and emoji, insights.csv and views.csv the figures of 30 days. Repeating the command after an
    interruption continues it. Recalled and expired posts have no content and are left out.
    """
    async with run.adapter() as adapter:
        subscribers, posts = run.output.progress("subscribers"), run.output.progress("posts")
        far = [0, 0]
        run.output.describe_progress(
            lambda: f"{far[0]:,} subscribers and {far[1]:,} posts are written; repeat to continue" if any(far) else ""
        )
        with subscribers, posts:

            def advance(to_subscribers: int, to_posts: int) -> None:
                subscribers.advance(to_subscribers - far[0])
                posts.advance(to_posts - far[1])
                far[:] = to_subscribers, to_posts

            try:
                done = await adapter.export_channel(channel, out, on_progress=advance)
            except InvalidError as wrong:
                if wrong.field == "folder":
                    raise UsageError(wrong.message, field="out") from None
                raise
    parts = [counted(done.subscribers, "subscriber"), counted(done.posts, "post")]
    if done.reactions is not None:
        parts.append(counted(done.reactions, "reaction"))
    if done.without_content:
        parts.append(f"{done.without_content:,} recalled or expired left out")
    run.output.one(done, f"{done.folder}: {', '.join(parts)}")


async def _confirm_deletion(run: Run, adapter: "ChannelAdapter", channel: str) -> bool:
    """Ask at the terminal whether to delete a channel; a channel that does not exist needs no answer."""
    try:
        found = await adapter.channels.get(channel)
    except NotFoundError:
        return True
    subscribers = counted(found.subscriber_count, "subscriber")
    return run.output.confirm(f"Delete {found.name} with {subscribers} for good?")


def _read_custom_data(text: str | None, file: str | None) -> str | None:
    if text is not None and file is not None:
        raise UsageError("give --custom-data or --custom-data-file, not both", field="custom_data")
    return read_text(file, "custom_data") if file is not None else text


def _channel_row(channel: "Channel") -> tuple[object, ...]:
    return channel.slug, channel.name, channel.owner, channel.subscriber_count, channel.complete, channel.created_at
