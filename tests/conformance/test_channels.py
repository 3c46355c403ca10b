"""Creating, reading, updating and deleting channels on every server."""

import pytest

from channel_adapter import ChannelId, ConflictError, InvalidError, NotFoundError, Role
from tests.conformance.conftest import OWNER, READERS, Setting, community_only

NAME = "港口新闻 🚢 Harbour News"
INTRODUCTION = "Tides, ferries and the fish market. 潮汐、渡轮与鱼市。" + "🐟" * 70
CUSTOM_DATA = '{"theme":"海蓝","tabs":[' + ",".join(f'"第{n}栏"' for n in range(230)) + "]}"


async def create(setting: Setting, **changes: str) -> ChannelId:
    values = {"name": NAME, "owner": OWNER, "slug": setting.slug} | changes
    channel = await setting.adapter.channels.create(**values)  # type: ignore[arg-type]
    return channel.id


async def test_channel_is_created_complete_and_reads_back(setting: Setting) -> None:
    notification = "北风" if setting.adapter.can.notification_text else ""
    created = await setting.adapter.channels.create(
        slug=setting.slug,
        name=NAME,
        owner=OWNER,
        introduction=INTRODUCTION,
        notification=notification,
        avatar="https://static.example.org/harbour.png",
        organization="港务局 Harbour Office",
        custom_data=CUSTOM_DATA,
    )
    read = await setting.adapter.channels.get(setting.slug)
    assert read == created
    assert read.complete
    assert (read.name, read.introduction, read.notification) == (NAME, INTRODUCTION, notification)
    assert (read.organization, read.custom_data) == ("港务局 Harbour Office", CUSTOM_DATA)
    assert (read.owner, read.subscriber_count) == (OWNER, 0)
    assert read.created_at is not None
    assert read.created_at.tzinfo is not None
    assert await setting.adapter.channels.exists(setting.slug)


async def test_repeated_creation_with_same_values_returns_existing_channel(setting: Setting) -> None:
    await create(setting)
    again = await setting.adapter.channels.create(slug=setting.slug, name=NAME, owner=OWNER)
    assert again == await setting.adapter.channels.get(setting.slug)


async def test_repeated_creation_with_other_values_raises_conflict_and_changes_nothing(setting: Setting) -> None:
    await create(setting)
    before = await setting.adapter.channels.get(setting.slug)
    with pytest.raises(ConflictError, match="another name"):
        await create(setting, name="Another")
    with pytest.raises(ConflictError, match="another owner"):
        await create(setting, owner=READERS[0])
    assert await setting.adapter.channels.get(setting.slug) == before


async def test_idempotency_key_identifies_channel_without_slug(setting: Setting) -> None:
    channels = setting.adapter.channels
    first = await channels.create(name=NAME, owner=OWNER, idempotency_key=setting.slug)
    again = await channels.create(name=NAME, owner=OWNER, idempotency_key=setting.slug)
    other = await channels.create(name=NAME, owner=OWNER)
    assert first == again
    assert other.id != first.id
    assert await channels.delete(first.id)
    assert await channels.delete(other.id)


@community_only
async def test_plain_community_is_not_adopted_read_changed_or_deleted(setting: Setting) -> None:
    group = f"@TGS#_{setting.slug}"
    body = {"Type": "Community", "GroupId": group, "Name": "A plain Community", "Owner_Account": OWNER}
    await setting.adapter.call("group_open_http_svc", "create_group", body)
    try:
        with pytest.raises(ConflictError, match="no channel"):
            await create(setting)
        for attempt in (
            setting.adapter.channels.get(group),
            setting.adapter.channels.update(group, name="x"),
            setting.adapter.channels.delete(group),
            setting.adapter.subscriptions.count(group),
        ):
            with pytest.raises(NotFoundError):
                await attempt
        with pytest.raises(NotFoundError):
            await setting.adapter.subscriptions.subscribe(group, READERS[:1])
        assert not await setting.adapter.channels.exists(group)
        answer = await setting.adapter.call("group_open_http_svc", "get_group_info", {"GroupIdList": [group]})
        assert answer["GroupInfo"][0]["Name"] == "A plain Community"
        assert answer["GroupInfo"][0]["MemberNum"] == 1
    finally:
        await setting.adapter.call("group_open_http_svc", "destroy_group", {"GroupId": group})


