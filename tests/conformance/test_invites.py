"""Invitations: exact number of uses, states, and returned uses."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import segno
from pydantic import SecretStr

from channel_adapter import (
    ChannelAdapter,
    ConfigurationError,
    InvalidError,
    Invitation,
    InvitationState,
    LimitReachedError,
    NotFoundError,
    OutcomeKind,
    OutcomeUnknownError,
    PermissionDeniedError,
    RefusedError,
    Settings,
    UnavailableError,
)
from channel_adapter.config.settings import InviteSettings
from channel_adapter.domain.mode import Mode
from channel_adapter.stub.faults.faults import Fault
from channel_adapter.stub.server import StubServer
from channel_adapter.stub.settings import StubSettings
from tests.conformance.conftest import KEYS, OWNER, READERS, settings_for

ANN, BEN, EVE, *_ = READERS
NEWS = "harbor_news"


@dataclass
class Town:
    """A channel, an adapter with a database, and the settings for other adapters."""

    adapter: ChannelAdapter
    server: StubServer
    settings: Settings

    async def create(self, **terms: Any) -> Invitation:
        return await self.adapter.invites.create(NEWS, **terms)

    async def accept(self, invitation: Invitation, user: str) -> OutcomeKind:
        return (await self.adapter.invites.accept(invitation.code, user=user)).kind

    async def uses(self, invitation: Invitation) -> int:
        return {each.id: each.uses async for each in self.adapter.invites.list()}[invitation.id]

    @property
    def adding(self) -> str:
        """The command that subscribes users."""
        return "add_subscriber" if self.settings.mode is Mode.OFFICIAL else "add_group_member"

    async def members(self) -> set[str]:
        return {row.user async for row in self.adapter.subscriptions.subscribers(NEWS)}


STORES = ["SQLite", "PostgreSQL"]
OFFICIAL = "SQLite, official mode"
in_both_modes = pytest.mark.parametrize("town", [*STORES, OFFICIAL], indirect=True)


@pytest.fixture(params=STORES)
async def town(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Town]:
    postgres = request.param == "PostgreSQL"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'app.db'}"
    async with StubServer(StubSettings.model_validate({"app": {"group_fields": KEYS}})) as server:
        link = InviteSettings(link_template="https://example.org/{slug}/join?c={code}")
        mode = Mode.OFFICIAL if request.param == OFFICIAL else Mode.COMMUNITY
        changes = {"database_url": SecretStr(url), "invites": link, "mode": mode}
        settings = settings_for(server).model_copy(update=changes)
        async with ChannelAdapter.open(settings) as adapter:
            await adapter.accounts.add([OWNER, *READERS])
            await adapter.channels.create(slug=NEWS, name="Harbour News", owner=OWNER)
            yield Town(adapter, server, settings)


@in_both_modes
async def test_invitation_subscribes_up_to_its_maximum_of_users(town: Town) -> None:
    invitation = await town.create(max_uses=2, expires=timedelta(days=1))
    assert re.fullmatch(r"[a-z2-7]{26}", invitation.code)
    assert invitation.link == f"https://example.org/{NEWS}/join?c={invitation.code}"
    assert invitation.code not in repr(invitation)
    assert await town.accept(invitation, ANN) is OutcomeKind.ADDED
    assert await town.accept(invitation, ANN) is OutcomeKind.ALREADY
    if town.settings.mode is Mode.OFFICIAL:  # the owner of an official account is no subscriber of it
        await town.adapter.subscriptions.subscribe(NEWS, [OWNER])
    assert await town.accept(invitation, OWNER) is OutcomeKind.ALREADY, "a subscribed user uses up nothing"
    assert await town.uses(invitation) == 1
    assert await town.accept(invitation, BEN) is OutcomeKind.ADDED
    with pytest.raises(LimitReachedError, match="is used up"):
        await town.accept(invitation, EVE)
    assert await town.accept(invitation, BEN) is OutcomeKind.ALREADY
    await town.adapter.subscriptions.unsubscribe(NEWS, [BEN])
    assert await town.accept(invitation, BEN) is OutcomeKind.ADDED, "the use of a user stays that user's"
    assert await town.members() - {OWNER} == {ANN, BEN}
    (listed,) = [each async for each in town.adapter.invites.list(NEWS)]
    assert (listed.id, listed.uses, listed.max_uses, listed.code, listed.link) == (invitation.id, 2, 2, "", "")
    assert listed.state is InvitationState.USED_UP
    assert listed.expires_at == invitation.expires_at


@in_both_modes
async def test_invalid_invitation_is_refused_with_its_reason(town: Town) -> None:
    for wrong in ("A" * 22, "", "short", "A" * 21 + "!", None):
        with pytest.raises(NotFoundError, match="there is no invitation with this code") as refused:
            await town.adapter.invites.accept(wrong, user=ANN)  # type: ignore[arg-type]
        assert refused.value.field == "code"
    revoked = await town.create()
    assert await town.adapter.invites.revoke(revoked.id)
    assert not await town.adapter.invites.revoke(revoked.code)
    with pytest.raises(PermissionDeniedError, match="was revoked"):
        await town.accept(revoked, ANN)
    for wrong in ("inv_unknown", "inv_0123456789abcdef", "a\0b"):
        with pytest.raises(NotFoundError, match="no such invitation"):
            await town.adapter.invites.revoke(wrong)
    expired = await town.create(expires=datetime.now(UTC) + timedelta(seconds=0.2))
    await asyncio.sleep(0.3)
    with pytest.raises(PermissionDeniedError, match="has expired"):
        await town.accept(expired, ANN)
    states = {each.id: each.state async for each in town.adapter.invites.list()}
    assert states == {revoked.id: InvitationState.REVOKED, expired.id: InvitationState.EXPIRED}
    assert await town.members() == set()


@in_both_modes
async def test_failed_subscription_returns_the_use(town: Town) -> None:
    invitation = await town.create(max_uses=1)
    with pytest.raises(NotFoundError, match="'ghost' is not an account of the app"):
        await town.accept(invitation, "ghost")
    await town.adapter.channels.block(NEWS, [ANN])
    with pytest.raises(RefusedError, match="blocked in this channel"):
        await town.accept(invitation, ANN)
    await town.adapter.channels.suspend(NEWS)
    with pytest.raises(RefusedError, match="suspended"):
        await town.accept(invitation, BEN)
    await town.adapter.channels.resume(NEWS)
    hasty = town.settings.model_copy(update={"total_seconds": 0.5, "call_seconds": 0.2})
    async with ChannelAdapter.open(hasty) as adapter:
        town.server.faults.replace([Fault(command=town.adding, drop=True, applied=False)])
        with pytest.raises((OutcomeUnknownError, UnavailableError)):
            await adapter.invites.accept(invitation.code, user=BEN)
        assert await town.uses(invitation) == 0
        town.server.faults.replace([])
    assert await town.accept(invitation, BEN) is OutcomeKind.ADDED
    with pytest.raises(LimitReachedError):
        await town.accept(invitation, EVE)


@in_both_modes
async def test_subscription_with_lost_answer_uses_the_invitation(town: Town) -> None:
    invitation = await town.create(max_uses=1)
    hasty = town.settings.model_copy(update={"total_seconds": 0.5, "call_seconds": 0.2})
    async with ChannelAdapter.open(hasty) as adapter:
        town.server.faults.replace([Fault(command=town.adding, drop=True, applied=True)])
        assert (await adapter.invites.accept(invitation.code, user=BEN)).kind is OutcomeKind.ADDED
        town.server.faults.replace([])
    assert await town.members() == {BEN}
    with pytest.raises(LimitReachedError):
        await town.accept(invitation, EVE)


@in_both_modes
async def test_repeated_call_after_a_lost_answer_uses_the_invitation(town: Town) -> None:
    """The second attempt finds the user subscribed, by the first one."""
    invitation = await town.create(max_uses=1)
    town.server.faults.replace([Fault(command=town.adding, nth=(1,), drop=True, applied=True)])
    assert await town.accept(invitation, BEN) is OutcomeKind.ADDED
    assert await town.uses(invitation) == 1
    with pytest.raises(LimitReachedError):
        await town.accept(invitation, EVE)
    assert await town.members() == {BEN}


async def test_concurrent_acceptance_by_four_adapters_uses_invitation_exactly(town: Town) -> None:
    """All users accept concurrently: one appears twice; one blocked and one unknown user return their uses."""
    invitation = await town.create(max_uses=20)
    await town.adapter.channels.block(NEWS, [ANN])
    users = [ANN, "ghost", BEN, BEN, *READERS[2:]]

    async def accept(adapter: ChannelAdapter, user: str) -> object:
        try:
            return (await adapter.invites.accept(invitation.code, user=user)).kind
        except (LimitReachedError, NotFoundError, RefusedError) as error:
            return type(error)

    async with (
        ChannelAdapter.open(town.settings) as second,
        ChannelAdapter.open(town.settings) as third,
        ChannelAdapter.open(town.settings) as fourth,
    ):
        adapters = [town.adapter, second, third, fourth]
        calls = [accept(adapters[number % 4], user) for number, user in enumerate(users)]
        results = await asyncio.gather(*calls)
    assert len(await town.members()) == 20
    assert await town.uses(invitation) == 20
    assert results[0] in (RefusedError, LimitReachedError)
    assert results[1] in (NotFoundError, LimitReachedError)
    assert {each for each in results if isinstance(each, OutcomeKind)} <= {OutcomeKind.ADDED, OutcomeKind.ALREADY}


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": True}, "max_uses"),
        ({"max_uses": "3"}, "max_uses"),
        ({"expires": datetime.now(UTC) - timedelta(seconds=1)}, "expires"),
        ({"expires": datetime(2030, 1, 1)}, "expires"),  # noqa: DTZ001 - without a zone on purpose
        ({"expires": timedelta(0)}, "expires"),
        ({"expires": timedelta.max}, "expires"),
        ({"expires": datetime.max.replace(tzinfo=UTC)}, "expires"),
        ({"expires": "7d"}, "expires"),
    ],
)
async def test_invalid_invitation_terms_are_named(town: Town, terms: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidError) as refused:
        await town.create(**terms)
    assert refused.value.field == field
    if terms == {"max_uses": 0}:
        assert (refused.value.limit, refused.value.size) == (1_000_000_000, 0)
    assert [each async for each in town.adapter.invites.list()] == []


def modules(image: str) -> set[tuple[int, int]]:
    """Return column and row of each dark module of a QR code that is drawn with horizontal strokes."""
    (path,) = re.findall(r'd="M4 4\.5([^"]+)"', image)
    found, x, y = set(), 0, 0
    for move, first, second in re.findall(r"([hm])(-?\d+)(?: (-?\d+))?", f"m0 0{path}"):
        if move == "h":
            found |= {(x + step, y) for step in range(int(first))}
        x, y = x + int(first), y + int(second or 0)
    return found


async def test_qr_code_is_svg_of_the_link_and_needs_a_new_invitation(town: Town) -> None:
    invitation = await town.create()
    image = town.adapter.invites.qr(invitation)
    assert image.startswith("<svg ")
    expected = segno.make_qr(invitation.link).matrix
    assert modules(image) == {(x, y) for y, row in enumerate(expected) for x, dark in enumerate(row) if dark}
    (listed,) = [each async for each in town.adapter.invites.list()]
    with pytest.raises(InvalidError, match="known only when it is created"):
        town.adapter.invites.qr(listed)
    assert modules(image) != modules(town.adapter.invites.qr(await town.create()))
    wrong: Any
    for wrong in (0, -1, 1_001, True, "8", float("nan")):
        with pytest.raises(InvalidError, match="scale must be 1 to 1,000; got"):
            town.adapter.invites.qr(invitation, scale=wrong)
    async with ChannelAdapter.open(town.settings.model_copy(update={"invites": InviteSettings()})) as plain:
        unlinked = await plain.invites.create(NEWS)
        assert unlinked.link == ""
        expected = segno.make_qr(unlinked.code).matrix
        dark_modules = {(x, y) for y, row in enumerate(expected) for x, dark in enumerate(row) if dark}
        assert modules(plain.invites.qr(unlinked)) == dark_modules


@in_both_modes
async def test_deleted_channel_has_no_invitations(town: Town) -> None:
    invitation = await town.create()
    await town.adapter.channels.delete(NEWS)
    assert [each async for each in town.adapter.invites.list()] == []
    with pytest.raises(NotFoundError):
        await town.accept(invitation, ANN)
    with pytest.raises(NotFoundError):
        await town.create()


async def test_invitations_need_a_database(town: Town) -> None:
    async with ChannelAdapter.open(settings_for(town.server)) as plain:
        for call in (plain.invites.create(NEWS), plain.invites.accept("A" * 22, user=ANN), plain.invites.revoke("x")):
            with pytest.raises(ConfigurationError, match="set database_url"):
                await call


@pytest.mark.parametrize(
    "template", ["https://example.org/join", "{code}{code}", "https://example.org/{code}/{user}", "{code}", ""]
)
def test_link_template_without_its_code_is_refused(template: str) -> None:
    with pytest.raises(ConfigurationError, match="link_template"):
        Settings.load(None, sdkappid=1, key="k", region="seoul", invites={"link_template": template})
