"""`posts`: publish, list, show, edit, recall, pin, import-feed; scheduled posts and drafts."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import orjson
import typer

from channel_adapter.cli.channels import ChannelArgument
from channel_adapter.cli.command import Run, command, group
from channel_adapter.cli.exits import Exit, UsageError, read_option
from channel_adapter.cli.feed.entries import EXCERPT_BYTES, Feed, read_feed
from channel_adapter.cli.feed.publish import EntryState, FeedImport, Imported
from channel_adapter.cli.files import STDIN, opened, read_all, read_text
from channel_adapter.cli.output import cell, counted, to_datetime
from channel_adapter.domain import post as p
from channel_adapter.domain.post import Content, Post, PostPreview, PostRef, PostState
from channel_adapter.domain.schedule import ScheduledPost, ScheduleState
from channel_adapter.errors import InvalidError
from channel_adapter.mapping.content_json import parts_of
from channel_adapter.mapping.times import to_zone
from channel_adapter.quoting import shown_text, shown_value

if TYPE_CHECKING:
    from channel_adapter.adapter import ChannelAdapter


app = group("posts")

_TEXT = Annotated[str, typer.Argument(metavar="TEXT", help="Text of the post; - for stdin.")]
_IMAGE = Annotated[
    list[str] | None,
    typer.Option(
        "--image",
        metavar="URL|FILE",
        help="Picture: alone, below the text (repeat it for more), or on the article. A file is stored as"
        " console.media_... of the settings says.",
    ),
]
_TITLE = Annotated[str | None, typer.Option(help="Makes it an article: a card with title, text, link and picture.")]
_LINK = Annotated[str | None, typer.Option(metavar="URL", help="Where the article leads.")]
_LOCATION = Annotated[str | None, typer.Option(metavar="LAT,LON", help="A place in degrees; the text describes it.")]
_CONTENT = Annotated[
    str | None,
    typer.Option(metavar="JSON", help='Any kind, as posts show --json prints parts: {"kind": "face", "index": 3}.'),
]
_SEQ = Annotated[int, typer.Argument(metavar="SEQ", min=1, help="Number of the post in its channel.")]
_AUTHOR = Annotated[str | None, typer.Option(metavar="USER", help="Owner or admin it is sent as; else the owner.")]

COLUMNS = ("seq", "published_at", "author", "state", "content")


@command(app, "posts", "publish", example='channel-adapter posts publish harbor_news "Tide table for Sunday"')
async def publish(
    run: Run,
    channel: ChannelArgument,
    text: _TEXT = "",
    images: _IMAGE = None,
    title: _TITLE = None,
    link: _LINK = None,
    location: _LOCATION = None,
    content: _CONTENT = None,
    author: _AUTHOR = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Repeating with the same key posts once.")] = None,
    silent: Annotated[bool, typer.Option("--silent", help="Do not count the post as unread.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent; send nothing.")] = False,
) -> None:
    """Publish a post in a channel.

    A text, pictures, a text with pictures, an article, a place, or with --content anything else. A post over its bytes
    is refused, never cut.
    """
    parts = _parse_content(text, images or [], title, link, location, content)
    async with run.adapter() as adapter:
        parts = await stored(adapter, parts, images or [], dry_run=dry_run)
        if dry_run:
            preview = await adapter.posts.preview(
                channel, parts, author=author, idempotency_key=idempotency_key, silent=silent
            )
            _print_preview(run, preview)
            return
        post = await adapter.posts.publish(
            channel, parts, author=author, idempotency_key=idempotency_key, silent=silent
        )
    run.output.one(post, f"published as number {post.ref.seq} of {post.ref.channel}")


def _print_preview(run: Run, preview: PostPreview) -> None:
    if run.output.json:
        run.output.one(preview)
        return
    names = ("channel", "author", "silent", "dedupe", "command")
    run.output.one({name: getattr(preview, name) for name in names})
    run.output.document(preview.body)
    run.output.note("dry run: nothing was sent")


@command(app, "posts", "list", example="channel-adapter posts list harbor_news --limit 5")
async def list_posts(
    run: Run,
    channel: ChannelArgument,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after so many.")] = None,
    before: Annotated[int | None, typer.Option(metavar="SEQ", min=1, help="Only posts with a smaller number.")] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="From the first to the last.")] = False,
) -> None:
    """List a channel's posts, newest first. Recalled and expired posts keep their place and have no content."""
    async with run.adapter() as adapter:
        with run.output.items(COLUMNS, empty="there is no post") as listing:
            async for post in adapter.posts.history(channel, oldest_first=oldest_first, before=before):
                listing.add(post, *_post_row(post))
                if listing.count == limit:
                    break


