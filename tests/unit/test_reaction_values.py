"""Pure functions of reactions: emoji, keys, policies, custom data, plans and merging."""

import random

import emoji
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_adapter import InvalidError, ReactionChange
from channel_adapter.backends.community.tag import Tag, read_tag
from channel_adapter.domain.ids import UserId
from channel_adapter.domain.reaction import MessageCapacity
from channel_adapter.mapping import reactions as values
from channel_adapter.mapping.emoji import known_emoji, one_emoji
from channel_adapter.store.client_reactions import Effect, KeyRow, merge_absence, merge_event, merge_read
from channel_adapter.store.reaction_publishing import Count, plan_data, plan_keys
from channel_adapter.tencent import limits
from channel_adapter.tencent.wire.extensions import Extension

USER = UserId("reader_1")
WHOLE = [each for each, about in emoji.EMOJI_DATA.items() if about["status"] == emoji.STATUS["fully_qualified"]]
ids = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=32)
chosen = st.sampled_from(WHOLE)


def test_every_library_emoji_has_one_fully_qualified_spelling() -> None:
    for each, about in emoji.EMOJI_DATA.items():
        if about["status"] != emoji.STATUS["component"]:
            assert emoji.EMOJI_DATA[one_emoji(each)]["status"] == emoji.STATUS["fully_qualified"]
            assert one_emoji(one_emoji(each)) == one_emoji(each)
        else:
            assert known_emoji(each) is None


@pytest.mark.parametrize(
    ("spelled", "emoji"),
    [
        ("👍\ufe0f", "👍"),
        ("👍🏽\ufe0f", "👍🏽"),
        ("☝\ufe0f🏽", "☝🏽"),
        ("❤", "❤️"),
        ("❤\ufe0f\ufe0f", "❤️"),
        ("🇳\ufe0f🇴", "🇳🇴"),
        ("👩\ufe0f\u200d🚀", "👩‍🚀"),
        ("1\u20e3", "1\ufe0f\u20e3"),
    ],
)
def test_wrong_variation_selectors_are_normalised(spelled: str, emoji: str) -> None:
    assert one_emoji(spelled) == emoji
    assert values.to_policy(spelled).emoji == (emoji,)
    assert values.parse_policy(f"{spelled} {emoji} 🎉").emoji == (
        emoji,
        "🎉",
    )
    pairs = [Extension(key="r|reader_1", value=f"{spelled} {emoji}", seq=1), Extension(key=f"n|{spelled}", value="2")]
    parsed = values.parse_extensions(pairs)
    assert parsed.users[USER].emoji == (emoji,)
    assert (parsed.counts, parsed.other) == ({spelled: 2}, 0)  # unchanged, so that exactly this key can be removed


@pytest.mark.parametrize("text", ["\ufe0f", "1\ufe0f", "🏽\ufe0f", "a\ufe0f"])
def test_other_text_with_variation_selector_is_refused(text: str) -> None:
    with pytest.raises(InvalidError, match="is not an emoji"):
        one_emoji(text)


def test_two_emoji_with_variation_selectors_are_refused() -> None:
    with pytest.raises(InvalidError, match="contains 2 emoji"):
        one_emoji("👍\ufe0f❤\ufe0f")


@given(ids, chosen, st.integers(0, 2**40))
def test_keys_and_values_fit_for_every_user_and_emoji(user: str, each: str, count: int) -> None:
    pairs = [values.user_pair(UserId(user), [each] * 20), values.count_pair(each, count)]
    for pair in pairs:
        assert len(pair.key.encode()) <= limits.EXTENSION_KEY_BYTES
        assert len(pair.value.encode()) <= limits.EXTENSION_VALUE_BYTES
    parsed = values.parse_extensions([*pairs, Extension(key="somebody else's", value="x")])
    assert parsed.users[UserId(user)].emoji == (each,)
    assert (parsed.counts, parsed.other) == ({each: count}, 1)


def test_invalid_reaction_pairs_are_not_counted() -> None:
    strange = {
        "r|reader_1": "hello",
        "r|" + "x" * 33: "👍",
        "r|": "👍",
        "n|👍": "many",
        "n|x": "1",
        "N|👍": "1",
        "r|a": "",
    }
    parsed = values.parse_extensions(Extension(key=key, value=value, seq=1) for key, value in strange.items())
    assert parsed.users == {USER: ReactionChange(USER, ("",), 1)}
    assert (parsed.counts, parsed.other) == ({"👍": -1}, 4)


@given(st.sampled_from(["all", "basic", "none"]) | st.lists(chosen, min_size=1, max_size=10))
def test_policy_reads_back_from_the_tag_and_keeps_other_attributes(wanted: str | list[str]) -> None:
    policy = values.to_policy(wanted)
    before = Tag("m1", ("posts",), ("later=x", "reactions=none"), 2)
    written = read_tag(before.with_attributes({values.POLICY: values.policy_text(policy)}).text())
    assert written is not None
    assert values.parse_policy(written.attributes[values.POLICY]) == policy
    assert (written.migration, written.kept, written.others[0], written.data) == ("m1", ("posts",), "later=x", 2)


def test_invalid_policies_are_refused() -> None:
    for wrong in ("", "some", [], ["👍👍"], ["all"]):
        with pytest.raises(InvalidError):
            values.to_policy(wrong)
    assert values.parse_policy("words of a later version").allowed == ()