async def test_update_changes_given_fields_only(setting: Setting) -> None:
    channel = await create(setting, introduction="old", custom_data=CUSTOM_DATA, organization="Office")
    updated = await setting.adapter.channels.update(channel, introduction="new", custom_data="short", organization="")
    assert (updated.introduction, updated.custom_data, updated.organization) == ("new", "short", "")
    assert updated.name == NAME
    assert await setting.adapter.channels.update(channel, introduction="new") == updated


async def test_deleted_channel_is_not_found_and_its_slug_is_free(setting: Setting) -> None:
    channel = await create(setting)
    assert await setting.adapter.channels.delete(channel)
    assert not await setting.adapter.channels.delete(channel)
    assert not await setting.adapter.channels.exists(channel)
    with pytest.raises(NotFoundError):
        await setting.adapter.channels.get(channel)
    await create(setting)


async def test_get_many_reads_several_channels(setting: Setting) -> None:
    created = [
        (await setting.adapter.channels.create(name=f"{setting.slug} {n}", owner=OWNER, slug=f"{setting.slug}_{n}")).id
        for n in range(3)
    ]
    found = await setting.adapter.channels.get_many([*created, "no_such_channel_anywhere"])
    assert {channel: value.name for channel, value in found.items()} == {
        channel: f"{setting.slug} {n}" for n, channel in enumerate(created)
    }
    for channel in created:
        await setting.adapter.channels.delete(channel)


REFUSED: list[tuple[dict[str, str], str]] = [
    ({"name": "x" * 151}, "name"),
    ({"introduction": "港" * 134}, "introduction"),
    ({"avatar": "no url"}, "avatar"),
    ({"custom_data": "x" * 3001}, "custom_data"),
    ({"slug": "@TGS#taken"}, "slug"),
    ({"owner": ""}, "owner"),
    ({"owner": "x" * 33}, "owner"),
]


async def test_invalid_channel_is_refused_and_not_created(setting: Setting) -> None:
    for values, field in REFUSED:
        with pytest.raises(InvalidError) as refused:
            await create(setting, **values)
        assert refused.value.field == field
        assert not await setting.adapter.channels.exists(setting.slug)


async def test_channels_of_unknown_user_raise_not_found(setting: Setting) -> None:
    with pytest.raises(NotFoundError, match="user 'nobody_here' is not an account of the app") as refused:
        [mine async for mine in setting.adapter.channels.subscribed("nobody_here")]
    assert refused.value.field == "user"


async def test_unknown_owner_is_named(setting: Setting) -> None:
    with pytest.raises(NotFoundError, match="owner 'nobody_here' is not an account") as refused:
        await create(setting, owner="nobody_here")
    assert refused.value.field == "owner"
    assert not await setting.adapter.channels.exists(setting.slug)


@community_only
async def test_subscribed_channels_exclude_plain_communities(setting: Setting) -> None:
    adapter = setting.adapter
    channel = await create(setting)
    plain = f"@TGS#_{setting.slug}_plain"
    body = {
        "Type": "Community", "GroupId": plain, "Name": "Plain", "Owner_Account": OWNER,
        "MemberList": [{"Member_Account": READERS[0]}],
    }  # fmt: skip
    await adapter.call("group_open_http_svc", "create_group", body)
    await adapter.subscriptions.subscribe(channel, READERS[:1])
    mine = {item.channel.id: item async for item in adapter.channels.subscribed(READERS[0])}
    assert channel in mine
    assert plain not in mine
    assert mine[channel].role is Role.SUBSCRIBER
    assert mine[channel].since is not None
    assert mine[channel].channel.name == NAME
    assert {item.role async for item in adapter.channels.subscribed(OWNER) if item.channel.id == channel} == {
        Role.OWNER
    }
    await adapter.call("group_open_http_svc", "destroy_group", {"GroupId": plain})