@command(app, "posts", "show", example="channel-adapter posts show harbor_news 12")
async def show(run: Run, channel: ChannelArgument, seq: _SEQ) -> None:
    """Show one post whole."""
    async with run.adapter() as adapter:
        post = await adapter.posts.get(await _post_ref(adapter, channel, seq))
    if run.output.json:
        run.output.one(post)
        return
    about = dict(zip(COLUMNS[:-1], _post_row(post), strict=False))
    run.output.one({**about, "dedupe": post.dedupe})
    for part in post.parts:
        run.output.line("")
        run.output.one(part)


@command(app, "posts", "edit", example='channel-adapter posts edit harbor_news 12 "Tide table for Monday"')
async def edit(
    run: Run,
    channel: ChannelArgument,
    seq: _SEQ,
    text: _TEXT = "",
    images: _IMAGE = None,
    title: _TITLE = None,
    link: _LINK = None,
    location: _LOCATION = None,
    content: _CONTENT = None,
) -> None:
    """Replace the content of a post; its number, author and time stay."""
    parts = _parse_content(text, images or [], title, link, location, content)
    async with run.adapter() as adapter:
        ref = await _post_ref(adapter, channel, seq)
        await adapter.posts.edit(ref, await stored(adapter, parts, images or []))
    run.output.one({"ref": ref, "edited": True}, f"number {seq} of {ref.channel} is edited")


@command(app, "posts", "recall", example='channel-adapter posts recall harbor_news 12 --reason "wrong date"')
async def recall(
    run: Run,
    channel: ChannelArgument,
    seq: _SEQ,
    reason: Annotated[
        str, typer.Option(help="Why, 100 bytes; the service keeps it, and apps show it if they want to.")
    ] = "",
) -> None:
    """Recall a post; its number stays, its content goes."""
    async with run.adapter() as adapter:
        ref = await _post_ref(adapter, channel, seq)
        await adapter.posts.recall(ref, reason)
    run.output.one({"ref": ref, "recalled": True}, f"number {seq} of {ref.channel} is recalled")