def test_foreign_custom_data_is_kept() -> None:
    held = orjson.dumps({"v": 1, "isEdited": True, "channel_adapter": {"v": 1, "reactions": {"👎": 3}}}).decode()
    written = values.with_counts(held, {"👍": 41})
    assert written is not None
    assert orjson.loads(written) == {"v": 1, "isEdited": True, "channel_adapter": {"v": 1, "reactions": {"👍": 41}}}
    emptied = values.with_counts(written, {})
    assert emptied is not None
    assert orjson.loads(emptied) == {"v": 1, "isEdited": True}
    assert values.with_counts(None, {}) == "{}"
    for foreign in ("plain text", "[1]", "7"):
        assert values.with_counts(foreign, {"👍": 1}) is None


ROOM = MessageCapacity(keys=300, keys_per_call=20, users=200, counts=80, users_without_store=250, write_interval=0.34)


def written_out(counts: list[Count], readers: int, *, foreign: int = 0) -> tuple[dict[str, int], int, int]:
    """Execute plans until one is complete, within the room; return the counts, users' keys and number of calls."""
    standing = {each.emoji: each.published for each in counts if each.published}
    begun = readers
    for calls in range(100):
        rows = [Count(each.emoji, each.number, standing.get(each.emoji, 0)) for each in counts]
        surplus = [UserId(f"u{number}") for number in range(max(0, readers - ROOM.users))]
        plan = plan_keys(rows, surplus, readers, ROOM)
        assert len(plan.sets) + len(plan.removals) + len(plan.users) <= ROOM.keys_per_call
        assert not (plan.sets and (plan.removals or plan.users))
        standing.update(plan.sets)
        for gone in plan.removals:
            del standing[gone]
        readers -= len(plan.users)
        assert len(standing) + readers <= max(ROOM.keys, begun + len([each for each in counts if each.published]))
        if plan.complete:
            return {each: number for each, number in standing.items() if number}, readers, calls
    raise AssertionError("never whole")


@given(st.integers(0, 300), st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=120))
def test_plans_publish_most_frequent_counts_and_free_room_for_clients(
    readers: int, numbers: list[tuple[int, int]]
) -> None:
    standing = max(0, min(len(numbers), 300 - readers))
    counts = [
        Count(WHOLE[number], count, published if number < standing else 0)
        for number, (count, published) in enumerate(numbers)
    ]
    shown, left, _ = written_out(counts, readers)
    wanted = sorted((each for each in counts if each.number), key=lambda each: (-each.number, each.emoji))[:80]
    assert shown == {each.emoji: each.number for each in wanted}
    assert left == min(readers, ROOM.users)


def test_custom_data_plan_writes_all_counts_or_none() -> None:
    assert plan_data([Count("👍", 2, 2), Count("👎", 0, 0)], ROOM).empty
    assert plan_data([Count("👍", 2, 2), Count("👎", 1, None)], ROOM).data == {"👍": 2, "👎": 1}
    assert plan_data([Count("👍", 0, 2)], ROOM).data == {}


@given(st.lists(st.tuples(st.sampled_from(["👍", "❤️", ""]), st.booleans()), max_size=8), st.randoms())
def test_repeated_and_reordered_events_merge_to_the_same_reaction(
    writes: list[tuple[str, bool]], order: random.Random
) -> None:
    changes = [
        ReactionChange(USER, (each,) if each else (), seq, from_client=not (ours and not each))
        for seq, (each, ours) in enumerate(writes, start=1)
    ]

    def folded(events: list[ReactionChange]) -> tuple[int, tuple[str, ...]]:
        row, mine = KeyRow(), tuple[str, ...]()
        for change in events:
            row, effect = merge_event(row, change)
            mine = {Effect.SET: change.emoji, Effect.UNSET: (), Effect.NONE: mine}[effect]
        return row.merged, mine

    shuffled = changes * 2
    order.shuffle(shuffled)
    clients = [change for change in changes if change.from_client]
    expected = (clients[-1].seq, clients[-1].emoji) if clients else (0, ())
    assert folded(changes) == folded(shuffled) == expected


def test_deletion_by_the_adapter_removes_no_reaction() -> None:
    gone = ReactionChange(USER, (), 9)
    assert merge_event(KeyRow(merged=5, deleted=9), gone)[1] is Effect.NONE  # recorded already
    assert merge_event(KeyRow(merged=5, present=True, deleting=True), gone)[1] is Effect.NONE  # under way
    assert merge_event(KeyRow(merged=5, present=True), ReactionChange(USER, (), 9, from_client=False))[1] is Effect.NONE
    assert merge_event(KeyRow(merged=5, present=True), gone) == (KeyRow(merged=9), Effect.UNSET)
    assert (
        merge_event(KeyRow(merged=5, present=True, deleting=True), ReactionChange(USER, (), 9, from_client=True))[1]
        is Effect.UNSET
    )


def test_reads_add_new_reactions_and_remove_missing_ones() -> None:
    there = KeyRow(merged=5, present=True)
    assert merge_read(there, ReactionChange(USER, ("👍",), 5)) == (there, Effect.NONE)
    assert merge_read(KeyRow(merged=7), ReactionChange(USER, ("👍",), 6)) == (
        KeyRow(merged=6, present=True),
        Effect.SET,
    )
    assert merge_absence(there, 8, 0) == (KeyRow(merged=8), Effect.UNSET)
    assert merge_absence(there, 8, 6) == (KeyRow(merged=5, deleted=6), Effect.NONE)  # all keys were cleared together
    assert merge_absence(KeyRow(merged=5, deleted=6), 8, 0)[1] is Effect.NONE  # deleted by the adapter
    assert merge_absence(KeyRow(merged=5, present=True, deleting=True), 8, 0)[1] is Effect.NONE
