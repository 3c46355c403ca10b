"""`reactions`: add, remove, show, users, policy, reconcile, adopt, probe, publish."""

from typing import TYPE_CHECKING, Annotated

import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit
from channel_adapter.domain.ids import ChannelId
from channel_adapter.domain.post import PostRef

if TYPE_CHECKING:
    from channel_adapter.domain.reaction import ReactionPolicy

app = group("reactions")

PUBLISH_SECONDS = 60.0

_SEQ = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Number of the post in its channel.")]
_USER = Annotated[str, typer.Argument(metavar="USER", help="An account of the app.")]
_EMOJI = Annotated[str, typer.Argument(metavar="EMOJI", help="One emoji, skin tone and all.")]
_SOME_EMOJI = Annotated[str | None, typer.Argument(metavar="EMOJI", help="This one alone; else all.")]


def _post_ref(channel: str, seq: int) -> PostRef:
    return PostRef(ChannelId(channel), seq)


@command(app, "reactions", "add", example="channel-adapter reactions add harbor_news 12 reader_1 👍")
async def add(run: Run, channel: ChannelArgument, seq: _SEQ, user: _USER, emoji: _EMOJI) -> None:
    """Set the reaction of a user to a post.

    Each user has one: a new one replaces the old one, and repeating it changes nothing. Without database_url it is a
    key on the message, for 250 users a post; with it any number of users may react.
    """
    async with run.adapter() as adapter:
        changed = await adapter.reactions.react(_post_ref(channel, seq), user, emoji)
    sentence = f"{user} reacts with {emoji}" if changed else f"{user} reacted with {emoji} before"
    run.output.one(
        {"channel": run.channel_id(channel), "seq": seq, "user": user, "emoji": emoji, "changed": changed},
        sentence,
    )


@command(app, "reactions", "remove", example="channel-adapter reactions remove harbor_news 12 reader_1")
async def remove(run: Run, channel: ChannelArgument, seq: _SEQ, user: _USER, emoji: _SOME_EMOJI = None) -> None:
    """Remove the reaction of a user to a post."""
    async with run.adapter() as adapter:
        changed = await adapter.reactions.unreact(_post_ref(channel, seq), user, emoji)
    sentence = f"{user} reacts no more" if changed else f"{user} had no such reaction"
    run.output.one(
        {"channel": run.channel_id(channel), "seq": seq, "user": user, "emoji": emoji, "changed": changed},
        sentence,
    )


@command(app, "reactions", "show", example="channel-adapter reactions show harbor_news 12 --viewer reader_1")
async def show(
    run: Run,
    channel: ChannelArgument,
    seq: _SEQ,
    viewer: Annotated[str | None, typer.Option(metavar="USER", help="Show what this user chose, too.")] = None,
) -> None:
    """Show the counts of a post, the most frequent emoji first."""
    async with run.adapter() as adapter:
        found = await adapter.reactions.get(_post_ref(channel, seq), viewer)
    if run.output.json:
        run.output.one(found)
        return
    with run.output.items(("emoji", "users"), empty="no reactions") as listing:
        for emoji, users in found.counts.items():
            listing.add(None, emoji, users)
    if viewer is not None:
        run.output.line(f"{viewer}: {' '.join(found.mine) or 'no reaction'}")


@command(app, "reactions", "users", example="channel-adapter reactions users harbor_news 12 --emoji 👍")
async def users(
    run: Run,
    channel: ChannelArgument,
    seq: _SEQ,
    emoji: Annotated[str | None, typer.Option(metavar="EMOJI", help="Only users who chose this one.")] = None,
) -> None:
    """List the users who reacted to a post, and how. For administration."""
    async with run.adapter() as adapter:
        with run.output.items(("user", "emoji", "since"), empty="no reactions") as listing:
            async for each in adapter.reactions.reactors(_post_ref(channel, seq), emoji):
                listing.add(each, each.user, each.emoji, each.since)


@command(
    app, "reactions", "policy",
    example="channel-adapter reactions policy harbor_news basic\nchannel-adapter reactions policy harbor_news 👍 🙏",
)  # fmt: skip
async def policy(
    run: Run,
    channel: ChannelArgument,
    allowed: Annotated[
        list[str] | None, typer.Argument(metavar="all|basic|none|EMOJI", help="Nothing: show the policy.")
    ] = None,
) -> None:
    """Show or set which emoji a channel accepts: all, basic (six of them), none, or a list."""
    async with run.adapter() as adapter:
        if not allowed:
            found = await adapter.reactions.policy(channel)
        else:
            wanted = allowed[0] if len(allowed) == 1 else allowed
            found = await adapter.reactions.set_policy(channel, wanted)
    run.output.one(
        {"channel": run.channel_id(channel), "policy": found.kind, "allowed": found.allowed}, _describe_policy(found)
    )


def _describe_policy(policy: "ReactionPolicy") -> str:
    if policy.allowed is None:
        return "all: every emoji is accepted"
    return f"{policy.kind}: {' '.join(policy.allowed)}" if policy.allowed else "none: no reactions are accepted"


@command(app, "reactions", "reconcile", example="channel-adapter reactions reconcile harbor_news 12")
async def reconcile(run: Run, channel: ChannelArgument, seq: _SEQ) -> None:
    """Compare a post with the service: merge what client apps wrote, and repair counts that others changed."""
    async with run.adapter() as adapter:
        found = await adapter.reactions.reconcile(_post_ref(channel, seq))
    run.output.one(found, f"{found.changed} reactions changed, {found.repaired} counts to repair")


@command(app, "reactions", "adopt", example="channel-adapter reactions adopt harbor_news")
async def adopt(run: Run, channel: ChannelArgument) -> None:
    """Copy into the store the reactions that direct mode left on a channel's posts.

    Users who have a reaction in the store keep that one. After an interruption, run it again.
    """
    async with run.adapter() as adapter:
        with run.output.items(("seq", "reactions"), empty="no posts") as listing:
            async for each in adapter.reactions.adopt(channel):
                listing.add(each, each.ref.seq, each.reactions)


@command(app, "reactions", "probe", example="channel-adapter reactions probe")
async def probe(run: Run) -> None:
    """Check whether the service accepts counts as reactions.display demands, and retry posts that refused them.

    It is tried on a message in a group of its own, which is deleted again.
    """
    async with run.adapter() as adapter:
        found = await adapter.reactions.probe()
    run.output.one(found, f"{found.mode}: {found.reason}")


@command(app, "reactions", "publish", example="channel-adapter reactions publish")
async def publish(run: Run) -> Exit:
    """Publish every count that is not published yet, for example those that a killed process left.

    Needs database_url: without it there are no counts to publish.
    """
    async with run.adapter() as adapter:
        done = await adapter.reactions.publish(PUBLISH_SECONDS)
    run.output.one({"published": done}, "everything is published" if done else "some counts could not be published yet")
    return Exit.DONE if done else Exit.PARTLY