@command(
    app, "posts", "import-feed",
    example="channel-adapter posts import-feed harbor_news feed.xml\n"
    "curl -s https://harbor.example/feed | channel-adapter posts import-feed harbor_news -",
)  # fmt: skip
async def import_feed(
    run: Run,
    channel: ChannelArgument,
    file: Annotated[str, typer.Argument(metavar="FILE", help="RSS or Atom; - for stdin.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Publish at most so many.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be published; write nothing.")] = False,
    excerpt: Annotated[int, typer.Option(metavar="BYTES", min=16, help="Longest text of a post.")] = EXCERPT_BYTES,
    since: Annotated[
        str | None, typer.Option(metavar="DATE", help="Leave out older entries: 2026-03-20, or with a time.")
    ] = None,
    author: _AUTHOR = None,
    base_url: Annotated[str, typer.Option(metavar="URL", help="What relative links are relative to.")] = "",
) -> Exit:
    """Publish the entries of a feed as articles, oldest first, each once.

    What the channel's history holds already is not published again, so the command can run every hour. Where the
    service forgets posts sooner than the feed does, name a date with --since. A body longer than --excerpt is shortened
    at a word and marked so. Links are made absolute. An entry that is refused is reported and the others go on: exit
    code 3. Entries that went well are only counted, unless something was left out of them; -v, --dry-run and --json
    list them all.
    """
    oldest = to_datetime(since, "--since", "a date like 2026-03-20") if since is not None else None
    if base_url and not base_url.startswith(("http://", "https://")):
        from channel_adapter.tencent.redaction import shown_url  # noqa: PLC0415 - for this alone

        raise UsageError(
            f"--base-url must be an http or https address; got {shown_value(shown_url(base_url))}", field="base_url"
        )
    with opened(file) as source:
        data = read_all(source)
    name = "stdin" if file == STDIN else file
    feed = read_feed(data, name=name, excerpt_bytes=excerpt, base_url=base_url)
    if oldest is not None:
        feed = feed.since(oldest)
    for warning in feed.warnings:
        run.output.note(f"warning: {warning}")
    async with run.adapter() as adapter:
        job = FeedImport(adapter.posts, channel, author)
        await _run_import(run, job, feed, channel, dry_run=dry_run, limit=limit)
    refused = job.counts[EntryState.REFUSED]
    if refused and refused == sum(job.counts.values()):
        return Exit.REFUSED
    return Exit.PARTLY if refused else Exit.DONE


async def _run_import(run: Run, job: FeedImport, feed: Feed, channel: str, *, dry_run: bool, limit: int | None) -> None:
    run.output.describe_progress(lambda: _import_summary(job, feed) if job.counts else "")
    report = run.output.report("entries", {"channel": run.channel_id(channel), "feed": feed.title})
    rows: list[Imported] = []
    shown = {EntryState.REFUSED, *([*EntryState] if dry_run or run.output.verbose else [])} - {EntryState.ALREADY}
    complete = False
    try:
        with run.output.progress("posts read") as reading:
            await job.read_history(reading.advance)
        with run.output.progress("entries imported", len(feed.entries)) as progress:
            async for done in job.run(feed.entries, dry_run=dry_run, limit=limit):
                progress.advance()
                if report is not None:
                    report.add(done)
                elif done.state in shown or (done.notes and done.state is EntryState.PUBLISHED):
                    rows.append(done)
        complete = True
    finally:
        if report is not None and (complete or job.counts):
            tail = {"repeated": feed.repeated, "warnings": feed.warnings, "counts": job.counts, "complete": complete}
            report.close(tail)
        _print_entries(run, rows)
    if report is None:
        run.output.line(_import_summary(job, feed))


def _print_entries(run: Run, rows: Sequence[Imported]) -> None:
    table = run.output.table(("seq", "state", "published", "title", "remark"))
    for row in rows:
        remarks = ["shortened"] if row.shortened else []
        remark = "; ".join([*remarks, *row.notes, *([row.reason] if row.reason else [])])
        table.add(row.ref.seq if row.ref else None, row.state, row.published, row.title, remark)
    table.close()


def _import_summary(job: FeedImport, feed: Feed) -> str:
    parts = [f"{count:,} {state.value}" for state, count in job.counts.items()]
    if job.shortened:
        parts.append(f"{job.shortened:,} of them shortened")
    if feed.repeated:
        parts.append(f"{len(feed.repeated):,} repeated in the feed")
    return f"{counted(len(feed.entries), 'entry', 'entries')}: {', '.join(parts) or 'nothing to do'}"


_AT = Annotated[
    str, typer.Option("--at", metavar="TIME", help="ISO 8601 with a zone: 2026-12-24T18:00+01:00, or with --zone.")
]
_ZONE = Annotated[
    str | None, typer.Option("--zone", metavar="NAME", help="Zone of a time without one, for example Europe/Berlin.")
]
_ID = Annotated[str, typer.Argument(metavar="ID", help="Id of the scheduled post, as posts scheduled shows it.")]
_DRAFT = Annotated[str, typer.Argument(metavar="ID", help="Id of the draft, as posts drafts shows it.")]
_SILENT = Annotated[bool, typer.Option("--silent", help="Do not count the post as unread.")]

