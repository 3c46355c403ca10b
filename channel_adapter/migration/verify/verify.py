"""Source and target, read afresh and compared: every profile field, post and subscriber. The journal is not asked.

A channel is worked on in a temporary file of its own, so memory does not grow with its people. Errors of the network
end it; what the service refuses to show of one channel is a finding.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from channel_adapter.backends.caller import ApiCaller
from channel_adapter.backends.community import profile as channel_group
from channel_adapter.backends.community.tag import Tag
from channel_adapter.concurrency.batching import batches, concurrently
from channel_adapter.concurrency.clock import Clock
from channel_adapter.config.extras import needs_store
from channel_adapter.errors import ChannelAdapterError, ConfigurationError
from channel_adapter.mapping.subscription_member import SUBSCRIBER_FIELDS
from channel_adapter.migration.bounded import bounded
from channel_adapter.migration.budget import TRANSIENT, Allowance
from channel_adapter.migration.plan.document import Plan, PlannedChannel, check_app
from channel_adapter.migration.plan.resolutions import PROFILE_LOSSES, Loss
from channel_adapter.migration.plan.transform import post_number
from channel_adapter.migration.source_reading import every_subscriber, present_channels
from channel_adapter.migration.sources.source import Source, SourceChannel, SourceKind, SourcePost
from channel_adapter.migration.target import member_pages, message_pages, read_groups
from channel_adapter.migration.verify.compare import (
    Kept,
    Life,
    Terms,
    canonical,
    compare_person,
    compare_post,
    compare_profile,
    extra_person,
    extra_post,
    missing_person,
)
from channel_adapter.migration.verify.findings import (
    EVERY,
    NOTHING_ACCEPTED,
    Accepted,
    Finding,
    Mark,
    Tally,
    Verdict,
    What,
)
from channel_adapter.migration.verify.scratch import HeldPost, Ledger
from channel_adapter.tencent import limits
from channel_adapter.tencent.notify import Notifier
from channel_adapter.tencent.wire import groups, members, messages

if TYPE_CHECKING:
    from channel_adapter.migration.facade import Migration
    from channel_adapter.store.migration import KeptOriginals

CHANNELS_AT_ONCE: Final = 8
"""Channels that are compared at a time; each reads its people and its posts side by side."""
_POSTS_AT_ONCE: Final = 50
_PROFILE, _POSTS, _PEOPLE = range(3)
_PART: Final = {What.PROFILE: _PROFILE, What.POST: _POSTS, What.SUBSCRIBER: _PEOPLE}

Tell = Callable[[str, int], None]
"""Hears of progress: what was compared ("channels", "posts", "people"), and how many more."""
Write = Callable[[Finding], None]

NOT_COMPARED: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.ACCOUNTS: ("unread counts: no call tells how far a subscriber of an official account has read",),
    SourceKind.FILES: (),
}
_MEMBER_FIELDS: Final[Mapping[SourceKind, tuple[str, ...]]] = {
    SourceKind.ACCOUNTS: SUBSCRIBER_FIELDS,
    SourceKind.FILES: (*SUBSCRIBER_FIELDS, "MsgSeq"),
}

POST_KEPT, PERSON_KEPT = "post", "subscriber"
"""Kinds of originals in the database."""


def silent(what: str, count: int) -> None:
    """For those who do not listen."""


def unwritten(finding: Finding) -> None:
    """For those who want the verdict alone."""


async def verify(
    migration: "Migration", plan: Plan, *, allowance: Allowance | None = None, life: Mapping[str, Life] | None = None,
    accepted: Accepted = NOTHING_ACCEPTED, write: Write = unwritten, tell: Tell = silent,
) -> Verdict:  # fmt: skip
    """Compare everything; `write` gets every finding, channel by channel in the order of the plan.

    `life`, by source id: channels whose posting has moved, where people and posts of their own are to be expected.
    `accepted`: findings that somebody has looked at. Raises InvalidError for a plan of another app, Stopped at the end
    of the allowance, and whatever makes source or target fail.
    """
    check_app(plan, migration.settings.sdkappid, "this")
    migration = bounded(migration, allowance)
    verdict = Verdict(plan.migration, migration.clock.now(), NOT_COMPARED[plan.source.kind])
    async with migration.source(plan.source) as source, _originals(migration, plan) as kept:
        tell = Notifier("tell", tell)
        verifier = _Verifier(migration.gateway, migration.clock, plan, source, kept, life or {}, accepted, tell)
        at_once = min(CHANNELS_AT_ONCE, migration.settings.concurrency)
        done = concurrently(verifier.sightings(migration), verifier.channel, limit=at_once, ordered=True)
        async with aclosing(done) as ledgers:
            async for id_, tally, ledger in ledgers:
                with ledger:
                    verdict.channels[id_] = tally
                    for finding in ledger.findings():
                        write(finding)
                        verdict.name(finding)
                tell("channels", 1)
    return verdict


@asynccontextmanager
async def _originals(migration: "Migration", plan: Plan) -> "AsyncIterator[KeptOriginals | None]":
    """What the policy `store` has kept; None where no policy does."""
    if not plan.chosen.stores:
        yield None
        return
    url = migration.settings.database_url
    if url is None:
        raise ConfigurationError(
            "the plan keeps originals in the adapter's database: set database_url", field="database_url"
        )
    with needs_store(url.get_secret_value()):
        from channel_adapter.store.database import Database  # noqa: PLC0415 - an extra
        from channel_adapter.store.migration import KeptOriginals  # noqa: PLC0415
    kept = KeptOriginals(Database.shared(url.get_secret_value()))
    try:
        yield kept
    finally:
        await kept.close()


@dataclass(frozen=True, slots=True)
class _Sight:
    """A channel on both sides, as far as it is there."""

    planned: PlannedChannel
    source: SourceChannel | None
    info: groups.GroupInfo | None


@dataclass(slots=True)
class _Work:
    """One channel under comparison."""

    terms: Terms
    ledger: Ledger
    accepted: Accepted
    tally: Tally = field(default_factory=Tally)
    staff: frozenset[str] = frozenset()
    admins: list[str] | None = None

    def note(self, findings: Sequence[Finding]) -> None:
        """Keep and count."""
        for finding in map(self.accepted.judged, findings):
            self.tally.add(finding)
            self.ledger.note(_PART[finding.what], [finding])


class _Verifier:
    """Compares the channels of one plan."""

    def __init__(
        self,
        gateway: ApiCaller,
        clock: Clock,
        plan: Plan,
        source: Source,
        kept: "KeptOriginals | None",
        life: Mapping[str, Life],
        accepted: Accepted,
        tell: Tell,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._plan = plan
        self._target = plan.limits.target()
        self._source = source
        self._kept = kept
        self._life = life
        self._accepted = accepted
        self._tell = tell

    async def sightings(self, migration: "Migration") -> AsyncGenerator[_Sight, None]:
        """Every channel of the plan, 50 read at a time."""
        now = await present_channels(migration, self._plan, self._source)
        async with aclosing(batches(self._plan.channels, limits.GROUP_INFO_PER_CALL)) as parts:
            async for part in parts:
                infos = await read_groups(self._gateway, [each.target.channel for each in part], self._target.keys)
                for planned in part:
                    yield _Sight(planned, now.get(planned.source.id), infos.get(planned.target.channel))

    async def channel(self, sight: _Sight) -> tuple[str, Tally, Ledger]:
        """Compare one; the ledger is for the caller to close."""
        planned, info = sight.planned, sight.info
        tag = channel_group.tag_of(channel_group.fields_of(info), self._target.keys) if info else None
        life = self._life.get(planned.source.id, Life())
        born = (info.create_time if info else None) or planned.target.created_at or 0
        now = int(self._clock.now())
        last = max(0, (info.next_msg_seq or 1) - 1) if info else 0
        terms = Terms(planned, self._plan.migration, self._target, self._plan.chosen, born, now, life, last)
        with ExitStack() as stack:
            work = _Work(terms, stack.enter_context(Ledger()), self._accepted)
            if sight.source is not None:
                work.staff = frozenset({planned.target.owner, *sight.source.admins})
            if sight.source is None:
                explained = "removed by the cutover" if life.destroyed else ""
                gone = terms.finding(What.PROFILE, "channel", Mark.UNREADABLE, reason="gone at the source",
                                     explained=explained)  # fmt: skip
                work.note([gone])
            else:
                await self._compare(work, sight.source, info, tag)
            stack.pop_all()
        return planned.source.id, work.tally, work.ledger

    async def _compare(
        self, work: _Work, source: SourceChannel, info: groups.GroupInfo | None, tag: Tag | None
    ) -> None:
        ours = info is not None and tag is not None and tag.migration == self._plan.migration
        if info is None or tag is None or not ours:
            work.note([_not_ours(work.terms, info, tag)])
        parts = (self._posts, self._people)
        side_by_side = concurrently(parts, lambda part: part(work, ours), limit=len(parts))
        async with aclosing(side_by_side) as ended:
            async for _ in ended:
                continue
        if info is not None and tag is not None and ours:
            channel = channel_group.to_channel(
                work.terms.channel.target.channel, info, channel_group.fields_of(info), self._target.keys
            )
            kept = await self._kept_texts(work.terms)
            work.note(list(compare_profile(work.terms, source, channel, tag, work.admins, kept)))

    async def _kept_texts(self, terms: Terms) -> dict[Loss, Kept]:
        if self._kept is None:
            return {}
        channel = terms.channel.target.channel
        return {loss: await self._kept.of(channel, loss.value, [""]) for loss in PROFILE_LOSSES}

    async def _originals(self, terms: Terms, what: str, keys: Sequence[str]) -> dict[str, str]:
        if self._kept is None or not keys:
            return {}
        return await self._kept.of(terms.channel.target.channel, what, keys)

    # Posts

    async def _posts(self, work: _Work, ours: bool) -> None:
        if ours:
            await _guarded(work, What.POST, "the target", self._read_history(work))
        await _guarded(work, What.POST, "the source", self._compare_posts(work))

    async def _read_history(self, work: _Work) -> None:
        channel = work.terms.channel.target.channel
        async with aclosing(message_pages(self._gateway, channel)) as pages:
            async for page in pages:
                work.ledger.add_posts(self._held(message, work.terms) for message in page)

    def _held(self, message: messages.HistoryMessage, terms: Terms) -> HeldPost:
        number: int | None = None
        if not message.is_system_msg:
            random = message.msg_random or 0
            number = post_number(terms.migration, terms.channel.target.channel, random)
        body = canonical(message.msg_body)
        return HeldPost(
            message.msg_seq, number, message.msg_time_stamp, message.is_place_msg, message.from_account, body
        )

    async def _compare_posts(self, work: _Work) -> None:
        latest = 0
        async with aclosing(batches(self._source.posts(work.terms.id), _POSTS_AT_ONCE)) as parts:
            async for part in parts:
                latest = await self._compare_some(work, part, latest)
                self._tell("posts", len(part))
        numbers: set[int] = set()
        if any(True for _ in work.ledger.posts_left()):
            async for post in self._source.posts_any_order(work.terms.id):
                numbers.add(post.number)
        for held in work.ledger.posts_left():
            work.note([extra_post(work.terms, held, held.number in numbers)])

    async def _compare_some(self, work: _Work, posts: Sequence[SourcePost], latest: int) -> int:
        """Compare these; the number on the target of the latest of them that is there."""
        kept = await self._originals(work.terms, POST_KEPT, [post.key for post in posts])
        for post in posts:
            held = work.ledger.take_post(post.number)
            in_order = held is None or held.seq > latest
            latest = max(latest, held.seq if held else 0)
            work.note([compare_post(work.terms, post, held, kept.get(post.key), in_order=in_order)])
        return latest

    # People

    async def _people(self, work: _Work, ours: bool) -> None:
        await _guarded(work, What.SUBSCRIBER, "the source", self._read_people(work))
        if ours:
            await _guarded(work, What.SUBSCRIBER, "the target", self._compare_members(work))
        for people in work.ledger.people_left():
            work.note([missing_person(work.terms, person) for person in people])
            self._tell("people", len(people))

    async def _read_people(self, work: _Work) -> None:
        """All but the owner."""
        owner = work.terms.channel.target.owner
        async with aclosing(every_subscriber(self._source, work.terms.id)) as pages:
            async for people in pages:
                work.ledger.add_people(person for person in people if person.user != owner)

    async def _compare_members(self, work: _Work) -> None:
        admins: list[str] = []
        fields = _MEMBER_FIELDS[self._plan.source.kind]
        async with aclosing(member_pages(self._gateway, work.terms.channel.target.channel, fields)) as pages:
            async for page in pages:
                ordinary = [member for member in page if member.role != members.OWNER]
                admins += [member.member_account for member in ordinary if member.role == members.ADMIN]
                await self._compare_page(work, ordinary)
                self._tell("people", len(ordinary))
        work.admins = sorted(set(admins))

    async def _compare_page(self, work: _Work, page: Sequence[members.Member]) -> None:
        terms = work.terms
        people = work.ledger.take_people([member.member_account for member in page])
        with_data = [person.user for person, _ in people.values() if person.custom_data]
        kept = await self._originals(terms, PERSON_KEPT, with_data)
        for member in page:
            user = member.member_account
            person, seen = people.get(user, (None, False))
            if person is not None and not seen:
                work.note([compare_person(terms, person, member, kept.get(user))])
            elif person is None and user not in work.staff and work.ledger.is_new(user):
                work.note([extra_person(terms, member)])


async def _guarded(work: _Work, what: What, side: str, reading: Awaitable[None]) -> None:
    """Carry out; what is refused for good is a finding and no failure."""
    try:
        await reading
    except TRANSIENT:
        raise
    except ChannelAdapterError as error:
        reason = f"{side} does not show them: {error.message}"
        work.note([work.terms.finding(what, EVERY, Mark.UNREADABLE, reason=reason)])


def _not_ours(terms: Terms, info: groups.GroupInfo | None, tag: Tag | None) -> Finding:
    """There is no group at the id, or somebody else's."""
    if info is None:
        return terms.finding(What.PROFILE, "channel", Mark.MISSING, reason="there is no such group")
    whose = "a group that is no channel" if tag is None else f"a channel of {tag.migration or 'no migration'}"
    return terms.finding(What.PROFILE, "channel", Mark.MISSING, reason=f"{whose} stands there, {info.name!r}")