SCHEDULED = ("id", "at", "channel", "state", "late", "content", "remark")
DRAFTS = ("id", "changed_at", "channel", "author", "content")


@command(
    app, "posts", "schedule",
    example='channel-adapter posts schedule harbor_news "Tide table for Sunday" --at 2026-12-24T18:00+01:00\n'
    'channel-adapter posts schedule harbor_news "Ferries today" --at 2026-12-24T06:30 --zone Europe/Berlin',
)  # fmt: skip
async def schedule(
    run: Run,
    channel: ChannelArgument,
    at: _AT,
    text: _TEXT = "",
    zone: _ZONE = None,
    images: _IMAGE = None,
    title: _TITLE = None,
    link: _LINK = None,
    location: _LOCATION = None,
    content: _CONTENT = None,
    author: _AUTHOR = None,
    idempotency_key: Annotated[str | None, typer.Option(help="Repeating with the same key schedules once.")] = None,
    silent: _SILENT = False,
) -> None:
    """Schedule a post: a worker publishes it at its time, once.

    The time lies within the next 366 days. `worker`, `webhooks serve` and `console` publish what is due; after a stop
    they send what is less than schedule.max_lateness late. Needs database_url.
    """
    time = _parse_time(at, zone)
    parts = _parse_content(text, images or [], title, link, location, content)
    async with run.adapter() as adapter:
        parts = await stored(adapter, parts, images or [])
        post = await adapter.posts.schedule(
            channel, parts, at=time, author=author, idempotency_key=idempotency_key, silent=silent
        )
        _print_scheduled(run, post)
        if not (await adapter.posts.schedule_status()).workers:
            run.output.note(
                "no process publishes scheduled posts yet: run `channel-adapter worker`; `webhooks serve` and `console`"
                " begin by themselves within seconds"
            )


@command(
    app, "posts", "scheduled",
    example="channel-adapter posts scheduled harbor_news\n"
    "channel-adapter posts scheduled --problems\n"
    "channel-adapter posts scheduled --acknowledge 5f1c09a3be72",
)  # fmt: skip
async def scheduled(
    run: Run,
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Slug or id; else all channels.")] = None,
    problems: Annotated[bool, typer.Option("--problems", help="Only failed, late and missed posts.")] = False,
    ended: Annotated[bool, typer.Option("--all", help="Published and cancelled ones of 30 days, too.")] = False,
    acknowledge: Annotated[
        list[str] | None, typer.Option("--acknowledge", metavar="ID", help="End the report of a problem; repeat it.")
    ] = None,
) -> Exit:
    """List scheduled posts by their times, with those that failed, are late or were missed.

    Exit code 1 with --problems if there are any. A problem is listed, and reported by doctor, until it is acknowledged.
    """
    async with run.adapter() as adapter:
        if acknowledge:
            await adapter.posts.acknowledge(acknowledge)
        with run.output.items(SCHEDULED, empty="no problem" if problems else "no post is scheduled") as listing:
            async for post in adapter.posts.scheduled(channel, problems=problems, ended=ended):
                remark = post.error or (f"number {post.ref.seq}" if post.ref else None)
                listing.add(
                    post, post.id, post.at, post.channel, post.state, post.late, describe(post.parts), remark
                )  # fmt: skip
    return Exit.REFUSED if problems and listing.count else Exit.DONE


@command(
    app, "posts", "reschedule", example="channel-adapter posts reschedule 5f1c09a3be72 --at 2026-12-25T09:00+01:00"
)
async def reschedule(run: Run, post_id: _ID, at: _AT, zone: _ZONE = None) -> None:
    """Change the time of a scheduled post, also of one that failed or was missed."""
    time = _parse_time(at, zone)
    async with run.adapter() as adapter:
        _print_scheduled(run, await adapter.posts.reschedule(post_id, time))


@command(app, "posts", "unschedule", example="channel-adapter posts unschedule 5f1c09a3be72")
async def unschedule(run: Run, post_id: _ID) -> None:
    """Cancel a scheduled post. One that is being sent, or was published, is refused."""
    async with run.adapter() as adapter:
        _print_scheduled(run, await adapter.posts.unschedule(post_id))


@command(app, "posts", "publish-now", example="channel-adapter posts publish-now 5f1c09a3be72")
async def publish_now(run: Run, post_id: _ID) -> Exit:
    """Publish a scheduled post immediately, once. If the service is not available, workers try again: exit code 7."""
    async with run.adapter() as adapter:
        return _print_scheduled(run, await adapter.posts.publish_now(post_id))


@command(app, "posts", "draft", example='channel-adapter posts draft harbor_news "Tide table for Sunday"')
async def draft(
    run: Run,
    channel: ChannelArgument,
    text: _TEXT = "",
    images: _IMAGE = None,
    title: _TITLE = None,
    link: _LINK = None,
    location: _LOCATION = None,
    content: _CONTENT = None,
    author: _AUTHOR = None,
    silent: _SILENT = False,
    replace: Annotated[str | None, typer.Option(metavar="ID", help="Replace this draft.")] = None,
) -> None:
    """Store a post without a time. Needs database_url."""
    parts = _parse_content(text, images or [], title, link, location, content)
    async with run.adapter() as adapter:
        parts = await stored(adapter, parts, images or [])
        saved = await adapter.posts.draft(channel, parts, author=author, silent=silent, replace=replace)
    run.output.one(saved, f"stored as draft {saved.id}")


@command(app, "posts", "drafts", example="channel-adapter posts drafts harbor_news")
async def drafts(
    run: Run,
    channel: Annotated[str | None, typer.Argument(metavar="CHANNEL", help="Slug or id; else all channels.")] = None,
) -> None:
    """List drafts, the oldest first."""
    async with run.adapter() as adapter:
        with run.output.items(DRAFTS, empty="there is no draft") as listing:
            async for saved in adapter.posts.drafts(channel):
                listing.add(saved, saved.id, saved.changed_at, saved.channel, saved.author, describe(saved.parts))


@command(
    app, "posts", "publish-draft",
    example="channel-adapter posts publish-draft 5f1c09a3be72\n"
    "channel-adapter posts publish-draft 5f1c09a3be72 --at 2026-12-24T18:00+01:00",
)  # fmt: skip
async def publish_draft(
    run: Run,
    draft_id: _DRAFT,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Schedule it instead; ISO 8601.")] = None,
    zone: _ZONE = None,
) -> Exit:
    """Publish a draft immediately, or schedule it with --at.

    The draft is gone then; repeating the command publishes nothing twice.
    """
    time = None if at is None else _parse_time(at, zone)
    async with run.adapter() as adapter:
        return _print_scheduled(run, await adapter.posts.publish_draft(draft_id, at=time))


@command(app, "posts", "discard-draft", example="channel-adapter posts discard-draft 5f1c09a3be72")
async def discard_draft(run: Run, draft_id: _DRAFT) -> None:
    """Delete a draft; one that is gone already is no error."""
    async with run.adapter() as adapter:
        discarded = await adapter.posts.discard_draft(draft_id)
    sentence = (
        f"draft {shown_text(draft_id)} is deleted" if discarded else f"draft {shown_text(draft_id)} was gone already"
    )
    run.output.one({"id": draft_id, "discarded": discarded}, sentence)


@command(app, "posts", "pin", example="channel-adapter posts pin harbor_news 12")
async def pin(run: Run, channel: ChannelArgument, seq: _SEQ) -> None:
    """Pin a post, for the app to show first; a channel has 10 pins. Pins are kept in database_url."""
    async with run.adapter() as adapter:
        ref = await _post_ref(adapter, channel, seq)
        changed = await adapter.posts.pin(ref)
    sentence = f"number {seq} of {ref.channel} is pinned" + ("" if changed else " already")
    run.output.one({"ref": ref, "pinned": True, "changed": changed}, sentence)


@command(app, "posts", "unpin", example="channel-adapter posts unpin harbor_news 12")
async def unpin(run: Run, channel: ChannelArgument, seq: _SEQ) -> None:
    """Unpin a post; one that is not pinned is no error."""
    async with run.adapter() as adapter:
        ref = await _post_ref(adapter, channel, seq)
        unpinned = await adapter.posts.unpin(ref)
    sentence = f"number {seq} of {ref.channel} is {'unpinned' if unpinned else 'not pinned'}"
    run.output.one({"ref": ref, "unpinned": unpinned}, sentence)


@command(app, "posts", "pinned", example="channel-adapter posts pinned harbor_news")
async def pinned(run: Run, channel: ChannelArgument) -> None:
    """List the pinned posts of a channel, the last pinned first."""
    async with run.adapter() as adapter:
        with run.output.items(COLUMNS, empty="no post is pinned") as listing:
            for post in await adapter.posts.pinned(channel):
                listing.add(post, *_post_row(post))


def _print_scheduled(run: Run, post: ScheduledPost) -> Exit:
    number = post.ref.seq if post.ref else None
    sentences = {
        ScheduleState.SCHEDULED: f"{post.id} is published in {post.channel} at {cell(post.at)}",
        ScheduleState.PUBLISHED: f"{post.id} is published as number {number} of {post.channel}",
        ScheduleState.CANCELLED: f"{post.id} is cancelled",
    }
    waits = post.state is ScheduleState.SCHEDULED and bool(post.error)
    sentence = sentences.get(post.state, f"{post.id} is {post.state.value}")
    if waits:
        sentence = f"{post.id} is not published yet: {post.error}; workers try again from {cell(post.retry_at)} on"
    run.output.one(post, sentence)
    return Exit.SERVICE if waits else Exit.DONE


def _parse_time(at: str, zone: str | None) -> datetime:
    """Parse --at with --zone. Raises UsageError."""
    try:
        found = datetime.fromisoformat(at)
    except ValueError:
        raise UsageError(
            f"--at must be a time like 2026-12-24T18:00+01:00; got {shown_value(at)}", field="at"
        ) from None
    if found.tzinfo is not None:
        return found
    if zone is None:
        raise UsageError(
            f"--at {shown_text(at)} has no time zone: add Z or an offset like +01:00, or name one with"
            " --zone Europe/Berlin",
            field="at",
        )
    try:
        return found.replace(tzinfo=to_zone(zone))
    except InvalidError:
        raise UsageError(
            f"--zone {shown_text(zone)} is not a time zone that this machine knows", field="zone"
        ) from None


def _parse_content(
    text: str, images: Sequence[str], title: str | None, link: str | None, location: str | None, content: str | None
) -> Content | list[Content]:
    given = [*(("image", url) for url in images), ("title", title), ("link", link), ("location", location)]
    for name, value in given:
        if value == "":
            raise UsageError(f"--{name} is empty; leave it out", field=name)
    if content is not None:
        if any((text, images, title, link, location)):
            raise UsageError("--content stands alone, without text and the other options", field="content")
        return from_json(content)
    body = read_text(STDIN, "text") if text == STDIN else text
    return from_options(body, images, title or "", link or "", location or "")


async def _post_ref(adapter: "ChannelAdapter", channel: str, seq: int) -> PostRef:
    """Return the reference of a post; the channel may be given by slug."""
    return PostRef((await adapter.channels.get(channel)).id, seq)


def _post_row(post: Post) -> tuple[object, ...]:
    content = describe(post.parts) if post.state is PostState.PUBLISHED else None
    return post.ref.seq, post.published_at, post.author, post.state, content


def from_options(text: str, images: Sequence[str], title: str, link: str, location: str) -> Content | list[Content]:
    """Return the content that the options name: an article, a place, or a text with any number of pictures below it.

    Raises UsageError for options that do not go together, and for none at all.
    """
    if title:
        if location:
            raise UsageError(
                "--title makes an article, which has no --location; use --content for parts", field="location"
            )
        if len(images) > 1:
            raise UsageError(f"--title makes an article, which has one --image, not {len(images)}", field="image")
        return p.Article(title=title, text=text, link=link, image_url=images[0] if images else "")
    if link:
        raise UsageError("--link belongs to an article; give a --title too", field="link")
    if location:
        if images:
            raise UsageError("--location and --image do not go together; use --content for parts", field="image")
        return _parse_location(location, text)
    pictures = [p.Image(url) for url in images]
    if not text.strip():
        if not pictures:
            raise UsageError("there is no content: give TEXT, --image, --title, --location or --content", field="text")
        return list(pictures)
    if not pictures:
        return p.Text(text)
    return p.TextAndImage(text, pictures[0]) if len(pictures) == 1 else [p.Text(text), *pictures]


async def stored(
    adapter: "ChannelAdapter", content: Content | list[Content], images: Sequence[str], *, dry_run: bool = False
) -> Content | list[Content]:
    """Return the content with addresses in place of files, which are stored; not with `dry_run`."""
    local = [image for image in dict.fromkeys(images) if "://" not in image]
    if not local:
        return content
    media = adapter.media
    found = {image: await (media.inspect(image) if dry_run else media.add(image)) for image in local}
    if isinstance(content, list):
        return [_replace_picture(part, found) for part in content]
    return _replace_picture(content, found)


def _replace_picture(part: Content, found: Mapping[str, p.Image]) -> Content:
    if isinstance(part, p.Image):
        return found.get(part.url, part)
    if isinstance(part, p.TextAndImage):
        return dataclasses.replace(part, image=found.get(part.image.url, part.image))
    if isinstance(part, p.Article) and (image := found.get(part.image_url)) is not None:
        return dataclasses.replace(part, image_url=image.url, image_width=image.width, image_height=image.height)
    return part


def from_json(text: str) -> list[Content]:
    """Read a part or an array of parts, as `posts show --json` prints them. Raises UsageError."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as wrong:
        raise UsageError(f"--content is not JSON: {wrong}", field="content") from None
    with read_option():
        return parts_of(value, "--content")


def describe(parts: tuple[Content, ...]) -> str:
    """Return the parts of a post on one line."""
    return " + ".join(_describe_part(part) for part in parts)


def _parse_location(location: str, description: str) -> p.Location:
    try:
        latitude, longitude = (float(part) for part in location.split(","))
    except ValueError:
        raise UsageError(
            f"--location must be LATITUDE,LONGITUDE in degrees; got {shown_value(location)}", field="location"
        ) from None
    return p.Location(latitude, longitude, description)


def _describe_part(part: Content) -> str:
    match part:
        case p.Text(text=text):
            return text
        case p.Article(title=title, link=link):
            return f"article: {title}" + (f" <{link}>" if link else "")
        case p.TextAndImage(text=text, image=image):
            return f"{text} + image <{image.url}>"
        case p.Location(latitude=latitude, longitude=longitude, description=description):
            return f"location: {latitude}, {longitude} {description}".rstrip()
        case p.Face(index=index):
            return f"face: {index}"
        case p.Custom(data=data) | p.Unrecognised(data=data):
            return f"{part.kind}: {data}"
    return f"{part.kind}: <{part.url}>"
